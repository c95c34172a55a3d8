"""A rule: a formula and its lines, made into a value.

    @rule(step, rate=rate, idle=idle, dialects=DIALECTS)
    class Adagrad(Rule):
        lr: Scalar = nonnegative(default=1e-2, unit="w")
        s: float = state(default=0.0, unit="g^2")

The class is a frozen, comparable, printable value whose constructor takes its lines by name. It
knows no arrays: ``on`` is put in place by the package's root, which knows the optimizer.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, dataclass_transform

from ..errors import HyperparameterError, RuleError, nearest
from .formula import Builder, Formula, Function, keys, lift, name, signature
from .idle_model import IdleModel
from .line import Line, Scalar, fraction, nonnegative, number, positive, short, state
from .schedule import Schedule

if TYPE_CHECKING:
    from ..optimizer.optimizer import on as _on


class Row(NamedTuple):
    """What one library or text sets: its version, its names, the values of the lines.

    ``held`` are lines that this world does not have, with the value that takes them out of the
    formula. ``names`` maps its arguments to lines (a tuple where one argument sets several).
    ``ramps`` maps an argument to the schedule that it wraps around lr. ``members`` says which rule of
    the family is meant when an argument is switched on. ``clock`` replaces the rule's own.
    """

    version: str
    names: Mapping[str, str | tuple[str, ...]]
    held: Mapping[str, float]
    ramps: Mapping[str, Callable[..., Schedule]]
    members: Mapping[tuple[str, ...], str]
    clock: Function | None
    note: str
    values: Mapping[str, float]


def row(
    version: str = "",
    *,
    names: Mapping[str, Any] | None = None,
    held: Mapping[str, float] | None = None,
    ramps: Mapping[str, Callable[..., Schedule]] | None = None,
    members: Mapping[tuple[str, ...], str] | None = None,
    clock: Function | None = None,
    note: str = "",
    **values: float,
) -> Row:
    """A dialect row: what a library or text sets, as values and never as a branch.

    version: of the library or paper. names: its arguments → lines. held: lines it does not have, at the
    value that takes them out. ramps: arguments that wrap lr in a schedule (``lr_decay``). members:
    switched-on arguments → the rule of the family. clock: in place of the rule's. note: a remark.
    Any other argument is a line's value in this world.
    """
    return Row(
        version,
        names or {},
        held or {},
        ramps or {},
        members or {},
        clock,
        note,
        {**(held or {}), **values},
    )


class RuleParts(NamedTuple):
    """The functions and lines that a rule class is made of."""

    step: Function
    rate: Function | None
    idle: Function | None
    clock: Function | None
    idle_model: IdleModel | None
    lines: Mapping[str, Line]
    dialects: Mapping[str, Row]
    together: Mapping[str, tuple[str, ...]]  # one name that sets several lines

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
        return tuple(n for n, line in self.lines.items() if not line.is_state)


RULES: dict[str, type["Rule"]] = {}
"""Every rule class by name, filled by the decorator."""

LOADERS: list[Callable[[str], object]] = []
"""Called with a name that is not in RULES, to import the file that defines it."""


class _Signature:
    """A rule class's signature, made from its lines when somebody asks."""

    def __get__(self, instance: object, owner: type["Rule"]) -> Any:
        from inspect import Parameter, Signature

        if "parts" not in vars(owner):
            return Signature()
        kind = Parameter.POSITIONAL_OR_KEYWORD
        return Signature(
            [
                Parameter(n, kind, default=line.default, annotation=float if line.is_state else Scalar)
                for n, line in owner.parts.lines.items()
            ]
        )


