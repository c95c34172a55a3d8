"""Units that do not matter: columns and numbers to be learnt as (x - centre) / size, and back.

Centre and size of a column are its mean and deviation, in float64; a number far from 0 is centred before it is
narrowed to float32, which would cost the digits that tell the rows apart.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np

Array = np.ndarray[Any, Any]

ROUNDING = 8 * sys.float_info.epsilon  # of the largest value: a column that varies by no more is a constant
MANY = 8  # features for each entry, beyond which entries are sorted rather than counted by feature


class ColumnMap(NamedTuple):
    """What is subtracted from each column, and what it is then divided by: float64 (columns,), sizes above 0."""

    centre: Array
    size: Array

    @classmethod
    def of(cls, columns: Iterable[Array], centred: bool = True) -> Self:
        """The map that gives each of the columns mean 0 and deviation 1 (``measure``)."""
        pairs = np.array([measure(x, centred) for x in columns], np.float64).reshape(-1, 2)
        return cls(pairs[:, 0].copy(), pairs[:, 1].copy())

    def apply(self, x: Array) -> Array:
        """The columns of x (rows, columns), as they are learnt: float64."""
        return (x - self.centre) / self.size


def measure(column: Array, centred: bool = True) -> tuple[float, float]:
    """Centre and size of a column: its mean and deviation; of what is not finite nothing is known.

    centred: False leaves the centre at 0, and the size is the root mean square. A constant column has its own
    absolute value as its size, and 1 where that is 0.
    """
    x = np.asarray(column, np.float64)
    x = x[np.isfinite(x)]
    if not x.size:
        return 0.0, 1.0
    largest = float(np.abs(x).max())
    if not centred:
        return 0.0, _root_mean_square(x) or 1.0
    away = x / 2 - x[0] / 2  # exact where all are one number, and finite whatever they are
    mean = float(away.mean())
    deviation = 2.0 * _root_mean_square(away - mean)
    centre = float(x[0]) + 2.0 * mean
    if deviation <= ROUNDING * largest or not math.isfinite(deviation):
        return centre, largest or 1.0
    return centre, deviation


def root_mean_squares(indices: Array, values: Array, features: int) -> tuple[Array | slice, Array]:
    """Return features of sparse rows, and the root mean square of each over its entries: float64, 0 without one.

    They are all ``features`` where those are not many more than the entries, else the ones that occur, in order.
    """
    squares = values.astype(np.float64) ** 2
    which: Array | slice
    if features <= MANY * len(indices):
        which, place, least = slice(None), indices, features
    else:
        which, place = np.unique(indices, return_inverse=True)
        least = 0
    counts = np.bincount(place, minlength=least)
    sums = np.bincount(place, squares, minlength=len(counts))
    return which, np.sqrt(sums / np.maximum(counts, 1))


def _root_mean_square(x: Array) -> float:
    """The root mean square, also of numbers whose squares are beyond float64."""
    largest = float(np.abs(x).max())
    if not largest:
        return 0.0
    return largest * math.sqrt(float(np.mean((x / largest) ** 2)))


def in_units(
    weights: Array,
    intercepts: Array,
    columns: ColumnMap | None = None,
    centre: float = 0.0,
    size: float = 1.0,
) -> tuple[Array, Array]:
    """Weights (features, outputs) and intercepts (outputs,) of scaled rows as those of the data's units: float64.

    columns: of the first features; the others are as they are in the data. centre, size: of the numbers learnt.
    """
    w, b = weights.astype(np.float64) * size, intercepts.astype(np.float64) * size
    if columns is not None:
        k = len(columns.size)
        w[:k] /= columns.size[:, None]
        b -= columns.centre @ w[:k]
    return w, b + centre


def in_scale(
    weights: Array,
    intercepts: Array,
    columns: ColumnMap,
    centre: float = 0.0,
    size: float = 1.0,
) -> tuple[Array, Array]:
    """Weights and intercepts of the data's units as those of scaled rows: what ``in_units`` undoes, float64."""
    w = weights.astype(np.float64)
    b = intercepts + columns.centre @ w - centre
    return w * columns.size[:, None] / size, b / size
