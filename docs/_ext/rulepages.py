"""A page for each rule, written from the rule itself; and tables that other pages show.

No list of rules stands here: ``thalweg.rules.shipped()`` finds them. ``docs/rules/`` is generated.
The directive ``{generated} dialects`` puts what a function below returns, as MyST, into a page.
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from thalweg import problems
from thalweg.core.dialect import Row
from thalweg.core.formula import Function
from thalweg.core.gain import lacks_gain
from thalweg.core.pieces import rate_itself
from thalweg.core.rule import Rule
from thalweg.core.rule_parts import RuleParts
from thalweg.printing.latex import LATEX, display, expression
from thalweg.rules import shipped

Kind = type[Rule]
LABELS = ("Intuition", "Use", "Avoid", "Seen", "Units", "Source", "Errors")  # of a docstring's sentences
_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def unit(text: str) -> str:
    """A unit as it is printed: g^2 as g²; one without dimension as 1."""
    return re.sub(r"\^(-?\d+)", lambda m: m[1].translate(_POWERS), text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in row)} |" for row in lines)


def code(text: str) -> str:
    """Text in code type; nothing for nothing."""
    return f"`{text}`" if text else ""


def link(name: str) -> str:
    """A link to a rule's page, from any folder."""
    return f"[{name}](/rules/{name}.md)"


def claim(name: str, title: str) -> str:
    """A claim, as a link to its page."""
    return f"[{_prose(title)}](/claims/{name}.md) (`{name}`)"


def value(x: object) -> str:
    """A number as one types it."""
    return f"{x:g}" if isinstance(x, int | float) else repr(x)


# A rule's docstring.


def blocks(kind: Kind) -> list[str]:
    """The paragraphs of the docstring at the head of a rule's file."""
    doc = inspect.cleandoc(sys.modules[kind.__module__].__doc__ or kind.__doc__ or kind.__name__)
    return re.split(r"\n\s*\n", doc)


def title(kind: Kind) -> str:
    """What a rule is, in one sentence."""
    first = " ".join(blocks(kind)[0].split())
    text = (first.partition(": ")[2] if first.startswith(f"{kind.__name__}: ") else first) or first
    return text[0].upper() + text[1:]


def sections(kind: Kind) -> dict[str, str]:
    """The labelled sentences at the end of the docstring, and the rest as "", as Markdown."""
    return {n: _prose(text) for n, text in _sections(kind).items()}


def seen(kind: Kind) -> tuple[str, str]:
    """Where in the explorer a rule shows what is its own, an address, and in words what is seen there."""
    address, words = _sections(kind)["Seen"].split(maxsplit=1)
    return address, _prose(" ".join(words.split()))


def _sections(kind: Kind) -> dict[str, str]:
    texts = {"": ""}
    label = ""
    for block in blocks(kind)[1:]:
        if block.startswith("    "):
            texts[""] += f"\n\n```text\n{inspect.cleandoc(block)}\n```\n\n"
            label = ""
            continue
        for line in block.splitlines():
            match = re.match(rf"({'|'.join(LABELS)}): (.*)", line)
            label, line = (match[1], match[2]) if match else (label, line)
            texts[label] = f"{texts.get(label, '')}{line}\n"
    return texts


def _prose(text: str) -> str:
    """Docstring prose as Markdown: ``code``, $mathematics$ and formulas' stars survive, errors become links."""
    parts = re.split(r"(```text.*?```|``.+?``|\$[^$]+\$)", text.strip(), flags=re.DOTALL)
    for k, part in enumerate(parts):
        if k % 2 == 0:
            part = re.sub(r"([*_])", r"\\\1", part)
            parts[k] = re.sub(r"\b([A-Z]\w+Error)\b", r"{py:class}`~thalweg.errors.\1`", part)
    return "".join(parts)


def formula(rule: Kind | Rule) -> str:
    """The printed formula of a rule or of all its lines, as MyST."""
    return f"```{{math}}\n{display(rule).strip().strip('$').strip()}\n```"


# Tables of a rule.


def lines_table(kind: Kind) -> str:
    """Every hyperparameter and state of a rule."""
    rows = []
    for n, line in kind.parts.lines.items():
        symbol = LATEX.symbol(n) if n in LATEX.names or len(n) == 1 else ""
        rows.append(
            [
                code(n),
                f"${symbol}$" if symbol else "",
                line.text,
                value(line.default),
                line.range,
                unit(line.unit),
                "state" if line.is_state else "hyperparameter",
            ]
        )
    return table(["name", "symbol", "meaning", "default", "range", "unit", "kind"], rows)


def arguments(row: Row) -> str:
    """What a dialect's arguments set."""
    remarks = [
        f"`{n}` sets {' and '.join(map(code, (target,) if isinstance(target, str) else target))}"
        if n != target
        else f"`{n}`"
        for n, target in row.names.items()
    ]
    remarks += [f"`{n}` wraps `lr` in `{ramp.__name__}`" for n, ramp in row.ramps.items()]
    remarks += [f"{' + '.join(map(code, on))} gives {link(member)}" for on, member in row.members.items()]
    return "; ".join(remarks)


