"""Rosenbrock's function: a curved valley with a nearly flat floor, minimum at (1, 1).

    f(x, y) = (1 - x)^2 + 100 (y - x^2)^2

Source: Rosenbrock, Comput. J. 3 (1960) 175-184.
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    a = 1 - x
    b = y - x * x
    return a * a + 100 * b * b


def gradient(x, y, /):
    b = y - x * x
    return -2 * (1 - x) - 400 * x * b, 200 * b


def hessian(x, y, /):
    return 2 - 400 * (y - 3 * x * x), -400 * x, 200


def rosenbrock() -> FormulaProblem:
    """Rosenbrock's function from (-1.2, 1)."""
    return FormulaProblem(
        "rosenbrock",
        "Rosenbrock's function",
        "A curved valley whose floor falls slowly to the minimum 0 at (1, 1).",
        Objective(value, gradient, hessian),
        starts=[(-1.2, 1), (-2, 2)],
        spread=0.1,
        minima=[(1, 1)],
        minimum=0.0,
        window=((-2, 2), (-1, 3)),
    )


PROBLEMS = {"rosenbrock": rosenbrock}
