"""Sparse gradients: a step touches the rows that the gradient touches, and equals the dense step.

A parameter is a table of rows. A step at t works on the rows given; each is first brought from the last
step that it has seen to t - 1, as the rule's ``CatchUp`` says (``core/idle_model.py``), and then steps. Rows
that nobody touches cost nothing until they are read, flushed or touched.

a) ``seen`` holds the last step of each row, counted from ``base``, where all rows were current; -1 is
   a row that no gradient has touched since the start, and that therefore does not move.
b) The scalars of every step since ``base`` are logged, for replay; so are the logarithms of what
   multiplies w or a state at every step, summed.
c) For a series, entry s of a table holds the sums A_i over the idle steps after s. Each step adds a term
   to the entries of the last ``window`` steps; older ones are complete. A row reads one entry.
d) The log is bounded: after ``LOG`` steps everything is flushed, and ``base`` moves.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ...core.formula import Function, lift
from ...core.idle_model import GROWTH, CatchUp, split
from ...core.math import LIBM
from ...core.rule import RuleParts
from ...core.update import Update
from ...printing.python import Printer, indented
from .. import plain
from ..memory import Array, address, limit
from . import dense as cpu
from . import object_cache as objects
from .dense import CHECK_FINITE, NARROW, PRINTER, real_of

LOG = 1 << 16  # steps that are logged before everything is flushed
SHORT = 16  # steps up to which replay costs no more than a short cut, and has a dense run's very bits
TERMS = 8  # of a series; one more bounds its error
GRAIN = 1 << 17  # coordinates below which a second thread costs more than it saves

WIDE = Printer(  # a short cut is computed in float64 and rounded once
    power="math.pow({0}, {1})",
    functions={n: f"{'np' if n == 'floor' else 'math'}.{n}({{0}})" for n in LIBM}
    | {"sqrt": "math.sqrt({0})", "abs": "abs({0})"},
)

# The words of a job after its slice [0, 1) of rows and its result.
FIELDS = [
    "phase",
    "rows",
    "values",
    "seen",
    "width",
    "to",
    "mark",
    "scalars",
    "log",
    "constants",
    "window",
    "table",
    "sums",
    "skip",
    "good",
    "arrays",
]
AT = {n: 3 + k for k, n in enumerate(FIELDS)}
CHECK, STEP, CATCH, ADVANCE = 1, 2, 4, 8  # phases

# Rows lie anywhere, so that nothing but the list of them tells the memory what is needed next.
NEAR = 8  # rows ahead
_ASK = """
def ask(size, start):
    for line in range(0, min(size, 512), 64):
        prefetch(start + line)
"""

_KERNEL = """
def kernel(job):
    lo = job[0]
    hi = job[1]
    job[2] = 0
    phase = job[{phase}]
    n = job[{width}]
    scalars = reals(job[{scalars}])
    constants = reals(job[{constants}])
    table = reals(job[{table}])
    sums = reals(job[{sums}])
    window = job[{window}]
    if phase & 1:
        if not check((hi - lo) * n, store(job[{values}] + {itemsize} * n * lo)):
            job[2] = 1
            return 0
    if phase & 6:
        to = job[{to}]
        skip = job[{skip}]
        seen = ints(job[{seen}])
        arrays = words(job[{arrays}])
        for r in range(lo, hi):
            row = r
            if job[{rows}] != 0:
                row = words(job[{rows}])[r]
                if r + {far} < hi:
                    prefetch(job[{seen}] + 4 * words(job[{rows}])[r + {far}])
                if r + {near} < hi:
                    later = words(job[{rows}])[r + {near}]
{ask}
            last = np.int64(seen[row])
            still = last < 0 and skip != 0
            if last < 0:
                last = np.int64(0)
            if last < to and not still:
                catch(n, {own}, last, to, window, job[{good}], job[{log}], constants, table, sums)
            if phase & 2:
                step(n, {all}, scalars)
                seen[row] = np.int32(to + 1)
            elif not still:
                seen[row] = np.int32(job[{mark}])
    if phase & 8:
        advance(job[{to}], window, scalars, constants, table, sums)
    return 0
