"""The lab's one way to run something: a rule, at several settings, on a problem, from several seeds.

A trial is plain data: all that decides the numbers, and what of them is kept. A problem whose runs can be
compiled goes through one compiled loop, all settings and seeds side by side; any other is stepped through.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, TypeGuard

import numpy as np

from ..core.rule import Rule
from ..core.saved_rule import packed, unpacked
from ..engines.memory import recorded
from ..problems import Problem, Raced, Source, TrainingProblem, make
from ..problems.base import Params, Printable, Rows, pack, unpack
from ..problems.compiled import CompiledProblem
from ..problems.training import VALIDATION
from . import training_run
from .entrants import Foreign, refused
from .training_run import BLOWN

Array = np.ndarray[Any, Any]
QUANTILES = (0.1, 0.5, 0.9)
ROOM = 1 << 23  # numbers that a compiled loop over a table holds beside it, 64 MB
SHORT = 1 << 32  # numbers that a trial reads in a second or two
MEASURES = {"metric", VALIDATION}


@dataclass(frozen=True, eq=False)
class Runs:
    """What S settings from K seeds left behind at R records, of which record 0 is the start; float64.

    ``steps`` (R,). ``records`` hold what was asked for, by name: "loss" (S, K, R); "path", "rates" (S, K, R, d), rates
    NaN at the start; "rate_bands" (S, K, R, 3), 10, 50, 90 % over coordinates; "metric" and "validation" (S, K), NaN
    where the run diverged or the problem has none; "ends" (S, K, 2), the last loss and the highest; "end" (S, K, d),
    the parameters at the last record. Rates are missing where the
    rule has none. ``reached`` (S, K): the first recorded step with a loss of at most ``stop``; the run ended there,
    and later records are NaN. ``settled`` (S, K): the recorded step from which on the loss is at most ``target``.
    Both are inf where there is none. ``ceiling`` (S, K): the loss above which a run counts as diverged. ``outside``
    (S, K, R): the records that lie outside the problem's domain, where it has one.
    ``seconds`` (S, K): of gradient and step, a step. ``failures``: what a user's function raised.
    """

    steps: Array
    records: Mapping[str, Array]
    reached: Array
    settled: Array
    ceiling: Array
    seconds: Array
    failures: tuple[str, ...] = ()
    outside: Array | None = None

    @property
    def loss(self) -> Array:
        """The losses (S, K, R) as they are."""
        return self.records["loss"]

    @property
    def path(self) -> Array:
        """The parameters (S, K, R, d)."""
        return self.records["path"]

    @property
    def rates(self) -> Array:
        """The effective rates (S, K, R, d), NaN at the start."""
        return self.records["rates"]

    @property
    def curves(self) -> Array:
        """The losses (S, K, R), inf from the first that is non-finite, above the ceiling, or outside the domain."""
        bad = ~np.isfinite(self.loss) | (self.loss > self.ceiling[..., None])
        if self.outside is not None:
            bad = bad | self.outside
        return np.where(np.maximum.accumulate(bad, axis=-1), np.inf, self.loss)

    def final(self, selection: str) -> Array:
        """What runs ended with (S, K): the "loss", or the "validation" loss; inf where the run diverged."""
        ends = self.curves[..., -1]
        if selection == "loss":
            return ends
        values = self.records[selection]
        return np.where(np.isfinite(ends) & np.isfinite(values), values, np.inf)

    @property
    def last(self) -> Array:
        """The last loss (S, K), that at the target where a run ended there; inf where the run diverged."""
        last, highest = np.moveaxis(self.records["ends"], -1, 0)
        return np.where(highest <= self.ceiling, last, np.inf)


@dataclass(frozen=True, eq=False)
class Trial:
    """All that decides what runs give, and what of it is kept; ``run`` gives it.

    rule: or an optimizer from elsewhere. problem: the problem itself or what it is made from. steps: of each run.
    seeds: each fixes a start and an order of rows, K of them. starts: (d,) or (K, d), packed, in place of the seeds'; with one seed all take its rows.
    batch: rows a step, 0 for all. vary: line → (S,) values in place of the rule's, start values of states among
    them; S = 1 without. options: what else ``Rule.on`` takes, for runs that are then stepped through. every: steps
    between records, or the recorded steps beside the start, ascending. record: of "loss", "path", "rates",
    "rate_bands", "metric", "validation", "ends", "end" (see ``Runs``). stop, target: losses at
    which a run ends, and at which it has settled.
    """

    rule: Rule | Foreign
    problem: Raced | Source
    steps: int
    seeds: Sequence[int] = (0,)
    starts: Array | Sequence[float] | None = None
    batch: int = 0
    vary: Mapping[str, Array] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    every: int | tuple[int, ...] = 1
    record: tuple[str, ...] = ("loss",)
    stop: float = -np.inf
    target: float = -np.inf

    def run(self) -> Runs:
        """Run every setting from every seed; HyperparameterError, ProblemError."""
        p = resolve(self.problem)
        if isinstance(p, TrainingProblem):
            return _trained(self, p)
        if isinstance(self.rule, Foreign):
            raise refused(self.rule, p.name)
        assert isinstance(p, Problem)
        printable = printable_of(self)
        if printable is not None:
            return _compiled(self, self.rule, p, printable)
        return _stepped(self, self.rule, p)

    @property
    def settings(self) -> int:
        """How many settings are run, S."""
        return max((len(values) for values in self.vary.values()), default=1)

    def by_seed(self) -> "list[Trial]":
        """Return the trial's seeds as trials of their own, which ``joined`` puts together again."""
        if len(self.seeds) == 1 or self.starts is not None:
            return [self]
        return [replace(self, seeds=(seed,)) for seed in self.seeds]

    def failed(self, reason: str) -> Runs:
        """Return what its runs come to when they cannot be run: no number, and the reason."""
        steps = recorded(self.steps, self.every)
        size = self.settings, len(self.seeds)
        shapes = {"loss": (*size, len(steps)), "metric": size, "validation": size, "ends": (*size, 2)}
        records = {n: np.full(shape, np.nan) for n, shape in shapes.items() if n in self.record}
        never = np.full(size, np.inf)
        return Runs(steps, records, never, never, never, never, (reason,))

    def __getstate__(self) -> dict[str, Any]:
        rule = self.rule if isinstance(self.rule, Foreign) else packed(self.rule)
        return {**self.__dict__, "rule": rule}  # a user's file cannot be imported by name

    def __setstate__(self, state: dict[str, Any]) -> None:
        rule = state["rule"]
        self.__dict__.update(state, rule=rule if isinstance(rule, Foreign) else unpacked(rule))


