"""The package is typed: `.on`, `.like`, `lr=schedule` and a user's own rule, for mypy and for pyright."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("typing_check.py")
REFUSED = [i for i, line in enumerate(CHECK.read_text().splitlines(), 1) if line.endswith("# refused")]


@pytest.mark.slow
def test_mypy_accepts_and_refuses() -> None:
    """Strict, and every `type: ignore` is needed."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", str(CHECK)],
        capture_output=True, text=True, cwd=CHECK.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_pyright_accepts_and_refuses(tmp_path: Path) -> None:
    """Without the ignores pyright reports exactly the lines that are wrong."""
    bare = tmp_path / "check.py"
    bare.write_text(
        "\n".join(line.partition("  # type: ignore")[0] for line in CHECK.read_text().splitlines())
    )
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(bare)],
        capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout)["generalDiagnostics"]
    lines = sorted({d["range"]["start"]["line"] + 1 for d in found if d["severity"] == "error"})
    assert lines == REFUSED, found
