"""A page for each claim, written from what is stored of it, and the table of all claims with small pictures.

``docs/claims/claims.json`` has verdicts, numbers and the values that pictures are drawn from (``python -m tools.claims``
measures them); nothing is measured here. Lesson, formula, sources and what would refute a claim are its own file's. The pages in
``docs/claims/`` are generated.
"""

import json
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from html import escape
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from docutils import nodes
from pictures import panels, written
from rulepages import GENERATED, link, write_pages
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from thalweg.lab.claims import CHAPTERS, Claim, Result, catalogue
from thalweg.lab.mathematics import html
from thalweg.lab.pictures.looks import methods_of
from thalweg.lab.pictures.style import palette
from thalweg.lab.references import REFERENCES
from thalweg.lab.reports.claims import checks, conditions, evidence_in_words, mark, numbers, tally
from thalweg.rules import shipped

STORED = Path(__file__).parents[1] / "claims" / "claims.json"
# Where a landscape of two coordinates shows the claim: the explorer's setting, its question last.
DIALS = {
    "adadelta-path": (
        "neuron",
        "Adadelta; Adagrad(lr=0.1)",
        "-2, -2",
        "Move the start to -4, 4: how long does Adadelta stand still there?",
    ),
    "adadelta-settles": (
        "quadratic-2d",
        "Adadelta; RMSprop(lr=0.1)",
        None,
        "Which of the two comes to rest?",
    ),
    "adagrad-stalls": (
        "gutter",
        "Adagrad(lr=0.1); RMSprop(lr=0.1)",
        None,
        "Raise Adagrad's rate: from where on does it arrive first?",
    ),
    "rmsprop-oscillates": (
        "beale",
        "RMSprop(lr=0.1); RMSprop(lr=0.01)",
        None,
        "How wide is the swing at the end, in learning rates?",
    ),
    "momentum-accelerates": (
        "rosenbrock",
        "SGD; Momentum; Nesterov",
        None,
        "How many steps does each need at its best rate?",
    ),
    "adam-both": (
        "gutter",
        "Adam; Momentum; RMSprop; SGD",
        None,
        "Who is fast along the valley, and who calm across it?",
    ),
    "defaults-mislead": (
        "rosenbrock",
        "Adam(lr=0.001); Adam",
        None,
        "How far does the default come in 300 steps?",
    ),
    "eps-is-a-rate": (
        "neuron",
        "Adadelta(eps_v=1e-6, eps_u=1e-6); Adadelta(eps_v=1e-4, eps_u=1e-4)",
        "-2, -2",
        "Drag ε: is it a learning rate?",
    ),
    "delta-is-momentum": (
        "neuron",
        "Adadelta; Momentum",
        "-2, -2",
        "Which of the two runs on past the minimum?",
    ),
    "inclusion": (
        "rosenbrock",
        "Adam; Momentum",
        None,
        "Raise Adam's ε and its rate alike: whose path does it become?",
    ),
}


def stored() -> list[Result]:
    """The stored results, in the catalogue's order."""
    known = json.loads(STORED.read_text(encoding="utf-8"))["claims"]
    return [Result.restored({"id": n, **known[n]}) for n in catalogue() if n in known]


# Pictures.

DRAWN: dict[str, str] = {}


def _drawn(result: Result) -> str:
    """A result's picture as HTML, the same method in the same look in all its panels."""
    if result.picture is None:
        return ""
    return panels(replace(result.picture, methods=methods_of(result.picture)), result.id)


class ClaimPicture(SphinxDirective):
    """``{claim-picture} NAME``: the picture of a claim."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        return [
            nodes.container("", nodes.raw("", DRAWN[self.arguments[0]], format="html"), classes=["picture"])
        ]


def _small(drawing: str, theme: str) -> str:
    """The first panel of a drawing as a file of its own, in a theme's colours."""
    colours = palette(theme)
    panel = drawing[drawing.index("<svg") : drawing.index("</svg>") + len("</svg>")]
    text = re.sub(r"var\(--([\w-]+)\)", lambda hit: colours[hit[1]], panel)
    return text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


# Pages.


def _methods(claim: Claim, result: Result) -> list[str]:
    """The rules that its picture shows."""
    names = [] if result.picture is None else methods_of(result.picture)
    return [n for n in names if n in shipped()]


