"""A parameter's states: how they begin, whether they fit, and how they come out of a checkpoint."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..core.line import short
from ..core.pieces import own
from ..core.schedule import from_plain
from ..core.started import Started
from . import groups
from .layout import KINDS

Tensor = torch.Tensor
HOST = torch.device("cpu")
AVERAGE, RATE = own("average"), own("rate")  # states that are not the rule's


def start(p: Tensor, plan: Started, state: dict[str, Any], counted: torch.device = HOST) -> None:
    """The states of a parameter before its first step, laid out as it is; ``step`` lies on ``counted``."""
    state["step"] = torch.zeros((), dtype=torch.float64, device=counted)
    for n in plan.update.kept:
        begin(p, plan, n, state)


def begun(p: Tensor, plan: Started, state: dict[str, Any], counted: torch.device = HOST) -> None:
    """Give a parameter what its next step needs: all states before the first, rates in any case (none is saved)."""
    if not state:
        start(p, plan, state, counted)
    elif plan.options.rates and RATE not in state:
        begin(p, plan, RATE, state)


def begin(p: Tensor, plan: Started, name: str, state: dict[str, Any]) -> None:
    """Give a parameter a state as it is before the first step: a number, or the weights of now."""
    value = plan.begin(name)
    wide = KINDS[p.dtype][1]
    if isinstance(value, str):  # w: nothing else is begun from
        state[name] = torch.empty_like(p, dtype=wide, requires_grad=False).copy_(p.detach())
    else:
        number = complex(value, value) if p.is_complex() else value
        state[name] = torch.full_like(p, number, dtype=wide, requires_grad=False)


def require_fitting(
    p: Tensor, g: Any, state: Mapping[str, Any], states: Sequence[str], counted: torch.device | None = None
) -> None:
    """RuntimeError where a gradient or a state is not its parameter's: an engine would read what lies behind it.

    counted: the device whose kernels read ``step``; None: the host does.
    """
    where = f"a parameter of shape {tuple(p.shape)}"
    unlike = _unlike(p, g)
    if unlike:
        raise RuntimeError(f"step: the gradient of {where} {unlike}: compute it anew (zero_grad, backward)")
    count = state.get("step")
    if not isinstance(count, Tensor) or count.numel() != 1:
        raise RuntimeError(f"step: state 'step' of {where} must be a 0-d tensor, got {short(count)}")
    if counted is not None and (count.device != counted or count.dtype is not torch.float64):
        raise RuntimeError(
            f"step: state 'step' of {where} must be float64 on {counted}, got {count.dtype} on {count.device}"
        )
    for n in states:
        held = state.get(n)
        unlike = _unlike(p, held) if isinstance(held, Tensor) else f"is {short(held)}"
        if not unlike and isinstance(held, Tensor) and held.layout is not torch.strided:
            unlike = f"has layout {held.layout}"
        if unlike:
            raise RuntimeError(
                f"step: state {n!r} of {where} {unlike}: it must be a tensor of its shape, on its device;"
                " opt.state.pop(p) starts the parameter's states anew"
            )


def _unlike(p: Tensor, x: Tensor) -> str:
    """In what a gradient or a state cannot be a parameter's, in words; empty where it can."""
    if x.shape != p.shape:
        return f"has shape {tuple(x.shape)}"
    if x.device != p.device:
        return f"is on {x.device}, the parameter on {p.device}"
    if x.is_complex() != p.is_complex():
        return (
            f"is {str(x.dtype).removeprefix('torch.')}, the parameter {str(p.dtype).removeprefix('torch.')}"
        )
    return ""


class RawState:
    """A tensor of a checkpoint on its way past torch, which would cast it to the parameter's dtype."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    def placed(self, p: Tensor, name: str, counted: torch.device = HOST) -> Tensor:
        """A copy for a parameter: ``step`` on ``counted``, a state laid out, typed and placed as its own."""
        if name == "step":
            return self.value.detach().reshape(()).to(device=counted, dtype=torch.float64, copy=True)
        if self.value.shape != p.shape:
            raise ValueError(
                f"load_state_dict: state {name!r} has shape {tuple(self.value.shape)}, its parameter {tuple(p.shape)}"
            )
        fresh = torch.empty_like(p, dtype=KINDS[p.dtype][1], requires_grad=False)
        return fresh.copy_(self.value.detach())


LATER = {"maximize": False}  # entries that torch gave its groups later, with what stood before


def opened(optimizer: Any, saved: dict[str, Any]) -> dict[str, Any]:
    """A state with its schedules rebuilt and the rules' tensors held; ValueError where it is another rule's.

    What others have put beside the rule's states, or into ``state`` under names of their own, goes through as torch
    takes it. Flags that older groups have not are filled in; a count may be a number.
    """
    opened_groups = []
    states: dict[Any, Any] = dict(saved["state"])
    for k, (group, mine) in enumerate(zip(saved["param_groups"], optimizer.param_groups, strict=False)):
        if group.get("rule") != mine["rule"]:
            kind = f"rule {group['rule']}" if "rule" in group else "an optimizer of torch (see from_torch)"
            raise ValueError(
                f"load_state_dict: group {k} was saved by {kind}, here it has rule {mine['rule']}"
            )
        absent = [n for n in mine if n not in group and n in optimizer.defaults and n not in LATER]
        if absent:
            raise ValueError(
                f"load_state_dict: group {k} lacks {', '.join(absent)}: start with the rule that was saved"
            )
        whole = {**LATER, **group}
        opened_groups.append(
            {n: from_plain(v) if isinstance(v, dict) and "schedule" in v else v for n, v in whole.items()}
        )
        plan = groups.planned(
            optimizer._kinds, opened_groups[-1], optimizer._options
        )  # refuses what is out of range
        for i in group["params"]:
            if states.get(i):
                states[i] = _held(i, states[i], plan)
    opened_groups += saved["param_groups"][len(opened_groups) :]  # torch says that their number differs
    return {**saved, "param_groups": opened_groups, "state": states}


def _held(k: object, saved: object, plan: Started) -> dict[str, Any]:
    """A parameter's saved states with those of its rule held past torch; ValueError where they are not all there."""
    given = dict(saved) if isinstance(saved, Mapping) else {}
    count = given.get("step")
    if isinstance(count, int | float) and not isinstance(count, bool):
        given["step"] = torch.tensor(float(count), dtype=torch.float64)
    averages = plan.options.average or plan.options.polyak
    if averages != (AVERAGE in given):
        raise ValueError(
            f"load_state_dict: parameter {k} was saved {'without' if averages else 'with'} an average of its weights:"
            f" begin {'without' if averages else 'with'} average="
        )
    kept = (*type(plan.rule).parts.states, *([AVERAGE] if averages else ()))
    for n in ("step", *kept):
        value = given.get(n)
        if not isinstance(value, Tensor):
            raise ValueError(
                f"load_state_dict: state {n!r} of parameter {k} must be a tensor, got {short(value)}"
            )
        given[n] = RawState(value)
    given.pop(RATE, None)  # of a step of another run
    steps = given["step"].value
    if steps.numel() != 1 or not 0 <= float(steps) < math.inf:
        raise ValueError(
            f"load_state_dict: state 'step' of parameter {k} must be a number of steps, got {short(steps)}"
        )
    return given
