"""What was seen of a running optimizer, as plain numbers: a row a look, a column a tensor, for each quantity."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

FIELDS = (
    "rate_low", "rate", "rate_high", "relative_update", "gradient_norm", "eps_share", "eps_room", "momentum_cosine",
    "dead", "turned", "gradient_cosine", "missed",
)  # fmt: skip
"""The quantities of a tensor at a look, over its sample; NaN where one cannot be told.

rate_low, rate, rate_high: the effective rate (w/g) that 10, 50 and 90 % of the coordinates are below. relative_update:
norm of the step over norm of the weights before it. gradient_norm: of the whole tensor, from the sample. eps_share: the
share of coordinates whose denominator is more than half epsilon, of those that have a gradient or move. eps_room: what epsilon is to be multiplied by to be as
large as the rest of the denominator (the median). momentum_cosine: of the method's average of gradients with the
gradient. dead: the share of coordinates without gradient that have not moved. turned, gradient_cosine: the share of
coordinates whose gradient changes its sign to the next step, and the cosine of both gradients (between looks that are
several steps apart, of every second one). missed: how far the
weights are from where the formula takes them, over the step.
"""

MOST = 1 << 22  # numbers that are kept of a run, however long
LEAST, LONGEST = 64, 512  # looks that are kept, whatever the number of tensors


class Looks:
    """Looks at even steps of a run of any length, in memory that does not grow.

    When all places are taken every second look goes, and from then on only every second comes in. The last one is
    always there. ``steps`` (R,) int64, ``losses`` (R,), ``table`` (R, tensors, FIELDS).
    """

    def __init__(self, tensors: int) -> None:
        self._places = max(LEAST, min(LONGEST, MOST // max(1, tensors * len(FIELDS))))
        self._steps = np.zeros(self._places + 1, dtype=np.int64)
        self._losses = np.full(self._places + 1, np.nan)
        self._table = np.full((self._places + 1, tensors, len(FIELDS)), np.nan, dtype=np.float32)
        self._count = 0  # rows kept for good; the row behind them is the last look
        self._stride, self.looks = 1, 0

    def add(self, step: int, loss: float, values: Array) -> None:
        """Take in a look; the one before it stays if its turn has come."""
        if self.looks and (self.looks - 1) % self._stride == 0:
            self._count += 1
            if self._count == self._places:
                for rows in (self._steps, self._losses, self._table):
                    rows[: (self._count + 1) // 2] = rows[: self._count : 2]
                self._count = (self._count + 1) // 2
                self._stride *= 2
        self._steps[self._count], self._losses[self._count] = step, loss
        self._table[self._count] = values
        self.looks += 1

    @property
    def rows(self) -> int:
        """How many looks are kept."""
        return self._count + 1 if self.looks else 0

    @property
    def steps(self) -> Array:
        return self._steps[: self.rows]

    @property
    def losses(self) -> Array:
        return self._losses[: self.rows]

    @property
    def table(self) -> Array:
        return self._table[: self.rows]

    @property
    def last(self) -> Array:
        """The last look, (tensors, FIELDS), which may still be written to."""
        newest: Array = self._table[self._count]
        return newest

    def give_loss(self, loss: float) -> None:
        """Give the last look its loss."""
        self._losses[self._count] = loss


class Sharpness(NamedTuple):
    """How near the edge of stability an optimizer stood after ``step`` steps.

    margin: rates × curvature in the steepest direction over the method's limit; 1 is the edge, negative where nothing
    curves upwards. limit: 2 for gradient descent; of groups with different ones (``mixed``) the least. formula: of
    the limit, where it has one. rule: what moves the weights.
    """

    step: int
    margin: float
    limit: float
    formula: str
    rule: str
    mixed: bool

    @property
    def value(self) -> float:
        """Rates × curvature in the steepest direction, without a unit: the preconditioned sharpness."""
        return self.margin * self.limit


@dataclass
class Watched:
    """A run as it was seen: its tensors, the looks, and what happened between them.

    ``recent``: the last looks, (≤ 8, tensors, FIELDS), whatever is kept. ``broken``: the step at which a tensor's
    gradient or weights were first seen not to be finite, and whether its weights were. ``without``: how many looks, up
    to the last, a tensor has had no gradient. ``failures``: of the sink and of the file, by name: the step of the
    first, what the last said, and how many there were. ``eps``: the epsilons by name of each tensor's rule; ``rules``: what the rule is called;
    ``rounding``: the relative rounding of each tensor's weights; ``turning``: at how many looks in a row, up to the
    last of which it is told, most signs of its gradient turned, (tensors,);
    ``where_eps_rules``: and what it is where they are the whole denominator. ``sharpness``: the last that was asked for.
    ``seconds``: of the watching, and of the whole run. ``asked``, ``every``: steps between looks, as asked and by now.
    """

    method: str
    names: Sequence[str]
    sizes: Sequence[int]
    counts: Sequence[int]
    notes: list[str]
    asked: int
    looks: Looks
    steps: int = 0
    every: int = 1
    skipped: int = 0
    running: bool = True
    seconds: tuple[float, float] = (0.0, 0.0)
    broken: dict[int, tuple[int, bool]] = field(default_factory=dict)
    loss_broken: int | None = None
    without: dict[int, int] = field(default_factory=dict)
    rounding: dict[int, float] = field(default_factory=dict)
    turning: Array = field(init=False)
    eps: dict[int, Mapping[str, float]] = field(default_factory=dict)
    rules: dict[int, str] = field(default_factory=dict)
    where_eps_rules: dict[int, str] = field(default_factory=dict)
    failures: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    recent: list[Array] = field(default_factory=list)
    sharpness: deque[Sharpness] = field(default_factory=lambda: deque(maxlen=LONGEST))

    def __post_init__(self) -> None:
        self.turning = np.zeros(len(self.names), dtype=np.int64)

    @property
    def title(self) -> str:
        """What the method is called, without its hyperparameters."""
        return self.method.partition("(")[0]

    def now(self, quantity: str) -> Array:
        """The median of a quantity over the last looks, (tensors,); NaN where it could never be told."""
        lately = self.lately(quantity)
        return median(lately) if len(lately) else np.full(len(self.names), np.nan)

    def lately(self, quantity: str) -> Array:
        """A quantity at each of the last looks, (looks, tensors)."""
        k = FIELDS.index(quantity)
        return np.array([look[:, k] for look in self.recent]).reshape(-1, len(self.names))

    def columns(self) -> dict[str, Array]:
        """One row a look and tensor: plain columns of equal length, ready for a data frame."""
        rows, tensors = self.looks.rows, len(self.names)
        table = {
            "step": np.repeat(self.looks.steps, tensors),
            "loss": np.repeat(self.looks.losses, tensors),
            "tensor": np.tile(np.array(self.names, dtype=str), rows),
        }
        values = self.looks.table.astype(np.float64)
        return table | {n: values[:, :, k].reshape(-1) for k, n in enumerate(FIELDS)}


def median(rows: Array) -> Array:
    """The median down the first axis of what is not NaN; NaN where nothing is left, without a warning."""
    ordered = np.sort(rows, axis=0)
    count = (~np.isnan(rows)).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, np.maximum(count - 1, 0))
    take = np.take_along_axis
    return np.asarray((take(ordered, low[None], 0)[0] + take(ordered, high[None], 0)[0]) / 2)
