"""Small panels with shared limits, one a method, in the order of the ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from .axes import Axis
from .canvas import Canvas
from .style import Style, gid
from .text import TICK, WORDS, extent, fit

GAP, ABOVE = 18.0, 40.0  # between panels, and above each, px
NUMBER, AWAY = 10, 3  # the size of a number, and how far it stands from its panel, px


@dataclass(frozen=True)
class Multiples:
    """Panels for these methods, each ``box_height`` px high.

    ``axes``: both axes for a panel so many px wide; ``fill`` draws a method's panel; ``asides``: words beside
    the names.
    """

    names: Sequence[str]
    looks: Mapping[str, Style]
    narrow: bool
    box_height: float
    axes: Callable[[float], tuple[Axis, Axis]]
    fill: Callable[[Canvas, Axes, str], None]
    asides: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """Panels in a row."""
        count = len(self.names)
        return max(1, min(count, 2 if self.narrow else 5 if count > 8 else 4))

    @property
    def height(self) -> float:
        """The height of all rows, px."""
        return -(-len(self.names) // self.columns) * (self.box_height + ABOVE)

    def draw(self, canvas: Canvas, top: float) -> None:
        """Draw them from ``top``, px from the upper edge, over the canvas's width."""
        if not self.names:
            return
        columns, height = self.columns, self.box_height
        left = self.axes(200.0)[1].room + 9
        width = (canvas.width - left - 14 - GAP * (columns - 1)) / columns
        xs, ys = self.axes(width)
        for i, name in enumerate(self.names):
            row, column = divmod(i, columns)
            x, y = left + column * (width + GAP), top + ABOVE + row * (height + ABOVE)
            ax = canvas.box(x, y, width, height)
            _lined(canvas, ax, xs, ys)
            self.fill(canvas, ax, name)
            ax.set_gid(gid(name))
            foot = canvas.height - y - height
            if column == 0:
                _up(canvas, ys, x, foot, height, name)
            if i + columns >= len(self.names):
                _across(canvas, xs, x, foot, width, name, inside=columns > 1)
            self._title(canvas, name, x, canvas.height - y + 7, width)

    def _title(self, canvas: Canvas, name: str, x: float, y: float, width: float) -> None:
        aside = self.asides.get(name, "")
        used = extent(aside, TICK)[0] + 8 if aside else 0.0
        title = fit(name, width - used, WORDS, True)
        canvas.words(x, y, title, colour=self.looks[name].text, bold=True, method=name, va="bottom")
        if aside:
            canvas.words(x + width, y, aside, size=TICK, method=name, va="bottom", ha="right")


# Ticks of matplotlib's own take four fifths of a small panel's time; its grid and numbers are drawn by hand.


def _lined(canvas: Canvas, ax: Axes, xs: Axis, ys: Axis) -> None:
    """Give a panel its scales, its limits and a grid."""
    xs.span(ax, "x")
    ys.span(ax, "y")
    ax.xaxis.set_visible(False)
    ax.yaxis.set_visible(False)
    upright = [((u, 0), (u, 1)) for u in xs.shares(xs.ticks)]
    level = [((0, v), (1, v)) for v in ys.shares(ys.ticks)]
    grid = LineCollection(
        upright + level, colors=canvas.colour["grid"], linewidths=0.8, zorder=0.5, transform=ax.transAxes
    )
    ax.add_collection(grid, autolim=False)


def _up(canvas: Canvas, ys: Axis, left: float, foot: float, height: float, name: str) -> None:
    """Write the numbers of a y axis left of a panel, display px."""
    for k, (share, words) in enumerate(zip(ys.shares(ys.ticks), ys.words, strict=True)):
        va: Literal["bottom", "center"] = "bottom" if k == 0 and ys.low_first else "center"
        canvas.words(left - AWAY, foot + height * share, words, size=NUMBER, method=name, ha="right", va=va)


def _across(
    canvas: Canvas, xs: Axis, left: float, foot: float, width: float, name: str, inside: bool
) -> None:
    """Write the numbers of an x axis below a panel, display px; inside: the outer ones keep away from its neighbours'."""
    shares = xs.shares(xs.ticks)
    for k, (share, words) in enumerate(zip(shares, xs.words, strict=True)):
        ha: Literal["left", "center", "right"] = "center"
        if inside and len(shares) > 1:
            ha = (
                "left"
                if k == 0 and share < 0.06
                else "right"
                if k == len(shares) - 1 and share > 0.94
                else ha
            )
        canvas.words(left + width * share, foot - AWAY, words, size=NUMBER, method=name, ha=ha, va="top")
