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
    met from where the loss no longer leaves it.
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
        stop=-np.inf if stay else target,
        data=problem.data,
        order=None if order is None else order[None],
    )
    assert trace.loss is not None
    count = trace.loss.shape[1]
    if stay:
        last = blown(trace.loss)
        good = np.logical_and.accumulate(last[:, ::-1] <= target, axis=1).sum(axis=1)
        return Trials(lrs, np.where(good > 0, (count - good) * float(every), np.inf), last[:, -1])
    reached = np.where(trace.reached >= 0, trace.reached, np.inf)
    ends = np.where(trace.reached >= 0, trace.reached // every, count - 1)
    known = np.where(np.arange(count) <= ends[:, None], trace.loss, trace.loss[:, :1])
    return Trials(lrs, reached, blown(known)[np.arange(len(lrs)), ends])
