"""What a cache says is checked before kernels go by it: a checksum tells of accidents, not of intent.

Every number that becomes an address, a length or an index is compared with what it must be; whoever wrote the file
can make wrong rows, which are only wrong, and no row that lies outside its arrays.
"""

from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..engines.cpu.csr import GOOD, Rows, look
from ..errors import HyperparameterError
from .block import Block, Position
from .layout import LARGEST

DTYPES = {"labels": "f8", "weights": "f4", "indptr": "i8", "indices": "i4", "values": "f4", "tags": "u1"}
Entry = dict[str, Any]  # of a block, in the index: at, size, crc, counts, features, row, position


def padded(name: str, count: int) -> int:
    """Bytes that an array of so many numbers takes in the file: whole words of 8."""
    return -(-count * np.dtype(DTYPES[name]).itemsize // 8) * 8


def index_is_sound(index: object, begin: int, end: int, files: int, features: int | None) -> bool:
    """Whether an index describes blocks that fill the bytes from begin to end, one after the other.

    files: how many the stream has. features: how many it declares; None: only reading tells.
    """
    if not isinstance(index, dict) or index.keys() != {"source", "skipped", "reasons", "blocks"}:
        return False
    reasons, blocks = index["reasons"], index["blocks"]
    if not _is_count(index["skipped"]) or not isinstance(reasons, list) or not isinstance(blocks, list):
        return False
    if not all(isinstance(reason, str) for reason in reasons):
        return False
    if not all(_entry_is_sound(entry, files, features) for entry in blocks):
        return False
    places = [*accumulate((e["size"] for e in blocks), initial=begin)]
    rows = [*accumulate((e["counts"]["labels"] for e in blocks), initial=0)]
    return (
        [e["at"] for e in blocks] == places[:-1]
        and places[-1] == end
        and [e["row"] for e in blocks] == rows[:-1]
        and all(a["features"] <= b["features"] for a, b in pairwise(blocks))
    )


def _entry_is_sound(entry: object, files: int, features: int | None) -> bool:
    """Whether what the index says of one block can be true."""
    names = {"at", "size", "crc", "counts", "features", "row", "position"}
    if not isinstance(entry, dict) or entry.keys() != names:
        return False
    counts = entry["counts"]
    if not isinstance(counts, dict) or not all(_is_count(entry[n]) for n in names - {"counts", "position"}):
        return False
    if list(counts) != [n for n in DTYPES if n in counts] or not all(map(_is_count, counts.values())):
        return False
    try:
        Position.of(entry["position"], files)
    except HyperparameterError:
        return False
    rows, stored = counts.get("labels", 0), counts.get("indices", 0)
    return (
        counts.keys() >= {"labels", "indptr", "indices", "values"}
        and rows > 0
        and counts["indptr"] == rows + 1
        and counts["values"] == stored <= LARGEST
        and counts.get("weights", rows) == rows
        and entry["size"] == sum(padded(n, count) for n, count in counts.items())
        and (entry["features"] <= LARGEST + 1 if features is None else entry["features"] == features)
    )


def block_is_sound(block: Block, unlabelled: bool) -> bool:
    """Whether a block's arrays are what ``Block`` promises; their lengths fit already."""
    indptr = block.indptr
    if indptr[0] != 0 or indptr[-1] != len(block.indices) or np.any(indptr[1:] < indptr[:-1]):
        return False
    csr = Rows(block.values, block.indices, indptr.astype(np.int32), (len(block.labels), block.features))
    if look(csr)[0] != GOOD:
        return False
    labels, weights, tags = block.labels, block.weights, block.tags
    if not np.isfinite(labels).all() and (not unlabelled or np.isinf(labels).any()):
        return False
    if weights is not None and not (np.isfinite(weights).all() and weights.min() >= 0):
        return False
    if tags is None:
        return True
    named = isinstance(tags, list) and len(tags) == len(labels)
    return named and all(isinstance(tag, str) for tag in tags)


def _is_count(value: object) -> bool:
    """Whether a value from JSON is a whole number that an array may have as its length."""
    return type(value) is int and 0 <= value < 1 << 62
