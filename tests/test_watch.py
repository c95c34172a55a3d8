"""The monitor: what it says of a running optimizer is so, the training does not notice it, and it stays small."""

import copy
import csv
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import thalweg as tw
import thalweg.torch
from thalweg.core.rule import Rule
from thalweg.engines.ops import vectorised
from thalweg.errors import FileError, GradientError, HyperparameterError, ProblemError, RuleError, StateError
from thalweg.lab.watch.quantities import Segments
from thalweg.lab.watch.summed import LOOK
from thalweg.lab.watch_result import FIELDS, LONGEST, Looks, median
from thalweg.optimizer.observing import IN_ALL, OF_A_TENSOR, Sample
from thalweg.torch import family

X = torch.linspace(-1, 1, 32 * 8).reshape(32, 8).sin()
Y = X.sum(1, keepdim=True).cos()


def network() -> torch.nn.Sequential:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(8, 24), torch.nn.Tanh(), torch.nn.Linear(24, 1))


def train(model: torch.nn.Module, optimizer: Any, steps: int, seen: Any = None, scale: float = 1.0) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss = scale * ((model(X) - Y) ** 2).mean()
        loss.backward()
        optimizer.step()
        if seen is not None:
            seen(loss)


def watched(make: Callable[[Any], Any], steps: int = 12, every: int = 1, **options: Any) -> Any:
    model = network()
    optimizer = make(model.parameters())
    with tw.watch(optimizer, every, None, model=model) as seen:
        train(model, optimizer, steps, seen, **options)
    return seen


NAMES = sorted({t.torch for t in family.twins()})


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_torch_takes_the_weights_where_its_optimizer_does(name: str) -> None:
    decay = {} if name in ("Rprop", "Adafactor") else {"weight_decay": 0.1}
    seen = watched(lambda p: getattr(torch.optim, name)(p, **decay))
    assert seen.seen.notes == []
    missed = seen.columns()["missed"]
    assert np.all(missed < 1e-3)
    assert np.all(seen.columns()["rate"] > 0)


def test_a_wrong_row_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's Adam that takes its steps with half the rate that its group says."""
    step: Any = torch.optim.Adam.step
    if hasattr(step, "hooked"):  # as the first Adam of a process leaves it
        step = step.__wrapped__

    def halved(self: Any, closure: Any = None) -> Any:
        before = [p.detach().clone() for g in self.param_groups for p in g["params"]]
        value = step(self, closure)
        with torch.no_grad():
            for p, w in zip((p for g in self.param_groups for p in g["params"]), before, strict=True):
                p.lerp_(w, 0.5)
        return value

    monkeypatch.setattr(torch.optim.Adam, "step", halved)
    seen = watched(torch.optim.Adam)
    assert "are off by 100 % of the step" in seen.sentences[0]


RULES = [tw.AdamW, *(pytest.param(r, marks=pytest.mark.slow) for r in (tw.Adadelta, tw.RMSpropMomentum))]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.__name__)
def test_rates_are_those_that_the_step_used(rule: type[Rule]) -> None:
    """Against what our optimizer keeps of its own compiled step."""
    w = {"a": np.linspace(1, 2, 40).reshape(5, 8), "b": np.linspace(-1, 1, 6)}
    opt = rule().on(w, rates=True)
    with tw.watch(opt, 1, None) as seen:
        for _ in range(3):
            opt.step({n: x.copy() for n, x in w.items()})
    rates = opt.rates()
    table = seen.seen.looks.table[-1]
    for i, n in enumerate(w):
        ordered = np.sort(rates[n].reshape(-1))
        expected = [ordered[round((ordered.size - 1) * q)] for q in (0.1, 0.5, 0.9)]
        np.testing.assert_allclose(table[i, :3], expected, rtol=1e-5)
    assert np.all(seen.columns()["missed"] < 1e-6)


def test_adadelta_of_torch_has_its_rates_watched() -> None:
    """They cannot be told from the states after a step, which have moved on."""
    seen = watched(torch.optim.Adadelta, steps=3)
    ours = watched(lambda p: thalweg.torch.Optimizer.like("Adadelta", p), steps=3)
    np.testing.assert_allclose(seen.columns()["rate"], ours.columns()["rate"], rtol=1e-4)


def test_the_training_does_not_notice() -> None:
    free, model = network(), network()
    for net, look in ((free, False), (model, True)):
        optimizer = torch.optim.AdamW(net.parameters())
        if look:
            with tw.watch(optimizer, 1, None) as seen:
                train(net, optimizer, 9, seen)
        else:
            train(net, optimizer, 9)
        assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    for p, q in zip(free.parameters(), model.parameters(), strict=True):
        assert torch.equal(p, q)
    a, b = np.ones(5), np.ones(5)
    opt, other = tw.Adam().on(a), tw.Adam().on(b)
    kind = type(opt)
    with tw.watch(opt, 2, None):
        for _ in range(5):
            opt.step(a + 1)
            other.step(b + 1)
        assert type(other) is kind
    assert type(opt) is kind
    np.testing.assert_array_equal(a, b)


# Planted faults: each gives its sentence, and a sound training none.


def test_a_sound_training_has_nothing_wrong() -> None:
    (only,) = watched(lambda p: torch.optim.Adam(p, lr=1e-3), steps=40).sentences
    assert only.startswith("Nothing is wrong in the last 8 looks")


