"""The errors of thalweg, all in one tree.

    ThalwegError
    ├── HyperparameterError (ValueError)   a value outside its line's range, an unknown name
    ├── RuleError (TypeError)              a formula that breaks the grammar, a rule whose parts disagree
    ├── ParameterError (ValueError)        arrays that cannot be trained: dtype, read-only, overlapping
    ├── GradientError (ValueError)         gradients that do not fit the parameters
    │   └── NonFiniteError                 a gradient that is NaN, infinite, or too large to square
    ├── StateError (RuntimeError)          asked for what is not there yet: rates before the first step
    ├── FileError (OSError)                a file that cannot be read, written, or is not what its name says
    ├── ProblemError (ValueError)          data that cannot be learnt from
    │   ├── UnknownProblemError            neither a problem's name nor a file
    │   └── MisplacedOptionError           an option that a problem of this kind does not take
    ├── UnknownClaimError (ValueError)     no experiment of that name
    └── EngineError (RuntimeError)         a kernel that cannot be built or loaded

Every message is one line: what, where, got, allowed, remedy. When one is raised, nothing of the
user's has moved.
"""

from collections.abc import Iterable

_ESCAPES = {
    c: chr(c).encode("unicode_escape").decode() for c in (*range(32), *range(127, 160), 0x2028, 0x2029)
}


def escaped(text: str) -> str:
    """A text on one line: a line break or another control character, of a path or a column's name, as its escape."""
    return text.translate(_ESCAPES)


class ThalwegError(Exception):
    """Base of all errors that thalweg raises on purpose."""

    def __str__(self) -> str:
        return escaped(super().__str__())


class HyperparameterError(ThalwegError, ValueError):
    """A hyperparameter, setting, method or dialect that is out of range or unknown."""


class RuleError(ThalwegError, TypeError):
    """A rule whose formula breaks the grammar or whose parts disagree."""


class ParameterError(ThalwegError, ValueError):
    """Parameters that cannot be trained in place."""


class GradientError(ThalwegError, ValueError):
    """Gradients whose structure, shape or dtype is not that of the parameters."""


class NonFiniteError(GradientError):
    """A gradient that is NaN or infinite, or so large that a state would overflow."""


class StateError(ThalwegError, RuntimeError):
    """Something was asked for that does not exist yet."""


class FileError(ThalwegError, OSError):
    """A file that cannot be read or written, or is not what its name says.

    result: the race or study that was run by then, where that is what could not be written; else None.
    """

    result: object = None


class ProblemError(ThalwegError, ValueError):
    """Data that cannot be learnt from."""


class UnknownProblemError(ProblemError):
    """Neither the name of a problem nor of a file."""


class MisplacedOptionError(ProblemError):
    """Options that concern problems of other kinds only; ``options`` are their names."""

    def __init__(self, text: str, options: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.options = tuple(options)


class UnknownClaimError(ThalwegError, ValueError):
    """No experiment of that name."""


class EngineError(ThalwegError, RuntimeError):
    """A kernel that cannot be built, loaded or run."""


MANY, SOME = 80, 20  # names that are all told, and how many of more


def nearest(name: object, allowed: Iterable[str]) -> str:
    """The remedy for an unknown name: ``did you mean 'x'?`` with the allowed names behind it, some where they are many."""
    from difflib import get_close_matches  # imported when something went wrong

    allowed = list(allowed)
    folded = {a.lower(): a for a in allowed}
    close = [folded[c] for c in get_close_matches(str(name).lower(), folded, n=2, cutoff=0.5)]
    hint = f"did you mean {' or '.join(repr(c) for c in close)}? " if close else ""
    shown = allowed if len(allowed) <= MANY else [*allowed[:SOME], f"and {len(allowed) - SOME:,} more"]
    return f"{hint}known: {', '.join(shown) or 'none'}"
