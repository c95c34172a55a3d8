"""Optimizer: a rule at work on torch tensors.

a) Everything that a step needs is looked up and checked before anything moves.
b) CPU tensors go to one compiled pass for all tensors of a group and dtype, by address; CUDA tensors,
   where Triton is installed, to one launch of a kernel for all of them (see ``device``).
c) Other tensors run the same formula on torch operations.
d) A sparse gradient moves the rows that it touches; the others catch up when they are next needed.
"""

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from ..core.catch_up import EXACT, Exact
from ..core.formula import Formula
from ..core.line import short
from ..core.rule import Rule
from ..core.schedule import Schedule, from_plain, to_plain
from ..core.started import Started
from ..core.update import Update
from ..engines import cuda, ops
from ..engines.cpu import dense as cpu
from ..engines.cpu import launch, openmp
from ..engines.memory import limit
from ..errors import GradientError, HyperparameterError, NonFiniteError
from ..optimizer.row_tracking import SparseGradient, inside
from . import device, groups
from . import row_tracking as tables
from .fast_path import UnchangedGroup, wants

Tensor = torch.Tensor

# What a dtype is to the engine, and in what its states are kept.
_KINDS = {
    torch.float16: ("float16", torch.float32),
    torch.bfloat16: ("bfloat16", torch.float32),
    torch.float32: ("float32", torch.float32),
    torch.float64: ("float64", torch.float64),
    torch.complex64: ("float32", torch.complex64),
    torch.complex128: ("float64", torch.complex128),
}
_HOST = torch.device("cpu")
_LIBRARIES = os.path.join(os.path.dirname(torch.__file__), "lib")


