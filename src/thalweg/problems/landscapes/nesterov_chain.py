"""Nesterov's chain, the worst function of smooth convex optimisation: a pull at one end only.

    f(x) = 1/2 [(x1 - 1)^2 + (x2 - x1)^2 + ... + (xn - x(n-1))^2]

The minimum 0 lies at (1, ..., 1). From 0, k steps along gradients already seen reach k coordinates at
most. Eigenvalues 4 sin^2((2 k - 1) pi / (4 n + 2)), k = 1 .. n: the condition grows as ((4 n + 2) / pi)^2.
Source: Nesterov, Introductory Lectures on Convex Optimization (2004), 2.1.2, there with xn^2 added;
Goh, Why Momentum Really Works, Distill (2017), there with 2/(condition - 1) |x|^2 added.
"""

from itertools import pairwise
from numbers import Integral

from ...core.formula import from_text
from ...core.objective import Objective
from ...errors import ProblemError
from ..formula import FormulaProblem

LARGEST = 16  # above that the printed formula would be unwieldy


def chain(n: int) -> Objective:
    """The chain of n links, printed."""
    x = [f"x{i + 1}" for i in range(n)]
    d = [f"d{i + 1}" for i in range(n)]
    head = f"({', '.join(x)}, /):\n    d1 = x1 - 1\n"
    head += "".join(f"    d{i + 1} = x{i + 1} - x{i}\n" for i in range(1, n))
    total = " + ".join(f"{k} * {k}" for k in d)
    slopes = ", ".join([*(f"{a} - {b}" for a, b in pairwise(d)), d[-1]])
    upper = [(2 - (i == n - 1)) if i == j else -1 if j == i + 1 else 0 for i in range(n) for j in range(i, n)]
    made = from_text(
        f"def value{head}    return 0.5 * ({total})\n\n\n"
        f"def gradient{head}    return {slopes}\n\n\n"
        f"def hessian({', '.join(x)}, /):\n    return {', '.join(map(str, upper))}\n",
        "nesterov-chain",
    )
    return Objective(made["value"], made["gradient"], made["hessian"])


def nesterov_chain(n: int = 16) -> FormulaProblem:
    """The chain of n links, 2 to 16, from the origin. Raises ProblemError."""
    if not isinstance(n, Integral) or not 2 <= n <= LARGEST:
        raise ProblemError(f"nesterov-chain: n must be an integer in 2 .. {LARGEST}, got {n!r}")
    return FormulaProblem(
        "nesterov-chain",
        f"Nesterov's chain, n = {n}",
        "Each coordinate is tied to the one before, the first to 1: the news travels one link a step.",
        chain(n),
        starts=[(0.0,) * n],
        spread=0.1,
        minima=[(1.0,) * n],
        minimum=0.0,
        window=((-0.5, 1.5), (-0.5, 1.5)) if n == 2 else None,
    )


PROBLEMS = {"nesterov-chain": nesterov_chain}
