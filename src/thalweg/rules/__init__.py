"""The rules: one recurrence a file. A file that is here is a rule of the library; no list names it.

``RMSpropCentred`` stands in ``rmsprop_centred.py``: the file's name is the rule's, in small letters,
with underscores where one likes. Files are imported when their rule is first asked for.
"""

import ast
import os
from functools import lru_cache
from importlib import import_module
from typing import Any

from ..core.rule import LOADERS, RULES, Rule
from ..core.schedule import Schedule
from ..errors import HyperparameterError, nearest


@lru_cache(maxsize=1)
def _files() -> dict[str, str]:
    found = [n.removesuffix(".py") for folder in __path__ for n in os.listdir(folder) if n.endswith(".py")]
    return {stem.replace("_", ""): stem for stem in sorted(found) if not stem.startswith("_")}


def load(name: str) -> type[Rule] | None:
    """The library's rule of that name, its file imported; None if there is none."""
    stem = _files().get(name.lower())
    if stem is not None:
        import_module(f"{__name__}.{stem}")
    found = RULES.get(name)
    return found if found is not None and found.__module__.startswith(f"{__name__}.") else None


def shipped() -> dict[str, type[Rule]]:
    """All the library's rules by name, in the order of their files' names."""
    for stem in _files().values():
        import_module(f"{__name__}.{stem}")
    ours = [r for r in RULES.values() if r.__module__.startswith(f"{__name__}.")]
    return {r.__name__: r for r in sorted(ours, key=lambda r: r.__module__)}


def movable(world: str) -> dict[str, type[Rule]]:
    """All rules whose row of ``world`` names an optimizer of it: the library's, then users' of other names."""
    ours = shipped()
    every = {**ours, **{n: r for n, r in RULES.items() if n not in ours}}
    return {
        n: r for n, r in every.items() if world in r.parts.dialects and r.parts.dialects[world].optimizers
    }


def spelled(text: str) -> tuple[str, str, dict[str, Any]]:
    """What ``RMSprop:keras(rho=0.95)`` says: head, what follows the colon, arguments; HyperparameterError.

    Arguments are numbers, truth values or tuples of numbers.
    """
    name, opened, given = text.partition("(")
    head, _, tail = name.strip().partition(":")
    if not opened:
        return head, tail, {}
    try:
        call = ast.parse(f"f({given}", mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            raise ValueError
        if call.args or any(k.arg is None for k in call.keywords):
            raise ValueError
        return head, tail, {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError, TypeError):
        raise HyperparameterError(
            f"{text!r}: arguments are written as in {name}(lr=0.1, betas=(0.9, 0.99)), names with numbers"
        ) from None


def named(text: str) -> Rule:
    """Return the rule of a name: ``Adam``, ``RMSprop:keras(rho=0.95)``, ``mine.py:MyRule``, ``mine.py:MyRule:half``.

    The case of the name of a rule of the library is of no account; a user's file is run. Raises FileError,
    and HyperparameterError with the nearest names.
    """
    head, dialect, given = spelled(text)
    if head.endswith(".py"):
        own, _, dialect = dialect.partition(":")
        from ..core.saved_rule import class_from  # hashes and paths cost a tenth of the import

        kind = class_from(head, own)
    else:
        known = shipped()
        folded = {n.lower(): n for n in known}
        if head.lower() not in folded:
            raise HyperparameterError(f"unknown method {head!r}: {nearest(head, known)}, or FILE.py:NAME")
        kind = known[folded[head.lower()]]
    return kind.like(dialect, **given) if dialect else kind(**given)


def resolved(rule: object) -> tuple[Rule, bool]:
    """Return the rule that a rule, a class of rules or a name stands for, and whether its lr is open to a search.

    A rule keeps its own lr. That of a class, or of a name without arguments, is open where it is a number.
    Raises HyperparameterError for anything else, and what ``named`` raises.
    """
    if isinstance(rule, Rule):
        return rule, False
    if isinstance(rule, str):
        value, bare = named(rule), not spelled(rule)[2]
    elif isinstance(rule, type) and issubclass(rule, Rule) and rule is not Rule:
        value, bare = rule(), True
    else:
        raise HyperparameterError(f"must be a rule such as Adagrad(lr=0.1), a class or a name, got {rule!r}")
    lr = value.hyperparameters.get("lr")
    return value, bare and lr is not None and not isinstance(lr, Schedule)


LOADERS.append(load)
