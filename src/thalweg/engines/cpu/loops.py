"""Whole runs in one kernel: rule, clock and gradient printed together, many configurations at once.

Each configuration has its own start, hyperparameters and stream of data rows; threads split the
configurations. What a step does to the parameters is printed by ``unrolled`` for objectives of a few
parameters, where a path has the bits of ``Optimizer.step``'s, and by ``scored`` and ``softmax`` for linear models, whose
rows may be sparse; their loops know no rule, and call its step (``wide``).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...core import clock as scalars
from ...core.objective import Objective, Scored, Softmax
from ...core.rule import Rule
from ...core.schedule import Schedule
from ...core.started import start
from ...core.update import Update
from ...errors import HyperparameterError, nearest
from ...printing.python import indented
from ..memory import Array, address, recorded
from . import launch
from . import loop_scored as scored
from . import loop_softmax as softmax
from . import loop_unrolled as unrolled
from . import loop_wide as wide
from .compile import kernel
from .csr import KINDS, Labelled, Rows
from .job import Job
from .text import PRINTER
from .text import source as printed

JOB = Job(
    "steps",
    "gaps",
    "records",
    "hyper",
    "starts",
    "paths",
    "losses",
    "rates",
    "order",
    "batch",
    "stream",
    "data",
    "rows",
    "planned",
    "parameters",
    "work",
    "levels",
    "reached",
    "measured",
    "ends",
    "lasting",
    "penalty",
    "targets",
    "indices",
    "indptr",
    "arrays",
    "step",
    "jobs",
    "classes",
    "scratch",
    "room",
)

BLOCK = 64  # configurations of few parameters that a thread takes at once
WORTH = 1 << 15  # numbers that a step reads, times steps, for which another thread is asked

_LOOP = """
def loop(job):
    steps = job[STEPS]
    gaps = words(job[GAPS])
    records = job[RECORDS]
    hyper = reals(job[HYPER])
    starts = reals(job[STARTS])
    paths = reals(job[PATHS])
    losses = reals(job[LOSSES])
    rates = reals(job[RATES])
    order = words(job[ORDER])
    shuffled = job[ORDER] != 0
    batch = job[BATCH]
    stream = words(job[STREAM])
    data = reals(job[DATA])
    targets = reals(job[TARGETS])
    indices = {index}(job[INDICES])
    indptr = {index}(job[INDPTR])
    penalty = reals(job[PENALTY])[0]
    rows = job[ROWS]
    planned = reals(job[PLANNED])
    d = job[PARAMETERS]
    work = job[WORK]
    stop = reals(job[LEVELS])[0]
    target = reals(job[LEVELS])[1]
    reached = words(job[REACHED])
    ends = reals(job[ENDS])
    for c in range(job[LO], job[HI]):
{start}
        left = 1  # a countdown, since a division would cost as much as the step
        k = c * records
        worst = D(-math.inf)
        settled = -1
        for t in range(steps + 1):
            if t > 0:
                now = D(t)
{step}
            left -= 1
            if left == 0:
                left = gaps[k - c * records]
                if job[PATHS]:
                    place = c if job[LASTING] else k
{path}
                if job[RATES]:
{rates}
                if job[MEASURED]:
{loss}
                    if job[LOSSES]:
                        losses[k] = loss
                    if not loss <= worst:  # NaN is as bad as infinity
                        worst = loss if loss == loss else D(math.inf)
                    if not loss <= target:
                        settled = -1
                    elif settled < 0:
                        settled = t
                    ends[2 * c] = loss
                    ends[2 * c + 1] = worst
                    if loss <= stop:
                        reached[2 * c] = t
                        break
                k += 1
        reached[2 * c + 1] = settled
    return 0
