"""A figure measured in CSS pixels: words with known extents, axes, limits, ticks, and labels kept apart.

Places on a finished panel are display pixels with y upwards (the figure has 72 dots an inch, so that
points are pixels); ``Canvas.axes`` takes the box from the top left corner, as a page does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ..formatting import tick, ticks
from .style import Colours, Style, gid

Array = np.ndarray[Any, Any]
Limits = tuple[float, float]

TITLE, WORDS, LABEL, TICK = 13.5, 12.0, 12.0, 11.0  # sizes of text in px
LEADER = 24.0  # from the panel's edge to an end label
HUGE = 1e120  # larger values, and smaller ones on a log axis, are left out: their ratios overflow


# Words and their extents


@functools.lru_cache(maxsize=1)
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, 72)  # type: ignore[no-untyped-call]


@functools.lru_cache(maxsize=4096)
def extent(words: str, size: float, bold: bool = False) -> tuple[float, float]:
    """Width and height of words (lines apart by newlines) in px."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=700 if bold else 400)
    lines = words.split("\n")
    measure: Callable[..., Any] = _renderer().get_text_width_height_descent
    return max(float(measure(line, font, False)[0]) for line in lines), size * (1.25 + 1.4 * (len(lines) - 1))


def fit(words: str, room: float, size: float, bold: bool = False) -> str:
    """Words on one line, cut with an ellipsis where they are wider than ``room``."""
    if extent(words, size, bold)[0] <= room:
        return words
    while words and extent(words + "…", size, bold)[0] > room:
        words = words[:-1]
    return words + "…"


def wrap(words: str, room: float, size: float, bold: bool = False) -> str:
    """Words on as many lines as ``room`` needs; only a single word wider than that is broken."""
    lines: list[str] = []
    for word in " ".join(words.split()).split(" "):
        if lines and extent(f"{lines[-1]} {word}", size, bold)[0] <= room:
            lines[-1] = f"{lines[-1]} {word}"
            continue
        rest = word
        while extent(rest, size, bold)[0] > room and len(rest) > 1:
            cut = next(
                n for n in range(len(rest) - 1, 0, -1) if n == 1 or extent(rest[:n], size, bold)[0] <= room
            )
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return "\n".join(lines)


# Numbers: what is drawn, from where to where, with which ticks


def finite(values: Any, log: bool) -> Array:
    """Values as float64, NaN where they cannot be drawn."""
    made = np.array(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(made) < HUGE) | (log & ~(made > 1 / HUGE))
    made[bad] = np.nan
    return made


def limits(values: Iterable[Array], log: bool = True, top: float = np.inf, pad: float = 0.06) -> Limits:
    """The least and the largest value with room around; up to ``top``, never nothing."""
    real = np.concatenate([finite(v, log).ravel() for v in values] or [np.empty(0)])
    real = real[~np.isnan(real)]
    if not len(real):
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(real.min()), float(max(real.min(), min(real.max(), top)))
    if log:
        room = max((high / low) ** pad, 1.05)
        return low / room, high * room
    size = high - low
    room = pad * size if size > 1e-12 * max(abs(low), abs(high)) else 0.5 * abs(high) or 0.5
    # A range of positive values that comes near zero begins there.
    return (0.0 if 0 <= low < 0.3 * size or 0 <= low < room else low - room), high + room


def unit(values: Any, low: float, high: float, log: bool) -> Array:
    """Values as shares of an axis: 0 at ``low``, 1 at ``high``."""
    values = np.asarray(values, np.float64)
    if log:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((np.log(values) - np.log(low)) / np.log(high / low))
    return np.asarray((values - low) / (high - low))


