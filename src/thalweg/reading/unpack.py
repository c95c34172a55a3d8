"""What lies behind a file's bytes: compressed data by their first bytes, other encodings as UTF-8, CR as newlines."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from ..errors import FileError, HyperparameterError

Raw = io.BufferedIOBase | io.RawIOBase

PACKED = {
    b"\x1f\x8b": "gzip",  # RFC 1952
    b"\x28\xb5\x2f\xfd": "zstd",  # RFC 8878
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "7-Zip", b"Rar!\x1a": "RAR", b"\x04\x22\x4d\x18": "LZ4", b"\x1f\x9d": "compress (.Z)",
    b"LZIP\x01": "lzip", b"\xff\x06\x00\x00sNaPpY": "Snappy", b"\xd0\xcf\x11\xe0": "an old Office",
    b"\x89HDF": "HDF5", b"ARROW1\0": "Arrow", b"Obj\x01": "Avro",
}  # fmt: skip
_BZIP2 = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")  # a level, then a block or the end
LONGEST = max(map(len, (*PACKED, *_OTHERS, "BZh91AY&SY")))
SUFFIXES = (".gz", ".zst", ".zstd", ".bz2", ".xz", ".zip")
ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError)
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def packing(path: Path, head: bytes) -> str:
    """How a file that begins so is compressed, "" where it is not. Raises FileError for what cannot be read."""
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise FileError(f"{path}: is {name} data, which is not read; allowed: text, Parquet, gzip, zstd, bzip2, xz, zip")  # fmt: skip
    if _BZIP2.match(head):
        return "bzip2"
    return next((name for magic, name in PACKED.items() if head.startswith(magic)), "")


def unpacked(packed: str, place: Path | Raw, path: Path, arrow: Callable[[str, Path], Any]) -> Raw:
    """A file of uncompressed bytes. arrow: what gives pyarrow. Raises OSError, FileError, BadZipFile."""
    if packed == "gzip":
        return gzip.open(place, "rb")
    if packed == "bzip2":
        return bz2.open(place, "rb")
    if packed == "xz":
        return lzma.LZMAFile(cast("IO[bytes]", place))
    if packed == "zip":
        return _only_member(place, path)
    stream: Raw = arrow("zstd", path).input_stream(place, compression="zstd")
    return stream


def _only_member(place: Path | Raw, path: Path) -> Raw:
    if not isinstance(place, Path):
        raise FileError(
            f"{path}: is a zip file in a pipe, which is read from its end; write it to a file first"
        )
    archive = zipfile.ZipFile(place)
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    if "[Content_Types].xml" in names:
        raise FileError(f"{path}: is an Office document; save its table as CSV")
    if len(names) != 1:
        listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise FileError(
            f"{path}: is a zip file of {len(names)} files ({listed}); one is read: unpack the one that is meant"
        )
    try:
        member = archive.open(names[0])
    except (RuntimeError, NotImplementedError) as error:
        raise FileError(f"{path}: its file {names[0]!r} cannot be unpacked ({error})") from None
    assert isinstance(member, io.BufferedIOBase)
    return member


def encoding_of(head: bytes, given: str | None) -> str:
    """The encoding of text that begins so: as given, or by its mark; "" for UTF-8, which is read as it is."""
    name = given or next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")
    return "" if name.lower().replace("_", "-") in ("utf-8", "utf8", "ascii", "us-ascii") else name


def require_encoding(name: object) -> None:
    """Raise HyperparameterError for a name that is no encoding of text."""
    try:
        if name is not None:
            b"".decode(name)  # type: ignore[arg-type]
            codecs.lookup(name)  # type: ignore[arg-type]
    except (LookupError, TypeError, ValueError):
        raise HyperparameterError(
            f"open_stream: encoding must be the name of one, such as 'latin-1', got {name!r}"
        ) from None


class Changed(io.RawIOBase):
    """A file whose bytes are changed as they are read, piece by piece. head: what has been read of it before."""

    PIECE = 1 << 16  # bytes that are changed at once

    def __init__(self, file: Raw, head: bytes) -> None:
        self._file, self._head = file, head
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        while not self._ready and not self._ended:
            piece = self._head or self._file.read(self.PIECE) or b""
            self._head, self._ended = b"", not piece
            self._ready = self.changed(piece)
        count = min(len(self._ready), len(room))
        room[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def changed(self, piece: bytes) -> bytes:
        """What is read for the next piece of the file, which is empty at its end."""
        raise NotImplementedError

    def close(self) -> None:
        self._file.close()
        super().close()


class Recoded(Changed):
    """A file in another encoding, as UTF-8."""

    def __init__(self, file: Raw, head: bytes, encoding: str) -> None:
        super().__init__(file, head)
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def changed(self, piece: bytes) -> bytes:
        return self._decoder.decode(piece, not piece).encode("utf-8", "surrogatepass")
