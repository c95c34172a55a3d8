"""Pictures of what a page says in words: ``{drawing} NAME``, computed when the pages are read."""

from collections.abc import Callable

import numpy as np
from docutils import nodes
from pictures import panels
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import thalweg as tw
from thalweg.lab.pictures.panels import Chart, Curve, Picture

STEPS = 1000


def penalties() -> Picture:
    """How far Adagrad is from the least of loss plus penalty, by how it takes the penalty: the page's own example."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    y = x @ [1.0, -0.5, 0.02] + 0.1 * rng.standard_normal(200)
    alpha = 0.1
    ridge = np.linalg.solve(x.T @ x / 200 + alpha * np.eye(3), x.T @ y / 200)
    curves = []
    for decay in ("decoupled", "coupled", "proximal"):
        w = np.zeros(3)
        opt = tw.Adagrad(lr=0.5).on(w, weight_decay=alpha, decay=decay)
        away = [np.abs(w - ridge).max()]
        for _ in range(STEPS):
            opt.step(x.T @ (x @ w - y) / 200)
            away.append(np.abs(w - ridge).max())
        curves.append(Curve(np.arange(STEPS + 1), np.array(away), decay))
    chart = Chart(
        "From the least of loss plus penalty", "step", "largest distance, w", curves, "y", y_range=(1e-9, 2)
    )
    return Picture([chart], "Decoupled decay moves away again, coupled and proximal come to the least.")


DRAWINGS: dict[str, Callable[[], Picture]] = {"penalties": penalties}


class Drawing(SphinxDirective):
    """``{drawing} NAME``: one of DRAWINGS, with its caption."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        drawn = nodes.raw("", panels(DRAWINGS[name](), f"d-{name}"), format="html")
        caption = nodes.container("", *self.parse_content_to_nodes(), classes=["caption"])
        return [nodes.container("", drawn, caption, classes=["picture"])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
