r"""Adamax: Adam with the largest recent gradient in place of the root mean square.

    m_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    u_t = max(beta2 * u_{t-1}, |g_t| + eps_in)
    w_t = w_{t-1} - lr / (1 - beta1^t) / (u_t + eps) * m_t

Intuition: Adam with the largest recent gradient in place of the root mean square. A maximum is right from
its first gradient, so that only the average needs its start corrected. A large gradient holds the rate down
for long: the maximum fades only by beta2 a step.
Use: As Adam, where a coordinate's gradients are rare or vary in size: models with embeddings.
Avoid: With outliers, each of which is felt for a thousand steps at beta2 = 0.999.
Seen: p=rosenbrock&n=200&o=Adamax,lr=0.1;Adam,lr=0.1 After the steep beginning the maximum fades slowly, and
Adamax turns into the valley with shorter steps.
Units: m and u are g, lr is w, eps and eps_in are g. A row without eps takes 0/0 as 0.
Source: Kingma & Ba, arXiv 1412.6980 (2015), section 7.1 and algorithm 2.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import (
    IdleModel,
    Rule,
    Scalar,
    abs,
    fraction,
    inverse_time,
    maximum,
    nonnegative,
    ratio,
    row,
    rule,
    state,
    where,
)


def clock(t, lr, beta1):
    return {"take1": 1 - beta1, "size": lr / (1 - beta1**t)}


def rate(u, /, size, eps):
    """Effective learning rate, w/g: the factor on m."""
    return ratio(size, u + eps)


def step(w, g, m, u, /, beta1, take1, beta2, size, eps, eps_in):
    m = beta1 * m + take1 * g
    u = maximum(beta2 * u, abs(g) + eps_in)
    return w - rate(u, size, eps) * m, m, u


def gain(rate, /, t, beta1):
    """Under a constant gradient m is ``1 - beta1**t`` of it."""
    return rate * (1 - beta1**t)


def shrink(beta1, beta2):
    return beta1 / beta2


def idle_states(m, u, k, /, beta1, beta2, eps_in):
    return beta1**k * m, where(k > 0, maximum(beta2**k * u, eps_in), u)


IDLE_MODEL = IdleModel(shrink, idle_states)


OUTSIDE, WITHIN = {"eps_in": 0.0}, {"eps": 0.0}
KERAS = {"learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}
OPTAX = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "eps": "eps_in"}

DIALECTS = {
    "notes": row(names={"eta": "lr"}, pinned=OUTSIDE, eps=1e-8),
    "paper": row("arXiv 1412.6980v9", names={"alpha": "lr"}, pinned={"eps": 0.0, "eps_in": 0.0}),
    "torch": row(
        "2.13.0",
        optimizer="Adamax",
        states={"m": "exp_avg", "u": "exp_inf"},
        names={"lr": "lr", "betas": ("beta1", "beta2"), "eps": "eps_in"},
        pinned=WITHIN,
    ),
    "keras": row(
        "3.15.1",
        optimizer="Adamax",
        states={"m": "_m", "u": "_u"},
        names=KERAS,
        pinned=OUTSIDE,
        lr=1e-3,
        eps=1e-7,
    ),
    "tf.keras-legacy": row(
        "2.21.0", names=KERAS, pinned=OUTSIDE, ramps={"decay": inverse_time}, lr=1e-3, eps=1e-7
    ),
    "optax": row(
        "0.2.8",
        optimizer="adamax",
        states={"m": "ScaleByAdamState.mu", "u": "ScaleByAdamState.nu"},
        names=OPTAX,
        pinned=WITHIN,
    ),
    "tf1": row(
        "2.21.0",
        names={"learning_rate": "lr", "epsilon": "eps"},
        pinned=OUTSIDE,
        eps=1e-8,
        note="the raw op ApplyAdaMax",
    ),
    "ensmallen": row(
        "f65354c0", names={"stepSize": "lr", "epsilon": "eps"}, pinned=OUTSIDE, lr=1e-3, eps=1e-8
    ),
}


@rule(step, rate=rate, gain=gain, clock=clock, idle_model=IDLE_MODEL, dialects=DIALECTS)
class Adamax(Rule):
    """Adam in the infinity norm."""

    lr: Scalar = nonnegative(default=2e-3, unit="w", text="learning rate")
    beta1: Scalar = fraction(default=0.9, text="what is kept of the average gradient")
    beta2: Scalar = fraction(default=0.999, text="how slowly a large gradient is forgotten")
    eps: Scalar = nonnegative(default=0.0, unit="g", text="added to u")
    eps_in: Scalar = nonnegative(default=1e-8, unit="g", text="added to |g| inside the maximum")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
    u: float = state(default=0.0, unit="g", text="largest recent gradient")
