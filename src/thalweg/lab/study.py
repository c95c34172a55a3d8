"""A study: the same methods on several problems, each raced as a race is, and measured together.

Every problem goes through ``race``: the same trials, the same tuning, the same paired verdicts, a family of verdicts to
each problem. What is said over problems is computed from what these races tell (``study_summary``).
"""

import inspect
import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, cast

from .. import files
from ..core.line import short
from ..errors import HyperparameterError, MisplacedOptionError, ThalwegError, nearest
from ..problems import Raced
from . import figures as takeaway
from . import study_file
from .again import as_option
from .entrants import Named
from .methods import NINE
from .performing import Performer
from .race import Prepared, Race, prepare
from .race_options import DEFAULTS, NAMES, RaceOptions
from .race_result import ONLY_DRAWN
from .race_runner import Progress
from .reports import notebook
from .reports.study import render
from .store import Store, require_store
from .study_result import StudyResult
from .study_summary import study_summary
from .written import written

FORMS = files.Forms("a study", (".html", ".json"))
SEEDS = 12  # fresh ones by default, enough for a verdict on each problem among nine methods

StudyProblem: TypeAlias = "str | os.PathLike[str] | Raced | Callable[..., Any] | Mapping[str, object]"


WHERE = ("workers", "seconds", "dask", "backend")  # a race's options that say where trials are run
OPTIONS = (*NAMES, *WHERE)  # those that a study passes on


