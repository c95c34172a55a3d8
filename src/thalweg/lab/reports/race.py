"""The report of a race: one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Literal

from ..formatting import column, listing, margin, number
from ..pictures.style import Style, styles
from ..race_result import Columns, MethodRow, RaceResult, height, ranked
from .page import block, chips, facts, figure, key, page

if TYPE_CHECKING:
    from ..pictures.race import Plot

# Settings that the page shows elsewhere.
_SHOWN_APART = {"command", "methods", "target_text", "loss_name"}


def render(race: RaceResult) -> str:
    """The whole page for a race; nothing in it is fetched from anywhere."""
    rows = ranked(race)
    names = [r["method"] for r in rows]
    body = f"""{_notice(race, rows)}
<p class="answer">{_answer(race, rows)}</p>
<p class="about">{escape(race["text"])}</p>
<section aria-labelledby="results">
<h2 id="results">Results</h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="results">
<table class="results"><thead>{_head(race, rows)}</thead>
<tbody>
{_rows(race, rows)}
</tbody></table></div>
<p class="footnote">{_footnote(race)}</p>
</section>
<section aria-labelledby="figures">
<h2 id="figures">Figures</h2>
{chips(names, styles(names))}
{_figures(race, rows)}
</section>
<section>
<h2>How this race was run</h2>
{_run(race, rows)}
</section>
{_code(race, rows)}"""
    return page(race["title"], f"race · {race['problem']}", body)


def _loss(row: MethodRow, key: Literal["median", "p10", "p90"] = "median") -> float | None:
    return row["loss"][key]


def _names(rows: Iterable[MethodRow]) -> str:
    return listing(f'<b data-method="{escape(r["method"])}">{escape(r["method"])}</b>' for r in rows)


def _noise(rows: list[MethodRow]) -> list[MethodRow]:
    """The methods whose 10-90 % band reaches down into the band of the best one."""
    top = _loss(rows[0], "p90")
    return [r for r in rows[1:] if top is not None and (low := _loss(r, "p10")) is not None and low <= top]


def _answer(race: RaceResult, rows: list[MethodRow]) -> str:
    settings = race["settings"]
    loss = escape(settings["loss_name"])
    done = [r for r in rows if _loss(r) is not None]
    failed = [r for r in rows if _loss(r) is None and r["diverged"] == r["trials"]]
    sentences = []
    if not done:
        sentences.append("No method has a result yet.")
    else:
        best, value = done[0], number(_loss(done[0]))
        start = "So far" if not race["finished"] else "In this race"
        first = f"{start} {_names([best])} has the lowest {loss}, a median of {value}"
        first += f" after {settings['steps']:,} steps"
        close = _noise(done)
        clear = [r for r in done[1:] if r not in close]
        if close:
            verb = "is" if len(close) == 1 else "are"
            first += f", but {_names(close)} {verb} within noise of it"
        if clear:
            joiner = "; the next, " if close else ": "
            gap = margin(height(best), height(clear[0]))
            first += (
                f"{joiner}{_names(clear[:1])}, ends clearly higher, at {number(_loss(clear[0]))}"
                if close
                else f", {gap} that of the next, {_names(clear[:1])}"
            )
        sentences.append(first + ".")
        if settings["target"] is not None:
            late = [r for r in done if r["steps_to_target"] is None]
            if len(late) == len(done):
                sentences.append("No method reached the target.")
            elif late:
                sentences.append(f"{_names(late)} never reached the target.")
            else:
                sentences.append("Every one of them reached the target.")
    if failed:
        sentences.append(f"{_names(failed)} diverged at every setting tried.")
    return " ".join(sentences)


def _notice(race: RaceResult, rows: list[MethodRow]) -> str:
    if race["finished"]:
        return ""
    settings, present = race["settings"], {r["method"] for r in rows}
    missing = [escape(m) for m in settings["methods"] if m not in present]
    partial = [r for r in rows if _loss(r) is None and r["trials"] < settings["trials"]]
    parts = [f"{escape(r['method'])} stopped at trial {r['trials']} of {settings['trials']}" for r in partial]
    if missing:
        parts.append(f"nothing yet for {listing(missing)}")
    tail = f" What is missing: {'; '.join(parts)}." if parts else ""
    return (
        '<aside class="notice" role="note"><b>This race was interrupted.</b> The page shows '
        f"what had been measured by then.{tail}</aside>"
    )


def _metric_name(rows: list[MethodRow]) -> str | None:
    return next((r["metric"]["name"] for r in rows if r["metric"]), None)


def _head(race: RaceResult, rows: list[MethodRow]) -> str:
    loss = race["settings"]["loss_name"]
    heads = ["learning rate", f"{loss}, median", "10–90 %", ""]
    heads += [name] if (name := _metric_name(rows)) else []
    heads += ["steps to target", "µs per step", "diverged trials"]
    cells = "".join(f'<th scope="col">{escape(h)}</th>' if h else '<td class="strip"></td>' for h in heads)
    return f'<tr><th scope="col" class="name">method</th>{cells}</tr>'


def _strips(rows: list[MethodRow], looks: Mapping[str, Style]) -> list[str]:
    """For each row its band and median on one log scale, shared by the whole column."""

    def values(row: MethodRow) -> list[float]:
        loss = row["loss"]
        return [v for v in (loss["p10"], loss["median"], loss["p90"]) if v is not None and v > 0]

    ends = [math.log(v) for r in rows for v in values(r)]
    if not ends:
        return [""] * len(rows)
    low, size = min(ends), max(max(ends) - min(ends), 1e-9)

    def strip(row: MethodRow) -> str:
        if len(values(row)) < 3:
            return ""
        a, m, b = (6 + 108 * (math.log(v) - low) / size for v in values(row))
        colour = f"var(--{looks[row['method']].stroke})"
        return (
            f'<svg viewBox="0 0 120 14" aria-hidden="true"><path d="M6 7H114" class="rail"/>'
            f'<path d="M{a:.1f} 7H{max(b, a + 1):.1f}" style="stroke:{colour}" class="band"/>'
            f'<circle cx="{m:.1f}" cy="7" r="3.6" style="fill:{colour}"/></svg>'
        )

    return [strip(r) for r in rows]


def _rows(race: RaceResult, rows: list[MethodRow]) -> str:
    looks = styles(r["method"] for r in rows)
    losses = column([_loss(r) for r in rows])
    bands = list(zip(*(column([_loss(r, k) for r in rows]) for k in ("p10", "p90")), strict=True))
    rates = [number(r["lr"]) for r in rows]
    close = _noise(rows) if rows and _loss(rows[0]) is not None else []
    metric, lines = _metric_name(rows), []
    for i, (row, strip) in enumerate(zip(rows, _strips(rows, looks), strict=True)):
        name = escape(row["method"])
        best = i == 0 and _loss(row) is not None
        badge = (
            '<span class="badge">lowest</span>'
            if best
            else '<span class="badge close">within noise</span>'
            if row in close
            else ""
        )
        notes = "".join(f"<small>{escape(n)}</small>" for n in row["notes"])
        low, high = bands[i]
        top = high if _loss(row, "p90") is not None else "∞"  # some seeds diverged
        band = f"{low}–{top}" if _loss(row, "p10") is not None else "–"
        target = "–" if (steps := row["steps_to_target"]) is None else f"{steps:,.0f}"
        cells = [rates[i], f"<b>{losses[i]}</b>", band]
        extra = [target, number(row["us_per_step"]), f"{row['diverged']} / {row['trials']}"]
        if metric:
            extra.insert(0, _share(row["metric"]["median"] if row["metric"] else None, metric))
        tds = "".join(f"<td>{c}</td>" for c in cells)
        tds += f'<td class="strip">{strip}</td>' + "".join(f"<td>{c}</td>" for c in extra)
        lines.append(
            f'<tr data-method="{name}"{" class=best" if best else ""}><th scope="row" class="name">'
            f'<button type="button" data-pin="{name}" aria-pressed="false" '
            f'title="{escape(row["rule"])}">{key(looks[row["method"]])}{name}</button>'
            f"{badge}{notes}</th>{tds}</tr>"
        )
    if outsider := race["outsider"]:
        cells = ["", f"<b>{number(outsider['loss'])}</b>", "", ""]
        cells += [_share(outsider["metric"], metric)] if metric else []
        cells += ["", "", ""]
        tds = "".join(f"<td>{c}</td>" for c in cells)
        lines.append(
            f'<tr class="outsider"><th scope="row" class="name">{escape(outsider["name"])}</th>{tds}</tr>'
        )
    return "\n".join(lines)


def _share(value: float | None, name: str) -> str:
    """A metric: accuracies as per cent, others as plain numbers."""
    return f"{100 * value:.1f} %" if value is not None and "accuracy" in name else number(value)


def _footnote(race: RaceResult) -> str:
    settings, parts = race["settings"], []
    parts.append(
        f"Medians and 10–90 % bands over {settings['seeds']} seeds."
        if settings["seeds"] != 1
        else "One run of each method, so no real band."
    )
    if text := settings["target_text"]:
        parts.append(f"Target: {escape(text)}.")
    if settings["seeds"] != 1:
        parts.append("“Within noise”: the method’s band overlaps the band of the best.")
    if race["outsider"]:
        parts.append(
            f"{escape(race['outsider']['name'])} did not take part; it only shows what is attainable."
        )
    return " ".join(parts)


def _figures(race: RaceResult, rows: list[MethodRow]) -> str:
    from ..pictures import race as plots  # matplotlib is slow to import

    loss = escape(race["settings"]["loss_name"])
    ranking = ", ".join(f"{r['method']} {number(_loss(r))}" for r in rows)
    parts = []
    if race["landscape"] and race["paths"]:
        parts.append(
            _figure(
                plots.contour,
                race,
                "The paths",
                f"Map of the problem with the path of each method from the start. Final loss: {ranking}",
                "Bluer is lower; the tints follow quantiles of the height, finer towards the valley "
                "floor. Each path ends in its marker; pick a method above to see it alone.",
            )
        )
    if _any(race["curves"], "median"):
        parts.append(
            _figure(
                plots.loss_curves,
                race,
                "Loss against steps",
                f"Median {loss} against step on a log scale, in order of the final value: {ranking}",
                "Lower is better, and steeper is faster; the scale is logarithmic. Above, the median "
                "of each method; below, in the order of the table and without the first fall, each "
                "method with its 10–90 % band in front of the others in grey.",
            )
        )
    if _any(race["trials"], "lr"):
        parts.append(
            _figure(
                plots.sensitivity,
                race,
                "How much the learning rate matters",
                f"Final {loss} of each trial against its learning rate, one panel per method.",
                "A wide, flat valley forgives a careless choice; a narrow one has to be hit. The "
                "dashed line marks the tuned rate and crosses at the top are trials that diverged or "
                "lie above the axis. Rates of different methods have different units, so compare "
                "widths and depths, not places.",
            )
        )
    if _any(race["rates"], "median"):
        parts.append(
            _figure(
                plots.effective_rate,
                race,
                "The rate that each coordinate felt",
                "Effective learning rate against step on a log scale, one line per method.",
                "The step size divided by the gradient, coordinate by coordinate: the line is the "
                "median coordinate and the band below holds 10–90 % of them. A wide band means that "
                "the method treats coordinates very differently.",
            )
        )
    return "\n".join(parts) or '<p class="caption">There is nothing to draw yet.</p>'


def _any(table: Columns, key: str) -> bool:
    return any(v is not None for v in table.get(key, ()))


def _figure(plot: Plot, race: RaceResult, title: str, label: str, caption: str) -> str:
    wide, narrow = (plot(race, label, narrow=n) for n in (False, True))
    return figure(wide, narrow, caption, plot.name, title)


def _count(seeds: int) -> str:
    return f"{seeds} seed{'' if seeds == 1 else 's'}"


def _run(race: RaceResult, rows: list[MethodRow]) -> str:
    settings = race["settings"]
    parts = [
        f"<p>Every method was given the same {settings['trials']} trials to find its settings, each trial scored over "
        f"{_count(settings['tuning_seeds'])}. The setting with the best {settings['selection']} then ran over "
        f"{_count(settings['seeds'])} for {settings['steps']:,} steps.</p>",
        f"<p>To run it again:</p>{block(settings['command'], 'the command')}",
    ]
    parts.append(f"<dl>{facts({k: v for k, v in settings.items() if k not in _SHOWN_APART})}")
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
    best = rows[0]["method"] if rows and _loss(rows[0]) is not None else "the best method"
    return (
        f"<section><h2>Use {escape(best)} as tuned here</h2>"
        f"{block(race['code'], 'the Python code')}</section>"
    )
