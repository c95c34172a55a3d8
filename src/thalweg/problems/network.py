"""Networks with one hidden layer of tanh units: softmax outputs for classes, a linear one for a quantity."""

from abc import abstractmethod
from typing import Unpack, cast

import numpy as np

from .base import START, Array, Grads, Params, Rows, stream
from .data import DataProblem, Labels, Space
from .linear import About, Inputs, Truth, cross_entropy, one_hot, softmax


class _Network(DataProblem):
    """A d - hidden - k network on training rows whose outputs are compared with ``targets`` (n, k).

    Parameters: ``{"hidden": {"weight": (d, hidden), "bias": (hidden,)},
    "output": {"weight": (hidden, k), "bias": (k,)}}``. ``l2`` adds l2/2 times the squared weights, biases excepted,
    to the loss. ``validation``: more inputs and truths, which are neither trained nor tested on.
    """

    def __init__(
        self,
        X: Array,
        targets: Array,
        truth: Truth,
        *,
        hidden: int,
        name: str,
        title: str,
        text: str,
        l2: float = 0.0,
        validation: tuple[Inputs, Truth] | None = None,
    ) -> None:
        super().__init__(name=name, title=title, text=text, rows=len(X))
        self._store(X, targets)
        self.hidden, self.l2 = hidden, l2
        self._truth, self._validation = truth, validation
        if validation is not None:
            self.validation_name = "validation loss"

    @abstractmethod
    def _link(self, space: Space) -> None:
        """Turn ``space.scores`` (n, k) into predicted targets, in place."""

    @abstractmethod
    def _mean_loss(self, scores: Array, truth: Truth) -> float:
        """Mean loss of scores (k, rows), which may be overwritten, against the truth of their rows."""

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
        self._link(space)
        np.subtract(scores, space.targets, scores)
        np.multiply(scores, space.inverse, scores)

        np.matmul(space.activity_t, scores, fixed.output_gradient)
        np.matmul(scores, fixed.output_weight_t, back)
        # back * (1 - units^2), the derivative of tanh
        np.multiply(units, units, space.slope)
        np.subtract(1.0, space.slope, space.slope)
        np.multiply(back, space.slope, back)
        np.matmul(space.inputs_t, back, fixed.hidden_gradient)
        if self.l2:
            for layer, weights in (("hidden", hidden), ("output", output)):
                fixed.grads[layer]["weight"] += self.l2 * weights["weight"]
        return cast(Grads, fixed.grads)

    def loss(self, params: Params) -> float:
        with np.errstate(all="ignore"):
            scores = _scores(self._table[:, : self.inputs].T, params)
            value = self._mean_loss(scores, self._truth)
            if self.l2:
                tree = cast(dict[str, dict[str, Array]], params)
                value += 0.5 * self.l2 * sum(float(np.sum(layer["weight"] ** 2)) for layer in tree.values())
        return value

    def validation(self, params: Params) -> float | None:
        """The mean loss on the validation rows, without the penalty."""
        if self._validation is None:
            return None
        X, truth = self._validation
        with np.errstate(all="ignore"):
            return self._mean_loss(_scores(cast(Array, X).T, params), truth)


class OneHiddenLayer(_Network):
    """Mean cross-entropy of a d - hidden - classes network; ``y`` (n,) int64."""

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
        **about: Unpack[About],
    ) -> None:
        super().__init__(X, one_hot(y, classes), y, hidden=hidden, **about)
        self._X_test, self._labels_test = X_test, y_test

    def _link(self, space: Space) -> None:
        softmax(space)

    def _mean_loss(self, scores: Array, truth: Truth) -> float:
        return cross_entropy(scores, truth)

    def metric(self, params: Params) -> float:
        """Share of held-out rows whose highest score is that of their label."""
        with np.errstate(all="ignore"):
            best = _scores(self._X_test.T, params).argmax(axis=0)
        return float(np.mean(best == self._labels_test))


class HiddenLeastSquares(_Network):
    """Mean of half the squared residual of a d - hidden - 1 network; ``y`` (n,) float64."""

    metric_name = "test R^2"

    def __init__(
        self, X: Array, y: Array, X_test: Array, y_test: Array, *, hidden: int, **about: Unpack[About]
    ) -> None:
        super().__init__(X, y[:, None], y, hidden=hidden, **about)
        self._X_test, self._y_test = X_test, y_test

    def _link(self, space: Space) -> None:
        """The identity: scores are predictions."""

    def _mean_loss(self, scores: Array, truth: Truth) -> float:
        return 0.5 * float(np.mean((scores[0] - truth) ** 2))

    def metric(self, params: Params) -> float | None:
        """R^2 on held-out rows; None where their targets are all equal."""
        y = self._y_test
        spread = float(np.sum((y - y.mean()) ** 2))
        if spread == 0:
            return None
        with np.errstate(all="ignore"):
            residual = _scores(self._X_test.T, params)[0] - y
            return 1.0 - float(np.sum(residual * residual)) / spread


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
