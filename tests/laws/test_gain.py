"""A penalty taken in a rule's own metric: its steps rest where loss and penalty together are least."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

import thalweg as tw
from thalweg.core import sign
from thalweg.core.gain import lacks_gain
from thalweg.core.rule import Rule
from thalweg.core.started import Started, start_given
from thalweg.engines.ops import applied
from thalweg.errors import HyperparameterError, RuleError

from ..strategies import FORMS, RULES, form, seldom

Array = np.ndarray[Any, Any]
WITH_GAIN = [n for n, r in RULES.items() if not lacks_gain(r.parts)]
WITHOUT = [n for n in RULES if n not in WITH_GAIN]


def quickly(rule: Rule, lr: float) -> Rule:
    """The rule with averages that settle within some hundred steps, and a variance of 0 that is no rounding error."""
    kept = {n: min(v, 0.9) for n, v in rule.at(0).items() if n in ("beta", "beta1", "beta2", "mu")}
    return rule.replace(lr=lr, **kept, **({"eps": 1e3} if "Centred" in type(rule).__name__ else {}))


def begun(started: Started, w: Array) -> dict[str, Array]:
    """The arrays of a run before its first step."""
    own = (n for n in started.update.arrays if n not in ("w", "g"))
    return {"w": w, **{n: np.full(w.shape, started.begin(n)) for n in own}}


@pytest.mark.parametrize(
    ("name", "dialect"),
    [pytest.param(*f, marks=[pytest.mark.slow] * bool(f[1])) for f in FORMS if f[0] in WITH_GAIN],
)
def test_under_a_constant_gradient_steps_end_at_the_minimiser(name: str, dialect: str) -> None:
    """g w + l1 |w| + l2/2 w^2 is least at -sign(g) max(|g| - l1, 0) / l2, whatever the rule."""
    started = start_given(
        "test", quickly(form(name, dialect), 1e5), weight_decay=0.75, decay="proximal", l1_decay=0.25
    )
    g = np.array([1.5, -0.7, 0.2, -0.1, 30.0])
    begin = {n: started.begin(n) for n in started.update.arrays if n not in ("w", "g")}
    arrays = {
        "w": np.array([1.0, 2.0, -3.0, 0.0, 1.0]),
        "g": g,
        **{n: np.full(5, v) for n, v in begin.items()},
    }
    step = applied(started.update)
    for t in range(1, 401):
        arrays |= step(arrays, dict(zip(started.update.scalars, started.scalars(t), strict=True)))
    least = -np.sign(g) * np.maximum(np.abs(g) - 0.25, 0) / 0.75
    np.testing.assert_allclose(arrays["w"], least, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["Momentum", "Nesterov"])
def test_a_momentum_of_1_has_no_gain(name: str) -> None:
    """Which would be infinite, and every weight 0 after a step."""
    w = np.ones(2)
    with pytest.raises(HyperparameterError, match=r"grow for ever.*momentum below 1"):
        form(name, "", beta=1.0).on(w, decay="proximal", weight_decay=0.1)
    form(name, "", beta=1.0).on(w, decay="decoupled", weight_decay=0.1)


def along(lr: Any) -> Any:
    """The length of a move, w."""
    return lr


def signs(w: Any, g: Any, /, lr: Any) -> Any:
    return w - along(lr) * sign(g)


@tw.rule(signs, rate=along)
class Signs(Rule):
    """A user's rule, whose file forgets that it has no gain."""

    lr: tw.core.Scalar = tw.core.nonnegative(default=0.1, unit="w")


class Penalised:
    """Least squares on well-conditioned data under twelve penalties at once, a row of weights for each."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((60, 5))
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        y = x @ np.array([1.0, -0.5, 0.3, 0.05, 0.0]) + 0.3 * rng.standard_normal(60)
        self.hessian, self.pull = x.T @ x / 60, x.T @ y / 60
        cases = [(alpha, share) for alpha in (1e-4, 1e-2, 1e-1, 1.0) for share in (0.0, 0.5, 1.0)]
        self.l1 = np.array([[alpha * share] for alpha, share in cases])
        self.l2 = np.array([[alpha * (1 - share)] for alpha, share in cases])
        self.least = np.array([self._least(x, y, *case) for case in cases])

    def _least(self, x: Array, y: Array, alpha: float, share: float) -> Array:
        if share == 0:
            return np.linalg.solve(self.hessian + alpha * np.eye(5), self.pull)
        lasso = ElasticNet(alpha=alpha, l1_ratio=share, fit_intercept=False, tol=1e-15, max_iter=100_000)
        return np.asarray(lasso.fit(x, y).coef_)

    def error(self, rule: Rule, steps: int) -> float:
        """How far from the minimisers a rule's weights are at most, after so many steps by full gradients."""
        started = start_given("test", rule, weight_decay=1.0, decay="proximal", l1_decay=1.0)
        arrays = begun(started, np.zeros_like(self.least))
        step = applied(started.update)
        for t in range(1, steps + 1):
            scalars = dict(zip(started.update.scalars, started.scalars(t), strict=True))
            scalars |= {"_pull": scalars["_pull"] * self.l1, "_draw": scalars["_draw"] * self.l2}
            arrays["g"] = arrays["w"] @ self.hessian - self.pull
            arrays |= step(arrays, scalars)
        return float(np.abs(arrays["w"] - self.least).max())


