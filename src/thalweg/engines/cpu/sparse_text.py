"""The printed kernel of sparse steps: a row catches up, then steps; see ``sparse`` for when and why."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ...core.catch_up import CatchUp
from ...core.formula import Formula, Function, lift, split
from ...core.rule_parts import RuleParts
from ...core.update import Update
from ...printing.loop import element, updated
from ...printing.python import Printer, indented
from .job import Job
from .text import PRINTER, WIDE, Pointers, check_finite, source

SHORT = 16  # steps up to which replay costs no more than a short cut, and has a dense run's very bits
TERMS = 8  # of a series; one more bounds its error
POWERS = 4  # of lr that are summed up for penalties
CHECK, STEP, CATCH, ADVANCE = 1, 2, 4, 8  # phases

JOB = Job(
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
    "done",
)

# Rows lie anywhere, so that nothing but the list of them tells the memory what is needed next.
NEAR = 8  # rows ahead
_ASK = """
def ask(size, start):
    for line in range(0, min(size, 512), 64):
        prefetch(start + line)
"""

_KERNEL = """
def kernel(job):
    lo = job[LO]
    hi = job[HI]
    job[RESULT] = 0
    phase = job[PHASE]
    n = job[WIDTH]
    scalars = reals(job[SCALARS])
    constants = reals(job[CONSTANTS])
    table = reals(job[TABLE])
    sums = reals(job[SUMS])
    window = job[WINDOW]
    if phase & {CHECK}:
        if not check((hi - lo) * n, store(job[VALUES] + {itemsize} * n * lo)):
            job[RESULT] = 1
            return 0
    if phase & ({STEP} | {CATCH}):
        to = job[TO]
        skip = job[SKIP]
{seen}
        arrays = words(job[ARRAYS])
        for r in range(lo, hi):
            row = r
            if job[ROWS] != 0:
                row = words(job[ROWS])[r]
{ask_seen}
                if r + {near} < hi:
                    later = words(job[ROWS])[r + {near}]
{ask}
{behind}
            if phase & {STEP}:
                step(n, {all}, scalars)
{stepped}
        job[DONE] += 1
    if phase & {ADVANCE}:
        advance(job[TO], window, scalars, constants, table, sums)
        job[DONE] += 1
    return 0
"""

# What is done where rows may be behind, line by line.
_SEEN = ("seen = ints(job[SEEN])",)
_ASK_SEEN = ("if r + {far} < hi:", "    prefetch(job[SEEN] + 4 * words(job[ROWS])[r + {far}])")
_BEHIND = (
    "last = np.int64(seen[row])",
    "still = last < 0 and skip != 0",
    "if last < 0:",
    "    last = np.int64(0)",
    "if last < to and not still:",
    "    catch(n, {own}, last, to, window, job[GOOD], job[LOG], constants, table, sums)",
)
_STEPPED = (
    "    seen[row] = np.int32(to + 1)",
    "elif not still:",
    "    seen[row] = np.int32(job[MARK])",
)


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
    still: bool
    penalties: tuple[str, ...]

    @property
    def powers(self) -> tuple[tuple[str, int], ...]:
        """The scalars of penalties, each with the power in which it is summed up over steps."""
        deep = {"_pull": 1, "_draw": POWERS}
        return tuple((n, m) for n in self.penalties for m in range(1, deep[n] + 1))

    @property
    def wide(self) -> int:
        """How many sums are kept of each step."""
        return len(self.products) + len(self.powers)


def shape(rule_parts: RuleParts, plan: CatchUp) -> Shape:
    """The printed kernel's parts for a plan."""
    idle_model = rule_parts.idle_model
    series = plan.kind == "series" and idle_model is not None
    fades = plan.kind in ("series", "bounded") and idle_model is not None
    return Shape(
        plan.kind,
        plan.idle,
        idle_model.idle_states if fades and idle_model else None,
        idle_model.move_terms if series and idle_model else None,
        idle_model.move_scale if series and idle_model else None,
        rule_parts.states,
        plan.constants,
        plan.products,
        plan.still,
        plan.penalties,
    )


