"""Tasks on more machines than this one: on a Dask cluster, or through a joblib backend, such as Ray's.

There each chunk of tasks goes to a worker that can be killed (``workers``), started beside whoever took the chunk, so that
limits of time and numbers are the same as here. Keeping what comes back is for this side.
"""

import atexit
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..errors import EngineError, HyperparameterError
from .pickling import dumps
from .versions import machine
from .workers import Answers, Chunk, Lost, run

if TYPE_CHECKING:
    from ..fitting.cluster import Client

Call: TypeAlias = Callable[[Any, Chunk, Callable[[int], None]], Answers]

PIECES = 4  # chunks that each worker gets, at least: a lost one's are not many
MOST = 16  # tasks in a chunk


class Spread(Protocol):
    """Somewhere to run tasks."""

    def run(
        self, call: Call, shared: object, tasks: Sequence[Any], seconds: float
    ) -> Iterator[Sequence[tuple[int, Any]]]:
        """Yield what ``workers.run`` does, several at once."""

    def machines(self) -> list[dict[str, str]]:
        """What the workers are: the versions of tools, system and processor, each kind once."""


class DaskCluster:
    """The workers of a Dask cluster. cluster: a client, a scheduler's address, or "local". Raises FileError."""

    def __init__(self, cluster: "str | Client") -> None:
        from ..fitting.cluster import client_of  # brings all of fitting, which a race does not need

        self._client, own = client_of(cluster)
        for thing in own:
            atexit.register(thing.close)  # they are open for the next race

    def machines(self) -> list[dict[str, str]]:
        """What the workers are, each kind once."""
        return _kinds(self._client.run(machine).values())

    def run(
        self, call: Call, shared: object, tasks: Sequence[Any], seconds: float
    ) -> Iterator[Sequence[tuple[int, Any]]]:
        """Yield results chunk by chunk as they come. A worker that is lost is Dask's to replace, three times."""
        distributed: Any = import_module("dask.distributed")
        info = self._client.scheduler_info()["workers"]
        threads = sum(worker["nthreads"] for worker in info.values())
        head = dumps((call, shared))
        futures = {
            self._client.submit(remote, head, dumps(chunk), seconds, pure=False): chunk
            for chunk in chunks(tasks, threads)
        }
        try:
            for future in distributed.as_completed(futures):
                try:
                    yield future.result()
                except distributed.KilledWorker as error:
                    yield [
                        (k, Lost(f"its Dask worker was lost again and again ({error})"))
                        for k, _ in futures[future]
                    ]
        finally:
            self._client.cancel(list(futures))


class JoblibBackend:
    """The workers of a joblib backend by name; "ray" registers Ray's. Raises HyperparameterError, EngineError."""

    def __init__(self, name: str, workers: int | None) -> None:
        joblib: Any = import_module("joblib")
        if name == "ray":
            try:
                import_module("ray.util.joblib").register_ray()
            except ImportError:
                raise EngineError(
                    "--backend ray: needs Ray, which is not installed: pip install ray"
                ) from None
        try:
            with joblib.parallel_config(backend=name, n_jobs=workers or -1):
                self._parallel = (
                    joblib.Parallel().__enter__()
                )  # its workers stay: Ray takes seconds to start some
                self._count = joblib.effective_n_jobs()
        except (ValueError, ImportError) as error:
            raise HyperparameterError(f"--backend {name}: joblib has no such backend ({error})") from None
        self._delayed = joblib.delayed
        atexit.register(self._parallel.__exit__, None, None, None)

    def machines(self) -> list[dict[str, str]]:
        """What the workers are, each kind once, as far as as many calls as there are workers tell."""
        return _kinds(self._parallel(self._delayed(machine)() for _ in range(self._count)))

    def run(
        self, call: Call, shared: object, tasks: Sequence[Any], seconds: float
    ) -> Iterator[Sequence[tuple[int, Any]]]:
        """Yield results chunk by chunk, as many chunks at once as there are workers: not each backend tells sooner."""
        head = dumps((call, shared))
        parts = chunks(tasks, self._count)
        for first in range(0, len(parts), self._count):
            batch = parts[first : first + self._count]
            yield from self._parallel(self._delayed(remote)(head, dumps(chunk), seconds) for chunk in batch)


@lru_cache(maxsize=4)
def spread_over(dask: "str | Client | None", backend: str | None, workers: int | None) -> Spread | None:
    """Return where tasks go beyond this machine, opened once; None where they stay. Raises what opening raises."""
    if dask is not None and backend is not None:
        raise HyperparameterError("--dask and --backend: give one of the two")
    if dask is not None:
        return DaskCluster(dask)
    return None if backend is None else JoblibBackend(backend, workers)


def chunks(tasks: Sequence[Any], workers: int) -> list[list[tuple[int, Any]]]:
    """Numbered tasks in chunks, several to a worker."""
    size = max(1, min(MOST, len(tasks) // (PIECES * max(1, workers))))
    numbered = list(enumerate(tasks))
    return [numbered[first : first + size] for first in range(0, len(numbered), size)]


def remote(head: bytes, text: bytes, seconds: float) -> list[tuple[int, Any]]:
    """On a machine of a cluster: run a chunk in a process that can be killed, and return numbers with results."""
    call, shared = pickle.loads(head)
    numbers, tasks = zip(*pickle.loads(text), strict=True)
    return [(numbers[k], result) for k, result in run(call, shared, tasks, 1, seconds)]


def _kinds(machines: Any) -> list[dict[str, str]]:
    """Each kind of machine once, in order."""
    return [dict(items) for items in sorted({tuple(sorted(m.items())) for m in machines})]
