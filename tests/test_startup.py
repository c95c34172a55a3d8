"""What an import brings in, and what the command line says."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thalweg.cli.program import app

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
        "from thalweg.engines.cpu import object_cache\nprint('numba' in sys.modules, object_cache.compiled)"
    )
    fresh(code)
    assert fresh(code).split() == ["False", "0"]


@pytest.mark.parametrize("arguments", [[], ["race"], ["rules"], ["diff"], ["fit"], ["predict"]])
def test_help_speaks(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.stdout


def test_a_command_is_a_file_and_a_line_in_the_list() -> None:
    from thalweg.cli import program

    shared = {"__init__", "__main__", "arguments", "console", "options", "process", "program", "version"}
    files = {p.stem for p in Path(program.__file__).parent.glob("*.py")} - shared
    assert files == set(program.COMMANDS)


@pytest.mark.parametrize("module", ["thalweg", "thalweg.cli"])
def test_the_package_runs_as_a_module(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert f"python -m {module} [OPTIONS] COMMAND" in done.stdout


def test_help_loads_no_array_library() -> None:
    code = (
        "import sys\nfrom thalweg.cli.program import app\nsys.argv = ['thalweg', '--help']\n"
        "try:\n    app()\nexcept SystemExit:\n    print(*sys.modules)"
    )
    loaded = fresh(code).split()
    assert not [m for m in ("numpy", "scipy", "numba", "rich") if m in loaded]


def test_a_table_is_fitted_without_data_frames(tmp_path: Path) -> None:
    """pyarrow loads pandas with the first value that it makes, where that is installed: 30 MB and 0.3 s for nothing."""
    pytest.importorskip("pandas")
    rows = "".join(f"{k % 7},w{k % 3},2020-01-{k % 28 + 1:02},{k % 5}.5\n" for k in range(60))
    (tmp_path / "a.csv").write_text("x,word,day,y\n" + rows)
    code = (
        "import sys\nfrom thalweg.cli.program import app\n"
        f"sys.argv = ['thalweg', 'fit', {str(tmp_path / 'a.csv')!r}, '--target', 'y', '--model', {str(tmp_path / 'm.tw')!r}]\n"
        "try:\n    app()\nexcept SystemExit as end:\n    print(end.code, *sys.modules)"
    )
    status, *loaded = fresh(code).splitlines()[-1].split()
    assert status == "0" and "pyarrow" in loaded and "pandas" not in loaded


# A finder before all others that knows nothing of those packages.
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.argv = ["thalweg", *{arguments!r}]
from thalweg.cli import main
main()
"""
LAB = ("joblib", "matplotlib", "sklearn", "pyarrow", "threadpoolctl", "torch", "jax", "pandas")


def without(packages: tuple[str, ...], *arguments: str) -> "subprocess.CompletedProcess[str]":
    code = WITHOUT.format(packages=packages, arguments=arguments)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_fit_predict_and_rules_need_nothing_of_the_lab(tmp_path: Path) -> None:
    data, model = tmp_path / "a.svm", tmp_path / "m.tw"
    data.write_text("1 1:1 2:0.5\n0 2:1\n" * 20)
    for arguments in (
        ("rules",),
        ("rules", "RMSprop:keras"),
        ("fit", str(data), "--model", str(model)),
        ("predict", str(model), str(data)),
    ):
        done = without(LAB, *arguments)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("package", "arguments", "remedy"),
    [
        ("typer", ["rules"], "the command line needs its extra: pip install 'thalweg[cli]'"),
        (
            "cloudpickle",
            ["race", "beale", "--trials", "1"],
            "this command needs cloudpickle: pip install 'thalweg[lab]'",
        ),
        (
            "matplotlib",
            ["fit", "a.csv", "--model", "m.tw", "--report", "m.html"],
            "this command needs matplotlib: pip install 'thalweg[lab]'",
        ),
        ("matplotlib", ["show", "beale"], "this command needs matplotlib: pip install 'thalweg[lab]'"),
    ],
)
def test_a_missing_extra_is_one_line_with_the_remedy(package: str, arguments: list[str], remedy: str) -> None:
    done = without((package,), *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"thalweg: {remedy}" and "Traceback" not in done.stderr


def test_exit_status_and_one_line_errors() -> None:
    for arguments, status in (
        (["race", "nosuch"], 2),
        (["race", "no.csv"], 1),
        (["rules", "Adam"], 0),
        (["nosuch"], 2),
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == status, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    ran = subprocess.run(
        [sys.executable, "-m", "thalweg.cli", "rules", "Adma"], capture_output=True, text=True
    )
    assert ran.returncode == 2 and "Traceback" not in ran.stderr


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
