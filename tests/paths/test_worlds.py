"""Promise 5: every row that bears the name of torch, Keras or Optax is the real library's update.

Each step from the library's own state is within 8 ulps, in w and in every state, and 300 free steps stay
within 1e-5 (float32) or 1e-11 (float64) of the path's largest |w|; what goes beyond carries its reason.
docs/dialects.md shows the distances, written by ``python -m tools.dialect_table``.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ..strategies import FORMS, KINDS, RULES
from . import distances, worlds
from .distances import DTYPES, Case, cases, measure, needed, theirs

ROOT = Path(__file__).resolve().parents[2]
ON_JAX = os.environ.get("KERAS_BACKEND") == "jax"


def worth(case: Case, dtype: str) -> bool:
    """Float64 bare and float32 with a schedule and decay: by default, and all that is seen on JAX, which is slow."""
    if case.around and case.rule not in KINDS and not ON_JAX:
        return False  # what stands around does not know the rule
    return case.around == (dtype == "float32") or (dtype == "float32" and "lr_decay" in case.arguments)


CASES = [
    pytest.param(c, d, id=f"{c.title}-{d}", marks=[pytest.mark.slow] * (not worth(c, d)))
    for c in cases()
    for d in DTYPES
    if worth(c, d) or not ON_JAX
]
STATES = {
    "torch": worlds.TORCH_STATES,
    "keras": {n: names for n, (_, names) in worlds.KERAS.items()},
    "optax": {n: names for n, (_, _, names) in worlds.OPTAX.items()},
}


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_same_as_the_real_library(case: Case, dtype: str) -> None:
    found = measure(case, dtype)
    assert needed(case, dtype, found) is not None, found


def test_every_state_is_compared() -> None:
    """All states of every row, under the library's names; Optax has no product of momenta."""
    for name, dialect in FORMS:
        if dialect in worlds.WORLDS:
            missing = {*RULES[name].parts.states} - {*STATES[dialect].get(name, {})}
            assert missing == ({"p"} if (name, dialect) == ("NAdam", "optax") else set()), (name, dialect)


@pytest.mark.parametrize("world", ["keras", "optax"])
def test_float32_corrections_are_what_parts_adam(world: str) -> None:
    """With both corrections in float32, as those libraries have them, Adam's step is theirs to 8 ulps."""
    trace = theirs(Case("Adam", world, {}, False), "float32")
    f = np.float32
    lr, eps = f(distances.LR), f(1e-7 if world == "keras" else 1e-8)
    for t in range(1, distances.STEPS + 1):
        first, second = f(1) - f(0.9) ** f(t), f(1) - f(0.999) ** f(t)
        m, v = trace.states["m"][t], trace.states["v"][t]
        if world == "keras":
            made = trace.w[t - 1] - m * (lr * np.sqrt(second) / first) / (np.sqrt(v) + eps)
        else:
            made = trace.w[t - 1] - lr * ((m / first) / (np.sqrt(v / second) + eps))
        far = distances.ulps(trace.w[t - 1], trace.w[t], made, flushed=world == "optax")
        assert far.max() <= 8, (t, far.max())


@pytest.mark.slow
def test_keras_on_jax() -> None:
    """The base class's own algebra, in a process of its own: Keras chooses its backend once."""
    if ON_JAX:
        pytest.skip("this is that process")  # it runs the other tests, and would start itself again
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", "keras", __file__],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documentation_shows_every_row() -> None:
    text = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (\w+) \| `(\w+)`", text, flags=re.M)
    assert set(shown) == {(n, d) for n, d in FORMS if d in worlds.WORLDS}
