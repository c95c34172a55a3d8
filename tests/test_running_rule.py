"""A rule may be replaced while it runs: ``opt.rule = ...`` and ``load(..., rule=...)``; all else is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import FileError, HyperparameterError, StateError

from .strategies import RULES, every_rule
from .test_resume import _rewrite

Array = np.ndarray[Any, Any]
WITH_LR = [n for n, r in RULES.items() if "lr" in r.parts.lines]


def drawn(t: int) -> Array:
    return np.random.default_rng(t).standard_normal(5)


def bits(opt: Any) -> list[bytes]:
    return [np.asarray(x).tobytes() for x in (opt.params, *opt.state.values())]


@pytest.mark.parametrize("name", WITH_LR)
def test_another_rate_is_a_schedule_that_jumps(name: str) -> None:
    """For every rule, with what stands around it: the bits of join(a, b, at=3)."""
    rule = RULES[name]()
    settings: dict[str, Any] = {"engine": "plain", "average": 0.9, "clip_norm": 2.0}
    ours = rule.replace(lr=0.01).on(drawn(0), **settings)
    theirs = rule.replace(lr=tw.join(0.01, 0.002, at=3)).on(drawn(0), **settings)
    for t in range(6):
        if t == 3:
            ours.rule = ours.rule.replace(lr=0.002)
        ours.step(drawn(t))
        theirs.step(drawn(t))
    assert bits(ours) == bits(theirs)
    assert ours.rule == rule.replace(lr=0.002) and ours.t == 6


@every_rule
def test_other_values_are_those_of_a_run_with_these_states(name: str) -> None:
    """Every hyperparameter changed: the step of a rule started with the new values, given weights, states and t."""
    rule = RULES[name]()
    opt = rule.on(drawn(0), engine="plain")
    for t in range(3):
        opt.step(drawn(t))
    values = {n: v * 0.75 for n, v in rule.hyperparameters.items() if isinstance(v, float)}
    other = rule.replace(**{n: v for n, v in values.items() if rule.parts.lines[n].holds(v)})
    fresh = other.on(np.array(opt.params), engine="plain")
    for n, state in opt.state.items():
        fresh.state[n][...] = state
    fresh.count(3)
    opt.rule = other
    for t in range(3, 6):
        opt.step(drawn(t))
        fresh.step(drawn(t))
        assert bits(opt) == bits(fresh)


SPARSE = {
    "series": (tw.Adam(lr=0.01), {"lr": 0.002, "beta1": 0.7}),
    "closed": (tw.Adagrad(lr=0.1), {"lr": 0.02}),
    "replay": (tw.Adam(lr=tw.cosine(0.01, steps=99)), {"beta2": 0.9}),
}


@pytest.mark.parametrize("exact", ["value", "bits"])
@pytest.mark.parametrize(
    "how", [n if n == "series" else pytest.param(n, marks=pytest.mark.slow) for n in SPARSE]
)
def test_rows_that_are_behind_catch_up_by_the_old_values(how: str, exact: Any) -> None:
    """A table trained by rows beside the dense run, the rule replaced while rows are behind."""
    rule, changes = SPARSE[how]
    rng = np.random.default_rng(0)
    table, dense = np.ones((12, 3)), np.ones((12, 3))
    opt, other = rule.on(table, exact=exact), rule.on(dense)
    for t in range(30):
        if t in (10, 20):
            opt.rule = opt.rule.replace(**changes) if t == 10 else rule
            other.rule = other.rule.replace(**changes) if t == 10 else rule
        rows = rng.integers(1, 12, 2)
        values = rng.standard_normal((2, 3))
        whole = np.zeros((12, 3))
        np.add.at(whole, rows, values)
        opt.step(tw.Rows(rows, values))
        other.step(whole)
    opt.flush()
    np.testing.assert_allclose(table, dense, rtol=1e-12 if exact == "value" else 0, atol=0)
    assert (table[0] == 1).all()  # touched by nobody


@pytest.mark.parametrize("exact", ["value", "bits"])
def test_a_rate_for_every_step_leaves_rows_behind(exact: Any) -> None:
    """Setting a rate is no flush: rows go on catching up when they are needed, by the rates that they missed."""
    rng = np.random.default_rng(0)
    table, dense = np.ones((12, 3)), np.ones((12, 3))
    opt, other = tw.Adam().on(table, exact=exact), tw.Adam().on(dense)
    behind = 0
    for t in range(30):
        opt.rule = other.rule = tw.Adam(lr=0.01 / (1 + t % 7))
        behind += opt.stale
        row, value, whole = rng.integers(1, 12, 1), rng.standard_normal((1, 3)), np.zeros((12, 3))
        whole[row] = value
        opt.step(tw.Rows(row, value))
        other.step(whole)
    np.testing.assert_allclose(opt.params, dense, rtol=1e-12 if exact == "value" else 0, atol=0)
    assert behind > 100


def test_a_window_that_is_open_goes_on() -> None:
    """What is gathered stays gathered; the step at its end is the new rule's."""
    w = np.zeros(3)
    opt = tw.SGD(lr=1.0).on(w, accumulate=2, engine="plain")
    opt.step(np.ones(3))
    opt.rule = tw.SGD(lr=0.5)
    opt.step(np.full(3, 3.0))
    assert (w == -1.0).all()


