"""Curves over two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...errors import ProblemError
from .axes import Axis, Limits, data_limits, drawable, fit_axis, x_axis
from .canvas import Canvas, LineOptions, depth
from .labels import LEADER, Tag, column_size, note, place, place_column
from .layout import Cell, PanelLayout, empty_layout, label_room
from .lines import BINS, label_anchors, last_seen, panel_shares, thin
from .looks import Looks, look_of
from .marks import mark_cuts, reference_lines
from .occupancy import OccupancyGrid
from .panels import Chart, Curve
from .style import INK, Style, gid
from .text import LABEL, wrap

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Line:
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


def _lines(chart: Chart, looks: Looks) -> list[_Line]:
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
        lines.append(_Line(curve, look_of(curve, looks), x, y, band))
    return lines


def _y_limits(chart: Chart, lines: Sequence[_Line], shown: Limits) -> Limits:
    """From the curves in sight; a run that died may rise far above the others without flattening them."""
    log = "y" in chart.log

    def seen(line: _Line) -> list[Array]:
        inside = (line.x >= shown[0]) & (line.x <= shown[1])
        return [part[inside] for part in (line.y, *(line.band or ()))]

    calm = [part for line in lines if not line.curve.died for part in seen(line)]
    wild = [part for line in lines if line.curve.died for part in seen(line)]
    if not any(np.isfinite(part).any() for part in calm):
        low, high = data_limits(wild, log)
    else:
        low, high = data_limits(calm, log)
        if wild and any(np.isfinite(part).any() for part in wild):
            wild_low, wild_high = data_limits(wild, log)
            reach = (high / low) ** 0.5 * 30 if log else 0.5 * (high - low)
            low = max(wild_low, low / reach if log else low - reach) if wild_low < low else low
            high = min(wild_high, high * reach if log else high + reach) if wild_high > high else high
    return _with_levels(low, high, [value for value, _ in chart.levels], log)


def _with_levels(low: float, high: float, levels: Sequence[float], log: bool) -> Limits:
    """Limits that take in the levels that lie not far outside."""
    for value in levels:
        if log and low / 30 < value < low:
            low = value / 1.12
        elif log and high < value < high * 30:
            high = value * 1.12
        elif not log and np.isfinite(value):
            size = high - low
            low = value - 0.05 * size if low - size < value <= low else low
            high = value + 0.05 * size if high <= value < high + size else high
    return low, high


def _x_limits(chart: Chart, lines: Sequence[_Line]) -> Limits:
    """From the curves, to their ends; with room around where nothing ends there."""
    log = "x" in chart.log
    values = [line.x[~np.isnan(line.y)] for line in lines]
    loose = (chart.equal and not chart.log) or any(c.look == "points" for c in chart.curves)
    if loose:
        return data_limits(values, log, pad=0.05)
    real = np.concatenate(values or [np.empty(0)])
    if not len(real):
        return data_limits(values, log)
    low, high = float(real.min()), float(real.max())
    return (low, high) if high - low > 1e-12 * max(abs(low), abs(high)) else data_limits(values, log)


def _chosen(wanted: Limits | None, fitting: Limits, log: bool) -> Limits:
    """The limits that the chart asks for where they make an axis, else those that fit the curves."""
    if wanted is None:
        return fitting
    low, high = wanted
    good = np.isfinite([low, high]).all() and low < high and not (log and low <= 0)
    return (float(low), float(high)) if good else fitting


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


def wanted_height(panel: Chart, cell: Cell) -> float:
    """The height that a chart's box would like, px."""
    base = cell.pick(330, 460, 400, 300) if panel.equal else cell.pick(270, 370, 340, 300)
    tags = [Tag(c.label, INK, np.zeros(2), aside=c.aside) for c in panel.curves if c.label and not c.died]
    return max(base, column_size(tags, label_room(cell))[3] - 10)


