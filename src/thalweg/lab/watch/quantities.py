"""What a step was, tensor by tensor, from samples before and after it: by the formula that made it.

The rule's own printed step runs once more on the samples: its rate is the one that was used, and where it lands is
compared with where the weights went, so that a formula that is not the optimizer's is noticed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from ...core.formula import Formula
from ...core.pieces import own
from ...core.rule import Rule
from ...core.started import Started
from ...core.update import Update, rate_afterwards
from ...engines.ops import applied, vectorised
from ...optimizer.observing import Part
from ..record import softeners
from ..watch_result import FIELDS, Array

SHARES = (0.1, 0.5, 0.9)
CHUNK = 1 << 14  # coordinates


def quantities(part: Part, counts: Sequence[int], sizes: Sequence[int]) -> Array:
    """Return FIELDS for each of a part's tensors, (tensors, FIELDS), NaN where one cannot be told."""
    cut = segments(tuple(counts[i] for i in part.tensors))
    lengths = cut.lengths
    w, g = part.before["w"], part.before.get("g")
    values: dict[str, Array] = {}
    with np.errstate(all="ignore"):
        update = part.after["w"] - w
        moved, size = cut.norm(update), cut.norm(w)
        values["relative_update"] = np.where(size > 0, moved / size, np.nan)
        if g is not None:
            whole = np.array([sizes[i] for i in part.tensors]) / lengths
            values["gradient_norm"] = cut.norm(g) * np.sqrt(whole)
            values["dead"] = cut.mean((g == 0) & (update == 0))
        if part.started is not None and g is not None:
            values |= _by_formula(part.started, part, cut, g, moved)
        elif part.started is not None:
            values |= _by_states(part.started, part, cut)
    table = np.full((len(lengths), len(FIELDS)), np.nan)
    for n, column in values.items():
        table[:, FIELDS.index(n)] = column
    return table


def _by_formula(started: Started, part: Part, cut: "Segments", g: Array, moved: Array) -> dict[str, Array]:
    """Return what takes the step once more: rates, epsilon's share, momentum, and how far the weights are from it."""
    values: dict[str, Array] = {}
    run = _in_chunks(started.update)
    scalars = dict(zip(started.update.scalars, started.scalars(part.t), strict=True))
    w = part.before["w"]
    after = run(part.before, scalars)
    off = np.maximum(np.abs(after["w"] - part.after["w"]) - 4 * part.rounding * np.abs(w), 0.0)
    missed = cut.norm(off)
    values["missed"] = np.where(missed > 0, missed / moved, missed)
    rate = after.get("_rate")
    if rate is None:
        return values
    # A step is -rate * m, m the gradient or the method's average of it; decay that only shrinks w is no part of it.
    if "weight_decay" in started.rule.parts.hyperparameters:
        step = -run({**part.before, "w": np.zeros_like(w)}, scalars)["w"]
    else:
        step = (scalars[own("keep")] * w if started.options.decoupled else w) - after["w"]
    m = step / rate
    values["momentum_cosine"] = cut.sum(m * g) / (cut.norm(m) * cut.norm(g))
    told = rate_afterwards(started.update)

    def bare(without: Mapping[str, float]) -> Array:
        return run(part.before, without)["_rate"] if told is None else _evaluated(told, after, without)

    return values | _rates(started.rule, cut, rate, scalars, bare)


def _by_states(started: Started, part: Part, cut: "Segments") -> dict[str, Array]:
    """Return what the states after a step tell where its gradient is not known: rates and epsilon's share."""
    told = rate_afterwards(started.update)
    if told is None:
        return {}
    scalars = dict(zip(started.update.scalars, started.scalars(part.t), strict=True))
    size = part.before["w"].size

    def evaluated(values: Mapping[str, float]) -> Array:
        return np.broadcast_to(_evaluated(told, part.after, values), size)

    return _rates(started.rule, cut, evaluated(scalars), scalars, evaluated)


