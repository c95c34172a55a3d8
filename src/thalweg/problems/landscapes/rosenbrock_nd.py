"""Rosenbrock's function in n coordinates: one curved valley inside another.

    f(x) = sum over i < n of (1 - x(i))^2 + 100 (x(i+1) - x(i)^2)^2

The minimum 0 lies at (1, ..., 1); for n >= 4 there is a local one near (-1, 1, ..., 1), of the value
3.70 for n = 4 and 3.99 for n = 8.
Source: Kok & Sandrock, Evol. Comput. 17 (2009) 437-453, its stationary points.
"""

from itertools import pairwise
from numbers import Integral

from ...core.formula import from_text
from ...core.objective import Objective
from ...errors import ProblemError
from ..formula import FormulaProblem

LARGEST = 16  # above that the printed formula would be unwieldy


def valleys(n: int) -> Objective:
    """The sum over n - 1 pairs of neighbours, printed."""
    x = [f"x{i + 1}" for i in range(n)]
    pairs = list(pairwise(x))
    head = f"({', '.join(x)}, /):\n"
    lines = "".join(f"    a{i} = 1 - {p}\n    b{i} = {q} - {p} * {p}\n" for i, (p, q) in enumerate(pairs))
    total = " + ".join(f"a{i} * a{i} + 100 * b{i} * b{i}" for i in range(n - 1))
    along = [f"-2 * a{i} - 400 * {p} * b{i}" for i, (p, _) in enumerate(pairs)] + ["0"]
    across = ["0"] + [f"200 * b{i}" for i in range(n - 1)]
    slopes = ", ".join(f"{a} + {b}" for a, b in zip(along, across, strict=True))
    upper = []
    for i in range(n):
        here = "0" if i == n - 1 else f"2 - 400 * (x{i + 2} - 3 * {x[i]} * {x[i]})"
        upper += [f"{here} + {200 if i else 0}", *[f"-400 * {x[i]}"] * (i < n - 1), *["0"] * (n - i - 2)]
    made = from_text(
        f"def value{head}{lines}    return {total}\n\n\n"
        f"def gradient{head}{lines}    return {slopes}\n\n\n"
        f"def hessian{head}    return {', '.join(upper)}\n",
        "rosenbrock-nd",
    )
    return Objective(made["value"], made["gradient"], made["hessian"])


def rosenbrock_nd(n: int = 8) -> FormulaProblem:
    """Rosenbrock's function of n coordinates, 2 to 16, from (-1.2, 1, -1.2, 1, ...). Raises ProblemError."""
    if not isinstance(n, Integral) or not 2 <= n <= LARGEST:
        raise ProblemError(f"rosenbrock-nd: n must be an integer in 2 .. {LARGEST}, got {n!r}")
    return FormulaProblem(
        "rosenbrock-nd",
        f"Rosenbrock's function, n = {n}",
        "A curved valley for each pair of neighbours; the minimum 0 lies where every coordinate is 1.",
        valleys(n),
        starts=[tuple(1.0 if i % 2 else -1.2 for i in range(n))],
        spread=0.1,
        minima=[(1.0,) * n],
        minimum=0.0,
        window=((-2, 2), (-1, 3)) if n == 2 else None,
    )


PROBLEMS = {"rosenbrock-nd": rosenbrock_nd}
