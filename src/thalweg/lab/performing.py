"""Where trials are run: compiled ones in this process, others in workers, each with a limit of time.

What a trial gives does not depend on where it is run. One that took too long, or whose worker was lost twice, has failed
with that reason, and the others go on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from ..errors import HyperparameterError, ProblemError
from ..problems import FunctionProblem, Outsider, Raced, Source
from ..problems.compiled import CompiledProblem
from .trial import Runs, Trial, joined, resolve
from .workers import STARTING, Answers, Chunk, Lost, each, one_thread, run

T = TypeVar("T")
Job: TypeAlias = Sequence[Trial]

SECONDS = 600.0  # of a trial, unless told otherwise
HERE = Source("")  # in the place of a problem that travels apart from its trials


@dataclass(frozen=True)
class Performer:
    """Runs jobs of trials. workers: processes, one a core by default; 0 stays in this process, where nothing is ended.

    seconds: of a run, after which it is ended. Raises HyperparameterError for numbers that cannot be.
    """

    workers: int | None = None
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        if self.workers is not None and (
            isinstance(self.workers, bool) or not isinstance(self.workers, int) or self.workers < 0
        ):
            raise HyperparameterError(f"workers: must be a whole number >= 0, got {self.workers!r}")
        if not (isinstance(self.seconds, int | float) and self.seconds > 0):
            raise HyperparameterError(f"seconds: must be a number > 0, got {self.seconds!r}")

    def perform(self, jobs: Sequence[Job]) -> Iterator[tuple[int, list[Runs]]]:
        """Yield each job's number and what its trials gave, in any order."""
        if all(_stays(trial) for job in jobs for trial in job):
            yield from ((k, [trial.run() for trial in job]) for k, job in enumerate(jobs))
            return
        pieces = [
            (k, n, t) for k, job in enumerate(jobs) for n, trial in enumerate(job) for t in trial.by_seed()
        ]
        own: list[list[int]] = [[] for _ in jobs]
        for i, (k, _, _) in enumerate(pieces):
            own[k].append(i)
        missing = [len(indices) for indices in own]
        parts: dict[int, Runs] = {}
        for i, runs in self._run([t for _, _, t in pieces]):
            parts[i] = runs
            k = pieces[i][0]
            missing[k] -= 1
            if not missing[k]:
                by_trial: list[list[Runs]] = [[] for _ in jobs[k]]
                for j in own[k]:
                    by_trial[pieces[j][1]].append(parts.pop(j))
                yield k, [joined(of_trial) for of_trial in by_trial]

    def within_limit(self, what: str, call: Callable[..., T], *arguments: Any) -> T:
        """Return ``call(*arguments)`` from a worker, which may import things first.

        Raises ProblemError, in which ``what`` is named, if it takes too long.
        """
        if self.workers == 0:
            with one_thread():
                return call(*arguments)
        ((_, result),) = run(each, call, [arguments], 1, max(self.seconds, STARTING))
        if isinstance(result, Lost):
            raise ProblemError(f"{what}: {result.reason}")
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

    def _run(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Runs]]:
        if self.workers == 0:
            with one_thread():
                yield from ((i, trial.run()) for i, trial in enumerate(trials))
            return
        problems = list({id(t.problem): t.problem for t in trials}.values())
        place = {id(problem): k for k, problem in enumerate(problems)}
        tasks = [(place[id(t.problem)], replace(t, problem=HERE)) for t in trials]
        for i, result in run(_perform, problems, tasks, self.workers, self.seconds):
            yield i, trials[i].failed(result.reason) if isinstance(result, Lost) else result


def _stays(trial: Trial) -> bool:
    """Whether a trial is run here: a compiled loop ends, and uses the cores by itself."""
    return isinstance(resolve(trial.problem), CompiledProblem)


def _perform(problems: Sequence[Raced | Source], chunk: Chunk, begin: Callable[[int], None]) -> Answers:
    """In a worker: run trials, each of the problem of a number."""
    for i, (k, trial) in chunk:
        problem = resolve(problems[k])
        begin(i)
        yield [(i, replace(trial, problem=problem).run())]


def _outsider(problem: Raced | Source) -> Outsider | None:
    return resolve(problem).outsider()
