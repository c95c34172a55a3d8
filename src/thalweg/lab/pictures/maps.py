"""Landscapes from above with paths on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from contourpy import FillType, contour_generator
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from scipy.interpolate import RectBivariateSpline

from ...errors import ProblemError
from . import canvas as s
from .canvas import LABEL, Canvas, Tag, extent, wrap
from .charts import BINS
from .panels import Map, Path
from .plan import (
    WINDOW,
    Cell,
    Looks,
    Plan,
    across,
    anchors,
    layers,
    look_of,
    mark,
    nothing,
    shares,
)
from .style import Style

Array = np.ndarray[Any, Any]


_GRID = 220


def _rimmed(v: Array) -> Array:
    return np.concatenate([[v[0] - 0.02 * np.ptp(v)], v, [v[-1] + 0.02 * np.ptp(v)]])


def terrain(ax: Axes, x: Array, y: Array, f: Array, sheet: Canvas, levels: int = 17) -> None:
    """A landscape in one hue: bluer is lower; levels at quantiles of log10(f - min f + δ), finer near the floor."""
    x, y, f = np.asarray(x, float), np.asarray(y, float), s.finite(f, False)
    if min(f.shape) >= 4 and not np.isnan(f).any():
        # A spline follows a narrow floor between the points of a grid; straight lines in log f would not.
        spline = RectBivariateSpline(y, x, f, s=0)
        x, y = np.linspace(x[0], x[-1], _GRID), np.linspace(y[0], y[-1], _GRID)
        f = np.maximum(spline(y, x), f.min())
    height = f - np.nanmin(f)
    positive = height[height > 0]
    if not len(positive):
        return
    depth = np.log10(height + 1e-3 * np.median(positive))
    cuts = np.unique(np.nanquantile(depth, np.linspace(0, 1, levels + 1) ** 1.5))[1:-1]
    # Rims outside the window, so that a region's outline is seen only where it is a contour line.
    x, y = _rimmed(x), _rimmed(y)
    depth = np.ma.masked_invalid(np.pad(depth, 1, mode="edge"))
    found = contour_generator(x, y, depth, fill_type=FillType.OuterCode)
    # Regions lie on one another: each adds what its tint has more than the one around it.
    tints = [0.5 * (1 - i / levels) ** 1.5 for i in range(len(cuts))]
    bottom = float(depth.min()) - 1.0
    _, _, width, high = ax.bbox.bounds
    scale = np.array([width / np.ptp(x), high / np.ptp(y)])
    for cut, added in reversed(list(zip(cuts, layers(tints), strict=True))):
        filled: Any = found.filled(bottom, cut)
        points, codes = filled
        parts = [_simple(p, c, scale) for p, c in zip(points, codes, strict=True)]
        if not parts:
            continue
        region = Outline(np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts]))
        blue = sheet.colour["water"]
        ax.add_artist(PathPatch(region, facecolor=(blue, added), edgecolor=(blue, 0.35), linewidth=0.7))


def _simple(points: Array, codes: Array, scale: Array, tolerance: float = 0.25) -> tuple[Array, Array]:
    """Outlines without points that lie within ``tolerance`` px of their neighbours' chord."""
    for _ in range(4):
        if len(points) < 8:
            break
        a, b, c = (points[:-2] * scale, points[1:-1] * scale, points[2:] * scale)
        chord = c - a
        length = np.maximum(np.hypot(*chord.T), 1e-9)
        off = np.abs(chord[:, 0] * (b - a)[:, 1] - chord[:, 1] * (b - a)[:, 0]) / length
        inner = (
            (codes[:-2] != Outline.CLOSEPOLY)
            & (codes[1:-1] == Outline.LINETO)
            & (codes[2:] == Outline.LINETO)
        )
        drop = np.zeros(len(points), bool)
        drop[1:-1] = inner & (off < tolerance)
        drop[1:] &= ~(drop[:-1] & (np.arange(1, len(points)) % 2 == 0))
        drop &= np.arange(len(points)) % 2 == 1
        if not drop.any():
            break
        points, codes = points[~drop], codes[~drop]
    return points, codes


