"""SVMlight and Vowpal Wabbit's text, whose inputs stay sparse: the features that occur, whatever their indices."""

import numpy as np

from ...errors import ProblemError
from ...reading import open_stream
from ..base import require
from ..data import DataProblem, split
from .files import require_rows
from .models import Fit, model_of, numeric_target


def sparse_model(path: str, format: str, fit: Fit) -> DataProblem:
    """A linear model of the features that occur in a file of sparse text. Raises FileError, ProblemError."""
    sparse = require("scipy.sparse", "scipy", f"reading {path!r}")
    stream = open_stream(path, format)
    stream.remedy = "correct it"  # this command has no option for it
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
    return model_of(path, X, goal, parts, fit, "the first number of each line", notes)
