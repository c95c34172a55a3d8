"""A rule and a schedule are values: compared, hashed, printed, copied, pickled; dialects are rows of values."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core.schedule import Schedule, from_plain, to_plain
from thalweg.errors import HyperparameterError

from ..strategies import RULES, every_form, every_rule, form

SCHEDULES: dict[str, Schedule] = {
    "constant": tw.constant(0.1),
    "step_decay": tw.step_decay(0.1, factor=0.5, every=3),
    "exponential": tw.exponential(0.1, factor=0.5, every=4),
    "cosine": tw.cosine(0.1, steps=10, end=0.01),
    "restarts": tw.restarts(0.1, steps=3),
    "inverse_sqrt": tw.inverse_sqrt(0.1, shift=4),
    "inverse_time": tw.inverse_time(0.1, decay=0.5),
    "warmup": tw.warmup(tw.cosine(0.1, steps=10), steps=4),
    "join": tw.join(tw.constant(0.1), tw.exponential(0.1, factor=0.5), at=3),
    "product": 2 * tw.warmup(0.1, steps=2) * tw.inverse_sqrt(1.0),
}

# Worked by hand from each formula, at steps 0, 3 and 8.
WORKED = {
    "constant": (0.1, 0.1, 0.1),
    "step_decay": (0.1, 0.05, 0.025),
    "exponential": (0.1, 0.1 * 2**-0.75, 0.025),
    "cosine": (
        0.1,
        0.01 + 0.045 * (1 + math.cos(0.3 * math.pi)),
        0.01 + 0.045 * (1 + math.cos(0.8 * math.pi)),
    ),
    "restarts": (0.1, 0.1, 0.05 * (1 + math.cos(5 / 6 * math.pi))),
    "inverse_sqrt": (0.1, 0.1 * math.sqrt(4 / 7), 0.1 * math.sqrt(1 / 3)),
    "inverse_time": (0.1, 0.04, 0.02),
    "warmup": (0.025, 0.05 * (1 + math.cos(0.3 * math.pi)), 0.05 * (1 + math.cos(0.8 * math.pi))),
    "join": (0.1, 0.1, 0.1 / 32),
    "product": (0.1, 0.2 * math.sqrt(1 / 4), 0.2 / 3),
}


@every_form
def test_a_rule_is_a_value(name: str, dialect: str) -> None:
    rule = form(name, dialect)
    for twin in (form(name, dialect), copy.deepcopy(rule), pickle.loads(pickle.dumps(rule)), rule.replace()):
        assert twin == rule
        assert hash(twin) == hash(rule)
        assert repr(twin) == repr(rule)
    assert eval(repr(rule), vars(tw) | RULES) == rule
    with pytest.raises(AttributeError, match="is a value"):
        rule.lr = 1.0  # type: ignore[misc]
    assert rule != rule.replace(lr=rule.values["lr"] * 2 + 1)  # type: ignore[operator]


@every_rule
def test_ranges_are_kept(name: str) -> None:
    """Each line refuses what lies outside its range, NaN, text and truth values, and says so in one line."""
    for n, line in RULES[name].parts.lines.items():
        bad: list[Any] = [math.nan, "fast", None, True, np.zeros(2)]
        bad += [x for x in (line.low - 1, line.high + 1, line.high) if math.isfinite(x) and not line.holds(x)]
        for value in bad:
            with pytest.raises(HyperparameterError) as error:
                RULES[name](**{n: value})
            assert f"{n} must be" in str(error.value)
            assert line.range in str(error.value)
            assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    """Values worked by hand; equal by value; through JSON and back."""
    schedule = SCHEDULES[name]
    assert [schedule(t) for t in (0, 3, 8)] == pytest.approx(WORKED[name], rel=1e-14)
    assert copy.deepcopy(schedule) == schedule
    assert hash(from_plain(to_plain(schedule))) == hash(schedule)
    assert from_plain(to_plain(schedule)) == schedule
    assert len({*SCHEDULES.values()}) == len(SCHEDULES)
    assert eval(repr(schedule), dict(Schedule.KINDS)) == schedule


def test_schedules_drive_hyperparameters() -> None:
    """SGD with a schedule is a loop that calls it with the steps done so far."""
    schedule = SCHEDULES["warmup"]
    w, wanted = np.ones(3), np.ones(3)
    opt = tw.SGD(lr=schedule).on(w)
    for t in range(12):
        g = np.full(3, 0.1 * t)
        opt.step(g)
        wanted = wanted - schedule(t) * g
        np.testing.assert_array_equal(w, wanted)


@pytest.mark.parametrize("name", SCHEDULES)
def test_values_of_many_steps_are_those_of_each(name: str) -> None:
    rule = tw.Adam(lr=SCHEDULES[name])
    assert rule.over("lr", range(3, 40)) == [rule.at(k)["lr"] for k in range(3, 40)]


@pytest.mark.parametrize(
    "schedule",
    [
        tw.exponential(1e-3, factor=1e200),
        tw.step_decay(1e-3, factor=1e200, every=1),
        tw.step_decay(1e-3, factor=10**200, every=1),
        tw.warmup(tw.exponential(1e-3, factor=1e200), steps=2),
    ],
)
def test_a_schedule_that_overflows_says_when(schedule: Schedule) -> None:
    """One line with the count, from one step or from many, and the weights stay."""
    rule = tw.SGD(lr=schedule)
    told = r"SGD: lr must stay in .* overflowed after 2 steps"
    with pytest.raises(HyperparameterError, match=told):
        rule.at(2)
    with pytest.raises(HyperparameterError, match=told):
        rule.over("lr", range(3))
    w = np.ones(3)
    opt = rule.on(w)
    opt.step(np.zeros(3))
    opt.step(np.zeros(3))
    with pytest.raises(HyperparameterError, match=told):
        opt.step(np.ones(3))
    assert opt.t == 2
    assert w.tolist() == [1.0, 1.0, 1.0]


HUGE = (2**24, 2**31, 2**53, 10**300)
GROWING: dict[str, Schedule] = {
    f"{n}, {factor}": make(0.1, factor=factor, every=5)
    for n, make in (("exponential", tw.exponential), ("step_decay", tw.step_decay))
    for factor in (0, 0.5, 1, 1.5, 2, 3.0, 10**200)
}


@pytest.mark.parametrize("count", HUGE, ids=("2**24", "2**31", "2**53", "1e300"))
@pytest.mark.parametrize("name", SCHEDULES | GROWING)
def test_schedules_at_huge_counts(name: str, count: int) -> None:
    """An answer, soon: near the one before it, as with logarithms, 0 or infinite beyond what a float holds."""
    schedule = (SCHEDULES | GROWING)[name]
    value = schedule(count)
    assert isinstance(value, float)
    assert 0 <= value <= schedule(0) * (1 + 1e-12) or value == math.inf
    if name in GROWING:
        assert value == {True: 0.1, False: math.inf if schedule(5) > 0.1 else 0.0}[schedule(5) == 0.1]
    elif name != "restarts":
        assert value == pytest.approx(schedule(count + 5), rel=1e-5)


def test_growing_schedules_have_the_bits_of_powers() -> None:
    """Of whole numbers too, whose powers are rounded once."""
    for factor in (0, 1, 2, 3, 10, 0.9, 1.1, 3.0, 0.1):
        for step in (*range(40), 97, 300):
            assert tw.step_decay(0.3, factor=factor, every=1)(step) == 0.3 * float(factor**step)
            assert tw.exponential(0.3, factor=factor, every=7)(step) == 0.3 * float(factor ** (step / 7))
    assert tw.step_decay(1, factor=2, every=1)(np.int64(1000)) == 2.0**1000


def test_a_part_that_is_over_does_not_overflow() -> None:
    """What has been left behind may be beyond what a float holds."""
    assert tw.join(tw.exponential(1e-3, factor=2), 0.5, at=9)(10**6) == 0.5


def test_a_schedule_that_leaves_its_range_later_says_when() -> None:
    rule = tw.Adam(beta1=tw.join(tw.constant(0.9), tw.constant(1.5), at=7))
    assert rule.over("beta1", range(7)) == [0.9] * 7
    with pytest.raises(HyperparameterError, match=r"gave 1\.5 after 7 steps"):
        rule.over("beta1", range(4, 20))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: tw.cosine(1e-3, steps=0), "steps must be a whole number of steps, 1 or more, got 0"),
        (lambda: tw.exponential(-1.0, factor=0.5), "value must be a finite number, 0 or more"),
        (lambda: tw.warmup("x", steps=3), "value must be a finite number"),  # type: ignore[arg-type]
        (lambda: tw.Adam(beta1=tw.constant(1.5)).at(0), r"beta1 must stay in \[0, 1\)"),
        (lambda: tw.Adam(m=tw.constant(0.1)), r"m must be a number in \(-inf, inf\), not a schedule"),
    ],
)
def test_bad_schedules_say_what_is_allowed(make: Any, told: str) -> None:
    with pytest.raises(HyperparameterError, match=told):
        make()


@every_form
def test_arguments_that_pick_a_rule_may_be_spelled_out(name: str, dialect: str) -> None:
    """At the value that picks it; at the other one another rule comes back, or an error."""
    row = RULES[name].parts.dialects.get(dialect)
    options = {} if row is None else row.options
    if options:
        assert RULES[name].like(dialect, **options) == RULES[name].like(dialect)
    for n, value in options.items():
        if row is not None and ((n,) in row.members or (value and n in row.switches)):
            assert type(RULES[name].like(dialect, **{n: not value})) is not RULES[name]
        else:
            with pytest.raises(HyperparameterError, match=n):
                RULES[name].like(dialect, **{n: not value})


def test_dialects_speak_their_worlds_names() -> None:
    assert tw.RMSprop.like("keras", epsilon=1e-6).values["eps_root"] == 1e-6
    assert tw.Adam.like("torch", betas=(0.8, 0.99)).values["beta2"] == 0.99
    assert tw.Adadelta.like("torch", eps=1e-5) == tw.Adadelta(eps=1e-5)
    assert type(tw.RMSprop.like("torch", momentum=0.9, centered=True)).__name__ == "RMSpropCentredMomentum"
    assert type(tw.RMSprop.like("torch", momentum=0.0, centered=False)).__name__ == "RMSprop"
    assert type(tw.SGD.like("torch", momentum=0.9, nesterov=True)).__name__ == "Nesterov"
    assert tw.Adagrad.like("torch", lr=0.1, lr_decay=0.5).values["lr"] == tw.inverse_time(0.1, decay=0.5)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: tw.RMSprop.like("kears"), "did you mean 'keras'"),
        (
            lambda: tw.RMSprop.like("keras", eps=1e-6),
            r"eps does not exist in this dialect .* epsilon \(sets eps_root\)",
        ),
        (lambda: tw.Adam.like("torch", beta=0.9), "did you mean 'betas'"),
        (lambda: tw.Adam.like("torch", betas=(0.9,)), "betas sets beta1, beta2"),
        (lambda: tw.Adam.like("torch", weight_decay=0.1), r"rule.on\(params, weight_decay"),
        (lambda: tw.Adam(bta1=0.9), "did you mean 'beta1'"),  # type: ignore[call-arg]
        (lambda: tw.SGD(0.1, 0.2), "takes 1 values, got 2"),  # type: ignore[call-arg]
        (lambda: tw.Adam(0.1, lr=0.2), "lr given twice"),  # type: ignore[misc]
    ],
)
def test_wrong_names_are_answered_with_the_nearest(make: Any, told: str) -> None:
    with pytest.raises(HyperparameterError, match=told):
        make()


def test_a_coordinate_without_gradient_has_no_rate() -> None:
    """Where a row has no epsilon, 0/0 is 0: in the weights and in what is shown."""
    w = np.ones(2)
    opt = tw.Adamax.like("paper").on(w)
    opt.step(np.array([0.0, 1.0]))
    assert w[0] == 1.0
    assert opt.rates()[0] == 0.0
    assert opt.rates()[1] > 0.0
