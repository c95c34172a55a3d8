"""Models whose rows may be behind: what brings them up to date, what cannot, and averages of them."""

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import swa_utils

import thalweg as tw
import thalweg.torch

pytestmark = pytest.mark.usefixtures("one_thread_of_torch")

Optimizer = thalweg.torch.Optimizer
AveragedModel = thalweg.torch.AveragedModel
ROWS = 20


def started(sparse: bool, rule: Any = None, **settings: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(ROWS, 3, sparse=sparse), nn.Linear(3, 1))
    opt = Optimizer(model.parameters(), rule or tw.Adam(lr=0.05), exact="bits", **settings)
    if sparse:
        opt.watch(model)
    return model, opt


def train(model: Any, opt: Any, steps: int = 9, after: Callable[[], Any] = lambda: None) -> None:
    made = torch.Generator().manual_seed(1)
    for _ in range(steps):
        opt.zero_grad()
        rows = (torch.rand(5, 2, generator=made) ** 3 * ROWS).long()
        (model(rows) - 1).square().mean().backward()
        opt.step()
        after()


READS: dict[str, Callable[[Any], torch.Tensor]] = {
    "double": lambda model: model.double()[0].weight,
    "half": lambda model: model.half()[0].weight,
    "to": lambda model: model.to("cpu", torch.bfloat16)[0].weight,
    "share_memory": lambda model: (model.zero_grad() or model.share_memory())[0].weight,
    "module's own to": lambda model: model[0].to(torch.float64).weight,
    "deepcopy": lambda model: copy.deepcopy(model)[0].weight,
    "copy": lambda model: copy.copy(model[0]).weight,
    "pickle": lambda model: pickle.loads(pickle.dumps(model))[0].weight,
    "state_dict": lambda model: model.state_dict()["0.weight"],
    "AveragedModel": lambda model: AveragedModel(model).module[0].weight,
}


@pytest.mark.parametrize("read", READS)
def test_what_brings_rows_up_to_date(read: str) -> None:
    dense, one = started(False)
    train(dense, one)
    model, opt = started(True)
    train(model, opt)
    assert opt.stale > 0
    weight = READS[read](model)
    assert torch.equal(weight, dense[0].weight.to(weight.dtype))


@pytest.mark.slow
def test_a_conversion_between_steps_takes_the_dense_path() -> None:
    weights = []
    for sparse in (False, True):
        model, opt = started(sparse)
        train(model, opt, 4)
        model.double()
        train(model, opt, 3)
        opt.flush()
        weights.append(model[0].weight)
    assert torch.equal(*weights)


def test_two_watches_of_one_model_are_apart() -> None:
    """One that is taken away leaves the other's hooks, and no copy carries any."""
    dense, one = started(False)
    train(dense, one)
    model, opt = started(True)
    other = nn.Sequential(model, nn.Embedding(2, 2, sparse=True))
    second = Optimizer(other[1].parameters(), tw.Adam())
    opt.watch(model).remove()
    second.watch(other)
    train(model, opt)
    twin = copy.deepcopy(model)
    assert torch.equal(twin[0].weight, dense[0].weight)
    for hooks in (twin[0]._forward_pre_hooks, twin[0]._state_dict_pre_hooks):
        assert not hooks
    assert not {"_apply", "__getstate__"} & twin[0].__dict__.keys()
    plain = nn.Embedding(ROWS, 3, sparse=True)
    trainer = Optimizer(plain.parameters(), tw.Adam())
    trainer.watch(plain).remove()
    assert not {"_apply", "__getstate__"} & plain.__dict__.keys() and not plain._forward_pre_hooks


# Averages of weights.

EMA = swa_utils.get_ema_multi_avg_fn(0.8)


def test_our_averaged_model_is_torchs_on_dense_gradients() -> None:
    dense, one = started(False)
    theirs = swa_utils.AveragedModel(dense, multi_avg_fn=EMA)
    train(dense, one, after=lambda: theirs.update_parameters(dense))
    model, opt = started(True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = AveragedModel(model, multi_avg_fn=EMA)
    train(model, opt, after=lambda: ours.update_parameters(model))
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p, q)
    assert ours.n_averaged == theirs.n_averaged
    theirs.load_state_dict(ours.state_dict())


def test_torchs_averaged_model_of_a_watched_model_warns_once_and_is_off() -> None:
    dense, one = started(False)
    right = swa_utils.AveragedModel(dense, multi_avg_fn=EMA)
    train(dense, one, after=lambda: right.update_parameters(dense))
    model, opt = started(True)
    with pytest.warns(UserWarning, match=r"use thalweg\.torch\.AveragedModel") as told:
        stale = swa_utils.AveragedModel(model, multi_avg_fn=EMA)
    assert [x.filename for x in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swa_utils.AveragedModel(model)
        copy.deepcopy(stale)
    train(model, opt, after=lambda: stale.update_parameters(model))
    assert not torch.allclose(stale.module[0].weight, right.module[0].weight, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [tw.Adagrad(lr=0.1), tw.SGD(lr=0.1)], ids=["Adagrad", "SGD"])
def test_where_rows_rest_torchs_own_is_right_and_nothing_is_said(rule: Any) -> None:
    averages = []
    for sparse in (False, True):
        model, opt = started(sparse, rule)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            average = swa_utils.AveragedModel(model, multi_avg_fn=EMA)
        train(model, opt, 4, after=lambda average=average, model=model: average.update_parameters(model))
        averages.append(average.module[0].weight)
    assert torch.equal(*averages)
