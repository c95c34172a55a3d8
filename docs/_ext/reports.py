"""Reports as the library writes them: run when the documentation is built, and again when what is asked here or the version has changed.

``{report} race`` shows one in a frame, and the gallery has a card for each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from matplotlib.figure import Figure
from pictures import STATIC, keep, written
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from thumbnails import THEMES, cropped

import thalweg as tw
from thalweg.lab.pictures.figure import figure
from thalweg.lab.pictures.race import loss_curves
from thalweg.lab.pictures.study import profile
from thalweg.lab.pictures.style import Colours, palette
from thalweg.lab.pictures.svg import drawing

METHODS = ["SGD", "Momentum", "Adagrad", "RMSprop", "Adam"]
Draw = Callable[[Colours], Figure]


def _race(page: Path) -> Draw:
    race = tw.race("rosenbrock", METHODS, trials=15, seeds=11, steps=500)
    race.save(page)
    return lambda colours: loss_curves.draw(race.data, colours, True)


def _study(page: Path) -> Draw:
    problems = ["rosenbrock", "beale", "booth", "himmelblau", "gutter", "six-hump-camel"]
    study = tw.study(problems, METHODS, trials=9, seeds=11, steps=300)
    study.save(page)
    return lambda colours: profile.draw(study.data, colours, True)


def _diff(page: Path) -> Draw:
    result = tw.diff("RMSprop:torch", "RMSprop:keras")
    result.save(page)
    return lambda colours: figure(result.picture, colours, narrow=True)


@dataclass(frozen=True)
class Report:
    """A kind of report: what it answers, the page that explains it, and what writes one and then draws its figure."""

    words: str
    page: str
    write: Callable[[Path], Draw]


REPORTS = {
    "race": Report("A race: which method works on a problem?", "race", _race),
    "study": Report("A study: which works on several?", "study", _study),
    "diff": Report("A diff: where do two dialects part?", "diff", _diff),
}


def file(name: str) -> str:
    """A report's page in the static files."""
    return f"reports/{name}.html"


class Shown(SphinxDirective):
    """``{report} NAME``: the report in a frame that is loaded when it comes into sight, and a link to it alone."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        address = f"{'../' * self.env.docname.count('/')}_static/{file(name)}"
        frame = (
            f'<iframe class="report" loading="lazy" title="{REPORTS[name].words}" src="{address}"></iframe>'
        )
        link = f'<p><a href="{address}">The report on a page of its own</a></p>'
        return [nodes.raw("", f"{frame}\n{link}", format="html")]


def write(name: str) -> None:
    """Write a report's page, and its thumbnails."""
    figure_in = REPORTS[name].write(STATIC / file(name))
    for theme in THEMES:
        with drawing():
            picture = cropped(figure_in(palette(theme)), palette(theme))
        written(f"thumbs/report-{name}-{theme}.png", picture)


def _write(app: Sphinx) -> None:
    (STATIC / "reports").mkdir(exist_ok=True)
    for name in REPORTS:
        keep(f"report-{name}", [tw.__version__.encode(), Path(__file__).read_bytes()], write, name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.add_directive("report", Shown)
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