def _candidates(low: float, high: float, log: bool, most: int, whole: bool) -> tuple[list[float], list[str]]:
    if log:
        decades = np.log10(high / low)
        if decades < 0.7:
            found = MaxNLocator(min(4, most), steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        else:
            subs = (1, 2, 5) if decades < 0.5 * most else (1,)
            found = LogLocator(subs=subs, numticks=max(2, most)).tick_values(low, high)
        kept = [float(t) for t in found if low <= t * 1.0001 and t <= high * 1.0001 and t > 0]
        return kept, [tick(t) for t in kept]
    found = MaxNLocator(most, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    kept = [float(t) for t in found if low - slack <= t <= high + slack]
    return kept, ticks(kept)


@dataclass(frozen=True)
class Axis:
    """From where to where an axis goes, and its ticks in words."""

    low: float
    high: float
    log: bool
    ticks: Sequence[float]
    words: Sequence[str]

    def unit(self, values: Any) -> Array:
        """Shares of the axis: 0 at its low end, 1 at its high one."""
        return unit(values, self.low, self.high, self.log)

    @property
    def room(self) -> float:
        """The width of the widest tick label, px."""
        return max((extent(w, TICK)[0] for w in self.words), default=0.0)

    def put(self, ax: Axes, which: Literal["x", "y"]) -> None:
        """Give the panel this scale, these limits and ticks."""
        if self.log:
            getattr(ax, f"set_{which}scale")("log")
        axis = ax.xaxis if which == "x" else ax.yaxis
        axis.set_ticks(list(self.ticks), list(self.words))
        if which == "y" and len(self.ticks) and self.unit(self.ticks[0]) < 0.03:
            # Away from the first number of the other axis.
            ax.get_yticklabels()[0].set_verticalalignment("bottom")
        axis.set_minor_locator(NullLocator())
        getattr(ax, f"set_{which}lim")(self.low, self.high)


def axis(
    low: float,
    high: float,
    log: bool,
    room: float,
    which: Literal["x", "y"],
    most: int = 7,
    whole: bool = False,
) -> Axis:
    """As many ticks as fit into ``room`` px without touching one another."""
    if (log and high / low < 1.02) or (not log and high - low <= 1e-12 * max(abs(low), abs(high))):
        (low, high) = (low / 1.5, high * 1.5) if log else (low - 0.5, high + 0.5)
    best: tuple[list[float], list[str]] = ([], [])
    for count in range(max(most, 2), 0, -1):
        found, words = _candidates(low, high, log, count, whole)
        if which == "x":
            sizes = np.array([extent(w, TICK)[0] + 10 for w in words])
        else:
            sizes = np.full(len(words), 1.8 * TICK)
        places = room * unit(found, low, high, log)
        apart = np.all(np.diff(places) >= (sizes[1:] + sizes[:-1]) / 2) if len(found) else False
        if apart:
            best = (found, words)
            if len(found) > 1:
                break
    return Axis(low, high, log, *best)


# Positions: kept apart along a column, or anywhere on a panel


def spread(places: Sequence[float] | Array, gap: float | Sequence[float], low: float, high: float) -> Array:
    """Positions at least ``gap`` apart inside [low, high], nearest to ``places`` (least squares).

    ``gap`` may be one size for each: then neighbours are apart by half the sum of theirs, and the
    first and last keep half of theirs from the ends.
    """
    wanted = np.asarray(places, np.float64)
    if not len(wanted):
        return np.empty(0)
    order = np.argsort(wanted, kind="stable")
    sizes = np.zeros(len(wanted)) if np.isscalar(gap) else np.asarray(gap, np.float64)[order]
    steps = np.full(len(wanted) - 1, gap) if np.isscalar(gap) else (sizes[1:] + sizes[:-1]) / 2
    low, high = low + sizes[0] / 2, high - sizes[-1] / 2
    if (total := steps.sum()) > high - low > 0:
        steps = steps * (high - low) / total
    offsets = np.concatenate([[0.0], np.cumsum(steps)])
    blocks: list[list[float]] = []
    for rank, index in enumerate(order):
        blocks.append([wanted[index] - offsets[rank], 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, count), (other, more) = blocks[-2:]
            blocks[-2:] = [[(mean * count + other * more) / (count + more), count + more]]
    flat = np.concatenate([np.full(int(count), mean) for mean, count in blocks])
    placed = np.empty(len(wanted))
    placed[order] = np.clip(flat, low, max(low, high - offsets[-1])) + offsets
    return placed


def thin(columns: Sequence[Array], bins: Array) -> Array:
    """Indices that keep, in each bin, where every column is least and largest, first and last, and gaps.

    bins (n,): ascending bin of each point. Oscillation stays visible, however fast it is.
    """
    count = len(bins)
    edges = np.flatnonzero(np.diff(bins)) + 1
    starts = np.concatenate([[0], edges])
    kept = [starts, np.concatenate([edges, [count]]) - 1]
    for column in columns:
        gap = np.isnan(column)
        for sign in (1.0, -1.0):
            values = np.where(gap, np.inf, sign * column)
            least = np.minimum.reduceat(values, starts)
            hits = np.flatnonzero(values == least[np.searchsorted(starts, np.arange(count), "right") - 1])
            owner = np.searchsorted(starts, hits, "right")
            kept.append(hits[np.unique(owner, return_index=True)[1]])
        kept.append(np.flatnonzero(gap & np.concatenate([[True], ~gap[:-1]])))
    return np.unique(np.concatenate(kept))


def leaves(points: Array, box: tuple[float, float, float, float]) -> Array | None:
    """Where a line (n, 2) is seen last inside the box (x0, y0, x1, y1); None if it is never inside."""
    real = points[np.isfinite(points).all(axis=1)]
    x0, y0, x1, y1 = box
    slack = 1e-6 * (x1 - x0 + y1 - y0)
    seen = np.flatnonzero(
        (real[:, 0] >= x0 - slack)
        & (real[:, 0] <= x1 + slack)
        & (real[:, 1] >= y0 - slack)
        & (real[:, 1] <= y1 + slack)
    )
    if not len(seen):
        return None
    last = np.clip(real[seen[-1]], (x0, y0), (x1, y1))
    if seen[-1] == len(real) - 1:
        return np.asarray(last)
    way = real[seen[-1] + 1] - last
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(way > 0, (np.array([x1, y1]) - last) / way, (np.array([x0, y0]) - last) / way)
    shares = shares[np.isfinite(shares)]
    return np.asarray(last + way * np.clip(shares.min() if len(shares) else 0.0, 0, 1))


def nearby(points: Array, reach: float = 10.0) -> Array:
    """A line (n, 2) in shares of the axes, cut where it goes farther than ``reach`` from the panel.

    A line that leaves the panel towards a place very far away keeps its direction.
    """
    with np.errstate(invalid="ignore"):
        far = np.any(np.abs(points - 0.5) > reach, axis=1)
    if not far.any():
        return points
    close = ~far & ~np.isnan(points).any(axis=1)
    kept = np.flatnonzero(~far)
    parts, order = [points[kept]], [kept.astype(float)]
    out = np.flatnonzero(far)
    for shift in (-1, 1):
        other = out + shift
        good = (other >= 0) & (other < len(points))
        here, there = out[good], other[good]
        here, there = here[close[there]], there[close[there]]
        way = points[here] - points[there]
        share = np.minimum(1.0, reach / np.abs(way).max(axis=1, keepdims=True))
        parts.append(points[there] + share * way)
        order.append(here + 0.2 * shift)
    parts.append(np.full((len(out), 2), np.nan))
    order.append(out.astype(float))
    return np.concatenate(parts)[np.argsort(np.concatenate(order), kind="stable")]


class OccupancyGrid:
    """What of a panel is taken: lines may be crossed at a price, words never."""

    CELL = 3.0

    def __init__(self, ax: Axes, rim: float = 3.0) -> None:
        x, y, width, height = ax.bbox.bounds
        self.box = (x + rim, y + rim, x + width - rim, y + height - rim)
        self.x, self.y = x, y
        shape = (int(height / self.CELL) + 2, int(width / self.CELL) + 2)
        self.lines, self.words = np.zeros(shape), np.zeros(shape)

    def line(self, points: Array, weight: float = 1.0) -> None:
        """A line (n, 2) in display px; NaN breaks it."""
        with np.errstate(invalid="ignore"):
            points = points[~(np.abs(points) > 1e5).any(axis=1)]
        if not len(points):
            return
        ways = np.diff(points, axis=0)
        good = ~np.isnan(ways).any(axis=1)
        begins, ways = points[:-1][good], ways[good]
        counts = np.minimum(np.abs(ways).max(axis=1, initial=0) / self.CELL, 2000).astype(int) + 1
        owner = np.repeat(np.arange(len(ways)), counts)
        shares = (np.arange(len(owner)) - np.repeat(counts.cumsum() - counts, counts)) / counts[owner]
        self._mark(self.lines, begins[owner] + ways[owner] * shares[:, None], weight)
        self._mark(self.lines, points[~np.isnan(points).any(axis=1)], weight)

    def _mark(self, grid: Array, points: Array, weight: float) -> None:
        cells = np.floor((points - (self.x, self.y)) / self.CELL).astype(int)
        inside = np.all((cells >= 0) & (cells < (grid.shape[1], grid.shape[0])), axis=1)
        cells = cells[inside]
        grid[cells[:, 1], cells[:, 0]] = np.maximum(grid[cells[:, 1], cells[:, 0]], weight)

    def take(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A box of words, display px."""
        c = self.CELL
        rows = slice(max(0, int((y0 - self.y) / c)), max(0, int((y1 - self.y) / c) + 1))
        columns = slice(max(0, int((x0 - self.x) / c)), max(0, int((x1 - self.x) / c) + 1))
        self.words[rows, columns] = 1

    def find(
        self, size: tuple[float, float], corners: Array, price: Array
    ) -> tuple[float, float, float] | None:
        """The cheapest lower left corner (k, 2) for a box: x, y and what it costs; None if none is free.

        ``price`` (k,): what each would cost on free ground. A box full of lines costs 10 more.
        """
        width, height = size
        x0, y0, x1, y1 = self.box
        inside = (
            (corners[:, 0] >= x0)
            & (corners[:, 1] >= y0)
            & (corners[:, 0] + width <= x1)
            & (corners[:, 1] + height <= y1)
        )
        corners, price = corners[inside], price[inside]
        if not len(corners):
            return None
        c, (rows, columns) = self.CELL, self.lines.shape
        left = np.clip(((corners[:, 0] - self.x) / c).astype(int), 0, columns)
        right = np.clip(((corners[:, 0] + width - self.x) / c).astype(int) + 1, 0, columns)
        low = np.clip(((corners[:, 1] - self.y) / c).astype(int), 0, rows)
        high = np.clip(((corners[:, 1] + height - self.y) / c).astype(int) + 1, 0, rows)

        def covered(grid: Array) -> Array:
            total = np.zeros((rows + 1, columns + 1))
            total[1:, 1:] = grid.cumsum(0).cumsum(1)
            return np.asarray(total[high, right] - total[low, right] - total[high, left] + total[low, left])

        cost = price + 30 * covered(self.lines) / np.maximum(1, (right - left) * (high - low))
        cost[covered(self.words) > 0] = np.inf
        best = int(cost.argmin())
        if not np.isfinite(cost[best]):
            return None
        return float(corners[best, 0]), float(corners[best, 1]), float(cost[best])


_SIDES = np.array([(1, 0), (0.7, 0.7), (0.7, -0.7), (0, 1), (0, -1), (-1, 0), (-0.7, 0.7), (-0.7, -0.7)])
_SIDE_PRICES = np.array([0.0, 0.1, 0.15, 0.3, 0.4, 0.5, 0.6, 0.7])


class Canvas:
    """A figure of so many CSS pixels, in the colours of a theme or in sentinels."""

    def __init__(self, colour: Colours, width: float, height: float) -> None:
        self.colour, self.width, self.height = colour, width, height
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        self.figure.patch.set_visible(False)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """A panel; px from the top left corner."""
        box = (left / self.width, 1 - (top + height) / self.height)
        ax = self.figure.add_axes((*box, width / self.width, height / self.height))
        ax.set_facecolor(self.colour["panel"])
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(self.colour["rule"])
        ax.grid(color=self.colour["grid"], linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(length=0, pad=5, labelsize=TICK, labelcolor=self.colour["muted"])
        return ax

    def plate(self) -> dict[str, Any]:
        """A box behind words that lines may cross."""
        return {"facecolor": self.colour["panel"], "alpha": 0.8, "pad": 1, "linewidth": 0}

    def words(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = WORDS,
        colour: str = "muted",
        bold: bool = False,
        method: str = "",
        **more: Any,
    ) -> Text:
        """Words at a place in display px (``ha``, ``va`` as matplotlib's)."""
        if method:
            more["gid"] = gid(method)
        return self.figure.text(
            x / self.width,
            y / self.height,
            words,
            fontsize=size,
            color=self.colour[colour],
            fontweight=700 if bold else 400,
            linespacing=1.2,
            **({"zorder": 8} | more),
        )

    def line(self, style: Style, x: Any, y: Any, method: str = "", **more: Any) -> Line2D:
        """A line in a style, with its method's name for the page's highlighting."""
        given: dict[str, Any] = {
            "linestyle": style.dash,
            "color": self.colour[style.stroke],
            "linewidth": style.width,
            "solid_capstyle": "round",
        }
        if method:
            given["gid"] = gid(method)
        return Line2D(x, y, **(given | more))

    def leader(self, style: Style, points: Sequence[tuple[float, float]], method: str = "") -> None:
        """A thin line from a place to its words, display px."""
        x, y = (np.array(points) / (self.width, self.height)).T
        self.figure.add_artist(
            self.line(
                style,
                x,
                y,
                method,
                linewidth=1,
                linestyle="solid",
                alpha=0.65,
                transform=self.figure.transFigure,
            )
        )

    def cross(self, ax: Axes, style: Style, at: Array, method: str = "") -> Line2D:
        """Where a run died, display px."""
        x, y = at / (self.width, self.height)
        return ax.add_line(
            self.line(
                style,
                [x],
                [y],
                method,
                linestyle="",
                marker="x",
                markersize=8.5,
                markeredgewidth=2.2,
                zorder=7,
                clip_on=False,
                transform=self.figure.transFigure,
            )
        )


@dataclass(frozen=True)
class Tag:
    """Words for a place on a panel: ``at`` (2,) in display px, the first choice of ``anchors`` (k, 2)."""

    words: str
    style: Style
    at: Array
    method: str = ""
    aside: str = ""
    bold: bool = True
    reach: float = 8.0


def tag_extent(tag: Tag) -> tuple[float, float]:
    """Width and height of a tag's words, px."""
    return extent(tag.words, LABEL, tag.bold)


def inside(
    sheet: Canvas, ground: OccupancyGrid, tag: Tag, anchors: Array | None = None, along: float = 1.8
) -> bool:
    """Put words beside their place, or beside another of its line's ``anchors``, on the freest ground.

    Where that is away from the place, a thin leader ties them to it. ``along``: the price of a place
    elsewhere on the line. If there is no free ground near, any of the panel will do; False if there is none.
    """
    width, height = tag_extent(tag)
    places = np.atleast_2d(tag.at) if anchors is None else np.vstack([tag.at, anchors])
    corners, prices, owners = [], [], []
    for k, place in enumerate(places):
        for reach, price in ((tag.reach, 0.0), (2.2 * tag.reach, 1.0), (4 * tag.reach, 2.2)):
            centre = place + _SIDES * (reach + np.array([width, height]) / 2)
            centre[3:5, 0] = place[0]
            corners.append(centre - np.array([width, height]) / 2)
            prices.append(_SIDE_PRICES + price + (0.0 if k == 0 else along + 0.02 * k))
            owners.append(np.full(len(_SIDES), k))
    x0, y0, x1, y1 = ground.box
    across, up = np.linspace(x0, max(x0, x1 - width), 14), np.linspace(y0, max(y0, y1 - height), 22)
    grid = np.stack(np.meshgrid(across, up), -1).reshape(-1, 2)
    away = np.hypot(*(grid + np.array([width, height]) / 2 - places[0]).T)
    corners.append(grid)
    prices.append(4 + away / 60)
    owners.append(np.zeros(len(grid), int))
    every = np.concatenate(corners)
    found = ground.find((width, height), every, np.concatenate(prices))
    if found is None:
        return False
    x, y, _ = found
    hit = int(np.flatnonzero((every[:, 0] == x) & (every[:, 1] == y))[0])
    place = places[int(np.concatenate(owners)[hit])]
    ground.take(x - 1, y - 1, x + width + 1, y + height + 1)
    near = np.clip(place, (x, y), (x + width, y + height))
    if np.hypot(*(near - place)) > 14:
        sheet.leader(tag.style, [tuple(place), tuple(near)], tag.method)
    sheet.words(
        x,
        y + height / 2,
        tag.words,
        size=LABEL,
        colour=tag.style.text,
        bold=tag.bold,
        method=tag.method,
        va="center",
        bbox=sheet.plate(),
    )
    return True


def column_size(tags: Sequence[Tag], room: float) -> tuple[list[str], float, float, float]:
    """The tags' words wrapped to ``room`` px; the widths of asides and of words; the column's height."""
    aside = max((extent(t.aside, LABEL)[0] for t in tags if t.aside), default=0.0)
    aside += 8 if aside else 0
    wrapped = [wrap(t.words, max(40.0, room - aside), LABEL, t.bold) for t in tags]
    width = max((extent(w, LABEL, t.bold)[0] for w, t in zip(wrapped, tags, strict=True)), default=0.0)
    return wrapped, aside, width, sum(extent(w, LABEL)[1] + 1.5 for w in wrapped)


def ends(sheet: Canvas, ax: Axes, tags: Sequence[Tag], room: float) -> None:
    """Words in a column beside the panel, kept apart and tied to their line's end by thin leaders."""
    if not tags:
        return
    x0, y0, width, height = ax.bbox.bounds
    wrapped, aside, _, _ = column_size(tags, room)
    sizes = [extent(w, LABEL)[1] + 1.5 for w in wrapped]
    heights = spread([float(t.at[1]) for t in tags], sizes, y0 - 12, y0 + height + 12)
    right = x0 + width
    for tag, words, to in zip(tags, wrapped, heights, strict=True):
        y = float(np.clip(tag.at[1], y0, y0 + height))
        sheet.leader(tag.style, [(right, y), (right + 5, y), (right + LEADER - 5, float(to))], tag.method)
        if tag.aside:
            sheet.words(right + LEADER, to, tag.aside, size=LABEL, method=tag.method, va="center")
        sheet.words(
            right + LEADER + aside,
            to,
            words,
            size=LABEL,
            colour=tag.style.text,
            bold=tag.bold,
            method=tag.method,
            va="center",
        )