def test_an_epsilon_too_large() -> None:
    seen = watched(lambda p: torch.optim.Adam(p, eps=1.0))
    assert (
        "ε rules 100 % of the coordinates: Adam is momentum SGD there; eps=1 is too large"
        in seen.sentences[0]
    )
    below = float(seen.sentences[0].split("below ")[1].split(" ")[0])
    better = watched(lambda p: torch.optim.Adam(p, eps=below))
    assert not any("ε rules" in s for s in better.sentences)
    plain = watched(lambda p: torch.optim.RMSprop(p, eps=10.0))
    assert "RMSprop is plain SGD there" in plain.sentences[0]


def test_epsilon_rules_no_row_that_was_never_read() -> None:
    """There is no gradient that it could rule: most of an embedding is that, and Adam is Adam in the rest."""
    for eps, ruled in ((1e-8, False), (10.0, True)):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Embedding(200, 4), torch.nn.Flatten(), torch.nn.Linear(12, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=eps)
        with tw.watch(optimizer, 1, None, model=model) as seen:
            for _ in range(12):
                optimizer.zero_grad()
                (model(torch.randint(0, 9, (32, 3))) - 1).square().mean().backward()
                optimizer.step()
                seen(1.0)
        said = " ".join(seen.sentences)
        assert ("ε rules" in said) == ruled
        assert not ruled or re.search(r"In [^.]*`0.weight`[^ε]*ε rules (100|9\d) %", said)
        assert "of the coordinates of `0.weight` have no gradient and do not move" in said


@pytest.mark.parametrize("every", [1, 2, 3, 10])
def test_a_rate_too_large(every: int) -> None:
    """A network with one layer is a quadratic: SGD turns round at every step beyond 2 / its sharpness.

    With steps between looks it is told at every second one.
    """
    steepest = float(torch.linalg.matrix_norm(X, 2)) ** 2 * 2 / len(X)
    said = {}
    for times in (0.5, 2.1):
        torch.manual_seed(3)
        model = torch.nn.Linear(8, 1, bias=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=times / steepest)
        with tw.watch(optimizer, every, None, model=model) as seen:
            train(model, optimizer, 30 * every, seen)
        said[times] = any("`weight` turns round from one step to the next" in s for s in seen.sentences)
    assert said == {0.5: False, 2.1: True}


def test_noise_of_one_direction_is_no_rate_too_large() -> None:
    """A gradient that is one number times a fixed direction turns all signs at every second step, at any rate."""
    said = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        w = np.ones(20)
        optimizer = tw.SGD(lr=1e-9).on(w)
        with tw.watch(optimizer, 1, None) as seen:
            for _ in range(12):
                optimizer.step(rng.standard_normal() * np.ones(20))
                seen(1.0)
        said += any("turns round" in s for s in seen.sentences)
    assert said <= 1


def test_steps_below_the_digits_of_the_weights() -> None:
    """They are told from a rate of 0, and from a rate that the weights have digits for."""
    said = {}
    for lr in (0.0, 1e-4, 1e-1):
        torch.manual_seed(0)
        model = torch.nn.Linear(20, 3).to(torch.bfloat16)
        torch.nn.init.uniform_(model.weight, 1.0, 2.0)
        optimizer = torch.optim.Adam([model.weight], lr=lr)
        with tw.watch(optimizer, 1, None, model=model) as seen:
            for _ in range(12):
                optimizer.zero_grad()
                model(torch.randn(16, 20, dtype=torch.bfloat16)).square().mean().backward()
                optimizer.step()
                seen(1.0)
        said[lr] = " ".join(seen.sentences)
    assert "`weight` does not move: frozen; its rate is 0" in said[0.0]
    assert (
        "`weight` does not move: its steps are rounded away, as in bfloat16 all are that are not above 0.002 to 0.0039"
        in said[1e-4]
    )
    assert "does not move" not in said[1e-1]


def test_frozen_layers() -> None:
    model = network()
    model[2].bias.requires_grad_(False)
    groups = [{"params": model[0].parameters(), "lr": 1e-9}, {"params": model[2].parameters()}]
    optimizer = torch.optim.Adam(groups, lr=1e-2)
    with tw.watch(optimizer, 1, None, model=model) as seen:
        train(model, optimizer, 6)
    said = " ".join(seen.sentences)
    assert "`2.bias` had no gradient at any of 6 looks" in said
    layer = (
        r"(`0.weight` and `0.bias`|`0.bias` and `0.weight`)"  # what 1e-9 moves is lost to rounding in some
    )
    assert re.search(rf"{layer} (do not move|move \S+ of themselves a step): frozen", said)


def test_how_much_faster_a_frozen_layer_may_go() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-9)
    with tw.watch(optimizer, 1, None, model=model) as seen:
        train(model, optimizer, 3)
        sharp = seen.sharpness(lambda: ((model(X) - Y) ** 2).mean())
    said = next(s for s in seen.sentences if "frozen" in s)
    times = said.split("; ")[-1].split(" times the rate is safe (sharpness ")[0]
    times = times.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")).replace("×10", "e")
    assert 0.5 < float(times) * sharp.margin <= 1


def test_nan() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    with tw.watch(optimizer, 1, None, model=model) as seen:
        train(model, optimizer, 4)
        train(model, optimizer, 2, seen, scale=math.nan)
    assert seen.sentences[0].startswith("NaN or infinite weights in `0.weight`, `0.bias`")
    assert "first seen at step 5; at step 4 all were finite" in seen.sentences[0]
    assert "The loss was not finite at step 5." in seen.sentences[1]


