"""The figures of a search: the trials along each setting, and over two settings at once; a panel a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..formatting import number
from ..race_result import RaceResult, ranked
from .axes import Axis, data_limits, fit_axis
from .canvas import Canvas
from .layout import NARROW, WIDE
from .multiples import ABOVE, Multiples
from .race import Plot, crossed
from .style import Colours, Style, styles

Array = np.ndarray[Any, Any]
Column = Sequence[float | str | None]
T = TypeVar("T")
Draw = Callable[[RaceResult, T, Colours, bool], Figure]

PAIRS = 3  # maps that are drawn, those of the settings that explain most
CELLS = 5  # of a map, each way
SHADES = 5  # bluer is lower, as on maps


@dataclass(frozen=True)
class _Scale:
    """How a setting is drawn: its values' places on an axis, whether that is logarithmic, and its words."""

    label: str
    log: bool
    low: float
    high: float
    words: tuple[str, ...] = ()
    complement: bool = False
    zero: float = 0.0  # where 0 is drawn

    def places(self, values: Column) -> Array:
        """Where values are drawn; NaN where there is none."""
        if self.words:
            return np.array([self.words.index(v) if isinstance(v, str) else np.nan for v in values], float)
        numbers = np.array([np.nan if v is None else v for v in values], float)
        if self.complement:
            return 1.0 - numbers
        return np.where(numbers == 0, self.zero, numbers) if self.log else numbers

    def axis(self, room: float, which: Literal["x", "y"], most: int = 4) -> Axis:
        """The axis, over so many px."""
        if self.words:
            shown = [w.replace("warmup-stable-decay", "wsd") for w in self.words]
            return Axis(-0.5, len(shown) - 0.5, False, range(len(shown)), shown)
        return fit_axis(self.low, self.high, self.log, room, which, most)

    def edges(self) -> Array:
        """The borders of a map's cells."""
        if self.words:
            return np.arange(len(self.words) + 1) - 0.5
        return np.geomspace(self.low, self.high, CELLS + 1)


def _scale(race: RaceResult, setting: str) -> _Scale:
    kind = race["settings"]["scales"].get(setting, "log")
    values = [v for v in race["trials"][setting] if v is not None]
    if kind == "words":
        return _Scale(setting, False, 0, 1, tuple(sorted({str(v) for v in values})))
    if kind == "complement":
        low, high = data_limits([1.0 - np.array(values, float)], pad=0.03)
        return _Scale(f"1 − {setting}", True, low, high, complement=True)
    positive = np.array([v for v in values if v], float)
    zero = float(positive.min()) / 10 if len(positive) < len(values) and len(positive) else 0.0
    low, high = data_limits([np.append(positive, zero) if zero else positive], pad=0.03)
    label = "learning rate" if setting == "lr" else setting
    return _Scale(f"{label}, 0 at the low end" if zero else label, True, low, high, zero=zero)


def _tried(race: RaceResult, name: str) -> dict[str, list[Any]]:
    """A method's trials."""
    trials = race["trials"]
    own = [k for k, m in enumerate(trials["method"]) if m == name]
    return {n: [values[k] for k in own] for n, values in trials.items()}


def _with(race: RaceResult, settings: Sequence[str]) -> list[str]:
    """The methods that have all of these settings tuned, best first."""
    return [r["method"] for r in ranked(race) if all(r["settings"].get(n) is not None for n in settings)]


def _along(race: RaceResult, setting: str, colour: Colours, narrow: bool) -> Figure:
    """Every trial's loss over one setting, whatever the others were."""
    names = _with(race, [setting])
    looks = styles(r["method"] for r in ranked(race))
    tried = {n: _tried(race, n) for n in names}
    rows = {r["method"]: r["settings"] for r in race["methods"]}
    scale = _scale(race, setting)
    starts = [m for m in race["curves"]["median"] if m]
    losses = {n: np.array(t["loss"], float) for n, t in tried.items()}
    low, high = data_limits(losses.values(), top=2 * max(starts) if starts else np.inf, pad=0.12)
    width, each = (NARROW, 110.0) if narrow else (WIDE, 130.0)

    def axes(across: float) -> tuple[Axis, Axis]:
        return scale.axis(across, "x"), fit_axis(low, high, True, each, "y", 5)

    def fill(canvas: Canvas, panel: Axes, name: str) -> None:
        x, y = scale.places(tried[name][setting]), losses[name]
        good = np.isfinite(y) & (y <= high)
        _points(canvas, panel, looks[name], x, y, good)
        (best,) = scale.places([rows[name][setting]])
        panel.axvline(best, color=colour["ink"], linewidth=1, zorder=1.8, linestyle=(0, (2, 2)))

    asides = {n: _word(rows[n][setting]) for n in names}
    small = Multiples(names, looks, narrow, each, axes, fill, asides)
    return _drawn(
        small, colour, width, each, f"final {race['settings']['loss_name']} of each trial", scale.label
    )


