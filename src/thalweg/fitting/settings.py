"""What ``fit`` is asked for: a line for each setting, with default, range, unit and meaning; all of them one value.

The keywords of ``fit``, its checks, the options of ``thalweg fit`` and what a checkpoint records are these lines.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar, cast

from ..core.rule import Rule
from ..errors import HyperparameterError, nearest
from ..rules import resolved

if TYPE_CHECKING:  # the command line reads the lines for its help, without NumPy
    from ..linear import Settings

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
Value = TypeVar("Value")
Check = Callable[[object], Any]
Group = Literal["model", "reading", "run"]

HELD_OUT = 0.1  # the share of rows where no test files are given
SCALES = ("auto", "none")
TASKS = ("auto", "classification", "regression")


class Line(NamedTuple):
    """One setting. check: the value as it is kept; raises HyperparameterError, its text without the name. option:
    the type of its text on the command line, None where it has none. group: what it decides: the trained model,
    how files are read for it, or only how the run goes.
    """

    default: Any
    text: str
    check: Check
    option: type | None
    group: Group


def _line(
    default: Value,
    text: str,
    check: Check = lambda value: value,
    option: type | None = str,
    group: Group = "model",
) -> Value:
    value: Value = field(default=default, metadata={"line": Line(default, text, check, option, group)})
    return value


def _whole(low: int, high: int | None = None) -> Check:
    """Whole numbers in [low, high]."""
    allowed = f">= {low}" if high is None else f"in [{low}, {high}]"

    def check(value: object) -> int:
        if type(value) is not int or value < low or (high is not None and value > high):
            raise HyperparameterError(f"must be a whole number {allowed}, got {value!r}")
        return value

    return check


def _number(high: float = math.inf, closed: bool = False, unit: str = "") -> Check:
    """Numbers in [0, high), or in [0, high]."""

    def check(value: object) -> float:
        number = math.nan
        if isinstance(value, Real) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
        if not (0 <= number < high or (closed and number == high)):
            allowed = f"a number{f' of {unit}' if unit else ''} in [0, {high:g}{']' if closed else ')'}"
            raise HyperparameterError(f"must be {allowed}, got {value!r}")
        return number

    return check


def _or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise HyperparameterError(f"must be True or False, got {value!r}")
    return value


def _task(value: object) -> object:
    if not isinstance(value, str) or value not in TASKS:
        raise HyperparameterError(f"unknown task {value!r}: {nearest(value, TASKS)}")
    return value


def _scale(value: object) -> object:
    if not isinstance(value, str) or value not in SCALES:
        raise HyperparameterError(f"must be auto or none, got {value!r}")
    return value


def _loss(value: object) -> object:
    from ..linear.losses import NAMES

    if not isinstance(value, str) or value not in NAMES:
        raise HyperparameterError(f"unknown loss {value!r}: {nearest(value, NAMES)}")
    return value


def _rule(value: object) -> object:
    resolved(value)
    return value


def _classes(value: object) -> tuple[float, ...] | tuple[str, ...]:
    texts = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(texts) > 1 and len(set(texts)) == len(texts) and all(isinstance(c, str) for c in texts):
        return texts
    try:
        labels = tuple(sorted({float(c) for c in cast("Iterable[float]", value)}))
    except (TypeError, ValueError):
        labels = ()
    if len(labels) < 2 or not all(map(math.isfinite, labels)):
        raise HyperparameterError(
            f"must be all labels, at least two different numbers or texts, got {value!r}"
        )
    return labels


def _columns(value: object) -> object:
    """Names of columns; several as a tuple (``open_stream`` checks them)."""
    try:
        return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else value
    except TypeError:  # an array of no dimension
        raise HyperparameterError(f"must be names of columns, got {value!r}") from None


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """All settings of ``fit``, each at its default unless it is given; a frozen value.

    What is read: format, zero_based, target, weight, ignore, categorical, numeric, interactions, missing, na, delimiter, decimal,
    thousands, dates, header, skip_lines, comment, encoding, on_bad_line, bits and features: as ``thalweg.reading.open_stream`` takes them. bits: 2^bits features where
    names are hashed (default 18); SVMlight indices are cut to so many bits. features: of SVMlight, where they
    are to be checked.

    What is trained: task: "classification", "regression" or "auto": by the labels of the first rows. loss: a
    name in ``thalweg.linear.losses`` (default: log_loss, multinomial for more than two classes, squared_error).
    classes: all labels, where the first rows lack some; texts in their order. rule: a rule, its class or its name; the learning rate
    of a class, a bare name or the default, ``thalweg.linear.DEFAULT``, is chosen by a short race on the first
    block. l1, l2: weights of the penalties. epsilon: of the losses that have one, in the target's unit (default: a
    tenth of the target's deviation in the first rows; 0.1 where it is not scaled). average: the row from which on the weights are averaged (0, 1: all). dtype: of weights and states,
    "float32" or "float64". passes: over the data. holdout: share of rows in [0, 1) that are not learnt from but
    tell how good the model is, at most 50,000 (default: 0.1; 0 with test=). test: files for that.

    How the run goes: memory: limit of the process, such as "500MB". cache: from the second pass on a binary
    cache is read, which lies beside the model and is removed at the end, or at ``cache``, which stays; False:
    none. checkpoint_every: seconds between checkpoints, 0 for none. fresh: begin anew, whatever checkpoint there
    is.

    Raises HyperparameterError for a value outside its range, and for values that contradict each other.
    """

    format: str = _line("auto", "svmlight, vw, csv or parquet. Default: by name or content.", group="reading")
    zero_based: bool | str = _line(
        "auto", "SVMlight: whether indices begin at 0.", option=None, group="reading"
    )
    target: str | None = _line(None, "CSV, Parquet: the column to predict.", group="reading")
    task: str = _line("auto", "classification or regression. Default: by the labels.", _task)
    loss: str | None = _line(
        None, "log_loss, hinge, squared_error, ... Default: by the task.", _or_none(_loss)
    )
    rule: Rule | type[Rule] | str | None = _line(
        None,
        "Adagrad(lr=0.1), Adam, FILE.py:NAME. A bare name's learning rate is chosen by a short race.",
        _or_none(_rule),
    )
    passes: int = _line(1, "Passes over the data.", _whole(1), int)
    bits: int | None = _line(None, "2^BITS hashed features. Default: 18; SVMlight: as they are.", option=int)
    scale: str = _line(
        "auto", "auto: the units of columns and of the target do not matter. none: as they are.", _scale
    )
    l1: float = _line(0.0, "Weight of the L1 penalty.", _number(), float)
    l2: float = _line(0.0, "Weight of the L2 penalty.", _number(), float)
    average: int | None = _line(None, "Average the weights from this row on.", _or_none(_whole(0)), int)
    intercept: bool = _line(True, "Learn an intercept.", _flag, bool)
    dtype: str = _line("float32", "Of weights and states.", option=None)
    epsilon: float | None = _line(
        None,
        "Of the losses that have one, in the target's unit. Default: a tenth of its deviation.",
        _or_none(_number()),
        float,
    )
    quantile: float = _line(0.5, "Of the quantile loss.", _number(1.0, closed=True), float)
    classes: Iterable[float] | Iterable[str] | None = _line(
        None, "All labels, comma-separated, in order, where the first rows lack some.", _or_none(_classes)
    )
    holdout: float | None = _line(
        None,
        "Share of rows held out, 50,000 at most. Default: 0.1, without --test.",
        _or_none(_number(1.0)),
        float,
    )
    test: Paths | None = _line(None, "A file to measure the model on.", option=list, group="run")
    memory: str | int | None = _line(
        None, "Limit of the whole process: 500MB. Default: none.", group="run"
    )  # ``Budget.of`` checks it
    checkpoint_every: float = _line(
        60.0, "Seconds between checkpoints; 0: none.", _number(unit="seconds"), float, group="run"
    )
    fresh: bool = _line(False, "Begin anew, whatever checkpoint there is.", _flag, bool, group="run")
    cache: bool | str | os.PathLike[str] = _line(
        True,
        "Keep the binary cache of several passes here. Default: beside the model, until the end.",
        group="run",
    )
    on_bad_line: str = _line("stop", "stop or skip.")
    weight: str | None = _line(None, "CSV, Parquet: the column of weights.", group="reading")
    ignore: str | Iterable[str] = _line(
        (), "CSV, Parquet: a column to leave out, or several between commas.", _columns, list, "reading"
    )
    categorical: str | Iterable[str] = _line(
        (), "CSV, Parquet: numeric columns to hash.", _columns, list, "reading"
    )
    numeric: str | Iterable[str] = _line(
        (), "CSV: columns that are numeric throughout.", _columns, list, "reading"
    )
    interactions: str | Iterable[str] = _line(
        (),
        "Products as features: of two columns, a,b; Vowpal Wabbit: of namespaces, by first letters, ab; all: ::",
        _columns,
        list,
        "reading",
    )
    missing: str | None = _line(
        None, "CSV, Parquet: a missing number is the mean (default), bad, or zero.", group="reading"
    )
    na: str | Iterable[str] = _line((), "CSV: a word for a missing value.", _columns, list, "reading")
    delimiter: str | None = _line(
        None, "CSV: between cells; blanks: any number. Default: as found.", group="reading"
    )
    decimal: str | None = _line(
        None, "CSV: the decimal sign, . or ,. Default: as a column reads.", group="reading"
    )
    thousands: str | None = _line(None, "CSV: between groups of three digits.", group="reading")
    dates: str | None = _line(None, "CSV: dmy or mdy, where dates are such as 3/4/2020.", group="reading")
    header: bool = _line(True, "CSV: the first line names the columns.", _flag, bool, "reading")
    skip_lines: int = _line(0, "CSV: lines before the table.", _whole(0), int, "reading")
    comment: str | None = _line(None, "CSV: what begins a line that is no row.", group="reading")
    encoding: str | None = _line(
        None, "Of text: latin-1, ... Default: UTF-8, or UTF-16 by its mark.", group="reading"
    )
    features: int | None = _line(None, "SVMlight: how many features there are.", option=int)
    seed: int = _line(
        0, "Fixes the race, the order of rows, and which are held out.", _whole(0, (1 << 64) - 1), int
    )

    def __post_init__(self) -> None:
        for name, line in LINES.items():
            try:
                object.__setattr__(self, name, line.check(getattr(self, name)))
            except HyperparameterError as error:
                raise HyperparameterError(f"{name}: {error}") from None
        from ..linear.losses import NUMBER

        if (
            self.loss is not None
            and self.task != "auto"
            and (self.loss in NUMBER) != (self.task == "regression")
        ):
            raise HyperparameterError(f"loss: {self.loss!r} is not for {self.task}")
        if self.classes is not None and (self.loss in NUMBER or self.task == "regression"):
            raise HyperparameterError("classes: are not for regression")

    @classmethod
    def of(cls, settings: Self | None, changes: Mapping[str, Any]) -> Self:
        """The settings with some of them changed. Raises HyperparameterError, for an unknown name too."""
        for name in changes:
            if name not in LINES:
                raise HyperparameterError(f"fit: unknown setting {name!r}: {nearest(name, LINES)}")
        return cls(**changes) if settings is None else replace(settings, **changes)

    @cached_property
    def _start(self) -> tuple[Rule, bool]:
        if self.rule is not None:
            return resolved(self.rule)
        from ..linear import DEFAULT

        return DEFAULT, True

    @property
    def start_rule(self) -> Rule:
        """The rule that training, or the race for its learning rate, begins with."""
        return self._start[0]

    @property
    def chooses_rate(self) -> bool:
        """Whether a race chooses the learning rate: where the rule has one, and no value was given."""
        return self._start[1]

    @property
    def scales(self) -> bool:
        """Whether features and numbers to be learnt are scaled."""
        return self.scale == "auto"

    @property
    def held_out_share(self) -> float:
        """The share of rows that are held out, in [0, 1)."""
        if self.holdout is not None:
            return self.holdout
        return HELD_OUT if self.test is None else 0.0

    @property
    def reading(self) -> dict[str, Any]:
        """How files are read, for ``open_stream``: what differs from its defaults."""
        return {
            n: v for n, v in self._group("reading").items() if v not in (None, ()) and v != LINES[n].default
        }

    def linear(self, loss: str) -> "Settings":
        """The settings of a linear model with that loss; an epsilon that is open is that of a target that is not scaled."""
        from ..linear import Settings
        from ..linear.losses import EPSILON

        return Settings(
            loss,
            self.start_rule,
            self.l1,
            self.l2,
            self.intercept,
            None if self.average is None else max(self.average - 1, 0),  # the rows before that one
            self.dtype,
            EPSILON if self.epsilon is None else self.epsilon,
            self.quantile,
        )

    def record(self) -> dict[str, Any]:
        """All that the trained model depends on but the files, as JSON has it, to be compared."""
        return {n: _plain(v) for n, v in self._group("model").items()} | {
            "rule": repr(self.start_rule),
            "choose": self.chooses_rate,
            "holdout": self.held_out_share,
            "reading": recorded_reading({n: _plain(v) for n, v in self.reading.items()}),
        }

    def _group(self, group: Group) -> dict[str, Any]:
        return {n: getattr(self, n) for n, line in LINES.items() if line.group == group}


LINES: dict[str, Line] = {f.name: f.metadata["line"] for f in fields(FitSettings)}

# Those that a raced table takes too, which say how its file is read: of tables, of hashed text, of any.
TABLES = ("categorical", "numeric", "na", "delimiter", "decimal", "thousands", "dates", "header", "skip_lines", "comment")  # fmt: skip
HASHED = ("bits", "interactions")
READING = ("format", "on_bad_line", *TABLES, "encoding", *HASHED)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def recorded_reading(reading: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint recorded of reading, without defaults: files of 0.1.0 hold some of them.

    Theirs of ``missing`` was "bad"; whether it is another one the layout of the columns says, which is recorded too.
    """
    known = {n: v for n, v in reading.items() if v not in (None, []) and v != LINES[n].default}
    return {n: v for n, v in known.items() if (n, v) != ("missing", "bad")}
