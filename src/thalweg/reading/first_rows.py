"""The first rows of a table's files: their means and sizes, and the rows themselves until the first pass has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from ..scaling import ColumnMap
from ..scaling import measure as centre_and_size
from .block import Pass, Position
from .kinds import PREFIX_BYTES, PREFIX_ROWS
from .sources import Source

if TYPE_CHECKING:
    import pyarrow as pa

    from .tables import Layout, Stretch

Array = np.ndarray[Any, Any]
Stretches = Callable[[Source, Position, Pass], Generator["Stretch", None, None]]
SHOWN = 12  # columns named in a line
SORTED_ROWS = 30  # from which a sorted column is spoken of
_KINDS = 3  # of other numbers, beside which one may stand for a missing one
LOG_ORDERS = math.log(1e9)  # of the orders in which its numbers may come, from which on one is no chance


class ParsedRows:
    """The first rows of a file as they were parsed to learn what the columns hold, so that nobody has to again.

    They are the rows from the first on up to one that is odd, as far as their numbers and texts take no more than
    ``PREFIX_BYTES``. identity: of the file. table: the columns among them that were read as they are needed.
    """

    def __init__(self, identity: list[Any]) -> None:
        self.identity = identity
        self.rows = 0
        self.table: pa.Table | None = None
        self._tables: list[pa.Table] = []
        self._bytes = 0
        self._ended = False

    def add(self, table: pa.Table, rows: int) -> None:
        """Take the next rows; rows: how many they are, odd ones among them that the table lacks."""
        self._bytes += table.nbytes
        self._ended = self._ended or table.num_rows != rows or self._bytes > PREFIX_BYTES
        if not self._ended:
            self._tables.append(table)
            self.rows += table.num_rows

    def settle(self, types: dict[str, pa.DataType]) -> None:
        """Keep the columns that were read as types that give the needed ones; forget the others."""
        import pyarrow as pa

        columns = {
            name: [piece for table in self._tables if (piece := _as(table[name], type)) is not None]
            for name, type in types.items()
        }
        whole = {
            name: pa.chunked_array([chunk for piece in pieces for chunk in piece.chunks], types[name])
            for name, pieces in columns.items()
            if len(pieces) == len(self._tables)
        }
        self.table = pa.table(whole) if whole and self.rows else None
        self._tables = []

    def take(self, first: int, rows: int) -> pa.Table | None:
        """The columns of ``rows`` rows, of which ``first`` is the number, from 0; None where they are not all here."""
        table = self.table
        return None if table is None or first + rows > self.rows else table.slice(first, rows)

    def has(self, names: Collection[str]) -> bool:
        """Whether it has these columns."""
        return self.table is not None and set(names) <= set(self.table.column_names)

    def forget(self) -> None:
        """Let go of the rows."""
        self.rows, self.table = 0, None


def _as(column: pa.ChunkedArray, type: pa.DataType) -> pa.ChunkedArray | None:
    """A column of float64 or bytes of one that Arrow has read as it found it; None where its cells say more."""
    import pyarrow as pa

    t = pa.types
    if t.is_float64(type):
        numbers = t.is_integer(column.type) or t.is_floating(column.type) or t.is_null(column.type)
        return column.cast(type, safe=False) if numbers else None
    texts = t.is_string(column.type) or t.is_binary(column.type)
    return column.cast(type) if texts else None


class _Sample:
    """The numeric columns of the first rows: at most so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.taken = 0
        self._tables: list[pa.Table] = []

    def add(self, table: pa.Table) -> bool:
        """Take the next rows, as far as they are wanted; whether more are."""
        self._tables.append(table.slice(0, self.rows - self.taken))
        self.taken += self._tables[-1].num_rows
        return self.taken < self.rows

    def column(self, layout: Layout, name: str) -> Array:
        """A column over all rows, in float64."""
        return np.concatenate([layout.wide(table, name) for table in self._tables] or [np.empty(0)])