def test_skipped_steps_are_counted() -> None:
    w = np.ones(20)
    opt = tw.Adam().on(w, on_nonfinite="skip")
    with tw.watch(opt, 1, None) as seen:
        for g in (1.0, math.nan, 1.0):
            opt.step(np.full(20, g))
    assert any("1 step was left out" in s for s in seen.sentences)


def test_dead_coordinates() -> None:
    w = np.ones(40)
    opt = tw.Adam(lr=1e-3).on(w)
    with tw.watch(opt, 1, None) as seen:
        for _ in range(4):
            opt.step(np.where(np.arange(40) < 30, 0.0, w))
    assert any("75 % of the coordinates of `w` have no gradient" in s for s in seen.sentences)


# Sharpness, on request.


def steepest(factor: torch.Tensor) -> float:
    """The largest eigenvalue of S H S, H the Hessian of the mean square on X."""
    hessian = 2 * X.T.double() @ X.double() / len(X)
    return float(torch.linalg.eigvalsh(factor[:, None] * hessian * factor)[-1])


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_sharpness_is_rate_times_curvature_over_the_limit(name: str) -> None:
    """On a quadratic whose Hessian is known."""
    torch.manual_seed(3)
    model = torch.nn.Linear(8, 1, bias=False)
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.02)
    told: list[tuple[str, float, int]] = []
    with tw.watch(optimizer, 1, None, lambda *given: told.append(given)) as seen:
        train(model, optimizer, 5)
        sharp = seen.sharpness(lambda: ((model(X) - Y) ** 2).mean())
    rates = thalweg.torch.rates(optimizer)[model.weight].double().reshape(-1)
    assert sharp.value == pytest.approx(steepest(rates.sqrt()), rel=0.02)
    limits = {"SGD": 2.0, "Adam": 38.0, "RMSprop": 2.0}
    assert sharp.limit == pytest.approx(limits[name], rel=1e-6) and sharp.step == 5
    assert sharp.margin == pytest.approx(sharp.value / sharp.limit)
    assert ("sharpness", sharp.value, 5) in told
    assert any(f"{name}: rates × curvature in the steepest direction are" in s for s in seen.sentences)


def test_sharpness_knows_decay_and_ascent() -> None:
    """Decay that is added to gradients curves what is minimised; ascent turns the sign of it all."""
    model = torch.nn.Linear(8, 1, bias=False)
    loss = lambda: ((model(X) - Y) ** 2).mean()  # noqa: E731
    values = {}
    for sign in (1, -1):
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=3.0, maximize=sign < 0)
        with tw.watch(optimizer, 1, None) as seen:
            values[sign] = seen.sharpness(loss).value
    assert values[1] == pytest.approx(steepest(torch.ones(8)) + 3, rel=0.02)
    flattest = -float(torch.linalg.eigvalsh(2 * X.T.double() @ X.double() / len(X))[0])
    assert values[-1] == pytest.approx(3 + flattest, rel=0.02)


