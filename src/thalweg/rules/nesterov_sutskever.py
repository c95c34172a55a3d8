r"""Nesterov momentum with the learning rate inside the velocity, as Keras and ensmallen write it.

    v_t = beta * v_{t-1} - lr * g_t
    w_t = w_{t-1} + beta * v_t - lr * g_t

Intuition: Nesterov's look ahead on a velocity that has the unit of the weights. At a constant rate its path
is that of Nesterov. When the rate falls, the velocity still holds moves made at the old one, and the
gradient at the new place corrects them.
Use: To follow Keras, TensorFlow or ensmallen.
Avoid: Where the rate is cut at once by a large factor: it obeys later than Nesterov's own form.
Seen: p=rosenbrock&n=300&o=NesterovSutskever,lr=0.001;MomentumSutskever,lr=0.001 In the bend the look ahead
keeps to the floor, where heavy ball swings from wall to wall; along it both run alike.
Units: v is w, lr is w/g.
Source: Sutskever, Martens, Dahl & Hinton, ICML 2013, equations 3-4, at the stored w.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, inverse_time, nonnegative, row, rule, state


def rate(lr):
    """The factor on g, w/g."""
    return lr


def step(w, g, v, /, lr, beta):
    move = rate(lr) * g
    v = beta * v - move
    return w + (beta * v - move), v


def gain(rate, /, beta):
    """Under a constant gradient v settles at ``-rate / (1 - beta)`` of it, and a move too."""
    return rate / (1 - beta)


def idle(w, v, k, /, beta):
    """k steps with g = 0: a geometric sum; lr plays no part."""
    rest = beta**k
    return w + v * beta * beta * (1 - rest) / (1 - beta), rest * v


def shrink(beta):
    return beta


def idle_states(v, k, /, beta):
    return beta**k * v


def move_terms(v, /):
    return v, 1, 0


def move_scale(k, /, beta):
    return -(beta ** (k + 1)), 1


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale)


KERAS = {"learning_rate": "lr", "momentum": "beta"}

DIALECTS = {
    "keras": row(
        "3.15.1",
        optimizer="SGD",
        options={"nesterov": True},
        states={"v": "momentums"},
        names=KERAS,
        lr=1e-2,
        beta=0.0,
    ),
    "tf.keras-legacy": row("2.21.0", names=KERAS, ramps={"decay": inverse_time}, lr=1e-2, beta=0.0),
    "ensmallen": row("f65354c0", names={"stepSize": "lr", "momentum": "beta"}, lr=1e-2, beta=0.5),
}


@rule(step, rate=rate, gain=gain, idle=idle, idle_model=IDLE_MODEL, dialects=DIALECTS)
class NesterovSutskever(Rule):
    """Nesterov momentum whose velocity has the parameter's unit."""

    lr: Scalar = nonnegative(default=1e-3, unit="w/g", text="learning rate")
    beta: Scalar = fraction(default=0.9, text="momentum: what is kept of the velocity")
    v: float = state(default=0.0, unit="w", signed=True, text="velocity")
