"""The functions and lines that a rule class is made of, and the formulas that they give."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from ..errors import RuleError
from .dialect import Row
from .formula import Builder, Formula, Function, keys, lift, name, signature
from .idle_model import IdleModel
from .line import Line


class RuleParts(NamedTuple):
    """The functions and lines that a rule class is made of."""

    step: Function
    rate: Function | None
    idle: Function | None
    gain: Function | None
    clock: Function | None
    idle_model: IdleModel | None
    lines: Mapping[str, Line]
    dialects: Mapping[str, Row]
    aliases: Mapping[str, tuple[str, ...]]  # one name that sets several lines
    cumulates: str = ""  # the dialect whose lines l1 and l2 are penalties of every step, taken inside it

    def __eq__(self, other: object) -> bool:  # one class's parts: they key caches
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @property
    def states(self) -> tuple[str, ...]:
        """State names, in the order of ``step``'s signature."""
        return signature(self.step)[0][2:]

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Hyperparameter names, in the order of their lines."""
        return _hyperparameters(self)


@cache
def _hyperparameters(rule_parts: RuleParts) -> tuple[str, ...]:
    return tuple(n for n, line in rule_parts.lines.items() if not line.is_state)


@cache
def step_formula(rule_parts: RuleParts) -> Formula:
    formula = lift(rule_parts.step, outputs=("w", *rule_parts.states))
    if rule_parts.rate is not None and rule_parts.rate.__name__ not in formula.calls:
        code = rule_parts.step.__code__
        raise RuleError(
            f"{code.co_filename}:{code.co_firstlineno}: step must call {rule_parts.rate.__name__}:"
            " an effective learning rate computed beside the update could drift from it"
        )
    return formula


@cache
def clock_formula(rule_parts: RuleParts, clock: Function | None) -> Formula:
    builder = Builder()
    computed: dict[str, Any] = {}
    wanted = signature(rule_parts.step)[1]
    if clock is not None:
        arguments = [n for group in signature(clock) for n in group]
        values = builder.unfold(clock, [name(n) for n in arguments])
        computed = dict(zip(keys(clock), values, strict=True))
    missing = [n for n in wanted if n not in computed and n not in rule_parts.hyperparameters]
    if missing:
        raise RuleError(
            f"{rule_parts.step.__code__.co_filename}: step takes {', '.join(missing)}:"
            " neither a line of the rule nor given by its clock"
        )
    outputs = [(n, computed.get(n, name(n))) for n in wanted]
    return builder.formula("clock", ("t", *rule_parts.hyperparameters), (), outputs)
