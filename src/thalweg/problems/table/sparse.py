"""SVMlight and Vowpal Wabbit's text, whose inputs stay sparse: the features that occur, whatever their indices."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import HyperparameterError, ProblemError
from ...fitting.settings import HASHED
from ...reading import open_stream
from ...reading.whole import REMEDY
from ..base import require
from ..data import DataProblem, split
from .files import require_only, require_rows
from .models import Fit, model_of, numeric_target

# Inputs of so few columns, and entries, stand dense: fetching rows of a sparse matrix takes 100 µs, however few they are.
DENSE_WIDTH, DENSE_SIZE = 256, 1 << 22


def sparse_model(path: str, format: str, fit: Fit, reading: Mapping[str, Any]) -> DataProblem:
    """A linear model of the features that occur in a file of sparse text. Raises FileError, ProblemError."""
    sparse = require("scipy.sparse", "scipy", f"reading {path!r}")
    require_only(path, format, reading, HASHED if format == "vw" else ())
    try:
        stream = open_stream(path, **{**reading, "format": format})
    except HyperparameterError as error:
        raise ProblemError(f"{path!r}: {str(error).removeprefix('open_stream: ')}") from None
    stream.remedy = REMEDY
    blocks = list(stream)
    require_rows(path, sum(len(block.labels) for block in blocks))
    y = np.concatenate([block.labels for block in blocks])
    occurring, columns = np.unique(np.concatenate([b.indices for b in blocks]), return_inverse=True)
    if not occurring.size:
        raise ProblemError(f"{path!r}: no line has a feature; at least one is needed")
    counts = np.concatenate([np.diff(b.indptr) for b in blocks])
    X = sparse.csr_array(
        (
            np.concatenate([b.values for b in blocks]).astype(np.float64),
            columns,
            np.concatenate([[0], np.cumsum(counts)]),
        ),
        shape=(len(y), len(occurring)),
    )
    goal = numeric_target(f"{path!r} target", y, fit.task)
    parts = split(len(y), goal.values if goal.classes else None)
    # Shifting would fill the zeros in, so columns are only scaled, to magnitude 1.
    largest = abs(X[parts[0]]).max(axis=0).toarray().reshape(-1)
    largest[largest == 0] = 1.0
    X.data /= largest[X.indices]
    density = X.nnz / (X.shape[0] * X.shape[1])
    notes = [
        f"sparse, {100 * density:.3g} % of the entries not zero",
        "each input divided by its largest magnitude in the training part, not centred",
    ]
    notes += [stream.odd_text] if stream.odd_text else []
    if stream.skipped:
        notes.append(f"bad lines skipped: {stream.skipped} ({stream.reasons[0].partition(': ')[2]})")
    if X.shape[1] <= DENSE_WIDTH and X.shape[0] * X.shape[1] <= DENSE_SIZE:
        X = X.toarray()
    return model_of(path, X, goal, parts, fit, "the first number of each line", notes)
