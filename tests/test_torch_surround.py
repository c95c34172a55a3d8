"""What torch puts around every optimizer's step is there where somebody sees it, and is not paid for elsewhere."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch.autograd import profiler
from torch.optim import optimizer as torchs

import thalweg as tw
import thalweg.torch

Optimizer = thalweg.torch.Optimizer
LABEL = "Optimizer.step#Optimizer.step"


def started(kind: Any = Optimizer) -> Any:
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    return kind([p], tw.SGD(lr=0.1))


def labels(opt: Any) -> list[str]:
    with profiler.profile() as seen:
        opt.step()
    return [e.name for e in seen.function_events if "Optimizer.step" in e.name]


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels that are set, whether a profiler sees them or not."""
    names: list[str] = []
    before = profiler.record_function.__init__

    def init(self: Any, name: str, *given: Any) -> None:
        names.append(name)
        before(self, name, *given)

    monkeypatch.setattr(profiler.record_function, "__init__", init)
    return names


def test_a_profiler_finds_the_label_and_a_step_without_one_sets_none(records: list[str]) -> None:
    opt = started()
    opt.step()
    assert not records
    assert labels(opt) == [LABEL] == records
    opt.step()
    assert records == [LABEL] and opt.state[opt.param_groups[0]["params"][0]]["step"] == 3


@pytest.mark.parametrize("copied", [False, True])
def test_hooks_run_once_with_what_the_step_was_given(copied: bool) -> None:
    """Those of the optimizer and those of all; one before the step may change its arguments."""
    calls: list[Any] = []
    opt = started()
    if copied:
        opt = pickle.loads(pickle.dumps(copy.deepcopy(opt)))
        opt.param_groups[0]["params"][0].grad = torch.ones(3)

    def loss() -> float:
        calls.append("closure")
        return 2.0

    def before(self: Any, given: Any, named: Any) -> Any:
        calls.append(("before", len(given), sorted(named)))
        return (self,), {"closure": loss}

    handles = [
        opt.register_step_pre_hook(before),
        opt.register_step_post_hook(lambda *_: calls.append("after")),
        torchs.register_optimizer_step_pre_hook(lambda *_: calls.append("first")),  # type: ignore[arg-type]
        torchs.register_optimizer_step_post_hook(lambda *_: calls.append("last")),
    ]
    try:
        assert opt.step() == 2.0
    finally:
        for handle in handles:
            handle.remove()
    assert calls == ["first", ("before", 1, []), "closure", "after", "last"]
    assert opt.step(closure=loss) == 2.0 and calls.pop() == "closure" and len(calls) == 5


def test_a_subclass_with_a_step_of_its_own_is_torchs_to_wrap() -> None:
    class Mine(Optimizer):
        def step(self, closure: Any = None) -> Any:
            super().step(closure)
            return "mine"

    opt = started(Mine)
    assert opt.step() == "mine" and "Optimizer.step#Mine.step" in labels(opt)
    assert labels(started()) == [LABEL]


def test_schedulers_see_the_step() -> None:
    opt = started()
    plan = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.5)
    opt.step()
    plan.step()  # torch warns where it has not seen a step before
    assert opt.param_groups[0]["lr"] == 0.05
