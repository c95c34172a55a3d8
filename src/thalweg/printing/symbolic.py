"""A schedule's value as an expression of the step: its own ``__call__``, called with a symbol in place of a number."""

import ast
import math
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import TypeAlias

from ..core.formula import name
from ..core.math import LIBM
from ..core.schedule import Schedule
from ..errors import RuleError

Number: TypeAlias = "float | Symbol"


class Symbol:
    """A number that is not known yet: arithmetic on it gives the expression that computes it."""

    def __init__(self, tree: ast.expr) -> None:
        self.tree = tree

    def __add__(self, other: Number) -> "Symbol":
        return _joined(self, ast.Add(), other)

    def __radd__(self, other: Number) -> "Symbol":
        return _joined(other, ast.Add(), self)

    def __sub__(self, other: Number) -> "Symbol":
        return _joined(self, ast.Sub(), other)

    def __rsub__(self, other: Number) -> "Symbol":
        return _joined(other, ast.Sub(), self)

    def __mul__(self, other: Number) -> "Symbol":
        return _joined(self, ast.Mult(), other)

    def __rmul__(self, other: Number) -> "Symbol":
        return _joined(other, ast.Mult(), self)

    def __truediv__(self, other: Number) -> "Symbol":
        return _joined(self, ast.Div(), other)

    def __rtruediv__(self, other: Number) -> "Symbol":
        return _joined(other, ast.Div(), self)

    def __floordiv__(self, other: Number) -> "Symbol":
        return _called("floor", _joined(self, ast.Div(), other))

    def __rfloordiv__(self, other: Number) -> "Symbol":
        return _called("floor", _joined(other, ast.Div(), self))

    def __pow__(self, other: Number) -> "Symbol":
        return _joined(self, ast.Pow(), other)

    def __rpow__(self, other: Number) -> "Symbol":
        return _joined(other, ast.Pow(), self)

    def __neg__(self) -> "Symbol":
        return Symbol(ast.UnaryOp(ast.USub(), self.tree))

    def __lt__(self, other: Number) -> "Symbol":
        return _compared(self, ast.Lt(), other)

    def __le__(self, other: Number) -> "Symbol":
        return _compared(self, ast.LtE(), other)

    def __gt__(self, other: Number) -> "Symbol":
        return _compared(self, ast.Gt(), other)

    def __ge__(self, other: Number) -> "Symbol":
        return _compared(self, ast.GtE(), other)

    def __bool__(self) -> bool:
        raise RuleError("it branches on the step")

    def __float__(self) -> float:
        raise RuleError("it asks what number the step is")


def _tree(value: Number) -> ast.expr:
    return value.tree if isinstance(value, Symbol) else ast.Constant(float(value))


def _joined(left: Number, operator: ast.operator, right: Number) -> Symbol:
    return Symbol(ast.BinOp(_tree(left), operator, _tree(right)))


def _compared(left: Number, operator: ast.cmpop, right: Number) -> Symbol:
    return Symbol(ast.Compare(_tree(left), [operator], [_tree(right)]))


def _called(function: str, value: Number) -> Symbol:
    return Symbol(ast.Call(name(function), [_tree(value)], []))


def _where(condition: "bool | Symbol", x: Number, y: Number) -> Number:
    if not isinstance(condition, Symbol):
        return x if condition else y
    return Symbol(ast.Call(name("where"), [condition.tree, _tree(x), _tree(y)], []))


def _either(called: str) -> Callable[[Number], Number]:
    """A function of ``math`` that takes symbols too."""
    known: Callable[[float], float] = getattr(math, called)
    return lambda x: _called(called, x) if isinstance(x, Symbol) else known(x)


_FUNCTIONS = {
    "min": lambda x, y: _where(y < x, y, x),
    "max": lambda x, y: _where(y > x, y, x),
    "float": lambda x: x,
    "growth": lambda factor, times: _joined(factor, ast.Pow(), times),
    "where": _where,
    "math": SimpleNamespace(**{**vars(math), **{n: _either(n) for n in (*LIBM, "sqrt")}}),
}


def _at(schedule: Schedule, step: Symbol) -> Number:
    """What the schedule's ``__call__`` returns, with the grammar's functions in place of Python's."""
    called = type(schedule).__call__
    fields = {
        n: (lambda step, inner=v: _at(inner, step)) if isinstance(v, Schedule) else v
        for n, v in schedule.fields.items()
    }
    space = called.__globals__ | _FUNCTIONS
    symbolic = FunctionType(called.__code__, space, "schedule", called.__defaults__, called.__closure__)
    value: Number = symbolic(SimpleNamespace(**fields), step)
    return value


def expression(schedule: Schedule) -> ast.expr:
    """Return a schedule's value as an expression of the name ``step``; RuleError where it is no formula."""
    try:
        return _tree(_at(schedule, Symbol(name("step"))))
    except (RuleError, TypeError, ValueError, AttributeError) as error:
        raise RuleError(
            f"{schedule!r}: its __call__ cannot be written as a formula ({error}); write where(...) of"
            " thalweg.core instead of if, and functions of math only"
        ) from None


__all__ = ["expression"]
