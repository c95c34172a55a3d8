"""A trained model in one file: its weights, what they stand for, and how files are read for it."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import archive
from ..engines.memory import Array
from ..errors import FileError, ThalwegError
from ..linear import ColumnMap, Model, Settings, in_units
from ..linear.model import outputs_of
from ..reading import Block
from ..reading.layout import BITS, features_of, require_layout
from ..rules.sgd import SGD
from .sizes import Sizes

if TYPE_CHECKING:
    from scipy.sparse import csr_array

KIND = "thalweg linear model"
FORMAT = (
    2  # of models whose numbers are scaled; others are written as format 1, which is the same but for that
)
_LAYOUTS = {
    "weights": archive.Layout("f", (None, None)),
    "intercepts": archive.Layout("f", (None,)),
    "classes": archive.Layout("iuf", (None,)),
}


@dataclass
class Trained:
    """A linear model that scores; ``Trained.load(path)`` reads the file that ``fit`` wrote.

    model: scores and predicts (``thalweg.linear.Model``); it has the weights, not the states of the rule.
    layout: for ``open_stream(layout=)``, so that features have the indices that they had in training.
    fold: bits that SVMlight indices are cut to, or None. rule, rows, passes: what it was trained by.
    """

    model: Model
    layout: dict[str, Any]
    fold: int | None
    rule: str
    rows: int
    passes: int

    @classmethod
    def of(
        cls,
        model: Model,
        features: int,
        layout: dict[str, Any],
        fold: int | None,
        rule: str,
        rows: int,
        passes: int,
        sizes: Sizes | None = None,
    ) -> Self:
        """What is left of a model, over its first features, when its training is over.

        sizes: by which the features' values were divided; the weights are those of the file's values.
        """
        weights, intercepts = model.solution
        weights = weights[:features] if sizes is None else sizes.in_units(weights[:features])
        scoring = _scoring(model.settings, features, model.classes, weights, intercepts)
        return cls(scoring, layout, fold, rule, rows, passes)

    @property
    def task(self) -> str:
        """ "classification" or "regression"."""
        return "regression" if self.model.classes is None else "classification"

    @property
    def scaled_target(self) -> bool:
        """Whether the numbers that were learnt have a map."""
        return (self.model.settings.centre, self.model.settings.size) != (0.0, 1.0)

    @property
    def solution(self) -> tuple[Array, Array]:
        """Weights (features, outputs) and intercepts (outputs,) in the units of the files: float64.

        A prediction is, but for rounding, the intercept plus the sum of weights times values.
        """
        settings, scale = self.model.settings, self.layout.get("scale")
        columns = None if scale is None else ColumnMap(np.array(scale["centre"]), np.array(scale["size"]))
        return in_units(*self.model.solution, columns, settings.centre, settings.size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model beside and rename it to ``path``. Raises FileError."""
        weights, intercepts = self.model.solution
        settings = {n: v for n, v in self.model.settings._asdict().items() if n != "rule"}
        if not self.scaled_target:
            settings = {n: v for n, v in settings.items() if n not in ("centre", "size")}
        head = {
            "kind": KIND,
            "format": FORMAT if self.scaled_target or "scale" in self.layout else 1,
            "settings": settings,
            "layout": self.layout,
            "fold": self.fold,
            "rule": self.rule,
            "rows": self.rows,
            "passes": self.passes,
        }
        classes = {} if self.model.classes is None else {"classes": self.model.classes}
        archive.save(path, head, {"weights": weights, "intercepts": intercepts, **classes})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file. Raises FileError where it is no model, damaged, or newer than this thalweg.

        Whoever wrote it, no index of a row lies outside the weights: they are as many as the layout has features.
        """
        with archive.opened(path, KIND, FORMAT) as file:
            head, arrays = file.head, file.arrays({n: x for n, x in _LAYOUTS.items() if n in file.names})
        try:
            layout, fold = head["layout"], head["fold"]
            features = _features(layout, fold)
            weights, intercepts, classes = arrays["weights"], arrays["intercepts"], arrays.get("classes")
            _require_arrays(Settings(**head["settings"]), features, weights, intercepts, classes)
            counts = head["rows"], head["passes"]
            if not isinstance(head["rule"], str) or any(type(n) is not int for n in counts):
                raise ValueError("rule, rows or passes are of another type")
            model = _scoring(Settings(**head["settings"]), len(weights), classes, weights, intercepts)
            return cls(model, layout, fold, head["rule"], *counts)
        except (*archive.MISFITS, ThalwegError) as error:
            raise FileError(f"{path}: is damaged; its parts do not fit together ({error})") from None

    def scores(self, block: Block) -> Array:
        """x · w + b of a block's rows: (n,), or (n, outputs). Features beyond the model's have no weight."""
        return self.model.scores(matrix(block, self.model.features))


def _features(layout: object, fold: object) -> int | None:
    """How many features rows of a layout have, cut to so many bits; None: any number. Raises ThalwegError, ValueError."""
    features = features_of(require_layout(layout))
    if fold is None:
        return features
    least, most = BITS
    if type(fold) is not int or not least <= fold <= most or features is not None:
        raise ValueError(f"fold is {fold!r}")
    return 1 << fold


def _require_arrays(
    settings: Settings, features: int | None, weights: Array, intercepts: Array, classes: Array | None
) -> None:
    """Raise ValueError unless a model's arrays fit each other, before memory of their sizes is taken."""
    outputs = outputs_of(classes)
    rows = weights.shape[0] if features is None else features
    if weights.shape != (rows, outputs) or intercepts.shape != (outputs,):
        raise ValueError(f"weights are {weights.shape}, intercepts {intercepts.shape}, for {rows} features")
    if {a.dtype.name for a in (weights, intercepts)} != {settings.dtype}:
        raise ValueError(f"weights are {weights.dtype}, not {settings.dtype}")


def _scoring(
    settings: Settings, features: int, classes: Array | None, weights: Array, intercepts: Array
) -> Model:
    """A model with the weights alone: SGD has no states."""
    plain = settings._replace(rule=SGD(lr=0.0), l1=0.0, l2=0.0, average=None)
    model = Model(plain, features, classes)
    model.start(weights, intercepts)
    return model


def matrix(block: Block, features: int) -> "csr_array":
    """A block's rows over so many features; entries beyond them are left out."""
    from scipy.sparse import csr_array

    indptr, indices, values = block.indptr, block.indices, block.values
    if indices.size and block.features > features and int(indices.max()) >= features:
        kept = indices < features
        ends = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
        indptr, indices, values = ends[indptr], indices[kept], values[kept]
    return csr_array((values, indices, indptr), shape=(len(block.labels), features))


def folded(block: Block, bits: int) -> Block:
    """A block with its indices cut to their lowest bits; values that meet are summed."""
    from scipy.sparse import csr_array

    width = 1 << bits
    small = csr_array(
        (block.values, block.indices & np.int32(width - 1), block.indptr), shape=(len(block.labels), width)
    )
    small.sum_duplicates()
    return block._replace(
        indptr=small.indptr.astype(np.int64),
        indices=small.indices.astype(np.int32),
        values=small.data.astype(np.float32),
        features=width,
    )
