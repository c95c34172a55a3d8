"""Pictures: whatever the numbers, every word is legible, every file is what its name says."""

import copy
import itertools
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import FileError, HyperparameterError, ProblemError
from thalweg.lab.claims import CHAPTERS, Claim, Findings, Result
from thalweg.lab.evidence import Evidence
from thalweg.lab.formatting import plain, tick, ticks
from thalweg.lab.pictures import draw, film
from thalweg.lab.pictures import race as race_figures
from thalweg.lab.pictures.figure import figure
from thalweg.lab.pictures.labels import spread
from thalweg.lab.pictures.lines import thin, thin_swings
from thalweg.lab.pictures.looks import looks_of, methods_of
from thalweg.lab.pictures.panels import Bars, Chart, Curve, Heat, Map, Picture
from thalweg.lab.pictures.panels import Path as Run
from thalweg.lab.pictures.style import SENTINELS, palette, styles
from thalweg.lab.pictures.svg import drawing
from thalweg.lab.pictures.text import extent, fit, wrap
from thalweg.lab.reports import claims as claims_report
from thalweg.lab.reports import race as report
from thalweg.rules import shipped

from .legible import METHODS, assert_legible, drawn, labels

HOSTILE = '<script>alert("&")</script>'


# What is drawn in these tests


def valley(m: int = 60, n: int = 50) -> tuple[Any, Any, Any]:
    x, y = np.linspace(-2, 2, m), np.linspace(-1, 3, n)
    across, up = np.meshgrid(x, y)
    return x, y, (1 - across) ** 2 + 100 * (up - across**2) ** 2


def steady() -> dict[str, Picture]:
    """One picture of each kind, as a report has them."""
    n = np.arange(1200)
    fall = {m: np.exp(-0.001 * (i + 1) * n) * (1 + 0.2 * np.sin(n * (i + 1))) for i, m in enumerate(METHODS)}
    turn = np.linspace(0, 2 * np.pi, 200)
    away = np.array([[-1.2, 1.0], [-0.5, 1.5], [0.5, 2.5], [1e6, 2e6], [np.nan, np.nan]])
    ends = [(-1.5, 2.5), (1.5, -0.5), (0.0, 0.5)]
    lines = [np.linspace((-1.2, 1.0), end, 40) for end in ends]
    rates, eps = np.logspace(-5, 1, 13), np.logspace(-8, 0, 9)
    values = np.abs(np.log10(rates)[None] + 2 + 0.1 * np.log10(eps)[:, None]) + 0.01
    values[:, 10:] = np.nan
    nine = Chart("Nine at one end", "step", "loss", [Curve(n, f, m, m) for m, f in fall.items()], "y")
    variants = Chart(
        "Two coordinates",
        "step",
        "effective rate, w/g",
        [
            Curve(n + 1, 1 / np.sqrt(n + 1), "Adagrad, the frequent feature", "Adagrad"),
            Curve(n + 1, 0.5 / np.sqrt(n + 1), "Adagrad, the rare feature", "Adagrad", variant=1),
            Curve(n + 1, 0.3 / np.sqrt(n + 1), "theory", look="theory"),
            Curve(n[:40] + 1, 10.0 ** (n[:40] / 9), "Momentum", "Momentum", died=True),
        ],
        "xy",
        levels=[(0.1, "what the source says"), (1e-30, "far below")],
        marks=[(100, "epoch 1")],
    )
    circles = [Curve(np.cos(turn) * r, np.sin(turn) * r, f"radius {r}") for r in (0.5, 1.0, 2.0)]
    runs = [Run(line, m, m) for line, m in zip(lines, METHODS[:2], strict=False)]
    runs.append(Run(away, "Adam", "Adam", died=True))
    close = [Run(np.linspace((-1.2, 1), (1, 1 + 0.001 * i), 30), m, m) for i, m in enumerate(METHODS)]
    marked = [(-1.2, 1.0, "start"), (1.0, 1.0, "minimum")]
    bars = Bars("Steps", "steps", METHODS, [900, 400, 300, 20, 50, np.inf, 7, 1, 3000.0], METHODS)
    return {
        "chart": Picture([nine], "Nine curves"),
        "charts": Picture([variants, Chart("Circles", "x", "y", circles, equal=True)], "Two charts"),
        "map": Picture([Map("Ends apart", "x", "y", valley(), runs, marked)], "A map"),
        "maps": Picture([Map("One end", "x", "y", valley(), close, marked)] * 2, "Two maps"),
        "heat": Picture([Heat("Loss", "rate", "ε", rates, eps, values, "loss", "xy", points=[(0.01, 1e-4, "default")])], "A heat map"),
        "bars": Picture([bars, Bars("Change", "%", ["a", "b"], [-3, 5], levels=[(2, "bound")])], "Bars"),
        "three": Picture([nine, variants, bars], "Three panels"),
    }  # fmt: skip


