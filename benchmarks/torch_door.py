"""The torch door against torch.optim: one step of every method with new gradients, and what the first step takes.

    python -m benchmarks.torch_door [--device cpu] [--rounds 15] [--out torch_door.json]

What is timed: ``opt.step()`` alone, with gradients that are new tensors, as a backward pass leaves them; they are
made outside the time taken. (a) Tensors of four sizes, the small ones on one thread. (b) Inside a training loop
with a real backward pass, where the whole loop is timed too. (c) Two models: a ResNet-like list of about 25 M
weights in 160 tensors, and a small transformer; on the CPU and on a CUDA device where there is one.
Contestants: our door, torch's loop, foreach and fused forms; and the ceiling, a loop over tensors of the same sizes
on the same threads with the same memory traffic that only adds. All float32. Medians of interleaved rounds; ratios
travel between machines, times do not: where a tensor fits the cache, a loop of small operations finds it there at its
second operation.
``after a rest``: 20 ms before each call (of the small sizes, before each twenty calls) torch's OpenMP workers sleep;
``after torch`` calls a torch operation just before, as a training loop does. On CUDA a call ends when the device has
done it, and a step of 10^8 weights stands beside a copy with the same traffic.
"""

import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

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
    "Momentum": ("Momentum", torch.optim.SGD, {"momentum": 0.9}),
    "Adagrad": ("Adagrad", torch.optim.Adagrad, {}),
    "RMSprop": ("RMSprop", torch.optim.RMSprop, {}),
    "Adadelta": ("Adadelta", torch.optim.Adadelta, {}),
    "Adam": ("Adam", torch.optim.Adam, {}),
    "AdamW": ("Adam", torch.optim.AdamW, {"weight_decay": 1e-2}),
    "Adamax": ("Adamax", torch.optim.Adamax, {}),
    "NAdam": ("NAdam", torch.optim.NAdam, {}),
}
FUSED = {"SGD", "Momentum", "Adagrad", "Adam", "AdamW"}
# How many tensors of how many weights, and whether one thread does it all: two on a loaded machine make torch's
# fused step of a small one wait for milliseconds.
SIZES = {(1, 1_000): True, (30, 4_000): True, (53, 16_000): True, (160, 160_000): False}
_FUSED, _LOOPS = (0.9, 0.9, 0.9, 1.0), (0.8, 0.5, 0.5, 0.5)
BARS = dict.fromkeys(ROWS, _LOOPS) | dict.fromkeys(FUSED, _FUSED) | {"SGD": (1.5, 1.15, 1.15, 1.15)}

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


class Contestant(NamedTuple):
    """A step, and its own parameters, whose gradients are new before every step, as a backward pass makes them."""

    step: Callable[[], object]
    params: list[torch.nn.Parameter]
    sources: list[torch.Tensor]

    def renew(self) -> None:
        for p in self.params:
            p.grad = None
        for p, g in zip(self.params, self.sources, strict=True):
            p.grad = g.clone()


def calls(name: str, params: list[torch.nn.Parameter]) -> dict[str, Contestant]:
    """Each contestant, on the weights of ``params``: pages differ in speed. Gradients and states are its own."""
    rule, kind, arguments = ROWS[name]
    decay = {"decay": "decoupled", **arguments} if "weight_decay" in arguments else {}
    sources = [p.grad for p in params if p.grad is not None]
    device = params[0].device

    def contestant(make: Callable[[list[torch.nn.Parameter]], Callable[[], object]]) -> Contestant:
        own = [torch.nn.Parameter(p.detach()) for p in params]
        return Contestant(finished(make(own), device), own, sources)

    made = {
        "ours": contestant(lambda own: thalweg.torch.Optimizer(own, getattr(tw, rule)(lr=1e-6), **decay).step)
    }
    for variant in ("loop", "foreach", "fused"):
        if variant != "fused" or name in FUSED:
            flags = {"fused": True} if variant == "fused" else {"foreach": variant == "foreach"}
            made[f"torch {variant}"] = contestant(partial(stepped, kind, {**arguments, **flags}))
    return made


def stepped(
    kind: Callable[..., torch.optim.Optimizer], arguments: dict[str, Any], params: list[torch.nn.Parameter]
) -> Callable[[], object]:
    """A step of an optimizer of torch."""
    step: Callable[[], object] = kind(params, lr=1e-6, **arguments).step
    return step


def ceiling(rule: tw.Rule, params: list[torch.nn.Parameter]) -> Callable[[], object]:
    """A loop with the rule's memory traffic over parameters, gradients and as many states, all without gaps."""
    loop = bare(rule)
    held: list[dict[str, Any]] = [
        {"w": p, "g": p.grad} | {n: torch.zeros_like(p) for n in loop.arrays if n not in "wg"} for p in params
    ]
    table = [[h["w"].numel(), *(h[n].data_ptr() for n in loop.arrays)] for h in held]
    sweep = cpu.Sweep(loop, "float32", table)
    sweep.share = share(sweep.total)
    run = partial(sweep.run, [()], [0] * len(table))
    keep = [held]  # the memory

    def call() -> None:
        run()
        assert keep

    return call


def timed(name: str, params: list[torch.nn.Parameter], rounds: int, repeat: int = 1) -> dict[str, float]:
    """Median seconds of a step of each contestant with new gradients, after a rest; of the ceiling too on the CPU."""
    contestants = calls(name, params)
    steps = {n: c.step for n, c in contestants.items()}
    if params[0].device.type == "cpu":
        steps["ceiling"] = ceiling(getattr(tw, ROWS[name][0])(), params)
    return interleaved(steps, rounds, repeat, {n: c.renew for n, c in contestants.items()})


