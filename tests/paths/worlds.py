"""The real torch, Keras and Optax: their runs, recorded state by state, for every row that bears their name.

Each world takes a start (n,), gradients (T, n), its own constructor arguments and what every world has
(``Common``: a learning rate for each step, weight decay), and gives a ``Trace``: w (T + 1, n), and each
state under our rule's name for it. Libraries are imported when first asked for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from thalweg.lab.diff.probe_gradients import kinds
from thalweg.lab.diff.probe_gradients import starts as begun

from .real_torch import OPTIMIZERS

Array = np.ndarray[Any, Any]
STEPS = 300


class Common(NamedTuple):
    """What every world has in its own way: the rate of each step, weight decay (torch's and Optax's coupled,
    Keras's decoupled)."""

    lr: list[float]
    weight_decay: float = 0.0


class Trace(NamedTuple):
    """A library's run: index 0 is the start."""

    w: Array
    states: dict[str, Array]


@cache
def gradients(dtype: str) -> dict[str, Array]:
    """Six of the lab's kinds of T gradients, for sixteen coordinates each."""
    made = kinds(STEPS)
    chosen = ("smooth", "zeros", "flips", "tiny", "huge", "mixed")
    return {n: np.ascontiguousarray(made[n], dtype=dtype) for n in chosen}


def streams(dtype: str) -> Array:
    """All kinds side by side: (T, n)."""
    return np.concatenate(list(gradients(dtype).values()), axis=1)


def starts(dtype: str) -> Array:
    """1.5, 0, -0.3, ...: from 0 a path is nothing but updates."""
    return begun(streams(dtype).shape[1]).astype(dtype)


# torch


TORCH_STATES = {
    "Momentum": {"m": "momentum_buffer"},
    "Nesterov": {"m": "momentum_buffer"},
    "ASGD": {"a": "ax", "eta": "eta"},
    "Adagrad": {"s": "sum"},
    "RMSprop": {"v": "square_avg"},
    "RMSpropMomentum": {"v": "square_avg", "b": "momentum_buffer"},
    "RMSpropCentred": {"v": "square_avg", "a": "grad_avg"},
    "RMSpropCentredMomentum": {"v": "square_avg", "a": "grad_avg", "b": "momentum_buffer"},
    "Adadelta": {"v": "square_avg", "u": "acc_delta"},
    "Adam": {"m": "exp_avg", "v": "exp_avg_sq"},
    "AdamW": {"m": "exp_avg", "v": "exp_avg_sq"},
    "AMSGrad": {"m": "exp_avg", "v": "exp_avg_sq", "u": "max_exp_avg_sq"},
    "NAdam": {"m": "exp_avg", "v": "exp_avg_sq", "p": "mu_product"},
    "RAdam": {"m": "exp_avg", "v": "exp_avg_sq"},
    "Rprop": {"s": "step_size", "p": "prev"},
    "Adamax": {"m": "exp_avg", "u": "exp_inf"},
    "MaxProp": {"v": "exp_inf"},
}


@contextmanager
def _torch_default(dtype: str) -> Iterator[None]:
    """torch keeps NAdam's product of momenta, and ASGD's rate, in its default dtype."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def torch(rule: str, w: Array, g: Array, arguments: Mapping[str, Any], common: Common) -> Trace:
    """torch.optim's loop over tensors, as torch runs it on CPUs."""
    import torch

    made = dict(arguments)
    if rule == "MaxProp":
        made["betas"] = (0.0, made.pop("beta", 0.999))
    coupled = common.weight_decay if rule == "Rprop" else 0.0  # torch's has no such argument: added by hand
    if common.weight_decay and not coupled:
        made["weight_decay"] = common.weight_decay
    with _torch_default(w.dtype.name):
        parameter = torch.from_numpy(w.copy()).requires_grad_()
        optimizer = OPTIMIZERS[rule]([parameter], lr=common.lr[0], foreach=False, **made)
        path, states = [w.copy()], {n: [np.nan * w] for n in TORCH_STATES.get(rule, {})}
        for lr, gradient in zip(common.lr, g, strict=True):
            optimizer.param_groups[0]["lr"] = lr
            parameter.grad = torch.from_numpy(gradient.copy())
            if coupled:
                parameter.grad += coupled * parameter.detach()
            optimizer.step()
            path.append(parameter.detach().numpy().copy())
            kept = optimizer.state[parameter]
            for n, theirs in TORCH_STATES.get(rule, {}).items():
                states[n].append(np.broadcast_to(kept[theirs].numpy(), w.shape).copy())
    return Trace(np.stack(path), {n: np.stack(x) for n, x in states.items()})


# Keras


KERAS = {
    "SGD": ("SGD", {}),
    "MomentumSutskever": ("SGD", {"v": "momentums"}),
    "NesterovSutskever": ("SGD", {"v": "momentums"}),
    "Adagrad": ("Adagrad", {"s": "_accumulators"}),
    "RMSprop": ("RMSprop", {"v": "_velocities"}),
    "RMSpropMomentumSutskever": ("RMSprop", {"v": "_velocities", "b": "_momentums"}),
    "RMSpropCentred": ("RMSprop", {"v": "_velocities", "a": "_average_gradients"}),
    "RMSpropCentredMomentumSutskever": (
        "RMSprop",
        {"v": "_velocities", "a": "_average_gradients", "b": "_momentums"},
    ),
    "Adadelta": ("Adadelta", {"v": "_accumulated_grads", "u": "_accumulated_delta_vars"}),
    "Adam": ("Adam", {"m": "_momentums", "v": "_velocities"}),
    "AdamW": ("AdamW", {"m": "_momentums", "v": "_velocities"}),
    "AMSGrad": ("Adam", {"m": "_momentums", "v": "_velocities", "u": "_velocity_hats"}),
    "NAdam": ("Nadam", {"m": "_momentums", "v": "_velocities", "p": "_u_product"}),
    "Adamax": ("Adamax", {"m": "_m", "u": "_u"}),
    "Lion": ("Lion", {"m": "_momentums"}),
}


@cache
def _keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp(prefix="keras-"))
    import keras

    return keras


