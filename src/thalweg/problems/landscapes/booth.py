"""Booth's function: a quadratic of condition 9, turned by 45 degrees.

    f(x, y) = (x + 2 y - 7)^2 + (2 x + y - 5)^2

Source: Jamil & Yang, A literature survey of benchmark functions, IJMMNO 4 (2013) 150-194.
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    a = x + 2 * y - 7
    b = 2 * x + y - 5
    return a * a + b * b


def gradient(x, y, /):
    a = x + 2 * y - 7
    b = 2 * x + y - 5
    return 2 * (a + 2 * b), 2 * (2 * a + b)


def hessian(x, y, /):
    return 10, 8, 10


def booth() -> FormulaProblem:
    """Booth's function from (-8, -8)."""
    return FormulaProblem(
        "booth",
        "Booth's function",
        "A quadratic of condition 9 whose axes lie across the coordinates; the minimum 0 lies at (1, 3).",
        Objective(value, gradient, hessian),
        starts=[(-8, -8)],
        spread=0.1,
        minima=[(1, 3)],
        minimum=0.0,
        window=((-10, 10), (-10, 10)),
    )


PROBLEMS = {"booth": booth}