def _path_points(path: Path) -> Array:
    points = np.asarray(path.points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ProblemError(f"path {path.label!r}: points must have shape (n, 2), got {points.shape}")
    points = s.finite(points, False)
    points[np.isnan(points).any(axis=1)] = np.nan
    return points


def wanted(panel: Map, cell: Cell) -> float:
    """The height that a map's box would like, px."""
    return cell.pick(300, 520, 400, 320)


def plan(panel: Map, looks: Looks, cell: Cell, height: float, film: bool = False) -> Plan:
    """The plan of a map; for a film its paths are named in a key."""
    width = cell.width
    x, y, f = (np.asarray(part, np.float64) for part in panel.grid)
    if f.shape != (len(y), len(x)):
        raise ProblemError(f"map {panel.title!r}: f must have shape {(len(y), len(x))}, got {f.shape}")
    if min(f.shape) < 2 or not np.isfinite(f).any():
        return nothing(cell)
    ys = s.axis(float(y.min()), float(y.max()), False, height, "y", max(3, int(height / 60)))
    left = ys.room + 9
    drawn = [(path, look_of(path, looks), _path_points(path)) for path in panel.paths]
    box = width - left - 28
    rough = s.Axis(float(x.min()), float(x.max()), False, (), ())
    finals = [s.leaves(shares(p[:, 0], p[:, 1], rough, ys), WINDOW) for _, _, p in drawn]
    named = [
        np.array(e) * (box, height)
        for e, (path, *_) in zip(finals, drawn, strict=True)
        if e is not None and path.label
    ]
    close = film or any(np.hypot(*(a - b)) < 34 for i, a in enumerate(named) for b in named[:i])
    keyed = [(style, path.label, path.method) for path, style, _ in drawn if path.label] if close else []
    beside = bool(keyed) and width >= 600
    longest = max((extent(label, LABEL, True)[0] for _, label, _ in keyed), default=0.0)
    key_room = min(58 + longest, 0.35 * width) if beside else 0.0
    right = key_room or 16.0
    xs, left, right = across((float(x.min()), float(x.max())), False, width, left, right)
    box = width - left - right
    per_row = max(1, int((box + left) // (52 + longest))) if keyed else 1
    foot = 0.0 if beside or not keyed else 20.0 * -(-len(keyed) // per_row) + 10
    fill = partial(_fill_map, panel, drawn, xs, ys, keyed, beside, per_row)
    return Plan(width, left, right, fill, foot=foot)


@dataclass(frozen=True)
class Trace:
    """A path on a map that is drawn: shares of the axes (n, 2), and which points are enough to draw it."""

    path: Path
    style: Style
    points: Array
    kept: Array

    def line(self, xs: s.Axis, ys: s.Axis, until: int | None = None) -> tuple[Array, Array]:
        """x and y of the line, up to a point if one is given."""
        kept = self.kept
        if until is not None:
            kept = np.append(kept[kept < until], until)
        shares = s.nearby(self.points[kept])
        return xs.low + shares[:, 0] * (xs.high - xs.low), ys.low + shares[:, 1] * (ys.high - ys.low)


def _fill_map(
    panel: Map,
    drawn: Sequence[tuple[Path, Style, Array]],
    xs: s.Axis,
    ys: s.Axis,
    keyed: Sequence[tuple[Style, str, str]],
    beside: bool,
    per_row: int,
    sheet: Canvas,
    ax: Axes,
    still: bool = True,
) -> list[Trace]:
    """The landscape, what is marked on it and its paths; without these for a film, which moves them."""
    ax.grid(False)
    xs.put(ax, "x")
    ys.put(ax, "y")
    terrain(ax, *panel.grid, sheet)
    ground = s.OccupancyGrid(ax)
    x0, y0, width, height = ax.bbox.bounds
    corner, size = np.array([x0, y0]), np.array([width, height])
    traces, ends = [], []
    for path, style, points in drawn:
        seen = shares(points[:, 0], points[:, 1], xs, ys)
        traces.append(Trace(path, style, seen, _kept_path(seen, size)))
        ground.line(corner + size * seen[traces[-1].kept])
        if (end := s.leaves(seen, WINDOW)) is not None:
            ends.append((traces[-1], corner + size * end))
    for order, trace in enumerate(traces):
        if still and len(trace.kept):
            z = 3 + (40 - min(order, 40)) / 50
            ax.add_line(sheet.line(trace.style, *trace.line(xs, ys), method=trace.path.method, zorder=z))
    for trace, at in ends:
        ground.take(*(at - 6), *(at + 6))
        if still and trace.path.died:
            sheet.cross(ax, trace.style, at, trace.path.method)
        elif still:
            end_marker(sheet, ax, trace.path, trace.style, at)
    mark(panel.points, sheet, ax, xs, ys, ground)
    if keyed:
        _key(keyed, beside, per_row, sheet, ax)
        return traces
    for trace, at in ends:
        if trace.path.label:
            words = wrap(trace.path.label, 0.45 * width, LABEL, True)
            places = anchors(corner + size * trace.points[trace.kept], ground.box)
            s.inside(sheet, ground, Tag(words, trace.style, at, trace.path.method), places)
    return traces


def end_marker(sheet: Canvas, ax: Axes, path: Path, style: Style, at: Array) -> Any:
    """The method's marker where its path ends, display px."""
    x, y = at / (sheet.width, sheet.height)
    marker = sheet.line(
        style,
        [x],
        [y],
        path.method,
        linestyle="",
        zorder=5,
        marker=style.marker or "o",
        markersize=8.5,
        markeredgecolor=sheet.colour["panel"],
        markeredgewidth=1,
        clip_on=False,
        transform=sheet.figure.transFigure,
    )
    ax.add_line(marker)
    return marker


def _kept_path(seen: Array, size: Array) -> Array:
    """Indices of a path's points: without those closer than half a pixel, and with the extremes if still long."""
    pixels = seen * size
    real = np.flatnonzero(~np.isnan(pixels).any(axis=1))
    gaps = np.flatnonzero(np.isnan(pixels).any(axis=1))
    if len(real) > 2 * BINS:
        rounded = np.round(np.clip(pixels[real], -1e6, 1e6) * 2)
        moved = np.concatenate([[True], np.any(np.diff(rounded, axis=0) != 0, axis=1)])
        moved[-1] = True
        real = real[moved]
        if len(real) > 4 * BINS:
            bins = np.arange(len(real)) * BINS // len(real)
            real = real[s.thin([pixels[real, 0], pixels[real, 1]], bins)]
    return np.union1d(real, gaps)


def _key(
    keyed: Sequence[tuple[Style, str, str]], beside: bool, per_row: int, sheet: Canvas, ax: Axes
) -> None:
    """Samples of lines with their names, in a column beside the panel or in rows below it."""
    x0, y0, width, height = ax.bbox.bounds
    longest = max(extent(label, LABEL, True)[0] for _, label, _ in keyed)
    for i, (style, label, method) in enumerate(keyed):
        if beside:
            x, y = x0 + width + 16, y0 + height - 10 - 22 * i
        else:
            x, y = x0 + (i % per_row) * (52 + longest), y0 - 58 - 20 * (i // per_row)
        at = np.array([[x, y], [x + 15, y], [x + 30, y]]) / (sheet.width, sheet.height)
        sample = sheet.line(
            style,
            at[:, 0],
            at[:, 1],
            method,
            marker=style.marker or None,
            markersize=6,
            markeredgewidth=0,
            markevery=[1],
            transform=sheet.figure.transFigure,
        )
        sheet.figure.add_artist(sample)
        room = sheet.width - x - 40
        words = s.fit(label, room, LABEL, True)
        sheet.words(x + 37, y, words, size=LABEL, colour=style.text, bold=True, method=method, va="center")
