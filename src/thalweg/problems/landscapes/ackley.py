"""Ackley's function: ripples on a funnel that ends in a cusp.

    f(x, y) = -20 e^(-s / 5) - e^(1/2 (cos 2 pi x + cos 2 pi y)) + e + 20,   s = sqrt((x^2 + y^2) / 2)

computed as 20 (1 - e^(-s/5)) + e (1 - e^(-sin^2 pi x - sin^2 pi y)), which is exact near 0. At the
origin, its minimum, it is not differentiable: the slope along every ray is 2.83. The cusp's part of
gradient and Hessian is 0 there by convention.
Source: Ackley, A Connectionist Machine for Genetic Hillclimbing, Kluwer (1987).
"""

from ...core import cos, exp, expm1, ratio, sin, sqrt
from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    s = sqrt(0.5 * (x * x + y * y))
    p = sin(3.141592653589793 * x)
    q = sin(3.141592653589793 * y)
    return -20 * expm1(-0.2 * s) - 2.718281828459045 * expm1(-(p * p + q * q))


def gradient(x, y, /):
    s = sqrt(0.5 * (x * x + y * y))
    a = 2 * exp(-0.2 * s)
    w = waves(x, y)
    p = 3.141592653589793 * sin(6.283185307179586 * x)
    q = 3.141592653589793 * sin(6.283185307179586 * y)
    return a * ratio(x, s) + w * p, a * ratio(y, s) + w * q


def hessian(x, y, /):
    s = sqrt(0.5 * (x * x + y * y))
    e = exp(-0.2 * s)
    u = ratio(x, s)
    v = ratio(y, s)
    w = waves(x, y)
    p = 3.141592653589793 * sin(6.283185307179586 * x)
    q = 3.141592653589793 * sin(6.283185307179586 * y)
    pp = 19.739208802178716 * cos(6.283185307179586 * x)  # 2 pi^2
    qq = 19.739208802178716 * cos(6.283185307179586 * y)
    xx = e * (ratio(v * v, s) - 0.2 * u * u) + w * (pp - p * p)
    xy = -e * (ratio(u * v, s) + 0.2 * u * v) - w * p * q
    yy = e * (ratio(u * u, s) - 0.2 * v * v) + w * (qq - q * q)
    return xx, xy, yy


def waves(x, y):
    p = sin(3.141592653589793 * x)
    q = sin(3.141592653589793 * y)
    return 2.718281828459045 * exp(-(p * p + q * q))


def ackley() -> FormulaProblem:
    """Ackley's function from (3, -2.5)."""
    return FormulaProblem(
        "ackley",
        "Ackley's function",
        "Many ripples on a funnel that ends in a cusp, 0 at the origin: a fixed step never settles there.",
        Objective(value, gradient, hessian),
        starts=[(3, -2.5)],
        spread=0.1,
        minima=[(0, 0)],
        minimum=0.0,
        window=((-5, 5), (-5, 5)),
    )


PROBLEMS = {"ackley": ackley}
