"""The CPU engine: an update printed as a loop over memory, compiled by Numba, run by many threads.

a) Kernels are serial and release the interpreter's lock; threads split the coordinates. No operation
   depends on where the split falls, so the bits are the same for any number of threads.
b) A kernel takes a table of addresses: many small tensors cost one call.
c) Pointers are declared distinct (the optimizer has checked it), so that the loop vectorises.
d) Strict IEEE arithmetic: no fast-math, numbers printed in the dtype of the arithmetic, libm's
   functions called in float64 and rounded once.
e) float16 and bfloat16 are stored as such and computed in float32; a result is rounded to the nearest
   stored number, ties to even.
"""

import ctypes
import struct
import sys
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from ...core.math import LIBM
from ...core.update import Update
from ...printing.python import Printer, indented
from ..memory import BLOCK, Array, address, arithmetic, limit, total
from . import object_cache as objects
from . import pool

SMALL = 1 << 14  # coordinates below which the interpreter's lock is kept
GRAIN = 1 << 18  # coordinates below which a second thread costs more than it saves
HEAD = 3  # columns of the table before the addresses: start, size, offset of the scalars

Kernel = Callable[[int, int, int], int]
Share = Callable[[Kernel, Sequence[int], int], int]  # runs a kernel over [0, total): the largest result

# What is stored in 16 bits: how it is read into float32, and back.
NARROW = {"float16": ("from_half", "to_half"), "bfloat16": ("from_bfloat", "to_bfloat")}

PRINTER = Printer(
    number="F({0})",
    power="F(math.pow(D({0}), D({1})))",
    functions={n: f"F({'np' if n == 'floor' else 'math'}.{n}(D({{0}})))" for n in LIBM}
    | {"sqrt": "math.sqrt({0})", "abs": "abs({0})"},
)

CHECK_FINITE = """
def check(n, g):
    distinct()
    good = True
    for i in range(n):
        good &= abs({load_g}) <= F({limit!r})
    return good
"""

_KERNEL = """
def update(n, {pointers}, scalars):
    distinct()
{scalars}
    for i in range(n):
{body}

def kernel(job):
    lo = job[0]
    hi = job[1]
    job[2] = 0
    table = words(job[3])
    rows = job[4]
    if job[6] & 1:
        for r in range(rows):
{slice}
            if a < b and not check(b - a, {gradient}):
                job[2] = 1
                return 0
    if job[6] & 2:
        for r in range(rows):
{slice}
            if a < b:
                update(b - a, {addresses}, reals(job[5] + 8 * table[o + 2]))
    return 0
"""


_SLICE = (  # the part of tensor r that lies in [lo, hi)
    "o = r * {columns}",
    "a = lo - table[o]",
    "b = hi - table[o]",
    "if a < 0:",
    "    a = 0",
    "if b > table[o + 1]:",
    "    b = table[o + 1]",
)


def real_of(stored: str) -> np.dtype[Any]:
    """The dtype of the arithmetic for parameters stored as that; NumPy knows no bfloat16."""
    return np.dtype(np.float32 if stored in NARROW else stored)


def own(update: Update, others: Sequence[str] = ()) -> dict[str, str]:
    """What a kernel calls a formula's names: nothing of its own begins so, whatever a rule's states are called."""
    return {n: f"v_{n}" for n in (*update.arrays, *update.scalars, *others)}


def source(update: Update, stored: str) -> str:
    """The printed kernel of an update for parameters of a dtype: one of NumPy's names, or bfloat16."""
    real = real_of(stored)
    widen, narrow = NARROW.get(stored, ("", ""))
    itemsize = 2 if narrow else real.itemsize
    top = limit(real if stored == "bfloat16" else np.dtype(stored), update.power)
    position = {n: k for k, n in enumerate(update.arrays)}

    def read(n: str) -> str:
        return f"{widen}(p{position[n]}[i])" if n in update.stored else f"p{position[n]}[i]"

    def at(n: str) -> str:
        kind, size = ("store", itemsize) if n in update.stored else ("state", real.itemsize)
        return f"{kind}(table[o + {HEAD + position[n]}] + {size} * a)"

    names = own(update)
    printer = PRINTER._replace(names=names)
    body = [f"{names[n]} = {read(n)}" for n in update.arrays]
    body += printer.lines(update.body)
    body += [f"new{k} = {printer.expression(e)}" for k, e in enumerate(update.written.values())]
    for k, n in enumerate(update.written):
        value = f"{narrow}(new{k})" if n in update.stored else f"new{k}"
        body.append(f"p{position[n]}[i] = {value}")
    return (
        f"# {stored}\n"
        + CHECK_FINITE.format(load_g=f"{widen}(g[i])", limit=top)
        + _KERNEL.format(
            pointers=", ".join(f"p{k}" for k in range(len(update.arrays))),
            scalars=indented([f"{names[n]} = F(scalars[{k}])" for k, n in enumerate(update.scalars)], 1),
            body=indented(body, 2),
            slice=indented(_SLICE, 3).format(columns=HEAD + len(update.arrays)),
            gradient=at("g"),
            addresses=", ".join(at(n) for n in update.arrays),
        )
    )


