"""Optax's door: any rule as an ``optax.GradientTransformation``.

    import thalweg.optax
    tx = thalweg.optax.transformation(tw.RMSprop.like("keras", learning_rate=1e-3))
    state = tx.init(params)
    updates, state = tx.update(grads, state)
    params = optax.apply_updates(params, updates)

The update is the rule's formula at w = 0, which needs no ``params``; only decoupled decay, and coupled decay
set here, read them. ``from_optax`` goes on where a state of Optax stands, ``to_optax`` goes back.
"""

from collections import namedtuple
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

try:
    import jax
    import jax.numpy as jnp
    import optax
except ImportError as error:
    raise ImportError(
        f"thalweg.optax needs JAX and Optax ({error}): pip install jax optax", name=error.name
    ) from None

from .convert import arguments, require
from .core import clock as scalars
from .core import update as compose
from .core.line import short
from .core.rule import Rule
from .core.schedule import Schedule
from .core.update import StepOptions, Update
from .engines import xla
from .errors import HyperparameterError, nearest
from .optimizer.options import OWN, Settings, started

Tree = Any  # a pytree: params, gradients, updates
Kind = Any  # a rule class: mypy does not see that classes can be hashed
State = Any  # a named tuple: count, then the rule's states by name, each a pytree as params


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
        return _kind(kind)(jnp.zeros((), jnp.int32), *(states(n) for n in kind.parts.states))

    def update(updates: Tree, state: State, params: Tree | None = None) -> tuple[Tree, State]:
        return plan.step(updates, state, params)

    return optax.GradientTransformation(init, update)


# States.


@cache
def _kind(rule: Kind) -> Any:
    """The named tuple of a rule's state: one class a rule, so that two trees of it are alike."""
    made = namedtuple(f"{rule.__name__}State", ("count", *rule.parts.states))  # type: ignore[misc]
    return type(
        made.__name__,
        (made,),
        {"__slots__": (), "__reduce__": _reduced, "__module__": __name__, "rule": rule},
    )


def _reduced(state: Any) -> tuple[Any, ...]:
    return _restored, (type(state).rule, *state)


def _restored(rule: Kind, *values: Any) -> Any:
    return _kind(rule)(*values)


# Updates.


class _Plan(NamedTuple):
    """A rule with what stands around it, and the values that are not its own."""

    rule: Rule
    values: Mapping[str, xla.Value]
    weight_decay: xla.Value
    update: Update

    def step(self, updates: Tree, state: State, params: Tree | None) -> tuple[Tree, State]:
        kind: Kind = type(self.rule)
        names = kind.parts.states
        shape: Any
        paths, shape = jax.tree.flatten_with_path(updates, is_leaf=_absent)
        if "w" in self.update.arrays and params is None:
            _demand_params()
        if not isinstance(state, _kind(kind)):
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
                clocks[wide] = xla.clock(
                    self.rule.clock_formula, self.update, self.values, self.weight_decay, state.count, wide
                )
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
    lines, together = rule.parts.lines, rule.parts.together
    wanted = {t: v for n, v in given.items() for t in together.get(n, (n,))}
    for n in wanted:
        if n not in lines:
            hint = nearest(n, [*lines, *together])
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
        group = started(rule, settings)
    except HyperparameterError as error:
        raise HyperparameterError(f"transformation: {str(error).removeprefix('on: ')}") from None
    around, own = group.settings, "weight_decay" in lines
    amount: xla.Value = weight_decay if drawn else around.weight_decay
    if own and drawn and around.decay == "decoupled":
        free["weight_decay"] = weight_decay
    elif own and "weight_decay" in free and around.decay == "coupled":
        amount, around = free.pop("weight_decay"), around._replace(weight_decay=1.0)
    stands = around.weight_decay > 0 and not (own and around.decay == "decoupled")
    parts = StepOptions(
        maximize=around.maximize,
        coupled=stands and around.decay == "coupled",
        decoupled=stands and around.decay == "decoupled",
    )
    if parts.decoupled and "lr" not in rule.parts.hyperparameters:
        raise HyperparameterError(
            f"transformation: decoupled decay shrinks w by lr * weight_decay; {type(rule).__name__} has no lr: use decay='coupled'"
        )
    made = compose.update(group.rule, parts, scalars.known(group.rule, free))
    values = {**group.rule.hyperparameters, **free}
    return _Plan(group.rule, values, amount if stands else 0.0, compose.added(made))


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


