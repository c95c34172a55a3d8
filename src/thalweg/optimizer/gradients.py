"""Gradients: what a user may hand over, dense or of some rows, checked against its parameter."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from ..core.line import short
from ..core.rule import Rule
from ..engines import Engine
from ..engines.memory import Array, address, arithmetic
from ..errors import GradientError
from .parameters import ARRAYS, Leaf, Memory, at, described


class Rows:
    """Rows of a table's gradient; before you read rows yourself, call ``opt.read(name, rows)`` or ``opt.flush()``.

    indices: (n,) whole numbers in [0, number of rows); an index that comes again adds to its row.
    values: (n, ...) of the parameter's dtype, one entry for each index, shaped as a row is. A step with
    these equals the step with the dense gradient that holds zeros in all other rows. Such rows move
    without a gradient too (momentum, decay), but only when they are next needed: until then the array
    holds what they were. Raises GradientError.
    """

    __slots__ = ("_indices", "_values")

    def __init__(self, indices: ArrayLike, values: ArrayLike) -> None:
        try:
            rows, given = np.asarray(indices), np.asarray(values)
        except ValueError as error:
            raise GradientError(f"Rows: indices and values must be arrays ({error})") from None
        if isinstance(indices, np.ma.MaskedArray) or isinstance(values, np.ma.MaskedArray):
            raise GradientError(
                "Rows: indices and values must be plain arrays, got MaskedArray: use .filled(0.0)"
            )
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise GradientError(
                f"Rows: indices must be whole numbers of shape (n,), got {rows.dtype} {rows.shape}"
            )
        if given.ndim == 0 or len(given) != len(rows):
            raise GradientError(
                f"Rows: values must have one entry for each of the {len(rows)} indices,"
                f" got shape {given.shape}"
            )
        self._indices, self._values = rows, given

    @property
    def indices(self) -> Array:
        """The rows that are touched, (n,)."""
        return self._indices

    @property
    def values(self) -> Array:
        """The gradient's entries in these rows, (n, ...)."""
        return self._values

    def __repr__(self) -> str:
        return f"Rows({len(self.indices)} indices, values {self.values.dtype} {self.values.shape})"


