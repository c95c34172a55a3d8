"""How a race runs: rounds of trials that tune, finalists on more seeds, and the chosen settings on fresh ones."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from ..problems import Raced, Source
from ..problems.compiled import CompiledProblem
from ..problems.formula import FormulaProblem
from .budget import Budget
from .configuration import Configuration, configured
from .dimensions import Settings
from .performing import Job, Performer
from .race_summary import Entry
from .search import Proposal, Search, Tuner
from .statistics import quantile
from .trial import Runs, Trial, resolve

RECORDS = 40
GROWTH = 0.06  # of a step's number to the next one that is recorded
PATH = 2000  # up to so many steps of a compiled run are all recorded

Progress: TypeAlias = Callable[[str, int, int], None]


class Runner:
    """Runs a race's trials and puts what they led to into its entries.

    source: what trials make the problem from, or the problem itself; report: called with (what, done, total).
    """

    def __init__(
        self, source: Source | Raced, budget: Budget, performer: Performer, report: Progress
    ) -> None:
        self.source, self.budget, self.performer, self.report = source, budget, performer, report
        self.problem = resolve(source)
        self.compiled = isinstance(self.problem, CompiledProblem)

    def tune(self, entries: Sequence[Entry]) -> None:
        """Run every method's search, round by round."""
        owner = {id(e.search): e for e in entries}
        for name, proposals in self._rounds([e.search for e in entries]):
            results: dict[int, list[Runs]] = {}
            jobs = [
                [self._tuning(self._at(search, settings), self.budget.tuning)]
                for search, settings in proposals
            ]
            try:
                self._perform(name, jobs, results)
            finally:  # in the order of the jobs, not of their ends: the same list on any number of cores
                for i in sorted(results):
                    search, settings = proposals[i]
                    (runs,) = results[i]
                    search.add(settings, quantile(runs.final(self.budget.select)[0], 0.5))
                    owner[id(search)].trial_runs.append(self._at(search, settings).told(runs))
        self._choose(entries)

    def _choose(self, entries: Sequence[Entry]) -> None:
        """Rerun each method's finalists on more seeds, so that no setting is chosen for its luck on a few."""
        finals = [(e, i) for e in entries if len(e.search.finalists) > 1 for i in e.search.finalists]
        results: dict[int, list[Runs]] = {}
        jobs = [[self._tuning(self._at(e.search, e.search.tried[i]), self.budget.finals)] for e, i in finals]
        self._perform("finalists", jobs, results)
        for k, (entry, i) in enumerate(finals):
            ends = [r.final(self.budget.select)[0] for r in (entry.trial_runs[i], *results[k])]
            entry.search.finals[i] = quantile(np.concatenate(ends), 0.5)

    def test(self, entries: Sequence[Entry]) -> None:
        """Rerun every method at its best settings on the fresh seeds."""
        results: dict[int, list[Runs]] = {}
        chosen = [self._at(e.search, e.search.chosen) for e in entries]
        try:
            self._perform("fresh seeds", [self._testing(c) for c in chosen], results)
        finally:
            for i, runs in results.items():
                entries[i].test_runs = [chosen[i].told(r) for r in runs]

    def _rounds(self, searches: Sequence[Search]) -> Iterator[tuple[str, list[Proposal]]]:
        """What is tried, round by round."""
        b = self.budget
        if b.search.sampler == "optuna":
            from .optuna_search import rounds  # takes a second to import

            return rounds(searches, b.trials, b.seed)
        return Tuner(searches, b.trials, b.seed, b.search.tune).rounds()

    def _at(self, search: Search, settings: Settings) -> Configuration:
        """A method at some settings."""
        return configured(search.entrant, settings, self.budget.steps, self.budget.batch, self.problem.rows)

    def _tuning(self, method: Configuration, seeds: Sequence[int]) -> Trial:
        """A method at some settings over tuning seeds; stepwise its loss is looked at four times, more would cost."""
        steps = method.steps
        vary = {n: np.array([value]) for n, value in method.lines.items()}
        every = max(1, steps // RECORDS) if self.compiled else _divisor(steps, max(1, steps // 4))
        select = self.budget.select
        return Trial(
            method.entrant.runs,
            self.source,
            steps,
            seeds,
            batch=method.batch,
            vary=vary,
            options=method.options,
            every=every,
            record=("loss",) if select == "loss" else ("loss", select),
        )

    def _testing(self, method: Configuration) -> list[Trial]:
        """A method over the fresh seeds, of which the first also shows its rates and its path."""
        test, steps = self.budget.test, method.steps
        free = (
            isinstance(self.problem, FormulaProblem) and self.problem.data is None
        )  # its loss costs no more than a step
        every = 1 if free and steps <= PATH else looks(steps, PATH if free else RECORDS)
        always = ("loss", "metric", *["end"] * (not self.problem.noisy))
        parts = [(test[:1], (*always, "rate_bands", *["path"] * self.compiled))]
        parts += [(test[1:], always)] * (len(test) > 1)
        return [
            Trial(
                method.tuned.runs,
                self.source,
                steps,
                seeds,
                batch=method.batch,
                options=method.options,
                every=every,
                record=record,
            )
            for seeds, record in parts
        ]

    def _perform(self, name: str, jobs: Sequence[Job], results: dict[int, list[Runs]]) -> None:
        """Run the jobs; ``results`` takes in each as it comes."""
        self.report(name, 0, len(jobs))
        for i, runs in self.performer.perform(jobs):
            results[i] = runs
            self.report(name, len(results), len(jobs))


def looks(steps: int, evenly: int) -> tuple[int, ...]:
    """The steps of a run that are recorded beside its start, fine where steps to a target are counted.

    Each is ``GROWTH`` times the one before it, until their distance is that of ``evenly`` even ones.
    """
    at, most = [1], max(1, steps // evenly)
    while at[-1] < steps:
        at.append(min(steps, at[-1] + min(most, max(1, round(GROWTH * at[-1])))))
    return tuple(at)


def _divisor(steps: int, most: int) -> int:
    """The largest divisor of the steps up to ``most``, so that the last record is the end."""
    return next(e for e in range(most, 0, -1) if steps % e == 0)
