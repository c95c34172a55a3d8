"""``fit``: a linear model from files larger than memory, block by block, which goes on after a kill.

Bit for bit: what a block holds depends on where it begins alone, so that a run that goes on sees the same
blocks. A checkpoint is taken after a block, and only after blocks whose number says so (``_apart``): there all
weights are brought up to date, whether it is written or not, since that changes the rounding of later steps.
Which rows are held out is a hash of their numbers; they are kept in memory, and so their number is bounded.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import archive
from ..core.rule import Rule
from ..engines.cpu.object_cache import lean
from ..errors import FileError, HyperparameterError, ProblemError
from ..files import require_apart, require_writable, sweep
from ..linear import Model, Rows, race
from ..linear.race import part
from ..reading import Block, Stream
from .budget import Budget, apart, peak
from .plan import Paths, Plan, checked, decided, hashed, opened, require_known
from .quality import Quality
from .trained import Trained, folded, matrix

Array = np.ndarray[Any, Any]

KIND = "thalweg checkpoint"
FORMAT = 1
HELD_ROWS = 50_000


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
class State:
    """Where a run is, as JSON has it. passed: whole passes done. position: of the next block, or None for a
    pass's beginning. blocks, rows: read in this pass. steps: rows learnt from in all. loss, weight: sums over
    this pass. held: rows held out. until: from this row on none is, or None. width: one more than the largest
    feature seen. rule: what trains, in words. history: what is said of each whole pass. notes: sentences.
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
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
    held_out: dict[str, Any] | None
    test: dict[str, Any] | None
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


def fit(
    data: Paths,
    model: str | os.PathLike[str],
    *,
    task: str = "auto",
    loss: str | None = None,
    rule: Rule | str | None = None,
    classes: Sequence[float] | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    average: int | None = None,
    intercept: bool = True,
    dtype: str = "float32",
    epsilon: float = 0.1,
    quantile: float = 0.5,
    passes: int = 1,
    holdout: float | None = None,
    test: Paths | None = None,
    bits: int | None = None,
    features: int | None = None,
    memory: str | int | None = None,
    cache: bool | str | os.PathLike[str] = True,
    checkpoint_every: float = 60.0,
    fresh: bool = False,
    seed: int = 0,
    on_bad_line: str = "stop",
    progress: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] | None = None,
    stop: Callable[[], bool] | None = None,
    **reading: Any,
) -> Report:
    """Train a linear model on files and write it to the file ``model``.

    data: SVMlight, Vowpal Wabbit text, CSV or Parquet, one or many, as ``thalweg.reading.open_stream`` takes
    them; **reading: what that takes of format, zero_based, target, weight, ignore, categorical, numeric,
    missing, delimiter. bits: 2^bits features where names are hashed (default 18); SVMlight indices are cut to
    so many bits. features: of SVMlight, where they are to be checked.

    task: "classification", "regression" or "auto": by the labels of the first block. loss: a name in
    ``thalweg.linear.losses`` (default: log_loss, multinomial for more than two classes, squared_error).
    classes: all labels, where the first block lacks some. rule: a rule, or its name; the learning rate of a
    bare name, or of the default, ``thalweg.linear.DEFAULT``, is chosen by a short race on the first block. l1, l2: weights of the
    penalties. average: rows after which the weights are averaged. holdout: share of rows that are not learnt
    from but tell how good the model is, at most 50,000 (default: 0.1; 0 with test=). test: files for that.

    passes over the data; from the second on a binary cache is read, which lies beside the model and is
    removed at the end, or at ``cache``, which stays; False: none. memory: limit of the process, such as
    "500MB". checkpoint_every: seconds between checkpoints, 0 for none. The checkpoint lies beside the model;
    the same call finds it and goes on, to the same bytes. fresh: begin anew.
    progress: called with every few blocks. tell: with sentences on what was decided.
    stop: asked now and then; where it says True, a checkpoint is written and the run ends unfinished.

    Raises HyperparameterError for settings, FileError for files (bad lines with file, line and reason; a
    checkpoint of another run), ProblemError for data: no rows, one class only, an unknown label, divergence.
    """
    plan = checked(task, loss, rule, classes, l1, l2, average, intercept, dtype, epsilon, quantile, passes, holdout, test, bits, features, seed, on_bad_line, reading)  # fmt: skip
    if not (isinstance(checkpoint_every, int | float) and 0 <= checkpoint_every < math.inf):
        raise HyperparameterError(f"checkpoint_every: seconds, 0 or more; got {checkpoint_every!r}")
    target = require_writable(model)
    budget = Budget.of(memory)
    own = f"{target}.cache" if cache is True else None if cache is False else os.fspath(cache)
    stream = opened(data, plan, budget, own if plan.passes > 1 else None)
    check = None if test is None else opened(test, plan, budget, None, stream.layout)
    if budget.limit is not None:
        lean()
        apart(lambda: _Run(plan, stream, check, target, budget, 0.0, lambda _: None).compile())
    run = _Run(plan, stream, check, target, budget, checkpoint_every, tell or (lambda _: None))
    for path in (target, run.checkpoint, *([own] if plan.passes > 1 and own else ())):
        sweep(path)
    resumed = not fresh and run.resume()
    finished = False
    try:
        finished = run.train(progress, stop or (lambda: False))
        if finished:
            run.finish()
    finally:
        if (
            plan.passes > 1 and cache is True and (finished or not run.saved)
        ):  # else the run that goes on will read it
            with suppress(OSError):
                os.unlink(f"{target}.cache")
    return run.report(resumed, finished)


