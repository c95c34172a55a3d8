"""Studies: several races measured together, from Python, the command line and a file; the page and the figures."""

import csv
import inspect
import json
import re
import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import thalweg as tw
from thalweg import files
from thalweg.cli.program import app
from thalweg.errors import FileError, HyperparameterError, MisplacedOptionError, ThalwegError
from thalweg.lab import figures, measures
from thalweg.lab.performing import Performer
from thalweg.lab.race import prepare, race
from thalweg.lab.race_options import NAMES, RaceOptions
from thalweg.lab.reports.study import notice
from thalweg.lab.reports.study_wording import sentences
from thalweg.lab.study import OPTIONS, WHERE, Study, _command, from_file, study
from thalweg.lab.study_summary import study_summary
from thalweg.problems import landscape

SMALL: dict[str, Any] = {"methods": ["SGD", "Adam"], "trials": 5, "seeds": 6, "steps": 120}
PROBLEMS = ["rosenbrock", "beale", "quadratic"]


@pytest.fixture(scope="module")
def made() -> Study:
    return study(PROBLEMS, **SMALL)


def timeless(data: Any) -> Any:
    """Without times."""
    rows = [{n: v for n, v in r.items() if n != "us_per_step"} for r in data["methods"]]
    return {**data, "methods": rows}


def test_each_problem_is_raced_as_a_race_is(made: Study) -> None:
    alone = tw.race("beale", **SMALL)
    assert timeless(made.races[1].data) == timeless(alone.data)


def test_what_a_race_takes_is_said_once() -> None:
    """An option that its value lacks would be lost on the way to a race, or be missing in studies."""
    taken = {n: p.default for n, p in inspect.signature(race).parameters.items()}
    values = {f.name: f.default for f in fields(RaceOptions)}
    performer = {f.name: f.default for f in fields(Performer) if f.name in WHERE}
    own = {"problem", *inspect.signature(study).parameters} - {"problems", "options", "seeds"}
    assert own < set(taken)  # of these a study has its own
    assert {n: default for n, default in taken.items() if n not in own} == values | performer
    assert set(OPTIONS) == {*values, *performer}


