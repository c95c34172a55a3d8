"""The report of a study: one self-contained HTML page in the race's design."""

from __future__ import annotations

import json
import math
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from ..formatting import listing, number, plain
from ..pictures.style import Style, styles
from ..race_result import Effect, RaceResult
from ..study_result import StudyResult, StudyRow, turned
from . import fairness, race_wording
from .page import block, chips, facts, figure, key, page, sorting, table
from .study_wording import sentences

if TYPE_CHECKING:
    from ..pictures.study import StudyPlot

LAST_RATIO = 64  # to which profiles are drawn


def render(study: StudyResult) -> str:
    """The whole page for a study; nothing in it is fetched from anywhere."""
    rows = study["methods"]
    names = [r["method"] for r in rows]
    looks = styles(names)
    problems = study["settings"]["problems"]
    parts = [notice(study), _answers(study)]
    if rows:
        parts += [
            f'<section aria-labelledby="methods"><h2 id="methods">Methods over {len(problems)} problems</h2>'
            f"{_methods(study, looks)}</section>",
            f'<section aria-labelledby="each"><h2 id="each">Problem by problem</h2>{_problems(study, looks)}</section>',
            f"<section><h2>One against another, over all problems</h2>{_pairs(study)}</section>"
            if len(rows) > 1
            else "",
            f"<section><h2>How soon targets are met</h2>{chips(names, looks)}{_profiles(study, looks)}{_figures(study)}</section>",
        ]
    parts += [
        fairness.sections(study["audit"], study["lint"]),
        f"<section><h2>How this study was run</h2>{_run(study)}</section>",
    ]
    title = f"Study of {len(problems)} problem{'' if len(problems) == 1 else 's'}"
    return page(title, f"study · {', '.join(problems)}", "\n".join(parts))


def _name(name: str) -> str:
    return f'<b data-method="{escape(name)}">{escape(name)}</b>'


def _marked(text: str) -> str:
    """A sentence for the page, in which names of methods stand between NULs."""
    return "".join(_name(part) if k % 2 else escape(part) for k, part in enumerate(text.split("\0")))


def _mark(name: str) -> str:
    return f"\0{name}\0"


def notice(study: StudyResult) -> str:
    """What is missing, as a note above everything else; "" where nothing is."""
    told = [f"{escape(p)} could not be raced: {escape(reason)}" for p, reason in study["failed"].items()]
    raced = {r["problem"] for r in study["races"] if r["finished"]}
    missing = [p for p in study["settings"]["problems"] if p not in raced and p not in study["failed"]]
    if missing:
        told.insert(0, f"<b>This study was interrupted.</b> Not finished: {escape(listing(missing))}")
    return f'<aside class="notice" role="note">{". ".join(told)}.</aside>' if told else ""


def _answers(study: StudyResult) -> str:
    """The sentences, the first of them large."""
    told = [_marked(s) for s in sentences(study, _mark)] or [
        "No problem was raced to its end by every method."
    ]
    first, *others = told
    rest = f'<ul class="answers">{"".join(f"<li>{text}</li>" for text in others)}</ul>' if others else ""
    return f'<p class="answer">{first}</p>{rest}'


def _methods(study: StudyResult, looks: dict[str, Style]) -> str:
    """One row a method, highest score first."""
    heads = "".join(sorting(h) for h in ("score", "mean rank at the end", "targets met"))
    heads += "".join(
        f'<th scope="col" class="where">{h}</th>' for h in ("lowest on", "unbeaten on", "beaten on")
    )
    body = "".join(_method(row, looks[row["method"]]) for row in study["methods"])
    head = sorting("method", " class=name") + heads
    return f'{table(head, body, "Table of methods")}<p class="footnote">{_methods_note(study)}</p>'


def _method(row: StudyRow, look: Style) -> str:
    name = escape(row["method"])
    return (
        f'<tr data-method="{name}"><th scope="row" class="name" data-v="{name}">{key(look)}{name}</th>'
        f'<td data-v="{row["score"]!r}"><b>{row["score"]:.2f}</b></td><td data-v="{row["rank"]!r}">{row["rank"]:.1f}</td>'
        f'<td data-v="{row["solved"]!r}">{100 * row["solved"]:.0f} %</td>'
        f'<td class="where">{escape(listing(row["lowest_on"])) or "–"}</td>'
        f'<td class="where">{escape(listing(row["unbeaten_on"])) or "–"}</td>'
        f'<td class="where">{listing(_beaten(loss["problem"], loss["by"]) for loss in row["beaten_on"]) or "–"}</td></tr>'
    )


