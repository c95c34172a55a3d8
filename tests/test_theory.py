"""Convergence theory: limits, factors and transients against closed forms and against compiled runs."""

from functools import cache
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import rules
from thalweg.core import Rule, Scalar, fraction, nonnegative, rule, state
from thalweg.core.math import sign
from thalweg.engines.loops import run
from thalweg.errors import HyperparameterError, ProblemError, RuleError
from thalweg.lab import theory
from thalweg.problems.quadratic import objective

SHIPPED = rules.shipped()
every_rule = pytest.mark.parametrize("name", SHIPPED)
BETAS = (0.0, 0.5, 0.9, 0.99)
FIXED = ("SGD", "Momentum", "MomentumSutskever", "Nesterov", "NesterovSutskever")


def with_momentum(name: str, beta: float) -> Rule:
    """The rule with the line that remembers gradients linearly set to beta."""
    lines = SHIPPED[name].anatomy.lines
    line = next((n for n in ("beta1", "mu") if n in lines), "beta" if name in FIXED[1:] else None)
    return SHIPPED[name](**({} if line is None else {line: beta}))


@every_rule
@pytest.mark.parametrize("beta", BETAS)
def test_the_limit_has_its_closed_form(name: str, beta: float) -> None:
    made = with_momentum(name, beta)
    known = theory.limit_formula(made)
    assert known is not None
    assert theory.limit(made) == pytest.approx(known.value, rel=1e-9)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("dampening", [0.0, 0.5, 0.9])
def test_limits_of_dampened_and_averaged_momentum(beta: float, dampening: float) -> None:
    damped = tw.Momentum(beta=beta, dampening=dampening)
    assert theory.limit(damped) == pytest.approx((2 + 2 * beta) / (1 - dampening), rel=1e-9)
    mean = tw.Momentum.like("slides", beta=beta)
    assert theory.limit(mean) == pytest.approx((2 + 2 * beta) / (1 - beta), rel=1e-9)
    for r in (damped, mean):
        known = theory.limit_formula(r)
        assert known is not None
        assert theory.limit(r) == pytest.approx(known.value, rel=1e-9)


# Corrected for its start, Adam first steps up to 1 / (1 - beta1) times too far: with 0.99 and a rate
# near the limit that throws it out by 100 powers of ten, and what is measured is not its limit.
THROWN = {("Adam", 0.99), ("Adamax", 0.99)}


@pytest.mark.parametrize(("name", "beta"), [(n, b) for n in SHIPPED for b in BETAS if (n, b) not in THROWN])
def test_real_runs_lose_stability_at_the_limit(name: str, beta: float) -> None:
    """Adaptive rules too: an epsilon far above every gradient holds their rate at lr / eps."""
    huge = 1e100
    lines = SHIPPED[name].anatomy.lines
    held = {n: v for n, v in (("eps", huge), ("eps_v", huge**2), ("eps_u", huge**2)) if n in lines}
    made = with_momentum(name, beta).replace(**held)
    made = made.replace(lr=huge) if "eps" in held else made
    assert theory.measured_limit(made) == pytest.approx(theory.limit(made), rel=1e-3)


@every_rule
def test_the_matrix_is_one_step_of_the_rule(name: str) -> None:
    """What the optimizer does in step t, at the rate that it reports, the matrix does."""
    made = SHIPPED[name]()
    w, h = np.array([0.7]), 1.3
    opt = made.on(w)
    for t in range(1, 6):
        before = {"w": w.copy(), **{n: np.array(v).copy() for n, v in opt.state.items()}}
        opt.step(h * w)
        rate = float(np.asarray(opt.rates())[0])
        step = theory.frozen(made, rate, t)
        x = np.array([float(np.ravel(before[n])[0]) for n in step.names])
        after = {"w": w, **opt.state}
        got = np.array([float(np.ravel(after[n])[0]) for n in step.names])
        np.testing.assert_allclose(step.at(h) @ x, got, rtol=1e-12, atol=1e-15)


@cache
def norms(kappa: float, name: str, steps: int = 40_000) -> Any:
    """The optimum for eigenvalues 1 and kappa, and the norms of its run from (1, 1)."""
    best = theory.tuned(name, 1.0, kappa)
    trace = run(best.rule, objective(np.diag([1.0, kappa])), np.ones((1, 2)), steps, record=("path",))
    assert trace.path is not None
    return best, np.linalg.norm(trace.path[0], axis=1)


