"""Linear models on sparse rows: one compiled pass, in which every row is a step.

A row's features are gathered from their records into contiguous buffers, where the rule's printed step
runs vectorised, and are scattered back. Between two rows that have a feature it is behind; it catches up
when it is gathered, by the rule's plan (``core/idle_model.py``, ``engines/sparse.py``).

a) A feature's weights, states and last step lie side by side in one record, so that a feature costs one
   cache line; the records of the next row are asked for while this one is worked on.
b) Of a rule whose w and states all rest without a gradient nothing is behind, and no step is remembered.
c) Of absent features the penalties have a closed form where w rests, or rests once its moves have run out: their gain
   is that of the last step with a gradient (``linear_text.penalise``; of one output, and where nothing else moves
   them, those of a row together). So has the sum of the weights (averaging)
   where w rests, beside L2 at a constant lr too. Elsewhere each step is replayed.
d) After ``LOG`` steps, or where a product becomes too small, everything catches up and counting starts anew.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ...core.catch_up import GROWTH, CatchUp, plan, rests
from ...core.formula import Function
from ...core.rule import Rule
from ...core.schedule import Schedule
from ...core.started import settled, start
from ...core.step_options import BARE, StepOptions
from ...core.update import Update
from .. import plain
from ..memory import Array, address
from . import launch
from .compile import Kernel
from .compile import kernel as compiled
from .csr import Rows
from .job import RESULT
from .linear_text import CATCH, EXTRA, FIT, JOB, POWERS, PassText, Printed

LOG = 1 << 18  # steps that are logged before everything catches up
SMALLEST = -300.0  # of the logarithm of a product, before counting starts anew; half of what is safe


def planned(rule: Rule, options: StepOptions, bits: int) -> CatchUp:
    """The plan of a linear model's coordinates: a series does not pay for one row at a time."""
    bare = options._replace(metric=False, l1=False, l2=False, total=False)
    made = plan(rule, bare, "value", bits)
    if made.kind == "series":
        made = made._replace(kind="bounded", why=f"replay of at most {made.window} steps")
    closed = made.kind == "closed" and made.idle is not None and rests(made.idle, rule.parts.states)
    moved = made.kind == "closed" and not closed
    what = ""
    if options.metric and (moved or "w" in dict(made.products)):
        what = "penalties of a rule that moves weights without a gradient"
    elif options.total and not closed:
        what = "an average"
    elif (
        options.total and options.metric and (options.l1 or isinstance(rule.hyperparameters["lr"], Schedule))
    ):
        what = "penalties with an average"
    if what:
        made = CatchUp("replay", 1 << 30, (), (), f"replay of every step: {what} has no closed form here")
    return made


@cache
def _kernel(p: Printed, stored: str, index: str, datum: str) -> Kernel:
    return compiled(PassText(p, stored, index, datum).whole())[0]


def _stays(update: Update, start: Mapping[str, float], row: Sequence[float]) -> bool:
    """Whether a weight 0 that no gradient has touched stays as it is."""
    element = plain.element(update, np.dtype(np.float64))
    before = {"g": 0.0, "w": 0.0, **update.starts, **start}
    made = element(*(np.float64(before[n]) for n in update.arrays), *map(np.float64, row))
    return all(v == before[n] for n, v in zip(update.written, made, strict=True))


