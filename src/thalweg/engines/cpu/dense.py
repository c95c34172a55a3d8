"""The CPU engine: an update printed as a loop over memory, compiled by Numba, run by many threads.

a) Kernels are serial and release the interpreter's lock; threads split the coordinates. No operation
   depends on where the split falls, so the bits are the same for any number of threads.
b) A kernel takes a table of addresses: many small tensors cost one call.
c) Pointers are declared distinct (the optimizer has checked it), so that the loop vectorises.
d) Strict IEEE arithmetic: no fast-math, numbers printed in the dtype of the arithmetic, libm's
   functions called in float64 and rounded once.
e) float16 and bfloat16 are stored as such and computed in float32; a result is rounded to the nearest
   stored number, ties to even.
"""

import ctypes
import struct
from array import array
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from ...core.update import Update
from ..memory import Array, address, limit
from . import launch
from . import object_cache as objects
from .compile import Kernel, kernel
from .dense_text import ADDRESSES, CHECK, JOB, SCALARS, SIZE, START, UPDATE, printed
from .job import OWN, RESULT
from .launch import Share, by_pool
from .squares import sum_of_squares

PHASE, DONE, BOTH = JOB.at["phase"], JOB.at["done"], CHECK | UPDATE


@cache
def _kernel(update: Update, stored: str) -> tuple[Kernel, Kernel]:
    return kernel(printed(update, stored))


class Sweep:
    """Passes of one kernel over tensors at given addresses; table, job and scalars are kept between passes.

    ``table`` has a row for each tensor: its size, then the addresses of ``update.arrays``; all are
    contiguous and of the dtype ``stored`` says (states: of its arithmetic). The caller keeps the memory
    alive and has checked that nothing overlaps. ``share``, which may be set before a pass, runs the kernel
    on threads, the pool's or others; None: this thread does it all.
    """

    def __init__(
        self, update: Update, stored: str, table: Sequence[Sequence[int]] | Array, share: Share | None = None
    ) -> None:
        self._call, self._quick = _kernel(update, stored)
        given = np.array(table, dtype=np.int64)
        rows = np.zeros((len(given), ADDRESSES + len(update.arrays)), dtype=np.int64)
        rows[:, SIZE], rows[:, ADDRESSES:] = given[:, 0], given[:, 1:]
        ends = np.cumsum(rows[:, SIZE])
        rows[:, START] = ends - rows[:, SIZE]
        self.total = int(ends[-1])
        self.share = share
        self._table, self._cells, self._columns = rows, rows.reshape(-1).data, rows.shape[1]
        self._sizes = rows[:, SIZE].tolist()
        self._gradient = ADDRESSES + update.arrays.index("g")
        self._column = self._cells[self._gradient :: self._columns]
        self._width = len(update.scalars)
        job = JOB.vector(hi=self.total, table=address(rows), tensors=len(rows))
        self._job = job.data
        # A small step is over before another thread could have used the interpreter's lock.
        quick = self._quick if self.total < launch.SMALL else self._call
        self._alone = partial(quick, *objects.CONVENTION, address(job))
        self._make_room(1)

    def _make_room(self, rows: int) -> None:
        self._scalars = ctypes.create_string_buffer(max(8, 8 * rows * self._width))
        self._pack = partial(struct.Struct(f"{rows * self._width}d").pack_into, self._scalars, 0)
        self._rows = rows
        self._row: tuple[float, ...] | None = (
            None  # the one that is packed; the clock may give it again that is packed, where there is one
        )
        self._job[JOB.at["scalars"]] = ctypes.addressof(self._scalars)

    def bind_all(self, gradients: Sequence[int]) -> None:
        """Take the addresses of all tensors' gradients."""
        self._column[:] = array(self._column.format, gradients)

    def _pass(self, phase: int) -> bool:
        job = self._job
        job[PHASE] = phase
        if self.share is None:
            self._alone()
            return job[RESULT] == 0
        moved = [0]
        try:
            return self.share(self._call, job[OWN:].tolist(), self.total, DONE, moved) == 0
        finally:
            job[DONE] += moved[0]

    @property
    def passes(self) -> int:
        """Updates so far: an interruption comes before one or after it, and this number tells which."""
        count: int = self._job[DONE]
        return count

    def finite(self) -> bool:
        """Whether every gradient is finite and small enough for the states."""
        return self._pass(CHECK)

    def _set(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> None:
        if len(rows) == self._rows == 1:
            if rows[0] is not self._row:
                self._pack(*rows[0])
                self._row = rows[0]
            return
        self._row = None
        self._make_room(len(rows))
        self._table[:, SCALARS] = np.multiply(which, self._width)
        self._pack(*(x for row in rows for x in row))

    def run(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> None:
        """One pass; tensor i uses the scalars ``rows[which[i]]``."""
        self._set(rows, which)
        self._pass(UPDATE)

    def step(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> bool:
        """``run`` if ``finite``; in one call where one thread does it all."""
        self._set(rows, which)
        if self.share is None:
            return self._pass(BOTH)
        return self._pass(CHECK) and self._pass(UPDATE)


class Batch(Sweep):
    """Tensors of one dtype that one kernel updates in one call.

    ``tensors`` hold flat, contiguous arrays by name (all of ``update.arrays`` but g). Gradients are
    bound before a pass; the caller has checked dtype, size and that nothing overlaps.
    """

    def __init__(self, update: Update, stored: np.dtype[Any], tensors: Sequence[dict[str, Array]]) -> None:
        self.limit = limit(stored, update.power)
        self._keep = list(tensors)
        one = "w" if "w" in tensors[0] else update.arrays[0]
        super().__init__(
            update,
            stored.name,
            [[t[one].size, *(0 if n == "g" else address(t[n]) for n in update.arrays)] for t in tensors],
        )
        self.share = None if self.total < 2 * launch.GRAIN else by_pool
        self._table[:, SIZE] = 0  # until a gradient is bound

    def bind(self, index: int, gradient: Array | None, start: int = 0) -> None:
        """Take a contiguous gradient, at address ``start``; None leaves the tensor out of the next pass."""
        cell = index * self._columns
        if gradient is None:
            self._cells[cell + SIZE] = 0
        else:
            self._cells[cell + SIZE] = self._sizes[index]
            self._cells[cell + self._gradient] = start or address(gradient)


batch = Batch

__all__ = ["Batch", "Sweep", "batch", "sum_of_squares"]
