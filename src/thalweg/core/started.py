"""A rule with its options settled: what every engine and door takes as it is.

    started = start_given("mydoor", Adam(), {"lr": 1e-3}, weight_decay=0.01, decay="decoupled")
    started.update                          the pass over arrays, for an engine
    started.scalars(t)                      its scalars at step t, 1 the first

A door to another framework asks for no more. ``start_given`` checks what a user wrote. The door keeps an array for
each name in ``update.arrays`` but g, begun at ``started.begin(name)``, and hands them with ``scalars(t)`` to an
engine: ``engines.ops.applied`` for arrays that NumPy reads, ``engines.xla`` for a trace, a batch of ``engines.engine``
for memory. It refuses gradients whose size is above ``engines.memory.limit(dtype, update.power)`` before anything
moves. A framework that traces says which values only its trace knows (``free``), and evaluates the update's clock
there, from ``started.inputs``.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from math import inf, ldexp, log2
from typing import Any, NamedTuple

from ..errors import HyperparameterError, nearest
from . import clock as clocks
from .dialect import spread
from .formula import Formula, exponents, name
from .gain import lacks_gain
from .math import log
from .pieces import own
from .rule import Rule
from .step_options import StepOptions, checked
from .units import G, W
from .update import Update, update

Kind = Any  # a rule class: mypy does not see that classes can be hashed
AROUND = ("coupled", "proximal")  # kinds of decay that stand around a rule whose step has one of its own
OWN = "own"  # weight decay, and its kind, that are left to the rule


def settled(rule: Rule, weight_decay: float | str, decay: str) -> tuple[Rule, float, str]:
    """The rule, and how much weight decay of which kind stands around it.

    A rule with a line ``weight_decay`` (AdamW, Lion) decays inside its step: what is given replaces that
    line's value. Only where coupled or proximal decay is asked for does it stand around the rule, and the line is 0.
    Raises HyperparameterError where that line refuses the value.
    """
    amount: Any = weight_decay
    if "weight_decay" not in rule.parts.hyperparameters:
        return rule, 0.0 if _own(amount) else amount, "coupled" if _own(decay) else decay
    rule = rule if _own(amount) else rule.replace(weight_decay=amount)
    if isinstance(decay, str) and decay in AROUND:
        amount = rule.values["weight_decay"]
        return rule.replace(weight_decay=0.0), amount, decay
    return rule, 0.0, "decoupled" if _own(decay) else decay


def _own(value: object) -> bool:
    return isinstance(value, str) and value == OWN


class Started(NamedTuple):
    """A rule, which pieces stand around it, their ``values`` as the clock calls them, the update, its clock.

    ``scalars(t)`` are the update's scalars at step t in their order, in float64; with clipping by norm
    ``scalars(t, factor)``. ``free`` are values by the clock's names that only a trace or a device knows; what the
    rule and ``values`` have in their place stands for them on the host. A state's start may be among them.
    """

    rule: Rule
    options: StepOptions
    values: Mapping[str, float]
    update: Update
    scalars: clocks.Clock
    free: Mapping[str, Any] = {}

    @property
    def inputs(self) -> dict[str, Any]:
        """The clock's inputs after t by name: numbers, schedules, and what only a trace knows."""
        return {**self.rule.hyperparameters, **self.values, **self.free}

    def begin(self, array: str) -> Any:
        """What an array holds before the first step: a number, the name of another array, or what a trace knows."""
        starts = self.update.starts
        if array in self.free and array in self.rule.parts.states:
            return self.free[array]
        return starts[array] if array in starts else getattr(self.rule, array)

    def with_values(self, **lines: float) -> "Started | None":
        """Return the same pass with other values of the rule's lines; None where the pass itself stands on them.

        A tenth of what ``start_given`` takes, for what changes at every step. Raises HyperparameterError for a
        value out of its range.
        """
        standing = exponents(self.rule.step_formula) & clocks.moving(self.update.clock, frozenset(lines))
        if standing or self.free or not lines.keys() <= {*self.rule.parts.hyperparameters}:
            return None
        rule = self.rule.replace(**lines)
        return self._replace(rule=rule, scalars=clocks.clock(rule, self.update.clock, self.values))

    def traced(self) -> tuple[Formula, tuple[float, ...]]:
        """The clock as a device prints it, and its inputs after t as they stand before the first step."""
        formula, logs = clocks.traced(self.update.clock)
        known = {**self.rule.at(0), **self.values}
        inputs = [known[n] for n in self.update.clock.inputs[1:]]
        return formula, (*inputs, *(log(known[n]) for n in logs))  # type: ignore[no-untyped-call]


