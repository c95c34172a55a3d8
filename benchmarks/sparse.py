"""Sparse gradients: steps on a large table, then linear models; both benchmarks one after the other.

    python -m benchmarks.sparse [tables | linear] [arguments of benchmarks.sparse_tables or benchmarks.linear]

Without a name both run with their defaults.
"""

import sys

from . import linear, sparse_tables

PARTS = {"tables": sparse_tables.main, "linear": linear.main}


def main(arguments: list[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in ("-h", "--help"):
        print(__doc__)
    elif given and given[0] in PARTS:
        PARTS[given[0]](given[1:])
    elif given:
        sys.exit(f"benchmarks.sparse: unknown part {given[0]!r}: one of {', '.join(PARTS)}")
    else:
        for run in PARTS.values():
            run([])


if __name__ == "__main__":
    main()
