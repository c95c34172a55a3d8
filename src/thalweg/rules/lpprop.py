r"""LpProp: RMSprop in any L^p norm, from p = 1 over p = 2 (RMSprop, beta^2 for beta) to MaxProp.

    u_t = (beta^p * u_{t-1}^p + (1 - beta^p) * |g_t|^p)^(1/p)
    w_t = w_{t-1} - lr / (u_t + eps) * g_t

computed with the larger of u and |g| divided out before any power, so that p = 100 neither over- nor
underflows. For p = 1, 2 and 4 the printed kernels have no powers.
Intuition: RMSprop's root mean square is one of a family of averages: p = 1 is the mean size, and a large p
sees only the largest. The larger p, the longer one large gradient is felt, and the smaller the steps after
it. It shows that the way from RMSprop to MaxProp is a continuous one.
Use: For teaching, and to ask whether a result depends on the norm.
Avoid: In training: RMSprop is the common case and MaxProp the stable limit, and both do without powers.
Seen: p=booth&n=100&o=LpProp,lr=0.3,p=1;LpProp,lr=0.3,p=2;LpProp,lr=0.3,p=100 From one start at one rate: the
larger p, the longer the steep beginning is remembered.
Units: u is g, lr is w, eps is g, p has none.
Source: the notes' L^p norm; Kingma & Ba, arXiv 1412.6980 (2015), section 7.1, equations 6-11.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import (
    Rule,
    Scalar,
    abs,
    fraction,
    maximum,
    minimum,
    nonnegative,
    number,
    ratio,
    row,
    rule,
    state,
    where,
)


def clock(t, beta, p):
    return {"keep": beta**p, "take": 1 - beta**p, "root": 1 / p}


def rate(u, /, lr, eps):
    """Effective learning rate, w/g: the factor on g once u has taken g in."""
    return ratio(lr, u + eps)


def step(w, g, u, /, lr, p, keep, take, root, eps):
    new = abs(g)
    size = maximum(u, new)
    small = ratio(minimum(u, new), size)
    u = size * (where(u > new, keep, take) + where(u > new, take, keep) * small**p) ** root
    return w - rate(u, lr, eps) * g, u


def idle(w, u, k, /, beta):
    """k steps with g = 0: w rests, the norm decays."""
    return w, beta**k * u


DIALECTS = {
    "notes": row(names={"eta": "lr"}, beta=0.9, eps=1e-8),
}


@rule(step, rate=rate, idle=idle, clock=clock, dialects=DIALECTS)
class LpProp(Rule):
    """The L^p norm of recent gradients sets the rate, one coordinate at a time."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    beta: Scalar = fraction(default=0.99, text="what is kept of the past norm")
    p: Scalar = number(default=2.0, low=1.0, unit="1", text="which norm: 1, 2, ...")
    eps: Scalar = nonnegative(default=1e-8, unit="g", text="added to u")
    u: float = state(default=0.0, unit="g", text="L^p norm of recent gradients")
