"""What stands on panels of several kinds: lines across them, marked places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from .axes import Axis
from .canvas import Canvas
from .labels import Tag, place
from .occupancy import OccupancyGrid
from .style import INK, MUTED
from .text import LABEL, wrap

Array = np.ndarray[Any, Any]


def reference_lines(
    canvas: Canvas,
    ax: Axes,
    occupancy: OccupancyGrid,
    axis: Axis,
    marks: Sequence[tuple[float, str]],
    which: Literal["x", "y"],
) -> None:
    """Draw lines across the panel at values of the x or y axis, with words beside them.

    A value off the axis is not drawn, for it would squeeze all that is to be seen: ``off_axis`` names it.
    """
    x0, y0, width, height = ax.bbox.bounds
    for k, (value, words) in enumerate(marks):
        share = _share(axis, value)
        if share is None or not -1e-9 <= share <= 1 + 1e-9:
            continue
        dash = MUTED.dash if k % 2 == 0 else (0, (1.2, 2))
        draw = ax.axhline if which == "y" else ax.axvline
        draw(value, color=canvas.colour["muted"], linewidth=1.1, linestyle=dash, zorder=1.8)
        along = np.linspace(0, 1, 13)[:, None]
        if which == "y":
            line = np.array([x0, y0 + height * share]) + along * (width, 0)
        else:
            line = np.array([x0 + width * share, y0 + height]) - along * (0, height)
        occupancy.line(line, 0.6)
        at = line[0] + ((0, 0) if which == "y" else (0, -10))
        text = wrap(words, min(260.0, 0.7 * width), LABEL)
        place(canvas, occupancy, Tag(text, MUTED, at, bold=False, reach=3), line[1:-1], 0.4)


def off_axis(
    axis: Axis, marks: Sequence[tuple[float, str]], which: Literal["x", "y"]
) -> dict[str, list[str]]:
    """The words of the lines that are not drawn because they lie off the x or y axis, by where they lie."""
    off: dict[str, list[str]] = {}
    sides = ("below", "above") if which == "y" else ("left of", "right of")
    for value, words in marks:
        share = _share(axis, value)
        if share is not None and not -1e-9 <= share <= 1 + 1e-9:
            off.setdefault(f"{sides[share > 1]} this axis", []).append(words)
    return off


def _share(axis: Axis, value: float) -> float | None:
    """Where a value stands on an axis; None where it has no place."""
    if not np.isfinite(value) or (axis.log and value <= 0):
        return None
    return float(axis.shares(value))


def mark_cuts(ax: Axes, x: Array, colour: str, above: bool) -> None:
    """Draw small arrows at the panel's upper or lower edge where a band goes on beyond it: at x (n,), six at most."""
    if not len(x):
        return
    few = x[:: max(1, len(x) // 6)]
    ax.plot(
        few,
        np.full(len(few), float(above)),
        linestyle="",
        marker="^" if above else "v",
        markersize=3.5,
        color=colour,
        clip_on=False,
        transform=ax.get_xaxis_transform(),
    )


def mark_places(
    points: Sequence[tuple[float, float, str]],
    canvas: Canvas,
    ax: Axes,
    xs: Axis,
    ys: Axis,
    occupancy: OccupancyGrid,
) -> None:
    """Draw marked places with words: the start a ring, others a cross."""
    x0, y0, width, height = ax.bbox.bounds
    kept = []
    for x, y, words in points:
        if not np.isfinite([x, y]).all():
            continue
        share = np.array([float(xs.shares(x)), float(ys.shares(y))])
        if not np.all((share >= -1e-9) & (share <= 1 + 1e-9)):
            continue
        at = np.array([x0, y0]) + share * (width, height)
        start = words.lower().startswith("start")
        ax.plot(
            [x],
            [y],
            marker="o" if start else "P",
            markersize=9 if start else 10,
            markerfacecolor=canvas.colour["panel"],
            markeredgecolor=canvas.colour["ink"],
            markeredgewidth=1.8 if start else 1.3,
            zorder=6,
            linestyle="",
            clip_on=False,
        )
        occupancy.take(*(at - 7), *(at + 7))
        kept.append(Tag(wrap(words, 0.45 * width, LABEL, True), INK, at, reach=8))
    for tag in kept:
        if tag.words:
            place(canvas, occupancy, tag)
