"""The explorer in a page: ``{explorer} p=rosenbrock&o=Adam;SGD`` shows it at that address; one file for the whole site."""

from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import thalweg

FILE = "_static/explorer.html"


class Explorer(SphinxDirective):
    """``{explorer} ADDRESS``: the explorer in a frame that is loaded when it comes into sight, and a link to it alone."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        up = "../" * self.env.docname.count("/")
        address = escape(f"{up}{FILE}#{self.arguments[0]}")
        return [
            nodes.raw(
                "",
                f'<iframe class="explorer" loading="lazy" title="Explorer" src="{address}"></iframe>\n'
                f'<p><a href="{address}">The explorer on a page of its own</a></p>',
                format="html",
            )
        ]


def _write(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        thalweg.explore(out=Path(app.outdir) / FILE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.add_directive("explorer", Explorer)
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
