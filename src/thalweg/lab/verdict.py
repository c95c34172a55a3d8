"""Which of several methods is lower, from paired runs: one pure function, calibrated on simulated races.

A verdict holds at the settings that were run; that another tuning would have chosen others, it does not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from .paired import differences, holm, interval, median, signed_rank

Array = np.ndarray[Any, Any]
Word = Literal["better", "worse", "tie"]

LEVEL = 0.05  # the share of families of comparisons that may hold one false "better"
RELEVANT = 0.02  # the least relative difference that is worth a word
NEAR = 1e-8  # of the way from the start to the known minimum: nearer runs are equal


@dataclass(frozen=True)
class Measure:
    """How values of runs on one problem are compared; a run that failed is not finite.

    ratios: whether logarithms of ``value - zero`` are compared, or the values themselves. sign: -1 where higher is
    better. floor: what lies below it above ``zero`` counts as equal. relevant: the least median difference that is
    called one, on the scale compared.
    """

    ratios: bool
    sign: float = 1.0
    zero: float = 0.0
    floor: float = 5e-324
    relevant: float = float(np.log1p(RELEVANT))

    @classmethod
    def of_losses(cls, starts: Array, ends: Array, minimum: float | None, eps: float) -> "Measure":
        """The measure of final losses on a problem: fixed once, never pair by pair.

        starts, ends: losses of all runs of all methods, any shapes. minimum: of the loss, where it is known. eps: of
        the precision that runs are computed in. With a minimum the gaps above it are compared; without one the
        losses, if all are positive, and otherwise their plain differences.
        """
        first = float(np.median(starts[np.isfinite(starts)])) if np.isfinite(starts).any() else 0.0
        sound = ends[np.isfinite(ends)]
        if minimum is not None:
            floor = max(NEAR * abs(first - minimum), 16 * eps * max(abs(minimum), abs(first)), 5e-324)
            return cls(True, zero=minimum, floor=floor)
        if (sound > 0).all():
            return cls(True, floor=max(16 * eps * abs(first), 5e-324))
        return cls(False, relevant=RELEVANT * abs(first - float(np.median(sound))))

    def scaled(self, values: Array) -> Array:
        """Values of runs on the scale on which they are compared, lower ones better, +inf for runs that failed."""
        sound = np.where(np.isfinite(values), self.sign * values, np.inf)
        return np.log(np.maximum(sound - self.zero, self.floor)) if self.ratios else sound


@dataclass(frozen=True)
class Verdict:
    """Method a against method b over paired runs.

    verdict: of a. middle, low, high: the median of the differences a - b on the measure's scale, on which lower is
    better, and its signed-rank interval at the family's level. wins: pairs in which a is better, ties: in which both
    are equal. pairs: all.
    p: of the signed-rank test, adjusted for the family.
    """

    a: str
    b: str
    verdict: Word
    middle: float
    low: float
    high: float
    wins: int
    ties: int
    pairs: int
    p: float


def verdicts(values: Mapping[str, Sequence[float] | Array], measure: Measure) -> list[Verdict]:
    """Compare every two methods, in the order of the mapping: k (k - 1) / 2 verdicts at one family's level.

    values: for each method its runs' values (n,), of which those with the same index are a pair. All pairs are one
    family, since a best method that is picked from the same data wins too often against the others. "Better" and
    "worse" need a p value of at most ``LEVEL`` after Holm's correction and a median difference that is relevant.
    """
    arrays = {name: np.asarray(v, dtype=float) for name, v in values.items()}
    return of_couples([(a, b, arrays[a], arrays[b]) for a, b in combinations(arrays, 2)], measure)


def of_couples(couples: Sequence[tuple[str, str, Array, Array]], measure: Measure) -> list[Verdict]:
    """Compare the two of each couple, (name, name, values (n,), values (n,)); all couples are one family."""
    compared = [differences(measure.scaled(x), measure.scaled(y)) for _, _, x, y in couples]
    return [
        _verdict(a, b, d, p, measure.relevant, LEVEL / len(couples))
        for (a, b, _, _), d, p in zip(
            couples, compared, holm([signed_rank(d) for d in compared]), strict=True
        )
    ]


def words(values: Mapping[str, Array], measure: Measure) -> list[tuple[str, str, Word]]:
    """The verdicts' words alone, of every two methods: (a, b, a's word)."""
    scaled = {name: measure.scaled(v) for name, v in values.items()}
    couples = list(combinations(scaled, 2))
    compared = [differences(scaled[a], scaled[b]) for a, b in couples]
    adjusted = holm([signed_rank(d) for d in compared])
    return [
        (a, b, _word(d, p, measure.relevant))
        for (a, b), d, p in zip(couples, compared, adjusted, strict=True)
    ]


def _word(d: Array, p: float, relevant: float) -> Word:
    """The word for the first of two methods whose differences are d (n,), p adjusted for the family."""
    middle = median(d)
    apart = p <= LEVEL and abs(middle) >= relevant and middle != 0
    return "tie" if not apart else "better" if middle < 0 else "worse"


def _verdict(a: str, b: str, d: Array, p: float, relevant: float, level: float) -> Verdict:
    return Verdict(
        a,
        b,
        _word(d, p, relevant),
        median(d),
        *interval(d, level),
        int((d < 0).sum()),
        int((d == 0).sum()),
        len(d),
        p,
    )


def least_seeds(methods: int) -> int:
    """How many paired runs it takes for a verdict on so many methods to be possible at all."""
    return next(n for n in range(1, 64) if methods * (methods - 1) * 2.0**-n <= LEVEL)
