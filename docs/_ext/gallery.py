"""The gallery: ``{gallery} rules`` has a card for each rule, a small picture that leads to its page.

``landscapes`` leads to their page, and ``{landscapes}`` is that page's list: each with its picture, its numbers and
its place in the explorer.
"""

import inspect
import re
from html import escape
from pathlib import Path

import numpy as np
import thumbnails
from docutils import nodes
from explorer import FILE as EXPLORER
from pictures import keep
from reports import REPORTS
from rulepages import seen, title
from seen import picture
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from thumbnails import draw, image, of_landscape

from thalweg.problems import landscape_catalogue
from thalweg.problems import landscapes as landscapes_package
from thalweg.problems.formula import FormulaProblem
from thalweg.rules import shipped


def _card(page: str, small: str, name: str, words: str) -> str:
    """A card; a name such as RMSpropCentredMomentum may be broken before its capitals."""
    broken = re.sub(r"(?<=[a-z])(?=[A-Z])", "<wbr>", escape(name))
    return f'<a class="card" href="{page}" title="{escape(words)}">{small}<span>{broken}</span></a>'


def rules(root: str) -> list[str]:
    """A card for each rule, with what is seen at its telling start."""
    return [
        _card(f"{root}rules/{n}.html", image(root, f"rule-{n}"), n, title(kind))
        for n, kind in shipped().items()
    ]


def landscapes(root: str) -> list[str]:
    """A card for each landscape, with a path of Adam's."""
    return [
        _card(f"{root}landscapes.html#landscape-{n}", image(root, f"landscape-{n}"), n, make().text)
        for n, make in landscape_catalogue().items()
    ]


def reports(root: str) -> list[str]:
    """A card for each kind of report."""
    return [
        _card(f"{root}{report.page}.html", image(root, f"report-{n}"), report.words, report.words)
        for n, report in REPORTS.items()
    ]


GALLERIES = {"landscapes": landscapes, "reports": reports, "rules": rules}


def _numbers(p: FormulaProblem) -> list[str]:
    """The number of coordinates, the least value, and the condition of the Hessian at the first minimum."""
    facts = [f"{len(p.starts[0])} coordinates"]
    if p.minimum is not None:
        facts.append(f"minimum {p.minimum:.7g}")
    if p.minima and p.objective.hessian is not None:
        spectrum = np.linalg.eigvalsh(p.hessian(np.array(p.minima[0])))
        if np.all(np.isfinite(spectrum)) and spectrum[0] > 1e-9 * spectrum[-1]:
            facts.append(f"condition {spectrum[-1] / spectrum[0]:.3g}")
    return facts


def entry(root: str, name: str, p: FormulaProblem) -> str:
    """A landscape with its picture, in words and numbers."""
    small = image(root, f"landscape-{name}", escape(f"{p.title} from above, with a path of Adam"))
    if p.window is None:
        small = f"<span>{small}</span>"
    else:
        small = f'<a href="{root}{EXPLORER}#p={name}" title="Explore it">{small}</a>'
    return (
        f'<div class="landscape" id="landscape-{name}">{small}<div><b>{escape(p.title)}</b>'
        f" <code>{name}</code><p>{escape(p.text)}</p><p class='facts'>{', '.join(_numbers(p))}</p></div></div>"
    )


class Gallery(SphinxDirective):
    """``{gallery} NAME``: one of GALLERIES."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        cards = GALLERIES[self.arguments[0]]("../" * self.env.docname.count("/"))
        return [nodes.raw("", f'<div class="gallery">{"".join(cards)}</div>', format="html")]


class Landscapes(SphinxDirective):
    """``{landscapes}``: every landscape."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        root = "../" * self.env.docname.count("/")
        entries = (entry(root, n, make()) for n, make in landscape_catalogue().items())
        return [nodes.raw("", f'<div class="landscapes">{"".join(entries)}</div>', format="html")]


def draw_landscape(name: str) -> None:
    """Write the thumbnails of a landscape."""
    draw(f"landscape-{name}", of_landscape(landscape_catalogue()[name]()))


def draw_rule(name: str, address: str) -> None:
    """Write the thumbnails of a rule: what is seen of it at an address of the explorer."""
    draw(f"rule-{name}", picture(address))


def _draw(app: Sphinx) -> None:
    here = Path(thumbnails.__file__).read_bytes()
    formulas = [path.read_bytes() for path in sorted(Path(landscapes_package.__file__).parent.glob("*.py"))]
    for name in landscape_catalogue():
        keep(f"landscape-{name}", [here, *formulas], draw_landscape, name)
    for name, kind in shipped().items():
        address, source = seen(kind)[0], Path(inspect.getfile(kind)).read_bytes()
        keep(f"rule-{name}", [here, source], draw_rule, name, address)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.add_directive("gallery", Gallery)
    app.add_directive("landscapes", Landscapes)
    app.connect("builder-inited", _draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
