"""Problems written as formulas: of few parameters, so that whole runs are compiled."""

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np

from ..core.objective import Objective
from ..engines.ops import vectorised
from .base import BATCHES, START, Array, Outsider, Problem, Rows, stream


class FormulaProblem(Problem):
    """An objective in formulas, with its starts, its minima and a window to show.

    ``starts`` are the usual ones, ``spread`` the standard deviation by which a seed moves the first
    of them, ``minima`` known minimisers, ``data`` (rows, columns) float64 for objectives with columns.
    """

    loss_name = "f"
    steps = 1000
    batch = 1

    def __init__(
        self,
        name: str,
        title: str,
        text: str,
        objective: Objective,
        *,
        starts: Sequence[Sequence[float]],
        spread: float,
        minima: Sequence[Sequence[float]] = (),
        minimum: float | None = None,
        window: tuple[tuple[float, float], tuple[float, float]] | None = None,
        data: Array | None = None,
    ) -> None:
        self.name, self.title, self.text, self.objective = name, title, text, objective
        self.starts = [tuple(map(float, s)) for s in starts]
        self.spread, self.window, self.minimum, self.data = spread, window, minimum, data
        self.minima = [tuple(map(float, m)) for m in minima]
        self.rows = 0 if data is None else len(data)
        self.noisy = self.rows > 0

    def start(self, seed: int) -> Array:
        """The first usual start, moved by the seed: (d,) float64."""
        first = np.array(self.starts[0])
        moved: Array = first + self.spread * stream(seed, START).standard_normal(first.size)
        return moved

    def order(self, seed: int, batch: int, steps: int) -> Rows | None:
        """The rows of each step, (steps, batch) int64; None where every step takes all of them.

        Shuffled epochs one after another; a batch may reach from one epoch into the next.
        """
        if batch == 0 or batch >= self.rows:
            return None
        epochs = -(-steps * batch // self.rows)
        rng = stream(seed, BATCHES)
        rows = np.concatenate([rng.permutation(self.rows) for _ in range(epochs)])
        return rows[: steps * batch].reshape(steps, batch)

    def batches(self, seed: int, batch: int, steps: int) -> Iterator[Rows | None]:
        """``order``, step by step."""
        order = self.order(seed, batch, steps)
        return repeat(None, steps) if order is None else iter(order)

    def values(self, *coordinates: Array) -> Array:
        """The objective at many points at once; the arrays of coordinates broadcast."""
        evaluate = vectorised(self.objective.value_formula)
        if self.data is None:
            return np.asarray(evaluate(*coordinates)[0], dtype=float)
        total = sum(evaluate(*coordinates, *row)[0] for row in self.data)
        return np.asarray(total, dtype=float) / self.rows

    def loss(self, params: Array) -> float:  # type: ignore[override]
        """The objective over all rows at a point (d,)."""
        return float(self.values(*params))

    def gradient(self, params: Array, rows: Rows | None) -> Array:  # type: ignore[override]
        """The analytic gradient at a point (d,), mean over ``rows`` (None: all)."""
        evaluate = vectorised(self.objective.gradient_formula)
        if self.data is None:
            return np.array(evaluate(*params), dtype=float)
        data = self.data if rows is None else self.data[rows]
        parts = evaluate(*params, *data.T)
        return np.array([np.mean(np.broadcast_to(p, len(data))) for p in parts])

    def grid(self, points: int = 121) -> tuple[Array, Array, Array] | None:
        """x (n,), y (n,) and f (n, n), rows along y, over the window; None unless 2-D."""
        if self.window is None:
            return None
        x, y = (np.linspace(lo, hi, points) for lo, hi in self.window)
        return x, y, self.values(*np.meshgrid(x, y))

    def outsider(self) -> Outsider:
        """SciPy's L-BFGS-B from the first usual start."""
        from scipy.optimize import minimize

        found = minimize(
            self.loss, np.array(self.starts[0]), jac=lambda p: self.gradient(p, None), method="L-BFGS-B"
        )
        return Outsider("SciPy L-BFGS-B, full batch", float(found.fun), None)
