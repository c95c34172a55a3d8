"""Printers formula → LaTeX and formula → plain text, so that a rule reads as in its paper.

The clock's expressions are put back in place of its names, a state carries t - 1 before it is
assigned and t after, and what a rule sets to 0 is left out.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.formula import Builder, Function, keys, name, signature
from ..core.rule import Rule
from ..core.schedule import Schedule

_GREEK = {
    "lr": r"\eta",
    "beta": r"\beta",
    "beta1": r"\beta_1",
    "beta2": r"\beta_2",
    "mu": r"\mu",
    "eps": r"\varepsilon",
    "eps_root": r"\varepsilon_{\mathrm{root}}",
    "eps_in": r"\varepsilon_{\mathrm{in}}",
    "eps_v": r"\varepsilon_v",
    "eps_u": r"\varepsilon_u",
    "dampening": r"\tau",
    "weight_decay": r"\lambda",
    "momentum_decay": r"\psi",
    "rho": r"\rho",
}
_PLAIN = {
    "beta1": "β₁",
    "beta2": "β₂",
    "beta": "β",
    "mu": "μ",
    "lr": "η",
    "eps": "ε",
    "eps_root": "ε_root",
    "eps_in": "ε_in",
    "eps_v": "ε_v",
    "eps_u": "ε_u",
    "dampening": "τ",
    "weight_decay": "λ",
    "momentum_decay": "ψ",
    "rho": "ρ",
}
_WHOLE = ("maximum", "minimum", "ratio", "sign")
_SUM, _PRODUCT, _POWER, _ATOM = range(1, 5)


@dataclass(frozen=True)
class Style:
    """How one target writes fractions, roots and the rest."""

    names: Mapping[str, str]
    fraction: str
    root: str
    absolute: str
    function: str
    power: str
    times: str
    before: str
    after: str
    bracket: str
    where: str
    spelled: Mapping[str, str]
    flat: bool  # fractions are written with a slash, so their parts may need brackets

    def symbol(self, name: str) -> str:
        """A name as this target writes it; words upright."""
        known = self.names.get(name, name)
        return rf"\mathrm{{{known}}}" if not self.flat and known.isalpha() and len(known) > 1 else known


LATEX = Style(
    _GREEK,
    r"\frac{{{0}}}{{{1}}}",
    r"\sqrt{{{0}}}",
    r"\left|{0}\right|",
    r"{0}\left({1}\right)",
    "{0}^{{{1}}}",
    r" \, ",
    "{0}_{{t-1}}",
    "{0}_t",
    r"\left({0}\right)",
    r"\begin{{cases}}{1} & {0}\\ {2} & \text{{else}}\end{{cases}}",
    {
        "maximum": r"\max",
        "minimum": r"\min",
        "sign": r"\operatorname{sign}",
        "exp": r"\exp",
        "log": r"\ln",
        "cos": r"\cos",
        "sin": r"\sin",
        "tanh": r"\tanh",
        "floor": r"\operatorname{floor}",
        "expm1": r"\operatorname{expm1}",
        "log1p": r"\operatorname{log1p}",
    },
    flat=False,
)
TEXT = Style(
    _PLAIN,
    "{0} / {1}",
    "√({0})",
    "|{0}|",
    "{0}({1})",
    "{0}^{1}",
    "·",
    "{0}[t-1]",
    "{0}[t]",
    "({0})",
    "({1} if {0} else {2})",
    {"maximum": "max", "minimum": "min"},
    flat=True,
)


class _Writer:
    """Writes expressions in a style."""

    def __init__(self, style: Style) -> None:
        self.style = style

    def write(self, node: ast.expr, within: int = 0) -> str:
        """An expression, in brackets where its surroundings bind tighter."""
        text, binding = self._write(node)
        return self.style.bracket.format(text) if binding < within else text

    def _write(self, node: ast.expr) -> tuple[str, int]:
        style = self.style
        match node:
            case ast.Constant(value=int() | float() as value):
                return f"{float(value):g}", _ATOM
            case ast.Name():
                return style.symbol(node.id), _ATOM
            case ast.UnaryOp():
                return f"-{self.write(node.operand, _PRODUCT)}", _SUM
            case ast.BinOp(op=ast.Add()):
                return f"{self.write(node.left)} + {self.write(node.right, _SUM)}", _SUM
            case ast.BinOp(op=ast.Sub()):
                return f"{self.write(node.left)} - {self.write(node.right, _PRODUCT)}", _SUM
            case ast.BinOp(op=ast.Mult()):
                if ast.dump(node.left) == ast.dump(node.right):
                    return style.power.format(self.write(node.left, _ATOM), "2"), _POWER
                return (
                    f"{self.write(node.left, _PRODUCT)}{style.times}{self.write(node.right, _PRODUCT)}",
                    _PRODUCT,
                )
            case ast.BinOp(op=ast.Div()) | ast.Call(func=ast.Name("ratio")):
                over, under = (node.left, node.right) if isinstance(node, ast.BinOp) else node.args
                if style.flat:
                    return style.fraction.format(
                        self.write(over, _PRODUCT), self.write(under, _POWER)
                    ), _PRODUCT
                return style.fraction.format(self.write(over), self.write(under)), _PRODUCT
            case ast.BinOp(op=ast.Pow()):
                exponent = self.write(node.right, _ATOM if style.flat else 0)
                return style.power.format(self.write(node.left, _ATOM), exponent), _POWER
            case ast.Compare():
                sign = {
                    ast.Gt: ">",
                    ast.GtE: r"\ge" if not style.flat else "≥",
                    ast.Lt: "<",
                    ast.LtE: r"\le" if not style.flat else "≤",
                    ast.Eq: "=",
                    ast.NotEq: r"\ne" if not style.flat else "≠",
                }[type(node.ops[0])]
                return f"{self.write(node.left)} {sign} {self.write(node.comparators[0])}", 0
            case ast.Call(func=ast.Name("sqrt")):
                return style.root.format(self.write(node.args[0])), _ATOM
            case ast.Call(func=ast.Name("abs")):
                return style.absolute.format(self.write(node.args[0])), _ATOM
            case ast.Call(func=ast.Name("where")):
                return style.where.format(*map(self.write, node.args)), _ATOM
            case ast.Call(func=ast.Name(called)):
                inner = ", ".join(map(self.write, node.args))
                return style.function.format(style.spelled.get(called, called), inner), _ATOM
        raise AssertionError(f"not lifted: {ast.dump(node)}")


class _Simplify(ast.NodeTransformer):
    """Put values in for names and leave out what is 0 or a factor 1."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def simplified(self, node: ast.expr) -> ast.expr:
        """Return an expression with the values put in."""
        simple: ast.expr = self.visit(node)
        return simple

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        arguments = [self.simplified(a) for a in node.args]
        if isinstance(node.func, ast.Name) and node.func.id == "floor" and _whole(arguments[0]):
            return arguments[0]
        return ast.Call(node.func, arguments, [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.simplified(node.left), self.simplified(node.right)
        match node.op:
            case ast.Add() if _is(left, 0.0):
                return right
            case ast.Add() | ast.Sub() if _is(right, 0.0):
                return left
            case ast.Add() if (
                isinstance(left, ast.BinOp) and isinstance(left.op, ast.Sub) and _same(left.right, right)
            ):
                return left.left  # x - a + a
            case ast.Mult() if _is(left, 0.0) or _is(right, 0.0):
                return ast.Constant(0.0)
            case ast.Mult() if _is(left, 1.0):
                return right
            case ast.Mult() | ast.Div() | ast.Pow() if _is(right, 1.0):
                return left
            case ast.Mult() if (
                isinstance(right, ast.BinOp) and isinstance(right.op, ast.Div) and _is(right.left, 1.0)
            ):
                return ast.BinOp(left, ast.Div(), right.right)
            case ast.Mult() if (
                isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult) and _same(left.right, right)
            ):
                return ast.BinOp(left.left, ast.Mult(), ast.BinOp(right, ast.Mult(), right))
        return ast.BinOp(left, node.op, right)


def _same(a: ast.expr, b: ast.expr) -> bool:
    return ast.dump(a) == ast.dump(b)


def _whole(node: ast.expr) -> bool:
    """Whether an expression is made of t and whole numbers alone."""
    match node:
        case ast.Name("t"):
            return True
        case ast.Constant(value=int() | float() as value):
            return float(value).is_integer()
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return _whole(node.left) and _whole(node.right)
    return False


def _is(node: ast.expr, value: float) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def _lines(rule: Rule, style: Style, whole_class: bool) -> list[tuple[str, str]]:
    """Left and right sides, one for each assignment of a state and then of w."""
    rule_parts = rule.parts
    values: dict[str, ast.expr] = {}
    for n in rule_parts.hyperparameters:
        value, line = getattr(rule, n), rule_parts.lines[n]
        neutral = value == 1.0 == line.low or (value == 0.0 and not whole_class)
        if neutral and n != "lr" and not isinstance(value, Schedule):
            values[n] = ast.Constant(value)
    writer = _Writer(style)
    made: list[tuple[str, str]] = []
    if rule.clock is not None:
        own, kept = _unfolded_clock(rule.clock, values, style)
        made = [(symbol, writer.write(tree)) for symbol, tree in own]
        values |= kept
    builder = _Named(_WHOLE)
    before, after = signature(rule_parts.step)
    arguments = [name(n) for n in (*before, *after)]
    results = builder.unfold(rule_parts.step, arguments)
    order = ("w", *rule_parts.states)
    simplify = _Simplify({})
    # A name of the straight line stands for its state (then it is a new value) or is written out.
    held: dict[str, ast.expr] = {}
    finals = {e.id: n for n, e in zip(order, results, strict=True) if isinstance(e, ast.Name) and n != "w"}
    old = {n: name(style.before.format(style.symbol(n))) for n in order}
    old["g"] = name(style.after.format("g"))

    def shown(tree: ast.expr) -> ast.expr:
        simplify.values = values | old | held
        return simplify.simplified(tree)

    for target, tree in builder.body:
        if target in finals:
            symbol = style.after.format(style.symbol(finals[target]))
            made.append((symbol, writer.write(shown(tree))))
            held[target] = name(symbol)
        elif target in builder.plain:
            symbol = style.after.format(style.symbol(builder.plain[target]))
            made.append((symbol, writer.write(shown(tree))))
            held[target] = name(symbol)
        else:
            held[target] = shown(tree)
    for n, tree in zip(order, results, strict=True):
        shows = isinstance(tree, ast.Name) and (tree.id in finals or builder.plain.get(tree.id) == n)
        if not shows:
            made.append((style.after.format(style.symbol(n)), writer.write(shown(tree))))
    return made


class _Named(Builder):
    """A builder that remembers the names that the formula's author gave to intermediate values.

    ``answers`` are those that a function of the file returned, under the name that they were given.
    """

    def __init__(self, whole: tuple[str, ...]) -> None:
        super().__init__(whole)
        self.plain: dict[str, str] = {}
        self.answers: set[str] = set()
        self._unnamed: set[str] = set()
        self._asked = ""
        self._depth = 0

    def unfold(self, function: Function, arguments: Sequence[ast.expr]) -> tuple[ast.expr, ...]:
        self._depth += 1
        try:
            return super().unfold(function, arguments)
        finally:
            self._depth -= 1
            self._asked = function.__name__

    def bind(self, stem: str, value: ast.expr) -> ast.expr:
        bound = super().bind(stem, value)
        if self._depth == 1 and stem != "x" and isinstance(bound, ast.Name):
            if bound is not value:
                self.plain[bound.id] = stem
                if stem == self._asked:
                    self.answers.add(bound.id)
                    self._unnamed.add(bound.id)
            elif bound.id in self._unnamed:  # the author's name goes before the function's
                self.plain[bound.id] = stem
                self._unnamed.discard(bound.id)
        return bound


def _unfolded_clock(
    clock: Function, values: Mapping[str, ast.expr], style: Style
) -> tuple[list[tuple[str, ast.expr]], dict[str, ast.expr]]:
    """What the clock's names stand for, written out in t and the hyperparameters.

    What a function of the file returned is a line of its own; those lines come first.
    """
    builder = _Named(_WHOLE)
    arguments = [n for group in signature(clock) for n in group]
    results = builder.unfold(clock, [name(n) for n in arguments])
    simplify = _Simplify(dict(values))
    own: list[tuple[str, ast.expr]] = []
    for target, tree in builder.body:
        written = simplify.visit(tree)
        if target in builder.answers:
            symbol = style.after.format(style.symbol(builder.plain[target]))
            own.append((symbol, written))
            written = name(symbol)
        simplify.values = {**simplify.values, target: written}
    return own, dict(zip(keys(clock), map(simplify.visit, results), strict=True))


def expression(source: str) -> str:
    """Return an expression as it stands in a rule's file, as LaTeX; SyntaxError where it is none."""
    return _Writer(LATEX).write(ast.parse(source.strip(), mode="eval").body)


def _instance(rule: "Rule | type[Rule]") -> tuple[Rule, bool]:
    return (rule(), True) if isinstance(rule, type) else (rule, False)


def display(rule: "Rule | type[Rule]") -> str:
    """The rule's recurrence as a displayed LaTeX formula, aligned at the equals signs.

    A class shows every line; a rule leaves out what it sets to 0.
    """
    instance, whole = _instance(rule)
    lines = " \\\\\n".join(f"{left} &= {right}" for left, right in _lines(instance, LATEX, whole))
    return f"$$\n\\begin{{aligned}}\n{lines}\n\\end{{aligned}}\n$$"


def text(rule: "Rule | type[Rule]") -> str:
    """The recurrence as plain text, one assignment a line."""
    instance, whole = _instance(rule)
    lines = _lines(instance, TEXT, whole)
    width = max(len(left) for left, _ in lines)
    return "\n".join(f"{left:<{width}} = {right}" for left, right in lines)


__all__ = ["LATEX", "TEXT", "display", "expression", "text"]
