"""What ``rule.on`` takes beside the parameters, checked and made plain; groups of parameters."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..core import step_options
from ..core.catch_up import EXACT
from ..core.line import short
from ..core.rule import Rule
from ..core.started import Started, settled, start
from ..core.step_options import choice, switch
from ..errors import HyperparameterError, nearest


class Settings(NamedTuple):
    """What ``rule.on`` takes beside the parameters; see there and ``checked``."""

    weight_decay: float = 0.0
    decay: str = "coupled"
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


OF_A_GROUP = ("weight_decay", "decay", "clip_value", "maximize")


class Group(NamedTuple):
    """A rule with its own settings, for some of the parameters."""

    rule: Rule
    settings: Settings

    def started(self, *, rates: bool = False) -> Started:
        """Return what an engine takes of it. rates: also keep the rule's."""
        plain = {n: getattr(self.settings, n) for n in step_options.NAMES}
        return start(self.rule, **plain, rates=rates)


def grouped(
    rule: Rule, settings: Settings, groups: Mapping[str, Any], paths: Sequence[str]
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
            group_of(changes, settings)
            if isinstance(changes, Rule)
            else _changed(rule, settings, key, changes)
        )
        members = [
            i for i, p in enumerate(paths) if key == p or key in p.split(".") or p.startswith(f"{key}.")
        ]
        if not members:
            raise HyperparameterError(f"on: group {key!r} names no parameter: {nearest(str(key), paths)}")
        for i in members:
            if membership[i]:
                other = list(groups)[membership[i] - 1]
                raise HyperparameterError(
                    f"on: parameter {paths[i]!r} is in two groups, {other!r} and {key!r}"
                )
            membership[i] = n
    return result, membership


def _changed(rule: Rule, settings: Settings, key: str, changes: object) -> Group:
    if not isinstance(changes, Mapping):
        raise HyperparameterError(
            f"on: group {key!r} must be a rule or a dict of settings, got {type(changes).__name__ if not isinstance(changes, type) else short(changes)}"
        )
    changes = dict(changes)
    other = changes.pop("rule", rule)
    if not isinstance(other, Rule):
        raise HyperparameterError(f"on: group {key!r}: rule must be a rule, got {short(other)}")
    known = {*other.parts.lines, *other.parts.aliases} - set(OF_A_GROUP)
    lines = {n: v for n, v in changes.items() if n in known}
    rest = {n: v for n, v in changes.items() if n not in lines}
    for n in rest:
        if n not in OF_A_GROUP:
            allowed = [*other.parts.lines, *other.parts.aliases, *OF_A_GROUP, "rule"]
            raise HyperparameterError(f"on: group {key!r}: unknown setting {n!r}: {nearest(n, allowed)}")
    try:
        return group_of(other.replace(**lines) if lines else other, settings._replace(**rest))
    except HyperparameterError as error:
        raise HyperparameterError(f"on: group {key!r}: {str(error).removeprefix('on: ')}") from None
