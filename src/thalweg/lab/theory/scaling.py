"""Darve's analysis of badly scaled quadratics, with the numbers that it only estimates.

    H_β = D H D,   D_ii = β^(i-1),   H well conditioned
    gradient descent, α = 1/λ_1:      the slowest mode keeps 1 − λ_n/λ_1  ≈ 1 − β^(2(n-1))
    Adagrad, s_i ∝ β^(2i):            the matrix is S H_β, S_ii = β^-(i-1), and that is 1 − β^(n-1)
    gain                              (1/β)^(n-1)

Spectra are of graded matrices, whose small eigenvalues count here as much as the large: they come
from a Cholesky factor by one-sided Jacobi rotations, each with a small relative error.
Sources: Darve, CME 216 (2020), Adagrad; Demmel & Veselić, SIAM J. Matrix Anal. Appl. 13 (1992)
1204-1245, for the algorithm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

import numpy as np

from ...errors import ProblemError
from ...problems.base import Array, finite, need_integer
from ...problems.quadratic import matrix

Norm = Literal["2", "max", "energy", "f"]
SWEEPS = 40


def graded_spectrum(h: Array) -> tuple[Array, Array]:
    """Eigenvalues (n,), largest first, and eigenvectors (n, n) as columns, of D B D.

    Relative errors of the eigenvalues are of the order of rounding times the condition of B, whatever
    the diagonal D. Raises ProblemError unless ``h`` is symmetric and positive definite.
    """
    h = finite("spectrum", h)
    n = h.shape[0] if h.ndim else 0
    if not n or h.shape != (n, n) or not np.array_equal(h, h.T):
        raise ProblemError(f"spectrum: a symmetric matrix of 1 or more rows is needed, got shape {h.shape}")
    order = np.argsort(-np.diag(h), kind="stable")
    try:
        columns = np.linalg.cholesky(h[np.ix_(order, order)])
    except np.linalg.LinAlgError:
        raise ProblemError("spectrum: the matrix is not positive definite") from None
    # Rotations from the right make the columns orthogonal; their squared lengths are the eigenvalues,
    # their directions the eigenvectors. Each round turns disjoint pairs, each sweep meets all pairs.
    players = list(range(n)) + [-1] * (n % 2)
    half = len(players) // 2
    for _ in range(SWEEPS):
        worst = 0.0
        for _ in range(max(1, len(players) - 1)):
            pairs = [
                (a, b)
                for a, b in zip(players[:half], players[: -half - 1 : -1], strict=True)
                if min(a, b) >= 0
            ]
            players = [players[0], players[-1], *players[1:-1]]
            if not pairs:
                continue
            p, q = np.array(pairs).T
            x, y = columns[:, p], columns[:, q]
            xx, yy, xy = (x * x).sum(axis=0), (y * y).sum(axis=0), (x * y).sum(axis=0)
            cosine = np.abs(xy) / (np.sqrt(xx) * np.sqrt(yy))
            worst = max(worst, float(cosine.max()))
            gap = yy - xx
            with np.errstate(invalid="ignore"):  # 0/0: equally long and orthogonal already
                t = 2 * xy * np.where(gap < 0, -1.0, 1.0) / (np.abs(gap) + np.hypot(gap, 2 * xy))
            t = np.where(cosine > 0, t, 0.0)
            c = 1 / np.sqrt(1 + t * t)
            columns[:, p], columns[:, q] = c * x - c * t * y, c * t * x + c * y
        if worst <= 1e-15 * n:
            break
    values = (columns * columns).sum(axis=0)
    vectors = np.empty_like(columns)
    vectors[order] = columns / np.sqrt(values)
    down = np.argsort(-values, kind="stable")
    return values[down], vectors[:, down]


@dataclass(frozen=True, eq=False)
class Darve:
    """The spectra of H_β and of Adagrad's S H_β, and darve's estimates of what follows.

    ``eigenvalues`` (n,) of H_β, largest first; ``vectors`` (n, n) its eigenvectors as columns;
    ``preconditioned`` (n,) the eigenvalues of S H_β, largest first.
    """

    beta: float
    eigenvalues: Array
    vectors: Array
    preconditioned: Array

    @property
    def alignment(self) -> Array:
        """|U_ii|, (n,): 1 where an eigenvector is a coordinate's axis."""
        aligned: Array = np.abs(np.diag(self.vectors))
        return aligned

    @property
    def ratio(self) -> float:
        """λ_n/λ_1: gradient descent with α = 1/λ_1 keeps 1 minus this of the slowest mode."""
        return float(self.eigenvalues[-1] / self.eigenvalues[0])

    @property
    def preconditioned_ratio(self) -> float:
        """The same of S H_β."""
        return float(self.preconditioned[-1] / self.preconditioned[0])

    @property
    def gain(self) -> float:
        """How many times fewer steps S saves in the end, from the spectra."""
        return float(np.log1p(-self.preconditioned_ratio) / np.log1p(-self.ratio))

    @property
    def ratio_estimate(self) -> float:
        """darve's β^(2(n-1)) for ``ratio``."""
        return float(self.beta ** (2 * (len(self.eigenvalues) - 1)))

    @property
    def preconditioned_ratio_estimate(self) -> float:
        """darve's β^(n-1) for ``preconditioned_ratio``."""
        return float(self.beta ** (len(self.eigenvalues) - 1))

    @property
    def gain_estimate(self) -> float:
        """darve's (1/β)^(n-1) for ``gain``."""
        return 1 / self.preconditioned_ratio_estimate


