"""LinearRegressor: numbers as targets of a linear model."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import check_random_state

from ..core.rule import Rule
from ..core.schedule import Schedule
from ..engines.memory import Array
from ..errors import ProblemError
from ..linear.losses import NUMBER
from .base import LinearEstimator, all_or_nothing, weighed


class LinearRegressor(RegressorMixin, LinearEstimator):  # type: ignore[misc]
    """A linear model of a number, one row a step, with any rule.

    loss: "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive" (epsilon), "poisson"
    (predicts exp of the score; y of 0 or more) or "quantile" (quantile). epsilon: as in ``SGDRegressor``: 0.1 by default
    and in the unit of y, with scale="auto" too; ``thalweg fit`` takes a tenth of the target's deviation. Other parameters: as for
    ``LinearClassifier``. Fitted: ``coef_`` (features,), ``intercept_`` (1,), ``n_iter_``, ``t_``, ``rule_``.
    """

    _losses = tuple(NUMBER)

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        penalty: str | None = "l2",
        alpha: float = 0.0,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        max_iter: int | None = None,
        tol: float | None = None,
        shuffle: bool = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        random_state: int | np.random.RandomState | None = None,
        rule: Rule | type[Rule] | str | None = None,
        learning_rate: str | float | Schedule | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
        scale: str | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.quantile = quantile
        self.random_state = random_state
        self.rule = rule
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.average = average
        self.scale = scale

    def _targets(self, y: ArrayLike) -> Array:
        if self.loss == "poisson" and np.min(y) < 0:
            raise ProblemError(
                f"{type(self).__name__}: loss='poisson' needs y of 0 or more, got {np.min(y)!r}"
            )
        return np.ascontiguousarray(y, dtype=np.float64)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Learn from all rows. X (n, features) dense or sparse, y (n,), sample_weight (n,). Raises ValueError.

        coef_init (features,), intercept_init (1,): where weights and intercepts begin; None: at 0.
        """
        with all_or_nothing(self):
            X, y, weights = self._checked(X, y, sample_weight, reset=True)
            targets = self._targets(y)
            start = coef_init, intercept_init
            self._learn(X, targets, targets, weights, self.loss, None, start)
        return self

    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """One pass over some rows, from where learning stands.

        Raises ValueError, at the first call with ``early_stopping`` too.
        """
        first = self._first_call()
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        targets = self._targets(y)
        random = check_random_state(self.random_state)
        begin = None
        if first:
            begin = self._settings(X.dtype, self.loss)
            self._warn_if_slow(begin, None, X, 1, level=3)
        X, _, targets, weights = weighed(X, targets, targets, weights)
        self._learn_more(X, targets, weights, begin, None, random)
        return self

    @property
    def coef_(self) -> Array:
        """The weights (features,)."""
        return self._solution[0][:, 0]

    @property
    def intercept_(self) -> Array:
        """The intercept (1,)."""
        return self._solution[1]

    def predict(self, X: Any) -> Array:
        """The number predicted for each row."""
        z = self._scores(X)
        return self.model_.decide(z)
