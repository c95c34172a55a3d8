"""Blocks in one binary file, for several passes: raw arrays, read at the speed of the disk.

    magic | the arrays of block 0, 1, ... | index (JSON) | its length and SHA-256

The index says what the cache was made of (files with sizes and times, settings), where each block lies
and its CRC-32. Written beside and renamed after a whole pass; a block's checksum is compared, and its
contents looked at, when it is first read, and again when the file has changed. A cache with other contents than
readers yield is damaged, whoever wrote it (``cache_checks``).
Numbers are little-endian, as on all machines that this package runs on.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Generator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import FileError
from ..files import put, reason, temporary
from .block import Array, Block, Pass, Position
from .cache_checks import DTYPES, Entry, block_is_sound, index_is_sound, padded
from .sources import Source

_NAME = b"thalweg blocks "
_MAGIC = _NAME + b"1\n"  # another number for every change of the file, or of what readers make of a text
_TAIL = struct.Struct("<Q32s")


def _start(at: Position) -> tuple[int, int, int]:
    return at.file, at.offset, at.line


class Cache:
    """The cache of a stream in the file ``path``; whether it is whole and up to date shows when it is asked for.

    features: how many the stream declares, or None. FileError if a file stands there that is no cache.
    """

    def __init__(
        self, path: Path, files: tuple[Source, ...], settings: dict[str, Any], features: int | None
    ) -> None:
        try:
            with open(path, "rb") as file:
                head = file.read(len(_NAME))
        except FileNotFoundError:
            head = b""
        except OSError as error:
            raise FileError(f"{path}: cannot be read ({reason(error)})") from None
        if head != _NAME[: len(head)]:
            raise FileError(
                f"{path}: exists and is no cache; it would be lost: give another name to cache= (--cache)"
            )
        self.path = path
        self._files, self._settings, self._features = files, settings, features
        self._index: dict[str, Any] | None = None
        self._version: tuple[object, ...] = ()
        self._checked: set[int] = set()  # blocks of that version

    @property
    def whole(self) -> bool:
        """Whether the last pass found nothing damaged."""
        return self._index is not None

    @property
    def reasons(self) -> list[str]:
        """Why the pass that wrote the cache skipped bad lines."""
        return list(self._index["reasons"]) if self._index else []

    @property
    def skipped(self) -> int:
        """How many it skipped."""
        return int(self._index["skipped"]) if self._index else 0

    def _source(self) -> object:
        """What the cache depends on, as JSON gives it back."""
        files = [f.identity() for f in self._files]
        return json.loads(json.dumps({"files": files, "settings": self._settings}))

    def _load(self) -> dict[str, Any] | None:
        """The index of a whole cache of these very files and settings; else None."""
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                size = status.st_size
                if file.read(len(_MAGIC)) != _MAGIC or size < len(_MAGIC) + _TAIL.size:
                    return None
                file.seek(size - _TAIL.size)
                length, digest = _TAIL.unpack(file.read())
                if length > size - len(_MAGIC) - _TAIL.size:
                    return None
                end = size - _TAIL.size - length
                file.seek(end)
                text = file.read(length)
            if hashlib.sha256(text).digest() != digest:
                return None
            version = digest, status.st_ino, status.st_ctime_ns
            if version != self._version:
                self._version = version
                self._checked.clear()
            index: dict[str, Any] = json.loads(text)
            if not index_is_sound(index, len(_MAGIC), end, len(self._files), self._features):
                return None
            return index if index["source"] == self._source() else None
        except (OSError, ValueError, RecursionError):  # the last: JSON nested without end
            return None

    def holds(self, at: Position) -> bool:
        """Whether there is a whole and current cache in which a block begins there."""
        self._index = self._load()
        return self._index is not None and self._place(self._index, at) is not None

    @staticmethod
    def _place(index: dict[str, Any], at: Position) -> int | None:
        """The number of the block that begins at a position."""
        if at == Position():
            return 0
        ends = [b["position"] for b in index["blocks"]]
        return next((k + 1 for k, p in enumerate(ends) if Position(**p) == at), None)

    def blocks(self, at: Position) -> Generator[Block, None, None]:
        """The blocks from a position on that ``holds``; ends before a damaged one, and removes the file."""
        index = self._index
        assert index is not None
        try:
            with open(self.path, "rb", buffering=0) as file:
                for k in range(self._place(index, at) or 0, len(index["blocks"])):
                    block = self._block(file, k, index["blocks"][k])
                    if block is None:
                        break
                    yield block
                else:
                    return
        except OSError:
            pass
        self._index = None
        with suppress(OSError):
            self.path.unlink()

    def _block(self, file: FileIO, k: int, entry: Entry) -> Block | None:
        """One block; None if its bytes are not those that were written, or make no block."""
        data = np.empty(entry["size"], np.uint8)
        file.seek(entry["at"])
        room = data.data
        filled = 0
        while filled < len(data):
            n = file.readinto(room[filled:])
            if not n:
                return None
            filled += n
        if k not in self._checked and zlib.crc32(room) != entry["crc"]:
            return None
        arrays: dict[str, Array] = {}
        at = 0
        for name, count in entry["counts"].items():
            dtype = np.dtype(DTYPES[name])
            arrays[name] = data[at : at + count * dtype.itemsize].view(dtype)
            at += padded(name, count)
        try:
            tags = json.loads(arrays["tags"].tobytes()) if "tags" in arrays else None
        except (ValueError, RecursionError):
            return None
        block = Block(
            arrays["labels"],
            arrays.get("weights"),
            arrays["indptr"],
            arrays["indices"],
            arrays["values"],
            tags,
            entry["features"],
            entry["row"],
            dict(entry["position"]),
        )
        if k not in self._checked and not block_is_sound(block, self._settings["unlabelled"]):
            return None
        self._checked.add(k)
        return block

    def write(
        self, blocks: Generator[Block, None, None], run: Callable[[], Pass]
    ) -> Generator[Block, None, None]:
        """Hand on all blocks of a pass; once the last is asked beyond, the cache stands in its place."""
        beside: str | None = None
        source = self._source()
        try:
            handle, beside = temporary(self.path)
            with os.fdopen(handle, "wb", buffering=1 << 20) as file:
                file.write(_MAGIC)
                entries = []
                for block in blocks:
                    entries.append(self._append(file, block))
                    yield block
                counted = run()
                index = {
                    "source": source,
                    "skipped": counted.skipped,
                    "reasons": counted.reasons,
                    "blocks": entries,
                }
                text = json.dumps(index).encode()
                file.write(text)
                file.write(_TAIL.pack(len(text), hashlib.sha256(text).digest()))
                file.flush()
                os.fsync(file.fileno())
                if source == self._source():  # else a file changed while it was read
                    put(file, beside, self.path)
        except FileError:
            raise
        except OSError as error:
            raise FileError(f"{self.path}: the cache cannot be written ({reason(error)})") from None
        finally:
            blocks.close()
            if beside is not None:
                with suppress(OSError):
                    os.unlink(beside)

    @staticmethod
    def _append(file: BinaryIO, block: Block) -> Entry:
        at = file.tell()
        crc = size = 0
        counts: dict[str, int] = {}
        for name, dtype in DTYPES.items():
            given = getattr(block, name)
            if given is None:
                continue
            if name == "tags":
                given = np.frombuffer(json.dumps(given).encode(), np.uint8)
            array = np.ascontiguousarray(given, dtype)
            counts[name] = array.size
            data = array.tobytes()
            data += bytes(-len(data) % 8)
            file.write(data)
            crc = zlib.crc32(data, crc)
            size += len(data)
        return {
            "at": at, "size": size, "crc": crc, "counts": counts,
            "features": block.features, "row": block.row, "position": block.position,
        }  # fmt: skip
