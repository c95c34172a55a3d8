"""Models from files: the same as in memory, the same after a stop or a kill, and clear about what is wrong."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit
from typer.testing import CliRunner

import thalweg as tw
from thalweg import archive
from thalweg.cli.program import app
from thalweg.errors import FileError, HyperparameterError, ProblemError, ThalwegError
from thalweg.fitting import FitSettings, Trained, budget, chunks, fit, predict
from thalweg.fitting.held_out import hashed
from thalweg.fitting.settings import LINES, recorded_reading
from thalweg.linear import Model, Settings

RULE = tw.Adagrad(lr=0.1)


def data(rows: int = 600, features: int = 80, seed: int = 0) -> tuple[csr_array, np.ndarray]:
    """Rows whose features reach further and further, with labels 0 and 1 that depend on them."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((rows, features), np.float32)
    for k in range(rows):
        reach = max(8, features * (k + 1) // rows)
        at = rng.choice(reach, 6, replace=False)
        dense[k, at] = np.round(rng.standard_normal(6), 2)
    truth = rng.standard_normal(features)
    return csr_array(dense), (dense @ truth > 0).astype(np.int64)


def svmlight(path: Path, x: csr_array, y: np.ndarray, label: bool = True) -> Path:
    lines = []
    for k in range(x.shape[0]):
        a, b = x.indptr[k], x.indptr[k + 1]
        entries = [f"{i + 1}:{v:g}" for i, v in zip(x.indices[a:b], x.data[a:b], strict=True)]
        lines.append(" ".join(([f"{y[k]:g}"] if label else []) + entries))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "BLOCK", 1 << 11)
    monkeypatch.setattr(chunks, "FIRST", chunks.Bounds(100, 1 << 20))
    monkeypatch.setattr(chunks, "LATER", chunks.Bounds(30, 1 << 20))


def mixed(rows: np.ndarray | int, passed: int = 0, seed: int = 0, cuts: tuple[int, ...] = ()) -> np.ndarray:
    """Row numbers in the order in which a pass learns them. cuts: where chunks begin but for the first."""
    rows = np.arange(rows) if isinstance(rows, int) else rows
    edges = [0, *cuts, 1 << 60]
    parts = [(a, rows[(rows >= a) & (rows < b)]) for a, b in pairwise(edges)]
    return np.concatenate([a + chunks.order(part - a, seed, passed, a) for a, part in parts])


CUTS = tuple(range(100, 600, 30))  # of the small chunks


