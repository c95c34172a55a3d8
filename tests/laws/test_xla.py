"""Promise 1 for JAX: the xla engine within some ulps of the formula, for every rule in every dialect.

Operation by operation, float32 has the oracle's bits and float64 is within 2 ulps (XLA's own ``pow`` in the
clock). Compiled, XLA contracts products and sums: 8 ulps, and 32 where v - a² cancels. An ulp is that of
the largest of |x|, |x'|, |x' - x|; XLA takes subnormal numbers as 0.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
import thalweg.optax
from thalweg.core import clock as scalars
from thalweg.core import exp, nonnegative, rule, where
from thalweg.core import update as compose
from thalweg.core.gain import lacks_gain
from thalweg.core.rule import Rule
from thalweg.core.schedule import Schedule
from thalweg.core.step_options import StepOptions
from thalweg.engines import xla
from thalweg.errors import HyperparameterError

from ..paths.distances import ulps
from ..paths.worlds import gradients, starts
from ..strategies import FORMS, RULES, every_rule, first_of, form

STEPS = 100
COMPILED = {"RMSpropCentred": 32.0}
DTYPES = ("float32", "float64")
READING = {"AdamW", "ASGD", "Lion", "FTRL"}  # rules whose move depends on w
CLOCKS = list({(n, form(n, d).clock): (n, d) for n, d in reversed(FORMS)}.values())  # every rule and clock


def stream(dtype: str) -> Any:
    """Gradients of every kind, none so small that its square is subnormal: XLA knows no such numbers."""
    kinds = {n: g for n, g in gradients(dtype).items() if n != "mixed"}
    kinds["tiny"] = kinds["tiny"] * np.dtype(dtype).type(1e6)
    return np.concatenate(list(kinds.values()), axis=1)[:STEPS]


def oracle(made: Rule, start: Any, given: Any, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """Weights and states before and after every step, from the engine that has the oracle's bits."""
    w = start.copy()
    opt = made.on(w, on_nonfinite="propagate", rates=False, **settings)

    def kept() -> dict[str, Any]:
        (arrays,) = opt._members.buckets[0].tensors  # type: ignore[attr-defined]
        gain = {"gain": arrays["_gain"].copy()} if "_gain" in arrays else {}
        return {n: s.copy() for n, s in opt.state.items()} | gain

    path, states = [w.copy()], {n: [s] for n, s in kept().items()}
    for g in given:
        opt.step(g.copy())
        path.append(w.copy())
        for n, s in kept().items():
            states[n].append(s)
    return np.stack(path), {n: np.stack(s) for n, s in states.items()}


def distance(made: Rule, dtype: str, compiled: bool, **settings: Any) -> float:
    """The largest distance of any step, each started from the oracle's own state."""
    given = stream(dtype)
    path, states = oracle(made, starts(dtype)[: given.shape[1]], given, **settings)
    with jax.enable_x64(dtype == "float64"):
        tx = thalweg.optax.transformation(made, **settings)
        kind = type(tx.init(jnp.asarray(path[0])))
        before = kind(
            jnp.arange(STEPS, dtype=jnp.int32), *(jnp.asarray(states[n][:-1]) for n in kind._fields[1:])
        )

        def one(w: Any, g: Any, state: Any) -> Any:
            update, state = tx.update(g, state, w)
            return w + update, state

        run = jax.vmap(one)
        w, after = (jax.jit(run) if compiled else run)(jnp.asarray(path[:-1]), jnp.asarray(given), before)
        far = [ulps(path[:-1], path[1:], np.asarray(w), flushed=True).max()]
        for n, wanted in states.items():
            far.append(ulps(wanted[:-1], wanted[1:], np.asarray(getattr(after, n)), flushed=True).max())
    return float(max(far))


def marked(forms: list[tuple[str, str]]) -> list[Any]:
    """All forms, those slow that have another's rule and clock."""
    return [pytest.param(n, d, marks=() if (n, d) in CLOCKS else pytest.mark.slow) for n, d in forms]


every_marked_form = pytest.mark.parametrize(("name", "dialect"), marked(FORMS))


@every_marked_form
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_each_operation_is_the_oracles(name: str, dialect: str, dtype: str) -> None:
    """What reads w in the oracle is added to it here: AdamW, Lion and FTRL round it twice."""
    exact = dtype == "float32" and name not in READING
    assert distance(form(name, dialect), dtype, compiled=False) <= (0 if exact else 2)


@pytest.mark.parametrize("name", ["Adam", "Adadelta", "LpProp", "RMSpropCentred"])
def test_compiled_steps_are_near_the_oracles(name: str) -> None:
    assert distance(RULES[name](), "float32", compiled=True) <= COMPILED.get(name, 8.0)