"""


class Trace(NamedTuple):
    """What runs left behind; C configurations, R records, d parameters.

    ``steps`` (R,) int64, those recorded; ``loss`` (C, R), ``path`` (C, R, d), ``rates`` (C, R, d), ``end`` (C, d), where
    a run was at its last record, float64, or None where they were not asked for. Record 0 is the start; its rates are NaN. ``reached`` (C,) int64: the
    first recorded step with a loss of at most ``stop``, -1 where there is none; a run ends there and
    its later records are NaN. ``settled`` (C,) int64: the recorded step from which on the loss is at most
    ``target`` to the end, -1 where there is none. ``ends`` (C, 2): the last recorded loss and the highest, inf for NaN; NaN
    where neither "loss" nor "ends" is recorded nor a ``stop`` or ``target`` given.
    """

    steps: Array
    loss: Array | None
    path: Array | None
    rates: Array | None
    reached: Array
    settled: Array
    ends: Array
    end: Array | None


@lru_cache(maxsize=256)
def source(
    update: Update,
    lines: tuple[str, ...],
    states: tuple[str, ...],
    objective: Objective,
    dtype: str,
    planned: tuple[str, ...],
) -> str:
    """Return the printed loop of an update and its clock, on an objective of few parameters.

    planned: the hyperparameters that follow a schedule.
    """
    formula = update.clock
    of_run = unrolled.inside(update, states, objective)
    start = [f"h_{n} = hyper[c * {len(lines)} + {k}]" for k, n in enumerate(lines)]
    # The clock ticks in float64, in the same expressions.
    ticking = PRINTER.named("c_", {"t": "now", **{n: f"h_{n}" for n in formula.inputs[1:]}})
    clock, values = ticking.section(formula)
    clock = [line.replace("F(", "D(") for line in clock]
    clock += [f"k_{n} = F({v.replace('F(', 'D(')})" for n, v in values.items()]
    step = [f"h_{n} = planned[(t - 1) * {len(planned)} + {k}]" for k, n in enumerate(planned)]
    if scalars.moving(formula) or planned:
        step += clock
    else:
        start += clock
    return _printed(of_run._replace(start=[*start, *of_run.start], step=[*step, *of_run.step]), dtype)


@lru_cache(maxsize=64)
def wide_source(objective: Scored | Softmax, index: str) -> str:
    """Return the printed loop of an objective of scores; index: of sparse rows, the dtype of their indices, "" of dense."""
    if isinstance(objective, Softmax):
        return _printed(softmax.inside(sparse=bool(index)), "float64", index)
    return _printed(scored.inside(objective, sparse=bool(index)), "float64", index)


def _printed(of_run: unrolled.Inside, dtype: str, index: str = "") -> str:
    text = _LOOP.format(
        start=indented(of_run.start, 2),
        step=indented(of_run.step, 4),
        path=indented(of_run.path, 5),
        rates=indented(of_run.rates, 5),
        loss=indented(of_run.loss, 5),
        index=KINDS[index or "int64"],
    )
    return printed(dtype, JOB, [*of_run.functions.values(), text])


def run(
    rule: Rule,
    objective: Objective | Scored | Softmax,
    starts: Array,
    steps: int,
    *,
    vary: Mapping[str, Array] | None = None,
    every: int | Sequence[int] = 1,
    record: Sequence[str] = ("loss",),
    stop: float = -np.inf,
    target: float = -np.inf,
    data: Array | Labelled | None = None,
    order: Array | None = None,
    stream: Array | None = None,
    l2: float = 0.0,
    dtype: str = "float64",
) -> Trace:
    """Run a rule from many starts, and with many settings, through one compiled loop.

    starts: (C, d) float64. vary: line name → (C,) values in place of the rule's. every: steps between
    records, or the steps that are recorded beside the start, ascending. record: any of "loss", "path", "rates", "end",
    and "ends", which keeps no curve. stop: a run ends at the first record whose loss is at most this. target: the level
    of ``settled``. data: (rows, columns) float64 where the objective has columns; for one of k scores a row, of n inputs
    and n k = d parameters (``Scored``: k = 1), (rows, n + k), inputs and targets, or sparse rows of n - 1 inputs with
    their targets, whose last input is a constant 1. order:
    (streams, steps, batch) int64 row indices, and stream: (C,) which stream each configuration takes; without order
    every step uses all rows. Such an objective's batch ends before its first -1. l2: of a penalty, l2 / 2
    times the sum of the squares of all parameters but those of the last input, on scores. dtype: of the arithmetic;
    objectives of scores take float64 alone. Raises HyperparameterError.
    """
    starts = np.ascontiguousarray(starts, dtype=np.float64)
    vary = vary or {}
    _check(rule, objective, starts, steps, vary, every, record, data, order, stream, l2, dtype)
    count, d = starts.shape
    sparse = data.rows if isinstance(data, Labelled) else None
    lines = rule.parts.lines
    planned = tuple(n for n, v in rule.hyperparameters.items() if isinstance(v, Schedule) and n not in vary)
    plan = np.array([[rule.at(t)[n] for n in planned] for t in range(steps)] if planned else [[0.0]])
    hyper = _lines(rule, count, vary, planned)
    update = start(rule, rates=True, varied=vary).update
    index = "" if sparse is None or sparse.indices is None else sparse.indices.dtype.name
    plan = np.ascontiguousarray(plan, dtype=np.float64)
    standing = None
    if isinstance(objective, Objective):
        text = source(update, tuple(lines), tuple(rule.parts.states), objective, dtype, planned)
    else:
        text = wide_source(objective, index)
        standing = wide.Standing(rule, update, planned, hyper, plan, starts, _room(objective, d, index))
    at = recorded(steps, every)
    records = len(at)
    loss = np.full((count, records), np.nan) if "loss" in record else None
    path = np.full((count, records, d), np.nan) if "path" in record else None
    end = np.full((count, d), np.nan) if "end" in record else None
    places = end if path is None else path
    rates = np.full((count, records, d), np.nan) if "rates" in record else None
    reached = np.full((count, 2), -1)
    ends = np.full((count, 2), np.nan)
    rows = _count(data)
    batch = rows if order is None else order.shape[-1]
    kept = {
        "order": np.ascontiguousarray([0] if order is None else order, dtype=np.int64),
        "stream": np.ascontiguousarray(np.zeros(count) if stream is None else stream, dtype=np.int64),
        "levels": np.array([stop, target], dtype=np.float64),
        "penalty": np.array([l2], dtype=np.float64),
        **_tables(data),
        "gaps": np.diff(at, append=at[-1] + steps + 1),
    }
    own = JOB.own(
        steps=steps,
        gaps=address(kept["gaps"]),
        records=records,
        hyper=address(hyper),
        starts=address(starts),
        paths=0 if places is None else address(places),
        lasting=int(path is None),
        losses=0 if loss is None else address(loss),
        rates=0 if rates is None else address(rates),
        order=0 if order is None else address(kept["order"]),
        batch=batch,
        stream=address(kept["stream"]),
        penalty=address(kept["penalty"]),
        **{n: address(kept[n]) for n in ("data", "targets", "indices", "indptr") if n in kept},
        rows=rows,
        planned=address(plan),
        parameters=d,
        classes=1 if isinstance(objective, Objective) else objective.outputs,
        **(standing.words if standing is not None else {}),
        levels=address(kept["levels"]),
        reached=address(reached),
        measured=int(loss is not None or "ends" in record or max(stop, target) > -np.inf),
        ends=address(ends),
    )
    grain = BLOCK if standing is None else max(1, WORTH // max(1, steps * d * batch))
    launch.run(kernel(text)[0], own, count, min(BLOCK, grain))
    first, settled = reached.T
    if path is not None and end is not None:
        end[:] = path[np.arange(count), np.where(first < 0, records - 1, np.searchsorted(at, first))]
    return Trace(at, loss, path, rates, first, settled, ends, end)


def _room(objective: Scored | Softmax, d: int, index: str) -> int:
    """How many numbers the loop works with beside the arrays of a configuration."""
    if isinstance(objective, Scored):
        return 0
    return softmax.room(d // objective.classes, objective.classes, sparse=bool(index))


def _count(data: Array | Labelled | None) -> int:
    """How many rows there are."""
    return 0 if data is None else len(data.targets if isinstance(data, Labelled) else data)


def _tables(data: Array | Labelled | None) -> dict[str, Array]:
    """Return the arrays that hold the rows, by the names of their words."""
    if isinstance(data, Labelled):
        values, indices, indptr, _ = data.rows
        assert indices is not None and indptr is not None
        return {"data": values, "indices": indices, "indptr": indptr, "targets": data.targets}
    return {"data": np.ascontiguousarray([0.0] if data is None else data, dtype=np.float64)}


def _shape(data: Array | Labelled | None) -> tuple[int, ...]:
    """The shape of the rows as if they were dense: with a one for the constant, and the targets."""
    if isinstance(data, Labelled):
        rows, inputs = data.rows.shape
        targets = data.targets if data.targets.ndim == 2 else data.targets[:, None]
        good = len(targets) == rows and targets.dtype == np.float64 and targets.flags.c_contiguous
        return (rows, inputs + 1 + targets.shape[1]) if good else ()
    return () if data is None else data.shape


def _holds(rows: Rows) -> bool:
    """Whether CSR arrays are as long as they say, and their indices below the width."""
    values, indices, ends, (count, width) = rows
    if indices is None or ends is None or values.dtype != np.float64 or ends.shape != (count + 1,):
        return False
    cut = ends[0] == 0 and np.all(ends[1:] >= ends[:-1]) and ends[-1] <= min(len(indices), len(values))
    return bool(cut and (not indices.size or (indices.min() >= 0 and indices.max() < width)))


def _lines(rule: Rule, count: int, vary: Mapping[str, Array], planned: Sequence[str]) -> Array:
    """Return the values of the rule's lines, a row for each configuration; those of ``planned`` are 0 here."""
    lines = rule.parts.lines
    values = np.empty((count, len(lines)))
    for k, (n, line) in enumerate(lines.items()):
        values[:, k] = vary[n] if n in vary else 0.0 if n in planned else getattr(rule, n)
        bad = [x for x in values[:, k].tolist() if not line.holds(x)] if n in vary else []
        if bad:
            raise HyperparameterError(f"{type(rule).__name__}: {n} must lie in {line.range}, got {bad[0]}")
    return values


