"""What all problems with training rows share: split, scaling, storage, buffers, L-BFGS-B."""

import threading
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .base import SPLIT, Array, Outsider, Params, Problem, Rows, pack, require, stream, unpack

Labels: TypeAlias = NDArray[np.int64]


def held_out(rows: int, labels: Labels | None = None, seed: int = 0) -> tuple[Rows, Rows]:
    """Sorted row indices (training, test) of a random split of about 75 % to 25 %.

    With ``labels`` the split is stratified: each class keeps its share to within one row, and
    at least one training row.
    """
    order = stream(seed, SPLIT).permutation(rows)
    if labels is not None:
        # Classes one after the other; a class of a single row has nothing to give away.
        several = np.bincount(labels)[labels[order]] > 1
        order = order[several]
        order = order[np.argsort(labels[order], kind="stable")]
    test = np.sort(order[3::4])
    return np.setdiff1d(np.arange(rows), test), test


def split(rows: int, labels: Labels | None = None, seed: int = 0) -> tuple[Rows, Rows, Rows]:
    """Sorted row indices (training, validation, test) of a random split of about 60, 20 and 20 %.

    With ``labels`` the split is stratified: each class keeps its shares to within one row, and one of at most two
    rows goes to training whole.
    """
    order = stream(seed, SPLIT).permutation(rows)
    if labels is not None:
        order = order[np.bincount(labels)[labels[order]] > 2]
        order = order[np.argsort(labels[order], kind="stable")]
    validation, test = np.sort(order[3::5]), np.sort(order[4::5])
    return np.setdiff1d(np.arange(rows), np.concatenate([validation, test])), validation, test


def standardise(X: Array, train: Rows) -> tuple[Array, NDArray[np.bool_]]:
    """Columns of ``X`` (n, d) shifted and scaled to mean 0 and deviation 1 over ``train``.

    Returns the new array and which columns are constant over ``train``; those become 0.
    """
    part = X[train]
    constant = (part == part[:1]).all(axis=0)
    # Dividing by the largest magnitude first keeps squares of huge or tiny values finite.
    largest = np.abs(part).max(axis=0)
    largest[largest == 0] = 1.0
    part = part / largest
    mean, deviation = part.mean(axis=0), part.std(axis=0)
    constant |= deviation == 0
    deviation[constant] = 1.0
    out: Array = (X / largest - mean) / deviation
    out[:, constant] = 0.0
    return out, constant


class Local(threading.local):
    """Buffers of the calling thread; a pickled or copied problem starts without any."""

    def __init__(self) -> None:
        self.spaces: dict[int, Space] = {}
        self.fixed: Any = None

    def __reduce__(self) -> tuple[type["Local"], tuple[()]]:
        return Local, ()


class Space:
    """Buffers for gradients over ``n`` rows with ``k`` outputs."""

    def __init__(self, n: int, k: int) -> None:
        self.scores = np.empty((n, k))
        self.flat = self.scores.reshape(-1)
        self.ones = np.ones(k)
        self.sums = np.empty(n)
        self.column = self.sums[:, None]
        self.inverse = np.array(1.0 / n)

    def hold(self, block: Array, d: int) -> None:
        """Name the parts of ``block`` (n, d + 1 + k): inputs with a column of ones, targets."""
        self.block = block
        self.inputs = block[:, : d + 1]
        self.inputs_t = self.inputs.T
        self.targets = block[:, d + 1 :]


class DataProblem(Problem):
    """A model fitted to training rows and judged on held-out rows.

    Dense inputs (n, d) stand in one float64 array ``table`` of n x (d + 1 + k): inputs, a column
    of ones for the bias, targets. One ``take`` then fetches a whole mini-batch.

    The last bits of large products may depend on the number of BLAS threads, and threads slow
    small ones down: run under ``threadpoolctl.threadpool_limits(1)`` for equal numbers anywhere.
    Row indices come from ``batches`` and are not checked.
    """

    loss_name = "training loss"
    noisy = True
    goal = 0.1  # mini-batches come no closer

    def __init__(self, *, name: str, title: str, text: str, rows: int) -> None:
        self.name = name
        self.title = title
        self.text = text
        self.rows = rows
        self._local = Local()
        self._outsider: Outsider | None = None

    def _store(self, X: Array, targets: Array) -> None:
        self.inputs = X.shape[1]
        self.outputs = targets.shape[1]
        self._table: Array = np.hstack([X, np.ones((len(X), 1)), targets], dtype=np.float64)

    def _new_space(self, n: int) -> Space:
        return Space(n, self.outputs)

    def _fetch(self, rows: Rows | None) -> Space:
        """This thread's buffers for ``rows``, holding the inputs and targets of those rows."""
        n = self.rows if rows is None else len(rows)
        # All rows need no copy of the table, so their buffers are kept apart, under 0.
        key = 0 if rows is None else n
        spaces = self._local.spaces
        space = spaces.get(key)
        if space is None:
            space = spaces[key] = self._new_space(n)
            width = self.inputs + 1 + self.outputs
            block = self._table if rows is None else np.empty((n, width))
            space.hold(block, self.inputs)
        if rows is not None:
            # "raise" would go through a buffer of its own and take twice as long.
            self._table.take(rows, 0, space.block, "wrap")
        return space

    def outsider(self) -> Outsider:
        """SciPy's L-BFGS-B on the full training loss from ``start(0)``; computed once."""
        if self._outsider is None:
            self._outsider = self._solve()
        return self._outsider

    def _solve(self) -> Outsider:
        minimize = require("scipy.optimize", "scipy", "the outsider").minimize
        like = self.start(0)

        def value(vector: Array) -> tuple[float, Array]:
            params = unpack(vector, like)
            return self.loss(params), pack(self.gradient(params, None))

        # The tolerances are put near rounding, so that the answer is the minimum, not a stop.
        options = {"maxiter": 500, "maxfun": 2000, "ftol": 1e-14, "gtol": 1e-9}
        with np.errstate(all="ignore"):
            found = minimize(value, pack(like), jac=True, method="L-BFGS-B", options=options)
        params: Params = unpack(found.x, like)
        return Outsider("SciPy L-BFGS-B", self.loss(params), self.metric(params))
