"""One dense step of every rule: ours, a plain loop with the same memory traffic, and torch's best.

    python -m benchmarks.dense [--rules Adam,RMSprop] [--rounds 15] [--out dense.json]

float32; one array of 2·10^7, 200 arrays of 5·10^4, one of 1000 (and, for the table of many small
tensors, one array of 10^7, one of 10^6 and 2000 arrays of 500). The ceiling is a kernel that reads and
writes the same arrays with one addition each. Ratios travel between machines, times do not.
"""

import argparse
import json
import platform
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch

import thalweg as tw
from thalweg import rules
from thalweg.core.rule import Rule
from thalweg.engines.cpu import dense as cpu
from thalweg.engines.cpu import pool

from .ceiling import bare
from .timing import interleaved

LARGE, MANY, SMALL = (20_000_000,), (50_000,) * 200, (1000,)

TORCH: dict[str, tuple[Any, dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {}),
    "Momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "Nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "Adagrad": (torch.optim.Adagrad, {}),
    "RMSprop": (torch.optim.RMSprop, {}),
    "RMSpropMomentum": (torch.optim.RMSprop, {"momentum": 0.9}),
    "RMSpropCentred": (torch.optim.RMSprop, {"centered": True}),
    "RMSpropCentredMomentum": (torch.optim.RMSprop, {"momentum": 0.9, "centered": True}),
    "Adadelta": (torch.optim.Adadelta, {}),
    "Adam": (torch.optim.Adam, {}),
    "Adamax": (torch.optim.Adamax, {}),
}
FUSED = {"SGD", "Momentum", "Nesterov", "Adagrad", "Adam"}


def contestants(only: list[str] | None) -> dict[str, Rule]:
    """Every rule of the library; LpProp once without and once with powers."""
    made: dict[str, Rule] = {n: r(lr=1e-6) for n, r in rules.shipped().items()}
    made["LpProp (p = 3)"] = made["LpProp"].replace(p=3.0)
    return {n: r for n, r in made.items() if only is None or n in only}


@lru_cache(maxsize=4)
def arrays(sizes: tuple[int, ...], seed: int) -> list[Any]:
    """Weights (seed 0) or gradients (1), shared by all contestants: pages differ in speed."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(n, dtype=np.float32) for n in sizes]


def ours(rule: Rule, sizes: tuple[int, ...], **settings: Any) -> tuple[Any, Callable[[], None]]:
    """An optimizer and its step."""
    w, g = arrays(sizes, 0), arrays(sizes, 1)
    opt = rule.on(w if len(w) > 1 else w[0], **settings)
    grads = g if len(g) > 1 else g[0]
    return opt, lambda: opt.step(grads)


def traffic(rule: Rule, opt: Any, sizes: tuple[int, ...]) -> Callable[[], None]:
    """The ceiling, over the optimizer's own arrays."""
    (bucket,) = opt._buckets
    batch = cpu.Batch(bare(rule), np.dtype(np.float32), bucket.tensors)
    for k, g in enumerate(arrays(sizes, 1)):
        batch.bind(k, g)
    which = [0] * len(sizes)
    return lambda: batch.run([()], which)


def rivals(name: str, sizes: tuple[int, ...]) -> dict[str, Callable[[], object]]:
    """torch's variants of the same method."""
    if name not in TORCH:
        return {}
    kind, arguments = TORCH[name]
    made: dict[str, Callable[[], object]] = {}
    for variant, flags in {
        "loop": {"foreach": False},
        "foreach": {"foreach": True},
        "fused": {"fused": True},
    }.items():
        if variant == "fused" and name not in FUSED:
            continue
        parameters = [torch.nn.Parameter(torch.from_numpy(w)) for w in arrays(sizes, 0)]
        for p, g in zip(parameters, arrays(sizes, 1), strict=True):
            p.grad = torch.from_numpy(g.copy())  # foreach Nesterov writes into it
        made[f"torch {variant}"] = kind(parameters, lr=1e-6, **arguments, **flags).step
    return made


def measure(name: str, rule: Rule, sizes: tuple[int, ...], rounds: int, repeat: int) -> dict[str, Any]:
    """One row: seconds of each contestant, and the ratios."""
    opt, step = ours(rule, sizes, on_nonfinite="propagate", rates=sizes == SMALL)
    calls: dict[str, Callable[[], object]] = {
        "ours": step,
        "ours, raise": ours(rule, sizes)[1],
        "ceiling": traffic(rule, opt, sizes),
        **rivals(name, sizes),
    }
    seconds = interleaved(calls, rounds, repeat)
    best = min((n for n in seconds if n.startswith("torch")), key=lambda n: seconds[n], default=None)
    return {
        "rule": name,
        "seconds": seconds,
        "to_ceiling": seconds["ours"] / seconds["ceiling"],
        "check_costs": seconds["ours, raise"] / seconds["ours"],
        "torch_best": best,
        "to_torch": None
        if best is None
        else seconds["ours, raise" if sizes == SMALL else "ours"] / seconds[best],
    }


def tensors(rounds: int) -> dict[str, float]:
    """Many small tensors against one array of the same size, Adam."""
    rule = tw.Adam(lr=1e-6)
    made = {}
    for sizes, whole in ((MANY, (10_000_000,)), ((500,) * 2000, (1_000_000,))):
        calls = {
            "many": ours(rule, sizes, on_nonfinite="propagate")[1],
            "one": ours(rule, whole, on_nonfinite="propagate")[1],
        }
        seconds = interleaved(calls, rounds)
        made[f"{len(sizes)} of {sizes[0]} / one of {whole[0]}"] = seconds["many"] / seconds["one"]
    return made


CASES = {"large": (LARGE, 1), "many": (MANY, 1), "small": (SMALL, 100)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rules", help="comma-separated; default: all")
    parser.add_argument("--cases", default="large,many,small", help="any of large, many, small")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", default="dense.json")
    given = parser.parse_args()
    torch.set_num_threads(pool.threads())
    chosen = contestants(given.rules.split(",") if given.rules else None)
    result: dict[str, Any] = {
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "threads": pool.threads(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "thalweg": tw.__version__,
        },
        "cases": {},
    }
    for case in given.cases.split(","):
        sizes, repeat = CASES[case]
        print(f"\n{case}: {len(sizes)} × {sizes[0]} float32")
        print(f"{'rule':<34}{'ours':>11}{'/ceiling':>10}{'raise':>8}{'torch best':>16}{'ours/torch':>12}")
        rows = []
        for name, rule in chosen.items():
            row = measure(name, rule, sizes, given.rounds, repeat)
            rows.append(row)
            best = (
                f"{row['torch_best'].removeprefix('torch ')} {row['seconds'][row['torch_best']] * 1e3:.3g} ms"
                if row["torch_best"]
                else "-"
            )
            against = "-" if row["to_torch"] is None else f"{row['to_torch']:.2f}"
            print(
                f"{name:<34}{row['seconds']['ours'] * 1e3:>8.3g} ms{row['to_ceiling']:>10.2f}"
                f"{row['check_costs']:>8.2f} {best:>15}{against:>12}",
                flush=True,
            )
        result["cases"][case] = rows
    if not given.rules:
        result["tensors"] = tensors(given.rounds)
        for n, x in result["tensors"].items():
            print(f"{n}: {x:.2f}")
    with open(given.out, "w") as file:
        json.dump(result, file, indent=1)
    print(f"\nwritten: {given.out}")


if __name__ == "__main__":
    main()
