"""Engines: how to run any rule on arrays. They name no rule."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np

from ..core.update import Update
from ..errors import HyperparameterError, nearest

ENGINES = {"cpu": "cpu.dense", "plain": "plain"}


class Batch(Protocol):
    """Tensors of one dtype and the update that an engine runs on them."""

    limit: float

    def bind(self, index: int, gradient: np.ndarray[Any, Any] | None, start: int = 0) -> None:
        """Take a contiguous gradient (at address ``start`` if known); None leaves it out of the next pass."""

    def finite(self) -> bool:
        """Whether |g| <= limit for every bound gradient."""

    def run(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> None:
        """One pass; tensor i uses the scalars ``rows[which[i]]``."""

    def step(self, rows: Sequence[tuple[float, ...]], which: Sequence[int]) -> bool:
        """``run`` if ``finite``; whether it was."""


class Engine(Protocol):
    """What an engine's module offers."""

    def batch(
        self, update: Update, stored: np.dtype[Any], tensors: Sequence[dict[str, np.ndarray[Any, Any]]]
    ) -> Batch:
        """Make a batch of flat, contiguous arrays."""

    def sum_of_squares(
        self, gradients: Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]]
    ) -> float:
        """The sum of (g + a)^2 in float64, in an order that does not depend on threads."""


def engine(name: str) -> Engine:
    """The engine of that name, imported when first asked for."""
    if name not in ENGINES:
        raise HyperparameterError(f"on: unknown engine {name!r}: {nearest(name, ENGINES)}")
    return cast(Engine, import_module(f".{ENGINES[name]}", __name__))
