"""A dialect row: all that another library or a text says of a rule, as values and never as a branch.

A row holds what that world calls things (its arguments, its optimizer, its states), what it sets, and
which rule of a family its arguments pick. ``resolve`` turns a world's arguments into a rule's lines.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import HyperparameterError, RuleError, nearest
from .formula import Function
from .line import Line, Scalar, short
from .schedule import Schedule
from .step_options import switch

Targets = str | tuple[str, ...]
Switches = tuple[str, ...]


class Row(NamedTuple):
    """What one library or text sets: its version, its names, the values of the lines.

    names: its arguments → lines (a tuple where one argument sets several). pinned: lines that this world
    does not have → the value that takes them out of the formula. ramps: an argument → the schedule that it
    wraps around lr. members: arguments that are switched on → the rule of the family that they mean.
    clock, idle: in place of the rule's own. optimizers: what this world's optimizers are called, the one that is
    this rule first. options: their arguments that pick the rule. states: a state → where they keep it.
    """

    version: str
    names: Mapping[str, Targets]
    pinned: Mapping[str, float]
    ramps: Mapping[str, Callable[..., Schedule]]
    members: Mapping[Switches, str]
    clock: Function | None
    idle: Function | None
    note: str
    optimizers: tuple[str, ...]
    options: Mapping[str, bool | float]
    states: Mapping[str, str]
    values: Mapping[str, float]

    def targets(self, argument: str) -> tuple[str, ...]:
        """The lines that one of this world's arguments sets."""
        lines = self.names[argument]
        return (lines,) if isinstance(lines, str) else tuple(lines)

    @property
    def named_lines(self) -> set[str]:
        """The lines that this world's arguments set."""
        return {line for argument in self.names for line in self.targets(argument)}

    @property
    def switches(self) -> set[str]:
        """The arguments that pick a rule of the family."""
        return {argument for combination in self.members for argument in combination}


def row(
    version: str = "",
    *,
    names: Mapping[str, Sequence[str]] | None = None,
    pinned: Mapping[str, float] | None = None,
    ramps: Mapping[str, Callable[..., Schedule]] | None = None,
    members: Mapping[Switches, str] | None = None,
    clock: Function | None = None,
    idle: Function | None = None,
    note: str = "",
    optimizer: str | tuple[str, ...] = (),
    options: Mapping[str, bool | float] | None = None,
    states: Mapping[str, str] | None = None,
    **values: float,
) -> Row:
    """Return a dialect row: what a library or text sets, as values and never as a branch.

    version: of the library or paper. names: its arguments → lines. pinned: lines it does not have, at the
    value that takes them out. ramps: arguments that wrap lr in a schedule (``lr_decay``). members:
    switched-on arguments → the rule of the family; ``()`` where none is on. clock, and idle with it: in place of the rule's. note:
    a remark. optimizer: what its optimizer is called, or several, this rule's own first; options: arguments
    that pick the rule, at the value that it has; states: a state → where that optimizer keeps it ("exp_avg"; of Optax the named tuple and
    its field, "ScaleByAdamState.mu", after a minus where the sign is the other). With these three, runs
    move over to that library and back. Any other argument is a line's value in this world. Raises RuleError.
    """
    if "held" in values:
        raise RuleError("row: held= is called pinned= now")
    return Row(
        version,
        {n: t if isinstance(t, str) else tuple(t) for n, t in (names or {}).items()},
        pinned or {},
        ramps or {},
        members or {},
        clock,
        idle,
        note,
        (optimizer,) if isinstance(optimizer, str) else tuple(optimizer),
        options or {},
        states or {},
        {**(pinned or {}), **values},
    )


