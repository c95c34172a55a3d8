"""Pictures as figures: every kind of panel, side by side or one below another."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import bars, charts, heats, maps
from .canvas import Canvas
from .layout import GAP, NARROW, NOTHING, WIDE, Cell, PanelLayout
from .looks import Looks, looks_of
from .panels import Bars, Chart, Heat, Map, Panel, Picture
from .style import Colours
from .text import LABEL, TITLE, WORDS, extent, wrap


def _wanted_height(panel: Panel, cell: Cell) -> float:
    """The height that a panel's box would like, px."""
    match panel:
        case Chart():
            return charts.wanted_height(panel, cell)
        case Map():
            return maps.wanted_height(panel, cell)
        case Heat():
            return heats.wanted_height(panel, cell)
        case Bars():
            return bars.wanted_height(panel, cell)


def _layout(panel: Panel, looks: Looks, cell: Cell, height: float) -> PanelLayout:
    """The layout of a panel whose box is ``height`` px high."""
    match panel:
        case Chart():
            return charts.layout(panel, looks, cell, height)
        case Map():
            return maps.layout(panel, looks, cell, height)
        case Heat():
            return heats.layout(panel, cell, height)
        case Bars():
            return bars.layout(panel, looks, cell, height)


@dataclass(frozen=True)
class _Placed:
    """A panel in its place, px from the top left corner: its left side, the top of its words and of its box."""

    panel: Panel
    layout: PanelLayout
    left: float
    top: float
    box_top: float
    height: float

    def draw(self, canvas: Canvas) -> None:
        ax = _axes(canvas, self)
        self.layout.fill(canvas, ax)


def figure(picture: Picture, colours: Colours, narrow: bool = False) -> Figure:
    """A picture as a matplotlib figure of 72 dots an inch, in a theme's colours or in sentinels.

    Panels stand side by side with equal heights, 1080 px wide, or one below another, 400 px wide.
    ProblemError where a panel's arrays do not fit each other.
    """
    looks = looks_of(picture)
    count = len(picture.panels)
    columns = 1 if narrow else {4: 2}.get(count, min(max(count, 1), 3))
    cell = Cell(NARROW if narrow else (WIDE - GAP * (columns - 1)) / columns, columns, narrow)
    if not count:
        empty = Canvas(colours, cell.width, 80)
        empty.words(cell.width / 2, 40, NOTHING, ha="center", va="center")
        return empty.figure
    between = 26 if narrow else 20
    placed: list[_Placed] = []
    top, widest = 4.0, 0.0
    for i in range(0, count, columns):
        row = picture.panels[i : i + columns]
        height = max(_wanted_height(panel, cell) for panel in row)
        layouts = [_layout(panel, looks, cell, height) for panel in row]
        pairs = list(zip(row, layouts, strict=True))
        head = max(_header(panel, layout)[2] + layout.head for panel, layout in pairs)
        foot = max(_foot(panel, layout) for panel, layout in pairs)
        left = 0.0
        for panel, layout in pairs:
            placed.append(_Placed(panel, layout, left, top, top + head, height))
            left += layout.width + GAP
        widest = max(widest, left - GAP)
        top += head + height + foot + between
    canvas = Canvas(colours, widest, top - between + 6)
    for one in placed:
        one.draw(canvas)
    return canvas.figure


def alone(
    panel: Panel, layout: PanelLayout, colours: Colours, height: float, rim: float = 0.0, below: float = 6.0
) -> tuple[Canvas, Axes, float]:
    """A canvas with one panel, not yet filled, a rim around it and room below, px; where the latter begins."""
    box_top = rim + 4 + _header(panel, layout)[2] + layout.head
    bottom = box_top + height + _foot(panel, layout)
    canvas = Canvas(colours, layout.width + 2 * rim, bottom + rim + below)
    return canvas, _axes(canvas, _Placed(panel, layout, rim, rim + 4, box_top, height)), bottom


def _header(panel: Panel, layout: PanelLayout) -> tuple[str, str, float]:
    """The title, the words above the box, and their height together."""
    title = wrap(panel.title, layout.width - 4, TITLE, True) if panel.title else ""
    y = panel.y if layout.ticks and not isinstance(panel, Bars) else ""
    share = 0.52 if layout.aside else 1.0
    above = wrap(y, share * (layout.width - layout.left) - 4, WORDS) if y else ""
    lines = max((extent(w, WORDS)[1] for w in (above, _aside(layout)) if w), default=0.0)
    return title, above, (extent(title, TITLE, True)[1] + 6 if title else 0.0) + (lines + 9 if lines else 6.0)


def _aside(layout: PanelLayout) -> str:
    """The words above the right room."""
    return wrap(layout.aside, 0.44 * (layout.width - layout.left), WORDS) if layout.aside else ""


def _footer(panel: Panel, layout: PanelLayout) -> tuple[str, float]:
    """The words below the box, and the height below it."""
    if not layout.ticks:
        return "", 8.0
    words = wrap(panel.x, layout.width - 8, WORDS) if panel.x else ""
    return words, 20.0 + (extent(words, WORDS)[1] + 6 if words else 0.0)


def _note(layout: PanelLayout) -> tuple[str, float]:
    """The words below all else, and their height."""
    words = wrap(layout.note, layout.width - 4, LABEL) if layout.note else ""
    return words, extent(words, LABEL)[1] + 8 if words else 0.0


def _foot(panel: Panel, layout: PanelLayout) -> float:
    """The height of all that stands below a panel's box."""
    return _footer(panel, layout)[1] + layout.foot + _note(layout)[1]


def _axes(canvas: Canvas, placed: _Placed) -> Axes:
    """Draw a panel's box, its title and the words of its axes; what is inside is not yet drawn."""
    layout, left, box_top = placed.layout, placed.left, placed.box_top
    box = layout.width - layout.left - layout.right
    ax = canvas.axes(left + layout.left, box_top, box, placed.height)
    title, y, _ = _header(placed.panel, layout)
    words, foot = _footer(placed.panel, layout)
    high = canvas.height
    if title:
        canvas.words(left + 1, high - placed.top, title, size=TITLE, colour="ink", bold=True, va="top")
    if y:
        canvas.words(left + 1 if title else left + layout.left, high - box_top + 9, y, va="bottom")
    if aside := _aside(layout):
        canvas.words(left + layout.width - 1, high - box_top + 9, aside, va="bottom", ha="right")
    if words:
        half = extent(words, WORDS)[0] / 2
        middle = left + layout.left + box / 2
        middle = min(max(middle, left + half + 2), left + layout.width - half - 2)
        canvas.words(middle, high - box_top - placed.height - 22, words, ha="center", va="top")
    if note := _note(layout)[0]:
        canvas.words(
            left + 1, high - box_top - placed.height - foot - layout.foot - 4, note, size=LABEL, va="top"
        )
    return ax
