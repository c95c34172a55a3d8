"""The four questions that people bring to a race, each answered from paired runs and tested at one level.

Which method ends lowest, which is fastest to the target, which forgives a careless rate, and which is best on
held-out rows. What each says is plain data (``race_result.Answer``); the words are in ``reports/race_wording``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .paired import median
from .race_result import Answer, Columns, Effect, Number, Outlook, Question, VerdictRow
from .verdict import RELEVANT, Measure, Verdict, least_seeds, of_couples, verdicts, words

Array = np.ndarray[Any, Any]
Values = Mapping[str, Sequence[float] | Array]  # of each method, one a seed

MORE = 4  # times the seeds, of which it is said what they would show
FORGIVEN = 1.1  # a rate whose loss is at most so many times the best's counts as forgiven


def lowest(ends: Values, starts: Array, minimum: float | None, eps: float) -> Answer:
    """Which method's loss is lowest at the end.

    ends: final losses, +inf for runs that diverged. starts, minimum, eps: as ``Measure.of_losses`` takes them.
    """
    measure = Measure.of_losses(
        starts, np.concatenate([np.asarray(v, float) for v in ends.values()]), minimum, eps
    )
    return _tested("lowest", ends, measure, "gap" if measure.ratios and minimum is not None else "loss")


def versus(a: Values, b: Values, starts: Array, minimum: float | None, eps: float) -> list[VerdictRow]:
    """Each method of two races against itself in the other, on the same runs: one family of verdicts.

    a, b: final losses by the same names, +inf for runs that diverged. starts, minimum, eps: as ``Measure.of_losses``
    takes them.
    """
    ends = {n: (np.asarray(a[n], float), np.asarray(b[n], float)) for n in a}
    measure = Measure.of_losses(starts, np.concatenate([np.ravel(v) for v in ends.values()]), minimum, eps)
    return [_row(v, measure) for v in of_couples([(n, n, x, y) for n, (x, y) in ends.items()], measure)]


def fastest(steps: Values) -> Answer:
    """Which method takes the fewest steps to the target; +inf for runs that never reach it."""
    return _tested("fastest", steps, Measure(True, floor=1.0), "steps")


def held_out(name: str, metrics: Values) -> Answer:
    """Which method's metric, of which more is better, is highest on rows that none was trained on.

    A difference is relevant from two per cent of what the median lacks of 1 (an accuracy's errors).
    """
    lacking = np.concatenate([1.0 - np.asarray(v, float) for v in metrics.values()])
    sound = lacking[np.isfinite(lacking)]
    relevant = RELEVANT * abs(float(np.median(sound))) if len(sound) else 0.0
    return _tested("held out", metrics, Measure(False, sign=-1.0, relevant=relevant), name)


def forgiving(trials: Columns, floor: float) -> Answer:
    """Which method's losses stay within a tenth of its best over the most decades of its learning rate.

    It is measured on the tuning trials, one number a method, and so is not tested. trials: ``race_result``'s, with
    two rates or more of each method; of methods that reach the target, since one that learns nothing forgives all. floor: what is subtracted from losses before they are compared.
    """
    table = zip(trials["method"], trials["lr"], trials["loss"], strict=True)
    tried: dict[str, list[tuple[float, float]]] = {n: [] for n in trials["method"]}
    for name, lr, loss in table:
        if loss is not None:
            tried[name].append((lr, loss - floor))
    widths = {n: _decades(sorted(pairs)) for n, pairs in tried.items() if pairs}
    order = sorted(widths, key=lambda n: -widths[n])
    return {
        "question": "forgiving",
        "scale": "decades",
        "leaders": [n for n in order if widths[n] == widths[order[0]]],
        "equal": None,
        "values": {n: widths[n] for n in order},
        "beats": {},
        "tested": False,
        "least_seeds": None,
        "outlook": None,
        "verdicts": [],
    }


def _decades(tried: Sequence[tuple[float, float]]) -> float:
    """The width, in decades, of the stretch of rates around the best in which losses stay within a tenth of it.

    tried: rates with their losses, in the order of the rates. Between two rates the loss is taken as a power of the
    rate (a straight line where it is not positive).
    """
    rates, losses = np.log10([lr for lr, _ in tried]), np.array([loss for _, loss in tried])
    best = int(np.argmin(losses))
    if losses[best] > 0:
        heights, allowed = np.log(losses), float(np.log(losses[best] * FORGIVEN))
    else:
        heights, allowed = losses, float(losses[best] + (FORGIVEN - 1) * abs(losses[best]))

    def reach(side: int) -> float:
        k = best
        while 0 <= k + side < len(tried) and heights[k + side] <= allowed:
            k += side
        if not 0 <= k + side < len(tried):
            return float(rates[k])
        share = (allowed - heights[k]) / (heights[k + side] - heights[k])
        return float(rates[k] + share * (rates[k + side] - rates[k]))

    return reach(1) - reach(-1)


def _tested(question: Question, values: Values, measure: Measure, scale: str) -> Answer:
    """Who leads, who is not told apart from the leader, and what each of them beats; the verdict on every pair."""
    middles = {n: median(np.asarray(v, float)) for n, v in values.items()}  # the table's
    middles = {n: v if np.isfinite(v) else np.inf for n, v in middles.items()}
    order = sorted(
        values, key=lambda n: (float(measure.scaled(np.array(middles[n]))), measure.sign * middles[n])
    )
    said = verdicts({n: values[n] for n in order}, measure)
    beaten: dict[str, list[str]] = {n: [] for n in order}
    for v in said:
        if v.verdict != "tie":
            winner, loser = (v.a, v.b) if v.verdict == "better" else (v.b, v.a)
            beaten[winner].append(loser)
    first = order[0]
    apart = {v.b for v in said if v.a == first and v.verdict == "better"}
    leaders = [n for n in order if n not in apart and np.isfinite(middles[n])]
    seeds = min(len(np.asarray(v)) for v in values.values())
    least = least_seeds(len(values)) if len(values) > 1 else 1
    return {
        "question": question,
        "scale": scale,
        "leaders": leaders,
        "equal": measure.floor if measure.ratios and question == "lowest" else None,
        "values": {n: _number(median(np.asarray(values[n], float))) for n in order},
        "beats": {n: beaten[n] for n in leaders if beaten[n]},
        "tested": seeds >= least,
        "least_seeds": least,
        "outlook": _outlook(values, measure, leaders) if question == "lowest" and seeds >= least else None,
        "verdicts": [_row(v, measure) for v in said],
    }


def _outlook(values: Values, measure: Measure, leaders: Sequence[str]) -> Outlook | None:
    """What ``MORE`` times the seeds would say of the leader if they showed the differences seen, each so many times."""
    if len(leaders) < 2:
        return None
    many = {n: np.tile(np.asarray(v, float), MORE) for n, v in values.items()}
    first, seeds = leaders[0], min(map(len, many.values()))
    apart = {
        b if a == first else a for a, b, word in words(many, measure) if word != "tie" and first in (a, b)
    }
    others = leaders[1:]
    return {
        "method": first,
        "seeds": seeds,
        "apart": [n for n in others if n in apart],
        "together": [n for n in others if n not in apart],
    }


def _row(v: Verdict, measure: Measure) -> VerdictRow:
    ends = np.array([v.middle, v.low, v.high])
    if measure.ratios:
        with np.errstate(over="ignore"):
            ends = np.exp(ends)
    elif measure.sign < 0:
        ends = -ends[[0, 2, 1]]
    middle, low, high = map(_number, ends)
    effect: Effect = {"median": middle, "low": low, "high": high}
    return {
        "a": v.a,
        "b": v.b,
        "verdict": v.verdict,
        "ratio": effect if measure.ratios else None,
        "difference": None if measure.ratios else effect,
        "wins": v.wins,
        "ties": v.ties,
        "pairs": v.pairs,
        "p": v.p,
    }


def _number(x: float) -> Number:
    return float(x) if np.isfinite(x) else None
