"""What all kinds of panels share: the room they ask for, how their lines look, words and marks on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from . import canvas as s
from .canvas import LABEL, TICK, WORDS, Canvas, Tag, extent, wrap
from .panels import Bars, Chart, Curve, Map, Path, Picture
from .style import THEORY, Style, neutral, styles

Array = np.ndarray[Any, Any]
Looks = Mapping[str, Style]


WIDE, NARROW = 1080.0, 400.0


GAP = 30.0  # between panels, px


MUTED = Style("muted", "muted", (0, (6, 3)), "", 1.1)


INK = Style("ink", "ink", "solid", "", 1.4)


WINDOW = (0.0, 0.0, 1.0, 1.0)


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
class Plan:
    """The room a panel needs, px: around its box, and the box itself; ``fill`` draws into it."""

    width: float
    left: float
    right: float
    fill: Callable[..., Any]
    head: float = 0.0  # between the words above and the box
    foot: float = 0.0  # below the x axis's words
    ticks: bool = True
    aside: str = ""  # words above the right room


def methods_of(picture: Picture) -> list[str]:
    """The methods of a picture: those it names and those of its panels."""
    names = list(picture.methods)
    for panel in picture.panels:
        if isinstance(panel, Chart):
            names += [c.method for c in panel.curves]
        elif isinstance(panel, Map):
            names += [p.method for p in panel.paths]
        elif isinstance(panel, Bars):
            names += list(panel.methods)
    return [name for name in dict.fromkeys(names) if name]


def looks_of(picture: Picture) -> Looks:
    """One style for each method and each label without one, the same in all panels; keys of the latter end with a tab."""
    found = styles(methods_of(picture))
    labels: list[str] = []
    for panel in picture.panels:
        if isinstance(panel, Chart):
            labels += [c.label for c in panel.curves if not c.method and c.look != "theory"]
        elif isinstance(panel, Map):
            labels += [p.label for p in panel.paths if not p.method]
    return found | {label + "\t": style for label, style in neutral(labels, found).items()}


def look_of(item: Curve | Path, looks: Looks) -> Style:
    if isinstance(item, Curve) and item.look == "theory":
        base = THEORY
        return replace(base, dash=((0, (4, 2.5)), (0, (1.5, 2)), (0, (8, 2, 1.5, 2)))[item.variant % 3])
    return looks[item.method or item.label + "\t"].varied(item.variant)


def shares(x: Array, y: Array, xs: s.Axis, ys: s.Axis) -> Array:
    """Points (n, 2) in shares of both axes."""
    return np.stack([xs.unit(x), ys.unit(y)], axis=1)


def label_room(cell: Cell) -> float:
    """The room that labels beside a panel may take, px."""
    return cell.pick(125, 300, 170, 118)


def across(
    limits: s.Limits, log: bool, width: float, left: float, right: float, whole: bool = False
) -> tuple[s.Axis, float, float]:
    """The x axis, and the rooms beside the box, which its outer words may need more of."""
    box = width - left - right
    made = s.axis(*limits, log, box, "x", max(3, int(box / 75)), whole)
    if len(made.ticks):
        first, last = (extent(made.words[i], TICK)[0] / 2 for i in (0, -1))
        left = max(left, first - box * float(made.unit(made.ticks[0])) + 2)
        right = max(right, last - box * float(1 - made.unit(made.ticks[-1])) + 2)
    return made, left, right


def note(words: str, x: float, y: float, width: float) -> Tag:
    return Tag(wrap(words, 0.8 * width, LABEL), MUTED, np.array([x, y + 8]), bold=False, reach=4)


def anchors(points: Array, box: tuple[float, float, float, float]) -> Array:
    """A dozen places along a line inside the box, last first."""
    x0, y0, x1, y1 = box
    with np.errstate(invalid="ignore"):
        seen = (points[:, 0] >= x0) & (points[:, 0] <= x1) & (points[:, 1] >= y0) & (points[:, 1] <= y1)
    seen_points = points[seen]
    if not len(seen_points):
        return np.empty((0, 2))
    way = np.concatenate([[0], np.hypot(*np.diff(seen_points, axis=0).T).cumsum()])
    index = np.searchsorted(way, np.linspace(way[-1], 0, 13)[1:])
    return np.asarray(seen_points[np.minimum(index, len(seen_points) - 1)])


def references(
    sheet: Canvas,
    ax: Axes,
    ground: s.OccupancyGrid,
    axis: s.Axis,
    marks: Sequence[tuple[float, str]],
    which: str,
) -> None:
    """Lines across the panel at values of the x or y axis, with words beside them.

    A value off the axis is named, not drawn: a line far away would squeeze all that is to be seen.
    """
    x0, y0, width, height = ax.bbox.bounds
    off = []
    for k, (value, words) in enumerate(marks):
        if not np.isfinite(value) or (axis.log and value <= 0):
            continue
        share = float(axis.unit(value))
        if not -1e-9 <= share <= 1 + 1e-9:
            side = ("below", "above") if which == "y" else ("left of", "right of")
            off.append(f"{side[share > 1]} this axis: {words}")
            continue
        dash = MUTED.dash if k % 2 == 0 else (0, (1.2, 2))
        draw = ax.axhline if which == "y" else ax.axvline
        draw(value, color=sheet.colour["muted"], linewidth=1.1, linestyle=dash, zorder=1.8)
        along = np.linspace(0, 1, 13)[:, None]
        if which == "y":
            line = np.array([x0, y0 + height * share]) + along * (width, 0)
        else:
            line = np.array([x0 + width * share, y0 + height]) - along * (0, height)
        ground.line(line, 0.6)
        at = line[0] + ((0, 0) if which == "y" else (0, -10))
        text = wrap(words, min(260.0, 0.7 * width), LABEL)
        s.inside(sheet, ground, Tag(text, MUTED, at, bold=False, reach=3), line[1:-1], 0.4)
    for words in off:
        s.inside(sheet, ground, note(words, x0, y0, width))


def mark(
    points: Sequence[tuple[float, float, str]],
    sheet: Canvas,
    ax: Axes,
    xs: s.Axis,
    ys: s.Axis,
    ground: s.OccupancyGrid,
) -> None:
    """Marked places with words: the start a ring, others a cross."""
    x0, y0, width, height = ax.bbox.bounds
    kept = []
    for x, y, words in points:
        share = (
            np.array([float(xs.unit(x)), float(ys.unit(y))])
            if np.isfinite([x, y]).all()
            else np.full(2, np.nan)
        )
        if not np.all((share >= -1e-9) & (share <= 1 + 1e-9)):
            continue
        at = np.array([x0, y0]) + share * (width, height)
        start = words.lower().startswith("start")
        ax.plot(
            [x],
            [y],
            marker="o" if start else "P",
            markersize=9 if start else 10,
            markerfacecolor=sheet.colour["panel"],
            markeredgecolor=sheet.colour["ink"],
            markeredgewidth=1.8 if start else 1.3,
            zorder=6,
            linestyle="",
            clip_on=False,
        )
        ground.take(*(at - 7), *(at + 7))
        kept.append(Tag(wrap(words, 0.45 * width, LABEL, True), INK, at, reach=8))
    for tag in kept:
        if tag.words:
            s.inside(sheet, ground, tag)


def layers(tints: Sequence[float]) -> list[float]:
    """The opacity that each layer adds to the ones below it, the palest last, to come to these tints."""
    around = [*tints[1:], 0.0]
    return [1 - (1 - tint) / (1 - other) for tint, other in zip(tints, around, strict=True)]


NOTHING = "nothing to draw"


def nothing(cell: Cell) -> Plan:
    """The plan of a panel that has nothing to show: it says so."""

    def fill(sheet: Canvas, ax: Axes) -> None:
        ax.grid(False)
        ax.set_xticks([])
        ax.set_yticks([])
        x0, y0, wide, high = ax.bbox.bounds
        sheet.words(x0 + wide / 2, y0 + high / 2, NOTHING, size=WORDS, ha="center", va="center")

    return Plan(cell.width, 8.0, 16.0, fill, ticks=False)
