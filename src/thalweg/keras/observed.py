"""A Keras optimizer as a ``Source``: weights and states are read by a callback around each batch.

Keras shows no gradients there, so rates are told from the states that a step has left.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from ..core.started import Started, start
from ..engines.memory import Array
from ..errors import HyperparameterError
from ..optimizer.observing import ROUNDING, Part, Sample, say
from . import _heads, _read, _row, _rule


class ObservedVariables:
    """See ``observing.Source``. ``callback`` is what ``fit`` has to be given."""

    def __init__(self, optimizer: keras.Optimizer) -> None:
        if not optimizer.built:
            raise HyperparameterError(
                "watch: the Keras optimizer is not built: call optimizer.build(model.trainable_variables)"
            )
        # What scales losses for sixteen bits moves nothing itself.
        self._opt = getattr(optimizer, "inner_optimizer", optimizer)
        optimizer = self._opt
        self._variables = list(optimizer._trainable_variables)
        self.names = [v.path for v in self._variables]
        dtypes = [keras.backend.standardize_dtype(v.dtype) for v in self._variables]
        self._dtypes = dtypes
        sizes = [int(np.prod(v.shape)) for v in self._variables]
        self.sample = Sample([n if d in ROUNDING else 0 for n, d in zip(sizes, dtypes, strict=True)])
        self.method = f"keras.optimizers.{type(optimizer).__name__}"
        self.notes = ["Keras shows no gradients to a callback: rates are told from the states alone"]
        self.unseen: set[int] = set()
        self.skipped = 0
        self.loss: float | None = None
        self.callback: Any = None
        self._count = int(_read(optimizer.iterations))
        self._whole = False
        self._before: list[Array] = []

    def attach(self, before: Callable[[bool], None], after: Callable[[], None]) -> Callable[[], None]:
        gathers = False
        stopped: list[bool] = []  # a callback stays with the model that it was given to

        def begin(batch: int, logs: Mapping[str, Any] | None = None) -> None:
            nonlocal gathers
            gathers = self._gathers()
            if not stopped and not gathers:
                before(True)

        def end(batch: int, logs: Mapping[str, Any] | None = None) -> None:
            if not stopped:
                model = callback.model
                if hasattr(model, "jax_state_sync"):  # the variables lag behind otherwise
                    model.jax_state_sync()
                if not gathers:
                    self._counted()
                    self.loss = (logs or {}).get("loss")
                    after()

        callback = keras.callbacks.LambdaCallback(on_train_batch_begin=begin, on_train_batch_end=end)
        self.callback = callback
        return lambda: stopped.append(True)

    def _gathers(self) -> bool:
        """Whether the next batch's gradients are only added to others, and nothing moves."""
        many = self._opt.gradient_accumulation_steps
        return many is not None and (int(_read(self._opt._iterations)) + 1) % many != 0

    def _counted(self) -> None:
        """Note steps that were left out, and those that Keras takes at once."""
        count = int(_read(self._opt.iterations))
        steps, self._count = count - self._count, count
        self.skipped += steps == 0
        if steps > 1:
            say(
                self.notes,
                f"Keras calls back once every {steps} steps (steps_per_execution): they are counted, and looked at, as one",
            )

    def before(self, whole: bool, late: bool) -> None:
        self._whole = whole
        self._before = [self._sampled(i, v) for i, v in enumerate(self._variables)] if whole else []

    def after(self) -> list[Part]:
        if not self._whole:
            return []
        started, states = self._formula()
        count = int(_read(self._opt.iterations))
        parts = []
        for i, v in enumerate(self._variables):
            if not self.sample.counts[i]:
                continue
            after = {"w": self._sampled(i, v)}
            for n, held in states.items():
                one = held[i] if isinstance(held, list) else held
                values = np.asarray(_read(one), dtype=np.float64).reshape(-1)
                size = self.sample.sizes[i]
                after[n] = (
                    self._blocks(i, values) if values.size == size else np.full_like(after["w"], values[0])
                )
            known = started if started is not None and count > 0 else None
            rounding = ROUNDING[self._dtypes[i]]
            parts.append(Part((i,), known, count, rounding, {"w": self._before[i]}, after))
        return parts

    def _formula(self) -> tuple[Started | None, Mapping[str, Any]]:
        """Return the rule of the optimizer as it stands now, started, and where its states are; a note where none is."""
        title = type(self._opt).__name__
        head = _heads().get(title)
        if head is None or not isinstance(self._opt, getattr(keras.optimizers, title)):
            say(self.notes, f"no rule is {self.method}: realised steps only, no rates")
            return None, {}
        try:
            # The rate of now as a number: a schedule's value belongs to this step.
            rule = _rule(self._opt, head, {"lr": float(_read(self._opt.learning_rate))})
            started = start(rule, rates=True)
        except (ValueError, TypeError) as error:
            say(self.notes, f"{error}: realised steps only, no rates")
            return None, {}
        return started, {n: getattr(self._opt, at) for n, at in _row(type(rule)).states.items()}

    def _sampled(self, i: int, variable: Any) -> Array:
        return self._blocks(i, np.asarray(_read(variable)).reshape(-1))

    def _blocks(self, i: int, flat: Array) -> Array:
        """Return a variable's sample as float64."""
        blocks = [flat[a:b] for a, b in self.sample.blocks(i)]
        return np.concatenate(blocks or [flat[:0]]).astype(np.float64)
