"""The rules: one recurrence a file. A file that is here is a rule of the library; no list names it.

``RMSpropCentred`` stands in ``rmsprop_centred.py``: the file's name is the rule's, in small letters,
with underscores where one likes. Files are imported when their rule is first asked for.
"""

import os
from functools import lru_cache
from importlib import import_module

from ..core.rule import LOADERS, RULES, Rule
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


def named(text: str, *, more: str = "") -> Rule:
    """A rule of the library with its defaults, by name: ``Adam``, ``RMSprop:keras``; case is of no account.

    ``more`` ends the sentence of the HyperparameterError for a name that is unknown.
    """
    head, _, dialect = text.partition(":")
    known = shipped()
    folded = {n.lower(): n for n in known}
    if head.lower() not in folded:
        raise HyperparameterError(f"unknown method {head!r}: {nearest(head, known)}{more}")
    kind = known[folded[head.lower()]]
    return kind.like(dialect) if dialect else kind()


LOADERS.append(load)
