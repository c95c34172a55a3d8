"""The largest weights of a model by their effect, with the names of their columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engines.memory import Array
from ..linear import Model
from ..reading import Block, Stream

SHOWN = 10


def largest(
    model: Model, blocks: Sequence[Block], sizes: Array | None, stream: Stream, fold: int | None = None
) -> list[dict[str, Any]]:
    """The largest weights, by effect: column, class (of several classes, its label), weight, effect; at most ten.

    blocks: rows as the model learns them, over which deviations are taken; a feature that none has is passed over.
    sizes: by which values of sparse text were divided. fold: bits that the files' indices were cut to, or None. weight: in the units of the files. effect: what one standard
    deviation of the feature moves the prediction by (numbers: in the unit of the target), or the score (classes).
    """
    if not blocks:
        return []
    features, deviations = _deviations(blocks, model.features)
    weights = model.solution[0][features].astype(np.float64)
    effects = weights * deviations[:, None] * model.settings.size
    flat = np.argsort(-np.abs(effects), axis=None, kind="stable")[:SHOWN]
    places, outputs = np.unravel_index(flat, effects.shape)
    chosen = features[places].tolist()
    cut = {i: f"index {i} of {fold} bits" for i in chosen}
    names = stream.feature_names(chosen) if fold is None else cut
    told = []
    for place, output in zip(places.tolist(), outputs.tolist(), strict=True):
        feature, effect = int(features[place]), float(effects[place, output])
        if not effect:
            break
        weight = weights[place, output] * model.settings.size / _size(feature, sizes, stream)
        entry: dict[str, Any] = {"column": names[feature], "weight": float(weight), "effect": effect}
        if model.outputs > 1 and model.classes is not None:
            entry["class"] = called(model.classes[output].item(), stream)
        told.append(entry)
    return told


def _deviations(blocks: Sequence[Block], width: int) -> tuple[Array, Array]:
    """The features that rows have, and their standard deviations over all the rows."""
    indices = np.concatenate([b.indices for b in blocks])
    values = np.concatenate([b.values for b in blocks]).astype(np.float64)
    known = indices < width
    features, places = np.unique(indices[known], return_inverse=True)
    rows = sum(len(b.labels) for b in blocks)
    means = np.bincount(places, values[known], minlength=len(features)) / rows
    away = np.bincount(places, (values[known] - means[places]) ** 2, minlength=len(features))
    zeros = rows - np.bincount(places, minlength=len(features))  # rows that do not name it
    return features, np.sqrt((away + zeros * means**2) / rows)


def _size(feature: int, sizes: Array | None, stream: Stream) -> float:
    """What a feature's values were divided by."""
    if sizes is not None:
        return float(sizes[feature]) or 1.0 if feature < len(sizes) else 1.0
    scale = stream.layout.get("scale")
    return scale["size"][feature] if scale is not None and feature < len(scale["size"]) else 1.0


def called(label: float, stream: Stream) -> float | str:
    """A class as the files call it."""
    return label if stream.classes is None else stream.classes[int(label)]
