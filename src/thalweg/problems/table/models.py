"""Which linear model a target asks for."""

import os
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import ProblemError
from ...reading.kinds import are_classes
from ..base import Array, Rows
from ..data import Labels, held_out, standardise
from ..linear import Inputs, LeastSquares, LinearModel, LogisticRegression, SoftmaxRegression
from .columns import Column, Table, features_of, listed, require_finite
from .files import nearest_column, require_rows

Task: TypeAlias = Literal["classification", "regression"]

TARGETS = ("target", "label", "y", "class")


@dataclass(frozen=True)
class Target:
    """What is predicted: labels (n,) and class names, or values (n,) and no names."""

    values: NDArray[Any]
    classes: list[str] | None


def dense_model(table: Table, target: str | None, task: Task | None) -> LinearModel:
    name, why = _target_name(table, target)
    if len(table.columns) < 2:
        raise ProblemError(
            f"{table.path!r}: no column is left beside the target {name!r}; "
            "at least one column to predict from is needed"
        )
    table, lacking = _with_target(table, name)
    goal = _target_of(table, name, task)
    train, test = held_out(table.rows, goal.values if goal.classes else None)
    X, notes = features_of(table, name, train)
    if X.shape[1] == 0 or not np.ptp(X[train], axis=0).any():
        raise ProblemError(
            f"{table.path!r}: every column beside the target {name!r} is constant or empty; "
            "at least one column that varies is needed"
        )
    about = f"column {name!r}{why}"
    if lacking:
        notes.append(f"{lacking} row{'s' * (lacking > 1)} without a target left out")
    return model_of(table.path, X, goal, train, test, about, notes)


def _with_target(table: Table, name: str) -> tuple[Table, int]:
    """The rows that have a target, and how many have none. Raises ProblemError where too few are left."""
    missing = _missing(table.columns[name])
    if not missing.any():
        return table, 0
    kept = np.flatnonzero(~missing)
    require_rows(f"{table.path} (target {name})", len(kept))
    return table.of_rows(kept), int(missing.sum())


def _target_name(table: Table, target: str | None) -> tuple[str, str]:
    """The target column and, if nobody named it, why it is this one."""
    names = list(table.columns)
    if target is not None:
        if target not in names:
            raise ProblemError(
                f"{table.path!r}: no target column {target!r}; {nearest_column(target, names)}"
            )
        return target, ""
    if not names:
        raise ProblemError(f"{table.path!r}: no columns are left; drop fewer")
    usual = [name for name in names if name.lower() in TARGETS]
    return (usual[0], "") if len(usual) == 1 else (names[-1], " (the last)")


def _target_of(table: Table, name: str, task: Task | None) -> Target:
    column = table.columns[name]
    where = f"{table.path!r} target column {name!r}"
    if isinstance(column, list):
        if task == "regression":
            raise ProblemError(
                f"{where}: regression needs numbers, got {short(column[0])}; "
                "use task='classification' or another target"
            )
        return _classes(where, np.array(column))
    require_finite(table, name, column)
    return numeric_target(where, column, task)


def _missing(column: Column) -> NDArray[np.bool_]:
    if isinstance(column, list):
        return np.array([text is None for text in column])
    return np.isnan(column)


def numeric_target(where: str, values: Array, task: Task | None) -> Target:
    distinct = np.unique(values)
    if task is None:
        task = "classification" if are_classes(distinct) else "regression"
    if task == "classification":
        return _classes(where, values)
    if len(distinct) == 1:
        raise ProblemError(f"{where}: every value is {distinct[0]:g}; regression needs values that differ")
    return Target(values, None)


def _classes(where: str, values: NDArray[Any]) -> Target:
    distinct, labels = np.unique(values, return_inverse=True)
    names = [f"{v:g}" if isinstance(v, np.floating) else str(v) for v in distinct]
    if len(names) == 1:
        raise ProblemError(f"{where}: only one class, {short(names[0])}; at least two classes are needed")
    if len(names) > len(values) // 2:
        raise ProblemError(
            f"{where}: {len(names)} different values in {len(values)} rows are not classes, which "
            "need two rows each on average; choose another target, or task='regression' for numbers"
        )
    return Target(labels.astype(np.int64), names)


def model_of(
    path: str, X: Inputs, goal: Target, train: Rows, test: Rows, about: str, notes: list[str]
) -> LinearModel:
    file = os.path.basename(path)
    d = X.shape[1]
    texts = [f"{X.shape[0]} rows of {file}, {d} input{'s' * (d > 1)}, target: {about}"]
    named: dict[str, Any] = {"name": file, "reference": "scikit-learn"}

    def described(model: str, loss: str) -> dict[str, Any]:
        what = "; ".join([*texts, *notes])
        return named | {
            "title": f"{file}, {model}",
            "text": f"{what}. {model.capitalize()}, {loss}; a fixed quarter of the rows held out.",
        }

    y = goal.values
    if goal.classes is not None:
        k = len(goal.classes)
        texts.append(f"{k} classes ({listed(goal.classes)})")
        sets: tuple[Any, Labels, Any, Labels] = (X[train], y[train], X[test], y[test])
        if k == 2:
            return LogisticRegression(*sets, **described("logistic regression", "mean log-loss"))
        about_softmax = described("softmax regression", "mean cross-entropy")
        return SoftmaxRegression(*sets, classes=k, **about_softmax)
    scaled, constant = standardise(y[:, None], train)
    if constant.any():
        raise ProblemError(
            f"{path!r}: the target is the same in all training rows; more rows where it differs are needed"
        )
    values = scaled[:, 0]
    texts.append("target standardised")
    named |= described("least squares", "mean of half the squared residual")
    return LeastSquares(X[train], values[train], X[test], values[test], **named)
