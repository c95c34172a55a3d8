"""Units that do not matter (``scale="auto"``): rows as an estimator learns them, and its weights in the data's units."""

from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_array

from ..engines.cpu.csr import Matrix
from ..engines.memory import Array
from ..errors import ProblemError
from ..linear import ColumnMap, Model, in_scale, in_units, measure, root_mean_squares

MEASURED = 1 << 16  # rows, at most, that say mean and deviation of a dense column
LOOKED_AT = 1024  # rows, at most, and
ENTRIES = 1 << 20  # their entries, that say whether sizes differ
CHUNK = 1 << 20  # entries that are scaled at once, in float64
APART = 1e3  # from which factor on sizes of columns are worth a word


def spread(X: Matrix, most: int) -> Matrix:
    """Return the rows, or ``most`` of them at equal distances."""
    n = X.shape[0]
    return X if n <= most else X[np.linspace(0, n - 1, most).astype(np.int64)]


def sizes_of(X: Matrix) -> Array:
    """Return the root mean square of each column's values but 0: float64 (columns,), 0 of one that has none."""
    with np.errstate(over="ignore", under="ignore"):
        if isinstance(X, np.ndarray):
            squares: Array = np.square(X, dtype=np.float64).sum(axis=0)
            means: Array = squares / np.maximum(np.count_nonzero(X, axis=0), 1)
            return np.sqrt(means)
        told = X.data != 0
        sizes = np.zeros(X.shape[1])
        which, known = root_mean_squares(X.indices[told], X.data[told], X.shape[1])
        sizes[which] = known
    return sizes


def furthest_apart(X: Matrix) -> tuple[int, float, int, float] | None:
    """Return the largest and the least of the columns, each with its size, where they are ``APART``; else None."""
    sizes = sizes_of(spread(X, max(1, min(LOOKED_AT, ENTRIES // max(1, X.shape[1])))))
    told = np.flatnonzero(sizes)
    if not len(told):
        return None
    large, small = (int(told[f(sizes[told])]) for f in (np.argmax, np.argmin))
    with np.errstate(over="ignore"):
        apart = sizes[large] > APART * sizes[small]
    return (large, float(sizes[large]), small, float(sizes[small])) if apart else None


class Units(NamedTuple):
    """What rows, and the numbers to be learnt, are scaled by.

    columns: of X: mean and deviation; of sparse rows, and without an intercept, nothing and the root mean square, of
    sparse rows over the entries that are there. new: the columns of sparse rows that had no entry yet, else None.
    centre, size: of the numbers.
    """

    columns: ColumnMap
    new: Array | None = None
    centre: float = 0.0
    size: float = 1.0

    @classmethod
    def of(cls, X: Matrix, numbers: Array | None, centred: bool) -> Self:
        """Measure rows, and numbers that have units (None: they have none). centred: whether there is an intercept."""
        centre, size = (0.0, 1.0) if numbers is None else measure(numbers, centred)
        if isinstance(X, np.ndarray):
            return cls(ColumnMap.of(np.asarray(spread(X, MEASURED)).T, centred), None, centre, size)
        columns = ColumnMap(np.zeros(X.shape[1]), np.ones(X.shape[1]))
        return cls(columns, np.ones(X.shape[1], bool), centre, size).noting(X)

    def noting(self, X: Matrix) -> Self:
        """Return units that know the sizes of new columns too, from the rows that are the first to have them."""
        if self.new is None or not self.new.any():
            return self
        sizes = sizes_of(X)
        first = self.new & (sizes > 0)
        usable = first & np.isfinite(sizes)
        size = np.where(usable, sizes, self.columns.size)
        return self._replace(columns=self.columns._replace(size=size), new=self.new & ~first)

    def fits(self, X: Matrix) -> bool:
        """Whether rows can be scaled as they are: sparse ones are not centred."""
        return isinstance(X, np.ndarray) or not self.columns.centre.any()

    def require(self, X: Matrix) -> None:
        """Raise ProblemError where rows cannot be scaled as they are."""
        if not self.fits(X):
            raise ProblemError(
                "scale: columns were centred, being those of dense rows, and sparse rows cannot be: give X.toarray()"
            )

    def rows(self, X: Matrix) -> Matrix:
        """Return a copy of rows that fit as they are learnt: scaled in float64, then in their dtype."""
        if not isinstance(X, np.ndarray):
            data = (X.data / self.columns.size[X.indices]).astype(X.data.dtype)
            sparse: Matrix = csr_array((data, X.indices, X.indptr), shape=X.shape)
            return sparse
        scaled = np.empty(X.shape, X.dtype)
        step = max(1, CHUNK // max(1, X.shape[1]))
        for first in range(0, X.shape[0], step):
            scaled[first : first + step] = self.columns.apply(X[first : first + step])
        return scaled

    def learnt(self, X: Matrix, targets: Array) -> tuple[Matrix, Array]:
        """Return copies of rows that fit, and their targets (classes are as they were), as they are learnt."""
        return self.rows(X), (targets - self.centre) / self.size

    def solution(self, model: Model) -> tuple[Array, Array]:
        """Return a model's weights and intercepts in the data's units: float64."""
        return in_units(*model.solution, self.columns, self.centre, self.size)

    def start(self, weights: Array, intercepts: Array) -> tuple[Array, Array]:
        """Return weights and intercepts of the data's units as those of scaled rows: float64."""
        return in_scale(weights, intercepts, self.columns, self.centre, self.size)

    def scores(self, model: Model, X: Matrix) -> Array:
        """Return a model's scores of rows as they are in the data."""
        if self.fits(X):
            return model.scores(self.rows(X))
        w, b = in_units(*model.solution, self.columns)
        z: Array = np.asarray(X @ w) + b
        return z[:, 0] if model.outputs == 1 else z


def columns_apart(X: Matrix, names: Any) -> str | None:
    """Return a sentence where columns' sizes differ so much that one learning rate cannot suit them; else None.

    names: of the columns, or None.
    """
    extremes = furthest_apart(X)
    if extremes is None:
        return None
    large, most, small, least = extremes
    of = [f"column {k}" if names is None else f"column {names[k]!r}" for k in (large, small)]
    return f"columns differ in size by more than {APART:g}: {of[0]} is about {most:.2g}, {of[1]} about {least:.2g}; set scale='auto', or scale X"
