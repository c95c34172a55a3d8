"""The one place that draws: pictures as themable SVG for a page, or as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from .figure import figure
from .panels import Picture
from .style import SENTINELS, Colours, palette
from .svg import FORMS, drawing, inline, save_columns, save_figure

T = TypeVar("T")


def svg(picture: Picture, prefix: str, narrow: bool = False) -> str:
    """A picture as SVG for a page: colours are its CSS variables, ids begin with ``prefix``."""
    with drawing():
        return inline(figure(picture, SENTINELS, narrow), prefix, picture.alt)


def write(picture: Picture, path: str | Path, theme: str = "light") -> Path:
    """Write a picture as .svg, .pdf or .png in the colours of a theme, and return its path.

    Raises FileError, HyperparameterError.
    """
    colours = palette(theme)
    FORMS.of(path)
    with drawing():
        return save_figure(figure(picture, colours), path, colours)


def columns(draw: Callable[[T, Colours, bool], Figure], result: T, stem: Path) -> list[Path]:
    """Write a result's figure, on white, as SVG and PDF at a column's width beside ``stem``; their paths. FileError."""
    colours = palette("light") | {"page": "#ffffff"}
    with drawing():
        return save_columns(draw(result, colours, True), stem, colours)
