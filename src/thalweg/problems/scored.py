"""Problems of one score a row, z = a · x: quadratics of any width and linear models, compiled.

    f(x) = mean over rows of loss(a · x, y)

The gradient is the mean of slope(z, y) a, the Hessian the mean of curvature(z, y) a aᵀ.
"""

from collections.abc import Sequence

import numpy as np

from ..core.objective import Scored
from ..engines.ops import vectorised
from ..errors import ProblemError
from .base import Array, Outsider, Rows
from .compiled import CompiledProblem


class ScoredProblem(CompiledProblem):
    """A scored objective on inputs (rows, d) and targets (rows,), with its starts.

    Parameters are (d,) float64. ``minimum`` is the smallest value where it is known. Raises ProblemError
    where inputs and targets do not fit together.
    """

    loss_name = "f"
    objective: Scored
    data: Array

    def __init__(
        self,
        name: str,
        title: str,
        text: str,
        objective: Scored,
        inputs: Array,
        targets: Array,
        *,
        starts: Sequence[Sequence[float]],
        spread: float = 0.0,
        minimum: float | None = None,
        noisy: bool = True,
    ) -> None:
        if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
            raise ProblemError(
                f"{name}: inputs (rows, d) and targets (rows,) are needed, got {inputs.shape} and {targets.shape}"
            )
        self.name, self.title, self.text, self.objective = name, title, text, objective
        self.inputs, self.targets = inputs, targets
        self.data = np.column_stack([inputs, targets])
        self.starts = [tuple(map(float, s)) for s in starts]
        self.spread, self.minimum, self.noisy = spread, minimum, noisy
        self.rows = len(inputs)

    def _of(self, part: int, params: Array, rows: Rows | None) -> tuple[Array, Array]:
        """A formula of the objective at the rows' scores, and the rows."""
        a, y = (self.inputs, self.targets) if rows is None else (self.inputs[rows], self.targets[rows])
        with np.errstate(all="ignore"):  # after divergence
            z = a @ params
        values = vectorised(self.objective.formulas[part])(z, y)[0]
        return np.broadcast_to(np.asarray(values, dtype=float), y.shape), a

    def loss(self, params: Array) -> float:  # type: ignore[override]
        """The mean loss over all rows at a point (d,)."""
        return float(np.mean(self._of(0, params, None)[0]))

    def gradient(self, params: Array, rows: Rows | None) -> Array:  # type: ignore[override]
        """The gradient (d,) of the mean loss over ``rows`` (None: all)."""
        slopes, a = self._of(1, params, rows)
        made: Array = slopes @ a / len(a)
        return made

    def hessian(self, params: Array, rows: Rows | None = None) -> Array:
        """The Hessian (d, d) of the mean loss over ``rows`` (None: all)."""
        curvatures, a = self._of(2, params, rows)
        made: Array = (a.T * curvatures) @ a / len(a)
        return made

    def hessian_product(self, params: Array, direction: Array, rows: Rows | None = None) -> Array:  # type: ignore[override]
        """The Hessian times a direction (d,), without forming it."""
        curvatures, a = self._of(2, params, rows)
        made: Array = (curvatures * (a @ direction)) @ a / len(a)
        return made

    def outsider(self) -> Outsider:
        """SciPy's L-BFGS-B from the first usual start."""
        from scipy.optimize import minimize

        found = minimize(
            self.loss,
            np.array(self.starts[0]),
            jac=lambda x: self.gradient(x, None),
            method="L-BFGS-B",
            options={"maxiter": 10_000, "ftol": 1e-15, "gtol": 1e-12},
        )
        return Outsider("SciPy L-BFGS-B, full batch", float(found.fun), self.metric(found.x))
