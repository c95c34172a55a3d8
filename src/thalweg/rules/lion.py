r"""Lion: every coordinate moves by lr, along the sign of gradient and momentum mixed.

    c_t = beta1 * m_{t-1} + (1 - beta1) * g_t
    w_t = (1 - lr * weight_decay) * w_{t-1} - lr * sign(c_t)
    m_t = beta2 * m_{t-1} + (1 - beta2) * g_t

Intuition: Only the sign of a mixture of gradient and momentum is used: every coordinate moves by lr, at
every step. Sizes carry no information, so outliers do no harm, and one state is enough. At a constant rate
it never settles: it hops about the minimum by lr.
Use: For large networks in large batches, at a third to a tenth of Adam's rate, on a schedule that falls to
0.
Avoid: With small batches, whose signs are mostly noise; and at a constant rate where the end must be exact.
Seen: p=himmelblau&x=0,0&n=200&o=Lion,lr=0.05;Adam,lr=0.05 It walks by lr a coordinate, along diagonals where
no sign turns, and hops about the minimum where Adam comes to rest.
Units: m and c are g, lr is w, weight_decay is 1/w.
Source: Chen et al., arXiv 2302.06675 (NeurIPS 2023), program 1; its lambda is weight_decay.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import Rule, Scalar, fraction, minimum, nonnegative, ratio, row, rule, sign, state, where
from ..core.pieces import shrunk


def clock(t, lr, beta1, beta2, weight_decay):
    return {"keep": 1 - lr * weight_decay, "take1": 1 - beta1, "take2": 1 - beta2}


def rate(lr):
    """The factor on the sign of c, w: the length of a move."""
    return lr


def step(w, g, m, /, lr, keep, beta1, take1, beta2, take2):
    c = beta1 * m + take1 * g
    rest = shrunk(w, keep)
    return rest - rate(lr) * sign(c), beta2 * m + take2 * g


def idle(w, m, k, /, lr, beta1, beta2, weight_decay):
    """k steps with g = 0: m keeps its sign unless a beta is 0, and each move decays with w."""
    keep = 1 - lr * weight_decay
    n = where(beta1 > 0, where(beta2 > 0, k, minimum(k, 1)), 0)
    moves = where(keep == 1, n, keep ** (k - n) * ratio(1 - keep**n, 1 - keep))
    return keep**k * w - lr * sign(m) * moves, beta2**k * m


KERAS = {"learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2", "weight_decay": "weight_decay"}
OPTAX = {"learning_rate": "lr", "b1": "beta1", "b2": "beta2", "weight_decay": "weight_decay"}

DIALECTS = {
    "paper": row("arXiv 2302.06675", names={"eta": "lr", "lambda": "weight_decay"}),
    "keras": row("3.15.1", optimizer="Lion", states={"m": "_momentums"}, names=KERAS, lr=1e-3),
    "optax": row(
        "0.2.8", optimizer="lion", states={"m": "ScaleByLionState.mu"}, names=OPTAX, weight_decay=1e-3
    ),
}


@rule(step, rate=rate, gain=None, idle=idle, clock=clock, dialects=DIALECTS)
class Lion(Rule):
    """Evolved sign momentum."""

    lr: Scalar = nonnegative(default=1e-4, unit="w", text="learning rate, the length of a move")
    beta1: Scalar = fraction(default=0.9, text="the momentum's part in the mix")
    beta2: Scalar = fraction(default=0.99, text="what is kept of the average gradient")
    weight_decay: Scalar = nonnegative(default=0.0, unit="1/w", text="w shrinks by lr times this first")
    m: float = state(default=0.0, unit="g", signed=True, text="average gradient")