class Optimizer(torch.optim.Optimizer):
    """A rule as a ``torch.optim.Optimizer``.

    params: tensors, named tensors or groups, as every torch optimizer takes them; float16, bfloat16,
    float32, float64, complex64 or complex128. States of 16-bit parameters are float32.
    rule: such as ``tw.Adam(lr=1e-3)``; a group may have its own, ``{"params": ..., "rule": tw.SGD(lr=0.1)}``,
    or other values under torch's names or the rule's: ``{"params": ..., "lr": 0.1, "betas": (0.8, 0.99)}``.
    weight_decay, decay: "coupled" (added to the gradient) or "decoupled" (w shrinks by lr · weight_decay
    first); None is what the rule says. maximize: ascend.
    on_nonfinite: "propagate" NaN and infinite gradients as torch does, "raise" NonFiniteError, or "skip" such
    steps (counted in ``skipped``).
    capturable: steps can be captured in a CUDA graph: ``step`` counts on the device, and the clock with it.
    exact: how rows that a sparse gradient does not touch keep up with those it does. "value": no farther from
    the path in float64 than a dense run is; "bits": the very bits of a dense run, by replay; "lazy": not at
    all, as torch's SparseAdam (another algorithm; for comparison). ``watch`` the model.

    Groups are read at every step, so that torch's schedulers work. Raises TypeError and ValueError
    (HyperparameterError) as torch's optimizers do; then nothing has moved.
    """

    def __init__(
        self,
        params: Any,
        rule: Rule,
        *,
        weight_decay: float | None = None,
        decay: Literal["coupled", "decoupled"] | None = None,
        maximize: bool = False,
        on_nonfinite: Literal["propagate", "raise", "skip"] = "propagate",
        capturable: bool = False,
        exact: Exact = "value",
    ) -> None:
        if not isinstance(rule, Rule):
            raise TypeError(
                f"thalweg.torch.Optimizer: rule must be a rule such as Adam(lr=1e-3), got {short(rule)}"
            )
        if on_nonfinite not in ("propagate", "raise", "skip"):
            raise HyperparameterError(
                "thalweg.torch.Optimizer: on_nonfinite must be one of 'propagate', 'raise', 'skip';"
                f" got {short(on_nonfinite)}"
            )
        if capturable and on_nonfinite != "propagate":
            raise HyperparameterError(
                "thalweg.torch.Optimizer: capturable=True needs on_nonfinite='propagate': a captured graph"
                f" cannot look at its gradients and decide; got {on_nonfinite!r}"
            )
        if exact not in EXACT:
            raise HyperparameterError(
                f"thalweg.torch.Optimizer: exact must be one of 'value', 'bits', 'lazy'; got {short(exact)}"
            )
        self.on_nonfinite, self.skipped, self.capturable = on_nonfinite, 0, bool(capturable)
        self._exact = exact
        self._tracked: dict[Tensor, tables.Tracked] = {}  # parameters that have had a sparse gradient
        self._watched: set[Tensor] = set()
        self._ready: dict[int, UnchangedGroup] = {}  # groups whose tensors lie as they did
        self._rule, self._kinds = rule, {}  # type: Rule, dict[str, type[Rule]]
        self._given = {"weight_decay": weight_decay, "decay": decay, "maximize": maximize}
        super().__init__(params, self._entries(rule, {}))

    def _entries(self, rule: Rule, given: Mapping[str, Any]) -> dict[str, Any]:
        """A group's entries: those of the rule, and what stands around it."""
        own = groups.own_decay(type(rule))
        line = rule.values["weight_decay"] if own else 0.0
        made = groups.entries(rule)
        for n, default in zip(groups.SETTINGS, (line, "decoupled" if own else "coupled", False), strict=True):
            value = given.get(n, self._given[n])
            made[n] = default if value is None else value
        kinds = {**self._kinds, type(rule).__name__: type(rule)}
        groups.planned(kinds, made)  # refuses what is out of range
        return made

    # Groups.

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with a rule or values of their own; as every torch optimizer has it."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, got {type(param_group).__name__}")
        given = dict(param_group)
        rule = given.pop("rule", self._rule)
        if not isinstance(rule, Rule):
            raise TypeError(f"param_group: rule must be a rule such as Adam(lr=1e-3), got {short(rule)}")
        known = self._kinds.get(type(rule).__name__, type(rule))
        if known is not type(rule):
            raise ValueError(f"param_group: another rule of the name {known.__name__} is in use: rename one")
        lines = type(rule).parts.lines  # one may be given by its own name and is kept under torch's
        made = {n: v for n, v in given.items() if n not in lines}
        made |= self._entries(groups.changed(rule, given), given)
        if isinstance(given.get("lr"), torch.Tensor):  # read at every step: it may be changed in place
            made["lr"] = given["lr"]
        if not isinstance(made.get("params"), torch.Tensor | set):
            made["params"] = list(made["params"])
            for k, p in enumerate(made["params"]):
                _require(k, p[1] if isinstance(p, tuple) else p, made["params"])
        mine = set(made)
        super().add_param_group(made)
        self._kinds[type(rule).__name__] = type(rule)
        group = self.param_groups[-1]
        for n in self.defaults:
            if n not in mine:  # a line of the other rule
                del group[n]

    # Stepping.

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step from the gradients in ``.grad``; None leaves a parameter and its states alone.

        closure: computes the loss and the gradients first; its value is returned. A sparse gradient
        (COO, coalesced or not) of a CPU tensor moves the rows that it touches, and equals the dense one.
        Raises RuntimeError for other sparse gradients, IndexError for rows that do not exist, ValueError
        for a group's values, NonFiniteError as ``on_nonfinite`` says.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._advance()
        return loss

    @torch._disable_dynamo  # type: ignore[attr-defined]
    def _advance(self) -> None:
        parts: dict[tuple[int, str, torch.device], _Part] = {}
        rows: list[_Rows] = []
        again: list[tuple[UnchangedGroup, cpu.Sweep]] = []
        held = self.__dict__["state"]
        for k, group in enumerate(self.param_groups):
            lr = group["lr"] if self.capturable and _on_cuda(group.get("lr")) else None
            plan = groups.planned(self._kinds, group, left=() if lr is None else ("lr",))
            states = type(plan.rule).parts.states
            ready = self._ready.pop(k, None)
            if ready is not None and ready.update is plan.update and ready.again(group["params"], held):
                self._ready[k] = ready
                again.append((ready, ready.sweep(plan, _share())))
                continue
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = held[p]
                if p.grad.layout is not torch.strided and p.numel():
                    rows.append(self._rows(p, plan, state))
                    continue
                if not state:
                    start(p, plan.rule, state, self._counted(p))
                _require_fitting(p, p.grad, state, states)
                self._settle(p)  # the dense gradient moves every row
                w, g = _local(p), _local_gradient(p)
                kept = [_local(state[n]) for n in states]
                kind = _KINDS[w.dtype][0]
                key = (k, kind, w.device)
                if key not in parts:
                    parts[key] = _Part(plan, kind, self._engine(w), [], [], [], [], lr)
                part = parts[key]
                part.params.append(p)
                part.steps.append(state["step"])
                if part.engine.flat:
                    w, g, kept = _laid_out(part, p, w, g, kept, states, state)
                part.tensors.append((w, g, *kept))
        runs = [part.prepared() for part in parts.values()]
        if self.on_nonfinite != "propagate":
            good = all(x.tracked.table.finite(x.gradient.values) for x in rows)
            good = good and all(sweep.finite() for _, sweep in again)
            if not (good and all(finite() for finite, _ in runs)):
                if self.on_nonfinite == "raise":
                    raise NonFiniteError(_where(self.param_groups))
                self.skipped += 1
                return
        for ready, sweep in again:
            sweep.run()
            ready.count()
        for (k, _, _), part, (_, run) in zip(parts, parts.values(), runs, strict=True):
            run()
            for w, moved in part.copies:
                w.copy_(moved)
            torch._foreach_add_(part.steps, 1.0)
            torch.autograd.graph.increment_version(part.params)
            whole = len(part.params) == len(self.param_groups[k]["params"])
            simple = part.engine is _CPU and not (self._tracked or part.copies)
            if whole and simple and wants(part.params, part.steps, part.tensors):
                states = type(part.plan.rule).parts.states
                self._ready[k] = UnchangedGroup(
                    part.plan.update, part.kind, part.params, states, held, part.addresses()
                )
        for x in rows:
            x.tracked.step(x.gradient, x.scalars, x.hyper)
            held[x.param]["step"] += 1.0
            torch.autograd.graph.increment_version(x.param)

    def _rows(self, p: Tensor, plan: Started, state: dict[str, Any]) -> "_Rows":
        """A sparse gradient, checked, and who follows its parameter."""
        given = tables.gradient(p)
        self._engine(p)  # refuses where steps are captured
        started = not state
        if started:
            start(p, plan.rule, state)
        _require_fitting(p, p.grad, state, type(plan.rule).parts.states)
        t = int(state["step"].item())
        scalars, hyper = plan.scalars(t + 1), plan.rule.at(t)
        tracked = self._tracked.get(p)
        here = tracked is not None and tracked.follows(p, state)
        if tracked is None or not (here and tracked.goes_with(plan)):
            often = here and tracked is not None and tracked.table.t - tracked.born < tables.SOON
            self._settle(p)
            exact: Exact = "bits" if often and self._exact == "value" else self._exact
            self._tracked[p] = tracked = tables.Tracked(
                p, plan, state, exact, given.width, started=started, before=tracked if here else None
            )
            if tracked.follower.moves and p not in self._watched:
                warnings.warn(
                    f"step: rows of a parameter of shape {tuple(p.shape)} move without gradients too: call"
                    " opt.watch(model) once, so that they catch up before the model reads them",
                    stacklevel=8,  # who calls step, past torch's wrappers
                )
                self._watched.add(p)  # said once
        return _Rows(p, tracked, tracked.follower.gathered(given), scalars, hyper)

    # Rows that sparse gradients have left behind.

    def watch(self, model: torch.nn.Module) -> tables.Watch:
        """Bring rows up to date whenever the model needs them; one call, before the first step.

        Hooks on the modules that hold the weight of an ``Embedding`` or ``EmbeddingBag`` with
        ``sparse=True``: before a forward pass reads rows, they catch up; before ``state_dict``,
        ``load_state_dict``, a copy or a pickle of the model, all rows do. A copy has no hooks: watch it with
        its own optimizer. Who reads a weight in another way calls ``read`` or ``flush`` first.

        Returns what takes the hooks away again: ``.remove()``. Raises TypeError for what is no module,
        ValueError for a model in which this optimizer trains no such weight.
        """
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"watch: model must be a torch.nn.Module, got {type(model).__name__}")
        mine = {p for group in self.param_groups for p in group["params"]}
        params = [p for p in tables.lookups(model) if p in mine]
        if not params:
            raise ValueError(
                "watch: the model has no Embedding or EmbeddingBag with sparse=True whose weight this"
                " optimizer trains"
            )
        self._watched.update(params)
        return tables.Watch(params, model, self._catch_up)

    def read(self, param: Tensor, rows: Any) -> Tensor:
        """Rows of a parameter as they are now: they catch up first, and a copy is returned.

        rows: whole numbers, one or (n,), of any shape as a tensor. Returns a tensor (n, ...) without graph.
        Raises IndexError for rows that do not exist.
        """
        indices = torch.as_tensor(rows).reshape(-1)
        if indices.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
            raise TypeError(f"read: rows must be whole numbers, got {indices.dtype}")
        indices = indices.to("cpu", torch.int64)
        try:
            inside(indices.numpy(), len(param), "row", "read")
        except GradientError as error:
            raise IndexError(str(error)) from None
        self._catch_up(param, indices)
        return param.detach()[indices.to(param.device)]

    def flush(self) -> None:
        """Bring every row up to date; work in proportion to all weights that sparse gradients train."""
        for p in list(self._tracked):
            self._catch_up(p, None)

    @property
    def stale(self) -> int:
        """How many rows are behind: the parameter holds what they were when they were last needed."""
        return sum(x.table.stale for x in self._tracked.values())

    @property
    def plan(self) -> dict[Tensor, str]:
        """For each parameter that sparse gradients train, how rows without one catch up, in words."""
        return {p: x.follower.plan.why for p, x in self._tracked.items()}

    @property
    def state(self) -> Any:
        """The states of each parameter, up to date."""
        self.flush()
        return self.__dict__["state"]

    @state.setter
    def state(self, value: Any) -> None:
        self.__dict__["state"] = value

    def _catch_up(self, p: Tensor, rows: Tensor | None) -> None:
        """Bring rows up to date, or all; autograd is told where any moved."""
        tracked = self._tracked.get(p)
        if tracked is None:
            return
        if not tracked.follows(p, self.__dict__["state"].get(p, {})):
            self._settle(p)
        elif rows is None:
            self._told(p, tracked.catch_up())
        elif tracked.follower.moves:
            indices = tables.indices(rows, len(p))
            if indices is not None:
                self._told(p, tracked.catch_up(indices))

    def _settle(self, p: Tensor) -> None:
        """Bring all rows up to date, and follow them no more."""
        tracked = self._tracked.pop(p, None)
        if tracked is not None:
            self._told(p, tracked.leave(p))

    @staticmethod
    def _told(p: Tensor, moved: bool) -> None:
        if moved:
            torch.autograd.graph.increment_version(p)

    def _engine(self, w: Tensor) -> "_Engine":
        chosen = _engine(w)
        if self.capturable:
            if chosen is not _CUDA:
                raise ValueError(
                    f"step: capturable=True needs CUDA tensors and Triton 3.6 or later, got a tensor on {w.device}"
                    + ("" if cuda.available() else ": pip install 'thalweg[cuda]'")
                )
            return _CAPTURED
        if device.capturing(w.device):
            raise RuntimeError(
                "step: a CUDA graph is being captured: make the optimizer with capturable=True"
            )
        return chosen

    def _counted(self, p: Tensor) -> torch.device:
        """Where the steps of a parameter are counted."""
        if device.capturing(p.device):
            raise RuntimeError("step: states cannot begin in a CUDA graph: take a step before capturing")
        return p.device if self.capturable else _HOST

    # Saving.

    def state_dict(self) -> dict[str, Any]:
        """torch's form: states under the rule's names, ``step``, and the groups; plain values only."""
        made = super().state_dict()
        for group in made["param_groups"]:
            group |= {n: to_plain(v) for n, v in group.items() if isinstance(v, Schedule)}
        return made

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state: copied, states of 16-bit parameters in float32. ValueError if it does not fit."""
        good = isinstance(state_dict, Mapping) and {"state", "param_groups"} <= state_dict.keys()
        if not good:
            raise ValueError(
                "load_state_dict: must be what state_dict() gave, with 'state' and 'param_groups';"
                f" got {short(state_dict)}"
            )
        self.flush()
        last = self.register_load_state_dict_pre_hook(_opened)  # after the user's
        try:
            super().load_state_dict(dict(state_dict))
        finally:
            last.remove()

    def __getstate__(self) -> dict[str, Any]:
        own = ("on_nonfinite", "skipped", "capturable", "_exact", "_rule", "_kinds", "_given")
        return super().__getstate__() | {n: self.__dict__[n] for n in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for p, held in state.get("state", {}).items():
            if isinstance(held, dict):
                kept = {n: v for n, v in held.items() if isinstance(v, RawState)}
                held |= {n: v.placed(p, n, self._counted(p)) for n, v in kept.items()}
        self._tracked, self._ready = {}, {}
        self.__dict__.setdefault("_watched", set())  # of a copy: none
        super().__setstate__(state)

    # Moving over.

    @classmethod
    def from_torch(cls, optimizer: torch.optim.Optimizer) -> "Optimizer":
        """Go on where an optimizer of ``torch.optim`` stands, on the same path and parameters.

        SGD, Adagrad, RMSprop, Adadelta, Adam, AdamW, Adamax, NAdam; states are copied. Raises TypeError for
        others, ValueError for an option that no rule has.
        """
        from . import convert as moving

        return moving.from_torch(cls, optimizer)

    def to_torch(self, **flags: Any) -> torch.optim.Optimizer:
        """The optimizer of ``torch.optim`` that goes on from here; ``flags`` are its own (``fused=True``).

        Raises ValueError where torch has no such update, and says how far it would be off.
        """
        from . import convert as moving

        return moving.to_torch(self, flags)


class _Rows(NamedTuple):
    """A sparse gradient, each row once, ready to run."""

    param: Tensor
    tracked: tables.Tracked
    gradient: SparseGradient
    scalars: tuple[float, ...]
    hyper: Mapping[str, float]


class _Part(NamedTuple):
    """Tensors of one group, dtype and device."""

    plan: Started
    kind: str
    engine: "_Engine"
    params: list[Tensor]
    steps: list[Tensor]
    tensors: list[tuple[Tensor, ...]]  # w, g and the states
    copies: list[tuple[Tensor, Tensor]]  # a tensor with gaps, and its weights without
    lr: Tensor | None  # where it stays on the device

    def prepared(self) -> "_Prepared":
        """A check of the gradients and the update, ready to run."""
        return self.engine.prepared(self)

    def names(self) -> tuple[str, ...]:
        """What the update calls each of ``tensors``."""
        return ("w", "g", *type(self.plan.rule).parts.states)

    def scalars(self) -> tuple[list[tuple[float, ...]], list[int]]:
        """The rows of scalars, and which of them each tensor uses."""
        counts = [int(s.item()) + 1 for s in self.steps]
        times = sorted(set(counts))
        place = {t: k for k, t in enumerate(times)}
        return [self.plan.scalars(t) for t in times], [place[t] for t in counts]

    def addresses(self) -> list[list[int]]:
        """For each tensor its size, then where the update's arrays lie."""
        order = [self.names().index(n) for n in self.plan.update.arrays]
        return [
            [x[0].numel() * (1 + x[0].is_complex()), *(x[k].data_ptr() for k in order)] for x in self.tensors
        ]

    def finite(self) -> bool:
        """Whether every gradient is finite and small enough for the states, by the bound of the compiled pass."""
        stored = np.dtype("float32" if self.kind == "bfloat16" else self.kind)
        top = limit(stored, self.plan.update.power)
        return all(bool((_real(x[1]).abs() <= top).all()) for x in self.tensors)


