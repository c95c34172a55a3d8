"""Every picture that the library draws by itself, wide and on a phone: all landscapes with nine methods, and all claims."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thalweg.lab.claims import Result, catalogue
from thalweg.lab.pictures import film
from thalweg.lab.pictures.looks import methods_of
from thalweg.lab.pictures.panels import Chart, Curve, Map, Picture
from thalweg.lab.pictures.style import palette
from thalweg.lab.pictures.svg import drawing
from thalweg.lab.show import show
from thalweg.problems import landscape_catalogue

from .legible import METHODS, assert_legible, assert_told, blackness, drawn, said
from .strategies import first_of

STORED = Path(__file__).parents[1] / "docs" / "claims" / "claims.json"


def check(picture: Picture) -> None:
    """Wide, light and narrow, dark."""
    for theme, narrow in (("light", False), ("dark", True)):
        made = drawn(picture, theme, narrow)
        assert made.bbox.width <= (400 if narrow else 1080) + 1
        assert_legible(made)
        assert_told(picture, made)


@pytest.mark.slow
@pytest.mark.parametrize("name", landscape_catalogue())
def test_nine_methods_on_any_landscape_are_told_apart(name: str) -> None:
    """The map, the heights, and a film's last frame, each method at its best rate."""
    picture = show(name, METHODS).picture
    check(picture)
    (land,) = (panel for panel in picture.panels if isinstance(panel, Map))
    with drawing():
        shown = film.scene(land, palette("dark"))
        shown.clock.set_text("step 100,000")
        assert_legible(shown.canvas.figure)
    words = said(shown.canvas.figure)
    assert all(path.label in words for path in land.paths)


@first_of(catalogue(), ("adagrad-stalls",))
def test_a_claims_picture_is_legible(name: str) -> None:
    """As its report has it, and each panel alone, as its page does."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))["claims"]
    picture = Result.restored({"id": name, **stored[name]}).picture
    assert picture is not None
    check(picture)
    for panel in picture.panels:
        alone = replace(picture, panels=[panel], methods=methods_of(picture))
        made = drawn(alone, "light", True)
        assert_legible(made)
        assert_told(alone, made)


def swinging(near: float) -> Iterator[Curve]:
    """A calm curve, and one that swings by three decades, so many steps from turn to turn, in the middle of a thousand steps."""
    n = np.arange(1000.0)
    yield Curve(n, np.exp(-n / 300), "SGD", "SGD")
    swing = np.where((n > 300) & (n < 700), np.abs(np.cos(np.pi * n / near / 2)) + 1e-3, 1.0)
    yield Curve(n, np.exp(-n / 100) * swing, "Momentum", "Momentum")


@pytest.mark.parametrize("narrow", [False, True])
def test_swings_too_close_to_be_seen_are_a_band(narrow: bool) -> None:
    """It reaches from the highest to the lowest of them; the line goes on where they can be seen."""
    dense = Picture([Chart("", "step", "f", list(swinging(4)), "y")], "")
    made = drawn(dense, narrow=narrow)
    assert_legible(made)
    assert_told(dense, made)
    assert "swings too close to be seen are a band: Momentum" in said(made)
    (ax,) = made.axes
    (band,) = ax.collections
    (line,) = (line for line in ax.lines if line.get_gid() == band.get_gid() and len(line.get_xdata()) > 2)
    gap = np.asarray(line.get_xdata())[np.isnan(np.asarray(line.get_ydata(), float))]
    assert 295 < gap.min() < 320 and 680 < gap.max() < 705
    x, y = ax.transData.inverted().transform(ax.transAxes.transform(band.get_paths()[0].vertices)).T
    middle = np.abs(x - 500) < 8
    assert y[middle].max() == pytest.approx(np.exp(-5), rel=0.2)
    assert y[middle].min() < 0.02 * np.exp(-5)
    seen = Picture([Chart("", "step", "f", list(swinging(80)), "y")], "")
    made = drawn(seen, narrow=narrow)
    assert "band" not in said(made)
    assert not made.axes[0].collections
    assert max(blackness(made.axes[0], line) for line in made.axes[0].lines) < 0.75


def test_a_note_that_most_of_all_are_concerned_by_names_the_others() -> None:
    n = np.arange(60.0)
    curves = [Curve(n, 0.1 ** (n / (60 if m == "Adam" else 5)), m, m) for m in METHODS]
    made = drawn(Picture([Chart("", "x", "y", curves, "y", y_range=(1e-3, 2.0))], ""))
    assert "ends below this axis: all but Adam" in said(made)
