"""Optimizer: a rule started on a user's arrays.

a) ``tree`` turns nested lists, dicts and tuples into leaves and back.
b) Leaves of one group and dtype form a bucket, which an engine updates in one pass.
c) Everything is checked before anything moves; a gradient that is the same object as in the last
   step is not looked at again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from operator import attrgetter, is_
from threading import RLock
from typing import Any, NoReturn
from weakref import WeakSet

import numpy as np
from numpy.typing import ArrayLike

from ..archive import Archive, Layout
from ..core.rule import Optimizer, Params, Rule
from ..engines import engine
from ..engines.memory import Array, address
from ..errors import GradientError, NonFiniteError, ParameterError, StateError, nearest
from ..notebook import display, table
from . import saving, tree
from .bucket import Bucket
from .gradients import SparseGradient, gradient_of, indices_of, shares, sparse, touched
from .held_arrays import HeldArrays
from .interruption import without_interruption
from .members import Bound, Members
from .options import Group, Settings, following, grouped
from .parameters import Leaf, Memory, parameter, require_distinct
from .row_tracking import RowTracker
from .window import Window

RATES_KEPT = 1 << 16  # up to so many weights in all, every step also writes its rates

_LAYOUT = attrgetter("dtype", "shape", "strides")
_WRITEABLE = attrgetter("flags.writeable")


_LIVE: WeakSet[ArrayOptimizer] = WeakSet()


def _unlock_after_fork() -> None:
    """Give optimizers new locks in a forked child: no thread of its parent's is there to release one."""
    for opt in list(_LIVE):
        opt._lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_after_fork)


def start(
    rule: Rule,
    params: Params,
    groups: Mapping[str, Mapping[str, Any] | Rule],
    engine: str,
    settings: Settings,
) -> ArrayOptimizer:
    """Start a rule on arrays; see ``Rule.on``."""
    paths = [keys for keys, _ in tree.leaves(params)]
    settled, membership = grouped(rule, settings, groups, paths)
    return ArrayOptimizer(params, settled, membership, engine)


