"""The command line. Nothing of thalweg's is imported until a command runs.

On a terminal tables are drawn; elsewhere they are plain text, one record a line, tab-separated.
Progress goes to stderr. Exit status: 0 the job was done, 1 it failed, 2 it was asked for wrongly.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

try:
    import typer
except ImportError:  # the library alone needs no command line
    print("thalweg: the command line needs its extra: pip install 'thalweg[lab]'", file=sys.stderr)
    raise SystemExit(1) from None

if TYPE_CHECKING:
    from .lab.race import Race

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Adaptive gradient methods, each written once as a formula; and which one works on your problem.",
)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from . import __version__
    from .engines.cpu import object_cache as objects
    from .engines.cpu import pool

    folder = objects.folder()
    print(f"thalweg {__version__}")
    print(f"engine  cpu, {pool.threads()} threads")
    print(f"cache   {folder if folder is not None else 'in memory: no folder that is yours alone'}")
    raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Show version, engine, threads and cache folder.",
        ),
    ] = False,
) -> None:
    pass


@app.command()
def race(
    problem: Annotated[
        str,
        typer.Argument(
            help="A problem by name, or a table: a .csv, .tsv, .parquet or .svm file.",
            metavar="[PROBLEM or FILE]",
        ),
    ] = "digits",
    methods: Annotated[
        str | None,
        typer.Option(help="Comma-separated: Adam, RMSprop:keras, mine.py:MyRule. Default: the nine."),
    ] = None,
    trials: Annotated[
        int, typer.Option(help="Learning rates tried for each method; 1 takes the rule's own.")
    ] = 25,
    seeds: Annotated[int, typer.Option(help="Fresh seeds for the final runs.")] = 20,
    steps: Annotated[int | None, typer.Option(help="Steps of each run. Default: the problem's.")] = None,
    batch: Annotated[int | None, typer.Option(help="Rows a step, 0 for all. Default: the problem's.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes every random number.")] = 0,
    target: Annotated[str | None, typer.Option(help="For a table: the column to predict.")] = None,
    drop: Annotated[str, typer.Option(help="For a table: comma-separated columns to leave out.")] = "",
    out: Annotated[str, typer.Option(help="The report, one HTML page.")] = "race.html",
    json: Annotated[str | None, typer.Option(help="Also write the numbers as JSON.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the problems and stop.")] = False,
) -> None:
    """Tune every method on the same budget, rerun each on fresh seeds, and write a report."""
    with _told():
        from .lab.race import race as run
        from .problems import catalogue

        if listing:
            _table(["problem", "title"], [[n, make().title] for n, make in catalogue().items()])
            return
        names = None if methods is None else _names(methods)
        with _progress() as report:
            made = run(
                problem,
                names,
                trials=trials,
                seeds=seeds,
                steps=steps,
                batch=batch,
                seed=seed,
                target=target,
                drop=_names(drop),
                out=out,
                json=json,
                progress=report,
            )
        _show(made)
        done = made.data["finished"]
        print(f"{'Report' if done else 'Interrupted; what is done'}: {out}", file=sys.stderr)
    raise typer.Exit(0 if done else 1)


@app.command()
def rules(
    name: Annotated[
        str | None, typer.Argument(help="A rule, a rule in another form (RMSprop:keras), or FILE.py:NAME.")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print the formula as LaTeX and stop.")] = False,
) -> None:
    """List the rules; or show one: formula, hyperparameters with ranges and units, dialects, source."""
    with _told():
        from .lab.methods import method
        from .printing.latex import TEXT, display, text
        from .rules import shipped

        if name is None:
            _table(
                ["rule", "what it is", "hyperparameters", "dialects"],
                [
                    [n, _title(r), " ".join(r.parts.hyperparameters), " ".join(r.parts.dialects)]
                    for n, r in shipped().items()
                ],
            )
            return
        chosen = method(name).rule
        kind = type(chosen)
        shown: Any = chosen if ":" in name and not name.partition(":")[0].endswith(".py") else kind
        if latex:
            print(display(shown))
            return
        print(f"{kind.__name__}: {_title(kind)}\n\n{text(shown)}\n")
        parts = kind.parts
        _table(
            ["line", "symbol", "default", "range", "unit", "meaning"],
            [
                [
                    n,
                    TEXT.symbol(n),
                    f"{getattr(chosen, n):g}",
                    line.range,
                    line.unit,
                    f"{'state: ' if line.is_state else ''}{line.text}",
                ]
                for n, line in parts.lines.items()
            ],
        )
        if parts.dialects:
            print()
            _table(
                ["dialect", "version", "its names", "values", "note"],
                [
                    [
                        n,
                        row.version,
                        " ".join(
                            f"{k}={v if isinstance(v, str) else '+'.join(v)}" for k, v in row.names.items()
                        ),
                        " ".join(f"{k}={v:g}" for k, v in row.values.items()),
                        row.note,
                    ]
                    for n, row in parts.dialects.items()
                ],
            )
        print(f"\n{_after(kind, 'Source:')}")


@app.command()
def claims(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Claims by name; all of them by default.", metavar="[ID ...]")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="A folder for the report, index.html, and a picture a claim.")
    ] = None,
    json: Annotated[str | None, typer.Option(help="Also write verdicts and numbers as JSON.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the claims and stop.")] = False,
) -> None:
    """Measure what the sources say about these methods: a verdict, numbers and a picture for each claim."""
    with _told():
        from .lab.claims import catalogue
        from .lab.experiments import claims as run

        if listing:
            _table(["claim", "what it says"], [[c.id, c.title] for c in catalogue().values()])
            return
        with _progress() as report:
            found = run(ids or None, out=out, json=json, progress=report)
        _table(
            ["claim", "verdict", "figures", "checks", "seconds", "conditions"],
            [
                [
                    r.id,
                    r.verdict if r.error is None else f"failed: {r.error}",
                    _share(r.evidence.agreed.values()),
                    _share(good for _, good in r.evidence.checks),
                    f"{r.seconds:.1f}",
                    _conditions(r.evidence.conditions),
                ]
                for r in found.results
            ],
            right=[4],
        )
        if out is not None:
            print(
                f"{'Report' if found.finished else 'Interrupted; what is done'}: {out}/index.html",
                file=sys.stderr,
            )
    raise typer.Exit(0 if found.finished and not found.failed else 1)


@app.command()
def show(
    problem: Annotated[
        str | None, typer.Argument(help="A landscape; without one they are listed.", metavar="[PROBLEM]")
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(help="Comma-separated: Adam, RMSprop:keras, mine.py:MyRule. Default: the nine."),
    ] = None,
    start: Annotated[str | None, typer.Option(help="Where to start: X,Y. Default: the usual start.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps at most. Default: the problem's.")] = None,
    lr: Annotated[
        float | None, typer.Option(help="One learning rate for all. Default: each one's best.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="What to show: XLOW,XHIGH,YLOW,YHIGH.")] = None,
    rotate: Annotated[float, typer.Option(help="Turn the landscape by so many degrees.")] = 0.0,
    scale: Annotated[str, typer.Option(help="Stretch it: one number, or one a coordinate.")] = "1",
    shift: Annotated[str, typer.Option(help="Move it: one number, or one a coordinate.")] = "0",
    noise: Annotated[float, typer.Option(help="Standard deviation of noise in the gradient.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Fixes the noise.")] = 0,
    out: Annotated[
        str | None, typer.Option(help="The picture: .svg, .pdf, .png; or .gif, .mp4. Default: PROBLEM.svg.")
    ] = None,
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    record: Annotated[
        str | None,
        typer.Option(help="Also write all that happened, a row a step and coordinate: .parquet, .csv."),
    ] = None,
) -> None:
    """Draw the paths of methods on a landscape, still or moving."""
    with _told():
        from .lab.show import show as run
        from .problems import landscape_catalogue

        if problem is None:
            _table(["landscape", "title"], [[n, make().title] for n, make in landscape_catalogue().items()])
            return
        view = None if window is None else _numbers("window", window, 4)
        with _progress() as report:
            made = run(
                problem,
                None if methods is None else _names(methods),
                start=None if start is None else _numbers("start", start),
                steps=steps,
                lr=lr,
                window=None if view is None else ((view[0], view[1]), (view[2], view[3])),
                rotate=rotate,
                scale=_one_or_more("scale", scale),
                shift=_one_or_more("shift", shift),
                noise=noise,
                seed=seed,
                out=out or f"{problem}.svg",
                theme=theme,
                table=record,
                progress=report,
            )
        _table(
            ["method", "rate", "steps to target", "f at the end", "note"],
            [
                [
                    w.method.name,
                    _number(w.lr),
                    "never" if w.reached is None else str(w.reached),
                    "diverged" if w.died else _number(float(w.loss[-1])),
                    w.sentence,
                ]
                for w in made.walks
            ],
            right=range(1, 4),
        )
        print(f"Target: f <= {made.target:.4g}. Picture: {out or f'{problem}.svg'}", file=sys.stderr)


@app.command()
def diff(
    rule_a: Annotated[
        str,
        typer.Argument(
            help="The one that you come from: RMSprop:torch, Adam(lr=0.1), FILE.py:NAME.", metavar="A"
        ),
    ],
    rule_b: Annotated[
        str, typer.Argument(help="The one that you go to: RMSprop:keras(rho=0.95).", metavar="B")
    ],
    same: Annotated[
        str, typer.Option(help="What both are to have: lr=0.1,beta=0.9. Default: each one's own.")
    ] = "",
    problem: Annotated[
        str | None, typer.Option(help="Run both on a problem or a table instead of on fixed gradients.")
    ] = None,
    gradients: Annotated[
        str | None, typer.Option(help="Your own gradients: a .npy file, (steps, ...).", metavar="FILE")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps. Default: 300, or as many as the file has.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes a problem's start and batches.")] = 0,
    out: Annotated[
        str | None, typer.Option(help="The report, .html; or its picture, .svg, .pdf, .png.")
    ] = None,
    json: Annotated[str | None, typer.Option(help="Also write the numbers as JSON.")] = None,
) -> None:
    """Show where two rules or dialects part: settings, first step, growth, why, and what makes them agree."""
    with _told():
        from .lab.diff.run import diff as differ
        from .lab.diff.run import from_file, settings_of
        from .lab.reports.diff_wording import part, within

        result = differ(
            rule_a,
            rule_b,
            gradients=None if gradients is None else from_file(gradients),
            problem=problem,
            same=settings_of(same),
            steps=steps,
            seed=seed,
            out=out,
            json=json,
        )
        rows = [[s.line, *s.text, s.unit] for s in result.settings]
        _table(["line", result.a.name, result.b.name, "unit"], rows)
        print()
        if result.verdict != "identical":
            _table(
                ["share of the largest |w|", *(f"step {t}" for t in result.milestones), "float32 ulps"],
                [
                    [
                        n,
                        *(within(float(g[t])) for t in result.milestones),
                        within(float(result.ulps_of(n)[-1])),
                    ]
                    for n, g in result.growth.items()
                ],
                right=range(1, 9),
            )
            print()
        if result.causes:
            _table(
                ["its part of the difference", *result.kinds],
                [[c.title, *map(part, c.share.values())] for c in result.causes],
                right=range(1, 9),
            )
            print()
        if result.agreement is not None:
            _table(
                ["of B set, left", *result.kinds],
                [
                    [f.text or "nothing", *map(within, f.left.values())]
                    for f in (result.agreement, *result.agreement.others)
                ],
                right=range(1, 9),
            )
            print()
        for text in result.sentences.values():
            print(text)
        if out is not None:
            print(f"Report: {out}", file=sys.stderr)


@app.command()
def fit(
    data: Annotated[
        list[str],
        typer.Argument(help="SVMlight, Vowpal Wabbit, CSV or Parquet files, or patterns.", metavar="DATA"),
    ],
    model: Annotated[str, typer.Option(help="The model's file; its checkpoint lies beside it.")],
    format: Annotated[
        str, typer.Option(help="svmlight, vw, csv or parquet. Default: by name or content.")
    ] = "auto",
    target: Annotated[str | None, typer.Option(help="CSV, Parquet: the column to predict.")] = None,
    task: Annotated[str, typer.Option(help="classification or regression. Default: by the labels.")] = "auto",
    loss: Annotated[
        str | None, typer.Option(help="log_loss, hinge, squared_error, ... Default: by the task.")
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="Adagrad(lr=0.1), Adam, FILE.py:NAME. A bare name's learning rate is chosen by a short race."
        ),
    ] = None,
    passes: Annotated[int, typer.Option(help="Passes over the data.")] = 1,
    bits: Annotated[
        int | None, typer.Option(help="2^BITS hashed features. Default: 18; SVMlight: as they are.")
    ] = None,
    l1: Annotated[float, typer.Option("--l1", help="Weight of the L1 penalty.")] = 0.0,
    l2: Annotated[float, typer.Option("--l2", help="Weight of the L2 penalty.")] = 0.0,
    average: Annotated[int | None, typer.Option(help="Average the weights from this row on.")] = None,
    intercept: Annotated[bool, typer.Option(help="Learn an intercept.")] = True,
    epsilon: Annotated[float, typer.Option(help="Of the losses that have one.")] = 0.1,
    quantile: Annotated[float, typer.Option(help="Of the quantile loss.")] = 0.5,
    classes: Annotated[
        str | None, typer.Option(help="All labels, comma-separated, where the first rows lack some.")
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(help="Share of rows held out, 50,000 at most. Default: 0.1, without --test."),
    ] = None,
    test: Annotated[list[str] | None, typer.Option(help="A file to measure the model on.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Limit of the whole process: 500MB. Default: none.")
    ] = None,
    checkpoint_every: Annotated[float, typer.Option(help="Seconds between checkpoints; 0: none.")] = 60.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever checkpoint there is.")] = False,
    cache: Annotated[
        str | None,
        typer.Option(
            help="Keep the binary cache of several passes here. Default: beside the model, until the end."
        ),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read the files again in every pass.")] = False,
    on_bad_line: Annotated[str, typer.Option(help="stop or skip.")] = "stop",
    weight: Annotated[str | None, typer.Option(help="CSV, Parquet: the column of weights.")] = None,
    ignore: Annotated[str, typer.Option(help="CSV, Parquet: columns to leave out.")] = "",
    categorical: Annotated[str, typer.Option(help="CSV, Parquet: numeric columns to hash.")] = "",
    numeric: Annotated[str, typer.Option(help="CSV: columns that are numeric throughout.")] = "",
    missing: Annotated[str, typer.Option(help="CSV, Parquet: a missing value is bad, or zero.")] = "bad",
    delimiter: Annotated[str | None, typer.Option(help="CSV: between cells.")] = None,
    features: Annotated[int | None, typer.Option(help="SVMlight: how many features there are.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes the race and which rows are held out.")] = 0,
    dask: Annotated[
        str | None,
        typer.Option(help="Train on a Dask cluster: its scheduler's address, or local.", metavar="ADDRESS"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json: Annotated[str | None, typer.Option(help="Also write the report as JSON.")] = None,
) -> None:
    """Train a linear model on files larger than memory; go on where the same command was stopped."""
    with _told():
        from .files import require_apart, require_writable
        from .fitting import fit as run
        from .reading.sources import expand

        if json is not None:
            require_writable(json)
        require_apart([model, cache, json], [*expand(data), *(expand(test) if test else ())])
        settings: dict[str, Any] = {
            "task": task, "loss": loss, "rule": _rule(rule), "passes": passes, "bits": bits, "l1": l1, "l2": l2,
            "average": average, "intercept": intercept, "epsilon": epsilon, "quantile": quantile,
            "classes": None if classes is None else _numbers("classes", classes), "test": test or None,
            "on_bad_line": on_bad_line, "features": features, "seed": seed, "memory": memory,
            "checkpoint_every": checkpoint_every, "fresh": fresh, "format": format, "target": target,
            "weight": weight, "ignore": _names(ignore), "categorical": _names(categorical),
            "numeric": _names(numeric), "missing": missing, "delimiter": delimiter,
            "tell": None if quiet else _say,
        }  # fmt: skip
        if dask is not None:
            from .fitting.cluster import fit_on_cluster

            made = fit_on_cluster(data, model, dask, holdout=holdout, **settings)
        else:
            kept = False if no_cache else True if cache is None else cache
            with _fit_progress(quiet) as report, _until_interrupted() as stop:
                made = run(data, model, holdout=holdout, cache=kept, progress=report, stop=stop, **settings)
        _table(["what", "value"], _fitted(made))
        if json is not None:
            _write_json(json, made.plain())
        if not made.finished:
            print(f"Interrupted; the same command goes on from {made.checkpoint}", file=sys.stderr)
    raise typer.Exit(0 if made.finished else 1)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A file that thalweg fit wrote.", metavar="MODEL")],
    data: Annotated[
        list[str],
        typer.Argument(
            help="Files of the format that it was trained on; labels may be absent.", metavar="DATA"
        ),
    ],
    out: Annotated[str, typer.Option(help="A .csv or .parquet file, or - for CSV on standard output.")] = "-",
    unseen: Annotated[
        str, typer.Option(help="SVMlight features beyond those of training: stop, or ignore.")
    ] = "stop",
    format: Annotated[
        str, typer.Option(help="svmlight, vw, csv or parquet. Default: by name or content.")
    ] = "auto",
    target: Annotated[str | None, typer.Option(help="CSV, Parquet: the labels, to compare with.")] = None,
    tag: Annotated[str | None, typer.Option(help="CSV, Parquet: a column to copy.")] = None,
    missing: Annotated[str, typer.Option(help="CSV, Parquet: a missing value is bad, or zero.")] = "bad",
    delimiter: Annotated[str | None, typer.Option(help="CSV: between cells.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Limit of the whole process: 500MB. Default: none.")
    ] = None,
    json: Annotated[str | None, typer.Option(help="Also write what was done as JSON.")] = None,
) -> None:
    """Predict each row of files with a model, in their order."""
    with _told():
        from .files import require_apart
        from .fitting import predict as run
        from .reading.sources import expand

        require_apart([out, json], [model, *expand(data)])
        made = run(
            model, data, out, unseen=unseen, memory=memory, format=format, target=target, tag=tag,
            missing=missing, delimiter=delimiter,
        )  # fmt: skip
        found = "" if made.quality is None else "; " + _quality(made.quality)
        print(f"{made.rows} rows in {made.seconds:.3g} s{found}", file=sys.stderr)
        if json is not None:
            _write_json(json, made.plain())


def _rule(text: str | None) -> Any:
    """A rule by name as ``fitting.fit`` takes it; one of the user's own is loaded from its file."""
    if text is None or not text.partition("(")[0].strip().partition(":")[0].endswith(".py"):
        return text
    from .lab.methods import method

    return method(text).rule


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write_json(path: str, made: Any) -> None:
    from json import dumps

    from .files import write

    write(path, lambda file: file.write(dumps(made, indent=1).encode() + b"\n"))


