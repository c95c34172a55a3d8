"""Where two rules part: the same gradients through both, step by step.

Both run in float64, so that what is seen is the formulas' difference and not rounding.
"""

from __future__ import annotations

import json as json_format
import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import files, rules
from ...core.line import short
from ...core.rule import Rule
from ...errors import FileError, HyperparameterError, ProblemError
from ...problems import Problem, Source
from ...problems import problem as named
from ...problems.base import stream
from ..browser import browse, passing_place
from ..diff_result import Array, DiffResult, Side
from ..methods import spelling
from ..pictures.panels import Picture
from ..record import fed, record
from ..reports import diff as report
from ..reports import diff_wording as wording
from . import probe_gradients
from .agreement import follow
from .causes import causes
from .paths import Kinds, Run, probes, run_both, table
from .sides import distinguished, settings, side, with_same

Start = ArrayLike | Mapping[str, ArrayLike]

FORMS = files.Forms("a diff", (".html", ".json", ".svg", ".pdf", ".png"))
MOST_STEPS = 100_000


class Diff(DiffResult):
    """Two rules side by side: a ``DiffResult`` that can be read, looked at and saved."""

    @property
    def sentences(self) -> dict[str, str]:
        """In words: "verdict", "first" step, "why", and how to "agree"; what there is to say of these."""
        return wording.sentences(self)

    @property
    def picture(self) -> Picture:
        """Growth of the difference, both paths where they part most, and what each setting explains."""
        return wording.picture(self)

    def __repr__(self) -> str:
        return wording.text(self)

    def _repr_html_(self) -> str:
        return report.fragment(self)

    def html(self) -> str:
        """The report: one self-contained page."""
        return report.page(self)

    def json(self) -> str:
        """The numbers as JSON; what is not finite is null."""
        return json_format.dumps(wording.data(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page (.html), the numbers (.json) or the picture (.svg, .pdf, .png), and return its path.

        Raises FileError.
        """
        target, form = FORMS.of(path)
        if form in (".html", ".json"):
            files.write_text(target, self.html() if form == ".html" else self.json())
        else:
            from ..pictures.draw import write  # matplotlib is slow to import

            write(self.picture, target)
        return target

    def show(self) -> Path:
        """Write the page to a temporary folder, open it in the browser, if there is one, and return its path."""
        path = self.save(passing_place("diff.html"))
        browse(path)
        return path


def diff(
    rule_a: Rule | str,
    rule_b: Rule | str,
    *,
    gradients: ArrayLike | None = None,
    problem: Problem | str | None = None,
    same: Mapping[str, Any] | None = None,
    steps: int | None = None,
    start: Start | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    json: str | os.PathLike[str] | None = None,
) -> Diff:
    """Where two rules part, by how much, why, and what makes the second follow the first.

    rule_a, rule_b: rules, or names as for ``race``: "RMSprop:torch", "RMSprop:keras(rho=0.95)". gradients:
    your own, (T, ...), given to both; by default the fixed ones of ``thalweg.lab.diff.probe_gradients``, 300 steps of
    seven kinds. problem: a problem, or its name; then each follows its own gradients, on the same batches.
    same: lines or arguments that both take, {"lr": 0.1}. steps: by default 300, or as many as there are
    gradients. start: where both begin: (d,), or in the problem's structure. seed: of a problem's start and
    batches. out: .html (the report), .svg, .pdf, .png (the picture) or .json; json: the numbers.

    Raises HyperparameterError, GradientError, ProblemError, UnknownProblemError, FileError before anything
    is run.
    """
    if same is not None and not isinstance(same, Mapping):
        raise HyperparameterError(f"diff: same must be a dict such as {{'lr': 0.1}}, got {short(same)}")
    a, b = distinguished(*(with_same(side(rule), same or {}) for rule in (rule_a, rule_b)))
    for path in (out, json):
        if path is not None:
            FORMS.of(path)
    if gradients is not None and problem is not None:
        raise HyperparameterError("diff: gradients and problem exclude each other; give one of them")
    try:
        stream(seed, 0)  # a bad seed is told before anything runs
    except ProblemError as error:
        raise HyperparameterError(str(error)) from None
    if steps is not None and (not isinstance(steps, Integral) or not 1 <= steps <= MOST_STEPS):
        raise HyperparameterError(f"diff: steps must be a whole number in 1 .. {MOST_STEPS}, got {steps!r}")
    if problem is not None:
        source, kinds, run = _on_problem(problem, steps, start, seed)
    else:
        source, kinds, run = _on_gradients(gradients, steps, start)
    result = _diff(a, b, source, kinds, run, has_loss=problem is not None)
    if gradients is None and start is None:
        result = replace(result, command=_command(rule_a, rule_b, problem, same or {}, steps, seed))
    for path in (out, json):
        if path is not None:
            result.save(path)
    return result


def _on_problem(
    problem: Problem | str, steps: int | None, start: Start | None, seed: int
) -> tuple[str, Kinds, Run]:
    """A problem in words, its coordinates' kinds (one), and how a rule is run on it."""
    p = problem if isinstance(problem, Problem) else named(problem)
    count = min(p.steps, probe_gradients.STEPS) if steps is None else int(steps)
    return f"{p.title} ({p.name})", {}, lambda rule: record(rule, p, count, start=start, seed=seed)


def _on_gradients(
    gradients: ArrayLike | None, steps: int | None, start: Start | None
) -> tuple[str, Kinds, Run]:
    """The gradients in words, their coordinates' kinds, and how a rule is run on them."""
    if gradients is not None:
        given = table(gradients, steps)
        return "your gradients", {}, lambda rule: fed(rule, given, start)
    kinds, built_in = probes(steps or probe_gradients.STEPS)
    at = probe_gradients.starts(built_in.shape[1]) if start is None else start
    return "the built-in gradients", kinds, lambda rule: fed(rule, built_in, at)


def _diff(a: Side, b: Side, source: str, kinds: Kinds, run: Run, has_loss: bool) -> Diff:
    """Run both rules, and what lies between them where their paths are not the same."""
    pair = run_both(a, b, kinds, run)
    parts, agreement = [], None
    if not np.array_equal(*pair.paths):
        from_a, from_b, first_move = pair.distances()
        parts = causes(a.rule, b.rule, from_a(b.rule), from_a, from_b)
        agreement = follow(a, b, from_a, first_move)
    return Diff(
        a,
        b,
        source,
        pair.kinds,
        pair.a.gradient[1 : pair.rows],
        *pair.paths,
        pair.sizes,
        settings=settings(a, b),
        causes=parts,
        agreement=agreement,
        loss=(float(pair.a.loss[-1]), float(pair.b.loss[-1])) if has_loss else None,
        note=pair.note,
    )


def _command(
    a: Rule | str,
    b: Rule | str,
    problem: Problem | str | None,
    same: Mapping[str, Any],
    steps: int | None,
    seed: int,
) -> str:
    """The command line that makes this again; "" for what the command line cannot name."""
    texts = [rule if isinstance(rule, str) else spelling(rule) for rule in (a, b)]
    place = problem.source if isinstance(problem, Problem) else problem
    name: object = place
    if isinstance(place, Source) and place == Source(place.name, content=place.content):
        name = place.name
    if not all(texts) or (problem is not None and not isinstance(name, str)):
        return ""
    parts = ["thalweg", "diff", *texts]
    if isinstance(name, str):
        parts += ["--problem", name, "--seed", str(seed)]
    if same:
        parts += ["--same", ",".join(f"{n}={v}" for n, v in same.items())]
    if steps is not None:
        parts += ["--steps", str(steps)]
    return shlex.join(parts)


# What the command line gives.


def from_file(path: str | os.PathLike[str]) -> Array:
    """Gradients from a .npy file; FileError."""
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({files.reason(error)})") from None
    except (ValueError, EOFError):
        raise FileError(f"{path}: is not a .npy file of numbers; write one with numpy.save") from None
    if not isinstance(array, np.ndarray):
        raise FileError(f"{path}: holds several arrays; a .npy file holds one")
    return array


def settings_of(text: str) -> dict[str, Any]:
    """What ``lr=0.1,beta=0.9`` says; HyperparameterError."""
    try:
        return rules.spelled(f"same({text})")[2]
    except HyperparameterError:
        raise HyperparameterError(
            f"same: must be names with numbers, as in lr=0.1,beta=0.9, got {text!r}"
        ) from None