OPTIMA = [
    (100.0, "SGD", 709, 691, 1.0),
    (100.0, "Momentum", 95, 69, 3.787),
    (100.0, "Nesterov", 157, 132, 1.0),
    (1000.0, "SGD", 7082, 6908, 1.0),
    (1000.0, "Momentum", 321, 219, 11.67),
    (1000.0, "Nesterov", 518, 430, 1.0),
]


@pytest.mark.parametrize(("kappa", "name", "count", "bound", "hump"), OPTIMA)
def test_tuned_runs_go_as_predicted(kappa: float, name: str, count: int, bound: int, hump: float) -> None:
    """Counts to ‖x‖ = 1e-6 from (1, 1), the naive bound, the hump of ‖x‖, the fitted factor.

    Nesterov's stored w is the point where the gradient is taken; the point without the look-ahead
    needs one step more.
    """
    best, measured = norms(kappa, name)
    assert int(np.argmax(measured <= 1e-6)) == count
    assert theory.steps_to(best.factor, 1e-6) == bound
    assert theory.factor(best.rule, [1.0, kappa]) == pytest.approx(best.factor, rel=1e-7)
    assert abs(theory.fitted_factor(measured) - best.factor) < 1e-3
    predicted = theory.transient(best.rule, [1.0, kappa], [1.0, 1.0], 2000)
    np.testing.assert_allclose(predicted, measured[:2001] / measured[0], rtol=1e-8)
    if hump > 1:
        assert predicted.max() * np.sqrt(2) == pytest.approx(hump, rel=1e-3)
        assert measured.max() == pytest.approx(hump, rel=1e-3)
    else:
        assert predicted.max() == 1.0


def test_the_optimum_is_one() -> None:
    """Moving lr or beta away from heavy ball's optimum makes the factor worse."""
    best = theory.tuned("Momentum", 1.0, 100.0)
    values: Any = best.rule.values
    for change in (0.99, 1.01):
        for line in ("lr", "beta"):
            other = best.rule.replace(**{line: values[line] * change})
            assert theory.factor(other, [1.0, 100.0]) > best.factor + 1e-3


@pytest.mark.parametrize(
    "made", [tw.Momentum(lr=0.2, dampening=0.5), tw.SGD(lr=tw.inverse_time(0.5, decay=0.1))]
)
def test_a_moving_clock_is_followed(made: Rule) -> None:
    """torch's dampening begins at the second step, a schedule moves at each."""
    trace = run(made, objective(np.diag([1.0, 3.0])), np.array([[2.0, 1.0]]), 50, record=("path",))
    assert trace.path is not None
    measured = np.linalg.norm(trace.path[0], axis=1)
    predicted = theory.transient(made, [1.0, 3.0], [2.0, 1.0], 50)
    np.testing.assert_allclose(predicted, measured / measured[0], rtol=1e-12)


# Rules of a user's.


def double_rate(v, /, lr):  # type: ignore[no-untyped-def]
    return lr / (v + 1.0)


def quasi_hyperbolic_step(w, g, m, v, /, lr, beta, nu):  # type: ignore[no-untyped-def]
    m = beta * m + (1 - beta) * g
    v = v + g * g
    return w - double_rate(v, lr) * ((1 - nu) * g + nu * m), m, v


@rule(quasi_hyperbolic_step, rate=double_rate)
class QuasiHyperbolic(Rule):
    """Ma & Yarats, arXiv 1810.06801 (2019), over a sum of squares."""

    lr: Scalar = nonnegative(default=1.0, unit="w g")
    beta: Scalar = fraction(default=0.9)
    nu: Scalar = fraction(default=0.7)
    m: float = state(default=0.0, unit="g", signed=True)
    v: float = state(default=0.0, unit="g^2")


def signed_step(w, g, /, lr):  # type: ignore[no-untyped-def]
    return w - lr * sign(g)


@rule(signed_step)
class Signed(Rule):
    lr: Scalar = nonnegative(default=1.0, unit="w")


