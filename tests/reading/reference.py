"""Slow, independent readers of both text formats, and what tests share."""

import re
from fractions import Fraction

import numpy as np
from sklearn.utils import murmurhash3_32

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
TOP = Fraction(np.finfo(np.float32).max.item())
HALF = Fraction(2) ** 103  # half the distance from the largest float32 to where the next would be


class BadLine(Exception):
    pass


def need(condition):
    if not condition:
        raise BadLine


def wide(text):
    need(NUMBER.fullmatch(text))
    x = float(text)
    need(np.isfinite(x))
    return x


def narrow(text):
    """The float32 nearest to a decimal number, ties to even, by exact arithmetic."""
    need(NUMBER.fullmatch(text))
    mantissa, _, power = text.lower().partition("e")
    if int(power or 0) < -3000:
        return np.float32(0)
    need(int(power or 0) < 3000 or Fraction(mantissa) == 0)
    exact = Fraction(mantissa) * Fraction(10) ** int(power or 0) if Fraction(mantissa) else Fraction(0)
    need(abs(exact) < TOP + HALF)
    near = np.float32(max(-TOP, min(TOP, exact)))
    with np.errstate(over="ignore", under="ignore"):
        around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(
        (x for x in around if np.isfinite(x)),
        key=lambda x: (abs(Fraction(x.item()) - exact), int(x.view(np.int32)) & 1),
    )


def svmlight(line, base=0):
    """(label, {index: value}) of a line, None where it holds no row; BadLine."""
    line = line.removesuffix("\r").split("#")[0]
    tokens = re.split("[ \t]+", line.strip(" \t"))
    if tokens == [""]:
        return None
    label = wide(tokens.pop(0))
    if tokens and tokens[0].startswith("qid:"):
        need(re.fullmatch(r"qid:[+-]?\d+", tokens.pop(0), re.ASCII))
    row = {}
    for token in tokens:
        need(re.match(r"\d+:", token, re.ASCII))
        index, _, value = token.partition(":")
        need(base <= int(index) < 2**31 - 1 + base and int(index) - base not in row)
        row[int(index) - base] = narrow(value)
    return label, row


def vw_hash(name, seed, mask):
    name = name.strip(bytes(range(33)))
    if re.fullmatch(rb"\d*", name):
        return (int(name or 0) + seed) & mask
    return murmurhash3_32(name, seed & 0xFFFFFFFF, positive=True) & mask


def vw(line, bits=18):
    """(label, {index: value}, weight, tag) of a line, None where it holds no row; BadLine."""
    full = (1 << 64) - 1
    line = line.removesuffix("\r").strip(" \t")
    if not line:
        return None
    need("|" in line)
    head, _, body = line.partition("|")
    words = [w for w in re.split("[ \t]+", head) if w]
    tag = ""
    if words and (not head.endswith((" ", "\t")) or words[-1].startswith("'")):
        tag = words.pop().removeprefix("'")
    need(1 <= len(words) <= 2 and not any(w.startswith("'") for w in words))
    weight = narrow(words[1]) if len(words) == 2 else np.float32(1)
    label = wide(words[0])
    need(weight >= 0)
    row = {}
    with np.errstate(over="ignore", under="ignore"):
        for part in body.split("|"):
            need("\r" not in part)
            seed, scale, nameless = 0, np.float32(1), 0
            if part and part[0] not in " \t":
                name, *rest = re.split("[ \t]", part, maxsplit=1)
                part = rest[0] if rest else ""
                name, colon, value = name.partition(":")
                need(name)
                seed = vw_hash(name.encode("latin-1"), 0, full)
                scale = narrow(value) if colon else scale
            for token in re.split("[ \t]+", part):
                if token:
                    name, colon, value = token.partition(":")
                    index = vw_hash(name.encode("latin-1"), seed, (1 << bits) - 1)
                    if not name:
                        index = (seed + nameless) & ((1 << bits) - 1)
                        nameless += 1
                    v = scale * narrow(value) if value or (colon and "\r" in token) else scale
                    need(np.isfinite(v))
                    if v:
                        row[index] = np.float32(row.get(index, np.float32(0)) + v)
        need(all(np.isfinite(v) for v in row.values()))
    return label, row, weight, tag


def rows_of(blocks):
    """(label, {index: value}) of every row; the laws of a block are checked on the way."""
    made = []
    for b in blocks:
        assert b.row == len(made)
        assert (b.labels.dtype, b.indptr.dtype) == (np.float64, np.int64)
        assert (b.indices.dtype, b.values.dtype) == (np.int32, np.float32)
        assert len(b.indptr) == len(b.labels) + 1 and b.indptr[-1] == len(b.indices) == len(b.values)
        for k, label in enumerate(b.labels):
            row = slice(b.indptr[k], b.indptr[k + 1])
            assert np.all(np.diff(b.indices[row]) > 0)
            assert not len(b.indices[row]) or 0 <= b.indices[row][0] <= b.indices[row][-1] < b.features
            made.append((label, dict(zip(b.indices[row].tolist(), b.values[row], strict=True))))
    return made


def same(a, b):
    """Whether two passes yield the same blocks, bit for bit."""
    a, b = list(a), list(b)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        for name, one, other in zip(x._fields, x, y, strict=True):
            if isinstance(one, np.ndarray):
                assert one.dtype == other.dtype and one.tobytes() == other.tobytes(), name
            else:
                assert one == other, name
    return a


PIECES = (b"\n", b"\r", b"\r\n", b" ", b"\t", b":", b"|", b"#", b"'", b"-", b"+", b".", b"e", b"E", b"nan", b"inf", b"qid:", b"\x00", b"\xff", b"999999999999999999999", b"0", b"1")  # fmt: skip


def mutated(random, text, *more):
    """A text with a few pieces replaced, doubled or cut out."""
    text = bytearray(text)
    for _ in range(random.randint(1, 4)):
        a = random.randint(0, len(text))
        b = random.randint(a, min(len(text), a + random.choice((0, 0, 1, 2, 20))))
        text[a:b] = random.choice((*PIECES, *more, bytes([random.randrange(256)]), bytes(text[a : a + 30])))
    return bytes(text)
