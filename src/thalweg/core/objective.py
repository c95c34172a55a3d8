"""An objective as formulas: what a compiled loop descends.

``value(x, y, ..., /, *columns)`` and ``gradient`` (one result for each parameter) speak of one row of
data; the objective is their mean over the rows. Without columns they are the objective itself.
``hessian``, where it is known, returns the upper triangle row by row: xx, xy, ..., yy, ...
``mean`` is the mean over the rows as a formula of the parameters, where there is one: it spares a loop.

A ``Scored`` objective is the mean over rows of a loss of one score, z = a · x: linear models of any
width, and every quadratic (the rows are then those of a factor of the matrix). ``Softmax`` is that of several classes.
"""

from dataclasses import dataclass
from functools import cached_property

from ..errors import RuleError
from .formula import Formula, Function, lift, signature


@dataclass(frozen=True, eq=False)
class Objective:
    """Value, gradient and perhaps Hessian as formulas of the parameters and of a row's columns."""

    value: Function
    gradient: Function
    hessian: Function | None = None
    mean: Function | None = None

    def __post_init__(self) -> None:
        wanted = signature(self.value)
        for part, needed in ((self.gradient, wanted), (self.hessian, wanted), (self.mean, (wanted[0], ()))):
            if part is not None and signature(part) != needed:
                raise RuleError(
                    f"objective: value takes {wanted}, {part.__name__} takes {signature(part)}, not {needed}"
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

    @cached_property
    def hessian_formula(self) -> Formula | None:
        """``hessian`` as straight-line code, one output for each pair of parameters, or None."""
        names = self.parameters
        pairs = [f"{a}_{b}" for i, a in enumerate(names) for b in names[i:]]
        return None if self.hessian is None else lift(self.hessian, outputs=pairs)

    @cached_property
    def mean_formula(self) -> Formula | None:
        """The objective itself as a formula of the parameters alone, or None."""
        if self.mean is not None:
            return lift(self.mean)
        return self.value_formula if not self.columns else None


@dataclass(frozen=True, eq=False)
class Scored:
    """``value(z, /, y)``, its derivative ``slope`` and second derivative ``curvature`` by the score z."""

    value: Function
    slope: Function
    curvature: Function

    def __post_init__(self) -> None:
        for part in (self.value, self.slope, self.curvature):
            if signature(part) != (("z",), ("y",)):
                raise RuleError(f"scored objective: {part.__name__} takes {signature(part)}, not (z, /, y)")

    @cached_property
    def formulas(self) -> tuple[Formula, Formula, Formula]:
        """``value``, ``slope`` and ``curvature`` as straight-line code."""
        return lift(self.value), lift(self.slope), lift(self.curvature)

    @property
    def outputs(self) -> int:
        """How many scores a row has."""
        return 1


@dataclass(frozen=True)
class Softmax:
    """The mean over rows of log(sum_j exp(z_j)) - sum_j y_j z_j, the cross-entropy of k classes: one score each, z = a W.

    classes: k. Of y, one number is 1 and the others 0.
    """

    classes: int

    @property
    def outputs(self) -> int:
        """How many scores a row has."""
        return self.classes
