"""The monitor: what an optimizer is doing in a training that runs, without a change of its loop.

    with tw.watch(optimizer, every=20, out="run.html") as seen:
        for batch in data:
            ...
            optimizer.step()
            seen(loss)                  # optional

Every so many steps a fixed sample of each tensor is copied before and after the step, and the rule's own formula says
what the step was made of; of every second look the gradients are compared with those of the next step. What that costs
is measured, and looks become rarer where it is more than a fiftieth.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable
from importlib import import_module
from numbers import Integral
from os import PathLike
from pathlib import Path
from statistics import median
from sys import modules
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ... import files
from ...core.line import short
from ...core.rule import Rule
from ...errors import GradientError, HyperparameterError, StateError, escaped
from ...optimizer.observed import ObservedArrays
from ...optimizer.observing import Curved, HandedOver, Part, Source, without
from ...optimizer.optimizer import ArrayOptimizer
from .. import record
from ..reports import watch as report
from ..reports.watch_wording import sentences
from ..watch_result import FIELDS, Array, Looks, Sharpness, Watched
from .quantities import epsilons, quantities, turns, where_eps_rules
from .sharpness import sharpness

if TYPE_CHECKING:
    import torch

FORMS = files.Forms("a watched run", (".html", ".parquet", ".csv"))
SHARE = 0.02  # of the run that looking may take
AS_ASKED = 16  # looks that are taken as they were asked for, whatever they cost
RECENT = 8  # looks that sentences speak of
MOSTLY = 0.5  # of the signs of a gradient
TURNS = [FIELDS.index(n) for n in ("turned", "gradient_cosine")]
AGAIN = 10.0  # seconds, at least, between two writings of the file

Sink = Callable[[str, float, int], object]


class Watch:
    """An optimizer that is watched within a ``with`` block; afterwards, what was seen.

    Calling it gives it the loss of the step that was just taken, or is about to be. ``sentences`` are what is to be
    said by now; ``columns()`` are the numbers, ``save(path)`` writes them or the page.
    """

    def __init__(self, source: Source, every: int, out: Path | None, sink: Sink | None) -> None:
        self._source, self._out, self._sink = source, out, sink
        self._handed = source if isinstance(source, HandedOver) else None
        sample = source.sample
        self.seen = Watched(
            source.method,
            source.names,
            sample.sizes,
            sample.counts,
            source.notes,
            every,
            Looks(len(sample.sizes)),
            every=every,
        )
        self._detach: Callable[[], None] | None = None
        self._due = 1  # the step of the next look
        self._looking = self._turning = False
        self._waiting: Any = None  # a loss that came before its step
        self._last_parts: list[Part] = []  # gradients of the last look
        self._last_look = 0  # the step that it was at
        self._costs = {kind: deque[float](maxlen=RECENT) for kind in ("look", "turn")}
        self._spent = self._began = self._rested = self._wrote = self._took = 0.0
        self._since = 0.0  # seconds of the last interval that were the watch's
        self._rested_at = 0

    # Around the training.

    def __enter__(self) -> Self:
        if self._detach is not None:
            raise StateError(
                "watch: this block is entered already: a second watch of it is another tw.watch(...)"
            )
        self._detach = self._source.attach(self._before, self._after)
        self.seen.running = True
        self._began = self._rested = self._wrote = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._detach is not None:
            self._detach()
            self._detach = None
        self.seen.running = False
        if error is None:
            self._write()
        else:  # the training's own error is the one to be seen
            self._written()

    def __call__(self, loss: Any, params: Any = None, state: Any = None, grads: Any = None) -> None:
        """Take the loss of the step that was just taken, or is about to be: a number, or a tensor of one.

        params, state: of Optax, as the step has left them, and its gradients if they are at hand. Raises StateError
        where they are not those of ``watch``, GradientError for what is no loss.
        """
        seen = self.seen
        if self._handed is not None:
            if self._handed.given(params, state, grads):
                self._after()
            else:  # of a step whose beginning nobody has seen
                seen.steps += 1
            self._before(True)
        elif params is not None or state is not None:
            raise StateError("seen: params and state are handed over for Optax alone: seen(loss)")
        if loss is None:
            return
        just = seen.looks.looks and seen.looks.steps[-1] == seen.steps
        if just and math.isnan(seen.looks.losses[-1]):
            seen.looks.give_loss(self._loss(loss))
        elif seen.steps + 1 == self._due:
            self._waiting = loss.detach() if hasattr(loss, "detach") else loss

    def _loss(self, loss: Any) -> float:
        """Return a loss as a number; note the first that is not finite."""
        try:
            number = float(loss.detach() if hasattr(loss, "detach") else loss)
        except (TypeError, ValueError, RuntimeError):
            raise GradientError(
                f"seen: loss must be a number, or a tensor of one real number, got {short(loss)}"
            ) from None
        if not math.isfinite(number) and self.seen.loss_broken is None:
            self.seen.loss_broken = self.seen.steps
        return number

    # Around a step.

    def _before(self, late: bool) -> None:
        step = self.seen.steps + 1
        self._looking = step >= self._due
        self._turning = bool(self._last_parts) and not self._looking and self.seen.looks.looks % 2 == 1
        if self._looking or self._turning:
            self._took = perf_counter()
            self._source.before(self._looking, late)
            self._took = perf_counter() - self._took

    def _after(self) -> None:
        seen = self.seen
        seen.steps += 1
        if not (self._looking or self._turning):
            return
        begun = perf_counter()
        parts = self._source.after()
        if seen.steps == self._last_look + 1:  # steps later an overshooting gradient may have turned back
            self._turn(parts)
        if self._looking:
            self._look(parts)
            self._last_look = seen.steps
        self._last_parts = [x for x in parts if "g" in x.before] if self._looking else []
        taken = self._took + perf_counter() - begun
        self._costs["look" if self._looking else "turn"].append(taken)
        self._spent += taken
        self._since += taken
        if self._looking:
            self._plan()
        if self._out is not None and perf_counter() - self._wrote > AGAIN:
            self._written()

    def _turn(self, parts: list[Part]) -> None:
        """Write into the last look how far gradients have turned since."""
        sample = self._source.sample
        before = self._last_parts
        for part in parts:
            there = set(part.tensors)
            for last in before:
                same = without(last, sample, set(last.tensors) - there)
                if same is not None and same.tensors == part.tensors and "g" in part.before:
                    self.seen.looks.last[np.ix_(part.tensors, TURNS)] = turns(same, part, self.seen.counts)
        if before and self.seen.recent:
            ended = self.seen.recent[-1] = self.seen.looks.last.copy()
            turned = ended[:, FIELDS.index("turned")]
            self.seen.turning = np.where(
                np.isnan(turned), self.seen.turning, (self.seen.turning + 1) * (turned > MOSTLY)
            )

    def _look(self, parts: list[Part]) -> None:
        """Take in a look: the quantities of every tensor that has moved."""
        seen = self.seen
        table = np.full((len(seen.names), len(FIELDS)), np.nan)
        for part in parts:
            table[list(part.tensors)] = quantities(part, seen.counts, seen.sizes)
            self._note_broken(part)
            seen.rounding |= dict.fromkeys(part.tensors, part.rounding)
            if part.started is not None and part.tensors[0] not in seen.rules:
                rule = part.started.rule
                seen.rules |= dict.fromkeys(part.tensors, type(rule).__name__)
                seen.where_eps_rules |= dict.fromkeys(part.tensors, where_eps_rules(part.started))
                seen.eps |= dict.fromkeys(part.tensors, epsilons(rule))
        there = {i for part in parts for i in part.tensors}
        seen.without = {
            i: seen.without.get(i, 0) + 1
            for i, count in enumerate(seen.counts)
            if count and i not in there and i not in self._source.unseen
        }
        loss, self._waiting = self._waiting, None
        loss = getattr(self._source, "loss", None) if loss is None else loss
        seen.looks.add(seen.steps, math.nan if loss is None else self._loss(loss), table)
        seen.recent = [*seen.recent[1 - RECENT :], table.astype(np.float32)]
        seen.skipped = self._source.skipped
        if self._sink is not None:
            self._tell(table)

    def _note_broken(self, part: Part) -> None:
        """Note tensors whose gradient or weights are not finite, at the first step at which they are seen so."""
        weights, gradients = part.after["w"], part.before.get("g", part.before["w"])
        if math.isfinite(float(weights.sum() + gradients.sum())):
            return  # a sum of finite numbers of this many bits
        start = 0
        for i in part.tensors:
            end = start + self.seen.counts[i]
            bad = not np.isfinite(weights[start:end]).all()
            if (bad or not np.isfinite(gradients[start:end]).all()) and i not in self.seen.broken:
                self.seen.broken[i] = self.seen.steps, bad
            start = end

    def _tell(self, table: Array) -> None:
        """Give the sink every quantity that is known, as tensor/quantity."""
        rows = zip(self.seen.names, table.tolist(), strict=True)
        values = [(f"{name}/{n}", x) for name, row in rows for n, x in zip(FIELDS, row, strict=True)]
        self._pour([(name, x) for name, x in values if math.isfinite(x)])

    def _pour(self, values: list[tuple[str, float]]) -> None:
        """Give the sink values by name; where it fails, none of the others, and the training goes on."""
        if self._sink is None:
            return
        try:
            for name, value in values:
                self._sink(name, value, self.seen.steps)
        except Exception as error:
            self._fail("sink", f"the sink failed with {type(error).__name__}: {error}")

    def _fail(self, what: str, how: str) -> None:
        """Note, and warn of, what did not work beside the training, which goes on: the first time that it did not."""
        failures = self.seen.failures
        first, _, count = failures.get(what, (self.seen.steps, how, 0))
        failures[what] = first, how, count + 1
        if not count:
            warnings.warn(f"watch: {escaped(how)}; the training is not stopped for it", stacklevel=2)

    def _plan(self) -> None:
        """Say at which step to look next: rarer than asked where looking takes more than its share of the run."""
        seen, now = self.seen, perf_counter()
        every = seen.asked
        steps = seen.steps - self._rested_at
        if seen.looks.looks > AS_ASKED and steps > 0:
            own = max((now - self._rested - self._since) / steps, 1e-7)
            cost = median(self._costs["look"]) + median(self._costs["turn"] or [0.0]) / 2
            every = max(every, math.ceil(cost / (SHARE * own)))
        seen.every, self._due = every, seen.steps + every
        self._rested, self._rested_at, self._since = now, seen.steps, 0.0
        seen.seconds = self._spent, now - self._began

    def sharpness(self, closure: Callable[[], Any]) -> Sharpness:
        """Measure how near the edge of stability the optimizer runs: preconditioned sharpness against the rule's limit.

        closure: returns the loss of a batch, a tensor, without calling backward. It is called once; then the gradient
        is differentiated some 10 to 40 times, and 20 vectors as long as the weights are kept meanwhile (float64).
        Gradients, random numbers and, with ``model=``, the model's buffers are afterwards what they were. The result
        is kept for sentences and the page, and the sink is told.

        Raises StateError for optimizers that are not torch's, and where the last step's rates cannot be told (before
        the first step, Adadelta, no rule); GradientError for what is no loss; RuleError where the rule's step is not
        linear (Lion); ProblemError where the curvature is not finite.
        """
        if not callable(closure):
            raise HyperparameterError(
                f"sharpness: closure must be a function that returns the loss, got {short(closure)}"
            )
        if not isinstance(self._source, Curved):
            raise StateError(
                "sharpness: only losses of torch are differentiated twice: watch an optimizer of torch, or see"
                " thalweg.lab.theory.margin"
            )
        begun = perf_counter()
        with self._source.curvature(closure) as curvature:
            measured = sharpness(curvature, self.seen.steps)
        self.seen.sharpness.append(measured)
        self._pour([("sharpness", measured.value)])
        self._rested += perf_counter() - begun  # is no time of the steps since the last look
        return measured

    @property
    def callback(self) -> Any:
        """What ``fit`` of a Keras model is given, within the block; StateError outside it, and for other optimizers."""
        callback = getattr(self._source, "callback", None)
        if callback is None or self._detach is None:
            raise StateError("callback: is for a Keras optimizer, within the with-block")
        return callback

    # What was seen.

    @property
    def sentences(self) -> list[str]:
        """What is to be said of the run by now, the gravest first."""
        return sentences(self.seen)

    def columns(self) -> dict[str, Array]:
        """One row a look and tensor: plain columns of equal length, ready for a data frame."""
        return self.seen.columns()

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the page (.html) or the columns (.parquet, .csv) and return the path; FileError."""
        target, form = FORMS.of(path)
        if form != ".html":
            return record.write(self.columns(), target)
        files.write_text(target, report.page(self.seen))
        return target

    def _written(self) -> None:
        """``_write`` beside a training, which does not end for a file's sake."""
        try:
            self._write()
        except Exception as error:
            self._fail("file", f"{error}")

    def _write(self) -> None:
        """Write the file anew; the next time is not before fifty times what this has taken."""
        if self._out is None:
            return
        begun = self._wrote = perf_counter()
        self.save(self._out)
        taken = perf_counter() - begun
        self._spent += taken
        self._since += taken
        self._wrote = begun + max(0.0, taken / SHARE - AGAIN)

    def __repr__(self) -> str:
        return "\n".join([f"Watch of {self.seen.title}, {self.seen.steps} steps", *self.sentences])


