"""A figure measured in CSS pixels, and what is drawn on it: panels, words, lines, crosses.

Places on a finished panel are display pixels with y upwards (the figure has 72 dots an inch, so that
points are pixels); ``Canvas.axes`` takes the box from the top left corner, as a page does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Transform
from numpy.typing import ArrayLike

from .style import Colours, Dash, Style, gid
from .text import TICK, WORDS

Array = np.ndarray[Any, Any]


def depth(order: int) -> float:
    """The zorder of the lines of a panel: the first lies above the later ones."""
    return 3 + (40 - min(order, 40)) / 50


class LineOptions(TypedDict, total=False):
    """What of a line or its markers differs from its style, as matplotlib calls it."""

    linestyle: Dash | Literal[""]
    linewidth: float
    alpha: float
    drawstyle: Literal["steps-post"]
    marker: str | None
    markersize: float
    markeredgecolor: str
    markeredgewidth: float
    markevery: list[int]
    clip_on: bool
    zorder: float
    transform: Transform


class WordOptions(TypedDict, total=False):
    """How words stand at their place, as matplotlib calls it."""

    ha: Literal["left", "center", "right"]
    va: Literal["top", "center", "bottom"]
    bbox: dict[str, Any]
    zorder: float


class Canvas:
    """A figure of so many CSS pixels, in the colours of a theme or in sentinels."""

    def __init__(self, colour: Colours, width: float, height: float) -> None:
        self.colour, self.width, self.height = colour, width, height
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        self.figure.patch.set_visible(False)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """A panel with a grid and numbers; px from the top left corner."""
        ax = self.box(left, top, width, height)
        ax.grid(color=self.colour["grid"], linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(length=0, pad=5, labelsize=TICK, labelcolor=self.colour["muted"])
        return ax

    def box(self, left: float, top: float, width: float, height: float) -> Axes:
        """A panel; px from the top left corner."""
        corner = (left / self.width, 1 - (top + height) / self.height)
        ax = self.figure.add_axes((*corner, width / self.width, height / self.height))
        ax.set_facecolor(self.colour["panel"])
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(self.colour["rule"])
        return ax

    def plate(self) -> dict[str, Any]:
        """A box behind words that lines may cross."""
        return {"facecolor": self.colour["panel"], "alpha": 0.8, "pad": 1, "linewidth": 0}

    def words(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = WORDS,
        colour: str = "muted",
        bold: bool = False,
        method: str = "",
        **options: Unpack[WordOptions],
    ) -> Text:
        """Draw words at a place in display px."""
        return self.figure.text(
            x / self.width,
            y / self.height,
            words,
            fontsize=size,
            color=self.colour[colour],
            fontweight=700 if bold else 400,
            linespacing=1.2,
            gid=gid(method) if method else None,
            **({"zorder": 8} | options),
        )

    def line(
        self, style: Style, x: ArrayLike, y: ArrayLike, method: str = "", **options: Unpack[LineOptions]
    ) -> Line2D:
        """A line in a style, with its method's name for the page's highlighting; not yet drawn."""
        look: dict[str, Any] = {
            "linestyle": style.dash,
            "color": self.colour[style.stroke],
            "linewidth": style.width,
            "solid_capstyle": "round",
        }
        if method:
            look["gid"] = gid(method)
        return Line2D(x, y, **{**look, **options})

    def leader(self, style: Style, points: Sequence[tuple[float, float]], method: str = "") -> None:
        """Draw a thin line from a place to its words, display px."""
        x, y = (np.array(points) / (self.width, self.height)).T
        self.figure.add_artist(
            self.line(
                style,
                x,
                y,
                method,
                linewidth=1,
                linestyle="solid",
                alpha=0.65,
                transform=self.figure.transFigure,
            )
        )

    def cross(self, ax: Axes, style: Style, at: Array, method: str = "") -> Line2D:
        """Draw the cross of a run that died there, display px."""
        x, y = at / (self.width, self.height)
        return ax.add_line(
            self.line(
                style,
                [x],
                [y],
                method,
                linestyle="",
                marker="x",
                markersize=8.5,
                markeredgewidth=2.2,
                zorder=7,
                clip_on=False,
                transform=self.figure.transFigure,
            )
        )
