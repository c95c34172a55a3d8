"""A step once it is laid out: which gradients are in it, what clipping makes of them, whether it may run, and the run."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from ..core.started import Started
from ..optimizer.gradients import Factor, SparseGradient
from . import row_tracking as tables
from .clipping import Gradient, fit, over
from .fast_path import UnchangedGroup
from .parts import Parts

Tensor = torch.Tensor


class SparseStep(NamedTuple):
    """A sparse gradient, each row once, ready to run; ``t`` steps are done."""

    param: Tensor
    tracked: tables.Tracked
    gradient: SparseGradient
    plan: Started
    t: int
    state: dict[str, Any]

    def run(self, scalars: tuple[float, ...]) -> None:
        """Step the rows that the gradient touches, count the step, and tell autograd."""
        self.tracked.step(self.gradient, scalars, self.plan.rule.at(self.t))
        self.state["step"] += 1.0
        torch.autograd.graph.increment_version(self.param)


class Step(NamedTuple):
    """Groups that stand as they did, parts that are laid out anew, and parameters with sparse gradients."""

    unchanged: Sequence[UnchangedGroup]
    parts: Parts
    rows: Sequence[SparseStep]

    def gradients(self) -> list[Gradient]:
        """Return every gradient, as an engine is given it, and what takes it in."""
        gradients = [x for ready in self.unchanged for x in ready.gradients()]
        gradients += [(x[1], part.plan.update) for part in self.parts.values() for x in part.tensors]
        return gradients + [(tables.values(x.param, x.gradient), x.plan.update) for x in self.rows]

    def over(self, shift: int) -> "Step":
        """Return the step with copies of all gradients over 2**shift, to which the engines are bound."""
        for ready in self.unchanged:
            ready.divide(shift)
        parts = {
            k: part._replace(tensors=[(w, over(g, shift), *kept) for w, g, *kept in part.tensors])
            for k, part in self.parts.items()
        }
        rows = []
        for x in self.rows:
            values = over(tables.values(x.param, x.gradient), shift)
            rows.append(x._replace(gradient=x.gradient._replace(values=tables.array(values))))
        return Step(self.unchanged, parts, rows)

    def ready(self, clip: Factor | None) -> tuple[Callable[[], bool], Callable[[], None]]:
        """Return a check of the gradients, and the run of all; what may be wrong with a schedule is said by now."""
        factor = () if clip is None else (clip.factor,)
        step = self if clip is None or not clip.shift else self.over(clip.shift)
        runs = [part.prepared(*factor) for part in step.parts.values()]
        scalars = [x.plan.scalars(x.t + 1, *factor) for x in step.rows]

        def finite() -> bool:
            if (clip is None or not clip.shift) and (
                all(x.tracked.table.finite(x.gradient.values) for x in self.rows)
                and all(ready.finite() for ready in self.unchanged)
                and all(check() for check, _ in runs)
            ):
                return True
            return clip is not None and fit(self.gradients(), clip)

        def run() -> None:
            for ready in step.unchanged:
                ready.run(*factor)
            for part, (_, run_part) in zip(step.parts.values(), runs, strict=True):
                run_part()
                part.finish()
            for x, row in zip(step.rows, scalars, strict=True):
                x.run(row)

        return finite, run
