"""The room that a panel asks for and gets in a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes

from .canvas import Canvas
from .text import WORDS

WIDE, NARROW = 1080.0, 400.0
GAP = 30.0  # between panels, px

NOTHING = "nothing to draw"


@dataclass(frozen=True)
class Cell:
    """Where a panel is to stand: so many px wide, in a picture of so many columns, on a phone or not."""

    width: float
    columns: int = 1
    narrow: bool = False

    def pick(self, narrow: float, one: float, two: float, more: float) -> float:
        """The number for a phone, or for one, two or more columns."""
        return narrow if self.narrow else (one, two, more)[min(self.columns, 3) - 1]


@dataclass(frozen=True)
class PanelLayout:
    """The room a panel needs, px: around its box, and the box itself; ``fill`` draws into it."""

    width: float
    left: float
    right: float
    fill: Callable[[Canvas, Axes], object]
    head: float = 0.0  # between the words above and the box
    foot: float = 0.0  # below the x axis's words
    ticks: bool = True
    aside: str = ""  # words above the right room
    note: str = ""  # words below all else: what is cut off, left out or simplified


def label_room(cell: Cell) -> float:
    """The room that labels beside a panel may take, px."""
    return cell.pick(125, 300, 170, 118)


def empty_layout(cell: Cell) -> PanelLayout:
    """The layout of a panel that has nothing to show: it says so."""

    def fill(canvas: Canvas, ax: Axes) -> None:
        ax.grid(False)
        ax.set_xticks([])
        ax.set_yticks([])
        x0, y0, wide, high = ax.bbox.bounds
        canvas.words(x0 + wide / 2, y0 + high / 2, NOTHING, size=WORDS, ha="center", va="center")

    return PanelLayout(cell.width, 8.0, 16.0, fill, ticks=False)