def _beaten(problem: str, by: str) -> str:
    return f"{escape(problem)} (by {escape(by)})"


def _methods_note(study: StudyResult) -> str:
    return (
        f"Score: AlgoPerf's, the mean height of the performance profile between the ratios 1 and {study['settings']['r_max']:g}, "
        "from expected running times with restarts to every target of every problem; 1 is the fastest to all of them. "
        "Rank: by the median loss at the end, 1 the lowest, mean over problems. Targets met: of all runs on fresh "
        "seeds. Lowest: by the median. Beaten: by paired verdicts on each problem, at the tuned settings; unbeaten: by nobody, "
        "which few seeds make easy."
    )


def _problems(study: StudyResult, looks: dict[str, Style]) -> str:
    """Median losses, a column a problem, and below what each race answers."""
    races = study["races"]
    heads = "".join(f'<th scope="col">{escape(r["problem"])}</th>' for r in races)
    body = "".join(
        f'<tr data-method="{escape(row["method"])}"><th scope="row" class="name">{key(looks[row["method"]])}'
        f"{escape(row['method'])}</th>{''.join(_cell(r, row['method']) for r in races)}</tr>"
        for row in study["methods"]
    )
    details = "".join(
        f"<details><summary>{escape(r['title'])}</summary><p>{escape(r['text'])}</p>"
        f'<ul class="answers">{"".join(f"<li>{_marked(s)}</li>" for s in race_wording.sentences(r, _mark))}</ul></details>'
        for r in races
    )
    head = f'<th scope="col" class="name">median loss at the end</th>{heads}'
    return (
        f"{table(head, body, 'Table of problems')}"
        '<p class="footnote">Marked: the lowest, and what is not told apart from it.</p>'
        f"{details}"
    )


def _cell(race: RaceResult, method: str) -> str:
    row = next((r for r in race["methods"] if r["method"] == method), None)
    median = row["loss"]["median"] if row else None
    answer = next((a for a in race["answers"] if a["question"] == "lowest"), None)
    text = number(median) if median is not None else "∞"
    if answer is None or method not in (answer["leaders"] if answer["tested"] else answer["leaders"][:1]):
        return f"<td>{text}</td>"
    word = "lowest" if method == answer["leaders"][0] else "not told apart"
    return f'<td class="led"><b>{text}</b><span class="hidden"> ({word})</span></td>'


def _profiles(study: StudyResult, looks: dict[str, Style]) -> str:
    """The performance profile with its methods' switches; what is seen without a script is the picture of all."""
    from ..pictures import study as plots  # matplotlib is slow to import

    names = [r["method"] for r in study["methods"]]
    rows = "".join(
        f'<tr data-score="{escape(n)}" data-method="{escape(n)}"><th scope="row" class="name"><label><input type="checkbox" checked '
        f'data-show="{escape(n)}"> {key(looks[n])}{escape(n)}</label></th><td></td><td></td><td></td></tr>'
        for n in names
    )
    heads = "".join(f'<th scope="col">{h}</th>' for h in ("score", "fastest", "met by some run"))
    script = (resources.files(__package__) / "study_profiles.js").read_text(encoding="utf-8")
    return f"""<h3>Performance profile, of the methods that are shown</h3>
<div class="profile"><svg id="profile-plot" role="img" viewBox="0 0 720 340"
aria-label="Share of targets that each method meets within a multiple of the fastest one's running time"></svg>
{table(f'<th scope="col" class="name">show</th>{heads}', rows, "Table of scores")}</div>
<noscript>{plots.profile(study, "Performance profiles of all methods")}</noscript>
<p class="caption">At 1: the share of targets to which a method is the fastest; further right, within so many times the fastest
one's running time; at the end, the share that it meets at all. Ratios depend on who takes part: without the best method the others
may rank otherwise, so hide it and look again. The figures below do not depend on it.</p>
<script type="application/json" id="profile-data">{_profile_data(study, looks)}</script>
<script>
{script}</script>"""


def _dash(look: Style) -> str:
    """A line's dashes as SVG has them, "" for none; matplotlib counts them in widths of the line."""
    return "" if isinstance(look.dash, str) else " ".join(f"{d * look.width:g}" for d in look.dash[1])


