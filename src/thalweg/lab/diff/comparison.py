"""Where two rules part: the same gradients through both, step by step.

Both run in float64, so that what is seen is the formulas' difference and not rounding. A distance is a
share of the largest |w| on either path (coordinate by coordinate where each has gradients of its own kind),
or is counted in float32 ulps: of the largest of |w|, |w'| and their last moves, since near zero a plain ulp
means nothing.
"""

from __future__ import annotations

import json as json_format
import os
import shlex
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from numbers import Integral
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from ... import files, rules
from ...core.line import short
from ...core.rule import Rule
from ...errors import FileError, GradientError, HyperparameterError, NonFiniteError, ProblemError
from ...problems import Problem
from ...problems import problem as named
from ...problems.base import stream
from ..formatting import listing
from ..pictures.panels import Picture
from ..record import Record, fed, record
from . import differences
from . import probe_gradients as streams
from . import wording as words
from .differences import ROUNDING, Agreement, Cause, Setting, Shares, Side
from .wording import ULP

Array = np.ndarray[Any, Any]

SUFFIXES = (".html", ".json", ".svg", ".pdf", ".png")
MOST = 100_000  # steps


@dataclass(frozen=True)
class Parting:
    """A step and coordinate at which the paths differ: the gradient there, w before the step and after it."""

    step: int
    coordinate: str
    gradient: float
    before: float
    a: float
    b: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two rules on the same gradients, or on the same problem.

    ``path_a``, ``path_b`` (T + 1, d) float64, row 0 the start; ``gradients`` (T, d) are those of A.
    ``sizes`` (d,): the largest |w| that distances are shares of. ``kinds``: names of the coordinates that
    belong together, with their slices. ``loss``: of a problem, at both ends. ``note``: why a run ended early.
    """

    a: Side
    b: Side
    source: str
    kinds: Mapping[str, slice]
    gradients: Array
    path_a: Array
    path_b: Array
    sizes: Array
    settings: Sequence[Setting]
    causes: Sequence[Cause]
    agreement: Agreement | None
    loss: tuple[float, float] | None = None
    note: str = ""
    command: str = ""

    @property
    def steps(self) -> int:
        """Steps that both were run for."""
        return len(self.path_a) - 1

    @cached_property
    def share(self) -> Array:
        """Distances as a share of the largest |w|: (T + 1, d)."""
        return _shares(self.path_a, self.path_b, self.sizes)

    @cached_property
    def ulps(self) -> Array:
        """Distances in float32 ulps: (T + 1, d)."""
        return _ulps(self.path_a, self.path_b)

    @property
    def growth(self) -> dict[str, Array]:
        """Of each kind, the largest share after each step: (T + 1,)."""
        return {n: self.share[:, k].max(axis=1) for n, k in self.kinds.items()}

    @property
    def milestones(self) -> list[int]:
        """Steps worth a column: 1, 10, 100, ... and the last."""
        powers = [10**k for k in range(6) if 10**k < self.steps]
        return [*powers, self.steps]

    def ulps_of(self, kind: str) -> Array:
        """Of a kind, the most float32 ulps after each step: (T + 1,)."""
        worst: Array = self.ulps[:, self.kinds[kind]].max(axis=1)
        return worst

    @property
    def parts(self) -> dict[str, float]:
        """Of each kind, the largest share in the run."""
        return {n: float(g.max()) for n, g in self.growth.items()}

    @property
    def verdict(self) -> str:
        """ "identical" (bit for bit), "equal up to rounding", or "different"."""
        if np.array_equal(self.path_a, self.path_b):
            return "identical"
        return "equal up to rounding" if self.share.max() <= ROUNDING else "different"

    @property
    def first(self) -> Parting | None:
        """The first step at which any bit differs, where the share is largest; None where none does."""
        return self._parting(self.path_a != self.path_b)

    @property
    def seen(self) -> Parting | None:
        """The first step after which float32 would show it: a distance of an ulp or more; None if never."""
        return self._parting(self.ulps >= 1)

    def _parting(self, apart: Array) -> Parting | None:
        steps = np.flatnonzero(apart.any(axis=1))
        if not steps.size:
            return None
        t = int(steps[0])
        i = int(np.argmax(np.where(apart[t], self.share[t], -1.0)))
        a, b = float(self.path_a[t, i]), float(self.path_b[t, i])
        before, g = float(self.path_a[t - 1, i]), float(self.gradients[t - 1, i])
        return Parting(t, self.coordinate(i), g, before, a, b)

    def coordinate(self, i: int) -> str:
        """A coordinate's name: its kind and its place there."""
        kind, k = next((n, k) for n, k in self.kinds.items() if k.start <= i < k.stop)
        return f"{kind}[{i - k.start}]"

    @property
    def sentences(self) -> dict[str, str]:
        """In words: "verdict", "first" step, "why", and how to "agree"; what there is to say of these."""
        told = {
            "verdict": words.verdict(self),
            "first": words.first(self),
            "why": words.why(self),
            "agree": words.agree(self),
        }
        return {n: text for n, text in told.items() if text}

    @property
    def picture(self) -> Picture:
        """Growth of the difference, both paths where they part most, and what each setting explains."""
        return words.picture(self)

    def __repr__(self) -> str:
        rows = [["", self.a.name, self.b.name]]
        rows += [[s.line, *s.text] for s in self.settings if s.a != s.b]
        width = [max(len(r[k]) for r in rows) for k in range(3)]
        table = ["  ".join(f"{x:<{w}}" for x, w in zip(r, width, strict=True)).rstrip() for r in rows]
        return "\n".join([*(table if len(table) > 1 else []), *self.sentences.values()])

    def _repr_html_(self) -> str:
        from ..reports.diff import fragment

        return fragment(self)

    def html(self) -> str:
        """The report: one self-contained page."""
        from ..reports.diff import page

        return page(self)

    def json(self) -> str:
        """The numbers as JSON; what is not finite is null."""
        return json_format.dumps(words.data(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page (.html), the numbers (.json) or the picture (.svg, .pdf, .png); FileError."""
        target = _checked(path)
        if target.suffix.lower() in (".html", ".json"):
            text = self.html() if target.suffix.lower() == ".html" else self.json()
            files.write(target, lambda file: file.write(text.encode()))
        else:
            from ..pictures import write

            write(self.picture, target)
        return target

    def show(self) -> Path:
        """Open the page in the browser; where it was written."""
        path = self.save(Path(mkdtemp(prefix="thalweg-")) / "diff.html")
        webbrowser.open(path.as_uri())
        return path


def compare(
    rule_a: Rule | str,
    rule_b: Rule | str,
    *,
    gradients: Any = None,
    problem: Problem | str | None = None,
    same: Mapping[str, Any] | None = None,
    steps: int | None = None,
    start: Any = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    json: str | os.PathLike[str] | None = None,
) -> Comparison:
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
        raise HyperparameterError(f"compare: same must be a dict such as {{'lr': 0.1}}, got {short(same)}")
    a, b = differences.told_apart(
        *(differences.with_same(differences.side(r), same or {}) for r in (rule_a, rule_b))
    )
    for path in (out, json):
        if path is not None:
            _checked(path)
    if gradients is not None and problem is not None:
        raise HyperparameterError("compare: gradients and problem: give one of them")
    try:
        stream(seed, 0)  # a bad seed is told before anything runs
    except ProblemError as error:
        raise HyperparameterError(str(error)) from None
    if steps is not None and (not isinstance(steps, Integral) or not 1 <= steps <= MOST):
        raise HyperparameterError(f"steps={steps!r}: a whole number in 1 .. {MOST} is needed")
    kinds: dict[str, slice] = {}
    if problem is not None:
        p = problem if isinstance(problem, Problem) else named(problem)
        count = min(p.steps, streams.STEPS) if steps is None else int(steps)
        source = f"{p.title} ({p.name})"

        def run(rule: Rule) -> Record:
            return record(rule, p, count, start=start, seed=seed)
    else:
        source, kinds, given = _stream(gradients, steps)
        at = streams.starts(given.shape[1]) if start is None and gradients is None else start

        def run(rule: Rule) -> Record:
            return fed(rule, given, at)

    made = _compared(a, b, source, kinds, run, problem is not None)
    if gradients is None and start is None:
        made = replace(made, command=_command(rule_a, rule_b, problem, same or {}, steps, seed))
    for path in (out, json):
        if path is not None:
            made.save(path)
    return made


# What the command line gives.


def from_file(path: str | os.PathLike[str]) -> Array:
    """Gradients from a .npy file; FileError."""
    try:
        made = np.load(path, allow_pickle=False)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({files.reason(error)})") from None
    except ValueError:
        raise FileError(f"{path}: is no .npy file of numbers; write one with numpy.save") from None
    if not isinstance(made, np.ndarray):
        raise FileError(f"{path}: holds several arrays; a .npy file holds one")
    return made


def settings_of(text: str) -> dict[str, Any]:
    """What ``lr=0.1,beta=0.9`` says; HyperparameterError."""
    try:
        return rules.spelled(f"same({text})")[2]
    except HyperparameterError:
        raise HyperparameterError(
            f"same: got {text!r}; names with numbers are needed, as in lr=0.1,beta=0.9"
        ) from None


# Both paths.


def _stream(gradients: Any, steps: int | None) -> tuple[str, dict[str, slice], Array]:
    if gradients is None:
        made = streams.kinds(steps or streams.STEPS)
        ends = np.cumsum([0, *(g.shape[1] for g in made.values())])
        kinds = {n: slice(int(i), int(j)) for n, i, j in zip(made, ends, ends[1:], strict=False)}
        return "the built-in gradients", kinds, np.concatenate(list(made.values()), axis=1)
    try:
        if np.iscomplexobj(gradients):
            raise TypeError
        given = np.asarray(gradients, dtype=float)
    except (TypeError, ValueError):
        raise GradientError(
            f"gradients: an array (T, ...) of numbers is needed, got {type(gradients)}"
        ) from None
    if given.ndim == 0 or not given.size:
        raise GradientError(f"gradients: an array (T, ...) of numbers is needed, got shape {given.shape}")
    given = given.reshape(len(given), -1)
    if not np.all(np.isfinite(given)):
        t, i = np.argwhere(~np.isfinite(given))[0]
        raise NonFiniteError(f"gradients: {given[t, i]} at step {t + 1}, coordinate {i}; all must be finite")
    if steps is not None and steps > len(given):
        raise HyperparameterError(f"steps={steps}: there are {len(given)} gradients")
    return "your gradients", {}, given[:steps]


def _compared(
    a: Side, b: Side, source: str, kinds: dict[str, slice], run: Callable[[Rule], Record], lossy: bool
) -> Comparison:
    of_a, of_b = run(a.rule), run(b.rule)
    count = min(len(of_a.weights), len(of_b.weights))
    good = np.isfinite(of_a.weights[:count]).all(axis=1) & np.isfinite(of_b.weights[:count]).all(axis=1)
    end = count if good.all() else int(np.argmin(good))
    note = ""
    if end == 0:
        raise HyperparameterError("start: finite numbers are needed")
    if end == 1:
        raise HyperparameterError(
            f"{a.name}, {b.name}: a first step overflows, so there is nothing to compare; choose smaller learning rates"
        )
    if end < count or of_a.died or of_b.died:
        gone = [
            s.name for s, r in ((a, of_a), (b, of_b)) if r.died or not np.isfinite(r.weights[:count]).all()
        ]
        note = f"{listing(gone)} {'diverges' if len(gone) == 1 else 'diverge'} at step {end if end < count else count - 1}"
    paths = of_a.weights[:end], of_b.weights[:end]
    sizes = np.abs(np.concatenate(paths)).max(axis=0)
    if not kinds:
        kinds = {"w": slice(0, len(sizes))}
        sizes[:] = sizes.max()

    walked = lru_cache(maxsize=2)(lambda rule: run(rule).weights[:end])

    def far(of: Array, rule: Rule) -> Shares:
        """How far a rule's path is from one of these."""
        path = walked(rule)
        share = _shares(path, of[: len(path)], sizes)
        return {n: float(share[:, k].max()) for n, k in kinds.items()}

    causes: list[Cause] = []
    agreement = None
    if not np.array_equal(*paths):
        from_a, from_b = (partial(far, path) for path in paths)
        causes = differences.causes(a.rule, b.rule, from_a(b.rule), from_a, from_b)
        agreement = differences.follow(a, b, from_a, lambda rule: np.diff(walked(rule)[:2], axis=0)[0])
    return Comparison(
        a,
        b,
        source,
        kinds,
        of_a.gradient[1:end],
        *paths,
        sizes,
        settings=differences.settings(a, b),
        causes=causes,
        agreement=agreement,
        loss=(float(of_a.loss[-1]), float(of_b.loss[-1])) if lossy else None,
        note=note,
    )


# Distances.


def _shares(a: Array, b: Array, sizes: Array) -> Array:
    with np.errstate(all="ignore"):
        share = np.abs(a - b) / np.where(sizes > 0, sizes, 1.0)
    return np.where(np.isnan(share), np.inf, share)


def _ulps(a: Array, b: Array) -> Array:
    size = np.maximum(np.abs(a), np.abs(b))
    for path in (a, b):
        size[1:] = np.maximum(size[1:], np.abs(np.diff(path, axis=0)))
    _, power = np.frexp(np.maximum(size, float(np.finfo(np.float32).tiny)))
    with np.errstate(all="ignore"):
        counted: Array = np.abs(a - b) / np.ldexp(ULP, power - 1)
    return counted


def _command(
    a: Rule | str, b: Rule | str, problem: Any, same: Mapping[str, Any], steps: int | None, seed: int
) -> str:
    """The command that makes this comparison again; "" for what the command line cannot name."""
    if not (isinstance(a, str) and isinstance(b, str) and (problem is None or isinstance(problem, str))):
        return ""
    parts = ["thalweg", "diff", a, b]
    if problem is not None:
        parts += ["--problem", problem, "--seed", str(seed)]
    if same:
        parts += ["--same", ",".join(f"{n}={v}" for n, v in same.items())]
    if steps is not None:
        parts += ["--steps", str(steps)]
    return shlex.join(parts)


def _checked(path: str | os.PathLike[str]) -> Path:
    """A path that a comparison can be written to; FileError."""
    target = files.require_writable(path)
    if target.suffix.lower() not in SUFFIXES:
        raise FileError(f"{target}: a comparison is saved as {' '.join(SUFFIXES)}")
    return target
