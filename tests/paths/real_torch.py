"""The real torch.optim on one coordinate in float64, over six kinds of gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

STEPS = 50

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": torch.optim.SGD,
    "ASGD": torch.optim.ASGD,
    "Momentum": torch.optim.SGD,
    "Nesterov": torch.optim.SGD,
    "Adagrad": torch.optim.Adagrad,
    "RMSprop": torch.optim.RMSprop,
    "RMSpropMomentum": torch.optim.RMSprop,
    "RMSpropCentred": torch.optim.RMSprop,
    "RMSpropCentredMomentum": torch.optim.RMSprop,
    "Adadelta": torch.optim.Adadelta,
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "AMSGrad": torch.optim.Adam,
    "NAdam": torch.optim.NAdam,
    "RAdam": torch.optim.RAdam,
    "Rprop": torch.optim.Rprop,
    "Adamax": torch.optim.Adamax,
    "MaxProp": torch.optim.Adamax,
}


def gradients() -> dict[str, list[float]]:
    """Smooth, with zeros (first and long ones), sign flips, 1e-20 and 1e5, and all mixed."""
    smooth = [math.sin(0.3 * t + 0.2) + 0.3 * math.cos(0.11 * t) for t in range(STEPS)]
    zeros = [0.0 if t < 3 or t % 4 == 0 or 20 <= t < 32 else g for t, g in enumerate(smooth)]
    flips = [(-1.0) ** t * (0.5 + 0.01 * t) for t in range(STEPS)]
    tiny = [1e-20 * g for g in smooth]
    huge = [1e5 * g for g in smooth]
    sizes = (1.0, 1e-20, 0.0, 1e5, -1.0, 1e-3, -1e5)
    mixed = [sizes[t % len(sizes)] * (1.0 + 0.1 * g) for t, g in enumerate(smooth)]
    return {
        "smooth": smooth, "zeros": zeros, "flips": flips,
        "tiny": tiny, "huge": huge, "mixed": mixed,
    }  # fmt: skip


def run_torch(rule: str, w: float, stream: list[float], arguments: dict[str, Any]) -> list[float]:
    """The path of torch's own optimizer, one coordinate, no foreach."""
    if rule == "MaxProp":
        arguments = dict(arguments)
        arguments["betas"] = (0.0, arguments.pop("beta", 0.999))
    parameter = torch.tensor([w], dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMIZERS[rule]([parameter], foreach=False, **arguments)
    path = []
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # that of NAdam's product of momenta
    try:
        for g in stream:
            parameter.grad = torch.tensor([g], dtype=torch.float64)
            optimizer.step()
            path.append(parameter.item())
    finally:
        torch.set_default_dtype(before)
    return path


def distance(ours: list[float], theirs: list[float]) -> float:
    """The largest relative distance; near a zero crossing relative to what the path has seen."""
    worst, seen = 0.0, 0.0
    for a, b in zip(ours, theirs, strict=True):
        if not (math.isfinite(a) and math.isfinite(b)):
            return math.inf
        seen = max(seen, abs(b))
        worst = max(worst, abs(a - b) / seen if seen else abs(a))
    return worst