def keras(rule: str, w: Array, g: Array, arguments: Mapping[str, Any], common: Common) -> Trace:
    """Keras 3's optimizer, eager, on the backend of KERAS_BACKEND (torch by default).

    Its learning rate is a variable of keras.config.floatx, so that is set to w's dtype.
    """
    keras = _keras()
    kind, names = KERAS[rule]

    class Table(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return keras.ops.convert_to_tensor(common.lr[int(step)], dtype=w.dtype.name)

    made = dict(arguments)
    if common.weight_decay:
        made["weight_decay"] = common.weight_decay
    before = keras.config.floatx()
    keras.config.set_floatx(w.dtype.name)
    try:
        with _wide(w.dtype.name):
            variable = keras.Variable(w, dtype=w.dtype.name)
            optimizer = getattr(keras.optimizers, kind)(learning_rate=Table(), **made)
            optimizer.build([variable])

            def seen(of: Any) -> Array:
                value = of.value.detach() if hasattr(of.value, "detach") else of.value
                return np.broadcast_to(np.asarray(value), w.shape).copy()

            def kept(name: str) -> Array:
                found = getattr(optimizer, name)
                return seen(found[0] if isinstance(found, list) else found)

            path, states = [w.copy()], {n: [kept(theirs)] for n, theirs in names.items()}
            for gradient in g:
                optimizer.apply([keras.ops.convert_to_tensor(gradient, dtype=w.dtype.name)], [variable])
                path.append(seen(variable))
                for n, theirs in names.items():
                    states[n].append(kept(theirs))
    finally:
        keras.config.set_floatx(before)
    return Trace(np.stack(path), {n: np.stack(x) for n, x in states.items()})


@contextmanager
def _wide(dtype: str) -> Iterator[None]:
    """JAX knows float64 only where it is asked for; float32 must not see it, or its scalars are wider."""
    if dtype != "float64" or (os.environ.get("KERAS_BACKEND") == "torch"):
        yield
        return
    import jax

    with jax.enable_x64(True):
        yield


# Optax


def _part(name: str, sign: float = 1.0) -> Callable[[Any], Any]:
    def get(state: Any) -> Any:
        import optax

        return sign * optax.tree.get(state, name)

    return get


_MOMENTS = {"m": _part("mu"), "v": _part("nu")}
OPTAX: dict[str, tuple[str, dict[str, Any], dict[str, Callable[[Any], Any]]]] = {
    "SGD": ("sgd", {}, {}),
    "Momentum": ("sgd", {}, {"m": _part("trace")}),
    "Nesterov": ("sgd", {"nesterov": True}, {"m": _part("trace")}),
    "Adagrad": ("adagrad", {}, {"s": _part("sum_of_squares")}),
    "RMSprop": ("rmsprop", {}, {"v": _part("nu")}),
    "RMSpropMomentumSutskever": ("rmsprop", {}, {"v": _part("nu"), "b": _part("trace", -1.0)}),
    "RMSpropCentred": ("rmsprop", {"centered": True}, {"v": _part("nu"), "a": _part("mu")}),
    "RMSpropCentredMomentumSutskever": (
        "rmsprop",
        {"centered": True},
        {"v": _part("nu"), "a": _part("mu"), "b": _part("trace", -1.0)},
    ),
    "Adadelta": ("adadelta", {}, {"v": _part("e_g"), "u": _part("e_x")}),
    "Adam": ("adam", {}, _MOMENTS),
    "AdamW": ("adamw", {}, _MOMENTS),
    "AMSGrad": ("amsgrad", {}, {**_MOMENTS, "u": _part("nu_max")}),
    "NAdam": ("nadam", {}, _MOMENTS),
    "RAdam": ("radam", {}, _MOMENTS),
    "Adamax": ("adamax", {}, {"m": _part("mu"), "u": _part("nu")}),
    "AdaBelief": ("adabelief", {}, {"m": _part("mu"), "s": _part("nu")}),
    "Yogi": ("yogi", {}, _MOMENTS),
    "Lion": ("lion", {}, {"m": _part("mu")}),
}


def optax(
    rule: str, w: Array, g: Array, arguments: Mapping[str, Any], common: Common, eager: bool = False
) -> Trace:
    """Optax under jit (all steps in one compiled scan), or eager."""
    import jax
    import jax.numpy as jnp
    import optax

    kind, fixed, names = OPTAX[rule]
    with _wide_jax(w.dtype.name):
        table = jnp.asarray(np.array(common.lr, dtype=w.dtype))
        made: Any = getattr(optax, kind)(learning_rate=lambda count: table[count], **fixed, **arguments)
        if common.weight_decay:
            made = optax.chain(optax.add_decayed_weights(common.weight_decay), made)

        def seen(state: Any) -> dict[str, Any]:
            return {n: get(state) for n, get in names.items()}

        def step(carry: Any, gradient: Any) -> Any:
            params, state = carry
            updates, state = made.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), (params, seen(state))

        def run(params: Any, all_gradients: Any) -> Any:
            state = made.init(params)
            return seen(state), jax.lax.scan(step, (params, state), all_gradients)[1]

        start = jnp.asarray(w)
        if eager:
            first, carry, rows = seen(made.init(start)), (start, made.init(start)), []
            for gradient in g:
                carry, row = step(carry, jnp.asarray(gradient))
                rows.append(row)
            path = np.stack([np.asarray(p) for p, _ in rows])
            after = {n: np.stack([np.asarray(s[n]) for _, s in rows]) for n in names}
        else:
            first, (path, after) = jax.jit(run)(start, jnp.asarray(g))
        states = {n: np.concatenate([np.asarray(first[n])[None], np.asarray(after[n])]) for n in names}
        return Trace(np.concatenate([w[None], np.asarray(path)]), states)


@contextmanager
def _wide_jax(dtype: str) -> Iterator[None]:
    import jax

    with jax.enable_x64(dtype == "float64"):
        yield


WORLDS: dict[str, Callable[..., Trace]] = {"torch": torch, "keras": keras, "optax": optax}
