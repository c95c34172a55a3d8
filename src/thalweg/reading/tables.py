"""Which column of a table is what, and which features its cells become: CSV and Parquet, that pyarrow reads.

Numeric column i is feature i, or what the layout's map makes of it, before it is narrowed to float32; an instant is
numeric too, as the days since 1970 in UTC. Where a missing number becomes the
mean, feature k + i is 1 in its row, k being the number of numeric columns. A text (or categorical) column ``c`` with
the value ``v`` is the feature m + h with value 1, where m is the number of those before and h the 32-bit murmur3 hash
of the bytes ``c=v`` with seed 0, cut to its lowest bits; this is Vowpal Wabbit's hash of that name too. The year,
month, day of the week (Monday is 0) and hour of an instant are hashed as ``c.year=2020``. Zeros are not stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..engines.cpu.compile import kernel
from ..engines.cpu.job import Job
from ..engines.cpu.launch import call
from ..engines.cpu.text import source
from ..errors import FileError, HyperparameterError, nearest
from ..scaling import ColumnMap
from .arrow import to_numbers
from .block import Pass, Position
from .cells import MISSING, PLAIN, Form, Odd
from .interactions import product_indices
from .kernels.tables import NAMES, NAMES_JOB
from .kernels.vw import HASH
from .kinds import Column, told
from .layout import LARGEST
from .products import Products, pairs_of

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]
Reasons = dict[int, str]  # what is wrong with a row
Cells = dict[str, Odd]  # by column: the cells that are none of what they should be
_HOLDS = {"instant": "dates", "number": "numbers"}
CELLS = "cells"  # the kind of a column of text that a layout says the kind of
MOST_CLASSES = 1000
_DAY = 86_400_000_000  # microseconds


def run(job: Job, text: str, /, **words: int) -> dict[str, int]:
    """Run the kernel of a printed text on one job; return what the job then holds."""
    vector = job.vector(**words)
    call(kernel(source("float32", job, [text]))[0], vector)
    return job.read(vector)


class Columns(NamedTuple):
    """What the user says of the columns.

    missing: what becomes of a missing number: "mean", "bad" or "zero". na: more words that say so. form: how numbers
    are written; None: by the cells. classes: the texts of the target, in their order. layout: that of another stream:
    exactly its columns are features, in its order. interactions: pairs of columns whose products are features too.
    dates: which comes first, the day or the month, where dates read both ways.
    """

    target: str | None
    weight: str | None
    tag: str | None
    ignore: tuple[str, ...]
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    missing: str
    na: tuple[str, ...]
    form: Form | None
    classes: tuple[str, ...] | None
    bits: int
    unlabelled: bool
    layout: dict[str, Any] | None = None
    interactions: tuple[str, ...] = ()
    dates: str | None = None

    def of(self, names: Iterable[str]) -> Columns:
        """The same with the columns of a file: a name that is none of them may be several between commas."""
        names = set(names)

        def resolved(given: tuple[str, ...]) -> tuple[str, ...]:
            parts: list[str] = []
            for name in given:
                parts += [name] if name in names else [part.strip() for part in name.split(",")]
            return tuple(parts)

        return self._replace(
            ignore=resolved(self.ignore),
            categorical=resolved(self.categorical),
            numeric=resolved(self.numeric),
        )


NAMED = 10_000  # texts of a column that are kept, so that their features have names
PARTS = {"year": range(1900, 2101), "month": range(1, 13), "weekday": range(7), "hour": range(24)}


class Stretch(NamedTuple):
    """The rows of a stretch of a file.

    position: after it. table: the columns that are needed; first: the number of its first row in the file, from 1.
    cells: those that are none of what their columns hold, and null. bad: why rows are bad, by their place in the
    table. remarks: rows that are none.
    """

    position: Position
    table: pa.Table
    first: int
    cells: Cells
    bad: Reasons = {}  # noqa: RUF012  # never changed
    remarks: Collection[int] = ()


class Layout:
    """Which column of a table is what.

    typed: whether the file itself says what its columns hold.
    """

    def __init__(self, path: Path, columns: dict[str, Column], given: Columns, typed: bool = False) -> None:
        self.path, self.columns = path, given.of(columns)
        self._check_roles(columns)
        given, plain = self.columns, self.columns.layout or {}
        if given.target is None and given.unlabelled and plain.get("target") in columns:
            given = self.columns = given._replace(target=plain["target"])  # rows may have labels
        self.kinds = {n: c.kind for n, c in columns.items()}
        self.forms = {n: c.form for n, c in columns.items() if c.kind == "number" and c.form != PLAIN}
        self.ways = {n: c.way for n, c in columns.items() if c.way}  # how dates are written
        roles = {"target": given.target, "weight": given.weight, "tag": given.tag}
        self.roles = {role: n for role, n in roles.items() if n is not None}
        if given.layout is None:
            left = {n for n, c in columns.items() if c.why and n not in (*given.numeric, *given.categorical)}
            left |= {*given.ignore, *self.roles.values()}
            features = [n for n in columns if n not in left]
            self.kinds |= dict.fromkeys(given.numeric, "number") if not typed else {}
            self.kinds |= dict.fromkeys(given.categorical, "text")
            for n in (*given.numeric, *given.categorical):  # what the user has said needs no word
                columns[n].note = ""
        else:
            features = [*plain["numeric"], *plain["text"]]
            lacking = [n for n in features if n not in columns]
            if lacking:
                raise FileError(
                    f"{path}: lacks column {lacking[0]!r}, which the rows that were learnt from have: {nearest(lacking[0], columns)}"
                )
            self._take(plain)
        self.classes = self._classes(columns)
        self._check_kinds(features)
        if not features and given.layout is None:
            raise FileError(f"{path}: {self._nothing_left(columns)}")
        self.numbers = [n for n in features if self.kinds[n] in ("number", "instant")]
        self.instants = [n for n in self.numbers if self.kinds[n] == "instant"]
        self.texts = [n for n in features if self.kinds[n] == "text"]
        self.products = self._products(plain)
        self.names = [*self.numbers, *self.products.names]  # of the first features
        self.width = len(self.numbers)
        self.means: Array | None = None
        if given.missing == "mean" or "means" in plain:
            self.means = np.asarray(plain.get("means", np.zeros(self.width)), np.float64)
        self.offset = len(self.names) + (0 if self.means is None else self.width)  # of what is hashed
        self.features = self.offset + (1 << given.bits if self.texts or self.instants else 0)
        if self.features > LARGEST:
            raise HyperparameterError(
                f"open_stream: {self.features} features are too many; lower bits= (--bits), to at most {LARGEST} in all"
            )
        self.words = {n: columns[n].words for n in self.texts if len(columns[n].words) <= NAMED}
        used = {*self.roles.values(), *features}
        self.needed = [n for n in columns if n in used]
        self.labels: Array | None = (
            None  # the different numbers of the target in the first rows, once measured
        )
        self.map: ColumnMap | None = None
        if "scale" in plain:
            self.map = ColumnMap(*(np.array(plain["scale"][n]) for n in ("centre", "size")))
        self.told = told(columns, self.roles, self.numbers, self.texts) if given.layout is None else None

    def _check_roles(self, columns: dict[str, Column]) -> None:
        """Raise HyperparameterError for columns that are not there or have two roles, and where the target lacks."""
        given, path = self.columns, self.path
        named = [n for n in (given.target, given.weight, given.tag) if n is not None]
        named += [*given.ignore, *given.categorical, *given.numeric]
        for n in named:
            if n not in columns:
                raise HyperparameterError(
                    f"open_stream: {path} has no column {n!r}: {nearest(n, columns)}{_misread(columns)}"
                )
            if named.count(n) > 1:
                raise HyperparameterError(f"open_stream: column {n!r} is given two roles; give it one")
        if given.target is None and not given.unlabelled:
            raise HyperparameterError(
                f"open_stream: {path}: target= (--target) must name the column of labels; its columns are {', '.join(columns)}"
            )

    def _nothing_left(self, columns: dict[str, Column]) -> str:
        """Say that no column is a feature, and what keeps one that was left out unasked."""
        target = self.columns.target
        why = [f"{n!r} ({c.why})" for n, c in columns.items() if c.why and n not in self.columns.ignore]
        beside = "" if target is None else f" beside the target {target!r}"
        kept = (
            f"; left out: {', '.join(why)}, which --numeric or --categorical keep"
            if why
            else "; leave out fewer"
        )
        return f"no columns are left{beside}{kept}"

    def _products(self, plain: dict[str, Any]) -> Products:
        """The products that are features, as the user says or a layout does. Raises HyperparameterError."""
        if self.columns.layout is not None:
            pairs = [(a, b) for a, b in plain.get("interactions", ())]
        else:
            try:
                pairs = pairs_of(self.columns.interactions, self.numbers, self.texts)
            except HyperparameterError as error:
                raise HyperparameterError(f"open_stream: {error}") from None
        return Products(pairs, self.numbers, self.texts)

    def _take(self, plain: dict[str, Any]) -> None:
        """Read the columns as the layout of another stream says: cells of text do not know their own kinds."""
        instants = plain.get("instants", ())
        self.forms = {n: Form(*form) for n, form in plain.get("forms", {}).items()}
        self.ways = plain.get("dates", {})
        cells = {n for n, kind in self.kinds.items() if kind == CELLS}
        self.kinds |= dict.fromkeys(cells, "text")
        readable = {n for n, kind in self.kinds.items() if kind in ("number", "instant", "text")}
        self.kinds |= {n: "text" for n in plain["text"] if n in readable}
        labels = [self.roles[role] for role in ("target", "weight") if role in self.roles]
        self.kinds |= {n: "number" for n in (*plain["numeric"], *labels) if n in cells}
        self.kinds |= {n: "instant" for n in instants if n in cells or self.kinds[n] == "text"}

    def _classes(self, columns: dict[str, Column]) -> list[str] | None:
        """The texts that the target's classes are called; None: its labels are numbers. Raises FileError."""
        given, plain = self.columns, self.columns.layout or {}
        name = given.target
        if name is None:
            return plain.get("classes")
        if given.layout is not None:
            if "classes" in plain:
                self.kinds[name] = "text"
            return plain.get("classes")
        if given.classes is not None:
            self.kinds[name] = "text"
            return list(given.classes)
        if self.kinds[name] != "text" or given.unlabelled:
            return None
        gone = (*MISSING, *given.na)
        words = sorted({w.strip() for w in columns[name].words} - set(gone))
        rows = columns[name].rows
        if len(words) > MOST_CLASSES or 2 * len(words) > max(rows, 20):
            raise FileError(
                f"{self.path}: column {name!r} holds {len(words)} different texts in {rows} rows, such as {words[0][:40]!r}, which are no classes; name another target"
            )
        return words

    def _check_kinds(self, features: list[str]) -> None:
        """Raise FileError for columns of a type that is not read, or of another kind than is needed."""
        path, given = self.path, self.columns
        for n in (*features, *self.roles.values()):
            if self.kinds[n] not in ("number", "text", "instant"):
                raise FileError(
                    f"{path}: column {n!r} is of type {self.kinds[n]}, which is no feature; add it to ignore= (--ignore)"
                )
        labels = [self.roles[role] for role in ("target", "weight") if role in self.roles]
        layout = given.layout or {}
        needed = dict.fromkeys((*labels, *given.numeric, *layout.get("numeric", ())), "number")
        needed |= dict.fromkeys(layout.get("instants", ()), "instant")
        for n, kind in needed.items():
            if self.kinds[n] != kind and not (n == given.target and self.classes is not None):
                other = "; name another target (--target)" if n == given.target else ""
                raise FileError(
                    f"{path}: column {n!r} holds {_HOLDS.get(self.kinds[n], self.kinds[n])} where {kind}s are needed{other}"
                )

    @property
    def numeric_target(self) -> str | None:
        """The column of labels, where they are numbers that every row needs."""
        given = self.columns
        return given.target if self.classes is None and not given.unlabelled else None

    @property
    def plain(self) -> dict[str, Any]:
        """What other streams and models need to know of it, as JSON has it."""
        given = self.columns
        plain: dict[str, Any] = {"numeric": self.numbers, "text": self.texts, "bits": given.bits}
        extra = {
            "scale": None if self.map is None else {n: v.tolist() for n, v in self.map._asdict().items()},
            "means": None if self.means is None else self.means.tolist(),
            "instants": self.instants,
            "forms": {n: list(f) for n, f in self.forms.items() if n in self.numbers or n == given.target},
            "dates": {n: way for n, way in self.ways.items() if n in self.numbers},
            "na": list(given.na),
            "classes": self.classes,
            "target": given.target,
            "interactions": [list(pair) for pair in self.products.pairs],
        }
        # Without numbers there are no means, which still says what becomes of missing texts.
        known = {"means"} if self.means is not None else set()
        if given.layout is not None:
            extra |= {n: v for n, v in given.layout.items() if n in extra}
        return plain | {n: v for n, v in extra.items() if v or n in known}

    def names_of(self, features: Collection[int]) -> dict[int, str]:
        """What features stand for: a column, whether it is missing, or ``column=text`` where the prefix has the text.

        Texts that share a feature are named together.
        """
        import pyarrow as pa

        names = dict(enumerate(self.names))
        if self.means is not None:
            names |= {len(self.names) + k: f"{n} is missing" for k, n in enumerate(self.numbers)}
        texts = {f"{n}={word}": f"{n}={word}" for n, words in self.words.items() for word in words}
        texts |= {f"{n}=": f"{n} is missing" for n in self.texts}
        texts |= {
            f"{n}.{part}={value}": f"{n}.{part}={value}"
            for n in self.instants
            for part, values in PARTS.items()
            for value in values
        }
        if texts and any(k >= self.offset for k in features):
            hashed = self.hashes_of(pa.array([text.encode() for text in texts], pa.large_binary()))
            called = list(texts.values())
            products, more = self._names_of_products()
            hashed, called = np.concatenate([hashed, products]), called + more
            for k in np.flatnonzero(np.isin(hashed, list(features))).tolist():
                before = names.get(int(hashed[k]))
                names[int(hashed[k])] = called[k] if before is None else f"{before} or {called[k]}"
        return {k: names.get(k, f"a text of {', '.join(self.texts)} (feature {k})") for k in features}

    def hashes_of(self, names: pa.Array | pa.ChunkedArray) -> Array:
        """The features that names are hashed to."""
        import pyarrow as pa

        joined = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
        n = len(joined)
        ends = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset : joined.offset + n + 1]
        data = joined.buffers()[2]
        hashes = np.empty(n, np.int32)
        run(
            NAMES_JOB,
            HASH + NAMES,
            text=data.address if data is not None else 0,
            ends=ends.ctypes.data,
            hashes=hashes.ctypes.data,
            count=n,
            mask=(1 << self.columns.bits) - 1,
            offset=self.offset,
        )
        return hashes

    def _names_of_products(self) -> tuple[Array, list[str]]:
        """Features of products with the texts of the prefix, and their names; of pairs with too many, none."""
        import pyarrow as pa

        features, names = [np.empty(0, np.int64)], []
        for pair in self.products.pairs:
            if not {*pair} & {*self.texts}:
                continue
            sides = [
                [f"{n}={word}" for word in self.words.get(n, ())] if n in self.texts else [n] for n in pair
            ]
            if len(sides[0]) * len(sides[1]) > NAMED:
                continue
            first, second = (
                self.hashes_of(pa.array([w.encode() for w in side], pa.large_binary())) - self.offset
                for side in sides
            )
            mask = (1 << self.columns.bits) - 1
            features.append(product_indices(first[:, None], second, mask).reshape(-1) + self.offset)
            names += [f"{a}*{b}" for a in sides[0] for b in sides[1]]
        return np.concatenate(features), names

    def check(self, path: Path, names: Iterable[str]) -> None:
        """FileError unless another file has these columns too."""
        names = set(names)
        more = names - set(self.kinds) if self.columns.layout is None else set()
        for what, odd in (("lacks", set(self.needed) - names), ("also has", more)):
            if odd:
                raise FileError(
                    f"{path}: {what} column {min(odd)!r}, unlike {self.path}; all files need the same columns"
                )

    def wide(self, table: pa.Table, name: str) -> Array:
        """A column of numbers or instants as float64, NaN where it is missing; instants in days."""
        x = to_numbers(table[name])
        return x / _DAY if self.kinds[name] == "instant" else x

    def count_odd_cells(self, path: Path, first: int, name: str, odd: Odd, bad: Reasons, run: Pass) -> None:
        """Cells that are none of what the column holds: their rows are bad, or they are missing and counted."""
        what = "an instant" if self.kinds[name] == "instant" else "a number"
        needed = name in self.roles.values() or self.columns.missing == "bad"
        for k, cell in odd:
            if needed:
                bad.setdefault(k, f"column {name!r}: {cell!r} is not {what}")
            else:
                run.odd_cell(name, f"{path}: row {first + k}: {cell!r} is not {what}")


def parts_of(micros: Array) -> dict[str, Array]:
    """Year, month, day of the week (Monday is 0) and hour of instants, microseconds since 1970; of NaN those of 1970."""
    when = np.where(np.isnan(micros), 0, micros).astype("datetime64[us]")
    days, months = when.astype("datetime64[D]"), when.astype("datetime64[M]").astype(np.int64)
    return {
        "year": months // 12 + 1970,
        "month": months % 12 + 1,
        "weekday": (days.astype(np.int64) + 3) % 7,
        "hour": (when - days).astype(np.int64) // (_DAY // 24),
    }


def _misread(columns: Iterable[str]) -> str:
    """Return what may make the first line another one than it is, as its names suggest; "" where they do not."""
    names = list(columns)
    if any("\ufffd" in name for name in names):
        return "; the names are no UTF-8: say in which encoding they are (encoding=, --encoding latin-1)"
    if any(name.lstrip().startswith("#") for name in names):
        return "; if the first line is a comment, say so (comment='#', --comment '#')"
    return ""
