"""fit and predict on raw files: what is said of columns, classes of text, missing values, and what is refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from typer.testing import CliRunner

from thalweg.cli.program import app
from thalweg.errors import FileError, HyperparameterError, ProblemError
from thalweg.fitting import Trained, budget, chunks, fit, predict
from thalweg.sklearn import LinearClassifier, base


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, done.stderr


def raw_file(path: Path, rows: int = 400, bad: bool = True) -> Path:
    """Row numbers, a number with odd cells, a text, and a target of text that x tells."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(rows)
    cells = [f"{v:.4f}" for v in x]
    if bad:
        cells[7], cells[9] = "#N/A", "oops"
    labels = ["yes" if v > 0 else "no" for v in x]
    lines = [f'{k},{c},"{"ab"[k % 2]}",{y}' for k, (c, y) in enumerate(zip(cells, labels, strict=True))]
    path.write_text(',"size, total",kind,bought\n' + "\n".join(lines) + "\n")
    return path


def test_columns_are_told_before_training(tmp_path: Path) -> None:
    data = raw_file(tmp_path / "a.csv")
    code, told = run(
        "fit", data, "--target", "bought", "--model", tmp_path / "m.tw", "--json", tmp_path / "r.json"
    )
    assert code == 0, told
    lines = told.splitlines()
    assert lines[:4] == [
        "numbers: size, total",
        "texts: kind (2 values)",
        "left out: '' (row numbers)",
        "target: bought",
    ]
    assert "missing cells in the first rows: size, total 1" in lines
    assert "column 'size, total': 1 cell of the first rows is no number, such as 'oops'" in lines
    assert any(line.startswith("labels are no, yes: classification") for line in lines)
    assert any(
        f"a cell is taken for missing; {data}: row 10: 'oops' is not a number" in line for line in lines
    )
    report = json.loads((tmp_path / "r.json").read_text())
    assert [c["name"] for c in report["columns"]["left_out"]] == [""] and report["odd_cells"]["size, total"][
        "cells"
    ] == 1
    assert report["held_out"]["accuracy"] > 0.9
    code, told = run("fit", data, "--target", "bought", "--model", tmp_path / "m.tw", "--ignore", "size, total", "--ignore", "")  # fmt: skip
    assert code == 0 and "left out: 'size, total' (as told); '' (row numbers)" in told


def test_the_command_line_speaks_of_no_function(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("y,x\n1,2\n")
    code, told = run("fit", tmp_path / "a.csv", "--target", "z", "--model", tmp_path / "m.tw")
    assert (code, told) == (2, f"thalweg: {tmp_path}/a.csv has no column 'z': known: y, x\n")


def test_a_column_that_is_written_in_another_way_is_said_to_be(tmp_path: Path) -> None:
    rows = [f"{k % 7}.5;{k % 5}.25" for k in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(["y;x", *rows]) + "\n")
    (tmp_path / "b.csv").write_text(
        "\n".join(["y;x", *(r[:-3] + r[-3:].replace(".", ",") for r in rows)]) + "\n"
    )
    made = fit(tmp_path / "a.csv", tmp_path / "m.tw", target="y", test=tmp_path / "b.csv")
    odd = f"{tmp_path}/b.csv: row 1: '0,25' is not a number"
    assert f"column 'x': 40 cells are taken for missing; {odd}" in made.notes
    code, told = run("predict", tmp_path / "m.tw", tmp_path / "b.csv", "--out", tmp_path / "o.csv")
    assert code == 0 and f"column 'x': cells taken for missing: 40; {odd}" in told
    assert "column 'x': 40 of 40 cells do not read as the model's do" in told
    code, told = run("predict", tmp_path / "m.tw", tmp_path / "a.csv", "--out", tmp_path / "o.csv")
    assert code == 0 and "column" not in told


def test_texts_as_classes_are_predicted_by_name(tmp_path: Path) -> None:
    data = raw_file(tmp_path / "a.csv")
    fit(data, tmp_path / "m.tw", target="bought", classes=["yes", "no"])
    assert Trained.load(tmp_path / "m.tw").layout["classes"] == ["yes", "no"]
    done = predict(tmp_path / "m.tw", data, tmp_path / "p.csv")
    assert done.quality is not None and done.quality["rows"] == 400 and done.quality["accuracy"] > 0.9
    assert done.odd_cells["size, total"]["cells"] == 1
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert list(rows[0]) == ["prediction", "p_yes", "p_no"] and {r["prediction"] for r in rows} == {
        "yes",
        "no",
    }
    # Texts that were not trained on, labels that are no class or are missing.
    other = tmp_path / "b.csv"
    other.write_text('kind,"size, total",bought\nz,2.0,yes\na,?,never\nb,-1,\n')
    done = predict(tmp_path / "m.tw", other, tmp_path / "p.csv")
    assert done.rows == 3 and done.quality is not None
    assert done.quality["rows"] == 2 and done.quality["unknown_labels"] == 1
    bare = tmp_path / "c.csv"
    bare.write_text('kind,"size, total"\na,2.0\n')
    assert predict(tmp_path / "m.tw", bare, tmp_path / "p.csv").quality is None
    with pytest.raises(ProblemError, match=r"the target holds texts \(no, yes\).*no regression"):
        fit(data, tmp_path / "n.tw", target="bought", task="regression")


def test_predict_names_the_file_at_fault_and_an_option_that_exists(tmp_path: Path) -> None:
    fit(raw_file(tmp_path / "a.csv", bad=False), tmp_path / "m.tw", target="bought", missing="bad")
    data = tmp_path / "b.csv"
    data.write_text('kind,"size, total"\na,2\nb,oops\n')
    arguments = ("predict", tmp_path / "m.tw", data, "--out", tmp_path / "p.csv", "--missing", "bad")
    code, told = run(*arguments)
    assert code == 1 and told.startswith(
        f"thalweg: {data}: row 2: column 'size, total': 'oops' is not a number"
    )
    assert "--on-bad-line skip" in told and not (tmp_path / "p.csv").exists()
    code, told = run(*arguments, "--on-bad-line", "skip")
    assert code == 0 and "bad lines skipped: 1" in told
    with pytest.raises(FileError, match=r"c\.csv: lacks column 'size, total'"):
        predict(tmp_path / "m.tw", _written(tmp_path / "c.csv", "x\n1\n"), tmp_path / "p.csv")


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("labels", "task"),
    [((2, 4), "classification"), (range(10), "classification"), (range(11), "regression"), ((1, 2, 9), "regression")],
)  # fmt: skip
def test_which_whole_numbers_are_classes(tmp_path: Path, labels: range, task: str) -> None:
    rows = "".join(f"{labels[k % len(labels)]},{k % 7}\n" for k in range(120))
    told: list[str] = []
    report = fit(_written(tmp_path / "a.csv", "y,x\n" + rows), tmp_path / "m.tw", target="y", rule="SGD(lr=0.1)", tell=told.append)  # fmt: skip
    other = "regression" if task == "classification" else "classification"
    assert report.task == task and any(f"give --task {other}" in line for line in told)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("later", "task"), [((2, 3), "classification"), ((2.5, 7), "regression")])