def layout(panel: Chart, looks: Looks, cell: Cell, height: float) -> PanelLayout:
    """The layout of a chart whose box is ``height`` px high."""
    width = cell.width
    lines = _lines(panel, looks)
    equal = panel.equal and not panel.log
    log_x, log_y = "x" in panel.log, "y" in panel.log
    x_low, x_high = _chosen(panel.x_range, _x_limits(panel, lines), log_x)
    y_low, y_high = _chosen(panel.y_range, _y_limits(panel, lines, (x_low, x_high)), log_y)
    if not any((~np.isnan(line.y)).any() for line in lines):
        return empty_layout(cell)
    ys = fit_axis(y_low, y_high, log_y, height, "y", max(3, int(height / 48)))
    # Whether a line ends at the right edge is known before the box's width is.
    rough = Axis(x_low, x_high, log_x, (), ())
    tags: list[tuple[int, Tag]] = []
    for k, line in enumerate(lines):
        end = last_seen(panel_shares(line.x, line.y, rough, ys))
        if (line.curve.label or line.curve.died) and end is not None:
            tags.append((k, Tag(line.curve.label, line.style, end, line.curve.method, line.curve.aside)))
    column = [
        (k, tag)
        for k, tag in tags
        if tag.at[0] >= 0.98 and not lines[k].curve.died and lines[k].curve.look != "points" and not equal
    ]
    room = label_room(cell)
    _, aside, words, _ = column_size([tag for _, tag in column], room)
    left = ys.room + 9
    right = LEADER + aside + words + 3 if column else 28.0
    box = width - left - right
    if equal:
        for _ in range(2):  # other limits may have wider ticks
            ranges = (x_low, x_high), (y_low, y_high)
            box, (x_low, x_high), (y_low, y_high) = _equal(width - left - right, height, *ranges)
            ys = fit_axis(y_low, y_high, log_y, height, "y", max(3, int(height / 48)))
            left = max(left, ys.room + 9)
        width = left + box + right
    whole = all(np.all(np.mod(line.x[~np.isnan(line.x)], 1) == 0) for line in lines)
    xs, left, right = x_axis((x_low, x_high), log_x, width, left, right, whole)
    if equal:
        width = left + box + right
    others = [item for item in tags if item not in column]
    fill = partial(_fill_chart, panel, lines, xs, ys, [tag for _, tag in column], others, room)
    return PanelLayout(width, left, right, fill)


def _equal(box: float, height: float, x: Limits, y: Limits) -> tuple[float, Limits, Limits]:
    """The box and limits in which a unit is as long on both axes."""
    across, up = x[1] - x[0], y[1] - y[0]
    wanted = max(height * across / up, 0.8 * height)
    if wanted < box:
        box = wanted
    scale = max(across / box, up / height)  # units a pixel
    x_mid, y_mid = sum(x) / 2, sum(y) / 2
    return (
        box,
        (x_mid - scale * box / 2, x_mid + scale * box / 2),
        (y_mid - scale * height / 2, y_mid + scale * height / 2),
    )