def weights(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return Trained.load(path).model.solution


def test_it_is_the_model_of_all_rows_at_once(tmp_path: Path, small_blocks: None) -> None:
    x, y = data()
    train = svmlight(tmp_path / "a.svm", x, y)
    made = fit(train, tmp_path / "m.tw", rule=RULE, passes=2, holdout=0, scale="none")
    assert made.finished and made.rows == 600 and made.steps == 1200 and made.features == x.indices.max() + 1
    whole = Model(Settings(rule=RULE), made.features, np.array([0, 1]))
    for passed in range(2):
        order = mixed(600, passed, cuts=CUTS)
        total, weight = whole.learn(x[:, : made.features].tocsr(), whole.encode(y), order=order)
    w, b = weights(tmp_path / "m.tw")
    assert w.tobytes() == whole.solution[0].tobytes() and b.tobytes() == whole.solution[1].tobytes()
    assert made.loss == pytest.approx(total / weight)
    assert not (tmp_path / "m.tw.cache").exists() and not (tmp_path / "m.tw.checkpoint").exists()


def test_rows_of_weight_0_are_no_steps(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("y,w,x\n" + "".join(f"{k % 2},{k % 3},{k % 5}\n" for k in range(300)))
    made = fit(path, tmp_path / "m.tw", rule=RULE, passes=2, holdout=0, target="y", weight="w")
    assert (made.rows, made.steps) == (300, 2 * 200)


def test_indices_cut_to_bits_are_summed_where_they_meet(tmp_path: Path) -> None:
    x, y = data()
    made = fit(
        svmlight(tmp_path / "a.svm", x, y), tmp_path / "m.tw", rule=RULE, bits=3, holdout=0, scale="none"
    )
    small = sum(x.toarray()[:, k : k + 8] for k in range(0, 80, 8))
    assert made.features == 8
    model = Model(Settings(rule=RULE), 8, np.array([0, 1]))
    model.learn(small, model.encode(y), order=mixed(600))
    np.testing.assert_allclose(weights(tmp_path / "m.tw")[0], model.solution[0], rtol=1e-3, atol=1e-5)
    predict(tmp_path / "m.tw", tmp_path / "a.svm", tmp_path / "p.csv")
    p = [float(line.rpartition(",")[2]) for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    np.testing.assert_allclose(p, model.probabilities(model.scores(small))[:, 1], rtol=1e-3)


def test_the_hash_that_holds_out_is_even_and_turns_with_the_seed() -> None:
    rows = np.arange(100_000)
    a, b = hashed(rows, 0), hashed(rows, 7)
    assert np.abs(np.histogram(a, 10, (0, 1))[0] - 10_000).max() < 500
    assert abs(np.corrcoef(a < 0.1, b < 0.1)[0, 1]) < 0.02 and abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.02


def test_held_out_rows_are_not_learnt_from_and_tell_how_good_it_is(
    tmp_path: Path, small_blocks: None
) -> None:
    x, y = data()
    train = svmlight(tmp_path / "a.svm", x, y)
    made = fit(train, tmp_path / "m.tw", rule=RULE, holdout=0.25, seed=3, scale="none")
    out = hashed(np.arange(600), 3) < 0.25
    assert 100 < out.sum() < 200 and made.steps == 600 - out.sum()
    model = Model(Settings(rule=RULE), made.features, np.array([0, 1]))
    x = x[:, : made.features].tocsr()
    model.learn(x, model.encode(y), order=mixed(np.flatnonzero(~out), seed=3, cuts=CUTS))
    w, b = weights(tmp_path / "m.tw")
    assert w.tobytes() == model.solution[0].tobytes()
    p = expit((x[out] @ w.astype(float) + b)[:, 0])
    assert made.held_out is not None
    assert made.held_out["loss"] == pytest.approx(-np.log(np.where(y[out] == 1, p, 1 - p)).mean(), rel=1e-5)
    assert made.held_out["accuracy"] == pytest.approx(((p > 0.5) == y[out]).mean())
    checked = fit(train, tmp_path / "n.tw", rule=RULE, test=svmlight(tmp_path / "t.svm", x[out], y[out]))
    assert checked.held_out is None and checked.test is not None and checked.test["rows"] == out.sum()


def test_no_more_is_held_out_than_fits(
    tmp_path: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thalweg.fitting.held_out.HELD_ROWS", 50)
    train = svmlight(tmp_path / "a.svm", *data())
    made = fit(train, tmp_path / "m.tw", rule=RULE, holdout=0.25, passes=2)
    assert made.held_out is not None
    assert 50 <= made.held_out["rows"] < 80 and made.steps == 2 * (600 - made.held_out["rows"])


KINDS: dict[str, dict[str, Any]] = {
    "chosen rate": {"holdout": 0.2},
    "lags": {"rule": tw.Adam(lr=0.01), "holdout": 0.1},
    "decays": {"rule": RULE, "l2": 1e-3},
    "truncates, schedule": {"rule": tw.SGD(lr=tw.cosine(0.1, steps=900)), "l1": 1e-3},
    "averages": {"rule": RULE, "average": 100},
    "numbers": {"rule": RULE, "task": "regression", "holdout": 0.0},
    "cut to bits": {"rule": RULE, "bits": 5},
    "columns": {"target": "y", "task": "regression"},
}


class Killed(Exception):
    """What a test throws where a kill may come."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_stopped_or_killed_ends_with_the_same_bytes(
    tmp_path: Path, small_blocks: None, kind: str
) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    settings = {"passes": 2, "checkpoint_every": 1e-9} | KINDS[kind]
    if "target" in settings:
        x, y = data(features=8)
        train = tmp_path / "a.csv"
        np.savetxt(train, np.c_[y, x.toarray()], "%.6g", ",", header="y,a,b,c,d,e,f,g,h", comments="")
        (tmp_path / "a.svm").unlink()
    points = 0

    def count() -> bool:
        nonlocal points
        points += 1
        return False

    report = fit(train, tmp_path / "m.tw", stop=count, **(settings | {"checkpoint_every": 0}))
    whole = (tmp_path / "m.tw").read_bytes()
    assert points > 15
    left = iter((3, 8, 1, 5, 2, 4))
    ways: list[Callable[[], bool]] = [lambda: True, kill]
    runs, ended, resumed = 0, False, False
    while not ended:
        runs += 1
        stop = after(next(left, 10**9), ways[runs % 2])
        try:
            made = fit(train, tmp_path / "other.tw", stop=stop, **settings)
            ended = made.finished
            resumed = made.resumed
        except Killed:
            assert not (tmp_path / "other.tw").exists()
    assert runs > 4 and resumed
    assert (made.history, made.rule, made.steps) == (report.history, report.rule, report.steps)
    assert (tmp_path / "other.tw").read_bytes() == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == [train.name, "m.tw", "other.tw"]


def kill() -> bool:
    raise Killed


def after(count: int, act: Callable[[], bool]) -> Callable[[], bool]:
    def stop() -> bool:
        nonlocal count
        count -= 1
        return count < 0 and act()

    return stop


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "thalweg.cli", *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True)


@pytest.mark.parametrize(
    ("kind", "kills"),
    [("svm", 2), *(pytest.param(kind, 20, marks=pytest.mark.slow) for kind in ("svm", "csv"))],
)
def test_killed_at_random_moments_and_gone_on(tmp_path: Path, kind: str, kills: int) -> None:
    """With all that is scaled and mixed: values of features, numeric columns, the target, the rows of each pass."""
    train, given = tmp_path / f"a.{kind}", ["--checkpoint-every", 0.01, "--rule", "Adam", "--quiet"]
    if kind == "svm":
        svmlight(train, *data(5000, 1000))
        given += ["--passes", 40]
    else:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((5000, 3)) * [1e6, 1e-6, 1] + 5
        y = x @ [1e-3, 1e9, 2000] + 1e5
        rows = (f"{a!r},{b!r},{c!r},w{k % 7},{t!r}\n" for k, ((a, b, c), t) in enumerate(zip(x.tolist(), y.tolist(), strict=True)))  # fmt: skip
        train.write_text("a,b,c,word,y\n" + "".join(rows))
        given += ["--passes", 60, "--target", "y", "--l2", 1e-4, "--average", 100]
    began = time.monotonic()
    assert run("fit", train, "--model", tmp_path / "m.tw", *given).returncode == 0
    taken = time.monotonic() - began
    rng, killed = random.Random(0), 0
    moments = [rng.uniform(0.3, 0.9) * taken for _ in range(kills)]
    while True:
        moment = moments.pop() if moments else None
        child = subprocess.Popen(
            command("fit", train, "--model", tmp_path / "n.tw", *given),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            child.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            killed += 1
            continue
        assert child.returncode == 0
        if moment is None:
            break
        (tmp_path / "n.tw").unlink()  # it was done before it could be killed: the next is killed sooner
        moments.append(0.6 * moment)
    assert killed == kills
    assert (tmp_path / "n.tw").read_bytes() == (tmp_path / "m.tw").read_bytes()
    left = {p.name for p in tmp_path.iterdir() if not p.name.startswith(".thalweg")}
    assert left == {train.name, "m.tw", "n.tw"}


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data(5000, 300))
    given = ["fit", train, "--model", tmp_path / "m.tw", "--passes", 100_000, "--rule", "Adagrad(lr=0.1)"]
    child = subprocess.Popen(command(*given), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:  # until the first pass is done
        if line.startswith("pass 1/"):
            break
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 1
    assert (
        told.strip().splitlines()[-1]
        == f"Interrupted; the same command goes on from {tmp_path}/m.tw.checkpoint"
    )
    assert (tmp_path / "m.tw.checkpoint").exists() and not (tmp_path / "m.tw").exists()


def formats(folder: Path) -> dict[str, dict[str, Any]]:
    """The same rows in every format."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    x, y = data(300, 12)
    dense = x.toarray()
    svmlight(folder / "a.svm", x, y)
    with gzip.open(folder / "a.svm.gz", "wb") as file:
        file.write((folder / "a.svm").read_bytes())
    (folder / "a.vw").write_text(
        "".join(
            f"{1 if t else -1} 1 r{k}| {' '.join(f'{i}:{v:g}' for i, v in enumerate(row) if v)}\n"
            for k, (row, t) in enumerate(zip(dense, y, strict=True))
        )
    )
    names = [f"x{i}" for i in range(12)]
    with open(folder / "a.csv", "w") as text:
        print(",".join(["label", *names]), file=text)
        for row, t in zip(dense, y, strict=True):
            print(",".join([str(t), *(f"{v:g}" for v in row)]), file=text)
    exact = np.round(dense.astype(float), 2)  # as the text says it
    pq.write_table(
        pa.table({"label": y, **{n: exact[:, i] for i, n in enumerate(names)}}), folder / "a.parquet"
    )
    return {
        "a.svm": {},
        "a.svm.gz": {},
        "a.vw": {"bits": 4},
        "a.csv": {"target": "label"},
        "a.parquet": {"target": "label"},
    }


@pytest.mark.parametrize("scale", ["auto", "none"])
def test_every_format_gives_the_same_model_and_predictions(tmp_path: Path, scale: str) -> None:
    seen: dict[str, list[bytes]] = {}
    for name, given in formats(tmp_path).items():
        fit(tmp_path / name, tmp_path / "m.tw", rule=RULE, passes=2, scale=scale, **given)
        w, b = Trained.load(tmp_path / "m.tw").solution
        done = predict(tmp_path / "m.tw", tmp_path / name, tmp_path / "p.csv", target=given.get("target"))
        assert done.rows == 300 and done.quality is not None and done.quality["accuracy"] > 0.6
        rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
        if name == "a.vw":
            assert [r["tag"] for r in rows] == [f"r{k}" for k in range(300)]
        shares = [float(next(v for n, v in r.items() if n == "p_1")) for r in rows]
        x = data(300, 12)[0]
        np.testing.assert_allclose(shares, expit(x @ w[:12] + b)[:, 0], rtol=1e-5)
        # Columns are centred, and text, of which most is left out, is not.
        kind = "columns" if "target" in given and scale == "auto" else "text"
        seen.setdefault(kind, []).append(np.append(w[:12], b).tobytes())
    assert [len(set(same)) for same in seen.values()] == [1] * (1 + (scale == "auto"))


def test_predictions_in_parquet_without_labels_in_order(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    x, y = data(300, 12)
    fit(svmlight(tmp_path / "a.svm", x, y), tmp_path / "m.tw", rule=RULE)
    bare = svmlight(tmp_path / "b.svm", x, y, label=False)
    done = predict(tmp_path / "m.tw", bare, tmp_path / "p.parquet")
    assert done.quality is None and done.rows == 300
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names == ["prediction", "p_0", "p_1"]
    printed = run("predict", tmp_path / "m.tw", bare)
    assert printed.returncode == 0
    rows = list(csv.DictReader(printed.stdout.splitlines()))
    assert [int(r["prediction"]) for r in rows] == table["prediction"].to_pylist()
    np.testing.assert_allclose([float(r["p_1"]) for r in rows], table["p_1"].to_numpy(), rtol=1e-10)


@pytest.mark.parametrize(
    ("labels", "settings", "columns"),
    [
        ((0, 1, 2), {}, ["prediction", "p_0", "p_1", "p_2"]),
        ((0, 1, 2), {"loss": "hinge"}, ["prediction", "score_0", "score_1", "score_2"]),
        ((-1, 1), {"loss": "hinge"}, ["prediction", "score"]),
        ((0.5, 1.25, 3), {}, ["prediction"]),
        ((1, 2), {"loss": "poisson"}, ["prediction"]),
    ],
)
def test_what_labels_and_losses_make(
    tmp_path: Path, labels: tuple[float, ...], settings: dict[str, Any], columns: list[str]
) -> None:
    x, _ = data(100, 12)
    y = np.resize(labels, 100)
    told: list[str] = []
    made = fit(svmlight(tmp_path / "a.svm", x, y), tmp_path / "m.tw", rule=RULE, tell=told.append, **settings)
    assert ("loss" in settings) != any(f": {made.task}; if that is wrong, give --task " in t for t in told)
    assert made.classes == (None if columns == ["prediction"] else list(labels))
    predict(tmp_path / "m.tw", tmp_path / "a.svm", tmp_path / "p.csv")
    with open(tmp_path / "p.csv") as file:
        rows = list(csv.reader(file))
    assert rows[0] == columns and len(rows) == 101


def test_a_bare_names_rate_is_chosen_and_a_given_one_kept(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    told: list[str] = []
    made = fit(train, tmp_path / "m.tw", rule="SGD", tell=told.append)
    assert told[1].startswith("learning rate ") and "lr=0.001" not in made.rule
    assert "lr=0.05" in fit(train, tmp_path / "m.tw", rule="SGD(lr=0.05)").rule


MINE = """
from thalweg.core import Rule, Scalar, nonnegative, rule

def step(w, g, /, lr):
    return w - lr * g

@rule(step)
class Mine(Rule):
    lr: Scalar = nonnegative(default=1e-9, unit="w/g", text="learning rate")
"""


def test_a_class_and_a_rule_of_the_users_are_bare_names_too(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    fit(train, tmp_path / "name.tw", rule="SGD")
    fit(train, tmp_path / "class.tw", rule=tw.SGD)
    assert (tmp_path / "name.tw").read_bytes() == (tmp_path / "class.tw").read_bytes()
    (tmp_path / "mine.py").write_text(MINE)
    mine = f"{tmp_path / 'mine.py'}:Mine"
    assert FitSettings(rule=mine).chooses_rate and not FitSettings(rule=f"{mine}(lr=0.1)").chooses_rate
    told: list[str] = []
    few = svmlight(tmp_path / "few.svm", *data(rows=3))
    fit(few, tmp_path / "few.tw", rule="SGD", holdout=0, classes="012", tell=told.append)
    assert told[-1] == "learning rate 0.001: the rule's own, for want of rows to choose by"


@pytest.mark.parametrize("first", [0, 1, 100, 600])
def test_averaging_begins_at_its_row(tmp_path: Path, first: int) -> None:
    x, y = data()
    settings = FitSettings(rule=RULE, holdout=0, average=first, scale="none")
    made = fit(svmlight(tmp_path / "a.svm", x, y), tmp_path / "m.tw", settings)
    model = Model(Settings(rule=RULE, average=max(0, first - 1)), made.features, np.array([0, 1]))
    model.learn(x[:, : made.features].tocsr(), model.encode(y), order=mixed(600))
    assert np.array_equal(weights(tmp_path / "m.tw")[0], model.solution[0])
    if first == 600:  # the last row's weights alone
        last = Model(Settings(rule=RULE), made.features, np.array([0, 1]))
        last.learn(x[:, : made.features].tocsr(), last.encode(y), order=mixed(600))
        np.testing.assert_allclose(model.solution[0], last.solution[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("numbers", [False, True])
def test_a_model_worse_than_a_constant_is_said_to_be(tmp_path: Path, numbers: bool) -> None:
    x, y = data()
    train = svmlight(tmp_path / "a.svm", x, y)
    test = svmlight(tmp_path / "t.svm", x[:100], y[:100])
    settings: dict[str, Any] = {"task": "regression"} if numbers else {}
    told: list[str] = []

    def train_at(rule: str, **more: Any) -> list[str]:
        told.clear()
        made = fit(train, tmp_path / "m.tw", rule=rule, passes=2, tell=told.append, **settings, **more)
        assert made.notes == told
        (beside,) = (t for t in told if " always the " in t)
        good = float(beside.rpartition(" ")[2])
        if numbers:
            assert float(beside.partition(": rmse ")[2].partition(";")[0]) == pytest.approx(0.5, abs=0.02)
            assert (made.held_out or made.test or {})["rmse"] == pytest.approx(good, rel=1e-3)
            assert (made.held_out or made.test or {})["constant_rmse"] == pytest.approx(0.5, abs=0.02)
        else:
            assert (made.held_out or made.test or {})["accuracy"] == pytest.approx(good, abs=1e-4)
        return [t for t in told if "one constant" in t]

    rate = "Adagrad(lr=1e-6)" if numbers else "Adagrad(lr=100)"
    (said,) = train_at(rate, holdout=0.2)
    assert said.startswith("held out: the ") and "--rule Adagrad)" in said
    share = y[:100].mean()
    constant = share * (1 - share) / 2 if numbers else -share * np.log(share) - (1 - share) * np.log1p(-share)
    (said,) = train_at(rate, test=test)
    assert said.startswith("test: the ")
    assert float(said.partition(" gets ")[2].partition(":")[0]) == pytest.approx(constant, rel=1e-3)
    assert train_at("Adagrad", holdout=0.2) == train_at("Adagrad", test=test) == []


def test_bad_lines_are_named_or_skipped_and_counted(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    lines = train.read_text().splitlines()
    lines[10] = "1 3:x"
    train.write_text("\n".join(lines) + "\n")
    with pytest.raises(FileError, match=r"a.svm: line 11: .*the value .x. is not a number"):
        fit(train, tmp_path / "m.tw", rule=RULE)
    made = fit(train, tmp_path / "m.tw", rule=RULE, on_bad_line="skip")
    assert made.skipped == 1 and "line 11" in made.reasons[0] and made.rows == 599


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, small_blocks: None) -> None:
    x, y = data()
    train = svmlight(tmp_path / "a.svm", x, y)
    late = svmlight(tmp_path / "late.svm", x, np.where(np.arange(600) == 500, 7, y))
    one = svmlight(tmp_path / "one.svm", x, np.ones(600))
    (tmp_path / "none.svm").write_text("\n")
    half = tmp_path / "half.svm.gz"
    half.write_bytes(gzip.compress(train.read_bytes())[:2000])
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    cases: list[tuple[Any, dict[str, Any], type[ThalwegError], str]] = [
        (late, {}, ProblemError, "row 501: label 7 is none of 0 and 1"),
        (one, {}, ProblemError, "labels of the first rows are 1: nothing to tell apart"),
        (tmp_path / "none.svm", {}, ProblemError, "no rows"),
        (half, {}, FileError, "gzip data is cut short or damaged"),
        (tmp_path / "nosuch.svm", {}, FileError, "cannot be read"),
        (train, {"loss": "logloss"}, HyperparameterError, "did you mean 'log_loss'"),
        (train, {"task": "classify"}, HyperparameterError, "did you mean 'classification'"),
        (train, {"loss": "log_loss", "task": "regression"}, HyperparameterError, "is not for regression"),
        (train, {"rule": "Adma"}, HyperparameterError, "did you mean 'Adamax' or 'Adam'"),
        (train, {"passes": 0}, HyperparameterError, "passes"),
        (train, {"holdout": 1.0}, HyperparameterError, "holdout"),
        (train, {"classes": [1]}, HyperparameterError, "at least two"),
        (train, {"memory": "lots"}, HyperparameterError, "write 500MB"),
        (train, {"memory": "10MB"}, HyperparameterError, "is too little: .* give at least"),
        (train, {"checkpoint_every": -1}, HyperparameterError, "checkpoint_every"),
        (train, {"targt": "x"}, HyperparameterError, "did you mean 'target'"),
        (train, {"rule": tw.SGD(lr=1e3), "task": "regression"}, ProblemError, "not finite"),
        (train, {"features": 20}, FileError, "line"),
    ]
    for path, given, kind, words in cases:
        with pytest.raises(kind, match=words) as caught:
            fit(path, tmp_path / "m.tw", **({"rule": RULE, "passes": 2} | given))
        assert "\n" not in str(caught.value)
        assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before, given
    for place in (tmp_path, tmp_path / "no" / "m.tw"):
        with pytest.raises(FileError):
            fit(train, place, rule=RULE)


def test_a_checkpoint_of_another_run_is_not_lost(tmp_path: Path, small_blocks: None) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    made = fit(train, tmp_path / "m.tw", rule=RULE, stop=after(3, lambda: True))
    assert made.checkpoint == str(tmp_path / "m.tw.checkpoint") and not made.finished
    held = Path(made.checkpoint).read_bytes()
    with pytest.raises(FileError, match=r"a run with other l2 and seed; .*--fresh"):
        fit(train, tmp_path / "m.tw", rule=RULE, l2=0.1, seed=2)
    assert Path(made.checkpoint).read_bytes() == held
    Path(made.checkpoint).write_bytes(held[:-100])
    with pytest.raises(FileError, match="cut short or damaged"):
        fit(train, tmp_path / "m.tw", rule=RULE)
    assert fit(train, tmp_path / "m.tw", rule=RULE, fresh=True).finished
    assert not Path(made.checkpoint).exists()


def test_a_model_file_that_is_none_and_data_that_do_not_fit(tmp_path: Path) -> None:
    x, y = data(300, 12)
    train = svmlight(tmp_path / "a.svm", x, y)
    model, out = tmp_path / "m.tw", tmp_path / "p.csv"
    fit(train, model, rule=RULE)
    whole = model.read_bytes()
    with np.load(model) as file:
        arrays = dict(file)
    head = json.loads(arrays.pop("head").tobytes())
    odd = tmp_path / "odd.tw"

    def written(**changes: Any) -> Path:
        archive.save(odd, head | changes, arrays)
        return odd

    opt = tw.Adam().on(np.ones(3))
    opt.step(np.ones(3))
    opt.save(tmp_path / "opt.tw")
    for path, words in (
        (lambda: train, "is no thalweg linear model"),
        (lambda: tmp_path / "opt.tw", "not a thalweg linear model"),
        (lambda: written(format=9), "format 9 is newer"),
        (lambda: written(kind="thalweg checkpoint"), "holds thalweg checkpoint"),
        (lambda: written(settings={"loss": "no"}), "do not fit together"),
        (lambda: tmp_path / "none.tw", "cannot be read"),
    ):
        with pytest.raises(FileError, match=words):
            predict(path(), train, out)
    for cut in range(0, len(whole), max(1, len(whole) // 40)):
        odd.write_bytes(whole[:cut])
        with pytest.raises(FileError):
            predict(odd, train, out)
    (tmp_path / "wide.svm").write_text("1 2:0.5 13:1\n0 1:3 14:1\n")
    with pytest.raises(FileError, match="line 1"):
        predict(model, tmp_path / "wide.svm", out)
    (tmp_path / "a.vw").write_text("1 | a\n")
    with pytest.raises(FileError, match=r"is vw; .* was trained on svmlight"):
        predict(model, tmp_path / "a.vw", out)
    with pytest.raises(HyperparameterError, match=r"\.csv or \.parquet"):
        predict(model, train, tmp_path / "p.xls")
    assert not out.exists()
    predict(model, tmp_path / "wide.svm", out, unseen="ignore")
    w, b = weights(model)
    first, last = (float(line.split(",")[2]) for line in out.read_text().splitlines()[1:])
    assert first == pytest.approx(float(expit(0.5 * w[1, 0] + b[0])), rel=1e-6)
    assert last == pytest.approx(float(expit(3 * w[0, 0] + b[0])), rel=1e-6)


def test_a_full_disk_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses what is written; the old model stays."""
    train = svmlight(tmp_path / "a.svm", *data())
    fit(train, tmp_path / "m.tw", rule=RULE)
    old = (tmp_path / "m.tw").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="no space left on device"):
        fit(train, tmp_path / "m.tw", rule=RULE, seed=1)
    assert (tmp_path / "m.tw").read_bytes() == old


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.vw"
    text.write_text("1 | a\n-1 | b\n")
    with pytest.raises(HyperparameterError, match=r"268435456 features of 8 bytes .* fewer --bits"):
        fit(text, tmp_path / "m.tw", bits=28, memory="400MB")
    with pytest.raises(HyperparameterError, match="268435456 features of 16 bytes"):
        fit(text, tmp_path / "m.tw", bits=28, memory="400MB", rule=tw.Adam())


def test_command_line(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    ran = run("fit", train, "--model", tmp_path / "m.tw", "--json", tmp_path / "r.json")
    assert ran.returncode == 0, ran.stderr
    assert "labels are 0 and 1: classification" in ran.stderr and "pass 1/1 100 %" in ran.stderr
    table = dict(line.split("\t") for line in ran.stdout.splitlines())
    assert table["model"] == str(tmp_path / "m.tw") and table["held out"].startswith("loss ")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["finished"] and report["rows"] == 600 and report["held_out"]["rows"] > 30
    for arguments, status, words in (
        (["fit", train], 2, "--model"),
        (["fit", train, "--model", tmp_path / "m.tw", "--loss", "hing"], 2, "did you mean 'hinge'"),
        (["fit", tmp_path / "no.svm", "--model", tmp_path / "m.tw"], 1, "cannot be read"),
        (["predict", train, train], 1, "is no thalweg linear model"),
    ):
        done = CliRunner().invoke(app, [*map(str, arguments)])
        assert done.exit_code == status and words in done.stderr and "Traceback" not in done.stderr


def test_what_a_parent_holds_is_not_the_childs() -> None:
    code = (
        "import subprocess, sys\n"
        "large = bytearray(b'1') * 400_000_000\n"
        "child = 'from thalweg.fitting.budget import peak; print(peak())'\n"
        "print(subprocess.run([sys.executable, '-c', child], capture_output=True, text=True).stdout)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 5_000_000 < int(done.stdout) < 300_000_000


def _piece(name: str) -> tuple[bytes, bytes]:
    """A first line and many rows: of SVMlight, or of a table with narrow and wide columns of numbers and of text."""
    rng = np.random.default_rng(0)
    if name == "a.svm":
        at = np.sort((np.exp(rng.random((20_000, 30)) * np.log(500_000))).astype(int), axis=1)
        lines = (f"{int(r.min() % 2)} {' '.join(f'{i}:1' for i in np.unique(r))}\n" for r in at)
        return b"", "".join(lines).encode()
    width = 5 if name == "narrow.csv" else 60
    x, users = rng.standard_normal((20_000, width)), rng.integers(0, 20_000, 20_000)
    rows = zip(x.tolist(), users.tolist(), strict=True)
    lines = (f"{','.join(f'{v:.5f}' for v in row)},w{u % 50},u{u},{sum(row):.4f}\n" for row, u in rows)
    return (",".join([*(f"x{k}" for k in range(width)), "word", "user", "y"]) + "\n").encode(), "".join(
        lines
    ).encode()


def _write(path: Path, least: int) -> None:
    """Write a file of at least so many bytes: of text, or Parquet with 64 columns of numbers."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        x = np.random.default_rng(0).standard_normal((50_000, 64))
        group = pa.table({"y": x.sum(1)} | {f"x{k}": x[:, k] for k in range(64)})
        with pq.ParquetWriter(path, group.schema) as writer:
            writer.write_table(group)
            while path.stat().st_size < least:
                writer.write_table(group)
        return
    head, piece = _piece(path.name)
    with open(path, "wb") as file:
        file.write(head)
        for _ in range(least // len(piece) + 1):
            file.write(piece)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("a.svm", 200_000_000),
        ("narrow.csv", 200_000_000),
        ("wide.csv", 240_000_000),
        ("wide.parquet", 240_000_000),
    ],
)
def test_a_file_four_times_the_limit_stays_within_it(tmp_path: Path, name: str, limit: int) -> None:
    path, model = tmp_path / name, tmp_path / "m.tw"
    _write(path, 4 * limit)
    assert path.stat().st_size >= 4 * limit
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'thalweg.cli', *sys.argv[1:]])\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, done.returncode)"
    )
    target = [] if name == "a.svm" else ["--target", "y"]
    # What a child process compiles with is its own memory: here all kernels are there before.
    few = tmp_path / "few" / name
    few.parent.mkdir()
    _write(few, 1)
    fit(few, tmp_path / "few.tw", **({"target": "y"} if target else {}))
    for more in ([], ["--passes", "2"]):
        done = subprocess.run(
            [sys.executable, "-c", code, "fit", str(path), *target, "--model", str(model),
             "--memory", str(limit), "--quiet", *more],
            capture_output=True, text=True,
        )  # fmt: skip
        most, status = map(int, done.stdout.splitlines()[-1].split())
        assert status == 0, done.stderr
        assert most * 1024 <= limit


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.svm", "a.csv"])
def test_with_a_limit_of_memory_kernels_are_compiled_by_a_child_process(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if name == "a.svm":
        svmlight(file, *data(60))
    else:
        file.write_text("x,word,y\n" + "".join(f"{k * k % 7},w{k % 3},{k % 5}.5\n" for k in range(60)))
    code = (
        "import sys; from thalweg.engines.cpu import object_cache; from thalweg.fitting import fit\n"
        "options = dict(a.split('=') for a in sys.argv[3:])\n"
        "fit(sys.argv[1], sys.argv[2], memory='2GB', l2=1e-4, passes=2, **options)\n"
        "print(object_cache.compiled, len(list(object_cache.folder().glob('*.o'))))"
    )
    options = ["target=y"] if name == "a.csv" else []
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), str(tmp_path / "m.tw"), *options],
        env=os.environ | {"THALWEG_CACHE": str(tmp_path / "kernels")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    by_the_run, in_all = map(int, done.stdout.split())
    assert by_the_run == 0 and in_all >= 4


# What is read is not written over.


def test_no_file_that_is_read_is_written(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    fit(train, tmp_path / "m.tw", rule=RULE)
    (tmp_path / "x.csv").write_text("a,y\n1,2\n2,1\n")
    os.symlink(train, tmp_path / "link.svm")
    model, before = tmp_path / "m.tw", {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for command in (
        ["fit", train, "--model", train],
        ["fit", train, "--model", tmp_path / "link.svm"],
        [
            "fit",
            train,
            "--model",
            tmp_path / "n.tw",
            "--test",
            tmp_path / "x.csv",
            "--json",
            tmp_path / "x.csv",
        ],
        ["fit", train, "--model", tmp_path / "n.tw", "--json", train],
        ["fit", train, "--model", tmp_path / "n.tw", "--json", tmp_path / "n.tw"],
        ["fit", train, "--model", tmp_path / "n.tw", "--report", train],
        ["predict", model, tmp_path / "x.csv", "--out", tmp_path / "x.csv"],
        ["predict", model, train, "--out", tmp_path / "p.csv", "--json", train],
        ["predict", model, train, "--out", tmp_path / "p.csv", "--json", tmp_path / "p.csv"],
        ["predict", model, train, "--json", model],
    ):
        done = CliRunner().invoke(app, [*map(str, command)])
        assert done.exit_code == 1 and "would be overwritten" in done.stderr, (command, done.stderr)
        assert len(done.stderr.splitlines()) == 1
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    with pytest.raises(FileError, match="would be overwritten"):
        fit(train, train, rule=RULE)


def test_links_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    (tmp_path / "real.tw").write_bytes(b"old")
    os.symlink(tmp_path / "real.tw", tmp_path / "link.tw")
    fit(train, tmp_path / "link.tw", rule=RULE)
    assert (tmp_path / "link.tw").is_symlink()
    assert Trained.load(tmp_path / "real.tw").rows == 600
    os.mkfifo(tmp_path / "pipe.csv")
    reader = subprocess.Popen(["cat", str(tmp_path / "pipe.csv")], stdout=subprocess.PIPE, text=True)
    predict(tmp_path / "real.tw", train, tmp_path / "pipe.csv")
    out, _ = reader.communicate(timeout=60)
    assert out.startswith("prediction") and (tmp_path / "pipe.csv").is_fifo()


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    left = [f".thalweg-{n}-abc_1234" for n in ("m.tw", "m.tw.checkpoint", "m.tw.cache")]
    others = [f".thalweg-{n}-abc_1234" for n in ("other.tw", "m.tw-2", "m")]  # of runs that may go on
    for name in left + others:
        (tmp_path / name).write_bytes(b"half")
    fit(train, tmp_path / "m.tw", rule=RULE, passes=2)
    assert {p.name for p in tmp_path.iterdir()} == {"a.svm", "m.tw", *others}


@pytest.mark.parametrize(
    "settings",
    [
        {"quantile": 7.0, "loss": "quantile"},
        {"quantile": -1.0, "loss": "quantile"},
        {"epsilon": -1.0, "loss": "huber"},
        {"epsilon": float("nan"), "loss": "huber"},
        {"l1": "x"},
        {"l2": float("inf")},
        {"average": -1},
        {"average": 1.5},
        {"intercept": "no"},
        {"rule": 3},
        {"classes": 3},
        {"memory": "5"},
        {"memory": 0},
    ],
    ids=str,
)
def test_settings_out_of_range(tmp_path: Path, settings: dict[str, Any]) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    name = next(iter(settings))
    with pytest.raises(HyperparameterError, match=name) as caught:
        fit(train, tmp_path / "m.tw", **settings)
    assert "\n" not in str(caught.value)
    assert {p.name for p in tmp_path.iterdir()} == {"a.svm"}


# All settings are one value.


def test_settings_are_a_value_that_keywords_change(tmp_path: Path) -> None:
    train = svmlight(tmp_path / "a.svm", *data())
    settings = FitSettings(rule=RULE, passes=2, l2=1e-3)
    fit(train, tmp_path / "a.tw", settings, seed=5)
    fit(train, tmp_path / "b.tw", rule=RULE, passes=2, l2=1e-3, seed=5)
    assert (tmp_path / "a.tw").read_bytes() == (tmp_path / "b.tw").read_bytes()
    assert FitSettings.of(settings, {"passes": 1}) == FitSettings(rule=RULE, l2=1e-3)


def test_every_line_is_an_option_of_the_command_by_its_own_name() -> None:
    import typer.main

    from thalweg.cli.program import app

    command = typer.main.get_command(app).commands["fit"]  # type: ignore[attr-defined]
    options = {p.name: p for p in command.params}
    own = {"data", "model", "no_cache", "dask", "quiet", "json", "report", "open"}
    assert set(options) - own - {"help"} == {n for n, line in LINES.items() if line.option is not None}
    assert all(options[n].help == line.text for n, line in LINES.items() if line.option is not None)


def test_a_checkpoint_that_names_defaults_is_of_the_same_run() -> None:
    """The command line of 0.1.0 wrote down how files are read where nothing was said of it, too."""
    old = {"format": "auto", "target": "y", "weight": None, "ignore": [], "missing": "bad", "numeric": ["a"]}
    settings = FitSettings(target="y", numeric=["a"])
    assert recorded_reading(old) == settings.record()["reading"] == {"target": "y", "numeric": ["a"]}
