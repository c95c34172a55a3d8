"""A user's own rules and problems are values that travel: by file, content and name, with their dialect."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.core.saved_rule import packed, unpacked
from thalweg.errors import FileError, HyperparameterError, UnknownProblemError
from thalweg.lab.methods import code, method, spelling
from thalweg.problems import problem

MINE = """
from thalweg import Rule, Scalar, nonnegative, row, rule


def clock(t, lr):
    return {{"size": {factor} * lr}}


def twice(t, lr):
    return {{"size": 2 * lr}}


def step(w, g, /, size):
    return w - size * g


@rule(step, clock=clock, dialects={{"half": row(names={{"eta": "lr"}}, clock=twice, lr=0.5)}})
class Mine(Rule):
    lr: Scalar = nonnegative(default=0.25, unit="w/g")
"""

BOWL = """
import numpy as np
from thalweg.problems import Problem


class Bowl(Problem):
    name = "bowl"
    title = "A bowl"
    text = "A bowl."
    loss_name = "f"
    steps = 20

    def start(self, seed):
        return np.full(3, 1.0 + seed % 7)

    def gradient(self, params, rows=None):
        return {slope} * params

    def loss(self, params):
        return float({slope} / 2 * params @ params)


bowl = Bowl()
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "a" / "mine.py"
    file.parent.mkdir()
    file.write_text(MINE.format(factor=1))
    return file


def moved(text: str) -> float:
    w = np.zeros(1)
    method(text).rule.on(w).step(np.ones(1))
    return float(w[0])


def test_two_files_of_one_name_are_two(mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "b" / "mine.py"
    other.parent.mkdir()
    other.write_text(MINE.format(factor=3))
    assert moved(f"{mine}:Mine") == -0.25 and moved(f"{other}:Mine") == -0.75
    assert method(f"{mine}:Mine").rule != method(f"{other}:Mine").rule


def test_a_file_that_was_edited_is_run_again(mine: Path) -> None:
    before = method(f"{mine}:Mine").rule
    assert method(f"{mine}:Mine").rule == before
    mine.write_text(MINE.format(factor=5))
    assert moved(f"{mine}:Mine") == -1.25


def test_a_dialect_of_ones_own_rule_can_be_named(mine: Path) -> None:
    named = method(f"{mine}:Mine:half")
    assert named.name == "Mine:half" and named.rule.dialect == "half" and named.rule.values == {"lr": 0.5}
    assert method(f"{mine}:Mine:half(eta=0.1)").rule.values == {"lr": 0.1}
    assert moved(f"{mine}:Mine:half") == -1.0
    with pytest.raises(HyperparameterError, match="did you mean 'half'"):
        method(f"{mine}:Mine:hlaf")
    assert tw.diff(f"{mine}:Mine:half", f"{mine}:Mine", steps=3).a.name == "Mine:half"


@pytest.mark.parametrize("tail", ["Mine", "Mine:half", "Mine(lr=0.125)", "Mine:half(eta=0.125)"])
def test_a_rule_travels_with_its_dialect_and_values(mine: Path, tail: str) -> None:
    rule = method(f"{mine}:{tail}").rule
    plain = packed(rule)
    assert json.loads(json.dumps(plain)) == plain
    assert unpacked(plain) == rule
    assert method(spelling(rule)).rule == rule
    script = (
        "import json, sys, numpy as np\nfrom thalweg.core.saved_rule import unpacked\n"
        "w = np.zeros(1); unpacked(json.loads(sys.argv[1])).on(w).step(np.ones(1)); print(w[0])"
    )
    arguments = [sys.executable, "-c", script, json.dumps(plain)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert float(done.stdout) == moved(f"{mine}:{tail}")


def test_a_worker_refuses_a_file_that_was_edited_meanwhile(mine: Path) -> None:
    plain = packed(method(f"{mine}:Mine").rule)
    mine.write_text(MINE.format(factor=7))
    with pytest.raises(FileError, match="was edited while it was in use"):
        unpacked(plain)


def test_a_schedule_travels() -> None:
    rule = tw.Adam(lr=tw.warmup(tw.cosine(0.1, steps=9), steps=3))
    lines = code(rule)
    assert lines is not None
    names: dict[str, object] = {}
    exec("\n".join([*lines.imports, f"rule = {lines.expression}"]), names)
    assert names["rule"] == rule
    assert spelling(rule) == ""


@pytest.mark.parametrize(
    "rule", [tw.Adam(), tw.Adam(lr=0.5), tw.Adam.like("keras", epsilon=1e-3), tw.RMSprop.like("torch")]
)
def test_the_librarys_rules_are_spelled(rule: tw.Rule) -> None:
    assert method(spelling(rule)).rule == rule


def test_saving_never_runs_a_users_file(mine: Path, tmp_path: Path) -> None:
    rule = method(f"{mine}:Mine:half").rule
    opt = rule.on(np.zeros(2))
    opt.step(np.ones(2))
    opt.save(tmp_path / "run.tw")
    mine.write_text("raise SystemExit('was run')")
    with pytest.raises(HyperparameterError, match="rule of your own: pass rule=Mine"):
        tw.load(tmp_path / "run.tw", np.zeros(2))
    assert tw.load(tmp_path / "run.tw", np.zeros(2), rule=type(rule)).rule == rule


def test_a_problem_of_ones_own_is_named_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "bowls.py"
    file.write_text(BOWL.format(slope=2.0))
    for name in ("bowl", "Bowl"):
        made = problem(f"{file}:{name}")
        assert made.loss(np.ones(3)) == 3.0
        assert made.source is not None and made.source.name == f"{file}:{name}"
    with pytest.raises(UnknownProblemError, match="did you mean 'bowl'"):
        problem(f"{file}:bowll")
    before = tw.race(f"{file}:bowl", ["SGD"], trials=1, seeds=2, steps=5).columns["loss"]
    file.write_text(BOWL.format(slope=4.0))
    after = tw.race(f"{file}:bowl", ["SGD"], trials=1, seeds=2, steps=5).columns["loss"]
    assert before != after


def test_what_a_report_prints_runs_when_pasted(mine: Path, tmp_path: Path) -> None:
    file = tmp_path / "bowls.py"
    file.write_text(BOWL.format(slope=2.0))
    made = tw.race(f"{file}:bowl", [f"{mine}:Mine:half", f"{mine}:Mine"], trials=2, seeds=2, steps=10)
    command = shlex.split(made.data["settings"]["command"])
    out = tmp_path / "again.json"
    arguments = [sys.executable, "-m", *command, "--out", str(tmp_path / "r.html"), "--json", str(out)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [r["loss"] for r in json.loads(out.read_text())["methods"]] == [
        r["loss"] for r in made.data["methods"]
    ]
    done = subprocess.run([sys.executable, "-c", made.data["code"]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.isfinite(float(done.stdout.split()[0]))


def test_what_no_command_line_can_name_is_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "bowls.py"
    file.write_text(BOWL.format(slope=2.0))
    own = type(problem(f"{file}:bowl"))()
    made = tw.race(own, ["SGD"], trials=1, seeds=2, steps=5)
    assert made.data["settings"]["command"] == "" and made.data["code"] == ""
    assert "To run it again" not in made.html()
    made = tw.race(problem("beale"), [tw.Adam(lr=0.5)], trials=1, seeds=2, steps=5)
    assert "race beale --methods 'Adam(lr=0.5)'" in made.data["settings"]["command"]
