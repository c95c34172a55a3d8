"""Linear models on sparse rows: one compiled pass, in which every row is a step.

A row's features are gathered from their records into contiguous buffers, where the rule's printed step
runs vectorised, and are scattered back. Between two rows that have a feature it is behind; it catches up
when it is gathered, by the rule's plan (``core/idle_model.py``, ``engines/sparse.py``).

a) A feature's weights, states and last step lie side by side in one record, so that a feature costs one
   cache line; the records of the next row are asked for while this one is worked on.
b) Of a rule whose w and states all rest without a gradient nothing is behind, and no step is remembered.
c) Truncation (L1) and the sum of the weights (averaging) have a closed form where w rests or only shrinks
   by products P: with gravity g_j, w at e is P_e max(|w|/P_s - (B_e - B_s), 0), B_t = sum_j<=t g_j / P_j
   (Lipton & Elkan, arXiv 1505.06449), and the sum over s < j <= e is w (C_e - C_s) / P_s, C_t = sum_j<=t P_j.
   Elsewhere, and where both are asked for, each step is replayed.
d) After ``LOG`` steps, or where P becomes too small, everything catches up and counting starts anew.
"""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ...core import clock as scalars
from ...core import update as compose
from ...core.formula import Formula, Function, lift
from ...core.idle_model import GROWTH, CatchUp, plan, rests
from ...core.rule import Rule, RuleParts
from ...core.schedule import Schedule
from ...core.update import StepOptions, Update
from ...errors import HyperparameterError
from ...printing.python import indented
from .. import plain
from ..memory import Array, address
from . import dense as cpu
from . import object_cache as objects
from .sparse import WIDE, Text, shape

LOG = 1 << 18  # steps that are logged before everything catches up
SMALLEST = -300.0  # of the logarithm of a product, before counting starts anew; half of what is safe
AHEAD = {"far": 8, "near": 4, "next": 2}  # rows ahead at which pointers, entries and records are asked for

FIT, CATCH = 0, 1
FIELDS = (
    "phase",
    "count",
    "order",
    "indptr",
    "indices",
    "data",
    "dense",
    "targets",
    "weights",
    "records",
    "stride",
    "features",
    "width",
    "now",
    "capacity",
    "done",
    "window",
    "good",
    "log",
    "sums",
    "pulls",
    "counts",
    "hyper",
    "planned",
    "constants",
    "work",
    "room",
    "result",
)
KINDS = {"float32": "singles", "float64": "reals", "int32": "ints", "int64": "words"}
NUMBERS = ("alpha1", "alpha2", "from", "intercept")  # in front of the hyperparameters

_DOT = """
def dot(n, x, w):
    distinct()
    {zeros} = F(0.0)
    whole = n - n % 8
    for i in range(0, whole, 8):
{lanes}
    for i in range(whole, n):
        lane0 += F(x[i]) * w[i]
    return ((lane0 + lane1) + (lane2 + lane3)) + ((lane4 + lane5) + (lane6 + lane7))

def outer(n, x, slope, g):
    distinct()
    for i in range(n):
        g[i] = slope * F(x[i])
"""

_DOTS = """
def dots(n, width, x, w, z):
    for i in range(n):
        a = F(x[i])
        for c in range(width):
            z[c] += D(a * w[i * width + c])

def outers(n, width, x, slopes, g):
    for i in range(n):
        a = F(x[i])
        for c in range(width):
            g[i * width + c] = F(slopes[c]) * a
"""

