"""Linear models: what is learnt, from blocks of rows, with any rule.

A row is a step. The objective is the mean of weight · loss(x · w + b, y), with penalties on w alone:

    l1 |w| + l2/2 |w|^2

After each step of the rule its proximal step is taken in the rule's own metric, each coordinate's by the gain r that
the rule has on a gradient there: w goes to (w - r l1, no further than 0) / (1 + r l2) (Duchi, Hazan & Singer, JMLR 12
(2011), section 5), so that the minimiser is where steps rest. Without a gradient r stays what it was. FTRL sums
penalties up instead (``Rule.penalised``), which finds the zeros of L1.

All is applied lazily, and exactly: as if every weight had been stepped at every row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logsumexp, softmax

from ..archive import MISFITS
from ..core.gain import lacks_gain
from ..core.rule import Rule
from ..core.saved_rule import described, rebuilt
from ..engines.cpu.csr import Matrix, Rows, fault, rows_of
from ..engines.cpu.linear import Pass
from ..engines.memory import Array
from ..engines.ops import vectorised
from ..errors import FileError, HyperparameterError, ProblemError, nearest
from ..rules.adagrad import Adagrad
from . import losses
from .losses import EITHER, MULTINOMIAL, Loss

FORMAT = 1
LAST = 1 << 62  # no run has as many steps; a step is a word of 64 bits
DEFAULT = Adagrad(
    lr=0.1, eps=2.0
)  # eps: the first steps of a weight are those of its data, not of their sign
DTYPES = ("float32", "float64")
MANY, OFTEN = (
    1e9,
    10.0,
)  # steps replayed: seconds of them, and so many times those of entries, are worth a word


class Settings(NamedTuple):
    """What a linear model is made from.

    loss: a name in ``losses``; ``multinomial`` and the margin losses classify, and those of ``EITHER`` where
    there are classes. l1, l2: weights of the penalties. average: the weights are the mean of those after each step beyond so many (None: the last).
    dtype: of weights and states. epsilon, quantile: of the losses that have them. centre, size: a number y is learnt
    as (y - centre) / size; labels, predictions, losses and epsilon are in the units of y all the same.
    """

    loss: str = "log_loss"
    rule: Rule = DEFAULT
    l1: float = 0.0
    l2: float = 0.0
    intercept: bool = True
    average: int | None = None
    dtype: str = "float32"
    epsilon: float = losses.EPSILON
    quantile: float = 0.5
    centre: float = 0.0
    size: float = 1.0


def outputs_of(classes: Array | None) -> int:
    """How many scores a row gets: one for a number or for two classes, else one for each class."""
    return 1 if classes is None or len(classes) == 2 else len(classes)


def _require_sorted(classes: Array) -> None:
    """Raise ProblemError unless they are at least two different labels in order: rows' labels are looked up in them."""
    if classes.ndim != 1 or len(classes) < 2:
        raise ProblemError(f"classes: at least two are needed, got {classes.size}")
    if not np.array_equal(np.unique(classes), classes):
        raise ProblemError("classes: must be different, in ascending order; np.unique(labels) gives them so")


