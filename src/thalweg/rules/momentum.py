r"""Momentum, heavy ball: the update follows a decaying sum of gradients, the learning rate outside.

    m_t = beta * m_{t-1} + take * g_t        take = 1 - dampening after the first step, else 1
    w_t = w_{t-1} - lr * m_t

Intuition: A heavy ball: the update is a fading sum of all gradients so far. Along the floor of a valley
gradients agree and add up, to ten times one of them at beta = 0.9; across it they change sign and cancel.
The price is inertia: the ball runs past the minimum and comes back.
Use: In narrow valleys, and as the first thing to try after gradient descent.
Avoid: Where coordinates differ in scale, since it has one rate for all; and at the rate that was tuned for
gradient descent, since the sum makes its steps several times as long.
Seen: p=ill-conditioned&x=100,1&n=200&o=Momentum,lr=0.01;SGD,lr=0.0196 Along the floor the sum of the
gradients carries it to the minimum, and past it, while gradient descent is still on its way.
Units: m is g, lr is w/g. The slides average instead of summing (take = 1 - beta): row ``slides``.
Source: Polyak, USSR Comput. Math. Math. Phys. 4 (1964) 1-17; torch's form of it.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, nonnegative, number, row, rule, state, where


def clock(t, beta, dampening):
    """torch starts m with the raw gradient: dampening begins at the second step."""
    return {"take": where(t > 1, 1 - dampening, 1)}


def average(t, beta):
    return {"take": 1 - beta}


def rate(lr):
    """The factor on m, w/g; on a constant gradient the gain is this times ``take / (1 - beta)``."""
    return lr


def step(w, g, m, /, lr, beta, take):
    m = beta * m + take * g
    return w - rate(lr) * m, m


def gain(rate, /, beta, take):
    """Under a constant gradient m settles at ``take / (1 - beta)`` of it."""
    return rate * (take / (1 - beta))


def idle(w, m, k, /, lr, beta):
    """k steps with g = 0: a geometric sum, of k equal moves where nothing is forgotten."""
    rest = beta**k
    forgets = where(beta < 1, 1 - beta, 1)
    return w - where(beta < 1, lr * m * beta * (1 - rest) / forgets, lr * m * k), rest * m


def shrink(beta):
    return beta


def idle_states(m, k, /, beta):
    return beta**k * m


def move_terms(m, /):
    return m, 1, 0


def move_scale(k, /, lr, beta):
    return lr * beta**k, 1


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale)


DIALECTS = {
    "slides": row(
        names={"eta": "lr"},
        pinned={"dampening": 0.0},
        clock=average,
        beta=0.9,
        note="an average; the slides print +, the gradient is descended",
    ),
    "torch": row(
        "2.13.0",
        optimizer="SGD",
        options={"nesterov": False},
        states={"m": "momentum_buffer"},
        names={"lr": "lr", "momentum": "beta", "dampening": "dampening"},
        lr=1e-3,
        beta=0.0,
    ),
    "optax": row(
        "0.2.8",
        optimizer="sgd",
        options={"nesterov": False},
        states={"m": "TraceState.trace"},
        names={"learning_rate": "lr", "momentum": "beta"},
        pinned={"dampening": 0.0},
    ),
    "tf1": row("2.21.0", names={"learning_rate": "lr", "momentum": "beta"}, pinned={"dampening": 0.0}),
}


@rule(step, rate=rate, gain=gain, idle=idle, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class Momentum(Rule):
    """Heavy-ball momentum."""

    lr: Scalar = nonnegative(default=1e-3, unit="w/g", text="learning rate")
    beta: Scalar = number(
        default=0.9, low=0.0, high=1.0, unit="1", text="momentum: what is kept of the past sum"
    )
    dampening: Scalar = fraction(default=0.0, text="how much less than whole new gradients enter")
    m: float = state(default=0.0, unit="g", signed=True, text="decaying sum of gradients")
