"""A run in a file: the rules and settings as plain values, then weights, states and counts by leaf.

A file of 0.1.0 names no kind, and for a leaf no keys but only their text; the rest of it is read as it was.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from .. import archive
from ..core.line import short
from ..core.rule import Params, Rule
from ..core.saved_rule import described, rebuilt, require_class
from ..engines.memory import Array
from ..errors import FileError, HyperparameterError, ParameterError
from . import tree
from .options import OF_A_GROUP, Group, Settings, checked
from .parameters import DTYPES, at, named

KIND, FORMAT = "run that Optimizer.save wrote", 1
_MOST = 1 << 53  # steps: a count up to here is a float64 too


class SavedLeaf(NamedTuple):
    """What a file says of one parameter.

    ``path`` is its name, ``keys`` which keys lead to it (``tree.identity``; None where a file says only the name).
    ``group`` counts in the head's groups.
    """

    path: str
    keys: list[Any] | None
    shape: tuple[int, ...]
    dtype: str
    group: int
    t: int
    gathered: int

    @property
    def known_by(self) -> str:
        """What tells this parameter from others, as far as the file says it."""
        return self.path if self.keys is None else tree.identifier(self.keys)


class SavedRun(NamedTuple):
    """What a file says of a run; its arrays are named ``<leaf>.<what the update calls it>``.

    ``calls`` have been made in the window of gathered gradients that is open; 0.1.0 counted them by leaf.
    """

    groups: Sequence[Mapping[str, Any]]  # of each, the default first: "rule", "settings", and "own"
    leaves: Sequence[SavedLeaf]
    calls: int
    skipped: int


def write(
    path: str | os.PathLike[str],
    groups: Sequence[Group],
    leaves: Sequence[SavedLeaf],
    calls: int,
    skipped: int,
    arrays: Mapping[str, Array],
) -> None:
    """Write a run beside the file and put it in its place. Raises FileError, and ParameterError for unclear keys."""
    twice = _twice([leaf.known_by for leaf in leaves])
    if twice is not None:
        raise ParameterError(
            f"save: several parameters have keys that print as {twice}: a file could not tell them apart;"
            " use text or numbers"
        )
    plain = [
        {"rule": described(g.rule), "settings": g.settings._asdict(), "own": sorted(g.own)} for g in groups
    ]
    head = {
        "kind": KIND,
        "format": FORMAT,
        "rule": plain[0]["rule"],
        "settings": plain[0]["settings"],
        "groups": plain,
        "leaves": [leaf._asdict() for leaf in leaves],
        "calls": calls,
        "skipped": skipped,
    }
    archive.save(path, head, arrays)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[SavedRun, archive.Archive]]:
    """Open what ``write`` wrote. Raises FileError: cannot be read, is damaged, is of another kind, is newer."""
    with archive.opened(path, KIND, FORMAT, unnamed=KIND) as file:
        head = file.head
        try:
            leaves = [_leaf(x, len(head["groups"])) for x in head["leaves"]]
            most = max((x.gathered for x in leaves), default=0)
            calls = _count(head.get("calls", most))
            if calls < most:
                raise ValueError("calls")
            run = SavedRun([_group(g) for g in head["groups"]], leaves, calls, _count(head["skipped"]))
        except archive.MISFITS:
            raise damaged(path) from None
        if not leaves:
            raise damaged(path)
        yield run, file


def _leaf(x: Mapping[str, Any], groups: int) -> SavedLeaf:
    """Return what a head says of a leaf; KeyError, TypeError or ValueError where it does not."""
    keys = x.get("keys")
    if keys is not None and not isinstance(keys, list):
        raise TypeError(f"keys {keys!r}")
    return SavedLeaf(
        _text(x["path"]),
        keys,
        tuple(map(_count, x["shape"])),
        DTYPES[DTYPES.index(x["dtype"])],
        range(groups)[_count(x["group"])],
        _count(x["t"]),
        _count(x["gathered"]),
    )


def _group(g: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a head says of a group if a rule can be made of it; KeyError, TypeError or ValueError else."""
    if not _text(g["rule"]["name"]).isidentifier():
        raise ValueError("a class has no such name")
    if not (isinstance(g["rule"]["values"], dict) and isinstance(g["settings"], dict)):
        raise TypeError("values or settings")
    if not isinstance(g.get("own", []), list):
        raise TypeError("own")
    for value in g["rule"]["values"].values():
        if isinstance(value, dict):
            _text(value["schedule"])
    return g


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError(f"{value!r} is no count")
    return value


def damaged(path: str | os.PathLike[str]) -> FileError:
    """Return the error for a file whose head and arrays do not make a run."""
    return FileError(f"{path}: is no {KIND}, or is cut short or damaged")


