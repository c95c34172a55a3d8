"""Numbers over two settings, as shades of one hue."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from ...errors import ProblemError
from ..formatting import plain
from .axes import Axis, drawable, fit_axis
from .canvas import Canvas
from .layout import Cell, PanelLayout, empty_layout
from .marks import mark_places
from .occupancy import OccupancyGrid
from .panels import Heat
from .style import layer_opacities
from .text import TICK, extent, wrap

Array = np.ndarray[Any, Any]


_SHADES = 12
# As on maps: bluer is lower, and each shade adds to the ones around it, so that no seams are seen.
_TINTS = [0.04 + 0.86 * (1 - i / (_SHADES - 1)) for i in range(_SHADES)]


class _BoxLook(TypedDict, total=False):
    """How a box of the scale is drawn, as matplotlib calls it; a colour may have its opacity beside it."""

    facecolor: str | tuple[str, float]
    edgecolor: str
    hatch: str
    linewidth: float


def _edges(centres: Array, log: bool) -> Array:
    """Cell borders halfway between centres (geometrically on a log axis)."""
    places = np.log(centres) if log else centres
    if len(places) == 1:
        return np.asarray(
            np.exp(places[0] + np.array([-0.7, 0.7])) if log else places[0] + np.array([-0.5, 0.5])
        )
    middle = (places[1:] + places[:-1]) / 2
    edges = np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])
    return np.asarray(np.exp(edges) if log else edges)


def _heat_axis(
    values: Array, log: bool, room: float, which: Literal["x", "y"], most: int
) -> tuple[Axis, Array]:
    """The axis of a heat map and the borders of its cells; counted where the values are no scale."""
    rising = np.isfinite(values).all() and bool(np.all(np.diff(values) > 0))
    if rising and not (log and values[0] <= 0):
        edges = _edges(values, log)
        return fit_axis(float(edges[0]), float(edges[-1]), log, room, which, most), edges
    count = len(values)
    words = [plain(float(v)) for v in values]
    size = max(extent(w, TICK)[0] for w in words) + 10 if which == "x" else 2 * TICK
    every = max(1, int(np.ceil(size * count / room)))
    shown = range(0, count, every)
    return Axis(-0.5, count - 0.5, False, list(shown), [words[i] for i in shown]), np.arange(count + 1) - 0.5


def wanted_height(panel: Heat, cell: Cell) -> float:
    """The height that a heat map's box would like, px."""
    return cell.pick(270, 420, 360, 300)


def layout(panel: Heat, cell: Cell, height: float) -> PanelLayout:
    """The layout of a heat map whose box is ``height`` px high."""
    width = cell.width
    across, up = (np.asarray(v, np.float64).ravel() for v in (panel.columns, panel.rows))
    values = np.asarray(panel.values, np.float64)
    if values.shape != (len(up), len(across)):
        raise ProblemError(
            f"heat map {panel.title!r}: values must have shape {(len(up), len(across))}, got {values.shape}"
        )
    if not values.size:
        return empty_layout(cell)
    log = "v" in panel.log
    values = np.where(np.isnan(drawable(values, False)), np.nan, values)
    if log and (values > 0).any():
        # Zero has no place on a log scale; it takes the deepest shade.
        values = np.where(values <= 0, np.nanmin(values[values > 0]), values)
    values = drawable(values, log)
    ys, rows = _heat_axis(up, "y" in panel.log, height, "y", max(3, int(height / 48)))
    left = ys.room + 9
    real = values[~np.isnan(values)]
    low, high = (float(real.min()), float(real.max())) if len(real) else (0.1, 1.0)
    scale = fit_axis(low, high, log, height - 40, "y", max(2, int(height / 60)))
    missing = wrap(panel.missing, 70, TICK) if np.isnan(values).any() else ""
    room = max(scale.room + 22, extent(missing, TICK)[0] + 22 if missing else 0)
    right = 16 + room + 2
    box = width - left - right
    xs, cols = _heat_axis(across, "x" in panel.log, box, "x", max(3, int(box / 75)))
    if len(xs.ticks):
        left = max(left, extent(xs.words[0], TICK)[0] / 2 - box * float(xs.shares(xs.ticks[0])) + 2)
    fill = partial(_fill_heat, panel, values, xs, ys, cols, rows, scale, missing)
    return PanelLayout(width, left, right, fill, aside=panel.value)


