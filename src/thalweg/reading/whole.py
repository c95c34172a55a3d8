"""A whole table in memory, its columns read as streams read them: for what needs all rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .arrow import trimmed_text
from .block import Pass, Position
from .cells import MISSING
from .sources import Paths
from .stream import open_stream

if TYPE_CHECKING:
    from pathlib import Path

    from .tables import Layout, Stretch

Array = np.ndarray[Any, Any]
Texts = list[str | None]  # None: missing


class Whole(NamedTuple):
    """A table. columns: float64 with NaN for what is missing, or texts. where: the rows' numbers in the file, from 1.

    told: what the columns hold, as ``Stream.columns``; odd_cells: as ``Stream.odd_cells``.
    """

    columns: dict[str, Array | Texts]
    where: Array
    told: dict[str, Any]
    odd_cells: dict[str, tuple[int, str]]


def read_whole(path: Paths, format: str = "auto", **reading: Any) -> Whole:
    """The table in a CSV or Parquet file. **reading: as ``open_stream`` takes it.

    Instants are days since 1970. Raises FileError, for any bad row, and HyperparameterError.
    """
    stream = open_stream(path, format, unlabelled=True, missing="zero", **reading)
    reader = stream.table_reader
    layout, run = reader.table_layout, Pass(stop=True, remedy="correct it")
    texts: dict[str, Texts] = {n: [] for n in layout.texts}
    numbers: dict[str, list[Array]] = {n: [] for n in layout.numbers}
    rows = [np.empty(0, np.int64)]
    for k, source in enumerate(stream.sources):
        for stretch in reader.tables(source, Position(file=k), run):
            keep = _kept(layout, source.path, stretch, run)
            rows.append(stretch.first + np.flatnonzero(keep))
            for n, pieces in numbers.items():
                pieces.append(layout.wide(stretch.table, n)[keep])
            for n, cells in texts.items():
                words = trimmed_text(stretch.table[n])
                gone = {*MISSING, *layout.columns.na}
                cells += [
                    None if w in gone else w for w, good in zip(words, keep.tolist(), strict=True) if good
                ]
    columns = {
        n: texts[n] if n in texts else np.concatenate([np.empty(0), *numbers[n]]) for n in layout.needed
    }
    return Whole(columns, np.concatenate(rows), stream.columns or {}, run.odd_cells)


def _kept(layout: Layout, path: Path, stretch: Stretch, run: Pass) -> Array:
    """Which rows of a stretch are rows; a bad one is raised, and bad cells are counted."""
    for k in sorted(stretch.bad):
        run.bad(path, stretch.first + k, stretch.bad[k], "row")
    for name, odd in stretch.cells.items():
        layout.count_odd_cells(path, stretch.first, name, odd, {}, run)
    keep = np.ones(stretch.table.num_rows, bool)
    keep[list(stretch.remarks)] = False
    return keep
