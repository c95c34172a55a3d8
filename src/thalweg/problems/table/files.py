"""Files as tables: CSV, TSV and Parquet, and which kind a file is."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ...errors import FileError, ProblemError, nearest
from ..base import require
from .columns import MISSING, Column, Table, number_in, typed_column

if TYPE_CHECKING:
    from pyarrow import ChunkedArray

MIN_ROWS = 8

KINDS = {
    ".csv": "CSV",
    ".tsv": "TSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".svm": "SVMlight",
    ".svmlight": "SVMlight",
    ".libsvm": "SVMlight",
}
# How files that are not text give themselves away.
MAGIC = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip or Excel",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def kind_of(path: str) -> str:
    """The kind of file by extension, once it is certain that there is such a file."""
    try:
        if os.path.isdir(path):
            raise FileError(f"{path!r} is a directory; give a file ({', '.join(KINDS)})")
        if os.path.exists(path) and not os.path.isfile(path):
            raise FileError(
                f"{path!r} is a pipe or a device, and a table is read twice; write it to a file first"
            )
        with open(path, "rb") as file:
            head, size = file.read(4096), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise FileError(f"{path!r}: no such file{_sibling(path)}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise FileError(f"{path!r} cannot be read: {reason}") from None
    suffix = Path(path).suffix.lower()
    kind = KINDS.get(suffix)
    if kind is None:
        raise FileError(f"{path!r}: extension {suffix!r} is not known; allowed: {', '.join(KINDS)}")
    if size == 0:
        raise FileError(f"{path!r} is empty; {kind} data is needed")
    found = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
    if kind == "Parquet":
        if found != "Parquet":
            raise FileError(
                f"{path!r} is not a Parquet file, which starts with 'PAR1'; this one starts with "
                f"{head[:4]!r}; give it the extension of what it is"
            )
    elif found or b"\0" in head:
        raise FileError(
            f"{path!r} is not {kind} text: it is {found or 'binary'} data; "
            "write it as UTF-8 text or give it the extension of what it is"
        )
    return kind


def _sibling(path: str) -> str:
    """A hint at a file of a similar name in the same directory."""
    folder, name = os.path.split(path)
    try:
        close = get_close_matches(name, os.listdir(folder or "."), n=1, cutoff=0.8)
    except OSError:
        return f"; nor is there a directory {folder!r}"
    return f"; did you mean {os.path.join(folder, close[0])!r}?" if close else ""


def decoded(path: str, kind: str) -> str:
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileError(
            f"{path!r} line {line}: byte {data[error.start]:#04x} is not UTF-8; save the {kind} file as UTF-8"
        ) from None


def read_delimited(path: str, delimiter: str, drop: Sequence[str]) -> Table:
    kind = "TSV" if delimiter == "\t" else "CSV"
    text = decoded(path, kind)
    first = text.lstrip().partition("\n")[0]
    if delimiter == "," and "," not in first and ";" in first:
        delimiter = ";"  # what spreadsheets write where the comma is the decimal point
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[int] = []
    header: list[str] | None = None
    body: list[list[str]] = []
    try:
        for row in reader:
            if not row or row == [""] or (len(row) == 1 and not row[0].strip()):
                continue
            if header is None:
                header = [name.strip() for name in row]
            elif len(row) != len(header):
                raise FileError(
                    f"{path!r} line {reader.line_num}: {len(row)} cells, but the header has "
                    f"{len(header)}; correct the line, or quote cells that hold {delimiter!r}"
                )
            else:
                body.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise FileError(
            f"{path!r} line {reader.line_num}: not valid {kind}: {error}; check the quotes"
        ) from None
    if header is None:
        raise FileError(f"{path!r} holds only blank lines; {kind} data is needed")
    if all(number_in(name) is not None for name in header):
        raise FileError(f"{path!r}: the first line holds only numbers; add a line of column names above it")
    require_distinct_names(path, header)
    require_rows(path, len(body))

    def where(row: int) -> str:
        return f"line {lines[row]}"

    kept = kept_columns(path, header, drop)
    cells = dict(zip(header, zip(*body, strict=True), strict=True))
    columns = {name: typed_column(path, name, cells[name], where) for name in kept}
    return Table(path, columns, len(body), where)


def read_parquet(path: str, drop: Sequence[str]) -> Table:
    arrow = require("pyarrow", "pyarrow", f"reading {path!r}")
    parquet = require("pyarrow.parquet", "pyarrow", f"reading {path!r}")
    try:
        # Opened here, so that the path is never taken for a data set of several files.
        with open(path, "rb") as file:
            data = parquet.read_table(file)
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path!r} is not a readable Parquet file: {reason}; write it again") from None
    names: list[str] = data.column_names
    require_distinct_names(path, names)
    require_rows(path, data.num_rows)
    columns = {
        name: _column_of_arrow(arrow, path, name, data.column(name))
        for name in kept_columns(path, names, drop)
    }
    return Table(path, columns, data.num_rows, lambda row: f"row {row + 1}")


def _column_of_arrow(arrow: ModuleType, path: str, name: str, column: "ChunkedArray") -> Column:
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if types.is_boolean(kind):
        column = column.cast(arrow.int8())
    elif types.is_string(kind) or types.is_large_string(kind):
        return [None if text is None or text in MISSING else text for text in column.to_pylist()]
    elif not (
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)
    ):
        raise ProblemError(
            f"{path!r} column {name!r}: type {kind} cannot be learnt from; allowed: numbers, "
            f"booleans, texts; convert it or leave it out with drop=[{name!r}]"
        )
    # safe=False: integers beyond 2^53 are rounded rather than refused.
    numbers = column.cast(arrow.float64(), safe=False).to_numpy()
    return np.array(numbers, dtype=np.float64)


def require_distinct_names(path: str, names: Sequence[str]) -> None:
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise ProblemError(f"{path!r}: {times} columns are called {name!r}; rename them")


def require_rows(path: str, rows: int) -> None:
    if rows < MIN_ROWS:
        what = "no rows of data" if rows == 0 else f"{rows} row{'s' * (rows > 1)}"
        raise ProblemError(f"{path!r} holds {what}; at least {MIN_ROWS} rows are needed")


def kept_columns(path: str, names: Sequence[str], drop: Sequence[str]) -> list[str]:
    drop = [drop] if isinstance(drop, str) else drop
    for name in drop:
        if name not in names:
            raise ProblemError(f"{path!r}: drop: no column {name!r}; {nearest_column(name, names)}")
    return [name for name in names if name not in drop]


def nearest_column(name: str, names: Sequence[str]) -> str:
    """As errors.nearest, but of a wide table only the names that come close."""
    if len(names) > 20:
        return nearest(name, get_close_matches(name, names, n=5, cutoff=0.4) or names[:5])
    return nearest(name, names)
