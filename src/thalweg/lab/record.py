"""A run with everything that happened in it: weights, gradient, every state, update, effective rate.

The rule's own formula is stepped on NumPy arrays, so nothing here is a second version of a method.
The effective rate a is the one that ``rate`` returned in the step: every update is -a times the gradient
or the method's average of it. ``eps_share`` is the part of a's denominator that is epsilon,

    1 - a / a(eps = 0)        (eps / (sqrt(v) + eps) where eps stands outside the root)

near 1 a coordinate moves as under plain gradient descent.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core import clock as scalars
from ..core import update as compose
from ..core.rule import Rule
from ..core.update import StepOptions
from ..engines.ops import applied
from ..errors import FileError, ProblemError
from ..files import write as write_file
from ..problems import Problem
from ..problems import problem as named
from ..problems.base import pack, unpack
from .methods import method

Array = np.ndarray[Any, Any]
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


def write(columns: Mapping[str, Array], path: str | Path) -> Path:
    """Columns of equal length into a .parquet or .csv file, whole or not at all; FileError."""
    path = Path(path)
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise FileError(f"{path}: records are written as .parquet or .csv")
    import pyarrow
    from pyarrow import csv, parquet

    table = pyarrow.table(dict(columns))

    def fill(target: Any) -> None:
        if path.suffix.lower() == ".csv":
            csv.write_csv(table, target)
        else:
            parquet.write_table(table, target)

    write_file(path, fill)
    return path


def record(
    rule: Rule | str,
    problem: Problem | str,
    steps: int,
    *,
    start: Any = None,
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
    rows = problem.batches(seed, problem.batch if batch is None else batch, steps)
    return _walk(
        rule,
        w,
        (partial(_gradient, problem, like, r) for r in rows),
        lambda at: problem.loss(unpack(at, like)),
        steps,
        every,
    )


def _start(name: str, given: Any, size: int) -> Array:
    """Packed weights of the size that is needed; ProblemError."""
    try:
        w = pack(given) if isinstance(given, dict) else np.asarray(given, dtype=float).flatten()
    except (TypeError, ValueError, AttributeError):
        raise ProblemError(f"{name}: start must be numbers in the problem's structure") from None
    if w.size != size:
        raise ProblemError(f"{name}: start has {w.size} numbers, {size} are needed")
    return w.astype(float)


def fed(rule: Rule, gradients: Array, start: ArrayLike | Mapping[str, ArrayLike] | None = None) -> Record:
    """The record of a rule that is given its gradients, (T, d), whatever the weights; the loss is 0.

    start: (d,), else 0. Raises ProblemError for gradients that are no such table, or a start of another size.
    """
    gradients = np.asarray(gradients, dtype=float)
    if gradients.ndim != 2:
        raise ProblemError(f"fed: gradients must be (T, d), got shape {gradients.shape}")
    w = _start("fed", np.zeros(gradients.shape[1]) if start is None else start, gradients.shape[1])
    return _walk(rule, w, (partial(_given, g) for g in gradients), lambda at: 0.0, len(gradients), 1)


def _gradient(problem: Problem, like: Any, rows: Any, at: Array) -> Array:
    return pack(problem.gradient(unpack(at, like), rows))


def _given(gradient: Array, at: Array) -> Array:
    return gradient


def _walk(
    rule: Rule,
    w: Array,
    gradients: Iterable[Callable[[Array], Array]],
    loss: Callable[[Array], float],
    steps: int,
    every: int,
) -> Record:
    names = rule.parts.states
    count = steps // every + 1
    step = applied(compose.update(rule, StepOptions(rates=rule.parts.rate is not None)))
    clock = scalars.clock(rule)
    softeners = dict.fromkeys(_softeners(rule), 0.0)
    kept: dict[str, Array] = {
        n: np.full((count, w.size), np.nan)
        for n in ("weights", "gradient", "update", "rate", "eps_share", *names)
    }
    losses = np.full(count, np.nan)
    states = {n: np.full(w.size, float(getattr(rule, n))) for n in names}
    for n, v in ({"weights": w} | states).items():
        kept[n][0] = v
    losses[0] = loss(w)
    last = 0
    with np.errstate(all="ignore"):
        for t, gradient in enumerate(gradients, start=1):
            g = gradient(w)
            named = dict(zip(scalars.names(rule), clock(t), strict=True))
            made = step({"w": w, "g": g, **states}, named)
            fresh = made["w"]
            if t % every == 0:
                last = t // every
                rate = made.get("_rate", np.full(w.size, np.nan))
                bare = step({"w": w, "g": g, **states}, named | softeners).get("_rate", rate)
                found = {"weights": fresh, "gradient": g, "update": fresh - w, "rate": rate}
                found["eps_share"] = _share(rate, bare)
                for n, v in (found | {n: made[n] for n in names}).items():
                    kept[n][last] = v
                losses[last] = loss(fresh)
                if not np.isfinite(losses[last]):
                    break
            w, states = fresh, {n: made[n] for n in names}
    kept = {n: v[: last + 1] for n, v in kept.items()}
    held = {n: kept.pop(n) for n in names}
    return Record(
        rule=rule,
        steps=np.arange(last + 1) * every,
        loss=losses[: last + 1],
        states=held,
        died=not np.isfinite(losses[last]),
        **kept,
    )


def _softeners(rule: Rule) -> list[str]:
    """The epsilons that are added to a gradient's size; Adadelta's other one is added to an update's."""
    lines = rule.parts.lines
    names = [n for n in scalars.names(rule) if n in lines and n.startswith("eps")]
    return [n for n in names if lines[n].dimension.w == 0]


def _share(rate: Array, bare: Array) -> Array:
    """1 - rate / bare; a rate that exists thanks to epsilon alone counts as 1."""
    return np.where(rate == bare, 0.0, np.where(bare == 0, 1.0, 1 - rate / bare))
