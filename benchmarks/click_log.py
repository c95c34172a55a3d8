"""A generated click log: binary features with the frequencies of words, labels from a known truth.

Feature j is drawn with probability ~ 1/(j + 1) (Zipf); a row has about 40. Its label is 1 with
probability sigmoid(sum of its features' weights - centre), the weights normal: what no model can beat is known.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

DRAWS = 44  # a row; a feature drawn twice counts once
SPREAD = 0.35  # of the true weights
CHUNK = 1 << 16


class ClickLog(NamedTuple):
    """Rows in CSR form, labels 0 and 1, and the probabilities that they were drawn with."""

    inputs: csr_array
    labels: np.ndarray
    truth: np.ndarray

    @property
    def floor(self) -> float:
        """The log-loss of the truth itself."""
        p = np.where(self.labels == 1, self.truth, 1 - self.truth)
        return float(-np.log(p).mean())

    def split(self, held_out: int) -> tuple["ClickLog", "ClickLog"]:
        """All but the last rows, and the last."""
        cut = self.inputs.shape[0] - held_out
        return (
            ClickLog(self.inputs[:cut], self.labels[:cut], self.truth[:cut]),
            ClickLog(self.inputs[cut:], self.labels[cut:], self.truth[cut:]),
        )


def click_log(
    rows: int = 1_000_000, features: int = 1_000_000, seed: int = 0, dtype: str = "float32"
) -> ClickLog:
    """``rows`` rows over ``features`` features, the same for a seed."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(scale=SPREAD, size=features)
    indices, lengths, scores = [], [], []
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        drawn = np.exp(rng.random((count, DRAWS)) * np.log(features)).astype(np.int32) % features
        drawn.sort(axis=1)
        kept = np.ones(drawn.shape, dtype=bool)
        kept[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
        scores.append(np.where(kept, weights[drawn], 0.0).sum(axis=1))
        indices.append(drawn[kept])
        lengths.append(kept.sum(axis=1))
    score = np.concatenate(scores)
    truth = expit(score - np.quantile(score, 0.75))
    labels = (rng.random(rows) < truth).astype(np.int64)
    pointers = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(np.concatenate(lengths), out=pointers[1:])
    joined = np.concatenate(indices)
    data = np.ones(joined.size, dtype=dtype)
    return ClickLog(csr_array((data, joined, pointers), shape=(rows, features)), labels, truth)
