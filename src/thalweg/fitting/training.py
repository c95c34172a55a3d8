"""``fit``: a linear model from files larger than memory, block by block, which goes on after a kill.

Bit for bit: what a chunk of rows holds depends on where it begins alone, and not on the blocks that are read, so that
a run that goes on sees the same chunks, and so does one with another limit of memory. A checkpoint is taken after a
chunk, and only after chunks whose number says so (``_chunks_between_checkpoints``): there all weights are brought up to
date, whether it is written or not, since that changes the rounding of later steps.
"""

import math
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.cpu.csr import look
from ..engines.cpu.object_cache import give_back
from ..engines.memory import Array
from ..errors import FileError, HyperparameterError, ProblemError
from ..files import require_apart, require_writable, sweep
from ..linear import Model
from ..reading import Block, Stream
from ..reading.arrow_library import give_memory_back
from ..reading.kinds import label_text
from ..reading.sources import Source, first_pipe, require_different_pipes, sources
from . import checkpoint
from .budget import SMALLEST, Budget, peak, rehearsed
from .checkpoint import State
from .chunks import Chunk, chunks, order
from .curve import pieces
from .curve import plain as plain_curve
from .first_model import FirstModel
from .held_out import HeldOut, LearntRows
from .labels import decide, require_known
from .learning import learn, learn_in_pieces, room_for, rows_in
from .quality import FEW, Quality, called_rows
from .report import Progress, Report
from .settings import FitSettings, Paths
from .sizes import Sizes
from .streams import scored_stream, share_read, training_stream
from .trained import Trained, folded, matrix
from .weights import called, largest

SPARSE = ("svmlight", "vw")  # formats whose features have no columns


def fit(
    data: Paths,
    model: str | os.PathLike[str],
    settings: FitSettings | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] | None = None,
    stop: Callable[[], bool] | None = None,
    **changes: Any,
) -> Report:
    """Train a linear model on files and write it to the file ``model``.

    data: SVMlight, Vowpal Wabbit text, CSV or Parquet, one or many, as ``thalweg.reading.open_stream`` takes
    them. settings: a ``FitSettings`` (default: each at its default). **changes: some of them by keyword:
    ``fit("a.svm", "a.tw", passes=2, rule="Adam")``.

    A checkpoint lies beside the model while it is trained; the same call finds it and goes on, to the same bytes.
    progress: called with every few blocks. tell: with sentences on what was decided.
    stop: asked now and then; where it says True, a checkpoint is written and the run ends unfinished.

    Raises HyperparameterError for settings, FileError for files (bad lines with file, line and reason; a
    checkpoint of another run), ProblemError for data: no rows, one class only, an unknown label, divergence.
    """
    settings = FitSettings.of(settings, changes)
    target = require_writable(model)
    budget = Budget.of(settings.memory)
    cache: str | None = None
    if settings.passes > 1 and settings.cache is not False:
        cache = f"{target}.cache" if settings.cache is True else os.fspath(settings.cache)
    files = sources(data)
    test = () if settings.test is None else sources(settings.test)
    require_readable_again(settings, files, test)
    if budget.limit is not None:
        give_back()
        give_memory_back()
        if (pipe := files[0].pipe) is not None:
            pipe.beginning(SMALLEST)  # what the child has to go by
        rehearsed(lambda: rehearse(files[0], settings, target, budget))
    stream = training_stream(files, settings, budget.block, cache)
    if budget.limit is not None:
        give_back()
    scored = scored_stream(test, settings, budget.block, stream.layout) if test else None
    run = Run(settings, stream, scored, target, budget, tell or (lambda _: None))
    for path in (target, run.checkpoint, *([cache] if cache else ())):
        sweep(path)
    if stream.pipe is not None:
        run.tell(f"{stream.pipe} is a pipe: it is read once, so that no checkpoint is written")
    resumed = not settings.fresh and run.resume()
    finished = False
    try:
        finished = run.train(progress, stop or (lambda: False))
        if finished:
            run.finish()
    finally:
        # A run that goes on will read it.
        if cache and settings.cache is True and (finished or not run.saved):
            with suppress(OSError):
                os.unlink(cache)
    return run.report(resumed, finished)


def rehearse(file: Source, settings: FitSettings, target: Path, budget: Budget) -> None:
    """Compile every kernel that a run needs, by opening a file and learning its first row: in a child process."""
    if file.pipe is not None:
        file.pipe.end_here()
    run = Run(settings, training_stream([file], settings, budget.block, None), None, target, budget)
    give_back()
    with closing(run.stream.blocks()) as blocks:
        block = next(blocks)
    loss, classes, _ = decide(settings, block.labels, run.stream.classes, run.stream.labels)
    entries = int(block.indptr[1])
    if run.sizes is not None:
        run.sizes.divide(block)
    if settings.passes > 1:
        look(rows_in(block, block.features))  # as blocks of the cache are
    block = block._replace(indices=np.arange(len(block.indices), dtype=np.int32))
    model = Model(settings.linear(loss), entries + 1, classes)
    learn(model, block, np.arange(1))
    model.catch_up()


