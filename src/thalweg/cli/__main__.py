"""``python -m thalweg.cli``: the command line."""

from . import main

main()
