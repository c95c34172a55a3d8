"""Write README's speed table from the benchmark's numbers.

python -m benchmarks.dense --out dense.json && python -m tools.readme dense.json
"""

import json
import sys
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- speed: written by python -m tools.readme dense.json -->", "<!-- /speed -->"


def table(result: dict[str, Any]) -> str:
    """Ratios only: times do not travel."""
    cases = {n: {row["rule"]: row for row in rows} for n, rows in result["cases"].items()}
    lines = [
        f"One step, float32, {result['machine']['threads']} threads, against torch {result['machine']['torch']}"
        " (its best of loop, foreach and fused). Below 1 is faster. The ceiling is a loop that reads and writes"
        " the same arrays and only adds.",
        "",
        "| rule | 2·10⁷ weights: to the ceiling | to torch | 200 × 5·10⁴: to torch | 1000 weights, all checks: µs | to torch |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in cases["large"].items():
        many, small = cases["many"][name], cases["small"][name]
        lines.append(
            f"| {name} | {row['to_ceiling']:.2f} | {_against(row)} | {_against(many)} |"
            f" {small['seconds']['ours, raise'] * 1e6:.1f} | {_against(small)} |"
        )
    told = ", ".join(f"{n}: {x:.2f}" for n, x in result["tensors"].items())
    return "\n".join([*lines, "", f"Many small tensors in one call (Adam), time against one array: {told}."])


def _against(row: dict[str, Any]) -> str:
    return (
        "–"
        if row["to_torch"] is None
        else f"{row['to_torch']:.2f} ({row['torch_best'].removeprefix('torch ')})"
    )


def main() -> None:
    result = json.loads(Path(sys.argv[1]).read_text())
    readme = Path(__file__).resolve().parent.parent / "README.md"
    text = readme.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    readme.write_text(f"{head}{BEGIN}\n{table(result)}\n{END}{tail}")


if __name__ == "__main__":
    main()