def test_the_same_gradient_object_steps_by_the_new_rule() -> None:
    """Also where the pass is another: a power is printed in it."""
    w, g = np.full(3, 0.5), np.ones(3)
    opt = tw.LpProp(lr=0.1, p=2.0).on(w, engine="plain")
    opt.step(g)
    again = tw.LpProp(lr=0.1, p=6.0).on(w.copy(), engine="plain")
    again.state["u"][...] = opt.state["u"]
    again.count(1)
    opt.rule = opt.rule.replace(p=6.0)
    opt.step(g)
    again.step(g)
    assert bits(opt) == bits(again)


def test_the_compiled_engine_steps_by_the_new_rule() -> None:
    w, g = np.zeros(3), np.ones(3)
    plain = w.copy()
    opt, oracle = tw.Adam(lr=0.1).on(w), tw.Adam(lr=0.1).on(plain, engine="plain")
    for rate in (0.1, 0.01, 0.3):
        opt.rule = oracle.rule = tw.Adam(lr=rate)
        opt.step(g)
        oracle.step(g)
    assert bits(opt) == bits(oracle)


def three() -> dict[str, Any]:
    return {n: np.zeros(1) for n in ("a", "b", "c", "d")}


GROUPS: dict[str, Any] = {"b": tw.SGD(lr=0.1), "c": {"lr": 0.1}, "d": {"maximize": True}}


@pytest.mark.parametrize("saved", [False, True])
def test_groups_keep_what_is_their_own(saved: bool, tmp_path: Path) -> None:
    """A rule or a line of a group's own stays, even where it equals the default's; other groups follow."""
    params, g = three(), {n: np.ones(1) for n in three()}
    opt = tw.SGD(lr=0.1).on(params, groups=GROUPS)
    if saved:
        opt.save(tmp_path / "run.tw")
        params = three()
        opt = tw.load(tmp_path / "run.tw", params)
    opt.rule = tw.SGD(lr=0.5)
    opt.step(g)
    assert {n: x[0] for n, x in params.items()} == {"a": -0.5, "b": -0.1, "c": -0.1, "d": 0.5}
    opt.save(tmp_path / "run.tw")
    params = three()
    tw.load(tmp_path / "run.tw", params, rule=tw.SGD(lr=0.25)).step(g)
    assert {n: x[0] for n, x in params.items()} == {"a": -0.75, "b": -0.2, "c": -0.2, "d": 0.75}


def test_groups_of_older_files_keep_what_differs(tmp_path: Path) -> None:
    """Files that do not say whose a line is: what differs from the default's is the group's own."""
    opt = tw.Adam(lr=0.1).on([np.zeros(1), np.zeros(1)], groups={"1": {"lr": 0.3}})
    opt.save(tmp_path / "run.tw")
    _rewrite(tmp_path / "run.tw", lambda a, h: [g.pop("own") for g in h["groups"]])
    opt = tw.load(tmp_path / "run.tw", [np.zeros(1), np.zeros(1)], rule=tw.Adam(lr=0.5, beta1=0.5))
    assert [(g.rule.lr, g.rule.beta1) for g in opt._groups] == [(0.5, 0.5), (0.3, 0.5)]


def test_a_decay_of_a_group_is_its_own() -> None:
    """A rule with a line for decay: the group that was started without any stays without."""
    params = {"w": np.ones(1), "bias": np.ones(1)}
    opt = tw.AdamW(lr=0.1, weight_decay=0.1).on(params, groups={"bias": {"weight_decay": 0}})
    opt.rule = opt.rule.replace(weight_decay=0.5)
    opt.step({"w": np.zeros(1), "bias": np.zeros(1)})
    assert params == {"w": 0.95, "bias": 1.0}


def test_the_rule_in_force_is_saved(tmp_path: Path) -> None:
    opt = tw.Adam(lr=0.1).on(np.zeros(2))
    opt.step(np.ones(2))
    opt.rule = opt.rule.replace(lr=0.3)
    opt.save(tmp_path / "run.tw")
    again = tw.load(tmp_path / "run.tw", np.zeros(2))
    assert again.rule == opt.rule == tw.Adam(lr=0.3)
    assert json.loads(np.load(tmp_path / "run.tw")["head"].tobytes())["rule"]["values"]["lr"] == 0.3


