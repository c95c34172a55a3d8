"""Darve's badly scaled quadratic.

    L(x) = 1/2 x^T H_beta x,   H_beta = D H D,   D_ii = beta^(i-1)

with H symmetric positive definite and well conditioned. Its eigenvalues fall like beta^(2(i-1)).
Source: Darve, CME 216 (2020), Adagrad.
"""

from functools import partial

import numpy as np

from ..core.formula import from_text
from ..core.objective import Objective
from ..errors import ProblemError
from .base import Array
from .formula import FormulaProblem

LARGEST = 16  # above that the printed formula would be unwieldy


def matrix(n: int, beta: float, condition: float = 2.0, seed: int = 0) -> Array:
    """H_beta, (n, n) float64: a random rotation of eigenvalues from 1 to ``condition``, scaled."""
    if n < 1:
        raise ProblemError(f"quadratic: n must lie in 1, 2, 3 ..., got {n}")
    if not 0 < beta <= 1:
        raise ProblemError(f"quadratic: beta must lie in (0, 1], got {beta}")
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    h = q @ np.diag(np.linspace(1.0, condition, n)) @ q.T
    scale = beta ** np.arange(n)
    scaled: Array = 0.5 * (h + h.T) * np.outer(scale, scale)
    return scaled


def objective(h: Array) -> Objective:
    """1/2 x^T H x, printed with the entries of H as numbers; ProblemError beyond ``LARGEST`` of them a row."""
    if len(h) > LARGEST:
        raise ProblemError(f"quadratic: n must lie in 1 .. {LARGEST}, got {len(h)}")
    names = [f"x{i + 1}" for i in range(len(h))]
    rows = [" + ".join(f"{float(c)!r} * {x}" for c, x in zip(row, names, strict=True)) for row in h]
    lines = [f"    g{i + 1} = {row}" for i, row in enumerate(rows)]
    grads = [f"g{i + 1}" for i in range(len(h))]
    total = " + ".join(f"{x} * {g}" for x, g in zip(names, grads, strict=True))
    head = f"({', '.join(names)}, /):\n" + "\n".join(lines)
    made = from_text(
        f"def value{head}\n    return 0.5 * ({total})\n\n\ndef gradient{head}\n    return {', '.join(grads)}\n",
        "quadratic",
    )
    return Objective(made["value"], made["gradient"])


def quadratic(n: int = 4, beta: float = 0.1) -> FormulaProblem:
    """H_beta with n coordinates, each beta times the scale of the one before."""
    return FormulaProblem(
        "quadratic",
        f"Badly scaled quadratic, n = {n}, β = {beta:g}",
        f"Darve's H_β: {n} coordinates, each scaled by {beta:g} against the one before; minimum 0 at 0.",
        objective(matrix(n, beta)),
        starts=[(1.0,) * n],
        spread=0.1,
        minima=[(0.0,) * n],
        minimum=0.0,
        window=((-1.5, 1.5), (-1.5, 1.5)) if n == 2 else None,
    )


PROBLEMS = {"quadratic": quadratic, "quadratic-2d": partial(quadratic, 2, 0.1)}
