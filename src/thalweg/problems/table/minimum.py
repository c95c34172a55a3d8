"""The minimum of a linear model's loss, so that runs are judged by their distance from it; or that there is none."""

import numpy as np
from scipy.optimize import linprog, minimize

from ..base import Array, Params, pack, unpack
from ..data import Labels
from ..linear import LinearModel

RESTARTS = 5  # of the solver, while the loss still falls
SEPARABLE = "separable: the loss has no minimum"
LARGEST = 1 << 21  # entries of the linear programme that tells whether classes can be separated


def minimum_of(model: LinearModel, labels: Labels | None) -> tuple[float | None, str]:
    """The least loss, None where it has none or that is not known, and what is to be said of it.

    labels: of the training rows, None for a quantity. With a penalty, or for least squares, there is a minimum.
    Without one the loss of classes that can be separated falls for ever.
    """
    reached = _solved(model)
    if model.l2 or labels is None:
        return reached, ""
    if reached * model.rows < np.log(2):  # every row's loss is below log 2: each is on its side of the border
        return None, SEPARABLE
    apart = _separable(model, labels)
    if apart is None:
        return None, "too large to tell whether the classes can be separated, so its minimum is not known"
    return (None, SEPARABLE) if apart else (reached, "")


def _solved(model: LinearModel) -> float:
    """The lowest loss that L-BFGS-B comes to, restarted where it stopped until nothing is gained."""
    like = model.start(0)

    def value(vector: Array) -> tuple[float, Array]:
        params: Params = unpack(vector, like)
        return model.loss(params), pack(model.gradient(params, None))

    at, best = np.zeros(pack(like).size), np.inf
    options = {"maxiter": 1000, "maxfun": 4000, "maxcor": 30, "ftol": 0.0, "gtol": 1e-12}
    with np.errstate(all="ignore"):
        for _ in range(RESTARTS):
            solution = minimize(value, at, jac=True, method="L-BFGS-B", options=options)
            gained, at, best = best - float(solution.fun), solution.x, min(best, float(solution.fun))
            if not gained > 1e-14 * abs(best) or best * model.rows < 0.1:
                break
    return best


def _separable(model: LinearModel, labels: Labels) -> bool | None:
    """Whether scores exist that are nowhere worse for a row's own class than for another, and somewhere better.

    Then the loss falls along them for ever (Albert & Anderson, Biometrika 71 (1984) 1). None where the programme would
    be too large.
    """
    inputs, classes = model.training_inputs(), max(2, model.outputs)
    n, d = inputs.shape
    width = classes * (d + 1)
    if n * (classes - 1) * width > LARGEST:
        return None
    dense = inputs if isinstance(inputs, np.ndarray) else inputs.toarray()
    X = np.hstack([dense, np.ones((n, 1))])
    rows = []
    for c in range(classes):
        other = labels != c
        block = np.zeros((int(other.sum()), classes, d + 1))
        block[np.arange(len(block)), labels[other]] = X[other]
        block[:, c] -= X[other]
        rows.append(block.reshape(len(block), width))
    margins = np.vstack(rows)
    found = linprog(
        -margins.sum(axis=0),
        A_ub=np.vstack([-margins, margins]),
        b_ub=np.concatenate([np.zeros(len(margins)), np.ones(len(margins))]),
        bounds=(-1e6, 1e6),
        method="highs",
    )
    return bool(found.status == 0 and -found.fun > 1e-6)
