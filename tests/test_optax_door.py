"""thalweg.optax: Optax's own paths, everything that Optax asks of a transformation, runs that move over."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thalweg as tw
import thalweg.optax
from thalweg.convert import arguments
from thalweg.errors import HyperparameterError, StateError
from thalweg.optax import from_optax, rates, to_optax, transformation
from thalweg.rules import movable

from .paths import distances, worlds
from .paths.distances import Case, Distance, cases, needed, share, ulps
from .strategies import RULES, first_of, seldom

SOME = ["Adam", "RMSpropCentredMomentum", "Adadelta", "MaxProp"]  # of each kind of formula one
Tree = Any


class Layer(NamedTuple):
    weight: Any
    bias: Any


def parameters(dtype: Any = jnp.float32) -> Tree:
    """A pytree of every kind of nesting, with a None and a scalar in it; few shapes, which XLA compiles one by one."""
    values = jnp.linspace(-1.0, 1.0, 9, dtype=dtype).reshape(3, 3)
    return {
        "layers": [Layer(values[0], None), (values[1],)],
        "gain": values[2],
        "scale": values[2, 0],
        "empty": {},
    }


def gradients(params: Tree, seed: int) -> Tree:
    """Of many sizes, with zeros among them."""
    rng = np.random.default_rng(seed)

    def one(p: Any) -> Any:
        g = rng.standard_normal(p.shape) * 2.0 ** rng.integers(-6, 6, p.shape)
        return jnp.asarray(np.where(rng.random(p.shape) < 0.2, 0.0, g), p.dtype)

    return jax.tree.map(one, params)


def train(
    tx: optax.GradientTransformation, params: Tree, steps: int = 6, state: Any = None, first: int = 0
) -> Any:
    """Parameters and state after some steps, operation by operation."""
    state = tx.init(params) if state is None else state
    for k in range(first, first + steps):
        updates, state = tx.update(gradients(params, k), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def near(a: Tree, b: Tree, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_allclose(np.asarray(x, float), np.asarray(y, float), rtol=rtol, atol=atol)


def same(a: Tree, b: Tree) -> None:
    near(a, b, 0, 0)


# The path.


def theirs(rule: Any) -> optax.GradientTransformation:
    row = ROWS[type(rule).__name__]
    made: optax.GradientTransformation = getattr(optax, row.optimizers[0])(
        **arguments(rule, "optax", "test"), **row.options
    )
    return made


ROWS = {n: r.parts.dialects["optax"] for n, r in movable("optax").items()}
FAST = ["Momentum", "RMSpropCentredMomentumSutskever", "AdamW", "NAdam"]


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in ROWS])
def test_the_path_is_optaxs(name: str) -> None:
    """In float64, where Optax's bias corrections keep their digits."""
    with jax.enable_x64(True):
        params = parameters(jnp.float64)
        rule = RULES[name].like("optax", learning_rate=0.01)
        (ours, _), (wanted, _) = train(transformation(rule), params), train(theirs(rule), params)
        near(ours, wanted, 1e-11, 1e-12)


def test_every_row_of_optax_can_be_moved() -> None:
    assert set(ROWS) == {n for n, r in RULES.items() if "optax" in r.parts.dialects} == set(worlds.OPTAX)


OPTAX = [c for c in cases() if c.dialect == "optax"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", distances.DTYPES)
@pytest.mark.parametrize("case", OPTAX, ids=[c.title for c in OPTAX])
def test_promise_5_through_the_door(case: Case, dtype: str) -> None:
    """300 steps over six kinds of gradients: each from Optax's own state, and all of them on their own."""
    trace = distances.theirs(case, dtype)
    rule, settings = distances.ours(case)
    settings = {n: v for n, v in settings.items() if n != "on_nonfinite"}
    w, g = worlds.starts(dtype), worlds.streams(dtype)
    with jax.enable_x64(dtype == "float64"):
        plan = jnp.asarray(np.array([rule.at(t)["lr"] for t in range(len(g))], dtype))
        if case.around:  # Optax's trace has the host's rates; cos near pi is not the same on the device
            tx = transformation(rule, lr=lambda count: plan[count], **settings)
        else:
            tx = transformation(rule, **settings)

        def step(carry: Any, gradient: Any) -> Any:
            params, state = carry
            updates, state = tx.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), (params, state)

        start = tx.init(jnp.asarray(w))
        _, (free, states) = jax.lax.scan(step, (jnp.asarray(w), start), jnp.asarray(g))

        def before(n: str) -> Any:  # Optax's state; NAdam's product of momenta is ours alone
            held = (
                trace.states[n]
                if n in trace.states
                else np.concatenate([getattr(start, n)[None], getattr(states, n)])
            )
            return jnp.asarray(held[:-1])

        kept = type(start)(jnp.arange(len(g), dtype=jnp.int32), *map(before, start._fields[1:]))
        _, (after, left) = jax.vmap(step)((jnp.asarray(trace.w[:-1]), kept), jnp.asarray(g))
        far = ulps(trace.w[:-1], trace.w[1:], np.asarray(after), True).max()
        apart = [
            ulps(held[:-1], held[1:], np.asarray(getattr(left, n)), True).max()
            for n, held in trace.states.items()
        ]
        path = np.concatenate([w[None], np.asarray(free)])
    exact = distances.path(rule, {**settings, "on_nonfinite": "propagate"}, w.astype(float), g.astype(float))
    found = Distance(
        float(far), float(max(apart, default=0.0)), share(path, trace.w), "", share(trace.w, exact)
    )
    assert needed(case, dtype, found) is not None, found


