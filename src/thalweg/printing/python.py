"""Printers formula → Python source: for the oracle, for the host's clock, for Numba and for Triton.

All print the same straight-line code; a ``Printer`` says how each writes a number, a quotient, a root
and the functions of libm. Floats are written with ``repr``, which reads back exactly.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

_COMPARE = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
_WHERE = "({1} if {0} else {2})"
_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


_NONE: Mapping[str, str] = {}


class Printer(NamedTuple):
    """How expressions are written: ``number``, the operations named and each function are templates."""

    number: str = "{0}"
    negative: str = "(-{0})"
    quotient: str = "({0} / {1})"
    power: str = "({0} ** {1})"
    functions: Mapping[str, str] = _NONE
    names: Mapping[str, str] = _NONE

    def expression(self, node: ast.expr) -> str:
        """One expression as source text, every operation in brackets: no precedence to get wrong."""
        match node:
            case ast.Constant():
                return self.number.format(repr(float(node.value)))  # type: ignore[arg-type]
            case ast.Name():
                return self.names.get(node.id, node.id)
            case ast.UnaryOp():
                return self.negative.format(self.expression(node.operand))
            case ast.BinOp(op=ast.Pow()):
                return self.power.format(self.expression(node.left), self.expression(node.right))
            case ast.BinOp(op=ast.Div()):
                return self.quotient.format(self.expression(node.left), self.expression(node.right))
            case ast.BinOp():
                operator = _BINARY[type(node.op)]
                return f"({self.expression(node.left)} {operator} {self.expression(node.right)})"
            case ast.Compare():
                operator = _COMPARE[type(node.ops[0])]
                right = self.expression(node.comparators[0])
                return f"({self.expression(node.left)} {operator} {right})"
            case ast.Call(func=ast.Name(called)):
                template = self.functions.get(called, _WHERE if called == "where" else called + "({0})")
                return template.format(*map(self.expression, node.args))
        raise AssertionError(f"not lifted: {ast.dump(node)}")

    def lines(self, body: Iterable[tuple[str, ast.expr]]) -> list[str]:
        """Assignments as source lines."""
        return [f"{self.names.get(n, n)} = {self.expression(e)}" for n, e in body]


def indented(lines: Iterable[str], depth: int) -> str:
    """Lines at a depth of four spaces each."""
    return "\n".join("    " * depth + line for line in lines)


def clock_source(
    outputs: Sequence[tuple[str, ast.expr]], body: Sequence[tuple[str, ast.expr]], inputs: Sequence[str]
) -> str:
    """The host's clock: ``clock(t, ...)`` in Python floats, returning the scalars as a tuple.

    ``pow`` is C's; where Python makes it raise, the total ``power`` answers instead.
    """

    def written(printer: Printer) -> str:
        values = "".join(f"{printer.expression(e)}, " for _, e in outputs)
        return indented([*printer.lines(body), f"return ({values})"], 2)

    return (
        f"def clock({', '.join(inputs)}):\n    try:\n{written(Printer(power='pow({0}, {1})'))}\n"
        f"    except (ValueError, OverflowError):\n{written(Printer(power='power({0}, {1})'))}\n"
    )
