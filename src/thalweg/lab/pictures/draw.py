"""The one place that draws: pictures as themable SVG for a page, or as a file."""

from __future__ import annotations

from pathlib import Path

from .figure import figure
from .panels import Picture
from .style import SENTINELS, palette
from .svg import SUFFIXES, checked, drawing, inline, save_figure


def svg(picture: Picture, prefix: str, narrow: bool = False) -> str:
    """A picture as SVG for a page: colours are its CSS variables, ids begin with ``prefix``."""
    with drawing():
        return inline(figure(picture, SENTINELS, narrow), prefix, picture.alt)


def write(picture: Picture, path: str | Path, theme: str = "light") -> Path:
    """Write a picture as .svg, .pdf or .png in the colours of a theme, and return its path.

    Raises FileError, HyperparameterError.
    """
    colours = palette(theme)
    checked(path, SUFFIXES)
    with drawing():
        return save_figure(figure(picture, colours), path, colours)
