r"""FTRL-Proximal: Adagrad's rates, and weights that an L1 penalty keeps at exactly 0; the standard of click logs.

    n_t = n_{t-1} + g_t^2
    sigma_t = (sqrt(n_t) - sqrt(n_{t-1})) / lr
    z_t = z_{t-1} + g_t - sigma_t * w_{t-1}
    w_t = 0 where |z_t| <= l1, else -(z_t - sign(z_t) l1) / ((beta + sqrt(n_t)) / lr + l2)

Where w is not 0, it says all of z. The state z is what w leaves unsaid: z itself where w is 0, else 0. A run
therefore goes on from any weights, from averages too, and a schedule of lr moves nothing by itself.
With ``r = lr / (beta + sqrt(n_t))`` the step is ``w - r (g + ...) / (1 + r l2)``: without penalties it is Adagrad's.
``cumulated``: every step brings its penalty, so that after t steps the totals are t l1 and t l2, and what
is learnt is the least mean loss + l1 |w| + l2 w²/2.

Intuition: It keeps the sum of all gradients and takes, at every step, the weights that would have been best
on it, held near 0 by penalties. A coordinate whose sum stays within l1 is exactly 0, not merely small. The
rates are Adagrad's.
Use: For linear models of very many sparse features: click logs, text.
Avoid: For networks; and without l1, where Adagrad does the same at less cost.
Seen: p=booth&n=100&o=FTRL,lr=4,l1=300;Adagrad,lr=4 The penalty catches the path on an axis, where one weight
is exactly 0, and lets it go once the sum of the gradients outweighs l1.
Units: n is g^2, z and l1 are g, beta is g, lr is w, l2 is g/w.
Source: McMahan et al., KDD 2013, algorithm 1; cumulated: McMahan, AISTATS 2011 (PMLR 15), theorem 2 and section 3.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import (
    Rule,
    Scalar,
    abs,
    maximum,
    minimum,
    nonnegative,
    ratio,
    row,
    rule,
    sign,
    sqrt,
    state,
    where,
)


def clock(t, l1, l2):
    return {"l1_before": l1, "l1_after": l1, "l2_before": l2, "l2_after": l2}


def cumulated(t, l1, l2):
    before = t - 1
    return {
        "l1_before": before * l1,
        "l1_after": t * l1,
        "l2_before": before * l2,
        "l2_after": t * l2,
    }


def rate(n, /, lr, beta):
    """Effective learning rate without penalties, w/g: the factor on g once n has taken g in."""
    return ratio(lr, beta + sqrt(n))


def moved(w, g, z, r, l1_before, l1_after, l2_before, l2_after):
    """w and z after a step at the rate r, in which the totals of the penalties may have grown."""
    told = sign(w) * l1_before
    v = w + r * (l2_before * w + told - z - g)
    push = g + z + (sign(v) * l1_after - told) + (l2_after - l2_before) * w
    after = where(abs(v) <= r * l1_after, 0.0, w - r * push / (1 + r * l2_after))
    whole = z + g - told - l2_before * w - ratio(w, r)
    return after, where(after == 0, minimum(maximum(whole, -l1_after), l1_after), 0.0)


def step(w, g, z, n, /, lr, beta, l1_before, l1_after, l2_before, l2_after):
    n = n + g * g
    w, z = moved(w, g, z, rate(n, lr, beta), l1_before, l1_after, l2_before, l2_after)
    return w, z, n


def idle(w, z, n, k, /):
    """k steps with g = 0: nothing moves."""
    return w, z, n


def idle_cumulated(w, z, n, k, /, t, lr, beta, l1, l2):
    """k steps with g = 0 after t steps: the penalties go on."""
    end = t + k
    w, z = moved(w, 0.0, z, rate(n, lr, beta), t * l1, end * l1, t * l2, end * l2)
    return w, z, n


NAMES = {"alpha": "lr", "beta": "beta", "lambda1": "l1", "lambda2": "l2"}

DIALECTS = {
    "paper": row("KDD 2013", names=NAMES),
    "cumulated": row(
        "AISTATS 2011",
        names=NAMES,
        clock=cumulated,
        idle=idle_cumulated,
        note="l1 and l2 are those of each step",
    ),
}


@rule(step, rate=rate, idle=idle, clock=clock, dialects=DIALECTS, cumulates="cumulated")
class FTRL(Rule):
    """Follow the regularized leader, proximal."""

    lr: Scalar = nonnegative(default=0.1, unit="w", text="learning rate, the paper's alpha")
    beta: Scalar = nonnegative(default=1.0, unit="g", text="added to the root")
    l1: Scalar = nonnegative(default=0.0, unit="g", text="L1 penalty, in all; cumulated: of each step")
    l2: Scalar = nonnegative(default=0.0, unit="g/w", text="L2 penalty, in all; cumulated: of each step")
    z: float = state(default=0.0, unit="g", signed=True, text="z of the paper where w is 0")
    n: float = state(default=0.0, unit="g^2", text="sum of squared gradients")
