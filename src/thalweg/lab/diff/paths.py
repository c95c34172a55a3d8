"""Both rules' paths over the same gradients, or the same problem, and the distances of any other rule from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from ...core.rule import Rule
from ...errors import GradientError, HyperparameterError, NonFiniteError
from ..diff_result import Array, Shares, Side, shares
from ..formatting import listing
from ..record import Record
from . import probe_gradients
from .causes import Distance

Run = Callable[[Rule], Record]  # a rule's record on what both are given
Kinds = Mapping[str, slice]


def probes(steps: int) -> tuple[Kinds, Array]:
    """The kinds of the built-in gradients, and these, (steps, d), side by side."""
    kinds = probe_gradients.kinds(steps)
    ends = np.cumsum([0, *(g.shape[1] for g in kinds.values())])
    slices = {n: slice(int(i), int(j)) for n, i, j in zip(kinds, ends, ends[1:], strict=False)}
    return slices, np.concatenate(list(kinds.values()), axis=1)


def table(gradients: ArrayLike, steps: int | None) -> Array:
    """A user's gradients as (T, d) float64, of which ``steps`` are wanted.

    Raises GradientError where they are no array of numbers, NonFiniteError, HyperparameterError where there are
    fewer than ``steps``.
    """
    try:
        if np.iscomplexobj(gradients):
            raise TypeError
        array = np.asarray(gradients, dtype=float)
    except (TypeError, ValueError):
        raise GradientError(
            f"gradients: must be an array (T, ...) of real numbers, got {type(gradients)}"
        ) from None
    if array.ndim == 0 or not array.size:
        raise GradientError(f"gradients: must be an array (T, ...) of real numbers, got shape {array.shape}")
    array = array.reshape(len(array), -1)
    if not np.all(np.isfinite(array)):
        t, i = np.argwhere(~np.isfinite(array))[0]
        raise NonFiniteError(f"gradients: {array[t, i]} at step {t + 1}, coordinate {i}; all must be finite")
    if steps is not None and steps > len(array):
        raise HyperparameterError(f"steps={steps}: there are only {len(array)} gradients")
    return array[:steps]


@dataclass(frozen=True)
class Pair:
    """Both records up to ``rows`` (the start among them), where both are finite; why they end early in ``note``.

    ``sizes`` (d,): the largest |w| on either path, of the coordinate, or of all where they are of one kind.
    """

    a: Record
    b: Record
    rows: int
    note: str
    kinds: Kinds
    sizes: Array
    run: Run

    @property
    def paths(self) -> tuple[Array, Array]:
        """Both paths, (rows, d)."""
        return self.a.weights[: self.rows], self.b.weights[: self.rows]

    def distances(self) -> tuple[Distance, Distance, Callable[[Rule], Array]]:
        """Functions that run a rule: how far it is from A's path, from B's, and its first update, (d,)."""
        path = lru_cache(maxsize=2)(lambda rule: self.run(rule).weights[: self.rows])

        def far(of: Array) -> Distance:
            def distance(rule: Rule) -> Shares:
                share = shares(path(rule), of[: len(path(rule))], self.sizes)
                return {n: float(share[:, k].max()) for n, k in self.kinds.items()}

            return distance

        from_a, from_b = map(far, self.paths)
        return from_a, from_b, lambda rule: np.diff(path(rule)[:2], axis=0)[0]


def run_both(a: Side, b: Side, kinds: Kinds, run: Run) -> Pair:
    """Run both; HyperparameterError where there is no first step to look at."""
    of_a, of_b = run(a.rule), run(b.rule)
    count = min(len(of_a.weights), len(of_b.weights))
    finite = [np.isfinite(record.weights[:count]).all(axis=1) for record in (of_a, of_b)]
    good = finite[0] & finite[1]
    rows = count if good.all() else int(np.argmin(good))
    if rows == 0:
        raise HyperparameterError("start: must be finite numbers")
    if rows == 1:
        raise HyperparameterError(
            f"{a.name}, {b.name}: a first step overflows, so there is nothing to compare; choose smaller learning rates"
        )
    note = ""
    if rows < count or of_a.died or of_b.died:
        diverged = [
            side.name
            for side, record, rows_finite in zip((a, b), (of_a, of_b), finite, strict=True)
            if record.died or not rows_finite.all()
        ]
        last = rows if rows < count else count - 1
        note = f"{listing(diverged)} {'diverges' if len(diverged) == 1 else 'diverge'} at step {last}"
    sizes = np.abs(np.concatenate([of_a.weights[:rows], of_b.weights[:rows]])).max(axis=0)
    if not kinds:
        kinds = {"w": slice(0, len(sizes))}
        sizes[:] = sizes.max()
    return Pair(of_a, of_b, rows, note, kinds, sizes, run)
