"""The state of a transformation: a named tuple for each rule, with its count and its states by name."""

from collections import namedtuple
from collections.abc import Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ..errors import StateError

Kind = Any  # a rule class: mypy does not see that classes can be hashed
Tree = Any  # a pytree: params, gradients, updates, or a node of one
State = Any  # a named tuple: count, then the rule's states by name, each a pytree as params

GAIN = "gain"  # the field after the rule's states, where its gain is kept for a penalty
RATES = "rates"  # and that where rates are kept


@cache
def state_tuple(rule: Kind, *extra: str) -> type[State]:
    """The named tuple of a rule's state: one class for a rule and its extra fields, so that two trees of it are alike.

    extra: ``GAIN``, ``RATES``, in this order, where they are kept.
    """
    fields = ("count", *rule.parts.states, *extra)
    base = namedtuple(f"{rule.__name__}State", fields)  # type: ignore[misc]
    return type(
        base.__name__,
        (base,),
        {"__slots__": (), "__reduce__": _reduced, "__module__": __package__, "rule": rule},
    )


def _reduced(state: State) -> tuple[Any, ...]:
    rule = type(state).rule
    return _remade, (rule, state._fields[1 + len(rule.parts.states) :], *state)


def _remade(rule: Kind, extra: tuple[str, ...], *values: Tree) -> State:
    return state_tuple(rule, *extra)(*values)


def _restored(rule: Kind, *values: Tree) -> State:
    return state_tuple(rule, *([RATES] if len(values) > 1 + len(rule.parts.states) else []))(*values)


def named_tuples(tree: Tree) -> Iterator[Tree]:
    """Every named tuple in a state."""
    if hasattr(tree, "_fields"):
        yield tree
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple | list) else ()
    for child in children:
        yield from named_tuples(child)


def rates(state: Tree) -> Tree:
    """Return the effective learning rates that the last step used, a tree as the parameters.

    state: of ``transformation(rule, rates=True)``, also inside a chain, ``inject_hyperparams`` or other wrappers. A
    rate is the factor on what the rule steps along, in the dtype of the arithmetic; NaN for a parameter that has had
    no gradient yet. Of several transformations, each on its own parameters (``optax.multi_transform``), the trees
    are put together; ``optax.MaskedNode()`` stands where none keeps rates.

    Raises StateError where no rates are kept, no step has been taken, or two transformations have the same parameters.
    """
    ours = [x for x in named_tuples(state) if hasattr(type(x), "rule")]
    keeping = [x for x in ours if RATES in x._fields]
    if not keeping:
        raise StateError(
            "rates: not kept in this state; start with transformation(rule, rates=True)"
            if ours
            else "rates: the state must hold that of transformation(rule, rates=True)"
        )
    counts = [x.count for x in keeping]
    if not any(isinstance(c, jax.core.Tracer) for c in counts) and not any(jnp.any(c > 0) for c in counts):
        raise StateError("rates: no step has been taken yet")
    return jax.tree.map(_one, *(getattr(x, RATES) for x in keeping), is_leaf=_masked)


def _masked(leaf: object) -> bool:
    return isinstance(leaf, optax.MaskedNode)


def _one(*leaves: Tree) -> Tree:
    """The rates of a parameter that one transformation at most has."""
    present = [x for x in leaves if not _masked(x)]
    if len(present) > 1:
        raise StateError(
            f"rates: {len(present)} transformations have the same parameters: ask for each's own state"
        )
    return present[0] if present else leaves[0]