def test_sharpness_leaves_the_training_as_it_was() -> None:
    """Gradients, random numbers and the running means of a normalisation."""
    torch.manual_seed(3)
    layers = torch.nn.Linear(8, 24), torch.nn.BatchNorm1d(24), torch.nn.Dropout(), torch.nn.Linear(24, 1)
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters())
    with tw.watch(optimizer, 1, None, model=model) as seen:
        train(model, optimizer, 3)
        before = [x.clone() for x in (*model.state_dict().values(), torch.get_rng_state())]
        gradients = [p.grad for p in model.parameters()]
        values = [g.clone() for g in gradients]
        assert seen.sharpness(lambda: ((model(X) - Y) ** 2).mean()).margin > 0
        with pytest.raises(ZeroDivisionError):
            seen.sharpness(lambda: 1 // 0 * model(X).sum())
        after = [*model.state_dict().values(), torch.get_rng_state()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for p, gradient, value in zip(model.parameters(), gradients, values, strict=True):
        assert p.grad is gradient and torch.equal(gradient, value)


def test_training_settles_at_the_edge_of_stability() -> None:
    """Cohen et al. (2021): full batches, a rate that is large for the start; and the sentence says so."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    with tw.watch(optimizer, 20, None, model=model) as seen:
        train(model, optimizer, 1)
        begun = seen.sharpness(lambda: ((model(X) - Y) ** 2).mean())
        train(model, optimizer, 199)
        sharp = seen.sharpness(lambda: ((model(X) - Y) ** 2).mean())
    assert begun.margin < 0.8 and 0.9 < sharp.margin < 1.2
    assert "SGD: rates × curvature in the steepest direction are 2.1 of 2 at step 200" in " ".join(
        seen.sentences
    )


def test_what_is_no_closure_is_refused() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    loss = lambda: ((model(X) - Y) ** 2).mean()  # noqa: E731

    def backward() -> torch.Tensor:
        value: torch.Tensor = loss()
        value.backward()
        return value

    with tw.watch(optimizer, 1, None, model=model) as seen:
        with pytest.raises(StateError, match="no step has been taken yet"):
            seen.sharpness(loss)
        train(model, optimizer, 1)
        before = [p.grad.clone() for p in model.parameters()]
        with pytest.raises(GradientError, match=r"without backward\(\)"):
            seen.sharpness(backward)
        for p, value in zip(model.parameters(), before, strict=True):
            assert torch.equal(p.grad, value)
        with pytest.raises(GradientError, match="must return the loss, a tensor of one real number, got"):
            seen.sharpness(lambda: model(X))
        with pytest.raises(GradientError, match="got None"):
            seen.sharpness(lambda: None)
        with pytest.raises(GradientError, match="does not depend on any parameter"):
            seen.sharpness(lambda: torch.tensor(1.0))
        with pytest.raises(HyperparameterError, match="closure must be a function"):
            seen.sharpness(3.0)
        with pytest.raises(ProblemError, match="not finite"):
            seen.sharpness(lambda: loss() * math.inf)
    with (
        tw.watch(tw.Adam().on(np.ones(3)), 1, None) as seen,
        pytest.raises(StateError, match="only losses of torch"),
    ):
        seen.sharpness(loss)
    lion = thalweg.torch.Optimizer(model.parameters(), tw.Lion(lr=1e-4))
    with tw.watch(lion, 1, None) as seen:
        train(model, lion, 1)
        with pytest.raises(RuleError, match="not linear"):
            seen.sharpness(loss)


# What optimizers do besides.


def test_a_closure_gives_its_gradients_within_the_step() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = ((model(X) - Y) ** 2).mean()
        loss.backward()
        return loss

    with tw.watch(optimizer, 1, None) as seen:
        for _ in range(4):
            optimizer.step(closure)
    assert np.all(seen.columns()["missed"] < 1e-3)
    assert np.all(seen.columns()["gradient_norm"] > 0)


def test_grad_scale_is_undone_within_the_step() -> None:
    """torch's fused steps take the scale of a GradScaler, and write the gradients back without it."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    optimizer.grad_scale = torch.tensor(1024.0)
    optimizer.found_inf = torch.tensor(0.0)
    with tw.watch(optimizer, 1, None) as seen:
        train(model, optimizer, 4, scale=1024.0)
    assert np.all(seen.columns()["missed"] < 1e-3)


def test_what_has_no_row_is_seen_without_rates() -> None:
    class Mine(torch.optim.SGD):
        pass

    seen = watched(lambda p: Mine(p, lr=0.1))
    assert any("No rule is" in s and "realised steps only" in s for s in seen.sentences)
    assert np.all(np.isnan(seen.columns()["rate"]))
    assert np.all(seen.columns()["relative_update"] > 0)


DTYPES = [torch.bfloat16, *(pytest.param(t, marks=pytest.mark.slow) for t in (torch.float16, torch.float64))]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.complex64], ids=str)
def test_dtypes(dtype: torch.dtype) -> None:
    w = torch.nn.Parameter(torch.linspace(1, 2, 50).to(dtype))
    ours = thalweg.torch.Optimizer([w], tw.Adam(lr=0.1, eps=1e-4))
    with tw.watch(ours, 1, None) as seen:
        for _ in range(3):
            w.grad = w.detach().clone()
            ours.step()
    assert np.all(seen.columns()["missed"] < 1e-2)


def test_tensors_in_any_order_of_memory_and_empty_ones() -> None:
    last = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    gaps = torch.randn(6, 8)[:, ::2]
    params = [torch.nn.Parameter(x) for x in (last, gaps, torch.empty(0, 3), torch.randn(()))]
    optimizer = torch.optim.Adam(params)
    with tw.watch(optimizer, 1, None) as seen:
        for _ in range(3):
            for p in params:
                p.grad = torch.randn(p.shape)
            optimizer.step()
    assert np.all(seen.columns()["missed"].reshape(3, 4)[:, [0, 1, 3]] < 1e-3)
    assert any("this process has no entry of group 0, tensor 2" in n for n in seen.seen.notes)


@pytest.mark.slow
def test_sparse_gradients_and_windows_of_arrays() -> None:
    w = {"table": np.ones((30, 4)), "v": np.ones(30)}
    opt = tw.Adam().on(w, accumulate=2)
    with tw.watch(opt, 1, None) as seen:
        for _ in range(4):
            opt.step({"table": tw.Rows([1, 2], np.ones((2, 4))), "v": w["v"] * 2})
    missed = seen.columns()["missed"].reshape(-1, 2)
    assert len(missed) == 2  # two gradients a step
    assert np.all(missed[:, 1] < 1e-6)
    assert any(s.startswith("The gradient of table is sparse") for s in seen.sentences)
    assert not any("had no gradient" in s for s in seen.sentences)


def test_sparse_gradients_of_torch() -> None:
    net = torch.nn.Embedding(20, 4, sparse=True)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with tw.watch(optimizer, 1, None, model=net) as seen:
        net(torch.tensor([1, 2])).sum().backward()
        optimizer.step()
    assert any(s.startswith("The gradient of weight is sparse") for s in seen.sentences)


def test_parameters_that_come_later_are_said_to_be_unseen() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)
    with tw.watch(optimizer, 1, None) as seen:
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))]})
        optimizer.step()
    assert any("added since the watch began" in s for s in seen.sentences)


def test_a_parameter_that_becomes_another_is_left_alone() -> None:
    """Its sample lies outside the memory that it has now."""
    w = torch.nn.Parameter(torch.ones(4000))
    optimizer = torch.optim.SGD([w], lr=0.1)
    with tw.watch(optimizer, 1, None) as seen:
        w.data = torch.ones(3)
        w.grad = torch.ones(3)
        optimizer.step()
    assert any("is of another size than it was" in s for s in seen.sentences)
    assert np.all(np.isnan(seen.columns()["relative_update"]))


