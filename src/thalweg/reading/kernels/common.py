"""What every scanner needs: numbers rounded once, entries put in order, and the loop over lines.

``LINES`` calls the format's own ``line``.
"""

COMMON = """
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

LINES = """
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