def joined(parts: Sequence[Runs]) -> Runs:
    """Return the runs of several seeds as those of one trial: what each of them recorded, seed after seed."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]

    def together(name: str) -> Array:
        return np.concatenate([getattr(r, name) for r in parts], axis=1)

    sound = next((r.outside for r in parts if r.outside is not None), None)
    outside = (
        None if sound is None else [np.zeros_like(sound) if r.outside is None else r.outside for r in parts]
    )
    shared = [n for n in first.records if all(n in r.records for r in parts)]
    return Runs(
        first.steps,
        {n: np.concatenate([r.records[n] for r in parts], axis=1) for n in shared},
        together("reached"),
        together("settled"),
        together("ceiling"),
        together("seconds"),
        tuple(dict.fromkeys(reason for r in parts for reason in r.failures)),
        None if outside is None else np.concatenate(outside, axis=1),
    )


@lru_cache(maxsize=4)
def _made(source: Source, stamp: tuple[int, int]) -> Raced:
    return make(source)


def _stamp(source: Source) -> tuple[int, int]:
    """When the source's file was written, and its size: one that was edited is read again; zeros without one."""
    file, _, _ = source.name.rpartition(":")
    try:
        status = os.stat(file or source.name)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def resolve(problem: Source | Raced) -> Raced:
    """Return a problem as it is, or from its source, which is kept for the next call."""
    return _made(problem, _stamp(problem)) if isinstance(problem, Source) else problem


