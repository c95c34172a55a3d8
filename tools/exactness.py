"""How far sparse steps are from the dense run, for every rule and dialect.

    python -m tools.exactness [--steps 2000] [--seed 0]

Rows touched at random, a cosine schedule, decoupled decay, float32. ``end`` and ``reads``: the largest error
of ``exact="value"`` against the dense path in float64, over that of the dense run in float32, after
``flush()`` and in what was read on the way. ``ulps``: from the dense run in float32, an ulp being that of the
largest |w|. ``bits``: how many bits of weights ``exact="bits"`` has otherwise than the dense run.
"""

import argparse
from typing import NamedTuple

import numpy as np
from tests.laws.test_sparse import Pattern, decay_of, error, run, scheduled
from tests.strategies import FORMS


class Found(NamedTuple):
    form: str
    end: float
    reads: float
    ulps: float
    bits: int


def measure(name: str, dialect: str, pattern: Pattern, steps: int) -> Found:
    """One form's row."""
    rule = scheduled(name, dialect, steps)
    settings = {"rates": False, **decay_of(rule)}
    double, double_seen = run(rule, pattern, np.float64, "dense", **settings)
    single, single_seen = run(rule, pattern, np.float32, "dense", **settings)
    value, value_seen = run(rule, pattern, np.float32, "value", **settings)
    bits, _ = run(rule, pattern, np.float32, "bits", **settings)

    def ratio(ours: float, dense: float) -> float:
        return ours / dense if dense else float(ours > 0)

    reads = [max(map(error, seen, double_seen)) for seen in (value_seen, single_seen)]
    return Found(
        f"{name}:{dialect}" if dialect else name,
        ratio(error(value, double), error(single, double)),
        ratio(*reads),
        error(value, single) / float(np.spacing(np.abs(single).max())),
        int(np.bitwise_count(bits.view(np.uint32) ^ single.view(np.uint32)).sum()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    pattern = Pattern(given.steps, given.seed)
    print(f"{'form':<44}{'end':>7}{'reads':>7}{'ulps':>7}{'bits':>6}")
    rows = []
    for name, dialect in FORMS:
        rows.append(measure(name, dialect, pattern, given.steps))
        r = rows[-1]
        print(f"{r.form:<44}{r.end:>7.2f}{r.reads:>7.2f}{r.ulps:>7.0f}{r.bits:>6}", flush=True)
    near = sum(max(r.end, r.reads) <= 1 for r in rows)
    print(
        f"\n{near} of {len(rows)} forms no farther than the dense run, the others at most"
        f" {max(max(r.end, r.reads) for r in rows):.2f} times as far; at most {max(r.ulps for r in rows):.0f}"
        f" ulps from it; {sum(r.bits for r in rows)} bits differ with exact='bits'"
    )


if __name__ == "__main__":
    main()
