"""A rule: a formula and its lines, made into a value.

    @rule(step, rate=rate, idle=idle, dialects=DIALECTS)
    class Adagrad(Rule):
        lr: Scalar = nonnegative(default=1e-2, unit="w")
        s: float = state(default=0.0, unit="g^2")

The class is a frozen, comparable, printable value whose constructor takes its lines by name. It
knows no arrays: ``on`` starts it on a user's by what the package's root puts into ``STARTERS``.
"""

import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from ..errors import HyperparameterError, RuleError, nearest
from .dialect import member, resolve
from .formula import Formula, Function
from .line import Scalar, short
from .rule_parts import RuleParts, clock_formula, step_formula
from .schedule import Schedule

Params = Any  # an array, or nested lists, tuples and dicts of arrays


R = TypeVar("R", bound="Rule")

RULES: dict[str, type["Rule"]] = {}
"""Every rule class by name, filled by the decorator; the library's own before a user's of that name."""

LOADERS: list[Callable[[str], object]] = []
"""Called with a name that is not in RULES, to import the file that defines it."""

STARTERS: list[Callable[..., "Optimizer"]] = []
"""What ``Rule.on`` calls, the last of them: the root puts the optimizer of NumPy's arrays here."""


_LIBRARY = f"{__package__.partition('.')[0]}.rules."


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
        for n, both in self.parts.aliases.items():
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
            if type(value) is not float or not line.holds(value):  # few are: schedulers make a rule a step
                value = line.checked(f"{where}({n}={short(value)})", n, value)
            object.__setattr__(self, n, value)
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
        pinned = self.parts.dialects[self._dialect].pinned
        args = "".join(f", {n}={v!r}" for n, v in self.values.items() if n not in pinned)
        return f"{type(self).__name__}.like({self._dialect!r}{args})"

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), self._dialect, self.values)

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
    def idle(self) -> Function | None:
        """k steps without a gradient in closed form: the dialect's, else the rule's own; None where there is none."""
        row = self.parts.dialects.get(self._dialect)
        return row.idle if row is not None and row.idle is not None else self.parts.idle

    @property
    def dialect(self) -> str:
        """The dialect whose clock is in force, or ``""``."""
        return self._dialect

    def replace(self, **named: Any) -> Self:
        """The same rule with some lines changed."""
        return restore(type(self), self._dialect, {**self.values, **named})

    def penalised(self, l1: float, l2: float) -> "Rule":
        """Return the dialect of this rule that takes the penalties of an objective, a mean over steps, in its own step.

        Only for a rule that has one (``parts.cumulates``). Raises HyperparameterError where it has penalties already.
        """
        if self.values["l1"] or self.values["l2"]:
            raise HyperparameterError(
                f"l1, l2: {self!r} has penalties of its own: set them to 0 where the objective has some"
            )
        return restore(type(self), self.parts.cumulates, {**self.values, "l1": l1, "l2": l2})

    def at(self, step: int) -> dict[str, float]:
        """The hyperparameters' values after ``step`` steps (0 before the first), schedules called.

        Raises HyperparameterError where a schedule overflows or leaves the line's range.
        """
        values = {}
        for n, value in self.hyperparameters.items():
            if isinstance(value, Schedule):
                line = self.parts.lines[n]
                try:
                    number = float(value(step))
                except OverflowError:  # of a user's own schedule; ours give infinity
                    number = math.inf
                if not line.holds(number):
                    told = "overflowed" if math.isinf(number) else f"gave {number!r}"
                    raise HyperparameterError(
                        f"{type(self).__name__}: {n} must stay in {line.range}, unit {line.unit};"
                        f" the schedule {value!r} {told} after {step} steps"
                    )
                value = number
            values[n] = value
        return values

    def over(self, name: str, steps: Sequence[int]) -> list[float]:
        """One scheduled hyperparameter's values after each of ``steps``; many at once cost a quarter of ``at``.

        Raises HyperparameterError where the schedule overflows or leaves the line's range.
        """
        schedule: Any = getattr(self, name)
        try:
            values = [float(schedule(k)) for k in steps]
            good = all(map(self.parts.lines[name].holds, values))
        except OverflowError:
            good = False
        if not good:
            for k in steps:
                self.at(k)  # says where
        return values

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
        name, arguments = member(where, chosen, cls.__name__, named)
        if name != cls.__name__:
            return cls._relative(name).like(dialect, **arguments)
        values = resolve(where, chosen, cls.parts.lines, cls.parts.aliases, arguments)
        return restore(cls, dialect if chosen.clock is not None else "", values)

    @classmethod
    def _relative(cls, name: str) -> type["Rule"]:
        """The rule of the family with that name: from this rule's own file, else from the library."""
        own = getattr(sys.modules.get(cls.__module__), name, None)
        return own if isinstance(own, type) and issubclass(own, Rule) else find(name)

    @property
    def step_formula(self) -> Formula:
        """``step`` as straight-line code; outputs are w and the states, in order."""
        return step_formula(self.parts)

    @property
    def clock_formula(self) -> Formula:
        """The step's scalars, in ``step``'s order, from t (1 first) and the hyperparameters."""
        return clock_formula(self.parts, self.clock)

    def on(
        self,
        params: Params,
        *,
        weight_decay: float | Literal["own"] = "own",
        decay: Literal["own", "coupled", "decoupled", "proximal"] = "own",
        l1_decay: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        average: float | Literal["polyak"] | None = None,
        accumulate: int = 1,
        maximize: bool = False,
        groups: "Mapping[Any, Mapping[str, Any] | Rule] | None" = None,
        on_nonfinite: Literal["raise", "skip", "propagate"] = "raise",
        rates: bool | None = None,
        exact: Literal["value", "bits", "lazy"] = "value",
        engine: Literal["cpu", "plain"] = "cpu",
    ) -> "Optimizer":
        """Start this rule on arrays, which its steps will change in place.

        params: a float16, float32 or float64 array of any shape (views and transposes too), or nested
        lists, tuples and dicts of such arrays; they must be writeable and must not overlap.
        weight_decay: coupled (added to g; unit g/w), decoupled (w shrinks by lr · weight_decay first) or proximal:
        the penalty weight_decay/2 |w|² in the rule's own metric, whose minimiser with the loss is where steps rest
        (unit g/w; docs/penalties.md). l1_decay: with decay="proximal", also the penalty l1_decay |w|
        (unit g).
        "own" is what the rule says: none, coupled, for most; what stands in its line ``weight_decay``,
        decoupled, for AdamW and Lion, where a number given here replaces the line's.
        clip_value: bound on each |g| after coupled decay; clip_norm: bound on the norm of all gradients.
        average: also keep an average of the weights, moving (its decay, 0.999 say) or "polyak" (the mean).
        accumulate: step once every so many calls, a window, with the mean gradient; what a parameter was not given
        in a call counts as 0, and one that got nothing in the whole window stays still. maximize: ascend.
        groups: for parameters of that name or path, other settings, hyperparameters or another rule:
        ``{"bias": {"weight_decay": 0, "lr": 0.1}, "emb": Adagrad(lr=0.1)}``. A path has dots between keys, or is
        their tuple, ``("layers", 0, "bias")``, which needs no guess where a key has a dot or is a number.
        on_nonfinite: what a NaN, infinite or unsquarably large gradient does: "raise" NonFiniteError,
        "skip" the step (counted in ``skipped``), or "propagate" (no check, one pass less).
        rates: keep the effective learning rates of each step; by default up to 65,536 weights.
        exact: how rows that a sparse gradient does not touch keep up with those it does. "value": no farther
        from the path in float64 than a dense run is; "bits": the very bits of a dense run, by replay (with
        clip_norm but for the order in which the norm is summed);
        "lazy": not at all, as other libraries do (another algorithm; for comparison).
        engine: "cpu" (compiled) or "plain" (the slow oracle, which makes sparse gradients dense).

        Raises ParameterError for the arrays, HyperparameterError for the settings.
        """
        if not STARTERS:
            raise RuleError("import thalweg, not thalweg.core: the root wires rules to the optimizer")
        return STARTERS[-1](
            self,
            params,
            {} if groups is None else groups,
            engine,
            weight_decay=weight_decay,
            decay=decay,
            l1_decay=l1_decay,
            clip_value=clip_value,
            clip_norm=clip_norm,
            average=average,
            accumulate=accumulate,
            maximize=maximize,
            on_nonfinite=on_nonfinite,
            rates=rates,
            exact=exact,
        )