_Prepared = tuple[Callable[[], bool], Callable[[], object]]


class _Engine(NamedTuple):
    """Who updates tensors: ``flat`` wants them without gaps, all in one order of memory."""

    flat: bool
    prepared: Callable[[_Part], _Prepared]


def _by_cpu(part: _Part) -> _Prepared:
    sweep = cpu.Sweep(part.plan.update, part.kind, part.addresses(), *part.scalars(), _share())
    return sweep.finite, sweep.run


def _by_cuda(part: _Part) -> _Prepared:
    where = part.tensors[0][0].device
    run = partial(device.step, part.plan, part.kind, part.addresses(), *part.scalars(), where)
    return part.finite, run


def _by_graph(part: _Part) -> _Prepared:
    device.refuse_schedules(part.plan)
    where = part.tensors[0][0].device
    run = partial(device.captured, part.plan, part.kind, part.addresses(), part.steps, part.lr, where)
    return part.finite, run


def _by_operations(part: _Part) -> _Prepared:
    names, plan = part.names(), part.plan
    rows, which = part.scalars()
    first = _real(part.tensors[0][0])
    wide = _KINDS[first.dtype][1]
    evaluate, written = _operations(plan.update, wide, first.device)

    def run() -> None:
        for tensors, row in zip(part.tensors, which, strict=True):
            given = {n: _real(x) for n, x in zip(names, tensors, strict=True)}
            read = [given[n].to(wide) for n in plan.update.arrays]
            for n, value in zip(written, evaluate(*read, *rows[row]), strict=True):
                given[n].copy_(value)

    return part.finite, run


