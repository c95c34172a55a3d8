"""Blocks of arrays brought together: read by address, one behind the other as float64."""

from functools import cache

import numpy as np

from ..memory import Array, address
from . import launch
from .compile import NARROW, Kernel, kernel, real_of
from .job import Job
from .text import source

JOB = Job("arrays", "addresses", "width", "blocks", "count", "target")

_KERNEL = """
def widen(n, target, source):
    distinct()
    for i in range(n):
        target[i] = D({value})

def kernel(job):
    addresses = words(job[ADDRESSES])
    blocks = words(job[BLOCKS])
    target = job[TARGET]
    for k in range(job[ARRAYS]):
        for b in range(0, 3 * job[COUNT], 3):
            start = addresses[k * job[WIDTH] + blocks[b]] + {itemsize} * blocks[b + 1]
            widen(blocks[b + 2], reals(target), store(start))
            target += 8 * blocks[b + 2]
    return 0
"""


@cache
def _kernel(stored: str) -> Kernel:
    widen, narrow = NARROW.get(stored, ("", ""))
    itemsize = 2 if narrow else real_of(stored).itemsize
    text = _KERNEL.format(value=f"{widen}(source[i])", itemsize=itemsize)
    return kernel(source(stored, JOB, (text,)))[1]


def together(addresses: Array, blocks: Array, size: int, stored: str) -> Array:
    """Return blocks of arrays as float64, (k, size): each after the one before it.

    addresses: where arrays of the dtype ``stored`` begin, (k, arrays) int64. blocks: of each row of arrays the same
    ones, (blocks, 3) int64: which array, from which of its numbers on, how many; ``size`` is what they come to.
    """
    target = np.empty((len(addresses), size))
    if target.size:
        words = {"addresses": address(addresses), "width": addresses.shape[1], "blocks": address(blocks)}
        job = JOB.vector(**words, arrays=len(addresses), count=len(blocks), target=address(target))
        launch.call(_kernel(stored), job)
    return target
