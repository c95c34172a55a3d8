"""``open_stream``: what is asked for, looked at and made the stream that reads it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import FileError, HyperparameterError
from ..files import require_writable
from .cache import Cache
from .dates import ORDERS
from .layout import BITS, Layout, require_layout
from .sources import Paths, Source, format_of, sources
from .stream import Format, Stream
from .text import Text
from .unpack import require_encoding

if TYPE_CHECKING:
    from .cells import Form
    from .csv import Csv
    from .dialect import Dialect
    from .parquet import Parquet
    from .tables import Columns

SCALES = ("none", "deviation", "rms")
TABLES = ("csv", "parquet")  # formats of named columns


def _require_counts(**counts: tuple[object, int, int]) -> None:
    """Raise HyperparameterError unless each, named, is a whole number from the first number after it to the second."""
    for name, (value, lowest, highest) in counts.items():
        if type(value) is not int or not lowest <= value <= highest:
            raise HyperparameterError(
                f"open_stream: {name} must be a whole number in [{lowest}, {highest}], got {value!r}"
            )


def _require_choices(**choices: tuple[object, tuple[object, ...]]) -> None:
    """Raise HyperparameterError unless each, named, is among those after it."""
    for name, (value, allowed) in choices.items():
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

    _require_choices(
        decimal=(decimal, (None, ".", ",")),
        thousands=(thousands, (None, ".", ",", " ", "'")),
    )
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


def _files(paths: Paths, format: str, encoding: str | None, table: bool) -> tuple[tuple[Source, ...], str]:
    """The files that paths name, with the encoding of their text, and their format. FileError where they are of several.

    table: whether columns are spoken of.
    """
    require_encoding(encoding)
    files = sources(paths)
    for file in files:
        file.encoding = encoding or file.encoding
    kinds = {format_of(f, format, table): f for f in files}
    if len(kinds) > 1:
        (a, b), (c, d) = list(kinds.items())[:2]
        raise FileError(f"open_stream: {b} is {a} and {d} is {c}; read them one format at a time")
    return files, next(iter(kinds))


def _table_reader(
    kind: str, files: tuple[Source, ...], columns: Columns, size: int, rows: int, dialect: Dialect, scale: str
) -> Csv | Parquet:
    """A reader of CSV or Parquet files, whose columns are measured where no layout says all of them."""
    from .csv import Csv
    from .parquet import Parquet

    reader = (
        Csv(files, columns, size, rows, dialect) if kind == "csv" else Parquet(files, columns, size, rows)
    )
    if columns.layout is None:
        reader.measure(files, scale)
    return reader


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
    "parquet", or "auto": by name, else CSV where a target is named, else by the first line. gzip, zstd, bzip2, xz and a zip of one file are
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
    _require_choices(
        on_bad_line=(on_bad_line, ("stop", "skip")),
        zero_based=(zero_based, ("auto", True, False)),
        unlabelled=(unlabelled, (True, False)),
        missing=(missing, (None, "mean", "bad", "zero")),
        scale=(scale, SCALES),
        dates=(dates, (None, *ORDERS)),
        header=(header, (True, False)),
    )
    _require_counts(
        skip_lines=(skip_lines, 0, 1 << 31),
        block_bytes=(block_bytes, 1 << 10, 1 << 30),
        block_rows=(block_rows, 1, 1 << 26),
        bits=(bits, *BITS),
        ahead=(ahead, 0, 1 << 10),
        features=(1 if features is None else features, 1, 2**31 - 1),
    )
    for name, column in (("target", target), ("weight", weight), ("tag", tag)):
        if not isinstance(column, str | None):
            raise HyperparameterError(f"open_stream: {name} must be the name of a column, got {column!r}")
    files, kind = _files(paths, format, encoding, target is not None)
    given = _layout(layout, kind)
    zero_based, bits = given.get("zero_based", zero_based), given.get("bits", bits)
    crossed = _columns("interactions", interactions)
    if given and (ignore or categorical or numeric or crossed or scale != "none"):
        raise HyperparameterError(
            "open_stream: layout= already says which columns are what; drop ignore=, categorical=, numeric=, interactions=, scale="
        )
    settings: dict[str, Any] = {
        "format": kind,
        "block_bytes": block_bytes,
        "block_rows": block_rows,
        "unlabelled": unlabelled,
        "on_bad_line": on_bad_line,
    }
    stop = on_bad_line == "stop"
    reader: Format
    if kind in TABLES:
        from .dialect import Dialect
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
        dialect = Dialect(delimiter, header, skip_lines, comment)
        settings |= {"columns": list(columns)}
        settings |= {"dialect": list(dialect), "encoding": encoding} if kind == "csv" else {}
        reader = _table_reader(kind, files, columns, block_bytes, block_rows, dialect, scale)
        settings |= {"scale": reader.layout.get("scale")}
    else:
        if crossed and kind == "svmlight":
            raise HyperparameterError(
                "open_stream: interactions= needs named columns or namespaces, which SVMlight lacks"
            )
        crossed = given.get("interactions", crossed)
        settings |= {"zero_based": zero_based, "features": features} if kind == "svmlight" else {"bits": bits}
        settings |= {"interactions": crossed} if crossed else {}
        reader = Text(
            kind, files, block_bytes, block_rows,
            stop=stop, unlabelled=unlabelled, zero_based=zero_based, features=features if kind == "svmlight" else 1 << bits,
            interactions=tuple(crossed),
        )  # fmt: skip
    kept = None if cache is None else Cache(require_writable(cache), files, settings, reader.features)
    return Stream(kind, files, reader, stop, ahead, kept)
