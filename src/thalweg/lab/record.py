"""A run with everything that happened in it: weights, gradient, every state, update, effective rate.

The rule's own formula is stepped on NumPy arrays, so nothing here is a second version of a method.
The effective rate a is the one that ``rate`` returned in the step: every update is -a times the gradient
or the method's average of it. ``eps_share`` is the part of a's denominator that is epsilon,

    1 - a / a(eps = 0)        (eps / (sqrt(v) + eps) where eps stands outside the root)

near 1 a coordinate moves as under plain gradient descent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import files
from ..core import clock as scalars
from ..core import update as compose
from ..core.rule import Rule
from ..core.step_options import StepOptions
from ..engines.memory import recorded
from ..engines.ops import applied
from ..errors import ProblemError
from ..problems import Problem
from ..problems import problem as named
from ..problems.base import Grads, Params, Rows, pack, unpack
from .methods import method
from .trial import follow

Array = np.ndarray[Any, Any]

FORMS = files.Forms("a record", (".parquet", ".csv"))
TINY = 1e-300  # below that a gradient has no ratio


@dataclass(frozen=True)
class Record:
    """R recorded steps of d coordinates; row 0 is the start, where what needs a step is NaN.

    ``steps`` (R,) int64, ``loss`` (R,); ``weights``, ``gradient`` (at the weights before the step),
    ``update`` (weights after minus before), ``rate`` (w/g), ``eps_share`` (R, d) float64, and ``states``
    (R, d) by name. ``died``: the loss stopped being finite at the last recorded step.
    """

    rule: Rule
    steps: Array
    loss: Array
    weights: Array
    gradient: Array
    update: Array
    rate: Array
    eps_share: Array
    states: Mapping[str, Array]
    died: bool

    @property
    def ratio(self) -> Array:
        """The realised rate -update / gradient, NaN where the gradient vanishes: (R, d)."""
        with np.errstate(all="ignore"):
            return np.where(np.abs(self.gradient) > TINY, -self.update / self.gradient, np.nan)

    @property
    def relative_update(self) -> Array:
        """|update| / |weights before|, NaN where the weight was 0: (R, d)."""
        before = np.abs(self.weights - self.update)
        with np.errstate(all="ignore"):
            return np.where(before > TINY, np.abs(self.update) / before, np.nan)

    def summary(self) -> dict[str, Array]:
        """One row a step: loss, norms, update to weight, the share of coordinates where eps dominates."""
        with np.errstate(all="ignore"):
            size = np.linalg.norm(self.weights - self.update, axis=1)
            moved = np.linalg.norm(self.update, axis=1)
            dominated = np.where(np.isnan(self.rate[:, 0]), np.nan, np.mean(self.eps_share > 0.5, axis=1))
            return {
                "step": self.steps,
                "loss": self.loss,
                "gradient_norm": np.linalg.norm(self.gradient, axis=1),
                "update_norm": moved,
                "update_to_weight": np.where(size > TINY, moved / size, np.nan),
                "eps_dominates": dominated,
            }

    def columns(self) -> dict[str, Array]:
        """One row a step and coordinate: plain columns of equal length, ready for a data frame."""
        count, d = self.weights.shape
        table = {
            "step": np.repeat(self.steps, d),
            "coordinate": np.tile(np.arange(d), count),
            "loss": np.repeat(self.loss, d),
        }
        wide = {
            "weight": self.weights,
            "gradient": self.gradient,
            **{f"state_{n}": v for n, v in self.states.items()},
            "update": self.update,
            "rate": self.rate,
            "ratio": self.ratio,
            "eps_share": self.eps_share,
            "relative_update": self.relative_update,
        }
        return table | {n: v.reshape(-1) for n, v in wide.items()}

    def save(self, path: str | Path) -> Path:
        """Write ``columns()`` as .parquet or .csv; FileError where that cannot be done."""
        return write({"method": np.repeat(repr(self.rule), self.weights.size), **self.columns()}, path)


def write(columns: Mapping[str, Array], path: str | PathLike[str]) -> Path:
    """Columns of equal length into a .parquet or .csv file, whole or not at all; FileError."""
    path, form = FORMS.of(path)
    import pyarrow
    from pyarrow import csv, parquet

    table = pyarrow.table(dict(columns))

    def fill(target: IO[bytes]) -> None:
        if form == ".csv":
            csv.write_csv(table, target)
        else:
            parquet.write_table(table, target)

    files.write(path, fill)
    return path


def record(
    rule: Rule | str,
    problem: Problem | str,
    steps: int,
    *,
    start: ArrayLike | Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
    batch: int | None = None,
    every: int = 1,
    maximum: int = 20_000_000,
) -> Record:
    """Run ``rule`` on ``problem`` in float64 and keep everything, every ``every`` steps and at the start.

    rule, problem: as they are, or by name ("RMSprop:keras", "beale"). start: parameters in the problem's structure (left as they are), else those of ``seed``. batch: rows
    a step, 0 for all, None for the problem's own. A run whose loss is no longer finite ends there.
    Raises ProblemError where more than ``maximum`` numbers would be kept, or for a start of another shape.
    """
    rule = rule if isinstance(rule, Rule) else method(rule).rule
    problem = problem if isinstance(problem, Problem) else named(problem)
    like = problem.start(seed)
    w = _start(problem.name, like if start is None else start, pack(like).size)
    if not all(isinstance(n, Integral) for n in (steps, every)) or steps < 0 or every < 1:
        raise ProblemError(f"record: whole steps >= 0 and every >= 1 are needed, got {steps!r} and {every!r}")
    if (steps // every + 1) * w.size * (5 + len(rule.parts.states)) > maximum:
        raise ProblemError(
            f"record: {steps // every + 1} records of {w.size} coordinates are too many; raise every={every}"
        )
    batches = problem.batches(seed, problem.batch if batch is None else batch, steps)
    return _watched(rule, problem, unpack(w, like), w, batches, steps, every)


def _start(name: str, start: Params | ArrayLike | Mapping[str, ArrayLike], size: int) -> Array:
    """Packed weights of the size that is needed; ProblemError."""
    try:
        w = pack(start) if isinstance(start, dict) else np.asarray(start, dtype=float).flatten()
    except (TypeError, ValueError, AttributeError):
        raise ProblemError(f"{name}: start must be numbers in the problem's structure") from None
    if w.size != size:
        raise ProblemError(f"{name}: start has {w.size} numbers, {size} are needed")
    return w.astype(float)


class GivenGradients(Problem):
    """A problem whose gradient at step t is row t of a table (T, d), whatever the parameters; its loss is 0."""

    name = "fed"

    def __init__(self, table: Array) -> None:
        self.table = table

    def start(self, seed: int) -> Array:
        """Zeros (d,)."""
        return np.zeros(self.table.shape[1])

    def gradient(self, params: Params, rows: Rows | None) -> Array:
        """The row of the table that the batch names."""
        assert rows is not None
        row: Array = self.table[rows[0]]
        return row

    def loss(self, params: Params) -> float:
        """0: nothing is known but gradients."""
        return 0.0

    def batches(self, seed: int, batch: int, steps: int) -> Iterator[Rows]:
        """One row of the table after the other."""
        return iter(np.arange(steps)[:, None])


def fed(rule: Rule, gradients: Array, start: ArrayLike | Mapping[str, ArrayLike] | None = None) -> Record:
    """The record of a rule that is given its gradients, (T, d), whatever the weights; the loss is 0.

    start: (d,), else 0. Raises ProblemError for gradients that are no such table, or a start of another size.
    """
    gradients = np.asarray(gradients, dtype=float)
    if gradients.ndim != 2:
        raise ProblemError(f"fed: gradients must be (T, d), got shape {gradients.shape}")
    source = GivenGradients(gradients)
    w = _start("fed", source.start(0) if start is None else start, gradients.shape[1])
    steps = len(gradients)
    return _watched(rule, source, w, w, source.batches(0, 1, steps), steps, 1)


def _watched(
    rule: Rule,
    problem: Problem,
    params: Params,
    w: Array,
    batches: Iterable[Rows | None],
    steps: int,
    every: int,
) -> Record:
    """Run the rule's own formula from ``w``, the packed view of ``params``, and keep what it did."""
    watch = _Watch(rule, w, steps // every + 1, partial(problem.loss, params))
    with np.errstate(all="ignore"):
        follow(problem, params, watch.step, batches, recorded(steps, every), watch.look)
    kept = {n: values[: watch.last + 1] for n, values in watch.kept.items()}
    losses = watch.losses[: watch.last + 1]
    return Record(
        rule=rule,
        steps=np.arange(watch.last + 1) * every,
        loss=losses,
        states={n: kept.pop(n) for n in rule.parts.states},
        died=not np.isfinite(losses[-1]),
        **kept,
    )


class _Watch:
    """Steps a rule's formula on packed parameters, in place, and records a step when it is looked at."""

    def __init__(self, rule: Rule, w: Array, count: int, loss: Callable[[], float]) -> None:
        names = rule.parts.states
        self.w, self.loss, self.t, self.last = w, loss, 0, 0
        self.formula = applied(compose.update(rule, StepOptions(rates=rule.parts.rate is not None)))
        self.names, self.clock = scalars.names(rule), scalars.clock(rule)
        self.before: dict[str, Array] = {}
        self.after: dict[str, Array] = {}
        self.values: dict[str, float] = {}
        self.softeners = dict.fromkeys(softeners(rule), 0.0)
        self.states = {n: np.full(w.size, float(getattr(rule, n))) for n in names}
        columns = ("weights", "gradient", "update", "rate", "eps_share", *names)
        self.kept = {n: np.full((count, w.size), np.nan) for n in columns}
        self.losses = np.full(count, np.nan)

    def step(self, gradient: Grads) -> None:
        """Move the parameters and the states; what the step was made of is held until the next one."""
        self.t += 1
        self.before = {"w": self.w.copy(), "g": pack(gradient), **self.states}
        self.values = dict(zip(self.names, self.clock(self.t), strict=True))
        self.after = self.formula(self.before, self.values)
        self.states = {n: self.after[n] for n in self.states}
        self.w[:] = self.after["w"]

    def look(self, k: int) -> bool:
        """Record the last step as the k-th row; whether the loss is still finite."""
        row: dict[str, Array] = {"weights": self.w, **self.states}
        if k:
            rate = self.after.get("_rate", np.full(self.w.size, np.nan))
            bare = self.formula(self.before, self.values | self.softeners).get("_rate", rate)
            row["gradient"], row["update"] = self.before["g"], self.w - self.before["w"]
            row["rate"], row["eps_share"] = rate, _share(rate, bare)
        for n, values in row.items():
            self.kept[n][k] = values
        self.losses[k], self.last = self.loss(), k
        return k == 0 or bool(np.isfinite(self.losses[k]))


def softeners(rule: Rule) -> list[str]:
    """The epsilons that are added to a gradient's size; Adadelta's other one is added to an update's."""
    lines = rule.parts.lines
    names = [n for n in scalars.names(rule) if n in lines and n.startswith("eps")]
    return [n for n in names if lines[n].dimension.w == 0]


def _share(rate: Array, bare: Array) -> Array:
    """1 - rate / bare; a rate that exists thanks to epsilon alone counts as 1."""
    return np.where(rate == bare, 0.0, np.where(bare == 0, 1.0, 1 - rate / bare))
