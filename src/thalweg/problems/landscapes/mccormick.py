"""McCormick's function: a gentle curved valley.

    f(x, y) = sin(x + y) + (x - y)^2 - 3/2 x + 5/2 y + 1

The least value of the window, -sqrt(3)/2 - pi/3 = -1.913223 at (1/2 - pi/3, -1/2 - pi/3), is a local
minimum: moved by (-pi, -pi) there is another, lower by pi, and so on. So ``minimum`` is None.
Source: Jamil & Yang, A literature survey of benchmark functions, IJMMNO 4 (2013) 150-194.
"""

from ...core import cos, sin
from ...core.objective import Objective
from ..formula import FormulaProblem


def value(x, y, /):
    d = x - y
    return sin(x + y) + d * d - 1.5 * x + 2.5 * y + 1


def gradient(x, y, /):
    c = cos(x + y)
    d = 2 * (x - y)
    return c + d - 1.5, c - d + 2.5


def hessian(x, y, /):
    s = sin(x + y)
    return 2 - s, -2 - s, 2 - s


def mccormick() -> FormulaProblem:
    """McCormick's function from (3, 3)."""
    return FormulaProblem(
        "mccormick",
        "McCormick's function",
        "A gentle curved valley; the least value in its window is -1.9132 at (-0.547, -1.547).",
        Objective(value, gradient, hessian),
        starts=[(3, 3)],
        spread=0.1,
        minima=[(-0.5471975511965977, -1.5471975511965976)],
        minimum=None,
        window=((-1.5, 4), (-3, 4)),
    )


PROBLEMS = {"mccormick": mccormick}
