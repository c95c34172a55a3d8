"""The user's arrays, checked once when a rule is started, and the memory that its steps write."""

import ctypes
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from ..engines.memory import Array, address
from ..errors import ParameterError
from .tree import Keys, Name

_FLOATS = (np.float16, np.float32, np.float64)
DTYPES = tuple(np.dtype(x).name for x in _FLOATS)
ARRAYS = (np.ndarray, np.memmap)  # other subclasses change what shapes and indices mean


class Leaf:
    """One parameter array: what it is called and which keys lead to it, where it lies, and how far it is.

    ``flat`` holds its coordinates in memory order; a copy if they do not lie together.
    """

    def __init__(self, path: Name, keys: Keys, array: Array, flat: Array, copied: bool, group: int) -> None:
        self.path, self.keys, self.group = path, keys, group
        self.array, self.flat, self.copied = array, flat, copied
        self.t = self.gathered = 0
        flags = self.array.flags
        self.shape, self.dtype = self.array.shape, self.array.dtype
        self.fortran = flags.f_contiguous and not flags.c_contiguous

    def shaped(self, flat: Array) -> Array:
        """Return coordinates in the memory order of ``flat`` as a view shaped as the parameter."""
        return flat.reshape(self.shape[::-1]).T if self.fortran else flat.reshape(self.shape)

    def copy_in(self) -> None:
        """Where ``flat`` is a copy: bring it up to date with the user's array."""
        if self.copied:
            np.copyto(self.flat.reshape(self.array.shape), self.array)

    def copy_back(self) -> None:
        """Where ``flat`` is a copy: write it into the user's array."""
        if self.copied:
            np.copyto(self.array, self.flat.reshape(self.array.shape))


def named(path: Name) -> str:
    """A parameter's name in a sentence."""
    return "one array" if path == "" else repr(path)


def at(path: Name) -> str:
    """``of 'layer.bias'``, or nothing for a lone array."""
    return "" if path == "" else f" of {path!r}"


def described(value: object) -> str:
    """What a value is, in words, and what to do with it."""
    made = type(value)
    told = (
        f"{made.__module__.split('.')[0]}.{made.__name__}" if made.__module__ != "builtins" else made.__name__
    )
    if isinstance(value, np.ma.MaskedArray):
        return f"{told}: use .filled(0.0)"
    if isinstance(value, np.ndarray | np.generic | list | tuple | float | int):
        return f"{told}: use np.asarray(...)"
    if hasattr(value, "toarray"):
        return f"{told}: use .toarray()"
    device = getattr(value, "device", None)
    return told if device is None else f"{told} on {device}: hand over a NumPy array on the CPU"


def parameter(path: Name, keys: Keys, array: Array, group: int) -> Leaf:
    """A parameter, checked: ParameterError says why it cannot be trained."""
    where = f"params{at(path)}"
    if type(array) not in ARRAYS:
        raise ParameterError(f"{where}: must be a NumPy array, got {described(array)}")
    if array.dtype not in _FLOATS:
        hint = "convert with .astype('float64')"
        if array.dtype.kind == "c":
            hint = "real and imaginary parts are two coordinates: use .view(float)"
        raise ParameterError(f"{where}: dtype must be float16, float32 or float64, got {array.dtype}; {hint}")
    if not array.dtype.isnative or not array.flags.aligned:
        raise ParameterError(f"{where}: must be aligned and in native byte order; pass a copy")
    if not array.flags.writeable:
        raise ParameterError(f"{where}: is read-only and would be changed in place; pass a copy")
    if _overlaps_itself(array):
        raise ParameterError(f"{where}: its entries share memory; pass a copy")
    if array.flags.c_contiguous or array.flags.f_contiguous:
        return Leaf(path, keys, array, flat_view(array, array), False, group)
    return Leaf(path, keys, array, np.ascontiguousarray(array).reshape(-1), True, group)


def _overlaps_itself(array: Array) -> bool:
    """Whether two entries may lie at one place, as in a broadcast or a sliding window."""
    span = array.itemsize
    for stride, count in sorted(
        (abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1
    ):
        if stride < span:
            return array.size > 0
        span += stride * (count - 1)
    return False


def flat_view(array: Array, like: Array) -> Array:
    """An array's coordinates in the memory order of ``like``: a view where it lies so, else a copy."""
    if like.flags.c_contiguous or not like.flags.f_contiguous:
        return array.reshape(-1)
    return array.T.reshape(-1)


def _shared(a: Array, b: Array) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=100_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def require_distinct(leaves: Sequence[Leaf]) -> None:
    """ParameterError where two parameters share memory (views that interleave do not)."""
    spans = sorted(
        (*np.lib.array_utils.byte_bounds(x.array), i) for i, x in enumerate(leaves) if x.array.size
    )
    for n, (_, end, i) in enumerate(spans):
        for start, _, j in spans[n + 1 :]:
            if start >= end:
                break
            if _shared(leaves[i].array, leaves[j].array):
                first, second = sorted((i, j))
                raise ParameterError(
                    f"params: {named(leaves[first].path)} and {named(leaves[second].path)} share memory;"
                    " pass each array once"
                )


class Memory:
    """The memory that a step writes: parameters, states, averages. Gradients must lie elsewhere."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._solid = [
            (start, start + a.nbytes) for a in arrays if a.flags.c_contiguous for start in (address(a),)
        ]
        self._solid.sort()
        self._loose = [a for a in arrays if not a.flags.c_contiguous]

    def meets(self, start: int, end: int) -> bool:
        """Whether [start, end) meets a contiguous part."""
        solid = self._solid
        k = bisect_left(solid, (end, 0))
        return k > 0 and solid[k - 1][1] > start

    def holds(self, array: Array) -> bool:
        """Whether an array shares memory with any of it."""
        if not array.size:
            return False
        start, end = np.lib.array_utils.byte_bounds(array)
        if any(_shared(array, a) for a in self._loose):
            return True
        if array.flags.c_contiguous or array.flags.f_contiguous:
            return self.meets(start, end)
        inside = [(a, b) for a, b in self._solid if a < end and b > start]
        return any(_shared(array, _bytes(a, b)) for a, b in inside)


def _bytes(start: int, end: int) -> Array:
    """The bytes [start, end) as an array, to ask NumPy about overlap."""
    return np.ctypeslib.as_array((ctypes.c_byte * (end - start)).from_address(start))
