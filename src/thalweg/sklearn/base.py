"""What classifier and regressor share: parameters, data, and learning pass by pass."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import SparseEfficiencyWarning, csr_array, issparse, vstack
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..core.rule import Rule
from ..engines.cpu.csr import Matrix
from ..engines.memory import Array, machine
from ..errors import HyperparameterError, ProblemError, ThalwegError
from ..linear import Model, Settings, against_constant, look, race, rows_of, slow_replay
from ..linear.losses import DEGREE
from ..linear.race import PASSES, Part
from .arguments import chosen_rule, settings, start_rule
from .units import Units, columns_apart

MOST = 1000  # passes where max_iter is None and a stopping rule is on
ENOUGH = 1024  # rows of ``partial_fit`` after which a learning rate that was open stays
LARGE = 1 << 24  # columns up to which memory is not asked about
COMPARED = 4096  # rows, at most, on which a model is compared with a constant


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


def weighed(
    X: Matrix, y: Array, targets: Array, weights: Array | None
) -> tuple[Matrix, Array, Array, Array | None]:
    """Return the rows whose weight is not 0, so that one of weight 0 is no row: no step, draw, average or count has it.

    Where all weights are 0 the rows stay: nothing is learnt from them.
    """
    if weights is None or weights.all() or not weights.any():
        return X, y, targets, weights
    kept = np.flatnonzero(weights)
    return X[kept], y[kept], targets[kept], weights[kept]


class Early(NamedTuple):
    """The first rows that ``partial_fit`` was given, how many they are, and of how many the rate was last chosen."""

    parts: list[Part]
    total: int
    raced: int

    def with_part(self, X: Matrix, targets: Array, weights: Array | None) -> "Early":
        """Return the rows with copies of more."""
        part: Part = deepcopy(X), targets.copy(), np.ones(len(targets)) if weights is None else weights.copy()
        return self._replace(parts=[*self.parts, part], total=self.total + len(targets))

    def stacked(self) -> Part:
        """Return all rows, targets and weights (None where all are 1)."""
        rows, targets, weights = zip(*self.parts, strict=True)
        if any(map(issparse, rows)):
            X = vstack([csr_array(x) for x in rows], format="csr")
        else:
            X = np.concatenate(rows)
        whole = np.concatenate(weights)
        return X, np.concatenate(targets), None if (whole == 1).all() else whole


class LinearEstimator(BaseEstimator):  # type: ignore[misc]
    """What classifier and regressor share."""

    _losses: tuple[str, ...]
    _early: Early | None
    _units: Units | None = None  # what the rows that were learnt are scaled by
    loss: str
    rule: Any
    scale: str | None

    # A rule is a frozen value: its lines are parameters of the estimator all the same.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; ``deep``: the rule's lines too, as ``rule__lr`` and so on."""
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            with suppress(ThalwegError):  # ``fit`` refuses what is no rule
                params |= {f"rule__{n}": v for n, v in self._own_rule().values.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; ``rule__lr`` and so on replace the rule by one with that line changed."""
        lines = {n.removeprefix("rule__"): v for n, v in params.items() if n.startswith("rule__")}
        super().set_params(**{n: v for n, v in params.items() if not n.startswith("rule__")})
        if lines:
            self.rule = self._own_rule().replace(**lines)
        return self

    def _own_rule(self) -> Rule:
        """The rule before ``learning_rate`` has a say. Raises HyperparameterError where ``rule`` is none."""
        return start_rule(self)[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # Arguments.

    def _settings(self, dtype: np.dtype[Any], loss: str) -> Settings:
        return settings(self, self._losses, dtype, loss)

    @property
    def _races(self) -> bool:
        return chosen_rule(self)[1]

    # Data.

    def _inputs(self, X: Any, reset: bool = False) -> Any:
        made = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=reset)
        return self._rows(made)

    def _rows(self, X: Any) -> Any:
        """X as the kernels take it: CSR columns sorted and distinct, in a copy where the user's are not."""
        if not issparse(X):
            return X
        if X.shape[1] > LARGE and X.shape[1] * X.dtype.itemsize > machine() // 6:  # a weight and a state
            raise ProblemError(
                f"{type(self).__name__}: X has {X.shape[1]} columns, whose weights take more than a third of this machine's memory; keep those that occur, or hash them (sklearn.feature_extraction.FeatureHasher)"
            )
        what, row = look(rows_of(X))
        if what == 1:
            raise ProblemError(f"{type(self).__name__}: X[{row}] has a column outside 0..{X.shape[1] - 1}")
        if what == 2:
            X = csr_array(X, copy=True)
            X.sum_duplicates()
            X.sort_indices()
        return X

    def _checked(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, reset: bool
    ) -> tuple[Any, Array, Array | None]:
        rows, targets = validate_data(
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
            weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
        return self._rows(rows), targets, weights

    # Units.

    def _measured(self, X: Matrix, targets: Array, loss: str, classes: Array | None) -> Units | None:
        """What rows and targets are scaled by; None where they are learnt as they are."""
        if self.scale is None:
            return None
        return Units.of(X, targets if classes is None and loss in DEGREE else None, bool(self.fit_intercept))

    def _warn_if_apart(self, X: Matrix, level: int) -> None:
        """Warn where nothing is scaled and columns' sizes are far apart."""
        if self.scale is None and (apart := columns_apart(X, getattr(self, "feature_names_in_", None))):
            warnings.warn(f"{type(self).__name__}: {apart}", ConvergenceWarning, stacklevel=level)

    # Learning.

    def _learn(
        self,
        X: Matrix,
        y: Array,
        targets: Array,
        weights: Array | None,
        loss: str,
        classes: Array | None,
        start: tuple[ArrayLike | None, ArrayLike | None],
    ) -> None:
        """Train a new model on all rows; start: the coefficients and intercepts given to begin at, or None."""
        random = check_random_state(self.random_state)
        X, y, targets, weights = weighed(X, y, targets, weights)
        chosen = self._settings(X.dtype, loss)
        features = X.shape[1]
        stops = self.early_stopping or self.tol is not None
        passes = int(self.max_iter) if self.max_iter is not None else MOST if stops else None
        held_out = None
        if self.early_stopping:
            train, test = self._split(X.shape[0], None if classes is None else y, random)
            held_out = X[test], targets[test], None if weights is None else weights[test]
            X, targets = X[train], targets[train]
            weights = None if weights is None else weights[train]
        self._warn_if_slow(chosen, classes, X, passes or PASSES, level=4)
        self._warn_if_apart(X, level=4)
        units = self._measured(X, targets, chosen.loss, classes)
        if units is not None:
            chosen = chosen._replace(centre=units.centre, size=units.size)
            X, targets = units.learnt(X, targets)
            if held_out is not None:
                held_out = *units.learnt(*held_out[:2]), held_out[2]
        raced = 3 if stops and passes is not None else passes
        chosen, fitting = race(
            chosen, features, classes, X, targets, weights,
            passes=raced, rate=self._races, seed=random.randint(2**31),
        )  # fmt: skip
        passes = fitting if passes is None else passes
        model = Model(chosen, features, classes)
        begin = self._start_of(model, *start)
        if begin is not None:
            model.start(*(begin if units is None else units.start(*begin)))
        self.model_, self._units, self._early = model, units, None
        settled = self._pass(X, targets, weights, passes, random, held_out)
        if stops and not settled:
            warnings.warn(
                f"{type(self).__name__}: {passes} passes ended before the loss had settled: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=3,
            )
        self._warn_if_worse_than_constant(X, targets, weights)

    def _first_call(self) -> bool:
        """Whether nothing was learnt yet. Raises HyperparameterError where ``partial_fit`` would ignore what is asked for."""
        first = not hasattr(self, "model_")
        if first and self.early_stopping:
            raise HyperparameterError(
                f"{type(self).__name__}: partial_fit makes one pass and holds no rows out: set early_stopping=False, or use fit"
            )
        return first

    def _learn_more(
        self,
        X: Matrix,
        targets: Array,
        weights: Array | None,
        begin: Settings | None,
        classes: Array | None,
        random: np.random.RandomState,
    ) -> None:
        """Make one pass over more rows; begin: the settings to start a model with at the first call, else None.

        A learning rate that is open is chosen again each time that twice as many rows have come, up to ``ENOUGH``,
        and all rows so far are learnt anew: a few rows say nothing of it. Nor do they of columns' sizes (``scale``).
        """
        if self._units is not None:
            self._units.require(X)
        if begin is not None:
            self._warn_if_apart(X, level=4)
            self.model_ = Model(begin, X.shape[1], classes)
            self._early = Early([], 0, 0) if self._races or self.scale is not None else None
        if self._early is not None:
            early = self._early.with_part(X, targets, weights)
            if early.total >= 2 * early.raced:
                X, targets, weights = early.stacked()
                before = self.model_.settings
                units = self._measured(X, targets, before.loss, classes)
                learnt = X, targets
                if units is not None:
                    before = before._replace(centre=units.centre, size=units.size)
                    learnt = units.learnt(X, targets)
                settings, _ = race(
                    before, X.shape[1], classes, *learnt, weights,
                    passes=1, rate=self._races, seed=random.randint(2**31),
                )  # fmt: skip
                self.model_, self._units = Model(settings, X.shape[1], classes), units
                early = early._replace(raced=early.total)
            self._early = early if early.total < ENOUGH else None
        if self._units is not None:
            self._units = self._units.noting(X)
            X, targets = self._units.learnt(X, targets)
        self._pass(X, targets, weights, 1, random)

    def _split(self, rows: int, y: Array | None, random: np.random.RandomState) -> tuple[Array, Array]:
        """The rows to learn from, in their order unless they are shuffled anyway, and those held out.

        y: classes, whose shares are alike in both, or None. Raises ProblemError.
        """
        try:
            train, test = train_test_split(
                np.arange(rows),
                test_size=self.validation_fraction,
                random_state=random.randint(2**31),
                stratify=y,
            )
        except ValueError as error:
            raise ProblemError(
                f"{type(self).__name__}: early_stopping cannot hold out rows: {error}"
            ) from None
        return train if self.shuffle else np.sort(train), test

    def _start_of(
        self, model: Model, coef: ArrayLike | None, intercept: ArrayLike | None
    ) -> tuple[Array, Array] | None:
        """The weights (features, outputs) and intercepts (outputs,) to begin at; None: 0.

        Those given, and where one is not, the last fit's with ``warm_start``. Raises ProblemError for other shapes.
        """
        before = getattr(self, "model_", None) if self.warm_start else None
        if before is None and coef is None and intercept is None:
            return None
        outputs, features = model.outputs, model.features
        whole = coef is not None and intercept is not None
        if before is not None and not whole and (before.features, before.outputs) != (features, outputs):
            raise ProblemError(
                f"{type(self).__name__}: warm_start: the last fit had {before.features} features and {before.outputs} scores, these rows {features} and {outputs}: set warm_start=False"
            )
        weights, intercepts = (
            (np.zeros((features, outputs)), np.zeros(outputs)) if before is None else self._solution
        )
        if coef is not None:
            weights = self._shaped("coef_init", coef, (outputs, features)).T
        if intercept is not None:
            intercepts = self._shaped("intercept_init", intercept, (outputs,))
        return weights, intercepts

    def _shaped(self, name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
        """An array of numbers of that shape; one score may leave its axis of length 1 out. Raises ProblemError."""
        array = np.asarray(value, dtype=np.float64)
        if array.shape != shape and not (shape[0] == 1 and array.shape == shape[1:]):
            raise ProblemError(
                f"{type(self).__name__}: {name} has shape {array.shape}, these rows need {shape}"
            )
        if not np.isfinite(array).all():
            raise ProblemError(f"{type(self).__name__}: {name} has a value that is not finite")
        return array.reshape(shape)

    def _pass(
        self,
        X: Matrix,
        targets: Array,
        weights: Array | None,
        passes: int,
        random: np.random.RandomState,
        held_out: Part | None = None,
    ) -> bool:
        """Learn, pass by pass, until ``passes`` are done or a stopping rule holds; True where one held."""
        best, calm, tol = math.inf, 0, self.tol
        watched = held_out is not None or tol is not None
        settled = False
        rows = rows_of(X)  # looked at by _rows
        for n in range(1, passes + 1):
            order = random.permutation(X.shape[0]) if self.shuffle else None
            loss, weight = self.model_.learn(rows, targets, weights, order)
            self.n_iter_ = n
            value = loss / weight if weight else 0.0
            if held_out is not None:
                value = self.model_.loss_of(*held_out)
            if self.verbose:
                print(f"pass {n}: {self.loss} {value:.6g}, {self.model_.t} steps")
            if watched:
                value /= self.model_.loss_unit
                calm = calm + 1 if value > best - (tol or 0.0) else 0
                best = min(best, value)
                if settled := calm >= self.n_iter_no_change:
                    break
        w, b = self.model_.solution
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise ProblemError(
                f"{type(self).__name__}: the weights are not finite any more: lower the learning rate, or scale X"
            )
        return settled

    def _warn_if_slow(
        self, chosen: Settings, classes: Array | None, X: Matrix, passes: int, level: int
    ) -> None:
        """Warn where features that rows lack cost most of the time."""
        if slow := slow_replay(chosen, classes, rows_of(X), passes):
            warnings.warn(f"{type(self).__name__}: {slow}", SparseEfficiencyWarning, stacklevel=level)

    def _warn_if_worse_than_constant(self, X: Matrix, targets: Array, weights: Array | None) -> None:
        """Warn where the model does worse on rows that it learnt from than one score for all of them would."""
        rows = np.arange(X.shape[0]) if weights is None else np.flatnonzero(weights)
        if not len(rows):
            return
        if len(rows) > COMPARED:
            some = rows[np.linspace(0, len(rows) - 1, COMPARED).astype(np.int64)]
            X, targets = X[some], targets[some]
            weights = None if weights is None else weights[some]
        model = self.model_
        loss = model.loss_of(X, targets, weights)
        against = against_constant(loss, model.loss, model.outputs, targets, weights, model.loss_unit)
        if not against.worse:
            return
        searched = self._races or "lr" not in self.rule_.hyperparameters
        remedy = "give learning_rate='auto'"
        if searched:
            remedy = "raise max_iter" if self._units is not None else "scale X, or raise max_iter"
        if not self.fit_intercept:
            remedy += ", or fit_intercept=True"
        warnings.warn(
            f"{type(self).__name__}: the {self.loss} of {model.settings.rule!r} is {against} on the rows learnt from: {remedy}",
            ConvergenceWarning,
            stacklevel=4,
        )

    def _scores(self, X: Any) -> Array:
        check_is_fitted(self)
        X = self._inputs(X)
        return self.model_.scores(X) if self._units is None else self._units.scores(self.model_, X)

    @property
    def _solution(self) -> tuple[Array, Array]:
        """The weights (features, outputs) and intercepts (outputs,) in the data's units."""
        return self.model_.solution if self._units is None else self._units.solution(self.model_)

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
