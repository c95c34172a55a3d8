"""Which formula moves a group of an optimizer, ours or torch's own, and how many steps a parameter has had."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch

from ..core.started import Started, start_given
from ..errors import HyperparameterError
from . import convert, family, groups
from .optimizer import Optimizer


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
    if getattr(torch.optim, name, None) is not kind or name not in _known():
        return f"no rule is {kind.__module__}.{name}: realised steps only, no rates"
    settings = tuple((n, groups.plain(v)) for n, v in group.items() if n not in ("params", "param_names"))
    try:
        return _ported(name, settings)
    except (ValueError, HyperparameterError) as error:
        return f"{error}: realised steps only, no rates"


@cache
def _known() -> frozenset[str]:
    """Return the optimizers of torch that are a rule: to list the rules takes longer than all else that is asked here."""
    return frozenset(t.torch for t in family.twins())


@lru_cache(maxsize=64)
def _ported(name: str, settings: tuple[tuple[str, Any], ...]) -> Formula:
    """Return the formula of an optimizer of torch whose group has these settings; ValueError where none is known."""
    group = dict(settings)
    twin, rule, decay = convert.ported("watch", name, group)
    maximize = bool(group.get("maximize"))
    amount = group.get("weight_decay", 0.0)
    started = start_given("watch", rule, weight_decay=amount, decay=decay, maximize=maximize, rates=True)
    return Formula(started, twin.states)


def count(state: Mapping[str, Any]) -> int:
    """Return the steps that a parameter has had, from its states; SGD of torch keeps no count."""
    (steps,) = counts([state])
    return steps


def counts(states: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the steps that each parameter has had, of many at once."""
    steps: list[Any] = [state.get("step") for state in states]
    if steps and all(isinstance(x, torch.Tensor) for x in steps) and len({x.device for x in steps}) == 1:
        return list(map(int, torch.stack(steps).tolist()))
    return [
        int(state.get("momentum_buffer") is not None) if x is None else int(x)
        for x, state in zip(steps, states, strict=True)
    ]
