"""Independent references: every rule in every dialect as one plain scalar step in float64.

Each function is one step, which ``reference`` lifts to a path: it takes ``w``, the gradient ``g`` of one
coordinate, ``t`` (1 at the first step) or ``done`` (0 there) where its world counts, the states with their
start values, and the arguments of its world under the world's own names and defaults; it returns the new
w and states. A state whose start is an argument names that argument in ``starts``.
For notes, slides, paper and zeiler the names are the letters of the text (eta, alpha, rho), or lr where
only the list of sources writes the formula. What the world requires, or what selects the family
member (``momentum``), is a required keyword.
Written from the named sources alone, by hand, without a look at the library; the order of
operations is the source's. Arrays, clipping, weight decay and precision are left out on purpose.

The comment above each function names its source. Abbreviations: D = docs/updates.md, S =
docs/sources.md, notes / darve / slides = the texts named there; "kernel X" = struct X of
TensorFlow's training_ops.cc.
"""

# The arguments carry their world's names (stepSize), so:

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

Path = list[float]
Step = tuple[float, ...]  # w, then the states


@dataclass(frozen=True)
class Reference:
    """One row: the step, argument sets to test, the world's flags that select this rule."""

    step: Callable[..., Step]
    arguments: list[dict[str, Any]]
    starts: Mapping[str, str]  # states that start at an argument's value
    note: str = ""
    selects: dict[str, Any] = field(default_factory=dict)

    @property
    def required(self) -> list[str]:
        """The arguments without a default."""
        return [name for name, p in self._keywords().items() if p.default is p.empty]

    @property
    def defaults(self) -> dict[str, Any]:
        """The arguments that have a default, with it."""
        return {name: p.default for name, p in self._keywords().items() if p.default is not p.empty}

    @property
    def cases(self) -> list[dict[str, Any]]:
        """All argument sets to test: none at all where nothing is required, then the examples."""
        return ([] if self.required else [{}]) + self.arguments

    def __call__(self, w: float, gradients: Sequence[float], **arguments: Any) -> Path:
        """w after every step."""
        counts, *states = self._positional()
        values = self.defaults | arguments
        now = [values[self.starts[p.name]] if p.name in self.starts else p.default for p in states]
        path = []
        for done, g in enumerate(gradients):
            count = {"t": (done + 1,), "done": (done,)}.get(counts, ())
            w, *now = self.step(w, g, *count, *now, **arguments)
            path.append(w)
        return path

    def _positional(self) -> tuple[str, *tuple[inspect.Parameter, ...]]:
        """What the step counts by, if anything, then its states."""
        parameters = [
            p for p in inspect.signature(self.step).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        states = [p for p in parameters[2:] if p.name not in ("t", "done")]
        return next((p.name for p in parameters if p.name in ("t", "done")), ""), *states

    def _keywords(self) -> dict[str, inspect.Parameter]:
        parameters = inspect.signature(self.step).parameters
        return {n: p for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


REFERENCES: dict[tuple[str, str], Reference] = {}


def reference(
    rule: str,
    dialect: str,
    *arguments: dict[str, Any],
    note: str = "",
    selects: dict[str, Any] | None = None,
    starts: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Step]], Callable[..., Step]]:
    """Enter the step below under (rule, dialect), with argument sets to test."""

    def enter(step: Callable[..., Step]) -> Callable[..., Step]:
        key = (rule, dialect)
        assert key not in REFERENCES, key
        REFERENCES[key] = Reference(step, list(arguments), starts or {}, note, selects or {})
        return step

    return enter


# --------------------------------------------------------------------------------------------------
# SGD
# --------------------------------------------------------------------------------------------------


# torch/optim/sgd.py, momentum = 0; D 1.1
@reference("SGD", "torch", {"lr": 0.1})
def sgd_torch(w: float, g: float, *, lr: float = 1e-3) -> Step:
    w = w - lr * g
    return (w,)


# keras/src/optimizers/sgd.py, momentum = 0; D 1.1
@reference("SGD", "keras", {"learning_rate": 0.1})
def sgd_keras(w: float, g: float, *, learning_rate: float = 0.01) -> Step:
    w = w - g * learning_rate
    return (w,)


# optax alias.py sgd, momentum=None; D 1.1
@reference("SGD", "optax", {"learning_rate": 0.1})
def sgd_optax(w: float, g: float, *, learning_rate: float) -> Step:
    w = w + -learning_rate * g
    return (w,)


# tensorflow/python/training/gradient_descent.py; kernel ApplyGradientDescent; D 1.1
@reference("SGD", "tf1", {"learning_rate": 0.1})
def sgd_tf1(w: float, g: float, *, learning_rate: float) -> Step:
    w = w - g * learning_rate
    return (w,)


# ensmallen sgd/update_policies/vanilla_update.hpp, batch of one; D 1.1
@reference("SGD", "ensmallen", {"stepSize": 0.1}, note="stepSize is divided by the batch size")
def sgd_ensmallen(w: float, g: float, *, stepSize: float = 0.01) -> Step:
    w = w - stepSize * g
    return (w,)


