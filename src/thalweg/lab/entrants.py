"""What races: a rule, or an optimizer from elsewhere. Either is a value with a name and settings that may be tuned.

A rule runs on any problem. An optimizer from elsewhere (``torch.optim.AdamW``, ``optax.adafactor``,
``my_file.py:Sgdish``, ``pytorch_optimizer.SOAP(weight_decay=0.1)``) is a class or factory that its own
framework's training loop calls: it takes part where the problem is a training loop.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol, Self, TypeAlias

from ..core.line import Line, short
from ..core.rule import Rule
from ..core.user_file import origin, run_file
from ..errors import HyperparameterError, nearest
from ..rules import shipped, spelled
from .methods import Code, distinct, method, several

Maker: TypeAlias = Callable[..., Any]
Named: TypeAlias = str | Rule | Maker  # what a user names an entrant by


class Entrant(Protocol):
    """What a search tunes and a race ranks; ``replace`` gives another, nothing changes one."""

    @property
    def name(self) -> str:
        """What it is called on the page."""

    @property
    def text(self) -> str:
        """What ``entrant`` makes it from again, as it was before tuning; "" if nothing does."""

    @property
    def runs(self) -> "Rule | Foreign":
        """What a trial is given."""

    @property
    def lines(self) -> Mapping[str, Line]:
        """What can be tuned, by name, with defaults, ranges and units: lines that are numbers now."""

    @property
    def values(self) -> Mapping[str, float]:
        """The numbers at the first step, by name; a line without one is missing."""

    @property
    def own(self) -> frozenset[str]:
        """The lines that the user gave values of their own."""

    @property
    def code(self) -> Code | None:
        """What makes it when it is pasted; None where no file has it."""

    def replace(self, **settings: float) -> Self:
        """The same entrant at other values of its lines; HyperparameterError for a name that is none."""

    def renamed(self, name: str) -> Self:
        """The same under another name."""


def entrant(named: Named) -> Entrant:
    """Return the entrant of a name, of a rule, or of a class or factory of optimizers.

    named: ``Adam``, ``RMSprop:keras(rho=0.95)``, ``mine.py:MyRule``, ``torch.optim.Adamax``,
    ``my_file.py:Sgdish(lr=0.1)``, or the object. Raises HyperparameterError with the nearest names, FileError for
    a file of the user's own.
    """
    if isinstance(named, type) and issubclass(named, Rule):
        return method(named())
    if isinstance(named, Rule):
        return method(named)
    if not isinstance(named, str):
        return Foreign.of(named)
    head, tail, _ = spelled(named)
    if head.endswith(".py"):
        module = run_file(head, "a rule or optimizer of your own is named FILE.py:NAME")
        own = tail.partition(":")[0]
        value = getattr(module, own, None)
        if not callable(value):
            raise HyperparameterError(
                f"{head} has no rule or optimizer {own!r}: {nearest(own, _public(module))}"
            )
        is_rule = isinstance(value, type) and issubclass(value, Rule)
        return method(named) if is_rule else Foreign.named(named)
    return Foreign.named(named) if "." in head else method(named)


def entrants(names: Sequence[Named] | Named | None) -> list[Entrant]:
    """Entrants in order, the nine by default; HyperparameterError where two would share a name."""
    return distinct([entrant(n) for n in several(names)])


# Optimizers from elsewhere.

# What frameworks call the lines that can be tuned: for each, words of an argument, and the place in a tuple.
_WORDS: dict[str, tuple[tuple[str, int | None], ...]] = {
    "lr": (("lr", None), ("learning_rate", None)),
    "beta1": (("betas", 0), ("b1", None), ("beta1", None)),
    "beta2": (("betas", 1), ("b2", None), ("beta2", None)),
    "eps": (("eps", None), ("epsilon", None)),
    "momentum": (("momentum", None),),
    "alpha": (("alpha", None),),
    "rho": (("rho", None), ("decay", None)),
    "weight_decay": (("weight_decay", None),),
}


def _line(low: float, high: float, open_low: bool, unit: str) -> Line:
    return Line(math.nan, low, high, open_low, True, unit, "")


_LINES = {
    "lr": _line(0.0, math.inf, True, "w/g"),  # the unit that is looked at most widely: it may be any
    "eps": _line(0.0, math.inf, True, "g"),
    "weight_decay": _line(0.0, math.inf, False, "1/w"),
    **dict.fromkeys(("beta1", "beta2", "momentum", "alpha", "rho"), _line(0.0, 1.0, False, "1")),
}


@dataclass(frozen=True)
class Foreign:
    """An optimizer from elsewhere, as plain data that travels to workers: where its maker is, and its arguments.

    title: what it is called. path: the maker's place, ``torch.optim.AdamW`` or ``my_file.py:Sgdish``. text: what
    ``entrant`` makes it from, "" for an object that no module has. arguments: what the maker is called with beside
    parameters, by its own names. lines: what of these can be tuned, by the names that rules have for it, each
    an argument's word and, where that is a tuple, a place. content: the digest of a user's file. given: the maker
    itself where nothing names it.
    """

    title: str
    path: str
    text: str
    arguments: Mapping[str, Any] = field(hash=False)
    words: Mapping[str, tuple[str, int | None]] = field(hash=False)
    content: str = ""
    given: Maker | None = None

    @classmethod
    def named(cls, text: str) -> "Foreign":
        """Return the optimizer of a name; HyperparameterError, FileError."""
        head, tail, given = spelled(text)
        path = f"{head}:{tail}" if tail else head
        maker, content = _located(path)
        shown = tail + text.strip()[len(path) :] if tail else text.strip()
        return cls._begun(shown, path, text, maker, given, content)

    @classmethod
    def of(cls, maker: Maker) -> "Foreign":
        """Return the optimizer that an object makes: its class, or a function of parameters or a learning rate."""
        if not callable(maker):
            raise HyperparameterError(
                f"methods: names, rules, or classes and functions that make an optimizer; got {short(maker)}"
            )
        title = getattr(maker, "__qualname__", type(maker).__name__)
        module = getattr(maker, "__module__", None) or ""
        file, content = origin(module)
        if file:
            return cls._begun(title, f"{file}:{title}", f"{file}:{title}", maker, {}, content)
        path = f"{module}.{title}"
        try:
            importable = module != "__main__" and _imported(path) is maker
        except HyperparameterError:
            importable = False
        if importable:
            return cls._begun(title, path, path, maker, {}, "")
        return replace(cls._begun(title, title, "", maker, {}, ""), given=maker)

    @classmethod
    def _begun(
        cls, title: str, path: str, text: str, maker: Maker, given: Mapping[str, Any], content: str
    ) -> "Foreign":
        known, open_ended = _arguments(path, maker)
        for n in given:
            if n not in known and not open_ended:
                raise HyperparameterError(f"{path}: unknown argument {n!r}: {nearest(n, known)}")
        at_start = {n: v for n, v in known.items() if v is not inspect.Parameter.empty} | dict(given)
        words = {}
        for line, spellings in _WORDS.items():
            for word, place in spellings:
                if word in (at_start if place is not None else {**known, **at_start}):
                    value = at_start.get(word)
                    if place is None or (isinstance(value, tuple | list) and len(value) > place):
                        words[line] = (word, place)
                        break
        if "lr" not in words and open_ended:
            words["lr"] = ("lr", None)
        if "lr" not in words:
            raise HyperparameterError(
                f"{path}: takes neither lr nor learning_rate, by which optimizers are tuned; it takes"
                f" {', '.join(known) or 'nothing else'}"
            )
        return cls(title, path, text, dict(given), words, content)

    @property
    def name(self) -> str:
        """What it is called on the page."""
        return self.title

    @property
    def runs(self) -> "Foreign":
        """What a trial is given: this."""
        return self

    @property
    def maker(self) -> Maker:
        """The class or factory itself, imported if need be; HyperparameterError, FileError."""
        return self.given if self.given is not None else _located(self.path, self.content)[0]

    @property
    def lines(self) -> Mapping[str, Line]:
        """What can be tuned. The unit of lr is that of the rule of the same name, where one is shipped."""
        words = [n for n in self.words if n == "lr" or n in self.values]
        lines = {n: _LINES[n]._replace(default=self.values.get(n, math.nan)) for n in words}
        folded = {n.lower(): kind for n, kind in shipped().items()}
        rule = folded.get(self.path.rpartition(".")[2].lower()) if self.path.startswith(_LIBRARIES) else None
        if rule is not None and "lr" in rule.parts.lines:
            lines["lr"] = lines["lr"]._replace(unit=rule.parts.lines["lr"].unit)
        return lines

    @property
    def values(self) -> Mapping[str, float]:
        """The numbers, by the lines' names; a line without a default is missing."""
        known, _ = _arguments(self.path, self.maker)
        values = {}
        for line, (word, place) in self.words.items():
            value = self.arguments.get(word, known.get(word))
            value = value[place] if place is not None and value is not None else value
            if isinstance(value, int | float) and not isinstance(value, bool):
                values[line] = float(value)
        return values

    @property
    def own(self) -> frozenset[str]:
        """The lines whose argument was given."""
        return frozenset(n for n, (word, _) in self.words.items() if word in self.arguments)

    def renamed(self, name: str) -> Self:
        """The same under another name."""
        return replace(self, title=name)

    def replace(self, **settings: float) -> Self:
        """The same optimizer at other values of its lines; HyperparameterError for a name that is none."""
        arguments = dict(self.arguments)
        known, _ = _arguments(self.path, self.maker)
        for n, value in settings.items():
            if n not in self.words:
                raise HyperparameterError(f"{self.path}: has no {n!r} to tune: {nearest(n, self.words)}")
            word, place = self.words[n]
            if place is None:
                arguments[word] = value
            else:
                whole = list(arguments[word] if word in arguments else known[word])
                whole[place] = value
                arguments[word] = tuple(whole)
        return replace(self, arguments=arguments)

    @property
    def call(self) -> str:
        """Its arguments as they are written: ``lr=0.1, betas=(0.9, 0.99)``."""
        return ", ".join(f"{n}={v!r}" for n, v in self.arguments.items())

    @property
    def code(self) -> Code | None:
        """Lines that give its maker, with its arguments bound; None where nothing names it."""
        maker = self._maker_code()
        if maker is None or not self.arguments:
            return maker
        return Code(
            ("from functools import partial", *maker.imports), f"partial({maker.expression}, {self.call})"
        )

    def built(self, *params: str) -> Code | None:
        """Lines that make the optimizer itself, of parameters that are called so; None where nothing names it."""
        maker = self._maker_code()
        if maker is None:
            return None
        given = ", ".join([*params, self.call] if self.call else params)
        return Code(maker.imports, f"{maker.expression}({given})")

    def _maker_code(self) -> Code | None:
        if not self.text:
            return None
        if ".py:" in self.path:
            return Code(("from thalweg.lab.entrants import entrant",), f"entrant({self.path!r}).maker")
        return Code((f"import {_module(self.path)[0].__name__}",), self.path)

    def __repr__(self) -> str:
        return f"{self.path}({self.call})"

    def __getstate__(self) -> dict[str, Any]:
        named = self.content or self.text  # found again by its name, as a user's file cannot be imported
        return {**self.__dict__, "given": None if named else self.given}


