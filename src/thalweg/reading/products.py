"""Products of a table's columns as features: of numbers, of texts, or of one of each.

Of two numbers it is a numeric column of its own, after those of the file: the product of what each is above the centre of
its scale (0 where it has none), so that constants added to a column do not matter; it has a centre and a size too. Of
two texts it is hashed, as ``interactions`` has it: of the features of ``a=x`` and ``b=y``, with value 1. Of a number
and a text likewise, of the hash of the number's name, with the scaled number as its value.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from ..errors import HyperparameterError
from ..scaling import ColumnMap
from .interactions import product_indices

Array = np.ndarray[Any, Any]
Pair = tuple[str, str]

ALL = ":"  # a pair's side that is every column


def pairs_of(given: Iterable[str], numbers: Sequence[str], texts: Sequence[str]) -> list[Pair]:
    """The pairs of columns that texts such as ``a,b`` name, each once. Raises HyperparameterError where one names none.

    numbers, texts: the columns that are features. ``::`` is all pairs, numbers with themselves too.
    """
    columns = [*numbers, *texts]
    pairs: dict[frozenset[str], Pair] = {}
    for text in given:
        if text == 2 * ALL:
            several = [(a, b) for a, b in combinations_with_replacement(columns, 2) if a != b or a in numbers]
        else:
            several = [_pair(text, columns)]
        for a, b in several:
            if a == b and a in texts:
                raise HyperparameterError(
                    f"interactions: {text!r}: a text with itself tells no more than the text"
                )
            pairs.setdefault(frozenset((a, b)), (a, b))
    return list(pairs.values())


def _pair(text: str, columns: Sequence[str]) -> Pair:
    """The two columns that a text names: a comma may belong to a name."""
    cells = text.split(",")
    ways = [(",".join(cells[:k]), ",".join(cells[k:])) for k in range(1, len(cells))]
    ways = [(a if a in columns else a.strip(), b if b in columns else b.strip()) for a, b in ways]
    good = [pair for pair in ways if pair[0] in columns and pair[1] in columns]
    if len(good) != 1:
        why = "may be cut in two ways" if good else "must name two columns that are features, such as a,b"
        raise HyperparameterError(
            f"interactions: {text!r} {why}; they are {', '.join(columns)}; :: is all pairs"
        )
    return good[0]


class Products:
    """The products that are features of a table with those numeric columns and those of text."""

    def __init__(self, pairs: Sequence[Pair], numbers: Sequence[str], texts: Sequence[str]) -> None:
        self.pairs = list(pairs)
        places = {n: k for k, n in enumerate(numbers)} | {n: k for k, n in enumerate(texts)}
        known = set(numbers)
        self.names = [f"{a}*{b}" for a, b in pairs if {a, b} <= known]
        self._numbers = [(places[a], places[b]) for a, b in pairs if {a, b} <= known]
        self._texts = [(places[a], places[b]) for a, b in pairs if not {a, b} & known]
        # The number's place, the text's, and whether the number comes first.
        self._mixed = [
            (places[a], places[b], True) if a in known else (places[b], places[a], False)
            for a, b in pairs
            if (a in known) != (b in known)
        ]

    def most_rows(self, size: int, rows: int) -> int:
        """How many rows a block of that many bytes and rows may have, so that its products take no more."""
        return min(rows, max(1, size // (4 * len(self.pairs)))) if self.pairs else rows

    @property
    def weighted(self) -> bool:
        """Whether hashed products have values other than 1."""
        return bool(self._mixed)

    def of_numbers(self, columns: Sequence[Array], map: ColumnMap | None) -> Iterable[Array]:
        """Each product of two numbers, float64, of the numeric columns as they are in the file."""
        centre = np.zeros(len(columns)) if map is None else map.centre
        for a, b in self._numbers:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                yield (columns[a] - centre[a]) * (columns[b] - centre[b])

    def extended(self, map: ColumnMap, columns: Sequence[Array], centred: bool) -> ColumnMap:
        """The map of numeric columns with centre and size of their products after it."""
        more = ColumnMap.of(self.of_numbers(columns, map), centred)
        return ColumnMap(*(np.concatenate(pair) for pair in zip(map, more, strict=True)))

    def of_texts(
        self, hashes: Sequence[Array], numbers: Array, called: Array, mask: int
    ) -> tuple[list[Array], list[Array]]:
        """The hashes of products with texts, -1 where there is none, and their values.

        hashes: of the columns of text, (rows,) each, -1 where there is none. numbers: (rows, columns) as they are
        learnt. called: the hashes of their names. mask: what hashes are cut to.
        """
        columns = [_crossed(hashes[a], hashes[b], mask) for a, b in self._texts]
        values = [np.ones(len(x), np.float32) for x in columns]
        for number, text, first in self._mixed:
            name, texts = np.full(len(numbers), called[number]), hashes[text]
            columns.append(_crossed(name, texts, mask) if first else _crossed(texts, name, mask))
            values.append(numbers[:, number])
        return columns, values


def _crossed(first: Array, second: Array, mask: int) -> Array:
    """The hashes of products of features with those hashes; -1 where there is none."""
    product = product_indices(first, second, mask)
    product[(first < 0) | (second < 0)] = -1
    return product
