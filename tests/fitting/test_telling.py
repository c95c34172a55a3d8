"""What a fit tells: weights in the file's units with their columns, calibration, the fall of the loss, the page."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from thalweg.fitting import budget, chunks, curve, fit, predict, training
from thalweg.fitting.checkpoint import State

ROWS = 900


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose price is 1500 a square metre, 2000 a step, and 30,000 more in Lisbon."""
    rng = np.random.default_rng(0)
    area, steps = rng.normal(90, 20, ROWS), rng.integers(0, 9, ROWS)
    city = rng.choice(["Lisbon", "Porto"], ROWS)
    price = 1500 * area + 2000 * steps + 30_000 * (city == "Lisbon") + rng.normal(0, 500, ROWS)
    path = tmp_path_factory.mktemp("homes") / "homes.csv"
    dear = np.where(price > np.median(price), "yes", "no")
    lines = [",".join(map(str, line)) for line in zip(area, steps, city, price, dear, strict=True)]
    path.write_text("\n".join(["area,steps,city,price,dear", *lines]) + "\n")
    return path


def test_weights_are_in_the_units_of_the_file_with_their_columns(homes: Path, tmp_path: Path) -> None:
    report = fit(homes, tmp_path / "m.tw", target="price", ignore=["dear"], passes=20)
    table = np.genfromtxt(homes, delimiter=",", skip_header=1, usecols=(0, 1))
    weights = {w["column"]: w for w in report.weights}
    assert next(iter(weights)) == "area"
    assert set(weights) == {"area", "steps", "city=Lisbon", "city=Porto"}
    for name, column, right in (("area", 0, 1500), ("steps", 1, 2000)):
        assert weights[name]["weight"] == pytest.approx(right, rel=0.05)
        effect = weights[name]["weight"] * table[:, column].std()
        assert weights[name]["effect"] == pytest.approx(effect, rel=0.25)  # over a sample of rows
    lisbon, porto = weights["city=Lisbon"]["weight"], weights["city=Porto"]["weight"]
    assert lisbon - porto == pytest.approx(30_000, rel=0.05)
    effects = [abs(w["effect"]) for w in report.weights]
    assert effects == sorted(effects, reverse=True)


@pytest.mark.parametrize("scale", ["auto", "none"])
def test_sparse_weights_are_those_of_the_models_file(scale: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = [f"{2 * a - b:g} 1:{a} 3:{b}" for a, b in rng.integers(1, 9, (400, 2)).tolist()]
    (tmp_path / "a.svm").write_text("\n".join(lines) + "\n")
    report = fit(tmp_path / "a.svm", tmp_path / "m.tw", task="regression", passes=20, scale=scale)
    weights = training.Trained.load(tmp_path / "m.tw").solution[0][:, 0]
    told = {w["column"]: w["weight"] for w in report.weights}
    assert told == pytest.approx({"feature 1": weights[0], "feature 3": weights[2]}, rel=1e-5)
    report = fit(tmp_path / "a.svm", tmp_path / "m.tw", task="regression", bits=4, scale=scale)
    assert {w["column"] for w in report.weights} == {"index 0 of 4 bits", "index 2 of 4 bits"}


def test_names_of_vowpal_wabbit_are_those_of_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 3, (400, 2)).tolist()
    words = ["good", "17", "né"]
    lines = [f"{3 * (a == 0) - 2 * (b == 1):g} |said {words[a]} |{' '}w{b} stars:{b}" for a, b in rows]
    (tmp_path / "a.vw").write_text("\n".join(lines) + "\n", encoding="utf-8")
    report = fit(tmp_path / "a.vw", tmp_path / "m.tw", task="regression", passes=5)
    names = {"said^good", "said^17", "said^né", "w0", "w1", "w2", "stars"}
    told = {w["column"]: w["weight"] for w in report.weights}
    assert set(told) == names and told["said^good"] - told["said^17"] == pytest.approx(3, rel=0.1)


def test_classes_are_called_as_in_the_file_and_groups_hold_all_rows(homes: Path, tmp_path: Path) -> None:
    report = fit(homes, tmp_path / "m.tw", target="dear", ignore=["price"], passes=3)
    given, held = report.calibration, report.held_out
    assert given is not None and held is not None and report.train is not None
    assert report.class_names == ["no", "yes"] and given["of"] == "class" and given["class"] == "yes"
    assert sum(g["rows"] for g in given["groups"]) == held["rows"] == given["rows"]
    said = [g["said"] for g in given["groups"]]
    assert said == sorted(said) and said[0] < 0.2 and said[-1] > 0.8
    assert all(0 <= g["low"] <= g["came"] <= g["high"] <= 1 for g in given["groups"])
    # What was learnt from is of the same stretch, and another set of rows: about a tenth each.
    assert 50 < report.train["rows"] < 150 and report.train["accuracy"] > 0.85


def test_calibration_is_that_of_the_predictions(homes: Path, tmp_path: Path) -> None:
    report = fit(homes, tmp_path / "m.tw", target="price", ignore=["dear"], passes=3, test=str(homes))
    predict(tmp_path / "m.tw", homes, tmp_path / "p.csv")
    said = np.genfromtxt(tmp_path / "p.csv", delimiter=",", skip_header=1)
    came = np.genfromtxt(homes, delimiter=",", skip_header=1, usecols=3)
    assert report.calibration is not None and report.held_out is None
    order = np.array_split(np.argsort(said, kind="stable"), 10)
    for group, rows in zip(report.calibration["groups"], order, strict=True):
        assert group["rows"] == len(rows)
        assert group["said"] == pytest.approx(said[rows].mean(), rel=1e-6)
        assert group["came"] == pytest.approx(came[rows].mean())
        assert group["low"] == pytest.approx(np.quantile(came[rows], 0.1))


