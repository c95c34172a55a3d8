"""What the explorer's page computes with, as JavaScript source: every rule in every dialect, landscapes, methods.

Rules and landscapes are printed from their formulas (``printing.javascript``); the rest is JSON. The page's
``web/src/types.ts`` says what each field is.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ... import rules
from ..._version import __version__
from ...core import clock as scalars
from ...core.line import Line
from ...core.rule import Rule, is_shipped
from ...core.schedule import Schedule
from ...printing import javascript
from ...problems.formula import FormulaProblem
from .. import methods as naming
from ..methods import Method
from ..pictures.style import Style, palette, styles
from ..record import softeners
from ..theory.freeze import frozen_formula
from .subject import Subject, python_lines


def plain(value: object) -> str:
    """Plain data as source that may stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def record(members: Mapping[str, str]) -> str:
    """The source of an object of which each member is source."""
    return "{" + ",".join(f"{plain(n)}:{source}" for n, source in members.items()) + "}"


def _line(name: str, line: Line) -> dict[str, object]:
    low, high = (None if math.isinf(v) else v for v in (line.low, line.high))
    return {
        "name": name,
        "low": low,
        "high": high,
        "open": [line.open_low, line.open_high],
        "unit": line.unit,
        "text": line.text,
    }


def _look(style: Style) -> dict[str, object]:
    dash = [] if isinstance(style.dash, str) else [round(1.6 * d, 1) for d in style.dash[1]]
    return {"light": palette("light")[style.stroke], "dark": palette("dark")[style.stroke], "dash": dash}


def _forms(kind: type[Rule]) -> dict[str, Rule]:
    """The rule's class as it stands, and in each dialect that is this class."""
    every = {"": kind()} | {d: kind.like(d) for d in kind.parts.dialects}
    return {d: rule for d, rule in every.items() if type(rule) is kind}


def _python(kind: type[Rule]) -> dict[str, str]:
    """How Python names a class of rules: the line that imports it, and the name."""
    name = kind.__name__
    if is_shipped(kind):
        return {"imports": "", "name": f"tw.{name}"}
    file, _, _ = naming.spelling(kind()).rpartition(":")
    if not file:  # a class that stands in no file: the reader has it
        return {"imports": f"# {name} is a rule of your own: import it here", "name": name}
    return {
        "imports": "from thalweg.core.saved_rule import class_from",
        "name": f"class_from({file!r}, {name!r})",
    }


def _rule(kind: type[Rule], style: Style) -> str:
    plain_rule = kind()
    forms = _forms(kind)
    clocks = {rule.dialect: javascript.clock(rule) for rule in forms.values()}
    names = scalars.names(plain_rule)
    dialects = {}
    for dialect, rule in forms.items():
        dialects[dialect] = {
            "clock": rule.dialect,
            "values": [rule.values[n] for n in (*kind.parts.hyperparameters, *kind.parts.states)],
            "pinned": list(kind.parts.dialects[dialect].pinned) if dialect else [],
        }
    return record(
        {
            "places": plain(javascript.layout(plain_rule)),
            "hyperparameters": plain(kind.parts.hyperparameters),
            "states": plain(kind.parts.states),
            "scalars": plain(names),
            "softeners": plain([names.index(n) for n in softeners(plain_rule)]),
            "lines": plain({n: _line(n, line) for n, line in kind.parts.lines.items()}),
            "dialects": plain(dialects),
            "clocks": record(clocks),
            "step": javascript.step(plain_rule),
            "frozen": _frozen(plain_rule, names),
            "look": plain(_look(style)),
            "python": plain(_python(kind)),
        }
    )


def _frozen(rule: Rule, scalars: Sequence[str]) -> str:
    """The step with its rate as an input, "null" where it is not linear then."""
    formula = frozen_formula(rule)
    if formula is None:
        return "null"
    return record(
        {
            "inputs": plain(formula.inputs),
            "outputs": plain([n for n, _ in formula.outputs]),
            "scalars": plain([scalars.index(n) if n in scalars else -1 for n in formula.scalars]),
            "step": javascript.formula(formula),
        }
    )