@pytest.mark.parametrize(
    "asked",
    [
        {"tune": ["lr", "beta1"], "range": {"lr": (1e-4, 1.0)}, "trials": 2},
        {"tune": "lr,beta1", "trials": 2, "sampler": "halton", "workers": 0, "seconds": 9.0},
        {"start": [1.0, -2.5], "maximize": False, "measure": ""},
        {"start": np.array([1.0, -2.5]), "tune": ("lr",)},
        {"start": (), "l2": 0.0, "model": "network", "target": "y", "drop": ("a", "b c")},
        {"drop": "a", "reading": {"na": ["x", "y"], "header": False, "skip_lines": 1}},
    ],
    ids=lambda asked: ",".join(asked),
)
def test_the_command_asks_for_the_same_study(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line, parsed, has the same options, whatever they are."""
    problems = ["rosenbrock", "beale"]
    taken: dict[str, Any] = {}

    def take(**given: Any) -> None:
        taken.update(given)
        raise HyperparameterError("taken")

    words = shlex.split(_command(problems, prepare("beale", ["SGD", "Adam"]), {"seeds": 12, **asked}))
    monkeypatch.setattr("thalweg.lab.study.study", take)
    CliRunner().invoke(app, words[1:])
    assert taken["problems"] == problems and taken["methods"] == ["SGD", "Adam"]
    here, there = (
        RaceOptions(**{n: v for n, v in given.items() if n in NAMES})
        for given in ({"seeds": 12, **asked}, taken)
    )
    assert here.plan(landscape("beale")) == there.plan(landscape("beale"))
    said = [replace(o.source("t"), reading=tuple(sorted(o.source("t").reading))) for o in (here, there)]
    assert said[0] == said[1]
    assert {n: taken.get(n) for n in WHERE if n in asked} == {n: asked[n] for n in WHERE if n in asked}


def test_measures_are_those_of_the_runs(made: Study) -> None:
    """The score by hand from the races' own tables: running times, ratios, and what lies below four."""
    times: dict[str, list[float]] = {"SGD": [], "Adam": []}
    for r in made.races:
        runs, floor = r.data["runs"], r.data["floor"]
        assert floor is not None
        for share in floor["shares"]:
            for m, collected in times.items():
                own = [k for k, name in enumerate(runs["method"]) if name == m]
                met = [runs[f"to_{share:g}"][k] for k in own]
                done = [t for t in met if t is not None]
                spent = sum(done) + SMALL["steps"] * (len(met) - len(done))
                collected.append(spent / len(done) if done else np.inf)
    best = np.minimum(times["SGD"], times["Adam"])
    for row in made.data["methods"]:
        with np.errstate(invalid="ignore"):
            reward = [
                max(0.0, (4 - t / b) / 3) if np.isfinite(t) else 0.0
                for t, b in zip(times[row["method"]], best, strict=True)
            ]
        assert row["score"] == pytest.approx(np.mean(reward))
        assert row["solved"] == pytest.approx(
            np.mean([v is not None for r in made.races for n in r.data["runs"] if n.startswith("to_")
                     for v, m in zip(r.data["runs"][n], r.data["runs"]["method"], strict=True) if m == row["method"]])
        )  # fmt: skip
    assert [r["score"] for r in made.data["methods"]] == sorted(
        (r["score"] for r in made.data["methods"]), reverse=True
    )


def test_verdicts_are_each_problems_own(made: Study) -> None:
    """Six seeds tell two methods apart; who wins a problem beats the other there, and only there."""
    for r in made.races:
        (verdict,) = r.verdicts
        for row in made.data["methods"]:
            other = verdict["b"] if row["method"] == verdict["a"] else verdict["a"]
            word = (
                verdict["verdict"]
                if row["method"] == verdict["a"]
                else {"better": "worse", "worse": "better"}.get(verdict["verdict"], "tie")
            )
            losses = [loss for loss in row["beaten_on"] if loss["problem"] == r.data["problem"]]
            assert [loss["by"] for loss in losses] == ([other] if word == "worse" else [])
            for loss in losses:
                assert loss["ratio"] is not None and (loss["ratio"]["median"] or 0) < 1
            assert (r.data["problem"] in row["unbeaten_on"]) == (word != "worse")
            assert (r.data["problem"] in row["lowest_on"]) == (
                r.data["methods"][0]["method"] == row["method"]
            )


def test_the_json_has_the_promised_shape(made: Study) -> None:
    data = json.loads(made.json())
    assert data["version"] == 1 and data["finished"] is True
    assert set(data) == set(made.data)
    assert [r["problem"] for r in data["races"]] == PROBLEMS
    assert "curves" not in data["races"][0]
    assert data["settings"]["command"] == (
        "thalweg race rosenbrock beale quadratic --methods SGD,Adam --seeds 6 --trials 5 --steps 120"
    )
    assert {f["verdict"] for f in data["lint"]} <= {"kept", "broken", "not applicable"}
    assert set(data["audit"]) == set(PROBLEMS)


def test_sentences_follow_from_the_numbers(made: Study) -> None:
    told = sentences(made.data)
    first = made.data["methods"][0]
    assert first["method"] in told[0] and "3 problems with 9 targets" in told[0]
    for loss in first["beaten_on"]:
        assert any(f"on {loss['problem']}: {loss['by']} ends" in s for s in told)
    assert any("takes 6 problems" in s for s in told)
    few = study(["rosenbrock", "beale"], ["SGD", "Adam"], trials=2, seeds=3, steps=40)
    assert any(
        "3 paired runs on each problem cannot tell 2 methods apart: a verdict takes 6 (--seeds 6)" in s
        for s in sentences(few.data)
    )
    assert not any(r["unbeaten_on"] for r in few.data["methods"])  # nothing can be told


def test_one_method_on_one_problem_is_a_study_too() -> None:
    made = study(["rosenbrock"], ["SGD"], trials=1, seeds=1, steps=20)
    assert made.data["methods"][0]["rank"] == 1.0
    assert sentences(made.data)[0].startswith("SGD is first both to the targets and at the end")


def test_a_study_that_is_interrupted_tells_what_is_done() -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "beale: fresh seeds":
            raise KeyboardInterrupt

    made = study(PROBLEMS, **SMALL, progress=stop)
    assert not made.data["finished"] and len(made.races) == 2
    assert set(made.data["times"]["problem"]) == {"rosenbrock"}  # beale was not rerun by any method
    assert "This study was interrupted.</b> Not finished: beale and quadratic" in notice(made.data)


def test_a_problem_that_fails_on_the_way_is_told_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.lab import study as module

    def run(self: Any, progress: Any = None) -> Any:
        if self.problem.name == "beale":
            raise HyperparameterError("a worker was killed")
        return original(self, progress)

    original = module.Prepared.run
    monkeypatch.setattr(module.Prepared, "run", run)
    made = study(PROBLEMS, ["SGD"], trials=1, seeds=2, steps=20)
    assert made.data["failed"] == {"beale": "a worker was killed"}
    assert [r.data["problem"] for r in made.races] == ["rosenbrock", "quadratic"]
    assert "beale could not be raced: a worker was killed" in notice(made.data)


@pytest.mark.parametrize(
    ("problems", "options", "told"),
    [
        ([], {}, "name at least one problem"),
        (["rosenbrock", "rosenbrock"], {}, "problem rosenbrock is named twice"),
        (["rosenbrock", "beele"], {}, "did you mean 'beale'"),
        (["rosenbrock"], {"trails": 3}, "unknown option 'trails': did you mean 'trials'"),
        ([{"name": "rosenbrock", "setps": 3}], {}, "unknown option 'setps': did you mean 'steps'"),
        ([{"steps": 3}], {}, "needs a name"),
        (["rosenbrock", {"name": "beale", "steps": 0}], {}, "steps must be a whole number >= 1, got 0"),
        (["rosenbrock"], {"out": "s.txt"}, "saved as .html or .json"),
        (["rosenbrock"], {"figures": "/nowhere/at/all"}, "its parent folder does not exist"),
    ],
)
def test_bad_requests_are_answered_before_anything_runs(
    problems: Any, options: dict[str, Any], told: str
) -> None:
    ran: list[str] = []
    with pytest.raises(ThalwegError, match=re.escape(told)):
        study(problems, ["SGD"], progress=lambda what, done, total: ran.append(what), **options)
    assert not ran


@pytest.fixture
def mixed(tmp_path: Path) -> list[str]:
    """A problem of the library, two tables in different formats, and a function of the user's own."""
    rows = [(k % 7, k % 5, 3 * (k % 7) - (k % 5) + k / 100) for k in range(60)]
    cells = [f"{a};{b};{str(y).replace('.', ',')}\n" for a, b, y in rows]
    (tmp_path / "houses.csv").write_text("a;b;price\n" + "".join(cells))
    (tmp_path / "rows.svm").write_text("".join(f"{y} 1:{a} 2:{b}\n" for a, b, y in rows))
    (tmp_path / "bowl.py").write_text("def f(x):\n    return float(x @ x)\n")
    return ["rosenbrock", *(str(tmp_path / n) for n in ("houses.csv", "rows.svm", "bowl.py:f"))]


def test_an_option_goes_to_the_problems_that_it_concerns(mixed: list[str]) -> None:
    few: dict[str, Any] = {"methods": ["SGD", "Adam"], "trials": 1, "seeds": 1, "steps": 5, "workers": 0}
    data = study(
        mixed, target="price", l2=0.5, start=[1.0, 2.0], reading={"decimal": ","}, select="validation", **few
    ).data
    tables = ["houses.csv", "rows.svm"]
    assert data["settings"]["only"] == {
        "target": ["houses.csv"], "l2": tables, "start": ["f"], "decimal": ["houses.csv"], "select": tables
    }  # fmt: skip
    assert "an L2 penalty of 0.5" in data["races"][1]["text"]
    assert "target: column 'price'" in data["races"][1]["text"]
    told = sentences(data)
    assert (
        "target concerns houses.csv alone." in told and "l2 concerns houses.csv and rows.svm alone." in told
    )
    assert (
        "--decimal , " in data["settings"]["command"] + " " and "reading" not in data["settings"]["command"]
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"target": "price"}, "rosenbrock: target: only a table's file takes that"),
        ({"start": [1.0, 2.0]}, "rosenbrock: start: only a function of yours takes that"),
        ({"measure": "accuracy"}, "rosenbrock: measure: only a training loop takes that"),
        ({"reading": {"decimal": ","}}, "rosenbrock: decimal: only a table's file takes that"),
        ({"select": "validation"}, "rosenbrock has no validation rows"),
        ({"batch": 8}, "race: batch: got 8, and rosenbrock has no rows to choose from: leave it out"),
    ],
)
def test_an_option_that_concerns_no_problem_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(MisplacedOptionError, match=re.escape(told)):
        study(["rosenbrock", "beale"], ["SGD"], workers=0, **given)
    with pytest.raises(MisplacedOptionError, match=re.escape(told)):
        study([{"name": "rosenbrock", **given}, "beale"], ["SGD"], workers=0)
    with pytest.raises(MisplacedOptionError, match=re.escape(told)):
        race("rosenbrock", ["SGD"], workers=0, **given)


