"""The function of Goldstein and Price: values over six decades.

    f(x, y) = a(x + y) b(2 x - 3 y)
    a(t) = 1 + (t + 1)^2 (3 t^2 - 14 t + 19)
    b(t) = 30 + t^2 (3 t^2 - 16 t + 18)

which is the usual form with its brackets written in x + y and 2 x - 3 y. Local minima: 30 at
(-0.6, -0.4), 84 at (1.8, 0.2), 840 at (1.2, 0.8).
Source: Goldstein & Price, Math. Comp. 25 (1971) 569-574.
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    return first(x + y) * second(2 * x - 3 * y)


def gradient(x, y, /):
    s = x + y
    t = 2 * x - 3 * y
    p = first_slope(s) * second(t)
    q = first(s) * second_slope(t)
    return p + 2 * q, p - 3 * q


def hessian(x, y, /):
    s = x + y
    t = 2 * x - 3 * y
    p = 12 * (3 * s * s - 4 * s - 1) * second(t)
    q = first_slope(s) * second_slope(t)
    r = first(s) * 12 * (3 * t * t - 8 * t + 3)
    return p + 4 * q + 4 * r, p - q - 6 * r, p - 6 * q + 9 * r


def first(t):
    return 1 + (t + 1) * (t + 1) * (3 * t * t - 14 * t + 19)


def first_slope(t):
    return 12 * (t + 1) * (t - 1) * (t - 2)


def second(t):
    return 30 + t * t * (3 * t * t - 16 * t + 18)


def second_slope(t):
    return 12 * t * (t - 1) * (t - 3)


def goldstein_price() -> FormulaProblem:
    """The function of Goldstein and Price from (1, 1)."""
    return FormulaProblem(
        "goldstein-price",
        "The function of Goldstein and Price",
        "Values over six decades and three local minima besides the least, 3 at (0, -1).",
        Objective(value, gradient, hessian),
        starts=[(1, 1)],
        spread=0.1,
        minima=[(0, -1)],
        minimum=3.0,
        window=((-2, 2), (-2, 2)),
    )


PROBLEMS = {"goldstein-price": goldstein_price}