def test_the_path_is_that_of_rule_on() -> None:
    """Bit for bit, operation by operation."""
    params = {"a": jnp.linspace(-1, 1, 3), "b": jnp.ones(3)}
    arrays = {n: np.array(p) for n, p in params.items()}
    for name in SOME:
        rule = RULES[name](lr=tw.cosine(0.1, steps=10))
        w = {n: a.copy() for n, a in arrays.items()}
        opt = rule.on(w)
        for k in range(6):
            opt.step({n: np.asarray(g) for n, g in gradients(params, k).items()})
        made, state = train(transformation(rule), params)
        same({n: np.asarray(x) for n, x in made.items()}, w)
        assert all(np.array_equal(getattr(state, n)["b"], s["b"]) for n, s in opt.state.items())


# Tracing.


@pytest.mark.parametrize("name", SOME)
def test_compiled_is_not_compiled(name: str) -> None:
    params = parameters()
    tx = transformation(RULES[name](lr=tw.cosine(0.1, steps=20)))
    wanted = train(tx, params)
    near(train(tx._replace(update=jax.jit(tx.update)), params), wanted, 1e-5, 1e-6)


def test_three_seeds_at_once_are_three_runs() -> None:
    for name in SOME[:2]:
        tx = transformation(RULES[name]())
        seeds = [jax.tree.map(lambda p, k=k: p + k, parameters()) for k in range(3)]
        together = jax.tree.map(lambda *x: jnp.stack(x), *seeds)

        def run(params: Tree, tx: Any = tx) -> Tree:
            return train(tx, params, 2)

        made = jax.jit(jax.vmap(run))(together)
        for k, params in enumerate(seeds):
            near(jax.tree.map(lambda x, k=k: x[k], made), run(params), 1e-5, 1e-6)


def test_learning_rates_side_by_side_and_their_derivatives() -> None:
    params = {"w": jnp.array([1.0, -2.0, 0.5])}

    def after(lr: Any) -> Any:
        return train(transformation(tw.Adam(), lr=lr), params, 3)[0]["w"]

    rates = jnp.array([0.1, 0.2, 0.3])
    made = jax.jit(jax.vmap(after))(rates)
    for k, lr in enumerate(rates):
        near(made[k], after(float(lr)))
    slope = jax.jit(jax.grad(lambda lr: after(lr).sum()))(0.1)
    numeric = (after(0.1 + 1e-3).sum() - after(0.1 - 1e-3).sum()) / 2e-3
    assert abs(slope / numeric - 1) < 1e-2


def test_a_training_loop_in_scan_and_donated_buffers() -> None:
    tx = transformation(tw.RMSprop(lr=0.05))
    target = jnp.array([1.0, -2.0, 3.0])

    def step(carry: Any, _: Any) -> Any:
        params, state = carry
        loss, g = jax.value_and_grad(lambda p: jnp.sum((p - target) ** 2))(params)
        updates, state = tx.update(g, state)
        return (optax.apply_updates(params, updates), state), loss

    def run(params: Any) -> Any:
        return jax.lax.scan(step, (params, tx.init(params)), None, length=200)

    (scanned, _), losses = jax.jit(run)(jnp.zeros(3))
    assert losses[-1] < 1e-2 < losses[0]
    donated = jax.jit(lambda carry: step(carry, None)[0], donate_argnums=0)
    carry = (jnp.zeros(3), tx.init(jnp.zeros(3)))
    for _ in range(200):
        carry = donated(carry)
    near(carry[0], scanned, 1e-4, 1e-4)


def test_nothing_is_compiled_anew_between_steps() -> None:
    tx = transformation(tw.Adam(lr=tw.cosine(0.1, steps=10)))
    params, traced = {"w": jnp.ones(3)}, []

    @jax.jit
    def step(g: Any, state: Any) -> Any:
        traced.append(1)
        return tx.update(g, state)

    state = tx.init(params)
    for _ in range(4):
        _, state = step(params, state)
    assert len(traced) == 1 and state.count == 4


