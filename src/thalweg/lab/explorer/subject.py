"""What is explored: a landscape, a formula of two names, or any function, sampled with its gradient on a grid."""

import ast
import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core import math as formulas
from ...core.formula import Formula, inlined, lift, signature
from ...core.user_file import run_file
from ...errors import HyperparameterError, ProblemError, RuleError, UnknownProblemError, nearest
from ...printing.python import Printer, function_source
from ...problems import FunctionProblem, Problem, Raced, Source, landscape_catalogue, make
from ...problems.formula import FormulaProblem
from ...problems.function import required

Span = tuple[float, float]
Window = tuple[Span, Span]

SIDE = 5.0  # of a typed function's window, each way from 0
SIZES = (129, 65, 33)  # points each way of a sampled function's grid, the finest that is not too slow
PATIENCE = 20.0  # seconds for all of them
FUNCTIONS = dict.fromkeys(formulas.PRIMITIVES, 1) | {
    "where": 3,
    "maximum": 2,
    "minimum": 2,
    "ratio": 2,
    "sign": 1,
}
WORDS = {"min": 2, "max": 2, **FUNCTIONS}
CONSTANTS = ("pi", "e")
LONGEST = 4000  # characters of a formula, as on the page
_NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Subject:
    """What the page shows first: ``surface`` is a landscape, or what the page needs to compute it as plain data.

    ``name`` is the page's name for it, "=" and the formula for one that can be typed there. ``python`` are lines
    that define gradient(w). Window, starts and minima are those of a ``FormulaProblem``.
    """

    name: str
    title: str
    text: str
    names: tuple[str, ...]
    window: Window
    starts: Sequence[Sequence[float]]
    minima: Sequence[Sequence[float]]
    minimum: float | None
    surface: FormulaProblem | Mapping[str, Any]
    python: Sequence[str]


def checked_window(window: Window | None) -> Window | None:
    """The same in floats; HyperparameterError for what is no window."""
    if window is None:
        return None
    try:
        bounds = np.asarray(window, dtype=float)
    except (TypeError, ValueError):
        bounds = np.empty(0)
    if bounds.shape != (2, 2) or not np.isfinite(bounds).all() or not (bounds[:, 0] < bounds[:, 1]).all():
        raise HyperparameterError(f"window={window!r}: ((x low, x high), (y low, y high)) is needed")
    (x0, x1), (y0, y1) = bounds.tolist()
    return (x0, x1), (y0, y1)


def checked_start(start: Sequence[float] | None) -> list[float] | None:
    """The same in floats; HyperparameterError for what is no point of the plane."""
    if start is None:
        return None
    try:
        point = np.asarray(start, dtype=float)
    except (TypeError, ValueError):
        point = np.empty(0)
    if point.shape != (2,) or not np.isfinite(point).all():
        raise HyperparameterError(f"start={start!r}: two finite numbers are needed")
    x, y = map(float, point)
    return [x, y]


def python_lines(name: str) -> list[str]:
    """Lines of Python that define the gradient of a landscape by name."""
    return [
        f"problem = tw.problems.landscape({name!r})",
        "",
        "",
        "def gradient(w):",
        "    return problem.gradient(w, None)",
    ]


def subject(problem: object, window: Window | None, start: Sequence[float] | None) -> Subject:
    """Return what is explored under this name, formula, function or problem.

    Raises UnknownProblemError, HyperparameterError for a formula that is none, ProblemError for a problem that has no
    two coordinates, FileError for a user's file.
    """
    if isinstance(problem, str):
        if problem in landscape_catalogue():
            return _of_problem(make(Source(problem)), problem, window, python_lines(problem))
        if ".py:" in problem:
            return _of_file(problem, window, start)
        return _typed(problem, window, start)
    if isinstance(problem, Problem):
        return _of_problem(problem, problem.name, window, None)
    if callable(problem):
        name = getattr(problem, "__name__", type(problem).__name__)
        return _of_function(
            problem, name, window, start, f"from your_module import {name} as f  # the function"
        )
    raise HyperparameterError(
        f"explore: a landscape's name, a formula, a function or a problem is needed, got {type(problem).__name__}"
    )


def _of_file(name: str, window: Window | None, start: Sequence[float] | None) -> Subject:
    file, _, member = name.rpartition(":")
    module = run_file(file, "a function or landscape of your own is named FILE.py:NAME")
    value = getattr(module, member, None)
    if callable(value) and not isinstance(value, Problem) and required(value):
        begin = start or getattr(value, "start", getattr(module, "start", None))
        line = f'f = run_file({file!r}, "").{member}'
        return _of_function(
            value, member, window, begin, "from thalweg.core.user_file import run_file", "", line
        )
    return _of_problem(make(Source(name)), name, window, python_lines(name))


