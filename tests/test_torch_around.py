"""What stands around all groups in the torch door: averages, clipping by norm, rates; dense and sparse, as in rule.on."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw
import thalweg.torch
from thalweg.errors import HyperparameterError, NonFiniteError, StateError
from thalweg.torch import parts

from .strategies import RULES, first_of

pytestmark = pytest.mark.usefixtures("one_thread_of_torch")

Optimizer = thalweg.torch.Optimizer
ROWS = 20
ALL: dict[str, Any] = {"average": 0.9, "clip_norm": 1.0, "rates": True}
SHAPES = [(5, 7), (3,), (), (4, 3)]


def parameters(dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    made = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(s, generator=made).to(dtype)) for s in SHAPES]


def renew(params: Any, step: int, absent: int | None = None) -> list[Any]:
    """New gradients, some of them longer than 1 and some shorter; none for one of the parameters."""
    made = torch.Generator().manual_seed(step)
    for k, p in enumerate(params):
        g = torch.randn(p.shape, generator=made) * 2.0 ** (step % 7 - 5)
        p.grad = None if k == absent else g.to(p.dtype)
    return [None if p.grad is None else p.grad.numpy() for p in params]


def embedding(sparse: bool, rule: Any, **settings: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(ROWS, 3, sparse=sparse), nn.Linear(3, 1))
    opt = Optimizer(model.parameters(), rule, **settings)
    if sparse:
        opt.watch(model)
    return model, opt


def train(model: Any, opt: Any, steps: int = 9) -> None:
    made = torch.Generator().manual_seed(1)
    for _ in range(steps):
        opt.zero_grad()
        rows = (torch.rand(5, 2, generator=made) ** 3 * ROWS).long()
        (3 * model(rows) - 4).square().mean().backward()
        opt.step()


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


# The law: as in rule.on.


@first_of(RULES, ("Adam",))
def test_averages_clipping_and_rates_are_those_of_rule_on(name: str) -> None:
    """Bit for bit, gradients missing here and there, on tensors laid out anew and on those that stand."""
    rule = RULES[name]()
    settings = ALL | {"rates": rule.parts.rate is not None}
    params = parameters()
    arrays = [p.detach().numpy().copy() for p in params]
    ours = Optimizer(params, rule, **settings)
    theirs = rule.on(arrays, on_nonfinite="propagate", **settings)
    for step in range(12):
        theirs.step(renew(params, step, absent=1 if step == 4 else None))
        ours.step()
        assert same([p.detach() for p in params], arrays)
        assert same([ours.average[p] for p in params], theirs.average)
        if settings["rates"]:
            assert same([ours.rates()[p] for p in params], theirs.rates())
        assert ours._ready


@first_of(["Adam", "SGD"], ("Adam",))
def test_sparse_is_dense(name: str) -> None:
    """Average, weights and rates of rows left behind included; the norm of few rows is that of the table."""
    dense, one = embedding(False, RULES[name](lr=0.05), **ALL)
    train(dense, one)
    model, opt = embedding(True, RULES[name](lr=0.05), **ALL)
    train(model, opt)
    assert opt.stale > 0
    for p, q in zip(model.parameters(), dense.parameters(), strict=True):
        assert torch.allclose(opt.average[p], one.average[q], rtol=1e-6, atol=0)
        assert torch.allclose(opt.rates()[p], one.rates()[q], rtol=1e-6, atol=0)
        assert torch.allclose(p, q, rtol=1e-6, atol=0)
    assert opt.stale == 0
    assert not torch.allclose(one.average[dense[0].weight], dense[0].weight, rtol=1e-3)


@pytest.mark.slow
def test_the_mean_of_all_weights() -> None:
    """Polyak's, of a sparse table, against the weights added up."""
    model, opt = embedding(True, tw.Adam(lr=0.05), average="polyak")
    total, steps = torch.zeros(ROWS, 3, dtype=torch.float64), 8
    made = torch.Generator().manual_seed(1)
    for _ in range(steps):
        opt.zero_grad()
        model(torch.randint(ROWS, (3,), generator=made)).sum().backward()
        opt.step()
        total += opt.read(model[0].weight, range(ROWS))
    assert torch.allclose(opt.average[model[0].weight].double(), total / steps, rtol=1e-5)


