"""Leaves of one group and dtype: their arrays, the pass that an engine runs over them, their clock."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import clock as scalars
from ..core.update import StepOptions, gather, update
from ..engines import Engine
from ..engines.memory import arithmetic
from ..errors import HyperparameterError
from .options import Group
from .parameters import Leaf

Array = np.ndarray[Any, Any]


class Bucket:
    """Leaves of one group and dtype, with their states."""

    def __init__(
        self, run: Engine, group: Group, leaves: list[int], all_leaves: list[Leaf], rates: bool
    ) -> None:
        rule, settings = group.rule, group.settings
        self.group, self.leaves = group, leaves
        self.rates = rates and rule.parts.rate is not None
        parts = StepOptions(
            accumulate=settings.accumulate > 1,
            clip_norm=settings.clip_norm is not None,
            maximize=settings.maximize,
            coupled=settings.weight_decay > 0 and settings.decay == "coupled",
            clip_value=settings.clip_value is not None,
            decoupled=settings.weight_decay > 0 and settings.decay == "decoupled",
            average=settings.average is not None,
            rates=self.rates,
        )
        if parts.decoupled and "lr" not in rule.parts.hyperparameters:
            raise HyperparameterError(
                f"on: decoupled decay shrinks w by lr * weight_decay; {type(rule).__name__} has no lr: use decay='coupled'"
            )
        self.parts = parts
        self.clock = scalars.clock(rule)
        # Scalars of a step in which the norm does not count: one call less where nothing stands around.
        self.plain = self.clock if parts in (StepOptions(), StepOptions(rates=True)) else self.scalars
        self.update = changes = update(rule, parts, scalars.known(rule))
        stored = all_leaves[leaves[0]].flat.dtype
        kept = arithmetic(stored)
        self.tensors: list[dict[str, Array]] = []
        for index in leaves:
            flat = all_leaves[index].flat
            tensor = {"w": flat}
            for n in changes.arrays:
                if n == "_average":
                    tensor[n] = flat.astype(kept)
                elif n not in ("w", "g"):
                    start = {"_a": 0.0, "_rate": math.nan}.get(n)
                    tensor[n] = np.full(flat.size, getattr(rule, n) if start is None else start, dtype=kept)
            self.tensors.append(tensor)
        self.batch = run.batch(changes, stored, self.tensors)
        self.gather = run.batch(gather(), stored, self.tensors) if parts.accumulate else None

    def bind(self, k: int, gradient: Array | None, start: int) -> None:
        """Hand a gradient to the passes."""
        self.batch.bind(k, gradient, start)
        if self.gather is not None:
            self.gather.bind(k, gradient, start)

    def bind_all(self, given: Sequence[Array], starts: Sequence[int]) -> None:
        """Hand over gradients of all leaves."""
        for k, i in enumerate(self.leaves):
            self.bind(k, given[i], starts[i])

    def scalars(self, t: int, factor: float = 1.0) -> tuple[float, ...]:
        """The rule's scalars at step t, then those of the pieces around it, in their order."""
        settings, parts = self.group.settings, self.parts
        values = self.clock(t)
        if parts.accumulate:
            values += (1.0 / settings.accumulate,)
        if parts.clip_norm:
            values += (factor,)
        if parts.coupled:
            values += (float(settings.weight_decay),)
        if parts.clip_value:
            values += (float(settings.clip_value),)  # type: ignore[arg-type]
        if parts.decoupled:
            values += (1.0 - self.group.rule.at(t - 1)["lr"] * settings.weight_decay,)
        if parts.average:
            average = settings.average
            values += (1.0 / t if average == "polyak" else 1.0 - float(average),)  # type: ignore[arg-type]
        return values
