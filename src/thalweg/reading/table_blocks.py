"""The rows of a table as blocks: labels, weights, numbers as they are learnt, hashed texts, and which rows are bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .arrow import as_bytes, to_numbers
from .block import Block, Pass
from .cells import MISSING, readable, trimmed
from .kernels.tables import ROWS, ROWS_JOB, WEIGHTED_ROWS
from .tables import Array, Layout, Reasons, Stretch, parts_of, run

if TYPE_CHECKING:
    import pyarrow as pa


def block_of(layout: Layout, path: Path, run: Pass, stretch: Stretch) -> Block | None:
    """The rows of a stretch of a file that are good; None where none is. The others are counted, or raised."""
    at, table, first, cells, known_bad, remarks = stretch
    columns, n = layout.columns, table.num_rows
    bad = dict(known_bad)
    known = {*bad, *remarks}
    for name, odd in cells.items():
        layout.count_odd_cells(path, first, name, [(k, cell) for k, cell in odd if k not in known], bad, run)
    labels, weights = _labels(layout, table, bad), _weights(layout, table, bad)
    numbers, blank = np.empty((n, len(layout.names)), np.float32), np.zeros((n, layout.width), bool)
    wide = []
    for k, name in enumerate(layout.numbers):
        x = layout.wide(table, name)
        missing = np.isnan(x)
        if missing.any():
            _missing(layout, name, missing, bad)
            x[missing] = 0 if layout.means is None or columns.missing != "mean" else layout.means[k]
            blank[:, k] = missing
        numbers[:, k] = _scaled(layout, k, x, bad)
        wide += [x] if layout.products.names else []
    for k, x in enumerate(layout.products.of_numbers(wide, layout.map), layout.width):
        numbers[:, k] = _scaled(layout, k, x, bad)
    hashed, shares = _hashed(layout, table, numbers, bad)
    unlabelled = set() if columns.unlabelled else set(np.flatnonzero(np.isnan(labels)).tolist()) - {*bad}
    for k in sorted({*bad, *unlabelled} - {*remarks}):
        if k in bad:
            run.bad(path, first + k, bad[k], "row")
        else:
            run.leave_out(path, first + k, f"column {columns.target!r}: there is no label", "row")
    keep = np.ones(n, bool)
    keep[list({*bad, *unlabelled, *remarks})] = False
    if not keep.any():
        return None
    if not keep.all():
        numbers, blank, hashed, labels = numbers[keep], blank[keep], hashed[keep], labels[keep]
        shares = None if shares is None else shares[keep]
        weights = None if weights is None else weights[keep]
    if weights is not None and np.all(weights == 1.0):
        weights = None
    tags = None
    if columns.tag is not None:
        values = as_bytes(table[columns.tag]).to_pylist()
        tags = [
            "" if v is None else v.decode("utf-8", "replace")
            for v, good in zip(values, keep, strict=True)
            if good
        ]
    if layout.means is not None and columns.missing == "mean" and blank.any():
        numbers = np.hstack([numbers, blank], dtype=np.float32)
    return run.block(at, labels, weights, _rows(layout, numbers, hashed, shares), tags)


def _scaled(layout: Layout, k: int, wide: Array, bad: Reasons) -> Array:
    """Numeric feature k as it is learnt, float32; rows where it is not finite are bad."""
    scale = () if layout.map is None else (c[k] for c in layout.map)
    return _narrow(layout.names[k], wide, bad, *scale)


def _labels(layout: Layout, table: pa.Table, bad: Reasons) -> Array:
    name = layout.columns.target
    if name is None:
        return np.full(table.num_rows, np.nan)
    if layout.classes is not None:
        return _codes(layout, name, table[name], bad)
    labels = to_numbers(table[name])
    _refuse(bad, np.isinf(labels), lambda k: f"column {name!r}: {labels[k]} is not finite")
    return labels


def _codes(layout: Layout, name: str, column: pa.ChunkedArray, bad: Reasons) -> Array:
    """The places of texts among the classes, NaN where they are missing; -1 for none of a model's classes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = trimmed(as_bytes(column))
    codes = pc.index_in(text, pa.array(layout.classes, pa.string()))
    labels = np.array(codes.cast(pa.float64()).to_numpy(zero_copy_only=False))
    gone = pa.array([*MISSING, *layout.columns.na], pa.string())
    given = np.asarray(pc.invert(pc.or_(pc.is_null(text), pc.is_in(text, gone))).to_numpy(False))
    if layout.columns.layout is not None:  # of a model: it is no class of that one
        labels[np.isnan(labels) & given] = -1
    elif not layout.columns.unlabelled:
        shown = ", ".join((layout.classes or [])[:8])
        _refuse(bad, np.isnan(labels) & given, lambda k: f"column {name!r}: {readable(text, k)!r} is none of the classes {shown}; name them all (--classes)")  # fmt: skip
    return labels


