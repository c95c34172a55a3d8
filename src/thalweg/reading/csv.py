"""CSV files in blocks, by pyarrow: whole rows of a bounded buffer, parsed with the types of the first file."""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..engines.cpu.job import Job
from ..errors import FileError, HyperparameterError
from .block import Block, Pass, Position
from .sources import MARK, Buffer, Bytes, Source, require_pyarrow, sample
from .tables import Array, Columns, Layout, Reasons, kind_of, one_line, run, standardise, unique

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE = 1 << 20  # bytes of the first file that tell the types of its columns
_HEAD = 1 << 16  # bytes that hold a file's first line
_NUMBER = r"(?i)^[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity)$"
_TRUTH = r"(?i)^(0|1|true|false)$"
_MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?")

# How many rows a stretch of CSV holds, where the last of them ends, and which are odd: their number,
# how many fields they have (-1: a carriage return in an unquoted field), where they begin and end.
# A newline inside quotes ends no row, a blank line is none.
_RECORDS_JOB = Job("text", "size", "rows", "delimiter", "width", "odd", "done", "count", "found")
_RECORDS = """
def kernel(job):
    p = octets(job[TEXT])
    odd = words(job[ODD])
    i = 0
    rows = 0
    begin = 0
    found = 0
    quoted = False
    closed = False
    start = True
    stray = False
    length = 0
    fields = 1
    while i < job[SIZE] and rows < job[ROWS]:
        c = p[i]
        if quoted:
            quoted = c != 34
            closed = not quoted
            length += 1
            i += 1
            continue
        if c == 10:
            if length > 0:
                if stray or fields != job[WIDTH]:
                    odd[4 * found] = rows
                    odd[4 * found + 1] = -1 if stray else fields
                    odd[4 * found + 2] = begin
                    odd[4 * found + 3] = i + 1
                    found += 1
                rows += 1
            begin = i + 1
            length = 0
            fields = 1
            stray = False
            start = True
        elif c == 34 and (start or closed):
            quoted = True
            start = False
            length += 1
        else:
            start = c == job[DELIMITER]
            fields += start
            if c != 13:
                length += 1
            elif p[i + 1] != 10:
                stray = True
                length += 1
        closed = False
        i += 1
    job[DONE] = begin
    job[COUNT] = rows
    job[FOUND] = found
    return 0
"""

Odd = list[list[int]]


