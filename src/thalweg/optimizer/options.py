"""What ``rule.on`` takes beside the parameters, checked and made plain; groups of parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..core import step_options
from ..core.catch_up import EXACT
from ..core.line import short
from ..core.rule import Rule
from ..core.started import AROUND, Started, settled, start
from ..core.step_options import choice, switch
from ..errors import HyperparameterError, nearest
from . import tree


class Settings(NamedTuple):
    """What ``rule.on`` takes beside the parameters; see there and ``checked``."""

    weight_decay: float = 0.0
    decay: str = "coupled"
    l1_decay: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    average: float | str | None = None
    accumulate: int = 1
    maximize: bool = False
    on_nonfinite: str = "raise"
    rates: bool | None = None
    exact: str = "value"


def checked(settings: Settings) -> Settings:
    """Return the settings with plain numbers in them; HyperparameterError for one that is out of range."""
    s = settings
    return Settings(
        **step_options.checked("on", {n: getattr(s, n) for n in step_options.NAMES}),
        on_nonfinite=choice("on", "on_nonfinite", s.on_nonfinite, ("raise", "skip", "propagate")),
        rates=switch("on", "rates", s.rates, (None, True, False)),
        exact=choice("on", "exact", s.exact, EXACT),
    )


def group_of(rule: Rule, settings: Settings) -> "Group":
    """Return a rule with its settings, weight decay settled between them (``core.started.settled``); HyperparameterError."""
    rule, amount, kind = settled(rule, settings.weight_decay, settings.decay)
    return Group(rule, checked(settings._replace(weight_decay=amount, decay=kind)))


OF_A_GROUP = ("weight_decay", "decay", "l1_decay", "clip_value", "maximize")


class Group(NamedTuple):
    """A rule with its own settings, for some of the parameters.

    own: the rule's lines that the group has set for itself, all of them where it has a rule of its own; in the
    others it follows the default's.
    """

    rule: Rule
    settings: Settings
    own: frozenset[str] = frozenset()

    def started(self, *, rates: bool = False) -> Started:
        """Return what an engine takes of it. rates: also keep the rule's."""
        plain = {n: getattr(self.settings, n) for n in step_options.NAMES}
        return start(self.rule, **plain, rates=rates)


def grouped(
    rule: Rule, settings: Settings, groups: Mapping[Any, Any], paths: Sequence[tree.Keys]
) -> tuple[list[Group], list[int]]:
    """Return the groups, the default first, and which one each path belongs to."""
    if not isinstance(rule, Rule):
        raise HyperparameterError(f"on: needs a rule such as Adam(), got {short(rule)}")
    if not isinstance(groups, Mapping):
        raise HyperparameterError(
            f"on: groups must be a dict of settings or rules by parameter, got {type(groups).__name__}"
        )
    result = [group_of(rule, settings)]
    membership = [0] * len(paths)
    for n, (key, changes) in enumerate(groups.items(), start=1):
        result.append(
            group_of(changes, settings)._replace(own=frozenset(changes.parts.lines))
            if isinstance(changes, Rule)
            else _changed(rule, settings, key, changes)
        )
        members = _members(key, paths)
        if not members:
            raise HyperparameterError(f"on: group {key!r} names no parameter: {_known(key, paths)}")
        for i in members:
            if membership[i]:
                other = list(groups)[membership[i] - 1]
                raise HyperparameterError(
                    f"on: parameter {tree.names(paths)[i]!r} is in two groups, {other!r} and {key!r}"
                )
            membership[i] = n
    return result, membership


def _members(key: object, paths: Sequence[tree.Keys]) -> list[int]:
    """Return which parameters a group's key names; HyperparameterError where it may mean this or that.

    Text is a name at any depth, or a path with dots and all below it; a tuple of keys is a path and all below it.
    """
    if isinstance(key, tuple):
        return [i for i, path in enumerate(paths) if path[: len(key)] == key]
    if not isinstance(key, str):
        raise HyperparameterError(
            f"on: group {key!r} must be a name, a path with dots, or the tuple of its keys, ({key!r},): {_known(key, paths)}"
        )
    meant = [node for node in tree.nodes(paths) if tree.dotted(node) == key]
    if len(meant) > 1:
        raise HyperparameterError(
            f"on: group {key!r} may mean {' or '.join(map(repr, meant))}: give that tuple of keys"
        )
    texts = map(tree.dotted, paths)
    return [i for i, p in enumerate(texts) if key == p or key in p.split(".") or p.startswith(f"{key}.")]


