"""Write the table of raw files in docs/tables.md from the numbers of a benchmark.

python -m benchmarks.tables --out tables.json && python -m tools.tables tables.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from .pages import DOCS, table, write

PAGE = DOCS / "tables.md"
Row = dict[str, Any]


def number(x: float) -> str:
    """Three digits."""
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"


def accuracy(rows: list[Row]) -> str:
    """Everyone's excess over ridge or logistic regression."""
    others = [n for n in rows[0]["excess"] if n not in ("constant", "reference")]
    head = ["file (target)", "measure", "constant", "ridge / logistic", *others]
    lines = [
        [
            f"{r['file']} ({r['target']})", "log-loss" if r["classes"] else "rmse",
            number(r["loss"]["constant"]), number(r["loss"]["reference"]),
            *(f"{100 * r['excess'][n]:+.1f} %" for n in others),
        ]
        for r in rows
    ]  # fmt: skip
    return table(head, lines)


def seconds(rows: list[Row]) -> str:
    """Seconds of training, reading and preparing included for thalweg and Vowpal Wabbit alone."""
    names = [n for n in rows[0]["seconds"] if n != "constant"]
    head = ["file", "rows", *("ridge / logistic" if n == "reference" else n for n in names)]
    return table(
        head,
        [[r["file"], f"{r['rows']:,}", *(f"{r['seconds'][n]:.3f}" for n in names)] for r in rows],
    )


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = json.loads(Path(sys.argv[1]).read_text())
    rows = found["rows"]
    told = (
        f"Means over {found['splits']} splits. Columns but the first four: excess over ridge or logistic regression "
        "after so many passes, in per cent of the larger of their loss and of what they gain on the constant.\n\n"
        f"{accuracy(rows)}\n\nSeconds of training, medians; `thalweg` and `VW` read their text from disk, the others "
        f"are handed prepared matrices.\n\n{seconds(rows)}"
    )
    write(PAGE, "tables", "tables", told)
    print(f"written: {PAGE.name}")


if __name__ == "__main__":
    main()
