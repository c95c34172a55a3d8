"""The scikit-learn door: linear models trained by any rule, on dense or sparse rows.

    LinearClassifier(rule=tw.Adam(), loss="log_loss").fit(X, y)

Names and meanings are those of SGDClassifier and SGDRegressor; what differs stands at each parameter.
Errors of the data and of parameters are ValueErrors, as scikit-learn's are.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .core.rule import Rule
from .engines.memory import Array
from .errors import HyperparameterError, ProblemError, nearest
from .linear import DEFAULT, Model, Settings, look, race, rows_of
from .linear.losses import MARGIN, MULTINOMIAL, NUMBER, require_in_range

PENALTIES = ("l2", "l1", "elasticnet", None)
MULTI = ("auto", "multinomial", "ovr")
MOST = 1000  # passes where max_iter is None and a stopping rule is on


def _number(where: str, name: str, value: Any, low: float, high: float = math.inf) -> None:
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not low <= value <= high:
        raise HyperparameterError(f"{where}: {name} must be a number in [{low:g}, {high:g}]; got {value!r}")


@contextmanager
def _all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Leave the estimator as it was where its fit is refused, or diverges."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _label_text(label: Any) -> str:
    """A label without NumPy's wrapping."""
    return repr(label.item() if hasattr(label, "item") else label)


class _Linear(BaseEstimator):  # type: ignore[misc]
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

    # Parameters.

    def _settings(self, dtype: np.dtype[Any], loss: str) -> Settings:
        """The parameters, checked."""
        where = type(self).__name__
        if self.loss not in self._losses:
            raise HyperparameterError(
                f"{where}: unknown loss {self.loss!r}: {nearest(self.loss, self._losses)}"
            )
        if self.penalty not in PENALTIES:
            raise HyperparameterError(f"{where}: penalty must be one of {PENALTIES}, got {self.penalty!r}")
        if self.rule is not None and not isinstance(self.rule, Rule):
            raise HyperparameterError(f"{where}: rule must be a rule such as Adagrad(), got {self.rule!r}")
        _number(where, "alpha", self.alpha, 0)
        _number(where, "l1_ratio", self.l1_ratio, 0, 1)
        require_in_range(self.epsilon, getattr(self, "quantile", 0.5))
        _number(where, "validation_fraction", self.validation_fraction, 0, 1)
        for name, least in (("max_iter", 1), ("n_iter_no_change", 1)):
            value = getattr(self, name)
            if value is None and name == "max_iter":
                continue
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise HyperparameterError(
                    f"{where}: {name} must be a whole number of at least {least}, got {value!r}"
                )
        if self.tol is not None:
            _number(where, "tol", self.tol, -math.inf)
        average = self.average
        if not isinstance(average, bool | np.bool_ | Integral) or average < 0:
            raise HyperparameterError(
                f"{where}: average must be True, False or a number of rows, got {average!r}"
            )
        rate = self.learning_rate
        if not (rate is None or (isinstance(rate, str) and rate == "auto")):
            _number(where, "learning_rate", rate, 0)
        rule = DEFAULT if self.rule is None else self.rule
        if isinstance(rate, Real):
            rule = rule.replace(lr=float(rate))
        share = {"l1": 1.0, "elasticnet": float(self.l1_ratio)}.get(self.penalty, 0.0)
        alpha = 0.0 if self.penalty is None else float(self.alpha)
        return Settings(
            loss=loss,
            rule=rule,
            l1=alpha * share,
            l2=alpha * (1 - share),
            intercept=bool(self.fit_intercept),
            average=None if not average else 0 if average is True else int(average),
            dtype=dtype.name,
            epsilon=float(self.epsilon),
            quantile=float(getattr(self, "quantile", 0.5)),
        )

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
        settings = self._settings(X.dtype, loss)
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
        settings, chosen = race(
            settings, features, classes, X, targets, weights,
            passes=raced, rate=self._races, seed=random.randint(2**31),
        )  # fmt: skip
        passes = chosen if passes is None else passes
        model = Model(settings, features, classes)
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


def _has_probabilities(self: "LinearClassifier") -> bool:
    if self.loss not in ("log_loss", "modified_huber"):
        raise AttributeError(f"probabilities are not available for loss={self.loss!r}")
    return True


