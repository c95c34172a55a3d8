"""The CUDA engine: an update printed as a Triton kernel, one launch for many tensors.

a) A table of addresses on the device holds a row for each tensor; a block finds its row by bisection.
   Nothing is read back, so a launch can be captured in a CUDA graph.
b) Exact IEEE arithmetic: ``sqrt.rn`` and ``div.rn``, no fused multiply-add, no flushed subnormals. The
   functions of libm are libdevice's in float64, rounded once.
c) float16 and bfloat16 are stored as such and computed in float32.
d) Whole blocks of tensors on 16-byte addresses move in vectors; the rest goes through a mask.
e) The clock is printed as a kernel too, in float64, for steps that no host sees.

Sources are kept in Python's ``linecache``, so Triton reads them without a file of ours; what it
compiles it keeps in its own cache.
"""

import linecache
import struct
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import NamedTuple, Protocol

import numpy as np

from ..core.formula import Formula
from ..core.math import LIBM
from ..core.update import Update
from ..printing.loop import updated
from ..printing.python import Printer, indented

BLOCK = 1024  # coordinates of one block: eight for each of its threads, two vectors of float32
WARPS = 4
ROW = 4  # columns of the table before the addresses: first block, size, whole up to here, row of scalars
ARGUMENTS = 256  # words that ``write`` takes at once; a kernel may have 4096 bytes of them
OLDEST = (3, 6)
OPTIONS = {"num_warps": WARPS, "enable_fp_fusion": False}


class DeviceArray(Protocol):
    """A tensor on the device as Triton takes it."""

    def data_ptr(self) -> int: ...
    def __getitem__(self, part: slice, /) -> "DeviceArray": ...


class Kernel(Protocol):
    """A kernel of Triton's: for a grid, what launches it."""

    def __getitem__(self, grid: tuple[int, ...], /) -> Callable[..., object]: ...


_STORED = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}


def _printer(real: str) -> Printer:
    """How Triton writes IEEE arithmetic in a dtype. Its ``/`` and ``sqrt`` of float32 are approximate."""
    single = real == "float32"
    number = f"tl.full((), {{0}}, tl.{real})"
    return Printer(
        number=number,
        negative=f"({{0}} * {number.format('-1.0')})",  # Triton's own is 0 - x
        quotient="tl.div_rn({0}, {1})" if single else "({0} / {1})",
        power=f"libdevice.pow({{0}}.to(tl.float64), {{1}}.to(tl.float64)).to(tl.{real})",
        functions={n: f"libdevice.{n}({{0}}.to(tl.float64)).to(tl.{real})" for n in LIBM}
        | {
            "sqrt": "tl.sqrt_rn({0})" if single else "tl.sqrt({0})",
            "abs": "tl.abs({0})",
            "where": "tl.where({0}, {1}, {2})",
        },
    )


_UPDATE = """
@triton.jit
def update(at, scalars, i, n, WHOLE: tl.constexpr):
{scalars}
{pointers}
    if WHOLE:
{loads_whole}
    else:
{loads}
{body}
    if WHOLE:
{stores_whole}
    else:
{stores}

@triton.jit(do_not_specialize=["count", "depth"])
def kernel(table, scalars, count: "i32", depth: "i32"):
    block = tl.program_id(0).to(tl.int64)
    row = block * 0
    for k in range(depth):
        probe = row + (1 << (depth - 1 - k))
        first = tl.load(table + probe * {columns}, mask=probe < count, other=0)
        row = tl.where((probe < count) & (first <= block), probe, row)
    at = table + row * {columns}
    start = (block - tl.load(at)) * {block}
    i = start + tl.arange(0, {block})
    n = tl.load(at + 1)
    scalars += tl.load(at + 3) * {width}
    if start + {block} <= tl.load(at + 2):
        update(at, scalars, i, n, True)
    else:
        update(at, scalars, i, n, False)
"""


class _Blocks(NamedTuple):
    """Arrays behind pointers to a block's first coordinates; a ``whole`` block needs no mask, and moves in vectors."""

    update: Update
    stored: str
    whole: bool

    def _at(self, array: str) -> str:
        pointer = f"p{self.update.arrays.index(array)}"
        return f"tl.multiple_of({pointer}, 16) + i" if self.whole else f"{pointer} + i"

    def load(self, array: str) -> str:
        mask = "" if self.whole else ", mask=i < n"
        return f"tl.load({self._at(array)}{mask}).to(tl.{_STORED[self.stored]})"

    def store(self, array: str, value: str) -> str:
        value = f"{value}.to(tl.{self.stored})" if array in self.update.stored else value
        return f"tl.store({self._at(array)}, {value}{'' if self.whole else ', mask=i < n'})"


def source(update: Update, stored: str) -> str:
    """Return the kernel of an update for parameters of a dtype: one of NumPy's names, or bfloat16.

    ``kernel(table, scalars, count, depth)``: ``Table`` on the device, the scalars as rows of float64.
    """
    real = _STORED[stored]
    printer = _printer(real)
    formula = Formula("update", (), (), update.body, tuple(update.written.items()), {})
    read = [n for n in update.arrays if n in formula.names()]
    whole, masked = (updated(printer, _Blocks(update, stored, w), update, read) for w in (True, False))
    pointers = []
    for k, n in enumerate(update.arrays):
        kind = stored if n in update.stored else real
        pointers.append(f"p{k} = tl.load(at + {ROW + k}).to(tl.pointer_type(tl.{kind}))")
    scalars = [
        f"{printer.name(n)} = tl.load(scalars + {k}).to(tl.{real})" for k, n in enumerate(update.scalars)
    ]
    return f"# {stored}\n" + _UPDATE.format(
        scalars=indented(scalars, 1),
        pointers=indented(pointers, 1),
        loads_whole=indented(whole.loads, 2),
        loads=indented(masked.loads, 2),
        body=indented(whole.lines, 1),
        stores_whole=indented(whole.stores, 2),
        stores=indented(masked.stores, 2),
        columns=ROW + len(update.arrays),
        width=len(update.scalars),
        block=BLOCK,
    )


