"""SciPy's door: minima, paths, stopping, bounds, finite differences, stochastic objectives, bad input."""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import numba
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from scipy.optimize import Bounds, OptimizeResult

import thalweg as tw
import thalweg.scipy
from thalweg.engines.cpu.foreign import foreign
from thalweg.errors import GradientError, HyperparameterError, NonFiniteError, ParameterError, ThalwegError
from thalweg.rules import shipped
from thalweg.scipy.objective import Objective

Pair = tuple[float, np.ndarray[Any, Any]]


def rosenbrock(v: Any) -> Pair:
    x, y = v.tolist()
    r = y - x * x
    return (1 - x) ** 2 + 100 * r * r, np.array([-2 * (1 - x) - 400 * x * r, 200 * r])


def beale(v: Any) -> Pair:
    x, y = v.tolist()
    f, gx, gy = 0.0, 0.0, 0.0
    for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)):
        r = c - x + x * y**k
        f, gx, gy = f + r * r, gx + 2 * r * (y**k - 1), gy + 2 * r * x * k * y ** (k - 1)
    return f, np.array([gx, gy])


def booth(v: Any) -> Pair:
    x, y = v.tolist()
    a, b = x + 2 * y - 7, 2 * x + y - 5
    return a * a + b * b, np.array([2 * a + 4 * b, 4 * a + 2 * b])


def bowl(x: Any) -> Pair:
    """Minimum 0 at (1, 2, ..., n); curvature 2."""
    r = x - np.arange(1.0, x.size + 1)
    return float(r @ r), 2 * r