# tf_keras legacy gradient_descent.py; optimizer_v2.py _decayed_lr (iterations count from 0); D 1.1
@reference("SGD", "tf.keras-legacy", {"learning_rate": 0.1}, {"learning_rate": 0.1, "decay": 0.2})
def sgd_tf_keras_legacy(
    w: float, g: float, done: int, *, learning_rate: float = 0.01, decay: float = 0.0
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    w = w - g * lr
    return (w,)


# S, gradient descent ("all"); the notes print no step for it: S's name, no default
@reference("SGD", "notes", {"lr": 0.1})
def sgd_notes(w: float, g: float, *, lr: float) -> Step:
    w = w - lr * g
    return (w,)


# --------------------------------------------------------------------------------------------------
# Momentum: the buffer gathers gradients, the rate stands outside
# --------------------------------------------------------------------------------------------------


# torch/optim/sgd.py: the buffer starts as the raw gradient, so dampening is skipped at t = 1; D 1.1
@reference(
    "Momentum",
    "torch",
    {"momentum": 0.9},
    {"lr": 0.1, "momentum": 0.5, "dampening": 0.25},
    {"lr": 0.05, "momentum": 0.9, "dampening": 0.9},
)
def momentum_torch(
    w: float, g: float, t: int, buf: float = 0.0, *, momentum: float, lr: float = 1e-3, dampening: float = 0.0
) -> Step:
    buf = g if t == 1 else momentum * buf + (1.0 - dampening) * g
    w = w - lr * buf
    return w, buf


# optax alias.py sgd(momentum=...), transforms/_accumulation.py trace; D 1.1
@reference("Momentum", "optax", {"learning_rate": 0.1, "momentum": 0.9})
def momentum_optax(w: float, g: float, trace: float = 0.0, *, learning_rate: float, momentum: float) -> Step:
    trace = g + momentum * trace
    w = w + -learning_rate * trace
    return w, trace


# tensorflow/python/training/momentum.py; kernel ApplyMomentum; D 1.1
@reference("Momentum", "tf1", {"learning_rate": 0.1, "momentum": 0.9})
def momentum_tf1(w: float, g: float, accum: float = 0.0, *, learning_rate: float, momentum: float) -> Step:
    accum = accum * momentum + g
    w = w - accum * learning_rate
    return w, accum


# slides, Recap 2 Momentum (the printed + mended to -, as S says); no eta given: S, torch's 1e-3
@reference("Momentum", "slides", {"eta": 0.1}, {"eta": 0.1, "beta": 0.5})
def momentum_slides(w: float, g: float, v: float = 0.0, *, eta: float = 1e-3, beta: float = 0.9) -> Step:
    v = beta * v + (1.0 - beta) * g
    w = w - eta * v
    return w, v


# --------------------------------------------------------------------------------------------------
# MomentumSutskever: the buffer is a velocity, the rate stands inside
# --------------------------------------------------------------------------------------------------


# keras/src/optimizers/sgd.py, momentum > 0; D 1.1
@reference("MomentumSutskever", "keras", {"momentum": 0.9}, {"learning_rate": 0.1, "momentum": 0.5})
def momentum_sutskever_keras(
    w: float, g: float, m: float = 0.0, *, momentum: float, learning_rate: float = 0.01
) -> Step:
    m = m * momentum - g * learning_rate
    w = w + m
    return w, m


# tf_keras legacy gradient_descent.py, momentum > 0; kernel ApplyKerasMomentum; D 1.1
@reference(
    "MomentumSutskever",
    "tf.keras-legacy",
    {"momentum": 0.9},
    {"learning_rate": 0.1, "momentum": 0.5},
    {"learning_rate": 0.1, "momentum": 0.9, "decay": 0.2},
)
def momentum_sutskever_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    accum: float = 0.0,
    *,
    momentum: float,
    learning_rate: float = 0.01,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    accum = accum * momentum - g * lr
    w = w + accum
    return w, accum


# ensmallen sgd/update_policies/momentum_update.hpp; D 1.1
@reference("MomentumSutskever", "ensmallen", {"stepSize": 0.1, "momentum": 0.9})
def momentum_sutskever_ensmallen(
    w: float, g: float, velocity: float = 0.0, *, stepSize: float = 0.01, momentum: float = 0.5
) -> Step:
    velocity = momentum * velocity - stepSize * g
    w = w + velocity
    return w, velocity


# --------------------------------------------------------------------------------------------------
# Nesterov: rate outside
# --------------------------------------------------------------------------------------------------


# torch/optim/sgd.py, nesterov=True (which demands momentum > 0 and dampening = 0); D 1.1
@reference(
    "Nesterov",
    "torch",
    {"momentum": 0.9},
    {"lr": 0.1, "momentum": 0.5},
    selects={"nesterov": True},
)
def nesterov_torch(
    w: float, g: float, t: int, buf: float = 0.0, *, momentum: float, lr: float = 1e-3
) -> Step:
    buf = g if t == 1 else momentum * buf + g
    w = w - lr * (g + momentum * buf)
    return w, buf


# optax alias.py sgd(nesterov=True), transforms/_accumulation.py trace; D 1.1
@reference("Nesterov", "optax", {"learning_rate": 0.1, "momentum": 0.9}, selects={"nesterov": True})
def nesterov_optax(w: float, g: float, trace: float = 0.0, *, learning_rate: float, momentum: float) -> Step:
    trace = g + momentum * trace
    w = w + -learning_rate * (g + momentum * trace)
    return w, trace


# tensorflow/python/training/momentum.py, use_nesterov=True; kernel ApplyMomentum; D 1.1
@reference("Nesterov", "tf1", {"learning_rate": 0.1, "momentum": 0.9}, selects={"use_nesterov": True})
def nesterov_tf1(w: float, g: float, accum: float = 0.0, *, learning_rate: float, momentum: float) -> Step:
    accum = accum * momentum + g
    w = w - (g * learning_rate + accum * momentum * learning_rate)
    return w, accum


# --------------------------------------------------------------------------------------------------
# NesterovSutskever: rate inside
# --------------------------------------------------------------------------------------------------


# keras/src/optimizers/sgd.py, nesterov=True; D 1.1
@reference(
    "NesterovSutskever",
    "keras",
    {"momentum": 0.9},
    {"learning_rate": 0.1, "momentum": 0.5},
    selects={"nesterov": True},
)
def nesterov_sutskever_keras(
    w: float, g: float, m: float = 0.0, *, momentum: float, learning_rate: float = 0.01
) -> Step:
    m = m * momentum - g * learning_rate
    w = w + (m * momentum - g * learning_rate)
    return w, m


# tf_keras legacy gradient_descent.py, nesterov=True; kernel ApplyKerasMomentum; D 1.1
@reference(
    "NesterovSutskever",
    "tf.keras-legacy",
    {"momentum": 0.9},
    {"learning_rate": 0.1, "momentum": 0.5},
    {"learning_rate": 0.1, "momentum": 0.9, "decay": 0.2},
    selects={"nesterov": True},
)
def nesterov_sutskever_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    accum: float = 0.0,
    *,
    momentum: float,
    learning_rate: float = 0.01,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    accum = accum * momentum - g * lr
    w = w + (accum * momentum - g * lr)
    return w, accum


# ensmallen sgd/update_policies/nesterov_momentum_update.hpp; D 1.1
@reference("NesterovSutskever", "ensmallen", {"stepSize": 0.1, "momentum": 0.9})
def nesterov_sutskever_ensmallen(
    w: float, g: float, velocity: float = 0.0, *, stepSize: float = 0.01, momentum: float = 0.5
) -> Step:
    velocity = momentum * velocity - stepSize * g
    w = w + (momentum * velocity - stepSize * g)
    return w, velocity


# --------------------------------------------------------------------------------------------------
# Adagrad
# --------------------------------------------------------------------------------------------------


# notes, AdaGrad update rule and do_adagrad (the same form: eps outside, eta 0.1)
@reference("Adagrad", "notes", {"eta": 0.5}, {"eta": 0.5, "eps": 1e-3})
@reference("Adagrad", "notes-code", {"eta": 0.5}, {"eta": 0.5, "eps": 1e-3})
def adagrad_notes(w: float, g: float, v: float = 0.0, *, eta: float = 0.1, eps: float = 1e-8) -> Step:
    v = v + g**2
    w = w - eta * g / (sqrt(v) + eps)
    return w, v


# darve, adagrad(): eps inside; the batch gradient is divided before. No lr given: S, torch's 1e-2
@reference("Adagrad", "darve", {"lr": 0.1}, {"lr": 0.1, "eps": 1e-3}, note="the text's eps_stable is eps")
def adagrad_darve(w: float, g: float, s: float = 0.0, *, lr: float = 1e-2, eps: float = 1e-7) -> Step:
    s = s + g * g
    w = w - lr * g / sqrt(s + eps)
    return w, s


# slides, AdaGrad: eps inside. No eta given: S, torch's 1e-2; eps 1e-8 by S
@reference("Adagrad", "slides", {"eta": 0.1}, {"eta": 0.1, "eps": 1e-3})
def adagrad_slides(w: float, g: float, s: float = 0.0, *, eta: float = 1e-2, eps: float = 1e-8) -> Step:
    s = s + g**2
    w = w - eta / sqrt(s + eps) * g
    return w, s


# torch/optim/adagrad.py; D 1.2
@reference(
    "Adagrad",
    "torch",
    {"lr": 0.1, "eps": 1e-3},
    {"lr": 0.1, "lr_decay": 0.05},
    {"lr": 0.1, "lr_decay": 0.5, "initial_accumulator_value": 0.1},
    starts={"s": "initial_accumulator_value"},
)
def adagrad_torch(
    w: float,
    g: float,
    t: int,
    s: float,
    *,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> Step:
    clr = lr / (1.0 + (t - 1) * lr_decay)
    s = s + g * g
    w = w - clr * g / (sqrt(s) + eps)
    return w, s


# keras/src/optimizers/adagrad.py: eps inside; D 1.2
@reference(
    "Adagrad",
    "keras",
    {"learning_rate": 0.1, "epsilon": 1e-3},
    {"learning_rate": 0.1, "initial_accumulator_value": 0.0},
    starts={"s": "initial_accumulator_value"},
)
def adagrad_keras(
    w: float,
    g: float,
    s: float,
    *,
    learning_rate: float = 1e-3,
    initial_accumulator_value: float = 0.1,
    epsilon: float = 1e-7,
) -> Step:
    s = s + g * g
    w = w - learning_rate * g / sqrt(s + epsilon)
    return w, s


# tf_keras legacy adagrad.py; kernel ApplyAdagradV2: eps outside; D 1.2
@reference(
    "Adagrad",
    "tf.keras-legacy",
    {"learning_rate": 0.1, "epsilon": 1e-3},
    {"learning_rate": 0.1, "initial_accumulator_value": 0.0},
    note="epsilon=0 means 1e-7 in that world",
    starts={"accum": "initial_accumulator_value"},
)
def adagrad_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    accum: float,
    *,
    learning_rate: float = 1e-3,
    initial_accumulator_value: float = 0.1,
    epsilon: float = 1e-7,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    accum = accum + g * g
    w = w - g * lr / (sqrt(accum) + epsilon)
    return w, accum


# optax alias.py adagrad, transform.py scale_by_rss: eps inside, no step while s = 0; D 1.2
@reference(
    "Adagrad",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "eps": 1e-3},
    {"learning_rate": 0.1, "initial_accumulator_value": 0.0},
    starts={"s": "initial_accumulator_value"},
)
def adagrad_optax(
    w: float,
    g: float,
    s: float,
    *,
    learning_rate: float,
    initial_accumulator_value: float = 0.1,
    eps: float = 1e-7,
) -> Step:
    s = g * g + s
    inverse = 1.0 / sqrt(s + eps) if s > 0.0 else 0.0
    w = w + -learning_rate * (inverse * g)
    return w, s


# tensorflow/python/training/adagrad.py; kernel ApplyAdagrad: no eps, start > 0; D 1.2
@reference(
    "Adagrad",
    "tf1",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "initial_accumulator_value": 1e-3},
    starts={"accum": "initial_accumulator_value"},
)
def adagrad_tf1(
    w: float, g: float, accum: float, *, learning_rate: float, initial_accumulator_value: float = 0.1
) -> Step:
    accum = accum + g * g
    w = w - g * learning_rate * (1.0 / sqrt(accum))
    return w, accum


# ensmallen ada_grad/ada_grad_update.hpp; D 1.2
@reference("Adagrad", "ensmallen", {"stepSize": 0.1, "epsilon": 1e-3})
def adagrad_ensmallen(
    w: float, g: float, s: float = 0.0, *, stepSize: float = 0.01, epsilon: float = 1e-8
) -> Step:
    s = s + g * g
    w = w - stepSize * g / (sqrt(s) + epsilon)
    return w, s


# --------------------------------------------------------------------------------------------------
# RMSprop
# --------------------------------------------------------------------------------------------------


# notes, RMS Prop update rule: eps inside (S: beta 0.9, eps 1e-8); eta 0.1 as the notes' text
@reference("RMSprop", "notes", {"eta": 0.01}, {"eta": 0.01, "beta": 0.5, "eps": 1e-3})
def rmsprop_notes(
    w: float, g: float, v: float = 0.0, *, eta: float = 0.1, beta: float = 0.9, eps: float = 1e-8
) -> Step:
    v = beta * v + (1.0 - beta) * g**2
    w = w - eta / sqrt(v + eps) * g
    return w, v


