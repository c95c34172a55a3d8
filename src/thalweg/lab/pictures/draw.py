"""Draws pictures: every kind of panel, side by side or one below another."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import bars, charts, heats, maps
from .canvas import TITLE, WORDS, Canvas, extent, wrap
from .panels import Bars, Chart, Heat, Map, Panel, Picture
from .plan import (
    GAP,
    NARROW,
    NOTHING,
    WIDE,
    Cell,
    Plan,
    looks_of,
)
from .style import Colours

Array = np.ndarray[Any, Any]


_KINDS: dict[type[Any], Any] = {Chart: charts, Map: maps, Heat: heats, Bars: bars}


def figure(picture: Picture, colours: Colours, narrow: bool = False) -> Figure:
    """A picture as a matplotlib figure of 72 dots an inch, in a theme's colours or in sentinels.

    Panels stand side by side with equal heights, 1080 px wide, or one below another, 400 px wide.
    ProblemError where a panel's arrays do not fit each other.
    """
    looks = looks_of(picture)
    count = len(picture.panels)
    columns = 1 if narrow else {4: 2}.get(count, min(max(count, 1), 3))
    cell = Cell(NARROW if narrow else (WIDE - GAP * (columns - 1)) / columns, columns, narrow)
    rows = [picture.panels[i : i + columns] for i in range(0, count, columns)]
    placed: list[tuple[float, float, float, Panel, Plan]] = []  # left, top of the row's words, box height
    top, widest = 4.0, 0.0
    sizes = []
    for row in rows:
        height = max(_KINDS[type(p)].wanted(p, cell) for p in row)
        plans = [_KINDS[type(p)].plan(p, looks, cell, height) for p in row]
        words = [_header(p, plan) for p, plan in zip(row, plans, strict=True)]
        head = max(w[2] + plan.head for w, plan in zip(words, plans, strict=True))
        foot = max(_footer(p, plan)[1] + plan.foot for p, plan in zip(row, plans, strict=True))
        left = 0.0
        for panel, plan in zip(row, plans, strict=True):
            placed.append((left, top, top + head, panel, plan))
            sizes.append(height)
            left += plan.width + GAP
        widest = max(widest, left - GAP)
        top += head + height + foot + (26 if narrow else 20)
    if not rows:
        empty = Canvas(colours, cell.width, 80)
        empty.words(cell.width / 2, 40, NOTHING, ha="center", va="center")
        return empty.figure
    sheet = Canvas(colours, widest, top - (26 if narrow else 20) + 6)
    for (left, above, begin, panel, plan), height in zip(placed, sizes, strict=True):
        box = plan.width - plan.left - plan.right
        ax = sheet.axes(left + plan.left, begin, box, height)
        _label(sheet, panel, plan, left, above, begin, height)
        plan.fill(sheet, ax)
    return sheet.figure


def alone(
    panel: Panel, plan: Plan, colours: Colours, height: float, rim: float = 0.0, below: float = 6.0
) -> tuple[Canvas, Axes, float]:
    """A sheet with one panel, not yet filled, a rim around it and room below, px; where the latter begins."""
    head = rim + 4 + _header(panel, plan)[2] + plan.head
    bottom = head + height + _footer(panel, plan)[1] + plan.foot
    sheet = Canvas(colours, plan.width + 2 * rim, bottom + rim + below)
    ax = sheet.axes(rim + plan.left, head, plan.width - plan.left - plan.right, height)
    _label(sheet, panel, plan, rim, rim + 4, head, height)
    return sheet, ax, bottom


def _y_words(panel: Panel) -> str:
    return "" if isinstance(panel, Bars) else panel.y


def _header(panel: Panel, plan: Plan) -> tuple[str, str, float]:
    """The title, the words above the box, and their height together."""
    title = wrap(panel.title, plan.width - 4, TITLE, True) if panel.title else ""
    y = _y_words(panel) if plan.ticks else ""
    share = 0.52 if plan.aside else 1.0
    above = wrap(y, share * (plan.width - plan.left) - 4, WORDS) if y else ""
    aside = wrap(plan.aside, 0.44 * (plan.width - plan.left), WORDS) if plan.aside else ""
    lines = max((extent(w, WORDS)[1] for w in (above, aside) if w), default=0.0)
    return title, above, (extent(title, TITLE, True)[1] + 6 if title else 0.0) + (lines + 9 if lines else 6.0)


def _footer(panel: Panel, plan: Plan) -> tuple[str, float]:
    if not plan.ticks:
        return "", 8.0
    words = wrap(panel.x, plan.width - 8, WORDS) if panel.x else ""
    return words, 20.0 + (extent(words, WORDS)[1] + 6 if words else 0.0)


def _label(
    sheet: Canvas, panel: Panel, plan: Plan, left: float, above: float, begin: float, height: float
) -> None:
    """A panel's title, the words of its axes, and what stands above its right room."""
    title, y, _ = _header(panel, plan)
    high = sheet.height
    if title:
        sheet.words(left + 1, high - above, title, size=TITLE, colour="ink", bold=True, va="top")
    if y:
        sheet.words(left + plan.left if not title else left + 1, high - begin + 9, y, va="bottom")
    if plan.aside:
        words = wrap(plan.aside, 0.44 * (plan.width - plan.left), WORDS)
        sheet.words(left + plan.width - 1, high - begin + 9, words, va="bottom", ha="right")
    words = _footer(panel, plan)[0]
    if words:
        box = plan.width - plan.left - plan.right
        middle = left + plan.left + box / 2
        half = extent(words, WORDS)[0] / 2
        middle = min(max(middle, left + half + 2), left + plan.width - half - 2)
        sheet.words(middle, high - begin - height - 22, words, ha="center", va="top")
