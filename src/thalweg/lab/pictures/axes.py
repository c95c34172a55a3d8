"""Axes: which values can be drawn, from where to where, and with which ticks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from ..formatting import tick, ticks
from .text import TICK, extent

Array = np.ndarray[Any, Any]
Limits = tuple[float, float]

HUGE = 1e120  # larger values, and smaller ones on a log axis, are left out: their ratios overflow
ROUND_STEPS = [1, 2, 2.5, 5, 10]  # between ticks, in powers of ten


def drawable(values: ArrayLike, log: bool) -> Array:
    """Values as float64, NaN where they cannot be drawn."""
    array = np.array(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(array) < HUGE) | (log & ~(array > 1 / HUGE))
    array[bad] = np.nan
    return array


def data_limits(values: Iterable[Array], log: bool = True, top: float = np.inf, pad: float = 0.06) -> Limits:
    """The least and the largest value with room around; up to ``top``, never nothing."""
    real = np.concatenate([drawable(v, log).ravel() for v in values] or [np.empty(0)])
    real = real[~np.isnan(real)]
    if not len(real):
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(real.min()), float(max(real.min(), min(real.max(), top)))
    if log:
        room = max((high / low) ** pad, 1.05)
        return low / room, high * room
    size = high - low
    room = pad * size if size > 1e-12 * max(abs(low), abs(high)) else 0.5 * abs(high) or 0.5
    # A range of positive values that comes near zero begins there.
    return (0.0 if 0 <= low < 0.3 * size or 0 <= low < room else low - room), high + room


def axis_shares(values: ArrayLike, low: float, high: float, log: bool) -> Array:
    """Values as shares of an axis: 0 at ``low``, 1 at ``high``."""
    values = np.asarray(values, np.float64)
    if log:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((np.log(values) - np.log(low)) / np.log(high / low))
    return np.asarray((values - low) / (high - low))


@dataclass(frozen=True)
class Axis:
    """From where to where an axis goes, and its ticks in words."""

    low: float
    high: float
    log: bool
    ticks: Sequence[float]
    words: Sequence[str]

    def shares(self, values: ArrayLike) -> Array:
        """Shares of the axis: 0 at its low end, 1 at its high one."""
        return axis_shares(values, self.low, self.high, self.log)

    @property
    def room(self) -> float:
        """The width of the widest tick label, px."""
        return max((extent(w, TICK)[0] for w in self.words), default=0.0)

    def span(self, ax: Axes, which: Literal["x", "y"]) -> None:
        """Give the panel this scale and these limits."""
        if self.log:
            getattr(ax, f"set_{which}scale")("log")
        getattr(ax, f"set_{which}lim")(self.low, self.high)

    def apply(self, ax: Axes, which: Literal["x", "y"]) -> None:
        """Give the panel this scale, these limits and ticks."""
        self.span(ax, which)
        axis = ax.xaxis if which == "x" else ax.yaxis
        axis.set_minor_locator(NullLocator())  # first: a log scale's own take most of a panel's time
        axis.set_ticks(list(self.ticks), list(self.words))
        if which == "y" and self.low_first:
            axis.get_major_ticks()[0].label1.set_verticalalignment("bottom")
        getattr(ax, f"set_{which}lim")(self.low, self.high)

    @property
    def low_first(self) -> bool:
        """Whether the first number of a y axis has to keep away from the first of the other axis."""
        return bool(len(self.ticks)) and bool(self.shares(self.ticks[0]) < 0.03)


def fit_axis(
    low: float,
    high: float,
    log: bool,
    room: float,
    which: Literal["x", "y"],
    most: int = 7,
    whole: bool = False,
) -> Axis:
    """As many ticks as fit into ``room`` px without touching one another."""
    if (log and high / low < 1.02) or (not log and high - low <= 1e-12 * max(abs(low), abs(high))):
        (low, high) = (low / 1.5, high * 1.5) if log else (low - 0.5, high + 0.5)
    best: tuple[list[float], list[str]] = ([], [])
    for count in range(max(most, 2), 0, -1):
        places, words = _tick_candidates(low, high, log, count, whole)
        if which == "x":
            sizes = np.array([extent(w, TICK)[0] + 10 for w in words])
        else:
            sizes = np.full(len(words), 1.8 * TICK)
        distances = np.diff(room * axis_shares(places, low, high, log))
        if len(places) and np.all(distances >= (sizes[1:] + sizes[:-1]) / 2):
            best = (places, words)
            if len(places) > 1:
                break
    return Axis(low, high, log, *best)


def _tick_candidates(
    low: float, high: float, log: bool, most: int, whole: bool
) -> tuple[list[float], list[str]]:
    """About ``most`` round values of an axis, and their words."""
    if log:
        decades = np.log10(high / low)
        if decades < 0.7:
            values = MaxNLocator(min(4, most), steps=ROUND_STEPS).tick_values(low, high)
        else:
            subs = (1, 2, 5) if decades < 0.5 * most else (1,)
            values = LogLocator(subs=subs, numticks=max(2, most)).tick_values(low, high)
        kept = [float(t) for t in values if low <= t * 1.0001 and t <= high * 1.0001 and t > 0]
        return kept, [tick(t) for t in kept]
    values = MaxNLocator(most, integer=whole, steps=ROUND_STEPS).tick_values(low, high)
    slack = 1e-9 * (high - low)
    kept = [float(t) for t in values if low - slack <= t <= high + slack]
    return kept, ticks(kept)


def x_axis(
    limits: Limits, log: bool, width: float, left: float, right: float, whole: bool = False
) -> tuple[Axis, float, float]:
    """The x axis, and the rooms beside the box, which its outer words may need more of."""
    box = width - left - right
    axis = fit_axis(*limits, log, box, "x", max(3, int(box / 75)), whole)
    if len(axis.ticks):
        first, last = (extent(axis.words[i], TICK)[0] / 2 for i in (0, -1))
        left = max(left, first - box * float(axis.shares(axis.ticks[0])) + 2)
        right = max(right, last - box * float(1 - axis.shares(axis.ticks[-1])) + 2)
    return axis, left, right
