r"""Gradient descent: one learning rate for every coordinate, the yardstick of all others.

    w_t = w_{t-1} - lr * g_t

Intuition: Every coordinate moves against its gradient, all by the same factor. On a bowl the factor must be
small enough for the steepest direction, and the flattest one then takes longer by as much as it is flatter.
Nothing is remembered: a step depends on the place where it is taken and on nothing else.
Use: As the yardstick; where coordinates have like scales, where no memory is left for states, or where a
theorem on gradient descent is to apply.
Avoid: Where curvatures differ by orders of magnitude or features are rare: it zigzags across and creeps
along.
Seen: p=ill-conditioned&x=100,1&n=200&o=SGD,lr=0.0196;SGD,lr=0.005 Just below its limit it crosses the valley
at every step and creeps along it; at a quarter of that rate it no longer crosses, and creeps the slower.
Units: lr is w/g, so the best rate changes with the scale of every coordinate.
Source: Robbins & Monro, Ann. Math. Statist. 22 (1951) 400-407; Cauchy, C. R. Acad. Sci. 25 (1847).
Errors: HyperparameterError when a value leaves the range on its line below.
"""

from ..core import Rule, Scalar, inverse_time, nonnegative, row, rule


def rate(lr):
    """Effective learning rate, w/g."""
    return lr


def step(w, g, /, lr):
    return w - rate(lr) * g


def idle(w, k, /):
    """k steps with g = 0: nothing moves."""
    return w


TORCH = {
    ("momentum",): "Momentum",
    ("dampening", "momentum"): "Momentum",
    ("momentum", "nesterov"): "Nesterov",
    ("dampening",): "SGD",
}
KERAS = {("momentum",): "MomentumSutskever", ("momentum", "nesterov"): "NesterovSutskever"}
OPTAX = {("momentum",): "Momentum", ("momentum", "nesterov"): "Nesterov"}

DIALECTS = {
    "notes": row(note="the sources' yardstick"),
    "torch": row(
        "2.13.0", optimizer="SGD", options={"momentum": 0}, names={"lr": "lr"}, members=TORCH, lr=1e-3
    ),
    "keras": row("3.15.1", optimizer="SGD", names={"learning_rate": "lr"}, members=KERAS, lr=1e-2),
    "tf.keras-legacy": row(
        "2.21.0", names={"learning_rate": "lr"}, ramps={"decay": inverse_time}, members=KERAS, lr=1e-2
    ),
    "optax": row(
        "0.2.8", optimizer="sgd", options={"nesterov": False}, names={"learning_rate": "lr"}, members=OPTAX
    ),
    "tf1": row("2.21.0", names={"learning_rate": "lr"}),
    "ensmallen": row(
        "f65354c0", names={"stepSize": "lr"}, lr=1e-2, note="stepSize is divided by its batch size"
    ),
}


@rule(step, rate=rate, idle=idle, dialects=DIALECTS)
class SGD(Rule):
    """Gradient descent, full-batch or stochastic."""

    lr: Scalar = nonnegative(default=1e-3, unit="w/g", text="learning rate")
