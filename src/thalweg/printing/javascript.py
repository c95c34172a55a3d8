"""Printer formula → JavaScript: rules, clocks, schedules and objectives for a page that computes what the library does.

What is printed are functions of Float64Arrays, with the operations and their order that every engine has; they
call ``PRELUDE``'s functions, which has to stand above them. Those that IEEE defines give the very bits of the
engines; the others of ``core.math`` are the browser's, and may differ from C's in the last place.

    clock(t, h, c)    from the step t (1 first) and the hyperparameters h: the scalars of the step, into c
    step(x, c)        x = [w, g, states, rate] of one coordinate: w, states and rate as they are after the step
    schedule(step)    the value after so many steps (0 before the first)
    formula(x, d, out)     of inputs x and scalars d: the outputs, into out; thus
    value, gradient, hessian(x, d, out)    of the parameters x and a row of data d: the results, into out
"""

import ast
import json
from collections.abc import Iterable, Mapping, Sequence

from ..core import update as compose
from ..core.formula import Formula, Rewriter, exponents, name
from ..core.objective import Objective
from ..core.rule import Rule
from ..core.schedule import Schedule
from ..core.step_options import StepOptions
from .python import Printer
from .symbolic import expression

PRINTER = Printer(
    power="power({0}, {1})",
    functions={
        "where": "({0} ? {1} : {2})",
        "raised": "raised({0}, {1})",
        "rooted": "rooted({0}, {1})",
    },
)

PRELUDE = """\
const {sqrt, abs, exp, log, expm1, log1p, cos, sin, tanh} = Math;
const floor = (x) => Math.floor(x) + 0; // no negative zero, as in Python
const power = (x, y) => (x === 1 || (x === -1 && abs(y) === Infinity) ? 1 : x ** y); // as in C
const rooted = (x, y) => (y === 1 ? x : y === 0.5 ? sqrt(x) : y === 0.25 ? sqrt(sqrt(x)) : power(x, y));
const raised = (x, y) => (y === 2 ? x * x : y === 4 ? x * x * (x * x) : rooted(x, y));
"""
"""``rooted`` and ``raised`` are powers whose exponent is a scalar: ``formula.specialise``, at the time of the call."""

RATE = "_rate"  # what ``update`` calls the array of effective rates


def _function(arguments: str, lines: Iterable[str]) -> str:
    return f"({arguments}) => {{\n" + "".join(f"  {line}\n" for line in lines) + "}"


def _read(printer: Printer, array: str, names: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """Lines that read those of an array's names that are wanted."""
    chosen = set(wanted)
    return [f"const {printer.name(n)} = {array}[{k}];" for k, n in enumerate(names) if n in chosen]


def _computed(printer: Printer, body: Iterable[tuple[str, ast.expr]]) -> list[str]:
    return [f"const {line};" for line in printer.lines(body)]


def _written(array: str, values: Mapping[int, str]) -> list[str]:
    """Lines that compute all new values before the first of them is written."""
    new = [f"const new{k} = {value};" for k, value in values.items()]
    return [*new, *(f"{array}[{k}] = new{k};" for k in values)]


def layout(rule: Rule) -> tuple[str, ...]:
    """Return what stands in the array x of a printed step, in order."""
    return ("w", "g", *rule.parts.states, *([RATE] if rule.parts.rate is not None else []))


class _Powers(Rewriter):
    """Powers of a scalar as calls of what ``specialise`` does where the scalar's value is known."""

    def __init__(self, scalars: frozenset[str]) -> None:
        self.scalars = scalars

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        right = node.right
        if isinstance(node.op, ast.Pow) and isinstance(right, ast.Name) and right.id in self.scalars:
            called = "raised" if isinstance(node.left, ast.Name | ast.Constant) else "rooted"
            return ast.Call(name(called), [self.visit(node.left), right], [])
        return super().visit_BinOp(node)


def step(rule: Rule) -> str:
    """Return the rule's step as the source of a function of x, as in ``layout``, and of the clock's scalars."""
    update = compose.update(rule, StepOptions(rates=rule.parts.rate is not None))
    powers = _Powers(exponents(rule.step_formula))
    body = [(n, powers.visit(e)) for n, e in update.body]
    written = {n: powers.visit(e) for n, e in update.written.items()}
    places = layout(rule)
    read = {
        n.id
        for e in (*dict(body).values(), *written.values())
        for n in ast.walk(e)
        if isinstance(n, ast.Name)
    }
    values = {places.index(n): PRINTER.expression(e) for n, e in written.items()}
    return _function(
        "x, c",
        [
            *_read(PRINTER, "c", update.scalars, read),
            *_read(PRINTER, "x", places, read),
            *_computed(PRINTER, body),
            *_written("x", values),
        ],
    )


def clock(rule: Rule) -> str:
    """Return the rule's clock as the source of a function of t, the hyperparameters in order, and where to write."""
    formula = rule.clock_formula
    values = {k: PRINTER.expression(e) for k, (_, e) in enumerate(formula.outputs)}
    t, hyperparameters = formula.inputs[0], formula.inputs[1:]
    return _function(
        "t, h, c",
        [
            *([f"const {PRINTER.name(t)} = t;"] if t in formula.names() else []),
            *_read(PRINTER, "h", hyperparameters, formula.names()),
            *_computed(PRINTER, formula.body),
            *_written("c", values),
        ],
    )


def formula(formula: Formula) -> str:
    """Return a formula as the source of a function of its inputs, its scalars, and where to write."""
    values = {k: PRINTER.expression(e) for k, (_, e) in enumerate(formula.outputs)}
    return _function(
        "x, d, out",
        [
            *_read(PRINTER, "x", formula.inputs, formula.names()),
            *_read(PRINTER, "d", formula.scalars, formula.names()),
            *_computed(PRINTER, formula.body),
            *_written("out", values),
        ],
    )


def functions(objective: Objective) -> dict[str, str]:
    """Return value, gradient and (where there is one) Hessian of one row as the sources of functions.

    ``mean``, the value over all rows, is there too where it is a formula that spares the loop over them.
    """
    known = {
        "value": objective.value_formula,
        "gradient": objective.gradient_formula,
        "hessian": objective.hessian_formula,
        "mean": objective.mean_formula if objective.mean is not None else None,
    }
    return {n: formula(f) for n, f in known.items() if f is not None}


def objective(objective: Objective) -> str:
    """Return ``functions`` as the source of one object."""
    return _object(functions(objective))


def _object(members: Mapping[str, str]) -> str:
    """The source of an object of which each member is source already."""
    return "{" + ", ".join(f"{json.dumps(n)}: {source}" for n, source in members.items()) + "}"


def schedule(schedule: Schedule) -> str:
    """Return a schedule as the source of a function of the steps done; RuleError where it is no formula."""
    return f"(step) => {PRINTER.named('v_', {'step': 'step'}).expression(expression(schedule))}"


def rule(rule: Rule) -> str:
    """Return the rule as the source of an object: names, and its ``clock`` and ``step``.

    ``places`` is what x holds, ``scalars`` what the clock writes, ``hyperparameters`` what it reads.
    """
    return _object(
        {
            "places": json.dumps(layout(rule)),
            "hyperparameters": json.dumps(rule.parts.hyperparameters),
            "scalars": json.dumps([n for n, _ in rule.clock_formula.outputs]),
            "clock": clock(rule),
            "step": step(rule),
        }
    )


__all__ = [
    "PRELUDE",
    "PRINTER",
    "RATE",
    "clock",
    "formula",
    "functions",
    "layout",
    "objective",
    "rule",
    "schedule",
    "step",
]
