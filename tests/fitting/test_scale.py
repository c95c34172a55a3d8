"""Units do not matter, nor do memory and blocks: the same predictions and the same bytes."""

from __future__ import annotations

import csv
import os
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg import archive
from thalweg.errors import FileError
from thalweg.fitting import Trained, budget, checkpoint, chunks, fit, predict
from thalweg.fitting.labels import come_in_runs
from thalweg.fitting.sizes import Sizes
from thalweg.linear import losses
from thalweg.reading import open_stream
from thalweg.reading.block import Block

from .test_fit import CUTS, data, mixed, small_blocks, svmlight

__all__ = ["small_blocks"]


def table(
    path: Path, factors: Any = 1.0, constants: Any = 0.0, target: tuple[float, float] = (1.0, 0.0)
) -> Path:
    """Three hundred rows of three columns and a number that depends on them, in other units."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.3 * rng.standard_normal(300)
    with open(path, "w") as file:
        print("y,a,b,c,t", file=file)
        for row, number, kind in zip(
            (x + constants) * factors, (y + target[1]) * target[0], y > 0, strict=True
        ):
            print(",".join(map(repr, [float(number), *row.tolist()])), f"w{int(kind)}", sep=",", file=file)
    return path


def predictions(model: Path, path: Path) -> np.ndarray:
    out = model.with_suffix(".out.csv")
    predict(model, path, out)
    with open(out) as file:
        return np.array([float(row["prediction"]) for row in csv.DictReader(file)])


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-3), ("float64", 1e-6)])
def test_units_of_columns_and_target_do_not_matter(tmp_path: Path, dtype: str, close: float) -> None:
    given: dict[str, Any] = {"target": "y", "bits": 4, "dtype": dtype, "passes": 2, "l2": 1e-3}
    plain = fit(table(tmp_path / "a.csv"), tmp_path / "a.tw", **given)
    expected = predictions(tmp_path / "a.tw", tmp_path / "a.csv")
    assert plain.held_out is not None and plain.held_out["rmse"] < 1
    units: list[tuple[Any, Any, tuple[float, float]]] = [
        ([1e6, 1e-6, 1e3], 0.0, (1e6, 0.0)),
        ([1e-3, 1e2, 1.0], [1e6, -1e6, 1e3], (1e-6, 1e6)),
    ]
    for factors, constants, (unit, away) in units:
        made = fit(table(tmp_path / "b.csv", factors, constants, (unit, away)), tmp_path / "b.tw", **given)
        assert made.rule == plain.rule
        there = predictions(tmp_path / "b.tw", tmp_path / "b.csv") / unit - away
        np.testing.assert_allclose(there, expected, atol=close * 2)
        assert made.held_out is not None
        assert made.held_out["rmse"] == pytest.approx(unit * plain.held_out["rmse"], rel=close)
        assert made.loss == pytest.approx(unit**2 * (plain.loss or 0), rel=close)
        w, b = Trained.load(tmp_path / "b.tw").solution
        assert w.dtype == b.dtype == np.float64
        x = np.random.default_rng(0).standard_normal((300, 3))
        (block,) = open_stream(tmp_path / "b.csv", target="y", bits=4)
        hashed = block.matrix().toarray()[:, 3:]
        np.testing.assert_allclose(
            (np.hstack([(x + constants) * factors, hashed]) @ w + b)[:, 0] / unit - away,
            there,
            atol=2 * close,
        )
    raw = fit(tmp_path / "b.csv", tmp_path / "raw.tw", scale="none", **(given | {"l2": 0}))
    assert "scale" not in Trained.load(tmp_path / "raw.tw").layout and raw.features == plain.features


NUMBER_LOSSES = [n if n == "huber" else pytest.param(n, marks=pytest.mark.slow) for n in losses.DEGREE]


def predictions_in_units(tmp_path: Path, exponent: int, **given: Any) -> np.ndarray:
    """What a model says of the table whose columns and target are in units of 10 to that power, in the table's own."""
    unit = 10.0**exponent
    path = table(tmp_path / "b.csv", [unit, 1 / unit, unit], 0.0, (unit, 0.0))
    fit(path, tmp_path / "b.tw", target="y", bits=4, passes=2, **given)
    return predictions(tmp_path / "b.tw", path) / unit


