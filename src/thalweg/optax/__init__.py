"""Optax's door: any rule as an ``optax.GradientTransformation``.

    import thalweg.optax
    tx = thalweg.optax.transformation(tw.RMSprop.like("keras", learning_rate=1e-3))
    state = tx.init(params)
    updates, state = tx.update(grads, state)
    params = optax.apply_updates(params, updates)

The update is the rule's formula at w = 0, which needs no ``params``; only decoupled decay, and coupled decay
set here, read them. ``from_optax`` goes on where a state of Optax stands, ``to_optax`` goes back.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Literal

try:
    import jax
    import jax.numpy as jnp
    import optax
    from jax.tree_util import KeyPath
    from jax.typing import ArrayLike
except ImportError as error:
    raise ImportError(
        f"thalweg.optax needs JAX and Optax ({error}): pip install jax optax", name=error.name
    ) from None

from ..core.line import short
from ..core.rule import Rule
from ..core.schedule import Schedule
from ..core.started import OWN, Started, start_given
from ..core.update import Update, added
from ..engines import xla
from ..errors import HyperparameterError
from .convert import from_optax, to_optax
from .state import Kind, State, Tree, state_tuple
from .state import _restored as _restored  # where pickled states look for it

Decay = Literal["coupled", "decoupled"] | None


def transformation(
    rule: Rule,
    *,
    weight_decay: xla.Value = None,
    decay: Decay = None,
    maximize: bool = False,
    mask: Tree | Callable[[Tree], Tree] | None = None,
    **hyperparameters: xla.Value,
) -> optax.GradientTransformationExtraArgs:
    """A rule as an Optax transformation; ``optax.apply_updates`` adds what its ``update`` returns.

    rule: such as ``tw.Adam(lr=1e-3)``; a schedule of ours is evaluated in the trace.
    hyperparameters: in place of the rule's own, by its lines' names: a number, a schedule of ours or of
    Optax's (a function of the steps done), or a traced value, as ``optax.inject_hyperparams`` hands over.
    weight_decay, decay: "coupled" (added to the gradient) or "decoupled" (w shrinks by lr · weight_decay
    first), None is what the rule says; both read ``params``. maximize: ascend. mask: as ``optax.adamw`` has it, a tree of
    booleans as the parameters or a prefix of it, or a function of the updates that gives one: False leaves a
    parameter without weight decay.

    Parameters: float16, bfloat16, float32 or float64 in any pytree; None in place of a gradient leaves
    that parameter and its states alone. Integers and booleans stay what they are: a float0 gradient is
    handed back, one of whole numbers becomes an update of 0 (a rule without states refuses it). States of
    16-bit parameters are float32.
    ``update`` takes what others in a chain ask for (``value=``) and does not read it. Numbers are checked
    against their range, traced values are not. Raises TypeError, and ValueError (HyperparameterError).
    """
    if not isinstance(rule, Rule):
        raise TypeError(f"transformation: rule must be a rule such as Adam(lr=1e-3), got {short(rule)}")
    if "hyperparameters" in hyperparameters and "hyperparameters" not in rule.parts.lines:
        raise HyperparameterError(
            f"transformation: {type(rule).__name__} has no hyperparameter 'hyperparameters': name what is injected:"
            " optax.inject_hyperparams(lambda lr: transformation(rule, lr=lr))(lr=...)"
        )

    def start(amount: xla.Value | str) -> Started:
        kind = OWN if decay is None else decay
        return start_given(
            "transformation",
            rule,
            hyperparameters,
            free=_free,
            weight_decay=amount,
            decay=kind,
            maximize=maximize,
        )

    started = start(OWN if weight_decay is None else weight_decay)
    step = added(started.update)
    if mask is not None and weight_decay is None and "w" not in step.arrays:
        raise HyperparameterError(
            "transformation: mask is of weight decay, and there is none: pass weight_decay="
        )
    without = start(0.0) if mask is not None else started
    passes = {True: (started, step), False: (without, added(without.update))}
    kind: Kind = type(rule)
    states, named = kind.parts.states, state_tuple(kind)

    def init(params: Tree) -> State:
        def begun(path: KeyPath[Any], p: ArrayLike, value: float) -> jax.Array:
            if _counted(p):
                return jnp.zeros_like(p)  # keeps the trees alike; no step reads or writes it
            return jnp.full_like(p, value, dtype=xla.arithmetic(_dtype("params", path, p)))

        def tree_of(name: str) -> Tree:
            value = started.begin(name)
            assert not isinstance(value, str)  # no state begins as another array
            return jax.tree.map_with_path(lambda path, p: begun(path, p, value), params)

        return named(jnp.zeros((), jnp.int32), *map(tree_of, states))

    def update(
        updates: Tree, state: State, params: Tree | None = None, **extra_args: object
    ) -> tuple[Tree, State]:
        weighted = "w" in step.arrays
        if weighted and params is None:
            _demand_params()
        if not isinstance(state, named):
            raise ValueError(
                f"update: the state is {type(state).__name__}, not that of {kind.__name__}: start with init(params)"
            )
        shape: Any
        leaves, shape = jax.tree.flatten_with_path(updates, is_leaf=_absent)
        kept = [shape.flatten_up_to(getattr(state, n)) for n in states]
        weights = shape.flatten_up_to(params) if weighted else [None] * len(leaves)
        decays = [True] * len(leaves) if mask is None else _spread(mask, updates)

        @cache
        def clock(decayed: bool, dtype: Any) -> Mapping[str, jax.Array]:
            run, its_step = passes[decayed]
            return xla.clock(its_step, run.inputs, state.count, dtype)

        moves: list[ArrayLike | None] = []
        for k, ((path, g), w) in enumerate(zip(leaves, weights, strict=True)):
            if g is None:
                moves.append(None)
                continue
            if jnp.result_type(g) == jax.dtypes.float0:
                moves.append(g)
                continue
            own = kept[0][k] if kept else w
            if own is not None and _counted(g) and _counted(own):
                moves.append(jnp.zeros_like(g))
                continue
            old = {n: x[k] for n, x in zip(states, kept, strict=True)}
            its_step = passes[decays[k]][1]
            weight = w if "w" in its_step.arrays else None
            move, new = _moved(its_step, partial(clock, decays[k]), path, g, old, weight)
            moves.append(move)
            for x, value in zip(kept, new, strict=True):
                x[k] = value
        return shape.unflatten(moves), named(optax.safe_increment(state.count), *map(shape.unflatten, kept))

    return optax.GradientTransformationExtraArgs(init, update)


def _moved(
    step: Update,
    clock: Callable[[Any], Mapping[str, jax.Array]],
    path: KeyPath[Any],
    g: ArrayLike,
    old: Mapping[str, Any],
    w: ArrayLike | None,
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Return what is added to one parameter, in the gradient's dtype, and its states' new values."""
    gradient = jnp.asarray(g)
    wide = xla.arithmetic(_dtype("updates", path, g))
    if old:
        first = next(iter(old.values()))
        _demand_shape(path, gradient, first)
        _dtype("parameter of updates", path, first)
        wide = jnp.promote_types(wide, first.dtype)
    arrays = {n: x.astype(wide) for n, x in old.items()} | {"g": gradient.astype(wide)}
    if w is not None:
        arrays["w"] = jnp.asarray(w).astype(wide)
    written = xla.element(step)(arrays, clock(wide))
    return written["w"].astype(gradient.dtype), tuple(written[n].astype(x.dtype) for n, x in old.items())