class SparseArray(Protocol):
    """What all sparse arrays and matrices of SciPy have."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def toarray(self) -> Array: ...
    def tocoo(self) -> Any: ...


class SparseGradient(NamedTuple):
    """A sparse gradient as the engine takes it.

    ``rows``: int64, of ``width`` coordinates each in memory order; distinct once gathered. ``values``:
    contiguous, (len(rows), width).
    """

    rows: Array
    values: Array
    width: int


def sparse(gradient: object) -> TypeGuard[Rows | SparseArray]:
    """Whether a gradient is one of ours or one of scipy.sparse."""
    if isinstance(gradient, Rows):
        return True
    return type(gradient).__module__.startswith("scipy.sparse") and hasattr(gradient, "tocoo")


def touched(leaf: Leaf, gradient: Rows | SparseArray) -> SparseGradient:
    """A sparse gradient in the memory order of its parameter; GradientError where it does not fit."""
    where = f"gradient{at(leaf.path)}"
    dtype = gradient.values.dtype if isinstance(gradient, Rows) else gradient.dtype
    if dtype != leaf.dtype and not (isinstance(gradient, Rows) and not gradient.values.size):
        raise GradientError(
            f"{where}: dtype must be {leaf.dtype} as its parameter's, got {dtype};"
            f" convert with .astype({leaf.dtype.name!r})"
        )
    if not leaf.shape:
        raise GradientError(f"{where}: a parameter without axes has no rows; pass an array")
    return (
        _of_rows(leaf, gradient, where) if isinstance(gradient, Rows) else _of_matrix(leaf, gradient, where)
    )


def _of_rows(leaf: Leaf, gradient: Rows, where: str) -> SparseGradient:
    count, *rest = leaf.shape
    width = math.prod(rest)
    if gradient.values.shape[1:] != tuple(rest) and len(gradient.values):
        raise GradientError(
            f"{where}: each row must have shape {tuple(rest)} as its parameter's, got {gradient.values.shape[1:]}"
        )
    inside(gradient.indices, count, "row", where)
    indices = np.ascontiguousarray(gradient.indices, dtype=np.int64)
    values = np.ascontiguousarray(gradient.values, dtype=leaf.dtype).reshape(len(indices), width)
    if leaf.fortran and width > 1:  # a row's coordinates lie apart
        offsets = count * np.arange(width).reshape(rest, order="F").ravel()
        return SparseGradient((indices[:, None] + offsets).ravel(), values.reshape(-1, 1), 1)
    return SparseGradient(indices, values, width)


def _of_matrix(leaf: Leaf, gradient: Any, where: str) -> SparseGradient:
    if tuple(gradient.shape) != leaf.shape:
        raise GradientError(f"{where}: shape must be {leaf.shape} as its parameter's, got {gradient.shape}")
    try:
        if hasattr(gradient, "check_format"):
            gradient.check_format(full_check=True)  # tocoo follows indptr wherever it points
        if gradient.format == "lil" and any(map(lambda r, d: len(r) != len(d), gradient.rows, gradient.data)):
            raise ValueError("a row has as many indices as entries")
        pairs = gradient.tocoo()
        if any(len(index) != len(pairs.data) for index in _coords(pairs)):
            raise ValueError("indices and data should have the same size")
    except ValueError as error:
        raise GradientError(f"{where}: is a damaged sparse matrix ({error})") from None
    coords = _coords(pairs)
    for axis, (index, count) in enumerate(zip(coords, leaf.shape, strict=True)):
        inside(index, count, f"index on axis {axis}", where)
    order = coords[::-1] if leaf.fortran else coords
    counts = leaf.shape[::-1] if leaf.fortran else leaf.shape
    flat = np.zeros(len(pairs.data), dtype=np.int64)
    for index, count in zip(order, counts, strict=True):
        flat *= count
        flat += index
    values = np.ascontiguousarray(pairs.data, dtype=leaf.dtype).reshape(-1, 1)
    return SparseGradient(flat, values, 1)


def _coords(pairs: Any) -> tuple[Array, ...]:
    """The indices of a COO matrix on each axis; SciPy before 1.13 has two."""
    return pairs.coords if hasattr(pairs, "coords") else (pairs.row, pairs.col)


def inside(indices: Array, count: int, what: str, where: str) -> None:
    """GradientError where an index lies outside [0, count)."""
    if indices.size and not 0 <= indices.min() <= indices.max() < count:
        k = int(np.flatnonzero((indices < 0) | (indices >= count))[0])
        raise GradientError(
            f"{where}: {what} {indices[k]} (entry {k}) lies outside [0, {count}); negative ones do not wrap"
        )


def shares(leaf: Leaf) -> GradientError:
    """What is raised for a gradient that lies where the step writes."""
    return GradientError(
        f"gradient{at(leaf.path)}: shares memory with a parameter or a state that the step changes; pass a copy"
    )


def gradient_of(leaf: Leaf, gradient: Array | None, memory: Memory) -> tuple[Array | None, int]:
    """A gradient in the memory order of its parameter and its address; 0 where it is a copy.

    Raises GradientError where type, shape or dtype do not fit, or where it shares memory with
    what the step will write.
    """
    if gradient is None:
        return None, 0
    if type(gradient) not in ARRAYS:
        if not isinstance(gradient, np.generic):
            raise GradientError(
                f"gradient{at(leaf.path)}: must be a NumPy array of {leaf.dtype} {leaf.shape}, got {described(gradient)}"
            )
        gradient = np.asarray(gradient)
    if gradient.shape != leaf.shape:
        raise GradientError(
            f"gradient{at(leaf.path)}: shape must be {leaf.shape} as its parameter's, got {gradient.shape}"
        )
    if gradient.dtype is not leaf.dtype and gradient.dtype != leaf.dtype:
        raise GradientError(
            f"gradient{at(leaf.path)}: dtype must be {leaf.dtype} as its parameter's, got {gradient.dtype};"
            f" convert with .astype({leaf.dtype.name!r})"
        )
    if memory.holds(gradient):
        raise shares(leaf)
    ordered = gradient.T if leaf.fortran else gradient
    if not ordered.flags.c_contiguous or not ordered.flags.aligned:
        return np.ascontiguousarray(ordered), 0
    return ordered, address(ordered)


def indices_of(leaf: Leaf, rows: ArrayLike, where: str) -> Array:
    """Return rows that somebody names as int64, (n,). Raises GradientError where they are no rows of the parameter."""
    indices = np.atleast_1d(np.asarray(rows))
    if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
        raise GradientError(f"{where}: rows must be whole numbers, got {short(rows)}")
    if not leaf.shape:
        raise GradientError(f"{where}: a parameter without axes has no rows")
    inside(indices, leaf.shape[0], "row", where)
    return np.ascontiguousarray(indices, dtype=np.int64)


def not_finite(leaf: Leaf, gradient: Array | SparseGradient, rule: Rule, limit: float) -> str | None:
    """Return what is wrong with a gradient whose entries must not exceed ``limit``; None if nothing is."""
    rows = gradient if isinstance(gradient, SparseGradient) else None
    flat = gradient.values if isinstance(gradient, SparseGradient) else gradient
    bad = np.flatnonzero(~(np.abs(flat) <= limit))
    if not bad.size:
        return None
    place = int(bad[0])
    if rows is not None:
        place = int(rows.rows[place // rows.width]) * rows.width + place % rows.width
    order: Literal["C", "F"] = "F" if leaf.fortran else "C"
    index = tuple(int(x) for x in np.unravel_index(place, leaf.shape, order=order))
    value = flat.flat[bad[0]]
    what = "is not finite"
    if np.isfinite(value):
        what = f"is too large for the states of {type(rule).__name__} in {leaf.dtype} (at most {limit:.4g})"
    return (
        f"gradient{at(leaf.path)}: {value} at {index} {what}; {bad.size} of {flat.size} entries;"
        " nothing has moved (on_nonfinite='skip' leaves such steps out)"
    )


def norm(run: Engine, gradients: Sequence[tuple[Array, Array | None]]) -> tuple[float, int]:
    """Return the Euclidean norm of all gradients, each with what is gathered of it, as m and e of m * 2**e.

    e is 0 unless the norm's square leaves float64's range: then the gradients are scaled before they are squared.
    """
    square = run.sum_of_squares(gradients)
    if 1e-290 < square < math.inf or math.isnan(square):
        return math.sqrt(square), 0
    with np.errstate(all="ignore"):
        sums = [(g if a is None else a.reshape(g.shape) + g).astype(np.float64) for g, a in gradients]
        top = max((float(np.max(np.abs(x), initial=0.0)) for x in sums), default=0.0)
        if not 0 < top < math.inf:
            return top, 0
        _, e = math.frexp(top)
        return math.sqrt(sum(float(np.sum(np.ldexp(x, -e) ** 2)) for x in sums)), e


@cache
def smallest_normal(stored: np.dtype[Any]) -> float:
    """Return the least positive number that the arithmetic for a dtype holds with all its digits."""
    return float(np.finfo(arithmetic(stored)).smallest_normal)


class Factor(NamedTuple):
    """What clipping by norm multiplies gradients by, once they have been divided by 2**shift; ``length`` is what is left."""

    factor: float
    shift: int
    length: float


def clipping(m: float, e: int, bound: float, smallest: float) -> Factor:
    """Return what brings gradients whose norm is m * 2**e to a norm of at most ``bound``.

    smallest: the least factor that the arithmetic holds with all its digits; a smaller one is split in two.
    """
    m, more = math.frexp(m)
    e += more
    length = math.ldexp(m, e) if e <= sys.float_info.max_exp else math.inf
    if length <= bound:
        return Factor(1.0, 0, length)
    factor = bound / length
    return Factor(factor, 0, bound) if factor >= smallest else Factor(bound / m, e, bound)
