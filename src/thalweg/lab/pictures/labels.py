"""Words placed on a panel, each near what it names, and kept apart from one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .canvas import Canvas
from .occupancy import OccupancyGrid
from .style import Style
from .text import LABEL, extent, wrap

Array = np.ndarray[Any, Any]

LEADER = 24.0  # from the panel's edge to an end label
_SIDES = np.array([(1, 0), (0.7, 0.7), (0.7, -0.7), (0, 1), (0, -1), (-1, 0), (-0.7, 0.7), (-0.7, -0.7)])
_SIDE_PRICES = np.array([0.0, 0.1, 0.15, 0.3, 0.4, 0.5, 0.6, 0.7])


@dataclass(frozen=True)
class Tag:
    """Words for a place on a panel: ``at`` (2,) in display px, the first choice of ``anchors`` (k, 2)."""

    words: str
    style: Style
    at: Array
    method: str = ""
    aside: str = ""
    bold: bool = True
    reach: float = 8.0


def spread(places: Sequence[float] | Array, gap: float | Sequence[float], low: float, high: float) -> Array:
    """Positions at least ``gap`` apart inside [low, high], nearest to ``places`` (least squares).

    ``gap`` may be one size for each: then neighbours are apart by half the sum of theirs, and the
    first and last keep half of theirs from the ends.
    """
    wanted = np.asarray(places, np.float64)
    if not len(wanted):
        return np.empty(0)
    order = np.argsort(wanted, kind="stable")
    sizes = np.zeros(len(wanted)) if np.isscalar(gap) else np.asarray(gap, np.float64)[order]
    steps = np.full(len(wanted) - 1, gap) if np.isscalar(gap) else (sizes[1:] + sizes[:-1]) / 2
    low, high = low + sizes[0] / 2, high - sizes[-1] / 2
    if (total := steps.sum()) > high - low > 0:
        steps = steps * (high - low) / total
    offsets = np.concatenate([[0.0], np.cumsum(steps)])
    blocks: list[list[float]] = []
    for rank, index in enumerate(order):
        blocks.append([wanted[index] - offsets[rank], 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, count), (other, more) = blocks[-2:]
            blocks[-2:] = [[(mean * count + other * more) / (count + more), count + more]]
    flat = np.concatenate([np.full(int(count), mean) for mean, count in blocks])
    placed = np.empty(len(wanted))
    placed[order] = np.clip(flat, low, max(low, high - offsets[-1])) + offsets
    return placed


def place(
    canvas: Canvas, occupancy: OccupancyGrid, tag: Tag, anchors: Array | None = None, along: float = 1.8
) -> bool:
    """Put words beside their place, or beside another of its line's ``anchors`` (k, 2), on the freest ground.

    Where that is away from the place, a thin leader ties them to it. ``along``: the price of a place
    elsewhere on the line. If there is no free ground near, any of the panel will do; False if there is none.
    Takes what it covers from ``occupancy``.
    """
    width, height = extent(tag.words, LABEL, tag.bold)
    places = np.atleast_2d(tag.at) if anchors is None else np.vstack([tag.at, anchors])
    corners, prices, owners = _corners(tag, places, (width, height), occupancy, along)
    cheapest = occupancy.find((width, height), corners, prices)
    if cheapest is None:
        return False
    x, y = corners[cheapest]
    anchor = places[owners[cheapest]]
    near = np.clip(anchor, (x, y), (x + width, y + height))
    if np.hypot(*(near - anchor)) > 14:
        canvas.leader(tag.style, [tuple(anchor), tuple(near)], tag.method)
    occupancy.take(x - 1, y - 1, x + width + 1, y + height + 1)
    canvas.words(
        float(x),
        float(y) + height / 2,
        tag.words,
        size=LABEL,
        colour=tag.style.text,
        bold=tag.bold,
        method=tag.method,
        va="center",
        bbox=canvas.plate(),
    )
    return True


def _corners(
    tag: Tag, places: Array, size: tuple[float, float], occupancy: OccupancyGrid, along: float
) -> tuple[Array, Array, Array]:
    """Lower left corners (n, 2) worth trying for words of this size, what each costs, and whose place it is.

    On all sides of each place, at three distances; and a grid over the whole panel, dearer with the distance.
    """
    box = np.array(size)
    corners, prices, owners = [], [], []
    for k, anchor in enumerate(places):
        for reach, price in ((tag.reach, 0.0), (2.2 * tag.reach, 1.0), (4 * tag.reach, 2.2)):
            centre = anchor + _SIDES * (reach + box / 2)
            centre[3:5, 0] = anchor[0]
            corners.append(centre - box / 2)
            prices.append(_SIDE_PRICES + price + (0.0 if k == 0 else along + 0.02 * k))
            owners.append(np.full(len(_SIDES), k))
    x0, y0, x1, y1 = occupancy.box
    across, up = np.linspace(x0, max(x0, x1 - box[0]), 14), np.linspace(y0, max(y0, y1 - box[1]), 22)
    grid = np.stack(np.meshgrid(across, up), -1).reshape(-1, 2)
    away = np.hypot(*(grid + box / 2 - places[0]).T)
    corners.append(grid)
    prices.append(4 + away / 60)
    owners.append(np.zeros(len(grid), int))
    return np.concatenate(corners), np.concatenate(prices), np.concatenate(owners)


def column_size(tags: Sequence[Tag], room: float) -> tuple[list[str], float, float, float]:
    """The tags' words wrapped to ``room`` px; the widths of asides and of words; the column's height."""
    aside = max((extent(t.aside, LABEL)[0] for t in tags if t.aside), default=0.0)
    aside += 8 if aside else 0
    wrapped = [wrap(t.words, max(40.0, room - aside), LABEL, t.bold) for t in tags]
    width = max((extent(w, LABEL, t.bold)[0] for w, t in zip(wrapped, tags, strict=True)), default=0.0)
    return wrapped, aside, width, sum(extent(w, LABEL)[1] + 1.5 for w in wrapped)


def place_column(canvas: Canvas, ax: Axes, tags: Sequence[Tag], room: float) -> None:
    """Words in a column beside the panel, kept apart and tied to their line's end by thin leaders."""
    if not tags:
        return
    x0, y0, width, height = ax.bbox.bounds
    wrapped, aside, _, _ = column_size(tags, room)
    sizes = [extent(w, LABEL)[1] + 1.5 for w in wrapped]
    heights = spread([float(t.at[1]) for t in tags], sizes, y0 - 12, y0 + height + 12)
    right = x0 + width
    for tag, words, to in zip(tags, wrapped, heights, strict=True):
        y = float(np.clip(tag.at[1], y0, y0 + height))
        canvas.leader(tag.style, [(right, y), (right + 5, y), (right + LEADER - 5, float(to))], tag.method)
        if tag.aside:
            canvas.words(right + LEADER, to, tag.aside, size=LABEL, method=tag.method, va="center")
        canvas.words(
            right + LEADER + aside,
            to,
            words,
            size=LABEL,
            colour=tag.style.text,
            bold=tag.bold,
            method=tag.method,
            va="center",
        )
