"""Sums of squares, for norms: eight lanes a block, the blocks exactly, on as many threads as there are."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from ...printing.loop import summed_in_lanes
from ...printing.python import indented
from ..memory import BLOCK, Array, address, total
from . import launch
from .compile import Kernel, kernel
from .job import Job
from .text import Pointers, source

JOB = Job("sums", "size", "gradient", "gathered")

_KERNEL = """
def kernel(job):
    sums = reals(job[SUMS])
    n = job[SIZE]
    for k in range(job[LO], job[HI]):
        a = k * {block}
        b = n - a
        if b > {block}:
            b = {block}
        sums[k] = block(b, {addresses})
    return 0
"""


@cache
def _kernel(stored: str, gathered: bool) -> Kernel:
    memory = Pointers(("g", "a") if gathered else ("g",), ("g",), stored)

    def squared(i: str) -> str:
        g, *a = (memory.load(n, i) for n in memory.place)
        value = f"D({a[0]} + {g})" if a else f"D({g})"
        return f"{value} * {value}"

    addresses = [
        memory.at(n, f"job[{word}] + {memory.size(n)} * a")
        for n, word in zip(memory.place, ("GRADIENT", "GATHERED"), strict=False)
    ]
    block = f"\ndef block(n, {', '.join(memory.place.values())}):\n"
    block += indented(summed_in_lanes("D(0.0)", squared, spread=True), 1) + "\n"
    return kernel(source(stored, JOB, (block, _KERNEL.format(block=BLOCK, addresses=", ".join(addresses)))))[
        0
    ]


def sum_of_squares(gradients: Sequence[tuple[Array, Array | None]]) -> float:
    """Return the sum of (g + a)^2 in float64, in an order that does not depend on threads.

    gradients: contiguous, of float16, float32 or float64; a, where it is not None, in the dtype of the arithmetic.
    """
    return total(
        [
            x
            for g, a in gradients
            for x in of_blocks(g.dtype.name, address(g), g.size, None if a is None else address(a))
        ]
    )


def of_blocks(stored: str, gradient: int, size: int, gathered: int | None = None) -> list[float]:
    """Return the sum of squares of each block of ``size`` numbers at an address; their ``total`` is that of all."""
    blocks = -(-size // BLOCK)
    sums = np.empty(blocks)
    words = JOB.own(sums=address(sums), size=size, gradient=gradient, gathered=gathered or 0)
    launch.run(_kernel(stored, gathered is not None), words, blocks, max(1, launch.GRAIN // BLOCK))
    of_each: list[float] = sums.tolist()
    return of_each
