"""The one place where settings are searched: what of a rule is tuned and where, what is tried, what was best.

Two ways to look: a race gives every method the same number of quasi-random trials of its own ranges, more at an edge
(``Tuner``); where runs are cheap a whole grid of learning rates goes through one compiled loop (``try_rates``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from ..core.rule import Rule
from ..problems import landscape
from ..problems.base import Params, pack
from ..problems.compiled import CompiledProblem
from .entrants import Entrant
from .trial import Trial

Array = np.ndarray[Any, Any]
Settings: TypeAlias = dict[str, float]  # values by line

# Where learning rates are looked for, by their unit: the sources of the ranges are those of the
# benchmarks that lab papers agree on; a rate with the unit of w grows with the weights themselves.
RANGES = {"w/g": (1e-5, 1e1), "w": (1e-5, 1e0), "1": (1e-3, 1e2)}
EDGE = 0.2  # of the logarithmic range, at either end
BEST = 5  # trials whose median says where the good values lie: one alone misses half of the edges
DECADE = 10.0  # by which a range is widened
ROUNDS = 3  # in which ranges are widened at most


# What is tuned, and where.


@dataclass(frozen=True)
class Range:
    """The values of a line that are looked at, evenly on a log scale; both ends positive."""

    low: float
    high: float

    def at(self, quantile: float) -> float:
        """The value at a quantile of the range, to four digits (as it is printed)."""
        return float(f"{self.low * (self.high / self.low) ** quantile:.4g}")

    def side(self, value: float) -> int:
        """-1 or 1 where a value lies at the low or high end, else 0."""
        low, high = np.log(self.low), np.log(self.high)
        place = (np.log(value) - low) / (high - low)
        return -1 if place < EDGE else 1 if place > 1 - EDGE else 0

    def beyond(self, side: int) -> "Range":
        """The next decade on one side; the range itself for side 0."""
        if side < 0:
            return Range(self.low / DECADE, self.low)
        return Range(self.high, self.high * DECADE) if side else self

    def joined(self, other: "Range") -> "Range":
        """From the lower of both to the higher."""
        return Range(min(self.low, other.low), max(self.high, other.high))


def space(entrant: Entrant, scale: float) -> dict[str, Range]:
    """The lines of an entrant that are tuned, with their ranges: lr, unless there is none or it is a schedule.

    scale: of the parameters (``scale_of``), with which a range in the unit of w grows.
    """
    if "lr" not in entrant.lines:
        return {}
    unit = entrant.lines["lr"].unit
    low, high = RANGES.get(unit, RANGES["w/g"])
    factor = scale if unit == "w" else 1.0
    return {"lr": Range(low * factor, high * factor)}


def scale_of(start: Params) -> float:
    """The larger of 1 and the start's root mean square."""
    packed = pack(start)
    return max(1.0, float(np.sqrt(np.mean(packed * packed))))


# Quasi-random trials, the same for every method.


def quantiles(count: int, dimensions: int, seed: int) -> Array:
    """A scrambled Halton sequence in (0, 1): (count, dimensions)."""
    from scipy.stats import qmc  # takes a second or more to import

    drawn: Array = qmc.Halton(d=dimensions, scramble=True, rng=np.random.default_rng(seed)).random(count)
    return drawn


