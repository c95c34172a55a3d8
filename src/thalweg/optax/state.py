"""The state of a transformation: a named tuple for each rule, with its count and its states by name."""

from collections import namedtuple
from functools import cache
from typing import Any

Kind = Any  # a rule class: mypy does not see that classes can be hashed
Tree = Any  # a pytree: params, gradients, updates, or a node of one
State = Any  # a named tuple: count, then the rule's states by name, each a pytree as params


@cache
def state_tuple(rule: Kind) -> type[State]:
    """The named tuple of a rule's state: one class a rule, so that two trees of it are alike."""
    base = namedtuple(f"{rule.__name__}State", ("count", *rule.parts.states))  # type: ignore[misc]
    return type(
        base.__name__,
        (base,),
        {"__slots__": (), "__reduce__": _reduced, "__module__": __package__, "rule": rule},
    )


def _reduced(state: State) -> tuple[Any, ...]:
    return _restored, (type(state).rule, *state)


def _restored(rule: Kind, *values: Tree) -> State:
    return state_tuple(rule)(*values)
