"""What a run of ``fit`` says: how far it is, and in the end what it has done."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from .quality import Measured


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
    test: of the final model, with rows, loss and accuracy or rmse; None where there is none. skipped: bad lines.
    peak_memory: bytes. resumed: whether a checkpoint was gone on from. finished: False where it was stopped.
    """

    model: str
    task: str
    loss_name: str
    rule: str
    classes: list[float] | None
    features: int
    rows: int
    passes: int
    steps: int
    loss: float | None
    held_out: Measured | None
    test: Measured | None
    history: list[dict[str, Any]]
    skipped: int
    reasons: list[str]
    notes: list[str]
    seconds: float
    rows_per_second: float
    peak_memory: int
    resumed: bool
    finished: bool
    checkpoint: str | None

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)