def test_load_takes_the_rule_that_is_given(tmp_path: Path) -> None:
    """As if it were set after loading; its class alone changes nothing."""
    opt = tw.Adam(lr=0.1).on(np.zeros(2))
    opt.step(np.ones(2))
    opt.save(tmp_path / "run.tw")
    assert tw.load(tmp_path / "run.tw", np.zeros(2), rule=tw.Adam).rule == tw.Adam(lr=0.1)
    again = tw.load(tmp_path / "run.tw", np.zeros(2), rule=tw.Adam(lr=0.01))
    assert again.rule == tw.Adam(lr=0.01)
    opt.rule = tw.Adam(lr=0.01)
    opt.step(np.ones(2))
    again.step(np.ones(2))
    assert bits(opt) == bits(again)


def test_load_takes_a_rule_for_a_group_where_it_is_clear_which(tmp_path: Path) -> None:
    groups: dict[str, Any] = {"b": tw.Adagrad(lr=0.1), "c": tw.Adagrad(lr=0.1), "d": {"lr": 0.3}}
    tw.SGD(lr=0.5).on(three(), groups=groups).save(tmp_path / "run.tw")
    opt = tw.load(tmp_path / "run.tw", three(), rule=tw.Adagrad(lr=0.7))
    assert [g.rule for g in opt._groups] == [tw.SGD(lr=0.5), *[tw.Adagrad(lr=0.7)] * 2, tw.SGD(lr=0.3)]
    tw.SGD(lr=0.5).on(three(), groups=groups | {"c": tw.Adagrad(lr=0.2)}).save(tmp_path / "run.tw")
    params = three()
    with pytest.raises(
        HyperparameterError, match="groups of the file have different Adagrad: pass the class, rule=Adagrad"
    ):
        tw.load(tmp_path / "run.tw", params, rule=tw.Adagrad(lr=0.7))
    assert all(x[0] == 0 for x in params.values())


REFUSED: dict[str, tuple[Any, str]] = {
    "another class": (tw.Adagrad(lr=0.1), "must be Adam.*got Adagrad.*start another run"),
    "a class": (tw.Adam, "must be Adam.*got the class Adam"),
    "a number": (0.1, "must be Adam.*got 0.1"),
    "nothing": (None, "must be Adam.*got None"),
    "another start": (tw.Adam(m=1.0), "m is where a state starts.*started at 0.0; got 1.0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused(case: str, tmp_path: Path) -> None:
    """And the run goes on as it was."""
    value, words = REFUSED[case]
    opt = tw.Adam(lr=0.1).on(np.zeros(2))
    opt.step(np.ones(2))
    before = bits(opt)
    with pytest.raises(HyperparameterError, match=words):
        opt.rule = value
    assert bits(opt) == before and opt.rule == tw.Adam(lr=0.1)
    if isinstance(value, tw.Rule):
        opt.save(tmp_path / "run.tw")
        w = np.full(2, 7.0)
        with pytest.raises(HyperparameterError):
            tw.load(tmp_path / "run.tw", w, rule=value)
        assert (w == 7).all()


def test_a_rule_that_decays_twice_is_refused() -> None:
    """Coupled decay stands around the rule: its own line must stay 0."""
    opt = tw.AdamW(lr=0.1, weight_decay=0.1).on(np.zeros(2), decay="coupled")
    opt.rule = opt.rule.replace(lr=0.2)
    with pytest.raises(
        HyperparameterError, match=r"weight_decay must be 0.*coupled decay around AdamW; got 0.01"
    ):
        opt.rule = tw.AdamW(lr=0.2)


@pytest.mark.parametrize(
    "write",
    [
        lambda opt: setattr(opt, "lr", 0.1),
        lambda opt: setattr(opt, "accumulate", 2),
        lambda opt: setattr(opt, "t", 0),
        lambda opt: setattr(opt, "params", np.ones(2)),
        lambda opt: setattr(opt, "state", {}),
    ],
)
def test_what_would_be_ignored_cannot_be_written(write: Callable[[Any], None]) -> None:
    opt = tw.Adam().on(np.zeros(2))
    with pytest.raises(AttributeError):
        write(opt)
    with pytest.raises(StateError, match="start another"):
        opt.settings = opt.settings._replace(accumulate=2)


@pytest.mark.parametrize("own", [["zz"], "lr", [3], 5, {"lr": 1}, [["lr"]]], ids=str)
def test_lines_that_a_file_gives_a_group_are_checked(own: Any, tmp_path: Path) -> None:
    opt = tw.Adam().on([np.zeros(1), np.zeros(1)], groups={"1": {"lr": 0.3}})
    opt.save(tmp_path / "run.tw")
    _rewrite(tmp_path / "run.tw", lambda a, h: h["groups"][1].update(own=own))
    with pytest.raises(FileError, match="damaged"):
        tw.load(tmp_path / "run.tw", [np.zeros(1), np.zeros(1)])