def start(
    rule: Rule,
    *,
    weight_decay: float = 0.0,
    decay: str = "coupled",
    l1_decay: float = 0.0,
    clip_value: float | None = None,
    clip_norm: float | None = None,
    average: float | str | None = None,
    accumulate: int = 1,
    maximize: bool = False,
    rates: bool = False,
    sum_after: int | None = None,
    varied: Iterable[str] = (),
) -> Started:
    """A rule with its options, which are plain numbers in their ranges by now; HyperparameterError.

    weight_decay, decay: those of ``settled``. average: the decay of a moving average, or "polyak". rates: also keep
    what the rule's rate gives. l1_decay: the L1 penalty of decay "proximal". sum_after: a step after which weights
    are summed up. varied: hyperparameters whose values are not the rule's.
    """
    options = StepOptions(
        accumulate=accumulate > 1,
        clip_norm=clip_norm is not None,
        maximize=maximize,
        coupled=weight_decay > 0 and decay == "coupled",
        clip_value=clip_value is not None,
        decoupled=weight_decay > 0 and decay == "decoupled",
        average=average is not None and average != "polyak",
        polyak=average == "polyak",
        rates=rates and rule.parts.rate is not None,
        metric=max(l1_decay, weight_decay) > 0 and decay == "proximal",
        l1=l1_decay > 0 and decay == "proximal",
        l2=weight_decay > 0 and decay == "proximal",
        total=sum_after is not None,
    )
    numbers = {
        "accumulate": accumulate,
        "weight_decay": weight_decay,
        "clip_value": clip_value,
        "average": average,
        "l1": l1_decay,
        "begin": sum_after,
    }
    if options.metric:
        _require_gain_per_gradient(rule)
    step = update(rule, options, clocks.known(rule, varied))
    values = {own(n): float(v) for n, v in numbers.items() if own(n) in step.clock.inputs}  # type: ignore[arg-type]
    return Started(rule, options, values, step, clocks.clock(rule, step.clock, values))


def _require_gain_per_gradient(rule: Rule) -> None:
    """HyperparameterError where a rule's gain is no w/g, so that its moves are no multiple of a gradient."""
    kind: Kind = type(rule)
    if not lacks_gain(kind.parts) and not _is_per_gradient(kind):
        raise HyperparameterError(
            f"{kind.__name__}: its gain must have the unit w/g, but it does not scale so: where moves are no multiple of a"
            " gradient its file says gain=None; use decay='decoupled' or 'coupled'"
        )


@cache
def _is_per_gradient(kind: Kind) -> bool:
    """Whether a rule's gain, at its default values, scales as w/g when w, g and its lines are rescaled."""
    step, lines = update(kind(), StepOptions(metric=True)), kind.parts.lines
    inputs = (*step.arrays, *step.scalars)
    stated = step.written.get(own("gain"), name(own("gain")))
    gain_over_lr = clocks.compiled(Formula("gain", inputs, (), step.body, (("gain", stated),), {}))

    def size(a: int, b: int) -> float:
        rule = kind(**{n: ldexp(line.default, line.dimension.exponent(a, b)) for n, line in lines.items()})
        arrays = {"w": ldexp(1.25, a), "g": ldexp(0.75, b), own("gain"): 0.0, **rule.values}
        (value,) = gain_over_lr(*(arrays[n] for n in step.arrays), *clocks.clock(rule, step.clock)(2))
        return abs(float(value))

    unit = W.over(G).over(lines["lr"].dimension)
    try:
        here, there = size(0, 0), {(a, b): size(a, b) for a, b in ((8, 0), (0, 8))}
    except (ZeroDivisionError, HyperparameterError):  # a line's range has no unit: nothing to tell by either
        return True
    if not all(0 < s < inf for s in (here, *there.values())):
        return True  # it moves nothing at these values: there is nothing to tell by
    return all(abs(log2(s / here) - unit.exponent(a, b)) < 1 for (a, b), s in there.items())