@pytest.fixture(scope="module")
def penalised() -> Penalised:
    return Penalised()


def settling(name: str) -> tuple[Rule, int]:
    """A rule that comes to rest, and after how many steps: moves of a given size only where lr falls to 0."""
    kind = RULES[name]
    lines, rule = kind.parts.lines, kind()
    if lines["lr"].unit == "w/g":
        return rule.replace(lr=0.3 if name == "SGD" else 0.1), 600
    if name in ("Adagrad", "FTRL"):
        return rule.replace(lr=0.5), 600
    if name == "Adadelta":
        return rule.replace(lr=0.3, eps_v=1.0, eps_u=0.1), 1000
    if "mu" in lines or "Centred" in name:
        mu = {"mu": 0.5} if "mu" in lines else {}
        return rule.replace(lr=0.03, beta=0.9, eps=0.1, **mu), 1000
    beta2 = {"beta2": 0.99} if "beta2" in lines else {}
    return rule.replace(lr=tw.exponential(0.1, factor=1e-8, every=2000), **beta2), 2000


@pytest.mark.parametrize("name", [seldom(n) for n in WITH_GAIN])
def test_steps_end_at_the_minimiser_of_loss_and_penalty(name: str, penalised: Penalised) -> None:
    """Ridge, lasso and elastic net, alpha from 1e-4 to 1."""
    rule, steps = settling(name)
    assert penalised.error(rule, steps) < 1e-6


def test_a_short_memory_at_a_constant_rate_circles_within_that_rate(penalised: Penalised) -> None:
    """RMSprop's moves do not shrink with the gradient: they are lr times about 1, penalty or not."""
    assert 1e-6 < penalised.error(tw.RMSprop(lr=1e-2, beta=0.9), 2000) < 1e-2


@pytest.mark.parametrize("name", WITH_GAIN)
def test_units_of_the_penalty(name: str) -> None:
    """weight_decay is g/w and l1 is g: in other units the run is the same, bit for bit."""
    rule, g = RULES[name](), np.random.default_rng(0).standard_normal((20, 3))
    lines = rule.parts.lines

    def end(a: int, b: int) -> Array:
        there = {n: math.ldexp(v, lines[n].dimension.exponent(a, b)) for n, v in rule.values.items()}
        penalty = {"weight_decay": math.ldexp(0.375, b - a), "l1_decay": math.ldexp(0.0625, b)}
        started = start_given("test", rule.replace(**there), decay="proximal", **penalty)
        arrays, step = begun(started, np.ldexp(np.array([1.25, -0.5, 0.01]), a)), applied(started.update)
        for t, row in enumerate(g, 1):
            arrays["g"] = np.ldexp(row, b)
            arrays |= step(arrays, dict(zip(started.update.scalars, started.scalars(t), strict=True)))
        return np.ldexp(arrays["w"], -a)

    here = end(0, 0)
    for a, b in ((3, -5), (-4, 2), (7, 7)):
        np.testing.assert_array_equal(end(a, b), here)


@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_gain_there_is_no_proximal_step(name: str) -> None:
    w = np.ones(2)
    with pytest.raises(HyperparameterError, match=f"{name} has no gain.*decay='decoupled'"):
        RULES[name]().on(w, weight_decay=0.1, decay="proximal")
    assert (w == 1).all()


def test_a_users_rule_of_signs_is_refused_whatever_its_file_says() -> None:
    """By default the gain is the rate; a length along a sign does not scale as one."""
    w = np.ones(2)
    with pytest.raises(HyperparameterError, match=r"Signs: its gain must have the unit w/g.*gain=None"):
        Signs().on(w, weight_decay=0.1, decay="proximal")
    Signs().on(w, weight_decay=0.1, decay="decoupled")


def test_rules_without_a_gain() -> None:
    """Their moves are lr along a sign; ASGD has a decay of its own, which pulls beside a penalty."""
    assert WITHOUT == ["ASGD", "Lion", "Rprop"]


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_l1_without_the_proximal_step_is_refused(decay: Any) -> None:
    with pytest.raises(HyperparameterError, match=r"on: l1_decay=0\.1 .* needs decay='proximal'"):
        tw.SGD().on(np.ones(2), l1_decay=0.1, decay=decay)


def test_an_idle_coordinate_keeps_the_gain_of_its_last_gradient() -> None:
    """Rates of decaying averages grow while a coordinate is idle; a penalty that grew with them would erase it."""
    w = np.zeros(2)
    opt = tw.RMSprop(lr=0.01, beta=0.9, eps=1e-12).on(w, weight_decay=0.1, decay="proximal", engine="plain")
    opt.step(np.array([-1.0, 0.0]))
    r = 0.01 / np.sqrt(0.1)
    np.testing.assert_allclose(w, [r / (1 + 0.1 * r), 0.0], rtol=1e-9)
    for _ in range(1000):
        opt.step(np.zeros(2))
    np.testing.assert_allclose(w[0], r / (1 + 0.1 * r) ** 1001, rtol=1e-9)


