"""The loops that kernels print: read a coordinate, compute, write; and the sum in eight lanes.

A kernel's language and its memory are a ``Memory``'s: how an array is read, widened and written. The order
is the same everywhere: all reads, the formula, all new values, all writes. Names are the printer's
(``python.py``), so that those of a rule and those of the kernel cannot meet.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from ..core.update import Update
from .python import Printer

LANES = 8  # of a sum that vectorises: partial sums, added pairwise at the end


class Memory(Protocol):
    """How a kernel reads and writes one element of an array that a formula names."""

    def load(self, array: str) -> str:
        """Return the expression that reads it, in the width of the arithmetic."""

    def store(self, array: str, value: str) -> str:
        """Return the line that writes it."""


class Element(NamedTuple):
    """One coordinate's work as source lines."""

    loads: list[str]
    lines: list[str]
    stores: list[str]

    def loop(self, between: Iterable[str] = ()) -> list[str]:
        """Return the loop over coordinates i < n; ``between`` are the kernel's own lines, after the reads."""
        inside = (*self.loads, *between, *self.lines, *self.stores)
        return ["for i in range(n):", *(f"    {line}" for line in inside)]


def element(
    printer: Printer, memory: Memory, read: Iterable[str], lines: Iterable[str], written: Mapping[str, str]
) -> Element:
    """Return one coordinate's work: arrays to read, printed lines, and the expression that each array receives."""
    new = {n: f"new{k}" for k, n in enumerate(written)}
    return Element(
        [f"{printer.name(n)} = {memory.load(n)}" for n in read],
        [*lines, *(f"{new[n]} = {value}" for n, value in written.items())],
        [memory.store(n, value) for n, value in new.items()],
    )


def updated(printer: Printer, memory: Memory, update: Update, read: Iterable[str] | None = None) -> Element:
    """Return one coordinate's work of a whole update; ``read`` are arrays to read, by default all."""
    written = {n: printer.expression(e) for n, e in update.written.items()}
    lines = printer.lines(update.body)
    return element(printer, memory, update.arrays if read is None else read, lines, written)


def summed_in_lanes(zero: str, term: Callable[[str], str], *, spread: bool = False) -> list[str]:
    """Return the lines that sum ``term(index)`` over n elements, each lane begun at ``zero``.

    Element i falls into lane i modulo 8, but the last n modulo 8 into the first lane, unless ``spread``.
    """
    names = [f"lane{j}" for j in range(LANES)]
    lines = [f"{' = '.join(names)} = {zero}", f"whole = n - n % {LANES}"]
    lines += [f"for i in range(0, whole, {LANES}):"]
    lines += [f"    {lane} += {term(f'i + {j}')}" for j, lane in enumerate(names)]
    lines += ["for i in range(whole, n):"]
    if spread:
        lines += [f"    rest = {term('i')}"]
        for j, lane in enumerate(names[:-1]):
            lines += [f"    {'elif' if j else 'if'} i - whole == {j}:", f"        {lane} += rest"]
    else:
        lines += [f"    lane0 += {term('i')}"]
    while len(names) > 1:
        names = [f"({a} + {b})" for a, b in zip(names[::2], names[1::2], strict=True)]
    return [*lines, f"return {names[0]}"]
