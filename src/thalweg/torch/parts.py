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

    def prepared(self, *factor: float) -> "PartStep":
        """A step of these tensors, ready to run. factor: see ``scalars``."""
        return PartStep(self, self.engine.prepared(self, factor))

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


class Prepared(NamedTuple):
    """A check of the gradients and their update; run again, it does only what has not been done."""

    finite: Callable[[], bool]
    run: Callable[[], None]
    begun: Callable[[], bool]


class PartStep:
    """A step of a part, ready to run; ``finite``: whether every gradient is finite and small enough for the states."""

    def __init__(self, part: Part, prepared: Prepared) -> None:
        self._part, self._prepared = part, prepared
        self.finite = prepared.finite
        self._count = partial(torch._foreach_add_, part.steps, 1.0)
        self._counted: list[object] = []

    @property
    def begun(self) -> bool:
        """Whether weights have moved."""
        return self._prepared.begun()

    def run(self) -> None:
        """Update the tensors, write copies back, raise step counts and autograd's versions."""
        self._prepared.run()
        for w, moved in self._part.copies:
            w.copy_(moved)
        if not self._counted:  # in C throughout: no interruption comes between the count and the note of it
            self._counted.extend(map(partial.__call__, (self._count,)))
        torch.autograd.graph.increment_version(self._part.params)


class Engine(NamedTuple):
    """Who updates tensors: ``flat`` wants them without gaps, all in one order of memory."""

    flat: bool
    prepared: Callable[[Part, Factor], Prepared]


def _by_cpu(part: Part, factor: Factor) -> Prepared:
    sweep = cpu.Sweep(part.plan.update, part.kind, part.addresses())
    sweep.share = share(sweep.total)
    rows, which = part.scalars(factor)

    def run() -> None:
        if not sweep.passes:
            sweep.run(rows, which)

    return Prepared(sweep.finite, run, lambda: sweep.passes > 0)


def _by_launch(part: Part, launch: Callable[[], object]) -> Prepared:
    """An update that a device runs once it is launched. An interrupted launch counts as none."""
    launched: list[object] = []

    def run() -> None:
        if not launched:
            launched.append(launch())

    return Prepared(part.finite, run, lambda: bool(launched))


def _by_cuda(part: Part, factor: Factor) -> Prepared:
    where = part.tensors[0][0].device
    run = partial(device.step, part.plan, part.kind, part.addresses(), *part.scalars(factor), where)
    return _by_launch(part, run)


def _by_graph(part: Part, factor: Factor) -> Prepared:
    device.refuse_schedules(part.plan)
    where = part.tensors[0][0].device
    run = partial(device.captured, part.plan, part.kind, part.addresses(), part.steps, part.lr, where)
    return _by_launch(part, run)


def _by_operations(part: Part, factor: Factor) -> Prepared:
    names, plan = part.names(), part.plan
    rows, which = part.scalars(factor)
    first = real(part.tensors[0][0])
    wide = KINDS[first.dtype][1]
    evaluate, written = _operations(plan.update, wide, first.device)

    computed: dict[int, tuple[Tensor, ...]] = {}  # what is written into a tensor may be written again

    def run() -> None:
        for k in range(max(computed, default=0), len(which)):
            given = {n: real(x) for n, x in zip(names, part.tensors[k], strict=True)}
            if k not in computed:
                read = [given[n].to(wide) for n in plan.update.arrays]
                computed[k] = evaluate(*read, *rows[which[k]])
                computed.pop(k - 1, None)
            for n, value in zip(written, computed[k], strict=True):
                given[n].copy_(value)

    return Prepared(part.finite, run, lambda: bool(computed))


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
    formula = Formula("update", update.arrays, update.scalars, update.body, tuple(update.written.items()), {})
    return on_tensors(formula, dtype, device), tuple(update.written)


def on_tensors(formula: Formula, dtype: torch.dtype, device: torch.device) -> Callable[..., tuple[Any, ...]]:
    """Return a formula as a function of tensors and numbers (inputs, then scalars) on torch operations."""

    def called(name: str, *given: Any) -> Tensor:
        made = [
            x if isinstance(x, torch.Tensor | bool) else torch.tensor(x, dtype=dtype, device=device)
            for x in given
        ]
        if isinstance(made[0], bool):  # a comparison of two scalars
            made[0] = torch.tensor(made[0], device=device)
        return getattr(torch, name)(*made)  # type: ignore[no-any-return]

    return ops.function(formula, {n: partial(called, n) for n in ops.FUNCTIONS})


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