PROBLEMS: dict[str, tuple[Callable[..., Pair], list[float], list[float]]] = {
    "Rosenbrock": (rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
    "Beale": (beale, [1.0, 1.0], [3.0, 0.5]),
    "Booth": (booth, [0.0, 0.0], [1.0, 3.0]),
}
RULES: dict[str, tw.Rule] = {
    "Adam": tw.Adam(lr=0.02),
    "Adam, cosine": tw.Adam(lr=tw.cosine(0.1, steps=8000)),
    "Nesterov": tw.Nesterov(lr=1e-3),
    "Momentum": tw.Momentum(lr=1e-3),
    "RMSprop, exponential": tw.RMSprop(lr=tw.exponential(0.05, factor=0.997)),
    "Adagrad": tw.Adagrad(lr=1.0),
    "Adamax, cosine": tw.Adamax(lr=tw.cosine(0.1, steps=8000)),
}
# RMSprop and Adagrad creep along Rosenbrock's floor.
NEAR = {"RMSprop, exponential": 0.05, "Adagrad": 1e-3}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("rule", RULES)
def test_minima_through_scipy(problem: str, rule: str) -> None:
    """A tolerance met means the gradient is within it; all reach the minimum."""
    fun, start, minimum = PROBLEMS[problem]
    found = scipy.optimize.minimize(fun, start, jac=True, method=thalweg.scipy.method(RULES[rule]))
    assert isinstance(found, OptimizeResult)
    assert np.abs(found.x - minimum).max() < (NEAR.get(rule, 1e-6) if problem == "Rosenbrock" else 1e-6)
    assert found.fun == fun(found.x)[0]
    assert np.array_equal(found.jac, fun(found.x)[1])
    assert found.success == (np.abs(found.jac).max() <= 1e-8) == (found.status == 0)
    assert found.nfev == found.njev == found.nit + 1
    if not found.success:
        assert found.nit == 10_000
        assert found.message == "The limit of maxiter = 10000 steps was reached."


def test_both_doors_are_one() -> None:
    """The same result, entry by entry, from ``tw.minimize`` and from SciPy."""
    rule = tw.Adam(lr=0.05)
    options = {"maxiter": 50, "gtol": None, "x_scale": [1.0, 3.0]}
    given: dict[str, Any] = {"jac": True, "bounds": [(-2, 2), (None, 0.9)], "options": options}
    ours = tw.minimize(rosenbrock, [-1.2, 0.3], method=rule, **given)
    theirs = scipy.optimize.minimize(rosenbrock, [-1.2, 0.3], method=thalweg.scipy.method(rule), **given)
    assert ours.keys() == theirs.keys()
    for n, value in ours.items():
        assert np.array_equal(value, theirs[n]), n
    keywords = tw.minimize(rosenbrock, [-1.2, 0.3], method=rule, jac=True, bounds=given["bounds"], **options)
    assert np.array_equal(keywords.x, ours.x)
    again = pickle.loads(pickle.dumps(thalweg.scipy.method(rule)))
    assert np.array_equal(again(rosenbrock, [-1.2, 0.3], **given).x, ours.x)


@pytest.mark.parametrize("name", shipped())
def test_the_path_is_that_of_on(name: str) -> None:
    """Step by step and bit by bit, for every rule."""
    same_path(shipped()[name](), {})


def test_the_path_is_that_of_on_with_clipping_and_a_schedule() -> None:
    same_path(tw.Adam(lr=tw.cosine(0.3, steps=30)), {"clip_norm": 3.0, "clip_value": 2.5})


def same_path(rule: tw.Rule, settings: dict[str, Any]) -> None:
    start = np.array([0.3, -2.0, 5.0])
    path: list[Any] = []
    found = tw.minimize(bowl, start, method=rule, jac=True, maxiter=40, callback=path.append, **settings)
    w = start.copy()
    opt = rule.on(w, **settings)
    for x in path:
        opt.step(bowl(w)[1])
        assert x.tobytes() == w.tobytes()
    assert len(path) == found.nit == 40
    assert np.array_equal(start, [0.3, -2.0, 5.0])


def test_methods_by_name() -> None:
    for given, rule in (
        ("Adam", tw.Adam()),
        ("rmsprop:keras", tw.RMSprop.like("keras")),
    ):
        x = tw.minimize(bowl, [0.0], jac=True, method=given, maxiter=5).x
        assert np.array_equal(x, tw.minimize(bowl, [0.0], jac=True, method=rule, maxiter=5).x)


# --- stopping ---------------------------------------------------------------------------------------


def test_largest_gradient_entry() -> None:
    found = tw.minimize(bowl, [0.0, 0.0], jac=True, method=tw.SGD(lr=0.1), gtol=1e-3)
    assert found.success and found.status == 0
    assert np.abs(found.jac).max() <= 1e-3
    before = tw.minimize(bowl, [0.0, 0.0], jac=True, method=tw.SGD(lr=0.1), gtol=1e-3, maxiter=found.nit - 1)
    assert not before.success and before.status == 1 and np.abs(before.jac).max() > 1e-3
    assert tw.minimize(bowl, [0.0, 0.0], jac=True, method=tw.SGD(lr=0.1), tol=1e-3).nit == found.nit
    own = tw.minimize(bowl, [0.0, 0.0], jac=True, method=tw.SGD(lr=0.1), tol=1.0, options={"gtol": 1e-3})
    assert own.nit == found.nit
    through = scipy.optimize.minimize(
        bowl, [0.0, 0.0], jac=True, tol=1e-3, method=thalweg.scipy.method(tw.SGD(lr=0.1))
    )
    assert through.nit == found.nit


def test_changes_of_f_and_of_x() -> None:
    """Both hold in ``window`` steps running, against values taken down by a callback."""
    for name, tolerance, window in (("ftol", 1e-4, 1), ("ftol", 1e-4, 7), ("xtol", 1e-3, 4)):
        seen: list[OptimizeResult] = []

        def note(intermediate_result: OptimizeResult) -> None:
            seen.append(intermediate_result)  # noqa: B023

        start = np.array([4.0, -3.0])
        found = tw.minimize(
            bowl, start, jac=True, method=tw.SGD(lr=0.02), callback=note, window=window, **{name: tolerance}
        )
        f = [bowl(start)[0], *(r.fun for r in seen)]
        x = [start, *(r.x for r in seen)]
        small = [
            abs(f[k + 1] - f[k]) <= tolerance * max(abs(f[k]), abs(f[k + 1]), 1)
            if name == "ftol"
            else np.abs(x[k + 1] - x[k]).max() <= tolerance * max(np.abs(x[k + 1]).max(), 1)
            for k in range(len(seen))
        ]
        first = next(k for k in range(len(small)) if k + 1 >= window and all(small[k + 1 - window : k + 1]))
        assert found.nit == len(seen) == first + 1 > window
        assert found.success and name in found.message


def test_target_evaluations_and_time() -> None:
    found = tw.minimize(bowl, [0.0], jac=True, method=tw.SGD(lr=0.01), ftarget=0.5)
    assert found.success and found.fun <= 0.5 and "ftarget = 0.5" in found.message
    assert tw.minimize(bowl, [0.0], jac=True, method=tw.SGD(lr=0.01), maxiter=found.nit - 1).fun > 0.5

    found = tw.minimize(bowl, [0.0], jac=True, method=tw.SGD(lr=0.01), maxfev=17)
    assert (found.status, found.nfev, found.success) == (2, 17, False)
    calls: list[Any] = []

    def value(x: Any) -> float:
        calls.append(x)
        return bowl(x)[0]

    found = tw.minimize(value, [0.0, 1.0], method=tw.SGD(lr=0.01), maxfev=17)
    assert found.nfev == len(calls) == 15  # three calls a step

    found = tw.minimize(bowl, [0.0], jac=True, method=tw.SGD(lr=1e-9), maxtime=0.05, maxiter=10**9)
    assert (found.status, found.success) == (3, False) and found.nit > 10
    assert tw.minimize(bowl, [0.0], jac=True, method=tw.SGD(), maxiter=0).nit == 0


def test_without_a_tolerance_nothing_succeeds() -> None:
    found = tw.minimize(bowl, [1.0], jac=True, method=tw.SGD(lr=0.1), gtol=None, maxiter=20)
    assert not found.success and found.fun == 0.0


def test_the_lowest_point_comes_back() -> None:
    """Steps of one length overshoot: the last point is not the best."""
    seen: list[float] = []

    def note(intermediate_result: OptimizeResult) -> None:
        seen.append(intermediate_result.fun)

    found = tw.minimize(
        bowl, [0.05], jac=True, method=tw.RMSprop(lr=0.3, beta=0.0), maxiter=30, callback=note
    )
    assert found.fun == min(seen) < seen[-1]
    assert found.fun == bowl(found.x)[0] and np.array_equal(found.jac, bowl(found.x)[1])


def test_a_tolerance_met_at_another_point_than_the_lowest_says_so() -> None:
    """Past a sharp hole, onto a flat shelf."""

    def hole(x: Any) -> Pair:
        return (-1.0, np.array([-1.0])) if 0.5 < x[0] < 1.5 else (0.0, np.array([-1.0 if x[0] < 1 else 0.0]))

    found = tw.minimize(hole, [-0.5], jac=True, method=tw.Momentum(lr=1.5))
    assert found.success and found.fun == -1.0
    assert "The lowest value was seen at step 1." in found.message


# --- callbacks --------------------------------------------------------------------------------------


def test_callbacks_of_both_kinds_and_the_end_they_may_call() -> None:
    xs: list[Any] = []
    tw.minimize(bowl, [0.0], jac=True, method=tw.SGD(lr=0.1), maxiter=3, callback=lambda xk: xs.append(xk))
    assert [x.shape for x in xs] == [(1,)] * 3 and xs[0] != xs[1]

    def third(intermediate_result: OptimizeResult) -> None:
        assert intermediate_result.nfev == intermediate_result.nit + 1
        intermediate_result.x[:] = np.nan  # a copy: of no account
        intermediate_result.jac[:] = np.nan
        if intermediate_result.nit == 3:
            raise StopIteration

    for found in (
        tw.minimize(bowl, [0.0], jac=True, method=tw.SGD(lr=0.1), callback=third),
        scipy.optimize.minimize(
            bowl, [0.0], jac=True, method=thalweg.scipy.method(tw.SGD(lr=0.1)), callback=third
        ),
    ):
        assert (found.status, found.success, found.nit) == (99, False, 3)
        assert found.message == "`callback` raised `StopIteration`." and np.isfinite(found.x).all()


def test_the_message_is_printed_when_asked_for() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        found = tw.minimize(bowl, [0.0], jac=True, method=tw.SGD(lr=0.1), maxiter=2, disp=True)
    assert out.getvalue().startswith(found.message)


# --- bounds, scales, averages -----------------------------------------------------------------------


@pytest.mark.parametrize("rule", [tw.SGD(lr=0.1), tw.Adam(lr=0.1), tw.Nesterov(lr=0.02)], ids=repr)
def test_a_minimum_on_the_bounds(rule: tw.Rule) -> None:
    """The projected gradient is what gtol looks at; no point leaves the bounds."""
    low, high = np.array([-1.0, 2.5, -np.inf]), np.array([0.5, np.inf, np.inf])

    def inside(x: Any) -> Pair:
        assert np.all((low <= x) & (x <= high))
        return bowl(x)

    pairs = [(-1, 0.5), (2.5, None), (None, None)]
    for bounds in (Bounds(low, high), pairs):
        found = scipy.optimize.minimize(
            inside, [0.0, 3.0, 0.0], jac=True, method=thalweg.scipy.method(rule), bounds=bounds
        )
        assert found.success, found.message
        assert found.x == pytest.approx([0.5, 2.5, 3.0], abs=1e-7)
        assert found.x[0] == 0.5 and found.x[1] == 2.5
        assert np.abs(found.jac[:2]).min() > 0.9
    found = tw.minimize(inside, [0.0, 0.0, 0.0], jac=True, method=rule, bounds=pairs, maxiter=1)
    assert "x0 lay outside the bounds" in found.message
    assert tw.minimize(bowl, [0.0] * 3, jac=True, method=rule, bounds=Bounds(-1, 0.5)).x[2] == 0.5


def test_scales() -> None:
    """Scaling x by x_scale is running on another function; powers of two change no bit."""
    scale = np.array([4.0, 0.125])
    start = np.array([3.0, -1.0])
    found = tw.minimize(bowl, start, jac=True, method=tw.Adam(lr=0.1), x_scale=scale, maxiter=60)

    def scaled(y: Any) -> Pair:
        f, g = bowl(y * scale)
        return f, g * scale

    plain = tw.minimize(scaled, start / scale, jac=True, method=tw.Adam(lr=0.1), maxiter=60)
    assert found.x.tobytes() == (plain.x * scale).tobytes() and found.fun == plain.fun
    number = tw.minimize(bowl, start, jac=True, method=tw.Adam(lr=0.1), x_scale=3, maxiter=60)
    assert not np.array_equal(number.x, found.x)
    tight = [(-1 / 3, 1 / 3)] * 2

    def inside(x: Any) -> Pair:
        assert np.abs(x).max() <= 1 / 3
        return bowl(x)

    found = tw.minimize(inside, [0.1, 0.1], jac=True, method=tw.SGD(lr=0.1), x_scale=[0.7, 3.0], bounds=tight)
    assert found.success and np.array_equal(found.x, [1 / 3, 1 / 3])


@pytest.mark.parametrize("average", ["polyak", 0.9])
def test_averages_are_those_of_on(average: Any) -> None:
    def turn(x: Any) -> Pair:  # steps of length 0.5 that hop around the minimum
        return float(x @ x), np.sign(x)

    rule = tw.SGD(lr=0.5)
    found = tw.minimize(turn, [0.2], jac=True, method=rule, average=average, maxiter=50, gtol=None)
    w = np.array([0.2])
    opt = rule.on(w, average=average)
    for _ in range(50):
        opt.step(np.sign(w))
    assert found.x == pytest.approx(opt.average, rel=1e-14)
    assert found.nfev == 52 and found.fun == turn(found.x)[0] < turn(np.array([0.2]))[0]
    bound = tw.minimize(turn, [0.2], jac=True, method=rule, average=average, maxfev=12, gtol=None)
    assert bound.nfev == 12


# --- what fun and jac may be ------------------------------------------------------------------------


def test_args_and_the_forms_of_jac() -> None:
    """True, a callable, and finite differences all lead to the same place."""

    def value(x: Any, a: float, b: Any) -> float:
        return float(a * (x - b) @ (x - b))

    def slope(x: Any, a: float, b: Any) -> Any:
        return 2 * a * (x - b)

    b = np.array([1.0, -2.0, 0.5])
    rule = tw.Momentum(lr=0.05)
    exact = tw.minimize(value, [0.0] * 3, args=(1.5, b), jac=slope, method=rule)
    assert exact.success and exact.x == pytest.approx(b, abs=1e-8)
    assert exact.nfev == exact.njev == exact.nit + 1
    for jac, cost, near in ((None, 4, 1e-7), ("2-point", 4, 1e-7), ("3-point", 7, 1e-8), (False, 4, 1e-7)):
        found = tw.minimize(value, [0.0] * 3, args=(1.5, b), jac=jac, method=rule, maxiter=500)
        assert found.x == pytest.approx(b, abs=near), jac
        assert found.nfev == cost * found.njev == cost * (found.nit + 1)
    found = tw.minimize(lambda x: ((x - b) ** 2).sum(), [0.0] * 3, jac="cs", method=rule, maxiter=500)
    assert found.success and found.x == pytest.approx(b, abs=1e-8)
    method = thalweg.scipy.method(rule)
    for jac in (True, slope, None, "3-point"):
        fun: Any = (lambda x, *a: (value(x, *a), slope(x, *a))) if jac is True else value
        found = scipy.optimize.minimize(fun, [0.0] * 3, args=(1.5, b), jac=jac, method=method)
        assert found.x == pytest.approx(b, abs=1e-7)
    single = tw.minimize(lambda x, c: (x[0] - c) ** 2, 0, args=4.0, method=rule, finite_diff="3-point")
    assert single.x.shape == (1,) and single.x == pytest.approx([4.0], abs=1e-8)


def test_finite_differences_stay_within_bounds() -> None:
    """At the bounds, near them, and where a variable is fixed."""
    low, high = np.array([0.0, -1.0, 2.0, 5e-9, 1.0]), np.array([1.0, 0.0, 2.0, 3.0, 1 + 1e-7])
    slope = np.array([3.0, -2.0, 5.0, 1.0, -4.0])

    def value(x: Any) -> float:
        assert np.all((low <= x) & (x <= high))
        return float(slope @ x + 0.5 * (x @ x))

    for kind in ("2-point", "3-point"):
        found = tw.minimize(
            value, np.array([0.0, 0.0, 2.0, 1e-8, 1.0]), jac=kind, bounds=Bounds(low, high), maxiter=0
        )
        expected = slope + found.x
        expected[2] = 0.0
        assert found.jac == pytest.approx(expected, abs=3e-7), kind


def in_single(x: Any) -> np.float32:
    """A bowl at (1, 1, ...) as a float32 library computes it."""
    r = np.asarray(x, np.float32) - np.float32(1)
    return np.float32((r * r).sum())


SINGLE: dict[str, dict[str, Any]] = {
    "2-point": {"fun": in_single},
    "3-point": {"fun": in_single, "jac": "3-point"},
    "an array": {"fun": lambda x: np.array([in_single(x)])},
    "a Python float": {"fun": lambda x: float(in_single(x))},
    "its own gradient": {"fun": in_single, "jac": lambda x: 2 * (x.astype(np.float32) - np.float32(1))},
    "both": {"fun": lambda x: (float(in_single(x)), 2 * (x - 1).astype(np.float32)), "jac": True},
}


@pytest.mark.parametrize("case", SINGLE)
def test_a_function_in_single_precision(case: str) -> None:
    """It leaves its start, which float64's step cannot tell from a flat place, and ends with success."""
    for start in ([0.0, 0.0], [0.3, -0.7], [3.0, 40.0]):
        found = tw.minimize(x0=start, method=tw.Adam(lr=tw.restarts(0.3, steps=100)), **SINGLE[case])
        assert found.success and found.nit > 5, found.message
        assert found.x == pytest.approx([1.0, 1.0], abs=5e-3)


def test_functions_in_double_precision_are_told_from_single_ones() -> None:
    """Even where f, or all that the differences see, is a number of float32's."""
    for fun in (
        lambda x: float(x @ x),
        lambda x: 1e3 + float(x @ x),
        lambda x: float(np.abs(x).sum()),
        lambda x: bowl(x)[0],
        lambda x: int(x[0] > -1) + float(x[1]) ** 4,
    ):
        objective = Objective(fun, None, (), (np.full(2, -np.inf), np.full(2, np.inf)), "2-point", None)
        for start in ([0.0, 0.0], [1.0, 2.0], [0.5, -4.0]):
            objective(np.array(start))
            assert objective.eps == np.finfo(float).eps
    assert objective.nfev <= 3 * 3 + 1


@pytest.mark.parametrize("kind", ["2-point", "3-point", "cs"])
@pytest.mark.parametrize("height", [0.0, 1.0, -3e4])
def test_by_default_the_tolerance_is_within_reach_of_the_differences(kind: str, height: float) -> None:
    def value(x: Any) -> Any:
        return ((x - np.array([1.0, -2.0, 0.5])) ** 2 * np.array([1.0, 4.0, 9.0])).sum() + height

    found = tw.minimize(value, [0.0] * 3, jac=kind, method=tw.Adam(lr=tw.restarts(0.3, steps=100)))
    assert found.success and found.nit < 1600, found.message
    near = 1e-5 if height >= 0 or kind == "cs" else 1e-2
    assert found.x == pytest.approx([1.0, -2.0, 0.5], abs=near)
    strict = tw.minimize(value, [0.0] * 3, jac=kind, method=tw.SGD(lr=0.05), gtol=1e-12, maxiter=60)
    assert not strict.success  # what is asked for is not made easier


@pytest.mark.parametrize("kind", ["2-point", "3-point"])
def test_a_minimum_at_zero_is_within_reach_of_the_differences(kind: str) -> None:
    """A side that followed the sign of x would leave the gradient no smaller than h · f'' / 2 there."""
    for start in ([1.0, -1.0], [-3.0, 2.0]):
        found = tw.minimize(
            lambda x: float(x[0] ** 2 + 100 * x[1] ** 2),
            start,
            jac=kind,
            method=tw.Adam(lr=tw.restarts(0.3, steps=100)),
        )
        assert found.success and found.nit < 1600, found.message


@pytest.mark.parametrize("kind", ["2-point", "3-point", "cs"])
def test_a_run_that_diverges_does_not_end_in_success(kind: str) -> None:
    """Rounding grows with f, and with it what the differences cannot tell; the gradient grows faster."""
    for power in (2, 4):
        found = tw.minimize(
            lambda x, k: (x**k).sum(), [1.5, -2.0], args=power, jac=kind, method=tw.SGD(lr=1.5), maxiter=400
        )
        assert not found.success, found.message


def test_fixed_variables_need_no_gradient() -> None:
    """As in SciPy: what jac says of them is not looked at, be it NaN."""

    def slope(x: Any, bad: float) -> Any:
        return np.array([2 * (x[0] - 1), bad, 2 * (x[2] - 3)])

    start, box = [0.0, 5.0, 0.0], [(None, None), (2.5, 2.5), (None, None)]
    for bad in (math.nan, math.inf, -1e300, 0.0):
        found = tw.minimize(
            lambda x, bad: bowl(x)[0], start, args=(bad,), jac=slope, bounds=box, method=tw.SGD(lr=0.1)
        )
        assert found.success and found.x == pytest.approx([1.0, 2.5, 3.0])
    found = tw.minimize(lambda x: bowl(x)[0], start, jac=lambda x: slope(x, 0) * math.nan, bounds=box)
    assert (found.status, found.nit) == (4, 0) and "nan at (0,)" in found.message


@pytest.mark.parametrize("jac", [None, "3-point", lambda x: np.full(2, np.nan)])
def test_all_variables_fixed(jac: Any) -> None:
    given: dict[str, Any] = {"jac": jac, "bounds": [(0.5, 0.5), (2.0, 2.0)]}
    for found in (
        tw.minimize(lambda x: bowl(x)[0], [9.0, 9.0], method="SGD", gtol=None, **given),
        tw.minimize(lambda x: bowl(x)[0], [9.0, 9.0], **given),
        scipy.optimize.minimize(
            lambda x: bowl(x)[0], [9.0, 9.0], method=thalweg.scipy.method("SGD"), **given
        ),
    ):
        assert found.success and found.status == 0 and found.x.tolist() == [0.5, 2.0] and found.fun == 0.25
        assert (
            found.nfev == 1 and found.nit == 0 and "All variables are fixed by the bounds." in found.message
        )


def test_x0_is_kept_and_made_float64() -> None:
    for start in (np.array([1, 2]), [3, 4], np.array([1, 2], np.float32), np.array([True, False])):
        kept = np.array(start)
        found = tw.minimize(bowl, start, jac=True, method=tw.SGD(lr=0.1), maxiter=3)
        assert found.x.dtype == found.jac.dtype == np.float64 and np.array_equal(start, kept)

    def spoils(x: Any) -> Pair:
        made = bowl(x)
        x[:] = np.nan
        return made

    assert tw.minimize(spoils, [0.0], jac=True, method=tw.SGD(lr=0.1)).x == pytest.approx([1.0])
    buffer = np.empty(2)

    def fills(x: Any) -> Pair:
        f, buffer[:] = bowl(x)
        return f, buffer

    for most in (3, 10_000):
        found = tw.minimize(fills, [0.0, 0.0], jac=True, method=tw.SGD(lr=0.1), maxiter=most)
        buffer[:] = np.nan
        assert found.success == (most > 3) and np.array_equal(found.jac, bowl(found.x)[1])


# --- stochastic objectives --------------------------------------------------------------------------

N = 400
DATA = np.random.default_rng(5).standard_normal((N, 3))
TRUTH = np.array([1.0, -2.0, 0.5])
TARGET = DATA @ TRUTH + 0.3 * np.random.default_rng(6).standard_normal(N)
BEST = np.linalg.lstsq(DATA, TARGET, rcond=None)[0]
LEAST = float(np.mean((DATA @ BEST - TARGET) ** 2))


def batch(x: Any, rng: np.random.Generator) -> Pair:
    rows = rng.integers(N, size=8)
    r = DATA[rows] @ x - TARGET[rows]
    return float(r @ r) / 8, 2 / 8 * (DATA[rows].T @ r)


def test_mini_batches() -> None:
    """The mean iterate is nearer than a noisy one; a seed is a run; f is near the noise that is there."""
    rule = tw.SGD(lr=0.05)
    given: dict[str, Any] = {"jac": True, "stochastic": True, "maxiter": 1000}
    means, noisy = [], []
    for seed in range(6):
        last: list[Any] = []
        found = tw.minimize(batch, np.zeros(3), method=rule, rng=seed, callback=last.append, **given)
        means.append(np.sum((found.x - BEST) ** 2))
        noisy.append(np.mean([np.sum((x - BEST) ** 2) for x in last[500:]]))
        assert found.nfev == found.njev == found.nit + 1 == 1001
        assert 0.5 * LEAST < found.fun < 1.5 * LEAST
    assert np.mean(means) < 0.7 * np.mean(noisy)
    again = scipy.optimize.minimize(
        batch, np.zeros(3), jac=True, method=thalweg.scipy.method(rule),
        options={"stochastic": True, "maxiter": 1000, "rng": np.random.default_rng(5)},
    )  # fmt: skip
    assert found.x.tobytes() == again.x.tobytes()
    polyak = tw.minimize(batch, np.zeros(3), method=rule, rng=5, average=0.99, **given)
    assert np.sum((polyak.x - BEST) ** 2) < np.mean(noisy)
    assert not np.array_equal(polyak.x, found.x)


def test_stopping_on_means() -> None:
    """One lucky draw ends nothing; a window's mean does."""
    rule = tw.SGD(lr=0.05)
    given: dict[str, Any] = {"jac": True, "stochastic": True, "rng": 1, "method": rule}
    drawn: list[float] = []

    def note(intermediate_result: OptimizeResult) -> None:
        drawn.append(intermediate_result.fun)

    found = tw.minimize(batch, np.zeros(3), ftarget=0.2, window=50, callback=note, **given)
    assert found.success and found.fun <= 0.2 and (found.nit + 1) % 50 == 0
    assert min(drawn[:50]) < 0.2 < np.mean(drawn[:50])
    assert np.mean(drawn[found.nit - 50 :]) == pytest.approx(found.fun)
    found = tw.minimize(batch, np.zeros(3), ftol=0.02, **given)
    assert found.success and "ftol" in found.message and found.nit >= 199
    found = tw.minimize(batch, np.zeros(3), xtol=0.02, **given)
    assert found.success and "xtol" in found.message
    found = tw.minimize(batch, np.zeros(3), gtol=0.05, **given)
    assert found.success and np.abs(found.jac).max() <= 0.05
    xs: list[Any] = []
    short = tw.minimize(batch, np.zeros(3), maxiter=20, callback=xs.append, **given)  # no window is full
    assert short.x == pytest.approx(np.mean([np.zeros(3), *xs], axis=0), rel=1e-12)


def test_one_draw_serves_f_gradient_and_differences() -> None:
    """Otherwise the noise between two draws, divided by 1e-8, is all that is left."""
    drawn: list[Any] = []

    def value(x: Any, rng: np.random.Generator) -> float:
        drawn.append(rng.random())
        return bowl(x)[0] + drawn[-1]

    def slope(x: Any, rng: np.random.Generator) -> Any:
        drawn.append(rng.random())
        return bowl(x)[1]

    for jac, calls in ((None, 3), (slope, 2), ("3-point", 5)):
        drawn.clear()
        found = tw.minimize(
            value, [0.0, 0.0], jac=jac, method=tw.SGD(lr=0.1), stochastic=True, rng=0, maxiter=60
        )
        rows = np.reshape(drawn, (-1, calls))
        assert len(rows) == 61 == len({r[0] for r in rows.tolist()})
        assert all(len(set(r)) == 1 for r in rows.tolist())
        assert found.jac.shape == (2,)


def test_a_fresh_draw_where_x_rests() -> None:
    """SciPy's memo of (f, gradient) would hand the first draw back for ever."""
    draws: list[float] = []

    def stuck(x: Any, rng: np.random.Generator) -> Pair:
        draws.append(rng.random())
        return float(x[0]), np.array([1.0 if draws[-1] < 0.9 else -20.0])

    scipy.optimize.minimize(
        stuck, [0.0], jac=True, method=thalweg.scipy.method(tw.SGD(lr=0.01)), bounds=[(0, 1)],
        options={"stochastic": True, "rng": 0, "maxiter": 50},
    )  # fmt: skip
    assert len(set(draws)) == 51


# --- what goes wrong --------------------------------------------------------------------------------


def late(
    bad: Callable[[Any], Any], good: Callable[[Any], Any] = bowl, after: int = 5
) -> Callable[[Any], Any]:
    """``good`` for some calls, then ``bad``."""
    calls = iter(range(10**9))
    return lambda x: good(x) if next(calls) < after else bad(x)


def fails(x: Any) -> Any:
    raise ZeroDivisionError("no\nluck")


def interrupts(x: Any) -> Any:
    raise KeyboardInterrupt


ENDINGS: dict[str, tuple[Callable[[Any], Any], int, str]] = {
    "NaN": (lambda x: (math.nan, 2 * x), 4, "The objective is nan at step"),
    "infinity": (lambda x: (math.inf, 2 * x), 4, "The objective is inf"),
    "minus infinity": (lambda x: (-math.inf, 2 * x), 4, "The objective is -inf"),
    "NaN gradient": (lambda x: (0.0, np.array([0.0, np.nan])), 4, "gradient is nan at (1,)"),
    "huge gradient": (lambda x: (0.0, np.full(2, 1e200)), 4, "too large"),
    "shape": (lambda x: (0.0, np.zeros(3)), 5, "shape (2,)"),
    "square": (lambda x: (0.0, np.zeros((2, 1))), 5, "(2, 1)"),
    "complex gradient": (lambda x: (0.0, x + 1j), 5, "complex128"),
    "text for a gradient": (lambda x: (0.0, "no"), 5, "'no'"),
    "no gradient": (lambda x: 1.0, 5, "(f, gradient)"),
    "nothing": (lambda x: None, 5, "(f, gradient)"),
    "a vector for f": (lambda x: (x, x), 5, "one real number"),
    "None for f": (lambda x: (None, x), 5, "one real number"),
    "an error": (fails, 6, "ZeroDivisionError was raised: no luck"),
    "Ctrl-C": (interrupts, 7, "Interrupted"),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_a_run_that_goes_wrong_ends_with_the_best_point(case: str) -> None:
    """After some steps, and at the very first call; through both doors."""
    bad, status, words = ENDINGS[case]
    for door in (
        lambda fun, x0: tw.minimize(fun, x0, jac=True, method=tw.Adam(lr=0.1)),
        lambda fun, x0: scipy.optimize.minimize(
            fun, x0, jac=True, method=thalweg.scipy.method(tw.Adam(lr=0.1))
        ),
    ):
        found = door(late(bad), [0.0, 0.0])
        assert (found.status, found.success) == (status, False)
        assert words in found.message and "\n" not in found.message
        if case != "huge gradient":  # its point is the lowest; the step from it cannot be taken
            assert found.nit == 5
            assert np.array_equal(found.jac, bowl(found.x)[1]) and found.fun == bowl(found.x)[0] < 5
        assert (found.exception is None) == (case in ("NaN", "infinity", "minus infinity", "NaN gradient"))
        first = door(bad, [0.5, 0.25])
        assert (first.status, first.nit) == (status, 0) and np.array_equal(first.x, [0.5, 0.25])
        assert first.jac.shape == (2,)


def test_a_wrong_jac_beside_a_good_fun() -> None:
    found = tw.minimize(lambda x: bowl(x)[0], [0.0, 0.0], jac=lambda x: np.zeros(3), method="Adam")
    assert (found.status, found.fun, found.success) == (5, 5.0, False)
    assert "shape (2,)" in found.message and np.isnan(found.jac).all()
    assert isinstance(found.exception, GradientError)
    found = tw.minimize(lambda x: bowl(x)[0] * (1 + 0j), [0.0], jac="3-point", method="Adam")
    assert found.status == 5 and "one real number" in found.message


def test_the_exception_can_be_raised_again() -> None:
    found = tw.minimize(late(fails), [0.0, 0.0], jac=True, method="Adam")
    with pytest.raises(ZeroDivisionError) as caught:
        raise found.exception
    assert caught.traceback[-1].name == "fails"
    huge = tw.minimize(lambda x: (0.0, x * 1e200), [1.0], jac=True, method="Adam")
    assert isinstance(huge.exception, NonFiniteError)

    def broken(xk: Any) -> None:
        raise RuntimeError("in the callback")

    found = tw.minimize(bowl, [0.0], jac=True, method="Adam", callback=broken)
    assert (found.status, found.nit) == (6, 1) and "in the callback" in found.message


# --- objectives that Numba compiled -----------------------------------------------------------------


@numba.njit
def valley(x: Any) -> Any:
    r = x[1] - x[0] * x[0]
    g = np.empty(2)
    g[0], g[1] = -2 * (1 - x[0]) - 400 * x[0] * r, 200 * r
    return (1 - x[0]) ** 2 + 100 * r * r, g


COMPILED: dict[str, dict[str, Any]] = {
    "gtol": {},
    "no method": {"method": None},
    "schedule": {"method": tw.Adam(lr=tw.cosine(0.1, steps=3000))},
    "slow": {"method": tw.RMSprop(lr=1e-3), "maxiter": 3000},
    "bounds": {"bounds": [(-2, 0.5), (None, None)]},
    "scales": {"x_scale": [1.0, 0.7], "bounds": [(-2, 1 / 3), (-1, 1)]},
    "ftol": {"ftol": 1e-7},
    "xtol": {"xtol": 1e-4, "window": 30},
    "ftarget": {"ftarget": 1e-3, "gtol": None},
    "maxfev": {"maxfev": 777},
    "maxiter": {"maxiter": 500},
    "diverges": {"method": tw.SGD(lr=0.5)},
    "hops": {"method": tw.RMSprop(lr=0.3, beta=0.5), "maxiter": 300},
    "xtol in several calls": {"method": tw.Adam(lr=1e-3), "xtol": 2e-3, "window": 250},
}


@pytest.mark.parametrize("case", COMPILED)
def test_the_compiled_loop_is_the_same_run(case: str) -> None:
    """Every entry of the result, bit for bit, as with a callback, which keeps the loop in Python."""
    given = {"method": tw.Adam(lr=0.05), "jac": True} | COMPILED[case]
    compiled = tw.minimize(valley, [-1.2, 1.0], **given)
    plain = tw.minimize(valley, [-1.2, 1.0], callback=lambda xk: None, **given)
    for n, value in plain.items():
        if n != "exception":
            assert np.array_equal(compiled[n], value), n
    assert compiled.nit >= 4


@numba.njit
def weighed(x: Any, a: float, rows: Any, k: int, on: bool, counter: Any) -> float:
    counter[0] += 1
    return a * ((x - rows[k, 1]) ** 2).sum() + (1.0 if on else 0.0)


@numba.njit
def weighed_slope(x: Any, a: float, rows: Any, k: int, on: bool, counter: Any) -> Any:
    return 2 * a * (x - rows[k, 1])


def test_compiled_with_args_and_its_own_jac() -> None:
    """Arguments are seen as they are at each call; the loop runs where they are, not in Python."""
    rows = np.array([[0, 1], [2, 3], [4, 5]], dtype=np.int32)
    counter = np.zeros(1, dtype=np.int64)
    for a, k, on in ((1.0, 0, True), (0.5, 2, False)):
        counter[0] = 0
        found = tw.minimize(
            weighed, [0.0, 9.0, 2.0], args=(a, rows, k, on, counter), jac=weighed_slope, method=tw.SGD(lr=0.1)
        )
        assert found.success and found.x == pytest.approx(np.full(3, rows[k, 1]), abs=1e-7)
        assert found.fun == pytest.approx(float(on)) and found.nfev == found.nit + 1 > 50
        assert found.nfev <= counter[0] <= found.nfev + 2  # the last point is looked at again
    odd: list[Any] = [rows.T, np.broadcast_to(1.0, 3), (1.0,), "a", 1j, 1 << 70, np.array(["a"])]
    assert [foreign(weighed, weighed_slope, (x,)) for x in odd] == [None] * len(odd)
    assert foreign(bowl, True, ()) is foreign(weighed, bowl, ()) is None


def test_a_compiled_run_is_fast_and_compiles_once() -> None:
    """A million steps well within what Python would take for fifty thousand."""
    given: dict[str, Any] = {"jac": True, "method": tw.Adam(lr=1e-9), "maxiter": 1_000_000}
    tw.minimize(valley, [-1.2, 1.0], jac=True, method=tw.Adam(lr=1e-9), maxiter=5)
    found = tw.minimize(valley, [-1.2, 1.0], maxtime=20, **given)
    assert found.status == 1 and found.nit == 1_000_000
    found = tw.minimize(valley, [-1.2, 1.0], **(given | {"maxiter": 10**12, "maxtime": 0.2}))
    assert found.status == 3 and found.nit > 1000


@numba.njit
def treacherous(x: Any, kind: int) -> Any:
    g = 2 * (x - 1)
    f = (g * g).sum() / 4
    if x[0] > 0.5:
        if kind == 0:
            raise ValueError("too far")
        if kind == 1:
            f = np.nan
        if kind == 2:
            g[1] = np.inf
        if kind == 3:
            g = np.zeros(3)
        if kind == 4:
            g[1] = 1e200
    return f, g


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [(0, 6, "too far"), (1, 4, "nan"), (2, 4, "gradient is inf"), (3, 5, "shape (2,)"), (4, 4, "too large")],
)
def test_a_compiled_run_that_goes_wrong(kind: int, status: int, words: str) -> None:
    found = tw.minimize(treacherous, [0.0, 0.0], args=kind, jac=True, method=tw.Adam(lr=0.05))
    assert (found.status, found.success) == (status, False) and words in found.message
    assert found.nit >= 10 and 0.45 < found.x[0] < 0.56


# --- bad input --------------------------------------------------------------------------------------

BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "fun": ({"fun": 3}, ("fun must be callable", "3")),
    "fun None": ({"fun": None}, ("fun must be callable",)),
    "a rule's class": ({"method": tw.Adam}, ("the class Adam", "Adam()")),
    "an unknown method": ({"method": "Adm"}, ("'Adm'", "did you mean 'Adam'")),
    "SciPy's method": ({"method": "BFGS"}, ("'BFGS'", "known: AdaBelief")),
    "an unknown dialect": ({"method": "Adam:kears"}, ("kears", "did you mean 'keras'")),
    "a number for a method": ({"method": 3}, ("method must be a rule", "3")),
    "jac": ({"jac": 3}, ("jac must be", "2-point", "3")),
    "jac's name": ({"jac": "4-point"}, ("jac must be", "4-point", "3-point")),
    "callback": ({"callback": 3}, ("callback must be callable",)),
    "option": ({"options": {"maxitr": 3}}, ("unknown option 'maxitr'", "did you mean 'maxiter'")),
    "keyword": ({"gtl": 3}, ("unknown option 'gtl'", "did you mean 'gtol'")),
    "twice": ({"gtol": 1.0, "options": {"gtol": 1.0}}, ("gtol is given twice",)),
    "options": ({"options": [1]}, ("options must be a dict",)),
    **{
        f"{n}={v!r}": ({n: v}, (f"{n} must be", repr(v)))
        for n in ("gtol", "ftol", "xtol", "maxtime", "tol")
        for v in (-1.0, math.nan, "a", True)
    },
    **{f"{n}={v!r}": ({n: v}, (f"{n} must be a whole number",)) for n in ("maxiter", "maxfev", "window") for v in (-1, 1.5, "a", True)},
    "maxfev 0": ({"maxfev": 0}, ("maxfev", "at least 1")),
    "ftarget": ({"ftarget": math.nan}, ("ftarget must be a number", "nan")),
    "stochastic": ({"stochastic": "yes"}, ("stochastic must be True or False",)),
    "rng": ({"rng": "a"}, ("rng must be a seed",)),
    "finite_diff": ({"finite_diff": "4-point"}, ("finite_diff", "'3-point'")),
    "average": ({"average": 2.0}, ("average", "2.0")),
    "clip": ({"clip_norm": -1.0}, ("clip_norm", "-1.0")),
    "x_scale 0": ({"x_scale": 0}, ("x_scale", "positive")),
    "x_scale's shape": ({"x_scale": [1.0, 2.0, 3.0]}, ("x_scale", "2 of them")),
    "x_scale's words": ({"x_scale": "big"}, ("x_scale", "'big'")),
    "bounds crossed": ({"bounds": [(0, 1), (3, 2)]}, ("bounds[1]", "(3.0, 2.0)")),
    "bounds NaN": ({"bounds": [(0, 1), (math.nan, 2)]}, ("bounds[1]", "nan")),
    "bounds too few": ({"bounds": [(0, 1)]}, ("2 pairs",)),
    "bounds no pairs": ({"bounds": [0, 1]}, ("2 pairs",)),
    "bounds' shape": ({"bounds": Bounds([0, 0, 0], 1)}, ("2 pairs",)),
    "bounds' words": ({"bounds": "none"}, ("2 pairs",)),
    "constraints": ({"constraints": {"type": "eq", "fun": len}}, ("no constraints",)),
}  # fmt: skip
BAD_STARTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "complex": ([1j, 2.0], ("complex128", ".view(float)")),
    "matrix": (np.zeros((2, 2)), ("(2, 2)", ".ravel()")),
    "empty": ([], ("empty",)),
    "NaN": ([0.0, math.nan], ("nan at 1",)),
    "infinite": ([math.inf, 0.0], ("inf at 0",)),
    "text": (["a", "b"], ("real numbers", "<U1")),
    "None": (None, ("real numbers", "object")),
    "masked": (np.ma.array([1.0, 2.0], mask=[True, False]), ("MaskedArray", ".filled(0.0)")),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case: str) -> None:
    """One clear line, a ValueError, before fun is called."""
    given, words = BAD[case]
    calls: list[Any] = []
    complete: dict[str, Any] = {"fun": calls.append, "x0": [0.0, 0.0], "jac": True, "method": "Adam"} | given
    with pytest.raises(HyperparameterError) as caught:
        tw.minimize(**complete)
    one_line(caught.value, words)
    assert not calls


