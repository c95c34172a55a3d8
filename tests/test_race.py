"""The race: fair, repeatable, interruptible, and reported as it was."""

import json
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import thalweg as tw
from thalweg.cli.program import app
from thalweg.errors import FileError, HyperparameterError, MisplacedOptionError, UnknownProblemError
from thalweg.lab import again, ranges, search
from thalweg.lab import methods as naming
from thalweg.lab.budget import Budget
from thalweg.lab.performing import Performer
from thalweg.lab.race import prepare
from thalweg.lab.race_options import NAMES, RaceOptions
from thalweg.lab.statistics import quantile, steps_to
from thalweg.lab.trial import Trial
from thalweg.problems import landscape

from .races import without_times


def numbers(race: Any) -> Any:
    """Everything but times and the machine."""
    data = without_times(race.json())
    del data["versions"]
    return data


def test_every_method_gets_the_same_trials_and_quantiles() -> None:
    made = tw.race("rosenbrock", trials=6, seeds=3, steps=60)
    columns = made.columns
    assert sorted(columns["method"]) == sorted(naming.NINE)
    assert len(set(columns["trials"])) == 1
    assert 6 <= columns["trials"][0] <= 6 + search.ROUNDS
    drawn = search.quantiles(6 + search.ROUNDS, 1, 0)[:, 0]
    for name in naming.NINE:
        span = ranges.space(naming.method(name))["lr"]
        lrs = [lr for m, lr in zip(made.trials["method"], made.trials["lr"], strict=True) if m == name][:6]
        places = [np.log(lr / span.low) / np.log(span.high / span.low) for lr in lrs]
        shift = np.array(places) - drawn[:6]
        assert np.ptp(shift) < 1e-3  # the same quantiles, of a range that may be scaled with the start


def test_tuning_and_test_seeds_are_disjoint() -> None:
    for seed in (0, 1, 7):
        s = Budget(5, 900, 10, 1, seed)
        assert not set(s.tuning) & set(s.test)
        assert not (set(s.tuning) | set(s.test)) & set(s.finals)
        assert not set(s.test) & set(Budget(5, 900, 10, 1, seed + 1).tuning)


def test_finalists_are_judged_by_all_seeds_that_do_not_report() -> None:
    """Their losses are medians over the tuning seeds and those added for finals together, of which they are runs."""
    prepared = prepare("neuron-sparse", ["SGD"], RaceOptions(trials=6, seeds=2, steps=80))
    prepared.run()
    (entry,), budget = prepared.entries, prepared.budget
    search = entry.search
    assert len(search.finals) == len(search.finalists) > 1
    for seeds, losses in (
        (budget.tuning, dict(enumerate(search.losses))),
        ([*budget.tuning, *budget.finals], search.finals),
    ):
        for i, loss in losses.items():
            rates = {"lr": np.array([search.tried[i]["lr"]], dtype=float)}
            trial = Trial(search.entrant.runs, prepared.source, 80, seeds, batch=budget.batch, vary=rates)
            assert loss == pytest.approx(quantile(trial.run().final("loss")[0], 0.5), rel=1e-12)


def test_seeds_are_paired_between_methods() -> None:
    """Two names for one rule run the same numbers."""
    made = tw.race(
        "neuron-sparse",
        [tw.Adam(), tw.Adam(eps=1e-8, epoch=1.0).replace(eps_root=1e-300)],
        trials=3,
        seeds=4,
        steps=50,
    )
    a, b = made.data["methods"]
    assert a["loss"] == b["loss"]


@pytest.mark.parametrize("problem", ["beale", "breast-cancer"])
def test_same_seed_same_numbers(problem: str) -> None:
    settings: dict[str, Any] = {"methods": ["SGD", "Adam"], "trials": 3, "seeds": 3, "steps": 40}
    assert numbers(tw.race(problem, seed=3, **settings)) == numbers(tw.race(problem, seed=3, **settings))
    assert numbers(tw.race(problem, seed=4, **settings)) != numbers(tw.race(problem, seed=3, **settings))