def _fitted(made: Any) -> list[list[str]]:
    """A report of ``fitting.fit``, a line each."""
    rows = [
        ["model", made.model if made.finished else "none yet"],
        ["task", f"{made.task}, {made.loss_name}"],
        ["rule", made.rule],
        ["rows", f"{made.rows} in {made.passes} {'pass' if made.passes == 1 else 'passes'}"],
        ["features", str(made.features)],
        ["loss while learning", _number(made.loss)],
    ]
    rows += [[n, _quality(q)] for n, q in (("held out", made.held_out), ("test", made.test)) if q is not None]
    if made.skipped:
        rows.append(
            ["bad lines skipped", f"{made.skipped}; {made.reasons[0]}" if made.reasons else str(made.skipped)]
        )
    speed = f"{made.seconds:.3g} s, {made.rows_per_second:.3g} rows/s"
    return [*rows, ["time", speed], ["memory at most", f"{made.peak_memory / 1e6:.0f} MB"]]


def _quality(found: dict[str, Any]) -> str:
    rows = f"{found['rows']} rows"
    return ", ".join([*(f"{n} {_number(v)}" for n, v in found.items() if n != "rows"), rows])


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or a request to end has come; a second Ctrl-C ends at once."""
    import signal

    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)


EVERY = 5.0  # seconds between lines of progress off a terminal


@contextmanager
def _fit_progress(quiet: bool) -> Iterator[Callable[[Any], None] | None]:
    """A line that changes on a terminal; elsewhere one a pass, and every few seconds."""
    from time import monotonic

    if quiet:
        yield None
        return

    def text(p: Any) -> str:
        share = "" if p.share is None else f" {100 * p.share:3.0f} %"
        return f"pass {p.passed}/{p.passes}{share}  {p.rows} rows  {p.speed:.3g} rows/s  loss {p.loss:.4f}"

    if not sys.stderr.isatty():
        last = monotonic()

        def line(p: Any) -> None:
            nonlocal last
            if p.share == 1.0 or monotonic() - last > EVERY:
                _say(text(p))
                last = monotonic()

        yield line
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("reading") as status:

        def update(p: Any) -> None:
            status.update(text(p))
            if p.share == 1.0:
                console.print(text(p), highlight=False)

        yield update


def _share(good: Iterable[bool]) -> str:
    """How many of them: 3/3."""
    values = list(good)
    return f"{sum(values)}/{len(values)}" if values else ""


def _conditions(lines: Sequence[str]) -> str:
    """All of them off a terminal; on one, how many there are: the report has room for them."""
    if not sys.stdout.isatty():
        return "; ".join(lines)
    return f"{len(lines)}, see --out" if lines else ""


def _numbers(what: str, text: str, count: int | None = None) -> list[float]:
    """Comma-separated numbers; HyperparameterError."""
    from .errors import HyperparameterError

    try:
        values = [float(x) for x in text.split(",")]
    except ValueError:
        values = []
    if not values or (count is not None and len(values) != count):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise HyperparameterError(f"--{what} {text}: {wanted} separated by commas are needed")
    return values


def _one_or_more(what: str, text: str) -> "float | list[float]":
    values = _numbers(what, text)
    return values[0] if len(values) == 1 else values


def _names(text: str) -> list[str]:
    """Names between commas; a comma within brackets belongs to its name."""
    names, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth <= 0:
            names.append("")
        else:
            names[-1] += c
    return [n.strip() for n in names if n.strip()]


def _doc(kind: type[Any]) -> str:
    return sys.modules[kind.__module__].__doc__ or kind.__doc__ or ""


def _title(kind: type[Any]) -> str:
    first = _doc(kind).strip().partition("\n")[0]
    return first.partition(": ")[2] or first


def _after(kind: type[Any], word: str) -> str:
    """The sentence of a rule's docstring that begins with a word."""
    _, found, rest = _doc(kind).partition(word)
    return f"{found} {' '.join(rest.partition(chr(10) + 'Errors:')[0].split())}" if found else ""


