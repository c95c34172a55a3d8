"""The rows of a pass in chunks, and the order in which a chunk's rows are learnt.

A chunk ends where its rows say so, wherever the blocks end that they are read in, so that a model does not depend on
how much memory there is. The first chunk is the long one: columns' sizes, the learning rate, classes and the map of
the numbers to be learnt are decided by it. The rows of a chunk are learnt in an order drawn anew in every pass.
"""

from collections.abc import Generator, Iterable
from typing import NamedTuple

import numpy as np

from ..engines.memory import Array
from ..reading import Block


class Bounds(NamedTuple):
    """A chunk ends with the row that makes it so many rows, or entries (of 8 bytes)."""

    rows: int
    entries: int


FIRST = Bounds(1 << 16, 1 << 21)
LATER = Bounds(1 << 13, 1 << 18)  # the rows lie in the processor's cache


class Chunk(NamedTuple):
    """Rows that are learnt together, in the files' order. position, done: where the next chunk begins: in the block
    that begins there (None: the pass's first), after so many of its rows.
    """

    block: Block
    position: dict[str, int] | None
    done: int


class _Piece(NamedTuple):
    """Rows first to last - 1 of a block."""

    block: Block
    first: int
    last: int


def chunks(
    blocks: Iterable[Block], position: dict[str, int] | None = None, done: int = 0, begun: bool = False
) -> Generator[Chunk, None, None]:
    """The chunks of a pass, from the one on that begins after ``done`` rows of the block at ``position``.

    blocks: of the stream from that position on. begun: whether the first chunk is over. Blocks stay as they are; a
    chunk's arrays may be views of theirs.
    """
    pieces: list[_Piece] = []
    bounds = LATER if begun else FIRST
    rows = entries = 0
    for block in blocks:
        first, count = done, len(block.labels)
        done = 0
        while first < count:
            full = np.searchsorted(block.indptr, block.indptr[first] + bounds.entries - entries)
            last = min(count, first + bounds.rows - rows, max(first + 1, int(full)))
            pieces.append(_Piece(block, first, last))
            rows += last - first
            entries += int(block.indptr[last] - block.indptr[first])
            first = last
            if rows >= bounds.rows or entries >= bounds.entries:
                yield Chunk(_joined(pieces), *((block.position, 0) if last == count else (position, last)))
                pieces, rows, entries, bounds = [], 0, 0, LATER
        position = block.position
    if pieces:
        yield Chunk(_joined(pieces), position, 0)


def order(chosen: Array, seed: int, passed: int, row: int) -> Array:
    """Row numbers in the order in which they are learnt in that pass; row: the chunk's first one, in the files."""
    return np.random.default_rng([seed, passed, row]).permutation(chosen)


def _joined(pieces: list[_Piece]) -> Block:
    """The rows of the pieces as one block. Its position is that of the last one, its tags are gone."""
    last, first = pieces[-1].block, pieces[0].block
    weights = None
    if any(p.block.weights is not None for p in pieces):
        weights = _one(
            [
                np.ones(p.last - p.first, np.float32)
                if p.block.weights is None
                else p.block.weights[p.first : p.last]
                for p in pieces
            ]
        )
        if np.all(weights == 1.0):
            weights = None
    cuts = [(p.block.indptr[p.first], p.block.indptr[p.last]) for p in pieces]
    lengths = [np.diff(p.block.indptr[p.first : p.last + 1]) for p in pieces]
    return last._replace(
        labels=_one([p.block.labels[p.first : p.last] for p in pieces]),
        weights=weights,
        indptr=np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum(),
        indices=_one([p.block.indices[a:b] for p, (a, b) in zip(pieces, cuts, strict=True)]),
        values=_one([p.block.values[a:b] for p, (a, b) in zip(pieces, cuts, strict=True)]),
        tags=None,
        row=first.row + pieces[0].first,
    )


def _one(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
