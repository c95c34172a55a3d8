"""Running a kernel: at once on one job, or over a range of work shared out to threads."""

from collections.abc import Callable, Sequence

import numpy as np

from ..memory import Array, address
from . import object_cache as objects
from . import pool
from .compile import Kernel
from .job import RESULT

SMALL = 1 << 14  # coordinates below which the interpreter's lock is kept
GRAIN = 1 << 18  # coordinates below which a second thread costs more than it saves

Share = Callable[[Kernel, Sequence[int], int], int]  # runs a kernel over [0, total): the largest result


def call(kernel: Kernel, job: Array) -> None:
    """Run a kernel on one job, which it changes."""
    kernel(*objects.CONVENTION, address(job))


def run(kernel: Kernel, own: Sequence[int], total: int, grain: int) -> int:
    """Run a kernel over [0, total) on the pool; return the largest result.

    Each slice has a job of its own: where it begins and ends, its result, then the words ``own``.
    """

    def work(lo: int, hi: int) -> int:
        job = np.array((lo, hi, 0, *own), dtype=np.int64)
        kernel(*objects.CONVENTION, address(job))
        return int(job[RESULT])

    return pool.split(work, total, grain)


def by_pool(kernel: Kernel, own: Sequence[int], total: int) -> int:
    """Run a kernel over [0, total) on our own threads; return the largest result."""
    return run(kernel, own, total, GRAIN)
