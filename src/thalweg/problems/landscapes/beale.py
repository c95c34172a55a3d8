"""Beale's function: flat arms, huge corners, one minimum at (3, 1/2).

    f(x, y) = (1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2

Source: Beale, Princeton technical report 25 (1958); Moré, Garbow & Hillstrom, ACM TOMS 7 (1981), 5.
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    a = 1.5 - x + x * y
    b = 2.25 - x + x * y * y
    c = 2.625 - x + x * y * y * y
    return a * a + b * b + c * c


def gradient(x, y, /):
    a = 1.5 - x + x * y
    b = 2.25 - x + x * y * y
    c = 2.625 - x + x * y * y * y
    dx = a * (y - 1) + b * (y * y - 1) + c * (y * y * y - 1)
    dy = x * (a + 2 * b * y + 3 * c * y * y)
    return 2 * dx, 2 * dy


def hessian(x, y, /):
    a = 1.5 - x + x * y
    b = 2.25 - x + x * y * y
    c = 2.625 - x + x * y * y * y
    p = y - 1
    q = y * y - 1
    r = y * y * y - 1
    xx = p * p + q * q + r * r
    xy = a + 2 * b * y + 3 * c * y * y + x * (p + 2 * q * y + 3 * r * y * y)
    yy = x * (x + 2 * b + 4 * x * y * y + 6 * c * y + 9 * x * y * y * y * y)
    return 2 * xx, 2 * xy, 2 * yy


def beale() -> FormulaProblem:
    """Beale's function from (1, 1)."""
    return FormulaProblem(
        "beale",
        "Beale's function",
        "A flat valley with steep corners; the minimum 0 lies at (3, 0.5).",
        Objective(value, gradient, hessian),
        starts=[(1, 1), (3, 4), (-1.5, -1.5)],
        spread=0.1,
        minima=[(3, 0.5)],
        minimum=0.0,
        window=((-4.5, 4.5), (-4.5, 4.5)),
    )


PROBLEMS = {"beale": beale}
