"""The page of a diff: where two rules part, by how much, why, and what makes the second follow the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from ...notebook import paragraphs
from ...printing.latex import TEXT, text
from ..diff_result import ROUNDING, DiffResult
from ..formatting import plain
from ..versions import versions
from .diff_wording import far_in_words, part, picture, sentences
from .page import block, figure
from .page import page as whole


def page(result: DiffResult) -> str:
    """The whole page, self-contained."""
    from ..pictures.draw import svg  # matplotlib is slow to import

    said = sentences(result)
    growth = picture(result)
    wide, narrow = svg(growth, "diff"), svg(growth, "diff-narrow", narrow=True)
    body = f"""<p class="answer">{escape(said["verdict"])}</p>
{f"<p>{escape(said['first'])}</p>" if "first" in said else ""}
{figure(wide, narrow, _caption(result), "growth")}
{_growth(result)}
{_why(result, said)}
{_agreement(result, said)}
<section><h2>Settings</h2>{_settings(result)}</section>
{_formulas(result)}
{_run(result)}"""
    return whole(f"{result.a.name} and {result.b.name}", "diff", body)


def fragment(result: DiffResult) -> str:
    """For a notebook: the sentences, the picture and the settings that differ."""
    from ..pictures.notebook import display, picture_part  # matplotlib is slow to import

    drawn = "" if result.verdict == "identical" else picture_part(picture(result))
    return display(paragraphs(*sentences(result).values()), drawn, _settings(result, only=True))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the rows; cells are HTML."""
    first, *others = head
    top = f'<th scope="col" class="name">{first}</th>' + "".join(f'<th scope="col">{h}</th>' for h in others)
    body = "".join(
        f'<tr><th scope="row" class="name">{name}</th>{"".join(f"<td>{x}</td>" for x in rest)}</tr>'
        for name, *rest in rows
    )
    table = f'<table class="results"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll" tabindex="0">{table}</div>'


def _far(share: float) -> str:
    return "0" if share <= ROUNDING else escape(far_in_words(share))


def _caption(result: DiffResult) -> str:
    if result.verdict == "identical":
        return "The two paths lie on each other."
    several = len(result.kinds) > 1
    of = (
        "of each kind of gradients, the coordinate that is farthest"
        if several
        else "of the coordinate that is farthest"
    )
    return (
        f"Left: the largest distance up to each step, {of}. Both rules run in float64, so this is the formulas'"
        " difference and not rounding."
    )


def _growth(result: DiffResult) -> str:
    if result.verdict == "identical":
        return ""
    head = [
        "gradients" if len(result.kinds) > 1 else "",
        *(f"step {t:,}" for t in result.milestones),
        "in float32 ulps",
    ]
    rows = [
        [escape(n), *(_far(float(g[t])) for t in result.milestones), plain(float(result.ulps_of(n)[-1]), 2)]
        for n, g in result.growth.items()
    ]
    note = (
        "Shares of the largest |w| on either path. The last column counts the distance at the end in float32 ulps:"
        " of the largest of |w| on both paths and their last moves."
    )
    return f'<section><h2>How fast they part</h2>{_table(head, rows)}<p class="footnote">{note}</p></section>'


def _why(result: DiffResult, said: Mapping[str, str]) -> str:
    if not result.causes:
        return ""
    head = ["", f"{escape(result.a.name)} → {escape(result.b.name)}", *map(escape, result.kinds)]
    rows = [
        [
            escape(c.title),
            f'<div class="said">{escape(c.a)} → {escape(c.b)}</div>',
            *map(part, c.share.values()),
        ]
        for c in result.causes
    ]
    note = (
        "Each setting's part of the largest distance: what it adds when the first takes the settings of the second"
        " one after the other, averaged over all orders."
    )
    return (
        f"<section><h2>Why</h2><p>{escape(said.get('why', ''))}</p>{_table(head, rows)}"
        f'<p class="footnote">{note}</p></section>'
    )


def _agreement(result: DiffResult, said: Mapping[str, str]) -> str:
    agreement = result.agreement
    if agreement is None or result.verdict != "different":
        return ""
    code = (
        f"{result.b.world + ': ' if result.b.world else ''}{agreement.text}"
        if agreement.text
        else "nothing to set"
    )
    head = ["left", *map(escape, agreement.left)]
    rows = [["as they are", *map(_far, result.parts.values())]]
    rows += [
        [escape(f.text) or "nothing set", *map(_far, f.left.values())] for f in (agreement, *agreement.others)
    ]
    table = _table(head, rows)
    title = f"To make {escape(result.b.name)} follow {escape(result.a.name)}"
    return f"<section><h2>{title}</h2><p>{escape(said['agree'])}</p>{block(code, 'the settings')}{table}</section>"


def _settings(result: DiffResult, only: bool = False) -> str:
    rows = []
    for s in result.settings:
        if only and s.a == s.b:
            continue
        a, b = map(escape, s.text)
        if s.a != s.b:
            a, b = f"<b>{a}</b>", f"<b>{b}</b>"
        symbol = TEXT.symbol(s.line)
        name = escape(s.line) + (f' <span class="about">{symbol}</span>' if symbol != s.line else "")
        rows.append([name, a, b, escape(s.unit)])
    return _table(["line", escape(result.a.name), escape(result.b.name), "unit"], rows) if rows else ""


def _formulas(result: DiffResult) -> str:
    parts = "".join(
        f"<div><h3>{escape(s.name)}</h3><pre tabindex='0'><code>{escape(text(s.rule))}</code></pre></div>"
        for s in (result.a, result.b)
    )
    return f'<section><h2>Formulas</h2><div class="findings formulas">{parts}</div></section>'


def _run(result: DiffResult) -> str:
    if result.command:
        title, again = "To run it again", block(result.command, "the command")
    else:
        title, again = "The rules", block(f"a = {result.a.rule!r}\nb = {result.b.rule!r}", "the rules")
    used = ", ".join(f"{escape(n)} {escape(str(v))}" for n, v in versions().items())
    return f'<section><h2>{title}</h2>{again}<p class="footnote">{used}</p></section>'
