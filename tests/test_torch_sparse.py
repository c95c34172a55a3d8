"""Sparse gradients through torch: training with ``sparse=True`` equals training without, step for step."""

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

import thalweg as tw
import thalweg.torch
from thalweg.errors import HyperparameterError, NonFiniteError
from thalweg.torch import watching

from .strategies import RULES, few_rules_in_time

pytestmark = pytest.mark.usefixtures("one_thread_of_torch")

Optimizer = thalweg.torch.Optimizer
Make = Callable[[bool], nn.Module]
ROWS, ULP = 20, 2.0**-23


def embedding(**options: Any) -> Make:
    return lambda sparse: nn.Sequential(nn.Embedding(ROWS, 3, sparse=sparse, **options), nn.Linear(3, 1))


def started(make: Make, sparse: bool, rule: Any, **settings: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = make(sparse)
    opt = Optimizer(model.parameters(), rule, **settings)
    if sparse:
        opt.watch(model)
    return model, opt


def both(
    make: Make, rule: Any = None, exact: str = "bits", **settings: Any
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """A dense run and a sparse one."""
    rule = rule or tw.Adam(lr=0.05)
    return started(make, False, rule, **settings), started(make, True, rule, exact=exact, **settings)


def batches(steps: int) -> list[torch.Tensor]:
    """Lookups with duplicates, most of them of few rows."""
    made = torch.Generator().manual_seed(1)
    return [(torch.rand(5, 2, generator=made) ** 3 * ROWS).long() for _ in range(steps)]


def train(model: Any, opt: Any, steps: int = 12, first: int = 0, scheduler: Any = None) -> list[torch.Tensor]:
    """What the model says before each step: that is, what its forward passes read."""
    said = []
    for lookups in batches(steps)[first:]:
        opt.zero_grad()
        y = model(lookups)
        said.append(y.detach().clone())
        (y - 1).square().mean().backward()
        opt.step()
        if scheduler is not None:
            scheduler.step()
    return said


def same(a: Any, b: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def off(a: Any, b: Any) -> float:
    """The largest difference in units in the last place of the largest entry."""
    pairs = [(x.detach(), y.detach()) for x, y in zip(a, b, strict=True)]
    return max(float((x - y).abs().max() / y.abs().max() / ULP) for x, y in pairs)


def equal_runs(make: Make, **settings: Any) -> bool:
    (dense, one), (model, opt) = both(make, **settings)
    said, ours = train(dense, one), train(model, opt)
    return same(ours, said) and same(model.state_dict().values(), dense.state_dict().values())


# The path.


@few_rules_in_time
def test_every_rule_takes_the_dense_path(name: str) -> None:
    """Under a schedule, with decoupled decay: bit for bit, and within some ulps; the forward passes too."""
    rule = RULES[name]()
    settings: dict[str, Any] = {}
    if "lr" in rule.hyperparameters:
        rule = rule.replace(lr=tw.cosine(0.02, steps=20))
        settings = {"weight_decay": 0.1, "decay": "decoupled"}
    dense, one = started(embedding(), False, rule, **settings)
    said = train(dense, one, 20)
    for exact in ("bits", "value"):
        model, opt = started(embedding(), True, rule, exact=exact, **settings)
        ours = train(model, opt, 20)
        assert opt.stale > 0
        weights = model[0].state_dict()["weight"], dense[0].weight
        assert opt.stale == 0
        if exact == "bits":
            assert same(ours, said) and torch.equal(*weights)
        else:
            assert off(ours, said) < 32 and off(*([w] for w in weights)) < 32


def test_lazy_is_another_algorithm_and_each_part_of_this_file_can_fail() -> None:
    assert not equal_runs(embedding(), exact="lazy")
    (dense, one), (model, opt) = both(embedding())
    opt.watch(model).remove()
    model[0]._forward_pre_hooks.clear()  # nobody tells of reads
    assert not same(train(model, opt), train(dense, one))


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Momentum"])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags(name: str, mode: str) -> None:
    def make(sparse: bool) -> nn.Module:
        return nn.Sequential(nn.EmbeddingBag(ROWS, 3, mode=mode, sparse=sparse), nn.Linear(3, 1))

    assert equal_runs(make, rule=RULES[name]())


def gaps(transposed: bool, **options: Any) -> Make:
    def make(sparse: bool) -> nn.Module:
        model: Any = embedding(**options)(sparse)
        weight = torch.randn(3, ROWS).t() if transposed else torch.randn(ROWS, 6)[:, ::2]
        model[0].weight = nn.Parameter(weight)
        return model  # type: ignore[no-any-return]

    return make


CASES: dict[str, tuple[Make, dict[str, Any]]] = {
    "padding": (embedding(padding_idx=0), {"weight_decay": 0.1, "decay": "decoupled"}),
    "max_norm": (embedding(max_norm=0.5), {}),
    "coupled decay": (embedding(), {"weight_decay": 0.1}),
    "maximize": (embedding(), {"maximize": True}),
    "gaps": (gaps(False), {}),
    "transposed": (gaps(True), {}),
    "gaps, max_norm": (gaps(False, max_norm=0.5), {}),
} | {
    f"{dtype}": (lambda sparse, dtype=dtype: nn.Embedding(ROWS, 3, sparse=sparse, dtype=dtype), {})
    for dtype in (torch.float16, torch.bfloat16, torch.float64)
}


@pytest.mark.parametrize("case", CASES)
def test_tables(case: str) -> None:
    make, settings = CASES[case]
    assert equal_runs(make, **settings)


class Shared(nn.Module):
    """Two modules look up in one table; or one reads it whole, at times."""

    def __init__(self, sparse: bool, whole: bool = False) -> None:
        super().__init__()
        self.a, self.whole, self.calls = nn.Embedding(ROWS, 3, sparse=sparse), whole, 0
        self.b: Any = nn.Linear(3, ROWS, bias=False) if whole else nn.Embedding(ROWS, 3, sparse=sparse)
        self.b.weight = self.a.weight

    def forward(self, i: torch.Tensor) -> Any:
        self.calls += 1
        if not self.whole:
            return self.a(i[:, 0]) + self.b(i[:, 1])
        return self.b(self.a(i)) if self.calls % 3 == 0 else self.a(i)


def test_a_table_in_two_modules() -> None:
    """torch adds the gradients of the two in another order than it adds their rows."""
    (dense, one), (model, opt) = both(Shared)
    assert off(train(model, opt), train(dense, one)) < 32
    (dense, one), (model, opt) = both(lambda sparse: Shared(sparse, whole=True))
    assert off(train(model, opt), train(dense, one)) < 32


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "lr": lambda opt: lr_scheduler.ExponentialLR(opt, 0.9),
    "lr and betas": lambda opt: lr_scheduler.OneCycleLR(opt, 0.1, total_steps=12),
}


@pytest.mark.parametrize("which", SCHEDULERS)
def test_schedulers(which: str) -> None:
    for exact, bound in (("bits", 0.5), ("value", 32)):
        (dense, one), (model, opt) = both(embedding(), exact=exact)
        said = train(dense, one, scheduler=SCHEDULERS[which](one))
        assert off(train(model, opt, scheduler=SCHEDULERS[which](opt)), said) < bound
        assert ("bit for bit" in opt.plan[model[0].weight]) == (which == "lr and betas" or exact == "bits")


def test_groups_may_change() -> None:
    said = []
    for sparse in (False, True):
        torch.manual_seed(0)
        model: Any = embedding()(sparse)
        groups = [
            {"params": model[0].parameters(), "rule": tw.Momentum(lr=0.05, beta=0.9)},
            {"params": model[1].parameters()},
        ]
        opt = Optimizer(groups, tw.Adam(lr=0.1), exact="bits")
        if sparse:
            opt.watch(model)
        runs = train(model, opt, 5)
        opt.param_groups[0] |= {"weight_decay": 0.1, "decay": "decoupled"}
        runs += train(model, opt, 10, first=5)
        opt.param_groups[0]["maximize"] = True
        runs += train(model, opt, 14, first=10)
        opt.param_groups[0]["rule"] = "Adam"
        del opt.param_groups[0]["momentum"]  # which Adam has not, and its family in torch neither
        opt.state[model[0].weight].clear()
        opt.param_groups[0] |= {
            n: opt.param_groups[1][n] for n in ("betas", "eps", "epoch") if n in opt.param_groups[1]
        }
        runs += train(model, opt, 18, first=14)
        opt.state[model[0].weight]["step"] += 100
        said.append(runs + train(model, opt, 22, first=18))
    assert same(*said)


def test_rows_that_stood_still_decay_once_a_group_says_so() -> None:
    """No account is kept of SGD's rows before: all are current then."""
    said = []
    for model, opt in both(embedding(), tw.SGD(lr=0.05), exact="value"):
        runs = train(model, opt, 5)
        opt.param_groups[0]["maximize"] = True
        runs += train(model, opt, 8, first=5)
        opt.param_groups[0] |= {"weight_decay": 0.5, "decay": "decoupled"}
        said.append(runs + train(model, opt, 12, first=8))
    torch.testing.assert_close(*said, rtol=1e-5, atol=1e-6)


def test_rows_that_no_gradient_has_touched_rest_when_a_group_changes() -> None:
    _, (model, opt) = both(embedding(), exact="value")
    for betas in ((0.9, 0.999), (0.8, 0.99)):
        opt.param_groups[0]["betas"] = betas
        for row in range(4):
            model(torch.tensor([row])).sum().backward()
            opt.step()
            opt.zero_grad()
    assert opt.stale == 3


# When gradients come, and which.


def test_steps_without_a_gradient_and_with_several() -> None:
    said: list[list[torch.Tensor]] = []
    for sparse in (False, True):
        model, opt = started(embedding(), sparse, tw.Adam(lr=0.05), exact="bits")
        runs = []
        for k, lookups in enumerate(batches(16)):
            y = model(lookups) if k % 5 else model[1](torch.ones(2, 3))
            runs.append(y.detach().clone())
            y.square().mean().backward()
            if k % 4 == 1 and k % 5 and sparse:  # a dense gradient while rows are behind
                model[0].weight.grad = model[0].weight.grad.to_dense()
            if k % 3:
                opt.step()
                opt.zero_grad(set_to_none=k % 2 == 0)
        said.append(runs)
    assert same(*said)


def test_gradients_of_single_entries() -> None:
    """``torch.gather(..., sparse_grad=True)``; rows first, entries then."""
    said = []
    for sparse in (False, True):
        torch.manual_seed(0)
        w = nn.Parameter(torch.randn(6, 4))
        opt = Optimizer([w], tw.Adam(lr=0.1), exact="bits")
        opt._rows.watched.add(w)
        made, runs = torch.Generator().manual_seed(1), []
        for k in range(10):
            opt.flush()
            opt.zero_grad()
            i = torch.randint(0, 4, (6, 2), generator=made)
            y = (
                torch.gather(w, 1, i, sparse_grad=sparse)
                if k % 2
                else nn.functional.embedding(i[0], w, sparse=sparse)
            )
            runs.append(y.detach().clone())
            y.square().sum().backward()
            opt.step()
        said.append(runs)
    assert same(*said)


def test_a_scaler_skips_steps() -> None:
    said: list[list[torch.Tensor]] = []
    for sparse in (False, True):
        model, opt = started(embedding(), sparse, tw.Adam(lr=0.05), exact="bits")
        scaler, runs = torch.amp.GradScaler("cpu", init_scale=8.0), []
        for k, lookups in enumerate(batches(8)):
            opt.zero_grad()
            y = model(lookups)
            runs.append(y.detach().clone())
            scaler.scale(y.square().mean() * (float("inf") if k == 3 else 1.0)).backward()
            scaler.step(opt)
            scaler.update()
        said.append(runs)
    assert same(*said)


# Who else reads: autograd, other modes, compiled modules, the user.


def test_other_forward_passes_between_forward_and_backward() -> None:
    left = []
    for sparse in (False, True):
        model, opt = started(embedding(), sparse, tw.Adam(lr=0.05), exact="bits")
        train(model, opt, 6)
        opt.zero_grad()
        y = model(torch.tensor([[1, 2]]))
        model.eval()
        with torch.no_grad():
            some = model(torch.arange(9))
        with torch.inference_mode():
            every = model(torch.arange(ROWS)).clone()
        y.sum().backward()
        opt.step()
        left.append([some, every, model.state_dict()["0.weight"]])
    assert same(*left)


def test_autograd_is_told_where_rows_moved_and_only_there() -> None:
    _, (model, opt) = both(embedding())
    train(model, opt, 6)
    weight = model[0].weight
    whole = weight.square().sum()  # reads rows that are behind
    model(torch.arange(ROWS))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        whole.backward()
    before = weight._version
    model(torch.arange(ROWS))
    opt.flush()
    opt.state_dict()
    model.state_dict()
    assert weight._version == before


def test_rules_whose_weights_rest_need_no_hook() -> None:
    _, (model, opt) = both(embedding(), rule=tw.RMSprop(lr=0.05), exact="value")
    train(model, opt, 6)
    stale = opt.stale
    model(torch.arange(ROWS))
    assert opt.stale == stale > 0
    assert bool(opt.state) and opt.stale == 0  # the states do not rest


def test_compiled_modules_run_the_hooks() -> None:
    (dense, one), (model, opt) = both(embedding())
    compiled = torch.compile(model, backend="eager")
    said = train(dense, one)
    assert same(train(compiled, opt), said) and opt.stale > 0


def test_rows_are_read_by_hand() -> None:
    (dense, one), (model, opt) = both(embedding())
    train(dense, one, 6)
    train(model, opt, 6)
    weight = model[0].weight
    assert list(opt.plan) == [weight] and "bit for bit" in opt.plan[weight]
    assert torch.equal(opt.read(weight, [3, 3, 19]), dense[0].weight[[3, 3, 19]])
    assert torch.equal(opt.read(weight, torch.tensor([[7, 8]])), dense[0].weight[[7, 8]])
    for rows, kind in (([ROWS], IndexError), ([-1], IndexError), ([0.5], TypeError)):
        with pytest.raises(kind, match="read: "):
            opt.read(weight, rows)


# Saving, copying, moving.


def test_saved_and_loaded_in_mid_run() -> None:
    (dense, one), (model, opt) = both(embedding())
    said = train(dense, one)
    train(model, opt, 6)
    assert opt.stale > 0
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "opt": opt.state_dict()}, file)
    for first in ("model", "opt"):
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        _, (other, its) = both(embedding())
        train(other, its, 3)
        parts = {"model": other, "opt": its}
        for n in sorted(parts, reverse=first == "opt"):
            parts[n].load_state_dict(saved[n])
        assert same(train(other, its, first=6), said[6:])
    assert same(train(model, opt, first=6), said[6:])
    ends = []
    for m, o in both(embedding()):  # another state, the same weights
        saved = o.state_dict()
        train(m, o, 6)
        o.load_state_dict(saved)
        ends.append(train(m, o, first=6))
    assert same(*ends)


