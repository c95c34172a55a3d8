"""Sparse gradients: a step touches the rows that the gradient touches, and equals the dense step.

A parameter is a table of rows. A step at t works on the rows given; each is first brought from the last
step that it has seen to t - 1, as the rule's ``CatchUp`` says (``core/idle_model.py``), and then steps. Rows
that nobody touches cost nothing until they are read, flushed or touched.

a) ``seen`` holds the last step of each row, counted from ``base``, where all rows were current; -1 is
   a row that no gradient has touched since the start, and that therefore does not move. There is none where
   nothing moves without a gradient.
b) The scalars of every step since ``base`` are logged, for replay; so are the logarithms of what
   multiplies w or a state at every step, summed.
c) For a series, entry s of a table holds the sums A_i over the idle steps after s. Each step adds a term
   to the entries of the last ``window`` steps; older ones are complete. A row reads one entry.
d) The log is bounded: after ``LOG`` steps everything is flushed, and ``base`` moves.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np

from ...core.catch_up import GROWTH, CatchUp
from ...core.rule_parts import RuleParts
from ...core.update import Update
from .. import plain
from ..memory import Array, address
from . import launch
from . import object_cache as objects
from .compile import Kernel, kernel
from .job import OWN, RESULT
from .sparse_text import ADVANCE, CATCH, CHECK, JOB, STEP, TERMS, Shape, Text, shape

LOG = 1 << 16  # steps that are logged before everything is flushed
GRAIN = 1 << 17  # coordinates below which a second thread costs more than it saves

# The words that change from pass to pass.
_PASS = ("hi", "phase", "rows", "values", "to", "mark", "scalars", "skip", "good", "done")
_HI, _PHASE, _ROWS, _VALUES, _TO, _MARK, _SCALARS, _SKIP, _GOOD, _DONE = (JOB.at[n] for n in _PASS)


@cache
def _kernel(update: Update, form: Shape, stored: str) -> tuple[Kernel, Kernel]:
    return kernel(Text(update, form, stored).whole())


def stands(update: Update, start: Mapping[str, float], scalars: Iterable[Sequence[float]]) -> bool:
    """Whether a step without gradient leaves any w and the states that a run starts with as they are."""
    element = plain.element(update, np.dtype(np.float64))
    others = [n for n in update.written if n not in ("w", "_rate")]
    for row in scalars:
        for w in (0.7, -1.3e3, 0.0):
            before = {"g": 0.0, "w": w, "_a": 0.0, "_rate": 0.0, "_average": w, "_gain": 0.0, **start}
            made = element(*(np.float64(before[n]) for n in update.arrays), *row)
            after = dict(zip(update.written, made, strict=True))
            if after["w"] != w or any(after[n] != before[n] for n in others):
                return False
    return True


class Table:
    """A parameter as rows: how far each is, and what is needed to bring it up to date.

    addresses: of ``update.arrays`` but g, each holding ``rows`` times ``width`` numbers; ``keep`` holds
    them alive. t: steps done so far. fresh: no row has been touched yet. The caller has checked
    indices (``Gatherer``) and knows the scalars of each step.
    """

    def __init__(
        self,
        rule_parts: RuleParts,
        update: Update,
        plan: CatchUp,
        stored: str,
        addresses: Sequence[int],
        rows: int,
        width: int,
        *,
        t: int,
        fresh: bool,
        keep: object = None,
    ) -> None:
        form = shape(rule_parts, plan)
        self.plan, self.rows, self.width, self.t = plan, rows, width, t
        self._call, self._quick = _kernel(update, form, stored)
        self._sums_kept = form.wide > 0
        self._products = [[update.scalars.index(x) for x in names] for _, names in plan.products]
        self._keep = np.array(addresses, dtype=np.int64), keep
        self._seen = np.full(0 if plan.still else rows, -1 if fresh else 0, dtype=np.int32)
        self._fresh = fresh
        self._log = np.zeros((LOG + 2, max(1, len(update.scalars))))  # mapped, not touched, until used
        self._sums = np.zeros((LOG + 2, max(1, form.wide)))
        self._table = np.zeros((LOG + 2 if plan.kind == "series" else 1, TERMS + 1))
        self._constants = np.zeros(len(plan.constants) + 1)  # and ``base``
        self._constants[-1] = t
        self._known: tuple[float, ...] | None = None
        self._base, self._changed, self._low, self._good = t, -LOG, np.inf, True
        self._grain = max(1, GRAIN // max(1, width))
        self._place()

    def _place(self) -> None:
        """Where things lie, in the job that every pass shares."""
        job = JOB.vector(
            seen=address(self._seen),
            log=address(self._log),
            constants=address(self._constants),
            table=address(self._table),
            sums=address(self._sums),
            arrays=address(self._keep[0]),
            width=self.width,
            window=self.plan.window,
        )
        self._job, self._start = job.data, address(job)

    def _run(
        self,
        phase: int,
        total: int,
        rows: int = 0,
        values: int = 0,
        to: int = 0,
        mark: int = 0,
        scalars: int = 0,
    ) -> int:
        job = self._job
        job[_HI], job[RESULT], job[_PHASE], job[_ROWS], job[_VALUES] = total, 0, phase, rows, values
        job[_TO], job[_MARK], job[_SCALARS] = to, mark, scalars
        job[_SKIP], job[_GOOD] = self._fresh, self._good
        size = total * self.width
        # A check reads in order: it is over before a thread has woken.
        if size < (8 * GRAIN if phase == CHECK else GRAIN):
            call = self._quick if size < launch.SMALL else self._call
            call(*objects.CONVENTION, self._start)
            return job[RESULT]
        moved = [0]
        try:
            return launch.run_whole(self._call, job[OWN:].tolist(), total, self._grain, _DONE, moved)
        finally:
            job[_DONE] += moved[0]

    def refine(self) -> None:
        """From rows to single coordinates."""
        self._seen = np.repeat(self._seen, self.width)
        self.rows, self.width, self._grain = self.rows * self.width, 1, GRAIN
        self._place()

    def lies_at(self, addresses: Sequence[int]) -> None:
        """The same arrays, somewhere else."""
        self._keep[0][:] = addresses

    def finite(self, values: Array) -> bool:
        """Whether every entry of a gradient's rows is finite and small enough for the states."""
        return self._run(CHECK, len(values), values=address(values)) == 0

    def step(
        self, rows: Array, values: Array, scalars: Sequence[float], constants: tuple[float, ...], lr: float
    ) -> None:
        """Step t + 1: rows (int64, distinct) with the gradients ``values``, all others with none.

        scalars: of the update; constants: the plan's hyperparameters at this step.
        """
        if self.t - self._base >= LOG:
            self.catch_up()
        self._agree(scalars, constants, lr)
        now = self.t - self._base + 1
        self._log[now, : len(scalars)] = scalars
        row = address(self._log) + self._log.strides[0] * now
        job, begun, goal = self._job, self._job[_DONE], self.t + 1
        try:
            self._run(STEP, len(rows), rows=address(rows), values=address(values), to=now - 1, scalars=row)
            self._advance(now, row, begun + 2)
            self.t = goal
        except BaseException:  # Ctrl-C: what has begun is finished, so that rows and count agree
            while self.t < goal and job[_DONE] > begun:
                try:
                    self._advance(now, row, begun + 2)
                    self.t = goal
                except KeyboardInterrupt:
                    continue
            raise

    def _advance(self, now: int, row: int, passes: int) -> None:
        """Add step ``now`` to what rows catch up by, unless so many passes have been made and this was one of them."""
        if (self._table.shape[0] > 1 or self._sums_kept) and self._job[_DONE] < passes:
            self._run(ADVANCE, 0, to=now, scalars=row)

    def _agree(self, scalars: Sequence[float], constants: tuple[float, ...], lr: float) -> None:
        """Settle accounts where what must be constant changes, or where lr has grown by much."""
        same = constants == self._known
        shrinks = any(not scalars[k] > 0 for names in self._products for k in names)
        grown = self.plan.kind in ("series", "bounded") and lr > GROWTH * self._low
        if not same or shrinks or grown:
            if self._known is not None:
                if self._good and not shrinks and self.t - self._changed > GROWTH:
                    self.catch_up()  # by the old constants
                else:
                    self._good = self.plan.kind == "lazy"  # too often: replay until all is flushed
                self._changed = self.t
            if shrinks:
                self._good = False
            self._known, self._low = constants, lr
            self._constants[: len(constants)] = constants
        self._low = min(self._low, lr)

    def catch_up(self, rows: Array | None = None) -> bool:
        """Bring rows (int64, distinct; None: all) to the last step; whether any was behind."""
        now = 0 if self.plan.still else self.t - self._base  # where all stand still, none is behind
        if rows is not None:
            rows = rows[self._behind(self._seen[rows])] if now else rows[:0]
            if len(rows):
                self._run(CATCH, len(rows), rows=address(rows), to=now, mark=now)
            return bool(len(rows))
        behind = bool(now) and bool(self.stale)
        begun = self._job[_DONE]
        try:
            if now:
                self._run(CATCH, self.rows, to=now)
            self._rebase()
        except BaseException:  # Ctrl-C once rows are counted anew
            if self._job[_DONE] > begun:
                self._rebase()
            raise
        return behind

    def _behind(self, seen: Array) -> Array:
        late: Array = seen < self.t - self._base
        return late & (seen >= 0) if self._fresh else late

    def untouched_as(self, other: "Table") -> None:
        """Of a table that starts afresh: only rows that another has not touched count as untouched."""
        if self.plan.still:
            return
        if self._fresh and other._fresh and self.width == other.width and not other.plan.still:
            self._seen[:] = np.minimum(other._seen, 0)
        elif self._fresh:
            self._seen[:], self._fresh = 0, False

    def _rebase(self) -> None:
        self._base, self._good, self._low = self.t, True, np.inf
        self._constants[-1] = self.t
        self._table[0] = self._sums[0] = 0.0

    def dense(self, t: int) -> None:
        """A step to t has moved every row: none is behind."""
        self.t = t
        self._seen[:] = 0
        self._fresh = False
        self._rebase()

    @property
    def stale(self) -> int:
        """How many rows are behind."""
        return int(np.count_nonzero(self._behind(self._seen)))
