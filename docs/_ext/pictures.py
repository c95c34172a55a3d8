"""Pictures in pages: drawn when the pages are built, in the colours of the reader's theme.

A panel is an SVG of its own, whose colours are CSS variables, so that panels stand side by side where there is
room and below one another where there is none. What is drawn as a file is kept in ``docs/_generated`` until what it is
drawn from changes; without that folder all is drawn anew, by processes of their own while the pages are read.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from html import escape
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from thalweg.lab.pictures.draw import svg
from thalweg.lab.pictures.panels import Picture
from thalweg.lab.pictures.style import palette

FOLDER = Path(__file__).parents[1] / "_generated"
STATIC = FOLDER / "static"
PROCESSES = 2


class _Drawing(NamedTuple):
    """What is to be drawn: its name, the hash of its sources, and the call that draws it, as another process can import it."""

    name: str
    key: str
    draw: Callable[..., None]
    arguments: tuple[object, ...]


_due: list[_Drawing] = []
_at_work: list[SpawnProcess] = []


def panels(picture: Picture, prefix: str) -> str:
    """Return a picture as HTML, one SVG a panel; ids begin with ``prefix``, which must be the picture's own on a page."""
    drawn = (
        svg(replace(picture, panels=[panel]), f"{prefix}-{k}", narrow=True)
        for k, panel in enumerate(picture.panels)
    )
    return f'<div class="panels" role="group" aria-label="{escape(picture.alt)}">{"".join(drawn)}</div>'


def _palettes() -> str:
    """Return the colours of both themes as furo's pages choose between them."""
    light, dark = ("".join(f"--{n}:{v};" for n, v in palette(t).items()) for t in ("light", "dark"))
    return (
        f"body{{{light}}}\n"
        f"@media not print{{body[data-theme=dark]{{{dark}}}\n"
        f"@media (prefers-color-scheme:dark){{body:not([data-theme=light]){{{dark}}}}}}}\n"
    )


def written(name: str, content: bytes) -> None:
    """Write a file for the pages' static files, unless it is there with the same content."""
    path = STATIC / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


def keep(name: str, sources: Iterable[bytes], draw: Callable[..., None], *arguments: object) -> None:
    """Have what has this name drawn until the pages are read, unless it was drawn from the same sources before.

    draw: a function of a module, called with ``arguments`` in another process.
    """
    key, noted = sha256(b"\0".join(sources)).hexdigest(), _noted(name)
    if not noted.exists() or noted.read_text() != key:
        _due.append(_Drawing(name, key, draw, arguments))


def _noted(name: str) -> Path:
    return FOLDER / "drawn" / name


def _draw(drawings: Iterable[_Drawing]) -> None:
    for name, key, draw, arguments in drawings:
        draw(*arguments)
        _noted(name).parent.mkdir(exist_ok=True)
        _noted(name).write_text(key)


def _start(app: Sphinx) -> None:
    context = get_context("spawn")
    for k in range(PROCESSES):
        if share := _due[k::PROCESSES]:
            process = context.Process(target=_draw, args=(share,))
            process.start()
            _at_work.append(process)
    _due.clear()


def _finish(app: Sphinx, env: BuildEnvironment) -> None:
    for process in _at_work:
        process.join()
    if any(process.exitcode for process in _at_work):
        raise ExtensionError("a picture could not be drawn: what its process wrote stands above")
    _at_work.clear()


def _write(app: Sphinx) -> None:
    written("palettes.css", _palettes().encode())


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    STATIC.mkdir(parents=True, exist_ok=True)  # before the configuration is looked at
    app.connect("builder-inited", _write, priority=400)
    app.connect("builder-inited", _start, priority=600)  # what the other extensions have asked for by then
    app.connect("env-updated", _finish)
    app.add_css_file("palettes.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
