"""The general step: missing gradients, several t, accumulation over a window of calls, clipping by norm, copies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..core.clock import Clock
from ..engines import Engine
from ..engines.memory import Array
from ..errors import NonFiniteError
from .bucket import Bucket
from .gradients import Factor, SparseGradient, clipping, norm, not_finite, smallest_normal
from .interruption import whole_or_not
from .members import Bound, Members, dense, sparse
from .options import Settings


class Window:
    """Calls whose gradients make one step; ``calls`` are those gathered so far."""

    def __init__(self, run: Engine, settings: Settings) -> None:
        self._run, self._settings = run, settings
        self.calls = 0

    def take(self, members: Members, gradients: Sequence[Bound]) -> None:
        """Take in the gradients of a call, None for leaves that have none, and step where it ends the window.

        Changes weights, states, counts and what is gathered, all or nothing. Raises NonFiniteError for what
        clipping leaves, HyperparameterError where a schedule ends; then nothing has moved.
        """
        if self.calls + 1 < self._settings.accumulate:
            self._gather(members, gradients)
            return
        self.close(members, dense(gradients), sparse(gradients), self.calls + 1)
        for bucket in members.buckets:
            _bind_alone(bucket.batch, bucket, dense(gradients))

    def close(
        self,
        members: Members,
        given: list[Array | None],
        rows: dict[int, SparseGradient],
        calls: int,
    ) -> None:
        """Step with the mean over a window of calls, in the last of which leaves had these gradients.

        What a leaf did not get counts as 0; one that got nothing in the whole window stays as it is.
        """
        leaves = members.leaves
        due = [
            g is not None or i in rows or leaf.gathered > 0
            for i, (g, leaf) in enumerate(zip(given, leaves, strict=True))
        ]
        ticks = [sorted({leaves[i].t + 1 for i in b.leaves if due[i]}) for b in members.buckets]
        for bucket, times in zip(members.buckets, ticks, strict=True):
            for t in times:
                bucket.scalars(t)  # a schedule that leaves its range says so before anything is kept
        given, rows = _completed(members, due, given, rows)
        factor: tuple[float, ...] = ()
        if self._settings.clip_norm is not None and any(due):
            clip = self._clipping(members, given, rows, calls)
            if self._settings.on_nonfinite != "propagate":
                self._require_left_fits(members, given, rows, clip, calls)
            factor = (clip.factor,)
            if clip.shift:
                given, rows = _scaled(members, given, rows, clip.shift)
        clocks = [bucket.mean_of(calls) for bucket in members.buckets]
        plan = _Step(members, due, given, rows, ticks, clocks, factor)

        def move() -> None:
            plan.run()
            self.calls = 0

        whole_or_not(move, plan.begun)

    def _gather(self, members: Members, gradients: Sequence[Bound]) -> None:
        """Add the gradients of a call that does not end a window to those gathered."""
        given = dense(gradients)
        passes = [(b, b.gather, b.gather.passes) for b in members.buckets if b.gather is not None]
        goals = [leaf.gathered + (g is not None) for leaf, g in zip(members.leaves, gradients, strict=True)]
        calls = self.calls + 1
        waits = {i for i, g in enumerate(gradients) if g is not None and i in members.trackers}

        def begun() -> bool:
            return any(gather.passes > before for _, gather, before in passes)

        def move() -> None:
            for bucket, gather, before in passes:
                if gather.passes == before:
                    _bind_alone(gather, bucket, given)
                    gather.run([()], [0] * len(bucket.leaves))
            for i in sorted(waits):
                _gather_rows(members, i, gradients[i])
                waits.discard(i)
            for leaf, goal in zip(members.leaves, goals, strict=True):
                leaf.gathered = goal
            self.calls = calls

        whole_or_not(move, begun)

    def _clipping(
        self,
        members: Members,
        given: Sequence[Array | None],
        rows: Mapping[int, SparseGradient],
        calls: int,
    ) -> Factor:
        """Return what the gradients are multiplied by so that the norm of their mean stays bounded."""
        due = list(_due(members, given, rows))
        m, e = norm(self._run, [(g, gathered) for _, g, gathered in due])
        smallest = max(smallest_normal(g.dtype) for _, g, _ in due)
        bound = float(self._settings.clip_norm)  # type: ignore[arg-type]
        return clipping(m / calls, e, bound, smallest)

    def _require_left_fits(
        self,
        members: Members,
        given: Sequence[Array | None],
        rows: Mapping[int, SparseGradient],
        clip: Factor,
        calls: int,
    ) -> None:
        """NonFiniteError unless the states can hold what clipping leaves."""
        for i, g, gathered in _due(members, given, rows):
            bucket = members.place[i][0]
            if clip.length > bucket.most:
                left: Array = g.reshape(-1).astype(np.float64)
                left += 0.0 if gathered is None else gathered
                left *= math.ldexp(clip.factor, -clip.shift) / calls
                gradient = SparseGradient(rows[i].rows, left, rows[i].width) if i in rows else left
                wrong = not_finite(members.leaves[i], gradient, bucket.group.rule, bucket.most)
                if wrong is not None:
                    raise NonFiniteError(f"clip_norm={self._settings.clip_norm:.4g} leaves too much: {wrong}")


class _Pass(NamedTuple):
    """A bucket's dense pass: the scalars of each t, which of them each leaf takes, and how many passes were before."""

    bucket: Bucket
    values: list[tuple[float, ...]]
    which: list[int]
    before: int


