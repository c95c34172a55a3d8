"""One dense step of every rule: ours, a plain loop with the same memory traffic, and torch's best.

    python -m benchmarks.dense [--rules Adam,RMSprop] [--rounds 15] [--out dense.json]

float32; one array of 2·10^7, 200 arrays of 5·10^4, one of 1000 (and, for the table of many small
tensors, one array of 10^7, one of 10^6 and 2000 arrays of 500). The ceiling is a kernel that reads and
writes the same arrays with one addition each. Ratios travel between machines, times do not.
"""

import platform
from collections.abc import Callable, Iterable
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
from .options import options, save
from .timing import interleaved

Sizes = tuple[int, ...]
CASES: dict[str, tuple[Sizes, int]] = {  # sizes of the arrays; calls in a row
    "large": ((20_000_000,), 1),
    "many": ((50_000,) * 200, 1),
    "small": ((1000,), 100),
}
WHOLES = (
    ((50_000,) * 200, (10_000_000,)),
    ((500,) * 2000, (1_000_000,)),
)  # many arrays, and as many weights in one
DRY_CASES: dict[str, tuple[Sizes, int]] = {
    "large": ((2_000,), 1),
    "many": ((50,) * 4, 1),
    "small": ((100,), 1),
}
DRY_WHOLES = (((50,) * 4, (200,)),)

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
    field: dict[str, Rule] = {n: r(lr=1e-6) for n, r in rules.shipped().items()}
    field["LpProp (p = 3)"] = field["LpProp"].replace(p=3.0)
    return {n: r for n, r in field.items() if only is None or n in only}


@lru_cache(maxsize=4)
def arrays(sizes: Sizes, seed: int) -> list[Any]:
    """Weights (seed 0) or gradients (1), shared by all contestants: pages differ in speed."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(n, dtype=np.float32) for n in sizes]


def ours(rule: Rule, sizes: Sizes, **settings: Any) -> tuple[Any, Callable[[], None]]:
    """An optimizer and its step."""
    w, g = arrays(sizes, 0), arrays(sizes, 1)
    opt = rule.on(w if len(w) > 1 else w[0], **settings)
    grads = g if len(g) > 1 else g[0]
    return opt, lambda: opt.step(grads)


def traffic(rule: Rule, opt: Any, sizes: Sizes) -> Callable[[], None]:
    """The ceiling, over the optimizer's own arrays."""
    (bucket,) = opt._members.buckets
    batch = cpu.Batch(bare(rule), np.dtype(np.float32), bucket.tensors)
    for k, g in enumerate(arrays(sizes, 1)):
        batch.bind(k, g)
    which = [0] * len(sizes)
    return lambda: batch.run([()], which)


def rivals(name: str, sizes: Sizes) -> dict[str, Callable[[], object]]:
    """torch's variants of the same method."""
    if name not in TORCH:
        return {}
    kind, arguments = TORCH[name]
    steps: dict[str, Callable[[], object]] = {}
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
        steps[f"torch {variant}"] = kind(parameters, lr=1e-6, **arguments, **flags).step
    return steps


def measure(name: str, rule: Rule, case: str, sizes: Sizes, rounds: int, repeat: int) -> dict[str, Any]:
    """One row: seconds of each contestant, and the ratios; of the small case with all checks and rates."""
    opt, step = ours(rule, sizes, on_nonfinite="propagate", rates=case == "small")
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
        else seconds["ours, raise" if case == "small" else "ours"] / seconds[best],
    }


def tensors(pairs: Iterable[tuple[Sizes, Sizes]], rounds: int) -> dict[str, float]:
    """Adam's time on many small arrays over that on one array of as many weights, by what was compared."""
    rule = tw.Adam(lr=1e-6)
    ratios = {}
    for sizes, whole in pairs:
        calls = {
            "many": ours(rule, sizes, on_nonfinite="propagate")[1],
            "one": ours(rule, whole, on_nonfinite="propagate")[1],
        }
        seconds = interleaved(calls, rounds)
        ratios[f"{len(sizes)} of {sizes[0]} / one of {whole[0]}"] = seconds["many"] / seconds["one"]
    return ratios


def main() -> None:
    parser = options(__doc__, rounds=15, out="dense.json")
    parser.add_argument("--rules", help="comma-separated; default: all")
    parser.add_argument("--cases", default="large,many,small", help="any of large, many, small")
    chosen = parser.parse_args()
    cases, wholes, rounds = (DRY_CASES, DRY_WHOLES, 1) if chosen.dry_run else (CASES, WHOLES, chosen.rounds)
    torch.set_num_threads(pool.threads())
    only = chosen.rules.split(",") if chosen.rules else ["SGD", "Lion"] if chosen.dry_run else None
    field = contestants(only)
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
    for case in chosen.cases.split(","):
        sizes, repeat = cases[case]
        print(f"\n{case}: {len(sizes)} × {sizes[0]} float32")
        print(f"{'rule':<34}{'ours':>11}{'/ceiling':>10}{'raise':>8}{'torch best':>16}{'ours/torch':>12}")
        rows = []
        for name, rule in field.items():
            row = measure(name, rule, case, sizes, rounds, repeat)
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
    if not chosen.rules:
        result["tensors"] = tensors(wholes, rounds)
        for n, x in result["tensors"].items():
            print(f"{n}: {x:.2f}")
    save(result, chosen)


if __name__ == "__main__":
    main()