def _never(name: str, value: object) -> bool:
    return False


def start_given(
    where: str,
    rule: Rule,
    given: Mapping[str, Any] = {},
    *,
    world: str = "",
    free: Callable[[str, Any], bool] = _never,
    weight_decay: Any = OWN,
    decay: str = OWN,
    rates: bool = False,
    **options: Any,
) -> Started:
    """Start a rule with what the user of a door wrote, which is checked here.

    where: the door's name, which leads its errors. given: values in place of the rule's own, by the names of its
    lines, or in the words of ``world``, a dialect. free: whether a value (of a name) is known only in a trace or on a
    device; such values are not checked against their range. weight_decay, decay: ``"own"`` is what the rule says.
    rates: see ``start``. options: others of ``step_options.NAMES``. Raises HyperparameterError.
    """
    changes = _by_line(where, rule, given, world)
    lines = rule.parts.lines  # a state starts at a number, which may be traced but moves with no step
    late = {n: v for n, v in changes.items() if free(n, v) and not (lines[n].is_state and callable(v))}
    early = {n: v for n, v in changes.items() if n not in late}
    rule = rule.replace(**early) if early else rule
    drawn = free("weight_decay", weight_decay)
    # 1 stands for a decay that is known later, so that its piece is there.
    rule, amount, kind = settled(rule, 1.0 if drawn else weight_decay, decay)
    plain = checked(where, {"weight_decay": amount, "decay": kind, **options})
    started = start(rule, **plain, rates=rates, varied={*late, "weight_decay"} if drawn else late)
    if drawn:
        piece = own("weight_decay")
        late[piece if piece in started.values else "weight_decay"] = weight_decay
    return started._replace(free=late)


def _by_line(where: str, rule: Rule, given: Mapping[str, Any], world: str) -> dict[str, Any]:
    """Return the values by the lines that they set, which their own names, aliases and a world's words name.

    Where the rule stands in the world's form (what that world does not have is out of the formula), a word that is
    also a line's name means what it means there: ``eps`` is ``eps_root`` of ``RMSprop.like("optax")``. Elsewhere
    lines come first. Raises HyperparameterError for a name that the rule does not know, and a line named twice.
    """
    lines, aliases = rule.parts.lines, rule.parts.aliases
    row = rule.parts.dialects.get(world)
    own: dict[str, str | tuple[str, ...]] = {**{n: n for n in lines}, **aliases}
    words = {} if row is None else {n: row.names[n] for n in row.names}
    native = row is not None and all(getattr(rule, n) == v for n, v in row.pinned.items())
    targets = {**own, **words} if native else {**words, **own}
    values: dict[str, Any] = {}
    for n, v in given.items():
        if n not in targets:
            hint = nearest(n, [*own, *(w for w in words if w not in own)])
            raise HyperparameterError(f"{where}: {type(rule).__name__} has no hyperparameter {n!r}: {hint}")
        for line, value in spread(where, n, targets[n], aliases, v).items():
            if line in values:
                raise HyperparameterError(
                    f"{where}: {line} of {type(rule).__name__} is given twice, last as {n}"
                )
            values[line] = value
    return values


__all__ = ["OWN", "Started", "settled", "start", "start_given"]
