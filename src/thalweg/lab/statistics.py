"""Measures of a race: quantiles with infinities in their place, targets and the steps to reach them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def quantile(values: Sequence[float] | Array, q: float) -> float:
    """A quantile in which a diverged run counts as infinity (linear between finite neighbours)."""
    ordered = np.sort(np.asarray(values, dtype=float))
    place = q * (len(ordered) - 1)
    below = int(np.floor(place))
    above = min(below + 1, len(ordered) - 1)
    if not np.isfinite(ordered[above]):
        return float(ordered[below] if place == below else np.inf)
    return float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


def bands(losses: Array) -> tuple[Array, Array, Array]:
    """10 %, 50 % and 90 % over seeds (rows) at each record (columns)."""
    low, middle, high = (np.array([quantile(column, q) for column in losses.T]) for q in (0.1, 0.5, 0.9))
    return low, middle, high


def steps_to(loss: Array, steps: Array, target: float, consecutive: int) -> float:
    """The first step whose loss meets the target, held for so many records; inf if never, as for a run that failed."""
    met = np.isfinite(loss) & (loss <= target)  # the target of a run without a start is no number
    windows = np.lib.stride_tricks.sliding_window_view(met, min(consecutive, len(loss)))
    hits = np.flatnonzero(windows.all(axis=-1))
    return float(steps[hits[0]]) if hits.size else float("inf")
