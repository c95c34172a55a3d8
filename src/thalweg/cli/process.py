"""The process around a command: standard streams, Ctrl-C and the exit status; whatever happens, no traceback of them.

Output that cannot be written (a full disk, a closed stream) ends the command with one line and status 1; a reader who
has gone (``| head``) ends it without a word, as text tools do. A message that cannot be written is dropped: the work
goes on. What a stream's encoding lacks is written as an escape. Bugs keep their traceback.
"""

import gc
import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from ..errors import FileError, ThalwegError, escaped

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130  # exit status; the last is a shell's for Ctrl-C

COLLECTED = 20_000  # objects that Python makes before it looks for cycles: by its own 700 that takes a tenth of a command

_interrupts: list[int] = []  # Ctrl-C so far


def say(text: str) -> None:
    """Write a line to stderr at once."""
    print(escaped(text), file=sys.stderr, flush=True)


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command in this process, and exit with its status."""
    gc.set_threshold(COLLECTED)
    _open_closed_streams()
    sys.stdout = _text(_Output(1, "wb", closefd=False), sys.stdout)
    sys.stderr = _text(_Messages(2, "wb", closefd=False), sys.stderr)
    if (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):  # else it was started with Ctrl-C ignored
        signal.signal(signal.SIGINT, _note)
        sys.unraisablehook = _raise_again
    status: Any = DONE
    for work in (command, sys.stdout.flush):
        try:
            work()
        except SystemExit as end:
            status = end.code
        except ThalwegError as error:
            say(f"thalweg: {error}")
            status = FAILED
        except BrokenPipeError:
            status = FAILED
        except BaseException as error:
            if not stems_from_interrupt(error):
                raise
            say("thalweg: interrupted")
            status = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left that an exception could be told to
    raise SystemExit(status)


def stems_from_interrupt(error: BaseException) -> bool:
    """Whether an exception is Ctrl-C, or what a package made of it: one interrupted while it is imported fails anyhow."""
    if _interrupts and isinstance(error, ImportError | SystemError):
        return True
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        if isinstance(link, KeyboardInterrupt):
            return True
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return False


def _note(number: int, frame: FrameType | None) -> None:
    _interrupts.append(number)
    signal.default_int_handler(number, frame)


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Ctrl-C that came while a callback ran, of a weak reference say, ends there: it comes once more after it."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    from threading import Timer, main_thread

    Timer(0.01, signal.pthread_kill, (main_thread().ident, signal.SIGINT)).start()


class _Output(io.FileIO):
    """Standard output. Raises FileError, or BrokenPipeError where nobody reads; and nothing but that, once."""

    failed = False

    def write(self, data: Any, /) -> int:
        if self.failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            self.failed = True
            raise
        except OSError as error:
            self.failed = True
            from ..files import reason  # whose imports take a fifth of the time of --help

            raise FileError(f"standard output: cannot be written ({reason(error)})") from None


class _Messages(io.FileIO):
    """Standard error: what cannot be written is dropped."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _text(raw: io.FileIO, like: object) -> io.TextIOWrapper:
    """A stream of text in the encoding of another, or UTF-8 where that is none."""
    encoding = getattr(like, "encoding", None) or "utf-8"
    terminal = raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=terminal or raw.fileno() == 2
    )


def _open_closed_streams() -> None:
    """Open those of descriptors 0, 1 and 2 that are closed: else the next file that is opened would be taken for one.

    The null device, for reading; so that writing to 1 fails as it should.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest that is free
