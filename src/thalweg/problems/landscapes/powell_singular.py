"""Powell's singular function: at the minimum, 0, the Hessian has rank 2.

    f(x) = (x1 + 10 x2)^2 + 5 (x3 - x4)^2 + (x2 - 2 x3)^4 + 10 (x1 - x4)^4

Source: Powell, Comput. J. 5 (1962) 147-151; Moré, Garbow & Hillstrom, ACM TOMS 7 (1981), 13.
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x1, x2, x3, x4, /):
    a = x1 + 10 * x2
    b = x3 - x4
    c = (x2 - 2 * x3) * (x2 - 2 * x3)
    d = (x1 - x4) * (x1 - x4)
    return a * a + 5 * b * b + c * c + 10 * d * d


def gradient(x1, x2, x3, x4, /):
    a = 2 * (x1 + 10 * x2)
    b = 10 * (x3 - x4)
    p = x2 - 2 * x3
    q = x1 - x4
    c = 4 * p * p * p
    d = 40 * q * q * q
    return a + d, 10 * a + c, b - 2 * c, -b - d


def hessian(x1, x2, x3, x4, /):
    p = x2 - 2 * x3
    q = x1 - x4
    c = 12 * p * p
    d = 120 * q * q
    return 2 + d, 20, 0, -d, 200 + c, -2 * c, 0, 10 + 4 * c, -10, 10 + d


def powell_singular() -> FormulaProblem:
    """Powell's singular function from (3, -1, 0, 1)."""
    return FormulaProblem(
        "powell-singular",
        "Powell's singular function",
        "Four coordinates; at the minimum 0 two of the Hessian's four eigenvalues vanish.",
        Objective(value, gradient, hessian),
        starts=[(3, -1, 0, 1)],
        spread=0.1,
        minima=[(0, 0, 0, 0)],
        minimum=0.0,
    )


PROBLEMS = {"powell-singular": powell_singular}