def require_readable_again(settings: FitSettings, files: Sequence[Source], test: Sequence[Source]) -> None:
    """Raise HyperparameterError, or FileError, where a pipe would have to be read twice."""
    require_different_pipes([*files, *test])
    if settings.passes == 1:
        return
    if settings.cache is False and (pipe := first_pipe(files)) is not None:
        raise HyperparameterError(
            f"cache: {pipe} is a pipe, which is read once; {settings.passes} passes need the cache (drop --no-cache)"
        )
    if (pipe := first_pipe(test)) is not None:
        raise HyperparameterError(
            f"test: {pipe} is a pipe, and would be read after each of {settings.passes} passes; write it to a file first"
        )


class Run:
    """One run of ``fit``. more: what else the trained model depends on, as JSON has it."""

    def __init__(
        self,
        settings: FitSettings,
        stream: Stream,
        scored: Stream | None,
        target: Path,
        budget: Budget,
        tell: Callable[[str], None] = lambda _: None,
        more: dict[str, Any] | None = None,
    ) -> None:
        require_apart([target], [*stream.paths, *(() if scored is None else scored.paths)])
        self.settings, self.stream, self.scored = settings, stream, scored
        self.target, self.budget, self.tell = target, budget, tell
        self.checkpoint = checkpoint.beside(target)
        self.more = more or {}
        # SVMlight alone has no hashing of its own.
        self.fold = settings.bits if stream.format == "svmlight" else None
        self.state = State()
        self.first = FirstModel(settings, stream, self.fold, budget, self._note)
        self.sizes = Sizes() if settings.scales and stream.format in SPARSE else None
        self.model: Model | None = None
        self.held_out = HeldOut(settings.held_out_share, settings.seed, budget.held)
        self.learnt = LearntRows(settings.held_out_share, settings.seed, budget.held // 4)
        self.told: dict[str, Any] = {}  # what is said of the final model: of ``Report``
        self.started = time.perf_counter()
        self.rows_read = 0  # by this run
        self.saved = False
        self.skipped = 0  # bad lines that others met

    # Where the run is.

    def _source(self) -> dict[str, Any]:
        """All that the trained model depends on, as JSON has it."""
        files = [f.identity() for f in self.stream.sources]
        return {"files": files, "columns": self.stream.layout} | self.more | self.settings.record()

    def save(self) -> None:
        """Write the checkpoint: only after a block at which all weights are up to date; none where rows do not come again."""
        if self.stream.pipe is not None:
            return
        checkpoint.save(self.checkpoint, self._source(), self.state, self.trained_model, self.sizes)
        self.saved = True

    def resume(self) -> bool:
        """Take over what the checkpoint says, if there is one. Raises FileError if it is another run's."""
        if not self.checkpoint.exists():
            return False
        self.state, self.model, sizes = checkpoint.load(
            self.checkpoint, self._source(), self.settings.start_rule
        )
        if (sizes is None) != (self.sizes is None):
            raise FileError(f"{self.checkpoint}: is damaged; remove it, or begin anew (--fresh)")
        self.sizes = sizes
        if self.state.passed or self.state.rows:
            self._collect()
        self.saved = True
        self.tell(f"going on from {self.checkpoint}: pass {self.state.passed + 1}, row {self.state.rows}")
        return True

    def _collect(self) -> None:
        """Keep the rows again that are held out, and those that the model is measured on beside them."""
        state = self.state
        with closing(self.stream.blocks()) as blocks:
            for block in (self.scaled(chunk.block) for chunk in chunks(map(self.indexed, blocks))):
                self.learnt.take(block, self.held_out.keep_again(block, state))
                end = state.passed == 0 and block.row + len(block.labels) >= state.rows
                if end or (self.held_out.count >= state.held and self.learnt.full):
                    return

    @property
    def trained_model(self) -> Model:
        """The model, which there is from the first block on."""
        assert self.model is not None
        return self.model

    # The model.

    def indexed(self, block: Block) -> Block:
        """A block with indices as the model has them."""
        return block if self.fold is None else folded(block, self.fold)

    def scaled(self, block: Block) -> Block:
        """A block of sparse text with its values divided by their features' sizes; any other as it is."""
        return block if self.sizes is None else self.sizes.scaled(block)

    def measured(self, block: Block) -> Block:
        """``scaled``, in place; sizes of features that the block is the first to have are noted."""
        if self.sizes is not None:
            if self.model is None:
                self.sizes.measure(block)
            self.sizes.divide(block)
        return block

    def begin(self, block: Block, rows: Array | None) -> Model:
        """Make the model from the first chunk of rows, and race for its learning rate if it is open."""
        model = self.first.model(block, rows)
        self.state.rule = repr(model.settings.rule)
        return model

    def _ready(self, block: Block, rows: Array | None) -> Model:
        """The model, with room for the block's features. Raises ProblemError for labels that it does not know."""
        model = self.model
        if model is None:
            model = self.model = self.begin(block, rows)
        elif block.features > model.features:
            self.first.require_room(model, room_for(block.features))
            model = self.model = model.resized(room_for(block.features))
        require_known(model, block)
        return model

    def _note(self, text: str) -> None:
        self.state.notes.append(text)
        self.tell(text)

    # Training.

    def train(self, progress: Callable[[Progress], None] | None, stop: Callable[[], bool]) -> bool:
        """Train through all passes that are left; False where it was stopped before the end."""
        s = self.state
        every = self.settings.checkpoint_every
        saved = shown = time.perf_counter()
        while s.passed < self.settings.passes:
            with closing(self._steps()) as models:
                for model in models:
                    now = time.perf_counter()
                    if progress and now - shown > 0.1:
                        progress(self._progress())
                        shown = now
                    if s.blocks % self._chunks_between_checkpoints():
                        continue
                    model.catch_up()
                    if stop():
                        self.save()
                        return False
                    if every and now - saved > every:
                        self.save()
                        saved = time.perf_counter()
            self.end_pass()
            if progress:
                progress(self._progress(whole=True))
            s.next_pass()
            if s.passed < self.settings.passes and stop():
                self.save()
                return False
        return True

    def _steps(self) -> Generator[Model, None, None]:
        """The model after each chunk that is left of the pass."""
        s = self.state
        with closing(self.stream.blocks(s.position)) as blocks:
            for chunk in chunks(map(self.indexed, blocks), s.position, s.done, begun=s.rows > 0):
                yield self._learn(chunk)

    def _learn(self, chunk: Chunk) -> Model:
        """Learn from a chunk's rows, and note where the run is then; the model."""
        s = self.state
        self.first.require_likely_width(chunk.block.features)
        block = self.measured(chunk.block)
        if self.stream.features is None:  # how many a block declares depends on where it ends
            s.width = max(s.width, int(block.indices.max(initial=-1)) + 1)
            block = block._replace(features=s.width)
        s.width = max(s.width, block.features)
        rows = self.held_out.split(block, s)
        model = self._ready(block, rows)
        chosen = np.arange(len(block.labels)) if rows is None else rows
        if s.passed == 0:
            self.learnt.take(block, rows)
        mixed = order(chosen, self.settings.seed, s.passed, block.row)
        count = pieces(len(mixed)) if s.rows == 0 else 1
        for rows_learnt, loss, weight in learn_in_pieces(model, block, mixed, count):
            s.learnt(rows_learnt, loss, weight)
        s.rows += len(block.labels)
        s.blocks += 1
        s.position, s.done = chunk.position, chunk.done
        self.rows_read += len(block.labels)
        return model

    def _chunks_between_checkpoints(self) -> int:
        """Chunks from one point where a checkpoint may be taken to the next: bringing weights up to date costs."""
        model = self.trained_model
        return max(1, model.features * model.outputs >> 17)

    def end_pass(self) -> None:
        """Bring the weights up to date and write into the history how good they are. Raises ProblemError for no rows."""
        s = self.state
        if self.model is None or not s.steps:
            skipped, reasons = self.stream.skipped, self.stream.reasons
            why = f"; {skipped} were left out, the first: {reasons[0]}" if skipped and reasons else ""
            raise ProblemError(f"{self.stream.paths[0]}: holds no rows to learn from{why}")
        self.model.catch_up()
        told = {"pass": s.passed + 1, "rows": s.rows, "loss": s.mean_loss}
        measured = {"held_out": self.held_out.quality(self.model), "test": self._tested()}
        if not s.passed and (odd := self.stream.odd_text):
            self._note(odd)
        read = [self.stream, *([] if self.scored is None else [self.scored])]
        for name, (count, first) in (c for x in read for c in x.odd_cells.items()) if not s.passed else ():
            cells = f"{count} cells are" if count > 1 else "a cell is"
            self._note(f"column {name!r}: {cells} taken for missing; {first}")
        s.history.append(told | {n: None if q is None else q.result(self.model) for n, q in measured.items()})
        if s.passed + 1 == self.settings.passes:
            for name, quality in measured.items():
                self._compare(name.replace("_", " "), quality)
            self._describe(measured["held_out"] or measured["test"])

    def _describe(self, fresh: Quality | None) -> None:
        """Note what is said of the final model. fresh: how good it is on rows that were not learnt from."""
        model, learnt = self.trained_model, self.learnt.quality(self.trained_model)
        blocks = self.learnt.blocks or self.held_out.blocks
        sizes = None if self.sizes is None else self.sizes.array
        calibration = None if fresh is None else fresh.calibration(model)
        if calibration is not None and "class" in calibration:
            calibration["class"] = called(calibration["class"], self.stream)
        self.told = {
            "train": None if learnt is None else learnt.result(model),
            "calibration": calibration,
            "weights": largest(model, blocks, sizes, self.stream, self.fold),
        }

    def _compare(self, rows: str, quality: Quality | None) -> None:
        """Say what one constant for all of those rows gets, and so where the model is no better, with the likely reason."""
        model = self.trained_model
        against = None if quality is None else quality.against_constant(model)
        if quality is None or against is None:
            return
        self._note(f"{rows}: {quality.beside_constant(model)}")
        if quality.rows < FEW:
            more = "give --test more" if rows == "test" else "hold out more (--holdout 0.3), or give --test"
            self._note(f"{rows}: {called_rows(quality.rows)} tell little of how good the model is; {more}")
        elif against.no_better:
            self._note(
                f"{rows}: the {model.settings.loss} of {self.state.rule} is {against}: {self._likely_remedy()}"
            )

    def _likely_remedy(self) -> str:
        """What may make a model better that is no better than a constant."""
        given, start = self.settings.rule, self.settings.start_rule
        if "lr" in start.hyperparameters and not self.settings.chooses_rate:
            bare = given.partition("(")[0] if isinstance(given, str) else type(start).__name__
            return f"let a race choose lr (--rule {bare}), or make more --passes"
        if not self.settings.scales:
            return "let features be scaled (--scale auto), or make more --passes"
        return "the features tell little of the target by a sum of effects, or it takes more --passes"

    def _tested(self) -> Quality | None:
        """How good the model is on the files given for that; None where there are none."""
        if self.scored is None:
            return None
        model, quality = self.trained_model, Quality()
        with closing(self.scored.blocks()) as blocks:
            for block in map(self.scaled, map(self.indexed, blocks)):
                quality.add(model, matrix(block, model.features), block.labels, block.weights)
        return quality

    def _progress(self, whole: bool = False) -> Progress:
        s = self.state
        seconds = time.perf_counter() - self.started
        loss = math.nan if s.mean_loss is None else s.mean_loss
        share = 1.0 if whole else share_read(self.stream, s.position)
        return Progress(s.passed + 1, self.settings.passes, s.rows, self.rows_read / seconds, loss, share)

    # The end.

    def finish(self) -> None:
        """Write the model, and remove the checkpoint."""
        s, model = self.state, self.trained_model
        settled = self.stream.features is not None or self.fold is not None
        width = model.features if settled else s.width
        rows = s.history[-1]["rows"]
        Trained.of(model, width, self.stream.layout, self.fold, s.rule, rows, s.passed, self.sizes).save(
            self.target
        )
        if self.budget.limit is not None:
            give_back()  # what the interpreter touches when it ends comes on top
        with suppress(OSError):
            self.checkpoint.unlink()

    def report(self, resumed: bool, finished: bool) -> Report:
        """What the run has done."""
        s, model = self.state, self.trained_model
        seconds = time.perf_counter() - self.started
        last = s.history[-1] if s.history else {}
        classes = None if model.classes is None else model.classes.tolist()
        names = None if classes is None else self.stream.classes or list(map(label_text, classes))
        return Report(
            model=str(self.target),
            task="regression" if model.classes is None else "classification",
            loss_name=model.settings.loss,
            rule=s.rule,
            classes=classes,
            class_names=names,
            features=min(model.features, s.width) if self.stream.features is None else model.features,
            rows=last.get("rows", s.rows),
            passes=s.passed,
            steps=s.steps,
            loss=last.get("loss"),
            held_out=last.get("held_out"),
            test=last.get("test"),
            train=self.told.get("train"),
            calibration=self.told.get("calibration"),
            weights=self.told.get("weights", []),
            curve=plain_curve(s.curve),
            history=s.history,
            skipped=self.stream.skipped + self.skipped,
            reasons=self.stream.reasons,
            notes=s.notes,
            columns=self.stream.columns,
            odd_cells={n: {"cells": k, "first": told} for n, (k, told) in self.stream.odd_cells.items()},
            seconds=seconds,
            rows_per_second=self.rows_read / seconds,
            peak_memory=peak(),
            resumed=resumed,
            finished=finished,
            checkpoint=str(self.checkpoint) if self.saved and not finished else None,
        )
