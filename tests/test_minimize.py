"""``tw.minimize`` without a method: what it reaches, what it says, and that every limit and ending holds there too."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from benchmarks.landscapes import measured

import thalweg as tw
import thalweg.scipy
from thalweg.problems import landscape, landscape_catalogue

Pair = tuple[float, np.ndarray[Any, Any]]
FEW = ("himmelblau", "six-hump-camel", "goldstein-price", "quadratic-2d")


def bowl(x: Any) -> Pair:
    """Minimum 0 at (1, 2, ..., n); curvature 2."""
    r = x - np.arange(1.0, x.size + 1)
    return float(r @ r), 2 * r


def reached(name: str) -> None:
    line = measured(landscape(name), 2_000)
    assert math.isfinite(line.exact) and math.isfinite(line.differences), line


@pytest.mark.parametrize("name", FEW)
def test_the_minimum_within_two_thousand_gradients(name: str) -> None:
    """With jac, and with differences of f."""
    reached(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", landscape_catalogue())
def test_every_landscape_within_two_thousand_gradients(name: str) -> None:
    reached(name)


def test_what_was_chosen_is_a_rule_that_does_the_same() -> None:
    found = scipy.optimize.minimize(bowl, [0.0, 0.0, 0.0], jac=True, method=thalweg.scipy.method())
    assert found.success and found.x == pytest.approx([1.0, 2.0, 3.0], abs=1e-7)
    lr = found.method.values["lr"]
    assert f"Chosen: Adam(lr=restarts({lr.value:g}, steps={lr.steps})) by " in found.message
    again = tw.minimize(bowl, [0.0, 0.0, 0.0], jac=True, method=found.method)
    assert again.x.tobytes() == found.x.tobytes() and again.nit < found.nit
    assert found.nfev == found.njev == found.nit + 1 + int(found.message.split(" by ")[1].split()[0])


@pytest.mark.parametrize("far", [1e-5, 1e-2, 30.0, 1e5])
def test_a_minimum_far_from_the_starts_size_is_found(far: float) -> None:
    """Rates beyond the first five are tried; f is scaled with x, so that gtol asks for the same digits."""

    def scaled(x: Any) -> Pair:
        f, g = bowl(x / far)
        return f, g / far

    found = tw.minimize(scaled, [0.0, 0.0], jac=True, gtol=1e-6 / far, maxiter=3_000)
    assert found.success and found.x == pytest.approx([far, 2 * far], rel=1e-5)


def test_x_scale_is_what_rates_are_shares_of() -> None:
    def narrow(x: Any) -> Pair:
        f, g = bowl(x * 1e3)
        return f, g * 1e3

    found = tw.minimize(narrow, [0.0, 0.0], jac=True, x_scale=1e-3, maxiter=3_000, gtol=1e-4)
    twin = tw.minimize(bowl, [0.0, 0.0], jac=True, maxiter=3_000, gtol=1e-7)
    assert found.success and found.method == twin.method


def logarithmic(x: Any) -> float:
    return float(x[0] - math.log(x[0]) + (x[1] - 1) ** 2)


DOMAINS: dict[str, tuple[Callable[[Any], float], str]] = {
    "raises": (logarithmic, "ValueError was raised"),
    "overflows": (
        lambda x: float(((x - 1) ** 2).sum()) + math.exp(40 * abs(x).max() - 3700),
        "OverflowError was raised",
    ),
    "NaN": (lambda x: logarithmic(x) if x[0] > 0 else math.nan, "The objective is nan"),
}


@pytest.mark.parametrize("case", DOMAINS)
def test_rates_that_leave_where_f_is_defined_are_dropped_and_said(case: str) -> None:
    fun, words = DOMAINS[case]
    found = tw.minimize(fun, [3.0, 80.0], maxiter=2_000)
    assert " failed: " in found.message and words in found.message
    assert found.x == pytest.approx([1.0, 1.0], abs=2e-3)


def fails(x: Any) -> Any:
    raise RuntimeError("no luck")


def test_errors_end_the_run_wherever_they_come() -> None:
    """In a short run as in the last one; an error at x0 is never taken for a rate that is too large."""
    for bad, status in ((fails, 6), (lambda x: (0.0, np.zeros(3)), 5), (lambda x: (math.nan, x), 4)):
        for after in (0, 5, 400):
            calls = iter(range(10**9))
            found = tw.minimize(lambda x: bowl(x) if next(calls) < after else bad(x), [0.0, 0.0], jac=True)  # noqa: B023
            assert (found.status, found.success) == (status, False), found.message
            assert found.fun <= 5 or after == 0
    found = tw.minimize(lambda x: 1 / 0, [0.0])
    assert found.status == 6 and "ZeroDivisionError" in found.message and found.nit == 0
    assert isinstance(found.exception, ZeroDivisionError)


def test_callbacks_hear_every_step_in_order_and_may_end_it() -> None:
    for most in (7, 40, 300):
        steps: list[int] = []

        def hear(intermediate_result: Any) -> None:
            steps.append(intermediate_result.nit)  # noqa: B023
            if len(steps) == most:  # noqa: B023
                raise StopIteration

        found = tw.minimize(bowl, [0.0, 0.0], jac=True, callback=hear)
        assert steps == list(range(1, most + 1)) and (found.status, found.nit) == (99, most)
        assert found.fun == bowl(found.x)[0] < 5


@pytest.mark.parametrize("most", [0, 1, 5, 60, 71, 72, 100, 400])
def test_limits_count_the_short_runs(most: int) -> None:
    """The minimum of a steep valley is far: every limit is used up, none exceeded, and the lowest point comes back."""
    seen = [math.inf]

    def valley(x: Any) -> Pair:
        seen.append(scipy.optimize.rosen(x))
        return seen[-1], scipy.optimize.rosen_der(x)

    found = tw.minimize(valley, [-1.2, 1.0], jac=True, maxiter=most)
    assert (found.status, found.nit) == (1, most) and found.fun == min(seen)
    assert f"maxiter = {most} " in found.message
    assert ("too few" in found.message) == (most < 72)
    for n in (most + 1, 3 * (most + 1)):
        by_calls = tw.minimize(scipy.optimize.rosen, [-1.2, 1.0], maxfev=n)
        assert by_calls.status == 2 and n - 3 < by_calls.nfev <= max(n, 3)
    assert tw.minimize(valley, [-1.2, 1.0], jac=True, maxtime=0.0).nit == 0


def test_a_rate_at_rest_is_no_convergence() -> None:
    """The cosine's end moves nothing; ftol and xtol compare the ends of two cosines."""
    for tolerance in ({"xtol": 1e-2}, {"ftol": 1e-2}):
        rosenbrock: dict[str, Any] = {
            "fun": scipy.optimize.rosen,
            "x0": [-1.2, 1.0],
            "jac": scipy.optimize.rosen_der,
        }
        found = tw.minimize(**rosenbrock, gtol=None, **tolerance)
        assert found.success and "from the end of one round to the next" in found.message
        assert found.x == pytest.approx([1.0, 1.0], abs=2e-3)
        assert found.nit < 3_000
        named = tw.minimize(**rosenbrock, gtol=None, method=found.method, **tolerance)
        assert named.nit < found.nit / 2  # a rule that is given is judged at every step


