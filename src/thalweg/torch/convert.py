"""From ``torch.optim`` and back: the same rule, hyperparameters, states and step counts.

One table says which rule an optimizer of torch is and what its states are called. Only the rounding
differs: torch fuses multiplications with additions and, off its fused path, takes a root that is not
correctly rounded.
"""

from collections.abc import Mapping
from inspect import signature
from typing import Any, NamedTuple

import torch

from ..convert import require
from ..core.rule import Rule, find
from ..core.schedule import Schedule
from . import groups
from .optimizer import Optimizer, RawState, start


class Row(NamedTuple):
    """A rule's twin: the optimizer of torch, options that pick it, and its states' names there."""

    rule: str
    torch: str
    states: Mapping[str, str]
    options: Mapping[str, Any] = {}


_ADAM = {"m": "exp_avg", "v": "exp_avg_sq"}
_AMS = {**_ADAM, "u": "max_exp_avg_sq"}
_AVERAGE = {"v": "square_avg"}
_CENTRED = {**_AVERAGE, "a": "grad_avg"}
_SUM = {"m": "momentum_buffer"}

# Where several rows fit an optimizer, the first whose options are its group's.
ROWS = (
    Row("SGD", "SGD", {}, {"momentum": 0}),
    Row("Nesterov", "SGD", _SUM, {"nesterov": True}),
    Row("Momentum", "SGD", _SUM, {"nesterov": False}),
    Row("Adagrad", "Adagrad", {"s": "sum"}),
    Row("RMSprop", "RMSprop", _AVERAGE, {"centered": False, "momentum": 0}),
    Row("RMSpropCentred", "RMSprop", _CENTRED, {"centered": True, "momentum": 0}),
    Row("RMSpropMomentum", "RMSprop", {**_AVERAGE, "b": "momentum_buffer"}, {"centered": False}),
    Row("RMSpropCentredMomentum", "RMSprop", {**_CENTRED, "b": "momentum_buffer"}, {"centered": True}),
    Row("Adadelta", "Adadelta", {"v": "square_avg", "u": "acc_delta"}),
    Row("AMSGrad", "Adam", _AMS, {"amsgrad": True}),
    Row("AMSGrad", "AdamW", _AMS, {"amsgrad": True}),
    Row("AdamW", "AdamW", _ADAM, {"amsgrad": False}),
    Row("Adam", "Adam", _ADAM, {"amsgrad": False}),
    Row("Adam", "AdamW", _ADAM, {"amsgrad": False}),
    Row("AdamW", "Adam", _ADAM, {"amsgrad": False}),  # with coupled decay
    Row("Adamax", "Adamax", {"m": "exp_avg", "u": "exp_inf"}),
    Row("NAdam", "NAdam", {**_ADAM, "p": "mu_product"}),
)


def _rule(name: str) -> type[Rule] | None:
    try:
        return find(name)
    except ValueError:
        return None


def _decoupled(kind: type[torch.optim.Optimizer], group: Mapping[str, Any]) -> bool:
    return bool(group.get("decoupled_weight_decay", kind.__name__ == "AdamW"))


def _row_from(kind: type[torch.optim.Optimizer], group: Mapping[str, Any]) -> Row:
    rows = [r for r in ROWS if getattr(torch.optim, r.torch) is kind]
    if not rows:
        known = ", ".join(dict.fromkeys(r.torch for r in ROWS))
        raise TypeError(
            f"from_torch: must be one of torch.optim's {known}; got {kind.__module__}.{kind.__name__}"
        )
    for row in rows:
        if all(group[n] == v for n, v in row.options.items()) and _rule(row.rule) is not None:
            return row
    told = ", ".join(f"{n}={group[n]}" for n in dict.fromkeys(n for r in rows for n in r.options))
    raise ValueError(f"from_torch: no rule for {kind.__name__} with {told}")


def _arguments(name: str) -> set[str]:
    """The arguments of an optimizer of torch."""
    return set(signature(getattr(torch.optim, name)).parameters)


