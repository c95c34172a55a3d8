"""How the memory that may be used is shared out: blocks, weights, held-out rows.

The limit is of the whole process. Blocks are read in pieces that it allows; what the interpreter and the
libraries hold is measured, and weights that do not fit in the rest are refused before they are made.
"""

import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from ..engines.cpu.object_cache import give_back, load_kept, loaded
from ..engines.memory import machine
from ..errors import HyperparameterError

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
BLOCK = 4 << 20  # bytes of text in a block, where memory allows
SMALLEST = 1 << 16
# A block's text, its arrays, and those of the blocks read ahead: bytes held for one of text, at most.
BLOCKS = 24
HELD = 64 << 20  # bytes of held-out rows, where memory allows
COPIES = 3  # of the weights and states, at most: tried in a race, enlarged, written, read


def size(text: str | int) -> int:
    """Bytes: 500MB, 2GiB, or a number. Raises HyperparameterError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    if not match or match[2].upper() not in UNITS:
        raise HyperparameterError(f"--memory: {text!r} is no size; write 500MB or 2GiB")
    return int(float(match[1]) * UNITS[match[2].upper()])


def size_text(count: float) -> str:
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
    """The most memory that this process ever held, in bytes.

    Linux counts to a process's usage what its parent held when it was started; its status counts from there.
    """
    import resource
    import sys

    with suppress(OSError, StopIteration), open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM:")).split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def rehearsed(work: Callable[[], object]) -> None:
    """Do the work in a child process, as far as it gets, and load the kernels that it needed.

    What it compiles is kept in files, not in this memory; and kernels are loaded while nothing else is held.
    Nothing is done where the system has no fork, or other threads run.
    """
    if not hasattr(os, "fork") or threading.active_count() > 1:
        return
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with open(reader) as names:
            load_kept(names.read().split())
        os.waitpid(child, 0)
        return
    try:
        work()
    except BaseException:  # the parent meets it again, and says so
        pass
    finally:
        with suppress(OSError):
            os.write(writer, "\n".join(loaded()).encode())
        os._exit(0)


@dataclass(frozen=True)
class Budget:
    """The shares, in bytes: limit of the process, text of a block, held-out rows.

    limit: None where there is none; a model alone may take a third of the machine's memory then.
    """

    limit: int | None = None
    block: int = BLOCK
    held: int = HELD

    @classmethod
    def of(cls, memory: str | int | None) -> Self:
        """Shares that depend on the limit alone, so that a run that goes on has the same."""
        if memory is None:
            return cls(block=BLOCK)
        limit = size(memory)
        block = max(SMALLEST, min(BLOCK, 1 << max(1, limit // 128).bit_length() - 1))
        return cls(limit, block, min(HELD, limit // 32))

    def check(self, features: int, bytes_per_feature: int, remedy: str = "", beside: int = 0) -> None:
        """Raise HyperparameterError if a model of so many features, with its copies, is beyond what is left.

        beside: bytes that are taken for a while when the model is made.
        Asked when the libraries are loaded and the first blocks read, and before the model is made.
        """
        if self.limit is None:
            need = features * bytes_per_feature
            if need > machine() // 3:
                raise HyperparameterError(
                    f"--memory: {features} features of {bytes_per_feature} bytes (weights and states) take {size_text(need)}, more than a third of this machine's memory; say how much may be taken{remedy}"
                )
            return
        give_back()
        now = resident()
        reserve = BLOCKS // 2 * self.block + 2 * self.held + beside
        need = COPIES * features * bytes_per_feature
        missing = max(now + reserve + need, peak()) - self.limit
        if missing > 0:
            raise HyperparameterError(
                f"--memory {size_text(self.limit)} is too little: {features} features of {bytes_per_feature} bytes (weights and states) take {size_text(need)} with copies, Python, libraries and blocks of rows {size_text(now + reserve)}; give at least {size_text(1.02 * (self.limit + missing))}{remedy}"
            )
