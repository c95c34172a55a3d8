"""How good predictions are on rows that were not learnt from, summed up block by block."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engines.cpu.csr import Matrix
from ..engines.memory import Array
from ..linear import Against, Model, against_constant

COMPARED = 50_000  # rows, in whole blocks, of which the targets are kept to compare with a constant
Measured = dict[str, Any]  # as JSON has it: rows, loss, and accuracy (classes) or rmse (numbers)


@dataclass
class Quality:
    """The mean loss, and the accuracy (classes) or the root mean square error (numbers); weighted.

    Rows whose label is no class of the model count as wrong, and not in the loss.
    """

    rows: int = 0
    unknown: int = 0
    _weight: float = 0.0
    _known: float = 0.0
    _loss: float = 0.0
    _sum: float = 0.0
    _compared: float = 0.0
    _targets: list[Array] = field(default_factory=list)
    _weights: list[Array] = field(default_factory=list)

    def add(self, model: Model, rows: Matrix, labels: Array, weights: Array | None) -> None:
        """Count more rows (CSR over the model's features) with their labels and weights (None: all 1)."""
        w = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
        self.rows += len(labels)
        self._weight += float(w.sum())
        known = np.ones(len(labels), bool) if model.classes is None else np.isin(labels, model.classes)
        if not known.all():
            self.unknown += int((~known).sum())
            rows, labels, w = rows[known], labels[known], w[known]
        total = float(w.sum())
        if not total:
            return
        self._known += total
        targets = model.encode(labels)
        loss = total * model.loss_of(rows, targets, w)
        self._loss += loss
        if sum(map(len, self._targets)) < COMPARED:
            self._compared += loss
            self._targets.append(targets)
            self._weights.append(w)
        guess = model.predict(rows)
        good = (guess == labels) if model.classes is not None else (guess.astype(np.float64) - labels) ** 2
        self._sum += float(w @ good)

    def against_constant(self, model: Model) -> Against | None:
        """Return the mean loss beside the best constant's, on the first rows; None where no row has weight."""
        if not self._targets:
            return None
        targets, weights = np.concatenate(self._targets), np.concatenate(self._weights)
        loss = self._compared / float(weights.sum())
        return against_constant(loss, model.loss, model.outputs, targets, weights, model.loss_unit)

    def beside_constant(self, model: Model) -> str:
        """What always the mean, or always the most frequent class, gets, and what the model gets, in words."""
        _, here = self._figure(model)
        name, constant = self._constant(model)
        if name == "rmse":
            return f"always the mean: rmse {constant:.4g}; this model: {here:.4g}"
        return f"always the most frequent class: accuracy {constant:.4f}; this model: {here:.4f}"

    def result(self, model: Model) -> Measured:
        """What was measured; None where no row has weight. constant_rmse, constant_accuracy: what always the mean, or
        always the most frequent class, gets on the first rows.
        """
        measured: Measured = {
            "rows": self.rows,
            "loss": self._loss / self._known if self._known else math.nan,
        }
        measured |= dict([self._figure(model)])
        if self._targets:
            name, constant = self._constant(model)
            measured[f"constant_{name}"] = constant
        if self.unknown:
            measured["unknown_labels"] = self.unknown
        return {n: None if isinstance(v, float) and not math.isfinite(v) else v for n, v in measured.items()}

    def _figure(self, model: Model) -> tuple[str, float]:
        """The root mean square error (numbers) or the accuracy (classes) of the model, by name."""
        share = self._sum / self._weight if self._weight else math.nan
        return ("rmse", math.sqrt(share)) if model.classes is None else ("accuracy", share)

    def _constant(self, model: Model) -> tuple[str, float]:
        """The same of always the mean, or always the most frequent class, on the first rows."""
        targets, weights = np.concatenate(self._targets), np.concatenate(self._weights)
        if model.classes is None:
            mean = np.average(targets, weights=weights)
            rmse = math.sqrt(np.average((targets - mean) ** 2, weights=weights))
            return "rmse", model.settings.size * rmse
        _, kinds = np.unique(targets, return_inverse=True)
        return "accuracy", float(np.bincount(kinds, weights).max() / weights.sum())