def test_tensors_that_move_between_looks_are_judged_again() -> None:
    """Where nothing has changed since the look before, only places in memory are compared."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def as_it_was() -> None:
        pass

    def states_elsewhere() -> None:
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))

    def weights_elsewhere() -> None:
        model[0].weight.data = model[0].weight.data.clone()

    def weights_turned() -> None:  # another view that begins at the same place
        turned = torch.nn.Parameter(model[0].weight.data.new_empty(8, 24).t())
        model[0].weight.data = turned.data.copy_(model[0].weight.data)

    def another_rate() -> None:
        optimizer.param_groups[0]["lr"] = 0.02

    same = as_it_was
    changes = (same, same, states_elsewhere, same, weights_elsewhere, another_rate, same, weights_turned)
    with tw.watch(optimizer, 1, None, model=model) as seen:
        for k, change in enumerate(changes):
            optimizer.zero_grad()
            ((model(X) - Y) ** 2).mean().backward()
            if k == 5:
                model[2].bias.grad = None
            if k == 6:
                model[0].weight.grad = model[0].weight.grad.t().contiguous().t()
            change()
            optimizer.step()
            layouts = [p.layout for x in seen._source._known.values() for p in x.parts]
            assert (k in (1, 2, 3, 4)) <= all(x is not None for x in layouts)
    missed = seen.columns()["missed"].reshape(-1, 4)
    assert np.all(np.isnan(missed) == [[k == 5 and i == 3 for i in range(4)] for k in range(len(changes))])
    assert np.nanmax(missed) < 1e-3
    rates = seen.columns()["rate"].reshape(-1, 4)[:, 0]
    assert rates[5] > 1.5 * rates[4]


def test_gradients_are_compared_with_the_next_where_some_come_and_go() -> None:
    """Tensors that have had different numbers of steps, of which one is without a gradient at the step after a look."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    with tw.watch(optimizer, 3, None, model=model) as seen:
        for k in range(5):
            optimizer.zero_grad()
            ((model(X) - Y) ** 2).mean().backward()
            if k == 0:
                model[0].bias.grad = None
            if k == 4:
                model[2].bias.grad = None
            optimizer.step()
    cosine = seen.columns()["gradient_cosine"].reshape(-1, 4)
    assert np.isnan(cosine).tolist() == [[False, True, False, False], [True] * 4]
    with tw.watch(optimizer, 3, None, model=model) as seen:
        train(model, optimizer, 2)
    assert np.all(seen.columns()["gradient_cosine"] > 0.9)


def test_a_compiled_step_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = []
    for least in (1, 10**9):
        monkeypatch.setattr(sys.modules["thalweg.lab.watch.quantities"], "COMPILED", least)
        tables.append(watched(torch.optim.AdamW, 4).seen.looks.table)
    np.testing.assert_allclose(*tables, rtol=1e-6, atol=1e-12)


# The sample and what is kept.


def test_a_sample_is_bounded_and_even() -> None:
    sample = Sample([10, 10**7, 3000, 0, 5000])
    assert sample.counts == (10, OF_A_TENSOR, 3000, 0, OF_A_TENSOR)
    blocks = sample.blocks(1)
    assert blocks[0][0] == 0 and blocks[-1][1] == 10**7
    assert all(a[1] <= b[0] for a, b in pairwise(blocks))
    many = Sample([10**5] * 200 + [7])
    assert sum(many.counts) <= IN_ALL and max(many.counts[:200]) - min(many.counts[:200]) <= 1
    assert many.counts[-1] == 7


def test_no_tensor_is_passed_over_however_many_there_are() -> None:
    assert min(Sample([3] * (IN_ALL + 100)).counts) == 1


def test_sums_and_quantiles_of_tensors_of_any_length() -> None:
    lengths = (5, 300, 1, 17, 299)
    cut = Segments(lengths)
    arrays = dict(zip(LOOK.inputs, np.sin(np.arange(7 * 622.0)).reshape(7, 622), strict=True))
    arrays["g"][::3] = 0.0
    arrays["alone"][::2] = arrays["rate"][::2]
    edges = np.cumsum([0, *lengths])
    found = cut.sums(LOOK, arrays, (0.01,))
    terms = vectorised(LOOK)(*arrays.values(), 0.01)
    for (n, _), values in zip(LOOK.outputs, terms, strict=True):
        np.testing.assert_allclose(found[n], np.add.reduceat(values, edges[:-1]), rtol=1e-12)
    values = arrays["w"].copy()
    values[10:300] = math.nan  # behind all numbers
    for share, each in zip((0.0, 0.1, 0.5, 1.0), cut.quantiles(values, (0.0, 0.1, 0.5, 1.0)), strict=True):
        ordered = [np.sort(x) for x in np.split(values, edges[1:-1])]
        expected = [x[round((len(x) - 1) * share)] for x in ordered]
        np.testing.assert_allclose(each, expected, rtol=1e-6)


