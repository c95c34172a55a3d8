"""One curve over two axes: what of it can be drawn, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...errors import ProblemError
from .axes import Axis, drawable
from .canvas import Canvas, LineOptions, depth
from .lines import BINS, dense_swings, last_seen, panel_shares, thin
from .looks import Looks, look_of
from .marks import mark_cuts
from .panels import Chart, Curve
from .style import Style, gid

Array = np.ndarray[Any, Any]

NEAR, TALL = (
    4.0,
    6.0,
)  # px: from turn to turn of swings that are drawn as a band; how far a line goes back at a turn


@dataclass(frozen=True)
class Line:
    """A curve ready to draw: what cannot be drawn is NaN."""

    curve: Curve
    style: Style
    x: Array
    y: Array
    band: tuple[Array, Array] | None

    def hidden(self, xs: Axis, ys: Axis) -> bool:
        """Whether it has a name and something to draw, but nothing of it inside these axes."""
        drawn = bool(self.curve.label) and bool((~np.isnan(self.y)).any())
        return drawn and last_seen(panel_shares(self.x, self.y, xs, ys)) is None

    def ends_beyond(self, xs: Axis, ys: Axis) -> str:
        """On which side of the y axis it ends, "below" or "above"; "" where it ends on it, died, or is never seen."""
        raw = np.asarray(self.curve.y, np.float64).ravel()
        last = np.flatnonzero(np.isfinite(raw) & (self.x >= xs.low) & (self.x <= xs.high))
        if not self.curve.label or self.curve.died or not len(last) or self.hidden(xs, ys):
            return ""
        value, slack = raw[last[-1]], 1e-9 * abs(ys.high - ys.low)
        if (ys.log and value <= 0) or value < ys.low - (0 if ys.log else slack):
            return "below"
        return "above" if value > ys.high + (0 if ys.log else slack) else ""

    def cuts(self, ys: Axis) -> tuple[Array, Array]:
        """Where its band goes on below the y axis, and where above: values of x."""
        if self.band is None:
            return np.empty(0), np.empty(0)
        low, high = self.band
        drawn = ~np.isnan(self.y)
        with np.errstate(invalid="ignore"):
            return self.x[drawn & ~(low >= ys.low)], self.x[drawn & ~(high <= ys.high)]

    def band_on(self, ys: Axis) -> tuple[Array, Array] | None:
        """The band, cut at the axis where it leaves it or is infinite."""
        if self.band is None:
            return None
        low, high = (np.where(np.isnan(self.y), np.nan, b) for b in self.band)
        low = np.fmax(np.where(np.isnan(low) & ~np.isnan(self.y), ys.low, low), ys.low)
        high = np.fmin(np.where(np.isnan(high) & ~np.isnan(self.y), ys.high, high), ys.high)
        return low, high


def lines_of(chart: Chart, looks: Looks) -> list[Line]:
    """The curves ready to draw; ProblemError where x and y differ in length."""
    lines = []
    for curve in chart.curves:
        x, y = drawable(curve.x, "x" in chart.log).ravel(), drawable(curve.y, "y" in chart.log).ravel()
        if len(x) != len(y):
            raise ProblemError(
                f"curve {curve.label!r}: x has {len(x)} values and y has {len(y)}; they must match"
            )
        y = np.where(np.isnan(x), np.nan, y)
        band = None
        if curve.band is not None:
            low, high = (drawable(b, False).ravel() for b in curve.band)
            band = low, high
        lines.append(Line(curve, look_of(curve, looks), x, y, band))
    return lines


@dataclass(frozen=True)
class Trace:
    """A curve in a panel: which points of it are drawn, their places (n, 2) in shares of the axes, and its swings.

    ``swings``: of each stretch that is drawn as a band the turns, as indices of the points that are drawn.
    """

    line: Line
    kept: Array
    points: Array
    swings: Sequence[Array]


def trace(line: Line, xs: Axis, ys: Axis, width: float, height: float) -> Trace:
    """A curve in a panel of this size, px."""
    points = panel_shares(line.x, line.y, xs, ys)
    kept = _kept(points, line.band_on(ys) or ())
    points = points[kept]
    x = points[:, 0]
    back = np.any(np.diff(x[~np.isnan(x)]) < 0)
    if back or line.curve.look in ("points", "steps"):
        return Trace(line, kept, points, [])
    return Trace(line, kept, points, dense_swings(np.clip(points, 0, 1) * (width, height), NEAR, TALL))


def draw_curve(canvas: Canvas, ax: Axes, traced: Trace, xs: Axis, ys: Axis, order: int) -> None:
    """Draw one curve."""
    line, points, kept = traced.line, traced.points, traced.kept
    curve, style = line.curve, line.style
    if (band := line.band_on(ys)) is not None:
        low, high = (b[kept] for b in band)
        _band(canvas, ax, line, xs, ys, (line.x[kept], low, high))
    x, y = line.x[kept], line.y[kept]
    # Nothing far outside is passed on: files hold places in pixels.
    with np.errstate(invalid="ignore"):
        u = np.clip(points[:, 1], -1e3, 1e3)
    if not ys.log:
        y = np.where(np.isnan(y), np.nan, ys.low + u * (ys.high - ys.low))
    real = ~np.isnan(y)
    if not real.any():
        return
    marked = _marked(points, order) if style.marker and real.sum() > 1 else []
    for turns in traced.swings:
        inside = [i for i in marked if turns[0] < i < turns[-1]]
        _swing_band(canvas, ax, line, points[turns], points[inside, 0], order)
        y[turns[0] + 1 : turns[-1]] = np.nan
    z = depth(order)
    dot: LineOptions = {
        "linestyle": "",
        "marker": style.marker or "o",
        "markersize": 5.5 if curve.look == "points" else 5,
        "markeredgewidth": 0,
        "zorder": z,
    }
    if curve.look == "points":
        ax.add_line(canvas.line(style, x, y, curve.method, **dot))
        return
    options: LineOptions = {"zorder": z}
    if marked:
        options |= {"marker": style.marker, "markersize": 5.5, "markeredgewidth": 0, "markevery": marked}
    if curve.look == "steps":
        options["drawstyle"] = "steps-post"
    ax.add_line(canvas.line(style, x, y, curve.method, **options))
    alone = real & ~np.concatenate([[False], real[:-1]]) & ~np.concatenate([real[1:], [False]])
    if alone.any():
        ax.add_line(canvas.line(style, x[alone], y[alone], curve.method, **dot))


def _band(
    canvas: Canvas, ax: Axes, line: Line, xs: Axis, ys: Axis, edges: tuple[Array, Array, Array]
) -> None:
    """Fill a curve's band, given as x, low and high, and mark where the axis cuts it."""
    colour, method = canvas.colour[line.style.stroke], line.curve.method
    ax.fill_between(
        *edges, color=colour, alpha=0.22, linewidth=0, zorder=2.5, gid=gid(method) if method else None
    )
    for cut, above in zip(line.cuts(ys), (False, True), strict=True):
        inside = cut[(cut >= xs.low) & (cut <= xs.high)]
        mark_cuts(ax, inside, colour, above)


