"""What a step was, tensor by tensor, from samples before and after it: by the formula that made it.

The rule's own printed step runs once more on the samples: its rate is the one that was used, and where it lands is
compared with where the weights went, so that a formula that is not the optimizer's is noticed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...core.formula import Formula
from ...core.pieces import own
from ...core.rule import Rule
from ...core.started import Started
from ...core.update import Update, rate_afterwards
from ...engines.cpu.dense import batch
from ...engines.cpu.segments import sums
from ...engines.ops import applied, vectorised
from ...optimizer.observing import Part
from ..record import softeners
from ..watch_result import FIELDS, Array
from .summed import LOOK, SHARE, TURN

SHARES = (0.1, 0.5, 0.9)
COMPILED = 1 << 12  # coordinates from which on a step is worth half a second of compiling, once a machine


def quantities(part: Part, counts: Sequence[int], sizes: Sequence[int]) -> Array:
    """Return FIELDS for each of a part's tensors, (tensors, FIELDS), NaN where one cannot be told."""
    cut = segments(tuple(map(counts.__getitem__, part.tensors)))
    w, after, g = part.before["w"], part.after["w"], part.before.get("g")
    told = _Told()
    with np.errstate(all="ignore"):
        if part.started is not None:
            told = _by_states(part.started, part) if g is None else _by_formula(part.started, part)
        given = {"w": w, "after": after, "g": g, **told._asdict()}
        # What is summed of an array that is not known is left out below.
        known = {n: w if x is None else x for n, x in given.items()}
        total = cut.sums(LOOK, known, (part.rounding,))
        moved, size = np.sqrt(total["moved"]), np.sqrt(total["size"])
        values: dict[str, Array] = {"relative_update": np.where(size > 0, moved / size, np.nan)}
        if g is not None:
            whole = np.array([sizes[i] for i in part.tensors]) / cut.lengths
            values["gradient_norm"] = np.sqrt(total["gradient"] * whole)
            values["dead"] = total["still"] / cut.lengths
        if told.expected is not None:
            missed = np.sqrt(total["off"])
            values["missed"] = np.where(missed > 0, missed / moved, missed)
        if told.step is not None:
            values["momentum_cosine"] = (
                total["along"] / np.sqrt(total["average"]) / np.sqrt(total["gradient"])
            )
        if told.rate is not None:
            values |= zip(("rate_low", "rate", "rate_high"), cut.quantiles(told.rate, SHARES), strict=True)
        if told.rate is not None and told.alone is not None:
            live = cut.lengths if g is None else np.maximum(cut.lengths - total["still"], 1)
            values["eps_share"] = total["ruled"] / live
            if np.any(total["ruled"]):  # what to say of others is never asked
                (share,) = vectorised(SHARE)(w, after, known["g"], told.rate, told.alone)
                (values["eps_room"],) = cut.quantiles(
                    np.where(share > 0, (1 - share) / share, np.inf), (0.5,)
                )
    table = np.full((len(cut.lengths), len(FIELDS)), np.nan)
    for n, column in values.items():
        table[:, FIELDS.index(n)] = column
    return table


class _Told(NamedTuple):
    """What the formula tells of a look's coordinates, (n,) each, as ``summed`` has them; None where it cannot."""

    expected: Array | None = None
    step: Array | None = None
    rate: Array | None = None
    alone: Array | None = None


def _by_formula(started: Started, part: Part) -> _Told:
    """Return what takes the step once more: where it leads, what it is made of, and its rates."""
    w = part.before["w"]
    run = _running(started.update, w.size)
    scalars = dict(zip(started.update.scalars, started.scalars(part.t), strict=True))
    after = run(part.before, scalars)
    rate = after.get("_rate")
    if rate is None:
        return _Told(after["w"])
    # Decay that only shrinks w is no part of the step.
    if "weight_decay" in started.rule.parts.hyperparameters:
        step = -run({**part.before, "w": np.zeros_like(w)}, scalars)["w"]
    else:
        step = (scalars[own("keep")] * w if started.options.decoupled else w) - after["w"]
    bare = _bare(started.rule, scalars)
    alone = None if bare is None else run(part.before, bare)["_rate"]
    return _Told(after["w"], step, rate, alone)


def _by_states(started: Started, part: Part) -> _Told:
    """Return what the states after a step tell where its gradient is not known: its rates."""
    told = rate_afterwards(started.update)
    if told is None:
        return _Told()
    scalars = dict(zip(started.update.scalars, started.scalars(part.t), strict=True))
    bare = _bare(started.rule, scalars)
    alone = None if bare is None else _evaluated(told, part.after, bare)
    return _Told(rate=_evaluated(told, part.after, scalars), alone=alone)


