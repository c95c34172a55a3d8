"""LinearClassifier: classes as targets of a linear model."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from ..core.rule import Rule
from ..core.schedule import Schedule
from ..engines.memory import Array
from ..errors import HyperparameterError, ProblemError
from ..linear import Model
from ..linear.losses import EITHER, MARGIN, MULTINOMIAL
from .arguments import number
from .base import LinearEstimator, all_or_nothing, weighed

MULTI = ("auto", "multinomial", "ovr")


def _label_text(label: object) -> str:
    """A label without NumPy's wrapping."""
    return repr(label.item() if hasattr(label, "item") else label)


def _has_probabilities(self: "LinearClassifier") -> bool:
    if self.loss not in ("log_loss", "modified_huber"):
        raise AttributeError(f"probabilities are not available for loss={self.loss!r}")
    return True


class LinearClassifier(ClassifierMixin, LinearEstimator):  # type: ignore[misc]
    """A linear classifier, one row a step, with any rule.

    loss: "log_loss", "hinge", "squared_hinge", "modified_huber", or of a number, which learns -1 and +1:
    "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive". penalty, alpha, l1_ratio: as in
    SGDClassifier: mean loss + penalty is what is minimised, the penalty by proximal steps in the rule's own metric,
    lazily and exactly, never on the intercept; FTRL sums L1 up and finds its zeros.
    max_iter: passes over the data; None: 3, or for up to 40,000 rows as many as held-out rows ask for.
    tol: stop when the loss of a pass (the held-out loss with ``early_stopping``) has not fallen by tol for
    ``n_iter_no_change`` passes; None: only with ``early_stopping``, and with tol 0.
    rule: any rule, its class or its name; None: Adagrad(eps=2). Its lines are parameters too: ``rule__lr``.
    learning_rate: "auto" (a short race on a sample), a number, a schedule, or None: the lr of a rule such as
    RMSprop(lr=0.01), and "auto" for a class, a name without arguments, or no rule.
    multi_class: "multinomial" (log_loss alone), "ovr", or "auto": the first where it can be.
    average: True, or the number of the row from which on the weights are averaged, counted from 1.
    verbose: 1 prints the loss after each pass.
    scale: "auto" learns each column less its mean and over its deviation (of sparse rows, over the root mean square of its
    entries), and a regressor's numbers likewise, so that units do not matter; alpha and tol are then of what is scaled.
    None: as they are.

    Warns (ConvergenceWarning) where ``max_iter`` ends before a stopping rule holds, where the model is worse
    than one constant score, and where sizes of columns differ by more than 1000 and ``scale`` is None; (SparseEfficiencyWarning) where features that rows lack cost most of the time.

    Fitted: ``coef_`` (1 or classes, features), ``intercept_``, ``classes_``, ``n_iter_``, ``t_``, ``rule_``,
    ``n_features_in_``, ``feature_names_in_``. Weights are float32 where X is, else float64; with ``scale`` those of the data's units are
    float64.
    """

    _losses = (*MARGIN, *EITHER)

    def __init__(
        self,
        loss: str = "log_loss",
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
        random_state: int | np.random.RandomState | None = None,
        rule: Rule | type[Rule] | str | None = None,
        learning_rate: str | float | Schedule | None = None,
        multi_class: str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Mapping[Any, float] | str | None = None,
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
        self.scale = scale

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
                number(type(self).__name__, f"class_weight[{_label_text(label)}]", weight, 0)
        if isinstance(self.class_weight, Mapping):
            by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        else:  # of the rows that there are (``weighed``), and 1 for a class that has none
            counted = y if weights is None or not weights.any() else y[weights != 0]
            there = np.isin(self.classes_, counted)
            by_class = np.ones(len(self.classes_))
            by_class[there] = compute_class_weight(self.class_weight, classes=self.classes_[there], y=counted)
        made: Array = by_class[np.searchsorted(self.classes_, y)].astype(np.float64)
        return made if weights is None else made * weights

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> Self:
        """Learn from all rows. X (n, features) dense or sparse, y (n,), sample_weight (n,). Raises ValueError.

        coef_init (1 or classes, features), intercept_init (1 or classes,): where weights and intercepts begin; None: at 0.
        """
        with all_or_nothing(self):
            X, y, weights = self._checked(X, y, sample_weight, reset=True)
            check_classification_targets(y)
            loss = self._loss()
            self.classes_, places = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ProblemError(
                    f"{type(self).__name__}: y has one class ({_label_text(self.classes_[0])}); at least two are needed"
                )
            targets = places.astype(np.float64) if len(self.classes_) > 2 else 2.0 * places - 1.0
            weights = self._weighted(y, weights)
            start = coef_init, intercept_init
            self._learn(X, y, targets, weights, loss, self.classes_, start)
        return self

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """One pass over some rows, from where learning stands. classes: all labels, at the first call.

        Raises ValueError for labels that are not among them, and at the first call with ``early_stopping``.
        """
        first = self._first_call()
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        where = type(self).__name__
        if classes is not None:
            labels: Array = np.unique(column_or_1d(classes))
            if not first and not np.array_equal(labels, self.classes_):
                raise ProblemError(
                    f"{where}: classes={labels!r} differ from those of the first call, {self.classes_!r}"
                )
        elif first:
            raise ProblemError(
                f"{where}: the first call of partial_fit needs classes=, all labels that will come"
            )
        else:
            labels = self.classes_
        if isinstance(self.class_weight, str):
            raise ProblemError(
                f"{where}: class_weight='balanced' needs all rows at once: give the weights as a dict, or sample_weight"
            )
        loss = self._loss()
        random = check_random_state(self.random_state)
        begin = None
        if first:
            self.classes_ = labels
            begin = self._settings(X.dtype, loss)
            self._warn_if_slow(begin, labels, X, 1, level=3)
        targets = (self.model_ if begin is None else Model(begin, 0, labels)).encode(y)
        X, _, targets, weights = weighed(X, y, targets, self._weighted(y, weights))
        self._learn_more(X, targets, weights, begin, self.classes_, random)
        return self

    @property
    def coef_(self) -> Array:
        """The weights: (1, features) for two classes, else (classes, features)."""
        return np.ascontiguousarray(self._solution[0].T)

    @property
    def intercept_(self) -> Array:
        """The intercepts: (1,) for two classes, else (classes,)."""
        return self._solution[1]

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
