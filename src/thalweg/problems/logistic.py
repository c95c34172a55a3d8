"""Logistic regression on sparse data with a known truth: feature j occurs with probability ~ 1/j.

    loss(z, y) = log(1 + e^z) - y z,   y in {0, 1}

Zipf's law is that of words in a text: a few features are in every row, most are rare, and the rare
ones matter as much where they occur.
"""

import numpy as np
from scipy.special import expit

from ..core import exp, log1p, maximum
from ..core.objective import Scored
from .base import Array, need_integer, stream
from .scored import ScoredProblem

START_DATA = 17  # the seed of the data, which are the same in every race


def value(z, /, y):
    return maximum(z, 0.0) - y * z + log1p(exp(-abs(z)))


def slope(z, /, y):
    return 1 / (1 + exp(-z)) - y


def curvature(z, /, y):
    return 1 / ((1 + exp(-z)) * (1 + exp(z)))


OBJECTIVE = Scored(value, slope, curvature)


class Zipf(ScoredProblem):
    """``rows`` training rows of ``features`` binary features, labels drawn from a known truth; 2 or more of each.

    Raises ProblemError.
    """

    metric_name = "test accuracy"

    def __init__(self, rows: int = 2000, features: int = 200) -> None:
        need_integer("zipf: rows", rows, 2)
        need_integer("zipf: features", features, 2)
        rng = stream(START_DATA, 0)
        often = np.minimum(1.0, 2.0 / np.arange(1, features + 1))
        self.truth = rng.normal(scale=2.0, size=features)
        inputs = (rng.random((2 * rows, features)) < often).astype(float)
        labels = (rng.random(2 * rows) < expit(inputs @ self.truth)).astype(float)
        self._test = inputs[rows:], labels[rows:]
        super().__init__(
            "zipf",
            "Logistic regression, Zipf features",
            f"{rows:,} rows of {features} binary features: the first in every row, the last in one of "
            f"{round(1 / often[-1])}; the labels follow a known truth.",
            OBJECTIVE,
            inputs[:rows],
            labels[:rows],
            starts=[(0.0,) * features],
            spread=0.01,
        )
        self.loss_name = "training loss"
        self.batch = 16

    def metric(self, params: Array) -> float:  # type: ignore[override]
        """The share of held-out rows that are classified as their label says."""
        inputs, labels = self._test
        return float(np.mean((inputs @ params > 0) == (labels > 0.5)))


PROBLEMS = {"zipf": Zipf}