class Text:
    """The printed source of a sparse kernel, function by function."""

    short = SHORT

    def __init__(self, update: Update, form: Shape, stored: str) -> None:
        self.update, self.form, self.stored = update, form, stored
        self.memory = Pointers(update.arrays, update.stored, stored)
        self.wide = Pointers(update.arrays, update.stored, stored, wide=True)
        self.real = self.memory.real
        self.place = self.memory.place
        self.own = ", ".join(self.place[n] for n in update.arrays if n != "g")
        known = (*update.arrays, *update.scalars, *form.constants)
        self.names = {"t": "t_"} | {n: PRINTER.name(n) for n in known}
        self.functions: dict[str, str] = {}

    def define(self, name: str, arguments: str, lines: Iterable[str]) -> None:
        self.functions[name] = f"def {name}({arguments}):\n{indented(lines, 1)}\n"

    def about(self, formula: Formula, prefix: str = PRINTER.prefix) -> Printer:
        """Return the printer of a formula about idle steps, k of them; its own names get a prefix."""
        steps = {"k": "k"} if "k" in formula.inputs else {}
        return WIDE.named(prefix, self.names | steps)

    def hoisted(
        self, function: Function, outputs: Sequence[str], prefix: str = PRINTER.prefix
    ) -> tuple[list[str], list[str], dict[str, str]]:
        """Return a formula's lines for a row, those for a coordinate, and its outputs, all in float64."""
        formula = lift(function, outputs=outputs)
        printer = self.about(formula, prefix)
        parts = split(formula._replace(inputs=tuple(n for n in formula.inputs if n != "k")), "_row_")
        return (
            printer.lines(parts.row),
            printer.lines(parts.body),
            {n: printer.expression(e) for n, e in parts.outputs},
        )

    def constants(self) -> list[str]:
        return [f"{self.names[n]} = constants_[{k}]" for k, n in enumerate(self.form.constants)]

    def factors(self, first: str, last: str, name: str) -> list[str]:
        """What multiplies coordinates from one step to another."""
        wide = self.form.wide
        return [
            f"{name}_{n} = math.exp(sums_[{last} * {wide} + {q}] - sums_[{first} * {wide} + {q}])"
            for q, (n, _) in enumerate(self.form.products)
        ]

    def multiplied(self, name: str, value: str) -> str:
        return f"(whole_{name} * {value})" if name in dict(self.form.products) else value

    def steps(self) -> None:
        """One step with a gradient, one without."""
        update = self.update
        scalars = [f"{PRINTER.name(n)} = F(scalars[{k}])" for k, n in enumerate(update.scalars)]
        step = updated(PRINTER, self.memory, update)
        pointers = ", ".join(self.place.values())
        self.define("step", f"n, {pointers}, scalars", ["distinct()", *scalars, *step.loop()])
        # What accumulates is for the step that ends it; one without gradient neither reads nor clears it.
        absent = ("g", "_a")
        zeros = [f"{PRINTER.name(n)} = F(0.0)" for n in absent if n in update.arrays]
        kept = update._replace(written={n: e for n, e in update.written.items() if n != "_a"})
        rest = updated(PRINTER, self.memory, kept, [n for n in update.arrays if n not in absent])
        self.define("rest", f"n, {self.own}, scalars", ["distinct()", *scalars, *zeros, *rest.loop()])

    def settle(self) -> None:
        """Steps without a gradient in closed form: of w too, or of the states alone."""
        form = self.form
        multiplied = [n for n, _ in form.products]
        if form.idle is not None:
            function, outputs = form.idle, ("w", *form.states)
        else:
            assert form.idle_states is not None
            function, outputs = form.idle_states, tuple(n for n in form.states if n not in multiplied)
        row, body, after = self.hoisted(function, outputs)
        after |= {n: self.names[n] for n in multiplied if n not in after}
        written = {
            n: self.multiplied(n, e) for n, e in after.items() if n in multiplied or e != self.names[n]
        }
        read = [n for n in self.update.arrays if n in after]
        head = ["distinct()", "k = D(last_ - first_)", *self.constants()]
        head += [f"t_ = constants_[{len(form.constants)}] + D(first_)", *row]
        head += self.factors("first_", "last_", "whole")
        self.define(
            "settle",
            f"n, {self.own}, first_, last_, constants_, sums_",
            [*head, *element(PRINTER, self.wide, read, body, written).loop()],
        )

    def penalise(self) -> None:
        """Penalties of the steps first_ < j <= last_, through which w rests; 0 where the series is too short.

        With q the product of the 1 / (1 + r l2), |w| becomes |w| q - (1 - q) l1 / l2, and 0 where that is less. The
        logarithm of q is taken around the mean of r l2, so that under a constant lr it has one term. Of ``POWERS``
        terms the rest is below that mean's largest distance, over 1 + r l2, to the power ``POWERS`` + 1.
        """
        form, w, wide = self.form, self.names["w"], self.form.wide
        at = {key: k for k, key in enumerate(form.powers, len(form.products))}
        sums = {key: f"(sums_[last_ * {wide} + {k}] - sums_[first_ * {wide} + {k}])" for key, k in at.items()}
        gain = PRINTER.name("_gain") if "_gain" in self.place else "1.0"
        read = [n for n in ("w", "_gain") if n in self.place]
        head, lines = ["distinct()", "k_ = D(last_ - first_)"], []
        if "_pull" in form.penalties:
            head.append(f"pull_ = {sums['_pull', 1]}")
        if "_draw" in form.penalties:
            tolerance = 2.0 ** -(5 if self.real == np.float32 else 10)
            head += [
                f"mean_ = {sums['_draw', 1]} / k_",
                *(f"sum{m}_ = {sums['_draw', m]}" for m in range(2, POWERS + 1)),
                "second_ = sum2_ - k_ * mean_ * mean_",
                "third_ = sum3_ - mean_ * (3.0 * sum2_ - 2.0 * k_ * mean_ * mean_)",
                "fourth_ = sum4_ - mean_ * (4.0 * sum3_ - mean_ * (6.0 * sum2_ - 3.0 * k_ * mean_ * mean_))",
                "far_ = math.pow(fourth_, 0.25) if fourth_ > 0.0 else 0.0",
                "good_ = True",
            ]
            over = f"over_ = {gain} / (1.0 + mean_ * {gain})"
            test = f"good_ &= ({w} == 0.0) | (far_ * over_ <= {tolerance!r})"
            head += element(PRINTER, self.wide, read, [over, test], {}).loop()
            head += ["if not good_:", "    return 0"]
            lines += [
                over,
                "rest_ = over_ * over_ * (second_ / 2.0 - over_ * (third_ / 3.0 - over_ * (fourth_ / 4.0)))",
                f"log_ = -(k_ * math.log1p(mean_ * {gain}) - rest_)",
            ]
        if form.penalties == ("_draw",):
            new = f"{w} * math.exp(log_)"
        else:
            left = f"abs({w}) - {gain} * pull_"
            if "_draw" in form.penalties:
                head.append("share_ = pull_ / (mean_ * k_) if mean_ > 0.0 else 0.0")
                left = f"abs({w}) * math.exp(log_) + share_ * math.expm1(log_)"
            lines += [f"left_ = {left}", "size_ = 0.0 if left_ <= 0.0 else left_"]
            new = f"(size_ if {w} > 0.0 else -size_)"
        head += element(PRINTER, self.wide, read, lines, {"w": new}).loop()
        self.define("penalise", f"n, {self.own}, first_, last_, sums_", [*head, "return 1"])

    def glide(self) -> None:
        """The series; 0 where it does not hold for some coordinate, and then nothing is changed."""
        form = self.form
        assert form.idle_states is not None and form.move_terms is not None
        multiplied = [n for n, _ in form.products]
        faded = tuple(n for n in form.states if n not in multiplied)
        row, body, after = self.hoisted(form.idle_states, faded)
        pole_row, pole_body, move_terms = self.hoisted(form.move_terms, ("pole_p", "pole_y", "pole_e"), "u_")
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
        head += element(PRINTER, self.wide, reads, [*pole_body, *values, test], {}).loop()
        head += ["if not good_:", "    return 0"]
        horner = f"sum{TERMS - 1}"
        for i in range(TERMS - 2, -1, -1):
            horner = f"(sum{i} - over_x * {horner})"
        lines = [*pole_body, *values]
        lines += ["still_ = pole_p == 0.0", "base_ = 1.0 if still_ else pole_y"]
        lines += ["over_x = pole_e / base_", f"move_ = (pole_p / base_) * {horner}"]
        rest = f"{'whole_w * ' * shrinks}{self.names['w']}"
        moved = f"({rest} if still_ else {rest} - move_)"
        written = {"w": moved, **after}
        written |= {n: self.multiplied(n, self.names[n]) for n in multiplied if n != "w"}
        written = {n: e for n, e in written.items() if e != self.names[n]}
        head += element(PRINTER, self.wide, ["w", *reads], [*lines, *body], written).loop()
        head.append("return 1")
        self.define("glide", f"n, {self.own}, first_, last_, window_, constants_, table_, sums_", head)

    def catch(self) -> None:
        """A row from the last step that it has seen to another."""
        kind, tail = self.form.kind, "_rate" in self.update.written
        move_scale = 8 * len(self.update.scalars)
        last = [f"rest(n, {self.own}, reals(log + {move_scale} * e))"] * tail
        settle = f"settle(n, {self.own}, {{0}}, e - {int(tail)}, constants, sums)"
        lines = ["m = e - s"]
        penalise = f"penalise(n, {self.own}, {{0}}, e - {int(tail)}, sums)"
        if kind == "closed":
            penalised = f" and {penalise.format('s')}" if self.form.penalties else ""
            lines += [f"if good and m > {self.short}{penalised}:", f"    {settle.format('s')}"]
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
            lines += ["if e > s + m:", f"    if e - {int(tail)} > s + m:"]
            if self.form.penalties:
                replay = f"rest(n, {self.own}, reals(log + {move_scale} * j))"
                lines += [f"        if not {penalise.format('s + m')}:"]
                lines += ["            for j in range(s + m + 1, e + 1):", f"                {replay}"]
                lines += ["            return"]
            lines += [f"        {settle.format('s + m')}"]
            lines += [f"    {x}" for x in last]
        if kind == "lazy":
            lines = ["pass"]
        self.define("catch", f"n, {self.own}, s, e, window, good, log, constants, table, sums", lines)

    def advance(self) -> None:
        """After a step: what later steps will need of it."""
        form, scalars = self.form, self.update.scalars
        wide = form.wide
        factor = {n: " * ".join(f"scalars[{scalars.index(x)}]" for x in names) for n, names in form.products}
        lines = [
            f"sums[now * {wide} + {q}] = sums[(now - 1) * {wide} + {q}] + math.log({factor[n]})"
            for q, n in enumerate(factor)
        ]
        # A gain that all coordinates share is a scalar of the step; others stand in an array.
        shared = f" * scalars[{scalars.index('_gain')}]" if "_gain" in scalars else ""
        lines += [
            f"sums[now * {wide} + {q}] = sums[(now - 1) * {wide} + {q}]"
            + f" + math.pow(scalars[{scalars.index(n)}]{shared}, {m}.0)"
            for q, (n, m) in enumerate(form.powers, len(factor))
        ]
        if form.move_scale is not None:
            formula = lift(form.move_scale, outputs=("pace_a", "pace_b"))
            printer = self.about(formula)
            read = [f"{printer.name(n)} = scalars[{scalars.index(n)}]" for n in formula.scalars]
            inner = [
                "k = D(now - entry_)",
                *printer.lines(formula.body),
                *(f"{n} = {printer.expression(e)}" for n, e in formula.outputs),
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

    def whole(self) -> str:
        """Return the whole source."""
        self.functions["check"] = check_finite(self.stored, self.update.power)
        self.steps()
        if not self.form.still:
            if self.form.kind in ("closed", "series", "bounded"):
                self.settle()
            if self.form.penalties:
                self.penalise()
            if self.form.kind == "series":
                self.glide()
            self.catch()
        self.advance()
        memory, others = self.memory, [n for n in self.update.arrays if n != "g"]

        def at(n: str) -> str:
            if n == "g":
                return memory.at(n, f"job[VALUES] + {memory.size(n)} * n * r")
            return memory.at(n, f"arrays[{others.index(n)}] + {memory.size(n)} * n * row")

        ask = [
            f"ask(n * {size}, arrays[{k}] + n * {size} * later)"
            for k, size in enumerate(map(memory.size, others))
        ]
        own, far = ", ".join(map(at, others)), 2 * NEAR

        def if_behind(lines: Sequence[str], depth: int) -> str:
            return "" if self.form.still else indented((x.format(far=far, own=own) for x in lines), depth)

        self.functions["ask"] = _ASK
        self.functions["kernel"] = _KERNEL.format(
            CHECK=CHECK,
            STEP=STEP,
            CATCH=CATCH,
            ADVANCE=ADVANCE,
            near=NEAR,
            seen=if_behind(_SEEN, 2),
            ask_seen=if_behind(_ASK_SEEN, 4),
            behind=if_behind(_BEHIND, 3),
            stepped=if_behind(_STEPPED, 3),
            ask=indented(ask, 5),
            itemsize=memory.size("g"),
            all=", ".join(map(at, self.update.arrays)),
        )
        return source(self.stored, JOB, self.functions.values())
