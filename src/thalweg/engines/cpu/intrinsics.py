"""What printed source can do that Python's words cannot say, as Numba intrinsics.

Numba takes its types from the signatures, not from annotations: the functions below are bare.
Imported only where something is compiled; the object cache names kernels by this file's bytes.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def pointer(to: Any) -> Any:
    """Return the cast from an address to a pointer to numbers of a Numba type."""

    @intrinsic
    def cast(typing_context, address):
        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(to)(types.int64), generate

    return cast


@intrinsic
def distinct(typing_context):
    """The pointers that the function around takes do not overlap."""

    def generate(context, builder, signature, arguments):
        for argument in builder.function.args[2:]:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def from_half(typing_context, bits):
    """A float16's bits as float32."""

    def generate(context, builder, signature, arguments):
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic
def to_half(typing_context, value):
    """A float32 as a float16's bits, rounded."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), generate


@intrinsic
def from_bfloat(typing_context, bits):
    """A bfloat16's bits as float32: its upper half."""

    def generate(context, builder, signature, arguments):
        word = ir.IntType(32)
        high = builder.shl(builder.zext(arguments[0], word), ir.Constant(word, 16))
        return builder.bitcast(high, ir.FloatType())

    return types.float32(types.uint16), generate


@intrinsic
def to_bfloat(typing_context, value):
    """The upper half of a float32's word, rounded by carrying; a NaN stays one."""

    def generate(context, builder, signature, arguments):
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
def call(typing_context, address, x, g, f, n, words):
    """Call a function of ``foreign``'s convention by its address."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(64), [a.type for a in arguments[1:]])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.int64(types.int64, x, g, f, types.int64, words), generate


@intrinsic
def enter(typing_context, address, job):
    """Call a kernel by its address on a job, and return what it returns; kernels raise nothing."""

    def generate(context, builder, signature, arguments):
        word, place = ir.IntType(64), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [word.as_pointer(), place.as_pointer(), word.as_pointer()])
        result, exception = (cgutils.alloca_once(builder, t) for t in (word, place))
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        builder.call(function, [result, exception, arguments[1]])
        return builder.load(result)

    return types.int64(types.int64, WORDS), generate


@intrinsic
def prefetch(typing_context, address):
    """Ask for the cache line at an address."""

    def generate(context, builder, signature, arguments):
        word, place = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [place, word, word, word])
        known = builder.module.globals.get("llvm.prefetch.p0")
        function = known or ir.Function(builder.module, kind, "llvm.prefetch.p0")
        hints = [ir.Constant(word, hint) for hint in (0, 3, 1)]  # a read, kept in all caches, of data
        builder.call(function, [builder.inttoptr(arguments[0], place), *hints])
        return context.get_dummy_value()

    return types.void(types.int64), generate


REALS, WORDS = types.CPointer(types.float64), types.CPointer(types.int64)
ENTRY = types.int64(WORDS)  # a kernel's signature

# What every printed source may call, whatever its dtypes.
SPACE = {
    "call": call,
    "enter": enter,
    "prefetch": prefetch,
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
}
