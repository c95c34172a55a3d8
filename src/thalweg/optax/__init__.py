"""Optax's door: any rule as an ``optax.GradientTransformation``.

    import thalweg.optax
    tx = thalweg.optax.transformation(tw.RMSprop.like("keras", learning_rate=1e-3))
    state = tx.init(params)
    updates, state = tx.update(grads, state)
    params = optax.apply_updates(params, updates)

The update is the rule's formula at w = 0, which needs no ``params``; only decoupled decay, and coupled decay
set here, read them. ``from_optax`` goes on where a state of Optax stands, ``to_optax`` goes back.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

try:
    import jax
    import jax.numpy as jnp
    import optax
except ImportError as error:
    raise ImportError(
        f"thalweg.optax needs JAX and Optax ({error}): pip install jax optax", name=error.name
    ) from None

from ..core.line import short
from ..core.rule import Rule
from ..core.schedule import Schedule
from ..core.started import OWN
from ..core.update import Update, added
from ..engines import xla
from ..errors import HyperparameterError, nearest
from ..optimizer.options import Settings, group_of
from .convert import from_optax, to_optax
from .state import (
    Kind,
    State,
    state_tuple,
)
from .state import (
    _restored as _restored,  # where pickled states look for it
)

Tree = Any  # a pytree: params, gradients, updates


def transformation(
    rule: Rule,
    *,
    weight_decay: xla.Value = None,
    decay: Literal["coupled", "decoupled"] | None = None,
    maximize: bool = False,
    **hyperparameters: xla.Value,
) -> optax.GradientTransformation:
    """A rule as an Optax transformation; ``optax.apply_updates`` adds what its ``update`` returns.

    rule: such as ``tw.Adam(lr=1e-3)``; a schedule of ours is evaluated in the trace.
    hyperparameters: in place of the rule's own, by its lines' names: a number, a schedule of ours or of
    Optax's (a function of the steps done), or a traced value, as ``optax.inject_hyperparams`` hands over.
    weight_decay, decay: "coupled" (added to the gradient) or "decoupled" (w shrinks by lr · weight_decay
    first), None is what the rule says; both read ``params``. maximize: ascend.

    Parameters: float16, bfloat16, float32 or float64 in any pytree; None in place of a gradient leaves
    that parameter and its states alone. States of 16-bit parameters are float32. Numbers are checked
    against their range, traced values are not. Raises TypeError, and ValueError (HyperparameterError).
    """
    if not isinstance(rule, Rule):
        raise TypeError(f"transformation: rule must be a rule such as Adam(lr=1e-3), got {short(rule)}")
    plan = _planned(rule, weight_decay, decay, maximize, hyperparameters)

    def init(params: Tree) -> State:
        def start(path: Any, p: Any, value: float) -> jax.Array:
            return jnp.full_like(p, value, dtype=xla.arithmetic(_dtype("params", path, p)))

        def states(name: str) -> Tree:
            return jax.tree.map_with_path(lambda path, p: start(path, p, getattr(plan.rule, name)), params)

        kind: Any = type(plan.rule)
        return state_tuple(kind)(jnp.zeros((), jnp.int32), *(states(n) for n in kind.parts.states))

    def update(updates: Tree, state: State, params: Tree | None = None) -> tuple[Tree, State]:
        return plan.step(updates, state, params)

    return optax.GradientTransformation(init, update)


class _Plan(NamedTuple):
    """A rule with what stands around it, and the values that are not its own."""

    rule: Rule
    values: Mapping[str, xla.Value]
    update: Update

    def step(self, updates: Tree, state: State, params: Tree | None) -> tuple[Tree, State]:
        kind: Kind = type(self.rule)
        names = kind.parts.states
        shape: Any
        paths, shape = jax.tree.flatten_with_path(updates, is_leaf=_absent)
        if "w" in self.update.arrays and params is None:
            _demand_params()
        if not isinstance(state, state_tuple(kind)):
            raise ValueError(
                f"update: the state is {type(state).__name__}, not that of {kind.__name__}: start with init(params)"
            )
        kept = [shape.flatten_up_to(getattr(state, n)) for n in names]
        weights = shape.flatten_up_to(params) if "w" in self.update.arrays else [None] * len(paths)
        clocks: dict[Any, Mapping[str, jax.Array]] = {}
        moved: list[Any] = []
        made: list[list[Any]] = [[] for _ in names]
        for k, (path, g) in enumerate(paths):
            old = [x[k] for x in kept]
            if g is None:
                moved.append(None)
                for row, x in zip(made, old, strict=True):
                    row.append(x)
                continue
            given = jnp.asarray(g)
            wide = xla.arithmetic(_dtype("updates", path, g))
            if old:
                _demand_shape(path, given, old[0])
                wide = jnp.promote_types(wide, old[0].dtype)
            if wide not in clocks:
                clocks[wide] = xla.clock(self.update, self.values, state.count, wide)
            arrays = {n: x.astype(wide) for n, x in zip(names, old, strict=True)} | {"g": given.astype(wide)}
            if weights[k] is not None:
                arrays["w"] = jnp.asarray(weights[k]).astype(wide)
            written = xla.element(self.update)(arrays, clocks[wide])
            moved.append(written["w"].astype(given.dtype))
            for row, n, x in zip(made, names, old, strict=True):
                row.append(written[n].astype(x.dtype))
        count = optax.safe_increment(state.count)
        return shape.unflatten(moved), type(state)(count, *map(shape.unflatten, made))


def _planned(
    rule: Rule, weight_decay: xla.Value, decay: Any, maximize: bool, given: Mapping[str, xla.Value]
) -> _Plan:
    lines, aliases = rule.parts.lines, rule.parts.aliases
    wanted = {t: v for n, v in given.items() for t in aliases.get(n, (n,))}
    for n in wanted:
        if n not in lines:
            hint = nearest(n, [*lines, *aliases])
            if n == "hyperparameters":
                hint = "name what is injected: optax.inject_hyperparams(lambda lr: transformation(rule, lr=lr))(lr=...)"
            raise HyperparameterError(
                f"transformation: {type(rule).__name__} has no hyperparameter {n!r}: {hint}"
            )
    free = {n: v for n, v in wanted.items() if _free(v) and not lines[n].is_state}
    rule = rule.replace(**{n: v for n, v in wanted.items() if n not in free})
    drawn = _free(weight_decay) or isinstance(weight_decay, Schedule)
    settings = Settings(
        weight_decay=OWN if weight_decay is None else 1.0 if drawn else weight_decay,  # type: ignore[arg-type]
        decay=OWN if decay is None else decay,
        maximize=maximize,
    )
    try:
        started = group_of(rule, settings).started(varied={*free, "weight_decay"} if drawn else free)
    except HyperparameterError as error:
        raise HyperparameterError(f"transformation: {str(error).removeprefix('on: ')}") from None
    values = {**started.rule.hyperparameters, **started.values, **free}
    if drawn:
        values["_weight_decay" if "_weight_decay" in values else "weight_decay"] = weight_decay
    return _Plan(started.rule, values, added(started.update))


def _free(value: xla.Value) -> bool:
    """Whether a value is only known while a step is traced: no number, nor a schedule of ours."""
    return isinstance(value, jax.core.Tracer) or (callable(value) and not isinstance(value, Schedule))


def _absent(leaf: Any) -> bool:
    return leaf is None


def _dtype(what: str, path: Any, leaf: Any) -> Any:
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.floating):
        remedy = (
            "real and imaginary parts are two coordinates"
            if dtype.kind == "c"
            else "mask it out (optax.masked)"
        )
        raise TypeError(
            f"{what}{jax.tree_util.keystr(path)}: dtype must be a real floating one, got {dtype}; {remedy}"
        )
    return dtype


def _demand_shape(path: Any, g: jax.Array, state: Any) -> None:
    if jnp.shape(state) != g.shape:
        raise ValueError(
            f"updates{jax.tree_util.keystr(path)}: shape must be {jnp.shape(state)} as its parameter's, got {g.shape}"
        )


def _demand_params() -> None:
    """ValueError in Optax's own words."""
    optax.add_decayed_weights(1.0).update(jnp.zeros(()), optax.EmptyState(), None)


__all__ = ["from_optax", "to_optax", "transformation"]
