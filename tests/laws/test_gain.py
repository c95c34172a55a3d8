"""A penalty taken in a rule's own metric: its steps rest where loss and penalty together are least."""

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core.gain import lacks_gain
from thalweg.core.rule import Rule
from thalweg.core.started import start_given
from thalweg.engines.ops import applied
from thalweg.errors import HyperparameterError, RuleError

from ..strategies import FORMS, RULES, form

Array = np.ndarray[Any, Any]
WITH_GAIN = [n for n, r in RULES.items() if not lacks_gain(r.parts)]
WITHOUT = [n for n in RULES if n not in WITH_GAIN]


def quickly(rule: Rule, lr: float) -> Rule:
    """The rule with averages that settle within some hundred steps, and a variance of 0 that is no rounding error."""
    kept = {n: min(v, 0.9) for n, v in rule.at(0).items() if n in ("beta", "beta1", "beta2", "mu")}
    return rule.replace(lr=lr, **kept, **({"eps": 1e3} if "Centred" in type(rule).__name__ else {}))


@pytest.mark.parametrize(
    ("name", "dialect"),
    [pytest.param(*f, marks=[pytest.mark.slow] * bool(f[1])) for f in FORMS if f[0] in WITH_GAIN],
)
def test_under_a_constant_gradient_steps_end_at_the_minimiser(name: str, dialect: str) -> None:
    """g w + l1 |w| + l2/2 w^2 is least at -sign(g) max(|g| - l1, 0) / l2, whatever the rule."""
    started = start_given(
        "test", quickly(form(name, dialect), 1e5), weight_decay=0.75, decay="proximal", l1=0.25
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


@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_gain_there_is_no_proximal_step(name: str) -> None:
    w = np.ones(2)
    with pytest.raises(HyperparameterError, match=f"{name} has no gain.*decay='decoupled'"):
        RULES[name]().on(w, weight_decay=0.1, decay="proximal")
    assert (w == 1).all()


def test_rules_without_a_gain() -> None:
    """Their moves are lr along a sign."""
    assert WITHOUT == ["Lion", "Rprop"]


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_l1_without_the_proximal_step_is_refused(decay: Any) -> None:
    with pytest.raises(HyperparameterError, match=r"on: l1=0\.1 .* needs decay='proximal'"):
        tw.SGD().on(np.ones(2), l1=0.1, decay=decay)


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
