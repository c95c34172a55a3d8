"""The ill-conditioned quadratic: a straight valley along x.

    f(x, y) = 1/2 (x^2 + condition y^2)

Gradient descent with exact line search is slowest from (condition, 1); turned by 45 degrees
(``transformed``) the valley defeats methods that scale each coordinate.
Source: Boyd & Vandenberghe, Convex Optimization (2004), 9.3.2.
"""

from math import isfinite

from ...core.objective import Objective
from ...errors import ProblemError
from ..formula import FormulaProblem, fixed


def value(x, y, /, condition):
    return 0.5 * (x * x + condition * y * y)


def gradient(x, y, /, condition):
    return x, condition * y


def hessian(x, y, /, condition):
    return 1, 0, condition


def ill_conditioned(condition: float = 100.0) -> FormulaProblem:
    """Eigenvalues 1 along x and ``condition`` (>= 1) along y, from (condition, 1). Raises ProblemError."""
    if not (isfinite(condition) and condition >= 1):
        raise ProblemError(f"ill-conditioned: condition must lie in [1, inf), got {condition!r}")
    return FormulaProblem(
        "ill-conditioned",
        f"Quadratic of condition {condition:g}",
        f"Curvature 1 along x and {condition:g} along y; the minimum 0 lies at the origin.",
        fixed(Objective(value, gradient, hessian), condition=condition),
        starts=[(condition, 1), (1, 1)],
        spread=0.1,
        minima=[(0, 0)],
        minimum=0.0,
        window=((-1.2 * condition, 1.2 * condition), (-1.2, 1.2)),
    )


PROBLEMS = {"ill-conditioned": ill_conditioned}
