"""``thalweg show``: paths on any landscape, still or moving, and what is said when something is wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

import thalweg as tw
from thalweg.errors import FileError, HyperparameterError, UnknownProblemError
from thalweg.lab.pictures.panels import Chart, Map
from thalweg.lab.show import show
from thalweg.problems import landscape_catalogue

from .strategies import first_of


def run(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "thalweg.cli", "show", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def test_paths_are_the_optimizers() -> None:
    """What is drawn is what ``Optimizer.step`` does at the rate that is printed."""
    made = show("rosenbrock", ["Adam", "SGD"], steps=100)
    for walk in made.walks:
        w = np.array(made.problem.starts[0])
        opt = walk.rule.on(w)
        for t in range(1, 101):
            opt.step(made.problem.gradient(w, None))
            np.testing.assert_array_equal(walk.path[t], w)


def test_the_chosen_rate_is_the_best_of_those_tried() -> None:
    """No rate of a coarse grid comes to the target earlier and stays."""
    made = show("booth", ["SGD"], steps=300)
    (walk,) = made.walks
    assert walk.reached is not None
    for lr in np.geomspace(1e-4, 1.0, 13):
        other = show("booth", ["SGD"], steps=300, lr=float(lr)).walks[0].reached
        assert other is None or other >= walk.reached


def test_a_method_keeps_the_rate_that_it_was_given() -> None:
    """Named or as a rule; one rate for all takes its place."""
    named = ["Adam(lr=0.5)", "SGD(lr=0.01)", tw.Momentum(lr=0.02), "RMSprop:keras(lr=0.25)"]
    assert [w.lr for w in show("booth", named, steps=5).walks] == [0.5, 0.01, 0.02, 0.25]
    assert [w.lr for w in show("booth", named, steps=5, lr=0.1).walks] == [0.1] * 4


def test_on_a_landscape_without_a_floor_paths_can_be_followed() -> None:
    """The fastest way out of a saddle is one leap: rates are shown whose steps can be seen, and leaving is no divergence."""
    made = show("saddle", ["SGD", "Adam", "Adagrad"])
    for walk in made.walks:
        assert walk.left is not None and walk.left > 10
        assert not walk.died
        assert np.hypot(*np.diff(walk.path, axis=0).T).max() <= np.hypot(2, 2) / 40
        assert abs(walk.path[-1]).max() > 1 >= abs(walk.path[:-1]).max()
    assert "a fortieth of the window" in made.note
    assert show("booth", ["SGD"], steps=5).note == ""


def test_rates_stand_on_the_picture() -> None:
    """A momentum's rate is the factor on a sum: what it comes to stands beside it."""
    made = show("booth", ["SGD", "Momentum", "Adam:keras"], lr=0.01, steps=5)
    land = made.picture.panels[0]
    assert isinstance(land, Map)
    assert [p.label for p in land.paths] == [
        "SGD, lr 0.01",
        "Momentum, lr 0.01 (gain 0.1)",
        "Adam:keras, lr 0.01",
    ]
    assert [p.method for p in land.paths] == ["SGD", "Momentum", "Adam:keras"]


# Of one and two variables and of many, with data, with rows drawn; the others in the slow suite.
SOME = ("quadratic", "booth", "rosenbrock-nd", "neuron-cross-entropy", "neuron-feature-stochastic")


@first_of(landscape_catalogue(), SOME)
def test_every_landscape_can_be_shown(name: str) -> None:
    made = show(name, ["Adam"], steps=40)
    land, chart = made.picture.panels
    assert isinstance(land, Map)
    assert isinstance(chart, Chart)
    assert np.all(np.isfinite(land.paths[0].points))


def test_a_run_that_diverges_says_why_and_stays_off_the_plot() -> None:
    made = show("rosenbrock", ["SGD", "Adam"], lr=0.01, steps=200)
    bad, good = made.walks
    assert bad.died
    assert not good.died
    assert "above the limit 2; the largest learning rate that is stable at the start" in bad.sentence
    assert np.all(np.isfinite(bad.path))
    assert np.all(np.isfinite(bad.loss))


def test_turning_the_landscape_and_the_start_turns_gradient_descents_path() -> None:
    """Gradient descent does not notice a rotation; Adagrad does."""
    turn = np.array([[0.0, -1.0], [1.0, 0.0]]) @ np.array([[np.sqrt(0.5)] * 2, [-np.sqrt(0.5), np.sqrt(0.5)]])
    plain = show("booth", ["SGD", "Adagrad"], lr=0.05, steps=50)
    turned = show("booth", ["SGD", "Adagrad"], lr=0.05, steps=50, rotate=45)
    away = [
        float(np.abs(b.path - a.path @ turn.T).max()) for a, b in zip(plain.walks, turned.walks, strict=True)
    ]
    assert away[0] < 1e-9 < 1e-3 < away[1]


