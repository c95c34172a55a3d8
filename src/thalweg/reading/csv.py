"""CSV files in blocks, by pyarrow: whole rows of a bounded buffer, their cells as the first file's prefix decides."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileError
from .arrow import one_line
from .arrow_library import require_pyarrow
from .block import Block, Pass, Position
from .cells import DOTS, MISSING, PLAIN, WEAK, instants_of, numbers_of
from .dialect import Dialect, Head, head_of
from .first_rows import ParsedRows, measure
from .kernels.records import JOB, RECORDS, REMARK, STRAY
from .kinds import PREFIX_BYTES, PREFIX_ROWS, Column, Tables
from .sources import NEWLINE, Buffer, Bytes, Source, sample
from .table_blocks import block_of
from .tables import CELLS, Array, Cells, Columns, Layout, Reasons, Stretch, run

if TYPE_CHECKING:
    import pyarrow as pa

_PIECE = 1 << 20  # bytes of the prefix that are looked at together

OddRows = list[list[int]]


class Csv:
    """A reader of CSV files."""

    def __init__(
        self, files: tuple[Source, ...], columns: Columns, size: int, rows: int, dialect: Dialect
    ) -> None:
        require_pyarrow("CSV", files[0].path)
        dialect.check()
        self._dialect, self._size, self._rows, self._first = dialect, size, rows, files[0]
        self._na = (*MISSING, *columns.na)
        self._parsed = ParsedRows(files[0].identity())
        head = head_of(files[0], dialect)
        self._first = head.source
        if columns.layout is None:
            kinds = self._kinds(head, columns)
        else:
            kinds = {n: Column(CELLS) for n in head.names}
        self.table_layout = layout = Layout(files[0].path, kinds, columns)
        self._rows = layout.products.most_rows(size, rows)
        self._gone = (*self._na, *WEAK, *DOTS)  # what says in a column of numbers that a value is missing
        self._types = {n: self._type(n) for n in layout.needed}
        as_they_are = {n for n in layout.needed if self._is_plain(n) or layout.kinds[n] == "text"}
        self._parsed.settle({n: type for n, type in self._types.items() if n in as_they_are})
        self.features: int | None = layout.features
        self.names: list[str] | None = layout.names
        self.columns = layout.told
        self.ordered: tuple[str, ...] = ()
        self._row_bytes = head.row_bytes

    @property
    def labels(self) -> Array | None:
        """The different numbers of the target in the first rows; None where nobody looked, or they are texts."""
        return self.table_layout.labels

    @property
    def layout(self) -> dict[str, Any]:
        """What another stream needs for the same features."""
        return self.table_layout.plain

    def names_of(self, features: Collection[int]) -> dict[int, str]:
        """What features stand for (``tables.Layout.names_of``)."""
        return self.table_layout.names_of(features)

    def measure(self, files: Sequence[Source], scale: str) -> None:
        """Take the means of numeric columns, and scale them, by the first rows of the files (``first_rows.measure``)."""
        self.ordered = measure(self.table_layout, self.tables, files, self._row_bytes, scale, self._parsed)

    def _kinds(self, head: Head, columns: Columns) -> dict[str, Column]:
        """What the columns hold, from the prefix."""
        import pyarrow as pa
        import pyarrow.compute as pc

        tables = Tables(head.names)
        # Where the user says how numbers are written, Arrow's own idea of them is none of ours.
        types = {} if columns.form is None else dict.fromkeys(head.names, pa.binary())
        for text, rows in self._pieces(head):
            try:
                table = self._parse(text, head, types, (*self._na, *WEAK))
                whole = [n for n in head.names if pa.types.is_integer(table.schema.field(n).type)]
                if whole and b"0x" in text.lower():  # Arrow's integers may be hexadecimal, its floats are not
                    again = self._parse(text, head, dict.fromkeys(whole, pa.binary()), ())
                    hexadecimal = [
                        n for n in whole if pc.any(pc.match_substring_regex(again[n], "(?i)^ *0x")).as_py()
                    ]
                    for n in hexadecimal:
                        table = table.set_column(table.column_names.index(n), n, again[n])
                times = [n for n in head.names if pa.types.is_time(table.schema.field(n).type)]
                if times:  # 9:30 and 09:30:00 are one time, but two texts
                    again = self._parse(text, head, dict.fromkeys(times, pa.binary()), ())
                    for n in times:
                        table = table.set_column(table.column_names.index(n), n, again[n])
                tables.add(table)
                self._parsed.add(table, rows)
            except pa.ArrowException as error:
                raise FileError(f"{self._first}: is not CSV ({one_line(error)})") from None
        return tables.columns(None, columns.na, columns.form, columns.dates)

    def _pieces(self, head: Head) -> Iterator[tuple[bytes, int]]:
        """The rows of the first file's prefix that have as many fields as its head, in pieces; how many with the others."""
        most = head.begin + PREFIX_BYTES
        room = np.empty(most + 2, np.uint8)
        with Bytes(self._first, look=True) as source:
            count = source.fill(room.data[:most])
        room[count : count + 2] = NEWLINE
        whole = count < most
        body = room[head.begin : count + 2]
        size, at, left = len(body) - 2 + whole, 0, PREFIX_ROWS
        while at < size and left:
            have = min(_PIECE, size - at)
            last = whole and at + have == size
            end, rows, odd = self._records(body[at:], have, left, head, last)
            if not end and at + have < size:
                have = size - at
                end, rows, odd = self._records(body[at:], have, left, head, True)
            if not end:
                return
            yield _without(odd, body[at : at + end].tobytes()), rows
            at, left = at + end, left - rows

    def _type(self, name: str) -> pa.DataType:
        """The type that pyarrow reads a column with; text of numbers and instants is read by us afterwards."""
        import pyarrow as pa

        return pa.float64() if self._is_plain(name) else pa.binary()

    def _is_plain(self, name: str) -> bool:
        """Whether a column's cells are numbers as pyarrow reads them."""
        layout = self.table_layout
        return layout.kinds[name] == "number" and layout.forms.get(name, PLAIN) == PLAIN

    def _records(self, text: Array, have: int, rows: int, head: Head, last: bool) -> tuple[int, int, OddRows]:
        """Where the last whole row ends, how many rows there are before, and the odd ones; ``text[have]`` exists."""
        odd = np.empty((min(rows, have) + 1, 4), np.int64)
        done = run(
            JOB,
            RECORDS,
            text=text.ctypes.data,
            size=have,
            rows=rows,
            delimiter=ord(head.delimiter),
            width=len(head.names),
            odd=odd.ctypes.data,
            last=last,
            remark=ord(self._dialect.comment) if self._dialect.comment else -1,
        )
        return done["done"], done["count"], odd[: done["found"]].tolist()

    def _parse(
        self, text: bytes, head: Head, types: dict[str, pa.DataType], missing: tuple[str, ...]
    ) -> pa.Table:
        """An Arrow table of whole rows, none of them odd: of the columns that types names, or of all."""
        import pyarrow as pa
        from pyarrow import csv as reader

        if not text.strip(b"\r\n"):
            return pa.table({n: pa.array([], types.get(n, pa.null())) for n in types or head.names})
        options = {"include_columns": list(types)} if types else {}
        return reader.read_csv(
            pa.BufferReader(text),
            reader.ReadOptions(column_names=head.names, use_threads=False, block_size=len(text) + 1),
            reader.ParseOptions(delimiter=head.delimiter, newlines_in_values=True),
            reader.ConvertOptions(
                column_types=types, null_values=list(missing), strings_can_be_null=False, **options
            ),
        )

    def _table(self, text: bytes, head: Head, types: dict[str, pa.DataType]) -> tuple[pa.Table, Cells]:
        """Those of the needed columns; cells that are no numbers or instants are missing in the table, and listed."""
        import pyarrow as pa

        try:
            table = self._parse(text, head, types, self._gone)
        except pa.ArrowException:
            types = dict.fromkeys(types, pa.binary())
            table = self._parse(text, head, types, self._gone)
        layout, odd = self.table_layout, Cells()
        columns = []
        for name, type in types.items():
            column, kind = table[name], layout.kinds[name]
            if kind == "number" and pa.types.is_binary(type):
                column, odd[name] = numbers_of(column, layout.forms.get(name, PLAIN), self._gone)
            elif kind == "instant":
                column, odd[name] = instants_of(column, self._gone, layout.ways.get(name, ""))
            columns.append(column)
        return pa.table(columns, names=list(types)), odd

    def _needed(
        self, parsed: pa.Table | None, text: Array, odd: OddRows, head: Head
    ) -> tuple[pa.Table, Cells]:
        """All needed columns of a stretch of text but for its odd rows; parsed: those that have been read before."""
        known = {} if parsed is None else dict(zip(parsed.column_names, parsed.columns, strict=True))
        types = {name: type for name, type in self._types.items() if name not in known}
        if not types:
            return parsed, Cells()
        table, cells = self._table(_without(odd, text.tobytes()), head, types)
        for name, column in known.items():
            table = table.append_column(name, column)
        return table, cells

    def tables(self, file: Source, at: Position, run: Pass) -> Generator[Stretch, None, None]:
        """What each block of a file holds, from a position on."""
        from pyarrow import ArrowException

        path = file.path
        head = head_of(file, self._dialect)
        file = head.source
        self.table_layout.check(path, head.names)
        offset, line = at.offset or head.begin, at.line
        if not at.offset:
            run.check_text(path, 0, np.frombuffer(sample(file.look(), head.begin), np.uint8))
        parsed = self._parsed if self._parsed.identity == file.identity() else None
        with Bytes(file, offset) as source:
            buffer = Buffer(source, self._size)
            while have := buffer.fill():
                end, rows, odd = self._records(buffer.text, have, self._rows, head, buffer.ended)
                if not end:
                    why = f"it is longer than a block of {self._size} bytes; raise block_bytes, or close its quote"
                    run.bad(path, line + 1, why, "row")
                    offset, line = offset + buffer.drop_line(), line + 1
                    continue
                run.check_text(path, offset, buffer.text[:end])
                before = parsed.take(line, rows) if parsed is not None and not odd else None
                try:
                    table, cells = self._needed(before, buffer.text[:end], odd, head)
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
                table, cells, bad, remarks = _whole(table, cells, odd, rows, len(head.names))
                if parsed is not None and line >= parsed.rows and not file.looked:
                    parsed.forget()
                yield Stretch(Position(at.file, offset, line), table, first, cells, bad, remarks)

    def blocks(self, file: Source, at: Position, run: Pass) -> Generator[Block, None, None]:
        """The blocks of one file from a position on."""
        for stretch in self.tables(file, at, run):
            block = block_of(self.table_layout, file.path, run, stretch)
            if block is not None:
                yield block