def from_torch(cls: type[Optimizer], optimizer: torch.optim.Optimizer) -> Optimizer:
    """See ``Optimizer.from_torch``."""
    kind = type(optimizer)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"from_torch: must be an optimizer of torch.optim, got {kind.__name__}")
    made, rows = [], []
    for group in optimizer.param_groups:
        row = _row_from(kind, group)
        rule = _rule(row.rule)
        assert rule is not None
        if any(group.get(n) for n in ("capturable", "differentiable")):
            raise ValueError("from_torch: capturable and differentiable steps have no counterpart here")
        like = rule.like("torch")
        theirs = _arguments(row.torch) | {"decoupled_weight_decay"}
        ours = {"params", "weight_decay", "maximize", *groups.entries(like)}
        kept = {n: v for n, v in group.items() if n in ours or n not in theirs}
        if "param_names" in kept:
            kept["params"] = list(zip(kept.pop("param_names"), kept["params"], strict=True))
        kept["rule"] = groups.changed(like, _numbers(kept))
        kept["decay"] = "decoupled" if _decoupled(kind, group) else "coupled"
        made.append(kept)
        rows.append(row)
    opt = cls(made, made[0]["rule"])
    for group, row in zip(opt.param_groups, rows, strict=True):
        for p in group["params"]:
            held = optimizer.state.get(p)
            if held:
                opt.state[p] = _taken(p, row, held, groups.planned(opt._kinds, group).rule)
    return opt


def _numbers(group: Mapping[str, Any]) -> dict[str, Any]:
    return {n: groups.plain(v) for n, v in group.items() if n not in ("params", "param_names")}


def _taken(p: torch.Tensor, row: Row, held: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
    """A parameter's states under our names: copies, of our dtype and layout."""
    state: dict[str, Any] = {}
    start(p, rule, state)
    counted = held.get("step", 1 if held.get("momentum_buffer") is not None else 0)  # SGD keeps no count
    state["step"].fill_(float(counted))
    for ours, theirs in row.states.items():
        value = held.get(theirs)
        if value is not None and value.shape == p.shape:
            state[ours] = RawState(value).placed(p, ours)
        elif value is not None:  # one number for all coordinates
            state[ours].fill_(complex(value.item(), value.item()) if p.is_complex() else value.item())
    return state


def _row_to(rule: Rule, decoupled: bool) -> Row:
    name = type(rule).__name__
    other = "Adam" if decoupled else "AdamW"  # these two differ in where the decay stands
    rows = [r for r in ROWS if r.rule == name and r.torch != other]
    if not rows:
        known = ", ".join(dict.fromkeys(r.torch for r in ROWS))
        raise ValueError(
            f"to_torch: {name} is none of the optimizers of torch.optim that runs move to: {known}"
        )
    return rows[0]


def to_torch(optimizer: Optimizer, flags: Mapping[str, Any]) -> torch.optim.Optimizer:
    """See ``Optimizer.to_torch``."""
    made, rows = [], []
    for group in optimizer.param_groups:
        plan = groups.planned(optimizer._kinds, group)
        rule, decoupled = plan.rule, group["decay"] == "decoupled"
        row = _row_to(rule, decoupled)
        require(rule, "torch", "to_torch")
        if decoupled and group["weight_decay"] > 0 and row.torch not in ("Adam", "AdamW", "NAdam"):
            raise ValueError(f"to_torch: torch.optim.{row.torch} has no decoupled weight decay")
        states = set(type(rule).parts.states)
        kept = {n: v for n, v in group.items() if n not in ("rule", "decay", *states)}
        for n, v in kept.items():
            if isinstance(v, Schedule):
                raise ValueError(f"to_torch: {n} follows {v!r}: torch keeps schedules outside its optimizers")
        known = _arguments(row.torch)
        kept = {n: v for n, v in kept.items() if n in known or n not in groups.entries(rule)}
        kept |= {n: v for n, v in row.options.items() if n not in kept}
        if "param_names" in kept:
            kept["params"] = list(zip(kept.pop("param_names"), kept["params"], strict=True))
        if row.torch == "NAdam":
            kept["decoupled_weight_decay"] = decoupled
        made.append(kept)
        rows.append(row)
    kinds = {r.torch for r in rows}
    if len(kinds) > 1:
        raise ValueError(
            f"to_torch: its groups are {', '.join(sorted(kinds))} in torch: one optimizer has one method"
        )
    back: torch.optim.Optimizer = getattr(torch.optim, rows[0].torch)(made, **flags)
    for group, row in zip(back.param_groups, rows, strict=True):
        for p in group["params"]:
            held = optimizer.state.get(p)
            if held and held["step"] > 0:
                back.state[p] = _given(p, row, held, group)
    return back


def _given(p: torch.Tensor, row: Row, held: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's states as torch keeps them."""
    state: dict[str, Any] = {}
    if row.torch != "SGD":
        moved = group.get("fused") or group.get("capturable")
        state["step"] = held["step"].to(p.device if moved else "cpu", copy=True)
    for ours, theirs in row.states.items():
        value = held[ours]
        if theirs == "mu_product":  # the same number for all coordinates
            first = value.flatten()[0] if value.numel() else torch.ones(())
            state[theirs] = first.real.detach().to("cpu", torch.float32, copy=True)
        else:
            state[theirs] = value.detach().to(p.dtype, copy=True)
    return state
