"""The house: what is public, who may import which package, and that nobody imports in a circle.

``lint-imports`` checks the order of the rooms (pyproject.toml); what it cannot say stands here.
"""

import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from tools.mutants import MUTANTS, Mutant

import thalweg as tw

from . import house

ROOT = Path(__file__).resolve().parent.parent

# Who may import a third-party package: these modules and what is below them, and nobody else.
ALLOWED = {
    "numpy": (
        "archive", "engines", "fitting", "keras", "lab", "linear", "optax.observed", "optimizer", "problems",
        "reading", "scaling", "scipy", "sklearn", "torch",
    ),
    "scipy": ("fitting.trained", "lab", "linear", "problems", "reading.block", "scipy", "sklearn"),
    "numba": ("engines.cpu",),
    "llvmlite": ("engines.cpu",),
    "triton": ("engines.cuda",),
    "jax": ("engines.xla", "optax", "problems.function"),
    "optax": ("lab.handed", "optax"),
    "keras": ("keras",),
    "torch": ("lab.handed", "lab.training_run", "lab.watch", "problems.function", "torch"),
    "sklearn": ("sklearn", "problems"),
    "cloudpickle": ("lab.pickling", "lab.trial_key"),
    "joblib": ("lab.spread",),
    "ray": ("lab.spread",),
    "optuna": ("lab.optuna_search",),
    "threadpoolctl": ("lab.workers",),
    "math_core": ("lab.mathematics",),
    "matplotlib": ("lab.pictures",),
    "contourpy": ("lab.pictures",),
    "PIL": ("lab.pictures.film",),
    "imageio_ffmpeg": ("lab.pictures.film",),
    "pyarrow": ("fitting.prediction", "lab.record", "reading"),
    "dask": ("fitting.cluster", "lab.spread"),
    "rich": ("cli",),
    "typer": ("cli",),
}  # fmt: skip


def trespassers(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """The imports of third-party packages that ``ALLOWED`` does not name."""

    def allowed(module: str, package: str) -> bool:
        rooms = (f"thalweg.{room}" for room in ALLOWED.get(package, ()))
        return any(module == room or module.startswith(f"{room}.") for room in rooms)

    return [
        f"{module} -> {package}"
        for module, packages in imports.items()
        for package in packages
        if not allowed(module, package)
    ]


def test_third_party_packages_are_imported_where_they_may_be() -> None:
    assert trespassers(house.outer()) == []


def test_every_permission_is_used() -> None:
    """A room that needs a package no longer loses it."""
    imports = house.outer()
    for package, rooms in ALLOWED.items():
        for room in rooms:
            users = [m for m in imports if f"{m}.".startswith(f"thalweg.{room}.") and package in imports[m]]
            assert users, f"nobody in thalweg.{room} imports {package}"


def test_other_imports_are_refused() -> None:
    planted = {"thalweg.sklearn": {"torch", "numba", "sklearn"}, "thalweg.engines.cpu.linear": {"triton"}}
    assert set(trespassers(planted)) == {
        "thalweg.sklearn -> torch",
        "thalweg.sklearn -> numba",
        "thalweg.engines.cpu.linear -> triton",
    }


def test_nobody_imports_in_a_circle() -> None:
    """Imports in function bodies and for types count."""
    assert house.circles(house.inner()) == []


def test_a_circle_is_found() -> None:
    graph = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"b"}), "d": frozenset({"a"})}
    assert house.circles(graph) == [["b", "c"]]


def test_only_public_modules_are_attributes() -> None:
    """Whatever has been imported: an internal module answers with one line that names the public ones."""
    found = {m.name for m in pkgutil.iter_modules(tw.__path__) if not m.name.startswith("_")}
    assert set(tw._MODULES) <= found
    for name in sorted(found - {"keras", "optax", "sklearn", "torch"}):  # which bring their frameworks
        module = importlib.import_module(f"thalweg.{name}")
        if name in tw._MODULES:
            assert getattr(tw, name) is module
        else:
            with pytest.raises(
                AttributeError, match=rf"^thalweg\.{name} is an internal module; .*problems.*$"
            ):
                getattr(tw, name)
            assert name not in dir(tw)


def test_modules_are_imported_in_every_way() -> None:
    code = (
        "import thalweg, pickle\n"
        "import thalweg.files as one\n"
        "from thalweg import files as two, problems\n"
        "from thalweg.optimizer import tree\n"
        "import thalweg.scipy as door\n"
        "assert one is two and problems is thalweg.problems and door is thalweg.scipy\n"
        "rule = thalweg.Adam(lr=thalweg.cosine(0.1, steps=9))\n"
        "assert pickle.loads(pickle.dumps(rule)) == rule\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_documentation_speaks_of_every_public_module() -> None:
    """And of no internal one: what a page tells users to import is public."""
    text = "\n".join(p.read_text() for p in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
    spoken = set(re.findall(r"(?:thalweg|from thalweg import|from thalweg)[. ]+([a-z_]+)\b", text))
    assert set(tw._MODULES) <= spoken
    internal = {m.name for m in pkgutil.iter_modules(tw.__path__)} - set(tw._MODULES)
    assert not set(re.findall(r"\bthalweg\.([a-z_]+)\b", text)) & internal


def test_versions_agree() -> None:
    done = subprocess.run([sys.executable, "-m", "tools.release"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == tw.__version__, done.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_what_a_mutant_changes_is_in_the_code(mutant: Mutant) -> None:
    assert mutant.old in (ROOT / "src" / "thalweg" / mutant.file).read_text()
    assert (ROOT / mutant.tests).exists()
