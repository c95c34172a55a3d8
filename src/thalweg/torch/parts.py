"""Parts: the tensors of one group, dtype and device, and the engine that updates them in one pass."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import torch

from ..core.formula import Formula
from ..core.started import Started
from ..core.update import Update
from ..engines import ops
from ..engines.cpu import dense as cpu
from ..engines.cpu import launch, openmp
from . import device
from .clipping import largest
from .layout import KINDS, local, real

Tensor = torch.Tensor
Factor = tuple[float, ...]  # of clipping by norm: one number, or none
ALONE = 2 * openmp.GRAIN  # coordinates below which one thread does it all
LIBRARIES = os.path.join(os.path.dirname(torch.__file__), "lib")


class Part(NamedTuple):
    """Tensors of one group, dtype and device."""

    plan: Started
    kind: str
    engine: "Engine"
    params: list[Tensor]
    steps: list[Tensor]
    tensors: list[tuple[Tensor, ...]]  # w, g and the states
    copies: list[tuple[Tensor, Tensor]]  # a tensor with gaps, and its weights without
    lr: Tensor | None  # where it stays on the device

    def prepared(self, *factor: float) -> "Prepared":
        """A check of the gradients and the update, ready to run. factor: see ``scalars``."""
        return self.engine.prepared(self, factor)

    def finish(self) -> None:
        """Count a step that has run: copies are written back, step counts and autograd's versions raised."""
        for w, moved in self.copies:
            w.copy_(moved)
        torch._foreach_add_(self.steps, 1.0)
        torch.autograd.graph.increment_version(self.params)

    def names(self) -> tuple[str, ...]:
        """What the update calls each of ``tensors``."""
        return ("w", "g", *self.plan.update.kept)

    def scalars(self, factor: Factor = ()) -> tuple[list[tuple[float, ...]], list[int]]:
        """The rows of scalars, and which of them each tensor uses. factor: of clipping by norm, where there is any."""
        counts = [int(s.item()) + 1 for s in self.steps]
        times = sorted(set(counts))
        place = {t: k for k, t in enumerate(times)}
        return [self.plan.scalars(t, *factor) for t in times], [place[t] for t in counts]

    def addresses(self) -> list[list[int]]:
        """For each tensor its size, then where the update's arrays lie."""
        order = [self.names().index(n) for n in self.plan.update.arrays]
        return [
            [x[0].numel() * (1 + x[0].is_complex()), *(x[k].data_ptr() for k in order)] for x in self.tensors
        ]

    def finite(self) -> bool:
        """Whether every gradient is finite and small enough for the states, by the bound of the compiled pass."""
        top = largest(self.kind, self.plan.update)
        return all(bool((real(x[1]).abs() <= top).all()) for x in self.tensors)


Parts = dict[tuple[int, str, torch.device], Part]  # by number of the group, dtype and device

Prepared = tuple[Callable[[], bool], Callable[[], object]]


class Engine(NamedTuple):
    """Who updates tensors: ``flat`` wants them without gaps, all in one order of memory."""

    flat: bool
    prepared: Callable[[Part, Factor], Prepared]


def _by_cpu(part: Part, factor: Factor) -> Prepared:
    sweep = cpu.Sweep(part.plan.update, part.kind, part.addresses())
    sweep.share = share(sweep.total)
    return sweep.finite, partial(sweep.run, *part.scalars(factor))


def _by_cuda(part: Part, factor: Factor) -> Prepared:
    where = part.tensors[0][0].device
    run = partial(device.step, part.plan, part.kind, part.addresses(), *part.scalars(factor), where)
    return part.finite, run


def _by_graph(part: Part, factor: Factor) -> Prepared:
    device.refuse_schedules(part.plan)
    where = part.tensors[0][0].device
    run = partial(device.captured, part.plan, part.kind, part.addresses(), part.steps, part.lr, where)
    return part.finite, run


def _by_operations(part: Part, factor: Factor) -> Prepared:
    names, plan = part.names(), part.plan
    rows, which = part.scalars(factor)
    first = real(part.tensors[0][0])
    wide = KINDS[first.dtype][1]
    evaluate, written = _operations(plan.update, wide, first.device)

    def run() -> None:
        for tensors, row in zip(part.tensors, which, strict=True):
            given = {n: real(x) for n, x in zip(names, tensors, strict=True)}
            read = [given[n].to(wide) for n in plan.update.arrays]
            for n, value in zip(written, evaluate(*read, *rows[row]), strict=True):
                given[n].copy_(value)

    return part.finite, run


CPU, CUDA, CAPTURED = Engine(True, _by_cpu), Engine(True, _by_cuda), Engine(True, _by_graph)
OPERATIONS = Engine(False, _by_operations)


def engine_of(w: Tensor) -> Engine:
    """Who updates a tensor where it lies."""
    if w.device.type == "cpu":
        return CPU
    return CUDA if device.reached(w.device) else OPERATIONS


def share(total: int) -> launch.Share | None:
    """Who runs a kernel over so many coordinates: torch's OpenMP team, else the pool; None: this thread alone."""
    threads = 1 if total < ALONE else torch.get_num_threads()
    if threads == 1:
        return None
    return openmp.team(LIBRARIES, threads) or launch.by_pool


@cache
def _operations(
    update: Update, dtype: torch.dtype, device: torch.device
) -> tuple[Callable[..., tuple[Any, ...]], tuple[str, ...]]:
    """An update as a function of tensors and numbers on torch operations, and what it writes."""

    def called(name: str, *given: Any) -> Tensor:
        made = [
            x if isinstance(x, torch.Tensor | bool) else torch.tensor(x, dtype=dtype, device=device)
            for x in given
        ]
        if isinstance(made[0], bool):  # a comparison of two scalars
            made[0] = torch.tensor(made[0], device=device)
        return getattr(torch, name)(*made)  # type: ignore[no-any-return]

    formula = Formula("update", update.arrays, update.scalars, update.body, tuple(update.written.items()), {})
    functions = {n: partial(called, n) for n in ops.FUNCTIONS}
    return ops.function(formula, functions), tuple(update.written)


def not_finite(param_groups: Sequence[Mapping[str, Any]]) -> str:
    """Which gradient is not finite, in a sentence."""
    for k, group in enumerate(param_groups):
        names = group.get("param_names", range(len(group["params"])))
        for n, p in zip(names, group["params"], strict=True):
            if p.grad is not None:
                g = local(p.grad)
                values = g._values() if g.layout is torch.sparse_coo else g
                bad = int((~torch.isfinite(values)).sum())
                if bad:
                    return (
                        f"step: {bad} of {values.numel()} entries of the gradient of parameter {n} of group {k}"
                        " are not finite; nothing has moved (on_nonfinite='skip' leaves such steps out)"
                    )
    return "step: a gradient is too large for the states; nothing has moved"
