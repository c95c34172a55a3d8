"""SVMlight and Vowpal Wabbit text in blocks: whole lines of a bounded buffer, scanned by a kernel.

What a block holds depends on where it begins alone, so that a pass resumed at a block's end goes on
with the very blocks of a pass that was not interrupted.
"""

from collections.abc import Collection, Generator
from functools import cached_property
from typing import Any

import numpy as np

from .block import Block, Pass, Position
from .layout import LARGEST
from .scanner import Scanner
from .sources import MARK, Buffer, Bytes, Source, sample

_NAMED = 1 << 15  # bytes of the first file whose names are known by name
_SAMPLE = 1 << 18  # bytes of the first file that tell whether its indices start at 0


class Text:
    """A reader of one format: "svmlight" or "vw".

    size, rows: what a block may hold of the text, in bytes and rows. features: svmlight: indices must
    be smaller (None: any); vw: 2^bits.
    """

    names: list[str] | None = None
    columns: dict[str, Any] | None = None
    ordered: tuple[str, ...] = ()

    def __init__(
        self, format: str, files: tuple[Source, ...], size: int, rows: int,
        *, stop: bool, unlabelled: bool, zero_based: bool | str, features: int | None,
    ) -> None:  # fmt: skip
        self.features = features
        self._format, self._files, self._zero_based = format, files, zero_based
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
        head = sample(self._files[0], _SAMPLE).removeprefix(MARK)
        text = np.frombuffer(head[: head.rfind(b"\n") + 1] or head + b"\n", np.uint8)
        lowest = self._scanner(len(text), text.size, 0, True).scan(text, 0, text.size).lowest
        return int(lowest > 0)

    @property
    def layout(self) -> dict[str, Any]:
        """What another stream needs for the same features."""
        if self._format == "vw":
            return {"bits": (self.features or 1).bit_length() - 1}
        return {"zero_based": self._base == 0}

    def names_of(self, features: Collection[int]) -> dict[int, str]:
        """What features stand for: of svmlight, their numbers in the file; of vw, the names in the first lines."""
        if self._format == "svmlight":
            return {i: f"feature {i + self._base}" for i in features}
        names = self._first_names(set(features))
        return {i: names.get(i, f"feature {i}") for i in features}

    def _first_names(self, features: set[int]) -> dict[int, str]:
        """vw: the names of features in the first lines; those that share one together. None of a pipe."""
        if self._files[0].pipe is not None:
            return {}
        head = sample(self._files[0], _NAMED).removeprefix(MARK)
        tokens = _tokens(head[: head.rfind(b"\n") + 1] or head)
        text = np.frombuffer(b"".join(b"1 |%s %s\n" % token for token in tokens), np.uint8)
        found = self._scanner(text.size + 1, text.size, 0, True).scan(text, 0, text.size) if tokens else None
        if found is None or len(found.indices) != len(tokens):
            return {}
        names: dict[int, str] = {}
        for (space, name), feature in zip(tokens, found.indices.tolist(), strict=True):
            if feature not in features:
                continue
            told = b"^".join(filter(None, (space, name))).decode("utf-8", "replace")
            names[feature] = f"{names[feature]} or {told}" if feature in names else told
        return names

    def blocks(self, file: Source, at: Position, run: Pass) -> Generator[Block, None, None]:
        """The blocks of one file from a position on."""
        path, line, offset = file.path, at.line, at.offset
        scanner = self._scanner(self._size + 1, self._rows, self._base, self._skip)
        with Bytes(file, offset) as source:
            buffer = Buffer(source, self._size)
            while have := buffer.fill():
                end = buffer.lines(have)
                if not end:
                    run.bad(
                        path, line + 1, f"it is longer than a block of {self._size} bytes; raise block_bytes"
                    )
                    offset, line = offset + buffer.drop_line(), line + 1
                    continue
                marked = not offset and bytes(buffer.text[:3]) == MARK
                found = scanner.scan(buffer.text, len(MARK) if marked else 0, end)
                for before, reason in found.bad:
                    run.bad(path, line + before + 1, reason)
                run.skipped += found.faulty - len(found.bad)
                line += found.lines
                offset += buffer.drop(found.at)
                if self.features is None:
                    run.features = max(run.features, found.top + 1)
                if len(found.labels):
                    csr = found.indptr, found.indices, found.values
                    position = Position(at.file, offset, line)
                    yield run.block(position, found.labels, found.weights, csr, found.tags)


def _tokens(text: bytes) -> list[tuple[bytes, bytes]]:
    """The features that lines of vw name, each once: its namespace and its name, without weight and value."""
    tokens: dict[tuple[bytes, bytes], None] = {}
    for line in text.splitlines():
        for part in line.split(b"|")[1:]:
            words = part.split()
            space = words.pop(0).partition(b":")[0] if words and not part[:1].isspace() else b""
            tokens |= dict.fromkeys((space, name) for word in words if (name := word.partition(b":")[0]))
    return list(tokens)