# notes, do_rmsprop: eps outside, beta 0.5, eps 1e-4
@reference("RMSprop", "notes-code", {"eta": 0.01}, {"eta": 0.01, "beta": 0.9, "eps": 1e-8})
def rmsprop_notes_code(
    w: float, g: float, v: float = 0.0, *, eta: float = 0.1, beta: float = 0.5, eps: float = 1e-4
) -> Step:
    v = beta * v + (1.0 - beta) * g**2
    w = w - eta * g / (sqrt(v) + eps)
    return w, v


# slides, RMSprop: eps inside. No eta given: S, torch's 1e-2
@reference("RMSprop", "slides", {"eta": 0.1}, {"eta": 0.1, "beta": 0.5, "eps": 1e-3})
def rmsprop_slides(
    w: float, g: float, s: float = 0.0, *, eta: float = 1e-2, beta: float = 0.9, eps: float = 1e-8
) -> Step:
    s = beta * s + (1.0 - beta) * g**2
    w = w - eta / sqrt(s + eps) * g
    return w, s


# torch/optim/rmsprop.py: eps outside; D 1.3
@reference("RMSprop", "torch", {"lr": 0.1}, {"lr": 0.1, "alpha": 0.9, "eps": 1e-3})
def rmsprop_torch(
    w: float, g: float, v: float = 0.0, *, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8
) -> Step:
    v = alpha * v + (1.0 - alpha) * g * g
    w = w - lr * g / (sqrt(v) + eps)
    return w, v


# keras/src/optimizers/rmsprop.py: eps inside; D 1.3
@reference("RMSprop", "keras", {"learning_rate": 0.1}, {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-3})
def rmsprop_keras(
    w: float,
    g: float,
    v: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-7,
) -> Step:
    v = rho * v + (1.0 - rho) * (g * g)
    w = w - learning_rate * g / sqrt(v + epsilon)
    return w, v


# tf_keras legacy rmsprop.py, momentum = 0: eps OUTSIDE; D 1.3
@reference(
    "RMSprop",
    "tf.keras-legacy",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-3},
    note="epsilon=0 means 1e-7 in that world",
)
def rmsprop_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    rms: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-7,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    rms = rho * rms + (1.0 - rho) * (g * g)
    w = w - lr * g / (sqrt(rms) + epsilon)
    return w, rms


# optax alias.py rmsprop, transform.py scale_by_rms: eps inside; D 1.3
@reference(
    "RMSprop",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "decay": 0.5, "eps": 1e-3},
    {"learning_rate": 0.1, "initial_scale": 1.0},
    starts={"nu": "initial_scale"},
)
def rmsprop_optax(
    w: float,
    g: float,
    nu: float,
    *,
    learning_rate: float,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
) -> Step:
    nu = (1.0 - decay) * (g * g) + decay * nu
    w = w + -learning_rate * (1.0 / sqrt(nu + eps) * g)
    return w, nu


# tensorflow/python/training/rmsprop.py (the state starts at 1); kernel ApplyRMSProp; D 1.3
@reference(
    "RMSprop",
    "tf1",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "decay": 0.5, "epsilon": 1e-3},
)
def rmsprop_tf1(
    w: float, g: float, ms: float = 1.0, *, learning_rate: float, decay: float = 0.9, epsilon: float = 1e-10
) -> Step:
    ms = ms + (g * g - ms) * (1.0 - decay)
    w = w - g * learning_rate / sqrt(ms + epsilon)
    return w, ms


# ensmallen rmsprop/rmsprop_update.hpp; D 1.3
@reference("RMSprop", "ensmallen", {"stepSize": 0.1}, {"stepSize": 0.1, "alpha": 0.9, "epsilon": 1e-3})
def rmsprop_ensmallen(
    w: float, g: float, v: float = 0.0, *, stepSize: float = 0.01, alpha: float = 0.99, epsilon: float = 1e-8
) -> Step:
    v = alpha * v + (1.0 - alpha) * (g * g)
    w = w - stepSize * g / (sqrt(v) + epsilon)
    return w, v


# --------------------------------------------------------------------------------------------------
# RMSprop with momentum: torch has the rate outside, all others inside
# --------------------------------------------------------------------------------------------------


# torch/optim/rmsprop.py, momentum > 0; D 1.3
@reference(
    "RMSpropMomentum",
    "torch",
    {"momentum": 0.9},
    {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "momentum": 0.5},
)
def rmsprop_momentum_torch(
    w: float,
    g: float,
    v: float = 0.0,
    buf: float = 0.0,
    *,
    momentum: float,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
) -> Step:
    v = alpha * v + (1.0 - alpha) * g * g
    buf = momentum * buf + g / (sqrt(v) + eps)
    w = w - lr * buf
    return w, v, buf


# keras/src/optimizers/rmsprop.py, momentum > 0; D 1.3
@reference(
    "RMSpropMomentumSutskever",
    "keras",
    {"momentum": 0.9},
    {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-3, "momentum": 0.5},
)
def rmsprop_momentum_keras(
    w: float,
    g: float,
    v: float = 0.0,
    mom: float = 0.0,
    *,
    momentum: float,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-7,
) -> Step:
    v = rho * v + (1.0 - rho) * (g * g)
    mom = momentum * mom + learning_rate * g / sqrt(v + epsilon)
    w = w - mom
    return w, v, mom


# tf_keras legacy rmsprop.py, momentum > 0: kernel ApplyRMSProp, so eps flips INSIDE; D 1.3
@reference(
    "RMSpropMomentumSutskever",
    "tf.keras-legacy",
    {"momentum": 0.9},
    {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-3, "momentum": 0.5},
    note="epsilon=0 means 1e-7 in that world; the state starts at 0, unlike tf1",
)
def rmsprop_momentum_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    ms: float = 0.0,
    mom: float = 0.0,
    *,
    momentum: float,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-7,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    ms = ms + (g * g - ms) * (1.0 - rho)
    mom = mom * momentum + g * lr / sqrt(ms + epsilon)
    w = w - mom
    return w, ms, mom


# optax alias.py rmsprop(momentum=...): the trace comes after the rate; D 1.3
@reference(
    "RMSpropMomentumSutskever",
    "optax",
    {"learning_rate": 0.1, "momentum": 0.9},
    {"learning_rate": 0.1, "decay": 0.5, "eps": 1e-3, "initial_scale": 1.0, "momentum": 0.5},
    starts={"nu": "initial_scale"},
)
def rmsprop_momentum_optax(
    w: float,
    g: float,
    nu: float,
    trace: float = 0.0,
    *,
    learning_rate: float,
    momentum: float,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
) -> Step:
    nu = (1.0 - decay) * (g * g) + decay * nu
    trace = -learning_rate * (1.0 / sqrt(nu + eps) * g) + momentum * trace
    w = w + trace
    return w, nu, trace


# tensorflow/python/training/rmsprop.py, momentum > 0; kernel ApplyRMSProp; D 1.3
@reference(
    "RMSpropMomentumSutskever",
    "tf1",
    {"learning_rate": 0.1, "momentum": 0.9},
    {"learning_rate": 0.1, "decay": 0.5, "epsilon": 1e-3, "momentum": 0.5},
)
def rmsprop_momentum_tf1(
    w: float,
    g: float,
    ms: float = 1.0,
    mom: float = 0.0,
    *,
    learning_rate: float,
    momentum: float,
    decay: float = 0.9,
    epsilon: float = 1e-10,
) -> Step:
    ms = ms + (g * g - ms) * (1.0 - decay)
    mom = mom * momentum + g * learning_rate / sqrt(ms + epsilon)
    w = w - mom
    return w, ms, mom


# --------------------------------------------------------------------------------------------------
# RMSprop, centred; v - a*a is kept from falling below 0 (design 2), as no world does
# --------------------------------------------------------------------------------------------------


# torch/optim/rmsprop.py, centered=True; D 1.3
@reference(
    "RMSpropCentred",
    "torch",
    {"lr": 0.1},
    {"lr": 0.1, "alpha": 0.9, "eps": 1e-3},
    selects={"centered": True},
)
def rmsprop_centred_torch(
    w: float,
    g: float,
    v: float = 0.0,
    a: float = 0.0,
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
) -> Step:
    v = alpha * v + (1.0 - alpha) * g * g
    a = a + (1.0 - alpha) * (g - a)
    w = w - lr * g / (sqrt(max(v - a * a, 0.0)) + eps)
    return w, v, a


# keras/src/optimizers/rmsprop.py, centered=True; D 1.3
@reference(
    "RMSpropCentred",
    "keras",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-3},
    selects={"centered": True},
)
def rmsprop_centred_keras(
    w: float,
    g: float,
    v: float = 0.0,
    a: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-7,
) -> Step:
    v = rho * v + (1.0 - rho) * (g * g)
    a = rho * a + (1.0 - rho) * g
    w = w - learning_rate * g / sqrt(max(v - a * a, 0.0) + epsilon)
    return w, v, a