def _whole(
    table: pa.Table, cells: Cells, odd: OddRows, rows: int, width: int
) -> tuple[pa.Table, Cells, Reasons, set[int]]:
    """A table with the odd rows put back: their cells are missing; why they are bad, and which are comments."""
    if not odd:
        return table, cells, {}, set()
    import pyarrow as pa

    place = np.full(rows, -1, np.int64)
    place[np.setdiff1d(np.arange(rows), [k for k, *_ in odd])] = np.arange(table.num_rows)
    full = np.flatnonzero(place >= 0).tolist()
    cells = Cells({name: [(full[k], cell) for k, cell in found] for name, found in cells.items()})
    bad, remarks = {}, set()
    for k, what, *_ in odd:
        if what == REMARK:
            remarks.add(k)
        elif what == STRAY:
            bad[k] = "a carriage return stands in a field without quotes"
        else:
            bad[k] = "a quoted field does not end" if what < 0 else _fields(what, width)
    return table.take(pa.array(place, mask=place < 0)), cells, bad, remarks


def _fields(count: int, width: int) -> str:
    return f"{count} fields where the first line names {width}"


def _without(odd: OddRows, text: bytes) -> bytes:
    """A stretch of CSV without its odd rows."""
    if not odd:
        return text
    ends = [0, *(end for *_, end in odd)]
    begins = [*(begin for _, _, begin, _ in odd), len(text)]
    return b"".join(text[a:b] for a, b in zip(ends, begins, strict=True))
