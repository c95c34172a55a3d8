"""One line of SVMlight: ``label [qid:number] index:value ... [# comment]``.

``line`` returns where the line ends, or where the trouble stands; how many entries there are now, or -1
where the line holds no row; and the fault.
"""

LINE = """
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
