"""Write into the documentation what is asserted of each door after its peer's own tests, and what differs.

    python -m tools.conformance

Read from the sources of ``tests/conformance/test_<peer>*.py``, without importing them: the names and first lines of
their tests go to docs/conformance.md, ``DIFFERENCES`` to the door's own page, each between two marks.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

from .pages import DOCS, ROOT, between, table

TESTS = ROOT / "tests" / "conformance"
LAWS, OTHERS = "laws", "differences"  # what stands between the marks


class Peer(NamedTuple):
    """Whose tests were read, the stem of the tests written after them, and what its column of a table is called."""

    title: str
    stem: str
    column: str

    @property
    def page(self) -> Path:
        return DOCS / f"{self.stem}.md"

    def modules(self) -> list[ast.Module]:
        """Return its tests, parsed: the file with ``DIFFERENCES`` first."""
        return [ast.parse(p.read_text(encoding="utf-8")) for p in sorted(TESTS.glob(f"test_{self.stem}*.py"))]


PEERS = (
    Peer("PyTorch", "torch", "torch"),
    Peer("Optax", "optax", "what"),
    Peer("SciPy", "scipy", "what"),
    Peer("scikit-learn", "sklearn", "what"),
)


def laws(modules: list[ast.Module]) -> list[tuple[str, str]]:
    """Return each test's name in words, and the first line of its docstring; not of tests of what differs."""
    tests = [n for m in modules for n in m.body if isinstance(n, ast.FunctionDef)]
    return [
        (_in_words(t.name), (ast.get_docstring(t) or "").partition("\n")[0])
        for t in tests
        if t.name.startswith("test_") and not re.search("^test_differences?_|_differ$", t.name)
    ]


def _in_words(name: str) -> str:
    return re.sub(r"\b(torch|optax)s\b", r"\1's", name.removeprefix("test_").replace("_", " "))


def differences(modules: list[ast.Module]) -> dict[str, str]:
    """Return ``DIFFERENCES`` of the one module that has them; ValueError where none has, or two."""
    values = [
        n.value
        for m in modules
        for n in m.body
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name) and n.target.id == "DIFFERENCES"
    ]
    (value,) = values
    assert value is not None
    return dict(ast.literal_eval(value))


def pages() -> dict[Path, str]:
    """Return the pages as they must be, by path."""
    written: dict[Path, str] = {}
    asserted = []
    for peer in PEERS:
        modules = peer.modules()
        differs = differences(modules)
        rows = table((peer.column, "here"), list(differs.items()), left=2)
        written[peer.page] = between(peer.page.read_text(encoding="utf-8"), OTHERS, "conformance", rows)
        told = [(name, what.replace("``", "`").replace("|", "\\|")) for name, what in laws(modules)]
        also = f"What differs, {len(differs)} rows with the reasons, stands in [its page]({peer.page.name})."
        asserted.append(f"## {peer.title}\n\n{also}\n\n{table(('asserted', 'that is'), told, left=2)}")
    page = DOCS / "conformance.md"
    written[page] = between(page.read_text(encoding="utf-8"), LAWS, "conformance", "\n\n".join(asserted))
    return written


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
