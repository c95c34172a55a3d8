"""Methods by name: ``Adam``, ``RMSprop:keras(rho=0.95)``, ``mine.py:MyRule``."""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import rules
from ..core.rule import Rule
from ..errors import FileError, HyperparameterError, nearest

NINE = ("SGD", "Momentum", "Nesterov", "Adagrad", "RMSprop", "Adadelta", "Adam", "Adamax", "MaxProp")


@dataclass(frozen=True)
class Method:
    """A rule under the name that the user gave it."""

    name: str
    rule: Rule


_USER = "thalweg_user_"


@dataclass(frozen=True)
class Parcel:
    """A rule on its way to another process, which cannot import a user's file by name."""

    rule: Rule | None
    file: str = ""
    name: str = ""
    values: tuple[tuple[str, Any], ...] = ()

    def opened(self) -> Rule:
        """The rule, its file run again where need be."""
        return self.rule if self.rule is not None else load_rule(self.file, self.name)(**dict(self.values))


def parcel(rule: Rule) -> Parcel:
    """A rule made ready to travel."""
    module = type(rule).__module__
    if not module.startswith(_USER):
        return Parcel(rule)
    return Parcel(None, str(sys.modules[module].__file__), type(rule).__name__, tuple(rule.values.items()))


def load_rule(path: str, name: str) -> type[Rule]:
    """A rule class from a user's own file; FileError, HyperparameterError."""
    file = Path(path)
    if not file.is_file():
        raise FileError(f"{path}: no such file; a rule of your own is named FILE.py:NAME")
    title = _USER + file.stem
    if title not in sys.modules:
        spec = importlib.util.spec_from_file_location(title, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[title] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[title]
            raise FileError(f"{path}: cannot be run ({type(error).__name__}: {error})") from None
    found = getattr(sys.modules[title], name, None)
    if not (isinstance(found, type) and issubclass(found, Rule)):
        known = [
            n
            for n, v in vars(sys.modules[title]).items()
            if isinstance(v, type) and issubclass(v, Rule) and v is not Rule
        ]
        raise HyperparameterError(f"{path} has no rule {name!r}: {nearest(name, known)}")
    return found


def method(name: str | Rule) -> Method:
    """A method from its name or a rule; HyperparameterError with the nearest names."""
    if isinstance(name, Rule):
        return Method(f"{type(name).__name__}:{name.dialect}" if name.dialect else type(name).__name__, name)
    head, tail, given = rules.spelled(name)
    if head.endswith(".py"):
        return Method(name.removeprefix(f"{head}:"), load_rule(head, tail)(**given))
    rule = rules.named(name, more=", or FILE.py:NAME")
    proper = next(n for n in rules.shipped() if n.lower() == head.lower())
    return Method(proper + name.strip()[len(head) :], rule)


def methods(names: Sequence[str | Rule] | str | None) -> list[Method]:
    """Methods in order, the nine by default; HyperparameterError where two would share a name."""
    names = [names] if isinstance(names, str) else names
    made = [method(n) for n in (names if names is not None else NINE)]
    if not made:
        raise HyperparameterError("methods: name at least one")
    seen: dict[str, int] = {}
    unique: list[Method] = []
    for m in made:
        seen[m.name] = seen.get(m.name, 0) + 1
        if seen[m.name] > 1 and any(m.rule == u.rule for u in unique):
            raise HyperparameterError(f"methods: {m.name} is named twice")
        unique.append(m if seen[m.name] == 1 else Method(f"{m.name} ({seen[m.name]})", m.rule))
    return unique
