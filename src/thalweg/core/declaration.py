"""The decorator that makes a class of lines into a rule, and what it checks."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, dataclass_transform

from ..errors import RuleError
from .dialect import Row
from .formula import Function, signature
from .idle_model import IdleModel
from .line import Line, fraction, nonnegative, number, positive, state
from .pieces import rate_itself
from .rule import RULES, Rule, is_shipped
from .rule_parts import RuleParts

_RENAMED = {"together": "aliases", "coast": "idle_model"}  # keywords of 0.1.0


@dataclass_transform(frozen_default=True, field_specifiers=(number, positive, nonnegative, fraction, state))
def rule(
    step: Function,
    *,
    rate: Function | None = None,
    idle: Function | None = None,
    gain: Function | None = rate_itself,
    clock: Function | None = None,
    idle_model: IdleModel | None = None,
    dialects: Mapping[str, Row] | None = None,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    cumulates: str = "",
    **unknown: Any,
) -> Callable[[type[Any]], type[Any]]:
    """Make a class of lines into a rule.

    ``step(w, g, *states, /, *scalars)`` returns the new w and states; ``rate`` is called by it; ``gain(rate, *states,
    /, *scalars)`` is what a step moves by under a constant gradient, over that gradient, None where no factor is;
    ``idle(w, *states, k, /, *hyperparameters)`` is k steps with g = 0 in closed form, of t steps done if it takes t;
    ``idle_model`` is what is known of
    them where there is none; ``clock(t, ...)`` gives what is computed once a step; ``aliases`` names lines set by one
    argument; ``cumulates`` is the dialect whose lines l1 and l2 are the penalties of an objective, taken inside the step. Raises RuleError when names do not fit.
    """
    for n in unknown:
        raise RuleError(
            f"rule: {n}= is called {_RENAMED[n]}= now" if n in _RENAMED else f"rule: takes no {n}="
        )

    def decorate(cls: type[Any]) -> type[Any]:
        lines: dict[str, Line] = {
            n: cls.__dict__[n] for n in cls.__annotations__ if isinstance(cls.__dict__.get(n), Line)
        }
        rule_parts = RuleParts(
            step,
            rate,
            idle,
            gain,
            clock,
            idle_model,
            MappingProxyType(lines),
            MappingProxyType(dict(dialects or {})),
            MappingProxyType(dict(aliases or {})),
            cumulates,
        )
        _check(cls, rule_parts)
        cls.parts = rule_parts
        known = RULES.setdefault(cls.__name__, cls)
        if known.__module__ == cls.__module__ or (is_shipped(cls) and not is_shipped(known)):
            RULES[cls.__name__] = cls
        return cls

    return decorate


RESERVED = {"w": "the parameter", "g": "its gradient", "t": "the step"}
"""The words that formulas use for what is no line of a rule."""


def _check(cls: type[Any], rule_parts: RuleParts) -> None:
    """Names of the functions against the lines, at import."""
    where = f"{cls.__module__}.{cls.__name__}"
    if not issubclass(cls, Rule):
        raise RuleError(f"{where}: write `class {cls.__name__}(Rule):`")
    before = signature(rule_parts.step)[0]
    if before[:2] != ("w", "g"):
        raise RuleError(f"{where}: step begins with `w, g`, then the states, then `/`; got {before}")
    taken = [n for n in rule_parts.lines if n in RESERVED]
    if taken:
        raise RuleError(
            f"{where}: no line may be called {taken[0]!r}, which is {RESERVED[taken[0]]}; rename it"
        )
    declared = {n for n, line in rule_parts.lines.items() if line.is_state}
    if set(before[2:]) != declared:
        raise RuleError(f"{where}: step has the states {before[2:]}, the lines declare {sorted(declared)}")
    for clock in (rule_parts.clock, *(r.clock for r in rule_parts.dialects.values())):
        if clock is not None:
            wanted = [n for group in signature(clock) for n in group]
            wrong = [n for n in wanted[1:] if n not in rule_parts.hyperparameters]
            if wrong or wanted[:1] != ["t"]:
                raise RuleError(f"{where}: a clock takes t, then hyperparameters; got {wanted}")
    for idle in (rule_parts.idle, *(r.idle for r in rule_parts.dialects.values())):
        if idle is not None:
            idle_before, of_steps = signature(idle)
            if idle_before != ("w", *before[2:], "k"):
                raise RuleError(f"{where}: idle takes w, the states, k, then `/`; got {idle_before}")
            wrong = [n for n in of_steps if n not in ("t", *rule_parts.hyperparameters)]
            if wrong:
                raise RuleError(f"{where}: idle takes {wrong}, which are neither hyperparameters nor t")
    if rule_parts.gain is not None:
        of_coordinates, of_steps = signature(rule_parts.gain)
        given = {"t", *rule_parts.hyperparameters, *signature(rule_parts.step)[1]}
        wrong = [n for n in of_coordinates if n not in ("rate", *before[2:])]
        wrong += [n for n in of_steps if n not in given]
        if wrong:
            raise RuleError(
                f"{where}: gain takes rate and states, then `/`, then t, hyperparameters and scalars of step; got {wrong}"
            )
    if rule_parts.idle_model is not None:
        idle_model = rule_parts.idle_model
        faded = tuple(n for n in before[2:] if n not in idle_model.products)
        if signature(idle_model.idle_states)[0] != (*faded, "k"):
            raise RuleError(
                f"{where}: idle_states takes {', '.join(faded)}, k, then `/`; got {signature(idle_model.idle_states)[0]}"
            )
        if idle_model.move_terms is not None and (
            idle_model.move_scale is None or signature(idle_model.move_terms)[0] != before[2:]
        ):
            raise RuleError(
                f"{where}: move_terms takes the states {before[2:]}, then `/`, and goes with move_scale"
            )
        wrong = [n for f in (idle_model.idle_states, idle_model.move_terms) if f for n in signature(f)[1]]
        wrong += signature(idle_model.shrink)[1]
        wrong = [n for n in wrong if n not in rule_parts.hyperparameters]
        if wrong:
            raise RuleError(f"{where}: idle_model takes {wrong}, which are no hyperparameters")
    for dialect, r in rule_parts.dialects.items():
        wrong = [n for n in r.values if n not in rule_parts.lines]
        wrong += sorted(r.named_lines.difference(rule_parts.lines))
        if wrong:
            raise RuleError(f"{where}: dialect {dialect!r} sets {wrong}, which are no lines of the rule")
        wrong = [n for n in r.states if n not in declared]
        if wrong:
            raise RuleError(f"{where}: dialect {dialect!r} places {wrong}, which are no states of the rule")