class Csv:
    """A reader of CSV files whose first line names the columns."""

    def __init__(
        self, files: tuple[Source, ...], columns: Columns, size: int, rows: int, delimiter: str | None
    ) -> None:
        pa = require_pyarrow("CSV", files[0].path)
        if delimiter is None:
            delimiter = "\t" if ".tsv" in (s.lower() for s in files[0].path.suffixes) else ","
        if (
            not isinstance(delimiter, str)
            or len(delimiter) != 1
            or not delimiter.isascii()
            or delimiter in '"\r\n'
        ):
            raise HyperparameterError(f"open_stream: delimiter must be one character, got {delimiter!r}")
        self._delimiter, self._size, self._rows = delimiter, size, rows
        head = sample(files[0], _SAMPLE)
        path = files[0].path
        names, begin = self._header(path, head)
        body = np.frombuffer(head[begin:] + b"\n\n", np.uint8)
        have = len(head) - begin + (len(head) < _SAMPLE)
        end, _, odd = self._records(body, have, len(body), len(names))
        try:
            table = self._parse(_without(odd, bytes(body[:end])), names, {})
        except pa.ArrowException as error:
            raise FileError(f"{path}: is not CSV ({one_line(error)})") from None
        kinds = {n: kind_of(table.schema.field(n).type) for n in names}
        kinds |= {n: "text" for n in columns.texts() if n in kinds}
        kinds |= {n: "number" for n in columns.numbers() if n in kinds}
        self._layout = layout = Layout(path, kinds, columns)
        truths = {n for n in names if pa.types.is_boolean(table.schema.field(n).type)}
        self._types = {n: pa.binary() for n in layout.needed}
        for n in layout.needed:
            if n in layout.numbers or n in (columns.target, columns.weight):
                self._types[n] = pa.bool_() if n in truths else pa.float64()
        self.features: int | None = layout.features
        self.names: list[str] | None = layout.numbers
        self.layout = layout.plain
        self.ordered: tuple[str, ...] = ()

    def standardise(self, files: Sequence[Source], centred: bool) -> None:
        """Scale numeric columns from now on, by the first rows of the files (``tables.standardise``)."""
        head = sample(files[0], _HEAD)
        self.ordered = standardise(
            self._layout, self.blocks, files, len(head) // max(1, head.count(b"\n")), centred
        )

    def _header(self, path: Path, head: bytes) -> tuple[list[str], int]:
        """The names in the first line of a file that begins so, and where the rows begin.

        A line break within quotes belongs to its name, as in the rows. Raises FileError.
        """
        marked = len(MARK) if head.startswith(MARK) else 0
        lines = re.findall(rb"[^\n]*\n|[^\n]+", head[marked:_HEAD])
        texts = [line.decode("utf-8", "replace") for line in lines]
        try:
            reader = csv.reader(texts, delimiter=self._delimiter)
            fields = next(reader, [])
            if reader.line_num > 1:  # strict: a quote must end
                next(csv.reader(texts[: reader.line_num], delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise FileError(f"{path}: its first line is not CSV ({one_line(error)})") from None
        if not any(fields):
            raise FileError(f"{path}: its first line names no columns")
        begin = marked + sum(map(len, lines[: reader.line_num]))
        if begin >= _HEAD:
            raise FileError(f"{path}: its first line is longer than {_HEAD} bytes; is it CSV?")
        return unique(path, fields), begin

    def _records(self, text: Array, have: int, rows: int, width: int) -> tuple[int, int, Odd]:
        """Where the last whole row ends, how many rows there are before, and the odd ones; ``text[have]`` exists."""
        odd = np.empty((min(rows, have) + 1, 4), np.int64)
        done = run(
            _RECORDS_JOB,
            _RECORDS,
            text=text.ctypes.data,
            size=have,
            rows=rows,
            delimiter=ord(self._delimiter),
            width=width,
            odd=odd.ctypes.data,
        )
        return done["done"], done["count"], odd[: done["found"]].tolist()

    def _parse(self, text: bytes, names: list[str], types: dict[str, pa.DataType]) -> pa.Table:
        """An Arrow table of whole rows, none of them odd."""
        import pyarrow as pa
        from pyarrow import csv as reader

        if not text.strip(b"\r\n"):
            return pa.table({n: pa.array([], types.get(n, pa.null())) for n in types or names})
        options = {"include_columns": list(types)} if types else {}
        return reader.read_csv(
            pa.BufferReader(text),
            reader.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
            reader.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            reader.ConvertOptions(
                column_types=types, null_values=list(_MISSING), strings_can_be_null=False, **options
            ),
        )

    def _table(self, text: bytes, names: list[str]) -> tuple[pa.Table, Reasons]:
        """``_parse``; cells that are no numbers are missing in the table, and their rows are bad."""
        import pyarrow as pa

        try:
            return self._parse(text, names, self._types), {}
        except pa.ArrowException:
            bad: Reasons = {}
        raw = self._parse(text, names, dict.fromkeys(self._types, pa.binary()))
        made = []
        for name, kind in self._types.items():
            column = raw[name]
            if not pa.types.is_binary(kind):
                column, odd = _cells(column, kind)
                for k, cell in odd:
                    bad.setdefault(k, f"column {name!r}: {cell!r} is not a number")
            made.append(column)
        return pa.table(made, names=list(self._types)), bad

    def blocks(self, file: Source, at: Position, run: Pass) -> Generator[Block, None, None]:
        """The blocks of one file from a position on."""
        from pyarrow import ArrowException

        path = file.path
        names, begin = self._header(path, sample(file, _HEAD))
        self._layout.check(path, names)
        offset, line = at.offset or begin, at.line
        with Bytes(file, offset) as source:
            buffer = Buffer(source, self._size)
            while have := buffer.fill():
                end, rows, odd = self._records(buffer.text, have, self._rows, len(names))
                if not end and buffer.ended:
                    run.bad(path, line + 1, "a quoted field does not end", "row")
                    return
                if not end:
                    run.bad(
                        path,
                        line + 1,
                        f"it is longer than a block of {self._size} bytes; raise block_bytes",
                        "row",
                    )
                    offset, line = offset + buffer.drop_line(), line + 1
                    continue
                try:
                    table, bad = self._table(_without(odd, bytes(buffer.text[:end])), names)
                except ArrowException as error:
                    raise FileError(
                        f"{path}: rows {line + 1} to {line + rows} are not CSV ({one_line(error)})"
                    ) from None
                if table.num_rows + len(odd) != rows:
                    raise FileError(
                        f"{path}: rows {line + 1} to {line + rows}: a quote stands where no field begins or ends"
                    )
                offset += buffer.drop(end)
                first, line = line + 1, line + rows
                made = self._made(path, Position(at.file, offset, line), run, table, odd, bad, first, rows)
                if made is not None:
                    yield made

    def _made(
        self,
        path: Path,
        at: Position,
        run: Pass,
        table: pa.Table,
        odd: Odd,
        bad: Reasons,
        first: int,
        rows: int,
    ) -> Block | None:
        """The block of a table without the odd rows: they are put back as bad ones."""
        if odd:
            import pyarrow as pa

            place = np.full(rows, -1, np.int64)
            place[np.setdiff1d(np.arange(rows), [k for k, *_ in odd])] = np.arange(table.num_rows)
            full = np.flatnonzero(place >= 0).tolist()
            width = len(self._layout.kinds)
            bad = {full[k]: why for k, why in bad.items()}
            for k, fields, *_ in odd:
                told = f"{fields} fields where the first line names {width}"
                bad[k] = "a carriage return stands in a field without quotes" if fields < 0 else told
            table = table.take(pa.array(place, mask=place < 0))
        return self._layout.block(path, at, run, table, bad, first)


def _without(odd: Odd, text: bytes) -> bytes:
    """A stretch of CSV without its odd rows."""
    if not odd:
        return text
    ends = [0, *(end for *_, end in odd)]
    begins = [*(begin for _, _, begin, _ in odd), len(text)]
    return b"".join(text[a:b] for a, b in zip(ends, begins, strict=True))


def _cells(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[pa.Array, list[tuple[int, str]]]:
    """Cells of text as numbers, missing where they are none; which those are, and their text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.cast(column.combine_chunks(), options=pc.CastOptions(pa.string(), allow_invalid_utf8=True))
    text = pc.ascii_trim_whitespace(text)
    missing = pc.is_in(text, pa.array(_MISSING))
    pattern = _TRUTH if pa.types.is_boolean(kind) else _NUMBER
    good = pc.or_(missing, pc.match_substring_regex(text, pattern))
    odd = [
        (k, text[k].as_buffer().to_pybytes().decode("utf-8", "replace")[:40])
        for k in np.flatnonzero(~np.asarray(good)).tolist()
    ]
    kept = pc.if_else(pc.and_(good, pc.invert(missing)), text, pa.scalar(None, pa.string()))
    return kept.cast(kind), odd
