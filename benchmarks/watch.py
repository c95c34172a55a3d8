"""What ``tw.watch`` adds to a step of torch's fused Adam: 10^7 weights in 60 and in 200 tensors, a look every 10 steps.

python -m benchmarks.watch [--rounds 40]

Windows of ten steps, watched and not, interleaved, on one thread; the bar is 3 % of a step of 15 ms.
"""

from functools import partial

import torch

import thalweg as tw

from .options import options
from .timing import interleaved

EVERY, STEP, BAR = 10, 0.015, 0.03


def optimizer(tensors: int, weights: int) -> torch.optim.Optimizer:
    """Adam on so many weights with gradients."""
    params = [torch.nn.Parameter(torch.randn(weights // tensors)) for _ in range(tensors)]
    for p in params:
        p.grad = torch.randn_like(p)
    return torch.optim.Adam(params, fused=True)


def window(opt: torch.optim.Optimizer) -> None:
    """The steps from one look to the next."""
    for _ in range(EVERY):
        opt.step()


def main() -> None:
    chosen = options(__doc__, rounds=40).parse_args()
    weights, rounds = (10_000, 2) if chosen.dry_run else (10_000_000, min(chosen.rounds, 60))
    torch.set_num_threads(1)
    for tensors in (60, 200):
        bare, watched = optimizer(tensors, weights), optimizer(tensors, weights)

        with tw.watch(watched, EVERY, None):  # looks are taken as asked: fewer than the first 64
            calls = {"bare": partial(window, bare), "watched": partial(window, watched)}
            taken = interleaved(calls, rounds)
        added = (taken["watched"] - taken["bare"]) / EVERY
        print(
            f"{tensors:4} tensors: a step of {1e3 * taken['bare'] / EVERY:.1f} ms, {1e3 * added:+.3f} ms watched:"
            f" {100 * added / STEP:.1f} % of {1e3 * STEP:g} ms"
            f" ({'below' if added < BAR * STEP else 'above'} {100 * BAR:g} %)"
        )


if __name__ == "__main__":
    main()