def places(path: str | os.PathLike[str], run: SavedRun, params: Params) -> list[int]:
    """Return where each of the parameters stands in the file. Raises ParameterError where they are others."""
    leaves = tree.leaves(params)
    names = tree.names([keys for keys, _ in leaves])
    by_keys = all(leaf.keys is not None for leaf in run.leaves)
    known = [tree.identifier(tree.identity(keys)) if by_keys else tree.dotted(keys) for keys, _ in leaves]
    theirs = [leaf.known_by if by_keys else leaf.path for leaf in run.leaves]
    twice = _twice(theirs)
    if by_keys and twice is not None:
        raise damaged(path)
    twice = _twice(known) if twice is None else twice
    if twice is not None:
        raise ParameterError(
            f"load: several parameters are called {twice}, and {path} does not say which is which; use other keys"
        )
    saved = {key: k for k, key in enumerate(theirs)}
    if set(known) != set(saved):
        shown, ours = [named(leaf.path) for leaf in run.leaves], [named(n) for n in names]
        if set(shown) == set(ours):  # text and numbers, or dots in a key, which names do not show
            shown, ours = theirs, known
        raise ParameterError(f"load: {path} holds {_some(shown, ours)}; params hold {_some(ours, shown)}")
    for name, key, (_, array) in zip(names, known, leaves, strict=True):
        leaf = run.leaves[saved[key]]
        shape = tuple(getattr(array, "shape", ()))
        dtype = str(getattr(array, "dtype", type(array).__name__))
        if (shape, dtype) != (leaf.shape, leaf.dtype):
            raise ParameterError(
                f"load: params{at(name)} must be {leaf.dtype} {leaf.shape} as saved, got {dtype} {shape}"
            )
    return [saved[key] for key in known]


def _twice(names: Sequence[str]) -> str | None:
    """Return a name that comes more than once, None if each comes once."""
    return next((name for name, times in Counter(names).items() if times > 1), None)


def _some(names: Sequence[str], others: Sequence[str]) -> str:
    """Return up to six names for an error, those that the others lack first."""
    ordered = sorted(names, key=set(others).__contains__)
    return ", ".join(ordered[:6]) + (f", ... ({len(names)})" if len(names) > 6 else "")


def groups(path: str | os.PathLike[str], run: SavedRun, rule: Rule | type[Rule] | None) -> list[Group]:
    """Return a run's groups with their rules, made by the class of ``rule`` where they are no rules of ours.

    Raises FileError for what makes no rule, HyperparameterError where ``rule`` is needed or does not fit.
    """
    _require_rule(path, run, rule)
    default = run.groups[0]
    try:
        result = []
        for g in run.groups:
            own_rule = rebuilt(g["rule"], rule)
            own = frozenset(g["own"] if "own" in g else _differing(g["rule"], default["rule"]))
            if not own <= set(own_rule.parts.lines):
                raise ValueError(f"lines {own}")
            result.append(Group(own_rule, checked(Settings(**g["settings"])), own))
        common = {tuple(v for n, v in g.settings._asdict().items() if n not in OF_A_GROUP) for g in result}
        accumulate = result[0].settings.accumulate
        if len(common) > 1 or run.calls >= accumulate or result[0].own:
            raise ValueError("settings")
    except archive.MISFITS as error:
        raise misfit(path, rule, error) from None
    return result


def misfit(
    path: str | os.PathLike[str], rule: Rule | type[Rule] | None, error: Exception
) -> FileError | HyperparameterError:
    """Return the error for a head of which no run can be made: the fault of the rule that was given, or the file's."""
    if rule is not None and isinstance(error, HyperparameterError):
        name = (rule if isinstance(rule, type) else type(rule)).__name__
        return HyperparameterError(f"load: {path} does not fit rule={name}: {error}")
    return damaged(path)


def _differing(rule: Mapping[str, Any], default: Mapping[str, Any]) -> list[str]:
    """Return the lines that a group of 0.1.0 has set for itself, as far as can be seen."""
    values = rule["values"]
    if rule["name"] != default["name"]:
        return list(values)
    return [n for n, v in values.items() if v != default["values"][n]]


def _require_rule(path: str | os.PathLike[str], run: SavedRun, rule: Rule | type[Rule] | None) -> None:
    """Raise HyperparameterError where a rule is needed, is none, or is another than the file's."""
    rules = [g["rule"] for g in run.groups]
    if rule is not None:
        kind = rule if isinstance(rule, type) else type(rule)
        if not issubclass(kind, Rule):
            raise HyperparameterError(f"load: rule must be a rule or its class, got {short(rule)}")
        names = [r["name"] for r in rules]
        if kind.__name__ not in names:
            raise HyperparameterError(f"load: {path} holds {', '.join(names)}; rule= is {kind.__name__}")
    for saved in rules:
        require_class(saved, rule)
