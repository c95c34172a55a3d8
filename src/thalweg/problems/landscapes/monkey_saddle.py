"""The monkey saddle with a floor: three valleys, and a Hessian that vanishes at the origin.

    f(x, y) = x^3 - 3 x y^2 + bound (x^2 + y^2)^2

With r = 3/(4 bound) its minima -r^3/4 lie at (-r, 0) and (r/2, ±sqrt(3)/2 r); with bound = 0 there
are none.
Source: Hilbert & Cohn-Vossen, Geometry and the Imagination, 29, for the saddle; the floor is ours.
"""

from math import isfinite, sqrt

from ...core.objective import Objective
from ...errors import ProblemError
from ..formula import FormulaProblem, fixed


def value(x, y, /, bound):
    r = x * x + y * y
    return x * (x * x - 3 * y * y) + bound * r * r


def gradient(x, y, /, bound):
    b = 4 * bound * (x * x + y * y)
    return 3 * (x * x - y * y) + b * x, b * y - 6 * x * y


def hessian(x, y, /, bound):
    xx = 6 * x + 4 * bound * (3 * x * x + y * y)
    yy = 4 * bound * (x * x + 3 * y * y) - 6 * x
    return xx, (8 * bound * x - 6) * y, yy


def monkey_saddle(bound: float = 0.25) -> FormulaProblem:
    """The monkey saddle from (0.1, 0.05); ``bound`` >= 0 makes its floor. Raises ProblemError."""
    if not (isfinite(bound) and bound >= 0):
        raise ProblemError(f"monkey-saddle: bound must lie in [0, inf), got {bound!r}")
    r = 0.75 / bound if bound else 3.0
    side = 4 / 3 * r
    h = 0.5 * sqrt(3) * r
    return FormulaProblem(
        "monkey-saddle",
        "Bounded monkey saddle" if bound else "Monkey saddle",
        "Three valleys leave the origin, where gradient and Hessian vanish"
        + (f"; the minima {-(r**3) / 4:g} lie {r:g} away from it." if bound else "."),
        fixed(Objective(value, gradient, hessian), bound=bound),
        starts=[(0.1, 0.05)],
        spread=0.01,
        minima=[(-r, 0), (0.5 * r, h), (0.5 * r, -h)] if bound else [],
        minimum=-(r**3) / 4 if bound else None,
        window=((-side, side), (-side, side)),
    )


PROBLEMS = {"monkey-saddle": monkey_saddle}
