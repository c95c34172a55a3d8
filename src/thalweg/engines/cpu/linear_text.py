"""The printed kernel of a linear model's pass; see ``linear`` for when and why."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...core import clock as scalars
from ...core.catch_up import CatchUp
from ...core.formula import Function, lift
from ...core.rule_parts import RuleParts
from ...core.step_options import StepOptions
from ...core.update import Update
from ...printing.loop import summed_in_lanes
from ...printing.python import indented
from .csr import KINDS
from .job import Job
from .sparse_text import Text, shape
from .text import WIDE, source

AHEAD = {"far": 8, "near": 4, "next": 2}  # rows ahead at which pointers, entries and records are asked for
FIT, CATCH = 0, 1  # phases
JOB = Job(
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
    "draws",
    "counts",
    "hyper",
    "planned",
    "constants",
    "work",
    "room",
    "totals",
)
NUMBERS = ("alpha1", "alpha2", "from", "intercept")  # in front of the hyperparameters
OPTIONS = {"_l1": "n_alpha1", "_weight_decay": "n_alpha2", "_begin": "n_from"}  # by what the clock calls them

_DOT = """
def dot(n, x, w):
    distinct()
{lanes}
"""

_OUTER = """
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
    count = job[COUNT]
    records = job[RECORDS]
    stride = job[STRIDE]
    width = {width}
    now = job[NOW]
    window = job[WINDOW]
    good = job[GOOD]
    log = job[LOG]
    sums = reals(job[SUMS])
    draws = reals(job[DRAWS])
    counts = reals(job[COUNTS])
    constants = reals(job[CONSTANTS])
    table = constants
    hyper = reals(job[HYPER])
    planned = reals(job[PLANNED])
    totals = reals(job[TOTALS])
    job[RESULT] = 0
    if job[PHASE] == {CATCH}:
        for j in range(job[LO], job[HI]):
            at = records + stride * j
{flush}
        return 0
    indptr = {index}(job[INDPTR])
    indices = {index}(job[INDICES])
    order = words(job[ORDER])
    targets = reals(job[TARGETS])
    weights = reals(job[WEIGHTS])
    features = job[FEATURES]
    dense = job[DENSE]
    done = job[DONE]
    work = job[WORK]
    room = job[ROOM]
{buffers}
    z = reals(work)
    slopes = reals(work + 8 * width)
    own = reals(work + 16 * width)
    scalars = reals(log)
{start}
    for k in range(count):
        if now >= job[CAPACITY]:
            break
        row = order[k]
        if dense != 0:
            n = dense
            first = np.int64(0)
            x = {datum}(job[DATA] + {datum_size} * dense * row)
        else:
            first = np.int64(indptr[row])
            n = np.int64(indptr[row + 1]) - first
            x = {datum}(job[DATA] + {datum_size} * first)
            if k + {far} < count:
                prefetch(job[INDPTR] + {index_size} * order[k + {far}])
                prefetch(job[TARGETS] + 8 * order[k + {far}])
            if k + {near} < count:
                begin = np.int64(indptr[order[k + {near}]])
                end = np.int64(indptr[order[k + {near}] + 1])
                for line in range({index_size} * begin, {index_size} * end + 63, 64):
                    prefetch(job[INDICES] + line)
                for line in range({datum_size} * begin, {datum_size} * end + 63, 64):
                    prefetch(job[DATA] + line)
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
        if job[WEIGHTS] != 0:
            weight = weights[row]
        y = targets[row]
        value = D(0.0)
{score}
        totals[0] += weight * value
        totals[1] += weight
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
        job[RESULT] = k + 1
    job[NOW] = now
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


POWERS = 6  # of the penalty of a step, whose sums are kept where lr follows a schedule
NEAR_ZERO = 2.0**-8, 2.0**-5  # up to which log(1 + y) and 1 - exp(-x) are taken from their series
SERIES = {4: (3, 4), 8: (6, 7)}  # how many terms of them tell apart the numbers of a dtype of so many bytes
EXTRA = ("base", "steady", "draw", "pull", "ratio")  # behind the plan's constants
"""The step from which steps are counted; of penalties: the gain over lr that all coordinates share, and where lr is
constant lr l2, lr l1; l1 / l2."""


