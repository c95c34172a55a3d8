"""One line of Vowpal Wabbit: ``[label [importance]] [tag]|namespace[:weight] feature[:value] ...``; murmur3.

``line`` returns what that of SVMlight does. With ``CROSS`` products of features are entries too.
"""

import re

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

CROSS = """
def cross(job, n, parts):
    # Products of a row's entries so far, of the namespaces that are crossed: how many entries there are now, the fault.
    indices = ints(job[INDICES])
    values = state(job[VALUES])
    spaces = words(job[SPACES])
    crossed = octets(job[CROSSED])
    mask = job[LIMIT] - 1
    for s in range(0, 3 * parts, 3):
        for t in range(0, 3 * parts, 3):
            if crossed[256 * spaces[s] + spaces[t]] == 0 or (spaces[s] == spaces[t] and t < s):
                continue
            for i in range(spaces[s + 1], spaces[s + 2]):
                half = PRIME * indices[i]
                for j in range(i if s == t else spaces[t + 1], spaces[t + 2]):
                    v = F(values[i] * values[j])
                    if not abs(v) <= F(3.4028234663852886e38):
                        return n, PRODUCT_SIZE
                    if v != F(0.0):
                        if n == job[MAX_ENTRIES]:
                            if n >= MOST_ENTRIES:
                                return n, PRODUCTS
                            job[FULL] = 2
                            return n, 0
                        indices[n] = (half ^ indices[j]) & mask
                        values[n] = v
                        n += 1
    return n, 0
"""

_LINE = """
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
    spaces = words(job[SPACES])  # products
    parts = 0  # products
    while p[i] == 124:
        i += 1
        seed = 0
        letter = 32  # products
        opened = n  # products
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
            letter = p[i]  # products
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
                c = p[i]
                if c == 32 or c == 9 or c == 10 or c == 124 or (c == 13 and p[i + 1] == 10):
                    j, f, verdict = i, F(1.0), 0  # a colon alone is 1
                else:
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
        if n > opened:  # products
            spaces[3 * parts] = letter  # products
            spaces[3 * parts + 1] = opened  # products
            spaces[3 * parts + 2] = n  # products
            parts += 1  # products
    end = i
    while p[end] != 10:
        end += 1
    opened = n  # products
    n, fault = cross(job, n, parts)  # products
    if fault != 0 or job[FULL] != 0:  # products
        return i, n, fault  # products
    ascending = ascending and n == opened  # products
    if not ascending:
        n = begin + settle(job, begin, n - begin)
        for k in range(begin, n):
            if not abs(values[k]) <= F(3.4028234663852886e38):
                return i, n, SUM_SIZE
    return end, n, 0
"""


def line(products: bool) -> str:
    """The text of ``line``, with or without products of features."""
    return (
        CROSS + _LINE.replace("  # products\n", "\n") if products else re.sub(r".*  # products\n", "", _LINE)
    )