def test_honesty_about_quasi_newton() -> None:
    """Said of smooth functions with few unknowns; not where there are kinks or noise, or many unknowns."""
    noise = np.random.default_rng(0)

    def noisy(x: Any) -> Pair:
        return bowl(x)[0] + noise.normal(), bowl(x)[1]

    assert "L-BFGS-B usually needs a tenth" in tw.minimize(bowl, [0.0] * 9, jac=True).message
    assert "L-BFGS-B" in tw.minimize(lambda x: bowl(x)[0], [0.0] * 2).message
    assert "L-BFGS-B" not in tw.minimize(noisy, [0.0] * 9, jac=True, maxiter=300).message
    assert "L-BFGS-B" not in tw.minimize(bowl, np.zeros(1001), jac=True, maxiter=300).message
    kinked = tw.minimize(lambda x: (float(np.abs(x).sum()), np.sign(x)), [1e-3] * 9, jac=True, maxiter=300)
    assert "L-BFGS-B" not in kinked.message
    assert "L-BFGS-B" not in tw.minimize(bowl, [0.0] * 9, jac=True, method="Adam", maxiter=9).message


def test_a_far_plateau_does_not_end_the_search() -> None:
    """The gradient of a saturated neuron vanishes where a wild rate throws it; that is not convergence."""
    problem = landscape("neuron")
    found = tw.minimize(problem.loss, problem.starts[0], jac=lambda x: problem.gradient(x, None))
    assert found.success and found.fun < 1e-6


def test_a_run_at_its_minimum_ends_there() -> None:
    found = tw.minimize(bowl, [1.0, 2.0], jac=True)
    assert found.success and found.nit == 0 and found.nfev == 1
    target = tw.minimize(bowl, [0.0, 0.0], jac=True, ftarget=4.0)
    assert target.success and target.fun <= 4.0 and "short run, Adam(lr=" in target.message


def test_mini_batches_without_a_method() -> None:
    rows = np.random.default_rng(5).standard_normal((400, 3))
    values = rows @ [1.0, -2.0, 0.5]

    def batch(x: Any, rng: np.random.Generator) -> Pair:
        some = rng.integers(400, size=8)
        r = rows[some] @ x - values[some] + rng.normal(size=8)
        return float(r @ r) / 8, rows[some].T @ r / 4

    given: dict[str, Any] = {"jac": True, "stochastic": True, "rng": 0, "maxiter": 1500}
    found = tw.minimize(batch, np.zeros(3), **given)
    assert found.x == pytest.approx([1.0, -2.0, 0.5], abs=0.15)
    assert found.x.tobytes() == tw.minimize(batch, np.zeros(3), **given).x.tobytes()


def test_bounds_without_a_method() -> None:
    box = [(-1, 0.5), (2.5, None), (3.25, 3.25)]

    def inside(x: Any) -> Pair:
        assert -1 <= x[0] <= 0.5 and x[1] >= 2.5 and x[2] == 3.25
        return bowl(x)

    found = tw.minimize(inside, [0.0, 3.0, 0.0], jac=True, bounds=box)
    assert found.success and found.x == pytest.approx([0.5, 2.5, 3.25])