@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, *(pytest.param(d, marks=pytest.mark.slow) for d in (torch.float16, torch.complex64))],
)
def test_other_dtypes(dtype: torch.dtype) -> None:
    """16-bit weights have averages and rates in float32; the norm takes in both parts of a complex number."""
    params = parameters(dtype)
    opt = Optimizer(params, tw.SGD(lr=1.0), clip_norm=2.0, average=0.5, rates=True)
    begun = [p.detach().clone() for p in params]
    for p in params:
        p.grad = torch.full_like(p, 3.0 + 4.0j if dtype.is_complex else 3.0)
    opt.step()
    count = sum(p.numel() for p in params)
    moved = torch.cat([(b - p.detach()).flatten() for p, b in zip(params, begun, strict=True)])
    assert float(torch.linalg.vector_norm(moved.to(torch.complex128))) == pytest.approx(2.0, rel=2e-2)
    assert float(moved[0].real) == pytest.approx(
        3 * 2 / (count**0.5 * (5 if dtype.is_complex else 3)), rel=0.05
    )
    for p, b in zip(params, begun, strict=True):
        wide = torch.complex64 if dtype.is_complex else torch.float32
        assert opt.average[p].dtype == opt.rates()[p].dtype == wide
        assert torch.allclose(opt.average[p], (p.detach().to(wide) + b.to(wide)) / 2, rtol=1e-2, atol=1e-2)


def test_torch_operations_take_the_same_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on devices without kernels of ours: average, rates and norm, within what another order of sums rounds."""
    results = []
    for engine in (parts.CPU, parts.OPERATIONS):
        monkeypatch.setattr(thalweg.torch.optimizer, "engine_of", lambda w, engine=engine: engine)
        params = parameters()
        opt = Optimizer(params, tw.Adam(), **ALL)
        for step in range(4):
            renew(params, step)
            opt.step()
        results.append([*params, *opt.average.values(), *opt.rates().values()])
    assert all(torch.allclose(a, b, rtol=1e-5) for a, b in zip(*results, strict=True))


# Clipping.


@pytest.mark.parametrize(
    ("dtype", "size", "bound"),
    [
        (torch.float32, 2.0**125, 2.0**-20),
        pytest.param(torch.float32, 2.0**-95, 2.0**-100, marks=pytest.mark.slow),
        pytest.param(torch.float64, 2.0**1020, 2.0**-3, marks=pytest.mark.slow),
        pytest.param(torch.float64, 2.0**-1000, 2.0**-1001, marks=pytest.mark.slow),
    ],
    ids=["large", "small", "large double", "small double"],
)
def test_norms_and_factors_out_of_range(dtype: torch.dtype, size: float, bound: float) -> None:
    """As rule.on: a norm whose square no float64 holds, a factor that float32 would round; dense and sparse."""
    start = torch.ones(3, 2, dtype=dtype)
    p, table, w = nn.Parameter(start.clone()), nn.Parameter(start.clone()), start.numpy().copy()
    g = torch.tensor([[3.0, -1.0], [0.0, 0.0], [-0.5, 2.0]], dtype=dtype) * size
    settings: dict[str, Any] = {"clip_norm": bound, "on_nonfinite": "raise"}
    one, sparse = (Optimizer([x], tw.SGD(lr=1 / bound), **settings) for x in (p, table))
    theirs = tw.SGD(lr=1 / bound).on(w, **settings)
    for _ in range(3):
        p.grad, table.grad = (
            g.clone(),
            torch.sparse_coo_tensor([[2, 0]], g[[2, 0]], (3, 2), check_invariants=True),
        )
        for opt in (one, sparse):
            opt.step()
        theirs.step(g.numpy())
    assert same([p.detach(), table.detach()], [w, w]) and not torch.equal(p, start)
    assert same([p.grad], [g])


def test_a_gradient_is_judged_by_what_clipping_leaves_of_it() -> None:
    """1e20 squared leaves float32; clipped it does not. What is not finite is refused before anything moves."""
    p = nn.Parameter(torch.ones(3))
    opt = Optimizer([p], tw.Adam(), **ALL, on_nonfinite="raise")
    for _ in range(3):  # laid out anew, then as it stands
        p.grad = torch.full((3,), 1e20)
        before = p.detach().clone()
        opt.step()
        assert (p < before).all()
    now = p.detach().clone()
    for bad in (math.nan, math.inf):
        p.grad = torch.tensor([1.0, bad, 1.0])
        with pytest.raises(NonFiniteError, match="1 of 3 entries"):
            opt.step()
        assert torch.equal(p, now) and opt.state[p]["step"] == 3
    bare = Optimizer([p], tw.Adam(), on_nonfinite="raise")
    p.grad = torch.full((3,), 1e20)
    with pytest.raises(NonFiniteError):
        bare.step()


def test_one_norm_is_of_groups_that_stand_and_others() -> None:
    """Of a group laid out anew beside one that stands, of a table's rows, in two dtypes."""
    a, b, table = (
        nn.Parameter(torch.zeros(3, dtype=d)) for d in (torch.float32, torch.float64, torch.float32)
    )
    opt = Optimizer([{"params": [a]}, {"params": [b]}, {"params": [table]}], tw.SGD(lr=1.0), clip_norm=6.0)
    for step in range(3):
        a.grad, b.grad = torch.full_like(a, 4.0), torch.full_like(b, 4.0)
        table.grad = torch.full_like(table, 4.0)
        if step == 2:
            b.grad = torch.full_like(b, 8.0)
            opt._ready.pop(1)
            table.grad = torch.full_like(table, 4.0).to_sparse()
        before = [p.detach().clone() for p in (a, b, table)]
        opt.step()
        assert opt._ready.keys() == ({0, 1} if step == 2 else {0, 1, 2})
        moved = [float((x - p.detach())[0]) for x, p in zip(before, (a, b, table), strict=True)]
        length = math.sqrt(3 * (16 + (64 if step == 2 else 16) + 16))
        expected = [4 * 6 / length, (8 if step == 2 else 4) * 6 / length, 4 * 6 / length]
        assert moved == pytest.approx(expected, rel=1e-5)


