"""Learning rates tried side by side in one compiled loop: steps to a target, final losses; usual tasks."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.rule import Rule
from ..engines.cpu import loops
from ..problems import landscape
from ..problems.compiled import CompiledProblem
from .trial import ceiling

Array = np.ndarray[Any, Any]


def grid(low: float, high: float, count: int) -> Array:
    """Learning rates evenly spread on a log scale, both ends among them: (count,)."""
    return np.geomspace(low, high, count)


@dataclass(frozen=True)
class Trials:
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


def trials(
    rule: Rule,
    problem: CompiledProblem,
    lrs: Array,
    steps: int,
    target: float,
    *,
    start: Array | None = None,
    vary: dict[str, Array] | None = None,
    batch: int = 0,
    seed: int = 0,
    every: int = 1,
    stay: bool = False,
) -> Trials:
    """Run ``rule`` at each of ``lrs`` until its loss is at most ``target``, for at most ``steps`` steps.

    start: (d,), else the problem's for ``seed``. vary: other lines, (n,) values each. batch: rows a step,
    0 for all. every: how often the loss is looked at. stay: all steps are run, and the target counts as
    met from where the loss no longer leaves it. A run that diverges on its way has not met it.
    """
    lrs = np.asarray(lrs, dtype=float)
    at = problem.start(seed) if start is None else np.asarray(start, dtype=float)
    order = problem.order(seed, batch, steps)
    trace = loops.run(
        rule,
        problem.objective,
        np.tile(at, (len(lrs), 1)),
        steps,
        vary={"lr": lrs, **(vary or {})},
        every=every,
        record=("ends",),
        stop=-np.inf if stay else target,
        target=target,
        data=problem.data,
        order=None if order is None else order[None],
    )
    last, worst = trace.ends.T
    good = worst <= ceiling(problem, np.array(problem.loss(at)))
    met = trace.settled if stay else trace.reached
    return Trials(lrs, np.where(good & (met >= 0), met, np.inf), np.where(good, last, np.inf))


def soonest(
    rule: Rule,
    problem: CompiledProblem,
    lrs: Array,
    most: int,
    target: float,
    *,
    first: int = 64,
    **how: Any,
) -> Trials:
    """``trials`` with a budget that grows fourfold, from ``first`` to ``most`` steps, until a rate meets the target.

    The same best rate and steps as with ``most`` at once, without waiting for the slow ones, whose ``reached``
    is inf.
    """
    steps = min(first, most)
    while True:
        made = trials(rule, problem, lrs, steps, target, **how)
        if steps == most or np.isfinite(made.steps):
            return made
        steps = min(4 * steps, most)


def settled(
    rule: Rule, problem: CompiledProblem, lrs: Array, starts: Array, steps: int, target: float
) -> Array:
    """``trials`` that stay, from several starts: steps (n, S), inf where the target is not kept.

    lrs: (n,). starts: (S, d). All rows a step.
    """
    runs = (trials(rule, problem, lrs, steps, target, start=at, stay=True).reached for at in starts)
    return np.column_stack(list(runs))


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

    def trials(self, rule: Rule, lrs: Array) -> Trials:
        """Each learning rate, all rows at every step; medians over the starts."""
        return _tried(self, rule, tuple(float(lr) for lr in lrs))


@lru_cache(maxsize=256)  # several claims ask for the same
def _tried(task: Task, rule: Rule, lrs: tuple[float, ...]) -> Trials:
    on = landscape(task.problem)
    shift = 0.0 if task.start is None else np.subtract(task.start, on.starts[0])
    at = np.array(lrs)
    runs = [
        trials(rule, on, at, task.steps, task.target, start=on.start(seed) + shift, stay=True)
        for seed in range(3)
    ]
    reached, loss = (np.median([getattr(r, n) for r in runs], axis=0) for n in ("reached", "loss"))
    return Trials(at, reached, loss)


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
