"""The one place that draws: every figure of a race, as themable SVG or as a file.

Figures are drawn in CSS pixels with sentinel colours, one per token ("ink", "m-adam"); `_svg`
turns these into CSS variables, so that one SVG serves light and dark pages.
"""

from __future__ import annotations

import functools
import html
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ..words import column, number, tick

Race = Mapping[str, Any]
Colours = Mapping[str, str]
Series = dict[str, dict[str, np.ndarray]]

_SOLID, _DASHED, _DOTTED = "solid", (0, (5, 1.6)), (0, (1.8, 1.4))
# (light, dark, dash, marker): hues picked by a search for the largest worst-case distance
# under the three kinds of colour blindness; dash and marker tell apart what hue cannot.
_METHODS: dict[str, tuple[str, str, Any, str]] = {
    "SGD": ("#22262c", "#f2f5ef", _SOLID, "o"),
    "Momentum": ("#cc6900", "#ef8214", _DASHED, "s"),
    "Nesterov": ("#7f5600", "#ffda71", _DOTTED, "D"),
    "Adagrad": ("#7a35b0", "#9a86d6", _SOLID, "^"),
    "RMSprop": ("#0f6a62", "#43d188", _DASHED, "v"),
    "Adadelta": ("#2488f0", "#a5caec", _DOTTED, "P"),
    "Adam": ("#a00f2a", "#ee4b48", _SOLID, "X"),
    "Adamax": ("#3f1fe0", "#6d77ff", _DASHED, "<"),
    "MaxProp": ("#b565b5", "#d07ba4", _DOTTED, ">"),
}
_OTHERS: tuple[tuple[str, str, Any, str], ...] = (
    ("#6b4a2f", "#c9a27e", (0, (7, 1.5, 1.5, 1.5)), "h"),
    ("#0f7c8c", "#4fd0dd", (0, (7, 1.5, 1.5, 1.5)), "d"),
    ("#6a7b1f", "#b9cf5c", (0, (3, 1)), "p"),
    ("#8c2f5b", "#e58fb3", (0, (3, 1)), "*"),
    ("#5a5f9e", "#a9aef0", (0, (9, 2)), "8"),
    ("#54707a", "#a3bcc6", (0, (9, 2)), "H"),
)
_SURFACES = {
    "light": {
        "page": "#fafaf7",
        "panel": "#ffffff",
        "ink": "#1b2025",
        "muted": "#59626b",
        "grid": "#e7e8e4",
        "rule": "#d3d6d3",
        "ghost": "#cfd3d6",
        "water": "#2c6e9b",
        "accent": "#0b6477",
        "tint": "#eaf3f3",
        "warn": "#8a4b00",
        "warn-tint": "#fdf3e3",
    },
    "dark": {
        "page": "#121518",
        "panel": "#191d21",
        "ink": "#e8eaec",
        "muted": "#a2abb4",
        "grid": "#282e34",
        "rule": "#3a424a",
        "ghost": "#454d55",
        "water": "#5aa9d6",
        "accent": "#6cc7d6",
        "tint": "#182a2e",
        "warn": "#f0b860",
        "warn-tint": "#2d2415",
    },
}


def _mix(a: str, b: str, share: float) -> str:
    pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * p + (1 - share) * q):02x}" for p, q in pairs)


def palette(theme: str) -> dict[str, str]:
    """Every colour token of a theme ("light" or "dark") with its hex value.

    `m-*` are the methods' strokes and `t-*` the same nearer to the ink, for text.
    """
    colours = dict(_SURFACES[theme])
    entries = {name.lower(): entry for name, entry in _METHODS.items()}
    entries |= {f"x{i}": entry for i, entry in enumerate(_OTHERS)}
    for slug, entry in entries.items():
        stroke = entry[0] if theme == "light" else entry[1]
        colours[f"m-{slug}"] = stroke
        colours[f"t-{slug}"] = _mix(stroke, colours["ink"], 0.7)
    return colours


_SENTINELS = {token: f"#0a1c{i:02x}" for i, token in enumerate(palette("light"))}


@dataclass(frozen=True)
class Style:
    """How one method looks everywhere; `slug` names its colour tokens m-slug and t-slug."""

    slug: str
    dash: Any
    marker: str


