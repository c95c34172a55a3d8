"""What continuous integration runs, by name: ``nox --list``.

``nox -s check`` makes an environment of its own; ``nox --no-venv -s check`` uses the one that is active, which
needs ``pip install -e '.[test]'``. ``.ci/run``, the commit hook and the workflows call these sessions.
"""

import os
import tempfile

import nox

nox.needs_version = ">=2025.2"
nox.options.sessions = ["check", "test"]

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
LOWEST_PYTHON = PROJECT["requires-python"].removeprefix(">=")
PYTHONS = [
    v
    for v in (c.rpartition(" :: ")[2] for c in PROJECT["classifiers"])
    if v.startswith("3.") and v != LOWEST_PYTHON
]
# What runs with NumPy, SciPy and Numba alone: the formulas, the compiled engine and what stands around a step.
BASIC = [
    *(f"tests/laws/test_{name}.py" for name in ("engine", "clock", "grammar", "idle", "units", "values")),
    "tests/test_optimizer.py", "tests/test_bad_input.py", "tests/test_resume.py",
]  # fmt: skip
# What is seen on later Pythons, with the extra `lab` and without torch, JAX and Keras: formulas are read from Python's own
# syntax tree, annotations are evaluated, and other versions of the libraries are installed.
ON_LATER_PYTHONS = [
    *(f"tests/laws/test_{name}.py" for name in ("engine", "grammar")), "tests/claims/test_all.py",
    "tests/fitting/test_fit.py", "tests/reading",
    *(f"tests/test_{name}.py" for name in ("command_line", "data_problems", "imports", "minimize", "resume", "store", "trial", "workers")),
]  # fmt: skip


def install_test_extra(session: nox.Session) -> None:
    """Install the package and its test extra, unless the session runs in the environment of its caller."""
    if session.virtualenv.venv_backend != "none":
        session.install("-e", ".[test]")


@nox.session
def check(session: nox.Session) -> None:
    """Style, format, types, and who may import whom."""
    install_test_extra(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def test(session: nox.Session) -> None:
    """The tests; arguments go to pytest."""
    install_test_extra(session)
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests over ten seconds, and the laws whose kernels take seconds for the rules that ``test`` leaves out."""
    install_test_extra(session)
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, warnings as errors; the argument is the folder to write it to."""
    install_test_extra(session)
    folder = session.posargs[0] if session.posargs else tempfile.mkdtemp()
    session.run("sphinx-build", "-W", "-q", "-j", "auto", "-b", "html", "docs", folder)


@nox.session
def claims(session: nox.Session) -> None:
    """Measure every claim anew: whether its verdict is still the one that the documentation shows."""
    install_test_extra(session)
    session.run("python", "-m", "tools.claims", "--check")


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark in miniature: that it runs, not what it says."""
    install_test_extra(session)
    session.run("python", "-m", "benchmarks", "--dry-run")


@nox.session(python=LOWEST_PYTHON)
def lowest(session: nox.Session) -> None:
    """The basic tests with the lowest versions of the dependencies that pyproject.toml declares."""
    session.install("-e", ".", *(d.replace(">=", "==") for d in PROJECT["dependencies"]))
    session.install("hypothesis", "pytest", "pytest-xdist")
    session.run("pytest", *BASIC, *session.posargs)


@nox.session(python=PYTHONS)
def newer(session: nox.Session) -> None:
    """The tests of the library and the lab on the later Pythons that are there, without the frameworks."""
    session.install("-e", ".[lab]")
    session.install("hypothesis", "pytest", "pytest-xdist")
    session.run("pytest", *ON_LATER_PYTHONS, *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the distributions; install the wheel without its sources in sight and take one step with it."""
    session.install("build")
    session.run("python", "-m", "build", "--outdir", "dist")
    version = session.run("python", "-m", "tools.release", silent=True).strip()
    folder = session.create_tmp()
    built = os.path.abspath(f"dist/thalweg-{version}-py3-none-any.whl")
    session.install("--force-reinstall", f"{built}[cli]")
    session.chdir(folder)
    session.run(
        "python", "-W", "error", "-c",
        "import numpy as np, thalweg as tw; w = np.ones(3); tw.Adam(lr=0.5).on(w).step(w.copy());"
        f"assert np.allclose(w, 0.5) and tw.__version__ == {version!r} and 'site-packages' in tw.__file__",
    )  # fmt: skip
    session.run("thalweg", "--version")
    session.run("thalweg", "rules", "Adam:keras")
