"""From ``torch.optim`` and back: the same rule, hyperparameters, states and step counts.

The rules' own torch rows say which optimizer they are and what its states are called. Only the rounding
differs: torch fuses multiplications with additions and, off its fused path, takes a root that is not
correctly rounded.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

from ..convert import require
from ..core.rule import Rule
from ..core.schedule import Schedule
from ..core.started import Started
from ..errors import HyperparameterError, nearest
from . import family, groups
from .family import Twin
from .options import Options
from .scheduled import ScheduledRate
from .states import RawState, start

SPARSE = "SparseAdam"  # Adam whose rows rest without a gradient, and whose eps is added as Keras adds it
SPARSE_FORM = "keras"
MOST = 1 << 24  # steps that float32 can count
ONE = ("mu_product", "eta")  # states that are the same number for all coordinates, which torch keeps once
DERIVED: dict[str, dict[str, Callable[[float, Mapping[str, Any]], float]]] = {
    "ASGD": {"mu": lambda count, group: 1 / max(1.0, count - group["t0"])}
}
"""What torch keeps beside a rule's states, from the steps done and the group."""
DIFFERENTIABLE = (
    "steps change weights in place, outside autograd; torch's own optimizers can be differentiated through"
)
Ours = TypeVar("Ours", bound=torch.optim.Optimizer)


def _decoupled(name: str, group: Mapping[str, Any]) -> bool:
    return bool(group.get("decoupled_weight_decay", name == "AdamW"))


def _twin_of_group(where: str, name: str, group: Mapping[str, Any]) -> Twin:
    """The rule of a group of an optimizer; ValueError."""
    twin = family.chosen(name, group)
    if twin is None:
        picks = dict.fromkeys(n for t in family.twins() if t.torch == name for n in t.options)
        raise ValueError(f"{where}: no rule for {name} with {', '.join(f'{n}={group[n]}' for n in picks)}")
    return twin


def ported(where: str, name: str, group: Mapping[str, Any]) -> tuple[Twin, Rule, str]:
    """Return the rule that a group of an optimizer of torch follows, its twin, and its kind of weight decay; ValueError."""
    twin = _twin_of_group(where, name, group)
    if group.get("differentiable"):
        raise ValueError(f"{where}: differentiable=True: {DIFFERENTIABLE}")
    like = twin.rule.like("torch")
    spoken = groups.entries(like)
    values = {n: groups.plain(v) for n, v in group.items() if n in spoken}
    return twin, groups.changed(like, values), "decoupled" if _decoupled(name, group) else "coupled"


OWN = ("on_nonfinite", "exact", *Options._fields)  # keywords of our optimizer that torch's have not


def like(begin: Callable[..., Ours], name: str, params: Any, keywords: Mapping[str, Any]) -> Ours:
    """See ``Optimizer.like``. begin: makes our optimizer. torch's own constructor checks its keywords."""
    names = {t.torch for t in family.twins()}
    if name not in names and name != SPARSE:
        raise HyperparameterError(
            f"thalweg.torch.Optimizer.like: unknown optimizer {name!r}: {nearest(name, sorted({*names, SPARSE}))}"
        )
    theirs = getattr(torch.optim, name)
    group = theirs([torch.zeros(1)], **{n: v for n, v in keywords.items() if n not in OWN}).param_groups[0]
    options = {n: keywords[n] for n in OWN if n in keywords}
    if name == SPARSE:
        options.setdefault("exact", "lazy")
        return begin(params, _sparse_rule(group), maximize=group["maximize"], **options)
    _, rule, decay = ported(f"thalweg.torch.Optimizer.like({name!r})", name, group)
    values = {"lr": group["lr"]} if isinstance(group["lr"], torch.Tensor) else {}
    return begin(
        params,
        rule,
        weight_decay=groups.plain(group.get("weight_decay", 0.0)),
        decay=decay,
        maximize=group["maximize"],
        capturable=bool(group.get("capturable")),
        **options,
        **values,
    )


def _sparse_rule(group: Mapping[str, Any]) -> Rule:
    """The rule of a group of SparseAdam."""
    beta1, beta2 = map(groups.plain, group["betas"])
    lr, eps = groups.plain(group["lr"]), groups.plain(group["eps"])
    return _sparse_twin().rule.like(SPARSE_FORM, learning_rate=lr, beta_1=beta1, beta_2=beta2, epsilon=eps)


