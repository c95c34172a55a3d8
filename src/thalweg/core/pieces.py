"""What stands around every rule, as formulas in the same grammar, so that it fuses with it.

Order in a step: mean of accumulated gradients, clipping by norm, sign, coupled decay, clipping by
value, then decoupled decay of w, the rule, truncation, and the average or the sum of the weights.
"""

from .math import maximum, minimum, where


def gathered(a, g, /):
    """The sum of gradients so far."""
    return a + g


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


def averaged(average, w, /, take):
    """Running average of the weights; take is 1 - beta, or 1/steps for Polyak's mean."""
    return average + take * (w - average)


def truncated(w, /, pull):
    """Towards 0 by pull and no further: an L1 penalty (Langford, Li & Zhang, JMLR 10 (2009), eq. 6)."""
    return where(w > pull, w - pull, where(w < -pull, w + pull, where(w == w, 0.0, w)))


def summed(total, w, /, count):
    """The sum of the weights over the steps whose count is 1."""
    return total + count * w