WORDS = [
    "β₁",
    "learning",
    "rate",
    "sparse",
    "coordinate",
    "measured",
    "Adagrad",
    "theory",
    "of",
    "the",
    "slowest",
    "eigenvalue,",
    "with",
    "ε",
    "=",
    "10⁻⁸",
    "RMSpropCentredMomentumSutskever",
    "w",
    "b",
]


def wild(seed: int) -> Picture:
    """Panels of any kind with NaN, infinities, gaps, single points, nothing at all, and long words."""
    rng = np.random.default_rng(seed)

    def words() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(0, 6)))

    def whose() -> str:
        return str(rng.choice([*METHODS, "LpProp", ""]))

    def values(n: int) -> Any:
        y: Any = [
            rng.normal(size=n),
            np.exp(rng.normal(size=n) * rng.integers(1, 40)),
            np.full(n, rng.normal()),
            np.cumsum(rng.normal(size=n)),
            10.0 ** np.linspace(-300, 300, n),
        ][rng.integers(5)]
        y[rng.random(n) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
        return y

    def chart() -> Chart:
        curves = []
        for _ in range(rng.integers(0, 9)):
            x = np.arange(rng.choice([0, 1, 2, 5, 60, 900])) * rng.choice([1, 0.001, 1e5])
            y = values(len(x))
            look = str(rng.choice(["line", "line", "theory", "points", "steps"]))
            band = (y - 1, y + 1) if rng.random() < 0.2 else None
            curves.append(Curve(x, y, words(), whose(), int(rng.integers(3)), look, band, rng.random() < 0.2))  # type: ignore[arg-type]
        lines = [(float(v), words()) for v in rng.normal(size=rng.integers(0, 3))]
        limits = None if rng.random() < 0.7 else (-1.0, 1.0)
        log: Any = rng.choice(["", "x", "y", "xy"])
        return Chart(words(), words(), words(), curves, log, lines, lines, None, limits, rng.random() < 0.2)

    def land() -> Map:
        x, y, f = valley(*rng.integers(2, 40, 2))
        f[rng.random(f.shape) < rng.choice([0, 0, 0.3, 1])] = np.nan
        runs = [
            Run(np.cumsum(rng.normal(size=(n, 2)), 0) * size, words(), whose(), died=rng.random() < 0.3)
            for n, size in zip(
                rng.choice([0, 1, 2, 50, 900], 5), rng.choice([0.01, 0.3, 1e5], 5), strict=True
            )
        ]
        return Map(
            words(), "x", "y", (x, y, f), runs[: rng.integers(6)], [(0, 0, "start"), (np.nan, 9, "gone")]
        )

    def heat() -> Heat:
        m, n = rng.integers(0, 20, 2)
        columns = np.logspace(-4, 1, m) if rng.random() < 0.8 else np.zeros(m)
        return Heat(words(), words(), words(), columns, np.arange(n), values(m * n).reshape(n, m), words())

    def bars() -> Bars:
        n = int(rng.integers(0, 9))
        levels = [(float(rng.normal()), words())]
        return Bars(words(), words(), [words() for _ in range(n)], values(n), (), rng.random() < 0.4, levels)

    kinds = [chart, chart, land, heat, bars]
    return Picture([kinds[rng.integers(5)]() for _ in range(rng.integers(1, 4))], "Anything")


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", steady())
def test_labels_of_every_kind_are_apart_and_inside(name: str, narrow: bool) -> None:
    figure = drawn(steady()[name], "dark" if narrow else "light", narrow)
    assert_legible(figure)
    assert figure.bbox.width <= (400 if narrow else 1080) + 1


def test_what_finds_results_imports_no_matplotlib() -> None:
    """Pictures are values: who makes or describes them need not draw."""
    rooms = "lab.claims lab.experiments lab.evidence lab.race lab.diff.run lab.show lab.reports.diff lab.reports.race"
    code = f"import sys, {', '.join('thalweg.' + room for room in rooms.split())}; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("seed", range(24))
def test_any_numbers_are_drawn_without_a_warning(seed: int) -> None:
    """Wide and narrow in turn."""
    narrow = bool(seed % 2)
    with drawing():
        assert_legible(drawn(wild(seed), narrow=narrow))
    assert "nan" not in draw.svg(wild(seed), "p", narrow=not narrow)


def test_every_curve_is_named_and_every_name_has_its_colour() -> None:
    figure = drawn(steady()["chart"])
    said = {words for words, _ in labels(figure)}
    assert set(METHODS) <= said
    from matplotlib.text import Text

    colours = {t.get_text(): t.get_color() for t in figure.findobj(Text)}
    assert colours["Adam"] == palette("light")["t-adam"]


def test_what_cannot_be_drawn_is_said_in_words() -> None:
    nothing = [
        Chart("No curve", "x", "y", []),
        Chart("Not a number", "x", "y", [Curve(np.arange(3), np.full(3, np.nan), "a")]),
        Chart("Below a log axis", "x", "y", [Curve(np.arange(3), np.zeros(3), "a")], "y"),
        Map("No land", "x", "y", (*valley(5, 4)[:2], np.full((4, 5), np.inf)), []),
        Heat("No cell", "x", "y", np.empty(0), np.empty(0), np.empty((0, 0)), "v"),
        Bars("No bar", "x", [], []),
    ]
    for panel in nothing:
        assert "nothing to draw" in draw.svg(Picture([panel], ""), "p")
    assert "nothing to draw" in draw.svg(Picture([], ""), "p")


def test_curves_that_died_end_in_a_cross_and_do_not_flatten_the_others() -> None:
    x = np.arange(50.0)
    calm, wild_one = Curve(x, np.exp(-x / 20), "Adam", "Adam"), Curve(x, 10**x, "SGD", "SGD", died=True)
    figure = drawn(Picture([Chart("", "x", "y", [calm, wild_one], "y")], ""))
    ax = figure.axes[0]
    assert ax.get_ylim()[1] < 1e4
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    assert len(crosses) == 1
    at = crosses[0].get_xydata() * (figure.bbox.width, figure.bbox.height)
    assert at[0][1] == pytest.approx(ax.bbox.y1, abs=1)  # where it leaves the panel


def test_a_path_that_leaves_the_window_ends_at_its_rim_on_its_own_line() -> None:
    away = np.array([[-1.0, 0.0], [0.0, 1.0], [1e9, 3e9]])
    panel = Map("", "x", "y", valley(), [Run(away, "Adam", "Adam", died=True)])
    figure = drawn(Picture([panel], ""))
    ax = figure.axes[0]
    (cross,) = (line for line in ax.lines if line.get_marker() == "x")
    (path,) = (line for line in ax.lines if line.get_marker() in ("None", None, ""))
    place = ax.transData.inverted().transform(cross.get_xydata() * (figure.bbox.width, figure.bbox.height))[0]
    assert place == pytest.approx((2 / 3, 3.0), abs=1e-6)
    last = path.get_xydata()[-2 if np.isnan(path.get_xydata()[-1]).any() else -1]
    assert np.abs(last).max() < 100  # files hold no places far away
    assert (last[1] - 1) / last[0] == pytest.approx(3, rel=1e-6)  # and the line keeps its direction


def test_thinned_curves_keep_gaps_and_every_oscillation() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=50_000)
    y[20_000:20_100] = np.nan
    y[40_003] = np.nan
    y[31_234], y[31_235] = 99.0, -99.0
    kept = thin([y], np.arange(len(y)) * 200 // len(y))
    assert len(kept) < 900
    assert {0, 31_234, 31_235, len(y) - 1} <= set(kept.tolist())
    assert {20_000, 40_003} <= set(kept.tolist())
    bins = np.arange(len(y)) * 200 // len(y)
    for b in (0, 50, 199):
        mine = y[bins == b]
        assert np.nanmin(y[kept][bins[kept] == b]) == np.nanmin(mine)
        assert np.nanmax(y[kept][bins[kept] == b]) == np.nanmax(mine)


def test_swings_too_close_to_be_told_apart_are_thinned_out_and_this_is_said() -> None:
    """Two hundred swings over half a unit would be a black wedge; what is drawn still goes to and fro on points of the path."""
    k = np.arange(201)
    wedge = np.stack([0.9 ** (k / 10) * np.where(k % 2, -1.5, 1.5), 1 - k / 400], axis=1)
    with drawing():
        made = figure(
            Picture([Map("", "x", "y", valley(), [Run(wedge, "SGD", "SGD")])], ""), palette("light")
        )
    ax = made.axes[0]
    (line,) = (part for part in ax.lines if len(part.get_xydata()) > 3)
    drawn_points = line.get_xydata()
    assert 10 < len(drawn_points) < 80
    assert np.abs(drawn_points[:, None] - wedge).sum(axis=-1).min(axis=1).max() < 1e-9
    np.testing.assert_allclose(drawn_points[[0, -1]], wedge[[0, -1]])
    across = np.abs(np.diff(drawn_points[:, 0])) > 0.5
    heights = ax.transData.transform(drawn_points)[1:, 1][across]
    assert np.abs(np.diff(heights)).min() > 5  # px between one swing and the next
    assert any(
        "swings too close to be seen are left out: SGD" in " ".join(words.split())
        for words, _ in labels(made)
    )
    few = Run(wedge[::20] * (1, 4), "SGD", "SGD")
    with drawing():
        made = figure(Picture([Map("", "x", "y", valley(), [few])], ""), palette("light"))
    assert not any("swings" in words for words, _ in labels(made))


@pytest.mark.parametrize("turns", [8, 9])
def test_a_way_that_goes_on_after_swings_is_drawn_whole(turns: int) -> None:
    """Gradient descent in a curved valley swings until it has found the floor, and then follows it for a long time."""
    k = np.arange(turns)
    swings = np.stack([3 * 0.8**k * np.where(k % 2, -1, 1), 0.01 * k], axis=1)
    angle = np.linspace(0, np.pi, 300)
    floor = np.stack([100 - 100 * np.cos(angle), 100 * np.sin(angle)], axis=1)
    path = np.vstack([swings, floor])
    kept = path[thin_swings(path, 6.0)]
    begin, way = kept[:-1], np.diff(kept, axis=0)
    for point in path:
        along = np.clip(((point - begin) * way).sum(axis=1) / np.maximum((way**2).sum(axis=1), 1e-12), 0, 1)
        assert np.hypot(*(point - begin - along[:, None] * way).T).min() < 6


def test_paths_outside_a_window_are_named() -> None:
    start, gone, away = np.zeros(2), np.full((2, 2), 50.0), np.array([[0, 0], [0, 9.0]])
    runs = [
        Run(gone, "Adam", "Adam"),
        Run(away, "SGD", "SGD"),
        Run(np.stack([start, start + 0.5]), "Adamax", "Adamax"),
    ]
    made = drawn(Picture([Map("", "x", "y", valley(), runs)], ""))
    said = " ".join(" ".join(words.split()) for words, _ in labels(made))
    assert "outside this window: Adam; ends outside this window: SGD" in said


def test_what_a_charts_axis_cuts_off_is_marked_and_said() -> None:
    """A band that goes on beyond it by arrows at the edge; a curve that ends beyond it, or at a zero without a logarithm, by name."""
    x = np.arange(60.0)
    steady_one = Curve(
        x, np.full(60, 1.0), "Adam", "Adam", band=(np.full(60, 0.5), np.where(x < 30, 2.0, np.inf))
    )
    falls, stops = Curve(x, 0.5**x, "SGD", "SGD"), Curve(x, np.where(x < 9, 1.0, 0.0), "Adamax", "Adamax")
    rises = Curve(x, 2.0**x, "Momentum", "Momentum")
    made = drawn(
        Picture([Chart("", "x", "y", [steady_one, falls, stops, rises], "y", y_range=(1e-3, 10.0))], "")
    )
    said = " ".join(" ".join(words.split()) for words, _ in labels(made))
    assert "ends below this axis: SGD, Adamax; ends above this axis: Momentum" in said
    (arrows,) = (
        line for line in made.axes[0].lines if line.get_marker() == "^" and line.get_linestyle() == "None"
    )
    assert arrows.get_xdata().min() == 30
    assert set(arrows.get_ydata()) == {1.0}
    low = Curve(x, np.full(60, 1.0), "Adam", "Adam", band=(np.full(60, -5.0), np.full(60, 2.0)))
    made = drawn(Picture([Chart("", "x", "y", [low], "y", y_range=(1e-3, 10.0))], ""))
    assert any(line.get_marker() == "v" for line in made.axes[0].lines)
    calm = drawn(Picture([Chart("", "x", "y", [replace(steady_one, band=None)])], ""))
    assert not any(" axis" in words for words, _ in labels(calm))


def test_long_curves_and_fine_maps_stay_small() -> None:
    n = np.arange(100_000)
    curves = [Curve(n, np.sin(n * (0.7 + i)) + 2, m, m) for i, m in enumerate(METHODS[:4])]
    picture = Picture([Chart("", "step", "y", curves), Map("", "x", "y", valley(300, 300), [])], "")
    text = draw.svg(picture, "p")
    assert len(text) < 120_000
    assert text.count("<path") > 20


@pytest.mark.parametrize("name", steady())
@pytest.mark.parametrize("narrow", [False, True])
def test_svg_for_a_page_is_xml_in_the_pages_colours(name: str, narrow: bool) -> None:
    picture = steady()[name]
    text = draw.svg(picture, "my2-p", narrow)
    root = ET.fromstring(text.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))
    assert root.get("role") == "img"
    assert root.get("aria-label") == picture.alt
    assert "nan" not in text
    tags = "".join(re.findall(r"<[^>]*>", text))
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!-)", re.sub(r'(url\(#|href="#)[^)"]*', "", tags))
    assert not re.search(r"\brgb|\bblack\b|\bwhite\b", tags)
    assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= set(SENTINELS)
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert all(i.startswith("my2-p-") for i in ids)
    used = re.findall(r'(?:url\(#|href="#)([^)"]*)', text)
    assert set(used) <= set(ids)
    assert set(re.findall(r'data-method="([^"]*)"', text)) == set(methods_of(picture))


