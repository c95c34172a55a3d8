"""A sigmoid neuron with a sparse feature: the story of Adagrad in two weights.

    z = x + y on,   on = 1 with probability q, else 0
    f(x, y) = mean of 1/2 (s(z) - s(z*))^2        s(z) = 1 / (1 + e^-z),  z* = 1 - 3 on
    or        mean of s* log(s* / s) + (1 - s*) log((1 - s*) / (1 - s)),  s* = s(z*)

x belongs to a feature that is always on, y to one that is on with probability q; a teacher with
(1, -3) gives the targets. The first loss has a plateau where the neuron is saturated; the second,
cross-entropy above the teacher's own, is convex: the plateau is the loss's fault. It is computed as
log(1 + s* (e^(z - z*) - 1)) - s* (z - z*), which is exact near the minimum.
Source: the notes on which this library is built (sparse features); cross-entropy: Solla, Levin &
Fleisher, Complex Systems 2 (1988) 625-640.
"""

import numpy as np

from ...core import exp, expm1, log1p
from ...core.objective import Objective
from ...errors import ProblemError
from ..base import Array
from ..formula import FormulaProblem, fixed

ROWS = 1000  # of the form that draws its rows: q to three digits
WINDOW = ((-8.0, 8.0), (-8.0, 8.0))


def sigmoid(z):
    return 1 / (1 + exp(-z))


def loss(z, target):
    error = sigmoid(z) - sigmoid(target)
    return 0.5 * error * error


def slope(z, target):
    s = sigmoid(z)
    return (s - sigmoid(target)) * s * sigmoid(-z)  # 1 - s would cancel on the plateau


def curvature(z, target):
    s = sigmoid(z)
    d = s * sigmoid(-z)
    return d * (d + (s - sigmoid(target)) * (1 - 2 * s))


def row_value(x, y, /, on):
    return loss(x + y * on, 1 - 3 * on)


def row_gradient(x, y, /, on):
    g = slope(x + y * on, 1 - 3 * on)
    return g, g * on


def row_hessian(x, y, /, on):
    c = curvature(x + y * on, 1 - 3 * on)
    return c, c * on, c * on * on


def value(x, y, /, q):
    return (1 - q) * loss(x, 1) + q * loss(x + y, -2)


def gradient(x, y, /, q):
    rare = q * slope(x + y, -2)
    return (1 - q) * slope(x, 1) + rare, rare


def hessian(x, y, /, q):
    rare = q * curvature(x + y, -2)
    return (1 - q) * curvature(x, 1) + rare, rare, rare


def divergence(z, target):
    s = sigmoid(target)
    return log1p(s * expm1(z - target)) - s * (z - target)


def entropy(x, y, /, q):
    return (1 - q) * divergence(x, 1) + q * divergence(x + y, -2)


def entropy_gradient(x, y, /, q):
    rare = q * (sigmoid(x + y) - sigmoid(-2))
    return (1 - q) * (sigmoid(x) - sigmoid(1)) + rare, rare


def entropy_hessian(x, y, /, q):
    rare = q * sigmoid(x + y) * sigmoid(-x - y)
    return (1 - q) * sigmoid(x) * sigmoid(-x) + rare, rare, rare


def neuron_feature(q: float = 0.1) -> FormulaProblem:
    """Squared loss in closed form; the feature is on with probability q in (0, 1). Raises ProblemError."""
    return _problem(
        "neuron-feature",
        f"Sigmoid neuron, feature on with probability {q:g}",
        "Two weights, one of a feature that is rarely on, squared loss: a plateau, and condition 3.4/q.",
        fixed(Objective(value, gradient, hessian), q=_share("neuron-feature", q)),
    )


def neuron_feature_stochastic(q: float = 0.1) -> FormulaProblem:
    """The same drawn row by row from 1000 rows, of which the share q has the feature on. Raises ProblemError."""
    closed = fixed(Objective(value, gradient, hessian), q=_share("neuron-feature-stochastic", q))
    rows = round(ROWS * q)
    if abs(rows - ROWS * q) > 1e-9:
        raise ProblemError(f"neuron-feature-stochastic: q must be a whole number of thousandths, got {q!r}")
    return _problem(
        "neuron-feature-stochastic",
        f"Sigmoid neuron, feature on in {q:g} of the rows",
        "The neuron of `neuron-feature` row by row: the rare feature's weight moves only when it is drawn.",
        Objective(row_value, row_gradient, row_hessian, mean=closed.value),
        data=(np.arange(ROWS) < rows).astype(float)[:, None],
    )


def neuron_cross_entropy(q: float = 0.1) -> FormulaProblem:
    """Cross-entropy in closed form; the feature is on with probability q in (0, 1). Raises ProblemError."""
    return _problem(
        "neuron-cross-entropy",
        f"Sigmoid neuron, cross-entropy, feature on with probability {q:g}",
        "The neuron of `neuron-feature` with cross-entropy: convex, condition 1.9/q, no plateau.",
        fixed(Objective(entropy, entropy_gradient, entropy_hessian), q=_share("neuron-cross-entropy", q)),
    )


def _share(name: str, q: float) -> float:
    if not 0 < q < 1:
        raise ProblemError(f"{name}: q must lie in (0, 1), got {q!r}")
    return q


def _problem(
    name: str, title: str, text: str, objective: Objective, data: Array | None = None
) -> FormulaProblem:
    return FormulaProblem(
        name,
        title,
        text,
        objective,
        starts=[(-6, 6)],
        spread=0.1,
        minima=[(1, -3)],
        minimum=0.0,
        window=WINDOW,
        data=data,
    )


PROBLEMS = {
    "neuron-feature": neuron_feature,
    "neuron-feature-stochastic": neuron_feature_stochastic,
    "neuron-cross-entropy": neuron_cross_entropy,
}