_KERNEL = """
def kernel(job):
    count = job[{count}]
    records = job[{records}]
    stride = job[{stride}]
    width = {width}
    now = job[{now}]
    window = job[{window}]
    good = job[{good}]
    log = job[{log}]
    sums = reals(job[{sums}])
    pulls = reals(job[{pulls}])
    counts = reals(job[{counts}])
    constants = reals(job[{constants}])
    table = constants
    hyper = reals(job[{hyper}])
    planned = reals(job[{planned}])
    result = reals(job[{result}])
    job[2] = 0
    if job[{phase}] == 1:
        for j in range(job[0], job[1]):
            at = records + stride * j
{flush}
        return 0
    indptr = {index}(job[{indptr}])
    indices = {index}(job[{indices}])
    order = words(job[{order}])
    targets = reals(job[{targets}])
    weights = reals(job[{weights}])
    features = job[{features}]
    dense = job[{dense}]
    done = job[{done}]
    work = job[{work}]
    room = job[{room}]
{buffers}
    z = reals(work)
    slopes = reals(work + 8 * width)
    own = reals(work + 16 * width)
    scalars = reals(log)
{start}
    for k in range(count):
        if now >= job[{capacity}]:
            break
        row = order[k]
        if dense != 0:
            n = dense
            first = np.int64(0)
            x = {datum}(job[{data}] + {datum_size} * dense * row)
        else:
            first = np.int64(indptr[row])
            n = np.int64(indptr[row + 1]) - first
            x = {datum}(job[{data}] + {datum_size} * first)
            if k + {far} < count:
                prefetch(job[{indptr}] + {index_size} * order[k + {far}])
                prefetch(job[{targets}] + 8 * order[k + {far}])
            if k + {near} < count:
                begin = np.int64(indptr[order[k + {near}]])
                end = np.int64(indptr[order[k + {near}] + 1])
                for line in range({index_size} * begin, {index_size} * end + 63, 64):
                    prefetch(job[{indices}] + line)
                for line in range({datum_size} * begin, {datum_size} * end + 63, 64):
                    prefetch(job[{data}] + line)
            if k + {next} < count:
                begin = np.int64(indptr[order[k + {next}]])
                end = np.int64(indptr[order[k + {next}] + 1])
                for e in range(begin, end):
                    prefetch(records + stride * np.int64(indices[e]))
        now += 1
{tick}
        for i in range(n):
            at = records + stride * np.int64(indices[first + i])
{gather}
        weight = D(1.0)
        if job[{weights}] != 0:
            weight = weights[row]
        y = targets[row]
        value = D(0.0)
{score}
        result[0] += weight * value
        result[1] += weight
{outer}
        step(n * width, {buffers_all}, scalars)
        for i in range(n):
            at = records + stride * np.int64(indices[first + i])
{scatter}
        if hyper[{intercept}] != 0.0:
            at = records + stride * features
            for c in range(width):
                bg[c] = F(slopes[c])
            step(width, {at_all}, own)
        job[2] = k + 1
    job[{now}] = now
    return 0
"""

_MULTINOMIAL = """
top = z[0]
for c in range(width):
    top = max(top, z[c])
total = D(0.0)
for c in range(width):
    slopes[c] = math.exp(z[c] - top)
    total += slopes[c]
label = np.int64(y)
value = top + math.log(total) - z[label]
for c in range(width):
    slopes[c] = slopes[c] / total * weight
slopes[label] -= weight
"""


class Printed(NamedTuple):
    """What a kernel is printed from."""

    rule_parts: RuleParts
    update: Update
    plan: CatchUp
    clock: Formula
    loss: Function | None
    values: tuple[float, ...]
    planned: tuple[str, ...]
    lags: bool
    single: bool
    options: StepOptions


def still(rule_parts: RuleParts) -> bool:
    """Whether neither w nor any state moves without a gradient."""
    if rule_parts.idle is None:
        return False
    made = lift(rule_parts.idle, outputs=("w", *rule_parts.states)).outputs
    return all(isinstance(e, ast.Name) and e.id == n for n, e in made)


def planned(rule: Rule, options: StepOptions, bits: int) -> CatchUp:
    """The plan of a linear model's coordinates: a series does not pay for one row at a time."""
    made = plan(rule, options._replace(truncate=False, total=False), "value", bits)
    if made.kind == "series":
        made = made._replace(kind="bounded", why=f"replay of at most {made.window} steps")
    rule_parts = rule.parts
    closed = (
        made.kind == "closed" and rule_parts.idle is not None and rests(rule_parts.idle, rule_parts.states)
    )
    both = options.truncate and options.total
    if (options.truncate or options.total) and (both or not closed):
        what = "truncation with an average" if both else "truncation" if options.truncate else "an average"
        why = f"replay of every step: {what} has no closed form here"
        made = CatchUp("replay", 1 << 30, (), (), why)
    return made


