"""The saddle, and the same with a floor under it.

    f(x, y) = x^2 - y^2 + bound y^4

With bound = 0 it falls for ever along y; else its minima -1/(4 bound) lie at (0, ±sqrt(1/(2 bound))).
A start on the x axis, where the gradient has no y part, is stuck for ever.
Source: the textbook's saddle; compare Dauphin et al., NeurIPS 27 (2014), arXiv:1406.2572.
"""

from functools import partial
from math import isfinite, sqrt

from ...core.objective import Objective
from ...errors import ProblemError
from ..formula import FormulaProblem, fixed


def value(x, y, /, bound):
    return x * x - y * y + bound * (y * y * y * y)


def gradient(x, y, /, bound):
    return 2 * x, 4 * bound * y * y * y - 2 * y


def hessian(x, y, /, bound):
    return 2, 0, 12 * bound * y * y - 2


def saddle(bound: float = 0.0) -> FormulaProblem:
    """The saddle from (1, 0.001); ``bound`` >= 0 makes its floor. Raises ProblemError."""
    if not (isfinite(bound) and bound >= 0):
        raise ProblemError(f"saddle: bound must lie in [0, inf), got {bound!r}")
    reach = sqrt(0.5 / bound) if bound else 0.5
    side = 1.0 if bound == 0 else sqrt(2) * reach
    return FormulaProblem(
        "bounded-saddle" if bound else "saddle",
        "Bounded saddle" if bound else "Saddle",
        f"A saddle at the origin; the minima {-0.25 / bound:g} lie at (0, ±{reach:.4g})."
        if bound
        else "A saddle at the origin that falls for ever along y: how soon does a method leave it?",
        fixed(Objective(value, gradient, hessian), bound=bound),
        starts=[(1, 1e-3), (1, 0)],
        spread=1e-4,
        minima=[(0, reach), (0, -reach)] if bound else [],
        minimum=-0.25 / bound if bound else None,
        window=((-side, side), (-side, side)),
    )


PROBLEMS = {"saddle": saddle, "bounded-saddle": partial(saddle, 0.25)}
