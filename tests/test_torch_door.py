"""thalweg.torch.Optimizer: the same path as rule.on, and everything that torch asks of an optimizer."""

import copy
import io
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

import thalweg as tw
import thalweg.torch
from thalweg.core.rule import Rule
from thalweg.engines.cpu import launch, openmp
from thalweg.errors import HyperparameterError, NonFiniteError
from thalweg.torch import parts

from .strategies import FEW, FORMS, KINDS, RULES, every_form, every_rule, form

pytestmark = pytest.mark.usefixtures("one_thread_of_torch")

Optimizer = thalweg.torch.Optimizer
SOME = ["Adam", "RMSpropCentredMomentum", "Adadelta", "MaxProp"]  # of each kind of formula one
SHAPES = [(5, 7), (3,), (), (2, 3, 4)]


def parameters(dtype: torch.dtype = torch.float32, seed: int = 0) -> list[torch.nn.Parameter]:
    made = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(s, generator=made, dtype=torch.float64).to(dtype)) for s in SHAPES]


def gradients(params: list[torch.nn.Parameter], steps: int, seed: int = 1) -> Iterator[list[torch.Tensor]]:
    """Sets the gradients, with zeros and many sizes among them."""
    made = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for p in params:
            g = torch.randn(p.shape, generator=made, dtype=torch.float64)
            g *= 2.0 ** torch.randint(-6, 6, p.shape, generator=made)
            g[torch.rand(p.shape, generator=made) < 0.2] = 0.0
            p.grad = g.to(p.dtype)
        yield [p.grad for p in params]  # type: ignore[misc]


def same(a: Any, b: Any) -> bool:
    """Bit for bit, NaN included."""
    return all(torch.equal(x.detach().view(torch.uint8 if x.dim() else x.dtype), y.detach().view(torch.uint8 if y.dim() else y.dtype))
               for x, y in zip(a, b, strict=True))  # fmt: skip


def train(opt: torch.optim.Optimizer, params: list[torch.nn.Parameter], steps: int, seed: int = 1) -> None:
    for _ in gradients(params, steps, seed):
        opt.step()


# The path.


DTYPES = [
    *((n, d, torch.float32) for n, d in FORMS),
    *(
        pytest.param(n, d, torch.float64, marks=[pytest.mark.slow] * (n not in FEW))
        for n, d in FORMS
        if n in KINDS
    ),
]


@pytest.mark.parametrize(("name", "dialect", "dtype"), [*DTYPES, *((n, "", torch.float16) for n in SOME)])
def test_the_path_is_that_of_rule_on(name: str, dialect: str, dtype: torch.dtype) -> None:
    """Bit for bit on NumPy arrays, for every rule in every dialect; in float64 a rule of each kind."""
    rule = form(name, dialect)
    params = parameters(dtype)
    arrays = [p.detach().numpy().copy() for p in params]
    ours, theirs = Optimizer(params, rule), rule.on(arrays, on_nonfinite="propagate", rates=False)
    for given in gradients(params, 6):
        ours.step()
        theirs.step([g.numpy() for g in given])
    for k, (p, w) in enumerate(zip(params, arrays, strict=True)):
        assert np.array_equal(p.detach().numpy(), w, equal_nan=True)
        for n in type(rule).parts.states:
            assert np.array_equal(ours.state[p][n].numpy(), theirs.state[n][k], equal_nan=True)
        assert ours.state[p]["step"].shape == () and ours.state[p]["step"] == 6


@pytest.mark.parametrize("name", ["SGD", *SOME])
def test_what_stands_around_the_rule_is_that_of_rule_on(name: str) -> None:
    rule = RULES[name]()
    kinds = ["coupled", *(["decoupled"] if "lr" in rule.hyperparameters else [])]
    for decay in kinds:
        params = parameters()
        arrays = [p.detach().numpy().copy() for p in params]
        settings: Any = {"weight_decay": 0.1, "decay": decay, "maximize": True}
        ours, theirs = Optimizer(params, rule, **settings), rule.on(arrays, **settings, rates=False)
        for given in gradients(params, 4):
            ours.step()
            theirs.step([g.numpy() for g in given])
        assert all(np.array_equal(p.detach().numpy(), w) for p, w in zip(params, arrays, strict=True))


@every_rule
def test_torch_operations_take_the_same_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other devices run, within some ulps of rule.on's compiled kernels."""
    rule = RULES[name]()
    monkeypatch.setattr(thalweg.torch.optimizer, "engine_of", lambda w: parts.OPERATIONS)
    for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        params = parameters(dtype)
        arrays = [p.detach().numpy().copy() for p in params]
        ours, theirs = Optimizer(params, rule), rule.on(arrays, on_nonfinite="propagate")
        for given in gradients(params, 6):
            ours.step()
            theirs.step([g.numpy() for g in given])
        for p, w in zip(params, arrays, strict=True):
            assert torch.allclose(p, torch.from_numpy(w), rtol=bound, atol=bound)
            assert not any(s.requires_grad for s in ours.state[p].values())


def test_other_devices_run_torch_operations() -> None:
    """The meta device computes nothing: the formula's operations run through it."""
    p = torch.nn.Parameter(torch.empty(3, 4, device="meta"))
    p.grad = torch.empty(3, 4, device="meta")
    opt = Optimizer([p], tw.Adam())
    opt.step()
    assert opt.state[p]["m"].device.type == "meta" and opt.state[p]["step"].device.type == "cpu"
    assert opt.state[p]["step"].dtype is torch.float64


def rounded(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.bfloat16)


@pytest.mark.parametrize("name", SOME)
def test_bfloat16_is_float32_rounded_at_the_end(name: str) -> None:
    rule = RULES[name]()
    params = parameters(torch.bfloat16)
    opt = Optimizer(params, rule)
    wide = [torch.nn.Parameter(p.detach().float()) for p in params]
    other = Optimizer(wide, rule)
    for given in gradients(params, 4):
        for q, p, g in zip(wide, params, given, strict=True):
            q.data.copy_(p.detach())
            q.grad = g.float()
        opt.step()
        other.step()
        for p, q in zip(params, wide, strict=True):
            assert torch.equal(p, rounded(q))
            states = [n for n in opt.state[p] if n != "step"]
            assert all(opt.state[p][n].dtype == torch.float32 for n in states)
            assert all(torch.equal(opt.state[p][n], other.state[q][n]) for n in states)


