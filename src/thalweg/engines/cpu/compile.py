"""From printed source to a function by its address: compiled by Numba once, then loaded from the cache.

Strict IEEE arithmetic: no fast-math. The object cache names kernels by this file's bytes, which hold
all that stands around a printed source besides the intrinsics.
"""

from collections.abc import Callable
from functools import cache, partial
from types import FunctionType
from typing import Any

import numpy as np

from . import object_cache as objects

Kernel = Callable[[int, int, int], int]

# What is stored in 16 bits: how it is read into float32, and back.
NARROW = {"float16": ("from_half", "to_half"), "bfloat16": ("from_bfloat", "to_bfloat")}


def real_of(stored: str) -> np.dtype[Any]:
    """The dtype of the arithmetic for parameters stored as that; NumPy knows no bfloat16."""
    return np.dtype(np.float32 if stored in NARROW else stored)


def _namespace(stored: str) -> dict[str, Any]:
    """What printed source may name: F and D, the dtypes of the arithmetic and float64; pointers; intrinsics."""
    import math

    from numba import types

    from .intrinsics import SPACE, pointer

    real = {"float32": types.float32, "float64": types.float64}[real_of(stored).name]
    kept = types.uint16 if stored in NARROW else real
    dtypes = {"F": real, "D": types.float64, "store": pointer(kept), "state": pointer(real)}
    return {"math": math, "np": np, **SPACE, **dtypes}


def _entry(text: str) -> Any:
    """The last function of a printed source, compiled with those before it, as Numba's dispatcher."""
    from numba import njit

    from .intrinsics import ENTRY

    space = _namespace(text.partition("\n")[0].removeprefix("# "))
    before = set(space)
    exec(compile(text, "<thalweg kernel>", "exec"), space)
    *helpers, last = (n for n, f in space.items() if n not in before and isinstance(f, FunctionType))
    options: Any = {
        "nogil": True,
        "error_model": "numpy",
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }
    for name in helpers:
        space[name] = njit(**options)(space[name])
    return njit([ENTRY], **options)(space[last])


def compile_source(text: str) -> tuple[str, bytes]:
    """Compile printed source whose last function takes a job; return its symbol and object code.

    ``# float32`` and the like in the first line names the dtype of the arrays.
    """
    from llvmlite import binding

    entry = _entry(text)
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
    return compiled.fndesc.llvm_func_name, machine.emit_object(module)


@cache
def kernel(text: str) -> tuple[Kernel, Kernel]:
    """Return the last function of a printed source, compiled now or before: releasing the lock, and not."""
    return objects.functions(objects.load(text, partial(compile_source, text)))
