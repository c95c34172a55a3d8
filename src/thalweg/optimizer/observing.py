"""How a running optimizer is looked at from outside: a fixed sample of each tensor, before and after a step.

A door offers a ``Source``; who watches attaches two functions to it and, around the steps that it wants to see, asks
for ``Part`` s: plain float64 arrays with the formula that moved them. Nothing of the optimizer is changed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from ..core.started import Started
from ..engines.cpu.blocks import together
from ..engines.memory import Array

OF_A_TENSOR, IN_ALL = 1 << 12, 1 << 14  # coordinates that are looked at
BLOCKS = 4  # of a tensor: contiguous, spread evenly
ROUNDING = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


class Part(NamedTuple):
    """Tensors that one formula moves at one step count, as they were sampled.

    tensors: their numbers. started, t: the formula and the count of this step, 1 the first; None where no formula is
    known. rounding: the relative rounding of stored weights. before, after: by name (w, g and states; w) the samples,
    one tensor's behind the other's, (n,) float64.
    """

    tensors: tuple[int, ...]
    started: Started | None
    t: int
    rounding: float
    before: Mapping[str, Array]
    after: Mapping[str, Array]


class Source(Protocol):
    """An optimizer of some framework, as something that can be looked at.

    names, sample: of its tensors. method: what it is called. notes: what cannot be told of it, and why; they may grow.
    unseen: tensors whose gradients cannot be looked at.
    """

    names: list[str]
    sample: "Sample"
    method: str
    notes: list[str]
    unseen: set[int]

    @property
    def skipped(self) -> int:
        """Steps that the optimizer itself has left out for gradients that were not finite."""

    def attach(self, before: Callable[[bool], None], after: Callable[[], None]) -> Callable[[], None]:
        """Have functions called around each step; return what detaches them.

        ``before`` is told whether the gradients come only within the step (a closure).
        """

    def before(self, whole: bool, late: bool) -> None:
        """Take weights and states (where ``whole``) and gradients (unless ``late``) as they stand before a step."""

    def after(self) -> list[Part]:
        """Return what ``before`` took with the weights after the step; without them where it was not ``whole``.

        Tensors without a gradient are left out.
        """


@runtime_checkable
class HandedOver(Protocol):
    """A source without hooks: its parameters and states are handed over after each step."""

    def given(self, params: object, state: object, gradients: object) -> bool:
        """Take what a step has left, and its gradients or None; return whether anything was handed over before."""


class Stretch(NamedTuple):
    """Coordinates that one formula moves: ``length`` of them, at its step count ``t``."""

    started: Started
    t: int
    length: int


class Curvature(NamedTuple):
    """The curvature of a loss where an optimizer stands.

    product: of the Hessian with a direction, (d,) → (d,) float64. rates: that the last step used, (d,) float64.
    stretches: what moves the coordinates, in order.
    """

    product: Callable[[Array], Array]
    rates: Array
    stretches: tuple[Stretch, ...]


@runtime_checkable
class Curved(Protocol):
    """A source that can differentiate a loss twice."""

    def curvature(self, closure: Callable[[], object]) -> AbstractContextManager[Curvature]:
        """Give the curvature of the loss that ``closure`` returns; afterwards all is as it was."""


class Sample:
    """Which coordinates of each tensor are looked at: ``counts`` of them, the same ones however long the run.

    sizes: of the tensors, in real numbers.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        self.counts = _allotted(sizes)
        self._blocks = [_blocks(n, c) for n, c in zip(sizes, self.counts, strict=True)]
        self._joined: dict[tuple[int, ...], Array] = {}

    def blocks(self, tensor: int) -> list[tuple[int, int]]:
        """Return where a tensor's blocks begin and end."""
        starts, lengths = self._blocks[tensor]
        return [(int(a), int(a + n)) for a, n in zip(starts, lengths, strict=True)]

    def gathered(self, tensors: tuple[int, ...], addresses: Sequence[int] | Array, stored: str) -> Array:
        """Return samples as float64, one tensor's behind the other's, from where their arrays begin in memory: (k, n).

        addresses: of the k-th array of each tensor, then of the next; k arrays at once cost one call.
        """
        blocks = self._joined.get(tensors)
        if blocks is None:
            if len(self._joined) > 64:  # tensors that come and go
                self._joined.clear()
            rows = [(k, a, n) for k, i in enumerate(tensors) for a, n in zip(*self._blocks[i], strict=True)]
            blocks = self._joined[tensors] = np.array(rows, dtype=np.int64).reshape(-1, 3)
        first = np.asarray(addresses, dtype=np.int64).reshape(-1, len(tensors))
        return together(first, blocks, sum(map(self.counts.__getitem__, tensors)), stored)


_NONE = np.zeros(0, dtype=np.int64)


def _allotted(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return how many coordinates of each tensor are looked at: small ones whole, the others the same number."""
    counts = [0] * len(sizes)
    left, open_ = IN_ALL, len(sizes)
    for i in sorted(range(len(sizes)), key=sizes.__getitem__):
        counts[i] = min(sizes[i], OF_A_TENSOR, max(1, left // open_))  # none is passed over in silence
        left, open_ = max(0, left - counts[i]), open_ - 1
    return tuple(counts)


def _blocks(size: int, count: int) -> tuple[Array, Array]:
    """Return where blocks that hold ``count`` of ``size`` coordinates begin, and their lengths; none overlap."""
    if not count:
        return _NONE, _NONE
    number = 1 if count == size else min(BLOCKS, max(1, count // 16))
    edges = np.arange(number + 1) * count // number
    gaps = np.arange(number) * (size - count) // max(1, number - 1)
    return (edges[:-1] + gaps).astype(np.int64), np.diff(edges).astype(np.int64)


def say(notes: list[str], note: str) -> None:
    """Add a note that is not there yet."""
    if note not in notes:
        notes.append(note)


def without(part: Part, sample: Sample, lacking: set[int]) -> Part | None:
    """Return a part without some of its tensors; None where none is left."""
    if lacking.isdisjoint(part.tensors):
        return part
    keep = [i not in lacking for i in part.tensors]
    if not any(keep):
        return None
    mask = np.repeat(keep, [sample.counts[i] for i in part.tensors])
    before, after = ({n: x[mask] for n, x in arrays.items()} for arrays in (part.before, part.after))
    left = tuple(i for i, kept in zip(part.tensors, keep, strict=True) if kept)
    return part._replace(tensors=left, before=before, after=after)
