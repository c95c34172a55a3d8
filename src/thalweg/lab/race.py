"""The race: every method tuned on the same budget, then rerun on fresh seeds, paired by seed.

a) Tuning and test seeds are disjoint; the tuning value of a winner is never reported.
b) Every method gets the same number of trials; learning rates come from one quasi-random sequence.
c) A best rate at the edge of its range widens the range, and every method gets the same extra trials.
d) A diverged run counts as infinity. Budgets are counts, never clocks: the same seed gives the same
   numbers (times apart) on any number of cores.
"""

import json
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .. import errors, files
from ..core.rule import Rule
from ..problems import Outsider, Problem, Source
from ..problems.compiled import CompiledProblem
from ..problems.formula import FormulaProblem
from . import methods as naming
from .methods import Method
from .race_result import (
    ONLY_DRAWN,
    VERSION,
    Columns,
    Landscape,
    MethodRow,
    OutsiderRow,
    Quantiles,
    RaceResult,
    height,
)
from .reports.race import render
from .statistics import bands, quantile, steps_to
from .trial import Run, compiled, find, train
from .versions import versions
from .workers import side_by_side

TUNING_SEEDS = 3
EDGE = 0.1  # of the logarithmic range, at either end
RECORDS = 40
PATH = 2000  # up to so many steps of a compiled run are all recorded
CONSECUTIVE = 3  # records on which a noisy loss must meet the target

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Settings:
    """The budget of a race: counts, never clocks."""

    methods: tuple[str, ...]
    trials: int
    seeds: int
    steps: int
    batch: int
    seed: int
    tuning_seeds: int = TUNING_SEEDS

    def __post_init__(self) -> None:
        for n, low in (
            ("trials", 1),
            ("seeds", 1),
            ("steps", 1),
            ("batch", 0),
            ("seed", 0),
            ("tuning_seeds", 1),
        ):
            value = getattr(self, n)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise errors.HyperparameterError(
                    f"race: {n} must be a whole number of at least {low}, got {value!r}"
                )

    @property
    def tuning(self) -> list[int]:
        """The seeds on which settings are chosen."""
        return [self.seed * 10_000 + i for i in range(self.tuning_seeds)]

    @property
    def test(self) -> list[int]:
        """The seeds on which the chosen setting is rerun: none of them was seen in tuning."""
        return [self.seed * 10_000 + 1_000 + i for i in range(self.seeds)]


@dataclass
class Entry:
    """What is known of one method so far."""

    method: Method
    span: tuple[float, float]
    lrs: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)  # median over tuning seeds; inf if diverged
    kept: list[list[Run]] = field(default_factory=list)
    tests: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def best(self) -> int | None:
        """The trial with the lowest value; None before there is one that did not diverge."""
        good = [i for i, v in enumerate(self.values) if np.isfinite(v)]
        return min(good, key=lambda i: self.values[i]) if good else None

    def edge(self) -> int:
        """-1 or 1 where the best rate lies at the low or high end of its range, else 0."""
        best = self.best()
        if best is None or not self.method.tunable:
            return 0
        low, high = np.log(self.span)
        place = (np.log(self.lrs[best]) - low) / (high - low)
        return -1 if place < EDGE else 1 if place > 1 - EDGE else 0

    def tuned(self) -> Rule:
        """The rule with its best rate; the rule as it is where nothing was found."""
        best = self.best()
        if best is None or not self.method.tunable:
            return self.method.rule
        return self.method.rule.replace(lr=self.lrs[best])


