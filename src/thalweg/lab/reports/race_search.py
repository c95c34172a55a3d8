"""What a race's report says of the search: the trials along each setting and over two, and what each explains."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..formatting import listing
from ..race_result import MethodRow, RaceResult, RaceSettings
from .page import figure, table

if TYPE_CHECKING:
    from ..pictures.race import Plot


def section(race: RaceResult, rows: list[MethodRow]) -> str:
    """The section on the search; "" where no more than the learning rate was tuned, or nothing tried."""
    if race["settings"]["tuned"] == ["lr"]:
        return ""
    from ..pictures import search as plots  # matplotlib is slow to import

    tuned = plots.tuned(race)
    if not tuned:
        return ""
    name = escape(race["settings"]["loss_name"])
    parts = [_importance(race, rows, tuned)]
    for n in tuned:
        label = f"Final {name} of each trial against its {escape(_called(n))}, one panel per method."
        parts.append(
            _figure(plots.along(n), race, f"Along {_called(n)}", label, ALONG if n == tuned[0] else "")
        )
    pairs = plots.pairs(race)
    for a, b in pairs[: plots.PAIRS]:
        label = f"The lowest {name} of the trials in each cell of {a} and {b}, one panel per method."
        title = f"{_called(a).capitalize()} and {_called(b)} at once"
        parts.append(_figure(plots.over(a, b), race, title, label, OVER if (a, b) == pairs[0] else ""))
    if left := pairs[plots.PAIRS :]:
        told = listing(f"{a} and {b}" for a, b in left)
        parts.append(f'<p class="caption">Not drawn, since these settings explain less: {escape(told)}.</p>')
    return f'<section aria-labelledby="search"><h2 id="search">The search</h2>{"".join(p for p in parts if p)}</section>'


def way(settings: RaceSettings) -> str:
    """How settings were chosen and when more were tried, in words."""
    if settings["sampler"] == "optuna":
        return "Optuna's sampler chose each method's next settings by what came of those before, so that nothing is told of smaller budgets"
    return "where good values lay at the edge of a range that could be widened, as many more for all"


ALONG = (
    "Each point is a trial; what the other settings were is not shown, so that the lower edge of the cloud is what the "
    "setting allows. The dashed line marks the value that was chosen; crosses at the top are trials that diverged or lie above the axis."
)
OVER = (
    "A cell has the shade of the best trial in it, bluer is lower, ranked within the method; empty cells were not "
    "tried. Dots are trials, the marker is the choice. A slanted blue band means that the two have to be chosen together."
)


def _called(setting: str) -> str:
    return "learning rate" if setting == "lr" else setting


def _importance(race: RaceResult, rows: list[MethodRow], tuned: list[str]) -> str:
    """A table of the share of the trials' differences that each setting explains."""
    explained = race["importance"]
    pairs = zip(explained["method"], explained["setting"], strict=True)
    shares = dict(zip(pairs, explained["share"], strict=True))
    told = [r["method"] for r in rows if any((r["method"], n) in shares for n in tuned)]
    if not told:
        return ""
    head = "".join(f'<th scope="col">{escape(_called(n))}</th>' for n in tuned)
    lines = []
    for name in told:
        own = [shares.get((name, n)) for n in tuned]
        rest = 1 - sum(s for s in own if s is not None)
        cells = "".join(
            f"<td>{'–' if s is None else f'{100 * s:.0f} %'}</td>" for s in (*own, max(rest, 0.0))
        )
        lines.append(
            f'<tr data-method="{escape(name)}"><th scope="row" class="name">{escape(name)}</th>{cells}</tr>'
        )
    return (
        "<h3>What each setting explains</h3>"
        + table(
            f'<th scope="col" class="name">method</th>{head}<th scope="col">together, or chance</th>',
            "".join(lines),
            "What each setting explains",
        )
        + '<p class="footnote">Of the variance of the trials’ ranks, by a parabola in each setting, less what chance alone '
        "would explain (ω²). A setting near 0 % hardly mattered within its range.</p>"
    )


def _figure(plot: Plot, race: RaceResult, title: str, label: str, caption: str) -> str:
    wide, narrow = (plot(race, label, narrow=n) for n in (False, True))
    return figure(wide, narrow, caption, plot.name, title)
