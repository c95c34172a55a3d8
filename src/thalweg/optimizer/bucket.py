"""Leaves of one group and dtype: their arrays, the pass that an engine runs over them, their clock."""

import math
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from ..core import clock as clocks
from ..core.clock import Clock
from ..core.pieces import own
from ..core.started import Started
from ..core.update import Update, gather, taking_in
from ..engines import Engine
from ..engines.at_rest import AtRest
from ..engines.memory import Array, arithmetic, limit
from .options import Group
from .parameters import Leaf


def _clipped(started: Started, stored: np.dtype[Any]) -> tuple[Update, float]:
    """Return the update, and the largest |g| that clipping by norm may leave of gradients of a dtype.

    Where it is what clipping leaves that the states see, the update takes in every finite gradient. The bound is
    infinite where nothing is left to look at.
    """
    most = limit(stored, started.update.power)
    by_value = started.values.get(own("clip_value"), math.inf) <= most
    by_norm = started.options.clip_norm
    if not (by_value or by_norm):
        return started.update, math.inf
    return taking_in(started.update, int(started.options.accumulate)), math.inf if by_value else most


class Bucket:
    """Leaves of one group and dtype, with their states; ``most`` is the largest |g| that clipping by norm may leave."""

    def __init__(
        self, run: Engine, group: Group, leaves: list[int], all_leaves: list[Leaf], rates: bool
    ) -> None:
        self.group, self.leaves = group, leaves
        self.started = started = group.started(rates=rates)
        self.stored = stored = all_leaves[leaves[0]].flat.dtype
        rest = AtRest(started, stored)
        rest.require_ahead("on")
        self.scalars = rest.scalars
        self.update, self.most = _clipped(started, stored)
        kept = arithmetic(stored)
        self.tensors: list[dict[str, Array]] = []
        for index in leaves:
            flat = all_leaves[index].flat
            tensor = {"w": flat}
            for n in self.update.arrays:
                if n not in ("w", "g"):
                    begin = started.begin(n)
                    start = flat if begin == "w" else begin
                    tensor[n] = np.full(flat.size, start, dtype=kept)
            self.tensors.append(tensor)
        self.batch = run.batch(self.update, stored, self.tensors)
        self.gather = run.batch(gather(), stored, self.tensors) if started.options.accumulate else None

    def following(self, run: Engine, group: Group, rates: bool, done: int) -> "Bucket":
        """Return the bucket under other values of its rule: the same arrays, to be bound to gradients anew.

        done: steps so far. Raises HyperparameterError for values whose rate overflows.
        """
        bucket = copy(self)
        bucket.group, bucket.started = group, group.started(rates=rates)
        rest = AtRest(bucket.started, self.stored)
        rest.require_ahead("rule", done)
        bucket.scalars = rest.scalars
        bucket.update, bucket.most = _clipped(bucket.started, self.stored)
        if bucket.update is not self.update:  # values that stand in it as exponents
            assert set(bucket.update.arrays) == set(self.update.arrays)
            bucket.batch = run.batch(bucket.update, self.stored, self.tensors)
        return bucket

    def mean_of(self, calls: int) -> Clock:
        """Return the clock of a step with the mean of so many gradients, which may be fewer than a window holds."""
        values = self.started.values
        if values.get(own("accumulate"), 1) == calls:
            return self.scalars
        return clocks.clock(
            self.started.rule, self.started.update.clock, {**values, own("accumulate"): calls}
        )

    def bind(self, k: int, gradient: Array | None, start: int) -> None:
        """Hand leaf k's gradient, at address ``start``, to the passes; None leaves the leaf out of the next."""
        self.batch.bind(k, gradient, start)
        if self.gather is not None:
            self.gather.bind(k, gradient, start)

    def bind_all(self, gradients: Sequence[Array], starts: Sequence[int]) -> None:
        """Hand over the gradients of all leaves of the optimizer that are in this bucket, with their addresses."""
        for k, i in enumerate(self.leaves):
            self.bind(k, gradients[i], starts[i])
