"""What torch's tests ask of an optimizer, asked of ours: arguments, options, schedulers, wrappers.

``optim_db``, the table that torch's own suite lists its optimizers' arguments in, comes with the wheel; to import it
takes seconds, so that the slow suite alone reads it.
"""

import copy
import io
import json
import os
import sys
import types
import unittest
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

import thalweg as tw
import thalweg.torch
from thalweg.core.rule import Rule
from thalweg.errors import HyperparameterError
from thalweg.torch import family

from ..strategies import first_of

Optimizer = thalweg.torch.Optimizer
NAMES = sorted({t.torch for t in family.twins()})
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {"momentum": 0.9, "dampening": 0.1}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1},
        {"momentum": 1, "dampening": 0.1}, {"momentum": 1, "nesterov": True},
    ],
    "ASGD": [{"t0": 3, "lambd": 0.1, "alpha": 0.5}, {"t0": 100, "maximize": True, "weight_decay": 0.1}],
    "Adagrad": [{"lr_decay": 0.5, "initial_accumulator_value": 0.1, "maximize": True}],
    "RMSprop": [{"momentum": 0.1}, {"centered": True, "momentum": 0.1, "alpha": 0.8}, {"centered": True}],
    "Adadelta": [{"rho": 0.95, "weight_decay": 0.9}],
    "Adam": [{"amsgrad": True, "weight_decay": 0.1}, {"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "AdamW": [{"amsgrad": True}, {"lr": 0.01, "betas": (0.8, 0.95), "foreach": True}],
    "Adamax": [{"eps": 1e-3, "maximize": True}],
    "Rprop": [{"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2)}, {"lr": 2e-4, "maximize": True}],
    "RAdam": [{"weight_decay": 0.1, "maximize": True}, {"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "NAdam": [{"momentum_decay": 6e-3, "weight_decay": 0.1}, {"decoupled_weight_decay": True, "weight_decay": 0.1}],
}  # fmt: skip


DIFFERENCES: dict[str, str] = {
    "`Adafactor`, `LBFGS`, `Muon`": "no rule is one of them: `like` and `from_torch` say so",
    "`differentiable=True`": "refused: steps change weights in place, outside autograd",
    "`momentum` above 1": "refused: moves would grow without gradients; of RMSprop, 1 too",
    "`initial_accumulator_value` in a group": "honoured; torch reads the constructor's alone",
    "a tensor twice in a group": "an error; torch warns, and steps it twice",
    "an option written into a running group": "an error where it means a rule with other states",
    "`foreach`, `fused`": "taken, and of no effect",
}


def weights() -> list[torch.nn.Parameter]:
    made = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(s, generator=made, dtype=torch.float64)) for s in ((4, 3), (5,))]


def train(opt: Any, params: list[torch.nn.Parameter], steps: int, seed: int = 1) -> None:
    made = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=made, dtype=torch.float64).to(p.dtype)
        opt.step()


def near(mine: Any, theirs: Any) -> None:
    for p, q in zip(mine, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-7, atol=1e-9)  # torch's NAdam keeps a product in float32


def follows(name: str, arguments: dict[str, Any]) -> None:
    """Assert that ``like`` takes torch's path: two groups, the second with a rate of its own."""
    mine, theirs = weights(), weights()
    opts = []
    for begin, params in (
        (lambda *a, **k: Optimizer.like(name, *a, **k), mine),
        (getattr(torch.optim, name), theirs),
    ):
        grouped = [{"params": params[:1]}, {"params": params[1:], "lr": 0.02}]
        opts.append(begin(grouped, **copy.deepcopy(arguments)))
        train(opts[-1], params, 6)
    near(mine, theirs)
    twin = Optimizer.from_torch(opts[1])
    train(twin, theirs, 2, seed=2)
    train(opts[0], mine, 2, seed=2)
    near(mine, theirs)


@first_of(NAMES, ("SGD", "AdamW", "RMSprop"))
def test_torchs_arguments_give_torchs_path(name: str) -> None:
    """like takes torch's arguments to torch's path, with two groups; from_torch goes on from there."""
    for arguments in ({}, *ARGUMENTS[name]):
        follows(name, arguments)


@pytest.mark.slow
def test_every_argument_of_torchs_own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for differentiable, which is refused, and capturable, for CUDA tensors alone."""
    monkeypatch.setattr(os, "environ", os.environ.copy())  # which the import changes
    if "expecttest" not in sys.modules:  # whose class only torch's own tests need, not the table
        stand = types.ModuleType("expecttest")
        stand.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "expecttest", stand)
    from torch.testing._internal.common_optimizers import optim_db

    count = 0
    for info in optim_db:
        name = info.optim_cls.__name__
        for given in info.optim_inputs_func(device="cpu") if name in NAMES else ():
            if not given.kwargs.keys() & {"differentiable", "capturable"}:
                follows(name, given.kwargs)
                count += 1
    assert count >= 50


def test_every_difference_is_one() -> None:
    """Those that no other test here shows."""
    kinds = (
        k for k in vars(torch.optim).values() if isinstance(k, type) and issubclass(k, torch.optim.Optimizer)
    )
    others = sorted({k.__name__ for k in kinds} - {*NAMES, "Optimizer", "SparseAdam"})
    assert ", ".join(f"`{n}`" for n in sorted(others, key=str.lower)) == next(iter(DIFFERENCES))
    p = torch.nn.Parameter(torch.ones(2))
    for n in others:
        with pytest.raises(HyperparameterError, match="unknown optimizer"):
            Optimizer.like(n, [p])
    for n, momentum in (("SGD", 1.01), ("RMSprop", 1)):
        with pytest.raises(HyperparameterError, match="must be a number or a schedule in"):
            Optimizer.like(n, [p], momentum=momentum)
    with pytest.raises(ValueError, match="given twice"):
        Optimizer.like("SGD", [p, p])
    opt = Optimizer([{"params": [p], "initial_accumulator_value": 9.0}], tw.Adagrad(lr=1.0))
    p.grad = torch.full((2,), 4.0)
    opt.step()
    torch.testing.assert_close(p.detach(), torch.full((2,), 1 - 4 / 5))


OPTIONS: dict[str, tuple[type[torch.optim.Optimizer], Rule, dict[str, Any]]] = {
    "momentum": (torch.optim.SGD, tw.SGD(lr=0.1), {"lr": 0.1, "momentum": 0.9}),
    "dampening alone": (torch.optim.SGD, tw.SGD(lr=0.1), {"lr": 0.1, "dampening": 0.5}),
    "nesterov": (torch.optim.SGD, tw.SGD(lr=0.1), {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "nesterov of momentum": (torch.optim.SGD, tw.Momentum(lr=0.1), {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "no nesterov": (torch.optim.SGD, tw.Nesterov(lr=0.1), {"lr": 0.1, "momentum": 0.9, "nesterov": False}),
    "centered": (torch.optim.RMSprop, tw.RMSprop(lr=0.01), {"centered": True}),
    "centered, momentum": (torch.optim.RMSprop, tw.RMSprop(), {"centered": True, "momentum": 0.5}),
    "centered of momentum": (torch.optim.RMSprop, tw.RMSpropMomentum(mu=0.5), {"centered": True, "momentum": 0.5}),
    "amsgrad": (torch.optim.Adam, tw.Adam(), {"amsgrad": True}),
    "no amsgrad": (torch.optim.Adam, tw.AMSGrad(), {"amsgrad": False}),
    "amsgrad, decoupled": (torch.optim.AdamW, tw.AdamW(), {"amsgrad": True}),
    "decoupled": (torch.optim.Adam, tw.Adam(), {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    "coupled": (torch.optim.NAdam, tw.NAdam(), {"decoupled_weight_decay": False, "weight_decay": 0.1}),
    "accumulator": (torch.optim.Adagrad, tw.Adagrad(), {"initial_accumulator_value": 0.1, "lr_decay": 0.1}),
    "hints": (torch.optim.Adam, tw.Adam(), {"foreach": True, "fused": None}),
}  # fmt: skip


@pytest.mark.parametrize("where", ["group", "constructor"])
@pytest.mark.parametrize("option", OPTIONS)
def test_torchs_options_are_honoured(option: str, where: str) -> None:
    """In a group and as keywords, where the rule's family has the member that they mean."""
    kind, rule, given = OPTIONS[option]
    mine, theirs = weights(), weights()
    if where == "group":
        ours = Optimizer([{"params": mine, **given, "lr_scale": 0.3}], rule)
        assert ours.param_groups[0]["lr_scale"] == 0.3
    else:
        ours = Optimizer(mine, type(rule), **{"lr": rule.values["lr"], **given})
    other = kind(theirs, **{"lr": rule.values["lr"], **given})
    train(ours, mine, 5)
    train(other, theirs, 5)
    near(mine, theirs)


@pytest.mark.parametrize(
    ("rule", "given", "told"),
    [
        (tw.SGD(), {"nesterov": True}, "nesterov does not go alone"),
        (tw.SGD(), {"betas": (0.9, 0.99)}, "a group with betas=.*SGD.*leave it out|betas"),
        (tw.Adam(), {"initial_accumulator_value": 0.1}, "no such option|such an option"),
        (tw.Adam(), {"momentum": 0.9}, "such an option"),
        (tw.Yogi(), {"amsgrad": True}, "such an option"),
        (tw.RMSprop.like("keras"), {"momentum": 0.9}, "such an option"),
        (tw.Adam(), {"differentiable": True}, "outside autograd"),
        (tw.Adam(), {"capturable": True}, "to the optimizer"),
        (tw.AdamW(), {"decay": "decoupled", "decoupled_weight_decay": False}, "give one of them"),
    ],
)
def test_torchs_options_that_a_rule_has_not_are_refused(rule: Rule, given: Any, told: str) -> None:
    """In one line that says what there is."""
    p = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(HyperparameterError, match=told) as caught:
        Optimizer([{"params": [p], **given}], rule)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "option", [{"momentum": 0.9}, {"betas": (0.9, 0.99)}, {"nesterov": True}, {"amsgrad": True}]
)
def test_options_that_are_written_later_are_not_ignored(option: dict[str, Any]) -> None:
    """A scheduler may write them into a running group; nothing has moved."""
    params = weights()
    opt = Optimizer(params, tw.SGD(lr=0.1))
    train(opt, params, 2)
    before = [p.detach().clone() for p in params]
    opt.param_groups[0].update(option)
    with pytest.raises(HyperparameterError, match=next(iter(option))):
        train(opt, params, 1)
    assert all(map(torch.equal, params, before))
    opt.param_groups[0].pop(next(iter(option)))
    train(opt, params, 1)


def test_a_rule_may_be_given_as_class_and_values() -> None:
    """As trainers and ZeroRedundancyOptimizer call it; a group may do so too."""
    a, b = weights()
    opt = Optimizer(
        [{"params": [a]}, {"params": [b], "rule": tw.Adagrad, "lr": 0.3}], tw.Adam, lr=0.1, betas=(0.5, 0.6)
    )
    wanted = [("Adam", 0.1), ("Adagrad", 0.3)]
    assert [(g["rule"], g["lr"]) for g in opt.param_groups] == wanted and opt.param_groups[0]["betas"] == (
        0.5,
        0.6,
    )


def test_a_rate_of_asgd_acts_one_step_late() -> None:
    """As torch's, which keeps the next step's rate; through rates of 0 as well."""
    mine, theirs = weights(), weights()
    given = {"lr": 0.3, "lambd": 0.1, "t0": 3.0}
    opts = Optimizer.like("ASGD", mine, **given), torch.optim.ASGD(theirs, **given)
    plans = [lr_scheduler.LambdaLR(o, lambda k: (k % 3) / 4) for o in opts]
    for k in range(9):
        for opt, params, plan in zip(opts, (mine, theirs), plans, strict=True):
            train(opt, params, 1, seed=k)
            plan.step()
        for p, q in zip(mine, theirs, strict=True):  # torch's rate is float32
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)
    back, kept = opts[0].to_torch().state[mine[0]], opts[1].state[theirs[0]]
    assert (back["mu"], back["step"]) == (kept["mu"], 9)
    torch.testing.assert_close(back["eta"], kept["eta"], rtol=2e-7, atol=0)


