"""A rule's formula with what stands around it, as one pass over arrays.

``Update`` is what engines run: named arrays (one value per coordinate, read and perhaps written),
named scalars (one value per step) and straight-line code between them.
"""

import ast
import math
from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import NamedTuple, cast

from ..errors import HyperparameterError
from . import clock as scalars
from .formula import (
    Builder,
    Formula,
    exponents,
    inlined,
    lift,
    name,
    signature,
    specialise,
    substituted,
)
from .gain import gain, lacks_gain
from .pieces import PIECES, STEPWISE, Piece, gathered, own, rate_itself, steady, values_of
from .rule import Rule
from .rule_parts import RuleParts
from .step_options import BARE, StepOptions


class Update(NamedTuple):
    """One pass over arrays, and the clock of its scalars: all that an engine or a door needs to know of a step.

    ``stored`` are arrays in the parameters' dtype (w and g), the others are in the dtype of the
    arithmetic. ``written`` maps an array to the expression it receives. ``power`` is the largest power
    of g that a state holds (0: none does), which bounds the gradients that can be taken in. ``starts`` is
    what arrays beside w, g and the rule's states hold before the first step: a number, or the name of another
    array. ``clock`` gives all ``scalars`` in their order, from t (1 at the first step), what a caller gives
    step by step (``pieces.STEPWISE``), the rule's hyperparameters and the values of the pieces.
    """

    arrays: tuple[str, ...]
    stored: tuple[str, ...]
    scalars: tuple[str, ...]
    body: tuple[tuple[str, ast.expr], ...]
    written: Mapping[str, ast.expr]
    power: int
    starts: Mapping[str, float | str]
    clock: Formula

    @property
    def kept(self) -> tuple[str, ...]:
        """What is kept for each parameter beside w and g: the rule's states, then what the pieces have of their own."""
        return tuple(n for n in self.arrays if n not in ("w", "g"))

    def __eq__(self, other: object) -> bool:  # one update is one object: it keys the kernels
        return self is other

    def __hash__(self) -> int:
        return id(self)


def update(rule: Rule, options: StepOptions = BARE, known: Mapping[str, float] | None = None) -> Update:
    """The rule's step with the pieces of ``options`` around it; HyperparameterError where one does not go with it.

    ``known`` are values of scalars that never change; those that stand as exponents are printed.
    """
    powers = exponents(rule.step_formula)
    fixed = tuple((n, v) for n, v in (known or {}).items() if n in powers)
    _require_names(rule, options)
    return _update(rule.parts, rule.clock_formula, options, fixed)


def _require_names(rule: Rule, options: StepOptions) -> None:
    """HyperparameterError where a piece, or its scalar, is a formula of what the rule does not have."""
    if options.metric and lacks_gain(rule.parts):
        raise HyperparameterError(
            f"{type(rule).__name__} has no gain, the factor on a constant gradient in which decay='proximal' takes"
            " its penalty; use decay='decoupled' or 'coupled'"
        )
    if options.metric and not _settles(rule):
        raise HyperparameterError(
            f"{rule!r}: under a constant gradient its moves grow for ever, so that it has no gain in which"
            " decay='proximal' could take its penalty; use decay='decoupled' or 'coupled', or a momentum below 1"
        )
    for n, piece in PIECES.items():
        if getattr(options, n) and piece.scalar is not None:
            for needed in signature(piece.scalar)[0]:
                if needed not in ("t", *rule.parts.hyperparameters):
                    raise HyperparameterError(f"{type(rule).__name__} has no {needed}; {piece.needs}")


def _settles(rule: Rule) -> bool:
    """Whether the gain that a rule file states is finite with the rule's values at the first step."""
    stated = rule.parts.gain
    if stated is None:
        return True
    arrays, others = signature(stated)
    row = dict(zip(scalars.names(rule), scalars.clock(rule)(1), strict=True))
    given = {"t": 1, **rule.at(0), **row}
    try:
        return math.isfinite(stated(*[1.0] * len(arrays), *(given[n] for n in others)))
    except ZeroDivisionError:
        return False