def test_one_gain_for_all_coordinates_is_kept_nowhere() -> None:
    def arrays(rule: Rule) -> set[str]:
        return set(start_given("test", rule, weight_decay=0.1, decay="proximal").update.arrays)

    assert arrays(tw.SGD()) == {"w", "g"}
    assert arrays(tw.Momentum()) == {"w", "g", "m"}
    assert arrays(tw.Adagrad()) == {"w", "g", "s", "_gain"}


def test_a_rule_with_weight_decay_of_its_own_gives_it_to_the_proximal_step() -> None:
    ours, other = np.ones(3), np.ones(3)
    one = tw.AdamW(weight_decay=0.3).on(ours, decay="proximal", engine="plain")
    two = tw.Adam().on(other, weight_decay=0.3, decay="proximal", engine="plain")
    for g in np.random.default_rng(0).standard_normal((5, 3)):
        one.step(g)
        two.step(g)
    np.testing.assert_array_equal(ours, other)


def test_a_gain_of_what_is_not_there_is_an_error() -> None:
    def gain(rate: Any, /, betta: Any) -> Any:
        return rate / (1 - betta)

    step, rate = tw.SGD.parts.step, tw.SGD.parts.rate
    with pytest.raises(RuleError, match=r"gain takes rate and states.*\['betta'\]"):

        @tw.rule(step, rate=rate, gain=gain)
        class Off(tw.Rule):
            """Its gain asks for a hyperparameter that it does not have."""

            lr: tw.core.Scalar = tw.core.nonnegative(default=1.0, unit="w/g")


PENALTIES: dict[str, dict[str, float]] = {
    "L2": {"weight_decay": 0.02},
    "L1": {"l1_decay": 0.002},
    "both": {"weight_decay": 0.02, "l1_decay": 0.002},
    "both, beyond a series": {"weight_decay": 30.0, "l1_decay": 0.002},
}


def sparse_cases() -> list[Any]:
    """Of default, one kernel with a gain for each coordinate and one with a gain for all."""
    now = {("Adagrad", "both", True), ("Adagrad", "both, beyond a series", True), ("SGD", "L2", False)}
    cases = [
        (n, p, falls)
        for n in WITH_GAIN
        for p in PENALTIES
        for falls in (False, True)
        if p == "both" or n in ("SGD", "Adagrad", "Momentum", "Adam")
    ]
    return [pytest.param(*case, marks=[pytest.mark.slow] * (case not in now)) for case in cases]


@pytest.mark.parametrize(("name", "penalty", "falls"), sparse_cases())
def test_sparse_steps_equal_dense_ones(name: str, penalty: str, falls: bool) -> None:
    """Rows idle for hundreds of steps, under a constant rate and one that falls to 0."""
    steps, rng = 1000, np.random.default_rng(5)
    rule = RULES[name]()
    rule = rule.replace(lr=tw.cosine(rule.at(0)["lr"], steps=steps) if falls else rule.at(0)["lr"])
    start = rng.standard_normal((8, 2))
    touched = [
        np.flatnonzero(rng.random(8) < [0.5, 0.1, 0.02, 5e-3, 2e-3, 1e-3, 1e-3, 0.0]) for _ in range(steps)
    ]
    touched[2] = np.arange(7)
    settings: dict[str, Any] = {"decay": "proximal", **PENALTIES[penalty]}

    started = start_given("test", rule, **settings)
    dense, step = begun(started, start.copy()), applied(started.update)
    ours = start.copy()
    opt = rule.on(ours, rates=False, **settings)
    assert "every step" not in opt.plan.get("", "")
    for t, rows in enumerate(touched, 1):
        values = rng.standard_normal((len(rows), 2))
        dense["g"] = np.zeros_like(start)
        dense["g"][rows] = values
        dense |= step(dense, dict(zip(started.update.scalars, started.scalars(t), strict=True)))
        opt.step(tw.Rows(rows, values))
    assert opt.stale
    opt.flush()
    np.testing.assert_allclose(ours, dense["w"], rtol=1e-9, atol=1e-12)


def test_a_saved_run_goes_on_with_the_gains_it_has(tmp_path: Path) -> None:
    rule, settings = tw.RMSprop(), {"weight_decay": 0.1, "l1_decay": 0.01, "decay": "proximal"}
    gradients = np.random.default_rng(0).standard_normal((6, 4)) * [1.0, 1.0, 0.0, 1.0]
    gradients[3:, 0] = 0.0
    whole, half, resumed = np.ones(4), np.ones(4), np.zeros(4)
    opt, first = (rule.on(w, engine="plain", **settings) for w in (whole, half))  # type: ignore[arg-type]
    for g in gradients[:3]:
        opt.step(g)
        first.step(g)
    first.save(tmp_path / "run.tw")
    second = tw.load(tmp_path / "run.tw", resumed)
    for g in gradients[3:]:
        opt.step(g)
        second.step(g)
    np.testing.assert_array_equal(resumed, whole)
