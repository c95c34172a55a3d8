"""Parquet files in blocks, by pyarrow, row group by row group."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from ..errors import FileError
from .block import Block, Pass, Position
from .sources import Source, require_pyarrow
from .tables import Columns, Layout, kind_of, one_line, standardise, unique

if TYPE_CHECKING:
    from pyarrow import parquet


class Parquet:
    """A reader of Parquet files, row group by row group."""

    def __init__(self, files: tuple[Source, ...], columns: Columns, size: int, rows: int) -> None:
        path = files[0].path
        require_pyarrow("Parquet", path)
        self._size, self._most = size, rows
        with self._open(files[0]) as file:
            schema = file.schema_arrow
            self._layout = Layout(
                path, {n: kind_of(schema.field(n).type) for n in unique(path, schema.names)}, columns
            )
        self.features: int | None = self._layout.features
        self.names: list[str] | None = self._layout.numbers
        self.layout = self._layout.plain
        self.ordered: tuple[str, ...] = ()

    def standardise(self, files: Sequence[Source], centred: bool) -> None:
        """Scale numeric columns from now on, by the first rows of the files (``tables.standardise``)."""
        self.ordered = standardise(self._layout, self.blocks, files, 0, centred)

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
        import pyarrow as pa

        layout, path = self._layout, source.path
        with self._open(source) as file:
            names = unique(path, file.schema_arrow.names)
            layout.check(path, names)
            kinds = {n: kind_of(file.schema_arrow.field(n).type) for n in layout.needed}
            for n in layout.needed:
                if kinds[n] != layout.kinds[n]:
                    raise FileError(
                        f"{path}: column {n!r} is {kinds[n]}, but {layout.kinds[n]} in {layout.path}"
                    )
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
                            made = layout.block(path, position, run, batch, {}, first)
                            if made is not None:
                                yield made
                except FileError:
                    raise
                except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
                    raise FileError(
                        f"{path}: row group {g} (from row {row + 1}) is damaged ({one_line(error)})"
                    ) from None