# Moving over.


class Row(NamedTuple):
    """A rule's twin: Optax's function, options that pick it, and where its states are kept.

    A state is a field of a named tuple of Optax, times ``sign``.
    """

    function: str
    options: Mapping[str, Any]
    states: Mapping[str, tuple[str, str, float]]


def _row(function: str, tuples: str, states: Mapping[str, str], **options: Any) -> Row:
    return Row(function, options, {n: (tuples, field, 1.0) for n, field in states.items()})


_MOMENTS = {"m": "mu", "v": "nu"}
_PUSHED = {"b": ("TraceState", "trace", -1.0)}
_PLAIN = _row("rmsprop", "ScaleByRmsState", {"v": "nu"})
_CENTRED = _row("rmsprop", "ScaleByRStdDevState", {"v": "nu", "a": "mu"}, centered=True)

ROWS: dict[str, Row] = {
    "SGD": Row("sgd", {}, {}),
    "Momentum": _row("sgd", "TraceState", {"m": "trace"}),
    "Nesterov": _row("sgd", "TraceState", {"m": "trace"}, nesterov=True),
    "Adagrad": _row("adagrad", "ScaleByRssState", {"s": "sum_of_squares"}),
    "RMSprop": _PLAIN,
    "RMSpropMomentumSutskever": _PLAIN._replace(states={**_PLAIN.states, **_PUSHED}),
    "RMSpropCentred": _CENTRED,
    "RMSpropCentredMomentumSutskever": _CENTRED._replace(states={**_CENTRED.states, **_PUSHED}),
    "Adadelta": _row("adadelta", "ScaleByAdaDeltaState", {"v": "e_g", "u": "e_x"}),
    "Adam": _row("adam", "ScaleByAdamState", _MOMENTS),
    "AdamW": _row("adamw", "ScaleByAdamState", _MOMENTS),
    "NAdam": _row("nadam", "ScaleByAdamState", _MOMENTS),
    "RAdam": _row("radam", "ScaleByAdamState", _MOMENTS),
    "Yogi": _row("yogi", "ScaleByAdamState", _MOMENTS),
    "Adamax": _row("adamax", "ScaleByAdamState", {"m": "mu", "u": "nu"}),
    "AMSGrad": _row("amsgrad", "ScaleByAmsgradState", {**_MOMENTS, "u": "nu_max"}),
    "AdaBelief": _row("adabelief", "ScaleByBeliefState", {"m": "mu", "s": "nu"}),
    "Lion": _row("lion", "ScaleByLionState", {"m": "mu"}),
}

_COUNTED = ("ScaleByScheduleState",)  # counts the steps where a state does not
_WITH_COUNT = "WithCountState"  # newer forms of RMSprop's states


def from_optax(opt_state: Any, rule: Rule, *, count: int | None = None) -> State:
    """The state of ``transformation(rule)`` that goes on where a state of Optax's own stands.

    opt_state: of optax.sgd, adagrad, rmsprop, adadelta, adam, adamw, adamax, nadam, radam, amsgrad,
    adabelief, yogi or lion, also inside chains and ``inject_hyperparams``; it is copied. rule: the same
    update with the same hyperparameters, which Optax does not keep in its state:
    ``tw.Adam.like("optax", learning_rate=1e-3, b1=0.9)``. count: the steps done, where Optax has kept no
    count and the rule needs one.

    Raises ValueError where the states are not in it, or the rule is not Optax's form (with the size of
    the difference).
    """
    row = _twin(rule, "from_optax")
    kind: Kind = type(rule)
    held = {t: _found(opt_state, t) for t in {t for t, _, _ in row.states.values()}}
    counts = [x.count for x in (*held.values(), *_named(opt_state)) if "count" in x._fields]
    if count is not None:
        if isinstance(count, int) and count < 0:
            raise ValueError(f"from_optax: count must be a number of steps, 0 or more, got {count}")
        done = jnp.asarray(count, jnp.int32)
    elif counts:
        done = jnp.array(counts[0], jnp.int32)
    elif scalars.scheduled(rule) or len(set(map(scalars.clock(rule), (1, 2, 1000)))) > 1:
        raise ValueError(f"from_optax: Optax has kept no count of steps, and {rule!r} needs one: pass count=")
    else:
        done = jnp.zeros((), jnp.int32)
    made = {}
    for n, (held_in, field, sign) in row.states.items():
        made[n] = jax.tree.map(lambda x, s=sign: _copied(x, s), getattr(held[held_in], field))
    for n in kind.parts.states:
        if n not in made:  # NAdam's product of momenta, which Optax takes as b1**count
            product = float(rule.at(0)["beta1"]) ** int(done)
            made[n] = jax.tree.map(lambda x, p=product: jnp.full_like(x, p), made["m"])
    return _kind(kind)(done, *(made[n] for n in kind.parts.states))


