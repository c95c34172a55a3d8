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
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..engines.cpu.compile import Kernel, kernel
from ..engines.cpu.job import Job
from ..engines.cpu.launch import call
from ..engines.cpu.text import source
from ..engines.memory import address

Array = np.ndarray[Any, Any]

LARGEST = 2**31 - 1  # indices are int32
BAD = 64  # bad lines that one scan can list

# What a line can have wrong, in the order of the kernels' codes: what stands where the trouble is.
FAULTS = (
    "",
    "the label {0} is not a number",
    "the label {0} is beyond float64",
    "there is no label",
    "{0} is not {form}",
    "index {0} is negative",
    "index 0 in a file whose indices start at 1 (zero_based=True counts from 0)",
    "index {0} is too large: {limit}",
    "an index occurs twice",
    "the value {0} is not a number",
    "the value {0} is beyond float32",
    "{0} is not qid:number",
    "the importance {0} is not a number",
    "the importance {0} is negative",
    "the importance {0} is beyond float32",
    "{0} before the bar: label, importance and tag are all that may stand there",
    "there is no bar (|)",
    "{0} does not name a namespace",
    "the namespace's weight {0} is not a number",
    "the namespace's weight {0} is beyond float32",
    "values of one feature sum beyond float32",
)
_CODES = (
    "", "LABEL", "LABEL_SIZE", "NO_LABEL", "FEATURE", "NEGATIVE", "ZERO", "INDEX_SIZE", "TWICE", "VALUE", "VALUE_SIZE", "QID",
    "WEIGHT", "WEIGHT_SIGN", "WEIGHT_SIZE", "EXTRA", "NO_BAR", "NAMESPACE", "SCALE", "SCALE_SIZE", "SUM_SIZE",
)  # fmt: skip
_JOB = Job(
    "text", "begin", "end", "max_rows", "max_entries", "max_late", "skip", "unlabelled", "base", "limit",  # given
    "labels", "weights", "indptr", "indices", "values", "tags", "bads", "late", "exact", "powers", "keys", "spare", "gathered", "known",
    "rows", "entries", "at", "lines", "faulty", "listed", "cursor", "top", "lowest", "full",  # found
)  # fmt: skip

