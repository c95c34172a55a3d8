"""What a formula may hold, and the one-line errors that say where it leaves the grammar."""

import ast
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import thalweg as tw
from thalweg.core import Rule, nonnegative
from thalweg.core import rule as recurrence
from thalweg.core.formula import lift
from thalweg.core.saved_rule import class_from
from thalweg.errors import HyperparameterError, RuleError
from thalweg.problems import landscape
from thalweg.rules import named

from ..strategies import RULES, every_form, form

HEAD = "from thalweg import Rule, Scalar, nonnegative, rule, state\nfrom thalweg.core import maximum, sqrt, where\n\n"

BROKEN = {
    "an if": ("if g > 0:\n        w = w - lr\n    return w", "`if` is not part of a formula: use where"),
    "a conditional": ("return w - (lr if g > 0 else 0.0)", "use where(c, a, b)"),
    "a loop": ("for i in g:\n        w = w\n    return w", "a loop is not part of a formula"),
    "and": ("return where(g > 0 and w > 0, w, g)", "where(...) begins with one comparison"),
    "a chain": ("return where(0 < g < 1, w, g)", "where(...) begins with one comparison"),
    "augmented": ("w -= lr * g\n    return w", "write `x = x + y`"),
    "an index": ("return w - lr * g[0]", "an index is not part of a formula"),
    "a dotted name": ("return w - lr * math.sqrt(g)", "a dotted name is not part of a formula"),
    "an unknown name": ("return w - rho * g", "'rho' is neither an argument nor assigned above"),
    "an unknown function": ("return w - lr * relu(g)", "'relu' is not a function of this file"),
    "an underscore": ("_x = g\n    return w - lr * _x", "names that begin with _ belong to printed code"),
    "a keyword": ("return w - lr * maximum(g, y=1)", "plain positional arguments"),
    "too few arguments": ("return w - lr * maximum(g)", "maximum takes 2 arguments, got 1"),
    "a string": ("return w - lr * 'g'", "is not a number of a formula"),
    "a bare comparison": ("return w - lr * (g > 0)", "stands only first inside where"),
    "no return": ("w = w - lr * g", "a formula ends in `return`"),
    "two values": ("return w, g", "returns 2 values, expected 1: w"),
    "floor division": ("return w // g", "is not part of a formula"),
}


def rule_file(folder: Path, body: str, name: str = "Mine", head: str = "def step(w, g, /, lr):") -> str:
    path = folder / f"{name.lower()}_rule.py"
    text = f"{HEAD}{head}\n    {body}\n\n\n@rule(step)\nclass {name}(Rule):\n"
    path.write_text(text + '    lr: Scalar = nonnegative(default=0.1, unit="w/g")\n')
    return str(path)


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_formula_names_file_line_and_remedy(what: str, tmp_path: Path) -> None:
    body, remedy = BROKEN[what]
    path = rule_file(tmp_path, body, name=f"Broken{list(BROKEN).index(what)}")
    kind = class_from(path, f"Broken{list(BROKEN).index(what)}")
    with pytest.raises(RuleError) as error:
        kind().step_formula  # noqa: B018
    told = str(error.value)
    assert remedy in told
    assert path in told
    assert "\n" not in told


@every_form
def test_every_formula_is_within_the_grammar(name: str, dialect: str) -> None:
    rule = form(name, dialect)
    assert rule.step_formula.outputs[0][0] == "w"
    rule.clock_formula  # noqa: B018
    if rule.parts.rate is not None:
        assert rule.parts.rate.__name__ in rule.step_formula.calls


def test_a_rule_without_a_source_file_is_told_so() -> None:
    space: dict[str, Any] = {}
    exec("def step(w, g, /, lr):\n    return w - lr * g\n", space)
    with pytest.raises(RuleError, match="put the rule in a file"):
        lift(space["step"])


PARTS = {
    "a state too many": ("def step(w, g, m, /, lr):\n    return w - lr * m, m\n", "the lines declare"),
    "not w, g": ("def step(x, g, /, lr):\n    return x - lr * g\n", "step begins with `w, g`"),
    "a lost scalar": (
        "def step(w, g, /, lr, take):\n    return w - lr * take * g\n",
        "neither a line of the rule nor given by its clock",
    ),
}


@pytest.mark.parametrize("what", PARTS)
def test_parts_that_disagree_are_named(what: str, tmp_path: Path) -> None:
    source, told = PARTS[what]
    name = f"Parts{list(PARTS).index(what)}"
    path = tmp_path / f"{name}.py"
    path.write_text(
        f"{HEAD}{source}\n\n@rule(step)\nclass {name}(Rule):\n    lr: Scalar = nonnegative(default=0.1, unit='w/g')\n"
    )
    with pytest.raises(tw.errors.ThalwegError, match=told):
        class_from(str(path), name)().clock_formula  # noqa: B018


