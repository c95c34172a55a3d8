"""What an optimizer moves: its leaves, the buckets they are stepped in, the trackers of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.catch_up import Exact
from ..engines import Engine
from ..engines.memory import Array, address
from ..errors import HyperparameterError
from .bucket import Bucket
from .gradients import SparseGradient, not_finite
from .options import Group
from .parameters import Leaf
from .row_tracking import ParameterLayout, RowTracker

Bound = Array | SparseGradient | None  # a leaf's gradient, as engines take it


class Members:
    """The leaves of an optimizer, their buckets, and row trackers of those that have had a sparse gradient."""

    def __init__(self, leaves: list[Leaf], buckets: list[Bucket], exact: Exact) -> None:
        self.leaves, self.buckets, self._exact = leaves, buckets, exact
        self.trackers: dict[int, RowTracker] = {}
        self.place = {i: (b, k) for b in buckets for k, i in enumerate(b.leaves)}

    def following(self, run: Engine, groups: Sequence[Group], rates: bool, times: Sequence[int]) -> Members:
        """Return these leaves under other values of their rules; where rows go on otherwise, trackers are new.

        times: each leaf's steps so far. Raises HyperparameterError for values whose rate overflows.
        """
        buckets = [
            b.following(run, groups[self.leaves[b.leaves[0]].group], rates, min(times)) for b in self.buckets
        ]
        members = Members(self.leaves, buckets, self._exact)
        for i, tracker in self.trackers.items():
            started = members.place[i][0].started
            if tracker.goes_on(started.rule, started.options, started.update):
                members.trackers[i] = tracker
            else:
                members.track(i, tracker.table.width, times[i], fresh=True)
        return members

    def tensors(self, i: int) -> dict[str, Array]:
        """Return leaf i's arrays by what its update calls them, each in memory order."""
        bucket, k = self.place[i]
        return bucket.tensors[k]

    def track(self, i: int, width: int, t: int, fresh: bool) -> RowTracker:
        """Track leaf i, which has had t steps, by rows of so many coordinates, and return its new tracker.

        fresh: no row has been touched since the start.
        """
        leaf, bucket = self.leaves[i], self.place[i][0]
        arrays = [self.tensors(i)[n] for n in bucket.update.arrays if n != "g"]
        try:
            ahead = [bucket.scalars(s) for s in (1, 2, 10, 1000)]
        except HyperparameterError:  # a schedule that holds for fewer steps
            ahead = []
        self.trackers[i] = tracker = RowTracker(
            ParameterLayout(leaf.flat.dtype.name, [*map(address, arrays)], leaf.shape, leaf.fortran, arrays),
            bucket.group.rule,
            bucket.started.options,
            bucket.update,
            self._exact,
            ahead,
            max(1, width),
            t,
            fresh=fresh and bool(ahead),
        )
        return tracker

    @property
    def stale(self) -> int:
        """How many rows are behind."""
        return sum(tracker.table.stale for tracker in self.trackers.values())

    def catch_up(self) -> None:
        """Bring every row up to date, in the user's arrays too."""
        for i, tracker in self.trackers.items():
            self.leaves[i].copy_in()
            tracker.table.catch_up()
            self.leaves[i].copy_back()

    def wrong(self, gradients: Sequence[Bound]) -> Iterator[str]:
        """Yield what is wrong with gradients that an engine does not take."""
        for bucket in self.buckets:
            for i in bucket.leaves:
                gradient = gradients[i]
                if gradient is not None:
                    wrong = not_finite(self.leaves[i], gradient, bucket.group.rule, bucket.batch.limit)
                    if wrong is not None:
                        yield wrong

    def finite(self, gradients: Sequence[Bound]) -> bool:
        """Whether engines take all gradients, which are those that are bound."""
        sparse = {i: g for i, g in enumerate(gradients) if isinstance(g, SparseGradient)}
        fed = (b for b in self.buckets if any(gradients[i] is not None and i not in sparse for i in b.leaves))
        return all(b.batch.finite() for b in fed) and all(
            self.trackers[i].table.finite(g.values) for i, g in sparse.items()
        )


def dense(gradients: Sequence[Bound]) -> list[Array | None]:
    """Return the gradients that are dense, None for all others."""
    return [None if isinstance(g, SparseGradient) else g for g in gradients]


def sparse(gradients: Sequence[Bound]) -> dict[int, SparseGradient]:
    """Return the gradients that are sparse, by leaf."""
    return {i: g for i, g in enumerate(gradients) if isinstance(g, SparseGradient)}
