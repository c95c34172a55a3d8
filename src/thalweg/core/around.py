"""What stands around every rule, as formulas in the same grammar, so that it fuses with it.

Order in a step: mean of accumulated gradients, clipping by norm, sign, coupled decay, clipping by
value, then decoupled decay of w, the rule, and the average of the weights.
"""

from .math import maximum, minimum


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
