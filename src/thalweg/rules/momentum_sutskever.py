r"""Momentum in Sutskever's form: a velocity with the learning rate inside.

    v_t = beta * v_{t-1} - lr * g_t
    w_t = w_{t-1} + v_t

Intuition: The heavy ball's memory as a velocity, in the unit of the weights: what is kept is the last move
itself. At a constant rate it walks the very path of Momentum. When the rate falls, earlier moves still count
at the rate at which they were made, so this form brakes later.
Use: To follow Keras or TensorFlow, and texts that speak of a velocity.
Avoid: Where the rate is cut at once by a large factor: the velocity goes on at the old one for as long as
the memory lasts, which Momentum's own form does not.
Seen: p=himmelblau&x=0,0&n=150&o=MomentumSutskever,lr=0.001,beta=0.5;MomentumSutskever,lr=0.001;MomentumSutskever,lr=0.001,beta=0.98
Three memories: the longer the velocity lasts, the farther it is thrown past the valley's floor.
Units: v is w (heavy ball's m is g), lr is w/g. With a constant lr both walk the same path; after a
change of lr this velocity still carries the old one.
Source: Sutskever, Martens, Dahl & Hinton, ICML 2013, equations 1-2.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, inverse_time, nonnegative, row, rule, state


def rate(lr):
    """The factor on g as it enters the velocity, w/g."""
    return lr


def step(w, g, v, /, lr, beta):
    v = beta * v - rate(lr) * g
    return w + v, v


def gain(rate, /, beta):
    """Under a constant gradient v settles at ``-rate / (1 - beta)`` of it."""
    return rate / (1 - beta)


def idle(w, v, k, /, beta):
    """k steps with g = 0: a geometric sum; lr plays no part."""
    rest = beta**k
    return w + v * beta * (1 - rest) / (1 - beta), rest * v


def shrink(beta):
    return beta


def idle_states(v, k, /, beta):
    return beta**k * v


def move_terms(v, /):
    return v, 1, 0


def move_scale(k, /, beta):
    return -(beta**k), 1


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale)


KERAS = {"learning_rate": "lr", "momentum": "beta"}

DIALECTS = {
    "keras": row("3.15.1", optimizer="SGD", states={"v": "momentums"}, names=KERAS, lr=1e-2, beta=0.0),
    "tf.keras-legacy": row("2.21.0", names=KERAS, ramps={"decay": inverse_time}, lr=1e-2, beta=0.0),
    "ensmallen": row("f65354c0", names={"stepSize": "lr", "momentum": "beta"}, lr=1e-2, beta=0.5),
}


@rule(step, rate=rate, gain=gain, idle=idle, idle_model=IDLE_MODEL, dialects=DIALECTS)
class MomentumSutskever(Rule):
    """Momentum whose velocity has the parameter's unit."""

    lr: Scalar = nonnegative(default=1e-3, unit="w/g", text="learning rate")
    beta: Scalar = fraction(default=0.9, text="momentum: what is kept of the velocity")
    v: float = state(default=0.0, unit="w", signed=True, text="velocity")
