"""The page of a comparison: where two rules part, by how much, why, and what makes the second follow the first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from ...printing.latex import TEXT, text
from ..diff.differences import ROUNDING
from ..diff.wording import far_in_words, part
from ..formatting import plain
from ..versions import versions
from .page import block, figure
from .page import page as whole

if TYPE_CHECKING:
    from ..diff.comparison import Comparison


def page(made: Comparison) -> str:
    """The whole page, self-contained."""
    from .. import pictures as plots

    told = made.sentences
    picture = made.picture
    wide, narrow = plots.svg(picture, "diff"), plots.svg(picture, "diff-narrow", narrow=True)
    body = f"""<p class="answer">{escape(told["verdict"])}</p>
{f"<p>{escape(told['first'])}</p>" if "first" in told else ""}
{figure(wide, narrow, _caption(made), "growth")}
{_growth(made)}
{_why(made)}
{_agreement(made)}
<section><h2>Settings</h2>{_settings(made)}</section>
{_formulas(made)}
{_run(made)}"""
    return whole(f"{made.a.name} and {made.b.name}", "diff", body)


def fragment(made: Comparison) -> str:
    """For a notebook: the sentences and the settings that differ."""
    told = "".join(f"<p>{escape(t)}</p>" for t in made.sentences.values())
    return told + _settings(made, only=True)


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


def _caption(made: Comparison) -> str:
    if made.verdict == "identical":
        return "The two paths lie on each other."
    several = len(made.kinds) > 1
    of = (
        "of each kind of gradients, the coordinate that is farthest"
        if several
        else "of the coordinate that is farthest"
    )
    return (
        f"Left: the largest distance up to each step, {of}. Both rules run in float64, so this is the formulas'"
        " difference and not rounding."
    )


def _growth(made: Comparison) -> str:
    if made.verdict == "identical":
        return ""
    head = [
        "gradients" if len(made.kinds) > 1 else "",
        *(f"step {t:,}" for t in made.milestones),
        "in float32 ulps",
    ]
    rows = [
        [escape(n), *(_far(float(g[t])) for t in made.milestones), plain(float(made.ulps_of(n)[-1]), 2)]
        for n, g in made.growth.items()
    ]
    note = (
        "Shares of the largest |w| on either path. The last column counts the distance at the end in float32 ulps:"
        " of the largest of |w| on both paths and their last moves."
    )
    return f'<section><h2>How fast they part</h2>{_table(head, rows)}<p class="footnote">{note}</p></section>'


def _why(made: Comparison) -> str:
    if not made.causes:
        return ""
    told = made.sentences.get("why", "")
    head = ["", f"{escape(made.a.name)} → {escape(made.b.name)}", *map(escape, made.kinds)]
    rows = [
        [
            escape(c.title),
            f'<div class="said">{escape(c.a)} → {escape(c.b)}</div>',
            *map(part, c.share.values()),
        ]
        for c in made.causes
    ]
    note = (
        "Each setting's part of the largest distance: what it adds when the first takes the settings of the second"
        " one after the other, averaged over all orders."
    )
    return (
        f"<section><h2>Why</h2><p>{escape(told)}</p>{_table(head, rows)}"
        f'<p class="footnote">{note}</p></section>'
    )


def _agreement(made: Comparison) -> str:
    found = made.agreement
    if found is None or made.verdict != "different":
        return ""
    code = f"{made.b.world + ': ' if made.b.world else ''}{found.text}" if found.text else "nothing to set"
    head = ["left", *map(escape, found.left)]
    rows = [["as they are", *map(_far, made.parts.values())]]
    rows += [[escape(f.text) or "nothing set", *map(_far, f.left.values())] for f in (found, *found.others)]
    table = _table(head, rows)
    told = escape(made.sentences["agree"])
    title = f"To make {escape(made.b.name)} follow {escape(made.a.name)}"
    return f"<section><h2>{title}</h2><p>{told}</p>{block(code, 'the settings')}{table}</section>"


def _settings(made: Comparison, only: bool = False) -> str:
    rows = []
    for s in made.settings:
        if only and s.a == s.b:
            continue
        a, b = map(escape, s.text)
        if s.a != s.b:
            a, b = f"<b>{a}</b>", f"<b>{b}</b>"
        symbol = TEXT.symbol(s.line)
        name = escape(s.line) + (f' <span class="about">{symbol}</span>' if symbol != s.line else "")
        rows.append([name, a, b, escape(s.unit)])
    return _table(["line", escape(made.a.name), escape(made.b.name), "unit"], rows) if rows else ""


def _formulas(made: Comparison) -> str:
    parts = "".join(
        f"<div><h3>{escape(s.name)}</h3><pre tabindex='0'><code>{escape(text(s.rule))}</code></pre></div>"
        for s in (made.a, made.b)
    )
    return f'<section><h2>Formulas</h2><div class="findings formulas">{parts}</div></section>'


def _run(made: Comparison) -> str:
    if made.command:
        title, again = "To run it again", block(made.command, "the command")
    else:
        title, again = "The rules", block(f"a = {made.a.rule!r}\nb = {made.b.rule!r}", "the rules")
    used = ", ".join(f"{escape(n)} {escape(str(v))}" for n, v in versions().items())
    return f'<section><h2>{title}</h2>{again}<p class="footnote">{used}</p></section>'
