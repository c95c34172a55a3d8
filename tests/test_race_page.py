"""The race's page: what it says is what was run, and what it draws can be asked in a browser."""

import csv
import gzip
import io
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.lab import answers
from thalweg.lab.basins import basins
from thalweg.lab.reports.race import render
from thalweg.lab.reports.race_wording import sentences
from thalweg.problems import problem

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def race() -> tw.Race:
    return tw.race("two-gaussians", ["SGD", "Adam"], trials=4, seeds=9, steps=120)


@pytest.fixture(scope="module")
def page(race: tw.Race) -> str:
    return race.html()


def text(page: str) -> str:
    """What a reader sees, without markup."""
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", "", re.sub(r"(?s)<(style|script)\b.*?</\1>", "", page)))


def test_the_chart_holds_the_numbers_of_the_race(race: tw.Race, page: str) -> None:
    data = json.loads(re.search(r'id="chart-data">(.*?)</script>', page, re.S).group(1))  # type: ignore[union-attr]
    rows = {r["method"]: r for r in race.data["methods"]}
    assert [m["name"] for m in data["methods"]] == list(rows)
    for m in data["methods"]:
        assert (
            m["steps"][0] == 0
            and m["steps"][-1] == 120
            and len(m["steps"]) == len(m["median"]) == len(m["p90"])
        )
        assert m["median"][-1] == pytest.approx(rows[m["name"]]["loss"]["median"], rel=1e-4)
    assert (
        data["minimum"] == pytest.approx(-2.0630903) and not data["log"]
    )  # losses below 0 have no logarithm
    assert 'data-set="y:gap"' in page and 'data-set="x:rows"' not in page
    assert page.count('<th scope="col"><button type="button">') >= 6
    named = r'xmlns(:xlink)?=\\?"[^"]*"|<!DOCTYPE[^>]*>|http-equiv|http://www\.w3\.org/2000/svg'
    assert "http" not in re.sub(named, "", page)


def test_what_scrolls_can_be_reached_and_nothing_is_said_of_rows_that_are_not_there(page: str) -> None:
    assert (
        page.count('class="scroll"')
        == page.count('class="scroll" tabindex="0" role="region" aria-label="')
        > 0
    )
    assert "<dt>seeds</dt>" in page and "<dt>rows</dt>" not in page and "<dt>batch</dt>" not in page


def test_pictures_are_as_short_as_they_can_be_read(page: str) -> None:
    """The font is said once a picture; a path has no room but between two numbers."""
    pictures = re.findall(r"(?s)<svg role=.*?</svg>", page)
    assert len(pictures) >= 6
    for picture in pictures:
        assert picture.count("font-family") == 1
        for path in re.findall(r' d="([^"]*)"', picture):
            assert not re.search(r"\s[A-Za-z]|[A-Za-z]\s|\.\d{3}", path)


def test_the_explorer_comes_along(race: tw.Race, page: str) -> None:
    """Within the same file, compressed: less than 60 kB as servers send it, and not much more on disk."""
    packed = re.search(r'<script type="application/gzip" id="explorer-page">(.*?)</script>', page)
    assert packed is not None and race.explored is not None
    assert gzip.decompress(b64decode(packed[1])).decode() == race.explored.page()
    without = page.replace(packed[0], "")
    assert len(page) - len(without) < 81_000
    assert 0 < len(gzip.compress(page.encode())) - len(gzip.compress(without.encode())) < 60_000
    assert [type(r).__name__ for r in race.explored.rules] == [r["method"] for r in race.data["methods"]]
    assert [r.lr for r in race.explored.rules] == [r["lr"] for r in race.data["methods"]]
    assert "button" in without and 'class="open"' in without


def test_what_is_no_landscape_has_no_explorer() -> None:
    assert tw.race("quadratic", ["SGD"], trials=1, seeds=1, steps=3).explored is None


def test_seeds_that_are_starts_and_local_minima_are_said(race: tw.Race, page: str) -> None:
    found = race.data["basins"]
    assert found is not None
    np.testing.assert_allclose(found["minima"], [(-0.9363, 0), (0.9053, 0)], atol=1e-3)
    np.testing.assert_allclose(found["losses"], [-2.0631, -1.0927], atol=1e-4)
    assert all(sum(counts) <= found["runs"] == 9 for counts in found["counts"].values())
    told = " ".join(sentences(race.data))
    assert "Runs end in 2 local minima: -2.06 at (-0.936, " in told and "seeds are starts" in told
    assert "Runs end in 2 local minima" in text(page)


