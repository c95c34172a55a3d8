"""A whole table in memory, its columns read as streams read them: for what needs all rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .arrow import to_numbers, trimmed_text
from .block import Pass, Position
from .cells import MISSING
from .opening import open_stream
from .sources import Paths
from .tables import parts_of

if TYPE_CHECKING:
    from pathlib import Path

    from .tables import Layout, Stretch

Array = np.ndarray[Any, Any]
Texts = list[str | None]  # None: missing


REMEDY = "correct it, or race without such lines (--on-bad-line skip)"


class Whole(NamedTuple):
    """A table. columns: float64 with NaN for what is missing, or texts. where: the rows' numbers in the file, from 1.

    parts: of each column of instants, its year, month, day of the week and hour, as texts. told: what the columns hold,
    as ``Stream.columns``; odd_cells, odd_text, skipped, reasons: as of a ``Stream``.
    """

    columns: dict[str, Array | Texts]
    parts: dict[str, dict[str, Texts]]
    where: Array
    told: dict[str, Any]
    odd_cells: dict[str, tuple[int, str]]
    odd_text: str
    skipped: int
    reasons: list[str]


def read_whole(path: Paths, format: str = "auto", on_bad_line: str = "stop", **reading: Any) -> Whole:
    """The table in a CSV or Parquet file. **reading: as ``open_stream`` takes it.

    Instants are days since 1970. Raises FileError, for any bad row unless such are skipped, and HyperparameterError.
    """
    stream = open_stream(path, format, unlabelled=True, missing="zero", on_bad_line=on_bad_line, **reading)
    reader = stream.table_reader
    layout, run = reader.table_layout, Pass(stop=on_bad_line == "stop", remedy=REMEDY)
    texts: dict[str, Texts] = {n: [] for n in layout.texts}
    numbers: dict[str, list[Array]] = {n: [] for n in layout.numbers}
    instants: dict[str, list[Array]] = {n: [] for n in layout.instants}
    rows = [np.empty(0, np.int64)]
    for k, source in enumerate(stream.sources):
        for stretch in reader.tables(source, Position(file=k), run):
            keep = _kept(layout, source.path, stretch, run)
            rows.append(stretch.first + np.flatnonzero(keep))
            for n, pieces in numbers.items():
                pieces.append(layout.wide(stretch.table, n)[keep])
            for n, pieces in instants.items():
                pieces.append(to_numbers(stretch.table[n])[keep])
            for n, cells in texts.items():
                words = trimmed_text(stretch.table[n])
                gone = {*MISSING, *layout.columns.na}
                cells += [
                    None if w in gone else w for w, good in zip(words, keep.tolist(), strict=True) if good
                ]
    columns = {
        n: texts[n] if n in texts else np.concatenate([np.empty(0), *numbers[n]]) for n in layout.needed
    }
    parts = {n: _parts(np.concatenate([np.empty(0), *pieces])) for n, pieces in instants.items()}
    where = np.concatenate(rows)
    told = stream.columns or {}
    return Whole(columns, parts, where, told, run.odd_cells, run.told_text, run.skipped, run.reasons)


def _parts(micros: Array) -> dict[str, Texts]:
    """The parts of instants as texts."""
    missing = np.isnan(micros).tolist()
    return {
        part: [None if none else str(v) for v, none in zip(values.tolist(), missing, strict=True)]
        for part, values in parts_of(micros).items()
    }


def _kept(layout: Layout, path: Path, stretch: Stretch, run: Pass) -> Array:
    """Which rows of a stretch are good; a bad one is counted or raised, and bad cells are counted."""
    for k in sorted(stretch.bad):
        run.bad(path, stretch.first + k, stretch.bad[k], "row")
    for name, odd in stretch.cells.items():
        layout.count_odd_cells(path, stretch.first, name, odd, {}, run)
    keep = np.ones(stretch.table.num_rows, bool)
    keep[list({*stretch.remarks, *stretch.bad})] = False
    return keep