class ArrayOptimizer(Optimizer):
    """The optimizer of NumPy's arrays; what it offers is said at ``Optimizer``."""

    # No other attribute can be set: what would be ignored is refused.
    __slots__ = (
        "__weakref__", "_ahead", "_groups", "_guarded", "_hold", "_last", "_layouts", "_leaves", "_lock", "_members", "_memory", "_params", "_passes", "_rates", "_restored", "_run", "_run_name", "_settings", "_settled", "_spec", "_t", "_together", "_user_arrays", "_whole", "_window", "skipped",
    )  # fmt: skip

    def __init__(
        self, params: Params, groups: Sequence[Group], membership: Sequence[int], engine_name: str
    ) -> None:
        # Threads may share an optimizer: who reads or writes weights and counts waits for who does.
        self._lock = RLock()
        _LIVE.add(self)
        self._settings = groups[0].settings
        self.skipped = 0
        self._params, self._groups = params, groups
        self._run, self._run_name = engine(engine_name), engine_name
        self._restored = False
        leaves = tree.leaves(params)
        if not leaves:
            raise ParameterError("on: params hold no array")
        self._spec = tree.shape(params)
        names = tree.names([keys for keys, _ in leaves])
        self._leaves = [
            parameter(name, keys, array, group)
            for name, (keys, array), group in zip(names, leaves, membership, strict=True)
        ]
        require_distinct(self._leaves)
        size = sum(x.flat.size for x in self._leaves)
        wanted = self._settings.rates
        self._rates = size <= RATES_KEPT if wanted is None else wanted
        keys: dict[tuple[int, str], list[int]] = {}
        for i, leaf in enumerate(self._leaves):
            keys.setdefault((leaf.group, leaf.flat.dtype.name), []).append(i)
        buckets = [
            Bucket(self._run, self._groups[g], members, self._leaves, self._rates)
            for (g, _), members in keys.items()
        ]
        self._members = Members(self._leaves, buckets, self._settings.exact)  # type: ignore[arg-type]
        written = [a for b in buckets for tensor in b.tensors for a in tensor.values()]
        self._memory = Memory([*written, *(x.array for x in self._leaves if x.copied)])
        self._last: list[Any] = [None] * len(self._leaves)  # the gradient objects bound now
        self._hold: list[Any] = [None] * len(self._leaves)  # what their addresses point into
        self._user_arrays = HeldArrays(params, self._leaves)
        self._layouts = [_LAYOUT(x.array) for x in self._leaves]
        self._settled = False  # all of them are, and none is a copy
        self._whole = False  # no gradient is None or sparse
        settings = self._settings
        self._guarded = settings.on_nonfinite != "propagate"
        # Every leaf takes part in every step at the same t, and nothing stands between them.
        self._together = settings.accumulate == 1 and settings.clip_norm is None
        self._together = self._together and not any(leaf.copied for leaf in self._leaves)
        self._t = 0
        self._window = Window(self._run, settings)
        self._passes = [(b, b.batch, (0,) * len(b.leaves)) for b in buckets]
        self._note_passes()

    # Stepping.

    def step(self, grads: Params) -> None:
        try:
            self._lock.acquire()  # half of what ``with`` takes
            if self._spec is None:
                if not _WRITEABLE(self._params):
                    self._user_arrays.require_writeable("step")
                if (grads is not self._last[0] or grads is None) and not self._bind_one(grads):
                    self._bind((grads,))
            else:
                self._user_arrays.require_same()
                given = tree.matching(grads, self._spec, GradientError, "gradients")
                if not (self._settled and all(map(is_, given, self._last))):
                    self._bind(given)
            if not (self._together and self._whole):
                self._general_step()
            elif len(self._passes) > 1:
                self._step_together()
            else:
                bucket, batch, which = self._passes[0]
                t = self._t + 1
                rows = (bucket.scalars(t),)
                if not self._guarded:
                    batch.run(rows, which)
                    self._t = t
                elif batch.step(rows, which):
                    self._t = t
                else:
                    self._refuse()
        except BaseException:
            self._count_interrupted()
            self._forget_gradients()  # some may be bound and others not
            with suppress(RuntimeError):  # interrupted while it waited for another thread
                self._lock.release()
            raise
        else:
            self._lock.release()

    def _step_together(self) -> None:
        """Step several buckets, all at the same t, none of which moves before all gradients are seen to be good."""
        t = self._t + 1
        values = [bucket.scalars(t) for bucket in self._members.buckets]
        if self._guarded and not all(batch.finite() for _, batch, _ in self._passes):
            self._refuse()
            return
        for (_, batch, which), row in zip(self._passes, values, strict=True):
            batch.run((row,), which)
        self._t = t

    def _note_passes(self) -> None:
        """Note by how much the passes of each bucket are ahead of t, which holds as long as all step together."""
        self._ahead = [b.batch.passes - self._t for b in self._members.buckets]

    def _count_interrupted(self) -> None:
        """Finish and count a step of all buckets together that Ctrl-C has come into, if weights have moved."""
        if not self._together:
            return
        t = self._t + 1

        def late() -> list[int]:
            return [k for k, b in enumerate(self._members.buckets) if b.batch.passes - self._ahead[k] < t]

        def finish() -> None:
            for k in late():
                bucket, batch, which = self._passes[k]
                batch.run((bucket.scalars(t),), which)
            self._t = t

        if len(late()) < len(self._members.buckets):
            without_interruption(finish)

    def count(self, steps: int) -> None:
        with self._lock:
            if self._together:
                self._t += steps
                self._note_passes()
            else:
                for leaf in self._leaves:
                    leaf.t += steps

    def _bind(self, given: Sequence[Any]) -> None:
        """Check gradients that are new objects and hand them to the engine; nothing moves before all fit."""
        last, hold = self._last, self._hold
        starts = self._alike(given) if self._settled else None
        if starts is not None:
            for bucket in self._members.buckets:
                bucket.bind_all(given, starts)
            last[:] = given
            hold[:] = [g.T if x.fortran else g for g, x in zip(given, self._leaves, strict=True)]
            return
        checked = [
            (i, g, *self._gradient(i, leaf, g))
            for i, (g, leaf) in enumerate(zip(given, self._leaves, strict=True))
            if g is None or g is not last[i]
        ]
        for i, gradient, held, start in checked:
            bucket, k = self._members.place[i]
            bucket.bind(k, None if type(held) is SparseGradient else held, start)
            # A copy is out of date at the next step even if the object is the same.
            last[i] = gradient if start else None
            hold[i] = held
        self._settled = all(x is not None for x in last)
        self._whole = not self._members.trackers and (
            self._settled or all(x is not None and type(x) is not SparseGradient for x in hold)
        )

    def _gradient(self, i: int, leaf: Leaf, gradient: Any) -> tuple[Any, int]:
        """A gradient as the engine takes it, and its address; 0 where it is a copy or sparse."""
        if not sparse(gradient):
            return gradient_of(leaf, gradient, self._memory)
        given = touched(leaf, gradient)
        if self._memory.holds(given.values):
            raise shares(leaf)
        if self._run_name == "plain" or not leaf.flat.size:
            flat = np.zeros((leaf.flat.size // max(1, given.width), given.width), dtype=leaf.dtype)
            if given.values.size:
                np.add.at(flat, given.rows, given.values)
            return flat.reshape(-1), 0
        return self._tracker(i, given.width).gathered(given), 0

    def _tracker(self, i: int, width: int) -> RowTracker:
        """Return leaf i's row tracker, creating it at its first sparse gradient."""
        trackers = self._members.trackers
        if i not in trackers:
            t = self._times()[i]
            self._members.track(i, width, t, fresh=t == 0 and not self._restored)
            if self._leaves[i].gathered:  # by gradients that nobody has followed, or before a file was saved
                trackers[i].gather_all()
            self._whole = False  # from now on, even if this step is refused
        return trackers[i]

    def _times(self) -> list[int]:
        """Return of each leaf how many steps it has had."""
        return [self._t if self._together else leaf.t for leaf in self._leaves]

    def _bind_one(self, gradient: Any) -> bool:
        """``_bind`` for a lone array whose gradient lies just as it does; False where it does not."""
        bucket, layout = self._members.buckets[0], self._layouts[0]
        if not (self._settled and type(gradient) is np.ndarray and _LAYOUT(gradient) == layout):
            return False
        start = address(gradient)
        if bucket.gather is not None or self._memory.meets(start, start + gradient.nbytes):
            return False
        bucket.batch.bind(0, gradient, start)
        self._last[0] = gradient
        self._hold[0] = gradient.T if self._leaves[0].fortran else gradient
        return True

    def _alike(self, given: Sequence[Any]) -> list[int] | None:
        """Addresses of gradients that lie just as their parameters do, looked at all at once; else None."""
        if set(map(type, given)) != {np.ndarray} or list(map(_LAYOUT, given)) != self._layouts:
            return None
        starts = list(map(address, given))
        meets = self._memory.meets
        for start, gradient in zip(starts, given, strict=True):
            if meets(start, start + gradient.nbytes):
                return None  # the slow way says which and how
        return starts

    def _general_step(self) -> None:
        """Step where gradients are missing or sparse, leaves have counts of their own, or something stands between."""
        gradients: list[Bound] = self._hold
        if self._settings.accumulate == 1 and all(g is None for g in gradients):
            return
        self._part()
        if self._guarded and not self._members.finite(gradients):
            self._refuse()
            return
        try:
            self._window.take(self._members, gradients)
        except NonFiniteError as error:
            self._refuse(str(error))

    def _part(self) -> None:
        """From the count that all leaves share to a count for each."""
        if self._together:
            for leaf in self._leaves:
                leaf.t = self._t
            self._together = False

    def finish(self) -> None:
        with self._lock:
            if self._window.calls:
                self._user_arrays.require_same()
                nothing: list[Array | None] = [None] * len(self._leaves)
                try:
                    self._window.close(self._members, nothing, {}, self._window.calls)
                except NonFiniteError as error:
                    self._refuse(str(error))
                self._forget_gradients()

    def _forget_gradients(self) -> None:
        """Have the gradients of the next step bound anew, whatever they are."""
        self._last[:] = self._hold[:] = [None] * len(self._leaves)
        self._settled = self._whole = False

    def _refuse(self, wrong: str = "") -> None:
        """Count a step that is left out for a gradient that is not finite, or raise NonFiniteError for it.

        wrong: what is wrong; looked for among the gradients where it is not known.
        """
        if self._settings.on_nonfinite == "skip":
            self.skipped += 1
            return
        raise NonFiniteError(wrong or next(self._members.wrong(self._hold)))

    # Looking.

    @property
    def rule(self) -> Rule:
        return self._groups[0].rule

    @rule.setter
    def rule(self, rule: Rule) -> None:
        with self._lock:
            groups = following(self._groups, rule)
            if groups == self._groups:
                return
            members = self._members.following(self._run, groups, self._rates, self._times())
            before = self._members.trackers
            renewed = [(before[i], new) for i, new in members.trackers.items() if new is not before[i]]
            if renewed:
                self.flush()  # by the old values
            for old, new in renewed:
                new.table.untouched_as(old.table)
                new.pending = old.pending
            passes = [(b, b.batch, (0,) * len(b.leaves)) for b in members.buckets]
            last: list[Any] = [None] * len(self._leaves)  # batches that are new have no gradients yet
            # In one go, which no Ctrl-C comes between.
            self._groups, self._members, self._passes = groups, members, passes
            self._last, self._settled = last, False
            self._note_passes()

    @property
    def settings(self) -> Settings:
        """What the run was started with beside the rule."""
        return self._settings

    @settings.setter
    def settings(self, value: object) -> None:
        raise StateError("settings: stay those that the run was started with; start another with rule.on")

    @property
    def params(self) -> Params:
        self.flush()
        return self._params

    # Rows that sparse gradients have left behind.

    def read(self, name: tree.Name, rows: ArrayLike) -> Array:
        meant = [
            i
            for i, x in enumerate(self._leaves)
            if name == (x.keys if isinstance(name, tuple) else tree.dotted(x.keys))
        ]
        if not meant:
            known = (x.path if isinstance(x.path, str) else repr(x.path) for x in self._leaves)
            raise ParameterError(f"read: no parameter {name!r}: {nearest(name, known)}")
        if len(meant) > 1:
            tuples = " or ".join(repr(self._leaves[i].keys) for i in meant)
            raise ParameterError(f"read: {name!r} may mean {tuples}: give that tuple of keys")
        (i,) = meant
        leaf = self._leaves[i]
        indices = indices_of(leaf, rows, f"read({name!r})")
        with self._lock:
            tracker = self._members.trackers.get(i)
            if tracker is not None and tracker.moves:
                self._user_arrays.require_writeable("read")
                leaf.copy_in()
                tracker.catch_up(indices)
                leaf.copy_back()
            return leaf.array.take(indices, axis=0)

    def flush(self) -> None:
        with self._lock:
            if self.stale:
                self._user_arrays.require_writeable("flush")
            self._members.catch_up()

    @property
    def stale(self) -> int:
        return self._members.stale

    @property
    def plan(self) -> dict[tree.Name, str]:
        return {self._leaves[i].path: f.plan.why for i, f in self._members.trackers.items()}

    @property
    def t(self) -> Any:
        if self._together:
            return self._t
        times = [leaf.t for leaf in self._leaves]
        return times[0] if len(set(times)) == 1 else tree.build(self._spec, times)

    @property
    def state(self) -> dict[str, Any]:
        self.flush()
        names = dict.fromkeys(n for b in self._members.buckets for n in b.group.rule.parts.states)
        return {n: self._shown(n) for n in names}

    @property
    def average(self) -> Params:
        if self._settings.average is None:
            raise StateError("average: none is kept; start with rule.on(params, average=0.999) or 'polyak'")
        self.flush()
        return self._shown("_average")

    def rates(self) -> Params:
        if not any(b.group.rule.parts.rate for b in self._members.buckets):
            raise StateError(f"rates: {type(self.rule).__name__} defines no rate")
        if not self._rates:
            raise StateError("rates: not kept for so many weights; start with rule.on(params, rates=True)")
        if not (self._t or any(leaf.t for leaf in self._leaves)):
            raise StateError("rates: no step has been taken yet")
        self.flush()
        return self._shown("_rate")

    def _shown(self, name: str) -> Params:
        values: list[Any] = []
        for i, leaf in enumerate(self._leaves):
            flat = self._members.tensors(i).get(name)
            values.append(None if flat is None else leaf.shaped(flat))
        return tree.build(self._spec, values)

    def __repr__(self) -> str:
        size = sum(x.flat.size for x in self._leaves)
        return f"<Optimizer {self.rule!r}, {len(self._leaves)} arrays, {size} weights, t={self.t}>"

    def _repr_html_(self) -> str:
        rows = [
            [
                str(x.path) if x.keys else "params",
                x.array.shape,
                x.array.dtype,
                repr(self._groups[x.group].rule),
            ]
            for x in self._leaves
        ]
        return display(
            table(["parameter", "shape", "dtype", "rule"], rows, f"t = {self.t}", left=(0, 1, 2, 3))
        )

    # Copies: what pickle takes, and with it copy.deepcopy.

    def __reduce__(self) -> tuple[Any, ...]:
        with self._lock:
            self.flush()
            arrays = [
                {n: leaf.shaped(a) for n, a in self._members.tensors(i).items() if n != "w"}
                for i, leaf in enumerate(self._leaves)
            ]
            counts = [(t, leaf.gathered) for t, leaf in zip(self._times(), self._leaves, strict=True)]
            membership = [leaf.group for leaf in self._leaves]
            return _twin, (
                self._params,
                self._groups,
                membership,
                self._run_name,
                arrays,
                counts,
                self._window.calls,
                self.skipped,
            )

    def __copy__(self) -> NoReturn:
        raise StateError(
            "copy: a shallow copy would move the same arrays by counts of its own;"
            " use copy.deepcopy(opt), whose arrays are its params"
        )

    # Saving.

    def save(self, path: str | os.PathLike[str]) -> None:
        with self._lock:
            self.flush()
            leaves = [
                saving.SavedLeaf(
                    x.path if isinstance(x.path, str) else repr(x.path),
                    tree.identity(x.keys),
                    x.array.shape,
                    x.array.dtype.name,
                    x.group,
                    self._t if self._together else x.t,
                    x.gathered,
                )
                for x in self._leaves
            ]
            arrays: dict[str, Array] = {}
            for i, leaf in enumerate(self._leaves):
                arrays |= {f"{i}.{n}": a for n, a in self._members.tensors(i).items() if n != "w"}
                arrays[f"{i}.w"] = leaf.array
            saving.write(path, self._groups, leaves, self._window.calls, self.skipped, arrays)

    def restore(self, run: saving.SavedRun, file: Archive, places: Sequence[int]) -> None:
        """Take over weights, states and counts of a file; everything is read before anything is copied.

        places: for each leaf its number in the file. Raises FileError where its arrays do not fit.
        """
        targets: dict[str, Array] = {}
        for i, saved in enumerate(places):
            targets |= {f"{saved}.{n}": a for n, a in self._members.tensors(i).items() if n != "w"}
            targets[f"{saved}.w"] = self._leaves[i].array
        arrays = file.arrays({n: Layout(x.dtype, x.shape) for n, x in targets.items()})
        counts = [(run.leaves[k].t, run.leaves[k].gathered) for k in places]
        for n, target in targets.items():
            np.copyto(target, arrays[n])
        self._go_on(counts, run.calls, run.skipped)

    def _go_on(self, counts: Sequence[tuple[int, int]], calls: int, skipped: int) -> None:
        """Take over of each leaf the steps done and the gradients gathered in a window's calls; its states are there."""
        for leaf, (t, gathered) in zip(self._leaves, counts, strict=True):
            leaf.t, leaf.gathered = t, gathered
        self._restored = True  # states are not those of a start
        self.skipped, self._window.calls = skipped, calls
        self._t = counts[0][0]
        self._note_passes()
        self._together = self._together and len({t for t, _ in counts}) == 1


def _twin(
    params: Params,
    groups: Sequence[Group],
    membership: Sequence[int],
    engine_name: str,
    arrays: Sequence[Mapping[str, Array]],
    counts: Sequence[tuple[int, int]],
    calls: int,
    skipped: int,
) -> ArrayOptimizer:
    """Return an optimizer on these arrays that stands where another does: its states by leaf, shaped as parameters."""
    opt = ArrayOptimizer(params, groups, membership, engine_name)
    for i, leaf in enumerate(opt._leaves):
        for n, values in arrays[i].items():
            np.copyto(leaf.shaped(opt._members.tensors(i)[n]), values)
    opt._go_on(counts, calls, skipped)
    return opt


__all__ = ["ArrayOptimizer", "Settings", "start"]
