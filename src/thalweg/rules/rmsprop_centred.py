r"""Centred RMSprop: the root of the gradients' variance instead of their mean square.

    v_t = beta * v_{t-1} + (1 - beta) * g_t^2
    a_t = beta * a_{t-1} + (1 - beta) * g_t
    w_t = w_{t-1} - lr / (sqrt(max(v_t - a_t^2, 0) + eps_root) + eps) * g_t

Intuition: RMSprop that takes off the average gradient before it squares: it divides by the gradients'
spread, not by their size. Where gradients agree, the spread is small and steps are long; where they scatter
or change sign, steps are short. On a constant slope the spread dies away, and eps alone bounds the step.
Use: For noisy gradients of a steady direction, as in the recurrent networks for which it was written.
Avoid: With a tiny eps on smooth problems without noise: its steps can grow until they leave the valley.
Seen: p=gutter&n=400&o=RMSpropCentred,lr=0.01;RMSprop,lr=0.01 On a constant slope the spread of the gradients
dies away, and the steps grow where RMSprop's stay as they are.
Units: v is g^2, a is g, lr is w, eps is g, eps_root is g^2. Rounding can push v - a^2 below 0, where
torch gives NaN; here it is taken as 0.
Source: Graves, arXiv 1308.0850 (2013), equations 38-41.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import Rule, Scalar, fraction, inverse_time, maximum, nonnegative, ratio, row, rule, sqrt, state


def clock(t, beta):
    return {"take": 1 - beta}


def rate(v, a, /, lr, eps, eps_root):
    """Effective learning rate, w/g: the factor on g once v and a have taken g in."""
    return ratio(lr, sqrt(maximum(v - a * a, 0) + eps_root) + eps)


def step(w, g, v, a, /, lr, beta, take, eps, eps_root):
    v = beta * v + take * g * g
    a = beta * a + take * g
    return w - rate(v, a, lr, eps, eps_root) * g, v, a


def idle(w, v, a, k, /, beta):
    """k steps with g = 0: w rests, both averages decay."""
    rest = beta**k
    return w, rest * v, rest * a


OUTSIDE, INSIDE = {"eps_root": 0.0}, {"eps": 0.0}
KERAS = {"learning_rate": "lr", "rho": "beta"}
OPTAX = {"learning_rate": "lr", "decay": "beta", "eps": "eps_root", "initial_scale": "v"}
ONLY = {"eps_in_sqrt": True, "bias_correction": False, "nesterov": False}  # of Optax's forms
TF1 = {"learning_rate": "lr", "decay": "beta", "epsilon": "eps_root"}

DIALECTS = {
    "torch": row(
        "2.13.0",
        optimizer="RMSprop",
        options={"centered": True, "momentum": 0},
        states={"v": "square_avg", "a": "grad_avg"},
        names={"lr": "lr", "alpha": "beta", "eps": "eps"},
        pinned=OUTSIDE,
    ),
    "keras": row(
        "3.15.1",
        optimizer="RMSprop",
        options={"centered": True},
        states={"v": "_velocities", "a": "_average_gradients"},
        names={**KERAS, "epsilon": "eps_root"},
        pinned=INSIDE,
        lr=1e-3,
        beta=0.9,
        eps_root=1e-7,
    ),
    "tf.keras-legacy": row(
        "2.21.0",
        names={**KERAS, "epsilon": "eps"},
        pinned=OUTSIDE,
        ramps={"decay": inverse_time},
        lr=1e-3,
        beta=0.9,
        eps=1e-7,
    ),
    "optax": row(
        "0.2.8",
        optimizer="rmsprop",
        options={"centered": True, **ONLY},
        states={"v": "ScaleByRStdDevState.nu", "a": "ScaleByRStdDevState.mu"},
        names=OPTAX,
        pinned=INSIDE,
        beta=0.9,
        eps_root=1e-8,
    ),
    "tf1": row("2.21.0", names=TF1, pinned=INSIDE, beta=0.9, eps_root=1e-10, v=1.0),
}


@rule(step, rate=rate, idle=idle, clock=clock, dialects=DIALECTS)
class RMSpropCentred(Rule):
    """RMSprop with the square of the mean gradient taken off."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    beta: Scalar = fraction(default=0.99, text="what is kept of the past averages")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    v: float = state(default=0.0, unit="g^2", text="average of squared gradients")
    a: float = state(default=0.0, unit="g", signed=True, text="average of gradients")
