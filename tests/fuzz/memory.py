"""Arrays at the edge of memory that may not be touched, with canaries on the other side."""

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CANARY = 0xA5
_PROTECT = ctypes.CDLL(None).mprotect


def guarded(like: Any, at_end: bool = True) -> tuple[Array, Callable[[], None]]:
    """A copy of an array whose last byte (or first) lies beside a page that may not be touched.

    Also what checks that the bytes on its other side are as they were. Touching the page ends the process.
    """
    given = np.ascontiguousarray(like)
    page = mmap.PAGESIZE
    size = -(-max(1, given.nbytes) // page) * page
    room = mmap.mmap(-1, size + page)
    whole = np.frombuffer(room, np.uint8)
    whole[:] = CANARY
    begin = size - given.nbytes if at_end else page
    edge = size if at_end else 0
    array = whole[begin : begin + given.nbytes].view(given.dtype).reshape(given.shape)
    array[...] = given
    spare = whole[:begin] if at_end else whole[begin + given.nbytes :]
    if _PROTECT(ctypes.c_void_p(whole.ctypes.data + edge), ctypes.c_size_t(page), 0):
        raise OSError("mprotect failed")

    def check() -> None:
        assert np.all(spare == CANARY), "written beside the array"

    return array, check