def test_only_minima_are_counted() -> None:
    """Runs on their way down a valley, at a saddle, or nowhere end in no minimum."""
    himmelblau = problem("himmelblau")
    at = np.array(himmelblau.minima)
    ends = {"a": at[[0, 0, 1]] + 1e-4, "b": np.array([at[0], [1.0, 1.0], [np.nan, 0.0]])}
    found = basins(himmelblau, ends)
    assert (found is not None and found["counts"] == {"a": [2, 1], "b": [1, 0]}) or found["counts"] == {
        "a": [1, 2],
        "b": [0, 1],
    }
    assert basins(problem("rosenbrock"), {"a": np.array([[-1.0, 1.0], [0.5, 0.25], [1.0, 1.0]])}) is None
    assert basins(problem("saddle"), {"a": np.array([[0.0, 0.0], [1.0, 0.0]])}) is None


def test_what_more_seeds_would_show_follows_from_the_spread() -> None:
    base = np.exp(np.random.default_rng(4).standard_normal(12))
    mixed = np.exp(0.1 * np.array([1] * 9 + [-1] * 3))
    ends = {"one": base, "equal": base * np.exp([1e-3, -1e-3] * 6), "worse": base * mixed}
    said = answers.lowest(ends, np.full(12, 99.0), None, 1e-16)
    assert set(said["leaders"]) == {"one", "equal", "worse"}  # 9 of 12 and a family of three: p is 0.44
    first = said["leaders"][0]
    assert said["outlook"] == {
        "method": first,
        "seeds": 48,
        "apart": ["worse"],  # 36 of 48: p is 0.002
        "together": [n for n in ("one", "equal") if n != first],
    }
    alone = answers.lowest({"one": base, "worse": 2 * base}, np.full(12, 99.0), None, 1e-16)
    assert alone["outlook"] is None


def test_an_interrupted_race_says_what_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thalweg.lab.reports.race._figures", lambda *_: "")  # drawing takes seconds

    def stop(after: str) -> Any:
        def progress(what: str, done: int, total: int) -> None:
            if what == after and done == 1:
                raise KeyboardInterrupt

        return progress

    tuning = tw.race("rosenbrock", ["SGD", "Adam"], trials=3, seeds=17, steps=20, progress=stop("tuning"))
    page = text(render(tuning.data))
    assert "over 17" not in page and "none had seen" not in page and "17 seeds" not in page
    assert "This race was interrupted" in page and "0 to 1 of 3 trials" in page
    assert sorted(r["fate"] for r in tuning.data["methods"]) == ["diverged", "not run"]
    assert repr(tuning).split() == ["Race", "on", "rosenbrock:", "SGD", "diverged", "Adam", "not", "run"]
    late = tw.race("rosenbrock", ["SGD", "Adam"], trials=3, seeds=17, steps=20, progress=stop("fresh seeds"))
    page = text(render(late.data))
    assert "Adam over 3 tuning seeds; SGD over 17 seeds" in page
    assert (
        "no two methods were rerun on fresh seeds" in page and "Lowest f" not in page
    )  # one alone beats nobody
    assert "1 of 2 methods were rerun" in page


