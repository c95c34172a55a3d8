"""How good predictions are on rows that were not learnt from, summed up block by block."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engines.cpu.csr import Matrix
from ..engines.memory import Array
from ..linear import Against, Model, against_constant
from ..linear.losses import MULTINOMIAL

COMPARED = 50_000  # rows, in whole blocks, of which the targets are kept to compare with a constant
FEW = 20  # rows below which nothing is concluded: of one row a constant is always as good as can be
GROUPS = 10  # that rows are cut into by what was predicted, at most
LEAST_GROUP = 10  # rows of a group
POINTS = 300  # rows that are shown one by one
Z95 = 1.959964  # the 97.5 % point of the normal distribution
PROBABLE = ("log_loss", MULTINOMIAL, "modified_huber")  # losses whose scores are probabilities
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
    _said: list[Array] = field(default_factory=list)  # probabilities or numbers, beside the targets
    _came: list[Array] = field(default_factory=list)

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
        scores = model.scores(rows)
        guess = model.decide(scores)
        if sum(map(len, self._targets)) < COMPARED:
            self._compared += loss
            self._targets.append(targets)
            self._weights.append(w)
            if (pair := said_and_came(model, scores, guess, labels)) is not None:
                self._said.append(pair[0])
                self._came.append(pair[1])
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

    def calibration(self, model: Model) -> dict[str, Any] | None:
        """What was said beside what came, on the first rows; None where the loss gives no probabilities.

        of: "number"; or "class", where it is the probability of the second of two classes, named ``class``; or
        "likeliest", where it is that of the likeliest of several. groups: of about equal size, by what was said: rows,
        the means said and came, and low and high: of numbers between which 80 % of those that came lie, of shares the
        95 % interval of Wilson. said, came: of numbers, some rows evenly over all.
        """
        if not self._said:
            return None
        said, came, weights = (np.concatenate(x) for x in (self._said, self._came, self._weights))
        order = np.argsort(said, kind="stable")
        order = order[weights[order] > 0]
        if not order.size:
            return None
        numbers = model.classes is None
        count = int(np.clip(len(order) // LEAST_GROUP, 1, GROUPS))
        groups = [_group(said[k], came[k], weights[k], numbers) for k in np.array_split(order, count)]
        result: dict[str, Any] = {"rows": len(order), "groups": groups}
        if model.classes is None:
            some = np.linspace(0, len(said) - 1, min(len(said), POINTS)).astype(int)
            return {"of": "number", **result, "said": said[some].tolist(), "came": came[some].tolist()}
        if model.outputs == 1:
            return {"of": "class", "class": model.classes[1].item(), **result}
        return {"of": "likeliest", **result}

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


def called_rows(count: int) -> str:
    """So many rows, in words."""
    return f"{count} row" if count == 1 else f"{count} rows"


def said_and_came(model: Model, scores: Array, guess: Array, labels: Array) -> tuple[Array, Array] | None:
    """What is predicted of rows, and what came: numbers; or a probability, and whether it is so; None: there is none."""
    if model.classes is None:
        return np.asarray(guess, np.float64), np.asarray(labels, np.float64)
    if model.settings.loss not in PROBABLE:
        return None
    p = model.probabilities(scores)
    if model.outputs == 1:
        return p[:, 1], (labels == model.classes[1]).astype(np.float64)
    return p.max(axis=1), (guess == labels).astype(np.float64)


def _group(said: Array, came: Array, weights: Array, numbers: bool) -> dict[str, float]:
    """What is said of rows that were predicted alike."""
    share, rows = float(np.average(came, weights=weights)), len(said)
    if numbers:
        low, high = np.quantile(came, (0.1, 0.9)).tolist()
    else:  # Wilson, JASA 22 (1927)
        z = Z95**2 / rows
        middle, half = share + z / 2, Z95 * math.sqrt(share * (1 - share) / rows + z / (4 * rows))
        low, high = min(share, (middle - half) / (1 + z)), max(share, (middle + half) / (1 + z))
    return {
        "rows": rows,
        "said": float(np.average(said, weights=weights)),
        "came": share,
        "low": low,
        "high": high,
    }