def row(name: str, seconds: dict[str, float]) -> dict[str, Any]:
    """What a table has of a method: all times, torch's best, ours to it."""
    best = min((n for n in seconds if n.startswith("torch")), key=lambda n: seconds[n])
    return {"rule": name, "seconds": seconds, "best": best, "ratio": seconds["ours"] / seconds[best]}


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


def busy(name: str, params: list[torch.nn.Parameter], rounds: int) -> dict[str, float]:
    """Median seconds of a step with new gradients right after an operation of torch, whose workers still spin."""
    contestants = calls(name, params)
    taken: dict[str, list[float]] = {n: [] for n in contestants}
    x = torch.randn(512, 512)
    for k in range(rounds + 2):
        for n, c in contestants.items():
            c.renew()
            torch.mm(x, x)
            start = time.perf_counter()
            c.step()
            if k > 1:
                taken[n].append(time.perf_counter() - start)
    return {n: statistics.median(values) for n, values in taken.items()}


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
        print(f"{'rule':<10}{'when':<14}{'ours':>10}{'torch best':>20}{'ours/torch':>12}{'ours/ceiling':>14}")
        rows = models.setdefault(model, [])
        for name in chosen:
            measured = {"after a rest": timed(name, params, rounds)}
            if device == "cpu":
                measured["after torch"] = busy(name, params, rounds)
            for when, seconds in measured.items():
                rows.append(row(name, seconds) | {"when": when})
                best, ratio = rows[-1]["best"], rows[-1]["ratio"]
                shown = f"{best.removeprefix('torch ')} {seconds[best] * 1e3:.1f} ms"
                top = f"{seconds['ours'] / seconds['ceiling']:.2f}" if "ceiling" in seconds else "-"
                print(
                    f"{name:<10}{when:<14}{seconds['ours'] * 1e3:>7.1f} ms{shown:>20}{ratio:>12.2f}{top:>14}",
                    flush=True,
                )
    return models


def sizes(chosen: list[str], rounds: int, dry: bool) -> dict[str, list[dict[str, Any]]]:
    """A step on so many tensors of so many weights, for every size and chosen method, printed as it comes."""
    threads = torch.get_num_threads()
    results: dict[str, list[dict[str, Any]]] = {}
    for (count, size), few in SIZES.items():
        torch.manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(size)) for _ in range(1 if dry else count)]
        for p in params:
            p.grad = torch.randn_like(p)
        torch.set_num_threads(1 if few else threads)
        title = f"{count} x {size:,}"
        print(f"\n{title} weights, new gradients, threads: {torch.get_num_threads()}")
        rows = results[title] = []
        for name in chosen:
            seconds = timed(name, params, rounds, repeat=20 if few else 1)
            rows.append(row(name, seconds) | {"bar": BARS[name][list(SIZES).index((count, size))]})
            shown = f"{rows[-1]['ratio']:.2f} x {rows[-1]['best']}"
            print(
                f"{name:<10}{seconds['ours'] * 1e6:>10.1f} us{shown:>22}   bar {rows[-1]['bar']}", flush=True
            )
        torch.set_num_threads(threads)
    return results


def training(name: str, rounds: int, dry: bool) -> dict[str, Any]:
    """Steps inside a loop of zero_grad, forward, backward and step: 30 tensors, 62,400 weights, one thread; printed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    width, depth = (4, 2) if dry else (64, 15)
    x = torch.randn(32, width)
    first = torch.nn.Sequential(
        *(m for _ in range(depth) for m in (torch.nn.Linear(width, width), torch.nn.Tanh()))
    )
    for p in first.parameters():
        p.grad = torch.zeros_like(p)
    contestants = calls(name, list(first.parameters()))
    nets = {n: copy.deepcopy(first) for n in contestants}
    for n, net in nets.items():
        modules = [m for m in net.modules() if isinstance(m, torch.nn.Linear)]
        own = contestants[n].params
        for m, weight, bias in zip(modules, own[::2], own[1::2], strict=True):
            m.weight, m.bias = weight, bias
    taken: dict[str, list[float]] = {n: [] for n in nets}
    whole: dict[str, list[float]] = {n: [] for n in nets}
    for k in range(20 * rounds + 5):
        for n, net in nets.items():
            begin = time.perf_counter()
            net.zero_grad()
            net(x).square().mean().backward()
            start = time.perf_counter()
            contestants[n].step()
            end = time.perf_counter()
            if k >= 5:
                taken[n].append(end - start)
                whole[n].append(end - begin)
    torch.set_num_threads(threads)
    result = row(name, {n: statistics.median(values) for n, values in taken.items()})
    result["loop"] = {n: statistics.median(values) for n, values in whole.items()}
    print(
        f"{name:<10}{result['seconds']['ours'] * 1e6:>10.1f} us{result['ratio']:>10.2f} x {result['best']}"
        f"   whole loop: {result['loop']['ours'] / result['loop'][result['best']]:.2f}",
        flush=True,
    )
    return result


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
        result["sizes"] = sizes(names, rounds, dry)
        print("\ninside a loop with a backward pass, one thread")
        result["training"] = [training(name, rounds, dry) for name in names]
        result["models"] = on("cpu", names, rounds, dry)
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