def ceiling(p: Problem, start: Array) -> Array:
    """The loss above which a run counts as diverged: BLOWN times the start's height over the minimum.

    start: losses of any shape. A start that lies near the minimum counts as high as the problem's usual one.
    Where no minimum is known the height is that over 0, which is that of most losses.
    """
    floor = p.minimum or 0.0
    height: Array = floor + BLOWN * np.maximum(np.abs(start - floor), p.height)
    return height


def printable_of(trial: Trial) -> Printable | None:
    """What a compiled loop takes of a trial's problem; None where the trial is stepped through, in Python.

    So is one over a table for which the loop would hold too much: the rows of all steps, what is recorded of runs, and
    arrays as wide as the parameters.
    """
    p = resolve(trial.problem)
    if trial.options or isinstance(trial.rule, Foreign) or not isinstance(p, Problem):
        return None
    printable = p.printable
    if printable is None or isinstance(p, CompiledProblem):
        return printable
    runs, width = trial.settings * max(1, len(trial.seeds)), printable.width
    looks = len(recorded(trial.steps, trial.every)) * len({"path", "rates", "rate_bands"} & set(trial.record))
    numbers = runs * width * (looks + len(trial.rule.parts.states) + 4)
    order = trial.steps * trial.batch * len(trial.seeds) if trial.batch < p.rows else 0
    return printable if max(numbers, order) <= ROOM else None


def is_short(trial: Trial) -> bool:
    """Whether a trial is over before workers would have begun: that of a compiled loop, over few rows of a table."""
    p, printable = resolve(trial.problem), printable_of(trial)
    if printable is None or isinstance(p, CompiledProblem):
        return printable is not None
    read = trial.steps * (trial.batch or p.rows) + len(recorded(trial.steps, trial.every)) * p.rows
    return trial.settings * len(trial.seeds) * (read + trial.steps) * printable.width <= SHORT


@lru_cache(maxsize=4)
def _order(p: Problem, seed: int, batch: int, steps: int) -> Array | None:
    """The rows of a table's steps, which every setting of every method takes; ``ROOM`` bounds what is kept."""
    return p.order(seed, batch, steps)


def _compiled(trial: Trial, rule: Rule, p: Problem, printable: Printable) -> Runs:
    """All settings and seeds in one compiled loop."""
    from ..engines.cpu import loops

    settings, wanted = trial.settings, set(trial.record)
    starts = np.array([pack(p.start(s)) for s in trial.seeds] if trial.starts is None else trial.starts)
    seeds = max(len(trial.seeds), len(starts) if starts.ndim == 2 else 1)
    starts = np.broadcast_to(starts, (seeds, starts.shape[-1]))
    given = p.order if isinstance(p, CompiledProblem) else partial(_order, p)
    orders = [order for s in trial.seeds if (order := given(s, trial.batch, trial.steps)) is not None]
    parts = {
        "loss": wanted & {"loss", *MEASURES},
        "path": wanted & {"path"} or (wanted & {"loss", *MEASURES} and _bounded(p)),
        "rates": wanted & {"rates", "rate_bands"},
        "ends": wanted & {"ends"},
        "end": wanted & {"end", *MEASURES},
    }
    tick = time.perf_counter()
    trace = loops.run(
        rule,
        printable.objective,
        np.tile(starts, (settings, 1)),
        trial.steps,
        vary={n: np.repeat(np.asarray(v, dtype=float), seeds) for n, v in trial.vary.items()},
        every=trial.every,
        record=tuple(n for n, needed in parts.items() if needed),
        stop=trial.stop,
        target=trial.target,
        data=printable.data,
        l2=printable.l2,
        order=np.stack(orders) if orders else None,
        stream=np.tile(np.arange(seeds) if len(trial.seeds) > 1 else np.zeros(seeds, int), settings),
    )
    seconds = (time.perf_counter() - tick) / max(1, trial.steps * settings * seeds)
    shape = settings, seeds
    arrays = {n: getattr(trace, n) for n, needed in parts.items() if needed}
    whole = {n: a.reshape(*shape, *a.shape[1:]) for n, a in arrays.items()}
    like = p.start(trial.seeds[0])
    with np.errstate(all="ignore"):
        first = whole["loss"][..., 0] if "loss" in whole else [p.loss(unpack(x, like)) for x in starts]
        if "rate_bands" in wanted:
            whole["rate_bands"] = np.moveaxis(np.quantile(whole["rates"], QUANTILES, axis=-1), 0, -1)
    reached, settled = (np.where(at < 0, np.inf, at).reshape(shape) for at in (trace.reached, trace.settled))
    runs = Runs(
        trace.steps,
        {n: a for n, a in whole.items() if n in {"loss", *wanted}},
        reached,
        settled,
        np.broadcast_to(ceiling(p, np.asarray(first)), shape),
        np.full(shape, seconds),
        outside=p.outside(whole["path"]) if _bounded(p) and "path" in whole else None,
    )
    measured = {n: _at_the_ends(runs, whole["end"], like, getattr(p, n)) for n in wanted & MEASURES}
    return replace(runs, records={**runs.records, **measured})


