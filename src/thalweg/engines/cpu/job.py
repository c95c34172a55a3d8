"""A job: the one argument of every kernel, a row of 64-bit words that have names.

A kind of kernel declares its words once. The printed source calls a word by its name in capitals,
``job[ROWS]``, and Python fills it by the same name, so that no number stands for a place anywhere.
"""

import numpy as np

from ..memory import Array

SLICE = ("lo", "hi", "result")  # every kernel's: the slice of work [lo, hi), and what became of it
RESULT, OWN = (
    SLICE.index("result"),
    len(SLICE),
)  # where the result stands, and where a kernel's own words begin


class Job:
    """The words of one kind of kernel, in order: ``lo``, ``hi`` and ``result``, then its own."""

    def __init__(self, *words: str) -> None:
        self.words = (*SLICE, *words)
        self.at = {n: k for k, n in enumerate(self.words)}
        assert len(self.at) == len(self.words)
        assert min(map(len, words), default=2) > 1  # F and D are dtypes in printed source

    @property
    def constants(self) -> str:
        """The line of printed source that lets it say ``job[NAME]``."""
        return f"{', '.join(n.upper() for n in self.words)} = range({len(self.words)})\n"

    def vector(self, **words: int) -> Array:
        """Return a new job, int64; words that are not given are 0."""
        vector = np.zeros(len(self.words), dtype=np.int64)
        for n, word in words.items():
            vector[self.at[n]] = word
        return vector

    def own(self, **words: int) -> tuple[int, ...]:
        """Return the kernel's own words in order, as ``launch.run`` takes them; those not given are 0."""
        return tuple(self.vector(**words)[OWN:].tolist())

    def read(self, vector: Array) -> dict[str, int]:
        """Return what a job holds, by name."""
        return dict(zip(self.words, vector.tolist(), strict=True))
