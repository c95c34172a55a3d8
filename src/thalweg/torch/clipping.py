"""Clipping by the norm of all gradients: the norm of tensors wherever they are."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..core.update import Update
from ..engines.cpu.squares import of_blocks
from ..engines.memory import limit, total
from ..optimizer.gradients import Factor, clipping
from .layout import KINDS, real

Tensor = torch.Tensor
Gradient = tuple[
    Tensor, Update
]  # without gaps in memory where it is on the CPU, and the pass that takes it in


def clip(bound: float, gradients: Sequence[Gradient]) -> Factor:
    """Return what brings the norm of all gradients to ``bound`` at most, as ``rule.on`` has it."""
    wide = (KINDS[g.dtype][1].to_real() for g, _ in gradients)
    smallest = max((torch.finfo(x).tiny for x in wide), default=0.0)
    return clipping(*norm([g for g, _ in gradients]), bound, smallest)


def norm(gradients: Sequence[Tensor]) -> tuple[float, int]:
    """Return the Euclidean norm of all gradients as m and e of m * 2**e; infinite or NaN only where an entry is.

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
        return math.sqrt(square), 0
    sizes = [real(g).abs().double() for g in gradients if g.numel()]
    top = max((float(x.max()) for x in sizes), default=0.0)
    if not 0 < top < math.inf:
        return top, 0
    _, e = math.frexp(top)
    return math.sqrt(math.fsum(float(over(x, e).square().sum()) for x in sizes)), e


def over(x: Tensor, shift: int) -> Tensor:
    """Return a tensor over 2**shift, laid out as it is: in two steps, since that power may be out of range itself."""
    half = shift // 2
    return x * 2.0**-half * 2.0 ** (half - shift)


def largest(kind: str, update: Update) -> float:
    """Return the largest |g| that the states of a pass can take in, for parameters stored so."""
    return limit(np.dtype("float32" if kind == "bfloat16" else kind), update.power)


def fit(gradients: Sequence[Gradient], clip: Factor) -> bool:
    """Whether gradients are finite, and small enough for the states once they are clipped."""
    factor = math.ldexp(clip.factor, -clip.shift)
    return factor > 0 and all(
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
