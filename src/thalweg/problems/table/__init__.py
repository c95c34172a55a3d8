"""A user's own table as a problem: CSV, Parquet, SVMlight or Vowpal Wabbit's text, read as ``thalweg fit`` does.

Numbers are standardised, texts become one indicator column per category, and a linear model, or a network of one
hidden layer, is fitted: with cross-entropy where the target is a class, by least squares where it is a quantity. The
squares of the weights are penalised. What was done to the columns is said in the problem's ``text``.
"""

import os
from collections.abc import Mapping, Sequence
from math import inf

from ...errors import MisplacedOptionError, ProblemError, nearest
from ..data import DataProblem
from .files import checked, kind_of, read_table
from .models import MODELS, Fit, Task, dense_model
from .sparse import sparse_model


def read(
    path: str | os.PathLike[str],
    target: str | None = None,
    *,
    task: Task | None = None,
    drop: Sequence[str] = (),
    l2: float | None = None,
    model: str = "linear",
    reading: Mapping[str, object] | None = None,
) -> DataProblem:
    """The table in ``path`` as a problem; the format is told by its name, or its content.

    ``target`` names the column to predict; it must be named unless exactly one is called target, y, label or class.
    ``task`` is "classification" or "regression"; by default texts are classes, and two whole numbers, or at most ten
    without a gap. ``drop`` lists columns to leave out. ``l2``: of the penalty l2 / 2 |w|^2 on weights, biases
    excepted, by default 1 / (training rows), which is scikit-learn's C = 1; 0 for none. ``model``: "linear", or "network", one hidden
    layer of 32 tanh units. ``reading`` says how the file is read, as ``open_stream`` takes it (``READING``).
    Rows without a target are left out, and so is a column that numbers the rows. A fifth of
    the rows is for validation and a fifth for the test, the same ones at each call.

    Raises FileError for a file that cannot be read or is not what its name says, ProblemError
    for data that cannot be learnt from.
    """
    path = os.fspath(path)
    said = checked(path, reading or {})
    kind = kind_of(path, said, target is not None)
    if task not in (None, "classification", "regression"):
        raise ProblemError(f"task: got {task!r}, allowed: 'classification', 'regression' or None")
    if l2 is not None and not (isinstance(l2, int | float) and 0 <= l2 < inf):
        raise ProblemError(f"l2: got {l2!r}, a number in [0, inf) is needed; 0 is no penalty")
    if model not in MODELS:
        raise ProblemError(f"model: got {model!r}; {nearest(str(model), MODELS)}")
    fit = Fit(task, l2, model)
    if kind in ("svmlight", "vw"):
        if model != "linear":
            raise ProblemError(
                f"{path!r}: {kind} is sparse, and a network takes dense inputs; model: 'linear' is allowed"
            )
        if target is not None or drop:
            raise MisplacedOptionError(
                f"{path!r}: {kind} has no column names, and its target is the first number of "
                "each line; leave out target and drop",
                [n for n, given in (("target", target), ("drop", drop)) if given],
            )
        return sparse_model(path, kind, fit, said)
    return dense_model(read_table(path, drop, said | {"format": kind}), target, fit)
