"""What is seen at an address of the explorer: ``{seen} p=gutter&n=300&o=Adagrad,lr=0.1;RMSprop,lr=0.1`` draws it.

The directive's content is the caption. A rule's page has the address of the ``Seen:`` line in the rule's file, so
that its picture and its explorer show the same; every method of such an address has its rate.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from docutils import nodes
from pictures import panels
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from thalweg.lab.evidence import use
from thalweg.lab.pictures.panels import Chart, Curve, Map, Path, Picture
from thalweg.lab.record import record
from thalweg.problems import landscape

POINTS = 161  # of the grid under the paths, each way
DEEPEST = 1e-12  # of the start's height: what is drawn


@dataclass(frozen=True)
class Setting:
    """What an address says: a landscape, methods with their settings, where and how long they run."""

    problem: str
    methods: tuple[tuple[str, dict[str, float]], ...]
    start: tuple[float, ...] | None
    steps: int


def setting(address: str) -> Setting:
    """Read an address; KeyError where it names no methods or steps."""
    fields = dict(part.split("=", 1) for part in address.split("&"))
    methods = []
    for method in fields["o"].split(";"):
        name, *values = method.split(",")
        methods.append((name, {n: float(v) for n, v in (value.split("=") for value in values)}))
    start = tuple(map(float, fields["x"].split(","))) if "x" in fields else None
    return Setting(fields["p"], tuple(methods), start, int(fields["n"]))


def _labels(methods: Sequence[tuple[str, dict[str, float]]]) -> tuple[list[str], str]:
    """What tells the methods apart, a label each, and what all have in common."""
    every = [set(values.items()) for _, values in methods]
    common = set.intersection(*every)
    labels = [
        ", ".join([name, *(f"{n} {v:g}" for n, v in values.items() if (n, v) not in common)])
        for name, values in methods
    ]
    return labels, ", ".join(f"{n} {v:g}" for n, v in methods[0][1].items() if (n, v) in common)


@lru_cache(maxsize=128)
def picture(address: str) -> Picture:
    """Return the paths of an address on their landscape, and their heights."""
    at = setting(address)
    p = landscape(at.problem)
    (x0, x1), (y0, y1) = p.window
    x, y = np.linspace(x0, x1, POINTS), np.linspace(y0, y1, POINTS)
    f = p.values(*np.meshgrid(x, y))
    floor = float(np.nanmin(f)) if p.minimum is None else p.minimum
    labels, common = _labels(at.methods)
    paths, curves, seen = [], [], Counter[str]()
    for label, (name, values) in zip(labels, at.methods, strict=True):
        run = record(use(name, **values), p, at.steps, start=at.start)
        paths.append(Path(run.weights, label, name, seen[name], run.died))
        curves.append(Curve(run.steps, run.loss - floor, label, name, seen[name], died=run.died))
        seen[name] += 1
    marks = [(*paths[0].points[0], "start"), *((*m, "minimum") for m in p.minima)]
    heights = (
        "Height above the minimum" if p.minimum is not None else "Height above the lowest value in sight"
    )
    first = float(curves[0].y[0])
    lowest = max(min(float(c.y[c.y > 0].min(initial=first)) for c in curves), DEEPEST * first)
    highest = max(float(c.y[np.isfinite(c.y)].max()) for c in curves)
    return Picture(
        [
            Map(p.title, *p.objective.parameters, (x, y, f), paths, marks),
            Chart(
                ", ".join(text for text in (heights, common) if text),
                "step",
                "f" if not floor else f"f {'+' if floor < 0 else '−'} {abs(floor):.4g}",
                curves,
                log="y",
                y_range=(0.5 * lowest, 2 * highest),
            ),
        ],
        f"Paths of {', '.join(labels)} on {p.title}, and their heights by step.",
        tuple(dict.fromkeys(path.method for path in paths)),
    )


class Seen(SphinxDirective):
    """``{seen} ADDRESS``: the picture of an address of the explorer, with its caption."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        address = self.arguments[0]
        drawn = nodes.raw("", panels(picture(address), f"p{zlib.crc32(address.encode()):x}"), format="html")
        caption = nodes.container("", *self.parse_content_to_nodes(), classes=["caption"])
        return [nodes.container("", drawn, caption, classes=["picture"])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.add_directive("seen", Seen)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
