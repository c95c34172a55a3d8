"""Methods broken on purpose: a copy of the rule's own file with one line changed takes its place."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from thalweg.core.rule import RULES, find
from thalweg.lab.claims import Result, measure

Break = Callable[[str, str, str], None]
Refutes = Callable[[str, str, str, str], None]


@lru_cache
def sound(claim: str) -> Result:
    """The claim's result with the methods as they are, measured once; to be asked before one is broken."""
    return measure(claim)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All claims are measured in test_all; what looks closer, or breaks a method, takes minutes: slow."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name != "test_all.py":
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Break]:
    """``breaking("RMSprop", old, new)``: until the test ends, RMSprop is the rule with ``old`` replaced."""
    made: list[str] = []

    def change(name: str, old: str, new: str) -> None:
        original = find(name)
        module = sys.modules[original.__module__]
        text = Path(str(module.__file__)).read_text()
        assert text.count(old) == 1, f"{name}: {old!r} stands {text.count(old)} times in its file"
        file = tmp_path / f"broken_{name.lower()}_{len(made)}.py"
        file.write_text(text.replace(old, new))
        title = f"thalweg.rules.{file.stem}"
        spec = importlib.util.spec_from_file_location(title, file)
        assert spec is not None
        assert spec.loader is not None
        broken = importlib.util.module_from_spec(spec)
        sys.modules[title] = broken
        made.append(title)
        spec.loader.exec_module(broken)
        monkeypatch.setitem(RULES, name, getattr(broken, name))

    yield change
    for title in made:
        del sys.modules[title]


@pytest.fixture
def refutes(breaking: Break) -> Refutes:
    """The verdict is good with the method as it is, and no longer with one line of it changed."""

    def check(claim: str, rule: str, old: str, new: str) -> None:
        assert sound(claim).error is None
        assert sound(claim).verdict in ("holds", "holds under conditions")
        breaking(rule, old, new)
        broken = measure(claim)
        assert broken.error is None
        assert broken.verdict == "does not hold"

    return check