@pytest.mark.slow
def test_same_numbers_on_any_number_of_cores(tmp_path: Path) -> None:
    """One core and all of them, in processes of their own."""
    made = []
    for cores in ("{0}", "os.sched_getaffinity(0)"):
        out = tmp_path / f"{len(made)}.json"
        code = (
            f"import os; os.sched_setaffinity(0, {cores})\nimport thalweg as tw\n"
            f"if __name__ == '__main__':\n    tw.race('digits', ['SGD', 'Adam'], trials=3, seeds=3, steps=60, json={str(out)!r})\n"
        )
        script = tmp_path / "run.py"
        script.write_text(code)
        subprocess.run([sys.executable, str(script)], check=True)
        data = without_times(out.read_text())
        del data["versions"]
        made.append(data)
    assert made[0] == made[1]


def test_every_run_on_fresh_seeds_is_a_row_with_the_steps_to_three_targets() -> None:
    made = tw.race("rosenbrock", ["SGD", "Adam"], trials=6, seeds=3, steps=200)
    runs, floor, settings = made.data["runs"], made.data["floor"], made.data["settings"]
    assert floor is not None
    assert floor == {"loss": 0.0, "known": True, "shares": [0.1, 1e-3, 1e-5], "consecutive": 1}
    assert runs["method"] == ["SGD"] * 3 + ["Adam"] * 3
    assert runs["seed"] == [1000, 1001, 1002] * 2
    assert not set(runs["seed"]) & set(settings["selection_seeds"])
    assert runs["start"][:3] == runs["start"][3:]  # paired
    for row in made.data["methods"]:
        own = [k for k, m in enumerate(runs["method"]) if m == row["method"]]
        assert quantile([runs["loss"][k] for k in own], 0.5) == row["loss"]["median"]
        assert quantile([runs["to_0.001"][k] or np.inf for k in own], 0.5) == (
            row["steps_to_target"] or np.inf
        )
        for k in own:
            met = [runs[f"to_{share:g}"][k] for share in floor["shares"]]
            assert [m for m in met if m is not None] == sorted(m for m in met if m is not None)


def test_a_noisy_loss_must_hold_its_target_in_both_tables() -> None:
    """On three records in a row; one that dips below it by chance is not there yet."""
    made = tw.race("digits", ["SGD", "Momentum"], trials=2, seeds=5, steps=120, batch=1)
    runs, floor = made.data["runs"], made.data["floor"]
    assert floor is not None and floor["consecutive"] == 3 and not floor["known"]
    for row in made.data["methods"]:
        met = [m for name, m in zip(runs["method"], runs["to_0.1"], strict=True) if name == row["method"]]
        assert quantile([m or np.inf for m in met], 0.5) == (row["steps_to_target"] or np.inf)


ASKED: dict[str, tuple[str, RaceOptions]] = {
    "table": (
        "t.csv",
        RaceOptions(
            target="y",
            drop=("a", "b c"),
            l2=0.5,
            model="network",
            reading={"skip_lines": 1, "comment": "#", "na": ("7", "x"), "header": False},
            select="loss",
            seeds=3,
            steps=9,
            batch=4,
            seed=2,
            trials=7,
        ),
    ),
    "function": ("f.py:f", RaceOptions(start=(1.5, -2e-3), tune="lr,beta1", range={"lr": (1e-4, 1.0)})),
    "loop": ("train.py:train", RaceOptions(measure="accuracy", maximize=True, sampler="optuna")),
    "name": ("rosenbrock", RaceOptions(tune=("lr", "schedule"), range={"schedule": ("cosine", "constant")})),
}


