"""Problems that methods are compared on. A file here or below with ``PROBLEMS`` is found; no list names it."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from ..core.line import short
from ..core.user_file import origin, run_file
from ..errors import MisplacedOptionError, ProblemError, ThalwegError, UnknownProblemError, nearest
from .base import Outsider, Problem, Raced, Source, asked
from .formula import FormulaProblem
from .function import FunctionProblem, required
from .training import LOSS, TrainingProblem, is_training

TABLE, FUNCTION, LOOP = "a table's file", "a function of yours", "a training loop"
TAKEN: Mapping[str, Sequence[str]] = {
    TABLE: ("target", "drop", "l2", "model", "reading"),
    FUNCTION: ("start",),
    LOOP: ("measure", "maximize"),
}
"""What a ``Source`` may say of problems of a kind: of any other it is refused."""


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Callable[[], Problem]]:
    """Every problem by name, as a function that makes it."""
    found: dict[str, Callable[[], Problem]] = {}
    for module in walk_packages(__path__, f"{__name__}."):
        found.update(getattr(import_module(module.name), "PROBLEMS", {}))
    return found


def make(source: Source) -> Raced:
    """Return the problem of a source, which it remembers; FileError, ProblemError, UnknownProblemError."""
    known = catalogue()
    made: Raced
    file, _, name = source.name.rpartition(":")
    if source.name in known:
        require_taken(source, "")
        made = known[source.name]()
    elif file.endswith(".py"):
        require_taken(source, FUNCTION, LOOP)
        made, content = _from_file(file, name, source)
        source = replace(source, content=content)
    elif Path(source.name).suffix or Path(source.name).exists() or "/" in source.name:
        from .table import read

        require_taken(source, TABLE)
        made = read(
            source.name, source.target, drop=source.drop, l2=source.l2, model=source.model,
            reading=dict(source.reading),
        )  # fmt: skip
    else:
        raise UnknownProblemError(
            f"unknown problem {source.name!r}: {nearest(source.name, known)};"
            " or name a file that thalweg fit reads, such as a .csv, or FILE.py:NAME"
        )
    made.source = source
    return made


def require_taken(source: Source, *kinds: str) -> None:
    """Raise MisplacedOptionError where something is said that problems of none of these kinds take."""
    plain, told, names = Source(source.name), [], []
    for kind, options in TAKEN.items():
        given = [n for n in options if getattr(source, n) != getattr(plain, n)] if kind not in kinds else []
        given = [m for n in given for m in (dict(source.reading) if n == "reading" else (n,))]
        if given:
            told.append(f"{', '.join(given)}: only {kind} takes that")
            names += given
    if told:
        ready = "; it is a problem already, with its own" if ".py:" in source.name and "" in kinds else ""
        raise MisplacedOptionError(f"{source.name}: {'; '.join(told)}{ready}", names)


def _from_file(path: str, name: str, source: Source) -> tuple[Raced, str]:
    """A problem from a user's own file, which is run: a problem, a function, a training loop, or what makes one of them.

    Returned with the digest of the file's content. Raises FileError, ProblemError, UnknownProblemError.
    """
    module = run_file(path, "a problem of your own is named FILE.py:NAME", source.content)
    if name not in vars(module):
        known = [n for n, v in vars(module).items() if isinstance(v, Problem) or inspect.isfunction(v)]
        raise UnknownProblemError(f"{path} has no problem or function {name!r}: {nearest(name, known)}")
    value, shown = vars(module)[name], name
    if callable(value) and not isinstance(value, Raced) and not is_training(value) and not required(value):
        shown += "()"
        try:
            with redirect_stdout(sys.stderr):
                value = value()
        except (Exception, SystemExit) as error:
            if isinstance(error, ThalwegError):
                raise
            raise ProblemError(f"{path}: {shown} raised {type(error).__name__}: {error}") from None
    if isinstance(value, Raced):
        require_taken(source, "")
        made = value
    elif is_training(value):
        require_taken(source, LOOP)
        made = TrainingProblem(value, source.measure or LOSS, source.maximize)
    elif callable(value):
        require_taken(source, FUNCTION)
        start = source.start or getattr(value, "start", getattr(module, "start", None))
        made = FunctionProblem(value, start)
    else:
        raise ProblemError(
            f"{path}: {shown} is {short(value)}, no problem; a function f(x), a training loop, or what returns one is needed"
        )
    return made, origin(module.__name__)[1]


def problem(
    name: str,
    target: str | None = None,
    drop: Sequence[str] = (),
    start: Sequence[float] = (),
    l2: float | None = None,
    model: str = "linear",
    reading: Mapping[str, object] | None = None,
) -> Problem:
    """The problem of that name, the one that a table's file makes, or one of the user's own, ``FILE.py:NAME``.

    target: for a table, the column to predict; drop: a column to leave out, or several; l2: the penalty (1 / rows by default, 0 for
    none); model: "linear" or "network"; reading: how it is read, as ``open_stream`` takes it. start: for a function, where runs begin,
    unless it says so itself. Raises FileError, ProblemError, UnknownProblemError.
    """
    made = make(asked(name, target=target, drop=drop, start=start, l2=l2, model=model, reading=reading))
    if not isinstance(made, Problem):
        raise ProblemError(
            f"{name}: is a training loop, which keeps its parameters to itself; race it: thalweg race {name}"
        )
    return made


def landscape_catalogue() -> dict[str, Callable[[], FormulaProblem]]:
    """The problems written as formulas of few parameters, whose paths can be shown, by name."""
    makers = {n: make for n, make in catalogue().items() if _may_be_landscape(make)}
    return {n: make for n, make in makers.items() if isinstance(make(), FormulaProblem)}  # type: ignore[misc]


def _may_be_landscape(make: Callable[[], Problem]) -> bool:
    """False where what makes a problem says that it is of another kind: to make it may take its data and packages."""
    function = make.func if isinstance(make, partial) else make
    kind = function if isinstance(function, type) else function.__annotations__.get("return")
    return not isinstance(kind, type) or issubclass(kind, FormulaProblem) or issubclass(FormulaProblem, kind)


def landscape(name: str) -> FormulaProblem:
    """A landscape by name; UnknownProblemError, also for problems that are none."""
    source = asked(name)
    found = make(source) if source.name in catalogue() or ".py:" in source.name else None
    if isinstance(found, FormulaProblem):
        return found
    if found is not None:
        raise UnknownProblemError(
            f"{name!r} is no landscape, its weights are too many to show; race it: thalweg race {name}"
        )
    raise UnknownProblemError(f"unknown landscape {name!r}: {nearest(name, landscape_catalogue())}")


__all__ = [
    "FunctionProblem",
    "Outsider",
    "Problem",
    "Raced",
    "Source",
    "TrainingProblem",
    "catalogue",
    "landscape",
    "landscape_catalogue",
    "make",
    "problem",
]
