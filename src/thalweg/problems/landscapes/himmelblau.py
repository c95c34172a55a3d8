"""Himmelblau's function: four equal minima around one hill.

    f(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2

The local maximum 181.616522 lies at (-0.270845, -0.923039).
Source: Himmelblau, Applied Nonlinear Programming, McGraw-Hill (1972).
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    a = x * x + y - 11
    b = x + y * y - 7
    return a * a + b * b


def gradient(x, y, /):
    a = x * x + y - 11
    b = x + y * y - 7
    return 2 * (2 * a * x + b), 2 * (a + 2 * b * y)


def hessian(x, y, /):
    a = x * x + y - 11
    b = x + y * y - 7
    return 2 * (2 * a + 4 * x * x + 1), 4 * (x + y), 2 * (2 * b + 4 * y * y + 1)


def himmelblau() -> FormulaProblem:
    """Himmelblau's function from the origin."""
    return FormulaProblem(
        "himmelblau",
        "Himmelblau's function",
        "Four minima of the value 0 around a hill at (-0.27, -0.92): which basin does a method fall into?",
        Objective(value, gradient, hessian),
        starts=[(0, 0), (-0.27, -0.92)],
        spread=0.1,
        minima=[
            (3, 2),
            (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.283185991286169),
            (3.584428340330492, -1.8481265269644036),
        ],
        minimum=0.0,
        window=((-5, 5), (-5, 5)),
    )


PROBLEMS = {"himmelblau": himmelblau}
