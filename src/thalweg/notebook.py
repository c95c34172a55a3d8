"""What notebooks show of results: tables and pictures that stand on their own, light or dark, and load nothing.

A table has the notebook's own ink. Who brings pictures gives their colours for both themes: a notebook tells its theme
by an attribute (Jupyter, VS Code, Colab, Sphinx), or else the browser does.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_BORDER = "1px solid rgba(128,128,128,.35)"
_STYLE = f""".thalweg{{font-size:13px;line-height:1.45;overflow-x:auto}}
.thalweg p{{margin:.4em 0}}
.thalweg table{{border-collapse:collapse;margin:.5em 0;font-variant-numeric:tabular-nums}}
.thalweg caption{{text-align:left;font-weight:600;padding:.2em 0}}
.thalweg th,.thalweg td{{padding:.25em .7em;border:0;border-bottom:{_BORDER};text-align:right;vertical-align:top}}
.thalweg th{{font-weight:600}}
.thalweg .name{{text-align:left}}
.thalweg .picture{{background:var(--page);padding:10px;border-radius:6px;margin:.5em 0}}
.thalweg .picture svg{{width:100%;height:auto;display:block}}
.thalweg details summary{{cursor:pointer}}"""
_THEMES = {
    "light": ('[data-jp-theme-light="true"]', ".vscode-light", "html[theme=light]", "[data-theme=light]"),
    "dark": ('[data-jp-theme-light="false"]', ".vscode-dark", "html[theme=dark]", "[data-theme=dark]"),
}


def display(*parts: str, colours: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Return parts (HTML) as one display. colours: "light" and "dark" → name → value of the variables that pictures use."""
    style = _STYLE
    if colours:
        light, dark = ("".join(f"--{n}:{v};" for n, v in colours[t].items()) for t in ("light", "dark"))
        style += f"\n.thalweg{{{light}}}\n@media (prefers-color-scheme:dark){{.thalweg{{{dark}}}}}"
        for theme, values in (("light", light), ("dark", dark)):
            style += "\n" + ",".join(f"{s} .thalweg" for s in _THEMES[theme]) + f"{{{values}}}"
    return f'<div class="thalweg"><style>{style}</style>{"".join(part for part in parts if part)}</div>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "", left: Sequence[int] = (0,)
) -> str:
    """Return a table of plain words as HTML; the first column names the rows. left: columns aligned to the left."""

    def cell(kind: str, k: int, value: object) -> str:
        scope = {"td": "", "th": ' scope="col"', "row": ' scope="row"'}[kind]
        tag = "td" if kind == "td" else "th"
        name = ' class="name"' if k in left else ""
        return f"<{tag}{scope}{name}>{escape(str(value))}</{tag}>"

    top = "".join(cell("th", k, h) for k, h in enumerate(head))
    body = "".join(
        "<tr>" + "".join(cell("td" if k else "row", k, value) for k, value in enumerate(row)) + "</tr>"
        for row in rows
    )
    words = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{words}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def paragraphs(*texts: str) -> str:
    """Return plain words as paragraphs."""
    return "".join(f"<p>{escape(text)}</p>" for text in texts if text)
