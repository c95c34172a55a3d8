"""The inside of a compiled run of a scored objective: linear models and quadratics of any width.

A row of ``data`` holds a (d numbers) and y; a step takes the scores z = a · x of its rows, adds
slope(z, y) a to the gradient and moves all coordinates in one vectorised loop. Sums run in eight lanes.
"""

from ...core.objective import Scored
from ...core.update import Update
from ...printing.python import indented
from .dense import PRINTER
from .loop_unrolled import Inside, section

_DOT = """
def dot(n, a, x):
    distinct()
    {zeros} = D(0.0)
    whole = n - n % 8
    for i in range(0, whole, 8):
{lanes}
    for i in range(whole, n):
        lane0 += a[i] * x[i]
    return ((lane0 + lane1) + (lane2 + lane3)) + ((lane4 + lane5) + (lane6 + lane7))
"""
_ADD = """
def add(n, s, a, g):
    distinct()
    for i in range(n):
        g[i] += s * a[i]
"""
_MOVE = """
def move(n, {pointers}, batch, {scalars}):
    distinct()
    for i in range(n):
        g = p_g[i] / batch
        p_g[i] = D(0.0)
{body}
"""


def inside(update: Update, states: tuple[str, ...], objective: Scored) -> Inside:
    """The lines of one configuration's run; float64 only."""
    value, slope, _ = objective.formulas
    arrays = [n for n in update.arrays if n not in ("g", "_rate")]
    held = ["g", *arrays, "_rate"]
    body = [f"{n} = p_{n}[i]" for n in arrays]
    body += PRINTER.lines(update.body)
    body += [f"new{k} = {PRINTER.expression(e)}" for k, e in enumerate(update.written.values())]
    body += [f"p_{n}[i] = new{k}" for k, n in enumerate(update.written)]
    lanes = [f"lane{j} += a[i + {j}] * x[i + {j}]" for j in range(8)]
    scalars = [f"k_{n}" for n in update.scalars]
    functions = {
        "dot": _DOT.format(zeros=" = ".join(f"lane{j}" for j in range(8)), lanes=indented(lanes, 2)),
        "add": _ADD,
        "move": _MOVE.format(
            pointers=", ".join(f"p_{n}" for n in held),
            scalars=", ".join(update.scalars),
            body=indented(body, 2),
        ).replace(", ):", "):"),
    }
    at = [f"a_{n} = work + 8 * d * (c * {len(held)} + {k})" for k, n in enumerate(held)]
    initial = {"g": "D(0.0)", "w": "starts[c * d + i]", "_rate": "D(math.nan)"} | {
        s: f"h_{s}" for s in states
    }
    start = [*at, "for i in range(d):", *(f"    reals(a_{n})[i] = {initial[n]}" for n in held)]

    def scored(formula_lines: list[str]) -> list[str]:
        head = ["z = dot(d, reals(job[13] + 8 * q * (d + 1)), reals(a_w))", "y = data[q * (d + 1) + d]"]
        return [f"    {line}" for line in (*head, *formula_lines)]

    lines, made = section(slope, "s_", {"z": "z", "y": "y"})
    (result,) = made.values()
    step = ["for b in range(batch):"]
    step.append("    q = order[(stream[c] * steps + t - 1) * batch + b] if shuffled else b")
    step += scored([*lines, f"add(d, {result}, reals(job[13] + 8 * q * (d + 1)), reals(a_g))"])
    given = ", ".join([*(f"reals(a_{n})" for n in held), "D(batch)", *scalars])
    step.append(f"move(d, {given})")

    lines, made = section(value, "v_", {"z": "z", "y": "y"})
    (result,) = made.values()
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