def _sparse_twin() -> Twin:
    """Adam, whose states SparseAdam has under the same names."""
    twin = family.chosen("Adam", {"amsgrad": False})
    assert twin is not None
    return twin


def _from_sparse(begin: Callable[..., Ours], optimizer: torch.optim.Optimizer) -> Ours:
    """Go on where a SparseAdam stands: rows rest without a gradient."""
    twin = _sparse_twin()
    entries = []
    for group in optimizer.param_groups:
        kept = {n: v for n, v in group.items() if n not in ("betas", "eps")}
        if "param_names" in kept:
            kept["params"] = list(zip(kept.pop("param_names"), kept["params"], strict=True))
        entries.append({**kept, "rule": _sparse_rule(group)})
    opt = begin(entries, entries[0]["rule"], exact="lazy")
    kinds = {twin.rule.__name__: twin.rule}
    for group in opt.param_groups:
        for p in group["params"]:
            if optimizer.state.get(p):
                opt.state[p] = _to_ours(p, twin, optimizer.state[p], groups.planned(kinds, group))
    return opt


def _to_sparse(optimizer: torch.optim.Optimizer, rules: list[Rule]) -> torch.optim.Optimizer:
    """The SparseAdam that goes on from groups with these rules; ValueError for weight decay, which it has not."""
    entries = []
    for group, rule in zip(optimizer.param_groups, rules, strict=True):
        if group["weight_decay"] > 0:
            raise ValueError(f"to_torch: torch.optim.{SPARSE} has no weight decay")
        _require_numbers(group)
        own = {*groups.entries(rule), "rule", "decay", "weight_decay"} - {"lr", "betas", "eps"}
        kept = {n: v for n, v in group.items() if n not in own}
        if "param_names" in kept:
            kept["params"] = list(zip(kept.pop("param_names"), kept["params"], strict=True))
        entries.append(kept)
    back = torch.optim.SparseAdam(entries)
    for group in back.param_groups:
        for p in group["params"]:
            ours = optimizer.state.get(p)
            if ours and ours["step"] > 0:
                back.state[p] = _to_theirs(p, _sparse_twin(), ours, group) | {"step": int(ours["step"])}
    return back


def _require_numbers(group: Mapping[str, Any]) -> None:
    """ValueError for an entry that follows a schedule."""
    for n, v in group.items():
        v = v.schedule if isinstance(v, ScheduledRate) else v
        if isinstance(v, Schedule):
            raise ValueError(f"to_torch: {n} follows {v!r}: torch keeps schedules outside its optimizers")


def _is_sparse_form(rule: Rule) -> bool:
    """Whether a rule is SparseAdam's."""
    if type(rule) is not _sparse_twin().rule:
        return False
    try:
        require(rule, SPARSE_FORM, "to_torch")
    except ValueError:
        return False
    return True


def from_torch(begin: Callable[..., Ours], optimizer: torch.optim.Optimizer) -> Ours:
    """See ``Optimizer.from_torch``. begin: makes our optimizer from groups and a rule."""
    kind = type(optimizer)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"from_torch: must be an optimizer of torch.optim, got {kind.__name__}")
    if kind is torch.optim.SparseAdam:
        return _from_sparse(begin, optimizer)
    every = family.twins()
    name = kind.__name__
    if not any(t.torch == name and getattr(torch.optim, name, None) is kind for t in every):
        raise TypeError(
            f"from_torch: must be one of torch.optim's {family.titles(every)}; got {kind.__module__}.{name}"
        )
    entries, twins = [], []
    for group in optimizer.param_groups:
        twin, rule, decay = ported("from_torch", name, group)
        if group.get("capturable"):
            raise ValueError("from_torch: capturable steps have no counterpart here")
        theirs = {*family.arguments(twin.torch), "decoupled_weight_decay"}
        ours = {"params", "weight_decay", "maximize", *groups.entries(rule)}
        kept = {n: v for n, v in group.items() if n in ours or n not in theirs}
        if "param_names" in kept:
            kept["params"] = list(zip(kept.pop("param_names"), kept["params"], strict=True))
        kept |= {"rule": rule, "decay": decay}
        entries.append(kept)
        twins.append(twin)
    opt = begin(entries, entries[0]["rule"])
    kinds = {twin.rule.__name__: twin.rule for twin in twins}
    for group, twin in zip(opt.param_groups, twins, strict=True):
        for p in group["params"]:
            theirs_of_p = optimizer.state.get(p)
            if theirs_of_p:
                opt.state[p] = _to_ours(p, twin, theirs_of_p, groups.planned(kinds, group))
    return opt


