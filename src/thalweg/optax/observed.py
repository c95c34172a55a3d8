"""A run of Optax as a ``Source``: nothing can be hooked there, so parameters and states are handed over after each step.

Only samples of them are kept from one step to the next: buffers that a step was given to reuse may be gone by then.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ..core.line import short
from ..core.rule import Rule
from ..core.started import Started, start
from ..engines.memory import Array
from ..errors import HyperparameterError, StateError
from ..optimizer.observing import ROUNDING, Part, Sample, say
from .convert import Place, counted, found, places
from .state import GAIN, Kind, Tree, named_tuples

NAMED = 4  # leaves that an error names


class _Handed(NamedTuple):
    """What was handed over after a step: leaves of the parameters, of the states by name, of the gradients."""

    params: list[Any]
    states: Mapping[str, list[Any]]
    signs: Mapping[str, float]
    done: int
    gradients: list[Any] | None


class ObservedTrees:
    """See ``observing.Source``. rule: the one that the transformation follows; params: as they are to be trained."""

    def __init__(self, rule: Rule, params: Tree) -> None:
        structure: Any
        leaves, structure = jax.tree.flatten(params)
        self._structure = structure
        self.names = _names(params)
        sizes = [x.size if str(getattr(x, "dtype", "")) in ROUNDING else 0 for x in leaves]
        if not any(sizes):
            raise HyperparameterError(
                "watch: params must hold arrays of float16, bfloat16, float32 or float64"
            )
        self.sample = Sample(sizes)
        self.method = repr(rule)
        self.notes: list[str] = []
        self.unseen: set[int] = set()
        self.skipped = 0
        self._started: Started = start(rule, rates=True)
        self._rule, self._places = rule, _places(rule)
        self._now: _Handed | None = None
        self._whole = False
        self._parts: list[Part] = []

    def attach(self, before: Callable[[bool], None], after: Callable[[], None]) -> Callable[[], None]:
        self._now = None
        return lambda: None

    def given(self, params: Tree, state: Tree, gradients: Tree | None) -> bool:
        """Take what a step has left; whether anything was handed over before. Raises StateError for other trees."""
        first = self._now is None
        structure: Any
        leaves, structure = jax.tree.flatten(params)
        if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((params, state, gradients))):
            raise StateError("seen: was called where jax traces, and no number is known: call it outside jit")
        shapes = [x.size if str(getattr(x, "dtype", "")) in ROUNDING else 0 for x in leaves]
        if structure != self._structure and _names(params) == self.names:
            self._structure = structure  # a mapping of another class
        if tuple(shapes) != self.sample.sizes or structure != self._structure:
            raise StateError(
                "seen: params must be those that the watch began with, whose leaves are"
                f" {', '.join(self.names[:NAMED])}{', …' if self.names[NAMED:] else ''};"
                f" got {short(params)}: hand over seen(loss, params, state)"
            )
        states, signs, count = self._states(state)
        if any(len(tree) != len(leaves) for tree in states.values()):
            say(self.notes, "states are kept of some parameters only (a mask): no rates are told")
            states = {}
        given = None if gradients is None else jax.tree.leaves(gradients)
        if given is None:
            say(
                self.notes,
                "gradients were not handed over, seen(loss, params, state, grads): rates are told from the states alone",
            )
        elif len(given) != len(leaves):
            raise StateError("seen: gradients must be a tree as params are")
        self._now = _Handed(leaves, states, signs, count, given)
        return not first

    def _states(self, state: Tree) -> tuple[dict[str, list[Any]], dict[str, float], int]:
        """Return the leaves of each state, their signs, and the steps done."""
        kind: Kind = type(self._rule)
        ours = [x for x in named_tuples(state) if getattr(type(x), "rule", None) is kind]
        if ours:
            (x, *_) = ours
            if GAIN in x._fields:
                say(self.notes, "decay='proximal' keeps a gain that is not looked at: no rates are told")
                return {}, {}, int(x.count)
            names = kind.parts.states
            return {n: jax.tree.leaves(getattr(x, n)) for n in names}, dict.fromkeys(names, 1.0), int(x.count)
        if self._places is None:
            say(self.notes, f"no state of {kind.__name__} is in the state: no rates are told")
            return {}, {}, 0
        tuples = {p.tuple: found(state, p.tuple) for p in self._places.values()}
        done = counted(state, tuples.values())
        states = {n: jax.tree.leaves(getattr(tuples[p.tuple], p.field)) for n, p in self._places.items()}
        return states, {n: p.sign for n, p in self._places.items()}, 0 if done is None else int(done)

    def before(self, whole: bool, late: bool) -> None:
        self._whole, self._parts = whole, []
        now = self._now
        assert now is not None
        members: dict[str, list[int]] = {}
        for i, x in enumerate(now.params):
            if self.sample.counts[i]:
                members.setdefault(str(x.dtype), []).append(i)
        known = now.states or not self._started.update.kept
        for dtype, tensors in members.items():
            numbers = tuple(tensors)
            taken = {"w": self._of(numbers, now.params)} | self._taken(numbers, now) if whole else {}
            started = self._started if known and whole else None
            self._parts.append(Part(numbers, started, now.done + 1, ROUNDING[dtype], taken, {}))

    def after(self) -> list[Part]:
        now = self._now
        assert now is not None
        parts = []
        for part in self._parts:
            gradients = {} if now.gradients is None else {"g": self._of(part.tensors, now.gradients)}
            after: dict[str, Array] = {}
            if self._whole:
                after = {"w": self._of(part.tensors, now.params)} | self._taken(part.tensors, now)
            parts.append(part._replace(before={**part.before, **gradients}, after=after))
        return parts

    def _taken(self, tensors: tuple[int, ...], now: _Handed) -> dict[str, Array]:
        """Return samples of the states, those that Optax does not keep computed from the count."""
        taken = {n: now.signs[n] * self._of(tensors, leaves) for n, leaves in now.states.items()}
        size = sum(self.sample.counts[i] for i in tensors)
        for n in self._started.rule.parts.states if taken else ():
            if n not in taken:  # NAdam's product of momenta
                taken[n] = np.full(size, float(self._rule.at(0)["beta1"]) ** now.done)
        return taken

    def _of(self, tensors: tuple[int, ...], leaves: list[Any]) -> Array:
        """Return samples as float64: of the host's memory at once, of a device's block by block."""
        chosen = [leaves[i] for i in tensors]
        dtypes = {str(x.dtype) for x in chosen}
        if len(dtypes) == 1 and all(_on_host(x) for x in chosen):
            arrays = [np.asarray(x) for x in chosen]  # views, which hold the memory meanwhile
            starts = [x.__array_interface__["data"][0] if x.size else 0 for x in map(_bits, arrays)]
            (values,) = self.sample.gathered(tensors, starts, dtypes.pop())
            return np.asarray(values)
        flat = [(x.reshape(-1), i) for x, i in zip(chosen, tensors, strict=True)]
        blocks = [x[a:b] for x, i in flat for a, b in self.sample.blocks(i)]
        return np.concatenate([np.asarray(x, dtype=np.float64) for x in jax.device_get(blocks)])


def _names(params: Tree) -> list[str]:
    """Return what the leaves of a tree are called, in order."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [jax.tree_util.keystr(path, simple=True, separator=".") or "w" for path, _ in leaves]


def _bits(x: Array) -> Array:
    """Return a contiguous array whose dtype NumPy's interface knows, at the same place."""
    plain = np.ascontiguousarray(x)
    return plain.view(np.uint16) if plain.dtype.itemsize == 2 else plain


def _on_host(x: Any) -> bool:
    return isinstance(x, np.ndarray) or all(d.platform == "cpu" for d in x.devices())


def _places(rule: Rule) -> Mapping[str, Place] | None:
    """Return where Optax keeps the states of a rule; None where no transformation of its own is this rule."""
    row = type(rule).parts.dialects.get("optax")
    return places(row) if row is not None and row.optimizers else None