def pointer(to: Any) -> Any:
    """The cast from an address to a pointer to numbers of a Numba type, for printed code."""
    from numba import types
    from numba.extending import intrinsic

    @intrinsic
    def cast(typing_context, address):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(to)(types.int64), generate  # type: ignore[no-untyped-call]

    return cast


def compile_source(text: str, functions: Sequence[str]) -> tuple[str, bytes]:
    """Compile printed source whose last function takes a job; its symbol and object code.

    ``# float32`` and the like in the first line names the dtype of the arrays.
    """
    import math

    from llvmlite import binding, ir
    from numba import njit, types
    from numba.extending import intrinsic

    stored = text.partition("\n")[0].removeprefix("# ")
    real = {"float32": types.float32, "float64": types.float64}[real_of(stored).name]
    kept = types.uint16 if stored in NARROW else real

    @intrinsic
    def distinct(typing_context):  # type: ignore[no-untyped-def]
        """The pointers that the function around takes do not overlap."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            for argument in builder.function.args[2:]:
                if isinstance(argument.type, ir.PointerType):
                    argument.add_attribute("noalias")
            return context.get_dummy_value()

        return types.void(), generate

    @intrinsic
    def from_half(typing_context, bits):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

        return types.float32(types.uint16), generate

    @intrinsic
    def from_bfloat(typing_context, bits):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            word = ir.IntType(32)
            high = builder.shl(builder.zext(arguments[0], word), ir.Constant(word, 16))
            return builder.bitcast(high, ir.FloatType())

        return types.float32(types.uint16), generate

    @intrinsic
    def to_bfloat(typing_context, value):  # type: ignore[no-untyped-def]
        """The upper half of the word, rounded by carrying; a NaN stays one."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            word = ir.IntType(32)
            bits = builder.bitcast(arguments[0], word)
            high = builder.lshr(bits, ir.Constant(word, 16))
            odd = builder.and_(high, ir.Constant(word, 1))
            carried = builder.add(bits, builder.add(odd, ir.Constant(word, 0x7FFF)))
            rounded = builder.lshr(carried, ir.Constant(word, 16))
            nan = builder.fcmp_unordered("uno", arguments[0], arguments[0])
            quiet = builder.or_(high, ir.Constant(word, 0x40))
            return builder.trunc(builder.select(nan, quiet, rounded), ir.IntType(16))

        return types.uint16(types.float32), generate

    @intrinsic
    def to_half(typing_context, value):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

        return types.uint16(types.float32), generate

    @intrinsic
    def call(typing_context, address, x, g, f, n, words):  # type: ignore[no-untyped-def]
        """Call a function of ``foreign``'s convention by its address."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            kind = ir.FunctionType(ir.IntType(64), [a.type for a in arguments[1:]])
            return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

        return types.int64(types.int64, x, g, f, types.int64, words), generate

    @intrinsic
    def prefetch(typing_context, address):  # type: ignore[no-untyped-def]
        """Ask for the cache line at an address."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            word, place = ir.IntType(32), ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [place, word, word, word])
            known = builder.module.globals.get("llvm.prefetch.p0")
            function = known or ir.Function(builder.module, kind, "llvm.prefetch.p0")
            hints = [ir.Constant(word, hint) for hint in (0, 3, 1)]  # a read, kept in all caches, of data
            builder.call(function, [builder.inttoptr(arguments[0], place), *hints])
            return context.get_dummy_value()

        return types.void(types.int64), generate

    space: dict[str, Any] = {
        "math": math,
        "np": np,
        "call": call,
        "prefetch": prefetch,
        "F": real,
        "D": types.float64,
        "distinct": distinct,
        "from_half": from_half,
        "to_half": to_half,
        "from_bfloat": from_bfloat,
        "to_bfloat": to_bfloat,
        "words": pointer(types.int64),
        "ints": pointer(types.int32),
        "reals": pointer(types.float64),
        "octets": pointer(types.uint8),
        "singles": pointer(types.float32),
        "store": pointer(kept),
        "state": pointer(real),
    }
    exec(compile(text, "<thalweg kernel>", "exec"), space)
    options: Any = {
        "nogil": True,
        "error_model": "numpy",
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }
    for name in functions[:-1]:
        space[name] = njit(**options)(space[name])
    signature = types.int64(types.CPointer(types.int64))  # type: ignore[no-untyped-call]
    entry = njit([signature], **options)(space[functions[-1]])
    (compiled,) = entry.overloads.values()
    module = binding.parse_assembly(entry.inspect_llvm(entry.signatures[0]))
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        reloc="default",
        codemodel="jitdefault",
        jit=True,
    )
    return compiled.fndesc.llvm_func_name, machine.emit_object(module)  # type: ignore[attr-defined]


