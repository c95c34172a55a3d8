"""What Optax's tests ask of an optimizer, of wrappers around it and of ``optax.contrib``, asked of our transformation.

``DIFFERENCES`` are all that is not so; each has a test here, and ``docs/optax.md`` shows them.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thalweg as tw
from thalweg.errors import HyperparameterError
from thalweg.optax import transformation

from ..strategies import RULES, every_rule_in_time, first_of

DIFFERENCES: dict[str, str] = {
    "corrections such as 1 - b1^t": "are computed in float64 and rounded once; Optax's are float32",
    "states of 16-bit parameters": "are float32; Optax's are 16-bit",
    "updates": "have the gradient's dtype; Optax's have that which gradient and states promote to",
    "`mu_dtype` of 16 bits": "the average is widened before it is decayed; Optax decays it in 16 bits",
    "`accumulator_dtype`, `weight_decay_mask`": "are `mu_dtype` and `mask` here; the errors say so",
    "whole numbers and booleans": "stay what they are; Optax's adam steps them",
    "complex parameters": "only inside `optax.contrib.split_real_and_imaginary`",
    "a gradient of another shape": "is refused; Optax's adam broadcasts it",
    "None in place of a gradient": "leaves the parameter and its states alone; Optax's adam raises",
    "a hyperparameter out of its range, `learning_rate=-0.1` say": "is refused; Optax ascends, here `maximize=True` does",
    "`nesterov=True` without momentum": "is refused; optax.sgd ignores it",
    "`eps_in_sqrt=False`, `bias_correction=True` and `nesterov=True` of rmsprop": "no rule is one of them: `like` says so",
    "`nesterov=True` of adamw, radam and adabelief": "no rule is one of them; adamw's is NAdam with `weight_decay=` here",
}

Tree = Any
PARAMETERS: Tree = {
    "w": np.array([-1.0, 0.5, 2.0], "float32"),
    "b": (np.array([1.0, -2.0, 0.25], "float32"),),
}  # of NumPy: nothing is compiled where tests are listed


def gradient(k: int) -> Tree:
    """The gradient of step k."""
    return {n: jax.tree.map(lambda p: np.cos(p * (k + 1)) / (k + 1), x) for n, x in PARAMETERS.items()}


GRADIENTS: list[Tree] = [gradient(k) for k in range(4)]


def train(tx: Any, params: Tree, state: Tree = None, gradients: list[Tree] = GRADIENTS, **extra: Any) -> Tree:
    """Parameters and state after a step with each gradient."""
    state = tx.init(params) if state is None else state
    for g in gradients:
        updates, state = tx.update(g, state, params, **extra)
        params = optax.apply_updates(params, updates)
    return params, state


def near(a: Tree, b: Tree, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x, float), np.asarray(y, float), rtol=rtol, atol=atol)


# Aliases.

IN_OPTAX: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "adam(nesterov=True)": (
        lambda: transformation(tw.Adam.like("optax", learning_rate=0.1, nesterov=True)),
        lambda: optax.adam(0.1, nesterov=True),
    ),
    "nadam(nesterov=False)": (
        lambda: transformation(tw.NAdam.like("optax", learning_rate=0.1, nesterov=False)),
        lambda: optax.nadam(0.1, nesterov=False),
    ),
    "sgd(nesterov=True)": (
        lambda: transformation(tw.SGD.like("optax", learning_rate=0.1, momentum=0.9, nesterov=True)),
        lambda: optax.sgd(0.1, 0.9, nesterov=True),
    ),
    "nadamw, which is adamw(nesterov=True)": (
        lambda: transformation(
            tw.NAdam.like("optax", learning_rate=0.1), weight_decay=0.01, decay="decoupled"
        ),
        lambda: optax.nadamw(0.1, weight_decay=0.01),
    ),
    "adamaxw": (
        lambda: transformation(
            tw.Adamax.like("optax", learning_rate=0.1), weight_decay=0.01, decay="decoupled"
        ),
        lambda: optax.adamaxw(0.1, weight_decay=0.01),
    ),
    "adadelta(weight_decay=0.01)": (
        lambda: transformation(
            tw.Adadelta.like("optax", learning_rate=0.1), weight_decay=0.01, decay="coupled"
        ),
        lambda: optax.adadelta(0.1, weight_decay=0.01),
    ),
}
HERE = ("sgd(nesterov=True)",)


@first_of(IN_OPTAX, HERE)
def test_a_form_of_optax_that_several_arguments_make(name: str) -> None:
    """The path of Optax's own, in float64, through like and through Optax's words."""
    ours, theirs = IN_OPTAX[name]
    with jax.enable_x64(True):
        params, *gradients = (
            jax.tree.map(lambda x: jnp.asarray(x, float), t) for t in (PARAMETERS, *GRADIENTS)
        )
        got, _ = train(ours(), params, gradients=gradients)
        near(got, train(theirs(), params, gradients=gradients)[0], 1e-12, 1e-13)


@every_rule_in_time
def test_every_rule_does_what_a_transformation_must(name: str) -> None:
    """Trees, shapes and dtypes stay; eval_shape and optax.tree agree; extra arguments are of no account."""
    tx = transformation(RULES[name]())
    state = tx.init(PARAMETERS)
    updates, after = tx.update(GRADIENTS[0], state, PARAMETERS)
    shapes = jax.eval_shape(tx.update, GRADIENTS[0], jax.eval_shape(tx.init, PARAMETERS), PARAMETERS)
    for got, wanted in ((updates, shapes[0]), (after, shapes[1]), (updates, PARAMETERS), (after, state)):
        assert jax.tree.structure(got) == jax.tree.structure(wanted)
        for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
    near(tx.update(GRADIENTS[0], state, PARAMETERS, value=1.0, grad=GRADIENTS[0]), (updates, after), 0, 0)
    assert optax.tree.get(after, "count") == 1
    assert jax.tree.structure(
        optax.tree.map_params(tx, lambda x: x, after, transform_non_params=lambda x: x)
    ) == jax.tree.structure(after)
    assert transformation(RULES[name]()).init({})[1:] == ({},) * len(RULES[name].parts.states)


CONVERGE = {"Adam": 0.1, "SGD": 0.1, "Lion": 0.05, "Adagrad": 1.0}


@first_of(CONVERGE, ["Adam"])
def test_it_converges_inside_a_compiled_loop(name: str) -> None:
    """Optax's parabola, from its start to its target."""
    target = jnp.asarray([1.0, -1.0, 1.0])
    tx = transformation(RULES[name](lr=tw.cosine(CONVERGE[name], steps=1500)))

    def step(carry: Any, _: Any) -> Any:
        params, state = carry
        updates, state = tx.update(jax.grad(lambda x: ((x - target) ** 2).sum())(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    start = jnp.asarray([-1.0, 10.0, 1.0])
    (got, _), _ = jax.lax.scan(step, (start, tx.init(start)), None, length=1500)
    near(got, target, 3e-2, 3e-2)


# Wrappers.


def twice(tx: Any) -> Any:
    return optax.MultiSteps(tx, every_k_schedule=2).gradient_transformation()


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "chain": lambda tx: optax.chain(optax.clip(0.5), tx, optax.scale(0.5)),
    "named_chain": lambda tx: optax.named_chain(("clip", optax.clip(0.5)), ("ours", tx)),
    "flatten": optax.flatten,
    "masked": lambda tx: optax.masked(tx, {"w": True, "b": (False,)}),
    "partition": lambda tx: optax.partition(
        {"a": tx, "b": optax.set_to_zero()}, {"w": "a", "b": ("b",)}
    ),
    "MultiSteps": twice,
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 2),
    "conditionally_transform": lambda tx: optax.conditionally_transform(tx, lambda step, **_: step < 2),
    "conditionally_mask": lambda tx: optax.conditionally_mask(tx, lambda step, **_: step < 2),
    "with_extra_args_support": optax.with_extra_args_support,
    "add_decayed_weights": lambda tx: optax.chain(optax.add_decayed_weights(0.1), tx),
    "ema of updates": lambda tx: optax.chain(tx, optax.ema(0.5)),
    "scale_by_trust_ratio": lambda tx: optax.chain(tx, optax.scale_by_trust_ratio()),
    "keep_params_nonnegative": lambda tx: optax.chain(tx, optax.keep_params_nonnegative()),
    "reduce_on_plateau": lambda tx: optax.chain(tx, optax.contrib.reduce_on_plateau(patience=1)),
    "schedule_free": lambda tx: optax.contrib.schedule_free(tx, learning_rate=0.1, b1=0.9),
    "mechanize": optax.contrib.mechanize,
}  # fmt: skip
SOON = ("named_chain", "partition", "schedule_free")