# Optax around it.


AROUND: dict[str, Callable[[Any], Any]] = {
    "clipped by norm": lambda tx: optax.chain(optax.clip_by_global_norm(1.0), tx),
    "masked": lambda tx: optax.masked(tx, {"layers": True, "gain": True, "scale": False, "empty": {}}),
    "with another": lambda tx: optax.multi_transform(
        {"a": tx, "b": optax.sgd(0.1)}, {"layers": "a", "gain": "a", "scale": "b", "empty": {}}
    ),
    "decayed and scaled": lambda tx: optax.chain(optax.add_decayed_weights(0.1), tx, optax.scale(0.5)),
    "every second": lambda tx: optax.MultiSteps(tx, every_k_schedule=2).gradient_transformation(),
    "where finite": lambda tx: optax.apply_if_finite(tx, 3),
    "flattened": optax.flatten,
}
FEW = ("clipped by norm", "masked", "with another")


@pytest.mark.parametrize(
    "around", [pytest.param(n, marks=() if n in FEW else pytest.mark.slow) for n in AROUND]
)
def test_chains_with_optaxs_own(around: str) -> None:
    rule = tw.Adam.like("optax", learning_rate=0.01)

    def run(tx: Any) -> Tree:
        return jax.jit(lambda p: train(AROUND[around](tx), p, 4)[0])(parameters())

    near(run(transformation(rule)), run(theirs(rule)), 2e-5, 2e-6)


def test_injected_hyperparameters() -> None:
    params = parameters()
    plan = optax.cosine_decay_schedule(0.1, 10)
    wanted, _ = train(transformation(tw.Adam(), lr=plan), params)
    near(train(transformation(tw.Adam(lr=tw.cosine(0.1, steps=10))), params)[0], wanted)
    tx = optax.inject_hyperparams(lambda lr: transformation(tw.Adam(), lr=lr))(lr=plan)
    near(train(tx, params)[0], wanted)
    compiled, state = train(tx._replace(update=jax.jit(tx.update)), params)
    near(compiled, wanted)
    assert float(state.hyperparams["lr"]) == pytest.approx(float(plan(5)))

    constant = optax.inject_hyperparams(lambda lr, beta2: transformation(tw.Adam(), lr=lr, beta2=beta2))(
        lr=0.1, beta2=0.9
    )
    state = constant.init(params)
    state.hyperparams["lr"] = jnp.asarray(0.0)
    near(train(constant, params, 3, state)[0], params)
    near(train(constant, params)[0], train(transformation(tw.Adam(lr=0.1, beta2=0.9)), params)[0], 1e-5, 1e-6)


STARTS = {
    "Adagrad": "initial_accumulator_value",
    "RMSprop": "initial_scale",
    "RMSpropCentredMomentumSutskever": "initial_scale",
}


@first_of(STARTS, ["Adagrad"])
def test_states_start_where_a_traced_value_says(name: str) -> None:
    """In Optax's words, under jit; a hyperparameter by Optax's word likewise."""
    rule, word = RULES[name].like("optax"), STARTS[name]
    tx = optax.inject_hyperparams(
        lambda learning_rate, start: transformation(rule, learning_rate=learning_rate, **{word: start})
    )(learning_rate=0.25, start=0.5)
    g = jnp.ones(3)
    state = jax.jit(tx.init)(g)
    near(state.inner_state, transformation(rule, **{word: 0.5}).init(g))

    wanted = transformation(RULES[name].like("optax", learning_rate=0.25, **{word: 0.5}))
    near(jax.jit(tx.update)(g, state)[0], wanted.update(g, wanted.init(g))[0])
    with pytest.raises(ValueError, match="must be a number in"):
        transformation(rule, **{word: optax.constant_schedule(0.5)})


def test_a_decay_that_is_scheduled_or_injected() -> None:
    params = parameters()
    for rule in (tw.AdamW(lr=0.1), tw.SGD(lr=0.1)):
        for decay in ("coupled", "decoupled"):
            settings: Any = {"decay": decay}
            wanted, _ = train(transformation(rule, weight_decay=0.3, **settings), params)
            assert (
                float(
                    jnp.abs(
                        wanted["scale"] - train(transformation(rule, weight_decay=0.0), params)[0]["scale"]
                    )
                )
                > 1e-4
            )
            for plan in (lambda count: 0.3, tw.constant(0.3)):
                near(train(transformation(rule, weight_decay=plan, **settings), params)[0], wanted)
            tx = optax.inject_hyperparams(
                lambda x, r=rule, s=settings: transformation(r, weight_decay=x, **s)
            )(x=0.3)
            near(train(tx._replace(update=jax.jit(tx.update)), params)[0], wanted, 1e-5)