def _to_ours(p: torch.Tensor, twin: Twin, kept: Mapping[str, Any], plan: Started) -> dict[str, Any]:
    """A parameter's states under our names: copies, of our dtype and layout."""
    state: dict[str, Any] = {}
    start(p, plan, state)
    counted = kept.get("step", 1 if kept.get("momentum_buffer") is not None else 0)  # SGD keeps no count
    state["step"].fill_(float(counted))
    for ours, theirs in twin.states.items():
        value = kept.get(theirs)
        if value is not None and value.shape == p.shape:
            state[ours] = RawState(value).placed(p, ours)
        elif value is not None:  # one number for all coordinates
            state[ours].fill_(complex(value.item(), value.item()) if p.is_complex() else value.item())
    return state


def _twin_of_rule(rule: Rule, decoupled: bool) -> Twin:
    """The optimizer that a rule moves to; ValueError."""
    name = type(rule).__name__
    other = "Adam" if decoupled else "AdamW"  # these two differ in where the decay stands
    every = family.twins()
    twins = [t for t in every if t.rule is type(rule) and t.torch != other]
    if not twins:
        raise ValueError(
            f"to_torch: {name} is none of the optimizers of torch.optim that runs move to: {family.titles(every)}"
        )
    return twins[0]


def to_torch(
    optimizer: torch.optim.Optimizer,
    kinds: Mapping[str, type[Rule]],
    flags: Mapping[str, Any],
    lazy: bool,
) -> torch.optim.Optimizer:
    """See ``Optimizer.to_torch``. kinds: the rules in use, by the names that groups call them. lazy: rows rest."""
    rules = [groups.planned(kinds, group).rule for group in optimizer.param_groups]
    if lazy and not flags and all(map(_is_sparse_form, rules)):
        return _to_sparse(optimizer, rules)
    entries, twins = [], []
    for group in optimizer.param_groups:
        plan = groups.planned(kinds, group)
        rule, decoupled = plan.rule, group["decay"] == "decoupled"
        twin = _twin_of_rule(rule, decoupled)
        require(rule, "torch", "to_torch")
        known = family.arguments(twin.torch)
        shrinks = twin.torch == "AdamW" or "decoupled_weight_decay" in known
        if decoupled and group["weight_decay"] > 0 and not shrinks:
            raise ValueError(f"to_torch: torch.optim.{twin.torch} has no decoupled weight decay")
        if group["decay"] == "proximal" and max(group["weight_decay"], group.get("l1_decay", 0.0)) > 0:
            raise ValueError(f"to_torch: torch.optim.{twin.torch} has no proximal weight decay")
        if group["weight_decay"] > 0 and "weight_decay" not in known:
            raise ValueError(f"to_torch: torch.optim.{twin.torch} has no weight decay")
        states = set(type(rule).parts.states)
        kept = {n: v for n, v in group.items() if n not in ("rule", "decay", "l1_decay", *states)}
        _require_numbers(kept)
        kept = {n: v for n, v in kept.items() if n in known or n not in groups.entries(rule)}
        kept |= {n: v for n, v in twin.options.items() if n not in kept}
        if "param_names" in kept:
            kept["params"] = list(zip(kept.pop("param_names"), kept["params"], strict=True))
        if "decoupled_weight_decay" in known:
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
    p: torch.Tensor, twin: Twin, kept: Mapping[str, Any], group: Mapping[str, Any]
) -> dict[str, Any]:
    """A parameter's states as torch keeps them."""
    state: dict[str, Any] = {}
    where = p.device if group.get("capturable") else torch.device("cpu")
    number = torch.float64 if torch.get_default_dtype() is torch.float64 else torch.float32
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
        if theirs in ONE:
            first = value.flatten()[0] if value.numel() else torch.ones(())
            state[theirs] = first.real.detach().to(where, number, copy=True)
        else:
            state[theirs] = value.detach().to(p.dtype, copy=True)
    for theirs, derive in DERIVED.get(twin.torch, {}).items():
        state[theirs] = torch.tensor(derive(float(kept["step"]), group), dtype=number, device=where)
    return state