def _need(good: bool, what: str) -> None:
    if not good:
        raise HyperparameterError(f"loops: {what}")


def _check_rows(
    objective: Objective | Scored | Softmax, data: Array | Labelled | None, d: int, l2: float, dtype: str
) -> None:
    """Whether rows, penalty and dtype are what an objective of d parameters takes; HyperparameterError."""
    if not isinstance(objective, Objective):
        shape, k = _shape(data), objective.outputs
        _need(d % k == 0, f"{k} scores a row need {k} parameters for each input, got {d}")
        _need(
            dtype == "float64" and shape == (_count(data), d // k + k),
            f"a scored objective needs float64 data (rows, {d // k + k}), got {shape or 'none'} {dtype}",
        )
        if isinstance(data, Labelled):
            _need(_holds(data.rows), "sparse rows need CSR arrays that fit together, with float64 values")
        _need(l2 >= 0, f"l2 >= 0 is needed, got {l2}")
    else:
        names, columns = objective.parameters, objective.columns
        _need(d <= unrolled.LARGEST, f"at most {unrolled.LARGEST} parameters can be unrolled, got {d}")
        _need(d == len(names), f"starts must have {len(names)} columns ({', '.join(names)}), got {d}")
        got = _shape(data)[1:]
        _need(
            got == ((len(columns),) if columns else ()) or (data is None and not columns),
            f"data must have {len(columns)} columns ({', '.join(columns) or 'none'}), got {got}",
        )
        _need(l2 == 0, "only a scored objective takes l2")


def _check(
    rule: Rule,
    objective: Objective | Scored | Softmax,
    starts: Array,
    steps: int,
    vary: Mapping[str, Array],
    every: int | Sequence[int],
    record: Sequence[str],
    data: Array | Labelled | None,
    order: Array | None,
    stream: Array | None,
    l2: float,
    dtype: str,
) -> None:
    """All that a kernel takes on trust; HyperparameterError. Addresses know no bounds."""

    _need(starts.ndim == 2, f"starts must be (C, d), got shape {starts.shape}")
    count, d = starts.shape
    _check_rows(objective, data, d, l2, dtype)
    if isinstance(every, int | np.integer):
        _need(steps >= 0 and every >= 1, f"steps >= 0 and every >= 1 are needed, got {steps} and {every}")
    else:
        within = all(0 <= t <= steps for t in every)
        _need(steps >= 0 and within, f"recorded steps must lie in 0 .. {steps}, got {every!r}")
    known = ("loss", "path", "rates", "ends", "end")
    for name in record:
        if name not in known:
            _need(False, f"record: unknown {name!r}: {nearest(name, known)}")
    lines = rule.parts.lines
    for name, values in vary.items():
        if name not in lines:
            _need(False, f"vary: {type(rule).__name__} has no {name!r}: {nearest(name, lines)}")
        _need(
            np.shape(values) == (count,), f"vary: {name} needs {count} values, got shape {np.shape(values)}"
        )
    rows = _count(data)
    streams = 0 if order is None else len(order)
    if order is not None:
        good = order.ndim == 3 and order.shape[1] == steps
        _need(good, f"order must be (streams, {steps}, batch), got shape {order.shape}")
        must = order if isinstance(objective, Objective) else order[..., :1]
        inside = order.size == 0 or (int(must.min()) >= 0 and int(order.max()) < rows)
        _need(inside, f"order: row indices must lie in 0 .. {rows - 1}")
    if stream is not None:
        good = np.shape(stream) == (count,) and (streams == 0 or np.all((stream >= 0) & (stream < streams)))
        _need(bool(good), f"stream must be {count} numbers below {streams}, got shape {np.shape(stream)}")