def measure(
    layout: Layout,
    stretches: Stretches,
    files: Iterable[Source],
    row_bytes: int,
    scale: str,
    parsed: ParsedRows | None = None,
) -> tuple[str, ...]:
    """Let a layout know its columns' means and the target's numbers, and scale the columns, by the first rows of the files,
    whatever the size of the blocks.

    Return the columns by which those rows are sorted.

    stretches: of the reader that the layout is of. row_bytes: of a row's text, about. scale: as ``open_stream`` takes
    it. parsed: rows that need not be read. Bad lines are passed over: the pass that learns from them speaks of them.
    """
    columns = [] if scale == "none" and layout.means is None else layout.numbers
    target = layout.numeric_target
    needed = [*columns, *([] if target is None else [target])]
    if not needed:
        return ()
    width = max(row_bytes, 8 * layout.width, 1)
    sample = _Sample(min(PREFIX_ROWS, max(1, PREFIX_BYTES // width)))
    wants_more = True
    if parsed is not None and parsed.rows >= sample.rows and parsed.has(needed):
        wants_more = sample.add(parsed.take(0, sample.rows))
    for k, file in enumerate(files if wants_more else ()):
        with closing(stretches(file.look(), Position(file=k), Pass(stop=False))) as read:
            while wants_more and (stretch := next(read, None)) is not None:
                wants_more = sample.add(stretch.table.select(needed))
    notes = [_stand_in(name, sample.column(layout, name)) for name in needed]
    if target is not None:
        labels = np.unique(sample.column(layout, target))
        layout.labels = labels[np.isfinite(labels)]
    means, pairs, ordered, unknown = [], [], [], []
    for name in columns:
        x = sample.column(layout, name)
        means.append(_mean(x))
        if scale != "none":
            pairs.append(centre_and_size(x, centred=scale == "deviation"))
            if not np.nan_to_num(x).any():
                unknown.append(name)
        if _is_sorted(x):
            ordered.append(name)
    if columns and layout.means is not None and sample.taken:
        layout.means = np.array(means)
    if columns and scale != "none":
        layout.map = ColumnMap(*np.array(pairs).T.copy())
        if layout.products.names:
            numbers = [sample.column(layout, name) for name in columns]
            layout.map = layout.products.extended(layout.map, numbers, scale == "deviation")
    if unknown and sample.taken == sample.rows:
        names = ", ".join(unknown[:SHOWN]) + (f" and {len(unknown) - SHOWN} more" * (len(unknown) > SHOWN))
        notes.append(
            f"0 in all of the first {sample.rows} rows, so that nothing is known of their size: {names}"
        )
    if layout.told is not None:
        layout.told["note"] = "; ".join(filter(None, (layout.told["note"], *notes)))
    return tuple(ordered)


def _stand_in(name: str, x: Array) -> str:
    """Say so where a number far from all others may stand for a missing one, such as -999; "" where none does."""
    x = x[np.isfinite(x)]
    if not x.size:
        return ""
    for odd in (float(x.min()), float(x.max())):
        others = x[x != odd]
        count = len(x) - len(others)
        if (
            count < 2
            or len(np.unique(others)) < _KINDS
            or set(f"{abs(odd):.12g}".replace(".", "")) != {"9"}
            or abs(odd) < 99
        ):
            continue
        low, high = float(others.min()), float(others.max())
        if max(low - odd, odd - high) > max(high - low, abs(low), abs(high)):
            return f"column {name!r}: {odd:.12g} stands in {count} of {len(x)} cells, far from all others: if it means that a value is missing, leave it empty, or give it to --na as it is written"
    return ""


def _mean(x: Array) -> float:
    """The mean of the finite numbers, 0 where there are none."""
    x = x[np.isfinite(x)]
    return float(np.mean(x / len(x)) * len(x)) if x.size else 0.0  # a sum may be beyond float64


def _is_sorted(x: Array) -> bool:
    """Whether numbers only rise, or only fall, over enough rows that this is no chance: 1 in the last row alone is one."""
    x = x[np.isfinite(x)]
    if len(x) < SORTED_ROWS or x[0] == x[-1]:
        return False
    if not (np.all(x[1:] >= x[:-1]) or np.all(x[1:] <= x[:-1])):
        return False
    runs = np.diff(np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1], [True]])))
    return math.lgamma(len(x) + 1) - sum(math.lgamma(n + 1) for n in runs.tolist()) > LOG_ORDERS
