"""A pipe, or another file that has no size and cannot be read again: opened once, when its first byte is wanted."""

import io
import os
import weakref
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..files import reason


def _token() -> str:
    """A name that nothing else has."""
    return os.urandom(16).hex()


class Pipe:
    """What comes through a pipe. Looking at its beginning keeps it; the one pass over it does not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = _token()  # known by nobody else: what is kept of a pipe is of no other run's use
        self._head = bytearray()
        self._file = -1
        self._close: weakref.finalize[..., Pipe] | None = None
        self._passed = False

    def look(self) -> "View":
        """A view of it from its first byte; what is read is kept for the next one. Raises FileError once it has passed."""
        return View(self, keep=True)

    def pass_over(self) -> "View":
        """The last view of it, from its first byte. Raises FileError for a second one."""
        view = View(self, keep=False)
        self._passed = True
        return view

    def require_unread(self) -> None:
        """Raise FileError if the pass over it has begun."""
        if self._passed:
            raise FileError(
                f"{self.path}: is a pipe, which can be read once, and is needed again: write it to a file first"
            )

    def beginning(self, size: int) -> bytes:
        """Its first bytes, which are kept."""
        with io.BufferedReader(self.look()) as file:
            return file.read(size)

    def end_here(self) -> None:
        """Let it end at the last whole line of what has been looked at: in a child process, which must not read on."""
        self.token = _token()  # it is another one: no cache of this beginning is taken for one of the whole
        del self._head[self._head.rfind(b"\n") + 1 :]
        self.close()
        self._file = os.open(os.devnull, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._file)

    def read(self, room: memoryview, at: int, keep: bool) -> int:
        """Fill the room, as far as one read goes, with what lies at an offset; how many bytes, 0 at the end."""
        ready = self._head[at : at + len(room)]
        if ready:
            room[: len(ready)] = ready
            return len(ready)
        if not keep:
            self._head.clear()
        if self._close is None:
            try:
                self._file = os.open(self.path, os.O_RDONLY)
            except OSError as error:
                raise FileError(f"{self.path}: cannot be read ({reason(error)})") from None
            self._close = weakref.finalize(self, os.close, self._file)
        count = os.readv(self._file, [room]) if self._close.alive else 0
        if keep:
            self._head += room[:count]
        return count

    def close(self) -> None:
        """Close it: who writes to it is told that nobody reads any more."""
        if self._close is not None:
            self._close()


class View(io.RawIOBase):
    """A pipe's bytes from the first on, as a file that is read forward."""

    def __init__(self, pipe: Pipe, keep: bool) -> None:
        self._keep = True  # a view that could not be opened closes nothing when it is collected
        pipe.require_unread()
        self._pipe, self._keep, self._at = pipe, keep, 0

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        count = self._pipe.read(memoryview(room).cast("B"), self._at, self._keep)
        self._at += count
        return count

    def close(self) -> None:
        if not self._keep and not self.closed:
            self._pipe.close()
        super().close()