_CPU, _CUDA, _CAPTURED = _Engine(True, _by_cpu), _Engine(True, _by_cuda), _Engine(True, _by_graph)
_OPERATIONS = _Engine(False, _by_operations)


def _require(k: int, p: Any, params: Sequence[Any]) -> None:
    """TypeError or ValueError for a tensor that no step could change."""
    if not isinstance(p, torch.Tensor):
        return  # torch says so itself
    if p.dtype not in _KINDS:
        allowed = ", ".join(str(d).removeprefix("torch.") for d in _KINDS)
        raise TypeError(
            f"params: tensor {k}: dtype must be {allowed}; got {str(p.dtype).removeprefix('torch.')}"
        )
    if p.layout is not torch.strided:
        raise ValueError(f"params: tensor {k}: layout must be torch.strided, got {p.layout}")
    if any(p is (q[1] if isinstance(q, tuple) else q) for q in params[:k]):
        raise ValueError(f"params: tensor {k} is given twice")
    if p.device.type == "cpu" and torch._debug_has_internal_overlap(_local(p)) == 1:
        raise ValueError(f"params: tensor {k}: its entries share memory (an expanded tensor); pass a copy")


def start(p: Tensor, rule: Rule, state: dict[str, Any], counted: torch.device = _HOST) -> None:
    """The states of a parameter before its first step, laid out as it is; ``step`` lies on ``counted``."""
    state["step"] = torch.zeros((), dtype=torch.float32, device=counted)
    for n in type(rule).parts.states:
        start = getattr(rule, n)
        value = complex(start, start) if p.is_complex() else start
        state[n] = torch.full_like(p, value, dtype=_KINDS[p.dtype][1], requires_grad=False)