class Rule:
    """Base of all rules; see ``rule``.

    Construct with the lines by name: ``Adam(lr=1e-3, beta1=0.9)``. Hyperparameters take a number or a
    schedule; a state's line is where that state starts. Raises HyperparameterError.
    """

    parts: ClassVar[RuleParts]
    _dialect: str
    if not TYPE_CHECKING:
        __signature__ = _Signature()

    def __init__(self, *values: Any, **named: Any) -> None:
        lines = self.parts.lines
        where = type(self).__name__
        if len(values) > len(lines):
            raise HyperparameterError(f"{where}: takes {len(lines)} values, got {len(values)}")
        given = dict(zip(lines, values, strict=False))
        for n, both in self.parts.together.items():
            if n in named:
                named.update(dict.fromkeys(both, named.pop(n)))
        for n, v in named.items():
            if n not in lines:
                raise HyperparameterError(f"{where}: unknown hyperparameter {n!r}: {nearest(n, lines)}")
            if n in given:
                raise HyperparameterError(f"{where}: {n} given twice")
            given[n] = v
        for n, line in lines.items():
            value = given.get(n, line.default)
            object.__setattr__(self, n, line.checked(f"{where}({n}={short(value)})", n, value))
        object.__setattr__(self, "_dialect", "")

    # A rule is a value.

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is a value: use .replace({name}={value!r})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is a value: {name} cannot be deleted")

    def _key(self) -> tuple[Any, ...]:
        return (type(self), self.clock, *self.values.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        args = ", ".join(f"{n}={v!r}" for n, v in self.values.items())
        if not self._dialect:
            return f"{type(self).__name__}({args})"
        held = self.parts.dialects[self._dialect].held
        args = "".join(f", {n}={v!r}" for n, v in self.values.items() if n not in held)
        return f"{type(self).__name__}.like({self._dialect!r}{args})"

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), self._dialect, self.values)

    def _repr_latex_(self) -> str:
        from ..printing.latex import display

        return display(self)

    @property
    def values(self) -> dict[str, Scalar]:
        """Every line's value, by name."""
        return {n: getattr(self, n) for n in self.parts.lines}

    @property
    def hyperparameters(self) -> dict[str, Scalar]:
        """The hyperparameters' values, by name."""
        return {n: getattr(self, n) for n in self.parts.hyperparameters}

    @property
    def clock(self) -> Function | None:
        """The clock in force: the dialect's, else the rule's own."""
        row = self.parts.dialects.get(self._dialect)
        return row.clock if row is not None and row.clock is not None else self.parts.clock

    @property
    def dialect(self) -> str:
        """The dialect whose clock is in force, or ``""``."""
        return self._dialect

    def replace(self, **named: Any) -> Self:
        """The same rule with some lines changed."""
        made: Self = restore(type(self), self._dialect, {**self.values, **named})
        return made

    def at(self, step: int) -> dict[str, float]:
        """The hyperparameters' values after ``step`` steps (0 before the first), schedules called.

        Raises HyperparameterError where a schedule leaves the line's range.
        """
        values = {}
        for n, value in self.hyperparameters.items():
            if isinstance(value, Schedule):
                number = float(value(step))
                line = self.parts.lines[n]
                if not line.holds(number):
                    raise HyperparameterError(
                        f"{type(self).__name__}: {n} must stay in {line.range}, unit {line.unit};"
                        f" the schedule {value!r} gave {number!r} after {step} steps"
                    )
                value = number
            values[n] = value
        return values

    def over(self, name: str, steps: Sequence[int]) -> list[float]:
        """One scheduled hyperparameter's values after each of ``steps``; many at once cost a quarter of ``at``.

        Raises HyperparameterError where the schedule leaves the line's range.
        """
        schedule: Any = getattr(self, name)
        made = [float(schedule(k)) for k in steps]
        if not all(map(self.parts.lines[name].holds, made)):
            for k in steps:
                self.at(k)  # says where
        return made

    # Dialects.

    @classmethod
    def like(cls, dialect: str, /, **named: Any) -> "Rule":
        """This method as a library or text writes it, with that world's argument names.

        ``RMSprop.like("keras", epsilon=1e-6)``. Lines may also be set by their own names, except those
        that the row holds at their identity. Arguments that decay the learning rate (``lr_decay``) give
        it a schedule. Where the world's arguments pick another recurrence (``momentum=0.9``), the rule of
        that name comes back. Raises HyperparameterError.
        """
        rows = cls.parts.dialects
        where = f"{cls.__name__}.like({short(dialect)})"
        if not isinstance(dialect, str) or dialect not in rows:
            raise HyperparameterError(f"{where}: unknown dialect: {nearest(dialect, rows)}")
        chosen = rows[dialect]
        switches = {n for combination in chosen.members for n in combination}
        on = tuple(sorted(n for n in switches if _switched(where, n, named.get(n))))
        member = chosen.members.get(on, cls.__name__ if not on else None)
        if member is None:
            allowed = " or ".join(" with ".join(m) for m in chosen.members if set(on) < set(m))
            raise HyperparameterError(
                f"{where}: {' with '.join(on)} does not go alone; allowed: {allowed or 'neither'}"
            )
        if member != cls.__name__:
            booleans = {n for n in on if isinstance(named[n], bool)}
            rest = {n: v for n, v in named.items() if n not in booleans and (n not in switches or n in on)}
            return find(member).like(dialect, **rest)
        values: dict[str, Any] = dict(chosen.values)
        ramps: dict[str, Any] = {}
        for n, v in named.items():
            if n in switches:
                continue
            if n in chosen.ramps:
                ramps[n] = v
            elif n in chosen.names:
                target = chosen.names[n]
                if isinstance(target, str):
                    values[target] = v
                    continue
                if target in cls.parts.together.values() and not isinstance(v, tuple | list):
                    v = (v,) * len(target)
                if not isinstance(v, tuple | list) or len(v) != len(target):
                    raise HyperparameterError(f"{where}: {n} sets {', '.join(target)}, got {v!r}")
                values.update(zip(target, v, strict=True))
            elif n in chosen.held:
                known = [f"{k} (sets {t})" for k, t in chosen.names.items() if t in cls._siblings(n)]
                raise HyperparameterError(
                    f"{where}: {n} does not exist in this dialect (held at {chosen.held[n]:g});"
                    f" set {' or '.join(known) or ', '.join(chosen.names)}"
                )
            elif n in cls.parts.lines:
                values[n] = v
            elif n == "weight_decay":
                raise HyperparameterError(
                    f"{where}: weight decay belongs to the optimizer: rule.on(params, weight_decay=...)"
                )
            else:
                known = [*chosen.names, *chosen.ramps, *sorted(switches)]
                known += [x for x in cls.parts.lines if x not in chosen.held and x not in known]
                raise HyperparameterError(f"{where}: unknown argument {n!r}: {nearest(n, known)}")
        for n, v in ramps.items():
            base = values.get("lr", cls.parts.lines["lr"].default)
            values["lr"] = chosen.ramps[n](base, decay=v) if v else base
        made: Rule = restore(cls, dialect if chosen.clock is not None else "", values)
        return made

    @classmethod
    def _siblings(cls, line: str) -> set[str | tuple[str, ...]]:
        stem = line.split("_")[0]
        return {n for n in cls.parts.lines if n.split("_")[0] == stem}

    @property
    def step_formula(self) -> Formula:
        """``step`` as straight-line code; outputs are w and the states, in order."""
        return _step_formula(self.parts)

    @property
    def clock_formula(self) -> Formula:
        """The step's scalars, in ``step``'s order, from t (1 first) and the hyperparameters."""
        return _clock_formula(self.parts, self.clock)

    if TYPE_CHECKING:
        on = _on
    else:

        def on(self, params: Any, **settings: Any) -> Any:
            raise RuleError("import thalweg, not thalweg.core: the root wires rules to the optimizer")