def test_only_decay_needs_params_and_says_so_in_optaxs_words() -> None:
    g = jnp.ones(3)
    with pytest.raises(ValueError) as wanted:  # noqa: PT011
        optax.adamw(0.1).update(g, optax.adamw(0.1).init(g))
    reading = [n for n in RULES if "weight_decay" in RULES[n].parts.lines or n in ("ASGD", "FTRL")]
    for tx in (
        *(transformation(RULES[n]()) for n in reading),
        transformation(tw.SGD(), weight_decay=0.1),
    ):
        with pytest.raises(ValueError) as got:  # noqa: PT011
            tx.update(g, tx.init(g))
        assert str(got.value) == str(wanted.value)
    for name in RULES:
        if name not in reading:
            tx = transformation(RULES[name]())
            tx.update(g, tx.init(g))


def test_decay_and_sign_are_those_of_rule_on() -> None:
    w = np.linspace(-1, 1, 3, dtype="float32")
    for decay in ("coupled", "decoupled"):
        settings: Any = {"weight_decay": 0.1, "decay": decay, "maximize": True}
        other = w.copy()
        opt = tw.Adam(lr=0.1).on(other, **settings)
        for k in range(5):
            opt.step(np.asarray(gradients(jnp.asarray(w), k)))
        near(train(transformation(tw.Adam(lr=0.1), **settings), jnp.asarray(w), 5)[0], jnp.asarray(other))


@pytest.mark.parametrize("form", ["tree", "prefix", "function"])
def test_a_mask_says_where_weight_decay_is(form: str) -> None:
    """As optax.adamw has it; a rule without a decay of its own likewise."""
    params = {"in": {"w": jnp.ones(3)}, "out": [jnp.ones(3), jnp.full(3, 2.0)]}
    tree = {"in": {"w": True}, "out": [False, False]}
    mask: Any = {"tree": tree, "prefix": {"in": True, "out": False}, "function": lambda _: tree}[form]
    runs: list[tuple[tw.Rule, dict[str, Any]]] = [
        (tw.AdamW(), {}),
        (tw.Momentum(), {"weight_decay": 0.3, "decay": "decoupled"}),
    ]
    for rule, settings in runs:
        got, _ = train(transformation(rule, mask=mask, **settings), params, 3)
        decayed, _ = train(transformation(rule, **settings), params, 3)
        plain, _ = train(transformation(rule, **{**settings, "weight_decay": 0.0}), params, 3)
        same(got, {"in": decayed["in"], "out": plain["out"]})
        assert not np.array_equal(decayed["out"][1], plain["out"][1])


def test_states_are_marked_as_parameters_are() -> None:
    tx = transformation(tw.Adam())
    state = tx.init({"w": jnp.ones(2)})
    made = optax.tree.map_params(tx, lambda x: x + 1, state)
    assert made.count == 0 and made.m["w"][0] == 1
    assert optax.tree.get(state, "v")["w"].shape == (2,)
    shapes = jax.eval_shape(tx.init, {"w": jax.ShapeDtypeStruct((4,), jnp.bfloat16)})
    assert shapes.m["w"].dtype == jnp.float32


# Trees and dtypes.


def test_the_state_is_a_named_tuple_of_trees(tmp_path: Any) -> None:
    params = parameters()
    for name in RULES:
        state = transformation(RULES[name]()).init(params)
        assert state._fields == ("count", *RULES[name].parts.states)
        assert all(jax.tree.structure(x) == jax.tree.structure(params) for x in state[1:])
        assert type(jax.tree.map(lambda x: x, state)) is type(
            transformation(RULES[name](lr=0.5)).init(params)
        )
    tx = transformation(tw.Adam())
    _, state = train(tx, params)
    same(pickle.loads(pickle.dumps(state)), state)
    leaves, shape = jax.tree.flatten(state)
    np.savez(tmp_path / "state.npz", *leaves)
    with np.load(tmp_path / "state.npz") as held:
        back = jax.tree.unflatten(shape, [jnp.asarray(held[n]) for n in held.files])
    same(back, state)
    wanted = train(tx, params, 9)
    middle, state = train(tx, params, 5)
    same(train(tx, middle, 4, pickle.loads(pickle.dumps(state)), first=5), wanted)


def test_a_missing_gradient_leaves_its_parameter_alone() -> None:
    tx = transformation(tw.Momentum())
    params = {"a": jnp.ones(3), "b": jnp.ones(3)}
    _, state = train(tx, params, 1)
    updates, after = tx.update({"a": jnp.ones(3), "b": None}, state)
    assert updates["b"] is None and updates["a"].shape == (3,)
    same(after.m["b"], state.m["b"])


