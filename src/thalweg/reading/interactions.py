"""Interactions: products of two features, one of each of two namespaces (Vowpal Wabbit) or columns (tables).

A product has the features' value multiplied, and the index ``(16777619 * first ^ second)``, cut to its lowest bits: Vowpal
Wabbit's. There a namespace is known by the first byte of its name, a blank where it has none; ``:`` stands for every
printable one. A pair that is asked for twice, in whatever order, is taken once, the lesser letter first. Of a namespace
with itself every two features are a pair, each with itself too.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import HyperparameterError

Array = np.ndarray[Any, Any]
Part = tuple[int, Array, list[str]]  # a namespace of a line: its letter; its features' indices and names

PRIME = 16777619  # of the 32-bit FNV hash
ANY = ord(":")
_PRINTABLE = range(32, 127)
_LETTERS = re.compile(rb"(?:\\x[0-9a-fA-F]{2}|[^\\])")


def _letters(text: str) -> tuple[int, int]:
    """The two bytes that a text such as ``ab``, ``a:`` or ``\\x20a`` names. Raises HyperparameterError."""
    found = _LETTERS.findall(text.encode())
    if len(found) != 2 or b"".join(found) != text.encode():
        raise HyperparameterError(
            f"interactions: {text!r} must be the first letters of two namespaces, such as ab; :: is all pairs, \\x20 the namespace without a name"
        )
    first, second = (int(c[2:], 16) if len(c) > 1 else c[0] for c in found)
    return first, second


def crossed_letters(given: Iterable[str]) -> Array:
    """Which namespaces are multiplied: uint8 (256, 256), 1 where features of the row's letter come first.

    Raises HyperparameterError for a text that names no two letters.
    """
    different: dict[tuple[int, ...], tuple[int, int]] = {}
    for pair in sorted(map(_letters, given)):
        different.setdefault(tuple(sorted(pair)), pair)
    asked = np.zeros((256, 256), np.uint8)
    for first, second in different.values():
        rows = _PRINTABLE if first == ANY else [first]
        columns = _PRINTABLE if second == ANY else [second]
        asked[np.ix_(rows, columns)] = 1
    return np.triu(asked) | (np.tril(asked, -1) & ~np.triu(asked).T)


def product_indices(first: Array | int, second: Array | int, mask: int) -> Array:
    """The indices of products, of those of their factors."""
    return (np.asarray(first, np.int64) * PRIME ^ np.asarray(second, np.int64)) & mask


def products_of_line(parts: Sequence[Part], crossed: Array, mask: int) -> list[tuple[Array, str, list[str]]]:
    """The products that a line of namespaces has: for each first factor their indices, its name, and the second factors' names."""
    products = []
    for s, (first, indices, names) in enumerate(parts):
        for t, (second, others, other_names) in enumerate(parts):
            if not crossed[first, second] or (first == second and t < s):
                continue
            for k, (index, name) in enumerate(zip(indices.tolist(), names, strict=True)):
                begin = k if s == t else 0
                products.append((product_indices(index, others[begin:], mask), name, other_names[begin:]))
    return products
