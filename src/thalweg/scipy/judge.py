"""The lowest point of a run, and which tolerance is met."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..engines.cpu.objective_loop import Standing
from .arguments import Options

Array = np.ndarray[Any, Any]


class Point(NamedTuple):
    """An iterate, or the mean of several; ``nit`` is the step at which it was complete."""

    x: Array
    f: float
    g: Array
    nit: int


class Stage(NamedTuple):
    """Where a run stands in a longer one: steps before it, and whether a step ends a round of its schedule.

    Such a schedule comes to rest at the end of a round: where it is given, ftol and xtol compare these ends.
    """

    before: int = 0
    ends: Callable[[int], bool] | None = None


class Judge:
    """The lowest point so far, and which tolerance is met; a point is the mean of ``every`` iterates.

    unresolved: at a point with its f, the gradient entries that rounding may hide.
    """

    def __init__(
        self,
        options: Options,
        box: tuple[Array, Array],
        scale: Array,
        unresolved: Callable[[Array, float], Array | float],
        stage: Stage,
    ) -> None:
        self.o, self.box, self.scale, self.unresolved = options, box, scale, unresolved
        self.before, self.ends = stage.before, None if options.stochastic else stage.ends
        self.bounded = bool(np.isfinite(box).any())
        self.every = options.window if options.stochastic else 1
        self.patience = 1 if options.stochastic or self.ends is not None else options.window
        self.lowest: Point | None = None
        self.last: Point | None = None
        self.calm_f = self.calm_x = 0
        self.size = 0.0  # of f at the start: what rounding is measured against
        self.sums: tuple[Any, ...] = (0.0, 0.0, 0.0)
        self.count = 0

    def take(self, x: Array, f: float, g: Array, nit: int, average: Array | None) -> str | None:
        """Take in an iterate; the sentence about a tolerance that is now met."""
        if self.every == 1:
            return self._judge(Point(x, f, g, nit))
        self.sums = tuple(s + new for s, new in zip(self.sums, (x, f, g), strict=True))
        self.count += 1
        return self._judge(self._mean(nit, average)) if self.count == self.every else None

    def _mean(self, nit: int, average: Array | None) -> Point:
        x, f, g = (s / self.count for s in self.sums)
        self.sums, self.count = (0.0, 0.0, 0.0), 0
        return Point(np.clip(x if average is None else average, *self.box), f, g, nit)

    def best(self, nit: int, average: Array | None) -> Point | None:
        """The lowest point; of a window that is not full yet where there is no other."""
        if self.lowest is None and self.count:
            self.lowest = self._mean(nit, average)
        return self.lowest

    def offer(self, point: Point) -> None:
        """Keep the point if it is the lowest."""
        if self.lowest is None or point.f <= self.lowest.f:
            self.lowest = point._replace(x=point.x.copy(), g=point.g.copy())

    def _judge(self, p: Point) -> str | None:
        o, last = self.o, self.last
        looks = self.ends is None or self.ends(p.nit)
        if last is None:
            self.size = abs(p.f)
        elif looks:
            change = abs(p.f - last.f)
            self.calm_f += 1
            if o.ftol is None or change > o.ftol * max(abs(p.f), abs(last.f), 1.0):
                self.calm_f = 0
            self.calm_x += 1
            if o.xtol is None or largest((p.x - last.x) / self.scale) > o.xtol * max(
                largest(p.x / self.scale), 1.0
            ):
                self.calm_x = 0
        if last is None or looks:
            self.last = p
        self.offer(p)
        assert self.lowest is not None
        top = self.top(p)
        mean = "mean " if self.every > 1 else ""
        steps = (
            "from the end of one round to the next"
            if self.ends is not None
            else f"in {self.patience} steps running"
            if self.every == 1
            else f"from one mean of {self.every} steps to the next"
        )
        met = None
        hidden = self.unresolved(p.x, p.f) if o.follows else 0.0
        if o.gtol is not None and (top <= o.gtol or bool(np.all(self.free(p) <= np.maximum(o.gtol, hidden)))):
            rounding = f"{np.max(hidden):.2g}, which rounding may have left of 0"
            bar = f"gtol = {o.gtol:g}" if top <= o.gtol else rounding
            met = f"The largest {mean}gradient entry, {top:.3g}, is within {bar}"
            if p.f - self.lowest.f <= 4 * np.finfo(float).eps * max(self.size, abs(p.f)):
                # As low but for rounding, and it has the gradient asked for.
                self.lowest = p._replace(g=p.g.copy())
        elif o.ftarget is not None and p.f <= o.ftarget:
            met = f"The {mean}objective, {p.f:.6g}, is at most ftarget = {o.ftarget:g}"
        elif self.calm_f >= self.patience:
            met = f"The objective changed by no more than ftol = {o.ftol:g} {steps}"
        elif self.calm_x >= self.patience:
            met = f"x changed by no more than xtol = {o.xtol:g} {steps}"
        if met is None:
            return None
        where = (
            ""
            if self.lowest.nit == p.nit
            else f" The lowest value was seen at step {self.before + self.lowest.nit}."
        )
        return f"{met}.{where}"

    def standing(self) -> Standing:
        """What the compiled loop needs to judge on; ``follow`` takes it back."""
        p, low = self.last, self.lowest
        assert p is not None and low is not None
        return Standing(p.x, p.f, low.x, low.f, low.g, low.nit, self.calm_f, self.calm_x)

    def follow(self, s: Standing) -> None:
        """Go on from where the compiled loop came to."""
        assert self.last is not None
        self.last = self.last._replace(x=s.last_x, f=s.last_f)
        self.lowest = Point(s.best_x, s.best_f, s.best_g, s.best_step)
        self.calm_f, self.calm_x = s.calm_f, s.calm_x

    def top(self, p: Point) -> float:
        """The largest of ``free``."""
        return float(self.free(p).max())

    def free(self, p: Point) -> Array:
        """The gradient's entries in size, (n,), 0 for those that push against a bound."""
        size: Array = np.abs(p.g)
        if not self.bounded:
            return size
        low, high = self.box
        held = ((p.x <= low) & (p.g > 0)) | ((p.x >= high) & (p.g < 0))
        return np.where(held, 0.0, size)


def largest(values: Array) -> float:
    return float(np.abs(values).max())