@pytest.mark.parametrize("kind", ASKED)
def test_the_command_asks_for_the_same_race(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line, parsed, makes the same source and the same budget, whatever the options."""
    name, options = ASKED[kind]
    source = options.source(name)
    source = replace(source, reading=tuple(sorted(source.reading)))
    budget = replace(options.plan(landscape("beale")), select="loss")
    asked: dict[str, Any] = {}

    def take(problem: str, **given: Any) -> None:
        asked.update(given, problem=problem)
        raise HyperparameterError("taken")

    monkeypatch.setattr("thalweg.lab.race.race", take)
    words = shlex.split(again.command(source, kind == "table", budget, ["SGD", "mine.py:Rule(lr=0.1)"]))
    assert words[0] == "thalweg"
    CliRunner().invoke(app, words[1:])
    again_asked = RaceOptions(**{n: v for n, v in asked.items() if n in NAMES})
    made = again_asked.source(asked["problem"])
    assert replace(made, reading=tuple(sorted(made.reading))) == source
    assert replace(again_asked.plan(landscape("beale")), select="loss") == budget
    assert again_asked.select == ("loss" if kind == "table" else None)
    assert asked["methods"] == ["SGD", "mine.py:Rule(lr=0.1)"]


def test_digits_are_learnt() -> None:
    made = tw.race("digits", ["Adam"], trials=4, seeds=3, steps=300)
    assert made.columns["metric"][0] >= 0.94
    assert made.data["outsider"]["metric"] >= 0.94
    assert made.data["rates"]["median"][0] > 0


def test_the_code_rebuilds_the_winner() -> None:
    """The lines of the report run, and end where the first fresh seed ended."""
    made = tw.race("breast-cancer", ["SGD", "Adagrad"], trials=3, seeds=1, steps=60)
    done = subprocess.run(
        [sys.executable, "-c", made.data["code"]], capture_output=True, text=True, check=True
    )
    loss, metric = map(float, done.stdout.split())
    best = made.data["methods"][0]
    assert loss == pytest.approx(best["loss"]["median"], rel=1e-9)
    assert metric == pytest.approx(best["metric"]["median"], rel=1e-9)


def test_divergence_is_counted_and_never_averaged() -> None:
    made = tw.race("quadratic", ["SGD"], trials=8, seeds=3, steps=60)
    row = made.data["methods"][0]
    assert row["diverged"] == sum(x is None for x in made.trials["loss"])
    assert row["diverged"] > 0
    assert quantile([1.0, 2.0, np.inf], 0.5) == 2.0
    assert quantile([1.0, np.inf, np.inf], 0.5) == np.inf
    assert quantile([1.0, 3.0], 0.5) == 2.0


def test_steps_to_a_target_must_hold_when_the_loss_is_noisy() -> None:
    loss, steps = np.array([9.0, 1.0, 9.0, 1.0, 1.0, 1.0]), np.arange(6) * 10
    assert steps_to(loss, steps, 2.0, 1) == 10
    assert steps_to(loss, steps, 2.0, 3) == 30
    assert steps_to(loss, steps, 0.5, 1) == np.inf


def test_json_has_the_promised_shape(tmp_path: Path) -> None:
    out, page = tmp_path / "race.json", tmp_path / "race.html"
    tw.race("beale", ["Adam", "SGD"], trials=2, seeds=2, steps=30, json=out, out=page)
    data = json.loads(out.read_text())
    assert data["version"] == 1
    assert {"problem", "settings", "methods"} <= set(data)
    for row in data["methods"]:
        assert set(row) >= {
            "method",
            "rule",
            "lr",
            "loss",
            "metric",
            "steps_to_target",
            "us_per_step",
            "diverged",
            "trials",
        }
        assert set(row["loss"]) == {"median", "p10", "p90"}
    text = page.read_text()
    assert "Beale" in text
    assert text.count("<svg") >= 4
    assert not re.search(r"(src|href)=.?https?://", text)  # one file, no network


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"problem": "beele"}, UnknownProblemError, "did you mean 'beale'"),
        ({"problem": "beale", "methods": ["Adm"]}, HyperparameterError, "did you mean 'Adam'"),
        ({"problem": "beale", "methods": ["Adam:kears"]}, HyperparameterError, "did you mean 'keras'"),
        ({"problem": "beale", "methods": []}, HyperparameterError, "name at least one"),
        ({"problem": "beale", "methods": ["Adam", "adam"]}, HyperparameterError, "named twice"),
        (
            {"problem": "beale", "trials": 0},
            HyperparameterError,
            "trials must be a whole number >= 1, got 0",
        ),
        ({"problem": "beale", "seeds": 1.5}, HyperparameterError, "seeds must be a whole number"),
        ({"problem": "beale", "out": "/nowhere/race.html"}, FileError, "its folder does not exist"),
        ({"problem": "beale", "out": "race.txt"}, FileError, "saved as .html or .json"),
        ({"problem": "missing.csv"}, FileError, "missing.csv"),
        ({"problem": "beale", "methods": ["nowhere.py:X"]}, FileError, "no such file"),
    ],
)
def test_bad_requests_are_answered_before_anything_runs(
    arguments: dict[str, Any], error: type[Exception], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Performer, "perform", None)  # nobody may call it
    with pytest.raises(error, match=re.escape(told)) as raised:
        tw.race(**arguments)
    assert "\n" not in str(raised.value)


def test_a_users_table_and_a_users_rule(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    price = x @ [1.0, -2.0, 0.5] + 0.1 * rng.standard_normal(200)
    table = tmp_path / "houses.csv"
    rows = "\n".join(",".join(f"{v:.6f}" for v in (*r, p)) for r, p in zip(x, price, strict=True))
    table.write_text(f"a,b,c,price\n{rows}\n")
    rule = tmp_path / "halved.py"
    rule.write_text(
        "from thalweg import Rule, Scalar, nonnegative, rule\n\n\ndef step(w, g, /, lr):\n    return w - lr * g / 2\n\n\n"
        "@rule(step)\nclass Halved(Rule):\n    lr: Scalar = nonnegative(default=0.1, unit='w/g')\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "thalweg.cli",
            "race",
            str(table),
            "--target",
            "price",
            "--methods",
            f"Adam,{rule}:Halved",
            "--trials",
            "3",
            "--seeds",
            "3",
            "--steps",
            "100",
            "--out",
            str(tmp_path / "r.html"),
            "--json",
            str(tmp_path / "r.json"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("method\trate\tloss\t10-90 %\t")
    assert len(lines) == 3
    data = json.loads((tmp_path / "r.json").read_text())
    assert {r["method"] for r in data["methods"]} == {"Adam", "Halved"}
    assert max(r["metric"]["median"] for r in data["methods"]) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "trials"), [("tuning", "400"), ("fresh seeds", "2")])
def test_ctrl_c_writes_what_is_done(tmp_path: Path, phase: str, trials: str) -> None:
    """As soon as a phase is said to begin, which has minutes to go."""
    page, numbers = tmp_path / "race.html", tmp_path / "race.json"
    arguments = f"race digits --trials {trials} --seeds 2000 --out {page} --json {numbers}"
    child = subprocess.Popen(
        [sys.executable, "-m", "thalweg.cli", *arguments.split()],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stderr is not None
    assert any(line.startswith(f"{phase}: 0/") for line in child.stderr)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1, err
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert page.read_text().count("<svg") >= 1
    data = json.loads(numbers.read_text())
    assert data["finished"] is False
    assert len(data["methods"]) == 9
    assert phase == "tuning" or all(method["trials"] >= 2 for method in data["methods"])


def test_trials_done_before_an_interrupt_are_kept() -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == 14:
            raise KeyboardInterrupt

    made = tw.race("rosenbrock", trials=4, seeds=2, steps=20, progress=stop)
    assert made.data["finished"] is False
    assert sorted(made.columns["trials"]) == [1, 1, 1, 1, 2, 2, 2, 2, 2]


def test_a_run_that_climbs_onto_a_plateau_has_not_diverged() -> None:
    """Easom's start lies a hair below 0; a thousand times that hair is no divergence, above all not upwards."""
    made = tw.race("easom", ["Adam"], trials=4, seeds=6, steps=200)
    (row,) = made.data["methods"]
    assert row["loss"]["p90"] is not None
    assert row["diverged"] == 0


def test_tables_choose_by_validation_and_never_by_the_test_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings stay where they are when the test rows become nonsense; by the training loss they may be others."""
    from thalweg.problems.linear import LeastSquares

    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 12))
    table = tmp_path / "t.csv"
    lines = [",".join(f"{v:.4f}" for v in (*r, r[0] + rng.standard_normal())) for r in x]
    table.write_text("\n".join([",".join([*"abcdefghijkl", "y"]), *lines]) + "\n")
    settings: dict[str, Any] = {"methods": ["SGD"], "trials": 4, "seeds": 2, "steps": 40}
    monkeypatch.setattr("thalweg.lab.workers.cores", lambda: 1)
    race = tw.race(table, **settings)
    assert race.data["settings"]["selection"] == "median final validation loss"
    by_loss = tw.race(table, select="loss", **settings)
    assert by_loss.data["settings"]["selection"] == "median final training loss"
    assert "--select loss" in by_loss.data["settings"]["command"]
    assert race.trials["lr"][:4] == by_loss.trials["lr"][:4] and race.trials["loss"] != by_loss.trials["loss"]
    floor = by_loss.data["floor"]
    assert (
        floor is not None and floor["known"] and floor["loss"] < min(v for v in by_loss.trials["loss"] if v)
    )
    assert by_loss.data["answers"][0]["scale"] == "gap"
    monkeypatch.setattr(LeastSquares, "metric", lambda *_: -1e9)  # in this process
    assert tw.race(table, **settings).columns["lr"] == race.columns["lr"]
    with pytest.raises(HyperparameterError, match="select: got 'test', allowed: loss, validation"):
        tw.race(table, select="test", **settings)
    with pytest.raises(
        MisplacedOptionError, match="select: got 'validation', allowed: loss; beale has no validation"
    ):
        tw.race("beale", select="validation", **settings)


def test_a_rate_that_was_given_is_tuned_and_that_is_said() -> None:
    rows = tw.race("booth", ["SGD(lr=0.01)", "Adam"], trials=2, seeds=1, steps=5).data["methods"]
    notes = {row["method"]: row["notes"] for row in rows}
    assert notes["SGD(lr=0.01)"][0] == "its own lr=0.01 is tuned as all others' are (trials=1 keeps it)"
    assert not any("its own" in note for note in notes["Adam"])
    (row,) = tw.race("booth", ["SGD(lr=0.01)"], trials=1, seeds=1, steps=5).data["methods"]
    assert row["lr"] == 0.01 and not any("its own" in note for note in row["notes"])


def test_steps_to_a_target_are_counted_finely() -> None:
    """Records lie within 6 % of each other, or a fortieth of the run; they begin with the first step and hold the end."""
    from thalweg.lab.race_runner import looks

    for steps in (1, 7, 100, 600, 20_000):
        at = looks(steps, 40)
        assert at[0] == 1 and at[-1] == steps
        gaps = np.diff(at)
        assert np.all(gaps <= np.maximum(1, np.minimum(0.06 * np.array(at[:-1]) + 0.5, max(1, steps // 40))))
        assert len(at) < 150


def test_leaving_the_domain_is_divergence() -> None:
    """The saddle falls for ever: who runs off it has not won with -1e144."""
    race = tw.race("saddle", ["SGD", "Adam"], trials=6, seeds=3, steps=400)
    assert all(v is None or v >= -101 for v in (*race.columns["loss"], *race.trials["loss"]))
    assert max(race.columns["diverged"]) > 0
    assert race.data["outsider"] is None  # its way has no end either