def test_bfloat16_rounds_to_even_and_keeps_nan_and_infinity() -> None:
    bits = torch.arange(0, 1 << 16, dtype=torch.int32).to(torch.int16)
    every = bits.view(torch.bfloat16)
    p = torch.nn.Parameter(every.clone())
    p.grad = torch.zeros_like(p)
    Optimizer([p], tw.SGD(lr=1.0)).step()
    finite = torch.isfinite(every)
    assert torch.equal(p[finite], every[finite])
    assert torch.equal(torch.isnan(p), torch.isnan(every))
    assert torch.equal(torch.isinf(p), torch.isinf(every))
    w = torch.tensor([1.0, 1.0, 1.0078125, 3.38e38]).bfloat16()  # a step of 2^-7 at 1; ties; overflow
    g = torch.tensor([-(2.0**-8), -(2.0**-8) - 2.0**-15, -(2.0**-8), -3.3e38]).bfloat16()
    q = torch.nn.Parameter(w.clone())
    q.grad = g
    Optimizer([q], tw.SGD(lr=1.0)).step()
    assert torch.equal(q, (w.float() - g.float()).bfloat16()) and q[3] == math.inf


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_finite_means_the_same_on_other_devices(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient whose square the state could not hold is refused by torch's operations as by the compiled pass."""
    most = torch.finfo(dtype).max
    for engine in (parts.CPU, parts.OPERATIONS):
        monkeypatch.setattr(thalweg.torch.optimizer, "engine_of", lambda w, engine=engine: engine)
        p = torch.nn.Parameter(torch.ones(3, dtype=dtype))
        opt = Optimizer([p], tw.Adam(), on_nonfinite="skip")
        for g in (1.0, most, math.inf, math.nan):
            p.grad = torch.tensor([0.0, g, 0.0], dtype=dtype)
            opt.step()
        assert opt.skipped == (2 if dtype is torch.float16 else 3)


def test_float16_starts_with_zero_gradients() -> None:
    """torch's own Adam gives NaN here: its eps is 0 in float16."""
    p = torch.nn.Parameter(torch.ones(4, dtype=torch.float16))
    p.grad = torch.zeros_like(p)
    Optimizer([p], tw.Adam()).step()
    assert torch.equal(p, torch.ones_like(p))


@pytest.mark.parametrize(
    ("name", "dtype"), [*((n, torch.complex64) for n in RULES), *((n, torch.complex128) for n in KINDS)]
)
def test_complex_parameters_are_two_coordinates(name: str, dtype: torch.dtype) -> None:
    rule = RULES[name]()
    if name == "RMSprop":
        rule = rule.replace(v=1.0)
    z = torch.nn.Parameter(torch.randn(4, 3, dtype=dtype))
    pair = torch.nn.Parameter(torch.view_as_real(z.detach()).clone())
    ours, theirs = Optimizer([z], rule), Optimizer([pair], rule)
    for k in range(4):
        g = torch.randn(4, 3, dtype=dtype)
        z.grad = g.conj() if k % 2 else g
        pair.grad = torch.view_as_real(z.grad.resolve_conj()).clone()
        ours.step()
        theirs.step()
    assert torch.equal(torch.view_as_real(z.detach()), pair)


def strided() -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    return {
        "transposed": lambda x: x.t().contiguous().t(),
        "every second": lambda x: torch.stack([x, -x], -1)[..., 0],
        "channels last": lambda x: x.reshape(4, 3, 2, 2).to(memory_format=torch.channels_last),
        "a window": lambda x: torch.nn.functional.pad(x, (2, 1))[:, 2:-1],
    }


@pytest.mark.parametrize("kind", strided())
def test_layouts_that_are_not_contiguous(kind: str) -> None:
    lay = strided()[kind]
    base = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    p = torch.nn.Parameter(lay(base))
    assert not p.is_contiguous()
    plain = torch.nn.Parameter(p.detach().contiguous())
    ours, theirs = Optimizer([p], tw.Adam(lr=0.1)), Optimizer([plain], tw.Adam(lr=0.1))
    pointer, stride = p.data_ptr(), p.stride()
    for k in range(4):
        g = torch.randn(p.shape)
        p.grad = g if k % 2 else torch.empty_like(p).copy_(g)
        plain.grad = g.clone()
        ours.step()
        theirs.step()
    assert torch.equal(p, plain) and (p.data_ptr(), p.stride()) == (pointer, stride)
    restored = Optimizer([p], tw.Adam(lr=0.1))
    restored.load_state_dict(theirs.state_dict())
    p.grad, plain.grad = torch.ones_like(p), torch.ones_like(plain)
    restored.step()
    theirs.step()
    assert torch.equal(p, plain)


def test_a_model_laid_out_anew_between_steps() -> None:
    conv = torch.nn.Conv2d(3, 4, 3)
    twin = copy.deepcopy(conv)
    ours, theirs = Optimizer(conv.parameters(), tw.Adam()), Optimizer(twin.parameters(), tw.Adam())
    for k in range(3):
        x = torch.randn(2, 3, 8, 8)
        for net, opt in ((conv, ours), (twin, theirs)):
            opt.zero_grad()
            net(x).square().sum().backward()
        for p, q in zip(conv.parameters(), twin.parameters(), strict=True):
            p.grad.copy_(q.grad)  # type: ignore[union-attr, arg-type]
        ours.step()
        theirs.step()
        if k == 0:
            conv.to(memory_format=torch.channels_last)
    assert all(torch.equal(p, q) for p, q in zip(conv.parameters(), twin.parameters(), strict=True))


def test_threads_do_not_change_the_bits() -> None:
    """One thread, torch's OpenMP team and the pool."""
    size = 3 * launch.GRAIN + 17
    start, g = torch.randn(size), torch.randn(size)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        p = torch.nn.Parameter(start.clone())
        p.grad = g
        opt = Optimizer([p], tw.Adam())
        for _ in range(3):
            opt.step()
        results.append(p.detach().clone())
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP on Linux")
def test_the_team_is_torchs_and_does_every_slice() -> None:
    torch.set_num_threads(2)
    torch.randn(1 << 18).sum()
    assert openmp.team(parts.LIBRARIES, 2) is not None


# Groups.


def test_groups_speak_torchs_names() -> None:
    names = {
        tw.Adam(): {"lr", "betas", "eps"},
        tw.RMSpropMomentum(): {"lr", "alpha", "eps", "momentum"},
        tw.Adadelta(): {"lr", "rho", "eps"},
        tw.Adamax(): {"lr", "betas", "eps"},
        tw.Momentum(): {"lr", "momentum", "dampening"},
        tw.Adagrad(): {"lr", "eps", "lr_decay", "initial_accumulator_value"},
        tw.MomentumSutskever(): {"lr", "momentum"},
    }
    for rule, wanted in names.items():
        (group,) = Optimizer(parameters(), rule).param_groups
        assert wanted | {"weight_decay", "maximize"} <= set(group)
    assert Optimizer(parameters(), tw.Adamax()).param_groups[0]["eps"] == tw.Adamax().eps_in


@pytest.mark.parametrize(("name", "dialect"), FORMS)
def test_a_groups_entries_give_the_rule_back(name: str, dialect: str) -> None:
    rule = form(name, dialect)
    opt = Optimizer(parameters(), rule)
    found = thalweg.torch.groups.planned(opt._kinds, opt.param_groups[0]).rule
    assert found == rule and found.dialect == rule.dialect


def test_groups_have_their_own_rule_and_values() -> None:
    a, b, c, d = parameters()
    opt = Optimizer(
        [
            {"params": [a], "lr": 0.5, "betas": (0.5, 0.6)},
            {"params": [b], "rule": tw.Adagrad(lr=0.1), "weight_decay": 0.01},
            {"params": [c], "beta1": 0.25, "note": "kept"},
            {"params": d},
        ],
        tw.Adam(lr=0.2),
    )
    assert [g["lr"] for g in opt.param_groups] == [0.5, 0.1, 0.2, 0.2]
    assert "betas" not in opt.param_groups[1] and opt.param_groups[2]["betas"] == (0.25, 0.999)
    assert "beta1" not in opt.param_groups[2] and opt.param_groups[2]["note"] == "kept"
    arrays = [p.detach().numpy().copy() for p in (a, b, c, d)]
    rules: list[tuple[Rule, dict[str, Any]]] = [
        (tw.Adam(lr=0.5, beta1=0.5, beta2=0.6), {}),
        (tw.Adagrad(lr=0.1), {"weight_decay": 0.01}),
        (tw.Adam(lr=0.2, beta1=0.25), {}),
        (tw.Adam(lr=0.2), {}),
    ]
    plain = [r.on(w, **s, rates=False) for (r, s), w in zip(rules, arrays, strict=True)]
    for given in gradients([a, b, c, d], 4):
        opt.step()
        for o, g in zip(plain, given, strict=True):
            o.step(g.numpy())
    assert all(np.array_equal(p.detach().numpy(), w) for p, w in zip((a, b, c, d), arrays, strict=True))


def test_add_param_group_and_named_parameters() -> None:
    net = torch.nn.Linear(3, 2)
    opt = Optimizer([("weight", net.weight)], tw.Adam())
    train(opt, [net.weight], 3)
    opt.add_param_group({"params": [("bias", net.bias)], "lr": 0.5})
    assert opt.param_groups[1]["param_names"] == ["bias"]
    train(opt, [net.weight, net.bias], 2)
    assert (opt.state[net.weight]["step"], opt.state[net.bias]["step"]) == (5, 2)


def test_a_parameter_without_gradient_rests() -> None:
    params = parameters()
    opt = Optimizer(params, tw.Adam())
    train(opt, params, 2)
    before = [p.detach().clone() for p in params]
    next(gradients(params, 1))
    params[1].grad = None
    opt.step()
    assert torch.equal(params[1], before[1]) and opt.state[params[1]]["step"] == 2
    arrays = [w.numpy() for w in before]
    assert not np.array_equal(params[0].detach().numpy(), arrays[0]) and opt.state[params[0]]["step"] == 3


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda k: 1 / (k + 1)),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 8),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=2, cycle_momentum=True),
}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["Adam", "Momentum"])
def test_torchs_schedulers(scheduler: str, name: str) -> None:
    """Learning rate and momentum of each step are those that the schedule wrote."""
    mine, theirs = parameters(torch.float64), parameters(torch.float64)
    kinds: dict[str, tuple[Rule, torch.optim.Optimizer]] = {
        "Adam": (tw.Adam(lr=0.05), torch.optim.Adam(theirs, lr=0.05)),
        "Momentum": (tw.Momentum(lr=0.05), torch.optim.SGD(theirs, lr=0.05, momentum=0.9)),
    }
    rule, other = kinds[name]
    opt = Optimizer(mine, rule)
    plans = [SCHEDULERS[scheduler](o) for o in (opt, other)]
    for _ in zip(gradients(mine, 8), gradients(theirs, 8), strict=True):
        for o, plan in zip((opt, other), plans, strict=True):
            o.step()
            plan.step()
        assert opt.param_groups[0]["lr"] == other.param_groups[0]["lr"]
    assert all(torch.allclose(p, q, rtol=1e-10, atol=1e-12) for p, q in zip(mine, theirs, strict=True))


