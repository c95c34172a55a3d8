"""What the sources say, as experiments that anyone can run: one file a claim, found by listing.

A file's docstring states the claim in its first sentence, then ``Source:``, ``Formula:``, ``Measured:`` and ``Refuted
by:``; its ``experiment()`` returns the Evidence; ``CHAPTER`` says where it stands in the report. Mathematics is LaTeX, between
dollars in a sentence (``lab/mathematics.py``); ``[@notes]`` cites (``lab/references.py``). An experiment takes its methods by
name when it runs, so a method that is broken breaks its claims.
"""

import re
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from ...core.line import short
from ...errors import UnknownClaimError, nearest
from ...notebook import paragraphs, table
from .. import mathematics
from ..evidence import Evidence
from ..formatting import plain
from ..pictures.panels import Picture
from ..pictures.values import picture as restored_picture
from ..pictures.values import values
from ..references import Reference, cited, named

CHAPTERS = (
    "Why adapt",
    "AdaGrad",
    "RMSProp",
    "AdaDelta",
    "Momentum and Adam",
    "Norms",
    "Limits",
    "Theory",
)
FAILED = "could not be run"
_PARTS = ("Source", "Formula", "Measured", "Refuted by")


@dataclass(frozen=True)
class Claim:
    """A statement and the experiment that measures it; ``formula`` is LaTeX, the other texts may hold some between dollars."""

    id: str
    title: str
    source: str
    formula: str
    measured: str
    refuted: str
    chapter: str
    experiment: Callable[[], Evidence]
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Result:
    """A claim with what its experiment found; ``error`` says why there is no evidence."""

    claim: Claim
    evidence: Evidence
    seconds: float
    error: str | None = None

    @property
    def id(self) -> str:
        """The claim's name."""
        return self.claim.id

    @property
    def verdict(self) -> str:
        """What follows from the evidence; "could not be run" where there is none."""
        return self.evidence.verdict if self.error is None else FAILED

    @property
    def picture(self) -> Picture | None:
        """What was drawn, if anything."""
        return self.evidence.picture

    @property
    def rows(self) -> list[tuple[str, float, float | None]]:
        """Every number: its words, ours, the source's where it gives one."""
        given = self.evidence.source_numbers
        return [(n, v, given.get(n)) for n, v in self.evidence.numbers.items()]

    def __repr__(self) -> str:
        return f"<{self.id}: {self.verdict}>"

    def _repr_html_(self) -> str:
        """The claim with its verdict, its picture and its numbers."""
        from ..pictures.notebook import display

        return display(self.part())

    def part(self) -> str:
        """The same as a part of a display (HTML)."""
        from ..pictures.notebook import picture_part  # matplotlib is slow to import

        said = [f"{self.claim.title} — {self.verdict}", *self.evidence.conditions, self.error or ""]
        rows = [
            [mathematics.plain(n), plain(ours), "" if theirs is None else plain(theirs)]
            for n, ours, theirs in self.rows
        ]
        numbers = table(["", "measured", "in the source"], rows) if rows else ""
        drawn = "" if self.picture is None else picture_part(self.picture)
        return paragraphs(*map(mathematics.plain, said)) + drawn + numbers

    def json(self, picture: str | None) -> dict[str, Any]:
        """The record of the JSON file; a number that is not finite is null.

        ``picture`` is the name of its file, "drawing" what it is drawn from. An experiment that failed has a null verdict
        and one more entry, "error".
        """
        found = self.evidence
        failed = {} if self.error is None else {"error": self.error}
        return failed | {
            "id": self.id,
            "verdict": None if failed else found.verdict,
            "seconds": round(self.seconds, 1),
            "conditions": found.conditions,
            "reading": found.reading,
            "numbers": {n: _finite(v) for n, v in found.numbers.items()},
            "source_numbers": {n: _finite(v) for n, v in found.source_numbers.items()},
            "agreed": found.agreed,
            "checks": found.checks,
            "limits": found.limits,
            "picture": picture,
            "drawing": None if self.picture is None else values(self.picture),
        }

    @classmethod
    def restored(cls, record: Mapping[str, Any]) -> "Result":
        """The result of such a record; NaN where a number is null. Raises UnknownClaimError, KeyError for what is none."""
        drawing = record["drawing"]
        evidence = Evidence(
            _floats(record["numbers"]),
            _floats(record["source_numbers"]),
            dict(record["agreed"]),
            [(text, good) for text, good in record["checks"]],
            [(text, confirmed) for text, confirmed in record["limits"]],
            None if drawing is None else restored_picture(drawing),
            record["reading"],
        )
        (claim,) = chosen([record["id"]])
        return cls(claim, evidence, record["seconds"], record.get("error"))


