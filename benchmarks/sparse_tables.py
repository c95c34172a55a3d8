"""Sparse gradients on a large table: our exact steps against torch's sparse and dense ones.

    python -m benchmarks.sparse_tables [--rules Adam,Adagrad] [--rounds 15] [--out sparse_tables.json]

A table of 10^6 rows of 64, float32; batches of 8192 lookups by Zipf's law, each rank at a random row.
``rows`` is ``opt.step(tw.Rows(...))`` on a NumPy array, ``door`` is ``thalweg.torch`` on an ``Embedding``;
both equal the dense step. Rivals: torch's SparseAdam, Adagrad with sparse gradients, and, once, fused dense
Adam. ``step`` is the step alone (ours includes what its rows have missed); ``trained`` is a lookup of
the batch, for which ours catch up, and then the step. Rounds are interleaved, medians are taken; ratios
travel between machines, times do not.
``doubled`` is the time of a step on a table of twice the rows over that on the table, the batches equal.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import thalweg as tw
import thalweg.torch
from thalweg import rules

from .options import options, save
from .timing import interleaved

DRY = "--dry-run" in sys.argv  # sizes are the module's, since every function speaks of them
ROWS, WIDTH, BATCH = (1000, 4, 64) if DRY else (1_000_000, 64, 8192)
BATCHES = 40  # that come in turn
SETTLE = 2 if DRY else 120  # steps before any is timed: rows are behind by as much as that
EXPONENT = 1.05
BARS = {"Adam": ("SparseAdam", 0.5)} | dict.fromkeys(("Adagrad", "RMSprop", "Adadelta"), ("Adagrad", 0.3))
Steps = dict[str, Callable[[], object]]


def batches(rows: int) -> list[Any]:
    """Lookups by Zipf's law: of the same ranks whatever the number of rows, which lie at random."""
    rng = np.random.default_rng(0)
    weights = np.arange(1, ROWS + 1) ** -EXPONENT
    ranks = np.searchsorted(np.cumsum(weights), rng.random((BATCHES, BATCH)) * weights.sum())
    place = np.random.default_rng(1).permutation(rows)
    return [place[r] for r in ranks]


def values() -> Any:
    return np.random.default_rng(2).standard_normal((BATCH, WIDTH), dtype=np.float32)


def of_rows(rule: Any, rows: int) -> Steps:
    """Our step on a NumPy array."""
    table = np.zeros((rows, WIDTH), dtype=np.float32)
    opt, g = rule.on(table, rates=False), values()
    turn = _turns(batches(rows))

    def step() -> None:
        opt.step(tw.Rows(next(turn), g))

    def trained() -> None:
        i = next(turn)
        opt.read("", i)
        opt.step(tw.Rows(i, g))

    return {"step": step, "trained": trained}


def of_torch(make: Callable[[torch.nn.Embedding], torch.optim.Optimizer]) -> Steps:
    """A step of an optimizer of torch's kind, gradients not coalesced, as ``Embedding`` gives them."""
    table = torch.nn.Embedding.from_pretrained(torch.zeros(ROWS, WIDTH), freeze=False, sparse=True)
    opt, g = make(table), torch.from_numpy(values())
    turn = _turns([torch.from_numpy(i) for i in batches(ROWS)])

    def step(i: torch.Tensor | None = None) -> None:
        i = next(turn) if i is None else i
        with torch.sparse.check_sparse_tensor_invariants(False):
            table.weight.grad = torch.sparse_coo_tensor(i[None], g, table.weight.shape)
        opt.step()

    def trained() -> None:
        i = next(turn)
        table(i)
        step(i)

    return {"step": step, "trained": trained}


def dense() -> Steps:
    """torch's fused Adam with a dense gradient."""
    w = torch.nn.Parameter(torch.zeros(ROWS, WIDTH))
    w.grad = torch.full_like(w, 1e-3)
    return {"step": torch.optim.Adam([w], fused=True).step}


def door(rule: Any) -> Steps:
    """Our step through torch."""

    def make(table: torch.nn.Embedding) -> torch.optim.Optimizer:
        opt = thalweg.torch.Optimizer(table.parameters(), rule)
        opt.watch(table)
        return opt

    return of_torch(make)


def _turns(given: list[Any]) -> Any:
    while True:
        yield from given


def settled(calls: Steps) -> Steps:
    """Steps of a run that has been going on for a while."""
    for _ in range(SETTLE):
        calls["step"]()
    return calls


def timed(contestants: dict[str, Steps], rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds: contestant, what."""
    flat = {f"{n}/{what}": call for n, calls in contestants.items() for what, call in calls.items()}
    seconds = interleaved(flat, rounds)
    return {n: {what: seconds[f"{n}/{what}"] for what in calls} for n, calls in contestants.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = options(__doc__, rounds=15, out="sparse_tables.json")
    parser.add_argument("--rules", help="comma-separated; default: all")
    chosen = parser.parse_args(arguments)
    rounds = 1 if DRY else chosen.rounds
    shipped = rules.shipped()
    names = chosen.rules.split(",") if chosen.rules else ["Adagrad"] if DRY else list(shipped)
    touched = float(np.mean([len(np.unique(i)) for i in batches(ROWS)]))
    print(f"{ROWS:,} x {WIDTH} float32, {BATCH} lookups, {touched:.0f} distinct rows in a batch")
    rivals = {
        "SparseAdam": settled(of_torch(lambda t: torch.optim.SparseAdam(t.parameters(), lr=1e-3))),
        "Adagrad": settled(of_torch(lambda t: torch.optim.Adagrad(t.parameters(), lr=1e-2))),
    }
    result: dict[str, Any] = {"torch": torch.__version__, "threads": torch.get_num_threads(), "rows": []}
    fused = timed({"dense": dense()}, min(rounds, 5))["dense"]["step"]
    result["dense fused Adam"] = fused
    print(f"dense fused Adam of torch: {fused * 1e3:.0f} ms\n")
    head = ("rule", "what", "rows", "door", "SparseAdam", "Adagrad", "doubled", "bar")
    print(f"{head[0]:<34}{head[1]:<9}" + "".join(f"{x:>11}" for x in head[2:-1]) + f"{head[-1]:>22}")
    for name in names:
        rule = shipped[name]()
        contestants = {
            "rows": settled(of_rows(rule, ROWS)),
            "door": settled(door(rule)),
            "twice": settled(of_rows(rule, 2 * ROWS)),
            **rivals,
        }
        seconds = timed(contestants, rounds)
        for what in ("step", "trained"):
            row = {n: seconds[n][what] for n in contestants}
            doubled = row["twice"] / row["rows"]
            result["rows"].append({"rule": name, "what": what, "seconds": row, "doubled": doubled})
            told = ""
            if name in BARS:
                rival, bar = BARS[name]
                ratios = (row[n] / row[rival] for n in ("rows", "door"))
                told = "{:.2f}, {:.2f} <= {}".format(*ratios, bar)
            times = "".join(f"{row[n] * 1e3:>8.2f} ms" for n in head[2:6])
            print(f"{name:<34}{what:<9}{times}{doubled:>11.2f}{told:>22}", flush=True)
    save(result, chosen)


if __name__ == "__main__":
    main()
