"""What engines know of arrays: addresses, the dtype of the arithmetic, the largest safe gradient."""

import ctypes
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


_view, _addressof = ctypes.c_char.from_buffer, ctypes.addressof


def machine() -> int:
    """Bytes of memory that this machine has; more than any has where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def available() -> int:
    """Bytes of memory that may be taken now: of the machine, and of the container that this process is in.

    The machine's memory where the system does not tell.
    """
    room = machine()
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        room = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError, StopIteration):
        limit, used = (int((group / f"memory.{n}").read_text()) for n in ("max", "current"))
        lines = (group / "memory.stat").read_text().splitlines()
        kept = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        room = min(room, limit - used + kept)
    return max(0, room)


def address(array: Array) -> int:
    """Where the first element of a contiguous array lies."""
    try:
        return _addressof(_view(array))  # type: ignore[arg-type]  # twice as fast as the array's own description
    except (TypeError, ValueError):  # read-only, empty, or float16's unknown buffer format
        start: int = array.__array_interface__["data"][0]
        return start


def arithmetic(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which weights of a dtype are computed and their states kept."""
    return np.dtype(np.float32) if stored == np.float16 else stored


def limit(stored: np.dtype[Any], power: int) -> float:
    """The largest |g| whose power-th power is finite in the arithmetic's dtype, a thousand times over.

    The margin is for states that sum such powers; 0 means that no state holds any.
    """
    largest = float(np.finfo(stored).max)
    if power == 0:
        return largest
    top = float(np.finfo(arithmetic(stored)).max) * 2.0**-10
    return min(float(arithmetic(stored).type(top ** (1.0 / power))), largest)


BLOCK = 1 << 14  # a block's squares are summed in eight lanes, blocks by fsum


def total(sums: Sequence[float]) -> float:
    """The exact sum, rounded once; infinite or NaN as IEEE has it."""
    try:
        return math.fsum(sums)
    except (OverflowError, ValueError):
        return math.inf if math.inf in sums and not any(map(math.isnan, sums)) else math.nan


def recorded(steps: int, every: int | Sequence[int]) -> Array:
    """The recorded steps of a run, 0 among them: (R,) int64, ascending.

    every: steps between records, or the recorded steps themselves.
    """
    if isinstance(every, int | np.integer):
        return np.arange(steps // every + 1, dtype=np.int64) * every
    return np.unique(np.array([0, *every], dtype=np.int64))