def test_a_rules_own_schedule_and_a_tensor_as_lr() -> None:
    params, others = parameters(), parameters()
    opt = Optimizer(params, tw.Adam(lr=tw.cosine(0.1, steps=5)))
    plain = Optimizer(others, tw.Adam())
    for k, _ in enumerate(zip(gradients(params, 5), gradients(others, 5), strict=True)):
        plain.param_groups[0]["lr"] = torch.tensor(tw.cosine(0.1, steps=5)(k), dtype=torch.float64)
        opt.step()
        plain.step()
    assert same(params, others)
    fresh = Optimizer(parameters(), tw.Adam(lr=tw.cosine(0.1, steps=5)))
    fresh.load_state_dict(opt.state_dict())
    assert fresh.param_groups[0]["lr"].schedule == tw.cosine(0.1, steps=5)


# State.


@every_form
def test_resumes_bit_for_bit_through_weights_only(name: str, dialect: str) -> None:
    rule = form(name, dialect)
    for dtype in (torch.float32, torch.bfloat16) if name in SOME else (torch.float32,):
        params = parameters(dtype)
        opt = Optimizer(params, rule)
        train(opt, params, 3)
        file = io.BytesIO()
        torch.save({"opt": opt.state_dict(), "params": [p.detach() for p in params]}, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        assert set(saved["opt"]["state"][0]) == {"step", *type(rule).parts.states}
        others = [torch.nn.Parameter(p) for p in saved["params"]]
        other = Optimizer(others, rule)
        other.load_state_dict(saved["opt"])
        for p, q in zip(params, others, strict=True):
            for n, x in opt.state[p].items():
                assert x.dtype == other.state[q][n].dtype and torch.equal(
                    x.nan_to_num(), other.state[q][n].nan_to_num()
                )
        train(opt, params, 3, seed=2)
        train(other, others, 3, seed=2)
        assert all(torch.equal(p.nan_to_num(), q.nan_to_num()) for p, q in zip(params, others, strict=True))


def test_loaded_states_are_copies_and_may_be_laid_out_otherwise() -> None:
    params = parameters()
    opt = Optimizer(params, tw.Adam())
    train(opt, params, 2)
    state = opt.state_dict()
    other = Optimizer(parameters(), tw.Adam())
    other.load_state_dict(state)
    before = state["state"][0]["m"].clone()
    train(other, other.param_groups[0]["params"], 2)
    assert torch.equal(before, state["state"][0]["m"])


def test_load_refuses_what_does_not_fit() -> None:
    params = parameters()
    opt = Optimizer(params, tw.Adam())
    train(opt, params, 1)
    saved = opt.state_dict()
    with pytest.raises(ValueError, match="saved by rule Adam, here it has rule Adamax"):
        Optimizer(params, tw.Adamax()).load_state_dict(saved)
    with pytest.raises(ValueError, match="Adam, here it has rule Adam:keras"):
        Optimizer(params, tw.Adam.like("keras")).load_state_dict(saved)
    theirs = torch.optim.Adam(parameters())
    with pytest.raises(ValueError, match="from_torch"):
        opt.load_state_dict(theirs.state_dict())
    with pytest.raises(ValueError, match="different number of parameter groups"):
        opt.load_state_dict({**saved, "param_groups": saved["param_groups"] * 2})
    wrong = copy.deepcopy(saved)
    wrong["state"][0]["m"] = torch.zeros(2)
    with pytest.raises(ValueError, match="state 'm' has shape"):
        opt.load_state_dict(wrong)


def test_copies_and_pickles() -> None:
    net = torch.nn.Linear(3, 2)
    opt = Optimizer(net.parameters(), tw.Adam(lr=0.1))
    train(opt, list(net.parameters()), 2)
    twin_net, twin = copy.deepcopy((net, opt))
    train(opt, list(net.parameters()), 2)
    train(twin, list(twin_net.parameters()), 2)
    assert same(net.parameters(), twin_net.parameters())


def test_a_step_with_lr_0_and_zero_gradients_creates_the_states_and_moves_nothing() -> None:
    """Distributed checkpoints make room for the states so."""
    for name, kind in RULES.items():
        params = parameters()
        before = [p.detach().clone() for p in params]
        opt = Optimizer(params, kind())
        for group in opt.param_groups:
            group["lr"] = 0.0
        for p in params:
            p.grad = torch.zeros_like(p)
        opt.step()
        assert same(params, before), name
        assert all(set(opt.state[p]) == {"step", *kind.parts.states} for p in params)


# What torch asks of an optimizer.


def test_autograd_knows_that_parameters_moved() -> None:
    p = torch.nn.Parameter(torch.ones(3))
    loss = (p * p).sum()
    p.grad = torch.ones(3)
    Optimizer([p], tw.SGD(lr=0.1)).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_closures_hooks_zero_grad_and_the_loss() -> None:
    p = torch.nn.Parameter(torch.ones(3))
    opt = Optimizer([p], tw.SGD(lr=0.1))
    seen: list[str] = []
    opt.register_step_pre_hook(lambda *_: seen.append("before"))
    opt.register_step_post_hook(lambda *_: seen.append("after"))

    def closure() -> torch.Tensor:
        opt.zero_grad(set_to_none=True)
        assert p.grad is None
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert opt.step(closure) == 3.0 and seen == ["before", "after"]
    assert torch.allclose(p, torch.full((3,), 0.8))
    opt.zero_grad(set_to_none=False)
    assert torch.equal(p.grad, torch.zeros(3))  # type: ignore[arg-type]


def test_grad_scaler_leaves_out_steps_that_overflowed() -> None:
    net = torch.nn.Linear(4, 1)
    opt = Optimizer(net.parameters(), tw.Adam(lr=0.1))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    before = net.weight.detach().clone()
    scaler.scale(net(torch.full((1, 4), 1e35)).sum()).backward()
    scaler.step(opt)
    scaler.update()
    assert torch.equal(net.weight, before) and scaler.get_scale() == 2.0**19
    opt.zero_grad()
    scaler.scale(net(torch.ones(1, 4)).sum()).backward()
    scaler.unscale_(opt)
    assert torch.equal(net.weight.grad, torch.ones(1, 4))  # type: ignore[arg-type]
    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    scaler.step(opt)
    assert torch.allclose(net.weight, before - 0.1, atol=1e-6)


def test_non_finite_gradients() -> None:
    for choice in ("propagate", "raise", "skip"):
        params = parameters()
        opt = Optimizer(params, tw.Adam(), on_nonfinite=choice)  # type: ignore[arg-type]
        train(opt, params, 1)
        before = [p.detach().clone() for p in params]
        next(gradients(params, 1))
        params[2].grad = torch.tensor(math.nan)
        if choice == "raise":
            with pytest.raises(
                NonFiniteError, match="1 of 1 entries of the gradient of parameter 2 of group 0"
            ):
                opt.step()
        else:
            opt.step()
        assert same(params, before) == (choice != "propagate")
        assert opt.skipped == (choice == "skip") and params[2].isnan() == (choice == "propagate")


def test_bad_input_in_torchs_own_exception_types() -> None:
    p = torch.nn.Parameter(torch.ones(3))
    adam: Any = "Adam"
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: Optimizer(p, tw.Adam()), TypeError, "iterable of Tensors or dicts"),
        (lambda: Optimizer([], tw.Adam()), ValueError, "empty parameter list"),
        (lambda: Optimizer([p], adam), TypeError, "must be a rule such as"),
        (
            lambda: Optimizer([p], tw.Adam, beta=0.5),
            TypeError,
            "Adam has no keyword 'beta': did you mean 'betas'",
        ),
        (lambda: Optimizer([p * 2], tw.Adam()), ValueError, "non-leaf"),
        (lambda: Optimizer([p, p], tw.Adam()), ValueError, "tensor 1 is given twice"),
        (lambda: Optimizer([{"params": [p]}, {"params": [p]}], tw.Adam()), ValueError, "more than one"),
        (lambda: Optimizer([torch.ones(2, dtype=torch.int32)], tw.Adam()), TypeError, "got int32"),
        (lambda: Optimizer([torch.ones(1).expand(3)], tw.Adam()), ValueError, "share memory"),
        (lambda: Optimizer([{"params": [p], "lr": -1}], tw.Adam()), ValueError, "lr must be"),
        (lambda: Optimizer([{"params": [p], "betas": 0.9}], tw.Adam()), ValueError, "betas must be 2 values"),
        (lambda: Optimizer([p], tw.Adam(), weight_decay=-1), ValueError, "weight_decay must be"),
        (lambda: Optimizer([p], tw.Adam(), decay="none"), ValueError, "decay must be"),  # type: ignore[arg-type]
        (lambda: Optimizer([p], tw.Adam(), on_nonfinite="no"), ValueError, "on_nonfinite"),  # type: ignore[arg-type]
        (lambda: Optimizer([{"params": [p], "rule": "Adam"}], tw.Adam()), TypeError, "must be a rule"),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    opt = Optimizer([p], tw.Adam())
    p.grad = torch.ones(3)
    opt.param_groups[0]["lr"] = math.nan
    with pytest.raises(HyperparameterError, match="lr must be"):
        opt.step()
    assert torch.equal(p, torch.ones(3))