def _evaluated(rate: Formula, states: Mapping[str, Array], scalars: Mapping[str, float]) -> Array:
    """Return a rate from the states that a step has left."""
    (value,) = vectorised(rate)(*(states[n] for n in rate.inputs), *(scalars[n] for n in rate.scalars))
    return np.broadcast_to(value, states["w"].shape)


def _bare(rule: Rule, scalars: Mapping[str, float]) -> Mapping[str, float] | None:
    """Return a step's scalars with its epsilons 0; None where they are so."""
    eps = epsilons(rule)
    return {**scalars, **dict.fromkeys(eps, 0.0)} if any(eps.values()) else None


Run = Callable[[Mapping[str, Array], Mapping[str, float]], Mapping[str, Array]]


def _running(update: Update, size: int) -> Run:
    """Return a step on so many coordinates: from arrays and scalars by name to new weights and the rate."""
    return applied(update) if size < COMPILED else _compiled(update, size)


@lru_cache(maxsize=16)
def _compiled(update: Update, size: int) -> Run:
    """``_running`` by the engine's kernel, on arrays that are kept from look to look."""
    arrays = {n: np.empty(size) for n in update.arrays if n != "g"}
    whole = batch(update, np.dtype(np.float64), [arrays])

    def run(given: Mapping[str, Array], scalars: Mapping[str, float]) -> Mapping[str, Array]:
        for n, values in given.items():
            if n != "g":
                arrays[n][:] = values
        whole.bind(0, given["g"])
        whole.run([tuple(scalars[n] for n in update.scalars)], [0])
        return {n: arrays[n].copy() for n in ("w", "_rate") if n in arrays}

    return run


def turns(before: Part, after: Part, counts: Sequence[int]) -> Array:
    """Return which share of a gradient turns its sign from one step to the next, and their cosine: (tensors, 2).

    The parts are the same tensors at both steps.
    """
    cut = segments(tuple(map(counts.__getitem__, before.tensors)))
    total = cut.sums(TURN, {"a": before.before["g"], "b": after.before["g"]})
    with np.errstate(all="ignore"):
        turned = total["turned"] / total["there"]
        cosine = total["product"] / np.sqrt(total["before"]) / np.sqrt(total["after"])
    return np.stack([turned, cosine], axis=1)


def epsilons(rule: Rule) -> dict[str, float]:
    """Return the epsilons beside a gradient's size, by name, as they stand at the start."""
    now = rule.at(0)
    return {n: now[n] for n in softeners(rule)}


def where_eps_rules(started: Started) -> str:
    """Return what a method is where epsilon is the whole denominator: with momentum if it moves without a gradient."""
    one = np.ones(1)
    arrays = {**dict.fromkeys(started.update.arrays, one), "w": 0 * one, "g": 0 * one}
    scalars = dict(zip(started.update.scalars, started.scalars(2), strict=True))
    return "momentum SGD" if applied(started.update)(arrays, scalars)["w"][0] != 0 else "plain SGD"


class Segments:
    """Samples one behind the other, and what is taken over each of them: (n,) → (segments,)."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.lengths = lengths = np.array(counts)
        self._edges = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        # Segments of similar lengths are sorted together, as rows that are filled up from a place behind all.
        size = int(self._edges[-1])
        self._alike: list[tuple[Array, Array]] = []
        classes = np.frexp(lengths)[1]
        for each in np.unique(classes):
            rows = np.flatnonzero(classes == each)
            columns = np.arange(int(lengths[rows].max()))
            places = np.where(columns < lengths[rows, None], self._edges[rows, None] + columns, size)
            self._alike.append((rows, places))

    def sums(
        self, formula: Formula, arrays: Mapping[str, Array], scalars: Sequence[float] = ()
    ) -> dict[str, Array]:
        """The sum over each of a formula's outputs, by name."""
        return sums(formula, arrays, scalars, self._edges)

    def quantiles(self, values: Array, shares: Sequence[float]) -> list[Array]:
        """The value that each share of a segment is not above, for each share."""
        narrow = np.empty(len(values) + 1, dtype=np.float32)
        narrow[:-1], narrow[-1] = values, np.nan  # NaN sorts behind all numbers
        quantiles = np.empty((len(shares), len(self.lengths)))
        for rows, places in self._alike:
            ordered = narrow.take(places)
            ordered.sort(axis=1)
            for k, share in enumerate(shares):
                at = ((self.lengths[rows] - 1) * share).round().astype(int)
                quantiles[k, rows] = ordered[np.arange(len(rows)), at]
        return list(quantiles)


@lru_cache(maxsize=64)
def segments(lengths: tuple[int, ...]) -> Segments:
    """Return segments of these lengths, which a run asks for again and again."""
    return Segments(lengths)
