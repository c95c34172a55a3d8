"""Griewank's function: from afar a bowl, from near a field of ripples.

    f(x, y) = 1 + (x^2 + y^2) / 4000 - cos x cos(y / sqrt 2)

with 1 - cos a cos b computed as sin^2((a + b)/2) + sin^2((a - b)/2), which is exact near 0.
Source: Griewank, J. Optim. Theory Appl. 34 (1981) 11-39.
"""

from ...core import cos, sin
from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    b = 0.7071067811865476 * y
    p = sin(0.5 * (x + b))
    q = sin(0.5 * (x - b))
    return (x * x + y * y) / 4000 + (p * p + q * q)


def gradient(x, y, /):
    b = 0.7071067811865476 * y
    return x / 2000 + sin(x) * cos(b), y / 2000 + 0.7071067811865476 * cos(x) * sin(b)


def hessian(x, y, /):
    b = 0.7071067811865476 * y
    c = cos(x) * cos(b)
    return 0.0005 + c, -0.7071067811865476 * sin(x) * sin(b), 0.0005 + 0.5 * c


def griewank() -> FormulaProblem:
    """Griewank's function from (6, 5)."""
    return FormulaProblem(
        "griewank",
        "Griewank's function",
        "Ripples of unit height on a bowl that is nearly flat; the minimum 0 lies at the origin.",
        Objective(value, gradient, hessian),
        starts=[(6, 5)],
        spread=0.1,
        minima=[(0, 0)],
        minimum=0.0,
        window=((-8, 8), (-8, 8)),
    )


PROBLEMS = {"griewank": griewank}
