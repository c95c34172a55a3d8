"""The rules: one recurrence a file. A file that is here is a rule of the library; no list names it."""

from importlib import import_module
from pkgutil import iter_modules

from ..core.rule import RULES, Rule

for _found in iter_modules(__path__):
    import_module(f"{__name__}.{_found.name}")


def shipped() -> dict[str, type[Rule]]:
    """The library's own rules by name, in the order of their files' names."""
    return {n: r for n, r in RULES.items() if r.__module__.startswith(f"{__name__}.")}