def _switched(where: str, name: str, value: Any) -> bool:
    try:
        return bool(value)
    except (TypeError, ValueError):
        raise HyperparameterError(
            f"{where}: {name} must be a number or a truth value, got {short(value)}"
        ) from None


def restore(cls: type[Any], dialect: str, values: Mapping[str, Any]) -> Any:
    """A rule from its class, the dialect whose clock it keeps, and its values."""
    made = cls(**values)
    object.__setattr__(made, "_dialect", dialect)
    return made


@cache
def _step_formula(rule_parts: RuleParts) -> Formula:
    formula = lift(rule_parts.step, outputs=("w", *rule_parts.states))
    if rule_parts.rate is not None and rule_parts.rate.__name__ not in formula.calls:
        code = rule_parts.step.__code__
        raise RuleError(
            f"{code.co_filename}:{code.co_firstlineno}: step must call {rule_parts.rate.__name__}:"
            " an effective learning rate computed beside the update could drift from it"
        )
    return formula


@cache
def _clock_formula(rule_parts: RuleParts, clock: Function | None) -> Formula:
    builder = Builder()
    made: dict[str, Any] = {}
    wanted = signature(rule_parts.step)[1]
    if clock is not None:
        arguments = [n for group in signature(clock) for n in group]
        values = builder.unfold(clock, [name(n) for n in arguments])
        made = dict(zip(keys(clock), values, strict=True))
    missing = [n for n in wanted if n not in made and n not in rule_parts.hyperparameters]
    if missing:
        raise RuleError(
            f"{rule_parts.step.__code__.co_filename}: step takes {', '.join(missing)}:"
            " neither a line of the rule nor given by its clock"
        )
    outputs = [(n, made.get(n, name(n))) for n in wanted]
    return builder.formula("clock", ("t", *rule_parts.hyperparameters), (), outputs)


