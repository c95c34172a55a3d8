"""The six-hump camel: six minima in three pairs, mirrored at the origin.

    f(x, y) = (4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (-4 + 4 y^2) y^2

Local minima: -0.215464 at ±(1.703607, -0.796084), 2.104250 at ±(1.607105, 0.568651).
Source: Dixon & Szegő, Towards Global Optimisation 2, North-Holland (1978) 1-15.
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    a = x * x
    b = y * y
    return a * (4 - 2.1 * a + a * a / 3) + x * y + 4 * b * (b - 1)


def gradient(x, y, /):
    a = x * x
    b = y * y
    return x * (8 - 8.4 * a + 2 * a * a) + y, x + y * (16 * b - 8)


def hessian(x, y, /):
    a = x * x
    return 8 - 25.2 * a + 10 * a * a, 1, 48 * y * y - 8


def six_hump_camel() -> FormulaProblem:
    """The six-hump camel from (1.5, 1)."""
    return FormulaProblem(
        "six-hump-camel",
        "Six-hump camel",
        "Six minima in three pairs; the two least, -1.0316, lie at ±(0.0898, -0.7127).",
        Objective(value, gradient, hessian),
        starts=[(1.5, 1)],
        spread=0.1,
        minima=[
            (0.08984201310031806, -0.7126564030207396),
            (-0.08984201310031806, 0.7126564030207396),
        ],
        minimum=-1.0316284534898774,
        window=((-2, 2), (-1.2, 1.2)),
    )


PROBLEMS = {"six-hump-camel": six_hump_camel}
