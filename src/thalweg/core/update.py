"""A rule's formula with what stands around it, as one pass over arrays.

``Update`` is what engines run: named arrays (one value per coordinate, read and perhaps written),
named scalars (one value per step) and straight-line code between them.
"""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from . import pieces as around
from .formula import Builder, Function, exponents, name, signature, specialise
from .rule import Rule, RuleParts


class StepOptions(NamedTuple):
    """Which pieces stand around the rule; their scalars carry the same names with ``_`` before."""

    accumulate: bool = False
    clip_norm: bool = False
    maximize: bool = False
    coupled: bool = False
    clip_value: bool = False
    decoupled: bool = False
    average: bool = False
    rates: bool = False
    truncate: bool = False
    total: bool = False


class Update(NamedTuple):
    """One pass over arrays.

    ``stored`` are arrays in the parameters' dtype (w and g), the others are in the dtype of the
    arithmetic. ``written`` maps an array to the expression it receives. ``power`` is the largest power
    of g that a state holds (0: none does), which bounds the gradients that can be taken in.
    """

    arrays: tuple[str, ...]
    stored: tuple[str, ...]
    scalars: tuple[str, ...]
    body: tuple[tuple[str, ast.expr], ...]
    written: Mapping[str, ast.expr]
    power: int = 1

    def __eq__(self, other: object) -> bool:  # one update is one object: it keys the kernels
        return self is other

    def __hash__(self) -> int:
        return id(self)


BARE = StepOptions()


def update(rule: Rule, parts: StepOptions = BARE, known: Mapping[str, float] | None = None) -> Update:
    """The rule's step with ``parts`` around it.

    ``known`` are values of scalars that never change; those that stand as exponents are printed.
    """
    powers = exponents(rule.step_formula)
    fixed = tuple((n, v) for n, v in (known or {}).items() if n in powers)
    return _update(rule.parts, parts, fixed)


@cache
def _update(rule_parts: RuleParts, parts: StepOptions, known: tuple[tuple[str, float], ...]) -> Update:
    builder = Builder()
    scalars = list(signature(rule_parts.step)[1])
    w, g = name("w"), name("g")
    extra: dict[str, ast.expr] = {}

    def apply(piece: Function, *inputs: ast.expr) -> ast.expr:
        own = [f"_{n}" for n in signature(piece)[1]]
        scalars.extend(own)
        (value,) = builder.unfold(piece, [*inputs, *(name(n) for n in own)])
        return builder.bind(piece.__name__, value)

    if parts.accumulate:
        g = apply(around.meant, name("_a"), g)
        extra["_a"] = ast.Constant(0.0)
    if parts.clip_norm:
        g = apply(around.scaled, g)
    if parts.maximize:
        g = apply(around.ascended, g)
    if parts.coupled:
        g = apply(around.decayed, w, g)
    if parts.clip_value:
        g = apply(around.clipped, g)
    if parts.decoupled:
        w = apply(around.shrunk, w)
    arguments = [
        w,
        g,
        *(name(n) for n in rule_parts.states),
        *(name(n) for n in signature(rule_parts.step)[1]),
    ]
    values = builder.unfold(rule_parts.step, arguments)
    written = dict(zip(("w", *rule_parts.states), values, strict=True))
    if parts.truncate:
        written["w"] = apply(around.truncated, builder.bind("w", written["w"]))
    if parts.total:
        written["w"] = builder.bind("w", written["w"])
        extra["_total"] = apply(around.summed, name("_total"), written["w"])
    if parts.average:
        written["w"] = builder.bind("w", written["w"])
        extra["_average"] = apply(around.averaged, name("_average"), written["w"])
    if parts.rates and rule_parts.rate is not None:
        (extra["_rate"],) = builder.calls[rule_parts.rate.__name__]
    powers = [line.dimension.g for line in rule_parts.lines.values() if line.is_state]
    power = max([int(parts.accumulate), *powers])
    return _finished(builder, scalars, {**written, **extra}, dict(known), power)


@cache
def gather() -> Update:
    """Adding a gradient to those gathered before: a pass of its own between steps."""
    builder = Builder()
    (value,) = builder.unfold(around.gathered, [name("_a"), name("g")])
    return _finished(builder, [], {"_a": value}, {}, 1)


def _finished(
    builder: Builder, scalars: list[str], written: dict[str, ast.expr], known: dict[str, float], power: int
) -> Update:
    formula = specialise(builder.formula("update", (), scalars, written.items()), known)
    read = formula.names()
    arrays = [n for n in dict.fromkeys(["w", "g", *written]) if n in written or n in read]
    return Update(tuple(arrays), ("w", "g"), tuple(scalars), formula.body, dict(formula.outputs), power)


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
    scalars, w = update.scalars, name("w")
    if shrink is None:
        written["w"] = ast.BinOp(written["w"], ast.Sub(), w)
    elif shrink == "":
        written["w"] = rest
    else:
        scalars += (shrink + LESS,)
        written["w"] = ast.BinOp(ast.BinOp(name(shrink + LESS), ast.Mult(), w), ast.Add(), rest)
    builder = Builder()
    builder.body.extend(update.body)
    formula = builder.formula("added", (), scalars, written.items())
    read = formula.names()
    return update._replace(
        arrays=tuple(n for n in update.arrays if n in read),
        scalars=scalars,
        body=formula.body,
        written=written,
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


def _depends(node: ast.expr, lines: Mapping[str, ast.expr]) -> bool:
    """Whether an expression reads w, through whatever lines."""
    read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return "w" in read or any(_depends(lines[n], lines) for n in read if n in lines)
