"""Any ``torch.optim.Optimizer`` as a ``Source``: ours, torch's own through the rules' rows, others without a formula.

Two hooks do it, so that no training loop changes. What a step is made of is copied before it, in samples; gradients
within it where a closure computes them, or where torch unscales them there.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from operator import is_
from typing import Any, NamedTuple

import numpy as np
import torch

from ..core.line import short
from ..engines.memory import Array
from ..errors import HyperparameterError
from ..optimizer.observing import ROUNDING, Curvature, Part, Sample, say, without
from .curved import curvature
from .formulas import Formula, counts, formula
from .layout import KINDS, local, local_gradient, real
from .layouts import Layout, addresses
from .optimizer import Optimizer

Tensor = torch.Tensor
_NOTHING: Mapping[str, Any] = {}


class _Group(NamedTuple):
    """Tensors of one formula, count, dtype and device, and what was taken of them.

    layout: where they lie, if they lie so that they need not be judged at the next look. lacking: those of which no
    gradient was taken.
    """

    formula: Formula | None
    t: int
    stored: str
    device: torch.device
    tensors: tuple[int, ...]
    layout: Layout | None
    taken: dict[str, Array]
    lacking: set[int]


class _Known(NamedTuple):
    """A group of the optimizer as it was judged at a look.

    present: which parameters had a gradient, or may get one within the step. parts: what it fell into.
    """

    params: list[Tensor]
    present: list[bool]
    parts: list[_Group]


class ObservedTensors:
    """See ``observing.Source``. model: whose names parameters have, where the optimizer has none for them.

    Raises HyperparameterError where it is no module.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, model: torch.nn.Module | None) -> None:
        if model is not None and not isinstance(model, torch.nn.Module):
            raise HyperparameterError(f"watch: model must be a torch.nn.Module, got {short(model)}")
        self._opt, self._model = optimizer, model
        named = {} if model is None else {id(p): n for n, p in model.named_parameters()}
        self.params: list[Tensor] = []
        self.names: list[str] = []
        self.notes: list[str] = []
        self.unseen: set[int] = set()
        for k, group in enumerate(optimizer.param_groups):
            own = group.get("param_names")
            for j, p in enumerate(group["params"]):
                self.params.append(p)
                shape = "×".join(map(str, p.shape)) or "one number"
                self.names.append(own[j] if own else named.get(id(p), f"group {k}, tensor {j} ({shape})"))
            found = formula(optimizer, group)
            if isinstance(found, str):
                say(self.notes, found)
        sizes = [local(p).numel() * (1 + p.is_complex()) if p.dtype in KINDS else 0 for p in self.params]
        if model is not None and not any(id(p) in named for p in self.params):
            self.notes.append("model has none of the optimizer's parameters: it gives no names")
        self.sample = Sample(sizes)
        self._numels = [local(p).numel() for p in self.params]
        self._complex = [p.is_complex() for p in self.params]
        empty = [n for n, size in zip(self.names, sizes, strict=True) if not size]
        if empty:
            self.notes.append(f"this process has no entry of {', '.join(empty)}")
        self._spread = any(hasattr(p, "to_local") for p in self.params)
        if self._spread:
            self.notes.append("parameters are spread over processes: the samples are of this one's parts")
        first = optimizer.param_groups[0]
        ours = isinstance(optimizer, Optimizer)
        self.method = str(first.get("rule")) if ours else f"torch.optim.{type(optimizer).__name__}"
        if not ours and getattr(torch.optim, type(optimizer).__name__, None) is not type(optimizer):
            self.method = type(optimizer).__name__
        self._numbers = {id(p): i for i, p in enumerate(self.params)}
        self._whole = self._late = False
        self._groups: list[_Group] = []
        self._known: dict[int, _Known] = {}

    @property
    def skipped(self) -> int:
        return int(getattr(self._opt, "skipped", 0))

    def attach(self, before: Callable[[bool], None], after: Callable[[], None]) -> Callable[[], None]:
        def pre(optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            closure = args[1] if len(args) > 1 else kwargs.get("closure")
            before(closure is not None or getattr(optimizer, "grad_scale", None) is not None)

        def post(optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            after()

        handles = [
            self._opt.register_step_pre_hook(pre),
            self._opt.register_step_post_hook(post),
        ]

        def detach() -> None:
            for handle in handles:
                handle.remove()
            self._known = {}

        return detach

    @torch.no_grad()
    def before(self, whole: bool, late: bool) -> None:
        self._whole, self._late = whole, late
        if whole:
            # By identity: a tensor's own hash is a call of Python's.
            states = {id(p): state for p, state in self._opt.__dict__["state"].items()}
            before, self._known = self._known, {}
            for k, entries in enumerate(self._opt.param_groups):
                self._known[k] = self._as_before(before.get(k), entries, states) or self._judged(
                    entries, states
                )
            self._groups = [part for known in self._known.values() for part in known.parts]
        else:  # of the tensors of the look before, whatever they have had since
            parts = [part for known in self._known.values() for part in known.parts]
            self._groups = [part._replace(taken={}, lacking=set()) for part in parts]
        if not late:
            for group in self._groups:
                self._take_gradients(group)

    def _as_before(
        self, known: _Known | None, entries: Mapping[str, Any], states: Mapping[int, Mapping[str, Any]]
    ) -> _Known | None:
        """Return a group with samples of weights and states; None where it is not what it was at the look before."""
        params = entries["params"]
        if known is None or len(params) != len(known.params) or not all(map(is_, params, known.params)):
            return None
        if known.present != self._with_gradients(params):
            return None
        moves = self._formula(entries)
        parts = []
        for part in known.parts:
            layout = part.layout
            if layout is None:
                return None
            kept = [states.get(id(p), _NOTHING) for p in layout.params]
            t = layout.count(kept)
            if t is None or not layout.is_of(moves, kept):
                return None
            taken = layout.taken(self.sample, part.tensors)
            parts.append(part._replace(formula=moves, t=t, taken=taken, lacking=set()))
        return known._replace(parts=parts)

    def _judged(self, entries: Mapping[str, Any], states: Mapping[int, Mapping[str, Any]]) -> _Known:
        """Return a group with samples of weights and states, each of its tensors judged."""
        moves = self._formula(entries)
        present = self._with_gradients(entries["params"])
        there = self._present(entries["params"], self._late)
        params = [self.params[i] for i in there]
        kept = [states.get(id(p), _NOTHING) for p in params]
        # Where nothing was left out that may come back.
        some = sum(map(self._has_entries, entries["params"], present))
        whole = len(there) == some and not self._spread
        parts = []
        for (t, dtype, device), places in _alike(params, counts(kept)):
            tensors = tuple([there[j] for j in places])
            group = _Group(moves, t, KINDS[dtype][0], device, tensors, None, {}, set())
            own = [kept[j] for j in places]
            wanted = {"w": [params[j] for j in places], **self._states(group, own)}
            lie_so = self._take(group, wanted)
            if lie_so and whole and len(group.taken) == len(wanted):
                group = group._replace(layout=Layout(wanted["w"], moves, wanted, own))
            parts.append(group)
        return _Known([*entries["params"]], present, parts)

    def _with_gradients(self, params: list[Tensor]) -> list[bool]:
        """Return which of a group's parameters have a gradient, or may get one within the step."""
        return [self._late or p.grad is not None for p in params]

    def _has_entries(self, p: Tensor, present: bool) -> bool:
        """Whether a parameter that is present may be looked at at all."""
        i = self._numbers.get(id(p))
        return present and (i is None or self.sample.counts[i] > 0)

    def _formula(self, entries: Mapping[str, Any]) -> Formula | None:
        """Return what moves a group as it stands now, if that is known."""
        moves = formula(self._opt, entries)
        return moves if isinstance(moves, Formula) else None

    def _take_gradients(self, group: _Group) -> None:
        """Add samples of the gradients to a group; zeros of tensors that lack one, which are noted."""
        if group.layout is not None:
            gradients = [p.grad for p in group.layout.params]
            given = [g for g in gradients if g is not None]
            if len(given) == len(gradients) and group.layout.fits(given):
                places = addresses(given)
                if places.all():
                    (group.taken["g"],) = self.sample.gathered(group.tensors, places, group.stored)
                    return
        for i in group.tensors:
            if not self._dense(i) or not self._fits(i, local(self.params[i])):
                group.lacking.add(i)
        taken = [i for i in group.tensors if i not in group.lacking]
        if not taken:
            group.taken["g"] = np.zeros(sum(self.sample.counts[i] for i in group.tensors))
            return
        part = group._replace(tensors=tuple(taken), taken={})
        self._take(part, {"g": list(map(self._gradient, taken))})
        mask = np.repeat(
            [i not in group.lacking for i in group.tensors], [self.sample.counts[i] for i in group.tensors]
        )
        group.taken["g"] = np.zeros(len(mask))
        group.taken["g"][mask] = part.taken["g"]

    def _present(self, params: list[Tensor], late: bool) -> list[int]:
        """Return the numbers of a group's tensors that can be looked at; note why others cannot.

        All are judged at once: one after the other, some hundreds take longer than all that is done with them.
        """
        numbers = list(map(self._numbers.get, map(id, params)))
        if None in numbers:
            say(self.notes, "parameters that were added since the watch began are not looked at")
        there = [i for i in numbers if i is not None and self.sample.counts[i]]
        if not late:
            gradients = [self.params[i].grad for i in there]
            dense = all(g is not None and g.layout is torch.strided for g in gradients) and not self._spread
            if not dense or [g.numel() for g in gradients if g is not None] != [
                self._numels[i] for i in there
            ]:
                there = [i for i in there if self._dense(i)]
        parts = [self.params[i] for i in there]
        if self._spread:
            parts = list(map(local, parts))
        if (
            list(map(Tensor.numel, parts)) == [self._numels[i] for i in there]
            and list(map(Tensor.is_complex, parts)) == [self._complex[i] for i in there]
            and all(map(Tensor.data_ptr, parts))
        ):
            return there
        return [i for i, part in zip(there, parts, strict=True) if self._fits(i, part)]

    def _fits(self, i: int, part: Tensor) -> bool:
        """Whether a parameter has the memory that its sample was chosen in."""
        if (part.numel(), part.is_complex()) == (self._numels[i], self._complex[i]) and part.data_ptr():
            return True
        self.unseen.add(i)  # another tensor by now, or its storage was given back
        say(self.notes, f"{self.names[i]} is of another size than it was: it is not looked at")
        return False

    @torch.no_grad()
    def after(self) -> list[Part]:
        parts: list[Part | None] = []
        for group in self._groups:
            if self._late:
                self._take_gradients(group)
            before, after = dict(group.taken), {}
            if self._whole:
                if group.layout is not None and group.layout.same_weights():
                    after = group.layout.taken(self.sample, group.tensors, weights_alone=True)
                else:
                    self._take(group, {"w": [self.params[i] for i in group.tensors]})
                    after = {"w": group.taken["w"]}
            started = None if group.formula is None else group.formula.started
            part = Part(group.tensors, started, group.t + 1, ROUNDING[group.stored], before, after)
            parts.append(without(part, self.sample, group.lacking))
        self._groups = []
        return [x for x in parts if x is not None]

    def curvature(self, closure: Callable[[], object]) -> AbstractContextManager[Curvature]:
        return curvature(self._opt, self._model, closure)

    def _dense(self, i: int) -> bool:
        """Whether a parameter has a gradient that can be looked at."""
        gradient = self.params[i].grad
        if gradient is None:
            return False
        if gradient.layout is not torch.strided:
            self.unseen.add(i)
            say(self.notes, f"the gradient of {self.names[i]} is sparse: its steps are not looked at")
            return False
        return gradient.numel() == self.params[i].numel()

    def _gradient(self, i: int) -> Tensor:
        """Return a parameter's gradient, in its own placement where it is spread over processes."""
        p = self.params[i]
        gradient = local_gradient(p) if self._spread else p.grad
        assert gradient is not None
        return gradient

    def _states(self, group: _Group, states: list[Mapping[str, Any]]) -> dict[str, list[Tensor]]:
        """Return the states that the group's formula reads, by name; sample those that have not begun, or are one number."""
        if group.formula is None:
            return {}
        started, theirs = group.formula
        whole: dict[str, list[Tensor]] = {}
        numels = [self.params[i].numel() for i in group.tensors]
        for n in started.update.kept:
            if n == "_rate":
                continue
            kept: list[Any] = [state.get(theirs.get(n, n)) for state in states]
            sizes = [x.numel() if isinstance(x, Tensor) else None for x in kept]
            if sizes == numels:
                whole[n] = kept
                continue
            begin = started.begin(n)
            values = []
            for i, x, size in zip(group.tensors, kept, sizes, strict=True):
                one = group._replace(tensors=(i,), taken={})
                if size == self.params[i].numel():
                    self._take(one, {n: [x]})
                elif x is None and begin == "w":
                    self._take(one, {n: [self.params[i]]})
                else:  # one number for all coordinates
                    number = float(begin) if x is None else float(x)
                    one.taken[n] = np.full(self.sample.counts[i], number)
                values.append(one.taken[n])
            group.taken[n] = np.concatenate(values)
        return whole

    def _take(self, group: _Group, wanted: Mapping[str, list[Tensor]]) -> bool:
        """Add samples of arrays by name, of each a tensor a parameter, laid out as the parameters' local parts.

        Return whether all of them lie in the host's memory as they are, each name's tensors in one dtype.
        """
        params = [self.params[i] for i in group.tensors]
        if self._spread:
            params = list(map(local, params))
            wanted = {n: list(map(local, tensors)) for n, tensors in wanted.items()}
        contiguous = all(map(Tensor.is_contiguous, params))
        lie_so = group.device.type == "cpu"
        alike: dict[torch.dtype, list[str]] = {}
        laid: dict[str, list[Tensor]] = {}
        for n, tensors in wanted.items():
            plain = contiguous and all(map(Tensor.is_contiguous, tensors))
            if plain and not any(map(Tensor.is_neg, tensors)) and not any(map(Tensor.is_conj, tensors)):
                laid[n] = tensors
            else:
                laid[n] = [_laid(x, w) for x, w in zip(tensors, params, strict=True)]
                lie_so = False
            dtypes = {x.dtype for x in tensors}
            if group.device.type != "cpu":
                group.taken[n] = self._fetched(group.tensors, laid[n])
            elif len(dtypes) == 1:
                alike.setdefault(dtypes.pop(), []).append(n)
            else:
                lie_so = False
                each = [
                    self.sample.gathered((i,), [x.data_ptr()], KINDS[x.dtype][0])[0]
                    for x, i in zip(laid[n], group.tensors, strict=True)
                ]
                group.taken[n] = np.concatenate(each)
        for dtype, names in alike.items():
            starts = addresses([x for n in names for x in laid[n]])
            rows = self.sample.gathered(group.tensors, starts, KINDS[dtype][0])
            group.taken.update(zip(names, rows, strict=True))
        return lie_so

    def _fetched(self, numbers: tuple[int, ...], tensors: list[Tensor]) -> Array:
        """Return samples of a device's tensors as float64, joined there."""
        blocks = [
            _flat(x)[a:b] for x, i in zip(tensors, numbers, strict=True) for a, b in self.sample.blocks(i)
        ]
        values: Array = torch.cat(blocks).cpu().double().numpy()
        return values


def _alike(params: list[Tensor], steps: list[int]) -> Iterator[tuple[tuple[Any, ...], list[int]]]:
    """Give which parameters have one step count, dtype and device, by their places."""
    keys = [(t, p.dtype, p.device) for t, p in zip(steps, params, strict=True)]
    if len(set(keys)) == 1:
        yield keys[0], list(range(len(keys)))
        return
    members: dict[tuple[Any, ...], list[int]] = {}
    for k, key in enumerate(keys):
        members.setdefault(key, []).append(k)
    yield from members.items()


def _laid(x: Tensor, w: Tensor) -> Tensor:
    """Return x in the order of memory of w, without gaps: as it is where it lies so."""
    if w.is_contiguous() or torch.empty_like(w, device="meta").stride() != w.stride():  # or w has gaps
        x = x.contiguous()
    elif x.stride() != w.stride():
        x = torch.empty_like(w, dtype=x.dtype).copy_(x)
    return x.resolve_conj().resolve_neg()


def _flat(x: Tensor) -> Tensor:
    """Return the numbers of a tensor without gaps in the order of its memory, real and imaginary parts in turn."""
    pairs = real(x)
    return pairs.as_strided((pairs.numel(),), (1,))