def test_integers_stay_what_they_are() -> None:
    """float0 gradients, as jax.grad(allow_int=True) has them, come back; whole numbers move nothing."""
    params = {"n": jnp.arange(3), "on": jnp.asarray([True, False]), "w": jnp.ones(3)}

    def loss(p: Tree) -> jax.Array:
        return (p["w"] * p["n"]).sum()

    tx, alone = transformation(tw.Adam(), weight_decay=0.1), transformation(tw.Adam(), weight_decay=0.1)
    g = jax.grad(loss, allow_int=True)(params)
    updates, state = tx.update(g, tx.init(params), params)
    assert updates["n"].dtype == jax.dtypes.float0 and updates["on"].dtype == jax.dtypes.float0
    same(updates["w"], alone.update(g["w"], alone.init(params["w"]), params["w"])[0])
    counted = {**g, "n": jnp.full(3, 7), "on": jnp.asarray([True, True])}
    updates, after = tx.update(counted, state, params)
    moved = optax.apply_updates(params, updates)
    same({n: moved[n] for n in ("n", "on")}, {n: params[n] for n in ("n", "on")})
    same(after.m["n"], state.m["n"])


def test_complex_parameters_go_through_optaxs_splitting() -> None:
    z = jnp.asarray([1.0 + 2.0j, -0.5j])
    tx, apart = optax.contrib.split_real_and_imaginary(transformation(tw.Adam())), transformation(tw.Adam())
    updates, _ = tx.update(z, tx.init(z), z)
    real, imaginary = ((apart.update(x, apart.init(x)))[0] for x in (z.real, z.imag))
    same((updates.real, updates.imag), (real, imaginary))


def test_update_takes_what_others_in_a_chain_ask_for() -> None:
    tx = transformation(tw.Momentum())
    assert isinstance(tx, optax.GradientTransformationExtraArgs)
    g = jnp.ones(3)
    same(tx.update(g, tx.init(g), g, value=1.0, grad=g, value_fn=None), tx.update(g, tx.init(g), g))


def test_averages_are_kept_in_the_dtype_asked_for() -> None:
    """Rounded once, at the end of a step; a state of Optax's with another one goes on in it."""
    g, rule = jnp.asarray([0.5, -1.25, 3.0]), tw.Adam.like("optax", learning_rate=0.1)
    for dtype in (jnp.bfloat16, jnp.float16):
        tx, exact = transformation(rule, mu_dtype=dtype), transformation(rule)
        state = tx.init(g)
        assert (state.m.dtype, state.v.dtype) == (dtype, jnp.float32)
        for _ in range(3):
            wide = state._replace(m=state.m.astype(jnp.float32))
            updates, state = tx.update(g, state)
            wanted, after = exact.update(g, wide)
            same((updates, state.m, state.v), (wanted, after.m.astype(dtype), after.v))
        back = from_optax(optax.adam(0.1).init(g), rule)
        assert tx.update(g, back)[1].m.dtype == dtype


# Rates.


@pytest.mark.parametrize("name", [seldom(n) for n in RULES])
def test_rates_are_those_of_rule_on(name: str) -> None:
    """What the last step used, bit for bit, for each leaf; asking for them changes nothing."""
    rule = RULES[name]()
    params = {"a": jnp.linspace(-1, 1, 3), "b": jnp.ones(3)}
    w = {n: np.array(p) for n, p in params.items()}
    opt, (plain, _) = rule.on(w, rates=True, engine="plain"), train(transformation(rule), params, 3)
    for k in range(3):
        opt.step({n: np.asarray(g) for n, g in gradients(params, k).items()})
    kept, state = train(transformation(rule, rates=True), params, 3)
    same(kept, plain)
    near(rates(state), jax.tree.map(jnp.asarray, opt.rates()))


def test_rates_are_found_in_whatever_stands_around() -> None:
    params = {"a": jnp.ones(3), "b": jnp.ones(3)}
    tx = transformation(tw.Adagrad(lr=0.5), rates=True)
    inject = optax.inject_hyperparams(lambda lr: transformation(tw.Adagrad(), lr=lr, rates=True))(lr=0.5)
    _, state = tx.update(params, tx.init(params))
    for around in (optax.chain(optax.clip(9.0), tx), inject, optax.MultiSteps(tx, 1)):
        _, held = around.update(params, around.init(params), params)
        near(rates(held), rates(state))
        assert float(rates(held)["a"][0]) == pytest.approx(0.5)
    _, after = tx.update({"a": None, "b": params["b"]}, state)
    same(rates(after)["a"], rates(state)["a"])
    assert np.isnan(rates(tx.update({"a": None, "b": params["b"]}, tx.init(params))[1])["a"]).all()
    same(rates(jax.vmap(tx.init)(params)._replace(count=jnp.ones(3), rates=params)), params)
    same(jax.jit(rates)(state), rates(state))
    parted = optax.multi_transform({"x": tx, "y": optax.sgd(0.1)}, {"a": "x", "b": "y"})
    part = rates(parted.update(params, parted.init(params))[1])
    same(part["a"], rates(state)["a"])
    assert isinstance(part["b"], optax.MaskedNode)
    both = optax.multi_transform({"x": tx, "y": inject}, {"a": "x", "b": "y"})
    near(rates(both.update(params, both.init(params))[1]), rates(state))
    same(pickle.loads(pickle.dumps(state)), state)
    wanted = transformation(tw.Adagrad(lr=0.5)).init(params)
    same(tx.init(params)._replace(**wanted._asdict()).s, wanted.s)