@dataclass(frozen=True)
class Findings:
    """The results in the report's order; ``finished`` is False where the run was interrupted."""

    results: list[Result]
    finished: bool
    seconds: float = 0.0  # from begin to end

    def __repr__(self) -> str:
        return "\n".join(f"{r.id:<28} {r.verdict}" for r in self.results)

    def _repr_html_(self) -> str:
        """A table of verdicts, and each claim with its picture, folded where there are several."""
        from ..pictures.notebook import display  # matplotlib is slow to import

        if len(self.results) == 1:
            return display(self.results[0].part())
        verdicts = table(
            ["claim", "what it says", "verdict"],
            [[r.id, mathematics.plain(r.claim.title), r.verdict] for r in self.results],
            left=(0, 1, 2),
        )
        folded = [f"<details><summary>{escape(r.id)}</summary>{r.part()}</details>" for r in self.results]
        return display(verdicts, *folded)

    @property
    def failed(self) -> list[Result]:
        """Experiments that could not be run to their end."""
        return [r for r in self.results if r.error is not None]


def _finite(x: float) -> float | None:
    return x if abs(x) < float("inf") else None


def _floats(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {n: float("nan") if v is None else float(v) for n, v in numbers.items()}


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Claim]:
    """Every claim by name, in the report's order: chapter by chapter."""
    found = []
    for file in iter_modules(__path__):
        module = import_module(f"{__name__}.{file.name}")
        text = " ".join((module.__doc__ or "").split())
        title, *parts = re.split(rf"\s*\b({'|'.join(_PARTS)}): ", text)
        told = dict(zip(parts[::2], parts[1::2], strict=True))
        name = file.name.replace("_", "-")
        source, measured, refuted = (_sentence(named(told[p])) for p in ("Source", "Measured", "Refuted by"))
        found.append(
            Claim(
                name, title, source, told["Formula"], measured, refuted, module.CHAPTER, module.experiment,
                tuple(cited(told["Source"])),
            )
        )  # fmt: skip
    found.sort(key=lambda claim: CHAPTERS.index(claim.chapter))
    return {claim.id: claim for claim in found}


def _sentence(text: str) -> str:
    """With a capital letter, unless it begins with a symbol such as m."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() and first not in ("m", "s", "u", "v", "w") else text


def chosen(ids: Sequence[str] | str | None) -> list[Claim]:
    """Claims by name, all of them by default; UnknownClaimError with the nearest names."""
    ids = [ids] if isinstance(ids, str) else ids
    known = catalogue()
    if ids is not None and not (isinstance(ids, Iterable) and all(isinstance(n, str) for n in ids)):
        raise UnknownClaimError(f"claims: names are needed, got {short(ids)}")
    for name in ids or ():
        if name not in known:
            raise UnknownClaimError(f"unknown claim {name!r}: {nearest(name, known)}")
    return [known[name] for name in dict.fromkeys(ids or known)]


def measure(name: str) -> Result:
    """Run one experiment; one that fails gives a result that says why."""
    claim = catalogue()[name]
    tick = time.perf_counter()
    try:
        evidence, error = claim.experiment(), None
    except Exception as failure:
        where = traceback.extract_tb(failure.__traceback__)[-1]
        said = " ".join(str(failure).split())
        evidence = Evidence()
        error = f"{type(failure).__name__}: {said} ({Path(where.filename).name}:{where.lineno})"
    return Result(claim, evidence, time.perf_counter() - tick, error)


__all__ = ["CHAPTERS", "Claim", "Findings", "Result", "catalogue", "chosen", "measure"]
