"""Files after public reports, each with a neighbour: what fit, predict and race make of them, and say."""

import bz2
import csv
import lzma
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from thalweg.cli.program import app
from thalweg.errors import FileError, HyperparameterError
from thalweg.fitting import Report, fit, predict
from thalweg.problems import problem
from thalweg.problems.linear import LeastSquares

RNG = np.random.default_rng(0)
X = RNG.standard_normal(400).round(4)
Y = (3 * X + 4 + 0.3 * RNG.standard_normal(400)).round(4)
CELLS = [f"{y},{x}" for y, x in zip(Y.tolist(), X.tolist(), strict=True)]


def numbered(head: str, first: int) -> str:
    return f"{head},y,x\n" + "".join(f"{k + first},{cells}\n" for k, cells in enumerate(CELLS))


def with_cell(at: int, cell: str) -> str:
    lines = [f"{y},{cell if k == at else x}" for k, (y, x) in enumerate(zip(Y, X, strict=True))]
    return "y,x\n" + "\n".join(lines) + "\n"


def decimal_comma(between: str) -> str:
    lines = [between.join(("y", "x", "z"))]
    lines += [between.join((f"{y}", f"{x}", f"{k * 7919 % 5000}")) for k, (y, x) in enumerate(zip(Y, X, strict=True))]  # fmt: skip
    return "\n".join(lines).replace(".", ",") + "\n"


def unclosed(at: tuple[int, ...]) -> str:
    return "y,x,t\n" + "".join(f"{c},{chr(34) * (k in at)}{'ab'[k % 2]}\n" for k, c in enumerate(CELLS))


class Case(NamedTuple):
    """A file: its name and text. columns: of numbers. left: columns left out, with the reason. options: of reading.

    missing: cells of x that are. skipped: rows that are.
    """

    name: str
    text: str
    columns: list[str]
    left: dict[str, str] = {}  # noqa: RUF012
    options: dict[str, Any] = {}  # noqa: RUF012
    missing: int = 0
    skipped: int = 0


SKIP = {"on_bad_line": "skip"}
CASES = {
    "row number": Case("row_number.csv", numbered("", 0), ["x"], {"": "row numbers"}),
    "row number of R": Case("a.csv", numbered("rownames", 1), ["x"], {"rownames": "row numbers"}),
    "a cell of #N/A": Case("na_cell.csv", with_cell(7, "#N/A"), ["x"], missing=1),
    "a missing cell with blanks": Case("a.csv", with_cell(9, "  n/a "), ["x"], missing=1),
    "decimal commas": Case("decimal_comma.csv", decimal_comma(";"), ["x", "z"]),
    "decimal commas between tabs": Case("a.csv", decimal_comma("\t"), ["x", "z"]),
    "row names": Case(
        "row_names.csv",
        '"","y","x"\n' + "".join(f'"r{k * 7}",{c}\n' for k, c in enumerate(CELLS)),
        ["x"],
        {"": "row names"},
    ),
    "row names that the head does not name": Case(
        "a.csv",
        '"y","x"\n' + "".join(f'"r{k * 7}",{c}\n' for k, c in enumerate(CELLS)),
        ["x"],
        {"": "row names"},
    ),
    "an unclosed quote": Case("unclosed_quote.csv", unclosed((5,)), ["x"], options=SKIP, skipped=1),
    "two unclosed quotes": Case("a.csv", unclosed((0, 399)), ["x"], options=SKIP, skipped=2),
    "aligned by blanks": Case(
        "a.csv",
        "".join(f" {a:>9}   {b:>9}\n" for a, b in [("y", "x"), *(c.split(",") for c in CELLS)]),
        ["x"],
    ),
}


def fitted(path: Path, **options: Any) -> Report:
    return fit(path, path.with_suffix(".tw"), target="y", rule="Adagrad(lr=0.5)", bits=8, **options)


