"""A user's own table as a problem: CSV, TSV, Parquet or SVMlight with a target column.

Numbers are standardised, texts become one indicator column per category, and a linear model is
fitted: softmax or logistic regression where the target is a class, least squares where it is a
quantity. What was done to the columns is said in the problem's ``text``.
"""

import os
from collections.abc import Sequence

from ...errors import ProblemError
from ..linear import LinearModel
from .files import kind_of, read_delimited, read_parquet
from .models import Task, dense_model
from .svmlight import sparse_model


def read(
    path: str | os.PathLike[str],
    target: str | None = None,
    *,
    task: Task | None = None,
    drop: Sequence[str] = (),
) -> LinearModel:
    """The table in ``path`` as a problem; the kind of file is told by its extension.

    ``target`` names the column to predict: by default the one called target, label, y or class
    if there is exactly one, else the last. ``task`` is "classification" or "regression"; by
    default texts and at most 20 different integers are classes. ``drop`` lists columns to leave
    out. A quarter of the rows is held out, the same ones at each call.

    Raises FileError for a file that cannot be read or is not what its name says, ProblemError
    for data that cannot be learnt from.
    """
    path = os.fspath(path)
    kind = kind_of(path)
    if task not in (None, "classification", "regression"):
        raise ProblemError(f"task: got {task!r}, allowed: 'classification', 'regression' or None")
    if kind == "SVMlight":
        if target is not None or drop:
            raise ProblemError(
                f"{path!r}: SVMlight has no column names, and its target is the first number of "
                "each line; leave out target and drop"
            )
        return sparse_model(path, task)
    if kind == "Parquet":
        table = read_parquet(path, drop)
    else:
        table = read_delimited(path, "\t" if kind == "TSV" else ",", drop)
    return dense_model(table, target, task)
