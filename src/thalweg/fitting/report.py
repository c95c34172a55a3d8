"""What a run of ``fit`` says: how far it is, and in the end what it has done."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ..notebook import display, table
from .quality import Measured

SHOWN = 12  # columns named in a line


class Progress(NamedTuple):
    """How far a run is. passed: of passes, the one that runs, from 1. rows: read in this pass. speed: rows a
    second since the run began. loss: mean loss of this pass, each row's before it was learnt from. share: of
    the pass, by bytes, or None where only reading tells.
    """

    passed: int
    passes: int
    rows: int
    speed: float
    loss: float
    share: float | None


@dataclass
class Report:
    """What a run has done. rows: of the data, in one pass. steps: rows learnt from in all passes. seconds,
    rows_per_second: of this run alone. loss: of the last pass, each row's before it was learnt from. held_out,
    test: of the final model, with rows, loss, accuracy or rmse, and what one constant gets; None where there is none. skipped: bad lines.
    train: the same on rows that were learnt from, as many of the same stretch of the files. calibration: what was
    predicted beside what came, on rows held out or of test, in groups of equal size by prediction. weights: the
    largest: column, class (where there are several), weight (in the units of the files) and effect: what a deviation
    of the column moves the prediction, or the score, by. curve: mean loss before learning against rows learnt from.
    columns: what those of a table hold, and which are left out. odd_cells: by column, how many are none of what it
    holds, and the first. peak_memory: bytes. resumed: whether a checkpoint was gone on from. finished: False where it was stopped.
    class_names: the classes as the files call them.
    """

    model: str
    task: str
    loss_name: str
    rule: str
    classes: list[float] | None
    class_names: list[str] | None
    features: int
    rows: int
    passes: int
    steps: int
    loss: float | None
    held_out: Measured | None
    test: Measured | None
    train: Measured | None
    calibration: dict[str, Any] | None
    weights: list[dict[str, Any]]
    curve: list[dict[str, float]]
    history: list[dict[str, Any]]
    skipped: int
    reasons: list[str]
    notes: list[str]
    columns: dict[str, Any] | None
    odd_cells: dict[str, Any]
    seconds: float
    rows_per_second: float
    peak_memory: int
    resumed: bool
    finished: bool
    checkpoint: str | None

    def _repr_html_(self) -> str:
        """The figures of the fit, and the largest weights, as tables."""
        fitted = [["task", f"{self.task}, {self.loss_name}"], ["rule", self.rule]]
        parts = {"held out": self.held_out, "test": self.test, "learnt from": self.train}
        measures = {what: dict(measured) for what, measured in parts.items() if measured}
        fitted += [
            [f"{name.replace('_', ' ')}, {what}", f"{value:.4g}"]
            for what, measured in measures.items()
            for name, value in measured.items()
            if isinstance(value, int | float)
        ]
        fitted += [["rows", f"{self.rows:,} in {self.passes} passes"], ["features", f"{self.features:,}"]]
        fitted += [["bad lines skipped", str(self.skipped)]] if self.skipped else []
        weights = [
            [
                f"{w['column']}" + (f", {w['class']}" if "class" in w else ""),
                f"{w['weight']:.4g}",
                f"{w['effect']:.4g}",
            ]
            for w in self.weights
        ]
        heads = ["largest weights", "a unit", "a standard deviation"]
        state = self.model if self.finished else "Interrupted: no model yet"
        return display(table(["model", state], fitted, left=(0, 1)), table(heads, weights) if weights else "")

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def columns_text(columns: dict[str, Any]) -> list[str]:
    """What the columns of a table hold (``Stream.columns``), in a few lines."""
    lines = [columns["note"]] if columns["note"] else []
    if numbers := columns["numbers"]:
        lines.append(f"numbers: {_listed([c['name'] for c in numbers])}")
    if texts := columns["text"]:
        counts = [
            c["name"] if c["values"] is None else f"{c['name']} ({_count(c['values'], 'value')})"
            for c in texts
        ]
        lines.append(f"texts: {_listed(counts)}")
    if left := columns["left_out"]:
        whys = {
            why: [repr(c["name"]) for c in left if c["why"] == why]
            for why in sorted({c["why"] for c in left})
        }
        lines.append("left out: " + "; ".join(f"{_listed(names)} ({why})" for why, names in whys.items()))
    if target := columns.get("target"):
        lines.append(f"target: {target}")
    gaps = [f"{c['name']} {c['missing']}" for c in numbers if c["missing"]]
    if gaps:
        lines.append(f"missing cells in the first rows: {_listed(gaps)}")
    for c in (*numbers, *texts):
        if c["bad"]:
            cells = f"{_count(c['bad'], 'cell')} of the first rows {'are' if c['bad'] > 1 else 'is'} no {'date' if c['kind'] == 'instant' else 'number'}, such as {c['example']!r}"
            lines.append(f"column {c['name']!r}: {cells}")
        if c["note"]:
            lines.append(f"column {c['name']!r}: {c['note']}")
    return lines


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _listed(names: list[str]) -> str:
    """Names in a line, of many the first ones."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
