"""A rule's formula with what stands around it, as one pass over arrays.

``Update`` is what engines run: named arrays (one value per coordinate, read and perhaps written),
named scalars (one value per step) and straight-line code between them.
"""

import ast
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from . import around
from .formula import Builder, Function, exponents, name, signature, specialise
from .rule import Anatomy, Rule


class Around(NamedTuple):
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


BARE = Around()


def update(rule: Rule, parts: Around = BARE, known: Mapping[str, float] | None = None) -> Update:
    """The rule's step with ``parts`` around it.

    ``known`` are values of scalars that never change; those that stand as exponents are printed.
    """
    powers = exponents(rule.step_formula)
    fixed = tuple((n, v) for n, v in (known or {}).items() if n in powers)
    return _update(rule.anatomy, parts, fixed)


@cache
def _update(anatomy: Anatomy, parts: Around, known: tuple[tuple[str, float], ...]) -> Update:
    builder = Builder()
    scalars = list(signature(anatomy.step)[1])
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
    arguments = [w, g, *(name(n) for n in anatomy.states), *(name(n) for n in signature(anatomy.step)[1])]
    values = builder.unfold(anatomy.step, arguments)
    written = dict(zip(("w", *anatomy.states), values, strict=True))
    if parts.truncate:
        written["w"] = apply(around.truncated, builder.bind("w", written["w"]))
    if parts.total:
        written["w"] = builder.bind("w", written["w"])
        extra["_total"] = apply(around.summed, name("_total"), written["w"])
    if parts.average:
        written["w"] = builder.bind("w", written["w"])
        extra["_average"] = apply(around.averaged, name("_average"), written["w"])
    if parts.rates and anatomy.rate is not None:
        (extra["_rate"],) = builder.calls[anatomy.rate.__name__]
    powers = [line.dimension.g for line in anatomy.lines.values() if line.is_state]
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
