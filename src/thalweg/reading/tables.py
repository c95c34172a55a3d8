"""CSV and Parquet in blocks: numeric columns are features, text is hashed; pyarrow reads both.

Numeric column i is feature i, or what the layout's map makes of it, before it is narrowed to float32. A text (or date, or categorical) column ``c`` with the value ``v`` is the
feature k + h with value 1, where k is the number of numeric columns and h the 32-bit murmur3 hash of
the bytes ``c=v`` with seed 0, cut to its lowest bits; this is Vowpal Wabbit's hash of that name too.
Zeros are not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..engines.cpu.compile import kernel
from ..engines.cpu.job import Job
from ..engines.cpu.launch import call
from ..engines.cpu.text import source
from ..errors import FileError, HyperparameterError, nearest
from ..scaling import ColumnMap
from .block import Block, Pass, Position
from .kernels.vw import HASH
from .layout import LARGEST
from .sources import Source

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]
Reasons = dict[int, str]  # what is wrong with a row

# The rows that columns are measured by: so many, or as many as take so much memory.
PREFIX_ROWS = 1 << 16
PREFIX_BYTES = 16 << 20
SORTED_ROWS = 30  # from which a sorted column is spoken of


_NAMES_JOB = Job("text", "ends", "hashes", "count", "mask", "offset")
_NAMES = """
def kernel(job):
    p = octets(job[TEXT])
    ends = words(job[ENDS])
    made = ints(job[HASHES])
    for k in range(job[COUNT]):
        made[k] = (murmur(p, ends[k], ends[k + 1] - ends[k], 0) & job[MASK]) + job[OFFSET]
    return 0
"""

_ROWS_JOB = Job("numbers", "hashed", "indptr", "indices", "values", "rows", "width", "texts", "entries")
# A row's numbers that are not 0, then its hashed features by ascending index, equal ones summed.
_ROWS = """
def kernel(job):
    numbers = state(job[NUMBERS])
    hashed = ints(job[HASHED])
    indptr = words(job[INDPTR])
    indices = ints(job[INDICES])
    values = state(job[VALUES])
    width = job[WIDTH]
    more = job[TEXTS]
    n = 0
    indptr[0] = 0
    for r in range(job[ROWS]):
        for k in range(width):
            x = numbers[r * width + k]
            if x != F(0.0):
                indices[n] = k
                values[n] = x
                n += 1
        first = n
        for k in range(more):
            index = hashed[r * more + k]
            if index >= 0:
                at = n
                while at > first and indices[at - 1] >= index:
                    at -= 1
                if at < n and indices[at] == index:
                    values[at] += F(1.0)
                else:
                    for j in range(n, at, -1):
                        indices[j] = indices[j - 1]
                        values[j] = values[j - 1]
                    indices[at] = index
                    values[at] = F(1.0)
                    n += 1
        indptr[r + 1] = n
    job[ENTRIES] = n
    return 0
