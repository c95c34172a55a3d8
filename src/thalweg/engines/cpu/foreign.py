"""A user's own function, compiled by Numba, called by a kernel through its address."""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from ...printing.python import indented
from ..memory import Array, address

Function = Callable[..., Any]


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
        if slope.size != n:
            status = 2
        else:
            value[0] = f
            for i in range(n):
                gradient[i] = slope[i]
    except Exception:  # compiled code cannot pass it on: the caller asks again from Python, and sees it
        status = 1
    return status
"""


def foreign(fun: Function, jac: Function | Literal[True], args: tuple[Any, ...]) -> Foreign | None:
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
def _foreign(fun: Function, jac: Function | Literal[True], kinds: tuple[str, ...]) -> Any:
    from numba import carray, cfunc, from_dtype, types  # type: ignore[attr-defined]

    from .intrinsics import REALS, WORDS, pointer

    arguments = ["x"]
    space: dict[str, Any] = {"carray": carray, "fun": fun, "jac": jac, "reals": pointer(types.float64)}
    for kind in kinds:
        name, *at = kind.split()
        if name == "real":
            arguments.append(f"reals(words[0])[{at[0]}]")
        elif name in ("whole", "truth"):
            arguments.append(f"words[{at[0]}]" + " != 0" * (name == "truth"))
        else:
            ndim, k = map(int, at)
            space[f"to_{name}"] = pointer(from_dtype(np.dtype(name)))
            shape = "".join(f"words[{k + 1 + j}], " for j in range(ndim))
            arguments.append(f"carray(to_{name}(words[{k}]), ({shape}))")
    call = f"({', '.join(arguments)})"
    lines = [f"f, slope = fun{call}"] if jac is True else [f"f = fun{call}", f"slope = jac{call}"]
    exec(compile(_FOREIGN.format(call=indented(lines, 2)), "<thalweg objective>", "exec"), space)
    return cfunc(types.int64(REALS, REALS, REALS, types.int64, WORDS))(space["objective"])