@cache
def _update(
    rule_parts: RuleParts, clock: Formula, options: StepOptions, known: tuple[tuple[str, float], ...]
) -> Update:
    builder = Builder()
    around = _Around(builder)
    pieces = [piece for n, piece in PIECES.items() if getattr(options, n)]
    values: dict[str, ast.expr] = {"w": name("w"), "g": name("g")}
    for piece in pieces:
        if not piece.after:
            values[piece.changes] = around.apply(piece, values)
    arguments = [
        *values.values(),
        *(name(n) for n in rule_parts.states),
        *(name(n) for n in signature(rule_parts.step)[1]),
    ]
    returned = builder.unfold(rule_parts.step, arguments)
    written = dict(zip(("w", *rule_parts.states), returned, strict=True))
    after = {"g": values["g"]}
    if options.metric:
        after["reached"] = around.gain(rule_parts, clock, written)
        if not _reads(after["reached"], dict(builder.body), {"w", "g", *rule_parts.states}):
            after["gain"] = around.shared(after["reached"], clock)
            pieces.remove(PIECES["metric"])
    for piece in pieces:
        if piece.after:
            after["w"] = written["w"] = builder.bind("w", written["w"])
            value = around.apply(piece, after)
            if piece.changes == "w":
                written["w"] = value
            else:
                after[piece.changes] = value
                if piece.changes in piece.starts:
                    around.written[own(piece.changes)] = value
    if options.rates and rule_parts.rate is not None:
        (around.written["_rate"],) = builder.calls[rule_parts.rate.__name__]
        around.starts["_rate"] = math.nan
    powers = [line.dimension.g for line in rule_parts.lines.values() if line.is_state]
    power = max([int(options.accumulate), *powers])
    inputs = dict.fromkeys(n for piece in pieces for n in values_of(piece))
    stepwise, constant = ([n for n in inputs if (n in STEPWISE) is first] for first in (True, False))
    if around.scalars:
        clock = clock._replace(
            inputs=("t", *stepwise, *clock.inputs[1:], *constant),
            outputs=(*clock.outputs, *around.scalars.items()),
        )
    return _finished(builder, clock, {**written, **around.written}, around.starts, dict(known), power)


class _Around:
    """Unfolds pieces, and collects what they bring along: scalars, arrays of their own and what these receive."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.scalars: dict[str, ast.expr] = {}
        self.written: dict[str, ast.expr] = {}
        self.starts: dict[str, float | str] = {}

    def apply(self, piece: Piece, values: Mapping[str, ast.expr]) -> ast.expr:
        """What a piece's formula returns, of the values that w and g have by now."""
        arrays, scalars = signature(piece.formula)
        inputs = [values[n] if n in values else name(own(n)) for n in arrays]
        (value,) = self.builder.unfold(piece.formula, [*inputs, *(name(own(n)) for n in scalars)])
        if piece.scalar is not None:
            formula = lift(piece.scalar)
            given = {n: name(own(n)) for n in formula.scalars}
            ((_, tree),) = formula.outputs
            self.scalars[own(scalars[0])] = substituted(tree, inlined(formula.body, given))
        for n, start in piece.starts.items():
            self.starts[own(n)] = start
            if piece.spent:
                self.written[own(n)] = ast.Constant(start)
        return self.builder.bind(piece.formula.__name__, value)

    def gain(self, rule_parts: RuleParts, clock: Formula, written: dict[str, ast.expr]) -> ast.expr:
        """The rule's gain at this step; states in ``written`` get names."""
        stated = gain(rule_parts.gain or rate_itself, clock)
        self.scalars.update(stated.scalars)
        for n in rule_parts.states:
            written[n] = self.builder.bind(n, written[n])
        values = dict(written)
        if rule_parts.rate is not None:
            (values["rate"],) = self.builder.calls[rule_parts.rate.__name__]
        for n, tree in stated.body:
            values[n] = self.builder.bind(n, substituted(tree, values))
        return self.builder.bind("gain", substituted(stated.value, values))

    def shared(self, reached: ast.expr, clock: Formula) -> ast.expr:
        """A gain over lr that all coordinates share, as a scalar: known without a gradient, and kept nowhere."""
        scalars = {**dict(clock.outputs), **self.scalars}
        reached = substituted(reached, inlined(self.builder.body, scalars))
        formula = lift(steady)
        ((_, tree),) = formula.outputs
        self.scalars[own("gain")] = substituted(tree, inlined(formula.body, {"reached": reached}))
        for n in [n for n in self.scalars if n.startswith(own("gain_"))]:
            del self.scalars[n]  # which have gone into it
        return name(own("gain"))


@cache
def gather() -> Update:
    """Adding a gradient to those gathered before: a pass of its own between steps."""
    builder = Builder()
    (value,) = builder.unfold(gathered, [name("_a"), name("g")])
    clock = Builder().formula("clock", ("t",), (), ())
    return _finished(builder, clock, {"_a": value}, {"_a": 0.0}, {}, 1)


def _finished(
    builder: Builder,
    clock: Formula,
    written: dict[str, ast.expr],
    starts: Mapping[str, float | str],
    known: dict[str, float],
    power: int,
) -> Update:
    scalars = tuple(n for n, _ in clock.outputs)
    formula = specialise(builder.formula("update", (), scalars, written.items()), known)
    read = formula.names()
    arrays = [n for n in dict.fromkeys(["w", "g", *written]) if n in written or n in read]
    return Update(
        tuple(arrays), ("w", "g"), scalars, formula.body, dict(formula.outputs), power, starts, clock
    )