@dataclass(frozen=True)
class Race:
    """A race's numbers. ``columns`` are plain lists: one row a method.

    ``data`` is everything the report draws (see ``lab/race_result.py``); ``save`` writes HTML or JSON.
    """

    data: RaceResult

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

    def html(self) -> str:
        """The report: one self-contained page."""
        return render(self.data)

    def json(self) -> str:
        """The numbers as JSON, without what is only drawn; infinities are null."""
        kept = {n: v for n, v in self.data.items() if n not in ONLY_DRAWN}
        return json.dumps(kept, indent=1, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report (``.html``) or the numbers (``.json``); FileError."""
        text = self.json() if _checked(path) == ".json" else self.html()
        files.write(path, lambda file: file.write(text.encode()))

    def __repr__(self) -> str:
        lines = [f"Race on {self.data['problem']}:"]
        for r in self.data["methods"]:
            median = r["loss"]["median"]
            lines.append(f"  {r['method']:<12} {'diverged' if median is None else f'{median:.4g}'}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        columns = self.columns
        head = "".join(f"<th>{escape(n)}</th>" for n in columns)
        rows = zip(*columns.values(), strict=True)
        body = "".join(
            "<tr>"
            + "".join(f"<td>{escape(f'{x:.4g}' if isinstance(x, float) else str(x))}</td>" for x in row)
            + "</tr>"
            for row in rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _checked(path: str | os.PathLike[str]) -> str:
    """The suffix of a path that a race can be written to; FileError."""
    files.require_writable(path)
    suffix = Path(path).suffix.lower()
    if suffix not in (".html", ".htm", ".json"):
        raise errors.FileError(f"{path}: a race is saved as .html or .json")
    return suffix


class _Runner:
    """Runs trials on a problem, one method after another or many at once."""

    def __init__(self, source: Source | Problem, settings: Settings) -> None:
        self.source, self.settings = source, settings
        self.problem = find(source)
        self.every = max(1, settings.steps // RECORDS)
        self.coarse = max(1, settings.steps // 4)

    def trials(
        self, tasks: Sequence[tuple[Entry, float | None]], done: Callable[[int, list[Run]], None]
    ) -> None:
        """Each task is a method at a rate (None: as it is) over the tuning seeds."""
        s = self.settings
        if isinstance(self.problem, CompiledProblem):
            for i, (entry, lr) in enumerate(tasks):
                lrs = None if lr is None else [lr]
                (runs,) = compiled(
                    self.problem, entry.method.rule, lrs, s.tuning, s.steps, s.batch, self.every, False
                )
                done(i, runs)
            return
        rules = [e.method.rule if lr is None else e.method.rule.replace(lr=lr) for e, lr in tasks]
        jobs = [(rule, s.tuning, self._coarse_every(), False) for rule in rules]
        self._parallel(jobs, done)

    def _coarse_every(self) -> int:
        """A divisor of the steps near a quarter, so that the last record is the end."""
        steps = self.settings.steps
        return next(e for e in range(self.coarse, 0, -1) if steps % e == 0)

    def fine(self) -> int:
        """Steps between the records of a curve; compiled runs can afford every one of them."""
        steps = self.settings.steps
        if isinstance(self.problem, FormulaProblem) and steps <= PATH:
            return 1
        return next(e for e in range(self.every, 0, -1) if steps % e == 0)

    def tests(self, entries: Sequence[Entry], done: Callable[[int, list[Run]], None]) -> None:
        """Each method at its best rate over the fresh seeds."""
        s = self.settings
        if isinstance(self.problem, CompiledProblem):
            for i, entry in enumerate(entries):
                (runs,) = compiled(
                    self.problem, entry.tuned(), None, s.test, s.steps, s.batch, self.fine(), True
                )
                done(i, runs)
            return
        jobs = [(e.tuned(), s.test, self.fine(), True) for e in entries]
        self._parallel(jobs, done)

    def _parallel(
        self, jobs: Sequence[tuple[Rule, list[int], int, bool]], done: Callable[[int, list[Run]], None]
    ) -> None:
        s = self.settings
        tasks = (
            (i, self.source, naming.parcel(rule), seeds, s.steps, s.batch, every, rates)
            for i, (rule, seeds, every, rates) in enumerate(jobs)
        )
        for i, runs in side_by_side(_seeds, tasks, len(jobs)):
            done(i, runs)


def _seeds(
    index: int,
    source: Source | Problem,
    parcel: naming.Parcel,
    seeds: Sequence[int],
    steps: int,
    batch: int,
    every: int,
    rates: bool,
) -> tuple[int, list[Run]]:
    """One rule over several seeds; only the first seed's rates are kept."""
    rule = parcel.opened()
    return index, [
        train(source, rule, seed, steps, batch, every, rates and k == 0) for k, seed in enumerate(seeds)
    ]


def race(
    problem: "str | os.PathLike[str] | Problem" = "digits",
    methods: Sequence[str | Rule] | None = None,
    *,
    trials: int = 25,
    seeds: int = 20,
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    target: str | None = None,
    drop: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    json: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Race:
    """Tune each method on the same budget, rerun the best on fresh seeds, and compare.

    problem: a name (``digits``, ``beale``, ...), a table's file (CSV, Parquet, SVMlight; ``target`` names
    the column to predict, ``drop`` columns to leave out) or a Problem. methods: names such as ``"Adam"``, ``"RMSprop:keras"``, ``"mine.py:Rule"``,
    or rules; the nine of the sources by default. trials: learning rates tried for each method (1 takes
    the rule's own). seeds: fresh seeds for the final runs. steps, batch: of each run, the problem's own
    by default; batch 0 takes all rows. out, json: files for the report and the numbers, checked before
    the race. progress: called with (what, done, total). Ctrl-C ends with what is done.

    Raises ProblemError, HyperparameterError, FileError before anything runs.
    """
    for path in (out, json):
        if path is not None:
            _checked(path)
    entrants = naming.methods(methods)
    source = problem if isinstance(problem, Problem) else Source(os.fspath(problem), target, tuple(drop))
    p = find(source)
    settings = Settings(
        tuple(m.name for m in entrants),
        trials,
        seeds,
        p.steps if steps is None else steps,
        p.batch if batch is None else batch,
        seed,
    )
    runner = _Runner(source, settings)
    start = p.start(settings.tuning[0])
    scale = max(1.0, _rms(start))
    entries = [Entry(m, m.span(scale) if m.tunable else (1.0, 1.0)) for m in entrants]
    report = progress or (lambda what, done, total: None)
    finished = True
    try:
        _tune(runner, entries, settings, report)
        _test(runner, entries, report)
    except KeyboardInterrupt:
        finished = False
    made = Race(_collect(runner, entries, settings, finished))
    for path in (out, json):
        if path is not None:
            made.save(path)
    return made


def _rms(params: Any) -> float:
    from ..optimizer import tree

    flat = np.concatenate([np.ravel(a) for _, a in tree.leaves(params)])
    return float(np.sqrt(np.mean(flat * flat)))


def _tune(runner: _Runner, entries: list[Entry], settings: Settings, report: Progress) -> None:
    extra = max(1, settings.trials // 4) if settings.trials > 1 else 0
    drawn = naming.quantiles(settings.trials + extra, settings.seed)
    tasks: list[tuple[Entry, float | None]] = []
    for u in drawn[: settings.trials]:  # trial by trial, so that an interrupted race is a fair one
        for entry in entries:
            if entry.method.tunable and settings.trials > 1:
                tasks.append((entry, naming.rate(entry.span, u)))
            elif u == drawn[0]:
                tasks.append((entry, None))
    _run_trials(runner, tasks, "tuning", report)
    if not extra or not any(e.edge() for e in entries):
        return
    tasks = []
    spans = {}
    for entry in entries:
        low, high = entry.span
        side = entry.edge()
        spans[id(entry)] = (low / 10, low) if side < 0 else (high, high * 10) if side > 0 else entry.span
    for u in drawn[settings.trials :]:
        tasks += [(e, naming.rate(spans[id(e)], u)) for e in entries if e.method.tunable]
    _run_trials(runner, tasks, "tuning, wider", report)
    for entry in entries:
        low, high = spans[id(entry)]
        entry.span = (min(low, entry.span[0]), max(high, entry.span[1]))
        if entry.edge():
            entry.notes.append("best rate at the edge of its range: more may be gained beyond it")


def _run_trials(
    runner: _Runner, tasks: list[tuple[Entry, float | None]], what: str, report: Progress
) -> None:
    results: dict[int, list[Run]] = {}
    report(what, 0, len(tasks))

    def done(i: int, runs: list[Run]) -> None:
        results[i] = runs
        report(what, len(results), len(tasks))

    try:
        runner.trials(tasks, done)
    finally:  # in the order of the tasks, not of their ends: the same list on any number of cores
        for i in sorted(results):
            entry, lr = tasks[i]
            entry.lrs.append(entry.method.rule.at(0).get("lr", float("nan")) if lr is None else lr)
            entry.values.append(quantile([r.loss[-1] for r in results[i]], 0.5))
            entry.kept.append(results[i])


def _test(runner: _Runner, entries: list[Entry], report: Progress) -> None:
    report("fresh seeds", 0, len(entries))
    count = 0

    def done(i: int, runs: list[Run]) -> None:
        nonlocal count
        entries[i].tests = runs
        count += 1
        report("fresh seeds", count, len(entries))

    runner.tests(entries, done)


def _collect(runner: _Runner, entries: list[Entry], settings: Settings, finished: bool) -> RaceResult:
    """Everything that is reported, as plain numbers."""
    p, source = runner.problem, runner.source
    if not isinstance(source, Source):
        source = Source(p.name)
    shown = [(e, _shown(e)) for e in entries]
    floor = p.minimum
    if floor is None:
        lowest = [r.loss.min() for _, runs in shown for r in runs]
        floor = float(min(lowest, default=0.0))
    tau = 0.1 if p.noisy and p.minimum is None else 1e-3
    starts = [r.loss[0] for _, runs in shown for r in runs]
    goal = floor + tau * (float(np.median(starts)) - floor) if starts else None
    rows = [_row(e, runs, p, floor, tau) for e, runs in shown]
    order = sorted(range(len(rows)), key=lambda i: height(rows[i]))
    with threadpool_limits(1):  # the same sums on any machine
        outsider = p.outsider() if finished else None
    names = [e.method.name for e in entries]
    best = entries[order[0]] if rows and rows[order[0]]["loss"]["median"] is not None else None
    return {
        "version": VERSION,
        "problem": p.name,
        "title": p.title,
        "text": p.text,
        "finished": finished,
        "settings": {
            "methods": names,
            "trials": settings.trials,
            "tuning_seeds": settings.tuning_seeds,
            "seeds": settings.seeds,
            "steps": settings.steps,
            "batch": settings.batch,
            "seed": settings.seed,
            "selection": f"median final {p.loss_name}",
            "target": goal,
            "target_text": _target_text(goal, tau, p),
            "loss_name": p.loss_name,
            "command": _command(source, settings, entries),
        },
        "versions": versions(),
        "methods": [rows[i] for i in order],
        "curves": _curves(shown),
        "trials": {
            "method": [e.method.name for e in entries for _ in e.lrs],
            "lr": [lr for e in entries for lr in e.lrs],
            "loss": [_plain(v) for e in entries for v in e.values],
        },
        "rates": _rates(shown),
        "paths": _paths(shown),
        "landscape": _landscape(p),
        "outsider": _outsider(outsider),
        "code": "" if best is None else _code(best, source, settings),
    }


def _shown(entry: Entry) -> list[Run]:
    """The runs that are reported: on fresh seeds, or, if interrupted before, the best trial's."""
    if entry.tests or entry.best() is None:
        return entry.tests
    note = "not rerun on fresh seeds: these are tuning values"
    if note not in entry.notes:
        entry.notes.append(note)
    return entry.kept[entry.best() or 0]


def _plain(x: float | None) -> float | None:
    return None if x is None or not np.isfinite(x) else float(x)


def _row(entry: Entry, runs: list[Run], p: Problem, floor: float, tau: float) -> MethodRow:
    ends = [r.loss[-1] for r in runs]
    median, low, high = (_plain(quantile(ends, q)) if ends else None for q in (0.5, 0.1, 0.9))
    loss: Quantiles = {"median": median, "p10": low, "p90": high}
    metrics = [r.metric if r.metric is not None else -np.inf for r in runs]
    consecutive = CONSECUTIVE if p.noisy else 1
    reached = [steps_to(r.loss, r.steps, floor + tau * (r.loss[0] - floor), consecutive) for r in runs]
    tuned = entry.tuned()
    return {
        "method": entry.method.name,
        "rule": repr(tuned),
        "lr": _plain(tuned.at(0).get("lr", float("nan"))) if entry.values else None,
        "loss": loss,
        "metric": None
        if p.metric_name is None or not runs
        else {
            "name": p.metric_name,
            "median": _plain(float(np.median(metrics))),
        },
        "steps_to_target": _plain(quantile(reached, 0.5)) if reached else None,
        "us_per_step": _plain(float(np.median([r.seconds for r in runs])) * 1e6) if runs else None,
        "diverged": sum(not np.isfinite(v) for v in entry.values),
        "trials": len(entry.values),
        "notes": entry.notes,
    }


def _curves(shown: Sequence[tuple[Entry, list[Run]]]) -> Columns:
    made: Columns = {n: [] for n in ("method", "step", "median", "p10", "p90")}
    for entry, runs in shown:
        if runs:
            low, middle, high = bands(np.array([r.loss for r in runs]))
            made["method"] += [entry.method.name] * len(middle)
            made["step"] += runs[0].steps.tolist()
            for n, values in (("median", middle), ("p10", low), ("p90", high)):
                made[n] += [_plain(x) for x in values]
    return made


def _rates(shown: Sequence[tuple[Entry, list[Run]]]) -> Columns:
    made: Columns = {n: [] for n in ("method", "step", "p10", "median", "p90")}
    for entry, runs in shown:
        if runs and runs[0].rates is not None:
            for step, row in zip(runs[0].steps.tolist()[1:], runs[0].rates[1:], strict=True):
                made["method"].append(entry.method.name)
                made["step"].append(step)
                for n, x in zip(("p10", "median", "p90"), row, strict=True):
                    made[n].append(_plain(x))
    return made


def _paths(shown: Sequence[tuple[Entry, list[Run]]]) -> Columns | None:
    made: Columns = {n: [] for n in ("method", "step", "x", "y")}
    for entry, runs in shown:
        if runs and runs[0].path is not None:
            for step, (x, y) in zip(runs[0].steps.tolist(), runs[0].path, strict=True):
                made["method"].append(entry.method.name)
                made["step"].append(step)
                made["x"].append(_plain(x))
                made["y"].append(_plain(y))
    return made if made["method"] else None


def _landscape(p: Problem) -> Landscape | None:
    grid = p.grid() if isinstance(p, FormulaProblem) else None
    if grid is None or not isinstance(p, FormulaProblem):
        return None
    x, y, z = grid
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "z": z.tolist(),
        "minima": [list(m) for m in p.minima],
        "start": list(p.starts[0]),
        "names": list(p.objective.parameters),
    }


def _outsider(o: Outsider | None) -> OutsiderRow | None:
    return None if o is None else {"name": o.name, "loss": _plain(o.loss), "metric": _plain(o.metric)}


def _target_text(goal: float | None, tau: float, p: Problem) -> str:
    if goal is None:
        return ""
    end = "the known minimum" if p.minimum is not None else "the lowest loss of any method"
    held = f", on {CONSECUTIVE} records in a row" if p.noisy else ""
    return f"{p.loss_name} at most {goal:.3g}: {100 * (1 - tau):g} % of the way from the start to {end}{held}"


def _command(source: Source, settings: Settings, entries: Sequence[Entry]) -> str:
    parts = ["thalweg", "race", source.name]
    if source.target is not None:
        parts += ["--target", source.target]
    if source.drop:
        parts += ["--drop", ",".join(source.drop)]
    names = [e.method.name for e in entries]
    if names != list(naming.NINE):
        parts += ["--methods", ",".join(names)]
    for n in ("trials", "seeds", "steps", "batch", "seed"):
        parts += [f"--{n}", str(getattr(settings, n))]
    return shlex.join(parts)


def _code(entry: Entry, source: Source, settings: Settings) -> str:
    """Lines that rebuild the winner and run it on the first fresh seed."""
    rule = entry.tuned()
    module = type(rule).__module__
    shipped = module.startswith("thalweg.")
    where = "tw." if shipped else ""
    head = ["import thalweg as tw", "from thalweg.problems import problem"]
    if not shipped:
        head.append(f"from {module.removeprefix('thalweg_user_')} import {type(rule).__name__}")
    given = [repr(source.name)] + [
        f"{n}={v!r}" for n, v in (("target", source.target), ("drop", source.drop)) if v
    ]
    call = f"problem({', '.join(given)})"
    seed = settings.test[0]
    return "\n".join(
        [
            *head,
            "",
            f"rule = {where}{rule!r}",
            f"p = {call}",
            f"w = p.start(seed={seed})",
            "opt = rule.on(w)                      # w changes in place",
            f"for rows in p.batches(seed={seed}, batch={settings.batch}, steps={settings.steps}):",
            "    opt.step(p.gradient(w, rows))",
            "print(p.loss(w), p.metric(w))",
            "",
        ]
    )
