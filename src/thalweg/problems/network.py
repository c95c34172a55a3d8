"""A network with one hidden layer of tanh units and softmax outputs."""

from typing import Any, cast

import numpy as np

from .base import START, Array, Grads, Params, Rows, stream
from .data import DataProblem, Labels, Space
from .linear import cross_entropy, one_hot, softmax


class OneHiddenLayer(DataProblem):
    """Mean cross-entropy of a d - hidden - classes network; ``y`` (n,) int64.

    Parameters: ``{"hidden": {"weight": (d, hidden), "bias": (hidden,)},
    "output": {"weight": (hidden, classes), "bias": (classes,)}}``.
    """

    metric_name = "test accuracy"

    def __init__(
        self,
        X: Array,
        y: Labels,
        X_test: Array,
        y_test: Labels,
        *,
        classes: int,
        hidden: int,
        **about: Any,
    ) -> None:
        super().__init__(rows=len(X), **about)
        self._store(X, one_hot(y, classes))
        self.hidden = hidden
        self._labels = y
        self._X_test, self._labels_test = X_test, y_test

    def start(self, seed: int) -> dict[str, Params]:
        """Weights uniform within sqrt(6 / (inputs + outputs)) (Glorot), biases 0."""
        rng = stream(seed, START)

        def layer(rows: int, columns: int) -> dict[str, Params]:
            bound = np.sqrt(6.0 / (rows + columns))
            weight = rng.uniform(-bound, bound, (rows, columns))
            return {"weight": weight, "bias": np.zeros(columns)}

        return {
            "hidden": layer(self.inputs, self.hidden),
            "output": layer(self.hidden, self.outputs),
        }

    def _new_space(self, n: int) -> Space:
        return _Layers(n, self.outputs, self.hidden)

    def gradient(self, params: Params, rows: Rows | None) -> Grads:
        """As in Problem; the arrays returned are the same at each call from one thread."""
        fixed = self._local.fixed
        if fixed is None:
            fixed = self._local.fixed = _Fixed(self.inputs, self.hidden, self.outputs)
        tree = cast(dict[str, dict[str, Array]], params)
        hidden, output = tree["hidden"], tree["output"]
        fixed.hidden_weight[...] = hidden["weight"]
        fixed.hidden_bias[...] = hidden["bias"]
        fixed.output_weight[...] = output["weight"]
        fixed.output_bias[...] = output["bias"]
        space = cast(_Layers, self._fetch(rows))
        units, back, scores = space.units, space.back, space.scores

        np.matmul(space.inputs, fixed.hidden, units)
        np.tanh(units, units)
        np.matmul(space.activity, fixed.output, scores)
        softmax(space)
        np.subtract(scores, space.targets, scores)
        np.multiply(scores, space.inverse, scores)

        np.matmul(space.activity_t, scores, fixed.output_gradient)
        np.matmul(scores, fixed.output_weight_t, back)
        # back * (1 - units^2), the derivative of tanh
        np.multiply(units, units, space.slope)
        np.subtract(1.0, space.slope, space.slope)
        np.multiply(back, space.slope, back)
        np.matmul(space.inputs_t, back, fixed.hidden_gradient)
        return cast(Grads, fixed.grads)

    def loss(self, params: Params) -> float:
        with np.errstate(all="ignore"):
            scores = _scores(self._table[:, : self.inputs].T, params)
            return cross_entropy(scores, self._labels)

    def metric(self, params: Params) -> float:
        """Share of held-out rows whose highest score is that of their label."""
        with np.errstate(all="ignore"):
            best = _scores(self._X_test.T, params).argmax(axis=0)
        return float(np.mean(best == self._labels_test))


def _scores(X: Array, params: Params) -> Array:
    """(classes, n) scores of inputs (d, n)."""
    tree = cast(dict[str, dict[str, Array]], params)
    hidden, output = tree["hidden"], tree["output"]
    units = hidden["weight"].T @ X
    units += hidden["bias"][:, None]
    np.tanh(units, units)
    scores: Array = output["weight"].T @ units
    scores += output["bias"][:, None]
    return scores


class _Layers(Space):
    """Space with the hidden layer: activity (n, hidden + 1) ends in a column of ones."""

    def __init__(self, n: int, k: int, hidden: int) -> None:
        super().__init__(n, k)
        self.activity = np.ones((n, hidden + 1))
        self.activity_t = self.activity.T
        self.units = self.activity[:, :hidden]
        self.slope = np.empty((n, hidden))
        self.back = np.empty((n, hidden))


class _Fixed:
    """Buffers that do not depend on the batch: weights over biases of each layer, gradients."""

    def __init__(self, d: int, hidden: int, k: int) -> None:
        self.hidden = np.empty((d + 1, hidden))
        self.hidden_weight, self.hidden_bias = self.hidden[:d], self.hidden[d]
        self.output = np.empty((hidden + 1, k))
        self.output_weight, self.output_bias = self.output[:hidden], self.output[hidden]
        self.output_weight_t = self.output_weight.T
        self.hidden_gradient = np.empty((d + 1, hidden))
        self.output_gradient = np.empty((hidden + 1, k))
        self.grads = {
            "hidden": {"weight": self.hidden_gradient[:d], "bias": self.hidden_gradient[d]},
            "output": {
                "weight": self.output_gradient[:hidden],
                "bias": self.output_gradient[hidden],
            },
        }
