"""What ``fit`` is asked for, checked; and what it decides by the labels."""

import math
import os
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ..core.rule import Rule
from ..core.schedule import Schedule
from ..errors import HyperparameterError, ProblemError, nearest
from ..linear import DEFAULT, Model, Settings
from ..linear.losses import MARGIN, MULTINOMIAL, NUMBER
from ..linear.losses import checked as losses_checked
from ..reading import Block, Stream, open_stream
from ..rules import named, spelled
from .budget import Budget

Array = np.ndarray[Any, Any]
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

CLASSES = 20  # whole numbers of at most so many kinds are taken for classes
HELD_OUT = 0.1
TASKS = ("auto", "classification", "regression")
READING = (
    "format",
    "zero_based",
    "target",
    "weight",
    "ignore",
    "categorical",
    "numeric",
    "missing",
    "delimiter",
)


class Plan(NamedTuple):
    """What is asked for, checked: everything that the trained model depends on, but for the files."""

    task: str
    loss: str | None
    rule: Rule
    choose: bool  # the learning rate
    classes: tuple[float, ...] | None
    l1: float
    l2: float
    average: int | None
    intercept: bool
    dtype: str
    epsilon: float
    quantile: float
    passes: int
    holdout: float
    bits: int | None
    features: int | None
    seed: int
    on_bad_line: str
    reading: dict[str, Any]

    def settings(self, loss: str) -> Settings:
        """Of the model, with that loss."""
        return Settings(loss, self.rule, self.l1, self.l2, self.intercept, self.average, self.dtype, self.epsilon, self.quantile)  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """As JSON has it, to be compared."""
        held = self._asdict() | {"rule": repr(self.rule)}
        return {n: list(v) if isinstance(v, tuple) else v for n, v in held.items()}


def checked(
    task: str, loss: str | None, rule: Rule | str | None, classes: Sequence[float] | None, l1: float, l2: float,
    average: int | None, intercept: bool, dtype: str, epsilon: float, quantile: float, passes: int,
    holdout: float | None, test: Any, bits: int | None, features: int | None, seed: int, on_bad_line: str,
    reading: dict[str, Any],
) -> Plan:  # fmt: skip
    """The plan of these settings. Raises HyperparameterError."""
    if task not in TASKS:
        raise HyperparameterError(f"task: unknown task {task!r}: {nearest(task, TASKS)}")
    known = [*MARGIN, MULTINOMIAL, *NUMBER]
    if loss is not None and loss not in known:
        raise HyperparameterError(f"loss: unknown loss {loss!r}: {nearest(loss, known)}")
    if loss is not None and task != "auto" and (loss in NUMBER) != (task == "regression"):
        raise HyperparameterError(f"loss: {loss!r} is not for {task}")
    if type(passes) is not int or passes < 1:
        raise HyperparameterError(f"passes: a whole number of at least 1, got {passes!r}")
    losses_checked(epsilon, quantile)
    for n, value in (("l1", l1), ("l2", l2)):
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < math.inf:
            raise HyperparameterError(f"{n}: a finite number, 0 or more, got {value!r}")
    if average is not None and (type(average) is not int or average < 0):
        raise HyperparameterError(f"average: a whole number of rows, 0 or more, got {average!r}")
    if not isinstance(intercept, bool):
        raise HyperparameterError(f"intercept: True or False, got {intercept!r}")
    if rule is not None and not isinstance(rule, Rule | str):
        raise HyperparameterError(f"rule: a rule, or its name, got {rule!r}")
    if classes is not None and not isinstance(classes, Iterable):
        raise HyperparameterError(f"classes: all labels, got {classes!r}")
    share = (HELD_OUT if test is None else 0.0) if holdout is None else holdout
    if not (isinstance(share, int | float) and 0 <= share < 1):
        raise HyperparameterError(f"holdout: a share in [0, 1), got {holdout!r}")
    if type(seed) is not int or not 0 <= seed < 1 << 64:
        raise HyperparameterError(f"seed: a whole number in [0, 2^64), got {seed!r}")
    for n in reading:
        if n not in READING:
            raise HyperparameterError(f"fit: unknown setting {n!r}: {nearest(n, READING)}")
    kinds = None
    if classes is not None:
        if loss in NUMBER or task == "regression":
            raise HyperparameterError("classes: are not for regression")
        kinds = tuple(sorted({float(c) for c in classes}))
        if len(kinds) < 2 or not all(map(math.isfinite, kinds)):
            raise HyperparameterError(f"classes: at least two different numbers, got {list(classes)!r}")
    chosen, choose = _rule(rule)
    return Plan(task, loss, chosen, choose, kinds, float(l1), float(l2), average, bool(intercept), dtype, float(epsilon), float(quantile), passes, float(share), bits, features, seed, on_bad_line, dict(reading))  # fmt: skip


