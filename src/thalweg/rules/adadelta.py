r"""Adadelta: past updates over past gradients, so that the update has the parameter's unit.

    v_t = beta * v_{t-1} + (1 - beta) * g_t^2
    d_t = sqrt(u_{t-1} + eps_u) / sqrt(v_t + eps_v) * g_t
    w_t = w_{t-1} - lr * d_t
    u_t = beta * u_{t-1} + (1 - beta) * d_t^2

Intuition: The numerator is the root mean square of its own past moves, the denominator that of past
gradients, so that what comes out has the weights' unit. Rescale a coordinate and its path rescales with it,
without a rate to set. What sets the pace at the beginning is eps: the first moves come from it alone.
Use: Where coordinates have different units and no rate can be tuned.
Avoid: In short runs: with a small eps it begins in tiny moves and takes long to find its pace.
Seen: p=booth&n=300&o=Adadelta,lr=1,eps=1e-2;Adadelta,lr=1,eps=1e-4;Adadelta,lr=1,eps=1e-6 It has no rate to
tune, but eps decides how soon it gets going.
Units: v and eps_v are g^2, u and eps_u are w^2, lr has none. The texts write one eps for both, which
mixes two units; ``eps=`` sets both.
Source: Zeiler, arXiv 1212.5701 (2012), algorithm 1.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import Rule, Scalar, fraction, inverse_time, nonnegative, ratio, row, rule, sqrt, state


def clock(t, beta):
    return {"take": 1 - beta}


def rate(scale, /, lr):
    """Effective learning rate, w/g: the factor on g; it uses u as it was before this step."""
    return lr * scale


def step(w, g, v, u, /, lr, beta, take, eps_v, eps_u):
    v = beta * v + take * g * g
    scale = ratio(sqrt(u + eps_u), sqrt(v + eps_v))
    d = scale * g
    return w - rate(scale, lr) * g, v, beta * u + take * d * d


def idle(w, v, u, k, /, beta):
    """k steps with g = 0: w rests, both averages decay."""
    rest = beta**k
    return w, rest * v, rest * u


BOTH = ("eps_v", "eps_u")
NO_LR = {"lr": 1.0}
RATE = {"learning_rate": "lr", "rho": "beta", "epsilon": BOTH}
HERE = {"eps": BOTH}

DIALECTS = {
    "notes": row(names=HERE, pinned=NO_LR, beta=0.9, eps_v=1e-6, eps_u=1e-6),
    "slides": row(names=HERE, pinned=NO_LR, beta=0.9, eps_v=1e-6, eps_u=1e-6),
    "zeiler": row(names={"rho": "beta", "eps": BOTH}, pinned=NO_LR, beta=0.95, eps_v=1e-6, eps_u=1e-6),
    "torch": row(
        "2.13.0",
        optimizer="Adadelta",
        states={"v": "square_avg", "u": "acc_delta"},
        names={"lr": "lr", "rho": "beta", **HERE},
    ),
    "keras": row(
        "3.15.1",
        optimizer="Adadelta",
        states={"v": "_accumulated_grads", "u": "_accumulated_delta_vars"},
        names=RATE,
        lr=1e-3,
        beta=0.95,
        eps_v=1e-7,
        eps_u=1e-7,
    ),
    "tf.keras-legacy": row(
        "2.21.0", names=RATE, ramps={"decay": inverse_time}, lr=1e-3, beta=0.95, eps_v=1e-7, eps_u=1e-7
    ),
    "optax": row(
        "0.2.8",
        optimizer="adadelta",
        states={"v": "ScaleByAdaDeltaState.e_g", "u": "ScaleByAdaDeltaState.e_x"},
        names={"learning_rate": "lr", "rho": "beta", **HERE},
        note="its default lr=None ascends",
    ),
    "tf1": row("2.21.0", names=RATE, lr=1e-3, beta=0.95, eps_v=1e-8, eps_u=1e-8),
    "ensmallen": row("f65354c0", names={"stepSize": "lr", "rho": "beta", "epsilon": BOTH}, beta=0.95),
}


@rule(step, rate=rate, idle=idle, clock=clock, dialects=DIALECTS, aliases=HERE)
class Adadelta(Rule):
    """Adaptive learning rates from the root mean squares of updates and gradients."""

    lr: Scalar = nonnegative(default=1.0, unit="1", text="learning rate, a plain factor")
    beta: Scalar = fraction(default=0.9, text="what is kept of the past averages")
    eps_v: Scalar = nonnegative(default=1e-6, unit="g^2", text="added under the gradients' root")
    eps_u: Scalar = nonnegative(default=1e-6, unit="w^2", text="added under the updates' root")
    v: float = state(default=0.0, unit="g^2", text="average of squared gradients")
    u: float = state(default=0.0, unit="w^2", text="average of squared updates")