def _weights(layout: Layout, table: pa.Table, bad: Reasons) -> Array | None:
    name = layout.columns.weight
    if name is None:
        return None
    weights = _narrow(name, to_numbers(table[name]), bad)
    _refuse(bad, np.isnan(weights), lambda _: f"column {name!r}: there is no weight")
    _refuse(bad, weights < 0, lambda k: f"column {name!r}: weight {weights[k]} is negative")
    return weights


def _missing(layout: Layout, name: str, missing: Array, bad: Reasons) -> None:
    if layout.columns.missing == "bad":
        _refuse(bad, missing, lambda _: f"column {name!r}: the value is missing")


def _hashed(layout: Layout, table: pa.Table, numbers: Array, bad: Reasons) -> tuple[Array, Array | None]:
    """The features of all that is hashed, int32 (rows, columns), -1 where there is none; their values, None: all 1.

    numbers: the numeric features as they are learnt.
    """
    columns = []
    for name in layout.texts:
        index, missing = _hashes(layout, name, table[name])
        _missing(layout, name, missing, bad)
        none = missing if layout.columns.missing != "mean" else np.zeros_like(missing)
        columns.append(np.where(none, np.int32(-1), index))
    for name in layout.instants:
        columns += _parts(layout, name, to_numbers(table[name]))
    products, values = _products_of_texts(layout, columns[: len(layout.texts)], numbers)
    shares = [np.ones(table.num_rows, np.float32)] * len(columns) + values
    hashed = np.stack(columns + products, 1) if columns else np.empty((table.num_rows, 0), np.int32)
    return hashed, np.stack(shares, 1) if layout.products.weighted else None


def _products_of_texts(
    layout: Layout, features: list[Array], numbers: Array
) -> tuple[list[Array], list[Array]]:
    """The features of products with columns of text, which have those features, and their values."""
    import pyarrow as pa

    if len(layout.products.pairs) == len(layout.products.names):
        return [], []
    called = (
        layout.hashes_of(pa.array([n.encode() for n in layout.numbers], pa.large_binary())) - layout.offset
    )
    hashes = [np.where(x < 0, -1, x.astype(np.int64) - layout.offset) for x in features]
    products, values = layout.products.of_texts(hashes, numbers, called, (1 << layout.columns.bits) - 1)
    return [np.where(x < 0, -1, x + layout.offset).astype(np.int32) for x in products], values


def _parts(layout: Layout, name: str, micros: Array) -> list[Array]:
    """The features of an instant's year, month, day of the week and hour, -1 where it is missing."""
    import pyarrow as pa

    missing = np.isnan(micros)
    columns = []
    for part, values in parts_of(micros).items():
        kinds, places = np.unique(values, return_inverse=True)
        names = pa.array([f"{name}.{part}={v}".encode() for v in kinds.tolist()], pa.large_binary())
        columns.append(np.where(missing, np.int32(-1), layout.hashes_of(names)[places]))
    return columns


def _hashes(layout: Layout, name: str, column: pa.ChunkedArray) -> tuple[Array, Array]:
    """The features of a column of text, and which cells are empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = as_bytes(column)
    joined = pc.binary_join_element_wise(
        pa.scalar(f"{name}=".encode(), pa.large_binary()),
        values,
        pa.scalar(b"", pa.large_binary()),
        null_handling="replace",
    )
    missing = pc.fill_null(pc.equal(pc.binary_length(values), 0), True)
    return layout.hashes_of(joined), np.asarray(missing)


def _rows(layout: Layout, numbers: Array, hashed: Array, shares: Array | None) -> tuple[Array, Array, Array]:
    n = len(numbers)
    indptr = np.empty(n + 1, np.int64)
    indices = np.empty(numbers.size + hashed.size, np.int32)
    values = np.empty(numbers.size + hashed.size, np.float32)
    done = run(
        ROWS_JOB,
        ROWS if shares is None else WEIGHTED_ROWS,
        shares=0 if shares is None else shares.ctypes.data,
        numbers=numbers.ctypes.data,
        hashed=hashed.ctypes.data,
        indptr=indptr.ctypes.data,
        indices=indices.ctypes.data,
        values=values.ctypes.data,
        rows=n,
        width=numbers.shape[1],
        texts=hashed.shape[1],
    )
    nnz = done["entries"]
    return indptr, indices[:nnz].copy(), values[:nnz].copy()


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
