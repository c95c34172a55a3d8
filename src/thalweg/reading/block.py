"""What a reader yields: a block of labelled examples as CSR arrays, and where the next one begins."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import FileError, HyperparameterError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = np.ndarray[Any, Any]
Csr = tuple[Array, Array, Array]  # indptr, indices, values


class Block(NamedTuple):
    """Rows of a file, in its order. The arrays are the block's own.

    labels: (n,) float64, NaN where absent (``unlabelled=True`` only). weights: (n,) float32, or None
    where all are 1. indptr: (n + 1,) int64. indices: (nnz,) int32, ascending and unique within a row.
    values: (nnz,) float32, finite. tags: n names, "" where a row has none; or None.
    features: how many the stream declares; else one more than the largest index so far in this pass.
    row: the number of the first row, counted over all files from 0; skipped lines do not count.
    position: where the next block begins, for ``blocks(position)``; plain numbers, as JSON has them.
    """

    labels: Array
    weights: Array | None
    indptr: Array
    indices: Array
    values: Array
    tags: list[str] | None
    features: int
    row: int
    position: dict[str, int]

    def matrix(self, features: int | None = None) -> csr_array:
        """The rows as a ``scipy.sparse.csr_array`` of that many columns (default: ``self.features``)."""
        from scipy.sparse import csr_array

        width = self.features if features is None else features
        return csr_array((self.values, self.indices, self.indptr), shape=(len(self.labels), width))


@dataclass(frozen=True)
class Position:
    """Where a block begins.

    file: which of the stream's paths. offset: byte of the uncompressed text, or row group of a Parquet
    file. line: lines (Parquet: rows) of that file that are done. row: rows yielded before. skipped: bad
    lines skipped before. features: one more than the largest index before.
    """

    file: int = 0
    offset: int = 0
    line: int = 0
    row: int = 0
    skipped: int = 0
    features: int = 0

    @classmethod
    def of(cls, given: object, files: int) -> Position:
        """A position as a block gives it; HyperparameterError for anything else."""
        names = [f.name for f in fields(cls)]
        if not isinstance(given, dict) or sorted(given) != sorted(names):
            raise HyperparameterError(
                f"blocks: position must be a block's position ({', '.join(names)}), got {given!r}"
            )
        if any(type(x) is not int or x < 0 for x in given.values()) or given["file"] > files:
            raise HyperparameterError(f"blocks: position {given!r} lies in none of the {files} files")
        return cls(**given)

    def plain(self) -> dict[str, int]:
        """The position as JSON has it."""
        return asdict(self)


def _wrong(text: bytes) -> int | None:
    """Where a text stops to be UTF-8; None where it is."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


REASONS = 10  # of the bad lines that are skipped, how many keep their reason


@dataclass
class Pass:
    """What one pass over the files has counted so far. ``stop``: a bad line is an error, whose remedy is said."""

    stop: bool
    row: int = 0
    skipped: int = 0
    features: int = 0
    reasons: list[str] = field(default_factory=list)
    remedy: str = "correct it, or leave such lines out (on_bad_line='skip', --on-bad-line skip)"
    odd_cells: dict[str, tuple[int, str]] = field(default_factory=dict)  # by column: how many, and the first
    odd_lines: int = 0  # that are not the text they are read as
    odd_text: str = ""  # of those the first, and what to do

    def bad(self, path: Path, line: int, reason: str, unit: str = "line") -> None:
        """Count a bad line (from 1), or raise FileError."""
        told = f"{path}: {unit} {line}: {reason}"
        if self.stop:
            raise FileError(f"{told}; {self.remedy}")
        self._count(told)

    def leave_out(self, path: Path, line: int, reason: str, unit: str = "line") -> None:
        """Count a line that nothing is wrong with, but that is of no use."""
        self._count(f"{path}: {unit} {line}: {reason}")

    def odd_cell(self, column: str, told: str) -> None:
        """Count a cell that is none of what its column holds, and is missing therefore."""
        count, first = self.odd_cells.get(column, (0, told))
        self.odd_cells[column] = count + 1, first

    def check_text(self, path: Path, offset: int, text: Array) -> None:
        """Count the lines of a stretch of a file, uint8, that are not UTF-8: they are read as the bytes they are.

        offset: of the stretch in the uncompressed file.
        """
        if not text.size or int(text.max()) < 128:  # ASCII
            return
        data = text.tobytes()
        for line in data.split(b"\n") if _wrong(data) is not None else ():
            if (at := _wrong(line)) is not None:
                self.odd_lines += 1
                if not self.odd_text:
                    shown = line[max(0, at - 10) : at + 20].decode("utf-8", "replace").strip()
                    self.odd_text = f"{path}: byte {offset + data.find(line) + at + 1}: {shown!r} is not UTF-8; give its --encoding, such as latin-1"

    @property
    def told_text(self) -> str:
        """How many lines are not UTF-8, and where the first is; "" where all are."""
        return f"lines that are not UTF-8: {self.odd_lines}; {self.odd_text}" if self.odd_lines else ""

    def _count(self, told: str) -> None:
        self.skipped += 1
        if len(self.reasons) < REASONS:
            self.reasons.append(told)

    def block(
        self, position: Position, labels: Array, weights: Array | None, csr: Csr, tags: list[str] | None
    ) -> Block:
        """The next block, of these rows; ``position`` says file, offset and line after it."""
        first = self.row
        self.row += len(labels)
        after = replace(position, row=self.row, skipped=self.skipped, features=self.features)
        return Block(labels, weights, *csr, tags, self.features, first, after.plain())
