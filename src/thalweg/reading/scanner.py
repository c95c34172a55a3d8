"""Text of labelled examples as CSR arrays: compiled byte scanners for SVMlight and Vowpal Wabbit.

a) A text ends in a newline. Every loop stops at one, so nothing is read beyond it.
b) A number's first 18 digits are an integer m, the rest a power of ten: x = m * 10^e in float64, off by
   less than 2^-51 x. Where x (1 - 2^-50) and x (1 + 2^-50) have the same nearest float32, that is the
   number's (Clinger 1990, "How to read floating point numbers accurately", gives the idea); else the
   number is listed, rounded exactly in Python, and the text scanned once more.
c) A label is float64: exact where m <= 2^53, |e| <= 22 and no digit was dropped; else listed as well.
d) Names are hashed as by ``vw --hash strings``: murmur3 (32 bits) with the namespace's hash as seed; a
   name of digits is its number plus that seed.
"""

import math
import re
from decimal import Decimal
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from ..engines.cpu.compile import Kernel, kernel
from ..engines.cpu.job import Job
from ..engines.cpu.launch import call
from ..engines.cpu.text import source
from ..engines.memory import address
from .interactions import PRIME
from .kernels import common, svmlight, vw
from .layout import LARGEST

Array = np.ndarray[Any, Any]

BAD = 64  # bad lines that one scan can list
MOST_ENTRIES = 1 << 22  # of a line with the products of its features

# What a line can have wrong: the kernels' name of each fault (its code is its place), and what is said of it.
FAULTS = {
    "": "",
    "LABEL": "the label {0} is not a number",
    "LABEL_SIZE": "the label {0} is beyond float64",
    "NO_LABEL": "there is no label",
    "FEATURE": "{0} is not {form}",
    "NEGATIVE": "index {0} is negative",
    "ZERO": "index 0 in a file whose indices start at 1 (zero_based=True counts from 0)",
    "INDEX_SIZE": "index {0} is too large: {limit}",
    "TWICE": "an index occurs twice",
    "VALUE": "the value {0} is not a number",
    "VALUE_SIZE": "the value {0} is beyond float32",
    "QID": "{0} is not qid:number",
    "WEIGHT": "the importance {0} is not a number",
    "WEIGHT_SIGN": "the importance {0} is negative",
    "WEIGHT_SIZE": "the importance {0} is beyond float32",
    "EXTRA": "{0} before the bar: label, importance and tag are all that may stand there",
    "NO_BAR": "there is no bar (|)",
    "NAMESPACE": "{0} does not name a namespace",
    "SCALE": "the namespace's weight {0} is not a number",
    "SCALE_SIZE": "the namespace's weight {0} is beyond float32",
    "SUM_SIZE": "values of one feature sum beyond float32",
    "PRODUCT_SIZE": "the product of two values is beyond float32",
    "PRODUCTS": f"its features have more than {MOST_ENTRIES} products; ask for fewer --interactions",
}
_SAID = tuple(FAULTS.values())
_JOB = Job(
    "text", "begin", "end", "max_rows", "max_entries", "max_late", "skip", "unlabelled", "base", "limit",  # given
    "labels", "weights", "indptr", "indices", "values", "tags", "bads", "late", "exact", "powers", "keys", "spare", "gathered", "known",
    "crossed", "spaces",
    "rows", "entries", "at", "lines", "faulty", "listed", "cursor", "top", "lowest", "full",  # found
)  # fmt: skip


class Found(NamedTuple):
    """What a scan of a text found: rows, where the next line begins, lines read, and the bad ones."""

    labels: Array
    weights: Array | None
    indptr: Array
    indices: Array
    values: Array
    tags: list[str] | None
    at: int
    lines: int
    faulty: int
    bad: list[tuple[int, str]]  # the first of them: lines before it, and what is wrong
    lowest: int
    top: int


def _real(x: np.float32) -> float:
    """A float32 with infinity at 2^128, where the next float32 would lie."""
    return math.copysign(2.0**128, x) if np.isinf(x) else float(x)


def nearest(digits: str) -> tuple[float, float]:
    """A decimal number rounded once: to float32, and to float64; infinite where it is too large."""
    wide = float(digits)
    with np.errstate(over="ignore", under="ignore"):
        near = np.float32(wide)
        if math.isfinite(wide) and _real(near) != wide:
            other = np.nextafter(near, np.float32(math.copysign(math.inf, wide - _real(near))))
            # The middle of two float32: where float64 was rounded to it, the digits decide.
            if (_real(near) + _real(other)) / 2 == wide and Decimal(digits) != Decimal(wide):
                near = (max if Decimal(digits) > Decimal(wide) else min)(near, other)
    return float(near), wide


@cache
def _kernel(format: str, products: bool) -> Kernel:
    codes = [f"{n} = {k}" for k, n in enumerate(FAULTS) if n] + [f"MAX_BAD = {BAD}"]
    codes += [f"PRIME = {PRIME}", f"MOST_ENTRIES = {MOST_ENTRIES}"] if products else []
    line = svmlight.LINE if format == "svmlight" else vw.HASH + vw.line(products)
    return kernel(source("float32", _JOB, ["\n".join(codes), common.COMMON, line, common.LINES]))[0]


