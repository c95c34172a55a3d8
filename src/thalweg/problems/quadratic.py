"""Quadratics: Darve's badly scaled one, and those with a given spectrum.

    L(x) = 1/2 x^T H_beta x,   H_beta = D H D,   D_ii = beta^(i-1)
    f(x) = 1/2 x^T Q diag(eigenvalues) Q^T x

with H symmetric positive definite and well conditioned. The eigenvalues of H_beta fall like
beta^(2(i-1)). Q is a rotation drawn from a seed.
Source: Darve, CME 216 (2020), Adagrad, for the first.
"""

from collections.abc import Sequence
from functools import cache, partial
from numbers import Real

import numpy as np

from ..core.formula import from_text
from ..core.objective import Objective
from ..errors import ProblemError
from .base import Array, finite, need_integer, shown
from .formula import FormulaProblem

LARGEST = 16  # above that the printed formula would be unwieldy
CONDITION = 1e12
SPECTRUM = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def rotation(n: int, seed: int) -> Array:
    """An orthogonal matrix (n, n) float64, fixed by the seed."""
    q: Array = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return q


def checked(n: int, beta: float, condition: float, seed: int) -> None:
    """ProblemError unless they are a size, a scale, a condition and a seed of ``matrix``."""
    need_integer("quadratic: n", n, 1)
    need_integer("quadratic: seed", seed)
    for name, value, low, high, said in (
        ("beta", beta, 0.0, 1.0, "(0, 1]"),
        ("condition", condition, 1.0, CONDITION, f"[1, {CONDITION:g}]"),
    ):
        if not isinstance(value, Real) or not low <= value <= high or value == 0:
            raise ProblemError(f"quadratic: {name} must lie in {said}, got {shown(value)}")


def matrix(n: int, beta: float, condition: float = 2.0, seed: int = 0) -> Array:
    """H_beta, (n, n) float64: a random rotation of eigenvalues from 1 to ``condition``, scaled.

    condition: 1 to 1e12, above which rounding would take away that it is definite. Raises ProblemError.
    """
    checked(n, beta, condition, seed)
    q = rotation(n, seed)
    h = q @ np.diag(np.linspace(1.0, condition, n)) @ q.T
    scale = beta ** np.arange(n)
    scaled: Array = 0.5 * (h + h.T) * np.outer(scale, scale)
    return scaled


def _written(entries: Sequence[Sequence[str]], columns: Sequence[str] = ()) -> Objective:
    """1/2 x^T H x with these entries of H in its source: numbers, or the names of columns."""
    n = len(entries)
    if not 1 <= n <= LARGEST:
        raise ProblemError(f"quadratic: n must lie in 1 .. {LARGEST}, got {n}")
    names = [f"x{i + 1}" for i in range(n)]
    grads = [f"g{i + 1}" for i in range(n)]
    rows = [" + ".join(f"{c} * {x}" for c, x in zip(row, names, strict=True)) for row in entries]
    lines = "".join(f"    {g} = {row}\n" for g, row in zip(grads, rows, strict=True))
    total = " + ".join(f"{x} * {g}" for x, g in zip(names, grads, strict=True))
    upper = ", ".join(entries[i][j] for i in range(n) for j in range(i, n))
    head = f"({', '.join([*names, '/', *columns])}):\n"
    made = from_text(
        f"def value{head}{lines}    return 0.5 * ({total})\n\n\n"
        f"def gradient{head}{lines}    return {', '.join(grads)}\n\n\n"
        f"def hessian{head}    return {upper}\n",
        "quadratic",
    )
    return Objective(made["value"], made["gradient"], made["hessian"])


def objective(h: Array) -> Objective:
    """1/2 x^T H x, printed with the entries of H as numbers: up to 16 coordinates."""
    return _written([[repr(float(c)) for c in row] for row in h])


@cache
def _entries(n: int) -> Objective:
    """1/2 x^T H x with the upper triangle of H as columns: one kernel for all matrices of a size."""
    entries = [[f"h{min(i, j)}_{max(i, j)}" for j in range(n)] for i in range(n)]
    return _written(entries, [entries[i][j] for i in range(n) for j in range(i, n)])


