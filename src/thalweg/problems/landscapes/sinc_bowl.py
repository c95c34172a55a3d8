"""The sinc bowl: ripples and flats around one deep well.

    f(x, y) = -sin r / r + r^2 / 100,   r = 10 sqrt(x^2 + y^2) + 1/100

At the origin, its minimum -sin(0.01)/0.01 + 1e-6 = -0.999982, it is not differentiable: the slope
along every ray is 0.035. Gradient and Hessian are 0 there by convention. The only other minima are
the circle of radius 0.663, of the value 0.388.
Source: the plateau of gradient_descent_viz, a program to watch methods with (L. Jiang).
"""

from ...core import cos, ratio, sin, sqrt
from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    r = 10 * sqrt(x * x + y * y) + 0.01
    return 0.01 * r * r - sin(r) / r


def gradient(x, y, /):
    s = sqrt(x * x + y * y)
    d = 10 * slope(10 * s + 0.01)
    return d * ratio(x, s), d * ratio(y, s)


def hessian(x, y, /):
    s = sqrt(x * x + y * y)
    u = ratio(x, s)
    v = ratio(y, s)
    r = 10 * s + 0.01
    a = 100 * curvature(r)
    b = 10 * ratio(slope(r), s)
    return a * u * u + b * v * v, (a - b) * u * v, a * v * v + b * u * u


def slope(r):
    return (sin(r) - r * cos(r)) / (r * r) + 0.02 * r


def curvature(r):
    return sin(r) / r - 2 * (sin(r) - r * cos(r)) / (r * r * r) + 0.02


def sinc_bowl() -> FormulaProblem:
    """The sinc bowl from (1.5, 1.5)."""
    return FormulaProblem(
        "sinc-bowl",
        "Sinc bowl",
        "Circular ripples on a nearly flat bowl; the minimum -0.99998 is the small cusp at the origin.",
        Objective(value, gradient, hessian),
        starts=[(1.5, 1.5)],
        spread=0.1,
        minima=[(0, 0)],
        minimum=-0.9999823334166665,
        window=((-2, 2), (-2, 2)),
    )


PROBLEMS = {"sinc-bowl": sinc_bowl}
