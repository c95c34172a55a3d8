"""Easom's function: a flat plateau with one well. Gradients at its usual starts are 1e-5 and less.

    f(x, y) = -cos x cos y e^(-(x - pi)^2 - (y - pi)^2)

Source: Easom, A survey of global optimization techniques, thesis, University of Louisville (1990).
"""

from ...core import cos, exp, sin
from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    a = x - 3.141592653589793
    b = y - 3.141592653589793
    return -cos(x) * cos(y) * exp(-(a * a + b * b))


def gradient(x, y, /):
    a = x - 3.141592653589793
    b = y - 3.141592653589793
    e = exp(-(a * a + b * b))
    p = sin(x) + 2 * a * cos(x)
    q = sin(y) + 2 * b * cos(y)
    return e * p * cos(y), e * cos(x) * q


def hessian(x, y, /):
    a = x - 3.141592653589793
    b = y - 3.141592653589793
    e = exp(-(a * a + b * b))
    p = sin(x) + 2 * a * cos(x)
    q = sin(y) + 2 * b * cos(y)
    xx = (3 - 4 * a * a) * cos(x) - 4 * a * sin(x)
    yy = (3 - 4 * b * b) * cos(y) - 4 * b * sin(y)
    return e * xx * cos(y), -e * p * q, e * cos(x) * yy


def easom() -> FormulaProblem:
    """Easom's function from (0.5, 0.5)."""
    return FormulaProblem(
        "easom",
        "Easom's function",
        "A plateau with one well, -1 at (π, π): far from it every gradient is tiny, and ε decides.",
        Objective(value, gradient, hessian),
        starts=[(0.5, 0.5), (6, 1)],
        spread=0.1,
        minima=[(3.141592653589793, 3.141592653589793)],
        minimum=-1.0,
        window=((-2, 8), (-2, 8)),
    )


PROBLEMS = {"easom": easom}
