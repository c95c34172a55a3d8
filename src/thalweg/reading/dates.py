"""Dates as people write them, other than in ISO 8601: one way of writing for a whole column.

A way is a date, and a time of day after it where there is one: ``14:30``, ``2:30:05 PM``. Months may be names, in
English, a year two digits (69 is 1969, 68 is 2068, as POSIX has it). What names no zone is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]
ORDERS = ("dmy", "mdy")  # which comes first: the day or the month

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY, _MONTH, _YEAR, _SHORT = r"(?P<d>\d{1,2})", r"(?P<m>\d{1,2})", r"(?P<y>\d{4})", r"(?P<y>\d{2})"
_NAME = r"(?P<n>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))\.?"  # fmt: skip
_QUARTER = r"[Qq](?P<q>[1-4])"
_TIME = r"(?:,?[T ]+(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:\.(?P<f>\d{1,6})\d*)?)?(?: ?(?P<p>[AaPp])\.?[Mm]\.?)?)?"
_SECOND = 1_000_000  # microseconds

# How dates are written, by what is said of them: those of an order, day or month first, have a twin of the other one.
WAYS: dict[str, str] = (
    {f"year{s}month{s}day": re for s in "/." for re in [rf"{_YEAR}[{s}]{_MONTH}[{s}]{_DAY}"]}
    | {
        f"{'day' if day else 'month'}{s}{'month' if day else 'day'}{s}{year}": rf"{first}[{s}]{second}[{s}]{end}"
        for s in "/.-"
        for year, end in (("year", _YEAR), ("yy", _SHORT))
        for day, first, second in ((True, _DAY, _MONTH), (False, _MONTH, _DAY))
    }
    | {
        "day month year": rf"{_DAY}[ -]{_NAME},?[ -](?:{_YEAR}|(?P<yy>\d{{2}}))",
        "month day, year": rf"{_NAME} {_DAY},? {_YEAR}",
        "year month day": rf"{_YEAR}[ -]{_NAME}[ -]{_DAY}",
    }
    | {  # of months and quarters, which are their first days
        "year-month": rf"{_YEAR}[-/](?P<m>\d{{2}})",
        "month/year": rf"{_MONTH}[-/]{_YEAR}",
        "month year": rf"{_NAME}(?:-|,? +){_YEAR}",
        "year month": rf"{_YEAR}(?:-|,? +){_NAME}",
        "year quarter": rf"{_YEAR}[ -]?{_QUARTER}",
        "quarter year": rf"{_QUARTER}[ /-]?{_YEAR}",
    }
)


def order_of(way: str) -> str | None:
    """Whether numbers of day and month come in that order, last the year; None where they do not."""
    day, month = way.find("day"), way.find("month")
    if way.startswith("year") or " " in way or day < 0:
        return None
    return "dmy" if day < month else "mdy"


def twin_of(way: str) -> str:
    """The way of the other order of day and month."""
    between = {"day": "month", "month": "day"}
    return re.sub("day|month", lambda word: between[word[0]], way)


def likely_ways(words: Iterable[str]) -> list[str]:
    """The ways in which at least one of the words may be a date, by its looks."""
    dates = [word for word in words if any(c.isdigit() for c in word)]
    return [way for way in WAYS if any(re.match(_pattern(way), word) for word in dates)]


def micros_of(text: pa.Array, way: str) -> pa.Array:
    """Texts written in that way as microseconds since 1970, int64; null where they are not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.extract_regex(text, _pattern(way))
    fields = {parts.type.field(k).name: k for k in range(parts.type.num_fields)}

    def number(name: str, default: int = 0) -> Array:
        if name not in fields:
            return np.full(len(text), default, np.int64)
        cells = pc.struct_field(parts, [fields[name]])
        cells = pc.if_else(pc.equal(cells, ""), pa.scalar(str(default)), cells)
        return np.asarray(pc.fill_null(cells, str(default)).cast(pa.int64()).to_numpy(zero_copy_only=False))

    months = number("m", 1)
    if "n" in fields:
        short = pc.utf8_lower(pc.utf8_slice_codeunits(pc.struct_field(parts, [fields["n"]]), 0, 3))
        months = np.asarray(
            pc.fill_null(pc.index_in(short, pa.array(_MONTHS, pa.string())), 0).to_numpy(False), np.int64
        )
        months += 1
    if "q" in fields:
        months = 3 * number("q", 1) - 2
    years, days = number("y"), number("d", 1)
    if "yy" in fields:
        two = number("yy", -1)
        years = np.where(two < 0, years, _whole_year(two))
    elif "yy" in way:
        years = _whole_year(years)
    hours, minutes, seconds = number("H"), number("M"), number("S")
    good = np.asarray(pc.is_valid(parts).to_numpy(False)) & (months >= 1) & (months <= 12) & (days >= 1)
    good &= (minutes < 60) & (seconds < 60) & (years > 0)
    half = np.asarray(pc.fill_null(pc.utf8_lower(pc.struct_field(parts, [fields["p"]])), "").to_numpy(False))
    named = half != ""
    good &= np.where(named, (hours >= 1) & (hours <= 12), hours < 24)
    hours = np.where(named, hours % 12 + np.where(half == "p", 12, 0), hours)
    first = (np.where(good, years, 1970) - 1970).astype("datetime64[Y]").astype("datetime64[M]")
    month = first + (np.where(good, months, 1) - 1)
    date = month.astype("datetime64[D]") + (days - 1)
    good &= date.astype("datetime64[M]") == month  # there is such a day
    micros = date.astype(np.int64) * 86_400 + hours * 3600 + minutes * 60 + seconds
    micros = micros * _SECOND + _fraction(parts, fields["f"])
    return pa.array(micros, pa.int64(), mask=~good)


def _whole_year(years: Array) -> Array:
    return np.where(years < 69, 2000, 1900) + years


def _fraction(parts: pa.Array, field: int) -> Array:
    """Decimals of seconds as microseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = pc.utf8_rpad(pc.fill_null(pc.struct_field(parts, [field]), ""), 6, "0")
    return np.asarray(digits.cast(pa.int64()).to_numpy(zero_copy_only=False))


@cache
def _pattern(way: str) -> str:
    return f"^{WAYS[way]}{_TIME}$"
