"""Keep ``docs/claims/claims.json``: what the documentation shows of every claim, measured beforehand.

Run: ``python -m tools.claims`` measures the claims that are stale, ``--all`` every one (four minutes on two cores), a list of
names those; ``--check`` measures every one, writes nothing and says whose verdict is another (once a month in CI).
A claim is stale when what it says of methods and problems is no longer what was measured: the code of its own file, of the
rules and problems that it names or imports, and of what those import of these rooms. Comments, docstrings and white space do
not count. How formulas are compiled, trials run and limits computed is held by other tests; that all claims still come
out as they are stored is what the slow tests see, which measure every one.
"""

import ast
import hashlib
import io
import json
import sys
import tokenize
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from thalweg import __version__, claims, problems, rules
from thalweg.lab.claims import Result, catalogue

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "thalweg"
STORED = ROOT / "docs" / "claims" / "claims.json"
ROOMS = ("rules", "problems", "lab/claims", "lab/evidence.py")
# In these rooms, what runs what the others say.
MACHINERY = (
    "lab/claims/__init__.py",
    *(
        f"problems/{n}.py"
        for n in ("__init__", "base", "compiled", "formula", "function", "scored", "training")
    ),
    "problems/table",
)


@cache
def code(path: Path) -> str:
    """A file's code without docstrings, comments and white space, the same in all versions of Python."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    cuts: list[tuple[tuple[int, int], tuple[int, int]]] = [
        (t.start, t.end)
        for t in tokenize.generate_tokens(io.StringIO(text).readline)
        if t.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            doc = node.body[0]
            assert doc.end_lineno is not None and doc.end_col_offset is not None
            first, last = (
                (line, len(lines[line - 1].encode()[:column].decode()))
                for line, column in ((doc.lineno, doc.col_offset), (doc.end_lineno, doc.end_col_offset))
            )
            cuts.append((first, last))
    for (row, column), (last_row, last_column) in sorted(cuts, reverse=True):
        head, tail = lines[row - 1][:column], lines[last_row - 1][last_column:]
        lines[row - 1 : last_row] = [head + tail]
    return "".join("".join(lines).split())


def _file(parts: list[str]) -> Path | None:
    """The file of a module of the package, by the parts of its name."""
    base = PACKAGE.joinpath(*parts)
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


@lru_cache(maxsize=1)
def _named() -> dict[str, list[Path | None]]:
    """The files of every rule and problem, by its name."""
    known: dict[str, list[Path | None]] = {}
    for name, kind in (*rules.shipped().items(), *problems.catalogue().items()):
        maker = kind.func if isinstance(kind, partial) else kind
        known.setdefault(name, []).append(_file(maker.__module__.split(".")[1:]))
    return known


def _decides(path: Path) -> bool:
    place = path.relative_to(PACKAGE).as_posix()
    within = {room: place == room or place.startswith(f"{room}/") for room in (*ROOMS, *MACHINERY)}
    return any(within[r] for r in ROOMS) and not any(within[r] for r in MACHINERY)


@cache
def _uses(path: Path) -> frozenset[Path]:
    """The files of the rooms that a file imports, and those of the rules and problems that a claim names."""
    package = list(path.relative_to(PACKAGE).parent.parts)
    used: set[Path | None] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = package[: len(package) - node.level + 1] + (node.module or "").split(".") * bool(
                node.module
            )
            used |= {_file(above), *(_file([*above, alias.name]) for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and path.parent.name == "claims":
            used |= set(_named().get(node.value.partition(":")[0], []))
    return frozenset(p for p in used if p is not None and _decides(p))


def sources(name: str) -> list[Path]:
    """Every file whose code decides a claim's numbers, in order."""
    seen: set[Path] = set()
    left = [PACKAGE / "lab" / "claims" / f"{name.replace('-', '_')}.py"]
    while left:
        path = left.pop()
        if path not in seen:
            seen.add(path)
            left += _uses(path)
    return sorted(seen)


def digest(name: str) -> str:
    """What a claim is known by: of all the code that decides its numbers, 16 hexadecimal digits."""
    said = "\n".join(f"{p.relative_to(PACKAGE).as_posix()} {code(p)}" for p in sources(name))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def stored() -> dict[str, dict[str, Any]]:
    """What is stored of each claim, by name; nothing where there is no file yet."""
    known: dict[str, dict[str, Any]] = (
        json.loads(STORED.read_text(encoding="utf-8"))["claims"] if STORED.exists() else {}
    )
    return known


def stale(known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The claims that are not stored as they would be measured now."""
    return [name for name in catalogue() if known.get(name, {}).get("digest") != digest(name)]


def record(result: Result) -> dict[str, Any]:
    """What is stored of a claim."""
    entry = result.json(None)
    return {"digest": digest(result.id), "version": __version__} | {
        n: v for n, v in entry.items() if n not in ("id", "picture")
    }


def write(known: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the file: a claim a few lines, in the catalogue's order; those that are no more are left out."""

    def line(name: str, value: object) -> str:
        return f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(',', ':'))}"

    entries = []
    for name in catalogue():
        if name in known:
            lines = ",\n".join(line(n, v) for n, v in known[name].items())
            entries.append(f"{json.dumps(name)}:{{\n{lines}}}")
    STORED.parent.mkdir(exist_ok=True)
    STORED.write_text('{"claims":{\n' + ",\n\n".join(entries) + "}}\n", encoding="utf-8")


def other_verdicts(results: Sequence[Result], known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Whose verdict is not the stored one, in words, and whose experiment failed."""
    lines = []
    for result in results:
        before = known.get(result.id, {}).get("verdict")
        if result.error is not None:
            lines.append(f"{result.id}: {result.error}")
        elif before != result.verdict:
            lines.append(f"{result.id}: {result.verdict}{f' (was: {before})' if before else ''}")
    return lines


def main(arguments: list[str]) -> int:
    """Measure, write, and say which verdicts are others; 1 where an experiment failed, which leaves what was stored of it.

    With ``--check`` also 1 where a verdict is another.
    """
    known = stored()
    check = arguments == ["--check"]
    wanted = list(catalogue()) if check or arguments == ["--all"] else arguments or stale(known)
    if not wanted:
        print("no claim is stale")
        return 0
    measured = claims(wanted)
    others = other_verdicts(measured.results, known)
    print("\n".join([*others, f"{len(measured.results)} measured in {measured.seconds:.0f} s"]))
    if not check:
        write(known | {r.id: record(r) for r in measured.results if r.error is None})
        print(f"written: {STORED.relative_to(ROOT)}")
    return bool(measured.failed) or not measured.finished or (check and bool(others))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
