"""The inside of a compiled run over a few parameters: every one a variable, all of a step in registers."""

from collections.abc import Mapping
from typing import NamedTuple

from ...core.formula import Formula
from ...core.objective import Objective
from ...core.update import Update
from .dense import PRINTER

LARGEST = 32  # parameters; the loop is unrolled over them


class Inside(NamedTuple):
    """Printed lines of a loop: once before the steps, once a step, and the loss at a record.

    ``functions`` are printed before the loop, by name; ``path`` and ``rates`` write a record.
    """

    functions: Mapping[str, str]
    start: list[str]
    step: list[str]
    loss: list[str]
    path: list[str]
    rates: list[str]


def section(formula: Formula, prefix: str, inputs: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """A formula's lines with its names made its own, and its outputs as source."""
    names = dict(inputs) | {n: f"{prefix}{n}" for n, _ in formula.body}
    printer = PRINTER._replace(names=names)
    return printer.lines(formula.body), {n: printer.expression(e) for n, e in formula.outputs}


def inside(update: Update, states: tuple[str, ...], objective: Objective) -> Inside:
    """The lines of one configuration's run."""
    d = len(objective.parameters)
    x = [f"x{j}" for j in range(d)]
    start = [f"{x[j]} = F(starts[c * {d} + {j}])" for j in range(d)]
    start += [f"{s}_{j} = F(h_{s})" for s in states for j in range(d)]
    start += [f"r{j} = F(math.nan)" for j in range(d)]

    step = []
    parameters = dict(zip(objective.parameters, x, strict=True))
    columns = objective.columns
    row = {n: f"d_{n}" for n in columns}
    read = [f"d_{n} = F(data[q * {len(columns)} + {k}])" for k, n in enumerate(columns)]
    if columns:
        body, grads = section(objective.gradient_formula, "g_", parameters | row)
        step += [f"g{j} = F(0.0)" for j in range(d)]
        step.append("for b in range(batch):")
        step.append("    q = order[(stream[c] * steps + t - 1) * batch + b] if shuffled else b")
        inner = [*read, *body, *(f"g{j} = g{j} + {e}" for j, e in enumerate(grads.values()))]
        step += [f"    {line}" for line in inner]
        step += [f"g{j} = g{j} / F(batch)" for j in range(d)]
    else:
        body, grads = section(objective.gradient_formula, "g_", parameters)
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

    if objective.mean_formula is not None:
        body, value = section(objective.mean_formula, "v_", parameters)
        (result,) = value.values()
        loss = [*body, f"loss = D({result})"]
    else:
        body, value = section(objective.value_formula, "v_", parameters | row)
        (result,) = value.values()
        inner = [*read, *body, f"loss = loss + D({result})"]
        loss = ["loss = D(0.0)", "for q in range(rows):", *(f"    {line}" for line in inner)]
        loss.append("loss = loss / D(rows)")
    return Inside(
        {},
        start,
        step,
        loss,
        [f"paths[k * {d} + {j}] = D({x[j]})" for j in range(d)],
        [f"rates[k * {d} + {j}] = D(r{j})" for j in range(d)],
    )
