"""The scalars of a step, from t and a rule: evaluated in float64 on the host, once a step.

``traced`` is the clock as a device prints it, where t is a number that no host sees.
"""

import ast
import math
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import cast

from . import math as formulas
from .formula import Formula, Rewriter, name
from .pieces import STEPWISE
from .rule import Rule
from .schedule import Schedule

Values = tuple[float, ...]
Clock = Callable[..., Values]


def _mine(text: str) -> str:
    """A formula's name as the compiled clock has it, where it meets no function and no name of Python's."""
    return f"v_{text}"


class _OnHost(Rewriter):
    """A formula's expression as Python evaluates it: powers by a function, ``where`` with one branch taken."""

    def __init__(self, power: str) -> None:
        self.power = power

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return name(_mine(node.id))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, ast.Pow):
            return ast.Call(name(self.power), [self.visit(node.left), self.visit(node.right)], [])
        return super().visit_BinOp(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Name) and node.func.id == "where":
            return ast.IfExp(*map(self.visit, node.args))
        return super().visit_Call(node)


def _lines(formula: Formula, power: str) -> list[ast.stmt]:
    on_host = _OnHost(power)
    lines: list[ast.stmt] = [
        ast.Assign([ast.Name(_mine(n), ast.Store())], on_host.visit(e)) for n, e in formula.body
    ]
    return [*lines, ast.Return(ast.Tuple([on_host.visit(e) for _, e in formula.outputs], ast.Load()))]


@cache
def compiled(formula: Formula) -> types.FunctionType:
    """A clock as a function of its inputs; ``pow`` is C's, and where it raises, the total ``power`` answers."""
    function = ast.parse(f"def clock({', '.join(map(_mine, formula.inputs))}): pass")
    failed = ast.ExceptHandler(
        ast.Tuple([name("ValueError"), name("OverflowError")], ast.Load()), None, _lines(formula, "power")
    )
    definition = cast(ast.FunctionDef, function.body[0])
    definition.body = [ast.Try(_lines(formula, "pow"), [failed], [], [])]
    space = {n: getattr(formulas, n) for n in (*formulas.PRIMITIVES, "power")} | {"pow": math.pow}
    exec(compile(ast.fix_missing_locations(function), "<thalweg clock>", "exec"), space)
    compiled: types.FunctionType = space["clock"]
    return compiled


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


def clock(rule: Rule, formula: Formula | None = None, values: Mapping[str, float] = {}) -> Clock:
    """A function of t (1 at the first step) that gives the scalars of a clock in its outputs' order.

    formula: an update's clock; without one the rule's own. values: those of the pieces around the rule. What a
    clock takes step by step (``pieces.STEPWISE``) may be given after t.
    """
    formula = rule.clock_formula if formula is None else formula
    evaluate = cast(Clock, compiled(formula))
    hyper = rule.parts.hyperparameters
    stepwise = tuple(STEPWISE[n] for n in formula.inputs if n in STEPWISE)
    fixed = tuple(values[n] for n in formula.inputs[1 + len(stepwise) + len(hyper) :])
    if scheduled(rule):
        return lambda t, *stepped: evaluate(t, *(stepped or stepwise), *rule.at(t - 1).values(), *fixed)
    constants = (*stepwise, *rule.at(0).values(), *fixed)
    if not moving(formula, frozenset({"t", *STEPWISE})):
        row = evaluate(1, *constants)
        return lambda t: row
    # The constants become default arguments: one call a step, of t alone.
    function = compiled(formula)
    return types.FunctionType(function.__code__, function.__globals__, "clock", constants)


def known(rule: Rule, varied: Iterable[str] = ()) -> dict[str, float]:
    """The scalars whose value never changes during a run, nor with the hyperparameters ``varied``."""
    planned = [n for n, v in rule.hyperparameters.items() if isinstance(v, Schedule)]
    change = moving(rule.clock_formula, frozenset({"t", *planned, *varied}))
    row = compiled(rule.clock_formula)(1, *rule.at(0).values())
    values = dict(zip(names(rule), row, strict=True))
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
        changed: ast.expr = change.visit(ast.parse(ast.unparse(tree), mode="eval").body)
        return changed

    body = tuple((n, rewrite(e)) for n, e in clock.body)
    outputs = tuple((n, rewrite(e)) for n, e in clock.outputs)
    inputs = (*clock.inputs, *(f"_log_{n}" for n in change.logs))
    return clock._replace(inputs=inputs, body=body, outputs=outputs), tuple(change.logs)