def test_without_torch_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['torch'] = None\nimport thalweg as tw; tw.Adam()\nimport thalweg.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "pip install torch" in done.stderr.splitlines()[-1]


def test_a_forked_child_steps_too() -> None:
    """It has none of its parent's OpenMP team."""
    code = """
import os, sys, torch, thalweg as tw, thalweg.torch
torch.set_num_threads(2)
p = torch.nn.Parameter(torch.zeros(1 << 20)); p.grad = torch.ones_like(p)
opt = thalweg.torch.Optimizer([p], tw.SGD(lr=0.25))
opt.step()
child = os.fork()
if child == 0:
    opt.step()
    os._exit(0 if bool((p.detach().numpy() == -0.5).all()) else 1)
_, status = os.waitpid(child, 0)
opt.step()
sys.exit(os.waitstatus_to_exitcode(status) or int(not bool((p == -0.5).all())))
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60).returncode == 0


def test_a_compiled_model_trains_the_same_way() -> None:
    """``torch.compile`` of the model and of the whole step; the eager backend needs no compiler."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    twin = copy.deepcopy(net)
    x = torch.randn(16, 4)
    opts = [Optimizer(m.parameters(), tw.Adam(lr=0.01)) for m in (net, twin)]
    compiled = torch.compile(twin, backend="eager")
    for _ in range(3):
        for model, opt in ((net, opts[0]), (compiled, opts[1])):
            opt.zero_grad()
            model(x).square().mean().backward()
            opt.step()

    def whole() -> None:
        opts[1].zero_grad()
        twin(x).square().mean().backward()
        opts[1].step()

    torch.compile(whole, backend="eager")()
    opts[0].zero_grad()
    net(x).square().mean().backward()
    opts[0].step()
    assert same(net.parameters(), twin.parameters())


# Moving over.

LEAVING: dict[str, tuple[Any, dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {"lr": 0.1}),
    "momentum": (
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 1e-3},
    ),
    "Nesterov": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "Adagrad": (torch.optim.Adagrad, {"lr": 0.05, "lr_decay": 0.01, "initial_accumulator_value": 0.1}),
    "RMSprop": (torch.optim.RMSprop, {"lr": 0.003}),
    "RMSprop, centred": (torch.optim.RMSprop, {"lr": 0.003, "centered": True}),
    "RMSprop, momentum": (torch.optim.RMSprop, {"lr": 0.003, "momentum": 0.5}),
    "RMSprop, both": (torch.optim.RMSprop, {"lr": 0.003, "momentum": 0.5, "centered": True}),
    "Adadelta": (torch.optim.Adadelta, {"lr": 1.0, "rho": 0.95}),
    "Adam": (torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 1e-3}),
    "AdamW": (torch.optim.AdamW, {"lr": 0.01}),
    "Adamax": (torch.optim.Adamax, {"lr": 0.01, "eps": 1e-6}),
    "maximised": (torch.optim.Adam, {"lr": 1e-3, "maximize": True}),
}
if "NAdam" in RULES:
    LEAVING["NAdam"] = (torch.optim.NAdam, {"lr": 0.01})
    LEAVING["NAdam, decoupled"] = (
        torch.optim.NAdam,
        {"lr": 0.01, "weight_decay": 0.01, "decoupled_weight_decay": True},
    )
if "ASGD" in RULES:
    LEAVING["ASGD"] = (torch.optim.ASGD, {"lr": 0.05, "t0": 20, "lambd": 1e-3})
if "Rprop" in RULES:
    LEAVING["Rprop"] = (torch.optim.Rprop, {"lr": 1e-4, "step_sizes": (1e-6, 1e-3)})
if "RAdam" in RULES:
    LEAVING["RAdam"] = (torch.optim.RAdam, {"lr": 0.01})
if "AMSGrad" in RULES:
    LEAVING["AMSGrad"] = (torch.optim.Adam, {"lr": 0.01, "amsgrad": True})