@pytest.mark.parametrize(("name", "dialect"), CLOCKS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.slow
def test_all_compiled_steps_are_near_the_oracles(name: str, dialect: str, dtype: str) -> None:
    assert distance(form(name, dialect), dtype, compiled=True) <= COMPILED.get(name, 8.0)


@pytest.mark.parametrize("decay", ["coupled", "decoupled", "proximal"])
@first_of(
    ("SGD", "Adam", "AdamW", "Lion", "RMSpropMomentum", "NesterovSutskever"), ("SGD", "Adam", "AdamW", "Lion")
)
def test_what_stands_around_is_the_oracles(name: str, decay: str) -> None:
    """Decay shrinks w in the oracle and is added here: two roundings of w in place of one, three of a quotient's."""
    if decay == "proximal" and lacks_gain(RULES[name].parts):
        pytest.skip("it has no gain")
    l1 = {"l1_decay": 0.01} if decay == "proximal" else {}
    settings = {"weight_decay": 0.1, "decay": decay, "maximize": True, **l1}
    assert distance(RULES[name](lr=0.01), "float32", compiled=False, **settings) <= (4 if l1 else 2)


# The clock.

TIMES = [0, 1, 2, 9, 99, 999, 99_999, 2_000_000]


@every_marked_form
def test_the_clock_is_the_hosts(name: str, dialect: str) -> None:
    """In float32 to the last bit but one, in float64 to 1e-15, at any t."""
    rule = form(name, dialect)
    update, host, names = compose.update(rule), scalars.clock(rule), scalars.names(rule)
    counts = jnp.array(TIMES, jnp.int32)
    wanted = np.array([host(t + 1) for t in TIMES]).reshape(len(TIMES), -1)
    for dtype, wide, off in ((jnp.float32, False, 2e-7), (jnp.float64, True, 4e-13)):
        with jax.enable_x64(wide):

            def clock(count: Any, dtype: Any = dtype) -> Any:
                return xla.clock(update, rule.hyperparameters, count, dtype)

            made = jax.vmap(clock)(counts)
            for k, n in enumerate(names):
                assert made[n].dtype == dtype
                np.testing.assert_allclose(made[n], wanted[:, k], rtol=off, atol=0)


def test_one_less_a_power_keeps_its_digits_in_float32() -> None:
    """Printed as -expm1(t log b): right where a device has no more than float32."""
    printed, logs = scalars.traced(tw.Adam().clock_formula)
    text = " ".join(compose.ast.unparse(e) for _, e in (*printed.body, *printed.outputs))
    assert "-expm1(" in text and "_log_beta2" in text and "**" not in text and logs == ("beta1", "beta2")
    evaluate = xla._clock(tw.Adam().clock_formula, True)
    for t in (1, 2, 10, 1000):
        values = dict(
            zip(scalars.names(tw.Adam()), evaluate(jnp.float32(t), *tw.Adam().at(0).values()), strict=True)
        )
        assert values["fix"].dtype == jnp.float32
        exact = 1 / -math.expm1(t * math.log(0.999))
        assert abs(float(values["fix"]) / exact - 1) < 3e-7
        plain = 1 / (1 - np.float32(0.999) ** np.float32(t))
        assert t > 10 or abs(plain / exact - 1) > 1e-6  # what it is there for


def test_what_does_not_move_is_the_hosts_and_what_moves_is_float64() -> None:
    jaxpr = str(jax.make_jaxpr(thalweg.optax.transformation(tw.RAdam()).update)(
        jnp.ones(3), thalweg.optax.transformation(tw.RAdam()).init(jnp.ones(3))
    ))  # fmt: skip
    assert "f64" in jaxpr and "0.0010000000474974513:f32" in jaxpr  # 1 - beta2 of the host, rounded once


# Schedules.


class Kinked(Schedule):
    """A schedule of somebody's own that can be traced."""

    value: float

    def __call__(self, step: int) -> float:
        return where(step < 5, self.value, self.value * 0.5)  # type: ignore[no-any-return, no-untyped-call]


class Branching(Schedule):
    """One that cannot."""

    value: float

    def __call__(self, step: int) -> float:
        return self.value if step < 5 else 0.0


SCHEDULES = [
    tw.constant(0.1),
    tw.step_decay(0.1, factor=0.5, every=7),
    tw.exponential(0.1, factor=0.9, every=3),
    tw.cosine(0.1, steps=30, end=1e-3),
    tw.restarts(0.1, steps=7),
    tw.inverse_sqrt(0.1, shift=4),
    tw.inverse_time(0.1, decay=0.05),
    tw.warmup(tw.cosine(0.1, steps=50), steps=5),
    2.0 * tw.exponential(0.1, factor=0.9) * tw.cosine(1.0, steps=20),
    tw.join(tw.warmup(0.1, steps=3), tw.join(tw.inverse_sqrt(0.1), 0.01, at=9), at=10),
    Kinked(0.1),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_schedules_are_followed_in_the_trace(schedule: Schedule) -> None:
    steps = jnp.arange(60)
    made = jax.vmap(lambda t: xla.scheduled(schedule, t, jnp.float32))(steps)
    with jax.enable_x64(True):
        wide = np.asarray(jax.vmap(lambda t: xla.scheduled(schedule, t, jnp.float64))(steps))
    wanted = [schedule(t) for t in range(60)]
    np.testing.assert_allclose(wide, wanted, rtol=1e-14)
    np.testing.assert_allclose(made, wanted, rtol=1e-7)


def test_every_schedule_of_ours_is_among_them() -> None:
    def kinds(schedule: Schedule) -> set[type]:
        return {type(schedule)}.union(
            *(kinds(v) for v in schedule.fields.values() if isinstance(v, Schedule))
        )

    ours = {k for k in Schedule.KINDS.values() if k.__module__ == Schedule.__module__}
    assert ours <= set().union(*map(kinds, SCHEDULES))


def test_a_schedule_that_branches_is_refused_in_one_line() -> None:
    with pytest.raises(HyperparameterError, match=r"Branching\(value=0.1\): .* write where") as caught:
        jax.jit(lambda t: xla.value(Branching(0.1), t))(3)
    assert "\n" not in str(caught.value)


# What is added to w.


def growth(w, g, /, lr):  # type: ignore[no-untyped-def]
    return w * exp(-lr * g)  # not w plus something


def shrunk_last(w, g, /, lr, keep):  # type: ignore[no-untyped-def]
    return keep * (w - lr * g) + 0.25


@rule(growth)
class Exponentiated(Rule):
    """Exponentiated gradient."""

    lr: float = nonnegative(default=0.1, unit="1/g")


@rule(shrunk_last)
class ShrunkLast(Rule):
    """Decay after the step, and a drift."""

    lr: float = nonnegative(default=0.1, unit="w/g")
    keep: float = nonnegative(default=0.999, unit="1")


def test_formulas_that_are_not_w_plus_something() -> None:
    """A difference where nothing better is known; a shrunk sum is taken apart, and keeps its digits."""
    w, g = jnp.array([1.0, 2.0]), jnp.array([1.0, -1.0])
    for made, wanted in (
        (Exponentiated(), w * jnp.exp(-0.1 * g)),
        (ShrunkLast(), 0.999 * (w - 0.1 * g) + 0.25),
    ):
        tx = thalweg.optax.transformation(made)
        update, _ = tx.update(g, tx.init(w), w)
        np.testing.assert_allclose(w + update, wanted, rtol=1e-6)
    with pytest.raises(ValueError, match="not passing `params`"):
        tx.update(g, tx.init(w))
    still = thalweg.optax.transformation(ShrunkLast(lr=0.0)).update(jnp.zeros(2), tx.init(w), w)[0]
    np.testing.assert_allclose(still - 0.25, -0.001 * w, rtol=3e-5)


def test_only_decay_and_penalties_read_w() -> None:
    for name, dialect in FORMS:
        rule = form(name, dialect)
        read = "w" in compose.added(compose.update(rule)).arrays
        assert read == (name in READING), name
        around = compose.added(compose.update(rule, StepOptions(decoupled=True)))
        assert "w" in around.arrays


@every_rule
def test_what_is_added_is_the_difference(name: str) -> None:
    """Exactly so where w is 0, decay around it or not."""
    rule = RULES[name]()
    for parts in (StepOptions(), StepOptions(decoupled=True), StepOptions(coupled=True, maximize=True)):
        whole = compose.update(rule, parts)
        added = compose.added(whole)
        values = {n: 0.3 + 0.05 * k for k, n in enumerate(added.scalars)}
        values |= {n: values[n.removesuffix(compose.LESS)] - 1 for n in values if n.endswith(compose.LESS)}
        for w in (0.0, 0.7):
            arrays = {n: np.array([0.4 + 0.1 * k]) for k, n in enumerate((*whole.arrays, "g"))} | {
                "w": np.array([w])
            }
            with jax.enable_x64(True):
                after, plus = (
                    {
                        n: np.asarray(v)
                        for n, v in xla.element(u)(
                            {n: jnp.asarray(a) for n, a in arrays.items()}, values
                        ).items()
                    }
                    for u in (whole, added)
                )
            np.testing.assert_allclose(w + plus["w"], after["w"], rtol=1e-14, atol=1e-15)
            assert all(np.array_equal(plus[n], after[n]) for n in after if n != "w")
