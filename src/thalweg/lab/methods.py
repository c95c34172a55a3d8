"""Methods by name: ``Adam``, ``RMSprop:keras(rho=0.95)``, ``mine.py:MyRule``."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed_in
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from .. import rules
from ..core.commas import between_commas
from ..core.line import Line, Scalar, short
from ..core.rule import Rule, is_shipped
from ..core.schedule import Schedule
from ..errors import HyperparameterError

NINE = ("SGD", "Momentum", "Nesterov", "Adagrad", "RMSprop", "Adadelta", "Adam", "Adamax", "MaxProp")


@dataclass(frozen=True)
class Method:
    """A rule under the name that the user gave it; ``text`` is what ``method`` makes it from, "" if nothing does."""

    name: str
    rule: Rule
    text: str = ""

    @property
    def runs(self) -> Rule:
        """What a trial is given: the rule."""
        return self.rule

    @property
    def lines(self) -> Mapping[str, Line]:
        """What can be tuned: the lines that are numbers, and that no dialect holds at their identity."""
        parts, values = self.rule.parts, self.rule.values
        pinned = parts.dialects[self.rule.dialect].pinned if self.rule.dialect else {}
        return {
            n: line
            for n, line in parts.lines.items()
            if n not in pinned and not isinstance(values[n], Schedule)
        }

    @property
    def values(self) -> Mapping[str, float]:
        """Every line's number at the first step, by name: hyperparameters, and where states start."""
        starts = {n: v for n, v in self.rule.values.items() if not isinstance(v, Schedule)}
        return {**starts, **self.rule.at(0)}

    @property
    def own(self) -> frozenset[str]:
        """The lines whose values are not those of the rule's class and dialect."""
        start = _begun(self.rule).values
        return frozenset(n for n, v in self.rule.values.items() if v != start[n])

    @property
    def code(self) -> "Code | None":
        """What makes the rule when it is pasted; None for a class or a schedule that no file has."""
        return code(self.rule)

    def replace(self, **settings: float) -> Self:
        """The same method with some lines changed; HyperparameterError."""
        return changed_in(self, rule=self.rule.replace(**settings))

    def renamed(self, name: str) -> Self:
        """The same rule under another name."""
        return changed_in(self, name=name)

    def __repr__(self) -> str:
        return repr(self.rule)


def method(name: str | Rule) -> Method:
    """Return the method of a name or of a rule.

    name: ``Adam``, ``RMSprop:keras(rho=0.95)``, ``mine.py:MyRule``, ``mine.py:MyRule:half(lr=0.1)``. Raises
    HyperparameterError with the nearest names, FileError for a file of the user's own.
    """
    if isinstance(name, Rule):
        kind = type(name).__name__
        return Method(f"{kind}:{name.dialect}" if name.dialect else kind, name, spelling(name))
    if not isinstance(name, str):
        raise HyperparameterError(f"methods: a rule or its name is needed, got {short(name)}")
    rule = rules.named(name)
    head, _, _ = rules.spelled(name)
    shown = name.strip()[len(head) :]
    if head.endswith(".py"):
        return Method(shown.removeprefix(":"), rule, name)
    proper = next(n for n in rules.shipped() if n.lower() == head.lower())
    return Method(proper + shown, rule, name)


def spelling(rule: Rule) -> str:
    """The name that ``method`` makes this very rule from; "" where none does.

    None does where a line follows a schedule, and for a class that stands in no file.
    """
    kind = type(rule)
    head = kind.__name__
    if not is_shipped(kind):
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        if kind.__module__ == "__main__" or not str(file).endswith(".py"):
            return ""
        head = f"{file}:{head}"
    pinned: Mapping[str, float] = {}
    if rule.dialect:
        head, pinned = f"{head}:{rule.dialect}", rule.parts.dialects[rule.dialect].pinned
    start = _begun(rule)
    changed = {n: v for n, v in rule.values.items() if v != start.values[n]}
    if any(isinstance(v, Schedule) for v in changed.values()) or pinned.keys() & changed:
        return ""
    return head + (f"({', '.join(f'{n}={v!r}' for n, v in changed.items())})" if changed else "")


def _begun(rule: Rule) -> Rule:
    """The rule as its class and dialect have it, before anything is set."""
    return type(rule).like(rule.dialect) if rule.dialect else type(rule)()


class Code(NamedTuple):
    """Lines to paste: imports, and an expression that is the rule."""

    imports: tuple[str, ...]
    expression: str


def code(rule: Rule) -> Code | None:
    """Return what makes this very rule when it is pasted; None for a class or a schedule that no file has."""
    if not is_shipped(type(rule)):
        text = spelling(rule)
        return Code(("from thalweg.lab.methods import method",), f"method({text!r}).rule") if text else None
    kinds = sorted(
        {kind for value in rule.values.values() for kind in _schedules(value)}, key=lambda k: k.__name__
    )
    if any(kind.__module__ != Schedule.__module__ for kind in kinds):
        return None
    names = ", ".join(kind.__name__ for kind in kinds)
    more = (f"from {Schedule.__module__} import {names}",) if names else ()
    return Code(("import thalweg as tw", *more), f"tw.{rule!r}")


def _schedules(value: Scalar) -> Iterator[type[Schedule]]:
    """The classes of a schedule and of those within it."""
    if isinstance(value, Schedule):
        yield type(value)
        for inner in value.fields.values():
            yield from _schedules(inner)


def methods(names: Sequence[str | Rule] | str | Rule | None) -> list[Method]:
    """Methods in order, the nine by default; HyperparameterError where two would share a name."""
    return distinct([method(n) for n in several(names)])


def several(names: object, usual: Sequence[str] = NINE) -> list[Any]:
    """What a user names methods by, one of them or several, the usual ones without any; HyperparameterError.

    A text may name several between commas, as on the command line.
    """
    if names is None:
        return list(usual)
    if isinstance(names, str):
        return list(between_commas(names))
    if isinstance(names, Rule) or callable(names):
        return [names]
    if not isinstance(names, Iterable):
        raise HyperparameterError(f"methods: rules or their names are needed, got {short(names)}")
    return list(names)


class Titled(Protocol):
    """What has a name, and runs something that can be told from another's."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def runs(self) -> object:
        """What a trial is given."""

    def renamed(self, name: str) -> Self:
        """The same under another name."""


T = TypeVar("T", bound=Titled)


def distinct(entrants: Sequence[T]) -> list[T]:
    """The same in order, with a number behind a name that was there before; HyperparameterError where two are one."""
    if not entrants:
        raise HyperparameterError("methods: name at least one")
    seen: dict[str, int] = {}
    unique: list[T] = []
    for m in entrants:
        seen[m.name] = seen.get(m.name, 0) + 1
        if seen[m.name] > 1 and any(m.runs == u.runs for u in unique):
            raise HyperparameterError(f"methods: {m.name} is named twice")
        unique.append(m if seen[m.name] == 1 else m.renamed(f"{m.name} ({seen[m.name]})"))
    return unique
