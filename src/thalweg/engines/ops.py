"""Formulas on whole arrays, NumPy's or another module's: for maps, checks and records, where speed does not count."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ..core.formula import Formula
from ..core.update import Update
from ..printing.python import Printer, function_source

_PRINTER = Printer(functions={"where": "where({0}, {1}, {2})"})


FUNCTIONS = ("sqrt", "abs", "exp", "log", "expm1", "log1p", "cos", "sin", "tanh", "floor", "where")


def function(formula: Formula, functions: Mapping[str, Any]) -> Callable[..., tuple[Any, ...]]:
    """A formula as a function of arrays (inputs, then scalars), with an array module's ``FUNCTIONS``."""
    inputs, outputs = (*formula.inputs, *formula.scalars), (e for _, e in formula.outputs)
    space = dict(functions)
    exec(function_source("evaluate", _PRINTER, inputs, formula.body, outputs), space)
    evaluate: Callable[..., tuple[Any, ...]] = space["evaluate"]
    return evaluate


@cache
def vectorised(formula: Formula) -> Callable[..., tuple[Any, ...]]:
    """A formula as a function of arrays (inputs, then scalars) that broadcasts; IEEE, no warnings."""
    evaluate = function(formula, {n: getattr(np, n) for n in FUNCTIONS})

    def quiet(*values: Any) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            return evaluate(*values)

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
