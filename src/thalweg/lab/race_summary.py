"""What a race's runs say, as the plain data of ``race_result``: medians, bands and targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..core.rule import Rule, is_shipped
from ..core.schedule import Schedule
from ..problems import FunctionProblem, Outsider, Problem, Raced, TrainingProblem
from ..problems.formula import FormulaProblem
from . import again, answers, audit, search_summary
from .basins import basins
from .budget import Budget
from .configuration import Configuration, configured
from .entrants import Foreign
from .handed import JAX, TORCH
from .measures import NOISY_SHARES, SHARES, targets, times
from .race_result import (
    VERSION,
    Answer,
    Columns,
    Landscape,
    MethodRow,
    Number,
    OutsiderRow,
    Quantiles,
    RaceResult,
    height,
    time_column,
)
from .ranges import lines_of
from .search import Search
from .statistics import bands, quantile, steps_to
from .trial import Array, Runs
from .tuning_curves import tuning_curves
from .verdict import Measure
from .versions import versions

FRAMEWORKS = {TORCH: ("torch",), JAX: ("jax", "jaxlib", "optax")}  # packages, by what a loop asks for
EPS = float(np.finfo(float).eps)
CONSECUTIVE = 3  # records on which a noisy loss must meet the target


@dataclass
class Entry:
    """One method in a race: its search, the runs of each trial, and those on fresh seeds."""

    name: str
    text: str  # what the method is made from again; "" where nothing says it
    search: Search
    trial_runs: list[Runs] = field(default_factory=list)
    test_runs: list[Runs] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # what to say of it from the start

    @property
    def reported(self) -> list[Runs]:
        """The runs that are reported: on fresh seeds, or, if interrupted before, the best trial's."""
        best = self.search.best
        return self.test_runs or ([] if best is None else [self.trial_runs[best]])

    @property
    def losses(self) -> Array:
        """The reported runs' losses (seeds, records), inf from divergence on; (0, 0) before there are any."""
        return np.concatenate([r.curves[0] for r in self.reported] or [np.empty((0, 0))])

    @property
    def idle(self) -> bool:
        """Whether no setting that was tried changed anything: the trials' losses are the same, bit for bit."""
        tried = zip(self.trial_runs, self.search.losses, strict=False)
        sound = [runs.curves for runs, loss in tried if np.isfinite(loss)]
        return len(sound) > 1 and all(np.array_equal(c, sound[0]) for c in sound[1:])

    @property
    def notes(self) -> list[str]:
        """What to say beside the numbers."""
        notes = self.told[:]
        if edges := self.search.open_edges:
            what = " and ".join("rate" if n == "lr" else n for n in edges)
            notes.append(f"best {what} at the edge of its range: more may be gained beyond it")
        if self.idle:
            notes.append(
                "no setting that was tried changed anything: does something else set it, or is nothing stepped?"
            )
        if self.reported and not self.test_runs:
            notes.append("not rerun on fresh seeds: these are tuning values")
        reasons = (reason for r in (*self.trial_runs, *self.test_runs) for reason in r.failures)
        notes += list(dict.fromkeys(reasons))[:1]
        return notes


