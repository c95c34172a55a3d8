"""Columns of Arrow as numbers, as bytes, and by kind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileError
from .cells import trimmed

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]


def to_numbers(column: pa.ChunkedArray) -> Array:
    """A numeric column as float64, NaN where it is missing."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    return np.array(column.to_numpy(zero_copy_only=False))


def as_bytes(column: pa.ChunkedArray) -> pa.Array:
    """A column of any plain type as bytes."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = column.cast(pa.large_string())
    column = column.cast(pa.large_binary())
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def trimmed_text(column: pa.ChunkedArray) -> list[str]:
    """A column of any plain type as texts without blanks around them; "" where there is none."""
    words = trimmed(as_bytes(column)).cast("large_binary").to_pylist()
    return ["" if w is None else w.decode("utf-8", "replace") for w in words]


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
    if t.is_timestamp(type) or t.is_date(type):
        return "instant"
    views = t.is_string_view(type) or t.is_binary_view(type)
    plain = t.is_string(type) or t.is_large_string(type) or t.is_binary(type) or t.is_large_binary(type)
    return "text" if views or plain or t.is_temporal(type) else str(type)


def micros_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates or timestamps of any unit and zone as microseconds since 1970 UTC."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"))
    return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())


def unique(path: Path, names: Iterable[str]) -> list[str]:
    names = list(names)
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise FileError(f"{path}: two columns are named {twice[0]!r}; rename one")
    return names


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