@pytest.mark.parametrize("case", BAD_STARTS)
def test_bad_starts(case: str) -> None:
    start, words = BAD_STARTS[case]
    with pytest.raises(ParameterError) as caught:
        tw.minimize(bowl, start, jac=True)
    one_line(caught.value, words)


def one_line(error: ThalwegError, words: tuple[str, ...]) -> None:
    text = str(error)
    assert isinstance(error, ValueError) and "\n" not in text and len(text) < 500
    for word in words:
        assert word in text


def test_method_refuses_what_is_no_rule() -> None:
    for bad in (tw.Adam, 3, "Adm"):
        with pytest.raises(HyperparameterError):
            thalweg.scipy.method(bad)  # type: ignore[arg-type]


def test_hessians_are_not_used_and_scipy_warns_alike() -> None:
    with pytest.warns(RuntimeWarning, match="Method Adam does not use Hessian information"):
        tw.minimize(bowl, [0.0], jac=True, method="Adam", hess=lambda x: 2.0, maxiter=1)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.coo_array])
def test_a_sparse_gradient_is_a_gradient(kind: Any) -> None:
    def gradient(w: Any) -> Any:
        return 2 * (w - np.array([1.0, 0.0, 2.0]))

    dense = tw.minimize(lambda w: gradient(w) @ gradient(w) / 4, np.zeros(3), jac=gradient)
    made = tw.minimize(lambda w: gradient(w) @ gradient(w) / 4, np.zeros(3), jac=lambda w: kind(gradient(w)))
    np.testing.assert_array_equal(made.x, dense.x)
    wrong = tw.minimize(np.sum, np.zeros(3), jac=lambda w: kind(np.ones((3, 2))))
    assert not wrong.success and "real and of shape (3,)" in wrong.message


@pytest.mark.parametrize(
    ("fun", "jac", "told"),
    [
        (lambda w: (w @ w, 2 * w), None, "returned two values: pass jac=True"),
        (lambda w: w @ w, lambda w: [1.0, [2.0, 3.0]], "real and of shape (2,)"),
    ],
)
def test_the_commonest_mistakes_are_named(fun: Any, jac: Any, told: str) -> None:
    made = tw.minimize(fun, [0.0, 3.0], jac=jac)
    assert made.status == 5 and told in made.message
    with pytest.raises(ParameterError):
        tw.minimize(lambda w: w @ w, [1.0, [2.0, 3.0]])
