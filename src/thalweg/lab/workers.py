"""Work side by side in processes that can be killed: results as they come, the same sums on any machine.

A worker is a process of its own, no daemon (it may have children: those of a DataLoader, say), kept alive between
jobs, since frameworks take a second to import. It does its sums in one thread. What never returns is ended by killing
the process and its children: a signal's handler would wait until compiled code comes back. A task whose worker was lost is
given to another, once. A worker ends with its parent, however that ends.
"""

import atexit
import faulthandler
import hashlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, TypeAlias, TypeVar

from threadpoolctl import threadpool_limits

from ..engines.memory import available
from ..errors import EngineError
from ..fitting.budget import resident
from .pickling import dumps

T = TypeVar("T")
Chunk: TypeAlias = Sequence[tuple[int, Any]]  # tasks with their numbers
Answers: TypeAlias = Iterator[Sequence[tuple[int, Any]]]

SMALL = 256 << 20  # bytes that a worker takes at least: Python, NumPy, SciPy and Numba
CHUNK = 0.2  # seconds of work that are sent at once, where tasks are short
IDLE = 300  # seconds after which a worker without work ends
ATTEMPTS = 2  # at a task whose worker is lost
STARTING = 60.0  # seconds that what a task needs, a framework say, has to be imported in
LONG = 1e6  # seconds that are as good as no limit
GRACE = 10  # seconds after a limit at which a worker ends by itself: its parent is gone
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"),
    **dict.fromkeys(("VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS", "THALWEG_THREADS"), "1"),
}  # fmt: skip
XLA_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclass(frozen=True)
class Lost:
    """What a task came to whose worker was killed. seconds: the limit that it exceeded; None for another reason."""

    reason: str
    seconds: float | None = None


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_for(count: int, wanted: int | None = None) -> int:
    """How many workers so many tasks get: as many as wanted, by default one a core; at most what memory has room for.

    Each is taken to need as much memory as this process, which has loaded what it works with.
    """
    room = max(1, available() // max(resident(), SMALL))
    return max(1, min(cores() if wanted is None else wanted, count, room))


def _one_thread_each(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process whose libraries do their sums in one thread."""
    flags = f"{environment.get('XLA_FLAGS', '')} {XLA_ONE_THREAD}".strip()
    return {**environment, **ONE_THREAD, "XLA_FLAGS": flags}


def one_thread() -> threadpool_limits:
    """A context in which sums are done in one thread, so that they are the same on any machine."""
    return threadpool_limits(1)


def side_by_side(
    call: Callable[..., T], tasks: Iterable[tuple[Any, ...]], count: int, jobs: int | None = None
) -> Iterator[T]:
    """``call(*task)`` for each of ``count`` tasks, in any order.

    jobs: processes, by default the cores; 1 stays in this process. Tasks must be picklable otherwise. Raises EngineError
    where a task's worker is killed twice.
    """
    if jobs == 1 or workers_for(count, jobs) == 1:
        with one_thread():
            for task in tasks:
                yield call(*task)
        return
    for _, result in run(each, call, list(tasks), jobs):
        if isinstance(result, Lost):
            raise EngineError(f"{result.reason}; what was done is kept")
        yield result


@dataclass(frozen=True)
class Named:
    """A function of a module that is imported, in whichever process, when it is called."""

    module: str
    name: str

    def __call__(self, *arguments: Any) -> Any:
        return getattr(import_module(self.module), self.name)(*arguments)


def load(module: str) -> None:
    """Let a worker import a module while this process goes on, so that it can help with ``beside``."""
    if workers_for(2) > 1:
        threading.Thread(target=_loaded, args=(module,), daemon=True).start()


def _loaded(module: str) -> None:
    with suppress(EngineError):
        list(run(each, _import, [(module,)], 1))


def _import(module: str) -> None:
    import_module(module)


def beside(call: Callable[..., T], tasks: Sequence[tuple[Any, ...]]) -> list[T]:
    """``call(*task)`` for each task, in order: every second one in a worker that waits, where there is one."""
    if not _idle:
        return [call(*task) for task in tasks]
    with ThreadPoolExecutor(1) as aside:
        answers = aside.submit(list, run(each, call, tasks[::2], 1))
        results = {k: call(*tasks[k]) for k in range(1, len(tasks), 2)}
        with suppress(EngineError):  # what a worker cannot do is done here
            results |= {2 * n: result for n, result in answers.result() if not isinstance(result, Lost)}
    return [results[k] if k in results else call(*task) for k, task in enumerate(tasks)]


def each(call: Callable[..., Any], chunk: Chunk, begin: Callable[[int], None]) -> Answers:
    """``call(*task)`` for each task of a chunk."""
    for k, task in chunk:
        begin(k)
        yield [(k, call(*task))]


# The parent's side.


@dataclass(eq=False)
class _Worker:
    """A process that waits for chunks. tasks: those that it was sent and has not answered; limit: when it is killed."""

    process: subprocess.Popen[bytes]
    line: Connection
    known: bytes = b""  # the digest of what it has been sent that all tasks share
    tasks: list[tuple[int, Any]] = field(default_factory=list)
    current: int | None = None
    since: float = 0.0
    allowed: float = float("inf")  # seconds for what it is at
    limit: float = float("inf")

    def kill(self) -> None:
        """End the process with its children, and wait for its end."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.line.close()


_idle: list[_Worker] = []  # kept for the next run


def _started() -> _Worker:
    """A worker: one that waits, or a new one."""
    while _idle:
        worker = _idle.pop()
        if worker.process.poll() is None:
            return worker
        worker.kill()
    ours, theirs = Pipe()
    code = f"import sys; sys.path[:] = {sys.path!r}; from thalweg.lab.workers import serve; serve({theirs.fileno()})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=_one_thread_each(os.environ),
        stdin=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
        start_new_session=True,  # Ctrl-C is its parent's; its children are killed with it
    )
    theirs.close()
    return _Worker(process, ours)


@atexit.register
def _dismiss() -> None:
    while _idle:
        _idle.pop().kill()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's


def run(
    call: Callable[[Any, Chunk, Callable[[int], None]], Answers],
    shared: object,
    tasks: Sequence[Any],
    workers: int | None = None,
    seconds: float = float("inf"),
) -> Iterator[tuple[int, Any]]:
    """What ``call`` makes of the tasks in worker processes: (number, result) in any order, or ``Lost`` for a result.

    call: a function of ``shared``, of which each worker gets one copy, of a chunk of numbered tasks, and of ``begin``,
    which it calls with a task's number before each; it yields numbers with results. workers: as for ``workers_for``.
    seconds: of a task, after which its worker is killed. Before the first of a chunk begins there are ``STARTING``.

    What a task raises is raised here. Raises EngineError where no worker can be started, or something cannot be sent.
    """
    job = _Job(_pickled((call, shared)), tasks, seconds)
    most = workers_for(len(tasks), workers)
    crew: list[_Worker] = []
    try:
        while job.left:
            while len(crew) < min(most, job.left):
                crew.append(_started())
            for worker in crew:
                if not worker.tasks:
                    job.send(worker, len(crew))
            yield from job.hear(crew)
    finally:
        for worker in crew:
            if worker.tasks or len(_idle) >= cores():
                worker.kill()
            else:
                _idle.append(worker)


def _pickled(what: object) -> bytes:
    try:
        return dumps(what)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise EngineError(
            f"worker processes cannot be sent what they need ({error}): put it in a file, or stay in this process, workers=0"
        ) from None


class _Job:
    """Tasks that wait, are worked at, or failed to be; and what their workers say."""

    def __init__(self, head: bytes, tasks: Sequence[Any], seconds: float) -> None:
        self.head, self.seconds = head, seconds
        self.name = hashlib.sha256(head).digest()
        self.waiting = deque(enumerate(tasks))
        self.left = len(tasks)
        self.attempts: dict[int, int] = {}
        self.pace = CHUNK  # seconds that a task took, of late
        self.stillborn = 0

    def send(self, worker: _Worker, crew: int) -> None:
        """Give a worker the next tasks: one, or more where they are short."""
        count = max(1, min(int(CHUNK / max(self.pace, 1e-6)), len(self.waiting) // (2 * crew)))
        worker.tasks = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
        if not worker.tasks:
            return
        head = None if worker.known == self.name else self.head
        worker.known, worker.current, worker.limit = self.name, None, float("inf")
        worker.since = time.monotonic()
        around = os.getcwd(), sys.path, dict(os.environ)
        message = around, worker.tasks[0][0], self.seconds, head, _pickled(worker.tasks)
        with suppress(OSError):  # it is gone, and is seen to be
            worker.line.send_bytes(pickle.dumps(message))

    def hear(self, crew: list[_Worker]) -> Iterator[tuple[int, Any]]:
        """Wait for what workers say, or for a limit; workers that are lost leave the crew."""
        until = min((w.limit for w in crew), default=0.0) - time.monotonic()
        wait([w.line for w in crew if w.tasks], max(0.0, min(until, 1.0)))
        for worker in [w for w in crew if w.tasks]:
            gone = worker.process.poll() is not None  # what it said before is still heard
            for message in _said(worker):
                yield from self._take(worker, *pickle.loads(message))
            late = bool(worker.tasks) and time.monotonic() > worker.limit
            if gone or late:
                crew.remove(worker)
                worker.kill()
                yield from self._lost(worker, late)

    def _take(self, worker: _Worker, kind: str, what: Any) -> Iterator[tuple[int, Any]]:
        now = time.monotonic()
        if kind == "begin":
            worker.current, worker.allowed = what
            worker.limit = now + worker.allowed
        elif kind == "raised":
            raise what
        else:
            answered = {k for k, _ in what}
            worker.tasks = [(k, task) for k, task in worker.tasks if k not in answered]
            self.left -= len(answered)
            self.pace, worker.since = (now - worker.since) / max(1, len(answered)), now
            yield from what

    def _lost(self, worker: _Worker, late: bool) -> Iterator[tuple[int, Any]]:
        """Give the tasks of a lost worker to others; the one that it was at only if that may help."""
        at = next((k for k, _ in worker.tasks if k == worker.current), None)
        status = worker.process.returncode
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        if at is None:
            self.stillborn += 1
            if self.stillborn == 3:
                raise EngineError(f"worker processes end before they begin ({how})")
        else:
            self.attempts[at] = self.attempts.get(at, 0) + 1
        over = at is not None and (late or self.attempts[at] == ATTEMPTS)
        self.waiting.extendleft(reversed([t for t in worker.tasks if not (over and t[0] == at)]))
        if over and at is not None:
            self.left -= 1
            if late:
                yield (
                    at,
                    Lost(f"took longer than {worker.allowed:g} s (--seconds) and was ended", worker.allowed),
                )
            else:
                yield at, Lost(f"its worker process was killed {ATTEMPTS} times ({how}), perhaps for memory")


def _said(worker: _Worker) -> Iterator[bytes]:
    """What a worker has said so far; nothing more where it is gone. (A FileError that it raised is an OSError too.)"""
    while True:
        try:
            message = worker.line.recv_bytes() if worker.line.poll() else None
        except (EOFError, OSError):
            return
        if message is None:
            return
        yield message


# The worker's side.


def serve(handle: int) -> None:
    """Do what a parent sends, in a process of its own, until there is no more or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # what a user's code prints is no result
    line = Connection(handle)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(line, inbox), daemon=True).start()
    known: Any = None
    with one_thread(), open(os.devnull, "w") as silence, suppress(queue.Empty):
        while True:
            around, first, seconds, head, text = pickle.loads(inbox.get(timeout=IDLE))

            def begin(k: int, seconds: float = seconds) -> None:
                line.send_bytes(pickle.dumps(("begin", (k, seconds))))
                # The parent may be gone, and this thread let no other run.
                faulthandler.dump_traceback_later(min(seconds, LONG) + GRACE, exit=True, file=silence)

            try:
                _surround(*around)
                begin(first, max(seconds, STARTING))  # a user's modules are imported by what follows
                known = known if head is None else pickle.loads(head)
                call, shared = known
                for answers in call(shared, pickle.loads(text), begin):
                    line.send_bytes(dumps(("done", answers)))
            except BaseException as error:
                line.send_bytes(_raised(error))
            faulthandler.cancel_dump_traceback_later()


def _listen(line: Connection, inbox: "queue.SimpleQueue[bytes]") -> None:
    """Take in what the parent sends; when it is gone, end this process with its children."""
    with suppress(EOFError, OSError):
        while True:
            inbox.put(line.recv_bytes())
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _surround(folder: str, path: list[str], environment: dict[str, str]) -> None:
    """Stand where the parent stands: its folder, its way to modules, its environment."""
    with suppress(OSError):
        os.chdir(folder)
    sys.path[:] = path
    wanted = _one_thread_each(environment)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def _raised(error: BaseException) -> bytes:
    """What tells the parent of an error, with its traceback; in words where it is no Exception or does not travel."""
    if isinstance(error, Exception):
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
        with suppress(Exception):
            text = dumps(("raised", error))
            pickle.loads(text)
            return text
    return pickle.dumps(("raised", EngineError(f"{type(error).__name__} in a worker process: {error}")))
