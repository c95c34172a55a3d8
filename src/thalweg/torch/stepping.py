"""A step once it is laid out: which gradients are in it, what clipping makes of them, whether it may run, and the run."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch

from ..core.started import Started
from ..optimizer.gradients import Factor, SparseGradient
from ..optimizer.interruption import without_interruption
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


class Move(Protocol):
    """A part of a step, ready to run: run again after an interruption, it does only what has not been done."""

    @property
    def begun(self) -> bool:
        """Whether weights have moved."""

    def run(self) -> None:
        """Move weights and states, count the step, and tell autograd."""


class _RowsMove:
    """A sparse gradient with the scalars of its step, as a ``Move``."""

    def __init__(self, step: SparseStep, scalars: tuple[float, ...]) -> None:
        self._step, self._scalars = step, scalars
        self._goal = step.tracked.table.t + 1

    @property
    def begun(self) -> bool:
        """Whether the rows have moved."""
        return self._step.tracked.table.t >= self._goal

    def run(self) -> None:
        """Step the rows that the gradient touches, count the step, and tell autograd."""
        step = self._step
        if self.begun:
            step.tracked.write_back()
        else:
            step.tracked.step(step.gradient, self._scalars, step.plan.rule.at(step.t))
        step.state["step"].fill_(step.t + 1)
        torch.autograd.graph.increment_version(step.param)


def run_whole(moves: Sequence[Move]) -> None:
    """Run all moves of a step, of which Ctrl-C leaves nothing done or everything: it is raised once all is done."""
    try:
        _run(moves)
    except BaseException:
        if any(move.begun for move in moves):
            without_interruption(partial(_run, moves))
        raise


def _run(moves: Sequence[Move]) -> None:
    for move in moves:
        move.run()


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

    def ready(self, clip: Factor | None) -> tuple[Callable[[], bool], list[Move]]:
        """Return a check of the gradients, and the moves of all; what may be wrong with a schedule is said by now."""
        factor = () if clip is None else (clip.factor,)
        step = self if clip is None or not clip.shift else self.over(clip.shift)
        for ready in step.unchanged:
            ready.prepare(*factor)
        parts = [part.prepared(*factor) for part in step.parts.values()]
        rows = [_RowsMove(x, x.plan.scalars(x.t + 1, *factor)) for x in step.rows]

        def finite() -> bool:
            if (clip is None or not clip.shift) and (
                all(x.tracked.table.finite(x.gradient.values) for x in self.rows)
                and all(ready.finite() for ready in self.unchanged)
                and all(part.finite() for part in parts)
            ):
                return True
            return clip is not None and fit(self.gradients(), clip)

        return finite, [*step.unchanged, *parts, *rows]
