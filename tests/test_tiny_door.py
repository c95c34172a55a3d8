"""What a door costs: one to an invented framework, from the contract of ``core.started`` alone, under the laws of doors."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core.rule import Rule
from thalweg.core.started import start_given
from thalweg.engines.memory import limit
from thalweg.engines.ops import applied
from thalweg.errors import HyperparameterError

from .strategies import RULES, every_form, form, streams

Nest = Any  # nested lists of floats
NO_OPTIONS: Mapping[str, Any] = {}


@dataclass
class Cell:
    """The framework's array: nested lists, and the gradient that it has computed."""

    value: Nest
    grad: Nest = None


@dataclass
class Net:
    """The framework's container of parameters."""

    cells: dict[str, Cell] = field(default_factory=dict)


class Trainer:
    """A rule as the framework's optimizer: ``step`` moves the cells of a net by their ``grad``."""

    def __init__(
        self, net: Net, rule: Rule, *, options: Mapping[str, Any] = NO_OPTIONS, **hyperparameters: Any
    ) -> None:
        self.started = start_given("Trainer", rule, hyperparameters, **options)
        self.net, self.t = net, 0
        self.arrays = {n: self._begun(n, cell) for n, cell in net.cells.items()}

    def _begun(self, title: str, cell: Cell) -> dict[str, np.ndarray[Any, Any]]:
        """A cell's weights, and beside them what the update keeps."""
        arrays = {"w": _array(title, cell.value)}
        for n in self.started.update.arrays:
            if n not in ("w", "g"):
                begin = self.started.begin(n)
                arrays[n] = arrays["w"].copy() if begin == "w" else np.full(arrays["w"].shape, begin)
        return arrays

    def step(self) -> None:
        """Move every cell that has a gradient; ValueError for one that does not fit, and then none has moved."""
        update, moved = self.started.update, {}
        scalars = dict(zip(update.scalars, self.started.scalars(self.t + 1), strict=True))
        for title, cell in self.net.cells.items():
            if cell.grad is not None:
                arrays = self.arrays[title] | {"w": _array(title, cell.value), "g": _array(title, cell.grad)}
                if arrays["g"].shape != arrays["w"].shape:
                    raise ValueError(f"{title}: the gradient has shape {arrays['g'].shape}, not its cell's")
                if not np.all(np.abs(arrays["g"]) <= limit(arrays["g"].dtype, update.power)):
                    raise ValueError(f"{title}: the gradient is not finite, or too large for the states")
                moved[title] = arrays | applied(update)(arrays, scalars)
        for title, arrays in moved.items():
            self.arrays[title], self.net.cells[title].value = arrays, arrays["w"].tolist()
        self.t += 1


def _array(title: str, nest: Nest) -> np.ndarray[Any, Any]:
    """A cell's numbers; ValueError where they are none."""
    try:
        return np.array(nest, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{title}: must be nested lists of numbers") from None


# The laws.

WEIGHTS: dict[str, Nest] = {"a": [[0.5, -1.25, 3.0], [0.0, 2.0, -0.125]], "b": [1.0, -2.0]}
STEPS = 6
OPTIONS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.05, "decay": "coupled"},
    {"weight_decay": 0.05, "decay": "decoupled"},
    {"maximize": True},
    {"clip_value": 0.125},
    {"average": 0.75},
    {"average": "polyak"},
    {"weight_decay": 0.05, "decay": "decoupled", "clip_value": 0.5, "maximize": True, "average": "polyak"},
]


def net() -> Net:
    return Net({n: Cell(nest) for n, nest in WEIGHTS.items()})


def gradients() -> list[dict[str, np.ndarray[Any, Any]]]:
    """A gradient for each cell and step."""
    shapes = {n: np.shape(nest) for n, nest in WEIGHTS.items()}
    lists = {
        n: list(streams(np.float64, shape, STEPS, seed=k)) for k, (n, shape) in enumerate(shapes.items())
    }
    return [{n: lists[n][k] for n in lists} for k in range(STEPS)]


def require_path(rule: Rule, options: dict[str, Any], start: Callable[[Net], Trainer]) -> None:
    """The door's weights and averages after every step are those of ``rule.on``, but for NumPy's own powers."""
    arrays = {n: np.array(nest) for n, nest in WEIGHTS.items()}
    ours, cells = rule.on(arrays, engine="plain", **options), net()
    trainer = start(cells)
    for grads in gradients():
        ours.step(grads)
        for n, cell in cells.cells.items():
            cell.grad = grads[n].tolist()
        trainer.step()
        for n, cell in cells.cells.items():
            np.testing.assert_allclose(np.array(cell.value), arrays[n], rtol=1e-13, atol=1e-15)
            if "average" in options:
                average = trainer.arrays[n]["_average"]
                np.testing.assert_allclose(average, ours.average[n], rtol=1e-13, atol=1e-15)


