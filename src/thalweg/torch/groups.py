"""A rule as the entries of a torch parameter group, and back.

A group speaks torch's names: those of the rule's torch row, else ``betas`` and ``momentum`` where the
rule has such lines, else the lines' own. A torch name that is also a line's own name (``eps`` of
Adamax, which torch adds inside the maximum) means torch's while that other line is out of the formula;
of a rule in another world's form, every line has its own name.
"""

import math
from collections.abc import Container, Mapping
from functools import lru_cache
from typing import Any

from ..core.line import Scalar, short
from ..core.rule import Rule, restore
from ..core.schedule import Schedule
from ..core.started import Started, start_given
from ..errors import HyperparameterError, StateError

Kind = Any  # a rule class: mypy does not see that classes can be hashed
Targets = tuple[str, ...]
SETTINGS = ("weight_decay", "decay", "maximize")


@lru_cache(maxsize=64)
def _names(kind: Kind) -> dict[str, Targets]:
    """Return torch's names, each with the lines that it sets."""
    lines, rows = kind.parts.lines, kind.parts.dialects
    names = dict(rows["torch"].names) if "torch" in rows else {}
    if "beta1" in lines and "beta2" in lines:
        names["betas"] = ("beta1", "beta2")
    for row in rows.values():
        if "momentum" in row.names:
            names.setdefault("momentum", row.names["momentum"])
    targets = {n: (t,) if isinstance(t, str) else tuple(t) for n, t in names.items()}
    return {n: t for n, t in targets.items() if "weight_decay" not in t}


def _pinned(kind: Kind) -> Mapping[str, float]:
    """Return the lines that torch does not have, at the values that take them out of the formula."""
    row = kind.parts.dialects.get("torch")
    return {} if row is None else row.pinned


def _ramps(kind: Kind) -> Mapping[str, Any]:
    row = kind.parts.dialects.get("torch")
    return {} if row is None else row.ramps


def _hidden(kind: Kind, name: str, values: Mapping[str, Any]) -> bool:
    """Whether torch's name means another line than the one of that name, which is out of the formula."""
    return name in kind.parts.lines and values[name] == _pinned(kind).get(name)


def _spoken(rule: Rule) -> dict[str, Targets]:
    """Return the entries of a rule's group, each with the lines that it sets."""
    kind: Kind = type(rule)
    values = rule.values
    spoken: dict[str, Targets] = {}
    hidden: set[str] = set()
    for n, targets in _names(kind).items():
        if n in kind.parts.lines and n not in targets:
            if not _hidden(kind, n, values):
                continue
            hidden.add(n)
        if n in kind.parts.aliases and len({values[t] for t in targets}) > 1:
            continue
        spoken[n] = targets
    used = hidden.union(*spoken.values())
    return spoken | {n: (n,) for n in kind.parts.lines if n not in used and n != "weight_decay"}


def _read(kind: Kind, present: Container[str]) -> dict[str, Targets]:
    """Return what ``_spoken`` does, from the entries that a group has."""
    lines = kind.parts.lines
    names = {
        n: targets
        for n, targets in _names(kind).items()
        if n in present and not any(t in present for t in targets if t != n)
    }
    used = {n for targets in names.values() for n in targets} | names.keys()
    return names | {n: (n,) for n in lines if n in present and n not in used and n != "weight_decay"}


def label(rule: Rule) -> str:
    """Return what a group and a checkpoint call a rule: its class, and the dialect whose clock it keeps."""
    return type(rule).__name__ + (f":{rule.dialect}" if rule.dialect else "")


def own_decay(kind: Kind) -> bool:
    """Whether the rule decays the weights in its own step, as AdamW does."""
    return "weight_decay" in kind.parts.hyperparameters


def entries(rule: Rule) -> dict[str, Any]:
    """Return a rule's lines as a torch group has them."""
    kind: Kind = type(rule)
    values = rule.values
    group: dict[str, Any] = {}
    for n, targets in _spoken(rule).items():
        whole = len(targets) == 1 or n in kind.parts.aliases
        group[n] = values[targets[0]] if whole else tuple(values[t] for t in targets)
    for n, ramp in _ramps(kind).items():
        shape, lr = type(ramp(1.0, decay=1.0)), values["lr"]
        group[n] = lr.decay if isinstance(lr, shape) else 0.0
        if isinstance(lr, shape):
            group["lr"] = lr.value
    return {"rule": label(rule), **group}


def changed(rule: Rule, given: Mapping[str, Any]) -> Rule:
    """Return the rule with the entries of a user's group, under torch's names or the lines' own."""
    kind: Kind = type(rule)
    spoken = _spoken(rule)
    wanted = {n: spoken.get(n, (n,)) for n in given if n in spoken or n in kind.parts.lines}
    _distinct(kind, wanted)
    _understood(kind, set(given) - set(wanted), spoken)
    changes = _values(kind, wanted, {n: plain(given[n]) for n in wanted})
    changes.pop("weight_decay", None)
    ramps = {n: plain(given[n]) for n in _ramps(kind) if n in given}
    if ramps:
        changes["lr"] = _ramped(kind, changes.get("lr", rule.values["lr"]), ramps)
    return rule.replace(**changes) if changes else rule