@dataclass
class Search:
    """One method's search: where it looks, what was tried, and the loss that came of it (inf: it diverged)."""

    entrant: Entrant
    space: dict[str, Range]
    tried: list[Settings] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    finals: dict[int, float] = field(
        default_factory=dict
    )  # trials that were rerun on more seeds, the loss over all

    def add(self, settings: Settings, loss: float) -> None:
        """Take in what a trial led to."""
        self.tried.append(settings)
        self.losses.append(loss)

    @property
    def best(self) -> int | None:
        """The trial with the lowest loss, among finalists where there are any; None where all diverged."""
        losses = self.finals or dict(enumerate(self.losses))
        sound = [i for i, v in losses.items() if np.isfinite(v)]
        return min(sound, key=lambda i: (losses[i], i)) if sound else None

    @property
    def finalists(self) -> list[int]:
        """The ``BEST`` trials, lowest loss first: few seeds tell no closer which of them is best."""
        sound = [i for i, v in enumerate(self.losses) if np.isfinite(v)]
        return sorted(sound, key=lambda i: self.losses[i])[:BEST]

    @property
    def tuned(self) -> Entrant:
        """The entrant at its best settings; as it is where nothing was found."""
        return self.entrant if self.best is None else self.entrant.replace(**self.tried[self.best])

    @property
    def edges(self) -> dict[str, int]:
        """The lines whose good values lie at an end of their range: -1 low, 1 high. Good: the median of the best five."""
        tried = [self.tried[i] for i in self.finalists]
        if not tried:
            return {}
        sides = {
            n: r.side(float(np.median([t[n] for t in tried]))) for n, r in self.space.items() if tried[0]
        }
        return {n: side for n, side in sides.items() if side}

    @property
    def open_edges(self) -> list[str]:
        """The lines at an edge beyond whose best value nothing was tried: there more may be gained."""
        if self.best is None:
            return []
        best = self.tried[self.best]
        return [n for n, side in self.edges.items() if all(side * t[n] <= side * best[n] for t in self.tried)]

    def wider(self) -> dict[str, Range]:
        """Where extra trials look: beyond the edges, in the ranges themselves where the best lies inside."""
        edges = self.edges
        return {n: r.beyond(edges.get(n, 0)) for n, r in self.space.items()}


Proposal: TypeAlias = tuple[Search, Settings]


