"""Every rule in every dialect walks the path of an independent loop written from the source alone."""

import math
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core.rule import RULES, Rule

from ..strategies import FORMS
from . import sources
from .real_torch import OPTIMIZERS, distance, run_torch
from .real_torch import gradients as streams
from .references import REFERENCES

STREAMS = streams()
# torch's optimizer for MaxProp is Adamax without momentum; TensorFlow names a flag that we need not.
OURS = {"use_nesterov"}


def made(name: str, dialect: str, selects: dict[str, Any], arguments: dict[str, Any]) -> Any:
    """The rule as its world's own arguments select it, asked of the family's head where the row names members."""
    heads = [r for r in RULES.values() if dialect in r.parts.dialects and name in _members(r, dialect)]
    if not heads:
        return getattr(tw, name).like(dialect, **arguments)
    head = next((r for r in heads if r.__name__ == name), heads[0])  # Adam and NAdam of Optax pick each other
    return head.like(dialect, **{k: v for k, v in selects.items() if k not in OURS}, **arguments)


def _members(head: type[Rule], dialect: str) -> set[str]:
    """The rules that a row's arguments can pick, itself among them where it has such arguments."""
    members = head.parts.dialects[dialect].members
    return {head.__name__, *members.values()} if members else set()


STARTS = (1.5, 0.0)  # from 0 a path is nothing but updates: tiny ones are seen too
ALL = [(start, stream) for start in STARTS for stream in STREAMS.values()]


def walk(rule: Any, together: list[tuple[float, list[float]]]) -> list[list[float]]:
    """The paths of several (start, gradients) at once: coordinates do not know of each other."""
    w = np.array([start for start, _ in together])
    opt = rule.on(w)
    paths = []
    for gradients in zip(*(stream for _, stream in together), strict=True):
        opt.step(np.array(gradients))
        paths.append(w.tolist())
    return [list(path) for path in zip(*paths, strict=True)]


CASES = [
    pytest.param(key, case, id=f"{key[0]}-{key[1]}-{i}")
    for key, row in REFERENCES.items()
    for i, case in enumerate(row.cases)
]


@pytest.mark.parametrize(("key", "arguments"), CASES)
def test_same_path_as_the_source(key: tuple[str, str], arguments: dict[str, Any]) -> None:
    """From two starts, over six streams, with the world's own arguments: the same path to 1e-12."""
    reference = REFERENCES[key]
    rule = made(*key, reference.selects, arguments)
    assert type(rule).__name__ == key[0]
    for ours, (start, stream) in zip(walk(rule, ALL), ALL, strict=True):
        assert distance(ours, reference(start, stream, **arguments)) < 1e-12


def test_every_dialect_has_its_reference() -> None:
    """No row of the library stands without an independent loop."""
    missing = {(n, d) for n, d in FORMS if d} - set(REFERENCES)
    assert missing == set()


TORCH = [
    pytest.param(k[0], c, id=f"{k[0]}-{i}")
    for k, r in REFERENCES.items()
    if k[1] == "torch"
    for i, c in enumerate(r.cases)
]


@pytest.mark.parametrize(("name", "arguments"), TORCH)
def test_same_path_as_the_real_torch(name: str, arguments: dict[str, Any]) -> None:
    """The rows called torch, against torch.optim in float64."""
    assert name in OPTIMIZERS
    selects = REFERENCES[name, "torch"].selects
    rule = made(name, "torch", selects, arguments)
    for ours, (start, stream) in zip(walk(rule, ALL[:6]), ALL[:6], strict=True):
        assert distance(ours, run_torch(name, start, stream, {**arguments, **selects})) < 1e-12


@pytest.mark.parametrize(
    ("rule", "loop", "start"),
    [
        (tw.Adagrad.like("notes-code"), sources.do_adagrad, (-2.0, -2.0)),
        (tw.RMSprop.like("notes-code"), sources.do_rmsprop, (-4.0, 4.0)),
        (tw.Adam.like("notes-code"), sources.do_adam_sgd, (-4.0, -4.0)),
    ],
    ids=["do_adagrad", "do_rmsprop", "do_adam_sgd"],
)
def test_the_notes_own_loops(rule: Any, loop: Any, start: tuple[float, float]) -> None:
    """Fifty epochs of the sigmoid neuron, sample by sample."""
    w = np.array(start)
    opt = rule.on(w)
    for i, (wanted_w, wanted_b) in enumerate(loop(50)):
        x, y = sources.X[i % 2], sources.Y[i % 2]
        opt.step(np.array([sources.grad_w(*w, x, y), sources.grad_b(*w, x, y)]))
        assert math.isclose(w[0], wanted_w, rel_tol=1e-12)
        assert math.isclose(w[1], wanted_b, rel_tol=1e-12)


def test_darves_adagrad() -> None:
    """darve's function on the badly scaled quadratic, gradients divided by the batch size."""
    scale = 0.1 ** np.arange(4)
    ours, theirs, s = np.ones(4), np.ones(4), np.zeros(4)
    opt = tw.Adagrad.like("darve", lr=0.1).on(ours)
    for _ in range(100):
        opt.step(scale * ours / 8)
        sources.adagrad(theirs, s, scale * theirs, 0.1, 8)
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
