"""The one place that draws: pictures as themable SVG for a page, as a file, or as a film."""

from __future__ import annotations

from pathlib import Path

from . import draw
from .canvas import spread
from .film import animate
from .panels import Picture
from .plan import methods_of
from .race import Plot, contour, effective_rate, loss_curves, save, sensitivity
from .style import SENTINELS, palette, styles
from .svg import SUFFIXES, checked, drawing, inline, save_figure

__all__ = [
    "Plot",
    "animate",
    "contour",
    "effective_rate",
    "loss_curves",
    "methods_of",
    "palette",
    "save",
    "sensitivity",
    "spread",
    "styles",
    "svg",
    "write",
]


def svg(picture: Picture, prefix: str, narrow: bool = False) -> str:
    """A picture as SVG for a page: colours are its CSS variables, ids begin with ``prefix``."""
    with drawing():
        return inline(draw.figure(picture, SENTINELS, narrow), prefix, picture.alt)


def write(picture: Picture, path: str | Path, theme: str = "light") -> Path:
    """Write a picture as .svg, .pdf or .png in the colours of a theme; FileError, HyperparameterError."""
    colours = palette(theme)
    checked(path, SUFFIXES)
    with drawing():
        return save_figure(draw.figure(picture, colours), path, colours)