@first_of(WRAPPERS, SOON)
def test_a_wrapper_does_to_ours_what_it_does_to_optaxs(name: str) -> None:
    """Masks, partitions, clipping, schedules, accumulation and the like around either give one path."""
    around, extra = WRAPPERS[name], {"value": 1.0} if name == "reduce_on_plateau" else {}
    got, _ = train(around(transformation(tw.Momentum.like("optax", learning_rate=0.1))), PARAMETERS, **extra)
    wanted, _ = train(around(optax.sgd(0.1, 0.9)), PARAMETERS, **extra)
    near(got, wanted)


@pytest.mark.slow
def test_accumulated_gradients_are_their_mean() -> None:
    """Optax's law of MultiSteps, through our own states."""
    tx = transformation(tw.Adagrad(lr=0.1))
    got, _ = train(twice(tx), PARAMETERS)
    means = [jax.tree.map(lambda a, b: (a + b) / 2, *GRADIENTS[k : k + 2]) for k in (0, 2)]
    near(got, train(tx, PARAMETERS, gradients=means)[0])


@pytest.mark.slow
def test_lookahead_and_sam_take_ours_inside() -> None:
    """Of contrib and of lookahead, whose parameters are pairs."""
    for make in (lambda: transformation(tw.SGD(lr=0.1)), lambda: optax.sgd(0.1)):
        ahead = optax.lookahead(make(), sync_period=2, slow_step_size=0.5)
        pair = optax.LookaheadParams.init_synced(PARAMETERS)
        updates, _ = ahead.update(GRADIENTS[0], ahead.init(pair), pair)
        near(optax.apply_updates(pair, updates).fast["w"], PARAMETERS["w"] - 0.1 * GRADIENTS[0]["w"])
        sam = optax.contrib.sam(make(), optax.chain(optax.contrib.normalize(), make()), sync_period=2)
        moved, _ = train(sam, PARAMETERS)
        assert not np.array_equal(moved["w"], PARAMETERS["w"])


