"""A race run again, and its winner: the command line and the lines of Python that do it."""

import shlex
from collections.abc import Sequence

from ..core.rule import Rule
from ..problems import Raced, Source, TrainingProblem
from . import methods as naming
from . import search_summary
from .budget import Budget
from .configuration import Configuration
from .entrants import Foreign
from .handed import JAX, NUMPY, TORCH


def command(source: Source | None, validated: bool, budget: Budget, texts: Sequence[str]) -> str:
    """The command line that runs a race again; "" for what no command line can name.

    validated: whether settings can be chosen by validation rows; texts: what each method is made from again.
    """
    if source is None or not all(texts):
        return ""
    parts = ["thalweg", "race", source.name]
    if source.target is not None:
        parts += ["--target", source.target]
    parts += [part for name in source.drop for part in ("--drop", name)]
    if source.start:
        parts += ["--start", ",".join(map(repr, source.start))]
    parts += ["--measure", source.measure] * bool(source.measure) + ["--maximize"] * source.maximize
    if texts != list(naming.NINE):
        parts += ["--methods", ",".join(texts)]
    parts += [part for name, value in source.reading for part in as_option(name, value)]
    parts += [] if source.l2 is None else ["--l2", repr(source.l2)]
    parts += [] if source.model == "linear" else ["--model", source.model]
    parts += ["--select", budget.select] if validated and budget.select == "loss" else []
    parts += search_summary.options(budget.search)
    for n in ("trials", "seeds", "steps", "batch", "seed"):
        parts += [f"--{n}", str(getattr(budget, n))]
    return shlex.join(parts)


def _training_code(method: Configuration, p: TrainingProblem) -> str:
    """Lines that take the place of what a training loop asks for its optimizer; "" for what no name or file has."""
    tuned, runs = method.tuned, method.tuned.runs
    around = "".join(f", {n}={v!r}" for n, v in method.options.items())
    params = {TORCH: ("model.parameters()",), JAX: (), NUMPY: ("params",)}[p.door or NUMPY]
    code = runs.built(*params) if isinstance(runs, Foreign) else tuned.code
    if code is None:
        return ""
    imports, made = list(code.imports), code.expression
    if isinstance(runs, Rule):
        door = {TORCH: "thalweg.torch", JAX: "thalweg.optax"}.get(p.door)
        imports += [f"import {door}"] if door else []
        made = {
            TORCH: f"thalweg.torch.Optimizer(model.parameters(), {made}{around})",
            JAX: f"thalweg.optax.transformation({made}{around})",
        }.get(p.door, f"{made}.on(params{around})")
    asked = "tx = optimizer.optax" if p.door == JAX else f"opt = optimizer({params[0]})"
    name = asked.partition(" ")[0]
    return "\n".join([*imports, "", f"{name} = {made}  # in place of {asked}", ""])


def as_option(name: str, value: object) -> list[str]:
    """An option as the command line has it: once, or several times."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else [f"--no-{name.replace('_', '-')}"]
    several = value if isinstance(value, tuple | list) else (value,)
    return [part for one in several for part in (option, str(one))]


def code(tuned: Configuration, p: Raced, seed: int) -> str:
    """Lines that rebuild a tuned method and run it on a seed; "" for what no name or file has."""
    if isinstance(p, TrainingProblem):
        return _training_code(tuned, p)
    source, made = p.source, tuned.tuned.code
    if source is None or made is None:
        return ""
    given = [repr(source.name)] + [
        f"{n}={v!r}"
        for n in ("target", "drop", "start", "l2", "model")
        if (v := getattr(source, n)) != getattr(Source(""), n)
    ]
    given += [f"reading={dict(source.reading)!r}"] if source.reading else []
    return "\n".join(
        [
            *made.imports,
            "from thalweg.problems import problem",
            "",
            f"rule = {made.expression}",
            f"p = problem({', '.join(given)})",
            f"w = p.start(seed={seed})",
            f"opt = rule.on({', '.join(['w', *(f'{n}={v!r}' for n, v in tuned.options.items())])})".ljust(38)
            + "# w changes in place",
            f"for rows in p.batches(seed={seed}, batch={tuned.batch}, steps={tuned.steps}):",
            "    opt.step(p.gradient(w, rows))",
            "print(p.loss(w), p.metric(w))",
            "",
        ]
    )