def test_sparse_adam_moves_over_and_back() -> None:
    """On torch's path where eps counts: like and from_torch leave rows behind as it does; to_torch goes back."""
    starts = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(6, 2)
    runs = []

    def tables(p: torch.nn.Parameter, opt: Any, steps: range) -> None:
        for k in steps:
            rows = torch.tensor([[k % 6, (k * k + 1) % 5]])
            p.grad = torch.sparse_coo_tensor(
                rows, torch.full((2, 2), 0.1 * (k + 1), dtype=torch.float64), (6, 2), check_invariants=False
            )
            opt.step()

    given = {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.3, "maximize": True}
    for moves in (False, True):
        p = torch.nn.Parameter(starts.clone())
        opt = torch.optim.SparseAdam([{"params": [p], "note": 3}], **given)
        tables(p, opt, range(5))
        ours = Optimizer.from_torch(opt) if moves else opt
        tables(p, ours, range(5, 10))
        back = ours.to_torch() if moves else opt
        assert type(back) is torch.optim.SparseAdam and back.param_groups[0]["note"] == 3
        assert {n: back.param_groups[0][n] for n in given} == given and back.state[p]["step"] == 10
        tables(p, back, range(10, 14))
        runs.append([p])
    near(*runs)
    p = torch.nn.Parameter(starts.clone())
    tables(p, Optimizer.like("SparseAdam", [p], **given), range(14))
    near(runs[0], [p])
    decayed = Optimizer([p], tw.Adam.like("keras"), exact="lazy", weight_decay=0.1)
    with pytest.raises(ValueError, match="SparseAdam has no weight decay"):
        decayed.to_torch()


