"""SVMlight files, whose inputs stay sparse."""

import re
from reprlib import repr as short

import numpy as np

from ...errors import FileError, ProblemError
from ..base import require
from ..data import held_out
from ..linear import LinearModel
from .files import require_rows
from .models import Task, model_of, numeric_target

NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf(?:inity)?|nan)"
SVM_LINE = re.compile(rf"\s*(?:{NUMBER}(?:\s+qid:\d+)?(?:\s+\d+:{NUMBER})*)?\s*(?:#.*)?", re.IGNORECASE)


def sparse_model(path: str, task: Task | None) -> LinearModel:
    datasets = require("sklearn.datasets", "scikit-learn", f"reading {path!r}")
    sparse = require("scipy.sparse", "scipy", f"reading {path!r}")
    try:
        X, y = datasets.load_svmlight_file(path)
    except (ValueError, IndexError, OverflowError, TypeError) as error:
        raise FileError(_wrong_line(path, error)) from None
    X = sparse.csr_array(X)
    require_rows(path, X.shape[0])
    if X.shape[1] == 0 or X.nnz == 0:
        raise ProblemError(f"{path!r}: no line has an index:value pair; at least one is needed")
    if not np.isfinite(X.data).all() or not np.isfinite(y).all():
        raise ProblemError(
            f"{path!r}: holds nan or infinite values; finite numbers are needed; "
            "correct them or leave the pairs out"
        )
    goal = numeric_target(f"{path!r} target", y, task)
    train, test = held_out(len(y), goal.values if goal.classes else None)
    # Shifting would fill the zeros in, so columns are only scaled, to magnitude 1.
    largest = abs(X[train]).max(axis=0).toarray().reshape(-1)
    largest[largest == 0] = 1.0
    X.data /= largest[X.indices]
    density = X.nnz / (X.shape[0] * X.shape[1])
    notes = [
        f"sparse, {100 * density:.3g} % of the entries not zero",
        "each input divided by its largest magnitude in the training part, not centred",
    ]
    return model_of(path, X, goal, train, test, "the first number of each line", notes)


def _wrong_line(path: str, error: Exception) -> str:
    """What is wrong with a file that scikit-learn refused, with the line if it can be told."""
    with open(path, encoding="latin-1") as file:
        for number, line in enumerate(file, 1):
            if not SVM_LINE.fullmatch(line.rstrip("\n")):
                return (
                    f"{path!r} line {number}: {short(line.rstrip())} is not SVMlight; allowed: "
                    "'target index:value index:value ...' with rising indices; correct the line"
                )
    reason = " ".join(str(error).split())
    return f"{path!r} is not valid SVMlight: {reason}; correct the file"
