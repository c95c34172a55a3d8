"""What the modules of the package import, read from their source: everywhere, for types too."""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"


@lru_cache(maxsize=1)
def modules() -> dict[str, Path]:
    """Every module of the package, by its full name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imported(module: str, path: Path) -> Iterator[str]:
    """Full names that a module's imports speak of, those by a call with a literal name too; relative ones are resolved."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            if called in ("import_module", "require", "__import__"):
                yield str(node.args[0].value)


@lru_cache(maxsize=1)
def inner() -> dict[str, frozenset[str]]:
    """For each module, the modules of the package that it imports."""
    known = modules()

    def defining(name: str) -> str:
        return name if name in known else name.rpartition(".")[0]

    return {
        module: frozenset(
            defining(name) for name in _imported(module, path) if name.partition(".")[0] == "thalweg"
        )
        - {module}
        for module, path in known.items()
    }


@lru_cache(maxsize=1)
def outer() -> dict[str, frozenset[str]]:
    """For each module, the third-party packages that it imports."""
    own = {"thalweg", *sys.stdlib_module_names}
    return {
        module: frozenset(name.partition(".")[0] for name in _imported(module, path)) - own
        for module, path in modules().items()
    }


def circles(graph: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """The strongly connected parts of a graph that have more than one node (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    parts: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            cut = stack.index(node)
            parts.append(sorted(stack[cut:]))
            del stack[cut:]

    for node in graph:
        if node not in index:
            visit(node)
    return [part for part in parts if len(part) > 1]
