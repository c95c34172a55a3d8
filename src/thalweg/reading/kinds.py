"""What each column of a table holds, decided from the prefix of the first file, and how that is told.

A column is of numbers where nearly all its cells are: the others are missing and counted, not names to hash.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .cells import DOTS, FORMS, MISSING, PLAIN, TRUTH, WEAK, Form, instants_of, pattern
from .dates import likely_ways, micros_of, order_of, twin_of

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX_ROWS = 1 << 16  # the prefix of a file: so many rows, or so many bytes of it
PREFIX_BYTES = 16 << 20
NEARLY = 0.95  # the share of a column's cells from which on it is of numbers with bad cells
MOSTLY = 0.5  # the share from which on a column of text is said to look like numbers
_SHOWN = 3  # words that are no numbers, named in a note
_BLANKS = " \t\r\n\v\f"
_TELLING = 30  # cells from which on it is said that nearly all are texts of their own
FIRST_DAY, LAST_DAY = 1900_01_01, 2099_12_31  # as numbers
_WITH_UNIT = re.compile(r"[+-]?\d[\d,]*(?:\.\d*)?(?:[eE][+-]?\d+)? ?([^\W\d_]\S*)")
_SOME = 8  # by whose looks ways to write dates are tried
_FEW = 64  # cells that are tried before all of them are
CLASSES = 10  # whole numbers without a gap, of at most so many kinds, are taken for classes
_ROW_NAMES = (
    "",
    "rownames",
    "row.names",
    "Unnamed: 0",
)  # R's and pandas' names of a first column of row numbers
_MANY_DIGITS = 1e16  # from which on a whole number is written with an exponent
COUNTS_ROWS = "counts the rows: leave it out unless it tells something, such as the time"
UNNAMED = re.compile(r"(column\d+)?")  # what columns are called that have no name
_INDEX = "__index_level_0__"  # pandas' name of an index in Parquet


@dataclass
class Column:
    """What a column holds. kind: "number", "text", "instant", or the name of a type that is none of these.

    values: how many different texts the prefix has. missing, bad: cells of the prefix, the latter being no numbers
    in a column of numbers; example: one of them. why: the reason to leave the column out, "" where it stays.
    way: how its dates are written (``dates.WAYS``), "" for ISO 8601. note: what the user should know of it. words: the texts of a column of text. rows: how many the prefix has.
    """

    kind: str
    form: Form = PLAIN
    values: int = 0
    missing: int = 0
    bad: int = 0
    example: str = ""
    why: str = ""
    note: str = ""
    way: str = ""
    words: list[str] = field(default_factory=list)
    rows: int = 0


@dataclass
class _Tally:
    """What the prefix holds of one column; cells that Arrow took for text are counted one by one.

    may_name_rows: whether it stands where row numbers do, so that its numbers are kept to tell whether they are.
    """

    may_name_rows: bool = False
    rows: int = 0
    numbers: int = 0
    truths: int = 0
    instants: int = 0
    empty: int = 0
    texts: Counter[str] = field(default_factory=Counter)
    last: float = np.nan  # of a column that counts 0, 1, 2, ... or 1, 2, 3, ...
    counts: bool = True
    kept: list[np.ndarray[Any, Any]] = field(default_factory=list)
    days: bool = True  # whether all numbers are days such as 20200131
    ends: tuple[int, int] | None = None  # the least and the greatest of them

    def add(self, column: pa.ChunkedArray) -> None:
        """Count the cells of a stretch of the column."""
        import pyarrow as pa
        import pyarrow.compute as pc

        t, type, valid = pa.types, column.type, len(column) - column.null_count
        if t.is_dictionary(type):
            column, type = column.cast(type.value_type), type.value_type
        self.rows += len(column)
        self.empty += column.null_count
        if t.is_integer(type) or t.is_floating(type) or t.is_decimal(type):
            self.numbers += valid
            self._count(column)
            self._date(column)
        elif t.is_boolean(type):
            self.truths += valid
        elif t.is_timestamp(type) or t.is_date(type):
            self.instants += valid
        elif not t.is_null(type):
            text = column if t.is_binary(type) or t.is_large_binary(type) else column.cast(pa.large_string())
            kinds = pc.value_counts(text.drop_null().cast(pa.large_binary()))
            for word, count in zip(*(kinds.field(n).to_pylist() for n in ("values", "counts")), strict=True):
                self.texts[word.decode("utf-8", "replace")] += count

    def _count(self, column: pa.ChunkedArray) -> None:
        """Note whether the column goes on counting rows by ones."""
        if not (self.counts or self.may_name_rows) or not len(column):
            return
        x = np.asarray(column.cast("float64", safe=False).to_numpy())
        if self.may_name_rows:
            self.kept.append(x)
        begins = x[0] in (0.0, 1.0) if np.isnan(self.last) else x[0] == self.last + 1
        self.counts = self.counts and bool(begins and np.all(np.diff(x) == 1))
        self.last = float(x[-1])

    def _date(self, column: pa.ChunkedArray) -> None:
        """Note whether the column goes on holding days such as 20200131."""
        import pyarrow as pa

        self.days = self.days and pa.types.is_integer(column.type)
        if not self.days or column.null_count == len(column):
            return
        x = np.asarray(column.drop_null().cast("float64", safe=False).to_numpy()).astype(np.int64)
        low, high = int(x.min()), int(x.max())
        self.days = low >= FIRST_DAY and high <= LAST_DAY
        if self.days:
            month, day = x // 100 % 100, x % 100
            self.days = bool(np.all((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)))
            least, most = self.ends or (low, high)
            self.ends = min(low, least), max(high, most)

    @property
    def counts_days(self) -> bool:
        """Whether it holds days such as 20200131, of several months."""
        return self.days and self.ends is not None and self.ends[0] // 100 < self.ends[1] // 100

    @property
    def numbers_rows(self) -> bool:
        """Whether it counts the rows: 0, 1, 2, ... or 1, 2, 3, ..."""
        return self.counts and 1 < self.numbers == self.rows

    @property
    def numbers_rows_anyhow(self) -> bool:
        """Whether it has a whole number of its own for each row: those of a table whose rows were drawn or put in order."""
        if not 1 < self.numbers == self.rows:
            return False
        x = np.concatenate(self.kept)
        return bool(np.all(x == np.floor(x))) and len(np.unique(x)) == len(x)

    @property
    def names_rows(self) -> bool:
        """Whether it numbers the rows, in whatever order, or gives each a name of its own."""
        named = self.rows > 1 and len(self.texts) == self.rows
        return named or self.numbers_rows or (self.may_name_rows and self.numbers_rows_anyhow)


class Tables:
    """What the tables of a prefix hold, column by column."""

    def __init__(self, names: Iterable[str]) -> None:
        self.tallies = {name: _Tally(place == 0 and name in _ROW_NAMES) for place, name in enumerate(names)}

    def add(self, table: pa.Table) -> None:
        """Count a stretch of rows."""
        for name, tally in self.tallies.items():
            tally.add(table[name])

    def columns(
        self,
        types: dict[str, str] | None,
        na: tuple[str, ...],
        hint: Form | None,
        dates: str | None = None,
    ) -> dict[str, Column]:
        """What each column holds. types: the kinds that the file itself tells; None: cells are text.

        na: more words for a missing value. hint: how the user says that numbers are written. dates: the order of day and
        month, where dates read both ways.
        """
        columns = {
            name: _of_text(tally, na, hint) if types is None else _of_type(tally, types[name])
            for name, tally in self.tallies.items()
        }
        _settle_commas(columns)
        _settle_dates(columns, dates)
        for name, tally in self.tallies.items():
            column = columns[name]
            column.rows = tally.rows
            named = tally.may_name_rows and (name in ("rownames", "row.names") or tally.names_rows)
            if named or name == _INDEX:
                column.why = "row numbers" if tally.numbers else "row names"
            elif column.missing == tally.rows > 0 and UNNAMED.fullmatch(name):
                column.why = "empty, without a name"
            elif tally.numbers_rows:
                column.note = COUNTS_ROWS
            elif column.kind == "number" and tally.counts_days and tally.ends is not None:
                column.note = f"its numbers read as days, such as {tally.ends[0]}: written with marks, {tally.ends[0] // 10_000}-{tally.ends[0] // 100 % 100:02}-{tally.ends[0] % 100:02}, they would be dates"
            elif column.kind == "text" and not column.note:
                cells = tally.rows - column.missing
                if cells >= _TELLING and column.values >= NEARLY * cells:
                    column.note = f"{column.values} texts in {cells} cells, so that what is learnt of one tells nothing of other rows: leave it out (--ignore)"
        return columns


def _of_type(tally: _Tally, kind: str) -> Column:
    """What a column holds whose file says of what type it is; texts that read as numbers or dates are pointed at."""
    column = Column(kind, values=len(tally.texts), missing=tally.empty, words=sorted(tally.texts))
    if kind == "text" and len(tally.texts) > 1:
        read = _of_text(tally, (), None)
        if read.kind != "text":
            what = "dates" if read.kind == "instant" else "numbers"
            column.note = f"texts in this file that read as {what}, each taken for a name: write the column as {what}, or say that they are names (--categorical)"
    return column


def _of_text(tally: _Tally, na: tuple[str, ...], hint: Form | None) -> Column:
    """What a column of text cells holds."""
    missing = {*MISSING, *na}
    texts = Counter[str]()
    for text, count in tally.texts.items():
        texts[text.strip(_BLANKS)] += count
    empty = tally.empty + sum(n for word, n in texts.items() if word in missing)
    words = {word: n for word, n in texts.items() if word not in missing}
    weak = sum(n for word, n in words.items() if word in WEAK)
    dots = sum(n for word, n in words.items() if word in DOTS)
    others = {word: n for word, n in words.items() if word not in WEAK and word not in DOTS}
    if not others and not tally.numbers:
        if tally.truths or tally.instants:
            return Column(
                "number" if tally.truths else "instant", TRUTH if tally.truths else PLAIN, missing=empty
            )
        if not words:
            return Column("number", missing=empty)  # nothing at all is known of it
    good = re.compile(pattern(hint or PLAIN))
    bad = {word: n for word, n in others.items() if not good.match(word)}
    plain = tally.numbers + sum(others.values()) - sum(bad.values())
    column = _of_numbers(plain, sum(words.values()) - weak, tally, bad, hint or PLAIN)
    dates = None
    if column is None and (dates := _dates_of(tally, others, sum(words.values()) - weak)):
        column = _of_dates(dates, others) if dates.share >= NEARLY else None
    if column is None and not dots:
        column = _of_forms(tally, others, weak)
    kept = sorted(word for word in tally.texts if word.strip())
    if column is not None:
        column.missing = empty + weak + dots
        if column.note:  # it may be text in the end
            column.values, column.words = len(kept), kept
        return column
    column = Column("text", values=len(kept), missing=empty, words=kept)
    filled = tally.numbers + sum(words.values())
    if plain >= MOSTLY * filled:
        share, what, remedy = plain / filled, "numbers", ", or that it is numeric (--numeric)"
    elif dates is not None and dates.share >= MOSTLY:
        way = f" written {dates.ways[0]}" if dates.ways[0] else ""
        share, what, remedy, bad = dates.share, f"dates{way}", "", dates.bad
    else:
        if unit := _unit_of(others, NEARLY * filled):
            column.note = (
                f"its cells are numbers and {unit!r}: a text; without {unit!r} they would be numbers"
            )
        return column
    odd = Counter({word: n for word, n in words.items() if word not in others or word in bad})
    shown = ", ".join(repr(word) for word, _ in odd.most_common(_SHOWN))
    column.note = f"{share:.0%} of its cells are {what}, others are such as {shown}: a text; say which words stand for a missing value (--na){remedy}"
    return column


def _of_numbers(plain: int, words: int, tally: _Tally, bad: dict[str, int], form: Form) -> Column | None:
    """A column of plain numbers, or of numbers as the user says that they are written; None: it is none.

    plain: cells that are numbers. words: cells that are texts, numbers or not, but for those that are missing in a column of numbers. bad: those that are none, and how often.
    """
    rest = tally.truths + tally.instants
    total = tally.numbers + words + rest
    if not plain or plain < NEARLY * total:
        return None
    count = sum(bad.values()) + rest
    return Column("number", form, bad=count, example=next(iter(bad), ""))


def _unit_of(others: dict[str, int], least: float) -> str:
    """The one word that follows the numbers of at least so many cells, such as kg; "" where there is none."""
    units = Counter[str]()
    for word, count in others.items():
        if (found := _WITH_UNIT.fullmatch(word)) is not None:
            units[found[1]] += count
        elif not units:  # most columns that have none say so at once
            return ""
    unit, count = next(iter(units.most_common(1)), ("", 0))
    return unit if count >= least and len(others) > 1 else ""


class _Dates(NamedTuple):
    """How a column's texts read as dates. ways: those in which the most of them do ("": ISO 8601). bad: the texts that
    do not, and how often; share: of the cells that do.
    """

    ways: list[str]
    bad: dict[str, int]
    share: float


def _dates_of(tally: _Tally, others: dict[str, int], words: int) -> _Dates | None:
    """How texts read as dates; None where at least half of the first ones, or of all, do not.

    others: the texts, and how often. words: cells, texts or not, but for those that are missing in a column of dates.
    """
    import pyarrow as pa

    if tally.numbers or tally.truths or not others:
        return None
    first = list(others)[:_FEW]  # most columns that are none are so from their first cells on
    ways = ["", *(likely_ways(first[:_SOME]) if not tally.instants else ())]
    odd: dict[str, dict[str, int]] = {}
    for way in ways:
        for part in (first, list(others)):
            cells = pa.array(part, pa.string())
            micros = micros_of(cells, way) if way else instants_of(cells, ())[0]
            if micros.null_count > (1 - MOSTLY) * len(part):
                break
        else:
            gone = np.asarray(micros.is_null().to_numpy(False))
            odd[way] = {word: others[word] for word, bad in zip(others, gone, strict=True) if bad}
    if not odd:
        return None
    least = min(sum(bad.values()) for bad in odd.values())
    ways = [way for way, bad in odd.items() if sum(bad.values()) == least]
    total = words + tally.instants
    return _Dates(ways, odd[ways[0]], (tally.instants + sum(others.values()) - least) / total)


def _of_forms(tally: _Tally, others: dict[str, int], weak: int) -> Column | None:
    """A column that reads as a whole as true and false, or as numbers of one form; None: it does not."""
    if not others:
        return None
    if not tally.instants and all(re.match(pattern(TRUTH), word) for word in others) and not tally.numbers:
        return Column("number", TRUTH)
    if tally.truths or tally.instants:
        return None
    forms = [form for form in FORMS if all(re.match(pattern(form), _spaced(word)) for word in others)]
    if not forms:
        return None
    words = [_spaced(word) for word in others]
    symbols = {c for word in words for c in word if c in "$€£¥₹"}
    percents = {word.rstrip(")").endswith("%") for word in words} | ({False} if tally.numbers else set())
    if len(symbols) > 1 or len(percents) > 1:
        return None
    both = len({form.decimal for form in forms}) > 1 and any("," in word for word in words)
    both = both and not symbols & set("$£¥₹")  # where those are paid with, commas group digits
    column = Column("number", forms[0])
    if both:  # 1,234: a thousand or one and a bit
        column.note, column.example = _BOTH, words[0]
    return column


def _spaced(word: str) -> str:
    """A number with plain blanks where typeset ones group its digits."""
    return word.replace("\u00a0", " ").replace("\u202f", " ")


_BOTH, _EITHER = "reads both ways", "is one of two days"  # until it is settled which
HEADLESS = "the first line holds only numbers: if it names no columns, say so (--no-header)"
AS_TOLD = "as told"  # why a column is left out


def _of_dates(dates: _Dates, others: dict[str, int]) -> Column:
    """A column of dates; where they may be written in two ways, which it is has to be said."""
    ways, bad = dates.ways, dates.bad
    column = Column("instant", way=ways[0], bad=sum(bad.values()), example=next(iter(bad), ""))
    if len(ways) > 1:
        column.note, column.example = _EITHER, next(word for word in others if word not in bad)
    return column


def _settle_dates(columns: dict[str, Column], order: str | None) -> None:
    """Read dates whose day may be their month in the order given, or as the other columns of the file say; where none does
    they are text, with a word.
    """
    dates = [c for c in columns.values() if c.way]
    told = {order_of(c.way) for c in dates if c.note != _EITHER} - {None}
    told = {order} if order else told
    for column in dates:
        if column.note != _EITHER:
            pass
        elif len(told) == 1:
            column.way = next(w for w in (column.way, twin_of(column.way)) if order_of(w) in told)
        else:
            column.kind, column.way, column.bad = "text", "", 0
            column.note = f"{column.example!r} may be a day and a month or the other way round: say it by --dates dmy or --dates mdy"
            continue
        column.note = f"dates, written {column.way}"


def _settle_commas(columns: dict[str, Column]) -> None:
    """Read columns of 1,234 as the other columns of the file say; where none does they are text, with a word."""
    told = {c.form.decimal for c in columns.values() if c.form.style == "dressed" and c.note != _BOTH and ("," in (c.form.decimal, c.form.thousands))}  # fmt: skip
    for column in columns.values():
        if column.note != _BOTH:
            continue
        if len(told) == 1:
            column.form = Form(",", "", "dressed") if told == {","} else Form(".", ",", "dressed")
            column.note = ""
        else:
            column.kind, column.form = "text", PLAIN
            column.note = (
                f"{column.example!r} is a thousand or a decimal: say it by --thousands , or --decimal ,"
            )


def told(
    columns: dict[str, Column], roles: dict[str, str], numeric: list[str], text: list[str]
) -> dict[str, Any]:
    """Which columns are what, as JSON has it.

    roles: columns by what they are for (target, weight, tag). numeric, text: those that are features.
    """

    def said(name: str) -> dict[str, Any]:
        c = columns[name]
        kind = "text" if name in texts else "number" if c.kind == "text" else c.kind
        known = {"name": name, "kind": kind, "missing": c.missing, "bad": c.bad, "note": c.note}
        known |= {"example": c.example} if c.bad else {}
        if kind == "text":  # of a number that is hashed as it is told, nobody has counted the values
            known["values"] = c.values if c.kind == "text" else None
        return known

    texts = set(text)

    used = {*roles.values(), *numeric, *text}
    return {
        "numbers": [said(n) for n in numeric],
        "text": [said(n) for n in text],
        "left_out": [{"name": n, "why": c.why or AS_TOLD} for n, c in columns.items() if n not in used],
        "note": HEADLESS if all(map(re.compile(pattern(PLAIN)).match, columns)) else "",
        **roles,
    }


def are_classes(kinds: np.ndarray[Any, Any]) -> bool:
    """Whether labels of these kinds, ascending, are taken for classes: two whole numbers, or a few without a gap."""
    whole = bool(np.all(kinds == np.round(kinds)))
    return whole and (len(kinds) <= 2 or (len(kinds) <= CLASSES and kinds[-1] - kinds[0] == len(kinds) - 1))


def label_text(label: float) -> str:
    """A label that is a number as text that no other label has: a whole number by all of its digits."""
    number = float(label)
    return str(int(number)) if number.is_integer() and abs(number) < _MANY_DIGITS else repr(number)