def test_copies_and_pickles() -> None:
    dense, one = started(embedding(), False, tw.Adam(lr=0.05))
    train(dense, one, 6)
    then = [p.detach().clone() for p in dense.parameters()]
    said = train(dense, one, first=6)
    for copied in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        _, (model, opt) = both(embedding())
        train(model, opt, 6)
        assert opt.stale > 0
        assert same(copied(model).parameters(), then)
        _, (model, opt) = both(embedding())
        train(model, opt, 6)
        other, its = copied((model, opt))
        assert not other[0]._forward_pre_hooks and model[0]._forward_pre_hooks
        its.watch(other)
        assert same(train(other, its, first=6), said) and same(train(model, opt, first=6), said)


def test_a_model_may_move_in_mid_run() -> None:
    """To another dtype or other memory; what somebody writes there meanwhile stands."""
    for moved in (lambda m: m.double(), lambda m: m.share_memory()):
        (dense, one), (model, opt) = both(embedding())
        train(dense, one, 6)
        train(model, opt, 6)
        assert opt.stale > 0
        for m, o in ((dense, one), (model, opt)):
            o.zero_grad()
            moved(m)
        assert same(train(model, opt, first=6), train(dense, one, first=6))
    _, (model, opt) = both(embedding())
    train(model, opt, 6)
    model[0].weight.data = torch.ones(ROWS, 3)
    assert torch.equal(opt.read(model[0].weight, range(ROWS)), torch.ones(ROWS, 3))