def styles(names: Iterable[str]) -> dict[str, Style]:
    """A style for each method; an unknown name keeps its own wherever no other one has it."""
    found: dict[str, Style] = {}
    taken: list[int] = []
    for name in sorted(set(names)):
        if name in _METHODS:
            found[name] = Style(name.lower(), *_METHODS[name][2:])
            continue
        first = zlib.crc32(name.encode()) % len(_OTHERS)
        cycle = [(first + i) % len(_OTHERS) for i in range(len(_OTHERS))]
        index = min(cycle, key=taken.count)
        taken.append(index)
        found[name] = Style(f"x{index}", *_OTHERS[index][2:])
    return found


def ranked(race: Race) -> list[dict[str, Any]]:
    """The methods' rows, lowest median loss first, those without one last."""

    def loss(row: dict[str, Any]) -> float:
        value = (row.get("loss") or {}).get("median")
        return np.inf if value is None else value

    return sorted(race["methods"], key=loss)


def _short(name: str, most: int = 14) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def spread(places: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Positions at least `gap` apart inside [low, high], nearest to `places` (least squares)."""
    wanted = np.asarray(places, float)
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    blocks: list[list[float]] = []
    for rank, index in enumerate(order):
        blocks.append([wanted[index] - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, count), (other, more) = blocks[-2:]
            blocks[-2:] = [[(mean * count + other * more) / (count + more), count + more]]
    flat = np.concatenate([np.full(int(count), mean) for mean, count in blocks] or [np.empty(0)])
    flat = np.clip(flat, low, high - gap * (len(wanted) - 1))
    placed = np.empty(len(wanted))
    placed[order] = flat + gap * np.arange(len(wanted))
    return placed


def _series(table: Mapping[str, Sequence[Any]] | None, names: Iterable[str], key: str) -> Series:
    """Long columns to one set of arrays per method, sorted by `key`, None as NaN."""
    if not table:
        return {}
    owner = np.asarray(table["method"], object)
    parts = {k: np.array(v, float) for k, v in table.items() if k != "method"}
    series: Series = {}
    for name in names:
        rows = np.flatnonzero(owner == name)
        rows = rows[np.argsort(parts[key][rows], kind="stable")]
        if len(rows):
            series[name] = {k: v[rows] for k, v in parts.items()}
    return series


def _thin(series: Series, most: int = 160) -> Series:
    """Curves with few enough points that the page stays small."""
    thinned: Series = {}
    for name, part in series.items():
        count = len(part["step"])
        keep = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
        thinned[name] = {k: v[keep] for k, v in part.items()}
    return thinned


class _Sheet:
    """A figure measured in CSS pixels from its top left corner."""

    def __init__(self, race: Race, colour: Colours, width: float, height: float) -> None:
        self.colour, self.width, self.height = colour, width, height
        self.names = [row["method"] for row in ranked(race)]
        self.order = [row["method"] for row in race["methods"]]
        self.style = styles(self.names)
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        self.figure.patch.set_visible(False)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        box = (left / self.width, 1 - (top + height) / self.height)
        ax = self.figure.add_axes((*box, width / self.width, height / self.height))
        ax.set_facecolor(self.colour["panel"])
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(self.colour["rule"])
        ax.grid(color=self.colour["grid"], linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(length=0, pad=5, labelsize=11.5, labelcolor=self.colour["muted"])
        return ax

    def label(self, ax: Axes, x: str, y: str) -> None:
        ax.set_xlabel(x, color=self.colour["muted"], fontsize=12, labelpad=5)
        ax.set_title(y, loc="left", color=self.colour["muted"], fontsize=12, pad=9)

    def plate(self) -> dict[str, Any]:
        """A box behind words that lines may cross."""
        return {"facecolor": self.colour["panel"], "alpha": 0.8, "pad": 1, "linewidth": 0}

    def tag(self, name: str) -> str:
        return f"method:{self.order.index(name)}"

    def line(self, name: str, x: Any, y: Any, width: float = 1.8, **more: Any) -> Line2D:
        style = self.style[name]
        stroke = self.colour[f"m-{style.slug}"]
        more = {"linestyle": style.dash, "color": stroke, "gid": self.tag(name)} | more
        return Line2D(x, y, linewidth=width, solid_capstyle="round", **more)


def _log_axis(ax: Axes, low: float, high: float, which: str = "y", most: int = 6) -> None:
    """A log scale with few, plainly written ticks."""
    axis = ax.yaxis if which == "y" else ax.xaxis
    getattr(ax, f"set_{which}scale")("log")
    decades = np.log10(high / low)
    if decades < 0.7:
        ticks = MaxNLocator(min(4, most)).tick_values(low, high)
    else:
        subs = (1, 2, 5) if decades < 0.5 * most else (1,)
        ticks = LogLocator(subs=subs, numticks=max(2, most)).tick_values(low, high)
    ticks = [t for t in ticks if low <= t * 1.0001 and t <= high * 1.0001]
    axis.set_ticks(ticks, [tick(t) for t in ticks])
    axis.set_minor_locator(NullLocator())
    getattr(ax, f"set_{which}lim")(low, high)


def _limits(values: Iterable[np.ndarray], top: float = np.inf, pad: float = 0.06) -> tuple[float, float]:
    real = np.concatenate([np.ravel(v) for v in values] or [np.empty(0)])
    real = real[np.isfinite(real) & (real > 0)]
    if not len(real):
        return 0.1, 1.0
    low, high = real.min(), max(real.min(), min(real.max(), top))
    room = max((high / low) ** pad, 1.05)
    return low / room, high * room


def _panel_limits(series: Series, names: Sequence[str], top: float, skip: float) -> tuple[float, float]:
    """Limits of the bands without the first 1/skip of the run, whose fall would flatten them."""
    parts = [
        {k: v[part["step"] >= part["step"][-1] / skip] for k, v in part.items()}
        for part in (series[name] for name in names)
    ]
    low, high = _limits([part["median"] for part in parts], top)
    wide_low, wide_high = _limits([p[k] for p in parts for k in ("p10", "median", "p90")], top)
    # Coordinates that hardly ever get a gradient may sit many decades away.
    return max(wide_low, low / 300), min(wide_high, high * 300)


def _grid(count: int, narrow: bool) -> tuple[int, int]:
    columns = min(count, 2 if narrow else 5 if count > 8 else 4)
    return columns, -(-count // columns)


def _panels(
    sheet: _Sheet,
    names: Sequence[str],
    top: float,
    height: float,
    fill: Callable[[Axes, str], None],
    aside: Mapping[str, str],
    narrow: bool,
) -> None:
    """Small multiples with shared limits, one per method, in the order of the ranking."""
    columns = _grid(len(names), narrow)[0]
    left, gap, above = 46, 14 if narrow else 18, 40
    width = (sheet.width - left - 12 - gap * (columns - 1)) / columns
    for i, name in enumerate(names):
        row, place = divmod(i, columns)
        ax = sheet.axes(left + place * (width + gap), top + above + row * (height + above), width, height)
        fill(ax, name)
        ax.set_gid(sheet.tag(name))
        ax.tick_params(labelsize=10.5, pad=3, labelleft=place == 0, labelbottom=i + columns >= len(names))
        tint = sheet.colour[f"t-{sheet.style[name].slug}"]
        ax.set_title(_short(name), loc="left", color=tint, fontsize=12.5, fontweight=700, pad=6)
        ax.set_title(aside.get(name, ""), loc="right", color=sheet.colour["muted"], fontsize=11, pad=6)


def _end_labels(
    sheet: _Sheet,
    ax: Axes,
    ends: Mapping[str, tuple[float, float]],
    size: tuple[float, float],
    values: Mapping[str, str],
) -> None:
    """Names beside the ends of their lines, kept apart and tied to them by thin leaders."""
    width, height = size
    if not ends:
        return
    places = ax.transAxes.inverted().transform(ax.transData.transform(list(ends.values())))
    places = np.clip(places, 0, 1)
    heights = spread(places[:, 1] * height, 16, -12, height + 12) / height
    longest = max((len(text) for text in values.values()), default=0)
    for (name, (x, y)), to in zip(zip(ends, places, strict=True), heights, strict=True):
        ax.add_line(
            sheet.line(
                name,
                (x, 1 + 6 / width, 1 + 22 / width),
                (y, y, to),
                1,
                clip_on=False,
                linestyle="solid",
                alpha=0.65,
                transform=ax.transAxes,
            )
        )
        shared: dict[str, Any] = {"transform": ax.transAxes, "va": "center", "gid": sheet.tag(name)}
        at = 1 + 27 / width
        if values:
            ax.text(at, to, values[name], color=sheet.colour["muted"], fontsize=12, **shared)
            at += (longest * 7 + 8) / width
        ax.text(
            at,
            to,
            _short(name),
            color=sheet.colour[f"t-{sheet.style[name].slug}"],
            fontsize=12.5,
            fontweight=700,
            **shared,
        )


def _early_end(sheet: _Sheet, ax: Axes, name: str, x: float, y: float) -> None:
    """A cross and a name where a line stops before the others."""
    ax.add_line(sheet.line(name, [x], [y], marker="x", markersize=9, markeredgewidth=2.2, zorder=6))
    ax.annotate(
        _short(name),
        (x, y),
        (9, 7),
        textcoords="offset points",
        gid=sheet.tag(name),
        color=sheet.colour[f"t-{sheet.style[name].slug}"],
        fontsize=12.5,
        fontweight=700,
        zorder=6,
        bbox=sheet.plate(),
    )


def _marks(sheet: _Sheet, ax: Axes, marks: Sequence[tuple[float, str, Any]], height: float) -> None:
    """Horizontal reference lines (value, words, dash), labelled above their left ends."""
    if not marks:
        return
    low, high = np.log10(ax.get_ylim())
    at = [(np.log10(value) - low) / (high - low) * height + 9 for value, _, _ in marks]
    for (value, words, dash), y in zip(marks, spread(at, 16, 9, height - 9), strict=True):
        ax.axhline(value, color=sheet.colour["muted"], linewidth=1.2, linestyle=dash, zorder=1.5)
        ax.text(
            0.012,
            y / height,
            words,
            transform=ax.transAxes,
            va="center",
            fontsize=11.5,
            color=sheet.colour["muted"],
            zorder=6,
            bbox=sheet.plate(),
        )


def _over_steps(
    race: Race,
    colour: Colours,
    narrow: bool,
    table: str,
    title: str,
    top: float = np.inf,
    references: Sequence[tuple[float, str, Any]] = (),
    zoom: bool = False,
) -> Figure:
    """Medians of all methods in one panel, and each one's band in a panel of its own."""
    names = [row["method"] for row in ranked(race)]
    series = _thin(_series(race.get(table), names, "step"))
    shown = [n for n in names if n in series and np.any(np.isfinite(series[n]["median"]))]
    rows = _grid(len(shown), narrow)[1]
    width, height, each = (400, 270, 96) if narrow else (1080, 350, 128)
    label_room = 135 if narrow else 205
    sheet = _Sheet(race, colour, width, height + 84 + rows * (each + 40) + 28)
    size = (width - 46 - label_room, height)
    ax = sheet.axes(46, 34, *size)
    low, high = _limits([series[n]["median"] for n in shown], top)
    close_low, close_high = _panel_limits(series, shown, top, 8 if zoom else np.inf)
    # A far lower reference would squeeze the curves: it is then named, not drawn.
    for value, _, _ in references:
        if low / 30 < value < low * 1.02:
            low = value / 1.12
    drawn = [mark for mark in references if low <= mark[0] <= high]
    below = [mark[1] for mark in references if 0 < mark[0] < low]
    last = max((series[n]["step"][-1] for n in shown), default=1) or 1
    ends_of_x = (0, last / 2, last) if last % 2 == 0 else (0, last)
    _log_axis(ax, low, high)
    ax.set_xlim(0, last)
    ax.xaxis.set_major_locator(MaxNLocator(4 if narrow else 6, integer=True))
    for order, name in enumerate(reversed(shown)):
        ax.add_line(
            sheet.line(
                name,
                series[name]["step"],
                series[name]["median"],
                zorder=3 + order / 20,
                marker=sheet.style[name].marker,
                markersize=5.5,
                markeredgewidth=0,
                markevery=(0.05 + 0.02 * (order % 5), 0.22),
            )
        )
    sheet.label(ax, "step", title)
    _marks(sheet, ax, drawn, height)
    if below:
        ax.text(
            0.012,
            0.03,
            "below this axis: " + "; ".join(below),
            transform=ax.transAxes,
            fontsize=11.5,
            color=colour["muted"],
            zorder=6,
            bbox=sheet.plate(),
        )
    ends = {}
    for name in shown:
        good = np.flatnonzero(np.isfinite(series[name]["median"]))[-1]
        step, final = (series[name][key][good] for key in ("step", "median"))
        if step >= 0.98 * last:
            ends[name] = (step, np.clip(final, low, high), final)
        else:
            _early_end(sheet, ax, name, step, np.clip(final, low, high))
    texts = {} if narrow else dict(zip(ends, column([final for *_, final in ends.values()]), strict=True))
    _end_labels(sheet, ax, {name: (x, y) for name, (x, y, _) in ends.items()}, size, texts)

    def fill(panel: Axes, name: str) -> None:
        x, y = (
            np.concatenate(
                [np.append(series[n][key][::2], np.nan) for n in shown if n != name] or [np.empty(0)]
            )
            for key in ("step", "median")
        )
        own, stroke = series[name], colour[f"m-{sheet.style[name].slug}"]
        panel.add_line(Line2D(x, y, color=colour["ghost"], linewidth=0.8))
        panel.fill_between(own["step"], own["p10"], own["p90"], color=stroke, alpha=0.25, linewidth=0)
        panel.add_line(sheet.line(name, own["step"], own["median"]))
        for value, _, dash in drawn:
            if not close_low < value < close_high:
                continue
            panel.axhline(value, color=colour["muted"], linewidth=0.9, linestyle=dash, zorder=1.5)
        _log_axis(panel, close_low, close_high, most=4)
        panel.set_xlim(0, last)
        panel.set_xticks(ends_of_x, [tick(step) for step in ends_of_x])
        sides: tuple[Literal["left", "center", "right"], ...] = (
            ("left", "center", "right") if len(ends_of_x) == 3 else ("left", "right")
        )
        for words, side in zip(panel.get_xticklabels(), sides, strict=True):
            words.set_horizontalalignment(side)

    _panels(sheet, shown, height + 72, each, fill, {}, narrow)
    return sheet.figure


def _axis_label(sheet: _Sheet, words: str) -> None:
    sheet.figure.text(
        0.5, 6 / sheet.height, words, ha="center", va="bottom", fontsize=12, color=sheet.colour["muted"]
    )


def _draw_loss(race: Race, colour: Colours, narrow: bool) -> Figure:
    settings, outsider = race["settings"], race.get("outsider") or {}
    references = []
    if (target := settings.get("target")) and target > 0:
        references.append((target, f"target {number(target)}", (0, (1, 2))))
    if (loss := outsider.get("loss")) and loss > 0:
        references.append((loss, f"{outsider['name']}  {number(loss)}", (0, (6, 3))))
    table = race.get("curves") or {"step": [], "median": []}
    firsts = [m for s, m in zip(table["step"], table["median"], strict=True) if s == 0 and m]
    # A run that blew up may rise without bound; three times the start is enough to see it.
    top = 3 * max(firsts) if firsts else np.inf
    name = settings.get("loss_name", "loss")
    return _over_steps(race, colour, narrow, "curves", f"{name}, median", top, references, zoom=True)


def _draw_rate(race: Race, colour: Colours, narrow: bool) -> Figure:
    return _over_steps(race, colour, narrow, "rates", "effective learning rate, median coordinate")


def _draw_sensitivity(race: Race, colour: Colours, narrow: bool) -> Figure:
    names = [row["method"] for row in ranked(race)]
    series = _series(race.get("trials"), names, "lr")
    shown = [n for n in names if n in series]
    tuned = {row["method"]: row.get("lr") for row in race["methods"]}
    rows = _grid(max(1, len(shown)), narrow)[1]
    width, each = (400, 110) if narrow else (1080, 150)
    sheet = _Sheet(race, colour, width, 14 + rows * (each + 40) + 46)
    starts = [m for m in (race.get("curves") or {}).get("median", []) if m]
    losses = [series[n]["loss"] for n in shown]
    low, high = _limits(losses, 2 * max(starts) if starts else np.inf, 0.12)
    left, right = _limits([series[n]["lr"] for n in shown], pad=0.03)

    def fill(panel: Axes, name: str) -> None:
        style = sheet.style[name]
        stroke = colour[f"m-{style.slug}"]
        for other in shown:
            good = np.isfinite(series[other]["loss"]) & (series[other]["loss"] <= high)
            x, y = series[other]["lr"], series[other]["loss"]
            if other != name:
                panel.add_line(Line2D(x[good], y[good], color=colour["ghost"], linewidth=0.8))
                continue
            panel.add_line(
                sheet.line(
                    name,
                    x[good],
                    y[good],
                    1.2,
                    linestyle="solid",
                    marker=style.marker,
                    markersize=4.5,
                    markeredgewidth=0,
                )
            )
            panel.plot(
                x[~good],
                np.full((~good).sum(), 0.95),
                linestyle="",
                marker="x",
                markersize=4.5,
                markeredgewidth=1.3,
                color=stroke,
                clip_on=False,
                transform=panel.get_xaxis_transform(),
            )
        if tuned[name]:
            panel.axvline(tuned[name], color=colour["ink"], linewidth=1, zorder=1.8, linestyle=(0, (2, 2)))
        _log_axis(panel, low, high, most=5)
        _log_axis(panel, left, right, "x", most=4)

    aside = {n: f"rate {number(tuned[n], 2)}" if tuned[n] else "no rate" for n in shown}
    _panels(sheet, shown, 14, each, fill, aside, narrow)
    name = race["settings"].get("loss_name", "loss")
    sheet.figure.text(
        4 / width,
        1 - 4 / sheet.height,
        f"final {name} of each trial",
        va="top",
        fontsize=12,
        color=colour["muted"],
    )
    _axis_label(sheet, "learning rate (each method in its own unit)")
    return sheet.figure


def _draw_contour(race: Race, colour: Colours, narrow: bool) -> Figure:
    land = race["landscape"]
    x, y, z = (np.array(land[key], float) for key in "xyz")
    paths = _thin(_series(race.get("paths"), [row["method"] for row in ranked(race)], "step"), 400)
    width, side, key_room = (400, 300, 0) if narrow else (1080, 600, 210)
    under = 22 * -(-len(paths) // 2) + 20 if narrow else 0
    sheet = _Sheet(race, colour, width, side + 90 + under)
    size = (width - 46 - key_room - 14, side)
    ax = sheet.axes(46, 34, *size)
    ax.grid(False)
    height = z - np.nanmin(z)
    positive = height[height > 0]
    depth = np.log10(height + 1e-3 * np.median(positive))
    levels = np.unique(np.nanquantile(depth, np.linspace(0, 1, 18) ** 1.5))
    # Deeper water is bluer, by opacity alone, so that one drawing suits light and dark.
    shades = [(colour["water"], 0.5 * (1 - i / len(levels)) ** 1.5) for i in range(len(levels) - 1)]
    ax.contourf(x, y, depth, levels, colors=shades)
    ax.contour(
        x, y, depth, levels[1:-1], colors=[(colour["water"], 0.35)], linewidths=0.7, linestyles="solid"
    )
    for order, name in enumerate(reversed(paths)):
        path = paths[name]
        ax.add_line(sheet.line(name, path["x"], path["y"], 1.7, zorder=3 + order / 20))
        good = np.flatnonzero(np.isfinite(path["x"]) & np.isfinite(path["y"]))[-1:]
        ax.add_line(
            sheet.line(
                name,
                path["x"][good],
                path["y"][good],
                zorder=5,
                marker=sheet.style[name].marker,
                markersize=9,
                markeredgecolor=colour["panel"],
                markeredgewidth=1,
            )
        )
    for place, marker, words in [(land["start"], "o", "start")] + [
        (minimum, "+", "minimum") for minimum in land["minima"]
    ]:
        ax.plot(
            *place,
            marker=marker,
            markersize=11,
            markerfacecolor=colour["panel"],
            markeredgecolor=colour["ink"],
            markeredgewidth=2,
            zorder=6,
            linestyle="",
        )
        ax.annotate(
            words,
            place,
            (9, 9),
            textcoords="offset points",
            color=colour["ink"],
            fontsize=12.5,
            fontweight=700,
            zorder=7,
        )
    ax.set_xlim(x.min(), x.max())
    ax.set_ylim(y.min(), y.max())
    sheet.label(ax, land["names"][0], land["names"][1])
    for i, name in enumerate(paths):
        if narrow:
            at = np.array([(i % 2) * 0.5, -(62 + 22 * (i // 2)) / side])
        else:
            at = np.array([1 + 20 / size[0], 1 - (10 + 24 * i) / side])
        ax.add_line(
            sheet.line(
                name,
                at[0] + np.array([0, 15, 30]) / size[0],
                [at[1]] * 3,
                clip_on=False,
                transform=ax.transAxes,
                marker=sheet.style[name].marker,
                markersize=6,
                markeredgewidth=0,
                markevery=[1],
            )
        )
        ax.text(
            at[0] + 38 / size[0],
            at[1],
            _short(name),
            transform=ax.transAxes,
            va="center",
            gid=sheet.tag(name),
            fontsize=12.5,
            fontweight=700,
            color=colour[f"t-{sheet.style[name].slug}"],
        )
    return sheet.figure


_RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "thalweg",
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "path.simplify_threshold": 0.3,
    "pdf.fonttype": 42,
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


def _write_svg(figure: Figure) -> str:
    buffer = StringIO()
    figure.savefig(buffer, format="svg", transparent=False, metadata={"Date": None})
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.DOTALL)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", _FONT, text)
    shorten = functools.partial(re.sub, r"(\.\d\d)\d+", r"\1")
    return re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda hit: shorten(hit[0]), text)


def _inline(text: str, prefix: str, names: Sequence[str]) -> str:
    """A themable SVG for a page: colours as variables, ids private, methods as data."""
    text = text[text.index("<svg") :]
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" stroke-linejoin="round">', text, count=1
    )
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xlink:href="#', ' href="#', text)
    text = re.sub(
        r'<g id="method:(\d+)"', lambda hit: f'<g data-method="{html.escape(names[int(hit[1])])}"', text
    )
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'( id="|url\(#| href="#)', rf"\1{prefix}-", text)
    for token, sentinel in _SENTINELS.items():
        text = text.replace(sentinel, f"var(--{token})")
    return re.sub(r"\n\s*", "\n", text)


class Plot:
    """A figure of a race: call it for themable SVG; `draw` makes the matplotlib figure."""

    def __init__(self, name: str, draw: Callable[[Race, Colours, bool], Figure]) -> None:
        self.name, self.draw = name, draw

    def __call__(self, race: Race, *, narrow: bool = False) -> str:
        """SVG whose colours are CSS variables; `narrow` lays it out for a phone."""
        with matplotlib.rc_context(_RC):
            text = _write_svg(self.draw(race, _SENTINELS, narrow))
        prefix = f"{self.name}-narrow" if narrow else self.name
        return _inline(text, prefix, [row["method"] for row in race["methods"]])


loss_curves = Plot("loss", _draw_loss)
sensitivity = Plot("sensitivity", _draw_sensitivity)
effective_rate = Plot("rate", _draw_rate)
contour = Plot("contour", _draw_contour)


def save(
    figure_function: Plot,
    race: Race,
    path: str | Path,
    theme: str = "light",
    *,
    transparent: bool = False,
    narrow: bool = False,
) -> Path:
    """Write one figure as .svg, .pdf or .png in a theme's own colours."""
    path = Path(path)
    colours = palette(theme)
    with matplotlib.rc_context(_RC):
        figure = figure_function.draw(race, colours, narrow)
        figure.patch.set(visible=not transparent, facecolor=colours["page"])
        if path.suffix == ".svg":
            path.write_text(_write_svg(figure), encoding="utf-8")
        else:
            undated = {"CreationDate": None} if path.suffix == ".pdf" else {}
            figure.savefig(path, dpi=144, metadata=undated)
    return path
