"""A run in a file: the rules and settings as plain values, then weights, states and counts by leaf.

A file of 0.1.0 names no kind; the rest of it is read as it was.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .. import archive
from ..core.line import short
from ..core.rule import Params, Rule
from ..core.saved_rule import require_class
from ..engines.memory import Array
from ..errors import FileError, HyperparameterError, ParameterError
from . import tree
from .parameters import at, named

KIND, FORMAT = "run that Optimizer.save wrote", 1


class SavedLeaf(NamedTuple):
    """What a file says of one parameter; ``group`` counts in the head's groups."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    group: int
    t: int
    gathered: int


class SavedRun(NamedTuple):
    """What a file holds: arrays are named ``<leaf>.<what the update calls it>``."""

    head: Mapping[str, Any]  # the rule, its settings, and those of each group
    leaves: Sequence[SavedLeaf]
    skipped: int
    arrays: Mapping[str, Array]


def write(path: str | os.PathLike[str], run: SavedRun) -> None:
    """Write a run beside the file and put it in its place. Raises FileError."""
    leaves = [leaf._asdict() for leaf in run.leaves]
    head = {"kind": KIND, "format": FORMAT, **run.head, "leaves": leaves, "skipped": run.skipped}
    archive.save(path, head, run.arrays)


def read(path: str | os.PathLike[str]) -> SavedRun:
    """Return what ``write`` wrote. Raises FileError: cannot be read, is damaged, is of another kind, is newer."""
    head, arrays = archive.load(path, KIND, FORMAT, unnamed=KIND)
    try:
        leaves = [
            SavedLeaf(x["path"], tuple(x["shape"]), x["dtype"], int(x["group"]), x["t"], x["gathered"])
            for x in head["leaves"]
        ]
        rules = [g["rule"]["name"] for g in head["groups"]]
        counts = [head["skipped"], *(n for x in leaves for n in (x.t, x.gathered))]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise damaged(path) from None
    groups = all(0 <= x.group < len(rules) for x in leaves)
    if not (leaves and groups and all(isinstance(n, int) and n >= 0 for n in counts)):
        raise damaged(path)
    return SavedRun(head, leaves, head["skipped"], arrays)


def damaged(path: str | os.PathLike[str]) -> FileError:
    """Return the error for a file whose head and arrays do not make a run."""
    return FileError(f"{path}: is no {KIND}, or is cut short or damaged")


def places(path: str | os.PathLike[str], run: SavedRun, params: Params) -> list[int]:
    """Return where each of the parameters stands in the file. Raises ParameterError where they are others."""
    leaves = tree.leaves(params)
    saved = {leaf.path: (k, leaf) for k, leaf in enumerate(run.leaves)}
    if {p for p, _ in leaves} != set(saved):
        raise ParameterError(
            f"load: {path} holds {', '.join(map(named, saved))};"
            f" params hold {', '.join(named(p) for p, _ in leaves)}"
        )
    for p, array in leaves:
        _, leaf = saved[p]
        shape = tuple(getattr(array, "shape", ()))
        dtype = str(getattr(array, "dtype", type(array).__name__))
        if (shape, dtype) != (leaf.shape, leaf.dtype):
            raise ParameterError(
                f"load: params{at(p)} must be {leaf.dtype} {leaf.shape} as saved, got {dtype} {shape}"
            )
    return [saved[p][0] for p, _ in leaves]


def require_rule(path: str | os.PathLike[str], run: SavedRun, rule: Rule | type[Rule] | None) -> None:
    """Raise HyperparameterError where a rule is needed, is none, or is another than the file's."""
    rules = [g["rule"] for g in run.head["groups"]]
    if rule is not None:
        kind = rule if isinstance(rule, type) else type(rule)
        if not issubclass(kind, Rule):
            raise HyperparameterError(f"load: rule must be a rule or its class, got {short(rule)}")
        names = [r["name"] for r in rules]
        if kind.__name__ not in names:
            raise HyperparameterError(f"load: {path} holds {', '.join(names)}; rule= is {kind.__name__}")
    for saved in rules:
        require_class(saved, rule)
