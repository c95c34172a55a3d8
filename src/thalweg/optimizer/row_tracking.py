"""Gradients of which only some rows are given, and the parameters that such gradients train."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.catch_up import Exact, plan, rests
from ..core.line import short
from ..core.rule import Rule
from ..core.step_options import StepOptions
from ..core.update import Update
from ..engines.cpu.compile import real_of
from ..engines.cpu.gather import Gatherer
from ..engines.cpu.sparse import Table, stands
from ..engines.memory import Array
from ..errors import GradientError
from .parameters import Leaf, at


class Rows:
    """Rows of a table's gradient; before you read rows yourself, call ``opt.read(name, rows)`` or ``opt.flush()``.

    indices: (n,) whole numbers in [0, number of rows); an index that comes again adds to its row.
    values: (n, ...) of the parameter's dtype, one entry for each index, shaped as a row is. A step with
    these equals the step with the dense gradient that holds zeros in all other rows. Such rows move
    without a gradient too (momentum, decay), but only when they are next needed: until then the array
    holds what they were. Raises GradientError.
    """

    __slots__ = ("_indices", "_values")

    def __init__(self, indices: Any, values: Any) -> None:
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


class SparseGradient(NamedTuple):
    """A sparse gradient as the engine takes it.

    ``rows``: int64, of ``width`` coordinates each in memory order; distinct once gathered. ``values``:
    contiguous, (len(rows), width).
    """

    rows: Array
    values: Array
    width: int


def sparse(gradient: Any) -> bool:
    """Whether a gradient is one of ours or one of scipy.sparse."""
    if isinstance(gradient, Rows):
        return True
    return type(gradient).__module__.startswith("scipy.sparse") and hasattr(gradient, "tocoo")


def touched(leaf: Leaf, gradient: Any) -> SparseGradient:
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


class ParameterLayout(NamedTuple):
    """Where a parameter lies: a dtype's name, the addresses of its update's arrays but g, its shape.

    ``fortran``: its axes run backwards in memory. ``keep`` holds the arrays alive.
    """

    stored: str
    addresses: Sequence[int]
    shape: tuple[int, ...]
    fortran: bool = False
    keep: Any = None

    @property
    def wide(self) -> int:
        """Coordinates in a row of the parameter."""
        return math.prod(self.shape[1:])


class RowTracker:
    """One parameter that sparse gradients train: what is behind, and how it catches up."""

    def __init__(
        self,
        place: ParameterLayout,
        rule: Rule,
        parts: StepOptions,
        update: Update,
        exact: Exact,
        scalars: Sequence[Sequence[float]],
        width: int,
        t: int,
        fresh: bool,
    ) -> None:
        self.place, self.rule = place, rule
        self.bits = int(np.finfo(real_of(place.stored)).nmant) + 1  # of the mantissa
        self.plan = plan(rule, parts, exact, self.bits)
        start = {n: getattr(rule, n) for n in rule.parts.states}
        # Decay moves weights once lr is not 0; a row whose rates are kept changes them at every step.
        decays = parts.coupled or parts.decoupled or bool(rule.values.get("weight_decay"))
        self.table = Table(
            rule.parts,
            update,
            self.plan,
            place.stored,
            place.addresses,
            math.prod(place.shape) // width,
            width,
            t=t,
            fresh=fresh and not (parts.rates or decays) and stands(update, start, scalars),
            keep=place.keep,
        )
        idle = rule.parts.idle
        still = idle is not None and rests(idle, rule.parts.states)
        # Whether w moves without a gradient.
        self.moves = exact != "lazy" and (parts.coupled or parts.decoupled or not still)
        self._gatherer = Gatherer(place.stored, self.table.rows, width)
        self.pending: list[Array] = []  # rows whose gradients are gathered for a later step

    def gathered(self, gradient: SparseGradient) -> SparseGradient:
        """A gradient with each row once, by rows or coordinates as they are kept track of here."""
        table = self.table
        if gradient.width != table.width:
            if gradient.width == 1:
                table.refine()
                self._gatherer = Gatherer(self.place.stored, table.rows, 1)
                self.pending = [_spread(rows, self.place.wide) for rows in self.pending]
            else:
                rows = _spread(gradient.rows, gradient.width)
                gradient = SparseGradient(rows, gradient.values.reshape(-1, 1), 1)
        rows, values = self._gatherer.gather(gradient.rows, gradient.values)
        return SparseGradient(rows, values, table.width)

    def gather_all(self) -> None:
        """Gradients of all rows are gathered for a later step."""
        self.pending = [np.arange(self.table.rows)]

    def of(self, indices: Array) -> Array:
        """The rows kept track of here that make up rows of the parameter."""
        place = self.place
        if self.table.width == place.wide:
            return indices
        if place.fortran:
            made: Array = (indices[:, None] + place.shape[0] * np.arange(place.wide)).ravel()
            return made
        return _spread(indices, place.wide)

    def catch_up(self, indices: Array) -> bool:
        """Bring rows of the parameter (int64, some perhaps twice) up to date; whether any was behind."""
        return self.table.catch_up(self.of(self._gatherer.distinct(indices)))

    def step(self, gradient: SparseGradient, scalars: Sequence[float], hyper: Mapping[str, float]) -> None:
        """One step with the gradient's rows touched."""
        constants = tuple(hyper[n] for n in self.plan.constants)
        self.table.step(gradient.rows, gradient.values, scalars, constants, hyper.get("lr", 1.0))


def _spread(rows: Array, width: int) -> Array:
    """Rows as their coordinates."""
    made: Array = (rows[:, None] * width + np.arange(width)).ravel()
    return made


def indices_of(leaf: Leaf, rows: Any, where: str) -> Array:
    """Rows that somebody names, as int64; GradientError where they are none."""
    made = np.atleast_1d(np.asarray(rows))
    if made.ndim != 1 or (made.size and made.dtype.kind not in "iu"):
        raise GradientError(f"{where}: rows must be whole numbers, got {short(rows)}")
    if not leaf.shape:
        raise GradientError(f"{where}: a parameter without axes has no rows")
    inside(made, leaf.shape[0], "row", where)
    return np.ascontiguousarray(made, dtype=np.int64)
