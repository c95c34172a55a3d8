"""A group whose tensors are what they were at the last step: nothing is laid out or planned again.

A training loop makes new gradients at every step; all else mostly stands. Table, job and scalars of the
compiled pass are kept, and a step looks at what they rest on:

a) One call of torch's own ``TensorGuards``, by which compiled models know their inputs again, compares
   every parameter, gradient and state with the last step's: class, dtype, device, layout, shape, strides,
   and whether its memory holds the conjugate or the negative.
b) Parameters and states must lie at the same addresses; gradients may lie anywhere else, but not within
   them. Counts, which no kernel reads, must be the same objects, and lie where they lay.
c) The group's values are compared with the last step's, so that the rule is started anew only for others.

Where anything differs, the step lays the group out from the beginning. The counts of steps are views of
one array, so that one addition counts them all. ``TensorGuards`` is no public name of torch: in a release
without it every step lays out anew, as correct and slower.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from operator import is_, itemgetter, or_
from struct import Struct
from typing import Any

import numpy as np
import torch

from ..core.schedule import Schedule
from ..core.started import Started
from ..engines.cpu import dense as cpu
from .clipping import Gradient, over
from .parts import ALONE, Part, share

try:
    from torch._C._dynamo.guards import TensorGuards
except ImportError:  # pragma: no cover - a later torch
    TensorGuards = None  # type: ignore[assignment,misc]

Tensor = torch.Tensor
States = Mapping[Tensor, Mapping[str, Any]]
_PLAIN = (torch.nn.Parameter, torch.Tensor)  # subclasses lie elsewhere: DTensor
_address: Callable[[Tensor], int] = torch.Tensor.data_ptr
_NUMBERS = frozenset({float, int, bool, str, type(None)})
_LISTS = ("params", "param_names")  # entries of a group that are no values
ADDRESS = 64  # bits of an address
REMEMBERED = 1 << 14  # places that gradients have had: allocators go round in few


class UnchangedGroup:
    """The tensors of a group that went to one compiled pass, as ``part`` has laid them out.

    ``can_keep`` says for which parts. The counts of steps in ``states`` become views of one array.
    """

    def __init__(self, part: Part, group: Mapping[str, Any], states: Mapping[Tensor, dict[str, Any]]) -> None:
        self._params = list(part.params)
        self._rests = len(self._params) < len(group["params"])  # some parameters have no gradient
        self._held = [states[p] for p in self._params]
        counts = Struct(f"{len(self._held)}d")
        room = np.array([float(h["step"]) for h in self._held])
        self._room, self._room_at = torch.from_numpy(room), room.ctypes.data
        self._steps = list(self._room)
        for h, count in zip(self._held, self._steps, strict=True):
            h["step"] = count
        # NumPy's own addition takes longer than all else where nothing of it is in a cache.
        self._counts = partial(counts.unpack_from, room.data)
        self._count = partial(counts.pack_into, room.data, 0)
        self._names = part.plan.update.kept
        tensors = self._tensors()
        grads = len(tensors) - len(self._params)
        shapes: Any = [[*x.shape] for x in tensors]
        strides: Any = [[*x.stride()] for x in tensors]
        self._guards = TensorGuards(*tensors, dynamic_dims_sizes=shapes, dynamic_dims_strides=strides)
        places = [_address(x) for x in tensors[:grads]]
        # Packed, since to compare Python's numbers touches each of them somewhere else in memory.
        self._grads, self._pack = grads, Struct(f"{grads}Q").pack
        self._places = self._pack(*places)
        sizes = [x.numel() * x.element_size() for x in tensors]
        occupied = sorted((x, x + size) for x, size in zip(places, sizes, strict=False) if size)
        self._bytes = sizes[grads:]
        one: dict[int, int] = {}  # the same object for the same number, for the same reason
        self._above = [one.setdefault(x, x) for x in (size << ADDRESS for size in self._bytes)]
        # Where gradients may lie, and how large: an address, and the size above it.
        self._free: set[int] = set()
        self._begins, self._ends = [x for x, _ in occupied], [*accumulate((y for _, y in occupied), max)]
        self._sweep = cpu.Sweep(part.plan.update, part.kind, part.addresses())
        self._large = self._sweep.total >= ALONE
        self._once = [0] * len(self._params)
        self.remember(part.plan, group)

    def _tensors(self) -> list[Any]:
        """Return all that the kernel relies on, gradients last; KeyError where a state is missing."""
        held = self._held
        return [*self._params, *[h[n] for n in self._names for h in held], *[p.grad for p in self._params]]

    # The group's values.

    def remember(self, plan: Started, group: Mapping[str, Any]) -> None:
        """Take the group's values of now as those that ``plan`` was made of."""
        self.plan = plan
        names = tuple(n for n in group if n not in _LISTS)
        self._pick = itemgetter(*names)
        self._values = self._pick(group)
        # A value that can change in place is read at every step.
        self._entries = len(group) if _never_changes(self._values) else -1
        self._rate = names.index("lr") if "lr" in names else -1

    def planned(self, group: Mapping[str, Any]) -> bool:
        """Whether ``plan`` is the group's as it stands now; another rate, as schedulers set it, is taken in."""
        if len(group) != self._entries:
            return False
        try:
            values = self._pick(group)
            return bool(values == self._values) or self._took_rate(values)
        except (KeyError, RuntimeError, ValueError):  # RuntimeError: a tensor in place of a number
            return False

    def _took_rate(self, values: tuple[Any, ...]) -> bool:
        """Whether nothing but a number for lr differs, the rule's own; ``plan`` is then that of the new one."""
        k = self._rate
        if k < 0 or type(values[k]) is not float or getattr(self.plan.rule, "lr", None) != self._values[k]:
            return False
        if (*values[:k], *values[k + 1 :]) != (*self._values[:k], *self._values[k + 1 :]):
            return False
        plan = self.plan.with_values(lr=values[k])
        if plan is None:
            return False
        self.plan, self._values = plan, values
        return True

    # A step.

    def stands(self, params: Sequence[Tensor]) -> bool:
        """Whether all tensors are what they were; new gradients are taken in.

        The caller has seen that the parameters' states are in the same dictionaries.
        """
        if self._rests:
            params = [p for p in params if p.grad is not None]
        if len(params) != len(self._params) or not all(map(is_, params, self._params)):
            return False
        try:
            counts = [h["step"] for h in self._held]
            tensors = self._tensors()
        except KeyError:
            return False
        if not all(map(is_, counts, self._steps)) or _address(self._room) != self._room_at:
            return False
        if not self._guards.check(*tensors):
            return False
        places = [*map(_address, tensors)]
        new = places[self._grads :]
        del places[self._grads :]
        if self._pack(*places) != self._places:
            return False
        if not self._free.issuperset(map(or_, new, self._above)) and not self._apart(new):
            return False
        self._sweep.bind_all(new)
        if self._large:
            self._sweep.share = share(self._sweep.total)
        return True

    def _apart(self, gradients: Sequence[int]) -> bool:
        """Whether gradients at these addresses have memory of their own; if so it is remembered."""
        begins, ends = self._begins, self._ends
        for start, size in zip(gradients, self._bytes, strict=True):
            if size:
                k = bisect_left(begins, start)
                before, behind = k and ends[k - 1] > start, k < len(begins) and begins[k] < start + size
                if before or behind or not start:  # 0: a storage was emptied
                    return False
        if len(self._free) > REMEMBERED:
            self._free.clear()
        self._free.update(map(or_, gradients, self._above))
        return True

    def gradients(self) -> list[Gradient]:
        """Return the gradients of now, and what takes them in."""
        return [(p.grad, self.plan.update) for p in self._params if p.grad is not None]

    def divide(self, shift: int) -> None:
        """Bind the next pass to copies of the gradients over 2**shift, which live until the one after."""
        self._divided = [over(g, shift) for g, _ in self.gradients()]
        self._sweep.bind_all([*map(_address, self._divided)])

    def finite(self) -> bool:
        """Whether every gradient is finite and small enough for the states."""
        return self._sweep.finite()

    def prepare(self, *factor: float) -> None:
        """Compute the scalars of the next step, so that what is wrong with a schedule is said before anything moves.

        factor: of clipping by norm, where there is any.
        """
        done = self._counts()
        first, many = done[0], len(done)
        if done.count(first) == many:
            rows, which = [self.plan.scalars(int(first) + 1, *factor)], self._once
            self._next = [first + 1] * many
        else:
            times = sorted(set(done))
            place = {t: k for k, t in enumerate(times)}
            rows, which = [self.plan.scalars(int(t) + 1, *factor) for t in times], [place[t] for t in done]
            self._next = [t + 1 for t in done]
        self._row_of_each, self._goal = (rows, which), self._sweep.passes + 1

    @property
    def begun(self) -> bool:
        """Whether the step that is prepared has moved the weights."""
        return self._sweep.passes >= self._goal

    def run(self) -> None:
        """Update all tensors, count the step, and tell autograd; what an interrupted run has done is not done again."""
        if not self.begun:
            self._sweep.run(*self._row_of_each)
        self._count(*self._next)
        torch.autograd.graph.increment_version(self._params)


def can_keep(part: Part, group: Mapping[str, Any], states: States) -> bool:
    """Whether a part is all of a group that has gradients, in plain tensors, and its engine was given their memory."""
    names = part.names()[2:]
    return (
        TensorGuards is not None
        and not part.copies
        and sum(p.grad is not None for p in group["params"]) == len(part.params)
        and all(
            type(p) in _PLAIN and all(map(_lies_there, (p, p.grad, *(states[p][n] for n in names)), tensors))
            for p, tensors in zip(part.params, part.tensors, strict=True)
        )
    )


def _lies_there(x: Any, given: Tensor) -> bool:
    """Whether what an engine was given is the memory of a plain tensor."""
    return type(x) in _PLAIN and x.layout is torch.strided and x.data_ptr() == given.data_ptr()


def _never_changes(value: object) -> bool:
    """Whether a group's entry can only be replaced: a tensor and a list may change in place."""
    if isinstance(value, tuple):
        return all(map(_never_changes, value))
    return type(value) in _NUMBERS or isinstance(value, Schedule)