class Model:
    """A linear model of ``features`` features that learns block by block.

    classes: the labels, sorted, where the loss classifies; two take one score, more take one each (one
    against the rest, but for ``multinomial``). Raises HyperparameterError for settings, ProblemError for data.
    """

    def __init__(self, settings: Settings, features: int, classes: Array | None = None) -> None:
        self.settings, self.features = settings, int(features)
        centre, size = settings.centre, settings.size
        if not (math.isfinite(centre) and 0 < size < math.inf):
            raise HyperparameterError(
                f"centre, size: must be finite, and size above 0; got {centre!r}, {size!r}"
            )
        self.loss: Loss = losses.loss(settings.loss, epsilon=settings.epsilon, quantile=settings.quantile)
        if (centre, size) != (0.0, 1.0):
            if classes is not None or settings.loss not in losses.DEGREE:
                raise HyperparameterError(f"centre, size: the loss {settings.loss!r} has no units")
            self.loss = losses.loss(
                settings.loss, epsilon=settings.epsilon / size, quantile=settings.quantile
            )
        with np.errstate(over="ignore", under="ignore"):
            self.loss_unit = float(np.float64(size) ** losses.DEGREE.get(settings.loss, 0))
        if self.loss.margin and classes is None:
            raise HyperparameterError(f"loss: {settings.loss!r} needs classes")
        if not (self.loss.margin or classes is None or settings.loss in EITHER):
            raise HyperparameterError(f"loss: {settings.loss!r} has no classes")
        self.classes = None if classes is None else np.asarray(classes)
        if self.classes is not None:
            _require_sorted(self.classes)
        outputs = outputs_of(self.classes)
        if settings.dtype not in DTYPES:
            raise HyperparameterError(f"dtype: {nearest(settings.dtype, DTYPES)}")
        rule, l1, l2 = settings.rule, settings.l1, settings.l2
        if not isinstance(rule, Rule):
            raise HyperparameterError(f"rule: must be a rule such as Adagrad(), got {type(rule).__name__}")
        for n, value in (("l1", l1), ("l2", l2)):
            if not 0 <= value < math.inf:
                raise HyperparameterError(f"{n}: must be a finite number, 0 or more; got {value!r}")
        lr = rule.hyperparameters.get("lr")
        if (l1 or l2) and lr is None:
            raise HyperparameterError(f"l1, l2: {type(rule).__name__} has no lr to scale them by")
        if (l1 or l2) and lacks_gain(rule.parts):
            raise HyperparameterError(
                f"l1, l2: {type(rule).__name__} has no gain, by which penalties are weighed against the loss: set them to 0, or use another rule"
            )
        formula = self.loss.formula
        if formula is None and outputs == 1:  # of two classes the multinomial loss is the logistic one
            formula = losses.log_loss
        self._pass = Pass(
            rule,
            formula,
            self.loss.values,
            self.features,
            outputs,
            l1=float(l1),
            l2=float(l2),
            intercept=settings.intercept,
            average=settings.average,
            dtype=settings.dtype,
        )
        self.progress = (0.0, 0.0)
        self._solution: tuple[Array, Array] | None = None

    @property
    def t(self) -> int:
        """Steps done so far: rows learnt from."""
        return self._pass.t

    @property
    def outputs(self) -> int:
        """Scores of a row."""
        return self._pass.outputs

    @property
    def bytes_per_feature(self) -> int:
        """Memory of a feature: its weights and states, and what stands beside them."""
        return self._pass.arrays["w"].strides[0]

    @property
    def plan(self) -> str:
        """How features that a row lacks catch up, in words."""
        return self._pass.plan.why

    @property
    def in_any_pieces(self) -> bool:
        """Whether rows that are learnt by several calls give the same bits as by one: where no weight has to catch up."""
        return self._pass.always_up_to_date

    @property
    def running_loss(self) -> float:
        """The mean loss since the start, each row's before it was learnt from; NaN before the first."""
        total, weight = self.progress
        return total / weight if weight else math.nan

    def encode(self, y: ArrayLike) -> Array:
        """Labels or numbers as targets for ``learn``: float64 (n,). Raises ProblemError for an unknown label."""
        if self.classes is None:
            targets = np.ascontiguousarray(y, dtype=np.float64)
            centre, size = self.settings.centre, self.settings.size
            return targets if (centre, size) == (0.0, 1.0) else (targets - centre) / size
        y = np.asarray(y)
        place = np.minimum(np.searchsorted(self.classes, y), len(self.classes) - 1)
        wrong = self.classes[place] != y
        if np.any(wrong):
            row = int(np.argmax(wrong))
            raise ProblemError(
                f"y[{row}]: label {y[row].item()!r} is not one of the classes {self.classes.tolist()!r}"
            )
        made: Array = place.astype(np.float64) if self.outputs > 1 else 2.0 * place - 1.0
        return made

    def learn(
        self, rows: Matrix | Rows, targets: Array, weights: Array | None = None, order: Array | None = None
    ) -> tuple[float, float]:
        """A step for each row, in ``order`` (int64 row numbers; None: as they stand).

        rows: CSR (float32 or float64, int32 or int64 indices, distinct within a row and below ``features``) or a
        dense (n, features) array, all finite; of ``Rows`` the caller has checked that (``look``), other CSR rows are
        looked at. targets: of ``encode``. weights: float64 (n,), or None; a row of weight 0 makes no step. Returns the sums of weight · loss, each
        row's before its step, and of weights. Raises ProblemError for what is not so, with nothing learnt, and where
        the weights are not finite any more.
        """
        known = isinstance(rows, Rows)
        try:
            rows = rows_of(rows)
            targets = np.ascontiguousarray(targets, dtype=np.float64)
            weights = None if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
            order = np.ascontiguousarray(np.arange(rows.shape[0]) if order is None else order, dtype=np.int64)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise ProblemError(
                f"rows, targets, weights, order: must be arrays of numbers ({error})"
            ) from None
        if rows.shape[1] != self.features:
            raise ProblemError(f"rows: {rows.shape[1]} features, the model has {self.features}")
        n = rows.shape[0]
        if not known and (wrong := fault(rows)):
            raise ProblemError(f"rows: {wrong}")
        for what, given in (("targets", targets), ("weights", weights)):
            if given is not None and given.shape != (n,):
                raise ProblemError(f"{what}: shape {given.shape}, expected ({n},), one for each row")
        if self.outputs > 1 and n and not (targets.min() >= 0 and targets.max() < self.outputs):
            raise ProblemError(
                f"targets: must be numbers of classes in 0..{self.outputs - 1}; encode gives them"
            )
        if order.ndim != 1:
            raise ProblemError(f"order: shape {order.shape}, expected row numbers")
        if order.size and not (order.min() >= 0 and order.max() < n):
            raise ProblemError(f"order: holds a row outside 0..{n - 1}")
        if weights is not None:
            order = order[weights[order] != 0]
        self._solution = None
        loss, weight = self._pass.learn(rows, targets, weights, order)
        diverged = not math.isfinite(loss)
        loss *= self.loss_unit
        self.progress = self.progress[0] + loss, self.progress[1] + weight
        if diverged:
            raise ProblemError(
                f"{self.settings.loss}: the loss is not finite any more after {self.t} rows: lower lr, or scale the features"
            )
        return loss, weight

    @property
    def solution(self) -> tuple[Array, Array]:
        """The weights (features, outputs), C-contiguous, and the intercepts (outputs,), brought up to date."""
        if self._solution is None:
            self._pass.catch_up()
            arrays = self._pass.arrays
            whole = arrays["w"].copy()
            start = self._pass.average
            if start is not None and self.t > start:
                whole = (arrays["_total"] / (self.t - start)).astype(whole.dtype)
            self._solution = whole[:-1], whole[-1]
        return self._solution

    def start(self, weights: Array, intercepts: Array) -> None:
        """Begin at given weights (features, outputs) and intercepts (outputs,), before the first row.

        Raises ProblemError where one has another shape.
        """
        for what, given, shape in (
            ("weights", weights, (self.features, self.outputs)),
            ("intercepts", intercepts, (self.outputs,)),
        ):
            if np.shape(given) != shape:
                raise ProblemError(f"{what}: shape {np.shape(given)}, the model needs {shape}")
        self._pass.begin(weights, intercepts)
        self._solution = None

    def scores(self, x: Matrix) -> Array:
        """x · w + b: (n,), or (n, outputs) where there are several."""
        w, b = self.solution
        z = np.asarray(x @ w) + b
        return z[:, 0] if self.outputs == 1 else z

    def predict(self, x: Matrix) -> Array:
        """The most likely class, or the predicted number, of each row: (n,)."""
        return self.decide(self.scores(x))

    def loss_of(self, x: Matrix, targets: Array, weights: Array | None = None) -> float:
        """The weighted mean of the loss over rows, targets as for ``learn``. Raises ProblemError for weights all 0."""
        if weights is not None and not np.any(weights):
            raise ProblemError("weights: all are 0, so that there is nothing to take a mean of")
        z = np.atleast_2d(self.scores(x).astype(np.float64).T).T
        if self.loss.formula is None and self.outputs > 1:
            values = logsumexp(z, axis=1) - z[np.arange(len(z)), targets.astype(int)]
        else:
            y = targets[:, None]
            if self.outputs > 1:
                y = np.where(y == np.arange(self.outputs), 1.0, -1.0)
            formula = losses.formula(self.loss.formula or losses.log_loss)
            values = vectorised(formula)(z, y, *self.loss.values)[0].sum(axis=1)
        return float(np.average(values, weights=weights)) * self.loss_unit

    def decide(self, z: Array) -> Array:
        """Scores to classes or numbers."""
        made: Array = np.exp(z) if self.loss.name == "poisson" else z
        centre, size = self.settings.centre, self.settings.size
        if (centre, size) != (0.0, 1.0):
            made = centre + size * z.astype(np.float64)
        if self.classes is not None:
            made = self.classes[(z > 0).astype(int) if self.outputs == 1 else z.argmax(axis=1)]
        return made

    def probabilities(self, z: Array) -> Array:
        """Scores to probabilities (n, classes), for log_loss, multinomial and modified_huber."""
        if self.loss.name not in ("log_loss", MULTINOMIAL, "modified_huber"):
            raise HyperparameterError(f"loss: {self.loss.name!r} has no probabilities")
        z = z.astype(np.float64)
        if self.outputs > 1 and self.loss.name == MULTINOMIAL:
            shares: Array = softmax(z, axis=1)
            return shares
        p = (np.clip(z, -1, 1) + 1) / 2 if self.loss.name == "modified_huber" else expit(z)
        if self.outputs == 1:
            return np.stack([1 - p, p], axis=1)
        total = p.sum(axis=1, keepdims=True)
        return np.where(total > 0, p / np.where(total > 0, total, 1), 1 / self.outputs)

    def catch_up(self) -> None:
        """Bring every weight up to date, so that what is saved now and goes on is what goes on without."""
        self._pass.catch_up()

    def resized(self, features: int) -> Self:
        """The model over more or fewer features, brought up to date; new ones begin as at the start."""
        made = type(self)(self.settings, features, self.classes)
        mine, arrays, kept = self.arrays(), made.arrays(), min(features, self.features)
        for n, target in arrays.items():
            if n != "classes":
                target[:kept], target[-1] = mine[n][:kept], mine[n][-1]
        made._pass.resume(arrays, self.t)
        made.progress = self.progress
        return made

    # State, without pickle (and what pickle and copy go by).

    def __reduce__(self) -> tuple[Any, ...]:
        return Model.restore, (self.head(), self.arrays(), self.settings.rule)

    def head(self) -> dict[str, Any]:
        """All but the arrays, as JSON can hold it; labels are numbers or strings."""
        settings = self.settings._asdict() | {"rule": described(self.settings.rule)}
        return {
            "format": FORMAT,
            "settings": settings,
            "features": self.features,
            "t": self.t,
            "progress": list(self.progress),
        }

    def arrays(self) -> dict[str, Array]:
        """Copies of weights and states by name, all brought up to date first, and ``classes`` where there are."""
        self._pass.catch_up()
        made = {n: a.copy() for n, a in self._pass.arrays.items()}
        return made if self.classes is None else made | {"classes": self.classes}

    @classmethod
    def restore(
        cls, head: Mapping[str, Any], arrays: Mapping[str, Array], rule: Rule | type[Rule] | None = None
    ) -> Self:
        """A model that goes on where ``head`` and ``arrays`` were taken, bit for bit.

        rule: for a rule that is not thalweg's own, its class. Raises FileError where they do not fit.
        """
        try:
            if type(head["format"]) is not int or head["format"] < 1:
                raise ValueError(f"format {head['format']!r}")
            if head["format"] > FORMAT:
                raise FileError(f"model: format {head['format']} is newer than this thalweg reads ({FORMAT})")
            settings = Settings(**{**head["settings"], "rule": rebuilt(head["settings"]["rule"], rule)})
            features, t, classes = head["features"], head["t"], arrays.get("classes")
            # Before memory of that size is taken: what a head says may be anything.
            shape = (features + 1, outputs_of(classes))
            if type(features) is not int or features < 0 or arrays["w"].shape != shape:
                raise ValueError(f"w is {arrays['w'].shape}, for {features} features")
            if type(t) is not int or not 0 <= t < LAST:
                raise ValueError(f"step {t}")
            model = cls(settings, features, classes)
            if "_gain" in model._pass.arrays and "_gain" not in arrays:
                # Files of 0.1.0, whose penalties had none: it comes with the next gradients.
                arrays = {**arrays, "_gain": np.zeros_like(arrays["w"])}
            if arrays.keys() - {"classes"} != model._pass.arrays.keys():
                raise ValueError(f"arrays {', '.join(arrays)}")
            model._pass.resume(arrays, t)
            loss, weight = map(float, head["progress"])
        except FileError:
            raise
        except MISFITS as error:
            raise FileError(f"model: its parts do not fit together ({error})") from None
        model.progress = loss, weight
        return model


def slow_replay(settings: Settings, classes: Array | None, rows: Rows, passes: int = 1) -> str | None:
    """Return a sentence where catching up may replay so many steps of absent features that it takes most of the time.

    None where features catch up in closed form or by a bounded number of steps, and where rows are dense.
    """
    times = float(passes * outputs_of(classes))
    if rows.indices is None or rows.shape[0] * rows.shape[1] * times <= MANY:
        return None
    narrow = Model(settings, 1, classes)
    if narrow._pass.plan.kind != "replay":
        return None
    present = np.zeros(rows.shape[1], bool)
    present[rows.indices] = True
    stepped = len(rows.indices) * times
    replayed = np.count_nonzero(present) * rows.shape[0] * times - stepped
    if replayed <= max(MANY, OFTEN * stepped):
        return None
    return f"up to {replayed:.2g} steps of features that rows lack are computed beside {stepped:.2g} of those they have ({narrow.plan}): a rule with a closed form, or fewer features, is faster"


__all__ = ["DEFAULT", "Model", "Rows", "Settings", "slow_replay"]