@cache
def kernel(text: str, functions: tuple[str, ...]) -> tuple[Kernel, Kernel]:
    """The last function of a printed source, compiled now or before: releasing the lock, and not."""
    return objects.functions(objects.load(text, partial(compile_source, text, functions)))


@cache
def _kernel(update: Update, stored: str) -> tuple[Kernel, Kernel]:
    return kernel(source(update, stored), ("check", "update", "kernel"))


def run(call: Kernel, job: Sequence[int], total: int, grain: int) -> int:
    """Run a kernel over [0, total) on the pool; the largest result.

    Each slice has a job of its own: where it begins and ends, its result, then ``job``.
    """

    def work(lo: int, hi: int) -> int:
        own = np.array((lo, hi, 0, *job), dtype=np.int64)
        call(*objects.CONVENTION, address(own))
        return int(own[2])

    return pool.split(work, total, grain)


class Batch:
    """Tensors of one dtype that one kernel updates in one call.

    ``tensors`` hold flat, contiguous arrays by name (all of ``update.arrays`` but g). Gradients are
    bound before a pass; the caller has checked dtype, size and that nothing overlaps.
    """

    def __init__(self, update: Update, stored: np.dtype[Any], tensors: Sequence[dict[str, Array]]) -> None:
        self._call, self._quick = _kernel(update, stored.name)
        self.limit = limit(stored, update.power)
        self._keep = list(tensors)
        sizes = np.array([t["w" if "w" in t else update.arrays[0]].size for t in tensors], dtype=np.int64)
        self._sizes = sizes.tolist()
        table = np.zeros((len(tensors), HEAD + len(update.arrays)), dtype=np.int64)
        table[:, 0] = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        for row, tensor in zip(table, tensors, strict=True):
            for k, n in enumerate(update.arrays):
                if n != "g":
                    row[HEAD + k] = address(tensor[n])
        self._gradient = HEAD + update.arrays.index("g")
        self._total = int(sizes.sum())
        self._table = table
        self._width = len(update.scalars)
        self._cells = memoryview(table.reshape(-1))  # type: ignore[arg-type]
        self._columns = table.shape[1]
        job = np.zeros(7, dtype=np.int64)
        job[1], job[3], job[4] = self._total, address(table), len(tensors)
        self._job = memoryview(job)  # type: ignore[arg-type]
        self._serial = self._total < 2 * GRAIN
        # A small step is over before another thread could have used the interpreter's lock.
        quick = self._quick if self._total < SMALL else self._call
        self._alone = partial(quick, *objects.CONVENTION, address(job))
        self._make_room(1)

    def _make_room(self, rows: int) -> None:
        self._scalars = ctypes.create_string_buffer(max(8, 8 * rows * self._width))
        self._pack = partial(struct.Struct(f"{rows * self._width}d").pack_into, self._scalars, 0)
        self._rows = rows
        self._job[5] = ctypes.addressof(self._scalars)

    def bind(self, index: int, gradient: Array | None, start: int = 0) -> None:
        """Take a contiguous gradient, at address ``start``; None leaves the tensor out of the next pass."""
        cell = index * self._columns
        if gradient is None:
            self._cells[cell + 1] = 0
        else:
            self._cells[cell + 1] = self._sizes[index]
            self._cells[cell + self._gradient] = start or address(gradient)

    def _pass(self, phase: int) -> bool:
        job = self._job
        job[6] = phase
        if self._serial:
            self._alone()
            return job[2] == 0
        return run(self._call, job[3:].tolist(), self._total, GRAIN) == 0

    def finite(self) -> bool:
        """Whether every bound gradient is finite and small enough for the states."""
        return self._pass(1)

    def _set(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> None:
        if len(rows) == self._rows == 1:
            self._pack(*rows[0])
            return
        self._make_room(len(rows))
        self._table[:, 2] = np.multiply(which, self._width)
        self._pack(*(x for row in rows for x in row))

    def run(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> None:
        """One pass; tensor i uses the scalars ``rows[which[i]]``."""
        self._set(rows, which)
        self._pass(2)

    def step(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> bool:
        """``run`` if ``finite``; in one call where one thread does it all."""
        self._set(rows, which)
        if self._serial:
            return self._pass(3)
        return self._pass(1) and self._pass(2)


def by_pool(call: Kernel, job: Sequence[int], total: int) -> int:
    """Run a kernel over [0, total) on our own threads."""
    return run(call, job, total, GRAIN)


class Sweep:
    """One pass over tensors at addresses that may be others at the next step.

    ``table`` has a row for each tensor: its size, then the addresses of ``update.arrays``; all are
    contiguous and of the dtype ``stored`` says (states: of its arithmetic). Tensor i uses the scalars
    ``rows[which[i]]``. The caller keeps the memory alive and has checked that nothing overlaps.
    ``share`` runs a kernel on threads, the pool's or others.
    """

    def __init__(
        self,
        update: Update,
        stored: str,
        table: Sequence[Sequence[int]] | Array,
        rows: Sequence[tuple[float, ...]],
        which: Sequence[int],
        share: Share = by_pool,
    ) -> None:
        self._call, self._quick = _kernel(update, stored)
        self._share = share
        made = np.empty((len(table), HEAD + len(update.arrays)), dtype=np.int64)
        made[:, 1], made[:, HEAD:] = (given := np.array(table, dtype=np.int64))[:, 0], given[:, 1:]
        ends = np.cumsum(made[:, 1])
        made[:, 0] = ends - made[:, 1]
        made[:, 2] = np.multiply(which, len(update.scalars))
        self._total = int(ends[-1])
        self._keep = made, np.array(rows, dtype=np.float64)
        self._job = (address(made), len(table), self._keep[1].ctypes.data)

    def _pass(self, phase: int) -> bool:
        job = (*self._job, phase)
        if self._total < SMALL:
            own = np.array((0, self._total, 0, *job), dtype=np.int64)
            self._quick(*objects.CONVENTION, address(own))
            return bool(own[2] == 0)
        return self._share(self._call, job, self._total) == 0

    def finite(self) -> bool:
        """Whether every gradient is finite and small enough for the states."""
        return self._pass(1)

    def run(self) -> None:
        """Update all tensors."""
        self._pass(2)


_SQUARES = """
def block(n, {pointers}):
    lane0 = lane1 = lane2 = lane3 = lane4 = lane5 = lane6 = lane7 = D(0.0)
    whole = n - n % 8
    for i in range(0, whole, 8):
{lanes}
    for i in range(whole, n):
        x = D({value})
        j = i - whole
        if j == 0:
            lane0 += x * x
        elif j == 1:
            lane1 += x * x
        elif j == 2:
            lane2 += x * x
        elif j == 3:
            lane3 += x * x
        elif j == 4:
            lane4 += x * x
        elif j == 5:
            lane5 += x * x
        else:
            lane6 += x * x
    return ((lane0 + lane1) + (lane2 + lane3)) + ((lane4 + lane5) + (lane6 + lane7))

def kernel(job):
    sums = reals(job[3])
    n = job[4]
    for k in range(job[0], job[1]):
        a = k * {size}
        b = n - a
        if b > {size}:
            b = {size}
        sums[k] = block(b, {addresses})
    return 0
"""


@cache
def _squares(stored: str, gathered: bool) -> Kernel:
    kind = np.dtype(stored)

    def value(i: str) -> str:
        g = f"from_half(g[{i}])" if kind == np.float16 else f"g[{i}]"
        return f"(a[{i}] + {g})" if gathered else g

    lanes = [x for j in range(8) for x in (f"x{j} = D({value(f'i + {j}')})", f"lane{j} += x{j} * x{j}")]
    addresses = [f"store(job[5] + {kind.itemsize} * a)"]
    addresses += [f"state(job[6] + {arithmetic(kind).itemsize} * a)"] * gathered
    text = f"# {stored}\n" + _SQUARES.format(
        pointers="g, a" if gathered else "g",
        lanes=indented(lanes, 2),
        value=value("i"),
        size=BLOCK,
        addresses=", ".join(addresses),
    )
    return kernel(text, ("block", "kernel"))[0]


def sum_of_squares(gradients: Sequence[tuple[Array, Array | None]]) -> float:
    """The sum of (g + a)^2 in float64: eight lanes a block, the blocks exactly."""
    sums: list[float] = []
    for g, a in gradients:
        blocks = -(-g.size // BLOCK)
        made = np.empty(blocks)
        job = (address(made), g.size, address(g), 0 if a is None else address(a))
        run(_squares(g.dtype.name, a is not None), job, blocks, max(1, GRAIN // BLOCK))
        sums += made.tolist()
    return total(sums)


class Foreign(NamedTuple):
    """A user's compiled function: its address, the words with its arguments, and what keeps both alive."""

    address: int
    words: Array
    keep: tuple[Any, ...]


_FOREIGN = """
def objective(at, gradient, value, n, words):
    x = carray(at, (n,))
    status = 0
    try:
{call}
        if made.size != n:
            status = 2
        else:
            value[0] = f
            for i in range(n):
                gradient[i] = made[i]
    except Exception:  # compiled code cannot pass it on: the caller asks again from Python, and sees it
        status = 1
    return status
"""


def foreign(fun: Any, jac: Any, args: tuple[Any, ...]) -> Foreign | None:
    """A function compiled by Numba, ``fun(x, *args)`` → (f, g), or f with its gradient ``jac``, by address.

    jac: True or another compiled function. args: floats, whole numbers, and writeable contiguous arrays
    of numbers, all seen as they are at each call. None where something is of another kind, or does not
    compile so; it may then still be called from Python.
    """
    functions = [fun] if jac is True else [fun, jac]
    if "numba" not in sys.modules:
        return None
    from numba.core.errors import NumbaError, NumbaWarning
    from numba.extending import is_jitted

    if not all(map(is_jitted, functions)):
        return None
    kinds: list[str] = []
    numbers: list[float] = []
    words = [0]
    for a in args:
        if isinstance(a, np.ndarray) and type(a) is np.ndarray:
            flags = a.flags
            if a.dtype.kind not in "fiub" or not (flags.c_contiguous and flags.writeable and flags.aligned):
                return None
            if not a.dtype.isnative or not a.ndim:
                return None
            kinds.append(f"{a.dtype.name} {a.ndim} {len(words)}")
            words += [address(a), *a.shape]
        elif type(a) in (float, np.float64):
            kinds.append(f"real {len(numbers)}")
            numbers.append(float(a))
        elif type(a) in (int, bool, np.int64) and abs(a) < 1 << 62:
            kinds.append(f"{'truth' if type(a) is bool else 'whole'} {len(words)}")
            words.append(int(a))
        else:
            return None
    kept = np.array([*numbers, 0.0])
    words[0] = address(kept)
    try:
        compiled = _foreign(fun, jac, tuple(kinds))
    except (NumbaError, NumbaWarning):
        return None
    return Foreign(compiled.address, np.array(words, dtype=np.int64), (compiled, kept, args))


@lru_cache(maxsize=64)
def _foreign(fun: Any, jac: Any, kinds: tuple[str, ...]) -> Any:
    from numba import carray, cfunc, from_dtype, types  # type: ignore[attr-defined]

    given = ["x"]
    space: dict[str, Any] = {"carray": carray, "fun": fun, "jac": jac, "reals": pointer(types.float64)}
    for kind in kinds:
        name, *at = kind.split()
        if name == "real":
            given.append(f"reals(words[0])[{at[0]}]")
        elif name in ("whole", "truth"):
            given.append(f"words[{at[0]}]" + " != 0" * (name == "truth"))
        else:
            ndim, k = map(int, at)
            space[f"to_{name}"] = pointer(from_dtype(np.dtype(name)))
            shape = "".join(f"words[{k + 1 + j}], " for j in range(ndim))
            given.append(f"carray(to_{name}(words[{k}]), ({shape}))")
    call = f"({', '.join(given)})"
    lines = [f"f, made = fun{call}"] if jac is True else [f"f = fun{call}", f"made = jac{call}"]
    exec(compile(_FOREIGN.format(call=indented(lines, 2)), "<thalweg objective>", "exec"), space)
    real, word = types.CPointer(types.float64), types.CPointer(types.int64)  # type: ignore[no-untyped-call]
    return cfunc(types.int64(real, real, real, types.int64, word))(space["objective"])


batch = Batch
