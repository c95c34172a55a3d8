"""Steps of a model for the rows of a block."""

from collections.abc import Generator

import numpy as np

from ..engines.memory import Array
from ..linear import Model, Rows
from ..reading import Block


def learn(model: Model, block: Block, rows: Array) -> tuple[float, float]:
    """Step the model for those rows of a block, in that order; the sums of weight times loss, and of weights."""
    (_, loss, weight), *_ = learn_in_pieces(model, block, rows, 1)
    return loss, weight


def learn_in_pieces(
    model: Model, block: Block, rows: Array, count: int
) -> Generator[tuple[int, float, float], None, None]:
    """Step the model for those rows of a block, in that order; of each of so many pieces in turn how many rows it
    has learnt from, and the sums of weight times loss, and of weights. It is one piece where several would give other bits.
    """
    csr, targets = rows_in(block, model.features), model.encode(block.labels)
    weights = None if block.weights is None else block.weights.astype(np.float64)
    for piece in np.array_split(rows, count if model.in_any_pieces else 1):
        before = model.t
        loss, weight = model.learn(csr, targets, weights, piece)
        yield model.t - before, loss, weight  # a row of weight 0 is none


def rows_in(block: Block, features: int) -> Rows:
    """A block's rows as the compiled pass takes them."""
    indptr = block.indptr.astype(np.int32)
    return Rows(block.values, block.indices, indptr, (len(block.labels), features))


def room_for(features: int) -> int:
    """The width of a model that grows: the next power of two."""
    return 1 << max(0, features - 1).bit_length()
