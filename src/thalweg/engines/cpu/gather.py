"""A sparse gradient's rows brought together: each once, duplicates summed in the order they come."""

import numpy as np

from ..memory import Array, address
from . import object_cache as objects
from .compile import NARROW, kernel, real_of
from .job import RESULT, Job
from .text import source

JOB = Job("indices", "count", "width", "rows", "slots", "touched", "sums", "values", "narrowed")
AHEAD = 32  # entries ahead at which a row's slot is asked for
SMALL = 1 << 16  # rows up to which each has a slot at once
SHARE = 64  # of more rows each has one once as many indices as a SHARE of them have come in no order

_GATHER = """
def put(n, sums, values):
    distinct()
    for i in range(n):
        sums[i] = {value}

def add(n, sums, values):
    distinct()
    for i in range(n):
        sums[i] += {value}

def kernel(job):
    indices = words(job[INDICES])
    n = job[COUNT]
    width = job[WIDTH]
    rows = job[ROWS]
    last = -1
    ascending = True
    for k in range(n):
        row = indices[k]
        if row < 0 or row >= rows:
            job[RESULT] = -1 - k
            return 0
        ascending &= row > last
        last = row
    if ascending or job[SLOTS] == 0:
        job[RESULT] = n if ascending else 0
        return 0
    slots = ints(job[SLOTS])
    touched = words(job[TOUCHED])
    count = 0
    for k in range(n):
        if k + {far} < n:
            prefetch(job[SLOTS] + 4 * indices[k + {far}])
        row = indices[k]
        slot = np.int64(slots[row])
        fresh = slot < 0
        if fresh:
            slot = count
            slots[row] = np.int32(count)
            touched[count] = row
            count += 1
        if job[SUMS] != 0:
            to = state(job[SUMS] + {real} * slot * width)
            value = store(job[VALUES] + {itemsize} * k * width)
            if fresh:
                put(width, to, value)
            else:
                add(width, to, value)
    for k in range(count):
        slots[touched[k]] = np.int32(-1)
    if job[NARROWED] != 0:
        sums = state(job[SUMS])
        out = store(job[NARROWED])
        for i in range(count * width):
            out[i] = {narrowed}
    job[RESULT] = count
    return 0
"""


class Gatherer:
    """Brings the rows of a gradient together: each once, duplicates summed in the order they come."""

    def __init__(self, stored: str, rows: int, width: int) -> None:
        widen, narrow = NARROW.get(stored, ("", ""))
        self._real = real_of(stored)
        text = _GATHER.format(
            value=f"{widen}(values[i])",
            narrowed=f"{narrow}(sums[i])",
            real=self._real.itemsize,
            itemsize=2 if narrow else self._real.itemsize,
            far=AHEAD,
        )
        self._call = kernel(source(stored, JOB, [text]))[1]
        self._narrow = bool(narrow)
        self.rows, self.width = rows, width
        self._slots: Array | None = None
        self._unordered = 0  # indices that have come in no order
        # Kept from step to step: fresh memory would have to be made by the system each time.
        self._sums, self._out = np.empty(0, dtype=self._real), np.empty(0)

    def gather(self, indices: Array, values: Array) -> tuple[Array, Array]:
        """Distinct rows and the sums of their values, in the dtype of ``values``; they last until the next call."""
        size = len(indices) * self.width
        if self._sums.size < size:
            self._sums = np.empty(size * 5 // 4, dtype=self._real)
        if self._narrow and self._out.size < size:
            self._out = np.empty(size * 5 // 4, dtype=values.dtype)
        sums = self._out if self._narrow else self._sums
        rows = self._each(indices, self._sums, values, *[self._out] * self._narrow)
        if len(rows) == len(indices):
            return indices, values
        return rows, sums[: len(rows) * self.width].reshape(len(rows), self.width)

    def distinct(self, indices: Array) -> Array:
        """Each row (int64) once."""
        return self._each(indices)

    def _each(self, indices: Array, *arrays: Array) -> Array:
        """Each row once, as they come; ``arrays``: where their sums go, of what, and where these go narrowed."""
        count, touched = self._run(indices, self.rows, self._slots, arrays)
        if count == 0 and len(indices):  # they do not ascend, and no row has a slot yet
            self._unordered += len(indices)
            if self.rows > SMALL and self._unordered * SHARE < self.rows:
                return self._few(indices, arrays)
            self._slots = np.full(self.rows, -1, dtype=np.int32)
            count, touched = self._run(indices, self.rows, self._slots, arrays)
        if count < 0:
            raise IndexError(f"row {indices[-1 - count]} of {self.rows}")  # the caller has checked
        return indices if count == len(indices) else touched[:count]

    def _few(self, indices: Array, arrays: tuple[Array, ...]) -> Array:
        """The same where few indices have come: slots for these rows alone, which sorting numbers."""
        rows, numbers = np.unique(indices, return_inverse=True)
        slots = np.full(len(rows), -1, dtype=np.int32)
        count, touched = self._run(numbers.astype(np.int64), len(rows), slots, arrays)
        distinct: Array = indices if count == len(indices) else rows[touched[:count]]
        return distinct

    def _run(
        self, indices: Array, rows: int, slots: Array | None, arrays: tuple[Array, ...]
    ) -> tuple[int, Array]:
        """Return the kernel's count, and the rows where they do not ascend."""
        places = [address(a) for a in arrays] + [0] * (3 - len(arrays))
        touched = np.empty(len(indices), dtype=np.int64)
        at = 0 if slots is None else address(slots)
        own = (address(indices), len(indices), self.width, rows, at, address(touched), *places)
        job = np.array((0, 0, 0, *own), dtype=np.int64)  # in JOB's order: filled at every sparse step
        self._call(*objects.CONVENTION, address(job))
        return int(job[RESULT]), touched