def summary(
    p: Raced, budget: Budget, entries: Sequence[Entry], finished: bool, outsider: Outsider | None
) -> RaceResult:
    """Everything that is reported of a race. outsider: what an established solver reaches, where that was asked."""
    floor, tau, goal = _goal(p, entries)
    rows = [_row(e, p, budget, floor, tau) for e in entries]
    order = sorted(range(len(rows)), key=lambda i: height(rows[i]))
    best = entries[order[0]] if rows[order[0]]["loss"]["median"] is not None else None
    result: RaceResult = {
        "version": VERSION,
        "problem": p.name,
        "title": p.title,
        "text": p.text,
        "caveat": p.caveat if isinstance(p, Problem) else "",
        "finished": finished,
        "settings": {
            "methods": [e.name for e in entries],
            "trials": budget.trials,
            "tuning_seeds": budget.tuning_seeds,
            "final_seeds": len(budget.finals),
            "seeds": budget.seeds,
            "seeds_are": "starts and batches" if p.noisy else "starts",
            "steps": budget.steps,
            "batch": budget.batch,
            "seed": budget.seed,
            "tuned": list(budget.search.tune),
            "scales": {n: d.scale for e in entries for n, d in e.search.space.items()},
            "ranges": {n: list(v) for n, v in budget.search.ranges.items()},
            "sampler": budget.search.sampler,
            "rows": p.rows,
            "selection": f"median final {_selected(p, budget)}",
            "selection_seeds": [*budget.tuning, *budget.finals] if budget.trials > 1 else [],
            "target": goal,
            "target_text": _target_text(goal, tau, p),
            "loss_name": p.loss_name,
            "command": again.command(
                p.source, p.validation_name is not None, budget, [e.text for e in entries]
            ),
        },
        "versions": versions(*_packages(p, entries)),
        "methods": [rows[i] for i in order],
        "answers": _answers(p, budget, entries, floor, tau),
        "audit": [],
        "lint": [],
        "curves": _curves(entries),
        "trials": search_summary.trials({e.name: e.search for e in entries}),
        "tuning_curves": _tuning_curves(p, budget, entries),
        "importance": search_summary.importance({e.name: e.search for e in entries}),
        "runs": _runs(p, budget, entries, floor),
        "floor": None
        if goal is None
        else {
            "loss": floor,
            "known": p.minimum is not None,
            "shares": list(_shares(p)),
            "consecutive": _held(p),
        },
        "basins": basins(p, _ends(entries)) if isinstance(p, Problem) and not p.noisy else None,
        "rates": _rates(entries),
        "paths": _paths(entries),
        "landscape": _landscape(p),
        "outsider": _outsider(outsider),
        "code": "" if best is None else again.code(chosen(best, p, budget), p, budget.test[0]),
    }
    result["audit"] = audit.contained(result)
    result["lint"] = audit.lint(result)
    return result


def _goal(p: Raced, entries: Sequence[Entry]) -> tuple[float, float, float | None]:
    """The loss that counts as the minimum, the share of the way that may be left, and the target."""
    losses = [e.losses for e in entries if e.losses.size]
    floor = p.minimum
    if floor is None:  # runs that failed at once say nothing of either end
        floor = float(
            min((curves[np.isfinite(curves)].min(initial=np.inf) for curves in losses), default=0.0)
        )
        floor = floor if np.isfinite(floor) else 0.0
    tau = p.goal or (0.1 if p.noisy and p.minimum is None else 1e-3)
    starts = [loss for curves in losses for loss in curves[:, 0] if np.isfinite(loss)]
    return floor, tau, floor + tau * (float(np.median(starts)) - floor) if starts else None


def _selected(p: Raced, budget: Budget) -> str:
    """What settings are chosen by, in words."""
    return p.loss_name if budget.select == "loss" else p.validation_name or budget.select


def _answers(p: Raced, budget: Budget, entries: Sequence[Entry], floor: float, tau: float) -> list[Answer]:
    """What the methods' paired runs on fresh seeds say to the four questions; only those that were rerun take part."""
    done = {e.name: e for e in entries if e.test_runs}
    if len(done) < min(2, len(entries)):  # one alone beats nobody
        return []
    starts = np.concatenate([e.losses[:, 0] for e in done.values()])
    ends = {n: e.losses[:, -1] for n, e in done.items()}
    said = [answers.lowest(ends, starts, p.minimum, EPS)]
    said.append(answers.fastest({n: _reached(e, p, floor, tau) for n, e in done.items()}))
    if all(len(e.search.losses) > 1 and len(e.search.space) < 2 for e in done.values()):
        least = (p.minimum or 0.0) if budget.select == "loss" else 0.0
        reach = [n for n, steps in said[-1]["values"].items() if steps is not None and not done[n].idle]
        if reach:
            said.append(answers.forgiving(search_summary.trials({n: done[n].search for n in reach}), least))
    if p.metric_name is not None:
        said.append(answers.held_out(p.metric_name, {n: _metrics(e.reported) for n, e in done.items()}))
    return said


def _finite(x: float) -> Number:
    return float(x) if np.isfinite(x) else None


def chosen(entry: Entry, p: Raced, budget: Budget) -> Configuration:
    """The method at its best settings."""
    return configured(entry.search.entrant, entry.search.chosen, budget.steps, budget.batch, p.rows)


