"""One run of a user's training loop, and what is made of what it yields."""

import math
import random
import sys
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from traceback import walk_tb
from types import GeneratorType
from typing import Any

import numpy as np

from ..core.line import short
from ..core.rule import Rule
from ..errors import nearest
from ..problems.training import FORM, LOSS, TrainingProblem
from .entrants import Foreign
from .handed import Handed, LoopError

Array = np.ndarray[Any, Any]
BLOWN = 1e3  # a loss, or its height over the minimum, this many times the first one's counts as diverged
TAIL = 10  # the value of a run is the mean over one in so many of its yields, the last


@dataclass(frozen=True, eq=False)
class Trained:
    """What one run of a training loop left behind.

    yields: how often it yielded. series: by name, at which yields (m,), from 1, and what (m,) float64; "loss" is what
    plain numbers are. diverged: whether the loss stopped being finite or grew to ``BLOWN`` times its first size; the
    run ended there. reason: why the run failed, "" where it did not. door: what the loop asked for, "PyTorch",
    "JAX" or "NumPy", "" where nothing was. seconds: of the whole run.
    """

    yields: int
    series: Mapping[str, tuple[Array, Array]]
    diverged: bool
    reason: str
    door: str
    seconds: float

    def curve(self, name: str, steps: Array) -> Array:
        """What the run would be worth had it ended after each of so many yields; NaN without any.

        That is the mean over the last tenth of its yields or, of a name that is not always yielded, the last value.
        Before the first value it is that, and after the end of the run it stays. steps: (R,). Returns (R,).
        """
        at, values = self.series.get(name, (np.empty(0), np.empty(0)))
        if not len(values):
            return np.full(len(steps), np.nan)
        seen = np.maximum(np.searchsorted(at, steps, side="right"), 1)  # values that were yielded by then
        if len(values) < self.yields:
            last: Array = values[seen - 1]
            return last
        sums = np.concatenate([[0.0], np.cumsum(values)])
        span = -(-seen // TAIL)
        means: Array = (sums[seen] - sums[seen - span]) / span
        return means


def run(
    p: TrainingProblem,
    entrant: Rule | Foreign,
    seed: int,
    steps: int,
    options: Mapping[str, Any] | None = None,
    leave_after: int | None = None,
) -> Trained:
    """Run a training loop with an entrant for at most so many yields; return what it left behind.

    options: what stands around the entrant, as ``Rule.on`` takes it. leave_after: fewer yields of the same run, of
    which the loop knows nothing. ``random``, NumPy and PyTorch are seeded before
    and put back after; what the loop prints goes to standard error. What the loop raises is the run's ``reason``.
    """
    handed = Handed(entrant, steps, options or {})
    record = _Record()
    reason, tick = "", time.perf_counter()
    with redirect_stdout(sys.stderr), _seeded(seed, p), np.errstate(all="ignore"):
        try:
            generator = p.train(handed, seed)
            if not isinstance(generator, GeneratorType):
                raise LoopError(
                    f"returned {short(generator)}, so that nothing is seen of its training: {FORM}"
                )
            with closing(generator):
                record.follow(generator, steps if leave_after is None else min(leave_after, steps))
            if not handed.door:
                raise LoopError(
                    "ignores the optimizer: it must call optimizer(model.parameters()) or take optimizer.optax"
                )
            if leave_after is None and not record.diverged:
                record.require(p.measure)
        except (Exception, SystemExit) as error:
            reason = _reason(p, entrant, error)
    seconds = time.perf_counter() - tick
    return Trained(record.yields, record.series(), record.diverged, reason, handed.door, seconds)


class _Record:
    """What a loop yielded, in arrays that grow: a plain number costs no object."""

    def __init__(self) -> None:
        self.yields, self.diverged = 0, False
        self.losses = array("d")
        self.without: list[int] = []  # yields that had no loss
        self.others: dict[str, tuple[array[int], array[float]]] = {}

    def follow(self, generator: Iterator[object], steps: int) -> None:
        """Take in what is yielded, so many times at most, until the loss diverges; LoopError."""
        take, n = self.losses.append, 0
        low, high = math.nan, math.nan  # until there is a first loss
        try:
            for n, value in enumerate(islice(generator, steps), start=1):
                if type(value) is not float:
                    loss = self._taken(value, n)
                    if loss is None:
                        self.without.append(n)
                        continue
                    value = loss
                take(value)
                if not low <= value <= high:
                    if low == low or not math.isfinite(value):
                        self.diverged = True
                        return
                    low, high = -sys.float_info.max, BLOWN * max(abs(value), 1.0)
        finally:
            self.yields = n

    def _taken(self, value: object, n: int) -> float | None:
        """The loss of what is no plain float; the other numbers of a dict are kept by their names."""
        if not isinstance(value, dict):
            return _number(value, "", n)
        loss = None
        for name, inner in value.items():
            number = inner if type(inner) is float else _number(inner, name, n)
            if name == LOSS:
                loss = number
                continue
            kept = self.others.get(name)
            if kept is None:
                if not isinstance(name, str):
                    raise LoopError(
                        f"yielded a dict whose key is {short(name)} (yield {n}): names are needed"
                    )
                kept = self.others[name] = array("q"), array("d")
            kept[0].append(n)
            kept[1].append(number)
        return loss

    def series(self) -> dict[str, tuple[Array, Array]]:
        """The values by name, each with the yields at which it came."""
        series = {n: (np.array(at), np.array(values)) for n, (at, values) in self.others.items()}
        if self.losses:
            at = np.setdiff1d(np.arange(1, self.yields + 1), self.without, assume_unique=True)
            series = {LOSS: (at, np.array(self.losses)), **series}
        return series

    def require(self, measure: str) -> None:
        """LoopError where what is to be compared was not yielded once."""
        if not self.yields:
            raise LoopError(f"ended without a yield: {FORM}")
        known = [LOSS] * bool(self.losses) + list(self.others)
        if measure not in known:
            raise LoopError(
                f"yields no {measure!r}, which is to be compared (measure): {nearest(measure, known)}"
            )


def _number(value: object, name: str, n: int) -> float:
    """A real number of any library's; LoopError for anything else."""
    item = getattr(value, "item", None)
    try:
        if not isinstance(value, str | bytes):
            return float(item() if item is not None else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        pass
    where = f" for {name!r}" if name else ""
    raise LoopError(
        f'yielded {short(value)}{where} (yield {n}): a number or {{"loss": number, ...}} is needed'
    )


def _reason(p: TrainingProblem, entrant: Rule | Foreign, error: BaseException) -> str:
    """Why a run failed, in one line: what was raised, and in which line of the loop's file."""
    if isinstance(error, LoopError):
        return f"{p.name} {error}"
    told = " ".join(str(error).split())
    if isinstance(error, TypeError) and "closure" in told:
        title = entrant.path if isinstance(entrant, Foreign) else type(entrant).__name__
        return f"{title} needs a closure, opt.step(closure), which {p.name} does not give"
    file = getattr(getattr(p.train, "__code__", None), "co_filename", "")
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    place = f" in line {lines[-1]}" if lines else ""
    return f"{p.name} raised {type(error).__name__}{place}{': ' if told else ''}{told[:200]}"


@contextmanager
def _seeded(seed: int, p: TrainingProblem) -> Iterator[None]:
    """``random``, NumPy and PyTorch seeded, and one thread for PyTorch's sums; all put back at the end."""
    names = getattr(getattr(p.train, "__code__", None), "co_names", ())
    torch = import_module("torch") if "torch" in names else sys.modules.get("torch")
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - loops draw from the global generator
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    if torch is not None:
        state, threads = torch.get_rng_state(), torch.get_num_threads()
        torch.manual_seed(seed)
        torch.set_num_threads(1)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(state)
            torch.set_num_threads(threads)