def test_to_torch_takes_all_rows_along() -> None:
    (dense, one), (model, opt) = both(embedding())
    train(dense, one, 6)
    train(model, opt, 6)
    there, here = opt.to_torch(), one.to_torch()
    assert same(model.parameters(), dense.parameters())
    for p, q in zip(model.parameters(), dense.parameters(), strict=True):
        assert torch.equal(there.state[p]["exp_avg"], here.state[q]["exp_avg"])


def test_hooks_come_and_go() -> None:
    _, (model, opt) = both(embedding())
    assert len(model[0]._forward_pre_hooks) == 1 and not model[1]._forward_pre_hooks
    opt.watch(model).remove()
    assert len(model[0]._forward_pre_hooks) == 1
    model(torch.tensor([3, 4]))
    train(model, opt, 3)
    with pytest.raises(IndexError, match="index out of range"):  # torch's own words
        model(torch.tensor([ROWS]))


# Bad input.


def test_who_watches_nothing_is_told_once() -> None:
    torch.manual_seed(0)
    model: Any = embedding()(True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(model, Optimizer(model.parameters(), tw.Adam()), 3)
        train(model, Optimizer(model.parameters(), tw.RMSprop()), 3)
        train(model, Optimizer(model.parameters(), tw.Adam(), exact="lazy"), 3)
    assert [x.filename for x in caught] == [__file__] and "opt.watch(model)" in str(caught[0].message)


def coo(rows: list[int], values: torch.Tensor, device: str = "cpu") -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.sparse_coo_tensor(
            torch.tensor([rows], device=device),
            values.to(device),
            (5, *values.shape[1:]),
            check_invariants=False,
        )


def test_bad_gradients_raise_what_torch_raises_and_move_nothing() -> None:
    ones = torch.ones(1, 2)
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (coo([7], ones), {}, IndexError, r"row 7 \(entry 0\) lies outside \[0, 5\)"),
        (coo([-1], ones), {}, IndexError, "row -1"),
        (coo([0], ones + 0j), {"dtype": torch.complex64}, RuntimeError, "sparse=False"),
        (coo([0], ones, "meta"), {"device": "meta"}, RuntimeError, "sparse=False"),
    ]
    for g, options, kind, words in cases:
        w, b = nn.Parameter(torch.zeros(5, 2, **options)), nn.Parameter(torch.zeros(3))
        opt = Optimizer([b, w], tw.SGD(lr=1.0))
        w.grad, b.grad = g, torch.ones(3)
        with pytest.raises(kind, match=words) as caught:
            opt.step()
        assert "\n" not in str(caught.value) and not b.any()
    model: Any = embedding()(False)
    opt = Optimizer(model.parameters(), tw.Adam())
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module"):
        opt.watch([model])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sparse=True"):
        opt.watch(model)
    with pytest.raises(HyperparameterError, match="'value', 'bits', 'lazy'"):
        Optimizer(model.parameters(), tw.Adam(), exact="exact")  # type: ignore[arg-type]