def test_hostile_words_stay_words() -> None:
    bars = Bars(HOSTILE, HOSTILE, [HOSTILE], [1.0], [HOSTILE], levels=[(0.5, HOSTILE)])
    land = Map(
        HOSTILE, HOSTILE, HOSTILE, valley(), [Run([[0, 0], [1, 1]], HOSTILE, HOSTILE)], [(0, 1, HOSTILE)]
    )  # type: ignore[arg-type]
    chart = Chart(HOSTILE, HOSTILE, HOSTILE, [Curve([0, 1], [1, 2], HOSTILE, HOSTILE)])  # type: ignore[arg-type]
    for narrow in (False, True):
        text = draw.svg(Picture([bars, land, chart], HOSTILE), "p", narrow)
        root = ET.fromstring(text.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))
        assert not [e for e in root.iter() if e.tag.endswith("script")]
        assert root.get("aria-label") == HOSTILE
        assert any(e.get("data-method") == HOSTILE for e in root.iter())


def test_dollars_and_unknown_signs_are_written_as_they_are() -> None:
    text = draw.svg(Picture([Chart("$x^2$ 中文", "x", "y", [Curve([0, 1], [1, 2], "a$b")])], ""), "p")  # type: ignore[arg-type]
    assert "$x^2$ 中文" in text


