"""CONTRIBUTING's errands are carried out: a landscape, a claim and a command, each by the very text that stands there.

(The rule is ``test_new_rule.py``'s.)
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ERRANDS = {  # a word of the text, and the file that it becomes
    "def trough": "problems/landscapes/trough.py",
    'use("Adam:paper"': "lab/claims/adam_first_step.py",
    "def lines(": "cli/lines.py",
}


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a copy of the package to which the errands have been done."""
    folder = tmp_path_factory.mktemp("errands")
    package = folder / "thalweg"
    shutil.copytree(ROOT / "src" / "thalweg", package)
    blocks = re.findall(r"```python\n(.*?)```", CONTRIBUTING, flags=re.S)
    for word, file in ERRANDS.items():
        (source,) = [block for block in blocks if word in block]
        (package / file).write_text(source)
    commands = package / "cli" / "program.py"
    text, count = re.subn(r'^(COMMANDS = \(.*)"\)', r'\1", "lines")', commands.read_text(), flags=re.M)
    assert count == 1
    commands.write_text(text)
    return folder


def said(extended: Path, *arguments: str) -> str:
    """What Python prints in the extended house."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_a_landscape_is_one_file(extended: Path) -> None:
    code = (
        "import numpy as np, thalweg as tw\n"
        "from thalweg.problems import landscape\n"
        "p = landscape('trough')\n"
        "result = tw.race(p, ['SGD', 'Adam'], trials=3, seeds=2, steps=20)\n"
        "print(result.columns['method'])\n"
    )
    assert said(extended, "-W", "error", "-c", code).strip() == "['SGD', 'Adam']"


def test_a_claim_is_one_file(extended: Path) -> None:
    code = "import thalweg as tw\n(result,) = tw.claims('adam-first-step').results\nprint(result.verdict, result.claim.source)"
    assert said(extended, "-W", "error", "-c", code).strip() == ("holds Kingma & Ba (2015), section 2.1.")


def test_a_command_is_one_file_and_a_word(extended: Path) -> None:
    assert "lines" in said(extended, "-m", "thalweg", "--help")
    assert said(extended, "-m", "thalweg", "lines", "SGD").splitlines()[1].split("\t")[0] == "lr"


def test_the_files_that_contributing_names_are_there() -> None:
    named = re.findall(r"`((?:src|tests|docs)/[\w/.-]+)`", CONTRIBUTING)
    assert len(named) > 15
    assert [n for n in named if not (ROOT / n).exists()] == []


@pytest.mark.parametrize("errand", re.findall(r"^## (Add .*)$", CONTRIBUTING, flags=re.M))
def test_every_errand_is_short(errand: str) -> None:
    """At most ten lines of 120 characters, beside the code and the numbered steps."""
    section = CONTRIBUTING.partition(f"## {errand}\n")[2].partition("\n## ")[0]
    prose = re.sub(r"```.*?```", "", section, flags=re.S)
    paragraphs = [line for line in prose.splitlines() if not re.match(r"\d\. ", line)]
    assert 0 < sum(len(textwrap.wrap(paragraph, 120)) for paragraph in paragraphs) <= 10
