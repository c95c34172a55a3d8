"""Draws pictures: every kind of panel, side by side or one below another.

Each kind has a plan, which says how much room it needs around its panel, and fills the panel then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from contourpy import FillType, contour_generator
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from scipy.interpolate import RectBivariateSpline

from ...errors import ProblemError
from ..words import plain
from . import sheet as s
from .panels import Bars, Chart, Curve, Heat, Map, Panel, Path, Picture
from .sheet import LABEL, LEADER, TICK, TITLE, WORDS, Sheet, Tag, extent, wrap
from .style import THEORY, Colours, Style, gid, neutral, styles

Array = np.ndarray[Any, Any]
Looks = Mapping[str, Style]

WIDE, NARROW = 1080.0, 400.0
GAP = 30.0  # between panels, px
BINS = 200  # of a long curve; each keeps its extremes
_MUTED = Style("muted", "muted", (0, (6, 3)), "", 1.1)
_INK = Style("ink", "ink", "solid", "", 1.4)
_NOTHING = "nothing to draw"


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


def _look(item: Curve | Path, looks: Looks) -> Style:
    if isinstance(item, Curve) and item.look == "theory":
        base = THEORY
        return replace(base, dash=((0, (4, 2.5)), (0, (1.5, 2)), (0, (8, 2, 1.5, 2)))[item.variant % 3])
    return looks[item.method or item.label + "\t"].varied(item.variant)


# Charts


@dataclass(frozen=True)
class _Line:
    """A curve ready to draw: what cannot be drawn is NaN; ``end`` in shares of the axes."""

    curve: Curve
    style: Style
    x: Array
    y: Array
    band: tuple[Array, Array] | None


def _lines(chart: Chart, looks: Looks) -> list[_Line]:
    made = []
    for curve in chart.curves:
        x, y = s.finite(curve.x, "x" in chart.log).ravel(), s.finite(curve.y, "y" in chart.log).ravel()
        if len(x) != len(y):
            raise ProblemError(
                f"curve {curve.label!r}: x has {len(x)} values and y has {len(y)}; they must match"
            )
        y = np.where(np.isnan(x), np.nan, y)
        band = None
        if curve.band is not None:
            low, high = (s.finite(b, False).ravel() for b in curve.band)
            band = low, high
        made.append(_Line(curve, _look(curve, looks), x, y, band))
    return made


def _y_limits(chart: Chart, lines: Sequence[_Line], shown: tuple[float, float]) -> tuple[float, float]:
    """From the curves in sight; a run that died may rise far above the others without flattening them."""
    log = "y" in chart.log

    def seen(line: _Line) -> list[Array]:
        inside = (line.x >= shown[0]) & (line.x <= shown[1])
        return [part[inside] for part in (line.y, *(line.band or ()))]

    calm = [part for line in lines if not line.curve.died for part in seen(line)]
    wild = [part for line in lines if line.curve.died for part in seen(line)]
    if not any(np.isfinite(part).any() for part in calm):
        low, high = s.limits(wild, log)
    else:
        low, high = s.limits(calm, log)
        if wild and any(np.isfinite(part).any() for part in wild):
            wild_low, wild_high = s.limits(wild, log)
            reach = (high / low) ** 0.5 * 30 if log else 0.5 * (high - low)
            low = max(wild_low, low / reach if log else low - reach) if wild_low < low else low
            high = min(wild_high, high * reach if log else high + reach) if wild_high > high else high
    for value, _ in chart.levels:
        if log and low / 30 < value < low:
            low = value / 1.12
        elif log and high < value < high * 30:
            high = value * 1.12
        elif not log and np.isfinite(value):
            size = high - low
            low = value - 0.05 * size if low - size < value <= low else low
            high = value + 0.05 * size if high <= value < high + size else high
    return low, high


def _x_limits(chart: Chart, lines: Sequence[_Line]) -> tuple[float, float]:
    log = "x" in chart.log
    values = [line.x[~np.isnan(line.y)] for line in lines]
    loose = (chart.equal and not chart.log) or any(c.look == "points" for c in chart.curves)
    if loose:
        return s.limits(values, log, pad=0.05)
    real = np.concatenate(values or [np.empty(0)])
    if not len(real):
        return s.limits(values, log)
    low, high = float(real.min()), float(real.max())
    return (low, high) if high - low > 1e-12 * max(abs(low), abs(high)) else s.limits(values, log)


def _given(given: tuple[float, float] | None, found: tuple[float, float], log: bool) -> tuple[float, float]:
    if given is None:
        return found
    low, high = given
    good = np.isfinite([low, high]).all() and low < high and not (log and low <= 0)
    return (float(low), float(high)) if good else found


def _seen(x: Array, y: Array, xs: s.Axis, ys: s.Axis) -> Array:
    """Points (n, 2) in shares of both axes."""
    return np.stack([xs.unit(x), ys.unit(y)], axis=1)


def _kept(points: Array, extra: Sequence[Array] = ()) -> Array:
    """Indices of a long line's points that are enough to draw it, gaps and extremes among them."""
    count = len(points)
    if count <= 2 * BINS:
        return np.arange(count)
    x = points[:, 0]
    if np.all(np.diff(x[~np.isnan(x)]) >= 0):
        place = np.where(np.isnan(x), -np.inf, x)
        bins = np.floor(np.maximum.accumulate(np.clip(place, -1, 2)) * BINS)
        return s.thin([points[:, 1], *extra], bins)
    return s.thin([points[:, 0], points[:, 1]], np.arange(count) * BINS // count)


_WINDOW = (0.0, 0.0, 1.0, 1.0)


def _right_room(single: bool, narrow: bool, columns: int) -> float:
    return 125.0 if narrow else {1: 300.0, 2: 170.0}.get(columns, 118.0)


def chart(panel: Chart, looks: Looks, width: float, height: float, columns: int, narrow: bool) -> Plan:
    """The plan of a chart ``width`` px wide, all told, whose box is ``height`` px high."""
    lines = _lines(panel, looks)
    equal = panel.equal and not panel.log
    log_x, log_y = "x" in panel.log, "y" in panel.log
    x_low, x_high = _given(panel.x_range, _x_limits(panel, lines), log_x)
    y_low, y_high = _given(panel.y_range, _y_limits(panel, lines, (x_low, x_high)), log_y)
    if not any((~np.isnan(line.y)).any() for line in lines):
        return _nothing(width)
    ys = s.axis(y_low, y_high, log_y, height, "y", max(3, int(height / 48)))
    # Whether a line ends at the right edge is known before the box's width is.
    rough = s.Axis(x_low, x_high, log_x, (), ())
    tags: list[tuple[int, Tag]] = []
    for k, line in enumerate(lines):
        end = s.leaves(_seen(line.x, line.y, rough, ys), _WINDOW)
        if (line.curve.label or line.curve.died) and end is not None:
            tags.append((k, Tag(line.curve.label, line.style, end, line.curve.method, line.curve.aside)))
    column = [
        (k, tag)
        for k, tag in tags
        if tag.at[0] >= 0.98 and not lines[k].curve.died and lines[k].curve.look != "points" and not equal
    ]
    room = _right_room(columns == 1, narrow, columns)
    _, aside, words, _ = s.column_size([tag for _, tag in column], room)
    left = ys.room + 9
    right = LEADER + aside + words + 3 if column else 28.0
    box = width - left - right
    if equal:
        for _ in range(2):  # other limits may have wider ticks
            ranges = (x_low, x_high), (y_low, y_high)
            box, (x_low, x_high), (y_low, y_high) = _equal(width - left - right, height, *ranges)
            ys = s.axis(y_low, y_high, log_y, height, "y", max(3, int(height / 48)))
            left = max(left, ys.room + 9)
        width = left + box + right
    whole = all(np.all(np.mod(line.x[~np.isnan(line.x)], 1) == 0) for line in lines)
    xs, left, right = _across((x_low, x_high), log_x, width, left, right, whole)
    if equal:
        width = left + box + right
    others = [item for item in tags if item not in column]
    fill = partial(_fill_chart, panel, lines, xs, ys, [tag for _, tag in column], others, room)
    return Plan(width, left, right, fill)


def _across(
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


def _equal(
    box: float, height: float, x: tuple[float, float], y: tuple[float, float]
) -> tuple[float, tuple[float, float], tuple[float, float]]:
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
    xs: s.Axis,
    ys: s.Axis,
    column: Sequence[Tag],
    others: Sequence[tuple[int, Tag]],
    room: float,
    sheet: Sheet,
    ax: Axes,
) -> None:
    xs.put(ax, "x")
    ys.put(ax, "y")
    x0, y0, width, height = ax.bbox.bounds
    corner, size = np.array([x0, y0]), np.array([width, height])
    ground = s.Ground(ax)
    pixels: list[Array] = []
    for order, line in reversed(list(enumerate(lines))):
        pixels.append(corner + size * _curve(sheet, ax, line, xs, ys, order))
        ground.line(pixels[-1])
        if line.curve.look == "points":
            for off in ((-4, -4), (-4, 4), (4, -4), (4, 4)):
                ground.line(pixels[-1] + off)
    pixels.reverse()
    for _, tag in others:
        at = corner + size * tag.at
        ground.take(at[0] - 5, at[1] - 5, at[0] + 5, at[1] + 5)
    for k, tag in others:
        place = replace(tag, at=corner + size * tag.at)
        if lines[k].curve.died:
            sheet.cross(ax, tag.style, place.at, tag.method)
        if tag.words:
            tag_width = room if room > 200 else min(0.6 * width, 150)
            words = wrap(" ".join(filter(None, (tag.aside, tag.words))), tag_width, LABEL, True)
            way = pixels[k][~np.isnan(pixels[k]).any(axis=1)]
            closed = np.hypot(*(way[0] - way[-1])) < 12 or lines[k].curve.look == "points"
            anchors = _anchors(pixels[k], ground.box)
            s.inside(sheet, ground, replace(place, words=words), anchors, 0.4 if closed else 1.8)
    references(sheet, ax, ground, xs, panel.marks, "x")
    references(sheet, ax, ground, ys, panel.levels, "y")
    hidden = [
        line.curve.label
        for line in lines
        if line.curve.label
        and (~np.isnan(line.y)).any()
        and s.leaves(_seen(line.x, line.y, xs, ys), _WINDOW) is None
    ]
    if hidden:
        s.inside(sheet, ground, _note("outside this window: " + ", ".join(hidden), x0, y0, width))
    s.ends(sheet, ax, [replace(tag, at=corner + size * tag.at) for tag in column], room)


def _note(words: str, x: float, y: float, width: float) -> Tag:
    return Tag(wrap(words, 0.8 * width, LABEL), _MUTED, np.array([x, y + 8]), bold=False, reach=4)


def _anchors(points: Array, box: tuple[float, float, float, float]) -> Array:
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


def _curve(sheet: Sheet, ax: Axes, line: _Line, xs: s.Axis, ys: s.Axis, order: int) -> Array:
    """Draw one curve; its points in shares of the axes, for what must keep away from it."""
    curve, style = line.curve, line.style
    points = _seen(line.x, line.y, xs, ys)
    z = 3 + (40 - min(order, 40)) / 50
    extra: tuple[Array, ...] = ()
    if line.band is not None:
        # Where a band leaves the axis or is infinite it is cut at the axis.
        low, high = (np.where(np.isnan(line.y), np.nan, b) for b in line.band)
        low = np.fmax(np.where(np.isnan(low) & ~np.isnan(line.y), ys.low, low), ys.low)
        high = np.fmin(np.where(np.isnan(high) & ~np.isnan(line.y), ys.high, high), ys.high)
        extra = low, high
    keep = _kept(points, extra)
    x, y = line.x[keep], line.y[keep]
    # Nothing far outside is passed on: files hold places in pixels.
    with np.errstate(invalid="ignore"):
        u = np.clip(points[keep, 1], -1e3, 1e3)
    if not ys.log:
        y = np.where(np.isnan(y), np.nan, ys.low + u * (ys.high - ys.low))
    if line.band is not None:
        ax.fill_between(
            x,
            extra[0][keep],
            extra[1][keep],
            color=sheet.colour[style.stroke],
            alpha=0.22,
            linewidth=0,
            zorder=2.5,
            gid=gid(curve.method) if curve.method else None,
        )
    real = ~np.isnan(y)
    if not real.any():
        return points[keep]
    dot: dict[str, Any] = {"linestyle": "", "marker": style.marker or "o", "markeredgewidth": 0, "zorder": z}
    if curve.look == "points":
        ax.add_line(sheet.line(style, x, y, curve.method, **dot, markersize=5.5))
        return points[keep]
    more: dict[str, Any] = {"zorder": z}
    if style.marker and real.sum() > 1:
        more |= {"marker": style.marker, "markersize": 5.5, "markeredgewidth": 0}
        more["markevery"] = _marked(points[keep], order)
    if curve.look == "steps":
        more["drawstyle"] = "steps-post"
    ax.add_line(sheet.line(style, x, y, curve.method, **more))
    alone = real & ~np.concatenate([[False], real[:-1]]) & ~np.concatenate([real[1:], [False]])
    if alone.any():
        ax.add_line(sheet.line(style, x[alone], y[alone], curve.method, **dot, markersize=5))
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


def references(
    sheet: Sheet, ax: Axes, ground: s.Ground, axis: s.Axis, marks: Sequence[tuple[float, str]], which: str
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
        dash = _MUTED.dash if k % 2 == 0 else (0, (1.2, 2))
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
        s.inside(sheet, ground, Tag(text, _MUTED, at, bold=False, reach=3), line[1:-1], 0.4)
    for words in off:
        s.inside(sheet, ground, _note(words, x0, y0, width))


# Maps


_GRID = 220


def _rimmed(v: Array) -> Array:
    return np.concatenate([[v[0] - 0.02 * np.ptp(v)], v, [v[-1] + 0.02 * np.ptp(v)]])


def terrain(ax: Axes, x: Array, y: Array, f: Array, sheet: Sheet, levels: int = 17) -> None:
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
    for cut, added in reversed(list(zip(cuts, _added(tints), strict=True))):
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


def land(
    panel: Map, looks: Looks, width: float, height: float, columns: int, narrow: bool, film: bool = False
) -> Plan:
    """The plan of a map; for a film its paths are named in a key."""
    x, y, f = (np.asarray(part, np.float64) for part in panel.grid)
    if f.shape != (len(y), len(x)):
        raise ProblemError(f"map {panel.title!r}: f must have shape {(len(y), len(x))}, got {f.shape}")
    if min(f.shape) < 2 or not np.isfinite(f).any():
        return _nothing(width)
    ys = s.axis(float(y.min()), float(y.max()), False, height, "y", max(3, int(height / 60)))
    left = ys.room + 9
    drawn = [(path, _look(path, looks), _path_points(path)) for path in panel.paths]
    box = width - left - 28
    rough = s.Axis(float(x.min()), float(x.max()), False, (), ())
    finals = [s.leaves(_seen(p[:, 0], p[:, 1], rough, ys), _WINDOW) for _, _, p in drawn]
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
    xs, left, right = _across((float(x.min()), float(x.max())), False, width, left, right)
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
    sheet: Sheet,
    ax: Axes,
    still: bool = True,
) -> list[Trace]:
    """The landscape, what is marked on it and its paths; without these for a film, which moves them."""
    ax.grid(False)
    xs.put(ax, "x")
    ys.put(ax, "y")
    terrain(ax, *panel.grid, sheet)
    ground = s.Ground(ax)
    x0, y0, width, height = ax.bbox.bounds
    corner, size = np.array([x0, y0]), np.array([width, height])
    traces, ends = [], []
    for path, style, points in drawn:
        seen = _seen(points[:, 0], points[:, 1], xs, ys)
        traces.append(Trace(path, style, seen, _kept_path(seen, size)))
        ground.line(corner + size * seen[traces[-1].kept])
        if (end := s.leaves(seen, _WINDOW)) is not None:
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
    _points(panel.points, sheet, ax, xs, ys, ground)
    if keyed:
        _key(keyed, beside, per_row, sheet, ax)
        return traces
    for trace, at in ends:
        if trace.path.label:
            words = wrap(trace.path.label, 0.45 * width, LABEL, True)
            anchors = _anchors(corner + size * trace.points[trace.kept], ground.box)
            s.inside(sheet, ground, Tag(words, trace.style, at, trace.path.method), anchors)
    return traces


def end_marker(sheet: Sheet, ax: Axes, path: Path, style: Style, at: Array) -> Any:
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


def _points(
    points: Sequence[tuple[float, float, str]],
    sheet: Sheet,
    ax: Axes,
    xs: s.Axis,
    ys: s.Axis,
    ground: s.Ground,
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
        kept.append(Tag(wrap(words, 0.45 * width, LABEL, True), _INK, at, reach=8))
    for tag in kept:
        if tag.words:
            s.inside(sheet, ground, tag)


def _key(keyed: Sequence[tuple[Style, str, str]], beside: bool, per_row: int, sheet: Sheet, ax: Axes) -> None:
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
        words = fit_label(label, room)
        sheet.words(x + 37, y, words, size=LABEL, colour=style.text, bold=True, method=method, va="center")


def fit_label(label: str, room: float) -> str:
    """A label on one line."""
    return s.fit(label, room, LABEL, True)


# Heat maps


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


_SHADES = 12


def _added(tints: Sequence[float]) -> list[float]:
    """The opacity that each layer adds to the ones below it, the palest last, to come to these tints."""
    around = [*tints[1:], 0.0]
    return [1 - (1 - tint) / (1 - other) for tint, other in zip(tints, around, strict=True)]


def heat(panel: Heat, looks: Looks, width: float, height: float, columns: int, narrow: bool) -> Plan:
    """The plan of a heat map."""
    across, up = (np.asarray(v, np.float64).ravel() for v in (panel.columns, panel.rows))
    values = np.asarray(panel.values, np.float64)
    if values.shape != (len(up), len(across)):
        raise ProblemError(
            f"heat map {panel.title!r}: values must have shape {(len(up), len(across))}, got {values.shape}"
        )
    if not values.size:
        return _nothing(width)
    log = "v" in panel.log
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
    sheet: Sheet,
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
    for i, added in reversed(list(enumerate(_added(tints)))):
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
    _points(panel.points, sheet, ax, xs, ys, s.Ground(ax))


# Bars


def _bar_names(panel: Bars, width: float) -> list[str]:
    return [wrap(label, 0.36 * width, LABEL, True) for label in panel.labels]


def _rows(names: Sequence[str]) -> list[float]:
    """The height that each bar's row would like, px."""
    return [max(28.0, extent(name, LABEL, True)[1] + 10) for name in names]


def bars(panel: Bars, looks: Looks, width: float, height: float, columns: int, narrow: bool) -> Plan:
    """The plan of bars; those without a method are drawn in the muted ink."""
    count = len(panel.labels)
    if len(panel.values) != count:
        raise ProblemError(
            f"bars {panel.title!r}: {count} labels and {len(panel.values)} values; they must match"
        )
    if not count:
        return _nothing(width)
    names = _bar_names(panel, width)
    left = max(extent(n, LABEL, True)[0] for n in names) + 12
    right = 16.0
    box = width - left - right
    values = s.finite(np.array([np.nan if v is None else v for v in panel.values], float), panel.log)
    words = [panel.missing if np.isnan(v) else plain(float(v)) for v in values]
    real = [
        *values[~np.isnan(values)],
        *(v for v, _ in panel.levels if np.isfinite(v) and (v > 0 or not panel.log)),
    ]
    if panel.log:
        low, high = s.limits([np.array(real)], True, pad=0.0)
        low, high = low / 2, high * 1.05
    else:
        low, high = min([0.0, *real]), max([0.0, *real])
        low, high = (low, high) if low < high else (0.0, 1.0)
    # Room for the words at the bars' ends, on the side where they stand.
    share = np.nan_to_num(s.unit(values, low, high, panel.log))
    zero = 0.0 if panel.log else s.unit(0.0, low, high, False)
    need_right = max(
        (
            extent(w, LABEL)[0] + 10 - (1 - u) * box
            for w, u, v in zip(words, share, values, strict=True)
            if not v < 0 or panel.log
        ),
        default=0,
    )
    need_left = max(
        (
            extent(w, LABEL)[0] + 10 - u * box
            for w, u, v in zip(words, share, values, strict=True)
            if v < 0 and not panel.log
        ),
        default=0,
    )
    need_right, need_left = max(0.0, need_right), max(0.0, need_left)
    need_right = max(
        need_right,
        float(max(extent(panel.missing, LABEL)[0] + 10 - (1 - zero) * box, 0.0))
        if np.isnan(values).any()
        else 0.0,
    )
    used = max(0.3 * box, box - need_left - need_right)
    if panel.log:
        decade = np.log(high / low) / used
        low, high = low * np.exp(-decade * need_left), high * np.exp(decade * need_right)
    else:
        unit = (high - low) / used
        low, high = low - unit * need_left, high + unit * need_right
    xs, left, right = _across((float(low), float(high)), panel.log, width, left, right)
    strip = 0.0 if not panel.levels else 22.0
    fill = partial(_fill_bars, panel, names, values, words, xs, looks, strip)
    return Plan(width, left, right, fill)


def _fill_bars(
    panel: Bars,
    names: Sequence[str],
    values: Array,
    words: Sequence[str],
    xs: s.Axis,
    looks: Looks,
    strip: float,
    sheet: Sheet,
    ax: Axes,
) -> None:
    xs.put(ax, "x")
    x0, y0, width, height = ax.bbox.bounds
    rows = np.array(_rows(names))
    rows *= (height - strip) / rows.sum()
    middles = height - strip - rows.cumsum() + rows / 2
    ax.set_yticks([])
    ax.grid(False, axis="y")
    ax.set_ylim(0, height)
    ax.spines["left"].set_visible(False)
    ground = s.Ground(ax, rim=0)
    zero = 0.0 if panel.log else float(np.clip(xs.unit(0.0), 0, 1))
    if not panel.log and xs.low <= 0 <= xs.high:
        ax.axvline(0, color=sheet.colour["muted"], linewidth=1, zorder=2)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        method = panel.methods[i] if i < len(panel.methods) else ""
        style = looks[method] if method else _MUTED
        y = float(middles[i])
        thick = min(22.0, 0.62 * float(rows[i]))
        end = zero
        if not np.isnan(value):
            end = float(np.clip(xs.unit(value), 0, 1))
            outline = np.array(
                [(zero, y - thick / 2), (end, y - thick / 2), (end, y + thick / 2), (zero, y + thick / 2)]
            )
            data = np.stack([_from_unit(xs, outline[:, 0]), outline[:, 1]], axis=1)
            patch = PathPatch(
                Outline(np.vstack([data, data[:1]]), closed=True),
                facecolor=(sheet.colour[style.stroke], 0.75),
                linewidth=0,
                zorder=3,
            )
            if method:
                patch.set_gid(gid(method))
            ax.add_artist(patch)
        left_side = end < zero
        sheet.words(
            x0 + width * end + (-6 if left_side else 6),
            y0 + y,
            words[i],
            size=LABEL,
            colour="ink" if not np.isnan(value) else "muted",
            method=method,
            va="center",
            ha="right" if left_side else "left",
            bbox=sheet.plate() | {"pad": 0.5},
        )
        sheet.words(
            x0 - 10,
            y0 + y,
            name,
            size=LABEL,
            colour=style.text if method else "ink",
            bold=True,
            method=method,
            va="center",
            ha="right",
        )
        size = extent(words[i], LABEL)[0] + 8
        lo, hi = sorted((zero, end))
        ground.take(
            x0 + width * lo - (size if left_side else 0),
            y0 + y - max(thick / 2, 8),
            x0 + width * hi + (0 if left_side else size),
            y0 + y + max(thick / 2, 8),
        )
    references(sheet, ax, ground, xs, panel.levels, "x")


def _from_unit(axis: s.Axis, share: Array) -> Array:
    if axis.log:
        return np.asarray(axis.low * np.exp(share * np.log(axis.high / axis.low)))
    return np.asarray(axis.low + share * (axis.high - axis.low))


# The sheet


def _nothing(width: float) -> Plan:
    def fill(sheet: Sheet, ax: Axes) -> None:
        ax.grid(False)
        ax.set_xticks([])
        ax.set_yticks([])
        x0, y0, wide, high = ax.bbox.bounds
        sheet.words(x0 + wide / 2, y0 + high / 2, _NOTHING, size=WORDS, ha="center", va="center")

    return Plan(width, 8.0, 16.0, fill, ticks=False)


_PLANS: dict[type[Any], Callable[..., Plan]] = {Chart: chart, Map: land, Heat: heat, Bars: bars}


def _height(panel: Panel, width: float, columns: int, narrow: bool) -> float:
    """The height that a panel would like its box to have, px."""
    if isinstance(panel, Bars):
        return max(60.0, sum(_rows(_bar_names(panel, width))) + (22 if panel.levels else 0))
    if isinstance(panel, Map):
        return 300.0 if narrow else {1: 520.0, 2: 400.0}.get(columns, 320.0)
    if isinstance(panel, Heat):
        return 270.0 if narrow else {1: 420.0, 2: 360.0}.get(columns, 300.0)
    base = 270.0 if narrow else {1: 370.0, 2: 340.0}.get(columns, 300.0)
    if panel.equal:
        base = 330.0 if narrow else {1: 460.0, 2: 400.0}.get(columns, 300.0)
    tags = [Tag(c.label, _INK, np.zeros(2), aside=c.aside) for c in panel.curves if c.label and not c.died]
    column = s.column_size(tags, _right_room(columns == 1, narrow, columns))[3]
    return max(base, column - 10)


def figure(picture: Picture, colours: Colours, narrow: bool = False) -> Figure:
    """A picture as a matplotlib figure of 72 dots an inch, in a theme's colours or in sentinels.

    Panels stand side by side with equal heights, 1080 px wide, or one below another, 400 px wide.
    ProblemError where a panel's arrays do not fit each other.
    """
    looks = looks_of(picture)
    count = len(picture.panels)
    columns = 1 if narrow else {4: 2}.get(count, min(max(count, 1), 3))
    cell = NARROW if narrow else (WIDE - GAP * (columns - 1)) / columns
    rows = [picture.panels[i : i + columns] for i in range(0, count, columns)]
    placed: list[tuple[float, float, float, Panel, Plan]] = []  # left, top of the row's words, box height
    top, widest = 4.0, 0.0
    sizes = []
    for row in rows:
        height = max(_height(p, cell, columns, narrow) for p in row)
        plans = [_PLANS[type(p)](p, looks, cell, height, columns, narrow) for p in row]
        words = [_header(p, plan) for p, plan in zip(row, plans, strict=True)]
        head = max(w[2] + plan.head for w, plan in zip(words, plans, strict=True))
        foot = max(_footer(p, plan)[1] + plan.foot for p, plan in zip(row, plans, strict=True))
        left = 0.0
        for panel, plan in zip(row, plans, strict=True):
            placed.append((left, top, top + head, panel, plan))
            sizes.append(height)
            left += plan.width + GAP
        widest = max(widest, left - GAP)
        top += head + height + foot + (26 if narrow else 20)
    if not rows:
        empty = Sheet(colours, cell, 80)
        empty.words(cell / 2, 40, _NOTHING, ha="center", va="center")
        return empty.figure
    sheet = Sheet(colours, widest, top - (26 if narrow else 20) + 6)
    for (left, above, begin, panel, plan), height in zip(placed, sizes, strict=True):
        box = plan.width - plan.left - plan.right
        ax = sheet.axes(left + plan.left, begin, box, height)
        _label(sheet, panel, plan, left, above, begin, height)
        plan.fill(sheet, ax)
    return sheet.figure


def alone(
    panel: Panel, plan: Plan, colours: Colours, height: float, rim: float = 0.0, below: float = 6.0
) -> tuple[Sheet, Axes, float]:
    """A sheet with one panel, not yet filled, a rim around it and room below, px; where the latter begins."""
    head = rim + 4 + _header(panel, plan)[2] + plan.head
    bottom = head + height + _footer(panel, plan)[1] + plan.foot
    sheet = Sheet(colours, plan.width + 2 * rim, bottom + rim + below)
    ax = sheet.axes(rim + plan.left, head, plan.width - plan.left - plan.right, height)
    _label(sheet, panel, plan, rim, rim + 4, head, height)
    return sheet, ax, bottom


def _y_words(panel: Panel) -> str:
    return "" if isinstance(panel, Bars) else panel.y


def _header(panel: Panel, plan: Plan) -> tuple[str, str, float]:
    """The title, the words above the box, and their height together."""
    title = wrap(panel.title, plan.width - 4, TITLE, True) if panel.title else ""
    y = _y_words(panel) if plan.ticks else ""
    share = 0.52 if plan.aside else 1.0
    above = wrap(y, share * (plan.width - plan.left) - 4, WORDS) if y else ""
    aside = wrap(plan.aside, 0.44 * (plan.width - plan.left), WORDS) if plan.aside else ""
    lines = max((extent(w, WORDS)[1] for w in (above, aside) if w), default=0.0)
    return title, above, (extent(title, TITLE, True)[1] + 6 if title else 0.0) + (lines + 9 if lines else 6.0)


def _footer(panel: Panel, plan: Plan) -> tuple[str, float]:
    if not plan.ticks:
        return "", 8.0
    words = wrap(panel.x, plan.width - 8, WORDS) if panel.x else ""
    return words, 20.0 + (extent(words, WORDS)[1] + 6 if words else 0.0)


def _label(
    sheet: Sheet, panel: Panel, plan: Plan, left: float, above: float, begin: float, height: float
) -> None:
    """A panel's title, the words of its axes, and what stands above its right room."""
    title, y, _ = _header(panel, plan)
    high = sheet.height
    if title:
        sheet.words(left + 1, high - above, title, size=TITLE, colour="ink", bold=True, va="top")
    if y:
        sheet.words(left + plan.left if not title else left + 1, high - begin + 9, y, va="bottom")
    if plan.aside:
        words = wrap(plan.aside, 0.44 * (plan.width - plan.left), WORDS)
        sheet.words(left + plan.width - 1, high - begin + 9, words, va="bottom", ha="right")
    words = _footer(panel, plan)[0]
    if words:
        box = plan.width - plan.left - plan.right
        middle = left + plan.left + box / 2
        half = extent(words, WORDS)[0] / 2
        middle = min(max(middle, left + half + 2), left + plan.width - half - 2)
        sheet.words(middle, high - begin - height - 22, words, ha="center", va="top")