def test_a_door_is_short() -> None:
    source = "".join(map(inspect.getsource, (Trainer, _array)))
    assert len(source.splitlines()) <= 60


@every_form
def test_path(name: str, dialect: str) -> None:
    rule = form(name, dialect)
    require_path(rule, {}, lambda cells: Trainer(cells, rule))


@every_form
@pytest.mark.parametrize("options", OPTIONS[1:], ids=lambda o: "-".join(o))
def test_options(name: str, dialect: str, options: dict[str, Any]) -> None:
    rule = form(name, dialect)
    if options.get("decay") == "decoupled" and "lr" not in rule.parts.hyperparameters:
        with pytest.raises(HyperparameterError, match="has no lr"):
            Trainer(net(), rule, options=options)
        return
    require_path(rule, options, lambda cells: Trainer(cells, rule, options=options))


@every_form
def test_schedules(name: str, dialect: str) -> None:
    rule = form(name, dialect)
    line = "lr" if "lr" in rule.parts.hyperparameters else next(iter(rule.hyperparameters))
    plan = tw.exponential(rule.values[line], factor=0.75)
    scheduled = rule.replace(**{line: plan})
    require_path(scheduled, {}, lambda cells: Trainer(cells, rule, **{line: plan}))


@every_form
def test_a_worlds_words_set_its_lines(name: str, dialect: str) -> None:
    """A door of that world takes them as ``like`` does, ``eps`` as the line that it is there."""
    rule = form(name, dialect)
    row = rule.parts.dialects.get(dialect)
    words: dict[str, Any] = {}
    for word in {} if row is None else row.names:
        lines = [rule.parts.lines[n] for n in row.targets(word)]
        values = [0.75 * float(rule.values[n]) for n in row.targets(word)]  # type: ignore[arg-type]
        if all(line.holds(v) for line, v in zip(lines, values, strict=True)):
            words[word] = values[0] if len(values) == 1 else tuple(values)
    if words:
        assert start_given("Trainer", rule, words, world=dialect).rule == RULES[name].like(dialect, **words)


def test_lines_come_first_where_a_rule_is_not_in_the_worlds_form() -> None:
    """RMSprop of Optax has its eps inside the root."""
    kept = start_given("Trainer", tw.RMSprop(eps=1e-3), {"eps": 0.5, "decay": 0.25}, world="optax").rule
    assert kept == tw.RMSprop(eps=0.5, beta=0.25)
    with pytest.raises(HyperparameterError, match="beta of RMSprop is given twice"):
        start_given("Trainer", tw.RMSprop(), {"beta": 0.5, "decay": 0.25}, world="optax")


def test_a_missing_gradient_moves_nothing() -> None:
    cells = net()
    cells.cells["a"].grad = WEIGHTS["a"]
    Trainer(cells, tw.Adam()).step()
    assert cells.cells["b"].value == WEIGHTS["b"]
    assert cells.cells["a"].value != WEIGHTS["a"]


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ({"lr": -1.0}, {}, "lr must be"),
        ({"learning": 1.0}, {}, "Trainer: Adam has no hyperparameter 'learning'"),
        ({}, {"weight_decay": -1.0}, "Trainer: weight_decay must be"),
        ({}, {"decay": "l2"}, "Trainer: decay must be one of"),
        ({}, {"clip_value": 0.0}, "Trainer: clip_value must be"),
        ({}, {"average": 1.0}, "Trainer: average must be"),
        ({}, {"maximize": 2}, "Trainer: maximize must be"),
        ({}, {"accumulate": 0}, "Trainer: accumulate must be a whole number of at least 1"),
        ({}, {"nesterov": True}, "Trainer: no option 'nesterov'"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(HyperparameterError, match=words) as caught:
        Trainer(net(), tw.Adam(), options=options, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e200, [1.0, 2.0, 3.0], "x"], ids=str)
def test_bad_gradients_are_refused(bad: Any) -> None:
    cells = net()
    trainer = Trainer(cells, tw.Adam())
    cells.cells["a"].grad = WEIGHTS["a"]
    cells.cells["b"].grad = bad if isinstance(bad, list | str) else [bad, 0.0]
    states = {n: {k: x.copy() for k, x in arrays.items()} for n, arrays in trainer.arrays.items()}
    with pytest.raises(ValueError, match=r"^b: "):
        trainer.step()
    assert trainer.t == 0
    assert {n: cell.value for n, cell in cells.cells.items()} == WEIGHTS
    for n, arrays in trainer.arrays.items():
        assert all(np.array_equal(x, states[n][k]) for k, x in arrays.items())