class _Text(Text):
    """The printed source of a pass."""

    short = 0  # what has a closed form is not logged

    def __init__(self, p: Printed, stored: str, index: str, datum: str) -> None:
        super().__init__(p.update, shape(p.rule_parts, p.plan), stored)
        self.p, self.index, self.datum = p, index, datum
        self.kept = [n for n in p.update.arrays if n != "g"]

    def lag(self) -> None:
        """A record from the last step that it has seen to another, with what is summed and truncated."""
        p, shrinks = self.p, bool(self.p.plan.products)
        closed = p.plan.kind == "closed"
        call = f"catch(n, {self.own}, s, e, window, good, log, constants, table, sums)"
        lines = ["distinct()"]
        if p.options.total and closed:
            scale = " * math.exp(-sums[s])" if shrinks else ""
            lines += [f"part_ = F((counts[e] - counts[s]){scale})", "for i in range(n):"]
            lines.append(f"    {self.place['_total']}[i] += part_ * {self.place['w']}[i]")
        lines.append(call)
        if p.options.truncate and closed:
            scale = " * math.exp(sums[e])" if shrinks else ""
            lines += [f"pull_ = F((pulls[e] - pulls[s]){scale})", "for i in range(n):"]
            w = f"{self.place['w']}[i]"
            lines += [f"    w = {w}", "    if w > pull_:", f"        {w} = w - pull_"]
            lines += ["    elif w < -pull_:", f"        {w} = w + pull_", "    elif w == w:"]
            lines += [f"        {w} = F(0.0)"]
        arguments = f"n, {self.own}, s, e, window, good, log, constants, table, sums, pulls, counts"
        self.define("lag", arguments, lines)

    def place_of(self, n: str) -> str:
        k = self.kept.index(n)
        return f"state(at + {self.real.itemsize * k} * width)" if k else "state(at)"

    def clock(self) -> tuple[list[str], list[str]]:
        """What is computed once before the rows, and at each."""
        p = self.p
        hyper = p.rule_parts.hyperparameters
        values = {n: f"h_{n}" for n in hyper} | {"t": "now_"} | {n: f"c_{n}" for n, _ in p.clock.body}
        printer = WIDE._replace(names=values)
        start = [f"n_{n} = hyper[{k}]" for k, n in enumerate(NUMBERS)]
        start += [f"h_{n} = hyper[{k + len(NUMBERS)}]" for k, n in enumerate(hyper) if n not in p.planned]
        tick = [f"h_{n} = planned[k * {len(p.planned)} + {k}]" for k, n in enumerate(p.planned)]
        logged = p.plan.kind in ("bounded", "replay")
        moves = bool(p.planned or scalars.moving(p.clock) or logged or p.options.total)
        made = printer.lines(p.clock.body)
        outputs = {n: printer.expression(e) for n, e in p.clock.outputs}
        outputs |= {"_keep": "1.0 - h_lr * n_alpha2", "_pull": "h_lr * n_alpha1"}
        outputs |= {"_count": "(1.0 if now_ > n_from else 0.0)"}
        resting = {"_keep": "1.0", "_pull": "0.0"}
        for k, n in enumerate(p.update.scalars):
            made += [f"scalars[{k}] = {outputs[n]}", f"own[{k}] = {resting.get(n, f'scalars[{k}]')}"]
        tick.append("now_ = D(done + k + 1)")
        if logged:
            tick.append(f"scalars = reals(log + {8 * len(p.update.scalars)} * now)")
        if moves:
            tick += made
        else:
            start += made
        if p.lags:
            tick.append("advance(now, window, scalars, constants, table, sums)")
            at = {n: f"scalars[{k}]" for k, n in enumerate(p.update.scalars)}
            product = bool(p.plan.products)
            if p.options.truncate:
                scale = " * math.exp(-sums[now])" if product else ""
                tick.append(f"pulls[now] = pulls[now - 1] + {at['_pull']}{scale}")
            if p.options.total:
                scale = " * math.exp(sums[now])" if product else ""
                tick.append(f"counts[now] = counts[now - 1] + {at['_count']}{scale}")
        return start, tick

    def lagging(self, to: str) -> list[str]:
        own = ", ".join(self.place_of(n) for n in self.kept)
        return [
            f"seen = ints(at + {self.real.itemsize * len(self.kept)} * width)",
            "last = np.int64(seen[0])",
            f"if last >= 0 and last < {to}:",
            f"    lag(width, {own}, last, {to}, window, good, log, constants, table, sums, pulls, counts)",
        ]

    def score(self) -> list[str]:
        """z, the loss and its slopes."""
        p = self.p
        intercept = ["at = records + stride * features"]
        if p.single:
            lines = [*intercept, "z[0] = D(dot(n, x, bw))"]
            lines += ["if n_intercept != 0.0:", "    z[0] += D(state(at)[0])"]
        else:
            lines = [*intercept, "for c in range(width):", "    z[c] = D(0.0)"]
            lines += ["    if n_intercept != 0.0:", "        z[c] = D(state(at)[c])"]
            lines.append("dots(n, width, x, bw, z)")
        if p.loss is None:
            return [*lines, *_MULTINOMIAL.strip().splitlines()]
        formula = lift(p.loss, outputs=("value", "slope"))
        names = {"z": "z_", "y": "y_"} | {n: f"l_{n}" for n, _ in formula.body}
        names |= {n: repr(v) for n, v in zip(formula.scalars[1:], p.values, strict=True)}
        printer = WIDE._replace(names=names)
        made = {n: printer.expression(e) for n, e in formula.outputs}
        body = [*printer.lines(formula.body), f"value += {made['value']}"]
        body.append(f"slopes[c_] = weight * ({made['slope']})")
        if p.single:
            return [*lines, "c_ = 0", "z_ = z[0]", "y_ = y", *body]
        target = "1.0 if c_ == np.int64(y) else -1.0"
        lines += ["for c_ in range(width):", "    z_ = z[c_]", f"    y_ = {target}"]
        return [*lines, *(f"    {x}" for x in body)]

    def source(self) -> tuple[str, tuple[str, ...]]:
        """The source and its functions' names."""
        p = self.p
        self.steps()
        if p.lags:
            if self.form.kind in ("closed", "series", "bounded"):
                self.settle()
            self.catch()
            self.advance()
            self.lag()
        lanes = [f"lane{j} += F(x[i + {j}]) * w[i + {j}]" for j in range(8)]
        if p.single:
            lanes_text = indented(lanes, 2)
            zeros = " = ".join(f"lane{j}" for j in range(8))
            dot, outer = _DOT.format(zeros=zeros, lanes=lanes_text).strip().split("\n\n")
            self.functions |= {"dot": dot + "\n", "outer": outer + "\n"}
        else:
            dots, outers = _DOTS.strip().split("\n\n")
            self.functions |= {"dots": dots + "\n", "outers": outers + "\n"}
        item = self.real.itemsize
        buffers = [
            f"b{n if n in 'wg' else self.kept.index(n)} = state(work + 16 * width + {8 * len(p.update.scalars)} + {item} * room * {k})"
            for k, n in enumerate(p.update.arrays)
        ]
        b = {n: f"b{n if n in 'wg' else self.kept.index(n)}" for n in p.update.arrays}
        start, tick = self.clock()

        def copied(template: str, lines: list[str]) -> list[str]:
            if p.single:
                return lines + [template.format(b[n], "i", self.place_of(n), "0") for n in self.kept]
            made = [f"p_{k} = {self.place_of(n)}" for k, n in enumerate(self.kept)]
            made.append("for c in range(width):")
            made += [
                "    " + template.format(b[n], "i * width + c", f"p_{k}", "c")
                for k, n in enumerate(self.kept)
            ]
            return lines + made

        gather = copied("{0}[{1}] = {2}[{3}]", self.lagging("now - 1") if p.lags else [])
        scatter = copied("{2}[{3}] = {0}[{1}]", [])
        flush = ["pass"]
        if p.lags:
            scatter.append(f"ints(at + {item * len(self.kept)} * width)[0] = np.int32(now)")
            flush = [*self.lagging("now"), "if last >= 0:", "    seen[0] = np.int32(0)"]
        outer = "outer(n, x, F(slopes[0]), bg)" if p.single else "outers(n, width, x, slopes, bg)"
        fields = {n: 3 + k for k, n in enumerate(FIELDS)}
        self.functions["kernel"] = _KERNEL.format(
            **{n: v for n, v in fields.items() if n not in ("width",)},
            **AHEAD,
            width="1" if p.single else f"job[{fields['width']}]",
            index=KINDS[self.index],
            index_size=np.dtype(self.index).itemsize,
            datum=KINDS[self.datum],
            datum_size=np.dtype(self.datum).itemsize,
            flush=indented(flush, 3),
            buffers=indented(buffers, 1),
            start=indented(start, 1),
            tick=indented(tick, 2),
            gather=indented(gather, 3),
            score=indented(self.score(), 2),
            outer=indented([outer], 2),
            buffers_all=", ".join(b[n] for n in p.update.arrays),
            scatter=indented(scatter, 3),
            intercept=NUMBERS.index("intercept"),
            at_all=", ".join("bg" if n == "g" else self.place_of(n) for n in p.update.arrays),
        )
        return f"# {self.stored}\n" + "\n".join(self.functions.values()), tuple(self.functions)


