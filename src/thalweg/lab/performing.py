"""Where trials are run: short compiled ones in this process, others in workers, each with a limit of time.

What a trial gives does not depend on where it is run. One that took too long, or whose worker was lost twice, has failed
with that reason, and the others go on.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from ..errors import HyperparameterError, ProblemError
from ..problems import FunctionProblem, Outsider, Raced, Source
from .spread import Spread, spread_over
from .store import Busy, Outcome, Store, StoreError, Unsaved
from .trial import Runs, Trial, is_short, joined, resolve
from .trial_key import Keys
from .workers import STARTING, Answers, Chunk, Lost, each, one_thread, run

if TYPE_CHECKING:
    from ..fitting.cluster import Client

T = TypeVar("T")
Job: TypeAlias = Sequence[Trial]

SECONDS = 600.0  # of a trial, unless told otherwise
PATIENCE = 0.2  # seconds after which trials that another process is at are looked at again
CLAIMED = 16  # trials that are claimed at once in this process
HERE = Source("")  # in the place of a problem that travels apart from its trials


class Task(NamedTuple):
    """A trial under its number, and its key in a store; "" without one."""

    number: int
    key: str
    trial: Trial


@dataclass(frozen=True)
class Performer:
    """Runs jobs of trials. workers: processes, one a core by default; 0 stays in this process, where nothing is ended.

    seconds: of a run, after which it is ended. dask: a Dask cluster's client, its scheduler's address, or "local";
    backend: of joblib, by name; there what is not compiled is run. Raises HyperparameterError for what cannot be, FileError where
    no scheduler answers.
    """

    workers: int | None = None
    seconds: float = SECONDS
    dask: "str | Client | None" = None
    backend: str | None = None
    store: Store | None = None
    keys: Keys | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and (
            isinstance(self.workers, bool) or not isinstance(self.workers, int) or self.workers < 0
        ):
            raise HyperparameterError(f"workers: must be a whole number >= 0, got {self.workers!r}")
        if not (isinstance(self.seconds, int | float) and self.seconds > 0):
            raise HyperparameterError(f"seconds: must be a number > 0, got {self.seconds!r}")
        if self._spread is not None and self.workers == 0:
            raise HyperparameterError("workers: 0 stays in this process, which dask and backend do not")

    @property
    def _spread(self) -> Spread | None:
        return spread_over(self.dask, self.backend, self.workers)

    @property
    def machines(self) -> list[dict[str, str]]:
        """What trials are run on, where that is not this process's machine alone, each kind once."""
        return [] if self._spread is None else self._spread.machines()

    def kept_in(self, store: Store, depends: Sequence[str | os.PathLike[str]] = ()) -> "Performer":
        """Return one that runs only what the store does not hold, and keeps there what it runs.

        depends: files that decide the numbers, beside those that are told from code. Raises FileError.
        """
        return replace(self, store=store, keys=Keys(depends, self.machines or None))

    def perform(self, jobs: Sequence[Job]) -> Iterator[tuple[int, list[Runs]]]:
        """Yield each job's number and what its trials gave, in any order.

        Raises StoreError where a store cannot be written, once what was run by then has been yielded.
        """
        whole = all(is_short(trial) for job in jobs for trial in job)
        pieces = [
            (k, n, piece)
            for k, job in enumerate(jobs)
            for n, trial in enumerate(job)
            for piece in ([trial] if whole else trial.by_seed())
        ]
        own: list[list[int]] = [[] for _ in jobs]
        for i, (k, _, _) in enumerate(pieces):
            own[k].append(i)
        missing = [len(indices) for indices in own]
        parts: dict[int, Runs] = {}
        for i, runs in self._stored([t for _, _, t in pieces], whole or self.workers == 0):
            parts[i] = runs
            k = pieces[i][0]
            missing[k] -= 1
            if not missing[k]:
                by_trial: list[list[Runs]] = [[] for _ in jobs[k]]
                for j in own[k]:
                    by_trial[pieces[j][1]].append(parts.pop(j))
                yield k, [joined(of_trial) for of_trial in by_trial]

    def _stored(self, trials: Sequence[Trial], here: bool) -> Iterator[tuple[int, Runs]]:
        """Yield each trial's number and runs: those that the store holds, and then the others."""
        if self.store is None or self.keys is None:
            tasks = [Task(i, "", t) for i, t in enumerate(trials)]
            yield from ((i, runs) for i, runs in self._run(tasks, here) if isinstance(runs, Runs))
            return
        keys = [self.keys.key(t) for t in trials]
        same: dict[str, list[int]] = {}
        for i, key in enumerate(keys):
            same.setdefault(key, []).append(i)
        known = self.store.finished(list(same), self.seconds)
        for key, runs in known.items():
            yield from ((i, runs) for i in same[key])
        left = [
            Task(numbers[0], key, trials[numbers[0]]) for key, numbers in same.items() if key not in known
        ]
        while left:
            busy = []
            for i, outcome in self._run(left, here):
                if isinstance(outcome, Busy):
                    busy.append(Task(i, keys[i], trials[i]))
                    continue
                runs = outcome.runs if isinstance(outcome, Unsaved) else outcome
                yield from ((j, runs) for j in same[keys[i]])
                if isinstance(outcome, Unsaved):
                    raise StoreError(outcome.reason)
            left = busy
            if left:  # another process is at them, and may be killed
                time.sleep(PATIENCE)

    def within_limit(self, what: str, call: Callable[..., T], *arguments: Any) -> T:
        """Return ``call(*arguments)`` from a worker, which may import things first.

        Raises ProblemError, in which ``what`` is named, if it takes too long.
        """
        if self.workers == 0:
            with one_thread():
                return call(*arguments)
        ((_, result),) = run(each, call, [arguments], 1, max(self.seconds, STARTING))
        if isinstance(result, Lost):
            late = (
                f"took longer than {result.seconds or 0:g} s and was ended (--seconds, {STARTING:g} at least)"
            )
            raise ProblemError(f"{what}: {late if result.seconds is not None else result.reason}")
        value: T = result
        return value

    def outsider(self, problem: Raced | Source) -> Outsider | None:
        """Return what an established solver reaches; None where none is known, or where a user's function keeps it."""
        p = resolve(problem)
        if not isinstance(p, FunctionProblem):
            with one_thread():
                return p.outsider()
        try:
            return self.within_limit(p.name, _outsider, problem)
        except ProblemError:
            return None

    def _run(self, tasks: Sequence[Task], here: bool) -> Iterator[tuple[int, Outcome]]:
        """Run trials, each through the store; a trial that is lost has failed."""
        if here:
            with one_thread():
                for first in range(0, len(tasks), CLAIMED):
                    for outcomes in _through(self.store, tasks[first : first + CLAIMED], self.seconds):
                        yield from outcomes
            return
        if self._spread is not None:
            yield from self._far(self._spread, tasks)
            return
        problems, sent = _apart(tasks)
        shared = problems, self.store, self.seconds
        for k, outcome in run(_perform, shared, sent, self.workers, self.seconds):
            if isinstance(outcome, Lost):
                ((_, outcome),) = self._taken(tasks, [(k, outcome)])
            yield tasks[k].number, outcome

    def _far(self, spread: Spread, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """Run trials elsewhere; this side claims them and commits what they give."""
        states: Sequence[Runs | Busy | None] = [None] * len(tasks)
        if self.store is not None:
            states = self.store.claim([t.key for t in tasks], self.seconds)
        yield from ((t.number, s) for t, s in zip(tasks, states, strict=True) if s is not None)
        mine = [t for t, s in zip(tasks, states, strict=True) if s is None]
        problems, sent = _apart(mine)
        for results in spread.run(_perform, (problems, None, self.seconds), sent, self.seconds):
            yield from self._taken(mine, results)

    def _taken(
        self, tasks: Sequence[Task], results: Sequence[tuple[int, Runs | Lost]]
    ) -> list[tuple[int, Outcome]]:
        """Commit what tasks gave, by their place, a run that was ended as failed; return their numbers with it."""
        rows: list[tuple[str, Runs, float | None]] = []
        given: list[tuple[int, Runs]] = []
        for k, result in results:
            task = tasks[k]
            runs = task.trial.failed(result.reason) if isinstance(result, Lost) else result
            limit = result.seconds if isinstance(result, Lost) else None
            given.append((task.number, runs))
            if limit is not None or not isinstance(result, Lost):  # who was lost may be tried again
                rows.append((task.key, runs, limit))
        try:
            if self.store is not None:
                self.store.commit(rows)
        except StoreError as error:
            return [(number, Unsaved(runs, str(error))) for number, runs in given]
        return list(given)


def _apart(tasks: Sequence[Task]) -> tuple[list[Raced | Source], list[tuple[int, Task]]]:
    """Return the problems of trials, each once, and the trials without them, with the places of theirs."""
    problems = list({id(t.trial.problem): t.trial.problem for t in tasks}.values())
    place = {id(problem): k for k, problem in enumerate(problems)}
    return problems, [
        (place[id(t.trial.problem)], t._replace(trial=replace(t.trial, problem=HERE))) for t in tasks
    ]


def _through(
    store: Store | None, tasks: Sequence[Task], seconds: float
) -> Iterator[Sequence[tuple[int, Outcome]]]:
    """Run trials, or take what the store has of them; their numbers with what they gave."""
    if store is None:
        yield from ([(t.number, t.trial.run())] for t in tasks)
    else:
        yield from store.through([(t.number, t.key, t.trial.run) for t in tasks], seconds)


def _perform(
    shared: tuple[Sequence[Raced | Source], Store | None, float],
    chunk: Chunk,
    begin: Callable[[int], None],
) -> Answers:
    """In a worker: run trials, each of the problem of a number."""
    problems, store, seconds = shared

    def begun(number: int, trial: Trial, problem: Raced) -> Callable[[], Runs]:
        def give() -> Runs:
            begin(number)
            return replace(trial, problem=problem).run()

        return give

    work = [(k, task.key, begun(k, task.trial, resolve(problems[p]))) for k, (p, task) in chunk]
    if store is None:
        yield from ([(k, give())] for k, _, give in work)
        return
    with closing(store):  # so that the last to close it is the parent, which leaves one file
        yield from store.through(work, seconds)


def _outsider(problem: Raced | Source) -> Outsider | None:
    return resolve(problem).outsider()
