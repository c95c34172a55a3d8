"""Tables that sparse gradients train: which rows are behind, and what brings them up to date.

``Tracked`` ties a parameter's memory and states to a ``RowTracker`` (``thalweg/optimizer/row_tracking.py``);
``watching`` knows when rows are about to be read.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..core.catch_up import Exact, plan
from ..core.started import Started
from ..engines.cpu.sparse import Table
from ..engines.memory import Array
from ..errors import GradientError
from ..optimizer.gradients import SparseGradient, inside
from ..optimizer.row_tracking import ParameterLayout, RowTracker
from .layout import backed

Tensor = torch.Tensor
SOON = 64  # steps: a plan that does not last so long gives way to replay


def gradient(p: Tensor) -> SparseGradient:
    """A sparse gradient on the memory that it lies in; RuntimeError, or IndexError for its indices."""
    g: Any = p.grad
    where = f"step: the gradient of a parameter of shape {tuple(p.shape)}"
    remedy = "use Embedding(..., sparse=False), or .to_dense()"
    if g.layout is not torch.sparse_coo:
        raise RuntimeError(f"{where} has layout {g.layout}: use .to_sparse_coo() or .to_dense()")
    if p.device.type != "cpu" or hasattr(p, "to_local"):
        raise RuntimeError(
            f"{where} is sparse, on {p.device}: sparse ones are for whole CPU tensors; {remedy}"
        )
    if g.device != p.device:
        raise RuntimeError(f"{where} is sparse, on {g.device}, its parameter on {p.device}; {remedy}")
    if p.is_complex() or g.is_complex():
        raise RuntimeError(f"{where} is sparse and complex: sparse ones must be real; {remedy}")
    if g.shape != p.shape:
        raise RuntimeError(f"{where} has shape {tuple(g.shape)}: it must have its parameter's")
    indices, values, dims = g._indices(), g._values().detach(), g.sparse_dim()
    width = math.prod(p.shape[dims:])
    rows = np.zeros(indices.shape[1], dtype=np.int64)
    for axis in range(dims):
        index = indices[axis].numpy()
        try:
            inside(index, p.shape[axis], "row" if dims == 1 else f"index on axis {axis}", where)
        except GradientError as error:
            raise IndexError(str(error)) from None
        rows = rows * p.shape[axis] + index if axis else np.ascontiguousarray(index)
    own = values.data_ptr()
    values = values.resolve_neg().to(p.dtype).contiguous().reshape(len(rows), width)
    if values.data_ptr() == own and p.untyped_storage().data_ptr() == values.untyped_storage().data_ptr():
        values = values.clone()  # a step would write what it has yet to read
    return SparseGradient(rows, array(values), width)


def values(p: Tensor, gradient: SparseGradient) -> Tensor:
    """Return the values of a sparse gradient as a tensor of its parameter's dtype, on the memory that they lie in."""
    return torch.from_numpy(gradient.values).view(p.dtype)


def _form(x: Tensor) -> tuple[torch.dtype, torch.Size, tuple[int, ...]]:
    """What a tensor's memory is read as."""
    return x.dtype, x.shape, x.stride()


def array(x: Tensor) -> Array:
    """Return a tensor's memory; NumPy knows no bfloat16."""
    memory: Array = (x.view(torch.int16) if x.dtype == torch.bfloat16 else x).numpy()
    return memory


def indices(rows: Tensor, count: int) -> Array | None:
    """Rows that a module is about to read, as int64; None where it will refuse them itself."""
    if rows.dtype not in (torch.int64, torch.int32) or rows.device.type != "cpu":
        return None
    made: Array = rows.detach().reshape(-1).to(torch.int64).contiguous().numpy()
    return made if not made.size or 0 <= made.min() <= made.max() < count else None


