"""``Stream``: labelled examples from one or many files, in blocks, as often as wanted."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import FileError
from .ahead import ahead
from .block import Block, Pass, Position
from .cache import Cache
from .sources import Source, first_pipe

if TYPE_CHECKING:
    from .csv import Csv
    from .parquet import Parquet

Array = np.ndarray[Any, Any]


class Format(Protocol):
    """A reader of files of one format."""

    features: int | None
    names: list[str] | None
    columns: dict[str, Any] | None
    ordered: tuple[str, ...]

    @property
    def labels(self) -> Array | None:
        """The different numbers of the target in the first rows, where they were looked at."""

    @property
    def layout(self) -> dict[str, Any]:
        """What another stream needs for the same features."""

    def names_of(self, features: Collection[int]) -> dict[int, str]:
        """What features stand for."""

    def blocks(self, file: Source, at: Position, run: Pass) -> Generator[Block, None, None]:
        """The blocks of one file from a position on."""


class Stream:
    """Blocks of labelled examples; made by ``open_stream``.

    Iterating is one pass from the beginning; every pass yields the same blocks. format: what the files
    hold. paths: the files, in order. features: how many there are, or None where only reading tells
    (SVMlight). names: the names of the first features (CSV, Parquet). skipped, reasons: of the latest
    pass, how many bad lines were skipped, and why the first ten were.
    """

    def __init__(
        self,
        format: str,
        files: tuple[Source, ...],
        reader: Format,
        stop: bool,
        depth: int,
        cache: Cache | None,
    ) -> None:
        self.format = format
        self.sources = files
        self._cache = cache
        self._reader = reader
        self._stop = stop
        self._depth = depth
        self._run = Pass(stop)
        self.remedy = self._run.remedy  # of a bad line, where it stops the pass

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in order."""
        return tuple(source.path for source in self.sources)

    @property
    def pipe(self) -> Path | None:
        """The first of the files that can be read only once; None where none is."""
        return first_pipe(self.sources)

    @property
    def features(self) -> int | None:
        """How many features there are, or None where only reading tells."""
        return self._reader.features

    @property
    def names(self) -> list[str] | None:
        """CSV, Parquet: the numeric columns and products of them; feature i is ``names[i]``, hashed columns come after."""
        return self._reader.names

    def feature_names(self, features: Collection[int]) -> dict[int, str]:
        """What features stand for, by index: a column, ``column=text`` of a text that the first rows have, a name that the
        first lines have, or a number.
        """
        return self._reader.names_of(features)

    @property
    def ordered(self) -> tuple[str, ...]:
        """The numeric columns by which the first rows are sorted, where they were looked at (``scale``, ``missing``)."""
        return self._reader.ordered

    @property
    def layout(self) -> dict[str, Any]:
        """What makes other files' features the same as these: for their ``open_stream(layout=)``; as JSON has it."""
        return {"format": self.format, **self._reader.layout}

    @property
    def columns(self) -> dict[str, Any] | None:
        """CSV, Parquet: what the columns hold, and which are left out, as JSON has it; None with a layout, or where there are none."""
        return self._reader.columns

    @property
    def table_reader(self) -> Csv | Parquet:
        """What reads the files, for CSV and Parquet. Raises FileError where they are neither."""
        from .csv import Csv
        from .parquet import Parquet

        if not isinstance(self._reader, Csv | Parquet):
            raise FileError(f"{self.paths[0]}: is {self.format}, no table of named columns")
        return self._reader

    @property
    def classes(self) -> list[str] | None:
        """CSV, Parquet: the texts that labels 0, 1, ... stand for; None where they are numbers."""
        return self._reader.layout.get("classes")

    @property
    def labels(self) -> Array | None:
        """CSV, Parquet: the different numbers of the target in the first rows, ascending; None where they are texts, not
        needed, or a layout says all.
        """
        return self._reader.labels

    @property
    def odd_cells(self) -> dict[str, tuple[int, str]]:
        """Cells that the latest pass has taken for missing as they are no numbers: by column how many, and the first."""
        return self._run.odd_cells

    @property
    def odd_text(self) -> str:
        """How many lines of the latest pass are not UTF-8, though read so, and where the first is; "" where all are."""
        return self._run.told_text

    @property
    def skipped(self) -> int:
        """How many bad lines the latest pass has skipped."""
        return self._run.skipped

    @property
    def reasons(self) -> list[str]:
        """Why it skipped the first of them."""
        return self._run.reasons

    def __iter__(self) -> Iterator[Block]:
        return self.blocks()

    def blocks(self, position: dict[str, int] | None = None) -> Generator[Block, None, None]:
        """A pass from a block's ``position`` on (None: from the beginning).

        ``close()`` ends it early. Raises FileError for what cannot be read, HyperparameterError for
        what is no position.
        """
        at = Position() if position is None else Position.of(position, len(self.paths))
        return ahead(lambda: self._pass(at), self._depth)

    def _pass(self, at: Position) -> Generator[Block, None, None]:
        cache = self._cache
        if cache is None:
            yield from self._read(at)
            return
        if cache.holds(at):
            run = self._run = Pass(self._stop, reasons=cache.reasons)
            for block in cache.blocks(at):
                at = Position(**block.position)
                run.skipped = at.skipped
                yield block
            if cache.whole:
                run.skipped = cache.skipped
                return
            # It turned out to be damaged: the files themselves go on from here.
            yield from self._read(at)
        elif at == Position():
            yield from cache.write(self._read(at), lambda: self._run)
        else:
            yield from self._read(at)

    def _read(self, at: Position) -> Generator[Block, None, None]:
        features = at.features if self.features is None else self.features
        run = self._run = Pass(self._stop, at.row, at.skipped, features, remedy=self.remedy)
        for k in range(at.file, len(self.sources)):
            yield from self._reader.blocks(self.sources[k], at if k == at.file else Position(file=k), run)