_LIBRARIES = ("torch.optim.", "optax.")


def refused(entrant: Foreign, problem: str) -> HyperparameterError:
    """The error for an optimizer from elsewhere on a problem that only rules can step."""
    return HyperparameterError(
        f"{entrant.path}: an optimizer from elsewhere takes part where the problem is a training loop"
        f" (FILE.py:NAME of a generator train(optimizer, seed)); {problem} is stepped by rules alone"
    )


def _arguments(path: str, maker: Maker) -> tuple[dict[str, Any], bool]:
    """What a maker takes beside parameters, with defaults, and whether it takes any other name too."""
    try:
        parameters = inspect.signature(maker).parameters
    except (TypeError, ValueError):
        raise HyperparameterError(f"{path}: makes no optimizer: its arguments cannot be read") from None
    kinds = inspect.Parameter
    taken = {
        n: p.default
        for n, p in parameters.items()
        if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY) and n not in ("params", "parameters")
    }
    return taken, any(p.kind is kinds.VAR_KEYWORD for p in parameters.values())


def _located(path: str, content: str = "") -> tuple[Maker, str]:
    """The maker at a path, and its file's digest, "" for a module's; HyperparameterError, FileError."""
    file, _, name = path.rpartition(":")
    if not file.endswith(".py"):
        return _imported(path), ""
    module = run_file(file, "an optimizer of your own is named FILE.py:NAME", content)
    value = getattr(module, name, None)
    if not callable(value):  # an object's name that is not its file's
        raise HyperparameterError(f"{path}: is no class or function that makes an optimizer")
    return value, origin(module.__name__)[1]