class Optimizer(ABC):
    """A rule at work on arrays; made by ``rule.on(params, ...)``.

    ``step(grads)`` changes the parameters in place. ``t`` counts steps, ``state`` shows the rule's
    states, ``rates()`` the effective learning rates of the last step, ``average`` the averaged
    weights, ``skipped`` the steps left out for non-finite gradients. ``rule`` may be replaced while it runs.
    """

    __slots__ = ()
    skipped: int

    @property
    @abstractmethod
    def rule(self) -> Rule:
        """The rule in force; ``opt.rule = opt.rule.replace(lr=1e-4)`` changes its values from the next step on.

        Rows that sparse gradients have left behind catch up by the values of the steps that they miss. Groups keep what they have
        set for themselves; schedules go on from ``t``. Raises HyperparameterError for a rule of another class, and
        for other starts of states, which have started; then nothing has changed.
        """

    @rule.setter
    @abstractmethod
    def rule(self, rule: Rule) -> None: ...

    @abstractmethod
    def step(self, grads: Params) -> None:
        """One step: the parameters move in place.

        grads: arrays nested as params are, of the same shapes and dtypes; None in place of an array
        leaves that parameter, its states and its t alone. A matrix of scipy.sparse or ``Rows`` in place of
        an array gives the entries or rows that are not zero; the step is that of the dense gradient, and
        its work is that of the rows touched. Raises GradientError (structure, shape, dtype, overlap,
        indices) or NonFiniteError; then nothing has moved.
        """

    @abstractmethod
    def finish(self) -> None:
        """Close a window of accumulated gradients that is not full: one step with the mean over the calls made.

        Nothing happens where no window is open. Raises as ``step`` does.
        """

    @abstractmethod
    def count(self, steps: int) -> None:
        """Count steps that a compiled loop, or another library, has taken with all arrays and states. For doors."""

    @property
    @abstractmethod
    def params(self) -> Params:
        """The parameters, as they were given, up to date."""

    @abstractmethod
    def read(self, name: str | tuple[Any, ...], rows: Any) -> Any:
        """Rows of a parameter as they are now: they catch up first, and a copy is returned.

        name: the parameter's path, with dots between its keys or as their tuple (``""`` for a lone array). rows:
        whole numbers, one or (n,). Returns an array (n, ...). Raises ParameterError for the name, GradientError for
        the rows.
        """

    @abstractmethod
    def flush(self) -> None:
        """Bring every row up to date; work in proportion to all weights that sparse gradients train."""

    @property
    @abstractmethod
    def stale(self) -> int:
        """How many rows are behind: the array holds what they were when they were last needed."""

    @property
    @abstractmethod
    def plan(self) -> dict[str | tuple[Any, ...], str]:
        """For each parameter that has had sparse gradients, how rows without one catch up, in words."""

    @property
    @abstractmethod
    def t(self) -> Any:
        """Steps done: one number, or nested as params where some have had fewer gradients."""

    @property
    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The rule's states by name, nested and shaped as params: views, not copies.

        Where groups have other rules, a parameter shows the states of its own rule (None elsewhere).
        """

    @property
    @abstractmethod
    def average(self) -> Params:
        """The averaged weights, nested and shaped as params; StateError without ``average=``."""

    @abstractmethod
    def rates(self) -> Params:
        """The effective learning rates that the last step used, nested and shaped as params.

        What the rule's ``rate`` gave: the factor on the gradient, with momentum that on the averaged one;
        unit w/g. StateError before the
        first step, where they are not kept (``rates=False``, or more than 65,536 weights without
        ``rates=True``), and for rules that define no ``rate``.
        """

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, states and step counts to one file (a zip of arrays and JSON, no pickle).

        Written beside and renamed: a kill leaves the old file or the new one. Raises FileError.
        """


def restore(cls: type[R], dialect: str, values: Mapping[str, Any]) -> R:
    """Return a rule from its class, the dialect whose clock it keeps, and its values."""
    restored = cls(**values)
    object.__setattr__(restored, "_dialect", dialect)
    return restored


def find(rule_name: str) -> type[Rule]:
    """The rule class of that name; HyperparameterError with the nearest names."""
    if rule_name not in RULES or not is_shipped(RULES[rule_name]):
        for load in LOADERS:
            load(rule_name)
    if rule_name not in RULES:
        raise HyperparameterError(f"unknown rule {rule_name!r}: {nearest(rule_name, RULES)}")
    return RULES[rule_name]


def is_shipped(kind: type["Rule"]) -> bool:
    """Whether a rule class is the library's own, not a user's."""
    return kind.__module__.startswith(_LIBRARY)


__all__ = ["RULES", "Optimizer", "Rule", "find"]
