"""Printers formula → Python source: for the oracle, for Numba and for Triton.

All print the same straight-line code; a ``Printer`` says how each writes a number, a quotient, a root
and the functions of libm. Floats are written with ``repr``, which reads back exactly.

What a formula calls x is printed as ``v_x``, or under another prefix, unless the source around gives it
a name of its own. That source names nothing of its own so: whatever a rule calls its states and
hyperparameters, none of them meets a name of the kernel, of a function or of a module.
"""

import ast
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..core.formula import Formula

_COMPARE = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
_WHERE = "({1} if {0} else {2})"
_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


_NONE: Mapping[str, str] = {}


class Printer(NamedTuple):
    """How expressions are written: ``number``, the operations named and each function are templates.

    ``names`` are those of the formula that the source around knows by others; the rest get ``prefix``.
    """

    number: str = "{0}"
    negative: str = "(-{0})"
    quotient: str = "({0} / {1})"
    power: str = "({0} ** {1})"
    functions: Mapping[str, str] = _NONE
    names: Mapping[str, str] = _NONE
    prefix: str = "v_"

    def named(self, prefix: str, names: Mapping[str, str] = _NONE) -> "Printer":
        """Return the printer of one formula among others: its prefix, and what the source around calls its inputs."""
        return self._replace(names=names, prefix=prefix)

    def name(self, name: str) -> str:
        """Return what printed source calls a name of the formula."""
        return self.names.get(name) or self.prefix + name

    def expression(self, node: ast.expr) -> str:
        """One expression as source text, every operation in brackets: no precedence to get wrong."""
        match node:
            case ast.Constant(value=int() | float() as value):
                return self.number.format(repr(float(value)))
            case ast.Name():
                return self.name(node.id)
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
        """Return assignments as source lines."""
        return [f"{self.name(n)} = {self.expression(e)}" for n, e in body]

    def section(self, formula: Formula) -> tuple[list[str], dict[str, str]]:
        """Return a formula's lines, and its outputs by name as expressions."""
        return self.lines(formula.body), {n: self.expression(e) for n, e in formula.outputs}


def indented(lines: Iterable[str], depth: int) -> str:
    """Lines at a depth of four spaces each."""
    return "\n".join("    " * depth + line for line in lines)


def function_source(
    name: str,
    printer: Printer,
    inputs: Iterable[str],
    body: Iterable[tuple[str, ast.expr]],
    outputs: Iterable[ast.expr],
) -> str:
    """Return straight-line code as a Python function of its inputs, by position, that returns a tuple."""
    arguments = ", ".join(map(printer.name, inputs))
    return f"def {name}({arguments}):\n{indented(_returning(printer, body, outputs), 1)}\n"


def _returning(
    printer: Printer, body: Iterable[tuple[str, ast.expr]], outputs: Iterable[ast.expr]
) -> list[str]:
    values = "".join(f"{printer.expression(e)}, " for e in outputs)
    return [*printer.lines(body), f"return ({values})"]