def _module(path: str) -> tuple[ModuleType, list[str]]:
    """The module that a dotted path begins with, the longest there is, and the names behind it."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        try:
            return import_module(name), parts[end:]
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise HyperparameterError(f"{path}: {name} cannot be imported ({error})") from None
        except ImportError as error:
            raise HyperparameterError(f"{path}: {name} cannot be imported ({error})") from None
    raise HyperparameterError(f"{path}: {parts[0]} is not installed, or not to be found from here")


def _imported(path: str) -> Maker:
    module, names = _module(path)
    value: object = module
    for n in names:
        inner = getattr(value, n, None)
        if inner is None:
            raise HyperparameterError(f"{path}: {_called(value)} has no {n!r}: {nearest(n, _public(value))}")
        value = inner
    if not callable(value):
        raise HyperparameterError(f"{path}: is no class or function that makes an optimizer")
    return value


def _called(value: object) -> str:
    """What a module or class is called in an error."""
    return str(getattr(value, "__name__", value))


def _public(value: object) -> list[str]:
    """The names of the classes and functions of a module or a class, of a user's file those that it defines."""
    names = [n for n, v in vars(value).items() if callable(v) and not n.startswith("_")]
    title = getattr(value, "__name__", "")
    own = [n for n in names if getattr(vars(value)[n], "__module__", None) == title]
    return own if origin(title)[0] else names