def _require_fitting(p: Tensor, g: Any, state: Mapping[str, Any], states: Sequence[str]) -> None:
    """RuntimeError where a gradient or a state is not its parameter's: an engine would read what lies behind it."""
    if g.shape != p.shape:
        raise RuntimeError(
            f"step: the gradient of a parameter of shape {tuple(p.shape)} has shape {tuple(g.shape)}:"
            " compute it anew (zero_grad, backward)"
        )
    count = state.get("step")
    if not isinstance(count, Tensor) or count.numel() != 1:
        raise RuntimeError(
            f"step: state 'step' of a parameter of shape {tuple(p.shape)} must be a 0-d tensor, got {short(count)}"
        )
    for n in states:
        held = state.get(n)
        if not isinstance(held, Tensor) or held.shape != p.shape:
            got = f"a tensor of shape {tuple(held.shape)}" if isinstance(held, Tensor) else short(held)
            raise RuntimeError(
                f"step: state {n!r} of a parameter of shape {tuple(p.shape)} is {got}: it must be a tensor of its"
                " shape; opt.state.pop(p) starts the parameter's states anew"
            )


def _engine(w: Tensor) -> _Engine:
    """Who updates a tensor where it lies."""
    if w.device.type == "cpu":
        return _CPU
    return _CUDA if device.reached(w.device) else _OPERATIONS