def _row(entry: Entry, p: Raced, budget: Budget, floor: float, tau: float) -> MethodRow:
    runs, losses, search = entry.reported, entry.losses, entry.search
    median, low, high = (_finite(quantile(losses[:, -1], q)) if runs else None for q in (0.5, 0.1, 0.9))
    loss: Quantiles = {"median": median, "p10": low, "p90": high}
    reached = _reached(entry, p, floor, tau)
    seconds = [s for r in runs for s in r.seconds[0]]
    method = chosen(entry, p, budget)
    tuned, settings = method.tuned, search_summary.settings(search, method, budget.search.tune)
    rule = tuned.runs if isinstance(tuned.runs, Rule) else None
    lr = settings.get("lr", tuned.values.get("lr"))
    return {
        "method": entry.name,
        "kind": type(rule).__name__ if rule and is_shipped(type(rule)) else "",
        "rule": repr(tuned),
        "lr": lr if search.losses and not isinstance(lr, str) else None,
        "settings": settings if search.losses else {},
        "sets": {n: list(lines) for n in settings if (lines := lines_of(search.entrant, n))},
        "values": {n: _finite(v) for n, v in tuned.values.items()},
        "gain": search_summary.steady_gain(rule, lr)
        if search.losses and rule and isinstance(lr, float)
        else None,
        "loss": loss,
        "metric": None
        if p.metric_name is None or not runs
        else {"name": p.metric_name, "median": _finite(float(np.median(_metrics(runs))))},
        "steps_to_target": _finite(quantile(reached, 0.5)) if reached else None,
        "us_per_step": _finite(float(np.median(seconds)) * 1e6) if runs else None,
        "fate": _fate(entry, median),
        "diverged": sum(not np.isfinite(v) for v in search.losses),
        "trials": len(search.losses),
        "edges": search.open_edges,
        "schedules": [n for n, v in rule.values.items() if isinstance(v, Schedule)] if rule else [],
        "notes": entry.notes,
    }


def _packages(p: Raced, entries: Sequence[Entry]) -> list[str]:
    """The packages beside the library's own that a race computed with: a framework's, and entrants' from elsewhere."""
    door = p.door if isinstance(p, TrainingProblem | FunctionProblem) else ""
    runs = [e.search.entrant.runs for e in entries]
    paths = [r.path for r in runs if isinstance(r, Foreign) and ".py:" not in r.path and "." in r.path]
    return [*FRAMEWORKS.get(door, ()), *(path.partition(".")[0] for path in paths)]


def _fate(entry: Entry, median: Number) -> str:
    """What became of a method whose loss has no median."""
    runs = entry.reported or entry.trial_runs
    if not runs:
        return "not run"
    return "" if median is not None else "failed" if any(r.failures for r in runs) else "diverged"


def _reached(entry: Entry, p: Raced, floor: float, tau: float) -> list[float]:
    """The step at which each reported run meets its target, +inf where it never does."""
    return [
        steps_to(curve, entry.reported[0].steps, floor + tau * (curve[0] - floor), _held(p))
        for curve in entry.losses
    ]


def _held(p: Raced) -> int:
    """On how many records in a row a target must be met."""
    return CONSECUTIVE if p.noisy else 1


def _shares(p: Raced) -> tuple[float, ...]:
    """The shares of the way that the problem's three targets leave."""
    return NOISY_SHARES if p.noisy and (p.minimum is None or p.goal) else SHARES


def _runs(p: Raced, budget: Budget, entries: Sequence[Entry], floor: float) -> Columns:
    """Every run on fresh seeds, one row each."""
    shares = _shares(p)
    table: Columns = {n: [] for n in ("method", "seed", "start", "loss", "metric", *map(time_column, shares))}
    for entry in entries:
        if not entry.test_runs:
            continue
        curves = entry.losses
        met = times(curves, entry.test_runs[0].steps, targets(curves[:, 0], floor, shares), _held(p))
        for seed, curve, metric, reached in zip(
            budget.test, curves, _metrics(entry.test_runs), met, strict=True
        ):
            numbers = (curve[0], curve[-1], metric, *reached)
            row = (entry.name, seed, *map(_finite, numbers))
            for n, value in zip(table, row, strict=True):
                table[n].append(value)
    return table