# What differs.


def test_corrections_keep_their_digits() -> None:
    """At the first step Adam's move is lr, in float32 as well: Optax's is off by 7e-6 of it."""
    g = jnp.full(3, 1e-3)
    ours, theirs = transformation(tw.Adam(lr=1.0, eps=0.0)), optax.adam(1.0, eps=0.0)
    off = [float(jnp.abs(tx.update(g, tx.init(g))[0] + 1).max()) for tx in (ours, theirs)]
    assert off[0] <= 2**-22 < 2**-18 < off[1]


def test_dtypes_differ() -> None:
    """States of 16-bit parameters, updates of wide states, averages of 16 bits."""
    half, single = jnp.ones(3, jnp.bfloat16), jnp.ones(3)
    ours, theirs = transformation(tw.Adam()), optax.adam(1e-3)
    assert ours.init(half).m.dtype == jnp.float32
    assert optax.tree.get(theirs.init(half), "mu").dtype == jnp.bfloat16
    assert ours.update(half, ours.init(single))[0].dtype == jnp.bfloat16
    assert theirs.update(half, theirs.init(single))[0].dtype == jnp.float32
    kept = transformation(tw.Momentum.like("optax", learning_rate=1.0), mu_dtype=jnp.bfloat16)
    optaxs = optax.sgd(1.0, 0.9, accumulator_dtype=jnp.bfloat16)
    gradients = [jnp.full(3, 1 / 3), jnp.full(3, 1 / 7)]
    first = jnp.full(3, 1 / 3).astype(jnp.bfloat16).astype(jnp.float32)
    moved = [np.asarray(train(tx, jnp.zeros(3), gradients=gradients)[0], float) for tx in (kept, optaxs)]
    exact = -1 / 3 - (0.9 * np.asarray(first, float) + 1 / 7)
    assert np.abs(moved[0] - exact).max() < 1e-6 < np.abs(moved[1] - exact).max() < 2e-3