"""


def run(job: Job, text: str, /, **words: int) -> dict[str, int]:
    """Run the kernel of a printed text on one job; return what the job then holds."""
    vector = job.vector(**words)
    call(kernel(source("float32", job, [text]))[0], vector)
    return job.read(vector)


class Columns(NamedTuple):
    """What the user says of the columns.

    zero: a missing value is 0, not a fault. layout: that of another stream: exactly its columns are
    features, in its order.
    """

    target: str | None
    weight: str | None
    tag: str | None
    ignore: tuple[str, ...]
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    zero: bool
    bits: int
    unlabelled: bool
    layout: dict[str, Any] | None = None

    def numbers(self) -> list[str]:
        """The columns that must hold numbers."""
        names = [self.target, self.weight, *self.numeric, *(self.layout or {}).get("numeric", ())]
        return [n for n in names if n is not None]

    def texts(self) -> list[str]:
        """The columns that are hashed whatever they hold."""
        return [*self.categorical, *(self.layout or {}).get("text", ())]


class Layout:
    """Which column is what; the kinds of all columns are "number", "text", or what cannot be read."""

    def __init__(self, path: Path, kinds: dict[str, str], columns: Columns) -> None:
        given = {"target": columns.target, "weight": columns.weight, "tag": columns.tag}
        named = [n for n in given.values() if n is not None]
        named += [*columns.ignore, *columns.categorical, *columns.numeric]
        for n in named:
            if n not in kinds:
                raise HyperparameterError(f"open_stream: {path} has no column {n!r}: {nearest(n, kinds)}")
            if named.count(n) > 1:
                raise HyperparameterError(f"open_stream: column {n!r} is given two roles; give it one")
        if columns.target is None and not columns.unlabelled:
            raise HyperparameterError(
                f"open_stream: {path}: target= must name the column of labels; its columns are {', '.join(kinds)}"
            )
        self.path, self.kinds, self.columns = path, kinds, columns
        self.roles = {n for n in given.values() if n is not None}
        features = [n for n in kinds if n not in self.roles and n not in columns.ignore]
        if columns.layout is not None:
            features = [*columns.layout["numeric"], *columns.layout["text"]]
            lacking = [n for n in features if n not in kinds]
            if lacking:
                raise FileError(f"{path}: lacks column {lacking[0]!r}, which layout= names")
        odd = [n for n in (*features, *self.roles) if kinds[n] not in ("number", "text")]
        if odd:
            raise FileError(
                f"{path}: column {odd[0]!r} is of type {kinds[odd[0]]}, which is no feature; add it to ignore="
            )
        for name in columns.numbers():
            if kinds[name] != "number":
                raise FileError(f"{path}: column {name!r} holds text where numbers are needed")
        texts = columns.texts()
        self.numbers = [n for n in features if kinds[n] == "number" and n not in texts]
        self.texts = [n for n in features if n not in self.numbers]
        self.width = len(self.numbers)
        self.features = self.width + (1 << columns.bits if self.texts else 0)
        if self.features > LARGEST:
            raise HyperparameterError(
                f"open_stream: {self.features} features are too many; lower bits= (at most {LARGEST})"
            )
        self.needed = [n for n in kinds if n in self.roles or n in features]
        self.plain: dict[str, Any] = {"numeric": self.numbers, "text": self.texts, "bits": columns.bits}
        self.map: ColumnMap | None = None
        self.sample: Sample | None = None  # what takes the numbers while they are measured
        if columns.layout is not None and "scale" in columns.layout:
            scale = columns.layout["scale"]
            self.scale_by(ColumnMap(np.array(scale["centre"]), np.array(scale["size"])))

    def scale_by(self, map: ColumnMap) -> None:
        """From now on the numbers of rows are those that a map of the numeric columns makes of them."""
        self.map = map
        self.plain["scale"] = {n: v.tolist() for n, v in map._asdict().items()}

    def check(self, path: Path, names: Iterable[str]) -> None:
        """FileError unless another file has these columns too."""
        names = set(names)
        more = names - set(self.kinds) if self.columns.layout is None else set()
        for what, odd in (("lacks", set(self.needed) - names), ("also has", more)):
            if odd:
                raise FileError(
                    f"{path}: {what} column {min(odd)!r}, unlike {self.path}; all files need the same columns"
                )

    def block(
        self, path: Path, at: Position, run: Pass, table: pa.Table, bad: Reasons, first: int
    ) -> Block | None:
        """The rows of an Arrow table whose first row is the file's row ``first`` (from 1).

        bad: rows known to be bad, by their place in the table; the others among them are found here.
        """
        columns, n = self.columns, table.num_rows
        if self.sample is not None:
            self.sample.add([to_numbers(table[name]) for name in self.numbers], n)
            empty = np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
            return run.block(at, np.full(n, np.nan), None, empty, None)
        bad = dict(bad)
        labels, weights = self._labels(table, bad), self._weights(table, bad)
        numbers = np.empty((n, self.width), np.float32)
        for k, name in enumerate(self.numbers):
            x = to_numbers(table[name])
            missing = np.isnan(x)
            if missing.any():
                self._missing(name, missing, bad)
                x[missing] = 0
            numbers[:, k] = _narrow(name, x, bad, *(() if self.map is None else (c[k] for c in self.map)))
        hashed = np.empty((n, len(self.texts)), np.int32)
        for k, name in enumerate(self.texts):
            index, missing = self._hashes(name, table[name])
            self._missing(name, missing, bad)
            hashed[:, k] = np.where(missing, np.int32(-1), index)
        for k in sorted(bad):
            run.bad(path, first + k, bad[k], "row")
        keep = np.ones(n, bool)
        keep[list(bad)] = False
        if not keep.any():
            return None
        if bad:
            numbers, hashed, labels = numbers[keep], hashed[keep], labels[keep]
            weights = None if weights is None else weights[keep]
        if weights is not None and np.all(weights == 1.0):
            weights = None
        tags = None
        if columns.tag is not None:
            values = _text(table[columns.tag]).to_pylist()
            tags = [
                "" if v is None else v.decode("utf-8", "replace")
                for v, good in zip(values, keep, strict=True)
                if good
            ]
        return run.block(at, labels, weights, self._rows(numbers, hashed), tags)

    def _labels(self, table: pa.Table, bad: Reasons) -> Array:
        name = self.columns.target
        if name is None:
            return np.full(table.num_rows, np.nan)
        labels = to_numbers(table[name])
        _refuse(bad, np.isinf(labels), lambda k: f"column {name!r}: {labels[k]} is not finite")
        if not self.columns.unlabelled:
            _refuse(bad, np.isnan(labels), lambda _: f"column {name!r}: there is no label")
        return labels

    def _weights(self, table: pa.Table, bad: Reasons) -> Array | None:
        name = self.columns.weight
        if name is None:
            return None
        weights = _narrow(name, to_numbers(table[name]), bad)
        _refuse(bad, np.isnan(weights), lambda _: f"column {name!r}: there is no weight")
        _refuse(bad, weights < 0, lambda k: f"column {name!r}: weight {weights[k]} is negative")
        return weights

    def _missing(self, name: str, missing: Array, bad: Reasons) -> None:
        if not self.columns.zero:
            _refuse(bad, missing, lambda _: f"column {name!r}: the value is missing")

    def _hashes(self, name: str, column: pa.ChunkedArray) -> tuple[Array, Array]:
        import pyarrow as pa
        import pyarrow.compute as pc

        values = _text(column)
        joined = pc.binary_join_element_wise(
            pa.scalar(f"{name}=".encode(), pa.large_binary()),
            values,
            pa.scalar(b"", pa.large_binary()),
            null_handling="replace",
        )
        if isinstance(joined, pa.ChunkedArray):
            joined = joined.combine_chunks()
        n = len(joined)
        ends = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset : joined.offset + n + 1]
        data = joined.buffers()[2]
        hashes = np.empty(n, np.int32)
        run(
            _NAMES_JOB,
            HASH + _NAMES,
            text=data.address if data is not None else 0,
            ends=ends.ctypes.data,
            hashes=hashes.ctypes.data,
            count=n,
            mask=(1 << self.columns.bits) - 1,
            offset=self.width,
        )
        missing = pc.fill_null(pc.equal(pc.binary_length(values), 0), True)
        return hashes, np.asarray(missing)

    def _rows(self, numbers: Array, hashed: Array) -> tuple[Array, Array, Array]:
        n = len(numbers)
        indptr = np.empty(n + 1, np.int64)
        indices = np.empty(numbers.size + hashed.size, np.int32)
        values = np.empty(numbers.size + hashed.size, np.float32)
        done = run(
            _ROWS_JOB,
            _ROWS,
            numbers=numbers.ctypes.data,
            hashed=hashed.ctypes.data,
            indptr=indptr.ctypes.data,
            indices=indices.ctypes.data,
            values=values.ctypes.data,
            rows=n,
            width=self.width,
            texts=len(self.texts),
        )
        nnz = done["entries"]
        return indptr, indices[:nnz].copy(), values[:nnz].copy()


class Sample:
    """The numeric columns of the first rows, in float64: at most so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.taken = 0
        self._pieces: list[list[Array]] = []  # of each stretch of rows, its columns

    @property
    def full(self) -> bool:
        """Whether it has all its rows."""
        return self.taken >= self.rows

    def add(self, columns: list[Array], rows: int) -> None:
        """Take the next rows, as far as they are wanted."""
        wanted = min(rows, self.rows - self.taken)
        self._pieces.append([x if wanted == rows else x[:wanted].copy() for x in columns])
        self.taken += wanted

    def columns(self) -> Generator[Array, None, None]:
        """Each column over all rows; it is held no longer."""
        for pieces in zip(*self._pieces, strict=True):
            yield np.concatenate(pieces)


