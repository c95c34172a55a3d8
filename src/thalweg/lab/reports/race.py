"""The report of a race: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from html import escape

from ..explored import Explored
from ..formatting import listing, number
from ..pictures.style import styles
from ..race_result import Columns, MethodRow, RaceResult, ranked
from ..workers import Named, beside
from . import fairness, race_explorer, race_search, race_table
from .page import block, chips, facts, figure, page, table
from .race_chart import chart, script
from .race_table import loss
from .race_wording import remarks, told

DRAWING = "thalweg.lab.pictures.race"  # the module that draws its pictures; it brings matplotlib

# Settings that the page shows elsewhere.
_SHOWN_APART = {"command", "methods", "target_text", "loss_name", "scales"}
_OF_ROWS = {"rows", "batch"}  # where there is no table of them


def render(race: RaceResult, explored: Explored | None = None) -> str:
    """The whole page for a race; nothing in it is fetched from anywhere. explored: what its explorer shows, if any."""
    rows = ranked(race)
    names = [r["method"] for r in rows]
    body = f"""{_notice(race, rows)}
{_answers(race, rows)}
<p class="about">{escape(race["text"])}</p>
<section aria-labelledby="results">
<h2 id="results">Results</h2>
{table(race_table.head(race, rows), race_table.body(race, rows), "Table of results")}
<p class="footnote">{_footnote(race)}</p>
</section>
<section aria-labelledby="figures">
<h2 id="figures">Figures</h2>
{chips(names, styles(names))}
{_figures(race, rows)}
</section>
{race_explorer.section(explored) if explored else ""}
{race_search.section(race, rows)}
{fairness.sections({race["problem"]: race["audit"]}, race["lint"])}
<section>
<h2>How this race was run</h2>
{_run(race, rows)}
</section>
{_code(race, rows)}"""
    return page(race["title"], f"race · {race['problem']}", body, script())


def _names(names: Iterable[str]) -> str:
    return listing(f'<b data-method="{escape(n)}">{escape(n)}</b>' for n in names)


def _answers(race: RaceResult, rows: list[MethodRow]) -> str:
    """The answers to the four questions, the first of them large; who diverged at every setting."""
    mark = lambda name: f"\0{name}\0"  # noqa: E731
    answers = [(_marked(first), _marked(beside)) for first, beside in told(race, mark)]
    known = [_marked(sentence) for sentence in remarks(race, mark)]
    lost = [r for r in rows if loss(r) is None and r["diverged"] == r["trials"] > 0]
    if not answers:
        done = [r for r in rows if loss(r) is not None]
        now = (
            f"So far {_names([done[0]['method']])} has the lowest {escape(race['settings']['loss_name'])} in tuning, "
            f"{number(loss(done[0]))}; no two methods were rerun on fresh seeds."
            if done
            else "No method has a result yet."
        )
        answers = [(now, "")]
    for fate in dict.fromkeys(r["fate"] for r in lost):
        known.append(
            f"{_names(r['method'] for r in lost if r['fate'] == fate)} {fate} at every setting tried."
        )
    (first, beside), *others = answers
    lines = [beside, *(f"{a} {b}".strip() for a, b in others), *known]
    items = "".join(f"<li>{text}</li>" for text in lines if text)
    rest = f'<ul class="answers">{items}</ul>' if items else ""
    return f'<p class="answer">{first}</p>{rest}'


def _marked(sentence: str) -> str:
    """A sentence for the page, in which names of methods stand between NULs."""
    return "".join(_names([part]) if k % 2 else escape(part) for k, part in enumerate(sentence.split("\0")))


def _notice(race: RaceResult, rows: list[MethodRow]) -> str:
    if race["finished"]:
        return ""
    settings, present = race["settings"], {r["method"] for r in rows}
    missing = [escape(m) for m in settings["methods"] if m not in present]
    partial = [r for r in rows if loss(r) is None and r["trials"] < settings["trials"]]
    parts = [f"{escape(r['method'])} stopped at trial {r['trials']} of {settings['trials']}" for r in partial]
    if missing:
        parts.append(f"nothing yet for {listing(missing)}")
    tail = f" What is missing: {'; '.join(parts)}." if parts else ""
    return (
        '<aside class="notice" role="note"><b>This race was interrupted.</b> The page shows '
        f"what had been measured by then.{tail}</aside>"
    )


def _footnote(race: RaceResult) -> str:
    settings, parts = race["settings"], [_seeds(race)]
    if text := settings["target_text"]:
        parts.append(f"Target: {escape(text)}.")
    if race["answers"]:
        parts.append(
            "Verdicts hold at these settings: methods are compared run by run, pair by pair (the same start and the "
            "same batches), by the exact signed-rank test, each question corrected for all pairs at 5 %; a difference "
            "under 2 % is none. In brackets: the interval at that level. “Not told apart” from the lowest: no verdict."
        )
    if race["outsider"]:
        parts.append(
            f"{escape(race['outsider']['name'])} did not take part; it only shows what is attainable."
        )
    return " ".join(parts)


def _seeds(race: RaceResult) -> str:
    """Over how many seeds the medians are, of what was run; where that is not the same for all, for each method."""
    settings, fresh = race["settings"], race["runs"]["method"]
    counts = {r["method"]: fresh.count(r["method"]) for r in race["methods"]}
    if set(counts.values()) == {1}:
        return "One run of each method, so no real band."
    if race["finished"]:
        return f"Medians and 10–90 % bands over {settings['seeds']} seeds."
    tuning = _count(settings["tuning_seeds"]).replace("seed", "tuning seed")
    done: dict[str, list[str]] = {}
    for row in race["methods"]:
        n = counts[row["method"]]
        if n or row["trials"]:
            done.setdefault(_count(n) if n else tuning, []).append(escape(row["method"]))
    if len(done) < 2:
        return f"Medians and 10–90 % bands over {next(iter(done), _count(0))}."
    told = "; ".join(f"{listing(who)} over {n}" for n, who in done.items())
    return f"Medians and 10–90 % bands: {told}."


def _figures(race: RaceResult, rows: list[MethodRow]) -> str:
    name = race["settings"]["loss_name"]
    ranking = ", ".join(f"{r['method']} {number(loss(r))}" for r in rows)
    shown = [
        (
            bool(race["landscape"] and race["paths"]),
            "contour",
            "The paths",
            f"Map of the problem with the path of each method from the start. Final loss: {ranking}",
            "Bluer is lower; the tints follow quantiles of the height, finer towards the valley "
            "floor. Each path ends in its marker; pick a method above to see it alone.",
        ),
        (
            _any(race["trials"], "lr") and race["settings"]["tuned"] == ["lr"],
            "sensitivity",
            "How much the learning rate matters",
            f"Final {name} of each trial against its learning rate, one panel per method.",
            "A wide, flat valley forgives a careless choice; a narrow one has to be hit. The "
            "dashed line marks the tuned rate and crosses at the top are trials that diverged or "
            "lie above the axis. Rates of different methods have different units, so compare "
            "widths and depths, not places.",
        ),
        (
            _any(race["rates"], "median"),
            "rate",
            "The rate that each coordinate felt",
            "Effective learning rate against step on a log scale, one line per method.",
            "The step size divided by the gradient, coordinate by coordinate: the line is the "
            "median coordinate and the band below holds 10–90 % of them. A wide band means that "
            "the method treats coordinates very differently." + _steady(rows),
        ),
    ]
    wanted = [
        (plot, label, narrow) for there, plot, _, label, _ in shown if there for narrow in (False, True)
    ]
    losses = f"Median {name} against step on a log scale, in order of the final value: {ranking}"
    if curves := _any(race["curves"], "median"):
        wanted.append(("loss", losses, False))
    svgs = beside(partial(Named(DRAWING, "themable"), race), wanted)
    drawings = {(plot, narrow): svg for (plot, _, narrow), svg in zip(wanted, svgs, strict=True)}
    parts = [
        figure(drawings[plot, False], drawings[plot, True], caption, plot, title)
        for there, plot, title, _, caption in shown
        if there
    ]
    if curves:
        parts.insert(1 if shown[0][0] else 0, _losses(race, drawings["loss", False]))
    return "\n".join(parts) or '<p class="caption">There is nothing to draw yet.</p>'


def _losses(race: RaceResult, drawing: str) -> str:
    """The chart of losses, and a drawing of it where no script runs."""
    name = race["settings"]["loss_name"]
    return (
        f'<figure id="loss"><h3>{escape(name if len(name) == 1 else name[0].upper() + name[1:])} on the way</h3>{chart(race)}'
        f"<noscript>{drawing}</noscript>"
        "<figcaption>Medians over the seeds; lower is better. Point at the chart, or move along it with the arrow keys, "
        "for all values at one place. Pick methods above to see their 10–90 % bands; a triangle at the upper edge "
        "marks where a band goes on beyond it.</figcaption></figure>"
    )


def _steady(rows: list[MethodRow]) -> str:
    """Which of a momentum's two rates is drawn, and how far the other is from it."""
    apart = {r["method"]: r["gain"] / r["lr"] for r in rows if r["gain"] and r["lr"]}
    if not apart:
        return ""
    factors = listing(f"{number(v, 2)} × for {escape(n)}" for n, v in apart.items())
    return (
        " Drawn is the factor on what the method averages; under a constant gradient the average of a momentum grows, and "
        f"its steady gain is more: {factors}."
    )