def test_rate_must_be_called_by_step(tmp_path: Path) -> None:
    path = tmp_path / "drift.py"
    path.write_text(
        f"{HEAD}def rate(lr):\n    return lr\n\n\ndef step(w, g, /, lr):\n    return w - lr * g\n\n\n"
        "@rule(step, rate=rate)\nclass Drift(Rule):\n    lr: Scalar = nonnegative(default=0.1, unit='w/g')\n"
    )
    with pytest.raises(RuleError, match="step must call rate"):
        class_from(str(path), "Drift")().step_formula  # noqa: B018


@pytest.mark.parametrize("name", RULES)
def test_a_rule_file_is_short_and_holds_nothing_but_formulas(name: str) -> None:
    """Twenty to eighty lines beside its dialects and what it says in words; no `if`, no loop, no array."""
    path = Path(__import__(RULES[name].__module__, fromlist=["x"]).__file__)
    tree = ast.parse(path.read_text())
    banned = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Lambda)
    assert not [n for n in ast.walk(tree) if isinstance(n, banned)]
    tables = [n for n in tree.body if isinstance(n, ast.Assign) and "DIALECTS" in ast.unparse(n.targets[0])]
    in_tables = {k for n in tables if n.end_lineno for k in range(n.lineno, n.end_lineno + 1)}
    text = re.sub(
        r"^Intuition: .*?(?=^Units: )",
        lambda hit: "\n" * hit[0].count("\n"),
        path.read_text(),
        flags=re.M | re.S,
    )
    lines = enumerate(text.splitlines(), start=1)
    assert 20 <= len([k for k, line in lines if line.strip() and k not in in_tables]) <= 80
    assert len(in_tables) <= 16 * max(1, len(RULES[name].parts.dialects))


@pytest.mark.parametrize("name", RULES)
def test_lines_have_meaning_and_the_docstring_has_formula_units_source(name: str) -> None:
    rule = RULES[name]
    assert all(line.text for line in rule.parts.lines.values())
    doc = __import__(rule.__module__, fromlist=["x"]).__doc__
    assert "w_t = " in doc
    assert "Units:" in doc
    assert "Source:" in doc
    assert "Errors:" in doc
    assert doc == textwrap.dedent(doc)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_in_words_what_it_does_when_to_use_it_and_where_it_is_seen(name: str) -> None:
    """Three sentences, no formula; an address of the explorer at which the rule and others run at given rates."""
    doc = sys.modules[RULES[name].__module__].__doc__ or ""
    told = re.search(
        r"^Intuition: (.+)\nUse: (.+)\nAvoid: (.+)\nSeen: (\S+)\s(.+)\nUnits: ", doc, flags=re.M | re.S
    )
    assert told is not None
    intuition, use, avoid, address, seen = (" ".join(text.split()) for text in told.groups())
    assert len(re.findall(r"[.?!](?= [A-Z]|$)", intuition)) == 3
    for text in (intuition, use, avoid, seen):
        assert text[0].isupper()
        assert text.endswith(".")
        assert not re.search(r"[*^]|sqrt", text)
    fields = dict(field.split("=", 1) for field in address.split("&"))
    assert set("pno") <= fields.keys() <= set("pxnotfc")
    where = landscape(fields["p"])
    assert where.window is not None
    assert len(fields.get("x", "0,0").split(",")) == 2
    methods = [method.split(",") for method in fields["o"].split(";")]
    assert methods[0][0] == name
    assert len(methods) > 1
    for head, *values in methods:
        assert values[0].startswith("lr=")
        named(f"{head}({', '.join(values)})")


def test_a_users_rule_gets_every_engine_and_name(tmp_path: Path) -> None:
    """A file of ten lines: constructed, stepped, recorded, printed."""
    path = tmp_path / "signed.py"
    path.write_text(
        "from thalweg import Rule, Scalar, nonnegative, rule\nfrom thalweg.core import sign\n\n\n"
        "def step(w, g, /, lr):\n    return w - lr * sign(g)\n\n\n"
        "@rule(step)\nclass Signed(Rule):\n    lr: Scalar = nonnegative(default=0.5, unit='w')\n"
    )
    import numpy as np

    kind = class_from(str(path), "Signed")
    for engine in ("cpu", "plain"):
        w = np.array([1.0, 2.0, 3.0])
        kind().on(w, engine=engine).step(np.array([-2.0, 0.0, 5.0]))
        np.testing.assert_array_equal(w, [1.5, 2.0, 2.5])
    with pytest.raises(
        HyperparameterError, match=r"lr must be a number or a schedule in \[0, inf\), unit w; got -1"
    ):
        kind(lr=-1)


@pytest.mark.parametrize("line", ["w", "g", "t"])
def test_no_line_has_a_formulas_own_word(line: str) -> None:
    def step(w, g, /, lr):  # type: ignore[no-untyped-def]
        return w - lr * g

    lines = {
        line: nonnegative(default=0.1, unit="1"),
        "__annotations__": {line: float},
        "__module__": __name__,
    }
    with pytest.raises(RuleError, match=rf"Mine: no line may be called '{line}', which is .*; rename it$"):
        recurrence(step)(type("Mine", (Rule,), lines))