@pytest.mark.parametrize(("suffix", "begins"), [(".svg", b"<?xml"), (".pdf", b"%PDF"), (".png", b"\x89PNG")])
def test_files_are_what_their_names_say(tmp_path: Path, suffix: str, begins: bytes) -> None:
    path = tmp_path / f"picture{suffix}"
    assert draw.write(steady()["charts"], path) == path
    data = path.read_bytes()
    assert data.startswith(begins)
    draw.write(steady()["charts"], path)
    assert path.read_bytes() == data  # the same picture is the same file


def test_a_theme_has_its_own_colours(tmp_path: Path) -> None:
    texts = {}
    for theme in ("light", "dark"):
        path = tmp_path / f"{theme}.svg"
        draw.write(steady()["bars"], path, theme)
        texts[theme] = path.read_text()
        assert palette(theme)["panel"] in texts[theme]
        assert not set(SENTINELS.values()) & set(re.findall(r"#[0-9a-f]{6}", texts[theme]))
    assert texts["light"] != texts["dark"]


@pytest.mark.parametrize(
    ("name", "theme", "error", "told"),
    [
        ("a.jpg", "light", FileError, ".svg, .pdf or .png"),
        ("a", "light", FileError, "no suffix"),
        ("missing/a.svg", "light", FileError, "folder does not exist"),
        ("a.svg", "drak", HyperparameterError, "did you mean 'dark'"),
    ],
)
def test_bad_files_and_themes(
    tmp_path: Path, name: str, theme: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=re.escape(told)) as raised:
        draw.write(steady()["bars"], tmp_path / name, theme)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "panel",
    [
        Chart("", "x", "y", [Curve(np.arange(3), np.arange(4), "a")]),
        Map("", "x", "y", (np.arange(3), np.arange(4), np.zeros((3, 4))), []),
        Map("", "x", "y", valley(), [Run(np.zeros((4, 3)), "a")]),
        Heat("", "x", "y", np.arange(3), np.arange(4), np.zeros((3, 4)), "v"),
        Bars("", "x", ["a"], [1.0, 2.0]),
    ],
)
def test_arrays_that_do_not_fit_are_an_error_in_words(panel: Any) -> None:
    with pytest.raises(ProblemError, match=r"must (match|have shape)"):
        draw.svg(Picture([panel], ""), "p")


