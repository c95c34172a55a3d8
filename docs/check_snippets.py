"""Runs what the pages show.

    python docs/check_snippets.py [page.md ...]

All ``python`` blocks of a page run in order in one namespace, in an empty temporary folder. A
``{code-block} python`` with ``:caption: name.py`` is written into that folder instead, to be imported.
A ``text`` block directly after a ``python`` block must be what the latter printed. Exit status 1 if
any page fails.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
FENCE = re.compile(
    r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL
)


def run(page: Path) -> int:
    """Run one page's blocks; how many there were. Raises on the first that fails."""
    text = page.read_text(encoding="utf-8")
    space: dict[str, object] = {"__name__": "__snippets__"}
    count, printed, end = 0, None, 0
    for match in FENCE.finditer(text):
        info, body = match["info"].strip(), match["body"]
        line = text.count("\n", 0, match.start()) + 1
        caption = re.match(r":caption: (\S+\.py)\n\s*\n?", body)
        if info == "{code-block} python" and caption:
            Path(caption[1]).write_text(body[caption.end() :], encoding="utf-8")
            printed = None
        elif info == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile("\n" * line + body, str(page), "exec"), space)
            count, printed = count + 1, out.getvalue()
        elif (
            info == "text"
            and printed is not None
            and not text[end : match.start()].strip()
        ):
            if printed.split() != body.split():
                told = f"the page shows\n{body}\nthe code printed\n{printed}"
                raise AssertionError(f"{page.name}:{line}: {told}")
            printed = None
        else:
            printed = None
        end = match.end()
    return count


def main(names: list[str]) -> int:
    """Run the pages named, or all; the number that failed."""
    pages = [Path(n).resolve() for n in names] or sorted(HERE.glob("*.md"))
    failed = 0
    for page in pages:
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            sys.path.insert(0, folder)
            try:
                count = run(page)
                print(f"{page.name}: {count} blocks run")
            except (
                Exception
            ):  # whatever a page raises is its failure; the other pages still run
                failed += 1
                print(f"{page.name}: FAILED\n{traceback.format_exc()}", file=sys.stderr)
            finally:
                sys.path.remove(folder)
                os.chdir(before)
    return failed


if __name__ == "__main__":
    raise SystemExit(min(main(sys.argv[1:]), 1))
