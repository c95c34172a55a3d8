"""Any ``torch.optim.Optimizer`` as a ``Source``: ours, torch's own through the rules' rows, others without a formula.

Two hooks do it, so that no training loop changes. What a step is made of is copied before it, in samples; gradients
within it where a closure computes them, or where torch unscales them there.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from ..core.rule import Rule
from ..core.started import Started, start_given
from ..engines.memory import Array
from ..errors import HyperparameterError
from ..optimizer.observing import ROUNDING, Part, Sample, say, without
from . import convert, family, groups
from .layout import KINDS, local, local_gradient, real
from .optimizer import Optimizer

Tensor = torch.Tensor
_NOTHING: Mapping[str, Any] = {}


class Formula(NamedTuple):
    """What moves the tensors of a group: a started rule, and where its states are kept (ours → theirs)."""

    started: Started
    states: Mapping[str, str]


def formula(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> Formula | str:
    """Return the formula of a group of an optimizer as the group stands now, or in words why none is known."""
    if isinstance(optimizer, Optimizer):
        options = optimizer._options
        if options.clip_norm is not None:
            return "clip_norm: the factor on the gradients is not seen, so that no rates are told"
        try:
            started = groups.planned(optimizer._kinds, group, options._replace(rates=True))
        except (ValueError, RuntimeError) as error:  # what the step is about to say
            return str(error)
        return Formula(started, {n: n for n in started.update.kept if n != "_rate"})
    kind = type(optimizer)
    name = kind.__name__
    if getattr(torch.optim, name, None) is not kind or all(t.torch != name for t in family.twins()):
        return f"no rule is {kind.__module__}.{name}: realised steps only, no rates"
    try:
        twin, rule, decay = convert.ported("watch", name, group)
        amount = groups.plain(group.get("weight_decay", 0.0))
        started = _started(rule, amount, decay, bool(group.get("maximize")))
    except (ValueError, HyperparameterError) as error:
        return f"{error}: realised steps only, no rates"
    return Formula(started, twin.states)


@lru_cache(maxsize=64)
def _started(rule: Rule, amount: float, decay: str, maximize: bool) -> Started:
    return start_given("watch", rule, weight_decay=amount, decay=decay, maximize=maximize, rates=True)


def count(state: Mapping[str, Any]) -> int:
    """Return the steps that a parameter has had, from its states; SGD of torch keeps no count."""
    steps = state.get("step")
    if steps is None:
        return 1 if state.get("momentum_buffer") is not None else 0
    return int(steps)


class _Group(NamedTuple):
    """Tensors of one formula, count, dtype and device, and what was taken of them."""

    formula: Formula | None
    t: int
    stored: str
    device: torch.device
    tensors: tuple[int, ...]
    taken: dict[str, Array]


class ObservedTensors:
    """See ``observing.Source``. model: whose names parameters have, where the optimizer has none for them."""

    def __init__(self, optimizer: torch.optim.Optimizer, model: torch.nn.Module | None) -> None:
        self._opt = optimizer
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
        self.sample = Sample(sizes)
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

        return detach

    @torch.no_grad()
    def before(self, whole: bool, late: bool) -> None:
        self._whole, self._late = whole, late
        states: Mapping[Tensor, Mapping[str, Any]] = self._opt.__dict__["state"]
        members: dict[tuple[Any, ...], list[tuple[int, Mapping[str, Any]]]] = {}
        formulas: list[Formula | None] = []
        for k, entries in enumerate(self._opt.param_groups):
            found = formula(self._opt, entries) if whole else None
            formulas.append(found if isinstance(found, Formula) else None)
            for p in entries["params"]:
                i = self._numbers.get(id(p))
                if i is None:
                    say(self.notes, "parameters that were added since the watch began are not looked at")
                    continue
                if not self.sample.counts[i] or not (late or self._dense(i)):
                    continue
                w = local(p) if self._spread else p
                if w.numel() * (1 + w.is_complex()) != self.sample.sizes[i] or not w.data_ptr():
                    self.unseen.add(i)  # another tensor by now, or its storage was given back
                    say(self.notes, f"{self.names[i]} is of another size than it was: it is not looked at")
                    continue
                state = states.get(p, _NOTHING) if whole else _NOTHING
                members.setdefault((k, count(state), p.dtype, p.device), []).append((i, state))
        self._groups = []
        for (k, t, dtype, device), there in members.items():
            tensors = tuple([i for i, _ in there])
            group = _Group(formulas[k], t, KINDS[dtype][0], device, tensors, {})
            self._groups.append(group)
            if whole:
                self._take(group, "w", [self.params[i] for i in tensors])
                self._take_states(group, [state for _, state in there])
            if not late:
                self._take(group, "g", [self._gradient(i) for i in tensors])

    @torch.no_grad()
    def after(self) -> list[Part]:
        parts: list[Part | None] = []
        for group in self._groups:
            lacking: set[int] = set()
            if self._late:
                lacking = {i for i in group.tensors if not self._dense(i)}
                grads = [
                    torch.zeros_like(local(self.params[i])) if i in lacking else self._gradient(i)
                    for i in group.tensors
                ]
                self._take(group, "g", grads)
            before, after = dict(group.taken), {}
            if self._whole:
                self._take(group, "w", [self.params[i] for i in group.tensors])
                after = {"w": group.taken["w"]}
            started = None if group.formula is None else group.formula.started
            part = Part(group.tensors, started, group.t + 1, ROUNDING[group.stored], before, after)
            parts.append(without(part, self.sample, lacking))
        self._groups = []
        return [x for x in parts if x is not None]

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

    def _take_states(self, group: _Group, states: list[Mapping[str, Any]]) -> None:
        """Add samples of the states that the group's formula reads; those that have not begun are at their start."""
        if group.formula is None:
            return
        started, theirs = group.formula
        for n in started.update.kept:
            if n == "_rate":
                continue
            at = theirs.get(n, n)
            kept: list[Any] = [state.get(at) for state in states]
            whole = [
                isinstance(x, Tensor) and x.numel() == self.params[i].numel()
                for x, i in zip(kept, group.tensors, strict=True)
            ]
            if all(whole):
                self._take(group, n, kept)
                continue
            begin = started.begin(n)
            values = []
            for i, x, lies in zip(group.tensors, kept, whole, strict=True):
                one = group._replace(tensors=(i,), taken={})
                if lies:
                    self._take(one, n, [x])
                elif x is None and begin == "w":
                    self._take(one, n, [self.params[i]])
                else:  # one number for all coordinates
                    number = float(begin) if x is None else float(x)
                    one.taken[n] = np.full(self.sample.counts[i], number)
                values.append(one.taken[n])
            group.taken[n] = np.concatenate(values)

    def _take(self, group: _Group, name: str, tensors: list[Tensor]) -> None:
        """Add samples of tensors, one a parameter, laid out as the parameters' local parts."""
        params = [self.params[i] for i in group.tensors]
        if self._spread:
            tensors, params = list(map(local, tensors)), list(map(local, params))
        laid = [
            x if w.is_contiguous() and x.is_contiguous() and not (x.is_conj() or x.is_neg()) else _laid(x, w)
            for x, w in zip(tensors, params, strict=True)
        ]
        if group.device.type != "cpu":
            blocks = [
                _flat(x)[a:b]
                for x, i in zip(laid, group.tensors, strict=True)
                for a, b in self.sample.blocks(i)
            ]
            group.taken[name] = torch.cat(blocks).cpu().double().numpy()
            return
        dtypes = {x.dtype for x in laid}
        if len(dtypes) == 1:
            starts = [x.data_ptr() for x in laid]
            group.taken[name] = self.sample.gathered(group.tensors, starts, KINDS[dtypes.pop()][0])
            return
        each = [
            self.sample.gathered((i,), [x.data_ptr()], KINDS[x.dtype][0])
            for x, i in zip(laid, group.tensors, strict=True)
        ]
        group.taken[name] = np.concatenate(each)


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