# The parts


def test_spread_keeps_labels_apart_and_near() -> None:
    placed = spread([5, 5, 5, 50], 10, 0, 100)
    assert np.diff(np.sort(placed)).min() >= 10 - 1e-9
    assert placed[3] == 50
    sizes = [10.0, 30.0, 10.0]
    placed = spread([0, 1, 2], sizes, 0, 60)
    assert placed[0] >= 5 and np.all(np.diff(placed) >= 20 - 1e-9)
    assert len(spread([], 10, 0, 100)) == 0
    crowded = spread(np.zeros(50), 10, 0, 100)
    assert crowded.min() >= 0 and crowded.max() <= 100 + 1e-9


def test_words_are_wrapped_to_their_room() -> None:
    text = wrap("RMSpropCentredMomentumSutskever with a long name", 90, 12, True)
    assert all(extent(line, 12, True)[0] <= 90 for line in text.split("\n"))
    assert text.replace("\n", "").replace(" ", "") == "RMSpropCentredMomentumSutskeverwithalongname"
    assert fit("short", 90, 12) == "short"
    assert fit("a name that is too long for its room", 90, 12).endswith("…")


def test_ticks_are_plain_words() -> None:
    assert ticks([0, 2500, 5000, 10_000, 12_500]) == ["0", "2500", "5000", "10,000", "12,500"]
    assert ticks([-0.2, -0.1, 0, 0.1]) == ["−0.2", "−0.1", "0", "0.1"]
    assert ticks([0, 1_250_000, 2_500_000]) == ["0", "1.25×10⁶", "2.5×10⁶"]
    assert ticks([0, 2e-6]) == ["0", "2×10⁻⁶"]
    assert len(set(ticks([1e6, 1e6 + 500, 1e6 + 1000]))) == 3
    assert tick(1e-5) == "10⁻⁵"
    assert [plain(v) for v in (0.5, 33_900, 1e-9, -3, np.inf, None)] == [
        "0.5",
        "33,900",
        "10⁻⁹",
        "−3",
        "∞",
        "–",
    ]


