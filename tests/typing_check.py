"""What mypy and pyright must accept, and refuse; run by test_typing.py."""

from typing import assert_type

import numpy as np

import thalweg as tw
from thalweg import Optimizer, Rule, Scalar, fraction, nonnegative, rule, state


def step(w, g, m, /, lr, beta):  # type: ignore[no-untyped-def]
    m = beta * m + g
    return w - lr * m, m


@rule(step)
class Mine(Rule):
    lr: Scalar = nonnegative(default=0.1, unit="w/g")
    beta: Scalar = fraction(default=0.9)
    m: float = state(default=0.0, unit="g", signed=True)


adam = tw.Adam(lr=tw.cosine(1e-3, steps=100), beta1=0.8)
assert_type(adam, tw.Adam)
assert_type(
    tw.AdamW(lr=tw.cosine(1e-3, steps=9), weight_decay=0.1).on(np.zeros(2), weight_decay=0.2), Optimizer
)
assert_type(adam.replace(lr=0.1), tw.Adam)
assert_type(adam.lr, Scalar)
opt = adam.on({"w": np.zeros(3)}, weight_decay=0.1, decay="decoupled")
assert_type(opt, Optimizer)
opt.step({"w": np.ones(3)})
assert_type(tw.RMSprop.like("torch", momentum=0.9), Rule)
assert_type(tw.RMSprop.like("keras").on([np.zeros(2)]), Optimizer)
assert_type(tw.load("run.tw", np.zeros(3)), Optimizer)
assert_type(Mine(lr=tw.warmup(0.1, steps=5)), Mine)
assert_type(Mine(0.1, 0.5, m=1.0).on(np.zeros(2), average="polyak"), Optimizer)

tw.Adam(lr="fast")  # type: ignore[arg-type]  # refused
tw.Adam(rate=0.1)  # type: ignore[call-arg]  # refused
Mine(gamma=0.1)  # type: ignore[call-arg]  # refused
adam.on(np.zeros(2), decay="sideways")  # type: ignore[arg-type]  # refused
