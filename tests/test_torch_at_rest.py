"""A group's rate that overflows its dtype is refused in torch too, before any group has moved."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import thalweg as tw  # noqa: E402
from thalweg.errors import HyperparameterError  # noqa: E402
from thalweg.torch import Optimizer  # noqa: E402

from .strategies import RULES  # noqa: E402


def two_groups(**values: object) -> tuple[Optimizer, list[torch.nn.Parameter]]:
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    for p in params:
        p.grad = torch.zeros(2)
    return Optimizer(
        [{"params": params[:1], "eps": 1e-8}, {"params": params[1:]}], tw.Adagrad, **values
    ), params


def refused(opt: Optimizer, params: list[torch.nn.Parameter], steps: int) -> None:
    for _ in range(2):
        with pytest.raises(
            HyperparameterError, match=f"NaN of a zero gradient.*at step {steps + 1}0?: its rate"
        ):
            opt.step()
        assert all(int(s["step"]) == steps for s in opt.state.values())
    assert all(bool((p == 1).all()) for p in params)


def test_at_the_first_step() -> None:
    refused(*two_groups(lr=1e3, eps=1e-40), 0)


@pytest.mark.parametrize("name", ["lr", "eps"])
def test_where_a_value_changes(name: str) -> None:
    opt, params = two_groups(lr=1.0, eps=1e-37)
    for _ in range(3):
        opt.step()
    before = opt.param_groups[1][name]
    opt.param_groups[1][name] = {"lr": 1e3, "eps": 1e-40}[name]
    refused(opt, params, 3)
    opt.param_groups[1][name] = before
    opt.step()
    assert all(int(s["step"]) == 4 for s in opt.state.values())


def test_at_a_schedules_step() -> None:
    opt, params = two_groups(lr=tw.exponential(1e-2, factor=10.0), eps=1e-37)
    for _ in range(4):
        opt.step()
    refused(opt, params, 4)


@pytest.mark.parametrize("name", RULES)
def test_what_arrays_refuse_torch_refuses(name: str) -> None:
    first = [n for n in RULES[name].parts.hyperparameters if n.startswith("eps")][:1]
    rule = RULES[name](lr=1e3, **dict.fromkeys(first, 1e-40))
    try:
        rule.on(torch.ones(2).numpy(), engine="plain")
    except HyperparameterError:
        params = [torch.nn.Parameter(torch.ones(2))]
        params[0].grad = torch.zeros(2)
        refused(Optimizer(params, rule), params, 0)