def page(result: Result) -> str:
    """One claim's page."""
    claim, evidence = result.claim, result.evidence
    out = [
        "---\nhide-toc: true\n---",
        f"# {claim.title}",
        f'<p class="verdict-line">{mark(result.verdict)}</p>',
    ]
    out += [_escaped(evidence.reading), f"```{{claim-picture}} {claim.id}\n```", f"$$\n{claim.formula}\n$$"]
    if evidence.conditions:
        out += ["## Under which conditions", *(f"- {_escaped(c)}" for c in evidence.conditions)]
    if claim.id in DIALS:
        problem, methods, start, question = DIALS[claim.id]
        at = f":start: {start}\n" if start else ""
        out += [
            "## Try it",
            f"```{{explorer}}\n:problem: {problem}\n:methods: {methods}\n{at}:caption: {question}\n```",
        ]
    out += [
        "## What was measured",
        _escaped(claim.measured),
        "## What would refute it",
        _escaped(claim.refuted),
    ]
    out.append(
        f'<details class="evidence"><summary>{evidence_in_words(result)}</summary>'
        f'<div class="findings">{numbers(result)}<div>{conditions(result)}{checks(result)}</div></div></details>'
    )
    out += ["## Source", _escaped(claim.source)]
    out += [
        f"- {_escaped(r.full)} {f'<{r.link}>' if r.link else 'Read in [The sources](/sources.md).'}"
        for r in claim.references
    ]
    out += ["## Run it", f"```console\n$ thalweg claims {claim.id} --out report\n```"]
    if names := _methods(claim, result):
        out.append(f"Methods in the picture: {', '.join(map(link, names))}.")
    return _joined(out)


def _joined(blocks: list[str]) -> str:
    """Blocks with an empty line between them, items of a list without."""
    text = blocks[0]
    for before, block in pairwise(blocks):
        text += ("\n" if before.startswith("- ") and block.startswith("- ") else "\n\n") + block
    return text + "\n"


def _escaped(text: str) -> str:
    """A sentence as MyST: what is not mathematics stands as it is."""
    parts = re.split(r"(\$[^$]+\$)", text)
    return "".join(p if k % 2 else re.sub(r"([*_<>\[\]`])", r"\\\1", p) for k, p in enumerate(parts))


def index() -> str:
    """All claims with verdicts and small pictures, chapter by chapter."""
    results = stored()
    out = [tally(results)]
    for chapter in CHAPTERS:
        cards = "".join(_card(r) for r in results if r.claim.chapter == chapter)
        out += [f"## {chapter}", f'<div class="cards">{cards}</div>']
    names = "\n".join(f"{r.id} <claims/{r.id}>" for r in results)  # lessons are too long for a sidebar
    return "\n\n".join([*out, f"```{{toctree}}\n:hidden:\n\n{names}\n```"])


def references() -> str:
    """The texts that claims cite, the four that stand behind the library first."""
    cited = {r: [c.id for c in catalogue().values() if r in c.references] for r in REFERENCES.values()}
    lines = []
    for short, reference in REFERENCES.items():
        where = f" <{reference.link}>" if reference.link else ""
        claims = ", ".join(f"[{name}](/claims/{name}.md)" for name in cited[reference])
        lines.append(f"*{short}*\n: {_escaped(reference.full)}{where}\n\n  Claims: {claims}")
    return "\n\n".join(lines)


def _card(result: Result) -> str:
    name = escape(result.id)
    pictures = "".join(
        f'<img class="only-{theme}" src="_static/claims/{name}-{theme}.svg" alt="" loading="lazy">'
        for theme in ("light", "dark")
    )
    return (
        f'<a class="card" href="claims/{name}.html">{pictures}'
        f"<span>{mark(result.verdict)}</span><span>{html(result.claim.title)}</span></a>"
    )


def _write(app: Sphinx) -> None:
    results = stored()
    with ProcessPoolExecutor(2, get_context("spawn")) as workers:
        DRAWN.update(zip([r.id for r in results], workers.map(_drawn, results), strict=True))
    for name, drawing in DRAWN.items():
        for theme in ("light", "dark"):
            written(f"claims/{name}-{theme}.svg", _small(drawing, theme).encode())
    write_pages(STORED.parent, {f"{r.id}.md": page(r) for r in results})


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    GENERATED["claims"] = index
    GENERATED["references"] = references
    app.connect("builder-inited", _write)
    app.add_directive("claim-picture", ClaimPicture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
