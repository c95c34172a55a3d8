"""The optimizers of ``torch.optim`` that rules are, as the rules' rows say it, and what they call their options."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any, NamedTuple

import torch

from ..core.rule import Rule
from ..rules import movable

HINTS = ("foreach", "fused")  # how torch computes an update, not which
PLACES = ("params", "lr", "weight_decay", "maximize", *HINTS)  # what every optimizer has, or changes nothing


class Twin(NamedTuple):
    """A rule and the optimizer of torch that is the same, with the options that pick it and its states' names."""

    rule: type[Rule]
    torch: str
    options: Mapping[str, bool | float]
    states: Mapping[str, str]

    @property
    def is_own(self) -> bool:
        """Whether the optimizer is the rule's own, not one that becomes it by another decay."""
        return self.rule.parts.dialects["torch"].optimizers[0] == self.torch


def twins() -> list[Twin]:
    """Return every pair of a rule and an optimizer."""
    rows = ((rule, rule.parts.dialects["torch"]) for rule in movable("torch").values())
    return [Twin(rule, name, row.options, row.states) for rule, row in rows for name in row.optimizers]


def titles(pairs: Iterable[Twin]) -> str:
    """Return the optimizers' names, for a message."""
    return ", ".join(sorted({t.torch for t in pairs}))


def chosen(name: str, options: Mapping[str, Any]) -> Twin | None:
    """Return the rule that an optimizer of torch is under these options; None where no rule is."""
    fitting = [
        t for t in twins() if t.torch == name and all(options.get(n) == v for n, v in t.options.items())
    ]
    # One whose own optimizer it is, then the one that more options pick, then the one with fewer states.
    return min(fitting, key=lambda t: (not t.is_own, -len(t.options), len(t.states)), default=None)


@lru_cache(maxsize=32)
def arguments(name: str) -> Mapping[str, Any]:
    """Return an optimizer's arguments after ``params``, with their defaults."""
    every = signature(getattr(torch.optim, name)).parameters
    return {n: None if p.default is Parameter.empty else p.default for n, p in every.items() if n != "params"}


@lru_cache(maxsize=1)
def options() -> frozenset[str]:
    """Return torch's names for what only some of its optimizers have, such as ``momentum`` and ``amsgrad``."""
    return frozenset(n for t in twins() for n in arguments(t.torch)).difference(PLACES)


def says_something(kind: type[Rule], name: str, value: object) -> bool:
    """Whether an option of torch that a rule has no entry for asks for another update than the rule's."""
    row = kind.parts.dialects.get("torch")
    neutral = row.options.get(name, 0) if row is not None else 0
    return bool(value != neutral) if neutral else bool(value)


def member(rule: Rule, asked: Mapping[str, Any], own: Mapping[str, Any]) -> Rule | None:
    """Return the rule of the family that torch means by these options; None where the family has none.

    asked: options that ``rule`` has no entry for. own: the rule's values under torch's names. Raises
    HyperparameterError where the options do not go together.
    """
    row = type(rule).parts.dialects.get("torch")
    if row is None or not row.optimizers or not asked.keys() <= arguments(row.optimizers[0]).keys():
        return None
    relatives = dict.fromkeys(t.rule for t in twins() if t.torch == row.optimizers[0])
    for base in relatives:
        switches = base.parts.dialects["torch"].switches
        if switches and (asked.keys() & switches):
            picked = {n: v for n, v in row.options.items() if v}
            return base.like("torch", **{**picked, **own, **asked})
    return None