def test_no_two_methods_of_forty_look_alike() -> None:
    names = [*METHODS, *(f"Mine{k}" for k in range(31))]
    looks = {(s.stroke, str(s.dash), s.marker) for s in styles(names).values()}
    assert len(looks) == len(names) == 40


FORMS = [f"{n}:{d}" if d else n for n, r in shipped().items() for d in ("", *r.parts.dialects)]
# sRGB as it is seen, linear: Machado, Oliveira & Fernandes, IEEE TVCG 15 (2009) 1291-1298, severity 1.
EYES = {
    "all colours": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
}


def seen_colour(colour: str, eye: str) -> Any:
    """A colour in CIELAB (D65), as an eye sees it."""
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    rgb = np.clip(EYES[eye] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = np.cbrt(np.maximum(xyz / (0.9505, 1, 1.089), 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_no_two_forms_of_the_librarys_rules_look_alike_to_any_eye(eye: str, theme: str) -> None:
    """What shares dash and marker is ten units apart in colour; the nine of the sources are fifteen apart by colour alone."""
    looks = styles(FORMS)
    seen = {s.stroke: seen_colour(palette(theme)[s.stroke], eye) for s in looks.values()}

    def apart(a: str, b: str) -> float:
        return float(np.linalg.norm(seen[looks[a].stroke] - seen[looks[b].stroke]))

    alike = [
        (a, b)
        for a, b in itertools.combinations(FORMS, 2)
        if (looks[a].dash, looks[a].marker) == (looks[b].dash, looks[b].marker) and apart(a, b) < 10
    ]
    assert not alike
    assert min(apart(a, b) for a, b in itertools.combinations(METHODS, 2)) > 15


def test_a_form_looks_the_same_in_every_picture() -> None:
    """Whatever else is drawn: each alone, all of them, and among users' own."""
    among = styles([*FORMS, *(f"Mine{k}(lr=0.1)" for k in range(31))])
    assert all(styles([name])[name] == among[name] for name in FORMS)
    rules = list(shipped())
    for a, b in itertools.combinations(rules, 2):
        if among[a].stroke == among[b].stroke:
            assert among[a].dash != among[b].dash and among[a].marker != among[b].marker, (a, b)


def test_a_method_looks_the_same_everywhere() -> None:
    alone, among = styles(["Mine"]), styles(["Mine", *METHODS])
    assert alone["Mine"] == among["Mine"]
    looks = {(s.stroke, s.dash, s.marker) for s in among.values()}
    assert len(looks) == len(METHODS) + 1
    for style in among.values():
        dashes = {str(style.varied(v).dash) for v in (0, 1, 2)}
        assert len(dashes) == 3
        assert style.varied(1).stroke == style.stroke
    neutral = looks_of(Picture([Chart("", "", "", [Curve([0], [0], "a"), Curve([0], [0], "b", "SGD")])], ""))  # type: ignore[arg-type]
    assert neutral["a\t"].stroke != "ink"  # which is SGD's


# Films


def land() -> Map:
    return steady()["map"].panels[0]  # type: ignore[return-value]


def test_a_gif_has_as_many_frames_as_asked(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "film.gif"
    assert film.animate(land(), path, "dark", seconds=1.0, fps=15) == path
    with Image.open(path) as image:
        assert image.n_frames == 15
        times = []
        for k in range(image.n_frames):
            image.seek(k)
            times.append(image.info["duration"])
    assert sum(times) == pytest.approx(2000, abs=20)  # a second of film and one of rest
    assert times[-1] > 1000


def test_a_film_draws_the_paths_step_by_step() -> None:
    with drawing():
        first, *_, last = film.frames(land(), palette("light"), 6, 1.0)
    changed = np.any(first != last, axis=-1)
    assert 0.002 < changed.mean() < 0.2  # the paths and the clock, not the landscape


def test_a_films_frames_show_equal_parts_of_the_paths() -> None:
    """A run that makes nine tenths of its way in its first twenty steps of a thousand is not over in the first frames."""
    way = 1 - 0.9 ** np.arange(1001.0)
    runs = [
        Run(np.array([-1.2, 1.0]) + way[:, None] * move, m, m)
        for m, move in zip(METHODS, ((2.4, 1.5), (2.4, -1.5)), strict=False)
    ]
    with drawing():
        seen = list(film.frames(Map("", "x", "y", valley(), runs), palette("light"), 13, 1.0))
    changed = [float(np.any(frame != seen[0], axis=-1)[50:].mean()) for frame in seen]  # without the clock
    assert changed[3] == pytest.approx(changed[-1] / 4, rel=0.25)
    assert changed[6] == pytest.approx(changed[-1] / 2, rel=0.15)
    (whole,) = film.frames(Map("", "x", "y", valley(), runs), palette("light"), 1, 1.0)
    np.testing.assert_array_equal(seen[-1], whole)


def test_a_films_heads_are_where_the_paths_are_at_any_size() -> None:
    """An .mp4 is drawn twice as large as a .gif."""
    start = np.array([-1.2, 1.0])
    short = Map("", "x", "y", valley(), [Run(np.stack([start, start + 0.05]), "Adam", "Adam")])
    changed = []
    for scale in (1.0, 2.0):
        with drawing():
            first, last = film.frames(short, palette("light"), 2, scale)
        changed.append(np.any(first != last, axis=-1)[int(60 * scale) :].mean())
    assert changed[1] == pytest.approx(changed[0], rel=0.25)


def test_an_mp4_begins_as_one(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "film.mp4"
    film.animate(land(), path, seconds=0.5, fps=10)
    assert path.read_bytes()[4:8] == b"ftyp"


def test_without_ffmpeg_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(film, "import_module", missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileError, match="pip install imageio-ffmpeg"):
        film.animate(land(), tmp_path / "film.mp4")


@pytest.mark.parametrize(
    ("given", "told"),
    [({"seconds": 0}, "seconds must be"), ({"fps": 0}, "fps of a .gif"), ({"theme": "blue"}, "theme 'blue'")],
)
def test_bad_films(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    with pytest.raises(HyperparameterError, match=told):
        film.animate(land(), tmp_path / "film.gif", **given)
    with pytest.raises(FileError, match=r"\.gif or \.mp4"):
        film.animate(land(), tmp_path / "film.webm")


# Reports


@pytest.fixture(scope="module")
def race() -> dict[str, Any]:
    made = tw.race("beale", ["SGD", "Adam", "Adamax", "Momentum"], trials=4, seeds=3, steps=120)
    return dict(made.data)


def page_is_sound(text: str) -> None:
    assert text.startswith("<!doctype html>")
    assert "nan" not in re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL).lower().split()
    assert not re.search(r"(src|href)=.?(https?:)?//", text)
    assert "$" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    for opened in re.findall(r"<svg viewBox.*?</svg>|<svg role.*?</svg>", text, flags=re.DOTALL):
        ET.fromstring(opened.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))


@pytest.mark.parametrize("narrow", [False, True])
def test_figures_of_a_race_are_legible(race: dict[str, Any], narrow: bool) -> None:
    for plot in (
        race_figures.loss_curves,
        race_figures.sensitivity,
        race_figures.effective_rate,
        race_figures.contour,
    ):
        with drawing():
            assert_legible(plot.draw(race, palette("light"), narrow))


def test_a_race_report_stands_alone(race: dict[str, Any], tmp_path: Path) -> None:
    text = report.render(race)
    page_is_sound(text)
    assert text.count('role="img"') == 7  # three figures, wide and narrow, and losses where no script runs
    assert (
        race_figures.save(race_figures.contour, race, tmp_path / "map.png", "dark")
        .read_bytes()
        .startswith(b"\x89PNG")
    )


def test_a_race_without_results_is_drawn_too(race: dict[str, Any]) -> None:
    empty = copy.deepcopy(json.loads(json.dumps(race)))
    for row in empty["methods"]:
        row["loss"] = {"median": None, "p10": None, "p90": None}
    empty["curves"]["median"] = [None] * len(empty["curves"]["median"])
    page_is_sound(report.render(empty))
    one = copy.deepcopy(json.loads(json.dumps(race)))
    one["methods"] = one["methods"][:1]
    page_is_sound(report.render(one))


def results() -> list[Result]:
    """Five claims: two that hold, one under conditions, one that does not, one that could not be run."""
    found = []
    for i, picture in enumerate(list(steady().values())[:5]):
        claim = Claim(
            f"claim-{i}",
            f"Claim number {i} <b>",
            "notes & slides",
            r"x \leftarrow x - \alpha g",
            "What is measured.",
            "What would refute it.",
            CHAPTERS[i % 2],
            Evidence,
            (),
        )
        seen = Evidence(picture=picture, reading="The curve falls.")
        seen.number("gain", 33_900.0, 33_900.0, within=0.01)
        seen.number("rate", np.inf)
        seen.check("it falls", i != 3)
        seen.limit("only while ε is small", i == 2)
        found.append(Result(claim, seen, 0.5, "ProblemError: no data" if i == 4 else None))
    return found


def test_the_claims_report_says_what_came_out() -> None:
    found = results()
    text = claims_report.html(
        Findings(found, True, 2.5), {"seed": 0, "command": "thalweg claims", "versions": {"numpy": "2"}}
    )
    page_is_sound(text)
    assert "5 claims: 2 hold, 1 under conditions, 1 does not, 1 could not be run." in text
    for result in found:
        assert f'href="#{result.id}"' in text
        assert f"thalweg claims {result.id}<" in text
    assert "Claim number 0 &lt;b&gt;" in text
    assert text.count('role="img"') == 2 * 4  # one did not run
    assert "ProblemError: no data" in text
    assert re.search(r"<td>33,900</td><td>33,900.*?agrees", text)
    assert "<td>not reached</td><td></td>" in text
    assert text.count("<h3>Conditions</h3>") == 1
    assert "Looked for, not found" in text
    assert claims_report.tally(found[:1]) == "1 claim: 1 holds."
    page_is_sound(claims_report.html(Findings([], False), {}))
    assert "interrupted" in claims_report.html(Findings(found, False), {})
