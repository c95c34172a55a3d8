"""What torch's tests ask of an optimizer inside its wrappers: hooks, averaged models, loss scaling, shards, checkpoints.

Each runs beside an optimizer of torch where the rule is one, and over every rule where a run is cheap. What of it
takes seconds to import is in the slow suite.
"""

import copy
import io
import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import swa_utils
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

import thalweg as tw
import thalweg.torch

from ..strategies import RULES, every_rule, few_rules_in_time

Optimizer = thalweg.torch.Optimizer
Tensor = torch.Tensor


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()


def train(net: torch.nn.Module, opt: Any, steps: int, seed: int = 1) -> None:
    source = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        opt.zero_grad()
        x = torch.randn((8, 3), generator=source, dtype=torch.float64)
        (net(x) - x.sum(1, keepdim=True)).square().mean().backward()
        opt.step()


def same(mine: torch.nn.Module, theirs: torch.nn.Module) -> bool:
    return all(map(torch.equal, mine.parameters(), theirs.parameters()))


def near(mine: torch.nn.Module, theirs: torch.nn.Module) -> None:
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)


# Hooks.


def test_hooks_of_a_step_run_in_torchs_order() -> None:
    """Global ones around the optimizer's own; each gets the optimizer, the arguments, and can change them."""
    told: dict[str, list[Any]] = {}
    for name, begin in (
        ("ours", lambda p: Optimizer(p, tw.Adam())),
        ("torch's", lambda p: torch.optim.Adam(p)),
    ):
        seen: list[Any] = []
        net = network()
        opt = begin(net.parameters())
        train(net, opt, 1)

        def note(word: str, seen: list[Any] = seen, opt: Any = opt) -> Callable[..., None]:
            return lambda o, args, kwargs: seen.append((word, o is opt, len(args), sorted(kwargs)))

        def replaced(o: Any, args: Any, kwargs: Any) -> Any:
            return args, {"closure": lambda: 7.0}

        handles = [
            opt.register_step_post_hook(note("own after")),
            opt.register_step_pre_hook(note("own before")),
            register_optimizer_step_pre_hook(note("any before")),
            register_optimizer_step_post_hook(note("any after")),
        ]
        try:
            assert opt.step() is None
            last = opt.register_step_pre_hook(replaced)
            assert opt.step(closure=lambda: 3.0) == 7.0
            last.remove()
        finally:
            for handle in handles:
                handle.remove()
        opt.step()
        told[name] = seen
    assert told["ours"] == told["torch's"]
    assert [w for w, *_ in told["ours"]][:4] == ["any before", "own before", "own after", "any after"]
    assert len(told["ours"]) == 8


def test_a_hook_that_raises_leaves_everything() -> None:
    """No weight, state or count has moved."""
    net = network()
    opt = Optimizer(net.parameters(), tw.Adam())
    train(net, opt, 1)
    before = copy.deepcopy(net)

    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    opt.register_step_pre_hook(fails)
    with pytest.raises(ZeroDivisionError):
        opt.step()
    assert same(net, before) and all(opt.state[p]["step"] == 1 for p in net.parameters())


def test_hooks_of_state_dict_and_load_state_dict() -> None:
    """Those before and after, in torch's order, prepended too; what they give is what is saved and loaded."""
    told: dict[str, list[str]] = {}
    for name, begin in (
        ("ours", lambda p: Optimizer(p, tw.Adam())),
        ("torch's", lambda p: torch.optim.Adam(p)),
    ):
        seen: list[str] = []
        net = network()
        opt = begin(net.parameters())
        train(net, opt, 1)

        def saw(word: str, result: Any = None, seen: list[str] = seen) -> Callable[..., Any]:
            def hook(*_: Any) -> Any:
                seen.append(word)
                return result

            return hook

        opt.register_state_dict_pre_hook(saw("saving 2"))
        opt.register_state_dict_pre_hook(saw("saving 1"), prepend=True)
        opt.register_state_dict_post_hook(lambda _, saved: {**saved, "note": 5})
        opt.register_load_state_dict_pre_hook(saw("loading 2"))
        opt.register_load_state_dict_pre_hook(saw("loading 1"), prepend=True)
        opt.register_load_state_dict_post_hook(saw("loaded"))
        saved = opt.state_dict()
        assert saved["note"] == 5
        halved = copy.deepcopy(saved)
        halved["param_groups"][0]["lr"] = 0.5
        gives = opt.register_load_state_dict_pre_hook(saw("replaced", halved))
        opt.load_state_dict(saved)
        assert opt.param_groups[0]["lr"] == 0.5
        gives.remove()
        opt.load_state_dict(saved)
        assert opt.param_groups[0]["lr"] == 1e-3
        told[name] = seen
    assert told["ours"] == told["torch's"]