def _swing_band(canvas: Canvas, ax: Axes, line: Line, turns: Array, marked: Array, order: int) -> None:
    """Draw a stretch of swings from the highest to the lowest of their turns (n, 2), with markers at ``marked`` (k,) along x.

    Places are shares of the axes.
    """
    style, method, z = line.style, line.curve.method, depth(order)
    x, y = np.clip(turns, -1, 2).T
    highest, lowest = (np.interp(x, x[k::2], y[k::2]) for k in (0, 1))
    ax.fill_between(
        x,
        lowest,
        highest,
        facecolor=canvas.colour[style.stroke],
        alpha=0.4,
        linewidth=0,
        zorder=z,
        gid=gid(method) if method else None,
        transform=ax.transAxes,
    )
    if len(marked):
        middle = np.interp(marked, x, (highest + lowest) / 2)
        dots = canvas.line(
            style,
            marked,
            middle,
            method,
            linestyle="",
            marker=style.marker,
            markersize=5.5,
            markeredgewidth=0,
            zorder=z,
            transform=ax.transAxes,
        )
        ax.add_line(dots)


def _kept(points: Array, extra: Sequence[Array] = ()) -> Array:
    """Indices of a long line's points that are enough to draw it, gaps and extremes among them."""
    count = len(points)
    if count <= 2 * BINS:
        return np.arange(count)
    x = points[:, 0]
    if np.all(np.diff(x[~np.isnan(x)]) >= 0):
        place = np.where(np.isnan(x), -np.inf, x)
        bins = np.floor(np.maximum.accumulate(np.clip(place, -1, 2)) * BINS)
        return thin([points[:, 1], *extra], bins)
    return thin([points[:, 0], points[:, 1]], np.arange(count) * BINS // count)


def _marked(points: Array, order: int) -> list[int]:
    """Indices of the points that carry a marker: four across the panel, other ones for each curve."""
    x = points[:, 0]
    seen = np.flatnonzero(~np.isnan(points).any(axis=1) & (x >= 0) & (x <= 1))
    if not len(seen):
        return []
    places = np.arange(0.05 + 0.024 * (order % 7), 1, 0.24)
    nearest = seen[np.abs(x[seen][:, None] - places).argmin(axis=0)]
    kept = np.abs(x[nearest] - places) < 0.12
    return sorted({int(i) for i in nearest[kept]})
