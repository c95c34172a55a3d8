"""From ``torch.optim`` and back: the same rule, hyperparameters, states and step counts.

The rules' own torch rows say which optimizer they are and what its states are called. Only the rounding
differs: torch fuses multiplications with additions and, off its fused path, takes a root that is not
correctly rounded.
"""

from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from typing import Any, NamedTuple, TypeVar

import torch

from ..convert import require
from ..core.rule import Rule
from ..core.schedule import Schedule
from ..rules import movable
from . import groups
from .states import RawState, start

MOST = 1 << 24  # steps that float32 can count
Ours = TypeVar("Ours", bound=torch.optim.Optimizer)


def _decoupled(kind: type[torch.optim.Optimizer], group: Mapping[str, Any]) -> bool:
    return bool(group.get("decoupled_weight_decay", kind.__name__ == "AdamW"))


class _Twin(NamedTuple):
    """A rule and the optimizer of torch that is the same, with the options that pick it and its states' names."""

    rule: type[Rule]
    torch: str
    options: Mapping[str, bool | float]
    states: Mapping[str, str]


def _twins() -> list[_Twin]:
    """Every pair of a rule and an optimizer, as the rules' rows say it."""
    rows = ((rule, rule.parts.dialects["torch"]) for rule in movable("torch").values())
    return [_Twin(rule, name, row.options, row.states) for rule, row in rows for name in row.optimizers]


def _titles(twins: Iterable[_Twin]) -> str:
    return ", ".join(sorted({t.torch for t in twins}))


def _twin_of_group(kind: type[torch.optim.Optimizer], group: Mapping[str, Any]) -> _Twin:
    """The rule of a group of an optimizer; TypeError, ValueError."""
    every = _twins()
    twins = [t for t in every if getattr(torch.optim, t.torch, None) is kind]
    if not twins:
        raise TypeError(
            f"from_torch: must be one of torch.optim's {_titles(every)}; got {kind.__module__}.{kind.__name__}"
        )
    fitting = [t for t in twins if all(group[n] == v for n, v in t.options.items())]
    if not fitting:
        told = ", ".join(f"{n}={group[n]}" for n in dict.fromkeys(n for t in twins for n in t.options))
        raise ValueError(f"from_torch: no rule for {kind.__name__} with {told}")
    # One whose own optimizer it is, then the one that more options pick, then the one with fewer states.
    return min(fitting, key=lambda t: (_own(t) != t.torch, -len(t.options), len(t.states)))


def _own(twin: _Twin) -> str:
    return twin.rule.parts.dialects["torch"].optimizers[0]


def _arguments(name: str) -> set[str]:
    """The arguments of an optimizer of torch."""
    return set(signature(getattr(torch.optim, name)).parameters)


def from_torch(begin: Callable[[list[dict[str, Any]], Rule], Ours], optimizer: torch.optim.Optimizer) -> Ours:
    """See ``Optimizer.from_torch``. begin: makes our optimizer from groups and a rule."""
    kind = type(optimizer)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"from_torch: must be an optimizer of torch.optim, got {kind.__name__}")
    entries, twins = [], []
    for group in optimizer.param_groups:
        twin = _twin_of_group(kind, group)
        if any(group.get(n) for n in ("capturable", "differentiable")):
            raise ValueError("from_torch: capturable and differentiable steps have no counterpart here")
        like = twin.rule.like("torch")
        theirs = _arguments(twin.torch) | {"decoupled_weight_decay"}
        ours = {"params", "weight_decay", "maximize", *groups.entries(like)}
        kept = {n: v for n, v in group.items() if n in ours or n not in theirs}
        if "param_names" in kept:
            kept["params"] = list(zip(kept.pop("param_names"), kept["params"], strict=True))
        kept["rule"] = groups.changed(like, _numbers(kept))
        kept["decay"] = "decoupled" if _decoupled(kind, group) else "coupled"
        entries.append(kept)
        twins.append(twin)
    opt = begin(entries, entries[0]["rule"])
    kinds = {twin.rule.__name__: twin.rule for twin in twins}
    for group, twin in zip(opt.param_groups, twins, strict=True):
        for p in group["params"]:
            theirs_of_p = optimizer.state.get(p)
            if theirs_of_p:
                opt.state[p] = _to_ours(p, twin, theirs_of_p, groups.planned(kinds, group).rule)
    return opt


def _numbers(group: Mapping[str, Any]) -> dict[str, Any]:
    return {n: groups.plain(v) for n, v in group.items() if n not in ("params", "param_names")}


