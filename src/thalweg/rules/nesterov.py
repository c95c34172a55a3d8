r"""Nesterov momentum, as torch and Optax write it: look ahead along the new sum.

    m_t = beta * m_{t-1} + g_t
    w_t = w_{t-1} - lr * (g_t + beta * m_t)

Intuition: Momentum that first follows its memory and takes the gradient where that leads. It notices a turn
of the slope one step earlier, so it overshoots less. Across steep walls the look ahead damps as well: there
the gradient has the last word.
Use: Where heavy ball overshoots; on smooth convex problems, for which it was made.
Avoid: At heavy ball's largest rates: its own limit of stability is lower, at beta = 0.9 little more than a
third of it.
Seen: p=ill-conditioned&x=100,1&n=200&o=Nesterov,lr=0.01;Momentum,lr=0.01 At one rate and one memory the look
ahead takes away the swings across, and shortens those along the valley.
Units: m is g, lr is w/g.
Source: Nesterov, Soviet Math. Dokl. 27 (1983) 372-376; Sutskever et al., ICML 2013, equations 3-4,
rewritten so that the gradient is taken at the stored w.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, nonnegative, number, row, rule, state, where


def rate(lr):
    """The factor on ``g + beta * m``, w/g."""
    return lr


def step(w, g, m, /, lr, beta):
    m = beta * m + g
    return w - rate(lr) * (g + beta * m), m


def gain(rate, /, beta):
    """Under a constant gradient m settles at ``1 / (1 - beta)`` of it, and ``g + beta * m`` too."""
    return rate / (1 - beta)


def idle(w, m, k, /, lr, beta):
    """k steps with g = 0: a geometric sum, of k equal moves where nothing is forgotten."""
    rest = beta**k
    forgets = where(beta < 1, 1 - beta, 1)
    return w - where(beta < 1, lr * m * beta * beta * (1 - rest) / forgets, lr * m * k), rest * m


def shrink(beta):
    return beta


def idle_states(m, k, /, beta):
    return beta**k * m


def move_terms(m, /):
    return m, 1, 0


def move_scale(k, /, lr, beta):
    return lr * beta ** (k + 1), 1


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale)


DIALECTS = {
    "torch": row(
        "2.13.0",
        optimizer="SGD",
        options={"nesterov": True},
        states={"m": "momentum_buffer"},
        names={"lr": "lr", "momentum": "beta"},
        lr=1e-3,
    ),
    "optax": row(
        "0.2.8",
        optimizer="sgd",
        options={"nesterov": True},
        states={"m": "TraceState.trace"},
        names={"learning_rate": "lr", "momentum": "beta"},
    ),
    "tf1": row("2.21.0", names={"learning_rate": "lr", "momentum": "beta"}),
}


@rule(step, rate=rate, gain=gain, idle=idle, idle_model=IDLE_MODEL, dialects=DIALECTS)
class Nesterov(Rule):
    """Nesterov's accelerated gradient with a constant momentum."""

    lr: Scalar = nonnegative(default=1e-3, unit="w/g", text="learning rate")
    beta: Scalar = number(
        default=0.9, low=0.0, high=1.0, unit="1", text="momentum: what is kept of the past sum"
    )
    m: float = state(default=0.0, unit="g", signed=True, text="decaying sum of gradients")
