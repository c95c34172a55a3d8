r"""RAdam: Adam that waits until the variance of its rate is tractable, then corrects for it.

    m_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    v_t = beta2 * v_{t-1} + (1 - beta2) * g_t^2
    n = 2 / (1 - beta2) - 1,  rho = n - 2 * t * beta2^t / (1 - beta2^t)
    r = sqrt((rho - 4) * (rho - 2) * n / ((n - 4) * (n - 2) * rho))
    w_t = w_{t-1} - lr / (1 - beta1^t) * m_t / scale                                   rho <= threshold
    w_t = w_{t-1} - lr / (1 - beta1^t) * r * sqrt(1 - beta2^t) / (sqrt(v_t) + eps) * m_t          later

Intuition: After a few steps an average of squares rests on a handful of numbers, so that Adam's rates
scatter most when they matter most. RAdam walks as momentum until the average can be trusted, and then lets
the scaling in by and by. It is a warm-up whose length need not be chosen.
Use: Where Adam needs a warm-up to survive its first steps.
Avoid: In runs of a few hundred steps, most of which are warm-up at beta2 = 0.999; and where the first
gradients are huge, since the first steps are proportional to them.
Seen: p=himmelblau&x=0,0&n=150&o=RAdam,lr=0.02;Adam,lr=0.02&t=5 Its first steps are momentum's, as long as
the gradients are; then the scaling comes in, so slowly that Adam is first in the end.
Units: m is g, v is g^2, lr is w, eps and scale are g, eps_root (under v's root) is g^2. The texts write
no scale: their first steps are lr * m, which has another unit than their later ones.
Source: Liu et al., arXiv 1908.03265 (ICLR 2020), algorithm 2, with a threshold of 4 and no eps; torch's form.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import (
    IdleModel,
    Rule,
    Scalar,
    fraction,
    nonnegative,
    number,
    positive,
    ratio,
    row,
    rule,
    sqrt,
    state,
    where,
)


def length(t, beta2):
    """How many gradients v averages, about."""
    return 2 / (1 - beta2) - 1 - 2 * t * beta2**t / (1 - beta2**t)


def rectification(rho, beta2):
    n = 2 / (1 - beta2) - 1
    return sqrt(ratio((rho - 4) * (rho - 2) * n, (n - 4) * (n - 2) * rho))


def clock(t, lr, beta1, beta2, threshold, scale):
    rho = length(t, beta2)
    r = rectification(rho, beta2)
    size = lr / (1 - beta1**t)
    adaptive = where(rho > threshold, size * r * sqrt(1 - beta2**t), 0)
    plain = where(rho > threshold, 0, size / scale)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": adaptive, "fix": 1, "plain": plain}


def corrected(t, lr, beta1, beta2, threshold, scale):
    """v is corrected before eps is added."""
    rho = length(t, beta2)
    r = rectification(rho, beta2)
    size = lr / (1 - beta1**t)
    fix = 1 / (1 - beta2**t)
    adaptive = where(rho > threshold, size * r, 0)
    plain = where(rho > threshold, 0, size / scale)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": adaptive, "fix": fix, "plain": plain}


def rate(v, /, size, fix, plain, eps, eps_root):
    """Effective learning rate, w/g: the factor on m."""
    return ratio(size, sqrt(v * fix + eps_root) + eps) + plain


def step(w, g, m, v, /, beta1, take1, beta2, take2, size, fix, plain, eps, eps_root):
    m = beta1 * m + take1 * g
    v = beta2 * v + take2 * g * g
    return w - rate(v, size, fix, plain, eps, eps_root) * m, m, v


def gain(rate, /, t, beta1):
    """Under a constant gradient m is ``1 - beta1**t`` of it."""
    return rate * (1 - beta1**t)


def shrink(beta1, beta2):
    return beta1 / sqrt(beta2)


def idle_states(m, v, k, /, beta1, beta2):
    return beta1**k * m, beta2**k * v


IDLE_MODEL = IdleModel(shrink, idle_states)


HELD = {"scale": 1.0, "eps_root": 0.0, "threshold": 5.0}
TORCH = {"lr": "lr", "betas": ("beta1", "beta2"), "eps": "eps"}
OPTAX = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "eps", "eps_root": "eps_root"}
PAPER = {"scale": 1.0, "eps": 0.0, "eps_root": 0.0, "threshold": 4.0}

DIALECTS = {
    "paper": row("arXiv 1908.03265v4", names={"alpha": "lr"}, pinned=PAPER, clock=corrected),
    "torch": row(
        "2.13.0",
        optimizer="RAdam",
        states={"m": "exp_avg", "v": "exp_avg_sq"},
        names=TORCH,
        pinned=HELD,
    ),
    "optax": row(
        "0.2.8",
        optimizer="radam",
        options={"nesterov": False},
        states={"m": "ScaleByAdamState.mu", "v": "ScaleByAdamState.nu"},
        names={**OPTAX, "threshold": "threshold"},
        pinned={"scale": 1.0},
        clock=corrected,
    ),
}


@rule(step, rate=rate, gain=gain, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class RAdam(Rule):
    """Rectified Adam."""

    lr: Scalar = nonnegative(default=1e-3, unit="w", text="learning rate")
    beta1: Scalar = fraction(default=0.9, text="what is kept of the average gradient")
    beta2: Scalar = fraction(default=0.999, text="what is kept of the average square")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    threshold: Scalar = number(default=5.0, low=4.0, unit="1", text="rho above which the rate adapts")
    scale: Scalar = positive(default=1.0, unit="g", text="what m is divided by before that")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
    v: float = state(default=0.0, unit="g^2", text="average squared gradient")
