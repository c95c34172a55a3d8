"""The inside of a compiled run of softmax regression: k scores a row, z = a W, W (n, k), whose last row a 1 in a meets.

Rows are worked on in tiles of ``TILE``, turned on their side, so that every inner loop is contiguous and of
constant length: for the batches of a race that is faster than a call of BLAS. A dense row of ``data`` holds a and
its targets, k numbers of which one is 1; a sparse one some of a's first n - 1 numbers, with the targets beside. Sums
run over inputs and rows in their order, and residuals are divided by the number of rows before they are added, as
``problems.linear`` does; what BLAS adds there, it adds in an order of its own.
"""

from typing import NamedTuple

from .loop_unrolled import Inside
from .loop_wide import BATCH, CALL, PATH, PLACES, RATES

TILE = 32  # rows
SAFE = 700.0**2  # where the squares of a tile's scores sum to less, exp stays in range

# Of the rows of a tile from ``first`` on, in the order of a list or in their own: x (n, TILE), y and z (k, TILE).
_TURN = f"""
def turn(m, n, k, first, listed, order, data, x, y):
    distinct()
    for b in range({TILE}):
        if b < m:
            q = order[first + b] if listed else first + b
            for i in range(n):
                x[i * {TILE} + b] = data[q * (n + k) + i]
            for j in range(k):
                y[j * {TILE} + b] = data[q * (n + k) + n + j]
        else:
            for i in range(n):
                x[i * {TILE} + b] = D(0.0)
"""
_SCORE = f"""
def score(n, k, w, x, z):
    distinct()
    for e in range(k * {TILE}):
        z[e] = D(0.0)
    whole = n - n % 4
    for i in range(0, whole, 4):
        x0 = i * {TILE}
        for j in range(k):
            w0 = w[i * k + j]
            w1 = w[(i + 1) * k + j]
            w2 = w[(i + 2) * k + j]
            w3 = w[(i + 3) * k + j]
            for b in range({TILE}):
                sum2 = (z[j * {TILE} + b] + w0 * x[x0 + b]) + w1 * x[x0 + {TILE} + b]
                z[j * {TILE} + b] = (sum2 + w2 * x[x0 + {2 * TILE} + b]) + w3 * x[x0 + {3 * TILE} + b]
    for i in range(whole, n):
        for j in range(k):
            for b in range({TILE}):
                z[j * {TILE} + b] += w[i * k + j] * x[i * {TILE} + b]
"""
_ADD = """
def add(n, s0, s1, s2, s3, a0, a1, a2, a3, g):
    distinct()
    for i in range(n):
        g[i] = (((g[i] + s0 * a0[i]) + s1 * a1[i]) + s2 * a2[i]) + s3 * a3[i]
"""
_SCORE_SPARSE = f"""
def score(m, n, k, first, listed, order, indptr, indices, data, targets, w, line, y, z):
    distinct()
    for e in range(k * {TILE}):
        z[e] = D(0.0)
    for b in range(m):
        q = order[first + b] if listed else first + b
        for j in range(k):
            line[j] = D(0.0)
            y[j * {TILE} + b] = targets[q * k + j]
        for e in range(np.int64(indptr[q]), np.int64(indptr[q + 1])):
            i = np.int64(indices[e]) * k
            for j in range(k):
                line[j] += data[e] * w[i + j]
        for j in range(k):
            z[j * {TILE} + b] = line[j] + w[(n - 1) * k + j]
"""
_SCATTER = f"""
def scatter(m, n, k, first, listed, order, indptr, indices, data, z, line, g):
    distinct()
    for b in range(m):
        q = order[first + b] if listed else first + b
        for j in range(k):
            line[j] = z[j * {TILE} + b]
        for e in range(np.int64(indptr[q]), np.int64(indptr[q + 1])):
            i = np.int64(indices[e]) * k
            for j in range(k):
                g[i + j] += data[e] * line[j]
        for j in range(k):
            g[(n - 1) * k + j] += line[j]
"""
# Scores into residuals times ``share``, 0 where the tile has no row; or, where that is 0, the sum of the rows' losses.
_SETTLE = f"""
def settle(m, k, share, y, z, sums, picked):
    distinct()
    for b in range({TILE}):
        sums[b] = D(0.0)
        picked[b] = D(0.0)
    for j in range(k):
        for b in range({TILE}):
            sums[b] += z[j * {TILE} + b] * z[j * {TILE} + b]
    size = D(0.0)
    for b in range({TILE}):
        size += sums[b]
    if share == 0.0 or not size < {SAFE!r}:
        for b in range({TILE}):
            sums[b] = z[b]
        for j in range(1, k):
            for b in range({TILE}):
                sums[b] = z[j * {TILE} + b] if z[j * {TILE} + b] > sums[b] else sums[b]
        for j in range(k):
            for b in range({TILE}):
                z[j * {TILE} + b] -= sums[b]
    if share == 0.0:
        for j in range(k):
            for b in range(m):
                if y[j * {TILE} + b] != 0.0:
                    picked[b] += y[j * {TILE} + b] * z[j * {TILE} + b]
    for j in range(k):
        for b in range(m):
            z[j * {TILE} + b] = math.exp(z[j * {TILE} + b])
    for b in range({TILE}):
        sums[b] = D(0.0)
    for j in range(k):
        for b in range({TILE}):
            sums[b] += z[j * {TILE} + b]
    total = D(0.0)
    if share == 0.0:
        for b in range(m):
            total += math.log(sums[b]) - picked[b]
        return total
    for j in range(k):
        for b in range({TILE}):
            z[j * {TILE} + b] = (z[j * {TILE} + b] / sums[b] - y[j * {TILE} + b]) * share
        for b in range(m, {TILE}):
            z[j * {TILE} + b] = D(0.0)
    return total
"""


