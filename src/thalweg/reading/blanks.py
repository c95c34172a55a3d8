"""Tables whose cells stand in columns of the page: any number of blanks between them is read as one."""

import numpy as np

from ..engines.cpu.compile import kernel
from ..engines.cpu.launch import call
from ..engines.cpu.text import source
from .kernels.blanks import JOB, SQUEEZE
from .unpack import Changed, Raw

BLANKS = "blanks"  # how the user calls them
_STATE = ("quoted", "closed", "blank", "start")


class Squeezed(Changed):
    """A file's text with one blank between cells, line by line as it was.

    returns: whether carriage returns alone end its lines.
    """

    PIECE = 1 << 18

    def __init__(self, file: Raw, head: bytes, returns: bool) -> None:
        super().__init__(file, head)
        self._returns = returns
        self._state = dict.fromkeys(_STATE, 0) | {"start": 1}
        self._run = kernel(source("float32", JOB, [SQUEEZE]))[0]

    def changed(self, piece: bytes) -> bytes:
        text, out = np.frombuffer(piece, np.uint8), np.empty(len(piece) + 1, np.uint8)
        job = JOB.vector(
            text=text.ctypes.data, size=len(piece), out=out.ctypes.data, returns=self._returns, **self._state
        )
        call(self._run, job)
        done = JOB.read(job)
        self._state = {n: done[n] for n in _STATE}
        return out[: done["count"]].tobytes()
