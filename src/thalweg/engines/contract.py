"""The contract of engines: what one is given, what it must do, when it is called.

An engine runs an ``Update`` (``core/update.py``): arrays by name, scalars by name, straight-line code and
what each array receives. It knows no rule, no option and no framework; whoever calls it knows no kernel.

**What it is given.** The update; the dtype in which w and g are stored (float16 and bfloat16 are computed in
float32, and states kept so: ``memory.arithmetic``); flat, contiguous arrays of one size for every name in
``update.arrays``, of which no two overlap; the scalars in float64, in the order of ``update.scalars``. All
that was checked by the caller: an engine takes it on trust.

**What it must do.**

a) *Bits.* Each scalar is rounded once to the dtype of the arithmetic. Each operation is one IEEE operation
   of that dtype, in the order written, never fused; the functions of libm are computed in float64 and rounded
   once. A CPU engine has the very bits of ``plain``; a device's stays within the ulps that its file states.
b) *Order.* A coordinate's values are all read before any of its new ones is written. Coordinates do not know
   each other, so the result does not depend on blocks or threads. Sums are taken in ``memory.BLOCK`` s of
   eight lanes, and over blocks exactly.
c) *Finite.* A check asks whether |g| <= ``memory.limit``, the largest value whose power a state can hold; where it
   fails nothing has been moved.
d) *Names.* What a rule calls its states and hyperparameters is printed by ``printing.python.Printer``, under a
   prefix that the engine's own source never uses.

**When it is called.** ``batch`` once for tensors that stay where they are, or anew when they move; then for
each step ``bind`` for each tensor, and ``step`` (or ``finite``, and ``run`` once all batches were). The engines
of XLA, Triton, array modules and compiled loops do a) to d) behind functions of their own, since who traces,
captures or loops calls them otherwise; ``tests/engines`` runs one suite over all of them.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ..core.update import Update
from .memory import Array


class Batch(Protocol):
    """Tensors of one dtype and the update that an engine runs on them."""

    limit: float

    @property
    def passes(self) -> int:
        """Updates so far. A compiled pass is made or not, whenever an interruption comes: who counts steps asks here."""

    def bind(self, index: int, gradient: Array | None, start: int = 0) -> None:
        """Take a contiguous gradient (at address ``start`` if known); None leaves it out of the next pass."""

    def finite(self) -> bool:
        """Return whether |g| <= limit for every bound gradient."""

    def run(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> None:
        """Update all bound tensors in place; tensor i uses the scalars ``rows[which[i]]``."""

    def step(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> bool:
        """``run`` if ``finite``; return whether it was."""


class Engine(Protocol):
    """What the module of an engine offers that runs on NumPy arrays (``engines.ENGINES`` lists them)."""

    def batch(self, update: Update, stored: np.dtype[Any], tensors: Sequence[dict[str, Array]]) -> Batch:
        """Return a batch of tensors: flat, contiguous arrays by name, all of ``update.arrays`` but g."""

    def sum_of_squares(self, gradients: Sequence[tuple[Array, Array | None]]) -> float:
        """Return the sum of (g + a)^2 in float64, in an order that does not depend on threads."""
