"""The documentation's code runs, and README says what is true."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from thalweg.cli.program import app

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_every_block_of_the_documentation_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "check_snippets.py")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readmes_examples_run(tmp_path: Path) -> None:
    """One after the other; the first ends at the minimum of Rosenbrock's function."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    end = [float(x) for x in re.findall(r"[\d.]+", done.stdout.partition("]")[0])]
    assert len(end) == 2 and all(abs(x - 1) < 0.05 for x in end), done.stdout


def test_readme_has_two_set_up_commands() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert [b.strip() for b in blocks] == [
        "pip install '.[lab]' && thalweg race digits",
        "pip install -e '.[test]' && pytest",
    ]
    assert "pip install -e '.[test]' && pytest" in (ROOT / "README.md").read_text()


def shown_commands() -> Iterator[tuple[str, str, list[str]]]:
    """The page, the command and the options of each ``thalweg COMMAND ...`` that README or a page shows as code."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        blocks = [body for _, body in re.findall(r"^```([^\n`]*)\n(.*?)^```", text, flags=re.S | re.M)]
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        for code in (*re.findall(r"`(thalweg [^`\n]+)`", text), *lines):
            for command, rest in re.findall(r"(?:^|&& |\$ )thalweg +([a-z]+)\b([^|;&]*)", code):
                yield page.name, command, re.findall(r"(?<!\S)--?[a-zA-Z][\w-]*", rest)


def test_commands_of_the_pages_have_their_options() -> None:
    """What a page tells people to type is no error of usage."""
    known = {
        name: {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
        for name, command in get_command(app).commands.items()  # type: ignore[attr-defined]
    }
    shown = list(shown_commands())
    assert {command for _, command, _ in shown} == set(known)
    odd = [(page, c, o) for page, c, options in shown for o in options if o not in known[c]]
    assert odd == []


def test_decisions_are_numbered() -> None:
    """One number each, said in the file's name and in its heading; at most forty lines."""
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    for number, record in enumerate(records, 1):
        assert record.name.startswith(f"{number:04}-")
        lines = record.read_text().splitlines()
        assert lines[0].startswith(f"# {number}. ")
        assert len(lines) <= 40


def test_pages_of_rules_typeset_what_is_said_of_rates_and_gains() -> None:
    """Powers and products in sentences are mathematics, not what one types."""
    from thalweg.rules import shipped

    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        import rulepages  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    typed = []
    for kind in shipped().values():
        said = [
            line
            for line in rulepages.page(kind).splitlines()
            if line.startswith(("`opt.rates()`", "Its gain"))
        ]
        for line in said:
            prose = re.sub(r"\$[^$]+\$", "", line).replace("w/g", "")
            typed += [f"{kind.__name__}: {line}"] if re.search(r"\*|\^|/\s?\(|\w\s?/", prose) else []
    assert typed == []


def test_code_is_as_wide_as_the_page() -> None:
    """Lines are not cut: a page holds 88 characters of code beside its list of pages."""
    wide = []
    docs = ROOT / "docs"
    for page in (*sorted(docs.glob("*.md")), *sorted((docs / "tutorials").glob("*.md"))):
        for info, body in re.findall(
            r"^```([^\n`]*)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M
        ):
            if "python" in info or info.startswith("{code-cell}") or info == "console":
                commands = [s for s in body.splitlines() if info != "console" or s.startswith("$")]
                wide += [(page.name, s) for s in commands if len(s) > 88]
    assert wide == []
