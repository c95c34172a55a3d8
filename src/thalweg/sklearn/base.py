"""What classifier and regressor share: parameters, data, and learning pass by pass."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..core.rule import Rule
from ..engines.memory import Array
from ..errors import HyperparameterError, ProblemError
from ..linear import DEFAULT, Model, Settings, look, race, rows_of
from .arguments import settings

MOST = 1000  # passes where max_iter is None and a stopping rule is on


@contextmanager
def all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Leave the estimator as it was where its fit is refused, or diverges."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class LinearEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share."""

    _losses: tuple[str, ...]
    rule: Any

    # A rule is a frozen value: its lines are parameters of the estimator all the same.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; ``deep``: the rule's lines too, as ``rule__lr`` and so on."""
        made: dict[str, Any] = super().get_params(deep=deep)
        rule = DEFAULT if self.rule is None else self.rule
        if deep and isinstance(rule, Rule):
            made |= {f"rule__{n}": v for n, v in rule.values.items()}
        return made

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; ``rule__lr`` and so on replace the rule by one with that line changed."""
        lines = {n.removeprefix("rule__"): v for n, v in params.items() if n.startswith("rule__")}
        super().set_params(**{n: v for n, v in params.items() if not n.startswith("rule__")})
        if lines:
            rule = DEFAULT if self.rule is None else self.rule
            if not isinstance(rule, Rule):
                raise HyperparameterError(f"{type(self).__name__}: rule must be a rule, got {rule!r}")
            self.rule = rule.replace(**lines)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # Arguments.

    def _settings(self, dtype: np.dtype[Any], loss: str) -> Settings:
        return settings(self, self._losses, dtype, loss)

    @property
    def _races(self) -> bool:
        rate = self.learning_rate
        return rate == "auto" if isinstance(rate, str) else rate is None and self.rule is None

    # Data.

    def _inputs(self, X: Any, reset: bool = False) -> Any:
        made = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=reset)
        return self._rows(made)

    def _rows(self, X: Any) -> Any:
        """X as the kernels take it: CSR columns sorted and distinct, in a copy where the user's are not."""
        if not issparse(X):
            return X
        what, row = look(rows_of(X))
        if what == 1:
            raise ProblemError(f"{type(self).__name__}: X[{row}] has a column outside 0..{X.shape[1] - 1}")
        if what == 2:
            X = csr_array(X, copy=True)
            X.sum_duplicates()
            X.sort_indices()
        return X

    def _checked(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Any, Array, Array | None]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            y_numeric=isinstance(self, RegressorMixin),
            reset=reset,
        )
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        return self._rows(X), y, weights

    # Learning.

    def _learn(
        self, X: Any, y: Array, targets: Array, weights: Array | None, loss: str, classes: Any
    ) -> None:
        random = check_random_state(self.random_state)
        chosen = self._settings(X.dtype, loss)
        features = X.shape[1]
        stops = self.early_stopping or self.tol is not None
        passes = int(self.max_iter) if self.max_iter is not None else MOST if stops else None
        held = None
        if self.early_stopping:
            stratify = y if classes is not None else None
            try:
                train, test = train_test_split(
                    np.arange(X.shape[0]),
                    test_size=self.validation_fraction,
                    random_state=random.randint(2**31),
                    stratify=stratify,
                )
            except ValueError as error:
                raise ProblemError(
                    f"{type(self).__name__}: early_stopping cannot hold out rows: {error}"
                ) from None
            held = X[test], targets[test], None if weights is None else weights[test]
            X, targets = X[train], targets[train]
            weights = None if weights is None else weights[train]
        raced = 3 if stops and passes is not None else passes
        chosen, fitting = race(
            chosen, features, classes, X, targets, weights,
            passes=raced, rate=self._races, seed=random.randint(2**31),
        )  # fmt: skip
        passes = fitting if passes is None else passes
        model = Model(chosen, features, classes)
        before = getattr(self, "model_", None) if self.warm_start else None
        if before is not None and (before.features, before.outputs) == (features, model.outputs):
            model.start(*before.solution)
        self.model_ = model
        self._pass(X, targets, weights, passes, random, held)

    def _pass(
        self, X: Any, targets: Array, weights: Array | None, passes: int, random: Any, held: Any = None
    ) -> None:
        """Learn, pass by pass, until ``passes`` are done or a stopping rule holds."""
        best, calm, tol = math.inf, 0, self.tol
        watched = held is not None or tol is not None
        for n in range(1, passes + 1):
            order = random.permutation(X.shape[0]) if self.shuffle else None
            loss, weight = self.model_.learn(X, targets, weights, order)
            self.n_iter_ = n
            if watched:
                value = self.model_.loss_of(*held) if held is not None else loss / weight if weight else 0.0
                calm = calm + 1 if value > best - (tol or 0.0) else 0
                best = min(best, value)
                if calm >= self.n_iter_no_change:
                    break
        w, b = self.model_.solution
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise ProblemError(
                f"{type(self).__name__}: the weights are not finite any more: lower the learning rate, or scale X"
            )

    def _scores(self, X: Any) -> Array:
        check_is_fitted(self)
        return self.model_.scores(self._inputs(X))

    @property
    def t_(self) -> int:
        """Steps done: rows learnt from, over all passes."""
        return self.model_.t

    @property
    def rule_(self) -> Rule:
        """The rule that was used, with the learning rate that was chosen."""
        return self.model_.settings.rule

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")
