"""A rule on its way through an objective, step by step or in a compiled loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from ..core.rule import Rule
from ..engines.cpu.foreign import foreign
from ..engines.cpu.objective_loop import Driver
from ..errors import GradientError, NonFiniteError
from .arguments import Options
from .judge import Judge, Point, Stage
from .objective import Objective

Array = np.ndarray[Any, Any]

# Of a result.
DONE, MAXITER, MAXFEV, MAXTIME, NONFINITE, MISFIT, RAISED, INTERRUPTED, CALLBACK = *range(8), 99


class Run:
    """A rule on its way through an objective."""

    def __init__(
        self,
        rule: Rule,
        objective: Objective,
        start: Array,
        box: tuple[Array, Array],
        scale: Array,
        options: Options,
        tell: Callable[[OptimizeResult], bool] | None,
        stage: Stage = Stage(),  # noqa: B008  # a value
    ) -> None:
        self.objective, self.start, self.box, self.scale = objective, start, box, scale
        self.o, self.tell = options, tell
        self.judge = Judge(options, box, scale, objective.unresolved, stage)
        self.before = stage.before
        self.w = start / scale
        self.optimizer = rule.on(self.w, clip_value=options.clip_value, clip_norm=options.clip_norm)
        self.average = None if options.average is None else start.copy()
        self.nit = 0
        self.rule = rule
        self.driver: Driver | None = None
        self.chunk = 64  # steps of the driver at a time

    def _driver(self) -> Driver | None:
        """The compiled loop, where Numba compiled fun (and jac) and nothing else needs each step."""
        o, objective = self.o, self.objective
        if self.tell or o.stochastic or isinstance(objective.jac, str):
            return None
        if o.follows and np.any(objective.unresolved(self.start, 0.0)):
            return None
        if not (o.average is o.clip_value is o.clip_norm is None):
            return None
        if self.judge.ends is not None and not (o.ftol is o.xtol is None):
            return None
        function = foreign(objective.fun, objective.jac, objective.args)
        if function is None:
            return None
        g, f, x = (-1.0 if v is None else v for v in (o.gtol, o.ftol, o.xtol))
        target = -math.inf if o.ftarget is None else o.ftarget
        return Driver(
            self.rule,
            function,
            self.w,
            self.optimizer.state,
            self.scale,
            *self.box,
            (g, f, x, target),
            o.window,
        )

    def descend(self) -> tuple[int, str]:
        """Step until something ends the run: the status and its sentence."""
        o, objective, box, scale = self.o, self.objective, self.box, self.scale
        begun = time.perf_counter()
        gradient = np.empty_like(self.w)
        final = 0 if self.average is None or o.stochastic else objective.cost
        x = self.start
        while True:
            f, g = objective(x)
            if not math.isfinite(f):
                return NONFINITE, f"The objective is {f} at step {self.before + self.nit}."
            if not np.isfinite(g).all():
                bad = np.flatnonzero(~np.isfinite(g))[0]
                return NONFINITE, f"The gradient is {g[bad]} at ({bad},) at step {self.before + self.nit}."
            met = self.judge.take(x, f, g, self.nit, self.average)
            if np.array_equal(*box):
                return DONE, "All variables are fixed by the bounds."
            if self.nit and self.tell is not None:
                shown = OptimizeResult(
                    x=x.copy(), fun=f, jac=g.copy(), nit=self.before + self.nit,
                    nfev=objective.nfev, njev=objective.njev,
                )  # fmt: skip
                if not self.tell(shown):
                    return CALLBACK, "`callback` raised `StopIteration`."
            ended = (DONE, met) if met is not None else self._limit(begun, final)
            if ended is not None:
                if final:
                    self._try_the_average()
                return ended
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                np.multiply(g, scale, out=gradient)
                self.optimizer.step(gradient)
                self.nit += 1
                x = np.clip(self.w * scale, *box)
                np.clip(self.w, box[0] / scale, box[1] / scale, out=self.w)
            if self.nit == 1:  # f and its gradient are known to be what they should
                self.driver = self._driver()
            if self.driver is not None:
                x = self._drive(self.driver, x)
            if self.average is not None:
                take = 1.0 / self.nit if o.average == "polyak" else 1.0 - float(o.average)
                self.average = self.average + take * (x - self.average)

    def _drive(self, driver: Driver, x: Array) -> Array:
        """Go on from x, compiled, for about a tenth of a second or to a point that ``descend`` must see."""
        o, objective, judge = self.o, self.objective, self.judge
        steps = min(self.chunk, o.maxiter - self.nit)
        if o.maxfev is not None:
            steps = min(steps, o.maxfev - objective.nfev - 1)
        begun = time.perf_counter()
        driver.x[:] = x
        at = judge.standing()
        done = driver.advance(steps, self.nit, at) if steps > 0 else 0
        judge.follow(at)
        if time.perf_counter() - begun < 0.05:
            self.chunk *= 2
        elif self.chunk > 1:
            self.chunk //= 2
        self.nit += done
        objective.nfev += done
        objective.njev += done
        self.optimizer.count(done)
        return driver.x.copy()

    def _limit(self, begun: float, final: int) -> tuple[int, str] | None:
        """Whether a limit forbids another step."""
        o, objective = self.o, self.objective
        if self.nit >= o.maxiter:
            return MAXITER, f"The limit of maxiter = {o.maxiter} steps was reached."
        if o.maxfev is not None and objective.nfev + objective.cost + final > o.maxfev:
            return MAXFEV, f"The limit of maxfev = {o.maxfev} evaluations was reached."
        if o.maxtime is not None and time.perf_counter() - begun >= o.maxtime:
            return MAXTIME, f"The limit of maxtime = {o.maxtime:g} seconds was reached."
        return None

    def _try_the_average(self) -> None:
        assert self.average is not None
        f, g = self.objective(self.average)
        if math.isfinite(f):
            self.judge.offer(Point(self.average, f, g, self.nit))

    def best(self) -> Point:
        """The lowest point seen; the start where nothing was seen."""
        found = self.judge.best(self.nit, self.average)
        if found is None:
            return Point(self.start, self.objective.f, np.full(self.start.size, np.nan), 0)
        return found


def outcome_of(error: BaseException, nit: int) -> tuple[int, str]:
    """The status and the sentence of a run that an exception ended."""
    text = " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, f"Interrupted from the keyboard at step {nit}."
    if isinstance(error, NonFiniteError):
        return NONFINITE, f"At step {nit}: {text}."
    if isinstance(error, GradientError):
        return MISFIT, f"At step {nit}: {text}."
    return RAISED, f"At step {nit} {type(error).__name__} was raised: {text or 'no message'}."