def test_hooks_stay_behind_in_a_pickle() -> None:
    """As torch's do; what is unpickled trains."""
    net = network()
    opt = Optimizer(net.parameters(), tw.Adam())
    opt.register_step_pre_hook(lambda *_: None)
    train(net, opt, 1)
    other_net, other = pickle.loads(pickle.dumps((net, opt)))
    assert not other._optimizer_step_pre_hooks
    train(net, opt, 2)
    train(other_net, other, 2)
    assert same(net, other_net)


# Averaged models (torch.optim.swa_utils).


@few_rules_in_time
def test_an_averaged_model_is_the_mean_of_the_weights(name: str) -> None:
    """The plain mean and the exponential one; a step moves weights in place, and averages are copies."""
    net = network()
    opt = Optimizer(net.parameters(), RULES[name]())
    mean = swa_utils.AveragedModel(net)
    ema = swa_utils.AveragedModel(net, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.75))
    path: list[list[Tensor]] = []
    for k in range(5):
        train(net, opt, 1, seed=k)
        mean.update_parameters(net)
        ema.update_parameters(net)
        path.append([p.detach().clone() for p in net.parameters()])
    for k, (p, q) in enumerate(zip(mean.parameters(), ema.parameters(), strict=True)):
        seen = [point[k] for point in path]
        torch.testing.assert_close(p.detach(), sum(seen) / 5, rtol=1e-12, atol=1e-14)
        averaged = seen[0]
        for w in seen[1:]:
            averaged = 0.75 * averaged + 0.25 * w
        torch.testing.assert_close(q.detach(), averaged, rtol=1e-12, atol=1e-14)
        assert not torch.equal(p, q)


@pytest.mark.parametrize("how", ["linear", "cos"])
def test_swa_rates_are_taken(how: Any) -> None:
    """SWALR anneals each group to a rate of its own; the averaged model goes through a checkpoint."""
    runs = []
    for begin in (
        lambda p: Optimizer(p, tw.Momentum(lr=0.1)),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    ):
        net = network()
        groups = [{"params": list(layer.parameters())} for layer in (net[0], net[2])]
        opt = begin(groups)
        plan = swa_utils.SWALR(opt, [0.02, 0.01], anneal_epochs=4, anneal_strategy=how)
        mean = swa_utils.AveragedModel(net)
        rates = []
        for k in range(6):
            train(net, opt, 1, seed=k)
            mean.update_parameters(net)
            plan.step()
            rates.append([group["lr"] for group in opt.param_groups])
        file = io.BytesIO()
        torch.save(mean.state_dict(), file)
        file.seek(0)
        fresh = swa_utils.AveragedModel(network())
        fresh.load_state_dict(torch.load(file, weights_only=True))
        runs.append((fresh.module, rates))
        assert rates[-1] == pytest.approx([0.02, 0.01])
    assert runs[0][1] == runs[1][1]
    near(runs[0][0], runs[1][0])


# Loss scaling (torch.amp.GradScaler).


@few_rules_in_time
def test_scaled_losses_give_the_unscaled_path(name: str) -> None:
    """Clipping between unscale and step; a step with an infinite gradient is left out, and its count with it."""
    net, plain = network(), network()
    opt, other = (Optimizer(n.parameters(), RULES[name]()) for n in (net, plain))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=2)
    scales = []
    for k in range(6):
        x = torch.full((4, 3), k + 1.0, dtype=torch.float64)
        opt.zero_grad()
        scaler.scale(net(x).square().mean()).backward()
        if k == 3:
            next(net.parameters()).grad.view(-1)[0] = math.inf
        scaler.unscale_(opt)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        scaler.step(opt)
        scaler.update()
        scales.append(math.log2(scaler.get_scale()))
        if k != 3:
            other.zero_grad()
            plain(x).square().mean().backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
            other.step()
    assert same(net, plain) and scales == [8, 9, 9, 8, 8, 9]
    assert all(opt.state[p]["step"] == 5 for p in net.parameters())


def test_a_scaler_refuses_what_it_refuses_of_torchs() -> None:
    """Gradients that are unscaled twice, a step without an update between, an optimizer without gradients."""
    for begin in (lambda p: Optimizer(p, tw.SGD(lr=0.1)), lambda p: torch.optim.SGD(p, 0.1)):
        net = network()
        opt = begin(net.parameters())
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(torch.ones(())).item()
        with pytest.raises(AssertionError, match="No inf checks"):
            scaler.step(opt)
        scaler.scale(net(torch.ones(1, 3, dtype=torch.float64)).sum()).backward()
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(torch.ones(()))
        scaler.unscale_(opt)
        with pytest.raises(RuntimeError, match="already been called"):
            scaler.unscale_(opt)
        scaler.step(opt)
        with pytest.raises(RuntimeError, match="already been called"):
            scaler.step(opt)


