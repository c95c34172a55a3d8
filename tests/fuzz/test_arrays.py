"""Arrays at the edge of memory: no kernel reads or writes beside them, and what it computes is the same there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import thalweg as tw
from thalweg.errors import GradientError
from thalweg.linear import Model, Settings

from ..strategies import KINDS, RULES, first_of
from . import draws, trials
from .memory import guarded


@first_of(KINDS, ("SGD", "Adagrad", "AMSGrad"))
@trials(4)
def test_dense_steps(name: str, count: int) -> None:
    for draw in draws(count):
        sizes = [
            draw.choice((1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 100, 1025)) for _ in range(draw.randint(1, 3))
        ]
        rng = np.random.default_rng(draw.randrange(1 << 30))
        plain = [rng.standard_normal(n).astype(np.float32) for n in sizes]
        edges = [guarded(w, draw.random() < 0.5) for w in plain]
        ours, theirs = RULES[name]().on(plain), RULES[name]().on([w for w, _ in edges])
        for _ in range(2):
            gradients = [rng.standard_normal(n).astype(np.float32) for n in sizes]
            fences = [guarded(g, draw.random() < 0.5) for g in gradients]
            ours.step(gradients)
            theirs.step([g for g, _ in fences])
            for g, (fenced, check) in zip(gradients, fences, strict=True):
                check()
                assert g.tobytes() == fenced.tobytes()
        for w, (fenced, check) in zip(plain, edges, strict=True):
            check()
            assert w.tobytes() == fenced.tobytes()


@trials(15)
def test_sparse_steps_with_any_rows(count: int) -> None:
    """Rows beyond the table are refused before anything moves; those within it are stepped."""
    for draw in draws(count):
        rows, width = draw.randint(1, 40), draw.randint(1, 9)
        w, check = guarded(np.ones((rows, width), np.float32), draw.random() < 0.5)
        opt = tw.Adagrad().on(w)
        for _ in range(3):
            index = [draw.randrange(rows) for _ in range(draw.randint(0, 6))]
            wild = draw.random() < 0.3
            if wild:
                odd = draw.choice((-1, -rows, rows, rows + 1, 2**31, 2**40, -(2**62), 2**62))
                index.insert(draw.randint(0, len(index)), odd)
            values = np.ones((len(index), width), np.float32)
            before = w.copy()
            try:
                opt.step(tw.Rows(guarded(np.array(index, np.int64))[0], guarded(values)[0]))
            except GradientError:
                assert wild or not index
                assert before.tobytes() == w.tobytes()
            else:
                assert not wild
            check()
        opt.flush()
        check()


@pytest.mark.parametrize("outputs", [1, 3])
@trials(15)
def test_rows_of_a_linear_model(outputs: int, count: int) -> None:
    """CSR rows and targets at the edge of memory give the loss that they give elsewhere."""
    settings = Settings("squared_error") if outputs == 1 else Settings("multinomial")
    classes = None if outputs == 1 else np.arange(outputs)
    for draw in draws(count):
        n, features = draw.randint(1, 12), draw.randint(1, 30)
        rng = np.random.default_rng(draw.randrange(1 << 30))
        x = csr_array((rng.random((n, features)) < 0.3) * rng.random((n, features)).astype(np.float32))
        y = rng.integers(0, outputs, n).astype(np.float64)
        edge = csr_array(tuple(guarded(a)[0] for a in (x.data, x.indices, x.indptr)), shape=x.shape)
        ours, theirs = (Model(settings, features, classes) for _ in range(2))
        assert ours.learn(x, y) == theirs.learn(edge, guarded(y)[0])
        assert ours.solution[0].tobytes() == theirs.solution[0].tobytes()
