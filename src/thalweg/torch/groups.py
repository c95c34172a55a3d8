"""A rule as the entries of a torch parameter group, and back.

A group speaks torch's names: those of the rule's torch row, else ``betas`` and ``momentum`` where the
rule has such lines, else the lines' own. A torch name that is also a line's own name (``eps`` of
Adamax, which torch adds inside the maximum) means torch's while that other line is out of the formula;
of a rule in another world's form, every line has its own name.
"""

import math
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ..convert import require
from ..core.line import Scalar, short
from ..core.rule import Rule, restore
from ..core.schedule import Schedule
from ..core.started import Started, start_given
from ..errors import HyperparameterError, StateError, nearest
from . import family
from .options import NONE, Options
from .scheduled import ScheduledRate

Kind = Any  # a rule class: mypy does not see that classes can be hashed
Targets = tuple[str, ...]
SETTINGS = ("weight_decay", "decay", "maximize")
AROUND = (*SETTINGS, "l1_decay")
"""What a group may say of what stands around its rule; the last is an entry only where it is not 0."""


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
    """Return the rule with the entries of a user's group, under torch's names or the lines' own.

    Where torch's options in it (``momentum``, ``amsgrad``) mean another rule of the family, it is that rule's.
    """
    rule = _relative(rule, given)
    kind: Kind = type(rule)
    spoken = _spoken(rule)
    wanted = {n: spoken.get(n, (n,)) for n in given if n in spoken or n in kind.parts.lines}
    _distinct(kind, wanted)
    _understood(kind, set(given) - set(wanted), spoken)
    changes = _values(kind, wanted, {n: plain(given[n]) for n in wanted})
    changes.pop("weight_decay", None)
    ramps = {n: plain(given[n]) for n in _ramps(kind) if n in given}
    if ramps or "lr" in changes:
        own = entries(rule)
        lr = changes.get("lr", own["lr"])
        if not isinstance(lr, Schedule):  # a group's own rate decays as the others do
            ramps = {n: own[n] for n in _ramps(kind)} | ramps
        changes["lr"] = _ramped(kind, lr, ramps)
    return rule.replace(**changes) if changes else rule


def begun(rule: Rule, values: Mapping[str, Any], around: Mapping[str, Any]) -> tuple[Rule, dict[str, Any]]:
    """Return the rule that values under torch's names or the lines' own make, and what stands around it.

    around: ``AROUND`` as they were given, None where they were not. Raises HyperparameterError.
    """
    stands = dict(around)
    if "decoupled_weight_decay" in values:
        decay = "decoupled" if values["decoupled_weight_decay"] else "coupled"
        if stands.get("decay") not in (None, decay):
            raise HyperparameterError(
                f"{type(rule).__name__}: decoupled_weight_decay={bool(values['decoupled_weight_decay'])} and"
                f" decay={stands['decay']!r}: give one of them"
            )
        stands["decay"] = decay
    new = changed(rule, {n: v for n, v in values.items() if n != "decoupled_weight_decay"})
    if own_decay(type(rule)) and not own_decay(type(new)):  # AdamW(amsgrad=True)
        defaults = {"weight_decay": rule.values["weight_decay"], "decay": "decoupled"}
        stands |= {n: v for n, v in defaults.items() if stands.get(n) is None}
    return new, stands


def require_known(rule: Rule, values: Iterable[str]) -> None:
    """TypeError for a keyword that is neither a value of the rule nor an option of torch."""
    kind: Kind = type(rule)
    known = {
        *_spoken(rule),
        *_names(kind),
        *kind.parts.lines,
        *_ramps(kind),
        *family.options(),
        *family.HINTS,
    }
    known |= {n for row in kind.parts.dialects.values() for n in row.names}  # told by which name it goes here
    for n in values:
        if n not in known:
            here = [*(n for n in entries(rule) if n != "rule"), *AROUND]
            raise TypeError(
                f"thalweg.torch.Optimizer: {kind.__name__} has no keyword {n!r}: {nearest(n, here)}"
            )


