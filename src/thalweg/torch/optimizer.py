"""Optimizer: a rule at work on torch tensors.

a) Everything that a step needs is looked up and checked before anything moves.
b) CPU tensors go to one compiled pass for all tensors of a group and dtype, by address; CUDA tensors,
   where Triton is installed, to one launch of a kernel for all of them (see ``device``).
c) Other tensors run the same formula on torch operations.
d) A sparse gradient moves the rows that it touches; the others catch up when they are next needed.
"""

from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, Literal

import torch
from numpy.typing import ArrayLike

from ..core.catch_up import Exact
from ..core.line import short
from ..core.rule import Rule
from ..core.schedule import Schedule, to_plain
from ..core.started import Started
from ..engines import cuda
from ..errors import NonFiniteError, StateError
from ..optimizer.row_tracking import moves
from . import average as averages
from . import clipping, convert, device, groups, surround, watching
from .fast_path import UnchangedGroup, can_keep
from .followed_rows import FollowedRows, whole_numbers
from .groups import AROUND, SETTINGS
from .layout import (
    KINDS,
    apart,
    laid_out,
    local,
    local_gradient,
    require_still_trainable,
    require_trainable,
)
from .options import as_rule, options, require_for_all, require_settings, warn_of_lost
from .parts import CAPTURED, CPU, CUDA, Engine, Part, Parts, engine_of, not_finite
from .resting import Resting, asked
from .scheduled import ScheduledRate, require_followed, show
from .states import AVERAGE, HOST, RATE, RawState, begun, opened, require_fitting
from .stepping import SparseStep, Step, run_whole

Tensor = torch.Tensor
# A group to lay out: its number, its plan, lr where it is on the device.
Anew = tuple[int, Started, Tensor | None]
_COPIED = ["on_nonfinite", "skipped", "capturable", "_options", "_rule", "_begun", "_lr", "_kinds", "_given"]


