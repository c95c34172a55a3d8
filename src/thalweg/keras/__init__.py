"""Keras's door: a run of a Keras optimizer moved over to ``rule.on``, and back.

    import thalweg.keras
    opt = thalweg.keras.from_keras(model.optimizer)     # a thalweg.Optimizer on NumPy copies of the variables
    opt.step(grads)
    model.optimizer = thalweg.keras.to_keras(opt, model.trainable_variables)

The rules' own Keras rows say which optimizer they are and what its states are called. Only the rounding
differs: Keras takes its bias corrections in the variables' dtype.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

try:
    import keras
except ImportError as error:
    raise ImportError(f"thalweg.keras needs Keras 3 ({error}): pip install keras", name=error.name) from None

from ..convert import arguments, require
from ..core.dialect import Row
from ..core.line import Scalar, short
from ..core.rule import Optimizer, Rule
from ..core.schedule import Schedule
from ..optimizer.optimizer import ArrayOptimizer
from ..rules import movable


def _heads() -> dict[str, type[Rule]]:
    """Each of Keras's optimizers and the rule that is the head of its family: the one with the fewest states."""
    heads: dict[str, type[Rule]] = {}
    for kind in sorted(movable("keras").values(), key=lambda kind: len(kind.parts.states)):
        heads.setdefault(_row(kind).optimizers[0], kind)
    return heads


def _row(kind: type[Rule]) -> Row:
    return kind.parts.dialects["keras"]


MOST = 2**31 - 1  # steps that Keras can count: its iterations are int32
_UNKNOWN = ("clipnorm", "use_ema", "loss_scale_factor", "gradient_accumulation_steps")


def from_keras(optimizer: keras.Optimizer, **changes: Scalar) -> Optimizer:
    """Go on where a Keras optimizer stands: a started Optimizer on NumPy copies, a list in its variables' order.

    optimizer: SGD, Adagrad, RMSprop, Adadelta, Adam, AdamW, Adamax, Nadam or Lion of Keras 3, built.
    Decoupled weight decay, variables left out of it, ``clipvalue`` and ``global_clipnorm`` come along.
    changes: lines of the rule to set otherwise; a learning-rate schedule of Keras's has to be given so,
    ``lr=tw.cosine(...)``.

    Raises TypeError for another optimizer, ValueError for an option that no rule has, and for one that is
    not built yet.
    """
    title = type(optimizer).__name__
    heads = _heads()
    if title not in heads or not isinstance(optimizer, getattr(keras.optimizers, title)):
        known = ", ".join(heads)
        raise TypeError(f"from_keras: must be one of keras.optimizers' {known}; got {short(optimizer)}")
    if not optimizer.built:
        raise ValueError(f"from_keras: {title} is not built: call optimizer.build(model.trainable_variables)")
    for n in _UNKNOWN:
        if getattr(optimizer, n, None):
            raise ValueError(f"from_keras: {n}={getattr(optimizer, n)!r} has no counterpart here")
    variables = list(optimizer._trainable_variables)
    for v in variables:
        if v.constraint is not None:
            raise ValueError(f"from_keras: the constraint of {v.path} has no counterpart here")
    rule = _rule(optimizer, heads[title], changes)
    row = _row(type(rule))
    decay, own = optimizer.weight_decay, "weight_decay" in rule.hyperparameters
    groups = {
        str(k): {"weight_decay": 0.0}
        for k, v in enumerate(variables)
        if decay and not optimizer._use_weight_decay(v)
    }
    opt = rule.on(
        [_read(v) for v in variables],
        decay="own" if own or not decay else "decoupled",
        weight_decay="own" if own or not decay else decay,
        clip_value=optimizer.clipvalue,
        clip_norm=optimizer.global_clipnorm,
        groups=groups,
        on_nonfinite="propagate",
    )
    states = opt.state
    for n, attribute in row.states.items():
        held = getattr(optimizer, attribute)
        for k, ours in enumerate(states[n]):
            np.copyto(ours, _read(held[k] if isinstance(held, list) else held))
    opt.count(int(_read(optimizer.iterations)))
    return opt


def _rule(optimizer: keras.Optimizer, head: type[Rule], changes: Mapping[str, Scalar]) -> Rule:
    row = _row(head)
    switches = row.switches
    if getattr(optimizer, "amsgrad", False) and "amsgrad" not in switches:
        raise ValueError(f"from_keras: no rule for {row.optimizers[0]} with amsgrad=True")
    given = {n: getattr(optimizer, n) for n in row.names if n != "learning_rate"}
    given |= {n: getattr(optimizer, n) for n in switches if getattr(optimizer, n)}
    if isinstance(optimizer._learning_rate, keras.Variable):
        given["learning_rate"] = float(_read(optimizer._learning_rate))
    elif "lr" not in changes:
        raise ValueError(
            f"from_keras: learning_rate follows {short(optimizer._learning_rate)}:"
            " give it as one of ours, from_keras(optimizer, lr=tw.cosine(...))"
        )
    if "weight_decay" in given:
        given["weight_decay"] = given["weight_decay"] or 0.0
    made = head.like("keras", **given)
    return made.replace(**changes) if changes else made


