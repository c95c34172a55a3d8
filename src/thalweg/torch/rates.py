"""The effective learning rates of any optimizer that a rule is, told from the states that its last step has left."""

from collections.abc import Mapping
from typing import Any

import torch

from ..core.formula import Formula
from ..core.started import Started
from ..core.update import rate_afterwards
from ..errors import StateError
from .formulas import count, formula
from .layout import KINDS, local, real
from .parts import on_tensors

Tensor = torch.Tensor
WATCH = "thalweg.watch(optimizer) tells it step by step"


def rates(optimizer: torch.optim.Optimizer) -> dict[Tensor, Tensor]:
    """Return the effective learning rates that the last step of each parameter used, shaped as it is.

    The factor on the gradient, with momentum that on its average, in the dtype that states have in thalweg. Under the
    values that the groups have now: ask before a scheduler changes them. Parameters without a step are left out; of
    those that are spread over processes it is this one's part. Nothing of the optimizer is changed.

    Raises TypeError for what is no optimizer, StateError where no rule is this optimizer, where the rule has no rate,
    or one that its states do not tell (Adadelta's), and before the first step.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"rates: must be a torch.optim.Optimizer, got {type(optimizer).__name__}")
    result: dict[Tensor, Tensor] = {}
    states: Mapping[Tensor, Mapping[str, Any]] = optimizer.state
    for group in optimizer.param_groups:
        known = formula(optimizer, group)
        if isinstance(known, str):
            raise StateError(f"rates: {known.removesuffix(': realised steps only, no rates')}")
        rate = _of(known.started)
        for p in group["params"]:
            state = states.get(p, {})
            kept = [state.get(known.states.get(n, n)) for n in rate.inputs]
            if any(x is None for x in kept) or (not state and rate.inputs):
                continue
            result[p] = _rate(p, rate, kept, known.started.scalars(max(1, count(state))))
    if not result:
        raise StateError("rates: no step has been taken yet")
    return result


def _of(started: Started) -> Formula:
    """Return the rate of a started rule as a formula of its states; StateError."""
    name = type(started.rule).__name__
    if started.rule.parts.rate is None:
        raise StateError(f"rates: {name} defines no rate")
    rate = rate_afterwards(started.update)
    if rate is None:
        raise StateError(f"rates: what {name}'s step leaves does not tell the rate that it used: {WATCH}")
    return rate


@torch.no_grad()
def _rate(p: Tensor, rate: Formula, kept: list[Any], scalars: tuple[float, ...]) -> Tensor:
    """Return the rate of one parameter from its states, which may be one number for all coordinates."""
    w = local(p)
    dtype = KINDS[w.dtype][1]
    width = dtype.to_real()
    states = [
        real(local(x)).to(width) if isinstance(x, Tensor) and x.shape == p.shape else float(x) for x in kept
    ]
    (value,) = on_tensors(rate, width, w.device)(*states, *scalars)
    target = torch.empty_like(w, dtype=dtype, requires_grad=False)
    real(target).copy_(torch.as_tensor(value, dtype=width, device=w.device))
    return target
