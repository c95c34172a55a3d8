r"""MaxProp: RMSprop in the infinity norm, which is Adamax without momentum.

    v_t = max(beta * v_{t-1}, |g_t| + eps_in)
    w_t = w_{t-1} - lr / (v_t + eps) * g_t

Intuition: The denominator is the largest recent gradient, which fades by a fixed factor a step. A large
gradient is felt at once and forgotten exponentially, and nothing can overflow. No step is longer than lr,
since no gradient exceeds the largest.
Use: For bounded steps without momentum, and in teaching: it is the half of Adamax that scales.
Avoid: With outliers: one freak gradient shortens every step until it has faded.
Seen: p=booth&n=150&o=MaxProp,lr=0.3;RMSprop,lr=0.3 Near the minimum the maximum forgets slowly, so its steps
shrink with the gradients where RMSprop hops on.
Units: v is g, lr is w, eps and eps_in are g.
Source: the course that the notes follow (IIT Madras, deep learning, week 5); Kingma & Ba,
arXiv 1412.6980 (2015), section 7.1 with beta1 = 0.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import Rule, Scalar, abs, fraction, maximum, nonnegative, ratio, row, rule, state, where


def rate(v, /, lr, eps):
    """Effective learning rate, w/g: the factor on g once v has taken g in."""
    return ratio(lr, v + eps)


def step(w, g, v, /, lr, beta, eps, eps_in):
    v = maximum(beta * v, abs(g) + eps_in)
    return w - rate(v, lr, eps) * g, v


def idle(w, v, k, /, beta, eps_in):
    """k steps with g = 0: w rests, v decays down to eps_in."""
    return w, where(k > 0, maximum(beta**k * v, eps_in), v)


DIALECTS = {
    "notes": row(names={"eta": "lr"}, pinned={"eps_in": 0.0}, beta=0.9, eps=1e-8),
    "torch": row(
        "2.13.0",
        names={"lr": "lr", "eps": "eps_in"},
        pinned={"eps": 0.0},
        lr=2e-3,
        beta=0.999,
        eps_in=1e-8,
        note="torch's Adamax with betas=(0, beta)",
    ),
}


@rule(step, rate=rate, idle=idle, dialects=DIALECTS)
class MaxProp(Rule):
    """The largest recent gradient sets the rate, one coordinate at a time."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    beta: Scalar = fraction(default=0.99, text="how slowly a large gradient is forgotten")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added to v")
    eps_in: Scalar = nonnegative(default=0.0, unit="g", text="added to |g| inside the maximum")
    v: float = state(default=0.0, unit="g", text="largest recent gradient")
