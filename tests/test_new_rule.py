"""A new rule is one file: what CONTRIBUTING shows is put into the rules' folder and gets everything."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw

ROOT = Path(__file__).resolve().parent.parent

TRIAL = """
import numpy as np
import thalweg as tw
from thalweg import rules
from thalweg.printing.latex import text

assert "SignDescent" in rules.shipped()
assert "SignDescent" in tw.__all__
w = np.array([1.0, -2.0], dtype=np.float32)
opt = tw.SignDescent(lr=0.5).on(w)
opt.step(np.array([3.0, -4.0], dtype=np.float32))
np.testing.assert_allclose(w, [0.5, -1.5], rtol=1e-6)
np.testing.assert_allclose(opt.rates(), [0.5 / 0.3, 0.5 / 0.4], rtol=1e-6)
assert tw.SignDescent.like("paper", delta=0.1).values["lr"] == 0.1
print(text(tw.SignDescent))
r = tw.race("rosenbrock", ["SignDescent", "SGD"], trials=3, seeds=3, steps=50)
assert r.columns["trials"] == [3, 3] or r.columns["trials"] == [4, 4]
"""


def test_a_new_rule_is_one_file_of_at_most_sixty_lines(tmp_path: Path) -> None:
    """CONTRIBUTING's own text, in a copy of the package, without any other change."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.S)
    (source,) = [b for b in blocks if "class SignDescent" in b]
    assert len(source.splitlines()) <= 60
    shutil.copytree(ROOT / "src" / "thalweg", tmp_path / "thalweg")
    (tmp_path / "thalweg" / "rules" / "sign_descent.py").write_text(source)
    done = subprocess.run([sys.executable, "-c", TRIAL], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "rate[t] = η / |m[t]|" in done.stdout
    laws = [
        "tests/laws/test_engine.py",
        "tests/laws/test_units.py",
        "tests/laws/test_grammar.py",
        "tests/laws/test_values.py",
    ]
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "-m",
            "not fuzz",
            "-k",
            "SignDescent",
            *laws,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout


ODD = '''
"""A rule whose names are those that a printed loop might use."""
from thalweg.core import Rule, Scalar, fraction, nonnegative, rule, state


def step(w, g, i, n, /, lr, k, new0, scalars):
    i = k * i + g
    n = new0 * n + scalars * g * g
    return w - lr * (i + n), i, n


def clock(t, lr, k, row):
    return {"new0": row, "scalars": 1 - row}


def idle(w, i, n, k, /, lr, row):
    return w, i, n


@rule(step, clock=clock)
class Odd(Rule):
    lr: Scalar = nonnegative(default=0.1, unit="w/g")
    k: Scalar = fraction(default=0.5)
    row: Scalar = fraction(default=0.25)
    i: float = state(default=0.0, unit="g", signed=True)
    n: float = state(default=0.0, unit="g")
'''


def test_names_of_a_rule_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_names.py").write_text(ODD)
    monkeypatch.syspath_prepend(tmp_path)
    odd = importlib.import_module("odd_names").Odd()
    dense, plain, rows = (np.linspace(-1, 1, 12).reshape(6, 2) for _ in range(3))
    one, two, three = odd.on(dense), odd.on(plain, engine="plain"), odd.on(rows, exact="bits")
    rng = np.random.default_rng(0)
    for _ in range(40):
        g = rng.standard_normal((6, 2)) * (rng.random((6, 1)) < 0.3)
        one.step(g)
        two.step(g)
        three.step(tw.Rows(np.arange(6), g))
    three.flush()
    np.testing.assert_array_equal(dense, plain)
    np.testing.assert_array_equal(rows, plain)


SAME_NAME = """
from thalweg.core import Rule, Scalar, nonnegative, rule


def step(w, g, /, lr):
    return w - lr * g


@rule(step)
class Adam(Rule):
    lr: Scalar = nonnegative(default=0.5, unit="w/g")
"""


def test_a_rule_of_the_users_own_does_not_shadow_the_librarys(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SAME_NAME)
    trial = (
        "import mine, thalweg as tw\nfrom thalweg.core.rule import find\n"
        "assert tw.Adam is not mine.Adam and find('Adam') is tw.Adam and tw.rules.named('Adam') == tw.Adam()\n"
        "assert mine.Adam().lr == 0.5 and tw.Adam().lr == 0.001"
    )
    done = subprocess.run([sys.executable, "-c", trial], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("old", "new"), [("together", "aliases"), ("coast", "idle_model")])
def test_old_keywords_of_a_rule_name_the_new(old: str, new: str) -> None:
    with pytest.raises(tw.errors.RuleError, match=f"{old}= is called {new}= now"):
        tw.rule(lambda w, g: w, **{old: None})


def test_the_old_keyword_of_a_row_names_the_new() -> None:
    with pytest.raises(tw.errors.RuleError, match="held= is called pinned= now"):
        tw.row(held={"eps": 0.0})


WORLDLY = '''
"""Adamax under another name, with all that its worlds say of it."""

from ..core import Rule, Scalar, fraction, maximum, nonnegative, ratio, row, rule, state


def clock(t, lr, beta1):
    return {"take1": 1 - beta1, "size": lr / (1 - beta1**t)}


def step(w, g, m, u, /, beta1, take1, beta2, size, eps):
    m = beta1 * m + take1 * g
    u = maximum(beta2 * u, abs(g) + eps)
    return w - ratio(size, u) * m, m, u


TORCH = {"lr": "lr", "betas": ("beta1", "beta2"), "eps": "eps"}


@rule(
    step,
    clock=clock,
    dialects={"torch": row("2", names=TORCH, optimizer="Twin", states={"m": "exp_avg", "u": "exp_inf"})},
)
class Worldly(Rule):
    """A twin of Adamax."""

    lr: Scalar = nonnegative(default=2e-3, unit="w")
    beta1: Scalar = fraction(default=0.9)
    beta2: Scalar = fraction(default=0.999)
    eps: Scalar = nonnegative(default=1e-8, unit="g")
    m: float = state(default=0.0, unit="g", signed=True)
    u: float = state(default=0.0, unit="g")
'''

MOVING = """
import torch, thalweg as tw, thalweg.torch

class Twin(torch.optim.Adamax):
    pass

torch.optim.Twin = Twin
one, two = (torch.nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64)) for _ in range(2))
theirs, original = Twin([one], lr=0.1), torch.optim.Adamax([two], lr=0.1)

def steps(*optimizers):
    for k in range(5):
        for w, o in zip((one, two), optimizers):
            w.grad = torch.cos(torch.arange(5, dtype=torch.float64) + k)
            o.step()
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)

steps(theirs, original)
ours = thalweg.torch.Optimizer.from_torch(theirs)
assert ours.param_groups[0]["rule"] == "Worldly"
steps(ours, original)
back = ours.to_torch()
assert type(back) is Twin and back.state[one]["step"] == 10
steps(back, original)
"""


def test_a_rule_that_torch_has_too_moves_over_by_its_own_file(tmp_path: Path) -> None:
    """States and optimizer stand in the rule's row: no other file is touched."""
    pytest.importorskip("torch")
    shutil.copytree(ROOT / "src" / "thalweg", tmp_path / "thalweg")
    (tmp_path / "thalweg" / "rules" / "worldly.py").write_text(WORLDLY)
    done = subprocess.run(
        [sys.executable, "-c", MOVING],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