def training(
    kind: Any,
    arguments: dict[str, Any],
    dtype: torch.dtype,
    at: Callable[[int, Any], Any] = lambda k, opt: opt,
) -> list[float]:
    """150 steps of a small network on batches of 16 rows; ``at`` is shown the optimizer before each and may replace it.

    Batches keep it steady. On full batches at these rates some trainings are at the edge of stability: there an
    ulp added to each weight at step 50 changes Adadelta's later losses by 1e-3 of themselves, in float64 too.
    """
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
    x = torch.randn(64, 8, dtype=torch.float64)
    y = torch.sin(x.sum(1, keepdim=True)) + 0.1 * torch.randn(64, 1, dtype=torch.float64)
    net, x, y = net.to(dtype), x.to(dtype), y.to(dtype)
    opt = kind([{"params": [p], "note": n} for n, p in net.named_parameters()], **arguments)
    told = []
    for k in range(150):
        opt = at(k, opt)
        rows = slice(16 * (k % 4), 16 * (k % 4) + 16)
        opt.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x[rows]), y[rows])
        loss.backward()
        opt.step()
        told.append(loss.item())
    return told


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize("name", LEAVING)
def test_a_run_that_moves_over_and_back_goes_on(name: str, dtype: torch.dtype) -> None:
    """Switched at steps 50 and 100 of a real training, its losses are those of an unswitched run."""
    kind, arguments = LEAVING[name]

    def switched(k: int, opt: Any) -> Any:
        if k == 50:
            opt = Optimizer.from_torch(opt)
        if k == 100:
            opt = opt.to_torch()
            assert type(opt) is kind and opt.param_groups[1]["note"] == "0.bias"
            assert all(opt.param_groups[0][n] == v for n, v in arguments.items())
        return opt

    losses = training(kind, arguments, dtype)
    assert (sum(losses[-4:]) < sum(losses[:4])) != arguments.get("maximize", False)
    assert training(kind, arguments, dtype, switched) == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize(
    "name", ["SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW", "Adamax", "NAdam"]
)
def test_a_scheduler_goes_on_when_its_run_moves(name: str) -> None:
    """A new scheduler on the moved optimizer takes over the old one's state, as torch's own are resumed."""
    kind, arguments = LEAVING[name]

    def run(moving: bool) -> list[float]:
        at: dict[str, Any] = {}

        def step(k: int, opt: Any) -> Any:
            if k == 0:
                at["scheduler"] = lr_scheduler.CosineAnnealingLR(opt, T_max=150)
                return opt
            at["scheduler"].step()
            if moving and k in (50, 100):
                opt = Optimizer.from_torch(opt) if k == 50 else opt.to_torch()
                state, rates = at["scheduler"].state_dict(), [group["lr"] for group in opt.param_groups]
                at["scheduler"] = lr_scheduler.CosineAnnealingLR(opt, T_max=150)
                at["scheduler"].load_state_dict(state)
                for group, lr in zip(opt.param_groups, rates, strict=True):
                    group["lr"] = lr
            return opt

        return training(kind, arguments, torch.float32, step)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        assert run(True) == pytest.approx(run(False), rel=1e-5)


def test_states_are_copied_when_moving() -> None:
    params = parameters()
    theirs = torch.optim.Adam(params)
    train(theirs, params, 2)
    ours = Optimizer.from_torch(theirs)
    back = ours.to_torch()
    kept = theirs.state[params[0]]["exp_avg"].clone()
    train(ours, params, 1)
    assert torch.equal(theirs.state[params[0]]["exp_avg"], kept)
    assert torch.equal(back.state[params[0]]["exp_avg"], kept) and back.state[params[0]]["step"] == 2


def test_where_two_worlds_cannot_agree_it_says_so() -> None:
    params = parameters()
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: Optimizer.from_torch(torch.optim.Adafactor(params)), TypeError, "one of torch.optim's ASGD, .*, SGD; got torch.optim.Adafactor"),
        (lambda: Optimizer(params, tw.Adam.like("keras")).to_torch(), ValueError, "eps of 1e-07 .* 3.16e-06"),
        (lambda: Optimizer(params, tw.RMSprop.like("keras")).to_torch(), ValueError, "near 0.000316"),
        (lambda: Optimizer(params, tw.LpProp()).to_torch(), ValueError, "LpProp is none of the optimizers of torch.optim"),
        (
            lambda: Optimizer(params, tw.Adagrad(), weight_decay=0.1, decay="decoupled").to_torch(),
            ValueError,
            "no decoupled weight decay",
        ),
        (lambda: Optimizer(params, tw.Adam(lr=tw.cosine(0.1, steps=3))).to_torch(), ValueError, "schedules"),
        (
            lambda: Optimizer([{"params": params[:1]}, {"params": params[1:], "rule": tw.SGD()}], tw.Adam()).to_torch(),
            ValueError,
            "one optimizer has one method",
        ),
    ]  # fmt: skip
    for call, kind, words in cases:
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


# Several processes.

WORKER = """
import os, sys, torch
import torch.distributed as dist
import thalweg as tw, thalweg.torch
from torch.nn.parallel import DistributedDataParallel

rank, mode, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
x, y = torch.randn(8, 6), torch.randn(8, 2)
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
model = net
if mode == "ddp":
    model = DistributedDataParallel(net)
else:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    fully_shard(net, mesh=init_device_mesh("cpu", (2,)))
opt = thalweg.torch.Optimizer(model.parameters(), tw.Adam(lr=0.05), average=0.9)
mine = slice(4 * rank, 4 * rank + 4)
def step():
    opt.zero_grad()
    torch.nn.functional.mse_loss(model(x[mine]), y[mine]).backward()
    opt.step()
for _ in range(5):
    step()
full = lambda t: t.full_tensor() if hasattr(t, "full_tensor") else t
if mode == "fsdp":
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict
    weights, states = get_state_dict(net, opt)
    dcp.save({"net": weights, "opt": states}, checkpoint_id=f"{folder}/saved")
    try:
        thalweg.torch.Optimizer(net.parameters(), tw.Adam(), clip_norm=1.0).step()
        raise SystemExit("a norm of parts passes for that of all")
    except RuntimeError as error:
        assert "clip_grad_norm_" in str(error)
made = [full(x.detach()).clone() for x in (*net.parameters(), *opt.average.values())]
if rank == 0:
    torch.save(made, f"{folder}/{mode}.pt")
dist.destroy_process_group()
"""


