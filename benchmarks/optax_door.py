"""Optax's door against Optax's own: one compiled update of every rule that Optax has, and what compiling takes.

    python -m benchmarks.optax_door [--rounds 15] [--rules Adam,Lion] [--out optax_door.json]

Two trees on JAX's default device, float32: the parameters of a ResNet-50 (25 M weights in 161 arrays) and one
array of a million. A call takes gradients, state and parameters, and gives new parameters and state, both
donated: a training step without its gradient. Rounds are interleaved; ratios travel between machines, times
do not. Compiling is timed apart, tracing included, with no cache.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import thalweg.optax
from thalweg.convert import arguments
from thalweg.core.rule import find
from thalweg.optax import ROWS

from .models import resnet_shapes
from .timing import interleaved

Tree = Any

MORE: dict[str, dict[str, float]] = {n: {"momentum": 0.9} for n in ("Momentum", "Nesterov")}


def trees() -> dict[str, Tree]:
    """Parameters by name of the model."""
    keys = iter(jax.random.split(jax.random.key(0), 200))
    many = [jax.random.normal(next(keys), s, jnp.float32) for s in resnet_shapes()]
    return {"ResNet-like": many, "one array": jax.random.normal(next(keys), (1_000_000,), jnp.float32)}


def transformations(name: str) -> dict[str, optax.GradientTransformation]:
    """Ours and Optax's, with the same hyperparameters."""
    rule = find(name).like("optax", learning_rate=1e-6, **MORE.get(name, {}))
    row = ROWS[name]
    theirs = getattr(optax, row.function)(**arguments(rule, "optax", "benchmark"), **row.options)
    return {"ours": thalweg.optax.transformation(rule), "optax": theirs}


class Contestant:
    """A compiled step with its own parameters and state; calling it takes one and waits for it."""

    def __init__(self, tx: optax.GradientTransformation, params: Tree, gradients: Tree) -> None:
        self.gradients = gradients
        self.carry = (jax.tree.map(jnp.copy, params), tx.init(params))

        def step(carry: Any, g: Tree) -> Any:
            params, state = carry
            updates, state = tx.update(g, state, params)
            return optax.apply_updates(params, updates), state

        start = time.perf_counter()
        self.step = jax.jit(step, donate_argnums=0).lower(self.carry, gradients).compile()
        self.compiling = time.perf_counter() - start

    def __call__(self) -> None:
        self.carry = jax.block_until_ready(self.step(self.carry, self.gradients))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rules", help="comma-separated; default: all that Optax has")
    parser.add_argument("--models", help="comma-separated; default: ResNet-like,one array")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", default="optax_door.json")
    given = parser.parse_args()
    chosen = given.rules.split(",") if given.rules else list(ROWS)
    device = jax.devices()[0]
    result: dict[str, Any] = {
        "jax": jax.__version__, "optax": optax.__version__, "device": device.device_kind, "models": {},
    }  # fmt: skip
    models = trees()
    for model in given.models.split(",") if given.models else models:
        params = models[model]
        leaves = jax.tree.leaves(params)
        print(
            f"\n{model}: {sum(p.size for p in leaves):,} weights in {len(leaves)} arrays, {device.device_kind}"
        )
        print(f"{'rule':<33}{'ours':>10}{'optax':>12}{'ours/optax':>12}{'compiling':>12}{'optax':>9}")
        gradients = jax.tree.map(lambda p: 0.1 * p[::-1], params)
        rows = result["models"].setdefault(model, [])
        for name in chosen:
            made = {n: Contestant(tx, params, gradients) for n, tx in transformations(name).items()}
            calls: dict[str, Callable[[], object]] = {**made}
            seconds = interleaved(calls, given.rounds)
            ratio = seconds["ours"] / seconds["optax"]
            compiling = {n: c.compiling for n, c in made.items()}
            rows.append({"rule": name, "seconds": seconds, "ratio": ratio, "compiling": compiling})
            print(
                f"{name:<33}{seconds['ours'] * 1e3:>7.2f} ms{seconds['optax'] * 1e3:>9.2f} ms{ratio:>12.2f}"
                f"{compiling['ours']:>10.2f} s{compiling['optax']:>7.2f} s",
                flush=True,
            )
    with open(given.out, "w") as file:
        json.dump(result, file, indent=1)
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