def _any(table: Columns, key: str) -> bool:
    return any(v is not None for v in table.get(key, ()))


def _count(seeds: int) -> str:
    return f"{seeds} seed{'' if seeds == 1 else 's'}"


def _run(race: RaceResult, rows: list[MethodRow]) -> str:
    settings = race["settings"]
    trials = [r["trials"] for r in rows]
    parts = [
        f"<p>The race was interrupted: {min(trials, default=0)} to {max(trials, default=0)} of {settings['trials']} trials of "
        f"each method were run, each scored over {_count(settings['tuning_seeds'])}, and {len(set(race['runs']['method']))} "
        f"of {len(settings['methods'])} methods were rerun on fresh seeds.</p>"
        if not race["finished"]
        else f"<p>Every method was given the same {settings['trials']} trials to find its settings, each trial scored over "
        f"{_count(settings['tuning_seeds'])}; {race_search.way(settings)}. The best "
        f"five ran over {_count(settings['final_seeds'])} more, and the one with the best {settings['selection']} over "
        f"{_count(settings['seeds'])} that none had seen, for {settings['steps']:,} steps.</p>",
    ]
    if settings["command"]:
        parts.append(f"<p>To run it again:</p>{block(settings['command'], 'the command')}")
    apart = _SHOWN_APART if settings["rows"] else _SHOWN_APART | _OF_ROWS
    parts.append(f"<dl>{facts({k: v for k, v in settings.items() if k not in apart and v != {}})}")
    parts.append(f"{facts(race['versions'])}</dl>")
    if rules := [(r["method"], r["rule"]) for r in rows if r["rule"]]:
        items = "".join(
            f'<tr data-method="{escape(m)}"><th scope="row">{escape(m)}</th>'
            f"<td><code>{escape(rule)}</code></td></tr>"
            for m, rule in rules
        )
        parts.append(
            "<details><summary>The tuned rule of each method</summary>"
            f'<table class="rules"><tbody>{items}</tbody></table></details>'
        )
    return "".join(parts)


def _code(race: RaceResult, rows: list[MethodRow]) -> str:
    if not race["code"]:
        return ""
    best = rows[0]["method"] if rows and loss(rows[0]) is not None else "the best method"
    return (
        f"<section><h2>Use {escape(best)} as tuned here</h2>"
        f"{block(race['code'], 'the Python code')}</section>"
    )