def alone() -> tuple[torch.nn.Sequential, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    return net, torch.randn(8, 6), torch.randn(8, 2)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
@pytest.mark.slow
def test_two_processes_train_as_one(mode: str, tmp_path: Path) -> None:
    """DDP and FSDP2 over gloo; a checkpoint that two saved is loaded by one, which goes on."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", WORKER, str(rank), mode, str(tmp_path)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for worker in workers:
        _, told = worker.communicate(timeout=180)
        assert worker.returncode == 0, told
    net, x, y = alone()
    opt = Optimizer(net.parameters(), tw.Adam(lr=0.05), average=0.9)

    def step(model: torch.nn.Module, by: torch.optim.Optimizer) -> None:
        by.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        by.step()

    for _ in range(5):
        step(net, opt)
    whole = torch.load(tmp_path / f"{mode}.pt", weights_only=True)
    for p, q in zip((*net.parameters(), *opt.average.values()), whole, strict=True):
        assert torch.allclose(p, q, rtol=1e-5, atol=1e-6)
    if mode == "fsdp":
        code = """
import sys, torch, torch.distributed.checkpoint as dcp
import thalweg as tw, thalweg.torch
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
folder = sys.argv[1]
net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
opt = thalweg.torch.Optimizer(net.parameters(), tw.Adam(lr=0.05), average=0.9)
weights, states = get_state_dict(net, opt)
held = {"net": weights, "opt": states}
dcp.load(held, checkpoint_id=f"{folder}/saved")
set_state_dict(net, opt, model_state_dict=held["net"], optim_state_dict=held["opt"])
torch.save((net.state_dict(), opt.state_dict()), f"{folder}/one.pt")
"""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        weights, states = torch.load(tmp_path / "one.pt", weights_only=True)
        fresh, _, _ = alone()
        fresh.load_state_dict(weights)
        by = Optimizer(fresh.parameters(), tw.Adam(lr=0.05), average=0.9)
        by.load_state_dict(states)
        assert all(by.state[p]["step"] == 5 for p in fresh.parameters())
        step(net, opt)
        step(fresh, by)
        assert all(
            torch.allclose(p, q, rtol=1e-5, atol=1e-6)
            for p, q in zip(net.parameters(), fresh.parameters(), strict=True)
        )


MOVED = {
    "nothing": lambda ps, opt: None,
    "new gradients": lambda ps, opt: [setattr(p, "grad", p.grad.clone()) for p in ps],
    "a gradient in another order": lambda ps, opt: setattr(ps[0], "grad", ps[0].grad.t().clone().t()),
    "no gradient": lambda ps, opt: setattr(ps[0], "grad", None),
    "other weights": lambda ps, opt: setattr(ps[0], "data", ps[0].detach() + 1),
    "weights turned": lambda ps, opt: (
        setattr(ps[0], "data", ps[0].detach().t()),
        setattr(ps[0], "grad", ps[0].grad.t().clone()),
    ),
    "fewer weights": lambda ps, opt: (
        setattr(ps[1], "data", ps[1].detach()[:2]),
        setattr(ps[1], "grad", ps[1].grad[:2].clone()),
        opt.__dict__["state"][ps[1]].update(
            {n: x[:2].clone() for n, x in opt.state[ps[1]].items() if x.ndim}
        ),
    ),
    "another state": lambda ps, opt: opt.state[ps[0]].update(m=torch.zeros(4, 4)),
    "another count": lambda ps, opt: opt.state[ps[0]].update(step=torch.tensor(7.0)),
    "a count set": lambda ps, opt: opt.state[ps[0]]["step"].fill_(7.0),
    "a loaded state": lambda ps, opt: opt.load_state_dict(opt.state_dict()),
    "one more": lambda ps, opt: opt.param_groups[0]["params"].append(ps[2]),
    "decay": lambda ps, opt: opt.param_groups[0].update(weight_decay=0.1),
    "a rate": lambda ps, opt: opt.param_groups[0].update(lr=0.1),
}


@pytest.mark.parametrize("what", MOVED)
def test_what_changes_between_steps_is_seen(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that looks at nothing twice takes the same path as one that looks at everything anew."""
    ends = []
    for ready in (True, False):
        if not ready:
            monkeypatch.setattr("thalweg.torch.optimizer.can_keep", lambda *given: False)
        torch.manual_seed(0)
        ps = [torch.nn.Parameter(torch.randn(4, 4)), *(torch.nn.Parameter(torch.randn(5)) for _ in range(2))]
        opt = thalweg.torch.Optimizer(ps[:2], tw.Adam(lr=0.01))
        for t in range(6):
            for p in ps:
                p.grad = torch.randn_like(p) if p.grad is None or t % 2 else p.grad
            if t == 3:
                MOVED[what](ps, opt)
            opt.step()
        assert bool(opt._ready) is ready
        ends.append([*(p.detach().clone() for p in ps), *(opt.state[p]["step"].clone() for p in ps[:2])])
    for a, b in zip(*ends, strict=True):
        assert torch.equal(a, b)


# What does not fit is refused before an engine sees an address.


def stepped(n: int = 4) -> tuple[torch.nn.Parameter, Optimizer]:
    p = torch.nn.Parameter(torch.zeros(n))
    opt = Optimizer([p], tw.Adam())
    p.grad = torch.ones(n)
    opt.step()
    return p, opt


@pytest.mark.parametrize("size", [2, 7, 100_000])
def test_a_parameter_that_grew_or_shrank_is_refused(size: int) -> None:
    p, opt = stepped()
    p.data = torch.zeros(size)
    with pytest.raises(RuntimeError, match=r"gradient of a parameter of shape \(\d+,\) has shape \(4,\)"):
        opt.step()
    p.grad = torch.ones(size)
    with pytest.raises(RuntimeError, match=r"state 'm' .* has shape \(4,\)"):
        opt.step()
    assert not p.detach().any()
    opt.state.pop(p)
    opt.step()
    assert torch.allclose(p, torch.full((size,), -1e-3))


def test_a_table_that_grew_is_refused() -> None:
    table = torch.nn.Embedding(4, 3, sparse=True)
    opt = Optimizer(table.parameters(), tw.Adam())
    opt.watch(table)
    table(torch.tensor([1])).sum().backward()
    opt.step()
    table.weight.grad = None
    table.weight.data = torch.zeros(2000, 3)
    table(torch.tensor([1500])).sum().backward()
    with pytest.raises(RuntimeError, match=r"state 'm' .* has shape \(4, 3\)"):
        opt.step()
    assert not table.weight.detach().any()


@pytest.mark.parametrize("value", [None, 1.0, "x", torch.zeros(2)], ids=str)
def test_states_that_somebody_replaced_are_refused(value: Any) -> None:
    p, opt = stepped()
    before = p.detach().clone()
    opt.state[p]["m"] = value
    with pytest.raises(RuntimeError, match="state 'm'"):
        opt.step()
    assert torch.equal(p, before)


def test_states_whose_memory_moved_are_found() -> None:
    p, opt = stepped()
    opt.step()
    kept = opt.state[p]["m"]
    kept.data = torch.zeros(4)
    opt.step()
    assert kept.abs().min() > 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s["state"][0].pop("m"), "state 'm' of parameter 0"),
        (lambda s: s["state"][0].update(m=None), "state 'm' of parameter 0"),
        (lambda s: s["state"][0].pop("step"), "state 'step' of parameter 0"),
        (lambda s: s["state"][0].update(step="3"), "state 'step' of parameter 0"),
        (lambda s: s["state"][0].update(step=torch.tensor(-3.0)), "number of steps"),
        (lambda s: s["state"][0].update(step=torch.tensor(float("nan"))), "number of steps"),
        (lambda s: s["param_groups"][0].update(lr=-1.0), "lr must be"),
        (lambda s: s.pop("state"), "what state_dict"),
    ],
)
def test_a_damaged_state_is_refused_whole(change: Any, told: str) -> None:
    p, opt = stepped()
    saved = opt.state_dict()
    saved["state"] = {k: dict(v) for k, v in saved["state"].items()}
    saved["param_groups"] = [dict(g) for g in saved["param_groups"]]
    change(saved)
    before, m = dict(opt.param_groups[0]), opt.state[p]["m"].clone()
    with pytest.raises(ValueError, match=told):
        opt.load_state_dict(saved)
    assert opt.param_groups[0] == before
    assert torch.equal(opt.state[p]["m"], m)


# A tensor may become another under the same object: what a kernel reads is looked at anew in every step.


def as_data(x: torch.Tensor, value: torch.Tensor) -> None:
    x.data = value


def within(x: torch.Tensor, of: torch.Tensor, start: int) -> None:
    """Make x a window of a tensor's memory, from entry ``start``; a tensor without room behind it gets some."""
    size = of.numel()
    if of.untyped_storage().nbytes() < (size + start) * of.element_size():
        of.data = torch.cat([of.detach().flatten(), torch.ones(start)])[:size].view(of.shape)
    x.data = of.detach().as_strided(of.shape, of.stride(), start)


@torch.no_grad()
def turn(x: torch.Tensor) -> None:
    x.transpose_(0, 1)


LIKE_NEW: dict[str, Callable[[torch.Tensor], None]] = {
    "half": lambda x: as_data(x, x.data.half()),
    "double": lambda x: as_data(x, x.data.double()),
    "bfloat16": lambda x: as_data(x, x.data.bfloat16()),
    "turned": lambda x: as_data(x, x.data.transpose(0, 1)),
    "turned in place": turn,
    "channels last": lambda x: as_data(x, x.data.contiguous(memory_format=torch.channels_last)),
    "negative view": lambda x: as_data(x, torch._neg_view(x.data)),
    "with gaps": lambda x: as_data(x, torch.stack([x.data, x.data], -1)[..., 0]),
    "elsewhere": lambda x: as_data(x, x.data.clone()),
    "shared memory": lambda x: as_data(x, x.data.share_memory_()),
}
OF_GRADIENTS = LIKE_NEW | {
    "expanded": lambda x: as_data(x, torch.full((1,), 0.5).expand(x.shape)),
    "whole numbers": lambda x: as_data(x, (8 * x.data).int()),
}
PLACES = {
    **{f"gradient {n}": (change, lambda p, opt: p.grad) for n, change in OF_GRADIENTS.items()},
    **{f"weights {n}": (change, lambda p, opt: p) for n, change in LIKE_NEW.items()},
    **{f"state {n}": (change, lambda p, opt: opt.state[p]["m"]) for n, change in LIKE_NEW.items()},
    "count in shared memory": (lambda x: as_data(x, x.share_memory_()), lambda p, opt: opt.state[p]["step"]),
    "double and then half": (lambda p: (as_data(p, p.data.double()), as_data(p, p.data.half())), lambda p, opt: p),
}  # fmt: skip