def test_lazy_modules() -> None:
    """Their parameters are what they become in the first forward pass; torch's optimizers take them too."""
    torch.manual_seed(0)
    twins = []
    for begin in (lambda p: Optimizer(p, tw.Adam(lr=0.1)), lambda p: torch.optim.Adam(p, lr=0.1)):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.LazyLinear(4), torch.nn.Linear(4, 1)).double()
        opt = begin(net.parameters())
        opt.step()
        for k in range(3):
            opt.zero_grad()
            net(torch.linspace(k, 1, 6, dtype=torch.float64).reshape(2, 3)).square().sum().backward()
            opt.step()
        twins.append(list(net.parameters()))
    near(*twins)


def test_like_says_what_it_does_not_know() -> None:
    """Names of optimizers, keywords, and what a rule's own like cannot take."""
    p = [torch.nn.Parameter(torch.ones(2))]
    with pytest.raises(HyperparameterError, match="unknown optimizer 'Adm': did you mean 'Adam'"):
        Optimizer.like("Adm", p)
    with pytest.raises(TypeError, match="lrr"):
        Optimizer.like("Adam", p, lrr=1)
    with pytest.raises(ValueError, match="outside autograd"):
        Optimizer.like("Adam", p, differentiable=True)
    with pytest.raises(HyperparameterError, match=r"thalweg.torch.Optimizer.like\(NAME"):
        tw.Adam.like("torch", weight_decay=0.1)
    lr = torch.tensor(0.1)
    opt = Optimizer.like("AdamW", p, lr=lr, on_nonfinite="raise")
    assert opt.param_groups[0]["lr"] is lr and opt.on_nonfinite == "raise"


