r"""RMSprop with momentum, the learning rate outside (torch).

    v_t = beta * v_{t-1} + (1 - beta) * g_t^2
    b_t = mu * b_{t-1} + g_t / (sqrt(v_t + eps_root) + eps)
    w_t = w_{t-1} - lr * b_t

Intuition: RMSprop chooses each coordinate's scale, and momentum sums the scaled gradients. Steady directions
gain as they do from a heavy ball, and alternating ones cancel. Its steps are as many times RMSprop's as the
memory is long.
Use: To follow recipes that were tuned with it, such as those of Inception, MobileNet and EfficientNet.
Avoid: At RMSprop's own rate, since the sum makes steps up to ten times as long at mu = 0.9; and for new
work, where Adam's average keeps the meaning of lr.
Seen: p=rosenbrock&n=300&o=RMSpropMomentum,lr=0.002;RMSprop,lr=0.002 The sum of the scaled gradients runs
along the floor about as many times faster as its memory is long.
Units: v is g^2, b has none, lr is w, eps is g, eps_root is g^2.
Source: Graves, arXiv 1308.0850 (2013), equations 38-41, in torch.optim.RMSprop's arrangement.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, nonnegative, ratio, row, rule, sqrt, state


def clock(t, lr, mu, beta):
    return {"take": 1 - beta, "push": lr * mu}


def inverse(v, /, eps, eps_root):
    return ratio(1, sqrt(v + eps_root) + eps)


def rate(scale, /, lr):
    """Effective learning rate, w/g: the factor on g in this step's update."""
    return lr * scale


def step(w, g, v, b, /, lr, mu, beta, take, push, eps, eps_root):
    v = beta * v + take * g * g
    scale = inverse(v, eps, eps_root)
    return w - (push * b + rate(scale, lr) * g), v, mu * b + scale * g


def gain(rate, /, mu):
    """Under a constant gradient ``lr * b`` settles at ``rate / (1 - mu)`` of it."""
    return rate / (1 - mu)


def idle(w, v, b, k, /, lr, mu, beta):
    """k steps with g = 0: v decays, b runs out as a geometric sum."""
    rest = mu**k
    return w - lr * b * mu * (1 - rest) / (1 - mu), beta**k * v, rest * b


def shrink(mu):
    return mu


def idle_states(v, b, k, /, mu, beta):
    return beta**k * v, mu**k * b


def move_terms(v, b, /):
    return b, 1, 0


def move_scale(k, /, lr, mu):
    return lr * mu**k, 1


IDLE_MODEL = IdleModel(shrink, idle_states, move_terms=move_terms, move_scale=move_scale)


DIALECTS = {
    "torch": row(
        "2.13.0",
        optimizer="RMSprop",
        options={"centered": False},
        states={"v": "square_avg", "b": "momentum_buffer"},
        names={"lr": "lr", "alpha": "beta", "eps": "eps", "momentum": "mu"},
        pinned={"eps_root": 0.0},
    ),
}


@rule(step, rate=rate, gain=gain, idle=idle, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class RMSpropMomentum(Rule):
    """RMSprop whose normalised gradients are summed with momentum."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    mu: Scalar = fraction(default=0.9, text="momentum: what is kept of the past sum")
    beta: Scalar = fraction(default=0.99, text="what is kept of the past average")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    v: float = state(default=0.0, unit="g^2", text="average of squared gradients")
    b: float = state(default=0.0, unit="1", signed=True, text="decaying sum of normalised gradients")
