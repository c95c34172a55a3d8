"""Parquet files in blocks, by pyarrow, row group by row group."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import FileError
from .arrow import kind_of, micros_of, one_line, unique
from .arrow_library import require_pyarrow
from .block import Block, Pass, Position
from .cells import DOTS, MISSING, WEAK, instants_of
from .first_rows import measure
from .kinds import PREFIX_ROWS, Column, Tables
from .sources import Source
from .table_blocks import block_of
from .tables import Array, Cells, Columns, Layout, Stretch

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

_READ = ("number", "text", "instant")
_BATCH = 1 << 13  # rows of the prefix that are looked at together


class Parquet:
    """A reader of Parquet files, row group by row group."""

    def __init__(self, files: tuple[Source, ...], columns: Columns, size: int, rows: int) -> None:
        path = files[0].path
        require_pyarrow("Parquet", path)
        self._size, self._most = size, rows
        with self._open(files[0]) as file:
            schema = file.schema_arrow
            types = {n: kind_of(schema.field(n).type) for n in unique(path, schema.names)}
            kinds = {n: Column(kind) for n, kind in types.items()}
            read = [n for n in types if types[n] in _READ and n not in columns.of(types).ignore]
            if columns.layout is None:
                tables = Tables(read)
                for table in self._prefix(file, read):
                    tables.add(table)
                kinds |= tables.columns(types, columns.na, None)
            self.table_layout = layout = Layout(path, kinds, columns, typed=True)
        self._most = layout.products.most_rows(size, rows)
        self.features: int | None = layout.features
        self.names: list[str] | None = layout.names
        self.columns = layout.told
        self.ordered: tuple[str, ...] = ()

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
        self.ordered = measure(self.table_layout, self.tables, files, 0, scale)

    @staticmethod
    def _prefix(file: parquet.ParquetFile, names: list[str]) -> Iterator[pa.Table]:
        """Those columns of the first rows; what is damaged ends them: the pass over the file says where."""
        import pyarrow as pa

        left = PREFIX_ROWS
        with suppress(OSError, pa.ArrowException, UnicodeDecodeError):
            for batch in file.iter_batches(_BATCH, columns=names, use_threads=False):
                yield pa.Table.from_batches([batch.slice(0, left)])
                left -= batch.num_rows
                if left <= 0:
                    return

    def _plain(self, table: pa.Table) -> tuple[pa.Table, Cells]:
        """A table with instants as numbers; texts that are none are listed."""
        cells = Cells()
        for name in self.table_layout.instants:
            column = table[name]
            if kind_of(column.type) == "instant":
                column = micros_of(column)
            else:
                column, cells[name] = instants_of(
                    column,
                    (*MISSING, *self.table_layout.columns.na, *WEAK, *DOTS),
                    self.table_layout.ways.get(name, ""),
                )
            table = table.set_column(table.column_names.index(name), name, column)
        return table, cells

    @staticmethod
    def _open(source: Source) -> parquet.ParquetFile:
        import pyarrow as pa
        from pyarrow import parquet

        path = source.path
        if source.pipe is not None:
            raise FileError(
                f"{path}: is a pipe; Parquet begins at its end and cannot be read from one: write it to a file first"
            )
        try:
            return parquet.ParquetFile(
                path, pre_buffer=False, buffer_size=1 << 16, page_checksum_verification=True
            )
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            raise FileError(f"{path}: is not a whole Parquet file ({one_line(error)})") from None

    def blocks(self, source: Source, at: Position, run: Pass) -> Generator[Block, None, None]:
        """The blocks of one file from a position on."""
        for stretch in self.tables(source, at, run):
            block = block_of(self.table_layout, source.path, run, stretch)
            if block is not None:
                yield block

    def tables(self, source: Source, at: Position, run: Pass) -> Generator[Stretch, None, None]:
        """What each block of a file holds, from a position on."""
        import pyarrow as pa

        layout, path = self.table_layout, source.path
        with self._open(source) as file:
            names = unique(path, file.schema_arrow.names)
            layout.check(path, names)
            for n in layout.needed:
                kind = kind_of(file.schema_arrow.field(n).type)
                hashed = layout.kinds[n] == "text" and kind in _READ and layout.columns.layout is not None
                parsed = layout.kinds[n] == "instant" and kind == "text"
                if kind != layout.kinds[n] and not (hashed or parsed):
                    raise FileError(f"{path}: column {n!r} is {kind}, but {layout.kinds[n]} in {layout.path}")
            groups = [file.metadata.row_group(g) for g in range(file.num_row_groups)]
            row = sum(g.num_rows for g in groups[: at.offset])
            if at.offset > len(groups) or at.line > file.metadata.num_rows:
                raise FileError(f"{path}: ends before the position; it is not the file that was read")
            for g in range(at.offset, len(groups)):
                width = max(
                    1, groups[g].total_byte_size // max(1, groups[g].num_rows), 8 * len(layout.needed)
                )
                rows = min(max(1, self._size // width), self._most)
                end = row + groups[g].num_rows
                try:
                    for batch in file.iter_batches(
                        rows, row_groups=[g], columns=layout.needed, use_threads=False
                    ):
                        first, row = row + 1, row + batch.num_rows
                        if row > at.line:
                            position = Position(at.file, g + (row == end), row)
                            table, cells = self._plain(pa.Table.from_batches([batch]))
                            yield Stretch(position, table, first, cells)
                except FileError:
                    raise
                except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
                    raise FileError(
                        f"{path}: row group {g} (from row {row + 1}) is damaged ({one_line(error)})"
                    ) from None