def test_memory_does_not_grow() -> None:
    looks = Looks(3)
    size = looks._table.nbytes
    for k in range(100_000):
        looks.add(20 * k + 1, float(k), np.full((3, len(FIELDS)), k))
    assert looks._table.nbytes == size and looks.rows <= LONGEST + 1
    steps = looks.steps
    assert steps[0] == 1 and steps[-1] == 20 * 99_999 + 1
    gaps = np.diff(steps)
    assert len(set(gaps[:-1].tolist())) == 1 and gaps[-1] <= gaps[0]
    np.testing.assert_array_equal(looks.table[:, 0, 0], looks.losses)


def test_looks_become_rarer_where_they_cost_too_much() -> None:
    w = np.ones(10)
    opt = tw.SGD(lr=1e-4).on(w)
    with tw.watch(opt, 1, None) as seen:
        for _ in range(3000):
            opt.step(np.ones(10))
    assert seen.seen.asked == 1 and seen.seen.every > 10
    assert seen.seen.looks.looks < 200


def test_the_time_that_a_page_takes_is_none_of_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the look after a page thinks that steps are slow, and looks become frequent."""
    opt = tw.SGD(lr=1e-4).on(np.ones(10))
    with tw.watch(opt, 1, tmp_path / "run.csv") as seen:
        for _ in range(3000):
            opt.step(np.ones(10))
        monkeypatch.setattr(seen, "save", lambda path: time.sleep(0.5))
        seen._write()
        looks, every = seen.seen.looks.looks, seen.seen.every
        while seen.seen.looks.looks == looks:
            opt.step(np.ones(10))
        assert seen.seen.every > every / 5


def test_the_median_leaves_out_what_is_not_known() -> None:
    nan = math.nan
    rows = np.array([[1.0, nan, nan], [5.0, nan, 2.0], [3.0, nan, 4.0]])
    np.testing.assert_array_equal(median(rows), [3.0, nan, 3.0])


# Files, sinks, refusals.


def test_files_and_sinks(tmp_path: Path) -> None:
    told: list[tuple[str, float, int]] = []
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), eps=0.5)
    out = tmp_path / "run.html"
    with tw.watch(optimizer, 3, out, lambda *given: told.append(given), model=model) as seen:
        seen.save(out)
        assert "location.reload" in out.read_text()
        train(model, optimizer, 7, seen)
    page = out.read_text()
    assert "location.reload" not in page and "ε rules 100 %" in page and "<code>0.weight</code>" in page
    assert page.count("<svg") > 8 and "http://" not in page.replace("http://www.w3.org", "")
    assert ("0.weight/rate", 1) in [(n, t) for n, _, t in told]
    assert {t for _, _, t in told} == {1, 4, 7}
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(seen.save(tmp_path / "run.parquet"))
    assert table.column_names == ["step", "loss", "tensor", *FIELDS] and table.num_rows == 3 * 4
    with open(seen.save(tmp_path / "run.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["tensor"] for r in rows[:4]] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_the_page_is_written_when_the_training_fails(tmp_path: Path) -> None:
    opt = tw.Adam().on(np.ones(3))

    def fail() -> None:
        opt.step(np.ones(3))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), tw.watch(opt, 1, tmp_path / "x.csv"):
        fail()
    assert (tmp_path / "x.csv").exists()
    with pytest.raises(tw.errors.GradientError), tw.watch(opt, 1, None):
        opt.step(np.ones(4))


def test_a_sink_that_fails_does_not_end_the_training(tmp_path: Path) -> None:
    """A service that is down for an hour would end a training of a week, after its step and before its loop's end."""
    told: list[str] = []

    def sink(name: str, value: float, step: int) -> None:
        if step != 5:
            raise ConnectionError("the service is down")
        told.append(name)

    opt = tw.SGD(lr=0.1).on(np.ones(3))
    failed = "sink failed with ConnectionError: the service is down"
    seen = tw.watch(opt, 2, None, sink)

    def run() -> None:
        with seen:
            for _ in range(8):
                opt.step(np.ones(3))

    with pytest.warns(UserWarning, match=failed) as warned:
        run()
    assert opt.t == 8 and len(warned) == 1 and "w/rate" in told
    assert (
        "The sink failed with ConnectionError: the service is down (3 times, first at step 1)."
        in seen.sentences
    )


def test_a_file_that_cannot_be_written_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thalweg.lab.watch.AGAIN", 0.0)
    opt = tw.SGD(lr=0.1).on(np.ones(3))
    folder = tmp_path / "there"

    def run(out: Path, fail: bool) -> None:
        folder.mkdir()
        with tw.watch(opt, 1, out):
            folder.rmdir()
            opt.step(np.ones(3))
            if fail:
                raise ZeroDivisionError

    with pytest.warns(UserWarning, match="folder does not exist"), pytest.raises(FileError, match="create"):
        run(folder / "x.csv", False)  # what was asked for is not there: said at the end
    with pytest.warns(UserWarning, match="folder does not exist"), pytest.raises(ZeroDivisionError):
        run(folder / "x.csv", True)  # the training's own error is not covered
    assert opt.t == 2


