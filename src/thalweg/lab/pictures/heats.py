"""Numbers over two settings, as shades of one hue."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from ...errors import ProblemError
from ..formatting import plain
from . import canvas as s
from .canvas import TICK, Canvas, extent, wrap
from .panels import Heat
from .plan import (
    Cell,
    Looks,
    Plan,
    layers,
    mark,
    nothing,
)

Array = np.ndarray[Any, Any]


_SHADES = 12


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


def _heat_axis(values: Array, log: bool, room: float, which: Any, most: int) -> tuple[s.Axis, Array]:
    """The axis of a heat map and the borders of its cells; counted where the values are no scale."""
    rising = np.isfinite(values).all() and bool(np.all(np.diff(values) > 0))
    if rising and not (log and values[0] <= 0):
        edges = _edges(values, log)
        return s.axis(float(edges[0]), float(edges[-1]), log, room, which, most), edges
    count = len(values)
    words = [plain(float(v)) for v in values]
    size = max(extent(w, TICK)[0] for w in words) + 10 if which == "x" else 2 * TICK
    every = max(1, int(np.ceil(size * count / room)))
    shown = range(0, count, every)
    return s.Axis(-0.5, count - 0.5, False, list(shown), [words[i] for i in shown]), np.arange(
        count + 1
    ) - 0.5


def wanted(panel: Heat, cell: Cell) -> float:
    """The height that a heat map's box would like, px."""
    return cell.pick(270, 420, 360, 300)


def plan(panel: Heat, looks: Looks, cell: Cell, height: float) -> Plan:
    """The plan of a heat map."""
    width = cell.width
    across, up = (np.asarray(v, np.float64).ravel() for v in (panel.columns, panel.rows))
    values = np.asarray(panel.values, np.float64)
    if values.shape != (len(up), len(across)):
        raise ProblemError(
            f"heat map {panel.title!r}: values must have shape {(len(up), len(across))}, got {values.shape}"
        )
    if not values.size:
        return nothing(cell)
    log = "v" in panel.log
    values = np.where(np.isnan(s.finite(values, False)), np.nan, values)
    if log and (values > 0).any():
        # Zero has no place on a log scale; it takes the deepest shade.
        values = np.where(values <= 0, np.nanmin(values[values > 0]), values)
    values = s.finite(values, log)
    ys, rows = _heat_axis(up, "y" in panel.log, height, "y", max(3, int(height / 48)))
    left = ys.room + 9
    real = values[~np.isnan(values)]
    low, high = (float(real.min()), float(real.max())) if len(real) else (0.1, 1.0)
    bar = s.axis(low, high, log, height - 40, "y", max(2, int(height / 60)))
    missing = wrap(panel.missing, 70, TICK) if np.isnan(values).any() else ""
    room = max(bar.room + 22, extent(missing, TICK)[0] + 22 if missing else 0)
    right = 16 + room + 2
    box = width - left - right
    xs, cols = _heat_axis(across, "x" in panel.log, box, "x", max(3, int(box / 75)))
    if len(xs.ticks):
        left = max(left, extent(xs.words[0], TICK)[0] / 2 - box * float(xs.unit(xs.ticks[0])) + 2)
    fill = partial(_fill_heat, panel, values, xs, ys, cols, rows, bar, missing)
    return Plan(width, left, right, fill, aside=panel.value)


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
    xs: s.Axis,
    ys: s.Axis,
    columns: Array,
    rows: Array,
    bar: s.Axis,
    missing: str,
    sheet: Canvas,
    ax: Axes,
) -> None:
    ax.grid(False)
    xs.put(ax, "x")
    ys.put(ax, "y")
    x0, y0, width, height = ax.bbox.bounds
    blue, muted = sheet.colour["water"], sheet.colour["muted"]
    with np.errstate(invalid="ignore"):
        share = np.where(np.isnan(values), -1, bar.unit(values))
    shade = np.clip(np.floor(share * _SHADES), 0, _SHADES - 1)
    # As on maps: bluer is lower, and each shade adds to the ones around it, so that no seams are seen.
    tints = [0.04 + 0.86 * (1 - i / (_SHADES - 1)) for i in range(_SHADES)]
    for i, added in reversed(list(enumerate(layers(tints)))):
        chosen = (shade <= i) & ~np.isnan(values)
        if chosen.any():
            ax.add_artist(PathPatch(_cells(chosen, columns, rows), facecolor=(blue, added), linewidth=0))
    if np.isnan(values).any():
        hatched = _cells(np.isnan(values), columns, rows)
        ax.add_artist(PathPatch(hatched, facecolor="none", edgecolor=muted, hatch="////", linewidth=0))
    below = 26 + 14 * missing.count("\n") if missing else 0
    left, low, high = x0 + width + 16, y0 + below + 8, y0 + height

    def box(x: float, y: float, w: float, h: float, **look: Any) -> None:
        corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)])
        outline = Outline(corners / (sheet.width, sheet.height), closed=True)
        sheet.figure.add_artist(PathPatch(outline, transform=sheet.figure.transFigure, **look))

    if not np.isnan(values).all():
        step = (high - low) / _SHADES
        box(left, low, 12, high - low, facecolor=sheet.colour["panel"], linewidth=0)
        for i, tint in enumerate(tints):
            box(left, low + i * step, 12, step, facecolor=(blue, tint), linewidth=0)
        box(left, low, 12, high - low, facecolor="none", edgecolor=sheet.colour["rule"], linewidth=0.8)
        at = low + (high - low) * np.asarray(bar.unit(bar.ticks))
        for y, words in zip(at, bar.words, strict=True):
            sheet.words(left + 18, float(y), words, size=TICK, va="center")
    if missing:
        box(left, y0, 12, 12, facecolor=sheet.colour["panel"], edgecolor=muted, hatch="////", linewidth=0.8)
        sheet.words(left + 18, y0 + 12, missing, size=TICK, va="top")
    mark(panel.points, sheet, ax, xs, ys, s.OccupancyGrid(ax))
