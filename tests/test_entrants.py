"""What races: rules and optimizers from elsewhere, by their names and as objects."""

import pickle
from functools import partial
from pathlib import Path

import optax
import pytest
import torch

import thalweg as tw
from thalweg.errors import FileError, HyperparameterError, ThalwegError
from thalweg.lab.entrants import Foreign, entrant, entrants
from thalweg.lab.ranges import Scales, space

SGDISH = """
import torch
import thalweg as tw
from thalweg.rules.sgd import SGD

class Sgdish(torch.optim.Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad

def no_rate(params, step=0.1):
    return Sgdish(params, step)

number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_file.py"
    path.write_text(SGDISH)
    return path


def test_a_rule_is_an_entrant_by_its_name_its_class_and_itself() -> None:
    for named in ("Adam(lr=0.01)", tw.Adam(lr=0.01)):
        a = entrant(named)
        assert a.runs == tw.Adam(lr=0.01) and a.values["lr"] == 0.01
        assert a.replace(lr=0.5, beta2=0.9).runs == tw.Adam(lr=0.5, beta2=0.9)
        assert {"lr", "beta1", "beta2", "eps", "m"} <= a.lines.keys() and a.lines["m"].is_state
    assert entrant(tw.Adam).runs == tw.Adam()
    scheduled = entrant(tw.Adam(lr=tw.cosine(0.1, steps=10)))
    assert "lr" not in scheduled.lines and scheduled.values["lr"] == 0.1


@pytest.mark.parametrize(
    ("named", "values"),
    [
        ("torch.optim.AdamW", {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}),
        ("torch.optim.AdamW(betas=(0.8, 0.95), lr=0.1)", {"lr": 0.1, "beta1": 0.8, "beta2": 0.95}),
        ("torch.optim.RMSprop", {"lr": 0.01, "alpha": 0.99, "momentum": 0.0}),
        ("optax.adam", {"beta1": 0.9, "beta2": 0.999}),
        ("optax.contrib.prodigy", {"lr": 1.0}),
    ],
)
def test_an_optimizer_from_elsewhere_is_plain_data(named: str, values: dict[str, float]) -> None:
    a = entrant(named)
    assert isinstance(a, Foreign) and a.name == named == a.text
    assert {n: a.values.get(n) for n in values} == values
    assert ("lr" in a.values) == (named != "optax.adam")  # which has no rate of its own
    assert a.values.keys() | {"lr"} == a.lines.keys()
    again = pickle.loads(pickle.dumps(a.replace(lr=0.25)))
    assert again == a.replace(lr=0.25) and again.maker is a.maker
    assert again.values == {**a.values, "lr": 0.25}


def test_settings_take_the_makers_own_words() -> None:
    tuned = entrant("torch.optim.AdamW(weight_decay=0.1)").replace(lr=0.5, beta2=0.9)
    assert repr(tuned) == "torch.optim.AdamW(weight_decay=0.1, lr=0.5, betas=(0.9, 0.9))"
    assert tuned.code is not None
    bound: dict[str, object] = {}
    exec("\n".join([*tuned.code.imports, f"opt = {tuned.code.expression}"]), bound)
    made = bound["opt"]([torch.nn.Parameter(torch.ones(2))])  # type: ignore[operator]
    assert type(made) is torch.optim.AdamW and made.defaults["betas"] == (0.9, 0.9)
    assert repr(entrant("optax.adam").replace(lr=0.5)) == "optax.adam(learning_rate=0.5)"


def test_a_rate_is_looked_for_where_the_rule_of_that_name_is() -> None:
    for named in ("Adam", "SGD", "Adadelta"):
        assert space(entrant(f"torch.optim.{named}"), Scales(2.0)) == space(entrant(named), Scales(2.0))
    assert space(entrant("optax.adam")) == space(entrant("Adam"))


def test_a_users_own_is_named_by_its_file_or_handed_over(file: Path) -> None:
    named = entrant(f"{file}:Sgdish(momentum=0.5)")
    assert isinstance(named, Foreign) and named.name == "Sgdish(momentum=0.5)"
    assert named.values == {"lr": 0.1, "momentum": 0.5}
    assert pickle.loads(pickle.dumps(named)) == named
    assert entrant(f"{file}:SGD").runs == tw.SGD()  # a rule that stands there stays a rule
    handed = entrant(named.maker)
    assert handed.text == f"{file.resolve()}:Sgdish"
    unnamed = entrant(partial(torch.optim.SGD, momentum=0.9))
    assert isinstance(unnamed, Foreign) and unnamed.text == "" and unnamed.values["momentum"] == 0.9
    file.write_text(SGDISH + "# edited")
    with pytest.raises(FileError, match="was edited while it was in use"):
        _ = named.maker


def test_entrants_are_told_apart() -> None:
    three = entrants(["Adam", "torch.optim.Adam", optax.adam])
    assert [e.name for e in three] == ["Adam", "torch.optim.Adam", "adam"]
    with pytest.raises(HyperparameterError, match=r"torch.optim.Adam is named twice"):
        entrants(["torch.optim.Adam", "torch.optim.Adam"])


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("torch.optim.AdanW", r"torch\.optim has no 'AdanW': did you mean 'AdamW'"),
        ("torsch.optim.AdamW", r"torsch is not installed"),
        ("torch.optim.AdamW(lrr=1)", r"unknown argument 'lrr': did you mean 'lr'"),
        ("torch.optim.AdamW(0.1)", r"arguments are written as in"),
        ("optax.clip", r"optax\.clip: takes neither lr nor learning_rate"),
        ("FILE:Sgdisch", r"my_file\.py has no .*'Sgdisch': did you mean 'Sgdish'"),
        ("FILE:no_rate", r"takes neither lr nor learning_rate"),
        ("math.pi", r"math\.pi: is no class or function"),
        (3, r"methods: names, rules, or classes .* got 3"),
    ],
)
def test_what_makes_no_optimizer_is_one_line(named: object, said: str, file: Path) -> None:
    given = named.replace("FILE", str(file)) if isinstance(named, str) else named
    with pytest.raises(ThalwegError, match=said) as told:
        entrant(given)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_a_line_that_is_none_is_refused() -> None:
    with pytest.raises(HyperparameterError, match=r"has no 'betas' to tune: did you mean .*beta1"):
        entrant("torch.optim.Adam").replace(betas=0.9)


@pytest.mark.parametrize("problem", ["beale", "digits"])
def test_elsewhere_is_welcome_in_training_loops_alone(problem: str) -> None:
    with pytest.raises(
        HyperparameterError, match=r"^torch\.optim\.Adam: .* training loop .*; \w+ is stepped by rules alone$"
    ):
        tw.race(problem, ["Adam", "torch.optim.Adam"], trials=1, seeds=1, steps=1)
