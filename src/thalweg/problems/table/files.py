"""Files as tables, and what format a file has: as ``thalweg fit`` reads them."""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ...errors import FileError, HyperparameterError, MisplacedOptionError, ProblemError, nearest
from ...fitting.settings import HASHED, READING, TABLES
from ...reading.kinds import AS_TOLD, COUNTS_ROWS
from ...reading.sources import format_of, sources
from ...reading.whole import read_whole
from .columns import Table

MIN_ROWS = 8


def checked(path: str, reading: Mapping[str, object]) -> dict[str, Any]:
    """What is said of how a file is read, for ``open_stream``. Raises ProblemError for what nobody can say."""
    for name in reading:
        if name not in READING:
            raise ProblemError(f"{path!r}: reading: unknown {name!r}: {nearest(name, READING)}")
    return dict(reading)


def require_only(path: str, kind: str, reading: Mapping[str, object], names: Sequence[str]) -> None:
    """Raise MisplacedOptionError where something is said that is not for files of that kind. names: what is."""
    odd = [n for n in reading if n in (*TABLES, *HASHED) and n not in names]
    if odd:
        raise MisplacedOptionError(f"{path!r}: is {kind}: {', '.join(odd)}: not for that; leave it out", odd)


def kind_of(path: str, reading: Mapping[str, Any], table: bool = False) -> str:
    """The format of a file, as told or found, once it is certain that there is such a file.

    table: whether columns are spoken of.

    Raises FileError, HyperparameterError.
    """
    try:
        if os.path.isdir(path):
            raise FileError(f"{path!r} is a directory; give a file")
        if os.path.exists(path) and not os.path.isfile(path):
            raise FileError(
                f"{path!r} is a pipe or a device, and a table is read twice; write it to a file first"
            )
        size = os.stat(path).st_size
    except FileNotFoundError:
        raise FileError(f"{path!r}: no such file{_sibling(path)}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise FileError(f"{path!r} cannot be read: {reason}") from None
    if size == 0:
        raise FileError(f"{path!r} is empty; rows are needed")
    source = sources(path)[0]
    source.encoding = reading.get("encoding")
    return format_of(source, reading.get("format", "auto"), table)


def _sibling(path: str) -> str:
    """A hint at a file of a similar name in the same directory."""
    folder, name = os.path.split(path)
    try:
        close = get_close_matches(name, os.listdir(folder or "."), n=1, cutoff=0.8)
    except OSError:
        return f"; nor is there a directory {folder!r}"
    return f"; did you mean {os.path.join(folder, close[0])!r}?" if close else ""


def read_table(path: str, drop: Sequence[str], reading: Mapping[str, Any]) -> Table:
    """The columns of a CSV or Parquet file, read as ``thalweg fit`` reads them; notes say what was left out or odd.

    Raises FileError, and ProblemError for too few rows or a column to drop that there is none of.
    """
    drop = [drop] if isinstance(drop, str) else list(drop)
    require_only(path, "a table", reading, (*TABLES, "interactions"))
    reading = dict(reading)
    products = reading.pop("interactions", ())
    try:
        whole = read_whole(path, ignore=drop, **reading)
    except HyperparameterError as error:
        of_drop = "drop: " if drop and not reading else ""
        raise ProblemError(f"{path!r}: {of_drop}{str(error).removeprefix('open_stream: ')}") from None
    if whole.columns and all(map(_is_number, whole.columns)):
        raise FileError(
            f"{path!r}: the first line holds only numbers; add a line of column names above it, or say that there is none (--no-header)"
        )
    require_rows(path, len(whole.where))
    told = whole.told
    left = [c for c in told.get("left_out", ()) if c["why"] != AS_TOLD]
    notes = [f"{c['why']} left out: {c['name']!r}" for c in left]
    notes += [
        f"{n}: {count} cells that are no numbers are missing" for n, (count, _) in whole.odd_cells.items()
    ]
    notes += [
        f"{c['name']}: {c['note']}"
        for c in (*told.get("numbers", ()), *told.get("text", ()))
        if c["note"]
        and c["note"] != COUNTS_ROWS  # whether such a column is left out is told where it is decided
    ]
    notes += [whole.odd_text] if whole.odd_text else []
    if whole.skipped:
        notes.append(f"bad lines skipped: {whole.skipped} ({whole.reasons[0].partition(': ')[2]})")
    where = whole.where
    products = (products,) if isinstance(products, str) else tuple(products)
    return Table(
        path, whole.columns, len(where), lambda row: f"row {where[row]}", notes, whole.parts, products
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def require_rows(path: str, rows: int) -> None:
    if rows < MIN_ROWS:
        what = "no rows of data" if rows == 0 else f"{rows} row{'s' * (rows > 1)}"
        raise ProblemError(f"{path!r} holds {what}; at least {MIN_ROWS} rows are needed")


def nearest_column(name: str, names: Sequence[str]) -> str:
    """As errors.nearest, but of a wide table only the names that come close."""
    if len(names) > 20:
        return nearest(name, get_close_matches(name, names, n=5, cutoff=0.4) or names[:5])
    return nearest(name, names)