MULTIPLYING: dict[str, Callable[[Any], Any]] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda k: 1 / (k + 1)),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda k: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.5, total_iters=3),
}
REPLACING: dict[str, Callable[[Any], Any]] = {
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 8),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1),
    "ReduceLROnPlateau": lambda o: Plateau(o),
}


class Plateau:
    """torch's ReduceLROnPlateau on a loss that stays."""

    def __init__(self, opt: torch.optim.Optimizer) -> None:
        self.plan = lr_scheduler.ReduceLROnPlateau(opt, patience=0)
        self.plan.step(1.0)

    def step(self) -> None:
        self.plan.step(1.0)


@pytest.mark.parametrize("scheduler", MULTIPLYING)
def test_torchs_factors_multiply_our_schedule(scheduler: str) -> None:
    """The number in the group is the rate of the next step, and that rate is taken."""
    ours, factors = tw.inverse_time(0.1, decay=0.5), torch.optim.SGD(weights(), lr=1.0)
    params = weights()
    opt = Optimizer(params, tw.SGD(lr=ours))
    plans = [MULTIPLYING[scheduler](o) for o in (opt, factors)]
    for k in range(6):
        lr = ours(k) * factors.param_groups[0]["lr"]
        told = opt.param_groups[0]["lr"]
        assert isinstance(told, float) and float(told) == pytest.approx(lr, rel=1e-12)
        assert json.loads(json.dumps(told)) == float(told) == float(f"{told!r}")
        before = [p.detach().clone() for p in params]
        train(opt, params, 1, seed=k)
        for p, w in zip(params, before, strict=True):
            torch.testing.assert_close(p.detach(), w - lr * p.grad, rtol=1e-12, atol=1e-14)
        factors.step()
        for plan in plans:
            plan.step()