class _Rows(NamedTuple):
    """How a kernel reads a tile's rows: lines that give their scores, that add to the gradient, and that end it."""

    functions: dict[str, str]
    score: list[str]
    add: list[str]
    end: list[str]


_ROW = "a{0} = job[DATA] + 8 * (n + classes) * (order[at + row] if shuffled else row)"
_DENSE = _Rows(
    {"turn": _TURN, "score": _SCORE, "add": _ADD},
    [
        "turn(m, n, classes, {0}, order, data, reals(s_x), reals(s_y))",
        "score(n, classes, reals(a_w), reals(s_x), reals(s_z))",
    ],
    [
        "z = reals(s_z)",
        "for b in range(0, m, 4):",
        *(f"    {line}" for e in range(4) for line in (f"row = first + min(b + {e}, m - 1)", _ROW.format(e))),
        "    for j in range(classes):",
        f"        e = j * {TILE} + b",
        "        to = reals(s_g + 8 * n * j)",
        "        add(n, z[e], z[e + 1], z[e + 2], z[e + 3], reals(a0), reals(a1), reals(a2), reals(a3), to)",
    ],
    [
        "g = reals(a_g)",
        "turned = reals(s_g)",
        "for j in range(classes):",
        "    for i in range(n):",
        "        g[i * classes + j] = turned[j * n + i]",
        "        turned[j * n + i] = D(0.0)",
    ],
)
_STORED = "order, indptr, indices, data"
_SPARSE = _Rows(
    {"score": _SCORE_SPARSE, "scatter": _SCATTER},
    [f"score(m, n, classes, {{0}}, {_STORED}, targets, reals(a_w), reals(s_g), reals(s_y), reals(s_z))"],
    [f"scatter(m, n, classes, {{0}}, {_STORED}, reals(s_z), reals(s_g), reals(a_g))"],
    [],
)


def room(n: int, k: int, *, sparse: bool) -> int:
    """How many numbers a configuration works with beside its arrays, whole lines of cache."""
    size = 2 * TILE * (k + 1) + (k if sparse else n * (TILE + k))
    return -(-size // 16) * 16


def inside(*, sparse: bool) -> Inside:
    """Return the lines of one configuration's run over dense or sparse rows; float64 only."""
    rows = _SPARSE if sparse else _DENSE
    start = [
        *PLACES,
        "classes = job[CLASSES]",
        "n = d // classes",
        "s_z = job[SCRATCH] + 8 * c * job[ROOM]",
        f"s_y = s_z + {8 * TILE} * classes",
        f"s_sums = s_y + {8 * TILE} * classes",
        f"s_picked = s_sums + {8 * TILE}",
        f"s_g = s_picked + {8 * TILE}",
        "s_x = s_g + 8 * n * classes",
    ]
    taken = "at + first if shuffled else first, shuffled"
    settle = "settle(m, classes, {0}, reals(s_y), reals(s_z), reals(s_sums), reals(s_picked))"
    step = [
        *BATCH,
        f"for first in range(0, used, {TILE}):",
        f"    m = min({TILE}, used - first)",
        *(f"    {line.format(taken)}" for line in rows.score),
        f"    {settle.format('1.0 / D(used)')}",
        *(f"    {line.format(taken)}" for line in rows.add),
        *rows.end,
        "if penalty != 0.0:",
        "    for i in range(d - classes):",
        "        reals(a_g)[i] += penalty * reals(a_w)[i]",
        "divisor = 1",
        *CALL,
    ]
    loss = [
        "loss = D(0.0)",
        f"for first in range(0, rows, {TILE}):",
        f"    m = min({TILE}, rows - first)",
        *(f"    {line.format('first, False')}" for line in rows.score),
        f"    loss += {settle.format('D(0.0)')}",
        "loss = loss / D(rows)",
        "if penalty != 0.0:",
        "    squares = D(0.0)",
        "    for i in range(d - classes):",
        "        squares += reals(a_w)[i] * reals(a_w)[i]",
        "    loss += 0.5 * penalty * squares",
    ]
    return Inside({**rows.functions, "settle": _SETTLE}, start, step, loss, PATH, RATES)
