"""Learning rates tried side by side in one compiled loop: steps to a target, final losses."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.rule import Rule
from ..engines import loops
from ..problems.compiled import CompiledProblem
from .run import blown

Array = np.ndarray[Any, Any]


def grid(low: float, high: float, count: int) -> Array:
    """Learning rates evenly spread on a log scale, both ends among them: (count,)."""
    return np.geomspace(low, high, count)


@dataclass(frozen=True)
class Trials:
    """What each learning rate led to: arrays (n,).

    ``reached``: steps to the target, inf where it was not met; ``loss``: the last one, inf where the run
    diverged.
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
) -> Trials:
    """Run ``rule`` at each of ``lrs`` until its loss is at most ``target``, for at most ``steps`` steps.

    start: (d,), else the problem's for ``seed``. vary: other lines, (n,) values each. batch: rows a step,
    0 for all. every: how often the loss is looked at.
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
        stop=target,
        data=problem.data,
        order=None if order is None else order[None],
    )
    assert trace.loss is not None
    reached = np.where(trace.reached >= 0, trace.reached, np.inf)
    ends = np.where(trace.reached >= 0, trace.reached // every, trace.loss.shape[1] - 1)
    known = np.where(np.arange(trace.loss.shape[1]) <= ends[:, None], trace.loss, trace.loss[:, :1])
    last = blown(known)[np.arange(len(lrs)), ends]
    return Trials(lrs, reached, last)


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
    """Steps after which the loss stays at most ``target`` until the end: (n, S), inf where it does not.

    lrs: (n,). starts: (S, d). Unlike ``trials`` this does not count a lucky hit on the way. All rows a step.
    """
    count = len(starts)
    trace = loops.run(
        rule,
        problem.objective,
        np.tile(starts, (len(lrs), 1)),
        steps,
        vary={"lr": np.repeat(lrs, count)},
        data=problem.data,
    )
    assert trace.loss is not None
    above = ~(trace.loss <= target)
    after = np.where(above.any(axis=1), steps + 1 - np.argmax(above[:, ::-1], axis=1), 0)
    return np.where(after > steps, np.inf, after).reshape(len(lrs), count)