def test_nonfinite_rows() -> None:
    bad = torch.tensor([[1.0, torch.nan]])
    for how in ("propagate", "raise", "skip"):
        w = nn.Parameter(torch.zeros(5, 2))
        opt = Optimizer([w], tw.SGD(lr=1.0), on_nonfinite=how)  # type: ignore[arg-type]
        w.grad = coo([1], bad)
        if how == "raise":
            with pytest.raises(NonFiniteError, match="1 of 2 entries"):
                opt.step()
        else:
            opt.step()
        moved = w.detach().flatten().tolist()
        assert str(moved[2:4]) == ("[-1.0, nan]" if how == "propagate" else "[0.0, 0.0]")
        assert moved[:2] + moved[4:] == [0.0] * 8 and opt.skipped == (how == "skip")


def test_tables_without_rows() -> None:
    model = nn.Embedding(3, 0, sparse=True)
    opt = Optimizer(model.parameters(), tw.Adam())
    opt.watch(model)
    model(torch.tensor([1])).sum().backward()
    opt.step()
    assert opt.stale == 0 and watching.lookups(model) == [model.weight]


@pytest.mark.parametrize(
    "change", [lambda x: x[:3], lambda x: x.half(), lambda x: x.t()], ids=["cut", "half", "turned"]
)
def test_a_state_changed_in_place_under_rows_that_are_behind_is_refused_once(change: Any) -> None:
    table = torch.nn.Embedding(64, 64, sparse=True)
    opt = Optimizer(table.parameters(), tw.Adam(lr=0.1))
    opt.watch(table)
    for row in (1, 2):
        table.weight.grad = None
        table(torch.tensor([row])).sum().backward()
        opt.step()
    before = table.weight.detach().clone()
    m = opt.__dict__["state"][table.weight]["m"]
    m.data = change(m.data)
    with pytest.raises(RuntimeError, match="was changed in shape, dtype or layout"):
        table(torch.tensor([1]))
    assert torch.equal(table.weight, before)
    opt.state.pop(table.weight)
    opt.step()
    assert opt.state[table.weight]["step"] == 1


def test_a_sparse_gradient_of_the_weights_own_memory_is_read_before_it_is_written() -> None:
    ends = []
    for copied in (False, True):
        torch.manual_seed(0)
        p = torch.nn.Parameter(torch.randn(6, 4))
        opt = Optimizer([p], tw.Adagrad(lr=0.1))
        values = p.detach()[:3]
        p.grad = torch.sparse_coo_tensor(
            torch.tensor([[1, 2, 3]]), values.clone() if copied else values, (6, 4), check_invariants=True
        )
        opt.step()
        ends.append(p.detach().clone())
    assert torch.equal(*ends)