class LinearClassifier(ClassifierMixin, _Linear):  # type: ignore[misc]
    """A linear classifier, one row a step, with any rule.

    loss: "log_loss", "hinge", "squared_hinge" or "modified_huber". penalty, alpha, l1_ratio: as in
    SGDClassifier; every row shrinks w by lr · alpha (L2, decoupled: with SGD it is the penalty alpha/2 |w|^2)
    and moves it by lr · alpha towards 0 (L1, truncated), lazily and exactly, never the intercept.
    max_iter: passes over the data; None: 3, or for up to 40,000 rows as many as held-out rows ask for.
    tol: stop when the loss of a pass (the held-out loss with ``early_stopping``) has not fallen by tol for
    ``n_iter_no_change`` passes; None: only with ``early_stopping``, and with tol 0.
    rule: any rule; None: Adagrad(eps=2). Its lines are parameters too: ``rule__lr``. learning_rate: "auto" (a
    short race on a sample), a number, or None: the rule's own lr, or "auto" where no rule is given.
    multi_class: "multinomial" (log_loss alone), "ovr", or "auto": the first where it can be.
    average: True, or the number of rows after which averaging of the weights begins.

    Fitted: ``coef_`` (1 or classes, features), ``intercept_``, ``classes_``, ``n_iter_``, ``t_``, ``rule_``,
    ``n_features_in_``, ``feature_names_in_``. Weights are float32 where X is, else float64.
    """

    _losses = tuple(MARGIN)

    def __init__(
        self,
        loss: str = "log_loss",
        *,
        penalty: str | None = "l2",
        alpha: float = 0.0,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int | None = None,
        tol: float | None = None,
        shuffle: bool = True,
        epsilon: float = 0.1,
        random_state: Any = None,
        rule: Rule | None = None,
        learning_rate: str | float | None = None,
        multi_class: str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
        average: bool | int = False,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.epsilon = epsilon
        self.random_state = random_state
        self.rule = rule
        self.learning_rate = learning_rate
        self.multi_class = multi_class
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average

    def _loss(self) -> str:
        if self.multi_class not in MULTI:
            raise HyperparameterError(
                f"{type(self).__name__}: multi_class must be one of {MULTI}, got {self.multi_class!r}"
            )
        if self.multi_class == "multinomial" and self.loss != "log_loss":
            raise HyperparameterError(
                f"{type(self).__name__}: multi_class='multinomial' goes with loss='log_loss', not {self.loss!r}"
            )
        return MULTINOMIAL if self.loss == "log_loss" and self.multi_class != "ovr" else self.loss

    def _weighted(self, y: Array, weights: Array | None) -> Array | None:
        """Sample weights times class weights; None where all are 1."""
        if self.class_weight is None:
            return weights
        if isinstance(self.class_weight, Mapping):
            for label, weight in self.class_weight.items():
                _number(type(self).__name__, f"class_weight[{_label_text(label)}]", weight, 0)
        by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        made: Array = by_class[np.searchsorted(self.classes_, y)].astype(np.float64)
        return made if weights is None else made * weights

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from all rows. X (n, features) dense or sparse, y (n,), sample_weight (n,). Raises ValueError."""
        with _all_or_nothing(self):
            X, y, weights = self._checked(X, y, sample_weight, reset=True)
            check_classification_targets(y)
            loss = self._loss()
            self.classes_, places = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ProblemError(
                    f"{type(self).__name__}: y has one class ({_label_text(self.classes_[0])}); at least two are needed"
                )
            targets = places.astype(np.float64) if len(self.classes_) > 2 else 2.0 * places - 1.0
            self._learn(X, y, targets, self._weighted(y, weights), loss, self.classes_)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One pass over some rows, from where learning stands. classes: all labels, at the first call.

        Raises ValueError for labels that are not among them.
        """
        first = not hasattr(self, "model_")
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        where = type(self).__name__
        if classes is not None:
            classes = np.unique(column_or_1d(classes))
            if not first and not np.array_equal(classes, self.classes_):
                raise ProblemError(
                    f"{where}: classes={classes!r} differ from those of the first call, {self.classes_!r}"
                )
        elif first:
            raise ProblemError(
                f"{where}: the first call of partial_fit needs classes=, all labels that will come"
            )
        if isinstance(self.class_weight, str):
            raise ProblemError(
                f"{where}: class_weight='balanced' needs all rows at once: give the weights as a dict, or sample_weight"
            )
        loss = self._loss()
        random = check_random_state(self.random_state)
        if first:
            self.classes_ = classes
            settings = self._settings(X.dtype, loss)
            model = Model(settings, X.shape[1], classes)
            targets = model.encode(y)
            weights = self._weighted(y, weights)
            if self._races:
                settings, _ = race(
                    settings, X.shape[1], classes, X, targets, weights, passes=1, seed=random.randint(2**31)
                )
                model = Model(settings, X.shape[1], classes)
            self.model_ = model
        else:
            targets = self.model_.encode(y)
            weights = self._weighted(y, weights)
        self._pass(X, targets, weights, 1, random)
        return self

    @property
    def coef_(self) -> Array:
        """The weights: (1, features) for two classes, else (classes, features)."""
        return np.ascontiguousarray(self.model_.solution[0].T)

    @property
    def intercept_(self) -> Array:
        """The intercepts: (1,) for two classes, else (classes,)."""
        return self.model_.solution[1]

    def decision_function(self, X: Any) -> Array:
        """The scores: (n,) for two classes, else (n, classes)."""
        return self._scores(X)

    def predict(self, X: Any) -> Array:
        """The most likely class of each row."""
        z = self._scores(X)
        return self.model_.decide(z)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """The probability of each class: (n, classes); for log_loss and modified_huber."""
        z = self._scores(X)
        return self.model_.probabilities(z)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of ``predict_proba``."""
        with np.errstate(divide="ignore"):
            made: Array = np.log(self.predict_proba(X))
        return made


class LinearRegressor(RegressorMixin, _Linear):  # type: ignore[misc]
    """A linear model of a number, one row a step, with any rule.

    loss: "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive" (epsilon), "poisson"
    (predicts exp of the score; y of 0 or more) or "quantile" (quantile). Other parameters: as for
    ``LinearClassifier``. Fitted: ``coef_`` (features,), ``intercept_`` (1,), ``n_iter_``, ``t_``, ``rule_``.
    """

    _losses = tuple(NUMBER)

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        penalty: str | None = "l2",
        alpha: float = 0.0,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int | None = None,
        tol: float | None = None,
        shuffle: bool = True,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        random_state: Any = None,
        rule: Rule | None = None,
        learning_rate: str | float | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
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

    def _targets(self, y: Any) -> Array:
        if self.loss == "poisson" and np.min(y) < 0:
            raise ProblemError(
                f"{type(self).__name__}: loss='poisson' needs y of 0 or more, got {np.min(y)!r}"
            )
        return np.ascontiguousarray(y, dtype=np.float64)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from all rows. X (n, features) dense or sparse, y (n,), sample_weight (n,). Raises ValueError."""
        with _all_or_nothing(self):
            X, y, weights = self._checked(X, y, sample_weight, reset=True)
            targets = self._targets(y)
            self._learn(X, targets, targets, weights, self.loss, None)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One pass over some rows, from where learning stands."""
        first = not hasattr(self, "model_")
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        targets = self._targets(y)
        random = check_random_state(self.random_state)
        if first:
            settings = self._settings(X.dtype, self.loss)
            if self._races:
                settings, _ = race(
                    settings, X.shape[1], None, X, targets, weights, passes=1, seed=random.randint(2**31)
                )
            self.model_ = Model(settings, X.shape[1])
        self._pass(X, targets, weights, 1, random)
        return self

    @property
    def coef_(self) -> Array:
        """The weights (features,)."""
        return self.model_.solution[0][:, 0]

    @property
    def intercept_(self) -> Array:
        """The intercept (1,)."""
        return self.model_.solution[1]

    def predict(self, X: Any) -> Array:
        """The number predicted for each row."""
        z = self._scores(X)
        return self.model_.decide(z)


__all__ = ["LinearClassifier", "LinearRegressor"]
