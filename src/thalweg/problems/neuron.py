"""The notes' sigmoid neuron with squared loss, on two points and with a sparse feature.

    f(x) = 1 / (1 + e^-(w x + b)),   loss = 1/2 (f(x) - y)^2,   mean over the points

and with cross-entropy above that of the targets, for which the surface is convex:

    loss = y log(y / f) + (1 - y) log((1 - y) / (1 - f)) = log(1 + y (e^d - 1)) - y d

with d = w x + b - log(y / (1 - y)), which is exact near d = 0.
Source: the notes (gradient: (f - y) f (1 - f) x for w, the same without x for b).
"""

import numpy as np

from ..core import exp, expm1, log, log1p
from ..core.objective import Objective
from .base import Array
from .formula import FormulaProblem


def neuron_output(w, b, x):
    return 1 / (1 + exp(-(w * x + b)))


def value(w, b, /, x, y):
    error = neuron_output(w, b, x) - y
    return 0.5 * error * error


def gradient(w, b, /, x, y):
    f = neuron_output(w, b, x)
    slope = (f - y) * f * (1 - f)
    return slope * x, slope


def hessian(w, b, /, x, y):
    f = neuron_output(w, b, x)
    s = f * (1 - f)
    c = s * (s + (f - y) * (1 - 2 * f))
    return c * x * x, c * x, c


def entropy(w, b, /, x, y):
    d = w * x + b - log(y / (1 - y))
    return log1p(y * expm1(d)) - y * d


def entropy_gradient(w, b, /, x, y):
    slope = neuron_output(w, b, x) - y
    return slope * x, slope


def entropy_hessian(w, b, /, x, y):
    c = neuron_output(w, b, x) * neuron_output(-w, -b, x)
    return c * x * x, c * x, c


X, Y = (0.5, 2.5), (0.2, 0.9)
TEACHER, SHARE, POINTS = (-3.0, 1.0), 0.1, 200


def _fit() -> tuple[float, float]:
    """Two points, two parameters: the neuron that passes through both."""
    logits = [float(np.log(y / (1 - y))) for y in Y]
    w = (logits[1] - logits[0]) / (X[1] - X[0])
    return w, logits[0] - w * X[0]


def sparse_data() -> Array:
    """(200, 2): the feature is 1 in every tenth row and else 0; the target is a teacher's output."""
    x = (np.arange(POINTS) % round(1 / SHARE) == 0).astype(float)
    y = 1 / (1 + np.exp(-(TEACHER[0] * x + TEACHER[1])))
    return np.column_stack([x, y])


def _on_points(name: str, title: str, text: str, objective: Objective) -> FormulaProblem:
    """A loss of the notes' two points, from the starts of their code."""
    return FormulaProblem(
        name,
        title,
        text,
        objective,
        starts=[(-2, -2), (-4, 4), (-4, -4)],
        spread=0.1,
        minima=[_fit()],
        minimum=0.0,
        window=((-6, 6), (-6, 6)),
        data=np.column_stack([X, Y]),
    )


def neuron() -> FormulaProblem:
    """Two parameters on two points, the usual error surface."""
    return _on_points(
        "neuron",
        "Sigmoid neuron on two points",
        "The notes' neuron: weight and bias on the points (0.5, 0.2) and (2.5, 0.9), squared loss.",
        Objective(value, gradient, hessian),
    )


def neuron_sparse() -> FormulaProblem:
    """A feature that is zero in nine rows of ten: w's gradient is mostly zero, b's is not."""
    return FormulaProblem(
        "neuron-sparse",
        "Sigmoid neuron with a sparse feature",
        "The notes' neuron where the feature is 0 in nine rows of ten; a teacher with w = -3, b = 1.",
        Objective(value, gradient, hessian),
        starts=[(2, -2), (-6, 6)],
        spread=0.1,
        minima=[TEACHER],
        minimum=0.0,
        window=((-6, 6), (-6, 6)),
        data=sparse_data(),
    )


def neuron_convex() -> FormulaProblem:
    """The two points of ``neuron`` with cross-entropy: the same minimum on a convex surface."""
    return _on_points(
        "neuron-points-cross-entropy",
        "Sigmoid neuron on two points, cross-entropy",
        "The points of `neuron` with cross-entropy above that of the targets: convex, same minimum.",
        Objective(entropy, entropy_gradient, entropy_hessian),
    )


PROBLEMS = {
    "neuron": neuron,
    "neuron-sparse": neuron_sparse,
    "neuron-points-cross-entropy": neuron_convex,
}
