"""Sums over segments: of formulas of arrays that hold many short stretches one behind the other, in float64."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from ...core.formula import Formula
from ...printing.python import indented
from ..memory import Array, address
from . import launch
from .compile import Kernel, kernel
from .job import Job
from .text import WIDE, Pointers, source

JOB = Job("edges", "segments", "arrays", "scalars", "sums")

_KERNEL = """
def segment(n, {pointers}, scalars, sums):
{scalars}
{begin}
    for i in range(n):
{loop}
{end}

def kernel(job):
    edges = words(job[EDGES])
    arrays = words(job[ARRAYS])
    for s in range(job[SEGMENTS]):
        a = edges[s]
        segment(edges[s + 1] - a, {addresses}, reals(job[SCALARS]), reals(job[SUMS] + {row} * s))
    return 0
"""


@cache
def _kernel(formula: Formula) -> Kernel:
    memory = Pointers(formula.inputs, (), "float64")
    lines, outputs = WIDE.section(formula)
    sums = [f"sum{k}" for k in range(len(outputs))]
    loads = [f"{WIDE.name(n)} = {memory.load(n)}" for n in formula.inputs]
    added = [f"{n} += {value}" for n, value in zip(sums, outputs.values(), strict=True)]
    text = _KERNEL.format(
        pointers=", ".join(memory.place.values()),
        scalars=indented([f"{WIDE.name(n)} = scalars[{k}]" for k, n in enumerate(formula.scalars)], 1),
        begin=indented([f"{n} = 0.0" for n in sums], 1),
        loop=indented([*loads, *lines, *added], 2),
        end=indented([f"sums[{k}] = {n}" for k, n in enumerate(sums)], 1),
        addresses=", ".join(memory.at(n, f"arrays[{k}] + 8 * a") for k, n in enumerate(formula.inputs)),
        row=8 * len(sums),
    )
    return kernel(source("float64", JOB, (text,)))[1]


def sums(
    formula: Formula, arrays: Mapping[str, Array], scalars: Sequence[float], edges: Array
) -> dict[str, Array]:
    """Return, for each output of a formula by name, its sum over each segment, (segments,), in order.

    arrays: float64, by the formula's inputs, (n,) each. edges: where segments begin, and n, (segments + 1,) int64.
    """
    given = [np.ascontiguousarray(arrays[n], dtype=np.float64) for n in formula.inputs]
    starts = np.array([address(x) for x in given], dtype=np.int64)
    values = np.array(scalars, dtype=np.float64)
    table = np.zeros((len(edges) - 1, len(formula.outputs)))
    words = {"edges": address(edges), "segments": len(table), "arrays": address(starts)}
    job = JOB.vector(**words, scalars=address(values), sums=address(table))
    launch.call(_kernel(formula), job)
    return dict(zip((n for n, _ in formula.outputs), table.T, strict=True))
