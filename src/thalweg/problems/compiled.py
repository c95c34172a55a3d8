"""Problems whose whole runs are compiled, thousands of settings at once."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import repeat

import numpy as np

from ..core.objective import Objective, Scored
from .base import START, Array, Printable, Problem, Rows, batch_stream, stream


class CompiledProblem(Problem):
    """An objective that the compiled loop can print, with its starts and its data.

    ``starts`` are the usual ones, ``spread`` the standard deviation by which a seed moves the first
    of them, ``data`` (rows, columns) float64 where the objective has rows.
    """

    objective: Objective | Scored
    starts: Sequence[tuple[float, ...]]
    spread: float
    data: Array | None
    domain: Sequence[tuple[float, float]] | None = (
        None  # of each coordinate, where runs that leave it have diverged
    )
    steps = 1000
    batch = 1

    @property
    def printable(self) -> Printable:
        """The objective and its rows."""
        return Printable(self.objective, self.data)

    @cached_property
    def height(self) -> float:  # type: ignore[override]
        """How high the first usual start lies over the minimum (over 0 where there is none)."""
        return abs(self.loss(np.array(self.starts[0])) - (self.minimum or 0.0))

    def outside(self, points: Array) -> Array:
        """Which points (..., d) lie outside the domain; NaN lies nowhere else."""
        if self.domain is None:
            return np.zeros(points.shape[:-1], dtype=bool)
        low, high = np.array(self.domain).T
        left: Array = np.logical_not(((points >= low) & (points <= high)).all(axis=-1))
        return left

    def start(self, seed: int) -> Array:
        """The first usual start, moved by the seed: (d,) float64."""
        first = np.array(self.starts[0])
        moved: Array = first + self.spread * stream(seed, START).standard_normal(first.size)
        return moved

    def order(self, seed: int, batch: int, steps: int) -> Rows | None:
        """The rows of each step, (steps, batch) int64; None where every step takes all of them.

        Shuffled epochs one after another; a batch may reach from one epoch into the next. Raises
        ProblemError for a negative number.
        """
        rng = batch_stream(seed, batch, steps)
        if batch == 0 or batch >= self.rows:
            return None
        epochs = max(1, -(-steps * batch // self.rows))
        rows = np.concatenate([rng.permutation(self.rows) for _ in range(epochs)])
        return rows[: steps * batch].reshape(steps, batch)

    def batches(self, seed: int, batch: int, steps: int) -> Iterator[Rows | None]:
        """``order``, step by step."""
        order = self.order(seed, batch, steps)
        return repeat(None, steps) if order is None else iter(order)
