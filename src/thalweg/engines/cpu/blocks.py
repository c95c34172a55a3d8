"""Blocks of memory brought together: each copied behind the one before, by address, whatever it holds."""

from functools import cache

import numpy as np

from ..memory import Array, address
from . import launch
from .compile import Kernel, kernel
from .job import Job
from .text import source

JOB = Job("sources", "sizes", "count", "target")

_COPY = """
def copy(n, target, source):
    distinct()
    for i in range(n):
        target[i] = source[i]
"""
_KERNEL = """
def kernel(job):
    sources = words(job[SOURCES])
    sizes = words(job[SIZES])
    target = job[TARGET]
    for k in range(job[COUNT]):
        copy(sizes[k], octets(target), octets(sources[k]))
        target += sizes[k]
    return 0
"""


@cache
def _kernel() -> Kernel:
    return kernel(source("float64", JOB, (_COPY, _KERNEL)))[1]


def together(sources: Array, sizes: Array, dtype: np.dtype[np.generic]) -> Array:
    """Return the blocks at addresses ``sources`` (int64, (k,)), ``sizes`` bytes each, one after the other, as ``dtype``."""
    target = np.empty(int(sizes.sum()) // dtype.itemsize, dtype=dtype)
    words = {"sources": address(sources), "sizes": address(sizes), "count": len(sources)}
    if target.size:
        launch.call(_kernel(), JOB.vector(**words, target=address(target)))
    return target
