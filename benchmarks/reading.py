"""Megabytes of text a second: our readers beside scikit-learn's, one core each.

python -m benchmarks.reading

SVMlight and Vowpal Wabbit text with ~40 Zipf features a row; read from disk (in the page cache), parsed
to CSR, nothing kept. scikit-learn has no reader of Vowpal Wabbit's text.
"""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_svmlight_file

from thalweg.reading import open_stream

from .options import options
from .timing import interleaved


def text(rows: int, form: str, vw: bool) -> bytes:
    """Rows of Zipf features with normal values."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(rows):
        columns = np.unique(rng.zipf(1.3, 60) % 1_000_000) + 1
        values = rng.standard_normal(len(columns))
        features = " ".join(f"{i}:{form % x}" for i, x in zip(columns, values, strict=True))
        lines.append(f"{rng.choice((-1, 1))} {'|f ' if vw else ''}{features}\n")
    return "".join(lines).encode()


def consume(path: Path, **settings: Any) -> int:
    """One pass; the number of entries."""
    return sum(len(block.values) for block in open_stream(path, **settings))


def main() -> None:
    """Print one line a format."""
    parser = options(__doc__, rounds=9)
    parser.add_argument("--rows", type=int, default=20_000)
    chosen = parser.parse_args()
    rows, rounds = (50, 1) if chosen.dry_run else (chosen.rows, chosen.rounds)
    with tempfile.TemporaryDirectory() as folder:
        for form in ("%d", "%.6g", "%.16g"):
            svm, vw = Path(folder, "a.svm"), Path(folder, "a.vw")
            svm.write_bytes(text(rows, form, False))
            vw.write_bytes(text(rows, form, True))
            cache = Path(folder, f"cache{form[1:]}")
            taken = interleaved(
                {
                    "ours": partial(consume, svm, ahead=0, zero_based=True),
                    "scikit-learn": partial(load_svmlight_file, str(svm), dtype=np.float32, zero_based=True),
                    "ours, vw text": partial(consume, vw, ahead=0),
                    "ours, from its cache": partial(consume, svm, ahead=0, zero_based=True, cache=cache),
                },
                rounds,
            )
            size = os.path.getsize(svm) / 1e6
            speeds = {n: (os.path.getsize(vw) / 1e6 if "vw" in n else size) / t for n, t in taken.items()}
            shown = ", ".join(f"{n} {s:.0f} MB/s" for n, s in speeds.items())
            print(
                f"{form}: {size:.1f} MB of SVMlight: {shown}; {speeds['ours'] / speeds['scikit-learn']:.1f} x scikit-learn"
            )


if __name__ == "__main__":
    main()