def test_what_the_target_holds_is_decided_by_the_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, later: tuple[float, float], task: str
) -> None:
    """Of rows that are sorted by it, the first chunk has the first labels only."""
    monkeypatch.setattr(chunks, "FIRST", chunks.Bounds(60, 10**6))
    labels = np.repeat(np.array([0.0, 1.0, *later]), 40)
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        path.write_text("y,x\n" + "".join(f"{y:g},{k % 7}\n" for k, y in enumerate(labels)))
    else:
        pq.write_table(pa.table({"y": labels, "x": np.arange(160) % 7}), path)
    for scale in ("auto", "none"):
        report = fit(path, tmp_path / "m.tw", target="y", rule="SGD(lr=0.01)", scale=scale, fresh=True)
        assert report.task == task and report.rows == 160
        assert report.classes == (labels[::40].tolist() if task == "classification" else None)


def test_an_index_is_no_allocation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (budget, base):
        monkeypatch.setattr(module, "machine", lambda: 4 << 30)  # bytes of memory
    lines = ["1 1:0.5 2000000000:1", "-1 1:-0.5 7:1"] * 30
    data = _written(tmp_path / "a.svm", "\n".join(lines) + "\n")
    with pytest.raises(
        HyperparameterError, match=r"index 1999999999 asks .* \(--bits 22\).* \(--features 2000000000\)"
    ):
        fit(data, tmp_path / "m.tw", rule="SGD(lr=0.1)")
    assert fit(data, tmp_path / "m.tw", rule="SGD(lr=0.1)", bits=10).features == 1024
    with pytest.raises(HyperparameterError, match="more than a third of this machine's memory"):
        fit(_written(tmp_path / "b.vw", "1 | a\n-1 | b\n"), tmp_path / "m.tw", rule="Adam(lr=0.1)", bits=29)
    X = sp.csr_array(([1.0, 2.0], ([0, 1], [0, 2_000_000_000])), shape=(2, 2_000_000_001))
    with pytest.raises(ProblemError, match="2000000001 columns, whose weights take more than a third"):
        LinearClassifier().fit(X, [0, 1])


def test_a_target_without_a_label_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{k},\n" for k in range(40)))
    with pytest.raises(
        ProblemError, match=r"no rows to learn from; 40 were left out, .* column 'y': there is no label"
    ):
        fit(tmp_path / "a.csv", tmp_path / "m.tw", target="y")