def test_rates_that_are_not_there_are_refused() -> None:
    g = jnp.ones(3)
    tx, plain = transformation(tw.SGD(), rates=True), transformation(tw.SGD())
    _, state = tx.update(g, tx.init(g))
    twice = optax.chain(tx, tx)
    found: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: rates(tx.init(g)), StateError, "no step has been taken yet"),
        (lambda: rates(plain.init(g)), StateError, r"start with transformation\(rule, rates=True\)"),
        (lambda: rates(optax.adam(0.1).init(g)), StateError, "the state must hold that of transformation"),
        (lambda: rates(twice.update(g, twice.init(g))[1]), StateError, "2 transformations have the same parameters"),
        (lambda: plain.update(g, state), ValueError, "is SGDState with rates, not that of SGD: start"),
        (lambda: tx.update(g, plain.init(g)), ValueError, "is SGDState, not that of SGD with rates: start"),
    ]  # fmt: skip
    for call, kind, words in found:
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("name", SOME)
def test_16_bits_are_float32_rounded_at_the_end(name: str, dtype: Any) -> None:
    tx = transformation(RULES[name]())
    params = parameters(dtype)
    state, wide = tx.init(params), tx.init(parameters(jnp.float32))
    for k in range(3):
        g = gradients(params, k)
        updates, state = tx.update(g, state)
        exact, wide = tx.update(jax.tree.map(lambda x: x.astype(jnp.float32), g), wide)
        same(updates, jax.tree.map(lambda x: x.astype(dtype), exact))
        same(state, wide)


def test_float32_and_float64_side_by_side() -> None:
    with jax.enable_x64(True):
        params = {"a": jnp.ones(3, jnp.float32), "b": jnp.ones(3, jnp.float64)}
        tx = transformation(tw.Adam(lr=0.1))
        updates, state = tx.update(params, tx.init(params))
        assert {n: u.dtype for n, u in updates.items()} == {"a": jnp.float32, "b": jnp.float64}
        assert state.v["a"].dtype == jnp.float32 and state.count.dtype == jnp.int32
        np.testing.assert_array_equal(updates["a"], transformed(jnp.float32))
    assert abs(float(updates["b"][0]) + 0.1) < 2e-9


def transformed(dtype: Any) -> Any:
    tx = transformation(tw.Adam(lr=0.1))
    g = jnp.ones(3, dtype)
    return tx.update(g, tx.init(g))[0]


def test_long_runs_keep_their_digits() -> None:
    """float32, t = 200,000: Optax's own corrections lose theirs at the start, none here does at any t."""
    tx = transformation(tw.Adam(lr=1.0, eps=0.0))
    g = jnp.ones(1)
    for t in (0, 1, 5, 200_000):
        state = tx.init(g)._replace(count=jnp.int32(t))
        m, v = 1 - 0.9 ** (t + 1), 1 - 0.999 ** (t + 1)
        state = state._replace(m=jnp.full(1, (m - 0.1) / 0.9), v=jnp.full(1, (v - 0.001) / 0.999))
        assert abs(float(tx.update(g, state)[0][0]) + 1) < 1e-6


# Bad input.


def test_a_penalty_in_the_rules_metric_is_that_of_on() -> None:
    """For parameters that a mask names, through pickled states; Optax itself has none to go on with."""
    penalty: dict[str, Any] = {"weight_decay": 0.3, "l1_decay": 0.05, "decay": "proximal"}
    start = np.array([0.5, -1.0, 0.01])
    ours = {"a": start.copy(), "b": start.copy()}
    opt = tw.Adagrad(lr=0.1).on(ours, **penalty, groups={"b": {"weight_decay": 0.0, "l1_decay": 0.0}})
    with jax.enable_x64(True):
        tx = transformation(tw.Adagrad(lr=0.1), **penalty, mask={"a": True, "b": False})
        params = {n: jnp.asarray(start) for n in ours}
        state = tx.init(params)
        for g in ([1.0, 0.0, 0.01], [0.5, -1.0, 0.0], [-1.0, 0.0, 0.02]):
            opt.step({n: np.array(g) for n in ours})
            updates, state = tx.update({n: jnp.array(g) for n in ours}, state, params)
            params = optax.apply_updates(params, updates)
            state = pickle.loads(pickle.dumps(state))
    for n, w in ours.items():
        np.testing.assert_allclose(params[n], w, rtol=1e-14)
    assert (ours["a"] != ours["b"]).all()
    with pytest.raises(ValueError, match="to_optax: Optax has no penalty in a rule's own metric"):
        to_optax(state, tw.Adagrad.like("optax", learning_rate=0.1), params)