def member(where: str, row: Row, own: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The rule of the family that a world's arguments mean, and the arguments that remain for it.

    own: the rule that the row stands in. Raises HyperparameterError.
    """
    on = tuple(sorted(n for n in row.switches if _switched(where, n, arguments.get(n, row.options.get(n)))))
    name = row.members.get(on, None if on else own)
    if name is None:
        allowed = " or ".join(" with ".join(m) for m in row.members if set(on) < set(m))
        raise HyperparameterError(
            f"{where}: {' with '.join(on)} does not go alone; allowed: {allowed or 'neither'}"
        )
    if name == own:
        return name, {n: v for n, v in arguments.items() if n not in row.switches}
    left_out = row.switches.difference(on) | {n for n in on if isinstance(arguments.get(n), bool)}
    return name, {n: v for n, v in arguments.items() if n not in left_out}


def _switched(where: str, name: str, value: object) -> bool:
    try:
        return bool(value)
    except (TypeError, ValueError):
        raise HyperparameterError(
            f"{where}: {name} must be a number or a truth value, got {short(value)}"
        ) from None


def resolve(
    where: str,
    row: Row,
    lines: Mapping[str, Line],
    aliases: Mapping[str, tuple[str, ...]],
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """The values of a rule's lines from a world's arguments, none of which is a switch; HyperparameterError."""
    values: dict[str, Any] = dict(row.values)
    ramps: dict[str, float] = {}
    for name, value in arguments.items():
        if name in row.ramps:
            ramps[name] = value
        elif name in row.names:
            values |= spread(where, name, row.names[name], aliases, value)
        elif name in lines and name not in row.pinned:
            values[name] = value
        elif name in row.options:
            _demand_option(where, name, value, row.options[name])
        else:
            raise HyperparameterError(f"{where}: {_refusal(row, lines, name)}")
    for name, decay in ramps.items():
        base: Scalar = values.get("lr", lines["lr"].default)
        values["lr"] = row.ramps[name](base, decay=decay) if decay else base
    return values


def _demand_option(where: str, name: str, value: object, own: bool | float) -> None:
    """HyperparameterError where an argument that picks the rule does not have the value that picks it."""
    if isinstance(own, bool):
        switch(where, name, value, (own,))
    elif not isinstance(value, int | float) or value != own:
        raise HyperparameterError(f"{where}: {name} must be {own:g}, got {short(value)}")


def spread(
    where: str, name: str, target: Targets, aliases: Mapping[str, tuple[str, ...]], value: Any
) -> dict[str, Any]:
    """What an argument gives to the line or lines that it sets."""
    if isinstance(target, str):
        return {target: value}
    each: Sequence[Any] = value if isinstance(value, tuple | list) else ()
    if target in aliases.values() and not isinstance(value, tuple | list):
        each = (value,) * len(target)
    if len(each) != len(target):
        raise HyperparameterError(f"{where}: {name} sets {', '.join(target)}, got {value!r}")
    return dict(zip(target, each, strict=True))


# What belongs to the transformation, in Optax's words and in those of our door.
_OF_OPTAX = {
    "mask": "mask",
    "weight_decay_mask": "mask",
    "mu_dtype": "mu_dtype",
    "accumulator_dtype": "mu_dtype",
}


def _refusal(row: Row, lines: Mapping[str, Line], name: str) -> str:
    """Why an argument cannot be set in this world, and what can."""
    if name in row.pinned:
        stem = name.split("_")[0]
        siblings = {line for line in lines if line.split("_")[0] == stem}
        remedies = [f"{k} (sets {t})" for k, t in row.names.items() if t in siblings]
        return (
            f"{name} does not exist in this dialect (held at {row.pinned[name]:g});"
            f" set {' or '.join(remedies) or ', '.join(row.names)}"
        )
    if name == "weight_decay":
        return (
            "weight decay belongs to the optimizer: rule.on(params, weight_decay=...), or with torch's keywords"
            " thalweg.torch.Optimizer.like(NAME, params, weight_decay=...)"
        )
    if name in _OF_OPTAX:
        return (
            f"{name} is no part of a rule: thalweg.optax.transformation(rule, {_OF_OPTAX[name]}=...) takes it"
        )
    known = [*row.names, *row.ramps, *sorted(row.switches)]
    known += [line for line in lines if line not in row.pinned and line not in known]
    return f"unknown argument {name!r}: {nearest(name, known)}"


__all__ = ["Row", "row"]
