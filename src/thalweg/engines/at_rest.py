"""What a zero gradient makes of a coordinate that has had no other: it must stay finite.

A rate such as lr/eps may leave the dtype of the arithmetic although lr and eps do not, and 0 times infinity is NaN:
weights that nobody trains are lost in silence. Whether it does is asked of the formula itself, run by the oracle
on such a coordinate; nothing is known here of what a rule calls its ε. An ε of 0 is no fault by itself: ``ratio``
is 0 where its denominator is.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from math import isfinite
from typing import Any

import numpy as np

from ..core import clock as clocks
from ..core.schedule import Schedule
from ..core.started import Started
from ..errors import HyperparameterError
from . import plain
from .memory import arithmetic

AHEAD = (1, 2, 10, 1000)  # steps whose scalars are tried before the first: corrections for the start fade
MARGIN = 2.0**8  # by which scheduled scalars may move either way before they are tried again
MOST = 6  # scalars whose corners are tried


class AtRest:
    """A started rule on parameters of a dtype, asked whether a coordinate at rest stays finite.

    stored: one of NumPy's dtypes; arithmetic is in float32 where it is float16. varied: hyperparameters whose values
    may change, beside those that follow schedules.
    """

    def __init__(self, started: Started, stored: np.dtype[Any], varied: Iterable[str] = ()) -> None:
        self._started, self._real = started, arithmetic(stored)
        update, rule = started.update, started.rule
        self._element = plain.element(update, self._real)
        cast = self._real.type
        starts = {n: started.begin(n) for n in update.arrays if n not in ("w", "g", "_rate")}
        self._start = [cast(v if isinstance(v, float | int) else 0) for v in map(starts.get, update.arrays)]
        self._kept = [k for k, n in enumerate(update.written) if n != "_rate"]
        names = {n for n, v in rule.hyperparameters.items() if isinstance(v, Schedule)} | {*varied}
        moving = clocks.moving(update.clock, frozenset(names)) if names else ()
        self._box = [(k, 1.0, 0.0) for k, n in enumerate(update.scalars) if n in moving]
        self._tried = False

    @property
    def scalars(self) -> clocks.Clock:
        """The started rule's clock, which raises HyperparameterError for a step of a schedule at which a weight would be lost."""
        clock = self._started.scalars
        if not self._box:
            return clock

        def tried(t: int, *stepped: float) -> tuple[float, ...]:
            row = clock(t, *stepped)
            self.require("step", t, row)
            return row

        if len(self._box) > 1 or self._started.options.clip_norm:
            return tried
        ((at, _, _),) = self._box
        low, high = 1.0, 0.0

        def quickly(t: int) -> tuple[float, ...]:
            nonlocal low, high
            row = clock(t)
            if not low <= row[at] <= high:
                self.require("step", t, row)
                ((_, low, high),) = self._box
            return row

        return quickly

    def follow(self, started: Started) -> None:
        """Ask of the same rule with other values from now on; they differ in what may change alone."""
        self._started = started

    def require_ahead(self, where: str, done: int = 0) -> None:
        """Raise HyperparameterError, led by ``where``, if the coming steps would lose a weight at rest.

        done: steps so far. Of schedules only the next step is looked at.
        """
        for t in AHEAD[:1] if clocks.scheduled(self._started.rule) else AHEAD:
            self._try(where, done + t, self._started.scalars(done + t))

    def require(self, where: str, t: int, row: Sequence[float]) -> None:
        """Raise HyperparameterError, led by ``where``, if step t with these scalars would lose a weight at rest.

        Only scalars of values that may change are looked at again.
        """
        for k, low, high in self._box:
            if not low <= row[k] <= high:
                break
        else:
            if self._tried:
                return
        self._try(where, t, row)
        self._widen(row)

    def _try(self, where: str, t: int, row: Sequence[float]) -> None:
        if not self._stays(row):
            raise HyperparameterError(self._told(where, t))

    def _stays(self, row: Sequence[float]) -> bool:
        """Whether all that a coordinate at rest receives is finite."""
        with np.errstate(all="ignore"):
            received = self._element(*self._start, *map(self._real.type, row))
        return all(isfinite(received[k]) for k in self._kept)

    def _widen(self, row: Sequence[float]) -> None:
        """Remember how far scheduled scalars may move: overflow is monotone in each, so that corners tell of all between."""
        ends = {k: sorted((row[k] / MARGIN, row[k] * MARGIN)) for k, _, _ in self._box}
        if len(ends) > MOST:
            return
        for corner in product(*ends.values()):
            at = dict(zip(ends, corner, strict=True))
            if not self._stays([at.get(k, x) for k, x in enumerate(row)]):
                return
        self._box, self._tried = [(k, low, high) for k, (low, high) in ends.items()], True

    def _told(self, where: str, t: int) -> str:
        rule = self._started.rule
        names = " or ".join(n for n in rule.parts.hyperparameters if n.startswith("eps"))
        lower = "a smaller lr, " if "lr" in rule.parts.hyperparameters else ""
        remedy = f"use a larger {names}, {lower}" if names else f"use {lower}other values, "
        return (
            f"{where}: {rule!r} makes NaN of a zero gradient in {self._real} at step {t}: its rate overflows;"
            f" {remedy}or float64"
        )