def test_bad_input_is_refused_in_one_line() -> None:
    adam: Any = tw.Adam
    tx = transformation(tw.Adam())
    state = tx.init(jnp.ones(3))
    plain = transformation(tw.SGD()).init(jnp.ones(3))
    named: Any = optax.inject_hyperparams(transformation)(tw.Adam(), lr=0.1)
    found: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: transformation(adam), TypeError, "must be a rule such as Adam"),
        (lambda: transformation(tw.Adam(), lr=-1.0), ValueError, "lr must be"),
        (lambda: transformation(tw.Adam(), lr=jnp.asarray(-1.0)), ValueError, "lr must be"),
        (lambda: transformation(tw.Adam(), learning_rat=0.1), ValueError, "no hyperparameter 'learning_rat'"),
        (lambda: transformation(tw.Adam(), weight_decay=-0.1), ValueError, "transformation: weight_decay must be"),
        (lambda: transformation(tw.Adam(), mask=True), ValueError, "mask is of weight decay"),
        (lambda: transformation(tw.FTRL(), mask=True), ValueError, "mask is of weight decay"),
        (lambda: transformation(tw.Adam(), decay="l2"), ValueError, "transformation: decay must be"),  # type: ignore[arg-type]
        (lambda: transformation(tw.Adam(), mu_dtype="int8"), ValueError, "mu_dtype must be a real floating dtype"),
        (lambda: transformation(tw.Adam(), mu_dtype="half16"), ValueError, "mu_dtype must be a real floating dtype"),
        (lambda: transformation(tw.Adagrad(), mu_dtype="float32"), ValueError, "Adagrad keeps none"),
        (lambda: transformation(tw.Momentum(), accumulator_dtype="float32"), ValueError, "is mu_dtype here"),
        (lambda: transformation(tw.Adam(), nesterov=True), ValueError, r"pass Adam.like\('optax', nesterov="),
        (lambda: transformation(tw.RMSprop(), decay=0.9), ValueError, "Optax's decay is beta here"),  # type: ignore[arg-type]
        (lambda: transformation(tw.Adam(), rates=2), ValueError, "rates must be"),  # type: ignore[arg-type]
        (lambda: tw.Adam.like("optax", mu_dtype="half"), ValueError, r"transformation\(rule, mu_dtype=\.\.\.\)"),
        (lambda: transformation(tw.Adam(), maximize=2), ValueError, "transformation: maximize must be"),  # type: ignore[arg-type]
        (lambda: named.init(jnp.ones(3)), ValueError, "name what is injected"),
        (lambda: tx.init({"z": jnp.ones(3, jnp.complex64)}), TypeError, r"params\['z'\]: .* complex64; .*split_real_and"),
        (lambda: tx.update(jnp.ones(3, jnp.int32), state), TypeError, "updates: .* int32"),
        (lambda: transformation(tw.SGD()).update(jnp.ones(3, jnp.int32), plain), TypeError, "updates: .* int32"),
        (lambda: tx.update(jnp.ones(3), tx.init(jnp.ones(3, jnp.int32))), TypeError, "parameter of updates: .* int32"),
        (lambda: tx.update(jnp.ones(4), state), ValueError, r"shape must be \(3,\)"),
        (lambda: transformation(tw.SGD()).update(jnp.ones(3), state), ValueError, "not that of SGD"),
        (lambda: tx.update(jnp.ones(3), optax.adam(0.1).init(jnp.ones(3))), ValueError, "start with init"),
    ]  # fmt: skip
    for call, kind, words in found:
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(HyperparameterError):
        transformation(tw.Adam(), v=lambda count: 1.0)


def test_without_optax_one_line_says_what_to_install() -> None:
    for missing in ("jax", "optax"):
        code = f"import sys; sys.modules['{missing}'] = None\nimport thalweg as tw; tw.Adam()\nimport thalweg.optax"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 1 and "pip install jax optax" in done.stderr.splitlines()[-1]


# Moving over.

MORE: dict[str, dict[str, Any]] = {
    "Momentum": {"momentum": 0.9},
    "Nesterov": {"momentum": 0.9},
    "AdamW": {"weight_decay": 0.01},
}
LEAVING = [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in ROWS]


