"""``tw.minimize`` without a method, on every landscape of the library from its first usual start.

A row: gradients until f was as low as it should be, at most 2,000, with ``jac`` and with two-point differences (one
gradient is then n + 1 calls); what L-BFGS-B needs; which rule was chosen. As low as it should be: within 1e-6 ·
max(1, f(x0) - f*) of the minimum f*, or no higher, but for rounding, than where L-BFGS-B ends. A landscape without a
minimum is counted when f is below -1,000. The last lines count the files of ``thalweg/problems/landscapes``, each by
its first landscape, all of them, and where the minimum itself was found.

python -m benchmarks.landscapes
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.optimize
from scipy.optimize import OptimizeResult

import thalweg as tw
from thalweg.problems import landscape_catalogue
from thalweg.problems.formula import FormulaProblem

from .options import options

MOST = 2_000


class Line(NamedTuple):
    """What one landscape took: gradients to the target with jac and with differences, inf where it was not met.

    lowest: whether the minimum itself was found, not just as low a point as L-BFGS-B's.
    """

    exact: float
    differences: float
    quasi_newton: int
    lowest: bool
    rule: str


def measured(problem: FormulaProblem, most: int) -> Line:
    """Return a landscape's line, with at most ``most`` gradients."""
    start = np.array(problem.starts[0])

    def slope(x: np.ndarray) -> np.ndarray:
        return problem.gradient(x, None)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # L-BFGS-B overflows where a landscape has no minimum
        other = scipy.optimize.minimize(problem.loss, start, jac=slope, method="L-BFGS-B")
    target, least = target_of(problem, float(other.fun)), target_of(problem, math.nan)
    exact, found = gradients(problem.loss, slope, start, target, most)
    differences, _ = gradients(problem.loss, None, start, target, most)
    lr = found.method.values["lr"]
    shown = f"{lr:.3g}" if isinstance(lr, float) else f"restarts({lr.value:.3g}, steps={lr.steps})"
    rule = f"{type(found.method).__name__}(lr={shown})"
    return Line(exact, differences, int(other.nfev), found.fun <= least, rule)


def target_of(problem: FormulaProblem, other: float) -> float:
    """Return the value of f that counts as found; other: where L-BFGS-B ends."""
    best = other if problem.minimum is None else problem.minimum
    if not math.isfinite(best):
        return -1e3
    near = best + 1e-6 * max(1.0, problem.loss(np.array(problem.starts[0])) - best)
    return max(near, other + 1e-9 * max(1.0, abs(other))) if math.isfinite(other) else near


def gradients(
    fun: Callable[[np.ndarray], float],
    jac: Callable[[np.ndarray], np.ndarray] | None,
    start: np.ndarray,
    target: float,
    most: int,
) -> tuple[float, OptimizeResult]:
    """Return how many gradients it took to come to the target, inf where it was not met, and the result."""
    met = math.inf if fun(start) > target else 1.0

    def look(intermediate_result: OptimizeResult) -> None:
        nonlocal met
        if intermediate_result.fun <= target:
            met = min(met, float(intermediate_result.njev))

    found = tw.minimize(fun, start, jac=jac, maxiter=most, callback=look)
    return (met if met <= most else math.inf), found


def main() -> None:
    chosen = options(__doc__, rounds=1).parse_args()
    catalogue = landscape_catalogue()
    names = sorted(catalogue)[:2] if chosen.dry_run else list(catalogue)
    lines = {n: measured(catalogue[n](), 60 if chosen.dry_run else MOST) for n in names}
    print(f"{'landscape':<28}{'jac':>6}{'2-point':>9}{'L-BFGS-B':>10}  chosen")
    for n, line in lines.items():
        exact, differences = (f"{v:.0f}" if math.isfinite(v) else "-" for v in (line.exact, line.differences))
        print(f"{n:<28}{exact:>6}{differences:>9}{line.quasi_newton:>10}  {line.rule}")
    firsts: dict[str, str] = {}
    for n in names:
        module = catalogue[n].__module__
        if ".landscapes." in module:
            firsts.setdefault(module, n)
    for what, group in (("landscapes, one a file", [*firsts.values()]), ("all", names)):
        reached = sum(math.isfinite(lines[n].exact) for n in group)
        differenced = sum(math.isfinite(lines[n].differences) for n in group)
        print(f"{what}: {reached} of {len(group)} with jac, {differenced} with 2-point differences")
    known = [n for n in names if catalogue[n]().minimum is not None]
    print(
        f"the minimum itself: {sum(lines[n].lowest for n in known)} of {len(known)} where it is known, with jac"
    )


if __name__ == "__main__":
    main()
