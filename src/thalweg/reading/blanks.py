"""Tables whose cells stand in columns of the page: any number of blanks between them is read as one."""

import io
from typing import Any

import numpy as np

from ..engines.cpu.compile import kernel
from ..engines.cpu.launch import call
from ..engines.cpu.text import source
from .kernels.blanks import JOB, SQUEEZE
from .unpack import Raw

BLANKS = "blanks"  # how the user calls them
_PIECE = 1 << 18
_STATE = ("quoted", "closed", "blank", "start")


class Squeezed(io.RawIOBase):
    """A file's text with one blank between cells, line by line as it was. head: what has been read of it before.

    returns: whether carriage returns alone end its lines.
    """

    def __init__(self, file: Raw, head: bytes, returns: bool) -> None:
        self._file, self._head, self._returns = file, head, returns
        self._state = dict.fromkeys(_STATE, 0) | {"start": 1}
        self._run = kernel(source("float32", JOB, [SQUEEZE]))[0]
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        while not self._ready and not self._ended:
            piece = self._head or self._file.read(_PIECE) or b""
            self._head, self._ended = b"", not piece
            self._ready = self._squeezed(piece)
        count = min(len(self._ready), len(room))
        room[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _squeezed(self, piece: bytes) -> bytes:
        text, out = np.frombuffer(piece, np.uint8), np.empty(len(piece) + 1, np.uint8)
        job = JOB.vector(
            text=text.ctypes.data, size=len(piece), out=out.ctypes.data, returns=self._returns, **self._state
        )
        call(self._run, job)
        done = JOB.read(job)
        self._state = {n: done[n] for n in _STATE}
        return out[: done["count"]].tobytes()

    def close(self) -> None:
        self._file.close()
        super().close()