@dataclass(frozen=True)
class Tuner:
    """All methods' searches on one budget: each round's proposals are to be run and added before the next.

    trials: of each method; one takes the rules as they are. Where any method's good values lie at an edge its range is
    widened and every method gets a quarter as many more trials, in at most ``ROUNDS`` rounds.
    """

    searches: Sequence[Search]
    trials: int
    seed: int

    def rounds(self) -> Iterator[tuple[str, list[Proposal]]]:
        """Yield each round's name and proposals, trial by trial, so that an interrupted race is a fair one."""
        extra = max(1, self.trials // 4) if self.trials > 1 else 0
        dimensions = max([1, *(len(s.space) for s in self.searches)])
        drawn = quantiles(self.trials + ROUNDS * extra, dimensions, self.seed)
        first: list[Proposal] = []
        for k, point in enumerate(drawn[: self.trials]):
            for search in self.searches:
                if search.space and self.trials > 1:
                    first.append((search, _settings(search.space, point)))
                elif k == 0:
                    first.append((search, {}))
        yield "tuning", first
        for k in range(ROUNDS if extra else 0):
            if not any(s.edges for s in self.searches):
                return
            pairs = [(s, s.wider()) for s in self.searches]
            begin = self.trials + k * extra
            more = drawn[begin : begin + extra]
            yield "tuning, wider", [(s, _settings(w, point)) for point in more for s, w in pairs if w]
            for search, ranges in pairs:
                search.space = {n: r.joined(search.space[n]) for n, r in ranges.items()}


def _settings(ranges: Mapping[str, Range], point: Array) -> Settings:
    return {n: r.at(float(u)) for (n, r), u in zip(ranges.items(), point, strict=False)}


# Grids of learning rates, side by side.


def grid(low: float, high: float, count: int) -> Array:
    """Learning rates evenly spread on a log scale, both ends among them: (count,)."""
    return np.geomspace(low, high, count)


@dataclass(frozen=True)
class Tried:
    """What each learning rate led to: arrays (n,).

    ``reached``: steps to the target, inf where it was not met; ``loss``: the last one (the one that met the
    target, where the run ended there), inf where the run diverged.
    """

    lrs: Array
    reached: Array
    loss: Array

    @property
    def best(self) -> int:
        """The rate that met the target first; where none did, the one with the lowest loss."""
        return int(np.lexsort((self.loss, self.reached))[0])

    @property
    def lr(self) -> float:
        """The best rate."""
        return float(self.lrs[self.best])

    @property
    def steps(self) -> float:
        """Steps to the target at the best rate, inf where no rate met it."""
        return float(self.reached[self.best])


def try_rates(
    rule: Rule,
    problem: CompiledProblem,
    lrs: Array,
    steps: int,
    target: float,
    *,
    start: Array | None = None,
    vary: Mapping[str, Array] | None = None,
    batch: int = 0,
    seeds: Sequence[int] = (0,),
    every: int = 1,
    stay: bool = False,
) -> Tried:
    """Run ``rule`` at each of ``lrs`` until its loss is at most ``target``, for at most ``steps`` steps.

    start: (d,) or (S, d), else the problem's for ``seeds``; over several starts or seeds medians are taken. vary: other
    lines, (n,) values each. batch: rows a step, 0 for all. every: how often the loss is looked at. stay: all steps
    are run, and the target counts as met from where the loss no longer leaves it. A run that diverges on its way has
    not met it.
    """
    runs = Trial(
        rule,
        problem,
        steps,
        seeds=seeds,
        starts=start,
        batch=batch,
        vary={"lr": lrs, **(vary or {})},
        every=every,
        record=("ends",),
        stop=-np.inf if stay else target,
        target=target,
    ).run()
    met = np.where(np.isfinite(runs.last), runs.settled if stay else runs.reached, np.inf)
    return Tried(np.asarray(lrs, dtype=float), np.median(met, axis=1), np.median(runs.last, axis=1))


def soonest(
    rule: Rule,
    problem: CompiledProblem,
    lrs: Array,
    most: int,
    target: float,
    *,
    first: int = 64,
    start: Array | None = None,
    vary: Mapping[str, Array] | None = None,
) -> Tried:
    """``try_rates`` with a budget that grows fourfold, from ``first`` to ``most`` steps, until a rate meets the target.

    The same best rate and steps as with ``most`` at once, without waiting for the slow ones, whose ``reached``
    is inf.
    """
    steps = min(first, most)
    while True:
        tried = try_rates(rule, problem, lrs, steps, target, start=start, vary=vary)
        if steps == most or np.isfinite(tried.steps):
            return tried
        steps = min(4 * steps, most)


# The usual grid: four learning rates a decade over six decades.
RATES = grid(1e-4, 1e2, 25)


@dataclass(frozen=True)
class Task:
    """A problem without noise, where a run begins, and when it has arrived: f at most ``target`` up to the last of ``steps``.

    ``start``: None for the problem's first usual one. Runs begin at three points around it, so that no
    rate wins by hitting the minimum in one step.
    """

    problem: str
    target: float
    steps: int
    start: tuple[float, ...] | None = None

    @property
    def words(self) -> str:
        """What it is called in a table."""
        return self.problem + (
            "" if self.start is None else f" from ({', '.join(f'{x:g}' for x in self.start)})"
        )

    def tried(self, rule: Rule, lrs: Array) -> Tried:
        """Each learning rate, all rows at every step; medians over the starts."""
        return _tried(self, rule, tuple(float(lr) for lr in lrs))


@lru_cache(maxsize=256)  # several claims ask for the same
def _tried(task: Task, rule: Rule, lrs: tuple[float, ...]) -> Tried:
    on = landscape(task.problem)
    shift = 0.0 if task.start is None else np.subtract(task.start, on.starts[0])
    starts = np.array([on.start(seed) + shift for seed in range(3)])
    return try_rates(rule, on, np.array(lrs), task.steps, task.target, start=starts, stay=True)


# What tuned rates are compared on: the usual starts of nine problems, none left out.
TASKS = (
    Task("neuron", 1e-4, 4000, (-2, -2)),
    Task("neuron", 1e-4, 20_000, (-4, 4)),
    Task("neuron", 1e-4, 4000, (-4, -4)),
    Task("neuron-sparse", 1e-4, 600, (2, -2)),
    Task("neuron-sparse", 1e-4, 1200, (-6, 6)),
    Task("beale", 1e-3, 5000, (1, 1)),
    Task("beale", 1e-3, 20_000, (3, 4)),
    Task("beale", 1e-3, 10_000, (-1.5, -1.5)),
    Task("rosenbrock", 1e-3, 20_000, (-1.2, 1)),
    Task("rosenbrock", 1e-3, 20_000, (-2, 2)),
    Task("himmelblau", 1e-3, 5000, (0, 0)),
    Task("himmelblau", 1e-3, 5000, (-0.27, -0.92)),
    Task("booth", 1e-3, 20_000),
    Task("gutter", 1e-3, 20_000),
    Task("quadratic", 1e-4, 5000),
    Task("quadratic-2d", 1e-4, 5000),
)