@cache
def _kernel(p: Printed, stored: str, index: str, datum: str) -> cpu.Kernel:
    return cpu.kernel(*_Text(p, stored, index, datum).source())[0]


class Rows(NamedTuple):
    """Examples: CSR arrays (indices distinct within a row), or, without indptr, a dense (n, d) array."""

    data: Array
    indices: Array | None
    indptr: Array | None
    shape: tuple[int, int]


def rows_of(x: Any) -> Rows:
    """A dense array or a CSR matrix (``data``, ``indices``, ``indptr``, ``shape``) as rows; copied where it must be."""
    if isinstance(x, Rows):
        return x
    shape = (x.shape[0], x.shape[1])
    data = x if isinstance(x, np.ndarray) else x.data
    real = data.dtype if data.dtype.name in ("float32", "float64") else np.dtype(np.float64)
    data = np.ascontiguousarray(data, dtype=real)
    if isinstance(x, np.ndarray):
        return Rows(data, None, None, shape)
    kinds = {x.indices.dtype.name, x.indptr.dtype.name}
    index = np.int32 if kinds == {"int32"} else np.int64
    indices, indptr = (np.ascontiguousarray(a, dtype=index) for a in (x.indices, x.indptr))
    return Rows(data, indices, indptr, shape)


_LOOK = """
def kernel(job):
    indptr = {index}(job[4])
    indices = {index}(job[5])
    data = {datum}(job[6])
    features = job[7]
    job[2] = 0
    for r in range(job[0], job[1]):
        last = np.int64(-1)
        for e in range(np.int64(indptr[r]), np.int64(indptr[r + 1])):
            j = np.int64(indices[e])
            if j < 0 or j >= features:
                job[2] = 1
                job[3] = r
                return 0
            if j <= last and job[2] == 0:
                job[2] = 2
                job[3] = r
            last = j
            if not abs(data[e]) <= {largest!r}:
                job[2] = 3
                job[3] = r
                return 0
    return 0
"""
GOOD, OUTSIDE, UNSORTED, NONFINITE = range(4)