class Scanner:
    """Scans lines of one format into CSR arrays; its buffers serve texts of up to ``size`` bytes.

    format: "svmlight" or "vw". rows: what one scan may return. base: what is subtracted from an index.
    limit: indices must be smaller (svmlight), or the power of two that hashes are cut to (vw). crossed: of which
    namespaces products are entries too (vw; ``interactions.crossed_letters``). entries: how many one scan may return,
    beyond what the text itself can hold.
    """

    def __init__(
        self, format: str, size: int, rows: int, *, base: int, limit: int, skip: bool, unlabelled: bool,
        crossed: Array | None = None, entries: int = 0,
    ) -> None:  # fmt: skip
        self._run = _kernel(format, crossed is not None)
        self._wider = partial(
            Scanner,
            format,
            size,
            1,
            base=base,
            limit=limit,
            skip=skip,
            unlabelled=unlabelled,
            crossed=crossed,
        )
        self._form = {"svmlight": "index:value", "vw": "a feature"}[format]
        self._limit = f"{limit + base - 1} is the largest" if format == "svmlight" else ""
        hashed = format == "vw"
        rows = min(rows, size // 2 + 1)
        entries = max(entries, size // (2 if hashed else 4) + 1)  # no shorter feature than " a", " 1:1"
        self._buffers: dict[str, Array] = {
            "labels": np.empty(rows),
            "weights": np.empty(rows if hashed else 0, np.float32),
            "indptr": np.empty(rows + 1, np.int64),
            "indices": np.empty(entries, np.int32),
            "values": np.empty(entries, np.float32),
            "tags": np.empty((rows if hashed else 0, 2), np.int64),
            "bads": np.empty((BAD, 4), np.int64),
            "powers": np.array([float(f"1e{k}") for k in range(81)]),
            "keys": np.empty(entries, np.int64),
            "spare": np.empty(entries, np.int64),
            "gathered": np.empty(entries, np.float32),
            "crossed": np.empty(0, np.uint8) if crossed is None else np.ascontiguousarray(crossed),
            "spaces": np.empty((0 if crossed is None else size // 2 + 1, 3), np.int64),
        }
        self._words = {n: address(a) for n, a in self._buffers.items()} | {
            "max_rows": rows,
            "max_entries": entries,
            "skip": skip,
            "unlabelled": unlabelled,
            "base": base,
            "limit": limit,
            "top": -1,
            "lowest": LARGEST,
        }

    def scan(self, text: Array, begin: int, end: int) -> Found:
        """The whole lines of ``text[begin:end]`` (uint8), whose last byte is a newline; as many as fit."""
        late = np.empty((self._words["max_rows"] + 1024, 3), np.int64)
        numbers: list[float] = []
        while True:
            job = self._pass(text, begin, end, late, numbers)
            if (
                job["full"] == 2 and not job["lines"]
            ):  # the first line alone has more products than there is room for
                entries = min(2 * len(self._buffers["indices"]), MOST_ENTRIES)
                return self._wider(entries=entries).scan(text, begin, end)
            new = late[len(numbers) : job["listed"]].tolist()
            exact = [nearest(bytes(text[a:b]).decode("ascii"))[row >= 0] for a, b, row in new]
            stuck = job["full"] and not job["lines"]  # the first line alone fills the list
            if not stuck and all(
                row >= 0 and math.isfinite(x) for x, (_, _, row) in zip(exact, new, strict=True)
            ):
                break
            numbers += exact
            if stuck:
                late = np.concatenate([late, np.empty_like(late)])
        buffers = self._buffers
        for x, (_, _, row) in zip(exact, new, strict=True):
            buffers["labels"][row] = x
        return self._found(text, job)

    def _pass(self, text: Array, begin: int, end: int, late: Array, numbers: list[float]) -> dict[str, int]:
        exact = np.array(numbers)
        given = {
            "text": address(text),
            "begin": begin,
            "end": end,
            "late": address(late),
            "exact": exact.ctypes.data,
            "max_late": len(late),
            "known": len(numbers),
            "listed": len(numbers),
        }
        job = _JOB.vector(**self._words, **given)
        call(self._run, job)
        return _JOB.read(job)

    def _found(self, text: Array, job: dict[str, int]) -> Found:
        rows, entries, buffers = job["rows"], job["entries"], self._buffers
        weights = buffers["weights"][:rows]
        tags = buffers["tags"][:rows]
        return Found(
            buffers["labels"][:rows].copy(),
            weights.copy() if np.any(weights != 1.0) else None,
            buffers["indptr"][: rows + 1].copy(),
            buffers["indices"][:entries].copy(),
            buffers["values"][:entries].copy(),
            [bytes(text[a:b]).decode("utf-8", "replace") for a, b in tags.tolist()]
            if np.any(tags[:, 1] > tags[:, 0])
            else None,
            job["at"],
            job["lines"],
            job["faulty"],
            [
                (k, self._fault(text, *where))
                for k, *where in buffers["bads"][: min(job["faulty"], BAD)].tolist()
            ],
            job["lowest"],
            job["top"],
        )

    def _fault(self, text: Array, line: int, at: int, code: int) -> str:
        """What is wrong at a byte of a line, with the column and what stands there."""
        token = re.split(rb"[ \t\r\n]", bytes(text[at : at + 41]), maxsplit=1)[0].decode("utf-8", "replace")
        if len(token) > 40:
            token = token[:40] + "…"
        if token.lstrip("+-").lower() in ("nan", "inf", "infinity"):
            return f"column {at - line + 1}: {token} is not finite"
        return f"column {at - line + 1}: " + _SAID[code].format(
            repr(token), form=self._form, limit=self._limit
        )
