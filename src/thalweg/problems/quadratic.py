"""Quadratics: Darve's badly scaled one, and those with a given spectrum.

    L(x) = 1/2 x^T H_beta x,   H_beta = D H D,   D_ii = beta^(i-1)
    f(x) = 1/2 x^T Q diag(eigenvalues) Q^T x

with H symmetric positive definite and well conditioned. The eigenvalues of H_beta fall like
beta^(2(i-1)). Q is a rotation drawn from a seed.
Source: Darve, CME 216 (2020), Adagrad, for the first.
"""

from collections.abc import Sequence
from functools import cache, partial
from numbers import Integral

import numpy as np

from ..core.formula import from_text
from ..core.objective import Objective
from ..errors import ProblemError
from .base import Array
from .formula import FormulaProblem

LARGEST = 16  # above that the printed formula would be unwieldy
SPECTRUM = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def rotation(n: int, seed: int) -> Array:
    """An orthogonal matrix (n, n) float64, fixed by the seed."""
    q: Array = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return q


def matrix(n: int, beta: float, condition: float = 2.0, seed: int = 0) -> Array:
    """H_beta, (n, n) float64: a random rotation of eigenvalues from 1 to ``condition``, scaled."""
    if n < 1:
        raise ProblemError(f"quadratic: n must be at least 1, got {n}")
    if not 0 < beta <= 1:
        raise ProblemError(f"quadratic: beta must lie in (0, 1], got {beta}")
    q = rotation(n, seed)
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
    upper = ", ".join(repr(float(c)) for c in h[np.triu_indices(len(h))])
    made = from_text(
        f"def value{head}\n    return 0.5 * ({total})\n\n\n"
        f"def gradient{head}\n    return {', '.join(grads)}\n\n\n"
        f"def hessian({', '.join(names)}, /):\n    return {upper}\n",
        "quadratic",
    )
    return Objective(made["value"], made["gradient"], made["hessian"])


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


def spectrum(eigenvalues: Sequence[float] = SPECTRUM, rotation_seed: int | None = 0) -> FormulaProblem:
    """A quadratic with these eigenvalues (n of them, positive); its start has 1 along every eigenvector.

    rotation_seed: draws the eigenvectors; None leaves them along the axes. Raises ProblemError.
    """
    values = np.asarray(eigenvalues, dtype=float)
    n = values.size
    if values.ndim != 1 or not 1 <= n <= LARGEST:
        raise ProblemError(f"quadratic-spectrum: 1 .. {LARGEST} eigenvalues are needed, got {values.shape}")
    if not np.all(np.isfinite(values) & (values > 0)):
        raise ProblemError(f"quadratic-spectrum: eigenvalues must be finite and > 0, got {values.tolist()}")
    if rotation_seed is not None and (not isinstance(rotation_seed, Integral) or rotation_seed < 0):
        raise ProblemError(
            f"quadratic-spectrum: rotation_seed must be an integer >= 0 or None, got {rotation_seed!r}"
        )
    q = np.eye(n) if rotation_seed is None else rotation(n, rotation_seed)
    h = q @ np.diag(values) @ q.T
    return FormulaProblem(
        "quadratic-spectrum",
        f"Quadratic of {n} eigenvalues from {values.min():g} to {values.max():g}",
        f"Condition {values.max() / values.min():g}; the eigenvectors lie "
        + ("along the axes" if rotation_seed is None else "across the axes")
        + "; minimum 0 at 0.",
        objective(0.5 * (h + h.T)),
        starts=[tuple(q.sum(axis=1))],
        spread=0.1,
        minima=[(0.0,) * n],
        minimum=0.0,
        window=((-1.5, 1.5), (-1.5, 1.5)) if n == 2 else None,
    )


PROBLEMS = {
    "quadratic": quadratic,
    "quadratic-2d": partial(quadratic, 2, 0.1),
    "quadratic-spectrum": spectrum,
}