def bare_step(w, g, /, lr):  # type: ignore[no-untyped-def]
    return w - lr * g


@rule(bare_step)
class Bare(Rule):
    lr: Scalar = nonnegative(default=0.5, unit="w/g")


def nameless_step(w, g, /, speed):  # type: ignore[no-untyped-def]
    return w - speed * g


@rule(nameless_step)
class Nameless(Rule):
    speed: Scalar = nonnegative(default=0.5, unit="w/g")


def twofold_step(w, g, v, /, lr):  # type: ignore[no-untyped-def]
    return w - double_rate(v, lr) * g - double_rate(v + g * g, lr) * g, v


@rule(twofold_step, rate=double_rate)
class Twofold(Rule):
    lr: Scalar = nonnegative(default=0.5, unit="w/g")
    v: float = state(default=0.0, unit="g^2")


def test_a_users_rule_has_a_limit() -> None:
    """Quasi-hyperbolic momentum, by hand: det(M + I) = 0 at a λ = 2 (1 + β) / (1 + β − 2 β ν)."""
    for beta, nu in ((0.9, 0.7), (0.5, 0.5), (0.9, 0.0)):
        made = QuasiHyperbolic(beta=beta, nu=nu)
        expected = 2 * (1 + beta) / ((1 + beta) - 2 * beta * nu)
        assert theory.limit(made) == pytest.approx(expected, rel=1e-9)
        assert theory.limit_formula(made) is None


def test_a_rule_without_rate_has_its_lr_frozen() -> None:
    assert theory.limit(Bare()) == 2
    assert theory.factor(Bare(), [1.0, 3.0]) == 0.5
    with pytest.raises(RuleError, match="neither `rate` nor lr"):
        theory.limit(Nameless())


def test_a_step_that_is_not_linear_is_refused() -> None:
    with pytest.raises(RuleError, match="Signed: its step is not linear in w, g and its states"):
        theory.limit(Signed())
    with pytest.raises(RuleError, match="double_rate is called with different arguments"):
        theory.limit(Twofold())


def test_what_is_missing_is_asked_for() -> None:
    with pytest.raises(HyperparameterError, match="Adam: its rate follows the gradients; give rate="):
        theory.factor(tw.Adam(), [1.0])
    with pytest.raises(HyperparameterError, match="RMSprop: its rate follows the gradients; give rate="):
        theory.transient(tw.RMSprop(), [1.0], [1.0], 5)
    slow = tw.Adam(beta1=1 - 1e-10)
    with pytest.raises(HyperparameterError, match=r"still move after 1e\+09 steps; give t="):
        theory.limit(tw.RMSpropMomentum(lr=tw.inverse_time(1.0, decay=1.0)))
    assert theory.limit(slow, t=5) > 1e3
    with pytest.raises(HyperparameterError, match="no optimum is known for 'Adam'"):
        theory.tuned("Adam", 1, 2)
    with pytest.raises(ProblemError, match="0 < smallest <= largest"):
        theory.tuned("SGD", 2, 1)
    with pytest.raises(ProblemError, match="at least 4"):
        theory.fitted_factor([1.0, 0.5, 0.0, 0.0])
    with pytest.raises(ProblemError, match="one number each"):
        theory.transient(tw.SGD(), [1.0, 2.0], [1.0], 5)
    with pytest.raises(HyperparameterError, match="positive lr"):
        theory.measured_limit(tw.SGD(lr=0.0))


def test_steps_of_a_factor() -> None:
    assert theory.steps_to(0.1, 1e-3) in (3, 4)  # a rounding apart
    assert theory.steps_to(0.5, 1.0) == 0
    assert theory.steps_to(0.0, 1e-9) == 1
    assert theory.steps_to(1.0, 0.5) == float("inf")


def test_a_fit_finds_the_factor_and_stops_at_the_floor() -> None:
    k = np.arange(400)
    assert theory.fitted_factor(3 * 0.9**k) == pytest.approx(0.9, abs=1e-12)
    floored = np.maximum(0.9**k, 1e-14)
    assert theory.fitted_factor(floored, floor=1e-13) == pytest.approx(0.9, abs=1e-12)
    assert theory.fitted_factor([*0.9 ** k[:100], np.nan]) == pytest.approx(0.9, abs=1e-12)
