"""The page that every report stands on: one self-contained HTML file, light and dark, printable.

Parts that carry ``data-method`` light up together; chips with ``data-pin`` hold one method or several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from string import Template

from ..pictures.style import Style, palette


def page(title: str, kind: str, body: str, script: str = "") -> str:
    """A whole page. ``title`` and ``kind`` ("race · beale") are plain words, ``body`` is HTML, ``script`` runs last."""
    shell = Template((resources.files(__package__) / "page.html").read_text(encoding="utf-8"))
    light, dark = (
        "".join(f"--{token}:{value};" for token, value in palette(theme).items())
        for theme in ("light", "dark")
    )
    more = f"<script>\n{script}</script>" if script else ""
    words = {"title": escape(title), "kind": escape(kind)}
    return shell.substitute(words, light=light, dark=dark, body=body, script=more)


def key(style: Style) -> str:
    """A short sample of a method's line, in its colour and dash."""
    dash = "" if isinstance(style.dash, str) else " ".join(str(d * 1.6) for d in style.dash[1])
    return (
        f'<svg class="key" viewBox="0 0 26 10" aria-hidden="true"><path d="M1 5H25" '
        f'style="stroke:var(--{style.stroke});stroke-dasharray:{dash or "none"}"/></svg>'
    )


def chips(names: Iterable[str], looks: Mapping[str, Style]) -> str:
    """Buttons that hold methods in the light."""
    buttons = "".join(
        f'<button type="button" data-method="{escape(n)}" data-pin="{escape(n)}" aria-pressed="false">'
        f"{key(looks[n])}{escape(n)}</button>"
        for n in names
    )
    return f'<div class="chips" role="group" aria-label="Highlight methods">{buttons}</div>'


def figure(wide: str, narrow: str, caption: str, name: str, title: str = "") -> str:
    """A figure for a desk and for a phone; ``caption`` is HTML."""
    head = f"<h3>{escape(title)}</h3>" if title else ""
    foot = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure id="{escape(name)}">{head}<div class="wide">{wide}</div>'
        f'<div class="narrow">{narrow}</div>{foot}</figure>'
    )


def table(head: str, body: str, name: str) -> str:
    """A table of results from the cells of its head and its rows, scrolled by keys too where it is wider than the page.

    ``name`` is what it is called. The page's script sorts by a column whose head is a button, by its cells' data-v.
    """
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}"><table class="results">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def sorting(name: str, attributes: str = "") -> str:
    """The head of a column, which sorts by it."""
    return f'<th scope="col"{attributes}><button type="button">{escape(name)}</button></th>'


def block(text: str, what: str) -> str:
    """Code with a button that copies it."""
    return (
        f'<div class="code"><button type="button" class="copy">Copy<span class="hidden"> '
        f'{what}</span></button><pre tabindex="0"><code>{escape(text)}</code></pre></div>'
    )


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(k))} {_value(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return escape(str(value))


def facts(values: Mapping[str, object]) -> str:
    """Names with their values, as the entries of a list of terms; None is left out."""
    return "".join(
        f"<div><dt>{escape(str(k).replace('_', ' '))}</dt><dd>{_value(v)}</dd></div>"
        for k, v in values.items()
        if v is not None
    )
