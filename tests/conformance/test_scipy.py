"""What SciPy's tests ask of a method of ``scipy.optimize.minimize``, asked of every rule through SciPy's own function.

``DIFFERENCES`` are all that is not so; each has a test here, and ``docs/scipy.md`` shows them.
"""

import math
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from scipy.optimize import Bounds, OptimizeResult, rosen, rosen_der

import thalweg as tw
import thalweg.scipy
from thalweg.errors import HyperparameterError

from ..strategies import RULES, every_rule_in_time

DIFFERENCES: dict[str, str] = {
    "an exception in `fun`, `jac` or the callback": "ends the run with the lowest point so far; it stands in `exception`, and `status` is 6; SciPy's methods let it through",
    "NaN or infinity": "ends the run with the lowest point so far, `status` 4; BFGS goes on with NaN",
    "f or a gradient of the wrong shape": "ends the run, `status` 5; SciPy's methods raise",
    "an unknown option": "is refused with the nearest name; SciPy's methods warn (OptimizeWarning)",
    "`constraints`": "are refused; SciPy's methods without constraints warn and go on",
    "`x0` outside `bounds`": "is moved onto them and the message says so; L-BFGS-B says nothing",
    "`tol`": "is `gtol`, of the largest gradient entry",
    "`gtol` where it is not given": "1e-8, or what differences and float32 can tell from 0; BFGS and L-BFGS-B ask for 1e-5",
    "the side of 2-point differences": "is that of x0's sign throughout the run; with `jac=\"2-point\"` SciPy's methods follow the sign of each point",
    "`jac` of variables that `bounds` fix": "as it was given, 0 from differences; SciPy's is NaN where it removed them",
    "a result's `nhev`, `hess_inv`": "are absent; `exception` and `method`, the rule, are there in every result",
    "`nit`": "counts gradients but one: there is no line search, and f may rise on the way",
}

START = np.array([-0.9, 1.3])


def bowl(x: Any) -> float:
    return float(((x - [1.0, 2.0]) ** 2).sum())


def slope(x: Any) -> Any:
    return 2 * (x - [1.0, 2.0])


def through(fun: Any, x0: Any, name: str | tw.Rule, **given: Any) -> OptimizeResult:
    """SciPy's function with a rule as its method."""
    return scipy.optimize.minimize(fun, x0, method=thalweg.scipy.method(name), **given)


@every_rule_in_time
def test_a_result_is_whole_and_no_higher_than_the_start(name: str) -> None:
    """x, fun, jac and the counts belong together; x0 is as it was; limits are kept."""
    start = START.copy()
    method = (
        RULES[name](lr=1e-3) if name == "ASGD" else RULES[name]()
    )  # at its own rate it leaves for infinity
    found = through(rosen, start, method, jac=rosen_der, options={"maxiter": 25})
    assert isinstance(found, OptimizeResult) and np.array_equal(start, START)
    assert found.x.shape == found.jac.shape == (2,) and isinstance(found.fun, float)
    assert found.fun == rosen(found.x) <= rosen(START) and np.array_equal(found.jac, rosen_der(found.x))
    assert (found.nit, found.nfev, found.njev, found.success, found.status) == (25, 26, 26, False, 1)
    assert isinstance(found.message, str) and found.method == method


@every_rule_in_time
def test_a_run_repeats_and_asks_nothing_twice(name: str) -> None:
    """The same calls from the same start; f and its gradient are asked for once at each point."""
    seen: list[bytes] = []

    def noted(x: Any) -> float:
        seen.append(x.tobytes())
        return bowl(x)

    first = through(noted, START, name, jac=slope, options={"maxiter": 12})
    again = through(noted, START, name, jac=slope, options={"maxiter": 12})
    assert seen[:13] == seen[13:] and len(seen) == 26 and len({*seen}) == 13
    assert first.x.tobytes() == again.x.tobytes()


