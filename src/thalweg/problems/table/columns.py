"""Named columns: cells as numbers or texts, and the inputs that a model gets of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from reprlib import repr as short
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import HyperparameterError, ProblemError
from ...reading.products import pairs_of
from ..base import Array, Rows
from ..data import standardise

Texts: TypeAlias = list[str | None]  # None is a missing value
Column: TypeAlias = Array | Texts  # nan is a missing value

MAX_CATEGORIES = 50
MAX_PRODUCTS = 5_000  # inputs that interactions add


@dataclass(frozen=True)
class Table:
    """Named columns, the file they came from, and where in it a row stands ("row 7"); notes on what was read.

    parts: of columns of dates, the year, month, day of the week and hour. interactions: pairs of columns whose products are
    inputs too, as ``reading.products.pairs_of`` takes them.
    """

    path: str
    columns: dict[str, Column]
    rows: int
    where: Callable[[int], str]
    notes: list[str]
    parts: dict[str, dict[str, Texts]] = field(default_factory=dict)
    interactions: tuple[str, ...] = ()

    def of_rows(self, kept: NDArray[np.int64]) -> "Table":
        """The table of some of the rows."""
        columns: dict[str, Column] = {
            name: [column[row] for row in kept] if isinstance(column, list) else column[kept]
            for name, column in self.columns.items()
        }
        parts = {
            name: {part: [texts[row] for row in kept] for part, texts in those.items()}
            for name, those in self.parts.items()
        }
        return replace(
            self, columns=columns, rows=len(kept), where=lambda row: self.where(int(kept[row])), parts=parts
        )


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
    texts: dict[str, Array] = {}
    imputed: list[str] = []
    blank: list[str] = []
    encoded: list[str] = []
    numeric_names: list[str] = []
    for name in names:
        column = table.columns[name]
        if isinstance(column, list):
            texts[name] = _indicators(table, name, column, train)
            indicators.append(texts[name])
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
        for part, words in table.parts.get(name, {}).items():
            if 1 < len({words[row] for row in train} - {None}) <= MAX_CATEGORIES:
                indicators.append(_indicators(table, f"{name}.{part}", words, train))
                encoded.append(f"{name}.{part}")
    notes = list(table.notes)
    parts: list[Array] = []
    numbers: dict[str, Array] = {}
    if numeric:
        scaled, constant = standardise(np.column_stack(numeric), train)
        parts.append(scaled)
        numbers = dict(zip(numeric_names, scaled.T, strict=True))
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
    products = _products(table, numbers, texts, train)
    if products:
        notes.append(f"products: {listed([f'{a} x {b}' for a, b in products])}")
    return np.hstack([*parts, *indicators, *products.values()]), notes


def _products(
    table: Table, numbers: dict[str, Array], texts: dict[str, Array], train: Rows
) -> dict[tuple[str, str], Array]:
    """The inputs of each pair of columns that ``table.interactions`` names, as ``thalweg fit`` has them: of two numbers
    one, standardised again; of others one for each category, or pair of them, that the training part has.

    numbers: standardised, by column. texts: indicators, by column. Raises ProblemError.
    """
    try:
        pairs = pairs_of(table.interactions, list(numbers), list(texts))
    except HyperparameterError as error:
        raise ProblemError(f"{table.path!r}: {error}") from None
    products: dict[tuple[str, str], Array] = {}
    for a, b in pairs:
        left, right = (numbers[n][:, None] if n in numbers else texts[n] for n in (a, b))
        product = (left[:, :, None] * right[:, None, :]).reshape(table.rows, -1)
        if a in numbers and b in numbers:
            product, _ = standardise(product, train)
        else:
            product = product[:, product[train].any(axis=0)]
        products[a, b] = product
        width = sum(p.shape[1] for p in products.values())
        if width > MAX_PRODUCTS:
            raise ProblemError(
                f"{table.path!r}: interactions: more than {MAX_PRODUCTS} inputs, with those of {a!r} and {b!r}; name fewer pairs, or group their texts"
            )
    return products


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