def to_keras(
    optimizer: Optimizer, variables: Sequence[keras.Variable], **arguments_: object
) -> keras.Optimizer:
    """The Keras optimizer that goes on from here, built on ``variables``, which take over the weights.

    optimizer: on a list of arrays, as ``from_keras`` gives it, or on one array. variables: the Keras
    variables, in that order. arguments_: of the Keras optimizer, to set otherwise (``learning_rate=`` its own
    schedule).

    Raises ValueError where Keras has no such update, and says how far it would be off; then no variable
    has moved.
    """
    if not isinstance(optimizer, ArrayOptimizer):
        raise TypeError(f"to_keras: optimizer must be what rule.on(...) gives, got {short(optimizer)}")
    rule, settings = optimizer.rule, optimizer.settings
    require(rule, "keras", "to_keras")
    row = _row(type(rule))
    if not row.optimizers:
        raise ValueError(f"to_keras: no optimizer of Keras is known for {type(rule).__name__}")
    weights = optimizer.params if isinstance(optimizer.params, list | tuple) else [optimizer.params]
    variables = list(variables)
    shapes, theirs = [np.shape(w) for w in weights], [tuple(v.shape) for v in variables]
    if shapes != theirs:
        raise ValueError(f"to_keras: variables must have the shapes {shapes}, got {theirs}")
    for n, plain in (("average", None), ("accumulate", 1), ("maximize", False), ("l1_decay", 0.0)):
        if getattr(settings, n) != plain:
            raise ValueError(f"to_keras: {n}={getattr(settings, n)!r} has no counterpart in Keras")
    if not isinstance(optimizer.t, int):
        raise ValueError("to_keras: Keras counts the steps of all variables together, here they differ")
    if optimizer.t > MOST:
        raise ValueError(f"to_keras: {optimizer.t} steps: Keras counts in int32, which stops at {MOST}")
    given: dict[str, Any] = {**arguments(rule, "keras", "to_keras"), **row.options, **arguments_}
    for n, value in given.items():
        if isinstance(value, Schedule):
            raise ValueError(
                f"to_keras: {n} follows {value!r}: hand over Keras's own, to_keras(..., {n}=...)"
            )
    if settings.weight_decay:
        if settings.decay != "decoupled":
            raise ValueError(f"to_keras: Keras has no {settings.decay} weight decay")
        given["weight_decay"] = settings.weight_decay
    given |= {"clipvalue": settings.clip_value, "global_clipnorm": settings.clip_norm}
    spared = _spared(optimizer)
    made = getattr(keras.optimizers, row.optimizers[0])(**given)
    if spared:
        made.exclude_from_weight_decay(var_list=[variables[k] for k in spared])
    made.build(variables)
    states = optimizer.state
    for n, attribute in row.states.items():
        held, ours = (
            getattr(made, attribute),
            states[n] if isinstance(states[n], list | tuple) else [states[n]],
        )
        if isinstance(held, list):
            for variable, value in zip(held, ours, strict=True):
                _write(variable, value)
        elif ours:
            held.assign(ours[0].flat[0])  # the same number for all coordinates
    for variable, value in zip(variables, weights, strict=True):
        _write(variable, value)
    made.iterations.assign(optimizer.t)
    return made


def _spared(optimizer: ArrayOptimizer) -> list[int]:
    """The parameters left out of weight decay; ValueError where groups differ in more than that."""
    first, *others = optimizer._groups
    spared = []
    for k, leaf in enumerate(optimizer._leaves):
        if leaf.group == 0:
            continue
        group = others[leaf.group - 1]
        lines = {"weight_decay": 0.0} if "weight_decay" in first.rule.hyperparameters else {}
        if group.rule != first.rule.replace(**lines) or group.settings != first.settings._replace(
            weight_decay=0.0
        ):
            raise ValueError(
                "to_keras: groups that differ in more than weight_decay=0 have no counterpart in Keras"
            )
        spared.append(k)
    return spared


def _read(variable: keras.Variable) -> np.ndarray[Any, Any]:
    """A variable's value: a copy."""
    return np.array(keras.ops.convert_to_numpy(variable))


def _write(variable: keras.Variable, value: np.ndarray[Any, Any]) -> None:
    """Give a variable a value: of a copy, since JAX and torch may go on using the memory that they are given."""
    variable.assign(np.array(value))


__all__ = ["from_keras", "to_keras"]
