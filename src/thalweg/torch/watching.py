"""Watched models: rows come up to date before a module reads them, and before its weights are saved, copied or moved.

``Watch`` puts hooks on the modules that hold a watched weight, and two methods into them: what a copy or a pickle
asks for, and what ``to``, ``half`` or ``cuda`` come down to. Parameters that somebody reads by themselves cannot be
intercepted; ``catch_up`` is for those who know that they do.
"""

import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.optim import swa_utils

Tensor = torch.Tensor
Catch = Callable[[Tensor, Tensor | None], None]  # rows of a parameter, or all, up to date
_HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
)
_METHODS = ("__getstate__", "_apply")  # copy and pickle, and torch's conversions, ask the object itself
_LOOKUPS = (torch.nn.Embedding, torch.nn.EmbeddingBag)


class Watch:
    """Hooks that bring rows up to date before modules read them; ``remove()`` takes them away.

    moves: whether a row without a gradient may be behind, so that somebody who averages the weights is warned.
    """

    def __init__(self, params: list[Tensor], model: torch.nn.Module, catch: Catch, moves: bool) -> None:
        self.params, self.moves = params, moves
        self._upkeeps: list[_Upkeep] = []
        for module in model.modules():
            own = [p for p in module._parameters.values() if any(p is q for q in params)]
            if own:
                upkeep = _upkeep(module) or _Upkeep(module)
                upkeep.add(self, own, catch)
                self._upkeeps.append(upkeep)

    def remove(self) -> None:
        """Take the hooks away. Rows that are behind stay so until ``flush``, a save or their next gradient."""
        for upkeep in self._upkeeps:
            upkeep.remove(self)
        self._upkeeps = []


def lookups(model: torch.nn.Module) -> list[Tensor]:
    """The weights of a model that modules of torch train with sparse gradients."""
    weights = [m.weight for m in model.modules() if isinstance(m, _LOOKUPS) and m.sparse]
    return list({id(p): p for p in weights}.values())


def catch_up(model: torch.nn.Module) -> None:
    """Bring all rows of a model up to date, by the watches that are on it."""
    for module in model.modules():
        upkeep = _upkeep(module)
        if upkeep is not None:
            upkeep.whole()


def _upkeep(module: torch.nn.Module) -> "_Upkeep | None":
    """Return what the watches of a module share; None where there are none."""
    owner = getattr(module.__dict__.get(_METHODS[0]), "__self__", None)
    return owner if isinstance(owner, _Upkeep) else None


class _Own(NamedTuple):
    """What one watch has on a module."""

    params: list[Tensor]
    catch: Catch
    hooks: list[Any]


class _Upkeep:
    """A watched module: the hooks of each of its watches, and its methods that bring rows up to date first."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._watches: dict[Watch, _Own] = {}
        for n, method in zip(_METHODS, (self._state, self._applied), strict=True):
            module.__dict__[n] = method

    def add(self, watch: Watch, params: list[Any], catch: Catch) -> None:
        """Put a watch's hooks on the module."""
        module: Any = self._module
        # Only where torch's own forward runs is it known which rows are read.
        by_rows = isinstance(module, _LOOKUPS) and type(module).forward in {k.forward for k in _LOOKUPS}

        def whole(*_: object) -> None:
            for p in params:
                catch(p, None)

        @torch.compiler.disable  # type: ignore[untyped-decorator]
        def before_forward(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if by_rows:
                read = args[0] if args else kwargs.get("input")
                if isinstance(read, torch.Tensor):
                    catch(module.weight, read)
            else:
                whole()

        hooks = [
            module.register_forward_pre_hook(before_forward, with_kwargs=True),
            module.register_state_dict_pre_hook(whole),
            module.register_load_state_dict_pre_hook(whole),
        ]
        self._watches[watch] = _Own(params, catch, hooks)

    def remove(self, watch: Watch) -> None:
        """Take a watch's hooks away; with the last one, the methods."""
        for hook in self._watches.pop(watch).hooks:
            hook.remove()
        if not self._watches:
            for n in _METHODS:
                self._module.__dict__.pop(n, None)

    def whole(self) -> None:
        """Bring all rows of the module up to date."""
        for own in self._watches.values():
            for p in own.params:
                own.catch(p, None)

    def _applied(self, *given: Any, **named: Any) -> Any:
        """The module's ``_apply``, with all rows up to date."""
        self.whole()
        return type(self._module)._apply(self._module, *given, **named)  # type: ignore[no-untyped-call]

    def _state(self) -> Any:
        """What a copy or a pickle of the module holds: weights up to date, and nothing of its watches."""
        self.whole()
        self._warn_of_average()
        held: Any = type(self._module).__getstate__(self._module)  # type: ignore[no-untyped-call]
        if not isinstance(held, dict):
            return held
        ids = {hook.id for own in self._watches.values() for hook in own.hooks}
        held = {n: v for n, v in held.items() if n not in _METHODS}
        for n in _HOOKS:
            held[n] = type(held[n])((k, v) for k, v in held[n].items() if k not in ids)
        return held

    def _warn_of_average(self) -> None:
        """Warn, once a watch, where the copy is for torch's average of weights, which reads past every hook."""
        moving = [watch for watch in self._watches if watch.moves]
        level = _depth_of_average() if moving else 0
        if level:
            for watch in moving:
                watch.moves = False  # said once
            warnings.warn(
                "torch.optim.swa_utils.AveragedModel reads a watched model past its hooks, so that rows without a"
                " gradient would be averaged as they last were: use thalweg.torch.AveragedModel in its place, or"
                " Optimizer(..., average=0.999)",
                stacklevel=level + 1,
            )


def _depth_of_average() -> int:
    """Return how far up, from the caller, torch's AveragedModel is being made by its user; 0 where it is not.

    A class with an ``update_parameters`` of its own may know better.
    """
    frame, depth = sys._getframe(1), 0
    while frame is not None:
        if frame.f_code is swa_utils.AveragedModel.__init__.__code__:
            kind = type(frame.f_locals["self"])
            own = kind.update_parameters is not swa_utils.AveragedModel.update_parameters
            return 0 if own else depth + 1
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    return 0
