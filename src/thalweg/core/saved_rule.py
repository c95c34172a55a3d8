"""A rule as plain data, and back: for saved runs and models, for workers, reports and caches.

A rule of the library is known by its name. A user's own is known by its file, what stood in it and its
name; a worker of the same command runs that file, but what is read from a saved run never does: there the
user hands over the class.
"""

from collections.abc import Mapping
from typing import Any

from ..errors import HyperparameterError, nearest
from .rule import Rule, find, is_shipped, restore
from .schedule import Schedule, from_plain, to_plain
from .user_file import origin, run_file

Plain = dict[str, Any]  # what JSON can hold


def described(rule: Rule) -> Plain:
    """A rule as plain data: ``name``, whether it is ``ours``, ``dialect``, ``values`` with schedules by their fields."""
    values = {n: to_plain(v) for n, v in rule.values.items()}
    kind = type(rule)
    return {"name": kind.__name__, "ours": is_shipped(kind), "dialect": rule.dialect, "values": values}


def require_class(plain: Mapping[str, Any], given: Rule | type[Rule] | None) -> None:
    """HyperparameterError where a file needs what only its owner has: a rule, or a schedule."""
    name, values = plain["name"], plain.get("values", {})
    handed = _class_of(given)
    if not plain.get("ours") and (handed is None or handed.__name__ != name):
        raise HyperparameterError(f"load: {name} is a rule of your own: pass rule={name}")
    for n, value in values.items():
        schedule = value.get("schedule") if isinstance(value, dict) else None
        if schedule is not None and schedule not in Schedule.KINDS and not isinstance(given, Rule):
            raise HyperparameterError(
                f"load: {n} follows {schedule!r}, a schedule of your own:"
                f" pass the rule itself to load, rule={name}({n}=...)"
            )


def rebuilt(plain: Mapping[str, Any], given: Rule | type[Rule] | None = None) -> Rule:
    """The rule of a file: the library's own by name, another only as the caller handed it over.

    given: the class, or the rule itself where schedules are the user's own. Raises HyperparameterError, and
    ValueError or KeyError for data that ``described`` did not make.
    """
    handed = _class_of(given)
    kind = handed if handed is not None and handed.__name__ == plain["name"] else find(plain["name"])
    try:
        values = {n: from_plain(v) for n, v in plain["values"].items()}
    except HyperparameterError:  # a schedule of the user's own: only the rule handed over has it
        if not isinstance(given, Rule) or type(given) is not kind:
            raise
        values = given.values
    if plain["dialect"] and plain["dialect"] not in kind.parts.dialects:
        raise ValueError("unknown dialect")
    return restore(kind, plain["dialect"], values)


def _class_of(given: Rule | type[Rule] | None) -> type[Rule] | None:
    return given if isinstance(given, type) or given is None else type(given)


# To other processes, which cannot import a user's file by its module's name.


def packed(rule: Rule) -> Rule | Plain:
    """A rule made ready to be pickled: as plain data with its file where it was read from a user's, else as it is."""
    file, content = origin(type(rule).__module__)
    return described(rule) | {"file": file, "content": content} if file else rule


def unpacked(rule: Rule | Mapping[str, Any]) -> Rule:
    """The rule that was ``packed``, its file run if need be; FileError where that was edited meanwhile."""
    if isinstance(rule, Rule):
        return rule
    return rebuilt(rule, class_from(rule["file"], rule["name"], rule["content"]))


def class_from(path: str, name: str, content_digest: str = "") -> type[Rule]:
    """A rule class from a user's own file, which is run; FileError, HyperparameterError."""
    module = run_file(path, "a rule of your own is named FILE.py:NAME", content_digest)
    kind = getattr(module, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Rule)):
        known = [
            n
            for n, v in vars(module).items()
            if isinstance(v, type) and issubclass(v, Rule) and v is not Rule
        ]
        raise HyperparameterError(f"{path} has no rule {name!r}: {nearest(name, known)}")
    return kind
