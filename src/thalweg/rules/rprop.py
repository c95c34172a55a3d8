r"""Rprop: every coordinate has a step size of its own, which grows while the gradient keeps its sign.

    s_t = clip(s_{t-1} * c_t, low, high)    c_t = up, down or 1 where g_t p_{t-1} is above, below or at 0; s_0 = lr
    p_t = 0 where the sign has turned, else g_t
    w_t = w_{t-1} - s_t * sign(p_t)

Intuition: Every coordinate keeps a step size of its own: it grows by a fifth while the gradient keeps its
sign, and is halved when the sign turns. How large a gradient is plays no part, only where it points. Plains
are crossed in strides that grow geometrically, and a wall costs a few halvings.
Use: For gradients of all the data: small networks, fits to tables, functions without noise.
Avoid: With mini-batches: a noisy gradient's sign turns by chance, and the step sizes collapse.
Seen: p=gutter&n=60&o=Rprop,lr=0.01;SGD,lr=0.01 From the same first step its strides grow by a fifth each,
until the sign turns; gradient descent keeps to the slope.
Units: s, lr, low and high are w, p is g. For gradients of all the data: only their signs count.
Source: Riedmiller & Braun, IEEE ICNN (1993) 586-591; Igel & Huesken, NC (2000), iRprop-, which is torch's form.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import (
    Rule,
    Scalar,
    fraction,
    maximum,
    minimum,
    nonnegative,
    number,
    positive,
    row,
    rule,
    sign,
    state,
    where,
)


def started(s, lr):
    """The step size before this step: s is 0 until the first, and never again."""
    return where(s > 0, s, lr)


def rate(s, /):
    """The factor on the sign, w: the length of a move."""
    return s


def step(w, g, s, p, /, lr, down, up, low, high):
    turn = sign(g) * sign(p)
    s = started(s, lr)
    s = where(turn > 0, s * up, where(turn < 0, s * down, s))
    s = minimum(maximum(s, low), high)
    p = where(turn < 0, 0, g)
    return w - rate(s) * sign(p), s, p


def idle(w, s, p, k, /, lr, low, high):
    """k steps with g = 0: nothing moves, and the next gradient finds no sign to compare with."""
    return w, where(k > 0, minimum(maximum(started(s, lr), low), high), s), where(k > 0, 0, p)


TORCH = {"lr": "lr", "etas": ("down", "up"), "step_sizes": ("low", "high")}

DIALECTS = {
    "torch": row("2.13.0", optimizer="Rprop", states={"s": "step_size", "p": "prev"}, names=TORCH),
}


@rule(step, rate=rate, gain=None, idle=idle, dialects=DIALECTS)
class Rprop(Rule):
    """Resilient backpropagation, without going back over a minimum that was passed."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="first step size")
    down: Scalar = fraction(default=0.5, text="what is kept of a step size when the sign turns")
    up: Scalar = number(default=1.2, low=1.0, unit="1", text="growth of a step size while the sign stays")
    low: Scalar = positive(default=1e-6, unit="w", text="smallest step size")
    high: Scalar = positive(default=50.0, unit="w", text="largest step size")
    s: float = state(default=0.0, unit="w", text="step size; 0 before the first step")
    p: float = state(default=0.0, unit="g", signed=True, text="last gradient, 0 where its sign had turned")
