"""Write the speeds in README.md and docs/speed.md from the numbers of two benchmarks.

    python -m benchmarks.dense --out dense.json && python -m benchmarks.torch_door --out torch_door.json
    python -m tools.readme dense.json torch_door.json

README gets a short table, the page all of it. Ratios only, where others are beside: times do not travel.
"""

import json
import sys
from pathlib import Path
from typing import Any

from .pages import DOCS, ROOT, table, write

SHORT = ("SGD", "Momentum", "Adagrad", "RMSprop", "Adadelta", "Adam", "Adamax")  # what README shows
Row = dict[str, Any]


def ratio(row: Row | None, ratio: str, best: str) -> str:
    """A ratio and what it is to; a dash where there is nothing beside."""
    if row is None or row[ratio] is None:
        return "–"
    return f"{row[ratio]:.2f} ({row[best].removeprefix('torch ')})"


def by_rule(rows: list[Row]) -> dict[str, Row]:
    return {row["rule"]: row for row in rows}


def short(dense: Row, door: Row) -> str:
    """README's table: the methods that most people look for, through both doors."""
    large, small = (by_rule(dense["cases"][case]) for case in ("large", "small"))
    torch_small = by_rule(next(iter(door["sizes"].values())))
    rows = [
        [
            name,
            f"{large[name]['to_ceiling']:.2f}",
            ratio(large[name], "to_torch", "torch_best"),
            ratio(small[name], "to_torch", "torch_best"),
            ratio(torch_small.get(name), "ratio", "best"),
        ]
        for name in SHORT
    ]
    head = [
        "rule", "NumPy door, 2·10⁷ weights: to the ceiling", "to torch", "NumPy door, 1000 weights: to torch",
        "torch door, 1000 weights: to torch",
    ]  # fmt: skip
    return f"{machine(dense)}\n\n{table(head, rows)}"


def machine(dense: Row) -> str:
    """What was timed against what."""
    return (
        f"One step, float32, {dense['machine']['threads']} threads, against torch {dense['machine']['torch']} (its best of loop,"
        " foreach and fused). Below 1 is faster. The ceiling is a loop that reads and writes the same arrays and only adds."
    )


def numpy_door(dense: Row) -> str:
    """Every rule on NumPy arrays."""
    cases = {case: by_rule(rows) for case, rows in dense["cases"].items()}
    rows = [
        [
            name,
            f"{row['to_ceiling']:.2f}",
            ratio(row, "to_torch", "torch_best"),
            ratio(cases["many"][name], "to_torch", "torch_best"),
            f"{cases['small'][name]['seconds']['ours, raise'] * 1e6:.1f}",
            ratio(cases["small"][name], "to_torch", "torch_best"),
        ]
        for name, row in cases["large"].items()
    ]
    head = [
        "rule", "2·10⁷ weights: to the ceiling", "to torch", "200 × 5·10⁴: to torch",
        "1000 weights, all checks: µs", "to torch",
    ]  # fmt: skip
    many = ", ".join(f"{what}: {x:.2f}" for what, x in dense["tensors"].items())
    return f"{table(head, rows)}\n\nMany small tensors in one call (Adam), time against one array: {many}."


def torch_door(door: Row) -> str:
    """Every method that torch has, through our door for it: two models, tensors of four sizes, a training loop."""
    found = {(m, row["when"], row["rule"]): row for m, rows in door["models"].items() for row in rows}
    columns = list(dict.fromkeys((model, when) for model, when, _ in found))
    names = dict.fromkeys(rule for _, _, rule in found)
    sizes = {title: by_rule(rows) for title, rows in door["sizes"].items()}
    loop = by_rule(door["training"])
    rows = [
        [
            name,
            *(ratio(size[name], "ratio", "best") for size in sizes.values()),
            ratio(loop[name], "ratio", "best"),
            *(ratio(found.get((*column, name)), "ratio", "best") for column in columns),
        ]
        for name in names
    ]
    head = ["method", *sizes, "in a loop", *(f"{model}, {when}" for model, when in columns)]
    return table(head, rows)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    dense, door = (json.loads(Path(name).read_text()) for name in sys.argv[1:])
    write(ROOT / "README.md", "speed", "readme", short(dense, door))
    write(
        DOCS / "speed.md",
        "speed",
        "readme",
        f"## NumPy arrays\n\n{machine(dense)}\n\n{numpy_door(dense)}\n\n## The torch door\n\n"
        "The same against the same torch, a step with new gradients, as a ratio to torch's best; the first three sizes and"
        " the loop with a backward pass on one thread; *after torch* right after an operation of torch.\n\n"
        f"{torch_door(door)}",
    )


if __name__ == "__main__":
    main()
