r"""Centred RMSprop with momentum, the learning rate inside (Keras, TensorFlow, Optax).

    v_t = beta * v_{t-1} + (1 - beta) * g_t^2
    a_t = beta * a_{t-1} + (1 - beta) * g_t
    b_t = mu * b_{t-1} + lr / (sqrt(max(v_t - a_t^2, 0) + eps_root) + eps) * g_t
    w_t = w_{t-1} - b_t

Intuition: The scale is the gradients' spread about their average, and a velocity in the unit of the weights
sums the moves. At a constant rate its path is that of RMSpropCentredMomentum. When the rate falls, earlier
moves still count at the rate at which they were made.
Use: To follow recipes of TensorFlow, Keras or Optax that set centred and momentum.
Avoid: On smooth problems without noise and with a tiny eps; and where torch's RMSprop is to be matched: that
is RMSpropCentredMomentum.
Seen: p=gutter&n=300&o=RMSpropCentredMomentumSutskever,lr=0.001;RMSpropMomentumSutskever,lr=0.001 The two
differ where gradients agree for long: there the spread is smaller than the size, and the centred form is
ahead.
Units: v is g^2, a is g, b is w, lr is w, eps is g, eps_root is g^2.
Source: TensorFlow's ApplyCenteredRMSProp; Keras 3 optimizers/rmsprop.py.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import (
    IdleModel,
    Rule,
    Scalar,
    fraction,
    inverse_time,
    maximum,
    nonnegative,
    ratio,
    row,
    rule,
    sqrt,
    state,
)


def clock(t, beta):
    return {"take": 1 - beta}


def rate(v, a, /, lr, eps, eps_root):
    """Effective learning rate, w/g: the factor on g as it enters b."""
    return ratio(lr, sqrt(maximum(v - a * a, 0) + eps_root) + eps)


def step(w, g, v, a, b, /, lr, mu, beta, take, eps, eps_root):
    v = beta * v + take * g * g
    a = beta * a + take * g
    b = mu * b + rate(v, a, lr, eps, eps_root) * g
    return w - b, v, a, b


def gain(rate, /, mu):
    """Under a constant gradient b settles at ``rate / (1 - mu)`` of it."""
    return rate / (1 - mu)


def idle(w, v, a, b, k, /, mu, beta):
    """k steps with g = 0: the averages decay, b runs out as a geometric sum."""
    rest = mu**k
    return w - b * mu * (1 - rest) / (1 - mu), beta**k * v, beta**k * a, rest * b


def shrink(mu):
    return mu


def idle_states(v, a, b, k, /, mu, beta):
    return beta**k * v, beta**k * a, mu**k * b


def move_terms(v, a, b, /):
    return b, 1, 0


def move_scale(k, /, mu):
    return mu**k, 1


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale)


INSIDE = {"eps": 0.0}
KERAS = {"learning_rate": "lr", "rho": "beta", "momentum": "mu", "epsilon": "eps_root"}
OPTAX = {"learning_rate": "lr", "decay": "beta", "momentum": "mu", "eps": "eps_root", "initial_scale": "v"}
ONLY = {"eps_in_sqrt": True, "bias_correction": False, "nesterov": False}  # of Optax's forms
TF1 = {"learning_rate": "lr", "decay": "beta", "momentum": "mu", "epsilon": "eps_root"}

DIALECTS = {
    "keras": row(
        "3.15.1",
        optimizer="RMSprop",
        options={"centered": True},
        states={"v": "_velocities", "a": "_average_gradients", "b": "_momentums"},
        names=KERAS,
        pinned=INSIDE,
        lr=1e-3,
        beta=0.9,
        eps_root=1e-7,
    ),
    "tf.keras-legacy": row(
        "2.21.0", names=KERAS, pinned=INSIDE, ramps={"decay": inverse_time}, lr=1e-3, beta=0.9, eps_root=1e-7
    ),
    "optax": row(
        "0.2.8",
        optimizer="rmsprop",
        options={"centered": True, **ONLY},
        states={"v": "ScaleByRStdDevState.nu", "a": "ScaleByRStdDevState.mu", "b": "-TraceState.trace"},
        names=OPTAX,
        pinned=INSIDE,
        beta=0.9,
        eps_root=1e-8,
    ),
    "tf1": row("2.21.0", names=TF1, pinned=INSIDE, beta=0.9, eps_root=1e-10, v=1.0),
}


@rule(step, rate=rate, gain=gain, idle=idle, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class RMSpropCentredMomentumSutskever(Rule):
    """Centred RMSprop whose momentum has the parameter's unit."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    mu: Scalar = fraction(default=0.9, text="momentum: what is kept of the past update")
    beta: Scalar = fraction(default=0.99, text="what is kept of the past averages")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    v: float = state(default=0.0, unit="g^2", text="average of squared gradients")
    a: float = state(default=0.0, unit="g", signed=True, text="average of gradients")
    b: float = state(default=0.0, unit="w", signed=True, text="decaying sum of updates")
