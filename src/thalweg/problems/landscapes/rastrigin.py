"""Rastrigin's function: a bowl with a local minimum in every unit square, the least one at 0.

    f(x, y) = 20 + x^2 - 10 cos 2 pi x + y^2 - 10 cos 2 pi y
            = x^2 + 20 sin^2 pi x + y^2 + 20 sin^2 pi y        (computed so: exact near 0)

Source: Rastrigin, Systems of Extremal Control, Nauka (1974).
"""

from ...core import cos, sin
from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    s = sin(3.141592653589793 * x)
    t = sin(3.141592653589793 * y)
    return x * x + 20 * s * s + (y * y + 20 * t * t)


def gradient(x, y, /):
    return slope(x), slope(y)


def hessian(x, y, /):
    return curvature(x), 0, curvature(y)


def slope(z):
    return 2 * z + 62.83185307179586 * sin(6.283185307179586 * z)  # 20 pi, 2 pi


def curvature(z):
    return 2 + 394.78417604357435 * cos(6.283185307179586 * z)  # 40 pi^2


def rastrigin() -> FormulaProblem:
    """Rastrigin's function from (-2, 3.5)."""
    return FormulaProblem(
        "rastrigin",
        "Rastrigin's function",
        "A bowl covered with a regular grid of local minima; the least, 0, lies at the origin.",
        Objective(value, gradient, hessian),
        starts=[(-2, 3.5)],
        spread=0.1,
        minima=[(0, 0)],
        minimum=0.0,
        window=((-5.12, 5.12), (-5.12, 5.12)),
    )


PROBLEMS = {"rastrigin": rastrigin}
