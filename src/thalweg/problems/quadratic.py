"""Darve's badly scaled quadratic.

    L(x) = 1/2 x^T H_beta x,   H_beta = D H D,   D_ii = beta^(i-1)

with H symmetric positive definite and well conditioned. Its eigenvalues fall like beta^(2(i-1)).
Source: Darve, CME 216 (2020), Adagrad.
"""

from collections.abc import Sequence
from functools import cache, partial

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
        raise ProblemError(f"quadratic: n must be at least 1, got {n}")
    if not 0 < beta <= 1:
        raise ProblemError(f"quadratic: beta must lie in (0, 1], got {beta}")
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    h = q @ np.diag(np.linspace(1.0, condition, n)) @ q.T
    scale = beta ** np.arange(n)
    scaled: Array = 0.5 * (h + h.T) * np.outer(scale, scale)
    return scaled


def objective(h: Array) -> Objective:
    """1/2 x^T H x, printed with the entries of H as numbers: up to 16 coordinates."""
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


@cache
def _entries(n: int) -> Objective:
    """1/2 x^T H x with the upper triangle of H as columns: one kernel for all matrices of a size."""
    names = [f"x{i}" for i in range(n)]
    upper = [(i, j) for i in range(n) for j in range(i, n)]
    head = f"({', '.join(names)}, /, {', '.join(f'h{i}_{j}' for i, j in upper)}):\n"
    rows = [" + ".join(f"h{min(i, j)}_{max(i, j)} * x{j}" for j in range(n)) for i in range(n)]
    lines = "".join(f"    g{i} = {row}\n" for i, row in enumerate(rows))
    grads = ", ".join(f"g{i}" for i in range(n))
    total = " + ".join(f"x{i} * g{i}" for i in range(n))
    made = from_text(
        f"def value{head}{lines}    return 0.5 * ({total})\n\n\n"
        f"def gradient{head}{lines}    return {grads}{',' if n == 1 else ''}\n",
        "quadratic",
    )
    return Objective(made["value"], made["gradient"])


def of(h: Array, start: Sequence[float]) -> FormulaProblem:
    """1/2 x^T H x for any symmetric H (n, n), n up to 16, from ``start`` (n,). Raises ProblemError.

    Problems of one size share their compiled runs, so that sweeps over matrices compile once.
    """
    n = len(h)
    if n > LARGEST or np.shape(h) != (n, n) or not np.array_equal(h, np.transpose(h)):
        raise ProblemError(
            f"quadratic: a symmetric matrix of at most {LARGEST} rows is needed, got {np.shape(h)}"
        )
    made = FormulaProblem(
        "quadratic-of",
        f"Quadratic of {n} coordinates",
        "1/2 x^T H x for a given matrix; minimum 0 at 0.",
        _entries(n),
        starts=[tuple(start)],
        spread=0.1,
        minima=[(0.0,) * n],
        minimum=0.0,
        data=np.asarray(h, dtype=float)[np.triu_indices(n)][None],
    )
    made.noisy = False
    return made


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
