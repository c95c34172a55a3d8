"""Which rule, and at which rate, where the user names none: chosen from what the function shows.

a) Short runs of Adam from x0, at rates that are shares of the start's size, five at first. While the lowest or the
   highest of them is the best, another ten times beyond.
b) Then one run from x0: Adam at the best of these rates, on cosines that begin anew and last twice as long each
   time, the last of which ends with the budget. It is a rule like any other: handed over as ``method`` it gives the same.

Short runs differ by where they end, not by their lowest point: the mean of f over their last third.
Source of the restarts: Loshchilov & Hutter, arXiv 1608.03983 (2017). Measured by ``benchmarks.landscapes``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult

from ..core.rule import Rule
from ..core.schedule import restarts
from ..errors import NonFiniteError, ThalwegError
from ..rules.adam import Adam
from .arguments import Options
from .judge import Point, Stage
from .objective import Objective
from .run import DONE, MAXITER, NONFINITE, Run

Array = np.ndarray[Any, Any]
Tell = Callable[[OptimizeResult], bool]

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)  # of the start's size
BEYOND = 10.0  # how far a rate lies beyond the best one at an edge
MOST = 15  # short runs
UNTRIED = 0.1  # where there are too few steps to try any
STEPS = 30  # of each, where the budget is large enough
SHARE = 24  # of the budget, a short run at most takes one in so many
FEWEST = 3  # steps in which a rate shows anything
FIRST = 100  # steps of the first cosine, about
RETRIES = 3  # where the run leaves what is finite, each at a third of the rate
FEW = 1000  # unknowns for which a quasi-Newton method is the better choice


class Trial(NamedTuple):
    """A short run: its rate, the mean of f over its last third (inf where it failed), and why it failed."""

    rate: float
    score: float
    failure: str


class ChosenRun:
    """A run whose rule is chosen on its way; as ``Run`` to its caller."""

    def __init__(
        self,
        objective: Objective,
        start: Array,
        box: tuple[Array, Array],
        scale: Array,
        options: Options,
        tell: Tell | None,
    ) -> None:
        self.objective, self.start, self.box, self.scale = objective, start, box, scale
        self.o, self.tell = options, tell
        self.size = max(1.0, float(np.sqrt(np.mean((start / scale) ** 2))))
        self.begun = time.perf_counter()
        self.done = 0  # steps of the runs before this one
        self.trials: list[Trial] = []
        self.trying = 0.0
        self.smooth = False
        self.lowest: Point | None = None  # of the runs before this one
        self.run = self._run(Adam(lr=UNTRIED * self.size), options, tell, None)

    @property
    def nit(self) -> int:
        """Steps taken, those of the short runs among them."""
        return self.done + self.run.nit

    @property
    def rule(self) -> Rule:
        """The rule that was chosen last."""
        return self.run.rule

    def best(self) -> Point:
        """The lowest point of all runs; with noise that of the last run, since draws tell short ones apart by luck."""
        last = self.run.best()
        if self.lowest is None or (self.o.stochastic and self.run.judge.lowest is not None):
            return last
        return last if last.f <= self.lowest.f else self.lowest

    def descend(self) -> tuple[int, str]:
        """Choose a rate and descend with it: the status and its sentence."""
        length = self._length()
        ended = self._choose(length) if length else None
        if ended is not None:
            status, message = ended
            within = f" That was in a short run, Adam(lr={self.trying:.6g})." if self.run.nit else ""
            return status, message + within
        rate = min(self.trials, key=_order).rate if self.trials else UNTRIED * self.size
        for retry in range(RETRIES + 1):
            first = _first(max(self._left(), 0))
            rest = self.o._replace(maxiter=self.o.maxiter - self.nit)
            self._begin(Adam(lr=restarts(rate, steps=first)), rest, self.tell, first)
            last = retry == RETRIES or self._left() <= 0
            try:
                status, message = self.run.descend()
            except NonFiniteError:
                if last or self.run.nit == 0:
                    raise
                status = NONFINITE
            if status != NONFINITE or last or self.run.nit == 0:
                break
            rate /= 3
        if status == MAXITER:
            message = f"The limit of maxiter = {self.o.maxiter} steps was reached."
        return status, f"{message} {self._told(f'Adam(lr=restarts({rate:.6g}, steps={first}))')}"

    def _left(self) -> int:
        """How many steps the limits leave."""
        left, o = self.o.maxiter - self.nit, self.o
        if o.maxfev is not None:
            left = min(left, (o.maxfev - self.objective.nfev) // self.objective.cost)
        return left

    def _length(self) -> int:
        """The steps of a short run; 0 where the budget is too small to choose."""
        length = min(STEPS, self._left() // SHARE)
        return length if length >= FEWEST else 0

    def _begin(self, rule: Rule, options: Options, tell: Tell | None, first: int | None = None) -> None:
        """Make another run, from x0, the current one; first: the steps of its first cosine."""
        point = self.run.judge.best(self.run.nit, None)
        if point is not None and (self.lowest is None or point.f < self.lowest.f):
            self.lowest = point
        self.done = self.nit
        if options.maxtime is not None:
            spent = time.perf_counter() - self.begun
            options = options._replace(maxtime=max(options.maxtime - spent, 0.0))
        self.run = self._run(rule, options, tell, first)

    def _run(self, rule: Rule, options: Options, tell: Tell | None, first: int | None) -> Run:
        stage = Stage(self.done, None if first is None else partial(_is_end, first))
        return Run(rule, self.objective, self.start, self.box, self.scale, options, tell, stage)

    def _choose(self, length: int) -> tuple[int, str] | None:
        """Run the trials; the status and sentence of one that ended everything."""
        for share in RATES:
            ended = self._try(share * self.size, length)
            if ended is not None:
                return ended
        while len(self.trials) < MOST and self._left() > SHARE * length // 2:
            best = min(self.trials, key=_order)
            rates = [t.rate for t in self.trials]
            if best.rate == min(rates) or best.score == math.inf:
                rate = min(rates) / BEYOND
            elif best.rate == max(rates):
                rate = max(rates) * BEYOND
            else:
                break
            ended = self._try(rate, length)
            if ended is not None:
                return ended
        return None

    def _try(self, rate: float, length: int) -> tuple[int, str] | None:
        """Take in a trial of one rate; the status and sentence where it ended everything."""
        self.trying = rate
        seen: list[OptimizeResult] = []

        def hear(result: OptimizeResult) -> bool:
            seen.append(OptimizeResult(x=result.x.copy(), fun=result.fun, jac=result.jac.copy()))
            return self.tell is None or self.tell(result)

        plain = self.o._replace(maxiter=length, ftol=None, xtol=None, average=None)
        self._begin(Adam(lr=rate), plain, hear)
        failure = ""
        try:
            status, message = self.run.descend()
            if status == NONFINITE and self.run.nit:
                failure = message
            elif status != MAXITER and (self.run.nit == 0 or status != DONE or self._at_target()):
                return status, message
        except (ArithmeticError, ValueError) as error:  # what floats do where NumPy's give inf or NaN
            known = isinstance(error, ThalwegError) and not isinstance(error, NonFiniteError)
            if known or self.run.nit == 0 or not self.trials:
                raise
            infinite = isinstance(error, NonFiniteError)
            failure = "the gradient is too large." if infinite else f"{type(error).__name__} was raised."
        tail = [r.fun for r in seen[-max(length // 3, 1) :]]
        self.trials.append(Trial(rate, math.inf if failure else float(np.mean(tail)), failure))
        if len(self.trials) == 1:
            self.smooth = not self.o.stochastic and _smooth(seen)
        return None

    def _at_target(self) -> bool:
        """Whether f came to ftarget. A gradient within gtol does not end a short run's search: it may be a far plateau."""
        return self.o.ftarget is not None and self.run.best().f <= self.o.ftarget

    def _told(self, rule: str) -> str:
        """What was chosen, from what, and what else there is to say."""
        said = f"Chosen: {rule}"
        said += (
            f" by {len(self.trials)} short runs." if self.trials else ", with too few steps to try others."
        )
        failed = [t for t in self.trials if t.failure]
        if failed:
            least = min(failed)
            said += f" lr = {least.rate:.3g} failed: {least.failure}"
        if self.lowest is not None and self.best() is self.lowest:
            said += " The lowest value was seen in an earlier run."
        if self.smooth and self.start.size <= FEW:
            said += (
                " f looks smooth: for so few unknowns SciPy's L-BFGS-B usually needs a tenth of the calls."
            )
        return said


def _order(trial: Trial) -> tuple[float, float]:
    """By score; of equals the highest rate first."""
    return trial.score, -trial.rate


def _first(steps: int) -> int:
    """The first cosine's steps, about FIRST, so that the last one, of 2^k times as many, ends with ``steps``."""
    rounds = max(1, round(math.log2(steps / FIRST + 1)))
    return max(1, steps // ((1 << rounds) - 1))


def _is_end(first: int, nit: int) -> bool:
    """Whether a step ends a cosine, where the first has ``first`` steps."""
    return nit % first == 0 and (nit // first + 1).bit_count() == 1


def _smooth(seen: list[OptimizeResult]) -> bool:
    """Whether f changes as its gradient says, from step to step, but for a hundredth: no noise and no kinks."""
    changes = [b.fun - a.fun for a, b in pairwise(seen)]
    said = [float((a.jac + b.jac) @ (b.x - a.x)) / 2 for a, b in pairwise(seen)]
    whole = float(np.sum(np.abs(changes)))
    return whole > 0.0 and float(np.sum(np.abs(np.subtract(changes, said)))) <= 0.01 * whole