def plain_twin(p: torch.nn.Parameter, opt: Optimizer) -> tuple[torch.nn.Parameter, Optimizer]:
    """The same parameter, gradient and states in tensors of their own that nobody has touched."""
    assert p.grad is not None
    q = torch.nn.Parameter(p.detach().resolve_neg().clone(memory_format=torch.contiguous_format))
    q.grad = p.grad.resolve_neg().to(q.dtype, memory_format=torch.contiguous_format, copy=True)
    twin = Optimizer([q], tw.Adam(lr=0.01))
    twin.load_state_dict(opt.state_dict())
    return q, twin


@pytest.mark.parametrize("what", PLACES)
def test_a_tensor_that_became_another_is_read_as_what_it_is(what: str) -> None:
    torch.manual_seed(0)
    p = torch.nn.Parameter(torch.randn(6, 6, 2, 3))
    opt = Optimizer([p], tw.Adam(lr=0.01))
    p.grad = torch.randn_like(p)
    for _ in range(3):
        opt.step()
    assert opt._ready
    change, of = PLACES[what]
    change(of(p, opt))
    q, twin = plain_twin(p, opt)
    for _ in range(2):
        opt.step()
        twin.step()
    assert torch.equal(p.detach(), q.detach())
    for n in ("m", "v", "step"):
        assert torch.equal(opt.state[p][n], twin.state[q][n])


def test_a_gradient_that_is_the_weights_is_one_of_their_values() -> None:
    p, q = (torch.nn.Parameter(torch.arange(100.0)) for _ in range(2))
    ours, theirs = Optimizer([p], tw.Adam(lr=0.1)), Optimizer([q], tw.Adam(lr=0.1))
    p.grad = torch.ones(100)
    ours.step()
    q.grad = torch.ones(100)
    theirs.step()
    p.grad.data = p.data
    for _ in range(3):
        q.grad = q.detach().clone()
        ours.step()
        theirs.step()
    assert torch.equal(p, q)


def test_parameters_without_gradient_rest_beside_a_group_that_stands() -> None:
    """A layer that is not used, and then is, and then is not, takes the path of one laid out at every step."""
    ends = []
    for keep in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not keep:
                patch.setattr("thalweg.torch.optimizer.can_keep", lambda *given: False)
            ps = [torch.nn.Parameter(torch.arange(1.0, 4.0)) for _ in range(3)]
            opt = Optimizer(ps, tw.Adam(lr=0.1))
            for t in range(12):
                for p in ps:
                    p.grad = p.detach() * (t + 1)
                if t // 3 % 2 == 0:
                    ps[1].grad = None
                opt.step()
                assert bool(opt._ready) is keep
            ends.append([*(p.detach() for p in ps), *(opt.state[p]["step"] for p in ps)])
    assert [int(x) for x in ends[0][3:]] == [12, 6, 12]
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize(
    ("rule", "entries"),
    [
        (tw.Adam(), {"weight_decay": 0.1, "decay": "decoupled"}),
        (tw.AdamW(), {}),
        (tw.Adagrad(), {"lr_decay": 0.1}),
        (tw.LpProp(), {}),
        (tw.SGD(), {"weight_decay": 0.1}),
        (tw.RAdam(), {}),
    ],
    ids=str,
)
def test_a_rate_that_changes_at_every_step_is_that_of_a_group_planned_anew(
    rule: tw.Rule, entries: Any
) -> None:
    ends = []
    for keep in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not keep:
                patch.setattr("thalweg.torch.optimizer.can_keep", lambda *given: False)
            p = torch.nn.Parameter(torch.arange(1.0, 4.0))
            opt = Optimizer([{"params": [p], **entries}], rule)
            for t in range(8):
                p.grad = p.detach() * (t + 1)
                opt.param_groups[0]["lr"] = 0.1 / (t + 1) if t < 6 else 0
                opt.step()
                assert bool(opt._ready) is keep
            ends.append(p.detach().clone())
            for wrong in (-1.0, math.nan, "x"):
                opt.param_groups[0]["lr"] = wrong
                with pytest.raises(HyperparameterError, match="must be a"):
                    opt.step()
            assert torch.equal(p, ends[-1])
    assert torch.equal(*ends)


