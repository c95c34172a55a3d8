"""``thalweg diff``: what it says of two rules is what running them shows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import thalweg as tw
from thalweg.cli.program import app
from thalweg.errors import FileError, GradientError, HyperparameterError, NonFiniteError, UnknownProblemError
from thalweg.lab.diff import probe_gradients
from thalweg.lab.diff.run import Diff, diff
from thalweg.lab.diff_result import ROUNDING
from thalweg.lab.methods import method
from thalweg.problems import problem
from thalweg.problems.base import pack

from .paths.worlds import WORLDS, Common
from .strategies import FORMS, RULES

FEW = np.concatenate([g[:, :3] for g in probe_gradients.kinds(20).values()], axis=1)  # all kinds, cheap
# Each form with the next one of its rule, and the last with the first.
PAIRS = [
    (rule, forms[i], forms[(i + 1) % len(forms)])
    for rule in RULES
    for forms in [[d for r, d in FORMS if r == rule and d]]
    for i in range(len(forms))
    if len(forms) > 1
]


def stepped(rule: tw.Rule, gradients: Any, start: Any) -> Any:
    """The path by ``rule.on``: (T + 1, d)."""
    w = np.array(start, dtype=float)
    opt = rule.on(w, on_nonfinite="propagate", rates=False)
    path = [w.copy()]
    for g in gradients:
        opt.step(np.ascontiguousarray(g))
        path.append(w.copy())
    return np.stack(path)


def rows(path: Any) -> int:
    return int(np.argmin(np.append(np.isfinite(path).all(axis=1), False)))


def test_both_paths_are_the_optimizers() -> None:
    result = diff("RMSprop:torch", "RMSprop:keras(rho=0.95)", steps=100)
    gradients = np.concatenate(list(probe_gradients.kinds(100).values()), axis=1)
    start = probe_gradients.starts(gradients.shape[1])
    assert np.array_equal(result.gradients, gradients)
    assert np.array_equal(result.path_a, stepped(tw.RMSprop.like("torch"), gradients, start))
    assert np.array_equal(result.path_b, stepped(tw.RMSprop.like("keras", rho=0.95), gradients, start))


def test_a_problem_gives_each_its_own_gradients_on_the_same_batches() -> None:
    p = problem("zipf")
    result = diff("SGD(lr=0.1)", "Momentum(lr=0.1, beta=0.5)", problem=p, steps=5, seed=3)
    for rule, path in ((tw.SGD(lr=0.1), result.path_a), (tw.Momentum(lr=0.1, beta=0.5), result.path_b)):
        w = p.start(3)
        opt = rule.on(w)
        for t, batch in enumerate(p.batches(3, p.batch, 5), start=1):
            opt.step(p.gradient(w, batch))
            np.testing.assert_allclose(path[t], pack(w), rtol=1e-12, atol=1e-15)
        assert p.loss(w) in (pytest.approx(x, rel=1e-12) for x in result.loss or ())


def test_distances_first_step_and_ulps_by_hand() -> None:
    """Two steps of gradient descent at rates 1 and 1 + 2^-10, from 1."""
    rate = 1 + 2.0**-10
    result = diff(tw.SGD(lr=1.0), tw.SGD(lr=rate), gradients=[[0.0], [0.5], [0.25]], start=[1.0])
    assert result.path_a[:, 0].tolist() == [1.0, 1.0, 0.5, 0.25]
    assert result.path_b[:, 0].tolist() == [1.0, 1.0, 1 - 0.5 * rate, 1 - 0.75 * rate]
    assert result.share[:, 0].tolist() == [0.0, 0.0, 0.5 * 2.0**-10, 0.75 * 2.0**-10]
    assert result.first is not None and result.first == result.seen
    assert (result.first.step, result.first.coordinate, result.first.gradient) == (2, "w[0]", 0.5)
    assert (result.first.before, result.first.a, result.first.b) == (1.0, 0.5, 1 - 0.5 * rate)
    # The second step lands on 0.5 with a move of just over 0.5: an ulp there is 2^-24.
    assert result.ulps[2, 0] == 0.5 * 2.0**-10 / 2.0**-24
    assert [c.title for c in result.causes] == ["lr"]
    assert result.causes[0].share == {"w": 1.0}
    assert result.agreement is not None and result.agreement.settings == {"lr": 1.0}
    assert result.a.name == "SGD(lr=1)" and result.b.name == "SGD(lr=1.000976562)"


@pytest.mark.parametrize(("rule", "first", "second"), PAIRS)
def test_what_is_said_of_two_dialects_is_so(rule: str, first: str, second: str) -> None:
    """The causes are complete; the settings that are printed, given to ``like``, leave the distance that is printed."""
    kind = RULES[rule]
    result = diff(f"{rule}:{first}", f"{rule}:{second}", gradients=FEW)
    assert result.verdict == ("identical" if kind.like(first) == kind.like(second) else result.verdict)
    if result.agreement is None:
        assert np.array_equal(result.path_a, result.path_b) and not result.causes
        return
    # The causes are complete: every line and clock that differs is told, and the parts add up.
    told = {c.title for c in result.causes}
    lines = {s.line for s in result.settings if s.a != s.b}
    assert lines == {n for n in lines if n in told or (n.startswith("eps") and "place of eps" in told)}
    assert ("correction" in told) == (result.a.rule.clock is not result.b.rule.clock)
    if result.parts["w"] > ROUNDING:
        assert sum(c.share["w"] for c in result.causes) == pytest.approx(1.0)
    # What is said to come near does.
    for found in (result.agreement, *result.agreement.others):
        w = stepped(kind.like(second, **found.settings), FEW, np.zeros(FEW.shape[1]))
        keep = rows(w)
        left = np.abs(result.path_a[:keep] - w[:keep]).max() / result.sizes[0]
        assert left == pytest.approx(found.left["w"], rel=1e-6, abs=ROUNDING)
    assert result.agreement.exact == (
        not result.agreement.barred or max(result.agreement.left.values()) <= ROUNDING
    )


def test_parts_are_the_same_from_either_side() -> None:
    """And those of two settings are worked out by hand: the average of both orders."""
    back, forth = (
        diff(*names, gradients=FEW)
        for names in (("RMSprop:tf1", "RMSprop:torch"), ("RMSprop:torch", "RMSprop:tf1"))
    )
    parts = {c.title: c.share["w"] for c in back.causes}
    assert parts == pytest.approx({c.title: c.share["w"] for c in forth.causes})

    # From 0, four steps of g = 1: the distance of SGD-like Momentum is exact in small numbers.
    a, b = tw.Momentum(lr=1.0, beta=0.0), tw.Momentum(lr=0.5, beta=0.5)
    result = diff(a, b, gradients=np.ones((2, 1)), start=[0.0])
    # Ends: a -2, b -1.25, lr alone -1, beta alone -2.5; the distances are the largest of both steps.
    assert result.path_a[:, 0].tolist() == [0, -1, -2] and result.path_b[:, 0].tolist() == [0, -0.5, -1.25]
    d, lr_alone, beta_alone = 0.75, (1.0 + 0.75 - 0.25) / 2, (0.5 + 0.75 - 1.25) / 2
    assert {c.title: c.share["w"] for c in result.causes} == pytest.approx(
        {"lr": (lr_alone + d - beta_alone) / 2 / d, "beta": (beta_alone + d - lr_alone) / 2 / d}
    )


def test_the_textbook_answers() -> None:
    """What is known of these dialects from their libraries."""
    result = diff("RMSprop:torch", "RMSprop:keras", steps=100)
    causes = {c.title: c for c in result.causes}
    assert set(causes) == {"lr", "beta", "place of eps"}
    assert (causes["place of eps"].a, causes["place of eps"].b) == (
        "1e-08 outside the root",
        "1e-07 inside the root",
    )
    assert causes["lr"].share["smooth"] > 0.5
    assert max(causes, key=lambda n: causes[n].share["tiny"]) == "place of eps"
    assert result.agreement is not None and not result.agreement.exact
    assert result.agreement.settings == {"learning_rate": 0.01, "rho": 0.99, "epsilon": 1e-16}

    assert diff("Adam:torch", "Adam:optax", gradients=FEW).verdict == "identical"
    adam = diff("Adam:torch", "Adam:keras", gradients=FEW)
    assert {c.title for c in adam.causes} == {"eps", "correction"}
    assert adam.agreement is not None and "correction" in adam.agreement.barred[0]

    exact = diff("Adadelta:torch", "Adadelta:keras", gradients=FEW).agreement
    assert exact is not None and exact.exact
    assert exact.settings == {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6}

    ams = diff("AMSGrad:keras", "Adam:keras", gradients=FEW)
    assert [c.title for c in ams.causes] == ["recurrence"]
    assert ams.agreement is not None and ams.agreement.exact
    assert ams.agreement.settings == {"amsgrad": True}

    average = diff("Momentum:torch(momentum=0.9, lr=0.1)", "Momentum:slides(lr=0.1)", gradients=FEW).agreement
    assert average is not None and average.exact
    assert average.settings == {"eta": 1.0}

    betas = diff("Adamax:optax(b1=0.8)", "Adamax:torch", gradients=FEW).agreement
    assert betas is not None and betas.exact
    assert betas.settings == {"betas": (0.8, 0.999)} and betas.text == "betas=(0.8, 0.999)"

    moved = diff("RMSprop:torch(momentum=0.5)", "RMSprop:torch", gradients=FEW).agreement
    assert moved is not None and moved.exact
    assert moved.settings == {"momentum": 0.5}

    forms = diff("Momentum(lr=0.1)", "MomentumSutskever(lr=0.1)", gradients=FEW)
    assert forms.verdict == "equal up to rounding"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "first", "second"), [p for p in PAIRS if {p[1], p[2]} <= {"torch", "keras"}]
)
def test_the_libraries_themselves_part_so(rule: str, first: str, second: str) -> None:
    """Real PyTorch and Keras, float64: as they are, and with the settings that are said to come nearest."""
    result = diff(f"{rule}:{first}", f"{rule}:{second}")
    assert result.agreement is not None

    def library(world: str, given: dict[str, Any], lr: float) -> Any:
        rest = {n: v for n, v in given.items() if RULES[rule].parts.dialects[world].names[n] != "lr"}
        rest |= {"AMSGrad": {"amsgrad": True}, "RMSpropCentred": {"centered": True}}.get(rule, {})
        common = Common([lr] * result.steps)
        return WORLDS[world](rule, result.path_a[0], result.gradients, rest, common).w

    def apart(found: Any) -> dict[str, float]:
        share = np.abs(library(first, {}, result.a.rule.at(0)["lr"]) - found) / result.sizes
        return {n: float(share[:, k].max()) for n, k in result.kinds.items()}

    as_they_are = library(second, {}, result.b.rule.at(0)["lr"])
    assert apart(as_they_are) == pytest.approx(result.parts, rel=1e-3, abs=ROUNDING)
    follow = library(second, dict(result.agreement.settings), result.agreement.rule.at(0)["lr"])
    assert apart(follow) == pytest.approx(result.agreement.left, rel=1e-3, abs=ROUNDING)


def test_the_words_fit_the_numbers() -> None:
    same = diff("Adam:torch", "Adam:torch")
    assert same.verdict == "identical" and "identical" in repr(same) and list(same.sentences) == ["verdict"]
    result = diff("RMSprop:torch", "RMSprop:keras", steps=50)
    assert set(result.sentences) == {"verdict", "first", "why", "agree"}
    assert "step 1," in result.sentences["first"]
    assert "lr (0.01 against 0.001)" in result.sentences["why"]
    assert "epsilon=1e-16" in result.sentences["agree"]
    assert "alpha" in repr(result) and "rho" in repr(result)
    assert "<table" in result._repr_html_()


def test_the_same_lines_for_both() -> None:
    result = diff("RMSprop:torch", "RMSprop:keras", same={"lr": 0.02, "beta": 0.8}, steps=9)
    assert {s.line for s in result.settings if s.a != s.b} == {"eps", "eps_root"}
    assert result.a.rule.lr == result.b.rule.lr == 0.02
    assert result.command == "thalweg diff RMSprop:torch RMSprop:keras --same lr=0.02,beta=0.8 --steps 9"
    both = diff("Adam:torch", "AdamW:torch", same={"betas": (0.8, 0.9)}, gradients=FEW)
    assert both.b.rule.beta1 == 0.8
    for bad in ({"eps": 1e-3}, {"momentum": 0.9}, {"lr": -1.0}):
        with pytest.raises(HyperparameterError):
            diff("RMSprop:torch", "RMSprop:keras", same=bad)


def test_a_run_that_diverges_is_a_result() -> None:
    result = diff("SGD(lr=0.1)", "Adam", problem="rosenbrock")
    assert "SGD(lr=0.1) diverges at step" in result.note and result.note in result.sentences["verdict"]
    assert np.isfinite(result.path_a).all()
    json.loads(result.json())


def test_rules_as_values_and_schedules() -> None:
    result = diff(tw.Adam(lr=tw.cosine(1e-3, steps=40)), tw.Adam.like("optax"), gradients=FEW)
    assert result.agreement is not None and result.agreement.exact
    assert (result.a.world, result.b.world) == ("", "torch")  # the rows agree: torch's words


def test_every_kind_of_file(tmp_path: Path) -> None:
    result = diff(
        "Adam:torch", "Adam:keras", steps=30, out=tmp_path / "diff.html", json=tmp_path / "diff.json"
    )
    page = (tmp_path / "diff.html").read_text()
    assert page.startswith("<!doctype html>") and "thalweg diff Adam:torch Adam:keras --steps 30" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    told = json.loads((tmp_path / "diff.json").read_text())
    assert told["verdict"] == "different" and len(told["growth"]["smooth"]["share"]) == 31
    assert told["agreement"]["others"]
    for name in ("diff.svg", "diff.png"):
        result.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    diff("Adam:torch", "Adam:optax", steps=1, out=tmp_path / "same.html")
    assert "identical" in (tmp_path / "same.html").read_text()


def test_bad_input_is_told_before_anything_runs(tmp_path: Path) -> None:
    cases: list[tuple[type[Exception], dict[str, Any]]] = [
        (NonFiniteError, {"gradients": [[1.0, np.nan]]}),
        (GradientError, {"gradients": 3.0}),
        (GradientError, {"gradients": [[1], [2, 3]]}),
        (HyperparameterError, {"gradients": [[1.0]], "problem": "beale"}),
        (HyperparameterError, {"gradients": [[1.0]], "steps": 2}),
        (HyperparameterError, {"steps": 0}),
        (HyperparameterError, {"seed": -1, "problem": "zipf"}),
        (HyperparameterError, {"problem": "beale", "start": [np.nan, 1.0]}),
        (UnknownProblemError, {"problem": "nosuch"}),
        (FileError, {"out": tmp_path / "diff.doc"}),
        (FileError, {"json": tmp_path / "no" / "diff.json"}),
    ]
    for kind, given in cases:
        with pytest.raises(kind) as caught:
            diff("SGD", "Adam", **given)
        assert "\n" not in str(caught.value)
    with pytest.raises(HyperparameterError, match="Adma"):
        diff("Adma", "Adam")
    with pytest.raises(HyperparameterError, match="rule or its name"):
        diff("Adam", 3)  # type: ignore[arg-type]


def test_names_with_arguments() -> None:
    assert method("rmsprop:keras(rho=0.95)").name == "RMSprop:keras(rho=0.95)"
    assert method("RMSprop:torch(momentum=0.9, centered=True)").rule == tw.RMSprop.like(
        "torch", momentum=0.9, centered=True
    )
    assert method("Adam(lr=0.1)").rule == tw.Adam(lr=0.1)
    assert method("Adam:torch(betas=(0.8, 0.9))").rule == tw.Adam(beta1=0.8, beta2=0.9)
    for bad in (
        "Adam(lr=0.1",
        "Adam(0.1)",
        "Adam(lr=x)",
        "Adam(**{})",
        "Adam(lr=1).lr",
        "Adam(lr=1) + 1",
        "Adam(li=1)",
    ):
        with pytest.raises(HyperparameterError):
            method(bad)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("g.npy", FEW)
    Path("not.npy").write_text("no")
    arguments = [
        "RMSprop:torch",
        "RMSprop:keras",
        "--gradients",
        "g.npy",
        "--same",
        "lr=0.1",
        "--out",
        "d.svg",
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "thalweg.cli", "diff", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "eps_root\t0\t1e-07 (epsilon)\tg^2" in done.stdout
    assert "place of eps" in done.stdout and "your gradients" in done.stdout
    assert (tmp_path / "d.svg").exists()
    for wrong, status in ((["--same", "lr"], 2), (["--gradients", "not.npy"], 1)):
        refused = CliRunner().invoke(app, ["diff", "RMSprop", "Adam", *wrong])
        assert refused.exit_code == status and refused.stderr.count("\n") == 1, refused.stderr


def test_diff_is_the_public_name() -> None:
    assert tw.diff is diff and tw.Diff is Diff


@pytest.mark.parametrize(("old", "new"), [("Comparison", "Diff"), ("Coast", "IdleModel")])
def test_an_old_name_is_an_error_that_names_the_new_one(old: str, new: str) -> None:
    with pytest.raises(AttributeError, match=f"thalweg.{old} is thalweg.{new} now"):
        getattr(tw, old)
    assert getattr(tw, new)
