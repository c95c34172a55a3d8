"""Work side by side in processes: results as they come, the same sums on any machine."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from ..errors import EngineError

T = TypeVar("T")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> threadpool_limits:
    """A context in which sums are done in one thread, so that they are the same on any machine."""
    return threadpool_limits(1)


def side_by_side(
    call: Callable[..., T], tasks: Iterable[tuple[Any, ...]], count: int, jobs: int | None = None
) -> Iterator[T]:
    """``call(*task)`` for each of ``count`` tasks, in any order.

    jobs: processes, by default the cores; 1 stays in this process. Tasks must be picklable otherwise.
    """
    workers = min(cores() if jobs is None else jobs, count)
    if workers <= 1:
        with one_thread():
            for task in tasks:
                yield call(*task)
        return
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs")
    try:
        yield from parallel(delayed(_quietly)(call, task) for task in tasks)
    except TerminatedWorkerError:
        raise EngineError("a worker process was killed, perhaps for memory; what was done is kept") from None


def _quietly(call: Callable[..., T], task: tuple[Any, ...]) -> T:
    _worker()
    return call(*task)


@lru_cache(maxsize=1)
def _worker() -> None:
    """A process of the pool leaves Ctrl-C to its parent and does its sums in one thread."""
    if multiprocessing.parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        one_thread()