@dataclass(frozen=True)
class Study:
    """A study's numbers and its races; ``data`` is everything that is reported (``lab/study_result.py``)."""

    data: StudyResult
    races: Sequence[Race]

    def html(self) -> str:
        """The report: one self-contained page."""
        return render(self.data)

    def json(self) -> str:
        """The numbers as JSON, without what is only drawn; infinities are null."""
        races = [{n: v for n, v in r.items() if n not in ONLY_DRAWN} for r in self.data["races"]]
        return json.dumps({**self.data, "races": races}, indent=1, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report (``.html``) or the numbers (``.json``); FileError."""
        target, form = FORMS.of(path)
        files.write_text(target, self.json() if form == ".json" else self.html())

    def __repr__(self) -> str:
        count = len(self.races)
        lines = [f"Study of {count} problem{'' if count == 1 else 's'}:"]
        lines += [
            f"  {r['method']:<12} score {r['score']:.3f}, rank {r['rank']:.2f}" for r in self.data["methods"]
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return notebook.study(self.data)


def study(
    problems: Sequence[StudyProblem],
    methods: Sequence[Named] | Named | None = None,
    *,
    seeds: int = SEEDS,
    store: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    depends: Sequence[str | os.PathLike[str]] = (),
    out: str | os.PathLike[str] | None = None,
    json: str | os.PathLike[str] | None = None,
    figures: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **options: object,
) -> Study:
    """Race the same methods on each of several problems, and measure them over all.

    problems: names, files, functions or Problems, as ``race`` takes them; one with options of its own is a mapping,
    ``{"name": "houses.csv", "target": "price", "steps": 300}``. methods: as in a race. seeds: fresh seeds, paired within
    each problem. options: any others of a race (``trials``, ``steps``, ``batch``, ``seed``, ...), for all problems. store, fresh, depends: as for a race. out, json:
    files for the report and the numbers; figures: a folder for every figure and table. progress: called with (what, done, total). Ctrl-C ends with what is done.

    A problem that cannot be raced is left out with its reason where others were raced before it. Raises ProblemError,
    HyperparameterError, FileError before anything runs.
    """
    for path in (out, json):
        if path is not None:
            FORMS.of(path)
    if figures is not None:
        files.require_folder(figures)
    if isinstance(problems, str | os.PathLike | Raced | Mapping) or callable(problems):
        problems = [problems]
    shared = {"seeds": seeds, **options}
    prepared, only = _all_prepared(problems, methods, shared)
    prepared = _told_apart(prepared)
    names = [p.problem.name for p in prepared]
    if not names:
        raise HyperparameterError("study: name at least one problem")
    for n in names:
        if names.count(n) > 1:
            raise HyperparameterError(f"study: problem {n} is named twice")
    require_store(store, depends)
    if store is not None:
        kept = Store.open(store, "; ".join(p.subject for p in prepared), fresh)
        prepared = [p.kept_in(kept, depends) for p in prepared]
    races: list[Race] = []
    failed: dict[str, str] = {}
    for name, one in zip(names, prepared, strict=True):
        try:
            races.append(one.run(_under(name, progress)))
        except ThalwegError as error:  # a file that was edited since, a worker that was killed
            failed[name] = str(error)
            continue
        if not races[-1].data["finished"]:
            break
    complete = len(races) + len(failed) == len(names) and all(r.data["finished"] for r in races)
    command = _command(problems, prepared[0], shared)
    data = study_summary([r.data for r in races], names, failed, complete, command, only)
    result = Study(data, races)
    draw = None if figures is None else partial(takeaway.of_study, data, figures)
    return written(result, (out, json), draw, races[-1].stopped if races else None)


def from_file(path: str | os.PathLike[str], given: Mapping[str, object]) -> dict[str, object]:
    """The arguments of ``study`` that a study's file asks for, with those ``given`` in their place; FileError."""
    own = [n for n in inspect.signature(study).parameters if n not in ("problems", "progress", "options")]
    content = study_file.read(os.fspath(path), dict.fromkeys([*own, *OPTIONS]), OPTIONS)
    return {"problems": list(content.problems), **content.options, **given}


def _all_prepared(
    problems: Sequence[StudyProblem], methods: Sequence[Named] | Named | None, shared: Mapping[str, object]
) -> tuple[list[Prepared], dict[str, list[str]]]:
    """Each problem's race, and which problems take those options of all that some do not.

    Raises what refuses an option that none takes, and what ``_prepared`` raises.
    """
    refused: dict[str, dict[str, MisplacedOptionError]] = {}
    prepared: list[Prepared] = []
    for problem in problems:
        race, errors = _prepared(problem, methods, shared)
        prepared.append(race)
        for n, error in errors.items():
            refused.setdefault(n, {})[race.problem.name] = error
    for by in refused.values():
        if len(by) == len(prepared):
            raise next(iter(by.values()))
    names = [p.problem.name for p in prepared]
    return prepared, {n: [name for name in names if name not in by] for n, by in refused.items()}


def _told_apart(prepared: Sequence[Prepared]) -> list[Prepared]:
    """Races of which no two have one name where files tell them apart: ``a.py:train`` and ``b.py:train``."""
    names = [p.problem.name for p in prepared]
    done = []
    for one in prepared:
        if names.count(one.problem.name) > 1:
            problem = copy(one.problem)
            problem.name = one.subject
            one = replace(one, problem=problem)
        done.append(one)
    return done


def _without(settings: dict[str, object], name: str) -> bool:
    """Take an option out of a race's settings, or of how its file is read; whether it was there."""
    reading = settings.get("reading")
    if isinstance(reading, Mapping) and name in reading:
        settings["reading"] = {n: value for n, value in reading.items() if n != name}
        return True
    return settings.pop(name, None) is not None


def _prepared(
    problem: StudyProblem, methods: Sequence[Named] | Named | None, shared: Mapping[str, object]
) -> tuple[Prepared, dict[str, MisplacedOptionError]]:
    """A problem's race, with its own options in place of those of all, and without those that it does not take.

    The latter are returned with what refused them. Raises HyperparameterError, ProblemError, FileError.
    """
    own: dict[str, object] = {}
    if isinstance(problem, Mapping):
        own = dict(problem)
        on = own.pop("name", None)
        if not isinstance(on, str | os.PathLike | Raced) and not callable(on):
            raise HyperparameterError(
                f"study: a problem with options of its own needs a name, got name={short(on)} in {short(dict(problem))}"
            )
    else:
        on = problem
    for n in (*own, *shared):
        if n not in OPTIONS:
            raise HyperparameterError(f"study: unknown option {n!r}: {nearest(n, OPTIONS)}")
    general = dict(shared)
    refused: dict[str, MisplacedOptionError] = {}
    while True:
        settings = cast(dict[str, Any], {**general, **own})
        performer = Performer(**{n: settings.pop(n) for n in WHERE if n in settings})
        try:
            return prepare(on, methods, RaceOptions(**settings), performer), refused
        except MisplacedOptionError as error:
            if not error.options or not all(_without(general, n) for n in error.options):
                raise
            refused |= dict.fromkeys(error.options, error)


def _under(name: str, progress: Progress | None) -> Progress | None:
    """The progress of one problem's race, told under its name."""
    if progress is None:
        return None
    return lambda what, done, total: progress(f"{name}: {what}", done, total)


def _command(problems: Sequence[StudyProblem], first: Prepared, shared: Mapping[str, object]) -> str:
    """The command line that runs the study again; "" for what no command line can name."""
    texts = [e.text for e in first.entries]
    plain = [p.get("name") if isinstance(p, Mapping) and len(p) == 1 else p for p in problems]
    if not all(isinstance(p, str | os.PathLike) for p in plain) or not all(texts):
        return ""
    parts = ["thalweg", "race", *(os.fspath(cast(str, p)) for p in plain)]
    if texts != list(NINE):
        parts += ["--methods", ",".join(texts)]
    words = dict(shared)
    reading = cast(Mapping[str, object], words.pop("reading", None) or {})
    ranges = cast(Mapping[str, Sequence[object]], words.pop("range", None) or {})
    words |= {"range": [f"{n}={':'.join(map(str, ends))}" for n, ends in ranges.items()], **reading}
    for n, value in words.items():
        if n in ("start", "tune") and isinstance(value, Iterable) and not isinstance(value, str):
            value = ",".join(map(str, value)) or None
        usual = value is None or (n != "seeds" and value == getattr(DEFAULTS, n, None))
        parts += [] if usual else as_option(n, value)
    return shlex.join(parts)
