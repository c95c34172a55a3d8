"""Cells of text as numbers and instants: how they may be written, and which words say that a value is missing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .dates import micros_of

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]

# What pandas takes for missing (pandas.read_csv, na_values), compared after trimming.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
WEAK = ("?", "missing", "N.A.")  # missing where all the rest are numbers
DOTS = ("-", ".", "*")  # missing where nearly all the rest are

_CURRENCY = "$€£¥₹"
_SPACES = "[\u00a0\u202f]"  # between groups of digits, as typeset
_TRUTH = r"(?i)^(0|1|true|false)$"
_INSTANT = (
    r"^\d{4}-\d{2}-\d{2}([T ]\d{2}(:?\d{2}(:?\d{2}(\.\d+)?)?)?( ?(Z|z|[+-]\d{2}(:?\d{2})?))?)?$"  # ISO 8601
)
_ZONE = r"[T ]\d[^+-]*(Z|z|[+-]\d{2}(:?\d{2})?)$"


class Form(NamedTuple):
    """How the numbers of a column are written.

    style: "plain"; "dressed": with a currency, a percent sign, in parentheses for minus, or with Fortran's D for an
    exponent's E; "truth": true and false.
    """

    decimal: str = "."
    thousands: str = ""
    style: str = "plain"


PLAIN = Form()
TRUTH = Form(style="truth")
# Tried in this order on a column whose numbers are not plain.
FORMS = tuple(
    Form(decimal, thousands, "dressed")
    for decimal, thousands in ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
)  # fmt: skip


@cache
def pattern(form: Form) -> str:
    """The regular expression of a whole number in that form, for ``re`` and for pyarrow."""
    if form.style == "truth":
        return _TRUTH
    point = re.escape(form.decimal)
    digits = r"\d+"
    if form.thousands:
        digits = rf"([1-9]\d{{0,2}}({re.escape(form.thousands)}\d{{3}})+|\d+)"
    if form.style == "plain":
        return rf"(?i)^[+-]?(({digits}{point}?\d*|{point}\d+)(e[+-]?\d+)?|inf|infinity)$"
    number = rf"({digits}({point}\d*)?|{point}\d+)([eEdD][+-]?\d+)?"
    dressed = rf"[{_CURRENCY}]? ?[+-]?{number} ?[{_CURRENCY}%]?"
    return rf"^([+-]?{dressed}|\({dressed}\))$"


def trimmed(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Cells as text without blanks around them; bytes that are no UTF-8 stay."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    text = pc.cast(column, options=pc.CastOptions(pa.string(), allow_invalid_utf8=True))
    return pc.ascii_trim_whitespace(text)


Odd = list[tuple[int, str]]  # cells that are none of what they should be: their places and their text


def numbers_of(column: pa.ChunkedArray, form: Form, missing: tuple[str, ...]) -> tuple[pa.Array, Odd]:
    """Cells of text as float64, null where they are missing or no numbers; the latter are listed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text, given = _given(column, missing)
    if form.style == "dressed":
        text = pc.replace_substring_regex(text, _SPACES, " ")
    good = pc.match_substring_regex(text, pattern(form))
    kept = pc.if_else(pc.and_(good, given), text, pa.scalar(None, pa.string()))
    odd = _listed(text, pc.and_(given, pc.invert(good)))
    if form.style == "truth":
        return kept.cast(pa.bool_()).cast(pa.float64()), odd
    if form != PLAIN:
        minus, percent = pc.starts_with(kept, "("), pc.match_substring(kept, "%")
        kept = pc.replace_substring_regex(kept, rf"[{_CURRENCY}%()]|{re.escape(form.thousands or ' ')}| ", "")
        kept = pc.replace_substring_regex(kept, "[dD]", "e")
        if form.decimal != ".":
            kept = pc.replace_substring(kept, form.decimal, ".")
        kept = pc.replace_substring_regex(kept, r"^\+", "")
        numbers = kept.cast(pa.float64())
        numbers = pc.if_else(minus, pc.negate(numbers), numbers)
        return pc.if_else(percent, pc.divide(numbers, 100.0), numbers), odd
    return kept.cast(pa.float64()), odd


def instants_of(
    column: pa.ChunkedArray | pa.Array, missing: tuple[str, ...], way: str = ""
) -> tuple[pa.Array, Odd]:
    """Cells of text as microseconds since 1970 UTC, null where they are missing or no instants; the latter are listed.

    way: how they are written, of ``dates.WAYS``; "": in ISO 8601.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text, given = _given(column, missing)
    if way:
        kept = pc.if_else(given, text, pa.scalar(None, pa.string()))
        micros = micros_of(kept, way)
        return micros, _listed(text, pc.and_(given, pc.is_null(micros)))
    good = pc.and_(given, pc.match_substring_regex(text, _INSTANT))
    whole = pc.if_else(good, text, pa.scalar(None, pa.string()))
    whole = pc.replace_substring_regex(whole, r"(\.\d{6})\d+", r"\1")  # finer than microseconds
    zoned = pc.match_substring_regex(whole, _ZONE)
    none = pa.scalar(None, pa.string())
    try:
        here = pc.if_else(zoned, none, whole).cast(pa.timestamp("us")).cast(pa.int64())
        there = pc.replace_substring(pc.if_else(zoned, whole, none), " +", "+").cast(
            pa.timestamp("us", "UTC")
        )
        micros = pc.coalesce(here, there.cast(pa.int64()))
    except pa.ArrowInvalid:  # no such day, or a time that pyarrow does not read
        micros = pa.array([_micros(x) for x in whole.to_pylist()], pa.int64())
    return micros, _listed(text, pc.and_(given, pc.is_null(micros)))


def _micros(text: str | None) -> int | None:
    """An instant in ISO 8601 as microseconds since 1970 UTC; None where it is none."""
    try:
        when = datetime.fromisoformat((text or "").replace("z", "Z"))
    except ValueError:
        return None
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _given(column: pa.ChunkedArray | pa.Array, missing: tuple[str, ...]) -> tuple[pa.Array, pa.Array]:
    """The trimmed cells, and which of them are not missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = trimmed(column)
    return text, pc.invert(pc.or_(pc.is_null(text), pc.is_in(text, pa.array(missing, pa.string()))))


def _listed(text: pa.Array, odd: pa.Array) -> Odd:
    import pyarrow.compute as pc

    places = np.flatnonzero(np.asarray(pc.fill_null(odd, False)))
    return [(k, readable(text, k)) for k in places.tolist()]


def readable(text: pa.Array, k: int) -> str:
    """A cell for a message: its first characters, whatever its bytes are."""
    return str(text[k].as_buffer().to_pybytes().decode("utf-8", "replace")[:40])