def _free(name: str, value: xla.Value) -> bool:
    """Whether a value is known only while a step is traced; a schedule of ours is the rule's, but for the decay."""
    late = callable(value) and (name == "weight_decay" or not isinstance(value, Schedule))
    return late or isinstance(value, jax.core.Tracer)


def _spread(mask: Tree | Callable[[Tree], Tree], updates: Tree) -> list[bool]:
    """Return for each leaf of the updates whether weight decay is its own: a mask may be a prefix of their tree."""
    tree = mask(updates) if callable(mask) else mask
    full = jax.tree.map(
        lambda on, below: jax.tree.map(lambda _: bool(on), below, is_leaf=_absent),
        tree,
        updates,
        is_leaf=_absent,
    )
    return [bool(on) for on in jax.tree.leaves(full, is_leaf=_absent)]


def _absent(leaf: object) -> bool:
    return leaf is None


def _counted(leaf: ArrayLike) -> bool:
    """Whether a leaf is of whole numbers or booleans."""
    return jnp.result_type(leaf).kind in "iub"


def _dtype(what: str, path: KeyPath[Any], leaf: ArrayLike) -> jnp.dtype[Any]:
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.floating):
        remedy = (
            "real and imaginary parts are two coordinates: optax.contrib.split_real_and_imaginary(tx)"
            if dtype.kind == "c"
            else "mask it out (optax.masked)"
        )
        raise TypeError(
            f"{what}{jax.tree_util.keystr(path)}: dtype must be a real floating one, got {dtype}; {remedy}"
        )
    return dtype


def _demand_shape(path: KeyPath[Any], g: jax.Array, state: jax.Array) -> None:
    if jnp.shape(state) != g.shape:
        raise ValueError(
            f"updates{jax.tree_util.keystr(path)}: shape must be {jnp.shape(state)} as its parameter's, got {g.shape}"
        )


def _demand_params() -> None:
    """ValueError in Optax's own words."""
    optax.add_decayed_weights(1.0).update(jnp.zeros(()), optax.EmptyState(), None)


__all__ = ["from_optax", "to_optax", "transformation"]
