r"""Adagrad: one learning rate for each coordinate, shrinking with the gradients it has seen.

    s_t = s_{t-1} + g_t^2
    w_t = w_{t-1} - lr / (sqrt(s_t + eps_root) + eps) * g_t

Intuition: Each coordinate divides its rate by the root of all the squared gradients that it has seen. Steep
or often updated coordinates get small steps, rare ones keep large steps, and no scale has to be known
beforehand. Since the sum only grows, every rate only falls.
Use: For sparse features, where some weights get a gradient once in a thousand steps, and for convex problems
of unknown scales.
Avoid: Where the way is long, or the first gradients are far larger than the later ones: the sum keeps them
for ever.
Seen: p=gutter&n=300&o=Adagrad,lr=0.1;RMSprop,lr=0.1 On a constant slope RMSprop strides on, about a rate at
a step; Adagrad slows down as the root of the steps.
Units: s is g^2, lr is w, eps is g, eps_root is g^2. A row without eps takes 0/0 as 0.
Source: Duchi, Hazan & Singer, JMLR 12 (2011) 2121-2159, figure 1; their delta is eps.
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import Rule, Scalar, inverse_time, nonnegative, ratio, row, rule, sqrt, state


def rate(s, /, lr, eps, eps_root):
    """Effective learning rate, w/g: the factor on g once s has taken g in."""
    return ratio(lr, sqrt(s + eps_root) + eps)


def step(w, g, s, /, lr, eps, eps_root):
    s = s + g * g
    return w - rate(s, lr, eps, eps_root) * g, s


def idle(w, s, k, /):
    """k steps with g = 0: nothing moves."""
    return w, s


OUTSIDE, INSIDE, NONE = {"eps_root": 0.0}, {"eps": 0.0}, {"eps": 0.0, "eps_root": 0.0}
START = {"initial_accumulator_value": "s"}
KERAS = {"learning_rate": "lr", **START}

DIALECTS = {
    "notes": row(names={"eta": "lr"}, pinned=OUTSIDE, lr=0.1, eps=1e-8),
    "notes-code": row(names={"eta": "lr"}, pinned=OUTSIDE, lr=0.1, eps=1e-8),
    "darve": row(names={"eps": "eps_root"}, pinned=INSIDE, eps_root=1e-7, note="g over the batch size"),
    "slides": row(names={"eta": "lr", "eps": "eps_root"}, pinned=INSIDE, eps_root=1e-8),
    "torch": row(
        "2.13.0",
        optimizer="Adagrad",
        states={"s": "sum"},
        names={"lr": "lr", "eps": "eps", **START},
        pinned=OUTSIDE,
        ramps={"lr_decay": inverse_time},
    ),
    "keras": row(
        "3.15.1",
        optimizer="Adagrad",
        states={"s": "_accumulators"},
        names={**KERAS, "epsilon": "eps_root"},
        pinned=INSIDE,
        lr=1e-3,
        eps_root=1e-7,
        s=0.1,
    ),
    "tf.keras-legacy": row(
        "2.21.0",
        names={**KERAS, "epsilon": "eps"},
        pinned=OUTSIDE,
        ramps={"decay": inverse_time},
        lr=1e-3,
        eps=1e-7,
        s=0.1,
    ),
    "optax": row(
        "0.2.8",
        optimizer="adagrad",
        states={"s": "ScaleByRssState.sum_of_squares"},
        names={**KERAS, "eps": "eps_root"},
        pinned=INSIDE,
        eps_root=1e-7,
        s=0.1,
    ),
    "tf1": row("2.21.0", names=KERAS, pinned=NONE, s=0.1),
    "ensmallen": row("f65354c0", names={"stepSize": "lr", "epsilon": "eps"}, pinned=OUTSIDE, eps=1e-8),
}


@rule(step, rate=rate, idle=idle, dialects=DIALECTS)
class Adagrad(Rule):
    """Adaptive subgradient method, one coordinate at a time."""

    lr: Scalar = nonnegative(default=1e-2, unit="w", text="learning rate")
    eps: Scalar = nonnegative(default=1e-10, unit="g", text="added outside the root")
    eps_root: Scalar = nonnegative(default=0.0, unit="g^2", text="added inside the root")
    s: float = state(default=0.0, unit="g^2", text="sum of squared gradients")
