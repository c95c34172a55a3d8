"""What every problem answers: start, batches, gradient, loss, test metric, outsider.

A seed fixes the start and the batch order, and nothing else does, so that two methods run with
the same seed are paired: same start, same rows at every step.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice, repeat
from numbers import Integral
from types import ModuleType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.line import short
from ..core.objective import Objective, Scored, Softmax
from ..engines.cpu.csr import Labelled
from ..errors import ProblemError

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]
Params: TypeAlias = Array | dict[str, "Params"]
Grads: TypeAlias = Params

# Which of a seed's independent random streams is drawn from.
START, BATCHES, SPLIT, NOISE = range(4)


@dataclass(frozen=True)
class Outsider:
    """What an established solver reaches on the same problem.

    ``loss`` is the problem's own training loss at the solver's answer, ``metric`` its test metric.
    """

    name: str
    loss: float
    metric: float | None


@dataclass(frozen=True)
class Source:
    """What a problem is made from, as plain values: enough for ``problems.make``, in another process too.

    name: of the library's, ``FILE.py:NAME`` of the user's own, or a table's file. target: the column of a
    table to predict. drop: columns to leave out. l2: the penalty, None for 1 / rows. model: "linear" or "network".
    content: of a user's file, the digest that it must have; "" takes it as it is. start: of a function, where it has
    none of its own. measure, maximize: of a training loop, what among its yields is compared, and whether more of it
    is better. reading: how a table's file is read, as pairs of ``open_stream``'s names and values.
    """

    name: str
    target: str | None = None
    drop: tuple[str, ...] = ()
    content: str = ""
    start: tuple[float, ...] = ()
    l2: float | None = None
    model: str = "linear"
    measure: str = ""
    maximize: bool = False
    reading: tuple[tuple[str, object], ...] = ()


def asked(
    name: object,
    *,
    target: str | None = None,
    drop: Sequence[str] | str = (),
    start: Sequence[float] = (),
    l2: float | None = None,
    model: str = "linear",
    reading: Mapping[str, object] | None = None,
    measure: str = "",
    maximize: bool = False,
) -> Source:
    """The source that a user's own arguments ask for; ProblemError where one is of another type.

    name: a text or a path; drop: one column or several; reading: as ``open_stream`` takes it.
    """
    text = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not isinstance(text, str):
        raise ProblemError(
            f"problem: a name, a table's file, FILE.py:NAME, a function or a Problem is needed, got {short(name)}"
        )
    columns = (drop,) if isinstance(drop, str) else drop
    if not isinstance(columns, Iterable) or not all(isinstance(n, str) for n in columns):
        raise ProblemError(f"drop: names of columns are needed, got {short(drop)}")
    try:
        begin = tuple(map(float, start))
    except (TypeError, ValueError):
        raise ProblemError(f"start: numbers are needed, such as (1.0, 2.0), got {short(start)}") from None
    if reading is not None and not isinstance(reading, Mapping):
        raise ProblemError(
            f"reading: options by name are needed, such as {{'sep': ';'}}, got {short(reading)}"
        )
    said = tuple((n, tuple(v) if isinstance(v, list) else v) for n, v in (reading or {}).items())
    return Source(
        text, target, tuple(columns), start=begin, l2=l2, model=model, measure=measure, maximize=maximize, reading=said
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Printable:
    """What a compiled loop descends (``engines.cpu.loops``): an objective, its rows, and l2 of a penalty on weights.

    Parameters are a problem's, packed.
    """

    objective: Objective | Scored | Softmax
    data: Array | Labelled | None
    l2: float = 0.0

    @property
    def width(self) -> int:
        """How many parameters an objective of scores has."""
        outputs = 1 if isinstance(self.objective, Objective) else self.objective.outputs
        if isinstance(self.data, Labelled):
            return (self.data.rows.shape[1] + 1) * outputs
        return 0 if self.data is None else (self.data.shape[1] - outputs) * outputs


class Raced(ABC):
    """What methods are compared on: how it and its losses are called, and what a race takes unless told otherwise."""

    name: str
    title: str
    text: str  # one to three sentences for a report
    loss_name: str  # "training loss" or "f"
    metric_name: str | None = None  # for example "test accuracy"; None for a landscape
    validation_name: str | None = None  # of what settings may be chosen by, for example "validation loss"
    noisy: bool = False  # are there mini-batch gradients?
    minimum: float | None = None  # of the loss, where it is known
    goal: float | None = None  # the share of the way that is left at the target; None: a race's own
    caveat: str = ""  # what must be known of its loss beside any answer, a sentence
    rows: int = 0  # training rows; 0 when there is no data
    steps: int = 600  # how many steps a race takes unless told otherwise
    batch: int = 32  # rows a step, likewise; 0 means all
    source: Source | None = None  # what it was made from, where a name or a file says it
    height: float = 0.0  # of the usual start over the minimum, where both are known

    def failures(self) -> list[str]:
        """Why evaluations failed since the last call, where they can: a user's function may raise."""
        return []

    def outsider(self) -> Outsider | None:
        """What an established solver reaches, computed once; None where none is known."""
        return None