def _rule(given: Rule | str | None) -> tuple[Rule, bool]:
    """The rule, and whether its learning rate is to be chosen: where no value was given."""
    if isinstance(given, Rule):
        return given, False
    if given is None:
        return DEFAULT, True
    head, _, arguments = spelled(given)
    rule = named(given)
    bare = not arguments and not head.endswith(".py")  # a user's own rule keeps its own rate
    lr = rule.hyperparameters.get("lr")
    return rule, bare and lr is not None and not isinstance(lr, Schedule)


def opened(
    data: Paths, plan: Plan, budget: Budget, cache: str | None, layout: dict[str, Any] | None = None
) -> Stream:
    """The stream of a plan; with a layout, of files that are only scored."""
    settings: dict[str, Any] = {n: v for n, v in plan.reading.items() if v is not None}
    if layout is None:
        settings |= {"features": plan.features}
        if plan.bits is not None:
            settings["bits"] = plan.bits
    else:
        settings = {n: v for n, v in settings.items() if n in ("target", "weight", "missing", "delimiter")}
        settings["layout"] = layout
    return open_stream(data, **settings, block_bytes=budget.block, on_bad_line=plan.on_bad_line, cache=cache)


def hashed(rows: Array, seed: int) -> Array:
    """A number in [0, 1) for each row number: SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    x = rows.astype(np.uint64) + np.uint64(seed)
    with np.errstate(over="ignore"):
        x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53


def decided(plan: Plan, labels: Array) -> tuple[str, Array | None, str]:
    """Loss, classes and a sentence on why, from the labels of the first block. Raises ProblemError."""
    found = np.unique(labels)
    whole = bool(np.all(found == np.round(found)))
    if plan.classes is not None:
        found = np.array(plan.classes)
        whole = bool(np.all(found == np.round(found)))
    told = ""
    task = plan.task
    if plan.loss is not None:
        task = "regression" if plan.loss in NUMBER else "classification"
    if task == "auto":
        few = plan.classes is not None or (whole and len(found) <= CLASSES)
        task = "classification" if few else "regression"
        what = f"labels are {_listed(found)}" if few else "labels are numbers of many values"
        other = "regression" if few else "classification"
        told = f"{what}: {task}; if that is wrong, give --task {other}"
    if task == "regression":
        return plan.loss or "squared_error", None, told
    if len(found) < 2:
        raise ProblemError(
            f"all {len(labels)} labels of the first block are {found[0]:g}: nothing to tell apart; if others come later, name them all (--classes 0,1)"
        )
    classes = found.astype(np.int64) if whole else found
    return plan.loss or ("log_loss" if len(found) == 2 else MULTINOMIAL), classes, told


def _listed(values: Array) -> str:
    return " and ".join((", ".join(f"{v:g}" for v in values[:-1]), f"{values[-1]:g}")) if len(values) > 1 else f"{values[0]:g}"  # fmt: skip


def require_known(model: Model, block: Block) -> None:
    """ProblemError for a label that is none of the model's classes."""
    if model.classes is None:
        return
    known = np.isin(block.labels, model.classes)
    if not known.all():
        k = int(np.argmin(known))
        raise ProblemError(
            f"row {block.row + k + 1}: label {block.labels[k]:g} is none of {_listed(model.classes)}, which the first rows have; name them all (--classes)"
        )