@pytest.mark.parametrize("scheduler", REPLACING)
def test_a_scheduler_does_not_replace_our_schedule_in_silence(scheduler: str) -> None:
    """One that writes numbers of its own is an error at the next step, before a weight moves."""
    params = weights()
    opt = Optimizer(params, tw.Momentum(lr=tw.inverse_time(0.1, decay=0.5)))
    plan = REPLACING[scheduler](opt)
    with pytest.raises(HyperparameterError, match="place of the rule's own schedule") as caught:  # noqa: PT012
        for _ in range(2):
            before = [p.detach().clone() for p in params]
            train(opt, params, 1)
            plan.step()
    assert "LambdaLR" in str(caught.value) and all(map(torch.equal, params, before))


def test_a_user_may_replace_a_schedule() -> None:
    """By another schedule, a constant one too."""
    params = weights()
    opt = Optimizer(params, tw.SGD(lr=tw.inverse_time(0.1, decay=1.0)))
    rates: list[Any] = [None, tw.constant(0.1 / 2), None, tw.cosine(0.2, steps=10), None]
    wanted = [0.1, 0.05, 0.05, tw.cosine(0.2, steps=10)(3), tw.cosine(0.2, steps=10)(4)]
    for given, lr in zip(rates, wanted, strict=True):
        if given is not None:
            opt.param_groups[0]["lr"] = given
        before = [p.detach().clone() for p in params]
        train(opt, params, 1)
        for p, w in zip(params, before, strict=True):
            torch.testing.assert_close(p.detach(), w - lr * p.grad, rtol=1e-12, atol=1e-14)


def test_a_schedule_goes_through_copies_and_checkpoints() -> None:
    """With the factors of schedulers; it goes on where it was."""
    params = weights()
    opt = Optimizer(params, tw.SGD(lr=tw.inverse_time(0.1, decay=0.5)))
    lr_scheduler.LambdaLR(opt, lambda k: 0.5)
    train(opt, params, 3)
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    fresh = Optimizer(weights(), tw.SGD(lr=0.1))
    fresh.load_state_dict(torch.load(file, weights_only=True))
    twin = copy.deepcopy(opt)
    train(twin, twin.param_groups[0]["params"], 1)
    for other, lr in ((opt, 0.05 / 2.5), (fresh, 0.05 / 2.5), (twin, 0.05 / 3)):
        assert isinstance(other.param_groups[0]["lr"], float) and other.param_groups[0][
            "lr"
        ] == pytest.approx(lr)
    with pytest.raises(ValueError, match="to_torch: lr follows"):
        opt.to_torch()


def test_entries_of_others_go_through_a_checkpoint() -> None:
    """Tensors beside a parameter's states, and entries of ``state`` under names, as torch passes them."""
    mine, theirs = weights(), weights()
    opts = Optimizer(mine, tw.Adam()), torch.optim.Adam(theirs)
    told: list[list[Any]] = []
    for opt, params in zip(opts, (mine, theirs), strict=True):
        train(opt, params, 2)
        saved = copy.deepcopy(opt.state_dict())
        saved["state"]["ema"] = {"decay": 0.9, "weights": [torch.ones(2, dtype=torch.float32)]}
        saved["state"]["calls"] = torch.tensor(3)
        saved["state"][0] |= {"ema": torch.ones(7, dtype=torch.float32), "seen": 2}
        fresh = weights()
        other = type(opt)(fresh, *([tw.Adam()] if opt is opts[0] else []))
        other.load_state_dict(copy.deepcopy(saved))
        train(other, fresh, 1)
        state = other.state
        told.append(
            [
                state["ema"],
                state["calls"],
                state[fresh[0]]["ema"],
                state[fresh[0]]["seen"],
                state[fresh[0]]["step"],
            ]
        )
    assert [str(x) for x in told[0][:4]] == [str(x) for x in told[1][:4]] and told[0][4] == told[1][4] == 3


def test_older_checkpoints_load() -> None:
    """Counts that are numbers, groups without later flags; it goes on to the same bits."""
    params, others = weights(), weights()
    opt = Optimizer(params, tw.Adam(lr=0.1))
    train(opt, params, 3)
    for p, q in zip(params, others, strict=True):
        q.data.copy_(p.detach())
    saved = copy.deepcopy(opt.state_dict())
    for held in saved["state"].values():
        held["step"] = held["step"].item()
    saved["param_groups"][0].pop("maximize")
    other = Optimizer(others, tw.Adam(lr=0.1))
    other.load_state_dict(saved)
    train(opt, params, 2, seed=2)
    train(other, others, 2, seed=2)
    assert all(map(torch.equal, params, others)) and other.param_groups[0]["maximize"] is False