def test_a_watch_is_entered_once_at_a_time() -> None:
    """Entered twice, it would have left hooks in the optimizer for good."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    with tw.watch(optimizer, 1, None, model=model) as seen:
        with pytest.raises(StateError, match="entered already"), seen:
            pass
        train(model, optimizer, 2, seen)
    assert seen.seen.steps == 2 and not optimizer._optimizer_step_pre_hooks
    with seen:  # one after the other, it goes on
        train(model, optimizer, 2, seen)
    assert seen.seen.steps == 4


@pytest.mark.parametrize("loss", ["low", [1.0], torch.ones(2), 1 + 2j, np.ones(2)], ids=str)
def test_what_is_no_loss_is_refused_in_one_line(loss: Any) -> None:
    opt = tw.SGD(lr=0.1).on(np.ones(3))
    with tw.watch(opt, 1, None) as seen:
        opt.step(np.ones(3))
        with pytest.raises(
            GradientError, match="seen: loss must be a number, or a tensor of one real number, got"
        ):
            seen(loss)


def test_a_layer_that_loses_its_gradient_is_named() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    with tw.watch(optimizer, 1, None, model=model) as seen:
        train(model, optimizer, 4, seen)
        model[2].weight.requires_grad_(False)
        train(model, optimizer, 8, seen)
    (said,) = (text for text in seen.sentences if "gradient" in text)
    assert said.startswith("`2.weight` has had no gradient at the last 8 looks, and had before: frozen")


@pytest.mark.parametrize("gathered", [False, True])
def test_what_moves_now_and_then_is_not_frozen(gathered: bool) -> None:
    """Its gradient is 0 but now and then, as of units that have died; or it is there, and steps are left out."""
    w = torch.nn.Parameter(torch.ones(20))
    optimizer = torch.optim.SGD([w], lr=0.1)
    with tw.watch(optimizer, 1, None) as seen:
        for t in range(9):
            w.grad = torch.full((20,), float(gathered or t % 4 == 0))
            optimizer.param_groups[0]["lr"] = 0.1 * (t % 4 == 0)
            optimizer.step()
    assert seen.sentences == [
        "`group 0, tensor 0 (20)` stays in place at most of the last 8 looks and moves at others: steps are left out, or gradients are"
        " gathered over several."
        if gathered
        else "The gradient of `group 0, tensor 0 (20)` is 0 at most of the last 8 looks: only now and then does anything reach it."
    ]


def test_sentences_agree_in_number() -> None:
    one, two = torch.nn.Parameter(torch.ones(20)), torch.nn.Parameter(torch.ones(20))
    for params, said in (
        ([one], "The gradient of `group 0, tensor 0 (20)` is 0: nothing reaches it."),
        (
            [one, two],
            "The gradients of `group 0, tensor 1 (20)` and `group 0, tensor 0 (20)` are 0: nothing reaches them.",
        ),
    ):
        optimizer = torch.optim.SGD(params, lr=0.1)
        with tw.watch(optimizer, 1, None) as seen:
            for p in params:
                p.grad = torch.zeros(20)
            optimizer.step()
        assert said in seen.sentences


def test_what_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    opt = tw.Adam().on(np.ones(3))
    with pytest.raises(HyperparameterError, match=r"optimizer must be one of rule\.on"):
        tw.watch(opt.params)
    with pytest.raises(HyperparameterError, match="a rule moves nothing"):
        tw.watch(tw.Adam())
    with pytest.raises(HyperparameterError, match="whose optimizer is given as a rule"):
        tw.watch(opt, params=[1.0])
    with tw.watch(opt, out=None) as seen, pytest.raises(StateError, match="for Optax alone"):
        seen(1.0, [np.ones(3)], [])
    with pytest.raises(HyperparameterError, match="every must be a whole number"):
        tw.watch(opt, 0)
    with pytest.raises(HyperparameterError, match="sink must be called with"):
        tw.watch(opt, sink=3)  # type: ignore[arg-type]
    with pytest.raises(FileError, match="3: is no path"):
        tw.watch(opt, out=3)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1)
    with pytest.raises(HyperparameterError, match=r"model must be a torch\.nn\.Module, got 3"):
        tw.watch(optimizer, model=3)  # type: ignore[arg-type]
    assert (
        "Model has none of the optimizer's parameters: it gives no names."
        in tw.watch(optimizer, out=None, model=network()).sentences
    )
    with pytest.raises(FileError, match=r"\.html, \.parquet or \.csv"):
        tw.watch(opt, out=tmp_path / "x.txt")
    with tw.watch(opt, out=None), pytest.raises(StateError, match="watched already"), tw.watch(opt, out=None):
        pass
    assert copy.deepcopy(opt).t == 0


# Rates from the states of an optimizer.


@pytest.mark.parametrize("name", NAMES)
def test_rates_of_torch_are_those_of_the_last_step(name: str) -> None:
    model = network()
    optimizer = getattr(torch.optim, name)(model.parameters())
    with pytest.raises(StateError):
        thalweg.torch.rates(torch.optim.Adam(model.parameters()))
    with tw.watch(optimizer, 1, None) as seen:
        train(model, optimizer, 6)
    if name in ("ASGD", "Adadelta"):
        with pytest.raises(StateError, match=r"does not tell the rate that it used: thalweg\.watch"):
            thalweg.torch.rates(optimizer)
        return
    rates = thalweg.torch.rates(optimizer)
    assert [r.shape for r in rates.values()] == [p.shape for p in model.parameters()]
    medians = seen.seen.looks.table[-1, :, FIELDS.index("rate")]
    for rate, watched_rate in zip(rates.values(), medians, strict=True):
        ordered = rate.flatten().sort().values
        middle = float(ordered[round((len(ordered) - 1) * 0.5)])
        assert middle == pytest.approx(float(watched_rate), rel=1e-4)


def test_rates_without_keeping_them() -> None:
    """Of our optimizer, too, though it was not begun with rates=True; complex and 16-bit states as they are kept."""
    for dtype in (torch.float32, torch.bfloat16, torch.complex64):
        w = torch.nn.Parameter(torch.linspace(1, 2, 12).reshape(3, 4).to(dtype))
        opt = thalweg.torch.Optimizer([w], tw.Adam(lr=0.1), rates=True)
        w.grad = w.detach().clone()
        opt.step()
        expected, told = opt.rates()[w], thalweg.torch.rates(opt)[w]
        assert told.dtype == expected.dtype
        torch.testing.assert_close(told, expected, rtol=1e-5, atol=0)


def test_rates_say_what_they_cannot_tell() -> None:
    with pytest.raises(StateError, match=r"no rule is torch\.optim\.lbfgs\.LBFGS$"):
        thalweg.torch.rates(torch.optim.LBFGS([torch.nn.Parameter(torch.ones(2))]))
    with pytest.raises(TypeError, match="must be a torch"):
        thalweg.torch.rates(tw.Adam())  # type: ignore[arg-type]


# Parameters that are spread over processes.

SHARDS = """
import sys
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
import numpy as np
import thalweg as tw

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
optimizer = torch.optim.Adam(model.parameters())
with tw.watch(optimizer, 1, None, model=model) as seen:
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(4, 6)).square().mean().backward()
        optimizer.step()
