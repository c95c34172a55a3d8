"""A checkpoint: from where a run goes on, and which run that is, in a file beside the model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, Self

import numpy as np

from .. import archive
from ..core.rule import Rule
from ..errors import FileError
from ..linear import Model
from ..linear.losses import EPSILON
from ..reading.block import Position
from .curve import Point, lengthen, require_curve
from .settings import recorded_reading
from .sizes import Sizes

KIND = "thalweg checkpoint"
FORMAT = 2  # 1: rows in the files' order, of blocks whose size followed from --memory; no scaling

SIZES = "_sizes"  # the array of features' sizes, beside the model's
Plain = dict[str, Any]  # as JSON has it

EARLIER: Plain = {"scale": "none"}  # what files of format 1 do not say


@dataclass
class State:
    """Where a run is, as JSON has it. passed: whole passes done. position: of the next block, or None for a
    pass's beginning. done: rows of that block that are over. blocks, rows: chunks and rows of this pass that are over. steps: rows learnt from in all. loss, weight: sums over
    this pass. held: rows held out. until: from this row on none is, or None. width: one more than the largest
    feature seen. rule: what trains, in words. history: what is said of each whole pass. notes: sentences.
    curve: the loss over the rows of all passes (``curve.lengthen``).
    """

    passed: int = 0
    position: dict[str, int] | None = None
    blocks: int = 0
    rows: int = 0
    steps: int = 0
    loss: float = 0.0
    weight: float = 0.0
    held: int = 0
    until: int | None = None
    width: int = 0
    rule: str = ""
    history: list[Plain] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    done: int = 0
    curve: list[Point] = field(default_factory=list)

    @classmethod
    def of(cls, plain: Plain, files: int, passes: int) -> Self:
        """The state that a file holds. files: of the run; passes: that it is to do.

        Raises ValueError, TypeError or KeyError for what no run can have saved.
        """
        state = cls(**plain)
        counts = (
            state.passed,
            state.blocks,
            state.rows,
            state.steps,
            state.held,
            state.width,
            state.until or 0,
            state.done,
        )
        sums = (state.loss, state.weight)
        if any(type(n) is not int or n < 0 for n in counts) or any(type(x) is not float for x in sums):
            raise ValueError("counts and sums must be numbers")
        if state.position is not None:
            Position.of(state.position, files)
        if not all(isinstance(text, str) for text in [state.rule, *state.notes]):
            raise ValueError("rule and notes must be text")
        if not state.passed == len(state.history) < passes:
            raise ValueError("a pass lacks its history")
        for entry in state.history:
            _require_history(entry)
        require_curve(state.curve)
        return state

    @property
    def mean_loss(self) -> float | None:
        """The mean loss of this pass, each row's before it was learnt from; None before the first."""
        return self.loss / self.weight if self.weight else None

    def learnt(self, rows: int, loss: float, weight: float) -> None:
        """Note rows that were learnt from: how many, and the sums of weight times loss, and of weights."""
        self.steps += rows
        self.loss, self.weight = self.loss + loss, self.weight + weight
        lengthen(self.curve, rows, weight, loss)

    def next_pass(self) -> None:
        """Go to the beginning of the next pass."""
        self.passed += 1
        self.position, self.done, self.blocks, self.rows = None, 0, 0, 0
        self.loss, self.weight = 0.0, 0.0


def _require_history(entry: Plain) -> None:
    """Raise ValueError, TypeError or KeyError unless it is what is said of a whole pass (``Run.end_pass``)."""
    if any(type(entry[n]) is not int for n in ("pass", "rows")):
        raise ValueError("pass and rows must be whole numbers")
    if not isinstance(entry["loss"], float | None):
        raise ValueError("loss must be a number")
    for measured in (entry["held_out"], entry["test"]):
        if measured is not None and any(type(x) not in (int, float, NoneType) for x in measured.values()):
            raise ValueError("what was measured must be numbers")


def beside(model: Path) -> Path:
    """The path of a model's checkpoint."""
    return model.with_name(f"{model.name}.checkpoint")


def save(path: Path, source: Plain, state: State, model: Model, sizes: Sizes | None = None) -> None:
    """Write a checkpoint. source: all that the trained model depends on. Raises FileError."""
    head = {"kind": KIND, "format": FORMAT, "source": source, "state": asdict(state), "model": model.head()}
    more = {} if sizes is None else {SIZES: sizes.array[:, None]}
    archive.save(path, head, model.arrays() | more)


def load(path: Path, source: Plain, rule: Rule) -> tuple[State, Model, Sizes | None]:
    """Where a run was, its model, and its features' sizes. rule: of the class that trains.

    Raises FileError if it is another run's.
    """
    with archive.opened(path, KIND, FORMAT) as file:
        head, arrays = file.head, file.arrays({n: _layout(n) for n in file.names})
    try:
        recorded: Plain = EARLIER | {"columns": source.get("columns")} | dict(head["source"])
        recorded["reading"] = recorded_reading(recorded["reading"])
        if head["format"] == 1 and source.get("epsilon") is None and recorded["epsilon"] == EPSILON:
            recorded["epsilon"] = None  # that was the default, which is recorded as open now
        other = _differing(source, recorded)
        state = State() if other else State.of(head["state"], len(source["files"]), source["passes"])
        plain = head["model"]
        sizes = (
            None if SIZES not in arrays else Sizes(np.ascontiguousarray(arrays.pop(SIZES)[:, 0], np.float32))
        )
        if sizes is not None and not (np.isfinite(sizes.array).all() and sizes.array.min(initial=0) >= 0):
            raise ValueError("sizes must be finite, 0 or more")
    except archive.MISFITS:
        raise FileError(f"{path}: is damaged; remove it, or begin anew (--fresh)") from None
    if other:
        earlier = " (an earlier thalweg's: --scale none)" if head["format"] == 1 and "scale" in other else ""
        raise FileError(
            f"{path}: belongs to a run with other {' and '.join(other)}; give what that run had{earlier}, or begin anew (--fresh)"
        )
    model = Model.restore(plain, arrays, rule)
    if state.width > model.features:
        raise FileError(f"{path}: is damaged; remove it, or begin anew (--fresh)")
    return state, model, sizes


def _layout(name: str) -> archive.Layout:
    """Return what an array of a model must be: its classes, or a row of outputs for each feature."""
    return archive.Layout(*(("biufU", (None,)) if name == "classes" else ("f", (None, None))))


def _differing(source: Plain, recorded: Mapping[str, Any]) -> list[str]:
    return [n for n, v in source.items() if recorded.get(n) != v]
