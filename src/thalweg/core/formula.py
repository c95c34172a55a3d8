"""From a Python function to a formula: straight-line code that every printer can print.

A formula may use ``+ - * /``, ``**``, one comparison inside ``where``, numbers, names, the functions
of ``core.math`` and functions of its own file. ``lift`` checks that, unfolds the calls, gives each
intermediate value a name of its own, and remembers what each unfolded call returned, so that a
kernel can also write out what ``rate`` gave.
"""

import ast
import linecache
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from ..errors import RuleError
from . import math as formulas

Function = Callable[..., Any]

_REMEDY = {
    ast.If: "`if` is not part of a formula: use where(condition, a, b)",
    ast.IfExp: "`a if c else b` is not part of a formula: use where(c, a, b)",
    ast.For: "a loop is not part of a formula: it speaks of one coordinate",
    ast.While: "a loop is not part of a formula: it speaks of one coordinate",
    ast.BoolOp: "`and`/`or` is not part of a formula: nest where(...)",
    ast.AugAssign: "write `x = x + y` instead of `x += y`",
    ast.Subscript: "an index is not part of a formula: it speaks of one coordinate",
    ast.Attribute: "a dotted name is not part of a formula: import the function by its name from thalweg.core",
    ast.Import: "an import belongs to the head of the file",
    ast.ImportFrom: "an import belongs to the head of the file",
    ast.Lambda: "write a named function of the same file",
}


class Formula(NamedTuple):
    """Straight-line code: assign ``body`` in order, then read ``outputs``.

    ``inputs`` are the values of a coordinate, ``scalars`` those of a step. ``calls`` names, for each
    unfolded function, the expressions that it returned.
    """

    name: str
    inputs: tuple[str, ...]
    scalars: tuple[str, ...]
    body: tuple[tuple[str, ast.expr], ...]
    outputs: tuple[tuple[str, ast.expr], ...]
    calls: Mapping[str, tuple[ast.expr, ...]]

    def __eq__(self, other: object) -> bool:  # one formula is one object: it keys caches
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def names(self) -> set[str]:
        """Every name that the formula reads."""
        trees = [e for _, e in (*self.body, *self.outputs)]
        return {n.id for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Name)}


class Builder:
    """Collects assignments; unfolds one formula after another into the same straight line."""

    def __init__(self, whole: Iterable[str] = ()) -> None:
        self.body: list[tuple[str, ast.expr]] = []
        self.calls: dict[str, tuple[ast.expr, ...]] = {}
        self._whole = frozenset(whole)  # functions left as calls (the LaTeX printer writes them so)
        self._count = 0

    def bind(self, stem: str, value: ast.expr) -> ast.expr:
        """Give a value a name of its own, unless it is a name or a number already."""
        if isinstance(value, ast.Name | ast.Constant):
            return value
        self._count += 1
        name = f"_{stem.strip('_')}{self._count}"
        self.body.append((name, value))
        return ast.Name(name, ast.Load())

    def unfold(self, function: Function, arguments: Sequence[ast.expr]) -> tuple[ast.expr, ...]:
        """The expressions that ``function(*arguments)`` returns, its assignments added to the body."""
        definition = _definition(function)
        names = [a.arg for a in (*definition.args.posonlyargs, *definition.args.args)]
        values = dict(zip(names, arguments, strict=True))
        reader = _Reader(self, function, values)
        for line in definition.body:
            if isinstance(line, ast.Return):
                return reader.returned(line)
            reader.assign(line)
        raise reader.error(definition, "a formula ends in `return`")

    def formula(
        self,
        name: str,
        inputs: Sequence[str],
        scalars: Sequence[str],
        outputs: Iterable[tuple[str, ast.expr]],
    ) -> Formula:
        """What was collected, with the body's dead assignments left out."""
        outputs = tuple(outputs)
        needed: set[str] = set()
        live: list[tuple[str, ast.expr]] = []

        def need(tree: ast.expr) -> None:
            needed.update(n.id for n in ast.walk(tree) if isinstance(n, ast.Name))

        for _, tree in outputs:
            need(tree)
        for target, tree in reversed(self.body):
            if target in needed:
                need(tree)
                live.append((target, tree))
        return Formula(name, tuple(inputs), tuple(scalars), tuple(reversed(live)), outputs, dict(self.calls))


