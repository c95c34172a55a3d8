"""The rows that are not learnt from but tell how good the model is.

Which they are is a hash of their numbers, the same in every pass and run, up to a number that does not depend on how much
memory there is. They are kept in memory as far as they fit: those beyond it are not learnt from all the same.
"""

from collections.abc import Iterable

import numpy as np

from ..engines.memory import Array
from ..linear import Model
from ..reading import Block
from .checkpoint import State
from .quality import Quality
from .trained import matrix

HELD_ROWS = 50_000
LEARNT_ROWS = 10_000  # of those learnt from, on which the final model is measured too
LEARNT_SHARE = 0.1  # of the rows, where none are held out


def hashed(rows: Array, seed: int) -> Array:
    """A number in [0, 1) for each row number: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    x = rows.astype(np.uint64) + np.uint64(seed)
    with np.errstate(over="ignore"):
        x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53


class HeldOut:
    """The rows held out so far. share: of all rows, in [0, 1). limit: bytes that they may take."""

    def __init__(self, share: float, seed: int, limit: int) -> None:
        self.share, self.seed, self.limit = share, seed, limit
        self.blocks: list[Block] = []
        self.count = self.bytes = 0

    def split(self, block: Block, state: State) -> Array | None:
        """The rows of a block to learn from; None: all. In the first pass the others are kept, and counted in state."""
        outside = self._outside(block, state)
        if (
            state.passed == 0
            and state.until is None
            and (out := np.flatnonzero(outside)).size > (room := HELD_ROWS - state.held)
        ):
            state.until = block.row + int(out[room])
            outside = self._outside(block, state)
        if not outside.any():
            return None
        if state.passed == 0:
            self._keep(block, outside)
            state.held += int(outside.sum())
        return np.flatnonzero(~outside)

    def keep_again(self, block: Block, state: State) -> Array | None:
        """Keep the rows of a block again that were held out before a checkpoint; the others, None: all."""
        outside = self._outside(block, state)
        if not outside.any():
            return None
        if self.count < state.held:
            self._keep(block, outside)
        return np.flatnonzero(~outside)

    def quality(self, model: Model) -> Quality | None:
        """How good the model is on these rows; None where there are none."""
        return quality_on(self.blocks, model)

    def _outside(self, block: Block, state: State) -> Array:
        """Which rows of a block are held out: bool (rows,)."""
        if not self.share or (state.until is not None and block.row >= state.until):
            return np.zeros(len(block.labels), bool)
        numbers = np.arange(block.row, block.row + len(block.labels))
        outside: Array = hashed(numbers, self.seed) < self.share
        return outside if state.until is None else outside & (numbers < state.until)

    def _keep(self, block: Block, outside: Array) -> None:
        self.count += int(outside.sum())
        if self.bytes >= self.limit:
            return
        kept = rows_of(block, outside)
        self.blocks.append(kept)
        self.bytes += bytes_of(kept)


class LearntRows:
    """Rows that were learnt from and are kept, to measure the final model on them: of the same stretch of the files as
    those held out, and with the same share, which they are by the same hash. limit: bytes that they may take.
    """

    def __init__(self, share: float, seed: int, limit: int) -> None:
        self.low, self.high = share, share + min(share or LEARNT_SHARE, 1 - share)
        self.seed, self.limit = seed, limit
        self.blocks: list[Block] = []
        self.count = self.bytes = 0

    @property
    def full(self) -> bool:
        """Whether no more are kept."""
        return self.count >= LEARNT_ROWS or self.bytes >= self.limit

    def take(self, block: Block, rows: Array | None) -> None:
        """Keep some of the rows of a block that are learnt from (None: all), in the first pass."""
        if self.full:
            return
        hashes = hashed(np.arange(block.row, block.row + len(block.labels)), self.seed)
        chosen = (hashes >= self.low) & (hashes < self.high)
        if rows is not None:
            learnt = np.zeros(len(chosen), bool)
            learnt[rows] = True
            chosen &= learnt
        if not chosen.any():
            return
        kept = rows_of(block, chosen)
        self.blocks.append(kept)
        self.count += len(kept.labels)
        self.bytes += bytes_of(kept)

    def quality(self, model: Model) -> Quality | None:
        """How good the model is on these rows; None where there are none."""
        return quality_on(self.blocks, model)


def quality_on(blocks: Iterable[Block], model: Model) -> Quality | None:
    """How good the model is on the rows of blocks; None where there are none."""
    quality = Quality()
    for block in blocks:
        quality.add(model, matrix(block, model.features), block.labels, block.weights)
    return quality if quality.rows else None


def rows_of(block: Block, chosen: Array) -> Block:
    """A block of the chosen rows (bool) of another, in arrays of its own; without tags."""
    rows = matrix(block, block.features)[chosen]
    weights = None if block.weights is None else block.weights[chosen]
    return block._replace(
        labels=block.labels[chosen],
        weights=weights,
        indptr=rows.indptr,
        indices=rows.indices,
        values=rows.data,
        tags=None,
    )


def bytes_of(block: Block) -> int:
    """The bytes that a block's arrays take."""
    return sum(a.nbytes for a in (block.labels, block.indptr, block.indices, block.values))
