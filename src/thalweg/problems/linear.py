"""Linear models: softmax, logistic and least-squares regression, dense or sparse inputs.

Parameters are ``{"weight": (d, k), "bias": (k,)}``. All three gradients are

    inputs^T (link(inputs weight + bias) - targets) / n

with the softmax, the sigmoid or the identity as link; only link and loss differ.
"""

from abc import abstractmethod
from typing import Any, Required, TypeAlias, TypedDict, Unpack, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from scipy.special import expit

from ..core.objective import Scored, Softmax
from ..engines.cpu.csr import Labelled, rows_of
from . import least_squares, logistic
from .base import START, Array, Grads, Params, Printable, Rows, stream
from .data import DataProblem, Labels, Space

# If the squares of all scores sum to less, no score is beyond +-700 and exp stays in range.
SAFE = 700.0**2
START_DEVIATION = 0.01

Inputs: TypeAlias = Array | csr_array  # (n, d)
Truth: TypeAlias = NDArray[Any]  # labels or values, (n,)


class About(TypedDict, total=False):
    """What every linear model, and every network, is told beside its data; see ``LinearModel``."""

    name: Required[str]
    title: Required[str]
    text: Required[str]
    l2: float
    validation: tuple[Inputs, Truth]


def softmax(space: Space) -> None:
    """Turn ``space.scores`` (n, k) into probabilities, in place."""
    scores, flat = space.scores, space.flat
    # One dot product is a fifth of the price of row maxima, and nearly always settles it;
    # written so that nan takes the slow way too.
    if not np.dot(flat, flat) < SAFE:
        scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, scores)
    np.dot(scores, space.ones, space.sums)
    np.divide(scores, space.column, scores)


def cross_entropy(scores: Array, labels: Labels) -> float:
    """Mean of log-sum-exp minus the label's score.

    ``scores`` are (k, n), one column a row of data: sums over classes then run along contiguous
    memory, which is several times faster. They are overwritten.
    """
    scores -= scores.max(axis=0)
    chosen = scores[labels, np.arange(len(labels))]
    np.exp(scores, scores)
    return float(np.mean(np.log(scores.sum(axis=0)) - chosen))


def one_hot(labels: Labels, classes: int) -> Array:
    """(n, classes) with a 1 in the column of each label."""
    return np.eye(classes)[labels]


class LinearModel(DataProblem):
    """A linear model on (train inputs, train targets), judged on (test inputs, test targets).

    ``X`` and ``X_test`` are (n, d) float64 arrays or SciPy sparse; ``targets`` (n, k) float64 is
    what the link is compared with, ``truth_test`` (n_test,) what the metric is computed from.
    ``l2`` adds l2/2 times the squared weights, biases excepted, to the loss. ``validation``: more inputs and
    truths, which are neither trained nor tested on.
    """

    _truth: Truth  # of the training rows, as their losses take it
    _objective: Scored | Softmax  # its loss of a row's scores

    def __init__(
        self,
        X: Inputs,
        targets: Array,
        X_test: Inputs,
        truth_test: Truth,
        *,
        name: str,
        title: str,
        text: str,
        l2: float = 0.0,
        validation: tuple[Inputs, Truth] | None = None,
    ) -> None:
        super().__init__(name=name, title=title, text=text, rows=X.shape[0])
        self.l2 = l2
        self._truth_test = truth_test
        self._validation = validation
        if validation is not None:
            self.validation_name = "validation loss"
        self._sparse: csr_array | None = None
        if issparse(X):
            self._sparse, self._sparse_test = csr_array(X), csr_array(X_test)
            self._targets = targets
            self.inputs, self.outputs = X.shape[1], targets.shape[1]
        else:
            self._store(X, targets)
            self._X_test = X_test

    @property
    def printable(self) -> Printable | None:
        """Its loss of a row's scores, on the training rows."""
        if self._sparse is None:
            return Printable(self._objective, self._table, self.l2)
        targets = self._targets[:, 0] if self._objective.outputs == 1 else self._targets
        return Printable(
            self._objective, Labelled(rows_of(self._sparse), np.ascontiguousarray(targets)), self.l2
        )

    def start(self, seed: int) -> dict[str, Params]:
        """Weights from a normal distribution of deviation 0.01, biases 0."""
        rng = stream(seed, START)
        weight = START_DEVIATION * rng.standard_normal((self.inputs, self.outputs))
        return {"weight": weight, "bias": np.zeros(self.outputs)}

    def gradient(self, params: Params, rows: Rows | None) -> Grads:
        """As in Problem; the arrays returned are the same at each call from one thread."""
        weight, bias = _parts(params)
        fixed = self._local.fixed
        if fixed is None:
            fixed = self._local.fixed = _Fixed(self.inputs, self.outputs)
        if self._sparse is None:
            space = self._fetch(rows)
            fixed.weight[...] = weight
            fixed.bias[...] = bias
            np.matmul(space.inputs, fixed.joined, space.scores)
            self._residual(space, space.targets)
            np.matmul(space.inputs_t, space.scores, fixed.gradient)
        else:
            X = self._sparse if rows is None else self._sparse[rows]
            targets = self._targets if rows is None else self._targets[rows]
            space = Space(len(targets), self.outputs)
            np.add(X @ weight, bias, space.scores)
            self._residual(space, targets)
            fixed.grads["weight"][...] = X.T @ space.scores
            np.add.reduce(space.scores, axis=0, out=fixed.grads["bias"])
        if self.l2:
            fixed.grads["weight"] += self.l2 * weight
        return cast(Grads, fixed.grads)

    def _residual(self, space: Space, targets: Array) -> None:
        self._link(space)
        np.subtract(space.scores, targets, space.scores)
        np.multiply(space.scores, space.inverse, space.scores)

    def loss(self, params: Params) -> float:
        weight, bias = _parts(params)
        with np.errstate(all="ignore"):
            X = self._table[:, : self.inputs] if self._sparse is None else self._sparse
            scores = np.ascontiguousarray(weight.T @ X.T if self._sparse is None else (X @ weight).T)
            scores += bias[:, None]
            value = self._mean_loss(scores, self._truth)
            if self.l2:
                value += 0.5 * self.l2 * float(np.sum(weight * weight))
        return value

    def validation(self, params: Params) -> float | None:
        """The mean loss on the validation rows, without the penalty."""
        if self._validation is None:
            return None
        X, truth = self._validation
        weight, bias = _parts(params)
        with np.errstate(all="ignore"):
            return self._mean_loss(np.ascontiguousarray(np.asarray(X @ weight + bias).T), truth)

    def _test_scores(self, params: Params) -> Array:
        weight, bias = _parts(params)
        X = self._X_test if self._sparse is None else self._sparse_test
        with np.errstate(all="ignore"):
            return np.asarray(X @ weight + bias)

    def training_inputs(self) -> Inputs:
        """The inputs of the training rows, (n, d)."""
        return self._table[:, : self.inputs] if self._sparse is None else self._sparse

    @abstractmethod
    def _link(self, space: Space) -> None:
        """Turn ``space.scores`` (n, k) into predicted targets, in place."""

    @abstractmethod
    def _mean_loss(self, scores: Array, truth: Truth) -> float:
        """Mean loss of scores (k, rows), which may be overwritten, against the truth of their rows."""


