"""What of a panel is taken, and where there is room for words."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]


class OccupancyGrid:
    """What of a panel is taken, in cells of 3 px: lines may be crossed at a price, words never."""

    CELL = 3.0

    def __init__(self, ax: Axes, rim: float = 3.0) -> None:
        x, y, width, height = ax.bbox.bounds
        self.box = (x + rim, y + rim, x + width - rim, y + height - rim)
        self.x, self.y = x, y
        shape = (int(height / self.CELL) + 2, int(width / self.CELL) + 2)
        self.lines, self.words = np.zeros(shape), np.zeros(shape)

    def line(self, points: Array, weight: float = 1.0) -> None:
        """A line (n, 2) in display px; NaN breaks it."""
        with np.errstate(invalid="ignore"):
            points = points[~(np.abs(points) > 1e5).any(axis=1)]
        if not len(points):
            return
        ways = np.diff(points, axis=0)
        good = ~np.isnan(ways).any(axis=1)
        begins, ways = points[:-1][good], ways[good]
        counts = np.minimum(np.abs(ways).max(axis=1, initial=0) / self.CELL, 2000).astype(int) + 1
        owner = np.repeat(np.arange(len(ways)), counts)
        shares = (np.arange(len(owner)) - np.repeat(counts.cumsum() - counts, counts)) / counts[owner]
        self._mark(self.lines, begins[owner] + ways[owner] * shares[:, None], weight)
        self._mark(self.lines, points[~np.isnan(points).any(axis=1)], weight)

    def _mark(self, grid: Array, points: Array, weight: float) -> None:
        cells = np.floor((points - (self.x, self.y)) / self.CELL).astype(int)
        inside = np.all((cells >= 0) & (cells < (grid.shape[1], grid.shape[0])), axis=1)
        cells = cells[inside]
        grid[cells[:, 1], cells[:, 0]] = np.maximum(grid[cells[:, 1], cells[:, 0]], weight)

    def take(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A box of words, display px."""
        c = self.CELL
        rows = slice(max(0, int((y0 - self.y) / c)), max(0, int((y1 - self.y) / c) + 1))
        columns = slice(max(0, int((x0 - self.x) / c)), max(0, int((x1 - self.x) / c) + 1))
        self.words[rows, columns] = 1

    def find(self, size: tuple[float, float], corners: Array, prices: Array) -> int | None:
        """The index of the cheapest of lower left corners (k, 2) for a box of this size; None if none is free.

        ``prices`` (k,): what each would cost on free ground. A box full of lines costs 30 more.
        """
        width, height = size
        x0, y0, x1, y1 = self.box
        inside = np.flatnonzero(
            (corners[:, 0] >= x0)
            & (corners[:, 1] >= y0)
            & (corners[:, 0] + width <= x1)
            & (corners[:, 1] + height <= y1)
        )
        if not len(inside):
            return None
        corners = corners[inside]
        c, (rows, columns) = self.CELL, self.lines.shape
        left = np.clip(((corners[:, 0] - self.x) / c).astype(int), 0, columns)
        right = np.clip(((corners[:, 0] + width - self.x) / c).astype(int) + 1, 0, columns)
        low = np.clip(((corners[:, 1] - self.y) / c).astype(int), 0, rows)
        high = np.clip(((corners[:, 1] + height - self.y) / c).astype(int) + 1, 0, rows)

        def covered(grid: Array) -> Array:
            total = np.zeros((rows + 1, columns + 1))
            total[1:, 1:] = grid.cumsum(0).cumsum(1)
            return np.asarray(total[high, right] - total[low, right] - total[high, left] + total[low, left])

        cost = prices[inside] + 30 * covered(self.lines) / np.maximum(1, (right - left) * (high - low))
        cost[covered(self.words) > 0] = np.inf
        best = int(cost.argmin())
        return int(inside[best]) if np.isfinite(cost[best]) else None
