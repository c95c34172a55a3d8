"""``open_stream``: labelled examples from one or many files, in blocks, as often as wanted."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import FileError, HyperparameterError
from ..files import require_writable
from .ahead import ahead
from .block import Block, Pass, Position
from .cache import Cache
from .dates import ORDERS
from .layout import BITS, Layout, require_layout
from .sources import Paths, Source, first_pipe, format_of, sources
from .text import Text
from .unpack import require_encoding

if TYPE_CHECKING:
    from .cells import Form
    from .csv import Csv
    from .parquet import Parquet

Array = np.ndarray[Any, Any]
SCALES = ("none", "deviation", "rms")


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


def _whole(name: str, value: object, lowest: int, highest: int) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise HyperparameterError(
            f"open_stream: {name} must be a whole number in [{lowest}, {highest}], got {value!r}"
        )
    return value


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if not any(value is a or (isinstance(value, str) and value == a) for a in allowed):
        raise HyperparameterError(
            f"open_stream: {name} must be one of {', '.join(map(repr, allowed))}, got {value!r}"
        )


def _columns(name: str, value: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    try:
        columns = tuple(value)
    except TypeError:
        columns = None
    if columns is None or not all(isinstance(c, str) for c in columns):
        raise HyperparameterError(f"open_stream: {name} must be names of columns, got {value!r}")
    return columns


def _missing(given: str | None, layout: Layout | None) -> str:
    """What becomes of a missing number: as asked for; else the mean, where a layout does not know another fate."""
    if layout is None or "means" in layout:
        return given or "mean"
    if given == "mean":
        raise HyperparameterError("open_stream: layout= knows no means; missing must be 'bad' or 'zero'")
    return given or "bad"


def _form(decimal: str | None, thousands: str | None) -> Form | None:
    """How numbers are written, where the user says so. Raises HyperparameterError."""
    if decimal is None and thousands is None:
        return None
    from .cells import Form

    _one_of("decimal", decimal, (None, ".", ","))
    _one_of("thousands", thousands, (None, ".", ",", " ", "'"))
    decimal = decimal or ("," if thousands == "." else ".")
    if decimal == thousands:
        raise HyperparameterError(f"open_stream: decimal and thousands are both {decimal!r}")
    return Form(decimal, thousands or "", "dressed")


def _layout(given: dict[str, Any] | None, kind: str) -> Layout:
    """What a layout says, without its format. Raises HyperparameterError if it is none of this format."""
    if given is None:
        return {}
    try:
        return require_layout(given, kind)
    except HyperparameterError as error:
        raise HyperparameterError(f"open_stream: {error}") from None


def open_stream(
    paths: Paths,
    format: str = "auto",
    *,
    block_bytes: int = 4 << 20,
    block_rows: int = 1 << 16,
    on_bad_line: str = "stop",
    unlabelled: bool = False,
    zero_based: bool | str = "auto",
    features: int | None = None,
    bits: int = 18,
    target: str | None = None,
    weight: str | None = None,
    tag: str | None = None,
    ignore: str | Iterable[str] = (),
    categorical: str | Iterable[str] = (),
    numeric: str | Iterable[str] = (),
    interactions: str | Iterable[str] = (),
    missing: str | None = None,
    na: str | Iterable[str] = (),
    decimal: str | None = None,
    thousands: str | None = None,
    dates: str | None = None,
    classes: Iterable[str] | None = None,
    delimiter: str | None = None,
    header: bool = True,
    skip_lines: int = 0,
    comment: str | None = None,
    encoding: str | None = None,
    scale: str = "none",
    layout: dict[str, Any] | None = None,
    cache: str | os.PathLike[str] | None = None,
    ahead: int = 2,
) -> Stream:
    """Labelled examples from files larger than memory.

    paths: a file, a pattern (``"day*.svm.gz"``), or several of both; a pipe, for one pass. format: "svmlight", "vw", "csv",
    "parquet", or "auto": by name, else by the first line. gzip, zstd, bzip2, xz and a zip of one file are
    recognised by content.
    block_bytes, block_rows: a block ends at whichever comes first; memory is a small multiple of it.
    on_bad_line: "stop" (FileError naming file, line and reason) or "skip" (counted).
    unlabelled: a row may lack its label, which is NaN then; CSV and Parquet need no target, and take that of layout
    where its column is there.
    cache: a file for several passes: the first whole pass writes it, later ones read it instead of the
    files; it is rebuilt when these or the settings change, and when it is damaged.
    ahead: how many blocks a background thread reads ahead; 0: none, without a thread.

    SVMlight: zero_based: False, True, or "auto": True if index 0 occurs in the first 256 KiB of the
    first file. features: indices must be smaller.
    Vowpal Wabbit: bits: 2^bits features, as ``vw -b``. interactions: products of features of two namespaces, named by
    first letters, are features too, as ``vw -q``: "ab", "a:", "::".
    CSV and Parquet: target, weight, tag: their columns. ignore: columns left out. Text columns are
    hashed into 2^bits features after the numeric ones; so are the numeric ones named in categorical. interactions:
    products of two columns are features too: "a,b"; "::" is all pairs.
    What a CSV column holds is decided from the first 65,536 rows, or 16 MiB, of the first file: numbers where 95 %
    of its cells are, others being missing; ``Stream.columns`` tells it. numeric: of numbers whatever they hold.
    Rows without a label are left out and counted. A target of text is classes: ``classes``, or those of the prefix.
    missing: what becomes of a missing number: "mean" (the prefix's, and an indicator of its own), "bad" (a bad
    line) or "zero"; default: "mean", or what ``layout`` is made for. na: words for it beyond the usual ones.
    CSV: delimiter (default: as found: comma, tab, semicolon, bar, blank, or "blanks", any number of them). header: the first line names the columns.
    skip_lines: before it. comment: what lines of no row begin with. decimal, thousands: how numbers are written
    (default: as a whole column reads). dates: "dmy" or "mdy": which comes first where dates read both ways. encoding: of text (default: UTF-8, or UTF-16 by its mark).
    scale: "deviation": numeric columns are standardised by mean and deviation over the first 65,536 rows, or as many
    as fit in 16 MB, before they are narrowed to float32; "rms": divided by their root mean square there; "none".
    layout: another stream's ``layout``: features have the indices that they have there, whatever these
    files hold; it takes the place of zero_based, bits, ignore, categorical, numeric, interactions, scale.

    Raises HyperparameterError for settings, FileError for files; bad lines are found while iterating.
    """
    _one_of("on_bad_line", on_bad_line, ("stop", "skip"))
    _one_of("zero_based", zero_based, ("auto", True, False))
    _one_of("unlabelled", unlabelled, (True, False))
    _one_of("missing", missing, (None, "mean", "bad", "zero"))
    _one_of("scale", scale, SCALES)
    _one_of("dates", dates, (None, *ORDERS))
    _one_of("header", header, (True, False))
    _whole("skip_lines", skip_lines, 0, 1 << 31)
    require_encoding(encoding)
    for name, column in (("target", target), ("weight", weight), ("tag", tag)):
        if not isinstance(column, str | None):
            raise HyperparameterError(f"open_stream: {name} must be the name of a column, got {column!r}")
    _whole("block_bytes", block_bytes, 1 << 10, 1 << 30)
    _whole("block_rows", block_rows, 1, 1 << 26)
    _whole("bits", bits, *BITS)
    _whole("ahead", ahead, 0, 1 << 10)
    if features is not None:
        _whole("features", features, 1, 2**31 - 1)
    files = sources(paths)
    for file in files:
        file.encoding = encoding or file.encoding
    kinds = {format_of(f, format): f for f in files}
    if len(kinds) > 1:
        (a, b), (c, d) = list(kinds.items())[:2]
        raise FileError(f"open_stream: {b} is {a} and {d} is {c}; read them one format at a time")
    kind = next(iter(kinds))
    given = _layout(layout, kind)
    zero_based, bits = given.get("zero_based", zero_based), given.get("bits", bits)
    if given and (ignore or categorical or numeric or interactions or scale != "none"):
        raise HyperparameterError(
            "open_stream: layout= already says which columns are what; drop ignore=, categorical=, numeric=, interactions=, scale="
        )
    crossed = _columns("interactions", interactions)
    if crossed and kind == "svmlight":
        raise HyperparameterError(
            "open_stream: interactions= needs named columns or namespaces, which SVMlight lacks"
        )
    stop = on_bad_line == "stop"
    settings: dict[str, Any] = {
        "format": kind,
        "block_bytes": block_bytes,
        "block_rows": block_rows,
        "unlabelled": unlabelled,
    }
    settings |= {"on_bad_line": on_bad_line}
    reader: Format
    if kind in ("csv", "parquet"):
        from .csv import Csv
        from .dialect import Dialect
        from .parquet import Parquet
        from .tables import Columns

        columns = Columns(
            target,
            weight,
            tag,
            _columns("ignore", ignore),
            _columns("categorical", categorical),
            _columns("numeric", numeric),
            _missing(missing, layout),
            (*_columns("na", na), *given.get("na", ())),
            _form(decimal, thousands),
            None if classes is None else _columns("classes", classes),
            bits,
            unlabelled,
            given or None,
            crossed,
            dates,
        )
        tables: Csv | Parquet
        if kind == "csv":
            dialect = Dialect(delimiter, header, skip_lines, comment)
            settings |= {"dialect": list(dialect), "encoding": encoding}
            tables = Csv(files, columns, block_bytes, block_rows, dialect)
        else:
            tables = Parquet(files, columns, block_bytes, block_rows)
        if not given:
            tables.measure(files, scale)
        reader = tables
        settings |= {"scale": reader.layout.get("scale"), "columns": list(columns)}
    else:
        settings |= {"zero_based": zero_based, "features": features} if kind == "svmlight" else {"bits": bits}
        crossed = given.get("interactions", crossed)
        settings |= {"interactions": crossed} if crossed else {}
        reader = Text(
            kind, files, block_bytes, block_rows,
            stop=stop, unlabelled=unlabelled, zero_based=zero_based, features=features if kind == "svmlight" else 1 << bits,
            interactions=tuple(crossed),
        )  # fmt: skip
    kept = None if cache is None else Cache(require_writable(cache), files, settings, reader.features)
    return Stream(kind, files, reader, stop, ahead, kept)