def _known(key: object, paths: Sequence[tree.Keys]) -> str:
    """Return the remedy for a group's key that names none of these."""
    return nearest(str(key), (n if isinstance(n, str) else repr(n) for n in tree.names(paths)))


def following(groups: Sequence[Group], rule: Rule) -> list[Group]:
    """Return the groups once the default's rule is another of its class; each keeps the lines that are its own.

    Raises HyperparameterError for another class, and for what a run that has begun cannot take any more.
    """
    _require_same_run(groups[0], rule)
    return [
        group
        if len(group.own) == len(group.rule.parts.lines)
        else group._replace(rule=rule.replace(**{n: group.rule.values[n] for n in group.own}))
        for group in groups
    ]


def _require_same_run(group: Group, rule: Rule) -> None:
    """Raise HyperparameterError where a group that has begun cannot go on with a rule."""
    old, name = group.rule, type(group.rule).__name__
    if type(rule) is not type(old):
        raise HyperparameterError(
            f"rule: must be {name}(...), whose states this run has, got {short(rule)}; start another run with rule.on"
        )
    for n in old.parts.states:
        if getattr(rule, n) != getattr(old, n):
            raise HyperparameterError(
                f"rule: {n} is where a state starts, and this run has started at {getattr(old, n)!r};"
                f" got {getattr(rule, n)!r}"
            )
    if group.settings.decay in AROUND and rule.values.get("weight_decay"):
        raise HyperparameterError(
            f"rule: weight_decay must be 0, since this run has {group.settings.decay} decay around {name};"
            f" got {rule.values['weight_decay']!r}"
        )


def taking(groups: Sequence[Group], rule: Rule) -> list[Group]:
    """Return a saved run's groups once they take a rule: the default's is it, or that of the groups of its class.

    Raises HyperparameterError as ``following`` does, and where groups of the rule's class have different ones.
    """
    if type(rule) is type(groups[0].rule):
        return following(groups, rule)
    others = [g for g in groups if type(g.rule) is type(rule)]
    for group in others:
        _require_same_run(group, rule)
        if group.rule != others[0].rule:
            name = type(rule).__name__
            raise HyperparameterError(
                f"load: groups of the file have different {name}: pass the class, rule={name}"
            )
    return [g._replace(rule=rule) if g in others else g for g in groups]


def _changed(rule: Rule, settings: Settings, key: tree.Name, changes: object) -> Group:
    if not isinstance(changes, Mapping):
        raise HyperparameterError(
            f"on: group {key!r} must be a rule or a dict of settings, got {type(changes).__name__ if not isinstance(changes, type) else short(changes)}"
        )
    changes, has_rule = dict(changes), "rule" in changes
    other = changes.pop("rule", rule)
    if not isinstance(other, Rule):
        raise HyperparameterError(f"on: group {key!r}: rule must be a rule, got {short(other)}")
    known = {*other.parts.lines, *other.parts.aliases} - set(OF_A_GROUP)
    lines = {n: v for n, v in changes.items() if n in known}
    rest = {n: v for n, v in changes.items() if n not in lines}
    aliases = other.parts.aliases
    own = {line for n in lines for line in aliases.get(n, (n,))}
    if has_rule:
        own.update(other.parts.lines)
    elif "weight_decay" in other.parts.lines and {"weight_decay", "decay"} & set(rest):
        own.add("weight_decay")  # ``settled`` gives it that line, or takes it away
    for n in rest:
        if n not in OF_A_GROUP:
            allowed = [*other.parts.lines, *other.parts.aliases, *OF_A_GROUP, "rule"]
            raise HyperparameterError(f"on: group {key!r}: unknown setting {n!r}: {nearest(n, allowed)}")
    try:
        group = group_of(other.replace(**lines) if lines else other, settings._replace(**rest))
    except HyperparameterError as error:
        raise HyperparameterError(f"on: group {key!r}: {str(error).removeprefix('on: ')}") from None
    return group._replace(own=frozenset(own))
