"""The function of Styblinski and Tang: separable, two minima along each coordinate.

    f(x, y) = 1/2 (x^4 - 16 x^2 + 5 x) + 1/2 (y^4 - 16 y^2 + 5 y)

A coordinate's minima: -39.166166 at -2.903534 and, local, -25.029447 at 2.746803.
Source: Styblinski & Tang, Neural Networks 3 (1990) 467-483.
"""

from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    return well(x) + well(y)


def gradient(x, y, /):
    return slope(x), slope(y)


def hessian(x, y, /):
    return 6 * x * x - 16, 0, 6 * y * y - 16


def well(z):
    return 0.5 * z * (z * (z * z - 16) + 5)


def slope(z):
    return 2 * z * (z * z - 8) + 2.5


def styblinski_tang() -> FormulaProblem:
    """The function of Styblinski and Tang from the origin."""
    return FormulaProblem(
        "styblinski-tang",
        "The function of Styblinski and Tang",
        "Separable, with two minima along each coordinate; the least of the four basins lies at z = -2.9035 each.",
        Objective(value, gradient, hessian),
        starts=[(0, 0), (4, 4)],
        spread=0.1,
        minima=[(-2.903534027771177, -2.903534027771177)],
        minimum=-78.33233140754283,
        window=((-5, 5), (-5, 5)),
    )


PROBLEMS = {"styblinski-tang": styblinski_tang}
