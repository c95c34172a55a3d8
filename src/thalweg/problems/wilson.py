"""Wilson's construction: least squares where adaptive methods interpolate but do not generalise.

Example i with label y = ±1 (+1 with share p > 1/2) has the features

    x_1 = y,   x_2 = x_3 = 1,   private features of its own equal to 1: one if y = +1, five if y = -1

New examples bring private features of their own, so that only the first three weights judge them.
Started at 0, full-batch methods whose state is the gradient's size walk along sign(Xᵀy) and end at
w = sign(Xᵀy) / 4, which calls everything positive: error 1 - p. The solution of minimum norm,
w = Xᵀα with

    α₊ = (4 n₋ + 5) / D,   α₋ = -(4 n₊ + 1) / D,   D = 8 n₊ n₋ + 15 n₊ + 3 n₋ + 5,

makes no error where both classes occur; gradient descent finds it.
Source: Wilson et al., arXiv 1705.08292 (2017), section 3.3 and lemma 3.1; α solves their system with
the five private features that they state.
"""

from numbers import Real

import numpy as np

from ..errors import ProblemError
from .base import Array, need_integer, shown
from .least_squares import OBJECTIVE
from .scored import ScoredProblem

SHARED, FEW, MANY = 3, 1, 5  # features that all have, and private ones of positives and negatives


def minimum_norm(positives: int, negatives: int) -> tuple[float, float]:
    """α₊ and α₋ of the interpolating solution of minimum norm, in closed form."""
    d = 8 * positives * negatives + 15 * positives + 3 * negatives + 5
    return (4 * negatives + 5) / d, -(4 * positives + 1) / d


class Wilson(ScoredProblem):
    """n examples of which a share p, rounded, is positive; features that no example has are left out.

    The metric is the population's error on new examples, in closed form: 0, p, 1 - p or 1. Raises
    ProblemError unless both classes occur and there are more positives.
    """

    metric_name = "error on new examples"

    def __init__(self, n: int = 100, p: float = 0.6) -> None:
        need_integer("wilson: n", n, 1)
        if not isinstance(p, Real) or not 0.5 < p < 1 or not n / 2 < round(n * p) < n:
            raise ProblemError(
                f"wilson: needs both classes and more positives than negatives, got n={n}, p={shown(p)}"
            )
        positives = round(n * p)
        self.p, self.positives, self.negatives = p, positives, n - positives
        # Both classes spread evenly over the rows, so that every stretch of them is alike.
        rank = np.floor(np.arange(1, n + 1) * positives / n) > np.floor(np.arange(n) * positives / n)
        y = np.where(rank, 1.0, -1.0)
        private = np.where(rank, FEW, MANY)
        inputs = np.zeros((n, SHARED + int(private.sum())))
        inputs[:, 0], inputs[:, 1:SHARED] = y, 1.0
        ends = SHARED + np.cumsum(private)
        for row, end, count in zip(inputs, ends, private, strict=True):
            row[end - count : end] = 1.0
        super().__init__(
            "wilson",
            f"Wilson's construction, n = {n}, p = {p:g}",
            "Least squares on labels whose private features tempt adaptive methods into a solution that "
            "calls every new example positive.",
            OBJECTIVE,
            inputs,
            y,
            starts=[(0.0,) * inputs.shape[1]],
            minimum=0.0,
        )

    def scores(self, params: Array) -> tuple[float, float]:
        """What a new positive and a new negative example score: only shared weights judge them."""
        first, rest = float(params[0]), float(params[1] + params[2])
        return first + rest, rest - first

    def metric(self, params: Array) -> float:  # type: ignore[override]
        """The population's error on new examples."""
        positive, negative = self.scores(params)
        return self.p * (not positive > 0) + (1 - self.p) * (not negative < 0)

    def least_norm(self) -> Array:
        """The interpolating solution of minimum norm, (d,), from the closed form."""
        plus, minus = minimum_norm(self.positives, self.negatives)
        made: Array = self.inputs.T @ np.where(self.targets > 0, plus, minus)
        return made


PROBLEMS = {"wilson": Wilson}