def standardise(
    layout: Layout,
    blocks: Callable[[Source, Position, Pass], Generator[Block, None, None]],
    files: Iterable[Source],
    row_bytes: int,
    centred: bool,
) -> tuple[str, ...]:
    """Let a layout scale its numbers by the first rows of the files, whatever the size of the blocks.

    Return the columns by which those rows are sorted.

    blocks: of the reader that the layout is of. row_bytes: of a row's text, about. Bad lines are passed over: the
    pass that learns from them speaks of them.
    """
    if not layout.numbers:
        return ()
    width = max(row_bytes, 8 * layout.width, 1)
    layout.sample = sample = Sample(min(PREFIX_ROWS, max(1, PREFIX_BYTES // width)))
    try:
        for k, file in enumerate(files):
            with closing(blocks(file.look(), Position(file=k), Pass(stop=False))) as read:
                while not sample.full and next(read, None) is not None:
                    pass
    finally:
        layout.sample = None
    layout.scale_by(ColumnMap.of(sample.columns(), centred))
    return tuple(n for n, x in zip(layout.numbers, sample.columns(), strict=True) if _is_sorted(x))


def _is_sorted(x: Array) -> bool:
    """Whether numbers only rise, or only fall, over enough rows that this is no chance."""
    x = x[np.isfinite(x)]
    steps = np.diff(x)
    return len(x) >= SORTED_ROWS and x[0] != x[-1] and bool(np.all(steps >= 0) or np.all(steps <= 0))


def _narrow(name: str, wide: Array, bad: Reasons, centre: float = 0.0, size: float = 1.0) -> Array:
    """(float64 - centre) / size as float32; rows where that is not finite are bad, NaN stays."""
    with np.errstate(over="ignore", under="ignore"):
        narrow: Array = ((wide - centre) / size).astype(np.float32)

    def why(k: int) -> str:
        return f"column {name!r}: {wide[k]} is {'not finite' if np.isinf(wide[k]) else 'beyond float32'}"

    _refuse(bad, np.isinf(narrow), why)
    return narrow


def _refuse(bad: Reasons, rows: Array, why: Callable[[int], str]) -> None:
    """Note the first fault of each of these rows."""
    for k in np.flatnonzero(rows).tolist():
        bad.setdefault(k, why(k))


def to_numbers(column: pa.ChunkedArray) -> Array:
    """A numeric column as float64, NaN where it is missing."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    return np.array(column.to_numpy(zero_copy_only=False))


def _text(column: pa.ChunkedArray) -> pa.Array:
    """A column of any plain type as bytes."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = column.cast(pa.large_string())
    column = column.cast(pa.large_binary())
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def kind_of(type: pa.DataType) -> str:
    """ "number", "text", or a type that is neither."""
    import pyarrow as pa

    t = pa.types
    if t.is_dictionary(type):
        return "text" if kind_of(type.value_type) in ("number", "text") else str(type)
    if (
        t.is_integer(type)
        or t.is_floating(type)
        or t.is_boolean(type)
        or t.is_decimal(type)
        or t.is_null(type)
    ):
        return "number"
    views = t.is_string_view(type) or t.is_binary_view(type)
    if (
        views
        or t.is_string(type)
        or t.is_large_string(type)
        or t.is_binary(type)
        or t.is_large_binary(type)
        or t.is_temporal(type)
    ):
        return "text"
    return str(type)


def unique(path: Path, names: Iterable[str]) -> list[str]:
    names = list(names)
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise FileError(f"{path}: two columns are named {twice[0]!r}")
    return names


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
