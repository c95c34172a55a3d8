"""Runs moved over from Optax's own transformations to ours, and back."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ..convert import arguments, require
from ..core import clock as scalars
from ..core.dialect import Row
from ..core.line import short
from ..core.rule import Rule
from ..core.schedule import Schedule
from ..engines import xla
from .state import GAIN, Kind, State, Tree, named_tuples, state_tuple


class Place(NamedTuple):
    """Where Optax keeps a state: a field of a named tuple, times ``sign``."""

    tuple: str
    field: str
    sign: float


def places(row: Row) -> dict[str, Place]:
    """The places of a row's states: "-TraceState.trace" is the field ``trace``, of the other sign."""
    where = {}
    for state, text in row.states.items():
        title, _, field = text.removeprefix("-").partition(".")
        where[state] = Place(title, field, -1.0 if text.startswith("-") else 1.0)
    return where


MOST = 2**31 - 1  # steps that int32 can count
_COUNTED = ("ScaleByScheduleState",)  # counts the steps where a state does not
_WITH_COUNT = "WithCountState"  # newer forms of RMSprop's states


def from_optax(opt_state: Tree, rule: Rule, *, count: int | None = None) -> State:
    """The state of ``transformation(rule)`` that goes on where a state of Optax's own stands.

    opt_state: of optax.sgd, adagrad, rmsprop, adadelta, adam, adamw, adamax, nadam, radam, amsgrad,
    adabelief, yogi or lion, also inside chains and ``inject_hyperparams``; it is copied. rule: the same
    update with the same hyperparameters, which Optax does not keep in its state:
    ``tw.Adam.like("optax", learning_rate=1e-3, b1=0.9)``. count: the steps done, where Optax has kept no
    count and the rule needs one.

    Raises ValueError where the states are not in it, or the rule is not Optax's form (with the size of
    the difference).
    """
    at = places(_row(rule, "from_optax"))
    kind: Kind = type(rule)
    tuples = {title: found(opt_state, title) for title in {p.tuple for p in at.values()}}
    kept = counted(opt_state, tuples.values())
    if count is not None:
        if isinstance(count, int) and not 0 <= count <= MOST:
            raise ValueError(
                f"from_optax: count must be a number of steps from 0 to {MOST}, where Optax's counts stop; got {count}"
            )
        done = jnp.asarray(count, jnp.int32)
    elif kept is not None:
        done = jnp.array(kept, jnp.int32)
    elif scalars.scheduled(rule) or len(set(map(scalars.clock(rule), (1, 2, 1000)))) > 1:
        raise ValueError(f"from_optax: Optax has kept no count of steps, and {rule!r} needs one: pass count=")
    else:
        done = jnp.zeros((), jnp.int32)
    states = {}
    for n, place in at.items():
        field = getattr(tuples[place.tuple], place.field)
        states[n] = jax.tree.map(lambda x, s=place.sign: _copied(x, s), field)
    for n in kind.parts.states:
        if n not in states:  # NAdam's product of momenta, which Optax takes as b1**count
            product = float(rule.at(0)["beta1"]) ** int(done)
            states[n] = jax.tree.map(lambda x, p=product: jnp.full_like(x, p), states["m"])
    return state_tuple(kind)(done, *(states[n] for n in kind.parts.states))


def to_optax(state: State, rule: Rule, params: Tree) -> tuple[optax.GradientTransformationExtraArgs, State]:
    """Optax's own transformation that goes on from a state of ``transformation(rule)``, and its state.

    state: that of the transformation, or of a chain or ``inject_hyperparams`` around it. params: as they
    are now. Raises ValueError where Optax has no such update, and says how far it would be off.
    """
    row = _row(rule, "to_optax")
    kind: Kind = type(rule)
    ours = found(state, state_tuple(kind).__name__)
    if GAIN in ours._fields:
        raise ValueError("to_optax: Optax has no penalty in a rule's own metric (decay='proximal')")
    theirs = {n: _spoken(v) for n, v in arguments(rule, "optax", "to_optax").items()}
    transformation: optax.GradientTransformationExtraArgs = getattr(optax, row.optimizers[0])(
        **theirs, **row.options
    )
    fields: dict[str, dict[str, Any]] = {}
    for n, place in places(row).items():
        fields.setdefault(place.tuple, {})[place.field] = (getattr(ours, n), place.sign)

    def filled(x: Tree) -> Tree:
        title = _base(x)
        if title not in fields and title not in _COUNTED:
            return x
        changes = {
            f: jax.tree.map(lambda old, new, s=sign: _copied(new, s).astype(old.dtype), getattr(x, f), new)
            for f, (new, sign) in fields.get(title, {}).items()
        }
        if "count" in x._fields:
            changes["count"] = jnp.array(ours.count, x.count.dtype)
        return x._replace(**changes)

    known = {*fields, *_COUNTED}
    return transformation, jax.tree.map(
        filled, transformation.init(params), is_leaf=lambda x: _base(x) in known
    )


def _row(rule: Rule, where: str) -> Row:
    if not isinstance(rule, Rule):
        raise TypeError(f"{where}: rule must be a rule such as Adam.like('optax'), got {short(rule)}")
    require(rule, "optax", where)
    row = type(rule).parts.dialects["optax"]
    if not row.optimizers:
        raise ValueError(f"{where}: no function of Optax is known for {type(rule).__name__}")
    return row


def _base(x: object) -> str:
    name = type(x).__name__
    return name.removesuffix(_WITH_COUNT) + "State" if name.endswith(_WITH_COUNT) else name


def counted(opt_state: Tree, tuples: Iterable[Tree]) -> Any:
    """Return the count of steps that a state of Optax keeps, in these of its named tuples first; None without one."""
    return next((x.count for x in (*tuples, *named_tuples(opt_state)) if "count" in x._fields), None)


def found(tree: Tree, name: str) -> Tree:
    """The one named tuple of that name in a state."""
    there = list(named_tuples(tree))
    matching = [x for x in there if _base(x) == name]
    if len(matching) != 1:
        seen = ", ".join(dict.fromkeys(type(x).__name__ for x in there)) or "no named tuple"
        raise ValueError(f"opt_state: must hold one {name}, it has {len(matching)}; there is {seen}")
    return matching[0]


def _copied(x: ArrayLike, sign: float) -> jax.Array:
    copy = jnp.array(x, dtype=xla.arithmetic(jnp.result_type(x)))
    return -copy if sign < 0 else copy


def _spoken(value: object) -> object:
    """A line's value as Optax takes it: a schedule as a function of the count."""
    if not isinstance(value, Schedule):
        return value
    schedule = value
    return lambda count: xla.scheduled(schedule, count, jnp.result_type(float))


__all__ = ["from_optax", "to_optax"]
