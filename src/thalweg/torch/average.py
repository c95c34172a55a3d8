"""Averages of the weights that a run keeps, and models that have them in place of their weights."""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch

from ..errors import StateError

Tensor = torch.Tensor
Model = TypeVar("Model", bound=torch.nn.Module)


def kept(states: Mapping[Tensor, Mapping[str, Any]], name: str) -> dict[Tensor, Tensor]:
    """Return of each parameter the state of this name, where it has one."""
    return {p: held[name] for p, held in states.items() if isinstance(held, Mapping) and name in held}


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
