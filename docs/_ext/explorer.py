"""The explorer in a page, at a setting; one file for the whole site.

```{explorer}
:problem: ill-conditioned
:methods: SGD(lr=0.0196); SGD(lr=0.0204)
:start: 100, 1
:focus: SGD(lr=0.0204)
:step: 50
:curve: margin
:caption: On which side of its limit does a path turn outwards?
```

Methods are those of ``thalweg explore``; what is left out is the page's choice. ``{explorer} p=rosenbrock&o=Adam;SGD``
gives the page's own address instead. A wrong setting fails the build.
"""

from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import thalweg
from thalweg.errors import ThalwegError
from thalweg.lab.explorer import address

FILE = "_static/explorer.html"


def _point(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _methods(text: str) -> list[str]:
    return [part.strip() for part in text.split(";")]


class Explorer(SphinxDirective):
    """The explorer in a frame that is loaded when it comes into sight, and a link to it alone."""

    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {
        "problem": directives.unchanged_required,
        "methods": _methods,
        "start": _point,
        "steps": directives.positive_int,
        "focus": directives.unchanged_required,
        "step": directives.nonnegative_int,
        "curve": directives.unchanged_required,
        "beside": directives.unchanged_required,
        "caption": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        up = "../" * self.env.docname.count("/")
        options = dict(self.options)
        caption = options.pop("caption", "")
        if bool(self.arguments) == bool(options):
            raise self.error("explorer: give an address, or a problem and methods")
        there = escape(f"{up}{FILE}#{self.arguments[0] if self.arguments else self._address(options)}")
        words = f"<p>{escape(caption)}</p>\n" if caption else ""
        return [
            nodes.raw(
                "",
                f'{words}<iframe class="explorer" loading="lazy" title="Explorer" src="{there}"></iframe>\n'
                f'<p><a href="{there}">The explorer on a page of its own</a></p>',
                format="html",
            )
        ]

    def _address(self, options: dict[str, Any]) -> str:
        """The address of a setting; ``focus`` is one of the methods as they are written, the first without it."""
        if not {"problem", "methods"} <= options.keys():
            raise self.error("explorer: needs a problem and methods")
        methods, focus = options["methods"], options.pop("focus", None)
        if focus is not None and focus not in methods:
            raise self.error(f"explorer: focus {focus!r} is none of the methods {'; '.join(methods)}")
        try:
            return address(**options, focus=None if focus is None else methods.index(focus))
        except ThalwegError as error:
            raise self.error(str(error)) from None


def _write(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        thalweg.explore(out=Path(app.outdir) / FILE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.add_directive("explorer", Explorer)
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
