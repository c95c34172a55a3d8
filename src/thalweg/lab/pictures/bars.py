"""One bar for each method or case."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D

from ...errors import ProblemError
from ..formatting import plain
from . import canvas as s
from .canvas import LABEL, Canvas, extent, wrap
from .panels import Bars
from .plan import (
    MUTED,
    Cell,
    Looks,
    Plan,
    across,
    nothing,
    references,
)
from .style import gid

Array = np.ndarray[Any, Any]


def _bar_names(panel: Bars, width: float) -> list[str]:
    return [wrap(label, 0.36 * width, LABEL, True) for label in panel.labels]


def _rows(names: Sequence[str]) -> list[float]:
    """The height that each bar's row would like, px."""
    return [max(28.0, extent(name, LABEL, True)[1] + 10) for name in names]


def wanted(panel: Bars, cell: Cell) -> float:
    """The height that the bars would like, px."""
    return max(60.0, sum(_rows(_bar_names(panel, cell.width))) + (22 if panel.levels else 0))


def plan(panel: Bars, looks: Looks, cell: Cell, height: float) -> Plan:
    """The plan of bars; those without a method are drawn in the muted ink."""
    width = cell.width
    count = len(panel.labels)
    if len(panel.values) != count:
        raise ProblemError(
            f"bars {panel.title!r}: {count} labels and {len(panel.values)} values; they must match"
        )
    if not count:
        return nothing(cell)
    names = _bar_names(panel, width)
    left = max(extent(n, LABEL, True)[0] for n in names) + 12
    right = 16.0
    box = width - left - right
    given = np.array([np.nan if v is None else v for v in panel.values], float)
    words = [plain(float(v)) if np.isfinite(v) else panel.missing for v in given]
    values = s.finite(given, panel.log)  # what is zero on a log scale has words and no bar
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
    zero = 0.0 if panel.log else float(s.unit(0.0, low, high, False))
    ends = np.where(np.isnan(values), zero, s.unit(values, low, high, panel.log))
    sizes = np.array([extent(w, LABEL)[0] + 10 for w in words])
    back = ends < zero
    need_right = max(0.0, *np.where(back, 0.0, sizes - (1 - ends) * box))
    need_left = max(0.0, *np.where(back, sizes - ends * box, 0.0))
    used = max(0.3 * box, box - need_left - need_right)
    if panel.log:
        decade = np.log(high / low) / used
        low, high = low * np.exp(-decade * need_left), high * np.exp(decade * need_right)
    else:
        unit = (high - low) / used
        low, high = low - unit * need_left, high + unit * need_right
    xs, left, right = across((float(low), float(high)), panel.log, width, left, right)
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
    sheet: Canvas,
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
    ground = s.OccupancyGrid(ax, rim=0)
    zero = 0.0 if panel.log else float(np.clip(xs.unit(0.0), 0, 1))
    if not panel.log and xs.low <= 0 <= xs.high:
        ax.axvline(0, color=sheet.colour["muted"], linewidth=1, zorder=2)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        method = panel.methods[i] if i < len(panel.methods) else ""
        style = looks[method] if method else MUTED
        y = float(middles[i])
        thick = min(22.0, 0.62 * float(rows[i]))
        end = zero
        if not np.isnan(value):
            end = float(np.clip(xs.unit(value), 0, 1))
            if panel.log:  # a log axis has no zero for a bar to begin at: a dot, on a hair line
                ax.plot(
                    [0, end],
                    [y / height] * 2,
                    linewidth=1,
                    color=sheet.colour["rule"],
                    transform=ax.transAxes,
                )
                half, begin = 6.0 / width, end - 6.0 / width
                end = end + half
            else:
                begin = zero
            outline = np.array([(begin, -1), (end, -1), (end, 1), (begin, 1), (begin, -1)])
            outline *= (width, 6.0 if panel.log else thick / 2)
            patch = PathPatch(
                Outline(outline + np.array((0.0, y)), closed=True),
                transform=Affine2D().scale(1 / width, 1 / height) + ax.transAxes,
                facecolor=(sheet.colour[style.stroke], 0.75),
                linewidth=0,
                zorder=3,
            )
            if method:
                patch.set_gid(gid(method))
            ax.add_artist(patch)
        size = extent(words[i], LABEL)[0] + 8
        back = end < zero
        sheet.words(
            x0 + width * end + (-6 if back else 6),
            y0 + y,
            words[i],
            size=LABEL,
            colour="ink" if not np.isnan(value) else "muted",
            method=method,
            va="center",
            ha="right" if back else "left",
            bbox=sheet.plate() | {"pad": 0.5, "alpha": 1},
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
        low, high = sorted((x0 + width * zero, x0 + width * end))
        room = max(thick / 2, 8)
        ground.take(low - size * back, y0 + y - room, high + size * (not back), y0 + y + room)
    references(sheet, ax, ground, xs, panel.levels, "x")
