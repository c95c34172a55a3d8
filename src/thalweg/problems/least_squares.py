"""Least squares by rows, and with it every positive semidefinite quadratic, however wide.

    loss(z, y) = 1/2 (z - y)^2

With the rows sqrt(n) R, H = RᵀR, and y = 0 the mean over n rows is 1/2 xᵀ H x.
Source: Darve, CME 216 (2020), Adagrad (H_beta).
"""

import numpy as np

from ..core.objective import Scored
from .base import Array
from .quadratic import checked, matrix
from .scored import ScoredProblem


def value(z, /, y):
    error = z - y
    return 0.5 * error * error


def slope(z, /, y):
    return z - y


def curvature(z, /, y):
    return 1.0


OBJECTIVE = Scored(value, slope, curvature)


def factored(name: str, title: str, text: str, factor: Array) -> ScoredProblem:
    """1/2 xᵀ RᵀR x for a factor R (n, d), from (1, ..., 1); the minimum 0 lies at 0."""
    n, d = factor.shape
    rows = np.sqrt(n) * factor
    return ScoredProblem(
        name,
        title,
        text,
        OBJECTIVE,
        rows,
        np.zeros(n),
        starts=[(1.0,) * d],
        spread=0.1,
        minimum=0.0,
        noisy=False,
    )


def scaled(n: int = 100, beta: float = 0.9, condition: float = 2.0, seed: int = 0) -> ScoredProblem:
    """Darve's H_beta = D H D of any size: H balanced, D_ii = beta^(i-1). Raises ProblemError."""
    checked(n, beta, condition, seed)
    factor = np.linalg.cholesky(matrix(n, 1.0, condition, seed)).T * beta ** np.arange(n)
    return factored(
        f"quadratic-{n}",
        f"Badly scaled quadratic, n = {n}, β = {beta:g}",
        f"Darve's H_β: {n} coordinates, each scaled by {beta:g} against the one before; minimum 0 at 0.",
        factor,
    )


PROBLEMS = {"quadratic-100": scaled}
