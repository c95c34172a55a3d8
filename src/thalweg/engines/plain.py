"""The oracle: an update run coordinate by coordinate on NumPy scalars, in the order it is written.

NumPy's scalars are IEEE numbers of one width (a ``numpy.float64`` is a Python float): no operation is
fused, reordered or carried out in another precision, and none raises. Slow on purpose.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..core import math as formulas
from ..core.math import LIBM
from ..core.update import Update
from ..printing.loop import LANES
from ..printing.python import Printer, function_source
from .memory import BLOCK, Array, arithmetic, limit, total

PRINTER = Printer(
    number="F({0})",
    power="F(power(float({0}), float({1})))",
    functions={n: f"F({n}(float({{0}})))" for n in LIBM} | {"sqrt": "np_sqrt({0})", "abs": "abs({0})"},
)


@cache
def element(update: Update, dtype: np.dtype[Any]) -> Callable[..., tuple[Any, ...]]:
    """The update as a Python function of NumPy scalars: arrays' values, then scalars."""
    inputs = (*update.arrays, *update.scalars)
    source = function_source("element", PRINTER, inputs, update.body, update.written.values())
    space: dict[str, Any] = {n: getattr(formulas, n) for n in (*LIBM, "power")}
    space |= {"F": dtype.type, "np_sqrt": np.sqrt}
    exec(compile(source, "<thalweg plain>", "exec"), space)
    run: Callable[..., tuple[Any, ...]] = space["element"]
    return run


class Batch:
    """The same interface as the cpu engine's Batch, on the oracle."""

    def __init__(self, update: Update, stored: np.dtype[Any], tensors: Sequence[dict[str, Array]]) -> None:
        self.update, self.tensors = update, [dict(t) for t in tensors]
        self.dtype = arithmetic(stored)
        self.limit = limit(stored, update.power)
        self._element = element(update, self.dtype)
        self.passes = 0

    def bind(self, index: int, gradient: Array | None, start: int = 0) -> None:
        """Take a contiguous gradient for one tensor; None leaves the tensor out of the next pass."""
        if gradient is None:
            self.tensors[index].pop("g", None)
        else:
            self.tensors[index]["g"] = gradient.reshape(-1)

    def finite(self) -> bool:
        """Whether every bound gradient is finite and small enough for the states."""
        with np.errstate(all="ignore"):
            return all(
                bool(np.all(np.abs(t["g"].astype(self.dtype)) <= self.limit))
                for t in self.tensors
                if "g" in t
            )

    def run(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> None:
        """One pass; tensor i uses the scalars ``rows[which[i]]``."""
        cast = self.dtype.type
        scalars = [[cast(x) for x in row] for row in rows]
        with np.errstate(all="ignore"):
            for tensor, row in zip(self.tensors, which, strict=True):
                if "g" not in tensor:
                    continue
                columns = [tensor[n] for n in self.update.arrays]
                for i in range(tensor["w"].size):
                    made = self._element(*(cast(c[i]) for c in columns), *scalars[row])
                    for n, value in zip(self.update.written, made, strict=True):
                        tensor[n][i] = value
        self.passes += 1

    def step(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> bool:
        """``run`` if ``finite``."""
        good = self.finite()
        if good:
            self.run(rows, which)
        return good


def sum_of_squares(gradients: Sequence[tuple[Array, Array | None]]) -> float:
    """The sum of (g + a)^2 in float64: eight lanes a block, the blocks exactly."""
    sums = []
    for g, a in gradients:
        kind = arithmetic(g.dtype).type
        with np.errstate(all="ignore"):
            values = g.reshape(-1).astype(kind)
            values = values if a is None else a + values
        for lo in range(0, values.size, BLOCK):
            lanes = [0.0] * LANES
            for i, x in enumerate(values[lo : lo + BLOCK].astype(np.float64).tolist()):
                lanes[i % LANES] += x * x
            while len(lanes) > 1:
                lanes = [lanes[j] + lanes[j + 1] for j in range(0, len(lanes), 2)]
            sums.append(lanes[0])
    return total(sums)


batch = Batch
