"""Whole runs in one kernel: rule, clock and gradient printed together, many configurations at once.

Each configuration has its own start, hyperparameters and stream of data rows; threads split the
configurations. What a step does to the parameters is printed by ``unrolled`` for objectives of a few
parameters, where a path has the bits of ``Optimizer.step``'s, and by ``scored`` for linear models.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...core import clock as scalars
from ...core import update as compose
from ...core.formula import Formula
from ...core.objective import Objective, Scored
from ...core.rule import Rule
from ...core.schedule import Schedule
from ...core.update import StepOptions, Update
from ...errors import HyperparameterError, nearest
from ...printing.python import indented
from ..memory import Array, address
from . import loop_scored as scored
from . import loop_unrolled as unrolled
from .dense import kernel
from .dense import run as run_kernel

_LOOP = """
def loop(job):
    steps = job[3]
    every = job[4]
    hyper = reals(job[5])
    starts = reals(job[6])
    paths = reals(job[7])
    losses = reals(job[8])
    rates = reals(job[9])
    order = words(job[10])
    shuffled = job[10] != 0
    batch = job[11]
    stream = words(job[12])
    data = reals(job[13])
    rows = job[14]
    planned = reals(job[15])
    d = job[16]
    work = job[17]
    stop = reals(job[18])[0]
    target = reals(job[18])[1]
    reached = words(job[19])
    ends = reals(job[21])
    records = steps // every + 1
    for c in range(job[0], job[1]):
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
                left = every
                if job[7]:
{path}
                if job[9]:
{rates}
                if job[20]:
{loss}
                    if job[8]:
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
    """What runs left behind; C configurations, R = steps // every + 1 records, d parameters.

    ``steps`` (R,) int64; ``loss`` (C, R), ``path`` (C, R, d), ``rates`` (C, R, d) float64, or None
    where they were not asked for. Record 0 is the start; its rates are NaN. ``reached`` (C,) int64: the
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


@lru_cache(maxsize=256)
def source(
    formula: Formula,
    update: Update,
    lines: tuple[str, ...],
    states: tuple[str, ...],
    objective: Objective | Scored,
    dtype: str,
    planned: tuple[str, ...],
) -> tuple[str, tuple[str, ...]]:
    """The printed loop and its functions' names.

    ``formula`` is the clock's, ``planned`` hyperparameters follow a schedule.
    """
    kind = scored if isinstance(objective, Scored) else unrolled
    made = kind.inside(update, states, objective)  # type: ignore[arg-type]
    start = [f"h_{n} = hyper[c * {len(lines)} + {k}]" for k, n in enumerate(lines)]
    clock, values = unrolled.section(formula, "c_", {"t": "now", **{n: f"h_{n}" for n in formula.inputs[1:]}})
    clock = [line.replace("F(", "D(") for line in clock]  # the clock ticks in float64
    clock += [f"k_{n} = F({v.replace('F(', 'D(')})" for n, v in values.items()]
    step = [f"h_{n} = planned[(t - 1) * {len(planned)} + {k}]" for k, n in enumerate(planned)]
    if scalars.moving(formula) or planned:
        step += clock
    else:
        start += clock
    text = _LOOP.format(
        start=indented([*start, *made.start], 2),
        step=indented([*step, *made.step], 4),
        path=indented(made.path, 5),
        rates=indented(made.rates, 5),
        loss=indented(made.loss, 5),
    )
    return f"# {dtype}\n" + "".join(made.functions.values()) + text, (*made.functions, "loop")


def run(
    rule: Rule,
    objective: Objective | Scored,
    starts: Array,
    steps: int,
    *,
    vary: Mapping[str, Array] | None = None,
    every: int = 1,
    record: Sequence[str] = ("loss",),
    stop: float = -np.inf,
    target: float = -np.inf,
    data: Array | None = None,
    order: Array | None = None,
    stream: Array | None = None,
    dtype: str = "float64",
) -> Trace:
    """Run a rule from many starts, and with many settings, through one compiled loop.

    starts: (C, d) float64. vary: line name → (C,) values in place of the rule's. every: steps between
    records. record: any of "loss", "path", "rates", and "ends", which keeps no curve. stop: a run ends at
    the first record whose loss is at most this. target: the level of ``settled``. data: (rows, columns)
    float64 where the objective has columns; (rows, d + 1), inputs and target, for a scored one. order:
    (streams, steps, batch) int64 row indices, and stream: (C,) which stream each configuration takes;
    without order every step uses all rows. dtype: of the arithmetic; a scored objective takes float64
    alone. Raises HyperparameterError.
    """
    starts = np.ascontiguousarray(starts, dtype=np.float64)
    vary = vary or {}
    _check(rule, objective, starts, steps, vary, every, record, data, order, stream, dtype)
    count, d = starts.shape
    wide = isinstance(objective, Scored)
    lines = rule.parts.lines
    states = rule.parts.states
    planned = tuple(n for n, v in rule.hyperparameters.items() if isinstance(v, Schedule) and n not in vary)
    plan = np.array([[rule.at(t)[n] for n in planned] for t in range(steps)] if planned else [[0.0]])
    hyper = np.empty((count, len(lines)))
    for k, (n, line) in enumerate(lines.items()):
        value = vary[n] if n in vary else 0.0 if n in planned else getattr(rule, n)
        hyper[:, k] = value
        bad = [x for x in hyper[:, k].tolist() if not line.holds(x)] if n in vary else []
        if bad:
            raise HyperparameterError(f"{type(rule).__name__}: {n} must lie in {line.range}, got {bad[0]}")
    update = compose.update(rule, StepOptions(rates=True), scalars.known(rule, vary))
    call, _ = kernel(*source(rule.clock_formula, update, tuple(lines), states, objective, dtype, planned))
    records = steps // every + 1
    loss = np.full((count, records), np.nan) if "loss" in record else None
    path = np.full((count, records, d), np.nan) if "path" in record else None
    rates = np.full((count, records, d), np.nan) if "rates" in record else None
    reached = np.full((count, 2), -1)
    ends = np.full((count, 2), np.nan)
    rows = 0 if data is None else len(data)
    work = np.empty((count, len(states) + 3, d) if wide else 0)  # g, w, states, rates
    kept = {
        "order": np.ascontiguousarray([0] if order is None else order, dtype=np.int64),
        "stream": np.ascontiguousarray(np.zeros(count) if stream is None else stream, dtype=np.int64),
        "data": np.ascontiguousarray([0.0] if data is None else data, dtype=np.float64),
        "plan": np.ascontiguousarray(plan, dtype=np.float64),
        "levels": np.array([stop, target], dtype=np.float64),
    }
    job = [
        steps,
        every,
        address(hyper),
        address(starts),
        *(0 if a is None else address(a) for a in (path, loss, rates)),
        0 if order is None else address(kept["order"]),
        rows if order is None else order.shape[-1],
        address(kept["stream"]),
        address(kept["data"]),
        rows,
        address(kept["plan"]),
        d,
        address(work),
        address(kept["levels"]),
        address(reached),
        int(loss is not None or "ends" in record or max(stop, target) > -np.inf),
        address(ends),
    ]
    run_kernel(call, job, count, 1)
    first, settled = reached.T
    return Trace(np.arange(records, dtype=np.int64) * every, loss, path, rates, first, settled, ends)


def _check(
    rule: Rule,
    objective: Objective | Scored,
    starts: Array,
    steps: int,
    vary: Mapping[str, Array],
    every: int,
    record: Sequence[str],
    data: Array | None,
    order: Array | None,
    stream: Array | None,
    dtype: str,
) -> None:
    """All that a kernel takes on trust; HyperparameterError. Addresses know no bounds."""

    def need(good: bool, what: str) -> None:
        if not good:
            raise HyperparameterError(f"loops: {what}")

    need(starts.ndim == 2, f"starts must be (C, d), got shape {starts.shape}")
    count, d = starts.shape
    if isinstance(objective, Scored):
        need(
            dtype == "float64" and data is not None and data.shape[1:] == (d + 1,),
            f"a scored objective needs float64 data (rows, {d + 1}),"
            f" got {'none' if data is None else data.shape} {dtype}",
        )
    else:
        names, columns = objective.parameters, objective.columns
        need(d <= unrolled.LARGEST, f"at most {unrolled.LARGEST} parameters can be unrolled, got {d}")
        need(d == len(names), f"starts must have {len(names)} columns ({', '.join(names)}), got {d}")
        got = () if data is None else data.shape[1:]
        need(
            got == ((len(columns),) if columns else ()) or (data is None and not columns),
            f"data must have {len(columns)} columns ({', '.join(columns) or 'none'}), got {got}",
        )
    need(steps >= 0 and every >= 1, f"steps >= 0 and every >= 1 are needed, got {steps} and {every}")
    known = ("loss", "path", "rates", "ends")
    for name in record:
        need(name in known, f"record: unknown {name!r}: {nearest(name, known)}")
    lines = rule.parts.lines
    for name, values in vary.items():
        need(name in lines, f"vary: {type(rule).__name__} has no {name!r}: {nearest(name, lines)}")
        need(np.shape(values) == (count,), f"vary: {name} needs {count} values, got shape {np.shape(values)}")
    rows = 0 if data is None else len(data)
    streams = 0 if order is None else len(order)
    if order is not None:
        good = order.ndim == 3 and order.shape[1] == steps
        need(good, f"order must be (streams, {steps}, batch), got shape {order.shape}")
        inside = order.size == 0 or (int(order.min()) >= 0 and int(order.max()) < rows)
        need(inside, f"order: row indices must lie in 0 .. {rows - 1}")
    if stream is not None:
        good = np.shape(stream) == (count,) and (streams == 0 or np.all((stream >= 0) & (stream < streams)))
        need(bool(good), f"stream must be {count} numbers below {streams}, got shape {np.shape(stream)}")
