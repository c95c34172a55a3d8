"""The breast cancer measurements that come with scikit-learn: 569 tumours, two classes."""

import numpy as np

from .base import require
from .data import held_out, standardise
from .linear import LogisticRegression


def breast_cancer() -> LogisticRegression:
    """Logistic regression on 30 standardised measurements: 31 parameters, convex."""
    datasets = require("sklearn.datasets", "scikit-learn", "the breast-cancer problem")
    data = datasets.load_breast_cancer()
    y = data.target.astype(np.int64)
    train, test = held_out(len(y), y)
    X, _ = standardise(data.data, train)
    return LogisticRegression(
        X[train],
        y[train],
        X[test],
        y[test],
        name="breast-cancer",
        title="Breast cancer, logistic regression",
        text=(
            "30 measurements of 569 real tumours (Wisconsin, scikit-learn), benign or malignant, "
            "standardised with the training part's mean and deviation; three quarters of each "
            "class for training, the rest held out. Logistic regression, 31 parameters; the "
            "training part is nearly or wholly separable, so the loss falls for very long."
        ),
    )


PROBLEMS = {"breast-cancer": breast_cancer}
