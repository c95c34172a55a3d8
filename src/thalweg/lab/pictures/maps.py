"""Landscapes from above with paths on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...errors import ProblemError
from .axes import Axis, drawable, fit_axis, x_axis
from .canvas import Canvas, depth
from .labels import Tag, place
from .layout import Cell, PanelLayout, empty_layout
from .lines import BINS, label_anchors, last_seen, nearby, panel_shares, thin, thin_swings
from .looks import Looks, look_of
from .marks import mark_places
from .occupancy import OccupancyGrid
from .panels import Map, Path
from .style import Style
from .terrain import terrain
from .text import LABEL, extent, fit, notes, wrap

Array = np.ndarray[Any, Any]

CLOSE = 34.0  # px: ends nearer than that are named in a key
SWINGS = 6.0  # px: of swings to and fro that lie closer to each other some are left out


@dataclass(frozen=True)
class _Run:
    """A path ready to draw: points (n, 2) that cannot be drawn are NaN."""

    path: Path
    style: Style
    points: Array


@dataclass(frozen=True)
class _Key:
    """Samples of these runs' lines with their names, beside the panel or in rows below it."""

    runs: Sequence[_Run]
    beside: bool

    def widths(self, per_row: int) -> list[float]:
        """The width of each column where so many names stand in a row, px; they run down one column after the other."""
        names = [52 + extent(run.path.label, LABEL, True)[0] for run in self.runs]
        rows = -(-len(names) // per_row)
        return [max(names[i : i + rows]) for i in range(0, len(names), rows)]

    def room(self, width: float) -> float:
        """The room that it takes beside a panel, of ``width`` px for both."""
        return min(6 + self.widths(1)[0], 0.35 * width) if self.beside else 0.0

    def per_row(self, width: float) -> int:
        """As many names in a row as have room in so many px."""
        counts = range(1, len(self.runs) + 1)
        return max((n for n in counts if sum(self.widths(n)) <= width), default=1)

    def foot(self, width: float) -> float:
        """The room that it takes below a panel, px."""
        return 0.0 if self.beside or not self.runs else 20.0 * -(-len(self.runs) // self.per_row(width)) + 10

    def draw(self, canvas: Canvas, ax: Axes, per_row: int) -> None:
        x0, y0, width, height = ax.bbox.bounds
        lefts = np.append(0.0, np.cumsum(self.widths(per_row)))
        rows = -(-len(self.runs) // per_row)
        top = y0 + height  # of the next name beside the panel
        for i, run in enumerate(self.runs):
            x = x0 + width + 16 if self.beside else x0 + lefts[i // rows]
            room = canvas.width - x - 40
            words = (
                wrap(run.path.label, room, LABEL, True)
                if self.beside
                else fit(run.path.label, room, LABEL, True)
            )
            high = extent(words, LABEL, True)[1]
            y = top - 3 - high / 2 if self.beside else y0 - 58 - 20 * (i % rows)
            top -= high + 7
            self._sample(canvas, run, x, y, words)

    def _sample(self, canvas: Canvas, run: _Run, x: float, y: float, words: str) -> None:
        """Draw a piece of a run's line, its marker on it, and words beside, display px."""
        style, method = run.style, run.path.method
        at = np.array([[x, y], [x + 15, y], [x + 30, y]]) / (canvas.width, canvas.height)
        sample = canvas.line(
            style,
            at[:, 0],
            at[:, 1],
            method,
            marker=style.marker or None,
            markersize=6,
            markeredgewidth=0,
            markevery=[1],
            transform=canvas.figure.transFigure,
        )
        canvas.figure.add_artist(sample)
        canvas.words(x + 37, y, words, size=LABEL, colour=style.text, bold=True, method=method, va="center")


@dataclass(frozen=True)
class Trace:
    """A path on a map that is drawn: shares of the axes (n, 2), and which points are enough to draw it."""

    path: Path
    style: Style
    points: Array
    kept: Array
    thinned: bool  # whether swings are missing among those that are drawn

    def at(self, until: float) -> Array:
        """The place (2,) at a point, or at a share of the way to the next one: 2.5 is halfway from 2 to 3."""
        before = int(until)
        if before == until:
            return np.asarray(self.points[before])
        return np.asarray(
            self.points[before] + (until - before) * (self.points[before + 1] - self.points[before])
        )

    def line(self, xs: Axis, ys: Axis, until: float | None = None) -> tuple[Array, Array]:
        """x and y of the line, up to a point or a share of the way to the next if one is given."""
        points = self.points[self.kept if until is None else self.kept[self.kept < until]]
        shares = nearby(points if until is None else np.vstack([points, self.at(until)]))
        return xs.low + shares[:, 0] * (xs.high - xs.low), ys.low + shares[:, 1] * (ys.high - ys.low)


@dataclass(frozen=True)
class _Drawing:
    """A map ready to draw."""

    panel: Map
    traces: Sequence[Trace]
    xs: Axis
    ys: Axis
    key: _Key
    key_per_row: int

    def whole(self, canvas: Canvas, ax: Axes) -> None:
        """Draw the landscape, what is marked on it, and its paths with their ends."""
        self._draw(canvas, ax, with_paths=True)

    def without_paths(self, canvas: Canvas, ax: Axes) -> Sequence[Trace]:
        """Draw the landscape and what is marked on it; the paths, for a film, which moves them."""
        self._draw(canvas, ax, with_paths=False)
        return self.traces

    def _draw(self, canvas: Canvas, ax: Axes, with_paths: bool) -> None:
        ax.grid(False)
        self.xs.apply(ax, "x")
        self.ys.apply(ax, "y")
        terrain(ax, *self.panel.grid, canvas)
        occupancy = OccupancyGrid(ax)
        x0, y0, width, height = ax.bbox.bounds
        corner, size = np.array([x0, y0]), np.array([width, height])
        ends: list[tuple[Trace, Array]] = []
        for order, trace in enumerate(self.traces):
            occupancy.line(corner + size * trace.points[trace.kept])
            if (end := last_seen(trace.points)) is not None:
                ends.append((trace, corner + size * end))
            if with_paths and len(trace.kept):
                x, y = trace.line(self.xs, self.ys)
                ax.add_line(canvas.line(trace.style, x, y, method=trace.path.method, zorder=depth(order)))
        for trace, at in ends:
            occupancy.take(*(at - 6), *(at + 6))
            if with_paths and trace.path.died:
                canvas.cross(ax, trace.style, at, trace.path.method)
            elif with_paths:
                end_marker(canvas, ax, trace.path, trace.style, at)
        mark_places(self.panel.points, canvas, ax, self.xs, self.ys, occupancy)
        if self.key.runs:
            self.key.draw(canvas, ax, self.key_per_row)
            return
        for trace, at in ends:
            if trace.path.label:
                words = wrap(trace.path.label, 0.45 * width, LABEL, True)
                anchors = label_anchors(corner + size * trace.points[trace.kept], occupancy.box)
                place(canvas, occupancy, Tag(words, trace.style, at, trace.path.method), anchors)


def _trace(run: _Run, xs: Axis, ys: Axis, size: Array) -> Trace:
    """A run on a panel of this size (2,), px."""
    points = panel_shares(run.points[:, 0], run.points[:, 1], xs, ys)
    return Trace(run.path, run.style, points, *_kept_path(points, size))


def _note(traces: Sequence[Trace]) -> str:
    """What of the paths is cut off or left out."""
    unseen: dict[str, list[str]] = {
        "outside this window": [],
        "ends outside this window": [],
        "swings too close to be seen are left out": [],
    }
    gone, away, thinned = unseen.values()
    for trace in traces:
        name = trace.path.method or trace.path.label
        real = trace.points[~np.isnan(trace.points).any(axis=1)]
        if not name or not len(real):
            continue
        if trace.thinned:
            thinned.append(name)
        if last_seen(trace.points) is None:
            gone.append(name)
        elif not trace.path.died and np.any((real[-1] < -1e-6) | (real[-1] > 1 + 1e-6)):
            away.append(name)
    return notes(unseen, [trace.path.method or trace.path.label for trace in traces])


def wanted_height(panel: Map, cell: Cell) -> float:
    """The height that a map's box would like, px."""
    return cell.pick(300, 520, 400, 320)


def layout(panel: Map, looks: Looks, cell: Cell, height: float) -> PanelLayout:
    """The layout of a map whose box is ``height`` px high."""
    return _prepare(panel, looks, cell, height, always_key=False)[0]


def film_layout(
    panel: Map, looks: Looks, cell: Cell, height: float
) -> tuple[PanelLayout, Callable[[Canvas, Axes], Sequence[Trace]]]:
    """The layout of a map whose paths are named in a key, and what draws all but these paths, which it returns."""
    room, drawing = _prepare(panel, looks, cell, height, always_key=True)

    def background(canvas: Canvas, ax: Axes) -> Sequence[Trace]:
        if drawing is not None:
            return drawing.without_paths(canvas, ax)
        room.fill(canvas, ax)
        return []

    return room, background


def _prepare(
    panel: Map, looks: Looks, cell: Cell, height: float, always_key: bool
) -> tuple[PanelLayout, _Drawing | None]:
    """The layout and what it draws; None where there is no landscape to draw."""
    width = cell.width
    x, y, f = (np.asarray(part, np.float64) for part in panel.grid)
    if f.shape != (len(y), len(x)):
        raise ProblemError(f"map {panel.title!r}: f must have shape {(len(y), len(x))}, got {f.shape}")
    if min(f.shape) < 2 or not np.isfinite(f).any():
        return empty_layout(cell), None
    ys = fit_axis(float(y.min()), float(y.max()), False, height, "y", max(3, int(height / 60)))
    left = ys.room + 9
    runs = [_Run(path, look_of(path, looks), _path_points(path)) for path in panel.paths]
    rough = Axis(float(x.min()), float(x.max()), False, (), ())
    named = [run for run in runs if run.path.label]
    ends = [last_seen(panel_shares(r.points[:, 0], r.points[:, 1], rough, ys)) for r in named]
    places = [np.array(end) * (width - left - 28, height) for end in ends if end is not None]
    close = any(np.hypot(*(a - b)) < CLOSE for i, a in enumerate(places) for b in places[:i])
    keyed = named if always_key or close else []
    key = _Key(keyed, beside=bool(keyed) and width >= 600)
    right = key.room(width) or 16.0
    xs, left, right = x_axis((float(x.min()), float(x.max())), False, width, left, right)
    below = width - right  # what a key below the panel may use
    traces = [_trace(run, xs, ys, np.array([width - left - right, height])) for run in runs]
    drawing = _Drawing(panel, traces, xs, ys, key, key.per_row(below))
    foot, note = key.foot(below), _note(traces)
    return PanelLayout(width, left, right, drawing.whole, foot=foot, note=note), drawing


def _path_points(path: Path) -> Array:
    """A path's points (n, 2), whole points NaN where one cannot be drawn; ProblemError for another shape."""
    points = np.asarray(path.points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ProblemError(f"path {path.label!r}: points must have shape (n, 2), got {points.shape}")
    points = drawable(points, False)
    points[np.isnan(points).any(axis=1)] = np.nan
    return points


def end_marker(canvas: Canvas, ax: Axes, path: Path, style: Style, at: Array) -> Line2D:
    """Draw the method's marker where its path ends, display px."""
    x, y = at / (canvas.width, canvas.height)
    marker = canvas.line(
        style,
        [x],
        [y],
        path.method,
        linestyle="",
        zorder=5,
        marker=style.marker or "o",
        markersize=8.5,
        markeredgecolor=canvas.colour["panel"],
        markeredgewidth=1,
        clip_on=False,
        transform=canvas.figure.transFigure,
    )
    ax.add_line(marker)
    return marker


def _kept_path(seen: Array, size: Array) -> tuple[Array, bool]:
    """Indices of a path's points that are drawn, and whether swings are missing that could be told from a point.

    Left out are points closer than half a pixel, swings closer to each other than ``SWINGS`` px, and of what is still
    long all but the extremes.
    """
    pixels = seen * size
    real = np.flatnonzero(~np.isnan(pixels).any(axis=1))
    gaps = np.flatnonzero(np.isnan(pixels).any(axis=1))
    drawn = np.clip(pixels[real], -1e6, 1e6)
    kept = thin_swings(drawn, SWINGS)
    missing = np.diff(kept) > 1
    long = np.hypot(*np.diff(drawn, axis=0).T) > 2 * SWINGS if len(real) else np.empty(0, bool)
    inside = np.all((drawn >= 0) & (drawn <= size), axis=1)[1:]
    counts = np.append(0, np.cumsum(long & inside))
    swings = bool(np.any(counts[kept[1:]][missing] > counts[kept[:-1]][missing]))
    real = real[kept]
    if len(real) > 2 * BINS:
        rounded = np.round(np.clip(pixels[real], -1e6, 1e6) * 2)
        moved = np.concatenate([[True], np.any(np.diff(rounded, axis=0) != 0, axis=1)])
        moved[-1] = True
        real = real[moved]
        if len(real) > 4 * BINS:
            bins = np.arange(len(real)) * BINS // len(real)
            real = real[thin([pixels[real, 0], pixels[real, 1]], bins)]
    return np.union1d(real, gaps), swings
