"""What ``tw.watch`` adds to a step of torch's fused Adam: 10^7 weights in 60 and in 200 tensors, a look every 10 steps.

python -m benchmarks.watch [--rounds 16]

The processor time between hooks of ours before and after the monitor's, in windows of ten real steps on one thread;
the median of pairs of them, since every second look also takes the gradients of the next step. The bar is 3 % of a step
of 15 ms. Then the interval that such a run goes on with, whose share is 2 %.
"""

from collections.abc import Callable
from statistics import median
from time import thread_time

import torch

import thalweg as tw
from thalweg.lab.watch import AS_ASKED

from .options import options

EVERY, STEP, BAR = 10, 0.015, 0.03


def optimizer(tensors: int, weights: int) -> torch.optim.Optimizer:
    """Adam on so many weights with gradients."""
    params = [torch.nn.Parameter(torch.randn(weights // tensors)) for _ in range(tensors)]
    for p in params:
        p.grad = torch.randn_like(p)
    return torch.optim.Adam(params, fused=True)


class Stopwatch:
    """The seconds that lie between ``start`` and ``stop``, which are hooks."""

    def __init__(self) -> None:
        self.began = self.taken = 0.0

    def start(self, *_: object) -> None:
        self.began = thread_time()

    def stop(self, *_: object) -> None:
        self.taken += thread_time() - self.began

    def around(self, opt: torch.optim.Optimizer, hook: Callable[..., None]) -> None:
        """Have a hook called at both ends of each step, behind those that are there."""
        opt.register_step_pre_hook(hook)
        opt.register_step_post_hook(hook)


def windows(opt: torch.optim.Optimizer, rounds: int) -> tuple[list[float], int]:
    """Return the seconds of each window after the first, and the steps between looks that the run goes on with."""
    watch, taken = Stopwatch(), []
    watch.around(opt, watch.start)
    with tw.watch(opt, EVERY, None) as seen:
        watch.around(opt, watch.stop)
        for _ in range(rounds):
            watch.taken = 0.0
            for _ in range(EVERY):
                opt.step()
            taken.append(watch.taken)
        while seen.seen.looks.looks <= AS_ASKED:
            opt.step()
    return taken[1:], seen.seen.every


def main() -> None:
    chosen = options(__doc__, rounds=16).parse_args()
    weights, rounds = (10_000, 3) if chosen.dry_run else (10_000_000, min(chosen.rounds, AS_ASKED))
    torch.set_num_threads(1)
    for tensors in (60, 200):
        taken, every = windows(optimizer(tensors, weights), rounds)
        each = median((a + b) / 2 for a, b in zip(taken[::2], taken[1::2], strict=False))
        share = each / EVERY / STEP
        print(
            f"{tensors:4} tensors: {1e3 * each:.1f} ms every {EVERY} steps, {100 * share:.1f} % of {1e3 * STEP:g} ms"
            f" ({'below' if share < BAR else 'above'} {100 * BAR:g} %); after {AS_ASKED} looks one in {every} steps"
        )


if __name__ == "__main__":
    main()
