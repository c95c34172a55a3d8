"""SVMlight and Vowpal Wabbit text in blocks: whole lines of a bounded buffer, scanned by a kernel.

What a block holds depends on where it begins alone, so that a pass resumed at a block's end goes on
with the very blocks of a pass that was not interrupted.
"""

from collections.abc import Generator
from functools import cached_property
from pathlib import Path

import numpy as np

from .block import Block, Pass, Position
from .scanner import LARGEST, Scanner
from .sources import Bytes, sample

_SAMPLE = 1 << 20  # bytes of the first file that tell whether its indices start at 0
_MARK = b"\xef\xbb\xbf"


class Text:
    """A reader of one format: "svmlight" or "vw".

    size, rows: what a block may hold of the text, in bytes and rows. features: svmlight: indices must
    be smaller (None: any); vw: 2^bits.
    """

    names = None

    def __init__(
        self, format: str, paths: tuple[Path, ...], size: int, rows: int,
        *, stop: bool, unlabelled: bool, zero_based: bool | str, features: int | None,
    ) -> None:  # fmt: skip
        self.features = features
        self._format, self._paths, self._zero_based = format, paths, zero_based
        self._size, self._rows, self._skip, self._unlabelled = size, rows, not stop, unlabelled

    def _scanner(self, size: int, rows: int, base: int, skip: bool) -> Scanner:
        limit = self.features or LARGEST
        return Scanner(
            self._format, size, rows, base=base, limit=limit, skip=skip, unlabelled=self._unlabelled
        )

    @cached_property
    def _base(self) -> int:
        """What is subtracted from an index."""
        if self._format != "svmlight" or self._zero_based != "auto":
            return int(self._zero_based is False)
        head = sample(self._paths[0], _SAMPLE).removeprefix(_MARK)
        text = np.frombuffer(head[: head.rfind(b"\n") + 1] or head + b"\n", np.uint8)
        lowest = self._scanner(len(text), text.size, 0, True).scan(text, 0, text.size).lowest
        return int(lowest > 0)

    def blocks(self, path: Path, at: Position, run: Pass) -> Generator[Block, None, None]:
        """The blocks of one file from a position on."""
        size, line, offset = self._size, at.line, at.offset
        scanner = self._scanner(size + 1, self._rows, self._base, self._skip)
        text = np.empty(size + 64, np.uint8)
        room = memoryview(text)  # type: ignore[arg-type]
        have = 0
        with Bytes(path, offset) as source:
            while True:
                have += source.fill(room[have:size])
                ended = have < size
                begin = 3 if not offset and bytes(room[:3]) == _MARK and have >= 3 else 0
                end = have
                if ended and have and text[have - 1] != 10:
                    text[have] = 10
                    end += 1
                elif not ended:
                    end = _last_newline(text, have)
                if not end:
                    if ended:
                        return
                    run.bad(path, line + 1, f"it is longer than a block ({size} bytes); raise block_bytes")
                    skipped, have = self._skip_line(source, text, room, size)
                    offset, line = offset + skipped, line + 1
                    continue
                found = scanner.scan(text, begin, end)
                for before, reason in found.bad:
                    run.bad(path, line + before + 1, reason)
                run.skipped += found.faulty - len(found.bad)
                line += found.lines
                offset += min(found.at, have)
                if self.features is None:
                    run.features = max(run.features, found.top + 1)
                if len(found.labels):
                    position = Position(at.file, offset, line)
                    arrays = found.indptr, found.indices, found.values, found.tags
                    yield run.block(position, found.labels, found.weights, *arrays)
                rest = max(0, have - found.at)
                text[:rest] = text[found.at : found.at + rest].copy()
                have = rest

    @staticmethod
    def _skip_line(source: Bytes, text: np.ndarray, room: memoryview, size: int) -> tuple[int, int]:  # type: ignore[type-arg]
        """Read on to the end of a line that fills the buffer: its bytes, and how many after it are there."""
        skipped = 0
        have = size
        while have:
            found = np.flatnonzero(text[:have] == 10)
            if found.size:
                after = int(found[0]) + 1
                text[: have - after] = text[after:have].copy()
                return skipped + after, have - after
            skipped += have
            have = source.fill(room[:size])
        return skipped, 0


def _last_newline(text: np.ndarray, have: int) -> int:  # type: ignore[type-arg]
    """Where the last whole line of the first bytes ends; 0: there is none."""
    width = 1 << 12
    for hi in range(have, 0, -width):
        lo = max(0, hi - width)
        found = np.flatnonzero(text[lo:hi] == 10)
        if found.size:
            return lo + int(found[-1]) + 1
    return 0
