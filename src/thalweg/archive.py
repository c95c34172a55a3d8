"""One file for a head of JSON and named arrays: a zip of .npy files, as ``numpy.savez`` writes it, without pickle.

Equal contents are equal bytes. Written beside and renamed. Nothing is compressed, so that what is read is never
larger than the file: the head comes first, and of the arrays only those are read that it lets expect, if they are
as it lets expect them.
"""

import json
import math
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, Any, NamedTuple

import numpy as np

from .errors import FileError
from .files import named_path, reason, write

Array = np.ndarray[Any, Any]
MISFITS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What it may raise to make something of a head that somebody else has written."""
_CHUNK = 1 << 20  # bytes that are read at once


class Layout(NamedTuple):
    """What an array of a file must be.

    dtype: the dtype, or the kinds that it may have, by their letters ("biufU"). shape: None for any length.
    """

    dtype: np.dtype[Any] | str
    shape: tuple[int | None, ...]

    def fits(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
        """Return whether an array of a dtype and a shape is such a one."""
        right = dtype.kind in self.dtype if isinstance(self.dtype, str) else dtype == self.dtype
        return (
            right
            and dtype.isnative
            and len(shape) == len(self.shape)
            and all(wanted in (None, n) for n, wanted in zip(shape, self.shape, strict=True))
        )


def save(path: str | os.PathLike[str], head: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write the head, which JSON can hold, and the arrays, none of them named "head". Raises FileError."""
    members = {"head": np.frombuffer(json.dumps(head).encode(), dtype=np.uint8), **arrays}

    def fill(file: IO[bytes]) -> None:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            _zip(file, members)
            return
        with tempfile.TemporaryFile() as whole:  # a pipe or a device does not say where it is
            _zip(whole, members)
            whole.seek(0)
            shutil.copyfileobj(whole, file)

    write(path, fill)


def _zip(file: IO[bytes], members: Mapping[str, Array]) -> None:
    """Write arrays as numpy.savez does, which copies large ones piece by piece."""
    with zipfile.ZipFile(file, "w") as zipped:
        for name, member in members.items():
            array = np.asarray(member, order="C")
            with zipped.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array_header_1_0(entry, np.lib.format.header_data_from_array_1_0(array))
                entry.write(array.reshape(-1).view(np.uint8).data)


class Archive:
    """A file that is open: its head, which arrays it names, and these when they are asked for."""

    def __init__(self, file: IO[bytes], damaged: FileError) -> None:
        """Read the head of a file. Raises FileError ``damaged``, and whatever zip, NumPy and JSON make of others."""
        self._damaged = damaged
        self._zipped = zipfile.ZipFile(file)
        members = self._zipped.infolist()
        self._members = {m.filename.removesuffix(".npy"): m for m in members}
        stored = all(m.compress_type == zipfile.ZIP_STORED and m.filename.endswith(".npy") for m in members)
        total = sum(m.file_size for m in members)  # more where members overlap
        if not stored or len(self._members) < len(members) or total > os.fstat(file.fileno()).st_size:
            raise damaged
        head = json.loads(self._read("head", Layout(np.dtype(np.uint8), (None,))).tobytes())
        if not isinstance(head, dict):
            raise damaged
        self.head: dict[str, Any] = head
        self.names = frozenset(self._members) - {"head"}

    def arrays(self, layouts: Mapping[str, Layout]) -> dict[str, Array]:
        """Return the arrays by name. Raises FileError where they are not just these, or not so."""
        if self.names != set(layouts):
            raise self._damaged
        try:
            return {n: self._read(n, layout) for n, layout in layouts.items()}
        except Exception:  # whatever zip and NumPy make of other members
            raise self._damaged from None

    def _read(self, name: str, layout: Layout) -> Array:
        """Return one array, looked at before memory is taken for it."""
        member = self._members[name]
        with self._zipped.open(member) as entry:
            if np.lib.format.read_magic(entry) != (1, 0):
                raise self._damaged
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(entry)
            size = math.prod(shape) * dtype.itemsize
            if fortran or not layout.fits(dtype, shape) or member.file_size != entry.tell() + size:
                raise self._damaged
            array = np.empty(shape, dtype)
            rest = array.reshape(-1).view(np.uint8).data  # the checksum is compared with the last bytes
            while len(rest):
                chunk = entry.read(min(_CHUNK, len(rest)))
                if not chunk:
                    raise self._damaged
                rest[: len(chunk)] = chunk
                rest = rest[len(chunk) :]
            return array


@contextmanager
def opened(
    path: str | os.PathLike[str], kind: str, format: int, *, unnamed: str = "another thing"
) -> Iterator[Archive]:
    """Open a file whose head says that it is of a kind, and of a format from 1 up to this one.

    unnamed: what a file is whose head says nothing of its kind.
    Raises FileError: cannot be read, is damaged, is of another kind, is newer.
    """
    place = named_path(path)
    damaged = FileError(f"{place}: is no {kind}, or is cut short or damaged")
    with ExitStack() as stack:
        try:
            mode = os.stat(place).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe may wait for ever
                raise FileError(f"{place}: is a pipe or a device; copy it to a file first")
            archive = Archive(stack.enter_context(open(place, "rb")), damaged)
        except FileError:
            raise
        except OSError as error:
            raise FileError(f"{place}: cannot be read ({reason(error)})") from None
        except Exception:  # whatever zip, NumPy and JSON make of another file
            raise damaged from None
        _require(archive.head, place, kind, format, unnamed, damaged)
        yield archive


def _require(
    head: Mapping[str, Any], path: os.PathLike[str], kind: str, format: int, unnamed: str, damaged: FileError
) -> None:
    """Raise FileError where a head is of another kind, or of a format that is none or newer."""
    name, version = head.get("kind", unnamed), head.get("format")
    if type(version) is not int or version < 1 or not isinstance(name, str):
        raise damaged
    if name != kind:
        raise FileError(f"{path}: holds {name if name.isprintable() else repr(name)}, not a {kind}")
    if version > format:
        raise FileError(
            f"{path}: format {version} is newer than this thalweg reads ({format}); update thalweg"
        )