def watch(
    optimizer: Any,
    every: int = 20,
    out: str | PathLike[str] | None = "run.html",
    sink: Sink | None = None,
    *,
    model: torch.nn.Module | None = None,
    params: Any = None,
) -> Watch:
    """Return what watches an optimizer within a ``with`` block, while its training runs as it would.

    optimizer: of ``rule.on(arrays)``, ``thalweg.torch.Optimizer``, or any of ``torch.optim``; rates, epsilon's share
    and momentum are told where a rule is that optimizer, realised steps in any case. every: steps between looks, as
    long as looking takes less than a fiftieth of the run. out: the file, .html (rewritten while the run goes on),
    .parquet or .csv; None writes none. sink: called with name, value and step of each quantity, such as
    ``SummaryWriter.add_scalar``. model: whose names torch's parameters have, where the optimizer was given none.
    params: of a run of Optax, whose ``optimizer`` is the rule that its transformation follows; nothing can be hooked
    there, so that each step is followed by ``seen(loss, params, state, grads)``. A Keras optimizer, built, is seen
    through ``fit(..., callbacks=[seen.callback])``.

    Raises HyperparameterError for settings and for an optimizer that cannot be watched, FileError for ``out``.
    """
    if not isinstance(every, Integral) or isinstance(every, bool) or every < 1:
        raise HyperparameterError(f"watch: every must be a whole number of at least 1, got {short(every)}")
    if sink is not None and not callable(sink):
        raise HyperparameterError(
            f"watch: sink must be called with (name, value, step), as SummaryWriter.add_scalar is; got {short(sink)}"
        )
    path = None if out is None else FORMS.of(out)[0]
    return Watch(_source(optimizer, model, params), int(every), path, sink)