@every_rule_in_time
def test_bounds_hold_at_every_point(name: str) -> None:
    """Pairs and Bounds alike, fixed variables too, whose gradient nobody needs; differences keep within as well."""
    low, high = np.array([-1.0, 1.3]), np.array([-0.5, 1.3])

    def inside(x: Any) -> float:
        assert np.all((low <= x) & (x <= high))
        return bowl(x)

    for bounds in (Bounds(low, high), list(zip(low, high, strict=True))):
        for jac in (None, lambda x: np.array([2 * (x[0] - 1), math.nan])):
            found = through(inside, START, name, jac=jac, bounds=bounds, options={"maxiter": 8})
            assert found.exception is None and -1 <= found.x[0] <= -0.5 and found.x[1] == 1.3
            assert found.fun <= bowl(START)


@every_rule_in_time
def test_callbacks_get_copies_and_may_stop(name: str) -> None:
    """Of either signature; what a callback writes into x is of no account; StopIteration is status 99."""
    plain = through(bowl, START, name, jac=slope, options={"maxiter": 6})
    points: list[Any] = []

    def spoils(xk: Any) -> None:
        points.append(xk.copy())
        xk[:] = np.nan

    found = through(bowl, START, name, jac=slope, callback=spoils, options={"maxiter": 6})
    assert found.x.tobytes() == plain.x.tobytes() and len(points) == found.nit == 6

    def third(intermediate_result: OptimizeResult) -> None:
        assert np.array_equal(intermediate_result.x, points[intermediate_result.nit - 1])
        if intermediate_result.nit == 3:
            raise StopIteration

    found = through(bowl, START, name, jac=slope, callback=third)
    assert (found.status, found.success, found.nit) == (99, False, 3)
    assert found.message == "`callback` raised `StopIteration`."


@every_rule_in_time
def test_forms_of_fun_jac_args_and_x0(name: str) -> None:
    """One path, whether jac is True, a function or comes with args; x0 may be a number, a list, or of other types."""
    options = {"maxiter": 5}
    paths = [
        through(bowl, START, name, jac=slope, options=options),
        through(lambda x: (bowl(x), slope(x)), START, name, jac=True, options=options),
        through(lambda x, a: a * bowl(x), START, name, args=(1.0,), jac=lambda x, a: a * slope(x), options=options),
        through(lambda x, a: a * bowl(x), START, name, args=1.0, jac=lambda x, a: a * slope(x), options=options),
        through(lambda x: np.array([bowl(x)]), [*START], name, jac=lambda x: [*slope(x)], options=options),
    ]  # fmt: skip
    assert len({p.x.tobytes() for p in paths}) == 1
    for one in (3, 3.0, np.float32(3), np.array(3), [3]):
        found = through(lambda x: (x - 1) ** 2, one, name, jac=lambda x: 2 * (x - 1), options=options)
        assert found.x.shape == found.jac.shape == (1,) and found.x.dtype == np.float64 and found.status == 1


@every_rule_in_time
def test_the_method_travels(name: str) -> None:
    """A pickled method is the same; one may run inside another's function."""
    method = pickle.loads(pickle.dumps(thalweg.scipy.method(name)))
    options = {"maxiter": 3}
    plain = through(bowl, START, name, jac=slope, options=options)
    again = scipy.optimize.minimize(bowl, START, jac=slope, method=method, options=options)

    def outer(x: Any) -> float:
        inner = scipy.optimize.minimize(bowl, START, jac=slope, method=method, options=options)
        return bowl(x) + inner.fun - plain.fun

    nested = scipy.optimize.minimize(outer, START, jac=slope, method=method, options=options)
    assert plain.x.tobytes() == again.x.tobytes() == nested.x.tobytes()


def test_a_tighter_tolerance_comes_nearer() -> None:
    """tol is handed on by SciPy's function; each is met, and success says so."""
    rule = tw.Momentum(lr=0.05)
    ends = [through(bowl, START, rule, jac=slope, tol=tol) for tol in (1e-1, 1e-4, 1e-9)]
    assert all(r.success and r.status == 0 for r in ends)
    assert [r.nit for r in ends] == sorted({r.nit for r in ends})
    assert np.all(np.diff([r.fun for r in ends]) < 0)


