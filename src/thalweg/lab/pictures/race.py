"""The four figures of a race, made of the same charts, maps and lines as every other picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..formatting import column, number
from ..race_result import Columns, RaceResult, ranked
from . import charts
from .axes import Axis, Limits, data_limits, fit_axis
from .canvas import Canvas
from .figure import alone
from .figure import figure as draw_figure
from .layout import NARROW, WIDE, Cell
from .lines import thin
from .marks import mark_cuts
from .multiples import ABOVE, Multiples
from .panels import Chart, Curve, Map, Picture
from .panels import Path as Run
from .style import SENTINELS, Colours, Style, palette, styles
from .svg import FORMS, drawing, inline, save_figure

Array = np.ndarray[Any, Any]
Series = dict[str, dict[str, Array]]


SMALL = 40  # stretches of a curve in a panel of its own, where as many others stand behind it


def _names(race: RaceResult) -> list[str]:
    return [row["method"] for row in ranked(race)]


def _series(table: Columns | None, names: Iterable[str], key: str) -> Series:
    """Long columns to one set of arrays per method, sorted by ``key``, None as NaN."""
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


def _thin(series: Series, most: int) -> Series:
    """Curves with the extremes of ``most`` stretches of the run, so that the page stays small."""
    thinned: Series = {}
    for name, part in series.items():
        count = len(part["step"])
        if count > 2 * most:
            keep = thin([part["median"], part["p10"], part["p90"]], np.arange(count) * most // count)
            part = {k: v[keep] for k, v in part.items()}
        thinned[name] = part
    return thinned


def curves(race: RaceResult, most: int) -> Series:
    """Each method's losses over steps: step, median, p10, p90, at the extremes of ``most`` stretches of the run."""
    return _thin(_series(race["curves"], _names(race), "step"), most)


def _close_limits(series: Series, top: float, skip: float) -> Limits:
    """Limits of the bands without the first 1/skip of the run, whose fall would flatten them."""
    parts = [
        {k: v[part["step"] >= part["step"][-1] / skip] for k, v in part.items()} for part in series.values()
    ]
    low, high = data_limits([part["median"] for part in parts], top=top)
    wide_low, wide_high = data_limits([p[k] for p in parts for k in ("p10", "median", "p90")], top=top)
    # Coordinates that hardly ever get a gradient may sit many decades away.
    return max(wide_low, low / 300), min(wide_high, high * 300)


def _over_steps(
    race: RaceResult,
    colour: Colours,
    narrow: bool,
    table: Columns,
    title: str,
    top: float = np.inf,
    references: Sequence[tuple[float, str]] = (),
    zoom: bool = False,
) -> Figure:
    """Medians of all methods in one panel, and each one's band in a panel of its own."""
    names = _names(race)
    looks = styles(names)
    every = _series(table, names, "step")
    series = _thin(every, 160)
    shown = [n for n in names if n in series and np.any(np.isfinite(series[n]["median"]))]
    series = {n: series[n] for n in shown}
    last = max((part["step"][-1] for part in series.values()), default=1.0) or 1.0
    chart = _medians(series, last, title, top, references, narrow)
    width, height, each = (NARROW, 270.0, 96.0) if narrow else (WIDE, 350.0, 128.0)
    low, high = _close_limits(series, top, 8 if zoom else np.inf)
    few = _thin({n: every[n] for n in shown}, SMALL)

    def axes(across: float) -> tuple[Axis, Axis]:
        steps = fit_axis(0, last, False, across - 16, "x", 3, True)
        return steps, fit_axis(low, high, True, each, "y", 4)

    def fill(canvas: Canvas, panel: Axes, name: str) -> None:
        _ghosts(panel, [part for n, part in few.items() if n != name], colour)
        own, style = few[name], looks[name]
        stroke = colour[style.stroke]
        panel.fill_between(own["step"], own["p10"], own["p90"], color=stroke, alpha=0.25, linewidth=0)
        panel.add_line(canvas.line(style, own["step"], own["median"]))
        cut = own["step"][(own["p90"] > high) | ~np.isfinite(own["p90"])]
        mark_cuts(panel, cut, stroke, above=True)
        for value, _ in references:
            if low < value < high:
                panel.axhline(value, color=colour["muted"], linewidth=0.9, linestyle=(0, (6, 3)), zorder=1.5)

    small = Multiples(shown, looks, narrow, each, axes, fill)
    layout = charts.layout(chart, looks, Cell(width, 1, narrow), height)
    canvas, ax, bottom = alone(chart, layout, colour, height, below=small.height + 30)
    layout.fill(canvas, ax)
    small.draw(canvas, bottom)
    return canvas.figure