def test_gradients_stay_as_they_are_and_no_clipping_is_torchs() -> None:
    params, others = parameters(), parameters()
    ours, theirs = Optimizer(params, tw.SGD(lr=0.1), clip_norm=0.5), torch.optim.SGD(others, lr=0.1)
    for step in range(6):
        given = renew(params, step)
        before = [g.copy() for g in given]
        ours.step()
        assert same(given, before)
        renew(others, step)
        torch.nn.utils.clip_grad_norm_(others, 0.5)
        theirs.step()
    for p, q in zip(params, others, strict=True):
        assert torch.allclose(p, q, rtol=1e-4, atol=1e-7)


# Averages in use.


def test_a_copy_of_the_model_with_the_averages() -> None:
    model, opt = embedding(True, tw.Adam(lr=0.05), **ALL)
    with pytest.raises(StateError, match="not yet stepped"):
        opt.averaged(model)
    train(model, opt)
    twin = opt.averaged(model)
    assert opt.stale == 0
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(q, opt.average[p]) and not torch.equal(p, q) and q.requires_grad
    train(model, opt, 2)
    assert not torch.equal(twin[0].weight, opt.average[model[0].weight])  # a copy
    with pytest.raises(StateError, match=r"average=0\.999"):
        embedding(False, tw.Adam())[1].average  # noqa: B018


