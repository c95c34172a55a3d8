"""A bowl with two Gaussian wells, the left one deeper.

    f(x, y) = x^2 + y^2 - 2 e^(-5 ((x - 1)^2 + y^2)) - 3 e^(-5 ((x + 1)^2 + y^2))

The shallower well's local minimum -1.092732 lies at (0.905318, 0).
Source: Dupont, Interactive Visualization of Optimization Algorithms in Deep Learning (2018), with
a = 2, b = 3, c = d = 1/5.
"""

from ...core import exp
from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    p = x - 1
    q = x + 1
    return x * x + y * y - 2 * exp(-5 * (p * p + y * y)) - 3 * exp(-5 * (q * q + y * y))


def gradient(x, y, /):
    p = x - 1
    q = x + 1
    a = 20 * exp(-5 * (p * p + y * y))
    b = 30 * exp(-5 * (q * q + y * y))
    return 2 * x + a * p + b * q, (2 + a + b) * y


def hessian(x, y, /):
    p = x - 1
    q = x + 1
    a = 20 * exp(-5 * (p * p + y * y))
    b = 30 * exp(-5 * (q * q + y * y))
    xx = 2 + a * (1 - 10 * p * p) + b * (1 - 10 * q * q)
    xy = -10 * (a * p + b * q) * y
    yy = 2 + (a + b) * (1 - 10 * y * y)
    return xx, xy, yy


def two_gaussians() -> FormulaProblem:
    """The two wells from (0.75, 1)."""
    return FormulaProblem(
        "two-gaussians",
        "Bowl with two wells",
        "A bowl with a deep well on the left, -2.063 at (-0.936, 0), and a shallower one on the right.",
        Objective(value, gradient, hessian),
        starts=[(0.75, 1)],
        spread=0.1,
        minima=[(-0.9363006340109186, 0)],
        minimum=-2.06309025176819421,
        window=((-2, 2), (-2, 2)),
    )


PROBLEMS = {"two-gaussians": two_gaussians}