def _bounded(p: Problem) -> TypeGuard[CompiledProblem]:
    """Whether runs that leave the problem's domain have diverged."""
    return isinstance(p, CompiledProblem) and p.domain is not None


def _at_the_ends(runs: Runs, ends: Array, like: Params, measure: Callable[[Params], float | None]) -> Array:
    """What is measured (S, K) where runs ended (S, K, d); NaN where they diverged."""
    sound = np.isfinite(runs.curves[..., -1])
    values = np.full(sound.shape, np.nan)
    for at in np.argwhere(sound):
        values[*at] = _number(measure(unpack(ends[*at], like)))
    return values


def _number(metric: float | None) -> float:
    return np.nan if metric is None else metric


def follow(
    p: Problem,
    params: Params,
    step: Callable[[Any], None],
    batches: Iterable[Rows | None],
    at: Array,
    look: Callable[[int], bool],
) -> float:
    """Step along the gradients at ``params``, which ``step`` moves in place; the seconds that a step took.

    at: the recorded steps, of which the first is the start. look: called with each record's number, 0 before the first step; the run ends where it says False.
    """
    seconds, done, k = 0.0, 0, 1
    if not look(0):
        return seconds
    due = [*at.tolist(), -1]
    tick = time.perf_counter()
    for done, rows in enumerate(batches, start=1):
        step(p.gradient(params, rows))
        if done == due[k]:
            seconds += time.perf_counter() - tick
            if not look(k):
                break
            k += 1
            tick = time.perf_counter()
    return seconds / max(done, 1)


def _stepped(trial: Trial, whole: Rule, p: Problem) -> Runs:
    """Each setting from each seed, step by step."""
    starts = None if trial.starts is None else np.atleast_2d(np.asarray(trial.starts, dtype=float))
    seeds = max(len(trial.seeds), 0 if starts is None else len(starts))
    p.failures()  # those of others
    runs = []
    with redirect_stdout(sys.stderr):  # what a user's own problem prints
        for s in range(trial.settings):
            rule = whole.replace(**{n: float(v[s]) for n, v in trial.vary.items()})
            for k in range(seeds):
                seed = trial.seeds[k % len(trial.seeds)]
                start = None if starts is None else starts[k % len(starts)]
                runs.append(_walk(trial, p, rule, seed, start))

    def stacked(values: Iterable[Any]) -> Array:
        whole = np.array(list(values))
        return whole.reshape(trial.settings, seeds, *whole.shape[1:])

    return Runs(
        recorded(trial.steps, trial.every),
        {n: stacked(r.records[n] for r in runs) for n in runs[0].records},
        stacked(r.reached for r in runs),
        stacked(r.settled for r in runs),
        stacked(r.ceiling for r in runs),
        stacked(r.seconds for r in runs),
        tuple(p.failures()),
    )


