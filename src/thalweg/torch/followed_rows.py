"""Rows that sparse gradients leave behind: who follows them for each parameter, and what brings them up to date."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import ArrayLike

from ..core.catch_up import Exact
from ..core.started import Started
from ..errors import GradientError
from ..optimizer.gradients import inside
from . import row_tracking as tables
from .states import begun, require_fitting
from .stepping import SparseStep

Tensor = torch.Tensor


class FollowedRows:
    """The rows of one optimizer's parameters.

    exact: as ``Optimizer`` has it. ``tracked``: parameters that have had a sparse gradient, with who follows them;
    ``watched``: those whose reader is known, or whose user has been told.
    """

    def __init__(self, exact: Exact) -> None:
        self.exact = exact
        self.tracked: dict[Tensor, tables.Tracked] = {}
        self.watched: set[Tensor] = set()

    def ready(self, p: Tensor, plan: Started, state: dict[str, Any]) -> SparseStep:
        """Check a sparse gradient and return it ready to run, with the tracker of its parameter's rows.

        A parameter without states gets them; one without a tracker that goes with ``plan`` gets a new one. Raises
        RuntimeError, and IndexError for rows that do not exist.
        """
        given = tables.gradient(p)
        started = not state
        begun(p, plan, state)
        require_fitting(p, p.grad, state, plan.update.kept)
        t = int(state["step"].item())
        tracked = self.tracked.get(p)
        here = tracked is not None and tracked.follows(p, state)
        if tracked is None or not (here and tracked.goes_with(plan)):
            often = here and tracked is not None and tracked.table.t - tracked.born < tables.SOON
            self.settle(p)
            exact: Exact = "bits" if often and self.exact == "value" else self.exact
            self.tracked[p] = tracked = tables.Tracked(
                p, plan, state, exact, given.width, started=started, before=tracked if here else None
            )
            if tracked.follower.moves and p not in self.watched:
                warnings.warn(
                    f"step: rows of a parameter of shape {tuple(p.shape)} move without gradients too: call"
                    " opt.watch(model) once, so that they catch up before the model reads them",
                    stacklevel=9,  # who calls step, past torch's wrappers
                )
                self.watched.add(p)  # said once
        return SparseStep(p, tracked, tracked.follower.gathered(given), plan, t, state)

    def catch_up(self, p: Tensor, state: Mapping[str, object], rows: Tensor | None) -> None:
        """Bring rows of a parameter with this state up to date, or all; autograd is told where any moved."""
        tracked = self.tracked.get(p)
        if tracked is None:
            return
        if not tracked.follows(p, state):
            self.settle(p)
        elif rows is None:
            _note_moved(p, tracked.catch_up())
        elif tracked.follower.moves:
            indices = tables.indices(rows, len(p))
            if indices is not None:
                _note_moved(p, tracked.catch_up(indices))

    def settle(self, p: Tensor) -> None:
        """Bring all rows of a parameter up to date, and follow them no more."""
        tracked = self.tracked.get(p)
        if tracked is not None:
            try:
                _note_moved(p, tracked.leave(p))
            except (
                Exception
            ):  # rows that cannot be brought up to date are told of once; after Ctrl-C they can
                del self.tracked[p]
                raise
            del self.tracked[p]


def whole_numbers(rows: ArrayLike | Tensor, count: int) -> Tensor:
    """Return row numbers below ``count`` as an int64 tensor (n,) on the CPU; TypeError, IndexError for others."""
    indices = torch.as_tensor(rows).reshape(-1)
    if indices.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        raise TypeError(f"read: rows must be whole numbers, got {indices.dtype}")
    indices = indices.to("cpu", torch.int64)
    try:
        inside(indices.numpy(), count, "row", "read")
    except GradientError as error:
        raise IndexError(str(error)) from None
    return indices


def _note_moved(p: Tensor, moved: bool) -> None:
    """Tell autograd that a parameter was changed in place."""
    if moved:
        torch.autograd.graph.increment_version(p)
