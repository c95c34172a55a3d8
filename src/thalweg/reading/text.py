"""SVMlight and Vowpal Wabbit text in blocks: whole lines of a bounded buffer, scanned by a kernel.

What a block holds depends on where it begins alone, so that a pass resumed at a block's end goes on
with the very blocks of a pass that was not interrupted.
"""

from collections.abc import Collection, Generator
from functools import cached_property
from typing import Any

import numpy as np

from .block import Block, Pass, Position
from .interactions import crossed_letters, products_of_line
from .layout import LARGEST
from .scanner import Scanner
from .sources import MARK, Buffer, Bytes, Source, sample

Array = np.ndarray[Any, Any]
Token = tuple[bytes, bytes]  # a namespace, a feature's name
Words = tuple[bytes, list[bytes]]  # a namespace and its features' names

_NAMED = 1 << 15  # bytes of the first file whose names are known by name
_SAMPLE = 1 << 18  # bytes of the first file that tell whether its indices start at 0


class Text:
    """A reader of one format: "svmlight" or "vw".

    size, rows: what a block may hold of the text, in bytes and rows. features: svmlight: indices must
    be smaller (None: any); vw: 2^bits. interactions: vw: of which namespaces products are features too, as
    ``interactions.crossed_letters`` takes them. Raises HyperparameterError for others.
    """

    names: list[str] | None = None
    columns: dict[str, Any] | None = None
    ordered: tuple[str, ...] = ()
    labels = None

    def __init__(
        self, format: str, files: tuple[Source, ...], size: int, rows: int,
        *, stop: bool, unlabelled: bool, zero_based: bool | str, features: int | None, interactions: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.features = features
        self._interactions = interactions
        self._crossed = crossed_letters(interactions) if interactions else None
        self._format, self._files, self._zero_based = format, files, zero_based
        self._size, self._rows, self._skip, self._unlabelled = size, rows, not stop, unlabelled

    def _scanner(self, size: int, rows: int, base: int, skip: bool, crossed: Array | None = None) -> Scanner:
        limit = self.features or LARGEST
        return Scanner(
            self._format, size, rows, base=base, limit=limit, skip=skip, unlabelled=self._unlabelled, crossed=crossed
        )  # fmt: skip

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
            plain: dict[str, Any] = {"bits": (self.features or 1).bit_length() - 1}
            return plain | ({"interactions": list(self._interactions)} if self._interactions else {})
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
        lines = [_parts(line) for line in (head[: head.rfind(b"\n") + 1] or head).splitlines()]
        tokens = list(
            dict.fromkeys((space, name) for parts in lines for space, words in parts for name in words)
        )
        text = np.frombuffer(b"".join(b"1 |%s %s\n" % token for token in tokens), np.uint8)
        found = self._scanner(text.size + 1, text.size, 0, True).scan(text, 0, text.size) if tokens else None
        if found is None or len(found.indices) != len(tokens):
            return {}
        indices = dict(zip(tokens, found.indices.tolist(), strict=True))
        names: dict[int, dict[str, None]] = {i: {} for i in features}
        for token, feature in indices.items():
            if feature in names:
                names[feature][_told(token)] = None
        if self._crossed is not None:
            self._name_products(lines, indices, names)
        return {i: " or ".join(told) for i, told in names.items() if told}

    def _name_products(
        self, lines: list[list[Words]], indices: dict[Token, int], names: dict[int, dict[str, None]]
    ) -> None:
        """Add the names of products in those lines, to features that are asked for."""
        assert self._crossed is not None and self.features is not None
        for line in lines:
            parts = [
                (
                    (space or b" ")[0],
                    np.array([indices[space, word] for word in words], np.int64),
                    [_told((space, word)) for word in words],
                )
                for space, words in line
            ]
            for products, first, others in products_of_line(parts, self._crossed, self.features - 1):
                for k in np.flatnonzero(np.isin(products, list(names))).tolist():
                    names[int(products[k])][f"{first}*{others[k]}"] = None

    def blocks(self, file: Source, at: Position, run: Pass) -> Generator[Block, None, None]:
        """The blocks of one file from a position on."""
        path, line, offset = file.path, at.line, at.offset
        scanner = self._scanner(self._size + 1, self._rows, self._base, self._skip, self._crossed)
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
                run.check_text(path, offset, buffer.text[: found.at])
                line += found.lines
                offset += buffer.drop(found.at)
                if self.features is None:
                    run.features = max(run.features, found.top + 1)
                if len(found.labels):
                    csr = found.indptr, found.indices, found.values
                    position = Position(at.file, offset, line)
                    yield run.block(position, found.labels, found.weights, csr, found.tags)


def _parts(line: bytes) -> list[Words]:
    """The namespaces of a line of vw, each with the names of its features, without weights and values."""
    parts = []
    for part in line.split(b"|")[1:]:
        words = part.split()
        space = words.pop(0).partition(b":")[0] if words and not part[:1].isspace() else b""
        parts.append((space, [name for word in words if (name := word.partition(b":")[0])]))
    return parts


def _told(token: Token) -> str:
    """A feature's name as vw tells it: with its namespace's before it."""
    return b"^".join(filter(None, token)).decode("utf-8", "replace")
