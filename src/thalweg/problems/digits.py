"""The 8 x 8 handwritten digits that come with scikit-learn: 1797 images, ten classes."""

import numpy as np

from .base import Array, require
from .data import Labels, held_out
from .linear import SoftmaxRegression
from .network import OneHiddenLayer

HIDDEN = 32
ABOUT = (
    "1797 real handwritten digits of 8 x 8 pixels (scikit-learn), pixels scaled to 0 .. 1; "
    "three quarters of each class for training, the rest held out."
)


def digits() -> SoftmaxRegression:
    """Softmax regression on the digits: 650 parameters, convex."""
    return SoftmaxRegression(
        *_split(),
        classes=10,
        name="digits",
        title="Handwritten digits, softmax regression",
        text=f"{ABOUT} Softmax regression, 650 parameters, mean cross-entropy.",
    )


def digits_network() -> OneHiddenLayer:
    """A hidden layer of 32 tanh units on the digits: 2410 parameters, not convex."""
    return OneHiddenLayer(
        *_split(),
        classes=10,
        hidden=HIDDEN,
        name="digits-network",
        title=f"Handwritten digits, one hidden layer of {HIDDEN} units",
        text=f"{ABOUT} {HIDDEN} tanh units, 2410 parameters, mean cross-entropy.",
    )


def _split() -> tuple[Array, Labels, Array, Labels]:
    data = require("sklearn.datasets", "scikit-learn", "the digits problem").load_digits()
    X, y = data.data / 16.0, data.target.astype(np.int64)
    train, test = held_out(len(y), y)
    return X[train], y[train], X[test], y[test]


PROBLEMS = {"digits": digits, "digits-network": digits_network}