def learn(model: Model, block: Block, rows: Array | None = None) -> tuple[float, float]:
    """A step for each row of a block, or for those; the sums of weight times loss, and of weights."""
    csr = rows_in(block, model.features)
    weights = None if block.weights is None else block.weights.astype(np.float64)
    return model.learn(csr, model.encode(block.labels), weights, rows)


def rows_in(block: Block, features: int) -> Rows:
    """A block's rows as the compiled pass takes them."""
    indptr = block.indptr.astype(np.int32)
    return Rows(block.values, block.indices, indptr, (len(block.labels), features))


def wide(features: int) -> int:
    """Room for so many features and more: the next power of two."""
    return 1 << max(0, features - 1).bit_length()


class _Run:
    """One run of ``fit``."""

    def __init__(
        self,
        plan: Plan,
        stream: Stream,
        check: Stream | None,
        target: Path,
        budget: Budget,
        every: float,
        tell: Callable[[str], None],
        more: dict[str, Any] | None = None,
    ) -> None:
        require_apart([target], [*stream.paths, *(() if check is None else check.paths)])
        self.plan, self.stream, self.check, self.target, self.budget = plan, stream, check, target, budget
        self.checkpoint = target.with_name(f"{target.name}.checkpoint")
        self.every, self.tell = every, tell
        self.more = more or {}  # what else the trained model depends on
        # SVMlight alone has no hashing of its own.
        self.fold = plan.bits if stream.format == "svmlight" else None
        self.state = State()
        self.model: Model | None = None
        self.held: list[Block] = []
        self.held_bytes = 0
        self.started = time.perf_counter()
        self.done = 0  # rows read by this run
        self.saved = False
        self.skipped = 0  # bad lines that others met

    # Where the run is.

    def _source(self) -> dict[str, Any]:
        """All that the trained model depends on, as JSON has it."""
        files = [[str(f.absolute()), f.stat().st_size, f.stat().st_mtime_ns] for f in self.stream.paths]
        made = {"files": files, "block": self.budget.block, "held": self.budget.held}
        return made | self.more | self.plan.plain()

    def save(self) -> None:
        """Write the checkpoint: only after a block at which all weights are up to date."""
        assert self.model is not None
        head = {
            "kind": KIND,
            "format": FORMAT,
            "source": self._source(),
            "state": asdict(self.state),
            "model": self.model.head(),
        }
        archive.save(self.checkpoint, head, self.model.arrays())
        self.saved = True

    def resume(self) -> bool:
        """Take over what the checkpoint says, if there is one. Raises FileError if it is another run's."""
        if not self.checkpoint.exists():
            return False
        head, arrays = archive.load(self.checkpoint, KIND, FORMAT)
        source = self._source()
        try:
            other = [n for n, v in source.items() if head["source"].get(n) != v]
            if not other:
                self.state = State(**head["state"])
        except (KeyError, TypeError, AttributeError):
            raise FileError(f"{self.checkpoint}: is damaged; remove it, or begin anew (--fresh)") from None
        if other:
            raise FileError(
                f"{self.checkpoint}: belongs to a run with other {' and '.join(other)}; give what that run had, or begin anew (--fresh)"
            )
        self.model = Model.restore(head["model"], arrays, self.plan.rule)
        self._collect()
        self.saved = True
        where = f"pass {self.state.passed + 1}, row {self.state.rows}"
        self.tell(f"going on from {self.checkpoint}: {where}")
        return True

    def _collect(self) -> None:
        """The held-out rows that were seen before: read again from the beginning."""
        if not self.state.held:
            return
        with closing(self.stream.blocks()) as blocks:
            for block in blocks:
                block = self._own(block)
                self._keep(block, self._outside(block))
                if sum(len(b.labels) for b in self.held) >= self.state.held:
                    return

    # Rows held out.

    def _outside(self, block: Block) -> Array:
        """Which rows of a block are held out."""
        until = self.state.until
        if not self.plan.holdout or (until is not None and block.row >= until):
            return np.zeros(len(block.labels), bool)
        numbers = np.arange(block.row, block.row + len(block.labels))
        return hashed(numbers, self.plan.seed) < self.plan.holdout

    def _keep(self, block: Block, outside: Array) -> None:
        rows = matrix(block, block.features)[outside]
        weights = None if block.weights is None else block.weights[outside]
        kept = block._replace(
            labels=block.labels[outside],
            weights=weights,
            indptr=rows.indptr,
            indices=rows.indices,
            values=rows.data,
            tags=None,
        )
        self.held.append(kept)
        self.held_bytes += sum(a.nbytes for a in (kept.labels, rows.indptr, rows.indices, rows.data))

    def _train_on(self, block: Block) -> Array | None:
        """The rows of a block to learn from; None: all. In the first pass the others are kept."""
        s = self.state
        full = s.held >= HELD_ROWS or self.held_bytes >= self.budget.held
        if s.passed == 0 and s.until is None and full:
            s.until = block.row
        outside = self._outside(block)
        if not outside.any():
            return None
        if s.passed == 0:
            self._keep(block, outside)
            s.held += int(outside.sum())
        return np.flatnonzero(~outside)

    # Training.

    def _own(self, block: Block) -> Block:
        return block if self.fold is None else folded(block, self.fold)

    def _begin(self, block: Block, rows: Array | None) -> Model:
        """The model, from the first block that there is."""
        loss, classes, told = decided(self.plan, block.labels)
        if told:
            self._note(told)
        settings = self.plan.settings(loss)
        width = self._width(block)
        self._check(Model(settings, 1, classes), width)
        rule = settings.rule
        if self.plan.choose:
            model = Model(settings, width, classes)
            require_known(model, block)
            every = np.arange(len(block.labels)) if rows is None else rows
            weights = None if block.weights is None else block.weights[every].astype(np.float64)
            targets = model.encode(block.labels)[every]
            sample = part(rows_in(block, width), every)
            del model
            if len(every) >= 4:
                settings, _ = race(
                    settings, width, classes, sample, targets, weights, passes=1, seed=self.plan.seed
                )
                rule = settings.rule
                self._note(f"learning rate {rule.values['lr']:g}: the best of a short race on the first rows")
        self.state.rule = repr(rule)
        return Model(settings, width, classes)

    def _width(self, block: Block) -> int:
        if self.fold is not None:
            return 1 << self.fold
        return self.stream.features or wide(block.features)

    def _check(self, model: Model, width: int) -> None:
        remedy = (
            ""
            if self.stream.format in ("csv", "parquet") and not self.stream.layout["text"]
            else ", or fewer --bits"
        )
        self.budget.check(width, model.bytes_per_feature, remedy)

    def _note(self, text: str) -> None:
        self.state.notes.append(text)
        self.tell(text)

    def train(self, progress: Callable[[Progress], None] | None, stop: Callable[[], bool]) -> bool:
        """All passes that are left; False where it was stopped before the end."""
        s = self.state
        saved = shown = time.perf_counter()
        while s.passed < self.plan.passes:
            with closing(self.stream.blocks(s.position)) as blocks:
                for read in blocks:
                    block = self._own(read)
                    rows = self._train_on(block)
                    model = self._ready(block, rows)
                    loss, weight = learn(model, block, rows)
                    s.loss, s.weight = s.loss + loss, s.weight + weight
                    s.steps += len(block.labels) if rows is None else len(rows)
                    s.rows += len(block.labels)
                    s.blocks += 1
                    s.width = max(s.width, block.features)
                    s.position = block.position
                    self.done += len(block.labels)
                    now = time.perf_counter()
                    if progress and now - shown > 0.1:
                        progress(self._progress())
                        shown = now
                    if s.blocks % self._apart():
                        continue
                    model.catch_up()
                    if stop():
                        self.save()
                        return False
                    if self.every and now - saved > self.every:
                        self.save()
                        saved = time.perf_counter()
            self._pass_done()
            if progress:
                progress(self._progress(whole=True))
            s.passed, s.position, s.blocks, s.rows, s.loss, s.weight = s.passed + 1, None, 0, 0, 0.0, 0.0
            if s.passed < self.plan.passes and stop():
                self.save()
                return False
        return True

    def compile(self) -> None:
        """Run every kernel on a few rows."""
        with closing(self.stream.blocks()) as blocks:
            block = next(blocks)
        loss, classes, _ = decided(self.plan, block.labels)
        first = int(block.indptr[1])
        block = block._replace(indices=np.arange(len(block.indices), dtype=np.int32))
        learn(Model(self.plan.settings(loss), first + 1, classes), block, np.arange(1))

    def _ready(self, block: Block, rows: Array | None) -> Model:
        """The model, with room for the block's features; ProblemError for labels that it does not know."""
        model = self.model
        if model is None:
            model = self.model = self._begin(block, rows)
        elif block.features > model.features:
            self._check(model, wide(block.features))
            model = self.model = model.resized(wide(block.features))
        require_known(model, block)
        return model

    def _apart(self) -> int:
        """Blocks from one point where a checkpoint may be taken to the next: bringing weights up to date costs."""
        assert self.model is not None
        return max(1, self.model.features * self.model.outputs >> 20)

    def _pass_done(self) -> None:
        s = self.state
        if self.model is None or not s.steps:
            raise ProblemError(f"{self.stream.paths[0]}: holds no rows to learn from")
        self.model.catch_up()
        entry: dict[str, Any] = {
            "pass": s.passed + 1,
            "rows": s.rows,
            "loss": s.loss / s.weight if s.weight else None,
            "held_out": self._held_out(),
            "test": self._test(),
        }
        s.history.append(entry)

    def _held_out(self) -> dict[str, Any] | None:
        assert self.model is not None
        quality = Quality()
        for block in self.held:
            quality.add(self.model, matrix(block, self.model.features), block.labels, block.weights)
        return quality.result(self.model) if quality.rows else None

    def _test(self) -> dict[str, Any] | None:
        if self.check is None:
            return None
        assert self.model is not None
        quality = Quality()
        with closing(self.check.blocks()) as blocks:
            for read in blocks:
                block = self._own(read)
                quality.add(self.model, matrix(block, self.model.features), block.labels, block.weights)
        return quality.result(self.model)

    def _progress(self, whole: bool = False) -> Progress:
        s = self.state
        taken = time.perf_counter() - self.started
        loss = s.loss / s.weight if s.weight else math.nan
        share = 1.0 if whole else _share(self.stream.paths, s.position)
        return Progress(s.passed + 1, self.plan.passes, s.rows, self.done / taken, loss, share)

    # The end.

    def finish(self) -> None:
        """Write the model, and remove the checkpoint."""
        assert self.model is not None
        s = self.state
        known = self.stream.features is not None or self.fold is not None
        width = self.model.features if known else s.width
        rows, layout = s.history[-1]["rows"], self.stream.layout
        made = Trained.of(self.model, width, layout, self.fold, s.rule, rows, s.passed)
        made.save(self.target)
        if self.budget.limit is not None:
            lean()  # what the interpreter touches when it ends comes on top
        with suppress(OSError):
            self.checkpoint.unlink()

    def report(self, resumed: bool, finished: bool) -> Report:
        """What the run has done."""
        assert self.model is not None
        s, model = self.state, self.model
        taken = time.perf_counter() - self.started
        last = s.history[-1] if s.history else {}
        return Report(
            model=str(self.target),
            task="regression" if model.classes is None else "classification",
            loss_name=model.settings.loss,
            rule=s.rule,
            classes=None if model.classes is None else model.classes.tolist(),
            features=min(model.features, s.width) if self.stream.features is None else model.features,
            rows=last.get("rows", s.rows),
            passes=s.passed,
            steps=s.steps,
            loss=last.get("loss"),
            held_out=last.get("held_out"),
            test=last.get("test"),
            history=s.history,
            skipped=self.stream.skipped + self.skipped,
            reasons=self.stream.reasons,
            notes=s.notes,
            seconds=taken,
            rows_per_second=self.done / taken,
            peak_memory=peak(),
            resumed=resumed,
            finished=finished,
            checkpoint=str(self.checkpoint) if self.saved and not finished else None,
        )


def _share(paths: Sequence[Path], position: dict[str, int] | None) -> float | None:
    """How much of the files lies before a position, by bytes; None where they are compressed or in groups."""
    if position is None or any(p.suffix in (".gz", ".zst", ".zstd", ".parquet", ".pq") for p in paths):
        return None
    sizes = [p.stat().st_size for p in paths]
    before = sum(sizes[: position["file"]]) + position["offset"]
    return min(0.999, before / total) if (total := sum(sizes)) else None  # 1 is a whole pass