def _points(canvas: Canvas, panel: Axes, style: Style, x: Array, y: Array, good: Array) -> None:
    """Draw a method's trials; crosses at the top for those that diverged or lie above."""
    look: dict[str, Any] = {"linestyle": "", "marker": style.marker, "markersize": 4.5, "markeredgewidth": 0}
    panel.add_line(canvas.line(style, x[good], y[good], **look))
    crossed(canvas, panel, style, x[~good])


def _over(race: RaceResult, pair: tuple[str, str], colour: Colours, narrow: bool) -> Figure:
    """The lowest loss of the trials in each cell over two settings, as a shade of the method's own range."""
    across_by, up_by = pair
    names = _with(race, pair)
    looks = styles(r["method"] for r in ranked(race))
    tried = {n: _tried(race, n) for n in names}
    rows = {r["method"]: r["settings"] for r in race["methods"]}
    xs, ys = _scale(race, across_by), _scale(race, up_by)
    width, each = (NARROW, 130.0) if narrow else (WIDE, 170.0)

    def axes(across: float) -> tuple[Axis, Axis]:
        return xs.axis(across, "x"), ys.axis(each, "y", 5)

    def fill(canvas: Canvas, panel: Axes, name: str) -> None:
        own = tried[name]
        x, y = xs.places(own[across_by]), ys.places(own[up_by])
        _shade(canvas, panel, (xs.edges(), ys.edges()), (x, y), np.array(own["loss"], float))
        panel.plot(x, y, linestyle="", marker="o", markersize=1.8, color=colour["muted"], zorder=3)
        (bx,), (by,) = xs.places([rows[name][across_by]]), ys.places([rows[name][up_by]])
        panel.add_line(
            canvas.line(
                looks[name], [bx], [by], linestyle="", marker=looks[name].marker, markersize=8, zorder=4
            )
        )

    small = Multiples(names, looks, narrow, each, axes, fill)
    return _drawn(small, colour, width, each, ys.label, xs.label)


def _shade(
    canvas: Canvas, panel: Axes, edges: tuple[Array, Array], places: tuple[Array, Array], losses: Array
) -> None:
    """Fill the cells that trials lie in: the bluer, the lower the rank of the lowest loss in them."""
    panel.grid(False)
    columns, rows = (
        np.clip(np.searchsorted(e, p, "right") - 1, 0, len(e) - 2) for e, p in zip(edges, places, strict=True)
    )
    order = np.argsort(np.argsort(np.nan_to_num(losses, nan=np.inf)))
    lowest: dict[tuple[int, int], int] = {}
    for column, row, rank in zip(columns.tolist(), rows.tolist(), order.tolist(), strict=True):
        lowest[column, row] = min(rank, lowest.get((column, row), rank))
    x, y = edges
    for (column, row), rank in lowest.items():
        shade = 1 - int(SHADES * rank / len(losses)) / SHADES
        panel.add_patch(
            Rectangle(
                (x[column], y[row]),
                x[column + 1] - x[column],
                y[row + 1] - y[row],
                facecolor=(canvas.colour["water"], 0.06 + 0.74 * shade**2),
                linewidth=0,
            )
        )


def _drawn(small: Multiples, colour: Colours, width: float, each: float, up: str, across: str) -> Figure:
    """The panels with the names of both axes around them."""
    canvas = Canvas(colour, width, 14 + max(small.height, each + ABOVE) + 46)
    small.draw(canvas, 14)
    canvas.words(2, canvas.height - 3, up, va="top")
    canvas.words(width / 2, 6, across, ha="center", va="bottom")
    return canvas.figure


def _word(value: float | str | None) -> str:
    return value.replace("warmup-stable-decay", "wsd") if isinstance(value, str) else number(value, 2)


def along(setting: str) -> Plot:
    """The figure of every trial's loss over a setting."""
    return Plot(f"along-{setting}", partial(_for, _along, setting))


def over(across: str, up: str) -> Plot:
    """The figure of the trials over two settings."""
    return Plot(f"over-{across}-{up}", partial(_for, _over, (across, up)))


def _for(draw: Draw[T], what: T, race: RaceResult, colour: Colours, narrow: bool) -> Figure:
    return draw(race, what, colour, narrow)


def drawn(race: RaceResult) -> list[Plot]:
    """The figures that a race over several settings has something for."""
    return [*map(along, tuned(race)), *(over(*pair) for pair in pairs(race)[:PAIRS])]


def tuned(race: RaceResult) -> list[str]:
    """The settings that some method was tuned over; none where it was the learning rate alone."""
    names = race["settings"]["tuned"]
    return [n for n in names if names != ["lr"] and race["trials"]["loss"] and _with(race, [n])]


def pairs(race: RaceResult) -> list[tuple[str, str]]:
    """The pairs of tuned settings that some method has both of, those first that explain most."""
    shares: Mapping[str, float] = _importance(race)
    names = sorted(tuned(race), key=lambda n: -shares.get(n, 0.0))
    every = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return [p for p in every if _with(race, p)]


def _importance(race: RaceResult) -> dict[str, float]:
    """The largest share of each setting over methods."""
    table = race["importance"]
    largest: dict[str, float] = {}
    for n, share in zip(table["setting"], table["share"], strict=True):
        largest[n] = max(share, largest.get(n, 0.0))
    return largest
