"""The documentation's code runs, and README says what is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_decisions_are_numbered() -> None:
    """One number each, said in the file's name and in its heading; at most forty lines."""
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    for number, record in enumerate(records, 1):
        assert record.name.startswith(f"{number:04}-")
        lines = record.read_text().splitlines()
        assert lines[0].startswith(f"# {number}. ")
        assert len(lines) <= 40