def _metrics(runs: Sequence[Runs]) -> Array:
    """The test metrics over seeds; -inf where a run diverged, or where none was recorded."""
    parts = [
        r.records["metric"][0] if "metric" in r.records else np.full(r.seconds.shape[1], np.nan) for r in runs
    ]
    metrics = np.concatenate(parts)
    return np.where(np.isnan(metrics), -np.inf, metrics)


def _tuning_curves(p: Raced, budget: Budget, entries: Sequence[Entry]) -> Columns | None:
    """What so many trials of each method are expected to reach; None where trials look at what came of others.

    Where settings are chosen by other rows than are trained on, no start is known for these: what diverged then counts
    as the worst trial of any method that did not.
    """
    if budget.search.sampler != "halton" or budget.trials < 2:
        return None
    first = budget.trials  # those in wider ranges were drawn otherwise
    losses = {e.name: e.search.losses[:first] for e in entries if len(e.search.losses) > 1}
    sound = np.array([v for tried in losses.values() for v in tried if np.isfinite(v)])
    if not len(sound):
        return None
    starts = np.concatenate([e.losses[:, 0] for e in entries if e.losses.size] or [sound])
    starts = starts[np.isfinite(starts)] if np.isfinite(starts).any() else sound
    if budget.select != "loss":
        return tuning_curves(
            losses, Measure.of_losses(sound, sound, None, EPS), float(sound.max()), budget.seed
        )
    measure = Measure.of_losses(starts, sound, p.minimum, EPS)
    return tuning_curves(losses, measure, float(np.median(starts)), budget.seed)


def _curves(entries: Sequence[Entry]) -> Columns:
    table: Columns = {n: [] for n in ("method", "step", "median", "p10", "p90")}
    for entry in entries:
        if entry.reported:
            low, middle, high = bands(entry.losses)
            table["method"] += [entry.name] * len(middle)
            table["step"] += entry.reported[0].steps.tolist()
            for n, values in (("median", middle), ("p10", low), ("p90", high)):
                table[n] += [_finite(x) for x in values]
    return table


def _first(entry: Entry, record: str) -> Array | None:
    """What the first reported seed recorded, by record."""
    kept = entry.reported[0].records if entry.reported else {}
    return kept[record][0, 0] if record in kept else None


def _ends(entries: Sequence[Entry]) -> dict[str, Array]:
    """The last parameters of each method's runs on fresh seeds, where they were kept."""
    kept = {e.name: [r.records["end"][0] for r in e.test_runs if "end" in r.records] for e in entries}
    return {n: np.concatenate(ends) for n, ends in kept.items() if ends}


def _rates(entries: Sequence[Entry]) -> Columns:
    table: Columns = {n: [] for n in ("method", "step", "p10", "median", "p90")}
    for entry in entries:
        rates = _first(entry, "rate_bands")
        if rates is not None:
            for step, row in zip(entry.reported[0].steps.tolist()[1:], rates[1:], strict=True):
                table["method"].append(entry.name)
                table["step"].append(step)
                for n, x in zip(("p10", "median", "p90"), row, strict=True):
                    table[n].append(_finite(x))
    return table


def _paths(entries: Sequence[Entry]) -> Columns | None:
    """Of problems of two parameters."""
    table: Columns = {n: [] for n in ("method", "step", "x", "y")}
    for entry in entries:
        path = _first(entry, "path")
        if path is not None and path.shape[-1] == 2:
            for step, (x, y) in zip(entry.reported[0].steps.tolist(), path, strict=True):
                table["method"].append(entry.name)
                table["step"].append(step)
                table["x"].append(_finite(x))
                table["y"].append(_finite(y))
    return table if table["method"] else None


def _landscape(p: Raced) -> Landscape | None:
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
    if o is None or not np.isfinite(o.loss):  # where nothing bounds the loss it finds nothing
        return None
    return {
        "name": o.name,
        "loss": _finite(o.loss),
        "metric": None if o.metric is None else _finite(o.metric),
    }


def _target_text(goal: float | None, tau: float, p: Raced) -> str:
    if goal is None:
        return ""
    end = "the known minimum" if p.minimum is not None else "the lowest loss of any method"
    kept = f", on {CONSECUTIVE} records in a row" if p.noisy else ""
    return f"{p.loss_name} at most {goal:.3g}: {100 * (1 - tau):g} % of the way from the start to {end}{kept}"
