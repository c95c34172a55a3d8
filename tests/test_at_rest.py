"""A rate that overflows: 0 times infinity is NaN, in weights that no gradient has touched. It is refused before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.engines.at_rest import AtRest
from thalweg.errors import HyperparameterError

from .strategies import RULES, every_rule

SMALL = {"float16": 1e-40, "float32": 1e-40, "float64": 1e-310}
LARGE = 1e3


def epsilons(name: str) -> list[str]:
    return [n for n in RULES[name].parts.hyperparameters if n.startswith("eps")]


def walk(opt: Any, steps: int) -> None:
    for _ in range(steps):
        opt.step(np.zeros(2, np.float32))


def idle(rule: tw.Rule, dtype: str, steps: int = 10) -> np.ndarray[Any, Any]:
    """Weights after zero gradients."""
    w = np.ones(2, dtype)
    opt = rule.on(w, engine="plain", weight_decay=0.0)
    for _ in range(steps):
        opt.step(np.zeros(2, dtype))
    return w


@every_rule
@pytest.mark.parametrize("dtype", SMALL)
def test_what_is_refused_is_what_makes_nan(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each ε of each rule, tiny or 0: refused at the start exactly where a zero gradient moves a weight to NaN."""
    none = dict.fromkeys(epsilons(name), 0.0)
    cases = [none, *({**none, n: SMALL[dtype]} for n in none)]
    for values in cases:
        rule = RULES[name](lr=LARGE, **values)
        with monkeypatch.context() as patch:
            patch.setattr(AtRest, "require_ahead", lambda *_: None)
            lost = not np.isfinite(idle(rule, dtype)).all()
        assert not (lost and values == none)  # 0/0 is 0 in every rule
        if not lost:
            idle(rule, dtype)
            continue
        with pytest.raises(
            HyperparameterError, match=r"^on: .*NaN of a zero gradient.*at step 10?:.*use a larger eps"
        ):
            rule.on(np.ones(2, dtype))
        idle(rule.replace(**dict.fromkeys(epsilons(name), 1e-8)), dtype)


def test_the_rules_that_divide_by_an_epsilon_alone() -> None:
    """The law above has something to refuse."""
    refused = set()
    for name, kind in RULES.items():
        first = epsilons(name)[:1]  # added outside the root, where there is a root
        try:
            kind(lr=1e3, **dict.fromkeys(first, 1e-40)).on(np.ones(2, np.float32), engine="plain")
        except HyperparameterError:
            refused.add(name)
    assert {"Adam", "AdamW", "Adagrad", "RMSprop", "NAdam", "MaxProp"} <= refused
    assert refused.isdisjoint({"SGD", "Momentum", "Lion", "Rprop", "Adadelta"})


@pytest.mark.parametrize("settings", [{}, {"clip_norm": 1.0}, {"accumulate": 2}, {"average": 0.9}], ids=str)
def test_a_schedule_is_refused_at_its_step(settings: dict[str, Any]) -> None:
    """Nothing has moved, and the count stands still; what comes before that step is taken."""
    rate = tw.exponential(1e-6, factor=10.0)
    w = np.ones(2, np.float32)
    opt = tw.Adam(lr=rate, eps=1e-37).on(w, engine="plain", **settings)
    walk(opt, 9 * settings.get("accumulate", 1) - 1)
    for _ in range(2):
        with pytest.raises(HyperparameterError, match=r"^step: .*at step 9: its rate overflows"):
            walk(opt, 1)
        assert opt.t == 8
    assert (w == 1).all()


def test_an_epsilon_that_falls_is_refused_at_its_step() -> None:
    opt = tw.Adagrad(lr=1.0, eps=tw.exponential(1e-8, factor=0.1)).on(np.ones(2, np.float32), engine="plain")
    walk(opt, 31)
    with pytest.raises(HyperparameterError, match="at step 32"):
        walk(opt, 1)
    assert opt.t == 31


def test_another_rule_is_refused() -> None:
    w = np.ones(2, np.float32)
    opt = tw.Adam(lr=1e-3, eps=1e-37).on(w, engine="plain")
    walk(opt, 200)
    with pytest.raises(HyperparameterError, match=r"^rule: .*float32 at step 201"):
        opt.rule = opt.rule.replace(lr=1e3)
    assert opt.rule.values["lr"] == 1e-3
    opt.rule = opt.rule.replace(lr=10.0)  # with the correction of a first step it would overflow
    walk(opt, 1)
    assert (w == 1).all() and opt.t == 201
    tw.Adam(lr=1e3, eps=1e-37).on(w.astype(float))


def test_a_group_is_judged_by_its_own_dtype() -> None:
    w = {"a": np.ones(2), "b": np.ones(2, np.float32)}
    tw.Adam(lr=1e3).on(w, groups={"a": {"eps": 1e-40}})
    with pytest.raises(HyperparameterError, match="in float32"):
        tw.Adam(lr=1e3).on(w, groups={"b": {"eps": 1e-40}})
