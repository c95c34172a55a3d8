"""What a drawn picture must be, whatever it shows: words apart and whole, lines told from each other, cuts said."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from thalweg.lab.pictures.figure import figure
from thalweg.lab.pictures.looks import looks_of
from thalweg.lab.pictures.panels import Chart, Map, Picture
from thalweg.lab.pictures.style import palette
from thalweg.lab.pictures.svg import drawing

Agg = pytest.importorskip("matplotlib.backends.backend_agg").FigureCanvasAgg
METHODS = ["SGD", "Momentum", "Nesterov", "Adagrad", "RMSprop", "Adadelta", "Adam", "Adamax", "MaxProp"]


def drawn(picture: Picture, theme: str = "light", narrow: bool = False) -> Any:
    with drawing():
        return figure(picture, palette(theme), narrow)


def labels(figure: Any) -> list[tuple[str, Any]]:
    """Every word that is seen, with its box in px."""
    from matplotlib.text import Text

    renderer = Agg(figure).get_renderer()
    figure.draw(renderer)
    seen = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    for text in seen:
        text.set_bbox(None)
    return [(t.get_text(), t.get_window_extent(renderer)) for t in seen]


def assert_legible(figure: Any) -> None:
    """No label is cut at the figure's edge, and none lies on another."""
    found = labels(figure)
    assert found
    for i, (words, box) in enumerate(found):
        assert box.x0 > -0.6 and box.y0 > -0.6, words
        assert box.x1 < figure.bbox.width + 0.6 and box.y1 < figure.bbox.height + 0.6, words
        for others, other in found[:i]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            up = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across < 0.6 or up < 0.6, f"{words!r} lies on {others!r}"


def said(figure: Any) -> str:
    """All words of a figure, lines joined."""
    return " ".join(" ".join(words.split()) for words, _ in labels(figure))


def assert_told(picture: Picture, figure: Any) -> None:
    """Every line has its name and a look of its own; none is a solid band; what a chart's axis cuts off is said."""
    words = said(figure)
    looks = [(s.stroke, str(s.dash), s.marker) for s in looks_of(picture).values()]
    assert len(set(looks)) == len(looks)
    assert "…" not in words
    for panel in picture.panels:
        lines = panel.curves if isinstance(panel, Chart) else panel.paths if isinstance(panel, Map) else ()
        for line in lines:
            assert " ".join(line.label.split()) in words, f"{line.label!r} is not named"
    for panel, ax in zip(picture.panels, figure.axes, strict=False):
        if isinstance(panel, Chart):
            for line in ax.lines:
                assert blackness(ax, line) < 0.75, f"{panel.title}: {line.get_gid()} is a solid band"
            cut = [c.label for c in panel.curves if c.label and not c.died and ends_outside(c, ax)]
            assert not cut or " this axis" in words or "outside this window" in words, cut


def ends_outside(curve: Any, ax: Any) -> bool:
    """Whether the last finite point of a curve that begins on an axis lies above or below it."""
    x, y = np.asarray(curve.x, float), np.asarray(curve.y, float)
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    real = np.flatnonzero(np.isfinite(y) & (x >= x0) & (x <= x1))
    slack = 1e-6 * (y1 - y0 if ax.get_yscale() == "linear" else y0)
    return bool(len(real)) and not y0 - slack <= y[real[-1]] <= y1 * (1 + 1e-9) + slack


def blackness(ax: Any, line: Any) -> float:
    """The largest share, over strips of 24 px, of the height in which a line goes up and down that its ink covers."""
    if line.get_linestyle() == "None" or line.get_transform() != ax.transData:
        return 0.0
    low, high = ax.bbox.y0, ax.bbox.y1
    with np.errstate(invalid="ignore"):
        x, y = line.get_transform().transform(np.column_stack([line.get_xdata(), line.get_ydata()])).T
    y = np.clip(y, low, high)
    strip = np.floor((x - ax.bbox.x0) / 24)
    darkest = 0.0
    for begin, end in pairwise([0, *(np.flatnonzero(np.diff(strip)) + 1), len(x)]):
        part = y[begin:end]
        if np.isfinite(part).sum() > 3 and (tall := np.nanmax(part) - np.nanmin(part)) > 24:
            ink = np.nansum(np.abs(np.diff(part))) * line.get_linewidth()
            darkest = max(darkest, float(ink / (24 * tall)))
    return darkest