def _to_ours(p: torch.Tensor, twin: _Twin, kept: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
    """A parameter's states under our names: copies, of our dtype and layout."""
    state: dict[str, Any] = {}
    start(p, rule, state)
    counted = kept.get("step", 1 if kept.get("momentum_buffer") is not None else 0)  # SGD keeps no count
    state["step"].fill_(float(counted))
    for ours, theirs in twin.states.items():
        value = kept.get(theirs)
        if value is not None and value.shape == p.shape:
            state[ours] = RawState(value).placed(p, ours)
        elif value is not None:  # one number for all coordinates
            state[ours].fill_(complex(value.item(), value.item()) if p.is_complex() else value.item())
    return state


def _twin_of_rule(rule: Rule, decoupled: bool) -> _Twin:
    """The optimizer that a rule moves to; ValueError."""
    name = type(rule).__name__
    other = "Adam" if decoupled else "AdamW"  # these two differ in where the decay stands
    every = _twins()
    twins = [t for t in every if t.rule is type(rule) and t.torch != other]
    if not twins:
        raise ValueError(
            f"to_torch: {name} is none of the optimizers of torch.optim that runs move to: {_titles(every)}"
        )
    return twins[0]


def to_torch(
    optimizer: torch.optim.Optimizer, kinds: Mapping[str, type[Rule]], flags: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """See ``Optimizer.to_torch``. kinds: the rules in use, by the names that groups call them."""
    entries, twins = [], []
    for group in optimizer.param_groups:
        plan = groups.planned(kinds, group)
        rule, decoupled = plan.rule, group["decay"] == "decoupled"
        twin = _twin_of_rule(rule, decoupled)
        require(rule, "torch", "to_torch")
        if decoupled and group["weight_decay"] > 0 and twin.torch not in ("Adam", "AdamW", "NAdam"):
            raise ValueError(f"to_torch: torch.optim.{twin.torch} has no decoupled weight decay")
        states = set(type(rule).parts.states)
        kept = {n: v for n, v in group.items() if n not in ("rule", "decay", *states)}
        for n, v in kept.items():
            if isinstance(v, Schedule):
                raise ValueError(f"to_torch: {n} follows {v!r}: torch keeps schedules outside its optimizers")
        known = _arguments(twin.torch)
        kept = {n: v for n, v in kept.items() if n in known or n not in groups.entries(rule)}
        kept |= {n: v for n, v in twin.options.items() if n not in kept}
        if "param_names" in kept:
            kept["params"] = list(zip(kept.pop("param_names"), kept["params"], strict=True))
        if twin.torch == "NAdam":
            kept["decoupled_weight_decay"] = decoupled
        entries.append(kept)
        twins.append(twin)
    methods = {t.torch for t in twins}
    if len(methods) > 1:
        raise ValueError(
            f"to_torch: its groups are {', '.join(sorted(methods))} in torch: one optimizer has one method"
        )
    back: torch.optim.Optimizer = getattr(torch.optim, twins[0].torch)(entries, **flags)
    for group, twin in zip(back.param_groups, twins, strict=True):
        for p in group["params"]:
            ours = optimizer.state.get(p)
            if ours and ours["step"] > 0:
                back.state[p] = _to_theirs(p, twin, ours, group)
    return back


def _to_theirs(
    p: torch.Tensor, twin: _Twin, kept: Mapping[str, Any], group: Mapping[str, Any]
) -> dict[str, Any]:
    """A parameter's states as torch keeps them."""
    state: dict[str, Any] = {}
    if twin.torch != "SGD":
        count = kept["step"]
        if group.get("fused") or group.get("capturable"):  # torch's kernels read float32 on the device
            if count > MOST:
                raise ValueError(
                    f"to_torch: a parameter has taken {int(count)} steps: with fused or capturable, torch counts in"
                    f" float32, which stops at {MOST}; leave these flags out"
                )
            state["step"] = count.to(p.device, torch.float32, copy=True)
        else:
            state["step"] = count.to("cpu", copy=True)
    for ours, theirs in twin.states.items():
        value = kept[ours]
        if theirs == "mu_product":  # the same number for all coordinates
            first = value.flatten()[0] if value.numel() else torch.ones(())
            state[theirs] = first.real.detach().to("cpu", torch.float32, copy=True)
        else:
            state[theirs] = value.detach().to(p.dtype, copy=True)
    return state