def _medians(
    series: Series, last: float, title: str, top: float, references: Sequence[tuple[float, str]], narrow: bool
) -> Chart:
    """The medians over steps, up to ``top``; beside those that last to the end, where they end."""
    low, high = data_limits([part["median"] for part in series.values()], top=top)
    for value, _ in references:
        if low / 30 < value < low * 1.02:
            low = value / 1.12

    def final(part: Mapping[str, Array]) -> tuple[float, float]:
        good = np.flatnonzero(np.isfinite(part["median"]))[-1]
        return part["step"][good], part["median"][good]

    finals = {n: final(part) for n, part in series.items()}
    late = {n: value for n, (step, value) in finals.items() if step >= 0.98 * last}
    asides = {} if narrow else dict(zip(late, column(list(late.values())), strict=True))
    curves = [
        # A curve above the panel ends at its upper edge, where it is named.
        Curve(
            part["step"],
            np.minimum(part["median"], high),
            n,
            n,
            died=n not in late,
            aside=asides.get(n, ""),
        )
        for n, part in series.items()
    ]
    return Chart("", "step", title, curves, "y", references, (), (0, last), (low, high))


def _ghosts(panel: Axes, others: Sequence[Mapping[str, Array]], colour: Colours) -> None:
    """Draw the other methods' medians in grey, every second point."""
    x, y = (
        np.concatenate([np.append(part[key][::2], np.nan) for part in others] or [np.empty(0)])
        for key in ("step", "median")
    )
    panel.add_line(Line2D(x, y, color=colour["ghost"], linewidth=0.8))


def _draw_loss(race: RaceResult, colour: Colours, narrow: bool) -> Figure:
    settings, outsider, table = race["settings"], race["outsider"], race["curves"]
    references = []
    if (target := settings["target"]) and target > 0:
        references.append((target, f"target {number(target)}"))
    if outsider and (loss := outsider["loss"]) and loss > 0:
        references.append((loss, f"{outsider['name']}  {number(loss)}"))
    firsts = [m for step, m in zip(table["step"], table["median"], strict=True) if step == 0 and m]
    # A run that blew up may rise without bound; three times the start is enough to see it.
    top = 3 * max(firsts) if firsts else np.inf
    title = f"{settings['loss_name']}, median"
    return _over_steps(race, colour, narrow, table, title, top, references, zoom=True)


def _draw_rate(race: RaceResult, colour: Colours, narrow: bool) -> Figure:
    return _over_steps(race, colour, narrow, race["rates"], "effective learning rate, median coordinate")


def _draw_sensitivity(race: RaceResult, colour: Colours, narrow: bool) -> Figure:
    names = _names(race)
    looks = styles(names)
    series = _series(race["trials"], names, "lr")
    shown = [n for n in names if n in series]
    tuned = {row["method"]: row["lr"] for row in race["methods"]}
    width, each = (NARROW, 110.0) if narrow else (WIDE, 150.0)
    starts = [m for m in race["curves"]["median"] if m]
    losses = [series[n]["loss"] for n in shown]
    low, high = data_limits(losses, top=2 * max(starts) if starts else np.inf, pad=0.12)
    left, right = data_limits([series[n]["lr"] for n in shown], pad=0.03)

    def axes(across: float) -> tuple[Axis, Axis]:
        return fit_axis(left, right, True, across, "x", 4), fit_axis(low, high, True, each, "y", 5)

    def fill(canvas: Canvas, panel: Axes, name: str) -> None:
        for other in shown:
            trials = series[other]
            good = np.isfinite(trials["loss"]) & (trials["loss"] <= high)
            if other == name:
                _trials(canvas, panel, looks[name], trials, good)
            else:
                x, y = trials["lr"][good], trials["loss"][good]
                panel.add_line(Line2D(x, y, color=colour["ghost"], linewidth=0.8))
        if rate := tuned[name]:
            panel.axvline(rate, color=colour["ink"], linewidth=1, zorder=1.8, linestyle=(0, (2, 2)))

    asides = {n: f"rate {number(tuned[n], 2)}" if tuned[n] else "no rate" for n in shown}
    small = Multiples(shown, looks, narrow, each, axes, fill, asides)
    canvas = Canvas(colour, width, 14 + max(small.height, each + ABOVE) + 46)
    small.draw(canvas, 14)
    name = race["settings"]["selection"].removeprefix("median ")  # what trials are judged by
    canvas.words(2, canvas.height - 3, f"{name} of each trial", va="top")
    canvas.words(width / 2, 6, "learning rate (each method in its own unit)", ha="center", va="bottom")
    return canvas.figure


