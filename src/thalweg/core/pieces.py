"""What stands around every rule, as formulas in the same grammar, so that it fuses with it; one table of them.

``PIECES`` is all that is known of a piece: another row is another piece, for every engine and door. Their order
is that of a step: mean of accumulated gradients, clipping by norm, sign, coupled decay, clipping by value, then
decoupled decay of w, the rule, a penalty in the rule's metric, and the sum or an average of the weights.
"""

from collections.abc import Mapping
from typing import NamedTuple

from .formula import Function, signature
from .math import maximum, minimum, ratio, where


def gathered(a, g, /):
    """The sum of gradients so far."""
    return a + g


# Formulas: arrays before the slash, the piece's scalar after it.


def meant(a, g, /, share):
    """The mean of the gradients gathered; share is 1/count."""
    return (a + g) * share


def scaled(g, /, factor):
    """Clipping by the global norm; factor is at most 1."""
    return factor * g


def ascended(g, /):
    """To maximise is to descend the negative."""
    return -g


def decayed(w, g, /, decay):
    """Coupled weight decay (L2); decay has unit g/w."""
    return g + decay * w


def clipped(g, /, bound):
    """Clipping by value; bound has unit g."""
    return minimum(maximum(g, -bound), bound)


def shrunk(w, /, keep):
    """Decoupled weight decay; keep is 1 - lr * decay."""
    return keep * w


def truncated(w, /, pull):
    """Towards 0 by pull and no further: an L1 penalty (Langford, Li & Zhang, JMLR 10 (2009), eq. 6)."""
    return where(w > pull, w - pull, where(w < -pull, w + pull, where(w == w, 0.0, w)))


def rate_itself(rate, /):
    """A rule's gain unless its file says otherwise: where ``rate`` is the factor on g, or on an average of g."""
    return rate


def touched(gain, g, reached, /, inverse):
    """The rule's gain over lr, as it was at the last step with a gradient; inverse is 1/lr."""
    return where(g == 0, gain, reached * inverse)


def thresholded(w, gain, /, pull):
    """The L1 penalty's proximal step in the rule's metric (Duchi, Hazan & Singer, JMLR 12 (2011), eq. 24)."""
    return truncated(w, gain * pull)


def contracted(w, gain, /, draw):
    """The L2 penalty's proximal step in the rule's metric (the same, section 5.4)."""
    return w / (1 + gain * draw)


def summed(total, w, /, count):
    """The sum of the weights over the steps whose count is 1."""
    return total + count * w


def averaged(average, w, /, take):
    """Running average of the weights; take is 1 - beta, or 1/steps for Polyak's mean."""
    return average + take * (w - average)


# Their scalars: of t and the rule's hyperparameters before the slash, of what the user set after it.


def share(accumulate):
    """The weight of one of ``accumulate`` gradients in their mean."""
    return 1.0 / accumulate


def factor(norm_factor):
    """What is known only once all gradients have been seen."""
    return norm_factor


def decay(weight_decay):
    """Coupled decay as it was set."""
    return weight_decay


def bound(clip_value):
    """The largest |g| as it was set."""
    return clip_value


def keep(lr, /, weight_decay):
    """What decoupled decay leaves of w."""
    return 1.0 - lr * weight_decay


def pull(lr, /, l1):
    """How far an L1 penalty moves w towards 0."""
    return lr * l1


def inverse(lr, /):
    """What takes lr out of a gain; 0 where nothing moves."""
    return ratio(1.0, lr)


def steady(reached, lr):
    """A gain over lr that all coordinates share: a scalar itself, in place of an array."""
    return reached * ratio(1.0, lr)


def draw(lr, /, weight_decay):
    """An L2 penalty at this step, less the coordinate's own part of the gain."""
    return lr * weight_decay


def count(t, /, begin):
    """Whether step t is among those summed: those after step ``begin``."""
    return where(t > begin, 1.0, 0.0)


def take(average):
    """The newest weights' part in a moving average of this decay."""
    return 1.0 - average


def equal(t, /):
    """The newest weights' part in the mean over t steps."""
    return 1.0 / t


class Piece(NamedTuple):
    """A row of the table.

    formula: its arrays are w, g, an array of its own, which ``changes`` names where that is what it returns, and
    what stands in such an array by then; ``reached`` is the rule's gain at this step.
    scalar: the formula's scalar as a formula of the clock's names and of what the user set, or None.
    starts: the array of its own, and what that holds before the first step: a number, or w.
    after: of the rule's step. spent: the step sets that array back to its start. needs: why a rule must have the
    names that ``scalar`` takes, and the remedy.
    """

    formula: Function
    changes: str
    scalar: Function | None = None
    starts: Mapping[str, float | str] = {}
    after: bool = False
    spent: bool = False
    needs: str = ""


_METRIC = "a proximal penalty is taken by lr * gain: use decay='coupled'"

PIECES: Mapping[str, Piece] = {
    "accumulate": Piece(meant, "g", share, {"a": 0.0}, spent=True),
    "clip_norm": Piece(scaled, "g", factor),
    "maximize": Piece(ascended, "g"),
    "coupled": Piece(decayed, "g", decay),
    "clip_value": Piece(clipped, "g", bound),
    "decoupled": Piece(
        shrunk, "w", keep, needs="decoupled decay shrinks w by lr * weight_decay: use decay='coupled'"
    ),
    "metric": Piece(touched, "gain", inverse, {"gain": 0.0}, after=True, needs=_METRIC),
    "l1": Piece(thresholded, "w", pull, after=True, needs=_METRIC),
    "l2": Piece(contracted, "w", draw, after=True, needs=_METRIC),
    "total": Piece(summed, "total", count, {"total": 0.0}, after=True),
    "average": Piece(averaged, "average", take, {"average": "w"}, after=True),
    "polyak": Piece(averaged, "average", equal, {"average": "w"}, after=True),
}
"""Every piece, by its field of ``StepOptions``, in the order of a step."""

STEPWISE = {"_norm_factor": 1.0}
"""Inputs of a clock that a caller may give at each step, and what stands for them where it does not."""


def own(text: str) -> str:
    """A piece's name for an array, a scalar or a value of the user's, which no name of a rule can meet."""
    return f"_{text}"


def values_of(piece: Piece) -> tuple[str, ...]:
    """The clock's inputs that the user of a piece sets."""
    return () if piece.scalar is None else tuple(map(own, signature(piece.scalar)[1]))