# tf_keras legacy rmsprop.py, centered=True, momentum = 0: eps OUTSIDE; D 1.3
@reference(
    "RMSpropCentred",
    "tf.keras-legacy",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-3},
    note="epsilon=0 means 1e-7 in that world",
    selects={"centered": True},
)
def rmsprop_centred_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    rms: float = 0.0,
    mg: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-7,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    rms = rho * rms + (1.0 - rho) * (g * g)
    mg = rho * mg + (1.0 - rho) * g
    w = w - lr * g / (sqrt(max(rms - mg * mg, 0.0)) + epsilon)
    return w, rms, mg


# optax alias.py rmsprop(centered=True), transform.py scale_by_stddev; D 1.3
@reference(
    "RMSpropCentred",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "decay": 0.5, "eps": 1e-3, "initial_scale": 1.0},
    selects={"centered": True},
    starts={"nu": "initial_scale"},
)
def rmsprop_centred_optax(
    w: float,
    g: float,
    nu: float,
    mu: float = 0.0,
    *,
    learning_rate: float,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
) -> Step:
    mu = (1.0 - decay) * g + decay * mu
    nu = (1.0 - decay) * (g * g) + decay * nu
    w = w + -learning_rate * (1.0 / sqrt(max(nu - mu * mu, 0.0) + eps) * g)
    return w, nu, mu


# tensorflow/python/training/rmsprop.py, centered=True; kernel ApplyCenteredRMSProp; D 1.3
@reference(
    "RMSpropCentred",
    "tf1",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "decay": 0.5, "epsilon": 1e-3},
    selects={"centered": True},
)
def rmsprop_centred_tf1(
    w: float,
    g: float,
    ms: float = 1.0,
    mg: float = 0.0,
    *,
    learning_rate: float,
    decay: float = 0.9,
    epsilon: float = 1e-10,
) -> Step:
    ms = ms + (g * g - ms) * (1.0 - decay)
    mg = mg + (g - mg) * (1.0 - decay)
    w = w - g * learning_rate / sqrt(max(ms - mg * mg, 0.0) + epsilon)
    return w, ms, mg


# torch/optim/rmsprop.py, centered=True, momentum > 0; D 1.3
@reference(
    "RMSpropCentredMomentum",
    "torch",
    {"momentum": 0.9},
    {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "momentum": 0.5},
    selects={"centered": True},
)
def rmsprop_centred_momentum_torch(
    w: float,
    g: float,
    v: float = 0.0,
    a: float = 0.0,
    buf: float = 0.0,
    *,
    momentum: float,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
) -> Step:
    v = alpha * v + (1.0 - alpha) * g * g
    a = a + (1.0 - alpha) * (g - a)
    buf = momentum * buf + g / (sqrt(max(v - a * a, 0.0)) + eps)
    w = w - lr * buf
    return w, v, a, buf


# keras/src/optimizers/rmsprop.py, centered=True, momentum > 0; D 1.3
@reference(
    "RMSpropCentredMomentumSutskever",
    "keras",
    {"momentum": 0.9},
    {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-3, "momentum": 0.5},
    selects={"centered": True},
)
def rmsprop_centred_momentum_keras(
    w: float,
    g: float,
    v: float = 0.0,
    a: float = 0.0,
    mom: float = 0.0,
    *,
    momentum: float,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-7,
) -> Step:
    v = rho * v + (1.0 - rho) * (g * g)
    a = rho * a + (1.0 - rho) * g
    mom = momentum * mom + learning_rate * g / sqrt(max(v - a * a, 0.0) + epsilon)
    w = w - mom
    return w, v, a, mom


# tf_keras legacy rmsprop.py: kernel ApplyCenteredRMSProp, so eps flips INSIDE; D 1.3
@reference(
    "RMSpropCentredMomentumSutskever",
    "tf.keras-legacy",
    {"momentum": 0.9},
    {"learning_rate": 0.1, "rho": 0.5, "epsilon": 1e-3, "momentum": 0.5},
    note="epsilon=0 means 1e-7 in that world; the state starts at 0, unlike tf1",
    selects={"centered": True},
)
def rmsprop_centred_momentum_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    ms: float = 0.0,
    mg: float = 0.0,
    mom: float = 0.0,
    *,
    momentum: float,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-7,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    ms = ms + (g * g - ms) * (1.0 - rho)
    mg = mg + (g - mg) * (1.0 - rho)
    mom = mom * momentum + g * lr / sqrt(max(ms - mg * mg, 0.0) + epsilon)
    w = w - mom
    return w, ms, mg, mom


# optax alias.py rmsprop(centered=True, momentum=...); D 1.3
@reference(
    "RMSpropCentredMomentumSutskever",
    "optax",
    {"learning_rate": 0.1, "momentum": 0.9},
    {"learning_rate": 0.1, "decay": 0.5, "eps": 1e-3, "initial_scale": 1.0, "momentum": 0.5},
    selects={"centered": True},
    starts={"nu": "initial_scale"},
)
def rmsprop_centred_momentum_optax(
    w: float,
    g: float,
    nu: float,
    mu: float = 0.0,
    trace: float = 0.0,
    *,
    learning_rate: float,
    momentum: float,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
) -> Step:
    mu = (1.0 - decay) * g + decay * mu
    nu = (1.0 - decay) * (g * g) + decay * nu
    scaled = 1.0 / sqrt(max(nu - mu * mu, 0.0) + eps) * g
    trace = -learning_rate * scaled + momentum * trace
    w = w + trace
    return w, nu, mu, trace


# tensorflow/python/training/rmsprop.py, centered=True; kernel ApplyCenteredRMSProp; D 1.3
@reference(
    "RMSpropCentredMomentumSutskever",
    "tf1",
    {"learning_rate": 0.1, "momentum": 0.9},
    {"learning_rate": 0.1, "decay": 0.5, "epsilon": 1e-3, "momentum": 0.5},
    selects={"centered": True},
)
def rmsprop_centred_momentum_tf1(
    w: float,
    g: float,
    ms: float = 1.0,
    mg: float = 0.0,
    mom: float = 0.0,
    *,
    learning_rate: float,
    momentum: float,
    decay: float = 0.9,
    epsilon: float = 1e-10,
) -> Step:
    ms = ms + (g * g - ms) * (1.0 - decay)
    mg = mg + (g - mg) * (1.0 - decay)
    mom = mom * momentum + g * learning_rate / sqrt(max(ms - mg * mg, 0.0) + epsilon)
    w = w - mom
    return w, ms, mg, mom


# --------------------------------------------------------------------------------------------------
# Adadelta
# --------------------------------------------------------------------------------------------------


# notes, Ada Delta steps 1-5; no rate; S: beta 0.9, eps 1e-6
@reference("Adadelta", "notes", {"beta": 0.5}, {"eps": 1e-3})
def adadelta_notes(
    w: float, g: float, v: float = 0.0, u: float = 0.0, *, beta: float = 0.9, eps: float = 1e-6
) -> Step:
    v = beta * v + (1.0 - beta) * g**2
    delta = -sqrt(u + eps) / sqrt(v + eps) * g
    w = w + delta
    u = beta * u + (1.0 - beta) * delta**2
    return w, v, u


# slides, ADADELTA steps 2-5 (their Delta-w is the leaky average of the squared steps); S: eps 1e-6
@reference("Adadelta", "slides", {"beta": 0.5}, {"eps": 1e-3})
def adadelta_slides(
    w: float, g: float, s: float = 0.0, average: float = 0.0, *, beta: float = 0.9, eps: float = 1e-6
) -> Step:
    s = beta * s + (1.0 - beta) * g**2
    rescaled = sqrt(average + eps) / sqrt(s + eps) * g
    average = beta * average + (1.0 - beta) * rescaled**2
    w = w - rescaled
    return w, s, average


# Zeiler 2012 (arXiv 1212.5701), Algorithm 1; rho 0.95, eps 1e-6; D 1.4
@reference("Adadelta", "zeiler", {"rho": 0.5}, {"eps": 1e-3})
def adadelta_zeiler(
    w: float, g: float, mean_g2: float = 0.0, mean_dx2: float = 0.0, *, rho: float = 0.95, eps: float = 1e-6
) -> Step:
    mean_g2 = rho * mean_g2 + (1.0 - rho) * g**2
    dx = -(sqrt(mean_dx2 + eps) / sqrt(mean_g2 + eps)) * g
    mean_dx2 = rho * mean_dx2 + (1.0 - rho) * dx**2
    w = w + dx
    return w, mean_g2, mean_dx2


# torch/optim/adadelta.py: lr is not in the accumulator; D 1.4
@reference("Adadelta", "torch", {"lr": 0.1}, {"lr": 0.5, "rho": 0.5, "eps": 1e-3})
def adadelta_torch(
    w: float,
    g: float,
    v: float = 0.0,
    acc_delta: float = 0.0,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
) -> Step:
    v = rho * v + (1.0 - rho) * g * g
    delta = sqrt(acc_delta + eps) / sqrt(v + eps) * g
    acc_delta = rho * acc_delta + (1.0 - rho) * delta * delta
    w = w - lr * delta
    return w, v, acc_delta


