"""The report of the claims: what the sources state, what was measured, and whether it held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..claims import Findings, Result
from ..formatting import plain
from ..mathematics import displayed
from ..mathematics import html as prose
from ..pictures.looks import methods_of
from ..pictures.style import styles
from .page import block, chips, facts, figure, page

# Verdict: class on the page, shape (never colour alone), words of the tally for one and for several.
_CHECK = '<path d="M3 8.6 6.4 12 13 4.6" fill="none" stroke="currentColor" stroke-width="2.2"/>'
_HALF = (
    '<circle cx="8" cy="8" r="5.6" fill="none" stroke="currentColor" stroke-width="1.8"/>'
    '<path d="M8 2.4a5.6 5.6 0 0 1 0 11.2z" fill="currentColor"/>'
)
_CROSS = '<path d="M4 4l8 8M12 4l-8 8" fill="none" stroke="currentColor" stroke-width="2.2"/>'
_GAP = '<circle cx="8" cy="8" r="5.6" fill="none" stroke="currentColor" stroke-width="1.8" stroke-dasharray="2.4 2"/>'
_VERDICTS = {
    "holds": ("holds", _CHECK, "holds", "hold"),
    "holds under conditions": ("conditions", _HALF, "under conditions", "under conditions"),
    "does not hold": ("refuted", _CROSS, "does not", "do not"),
    "could not be run": ("failed", _GAP, "could not be run", "could not be run"),
}
_NOTICE = (
    '<aside class="notice" role="note"><b>The run was interrupted.</b> The claims below are those that '
    "were done by then.</aside>"
)
_FINDER = """<p class="finder"><label for="find">Search the claims</label>
<input id="find" type="search" autocomplete="off"> <span id="count" role="status"></span></p>"""
_FIND = """
const box = document.querySelector("#find");
if (box) {
  const claims = [...document.querySelectorAll(".claim")];
  const words = new Map(claims.map((c) => [c, c.textContent.toLowerCase()]));
  box.addEventListener("input", () => {
    const wanted = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let count = 0;
    for (const claim of claims) {
      claim.hidden = !wanted.every((word) => words.get(claim).includes(word));
      count += claim.hidden ? 0 : 1;
    }
    document.querySelector("#count").textContent = wanted.length ? `${count} of ${claims.length}` : "";
  });
}
// A link to a claim that the search has left out shows it; a printed page shows all that is folded.
addEventListener("hashchange", () => { const claim = document.querySelector(location.hash || "html"); if (claim.hidden) { box.value = ""; box.dispatchEvent(new Event("input")); claim.scrollIntoView(); } });
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
"""
MOST = 12  # numbers that stand open; more are folded away
DUST = 1e-12  # what rounding leaves
_APART = {"command", "versions"}


def _shape(path: str) -> str:
    return f'<svg viewBox="0 0 16 16" aria-hidden="true">{path}</svg>'


def mark(verdict: str, words: bool = True) -> str:
    """A verdict with its shape; without ``words`` it is said to screen readers alone."""
    kind, shape, *_ = _VERDICTS[verdict]
    text = verdict if words else f'<span class="hidden">{verdict}: </span>'
    return f'<span class="verdict {kind}">{_shape(shape)}{text}</span>'


def tally(results: Sequence[Result]) -> str:
    """25 claims: 18 hold, 6 under conditions, 1 does not."""
    counts = {verdict: sum(r.verdict == verdict for r in results) for verdict in _VERDICTS}
    parts = [f"{n} {_VERDICTS[v][2 if n == 1 else 3]}" for v, n in counts.items() if n]
    total = f"{len(results)} claim{'' if len(results) == 1 else 's'}"
    return f"{total}: {', '.join(parts)}." if parts else f"{total}."


def html(findings: Findings, settings: Mapping[str, Any]) -> str:
    """The whole page, self-contained.

    settings: facts about the run; "command" makes it again, "versions" are its tools'. A run that was
    interrupted says so.
    """
    results = findings.results
    used = [v for v in _VERDICTS if any(r.verdict == v for r in results)]
    legend = "".join(f"<span>{mark(v)}</span>" for v in used)
    chapters = dict.fromkeys(r.claim.chapter for r in results)
    contents = "".join(
        f"<section><h3>{escape(chapter)}</h3><ol>"
        + "".join(_entry(r) for r in results if r.claim.chapter == chapter)
        + "</ol></section>"
        for chapter in chapters
    )
    notice = "" if findings.finished else _NOTICE
    body = f"""{notice}<p class="answer">{tally(results)}</p>
