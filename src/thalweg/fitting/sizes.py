"""The sizes of features of sparse text, by which their values are divided: the root mean square of each.

It is taken over a feature's occurrences in the first chunk; of one that appears later it is the first value's
absolute value. Nothing is centred: what a row does not name stays 0. A feature that is always 1 has size 1.
"""

import numpy as np

from ..engines.cpu.job import Job
from ..engines.memory import Array
from ..reading import Block
from ..reading.tables import run
from ..scaling import root_mean_squares

LEAST, MOST = 1e-30, 1e30  # a weight is divided by the size in the end, and is float32

_JOB = Job("indices", "values", "sizes", "count")
# Each value is divided by its feature's size; a size that is not known yet is that of the first value but 0.
_DIVIDE = f"""
def kernel(job):
    indices = ints(job[INDICES])
    values = state(job[VALUES])
    sizes = state(job[SIZES])
    for k in range(job[COUNT]):
        size = sizes[indices[k]]
        if size != F(1.0):
            x = values[k]
            if size == F(0.0) and x != F(0.0):
                size = abs(x)
                if size < F({LEAST}) or size > F({MOST}):
                    size = F(1.0)
                sizes[indices[k]] = size
            if size != F(0.0):
                values[k] = x / size
    return 0
"""


class Sizes:
    """What is known of the sizes. array: float32, one for each feature up to the largest seen; 0: not seen yet."""

    def __init__(self, array: Array | None = None) -> None:
        self.array: Array = np.zeros(0, np.float32) if array is None else array

    def measure(self, block: Block) -> None:
        """Take the sizes of a block's features from its rows."""
        indices, values = block.indices, block.values
        if np.all(values == 1.0):  # as their first values say
            return
        self._reserve(indices)
        features, sizes = root_mean_squares(indices, values, len(self.array))
        self.array[features] = _usable(sizes)

    def divide(self, block: Block) -> None:
        """Divide the block's values, in place, by the sizes; note those of features that it is the first to have."""
        self._reserve(block.indices)
        run(
            _JOB,
            _DIVIDE,
            indices=block.indices.ctypes.data,
            values=block.values.ctypes.data,
            sizes=self.array.ctypes.data,
            count=len(block.indices),
        )

    def scaled(self, block: Block) -> Block:
        """The block with its values divided by the sizes; those of features without one are as they are."""
        if not block.indices.size or not self.array.size:
            return block
        known = self.array.take(block.indices, mode="clip")
        if int(block.indices.max()) >= len(self.array):
            known[block.indices >= len(self.array)] = 1
        known[known == 0] = 1
        return block if np.all(known == 1) else block._replace(values=block.values / known)

    def in_units(self, weights: Array) -> Array:
        """Weights (features, outputs) of scaled values as those of the file's values, in their dtype."""
        sizes = np.ones(len(weights))
        count = min(len(sizes), len(self.array))
        sizes[:count] = self.array[:count]
        sizes[sizes == 0] = 1
        divided: Array = (weights / sizes[:, None]).astype(weights.dtype)
        return divided

    def _reserve(self, indices: Array) -> None:
        most = int(indices.max(initial=-1))
        if most >= len(self.array):
            larger = np.zeros(1 << most.bit_length(), np.float32)
            larger[: len(self.array)] = self.array
            self.array = larger


def _usable(sizes: Array) -> Array:
    """Sizes as they are used: 1 where a weight could not be divided by it."""
    good = (sizes >= LEAST) & (sizes <= MOST)
    return np.where(good, sizes, np.where(sizes > 0, 1.0, 0.0)).astype(np.float32)
