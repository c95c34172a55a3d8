"""How the memory that may be used is shared out: blocks, weights, held-out rows.

The limit is of the whole process. Blocks are read in pieces that it allows; what the interpreter and the
libraries hold is measured, and weights that do not fit in the rest are refused before they are made.
"""

import os
import re
from dataclasses import dataclass
from typing import Any, Self

from ..errors import HyperparameterError

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
BLOCK = 4 << 20  # bytes of text in a block, where memory allows
SMALLEST = 1 << 16
# A block's text, its arrays, and those of the blocks read ahead: bytes held for one of text, at most.
BLOCKS = 24
HELD = 64 << 20  # bytes of held-out rows, where memory allows
COPIES = 2  # of the weights: trained, and being written
GROWING = 4  # the same while their number doubles


def size(text: str | int) -> int:
    """Bytes: 500MB, 2GiB, or a number. Raises HyperparameterError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    if not found or found[2].upper() not in UNITS:
        raise HyperparameterError(f"--memory: {text!r} is no size; write 500MB or 2GiB")
    return int(float(found[1]) * UNITS[found[2].upper()])


def shown(count: float) -> str:
    """Bytes in words: 1.5 GB."""
    for unit in ("GB", "MB", "kB"):
        if count >= (scale := UNITS[unit.upper()]):
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"


def resident() -> int:
    """Bytes of memory that this process holds now; where the system does not tell, the most it ever held."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak()


def peak() -> int:
    """The most memory that this process ever held, in bytes."""
    import resource
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@dataclass(frozen=True)
class Budget:
    """The shares, in bytes; weights is None where there is no limit."""

    limit: int | None
    base: int
    block: int
    held: int
    weights: int | None

    @classmethod
    def of(cls, memory: str | int | None) -> Self:
        """Shares of the limit; those of blocks and held-out rows depend on nothing else, so that a run that
        goes on has the same. Raises HyperparameterError where it is too little.
        """
        if memory is None:
            return cls(None, 0, BLOCK, HELD, None)
        limit, base = size(memory), resident()
        block = max(SMALLEST, min(BLOCK, 1 << max(0, limit // 128).bit_length() - 1))
        held = min(HELD, limit // 32)
        needed = base + BLOCKS * block + 2 * held
        if limit < needed + SMALLEST:
            raise HyperparameterError(
                f"--memory: {shown(limit)} is too little: Python and the libraries hold {shown(base)}, blocks of rows need {shown(needed - base)}; give at least {shown(1.5 * needed)}"
            )
        return cls(limit, base, block, held, limit - needed)

    def check(self, features: int, model: Any, growing: bool = False, remedy: str = "lower --bits") -> None:
        """HyperparameterError if a model of so many features, with its copies, is beyond its share."""
        if self.weights is None:
            return
        whole = int(features * model.bytes_per_feature)
        need = whole * (GROWING if growing else COPIES)
        if need > self.weights:
            assert self.limit is not None
            raise HyperparameterError(
                f"--memory: {features} features of {model.bytes_per_feature:.0f} bytes (weights and states) need {shown(need)} with copies, and {shown(self.weights)} of {shown(self.limit)} are left for them: {remedy}, or give at least {shown(self.limit + need - self.weights)}"
            )