_COMMON = """
def long(p, i, end):
    # The digits in p[i:end], of which only the first 18 fit: the number, its power of ten, whether more followed.
    m = 0
    e = 0
    dropped = 0
    after = 0
    for k in range(i, end):
        if p[k] == 46:
            after = 1
        elif m < 900000000000000000:
            m = m * 10 + (p[k] - 48)
            e -= after
        else:
            e += 1 - after
            dropped = 1
    return m, e, dropped

def number(p, i):
    # Where a number ends, its digits, its power of ten, its sign, and whether digits were dropped; -1: none.
    negative = p[i] == 45
    if negative or p[i] == 43:
        i += 1
    first = i
    m = 0
    e = 0
    dropped = 0
    d = p[i] - 48
    while 0 <= d <= 9:
        m = m * 10 + d
        i += 1
        d = p[i] - 48
    digits = i - first
    if p[i] == 46:
        i += 1
        point = i
        d = p[i] - 48
        while 0 <= d <= 9:
            m = m * 10 + d
            i += 1
            d = p[i] - 48
        e = point - i
        digits -= e
    if digits > 18:
        m, e, dropped = long(p, first, i)
    if digits == 0:
        return i, 0, 0, False, -1
    if p[i] == 101 or p[i] == 69:
        i += 1
        down = p[i] == 45
        if down or p[i] == 43:
            i += 1
        first = i
        x = 0
        d = p[i] - 48
        while 0 <= d <= 9:
            if x < 1000000000000:
                x = x * 10 + d
            i += 1
            d = p[i] - 48
        if i == first:
            return i, 0, 0, False, -1
        e += -x if down else x
    return i, m, e, negative, dropped

def narrow(m, e, powers):
    # The nearest float32 and 0; 1 where float64 cannot tell; 2 where it is infinite.
    if m == 0 or e < -80:
        return F(0.0), 0
    if e > 80:
        return F(0.0), 2
    x = D(m)
    if e < 0:
        x = x / powers[-e]
    elif e > 0:
        x = x * powers[e]
    elif m <= 9007199254740992:
        return F(x), 0
    f = F(x * (1.0 + 2.0**-50))
    if f != F(x * (1.0 - 2.0**-50)):
        return F(0.0), 1
    if f > F(3.4028234663852886e38):
        return f, 2
    return f, 0

def late(job, start, end, row):
    # What Python made of the number at ``start``, and 0; else it is listed for Python: 1.
    k = job[CURSOR]
    table = words(job[LATE])
    while k < job[KNOWN] and table[3 * k] < start:
        k += 1
    job[CURSOR] = k
    if k < job[KNOWN] and table[3 * k] == start:
        return reals(job[EXACT])[k], 0
    k = job[LISTED]
    if k == job[MAX_LATE]:
        job[FULL] = 1
    else:
        table[3 * k] = start
        table[3 * k + 1] = end
        table[3 * k + 2] = row
        job[LISTED] = k + 1
    return 1.0, 1

def real(job, p, i, powers):
    # Where a number ends, its float32, and 0, or 1: not a number, 2: too large.
    j, m, e, negative, dropped = number(p, i)
    if dropped < 0:
        return j, F(0.0), 1
    f, verdict = narrow(m, e, powers)
    if verdict == 1:
        x, listed = late(job, i, j, -1)
        f = F(x)
        verdict = 2 if not abs(f) <= F(3.4028234663852886e38) else 0
        return j, f, verdict
    if negative:
        f = -f
    return j, f, verdict

def label(job, p, i, row, powers):
    j, m, e, negative, dropped = number(p, i)
    if dropped < 0:
        return j, 0.0, 1
    if dropped == 0 and m <= 9007199254740992 and -22 <= e <= 22:
        x = D(m)
        if e < 0:
            x = x / powers[-e]
        else:
            x = x * powers[e]
        return j, -x if negative else x, 0
    x, listed = late(job, i, j, row)
    return j, x, 0 if abs(x) <= 1.7976931348623157e308 else 2

def order(n, a, b):
    # Sort n integers: runs of 16 by insertion, then merged to and fro. Whether b holds the result.
    for lo in range(0, n, 16):
        hi = min(lo + 16, n)
        for k in range(lo + 1, hi):
            x = a[k]
            j = k - 1
            while j >= lo and a[j] > x:
                a[j + 1] = a[j]
                j -= 1
            a[j + 1] = x
    width = 16
    swapped = False
    while width < n:
        for lo in range(0, n, 2 * width):
            mid = min(lo + width, n)
            hi = min(lo + 2 * width, n)
            j = lo
            k = mid
            for t in range(lo, hi):
                if j < mid and (k >= hi or a[j] < a[k]):
                    b[t] = a[j]
                    j += 1
                else:
                    b[t] = a[k]
                    k += 1
        a, b = b, a
        swapped = not swapped
        width *= 2
    return swapped

def settle(job, begin, n):
    # A row's entries by ascending index; those of one index are summed, in their order. How many remain.
    indices = ints(job[INDICES] + 4 * begin)
    values = state(job[VALUES] + 4 * begin)
    held = state(job[GATHERED])
    keys = words(job[KEYS])
    for k in range(n):
        keys[k] = (indices[k] << 32) | k
        held[k] = values[k]
    if order(n, keys, words(job[SPARE])):
        keys = words(job[SPARE])
    last = -1
    o = -1
    for k in range(n):
        index = keys[k] >> 32
        v = held[keys[k] & 4294967295]
        if index == last:
            values[o] += v
        else:
            o += 1
            indices[o] = index
            values[o] = v
            last = index
    return o + 1
"""

