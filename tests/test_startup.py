"""What an import brings in, and what the command line says."""

import subprocess
import sys

import pytest

HEAVY = ("numba", "torch", "jax", "sklearn", "matplotlib", "pandas", "rich", "typer", "llvmlite")


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_brings_no_framework() -> None:
    loaded = fresh("import sys, thalweg; print(*sys.modules)").split()
    assert not [m for m in (*HEAVY, "numpy", "scipy") if m in loaded]


def test_a_rule_needs_no_array_library_until_it_starts() -> None:
    assert (
        "numpy"
        not in fresh(
            "import sys, thalweg as tw; tw.Adam(lr=tw.cosine(0.1, steps=9)); print(*sys.modules)"
        ).split()
    )


def test_a_warm_step_imports_no_numba() -> None:
    code = (
        "import sys, numpy as np, thalweg as tw\nw = np.ones(3)\ntw.Adam().on(w).step(np.ones(3))\n"
        "from thalweg.engines import objects\nprint('numba' in sys.modules, objects.compiled)"
    )
    fresh(code)
    assert fresh(code).split() == ["False", "0"]


@pytest.mark.parametrize("arguments", [[], ["race"], ["rules"], ["diff"], ["fit"], ["predict"]])
def test_help_speaks(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "thalweg.cli", *arguments, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_exit_status_and_one_line_errors() -> None:
    for arguments, status in (
        (["rules", "Adma"], 2),
        (["race", "nosuch"], 2),
        (["race", "no.csv"], 1),
        (["rules", "Adam"], 0),
        (["nosuch"], 2),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "thalweg.cli", *arguments], capture_output=True, text=True
        )
        assert done.returncode == status, (arguments, done.stderr)
        assert "Traceback" not in done.stderr


def test_rules_are_listed_one_a_line_off_a_terminal() -> None:
    import thalweg as tw
    from thalweg import rules

    out = subprocess.run(
        [sys.executable, "-m", "thalweg.cli", "rules"], capture_output=True, text=True
    ).stdout
    assert [line.split("\t")[0] for line in out.splitlines()[1:]] == list(rules.shipped())
    assert (
        tw.__version__
        in subprocess.run(
            [sys.executable, "-m", "thalweg.cli", "--version"], capture_output=True, text=True
        ).stdout
    )
