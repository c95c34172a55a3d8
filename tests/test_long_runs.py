"""Runs that go on for long: counts beyond 2^24 and 2^31 in every door, memory and descriptors of a million steps."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest
import torch

import thalweg as tw
import thalweg.torch

from .paths.worlds import _keras

pytestmark = pytest.mark.slow

BETA2 = 1 - 2.0**-30  # its correction still moves at 2^31 steps
SCHEDULE = tw.cosine(0.1, steps=2**32)
RULE = tw.Adam(lr=SCHEDULE, beta2=BETA2)
SEAMS = pytest.mark.parametrize("first", [2**24 - 3, 2**31 - 9], ids=["2**24", "2**31"])
STEPS = 6


def gradient(k: int) -> Any:
    return np.array([0.5, -1.0, 3.0]) * (k + 1)


def by_hand(first: int, steps: int = STEPS) -> Any:
    """Adam's path on three coordinates from 1, whose first step is number ``first`` + 1, in float64."""
    w, m, v = np.ones(3), np.zeros(3), np.zeros(3)
    for k in range(steps):
        t = first + k + 1
        m = 0.9 * m + 0.1 * gradient(k)
        v = BETA2 * v + (1 - BETA2) * gradient(k) ** 2
        correction = -math.expm1(t * math.log1p(-(2.0**-30)))
        w = w - SCHEDULE(t - 1) * m / (1 - 0.9**t) / (np.sqrt(v / correction) + 1e-8)
    return w


@pytest.mark.parametrize("first", [2**24 - 3, 2**31 - 3, 2**53 - 60], ids=["2**24", "2**31", "2**53"])
@pytest.mark.parametrize("exact", ["value", "bits"])
@pytest.mark.parametrize("name", ["Adam", "Momentum", "Adagrad"])
def test_sparse_gradients_go_on(name: str, exact: Any, first: int) -> None:
    """Rows that are idle across the seam catch up as dense steps take them, in NumPy's door and in torch's."""
    rule = RULE if name == "Adam" else getattr(tw, name)(lr=SCHEDULE)
    rows, whole, shape = np.ones((6, 2)), np.ones((6, 2)), (6, 2)
    sparse, dense = rule.on(rows, exact=exact), rule.on(whole)
    sparse.count(first)
    dense.count(first)
    p = torch.nn.Parameter(torch.ones(shape, dtype=torch.float64))
    opt = thalweg.torch.Optimizer([p], rule, exact=exact)
    p.grad = torch.zeros(shape, dtype=torch.float64)
    opt.step()
    for n in rule.parts.states:
        opt.state[p][n].fill_(getattr(rule, n))
    opt.state[p]["step"].fill_(float(first))
    opt._rows.watched.add(p)
    draw = np.random.default_rng(0)
    for _ in range(40):
        touched, values = draw.choice(6, 2, replace=False), draw.standard_normal((2, 2))
        g = np.zeros(shape)
        g[touched] = values
        sparse.step(tw.Rows(touched, values))
        dense.step(g)
        p.grad = torch.sparse_coo_tensor(
            torch.as_tensor(touched)[None], torch.as_tensor(values), shape, check_invariants=False
        )
        opt.step()
    sparse.flush()
    opt.flush()
    assert sparse.t == dense.t == int(opt.state[p]["step"]) == first + 40
    near = {"rtol": 0 if exact == "bits" else 1e-13, "atol": 0 if exact == "bits" else 1e-15}
    np.testing.assert_allclose(rows, whole, **near)
    np.testing.assert_allclose(p.detach().numpy(), whole, **near)


@SEAMS
def test_optax_goes_on(first: int) -> None:
    """Its count is int32, as Optax's; compiled, in float32, with the corrections and the rate of that step."""
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    from thalweg.optax import transformation

    tx = transformation(RULE)
    params = jax.numpy.ones(3)
    state = tx.init(params)._replace(count=jax.numpy.asarray(first, "int32"))
    update = jax.jit(tx.update)
    for k in range(STEPS):
        updates, state = update(jax.numpy.asarray(gradient(k), "float32"), state, params)
        params = optax.apply_updates(params, updates)
    assert int(state.count) == first + STEPS
    np.testing.assert_allclose(np.asarray(params), by_hand(first), rtol=1e-6)


def test_counts_of_optax_and_keras_end_in_one_line() -> None:
    """Beyond int32: ours stays at its end as Optax's does, and what must count further is refused before anything moves."""
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    from thalweg.optax import from_optax, transformation

    rule, most, params = tw.SGD(lr=tw.inverse_sqrt(1.0)), 2**31 - 1, jax.numpy.ones(2)
    state = from_optax(optax.sgd(0.1).init(params), rule, count=most)
    updates, after = transformation(rule).update(params, state, params)
    assert int(after.count) == most and float(updates[0]) == pytest.approx(-(2.0**-15.5))
    with pytest.raises(ValueError, match="count must be a number of steps from 0 to 2147483647"):
        from_optax(optax.sgd(0.1).init(params), rule, count=most + 1)

    keras = _keras()
    from thalweg.keras import from_keras, to_keras

    variable = keras.Variable(np.ones(3, "float32"))
    theirs = keras.optimizers.Adam(0.1)
    theirs.build([variable])
    theirs.iterations.assign(2**24 + 1)
    opt = from_keras(theirs)
    assert opt.t == 2**24 + 1
    opt.count(2**31 - 2**24 - 2)
    assert int(to_keras(opt, [variable]).iterations.numpy()) == opt.t == most
    opt.step([np.ones(3, "float32")])
    with pytest.raises(ValueError, match="2147483648 steps: Keras counts in int32"):
        to_keras(opt, [variable])
    assert keras.ops.convert_to_numpy(variable).tolist() == [1.0, 1.0, 1.0]


def in_numpy() -> Callable[[int], object]:
    w, g = np.ones(8, "float32"), np.full(8, 0.5, "float32")
    opt = tw.Adam(lr=tw.inverse_sqrt(1e-3)).on(w)
    return lambda k: opt.step(g)


def in_numpy_sparse() -> Callable[[int], object]:
    w, g = np.ones((50, 2), "float32"), np.full((1, 2), 0.5, "float32")
    opt = tw.Adam(lr=1e-3).on(w)
    return lambda k: opt.step(tw.Rows([k % 50], g))


def in_torch() -> Callable[[int], object]:
    """With a new gradient and another rate at every step, as a training under a scheduler has."""
    p = torch.nn.Parameter(torch.ones(8))
    g = torch.full((8,), 0.5)
    opt = thalweg.torch.Optimizer([p], tw.Adam(lr=1e-3))

    def step(k: int) -> None:
        p.grad = g.clone()
        opt.param_groups[0]["lr"] = 1e-3 / (1 + k)
        opt.step()

    return step


DOORS = {"NumPy": in_numpy, "sparse": in_numpy_sparse, "torch": in_torch}


@pytest.mark.parametrize("door", DOORS)
def test_many_steps_leave_memory_and_descriptors_as_they_are(door: str) -> None:
    """A million; 2 bytes a step would be seen. Of sparse ones fewer, beyond the 65,536 after which their log begins anew."""
    warm, steps = (70_000, 100_000) if door == "sparse" else (10**5, 10**6)
    step, process = DOORS[door](), psutil.Process()
    for k in range(warm):
        step(k)
    memory, descriptors = process.memory_info().rss, len(os.listdir("/proc/self/fd"))
    for k in range(warm, steps):
        step(k)
    assert process.memory_info().rss - memory < max(2 * (steps - warm), 1 << 20)
    assert len(os.listdir("/proc/self/fd")) == descriptors
