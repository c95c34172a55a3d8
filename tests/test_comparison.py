"""Two races side by side: each method against itself, on the same runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import thalweg as tw
from thalweg.cli.program import app
from thalweg.errors import FileError
from thalweg.lab import answers
from thalweg.lab.store import Store

BEALE: dict[str, Any] = {"trials": 1, "seeds": 8, "steps": 60}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Races of one problem at other rates, over fewer seeds, and of another problem."""
    folder = tmp_path_factory.mktemp("stores")
    place = {n: folder / f"{n}.db" for n in ("slow", "quick", "fewer", "booth")}
    tw.race("beale", [tw.SGD(lr=1e-4), tw.Adam(lr=0.1)], **BEALE, store=place["slow"])
    tw.race("beale", [tw.SGD(lr=1e-3), tw.Adam(lr=0.1), tw.Lion(lr=0.1)], **BEALE, store=place["quick"])
    tw.race("beale", [tw.SGD(lr=1e-3)], **BEALE | {"seeds": 3}, store=place["fewer"])
    tw.race("booth", [tw.SGD(lr=1e-3)], **BEALE, store=place["booth"])
    return place


def test_each_method_is_told_against_itself(stores: dict[str, Path]) -> None:
    data = tw.compare(stores["slow"], stores["quick"]).data
    (problem,) = data["problems"]
    told = {m["method"]: m for m in problem["methods"]}
    assert problem["unpaired"] == "" and list(told) == ["Adam", "SGD", "Lion"]
    assert told["Lion"]["a"] is None and told["Lion"]["verdict"] is None
    sgd, adam = told["SGD"]["verdict"], told["Adam"]["verdict"]
    assert sgd is not None and adam is not None
    assert (sgd["verdict"], sgd["wins"], sgd["pairs"]) == ("worse", 0, 8)
    assert (adam["verdict"], adam["ties"], adam["p"]) == ("tie", 8, 1.0)
    back = tw.compare(stores["quick"], stores["slow"]).data["problems"][0]["methods"]
    assert {m["method"]: m["verdict"] and m["verdict"]["verdict"] for m in back} == {
        "SGD": "better",
        "Adam": "tie",
        "Lion": None,
    }
    assert problem["versions"] == {} and problem["settings"] == {}
    assert json.loads(tw.compare(stores["slow"], stores["quick"]).json()) == data


def test_a_family_of_verdicts_is_the_methods_in_common() -> None:
    """By hand: six pairs that all go one way have p = 2 / 64, which two methods double."""
    ends = {"x": np.arange(1.0, 7.0), "y": np.arange(1.0, 7.0)}
    more = {n: 2 * v for n, v in ends.items()}
    one = answers.versus({"x": ends["x"]}, {"x": more["x"]}, np.full(6, 9.0), None, 1e-16)
    assert [(v["verdict"], v["p"]) for v in one] == [("better", 2 / 64)]
    assert one[0]["ratio"] is not None and one[0]["ratio"]["median"] == pytest.approx(0.5)
    two = answers.versus(ends, more, np.full(6, 9.0), None, 1e-16)
    assert [(v["verdict"], v["p"]) for v in two] == [("tie", 4 / 64)] * 2


def test_what_is_not_paired_is_said(stores: dict[str, Path]) -> None:
    (problem,) = tw.compare(stores["quick"], stores["fewer"]).data["problems"]
    assert problem["unpaired"] == "not paired: 8 fresh seeds in A, 3 in B"
    assert all(m["verdict"] is None for m in problem["methods"])
    assert problem["settings"]["seeds"] == [8, 3]


def test_what_cannot_be_compared_is_one_line(stores: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FileError, match="have no problem in common: beale; booth"):
        tw.compare(stores["slow"], stores["booth"])
    with pytest.raises(FileError, match=r"none\.db: no such store"):
        tw.compare(stores["slow"], tmp_path / "none.db")
    Store.open(tmp_path / "empty.db", "beale").close()
    with pytest.raises(FileError, match="holds no race that ended"):
        tw.compare(tmp_path / "empty.db", stores["slow"])


def test_the_command_prints_a_line_for_each_method(stores: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    done = CliRunner().invoke(app, ["compare", str(stores["slow"]), str(stores["quick"]), "--json", str(out)])
    assert done.exit_code == 0, done.output
    head, *lines = done.stdout.splitlines()[:4]
    assert head.split("\t") == ["beale", "rate A", "rate B", "loss A", "loss B", "A against B"]
    assert lines[1].startswith("SGD\t0.0001\t0.001\t") and "lower in 0 of 8" in lines[1]
    assert lines[2].endswith("only in B")
    assert json.loads(out.read_text())["problems"][0]["problem"] == "beale"
    assert CliRunner().invoke(app, ["compare", "none.db", str(stores["quick"])]).exit_code == 1
