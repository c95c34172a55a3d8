"""Formulas on whole NumPy arrays: for maps and checks, not for steps."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..core.formula import Formula
from ..core.python import Printer, indented

_PRINTER = Printer(functions={"where": "where({0}, {1}, {2})"})


@cache
def vectorised(formula: Formula) -> Callable[..., tuple[Any, ...]]:
    """A formula as a function of arrays (inputs, then scalars) that broadcasts; IEEE, no warnings."""
    values = "".join(f"{_PRINTER.expression(e)}, " for _, e in formula.outputs)
    lines = [*_PRINTER.lines(formula.body), f"return ({values})"]
    arguments = ", ".join((*formula.inputs, *formula.scalars))
    space: dict[str, Any] = {
        n: getattr(np, n)
        for n in ("sqrt", "abs", "exp", "log", "expm1", "log1p", "cos", "sin", "tanh", "floor", "where")
    }
    exec(f"def evaluate({arguments}):\n{indented(lines, 1)}\n", space)

    def quiet(*values: Any) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            return space["evaluate"](*values)  # type: ignore[no-any-return]

    return quiet