<p class="about">Each claim was put to an experiment that says beforehand what would refute it. The
figures beside ours are those that the source prints, where it prints any. The run took {plain(findings.seconds)} s.</p>
<nav aria-labelledby="contents">
<h2 id="contents">The claims</h2>
<p class="legend">{legend}</p>
<div class="contents">{contents}</div>
</nav>
{_FINDER if len(results) > 1 else ""}
{"".join(map(_claim, results))}
{_run(settings)}"""
    return page("What the sources claim, and what was measured", "claims", body, _FIND)


def _entry(result: Result) -> str:
    title = prose(result.claim.title)
    return f'<li><a href="#{escape(result.id)}">{mark(result.verdict, False)}<span>{title}</span></a></li>'


def _claim(result: Result) -> str:
    name, claim = escape(result.id), result.claim
    parts = [
        f'<section class="claim" id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title"><a href="#{name}">{prose(claim.title)}</a></h2>'
        f'<p class="source">{mark(result.verdict)}</p>'
    ]
    if result.error is not None:
        parts.append(
            '<aside class="notice" role="note"><b>This experiment could not be run.</b> '
            f"{escape(result.error)}</aside>"
        )
    else:
        parts += [f'<p class="reading">{prose(result.evidence.reading)}</p>', picture(result)]
    inside = (
        f'<div class="math">{displayed(claim.formula)}</div>'
        f'<dl class="terms"><div><dt>What is measured</dt><dd>{prose(claim.measured)}</dd></div>'
        f"<div><dt>What would refute it</dt><dd>{prose(claim.refuted)}</dd></div></dl>"
        f'<div class="findings">{numbers(result)}<div>{conditions(result)}{checks(result)}</div></div>'
        f"<h3>Source</h3><p>{prose(claim.source)}</p>{references(result)}"
        f"{block(f'thalweg claims {result.id}', 'the command')}"
    )
    parts.append(f"<details><summary>{evidence_in_words(result)}</summary>{inside}</details></section>")
    return "".join(parts)


def evidence_in_words(result: Result) -> str:
    """What is folded away, counted: the evidence: 12 numbers, 3 of 4 checks good."""
    evidence = result.evidence
    needed = [*evidence.agreed.values(), *(good for _, good in evidence.checks)]
    if not needed:
        return "The evidence"
    count = len(evidence.numbers)
    tested = (
        f"{sum(needed)} of {len(needed)} checks good"
        if not all(needed)
        else f"{len(needed)} checks, all good"
    )
    return f"The evidence: {count} number{'' if count == 1 else 's'}; {tested}"


def references(result: Result) -> str:
    """What the claim cites, in full, with links."""
    items = "".join(
        f"<li>{prose(r.full)}{f' <a href={chr(34)}{escape(r.link)}{chr(34)}>{escape(r.link)}</a>' if r.link else ''}</li>"
        for r in result.claim.references
    )
    return f'<ul class="when">{items}</ul>'


def picture(result: Result) -> str:
    """Its picture for a desk and for a phone, with buttons that hold methods in the light."""
    from ..pictures.draw import svg  # matplotlib is slow to import

    if result.picture is None:
        return ""
    names = methods_of(result.picture)
    head = chips(names, styles(names)) if len(names) > 2 else ""
    wide = svg(result.picture, result.id)
    narrow = svg(result.picture, f"{result.id}-narrow", narrow=True)
    return head + figure(wide, narrow, "", f"{result.id}-picture")


def numbers(result: Result) -> str:
    """A table of what was measured, beside what the source gives."""
    if not result.rows:
        return ""
    theirs = any(value is not None for _, _, value in result.rows)
    head = '<th scope="col"><span class="hidden">quantity</span></th><th scope="col">measured</th>'
    head += '<th scope="col">source</th>' if theirs else ""
    lines = [_row(result, text, ours, value, theirs) for text, ours, value in result.rows]
    table = f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{{}}</tbody></table>'
    if len(lines) <= MOST + 4:
        return table.format("".join(lines))
    with_source = [i for i, (_, _, value) in enumerate(result.rows) if value is not None]
    first = set(with_source) | set(list(range(len(lines)))[: max(0, MOST - len(with_source))])
    shown, rest = ([line for i, line in enumerate(lines) if (i in first) == k] for k in (True, False))
    more = f"<details><summary>{len(rest)} more numbers</summary>{table.format(''.join(rest))}</details>"
    return f"<div>{table.format(''.join(shown))}{more}</div>"


def _row(result: Result, text: str, ours: float, value: float | None, theirs: bool) -> str:
    dust = 0 < abs(ours) < DUST and value is None
    said = (
        "not reached" if not abs(ours) < float("inf") else f"&lt; {plain(DUST)}" if dust else plain(ours, 4)
    )
    cells = f"<td>{said}</td>"
    if theirs:
        agreed = result.evidence.agreed.get(text)
        cells += "<td></td>" if value is None else f"<td>{plain(value, 6)}{_sign(agreed)}</td>"
    return f'<tr><th scope="row">{prose(text)}</th>{cells}</tr>'


def conditions(result: Result) -> str:
    """When it holds; and the circumstances that were tried without narrowing it."""
    parts = []
    for head, lines in (
        ("Conditions", result.evidence.conditions),
        ("Looked for, not found", [text for text, confirmed in result.evidence.limits if not confirmed]),
    ):
        items = "".join(f"<li>{prose(c)}</li>" for c in lines)
        parts.append(f'<h3>{head}</h3><ul class="when">{items}</ul>' if items else "")
    return "".join(parts)


def _sign(agreed: bool | None) -> str:
    """Beside a source's figure: whether ours agrees with it."""
    if agreed is None:
        return ""
    kind, shape, words = ("yes", _CHECK, "agrees") if agreed else ("no", _CROSS, "differs")
    return f'<span class="{kind}">{_shape(shape)}<span class="hidden">{words}</span></span>'


def checks(result: Result) -> str:
    """What it needs in order to be true, and whether it was so."""
    if not result.evidence.checks:
        return ""
    items = "".join(
        f'<li class="{"yes" if good else "no"}">{_shape(_CHECK if good else _CROSS)}'
        f'<span><span class="hidden">{"yes" if good else "no"}: </span>{prose(text)}</span></li>'
        for text, good in result.evidence.checks
    )
    return f'<ul class="checks">{items}</ul>'


def _run(settings: Mapping[str, Any]) -> str:
    parts = ["<section><h2>How the claims were put to the test</h2>"]
    if command := settings.get("command"):
        parts.append(f"<p>To run them again:</p>{block(str(command), 'the command')}")
    shown = {k: v for k, v in settings.items() if k not in _APART}
    parts.append(f"<dl>{facts(shown)}{facts(settings.get('versions') or {})}</dl></section>")
    return "".join(parts)