@pytest.mark.parametrize("loss", NUMBER_LOSSES)
def test_units_do_not_matter_to_any_loss_of_a_number(tmp_path: Path, loss: str) -> None:
    expected = predictions_in_units(tmp_path, 0, loss=loss)
    np.testing.assert_allclose(predictions_in_units(tmp_path, 5, loss=loss), expected, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "dtype"),
    [("squared_error", "float32"), *((loss, "float64") for loss in (*losses.DEGREE, *losses.MARGIN))],
)
def test_no_unit_from_a_millionth_to_a_million_matters(tmp_path: Path, loss: str, dtype: str) -> None:
    classes: dict[str, Any] = {"classes": ("w0", "w1")} if loss in losses.MARGIN else {}
    close = 2e-3 if dtype == "float32" else 2e-6
    seen = []
    for exponent in range(-6, 7):
        unit = 10.0**exponent
        path = table(tmp_path / "b.csv", [unit, 1 / unit, unit], 0.0, (unit, 0.0))
        given = {"target": "t", "ignore": "y"} if classes else {"target": "y"}
        fit(path, tmp_path / "b.tw", bits=4, loss=loss, dtype=dtype, **given, **classes)
        trained = Trained.load(tmp_path / "b.tw")
        (block,) = open_stream(path, layout=trained.layout, unlabelled=True)
        scores = trained.scores(block)
        seen.append(scores if classes else trained.model.decide(scores) / unit)
    np.testing.assert_allclose(seen, [seen[6]] * 13, atol=close)


@pytest.mark.parametrize(("intercept", "share"), [(True, "deviation"), (False, "root mean square")])
def test_an_open_epsilon_is_a_tenth_of_the_targets_deviation(
    tmp_path: Path, intercept: bool, share: str
) -> None:
    path = table(tmp_path / "a.csv", target=(1e3, 2.0))
    with open(path) as file:
        y = np.array([float(row["y"]) for row in csv.DictReader(file)])
    size = y.std() if intercept else np.sqrt(np.mean(y**2))
    given: dict[str, Any] = {"target": "y", "loss": "huber", "intercept": intercept, "rule": "SGD(lr=0.01)"}
    made = fit(path, tmp_path / "m.tw", **given)
    assert Trained.load(tmp_path / "m.tw").model.settings.epsilon == pytest.approx(size / 10, rel=1e-6)
    assert f"epsilon {size / 10:.3g}, a tenth of the target's {share}; another: --epsilon" in made.notes
    told = fit(path, tmp_path / "m.tw", epsilon=7.0, **given)
    assert Trained.load(tmp_path / "m.tw").model.settings.epsilon == 7.0
    assert not any("epsilon" in note for note in told.notes)
    fit(path, tmp_path / "m.tw", scale="none", **(given | {"rule": "SGD(lr=1e-9)"}))
    assert Trained.load(tmp_path / "m.tw").model.settings.epsilon == losses.EPSILON


def test_sizes_of_sparse_features(tmp_path: Path) -> None:
    def block(*rows: dict[int, float]) -> Block:
        indptr = np.cumsum([0, *map(len, rows)])
        indices = np.array([i for row in rows for i in row], np.int32)
        values = np.array([v for row in rows for v in row.values()], np.float32)
        return Block(np.zeros(len(rows)), None, indptr, indices, values, None, 100, 0, {})

    sizes = Sizes()
    first = block({0: 1.0, 3: 3.0}, {3: -4.0, 5: 0.0}, {0: 1.0}, {9: 1e-35})
    sizes.measure(first)
    known = {0: 1.0, 3: np.sqrt(12.5), 9: 1.0}
    assert {i: x for i, x in enumerate(sizes.array.tolist()) if x} == pytest.approx(known, rel=1e-6)
    many = Sizes()
    many.measure(block({0: 1.0, 3: 3.0, 10**6: 2.0}, {3: -4.0}))
    assert many.array[[0, 3, 10**6]].tolist() == pytest.approx([1, np.sqrt(12.5), 2])
    later = block({3: 100.0, 5: -2.0}, {5: 8.0, 40: 7.0})
    there = later.values.copy()
    sizes.divide(later)
    np.testing.assert_allclose(later.values, [100 / np.sqrt(12.5), -1, 4, 1], rtol=1e-6)
    assert sizes.scaled(later._replace(values=there)).values.tobytes() == later.values.tobytes()
    beyond = block({50: 0.0, 51: 1e-35}, {50: -2.0, 51: 1e-34})
    sizes.divide(beyond)
    np.testing.assert_allclose(beyond.values, np.float32([0, 1e-35, -1, 1e-34]))
    assert sizes.scaled(block({0: 1.0}, {90: 3.0})).values.tolist() == [1, 3]
    np.testing.assert_allclose(
        sizes.in_units(np.ones((6, 1)))[[3, 4, 5], 0], [1 / np.sqrt(12.5), 1, 0.5], rtol=1e-6
    )
    ones = block({0: 1.0}, {2: 1.0})
    sizes = Sizes()
    sizes.measure(ones)
    sizes.divide(ones)
    assert sizes.array.tolist()[:3] == [1, 0, 1]
    assert sizes.scaled(ones) is ones