"""


class Shape(NamedTuple):
    """What a sparse kernel is printed from, besides the update itself."""

    kind: str
    idle: Function | None
    idle_states: Function | None
    move_terms: Function | None
    move_scale: Function | None
    states: tuple[str, ...]
    constants: tuple[str, ...]
    products: tuple[tuple[str, tuple[str, ...]], ...]


def shape(rule_parts: RuleParts, plan: CatchUp) -> Shape:
    """The printed kernel's parts for a plan."""
    idle_model = rule_parts.idle_model
    series = plan.kind == "series" and idle_model is not None
    fades = plan.kind in ("series", "bounded") and idle_model is not None
    return Shape(
        plan.kind,
        rule_parts.idle if plan.kind == "closed" else None,
        idle_model.idle_states if fades and idle_model else None,
        idle_model.move_terms if series and idle_model else None,
        idle_model.move_scale if series and idle_model else None,
        rule_parts.states,
        plan.constants,
        plan.products,
    )


class Text:
    """The printed source of a sparse kernel, function by function."""

    short = SHORT

    def __init__(self, update: Update, form: Shape, stored: str) -> None:
        self.update, self.form, self.stored = update, form, stored
        self.real = real_of(stored)
        self.widen, self.narrow = NARROW.get(stored, ("", ""))
        self.itemsize = 2 if self.narrow else self.real.itemsize
        self.place = {n: f"p{k}" for k, n in enumerate(update.arrays)}
        self.own = ", ".join(self.place[n] for n in update.arrays if n != "g")
        self.names = cpu.own(update, form.constants)
        self.step_printer, self.printer = (p._replace(names=self.names) for p in (PRINTER, WIDE))
        self.functions: dict[str, str] = {}

    def wide(self, name: str) -> int:
        """Bytes of a number in an array."""
        return self.itemsize if name in self.update.stored else self.real.itemsize

    def load(self, name: str) -> str:
        at = f"{self.place[name]}[i]"
        return f"{self.widen}({at})" if name in self.update.stored else at

    def write(self, name: str, value: str) -> str:
        made = f"{self.narrow}({value})" if name in self.update.stored else value
        return f"{self.place[name]}[i] = {made}"

    def loop(
        self, read: Iterable[str], lines: Iterable[str], written: Mapping[str, str], wide: bool = False
    ) -> list[str]:
        """Over the coordinates of a row: read, compute (in float64 if ``wide``), write."""
        kind, back = ("D({0})", "F({0})") if wide else ("{0}", "{0}")
        body = [f"{self.names[n]} = {kind.format(self.load(n))}" for n in read]
        body += lines
        body += [f"new{k} = {back.format(e)}" for k, e in enumerate(written.values())]
        body += [self.write(n, f"new{k}") for k, n in enumerate(written)]
        return ["for i in range(n):", *(f"    {line}" for line in body)]

    def define(self, name: str, arguments: str, lines: Iterable[str]) -> None:
        self.functions[name] = f"def {name}({arguments}):\n{indented(lines, 1)}\n"

    def hoisted(
        self, function: Function, outputs: Sequence[str], stem: str = "row"
    ) -> tuple[list[str], list[str], dict[str, str]]:
        """A formula's lines for a row, those for a coordinate, and its outputs, all in float64."""
        formula = lift(function, outputs=outputs)
        made = split(formula._replace(inputs=tuple(n for n in formula.inputs if n != "k")), stem)
        printer = self.printer
        outputs_made = {n: printer.expression(e) for n, e in made.outputs}
        return printer.lines(made.row), printer.lines(made.body), outputs_made

    def constants(self) -> list[str]:
        return [f"{self.names[n]} = constants_[{k}]" for k, n in enumerate(self.form.constants)]

    def factors(self, first: str, last: str, name: str) -> list[str]:
        """What multiplies coordinates from one step to another."""
        wide = len(self.form.products)
        return [
            f"{name}_{n} = math.exp(sums_[{last} * {wide} + {q}] - sums_[{first} * {wide} + {q}])"
            for q, (n, _) in enumerate(self.form.products)
        ]

    def multiplied(self, name: str, value: str) -> str:
        return f"(whole_{name} * {value})" if name in dict(self.form.products) else value

    def steps(self) -> None:
        """One step with a gradient, one without."""
        update = self.update
        names, printer = self.names, self.step_printer
        scalars = [f"{names[n]} = F(scalars[{k}])" for k, n in enumerate(update.scalars)]
        lines = printer.lines(update.body)
        written = {n: printer.expression(e) for n, e in update.written.items()}
        pointers = ", ".join(self.place.values())
        self.define(
            "step",
            f"n, {pointers}, scalars",
            ["distinct()", *scalars, *self.loop(update.arrays, lines, written)],
        )
        # What accumulates is for the step that ends it; one without gradient neither reads nor clears it.
        others = [n for n in update.arrays if n not in ("g", "_a")]
        kept = {n: e for n, e in written.items() if n != "_a"}
        zeros = [f"{names[n]} = F(0.0)" for n in ("g", "_a") if n in update.arrays]
        without = ["distinct()", *scalars, *zeros, *self.loop(others, lines, kept)]
        self.define("rest", f"n, {self.own}, scalars", without)

    def settle(self) -> None:
        """Steps without a gradient in closed form: of w too, or of the states alone."""
        form = self.form
        multiplied = [n for n, _ in form.products]
        if form.idle is not None:
            function, outputs = form.idle, ("w", *form.states)
        else:
            assert form.idle_states is not None
            function, outputs = form.idle_states, tuple(n for n in form.states if n not in multiplied)
        row, body, made = self.hoisted(function, outputs)
        made |= {n: self.names[n] for n in multiplied if n not in made}
        written = {n: self.multiplied(n, e) for n, e in made.items() if n in multiplied or e != self.names[n]}
        read = [n for n in self.update.arrays if n in made]
        head = ["distinct()", "k = D(last_ - first_)", *self.constants(), *row]
        head += self.factors("first_", "last_", "whole")
        self.define(
            "settle",
            f"n, {self.own}, first_, last_, constants_, sums_",
            [*head, *self.loop(read, body, written, wide=True)],
        )

    def glide(self) -> None:
        """The series; 0 where it does not hold for some coordinate, and then nothing is changed."""
        form = self.form
        assert form.idle_states is not None and form.move_terms is not None
        multiplied = [n for n, _ in form.products]
        faded = tuple(n for n in form.states if n not in multiplied)
        row, body, made = self.hoisted(form.idle_states, faded)
        pole_row, pole_body, move_terms = self.hoisted(
            form.move_terms, ("pole_p", "pole_y", "pole_e"), "move_terms"
        )
        tolerance = 2.0 ** -(27 if self.real == np.float32 else 56)
        shrinks = "w" in multiplied
        head = [
            "distinct()",
            "k = D(last_ - first_)",
            *self.constants(),
            *row,
            *pole_row,
            "end_ = first_ + window_",
            "if end_ > last_:",
            "    end_ = last_",
            *self.factors("first_", "last_", "whole"),
            *self.factors("end_", "last_", "tail"),
            f"entry_ = first_ * {TERMS + 1}",
            *(f"sum{i} = {'tail_w * ' * shrinks}table_[entry_ + {i}]" for i in range(TERMS)),
            "bound_ = math.inf",
            f"over_ = abs(table_[entry_ + {TERMS}])",
            "if not over_ < math.inf:",
            "    return 0",
            "if over_ > 0.0:",
            f"    bound_ = math.pow({tolerance!r} * abs(table_[entry_]) / over_, {1 / TERMS!r})",
            "good_ = True",
        ]
        values = [f"{n} = {e}" for n, e in move_terms.items()]
        reads = [n for n in self.update.arrays if n in form.states]
        test = "good_ &= (pole_p == 0.0) | ((pole_y > 0.0) & (pole_e <= bound_ * pole_y))"
        head += self.loop(reads, [*pole_body, *values, test], {}, wide=True)
        head += ["if not good_:", "    return 0"]
        horner = f"sum{TERMS - 1}"
        for i in range(TERMS - 2, -1, -1):
            horner = f"(sum{i} - over_x * {horner})"
        lines = [*pole_body, *values]
        lines += ["still_ = pole_p == 0.0", "base_ = 1.0 if still_ else pole_y"]
        lines += ["over_x = pole_e / base_", f"move_ = (pole_p / base_) * {horner}"]
        rest = f"{'whole_w * ' * shrinks}{self.names['w']}"
        moved = f"({rest} if still_ else {rest} - move_)"
        written = {"w": moved, **made}
        written |= {n: self.multiplied(n, self.names[n]) for n in multiplied if n != "w"}
        written = {n: e for n, e in written.items() if e != self.names[n]}
        head += [*self.loop(["w", *reads], [*lines, *body], written, wide=True), "return 1"]
        self.define("glide", f"n, {self.own}, first_, last_, window_, constants_, table_, sums_", head)

    def catch(self) -> None:
        """A row from the last step that it has seen to another."""
        kind, tail = self.form.kind, "_rate" in self.update.written
        move_scale = 8 * len(self.update.scalars)
        last = [f"rest(n, {self.own}, reals(log + {move_scale} * e))"] * tail
        settle = f"settle(n, {self.own}, {{0}}, e - {int(tail)}, constants, sums)"
        lines = ["m = e - s"]
        if kind == "closed":
            lines += [f"if good and m > {self.short}:", f"    {settle.format('s')}"]
            lines += [*(f"    {x}" for x in last), "    return"]
        if kind == "series":
            lines += [f"if good and m > {self.short}:"]
            lines += [f"    if glide(n, {self.own}, s, e, window, constants, table, sums):", "        return"]
        if kind in ("series", "bounded"):
            lines += ["if good and m > window:", "    m = window"]
        lines += [
            "for j in range(s + 1, s + m + 1):",
            f"    rest(n, {self.own}, reals(log + {move_scale} * j))",
        ]
        if kind in ("series", "bounded"):
            lines += [
                "if e > s + m:",
                f"    if e - {int(tail)} > s + m:",
                f"        {settle.format('s + m')}",
            ]
            lines += [f"    {x}" for x in last]
        if kind == "lazy":
            lines = ["pass"]
        self.define("catch", f"n, {self.own}, s, e, window, good, log, constants, table, sums", lines)

    def advance(self) -> None:
        """After a step: what later steps will need of it."""
        form, scalars = self.form, self.update.scalars
        wide = len(form.products)
        factor = {n: " * ".join(f"scalars[{scalars.index(x)}]" for x in names) for n, names in form.products}
        lines = [
            f"sums[now * {wide} + {q}] = sums[(now - 1) * {wide} + {q}] + math.log({factor[n]})"
            for q, n in enumerate(factor)
        ]
        if form.move_scale is not None:
            formula = lift(form.move_scale, outputs=("pace_a", "pace_b"))
            read = [f"{self.names[n]} = scalars[{scalars.index(n)}]" for n in formula.scalars]
            made = [f"{n} = {self.printer.expression(e)}" for n, e in formula.outputs]
            inner = [
                "k = D(now - entry_)",
                *self.printer.lines(formula.body),
                *made,
                "over_ = 1.0 / pace_b",
                "term_ = pace_a * over_",
                f"for i in range({TERMS + 1}):",
                f"    table[entry_ * {TERMS + 1} + i] = kept_ * table[entry_ * {TERMS + 1} + i] + term_",
                "    term_ *= over_",
            ]
            lines += [
                *read,
                f"kept_ = {factor.get('w', '1.0')}",
                "for entry_ in range(max(0, now - window), now):",
                *(f"    {x}" for x in inner),
                f"for i in range({TERMS + 1}):",
                f"    table[now * {TERMS + 1} + i] = 0.0",
            ]
        self.define("advance", "now, window, scalars, constants, table, sums", [*lines, "pass"])

    def whole(self) -> tuple[str, tuple[str, ...]]:
        """The source and its functions' names, in order."""
        top = limit(self.real if self.stored == "bfloat16" else np.dtype(self.stored), self.update.power)
        self.functions["check"] = CHECK_FINITE.format(load_g=f"{self.widen}(g[i])", limit=top)
        self.steps()
        if self.form.kind in ("closed", "series", "bounded"):
            self.settle()
        if self.form.kind == "series":
            self.glide()
        self.catch()
        self.advance()
        fields = AT
        others = [n for n in self.update.arrays if n != "g"]

        def at(n: str) -> str:
            if n == "g":
                return f"store(job[{fields['values']}] + {self.itemsize} * n * r)"
            kind = "store" if n in self.update.stored else "state"
            return f"{kind}(arrays[{others.index(n)}] + {self.wide(n)} * n * row)"

        ask = [
            f"ask(n * {size}, arrays[{k}] + n * {size} * later)"
            for k, size in enumerate(map(self.wide, others))
        ]
        self.functions["ask"] = _ASK
        self.functions["kernel"] = _KERNEL.format(
            **fields,
            near=NEAR,
            far=2 * NEAR,
            ask=indented(ask, 5),
            itemsize=self.itemsize,
            own=", ".join(map(at, others)),
            all=", ".join(map(at, self.update.arrays)),
        )
        return f"# {self.stored}\n" + "\n".join(self.functions.values()), tuple(self.functions)


