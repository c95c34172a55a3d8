"""An objective as formulas: what a compiled loop descends.

``value(x, y, ..., /, *columns)`` and ``gradient`` (one result for each parameter) speak of one row of
data; the objective is their mean over the rows. Without columns they are the objective itself.
"""

from dataclasses import dataclass
from functools import cached_property

from ..errors import RuleError
from .formula import Formula, Function, lift, signature


@dataclass(frozen=True, eq=False)
class Objective:
    """Value and gradient as formulas of the parameters and of a row's columns."""

    value: Function
    gradient: Function

    def __post_init__(self) -> None:
        if signature(self.value) != signature(self.gradient):
            raise RuleError(
                f"objective: value takes {signature(self.value)}, gradient {signature(self.gradient)}"
            )

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return signature(self.value)[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """The data columns' names, in order."""
        return signature(self.value)[1]

    @cached_property
    def value_formula(self) -> Formula:
        """``value`` as straight-line code."""
        return lift(self.value)

    @cached_property
    def gradient_formula(self) -> Formula:
        """``gradient`` as straight-line code, one output for each parameter."""
        return lift(self.gradient, outputs=self.parameters)
