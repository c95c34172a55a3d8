"""Problems that methods are compared on. A file here or below with ``PROBLEMS`` is found; no list names it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from ..errors import UnknownProblemError, nearest
from .base import Outsider, Problem
from .formula import FormulaProblem


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Callable[[], Problem]]:
    """Every problem by name, as a function that makes it."""
    found: dict[str, Callable[[], Problem]] = {}
    for module in walk_packages(__path__, f"{__name__}."):
        found.update(getattr(import_module(module.name), "PROBLEMS", {}))
    return found


@dataclass(frozen=True)
class Source:
    """What a problem is made from: enough to make it again in another process."""

    name: str
    target: str | None = None
    drop: tuple[str, ...] = ()

    def problem(self) -> Problem:
        """The problem; FileError, ProblemError, UnknownProblemError."""
        known = catalogue()
        if self.name in known:
            return known[self.name]()
        if Path(self.name).suffix or Path(self.name).exists() or "/" in self.name:
            from .table import read

            return read(self.name, self.target, drop=self.drop)
        raise UnknownProblemError(
            f"unknown problem {self.name!r}: {nearest(self.name, known)}; or name a .csv, .tsv, .parquet or .svm file"
        )


def problem(name: str, target: str | None = None, drop: Sequence[str] = ()) -> Problem:
    """The problem of that name, or the one that a table's file makes.

    target: for a file, the column to predict; drop: columns to leave out. Raises FileError,
    ProblemError, UnknownProblemError.
    """
    return Source(name, target, tuple(drop)).problem()


def landscape_catalogue() -> dict[str, Callable[[], FormulaProblem]]:
    """The problems written as formulas of few parameters, whose paths can be shown, by name."""
    return {n: make for n, make in catalogue().items() if isinstance(make(), FormulaProblem)}  # type: ignore[misc]


def landscape(name: str) -> FormulaProblem:
    """A landscape by name; UnknownProblemError, also for problems that are none."""
    make = catalogue().get(name)
    found = None if make is None else make()
    if isinstance(found, FormulaProblem):
        return found
    if found is not None:
        raise UnknownProblemError(
            f"{name!r} is no landscape, its weights are too many to show; race it: thalweg race {name}"
        )
    raise UnknownProblemError(f"unknown landscape {name!r}: {nearest(name, landscape_catalogue())}")


__all__ = ["Outsider", "Problem", "Source", "catalogue", "landscape", "landscape_catalogue", "problem"]
