"""Engines: how to run any rule on arrays. They name no rule; ``contract`` says what each must do."""

from importlib import import_module
from typing import cast

from ..errors import HyperparameterError, nearest
from .contract import Batch as Batch
from .contract import Engine as Engine

ENGINES = {"cpu": "cpu.dense", "plain": "plain"}


def engine(name: str) -> Engine:
    """Return the engine of that name, imported when first asked for. Raises HyperparameterError."""
    if not isinstance(name, str) or name not in ENGINES:
        raise HyperparameterError(f"on: unknown engine {name!r}: {nearest(name, ENGINES)}")
    return cast(Engine, import_module(f".{ENGINES[name]}", __name__))