def darve(n: int, beta: float, condition: float = 2.0, seed: int = 0) -> Darve:
    """The analysis of ``problems.quadratic.matrix(n, beta, condition, seed)``; n >= 2. Raises ProblemError."""
    need_integer("darve: n", n, 2)
    values, vectors = graded_spectrum(matrix(n, beta, condition, seed))
    # S H_β is similar to S^(1/2) H_β S^(1/2), in which D is replaced by its root.
    preconditioned, _ = graded_spectrum(matrix(n, float(np.sqrt(beta)), condition, seed))
    return Darve(beta, values, vectors, preconditioned)


def descent_steps(
    values: Array,
    vectors: Array,
    start: Array | Sequence[float],
    tolerance: float,
    norm: Norm = "2",
    rate: float | None = None,
) -> float:
    """Steps of gradient descent on x^T H x / 2 until the norm of x is ``tolerance`` times that of ``start``.

    H by its eigenvalues (n,) and eigenvectors (columns). norm: "2", "max", "energy" (√(x^T H x)), or "f",
    the objective itself. rate: 1/λ_max unless given, unit w/g. Exact for 8·10⁹ steps as for 8: each mode
    shrinks by (1 − rate·λ)^k, taken in logarithms, and k is bisected. That is right for norms that only
    fall; "max" may rise on the way, and is answered for rates up to 1/λ_max only. inf beyond 10^18.
    Raises ProblemError.
    """
    x, values = finite("descent: start", start), finite("descent: eigenvalues", values)
    vectors = finite("descent: eigenvectors", vectors)
    d = values.size
    if values.shape != (d,) or vectors.shape != (d, d) or not d:
        raise ProblemError(
            f"descent: eigenvalues (d,) and eigenvectors (d, d) are needed, got {values.shape} and {vectors.shape}"
        )
    top = float(values.max())
    rate = 1 / top if rate is None else rate
    if norm not in get_args(Norm):
        raise ProblemError(f"norm: got {norm!r}; one of {', '.join(get_args(Norm))} is needed")
    bound = 1 + 1e-12 if norm == "max" else 2
    if not (tolerance > 0 and 0 < rate * top < bound and np.any(x) and x.shape == values.shape):
        raise ProblemError(
            f"descent: got tolerance={tolerance!r}, rate·λ_max={rate * top:.6g}, start of shape {x.shape};"
            f" tolerance > 0, 0 < rate·λ_max < {bound:g} and a start of shape {values.shape}, not 0, are needed"
        )
    modes = vectors.T @ x
    shrink = rate * values
    with np.errstate(divide="ignore"):  # a mode that is gone at once: log 0
        logs = np.where(shrink <= 1, np.log1p(-np.minimum(shrink, 1)), np.log(np.abs(1 - shrink)))

    def size(k: int) -> float:
        left = modes * (1.0 if k == 0 else np.exp(k * logs))
        if norm == "max":
            return float(np.abs(vectors @ left).max())
        return float(np.linalg.norm(left if norm == "2" else np.sqrt(values) * left))

    wanted = size(0) * (np.sqrt(tolerance) if norm == "f" else tolerance)
    low, high = -1, 0
    while size(high) > wanted:
        low, high = high, max(1, 2 * high)
        if high > 10**18:
            return inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) > wanted else (low, middle)
    return float(high)
