"""Where two rules part, as plain data: both paths, what differs, and what makes the second follow the first.

A distance is a share of the largest |w| on either path (coordinate by coordinate where each has gradients of
its own kind), or is counted in float32 ulps: of the largest of |w|, |w'| and their last moves, since near
zero a plain ulp means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core.dialect import Row
from ..core.line import Scalar
from ..core.rule import Rule

Array = np.ndarray[Any, Any]
Shares = Mapping[str, float]  # of each kind of gradients: the largest distance in a run

ROUNDING = 1e-11  # below this share of the path's largest |w| two float64 paths are one
ULP = 2.0**-23  # of float32, as a share


def value_text(value: object) -> str:
    """A setting's value: ten digits at most."""
    if isinstance(value, tuple):
        return f"({', '.join(map(value_text, value))})"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def shares(a: Array, b: Array, sizes: Array) -> Array:
    """Distances between two paths (T, d) as shares of ``sizes`` (d,); inf where they are no numbers."""
    with np.errstate(all="ignore"):
        share = np.abs(a - b) / np.where(sizes > 0, sizes, 1.0)
    return np.where(np.isnan(share), np.inf, share)


def ulps(a: Array, b: Array) -> Array:
    """Distances between two paths (T, d) in float32 ulps of the largest of |a|, |b| and their last moves."""
    size = np.maximum(np.abs(a), np.abs(b))
    for path in (a, b):
        size[1:] = np.maximum(size[1:], np.abs(np.diff(path, axis=0)))
    _, power = np.frexp(np.maximum(size, float(np.finfo(np.float32).tiny)))
    with np.errstate(all="ignore"):
        counted: Array = np.abs(a - b) / np.ldexp(ULP, power - 1)
    return counted


@dataclass(frozen=True)
class Side:
    """A rule under the name it was given; ``world``: the dialect whose argument names it carries, or ""."""

    name: str
    rule: Rule
    world: str = ""

    @property
    def row(self) -> Row | None:
        """The dialect's row; None where the rule belongs to no world."""
        return self.rule.parts.dialects.get(self.world)

    @property
    def arguments(self) -> dict[str, str]:
        """What this world calls each line that it lets one set; without a world the lines' own names."""
        return {line: name for name, lines in self.targets.items() for line in lines}

    @property
    def targets(self) -> dict[str, tuple[str, ...]]:
        """The lines that each argument of this world sets; without a world each line sets itself."""
        if self.row is None:
            return {n: (n,) for n in self.rule.parts.lines}
        return {n: (line,) if isinstance(line, str) else tuple(line) for n, line in self.row.names.items()}


@dataclass(frozen=True)
class Setting:
    """One line on both sides; None where a rule has no such line, "" where its world has no argument for it."""

    line: str
    unit: str
    a: Scalar | None
    b: Scalar | None
    a_name: str
    b_name: str

    @property
    def text(self) -> tuple[str, str]:
        """Both sides in words, with the world's name for the line where that is another."""
        a, b = (
            "–" if v is None else value_text(v) + (f" ({name})" if name and name != self.line else "")
            for v, name in ((self.a, self.a_name), (self.b, self.b_name))
        )
        return a, b


@dataclass(frozen=True)
class Cause:
    """Something that differs. ``a``, ``b``: both sides of it in words; ``share``: its part of the difference."""

    title: str
    a: str
    b: str
    share: Shares


@dataclass(frozen=True)
class Agreement:
    """What to set in B's world to follow A, and how far apart that leaves them.

    ``barred``: what cannot be set. ``others``: what else was tried, with what that leaves.
    """

    settings: Mapping[str, Any]
    rule: Rule
    left: Shares
    barred: tuple[str, ...] = ()
    others: tuple[Agreement, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the paths are the same up to rounding."""
        return max(self.left.values()) <= ROUNDING

    @property
    def text(self) -> str:
        """The settings as they are written: ``rho=0.99, epsilon=1e-16``."""
        return ", ".join(f"{n}={value_text(v)}" for n, v in self.settings.items())


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
class DiffResult:
    """Two rules on the same gradients, or on the same problem.

    ``path_a``, ``path_b`` (T + 1, d) float64, row 0 the start; ``gradients`` (T, d) are those of A.
    ``sizes`` (d,): the largest |w| that distances are shares of. ``kinds``: names of the coordinates that
    belong together, with their slices. ``loss``: of a problem, at both ends. ``note``: why a run ended early.
    ``command``: the command line that makes this again; "" for what the command line cannot name.
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
        return shares(self.path_a, self.path_b, self.sizes)

    @cached_property
    def ulps(self) -> Array:
        """Distances in float32 ulps: (T + 1, d)."""
        return ulps(self.path_a, self.path_b)

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
        """Return the first step of ``apart`` (T + 1, d) that is true anywhere, at its worst coordinate."""
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