@pytest.mark.parametrize("name", CASES)
def test_raw_tables(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path = tmp_path / case.name
    path.write_text(case.text)
    told: list[str] = []
    report = fitted(path, passes=5, tell=told.append, **case.options)
    assert report.columns is not None and report.held_out is not None
    assert [c["name"] for c in report.columns["numbers"]] == case.columns
    assert {c["name"]: c["why"] for c in report.columns["left_out"]} == case.left
    assert all(any(repr(n) in line and why in line for line in told) for n, why in case.left.items())
    cells = sum(c["missing"] for c in report.columns["numbers"])
    assert cells == case.missing and report.skipped == case.skipped
    assert report.held_out["rmse"] < 0.5 < 2 < report.held_out["constant_rmse"]
    options = {n: v for n, v in case.options.items() if n == "on_bad_line"}
    done = predict(path.with_suffix(".tw"), path, tmp_path / "p.csv", **options)
    assert done.rows == 400 - case.skipped == (done.quality or {})["rows"] and done.skipped == case.skipped
    raced = problem(str(path), "y", reading=case.options)
    assert isinstance(raced, LeastSquares) and f"{400 - case.skipped} rows" in raced.text
    assert raced.inputs == len(case.columns) + 2 * ("t" in case.text.partition("\n")[0])
    assert all(why in raced.text for why in case.left.values())
    assert not case.skipped or f"bad lines skipped: {case.skipped}" in raced.text
    if case.skipped:
        with pytest.raises(
            FileError, match=r"a quoted field does not end; correct it, or .*--on-bad-line skip"
        ):
            problem(str(path), "y")


@pytest.mark.parametrize("packed", ["bz2", "xz", "zip"])
def test_packed_tables(tmp_path: Path, packed: str) -> None:
    text = ("\ufeffy,x\n" + "\n".join(CELLS)).encode()
    path = tmp_path / f"small.csv.{packed}"
    if packed == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("small.csv", text)
    else:
        path.write_bytes({"bz2": bz2.compress, "xz": lzma.compress}[packed](text))
    report = fitted(path, passes=5)
    assert report.held_out is not None and report.held_out["rmse"] < 0.5
    assert predict(path.with_suffix(".tw"), path, tmp_path / "p.csv").rows == 400
    assert "400 rows" in problem(str(path), "y").text


@pytest.mark.parametrize("names", [["Income, total", " note "], ["a,b", "c,d,e"]])
def test_names_that_hold_commas_and_blanks_are_left_out(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "names_with_commas.csv"
    head = ",".join(f'"{n}"' for n in names)
    path.write_text(f"y,x,{head}\n" + "".join(f"{c},{k % 7},{k % 9}\n" for k, c in enumerate(CELLS)))
    options = [part for n in names for part in ("--ignore", n)]
    arguments = [
        "fit",
        path,
        "--target",
        "y",
        "--model",
        tmp_path / "m.tw",
        "--rule",
        "SGD(lr=0.1)",
        *options,
    ]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0 and "numbers: x\n" in done.stderr
    assert predict(tmp_path / "m.tw", path, tmp_path / "p.csv").rows == 400
    raced = problem(str(path), "y", names)
    assert isinstance(raced, LeastSquares) and raced.inputs == 1


@pytest.mark.parametrize(
    ("text", "row", "cell"), [("y,x\n1,2\n1,abc\n", 2, "abc"), ("x,y\n1e999x,2\n", 1, "1e999x")]
)
def test_predict_names_the_cell_at_fault(tmp_path: Path, text: str, row: int, cell: str) -> None:
    good, path, model = tmp_path / "good.csv", tmp_path / "bad_cell.csv", tmp_path / "good.tw"
    good.write_text("y,x\n" + "\n".join(CELLS))
    fitted(good, missing="bad")
    path.write_text(text)
    arguments = ["predict", model, path, "--out", tmp_path / "p.csv"]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 1 and done.stderr.startswith(
        f"thalweg: {path}: row {row}: column 'x': {cell!r} is"
    )
    assert "--on-bad-line skip" in done.stderr and not (tmp_path / "p.csv").exists()
    done = CliRunner().invoke(app, [*map(str, arguments), "--on-bad-line", "skip"])
    assert done.exit_code == 0 and "bad lines skipped: 1" in done.stderr


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_instants_are_the_same_whatever_their_unit(tmp_path: Path, zone: str | None) -> None:
    start = np.datetime64("2024-01-06T08:00:00", "s")
    when = [(start - np.timedelta64(k * 31, "h")).item() for k in range(400)]
    y = np.arange(400) % 7 + 0.1 * RNG.standard_normal(400)
    paths = [tmp_path / f"time_{unit}.parquet" for unit in ("us", "ns")]
    for unit, path in zip(("us", "ns"), paths, strict=True):
        pq.write_table(pa.table({"y": y, "when": pa.array(when, pa.timestamp(unit, zone))}), path)
    fitted(paths[0])
    done = [predict(tmp_path / "time_us.tw", path, path.with_suffix(".csv")) for path in paths]
    assert done[0].quality == done[1].quality
    assert paths[0].with_suffix(".csv").read_text() == paths[1].with_suffix(".csv").read_text()
    inputs = [problem(str(path), "y").training_inputs() for path in paths]  # type: ignore[attr-defined]
    assert np.array_equal(*inputs) and inputs[0].shape[1] > 1 + 7 + 12


HUGE = {
    "one index": lambda k: f"{k % 2} 1:0.5 {'2000000000:1' if k % 3 else '7:1'}",
    "many": lambda k: f"{k % 2} {2_000_000_000 - 977 * k}:1 {3 + k % 2}:1",
}


@pytest.mark.parametrize("kind", HUGE)
def test_an_index_is_no_allocation(tmp_path: Path, kind: str) -> None:
    line: Callable[[int], str] = HUGE[kind]
    path = tmp_path / "huge_index.svm"
    path.write_text("\n".join(map(line, range(60))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(HyperparameterError, match=r"--bits: index .* hash them"):
        fit(path, tmp_path / "m.tw")
    report = fit(path, tmp_path / "m.tw", bits=10, rule="SGD(lr=0.1)")
    assert report.features == 1024 and predict(tmp_path / "m.tw", path, tmp_path / "p.csv").rows == 60
    raced = problem(str(path))
    assert raced.rows == 36 and np.isfinite(raced.loss(raced.start(0)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


@pytest.mark.slow
def test_a_race_of_a_huge_index_takes_no_more_than_a_processs_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge_index.svm"
    path.write_text("\n".join(map(HUGE["one index"], range(60))))
    arguments = [
        "race",
        path,
        "--methods",
        "SGD,Adam",
        "--trials",
        "3",
        "--seeds",
        "3",
        "--out",
        tmp_path / "r.html",
    ]
    code = (
        "import sys; from thalweg.cli.program import app; from thalweg.fitting.budget import peak\n"
        "try: app(sys.argv[1:])\n"
        "finally: print(peak())"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 500_000_000


def test_text_of_another_encoding_is_told_by_each(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    lines = [f"{c},{'Köln' if k % 2 else 'Rom'}" for k, c in enumerate(CELLS)]
    path.write_bytes(("y,x,t\n" + "\n".join(lines)).encode("latin-1"))
    words = f"lines that are not UTF-8: 200; {path}: byte"
    report = fitted(path)
    assert any(note.startswith(words) and "give its --encoding" in note for note in report.notes)
    done = predict(path.with_suffix(".tw"), path, tmp_path / "p.csv")
    assert any(note.startswith(words) for note in done.notes) and words in problem(str(path), "y").text
    told = {"encoding": "latin-1"}
    assert not any("UTF-8" in note for note in fitted(path, **told).notes)
    assert not predict(path.with_suffix(".tw"), path, tmp_path / "p.csv", **told).notes
    assert "UTF-8" not in problem(str(path), "y", reading=told).text


@pytest.mark.parametrize(
    "names",
    [("1234567", "1234568"), ("0.5", "0.5000001"), ("Paris, 16th", 'the "other"'), ("a\nb", "c")],
)
def test_each_class_has_a_column_of_its_own_name(tmp_path: Path, names: tuple[str, str]) -> None:
    """Numbers alike in six digits were one column of predictions, and a comma in a name was two."""
    texts = [f'"{n.replace(chr(34), 2 * chr(34))}"' if not n[0].isdigit() else n for n in names]
    data, out = tmp_path / "data.csv", tmp_path / "out.csv"
    data.write_text("x,y\n" + "".join(f"{x},{texts[int(x > 0)]}\n" for x in X))
    report = fit(data, tmp_path / "m.tw", target="y", task="classification")
    assert report.class_names == list(names)
    predict(tmp_path / "m.tw", data, out)
    with out.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["prediction", *(f"p_{n}" for n in names)]
    assert all(row[0] == names[int(float(row[2]) > 0.5)] for row in rows)
    if "0.5" not in names:  # which a race takes for numbers
        assert all(n in problem(str(data), target="y").text for n in names)


@pytest.mark.parametrize(("name", "between"), [("a.txt", "|"), ("a.dat", " "), ("table", ",")])
def test_a_file_whose_target_is_named_is_a_table(tmp_path: Path, name: str, between: str) -> None:
    """Bars between cells were taken for Vowpal Wabbit's, and a name without .csv for nothing."""
    data = tmp_path / name
    data.write_text(between.join(("y", "x")) + "\n" + "".join(f"{c.replace(',', between)}\n" for c in CELLS))
    report = fit(data, tmp_path / "m.tw", target="y")
    assert report.held_out is not None and report.held_out["rmse"] < 1
    assert predict(tmp_path / "m.tw", data, tmp_path / "p.csv").rows == len(CELLS)
    assert isinstance(problem(str(data), target="y"), LeastSquares)


FOREIGN = {
    "JSON": ['[{"x": 1, "y": 2},\n{"x": 2, "y": 3}]', '{"x": 1, "y": 2}\n{"x": 2, "y": 3}\n', "{}"],
    "HTML or XML": ["<!DOCTYPE html><table>", '<?xml version="1.0"?>'],
    "ARFF": ["% a comment\n@RELATION iris\n@attribute x numeric\n", "@relation a\n"],
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("target", [None, "y"])
def test_tables_of_other_formats_are_refused_by_name(tmp_path: Path, kind: str, target: str | None) -> None:
    for text in FOREIGN[kind]:
        (tmp_path / "data.txt").write_text(text)
        with pytest.raises(FileError, match=f"is {kind}, which is not read; write it as CSV or Parquet"):
            fit(tmp_path / "data.txt", tmp_path / "m.tw", target=target)
