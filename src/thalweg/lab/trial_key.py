"""What a trial is known by: a digest of all that decides its numbers, and of nothing else.

That is the rule, what stands around it, the problem, seeds, steps, and what is recorded; of code and data of the user's the
contents; the versions of what computes; the type of the processor and the device. Not times, nor how many workers there are.
A file of the user's counts with the modules that it imports from its folder and below; what else it reads is named
(``depends``).
"""

import ast
import functools
import hashlib
import inspect
import json
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from .. import files
from ..core.rule import Rule, is_shipped
from ..core.schedule import Schedule
from ..errors import FileError, HyperparameterError
from ..problems import FunctionProblem, Raced, Source, TrainingProblem, catalogue
from .entrants import Foreign
from .trial import Trial
from .versions import machine

MEANING = 2  # raised where the same trial gives other numbers, or a key says other things


class Keys:
    """Makes the keys of trials, with what they have in common looked at once: code and data as they are now.

    depends: more files that decide the numbers. machines: what trials are run on, each kind once, by default what this
    process is. Raises FileError for a file that cannot be read.
    """

    def __init__(
        self,
        depends: Sequence[str | os.PathLike[str]] = (),
        machines: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        self._common = {
            "meaning": MEANING,
            "machines": _plain([machine()] if machines is None else machines),
            "device": _device(),
            "depends": [[Path(p).name, _content(p)] for p in depends],
        }
        self._problems: dict[
            int, tuple[object, Any]
        ] = {}  # with the object, whose number is its own while it is there

    def key(self, trial: Trial) -> str:
        """Return a trial's key, 64 hexadecimal digits; FileError."""
        said = {f.name: getattr(trial, f.name) for f in fields(trial) if f.name not in ("rule", "problem")}
        whole = {
            **self._common,
            "rule": _plain(trial.rule),
            "problem": self._problem(trial.problem),
            **{n: _plain(v) for n, v in said.items()},
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def _problem(self, problem: Raced | Source) -> Any:
        if id(problem) not in self._problems:
            self._problems[id(problem)] = problem, _plain(problem)
        return self._problems[id(problem)][1]


def _plain(value: object) -> Any:
    """A value as JSON can hold it, equal for equal contents: arrays and code by their digests."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, np.ndarray):
        return ["array", str(value.dtype), list(value.shape), _digest(np.ascontiguousarray(value).tobytes())]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {str(n): _plain(v) for n, v in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(v) for v in value]
    if isinstance(value, Iterator):  # of an object's items
        return [_plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return ["set", sorted(json.dumps(_plain(v), sort_keys=True) for v in value)]
    if isinstance(value, bytes):
        return ["bytes", _digest(value)]
    return _described(value)


def _described(value: object) -> Any:
    """An object of ours, or of the user's, by what it is made from and by its code."""
    if isinstance(value, Rule):
        kind = type(value)
        own = None if is_shipped(kind) else _code(kind)
        return ["rule", kind.__name__, own, value.dialect, _plain(value.values)]
    if isinstance(value, Schedule):
        return ["schedule", _code(type(value)), _plain(value.fields)]
    if isinstance(value, Foreign):
        return ["optimizer", value.path.rpartition(":")[2], _code(value.maker), _plain(value.arguments)]
    if isinstance(value, Source):
        said = {n: v for n, v in asdict(value).items() if n not in ("name", "content")}
        said["reading"] = sorted(value.reading)  # by name: in whatever order it was said
        return ["source", *_source(value.name), _plain(said)]
    if isinstance(value, FunctionProblem):
        return ["function", *map(_plain, value.given)]
    if isinstance(value, TrainingProblem) and value.source is None:
        return ["training", *map(_plain, (value.train, value.measure, value.maximize))]
    if isinstance(value, Raced) and value.source is not None:
        return _described(value.source)
    if isinstance(value, functools.partial):
        return ["partial", _plain(value.func), _plain(value.args), _plain(value.keywords)]
    if callable(value) and hasattr(value, "__qualname__"):
        return _code(value)
    try:
        reduced = value.__reduce_ex__(4)  # what it is made from again, as pickle has it
        return ["object", *map(_plain, [reduced] if isinstance(reduced, str) else reduced)]
    except (TypeError, RecursionError):
        raise HyperparameterError(
            f"store: a {type(value).__qualname__} cannot be known again; name what makes it in a file, or race without a store"
        ) from None


def _source(name: str) -> Iterator[Any]:
    """What a problem's name stands for: one of ours, a name in a user's file, or a table."""
    file, _, within = name.rpartition(":")
    if name in catalogue():
        yield name
    elif file.endswith(".py"):
        yield from (within, _files(Path(file)))
    else:
        yield _content(name)


def _code(value: Any) -> Any:
    """A class or function by its name and what it is written in: files of the user's, or a package's version."""
    value = inspect.unwrap(getattr(value, "py_func", value))  # of Numba; of a decorator
    module = sys.modules.get(value.__module__)
    file = getattr(module, "__file__", None) or ""
    name = value.__qualname__
    if file.endswith(".py") and not _is_package(file):
        written: Any = _files(Path(file))
    elif file or value.__module__ in sys.builtin_module_names:
        written = [value.__module__, _version(value.__module__.partition(".")[0])]
    else:
        written = _digest(cloudpickle.dumps(value))
    code = getattr(value, "__code__", None)
    if code is None:
        return ["code", name, written]
    inner = [cell.cell_contents for cell in value.__closure__ or ()]
    return [
        "code",
        name,
        written,
        _digest(code.co_code),
        code.co_firstlineno,
        _plain(inner),
        _plain(value.__defaults__),
    ]


def _is_package(file: str) -> bool:
    """Whether a file belongs to Python or to what was installed, which versions tell."""
    places = {sysconfig.get_path(n) for n in ("stdlib", "platstdlib", "purelib", "platlib")}
    ours = str(Path(__file__).resolve().parent.parent)
    return any(Path(file).resolve().is_relative_to(p) for p in (*places, ours) if p)


def _files(path: Path) -> Any:
    """A user's file and the modules that it imports from its folder and below, by their contents; and packages' versions.

    Imports are read, not run. Raises FileError where one of the files is no Python.
    """
    folder = path.resolve().parent
    own, others = {path.resolve()}, set()
    waiting = [path.resolve()]
    while waiting:
        file = waiting.pop()
        for base, parts in _imports(file, folder):
            steps = [base.joinpath(*parts[: n + 1]) for n in range(len(parts))]
            modules = [
                m for s in steps for m in (s.with_name(f"{s.name}.py"), s / "__init__.py") if m.is_file()
            ]
            waiting += [m for m in modules if m not in own]
            own.update(modules)
            if base == folder and not modules and parts and not steps[0].is_dir():
                others.add(parts[0])
    versions_of = {n: _version(n) for n in sorted(others - set(sys.stdlib_module_names))}
    contents = {os.path.relpath(f, folder): _content(f) for f in sorted(own - {path.resolve()})}
    return [_content(path), contents, versions_of]


def _imports(file: Path, folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """What a file imports: the folder in which it is looked for, and the names of packages and module from there."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise FileError(f"{file}: what it imports cannot be told ({error})") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((folder, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = file.parents[node.level - 1] if node.level else folder
            first = node.module.split(".") if node.module else []
            if base.is_relative_to(folder):
                yield from ((base, [*first, alias.name]) for alias in node.names)


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


@lru_cache(maxsize=256)
def _version(package: str) -> str:
    """The version of an installed package; "" for one that is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return " ".join(version(n) for n in sorted(set(_distributions().get(package, ()))))


def _device() -> Any:
    """What tensors may be computed on, beside the processor."""
    torch = sys.modules.get("torch")
    names = []
    if torch is not None and torch.cuda.is_available():
        names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return [names, os.environ.get("JAX_PLATFORMS", "")]


def _content(path: str | os.PathLike[str]) -> str:
    """The digest of a file's content; FileError."""
    try:
        status = os.stat(path)
        return _read(os.path.realpath(path), status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise FileError(f"{os.fspath(path)}: cannot be read ({files.reason(error)})") from None


@lru_cache(maxsize=1024)
def _read(path: str, size: int, time: int) -> str:
    """Known by size and time, a file is read once."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