def test_an_option_of_another_kind_is_not_passed_over_in_silence(mixed: list[str]) -> None:
    _, table, _, function = mixed
    for problem, given, told in (
        (table, {"target": "price", "start": [1.0]}, "start: only a function of yours takes that"),
        (function, {"start": [1.0], "measure": "loss"}, "measure: only a training loop takes that"),
        (lambda x: float(x @ x), {"start": [1.0], "target": "y"}, "target: only a table's file takes that"),
        (lambda x: float(x @ x), {"start": [1.0], "batch": 4}, "has no rows to choose from"),
    ):
        with pytest.raises(MisplacedOptionError, match=re.escape(told)):
            race(problem, ["SGD"], workers=0, **given)  # type: ignore[arg-type]


FILE = """\
problems = ["rosenbrock"]
methods = ["SGD", "Adam"]
trials = 5

[[problem]]
name = "beale"   # with fewer steps
steps = 60

[[problem]]
name = "quadratic"
"""


def test_a_file_says_what_the_call_says(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(FILE)
    arguments = from_file(path, {"seeds": 3, "trials": 2, "steps": 120})
    assert arguments == {
        "problems": [{"name": "rosenbrock"}, {"name": "beale", "steps": 60}, {"name": "quadratic"}],
        "methods": ["SGD", "Adam"],
        "trials": 2,
        "seeds": 3,
        "steps": 120,
    }
    made = study(**arguments)  # type: ignore[arg-type]
    assert [r.data["settings"]["steps"] for r in made.races] == [120, 60, 120]  # a problem's own option stays


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("trials = 5", "trails = 5", "line 3: unknown key 'trails': did you mean 'trials'"),
        ("steps = 60", "setps = 60", "line 7: unknown key 'setps' of a problem: did you mean 'steps'"),
        ('name = "quadratic"', "", "line 9: a [[problem]] needs a name"),
        ("[[problem]]", "[problem]", "line 5: a problem with options of its own begins with [[problem]]"),
        ('["rosenbrock"]', '"rosenbrock"', "line 1: problems must be a list of names"),
        ("[[problem]]", "[[problems2]]", "line 5: unknown key 'problems2': did you mean 'problems'"),
        ("trials = 5", "trials =", "is not TOML: Invalid value (at line 3, column 9)"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "study.toml"
    text = FILE.replace(old, new, 1)
    if old == "[[problem]]":
        text = text.split("\n[[problem]]")[0]
    path.write_text(text)
    with pytest.raises(FileError, match=re.escape(told)) as raised:
        from_file(path, {})
    assert "\n" not in str(raised.value)
    with pytest.raises(FileError, match="cannot be read"):
        from_file(tmp_path / "none.toml", {})


def test_the_page_is_one_file_and_holds_what_its_script_computes_from(made: Study) -> None:
    page = made.html()
    assert not re.search(r"(src|href)=.?https?://", page)
    (held,) = re.findall(r'<script type="application/json" id="profile-data">(.*?)</script>', page)
    data = json.loads(held)
    table = np.array([[np.inf if t is None else t for t in row] for row in data["times"]])
    scores = measures.score(measures.ratios(table), data["r_max"])
    assert [m["name"] for m in data["methods"]] == [r["method"] for r in made.data["methods"]]
    assert scores.tolist() == pytest.approx([r["score"] for r in made.data["methods"]])
    for title in (
        "Problem by problem",
        "Data profile",
        "How much tuning it takes",
        "What contains what",
        "Was the comparison fair?",
    ):
        assert title in page
    assert (
        page.count('class="scroll"')
        == page.count('class="scroll" tabindex="0" role="region" aria-label="')
        > 3
    )
    assert page.count('<th scope="col"><button type="button">') == 3  # what the table of methods is sorted by


@pytest.mark.slow
def test_figures_are_written_at_a_columns_width_and_tables_with_all_digits(
    made: Study, tmp_path: Path
) -> None:
    folder = tmp_path / "figures"
    data = study_summary([made.races[0].data], PROBLEMS[:1], {}, True, "")
    written = figures.of_study(data, folder)
    assert {p.relative_to(folder).as_posix() for p in written} == {
        *(f"{n}{s}" for n in ("solved", "profile", "data-profile", "tuning") for s in (".svg", ".pdf")),
        *(f"rosenbrock/{n}{s}" for n in ("loss", "rate", "sensitivity", "contour") for s in (".svg", ".pdf")),
        *(f"{n}{s}" for n in ("methods", "problems", "rosenbrock/methods") for s in (".csv", ".tex")),
        "times.csv", "rosenbrock/runs.csv",
    }  # fmt: skip
    for path in written:
        if path.suffix == ".svg":
            assert 'width="252pt"' in path.read_text()
        elif path.suffix == ".pdf":
            assert re.search(rb"/MediaBox \[ 0 0 252 [\d.]+ \]", path.read_bytes())
    rows = list(csv.DictReader((folder / "problems.csv").read_text().splitlines()))
    medians = {r["method"]: r["loss"]["median"] for r in made.races[0].data["methods"]}
    assert {r["method"]: float(r["rosenbrock"]) for r in rows} == medians
    tex = (folder / "rosenbrock" / "methods.tex").read_text()
    assert r"10 \% & 90 \%" in tex and tex.count(r"\\") == 3
    with pytest.raises(FileError, match="is a file; name a folder"):
        files.require_folder(folder / "times.csv")


CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.slow
def test_scores_are_computed_again_in_a_browser_when_a_method_is_hidden(tmp_path: Path) -> None:
    """The page's numbers are those of the measures, for all methods and for those that are left."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium")
    made = study(PROBLEMS, ["SGD", "Adam", "Momentum"], trials=5, seeds=6, steps=120)
    path = tmp_path / "study.html"
    made.save(path)
    names = [r["method"] for r in made.data["methods"]]
    table = made.data["times"]
    times = np.array(
        [
            [
                np.inf if t is None else t
                for t, m in zip(table["time"], table["method"], strict=True)
                if m == n
            ]
            for n in names
        ]
    )

    def expected(shown: list[int]) -> dict[str, str]:
        scores = measures.score(measures.ratios(times[shown]))
        return {names[k]: f"{s:.2f}" for k, s in zip(shown, scores, strict=True)}

    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        for width in (1280, 390):
            seen = opened.new_page(viewport={"width": width, "height": 900})
            wrong: list[str] = []
            seen.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
            seen.goto(path.as_uri())
            cells = {n: seen.locator(f'[data-score="{n}"] td').first for n in names}
            assert {n: c.inner_text() for n, c in cells.items()} == expected([0, 1, 2])
            seen.locator(f'[data-show="{names[0]}"]').click()
            assert {n: c.inner_text() for n, c in cells.items() if n != names[0]} == expected([1, 2])
            assert cells[names[0]].inner_text() == "–"
            assert seen.locator("#profile-plot path.line").count() == 2
            assert seen.evaluate("document.documentElement.scrollWidth") <= width
            assert not wrong
        opened.close()


@pytest.mark.slow
def test_the_command_line_runs_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several problems are a study, and so is a file; an option that is written takes the place of the file's."""
    from typer.testing import CliRunner

    from thalweg.cli.program import app

    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(FILE)
    told = CliRunner().invoke(
        app, ["race", "--config", "study.toml", "--seeds", "2", "--json", "s.json", "--no-store"]
    )
    assert told.exit_code == 0, told.output
    data = json.loads(Path("s.json").read_text())
    assert data["settings"]["seeds"] == 2 and data["settings"]["problems"] == PROBLEMS
    assert [r["settings"]["trials"] for r in data["races"]] == [5, 5, 5]
    assert Path("study.html").exists() and "Report: study.html" in told.output
    assert "score" in told.output and "Not kept" in told.output
    wrong = CliRunner().invoke(app, ["race", "rosenbrock", "beele"])
    assert wrong.exit_code != 0 and "did you mean 'beale'" in wrong.output


def test_loops_of_one_name_are_told_apart_by_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file, power in (("a.py", 2), ("b.py", 4)):
        Path(file).write_text(f"def f(x):\n    return float((x**{power}).sum())\nf.start = [1.0, 2.0]\n")
    settings: dict[str, Any] = {"trials": 2, "seeds": 2, "steps": 20, "workers": 0}
    made = study(["a.py:f", "b.py:f"], "SGD,Adam(lr=0.1, beta1=0.8)", **settings)
    assert [r["problem"] for r in made.data["races"]] == ["a.py:f", "b.py:f"]
    assert made.html()
    with pytest.raises(HyperparameterError, match=r"problem a\.py:f is named twice"):
        study(["a.py:f", "a.py:f"], ["SGD"], **settings)


def test_a_function_may_have_options_of_its_own() -> None:
    def bowl(x: Any) -> float:
        return float(x @ x)

    settings: dict[str, Any] = {"trials": 2, "seeds": np.int64(2), "steps": 20, "workers": 0}
    made = study([{"name": bowl, "start": [1.0, 2.0]}, "beale"], ["SGD", "Adam"], **settings)
    assert [r["problem"] for r in made.data["races"]] == ["bowl", "beale"]
    assert json.loads(made.json())["races"][0]["settings"]["seeds"] == 2
    assert made.data["settings"]["command"] == ""
    with pytest.raises(HyperparameterError, match=r"needs a name, got name=3 in \{'name': 3\}"):
        study([{"name": 3}], ["SGD"], **settings)
