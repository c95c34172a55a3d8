"""What printed kernels have in common: how they write numbers, reach memory and check a gradient."""

from collections.abc import Iterable, Sequence

import numpy as np

from ...core.math import LIBM
from ...printing.python import Printer
from ..memory import limit
from .compile import NARROW, real_of
from .job import Job

_ROOTS = {"sqrt": "math.sqrt({0})", "abs": "abs({0})"}


def _libm(template: str) -> dict[str, str]:
    return {n: template.format(f"{'np' if n == 'floor' else 'math'}.{n}") for n in LIBM}


PRINTER = Printer(  # the dtype of the arithmetic; libm's functions in float64, rounded once
    number="F({0})",
    power="F(math.pow(D({0}), D({1})))",
    functions=_libm("F({}(D({{0}})))") | _ROOTS,
)
WIDE = Printer(  # all in float64
    power="math.pow({0}, {1})",
    functions=_libm("{}({{0}})") | _ROOTS,
)


def source(stored: str, job: Job, functions: Iterable[str]) -> str:
    """Return a whole printed source: functions for parameters of a dtype, the last of which takes the job."""
    return f"# {stored}\n{job.constants}\n" + "\n".join(functions)


class Pointers:
    """Arrays behind the pointers p0, p1, ...: how a kernel reads and writes them (``printing.loop.Memory``).

    stored: the parameters' dtype, in which the arrays ``kept`` are; the others are in the arithmetic's.
    wide: they are read as float64, and rounded when they are written.
    """

    def __init__(
        self, arrays: Sequence[str], kept: Sequence[str], stored: str, *, wide: bool = False
    ) -> None:
        self.place = {n: f"p{k}" for k, n in enumerate(arrays)}
        self.kept, self.stored, self.wide = kept, stored, wide
        self.real = real_of(stored)
        self.widen, self.narrow = NARROW.get(stored, ("", ""))

    def size(self, array: str) -> int:
        """Bytes of a number in an array."""
        return 2 if self.narrow and array in self.kept else self.real.itemsize

    def at(self, array: str, address: str) -> str:
        """Return the pointer into an array at an address, as an expression."""
        return f"{'store' if array in self.kept else 'state'}({address})"

    def load(self, array: str, index: str = "i") -> str:
        """Return the expression that reads one coordinate."""
        value = f"{self.place[array]}[{index}]"
        value = f"{self.widen}({value})" if array in self.kept else value
        return f"D({value})" if self.wide else value

    def store(self, array: str, value: str) -> str:
        """Return the line that writes coordinate i."""
        value = f"F({value})" if self.wide else value
        value = f"{self.narrow}({value})" if array in self.kept else value
        return f"{self.place[array]}[i] = {value}"


def check_finite(stored: str, power: int) -> str:
    """Return the function ``check(n, g)``: whether |g| is nowhere too large for states that hold g**power."""
    largest = limit(real_of(stored) if stored == "bfloat16" else np.dtype(stored), power)
    widen, _ = NARROW.get(stored, ("", ""))
    return f"""
def check(n, g):
    distinct()
    good = True
    for i in range(n):
        good &= abs({widen}(g[i])) <= F({largest!r})
    return good
"""
