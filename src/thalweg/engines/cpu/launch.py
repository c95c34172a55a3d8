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

# ``run_whole`` by others: a kernel, its own words, the total, the word in which it counts what it has changed, moved.
Share = Callable[[Kernel, Sequence[int], int, int, list[int]], int]


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


def run_whole(kernel: Kernel, own: Sequence[int], total: int, grain: int, done: int, moved: list[int]) -> int:
    """``run``, of which an interruption leaves all slices done or none; ``moved[0]`` grows by one if they are.

    done: the word in which the kernel counts a slice that it has changed.
    """
    jobs: dict[int, Array] = {}

    def work(lo: int, hi: int) -> int:
        jobs[lo] = job = np.array((lo, hi, 0, *own), dtype=np.int64)
        job[done] = 0
        kernel(*objects.CONVENTION, address(job))
        return int(job[RESULT])

    def ends() -> list[tuple[int, int]]:
        return sorted((int(job[0]), int(job[1])) for job in [*jobs.values()] if job[done])

    try:
        most = pool.split(work, total, grain)
        moved[0] += any(job[done] for job in jobs.values())
    except BaseException:  # Ctrl-C: no other thread is at work any more
        count = moved[0]
        while moved[0] == count and ends():
            try:
                for lo, hi in _between(ends(), total):
                    work(lo, hi)
                moved[0] = count + 1
            except KeyboardInterrupt:
                continue
        raise
    return most


def _between(slices: Sequence[tuple[int, int]], total: int) -> list[tuple[int, int]]:
    """Return what sorted slices of [0, total) leave out."""
    begins, ends = [lo for lo, _ in slices], [hi for _, hi in slices]
    return [(a, b) for a, b in zip([0, *ends], [*begins, total], strict=True) if a < b]


def by_pool(kernel: Kernel, own: Sequence[int], total: int, done: int, moved: list[int]) -> int:
    """``run_whole`` on our own threads, with slices for a dense kernel."""
    return run_whole(kernel, own, total, GRAIN, done, moved)
