"""Reports as the library writes them: run when the documentation is built, and again when what is asked here or the version has changed.

That of a fit is written from the numbers of a stored one: ``thalweg fit --json docs/fit.json`` on the data of its page.

``{report} race`` shows one in a frame, and the gallery has a card for each.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from claimpages import STORED, stored
from docutils import nodes
from matplotlib.figure import Figure
from pictures import STATIC, keep, written
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from thumbnails import THEMES, cropped

import thalweg as tw
from thalweg.lab.pictures.figure import figure
from thalweg.lab.pictures.panels import Picture
from thalweg.lab.pictures.race import loss_curves
from thalweg.lab.pictures.study import profile
from thalweg.lab.pictures.style import Colours, palette
from thalweg.lab.pictures.svg import drawing
from thalweg.lab.reports import fit as fit_report
from thalweg.lab.reports import watch as watch_report

METHODS = ["SGD", "Momentum", "Adagrad", "RMSprop", "Adam"]
FIT = Path(__file__).parents[1] / "fit.json"
COMMAND = "thalweg fit reviews.vw --model reviews.tw --passes 2"  # what wrote it
SHOWN = "defaults-mislead"  # the claim whose picture is on the claims' card
Draw = Callable[[Colours], Figure]


def _drawn(picture: Picture) -> Draw:
    return lambda colours: figure(picture, colours, narrow=True)


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
    return _drawn(result.picture)


def _fit(page: Path) -> Draw:
    fit = json.loads(FIT.read_text(encoding="utf-8"))
    page.write_text(fit_report.render(fit, COMMAND), encoding="utf-8")
    _, picture, _ = fit_report.calibration(fit)
    return _drawn(picture)


def _watch(page: Path) -> Draw:
    """A small network whose first layer gets gradients below Adam's ε, so that there is something to tell."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 20))
    y = np.tanh(x[:, 0] - x[:, 1])
    w = {
        "inner.weight": 0.2 * rng.standard_normal((20, 16)),
        "inner.bias": np.zeros(16),
        "outer.weight": 0.2 * rng.standard_normal(16),
    }
    opt = tw.Adam(lr=0.002, eps=0.01).on(w)
    with tw.watch(opt, every=60, out=None) as seen:  # as asked for sixteen looks
        for _ in range(1000):
            rows = rng.integers(0, 256, 64)
            hidden = np.tanh(x[rows] @ w["inner.weight"] + w["inner.bias"])
            off = (hidden @ w["outer.weight"] - y[rows]) / 64
            back = np.outer(off, w["outer.weight"]) * (1 - hidden**2)
            opt.step(
                {
                    "inner.weight": x[rows].T @ back,
                    "inner.bias": back.sum(0),
                    "outer.weight": hidden.T @ off,
                }
            )
            seen(32 * float(off @ off))
    seen.save(page)
    return _drawn(watch_report.pictures(seen.seen)["rate"])


def _claims(page: Path) -> Draw:
    """Claims have pages of their own: only a figure."""
    (result,) = (r for r in stored() if r.id == SHOWN)
    return _drawn(result.picture)


@dataclass(frozen=True)
class Report:
    """A kind of report: what it answers, the page that explains it, what writes one and then draws its figure, and from which files."""

    words: str
    page: str
    write: Callable[[Path], Draw]
    sources: Sequence[Path] = ()


REPORTS = {
    "race": Report("A race: which method works on a problem?", "race", _race),
    "study": Report("A study: which works on several?", "study", _study),
    "diff": Report("A diff: where do two dialects part?", "diff", _diff),
    "fit": Report("A fit: how good is a model of a file, and what does it go by?", "fit", _fit, [FIT]),
    "watch": Report("A watched run: what is the optimizer doing in a training?", "watch", _watch),
    "claims": Report("The claims: what is true of what texts say?", "claims", _claims, [STORED]),
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
    for name, report in REPORTS.items():
        sources = [Path(__file__), *report.sources]
        keep(
            f"report-{name}", [tw.__version__.encode(), *(path.read_bytes() for path in sources)], write, name
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.add_directive("report", Shown)
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
