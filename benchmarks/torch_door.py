"""The torch door against torch.optim: one step of every method, and what the first step takes.

    python -m benchmarks.torch_door [--device cpu] [--rounds 15] [--out torch_door.json]

Two models, float32, on the CPU and on a CUDA device where there is one: a ResNet-like list of about 25 M weights in 160 tensors, and a small
transformer, where the gradients come from a real backward pass. Contestants: our door, torch's loop,
foreach and fused forms; and the ceiling, a loop over the same tensors on the same threads with the same
memory traffic that only adds. Rounds are interleaved; ratios travel between machines, times do not: where
a tensor fits the cache, a loop of small operations finds it there at its second operation.
``after a rest`` waits until torch's OpenMP workers sleep; ``after torch`` calls a torch operation just
before, as a training loop does. On CUDA a call ends when the device has done it, and a step of 10^8
weights stands beside a copy with the same traffic.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

import thalweg as tw
import thalweg.torch
from thalweg.engines.cpu import dense as cpu
from thalweg.torch.parts import share

from .ceiling import bare
from .models import resnet_shapes
from .options import options, save
from .timing import REST, interleaved

ROWS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "SGD": ("SGD", torch.optim.SGD, {}),
    "Adagrad": ("Adagrad", torch.optim.Adagrad, {}),
    "RMSprop": ("RMSprop", torch.optim.RMSprop, {}),
    "Adadelta": ("Adadelta", torch.optim.Adadelta, {}),
    "Adam": ("Adam", torch.optim.Adam, {}),
    "AdamW": ("Adam", torch.optim.AdamW, {"weight_decay": 1e-2}),
    "Adamax": ("Adamax", torch.optim.Adamax, {}),
    "NAdam": ("NAdam", torch.optim.NAdam, {}),
}
FUSED = {"SGD", "Adagrad", "Adam", "AdamW"}
BARS = {
    "Adagrad": 1.1,
    "Adam": 1.1,
    "AdamW": 1.1,
    "RMSprop": 1 / 3,
    "Adadelta": 1 / 3,
    "Adamax": 1 / 3,
    "NAdam": 1 / 3,
}

STARTUP = """
import sys, time, torch
import thalweg as tw, thalweg.torch
from benchmarks.models import resnet_shapes
sizes = resnet_shapes() if sys.argv[1] == "ResNet-like" else [(1000,)] * 160
p = [torch.nn.Parameter(torch.zeros(s)) for s in sizes]
for x in p:
    x.grad = torch.ones_like(x)
