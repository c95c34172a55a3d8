"""Named columns: cells as numbers or texts, and the inputs that a model gets of them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from reprlib import repr as short
from typing import TypeAlias

import numpy as np

from ...errors import ProblemError
from ..base import Array, Rows
from ..data import standardise

Texts: TypeAlias = list[str | None]  # None is a missing value
Column: TypeAlias = Array | Texts  # nan is a missing value

MISSING = frozenset(
    ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "?"),
)
MAX_CATEGORIES = 50
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


@dataclass(frozen=True)
class Table:
    """Named columns, the file they came from, and where in it a row stands ("line 7")."""

    path: str
    columns: dict[str, Column]
    rows: int
    where: Callable[[int], str]


def number_in(cell: str) -> float | None:
    """The number in a cell; None where there is none (float() alone would take 1_000)."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def typed_column(path: str, name: str, cells: Sequence[str], where: Callable[[int], str]) -> Column:
    """Cells as numbers if they all are, as texts if most are not; between, an error."""
    try:
        if not any("_" in cell for cell in cells):
            return np.array([float(cell) for cell in cells])  # most columns: no cell is empty
    except ValueError:
        pass
    texts: Texts = [None if (cell := raw.strip()) in MISSING else cell for raw in cells]
    values = [None if text is None else number_in(text) for text in texts]
    given = len(texts) - texts.count(None)
    numeric = len(values) - values.count(None)
    if numeric == given:
        return np.array([np.nan if value is None else value for value in values])
    pairs = zip(texts, values, strict=True)
    row, bad = next((i, text) for i, (text, value) in enumerate(pairs) if text is not None and value is None)
    if numeric > given / 2:
        raise ProblemError(
            f"{path!r} {where(row)}, column {name!r}: got {short(bad)}, but most of the column is "
            f"numbers; correct it, empty the cell, or leave the column out with drop=[{name!r}]"
        )
    if all(text is None or DECIMAL_COMMA.fullmatch(text) for text in texts):
        raise ProblemError(
            f"{path!r} {where(row)}, column {name!r}: got {short(bad)}, a number with a decimal "
            "comma; write decimal points"
        )
    return texts


def require_finite(table: Table, name: str, values: Array) -> None:
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        row = int(infinite[0])
        raise ProblemError(
            f"{table.path!r} {table.where(row)}, column {name!r}: got {values[row]}, a finite "
            "number is needed; correct it or empty the cell"
        )


def features_of(table: Table, target: str, train: Rows) -> tuple[Array, list[str]]:
    """The (n, d) inputs of all columns but the target, and notes on what was done."""
    names = [name for name in table.columns if name != target]
    numeric: list[Array] = []
    indicators: list[Array] = []
    imputed: list[str] = []
    blank: list[str] = []
    encoded: list[str] = []
    numeric_names: list[str] = []
    for name in names:
        column = table.columns[name]
        if isinstance(column, list):
            indicators.append(_indicators(table, name, column, train))
            encoded.append(name)
            if None in column:
                blank.append(name)
            continue
        require_finite(table, name, column)
        missing = np.isnan(column)
        if missing.any():
            known = column[train][~missing[train]]
            column = np.where(missing, _mean(known), column)
            imputed.append(name)
        numeric.append(column)
        numeric_names.append(name)
    notes: list[str] = []
    parts: list[Array] = []
    if numeric:
        scaled, constant = standardise(np.column_stack(numeric), train)
        parts.append(scaled)
        notes.append("numbers standardised with the training part's mean and deviation")
        if constant.any():
            flat = [name for name, c in zip(numeric_names, constant, strict=True) if c]
            notes.append(f"constant and therefore 0: {listed(flat)}")
    if encoded:
        notes.append(f"one indicator per category: {listed(encoded)}")
    if imputed:
        notes.append(f"missing values set to the mean: {listed(imputed)}")
    if blank:
        notes.append(f"missing categories left without indicator: {listed(blank)}")
    return np.hstack([*parts, *indicators]), notes


def _mean(values: Array) -> float:
    """Mean that cannot overflow; 0 of nothing."""
    return float(np.sum(values / len(values))) if len(values) else 0.0


def listed(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _indicators(table: Table, name: str, column: Texts, train: Rows) -> Array:
    """(n, categories) zeros and ones; the categories are those of the training part."""
    categories = sorted({column[row] or "" for row in train} - {""})
    if len(categories) > MAX_CATEGORIES:
        raise ProblemError(
            f"{table.path!r} column {name!r}: {len(categories)} different texts, such as "
            f"{short(categories[0])}; at most {MAX_CATEGORIES} categories are allowed; "
            f"leave the column out with drop=[{name!r}], or group its texts"
        )
    place = {category: i for i, category in enumerate(categories)}
    out = np.zeros((len(column), len(categories)))
    for row, text in enumerate(column):
        if text in place:
            out[row, place[text]] = 1.0
    return out
