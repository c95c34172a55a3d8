"""A trained model in one file: its weights, what they stand for, and how files are read for it."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import archive
from ..engines.memory import Array
from ..errors import FileError, ThalwegError
from ..linear import Model, Settings
from ..reading import Block
from ..rules.sgd import SGD

if TYPE_CHECKING:
    from scipy.sparse import csr_array

KIND = "thalweg linear model"
FORMAT = 1
_LAYOUTS = {
    "weights": archive.Layout("f", (None, None)),
    "intercepts": archive.Layout("f", (None,)),
    "classes": archive.Layout("biufU", (None,)),
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
    ) -> Self:
        """What is left of a model, over its first features, when its training is over."""
        weights, intercepts = model.solution
        scoring = _scoring(model.settings, features, model.classes, weights[:features], intercepts)
        return cls(scoring, layout, fold, rule, rows, passes)

    @property
    def task(self) -> str:
        """ "classification" or "regression"."""
        return "regression" if self.model.classes is None else "classification"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model beside and rename it to ``path``. Raises FileError."""
        weights, intercepts = self.model.solution
        settings = {n: v for n, v in self.model.settings._asdict().items() if n != "rule"}
        head = {
            "kind": KIND,
            "format": FORMAT,
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
        """Read the file. Raises FileError where it is no model, damaged, or newer than this thalweg."""
        with archive.opened(path, KIND, FORMAT) as file:
            head, arrays = file.head, file.arrays({n: x for n, x in _LAYOUTS.items() if n in file.names})
        try:
            weights, intercepts = arrays["weights"], arrays["intercepts"]
            if not intercepts.size or weights.shape[1:] != intercepts.shape:
                raise ValueError(f"weights are {weights.shape}")
            settings = Settings(**head["settings"])
            model = _scoring(settings, len(weights), arrays.get("classes"), weights, intercepts)
            return cls(model, dict(head["layout"]), head["fold"], head["rule"], head["rows"], head["passes"])
        except (*archive.MISFITS, ThalwegError):
            raise FileError(f"{path}: is damaged; its parts do not fit together") from None

    def scores(self, block: Block) -> Array:
        """x · w + b of a block's rows: (n,), or (n, outputs). Features beyond the model's have no weight."""
        return self.model.scores(matrix(block, self.model.features))


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