def test_noise_is_fixed_by_the_seed() -> None:
    one, two, other = (
        show("booth", ["SGD"], lr=0.01, steps=50, noise=1.0, seed=s).walks[0].path for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png", ".gif"])
def test_files(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"paths{suffix}"
    show("beale", ["Adam", "SGD"], steps=60, out=file, theme="dark")
    head = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG", ".gif": b"GIF8"}[suffix]
    assert file.read_bytes().startswith(head)


def test_everything_that_happened_as_a_table(tmp_path: Path) -> None:
    made = show("beale", ["Adam", "Adagrad"], steps=20, table=tmp_path / "runs.parquet")
    table = parquet.read_table(tmp_path / "runs.parquet").to_pydict()
    assert set(table["method"]) == {"Adam", "Adagrad"}
    first = np.array([m == "Adam" for m in table["method"]])
    weights = np.array(table["weight"])[first].reshape(-1, 2)
    np.testing.assert_array_equal(weights, made.walks[0].path)
    assert np.all(np.isnan(np.array(table["state_s"], float)[first]))


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"problem": "rosenbruck"}, UnknownProblemError, "did you mean 'rosenbrock'"),
        ({"problem": "digits"}, UnknownProblemError, "thalweg race digits"),
        ({"methods": ["Adm"]}, HyperparameterError, "did you mean 'Adam'"),
        ({"start": (1, 2, 3)}, HyperparameterError, "has 2 coordinates, got 3"),
        ({"start": (99, 0)}, HyperparameterError, "outside the window"),
        ({"start": (float("nan"), 0)}, HyperparameterError, "start"),
        ({"window": ((1, 1), (0, 1))}, HyperparameterError, "width above 0"),
        ({"window": ((0, float("inf")), (0, 1))}, HyperparameterError, "width above 0"),
        ({"steps": 0}, HyperparameterError, "steps=0"),
        ({"steps": 10.5}, HyperparameterError, "a whole number"),
        ({"start": "abc"}, HyperparameterError, "numbers are needed"),
        ({"window": (0, 1)}, HyperparameterError, "((x low, x high)"),
        ({"seed": -1}, HyperparameterError, "seed"),
        ({"lr": -1.0}, HyperparameterError, "lr"),
        ({"scale": 0.0}, HyperparameterError, "scale"),
        ({"noise": -1.0}, HyperparameterError, "noise"),
        ({"theme": "blue"}, HyperparameterError, "light"),
        ({"out": "x.bmp"}, FileError, ".svg, .pdf, .png, .gif or .mp4, got '.bmp'"),
        ({"out": "no/such/x.svg"}, FileError, "folder does not exist"),
        ({"table": "x.json"}, FileError, ".parquet or .csv, got '.json'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], error: type[Exception], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        show(**{"problem": "rosenbrock", "methods": ["SGD"], "steps": 10, **wrong})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path: Path) -> None:
    made = run(
        "beale", "--methods", "Adam,SGD", "--steps", "50", "--start=-1,1.5", "--out", "b.svg", cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    assert [line.split("\t")[0] for line in made.stdout.splitlines()] == ["method", "Adam", "SGD"]
    assert "Target: f <=" in made.stderr
    assert (tmp_path / "b.svg").exists()
    assert run(cwd=tmp_path).stdout.splitlines()[0] == "landscape\ttitle"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["rosenbruck"], 2, "did you mean"),
        (["beale", "--start", "1;2"], 2, "--start 1;2: numbers separated by commas"),
        (["beale", "--window", "0,1,2"], 2, "4 numbers"),
        (["beale", "--window", "0,0,1,2"], 2, "width above 0"),
        (["beale", "--theme", "blue"], 2, "light"),
        (["beale", "--start", "nan,0"], 2, "choose a point of its domain"),
        (["beale", "--out", "no/such/x.svg"], 1, "folder does not exist"),
    ],
)
def test_bad_commands(tmp_path: Path, arguments: list[str], status: int, told: str) -> None:
    made = run(*arguments, cwd=tmp_path)
    assert made.returncode == status
    assert told in made.stderr
    assert made.stderr.count("\n") == 1
    assert "Traceback" not in made.stderr


def test_a_users_own_landscape_in_a_file_of_their_own(tmp_path: Path) -> None:
    """A FormulaProblem is all that show needs."""
    (tmp_path / "bowl.py").write_text(
        "def value(x, y, /):\n    return x * x + 3 * y * y\n\n\n"
        "def gradient(x, y, /):\n    return 2 * x, 6 * y\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        import bowl  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tmp_path))
    from thalweg.core.objective import Objective
    from thalweg.problems.formula import FormulaProblem

    mine = FormulaProblem(
        "bowl",
        "Bowl",
        "",
        Objective(bowl.value, bowl.gradient),
        starts=[(1, 1)],
        spread=0,
        minima=[(0, 0)],
        minimum=0.0,
    )
    made = show(mine, [tw.SGD(lr=0.1)], steps=50, lr=0.1)
    assert made.walks[0].reached is not None


def test_a_start_near_the_minimum_has_not_diverged_by_swinging() -> None:
    """Divergence is measured by the landscape's usual height, not by that of a start beside the minimum."""
    made = show("booth", ["RMSprop", "Adam"], start=(1, 3.0001), lr=0.01, steps=100)
    assert not any(w.died for w in made.walks)
    assert [len(w.path) for w in made.walks] == [101, 101]


def test_a_rate_that_overflows_at_once_is_a_run_that_diverged() -> None:
    (walk,) = show("beale", ["SGD"], lr=1e300, steps=10).walks
    assert walk.died
    assert walk.sentence


def test_a_best_rate_at_the_edge_is_said() -> None:
    """On Adagrad's narrow valley the fastest rate that was tried is the largest one."""
    (walk,) = show("gutter", ["Adadelta"], steps=30).walks
    assert ("last of those tried" in walk.sentence) == (walk.lr in (1e-3, 1e2))


def test_a_table_in_capital_letters(tmp_path: Path) -> None:
    show("booth", ["SGD"], steps=5, lr=0.01, table=tmp_path / "RUN.CSV")
    assert (tmp_path / "RUN.CSV").read_text().startswith('"method"')
