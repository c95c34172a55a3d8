"""A user's own table as a problem: CSV, Parquet, SVMlight or Vowpal Wabbit's text, read as ``thalweg fit`` does.

Numbers are standardised, texts become one indicator column per category, and a linear model is
fitted: softmax or logistic regression where the target is a class, least squares where it is a
quantity. What was done to the columns is said in the problem's ``text``.
"""

import os
from collections.abc import Sequence

from ...errors import ProblemError
from ..linear import LinearModel
from .files import kind_of, read_table
from .models import Task, dense_model
from .sparse import sparse_model


def read(
    path: str | os.PathLike[str],
    target: str | None = None,
    *,
    task: Task | None = None,
    drop: Sequence[str] = (),
) -> LinearModel:
    """The table in ``path`` as a problem; the format is told by its name, or its content.

    ``target`` names the column to predict: by default the one called target, label, y or class
    if there is exactly one, else the last. ``task`` is "classification" or "regression"; by
    default texts are classes, and two whole numbers, or at most ten without a gap. ``drop`` lists columns to leave
    out. Rows without a target are left out. A quarter of the rows is held out,
    the same ones at each call.

    Raises FileError for a file that cannot be read or is not what its name says, ProblemError
    for data that cannot be learnt from.
    """
    path = os.fspath(path)
    kind = kind_of(path)
    if task not in (None, "classification", "regression"):
        raise ProblemError(f"task: got {task!r}, allowed: 'classification', 'regression' or None")
    if kind in ("svmlight", "vw"):
        if target is not None or drop:
            raise ProblemError(
                f"{path!r}: {kind} has no column names, and its target is the first number of "
                "each line; leave out target and drop"
            )
        return sparse_model(path, kind, task)
    return dense_model(read_table(path, drop), target, task)
