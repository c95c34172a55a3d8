"""Ctrl-C at random moments: the weights and the count of steps move together, or neither does."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

CHILD = """
import json, random, signal, sys, threading, time
import numpy as np
import thalweg as tw

case, size, hits = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tw.set_threads(2)
g, w = np.ones(size, np.float32), np.zeros(size, np.float32)
params, grads, given = w, g, {}
if case == "several":
    params, grads = {"a": w, "b": np.zeros(7)}, {"a": g, "b": np.ones(7)}
elif case == "rows":
    grads = tw.Rows(np.arange(size), g)
elif case == "gathered":
    given = {"accumulate": 3}
elif case == "clipped":
    given = {"clip_norm": 1e9}
opt = tw.SGD(lr=1.0).on(params, rates=False, **given)
if case == "gathered rows":
    opt = tw.SGD(lr=1.0).on(params, rates=False, accumulate=3)
    grads = tw.Rows(np.arange(size), g)
if case.startswith("torch"):
    import torch
    from thalweg.torch import Optimizer

    torch.set_num_threads(2)
    memory = [w, np.zeros(7, np.float32)]
    if case == "torch anew":  # gaps in memory, of which a step takes copies; and rows of sparse gradients
        memory += [np.zeros(6000, np.float32)[::2], np.zeros(3000, np.float32)]
    tensors = [torch.nn.Parameter(torch.from_numpy(x)) for x in memory]
    for p in tensors:
        p.grad = torch.ones(p.shape)
    if case == "torch anew":
        p.grad = p.grad.to_sparse()
    door = Optimizer([{"params": [p]} for p in tensors] if "torch " in case else tensors, tw.SGD(lr=1.0))

    class Opt:
        t = property(lambda self: counts()[0])

        def step(self, grads):
            door.step()

    def counts():
        return [int(door.state[p]["step"]) for p in tensors]

    opt, params = Opt(), dict(enumerate(memory))
for _ in range(3):
    opt.step(grads)  # compiled by now
me, armed, draw = threading.main_thread().ident, False, random.Random(0)

def interrupt():
    global armed
    while True:
        time.sleep(draw.uniform(1e-4, 2e-3))
        if armed:
            armed = False
            signal.pthread_kill(me, signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
wrong = []
for _ in range(hits):
    try:
        armed = True
        while True:
            opt.step(grads)
    except KeyboardInterrupt:
        for name, x in (params if isinstance(params, dict) else {"w": w}).items():
            if x.min() != -opt.t or x.max() != -opt.t:
                wrong.append([name, float(x.min()), float(x.max()), opt.t])
                x[...] = -opt.t
        if case.startswith("torch") and len(set(counts())) > 1:
            wrong.append(["counts", *counts()])
            for p in tensors:
                door.state[p]["step"].fill_(opt.t)
        if "gathered" in case:
            sums = opt._members.tensors(0)["_a"]
            if sums.min() != opt._window.calls or sums.max() != opt._window.calls:
                wrong.append(["gathered", float(sums.min()), float(sums.max()), opt._window.calls])
                sums[...] = opt._window.calls
print(json.dumps(wrong))
"""

SMALL, LARGE = 30_000, 1_200_000  # one thread, and several
CASES = (
    "one",
    "several",
    "clipped",
    "rows",
    "gathered",
    "gathered rows",
    "torch",
    "torch groups",
    "torch anew",
)


def interrupted(case: str, size: int, hits: int) -> list[Any]:
    """What was out of step after each of so many interruptions."""
    command = [sys.executable, "-c", CHILD, case, str(size), str(hits)]
    child = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    wrong: list[Any] = json.loads(child.stdout)
    return wrong


@pytest.mark.parametrize("case", ["several", "gathered rows", "torch anew"])
def test_an_interrupted_step_is_counted_or_has_not_been(case: str) -> None:
    assert interrupted(case, SMALL, 25) == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [500, SMALL, LARGE])
@pytest.mark.parametrize("case", CASES)
def test_many_interrupted_steps(case: str, size: int) -> None:
    assert interrupted(case, size, 1000) == []
