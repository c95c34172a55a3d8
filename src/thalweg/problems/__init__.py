"""Problems that methods are compared on. A file here with ``PROBLEMS`` is found; no list names it."""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from ..errors import ProblemError, nearest
from .base import Outsider, Problem


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Callable[[], Problem]]:
    """Every problem by name, as a function that makes it."""
    found: dict[str, Callable[[], Problem]] = {}
    for module in iter_modules(__path__):
        found.update(getattr(import_module(f"{__name__}.{module.name}"), "PROBLEMS", {}))
    return found


def problem(name: str, target: str | None = None) -> Problem:
    """The problem of that name, or the one that a table's file makes; ProblemError, FileError.

    target: for a file, the column to predict.
    """
    known = catalogue()
    if name in known:
        return known[name]()
    if Path(name).suffix or Path(name).exists() or "/" in name:
        from .table import read

        return read(name, target)
    raise ProblemError(
        f"unknown problem {name!r}: {nearest(name, known)}; or name a .csv, .parquet or .svm file"
    )


__all__ = ["Outsider", "Problem", "catalogue", "problem"]