def look(rows: Rows) -> tuple[int, int]:
    """What is wrong with CSR rows, if anything, and in which row: OUTSIDE, UNSORTED or NONFINITE."""
    assert rows.indices is not None and rows.indptr is not None
    index, datum = rows.indices.dtype.name, rows.data.dtype.name
    largest = float(np.finfo(rows.data.dtype).max)
    text = f"# {datum}\n" + _LOOK.format(index=KINDS[index], datum=KINDS[datum], largest=largest)
    call = cpu.kernel(text, ("kernel",))[0]
    places = [address(a) if a.size else 0 for a in (rows.indptr, rows.indices, rows.data)]
    job = np.array((0, rows.shape[0], 0, 0, *places, rows.shape[1]), dtype=np.int64)
    call(*objects.CONVENTION, address(job))
    return int(job[2]), int(job[3])


def _stays(update: Update, start: Mapping[str, float], row: Sequence[float]) -> bool:
    """Whether a weight 0 that no gradient has touched stays as it is."""
    element = plain.element(update, np.dtype(np.float64))
    before = {"g": 0.0, "w": 0.0, "_total": 0.0, **start}
    made = element(*(np.float64(before[n]) for n in update.arrays), *map(np.float64, row))
    return all(v == before[n] for n, v in zip(update.written, made, strict=True))