@pytest.fixture(scope="module")
def problem() -> Any:
    """A network and its data, float64: parameters, and a compiled loss with its gradient."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x = jnp.asarray(rng.standard_normal((64, 8)))
        y = jnp.sin(x.sum(1)) + 0.1 * jnp.asarray(rng.standard_normal(64))

        def loss(params: Any) -> Any:
            into, out = params["w"][:144].reshape(9, 16), params["w"][144:]
            return jnp.mean((jnp.tanh(x @ into[:-1] + into[-1]) @ out - y) ** 2)

        start = {"w": jnp.asarray(0.3 * rng.standard_normal(160))}
        return start, jax.jit(jax.value_and_grad(loss))


@pytest.mark.parametrize("name", LEAVING)
def test_a_run_that_moves_over_and_back_goes_on(name: str, problem: Any) -> None:
    """Switched at steps 50 and 100 of a real training, its losses are those of an unswitched run."""
    start, gradient = problem
    lr = {"Adadelta": 0.5, "Lion": 1e-3, "SGD": 0.1, "Adagrad": 0.1}.get(name, 0.003)
    rule = RULES[name].like("optax", learning_rate=lr, **MORE.get(name, {}))
    losses = []
    with jax.enable_x64(True):
        for switched in (False, True):
            tx, params = theirs(rule), start
            state = tx.init(params)
            told = []
            for k in range(150):
                if switched and k == 50:
                    state, tx = from_optax(state, rule), transformation(rule)
                if switched and k == 100:
                    tx, state = to_optax(state, rule, params)
                loss, g = gradient(params)
                updates, state = tx.update(g, state, params)
                params = optax.apply_updates(params, updates)
                told.append(float(loss))
            losses.append(told)
    assert losses[0][-1] < losses[0][0]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_states_are_found_in_chains_and_copied() -> None:
    params = parameters()
    plan = optax.cosine_decay_schedule(0.1, 10)
    tx = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.inject_hyperparams(optax.rmsprop)(learning_rate=plan, momentum=0.9),
    )
    _, held = train(tx, params, 4)
    rule = tw.RMSprop.like("optax", learning_rate=tw.cosine(0.1, steps=10), momentum=0.9)
    state = from_optax(held, rule, count=4)
    same(state.v, optax.tree.get(held, "nu"))
    assert state.count == 4
    _, held = train(optax.rmsprop(plan, momentum=0.9), params, 4)
    assert from_optax(held, rule).count == 4  # its schedule's own count
    back, opt_state = to_optax((optax.EmptyState(), state), rule, params)
    near(train(back, params, 3, opt_state)[0], train(transformation(rule), params, 3, state)[0], 1e-5, 1e-6)
    half = optax.adam(0.1, mu_dtype=jnp.bfloat16).init(params)
    assert from_optax(half, tw.Adam()).m["scale"].dtype == jnp.float32
    same(
        from_optax(train(optax.nadam(0.1), params, 3)[1], tw.NAdam.like("optax")).p["scale"],
        jnp.float32(0.9**3),
    )


def test_where_two_worlds_cannot_agree_it_says_so() -> None:
    params = {"w": jnp.ones(2)}
    adam, rms = optax.adam(0.1).init(params), optax.rmsprop(0.1).init(params)
    two = optax.multi_transform({"a": optax.adam(0.1), "b": optax.adam(0.2)}, {"w": "a"}).init(params)
    ours = transformation(tw.Adam()).init(params)
    kinds: Any = tw.Adam
    found: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: from_optax(adam, tw.Adam.like("keras")), ValueError, "eps of 1e-07 .* 3.16e-06"),
        (lambda: from_optax(rms, tw.RMSprop()), ValueError, "Optax has no eps, which is 1e-08 here; .* near 1e-08"),
        (lambda: from_optax(rms, tw.RMSprop.like("optax", learning_rate=tw.cosine(0.1, steps=9))), ValueError, "pass count="),
        (lambda: from_optax(rms, tw.Adam()), ValueError, "one ScaleByAdamState, it has 0; there is .*ScaleByRms"),
        (lambda: from_optax(two, tw.Adam()), ValueError, "one ScaleByAdamState, it has 2"),
        (lambda: from_optax(adam, tw.LpProp()), ValueError, "Optax has no LpProp"),
        (lambda: from_optax(adam, tw.Adam(epoch=2)), ValueError, "Optax knows epoch only as 1.0"),
        (lambda: from_optax(adam, kinds), TypeError, "must be a rule"),
        (lambda: to_optax(ours, tw.Adam.like("tf1"), params), ValueError, "in the other form"),
        (lambda: to_optax(adam, tw.Adam(), params), ValueError, "one AdamState, it has 0"),
        (
            lambda: to_optax(transformation(tw.Adadelta()).init(params), tw.Adadelta(eps_u=1e-3), params),
            ValueError,
            "eps is one number in optax, here eps_v=1e-06, eps_u=0.001",
        ),
    ]  # fmt: skip
    for call, kind, words in found:
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