class Optimizer(torch.optim.Optimizer):
    """A rule as a ``torch.optim.Optimizer``.

    params: tensors, named tensors or groups, as every torch optimizer takes them; float16, bfloat16,
    float32, float64, complex64 or complex128. States of 16-bit parameters are float32.
    rule: such as ``tw.Adam(lr=1e-3)``, or its class; a group may have its own, ``{"params": ..., "rule":
    tw.SGD(lr=0.1)}``, or other values under torch's names or the rule's: ``{"params": ..., "lr": 0.1, "betas":
    (0.8, 0.99)}``. values: the same for all groups, ``Optimizer(params, tw.Adam, lr=1e-3)``. Options of torch that
    mean another rule of the family give that rule: ``tw.SGD, momentum=0.9`` is Momentum.
    weight_decay, decay: "coupled" (added to the gradient), "decoupled" (w shrinks by lr · weight_decay first) or
    "proximal" (a penalty in the rule's own metric, with ``l1_decay`` an elastic net); None is what the rule says.
    maximize: ascend.
    on_nonfinite: "propagate" NaN and infinite gradients as torch does, "raise" NonFiniteError, or "skip" such
    steps (counted in ``skipped``).
    capturable: steps can be captured in a CUDA graph: ``step`` counts on the device, and the clock with it.
    exact: how rows that a sparse gradient does not touch keep up with those it does. "value": no farther from
    the path in float64 than a dense run is; "bits": the very bits of a dense run, by replay; "lazy": not at
    all, as torch's SparseAdam (another algorithm; for comparison). ``watch`` the model.
    average: keep an average of the weights, moving (its decay, 0.999 say) or "polyak" (the mean): see ``averaged``.
    clip_norm: bound on the norm of all gradients together, scaled down to it; ``.grad`` stays as it is. rates: keep
    the effective learning rates of each step, for ``rates()``. All three are those of ``rule.on``.

    Groups are read at every step, so that torch's schedulers work. Raises TypeError and ValueError
    (HyperparameterError) as torch's optimizers do; then nothing has moved.
    """

    def __init__(
        self,
        params: Any,
        rule: Rule | type[Rule],
        *,
        weight_decay: float | None = None,
        decay: Literal["coupled", "decoupled", "proximal"] | None = None,
        l1_decay: float = 0.0,
        maximize: bool = False,
        on_nonfinite: Literal["propagate", "raise", "skip"] = "propagate",
        capturable: bool = False,
        exact: Exact = "value",
        average: float | Literal["polyak"] | None = None,
        clip_norm: float | None = None,
        rates: bool = False,
        **values: Any,
    ) -> None:
        first, self._begun = as_rule("thalweg.torch.Optimizer", rule), rule
        require_settings(on_nonfinite, capturable, exact)
        self.on_nonfinite, self.skipped, self.capturable = on_nonfinite, 0, bool(capturable)
        self._options = options(average, clip_norm, rates, self.capturable)
        self._rows = FollowedRows(exact)
        self._resting: dict[int, Resting] = {}
        self._ready: dict[int, UnchangedGroup] = {}  # groups whose tensors lie as they did
        self._known: tuple[list[Tensor], list[dict[str, Any]]] = [], []  # who had states then, and in what
        around = {"weight_decay": weight_decay, "decay": decay, "maximize": maximize, "l1_decay": l1_decay}
        groups.require_known(first, values)
        self._rule, self._given = groups.begun(first, values, around)
        self._lr = _tensor(values.get("lr"))
        self._scheduled: set[int] = set()  # groups whose lr follows a schedule
        self._kinds: dict[str, type[Rule]] = {}
        super().__init__(params, self._entries(self._rule, self._given))

    def _entries(self, rule: Rule, given: Mapping[str, Any]) -> dict[str, Any]:
        """A group's entries: those of the rule, and what stands around it (None: what the rule says)."""
        own = groups.own_decay(type(rule))
        line = rule.values["weight_decay"] if own else 0.0
        made = groups.entries(rule)
        for n, default in zip(SETTINGS, (line, "decoupled" if own else "coupled", False), strict=True):
            value = given.get(n)
            made[n] = default if value is None else value
        if given.get("l1_decay"):
            made["l1_decay"] = given["l1_decay"]
        kinds = {**self._kinds, type(rule).__name__: type(rule)}
        groups.planned(kinds, made, self._options)  # refuses what is out of range
        return made

    # Groups.

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with a rule or values of their own; as every torch optimizer has it."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, got {type(param_group).__name__}")
        given = dict(param_group)
        require_for_all(given, self._options)
        rule = given.pop("rule", self._rule)
        shared = rule is self._rule or rule is type(self._rule)
        rule = self._rule if shared else as_rule("param_group", rule)
        rule, around = groups.begun(rule, given, self._given | {n: given[n] for n in AROUND if n in given})
        known = self._kinds.get(type(rule).__name__, type(rule))
        if known is not type(rule):
            raise ValueError(f"param_group: another rule of the name {known.__name__} is in use: rename one")
        lines = type(rule).parts.lines  # one may be given by its own name and is kept under torch's
        made = {n: v for n, v in given.items() if n not in lines and n != "decoupled_weight_decay"}
        made |= self._entries(rule, around)
        lr = _tensor(given.get("lr", self._lr if shared else None))
        if lr is not None:
            made["lr"] = lr
        if not isinstance(made.get("params"), torch.Tensor | set):
            made["params"] = list(made["params"])
            for k, p in enumerate(made["params"]):
                require_trainable(k, p[1] if isinstance(p, tuple) else p, made["params"])
        mine = set(made)
        super().add_param_group(made)
        self._kinds[type(rule).__name__] = type(rule)
        group = self.param_groups[-1]
        for n in self.defaults:
            if n not in mine:  # a line of the other rule
                del group[n]
        self._scheduled = self._show_schedules()

    # Stepping.

    @surround.where_it_is_seen
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
        unchanged: list[UnchangedGroup] = []
        others: list[Anew] = []
        if self._scheduled:
            require_followed(self._scheduled, self.param_groups, self.__dict__["state"])
        if not self._same_states():
            self._ready.clear()
        for k, group in enumerate(self.param_groups):
            ready = self._ready.get(k)
            if ready is not None and ready.planned(group):
                plan, lr = ready.plan, None
            else:
                lr = group["lr"] if self.capturable and _on_cuda(group.get("lr")) else None
                if group.get("rule") is self._begun:  # ZeroRedundancyOptimizer copies its keywords there
                    group["rule"] = groups.label(self._rule)
                if isinstance(group.get("lr"), Schedule):
                    self._scheduled.add(k)
                plan = groups.planned(self._kinds, group, self._options, () if lr is None else ("lr",))
                if ready is not None and ready.plan.update is plan.update:
                    ready.remember(plan, group)
            rest = self._resting.get(k)
            if not self.capturable and (rest is None or rest.plan is not plan or rest.follows_schedule):
                self._resting[k] = asked(rest, plan, group, self.__dict__["state"])
            if ready is not None and ready.plan is plan and ready.stands(group["params"]):
                unchanged.append(ready)
            else:
                self._ready.pop(k, None)
                others.append((k, plan, lr))
        if others or self._options.clip_norm is not None:
            self._lay_out_and_run(others, unchanged)
        elif self.on_nonfinite == "propagate" or self._may_run(all(x.finite() for x in unchanged)):
            for ready in unchanged:
                ready.prepare()
            run_whole(unchanged)
        if self._scheduled:
            self._scheduled |= self._show_schedules()

    def _show_schedules(self) -> set[int]:
        """Write the rates of the next step into the groups that follow schedules, and return their numbers."""
        states = self.__dict__["state"]
        return {k for k, group in enumerate(self.param_groups) if show(group, states)}

    def _may_run(self, finite: bool) -> bool:
        """Whether gradients let a step happen; NonFiniteError where they do not and the user wants to hear it."""
        if finite:
            return True
        if self.on_nonfinite == "raise":
            raise NonFiniteError(not_finite(self.param_groups))
        self.skipped += 1
        return False

    def _lay_out_and_run(self, others: list[Anew], unchanged: list[UnchangedGroup]) -> None:
        """One step of groups that are laid out anew, and of those that stand; the former are kept where they can be."""
        parts: Parts = {}
        rows: list[SparseStep] = []
        states = self.__dict__["state"]
        with torch.no_grad():
            for k, plan, lr in others:
                self._lay_out(k, plan, lr, parts, rows)
            step, bound = Step(unchanged, parts, rows), self._options.clip_norm
            finite, moves = step.ready(None if bound is None else clipping.clip(bound, step.gradients()))
            if self.on_nonfinite != "propagate" and not self._may_run(finite()):
                return
            run_whole(moves)
        for (k, _, _), part in parts.items():
            group = self.param_groups[k]
            untracked = self._rows.tracked.keys().isdisjoint(part.params)
            if part.engine is CPU and untracked and can_keep(part, group, states):
                self._ready[k] = UnchangedGroup(part, group, states)
        self._known = [*states], [*states.values()]

    def _same_states(self) -> bool:
        """Whether the parameters that have states, and the dictionaries that hold them, are those of the last layout."""
        states, (params, held) = self.__dict__["state"], self._known
        return (
            len(states) == len(params)
            and all(map(is_, states, params))
            and all(map(is_, states.values(), held))
        )

    def _lay_out(
        self, k: int, plan: Started, lr: Tensor | None, parts: Parts, rows: list[SparseStep]
    ) -> None:
        """Check the gradients of group k and add its tensors to ``parts``, those with sparse ones to ``rows``."""
        names = plan.update.kept
        for p in self.param_groups[k]["params"]:
            if p.grad is None:
                continue
            require_still_trainable(p)
            if self._options.clip_norm is not None:
                clipping.require_whole(p)
            state = self.__dict__["state"][p]
            if p.grad.layout is not torch.strided and p.numel():
                self._engine(p)  # refuses where steps are captured
                rows.append(self._rows.ready(p, plan, state))
                continue
            begun(p, plan, state, HOST if state else self._counted(p))
            require_fitting(p, p.grad, state, names, p.device if self.capturable else None)
            self._rows.settle(p)  # the dense gradient moves every row
            w, g = local(p), local_gradient(p)
            kept = [local(state[n]) for n in names]
            kind = KINDS[w.dtype][0]
            key = (k, kind, w.device)
            if key not in parts:
                parts[key] = Part(plan, kind, self._engine(w), [], [], [], [], lr)
            part = parts[key]
            part.params.append(p)
            part.steps.append(state["step"])
            if part.engine.flat:
                w, g, kept = laid_out(part.copies, w, g, kept, names, state)
                g = apart(w, g, dict(zip(names, kept, strict=True)))
            part.tensors.append((w, g, *kept))

    # Rows that sparse gradients have left behind.

    def watch(self, model: torch.nn.Module) -> watching.Watch:
        """Bring rows up to date whenever the model needs them; one call, before the first step.

        Hooks on the modules that hold the weight of an ``Embedding`` or ``EmbeddingBag`` with
        ``sparse=True``: before a forward pass reads rows, they catch up; before ``state_dict``,
        ``load_state_dict``, a copy, a pickle or a conversion (``to``, ``half``) of the model, all rows do. A copy
        has no hooks: watch it with its own optimizer. Who reads a weight in another way calls ``read`` or
        ``flush`` first; torch's AveragedModel does, and making one of the model warns (``AveragedModel``).

        Returns what takes the hooks away again: ``.remove()``. Raises TypeError for what is no module,
        ValueError for a model in which this optimizer trains no such weight.
        """
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"watch: model must be a torch.nn.Module, got {type(model).__name__}")
        mine = {p: group for group in self.param_groups for p in group["params"]}
        params = [p for p in watching.lookups(model) if p in mine]
        if not params:
            raise ValueError(
                "watch: the model has no Embedding or EmbeddingBag with sparse=True whose weight this"
                " optimizer trains"
            )
        self._rows.watched.update(params)
        plans = [groups.planned(self._kinds, mine[p], self._options) for p in params]
        behind = any(moves(x.rule, x.options, self._rows.exact) for x in plans)
        return watching.Watch(params, model, self._catch_up, behind)

    def read(self, param: Tensor, rows: ArrayLike | Tensor) -> Tensor:
        """Rows of a parameter as they are now: they catch up first, and a copy is returned.

        rows: whole numbers, one or (n,), of any shape as a tensor. Returns a tensor (n, ...) without graph.
        Raises IndexError for rows that do not exist.
        """
        indices = whole_numbers(rows, len(param))
        self._catch_up(param, indices)
        return param.detach()[indices.to(param.device)]

    def flush(self) -> None:
        """Bring every row up to date; work in proportion to all weights that sparse gradients train."""
        for p in list(self._rows.tracked):
            self._catch_up(p, None)

    @property
    def stale(self) -> int:
        """How many rows are behind: the parameter holds what they were when they were last needed."""
        return sum(x.table.stale for x in self._rows.tracked.values())

    @property
    def plan(self) -> dict[Tensor, str]:
        """For each parameter that sparse gradients train, how rows without one catch up, in words."""
        return {p: x.follower.plan.why for p, x in self._rows.tracked.items()}

    @property
    def state(self) -> Any:
        """The states of each parameter, up to date."""
        self.flush()
        return self.__dict__["state"]

    @state.setter
    def state(self, value: Mapping[Tensor, dict[str, Any]]) -> None:
        self.__dict__["state"] = value

    # What is kept beside the weights.

    @property
    def average(self) -> dict[Tensor, Tensor]:
        """The averages of all parameters that have taken a step, up to date; StateError without ``average=``."""
        if self._options.average is None:
            raise StateError(
                "average: none is kept; start with Optimizer(params, rule, average=0.999) or 'polyak'"
            )
        return averages.kept(self.state, AVERAGE)

    def averaged(self, model: averages.Model) -> averages.Model:
        """A copy of the model with the averages in place of its weights, to evaluate or save.

        Its buffers are the model's of now: ``torch.optim.swa_utils.update_bn`` computes those of batch
        normalization anew. Raises StateError without ``average=``, and before the first step.
        """
        return averages.averaged(model, self.average)

    def rates(self) -> dict[Tensor, Tensor]:
        """The effective learning rates that the last step of each parameter used, shaped as it is.

        What the rule's ``rate`` gave: the factor on the gradient, with momentum that on the averaged one. Of a row
        that a sparse gradient has not touched it is what the dense step would have used. Parameters whose rule
        defines no rate, and those without a step since the start or ``load_state_dict``, are left out. Raises
        StateError where none are kept (``rates=True``), where no rule has a rate, and before the first step.
        """
        if not self._options.rates:
            raise StateError("rates: not kept; start with Optimizer(params, rule, rates=True)")
        return averages.rates(
            self.state, [self._kinds[x["rule"].partition(":")[0]] for x in self.param_groups]
        )

    def _catch_up(self, p: Tensor, rows: Tensor | None) -> None:
        """Bring rows up to date, or all; autograd is told where any moved."""
        self._rows.catch_up(p, self.__dict__["state"].get(p, {}), rows)

    def _engine(self, w: Tensor) -> Engine:
        chosen = engine_of(w)
        if self.capturable:
            if chosen is not CUDA:
                raise ValueError(
                    f"step: capturable=True needs CUDA tensors and Triton 3.6 or later, got a tensor on {w.device}"
                    + ("" if cuda.available() else ": pip install 'thalweg[cuda]'")
                )
            return CAPTURED
        if device.capturing(w.device):
            raise RuntimeError(
                "step: a CUDA graph is being captured: make the optimizer with capturable=True"
            )
        return chosen

    def _counted(self, p: Tensor) -> torch.device:
        """Where the steps of a parameter are counted."""
        if device.capturing(p.device):
            raise RuntimeError("step: states cannot begin in a CUDA graph: take a step before capturing")
        return p.device if self.capturable else HOST

    # Saving.

    def state_dict(self) -> dict[str, Any]:
        """torch's form: states under the rule's names, ``step``, and the groups; plain values only."""
        made = super().state_dict()
        if self._options.rates:  # of one step, which the next one replaces
            made["state"] = {
                k: {n: v for n, v in held.items() if n != RATE} if isinstance(held, dict) else held
                for k, held in made["state"].items()
            }
        for group in made["param_groups"]:
            plain = {n: v.schedule for n, v in group.items() if isinstance(v, ScheduledRate)}
            group |= {n: to_plain(v) for n, v in (group | plain).items() if isinstance(v, Schedule)}
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
        last = self.register_load_state_dict_pre_hook(opened)  # after the user's
        try:
            super().load_state_dict(dict(state_dict))
        finally:
            last.remove()

    def __getstate__(self) -> dict[str, Any]:
        own = {n: self.__dict__[n] for n in _COPIED} | {"_exact": self._rows.exact}
        return super().__getstate__() | own

    def __setstate__(self, state: dict[str, Any]) -> None:
        for p, held in state.get("state", {}).items():
            if isinstance(held, dict):
                kept = {n: v for n, v in held.items() if isinstance(v, RawState)}
                held |= {n: v.placed(p, n, self._counted(p)) for n, v in kept.items()}
        self._ready, self._known, self._resting = {}, ([], []), {}
        exact = state.get("_exact")
        if exact is not None:  # of a copy; torch's load_state_dict gives states and groups alone
            self._rows = FollowedRows(exact)
        self._rows.tracked = {}
        super().__setstate__({n: v for n, v in state.items() if n != "_exact"})
        self._scheduled = self._show_schedules()

    # Moving over.

    @classmethod
    def like(cls, name: str, params: Any, **keywords: Any) -> "Optimizer":
        """The optimizer of ``torch.optim`` of that name, with torch's own keywords and defaults.

        ``Optimizer.like("AdamW", model.parameters(), lr=3e-4, amsgrad=True)``. params: as torch takes them, groups
        with torch's options too. ``foreach`` and ``fused`` change nothing here; ``on_nonfinite`` and ``exact`` may
        be given as well. "SparseAdam" is Adam with ``exact="lazy"``, its eps where Keras has it. Raises HyperparameterError for a name that no
        rule is, TypeError for a keyword that torch's optimizer does not take, ValueError for values and options.
        """
        return convert.like(cls, name, params, keywords)

    @classmethod
    def from_torch(cls, optimizer: torch.optim.Optimizer) -> "Optimizer":
        """Go on where an optimizer of ``torch.optim`` stands, on the same path and parameters.

        SGD, ASGD, Adagrad, RMSprop, Adadelta, Adam, AdamW, Adamax, NAdam, RAdam, Rprop, SparseAdam; states are copied. Raises
        TypeError for others, ValueError for an option that no rule has.
        """
        return convert.from_torch(cls, optimizer)

    def to_torch(self, **flags: Any) -> torch.optim.Optimizer:
        """The optimizer of ``torch.optim`` that goes on from here; ``flags`` are its own (``fused=True``).

        Warns of ``average`` and ``clip_norm``, which stand outside of torch's optimizers. Raises ValueError where
        torch has no such update, and says how far it would be off.
        """
        back = convert.to_torch(self, self._kinds, flags, self._rows.exact == "lazy")
        warn_of_lost(self._options)
        return back


def _tensor(lr: object) -> Tensor | None:
    """Return a learning rate that is a tensor: it is read at every step, since it may be changed in place."""
    return lr if isinstance(lr, Tensor) else None


def _on_cuda(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.device.type == "cuda"
