"""Matyas's function: a quadratic of condition 25, turned by 45 degrees.

    f(x, y) = 0.26 (x^2 + y^2) - 0.48 x y = 0.01 (x + y)^2 + 0.25 (x - y)^2

Source: Matyas, Automation and Remote Control 26 (1965) 246-253.
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    a = x + y
    b = x - y
    return 0.01 * a * a + 0.25 * b * b


def gradient(x, y, /):
    a = 0.02 * (x + y)
    b = 0.5 * (x - y)
    return a + b, a - b


def hessian(x, y, /):
    return 0.52, -0.48, 0.52


def matyas() -> FormulaProblem:
    """Matyas's function from (8, -2)."""
    return FormulaProblem(
        "matyas",
        "Matyas's function",
        "A quadratic of condition 25 turned by 45°: methods that scale each coordinate gain nothing.",
        Objective(value, gradient, hessian),
        starts=[(8, -2)],
        spread=0.1,
        minima=[(0, 0)],
        minimum=0.0,
        window=((-10, 10), (-10, 10)),
    )


PROBLEMS = {"matyas": matyas}