def differing(kind: Kind, row: Row) -> str:
    """The values in which a dialect differs from the rule's own defaults, held lines apart."""
    lines = kind.parts.lines
    return ", ".join(
        f"`{n}={value(v)}`" for n, v in row.values.items() if n not in row.pinned and v != lines[n].default
    )


def held(row: Row) -> str:
    """The lines that a dialect does not have."""
    return ", ".join(f"`{n}={value(v)}`" for n, v in row.pinned.items())


def note(row: Row) -> str:
    """A dialect's note, and its own clock."""
    own = f"its own clock, `{row.clock.__name__}`" if row.clock is not None else ""
    return "; ".join(x for x in (row.note, own) if x)


def dialects_table(kind: Kind) -> str:
    """Every dialect of a rule."""
    rows = [
        [f"{code(n)} {row.version}".strip(), arguments(row), differing(kind, row), held(row), note(row)]
        for n, row in kind.parts.dialects.items()
    ]
    return table(["dialect, version", "arguments", "values that differ", "held lines", "note"], rows)


# Pages.


def _uncapped(function: Function) -> str:
    """A function's docstring as the rest of a sentence."""
    doc = " ".join((inspect.getdoc(function) or "what it returned.").split())
    return doc[0].lower() + doc[1:]


def _item(text: str) -> str:
    """A section's text as an item of a list of definitions."""
    text = " ".join(text.split())
    return text[0].lower() + text[1:] if text[1:2].islower() else text


def _typeset(text: str) -> str:
    """A sentence with the ``expressions`` in it as mathematics."""
    return re.sub("``(.+?)``", lambda part: f"${expression(part[1])}$", text)


def _gain(rule_parts: RuleParts) -> str:
    """What a rule's gain is, by which ``decay="proximal"`` takes its penalty."""
    if lacks_gain(rule_parts):
        return 'It has no gain: `decay="proximal"` is refused.'
    formula = rule_parts.gain
    if formula is None or formula is rate_itself:
        return "Its gain, the factor on a constant gradient, is that rate."
    body = inspect.getsource(formula).rpartition("return ")[2].strip()
    why = _typeset(_uncapped(formula))
    return f"Its gain, the factor on a constant gradient, is ${expression(body)}$: {_prose(why)}"


@cache
def _words_of_claims() -> list[tuple[str, str, frozenset[str]]]:
    """Every claim's name and title, and what its file's texts begin with: among it the names of the rules it uses."""
    from thalweg.lab.claims import catalogue as known

    def words(experiment: Callable[..., object]) -> frozenset[str]:
        tree = ast.parse(Path(inspect.getfile(experiment)).read_text(encoding="utf-8"))
        texts = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        return frozenset(re.split("[:(]", text, maxsplit=1)[0] for text in texts)

    return [(c.id, c.title, words(c.experiment)) for c in known().values()]


def measured(name: str) -> list[tuple[str, str]]:
    """The claims whose experiments use a rule: names and titles."""
    return [(claim, text) for claim, text, words in _words_of_claims() if name in words]


def page(kind: Kind) -> str:
    """One rule's page."""
    name, texts = kind.__name__, sections(kind)
    rule_parts = kind.parts
    address, caption = seen(kind)
    out = [f"# {name}", title(kind), texts["Intuition"]]
    out.append(f"```{{seen}} {address}\n{caption}\n```")
    out += ["## When to use it", f"Use it\n: {_item(texts['Use'])}", f"Avoid it\n: {_item(texts['Avoid'])}"]
    out += ["## Formula", formula(kind)]
    if rule_parts.rate is not None:
        doc = _uncapped(rule_parts.rate)
        doc = f"the {doc}" if doc.startswith("effective") else doc
        out.append(f"`opt.rates()` shows, for the last step, {_prose(_typeset(doc))}")
    out.append(_gain(rule_parts))
    if texts.get(""):
        out += ["As the head of the rule's file writes it:", texts[""]]
    out += ["## In motion", f"```{{explorer}} {address}\n```"]
    out.append(
        "Drag the start, move the rate: the page computes with this very formula. [More](/explore.md)."
    )
    out += ["## Lines", lines_table(kind)]
    out.append("A hyperparameter takes a number or a schedule. A state's line is where that state starts.")
    if texts.get("Units"):
        out.append(f"Units: {unit(texts['Units'])}")
    for both, targets in rule_parts.aliases.items():
        out.append(f"`{both}=` sets {' and '.join(map(code, targets))} together.")
    if rule_parts.dialects:
        some = next(
            (n for n in ("keras", "torch") if n in rule_parts.dialects), next(iter(rule_parts.dialects))
        )
        out += ["## Dialects", dialects_table(kind)]
        out.append(
            f"`{name}.like({some!r})` is this rule with that row's values; see [Dialects](/dialects.md)."
            " Every line that a row does not name has the rule's own default."
        )
        clocks: dict[Function, list[str]] = {}
        for n, row in rule_parts.dialects.items():
            if row.clock is not None:
                clocks.setdefault(row.clock, []).append(n)
        for clock, names in clocks.items():
            doc = _prose(" ".join((inspect.getdoc(clock) or "").split()))
            sentence = f"With the clock `{clock.__name__}` ({', '.join(map(code, names))}). {doc}".strip()
            out += [sentence, formula(kind.like(names[0]))]
    if rule_parts.idle is not None:
        out += [
            "## While no gradient comes",
            _prose(" ".join((inspect.getdoc(rule_parts.idle) or "").split())),
        ]
    if claims := measured(name):
        out += ["## What is said of it, measured", "\n".join(f"- {claim(*each)}" for each in claims)]
    for label in ("Source", "Errors"):
        if texts.get(label):
            text = texts[label].replace("on its line below", "on its line")
            out += [f"## {label}", text[0].upper() + text[1:]]
    out += ["## Reference", f"```{{eval-rst}}\n.. autoclass:: thalweg.{name}\n   :no-members:\n```"]
    return "\n\n".join(out) + "\n"