@contextmanager
def _told() -> Iterator[None]:
    """Errors of thalweg's own are one line on stderr; others are bugs and keep their traceback."""
    from .errors import HyperparameterError, ThalwegError, UnknownClaimError, UnknownProblemError

    try:
        yield
    except ThalwegError as error:
        print(f"thalweg: {error}", file=sys.stderr)
        usage = isinstance(error, HyperparameterError | UnknownProblemError | UnknownClaimError)
        raise typer.Exit(2 if usage else 1) from None


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """A table, drawn on a terminal, tab-separated elsewhere."""
    if not sys.stdout.isatty():
        for record in (head, *rows):
            print("\t".join(record))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, n in enumerate(head):
        table.add_column(n, justify="right" if k in right else "left", no_wrap=k == 0, overflow="fold")
    for record in rows:
        table.add_row(*record)
    Console(markup=False, highlight=False).print(table)


def _show(made: "Race") -> None:
    """The results, best first."""
    rows = []
    metric = ""
    for r in made.data["methods"]:
        loss = r["loss"]
        metric = r["metric"]["name"] if r["metric"] else metric
        rows.append(
            [
                r["method"],
                _number(r["lr"]),
                _number(loss["median"], "diverged"),
                f"{_number(loss['p10'], 'inf')} .. {_number(loss['p90'], 'inf')}",
                "" if not r["metric"] else _number(r["metric"]["median"]),
                _number(r["steps_to_target"], "never"),
                _number(r["us_per_step"]),
                f"{r['diverged']}/{r['trials']}",
                "; ".join(r["notes"]),
            ]
        )
    head = [
        "method",
        "rate",
        "loss",
        "10-90 %",
        metric or "metric",
        "steps to target",
        "µs/step",
        "diverged",
        "note",
    ]
    drop = {k for k in (4, 8) if not any(row[k] for row in rows)}
    keep = [k for k in range(len(head)) if k not in drop]
    _table([head[k] for k in keep], [[row[k] for k in keep] for row in rows], right=range(1, 8))


def _number(x: float | None, missing: str = "-") -> str:
    return missing if x is None else f"{x:.4g}"


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr where that is a terminal; a line a phase elsewhere."""
    if not sys.stderr.isatty():

        def line(what: str, done: int, total: int) -> None:
            if done in (0, total):
                print(f"{what}: {done}/{total}", file=sys.stderr, flush=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield update


def main() -> None:
    """The ``thalweg`` command."""
    app()


if __name__ == "__main__":
    main()