def _on_cuda(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.device.type == "cuda"


def _local(x: Tensor) -> Tensor:
    """The part of a DTensor that this process has; any other tensor as it is."""
    return x.to_local() if hasattr(x, "to_local") else x


def _local_gradient(p: Any) -> Tensor:
    g = p.grad
    if g.layout is not torch.strided:  # of a parameter without entries
        g = g.to_dense()
    if hasattr(g, "to_local") and hasattr(p, "placements") and g.placements != p.placements:
        g = g.redistribute(placements=p.placements)
    g = _local(g)
    if g.is_conj() or g.is_neg():
        g = g.resolve_conj().resolve_neg()
    return g if g.dtype == p.dtype else g.to(p.dtype)


def _laid_out(
    part: _Part,
    p: Tensor,
    w: Tensor,
    g: Tensor,
    kept: list[Tensor],
    states: Sequence[str],
    state: dict[str, Any],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Weights, gradient and states in one order of memory without gaps; copies where they are not."""
    dense = w.is_contiguous() or torch.empty_like(w, device="meta").stride() == w.stride()
    if not dense or w.is_conj() or w.is_neg():  # or its memory holds the conjugate, or the negative
        held = w.resolve_conj().resolve_neg().contiguous()
        part.copies.append((w, held))
        w = held
    layout, plain = w.stride(), w.is_contiguous()
    if g.stride() != layout and not (plain and g.is_contiguous()):
        g = torch.empty_like(w).copy_(g)
    wanted = _KINDS[w.dtype][1]
    for k, x in enumerate(kept):
        if x.dtype != wanted or (x.stride() != layout and not (plain and x.is_contiguous())):
            fresh = torch.empty_like(w, dtype=wanted).copy_(x)
            if x is state[states[k]]:
                state[states[k]] = fresh
            else:  # a local part: its memory stays where it is
                part.copies.append((x, fresh))
            kept[k] = fresh
    return w, g, kept


def _share() -> Callable[..., int]:
    """Who runs the kernels: the OpenMP team that torch has, else the pool, else this thread alone."""
    threads = torch.get_num_threads()
    if threads == 1:
        return lambda kernel, own, total: launch.run(kernel, own, total, total)
    return openmp.team(_LIBRARIES, threads) or launch.by_pool


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x) if x.is_complex() else x


@cache
def _operations(
    update: Update, dtype: torch.dtype, device: torch.device
) -> tuple[Callable[..., tuple[Any, ...]], tuple[str, ...]]:
    """An update as a function of tensors and numbers on torch operations, and what it writes."""

    def called(name: str, *given: Any) -> Tensor:
        made = [
            x if isinstance(x, torch.Tensor | bool) else torch.tensor(x, dtype=dtype, device=device)
            for x in given
        ]
        if isinstance(made[0], bool):  # a comparison of two scalars
            made[0] = torch.tensor(made[0], device=device)
        return getattr(torch, name)(*made)  # type: ignore[no-any-return]

    formula = Formula("update", update.arrays, update.scalars, update.body, tuple(update.written.items()), {})
    functions = {n: partial(called, n) for n in ops.FUNCTIONS}
    return ops.function(formula, functions), tuple(update.written)


class RawState:
    """A tensor of a checkpoint on its way past torch, which would cast it to the parameter's dtype."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    def placed(self, p: Tensor, name: str, counted: torch.device = _HOST) -> Tensor:
        """A copy for a parameter: ``step`` on ``counted``, a state laid out, typed and placed as its own."""
        if name == "step":
            return self.value.detach().reshape(()).to(device=counted, dtype=torch.float32, copy=True)
        if self.value.shape != p.shape:
            raise ValueError(
                f"load_state_dict: state {name!r} has shape {tuple(self.value.shape)}, its parameter {tuple(p.shape)}"
            )
        fresh = torch.empty_like(p, dtype=_KINDS[p.dtype][1], requires_grad=False)
        return fresh.copy_(self.value.detach())


def _opened(optimizer: Any, saved: dict[str, Any]) -> dict[str, Any]:
    """A state with its schedules rebuilt and its tensors held; ValueError where it is another rule's."""
    made = []
    for k, (group, mine) in enumerate(zip(saved["param_groups"], optimizer.param_groups, strict=False)):
        if group.get("rule") != mine["rule"]:
            kind = f"rule {group['rule']}" if "rule" in group else "an optimizer of torch (see from_torch)"
            raise ValueError(
                f"load_state_dict: group {k} was saved by {kind}, here it has rule {mine['rule']}"
            )
        absent = [n for n in mine if n not in group and n in optimizer.defaults]
        if absent:
            raise ValueError(
                f"load_state_dict: group {k} lacks {', '.join(absent)}: start with the rule that was saved"
            )
        made.append(
            {n: from_plain(v) if isinstance(v, dict) and "schedule" in v else v for n, v in group.items()}
        )
        rule = groups.planned(optimizer._kinds, made[-1]).rule  # refuses what is out of range
        for i in group["params"]:
            _require_whole(i, saved["state"].get(i), type(rule).parts.states)
    made += saved["param_groups"][len(made) :]  # torch says that their number differs
    state = {
        i: {n: RawState(v) if isinstance(v, torch.Tensor) else v for n, v in held.items()}
        for i, held in saved["state"].items()
    }
    return {**saved, "param_groups": made, "state": state}


def _require_whole(k: Any, held: Any, states: Sequence[str]) -> None:
    """ValueError for a parameter's saved states that are not all there."""
    if not held:
        return
    for n in ("step", *states):
        value = held.get(n) if isinstance(held, Mapping) else None
        if not isinstance(value, torch.Tensor):
            raise ValueError(
                f"load_state_dict: state {n!r} of parameter {k} must be a tensor, got {short(value)}"
            )
    count = held["step"]
    if count.numel() != 1 or not 0 <= float(count) < math.inf:
        raise ValueError(
            f"load_state_dict: state 'step' of parameter {k} must be a number of steps, got {short(count)}"
        )


def _where(param_groups: Sequence[Mapping[str, Any]]) -> str:
    """Which gradient is not finite, in a sentence."""
    for k, group in enumerate(param_groups):
        names = group.get("param_names", range(len(group["params"])))
        for n, p in zip(names, group["params"], strict=True):
            if p.grad is not None:
                g = _local(p.grad)
                values = g._values() if g.layout is torch.sparse_coo else g
                bad = int((~torch.isfinite(values)).sum())
                if bad:
                    return (
                        f"step: {bad} of {values.numel()} entries of the gradient of parameter {n} of group {k}"
                        " are not finite; nothing has moved (on_nonfinite='skip' leaves such steps out)"
                    )
    return "step: a gradient is too large for the states; nothing has moved"