@cache
def kernel(update: Update, form: Shape, stored: str) -> tuple[cpu.Kernel, cpu.Kernel]:
    """The compiled kernel of a sparse update: releasing the interpreter's lock, and not."""
    return cpu.kernel(*Text(update, form, stored).whole())


def stands(update: Update, start: Mapping[str, float], scalars: Iterable[Sequence[float]]) -> bool:
    """Whether a step without gradient leaves any w and the states that a run starts with as they are."""
    element = plain.element(update, np.dtype(np.float64))
    others = [n for n in update.written if n not in ("w", "_rate")]
    for row in scalars:
        for w in (0.7, -1.3e3, 0.0):
            before = {"g": 0.0, "w": w, "_a": 0.0, "_rate": 0.0, "_average": w, **start}
            made = element(*(np.float64(before[n]) for n in update.arrays), *row)
            after = dict(zip(update.written, made, strict=True))
            if after["w"] != w or any(after[n] != before[n] for n in others):
                return False
    return True


class Table:
    """A parameter as rows: how far each is, and what is needed to bring it up to date.

    addresses: of ``update.arrays`` but g, each holding ``rows`` times ``width`` numbers; ``keep`` holds
    them alive. t: steps done so far. fresh: no row has been touched yet. The caller has checked
    indices (``Gatherer``) and knows the scalars of each step.
    """

    def __init__(
        self,
        rule_parts: RuleParts,
        update: Update,
        plan: CatchUp,
        stored: str,
        addresses: Sequence[int],
        rows: int,
        width: int,
        *,
        t: int,
        fresh: bool,
        keep: Any = None,
    ) -> None:
        form = shape(rule_parts, plan)
        self.plan, self.rows, self.width, self.t = plan, rows, width, t
        self._call, self._quick = kernel(update, form, stored)
        self._products = [[update.scalars.index(x) for x in names] for _, names in plan.products]
        self._keep = np.array(addresses, dtype=np.int64), keep
        self._seen = np.full(rows, -1 if fresh else 0, dtype=np.int32)
        self._fresh = fresh
        self._log = np.zeros((LOG + 2, max(1, len(update.scalars))))  # mapped, not touched, until used
        self._sums = np.zeros((LOG + 2, max(1, len(plan.products))))
        self._table = np.zeros((LOG + 2 if plan.kind == "series" else 1, TERMS + 1))
        self._constants = np.zeros(max(1, len(plan.constants)))
        self._known: tuple[float, ...] | None = None
        self._base, self._changed, self._low, self._good = t, -LOG, np.inf, True
        self._grain = max(1, GRAIN // max(1, width))
        self._place()

    def _place(self) -> None:
        """Where things lie, in the job that every pass shares."""
        job = np.zeros(3 + len(FIELDS), dtype=np.int64)
        self._job, self._start = memoryview(job), address(job)  # type: ignore[arg-type]
        for name, array in (
            ("seen", self._seen),
            ("log", self._log),
            ("constants", self._constants),
            ("table", self._table),
            ("sums", self._sums),
            ("arrays", self._keep[0]),
        ):
            self._job[AT[name]] = address(array)
        self._job[AT["width"]], self._job[AT["window"]] = self.width, self.plan.window

    def _run(
        self,
        phase: int,
        total: int,
        rows: int = 0,
        values: int = 0,
        to: int = 0,
        mark: int = 0,
        scalars: int = 0,
    ) -> int:
        job = self._job
        job[1], job[2], job[3], job[4], job[5] = total, 0, phase, rows, values
        job[AT["to"]], job[AT["mark"]], job[AT["scalars"]] = to, mark, scalars
        job[AT["skip"]], job[AT["good"]] = self._fresh, self._good
        size = total * self.width
        # A check reads in order: it is over before a thread has woken.
        if size < (8 * GRAIN if phase == CHECK else GRAIN):
            call = self._quick if size < cpu.SMALL else self._call
            call(*objects.CONVENTION, self._start)
            return job[2]
        return cpu.run(self._call, job[3:].tolist(), total, self._grain)

    def refine(self) -> None:
        """From rows to single coordinates."""
        self._seen = np.repeat(self._seen, self.width)
        self.rows, self.width, self._grain = self.rows * self.width, 1, GRAIN
        self._place()

    def lies_at(self, addresses: Sequence[int]) -> None:
        """The same arrays, somewhere else."""
        self._keep[0][:] = addresses

    def finite(self, values: Array) -> bool:
        """Whether every entry of a gradient's rows is finite and small enough for the states."""
        return self._run(CHECK, len(values), values=address(values)) == 0

    def step(
        self, rows: Array, values: Array, scalars: Sequence[float], constants: tuple[float, ...], lr: float
    ) -> None:
        """Step t + 1: rows (int64, distinct) with the gradients ``values``, all others with none.

        scalars: of the update; constants: the plan's hyperparameters at this step.
        """
        if self.t - self._base >= LOG:
            self.catch_up()
        self._agree(scalars, constants, lr)
        now = self.t - self._base + 1
        self._log[now, : len(scalars)] = scalars
        row = address(self._log) + self._log.strides[0] * now
        self._run(STEP, len(rows), rows=address(rows), values=address(values), to=now - 1, scalars=row)
        if self._table.shape[0] > 1 or self._products:
            self._run(ADVANCE, 0, to=now, scalars=row)
        self.t += 1

    def _agree(self, scalars: Sequence[float], constants: tuple[float, ...], lr: float) -> None:
        """Settle accounts where what must be constant changes, or where lr has grown by much."""
        same = constants == self._known
        shrinks = any(not scalars[k] > 0 for names in self._products for k in names)
        grown = self.plan.kind in ("series", "bounded") and lr > GROWTH * self._low
        if not same or shrinks or grown:
            if self._known is not None:
                if self._good and not shrinks and self.t - self._changed > GROWTH:
                    self.catch_up()  # by the old constants
                else:
                    self._good = self.plan.kind == "lazy"  # too often: replay until all is flushed
                self._changed = self.t
            if shrinks:
                self._good = False
            self._known, self._low = constants, lr
            self._constants[: len(constants)] = constants
        self._low = min(self._low, lr)

    def catch_up(self, rows: Array | None = None) -> bool:
        """Bring rows (int64, distinct; None: all) to the last step; whether any was behind."""
        now = self.t - self._base
        if rows is not None:
            rows = rows[self._behind(self._seen[rows])] if now else rows[:0]
            if len(rows):
                self._run(CATCH, len(rows), rows=address(rows), to=now, mark=now)
            return bool(len(rows))
        behind = bool(now) and bool(self.stale)
        if now:
            self._run(CATCH, self.rows, to=now)
        self._rebase()
        return behind

    def _behind(self, seen: Array) -> Array:
        late: Array = seen < self.t - self._base
        return late & (seen >= 0) if self._fresh else late

    def untouched_as(self, other: "Table") -> None:
        """Of a table that starts afresh: only rows that another has not touched count as untouched."""
        if self._fresh and other._fresh and self.width == other.width:
            self._seen[:] = np.minimum(other._seen, 0)
        elif self._fresh:
            self._seen[:], self._fresh = 0, False

    def _rebase(self) -> None:
        self._base, self._good, self._low = self.t, True, np.inf
        self._table[0] = self._sums[0] = 0.0

    def dense(self, t: int) -> None:
        """A step to t has moved every row: none is behind."""
        self.t = t
        self._seen[:] = 0
        self._fresh = False
        self._rebase()

    @property
    def stale(self) -> int:
        """How many rows are behind."""
        return int(np.count_nonzero(self._behind(self._seen)))


_GATHER = """
def put(n, sums, values):
    distinct()
    for i in range(n):
        sums[i] = {value}

def add(n, sums, values):
    distinct()
    for i in range(n):
        sums[i] += {value}

def kernel(job):
    indices = words(job[3])
    n = job[4]
    width = job[5]
    rows = job[6]
    last = -1
    ascending = True
    for k in range(n):
        row = indices[k]
        if row < 0 or row >= rows:
            job[2] = -1 - k
            return 0
        ascending &= row > last
        last = row
    if ascending or job[7] == 0:
        job[2] = n if ascending else 0
        return 0
    slots = ints(job[7])
    touched = words(job[8])
    count = 0
    for k in range(n):
        if k + {far} < n:
            prefetch(job[7] + 4 * indices[k + {far}])
        row = indices[k]
        slot = np.int64(slots[row])
        fresh = slot < 0
        if fresh:
            slot = count
            slots[row] = np.int32(count)
            touched[count] = row
            count += 1
        if job[9] != 0:
            to = state(job[9] + {real} * slot * width)
            value = store(job[10] + {itemsize} * k * width)
            if fresh:
                put(width, to, value)
            else:
                add(width, to, value)
    for k in range(count):
        slots[touched[k]] = np.int32(-1)
    if job[11] != 0:
        sums = state(job[9])
        out = store(job[11])
        for i in range(count * width):
            out[i] = {made}
    job[2] = count
    return 0
"""


class Gatherer:
    """Brings the rows of a gradient together: each once, duplicates summed in the order they come."""

    def __init__(self, stored: str, rows: int, width: int) -> None:
        widen, narrow = NARROW.get(stored, ("", ""))
        self._real = real_of(stored)
        text = f"# {stored}\n" + _GATHER.format(
            value=f"{widen}(values[i])",
            made=f"{narrow}(sums[i])",
            real=self._real.itemsize,
            itemsize=2 if narrow else self._real.itemsize,
            far=4 * NEAR,
        )
        self._call = cpu.kernel(text, ("put", "add", "kernel"))[1]
        self._narrow = bool(narrow)
        self.rows, self.width = rows, width
        self._slots: Array | None = None
        # Kept from step to step: fresh memory would have to be made by the system each time.
        self._sums, self._out = np.empty(0, dtype=self._real), np.empty(0)

    def gather(self, indices: Array, values: Array) -> tuple[Array, Array]:
        """Distinct rows and the sums of their values, in the dtype of ``values``; they last until the next call."""
        size = len(indices) * self.width
        if self._sums.size < size:
            self._sums = np.empty(size * 5 // 4, dtype=self._real)
        if self._narrow and self._out.size < size:
            self._out = np.empty(size * 5 // 4, dtype=values.dtype)
        made = self._out if self._narrow else self._sums
        rows = self._each(indices, self._sums, values, *[self._out] * self._narrow)
        if len(rows) == len(indices):
            return indices, values
        return rows, made[: len(rows) * self.width].reshape(len(rows), self.width)

    def distinct(self, indices: Array) -> Array:
        """Each row (int64) once."""
        return self._each(indices)

    def _each(self, indices: Array, *arrays: Array) -> Array:
        """Each row once, as they come; ``arrays``: where their sums go, of what, and where these go narrowed."""
        places = [address(a) for a in arrays] + [0] * (3 - len(arrays))
        slots = 0 if self._slots is None else address(self._slots)
        touched = np.empty(len(indices), dtype=np.int64)
        head = (0, 0, 0, address(indices), len(indices), self.width, self.rows)
        job = np.array((*head, slots, address(touched), *places), dtype=np.int64)
        self._call(*objects.CONVENTION, address(job))
        count = int(job[2])
        if count == 0 and len(indices) and self._slots is None:  # they do not ascend
            self._slots = np.full(self.rows, -1, dtype=np.int32)
            return self._each(indices, *arrays)
        if count < 0:
            raise IndexError(f"row {indices[-1 - count]} of {self.rows}")  # the caller has checked
        return indices if count == len(indices) else touched[:count]