# keras/src/optimizers/adadelta.py; D 1.4
@reference("Adadelta", "keras", {"learning_rate": 1.0}, {"learning_rate": 0.5, "rho": 0.5, "epsilon": 1e-3})
def adadelta_keras(
    w: float,
    g: float,
    v: float = 0.0,
    acc_delta: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    rho: float = 0.95,
    epsilon: float = 1e-7,
) -> Step:
    v = rho * v + (1.0 - rho) * (g * g)
    delta = -(sqrt(acc_delta + epsilon) * g / sqrt(v + epsilon))
    acc_delta = rho * acc_delta + (1.0 - rho) * (delta * delta)
    w = w + learning_rate * delta
    return w, v, acc_delta


# tf_keras/src/optimizers/legacy/adadelta.py with kernel ApplyAdadelta (accumulator after the step)
@reference(
    "Adadelta",
    "tf.keras-legacy",
    {"learning_rate": 1.0},
    {"learning_rate": 0.5, "rho": 0.5, "epsilon": 1e-3, "decay": 0.1},
)
def adadelta_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    accum: float = 0.0,
    accum_update: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    rho: float = 0.95,
    epsilon: float = 1e-7,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    accum = accum * rho + g * g * (1.0 - rho)
    update = sqrt(accum_update + epsilon) / sqrt(accum + epsilon) * g
    w = w - update * lr
    accum_update = accum_update * rho + update * update * (1.0 - rho)
    return w, accum, accum_update


# optax alias.py adadelta, transform.py scale_by_adadelta; D 1.4
@reference(
    "Adadelta",
    "optax",
    {"learning_rate": 1.0},
    {"learning_rate": 0.5, "rho": 0.5, "eps": 1e-3},
    note="optax's own default None ascends with a rate of 1; here the rate is required",
)
def adadelta_optax(
    w: float,
    g: float,
    e_g: float = 0.0,
    e_x: float = 0.0,
    *,
    learning_rate: float,
    rho: float = 0.9,
    eps: float = 1e-6,
) -> Step:
    e_g = (1.0 - rho) * (g * g) + rho * e_g
    update = sqrt(e_x + eps) / sqrt(e_g + eps) * g
    e_x = (1.0 - rho) * (update * update) + rho * e_x
    w = w + -learning_rate * update
    return w, e_g, e_x


# tensorflow/python/training/adadelta.py; kernel ApplyAdadelta; D 1.4
@reference(
    "Adadelta",
    "tf1",
    {"learning_rate": 1.0},
    {"learning_rate": 0.5, "rho": 0.5, "epsilon": 1e-3},
    note="as TF 2.21; older kernels moved w after the accumulator, on a lazy re-evaluated update",
)
def adadelta_tf1(
    w: float,
    g: float,
    accum: float = 0.0,
    accum_update: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    rho: float = 0.95,
    epsilon: float = 1e-8,
) -> Step:
    accum = accum * rho + g * g * (1.0 - rho)
    update = sqrt(accum_update + epsilon) * (1.0 / sqrt(accum + epsilon)) * g
    w = w - update * learning_rate
    accum_update = accum_update * rho + update * update * (1.0 - rho)
    return w, accum, accum_update


# ensmallen ada_delta/ada_delta_update.hpp: one root of the ratio; D 1.4
@reference("Adadelta", "ensmallen", {"stepSize": 0.1}, {"stepSize": 0.5, "rho": 0.5, "epsilon": 1e-3})
def adadelta_ensmallen(
    w: float,
    g: float,
    v: float = 0.0,
    v_dx: float = 0.0,
    *,
    stepSize: float = 1.0,
    rho: float = 0.95,
    epsilon: float = 1e-6,
) -> Step:
    v = v * rho + (1.0 - rho) * (g * g)
    dx = sqrt((v_dx + epsilon) / (v + epsilon)) * g
    v_dx = v_dx * rho + (1.0 - rho) * (dx * dx)
    w = w - stepSize * dx
    return w, v, v_dx


# --------------------------------------------------------------------------------------------------
# Adam
# --------------------------------------------------------------------------------------------------