REFUSED: dict[str, tuple[Callable[[torch.nn.Parameter, Optimizer], Any], str]] = {
    "weights expanded": (lambda p, opt: as_data(p, torch.ones(1).expand(p.shape)), "shares memory among its entries"),
    "weights of whole numbers": (lambda p, opt: as_data(p.requires_grad_(False), p.data.int()), "is int32, torch.strided by now"),
    "weights freed": (lambda p, opt: p.untyped_storage().resize_(0), "more entries than memory in its weights"),
    "gradient of another shape": (lambda p, opt: as_data(p.grad, torch.ones(3)), r"gradient .* has shape \(3,\)"),
    "gradient freed": (lambda p, opt: p.grad.untyped_storage().resize_(0), "more entries than memory in its gradient"),
    "gradient one entry on": (lambda p, opt: within(p.grad, p, 1), "its weights and its gradient overlap"),
    "gradient all but one on": (lambda p, opt: within(p.grad, p, 4095), "its weights and its gradient overlap"),
    "gradient within a state": (lambda p, opt: within(p.grad, opt.state[p]["v"], 1), "state 'v' and its gradient overlap"),
    "state is the weights": (lambda p, opt: as_data(opt.state[p]["m"], p.data), "its weights and state 'm' overlap"),
    "states are one": (lambda p, opt: opt.state[p].update(m=opt.state[p]["v"]), "state 'm' and state 'v' overlap"),
    "state freed": (lambda p, opt: opt.state[p]["m"].untyped_storage().resize_(4), "more entries than memory in state .m."),
    "state elsewhere": (lambda p, opt: opt.state[p].update(m=torch.empty(64, 64, device="meta")), "state 'm' .* is on meta"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_memory_that_a_kernel_cannot_rely_on_is_refused(what: str) -> None:
    p = torch.nn.Parameter(torch.ones(128, 64)[:64])  # with room behind it
    other = torch.nn.Parameter(torch.ones(5))
    opt = Optimizer([other, p], tw.Adam())
    p.grad, other.grad = torch.ones(64, 64), torch.ones(5)
    for _ in range(3):
        opt.step()
    assert opt._ready
    change, told = REFUSED[what]
    change(p, opt)
    weights, m = other.detach().clone(), opt.state[other]["m"].clone()
    with pytest.raises(RuntimeError, match=told) as caught:
        opt.step()
    assert "\n" not in str(caught.value)
    assert torch.equal(other, weights) and torch.equal(opt.state[other]["m"], m)
    assert opt.state[p]["step"] == opt.state[other]["step"] == 3


@pytest.mark.parametrize("first", [2**24 - 2, 2**31 - 2])
def test_counts_schedules_and_corrections_go_on_in_long_runs(first: int) -> None:
    """From step ``first`` Adam moves by the formula, with the scheduled rate and the corrections of that step."""
    schedule, beta2 = tw.cosine(0.1, steps=2**32), 1 - 2.0**-30
    rule = tw.Adam(lr=schedule, beta2=beta2)
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    array = np.ones(3)
    opt, numpy_opt = Optimizer([p], rule), rule.on(array)
    saved = opt.state_dict()
    saved["state"] = {
        0: {"step": torch.tensor(float(first), dtype=torch.float64), "m": torch.zeros(3), "v": torch.zeros(3)}
    }
    opt.load_state_dict(saved)
    numpy_opt._t = first
    g = torch.tensor([0.5, -1.0, 3.0], dtype=torch.float64)
    w, m, v = np.ones(3), np.zeros(3), np.zeros(3)
    for t in range(first + 1, first + 6):
        p.grad = g * (t - first)
        opt.step()
        numpy_opt.step(p.grad.numpy())
        m = 0.9 * m + 0.1 * p.grad.numpy()
        v = beta2 * v + (1 - beta2) * p.grad.numpy() ** 2
        correction = -math.expm1(t * math.log1p(-(2.0**-30)))
        w = w - schedule(t - 1) * m / (1 - 0.9**t) / (np.sqrt(v / correction) + 1e-8)
        assert opt._ready and opt.state[p]["step"].item() == numpy_opt.t == t
        assert np.allclose(p.detach().numpy(), w, rtol=1e-13, atol=0)
        assert np.array_equal(p.detach().numpy(), array)


def test_torchs_optimizers_take_our_counts() -> None:
    """Its loop and foreach forms as they are; its kernels count in float32, which must hold the number."""
    p, opt = stepped()
    count = opt.state[p]["step"]
    assert count.dtype is torch.float64 and count.shape == ()
    for flags in ({}, {"foreach": False}, {"foreach": True}, {"fused": True}):
        back: Any = opt.to_torch(**flags)
        back.step()
        assert back.state[p]["step"] == 2 and opt.state[p]["step"] == 1
    count.fill_(2**24 + 1)
    for flags in ({"fused": True}, {"capturable": True}):
        with pytest.raises(ValueError, match="16777217 steps: with fused or capturable"):
            opt.to_torch(**flags)
    back = opt.to_torch(foreach=True)
    back.step()
    assert back.state[p]["step"] == 2**24 + 2
    assert Optimizer.from_torch(back).state[p]["step"] == 2**24 + 2


def test_a_checkpoint_with_float32_counts_goes_on_in_float64() -> None:
    p, opt = stepped()
    saved = opt.state_dict()
    saved["state"][0] = {**saved["state"][0], "step": torch.tensor(float(2**24))}
    opt.load_state_dict(saved)
    opt.step()
    assert opt.state[p]["step"] == 2**24 + 1
    file = io.BytesIO()
    torch.save(opt.state_dict(), file)
    file.seek(0)
    assert torch.load(file, weights_only=True)["state"][0]["step"] == 2**24 + 1


def test_this_torch_has_the_compiled_look() -> None:
    """Without ``TensorGuards`` steps would be as right, and slower, which no other test sees."""
    assert thalweg.torch.fast_path.TensorGuards is not None


@pytest.mark.parametrize(
    "start",
    [
        lambda: torch.randn(3, 3, dtype=torch.complex64).mH,
        lambda: torch.randn(5, dtype=torch.complex64).conj(),
        lambda: torch._neg_view(torch.randn(5)),
    ],
)
def test_conjugate_and_negative_views(start: Any) -> None:
    torch.manual_seed(0)
    first = start()
    ends = []
    for make in (
        lambda p: Optimizer(p, tw.Momentum(lr=0.1)),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    ):
        torch.manual_seed(0)
        p = torch.nn.Parameter(start())
        assert torch.equal(p.resolve_conj(), first.resolve_conj())
        opt = make([p])
        for _ in range(5):
            opt.zero_grad()
            (p - 1).abs().pow(2).sum().backward()
            opt.step()
        ends.append(p.detach().resolve_conj().resolve_neg().clone())
    torch.testing.assert_close(*ends)


def test_a_rate_that_is_a_tensor_is_read_at_every_step() -> None:
    lr = torch.tensor(0.1)
    for make in (
        lambda p: Optimizer([{"params": [p], "lr": lr}], tw.SGD()),
        lambda p: Optimizer.from_torch(torch.optim.SGD([p], lr=lr, foreach=False)),
    ):
        lr.fill_(0.1)
        p = torch.nn.Parameter(torch.ones(2))
        opt = make(p)
        p.grad = torch.ones(2)
        opt.step()
        lr.fill_(0.5)
        opt.step()
        torch.testing.assert_close(p.detach(), torch.full((2,), 0.4))
    decayed = torch.optim.Adagrad([p], lr=torch.tensor(0.05), lr_decay=0.1, foreach=False)
    assert Optimizer.from_torch(decayed).param_groups[0]["lr_decay"] == 0.1


def test_adamw_with_coupled_decay_is_torchs_adam() -> None:
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    opt = Optimizer([p], tw.AdamW(lr=0.1), weight_decay=0.5, decay="coupled")
    p.grad = torch.full_like(p, 1e-3)
    opt.step()
    q = torch.nn.Parameter(p.detach().clone())
    back = opt.to_torch()
    assert type(back) is torch.optim.Adam and not back.param_groups[0].get("decoupled_weight_decay")
    back.step()
    theirs = p.detach().clone()
    p.data.copy_(q)
    opt.step()
    torch.testing.assert_close(p.detach(), theirs)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_adamw_without_decay_comes_back_as_adamw(amsgrad: bool) -> None:
    p = torch.nn.Parameter(torch.ones(3))
    theirs = torch.optim.AdamW([p], amsgrad=amsgrad, weight_decay=0.0)
    assert type(Optimizer.from_torch(theirs).to_torch()) is torch.optim.AdamW


@pytest.mark.parametrize(
    ("rule", "entries", "told"),
    [
        (tw.RMSprop.like("keras"), {"rho": 0.5}, "a group has .*, not 'rho'"),
        (tw.Adam(), {"learning_rate": 0.5}, "a group has lr, not 'learning_rate'"),
        (tw.Adam(), {"beta1": 0.5, "betas": (0.1, 0.2)}, "both set beta1"),
        (tw.Adam(), {"lr": {}}, "lr must be a"),
        (tw.Adam(), {"lr": torch.ones(2)}, "one number"),
    ],
)
def test_entries_that_would_mean_nothing_are_refused(rule: tw.Rule, entries: Any, told: str) -> None:
    p = torch.nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match=told):
        Optimizer([{"params": [p], "rule": rule, **entries}], tw.SGD())


def test_an_entry_that_was_deleted_is_missed() -> None:
    _, opt = stepped()
    del opt.param_groups[0]["lr"]
    with pytest.raises(ValueError, match="the group has no 'lr'"):
        opt.step()


def test_a_penalty_in_the_rules_metric_is_that_of_on() -> None:
    """By group, through a checkpoint; torch itself has none to go on with."""
    rule, bare = tw.Adagrad(lr=0.1), {"weight_decay": 0.0, "l1_decay": 0.0}
    penalty: dict[str, Any] = {"decay": "proximal", "weight_decay": 0.3, "l1_decay": 0.05}
    ours = {"a": np.ones(4), "b": np.ones(4)}
    here = rule.on(ours, **penalty, groups={"b": bare})
    a, b = (torch.nn.Parameter(torch.ones(4, dtype=torch.float64)) for _ in range(2))
    there = Optimizer([{"params": [a]}, {"params": [b], **bare}], rule, **penalty)
    for t, g in enumerate(np.random.default_rng(0).standard_normal((6, 4)) * [1.0, 0.0, 0.01, 1.0]):
        if t == 3:
            state = there.state_dict()
            there = Optimizer([{"params": [a]}, {"params": [b], **bare}], rule, **penalty)
            there.load_state_dict(state)
        here.step({"a": g.copy(), "b": g.copy()})
        a.grad, b.grad = torch.tensor(g), torch.tensor(g)
        there.step()
    np.testing.assert_array_equal(a.detach(), ours["a"])
    np.testing.assert_array_equal(b.detach(), ours["b"])
    assert (ours["a"] != ours["b"])[[0, 2, 3]].all()
    with pytest.raises(ValueError, match=r"torch\.optim\.Adagrad has no proximal weight decay"):
        there.to_torch()
    with pytest.raises(ValueError, match=r"SGD: l1_decay=0\.1 .* needs decay='proximal'"):
        Optimizer([a], tw.SGD(), l1_decay=0.1)
