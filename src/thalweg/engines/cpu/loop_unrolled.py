"""The inside of a compiled run over a few parameters: every one a variable, all of a step in registers."""

from collections.abc import Mapping
from typing import NamedTuple

from ...core.objective import Objective
from ...core.update import Update
from ...printing.loop import updated
from .text import PRINTER

LARGEST = 32  # parameters; the loop is unrolled over them


class Inside(NamedTuple):
    """Printed lines of a loop: once before the steps, once a step, and the loss at a record.

    ``functions`` are printed before the loop, by name; ``path`` writes record ``place``, ``rates`` record k.
    """

    functions: Mapping[str, str]
    start: list[str]
    step: list[str]
    loss: list[str]
    path: list[str]
    rates: list[str]


class _Registers(NamedTuple):
    """Arrays of which every coordinate is a variable of its own: what writing one says."""

    variables: Mapping[str, str]

    def load(self, array: str) -> str:
        return self.variables[array]

    def store(self, array: str, value: str) -> str:
        return f"{self.variables[array]} = {value}"


def inside(update: Update, states: tuple[str, ...], objective: Objective) -> Inside:
    """Return the lines of one configuration's run."""
    d = len(objective.parameters)
    x = [f"x{j}" for j in range(d)]
    start = [f"{x[j]} = F(starts[c * {d} + {j}])" for j in range(d)]
    start += [f"s{j}_{s} = F(h_{s})" for s in states for j in range(d)]
    start += [f"r{j} = F(math.nan)" for j in range(d)]

    step = []
    parameters = dict(zip(objective.parameters, x, strict=True))
    columns = objective.columns
    row = {n: f"d_{n}" for n in columns}
    read = [f"d_{n} = F(data[q * {len(columns)} + {k}])" for k, n in enumerate(columns)]
    body, gradient = PRINTER.named("g_", parameters | row).section(objective.gradient_formula)
    if columns:
        step += [f"g{j} = F(0.0)" for j in range(d)]
        step.append("for b in range(batch):")
        step.append("    q = order[(stream[c] * steps + t - 1) * batch + b] if shuffled else b")
        inner = [*read, *body, *(f"g{j} = g{j} + {e}" for j, e in enumerate(gradient.values()))]
        step += [f"    {line}" for line in inner]
        step += [f"g{j} = g{j} / F(batch)" for j in range(d)]
    else:
        step += body + [f"g{j} = {e}" for j, e in enumerate(gradient.values())]
    scalars = {n: f"k_{n}" for n in update.scalars}
    for j in range(d):
        variables = {"w": x[j], "g": f"g{j}", "_rate": f"r{j}", **{s: f"s{j}_{s}" for s in states}}
        printer = PRINTER.named(f"v{j}_", scalars | variables)
        coordinate = updated(printer, _Registers(variables), update, read=())
        step += [*coordinate.lines, *coordinate.stores]

    if objective.mean_formula is not None:
        body, value = PRINTER.named("v_", parameters).section(objective.mean_formula)
        (result,) = value.values()
        loss = [*body, f"loss = D({result})"]
    else:
        body, value = PRINTER.named("v_", parameters | row).section(objective.value_formula)
        (result,) = value.values()
        inner = [*read, *body, f"loss = loss + D({result})"]
        loss = ["loss = D(0.0)", "for q in range(rows):", *(f"    {line}" for line in inner)]
        loss.append("loss = loss / D(rows)")
    return Inside(
        {},
        start,
        step,
        loss,
        [f"paths[place * {d} + {j}] = D({x[j]})" for j in range(d)],
        [f"rates[k * {d} + {j}] = D(r{j})" for j in range(d)],
    )