def to_optax(state: State, rule: Rule, params: Tree) -> tuple[optax.GradientTransformationExtraArgs, Any]:
    """Optax's own transformation that goes on from a state of ``transformation(rule)``, and its state.

    state: that of the transformation, or of a chain or ``inject_hyperparams`` around it. params: as they
    are now. Raises ValueError where Optax has no such update, and says how far it would be off.
    """
    row = _twin(rule, "to_optax")
    kind: Kind = type(rule)
    ours = _found(state, _kind(kind).__name__)
    given = {n: _spoken(v) for n, v in arguments(rule, "optax", "to_optax").items()}
    made: optax.GradientTransformationExtraArgs = getattr(optax, row.function)(**given, **row.options)
    fields: dict[str, dict[str, Any]] = {}
    for n, (held_in, field, sign) in row.states.items():
        fields.setdefault(held_in, {})[field] = (getattr(ours, n), sign)

    def filled(x: Any) -> Any:
        held_in = _base(x)
        if held_in not in fields and held_in not in _COUNTED:
            return x
        changes = {
            f: jax.tree.map(lambda old, new, s=sign: _copied(new, s).astype(old.dtype), getattr(x, f), new)
            for f, (new, sign) in fields.get(held_in, {}).items()
        }
        if "count" in x._fields:
            changes["count"] = jnp.array(ours.count, x.count.dtype)
        return x._replace(**changes)

    known = {*fields, *_COUNTED}
    return made, jax.tree.map(filled, made.init(params), is_leaf=lambda x: _base(x) in known)


def _twin(rule: Rule, where: str) -> Row:
    if not isinstance(rule, Rule):
        raise TypeError(f"{where}: rule must be a rule such as Adam.like('optax'), got {short(rule)}")
    require(rule, "optax", where)
    if type(rule).__name__ not in ROWS:
        raise ValueError(f"{where}: no function of Optax is known for {type(rule).__name__}")
    return ROWS[type(rule).__name__]


def _base(x: Any) -> str:
    name = type(x).__name__
    return name.removesuffix(_WITH_COUNT) + "State" if name.endswith(_WITH_COUNT) else name


def _named(tree: Any) -> Iterator[Any]:
    """Every named tuple in a state."""
    if hasattr(tree, "_fields"):
        yield tree
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple | list) else ()
    for child in children:
        yield from _named(child)


def _found(tree: Any, name: str) -> Any:
    """The one named tuple of that name in a state."""
    there = list(_named(tree))
    found = [x for x in there if _base(x) == name]
    if len(found) != 1:
        seen = ", ".join(dict.fromkeys(type(x).__name__ for x in there)) or "no named tuple"
        raise ValueError(f"opt_state: must hold one {name}, it has {len(found)}; there is {seen}")
    return found[0]


def _copied(x: Any, sign: float) -> jax.Array:
    made = jnp.array(x, dtype=xla.arithmetic(jnp.result_type(x)))
    return -made if sign < 0 else made


def _spoken(value: Any) -> Any:
    """A line's value as Optax takes it: a schedule as a function of the count."""
    if not isinstance(value, Schedule):
        return value
    schedule = value
    return lambda count: xla.scheduled(schedule, count, jnp.result_type(float))


__all__ = ["from_optax", "to_optax", "transformation"]