def _of_problem(problem: Raced, name: str, window: Window | None, python: Sequence[str] | None) -> Subject:
    if not isinstance(problem, FormulaProblem):
        if isinstance(problem, FunctionProblem):
            return _sampled(problem, name, window, None, [f"# {name}: define gradient(w) here"])
        raise UnknownProblemError(
            f"explore: {name!r} is no landscape, its weights are too many to show; race it: thalweg race {name}"
        )
    seen = window or problem.window
    if len(problem.starts[0]) != 2 or seen is None:
        raise ProblemError(
            f"explore: {name} has {len(problem.starts[0])} coordinates and the page shows two;"
            f" thalweg show draws the plane of its paths"
            if len(problem.starts[0]) != 2
            else f"explore: {name} has no window to show: give window="
        )
    return Subject(
        name,
        problem.title,
        problem.text,
        problem.objective.parameters,
        seen,
        problem.starts,
        problem.minima,
        problem.minimum,
        problem,
        python if python is not None else printed_lines(problem),
    )


def printed_lines(problem: FormulaProblem) -> list[str]:
    """Lines of Python that define the gradient of a landscape that has no name, printed from its formula."""
    printer = Printer(
        power="np.power({0}, {1})",
        functions={n: f"np.{n}({{0}})" for n in formulas.PRIMITIVES if n != "where"},
        prefix="",
    )
    formula = problem.objective.gradient_formula
    inputs = (*formula.inputs, *formula.scalars)
    source = function_source("slopes", printer, inputs, formula.body, (e for _, e in formula.outputs))
    lines = [*source.splitlines(), "", ""]
    if problem.data is None:
        return [*lines, "def gradient(w):", "    return np.array(slopes(*w), dtype=float)"]
    return [
        f"data = np.array({problem.data.tolist()!r})",
        *["", "", *lines, "def gradient(w):"],
        "    parts = (slopes(*w, *row) for row in data)",
        "    return np.mean([np.array(part, dtype=float) for part in parts], axis=0)",
    ]


# Formulas.


def require_formula(text: str) -> None:
    """HyperparameterError where a text is no formula of x and y as the page reads it."""
    where = f"explore {text if len(text) <= 60 else text[:57] + '...'!r}"
    if len(text) > LONGEST:
        raise HyperparameterError(
            f"explore: a formula may have {LONGEST} characters, this one has {len(text)}"
        )
    source = " ".join(_spelled(text).split()).replace("^", "**")
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise HyperparameterError(f"{where}: is no formula of x and y, such as 'x**2 + 10*y**2'") from None
    if isinstance(tree, ast.Name) and tree.id not in ("x", "y", *CONSTANTS):
        raise UnknownProblemError(
            f"unknown landscape {text!r}: {nearest(text, landscape_catalogue())}; or write a formula of x and y, or"
            " FILE.py:NAME"
        )
    compared = {
        id(n.args[0])
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and _name(n.func) == "where" and n.args
    }
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    for node in ast.walk(tree):
        problem = _fault(node, source, id(node) in compared, id(node) in called)
        if problem:
            raise HyperparameterError(f"{where}: {problem}")


# What books and word processors write, as the page reads it.
_SIGNS = str.maketrans(
    dict.fromkeys("×·⋅∗", "*") | dict.fromkeys("÷∕", "/") | dict.fromkeys("−–", "-")
    | {"≤": "<=", "≥": ">=", "≠": "!=", "π": " pi "}
)  # fmt: skip
_RAISED, _DIGITS = re.compile("⁻?[⁰¹²³⁴-⁹]+"), str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def _spelled(text: str) -> str:
    """Return a formula with its signs, raised numbers and ln as Python would have them."""
    raised = _RAISED.sub(lambda found: f"**({found[0].translate(_DIGITS)})", text)
    return re.sub(r"\bln\b", "log", raised.translate(_SIGNS))


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _fault(node: ast.AST, source: str, is_condition: bool, is_called: bool) -> str:
    """Why a node is no part of a formula; "" where it is."""
    match node:
        case ast.Name() if is_called:
            return "" if node.id in WORDS else f"{node.id} is no function: {nearest(node.id, WORDS)}"
        case ast.Name():
            known = ("x", "y", *CONSTANTS)
            return "" if node.id in known else f"{node.id} is neither x nor y; e and pi are known too"
        case ast.Constant():
            written = ast.get_source_segment(source, node) or ""
            return "" if _NUMBER.fullmatch(written) else f"{written} is no number of a formula"
        case ast.Call():
            wanted = WORDS.get(_name(node.func), len(node.args))
            return (
                f"{_name(node.func)} takes {wanted}, got {len(node.args)}"
                if len(node.args) != wanted or node.keywords
                else ""
            )
        case ast.Compare():
            return (
                ""
                if is_condition and len(node.ops) == 1
                else "a comparison stands only first inside where(...)"
            )
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
            return ""
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()) | ast.operator() | ast.unaryop() | ast.expr_context():
            return ""
        case ast.cmpop():
            return (
                ""
                if isinstance(node, ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.Eq | ast.NotEq)
                else "compare with < or >"
            )
    return "numbers, x, y, + - * / ** and functions make a formula"


