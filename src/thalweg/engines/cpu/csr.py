"""Examples as rows: CSR arrays or a dense array, and the check that CSR rows are as they should be."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from ..memory import Array, address
from .compile import kernel
from .job import RESULT, Job
from .launch import call
from .text import source

JOB = Job("row", "indptr", "indices", "data", "features")
# The casts that printed source has for a pointer to numbers of a dtype.
KINDS = {"float32": "singles", "float64": "reals", "int32": "ints", "int64": "words"}


class Csr(Protocol):
    """A matrix (n, d) of compressed sparse rows, such as SciPy's."""

    @property
    def data(self) -> Array: ...
    @property
    def indices(self) -> Array: ...
    @property
    def indptr(self) -> Array: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, rows: Array, /) -> Csr: ...
    def __matmul__(self, other: Array, /) -> Array: ...


Matrix: TypeAlias = Array | Csr


class Rows(NamedTuple):
    """Examples: CSR arrays (indices distinct within a row), or, without indptr, a dense (n, d) array."""

    data: Array
    indices: Array | None
    indptr: Array | None
    shape: tuple[int, int]


class Labelled(NamedTuple):
    """Examples with float64 targets: one each (n,), or one for each of their scores (n, k)."""

    rows: Rows
    targets: Array


def rows_of(x: Matrix | Rows) -> Rows:
    """A dense array or a CSR matrix (``data``, ``indices``, ``indptr``, ``shape``) as rows; copied where it must be.

    Raises ValueError where it is no table.
    """
    if isinstance(x, Rows):
        return x
    if len(x.shape) != 2:
        raise ValueError(f"rows: shape {x.shape}, expected (rows, features)")
    shape = (x.shape[0], x.shape[1])
    data = x if isinstance(x, np.ndarray) else x.data
    real = data.dtype if data.dtype.name in ("float32", "float64") else np.dtype(np.float64)
    data = np.ascontiguousarray(data, dtype=real)
    if isinstance(x, np.ndarray):
        return Rows(data, None, None, shape)
    kinds = {x.indices.dtype.name, x.indptr.dtype.name}
    index = np.int32 if kinds == {"int32"} else np.int64
    indices, indptr = (np.ascontiguousarray(a, dtype=index) for a in (x.indices, x.indptr))
    return Rows(data, indices, indptr, shape)


_LOOK = """
def kernel(job):
    indptr = {index}(job[INDPTR])
    indices = {index}(job[INDICES])
    data = {datum}(job[DATA])
    features = job[FEATURES]
    job[RESULT] = 0
    for r in range(job[LO], job[HI]):
        last = np.int64(-1)
        for e in range(np.int64(indptr[r]), np.int64(indptr[r + 1])):
            j = np.int64(indices[e])
            if j < 0 or j >= features:
                job[RESULT] = {OUTSIDE}
                job[ROW] = r
                return 0
            if j <= last and job[RESULT] == 0:
                job[RESULT] = {UNSORTED}
                job[ROW] = r
            last = j
            if not abs(data[e]) <= {largest!r}:
                job[RESULT] = {NONFINITE}
                job[ROW] = r
                return 0
    return 0
"""
GOOD, OUTSIDE, UNSORTED, NONFINITE = range(4)


def fault(rows: Rows) -> str:
    """What is wrong with rows that somebody handed over, "" where nothing is: CSR arrays as long as they say, indices
    below the width, values finite. Dense rows are not looked at."""
    if rows.indices is None or rows.indptr is None:
        return ""
    ends, stored = rows.indptr, min(len(rows.indices), len(rows.data))
    if (
        ends.shape != (rows.shape[0] + 1,)
        or ends[0] != 0
        or np.any(ends[1:] < ends[:-1])
        or ends[-1] > stored
    ):
        return f"indptr does not cut {stored} entries into {rows.shape[0]} rows"
    what, row = look(rows)
    if what == OUTSIDE:
        return f"row {row} has an index outside 0..{rows.shape[1] - 1}"
    return f"row {row} has a value that is not finite" if what == NONFINITE else ""


def look(rows: Rows) -> tuple[int, int]:
    """What is wrong with CSR rows, if anything, and in which row: OUTSIDE, UNSORTED or NONFINITE."""
    assert rows.indices is not None and rows.indptr is not None
    index, datum = rows.indices.dtype.name, rows.data.dtype.name
    text = _LOOK.format(
        index=KINDS[index],
        datum=KINDS[datum],
        largest=float(np.finfo(rows.data.dtype).max),
        OUTSIDE=OUTSIDE,
        UNSORTED=UNSORTED,
        NONFINITE=NONFINITE,
    )
    places = {n: address(a) if a.size else 0 for n, a in rows._asdict().items() if n != "shape"}
    job = JOB.vector(hi=rows.shape[0], features=rows.shape[1], **places)
    call(kernel(source(datum, JOB, [text]))[0], job)
    return int(job[RESULT]), int(job[JOB.at["row"]])
