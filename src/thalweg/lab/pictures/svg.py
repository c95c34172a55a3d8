"""From a figure to themable SVG in a page, or to a file: .svg, .pdf or .png in one theme's colours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ... import files
from .style import SENTINELS, Colours

_RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "thalweg",
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "path.simplify_threshold": 0.3,
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.8,
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
_TOKENS = {sentinel: token for token, sentinel in SENTINELS.items()}
_RIM = 14 / 72  # around a picture in a file, inches
PAD = 5  # between a panel and its numbers, points
COLUMN = 3.5  # inches, of a journal's column
FORMS = files.Forms("a picture", (".svg", ".pdf", ".png"))


@contextmanager
def drawing() -> Iterator[None]:
    """Settings under which every figure is made and written."""
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # A name may hold signs that our font lacks; a page's own fonts have them.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def source(figure: Figure, bbox_inches: Bbox | None = None) -> str:
    """A figure as SVG: no date, coordinates to a hundredth of a pixel, methods as data-method."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", transparent=False, metadata={"Date": None}, bbox_inches=bbox_inches)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.DOTALL)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", _FONT, text)
    text = re.sub(r'<g id="method:([0-9a-f]*)"', _named, text)
    return re.sub(r' (?:d|x|y|transform)="[^"]*"', _short, text)


def _short(hit: re.Match[str]) -> str:
    """Coordinates to a hundredth, and no more room in a path than between two numbers."""
    text = re.sub(r"(\.\d\d)\d+", r"\1", hit[0])
    return re.sub(r"\s*([MLHVCSQTAZz])\s*", r"\1", text) if text.startswith(" d=") else text


def _named(hit: re.Match[str]) -> str:
    return f'<g data-method="{escape(bytes.fromhex(hit[1]).decode())}"'


def inline(figure: Figure, prefix: str, alt: str) -> str:
    """A themable SVG for a page: colours as variables, ids that begin with ``prefix``, described by ``alt``."""
    text = source(figure)
    text = text[text.index("<svg") :]
    hit = re.match(r'<svg [^>]*?viewBox="(\S+ \S+ (\S+) \S+)"[^>]*>', text)
    assert hit is not None
    box, width = hit.groups()
    body = re.sub(r"<style.*?</style>", "", text[hit.end() :], flags=re.DOTALL)

    def themed(tag: re.Match[str]) -> str:
        text = tag[0].replace(' xlink:href="#', ' href="#')
        text = re.sub(r'<g id="[^"]*"', "<g", text)
        text = re.sub(r'( id="|url\(#| href="#)', rf"\g<1>{prefix}-", text)
        return re.sub(r"#0a1c[0-9a-f]{2}", lambda hit: f"var(--{_TOKENS[hit[0]]})", text)

    body = re.sub(r"<[^>]*>", themed, body)
    body = re.sub(r"\n\s*", "\n", body).replace(f"font-family: {_FONT}; ", "")
    style = f"max-width:{width}px;font-family:{_FONT}"  # the font once, for all words
    head = f'<svg role="img" aria-label="{escape(alt)}" viewBox="{box}" style="{style}"'
    return f'{head} stroke-linejoin="round">{body}'


def scaled(figure: Figure, width: float) -> Figure:
    """Change a figure to be ``width`` inches wide, its rim left out, with all that is in it as much smaller; return it.

    What stands in shares of the figure follows by itself; words, lines and markers have sizes in points.
    """
    wide, high = figure.get_size_inches()
    part = width / wide
    figure.set_size_inches(width, high * part)
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                tick.set_pad(PAD * part)
    for item in figure.findobj():
        if isinstance(item, Text):
            item.set_fontsize(item.get_fontsize() * part)
            if (plate := item.get_bbox_patch()) is not None:
                plate.set_boxstyle("square", pad=0.1)
        elif isinstance(item, Line2D):
            item.set_linewidth(item.get_linewidth() * part)
            item.set_markersize(item.get_markersize() * part)
            item.set_markeredgewidth(item.get_markeredgewidth() * part)
        elif isinstance(item, Patch | Collection):
            item.set_linewidth(np.multiply(item.get_linewidth(), part))
    return figure


def save_columns(figure: Figure, stem: Path, colours: Colours) -> list[Path]:
    """Write a figure as SVG and PDF at the width of a journal's column, without a rim, and return their paths; FileError."""
    scaled(figure, COLUMN)
    return [
        save_figure(figure, stem.with_name(stem.name + suffix), colours, rim=0.0)
        for suffix in (".svg", ".pdf")
    ]


def save_figure(
    figure: Figure, path: str | Path, colours: Colours, transparent: bool = False, rim: float = _RIM
) -> Path:
    """Write a figure as .svg, .pdf or .png on the page's colour, and return its path; FileError.

    rim: around it, inches.
    """
    path, form = FORMS.of(path)
    figure.patch.set(visible=not transparent, facecolor=colours["page"])
    width, height = figure.get_size_inches()
    box = Bbox([[-rim, -rim], [width + rim, height + rim]])
    if form == ".svg":
        files.write_text(path, source(figure, bbox_inches=box))
    else:
        undated = {"CreationDate": None} if form == ".pdf" else {}
        files.write(
            path,
            lambda file: figure.savefig(file, format=form[1:], dpi=144, metadata=undated, bbox_inches=box),
        )
    return path
