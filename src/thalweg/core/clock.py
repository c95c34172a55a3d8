"""The scalars of a step, from t and a rule: evaluated in float64 on the host, once a step.

``traced`` is the clock as a device prints it, where t is a number that no host sees.
"""

import ast
import math
import types
from collections.abc import Callable, Iterable
from functools import cache

from ..printing.python import clock_source
from . import math as formulas
from .formula import Formula, name
from .rule import Rule
from .schedule import Schedule

Values = tuple[float, ...]


@cache
def _compiled(formula: Formula) -> types.FunctionType:
    space = {n: getattr(formulas, n) for n in (*formulas.PRIMITIVES, "power")} | {"pow": math.pow}
    source = clock_source(formula.outputs, formula.body, formula.inputs)
    exec(compile(source, "<thalweg clock>", "exec"), space)
    return space["clock"]  # type: ignore[no-any-return]


@cache
def moving(formula: Formula, sources: frozenset[str] = frozenset({"t"})) -> frozenset[str]:
    """The scalars that depend on t, or on others of the clock's inputs."""
    reached = set(sources)
    for target, tree in formula.body:
        if reached & _read(tree):
            reached.add(target)
    return frozenset(n for n, tree in formula.outputs if reached & _read(tree))


def _read(tree: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


def names(rule: Rule) -> tuple[str, ...]:
    """The scalars of ``step``, in order."""
    return tuple(n for n, _ in rule.clock_formula.outputs)


def scheduled(rule: Rule) -> bool:
    """Whether any hyperparameter is a schedule."""
    return any(isinstance(v, Schedule) for v in rule.hyperparameters.values())


def clock(rule: Rule) -> Callable[[int], Values]:
    """A function of t (1 at the first step) that gives the scalars in ``names``' order."""
    formula = rule.clock_formula
    evaluate = _compiled(formula)
    if scheduled(rule):
        return lambda t: evaluate(t, *rule.at(t - 1).values())
    constants = tuple(rule.at(0).values())
    if not moving(formula):
        fixed = evaluate(1, *constants)
        return lambda t: fixed
    # The constants become default arguments: one call a step, of t alone.
    return types.FunctionType(evaluate.__code__, evaluate.__globals__, "clock", constants)


def known(rule: Rule, varied: Iterable[str] = ()) -> dict[str, float]:
    """The scalars whose value never changes during a run, nor with the hyperparameters ``varied``."""
    planned = [n for n, v in rule.hyperparameters.items() if isinstance(v, Schedule)]
    change = moving(rule.clock_formula, frozenset({"t", *planned, *varied}))
    values = dict(zip(names(rule), _compiled(rule.clock_formula)(1, *rule.at(0).values()), strict=True))
    return {n: v for n, v in values.items() if n not in change}


class _Traced(ast.NodeTransformer):
    """1 - b**x as -expm1(x * log(b)): near b = 1 the difference would cancel."""

    def __init__(self, inputs: tuple[str, ...]) -> None:
        self.inputs = inputs
        self.logs: list[str] = []

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.BinOp(ast.Constant(1.0), ast.Sub(), ast.BinOp(base, ast.Pow(), exponent)):
                if isinstance(base, ast.Name) and base.id in self.inputs:
                    self.logs += [base.id] * (base.id not in self.logs)
                    log = name(f"_log_{base.id}")
                else:
                    log = ast.Call(name("log"), [base], [])
                return ast.UnaryOp(
                    ast.USub(), ast.Call(name("expm1"), [ast.BinOp(exponent, ast.Mult(), log)], [])
                )
        return node


@cache
def traced(clock: Formula) -> tuple[Formula, tuple[str, ...]]:
    """The clock for a step count on a device, and the inputs whose logarithms it takes too.

    Those, taken by the host where it knows them, are inputs of their own, ``_log_`` and the name, after
    all others. 1 - b**t keeps its digits even where the device computes in less than float64.
    """
    change = _Traced(clock.inputs)

    def rewrite(tree: ast.expr) -> ast.expr:
        return change.visit(ast.parse(ast.unparse(tree), mode="eval").body)  # type: ignore[no-any-return]

    body = tuple((n, rewrite(e)) for n, e in clock.body)
    outputs = tuple((n, rewrite(e)) for n, e in clock.outputs)
    inputs = (*clock.inputs, *(f"_log_{n}" for n in change.logs))
    return clock._replace(inputs=inputs, body=body, outputs=outputs), tuple(change.logs)
