"""A study's file: TOML with a race's options, and the problems, each with options of its own where it needs them.

problems = ["rosenbrock", "beale"]
methods = ["SGD", "Adam"]
trials = 25

[[problem]]
name = "houses.csv"
target = "price"
"""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import FileError, nearest

PROBLEM = "problem"
_HEADER = re.compile(r"\s*\[\[?\s*([\w.\"' -]+?)\s*\]\]?\s*(?:#.*)?$")


@dataclass(frozen=True)
class StudyFile:
    """What a file asks for: problems with their own options, and options of all of them."""

    problems: Sequence[Mapping[str, object]] = ()
    options: Mapping[str, object] = field(default_factory=dict)


def read(path: str, allowed: Collection[str], of_problems: Collection[str]) -> StudyFile:
    """Return what a study's file says; FileError with the line for what is not TOML, unknown, or of another type.

    allowed: the options of a study; of_problems: those that a ``[[problem]]`` may have.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise FileError(f"{path}: is not UTF-8, as TOML has to be") from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{path}: is not TOML: {error}") from None
    known = ["problems", PROBLEM, *allowed]
    for key in content:
        if key not in known:
            raise FileError(f"{path}, line {_line(text, key)}: unknown key {key!r}: {nearest(key, known)}")
    tables = content.pop(PROBLEM, [])
    named = content.pop("problems", [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise FileError(
            f"{path}, line {_line(text, PROBLEM)}: a problem with options of its own begins with [[problem]]"
        )
    if not isinstance(named, list) or not all(isinstance(n, str) for n in named):
        raise FileError(
            f'{path}, line {_line(text, "problems")}: problems must be a list of names, such as ["digits", "beale"]'
        )
    for k, table in enumerate(tables):
        fields = ["name", *of_problems]
        for key in table:
            if key not in fields:
                line = _line(text, key, PROBLEM, k)
                raise FileError(
                    f"{path}, line {line}: unknown key {key!r} of a problem: {nearest(key, fields)}"
                )
        if not isinstance(table.get("name"), str):
            raise FileError(f"{path}, line {_line(text, None, PROBLEM, k)}: a [[problem]] needs a name")
    return StudyFile([*({"name": n} for n in named), *tables], content)


def _line(text: str, key: str | None, table: str = "", count: int = 0) -> int:
    """The number of the line on which a key of a table is given, or the table begins; 1 where it is not to be found.

    table: "" for the keys above all tables; of several of its name that with index ``count``.
    """
    given = None if key is None else re.compile(rf"""\s*(["']?){re.escape(key)}\1\s*[=.]""")
    inside, seen = table == "", -1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = header[1].strip("\"'")
            seen += name == table
            inside = bool(table) and name == table and seen == count
            if (inside and key is None) or (not table and name == key):
                return number
        elif inside and given is not None and given.match(line):
            return number
    return 1