def of(h: Array, start: Sequence[float]) -> FormulaProblem:
    """1/2 x^T H x for any symmetric H (n, n), n up to 16, from ``start`` (n,). Raises ProblemError.

    Problems of one size share their compiled runs, so that sweeps over matrices compile once. The
    minimum is 0 at 0 where H has no negative eigenvalue beyond rounding, and unknown elsewhere.
    """
    matrix, first = finite("quadratic: the matrix", h), finite("quadratic: start", start)
    n = matrix.shape[0] if matrix.ndim else 0
    if not 1 <= n <= LARGEST or matrix.shape != (n, n) or not np.array_equal(matrix, matrix.T):
        raise ProblemError(
            f"quadratic: a symmetric matrix of 1 .. {LARGEST} rows is needed, got shape {matrix.shape}"
        )
    if first.shape != (n,):
        raise ProblemError(f"quadratic: a start of {n} numbers is needed, got shape {first.shape}")
    values = np.linalg.eigvalsh(matrix)
    bounded = bool(values[0] >= -n * np.finfo(float).eps * np.abs(values).max())
    made = FormulaProblem(
        "quadratic-of",
        f"Quadratic of {n} coordinates",
        f"1/2 x^T H x for a given matrix; {'minimum 0 at 0' if bounded else 'without a minimum'}.",
        _entries(n),
        starts=[tuple(first)],
        spread=0.1,
        minima=[(0.0,) * n] if bounded else (),
        minimum=0.0 if bounded else None,
        data=matrix[np.triu_indices(n)][None],
    )
    made.noisy = False
    return made


def _bowl(name: str, title: str, text: str, h: Array, start: Sequence[float]) -> FormulaProblem:
    """1/2 x^T H x of a positive definite H, with its numbers in the formula."""
    n = len(h)
    return FormulaProblem(
        name,
        title,
        f"{text}; minimum 0 at 0.",
        objective(h),
        starts=[tuple(start)],
        spread=0.1,
        minima=[(0.0,) * n],
        minimum=0.0,
        window=((-1.5, 1.5), (-1.5, 1.5)) if n == 2 else None,
    )


def quadratic(n: int = 4, beta: float = 0.1) -> FormulaProblem:
    """H_beta with n coordinates, each beta times the scale of the one before. Raises ProblemError."""
    h = matrix(n, beta)
    return _bowl(
        "quadratic",
        f"Badly scaled quadratic, n = {n}, β = {beta:g}",
        f"Darve's H_β: {n} coordinates, each scaled by {beta:g} against the one before",
        h,
        (1.0,) * n,
    )


def spectrum(
    eigenvalues: Array | Sequence[float] = SPECTRUM, rotation_seed: int | None = 0
) -> FormulaProblem:
    """A quadratic with these eigenvalues (n of them, positive); its start has 1 along every eigenvector.

    rotation_seed: draws the eigenvectors; None leaves them along the axes. Raises ProblemError.
    """
    values = finite("quadratic-spectrum: eigenvalues", eigenvalues)
    n = values.size
    if values.ndim != 1 or not 1 <= n <= LARGEST:
        raise ProblemError(f"quadratic-spectrum: 1 .. {LARGEST} eigenvalues are needed, got {values.shape}")
    if not np.all(values > 0):
        raise ProblemError(f"quadratic-spectrum: eigenvalues must be > 0, got {values.tolist()}")
    if rotation_seed is not None:
        need_integer("quadratic-spectrum: rotation_seed", rotation_seed, note=", or None")
    q = np.eye(n) if rotation_seed is None else rotation(n, rotation_seed)
    h = q @ np.diag(values) @ q.T
    return _bowl(
        "quadratic-spectrum",
        f"Quadratic of {n} eigenvalues from {values.min():g} to {values.max():g}",
        f"Condition {values.max() / values.min():g}; the eigenvectors lie "
        + ("along the axes" if rotation_seed is None else "across the axes"),
        0.5 * (h + h.T),
        q.sum(axis=1),
    )


PROBLEMS = {
    "quadratic": quadratic,
    "quadratic-2d": partial(quadratic, 2, 0.1),
    "quadratic-spectrum": spectrum,
}
