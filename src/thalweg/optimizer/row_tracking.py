"""A parameter that sparse gradients train: which rows are behind, and what brings them up to date."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.catch_up import Exact, plan, rests
from ..core.rule import Rule
from ..core.step_options import StepOptions
from ..core.update import Update
from ..engines.cpu.compile import real_of
from ..engines.cpu.gather import Gatherer
from ..engines.cpu.sparse import Table, stands
from ..engines.memory import Array
from .gradients import SparseGradient


class ParameterLayout(NamedTuple):
    """Where a parameter lies: a dtype's name, the addresses of its update's arrays but g, its shape.

    ``fortran``: its axes run backwards in memory. ``keep`` holds the arrays alive.
    """

    stored: str
    addresses: Sequence[int]
    shape: tuple[int, ...]
    fortran: bool = False
    keep: Any = None

    @property
    def wide(self) -> int:
        """Coordinates in a row of the parameter."""
        return math.prod(self.shape[1:])


def moves(rule: Rule, parts: StepOptions, exact: Exact) -> bool:
    """Whether a weight moves without a gradient."""
    idle = rule.idle
    still = idle is not None and rests(idle, rule.parts.states)
    return exact != "lazy" and (parts.coupled or parts.decoupled or parts.metric or not still)


class RowTracker:
    """One parameter that sparse gradients train: what is behind, and how it catches up."""

    def __init__(
        self,
        place: ParameterLayout,
        rule: Rule,
        parts: StepOptions,
        update: Update,
        exact: Exact,
        scalars: Sequence[Sequence[float]],
        width: int,
        t: int,
        fresh: bool,
    ) -> None:
        self.place, self._update, self._exact = place, update, exact
        self.bits = int(np.finfo(real_of(place.stored)).nmant) + 1  # of the mantissa
        self.plan = plan(rule, parts, exact, self.bits)
        start = {n: getattr(rule, n) for n in rule.parts.states}
        # Decay moves weights once lr is not 0, but by a gain of its own none that has seen no gradient; a row whose
        # rates are kept changes them at every step.
        decays = parts.coupled or parts.decoupled or bool(rule.values.get("weight_decay"))
        decays |= parts.metric and "_gain" not in update.arrays
        self.table = Table(
            rule.parts,
            update,
            self.plan,
            place.stored,
            place.addresses,
            math.prod(place.shape) // width,
            width,
            t=t,
            fresh=fresh and not (parts.rates or decays) and stands(update, start, scalars),
            keep=place.keep,
        )
        self.moves = moves(rule, parts, exact)
        self._gatherer = Gatherer(place.stored, self.table.rows, width)
        self.pending: list[Array] = []  # rows whose gradients are gathered for a later step

    def goes_on(self, rule: Rule, parts: StepOptions, update: Update) -> bool:
        """Return whether rows go on catching up as they do once a rule has other values: steps taken are logged."""
        return update is self._update and plan(rule, parts, self._exact, self.bits) == self.plan

    def gathered(self, gradient: SparseGradient) -> SparseGradient:
        """A gradient with each row once, by rows or coordinates as they are kept track of here."""
        table = self.table
        if gradient.width != table.width:
            if gradient.width == 1:
                table.refine()
                self._gatherer = Gatherer(self.place.stored, table.rows, 1)
                self.pending = [_spread(rows, self.place.wide) for rows in self.pending]
            else:
                rows = _spread(gradient.rows, gradient.width)
                gradient = SparseGradient(rows, gradient.values.reshape(-1, 1), 1)
        rows, values = self._gatherer.gather(gradient.rows, gradient.values)
        return SparseGradient(rows, values, table.width)

    def gather_all(self) -> None:
        """Gradients of all rows are gathered for a later step."""
        self.pending = [np.arange(self.table.rows)]

    def of(self, indices: Array) -> Array:
        """The rows kept track of here that make up rows of the parameter."""
        place = self.place
        if self.table.width == place.wide:
            return indices
        if place.fortran:
            made: Array = (indices[:, None] + place.shape[0] * np.arange(place.wide)).ravel()
            return made
        return _spread(indices, place.wide)

    def catch_up(self, indices: Array) -> bool:
        """Bring rows of the parameter (int64, some perhaps twice) up to date; whether any was behind."""
        return self.table.catch_up(self.of(self._gatherer.distinct(indices)))

    def step(self, gradient: SparseGradient, scalars: Sequence[float], hyper: Mapping[str, float]) -> None:
        """One step with the gradient's rows touched."""
        constants = tuple(hyper[n] for n in self.plan.constants)
        self.table.step(gradient.rows, gradient.values, scalars, constants, hyper.get("lr", 1.0))


def _spread(rows: Array, width: int) -> Array:
    """Rows as their coordinates."""
    made: Array = (rows[:, None] * width + np.arange(width)).ravel()
    return made
