"""Whole runs in one kernel: rule, clock and gradient printed together, many configurations at once.

For objectives of a few parameters. Each configuration has its own start, hyperparameters and stream
of data rows; threads split the configurations. The arithmetic is that of ``Optimizer.step``, in the
same order: a path has the same bits.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..core import compose, scalars
from ..core.compose import Around, Update
from ..core.formula import Formula
from ..core.objective import Objective
from ..core.python import indented
from ..core.rule import Rule
from ..core.schedule import Schedule
from ..errors import HyperparameterError
from .cpu import PRINTER, kernel
from .cpu import run as run_kernel
from .memory import Array, address

LARGEST = 32  # parameters; the loop is unrolled over them

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
    batch = job[11]
    stream = words(job[12])
    data = reals(job[13])
    rows = job[14]
    planned = reals(job[15])
    records = steps // every + 1
    for c in range(job[0], job[1]):
{start}
        left = 1  # a countdown, since a division would cost as much as the step
        k = c * records
        for t in range(steps + 1):
            if t > 0:
                now = D(t)
{step}
            left -= 1
            if left == 0:
                left = every
{record}
                k += 1
    return 0
"""


class Trace(NamedTuple):
    """What runs left behind; C configurations, R = steps // every + 1 records, d parameters.

    ``steps`` (R,) int64; ``loss`` (C, R), ``path`` (C, R, d), ``rates`` (C, R, d) float64, or None
    where they were not asked for. Record 0 is the start; its rates are NaN.
    """

    steps: Array
    loss: Array | None
    path: Array | None
    rates: Array | None