def _trials(canvas: Canvas, panel: Axes, style: Style, trials: Mapping[str, Array], good: Array) -> None:
    """Draw a method's trials joined by a line; crosses at the top for those that diverged or lie above."""
    joined = canvas.line(
        style,
        trials["lr"][good],
        trials["loss"][good],
        linewidth=1.2,
        linestyle="solid",
        marker=style.marker,
        markersize=4.5,
        markeredgewidth=0,
    )
    panel.add_line(joined)
    crossed(canvas, panel, style, trials["lr"][~good])


def crossed(canvas: Canvas, panel: Axes, style: Style, x: Array) -> None:
    """Draw crosses at the top of a panel: trials that diverged, or lie above what it shows."""
    panel.plot(
        x,
        np.full(len(x), 0.95),
        linestyle="",
        marker="x",
        markersize=4.5,
        markeredgewidth=1.3,
        color=canvas.colour[style.stroke],
        clip_on=False,
        transform=panel.get_xaxis_transform(),
    )


def _draw_contour(race: RaceResult, colour: Colours, narrow: bool) -> Figure:
    land, names = race["landscape"], _names(race)
    assert land is not None  # a report draws the map where there is one
    paths = _series(race["paths"], names, "step")
    runs = [Run(np.stack([paths[n]["x"], paths[n]["y"]], axis=1), n, n) for n in paths]
    (x, y), minima = land["start"], land["minima"]
    marked = [(x, y, "start"), *((x, y, "minimum") for x, y in minima)]
    surface = np.array(land["x"]), np.array(land["y"]), np.array(land["z"])
    panel = Map("", land["names"][0], land["names"][1], surface, runs, marked)
    return draw_figure(Picture([panel], "", names), colour, narrow)


class Plot:
    """A figure of a race: call it for themable SVG; ``draw`` makes the matplotlib figure."""

    def __init__(self, name: str, draw: Callable[[RaceResult, Colours, bool], Figure]) -> None:
        self.name, self.draw = name, draw

    def __call__(self, race: RaceResult, alt: str = "", *, narrow: bool = False) -> str:
        """SVG whose colours are CSS variables; ``narrow`` lays it out for a phone."""
        with drawing():
            return inline(
                self.draw(race, SENTINELS, narrow), f"{self.name}-narrow" if narrow else self.name, alt
            )


loss_curves = Plot("loss", _draw_loss)
sensitivity = Plot("sensitivity", _draw_sensitivity)
effective_rate = Plot("rate", _draw_rate)
contour = Plot("contour", _draw_contour)
PLOTS = {plot.name: plot for plot in (loss_curves, sensitivity, effective_rate, contour)}


def themable(race: RaceResult, plot: str, alt: str, narrow: bool) -> str:
    """The figure of that name as themable SVG."""
    return PLOTS[plot](race, alt, narrow=narrow)


def save(
    figure_function: Plot,
    race: RaceResult,
    path: str | Path,
    theme: str = "light",
    *,
    transparent: bool = False,
    narrow: bool = False,
) -> Path:
    """Write one figure as .svg, .pdf or .png in a theme's own colours, and return its path; FileError."""
    colours = palette(theme)
    FORMS.of(path)
    with drawing():
        return save_figure(figure_function.draw(race, colours, narrow), path, colours, transparent)