def find(rule_name: str) -> type[Rule]:
    """The rule class of that name; HyperparameterError with the nearest names."""
    for load in LOADERS if rule_name not in RULES else ():
        load(rule_name)
    if rule_name not in RULES:
        raise HyperparameterError(f"unknown rule {rule_name!r}: {nearest(rule_name, RULES)}")
    return RULES[rule_name]


@dataclass_transform(frozen_default=True, field_specifiers=(number, positive, nonnegative, fraction, state))
def rule(
    step: Function,
    *,
    rate: Function | None = None,
    idle: Function | None = None,
    clock: Function | None = None,
    idle_model: IdleModel | None = None,
    dialects: Mapping[str, Row] | None = None,
    together: Mapping[str, tuple[str, ...]] | None = None,
) -> Callable[[type[Any]], type[Any]]:
    """Make a class of lines into a rule.

    ``step(w, g, *states, /, *scalars)`` returns the new w and states; ``rate`` is called by it;
    ``idle(w, *states, k, /, *scalars)`` is k steps with g = 0 in closed form, ``idle_model`` what is known of
    them where there is none; ``clock(t, ...)`` gives what is computed once a step; ``together`` names lines set by one argument. Raises RuleError when names do not fit.
    """

    def decorate(cls: type[Any]) -> type[Any]:
        lines: dict[str, Line] = {
            n: cls.__dict__[n] for n in cls.__annotations__ if isinstance(cls.__dict__.get(n), Line)
        }
        rule_parts = RuleParts(
            step,
            rate,
            idle,
            clock,
            idle_model,
            MappingProxyType(lines),
            MappingProxyType(dict(dialects or {})),
            MappingProxyType(dict(together or {})),
        )
        _check(cls, rule_parts)
        cls.parts = rule_parts
        known = RULES.get(cls.__name__)
        if known is None or known.__module__ == cls.__module__:
            RULES[cls.__name__] = cls
        return cls

    return decorate


def _check(cls: type[Any], rule_parts: RuleParts) -> None:
    """Names of the functions against the lines, at import."""
    where = f"{cls.__module__}.{cls.__name__}"
    if not issubclass(cls, Rule):
        raise RuleError(f"{where}: write `class {cls.__name__}(Rule):`")
    before = signature(rule_parts.step)[0]
    if before[:2] != ("w", "g"):
        raise RuleError(f"{where}: step begins with `w, g`, then the states, then `/`; got {before}")
    declared = {n for n, line in rule_parts.lines.items() if line.is_state}
    if set(before[2:]) != declared:
        raise RuleError(f"{where}: step has the states {before[2:]}, the lines declare {sorted(declared)}")
    for clock in (rule_parts.clock, *(r.clock for r in rule_parts.dialects.values())):
        if clock is not None:
            wanted = [n for group in signature(clock) for n in group]
            wrong = [n for n in wanted[1:] if n not in rule_parts.hyperparameters]
            if wrong or wanted[:1] != ["t"]:
                raise RuleError(f"{where}: a clock takes t, then hyperparameters; got {wanted}")
    if rule_parts.idle is not None:
        idle_before = signature(rule_parts.idle)[0]
        if idle_before != ("w", *before[2:], "k"):
            raise RuleError(f"{where}: idle takes w, the states, k, then `/`; got {idle_before}")
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
        targets = [t for v in r.names.values() for t in ((v,) if isinstance(v, str) else v)]
        wrong += [n for n in targets if n not in rule_parts.lines]
        if wrong:
            raise RuleError(f"{where}: dialect {dialect!r} sets {wrong}, which are no lines of the rule")


__all__ = ["RULES", "RuleParts", "Row", "Rule", "find", "row", "rule"]