def _section(formula: Formula, prefix: str, inputs: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """A formula's lines with its names made its own, and its outputs as source."""
    names = dict(inputs) | {n: f"{prefix}{n}" for n, _ in formula.body}
    printer = PRINTER._replace(names=names)
    return printer.lines(formula.body), {n: printer.expression(e) for n, e in formula.outputs}


@lru_cache(maxsize=256)
def source(
    formula: Formula,
    update: Update,
    lines: tuple[str, ...],
    states: tuple[str, ...],
    objective: Objective,
    dtype: str,
    planned: tuple[str, ...],
) -> str:
    """The printed loop; ``formula`` is the clock's, ``planned`` hyperparameters follow a schedule."""
    d = len(objective.parameters)
    x = [f"x{j}" for j in range(d)]

    start = [f"h_{n} = hyper[c * {len(lines)} + {k}]" for k, n in enumerate(lines)]
    start += [f"{x[j]} = F(starts[c * {d} + {j}])" for j in range(d)]
    start += [f"{s}_{j} = F(h_{s})" for s in states for j in range(d)]
    start += [f"r{j} = F(math.nan)" for j in range(d)]

    clock, made = _section(formula, "c_", {"t": "now", **{n: f"h_{n}" for n in formula.inputs[1:]}})
    clock = [line.replace("F(", "D(") for line in clock]  # the clock ticks in float64
    clock += [f"k_{n} = F({v.replace('F(', 'D(')})" for n, v in made.items()]
    moving = bool(scalars.moving(formula)) or bool(planned)
    if not moving:
        start += clock

    step = [f"h_{n} = planned[(t - 1) * {len(planned)} + {k}]" for k, n in enumerate(planned)]
    step += clock if moving else []
    parameters = dict(zip(objective.parameters, x, strict=True))
    columns = objective.columns
    if columns:
        row = {n: f"d_{n}" for n in columns}
        read = [f"d_{n} = F(data[q * {len(columns)} + {k}])" for k, n in enumerate(columns)]
        body, grads = _section(objective.gradient_formula, "g_", parameters | row)
        step += [f"g{j} = F(0.0)" for j in range(d)]
        step.append("for b in range(batch):")
        step.append("    q = order[(stream[c] * steps + t - 1) * batch + b] if job[10] else b")
        inner = [*read, *body, *(f"g{j} = g{j} + {e}" for j, e in enumerate(grads.values()))]
        step += [f"    {line}" for line in inner]
        step += [f"g{j} = g{j} / F(batch)" for j in range(d)]
    else:
        body, grads = _section(objective.gradient_formula, "g_", parameters)
        step += body + [f"g{j} = {e}" for j, e in enumerate(grads.values())]
    for j in range(d):
        inputs = {"w": x[j], "g": f"g{j}", **{s: f"{s}_{j}" for s in states}}
        inputs |= {n: f"k_{n}" for n in update.scalars}
        names = inputs | {n: f"u{j}_{n}" for n, _ in update.body}
        printer = PRINTER._replace(names=names)
        step += printer.lines(update.body)
        target = inputs | {"_rate": f"r{j}"}
        new = [(target[n], f"n{j}_{i}", e) for i, (n, e) in enumerate(update.written.items())]
        step += [f"{fresh} = {printer.expression(e)}" for _, fresh, e in new]
        step += [f"{n} = {fresh}" for n, fresh, _ in new]

    record = ["if job[7]:", *(f"    paths[k * {d} + {j}] = D({x[j]})" for j in range(d))]
    record += ["if job[9]:", *(f"    rates[k * {d} + {j}] = D(r{j})" for j in range(d))]
    record.append("if job[8]:")
    if objective.mean_formula is not None:
        body, value = _section(objective.mean_formula, "v_", parameters)
        (result,) = value.values()
        record += [f"    {line}" for line in body] + [f"    losses[k] = D({result})"]
    else:
        body, value = _section(objective.value_formula, "v_", parameters | row)
        (result,) = value.values()
        inner = [*read, *body, f"total = total + D({result})"]
        record += ["    total = D(0.0)", "    for q in range(rows):", *(f"        {line}" for line in inner)]
        record.append("    losses[k] = total / D(rows)")
    return f"# {dtype}\n" + _LOOP.format(
        start=indented(start, 2), step=indented(step, 4), record=indented(record, 4)
    )


def run(
    rule: Rule,
    objective: Objective,
    starts: Array,
    steps: int,
    *,
    vary: Mapping[str, Array] | None = None,
    every: int = 1,
    record: Sequence[str] = ("loss",),
    data: Array | None = None,
    order: Array | None = None,
    stream: Array | None = None,
    dtype: str = "float64",
) -> Trace:
    """Run a rule from many starts, and with many settings, through one compiled loop.

    starts: (C, d) float64. vary: line name → (C,) values in place of the rule's. every: steps between
    records. record: any of "loss", "path", "rates". data: (rows, columns) float64 where the objective
    has columns. order: (streams, steps, batch) int64 row indices, and stream: (C,) which stream each
    configuration takes; without order every step uses all rows. Raises HyperparameterError.
    """
    starts = np.ascontiguousarray(starts, dtype=np.float64)
    count, d = starts.shape
    if d > LARGEST:
        raise HyperparameterError(f"loops: at most {LARGEST} parameters can be unrolled, got {d}")
    vary = vary or {}
    lines = rule.anatomy.lines
    planned = tuple(n for n, v in rule.hyperparameters.items() if isinstance(v, Schedule) and n not in vary)
    plan = np.array([[rule.at(t)[n] for n in planned] for t in range(steps)] if planned else [[0.0]])
    hyper = np.empty((count, len(lines)))
    for k, (n, line) in enumerate(lines.items()):
        value = vary[n] if n in vary else 0.0 if n in planned else getattr(rule, n)
        hyper[:, k] = value
        bad = [x for x in hyper[:, k].tolist() if not line.holds(x)] if n in vary else []
        if bad:
            raise HyperparameterError(f"{type(rule).__name__}: {n} must lie in {line.range}, got {bad[0]}")
    update = compose.update(rule, Around(rates=True), scalars.known(rule, vary))
    text = source(rule.clock_formula, update, tuple(lines), rule.anatomy.states, objective, dtype, planned)
    call, _ = kernel(text, ("loop",))
    records = steps // every + 1
    loss = np.empty((count, records)) if "loss" in record else None
    path = np.empty((count, records, d)) if "path" in record else None
    rates = np.empty((count, records, d)) if "rates" in record else None
    rows = 0 if data is None else len(data)
    keep = [
        np.ascontiguousarray(a, dtype=t)
        for a, t in (
            (order if order is not None else [0], np.int64),
            (stream if stream is not None else np.zeros(count), np.int64),
            (data if data is not None else [0.0], np.float64),
            (plan, np.float64),
        )
    ]
    batch = rows if order is None else order.shape[-1]
    job = [
        steps,
        every,
        address(hyper),
        address(starts),
        *(0 if a is None else address(a) for a in (path, loss, rates)),
        0 if order is None else address(keep[0]),
        batch,
        address(keep[1]),
        address(keep[2]),
        rows,
        address(keep[3]),
    ]
    run_kernel(call, job, count, 1)
    return Trace(np.arange(records, dtype=np.int64) * every, loss, path, rates)
