"""In which local minima runs ended: points where the gradient vanishes and curvature is upward in every direction."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..problems import Problem
from ..problems.base import pack, unpack
from .race_result import Basins

Array = np.ndarray[Any, Any]

MOST = 20  # coordinates: Hessians are formed from as many products
NEAR = 1e-2  # of the size of the coordinates: nearer points are one minimum


def basins(p: Problem, ends: Mapping[str, Array]) -> Basins | None:
    """The minima that runs came to, and how many of each method's; None where there are not two.

    ends: each method's last parameters (runs, d). A run counts where Newton's step from its end is short against the
    size of the coordinates, so that runs still on their way count nowhere.
    """
    every = np.concatenate(list(ends.values())) if ends else np.empty((0, 0))
    every = every[np.isfinite(every).all(axis=-1)]
    if not len(every) or every.shape[1] > MOST:
        return None
    reach = NEAR * max(1.0, float(np.median(np.abs(every).max(axis=1))))
    points: list[Array] = []
    owners: dict[str, list[int]] = {}
    for name, rows in ends.items():
        owners[name] = []
        for end in rows:
            at = _settled(p, end, reach)
            if at is None:
                continue
            near = [k for k, other in enumerate(points) if np.abs(at - other).max() <= reach]
            if not near:
                points.append(at)
            owners[name].append(near[0] if near else len(points) - 1)
    if len(points) < 2:
        return None
    like = p.start(0)
    losses = [float(p.loss(unpack(at.copy(), like))) for at in points]
    order = sorted(range(len(points)), key=lambda k: losses[k])
    return {
        "minima": [points[k].tolist() for k in order],
        "losses": [losses[k] for k in order],
        "counts": {n: [places.count(k) for k in order] for n, places in owners.items()},
        "runs": max(map(len, ends.values())),
    }


def _settled(p: Problem, end: Array, reach: float) -> Array | None:
    """The minimum that an end (d,) lies within reach of, None where there is none."""
    if not np.isfinite(end).all():
        return None
    like = p.start(0)
    params = unpack(end.copy(), like)
    with np.errstate(all="ignore"):
        slope = pack(p.gradient(params, None))
        columns = [p.hessian_product(params, e) for e in np.eye(len(end))]
    hessian = np.array(columns)
    if not (np.isfinite(slope).all() and np.isfinite(hessian).all()):
        return None
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    if values[0] <= 0:
        return None
    step = vectors @ ((vectors.T @ slope) / values)
    return end - step if np.abs(step).max() <= reach else None
