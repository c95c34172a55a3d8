"""The race: every method tuned on the same budget, then rerun on fresh seeds, paired by seed.

a) Tuning and test seeds are disjoint; the tuning value of a winner is never reported.
b) Every method gets the same number of trials; settings come from one quasi-random sequence.
c) Good values at the edge of their range widen the range, and every method gets the same extra trials; the best
   five of each method are rerun on more tuning seeds before one is chosen.
d) A diverged run counts as infinity. Budgets are counts, never clocks: the same seed gives the same
   numbers (times apart) on any number of cores.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import errors, files
from ..problems import FUNCTION, LOOP, FunctionProblem, Raced, Source, TrainingProblem, require_taken
from ..problems.formula import FormulaProblem
from ..problems.training import LOSS, is_training
from . import figures as takeaway
from . import ranges as looked
from .budget import Budget
from .comparison import KeptRace, RacedRuns
from .dimensions import Value
from .entrants import Entrant, Foreign, Named, entrants, refused
from .explored import Explored, explored
from .performing import SECONDS, Performer
from .race_options import DEFAULTS, RaceOptions
from .race_result import ONLY_DRAWN, Columns, RaceResult, VerdictRow
from .race_runner import Progress, Runner
from .race_summary import Entry, chosen, summary
from .ranges import space
from .rehearsal import rehearsed
from .reports import notebook
from .reports.race import DRAWING, render
from .search import Search
from .store import Store, StoreError, require_store
from .trial import resolve
from .versions import of_machines
from .workers import load
from .written import written

if TYPE_CHECKING:
    from ..fitting.cluster import Client

FORMS = files.Forms("a race", (".html", ".json"))

RaceProblem: TypeAlias = "str | os.PathLike[str] | Raced | Callable[..., Any]"


@dataclass(frozen=True)
class Race:
    """A race's numbers. ``columns`` are plain lists: one row a method.

    ``data`` is everything the report draws (see ``lab/race_result.py``); ``save`` writes HTML or JSON.
    """

    data: RaceResult
    stopped: StoreError | None = None  # what kept it from going on, where its store could not be written
    explored: Explored | None = None  # what the report's explorer shows, of a landscape

    @property
    def columns(self) -> Columns:
        """One list a column: method, lr, loss, p10, p90, metric, steps_to_target, us_per_step, ..."""
        rows = self.data["methods"]
        return {
            "method": [r["method"] for r in rows],
            "rule": [r["rule"] for r in rows],
            "lr": [r["lr"] for r in rows],
            "loss": [r["loss"]["median"] for r in rows],
            "p10": [r["loss"]["p10"] for r in rows],
            "p90": [r["loss"]["p90"] for r in rows],
            "metric": [r["metric"]["median"] if r["metric"] else None for r in rows],
            "steps_to_target": [r["steps_to_target"] for r in rows],
            "us_per_step": [r["us_per_step"] for r in rows],
            "diverged": [r["diverged"] for r in rows],
            "trials": [r["trials"] for r in rows],
        }

    @property
    def curves(self) -> Columns:
        """Loss over steps: method, step, median, p10, p90."""
        return self.data["curves"]

    @property
    def trials(self) -> Columns:
        """Every trial: method, lr, loss (None where it diverged)."""
        return self.data["trials"]

    @property
    def verdicts(self) -> list[VerdictRow]:
        """Every method against every other: which ends lower, at the tuned settings, from paired runs."""
        return next((a["verdicts"] for a in self.data["answers"] if a["question"] == "lowest"), [])

    def html(self) -> str:
        """The report: one self-contained page."""
        return render(self.data, self.explored)

    def json(self) -> str:
        """The numbers as JSON, without what is only drawn; infinities are null."""
        kept = {n: v for n, v in self.data.items() if n not in ONLY_DRAWN} | {"verdicts": self.verdicts}
        return json.dumps(kept, indent=1, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report (``.html``) or the numbers (``.json``); FileError."""
        target, form = FORMS.of(path)
        files.write_text(target, self.json() if form == ".json" else self.html())

    def __repr__(self) -> str:
        lines = [f"Race on {self.data['problem']}:"]
        for r in self.data["methods"]:
            median = r["loss"]["median"]
            lines.append(f"  {r['method']:<12} {r['fate'] or f'{median:.4g}'}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return notebook.race(self.data)


def race(
    problem: RaceProblem = "digits",
    methods: Sequence[Named] | Named | None = None,
    *,
    tune: str | Sequence[str] = "lr",
    range: Mapping[str, Sequence[Value]] | None = None,
    budget: str | None = None,
    trials: int | None = None,
    sampler: str = "halton",
    seeds: int = 30,
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    target: str | None = None,
    drop: Sequence[str] = (),
    start: Sequence[float] = (),
    l2: float | None = None,
    model: str = "linear",
    reading: Mapping[str, object] | None = None,
    select: str | None = None,
    workers: int | None = None,
    seconds: float = SECONDS,
    dask: "str | Client | None" = None,
    backend: str | None = None,
    measure: str = "",
    maximize: bool = False,
    store: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    depends: Sequence[str | os.PathLike[str]] = (),
    out: str | os.PathLike[str] | None = None,
    json: str | os.PathLike[str] | None = None,
    figures: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Race:
    """Tune each method on the same budget, rerun the best on fresh seeds, and compare.

    problem: a name (``digits``, ``beale``, ...), a table's file (CSV, Parquet, SVMlight; ``target`` names
    the column to predict, ``drop`` columns to leave out, ``l2`` the penalty, 1 / rows by default, and ``model``
    "linear" or "network", ``reading`` how it is read, as ``open_stream`` takes it), a Problem, or a function, by itself or as ``FILE.py:NAME``
    (``thalweg.problems.FunctionProblem``), whose runs begin around ``start``; a training loop likewise
    (``thalweg.problems.TrainingProblem``), of whose yields ``measure`` is compared (the loss by default), the larger
    the better with ``maximize``. methods: names such as ``"Adam"``, ``"RMSprop:keras"``, ``"mine.py:Rule"``,
    or rules; in a training loop also optimizers from elsewhere, ``"torch.optim.Adamax"``, ``"mine.py:Sgdish"``, or
    their classes; the nine of the sources by default. tune: settings to search, ``"lr,beta1,eps"`` or a list, or
    ``"auto"``, which takes the more of them the more trials there are (see docs/race.md). range: setting -> (low, high)
    in place of the usual range, or the schedules to choose from. budget: ``"default"``, ``"small"``, ``"medium"`` or
    ``"large"``, for 1, 25, 50 or 100 trials; or trials: settings tried for each method, 25 by default (1 takes the
    rule's own). sampler: ``"halton"``, the same quasi-random settings for every method, or ``"optuna"``, whose sampler
    learns as it goes. seeds: fresh seeds for the final runs. steps, batch: of each run, the problem's own
    by default (of a training loop: its length, at most 1,000 yields); batch 0 takes all rows. select: what settings
    are chosen by, "loss" or "validation", the loss on rows that are neither trained nor tested on, or what a training
    loop yields under that name, which is the default where there is such. workers: processes, one a core by default;
    0 stays in this process, where nothing is ended. seconds: of a run, after which it is ended and has failed. dask:
    a Dask cluster's client, its scheduler's address, or "local"; backend: of joblib, such as "ray"; there the runs go. store: a file that keeps each run as soon as it is done: what it holds is not run again. fresh: without what it holds. depends:
    more files that decide the numbers. out, json: files for the report and the numbers, checked before the race; figures:
    a folder for every figure as SVG and PDF and the tables as CSV and LaTeX. progress: called with (what, done, total).
    Ctrl-C ends with what is done.

    Raises ProblemError, HyperparameterError, FileError before anything runs.
    """
    for path in (out, json):
        if path is not None:
            FORMS.of(path)
    if figures is not None:
        files.require_folder(figures)
    options = RaceOptions(
        tune=tune,
        range=range,
        budget=budget,
        trials=trials,
        sampler=sampler,
        seeds=seeds,
        steps=steps,
        batch=batch,
        seed=seed,
        target=target,
        drop=drop,
        start=start,
        l2=l2,
        model=model,
        reading=reading,
        select=select,
        measure=measure,
        maximize=maximize,
    )
    prepared = prepare(problem, methods, options, Performer(workers, seconds, dask, backend))
    require_store(store, depends)
    if store is not None:
        prepared = prepared.kept_in(Store.open(store, prepared.subject, fresh), depends)
    if out is not None and prepared.stays:
        load(DRAWING)  # while the race is run
    result = prepared.run(progress)
    draw = None if figures is None else partial(takeaway.of_race, result.data, figures)
    return written(result, (out, json), draw, result.stopped)


def prepare(
    problem: RaceProblem,
    methods: Sequence[Named] | Named | None = None,
    options: RaceOptions = DEFAULTS,
    performer: Performer | None = None,
) -> "Prepared":
    """Return the race that ``race`` runs, checked and not begun: every wrong request is refused here.

    problem, methods, errors: as of ``race``; performer: runs the trials. What is said of files and progress is not its
    concern.
    """
    named = entrants(methods)
    performer = performer or Performer()
    source = _source(problem, options, performer)
    p = resolve(source)
    if isinstance(source, Source) and p.source is not None:
        source = p.source  # with the content that its file had just now
    if options.batch and not p.rows and isinstance(p, FunctionProblem | TrainingProblem | FormulaProblem):
        chosen_within = " (a training loop makes its own batches)" if isinstance(p, TrainingProblem) else ""
        raise errors.MisplacedOptionError(
            f"race: batch: got {options.batch!r}, and {p.name} has no rows to choose from{chosen_within}: leave it out",
            ["batch"],
        )
    plan = options.plan(p)
    tuning, most = plan.search, plan.trials
    if isinstance(p, TrainingProblem):
        plan = rehearsed(p, source, named, plan, options.steps, performer)
    else:
        _demand_rules(p, named)
    plan = replace(plan, select=_selection(p, options.select))
    looked.require(tuning, named, p)
    with redirect_stdout(sys.stderr):
        at = looked.scales(p, plan.tuning[0], plan.batch, tuning)
    entries = [
        Entry(m.name, m.text, Search(m, space(m, at, tuning)), told=looked.remarks(m, tuning, most))
        for m in named
    ]
    return Prepared(p, source, plan, entries, performer)


@dataclass(frozen=True)
class Prepared:
    """A race that was checked and has not begun.

    problem: what the methods are compared on; source: what trials make it from, or itself.
    """

    problem: Raced
    source: Source | Raced
    budget: Budget
    entries: Sequence[Entry]
    performer: Performer

    def run(self, progress: Progress | None = None) -> Race:
        """Tune every method, rerun it on fresh seeds, and tell what was found; Ctrl-C ends with what is done."""
        report = progress or (lambda what, done, total: None)
        runner = Runner(self.source, self.budget, self.performer, report)
        finished, stopped = True, None
        try:
            runner.tune(self.entries)
            runner.test(self.entries)
        except KeyboardInterrupt:
            finished = False
        except StoreError as error:  # what is done is told before it
            finished, stopped = False, error
        outsider = self.performer.outsider(self.source) if finished else None
        with redirect_stdout(sys.stderr):  # what a user's own problem prints
            data = summary(self.problem, self.budget, self.entries, finished, outsider)
        if machines := self.performer.machines:
            data["versions"] |= of_machines(machines)
        store = self.performer.store
        if store is not None and stopped is None:
            if finished:
                store.put(self.problem.name, KeptRace(race=data, runs=self._runs()))
            store.close()
        return Race(data, stopped, self._explored(data))

    def _explored(self, data: RaceResult) -> Explored | None:
        """What there is to explore of it, in the order of its table."""
        entries = {e.name: e for e in self.entries}
        ranked = [
            (n, chosen(entries[n], self.problem, self.budget)) for n in (r["method"] for r in data["methods"])
        ]
        return explored(self.problem, ranked, self.budget.steps, self.budget.test[0])

    def _runs(self) -> RacedRuns:
        """What a comparison with another race needs of the runs on fresh seeds."""
        losses = {e.name: e.losses for e in self.entries if e.test_runs}
        return {
            "seeds": list(self.budget.test),
            "starts": {n: curves[:, 0].tolist() for n, curves in losses.items()},
            "ends": {n: curves[:, -1].tolist() for n, curves in losses.items()},
            "minimum": self.problem.minimum,
        }

    def kept_in(self, store: Store, depends: Sequence[str | os.PathLike[str]] = ()) -> "Prepared":
        """Return the race with its runs in a store; depends: more files that decide the numbers. Raises FileError."""
        return replace(self, performer=self.performer.kept_in(store, depends))

    @property
    def stays(self) -> bool:
        """Whether its trials may all be run in this process, and workers wait."""
        return self.performer.workers != 0 and not isinstance(self.problem, FunctionProblem | TrainingProblem)

    @property
    def subject(self) -> str:
        """What its runs are about, in words that do not depend on where a file is."""
        source = self.problem.source
        if source is None:
            return self.problem.name
        file, _, name = source.name.rpartition(":")
        title = Path(file or name).name + (f":{name}" if file else "")
        return title if source.target is None else f"{title}, target {source.target}"


def _demand_rules(p: Raced, entrants: Sequence[Entrant]) -> None:
    """HyperparameterError for an optimizer from elsewhere where the problem is no training loop."""
    for m in entrants:
        if isinstance(m.runs, Foreign):
            raise refused(m.runs, p.name)


def _source(problem: RaceProblem, options: RaceOptions, performer: Performer) -> Source | Raced:
    """What trials resolve: the problem itself, or what it is made from; what is a user's own is first called in a worker.

    Raises what making it raises, and ProblemError where that takes too long.
    """
    handed = isinstance(problem, Raced) or callable(problem)
    source = options.source(
        getattr(problem, "name", getattr(problem, "__name__", "f")) if handed else problem
    )
    if not isinstance(problem, Raced) and not callable(problem):
        if ".py:" in source.name:
            what = (
                f"{source.name}: importing its file, which must not train (if __name__ == '__main__': ...),"
                " and calling what it names once"
            )
            performer.within_limit(what, _made, resolve, source)
        return source
    if is_training(problem):
        require_taken(source, LOOP)
        return TrainingProblem(problem, options.measure or LOSS, options.maximize)
    if isinstance(problem, Raced):
        require_taken(source, "")
        return problem
    require_taken(source, FUNCTION)
    given = problem, options.start if len(options.start) else None
    performer.within_limit(source.name, _made, FunctionProblem, *given)
    return FunctionProblem(*given)


def _made(make: Callable[..., object], *arguments: Any) -> None:
    """Make something, which stays where it is."""
    make(*arguments)


def _selection(p: Raced, select: str | None) -> str:
    """What settings are chosen by: "loss" or "validation". Raises HyperparameterError, MisplacedOptionError."""
    allowed = ("loss", "validation") if p.validation_name else ("loss",)
    if select is None:
        return allowed[-1]
    if select not in allowed:
        why = "" if p.validation_name else f"; {p.name} has no validation rows"
        text = f"race: select: got {select!r}, allowed: {', '.join(allowed)}{why}"
        if select == "validation":
            raise errors.MisplacedOptionError(text, ["select"])
        raise errors.HyperparameterError(text)
    return select