def index() -> str:
    """One row for each rule, and the pages' table of contents."""
    rows = []
    for n, kind in shipped().items():
        lines, dialects = kind.parts.hyperparameters, kind.parts.dialects
        rows.append([link(n), title(kind), " ".join(map(code, lines)), " ".join(map(code, dialects))])
    listing = "\n".join(shipped())
    return (
        "# Rules\n\nEvery rule is one file, and every page here is written from that file when the"
        " documentation is built.\nThe command `thalweg rules` prints the same table;"
        " `thalweg rules Adam` prints one rule.\n\n"
        f"{table(['rule', 'what it is', 'hyperparameters', 'dialects'], rows)}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{listing}\n```\n"
    )


def write_pages(folder: Path, wanted: Mapping[str, str]) -> None:
    """Have a folder hold these pages, by file name, and no others; those that are there with the same text are left alone."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _write(app: Sphinx) -> None:
    pages = {"index.md": index(), **{f"{n}.md": page(k) for n, k in shipped().items()}}
    write_pages(Path(app.srcdir) / "rules", pages)


# What other pages show.


def epsilons() -> str:
    """Where the libraries and texts put epsilon in each rule, and what they start with."""
    out = []
    for n, kind in shipped().items():
        if len(kind.parts.dialects) > 1:
            out += [f"### {link(n)}", dialects_table(kind)]
    return "\n\n".join(out)


def catalogue() -> str:
    """The problems by name."""
    rows = []
    for n, make in problems.catalogue().items():
        p = make()
        rows.append([code(n), p.title, p.text])
    return table(["name", "title", "what it is"], rows)


def race_options() -> str:
    """The options of ``thalweg race``."""
    from typer.core import TyperGroup
    from typer.main import get_command

    from thalweg.cli.program import app

    commands = get_command(app)
    assert isinstance(commands, TyperGroup)
    options = commands.commands["race"].params
    rows = [
        [
            code(p.opts[0]) if p.param_type_name == "option" else code("PROBLEM"),
            getattr(p, "help", "") or "",
            "" if p.default is None or p.default is False else code(str(p.default)),
        ]
        for p in options
        if p.name != "help"
    ]
    return table(["option", "meaning", "default"], rows)


def kernel() -> str:
    """The printed update of Adagrad for float32."""
    import numpy as np

    from thalweg.core import clock as scalars
    from thalweg.core import update as compose
    from thalweg.engines.cpu.dense_text import printed

    rule = shipped()["Adagrad"]()
    source = printed(compose.update(rule, known=scalars.known(rule)), np.dtype(np.float32))
    body = source[source.index("def update") : source.index("def kernel")].rstrip()
    return f"```python3\n{body}\n```"


def decisions() -> str:
    """The records in ``docs/adr``, if there are any (an empty glob is a warning)."""
    written = any((Path(__file__).parents[1] / "adr").glob("*.md"))
    return (
        "```{toctree}\n:glob:\n:maxdepth: 1\n\nadr/*\n```" if written else "None has been written down yet."
    )


GENERATED: dict[str, Callable[[], str]] = {
    "decisions": decisions,
    "dialects": epsilons,
    "problems": catalogue,
    "race-options": race_options,
    "kernel": kernel,
    "rules": lambda: table(["rule", "what it is"], [[link(n), title(k)] for n, k in shipped().items()]),
}


class Generated(SphinxDirective):
    """``{generated} name``: what the function of that name returns, read as MyST."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = GENERATED[self.arguments[0]]()
        self.env.note_reread()
        lines = StringList(text.splitlines(), f"<generated {self.arguments[0]}>")
        return self.parse_text_to_nodes(lines, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.connect("builder-inited", _write)
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
