"""thalweg's docstrings as reStructuredText.

They are written to be read in a terminal: arguments stand as ``name: text`` in a paragraph, formulas
and code are indented, ``|g|`` is an absolute value. Here arguments become a list, indented blocks
literal blocks, errors links.
"""

import inspect
import re

from sphinx.application import Sphinx

from thalweg import errors

_ERRORS = [n for n, v in vars(errors).items() if inspect.isclass(v) and v.__module__ == errors.__name__]
_ERROR = re.compile(rf"(?<![\w.`])({'|'.join(sorted(_ERRORS, key=len, reverse=True))})\b(?!`)")
_CODE = re.compile(r"(``.+?``|`[^`]+?`_?)")


def _plain(text: str) -> str:
    """A paragraph with its stars and bars escaped and its errors linked, code left alone."""
    parts = _CODE.split(" ".join(text.split()))
    for k, part in enumerate(parts):
        if k % 2 == 0:
            part = re.sub(r"([*|])", r"\\\1", part)
            parts[k] = _ERROR.sub(r":class:`~thalweg.errors.\1`", part)
    return "".join(parts)


def _paragraph(text: str, names: list[str]) -> list[str]:
    if not names:
        return [_plain(text), ""]
    one = "|".join(map(re.escape, names))
    starts = re.compile(rf"(?:^|(?<=[.;] )|(?<=\n))((?:{one})(?:, (?:{one}))*): ")
    pieces = starts.split(text)
    out = [_plain(pieces[0]), ""] if pieces[0].strip() else []
    for who, what in zip(pieces[1::2], pieces[2::2], strict=True):
        names_shown = ", ".join(f"**{n}**" for n in who.split(", "))
        out.append(f"* {names_shown}: {_plain(what).strip().rstrip(';.')}.")
    return [*out, ""]


def rewritten(text: str, names: list[str]) -> list[str]:
    """A docstring as lines of reStructuredText; ``names`` are the arguments that it may explain."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if block.startswith("    "):
            out += ["::", "", *block.splitlines(), ""]
        else:
            out += _paragraph(block, names)
    return out


def _process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    names: list[str] = []
    if callable(obj):
        try:
            names = [n for n in inspect.signature(obj).parameters if n not in ("self", "cls")]
        except (TypeError, ValueError):
            names = []
    lines[:] = rewritten("\n".join(lines), names)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
