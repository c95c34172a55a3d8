r"""Centred RMSprop with momentum, the learning rate outside (torch).

    v_t = beta * v_{t-1} + (1 - beta) * g_t^2
    a_t = beta * a_{t-1} + (1 - beta) * g_t
    b_t = mu * b_{t-1} + g_t / (sqrt(max(v_t - a_t^2, 0) + eps_root) + eps)
    w_t = w_{t-1} - lr * b_t

Intuition: The average gradient is taken off before squaring, so the scale is the gradients' spread; momentum
sums what is left. Agreement between gradients counts twice, in the small spread and in the sum. So it speeds
up on steady slopes as no other rule here does.
Use: To follow Graves's recipe for recurrent networks as torch arranges it.
Avoid: On smooth problems without noise and with a tiny eps: what counts twice can run away.
Seen: p=gutter&n=300&o=RMSpropCentredMomentum,lr=0.001;RMSpropMomentum,lr=0.001 On a constant slope both
speed up; where the spread of the gradients dies away, the steps grow once more.
Units: v is g^2, a is g, b has none, lr is w, eps is g, eps_root is g^2.
Source: Graves, arXiv 1308.0850 (2013), equations 38-41, in torch.optim.RMSprop's arrangement.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, maximum, nonnegative, ratio, row, rule, sqrt, state


def clock(t, lr, mu, beta):
    return {"take": 1 - beta, "push": lr * mu}


def inverse(v, a, /, eps, eps_root):
    return ratio(1, sqrt(maximum(v - a * a, 0) + eps_root) + eps)


def rate(scale, /, lr):
    """Effective learning rate, w/g: the factor on g in this step's update."""
    return lr * scale


def step(w, g, v, a, b, /, lr, mu, beta, take, push, eps, eps_root):
    v = beta * v + take * g * g
    a = beta * a + take * g
    scale = inverse(v, a, eps, eps_root)
    return w - (push * b + rate(scale, lr) * g), v, a, mu * b + scale * g


def gain(rate, /, mu):
    """Under a constant gradient ``lr * b`` settles at ``rate / (1 - mu)`` of it."""
    return rate / (1 - mu)


def idle(w, v, a, b, k, /, lr, mu, beta):
    """k steps with g = 0: the averages decay, b runs out as a geometric sum."""
    rest = mu**k
    return w - lr * b * mu * (1 - rest) / (1 - mu), beta**k * v, beta**k * a, rest * b


def shrink(mu):
    return mu


def idle_states(v, a, b, k, /, mu, beta):
    return beta**k * v, beta**k * a, mu**k * b


def move_terms(v, a, b, /):
    return b, 1, 0


def move_scale(k, /, lr, mu):
    return lr * mu**k, 1


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale)


DIALECTS = {
    "torch": row(
        "2.13.0",
        optimizer="RMSprop",
        options={"centered": True},
        states={"v": "square_avg", "a": "grad_avg", "b": "momentum_buffer"},
        names={"lr": "lr", "alpha": "beta", "eps": "eps", "momentum": "mu"},
        pinned={"eps_root": 0.0},
    ),
}


@rule(step, rate=rate, gain=gain, idle=idle, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class RMSpropCentredMomentum(Rule):
    """Centred RMSprop whose normalised gradients are summed with momentum."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    mu: Scalar = fraction(default=0.9, text="momentum: what is kept of the past sum")
    beta: Scalar = fraction(default=0.99, text="what is kept of the past averages")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    v: float = state(default=0.0, unit="g^2", text="average of squared gradients")
    a: float = state(default=0.0, unit="g", signed=True, text="average of gradients")
    b: float = state(default=0.0, unit="1", signed=True, text="decaying sum of normalised gradients")