_CLOCK = """
@triton.jit(do_not_specialize=["count"])
def kernel(steps, given, scalars, count: "i32"):
    row = tl.program_id(0) * {block} + tl.arange(0, {block})
    good = row < count
    step = tl.load(steps + row, mask=good, other=0).to(tl.pointer_type(tl.float64))
    now = tl.load(step, mask=good, other=0.0) + 1.0
{given}
{body}
{stores}
"""
CLOCKS = 32  # tensors whose scalars one block computes


def clock_source(clock: Formula) -> str:
    """The printed clock: scalars of many tensors, each from its own count of steps done (float64).

    ``kernel(steps, given, scalars, count)``: addresses of the counts, the values of ``clock.inputs``
    after t, and ``count`` rows of float64 to write.
    """
    printer = _printer("float64").named("v_", {"t": "now"})
    width = len(clock.outputs)
    return "# clock\n" + _CLOCK.format(
        block=CLOCKS,
        given=indented(
            [f"{printer.name(n)} = tl.load(given + {k})" for k, n in enumerate(clock.inputs[1:])], 1
        ),
        body=indented(printer.lines(clock.body), 1),
        stores=indented(
            [
                f"tl.store(scalars + row * {width} + {k}, {printer.expression(e)}, mask=good)"
                for k, (_, e) in enumerate(clock.outputs)
            ],
            1,
        ),
    )


def write_source() -> str:
    """The printed kernel that puts words given as arguments at an address."""
    words = [f"x{k}" for k in range(ARGUMENTS)]
    typed = ", ".join(f'{x}: "i64"' for x in words)
    stores = indented([f"tl.store(to + {k}, {x})" for k, x in enumerate(words)], 1)
    return f"# write\n@triton.jit(do_not_specialize={words})\ndef kernel(to, {typed}):\n{stores}\n"


@cache
def kernel(text: str) -> Kernel:
    """The function ``kernel`` of a printed source, as Triton's. ImportError without Triton."""
    import triton
    import triton.language as tl
    from triton.language.extra import libdevice

    filename = f"<thalweg triton {sha256(text.encode()).hexdigest()[:16]}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    space = {"__name__": __name__, "triton": triton, "tl": tl, "libdevice": libdevice}
    exec(compile(text, filename, "exec"), space)
    printed: Kernel = space["kernel"]
    return printed


@cache
def available() -> bool:
    """Whether Triton can be imported, from 3.6 on: those before flush subnormals in float32."""
    try:
        import triton
    except ImportError:
        return False
    return tuple(map(int, triton.__version__.split(".")[:2])) >= OLDEST


class Table(NamedTuple):
    """Where tensors lie: ``words`` belong on the device."""

    words: tuple[int, ...]
    tensors: int
    blocks: int


def table(rows: Sequence[Sequence[int]], which: Sequence[int]) -> Table:
    """From a row for each tensor: its size, then the addresses of ``update.arrays``.

    Tensor i uses the scalars in row ``which[i]``.
    """
    given = np.array(rows, dtype=np.int64)
    sizes, addresses = given[:, 0], given[:, 1:]
    made = np.empty((len(rows), ROW + addresses.shape[1]), dtype=np.int64)
    blocks = -(-sizes // BLOCK)
    made[:, 0] = np.cumsum(blocks) - blocks
    made[:, 1] = sizes
    made[:, 2] = np.where((addresses % 16 == 0).all(axis=1), sizes, 0)
    made[:, 3] = which
    made[:, ROW:] = addresses
    return Table(tuple(made.ravel().tolist()), len(rows), int(blocks.sum()))


@cache
def _update(update: Update, stored: str) -> Kernel:
    return kernel(source(update, stored))


@cache
def _clock(clock: Formula) -> Kernel:
    return kernel(clock_source(clock))


def update(update: Update, stored: str, where: Table, table: DeviceArray, scalars: DeviceArray) -> None:
    """Launch one pass: ``table`` holds ``where.words`` (int64), ``scalars`` the rows (float64), on the device."""
    if where.blocks:
        depth = (where.tensors - 1).bit_length()
        _update(update, stored)[(where.blocks,)](table, scalars, where.tensors, depth, **OPTIONS)


def clock(clock: Formula, steps: DeviceArray, given: DeviceArray, scalars: DeviceArray, count: int) -> None:
    """Launch the clock: ``steps`` are addresses (int64), ``given`` and ``scalars`` float64, on the device."""
    grid = (-(-count // CLOCKS),)
    _clock(clock)[grid](steps, given, scalars, count, num_warps=1, enable_fp_fusion=False)


def write(to: DeviceArray, words: Sequence[int]) -> None:
    """Put words into device memory (int64, a whole number of ``ARGUMENTS`` long) with no copy from the host.

    They travel as arguments of a kernel, so that a captured graph keeps them.
    """
    put = kernel(write_source())
    for k in range(0, len(words), ARGUMENTS):
        part = words[k : k + ARGUMENTS]
        put[(1,)](
            to[k : k + ARGUMENTS], *part, *[0] * (ARGUMENTS - len(part)), num_warps=1, enable_fp_fusion=False
        )


def bits(values: Sequence[float]) -> tuple[int, ...]:
    """Floats as the words that hold them."""
    return struct.unpack(f"{len(values)}q", struct.pack(f"{len(values)}d", *values))
