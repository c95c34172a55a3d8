"""Averages of the weights and rates that a run keeps, and models that have them in place of their weights."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch.optim import swa_utils

from ..core.rule import Rule
from ..errors import StateError
from . import watching
from .states import RATE

Tensor = torch.Tensor
Model = TypeVar("Model", bound=torch.nn.Module)


def kept(states: Mapping[Tensor, Mapping[str, Any]], name: str) -> dict[Tensor, Tensor]:
    """Return of each parameter the state of this name, where it has one."""
    return {p: held[name] for p, held in states.items() if isinstance(held, Mapping) and name in held}


def rates(states: Mapping[Tensor, Mapping[str, Any]], kinds: Sequence[type[Rule]]) -> dict[Tensor, Tensor]:
    """Return the rates that are kept; StateError where no rule of these classes has one, and before the first step."""
    if not any(kind.parts.rate for kind in kinds):
        raise StateError(f"rates: {', '.join(sorted({k.__name__ for k in kinds}))} defines no rate")
    rates = kept(states, RATE)
    if not rates:
        raise StateError("rates: no step has been taken yet")
    return rates


def averaged(model: Model, averages: Mapping[Tensor, Tensor]) -> Model:
    """Return a copy of a model whose weights are the averages of its own; what has none is copied as it is.

    Raises StateError for a model none of whose parameters has one.
    """
    if not any(p in averages for p in model.parameters()):
        raise StateError(
            "averaged: no weight of the model has an average: this optimizer has not yet stepped any of them"
        )
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for p, q in zip(model.parameters(), twin.parameters(), strict=True):
            if p in averages:
                q.copy_(averages[p])
    return twin


class AveragedModel(swa_utils.AveragedModel):
    """torch's ``torch.optim.swa_utils.AveragedModel``, for a model whose rows may be behind: they catch up first.

    Arguments, ``avg_fn`` and state are torch's. Every update brings all rows of a watched model up to date, which is
    work in proportion to its tables; ``Optimizer(..., average=...)`` averages without.
    """

    def update_parameters(self, model: torch.nn.Module) -> None:
        """Take the model's weights of now into the average. Changes this average alone; rows of model catch up."""
        watching.catch_up(model)
        super().update_parameters(model)
