"""How a file of cells is written: what stands between cells, where its rows begin, what its columns are called."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

from ..core.line import short
from ..errors import FileError, HyperparameterError
from .blanks import BLANKS
from .sources import MARK, Source, sample

DELIMITERS = (",", "\t", ";", "|", " ")  # those that are looked for, the more usual first
_HEADS = (1 << 16, 1 << 20, 1 << 24)  # bytes that hold a file's first rows: more are read where they do not
_LOOKED_AT = 100  # rows that tell the delimiter
_BLANKS_FROM = 0.95  # the share of rows that blanks must cut alike, which may stand in texts


class Dialect(NamedTuple):
    """What the user says of a file of cells. delimiter: "blanks" for any number of them; None: it is looked for. header: the first line names the columns.

    skip_lines: lines before it that are none of the table. comment: what lines begin with that are none either.
    """

    delimiter: str | None = None
    header: bool = True
    skip_lines: int = 0
    comment: str | None = None

    def check(self) -> None:
        """Raise HyperparameterError for what cannot be."""
        blanks = isinstance(self.delimiter, str) and self.delimiter == BLANKS
        delimiter = None if blanks else self.delimiter
        for name, text in (("delimiter", delimiter), ("comment", self.comment)):
            one = isinstance(text, str) and len(text) == 1 and text.isascii() and text not in '"\r\n'
            if text is not None and not one:
                raise HyperparameterError(f"open_stream: {name} must be one character, got {short(text)}")


class Head(NamedTuple):
    """How a file begins: what stands between its cells, the names of its columns, where its rows begin.

    source: the file, as it is to be read.
    """

    source: Source
    delimiter: str
    names: list[str]
    begin: int
    row_bytes: int  # of a row, about


def head_of(source: Source, dialect: Dialect) -> Head:
    """The head of a file. Raises FileError where it has none."""
    path = source.path
    if dialect.delimiter == BLANKS or (dialect.delimiter is None and _has_runs_of_blanks(source, dialect)):
        source, dialect = source.squeezed(), dialect._replace(delimiter=" ")
    for size in _HEADS:
        text = sample(source, size)
        whole = len(text) < size
        if text.startswith(b"PAR1") or b"\0" in text[:_LOOKED_AT]:
            what = "Parquet" if text.startswith(b"PAR1") else "binary"
            raise FileError(
                f"{path}: is {what} data, no text; say what it is by its name, or by format= (--format)"
            )
        begin = _begin(text, dialect)
        lines = re.findall(rb"[^\n]*\n|[^\n]+", text[begin:])
        if not whole and len(lines) > 1:
            lines.pop()  # cut
        texts = [line.decode("utf-8", "replace") for line in lines]
        delimiter = dialect.delimiter or _delimiter(path, texts, dialect.header)
        try:
            rows = csv.reader(texts, delimiter=delimiter)
            fields = next(rows, [])
            used = rows.line_num
            if whole or used < len(texts):
                if used > 1:  # strict: a quote must end
                    next(csv.reader(texts[:used], delimiter=delimiter, strict=True))
                break
        except csv.Error as error:
            raise FileError(f"{path}: its first line is not CSV ({' '.join(str(error).split())})") from None
    else:
        raise FileError(f"{path}: its first line is longer than {size} bytes; is it CSV?")
    if not any(fields):
        raise FileError(f"{path}: its first line names no columns")
    width = len(text) // max(1, text.count(b"\n"))
    if not dialect.header:
        return Head(source, delimiter, [_called(k) for k in range(len(fields))], begin, width)
    if _has_row_names(texts[used:], delimiter, len(fields)):
        fields.insert(0, "")
    for k in [k for k, name in enumerate(fields) if not name][1:]:  # of commas at the end of the line, say
        fields[k] = _called(k)
    twice = [name for name in fields if fields.count(name) > 1] if len(set(fields)) < len(fields) else []
    if twice:
        raise FileError(
            f"{path}: two columns are named {twice[0]!r}; rename one, or, if its first line names none, say so (header=False, --no-header)"
        )
    return Head(source, delimiter, fields, begin + sum(map(len, lines[:used])), width)


def _called(place: int) -> str:
    """What a column is called that has no name (``kinds.UNNAMED``)."""
    return f"column{place + 1}"


def _begin(text: bytes, dialect: Dialect) -> int:
    """Where the table begins: after a byte order mark, lines to skip and comments."""
    at = len(MARK) if text.startswith(MARK) else 0
    for _ in range(dialect.skip_lines):
        at = text.find(b"\n", at) + 1 or len(text)
    remark = (dialect.comment or "").encode()
    while remark and text.startswith(remark, at):
        at = text.find(b"\n", at) + 1 or len(text)
    return at


def _delimiter(path: Path, texts: list[str], header: bool) -> str:
    """What most likely stands between the cells: what cuts most rows into as many as the first."""
    if ".tsv" in (suffix.lower() for suffix in path.suffixes):
        return "\t"
    best, most = ",", 0.5
    for delimiter in DELIMITERS:
        alike = _alike(texts, delimiter, header)
        if alike > (most if delimiter != " " else max(most, _BLANKS_FROM)):
            best, most = delimiter, alike
    return best


def _alike(texts: list[str], delimiter: str, header: bool) -> float:
    """The share of rows that a delimiter cuts into as many cells as the first; 0 where those are fewer than two."""
    try:
        rows = csv.reader(texts, delimiter=delimiter)
        widths = [len(row) for row, _ in zip(rows, range(_LOOKED_AT), strict=False) if row]
    except csv.Error:
        return 0.0
    if not widths or widths[0] < 2:
        return 0.0
    body = widths[1:] or widths
    return sum(width in (widths[0], widths[0] + header) for width in body) / len(body)


def _has_runs_of_blanks(source: Source, dialect: Dialect) -> bool:
    """Whether nothing cuts the first rows into as many cells each but any number of blanks."""

    def lines(source: Source) -> list[str]:
        text = sample(source, _HEADS[0])
        body = text[_begin(text, dialect) :].splitlines(keepends=True)
        kept = body[:-1] if len(text) == _HEADS[0] else body
        return [line.decode("utf-8", "replace") for line in kept]

    texts = lines(source)
    if not any("  " in text or "\t" in text or text[:1] == " " for text in texts):
        return False
    if any(_alike(texts, delimiter, dialect.header) >= _BLANKS_FROM for delimiter in DELIMITERS):
        return False
    return _alike(lines(source.squeezed()), " ", dialect.header) >= _BLANKS_FROM


def _has_row_names(texts: list[str], delimiter: str, width: int) -> bool:
    """Whether every row has one cell more than the first line: R's row names, which that does not name."""
    try:
        rows = [
            row
            for row, _ in zip(csv.reader(texts, delimiter=delimiter), range(_LOOKED_AT), strict=False)
            if row
        ]
    except csv.Error:
        return False
    return len(rows) > 1 and all(len(row) == width + 1 and row[-1] != "" for row in rows)