_LINES = """
def kernel(job):
    p = octets(job[TEXT])
    indptr = words(job[INDPTR])
    bads = words(job[BADS])
    i = job[BEGIN]
    rows = 0
    entries = 0
    lines = 0
    indptr[0] = 0
    while i < job[END] and rows < job[MAX_ROWS]:
        listed = job[LISTED]
        j, n, code = line(job, p, i, rows, entries, reals(job[POWERS]))
        if job[FULL] != 0:
            break
        lines += 1
        if code != 0:
            job[LISTED] = listed
            if job[FAULTY] < MAX_BAD:
                bads[4 * job[FAULTY]] = lines - 1
                bads[4 * job[FAULTY] + 1] = i
                bads[4 * job[FAULTY] + 2] = j
                bads[4 * job[FAULTY] + 3] = code
            job[FAULTY] += 1
            if job[SKIP] == 0:
                break
            while p[j] != 10:
                j += 1
        elif n >= 0:
            entries = n
            rows += 1
            indptr[rows] = n
        i = j + 1
    job[ROWS] = rows
    job[ENTRIES] = entries
    job[AT] = i
    job[LINES] = lines
    return 0
"""

# Both return where the line ends, or where the trouble stands; how many entries there are now, or -1
# where the line holds no row; and the fault.
_SVMLIGHT = """
def too_long(p, i, end):
    # An index of more digits than fit: leading zeros do not count.
    while p[i] == 48:
        i += 1
    index = 0
    for k in range(i, min(end, i + 12)):
        index = index * 10 + (p[k] - 48)
    return index

def line(job, p, i, row, n, powers):
    indices = ints(job[INDICES])
    values = state(job[VALUES])
    begin = n
    while p[i] == 32 or p[i] == 9:
        i += 1
    if p[i] == 10 or p[i] == 35 or (p[i] == 13 and p[i + 1] == 10):
        while p[i] != 10:
            i += 1
        return i, -1, 0
    j, x, verdict = label(job, p, i, row, powers)
    if verdict == 2:
        return i, n, LABEL_SIZE
    c = p[j]
    if verdict == 1 or not (c == 32 or c == 9 or c == 10 or c == 35 or (c == 13 and p[j + 1] == 10)):
        if c == 58 and job[UNLABELLED] != 0:
            x = math.nan
            j = i
        elif c == 58:
            return i, n, NO_LABEL
        else:
            return i, n, LABEL
    reals(job[LABELS])[row] = x
    i = j
    last = -1
    ascending = True
    first = True
    base = job[BASE]
    while True:
        c = p[i]
        while c == 32 or c == 9:
            i += 1
            c = p[i]
        if c == 10 or c == 35 or (c == 13 and p[i + 1] == 10):
            break
        token = i
        index = 0
        d = p[i] - 48
        while 0 <= d <= 9:
            index = index * 10 + d
            i += 1
            d = p[i] - 48
        if i - token > 18:
            index = too_long(p, token, i)
        if i == token or p[i] != 58:
            if first and c == 113 and p[i + 1] == 105 and p[i + 2] == 100 and p[i + 3] == 58:
                i += 4
                j = i
                if p[j] == 45 or p[j] == 43:
                    j += 1
                k = j
                while 48 <= p[j] <= 57:
                    j += 1
                c = p[j]
                if j == k or not (c == 32 or c == 9 or c == 10 or c == 35 or (c == 13 and p[j + 1] == 10)):
                    return token, n, QID
                i = j
                first = False
                continue
            if c == 45 and 48 <= p[token + 1] <= 57:
                return token, n, NEGATIVE
            return token, n, FEATURE
        first = False
        index -= base
        if index < 0:
            return token, n, ZERO
        if index >= job[LIMIT]:
            return token, n, INDEX_SIZE
        i += 1
        j, v, verdict = real(job, p, i, powers)
        c = p[j]
        if verdict == 2:
            return i, n, VALUE_SIZE
        if verdict == 1 or not (c == 32 or c == 9 or c == 10 or c == 35 or (c == 13 and p[j + 1] == 10)):
            return i, n, VALUE
        if n == job[MAX_ENTRIES]:
            job[FULL] = 1
            return i, n, 0
        indices[n] = index
        values[n] = v
        n += 1
        if index <= last:
            ascending = False
        else:
            last = index
        i = j
    end = i
    while p[end] != 10:
        end += 1
    if not ascending and settle(job, begin, n - begin) < n - begin:
        return token, n, TWICE
    if n > begin:
        if indices[n - 1] > job[TOP]:
            job[TOP] = indices[n - 1]
        if indices[begin] < job[LOWEST]:
            job[LOWEST] = indices[begin]
    return end, n, 0
"""