class _Reader:
    """Reads the lines of one function with its names bound to a builder's values."""

    def __init__(self, builder: Builder, function: Function, values: dict[str, ast.expr]) -> None:
        self.builder, self.function, self.values = builder, function, values

    def error(self, node: ast.AST, remedy: str) -> RuleError:
        code = self.function.__code__
        line = getattr(node, "lineno", code.co_firstlineno)
        return RuleError(f"{code.co_filename}:{line}: in {code.co_name}: {remedy}")

    def assign(self, line: ast.stmt) -> None:
        if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
            return  # the docstring
        if not isinstance(line, ast.Assign) or len(line.targets) != 1:
            raise self.error(line, _REMEDY.get(type(line), "only `name = formula` and `return`"))
        target = line.targets[0]
        if isinstance(target, ast.Name):
            self._check_name(target)
            self.values[target.id] = self.builder.bind(target.id, self.expression(line.value))
        elif isinstance(target, ast.Tuple) and isinstance(line.value, ast.Tuple):
            raise self.error(line, "one assignment a line")
        elif isinstance(target, ast.Tuple) and isinstance(line.value, ast.Call):
            values = self._unfold(line.value)
            if len(values) != len(target.elts):
                raise self.error(line, f"{len(target.elts)} names for {len(values)} values")
            for name, value in zip(target.elts, values, strict=True):
                if not isinstance(name, ast.Name):
                    raise self.error(line, "only names stand left of `=`")
                self._check_name(name)
                self.values[name.id] = self.builder.bind(name.id, value)
        else:
            raise self.error(line, "only names stand left of `=`")

    def _check_name(self, name: ast.Name) -> None:
        if name.id.startswith("_"):
            raise self.error(name, f"{name.id!r}: names that begin with _ belong to printed code")

    def returned(self, line: ast.Return) -> tuple[ast.expr, ...]:
        value = line.value
        if value is None:
            raise self.error(line, "a formula returns a value")
        if isinstance(value, ast.Dict):  # a clock: the keys are read by `keys`
            return tuple(self.expression(v) for v in value.values)
        if isinstance(value, ast.Tuple):
            return tuple(self.expression(v) for v in value.elts)
        if isinstance(value, ast.Call):
            name = self._called(value)
            if name not in formulas.PRIMITIVES and name not in self.builder._whole:
                return self._unfold(value)
        return (self.expression(value),)

    def expression(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.Constant(value=bool()) | ast.Constant(value=complex() | str() | bytes() | None):
                raise self.error(node, f"{node.value!r} is not a number of a formula")
            case ast.Constant(value=int() | float() as number):
                return ast.Constant(float(number))
            case ast.Name():
                if node.id not in self.values:
                    raise self.error(
                        node,
                        f"{node.id!r} is neither an argument nor assigned above; what is constant"
                        " during a step is a hyperparameter or comes from `clock`",
                    )
                return self.values[node.id]
            case ast.UnaryOp(op=ast.USub()):
                return ast.UnaryOp(ast.USub(), self.expression(node.operand))
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
                return ast.BinOp(self.expression(node.left), node.op, self.expression(node.right))
            case ast.Call():
                return self._call(node)
            case ast.Compare():
                raise self.error(node, "a comparison stands only first inside where(...)")
        raise self.error(node, _REMEDY.get(type(node), f"{type(node).__name__} is not part of a formula"))

    def _called(self, node: ast.Call) -> str:
        if not isinstance(node.func, ast.Name):
            raise self.error(node, _REMEDY[ast.Attribute])
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.error(node, "calls take plain positional arguments")
        return node.func.id

    def _resolve(self, node: ast.Call) -> Function:
        name = self._called(node)
        target = self.function.__globals__.get(name)
        builtin = formulas.abs if name == "abs" and target is None else target
        if not isinstance(builtin, types.FunctionType):
            allowed = ", ".join(sorted({*formulas.PRIMITIVES, *formulas.DERIVED}))
            raise self.error(
                node, f"{name!r} is not a function of this file nor one of thalweg.core: {allowed}"
            )
        return builtin

    def _unfold(self, node: ast.Call) -> tuple[ast.expr, ...]:
        function = self._resolve(node)
        arguments = [self.builder.bind("x", self.expression(a)) for a in node.args]
        wanted = function.__code__.co_argcount
        if len(arguments) != wanted:
            raise self.error(node, f"{function.__name__} takes {wanted} arguments, got {len(arguments)}")
        values = self.builder.unfold(function, arguments)
        named = tuple(self.builder.bind(function.__name__, v) for v in values)
        self.builder.calls[function.__name__] = named
        return named

    def _call(self, node: ast.Call) -> ast.expr:
        function = self._resolve(node)
        name = function.__name__
        if function.__module__ == formulas.__name__ and (
            name in formulas.PRIMITIVES or name in self.builder._whole
        ):
            return self._primitive(node, name, function)
        values = self._unfold(node)
        if len(values) != 1:
            raise self.error(node, f"{name} returns {len(values)} values, one is used here")
        return values[0]

    def _primitive(self, node: ast.Call, name: str, function: Function) -> ast.expr:
        wanted = function.__code__.co_argcount
        if len(node.args) != wanted:
            raise self.error(node, f"{name} takes {wanted} arguments, got {len(node.args)}")
        arguments = list(node.args)
        lifted: list[ast.expr] = []
        if name == "where":
            condition = arguments.pop(0)
            if not isinstance(condition, ast.Compare) or len(condition.ops) != 1:
                raise self.error(node, "where(...) begins with one comparison")
            left, right = condition.left, condition.comparators[0]
            lifted.append(ast.Compare(self.expression(left), condition.ops, [self.expression(right)]))
        lifted += [
            self.builder.bind("x", self.expression(a)) if name == "where" else self.expression(a)
            for a in arguments
        ]
        return ast.Call(ast.Name(name, ast.Load()), lifted, [])


@cache
def _module(filename: str, stamp: int) -> dict[tuple[str, int], ast.FunctionDef]:
    source = "".join(linecache.getlines(filename))
    return {
        (node.name, node.lineno): node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }


@cache
def _definition(function: Function) -> ast.FunctionDef:
    """The syntax tree of a function, checked for what its signature may hold."""
    if not isinstance(function, types.FunctionType):
        raise RuleError(f"{function!r} is not a Python function: a formula is a plain `def`")
    code = function.__code__
    linecache.checkcache(code.co_filename)
    definition = None
    if linecache.getlines(code.co_filename):
        table = _module(code.co_filename, hash(tuple(linecache.getlines(code.co_filename))))
        line = code.co_firstlineno
        definition = next(
            (table[k] for k in ((code.co_name, line + i) for i in range(20)) if k in table), None
        )
    if definition is None:
        raise RuleError(
            f"{code.co_name}: its source cannot be found ({code.co_filename}): put the rule in a file"
            " and import it"
        )
    arguments = definition.args
    if arguments.kwonlyargs or arguments.vararg or arguments.kwarg or arguments.defaults:
        raise RuleError(
            f"{code.co_filename}:{definition.lineno}: in {code.co_name}: a formula takes plain arguments,"
            " per coordinate before the `/`, per step after it"
        )
    return definition


def signature(function: Function) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names before and after the slash (read from the code object: cheap at import)."""
    code = function.__code__
    names, cut = code.co_varnames[: code.co_argcount], code.co_posonlyargcount
    return names[:cut], names[cut:]


def keys(function: Function) -> tuple[str, ...]:
    """The names that a clock returns."""
    last = _definition(function).body[-1]
    value = last.value if isinstance(last, ast.Return) else None
    keys = value.keys if isinstance(value, ast.Dict) else [None]
    names = [k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
    if len(names) < len(keys):
        code = function.__code__
        raise RuleError(
            f"{code.co_filename}:{getattr(last, 'lineno', 0)}: in {code.co_name}: a clock returns"
            ' {"name": value, ...}'
        )
    return tuple(names)


def from_text(text: str, title: str, functions: Mapping[str, Function] | None = None) -> dict[str, Function]:
    """The functions of generated source, findable by ``lift`` as those of a file are.

    ``functions`` are others that the source may call, by name.
    """
    filename = f"<thalweg {title} {hash(text) & 0xFFFFFFFF:08x}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    space: dict[str, Any] = {n: getattr(formulas, n) for n in (*formulas.PRIMITIVES, *formulas.DERIVED)}
    space |= functions or {}
    before = set(space)
    exec(compile(text, filename, "exec"), space)
    return {n: f for n, f in space.items() if n not in before and isinstance(f, types.FunctionType)}


def name(text: str) -> ast.expr:
    """A name as an expression."""
    return ast.Name(text, ast.Load())


def lift(function: Function, outputs: Sequence[str] | None = None, whole: Iterable[str] = ()) -> Formula:
    """Read one function as a formula.

    ``outputs`` names what it returns, in order; by default the function's own name. Raises RuleError
    with file, line and remedy where the function leaves the grammar.
    """
    inputs, scalars = signature(function)
    builder = Builder(whole)
    values = builder.unfold(function, [name(n) for n in (*inputs, *scalars)])
    names = list(outputs) if outputs is not None else [function.__name__]
    if len(names) != len(values):
        code = function.__code__
        raise RuleError(
            f"{code.co_filename}:{code.co_firstlineno}: in {code.co_name}: returns {len(values)}"
            f" values, expected {len(names)}: {', '.join(names)}"
        )
    return builder.formula(function.__name__, inputs, scalars, zip(names, values, strict=True))


class Rewriter(ast.NodeTransformer):
    """Rewrites a formula's expressions into new ones, and leaves them as they are: subclasses say what changes."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        return ast.UnaryOp(node.op, self.visit(node.operand))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        return ast.Compare(self.visit(node.left), node.ops, [self.visit(node.comparators[0])])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return ast.Call(node.func, [self.visit(a) for a in node.args], [])


_ROOTS = {0.5: 1, 0.25: 2}
_SQUARINGS = {2.0: 1, 4.0: 2}


class _Specialise(ast.NodeTransformer):
    def __init__(self, known: Mapping[str, float]) -> None:
        self.known = known

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow):
            return node
        exponent = node.right
        if isinstance(exponent, ast.Constant):
            value = exponent.value
        elif isinstance(exponent, ast.Name) and exponent.id in self.known:
            value = self.known[exponent.id]
        else:
            return node
        base: ast.expr = node.left
        if not isinstance(value, float):
            return node
        if value == 1.0:
            return base
        if value in _SQUARINGS and isinstance(base, ast.Name | ast.Constant):
            for _ in range(_SQUARINGS[value]):
                base = ast.BinOp(base, ast.Mult(), base)
            return base
        if value in _ROOTS:
            for _ in range(_ROOTS[value]):
                base = ast.Call(ast.Name("sqrt", ast.Load()), [base], [])
            return base
        return node