@pytest.mark.slow
def test_leaves_that_are_no_real_floating_arrays_differ() -> None:
    """Counts stay; complex leaves are split by Optax."""
    ours, theirs = transformation(tw.Adam()), optax.adam(1e-3)
    counts = {"n": jnp.arange(3), "w": jnp.ones(3)}
    assert not ours.update(counts, ours.init(counts))[0]["n"].any()
    assert theirs.update(counts, theirs.init(counts))[0]["n"].any()
    z = jnp.asarray([1.0 + 2.0j, -0.5j])
    with pytest.raises(TypeError, match="split_real_and_imaginary"):
        ours.init(z)
    apart = [optax.contrib.split_real_and_imaginary(tx) for tx in (ours, theirs)]
    got, wanted = (tx.update(z, tx.init(z), z)[0] for tx in apart)
    near((got.real, got.imag), (wanted.real, wanted.imag), 1e-4)


def test_gradients_that_do_not_fit_differ() -> None:
    """Another shape, and None."""
    ours, theirs = transformation(tw.Adam()), optax.adam(1e-3)
    with pytest.raises(ValueError, match=r"shape must be \(3,\)"):
        ours.update(jnp.ones(1), ours.init(jnp.ones(3)))
    assert theirs.update(jnp.ones(1), theirs.init(jnp.ones(3)))[0].shape == (3,)
    params = {"a": jnp.ones(3), "b": jnp.ones(3)}
    missing = {"a": None, "b": jnp.ones(3)}
    updates, state = ours.update(missing, ours.init(params))
    assert updates["a"] is None and not state.m["a"].any() and state.m["b"].all()
    with pytest.raises(ValueError, match="structure"):
        theirs.update(missing, theirs.init(params))


def test_arguments_that_are_refused_here() -> None:
    """In one line each."""
    told: list[tuple[Callable[[], Any], str]] = [
        (lambda: transformation(tw.Adam(), learning_rate=-0.1), "lr must be"),
        (lambda: tw.Adam.like("optax", learning_rate=-0.1), "lr must be"),
        (lambda: tw.SGD.like("optax", nesterov=True), "nesterov does not go alone"),
        (lambda: tw.RMSprop.like("optax", eps_in_sqrt=False), "eps_in_sqrt must be True"),
        (lambda: tw.RMSprop.like("optax", bias_correction=True), "bias_correction must be False"),
        (lambda: tw.RMSprop.like("optax", momentum=0.9, nesterov=True), "nesterov must be False"),
        (lambda: tw.AdamW.like("optax", nesterov=True), "nesterov must be False"),
        (lambda: tw.RAdam.like("optax", nesterov=True), "nesterov must be False"),
        (lambda: tw.AdaBelief.like("optax", nesterov=True), "nesterov must be False"),
        (lambda: transformation(tw.Momentum(), accumulator_dtype=jnp.float32), "mu_dtype"),
        (lambda: transformation(tw.Adadelta(), weight_decay_mask=True), "is mask here"),
    ]  # fmt: skip
    for make, words in told:
        with pytest.raises(HyperparameterError, match=words):
            make()
    g = jnp.ones(3)
    up = transformation(tw.SGD(lr=0.1), maximize=True)
    near(up.update(g, up.init(g))[0], optax.sgd(-0.1).update(g, optax.sgd(-0.1).init(g))[0])