def test_a_curve_sums_up_all_rows_in_so_many_points() -> None:
    points: list[curve.Point] = []
    rng = np.random.default_rng(0)
    losses = rng.random(3000)
    for loss in losses.tolist():
        curve.lengthen(points, 5, 2.0, 2.0 * loss)
        assert len(points) <= curve.POINTS
    curve.require_curve(points)
    assert sum(p[1] for p in points) == 15_000 and sum(p[3] for p in points) == pytest.approx(
        2 * losses.sum()
    )
    assert {p[0] for p in points[:-1]} == {16}
    told = curve.plain(points)
    assert told[0] == {"rows": 80, "loss": pytest.approx(losses[:16].mean())} and told[-1]["rows"] == 15_000


def test_a_run_that_goes_on_tells_what_a_whole_one_tells(
    homes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "BLOCK", 1 << 13)
    monkeypatch.setattr(chunks, "FIRST", chunks.Bounds(300, 1 << 20))
    monkeypatch.setattr(chunks, "LATER", chunks.Bounds(100, 1 << 20))
    given = {"target": "price", "passes": 2, "ignore": ["dear"], "bits": 8}
    whole = fit(homes, tmp_path / "a.tw", **given)
    for stops in (3, 9):  # chunks of the first pass, and of the second
        asked = iter([*[False] * stops, True])
        assert not fit(homes, tmp_path / "b.tw", stop=lambda asked=asked: next(asked), **given).finished
        again = fit(homes, tmp_path / "b.tw", **given)
        assert again.resumed and (tmp_path / "a.tw").read_bytes() == (tmp_path / "b.tw").read_bytes()
        for name in ("curve", "train", "held_out", "calibration", "weights"):
            assert getattr(again, name) == getattr(whole, name), name
    assert len(whole.curve) > 10 and whole.curve[-1]["rows"] == whole.steps


def test_a_state_of_before_curves_loads() -> None:
    plain = asdict(State())
    del plain["curve"]
    assert State.of(plain, 1, 1).curve == []


@pytest.mark.parametrize("rule", ["Adagrad(lr=0.1)", "SGD(lr=0.001)"])
def test_rows_learnt_in_pieces_give_the_same_bytes(
    rule: str, homes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"target": "price", "rule": rule, "passes": 2}
    pieces = fit(homes, tmp_path / "a.tw", **given)
    monkeypatch.setattr(training, "pieces", lambda _: 1)
    one = fit(homes, tmp_path / "b.tw", **given)
    assert (tmp_path / "a.tw").read_bytes() == (tmp_path / "b.tw").read_bytes()
    assert one.loss == pytest.approx(pieces.loss, rel=1e-12) and len(one.curve) == 2


def test_the_page_begins_with_how_good_it_is_and_has_the_command(homes: Path, tmp_path: Path) -> None:
    page, told = tmp_path / "m.html", tmp_path / "m.json"
    options = ["--target", "price", "--ignore", "dear", "--passes", "2", "--quiet"]
    command = ["fit", str(homes), "--model", str(tmp_path / "m.tw"), *options]
    done = subprocess.run(
        [sys.executable, "-m", "thalweg", *command, "--report", str(page), "--json", str(told)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "weight of area\t" in done.stdout and "always the mean" in done.stdout
    text, report = page.read_text(), json.loads(told.read_text())
    first = text[text.index('class="answer">') :].partition("</p>")[0]
    assert f"On {report['held_out']['rows']} rows held out, price is missed by" in first
    assert "always the mean misses it by" in first and "of the error" in first
    for words in (
        "Predicted against actual",
        "How the loss fell",
        "city=Lisbon",
        "left out",
        "--target price",
    ):
        assert words in text, words
    assert "<script src" not in text and '<link rel="stylesheet' not in text


@pytest.mark.parametrize("target", ["price", "dear"])
def test_nothing_is_concluded_from_a_few_rows(homes: Path, tmp_path: Path, target: str) -> None:
    """Of one row held out a constant is as good as can be: each model of a small file was said to be no better."""
    head, *lines = homes.read_text().splitlines()
    (tmp_path / "few.csv").write_text("\n".join([head, *lines[:40]]) + "\n")
    ignore = ["dear" if target == "price" else "price"]
    report = fit(tmp_path / "few.csv", tmp_path / "m.tw", target=target, ignore=ignore, passes=20)
    assert report.held_out is not None and 0 < report.held_out["rows"] < 20
    said = [n for n in report.notes if n.startswith("held out")]
    assert len(said) == 2 and "tell little of how good the model is; hold out more (--holdout" in said[1]
    (tmp_path / "one.csv").write_text("\n".join([head, lines[0]]) + "\n")
    assert predict(tmp_path / "m.tw", tmp_path / "one.csv", tmp_path / "p.csv").notes == []


def test_predict_says_where_a_model_is_no_better_than_a_constant(homes: Path, tmp_path: Path) -> None:
    fit(homes, tmp_path / "m.tw", target="dear", ignore=["price"], rule="Adagrad(lr=0.1)")
    done = predict(tmp_path / "m.tw", homes, tmp_path / "p.csv")
    assert done.notes == [] and done.quality is not None and done.quality["accuracy"] > 0.85
    lines = homes.read_text().splitlines()
    swapped = [{"yes": "no", "no": "yes"}.get(line.rpartition(",")[2], "dear") for line in lines]
    (tmp_path / "other.csv").write_text(
        "".join(f"{line.rpartition(',')[0]},{last}\n" for line, last in zip(lines, swapped, strict=True))
    )
    done = predict(tmp_path / "m.tw", tmp_path / "other.csv", tmp_path / "p.csv")
    assert len(done.notes) == 1 and "no better than a constant" in done.notes[0]