class _Step:
    """A step that is laid out, ready to run: run again after an interruption, it does only what has not been done."""

    def __init__(
        self,
        members: Members,
        due: Sequence[bool],
        given: Sequence[Array | None],
        rows: Mapping[int, SparseGradient],
        ticks: Sequence[Sequence[int]],
        clocks: Sequence[Clock],
        factor: tuple[float, ...],
    ) -> None:
        """Lay out the step; changes copies of weights, and rows that are behind where a dense gradient moves all."""
        leaves = members.leaves
        self._members, self._given, self._rows = members, given, rows
        self._goals = {i: leaves[i].t + 1 for i, moves in enumerate(due) if moves}
        self._passes = []
        for bucket, clock, times in zip(members.buckets, clocks, ticks, strict=True):
            values = [clock(t, *factor) for t in times]
            if any(given[i] is not None for i in bucket.leaves):
                place = {t: k for k, t in enumerate(times)}
                which = [place.get(leaves[i].t + 1, 0) for i in bucket.leaves]
                self._passes.append(_Pass(bucket, values, which, bucket.batch.passes))
        self._steps = []
        for i, g in rows.items():
            bucket, t, tracker = members.place[i][0], leaves[i].t + 1, members.trackers[i]
            row = clocks[members.buckets.index(bucket)](t, *factor)
            step = partial(tracker.step, g, row, bucket.group.rule.at(t - 1))
            self._steps.append((tracker, tracker.table.t, step))
        for leaf in leaves:
            leaf.copy_in()
        for i, tracker in members.trackers.items():
            if given[i] is not None:
                tracker.table.catch_up()  # the dense gradient moves every row

    def begun(self) -> bool:
        """Whether weights have moved."""
        return any(p.bucket.batch.passes > p.before for p in self._passes) or any(
            tracker.table.t > before for tracker, before, _ in self._steps
        )

    def run(self) -> None:
        """Move weights and states, write copies back, and count the step of each leaf."""
        for bucket, values, which, before in self._passes:
            if bucket.batch.passes == before:
                _bind_alone(bucket.batch, bucket, self._given)
                bucket.batch.run(values, which)
        for tracker, before, step in self._steps:
            if tracker.table.t == before:
                step()
            tracker.pending = []
        for leaf in self._members.leaves:
            leaf.copy_back()
        for i, goal in self._goals.items():
            leaf = self._members.leaves[i]
            leaf.t, leaf.gathered = goal, 0
            if i in self._members.trackers and i not in self._rows:
                tracker = self._members.trackers[i]
                tracker.pending = []
                tracker.table.dense(goal)


def _bind_alone(batch: Any, bucket: Bucket, given: Sequence[Array | None]) -> None:
    """Bind these gradients, and of the bucket's leaves no others."""
    for k, i in enumerate(bucket.leaves):
        batch.bind(k, given[i])


def _completed(
    members: Members,
    due: Sequence[bool],
    given: Sequence[Array | None],
    rows: Mapping[int, SparseGradient],
) -> tuple[list[Array | None], dict[int, SparseGradient]]:
    """Return the gradients with zeros where a leaf, or a row, that is due had some in earlier calls alone."""
    whole, some = list(given), dict(rows)
    for i, leaf in enumerate(members.leaves):
        if due[i] and given[i] is None and i not in rows:
            if i in members.trackers:
                width = members.trackers[i].table.width
                some[i] = SparseGradient(np.empty(0, np.int64), np.empty((0, width), leaf.dtype), width)
            else:
                whole[i] = np.zeros(leaf.flat.size, leaf.dtype)
    return whole, {i: _with_pending(members, i, g) for i, g in some.items()}


def _with_pending(members: Members, i: int, gradient: SparseGradient) -> SparseGradient:
    """Return the gradient that ends a window, with a zero for each row that only earlier ones touched."""
    tracker = members.trackers[i]
    if not tracker.pending:
        return gradient
    zeros = np.zeros((sum(map(len, tracker.pending)), gradient.width), dtype=gradient.values.dtype)
    rows = np.concatenate([gradient.rows, *tracker.pending])
    return tracker.gathered(SparseGradient(rows, np.concatenate([gradient.values, zeros]), gradient.width))


def _gather_rows(members: Members, i: int, gradient: Bound) -> None:
    """Remember which rows a gradient touches, and add one that is sparse to those gathered; that comes last."""
    tracker = members.trackers[i]
    if isinstance(gradient, SparseGradient):
        tracker.pending.append(gradient.rows.copy())  # they may be the user's
        table = members.tensors(i)["_a"].reshape(-1, gradient.width)
        table[gradient.rows] += gradient.values
    else:
        tracker.gather_all()


# Clipping by norm.


def _due(
    members: Members, given: Sequence[Array | None], rows: Mapping[int, SparseGradient]
) -> Iterator[tuple[int, Array, Array | None]]:
    """Yield of each leaf that is about to step its number, its gradient, and what is gathered of that or None."""
    for i, whole in enumerate(given):
        gathered = members.tensors(i).get("_a")
        if whole is not None:
            yield i, whole, gathered
        elif i in rows:
            touched, values, width = rows[i]
            sums = None if gathered is None else gathered.reshape(-1, width)[touched].reshape(-1)
            yield i, values.reshape(-1), sums


def _scaled(
    members: Members, given: Sequence[Array | None], rows: Mapping[int, SparseGradient], shift: int
) -> tuple[list[Array | None], dict[int, SparseGradient]]:
    """Return the gradients, and change what is gathered of them, over 2**shift."""

    def over(x: Array) -> Array:
        with np.errstate(all="ignore"):
            scaled: Array = np.ldexp(x, -shift)
        return scaled

    for i, g in enumerate(given):
        gathered = members.tensors(i).get("_a")
        if gathered is not None and (g is not None or i in rows):
            gathered[:] = over(gathered)
    whole = [None if g is None else over(g) for g in given]
    return whole, {i: x._replace(values=over(x.values)) for i, x in rows.items()}