def _foreign(kind: Kind, given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those of torch's options ``names`` that ask for another update than the rule's."""
    told = {n: plain(given[n]) for n in names}
    return {n: v for n, v in told.items() if family.says_something(kind, n, v)}


def _relative(rule: Rule, given: Mapping[str, Any]) -> Rule:
    """Return the rule of the family that torch's options in a group mean; HyperparameterError where no rule has them.

    A rule in another world's form is left alone.
    """
    kind: Kind = type(rule)
    asked = _foreign(kind, given, _entries_of(kind, tuple(given)).foreign)
    if not asked:
        return rule
    _refuse_places(kind, asked)
    relative = _member(rule, asked, entries(rule))
    if relative is None:
        _understood(kind, asked, _spoken(rule))
        raise HyperparameterError(_no_such_option(rule, asked))
    return relative


def _member(rule: Rule, asked: Mapping[str, Any], own: Mapping[str, Any]) -> Rule | None:
    """See ``family.member``; of a rule that is not in torch's form there is none."""
    row = type(rule).parts.dialects.get("torch")
    if row is None:
        return None
    try:
        require(rule, "torch", "group")
    except ValueError:
        return None
    return family.member(rule, asked, {n: own[n] for n in row.names if n in own})


def _refuse_places(kind: Kind, asked: Container[str]) -> None:
    """HyperparameterError for options of how torch runs a step, which are not a group's here."""
    if "differentiable" in asked:
        raise HyperparameterError(
            f"{kind.__name__}: a group with differentiable=True: steps change weights in place, outside autograd;"
            " torch's own optimizers can be differentiated through"
        )
    if "capturable" in asked:
        raise HyperparameterError(
            f"{kind.__name__}: a group with capturable=True: give capturable=True to the optimizer, for all its groups"
        )


def _no_such_option(rule: Rule, asked: Mapping[str, Any]) -> str:
    """Return the message for torch's options that no rule of the family has."""
    told = ", ".join(f"{n}={short(v)}" for n, v in asked.items())
    known = [n for n in entries(rule) if n != "rule" and n not in type(rule).parts.states]
    return (
        f"{label(rule)}: a group with {told}: neither this rule nor its family in torch.optim has such an option;"
        f" it has {', '.join([*known, *SETTINGS])}; leave it out, or give the group a rule that has it"
    )


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
    mine = {*spoken, *_names(kind), *_ramps(kind), *AROUND}
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
def _started(
    kind: Kind, names: tuple[str, ...], values: tuple[Any, ...], left: tuple[str, ...], around: Options
) -> Started:
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
        l1_decay=group.get("l1_decay", 0.0),
        **around._asdict(),
    )


def planned(
    kinds: Mapping[str, type[Rule]],
    group: Mapping[str, Any],
    around: Options = NONE,
    left: tuple[str, ...] = (),
) -> Started:
    """Return the started rule of a torch group as it stands now, with what stands around all groups.

    For lines in ``left``, whose values only the device knows, their defaults stand on the host.
    """
    kind: Kind = kinds.get(str(group.get("rule")).partition(":")[0])
    if kind is None:
        raise StateError(f"group: rule {group.get('rule')!r} is not one that this optimizer was started with")
    names, foreign = _entries_of(kind, tuple(group))
    if foreign:
        _require_same(kind, group, foreign)
    lines = kind.parts.lines
    values = tuple([lines[n].default if n in left else plain(group[n]) for n in names])
    try:
        return _started(kind, names, values, left, around)
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


def _require_same(kind: Kind, group: Mapping[str, Any], foreign: tuple[str, ...]) -> None:
    """HyperparameterError where torch's options in a group, written since it was begun, mean another rule."""
    asked = _foreign(kind, group, foreign)
    if "decoupled_weight_decay" in foreign:
        decoupled, decay = bool(group["decoupled_weight_decay"]), group["decay"]
        asked.pop("decoupled_weight_decay", None)
        if decoupled != (decay == "decoupled"):
            raise HyperparameterError(
                f"{kind.__name__}: a group with decoupled_weight_decay={decoupled} and decay={decay!r}: set decay"
            )
    if not asked:
        return
    _refuse_places(kind, asked)
    lines = {**_pinned(kind), **_values(kind, _read(kind, group), group)}
    rule = restore(kind, str(group["rule"]).partition(":")[2], lines)
    relative = _member(rule, asked, group)
    if relative is None:
        raise HyperparameterError(_no_such_option(rule, asked))
    if type(relative) is not kind:
        told = ", ".join(f"{n}={short(v)}" for n, v in asked.items())
        raise HyperparameterError(
            f"{kind.__name__}: a group with {told} follows {type(relative).__name__} in torch, which has other states:"
            f" begin it with rule={type(relative).__name__}(...)"
        )


class _Entries(NamedTuple):
    """The names in a group that are the rule's, and torch's options that it has no entry for."""

    own: tuple[str, ...]
    foreign: tuple[str, ...]


@lru_cache(maxsize=256)
def _entries_of(kind: Kind, present: tuple[str, ...]) -> _Entries:
    ours = {"rule", *AROUND, *_names(kind), *kind.parts.lines, *_ramps(kind)}
    own = tuple(n for n in present if n in ours)
    return _Entries(own, tuple(n for n in present if n not in ours and n in family.options()))


def plain(value: Any) -> Any:
    """Return a group's entry as a value that can be compared: torch allows lr to be a tensor."""
    if isinstance(value, ScheduledRate):
        return value.schedule
    if isinstance(value, float | int | str | Schedule):
        return value
    if isinstance(value, tuple | list):
        return tuple(map(plain, value))
    if not hasattr(value, "item"):
        return value
    if math.prod(value.shape) != 1:
        raise HyperparameterError(f"a group's entry must be one number, got shape {tuple(value.shape)}")
    return value.item()