@cache
def exponents(formula: Formula) -> frozenset[str]:
    """The scalars that stand as exponents: their values may be worth printing."""
    trees = [e for _, e in (*formula.body, *formula.outputs)]
    return frozenset(
        node.right.id
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Pow)
        and isinstance(node.right, ast.Name)
        and node.right.id in formula.scalars
    )


def specialise(formula: Formula, known: Mapping[str, float]) -> Formula:
    """The formula with x**p written as products and roots where p is known to be 1, 2, 4, 1/2 or 1/4."""
    change = _Specialise(known)
    copy = ast.parse  # keep the original trees untouched

    def rewrite(tree: ast.expr) -> ast.expr:
        fresh = copy(ast.unparse(tree), mode="eval").body
        changed: ast.expr = change.visit(fresh)
        return changed

    return formula._replace(
        body=tuple((n, rewrite(e)) for n, e in formula.body),
        outputs=tuple((n, rewrite(e)) for n, e in formula.outputs),
    )


def substituted(tree: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """Return an expression with names replaced by others' expressions."""

    class Substitute(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return values.get(node.id, node)

        def visit_Call(self, node: ast.Call) -> ast.expr:
            return ast.Call(node.func, [self.visit(a) for a in node.args], [])

    fresh = ast.parse(ast.unparse(tree), mode="eval").body
    changed: ast.expr = Substitute().visit(fresh)
    return changed


def inlined(body: Iterable[tuple[str, ast.expr]], values: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """Return values with each name that a body assigns, as one expression of names that it does not."""
    result = dict(values)
    for target, tree in body:
        result[target] = substituted(tree, result)
    return result


class Split(NamedTuple):
    """A formula as what belongs to a row, in ``row``, and what to a coordinate: ``body``, ``outputs``."""

    row: tuple[tuple[str, ast.expr], ...]
    body: tuple[tuple[str, ast.expr], ...]
    outputs: tuple[tuple[str, ast.expr], ...]


@cache
def split(formula: Formula, stem: str = "row") -> Split:
    """Take out of a formula what does not depend on its inputs, to be computed once for many.

    What is taken out for the coordinates is named ``stem`` and a number.
    """
    taken: dict[str, str] = {}  # an expression → its name
    row: list[tuple[str, ast.expr]] = []
    body: list[tuple[str, ast.expr]] = []
    local = set(formula.inputs)

    def rest(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in local):
            return node
        if not {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & local:
            text = ast.unparse(node)
            if text not in taken:
                taken[text] = f"{stem}{len(taken)}"
                row.append((taken[text], node))
            return ast.Name(taken[text], ast.Load())
        match node:
            case ast.UnaryOp():
                return ast.UnaryOp(node.op, rest(node.operand))
            case ast.BinOp():
                return ast.BinOp(rest(node.left), node.op, rest(node.right))
            case ast.Compare():
                return ast.Compare(rest(node.left), node.ops, [rest(node.comparators[0])])
            case ast.Call():
                return ast.Call(node.func, [rest(a) for a in node.args], [])
        raise AssertionError(f"not lifted: {ast.dump(node)}")

    for target, tree in formula.body:
        if {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} & local:
            local.add(target)
            body.append((target, rest(tree)))
        else:
            row.append((target, tree))
    outputs = tuple((n, rest(tree)) for n, tree in formula.outputs)
    return Split(tuple(row), tuple(body), outputs)