def test_global_searches_take_the_method() -> None:
    """basinhopping and dual_annealing call it for their local searches."""
    local = {"method": thalweg.scipy.method(tw.Adam(lr=0.2)), "jac": slope, "options": {"maxiter": 300}}
    hops = scipy.optimize.basinhopping(bowl, START, niter=2, rng=0, minimizer_kwargs=local)
    assert hops.x == pytest.approx([1.0, 2.0], abs=1e-4) and hops.lowest_optimization_result.nit > 5
    annealed = scipy.optimize.dual_annealing(
        bowl, [(-5, 5), (-5, 5)], maxiter=3, rng=0, minimizer_kwargs=local
    )
    assert annealed.x == pytest.approx([1.0, 2.0], abs=1e-3)


def fails(x: Any) -> Any:
    raise RuntimeError("no luck")


def raises(kind: type[BaseException], call: Callable[[], object]) -> None:
    with pytest.raises(kind):
        call()


# The differences, each seen on both sides.


def test_differences_in_what_ends_a_run() -> None:
    """Exceptions, values that are not finite, wrong shapes."""
    raises(RuntimeError, lambda: scipy.optimize.minimize(fails, START))
    found = through(fails, START, "Adam")
    assert found.status == 6 and isinstance(found.exception, RuntimeError) and np.array_equal(found.x, START)
    with np.errstate(invalid="ignore"):
        assert math.isnan(scipy.optimize.minimize(lambda x: math.nan, START, method="BFGS").fun)
    assert through(lambda x: math.nan, START, "Adam").status == 4
    raises(ValueError, lambda: scipy.optimize.minimize(lambda x: x, START, method="BFGS"))
    assert through(lambda x: x, START, "Adam").status == 5


def test_differences_in_what_is_refused() -> None:
    """Unknown options and constraints, of which SciPy's methods warn."""
    bound = {"type": "ineq", "fun": lambda x: x[0]}
    with pytest.warns(scipy.optimize.OptimizeWarning, match="Unknown solver options: maxitr"):
        scipy.optimize.minimize(bowl, START, jac=slope, method="BFGS", options={"maxitr": 3})
    with pytest.raises(HyperparameterError, match="did you mean 'maxiter'"):
        through(bowl, START, "Adam", jac=slope, options={"maxitr": 3})
    with pytest.warns(RuntimeWarning, match="cannot handle constraints"):
        scipy.optimize.minimize(bowl, START, jac=slope, method="BFGS", constraints=bound)
    with pytest.raises(HyperparameterError, match="no constraints"):
        through(bowl, START, "Adam", jac=slope, constraints=bound)


def test_differences_in_bounds_and_differences() -> None:
    """A start outside, fixed variables' gradient, and the side that a difference is taken on."""
    box = [(0, 1), (1.5, 1.5)]
    theirs = scipy.optimize.minimize(bowl, START, method="L-BFGS-B", bounds=box)
    ours = through(bowl, START, tw.Adam(lr=0.1), bounds=box)
    assert "x0 lay outside the bounds" in ours.message and "outside" not in theirs.message
    assert ours.jac[1] == 0 and math.isnan(theirs.jac[1])
    assert ours.x == pytest.approx(theirs.x, abs=1e-6)

    def sides(method: Any, jac: str | None) -> set[float]:
        seen: list[float] = []

        def noted(x: Any) -> float:
            seen.append(float(x[0]))
            return (seen[-1] + 0.5) ** 2

        scipy.optimize.minimize(noted, [0.1], method=method, jac=jac)
        return {math.copysign(1.0, b - a) for a, b in pairwise(seen) if 1e-8 < abs(b - a) < 2e-8}

    assert sides(thalweg.scipy.method(tw.SGD(lr=0.1)), None) == {1.0}
    assert sides("BFGS", "2-point") == {1.0, -1.0}


def test_differences_in_tolerance_and_result() -> None:
    """The default gtol, and what a result has."""
    theirs = scipy.optimize.minimize(bowl, START, jac=slope, method="BFGS")
    ours = through(bowl, START, tw.Momentum(lr=0.05), jac=slope)
    assert ours.success and np.abs(ours.jac).max() <= 1e-8 and "gtol = 1e-08" in ours.message
    assert "hess_inv" in theirs and "hess_inv" not in ours and "nhev" not in ours
    assert {*ours} - {*theirs} == {"exception", "method"}
    assert {*theirs} - {*ours} == {"hess_inv"}
    assert ours.nit == ours.njev - 1