class _Fixed:
    """Buffers that do not depend on the batch: (d + 1, k) weights over biases, and gradient."""

    def __init__(self, d: int, k: int) -> None:
        self.joined = np.empty((d + 1, k))
        self.weight, self.bias = self.joined[:d], self.joined[d]
        self.gradient = np.empty((d + 1, k))
        self.grads = {"weight": self.gradient[:d], "bias": self.gradient[d]}


def _parts(params: Params) -> tuple[Array, Array]:
    tree = cast(dict[str, Array], params)
    return tree["weight"], tree["bias"]


class SoftmaxRegression(LinearModel):
    """Mean cross-entropy of k classes; ``y`` (n,) int64 in 0 .. classes - 1."""

    metric_name = "test accuracy"

    def __init__(
        self, X: Inputs, y: Labels, X_test: Inputs, y_test: Labels, *, classes: int, **about: Unpack[About]
    ) -> None:
        super().__init__(X, one_hot(y, classes), X_test, y_test, **about)
        self._truth = y
        self._objective = Softmax(classes)

    def _link(self, space: Space) -> None:
        softmax(space)

    def _mean_loss(self, scores: Array, truth: Truth) -> float:
        return cross_entropy(scores, truth)

    def metric(self, params: Params) -> float:
        """Share of held-out rows whose highest score is that of their label."""
        return float(np.mean(self._test_scores(params).argmax(axis=1) == self._truth_test))


class LogisticRegression(LinearModel):
    """Mean log-loss of two classes, one score; ``y`` (n,) int64, 0 or 1."""

    metric_name = "test accuracy"
    _objective = logistic.OBJECTIVE

    def __init__(self, X: Inputs, y: Labels, X_test: Inputs, y_test: Labels, **about: Unpack[About]) -> None:
        super().__init__(X, y[:, None].astype(np.float64), X_test, y_test, **about)
        self._truth = y

    def _link(self, space: Space) -> None:
        expit(space.scores, space.scores)

    def _mean_loss(self, scores: Array, truth: Truth) -> float:
        # log(1 + e^z) - y z loses digits for large z; log(1 + e^(sign z)) does not.
        return float(np.mean(np.logaddexp(0.0, (1.0 - 2.0 * truth) * scores[0])))

    def metric(self, params: Params) -> float:
        """Share of held-out rows on the right side of score 0."""
        return float(np.mean((self._test_scores(params)[:, 0] > 0) == self._truth_test))


class LeastSquares(LinearModel):
    """Mean of half the squared residual; ``y`` (n,) float64."""

    metric_name: str | None = "test R^2"
    _objective = least_squares.OBJECTIVE

    def __init__(self, X: Inputs, y: Array, X_test: Inputs, y_test: Array, **about: Unpack[About]) -> None:
        super().__init__(X, y[:, None], X_test, y_test, **about)
        self._truth = y
        self._spread = float(np.sum((y_test - y_test.mean()) ** 2))
        if self._spread == 0:
            self.metric_name = None

    def _link(self, space: Space) -> None:
        """The identity: scores are predictions."""

    def _mean_loss(self, scores: Array, truth: Truth) -> float:
        return 0.5 * float(np.mean((scores[0] - truth) ** 2))

    def metric(self, params: Params) -> float | None:
        """R^2 on held-out rows; None where their targets are all equal."""
        if self._spread == 0:
            return None
        with np.errstate(all="ignore"):
            residual = self._test_scores(params)[:, 0] - self._truth_test
            return 1.0 - float(np.sum(residual * residual)) / self._spread