@pytest.fixture
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path: Path, browser: Any, page: str) -> None:
    """Sort, hover, keys, scales and several methods in the light; nothing is asked of any host, nothing is an error."""
    (tmp_path / "r.html").write_text(page)
    seen = browser.new_page(viewport={"width": 1280, "height": 900})
    asked: list[str] = []
    wrong: list[str] = []
    seen.on("request", lambda r: asked.append(r.url))
    seen.on("pageerror", lambda e: wrong.append(str(e)))
    seen.goto((tmp_path / "r.html").as_uri())

    def names() -> list[str]:
        rows = seen.locator(".results tbody tr[data-method]")
        order: list[str] = rows.evaluate_all("rows => rows.map(r => r.dataset.method)")
        return order

    ranked = names()
    seen.get_by_role("button", name="method", exact=True).click()
    assert names() == sorted(ranked)
    seen.get_by_role("button", name="method", exact=True).click()
    assert names() == sorted(ranked, reverse=True)
    seen.get_by_role("button", name="steps to target").click()
    assert seen.locator("th[aria-sort=ascending]").inner_text().startswith("steps to")
    values = seen.locator(".values")
    assert values.locator("h4").inner_text() == "At the end, step 120: above the minimum"
    plot = seen.locator(".plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    seen.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    assert values.locator("h4").inner_text().startswith("At step ") and values.locator("li").count() == 2
    plot.focus()
    seen.keyboard.press("Home")
    assert values.locator("h4").inner_text() == "At step 0: above the minimum"
    seen.keyboard.press("ArrowRight")
    assert values.locator("h4").inner_text() == "At step 1: above the minimum"
    assert plot.get_attribute("aria-valuetext").startswith("step 1: ")
    before = plot.inner_html()
    seen.get_by_role("button", name="seconds").click()
    seen.get_by_role("button", name="linear").last.click()
    assert plot.inner_html() != before
    for name in ("SGD", "Adam"):
        seen.locator(f".chips [data-pin={name}]").click()
    seen.mouse.move(5, 5)
    lit = seen.locator(".chart .run.on").evaluate_all("parts => parts.map(p => p.dataset.method)")
    assert sorted(lit) == ["Adam", "SGD"] and seen.locator(".chart .shade.on").first.is_visible()
    seen.keyboard.press("Escape")
    assert seen.locator("body.hot").count() == 0
    seen.set_viewport_size({"width": 390, "height": 800})
    seen.wait_for_timeout(100)
    assert seen.evaluate("document.documentElement.scrollWidth") <= 390
    assert not wrong and all(url.startswith(("file:", "data:")) for url in asked)


@pytest.mark.slow
def test_long_names_fold_on_a_phone(tmp_path: Path, browser: Any) -> None:
    """Names of optimizers and tensors are one word each, and wider than a phone."""
    import torch

    class OptimizerOfMyOwnWithALongName(torch.optim.SGD):
        pass

    w = torch.nn.Parameter(torch.ones(20))
    optimizer = OptimizerOfMyOwnWithALongName([(f"{'encoder.layers.' * 4}weight", w)], lr=0.1)
    with tw.watch(optimizer, 1, tmp_path / "run.html"):
        w.grad = torch.zeros(20)
        optimizer.step()
    seen = browser.new_page(viewport={"width": 390, "height": 800})
    seen.goto((tmp_path / "run.html").as_uri())
    assert seen.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_the_explorer_of_a_race_shows_its_paths(
    tmp_path: Path, browser: Any, race: tw.Race, page: str
) -> None:
    """One click away: the steps of the first fresh run, at the tuned settings, in a frame that holds all of it."""
    (tmp_path / "r.html").write_text(page)
    seen = browser.new_page(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    seen.on("pageerror", lambda e: wrong.append(str(e)))
    seen.goto((tmp_path / "r.html").as_uri())
    assert seen.locator("iframe").count() == 0
    seen.get_by_role("button", name="Open the explorer").click()
    seen.wait_for_timeout(800)
    inside = seen.frames[1]
    rows = list(csv.reader(io.StringIO(inside.evaluate("explorer.csv()"))))[1:]
    shown = {(r[0], int(r[1])): (float(r[2]), float(r[3])) for r in rows}
    paths = race.data["paths"]
    assert paths is not None and len(paths["x"]) > 100
    for name, step, x, y in zip(*(paths[n] for n in ("method", "step", "x", "y")), strict=True):
        assert shown[name, step] == pytest.approx((x, y), rel=1e-6, abs=1e-9)
    assert inside.evaluate("document.documentElement.scrollHeight <= innerHeight + 4")
    assert inside.locator(".controls select option").all_text_contents() == [
        race.data["title"],
        "Your own function…",
    ]
    assert not inside.locator(".questions").is_visible()  # those are about other landscapes
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_the_page_is_for_everyone(width: int, scheme: str, tmp_path: Path, browser: Any, page: str) -> None:
    """No finding of axe-core's that is serious, with the explorer open in it."""
    axe = Path(__file__).resolve().parent.parent / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.exists():
        pytest.skip("axe-core is looked at where npm ci has run in web/")
    (tmp_path / "r.html").write_text(page)
    seen = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen.goto((tmp_path / "r.html").as_uri())
    seen.get_by_role("button", name="Open the explorer").click()
    seen.wait_for_timeout(800)
    assert seen.evaluate("document.documentElement.scrollWidth") <= width
    seen.add_script_tag(content=axe.read_text())
    found = seen.evaluate("axe.run({iframes: false}).then((r) => r.violations.map((v) => [v.impact, v.id]))")
    assert [f for f in found if f[0] in ("serious", "critical")] == []