opt = thalweg.torch.Optimizer(p, tw.Adam()) if sys.argv[2] == "ours" else torch.optim.Adam(p, fused=True)
start = time.perf_counter()
opt.step()
print(time.perf_counter() - start)
"""


def resnet(device: str, dry: bool) -> list[torch.nn.Parameter]:
    """Parameters with random gradients; in a dry run the first few."""
    torch.manual_seed(0)
    shapes = resnet_shapes()[: 3 if dry else None]
    params = [torch.nn.Parameter(torch.randn(s, device=device)) for s in shapes]
    for p in params:
        p.grad = torch.randn_like(p)
    return params


def transformer(device: str, dry: bool) -> list[torch.nn.Parameter]:
    """A small encoder's parameters, with the gradients of one real batch; a tiny one's in a dry run."""
    torch.manual_seed(0)
    width, words, depth = (8, 20, 1) if dry else (256, 2000, 4)
    layer = torch.nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True)
    model = torch.nn.Sequential(
        torch.nn.Embedding(words, width),
        torch.nn.TransformerEncoder(layer, depth),
        torch.nn.Linear(width, words),
    ).to(device)
    tokens = torch.randint(0, words, (4, 32), device=device)
    loss = torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.roll(-1, 1).flatten())
    loss.backward()
    return list(model.parameters())


def twins(params: list[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    """Other parameters on the same memory: pages differ in speed."""
    made = [torch.nn.Parameter(p.detach()) for p in params]
    for p, q in zip(made, params, strict=True):
        p.grad = q.grad
    return made


def calls(name: str, params: list[torch.nn.Parameter]) -> dict[str, Callable[[], object]]:
    """A step of each contestant."""
    rule, kind, arguments = ROWS[name]
    decay = {"decay": "decoupled", **arguments} if arguments else {}
    ours = thalweg.torch.Optimizer(twins(params), getattr(tw, rule)(lr=1e-6), **decay)
    made: dict[str, Callable[[], object]] = {"ours": ours.step}
    if params[0].device.type == "cpu":
        ours.step()  # makes the states
        made["ceiling"] = ceiling(getattr(tw, rule)(), ours)
    for variant in ("loop", "foreach", "fused"):
        if variant != "fused" or name in FUSED:
            flags = {"fused": True} if variant == "fused" else {"foreach": variant == "foreach"}
            made[f"torch {variant}"] = kind(twins(params), lr=1e-6, **arguments, **flags).step
    return {n: finished(call, params[0].device) for n, call in made.items()}


def ceiling(rule: Any, opt: torch.optim.Optimizer) -> Callable[[], object]:
    """A loop with the rule's memory traffic over an optimizer's own tensors."""
    loop = bare(rule)
    table = []
    for p in opt.param_groups[0]["params"]:
        held = {"w": p, "g": p.grad} | opt.state[p]
        table.append([p.numel(), *(held[n].data_ptr() for n in loop.arrays)])
    return cpu.Sweep(loop, "float32", table, [()], [0] * len(table), share()).run


def finished(call: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """A call that ends when its device has done it."""
    if device.type == "cpu":
        return call

    def run() -> None:
        call()
        torch.cuda.synchronize(device)

    return run


def beside_a_copy(name: str, rounds: int, weights: int) -> dict[str, float]:
    """Median seconds on the CUDA device, by its own clock: our step, and a copy with the same traffic."""
    p = torch.nn.Parameter(torch.randn(weights, device="cuda"))
    p.grad = torch.randn_like(p)
    rule = getattr(tw, name)()
    opt = thalweg.torch.Optimizer([p], rule)
    words = 3 + 2 * len(rule.parts.states)  # read w, g and the states; write w and the states
    source = torch.empty(words * weights // 2, device="cuda")
    target = torch.empty_like(source)
    taken: dict[str, list[float]] = {"ours": [], "copy": []}
    for k in range(rounds + 5):
        for n, call in {"ours": opt.step, "copy": lambda: target.copy_(source)}.items():
            time.sleep(REST)
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            torch.cuda.synchronize()
            if k >= 5:
                taken[n].append(begin.elapsed_time(end) / 1e3)
    return {n: statistics.median(values) for n, values in taken.items()}


def warmed(call: Callable[[], object]) -> Callable[[], float]:
    """A step right after a torch operation; only the step is timed."""
    x = torch.randn(512, 512)

    def timed() -> float:
        torch.mm(x, x)
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return timed


def busy(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of a step while torch's workers still spin."""
    timed = {n: warmed(c) for n, c in contestants.items()}
    taken: dict[str, list[float]] = {n: [] for n in timed}
    for k in range(rounds + 1):
        for n, call in timed.items():
            seconds = call()
            if k:
                taken[n].append(seconds)
    return {n: sorted(v)[len(v) // 2] for n, v in taken.items()}


def startup(model: str) -> dict[str, float]:
    """Seconds of Adam's first step in a fresh process: nothing cached, then warm; and torch's fused one.

    For the ResNet-like list most of it is the system making 200 MB of memory for the states.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"THALWEG_CACHE": folder}

        def first(whose: str) -> float:
            command = [sys.executable, "-c", STARTUP, model, whose]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            return float(done.stdout)

        cold = first("ours")
        warm, theirs = zip(*((first("ours"), first("torch")) for _ in range(5)), strict=True)
        return {"cold": cold, "warm": statistics.median(warm), "torch fused": statistics.median(theirs)}


def on(device: str, chosen: list[str], rounds: int, dry: bool) -> dict[str, Any]:
    """Every chosen method on both models, printed as it comes."""
    models: dict[str, Any] = {}
    for model, make in {"ResNet-like": resnet, "transformer": transformer}.items():
        params = make(device, dry)
        print(f"\n{model}, {device}: {sum(p.numel() for p in params):,} weights in {len(params)} tensors")
        print(
            f"{'rule':<10}{'when':<14}{'ours':>10}{'torch best':>20}{'ours/torch':>12}{'bar':>7}{'ours/ceiling':>14}"
        )
        rows = models.setdefault(model, [])
        for name in chosen:
            contestants = calls(name, params)
            measured = {"after a rest": interleaved(contestants, rounds)}
            if device == "cpu":
                measured["after torch"] = busy(contestants, rounds)
            for when, seconds in measured.items():
                best = min((n for n in seconds if n.startswith("torch")), key=lambda n: seconds[n])
                ratio = seconds["ours"] / seconds[best]
                rows.append({"rule": name, "when": when, "seconds": seconds, "best": best, "ratio": ratio})
                shown = f"{best.removeprefix('torch ')} {seconds[best] * 1e3:.1f} ms"
                top = f"{seconds['ours'] / seconds['ceiling']:.2f}" if "ceiling" in seconds else "-"
                barred = name in BARS and model == "ResNet-like" and device == "cpu"
                bar = f"{BARS[name]:.2f}" if barred else "-"
                print(
                    f"{name:<10}{when:<14}{seconds['ours'] * 1e3:>7.1f} ms{shown:>20}{ratio:>12.2f}{bar:>7}{top:>14}",
                    flush=True,
                )
    return models


def small(name: str, rounds: int) -> dict[str, Any]:
    """A step on one tensor of 1000 weights, printed: what the door itself takes, beside torch's best."""
    torch.manual_seed(0)
    p = torch.nn.Parameter(torch.randn(1000))
    p.grad = torch.randn_like(p)
    contestants = calls(name, [p])
    del contestants["ceiling"]
    seconds = interleaved(contestants, rounds, repeat=100)
    best = min((n for n in seconds if n.startswith("torch")), key=lambda n: seconds[n])
    ratio = seconds["ours"] / seconds[best]
    print(f"{name}, 1000 weights: {seconds['ours'] * 1e6:.1f} us, {ratio:.2f} x {best}", flush=True)
    return {"rule": name, "seconds": seconds, "best": best, "ratio": ratio}


def main() -> None:
    parser = options(__doc__, rounds=15, out="torch_door.json")
    parser.add_argument("--rules", help="comma-separated; default: all")
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    parser.add_argument("--device", choices=devices, nargs="+", default=devices)
    chosen = parser.parse_args()
    dry, rounds = chosen.dry_run, 1 if chosen.dry_run else chosen.rounds
    names = chosen.rules.split(",") if chosen.rules else ["SGD"] if dry else list(ROWS)
    result: dict[str, Any] = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    if "cpu" in chosen.device:
        result["models"] = on("cpu", names, rounds, dry)
        result["small"] = [small(name, rounds) for name in names]
    if "cuda" in chosen.device:
        result["cuda"] = on("cuda", names, rounds, dry)
        weights = 1000 if dry else 10**8
        result["copy"] = {
            n: beside_a_copy(n, rounds, weights) for n in dict.fromkeys(ROWS[n][0] for n in names)
        }
        for n, seconds in result["copy"].items():
            print(f"{n}, 10^8 weights: {seconds['ours'] / seconds['copy']:.2f} x a copy (bar 1.15)")
    lists = () if dry else ("160 small tensors", "ResNet-like")
    result["startup"] = {model: startup(model) for model in lists}
    for model, seconds in result["startup"].items():
        told = ", ".join(f"{n} {x:.3f} s" for n, x in seconds.items())
        print(f"\nfirst step, {model}: {told}")
    save(result, chosen)


if __name__ == "__main__":
    main()
