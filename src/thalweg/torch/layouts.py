"""Where the arrays of watched parameters lie, remembered from look to look.

To judge a tensor (its dtype, order of memory, size, states) is a dozen calls of Python's; hundreds of tensors that were judged
before are only asked whether they are the same objects at the same places, which is one call each.
"""

from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any

import numpy as np
import torch

from ..engines.memory import Array
from ..optimizer.observing import Sample
from .formulas import Formula, counts
from .layout import KINDS

Tensor = torch.Tensor
States = Sequence[Mapping[str, Any]]


class Layout:
    """Parameters and their states, as they lay in the host's memory when they were last judged.

    params: contiguous, of one dtype. arrays: by name, w and the states that ``formula`` reads, of each a tensor a
    parameter. All were judged by the caller; the layout keeps them, so that no other tensor takes their identity.
    """

    def __init__(
        self,
        params: list[Tensor],
        formula: Formula | None,
        arrays: Mapping[str, list[Tensor]],
        states: States,
    ) -> None:
        self.params = params
        self._numels = list(map(Tensor.numel, params))
        self._reads = _reads(formula)
        self._states = [x for n, _ in self._reads for x in arrays[n]]
        self._places = addresses([*params, *self._states])
        self._dtype = params[0].dtype
        self._steps = [state.get("step") for state in states]
        # Views of the counts that torch's own optimizers keep: a number of a tensor is ten times as slow to read.
        views = all(isinstance(x, Tensor) and x.device.type == "cpu" for x in self._steps)
        self._counts: list[Array] | None = (
            [x.numpy() for x in self._steps if x is not None] if views else None
        )
        # One call for all arrays of a dtype.
        rows = self._places.reshape(-1, len(params))
        names = ["w", *(n for n, _ in self._reads)]
        alike: dict[str, list[int]] = {}
        for k, n in enumerate(names):
            alike.setdefault(KINDS[arrays[n][0].dtype][0], []).append(k)
        self._alike = [(stored, [names[k] for k in ks], rows[ks]) for stored, ks in alike.items()]

    def is_of(self, formula: Formula | None, states: States) -> bool:
        """Whether what a formula reads is what lay here, and still lies here."""
        if _reads(formula) != self._reads:
            return False
        now = [state.get(theirs) for _, theirs in self._reads for state in states]
        if not all(map(is_, now, self._states)):
            return False
        if not np.array_equal(addresses([*self.params, *self._states]), self._places):
            return False
        return all(map(Tensor.is_contiguous, self.params))  # another view may begin at the same place

    def same_weights(self) -> bool:
        """Whether the weights still lie here."""
        return np.array_equal(addresses(self.params), self._places[: len(self.params)])

    def fits(self, gradients: list[Tensor]) -> bool:
        """Whether gradients lie as the weights do, one number for each of theirs."""
        return (
            {x.layout for x in gradients} == {torch.strided}
            and {x.dtype for x in gradients} == {self._dtype}
            and list(map(Tensor.numel, gradients)) == self._numels
            and all(map(Tensor.is_contiguous, gradients))
            and not any(map(Tensor.is_neg, gradients))
            and not (self._dtype.is_complex and any(map(Tensor.is_conj, gradients)))
        )

    def count(self, states: States) -> int | None:
        """Return the steps that all parameters have had, from their states; None where they differ."""
        steps = [state.get("step") for state in states]
        same = self._counts is not None and all(map(is_, steps, self._steps))
        each = set(map(int, self._counts)) if same else set(counts(states))  # type: ignore[arg-type]
        return each.pop() if len(each) == 1 else None

    def taken(
        self, sample: Sample, tensors: tuple[int, ...], weights_alone: bool = False
    ) -> dict[str, Array]:
        """Return samples of the arrays by name; tensors are the parameters' numbers in the sample."""
        taken: dict[str, Array] = {}
        for stored, names, places in self._alike[: 1 if weights_alone else None]:
            count = 1 if weights_alone else len(names)
            taken |= zip(names, sample.gathered(tensors, places[:count], stored), strict=False)
        return taken


def _reads(formula: Formula | None) -> list[tuple[str, str]]:
    """Return the states that a formula reads: ours, theirs."""
    if formula is None:
        return []
    return [(n, formula.states.get(n, n)) for n in formula.started.update.kept if n != "_rate"]


def addresses(tensors: Sequence[Tensor]) -> Array:
    """Return where tensors begin in memory, (n,) int64."""
    return np.fromiter(map(Tensor.data_ptr, tensors), dtype=np.int64, count=len(tensors))