def _evaluated(rate: Formula, states: Mapping[str, Array], scalars: Mapping[str, float]) -> Array:
    """Return a rate from the states that a step has left."""
    (value,) = vectorised(rate)(*(states[n] for n in rate.inputs), *(scalars[n] for n in rate.scalars))
    return np.asarray(value)


def _rates(
    rule: Rule,
    cut: "Segments",
    rate: Array,
    scalars: Mapping[str, float],
    bare: Callable[[Mapping[str, float]], Array],
) -> dict[str, Array]:
    """Return quantiles of a rate, and epsilon's share in it; ``bare`` gives the rate under other scalars."""
    values = dict(zip(("rate_low", "rate", "rate_high"), cut.quantiles(rate, SHARES), strict=True))
    eps = epsilons(rule)
    if any(eps.values()):
        alone = bare({**scalars, **dict.fromkeys(eps, 0.0)})
        share = np.where(rate == alone, 0.0, np.where(alone == 0, 1.0, 1 - rate / alone))
        values["eps_share"] = cut.mean(share > 0.5)
        if np.any(values["eps_share"] > 0):  # what to say of others is never asked
            room = np.where(share > 0, (1 - share) / share, np.inf)
            (values["eps_room"],) = cut.quantiles(room, (0.5,))
    return values


def _in_chunks(update: Update) -> Callable[[Mapping[str, Array], Mapping[str, float]], dict[str, Array]]:
    """Return an update as ``applied`` has it, a few coordinates after the other: intermediate results stay in a cache."""
    whole = applied(update)

    def run(arrays: Mapping[str, Array], scalars: Mapping[str, float]) -> dict[str, Array]:
        size = arrays["w"].size
        results = {n: np.empty(size) for n in update.written}
        for low in range(0, size, CHUNK):
            here = slice(low, low + CHUNK)
            for n, values in whole({n: x[here] for n, x in arrays.items()}, scalars).items():
                results[n][here] = values
        return results

    return run


def turns(before: Part, after: Part, counts: Sequence[int]) -> Array:
    """Return which share of a gradient turns its sign from one step to the next, and their cosine: (tensors, 2).

    The parts are the same tensors at both steps.
    """
    cut = segments(tuple(counts[i] for i in before.tensors))
    a, b = before.before["g"], after.before["g"]
    with np.errstate(all="ignore"):
        there = (a != 0) & (b != 0)
        turned = cut.sum(there & ((a > 0) != (b > 0))) / cut.sum(there)
        cosine = cut.sum(a * b) / (cut.norm(a) * cut.norm(b))
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
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self._rows = np.repeat(np.arange(len(lengths)), lengths)
        self._places = np.arange(int(lengths.sum())) - np.repeat(self._starts, lengths)

    def sum(self, values: Array) -> Array:
        """The sum over each."""
        return np.asarray(np.add.reduceat(np.asarray(values, dtype=float), self._starts))

    def mean(self, values: Array) -> Array:
        """The mean over each."""
        means: Array = self.sum(values) / self.lengths
        return means

    def norm(self, values: Array) -> Array:
        """The Euclidean norm of each."""
        norms: Array = np.sqrt(self.sum(values * values))
        return norms

    def quantiles(self, values: Array, shares: Sequence[float]) -> list[Array]:
        """The value that each share of a segment is not above, for each share."""
        table = np.full((len(self.lengths), int(self.lengths.max())), np.nan, dtype=np.float32)
        table[self._rows, self._places] = values  # NaN sorts behind all numbers
        table.sort(axis=1)
        rows = np.arange(len(self.lengths))
        return [table[rows, ((self.lengths - 1) * share).round().astype(int)] for share in shares]


@lru_cache(maxsize=64)
def segments(lengths: tuple[int, ...]) -> Segments:
    """Return segments of these lengths, which a run asks for again and again."""
    return Segments(lengths)