def _profile_data(study: StudyResult, looks: dict[str, Style]) -> str:
    """What the script computes from: each method's running times, target by target, null where there is none."""
    table = study["times"]
    names = [r["method"] for r in study["methods"]]
    rows = list(zip(table["method"], table["time"], strict=True))
    methods = [
        {
            "name": n,
            "stroke": looks[n].stroke,
            "dash": _dash(looks[n]),
        }
        for n in names
    ]
    data = {
        "methods": methods,
        "times": [[time for m, time in rows if m == n] for n in names],
        "r_max": study["settings"]["r_max"],
        "last": LAST_RATIO,
    }
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")


def _figures(study: StudyResult) -> str:
    from ..pictures import study as plots

    ranking = ", ".join(f"{r['method']} {r['score']:.2f}" for r in study["methods"])
    shown = [
        (
            plots.data_profile,
            "Data profile",
            "Share of targets met by each method within so many gradient evaluations, restarts included",
            "The share of targets, over all problems, whose expected running time with restarts is within a budget. "
            "It does not depend on the other methods.",
        ),
        (
            plots.solved,
            "All runs' targets",
            f"Share of all runs' targets met within so many gradient evaluations. Scores: {ranking}",
            "Every run from every fresh seed, three targets each; what was never met stays in the denominator. Below, each "
            "method with the band that holds 90 % of bootstrap samples of the seeds.",
        ),
    ]
    if study["tuning"]["n"]:
        shown.append(
            (
                plots.tuning,
                "How much tuning it takes",
                "Expected best loss of so many trials, one panel a problem",
                "The loss that is expected of the best of so many trials, from those that looked at no other; a trial that ended "
                "above its start counts as the start. Where curves cross, the better method depends on how much one is willing to try.",
            )
        )
    return "\n".join(_figure(plot, study, *words) for plot, *words in shown)


def _figure(plot: StudyPlot, study: StudyResult, title: str, label: str, caption: str) -> str:
    wide, narrow = (plot(study, label, narrow=n) for n in (False, True))
    return figure(wide, narrow, caption, plot.name, title)


def _pairs(study: StudyResult) -> str:
    """The method with the highest score against each other one, over all problems."""
    first, *others = [r["method"] for r in study["methods"]]
    rows = []
    for name in others:
        pair = next(p for p in study["pairs"] if {p["a"], p["b"]} == {first, name})
        ahead = pair["a"] == first
        time, loss = (effect if ahead else turned(effect, True) for effect in (pair["time"], pair["loss"]))
        faster = pair["faster"] if ahead else 1 - pair["faster"]
        cells = (
            _ratio(time),
            f"{100 * faster:.0f} %",
            plain(pair["p_time"], 2),
            _ratio(loss),
            plain(pair["p_loss"], 2),
        )
        rows.append(
            f'<tr data-method="{escape(name)}"><th scope="row" class="name">{escape(name)}</th>'
            + "".join(f"<td>{c}</td>" for c in cells)
            + "</tr>"
        )
    names = (
        "steps to the middle target",
        "first there",
        "p over problems",
        "loss at the end",
        "p over problems",
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    head = f'<th scope="col" class="name">{escape(first)} against</th>{heads}'
    return (
        f"{table(head, ''.join(rows), 'Table of effects')}"
        f'<p class="footnote">What {escape(first)} has, as a multiple of the other: the mean of the middle half of the log ratios of '
        "paired runs on all problems, in brackets its 95 % interval from bootstrap samples of the seeds, for each pair alone. First "
        "there: the share of paired runs, equal ones counted half. p: of the signed-rank test over problems, corrected for all "
        "pairs.</p>"
    )


def _ratio(effect: Effect | None) -> str:
    """An effect as a ratio with its interval; "∞" where it is infinite."""
    if effect is None:
        return "–"
    middle, low, high = (
        plain(math.inf if (x := effect[n]) is None else x) for n in ("median", "low", "high")
    )
    return f"<b>{middle} ×</b> ({low} to {high})"


def _run(study: StudyResult) -> str:
    settings = study["settings"]
    races = "".join(
        f"<div><dt>{escape(r['problem'])}</dt><dd>{r['settings']['trials']} trials, {r['settings']['steps']:,} steps, "
        f"{r['settings']['seeds']} fresh seeds</dd></div>"
        for r in study["races"]
    )
    command = (
        f"<p>To run it again:</p>{block(settings['command'], 'the command')}" if settings["command"] else ""
    )
    return (
        "<p>Every problem is a race of its own: the same trials for every method, the best five rerun, the best of them run on fresh "
        "seeds, which methods share, and verdicts from these pairs. Targets leave a share of the way from a run's start to the known "
        "minimum, or to the lowest loss of any run. A step is one gradient evaluation.</p>"
        f"{command}<dl>{races}{facts(study['versions'])}</dl>"
    )