@cache
def taking_in(update: Update, power: int) -> Update:
    """Return the update for an engine that refuses only what that power of g asks for, since clipping bounds the rest."""
    return update if power == update.power else update._replace(power=power)


LESS = "_less"  # after a scalar's name: that scalar less 1, taken where scalars are float64


@cache
def added(update: Update) -> Update:
    """The update with ``w`` receiving what is added to w, so that the caller's own addition is the step's.

    Where w stands in the formula only as w + d, that is d, and w is not read: the formula at w = 0. Where
    a scalar c shrinks it first, c·w + d, it is (c - 1)·w + d with the scalar ``c_less`` = c - 1. Of any
    other formula it is the difference.
    """
    lines = dict(update.body)
    written = dict(update.written)
    shrink, rest = _split(written["w"], lines, update.scalars)
    clock, w = update.clock, name("w")
    if shrink is None:
        written["w"] = ast.BinOp(written["w"], ast.Sub(), w)
    elif shrink == "":
        written["w"] = rest
    else:
        less = ast.BinOp(dict(clock.outputs)[shrink], ast.Sub(), ast.Constant(1.0))
        clock = clock._replace(outputs=(*clock.outputs, (shrink + LESS, less)))
        written["w"] = ast.BinOp(ast.BinOp(name(shrink + LESS), ast.Mult(), w), ast.Add(), rest)
    builder = Builder()
    builder.body.extend(update.body)
    scalars = tuple(n for n, _ in clock.outputs)
    formula = builder.formula("added", (), scalars, written.items())
    read = formula.names()
    return update._replace(
        arrays=tuple(n for n in update.arrays if n in read),
        scalars=scalars,
        body=formula.body,
        written=written,
        clock=clock,
    )


def _split(
    node: ast.expr, lines: Mapping[str, ast.expr], scalars: Sequence[str]
) -> tuple[str | None, ast.expr]:
    """An expression as c·w + d: the scalar's name c (``""`` for 1), and d; None for c where it is not so."""
    zero = ast.Constant(0.0)
    if isinstance(node, ast.Name):
        if node.id == "w":
            return "", zero
        return _split(lines[node.id], lines, scalars) if node.id in lines else (None, zero)
    if not isinstance(node, ast.BinOp):
        return None, zero
    left, right = node.left, node.right
    if isinstance(node.op, ast.Add | ast.Mult) and not _depends(left, lines):
        left, right = right, left
    if not _depends(left, lines) or _depends(right, lines):
        return None, zero
    shrink, rest = _split(left, lines, scalars)
    nothing = isinstance(rest, ast.Constant)
    if shrink is not None and isinstance(node.op, ast.Add | ast.Sub):
        if nothing:
            return shrink, right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), right)
        return shrink, ast.BinOp(rest, node.op, right)
    if shrink == "" and isinstance(node.op, ast.Mult) and isinstance(right, ast.Name) and right.id in scalars:
        return right.id, rest if nothing else ast.BinOp(right, ast.Mult(), rest)
    return None, zero


def _reads(node: ast.expr, lines: Mapping[str, ast.expr], wanted: Set[str]) -> bool:
    """Whether an expression reads any of the names wanted, through whatever lines."""
    read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return bool(wanted & read) or any(_reads(lines[n], lines, wanted) for n in read if n in lines)


def _depends(node: ast.expr, lines: Mapping[str, ast.expr]) -> bool:
    """Whether an expression reads w, through whatever lines."""
    return _reads(node, lines, {"w"})


@cache
def rate_afterwards(update: Update) -> Formula | None:
    """Return the rate that a step used as a formula of the states that it has left, and of its scalars.

    None where it cannot be told from them (Adadelta's is of states as they were before), and without ``_rate``.
    """
    if "_rate" not in update.written:
        return None
    whole = inlined(update.body, {})
    trees = {n: substituted(tree, whole) for n, tree in update.written.items()}
    left = {ast.unparse(tree): n for n, tree in trees.items() if n not in ("w", "_rate")}
    states: dict[str, None] = {}

    class Afterwards(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            state = left.get(ast.unparse(node)) if isinstance(node, ast.expr) else None
            if state is None:
                return node if isinstance(node, ast.Name) else self.generic_visit(node)
            states[state] = None
            return name(own(f"left_{state}"))

    tree = cast(ast.expr, Afterwards().visit(trees["_rate"]))
    if {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} & {*update.arrays}:
        return None
    tree = substituted(tree, {own(f"left_{n}"): name(n) for n in states})
    return Formula("rate", tuple(states), update.scalars, (), (("rate", tree),), {})
