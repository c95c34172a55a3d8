"""Pictures in a notebook: drawn in variables, beside their values in both themes."""

from __future__ import annotations

import re
import zlib

from ... import notebook
from .draw import svg
from .panels import Picture
from .style import palette

_PREFIX = "tw-notebook"


def framed(drawing: str) -> str:
    """An SVG for a page as a part of a display, with ids that no other picture of the notebook has."""
    return f'<div class="picture">{drawing.replace(_PREFIX, f"tw{zlib.crc32(drawing.encode()):08x}")}</div>'


def picture_part(picture: Picture) -> str:
    """A picture as a part of a display."""
    return framed(svg(picture, _PREFIX))


def display(*parts: str) -> str:
    """Parts of a display, pictures among them, with the colours that they use."""
    used = {"page", *re.findall(r"var\(--([\w-]+)\)", "".join(parts))}
    colours = {t: {n: v for n, v in palette(t).items() if n in used} for t in ("light", "dark")}
    return notebook.display(*parts, colours=colours)
