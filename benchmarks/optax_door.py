"""Optax's door against Optax's own: one compiled update of every rule that Optax has, and what compiling takes.

    python -m benchmarks.optax_door [--rounds 15] [--rules Adam,Lion] [--out optax_door.json]

Two trees on JAX's default device, float32: the parameters of a ResNet-50 (25 M weights in 161 arrays) and one
array of a million. A call takes gradients, state and parameters, and gives new parameters and state, both
donated: a training step without its gradient. Rounds are interleaved; ratios travel between machines, times
do not. Compiling is timed apart, tracing included, with no cache.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import thalweg.optax
from thalweg.convert import arguments
from thalweg.core.rule import find
from thalweg.rules import movable

from .models import resnet_shapes
from .options import options, save
from .timing import interleaved

Tree = Any

MORE: dict[str, dict[str, float]] = {n: {"momentum": 0.9} for n in ("Momentum", "Nesterov")}


def trees(dry: bool) -> dict[str, Tree]:
    """Parameters by name of the model; in a dry run the first few arrays of the one, little of the other."""
    keys = iter(jax.random.split(jax.random.key(0), 200))
    many = [jax.random.normal(next(keys), s, jnp.float32) for s in resnet_shapes()[: 3 if dry else None]]
    million = (1_000 if dry else 1_000_000,)
    return {"ResNet-like": many, "one array": jax.random.normal(next(keys), million, jnp.float32)}


def transformations(name: str) -> dict[str, optax.GradientTransformation]:
    """Ours and Optax's, with the same hyperparameters."""
    rule = find(name).like("optax", learning_rate=1e-6, **MORE.get(name, {}))
    row = type(rule).parts.dialects["optax"]
    theirs = getattr(optax, row.optimizers[0])(**arguments(rule, "optax", "benchmark"), **row.options)
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
    parser = options(__doc__, rounds=15, out="optax_door.json")
    parser.add_argument("--rules", help="comma-separated; default: all that Optax has")
    parser.add_argument("--models", help="comma-separated; default: ResNet-like,one array")
    chosen = parser.parse_args()
    names = (
        chosen.rules.split(",") if chosen.rules else list(movable("optax"))[: 1 if chosen.dry_run else None]
    )
    rounds = 1 if chosen.dry_run else chosen.rounds
    device = jax.devices()[0]
    result: dict[str, Any] = {
        "jax": jax.__version__, "optax": optax.__version__, "device": device.device_kind, "models": {},
    }  # fmt: skip
    models = trees(chosen.dry_run)
    for model in chosen.models.split(",") if chosen.models else models:
        params = models[model]
        leaves = jax.tree.leaves(params)
        print(
            f"\n{model}: {sum(p.size for p in leaves):,} weights in {len(leaves)} arrays, {device.device_kind}"
        )
        print(f"{'rule':<33}{'ours':>10}{'optax':>12}{'ours/optax':>12}{'compiling':>12}{'optax':>9}")
        gradients = jax.tree.map(lambda p: 0.1 * p[::-1], params)
        rows = result["models"].setdefault(model, [])
        for name in names:
            made = {n: Contestant(tx, params, gradients) for n, tx in transformations(name).items()}
            calls: dict[str, Callable[[], object]] = {**made}
            seconds = interleaved(calls, rounds)
            ratio = seconds["ours"] / seconds["optax"]
            compiling = {n: c.compiling for n, c in made.items()}
            rows.append({"rule": name, "seconds": seconds, "ratio": ratio, "compiling": compiling})
            print(
                f"{name:<33}{seconds['ours'] * 1e3:>7.2f} ms{seconds['optax'] * 1e3:>9.2f} ms{ratio:>12.2f}"
                f"{compiling['ours']:>10.2f} s{compiling['optax']:>7.2f} s",
                flush=True,
            )
    save(result, chosen)


if __name__ == "__main__":
    main()
