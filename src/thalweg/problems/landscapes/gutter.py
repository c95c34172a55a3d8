"""The gutter: a long valley whose slope along it is bounded by 1.

    f(x, y) = 50 y^2 + log cosh x

with log cosh x = |x| + log(1 + (e^(-2|x|) - 1) / 2), which does not overflow.
Source: this catalogue; log cosh is the usual smooth |x|.
"""

from ...core import abs, exp, expm1, log1p, tanh
from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    a = abs(x)
    return 50 * y * y + (a + log1p(0.5 * expm1(-2 * a)))


def gradient(x, y, /):
    return tanh(x), 100 * y


def hessian(x, y, /):
    e = exp(-2 * abs(x))
    return 4 * e / ((1 + e) * (1 + e)), 0, 100


def gutter() -> FormulaProblem:
    """The gutter from (-10, 1)."""
    return FormulaProblem(
        "gutter",
        "Gutter",
        "A long valley: curvature 100 across, and along it a slope that never exceeds 1; minimum 0 at 0.",
        Objective(value, gradient, hessian),
        starts=[(-10, 1)],
        spread=0.1,
        minima=[(0, 0)],
        minimum=0.0,
        window=((-12, 4), (-1.5, 1.5)),
    )


PROBLEMS = {"gutter": gutter}
