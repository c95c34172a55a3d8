"""The inside of a compiled run of a scored objective: linear models and quadratics of any width.

A dense row of ``data`` holds a (d numbers) and y; a step takes the scores z = a · x of its rows, adds
slope(z, y) a to the gradient and moves all coordinates in one vectorised loop. Sums run in eight lanes.
A sparse row holds some of d - 1 numbers, and a last one that is 1; its sums run in the order of its entries, and
slopes are divided by their number before they are added, as ``problems.linear`` does with SciPy: to the same bits.
"""

from typing import NamedTuple

from ...core.objective import Scored
from .loop_unrolled import Inside
from .loop_wide import BATCH, CALL, FUNCTIONS, PATH, PLACES, RATES
from .text import PRINTER

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


def inside(objective: Scored, *, sparse: bool) -> Inside:
    """Return the lines of one configuration's run over dense or sparse rows; float64 only."""
    rows = _SPARSE if sparse else _DENSE
    value, slope, _ = objective.formulas
    score = {"z": "z", "y": "y"}
    lines, outputs = PRINTER.named("s_", score).section(slope)
    (result,) = outputs.values()
    share = " * (1.0 / D(used))" if rows.early else ""
    each = [*rows.read, *lines, f"s = {result}{share}", *rows.add]
    step = [
        *BATCH,
        "for b in range(used):",
        "    q = order[at + b] if shuffled else b",
        *(f"    {line}" for line in each),
        f"divisor = {'1' if rows.early else 'used'}",
        "if penalty != 0.0:",
        "    penalise(d - 1, penalty, D(divisor), reals(a_w), reals(a_g))",
        "    reals(a_g)[d - 1] /= D(divisor)",
        "    divisor = 1",
        *CALL,
    ]
    lines, outputs = PRINTER.named("v_", score).section(value)
    (result,) = outputs.values()
    each = [*rows.read, *lines, f"loss = loss + {result}"]
    loss = ["loss = D(0.0)", "for q in range(rows):", *(f"    {line}" for line in each)]
    loss += ["loss = loss / D(rows)", "if penalty != 0.0:"]
    loss.append("    loss = loss + 0.5 * penalty * dot(d - 1, reals(a_w), reals(a_w))")
    return Inside({**FUNCTIONS, **rows.functions}, PLACES, step, loss, PATH, RATES)
