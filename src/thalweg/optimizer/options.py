"""What ``rule.on`` takes beside the parameters, checked and made plain; groups of parameters."""

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any, NamedTuple

from ..core.catch_up import EXACT
from ..core.line import Line, short
from ..core.rule import Rule
from ..core.started import Started, settled, start
from ..errors import HyperparameterError, nearest

# Plain numbers: a schedule belongs to a hyperparameter.
_POSITIVE = Line(1.0, 0.0, math.inf, True, True, "g", "", is_state=True)
_KINDS = ("coupled", "decoupled")
_NONNEGATIVE = Line(0.0, 0.0, math.inf, False, True, "g/w", "", is_state=True)


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
    """The settings with plain numbers in them; HyperparameterError for one that is out of range."""
    s = settings
    try:
        count = 0 if isinstance(s.accumulate, bool) else index(s.accumulate)
    except TypeError:
        count = 0
    if count < 1:
        raise HyperparameterError(
            f"on: accumulate must be a whole number of at least 1, got {short(s.accumulate)}"
        )
    return Settings(
        weight_decay=_NONNEGATIVE.number("on", "weight_decay", s.weight_decay),
        decay=_choice("decay", s.decay, _KINDS),
        clip_value=None if s.clip_value is None else _POSITIVE.number("on", "clip_value", s.clip_value),
        clip_norm=None if s.clip_norm is None else _POSITIVE.number("on", "clip_norm", s.clip_norm),
        average=_average(s.average),
        accumulate=count,
        maximize=bool(_switch("maximize", s.maximize, (True, False))),
        on_nonfinite=_choice("on_nonfinite", s.on_nonfinite, ("raise", "skip", "propagate")),
        rates=_switch("rates", s.rates, (None, True, False)),
        exact=_choice("exact", s.exact, EXACT),
    )


def _switch(name: str, value: Any, allowed: Sequence[bool | None]) -> bool | None:
    plain = bool(value) if type(value).__name__ in ("bool", "bool_") else value
    if not any(plain is a for a in allowed):
        choices = " or ".join(map(repr, allowed))
        raise HyperparameterError(f"on: {name} must be {choices}, got {short(value)}")
    return plain


def _average(value: Any) -> float | str | None:
    if value is None or (isinstance(value, str) and value == "polyak"):
        return value
    try:
        beta = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError):
        beta = math.nan
    if not 0 < beta < 1:
        raise HyperparameterError(
            f"on: average must be None, 'polyak' or the decay of a moving average in (0, 1), got {short(value)}"
        )
    return beta


def _choice(name: str, got: Any, allowed: Sequence[str]) -> str:
    if not isinstance(got, str) or got not in allowed:
        raise HyperparameterError(
            f"on: {name} must be one of {', '.join(map(repr, allowed))}; got {short(got)}"
        )
    return got


def group_of(rule: Rule, settings: Settings) -> "Group":
    """A rule with its settings, weight decay settled between them (``core.started.settled``); HyperparameterError."""
    rule, amount, kind = settled(rule, settings.weight_decay, settings.decay)
    return Group(rule, checked(settings._replace(weight_decay=amount, decay=kind)))


OF_A_GROUP = ("weight_decay", "decay", "clip_value", "maximize")


class Group(NamedTuple):
    """A rule with its own settings, for some of the parameters."""

    rule: Rule
    settings: Settings

    def started(self, *, rates: bool = False, varied: Iterable[str] = ()) -> Started:
        """What an engine takes of it. rates: also keep the rule's; varied: hyperparameters with other values."""
        s = self.settings
        return start(
            self.rule,
            weight_decay=s.weight_decay,
            decay=s.decay,
            clip_value=s.clip_value,
            clip_norm=s.clip_norm,
            average=s.average,
            accumulate=s.accumulate,
            maximize=s.maximize,
            rates=rates,
            varied=varied,
        )


def grouped(
    rule: Rule, settings: Settings, groups: Mapping[str, Any], paths: Sequence[str]
) -> tuple[list[Group], list[int]]:
    """The groups, the default first, and which one each path belongs to."""
    if not isinstance(rule, Rule):
        raise HyperparameterError(f"on: needs a rule such as Adam(), got {short(rule)}")
    if not isinstance(groups, Mapping):
        raise HyperparameterError(
            f"on: groups must be a dict of settings or rules by parameter, got {type(groups).__name__}"
        )
    made = [group_of(rule, settings)]
    membership = [0] * len(paths)
    for n, (key, changes) in enumerate(groups.items(), start=1):
        made.append(
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
    return made, membership


def _changed(rule: Rule, settings: Settings, key: str, changes: Any) -> Group:
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
