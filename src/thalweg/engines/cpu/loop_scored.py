"""The inside of a compiled run of a scored objective: linear models and quadratics of any width.

A dense row of ``data`` holds a (d numbers) and y; a step takes the scores z = a · x of its rows, adds
slope(z, y) a to the gradient and moves all coordinates in one vectorised loop. Sums run in eight lanes.
A sparse row holds some of d - 1 numbers, and a last one that is 1; its sums run in the order of its entries, and
slopes are divided by their number before they are added, as ``problems.linear`` does with SciPy: to the same bits.
"""

from typing import NamedTuple

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
_PICK = """
def pick(lo, hi, indices, a, x):
    z = D(0.0)
    for e in range(lo, hi):
        z += a[e] * x[indices[e]]
    return z
"""
_SCATTER = """
def scatter(lo, hi, indices, s, a, g):
    for e in range(lo, hi):
        g[indices[e]] += s * a[e]
"""
_PENALISE = """
def penalise(n, l2, divisor, x, g):
    distinct()
    for i in range(n):
        g[i] = g[i] / divisor + l2 * x[i]
"""
_MOVE = """
def move({arguments}):
    distinct()
{loop}
"""


class _Rows(NamedTuple):
    """How a kernel reads row q: lines that give its score z and y, and those that add s times it to the gradient.

    early: whether slopes are divided by the number of rows before they are added, not the sum.
    """

    functions: dict[str, str]
    read: list[str]
    add: list[str]
    early: bool


_DENSE = _Rows(
    {"add": _ADD},
    ["z = dot(d, reals(job[DATA] + 8 * q * (d + 1)), reals(a_w))", "y = data[q * (d + 1) + d]"],
    ["add(d, s, reals(job[DATA] + 8 * q * (d + 1)), reals(a_g))"],
    early=False,
)
_SPARSE = _Rows(
    {"pick": _PICK, "scatter": _SCATTER},
    [
        "lo = np.int64(indptr[q])",
        "hi = np.int64(indptr[q + 1])",
        "z = pick(lo, hi, indices, data, reals(a_w)) + reals(a_w)[d - 1]",
        "y = targets[q]",
    ],
    ["scatter(lo, hi, indices, s, data, reals(a_g))", "reals(a_g)[d - 1] += s"],
    early=True,
)


class _Summed(Pointers):
    """Arrays of which the gradient is a sum that is divided, and begun anew, when it is read."""

    def load(self, array: str, index: str = "i") -> str:
        value = super().load(array, index)
        return f"{value} / divisor" if array == "g" else value


def inside(update: Update, states: tuple[str, ...], objective: Scored, *, sparse: bool) -> Inside:
    """Return the lines of one configuration's run over dense or sparse rows; float64 only."""
    rows = _SPARSE if sparse else _DENSE
    value, slope, _ = objective.formulas
    read = ["g", *(n for n in update.arrays if n not in ("g", "_rate"))]
    held = [*read, "_rate"]
    memory = _Summed(held, (), "float64")
    step_of_all = updated(PRINTER, memory, update, read)
    lanes = summed_in_lanes("D(0.0)", lambda i: f"a[{i}] * x[{i}]")
    functions = {
        "dot": _DOT.format(lanes=indented(lanes, 1)),
        **rows.functions,
        "penalise": _PENALISE,
        "move": _MOVE.format(
            arguments=", ".join(["n", *memory.place.values(), "divisor", *map(PRINTER.name, update.scalars)]),
            loop=indented(step_of_all.loop([memory.store("g", "D(0.0)")]), 1),
        ),
    }
    at = [f"a_{n} = work + 8 * d * (c * {len(held)} + {k})" for k, n in enumerate(held)]
    initial = {"g": "D(0.0)", "w": "starts[c * d + i]", "_rate": "D(math.nan)"} | {
        s: f"h_{s}" for s in states
    }
    start = [*at, "for i in range(d):", *(f"    reals(a_{n})[i] = {initial[n]}" for n in held)]

    score = {"z": "z", "y": "y"}
    lines, outputs = PRINTER.named("s_", score).section(slope)
    (result,) = outputs.values()
    share = " * (1.0 / divisor)" if rows.early else ""
    each = [*rows.read, *lines, f"s = {result}{share}", *rows.add]
    step = [
        "at = (stream[c] * steps + t - 1) * batch",
        "used = batch",
        "if shuffled:",
        "    used = 0",
        "    while used < batch and order[at + used] >= 0:",
        "        used += 1",
        "divisor = D(used)",
        "for b in range(used):",
        "    q = order[at + b] if shuffled else b",
        *(f"    {line}" for line in each),
        *["divisor = D(1.0)"] * rows.early,
        "if penalty != 0.0:",
        "    penalise(d - 1, penalty, divisor, reals(a_w), reals(a_g))",
        "    reals(a_g)[d - 1] /= divisor",
        "    divisor = D(1.0)",
    ]
    arguments = ["d", *(f"reals(a_{n})" for n in held), "divisor", *(f"k_{n}" for n in update.scalars)]
    step.append(f"move({', '.join(arguments)})")

    lines, outputs = PRINTER.named("v_", score).section(value)
    (result,) = outputs.values()
    each = [*rows.read, *lines, f"loss = loss + {result}"]
    loss = ["loss = D(0.0)", "for q in range(rows):", *(f"    {line}" for line in each)]
    loss += ["loss = loss / D(rows)", "if penalty != 0.0:"]
    loss.append("    loss = loss + 0.5 * penalty * dot(d - 1, reals(a_w), reals(a_w))")
    copy = ["for i in range(d):", "    {0}[{1} * d + i] = reals({2})[i]"]
    return Inside(
        functions,
        start,
        step,
        loss,
        [line.format("paths", "place", "a_w") for line in copy],
        [line.format("rates", "k", "a__rate") for line in copy],
    )