class Pass:
    """A linear model's coordinates, and the pass that trains them.

    rule: its lr drives decay (1 - lr l2 a step, before the rule's) and truncation (lr l1, after it); neither
    touches the intercept. outputs: scores of a row. average: steps after which the weights are summed up;
    None: never. dtype: float32 or float64, of weights, states and arithmetic; the loss is float64.
    """

    def __init__(
        self,
        rule: Rule,
        loss: Function | None,
        values: tuple[float, ...],
        features: int,
        outputs: int,
        *,
        l1: float,
        l2: float,
        intercept: bool,
        average: int | None,
        dtype: str,
    ) -> None:
        self.rule, self.features, self.outputs, self.t = rule, features, outputs, 0
        self.real = np.dtype(dtype)
        options = StepOptions(decoupled=l2 > 0, truncate=l1 > 0, total=average is not None)
        update = compose.update(rule, options, scalars.known(rule))
        self.plan = planned(rule, options, np.finfo(dtype).nmant + 1)
        hyper = rule.hyperparameters
        self._scheduled = tuple(n for n, v in hyper.items() if isinstance(v, Schedule))
        free = self.plan.kind == "closed" and still(rule.parts) and options == StepOptions()
        single = outputs == 1
        self._printed = Printed(
            rule.parts,
            update,
            self.plan,
            rule.clock_formula,
            loss,
            values,
            self._scheduled,
            not free,
            single,
            options,
        )
        self._names = [n for n in update.arrays if n != "g"]
        item = self.real.itemsize
        size = item * outputs * len(self._names) + (0 if free else item)
        self._stride = 1 << (size - 1).bit_length() if size <= 64 else size
        memory = np.zeros((features + 1) * self._stride + 64, dtype=np.uint8)
        skip = -address(memory) % 64
        self._memory = memory[skip : skip + (features + 1) * self._stride]
        self.arrays = {n: self._view(k) for k, n in enumerate(self._names)}
        starts = {n: float(rule.values[n]) for n in rule.parts.states}  # type: ignore[arg-type]
        for n, value in starts.items():
            if value != 0:
                self.arrays[n][...] = value
        self._seen = None if free else self._view(len(self._names), np.dtype(np.int32))[:, 0]
        logged = self.plan.kind in ("bounded", "replay")
        self._capacity = LOG if not free else 1 << 62
        deep = LOG + 2 if not free else 1
        width = max(1, len(update.scalars))
        self._log = np.zeros((deep if logged else 1, width))
        self._sums = np.zeros((deep if self.plan.products else 1, max(1, len(self.plan.products))))
        self._pulls = np.zeros(deep if options.truncate else 1)
        self._counts = np.zeros(deep if options.total else 1)
        self._options = options
        self._now, self._low, self._good = 0, np.inf, True
        constants = [float(hyper[n]) for n in self.plan.constants]  # type: ignore[arg-type]
        self._constants = np.array([*constants, 0.0])
        first = rule.at(0)
        numbers = (l1, l2, float(average or 0), float(intercept))
        self._hyper = np.array([*numbers, *first.values()])
        self._l2, self.average = l2, average
        row = scalars.clock(rule)(1)
        lr = first.get("lr", 0.0)
        extra = {"_keep": 1.0 - lr * l2, "_pull": lr * l1, "_count": 1.0}
        named = dict(zip(scalars.names(rule), row, strict=True)) | extra
        stays = _stays(update, starts, [named[n] for n in update.scalars])
        if self._seen is not None and stays:
            self._seen[:features] = -1

    def _view(self, k: int, dtype: np.dtype[Any] | None = None) -> Array:
        item, outputs = self.real.itemsize, self.outputs
        shape = (self.features + 1, outputs if dtype is None else 1)
        strides = (self._stride, item)
        return np.ndarray(shape, dtype or self.real, self._memory, item * outputs * k, strides)

    def learn(self, rows: Rows, targets: Array, weights: Array | None, order: Array) -> tuple[float, float]:
        """One step for each row in ``order`` (int64); the sums of weight times loss, before each step, and of weights.

        targets, weights: float64 (n,); classes as numbers from 0, or -1 and +1 where there is one score.
        """
        index = "int32" if rows.indices is None else rows.indices.dtype.name
        call = _kernel(self._printed, self.real.name, index, rows.data.dtype.name)
        if rows.indices is None or rows.indptr is None:
            longest = rows.shape[1]
            indices, indptr = np.arange(longest, dtype=np.int32), np.zeros(1, dtype=np.int32)
        else:
            indices, indptr = rows.indices, rows.indptr
            longest = int(np.diff(indptr).max(initial=0))
        room = -(-max(1, longest) * self.outputs // 16) * 16
        arrays = self._printed.update.arrays
        head = 16 * self.outputs + 8 * len(self._printed.update.scalars)
        work = np.empty(head + self.real.itemsize * room * len(arrays) + 64, dtype=np.uint8)
        result = np.zeros(2)
        done, total = 0, len(order)
        while done < total:
            if (
                self._now >= self._capacity
                or self._sums[min(self._now, len(self._sums) - 1)].min() < SMALLEST
            ):
                self.catch_up()
            count = min(total - done, self._capacity - self._now)
            plans = self._schedule(count)
            if self._options.decoupled:
                count = self._shrinking(count, plans)
            words = dict.fromkeys(FIELDS, 0) | {
                "phase": FIT,
                "count": count,
                "order": address(order) + 8 * done,
                "indptr": address(indptr),
                "indices": address(indices) if indices.size else 0,
                "data": address(rows.data) if rows.data.size else 0,
                "dense": longest if rows.indptr is None else 0,
                "targets": address(targets),
                "weights": 0 if weights is None else address(weights),
                "records": address(self._memory),
                "stride": self._stride,
                "features": self.features,
                "width": self.outputs,
                "now": self._now,
                "capacity": self._capacity,
                "done": self.t,
                "planned": address(plans) if plans.size else 0,
                "work": address(work),
                "room": room,
                "result": address(result),
            }
            job = self._job(words, 0, 0)
            call(*objects.CONVENTION, address(job))
            made = int(job[2])
            if self._seen is not None:
                self._now = int(job[3 + FIELDS.index("now")])
                self._seen[self.features] = self._now
            self.t += made
            done += made
        return float(result[0]), float(result[1])

    def begin(self, weights: Array, intercepts: Array) -> None:
        """Begin at given weights (features, outputs) and intercepts (outputs,)."""
        self.arrays["w"][:-1], self.arrays["w"][-1] = weights, intercepts
        if self._seen is not None:
            self._seen[:] = self._now

    def resume(self, arrays: Mapping[str, Array], t: int) -> None:
        """Take over coordinates that were up to date at step t. Raises ValueError where one does not fit."""
        for n, target in self.arrays.items():
            if arrays[n].shape != target.shape or arrays[n].dtype != target.dtype:
                raise ValueError(f"{n} is {arrays[n].dtype} {arrays[n].shape}")
        if t < 0:
            raise ValueError(f"step {t}")
        self.catch_up()
        for n, target in self.arrays.items():
            target[...] = arrays[n]
        if self._seen is not None:
            self._seen[:] = 0
        self.t = t

    def _shrinking(self, count: int, plans: Array) -> int:
        """How many of the next steps may be taken before the products become too small."""
        if "lr" in self._scheduled:
            lr = float(plans[:, self._scheduled.index("lr")].max())
        else:
            lr = self.rule.at(self.t)["lr"]
        if not lr * self._l2 < 1:
            raise HyperparameterError(
                f"l2: lr * l2 must stay below 1, got {lr} * {self._l2} after {self.t} steps"
            )
        if not (self._options.truncate or self._options.total) or lr == 0:
            return count
        return max(1, min(count, int(SMALLEST / np.log1p(-lr * self._l2))))

    def _schedule(self, count: int) -> Array:
        """The scheduled hyperparameters of the next steps, a row each."""
        if not self._scheduled:
            return np.zeros((0, 0))
        steps = range(self.t, self.t + count)
        made = np.array([self.rule.over(n, steps) for n in self._scheduled]).T.copy()
        if self.plan.kind == "bounded" and "lr" in self._scheduled:
            lr = made[:, self._scheduled.index("lr")]
            self._low = min(self._low, float(lr.min()))
            self._good = self._good and float(lr.max()) <= GROWTH * self._low
        return made

    def _job(self, words: dict[str, int], lo: int, hi: int) -> Array:
        words |= {
            "window": self.plan.window,
            "good": int(self._good),
            "log": address(self._log),
            "sums": address(self._sums),
            "pulls": address(self._pulls),
            "counts": address(self._counts),
            "hyper": address(self._hyper),
            "constants": address(self._constants),
        }
        return np.array((lo, hi, 0, *words.values()), dtype=np.int64)

    def catch_up(self) -> None:
        """Bring every coordinate to the last step."""
        if self._seen is not None and self._now:
            words = dict.fromkeys(FIELDS, 0) | {
                "phase": CATCH,
                "records": address(self._memory),
                "stride": self._stride,
                "width": self.outputs,
                "now": self._now,
            }
            call = _kernel(self._printed, self.real.name, "int32", self.real.name)
            job = self._job(words, 0, self.features + 1)
            call(*objects.CONVENTION, address(job))
        self._now, self._low, self._good = 0, np.inf, True
