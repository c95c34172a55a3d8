"""Curves over two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .axes import Axis, Limits, data_limits, fit_axis, x_axis
from .canvas import Canvas
from .curves import Line, Trace, draw_curve, lines_of, trace
from .labels import LEADER, Tag, column_size, place, place_column
from .layout import Cell, PanelLayout, empty_layout, label_room
from .lines import label_anchors, last_seen, panel_shares
from .looks import Looks
from .marks import off_axis, reference_lines
from .occupancy import OccupancyGrid
from .panels import Chart
from .style import INK
from .text import LABEL, notes, wrap

Array = np.ndarray[Any, Any]


def _y_limits(chart: Chart, lines: Sequence[Line], shown: Limits) -> Limits:
    """From the curves in sight; a run that died may rise far above the others without flattening them."""
    log = "y" in chart.log

    def seen(line: Line) -> list[Array]:
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


def _x_limits(chart: Chart, lines: Sequence[Line]) -> Limits:
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


def wanted_height(panel: Chart, cell: Cell) -> float:
    """The height that a chart's box would like, px."""
    base = cell.pick(330, 460, 400, 300) if panel.equal else cell.pick(270, 370, 340, 300)
    tags = [Tag(c.label, INK, np.zeros(2), aside=c.aside) for c in panel.curves if c.label and not c.died]
    return max(base, column_size(tags, label_room(cell))[3] - 10)


def layout(panel: Chart, looks: Looks, cell: Cell, height: float) -> PanelLayout:
    """The layout of a chart whose box is ``height`` px high."""
    width = cell.width
    lines = lines_of(panel, looks)
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
    traces = [trace(line, xs, ys, width - left - right, height) for line in lines]
    fill = partial(_fill_chart, panel, traces, xs, ys, [tag for _, tag in column], others, room)
    return PanelLayout(width, left, right, fill, note=_note(panel, traces, xs, ys))


def _note(panel: Chart, traces: Sequence[Trace], xs: Axis, ys: Axis) -> str:
    """What of the chart is cut off or simplified."""
    named = [t for t in traces if t.line.curve.label]
    unseen = {"outside this window": [t.line.curve.label for t in named if t.line.hidden(xs, ys)]}
    for side in ("below", "above"):
        ends = [t.line.curve.label for t in named if t.line.ends_beyond(xs, ys) == side]
        unseen[f"ends {side} this axis"] = ends
    unseen["swings too close to be seen are a band"] = [t.line.curve.label for t in named if t.swings]
    off = off_axis(xs, panel.marks, "x") | off_axis(ys, panel.levels, "y")
    said = notes(unseen, [t.line.curve.label for t in named]), notes(off, ())
    return "; ".join(filter(None, said))


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
    traces: Sequence[Trace],
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
    pixels = [corner + size * t.points for t in traces]
    for order, (traced, way) in reversed(list(enumerate(zip(traces, pixels, strict=True)))):
        draw_curve(canvas, ax, traced, xs, ys, order)
        occupancy.line(way)
        if traced.line.curve.look == "points":
            for off in ((-4, -4), (-4, 4), (4, -4), (4, 4)):
                occupancy.line(way + off)
    for _, tag in others:
        at = corner + size * tag.at
        occupancy.take(at[0] - 5, at[1] - 5, at[0] + 5, at[1] + 5)
    for k, tag in others:
        on_panel = replace(tag, at=corner + size * tag.at)
        curve = traces[k].line.curve
        if curve.died:
            canvas.cross(ax, tag.style, on_panel.at, tag.method)
        if tag.words:
            tag_width = room if room > 200 else min(0.6 * width, 150)
            words = wrap(" ".join(filter(None, (tag.aside, tag.words))), tag_width, LABEL, True)
            way = pixels[k][~np.isnan(pixels[k]).any(axis=1)]
            closed = np.hypot(*(way[0] - way[-1])) < 12 or curve.look == "points"
            anchors = label_anchors(pixels[k], occupancy.box)
            place(canvas, occupancy, replace(on_panel, words=words), anchors, 0.4 if closed else 1.8)
    reference_lines(canvas, ax, occupancy, xs, panel.marks, "x")
    reference_lines(canvas, ax, occupancy, ys, panel.levels, "y")
    place_column(canvas, ax, [replace(tag, at=corner + size * tag.at) for tag in column], room)