class Pass:
    """A linear model's coordinates, and the pass that trains them.

    rule: after each of its steps the penalties l1 |w| + l2 w^2 / 2 are taken in its own metric (``core/gain.py``), or
    inside it where it has a row for that (``Rule.penalised``); they do not touch the intercept. outputs: scores of a row. average: steps after which the weights are summed up;
    None: never. dtype: float32 or float64, of weights, states and arithmetic; the loss is float64.
    """

    def __init__(
        self,
        rule: Rule,
        loss: Function | None,
        values: tuple[float, ...],
        features: int,
        outputs: int,
        *,
        l1: float,
        l2: float,
        intercept: bool,
        average: int | None,
        dtype: str,
    ) -> None:
        if (l1 or l2) and rule.parts.cumulates:
            rule, l1, l2 = rule.penalised(l1, l2), 0.0, 0.0
        elif l1 or l2:
            rule, l2, _ = settled(rule, l2, "proximal")  # in place of a decay of its own
        self.rule, self.features, self.outputs, self.t = rule, features, outputs, 0
        self.real = np.dtype(dtype)
        started = start(rule, weight_decay=l2, decay="proximal", l1_decay=l1, sum_after=average)
        options, update = started.options, started.update
        self.plan = planned(rule, options, np.finfo(dtype).nmant + 1)
        hyper = rule.hyperparameters
        self._scheduled = tuple(n for n, v in hyper.items() if isinstance(v, Schedule))
        free = self.plan.still and options == BARE
        single = outputs == 1
        self._printed = Printed(
            rule.parts,
            update,
            self.plan,
            loss,
            values,
            self._scheduled,
            not free,
            single,
            options,
            ("l1", "l2") if rule.parts.cumulates else (),
        )
        self._names = [n for n in update.arrays if n != "g"]
        item = self.real.itemsize
        size = item * outputs * len(self._names) + (0 if free else item)
        self._stride = 1 << (size - 1).bit_length() if size <= 64 else size
        memory = np.zeros((features + 1) * self._stride + 64, dtype=np.uint8)
        skip = -address(memory) % 64
        self._memory = memory[skip : skip + (features + 1) * self._stride]
        self.arrays = {n: self._view(k) for k, n in enumerate(self._names)}
        starts = {n: float(rule.values[n]) for n in rule.parts.states}  # type: ignore[arg-type]
        for n, value in starts.items():
            if value != 0:
                self.arrays[n][...] = value
        self._seen = None if free else self._view(len(self._names), np.dtype(np.int32))[:, 0]
        logged = self.plan.kind in ("bounded", "replay")
        self._capacity = LOG if not free else 1 << 62
        deep = LOG + 2 if not free else 1
        width = max(1, len(update.scalars))
        self._log = np.zeros((deep if logged else 1, width))
        self._sums = np.zeros((deep if self.plan.products else 1, max(1, len(self.plan.products))))
        self._draws = np.zeros((deep if options.metric and "lr" in self._scheduled else 1, POWERS + 1))
        self._counts = np.zeros(deep if options.total else 1)
        self._options = options
        self._now, self._low, self._good = 0, np.inf, True
        self._kernel: Kernel | None = None  # of the rows learnt last
        constants = [float(hyper[n]) for n in self.plan.constants]  # type: ignore[arg-type]
        first_row = dict(zip(update.scalars, started.scalars(1), strict=True))
        extra = {
            "steady": first_row.get("_gain", 0.0),
            "draw": first_row.get("_draw", 0.0),
            "pull": first_row.get("_pull", 0.0),
            "ratio": l1 / l2 if l2 else 0.0,
        }
        self._constants = np.array([*constants, *(extra.get(n, 0.0) for n in EXTRA)])
        first = rule.at(0)
        numbers = (l1, l2, float(average or 0), float(intercept))
        self._hyper = np.array([*numbers, *first.values()])
        self.average = average
        stays = _stays(update, starts, started.scalars(1))
        if self._seen is not None and stays:
            self._seen[:features] = -1

    def _view(self, k: int, dtype: np.dtype[Any] | None = None) -> Array:
        item, outputs = self.real.itemsize, self.outputs
        shape = (self.features + 1, outputs if dtype is None else 1)
        strides = (self._stride, item)
        return np.ndarray(shape, dtype or self.real, self._memory, item * outputs * k, strides)

    def learn(self, rows: Rows, targets: Array, weights: Array | None, order: Array) -> tuple[float, float]:
        """One step for each row in ``order`` (int64); the sums of weight times loss, before each step, and of weights.

        targets, weights: float64 (n,); classes as numbers from 0, or -1 and +1 where there is one score.
        """
        index = "int32" if rows.indices is None else rows.indices.dtype.name
        self._kernel = kernel = _kernel(self._printed, self.real.name, index, rows.data.dtype.name)
        if rows.indices is None or rows.indptr is None:
            longest = rows.shape[1]
            indices, indptr = np.arange(longest, dtype=np.int32), np.zeros(1, dtype=np.int32)
        else:
            indices, indptr = rows.indices, rows.indptr
            longest = int(np.diff(indptr).max(initial=0))
        room = -(-max(1, longest) * self.outputs // 16) * 16
        arrays = self._printed.update.arrays
        head = 16 * self.outputs + 8 * len(self._printed.update.scalars)
        extra = 2 * 8 * room  # what each feature of a row lags behind, and loses by it
        work = np.empty(head + self.real.itemsize * room * len(arrays) + extra + 64, dtype=np.uint8)
        totals = np.zeros(2)
        done, total = 0, len(order)
        while done < total:
            if (
                self._now >= self._capacity
                or self._sums[min(self._now, len(self._sums) - 1)].min() < SMALLEST
            ):
                self.catch_up()
            count = min(total - done, self._capacity - self._now)
            plans = self._schedule(count)
            words = {
                "phase": FIT,
                "count": count,
                "order": address(order) + 8 * done,
                "indptr": address(indptr),
                "indices": address(indices) if indices.size else 0,
                "data": address(rows.data) if rows.data.size else 0,
                "dense": longest if rows.indptr is None else 0,
                "targets": address(targets),
                "weights": 0 if weights is None else address(weights),
                "records": address(self._memory),
                "stride": self._stride,
                "features": self.features,
                "width": self.outputs,
                "now": self._now,
                "capacity": self._capacity,
                "done": self.t,
                "planned": address(plans) if plans.size else 0,
                "work": address(work),
                "room": room,
                "totals": address(totals),
            }
            job = self._job(words)
            launch.call(kernel, job)
            taken = int(job[RESULT])
            if self._seen is not None:
                self._now = int(job[JOB.at["now"]])
                self._seen[self.features] = self._now
            self.t += taken
            done += taken
        return float(totals[0]), float(totals[1])

    def begin(self, weights: Array, intercepts: Array) -> None:
        """Begin at given weights (features, outputs) and intercepts (outputs,)."""
        self.arrays["w"][:-1], self.arrays["w"][-1] = weights, intercepts
        if self._seen is not None:
            self._seen[:] = self._now

    def resume(self, arrays: Mapping[str, Array], t: int) -> None:
        """Take over coordinates that were up to date at step t. Raises ValueError where one does not fit."""
        for n, target in self.arrays.items():
            if arrays[n].shape != target.shape or arrays[n].dtype != target.dtype:
                raise ValueError(f"{n} is {arrays[n].dtype} {arrays[n].shape}")
        if t < 0:
            raise ValueError(f"step {t}")
        self.catch_up()
        for n, target in self.arrays.items():
            target[...] = arrays[n]
        if self._seen is not None:
            self._seen[:] = 0
        self.t = t

    def _schedule(self, count: int) -> Array:
        """The scheduled hyperparameters of the next steps, a row each."""
        if not self._scheduled:
            return np.zeros((0, 0))
        steps = range(self.t, self.t + count)
        made = np.array([self.rule.over(n, steps) for n in self._scheduled]).T.copy()
        if self.plan.kind == "bounded" and "lr" in self._scheduled:
            lr = made[:, self._scheduled.index("lr")]
            self._low = min(self._low, float(lr.min()))
            self._good = self._good and float(lr.max()) <= GROWTH * self._low
        return made

    def _job(self, words: Mapping[str, int]) -> Array:
        self._constants[len(self.plan.constants)] = self.t - self._now
        return JOB.vector(
            window=self.plan.window,
            good=int(self._good),
            log=address(self._log),
            sums=address(self._sums),
            draws=address(self._draws),
            counts=address(self._counts),
            hyper=address(self._hyper),
            constants=address(self._constants),
            **words,
        )

    @property
    def always_up_to_date(self) -> bool:
        """Whether no coordinate ever has to catch up."""
        return self._seen is None

    def catch_up(self) -> None:
        """Bring every coordinate to the last step."""
        if self._seen is not None and self._now:
            words = {
                "hi": self.features + 1,
                "phase": CATCH,
                "records": address(self._memory),
                "stride": self._stride,
                "width": self.outputs,
                "now": self._now,
            }
            assert self._kernel is not None  # no step without one; catching up, each layout's does the same
            launch.call(self._kernel, self._job(words))
        self._now, self._low, self._good = 0, np.inf, True
