"""Which model a target asks for."""

import os
from dataclasses import dataclass, replace
from reprlib import repr as short
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import ProblemError
from ...reading.kinds import are_classes, label_text
from ..base import Array, Rows
from ..data import DataProblem, split, standardise
from ..linear import About, Inputs, LeastSquares, LinearModel, LogisticRegression, SoftmaxRegression
from ..network import HiddenLeastSquares, OneHiddenLayer
from .columns import Column, Table, features_of, listed, require_finite
from .files import nearest_column, require_rows
from .minimum import minimum_of

Task: TypeAlias = Literal["classification", "regression"]

TARGETS = ("target", "y", "label", "class")
MODELS = ("linear", "network")
HIDDEN = 32  # units of a network
Parts: TypeAlias = tuple[Rows, Rows, Rows]  # training, validation, test


@dataclass(frozen=True)
class Fit:
    """How a table is fitted. l2: the penalty, None for 1 / rows. model: of ``MODELS``."""

    task: Task | None
    l2: float | None
    model: str


@dataclass(frozen=True)
class Target:
    """What is predicted: labels (n,) and class names, or values (n,) and no names."""

    values: NDArray[Any]
    classes: list[str] | None


def dense_model(table: Table, target: str | None, fit: Fit) -> DataProblem:
    """The model of a table's columns. Raises ProblemError."""
    name = _target_name(table, target)
    table, numbering = _without_row_numbers(table, name)
    if len(table.columns) < 2:
        raise ProblemError(
            f"{table.path!r}: no column is left beside the target {name!r}; "
            "at least one column to predict from is needed"
        )
    table, lacking = _with_target(table, name)
    goal = _target_of(table, name, fit.task)
    parts = split(table.rows, goal.values if goal.classes else None)
    X, notes = features_of(table, name, parts[0])
    if X.shape[1] == 0 or not np.ptp(X[parts[0]], axis=0).any():
        raise ProblemError(
            f"{table.path!r}: every column beside the target {name!r} is constant or empty; "
            "at least one column that varies is needed"
        )
    if numbering:
        notes.append(f"row numbers left out: {listed(numbering)}")
    if lacking:
        notes.append(f"{lacking} row{'s' * (lacking > 1)} without a target left out")
    return model_of(table.path, X, goal, parts, fit, f"column {name!r}", notes)


def _without_row_numbers(table: Table, target: str) -> tuple[Table, list[str]]:
    """The table without columns that count its rows, from 0 or 1, and their names; a sole input is one."""
    count = np.arange(table.rows)
    inputs = [n for n in table.columns if n != target]
    numbering = [
        n
        for n in inputs
        if not isinstance(c := table.columns[n], list)
        and (np.array_equal(c, count) or np.array_equal(c, count + 1))
    ]
    if len(numbering) == len(inputs):
        return table, []
    kept = {n: c for n, c in table.columns.items() if n not in numbering}
    return replace(table, columns=kept), numbering


def _with_target(table: Table, name: str) -> tuple[Table, int]:
    """The rows that have a target, and how many have none. Raises ProblemError where too few are left."""
    missing = _missing(table.columns[name])
    if not missing.any():
        return table, 0
    kept = np.flatnonzero(~missing)
    require_rows(f"{table.path} (target {name})", len(kept))
    return table.of_rows(kept), int(missing.sum())


def _target_name(table: Table, target: str | None) -> str:
    """The target column: the one that was named, or the only one with a usual name. Raises ProblemError."""
    names = list(table.columns)
    if target is not None:
        if target not in names:
            raise ProblemError(
                f"{table.path!r}: no target column {target!r}; {nearest_column(target, names)}"
            )
        return target
    if not names:
        raise ProblemError(f"{table.path!r}: no columns are left; drop fewer")
    usual = [name for name in names if name.lower() in TARGETS]
    if len(usual) != 1:
        why = f"{listed(usual)} could be it" if usual else "none is called target, y, label or class"
        shown = listed([repr(n) for n in names])
        raise ProblemError(
            f"{table.path!r}: name the column to predict, target= (--target): {why}; columns: {shown}"
        )
    return usual[0]


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
    names = [label_text(float(v)) if isinstance(v, np.floating) else str(v) for v in distinct]
    if len(names) == 1:
        raise ProblemError(f"{where}: only one class, {short(names[0])}; at least two classes are needed")
    if len(names) > len(values) // 2:
        raise ProblemError(
            f"{where}: {len(names)} different values in {len(values)} rows are not classes, which "
            "need two rows each on average; choose another target, or task='regression' for numbers"
        )
    return Target(labels.astype(np.int64), names)


def model_of(
    path: str, X: Inputs, goal: Target, parts: Parts, fit: Fit, about: str, notes: list[str]
) -> DataProblem:
    """The problem of inputs (n, d) and a target; notes: what was done to the columns. Raises ProblemError."""
    file, d, y = os.path.basename(path), X.shape[1], goal.values
    train, validation, test = parts
    texts = [f"{X.shape[0]} rows of {file}, {d} input{'s' * (d > 1)}, target: {about}"]
    if goal.classes is not None:
        texts.append(f"{len(goal.classes)} classes ({listed(goal.classes)})")
    else:
        scaled, constant = standardise(y[:, None], train)
        if constant.any():
            raise ProblemError(
                f"{path!r}: the target is the same in all training rows; more rows where it differs are needed"
            )
        y = scaled[:, 0]
        texts.append("target standardised")
    l2 = 1.0 / len(train) if fit.l2 is None else float(fit.l2)
    what, loss = _described(goal, fit.model)
    penalty = f"an L2 penalty of {l2:.3g}" if l2 else "no penalty"
    part = "a fifth of the rows for validation, a fifth for the test"
    facts: About = {
        "name": file,
        "title": f"{file}, {what}",
        "text": f"{'; '.join([*texts, *notes])}. {what[0].upper()}{what[1:]}, {loss}, {penalty}; {part}.",
        "l2": l2,
        "validation": (X[validation], y[validation]),
    }
    problem = _fitted((X[train], y[train], X[test], y[test]), goal, fit.model, facts)
    if isinstance(problem, LinearModel):
        problem.minimum, said = minimum_of(problem, None if goal.classes is None else y[train])
        problem.caveat = f"{said[0].upper()}{said[1:]}." if said else ""
    return problem


def _described(goal: Target, model: str) -> tuple[str, str]:
    """A model and its loss in words."""
    loss = "mean of half the squared residual" if goal.classes is None else "mean cross-entropy"
    if model == "network":
        return f"network with one hidden layer of {HIDDEN} units", loss
    if goal.classes is None:
        return "least squares", loss
    return (
        ("logistic regression", "mean log-loss") if len(goal.classes) == 2 else ("softmax regression", loss)
    )


def _fitted(sets: tuple[Any, Any, Any, Any], goal: Target, model: str, facts: About) -> DataProblem:
    """The problem of training and test rows."""
    if model == "network":
        if goal.classes is None:
            return HiddenLeastSquares(*sets, hidden=HIDDEN, **facts)
        return OneHiddenLayer(*sets, classes=len(goal.classes), hidden=HIDDEN, **facts)
    if goal.classes is None:
        return LeastSquares(*sets, **facts)
    if len(goal.classes) == 2:
        return LogisticRegression(*sets, **facts)
    return SoftmaxRegression(*sets, classes=len(goal.classes), **facts)