def test_units_of_sparse_features_do_not_matter(tmp_path: Path, small_blocks: None) -> None:
    x, y = data()
    unit = 10.0 ** np.random.default_rng(0).integers(-6, 7, x.shape[1])
    there = x.astype(np.float64)
    there.data = there.data * unit[x.indices]
    seen = []
    for name, rows in (("a", x), ("b", there)):
        train = svmlight(tmp_path / f"{name}.svm", rows, y)
        made = fit(train, tmp_path / f"{name}.tw", passes=2)
        predict(tmp_path / f"{name}.tw", train, tmp_path / f"{name}.csv")
        shares = np.loadtxt(tmp_path / f"{name}.csv", delimiter=",", skiprows=1, usecols=2)
        seen.append((made.rule, shares))
    assert seen[0][0] == seen[1][0]
    np.testing.assert_allclose(seen[0][1], seen[1][1], atol=1e-3)


@pytest.mark.parametrize("kind", ["svm", "csv"])
def test_memory_and_blocks_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None, kind: str
) -> None:
    if kind == "svm":
        path = svmlight(tmp_path / "a.svm", *data())
    else:
        path = table(tmp_path / "a.csv", [1e6, 1e-6, 1.0], 5.0)
    given: dict[str, Any] = {"passes": 2, "holdout": 0.2} | ({} if kind == "svm" else {"target": "y"})
    monkeypatch.setattr("thalweg.fitting.held_out.HELD_ROWS", 40)
    seen = []
    for block, memory in ((1 << 11, None), (1 << 13, "8GB"), (1 << 22, None), (1 << 22, "9GB")):
        monkeypatch.setattr(budget, "BLOCK", block)
        monkeypatch.setattr(budget, "HELD", block)
        made = fit(path, tmp_path / "m.tw", memory=memory, **given)
        assert made.steps == 2 * (made.rows - 40)
        seen.append((tmp_path / "m.tw").read_bytes())
    assert len(set(seen)) == 1


def test_a_pipe_gives_the_model_of_the_file(tmp_path: Path, small_blocks: None) -> None:
    path = table(tmp_path / "a.csv", [1e6, 1e-6, 1.0], 5.0)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()))
    writer.start()
    given: dict[str, Any] = {"target": "y", "passes": 2}
    piped = fit(tmp_path / "pipe", tmp_path / "p.tw", format="csv", **given)
    writer.join()
    assert fit(path, tmp_path / "m.tw", **given).history == piped.history
    assert (tmp_path / "p.tw").read_bytes() == (tmp_path / "m.tw").read_bytes()


def test_a_checkpoint_without_scale_is_gone_on_from(tmp_path: Path) -> None:
    """Format 1 says nothing of scale, columns and rows of a block that are over."""
    train, model = svmlight(tmp_path / "a.svm", *data()), tmp_path / "m.tw"
    given: dict[str, Any] = {"passes": 2, "rule": "SGD(lr=0.05)"}
    fit(train, tmp_path / "n.tw", scale="none", **given)
    fit(train, model, scale="none", stop=lambda: True, **given)
    path = checkpoint.beside(model)
    with archive.opened(path, checkpoint.KIND, 2) as file:
        head, arrays = file.head, file.arrays({n: checkpoint._layout(n) for n in file.names})
    head["format"] = 1
    head["source"]["epsilon"] = 0.1  # the default then
    for name in ("scale", "columns"):
        del head["source"][name]
    del head["state"]["done"]
    archive.save(path, head, arrays)
    with pytest.raises(FileError, match=r"other scale; .* \(an earlier thalweg's: --scale none\)"):
        fit(train, model, **given)
    with pytest.raises(FileError, match="other epsilon; "):
        fit(train, model, scale="none", epsilon=0.2, **given)
    assert fit(train, model, scale="none", **given).resumed
    assert model.read_bytes() == (tmp_path / "n.tw").read_bytes()


