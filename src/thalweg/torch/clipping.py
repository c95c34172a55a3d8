"""Clipping by the norm of all gradients: the norm of tensors wherever they are."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..core.update import Update
from ..engines.cpu.squares import of_blocks
from ..engines.memory import limit, total
from .layout import KINDS, real

Tensor = torch.Tensor
Gradient = tuple[
    Tensor, Update
]  # without gaps in memory where it is on the CPU, and the pass that takes it in


def factor(bound: float, length: float) -> float:
    """Return what gradients of this norm are multiplied by, so that it is ``bound`` at most."""
    return 1.0 if length <= bound else bound / length


def norm(gradients: Sequence[Tensor]) -> float:
    """Return the Euclidean norm of all gradients, computed in float64; infinite or NaN only where an entry is.

    gradients: without gaps in memory where they are on the CPU, where the sum is that of ``rule.on``, to the bit. For
    others the device is waited for, once.
    """
    sums, elsewhere = [], []
    for g in gradients:
        if g.device.type == "cpu":
            sums += of_blocks(KINDS[g.dtype][0], g.data_ptr(), g.numel() * (1 + g.is_complex()))
        else:
            elsewhere.append(real(g).double().square().sum())
    for device in dict.fromkeys(x.device for x in elsewhere):
        sums += torch.stack([x for x in elsewhere if x.device == device]).tolist()
    square = total(sums)
    if 1e-290 < square < math.inf or math.isnan(square):
        return math.sqrt(square)
    sizes = [real(g).abs().double() for g in gradients if g.numel()]
    top = max((float(x.max()) for x in sizes), default=0.0)
    if not 0 < top < math.inf:
        return top
    return top * math.sqrt(math.fsum(float((x / top).square().sum()) for x in sizes))


def largest(kind: str, update: Update) -> float:
    """Return the largest |g| that the states of a pass can take in, for parameters stored so."""
    return limit(np.dtype("float32" if kind == "bfloat16" else kind), update.power)


def fit(gradients: Sequence[Gradient], factor: float) -> bool:
    """Whether gradients, none of which is infinite, are small enough for the states once they are clipped."""
    return all(
        float(real(g).abs().max()) * factor <= largest(KINDS[g.dtype][0], update)
        for g, update in gradients
        if g.numel()
    )


def require_whole(p: Tensor) -> None:
    """RuntimeError for a parameter of which this process has a part: it cannot know the norm of all."""
    if hasattr(p, "to_local"):
        raise RuntimeError(
            f"step: clip_norm: a parameter of shape {tuple(p.shape)} is spread over processes (a DTensor): leave"
            " clip_norm out and call torch.nn.utils.clip_grad_norm_ before the step"
        )