def _fill_chart(
    panel: Chart,
    lines: Sequence[_Line],
    xs: Axis,
    ys: Axis,
    column: Sequence[Tag],
    others: Sequence[tuple[int, Tag]],
    room: float,
    canvas: Canvas,
    ax: Axes,
) -> None:
    xs.apply(ax, "x")
    ys.apply(ax, "y")
    x0, y0, width, height = ax.bbox.bounds
    corner, size = np.array([x0, y0]), np.array([width, height])
    occupancy = OccupancyGrid(ax)
    pixels: list[Array] = []
    for order, line in reversed(list(enumerate(lines))):
        pixels.append(corner + size * _curve(canvas, ax, line, xs, ys, order))
        occupancy.line(pixels[-1])
        if line.curve.look == "points":
            for off in ((-4, -4), (-4, 4), (4, -4), (4, 4)):
                occupancy.line(pixels[-1] + off)
    pixels.reverse()
    for _, tag in others:
        at = corner + size * tag.at
        occupancy.take(at[0] - 5, at[1] - 5, at[0] + 5, at[1] + 5)
    for k, tag in others:
        on_panel = replace(tag, at=corner + size * tag.at)
        if lines[k].curve.died:
            canvas.cross(ax, tag.style, on_panel.at, tag.method)
        if tag.words:
            tag_width = room if room > 200 else min(0.6 * width, 150)
            words = wrap(" ".join(filter(None, (tag.aside, tag.words))), tag_width, LABEL, True)
            way = pixels[k][~np.isnan(pixels[k]).any(axis=1)]
            closed = np.hypot(*(way[0] - way[-1])) < 12 or lines[k].curve.look == "points"
            anchors = label_anchors(pixels[k], occupancy.box)
            place(canvas, occupancy, replace(on_panel, words=words), anchors, 0.4 if closed else 1.8)
    reference_lines(canvas, ax, occupancy, xs, panel.marks, "x")
    reference_lines(canvas, ax, occupancy, ys, panel.levels, "y")
    unseen = [("outside this window", [line.curve.label for line in lines if line.hidden(xs, ys)])]
    for side in ("below", "above"):
        unseen.append(
            (f"ends {side} this axis", [n.curve.label for n in lines if n.ends_beyond(xs, ys) == side])
        )
    if said := "; ".join(f"{what}: {', '.join(names)}" for what, names in unseen if names):
        place(canvas, occupancy, note(said, x0, y0, width))
    place_column(canvas, ax, [replace(tag, at=corner + size * tag.at) for tag in column], room)


def _curve(canvas: Canvas, ax: Axes, line: _Line, xs: Axis, ys: Axis, order: int) -> Array:
    """Draw one curve; its points in shares of the axes, for what must keep away from it."""
    curve, style = line.curve, line.style
    points = panel_shares(line.x, line.y, xs, ys)
    z = depth(order)
    band = line.band_on(ys)
    keep = _kept(points, band or ())
    x, y = line.x[keep], line.y[keep]
    # Nothing far outside is passed on: files hold places in pixels.
    with np.errstate(invalid="ignore"):
        u = np.clip(points[keep, 1], -1e3, 1e3)
    if not ys.log:
        y = np.where(np.isnan(y), np.nan, ys.low + u * (ys.high - ys.low))
    if band is not None:
        low, high = band
        ax.fill_between(
            x,
            low[keep],
            high[keep],
            color=canvas.colour[style.stroke],
            alpha=0.22,
            linewidth=0,
            zorder=2.5,
            gid=gid(curve.method) if curve.method else None,
        )
        for cut, above in zip(line.cuts(ys), (False, True), strict=True):
            inside = cut[(cut >= xs.low) & (cut <= xs.high)]
            mark_cuts(ax, inside, canvas.colour[style.stroke], above)
    real = ~np.isnan(y)
    if not real.any():
        return points[keep]
    dot: LineOptions = {
        "linestyle": "",
        "marker": style.marker or "o",
        "markersize": 5.5 if curve.look == "points" else 5,
        "markeredgewidth": 0,
        "zorder": z,
    }
    if curve.look == "points":
        ax.add_line(canvas.line(style, x, y, curve.method, **dot))
        return points[keep]
    options: LineOptions = {"zorder": z}
    if style.marker and real.sum() > 1:
        options |= {"marker": style.marker, "markersize": 5.5, "markeredgewidth": 0}
        options["markevery"] = _marked(points[keep], order)
    if curve.look == "steps":
        options["drawstyle"] = "steps-post"
    ax.add_line(canvas.line(style, x, y, curve.method, **options))
    alone = real & ~np.concatenate([[False], real[:-1]]) & ~np.concatenate([real[1:], [False]])
    if alone.any():
        ax.add_line(canvas.line(style, x[alone], y[alone], curve.method, **dot))
    return points[keep]


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