HASH = """
def turn(x, r):
    return ((x << r) | (x >> (32 - r))) & 0xFFFFFFFF

def murmur(p, i, n, seed):
    # MurmurHash3_x86_32 (A. Appleby, public domain) of n bytes at i.
    h = seed & 0xFFFFFFFF
    whole = i + n - n % 4
    for j in range(i, whole, 4):
        k = p[j] | (p[j + 1] << 8) | (p[j + 2] << 16) | (p[j + 3] << 24)
        k = (k * 0xCC9E2D51) & 0xFFFFFFFF
        k = (turn(k, 15) * 0x1B873593) & 0xFFFFFFFF
        h = (turn(h ^ k, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    k = 0
    for j in range(i + n - 1, whole - 1, -1):
        k = (k << 8) | p[j]
    k = (k * 0xCC9E2D51) & 0xFFFFFFFF
    h ^= (turn(k, 15) * 0x1B873593) & 0xFFFFFFFF
    h ^= n
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return h ^ (h >> 16)
"""

_VW = """
def named(p, i, j, seed):
    # The hash of a name: digits are their number plus the seed, everything else is murmured.
    while i < j and p[i] <= 32:
        i += 1
    while i < j and p[j - 1] <= 32:
        j -= 1
    h = 0
    for k in range(i, j):
        d = p[k] - 48
        if not 0 <= d <= 9:
            return murmur(p, i, j - i, seed)
        h = h * 10 + d
    return h + seed

def line(job, p, i, row, n, powers):
    indices = ints(job[INDICES])
    values = state(job[VALUES])
    tags = words(job[TAGS])
    begin = n
    fields = 0
    x = math.nan
    weight = F(1.0)
    tags[2 * row] = 0
    tags[2 * row + 1] = 0
    tagged = False
    while p[i] == 32 or p[i] == 9:
        i += 1
    if p[i] == 10 or (p[i] == 13 and p[i + 1] == 10):
        while p[i] != 10:
            i += 1
        return i, -1, 0
    while p[i] != 124:
        c = p[i]
        if c == 10 or (c == 13 and p[i + 1] == 10):
            return i, n, NO_BAR
        j = i
        while not (c == 32 or c == 9 or c == 10 or c == 124 or (c == 13 and p[j + 1] == 10)):
            j += 1
            c = p[j]
        if tagged:
            return i, n, EXTRA
        if c == 124 or p[i] == 39:
            tagged = True
            if p[i] == 39:
                i += 1
            tags[2 * row] = i
            tags[2 * row + 1] = j
        elif fields == 0:
            k, x, verdict = label(job, p, i, row, powers)
            if verdict == 2:
                return i, n, LABEL_SIZE
            if verdict == 1 or k != j:
                return i, n, LABEL
        elif fields == 1:
            k, weight, verdict = real(job, p, i, powers)
            if verdict == 2:
                return i, n, WEIGHT_SIZE
            if verdict == 1 or k != j:
                return i, n, WEIGHT
            if weight < F(0.0):
                return i, n, WEIGHT_SIGN
        else:
            return i, n, EXTRA
        if not tagged:
            fields += 1
        i = j
        while p[i] == 32 or p[i] == 9:
            i += 1
    if fields == 0 and job[UNLABELLED] == 0:
        return i, n, NO_LABEL
    reals(job[LABELS])[row] = x
    state(job[WEIGHTS])[row] = weight
    ascending = True
    last = -1
    mask = job[LIMIT] - 1
    while p[i] == 124:
        i += 1
        seed = 0
        scale = F(1.0)
        nameless = 0
        c = p[i]
        if not (c == 32 or c == 9 or c == 10 or c == 124 or (c == 13 and p[i + 1] == 10)):
            j = i
            while not (c == 32 or c == 9 or c == 10 or c == 13 or c == 58 or c == 124):
                j += 1
                c = p[j]
            if j == i or (c == 13 and p[j + 1] != 10):
                return i, n, NAMESPACE
            seed = named(p, i, j, 0)
            i = j
            if c == 58:
                i += 1
                j, scale, verdict = real(job, p, i, powers)
                c = p[j]
                if verdict == 2:
                    return i, n, SCALE_SIZE
                if verdict == 1 or not (c == 32 or c == 9 or c == 10 or c == 124 or (c == 13 and p[j + 1] == 10)):
                    return i, n, SCALE
                i = j
        while True:
            c = p[i]
            while c == 32 or c == 9:
                i += 1
                c = p[i]
            if c == 10 or c == 124 or (c == 13 and p[i + 1] == 10):
                break
            token = i
            while not (c == 32 or c == 9 or c == 10 or c == 13 or c == 58 or c == 124):
                i += 1
                c = p[i]
            if i > token:
                index = named(p, token, i, seed) & mask
            else:
                index = (seed + nameless) & mask
                nameless += 1
            v = scale
            if c == 58:
                i += 1
                j, f, verdict = real(job, p, i, powers)
                c = p[j]
                if verdict == 2:
                    return i, n, VALUE_SIZE
                if verdict == 1 or not (c == 32 or c == 9 or c == 10 or c == 124 or (c == 13 and p[j + 1] == 10)):
                    return i, n, VALUE
                v = F(scale * f)
                if not abs(v) <= F(3.4028234663852886e38):
                    return i, n, VALUE_SIZE
                i = j
            elif c == 13 and p[i + 1] != 10:
                return token, n, FEATURE
            if v != F(0.0):
                if n == job[MAX_ENTRIES]:
                    job[FULL] = 1
                    return i, n, 0
                indices[n] = index
                values[n] = v
                n += 1
                if index <= last:
                    ascending = False
                else:
                    last = index
    end = i
    while p[end] != 10:
        end += 1
    if not ascending:
        n = begin + settle(job, begin, n - begin)
        for k in range(begin, n):
            if not abs(values[k]) <= F(3.4028234663852886e38):
                return i, n, SUM_SIZE
    return end, n, 0
"""


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
def _kernel(format: str) -> Kernel:
    codes = [f"{n} = {k}" for k, n in enumerate(_CODES) if n] + [f"MAX_BAD = {BAD}"]
    lines = _SVMLIGHT if format == "svmlight" else HASH + _VW
    return kernel(source("float32", _JOB, ["\n".join(codes), _COMMON, lines, _LINES]))[0]


class Scanner:
    """Scans lines of one format into CSR arrays; its buffers serve texts of up to ``size`` bytes.

    format: "svmlight" or "vw". rows: what one scan may return. base: what is subtracted from an index.
    limit: indices must be smaller (svmlight), or the power of two that hashes are cut to (vw).
    """

    def __init__(
        self, format: str, size: int, rows: int, *, base: int, limit: int, skip: bool, unlabelled: bool
    ) -> None:
        self._run = _kernel(format)
        self._form = {"svmlight": "index:value", "vw": "a feature"}[format]
        self._limit = f"{limit + base - 1} is the largest" if format == "svmlight" else ""
        hashed = format == "vw"
        rows = min(rows, size // 2 + 1)
        entries = size // (2 if hashed else 4) + 1  # no shorter feature than " a", " 1:1"
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
        return f"column {at - line + 1}: " + FAULTS[code].format(
            repr(token), form=self._form, limit=self._limit
        )