missed = seen.columns()["missed"].reshape(3, 4)
owned = [name for name, count in zip(seen.seen.names, seen.seen.counts) if count]
assert np.all(missed[:, [c > 0 for c in seen.seen.counts]] < 1e-3), missed
assert sum(seen.seen.sizes) < 41
if rank == 1:
    assert "2.bias" not in owned and any("no entry of 2.weight, 2.bias" in s for s in seen.sentences), seen.sentences
rates = __import__("thalweg.torch").torch.rates(optimizer)
assert len(rates) == 4
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_shards_of_fsdp_are_seen_by_each_process(tmp_path: Path) -> None:
    script = tmp_path / "shards.py"
    script.write_text(SHARDS)
    runs = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(tmp_path / "meet")], stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    for run in runs:
        _, wrong = run.communicate(timeout=240)
        assert run.returncode == 0, wrong.decode()


# Optax, whose steps are handed over.


@pytest.mark.parametrize("hand", ["gradients", "states"])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "adadelta", "nadam"])
def test_runs_of_optax(name: str, hand: str) -> None:
    import jax
    import jax.numpy as jnp
    import optax

    rules = {"adam": "Adam", "adamw": "AdamW", "sgd": "Momentum", "adadelta": "Adadelta", "nadam": "NAdam"}
    options = {"momentum": 0.9} if name == "sgd" else {}
    rule = getattr(tw, rules[name]).like("optax", learning_rate=0.05, **options)
    params = {"a": jnp.linspace(1.0, 2.0, 30).reshape(5, 6), "b": jnp.linspace(-2.0, 3.0, 7)}
    tx = getattr(optax, name)(0.05, **options)
    state = tx.init(params)
    with tw.watch(rule, 1, None, params=params) as seen:
        for _ in range(5):
            grads = jax.tree.map(lambda x: 2 * x - 1, params)
            updates, state = tx.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            seen(1.0, params, state, *([grads] if hand == "gradients" else []))
    table = {n: v.reshape(-1, 2) for n, v in seen.columns().items()}
    assert table["tensor"][0].tolist() == ["a", "b"] and table["step"][:, 0].tolist() == [2, 3, 4, 5]
    assert np.all(table["loss"] == 1.0) and np.all(table["relative_update"] > 0)
    if hand == "gradients":
        assert np.all(table["missed"] < 1e-3)
    assert np.all(np.isnan(table["missed"])) == (hand == "states")
    assert np.all(np.isnan(table["rate"])) == (hand == "states" and name == "adadelta")


def test_what_is_no_step_of_optax_is_refused() -> None:
    import jax
    import jax.numpy as jnp
    import optax

    params = {"a": jnp.ones(3), "b": jnp.ones(3)}
    state = optax.sgd(0.1).init(params)
    with tw.watch(tw.SGD(lr=0.1), 1, None, params=params) as seen:
        for other in (None, {"a": jnp.ones(3), "c": jnp.ones(3)}, {"a": jnp.ones(3)}, state):
            with pytest.raises(StateError, match="whose leaves are a, b; got"):
                seen(1.0, other, state)
        with pytest.raises(StateError, match="outside jit"):
            jax.jit(lambda p: seen(1.0, p, state))(params)
        seen(1.0, params, state)
        seen(1.0, params, state)
    assert seen.seen.looks.looks == 1 and "(" not in repr(seen).partition(",")[0]


@pytest.mark.slow
def test_our_transformation_in_sixteen_bits() -> None:
    import jax.numpy as jnp
    import optax

    from thalweg.optax import transformation

    params = [jnp.linspace(1.0, 2.0, 40, dtype=jnp.bfloat16)]
    tx = optax.chain(transformation(tw.Adam(lr=0.1)))
    state = tx.init(params)
    with tw.watch(tw.Adam(lr=0.1), 1, None, params=params) as seen:
        for _ in range(3):
            updates, state = tx.update(params, state, params)
            before, params = params, optax.apply_updates(params, updates)
            seen(None, params, state, before)
    assert np.all(seen.columns()["missed"] < 0.05)
