"""Formulas on whole NumPy arrays: for maps, checks and records, where speed does not count."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ..core.compose import Update
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


@cache
def applied(update: Update) -> Callable[[Mapping[str, Any], Mapping[str, float]], dict[str, Any]]:
    """An update as a function of arrays by name and scalars by name: what it writes, by name."""
    read = tuple(n for n in update.arrays if n != "_rate")
    formula = Formula("update", read, update.scalars, update.body, tuple(update.written.items()), {})
    evaluate = vectorised(formula)

    def step(arrays: Mapping[str, Any], scalars: Mapping[str, float]) -> dict[str, Any]:
        values = evaluate(*(arrays[n] for n in read), *(scalars[n] for n in update.scalars))
        return {
            n: np.broadcast_to(v, np.shape(arrays["w"])) for n, v in zip(update.written, values, strict=True)
        }

    return step
