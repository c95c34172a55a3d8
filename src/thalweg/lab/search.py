"""The one place where settings are searched: what of a rule is tuned and where, what is tried, what was best.

Two ways to look: a race gives every method the same number of quasi-random trials of its own ranges, more at an edge
(``Tuner``); where runs are cheap a whole grid of learning rates goes through one compiled loop (``try_rates``).
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from ..core.rule import Rule
from ..problems import landscape
from ..problems.compiled import CompiledProblem
from .dimensions import Settings, Space, Value, compared, drawn
from .entrants import Entrant
from .trial import Trial

Array = np.ndarray[Any, Any]

BEST = 5  # trials whose median says where the good values lie: one alone misses half of the edges
ROUNDS = 3  # in which ranges are widened at most


# Quasi-random trials, the same for every method.


def quantiles(count: int, dimensions: int, seed: int) -> Array:
    """A scrambled Halton sequence in (0, 1): (count, dimensions), the numbers of ``scipy.stats.qmc.Halton``.

    Its points are the numbers 0, 1, 2, ... written in a prime base each, every digit permuted at random and mirrored at the
    point. SciPy's own is not called, since ``scipy.stats`` alone takes a fifth of a small race to import.

    Source: Owen, A randomized Halton algorithm in R (2017), arXiv:1706.02808.
    """
    (rng,) = np.random.default_rng(seed).spawn(1)
    drawn = np.zeros((count, dimensions))
    for column, base in zip(drawn.T, _primes(dimensions), strict=True):
        left, place = np.arange(count), 1.0
        permuted = np.tile(np.arange(base), (math.ceil(54 / math.log2(base)) - 1, 1))
        for digits in permuted:  # all are drawn before the next base's
            rng.shuffle(digits)
        for digits in permuted:
            place /= base
            left, digit = np.divmod(left, base)
            column += digits[digit] * place
    return drawn


def _primes(count: int) -> list[int]:
    """The first so many primes."""
    primes: list[int] = []
    numbers = itertools.count(2)
    while len(primes) < count:
        n = next(numbers)
        if all(n % p for p in primes):
            primes.append(n)
    return primes


@dataclass
class Search:
    """One method's search: where it looks, what was tried, and the loss that came of it (inf: it diverged)."""

    entrant: Entrant
    space: Space
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
    def chosen(self) -> Settings:
        """The best settings; none where nothing was found, which leaves the rule as it is."""
        return {} if self.best is None else self.tried[self.best]

    @property
    def edges(self) -> dict[str, int]:
        """The settings whose good values lie at an end of their range: -1 low, 1 high. Good: the median of the best five."""
        tried = [compared(self.space, self.tried[i]) for i in self.finalists if self.tried[i]]
        if not tried:
            return {}
        sides = {n: r.side(_middle([t[n] for t in tried])) for n, r in self.space.items()}
        return {n: side for n, side in sides.items() if side}

    @property
    def open_edges(self) -> list[str]:
        """The settings at an edge beyond whose best value nothing was tried: there more may be gained."""
        if self.best is None:
            return []
        tried = [compared(self.space, t) for t in self.tried]

        def signed(n: str, i: int) -> float:
            return self.edges[n] * float(tried[i][n])

        best = self.best
        return [n for n in self.edges if all(signed(n, i) <= signed(n, best) for i in range(len(tried)))]

    @property
    def widens(self) -> bool:
        """Whether good values lie at an end beyond which more can be tried."""
        return any(self.space[n].widens for n in self.edges)

    def wider(self) -> Space:
        """Where extra trials look: beyond the edges, in the ranges themselves where the best lies inside."""
        edges = self.edges
        return {n: r.beyond(edges.get(n, 0)) for n, r in self.space.items()}


def _middle(values: Sequence[Value]) -> Value:
    """The median of numbers; the first of words, which have no order."""
    numbers = [v for v in values if not isinstance(v, str)]
    return float(np.median(numbers)) if numbers else values[0]


Proposal: TypeAlias = tuple[Search, Settings]


@dataclass(frozen=True)
class Tuner:
    """All methods' searches on one budget: each round's proposals are to be run and added before the next.

    trials: of each method; one takes the rules as they are. names: the settings in the order of the sequence's
    dimensions, which methods share by name: the same quantiles of ``lr`` for all. Where any method's good values
    lie at an edge that can be widened it is, and every method gets a quarter as many more trials, in at most ``ROUNDS`` rounds.
    """

    searches: Sequence[Search]
    trials: int
    seed: int
    names: Sequence[str] = ()

    def rounds(self) -> Iterator[tuple[str, list[Proposal]]]:
        """Yield each round's name and proposals, trial by trial, so that an interrupted race is a fair one."""
        extra = max(1, self.trials // 4) if self.trials > 1 else 0
        names = list(dict.fromkeys([*self.names, *(n for s in self.searches for n in s.space)]))
        points = [
            dict(zip(names, map(float, point), strict=False))
            for point in quantiles(self.trials + ROUNDS * extra, max(1, len(names)), self.seed)
        ]
        first: list[Proposal] = []
        for k, point in enumerate(points[: self.trials]):
            for search in self.searches:
                if search.space and self.trials > 1:
                    first.append((search, drawn(search.space, point)))
                elif k == 0:
                    first.append((search, {}))
        yield "tuning", first
        for k in range(ROUNDS if extra else 0):
            if not any(s.widens for s in self.searches):
                return
            pairs = [(s, s.wider()) for s in self.searches]
            begin = self.trials + k * extra
            more = points[begin : begin + extra]
            yield "tuning, wider", [(s, drawn(w, point)) for point in more for s, w in pairs if w]
            for search, ranges in pairs:
                search.space = {n: r.joined(search.space[n]) for n, r in ranges.items()}


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