# Several processes, of which there is one here.


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A process group of this process."""
    if not torch.distributed.is_available():
        pytest.skip("torch without distributed")
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


distributed = [
    pytest.mark.usefixtures("alone"),
    pytest.mark.slow,  # to import it takes seconds
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # by that import
]


def marked(test: Any) -> Any:
    for mark in distributed:
        test = mark(test)
    return test


@marked
@every_rule
def test_sharded_parameters_take_the_path_of_whole_ones(name: str) -> None:
    """FSDP2's fully_shard: parameters, gradients and states are DTensors; clipped by torch's own norm."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    net, plain = network(), network()
    fully_shard(net, mesh=init_device_mesh("cpu", (1,)))
    opt, other = (Optimizer(n.parameters(), RULES[name]()) for n in (net, plain))
    for k in range(3):
        train(net, opt, 1, seed=k)
        train(plain, other, 1, seed=k)
    for p, q in zip(net.parameters(), plain.parameters(), strict=True):
        assert torch.equal(p.full_tensor(), q)
        for n in RULES[name].parts.states:
            kept = opt.state[p][n]
            kept = kept.full_tensor() if hasattr(kept, "full_tensor") else kept
            torch.testing.assert_close(kept.reshape(q.shape), other.state[q][n], rtol=0, atol=0)


PLANNED = "a schedule"  # beside the rules: a group whose lr follows one


@marked
@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
@pytest.mark.parametrize("name", [*RULES, PLANNED])
def test_distributed_checkpoints_go_on(name: str, flat: bool, tmp_path: Path) -> None:
    """DCP saves what stands, makes room in a fresh optimizer by a step of length 0, and loads in place: the same bits."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint import state_dict as dictionaries

    rule = tw.SGD(lr=tw.cosine(0.1, steps=10)) if name == PLANNED else RULES[name]()
    options = dictionaries.StateDictOptions(flatten_optimizer_state_dict=flat)
    net, fresh = network(), network()
    opt, other = (Optimizer(n.parameters(), rule) for n in (net, fresh))
    train(net, opt, 3)
    saved = {"net": net.state_dict(), "opt": dictionaries.get_optimizer_state_dict(net, opt, options=options)}
    dcp.save(saved, checkpoint_id=tmp_path / "saved")
    room = {
        "net": fresh.state_dict(),
        "opt": dictionaries.get_optimizer_state_dict(fresh, other, options=options),
    }
    assert same(fresh, network()) and other.param_groups[0]["lr"] == rule.at(0).get("lr", 1)
    dcp.load(room, checkpoint_id=tmp_path / "saved")
    fresh.load_state_dict(room["net"])
    dictionaries.set_optimizer_state_dict(fresh, other, optim_state_dict=room["opt"], options=options)
    assert other.param_groups[0]["lr"] == opt.param_groups[0]["lr"]
    train(net, opt, 2)
    train(fresh, other, 2)
    assert same(net, fresh)


@marked
@pytest.mark.parametrize("given", [{"rule": tw.Adam(lr=0.1)}, {"rule": tw.Adam, "lr": 0.1}], ids=["value", "class"])  # fmt: skip
def test_zero_redundancy(given: dict[str, Any]) -> None:
    """Groups added later, rates written into its groups, a scheduler, a closure; its state goes on in a fresh one."""
    from torch.distributed.optim import ZeroRedundancyOptimizer

    def begin(net: torch.nn.Module, **how: Any) -> Any:
        return ZeroRedundancyOptimizer(net[0].parameters(), **how)

    runs = []
    for how in ({"optimizer_class": Optimizer, **given}, {"optimizer_class": torch.optim.Adam, "lr": 0.1}):
        net = network()
        opt = begin(net, **how)
        train(net, opt, 2)
        opt.add_param_group({"params": list(net[2].parameters()), "lr": 0.3})
        train(net, opt, 2, seed=2)
        opt.param_groups[1]["lr"] = 0.05
        plan = torch.optim.lr_scheduler.StepLR(opt, 1, 0.5)
        for k in range(2):
            train(net, opt, 1, seed=3 + k)
            plan.step()

        def closure(net: torch.nn.Module = net, opt: Any = opt) -> Tensor:
            opt.zero_grad()
            loss = net(torch.ones(2, 3, dtype=torch.float64)).square().mean()
            loss.backward()
            return loss

        assert opt.step(closure).item() >= 0
        opt.consolidate_state_dict(to=0)
        saved = copy.deepcopy(opt.state_dict())
        other_net = copy.deepcopy(net)
        other = begin(other_net, **how)
        other.add_param_group({"params": list(other_net[2].parameters()), "lr": 0.3})
        other.load_state_dict(saved)
        train(net, opt, 2, seed=5)
        train(other_net, other, 2, seed=5)
        assert same(net, other_net)
        runs.append((net, [group["lr"] for group in opt.param_groups]))
    assert runs[0][1] == runs[1][1]
    near(runs[0][0], runs[1][0])
