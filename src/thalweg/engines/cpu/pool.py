"""Threads that run slices of a kernel. Kernels release the interpreter's lock; the caller works too."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import sleep

from ...errors import HyperparameterError

PIECES = 4  # for each thread, where they are not too small

_pool: ThreadPoolExecutor | None = None
_threads: int | None = None


def threads() -> int:
    """How many threads a large step uses: ``THALWEG_THREADS``, else the cores this process may use."""
    global _threads
    if _threads is None:
        given = os.environ.get("THALWEG_THREADS", "")
        if given and not (given.isdecimal() and int(given) >= 1):
            raise HyperparameterError(f"THALWEG_THREADS must be a whole number of at least 1, got {given!r}")
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        _threads = int(given) if given else available
    return _threads


def set_threads(count: int) -> None:
    """Use this many threads from now on; the results have the same bits for any number."""
    global _threads
    if not isinstance(count, int) or count < 1:
        raise HyperparameterError(f"set_threads: count must be a whole number of at least 1, got {count!r}")
    _threads = count
    _forget()


def _forget() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a child has none of its parent's threads


def split(work: Callable[[int, int], int], total: int, grain: int) -> int:
    """Run ``work(lo, hi)`` over [0, total), for two threads or more in slices of at least half a ``grain``; the largest result.

    Whoever is free takes the next slice, so that a thread that wakes late, or not at all, is not waited for.
    """
    global _pool
    parts = min(threads(), max(1, total // grain))
    if parts == 1:
        return work(0, total)
    workers = _pool  # set_threads in another thread may forget it meanwhile
    if workers is None:
        workers = _pool = ThreadPoolExecutor(max(1, threads() - 1), thread_name_prefix="thalweg")
    width = -(-total // min(PIECES * parts, 2 * total // grain))
    width += -width % min(64, grain)  # whole cache lines, so that no two threads write into one
    left = [(lo, min(lo + width, total)) for lo in range(0, total, width)]
    left.reverse()

    def take() -> int:
        most = 0
        while True:
            try:
                piece = left.pop()
            except IndexError:  # none is left
                return most
            most = max(most, work(*piece))

    others: list[Future[int]] = []
    at_work: list[None] = []  # an interruption may come before a thread that has begun is among the others

    def help_out() -> int:
        at_work.append(None)
        try:
            return take()
        finally:
            at_work.pop()

    try:
        with suppress(RuntimeError):  # the interpreter is shutting down: this thread does it all
            for _ in range(parts - 1):
                others.append(workers.submit(help_out))
        most = take()
    finally:  # interrupted or not, nobody writes after this
        left.clear()
        rest = _results(others, at_work)
    return max([most, *rest])


def _results(others: Sequence[Future[int]], at_work: Sequence[None]) -> list[int]:
    """Wait until no thread is at work, whatever interrupts, and return what those that had begun found."""
    interruption = None
    while True:
        try:
            results = [f.result() for f in others if not f.cancel()]
            while at_work:
                sleep(1e-5)
            break
        except KeyboardInterrupt as error:
            interruption = error
    if interruption is not None:
        raise interruption
    return results