def _cells(chosen: Array, columns: Array, rows: Array) -> Outline:
    """The outline of cells (n, m), neighbours joined into the largest rectangles that greed finds."""
    left = chosen.copy()
    parts = []
    for i in range(chosen.shape[0]):
        j = 0
        while j < chosen.shape[1]:
            if not left[i, j]:
                j += 1
                continue
            k = j
            while k < chosen.shape[1] and left[i, k]:
                k += 1
            n = i + 1
            while n < chosen.shape[0] and left[n, j:k].all():
                n += 1
            left[i:n, j:k] = False
            x0, x1, y0, y1 = columns[j], columns[k], rows[i], rows[n]
            parts.append([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)])
            j = k
    codes = [Outline.MOVETO, Outline.LINETO, Outline.LINETO, Outline.LINETO, Outline.CLOSEPOLY]
    return Outline(np.array(parts).reshape(-1, 2), codes * len(parts))


def _fill_heat(
    panel: Heat,
    values: Array,
    xs: Axis,
    ys: Axis,
    columns: Array,
    rows: Array,
    scale: Axis,
    missing: str,
    canvas: Canvas,
    ax: Axes,
) -> None:
    ax.grid(False)
    xs.apply(ax, "x")
    ys.apply(ax, "y")
    blue, muted, gaps = canvas.colour["water"], canvas.colour["muted"], np.isnan(values)
    with np.errstate(invalid="ignore"):
        share = np.where(gaps, -1, scale.shares(values))
    shade = np.clip(np.floor(share * _SHADES), 0, _SHADES - 1)
    for i, added in reversed(list(enumerate(layer_opacities(_TINTS)))):
        chosen = (shade <= i) & ~gaps
        if chosen.any():
            ax.add_artist(PathPatch(_cells(chosen, columns, rows), facecolor=(blue, added), linewidth=0))
    if gaps.any():
        hatched = _cells(gaps, columns, rows)
        ax.add_artist(PathPatch(hatched, facecolor="none", edgecolor=muted, hatch="////", linewidth=0))
    _draw_scale(scale if not gaps.all() else None, missing, canvas, ax)
    mark_places(panel.points, canvas, ax, xs, ys, OccupancyGrid(ax))


def _draw_scale(scale: Axis | None, missing: str, canvas: Canvas, ax: Axes) -> None:
    """Draw beside the panel which shade is which value, and what the hatching means."""
    x0, y0, width, height = ax.bbox.bounds
    below = 26 + 14 * missing.count("\n") if missing else 0
    left, low, high = x0 + width + 16, y0 + below + 8, y0 + height
    colour = canvas.colour

    def box(x: float, y: float, w: float, h: float, **look: Unpack[_BoxLook]) -> None:
        corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)])
        outline = Outline(corners / (canvas.width, canvas.height), closed=True)
        canvas.figure.add_artist(PathPatch(outline, transform=canvas.figure.transFigure, **look))

    if scale is not None:
        step = (high - low) / _SHADES
        box(left, low, 12, high - low, facecolor=colour["panel"], linewidth=0)
        for i, tint in enumerate(_TINTS):
            box(left, low + i * step, 12, step, facecolor=(colour["water"], tint), linewidth=0)
        box(left, low, 12, high - low, facecolor="none", edgecolor=colour["rule"], linewidth=0.8)
        at = low + (high - low) * np.asarray(scale.shares(scale.ticks))
        for y, words in zip(at, scale.words, strict=True):
            canvas.words(left + 18, float(y), words, size=TICK, va="center")
    if missing:
        panel, muted = colour["panel"], colour["muted"]
        box(left, y0, 12, 12, facecolor=panel, edgecolor=muted, hatch="////", linewidth=0.8)
        canvas.words(left + 18, y0 + 12, missing, size=TICK, va="top")
