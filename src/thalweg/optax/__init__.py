"""Optax's door: any rule as an ``optax.GradientTransformation``.

    import thalweg.optax
    tx = thalweg.optax.transformation(tw.RMSprop.like("keras", learning_rate=1e-3))
    state = tx.init(params)
    updates, state = tx.update(grads, state)
    params = optax.apply_updates(params, updates)

The update is the rule's formula at w = 0, which needs no ``params``; only weight decay and rules whose step
shrinks w (ASGD, FTRL) read them. ``from_optax`` goes on where a state of Optax stands, ``to_optax`` goes back.
``rates`` is what the last step used.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Literal, NamedTuple

try:
    import jax
    import jax.numpy as jnp
    import optax
    from jax.typing import ArrayLike, DTypeLike
except ImportError as error:
    raise ImportError(
        f"thalweg.optax needs JAX and Optax ({error}): pip install jax optax", name=error.name
    ) from None

from ..core.line import short
from ..core.pieces import own
from ..core.rule import Rule
from ..core.schedule import Schedule
from ..core.started import OWN, Started, start_given
from ..core.step_options import switch
from ..core.update import Update, added
from ..engines import xla
from ..errors import HyperparameterError
from .convert import from_optax, to_optax
from .leaf import Column, absent, counted, moved
from .state import GAIN, RATES, Kind, State, Tree, rates, state_tuple
from .state import _remade as _remade  # where pickled states look for it
from .state import _restored as _restored  # and those of before
from .words import averages_dtype, demand_words

Decay = Literal["coupled", "decoupled", "proximal"] | None
Mask = Tree | Callable[[Tree], Tree] | None


def transformation(
    rule: Rule,
    *,
    weight_decay: xla.Value = None,
    decay: Decay = None,
    l1_decay: float = 0.0,
    maximize: bool = False,
    mask: Mask = None,
    mu_dtype: DTypeLike | None = None,
    rates: bool = False,
    **hyperparameters: xla.Value,
) -> optax.GradientTransformationExtraArgs:
    """A rule as an Optax transformation; ``optax.apply_updates`` adds what its ``update`` returns.

    rule: such as ``tw.Adam(lr=1e-3)``; a schedule of ours is evaluated in the trace.
    hyperparameters: in place of the rule's own, by its lines' names or Optax's (``learning_rate``, ``b1``): a number,
    a schedule of ours or of Optax's (a function of the steps done), or a traced value, as
    ``optax.inject_hyperparams`` hands over. A state's line is where it starts, a number or a traced value.
    weight_decay, decay: "coupled" (added to the gradient), "decoupled" (w shrinks by lr · weight_decay first) or
    "proximal" (a penalty in the rule's own metric, with ``l1_decay`` an elastic net), None is what the rule says; all
    read ``params``. maximize: ascend. mask: as ``optax.adamw`` has it, a tree of booleans as the parameters or a
    prefix of it, or a function of the updates that gives one: False leaves a parameter without weight decay, of
    either kind. mu_dtype: the floating dtype in which averages and sums of gradients are kept. rates: keep what
    ``rates(state)`` returns.

    Parameters: float16, bfloat16, float32 or float64 in any pytree; None in place of a gradient leaves
    that parameter and its states alone. Integers and booleans stay what they are: a float0 gradient is
    handed back, one of whole numbers becomes an update of 0 (a rule without states refuses it). States of
    16-bit parameters are float32.
    ``update`` takes what others in a chain ask for (``value=``) and does not read it. Numbers are checked
    against their range, traced values are not. Raises TypeError, and ValueError (HyperparameterError).
    """
    if not isinstance(rule, Rule):
        raise TypeError(f"transformation: rule must be a rule such as Adam(lr=1e-3), got {short(rule)}")
    switch("transformation", "rates", rates, (True, False))
    demand_words(rule, hyperparameters, decay)

    def start(amount: xla.Value | str, l1_decay: float) -> Started:
        kind = OWN if decay is None else decay
        return start_given(
            "transformation",
            rule,
            hyperparameters,
            world="optax",
            free=_free,
            weight_decay=amount,
            decay=kind,
            l1_decay=l1_decay,
            rates=rates,
            maximize=maximize,
        )

    started = start(OWN if weight_decay is None else weight_decay, l1_decay)
    step = added(started.update)
    if mask is not None and weight_decay is None and not l1_decay and "weight_decay" not in rule.parts.lines:
        raise HyperparameterError(
            "transformation: mask is of weight decay, and there is none: pass weight_decay="
        )
    without = start(0.0, 0.0) if mask is not None else started
    averages = averages_dtype(rule, mu_dtype)
    columns = [Column(n, n, averages.get(n)) for n in rule.parts.states]
    extra = {GAIN: own(GAIN)} if own(GAIN) in started.update.starts else {}
    extra |= {RATES: "_rate"} if rates else {}
    columns += [Column(field, array, None) for field, array in extra.items()]
    passes = {True: (started, step), False: (without, added(without.update))}
    kind: Kind = type(rule)
    run = _Run(columns, passes, mask, state_tuple(kind, *extra))
    return optax.GradientTransformationExtraArgs(run.init, run.update)


class _Run(NamedTuple):
    """A rule on whole trees: what is kept of every parameter, and its steps with weight decay and without."""

    columns: list[Column]
    passes: Mapping[bool, tuple[Started, Update]]
    mask: Mask
    named: type[State]

    def init(self, params: Tree) -> State:
        """Return the state before the first step."""
        started, _ = self.passes[True]

        def tree_of(column: Column) -> Tree:
            value = started.begin(column.array)
            return jax.tree.map_with_path(lambda path, p: column.begin(path, p, value), params)

        return self.named(jnp.zeros((), jnp.int32), *map(tree_of, self.columns))

    def update(
        self, updates: Tree, state: State, params: Tree | None = None, **extra_args: object
    ) -> tuple[Tree, State]:
        """Return what is added to the parameters, a tree as their gradients ``updates``, and the new state."""
        weighted = "w" in self.passes[True][1].arrays
        if weighted and params is None:
            _demand_params()
        if not isinstance(state, self.named):
            raise ValueError(
                f"update: the state is {_title(state)}, not that of {self.named.rule.__name__}"
                f"{_extended(self.named)}: start with init(params)"
            )
        shape: Any
        leaves, shape = jax.tree.flatten_with_path(updates, is_leaf=absent)
        kept = [shape.flatten_up_to(getattr(state, c.field)) for c in self.columns]
        weights = shape.flatten_up_to(params) if weighted else [None] * len(leaves)
        decays = [True] * len(leaves) if self.mask is None else _spread(self.mask, updates)

        @cache
        def clock(decayed: bool, dtype: Any) -> Mapping[str, jax.Array]:
            run, its_step = self.passes[decayed]
            return xla.clock(its_step, run.inputs, state.count, dtype)

        moves: list[ArrayLike | None] = []
        for k, ((path, g), w) in enumerate(zip(leaves, weights, strict=True)):
            own = kept[0][k] if kept else w
            if g is None or jnp.result_type(g) == jax.dtypes.float0:
                moves.append(g)
            elif own is not None and counted(g) and counted(own):
                moves.append(jnp.zeros_like(g))
            else:
                old = {c: x[k] for c, x in zip(self.columns, kept, strict=True)}
                its_step = self.passes[decays[k]][1]
                weight = w if "w" in its_step.arrays else None
                move, new = moved(its_step, partial(clock, decays[k]), path, g, old, weight)
                moves.append(move)
                for x, value in zip(kept, new, strict=True):
                    x[k] = value
        count = optax.safe_increment(state.count)
        return shape.unflatten(moves), self.named(count, *map(shape.unflatten, kept))


def _title(state: State) -> str:
    """What a state is called in an error."""
    return f"{type(state).__name__}{_extended(state)}"


def _extended(state: State) -> str:
    kept = [n for n in (GAIN, RATES) if n in getattr(state, "_fields", ())]
    return f" with {' and '.join(kept)}" if kept else ""


def _free(name: str, value: xla.Value) -> bool:
    """Whether a value is known only while a step is traced; a schedule of ours is the rule's, but for the decay."""
    late = callable(value) and (name == "weight_decay" or not isinstance(value, Schedule))
    return late or isinstance(value, jax.core.Tracer)


def _spread(mask: Tree | Callable[[Tree], Tree], updates: Tree) -> list[bool]:
    """Return for each leaf of the updates whether weight decay is its own: a mask may be a prefix of their tree."""
    tree = mask(updates) if callable(mask) else mask
    full = jax.tree.map(
        lambda on, below: jax.tree.map(lambda _: bool(on), below, is_leaf=absent),
        tree,
        updates,
        is_leaf=absent,
    )
    return [bool(on) for on in jax.tree.leaves(full, is_leaf=absent)]


def _demand_params() -> None:
    """ValueError in Optax's own words."""
    optax.add_decayed_weights(1.0).update(jnp.zeros(()), optax.EmptyState(), None)


__all__ = ["from_optax", "rates", "to_optax", "transformation"]