def _source(optimizer: Any, model: torch.nn.Module | None, params: Any) -> Source:
    """Return an optimizer as something that can be looked at; HyperparameterError."""
    if isinstance(optimizer, Rule):
        if params is None:
            raise HyperparameterError(
                "watch: a rule moves nothing: watch rule.on(arrays), or give the params= of a run of Optax that follows it"
            )
        trees: Any = import_module("thalweg.optax.observed")
        handed: Source = trees.ObservedTrees(optimizer, params)
        return handed
    if params is not None:
        raise HyperparameterError(
            "watch: params= are those of a run of Optax, whose optimizer is given as a rule"
        )
    if isinstance(optimizer, ArrayOptimizer):
        return ObservedArrays(optimizer)
    keras = modules.get("keras")
    if keras is not None and isinstance(optimizer, keras.Optimizer):
        variables: Any = import_module("thalweg.keras.observed")
        observed: Source = variables.ObservedVariables(optimizer)
        return observed
    torch = modules.get("torch")  # an optimizer of torch cannot be there without it
    if torch is not None and isinstance(optimizer, torch.optim.Optimizer):
        door: Any = import_module("thalweg.torch.observed")
        source: Source = door.ObservedTensors(optimizer, model)
        return source
    raise HyperparameterError(
        f"watch: optimizer must be one of rule.on(arrays), thalweg.torch, torch.optim or Keras, or a rule that Optax follows; got {short(optimizer)}"
    )


__all__ = ["Sink", "Watch", "watch"]
