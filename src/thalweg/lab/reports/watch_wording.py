"""What is to be said of a running optimizer, in sentences, from the last looks: the gravest first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...optimizer.observing import ROUNDING
from ..formatting import listing, plain
from ..watch_result import Array, Sharpness, Watched

RULED = 0.5  # of a tensor's coordinates: epsilon rules there
STILL = 1e-6  # of itself a step: a tensor that hardly moves
WILD = 0.1  # of itself a step: a tensor that is thrown about
TURNED, OPPOSED = (
    0.6,
    -0.3,
)  # sign changes, and the cosine, of gradients one step apart under a rate too large
IN_A_ROW = 6  # looks at which most signs turned, of those that tell: by chance one time in 64
MISSED = 0.05  # of a step: the formula is not the optimizer's
DEAD = 0.5  # of a tensor's coordinates
FEW = 16  # coordinates below which a share says nothing
YOUNG = 20  # looks before which it says nothing that weights move much
NEAR, BEYOND = 0.9, 1.1  # of the limit: sharpness is at the edge, and above it
ROOM = 0.5  # of the limit: below it, sharpness lets rates grow
NAMED = 4  # tensors that one sentence names


def sentences(seen: Watched) -> list[str]:
    """Return what is to be said by now, the gravest first; one sentence that all is well where nothing is."""
    if not seen.recent:
        return [f"No step of {seen.title} has been seen yet.", *_failures(seen), *_notes(seen)]
    said = [
        *_broken(seen),
        *_skipped(seen),
        *_missed(seen),
        *_turning(seen),
        *_edge(seen),
        *_eps(seen),
        *_without(seen),
        *_still(seen),
        *_wild(seen),
        *_dead(seen),
    ]
    moved = seen.now("relative_update")
    usual = moved[np.isfinite(moved)]
    if not said and len(usual):
        said = [
            f"Nothing is wrong in the last {_looks(seen)}: a step moves a tensor by {_number(float(np.median(usual)))}"
            " of itself."
        ]
    calm = [] if _edge(seen) else _sharp(seen)
    return [*said, *calm, *_failures(seen), *_notes(seen)]


def _failures(seen: Watched) -> list[str]:
    """What did not work beside the training: a sink, or the writing of the file."""
    return [
        f"{how[0].upper()}{how[1:]} ({f'{count:,} times, first ' if count > 1 else ''}at step {step:,})."
        for step, how, count in seen.failures.values()
    ]


def _notes(seen: Watched) -> list[str]:
    return [note[0].upper() + note[1:] + "." for note in seen.notes]


def _looks(seen: Watched) -> str:
    count = len(seen.recent)
    return "look" if count == 1 else f"{count} looks"


def _number(x: float) -> str:
    return plain(x, 2)


def _percent(share: float) -> str:
    return f"{plain(100 * share, 2)} %"


def named(seen: Watched, tensors: Sequence[int]) -> str:
    """Return tensors by their names; of many only the first, and how many others there are."""
    first = [f"`{seen.names[i]}`" for i in tensors[:NAMED]]
    more = len(tensors) - len(first)
    if more:
        return f"{', '.join(first)} and {more} other{'s' * (more > 1)}"
    return listing(first)


def _chosen(mask: Array, by: Array, descending: bool = True) -> list[int]:
    """Return the tensors of a mask, those first of which a quantity is largest."""
    numbers = np.flatnonzero(mask)
    order = np.argsort(by[numbers], kind="stable")
    return [int(i) for i in numbers[order[::-1] if descending else order]]


def _sizeable(seen: Watched) -> Array:
    return np.array(seen.counts) >= FEW


def _broken(seen: Watched) -> list[str]:
    said = []
    if seen.broken:
        first = min(step for step, _ in seen.broken.values())
        those = [i for i, (step, _) in seen.broken.items() if step == first]
        weights = [i for i in those if seen.broken[i][1]]
        what = "weights" if weights else "gradients"
        text = f"NaN or infinite {what} in {named(seen, weights or those)}, first seen at step {first:,}"
        earlier = [int(t) for t in seen.looks.steps if t < first]
        text += f"; at step {earlier[-1]:,} all were finite" if earlier else ""
        said.append(f"{text}.")
    if seen.loss_broken is not None:
        said.append(f"The loss was not finite at step {seen.loss_broken:,}.")
    return said


def _skipped(seen: Watched) -> list[str]:
    if not seen.skipped:
        return []
    many = seen.skipped > 1
    return [
        f"{seen.skipped:,} step{'s were' if many else ' was'} left out for gradients that were not finite."
    ]


def _missed(seen: Watched) -> list[str]:
    off = seen.now("missed")
    those = _chosen(off > MISSED, off)
    if not those or seen.broken:
        return []
    share = float(off[those[0]])
    if np.isinf(share):
        return [
            f"The weights of {named(seen, those)} have stayed where they are, though {seen.title} takes a step."
        ]
    return [
        f"The weights of {named(seen, those)} are off by {_percent(share)} of the step from where the formula of"
        f" {seen.title} takes them: something else changes them, or the optimizer is not that formula; rates are not"
        " to be trusted there."
    ]


def _turning(seen: Watched) -> list[str]:
    turned, cosine = seen.now("turned"), seen.now("gradient_cosine")
    moves = seen.now("relative_update") > 0
    # Noise along one direction, as of a bias near the minimum, turns all signs at every second look by chance.
    lasting = seen.turning >= IN_A_ROW
    those = _chosen((turned > TURNED) & (cosine < OPPOSED) & moves & lasting, turned)
    if not those:
        return []
    i = those[0]
    several = len(those) > 1
    return [
        f"The gradient{'s' * several} of {named(seen, those)} turn{'s' * (not several)} round from one step to the next ({_percent(float(turned[i]))} of"
        f" {'the' if several else 'its'} signs, cosine {plain(float(cosine[i]), 2)}): steps overshoot, the rate is too large for the steepest"
        f" direction{', though the loss falls' if _falls(seen) else ''}; try a third of it."
    ]


def _edge(seen: Watched) -> list[str]:
    """What the last measured sharpness says, where it is near the limit or above it."""
    return _sharp(seen) if seen.sharpness and seen.sharpness[-1].margin >= NEAR else []


def _sharp(seen: Watched) -> list[str]:
    """What the last measured sharpness says."""
    if not seen.sharpness:
        return []
    last = seen.sharpness[-1]
    if last.margin <= 0:
        return [f"{last.rule}: nothing curves upwards at step {last.step:,}, so that no rate is too large."]
    formula = f" = {last.formula}" if last.formula else ""
    of = f"{_percent(last.margin)} of the limits of its groups" if last.mixed else f"{_of(last)}{formula}"
    if last.margin > BEYOND:
        end = (
            f"above the limit, so that steps grow there; {_number(1 / last.margin)} times the rate is stable"
        )
    elif last.margin >= NEAR:
        end = "at the edge of stability; a larger rate overshoots there"
    else:
        end = f"{_number(1 / last.margin)} times the rate is at the edge of stability"
    return [
        f"{last.rule}: rates × curvature in the steepest direction are {of} at step {last.step:,}: {end}."
    ]


def _of(sharp: Sharpness) -> str:
    return f"{_number(sharp.value)} of {plain(sharp.limit, 3)}"


def _room(seen: Watched) -> str:
    """By how much rates may grow, where sharpness was measured and leaves much room."""
    if not seen.sharpness or not 0 < seen.sharpness[-1].margin < ROOM:
        return ""
    last = seen.sharpness[-1]
    times = 1 / last.margin
    down = 10.0 ** math.floor(math.log10(times))
    of = f"{_percent(last.margin)} of the limit" if last.mixed else _of(last)
    return f"; {plain(math.floor(times / down) * down, 1)} times the rate is safe (sharpness {of})"


def _falls(seen: Watched) -> bool:
    """Whether the loss of the last quarter of the run is clearly below that of the quarter before."""
    losses = seen.looks.losses[np.isfinite(seen.looks.losses)]
    quarter = len(losses) // 4
    if quarter < 2:
        return False
    before, after = (float(np.median(x)) for x in (losses[-2 * quarter : -quarter], losses[-quarter:]))
    return after < before - 0.02 * abs(before)


def _eps(seen: Watched) -> list[str]:
    share, room = seen.now("eps_share"), seen.now("eps_room")
    those = _chosen((share > RULED) & _sizeable(seen), share)
    if not those:
        return []
    i = those[0]
    what = seen.where_eps_rules.get(i, "SGD")
    rule = seen.rules.get(i, seen.method)
    text = f"In {named(seen, those)}, ε rules {_percent(float(share[i]))} of the coordinates: {rule} is {what} there"
    sizes = {n: v for n, v in seen.eps.get(i, {}).items() if v > 0}
    least = float(np.min(room[those]))
    if len(sizes) == 1 and 0 < least < 1:
        ((name, value),) = sizes.items()
        below = 0.1 * value * least
        text += f"; {name}={plain(value)} is too large, below {_number(below)} gradients would rule"
    return [text + "."]


def _without(seen: Watched) -> list[str]:
    looks = seen.looks.looks
    never = [i for i, n in seen.without.items() if n == looks]
    lost = [i for i, n in seen.without.items() if len(seen.recent) <= n < looks]
    end = "frozen, or not reached by the loss"
    said = []
    if never:
        said.append(f"{named(seen, never)} had no gradient at any of {looks:,} looks: {end}.")
    if lost:
        verb = "have" if len(lost) > 1 else "has"
        said.append(
            f"{named(seen, lost)} {verb} had no gradient at the last {_looks(seen)}, and had before: {end}."
        )
    return said


def _still(seen: Watched) -> list[str]:
    moved, norm = seen.now("relative_update"), seen.now("gradient_norm")
    nothing = (norm == 0) & np.isfinite(norm)
    said = []
    by_turns = _by_turns(seen) & (moved < STILL)
    for sometimes in (False, True):
        if zero := _chosen(nothing & (by_turns == sometimes), norm):
            what, verb, whom = ("gradients", "are", "them") if len(zero) > 1 else ("gradient", "is", "it")
            when = f" at most of the last {_looks(seen)}" if sometimes else ""
            reached = "only now and then does anything reach" if sometimes else "nothing reaches"
            said.append(f"The {what} of {named(seen, zero)} {verb} 0{when}: {reached} {whom}.")
    now_and_then = _chosen(by_turns & ~nothing, moved, descending=False)
    if now_and_then:
        stay, move = ("stay", "move") if len(now_and_then) > 1 else ("stays", "moves")
        said.append(
            f"{named(seen, now_and_then)} {stay} in place at most of the last {_looks(seen)} and {move} at others:"
            " steps are left out, or gradients are gathered over several."
        )
    still = (moved < STILL) & ~nothing & ~by_turns
    # A formula that takes steps and agrees with weights that stay: they are what rounding leaves of the steps.
    rounded = still & _coarse(seen) & (moved == 0) & (seen.now("rate") > 0) & (seen.now("missed") == 0)
    said += _rounded(seen, _chosen(rounded, norm))
    those = _chosen(still & ~rounded, moved, descending=False)
    if those:
        least, several = float(moved[those[0]]), len(those) > 1
        if least == 0:
            how = f"{'do' if several else 'does'} not move"
        else:
            how = f"move{'' if several else 's'} {_number(least)} of {_itself(those)} a step"
        text = f"{named(seen, those)} {how}: frozen"
        others = moved[np.isfinite(moved) & (moved >= STILL)]
        if len(others):
            text += f", where others move {_number(float(np.median(others)))}"
        rate = seen.now("rate")[those[0]]
        whose = f"the rate of {named(seen, those[:1])}" if several else "its rate"
        text += f"; {whose} is {_number(float(rate))}" if np.isfinite(rate) else ""
        said.append(f"{text}{_room(seen)}.")
    return said


def _coarse(seen: Watched) -> Array:
    """Which tensors have half the digits; in float32 only a rate that is as good as none is rounded away."""
    coarse: Array = np.array(
        [seen.rounding.get(i, 0.0) >= ROUNDING["float16"] for i in range(len(seen.names))]
    )
    return coarse


def _rounded(seen: Watched, those: list[int]) -> list[str]:
    """Of tensors that stay where they are since no step is large enough for the digits of their weights."""
    said = []
    for stored, rounding in ROUNDING.items():
        if alike := [i for i in those if seen.rounding[i] == rounding]:
            do, whose = ("do", "their") if len(alike) > 1 else ("does", "its")
            said.append(
                f"{named(seen, alike)} {do} not move: {whose} steps are rounded away, as in {stored} all are that are not"
                f" above {_number(rounding / 2)} to {_number(rounding)} of a weight; keep the weights in a wider type, or raise"
                " the rate."
            )
    return said


def _by_turns(seen: Watched) -> Array:
    """Which tensors did not move at all at some of the last looks, and did at others."""
    moved = seen.lately("relative_update")
    by_turns: Array = np.any(moved == 0, axis=0) & np.any(moved > STILL, axis=0)
    return by_turns


def _itself(those: Sequence[int]) -> str:
    return "themselves" if len(those) > 1 else "itself"


def _wild(seen: Watched) -> list[str]:
    moved = seen.now("relative_update")
    those = _chosen((moved > WILD) & _sizeable(seen), moved)
    if not those or seen.looks.looks < YOUNG:  # weights grow from nothing at first
        return []
    return [
        f"A step moves {named(seen, those)} by {_percent(float(moved[those[0]]))} of {_itself(those)}: the rate is too large, or"
        " the weights are near 0."
    ]


def _dead(seen: Watched) -> list[str]:
    dead, norm = seen.now("dead"), seen.now("gradient_norm")
    those = _chosen((dead > DEAD) & (norm > 0) & _sizeable(seen), dead)
    if not those:
        return []
    return [
        f"{_percent(float(dead[those[0]]))} of the coordinates of {named(seen, those)} have no gradient and do not move."
    ]