def horner(x: str, terms: Sequence[str]) -> str:
    """Return t0 - x (t1 - x (t2 - ...))."""
    text = terms[-1]
    for term in reversed(terms[:-1]):
        text = f"({term} - {x} * {text})"
    return text


class Printed(NamedTuple):
    """What a kernel is printed from. zero: hyperparameters that are 0 for the intercept, which has no penalty."""

    rule_parts: RuleParts
    update: Update
    plan: CatchUp
    loss: Function | None
    values: tuple[float, ...]
    planned: tuple[str, ...]
    lags: bool
    single: bool
    options: StepOptions
    zero: tuple[str, ...]


class PassText(Text):
    """The printed source of a pass."""

    short = 0  # what has a closed form is not logged

    def __init__(self, p: Printed, stored: str, index: str, datum: str) -> None:
        super().__init__(p.update, shape(p.rule_parts, p.plan), stored)
        self.p, self.index, self.datum = p, index, datum
        self.kept = [n for n in p.update.arrays if n != "g"]

    def lag(self) -> None:
        """A record from the last step that it has seen to another, with what is summed and penalised."""
        p = self.p
        call = f"catch(n, {self.own}, s, e, window, good, log, constants, table, sums)"
        lines = ["distinct()"]
        if p.options.total and p.plan.kind == "closed" and not self.penalised:
            lines += ["part_ = F(counts[e] - counts[s])", "for i in range(n):"]
            lines.append(f"    {self.place['_total']}[i] += part_ * {self.place['w']}[i]")
        if not p.plan.still:
            lines.append(call)
        if self.penalised:
            self.penalise()
            replayed = "s" if p.plan.kind == "closed" else "s + window"
            gain = f"{self.place['_gain']}, " if "_gain" in self.place else ""
            if self.summed:  # the last steps alone are counted
                call = f"penalise(n, {self.place['w']}, {gain}{self.place['_total']}"
                lines.append("counted = np.int64(counts[e] - counts[s])")
                for some, steps in (
                    ("s < e - counted", "0.0, s, e - counted"),
                    ("counted > 0", "1.0, e - counted, e"),
                ):
                    lines += [f"if {some}:", f"    {call}, {steps}, draws, constants)"]
            else:
                guard = "" if p.plan.kind == "closed" else "if good and e > s + window:\n        "
                lines.append(f"{guard}penalise(n, {self.place['w']}, {gain}{replayed}, e, draws, constants)")
        arguments = f"n, {self.own}, s, e, window, good, log, constants, table, sums, draws, counts"
        self.define("lag", arguments, lines)

    @property
    def penalised(self) -> bool:
        """Whether penalties of absent features have a closed form here."""
        return self.p.options.metric and self.p.plan.kind in ("closed", "bounded")

    @property
    def summed(self) -> bool:
        """Whether what an average sums up has a closed form beside the penalties'."""
        return self.penalised and self.p.options.total

    def penalise(self) -> None:
        """The penalties of steps first_ < j <= last_ without a gradient: the gain rests, lr may follow a schedule.

        With y_j = r lr_j l2 and c = l1 / l2 a step takes |w| + c to (|w| + c) / (1 + y_j), so that all of them take it
        to (|w| + c) exp(-x), x the sum of log(1 + y_j), until w is 0. Powers of y_j are summed for all coordinates.
        Where y is constant and c is 0, the sum of w after each of the steps is w (1 - exp(-x)) / y.
        """
        options, moves = self.p.options, "lr" in self.p.planned
        at = {n: f"constants[{len(self.p.plan.constants) + k}]" for k, n in enumerate(EXTRA)}
        gain, w = self.place.get("_gain"), f"{self.place['w']}[i]"
        row, small, tiny = POWERS + 1, *NEAR_ZERO
        powers, factorials = SERIES[self.real.itemsize]
        head = ["distinct()", f"steady, ratio = {at['steady']}, {at['ratio']}"]
        if moves:
            head += [
                f"sum{m} = draws[last_ * {row} + {m}] - draws[first_ * {row} + {m}]" for m in range(POWERS)
            ]
            head.append(f"most = draws[last_ * {row} + {POWERS}]")
            series = f"r * {horner('r', [f'sum{m} * {1 / (m + 1)!r}' for m in range(powers)])}"
            many = ["x = 0.0", "for j in range(first_ + 1, last_ + 1):"]
            many.append(f"    x += math.log1p(r * (draws[j * {row}] - draws[(j - 1) * {row}]))")
            whole = "r * sum0"
        else:
            head += ["k = D(last_ - first_)", f"most = {at['draw']}", f"pull = {at['pull']}"]
            series = f"k * y * {horner('y', [repr(1 / m) for m in range(1, powers + 1)])}"
            many = ["x = k * math.log1p(y)"]
            whole = "k * r * pull"
        lines = [f"r = D({gain}[i])" if gain else "r = steady", f"w = D({w})"]
        if options.l2:
            lines += ["y = r * most", f"if y <= {small!r}:", f"    x = {series}", "else:"]
            lines += [f"    {line}" for line in many]
            factors = [math.factorial(m) for m in range(1, factorials + 1)]
            lines += [f"if x <= {tiny!r}:", f"    lost = x * {horner('x', [repr(1 / f) for f in factors])}"]
            lines += ["else:", "    lost = -math.expm1(-x)"]
        summed = ""
        if self.summed:
            total = f"{self.place['_total']}[i]"
            lines += ["steps = k", "if y > 0.0:", "    steps = lost / y"]
            lines.append(f"{total} = F(D({total}) + counted * w * steps)")
            summed = f"{self.place['_total']}, counted, "
        if options.l1:
            size = "abs(w) - (abs(w) + ratio) * lost" if options.l2 else f"abs(w) - {whole}"
            lines += [f"size = {size}", "if size <= 0.0:", f"    {w} = F(0.0)"]
            lines += ["else:", f"    {w} = F(math.copysign(size, w))"]
        else:
            lines.append(f"{w} = F(w - w * lost)")
        gain = f"{gain}, " if gain else ""
        self.define(
            "penalise",
            f"n, {self.place['w']}, {gain}{summed}first_, last_, draws, constants",
            [*head, "for i in range(n):", *(f"    {line}" for line in lines)],
        )

    @property
    def abreast(self) -> bool:
        """Whether a row's features catch up together, gathered: where constant penalties alone move them."""
        p = self.p
        alone = p.plan.kind == "closed" and p.plan.still and not p.options.total and "lr" not in p.planned
        return self.penalised and p.single and alone

    def penalise_row(self) -> None:
        """``penalise`` for one row's features, which have been without a gradient for ``gaps`` steps each: the same bits.

        The series are taken for all of them at once; where one is beyond them, that one is done again.
        """
        options = self.p.options
        at = {n: f"constants[{len(self.p.plan.constants) + k}]" for k, n in enumerate(EXTRA)}
        small, tiny = NEAR_ZERO
        powers, factorials = SERIES[self.real.itemsize]
        own = ["r = D(gain_[i])" if "_gain" in self.place else "r = steady", "k = gaps_[i]"]
        head = ["distinct()", f"steady, ratio = {at['steady']}, {at['ratio']}"]
        head += [f"most, pull = {at['draw']}, {at['pull']}"]
        if options.l2:
            series = f"x = k * y * {horner('y', [repr(1 / m) for m in range(1, powers + 1)])}"
            terms = [repr(1 / math.factorial(m)) for m in range(1, factorials + 1)]
            lost = f"lost_[i] = x * {horner('x', terms)}"
            within = f"good_ &= (y <= {small!r}) & (x <= {tiny!r})"
            again = [*own, "y = r * most", series, f"if y > {small!r} or x > {tiny!r} or x != x:"]
            again += [f"    if not y <= {small!r}:", "        x = k * math.log1p(y)"]
            again += [f"    if not x <= {tiny!r}:", "        lost_[i] = -math.expm1(-x)"]
            again += ["    else:", f"        {lost}"]
            head += ["good_ = True", "for i in range(n):"]
            head += [f"    {line}" for line in (*own, "y = r * most", series, lost, within)]
            head += ["if not good_:", "    for i in range(n):", *(f"        {line}" for line in again)]
        lines = ["w = D(w_[i])"]
        if options.l1:
            whole = "abs(w) - (abs(w) + ratio) * lost_[i]" if options.l2 else "abs(w) - k * r * pull"
            lines += [] if options.l2 else own
            lines += [f"size = {whole}", "w_[i] = F(0.0 if size <= 0.0 else math.copysign(size, w))"]
        else:
            lines.append("w_[i] = F(w - w * lost_[i])")
        gain = "gain_, " if "_gain" in self.place else ""
        head += ["for i in range(n):", *(f"    {line}" for line in lines)]
        self.define("penalise_row", f"n, w_, {gain}gaps_, lost_, constants", head)

    def place_of(self, n: str) -> str:
        k = self.kept.index(n)
        return f"state(at + {self.real.itemsize * k} * width)" if k else "state(at)"

    def clock(self) -> tuple[list[str], list[str]]:
        """What is computed once before the rows, and at each."""
        p = self.p
        hyper = p.rule_parts.hyperparameters
        names = {n: f"h_{n}" for n in hyper} | {"t": "now_"} | OPTIONS
        printer = WIDE.named("c_", names)
        start = [f"n_{n} = hyper[{k}]" for k, n in enumerate(NUMBERS)]
        start += [f"h_{n} = hyper[{k + len(NUMBERS)}]" for k, n in enumerate(hyper) if n not in p.planned]
        tick = [f"h_{n} = planned[k * {len(p.planned)} + {k}]" for k, n in enumerate(p.planned)]
        logged = p.plan.kind in ("bounded", "replay")
        moves = bool(p.planned or scalars.moving(p.update.clock) or logged)
        clock, outputs = printer.section(p.update.clock)
        own = {n: f"scalars[{k}]" for k, n in enumerate(p.update.scalars)}
        own |= {"_pull": "0.0", "_draw": "0.0"}  # of the intercept, which has no penalty
        if p.zero:
            without = WIDE.named("i_", names | dict.fromkeys(p.zero, "0.0"))
            lines, own_outputs = without.section(p.update.clock)
            clock, own = [*clock, *lines], own | own_outputs
        for k, n in enumerate(p.update.scalars):
            clock += [f"scalars[{k}] = {outputs[n]}", f"own[{k}] = {own[n]}"]
        tick.append("now_ = D(done + k + 1)")
        if logged:
            tick.append(f"scalars = reals(log + {8 * len(p.update.scalars)} * now)")
        if moves:
            tick += clock
        else:
            start += clock
        if p.lags:
            tick.append("advance(now, window, scalars, constants, table, sums)")
            at = {n: f"scalars[{k}]" for k, n in enumerate(p.update.scalars)}
            if self.penalised and "lr" in p.planned:
                tick.append("power = 1.0")
                for m in range(POWERS if p.options.l2 else 1):
                    tick.append(f"power *= {at['_draw' if p.options.l2 else '_pull']}")
                    tick.append(
                        f"draws[now * {POWERS + 1} + {m}] = draws[(now - 1) * {POWERS + 1} + {m}] + power"
                    )
                if p.options.l2:
                    top = f"draws[(now - 1) * {POWERS + 1} + {POWERS}]"
                    tick.append(f"draws[now * {POWERS + 1} + {POWERS}] = max({top}, {at['_draw']})")
            if p.options.total:
                tick.append(f"counts[now] = counts[now - 1] + {at['_count']}")
        return start, tick

    def lagging(self, to: str) -> list[str]:
        own = ", ".join(self.place_of(n) for n in self.kept)
        return [
            f"seen = ints(at + {self.real.itemsize * len(self.kept)} * width)",
            "last = np.int64(seen[0])",
            f"if last >= 0 and last < {to}:",
            f"    lag(width, {own}, last, {to}, window, good, log, constants, table, sums, draws, counts)",
        ]

    def gaps(self) -> list[str]:
        """For how many steps a feature has had no gradient, before this one; none are missing where it never had one."""
        return [
            f"last = np.int64(ints(at + {self.real.itemsize * len(self.kept)} * width)[0])",
            "gap = now - 1 - last if last >= 0 else 0",
            "gaps[i] = D(gap)",
            "behind = max(behind, gap)",
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
        constants = {n: repr(v) for n, v in zip(formula.scalars[1:], p.values, strict=True)}
        body, result = WIDE.named("l_", {"z": "z_", "y": "y_"} | constants).section(formula)
        body += [f"value += {result['value']}", f"slopes[c_] = weight * ({result['slope']})"]
        if p.single:
            return [*lines, "c_ = 0", "z_ = z[0]", "y_ = y", *body]
        target = "1.0 if c_ == np.int64(y) else -1.0"
        lines += ["for c_ in range(width):", "    z_ = z[c_]", f"    y_ = {target}"]
        return [*lines, *(f"    {x}" for x in body)]

    def whole(self) -> str:
        """Return the whole source."""
        p = self.p
        self.steps()
        if p.lags:
            if self.form.kind in ("closed", "series", "bounded"):
                self.settle()
            self.catch()
            self.advance()
            self.lag()
        if p.single:
            lanes = summed_in_lanes("F(0.0)", lambda i: f"F(x[{i}]) * w[{i}]")
            self.functions |= {"dot": _DOT.format(lanes=indented(lanes, 1)), "outer": _OUTER}
        else:
            self.functions |= {"dots": _DOTS}
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

        behind = self.gaps() if self.abreast else self.lagging("now - 1") if p.lags else []
        gather = copied("{0}[{1}] = {2}[{3}]", behind)
        score = self.score()
        if self.abreast:
            self.penalise_row()
            size = f"{8 * len(p.update.scalars)} + {item} * room * {len(p.update.arrays)}"
            buffers += [f"{n} = reals(work + 16 * width + {size} + {8 * k} * room)" for k, n in enumerate(("gaps", "lost"))]  # fmt: skip
            gain = f"{b['_gain']}, " if "_gain" in b else ""
            tick.append("behind = np.int64(0)")
            catch_up = f"penalise_row(n, {b['w']}, {gain}gaps, lost, constants)"
            score = ["if behind > 0:", f"    {catch_up}", *score]
        scatter = copied("{2}[{3}] = {0}[{1}]", [])
        flush = ["pass"]
        if p.lags:
            scatter.append(f"ints(at + {item * len(self.kept)} * width)[0] = np.int32(now)")
            flush = [*self.lagging("now"), "if last >= 0:", "    seen[0] = np.int32(0)"]
        outer = "outer(n, x, F(slopes[0]), bg)" if p.single else "outers(n, width, x, slopes, bg)"
        self.functions["kernel"] = _KERNEL.format(
            **AHEAD,
            CATCH=CATCH,
            width="1" if p.single else "job[WIDTH]",
            index=KINDS[self.index],
            index_size=np.dtype(self.index).itemsize,
            datum=KINDS[self.datum],
            datum_size=np.dtype(self.datum).itemsize,
            flush=indented(flush, 3),
            buffers=indented(buffers, 1),
            start=indented(start, 1),
            tick=indented(tick, 2),
            gather=indented(gather, 3),
            score=indented(score, 2),
            outer=indented([outer], 2),
            buffers_all=", ".join(b[n] for n in p.update.arrays),
            scatter=indented(scatter, 3),
            intercept=NUMBERS.index("intercept"),
            at_all=", ".join("bg" if n == "g" else self.place_of(n) for n in p.update.arrays),
        )
        return source(self.stored, JOB, self.functions.values())