# notes, Adam update rule; eta 0.1 as the notes' text; eps 1e-8 by S (1e-10 is the code's)
@reference("Adam", "notes", {"eta": 0.01}, {"eta": 0.01, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3})
def adam_notes(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    eta: float = 0.1,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Step:
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g**2
    m_hat = m / (1.0 - beta1**t)
    v_hat = v / (1.0 - beta2**t)
    w = w - eta / (sqrt(v_hat) + eps) * m_hat
    return w, m, v


# notes, do_adam_sgd: beta is raised to the epoch number i+1, m and v move with every sample
@reference(
    "Adam",
    "notes-code",
    {"eta": 0.01},
    {"eta": 0.01, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3, "epoch": 3},
    {"eta": 0.01, "epoch": 1},
    note="epoch: samples per epoch (2 points in the notes)",
)
def adam_notes_code(
    w: float,
    g: float,
    done: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    eta: float = 0.1,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-10,
    epoch: int = 2,
) -> Step:
    i = done // epoch
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g**2
    m_hat = m / (1.0 - beta1 ** (i + 1))
    v_hat = v / (1.0 - beta2 ** (i + 1))
    w = w - eta * m_hat / (sqrt(v_hat) + eps)
    return w, m, v


# notes, "What if we don't do bias correction?": Adam without the two divisions; S: eps 1e-8
@reference(
    "Adam",
    "notes-uncorrected",
    {"eta": 0.01},
    {"eta": 0.01, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3},
)
def adam_notes_uncorrected(
    w: float,
    g: float,
    m: float = 0.0,
    v: float = 0.0,
    *,
    eta: float = 0.1,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Step:
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g**2
    w = w - eta / (sqrt(v) + eps) * m
    return w, m, v


# slides, Adam (v is the momentum, s the squares). No eta given: S, torch's 1e-3
@reference("Adam", "slides", {"eta": 0.1}, {"eta": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3})
def adam_slides(
    w: float,
    g: float,
    t: int,
    v: float = 0.0,
    s: float = 0.0,
    *,
    eta: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Step:
    v = beta1 * v + (1.0 - beta1) * g
    s = beta2 * s + (1.0 - beta2) * g**2
    v_hat = v / (1.0 - beta1**t)
    s_hat = s / (1.0 - beta2**t)
    w = w - eta / (sqrt(s_hat) + eps) * v_hat
    return w, v, s


# Kingma & Ba 2015 (arXiv 1412.6980), Algorithm 1; D 1.5
@reference("Adam", "paper", {"alpha": 0.1}, {"alpha": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3})
def adam_paper(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    alpha: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Step:
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g**2
    m_hat = m / (1.0 - beta1**t)
    v_hat = v / (1.0 - beta2**t)
    w = w - alpha * m_hat / (sqrt(v_hat) + eps)
    return w, m, v


# torch/optim/adam.py: eps outside, after the correction; D 1.5
@reference("Adam", "torch", {"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3})
def adam_torch(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Step:
    beta1, beta2 = betas
    m = m + (1.0 - beta1) * (g - m)
    v = beta2 * v + (1.0 - beta2) * g * g
    step_size = lr / (1.0 - beta1**t)
    denom = sqrt(v) / sqrt(1.0 - beta2**t) + eps
    w = w - step_size * m / denom
    return w, m, v


# keras/src/optimizers/adam.py: epsilon-hat; D 1.5
@reference(
    "Adam",
    "keras",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
)
def adam_keras(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Step:
    alpha = learning_rate * sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    w = w - m * alpha / (sqrt(v) + epsilon)
    return w, m, v


# tf_keras legacy adam.py; kernel ApplyAdam: epsilon-hat 1e-7; D 1.5
@reference(
    "Adam",
    "tf.keras-legacy",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    note="epsilon=0 means 1e-7 in that world",
)
def adam_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    local_step = done + 1
    alpha = lr * sqrt(1.0 - beta_2**local_step) / (1.0 - beta_1**local_step)
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    w = w - m * alpha / (sqrt(v) + epsilon)
    return w, m, v


# optax alias.py adam, transform.py scale_by_adam: eps outside, after; eps_root inside; D 1.5
@reference(
    "Adam",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-3},
    {"learning_rate": 0.1, "eps_root": 1e-4},
)
def adam_optax(
    w: float,
    g: float,
    t: int,
    mu: float = 0.0,
    nu: float = 0.0,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> Step:
    mu = (1.0 - b1) * g + b1 * mu
    nu = (1.0 - b2) * (g * g) + b2 * nu
    mu_hat = mu / (1.0 - b1**t)
    nu_hat = nu / (1.0 - b2**t)
    w = w + -learning_rate * (mu_hat / (sqrt(nu_hat + eps_root) + eps))
    return w, mu, nu


# tensorflow/python/training/adam.py; kernel ApplyAdam: epsilon-hat, powers as products; D 1.5
@reference(
    "Adam",
    "tf1",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3},
    starts={"beta1_power": "beta1", "beta2_power": "beta2"},
)
def adam_tf1(
    w: float,
    g: float,
    beta1_power: float,
    beta2_power: float,
    m: float = 0.0,
    v: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> Step:
    alpha = learning_rate * sqrt(1.0 - beta2_power) / (1.0 - beta1_power)
    m = m + (g - m) * (1.0 - beta1)
    v = v + (g * g - v) * (1.0 - beta2)
    w = w - m * alpha / (sqrt(v) + epsilon)
    beta1_power, beta2_power = beta1_power * beta1, beta2_power * beta2
    return w, beta1_power, beta2_power, m, v


# ensmallen adam/adam_update.hpp: epsilon-hat; D 1.5
@reference(
    "Adam",
    "ensmallen",
    {"stepSize": 0.1},
    {"stepSize": 0.1, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3},
    note="AdamType's constructor says eps, its accessor and the policy say epsilon",
)
def adam_ensmallen(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    stepSize: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> Step:
    m = m * beta1 + (1.0 - beta1) * g
    v = v * beta2 + (1.0 - beta2) * (g * g)
    correction1 = 1.0 - beta1**t
    correction2 = 1.0 - beta2**t
    w = w - (stepSize * sqrt(correction2) / correction1) * m / (sqrt(v) + epsilon)
    return w, m, v


# --------------------------------------------------------------------------------------------------
# Adamax
# --------------------------------------------------------------------------------------------------


# Kingma & Ba 2015, Algorithm 2: no eps; 0/0 is 0 (design 2); D 1.6
@reference("Adamax", "paper", {"alpha": 0.1}, {"alpha": 0.1, "beta1": 0.5, "beta2": 0.9})
def adamax_paper(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    u: float = 0.0,
    *,
    alpha: float = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> Step:
    m = beta1 * m + (1.0 - beta1) * g
    u = max(beta2 * u, abs(g))
    if u > 0.0:
        w = w - alpha / (1.0 - beta1**t) * m / u
    return w, m, u


# S, AdaMax row (hence lr): eps outside; no rate in the notes: S, torch's 2e-3 (the paper's too)
@reference("Adamax", "notes", {"lr": 0.1}, {"lr": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3})
def adamax_notes(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    u: float = 0.0,
    *,
    lr: float = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Step:
    m = beta1 * m + (1.0 - beta1) * g
    u = max(beta2 * u, abs(g))
    w = w - lr / (1.0 - beta1**t) * m / (u + eps)
    return w, m, u


# torch/optim/adamax.py: eps inside the max; D 1.6
@reference("Adamax", "torch", {"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3})
def adamax_torch(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    u: float = 0.0,
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Step:
    beta1, beta2 = betas
    m = m + (1.0 - beta1) * (g - m)
    u = max(u * beta2, abs(g) + eps)
    w = w - lr / (1.0 - beta1**t) * m / u
    return w, m, u


# optax alias.py adamax, transform.py scale_by_adamax: eps inside the max; D 1.6
@reference(
    "Adamax",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-3},
)
def adamax_optax(
    w: float,
    g: float,
    t: int,
    mu: float = 0.0,
    nu: float = 0.0,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Step:
    mu = (1.0 - b1) * g + b1 * mu
    nu = max(abs(g) + eps, b2 * nu)
    w = w + -learning_rate * (mu / (1.0 - b1**t) / nu)
    return w, mu, nu


# keras/src/optimizers/adamax.py: eps outside; D 1.6
@reference(
    "Adamax",
    "keras",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
)
def adamax_keras(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    u: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Step:
    m = m + (g - m) * (1.0 - beta_1)
    u = max(beta_2 * u, abs(g))
    w = w - learning_rate * m / ((1.0 - beta_1**t) * (u + epsilon))
    return w, m, u


# tf_keras legacy adamax.py; kernel ApplyAdaMax: eps outside; D 1.6
@reference(
    "Adamax",
    "tf.keras-legacy",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    note="epsilon=0 means 1e-7 in that world",
)
def adamax_tf_keras_legacy(
    w: float,
    g: float,
    done: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    decay: float = 0.0,
) -> Step:
    lr = learning_rate / (1.0 + decay * done)
    beta_1_power = beta_1 ** (done + 1)
    m = m + (g - m) * (1.0 - beta_1)
    v = max(beta_2 * v, abs(g))
    w = w - lr / (1.0 - beta_1_power) * (m / (v + epsilon))
    return w, m, v


# kernel ApplyAdaMax through tf.raw_ops, which gives no defaults; D 1.6
@reference(
    "Adamax",
    "tf1",
    {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3},
    note="the raw op calls its rate lr; the caller keeps beta1_power",
    starts={"beta1_power": "beta1"},
)
def adamax_tf1(
    w: float,
    g: float,
    beta1_power: float,
    m: float = 0.0,
    v: float = 0.0,
    *,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> Step:
    m = m + (g - m) * (1.0 - beta1)
    v = max(beta2 * v, abs(g))
    w = w - learning_rate / (1.0 - beta1_power) * (m / (v + epsilon))
    beta1_power = beta1_power * beta1
    return w, beta1_power, m, v


# ensmallen adam/adamax_update.hpp: eps outside; D 1.6
@reference(
    "Adamax",
    "ensmallen",
    {"stepSize": 0.1},
    {"stepSize": 0.1, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3},
    note="AdamType's constructor says eps, its accessor and the policy say epsilon",
)
def adamax_ensmallen(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    u: float = 0.0,
    *,
    stepSize: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> Step:
    m = m * beta1 + (1.0 - beta1) * g
    u = max(u * beta2, abs(g))
    correction1 = 1.0 - beta1**t
    if correction1 != 0.0:
        w = w - stepSize / correction1 * m / (u + epsilon)
    return w, m, u


# --------------------------------------------------------------------------------------------------
# MaxProp and the L^p family
# --------------------------------------------------------------------------------------------------


# S, MaxProp row (hence lr): eps outside; beta 0.9, eps 1e-8; no source names a rate
@reference("MaxProp", "notes", {"lr": 0.1}, {"lr": 0.1, "beta": 0.5, "eps": 1e-3})
def maxprop_notes(
    w: float, g: float, v: float = 0.0, *, lr: float, beta: float = 0.9, eps: float = 1e-8
) -> Step:
    v = max(beta * v, abs(g))
    w = w - lr * g / (v + eps)
    return w, v


# torch/optim/adamax.py with betas=(0, beta): eps inside the max; D 1.6
@reference(
    "MaxProp",
    "torch",
    {"lr": 2e-3, "beta": 0.999, "eps": 1e-8},
    {"lr": 0.1, "beta": 0.5, "eps": 1e-3},
    note="torch.optim.Adamax(betas=(0, beta)); torch has no MaxProp of its own",
)
def maxprop_torch(
    w: float, g: float, u: float = 0.0, *, lr: float = 2e-3, beta: float = 0.999, eps: float = 1e-8
) -> Step:
    u = max(u * beta, abs(g) + eps)
    w = w - lr * g / u
    return w, u


# S, L^p family row, as the naive power sum (over- and underflows for large p or extreme g)
@reference(
    "LpProp",
    "notes",
    *[{"lr": 0.1, "beta": 0.9, "p": p, "eps": 1e-8} for p in (1.0, 2.0, 3.0, 4.0, 6.5)],
    {"lr": 0.1, "beta": 0.5, "p": 3.0, "eps": 1e-3},
    note="naive: keep |g|^p and its average inside the float range",
)
def lpprop_notes(
    w: float, g: float, v: float = 0.0, *, lr: float, p: float, beta: float = 0.9, eps: float = 1e-8
) -> Step:
    v = beta**p * v + (1.0 - beta**p) * abs(g) ** p
    w = w - lr * g / (v ** (1.0 / p) + eps)
    return w, v


# --------------------------------------------------------------------------------------------------
# AdamW
# --------------------------------------------------------------------------------------------------


# torch/optim/adamw.py is adam.py with decoupled decay 1e-2: p.mul_(1 - lr * weight_decay) first; D 1.5
@reference("AdamW", "torch", {"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.5})
def adamw_torch(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> Step:
    beta1, beta2 = betas
    w = w * (1.0 - lr * weight_decay)
    m = m + (1.0 - beta1) * (g - m)
    v = beta2 * v + (1.0 - beta2) * g * g
    step_size = lr / (1.0 - beta1**t)
    denom = sqrt(v) / sqrt(1.0 - beta2**t) + eps
    w = w - step_size * m / denom
    return w, m, v


# keras/src/optimizers/adamw.py (weight_decay 0.004), base_optimizer.py: p -= p * wd * lr first; D 1.5, 1.6
@reference(
    "AdamW",
    "keras",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.5},
)
def adamw_keras(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    weight_decay: float = 4e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Step:
    w = w - w * weight_decay * learning_rate
    alpha = learning_rate * sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    w = w - m * alpha / (sqrt(v) + epsilon)
    return w, m, v


# optax alias.py adamw (weight_decay 1e-4): scale_by_adam, add_decayed_weights, then -lr; D 1.5
@reference(
    "AdamW",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-3, "eps_root": 1e-4, "weight_decay": 0.5},
)
def adamw_optax(
    w: float,
    g: float,
    t: int,
    mu: float = 0.0,
    nu: float = 0.0,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    weight_decay: float = 1e-4,
) -> Step:
    mu = (1.0 - b1) * g + b1 * mu
    nu = (1.0 - b2) * g * g + b2 * nu
    update = (mu / (1.0 - b1**t)) / (sqrt(nu / (1.0 - b2**t) + eps_root) + eps)
    w = w + -learning_rate * (update + weight_decay * w)
    return w, mu, nu


# --------------------------------------------------------------------------------------------------
# AMSGrad
# --------------------------------------------------------------------------------------------------


# Reddi, Kale & Kumar, arXiv 1904.09237, algorithm 2: no correction, no epsilon (0/0 taken as 0)
@reference("AMSGrad", "paper", {"alpha": 0.1}, {"alpha": 0.1, "beta1": 0.5, "beta2": 0.9})
def amsgrad_paper(
    w: float,
    g: float,
    m: float = 0.0,
    v: float = 0.0,
    largest: float = 0.0,
    *,
    alpha: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> Step:
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g**2
    largest = max(largest, v)
    w = w - (alpha * m / sqrt(largest) if largest > 0.0 else 0.0)
    return w, m, v, largest


# torch/optim/adam.py, amsgrad=True: the largest raw v, corrected afterwards; D 1.5
@reference(
    "AMSGrad",
    "torch",
    {"lr": 0.1},
    {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3},
    selects={"amsgrad": True},
)
def amsgrad_torch(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    largest: float = 0.0,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Step:
    beta1, beta2 = betas
    m = m + (1.0 - beta1) * (g - m)
    v = beta2 * v + (1.0 - beta2) * g * g
    largest = max(largest, v)
    denom = sqrt(largest) / sqrt(1.0 - beta2**t) + eps
    w = w - lr / (1.0 - beta1**t) * m / denom
    return w, m, v, largest


# keras/src/optimizers/adam.py, amsgrad=True: epsilon-hat over the largest raw v; D 1.5
@reference(
    "AMSGrad",
    "keras",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    selects={"amsgrad": True},
)
def amsgrad_keras(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    largest: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Step:
    alpha = learning_rate * sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    largest = max(largest, v)
    w = w - m * alpha / (sqrt(largest) + epsilon)
    return w, m, v, largest


# optax transform.py scale_by_amsgrad: the largest *corrected* v; D 1.5
@reference(
    "AMSGrad",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-3, "eps_root": 1e-4},
)
def amsgrad_optax(
    w: float,
    g: float,
    t: int,
    mu: float = 0.0,
    nu: float = 0.0,
    nu_max: float = 0.0,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> Step:
    mu = (1.0 - b1) * g + b1 * mu
    nu = (1.0 - b2) * g * g + b2 * nu
    nu_max = max(nu_max, nu / (1.0 - b2**t))
    w = w + -learning_rate * ((mu / (1.0 - b1**t)) / (sqrt(nu_max + eps_root) + eps))
    return w, mu, nu, nu_max


# ensmallen adam/amsgrad_update.hpp: epsilon-hat over the largest raw v
@reference("AMSGrad", "ensmallen", {"stepSize": 0.1}, {"stepSize": 0.1, "epsilon": 1e-3})
def amsgrad_ensmallen(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    improved: float = 0.0,
    *,
    stepSize: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> Step:
    m = m * beta1 + (1.0 - beta1) * g
    v = v * beta2 + (1.0 - beta2) * (g * g)
    improved = max(improved, v)
    w = w - stepSize * sqrt(1.0 - beta2**t) / (1.0 - beta1**t) * m / (sqrt(improved) + epsilon)
    return w, m, v, improved


# --------------------------------------------------------------------------------------------------
# NAdam
# --------------------------------------------------------------------------------------------------


# torch/optim/nadam.py: two quotients over one denominator, v corrected before the root; D 1.5
@reference(
    "NAdam",
    "torch",
    {"lr": 0.1},
    {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "momentum_decay": 0.3},
)
def nadam_torch(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    mu_product: float = 1.0,
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    momentum_decay: float = 4e-3,
) -> Step:
    beta1, beta2 = betas
    mu = beta1 * (1.0 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    mu_product = mu_product * mu
    m = m + (1.0 - beta1) * (g - m)
    v = beta2 * v + (1.0 - beta2) * g * g
    denom = sqrt(v / (1.0 - beta2**t)) + eps
    w = w + (-lr * (1.0 - mu) / (1.0 - mu_product)) * g / denom
    w = w + (-lr * mu_next) / (1.0 - mu_product * mu_next) * m / denom
    return w, m, v, mu_product


# keras/src/optimizers/nadam.py: the schedule without psi; D 1.5
@reference(
    "NAdam",
    "keras",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
)
def nadam_keras(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    u_product: float = 1.0,
    *,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Step:
    u_t = beta_1 * (1.0 - 0.5 * 0.96**t)
    u_t_1 = beta_1 * (1.0 - 0.5 * 0.96 ** (t + 1))
    u_product = u_product * u_t
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    m_hat = u_t_1 * m / (1.0 - u_product * u_t_1) + (1.0 - u_t) * g / (1.0 - u_product)
    v_hat = v / (1.0 - beta_2**t)
    w = w - m_hat * learning_rate / (sqrt(v_hat) + epsilon)
    return w, m, v, u_product


# optax transform.py scale_by_adam(nesterov=True): a constant momentum; D 1.5
@reference(
    "NAdam",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-3, "eps_root": 1e-4},
)
def nadam_optax(
    w: float,
    g: float,
    t: int,
    mu: float = 0.0,
    nu: float = 0.0,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> Step:
    mu = (1.0 - b1) * g + b1 * mu
    nu = (1.0 - b2) * g * g + b2 * nu
    mu_hat = b1 * (mu / (1.0 - b1 ** (t + 1))) + (1.0 - b1) * (g / (1.0 - b1**t))
    w = w + -learning_rate * (mu_hat / (sqrt(nu / (1.0 - b2**t) + eps_root) + eps))
    return w, mu, nu


# ensmallen adam/nadam_update.hpp: torch's schedule, epsilon-hat
@reference("NAdam", "ensmallen", {"stepSize": 0.1}, {"stepSize": 0.1, "epsilon": 1e-3, "scheduleDecay": 0.3})
def nadam_ensmallen(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    cumulative: float = 1.0,
    *,
    stepSize: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    scheduleDecay: float = 4e-3,
) -> Step:
    m = m * beta1 + (1.0 - beta1) * g
    v = v * beta2 + (1.0 - beta2) * g * g
    now = beta1 * (1.0 - 0.5 * 0.96 ** (t * scheduleDecay))
    after = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * scheduleDecay))
    cumulative = cumulative * now
    mixed = (1.0 - now) / (1.0 - cumulative) * g + after / (1.0 - cumulative * after) * m
    w = w - stepSize * mixed * sqrt(1.0 - beta2**t) / (sqrt(v) + epsilon)
    return w, m, v, cumulative


# --------------------------------------------------------------------------------------------------
# RAdam
# --------------------------------------------------------------------------------------------------


def rectification(t: int, beta2: float) -> tuple[float, float]:
    """rho and r of arXiv 1908.03265, algorithm 2; r is nonsense where rho is at most 4."""
    longest = 2.0 / (1.0 - beta2) - 1.0
    rho = longest - 2.0 * t * beta2**t / (1.0 - beta2**t)
    square = (rho - 4.0) * (rho - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * rho)
    return rho, sqrt(max(square, 0.0))


# Liu et al., arXiv 1908.03265, algorithm 2: a threshold of 4, no epsilon (0/0 taken as 0)
@reference("RAdam", "paper", {"alpha": 0.1}, {"alpha": 0.1, "beta1": 0.5, "beta2": 0.9})
def radam_paper(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    alpha: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> Step:
    v = beta2 * v + (1.0 - beta2) * g**2
    m = beta1 * m + (1.0 - beta1) * g
    m_hat = m / (1.0 - beta1**t)
    rho, r = rectification(t, beta2)
    if rho <= 4.0:
        w = w - alpha * m_hat
    elif v > 0.0:
        w = w - alpha * r * m_hat / sqrt(v / (1.0 - beta2**t))
    return w, m, v


# torch/optim/radam.py: a threshold of 5, eps before the correction of v
@reference("RAdam", "torch", {"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3})
def radam_torch(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    v: float = 0.0,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Step:
    beta1, beta2 = betas
    m = m + (1.0 - beta1) * (g - m)
    v = beta2 * v + (1.0 - beta2) * g * g
    corrected = m / (1.0 - beta1**t)
    rho, r = rectification(t, beta2)
    w = w - corrected * lr * (r * sqrt(1.0 - beta2**t) / (sqrt(v) + eps) if rho > 5.0 else 1.0)
    return w, m, v


# optax transform.py scale_by_radam: eps after the correction of v
@reference(
    "RAdam",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-3, "eps_root": 1e-4, "threshold": 6.0},
)
def radam_optax(
    w: float,
    g: float,
    t: int,
    mu: float = 0.0,
    nu: float = 0.0,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    threshold: float = 5.0,
) -> Step:
    mu = (1.0 - b1) * g + b1 * mu
    nu = (1.0 - b2) * g * g + b2 * nu
    update = mu / (1.0 - b1**t)
    ro, r = rectification(t, b2)
    if ro >= threshold:
        update = r * update / (sqrt(nu / (1.0 - b2**t) + eps_root) + eps)
    w = w + -learning_rate * update
    return w, mu, nu


# --------------------------------------------------------------------------------------------------
# AdaBelief
# --------------------------------------------------------------------------------------------------


# Zhuang et al., arXiv 2010.07468, algorithm 2: one epsilon inside s and outside the root
@reference("AdaBelief", "paper", {"alpha": 0.1}, {"alpha": 0.1, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3})
def adabelief_paper(
    w: float,
    g: float,
    t: int,
    m: float = 0.0,
    s: float = 0.0,
    *,
    alpha: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> Step:
    m = beta1 * m + (1.0 - beta1) * g
    s = beta2 * s + (1.0 - beta2) * (g - m) ** 2 + epsilon
    w = w - alpha * (m / (1.0 - beta1**t)) / (sqrt(s / (1.0 - beta2**t)) + epsilon)
    return w, m, s


# optax transform.py scale_by_belief: eps_root joins s at every step
@reference(
    "AdaBelief",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-3, "eps_root": 1e-4},
)
def adabelief_optax(
    w: float,
    g: float,
    t: int,
    mu: float = 0.0,
    nu: float = 0.0,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-16,
    eps_root: float = 1e-16,
) -> Step:
    mu = (1.0 - b1) * g + b1 * mu
    nu = (1.0 - b2) * (g - mu) ** 2 + b2 * nu + eps_root
    w = w + -learning_rate * ((mu / (1.0 - b1**t)) / (sqrt(nu / (1.0 - b2**t)) + eps))
    return w, mu, nu


# --------------------------------------------------------------------------------------------------
# Yogi
# --------------------------------------------------------------------------------------------------


def yogi_square(v: float, g: float, beta2: float) -> float:
    """Zaheer et al. 2018, algorithm 2: v moves towards g^2 by (1 - beta2) g^2."""
    toward = 0.0 if v == g * g else 1.0 if v > g * g else -1.0
    return v - (1.0 - beta2) * toward * (g * g)


# Zaheer et al., NeurIPS 2018, algorithm 2: nothing corrected, both averages start at 0, eps 1e-3
@reference("Yogi", "paper", {"eta": 0.1}, {"eta": 0.1, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-2})
def yogi_paper(
    w: float,
    g: float,
    m: float = 0.0,
    v: float = 0.0,
    *,
    eta: float = 1e-2,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-3,
) -> Step:
    m = beta1 * m + (1.0 - beta1) * g
    v = yogi_square(v, g, beta2)
    w = w - eta * m / (sqrt(v) + epsilon)
    return w, m, v


# optax transform.py scale_by_yogi: both averages start at 1e-6 and are corrected as Adam's
@reference(
    "Yogi",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-2},
)
def yogi_optax(
    w: float,
    g: float,
    t: int,
    mu: float = 1e-06,
    nu: float = 1e-06,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-3,
) -> Step:
    mu = (1.0 - b1) * g + b1 * mu
    nu = yogi_square(nu, g, b2)
    w = w + -learning_rate * ((mu / (1.0 - b1**t)) / (sqrt(nu / (1.0 - b2**t)) + eps))
    return w, mu, nu


# --------------------------------------------------------------------------------------------------
# FTRL
# --------------------------------------------------------------------------------------------------


def proximal(z: float, n: float, alpha: float, beta: float, lambda1: float, lambda2: float) -> float:
    """McMahan et al. 2013, algorithm 1: the weight that z and n stand for."""
    if abs(z) <= lambda1:
        return 0.0
    side = 1.0 if z > 0 else -1.0
    return -(z - side * lambda1) / ((beta + sqrt(n)) / alpha + lambda2)


def begun(w: float, alpha: float, beta: float, lambda1: float, lambda2: float) -> float:
    """The z that stands for a weight before the first gradient."""
    side = 0.0 if w == 0 else 1.0 if w > 0 else -1.0
    return -(beta / alpha + lambda2) * w - side * lambda1


LEADERS: list[dict[str, Any]] = [
    {"alpha": 0.5, "beta": 2.0, "lambda2": 0.3},
    {"lambda1": 0.25, "lambda2": 0.01},
    {"alpha": 0.02, "lambda1": 3.0},
]


# McMahan et al., KDD 2013, algorithm 1, from weights that need not be 0
@reference("FTRL", "paper", *LEADERS)
def ftrl_paper(
    w: float,
    g: float,
    done: int,
    z: float = 0.0,
    n: float = 0.0,
    *,
    alpha: float = 0.1,
    beta: float = 1.0,
    lambda1: float = 0.0,
    lambda2: float = 0.0,
) -> Step:
    if done == 0:
        z = begun(w, alpha, beta, lambda1, lambda2)
    sigma = (sqrt(n + g * g) - sqrt(n)) / alpha
    z, n = z + g - sigma * w, n + g * g
    return proximal(z, n, alpha, beta, lambda1, lambda2), z, n


# McMahan, AISTATS 2011, section 3: the penalty of every round so far
@reference("FTRL", "cumulated", *LEADERS)
def ftrl_cumulated(
    w: float,
    g: float,
    t: int,
    z: float = 0.0,
    n: float = 0.0,
    *,
    alpha: float = 0.1,
    beta: float = 1.0,
    lambda1: float = 0.0,
    lambda2: float = 0.0,
) -> Step:
    if t == 1:
        z = begun(w, alpha, beta, 0.0, 0.0)
    sigma = (sqrt(n + g * g) - sqrt(n)) / alpha
    z, n = z + g - sigma * w, n + g * g
    return proximal(z, n, alpha, beta, t * lambda1, t * lambda2), z, n


# --------------------------------------------------------------------------------------------------
# ASGD
# --------------------------------------------------------------------------------------------------


# torch/optim/asgd.py: eta and mu are those of the next step
@reference("ASGD", "torch", {"lr": 0.1}, {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 4.0})
def asgd_torch(
    w: float,
    g: float,
    t: int,
    ax: float = 0.0,
    eta: float = 0.0,
    *,
    lr: float = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
) -> Step:
    if t == 1:
        eta = lr
    w = w * (1 - lambd * eta)
    w = w - eta * g
    mu = 1 / max(1, t - 1 - t0)
    ax = w if mu == 1 else ax + (w - ax) * mu
    return w, ax, lr / (1 + lambd * lr * t) ** alpha


# --------------------------------------------------------------------------------------------------
# Rprop
# --------------------------------------------------------------------------------------------------


# torch/optim/rprop.py: no step back where the sign turns
@reference("Rprop", "torch", {"lr": 0.1}, {"lr": 0.1, "etas": (0.25, 1.5), "step_sizes": (1e-3, 0.2)})
def rprop_torch(
    w: float,
    g: float,
    t: int,
    size: float = 0.0,
    prev: float = 0.0,
    *,
    lr: float = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
) -> Step:
    size = lr if t == 1 else size
    agree = g * prev
    if agree > 0.0:
        size = size * etas[1]
    elif agree < 0.0:
        size, g = size * etas[0], 0.0
    size = min(max(size, step_sizes[0]), step_sizes[1])
    if g > 0.0:
        w = w - size
    elif g < 0.0:
        w = w + size
    return w, size, g


# --------------------------------------------------------------------------------------------------
# Lion
# --------------------------------------------------------------------------------------------------


def signum(x: float) -> float:
    """-1, 0 or 1."""
    return float((x > 0.0) - (x < 0.0))


# Chen et al., arXiv 2302.06675, program 1: the update is sign(c) + lambda w
@reference(
    "Lion", "paper", {"eta": 0.1}, {"eta": 0.1, "beta1": 0.5, "beta2": 0.8, "lambda": 0.5}, note="lambda"
)
def lion_paper(
    w: float,
    g: float,
    m: float = 0.0,
    *,
    eta: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    **decay: float,
) -> Step:
    c = beta1 * m + (1.0 - beta1) * g
    w = w - eta * (signum(c) + decay.get("lambda", 0.0) * w)
    m = beta2 * m + (1.0 - beta2) * g
    return w, m


# keras/src/optimizers/lion.py; decay first, as in every Keras optimizer
@reference(
    "Lion",
    "keras",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.8, "weight_decay": 0.5},
)
def lion_keras(
    w: float,
    g: float,
    m: float = 0.0,
    *,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    weight_decay: float = 0.0,
) -> Step:
    w = w - w * weight_decay * learning_rate
    w = w - learning_rate * signum(m * beta_1 + g * (1.0 - beta_1))
    m = m * beta_2 + g * (1.0 - beta_2)
    return w, m


# optax alias.py lion (weight_decay 1e-3): scale_by_lion, add_decayed_weights, then -lr
@reference(
    "Lion",
    "optax",
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "b1": 0.5, "b2": 0.8, "weight_decay": 0.5},
)
def lion_optax(
    w: float,
    g: float,
    mu: float = 0.0,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.99,
    weight_decay: float = 1e-3,
) -> Step:
    update = signum((1.0 - b1) * g + b1 * mu)
    mu = (1.0 - b2) * g + b2 * mu
    w = w + -learning_rate * (update + weight_decay * w)
    return w, mu
