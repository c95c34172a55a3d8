"""The parts of pages that tools write: texts between two marks that name the tool, and tables of Markdown."""

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table of Markdown, all columns but the first few set to the right."""
    sides = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, sides, *rows))


def between(text: str, name: str, tool: str, new: str) -> str:
    """Return a page's text with ``new`` between the marks of a part; ValueError where these are not there once."""
    begin, end = f"<!-- {name}: written by python -m tools.{tool} -->", f"<!-- /{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{begin} ... {end} must stand there once")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{new}\n\n{end}{rest.partition(end)[2]}"


def write(path: Path, name: str, tool: str, new: str) -> None:
    """Put a text between the marks of a page's part; ValueError as of ``between``."""
    path.write_text(between(path.read_text(encoding="utf-8"), name, tool, new), encoding="utf-8")