def _walk(trial: Trial, p: Problem, rule: Rule, seed: int, start: Array | None) -> Runs:
    """One run, without the axes of settings and seeds."""
    wanted = set(trial.record) - ({"rates", "rate_bands"} if rule.parts.rate is None else set())
    rated = bool(wanted & {"rates", "rate_bands"})
    measured = (
        bool(wanted & {"loss", "ends", "metric", "validation"}) or max(trial.stop, trial.target) > -np.inf
    )
    params = p.start(seed) if start is None else unpack(start.copy(), p.start(seed))
    optimizer = rule.on(params, on_nonfinite="propagate", rates=rated, **trial.options)
    steps = recorded(trial.steps, trial.every)
    size = pack(params).size
    widths = {"path": size, "rates": size, "rate_bands": len(QUANTILES)}
    records: dict[str, Array] = {
        n: np.full((len(steps), width), np.nan) for n, width in widths.items() if n in wanted
    }
    loss = records["loss"] = np.full(len(steps), np.nan)
    ends = records["ends"] = np.array([np.nan, -np.inf])
    reached, settled, high = np.array(np.inf), np.array(np.inf), np.array(np.inf)

    def look(k: int) -> bool:
        """Record the k-th time; whether the run goes on."""
        if "path" in records:
            records["path"][k] = pack(params)
        if "end" in wanted:
            records["end"] = pack(params)
        if k and rated:
            rates = pack(optimizer.rates())
            if "rates" in records:
                records["rates"][k] = rates
            if "rate_bands" in records:
                records["rate_bands"][k] = np.quantile(rates, QUANTILES)
        if not measured:
            return True
        loss[k] = p.loss(params)
        if k == 0:
            high[...] = ceiling(p, loss[0])
        ends[:] = loss[k], max(ends[1], np.inf if np.isnan(loss[k]) else loss[k])
        if not loss[k] <= trial.target:
            settled[...] = np.inf
        elif np.isinf(settled):
            settled[...] = steps[k]
        if loss[k] <= trial.stop:
            reached[...] = steps[k]
        return bool(trial.stop < loss[k] <= high)

    with np.errstate(all="ignore"):
        batches = p.batches(seed, trial.batch, trial.steps)
        seconds = follow(p, params, optimizer.step, batches, steps, look)
        for name, measure in (("metric", p.metric), ("validation", p.validation)):
            if name in wanted:
                records[name] = np.array(_number(measure(params)) if np.isfinite(loss[-1]) else np.nan)
    kept = {n: a for n, a in records.items() if n in wanted}
    return Runs(steps, kept, reached, settled, high, np.array(seconds))


def _trained(trial: Trial, p: TrainingProblem) -> Runs:
    """Each setting from each seed through a training loop, whose records are what a run would be worth by then."""
    grid = recorded(trial.steps, trial.every)
    shape = trial.settings, len(trial.seeds)
    loss = np.full((*shape, len(grid)), np.nan)
    validation, seconds = np.full(shape, np.nan), np.full(shape, np.nan)
    sign = -1.0 if p.maximize else 1.0
    reasons: list[str] = []
    for s in range(trial.settings):
        entrant = trial.rule.replace(**{n: float(v[s]) for n, v in trial.vary.items()})
        for k, seed in enumerate(trial.seeds):
            one = training_run.run(p, entrant, seed, trial.steps, trial.options)
            loss[s, k] = sign * one.curve(p.measure, grid)
            validation[s, k] = one.curve(VALIDATION, grid[-1:])[0]
            seconds[s, k] = one.seconds / max(1, one.yields)
            if one.reason or one.diverged:
                loss[s, k, grid >= one.yields] = np.nan
                loss[s, k, -1] = np.nan
            early = one.yields < trial.steps and not one.diverged
            reasons += [one.reason] if one.reason else [p.ended(one.yields, trial.steps)] * early
    records: dict[str, Array] = {"loss": loss}
    if VALIDATION in trial.record:
        records[VALIDATION] = validation
    if "ends" in trial.record:
        high = np.where(np.isnan(loss[..., -1]), np.inf, np.fmax.reduce(loss, axis=-1))
        records["ends"] = np.stack([loss[..., -1], high], axis=-1)
    return Runs(
        grid,
        records,
        _first(loss <= trial.stop, grid),
        _first(np.logical_and.accumulate((loss <= trial.target)[..., ::-1], axis=-1)[..., ::-1], grid),
        np.full(shape, np.finfo(float).max),  # a loop is left where it diverges
        seconds,
        tuple(dict.fromkeys(reasons)),
    )


def _first(true: Array, steps: Array) -> Array:
    """The step of the first record at which something is true, along the last axis; inf where it never is."""
    return np.where(true.any(axis=-1), steps[true.argmax(axis=-1)], np.inf)
