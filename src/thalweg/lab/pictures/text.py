"""Words and their extents in CSS pixels: measured, cut, wrapped."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

TITLE, WORDS, LABEL, TICK = 13.5, 12.0, 12.0, 11.0  # sizes of text in px


@functools.lru_cache(maxsize=1)
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, 72)  # type: ignore[no-untyped-call]


@functools.lru_cache(maxsize=4096)
def extent(words: str, size: float, bold: bool = False) -> tuple[float, float]:
    """Width and height of words (lines apart by newlines) in px."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=700 if bold else 400)
    lines = words.split("\n")
    measure: Callable[[str, FontProperties, bool], tuple[float, float, float]] = (
        _renderer().get_text_width_height_descent
    )
    return max(float(measure(line, font, False)[0]) for line in lines), size * (1.25 + 1.4 * (len(lines) - 1))


def fit(words: str, room: float, size: float, bold: bool = False) -> str:
    """Words on one line, cut with an ellipsis where they are wider than ``room``."""
    if extent(words, size, bold)[0] <= room:
        return words
    while words and extent(words + "…", size, bold)[0] > room:
        words = words[:-1]
    return words + "…"


def wrap(words: str, room: float, size: float, bold: bool = False) -> str:
    """Words on as many lines as ``room`` needs; only a single word wider than that is broken."""
    lines: list[str] = []
    for word in " ".join(words.split()).split(" "):
        if lines and extent(f"{lines[-1]} {word}", size, bold)[0] <= room:
            lines[-1] = f"{lines[-1]} {word}"
            continue
        rest = word
        while extent(rest, size, bold)[0] > room and len(rest) > 1:
            cut = next(
                n for n in range(len(rest) - 1, 0, -1) if n == 1 or extent(rest[:n], size, bold)[0] <= room
            )
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return "\n".join(lines)


def several(names: Sequence[str], every: Sequence[str]) -> str:
    """Some of all names, as few words as it takes: "all", "all but Adam", or the names."""
    others = [name for name in every if name not in names]
    if len(others) >= len(names) or len(every) <= 1:
        return ", ".join(names)
    return f"all but {', '.join(others)}" if others else "all"


def notes(said: Mapping[str, Sequence[str]], every: Sequence[str]) -> str:
    """What is said of some of all names, as one line: "outside this window: SGD; left out: all"."""
    return "; ".join(f"{what}: {several(names, every)}" for what, names in said.items() if names)
