"""Small panels with shared limits, one a method, in the order of the ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes

from .axes import Axis
from .canvas import Canvas
from .style import Style, gid
from .text import TICK, WORDS, extent, fit

GAP, ABOVE = 18.0, 40.0  # between panels, and above each, px


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
            ax = canvas.axes(x, y, width, height)
            xs.apply(ax, "x")
            ys.apply(ax, "y")
            self.fill(canvas, ax, name)
            ax.set_gid(gid(name))
            lowest = i + columns >= len(self.names)
            ax.tick_params(labelsize=10, pad=3, labelleft=column == 0, labelbottom=lowest)
            if columns > 1:
                _keep_numbers_inside(ax, xs)
            self._title(canvas, name, x, canvas.height - y + 7, width)

    def _title(self, canvas: Canvas, name: str, x: float, y: float, width: float) -> None:
        aside = self.asides.get(name, "")
        used = extent(aside, TICK)[0] + 8 if aside else 0.0
        title = fit(name, width - used, WORDS, True)
        canvas.words(x, y, title, colour=self.looks[name].text, bold=True, method=name, va="bottom")
        if aside:
            canvas.words(x + width, y, aside, size=TICK, method=name, va="bottom", ha="right")


def _keep_numbers_inside(ax: Axes, xs: Axis) -> None:
    """Move the outer numbers of an x axis into the panel, away from its neighbours'."""
    numbers = ax.get_xticklabels()
    if len(numbers) > 1:
        if xs.shares(xs.ticks[0]) < 0.06:
            numbers[0].set_horizontalalignment("left")
        if xs.shares(xs.ticks[-1]) > 0.94:
            numbers[-1].set_horizontalalignment("right")