def test_chunks_end_where_their_rows_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = svmlight(tmp_path / "a.svm", *data())
    monkeypatch.setattr(chunks, "FIRST", chunks.Bounds(100, 10**6))
    monkeypatch.setattr(chunks, "LATER", chunks.Bounds(30, 100))  # rows of 6 entries: 17 of them
    whole = next(iter(open_stream(path))).matrix(80).toarray()
    cuts = [0, *range(100, 600, 17), 600]
    for size in (1 << 10, 1 << 12, 1 << 20):
        stream = open_stream(path, block_bytes=size)
        made = list(chunks.chunks(stream))
        assert [c.block.row for c in made] == cuts[:-1]
        for chunk, (a, b) in zip(made, pairwise(cuts), strict=True):
            np.testing.assert_array_equal(chunk.block.matrix(80).toarray(), whole[a:b])
        at = made[5]
        rest = list(chunks.chunks(stream.blocks(at.position), at.position, at.done, begun=True))
        # What a kill leaves undone has the same rows, numbered as before.
        assert [c.block.row for c in rest] == cuts[6:-1]
        np.testing.assert_array_equal(rest[0].block.values, made[6].block.values)


def test_rows_are_mixed_in_the_first_pass_and_anew_in_each(tmp_path: Path) -> None:
    orders = [mixed(600, passed, seed, CUTS) for passed, seed in ((0, 0), (1, 0), (0, 1))]
    for a in orders:
        assert sorted(a.tolist()) == list(range(600))
        assert sorted(a[:100].tolist()) == list(range(100)) and a[:100].tolist() != list(range(100))
    assert len({a.tobytes() for a in orders}) == 3


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_rows_in_order_are_noticed_and_mixed(tmp_path: Path, kind: str) -> None:
    """Sorted by the target, and by a column that says so: as good as in no order."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(400)
    y = x + 0.1 * rng.standard_normal(400)
    y = (y > 0).astype(float) if kind == "classes" else y
    noise = rng.standard_normal(400)
    seen = []
    for name, rows in (("a", np.arange(400)), ("b", np.argsort(y))):
        time = rng.permutation(400) if name == "a" else np.arange(400)
        table = np.c_[y[rows], x[rows], noise[rows], time]
        np.savetxt(tmp_path / f"{name}.csv", table, "%.6g", ",", header="y,x,noise,time", comments="")
        made = fit(tmp_path / f"{name}.csv", tmp_path / "m.tw", target="y", passes=3)
        assert made.held_out is not None
        seen.append((made.held_out["loss"], [n for n in made.notes if "in order" in n]))
    (plain, none), (mixed, (said,)) = seen
    assert none == [] and said.startswith(
        "rows come in order of column 'time' and the target: they are mixed"
    )
    assert mixed < (0.3 if kind == "classes" else 0.05) and plain < (0.3 if kind == "classes" else 0.05)


def test_what_is_an_order() -> None:
    rng = np.random.default_rng(0)
    numbers, classes = rng.standard_normal(1000), rng.integers(0, 3, 1000).astype(float)
    kinds = np.arange(3)
    assert not come_in_runs(numbers, None) and not come_in_runs(classes, kinds)
    assert come_in_runs(np.sort(numbers), None) and come_in_runs(np.sort(classes), kinds)
    assert come_in_runs(np.repeat(classes[:100], 10), kinds) and come_in_runs(np.cumsum(numbers), None)
    assert not come_in_runs(np.sort(numbers[:20]), None) and not come_in_runs(np.ones(100), None)
    assert not come_in_runs((numbers > 2).astype(float), kinds[:2])