def _typed(
    text: str,
    window: Window | None,
    start: Sequence[float] | None,
    names: tuple[str, ...] = ("x", "y"),
    title: str = "",
    about: str = "",
) -> Subject:
    if not title:
        require_formula(text)
    seen = window or ((-SIDE, SIDE), (-SIDE, SIDE))
    (x0, x1), (y0, y1) = seen
    begin = tuple(start) if start is not None else (x0 + 0.1 * (x1 - x0), y0 + 0.8 * (y1 - y0))
    if not title and window is None:
        return _subject_of(f"={text.strip()}", text, begin, seen, names, text, about)
    return _subject_of(title or text, title or text, begin, seen, names, text, about)


def _subject_of(
    name: str,
    title: str,
    start: tuple[float, ...],
    window: Window,
    names: tuple[str, ...],
    text: str,
    about: str,
) -> Subject:
    return Subject(
        name,
        title,
        about or "A function that was typed; its derivatives are taken symbolically.",
        names,
        window,
        [start],
        [],
        None,
        {"kind": "typed", "expression": text},
        [],
    )


def expression(formula: Formula) -> str:
    """A formula of one output as one expression that the page reads."""
    ((_, tree),) = formula.outputs
    whole = inlined((*formula.body, ("result", tree)), {})["result"]
    return ast.unparse(whole)


# Any other function.


def _of_function(
    function: Callable[..., Any],
    name: str,
    window: Window | None,
    start: Sequence[float] | None,
    *imports: str,
) -> Subject:
    if required(function) == 2:
        try:
            names = tuple(n for group in signature(function) for n in group)
            text = expression(lift(function))
        except (RuleError, AttributeError) as error:
            raise HyperparameterError(
                f"explore {name}: of two arguments it is read as a formula of them, and is none ({error});"
                " write f(w) of an array of two for any other function"
            ) from None
        foreign = [n for n in names if not n.isascii()]
        if foreign:
            raise HyperparameterError(
                f"explore {name}: the page reads names of the letters a to z and digits, not {foreign[0]}: rename it"
            )
        if len(text) > LONGEST * 5:
            raise HyperparameterError(
                f"explore {name}: its formula is too long; write f(w) of an array of two"
            )
        return _typed(
            text, window, start, names, name, "A formula in Python; its derivatives are taken symbolically."
        )
    python = [
        *imports,
        "",
        "",
        "def gradient(w):",
        '    """Central differences; the page interpolates between samples of them."""',
        "    steps = np.eye(2) * 6e-6 * np.maximum(1.0, np.abs(w))",
        "    return np.array([(f(w + s) - f(w - s)) / (2 * s.sum()) for s in steps])",
    ]
    return _sampled(FunctionProblem(function, start), name, window, start, python)


def _sampled(
    problem: FunctionProblem,
    name: str,
    window: Window | None,
    start: Sequence[float] | None,
    python: Sequence[str],
) -> Subject:
    begin = np.asarray(start if start is not None and not callable(start) else problem.start(0), dtype=float)
    if begin.shape != (2,):
        raise ProblemError(
            f"explore: {name} has {begin.size} unknowns and the page shows two; race it instead"
        )
    if problem.noisy:
        raise ProblemError(f"explore: {name} is noisy, and a page cannot draw from it; race it instead")
    reach = 1.5 * float(max(1.0, np.max(np.abs(begin))))
    seen = window or ((-reach, reach), (-reach, reach))
    clock = time.perf_counter()
    for _ in range(3):
        problem.loss(begin), problem.gradient(begin, None)
    each = (time.perf_counter() - clock) / 3
    size = next((n for n in SIZES if each * n * n <= PATIENCE), None)
    if size is None:
        raise ProblemError(
            f"explore: {name} takes {each:.2g} s a call, and the page needs {SIZES[-1] ** 2} of them; give a formula,"
            " or race it"
        )
    grids = (np.linspace(low, high, size) for low, high in seen)
    x, y = next(grids), next(grids)
    table = np.empty((3, size, size), dtype="<f4")
    with np.errstate(all="ignore"):
        for j in range(size):
            for i in range(size):
                w = np.array([x[i], y[j]])
                table[0, j, i] = problem.loss(w)
                table[1:, j, i] = problem.gradient(w, None)
    if not np.isfinite(table[0]).any():
        raise ProblemError(f"explore: {name} is nowhere finite in the window; give another window=")
    text = (
        f"A function in Python, sampled with its gradient at {size} × {size} points of this window and interpolated"
        " between them: paths are as good as that grid."
    )
    data = base64.b64encode(table.tobytes()).decode()
    return Subject(
        name,
        problem.title,
        text,
        ("x", "y"),
        seen,
        [tuple(map(float, begin))],
        [],
        None,
        {"kind": "sampled", "size": size, "data": data},
        python,
    )
