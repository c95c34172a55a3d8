"""What the command lines of the benchmarks have in common."""

import argparse
import json
from typing import Any


def options(doc: str | None, *, rounds: int, out: str | None = None) -> argparse.ArgumentParser:
    """A parser with ``--rounds``, ``--dry-run`` and, where the benchmark writes a file, ``--out``."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(
        "--dry-run", action="store_true", help="the same calls on next to nothing; no file is written"
    )
    if out is not None:
        parser.add_argument("--out", default=out)
    return parser


def save(result: dict[str, Any], chosen: argparse.Namespace) -> None:
    """Write the result as JSON to ``--out``; in a dry run nothing is written."""
    if not chosen.dry_run:
        with open(chosen.out, "w") as file:
            json.dump(result, file, indent=1)
        print(f"written: {chosen.out}")