@pytest.mark.parametrize("sparse", [False, True])
def test_a_run_goes_on_with_its_average(sparse: bool) -> None:
    """Saved and loaded, copied: the same path; rates begin anew, since they are those of one step."""
    straight = embedding(sparse, tw.Adam(lr=0.05), **ALL)
    model, opt = embedding(sparse, tw.Adam(lr=0.05), **ALL)
    for m, o in (straight, (model, opt)):
        train(m, o, 4)
    saved = copy.deepcopy(opt.state_dict())
    assert sorted(saved["state"][0]) == ["_average", "m", "step", "v"]
    other = Optimizer(model.parameters(), tw.Adam(lr=0.05), **ALL)
    if sparse:
        other.watch(model)
    other.load_state_dict(saved)
    with pytest.raises(StateError, match="no step"):
        other.rates()
    train(straight[0], straight[1], 3)
    train(model, other, 3)
    for p, q in zip(straight[0].parameters(), model.parameters(), strict=True):
        assert torch.equal(p, q)
        assert torch.equal(straight[1].average[p], other.average[q])
        assert torch.equal(straight[1].rates()[p], other.rates()[q])
    twin_model, twin = copy.deepcopy((model, other))
    assert torch.equal(twin.average[twin_model[0].weight], other.average[model[0].weight])


def test_an_average_is_neither_lost_nor_invented_by_a_checkpoint() -> None:
    model, opt = embedding(False, tw.Adam(), average=0.9)
    train(model, opt, 2)
    plain = Optimizer(model.parameters(), tw.Adam())
    with pytest.raises(ValueError, match="saved with an average of its weights: begin with average="):
        plain.load_state_dict(opt.state_dict())
    train(model, plain, 2)
    with pytest.raises(ValueError, match="saved without an average"):
        opt.load_state_dict(plain.state_dict())
    with pytest.warns(UserWarning, match=r"to_torch: average=0.9 .*AveragedModel"):
        opt.to_torch()
    with pytest.warns(UserWarning, match=r"clip_norm=1.0 .*clip_grad_norm_"):
        Optimizer(model.parameters(), tw.Adam(), clip_norm=1.0).to_torch()


# Rates.


def test_rates_are_what_the_last_step_used() -> None:
    """Adadelta's, which no state gives: w moved by rate times gradient."""
    params = parameters(torch.float64)
    opt = Optimizer(params, tw.Adadelta(lr=1.0), rates=True)
    with pytest.raises(StateError, match="no step has been taken"):
        opt.rates()
    for step in range(4):
        renew(params, step)
        before = [p.detach().clone() for p in params]
        opt.step()
        for p, w in zip(params, before, strict=True):
            assert p.grad is not None
            assert torch.allclose(w - opt.rates()[p] * p.grad, p, rtol=1e-12)


@pytest.mark.slow
def test_rates_by_group_and_where_there_are_none() -> None:
    a, b, c = parameters()[:3]
    opt = Optimizer([{"params": [a]}, {"params": [b], "lr": 0.5}, {"params": [c], "rule": tw.Lion()}], tw.SGD(lr=0.1), rates=True)  # fmt: skip
    renew([a, b, c], 0)
    opt.step()
    rates = opt.rates()
    assert (rates[a] == 0.1).all() and (rates[b] == 0.5).all()
    assert (c in rates) == (tw.Lion.parts.rate is not None)
    with pytest.raises(StateError, match="rates=True"):
        Optimizer([a], tw.SGD()).rates()


# What is refused.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average": 1.5}, "average must be None, 'polyak' or the decay"),
        ({"average": "mean"}, "average must be None, 'polyak' or the decay"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"rates": 1}, "rates must be True or False"),
        ({"clip_norm": 1.0, "capturable": True}, "capturable=True does not go with clip_norm=1.0"),
    ],
    ids=["decay", "word", "bound", "rates", "captured"],
)
def test_what_no_option_can_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        Optimizer(parameters(), tw.Adam(), **settings)


@pytest.mark.parametrize("name", ["average", "clip_norm", "rates"])
def test_groups_have_no_options_of_their_own(name: str) -> None:
    p, q = parameters()[:2]
    with pytest.raises(HyperparameterError, match=f"{name} is the same for all groups"):
        Optimizer([{"params": [p], name: 0.5}, {"params": [q]}], tw.Adam())


def test_like_takes_them() -> None:
    opt = Optimizer.like("AdamW", parameters(), lr=1e-3, average=0.9, clip_norm=1.0, rates=True)
    assert opt._options == (0.9, 1.0, True)
