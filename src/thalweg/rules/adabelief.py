r"""AdaBelief: Adam over the gradients' squared surprise, their distance from the average gradient.

    m_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    s_t = beta2 * s_{t-1} + (1 - beta2) * (g_t - m_t)^2 + eps_in
    w_t = w_{t-1} - lr / (1 - beta1^t) / (sqrt(s_t / (1 - beta2^t)) + eps) * m_t

Intuition: Adam that divides by how far gradients lie from their average, not by how large they are. A
gradient that comes as expected is believed, and the step is long. One that surprises, by noise or at a turn,
is taken with care.
Use: As Adam, on long steady slopes and curved valleys where Adam is too timid.
Avoid: At Adam's eps without a thought: where nothing surprises, the denominator falls to eps, and eps is the
rate.
Seen: p=gutter&n=100&o=AdaBelief,lr=0.01;Adam,lr=0.01 On a constant slope nothing surprises: the denominator
falls, and the steps grow where Adam's stay lr.
Units: m is g, s and eps_in are g^2, lr is w, eps is g. The paper writes one epsilon for both, which
mixes two units; ``epsilon=`` sets both.
Source: Zhuang et al., arXiv 2010.07468 (NeurIPS 2020), algorithm 2.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import IdleModel, Rule, Scalar, fraction, nonnegative, ratio, row, rule, sqrt, state, where


def clock(t, lr, beta1, beta2):
    size = lr / (1 - beta1**t)
    return {"take1": 1 - beta1, "take2": 1 - beta2, "size": size, "fix": 1 / (1 - beta2**t)}


def rate(s, /, size, fix, eps):
    """Effective learning rate, w/g: the factor on m."""
    return ratio(size, sqrt(s * fix) + eps)


def step(w, g, m, s, /, beta1, take1, beta2, take2, size, fix, eps, eps_in):
    m = beta1 * m + take1 * g
    surprise = g - m
    s = beta2 * s + take2 * surprise * surprise + eps_in
    return w - rate(s, size, fix, eps) * m, m, s


def gain(rate, /, t, beta1):
    """Under a constant gradient m is ``1 - beta1**t`` of it."""
    return rate * (1 - beta1**t)


def shrink(beta1, beta2):
    return beta1 / sqrt(beta2)


def idle_states(m, s, k, /, beta1, beta2, eps_in):
    """s takes in what is left of m, squared: two geometric sums, which meet where beta1^2 = beta2."""
    old = beta2**k
    new = beta1 ** (2 * k)
    apart = where(beta2 == beta1 * beta1, 1, beta2 - beta1 * beta1)
    sums = where(beta2 == beta1 * beta1, k * old, beta1 * beta1 * (old - new) / apart)
    return beta1**k * m, old * s + (1 - beta2) * sums * m * m + eps_in * (1 - old) / (1 - beta2)


IDLE_MODEL = IdleModel(shrink, idle_states)


BOTH = {"epsilon": ("eps", "eps_in")}
OPTAX = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "eps", "eps_root": "eps_in"}

DIALECTS = {
    "paper": row("arXiv 2010.07468v5", names={"alpha": "lr", **BOTH}),
    "optax": row(
        "0.2.8",
        optimizer="adabelief",
        options={"nesterov": False},
        states={"m": "ScaleByBeliefState.mu", "s": "ScaleByBeliefState.nu"},
        names=OPTAX,
        eps=1e-16,
        eps_in=1e-16,
    ),
}


@rule(step, rate=rate, gain=gain, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS, aliases=BOTH)
class AdaBelief(Rule):
    """Adam that trusts gradients which come as expected."""

    lr: Scalar = nonnegative(default=1e-3, unit="w", text="learning rate")
    beta1: Scalar = fraction(default=0.9, text="what is kept of the average gradient")
    beta2: Scalar = fraction(default=0.999, text="what is kept of the average surprise")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added outside the root")
    eps_in: Scalar = nonnegative(default=1e-8, unit="g^2", text="added to s at every step")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
    s: float = state(default=0.0, unit="g^2", text="average squared surprise")
