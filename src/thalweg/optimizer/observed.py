"""An optimizer on NumPy arrays as a ``Source``: its steps are looked at without a hook in them.

While it is watched its class is one whose ``step`` has the two calls around it; a step of any other optimizer costs
what it did.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..core.rule import Params
from ..core.started import Started
from ..engines.memory import Array, address
from ..errors import GradientError, StateError
from . import tree
from .gradients import sparse
from .observing import ROUNDING, Part, Sample, say
from .optimizer import ArrayOptimizer

_WATCHED: WeakKeyDictionary[ArrayOptimizer, Callable[[Params], None]] = WeakKeyDictionary()


class _Watched(ArrayOptimizer):
    """An optimizer while it is watched."""

    __slots__ = ()

    def step(self, grads: Params) -> None:
        _WATCHED[self](grads)


class ObservedArrays:
    """See ``observing.Source``."""

    def __init__(self, optimizer: ArrayOptimizer) -> None:
        self._opt = optimizer
        leaves = optimizer._leaves
        self.names = [str(leaf.path) if leaf.keys else "w" for leaf in leaves]
        self.sample = Sample([leaf.flat.size for leaf in leaves])
        self.method = repr(optimizer.rule)
        self.notes: list[str] = []
        self.unseen: set[int] = set()
        if optimizer.settings.clip_norm is not None:
            self.notes.append("clip_norm: the factor on the gradients is not seen, so that no rates are told")
        self._grads: Params = None
        self._whole = False
        self._parts: list[Part] = []

    @property
    def skipped(self) -> int:
        return self._opt.skipped

    def attach(self, before: Callable[[bool], None], after: Callable[[], None]) -> Callable[[], None]:
        opt = self._opt
        if opt in _WATCHED:
            raise StateError("watch: this optimizer is watched already: leave the other with-block first")

        def step(grads: Params) -> None:
            if opt._window.calls + 1 < opt.settings.accumulate:  # gathers and moves nothing
                ArrayOptimizer.step(opt, grads)
                return
            self._grads = grads
            before(False)
            ArrayOptimizer.step(opt, grads)
            after()
            self._grads = None

        _WATCHED[opt] = step
        opt.__class__ = _Watched

        def detach() -> None:
            if _WATCHED.pop(opt, None) is not None:
                opt.__class__ = ArrayOptimizer

        return detach

    def before(self, whole: bool, late: bool) -> None:
        opt, self._whole, self._parts = self._opt, whole, []
        given: list[Any] = [self._grads]
        if opt._spec is not None:  # raises what the step would
            given = tree.matching(self._grads, opt._spec, GradientError, "gradients")
        times = opt._times()
        groups: dict[tuple[int, int, str], list[tuple[int, Array]]] = {}
        for i, leaf in enumerate(opt._leaves):
            g = given[i]
            if sparse(g) or i in opt._members.trackers:  # whose rows may be behind
                self.unseen.add(i)
                say(self.notes, f"the gradient of {self.names[i]} is sparse: its steps are not looked at")
                continue
            if g is None or not self.sample.counts[i] or np.shape(g) != leaf.shape:
                continue  # of one that does not fit the step says what is wrong
            leaf.copy_in()
            g = np.asarray(g)
            flat = np.ascontiguousarray(g.T if leaf.fortran else g, dtype=leaf.dtype).reshape(-1)
            groups.setdefault((leaf.group, times[i], leaf.dtype.name), []).append((i, flat))
        for (group, t, stored), members in groups.items():
            numbers = tuple(i for i, _ in members)
            taken = {"g": self._of(numbers, [g for _, g in members])}
            started: Started | None = None
            if whole:
                taken["w"] = self._named(numbers, "w")
                if opt.settings.clip_norm is None:
                    started = opt._groups[group].started(rates=True)
                    own = [n for n in started.update.kept if n != "_rate"]
                    taken |= {n: self._named(numbers, n) for n in own}
            self._parts.append(Part(numbers, started, t + 1, ROUNDING[stored], taken, {}))

    def after(self) -> list[Part]:
        if not self._whole:
            return self._parts
        return [x._replace(after={"w": self._named(x.tensors, "w")}) for x in self._parts]

    def _named(self, tensors: tuple[int, ...], name: str) -> Array:
        """Return samples of weights or of a state."""
        return self._of(tensors, [self._opt._members.tensors(i)[name] for i in tensors])

    def _of(self, tensors: tuple[int, ...], arrays: list[Array]) -> Array:
        (values,) = self.sample.gathered(tensors, [address(x) for x in arrays], arrays[0].dtype.name)
        return np.asarray(values)
