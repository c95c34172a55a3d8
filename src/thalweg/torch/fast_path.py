"""A group whose tensors lie where they lay at the last step: nothing is laid out or looked up again.

Of 25 M weights in 161 tensors, what a step asks of every tensor costs a tenth of the step. Here only what
may have changed is asked: whether a tensor, its states and the form of its gradient are those of the last
step, and where a gradient that is a new object lies.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..core.started import Started
from ..core.update import Update
from ..engines.cpu import dense as cpu
from ..engines.cpu.launch import Share

Tensor = torch.Tensor
_PLAIN = (torch.nn.Parameter, torch.Tensor)  # subclasses lie elsewhere: DTensor


class UnchangedGroup:
    """Plain CPU tensors of one dtype, all of a group, each with a gradient, all without gaps.

    ``wants`` says whether a group is of that kind. The counts of steps become views of one tensor, so
    that one addition counts them all.
    """

    def __init__(
        self,
        update: Update,
        kind: str,
        params: Sequence[Tensor],
        states: Sequence[str],
        held: Mapping[Tensor, dict[str, Any]],
        table: Sequence[Sequence[int]],
    ) -> None:
        self.update, self._kind, self.params, self._names = update, kind, list(params), tuple(states)
        self._table = np.array(table, dtype=np.int64)
        self._sizes = self._table[:, 0].tolist()
        self._column = 1 + update.arrays.index("g")
        self._starts = [p.data_ptr() for p in params]
        self._strides = [p.stride() for p in params]
        self._dtype = params[0].dtype
        self._last: list[Any] = [p.grad for p in params]
        self._held = [held[p] for p in params]
        self._states = [[h[n] for n in states] for h in self._held]
        self._lie = [[x.data_ptr() for x in held] for held in self._states]
        self._counts = torch.stack([h["step"] for h in self._held])
        for h, count in zip(self._held, self._counts, strict=True):
            h["step"] = count
        self._steps = [h["step"] for h in self._held]

    def again(self, params: Sequence[Tensor], held: Mapping[Tensor, dict[str, Any]]) -> bool:
        """Whether all is as it was; new gradients are taken in."""
        mine = self.params
        if len(params) != len(mine):
            return False
        last, names, dtype = self._last, self._names, self._dtype
        places = []
        known = zip(
            self._starts, self._sizes, self._strides, self._states, self._lie, self._steps, strict=True
        )
        for k, (p, q, state, was) in enumerate(zip(params, mine, self._held, known, strict=True)):
            start, size, layout, states, lie, step = was
            if p is not q or p.data_ptr() != start or held.get(p) is not state or state["step"] is not step:
                return False
            if p.numel() != size or p.stride() != layout:
                return False
            for n, x, place in zip(names, states, lie, strict=True):
                if state[n] is not x or x.data_ptr() != place:
                    return False
            g = p.grad
            if g is None or g.numel() != size:
                return False
            if g is not last[k]:
                if not _plain(g, dtype) or g.stride() != layout:
                    return False
                last[k] = g
            places.append(g.data_ptr())
        self._table[:, self._column] = places
        return True

    def sweep(self, plan: Started, share: Share) -> cpu.Sweep:
        """The update, ready to run."""
        done = self._counts.tolist()
        times = sorted(set(done))
        place = {t: k for k, t in enumerate(times)}
        rows = [plan.scalars(int(t) + 1) for t in times]
        return cpu.Sweep(self.update, self._kind, self._table, rows, [place[t] for t in done], share)

    def count(self) -> None:
        """A step has been taken."""
        self._counts.add_(1.0)
        torch.autograd.graph.increment_version(self.params)


def wants(params: Sequence[Tensor], steps: Sequence[Tensor], tensors: Sequence[Sequence[Tensor]]) -> bool:
    """Whether parameters are plain, and what the engine was given lies where they and their gradients lie."""
    return all(s.ndim == 0 and s.dtype is torch.float32 for s in steps) and all(
        type(p) in _PLAIN
        and not p.is_complex()
        and p.is_contiguous()
        and p.grad is not None
        and _plain(p.grad, p.dtype)
        and p.grad.stride() == p.stride()
        and w.data_ptr() == p.data_ptr()
        and g.data_ptr() == p.grad.data_ptr()
        for p, (w, g, *_) in zip(params, tensors, strict=True)
    )


def _plain(g: Tensor, dtype: torch.dtype) -> bool:
    return (
        type(g) is torch.Tensor
        and g.layout is torch.strided
        and g.dtype is dtype
        and g.device.type == "cpu"
        and not g.is_neg()
    )