def _distinct(kind: Kind, names: Mapping[str, Targets]) -> None:
    """HyperparameterError where two names set the same line."""
    by: dict[str, str] = {}
    for n, targets in names.items():
        for t in targets:
            if t in by:
                raise HyperparameterError(f"{kind.__name__}: {by[t]} and {n} both set {t}: give one of them")
            by[t] = n


def _understood(kind: Kind, names: Container[str], spoken: Mapping[str, Targets]) -> None:
    """HyperparameterError for another world's name of a line: torch leaves unknown entries alone."""
    mine = {*spoken, *_names(kind), *_ramps(kind), *SETTINGS}
    for dialect, row in kind.parts.dialects.items():
        for n, targets in row.names.items():
            if n in names and n not in mine:
                lines = {targets} if isinstance(targets, str) else {*targets}
                here = ", ".join(m for m, t in spoken.items() if lines & {*t}) or "no such entry"
                raise HyperparameterError(
                    f"{kind.__name__}: a group has {here}, not {n!r} (the name in {dialect})"
                )


def _ramped(kind: Kind, lr: Scalar, decays: Mapping[str, float]) -> Scalar:
    for n, decay in decays.items():
        lr = _ramps(kind)[n](lr, decay=decay) if decay else lr
    return lr


def _values(kind: Kind, names: Mapping[str, Targets], group: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for n, targets in names.items():
        entry = group[n]
        if len(targets) == 1 or n in kind.parts.aliases:
            values |= dict.fromkeys(targets, entry)
            continue
        if not isinstance(entry, tuple | list) or len(entry) != len(targets):
            raise HyperparameterError(
                f"{kind.__name__}: {n} must be {len(targets)} values ({', '.join(targets)}), got {entry!r}"
            )
        values |= zip(targets, entry, strict=True)
    return values


@lru_cache(maxsize=256)
def _started(kind: Kind, names: tuple[str, ...], values: tuple[Any, ...], left: tuple[str, ...]) -> Started:
    """Start the rule of a group with these entries; HyperparameterError for a value out of its range."""
    group = dict(zip(names, values, strict=True))
    dialect = group["rule"].partition(":")[2]
    lines = {**_pinned(kind), **_values(kind, _read(kind, group), group)}
    decays = {n: group[n] for n in _ramps(kind) if n in group}
    if decays:
        lines["lr"] = _ramped(kind, lines["lr"], decays)
    absent = [n for n in kind.parts.hyperparameters if n not in lines and n != "weight_decay"]
    if absent:
        raise KeyError(absent[0])
    return start_given(
        kind.__name__,
        restore(kind, dialect, lines),
        {n: lines[n] for n in left},
        free=lambda n, _: n in left,
        **{n: group[n] for n in SETTINGS},
    )


def planned(kinds: Mapping[str, type[Rule]], group: Mapping[str, Any], left: tuple[str, ...] = ()) -> Started:
    """Return the started rule of a torch group as it stands now.

    For lines in ``left``, whose values only the device knows, their defaults stand on the host.
    """
    kind: Kind = kinds.get(str(group.get("rule")).partition(":")[0])
    if kind is None:
        raise StateError(f"group: rule {group.get('rule')!r} is not one that this optimizer was started with")
    names = _entries_of(kind, tuple(group))
    lines = kind.parts.lines
    values = tuple([lines[n].default if n in left else plain(group[n]) for n in names])
    try:
        return _started(kind, names, values, left)
    except TypeError:
        _require_values(kind, names, values)
        raise
    except KeyError as error:
        raise HyperparameterError(f"{kind.__name__}: the group has no {error.args[0]!r}") from None


def _require_values(kind: Kind, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    """HyperparameterError for an entry that is no value."""
    for n, value in zip(names, values, strict=True):
        try:
            hash(value)
        except TypeError:
            raise HyperparameterError(f"{kind.__name__}: {n} must be a number, got {short(value)}") from None


@lru_cache(maxsize=256)
def _entries_of(kind: Kind, present: tuple[str, ...]) -> tuple[str, ...]:
    ours = {"rule", *SETTINGS, *_names(kind), *kind.parts.lines, *_ramps(kind)}
    return tuple(n for n in present if n in ours)


def plain(value: Any) -> Any:
    """Return a group's entry as a value that can be compared: torch allows lr to be a tensor."""
    if isinstance(value, float | int | str | Schedule):
        return value
    if isinstance(value, tuple | list):
        return tuple(map(plain, value))
    if not hasattr(value, "item"):
        return value
    if math.prod(value.shape) != 1:
        raise HyperparameterError(f"a group's entry must be one number, got shape {tuple(value.shape)}")
    return value.item()
