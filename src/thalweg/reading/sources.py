"""Files as streams of bytes: which there are, how they are compressed, what format they hold."""

import glob
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError, HyperparameterError, nearest
from ..files import reason
from .arrow_library import require_pyarrow
from .blanks import Squeezed
from .pipe import Pipe
from .unpack import ERRORS, LONGEST, SUFFIXES, Raw, Recoded, encoding_of, packing, unpacked

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

FORMATS = ("svmlight", "vw", "csv", "parquet")
_SUFFIXES = {
    ".svm": "svmlight", ".svmlight": "svmlight", ".libsvm": "svmlight", ".vw": "vw", ".csv": "csv", ".tsv": "csv",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_SVMLIGHT = re.compile(rb"[ \t]*[-+.\d][-+.\deE]*([ \t]+qid:-?\d+)?([ \t]+\d+:\S+)*[ \t]*(#.*)?\r?")
_FOREIGN = {  # other files that hold tables, by how they begin
    "JSON": re.compile(rb"\s*(\[\s*)?\{\s*(\"|\})"),
    "HTML or XML": re.compile(rb"\s*<[!?a-zA-Z]"),
    "ARFF": re.compile(rb"(?i)(\s*%[^\n]*\n)*\s*@relation\b"),
}
NEWLINE, RETURN = 10, 13
MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8, at the beginning of some files
_PAGE = 1 << 12
_PEEK = 1 << 16  # bytes that tell the encoding, and how lines end
_SLICE = 1 << 20  # bytes thrown away at a time on the way to an offset


class Source(os.PathLike[str]):
    """A file that rows are read from, spoken of as its path. pipe: what it is, where it can be read only once.

    encoding: of its text; None: UTF-8, or UTF-16 where it begins with that mark. looked: reading it leaves a pipe as
    it is, for the pass over it. blanks: any number of blanks between its cells is read as one.
    """

    def __init__(
        self,
        path: Path,
        pipe: Pipe | None = None,
        encoding: str | None = None,
        looked: bool = False,
        blanks: bool = False,
    ) -> None:
        self.path, self.pipe, self.encoding, self.looked, self.blanks = path, pipe, encoding, looked, blanks

    def look(self) -> "Source":
        """The same file, where reading it leaves a pipe as it is."""
        return Source(self.path, self.pipe, self.encoding, looked=True, blanks=self.blanks)

    def squeezed(self) -> "Source":
        """The same file, any number of blanks between its cells read as one."""
        return Source(self.path, self.pipe, self.encoding, self.looked, blanks=True)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def identity(self) -> list[Any]:
        """What tells it from others and from itself once changed, as JSON has it; a pipe is no other's, ever."""
        if self.pipe is not None:
            return [str(self.path.absolute()), self.pipe.token]
        status = self.path.stat()
        return [str(self.path.absolute()), status.st_size, status.st_mtime_ns]

    def beginning(self, size: int) -> bytes:
        """Its first bytes, as they are. Raises OSError."""
        if self.pipe is None:
            with open(self.path, "rb") as file:
                return file.read(size)
        return self.pipe.beginning(size)


def sources(paths: Paths) -> tuple[Source, ...]:
    """The files that paths and patterns name, to be read; those that are sources already are taken as they are.

    Raises FileError if there are none, or if a pipe is named twice.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if given and all(isinstance(item, Source) for item in given):
        return tuple(item for item in given if isinstance(item, Source))
    files = tuple(Source(p, None if _is_regular(p) else Pipe(p)) for p in expand(given))
    require_different_pipes(files)
    return files


def first_pipe(files: Iterable[Source]) -> Path | None:
    """The first of the files that can be read only once; None where none is."""
    return next((f.path for f in files if f.pipe is not None), None)


def require_different_pipes(files: Iterable[Source]) -> None:
    """Raise FileError if a pipe is named twice."""
    names = [os.path.realpath(f) for f in files if f.pipe is not None]
    for f in files:
        if names.count(os.path.realpath(f)) > 1:
            raise FileError(f"{f}: is a pipe, which can be read once, and is named twice")


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.stat().st_mode)


def expand(paths: Paths) -> tuple[Path, ...]:
    """The files that paths and patterns name: a pattern's in order of their names. FileError if there are none.

    A pipe is not opened: who writes to it waits for the one that reads it.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise FileError("open_stream: no files; name at least one")
    found: list[Path] = []
    for item in given:
        name = os.fspath(item)
        if glob.has_magic(name) and not os.path.exists(name):
            matches = sorted(m for m in glob.glob(name, recursive=True) if os.path.isfile(m))
            if not matches:
                raise FileError(f"{name}: no file matches")
            found += map(Path, matches)
        elif os.path.isdir(name):
            raise FileError(f"{name}: is a folder; name files, or a pattern such as {name}/*")
        else:
            try:
                if _is_regular(Path(name)):
                    with open(name, "rb"):
                        pass
            except (OSError, ValueError) as error:  # the latter: a zero byte
                why = reason(error) if isinstance(error, OSError) else str(error)
                raise FileError(f"{name}: cannot be read ({why})") from None
            found.append(Path(name))
    return tuple(found)


class Bytes:
    """The uncompressed bytes of a file from an offset on, its text in UTF-8: by seeking, or by skipping.

    Where all lines end in a carriage return, as on old machines, newlines stand in their places.
    look: leave a pipe as it is for the pass over it; otherwise this is that pass.
    """

    def __init__(self, path: Source, offset: int = 0, *, look: bool = False) -> None:
        self.path = path
        pipe = path.pipe
        try:
            self._packed = packing(path.path, path.beginning(LONGEST))
        except FileError:
            raise
        except OSError as error:
            raise FileError(f"{path}: cannot be read ({reason(error)})") from None
        look = look or path.looked
        self._below = None if pipe is None else pipe.look() if look else pipe.pass_over()
        place = path.path if self._below is None else self._below
        self._file: Raw
        try:
            if self._packed:
                self._file = unpacked(self._packed, place, path.path, require_pyarrow)
            else:
                self._file = open(place, "rb", buffering=0) if isinstance(place, Path) else place  # noqa: SIM115
        except FileError:
            raise
        except ERRORS as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise FileError(f"{path}: cannot be read ({why})") from None
        self._head, self._old = b"", False
        try:
            self._peek()
            if encoding := encoding_of(self._head, path.encoding):
                self._file, self._head = Recoded(self._file, self._head, encoding), b""
                self._peek()
            if path.blanks:
                self._file, self._head = Squeezed(self._file, self._head, self._old), b""
                self._peek()
            if not self._packed and pipe is None and not encoding and not path.blanks:
                size = os.fstat(self._file.fileno()).st_size
                self._file.seek(offset)
                self._head = b""
                left = max(0, offset - size)
            else:
                left = offset
                spare = memoryview(bytearray(min(offset, _SLICE)))
                while left and (n := self.fill(spare[: min(left, _SLICE)])):
                    left -= n
            if left:
                raise FileError(
                    f"{path}: ends {left} bytes before the position; it is not the file that was read"
                )
        except BaseException:
            self.close()
            raise

    def _peek(self) -> None:
        """Look at the first bytes of the file, which are given again, and at how its lines end."""
        room = bytearray(_PEEK)
        self._old = False
        head = bytes(room[: self.fill(memoryview(room))])
        self._head, self._old = head, b"\r" in head and b"\n" not in head

    def fill(self, room: memoryview) -> int:
        """Fill the room as far as the file reaches; how many bytes."""
        filled = min(len(self._head), len(room))
        room[:filled] = self._head[:filled]
        self._head = self._head[filled:]
        try:
            while filled < len(room) and (n := self._file.readinto(room[filled:])):
                filled += n
        except FileError:
            raise
        except ERRORS as error:
            if isinstance(error, UnicodeError):
                named = self.path.encoding or "UTF-16"
                raise FileError(f"{self.path}: is not {named} text ({error}); give its --encoding") from None
            if self._packed:
                raise FileError(
                    f"{self.path}: its {self._packed} data is cut short or damaged ({error})"
                ) from None
            raise FileError(f"{self.path}: cannot be read ({error})") from None
        if self._old:
            text = np.frombuffer(room[:filled], np.uint8)
            text[text == RETURN] = NEWLINE
        return filled

    def close(self) -> None:
        """Close the file."""
        for file in (self._file, self._below):
            if file is not None:
                with suppress(OSError):
                    file.close()

    def __enter__(self) -> "Bytes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Buffer:
    """A bounded stretch of a file: ``text[:have]``, of which a reader takes whole lines off the front."""

    def __init__(self, source: Bytes, size: int) -> None:
        self.size = size
        self.have = 0
        self.ended = False
        self.text = np.empty(size + 64, np.uint8)
        self._room = self.text.data
        self._source = source

    def fill(self) -> int:
        """Read until the buffer or the file is full; how many bytes there are, a missing last newline added."""
        if not self.ended:
            self.have += self._source.fill(self._room[self.have : self.size])
            self.ended = self.have < self.size
        missing = self.ended and self.have and self.text[self.have - 1] != NEWLINE
        if missing:
            self.text[self.have] = NEWLINE
        return self.have + bool(missing)

    def drop(self, count: int) -> int:
        """Forget the first bytes; how many of them were the file's."""
        dropped = min(count, self.have)
        self.have -= dropped
        self.text[: self.have] = self.text[dropped : dropped + self.have].copy()
        return dropped

    def drop_line(self) -> int:
        """Forget a line that fills the buffer, reading on to its end; how many bytes it had."""
        dropped = 0
        while self.have:
            found = np.flatnonzero(self.text[: self.have] == NEWLINE)
            if found.size:
                return dropped + self.drop(int(found[0]) + 1)
            dropped += self.drop(self.have)
            self.fill()
        return dropped

    def lines(self, have: int) -> int:
        """Where the last whole line of the first bytes ends; 0: there is none."""
        for hi in range(have, 0, -_PAGE):
            lo = max(0, hi - _PAGE)
            found = np.flatnonzero(self.text[lo:hi] == NEWLINE)
            if found.size:
                return lo + int(found[-1]) + 1
        return 0


def sample(path: Source, size: int) -> bytes:
    """The first bytes of a file, uncompressed."""
    room = bytearray(size)
    with Bytes(path, look=True) as source:
        return bytes(room[: source.fill(memoryview(room))])


def format_of(source: Source, format: str, table: bool = False) -> str:
    """The format of a file: as asked for, by its name, or by its first line.

    table: columns are spoken of, so that it is a table where its name says nothing else. Raises HyperparameterError,
    FileError where it is not told, or is one that is not read.
    """
    if not isinstance(format, str) or format != "auto":
        if not isinstance(format, str) or format not in FORMATS:
            raise HyperparameterError(
                f"open_stream: unknown format {format!r}: {nearest(format, ('auto', *FORMATS))}"
            )
        return format
    path = source.path
    for suffix in reversed(path.suffixes):
        if suffix.lower() in _SUFFIXES:
            return _SUFFIXES[suffix.lower()]
        if suffix.lower() not in SUFFIXES:
            break
    head = sample(source, 1 << 16).removeprefix(MARK)
    if head.startswith(b"PAR1"):
        return "parquet"
    for name, begin in _FOREIGN.items():
        if begin.match(head):
            raise FileError(f"{path}: is {name}, which is not read; write it as CSV or Parquet")
    if table:
        return "csv"
    line = next((x for x in head.split(b"\n") if x.strip() and not x.startswith(b"#")), b"")
    if _SVMLIGHT.fullmatch(line):
        return "svmlight"
    if b"|" in line:
        return "vw"
    raise FileError(
        f"{path}: neither its name nor its first line tells its format; give format= (--format): {', '.join(FORMATS)}"
    )
