"""The inside of a compiled run of a scored objective: linear models and quadratics of any width.

A row of ``data`` holds a (d numbers) and y; a step takes the scores z = a · x of its rows, adds
slope(z, y) a to the gradient and moves all coordinates in one vectorised loop. Sums run in eight lanes.
"""

from ...core.objective import Scored
from ...core.update import Update
from ...printing.loop import summed_in_lanes, updated
from ...printing.python import indented
from .loop_unrolled import Inside
from .text import PRINTER, Pointers

_DOT = """
def dot(n, a, x):
    distinct()
{lanes}
"""
_ADD = """
def add(n, s, a, g):
    distinct()
    for i in range(n):
        g[i] += s * a[i]
"""
_MOVE = """
def move({arguments}):
    distinct()
{loop}
"""


class _Summed(Pointers):
    """Arrays of which the gradient is a sum over a batch that is begun anew when it is read."""

    def load(self, array: str, index: str = "i") -> str:
        value = super().load(array, index)
        return f"{value} / batch" if array == "g" else value


def inside(update: Update, states: tuple[str, ...], objective: Scored) -> Inside:
    """Return the lines of one configuration's run; float64 only."""
    value, slope, _ = objective.formulas
    read = ["g", *(n for n in update.arrays if n not in ("g", "_rate"))]
    held = [*read, "_rate"]
    memory = _Summed(held, (), "float64")
    step_of_all = updated(PRINTER, memory, update, read)
    lanes = summed_in_lanes("D(0.0)", lambda i: f"a[{i}] * x[{i}]")
    functions = {
        "dot": _DOT.format(lanes=indented(lanes, 1)),
        "add": _ADD,
        "move": _MOVE.format(
            arguments=", ".join(["n", *memory.place.values(), "batch", *map(PRINTER.name, update.scalars)]),
            loop=indented(step_of_all.loop([memory.store("g", "D(0.0)")]), 1),
        ),
    }
    at = [f"a_{n} = work + 8 * d * (c * {len(held)} + {k})" for k, n in enumerate(held)]
    initial = {"g": "D(0.0)", "w": "starts[c * d + i]", "_rate": "D(math.nan)"} | {
        s: f"h_{s}" for s in states
    }
    start = [*at, "for i in range(d):", *(f"    reals(a_{n})[i] = {initial[n]}" for n in held)]

    def scored(body: list[str]) -> list[str]:
        head = ["z = dot(d, reals(job[DATA] + 8 * q * (d + 1)), reals(a_w))", "y = data[q * (d + 1) + d]"]
        return [f"    {line}" for line in (*head, *body)]

    score = {"z": "z", "y": "y"}
    lines, outputs = PRINTER.named("s_", score).section(slope)
    (result,) = outputs.values()
    step = ["for b in range(batch):"]
    step.append("    q = order[(stream[c] * steps + t - 1) * batch + b] if shuffled else b")
    step += scored([*lines, f"add(d, {result}, reals(job[DATA] + 8 * q * (d + 1)), reals(a_g))"])
    arguments = ["d", *(f"reals(a_{n})" for n in held), "D(batch)", *(f"k_{n}" for n in update.scalars)]
    step.append(f"move({', '.join(arguments)})")

    lines, outputs = PRINTER.named("v_", score).section(value)
    (result,) = outputs.values()
    loss = ["loss = D(0.0)", "for q in range(rows):"]
    loss += [*scored([*lines, f"loss = loss + {result}"]), "loss = loss / D(rows)"]
    copy = ["for i in range(d):", "    {0}[k * d + i] = reals({1})[i]"]
    return Inside(
        functions,
        start,
        step,
        loss,
        [line.format("paths", "a_w") for line in copy],
        [line.format("rates", "a__rate") for line in copy],
    )