class Tracked:
    """A parameter's memory and states, and who follows its rows.

    started: no gradient came before, so that rows that none touches rest; before: who followed the same
    memory until now. A parameter with gaps in memory has a copy without, and every pass copies it whole,
    there and back.
    """

    def __init__(
        self,
        p: Tensor,
        made: Started,
        state: dict[str, Any],
        exact: Exact,
        width: int,
        *,
        started: bool,
        before: "Tracked | None" = None,
    ) -> None:
        self.weight = p.data
        self.held = self.weight.resolve_neg().contiguous()
        self.update, self._planned = made.update, made
        names = made.update.kept
        wide = torch.float64 if p.dtype == torch.float64 else torch.float32
        for n in names:
            state[n] = state[n].to(wide).contiguous()
        self.states = {n: state[n] for n in names}
        memory = {"w": self.held, **self.states}
        self._memory = [memory[n] for n in made.update.arrays if n != "g"]
        self._forms = [_form(x) for x in self._memory]
        t = int(state["step"].item())
        self.born, self.exact = t, exact
        self.follower = RowTracker(
            ParameterLayout(
                str(p.dtype).removeprefix("torch."),
                [x.data_ptr() for x in self._memory],
                tuple(p.shape),
                keep=self._memory,
            ),
            made.rule,
            made.options,
            made.update,
            exact,
            [made.scalars(s) for s in (1, 2, 10, 1000)],
            width,
            t,
            fresh=started or before is not None,
        )
        if before is not None:
            self.follower.table.untouched_as(before.follower.table)

    @property
    def table(self) -> Table:
        """What keeps count of the rows."""
        return self.follower.table

    def follows(self, p: Tensor, state: Mapping[str, object]) -> bool:
        """Whether parameter and states still are, and lie, as they did."""
        return self._lies(p) and self._whole() and all(state.get(n) is x for n, x in self.states.items())

    def _whole(self) -> bool:
        """Whether the memory that rows were counted of is read as it was then."""
        return all(_form(x) == f and backed(x) for x, f in zip(self._memory, self._forms, strict=True))

    def _lies(self, p: Tensor) -> bool:
        now, then = p.data, self.weight
        return (
            now.data_ptr() == then.data_ptr()
            and _form(now) == _form(then)
            and now.is_neg() == then.is_neg()
            and now.device == then.device
        )

    def goes_with(self, made: Started) -> bool:
        """Whether rows can go on catching up as they do, under the group's entries of now."""
        if made is self._planned:
            return True
        if made.update is not self.update:
            return False
        self._planned = made
        follower = self.follower
        if follower.plan.kind in ("replay", "lazy"):
            return True
        return follower.plan == plan(made.rule, made.options, self.exact, follower.bits)

    def step(self, touched: SparseGradient, scalars: tuple[float, ...], hyper: Mapping[str, float]) -> None:
        """One step with the gradient's rows touched."""
        self._read()
        try:
            self.follower.step(touched, scalars, hyper)
        finally:  # interrupted or not, it is whole
            self.write_back()

    def catch_up(self, rows: Array | None = None) -> bool:
        """Bring rows (int64; None: all) up to date; whether any was behind."""
        self._read()
        try:
            behind = self.table.catch_up() if rows is None else self.follower.catch_up(rows)
        except BaseException:  # Ctrl-C once rows have caught up
            self.write_back()
            raise
        if behind:
            self.write_back()
        return behind

    def leave(self, p: Tensor) -> bool:
        """Bring all rows up to date, in the memory that the parameter has by now; whether any was behind.

        Rows that came there unchanged are brought up to date; what somebody else has written stands.
        """
        if self._lies(p):
            return self.catch_up()
        old, new = self.weight, p.data
        if old.shape != new.shape or not self.table.stale:
            return False
        was = old.clone()
        self.catch_up()
        same = (new == was.to(new)).reshape(len(old), -1).all(1)
        new[same] = old.to(new)[same]
        return True

    def _read(self) -> None:
        """Find the memory where it lies now; RuntimeError where a tensor is no longer what rows were counted of."""
        if not self._whole():
            raise RuntimeError(
                f"rows of a parameter of shape {tuple(self.weight.shape)} are behind, and its memory or a state was"
                " changed in shape, dtype or layout: they stay as they are; opt.state.pop(p) starts the states anew"
            )
        self.table.lies_at([x.data_ptr() for x in self._memory])  # share_memory_() moves a storage
        if self.held is not self.weight:
            self.held.copy_(self.weight)

    def write_back(self) -> None:
        """Bring the copy of a parameter with gaps back to where the parameter lies."""
        if self.held is not self.weight:
            self.weight.copy_(self.held)