def _names(given: Iterable[Rule]) -> dict[type[Rule], str]:
    """The page's name of every class of rules, the library's first; a user's of a name that is taken gets a star."""
    names: dict[type[Rule], str] = {kind: n for n, kind in rules.shipped().items()}
    for kind in (type(r) for r in given):
        if kind not in names:
            name = kind.__name__
            while name in names.values():
                name += "*"
            names[kind] = name
    return names


def _landscape(problem: FormulaProblem, python: Sequence[str]) -> str:
    assert problem.window is not None
    rows: list[list[float]] = []
    if problem.data is not None:
        different, counts = np.unique(problem.data, axis=0, return_counts=True)
        rows = np.column_stack([different, counts]).tolist()
    printed = javascript.functions(problem.objective)
    surface = {
        "kind": plain("printed"),
        **{part: printed.get(part, "null") for part in ("value", "gradient", "hessian", "mean")},
        "rows": plain(rows),
        "python": plain(python),
    }
    return record(_described(problem.title, problem) | {"surface": record(surface)})


def _described(title: str, problem: "FormulaProblem | Subject") -> dict[str, str]:
    names = problem.names if isinstance(problem, Subject) else problem.objective.parameters
    return {
        "title": plain(title),
        "text": plain(problem.text),
        "names": plain(names),
        "window": plain(problem.window),
        "starts": plain(problem.starts),
        "minima": plain(problem.minima),
        "minimum": plain(problem.minimum),
    }


def _method(method: Method, is_open: bool, names: Mapping[type[Rule], str]) -> str:
    rule = method.rule
    values = dict(rule.values)
    schedules = {}
    for n, value in values.items():
        if isinstance(value, Schedule):
            code = naming.code(type(rule)(**{n: value}))
            imports = [line for line in code.imports if line != "import thalweg as tw"] if code else []
            schedules[n] = record(
                {
                    "at": javascript.schedule(value),
                    "text": plain(repr(value)),
                    "imports": plain("".join(imports)),
                }
            )
            values[n] = float(value(0))
    kind = type(rule)
    return record(
        {
            "rule": plain(names[kind]),
            "dialect": plain(dialect_of(method)),
            "values": plain([values[n] for n in (*kind.parts.hyperparameters, *kind.parts.states)]),
            "schedules": record(schedules),
            "open": plain(is_open),
        }
    )


def dialect_of(method: Method) -> str:
    """The dialect that a method was named in; of a rule that was given, the one whose clock it has."""
    _, tail, _ = rules.spelled(method.text)
    named = tail.rpartition(":")[2]
    return named if named in _forms(type(method.rule)) else method.rule.dialect


def data(
    subject: Subject,
    landscapes: Mapping[str, FormulaProblem],
    methods: Sequence[tuple[Method, bool]],
    steps: int,
    start: Sequence[float] | None,
) -> str:
    """Return the source of the page's data: an expression whose value is what ``types.ts`` calls ``Data``."""
    problems = {n: _landscape(p, python_lines(n)) for n, p in landscapes.items()}
    if isinstance(subject.surface, FormulaProblem):
        problems = {subject.name: _landscape(subject.surface, subject.python)} | problems
    else:
        surface = plain({**subject.surface, "python": subject.python})
        own = record(_described(subject.title, subject) | {"surface": surface})
        problems = {subject.name: own} | problems
    names = _names(m.rule for m, _ in methods)
    looks = styles(names.values())
    members = {
        "version": plain(__version__),
        "rules": record({n: _rule(kind, looks[n]) for kind, n in names.items()}),
        "problems": record(problems),
        "problem": plain(subject.name),
        "methods": "[" + ",".join(_method(m, is_open, names) for m, is_open in methods) + "]",
        "steps": plain(steps),
        "start": plain(None if start is None else list(start)),
    }
    return f"(() => {{\n{javascript.PRELUDE}return {record(members)};\n}})()"
