"""Sparse gradients: steps on a large table, then linear models; both benchmarks one after the other.

    python -m benchmarks.sparse [tables | linear] [arguments of benchmarks.sparse_tables or benchmarks.linear]

Without a name both run with their defaults.
"""

import sys

from . import linear, sparse_tables

PARTS = {"tables": sparse_tables.main, "linear": linear.main}


def main(arguments: list[str] | None = None) -> None:
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in ("-h", "--help"):
        print(__doc__)
    elif words and words[0] in PARTS:
        PARTS[words[0]](words[1:])
    elif words and words != ["--dry-run"]:
        sys.exit(f"benchmarks.sparse: unknown part {words[0]!r}: one of {', '.join(PARTS)}")
    else:
        for run in PARTS.values():
            run(words)


if __name__ == "__main__":
    main()