class Problem(Raced):
    """A function to minimise, with its gradient and a seeded start."""

    @abstractmethod
    def start(self, seed: int) -> Params:
        """Fresh float64 parameters, fixed by ``seed`` (an integer >= 0)."""

    @abstractmethod
    def gradient(self, params: Params, rows: Rows | None) -> Grads:
        """Gradient of the mean loss over ``rows`` (None: all), in the structure of ``params``.

        The arrays may be overwritten by the next call from the same thread.
        """

    @abstractmethod
    def loss(self, params: Params) -> float:
        """The loss that is minimised, over all training rows; nan or inf after divergence."""

    def hessian_product(self, params: Params, direction: Array, rows: Rows | None = None) -> Array:
        """The Hessian at ``params`` times a packed direction (d,), by central differences of gradients.

        The step is the one that balances rounding against curvature for float64: relative errors of
        some 1e-10 on smooth losses. Problems that know their Hessian answer exactly.
        """
        at, size = pack(params), float(np.linalg.norm(direction))
        if size == 0.0:
            return np.zeros_like(at)
        h = np.cbrt(np.finfo(float).eps) * max(1.0, float(np.linalg.norm(at))) / size
        ahead = pack(self.gradient(unpack(at + h * direction, params), rows))
        behind = pack(self.gradient(unpack(at - h * direction, params), rows))
        product: Array = (ahead - behind) / (2 * h)
        return product

    def metric(self, params: Params) -> float | None:
        """The test metric on held-out rows, None where there is none. Never tune on it."""
        return None

    def validation(self, params: Params) -> float | None:
        """The loss on rows that are neither trained nor tested on, lower is better; None where there are none."""
        return None

    @property
    def printable(self) -> Printable | None:
        """What a compiled loop takes, where whole runs can be compiled."""
        return None

    def order(self, seed: int, batch: int, steps: int) -> Rows | None:
        """``batches`` at once, (steps, batch) int64, a shorter one ended by -1; None where every step takes all rows."""
        rng = batch_stream(seed, batch, steps)
        if batch == 0 or batch >= self.rows:
            return None
        pieces = -(-self.rows // batch)
        epochs = np.tile(np.arange(self.rows), (-(-steps // pieces), 1))
        order = np.full((len(epochs), pieces * batch), -1)
        order[:, : self.rows] = rng.permuted(epochs, axis=1)  # as one ``permutation`` after another
        return order.reshape(-1, batch)[:steps]

    def batches(self, seed: int, batch: int, steps: int) -> Iterator[Rows | None]:
        """The row indices of each of ``steps`` steps; None stands for all rows.

        Every epoch is a fresh shuffle cut into pieces of ``batch`` rows, the last one shorter
        where ``batch`` does not divide the rows, so an epoch sees each row exactly once. All
        rows at once if ``batch`` is 0 or at least the number of rows, or if there is no data.
        Raises ProblemError for a negative number.
        """
        rng = batch_stream(seed, batch, steps)
        if batch == 0 or batch >= self.rows:
            return repeat(None, steps)
        return islice(_epochs(rng, self.rows, batch), steps)


def batch_stream(seed: int, batch: int, steps: int) -> np.random.Generator:
    """The random numbers that shuffle rows; ProblemError unless all three are integers >= 0."""
    need_integer("batch", batch, note="; 0 means all rows")
    need_integer("steps", steps)
    return stream(seed, BATCHES)


def _epochs(rng: np.random.Generator, rows: int, batch: int) -> Iterator[Rows]:
    while True:
        order = rng.permutation(rows)
        for first in range(0, rows, batch):
            yield order[first : first + batch]


def stream(seed: int, use: int) -> np.random.Generator:
    """The random numbers of ``seed`` for one use; different uses are independent."""
    need_integer("seed", seed)
    return np.random.default_rng([int(seed), use])


def need_integer(what: str, value: object, least: int = 0, note: str = "") -> None:
    """ProblemError unless ``value`` is an integer of at least ``least``; ``note`` ends its line."""
    if not isinstance(value, Integral) or value < least:
        raise ProblemError(f"{what}: got {shown(value)}, an integer >= {least} is needed{note}")


def numeric(values: object) -> Array:
    """``values`` as float64; a single NaN where they are no array of real numbers."""
    try:
        made = np.asarray(values)
        if made.dtype.kind in "iufO":
            return made.astype(float)
    except (TypeError, ValueError, OverflowError):
        pass
    return np.array(np.nan)


def finite(what: str, values: object) -> Array:
    """``values`` as float64; ProblemError unless all of them are finite numbers."""
    made = numeric(values)
    if not np.all(np.isfinite(made)):
        raise ProblemError(f"{what}: got {shown(values)}, finite numbers are needed")
    return made


def shown(value: object) -> str:
    """What was given, for a message: short and on one line."""
    return " ".join(short(value).split())


def pack(params: Params) -> Array:
    """All parameters as one fresh vector, in the order of the dict."""
    if isinstance(params, dict):
        return np.concatenate([pack(value) for value in params.values()])
    return params.flatten()


def unpack(vector: Array, like: Params) -> Params:
    """The inverse of ``pack``: views into ``vector`` in the structure and shapes of ``like``."""
    if not isinstance(like, dict):
        return vector.reshape(like.shape)
    out: dict[str, Params] = {}
    for key, value in like.items():
        size = pack(value).size
        out[key], vector = unpack(vector[:size], value), vector[size:]
    return out


def require(module: str, package: str, purpose: str) -> ModuleType:
    """Import a module that is optional; ProblemError with the remedy where it is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ProblemError(
            f"{purpose} needs {package}, which is not installed: pip install {package}"
        ) from error
