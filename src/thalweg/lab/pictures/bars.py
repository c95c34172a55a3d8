"""One bar for each method or case."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D

from ...errors import ProblemError
from ..formatting import plain
from .axes import Axis, Limits, axis_shares, data_limits, drawable, x_axis
from .canvas import Canvas
from .layout import Cell, PanelLayout, empty_layout
from .looks import Looks
from .marks import off_axis, reference_lines
from .occupancy import OccupancyGrid
from .panels import Bars
from .style import MUTED, Style, gid
from .text import LABEL, extent, notes, wrap

Array = np.ndarray[Any, Any]


_STRIP = 22.0  # above the bars, for the words of levels, px


class _Bar(NamedTuple):
    """A bar ready to draw: its name wrapped, a value that is NaN where there is nothing to draw, its number in words."""

    name: str
    value: float
    words: str
    method: str


def _wrapped_names(panel: Bars, width: float) -> list[str]:
    return [wrap(label, 0.36 * width, LABEL, True) for label in panel.labels]


def _row_heights(names: Sequence[str]) -> list[float]:
    """The height that each bar's row would like, px."""
    return [max(28.0, extent(name, LABEL, True)[1] + 10) for name in names]


def wanted_height(panel: Bars, cell: Cell) -> float:
    """The height that the bars would like, px."""
    return max(60.0, sum(_row_heights(_wrapped_names(panel, cell.width))) + (_STRIP if panel.levels else 0.0))


def layout(panel: Bars, looks: Looks, cell: Cell, height: float) -> PanelLayout:
    """The layout of bars whose box is ``height`` px high; those without a method are drawn in the muted ink."""
    width = cell.width
    count = len(panel.labels)
    if len(panel.values) != count:
        raise ProblemError(
            f"bars {panel.title!r}: {count} labels and {len(panel.values)} values; they must match"
        )
    if not count:
        return empty_layout(cell)
    names = _wrapped_names(panel, width)
    left = max(extent(n, LABEL, True)[0] for n in names) + 12
    right = 16.0
    numbers = np.array([np.nan if v is None else v for v in panel.values], float)
    words = [plain(float(v)) if np.isfinite(v) else panel.missing for v in numbers]
    values = drawable(numbers, panel.log)  # what is zero on a log scale has words and no bar
    low, high = _limits(panel, values, words, width - left - right)
    xs, left, right = x_axis((low, high), panel.log, width, left, right)
    methods = [*panel.methods, *[""] * count][:count]
    bars = [_Bar(*bar) for bar in zip(names, values, words, methods, strict=True)]
    return PanelLayout(
        width,
        left,
        right,
        partial(_fill_bars, panel, bars, xs, looks),
        note=notes(off_axis(xs, panel.levels, "x"), ()),
    )


def _limits(panel: Bars, values: Array, words: Sequence[str], box: float) -> Limits:
    """Limits of the x axis of a box so many px wide, with room for the words at the bars' ends."""
    real = [
        *values[~np.isnan(values)],
        *(v for v, _ in panel.levels if np.isfinite(v) and (v > 0 or not panel.log)),
    ]
    if panel.log:
        low, high = data_limits([np.array(real)], True, pad=0.0)
        low, high = low / 2, high * 1.05
    else:
        low, high = min([0.0, *real]), max([0.0, *real])
        low, high = (low, high) if low < high else (0.0, 1.0)
    zero = 0.0 if panel.log else float(axis_shares(0.0, low, high, False))
    ends = np.where(np.isnan(values), zero, axis_shares(values, low, high, panel.log))
    sizes = np.array([extent(w, LABEL)[0] + 10 for w in words])
    back = ends < zero  # the words stand on the side where the bar ends
    need_right = max(0.0, *np.where(back, 0.0, sizes - (1 - ends) * box))
    need_left = max(0.0, *np.where(back, sizes - ends * box, 0.0))
    used = max(0.3 * box, box - need_left - need_right)
    if panel.log:
        decade = np.log(high / low) / used
        return float(low * np.exp(-decade * need_left)), float(high * np.exp(decade * need_right))
    unit = (high - low) / used
    return float(low - unit * need_left), float(high + unit * need_right)


def _fill_bars(panel: Bars, bars: Sequence[_Bar], xs: Axis, looks: Looks, canvas: Canvas, ax: Axes) -> None:
    xs.apply(ax, "x")
    _, _, _, height = ax.bbox.bounds
    free = height - (_STRIP if panel.levels else 0.0)
    rows = np.array(_row_heights([bar.name for bar in bars]))
    rows *= free / rows.sum()
    middles = free - rows.cumsum() + rows / 2
    ax.set_yticks([])
    ax.grid(False, axis="y")
    ax.set_ylim(0, height)
    ax.spines["left"].set_visible(False)
    occupancy = OccupancyGrid(ax, rim=0)
    if not panel.log and xs.low <= 0 <= xs.high:
        ax.axvline(0, color=canvas.colour["muted"], linewidth=1, zorder=2)
    for bar, middle, row in zip(bars, middles, rows, strict=True):
        style = looks[bar.method] if bar.method else MUTED
        _draw_bar(bar, style, xs, float(middle), min(22.0, 0.62 * float(row)), canvas, ax, occupancy)
    reference_lines(canvas, ax, occupancy, xs, panel.levels, "x")


def _draw_bar(
    bar: _Bar,
    style: Style,
    xs: Axis,
    y: float,
    thick: float,
    canvas: Canvas,
    ax: Axes,
    occupancy: OccupancyGrid,
) -> None:
    """Draw a bar at this height, so many px thick, its name before it and its number at its end."""
    x0, y0, width, height = ax.bbox.bounds
    zero = 0.0 if xs.log else float(np.clip(xs.shares(0.0), 0, 1))
    begin = end = zero
    if not np.isnan(bar.value):
        end = float(np.clip(xs.shares(bar.value), 0, 1))
        if xs.log:  # a log axis has no zero for a bar to begin at: a dot, on a hair line
            hair = canvas.colour["rule"]
            ax.plot([0, end], [y / height] * 2, linewidth=1, color=hair, transform=ax.transAxes)
            half = 6.0 / width
            begin, end = end - half, end + half
        outline = np.array([(begin, -1), (end, -1), (end, 1), (begin, 1), (begin, -1)])
        outline *= (width, 6.0 if xs.log else thick / 2)
        patch = PathPatch(
            Outline(outline + np.array((0.0, y)), closed=True),
            transform=Affine2D().scale(1 / width, 1 / height) + ax.transAxes,
            facecolor=(canvas.colour[style.stroke], 0.75),
            linewidth=0,
            zorder=3,
        )
        if bar.method:
            patch.set_gid(gid(bar.method))
        ax.add_artist(patch)
    size = extent(bar.words, LABEL)[0] + 8
    back = end < zero
    canvas.words(
        x0 + width * end + (-6 if back else 6),
        y0 + y,
        bar.words,
        size=LABEL,
        colour="ink" if not np.isnan(bar.value) else "muted",
        method=bar.method,
        va="center",
        ha="right" if back else "left",
        bbox=canvas.plate() | {"pad": 0.5, "alpha": 1},
    )
    canvas.words(
        x0 - 10,
        y0 + y,
        bar.name,
        size=LABEL,
        colour=style.text if bar.method else "ink",
        bold=True,
        method=bar.method,
        va="center",
        ha="right",
    )
    low, high = sorted((x0 + width * zero, x0 + width * end))
    room = max(thick / 2, 8)
    occupancy.take(low - size * back, y0 + y - room, high + size * (not back), y0 + y + room)
