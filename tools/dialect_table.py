"""Write the table of distances to the real libraries into docs/dialects.md.

    python -m tools.dialect_table

Every row that bears the name of torch, Keras or Optax is run beside the installed library (Keras on its torch
and, in a process of its own, on its JAX backend); see tests/paths/distances.py for what is counted.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import version

from tests.paths.distances import DTYPES, REASONS, Distance, cases, measure, needed

from .pages import DOCS, write

Key = tuple[str, str]  # rule, dialect
Found = dict[
    str, list[tuple[bool, Distance, list[str]]]
]  # by dtype: with decay and schedule?, distance, reasons


def measured(dialects: tuple[str, ...]) -> dict[Key, Found]:
    """All cases of these worlds, by row and dtype."""
    made: dict[Key, Found] = defaultdict(lambda: defaultdict(list))
    for case in cases():
        if case.dialect in dialects:
            for dtype in DTYPES:
                found = measure(case, dtype)
                why = needed(case, dtype, found)
                made[case.rule, case.dialect][dtype].append(
                    (case.around, found, ["UNEXPLAINED"] if why is None else why)
                )
    return made


def on_jax() -> dict[Key, Found]:
    """Keras's rows on JAX: its backend is chosen once a process."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.dialect_table", "--keras-only"],
        env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = json.loads(done.stdout)
    return {
        (rule, "keras"): {d: [(a, Distance(*x), why) for a, x, why in found] for d, found in by.items()}
        for rule, by in rows.items()
    }


def number(x: float) -> str:
    """Ulps: whole ones from 10 on."""
    return f"{x:.0f}" if x >= 10 or x == int(x) else f"{x:.1f}"


def cells(found: Found) -> list[str]:
    """For each dtype: ulps of w and of the states, bare / with schedule and decay; the path's share."""
    made = []
    for dtype in DTYPES:
        rows = found[dtype]
        for part in ("w", "states"):
            worst = [
                max((getattr(x, part) for a, x, _ in rows if a == around), default=None)
                for around in (False, True)
            ]
            made.append(" / ".join(number(x) for x in worst if x is not None))
        made.append(f"{max(x.path for _, x, _ in rows):.0e}".replace("0e+00", "0"))
    return made


def table(rows: dict[tuple[str, str, str], Found]) -> str:
    """The table, and under it the reasons."""
    head = ["rule", "row", "float32: w", "states", "path", "float64: w", "states", "path", "why"]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * 2 + ['---:'] * 6 + ['---'])} |"]
    used: dict[str, None] = {}
    for (rule, dialect, backend), found in sorted(rows.items()):
        why = dict.fromkeys(n for dtype in DTYPES for _, _, names in found[dtype] for n in names)
        used |= why
        row = f"`{dialect}`{f' ({backend})' if backend else ''}"
        lines.append(f"| {' | '.join([rule, row, *cells(found), ', '.join(why)])} |")
    told = [f"{n}\n: {REASONS[n].text}." for n in REASONS if n in used]
    libraries = ", ".join(f"{n} {version(n)}" for n in ("torch", "keras", "optax", "jax", "numpy"))
    return "\n".join([f"Measured with {libraries}.", "", *lines, "", *"\n\n".join(told).split("\n")])


def main() -> None:
    """Measure and write; ``--keras-only`` prints Keras's rows as JSON."""
    if "--keras-only" in sys.argv:
        print(json.dumps({rule: by for (rule, _), by in measured(("keras",)).items()}))
        return
    rows = {
        (r, d, "torch" if d == "keras" else ""): x
        for (r, d), x in measured(("torch", "keras", "optax")).items()
    }
    rows |= {(r, d, "JAX"): x for (r, d), x in on_jax().items()}
    write(DOCS / "dialects.md", "distances", "dialect_table", table(rows))


if __name__ == "__main__":
    main()
