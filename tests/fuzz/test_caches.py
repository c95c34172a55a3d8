"""Block caches with random changes and right checksums: blocks that keep their laws, or the files are read anew."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg.reading import open_stream

from ..fitting.test_crafted_files import TAGGED, TEXT, recrafted
from ..reading.reference import rows_of
from . import draws, trials

PLAIN: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 31, 32, 63, 64, 2**31, 2**32, 2**62, 2**63, 2**64, 10**400, 0.5, -0.5, 1e308, float("nan"),
    float("inf"), "", "x", "float64", "svmlight", [], [0], ["a"], {}, {"a": 1},
)  # fmt: skip


def altered(draw: random.Random, value: Any) -> Any:
    """A value as JSON has it, with one thing in it replaced, doubled or left out."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        name = draw.choice(sorted(value))
        if draw.random() < 0.05:
            return {n: v for n, v in value.items() if n != name}
        return value | {name: altered(draw, value[name])}
    if isinstance(value, list) and value and draw.random() < 0.9:
        k = draw.randrange(len(value))
        if draw.random() < 0.1:
            return value[:k] + value[k + draw.randint(0, 1) :] + value[:1]
        return [*value[:k], altered(draw, value[k]), *value[k + 1 :]]
    if type(value) is int and draw.random() < 0.5:
        return value + draw.choice((-8, -1, 1, 8))
    return draw.choice(PLAIN)


def altered_array(draw: random.Random, array: np.ndarray) -> np.ndarray:
    """An array with another number in it, or another length."""
    way = draw.random()
    if way < 0.5 and array.size:
        copy = array.copy()
        wild = {
            "i": (-1, 0, 1, 2, array.size, 2**31 - 1, -(2**31)),
            "f": (-1.0, 0.5, np.nan, np.inf, 1e30),
            "u": (0, 34, 44, 91, 123, 255),
        }
        copy.reshape(-1)[draw.randrange(copy.size)] = draw.choice(wild[copy.dtype.kind])
        return copy
    return array[: draw.randint(0, len(array))] if way < 0.75 else np.concatenate([array, array[:3]])


@pytest.mark.parametrize(("name", "text"), [("a.svm", TEXT), ("a.vw", TAGGED)])
@trials(20)
def test_caches(name: str, text: str, count: int, tmp_path: Path) -> None:
    """Blocks of a changed cache keep the laws of blocks; a cache that breaks them is written anew."""
    source, path = tmp_path / name, tmp_path / "cache"
    source.write_text(text)
    given: dict[str, Any] = {"block_bytes": 1024, "ahead": 0} | ({"bits": 4} if name == "a.vw" else {})
    expected = rows_of(open_stream(source, cache=path, **given))
    whole, kept = path.read_bytes(), 0
    for draw in draws(count):
        path.write_bytes(whole)

        def damage(
            index: dict[str, Any], parts: list[dict[str, np.ndarray]], draw: random.Random = draw
        ) -> None:
            if draw.random() < 0.5:
                k = draw.randrange(len(index["blocks"]))
                index["blocks"][k] = altered(draw, index["blocks"][k])
            else:
                arrays = draw.choice(parts)
                part = draw.choice(sorted(arrays))
                way = random.Random(draw.random())
                arrays[part] = altered_array(way, arrays[part])

        try:
            with np.errstate(all="ignore"):
                recrafted(path, damage)
        except (TypeError, ValueError):  # an entry that is no object has no place for a checksum
            continue
        kept += rows_of(open_stream(source, cache=path, **given)) != expected
        rows_of(open_stream(source, cache=path, **given))
    assert kept < count / 2  # other numbers, which are only wrong
