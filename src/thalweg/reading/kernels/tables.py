"""Rows of tables: names hashed to features; numbers and hashed features as one CSR row each."""

from ...engines.cpu.job import Job

NAMES_JOB = Job("text", "ends", "hashes", "count", "mask", "offset")
NAMES = """
def kernel(job):
    p = octets(job[TEXT])
    ends = words(job[ENDS])
    made = ints(job[HASHES])
    for k in range(job[COUNT]):
        made[k] = (murmur(p, ends[k], ends[k + 1] - ends[k], 0) & job[MASK]) + job[OFFSET]
    return 0
"""

ROWS_JOB = Job(
    "numbers", "hashed", "indptr", "indices", "values", "rows", "width", "texts", "shares", "entries"
)
# A row's numbers that are not 0, then its hashed features by ascending index, equal ones summed.
ROWS = """
def kernel(job):
    numbers = state(job[NUMBERS])
    hashed = ints(job[HASHED])
    indptr = words(job[INDPTR])
    indices = ints(job[INDICES])
    values = state(job[VALUES])
    width = job[WIDTH]
    more = job[TEXTS]
    n = 0
    indptr[0] = 0
    for r in range(job[ROWS]):
        for k in range(width):
            x = numbers[r * width + k]
            if x != F(0.0):
                indices[n] = k
                values[n] = x
                n += 1
        first = n
        for k in range(more):
            index = hashed[r * more + k]
            if index >= 0:
                at = n
                while at > first and indices[at - 1] >= index:
                    at -= 1
                if at < n and indices[at] == index:
                    values[at] += F(1.0)
                else:
                    for j in range(n, at, -1):
                        indices[j] = indices[j - 1]
                        values[j] = values[j - 1]
                    indices[at] = index
                    values[at] = F(1.0)
                    n += 1
        indptr[r + 1] = n
    job[ENTRIES] = n
    return 0
"""

# The same where hashed features have values of their own, those that are 0 left out.
WEIGHTED_ROWS = (
    ROWS.replace("    n = 0\n", "    shares = state(job[SHARES])\n    n = 0\n")
    .replace("if index >= 0:", "if index >= 0 and shares[r * more + k] != F(0.0):")
    .replace("+= F(1.0)", "+= shares[r * more + k]")
    .replace("= F(1.0)", "= shares[r * more + k]")
)
