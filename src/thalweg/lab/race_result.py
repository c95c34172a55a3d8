"""What a race found, as plain data: the one place that knows its schema, which JSON, pages and figures share.

A number is None where it is infinite (a diverged run) or was not measured.
"""

from typing import Any, Literal, TypeAlias, TypedDict

VERSION = 1  # of the schema: raised where a field goes or changes its meaning, not where one is added

Number: TypeAlias = float | None
Columns: TypeAlias = dict[str, list[Any]]  # plain lists of equal length by name, ready for a data frame


class Quantiles(TypedDict):
    """Of the final losses over the fresh seeds."""

    median: Number
    p10: Number
    p90: Number


class Metric(TypedDict):
    """The test metric on held-out rows; its median at the end over the fresh seeds."""

    name: str
    median: Number


class MethodRow(TypedDict):
    """One method's row of the table. ``diverged`` counts among its ``trials`` those that diverged or failed; ``fate``:
    what became of it, "diverged", "failed" or "not run", where its loss has no median, else ""; ``edges``: the lines whose best value lies
    at an end of their range, with nothing tried beyond it; ``schedules``: the lines that follow a schedule; ``kind``:
    the name of its rule, "" for what is no rule of the library's; ``values``: its tuned lines and all others.
    """

    method: str
    kind: str
    rule: str  # the tuned rule, as Python prints it
    lr: Number
    settings: dict[str, float | str | None]  # the tuned values by setting; None where the method has no such
    sets: dict[str, list[str]]  # the lines of the method that a setting is, where it is some
    values: dict[str, Number]
    gain: Number
    loss: Quantiles
    metric: Metric | None
    steps_to_target: Number  # median over the fresh seeds
    us_per_step: Number
    diverged: int
    fate: str
    trials: int
    edges: list[str]
    schedules: list[str]
    notes: list[str]


class RaceSettings(TypedDict):
    """The budget, how the winner of tuning was selected, the seeds that it saw, and the command that runs the race
    again ("" for what no command line can name)."""

    methods: list[str]
    trials: int
    tuning_seeds: int
    final_seeds: int  # more, on which the best trials of each method were rerun before one was chosen
    seeds: int
    seeds_are: str  # "starts" of a problem without noise, or "starts and batches"
    steps: int
    batch: int
    seed: int
    tuned: list[str]  # the settings that were searched
    scales: dict[
        str, str
    ]  # how each is spread: evenly in "log" x, in log of its "complement" 1 - x, or "words"
    ranges: dict[str, list[float | str]]  # those that the user gave
    sampler: str  # "halton" or "optuna"
    rows: int  # of the training data; 0 without any
    selection: str
    selection_seeds: list[int]
    target: Number
    target_text: str
    loss_name: str
    command: str


class Contained(TypedDict):
    """Method ``outer`` contains method ``inner``: at the settings in ``how`` it takes the inner one's steps.

    untuned: those of the lines for it that were not tuned. verdict: of the outer one against the inner one, from
    paired runs: "better", "tie", "worse" ("under-tuned" is what it then is, and no ranking), "" where nothing was tested.
    text: in a sentence.
    """

    outer: str
    inner: str
    how: str
    untuned: list[str]
    verdict: str
    text: str


class Finding(TypedDict):
    """What the linter says of one rule of fair comparison: "kept", "broken" or "not applicable", and on what evidence."""

    rule: str
    verdict: str
    text: str
    evidence: dict[str, Any]


class Landscape(TypedDict):
    """The map of a problem of two parameters: x (n,), y (n,) and z (n, n), rows along y."""

    x: list[float]
    y: list[float]
    z: list[list[float]]
    minima: list[list[float]]
    start: list[float]
    names: list[str]


class OutsiderRow(TypedDict):
    """What an established solver reaches on the problem."""

    name: str
    loss: Number
    metric: Number


class Floor(TypedDict):
    """What targets are measured from: the known minimum, or the lowest loss of any run on fresh seeds.

    A target leaves one of ``shares`` of the way from a run's start to ``loss``; it is met on so many ``consecutive`` records.
    """

    loss: float
    known: bool
    shares: list[float]
    consecutive: int


Question: TypeAlias = Literal["lowest", "fastest", "forgiving", "held out"]


class Effect(TypedDict):
    """Of one method against another over paired runs: the median and the ends of its interval; None: infinite."""

    median: Number
    low: Number
    high: Number


class VerdictRow(TypedDict):
    """Method a against method b: "better", "worse" or "tie" for a.

    One of ratio (a's value as a multiple of b's) and difference (a - b) is there. wins: of the paired runs, those in
    which a is better; ties: those in which both are equal. p: of the signed-rank test, corrected for all pairs of methods.
    """

    a: str
    b: str
    verdict: str
    ratio: Effect | None
    difference: Effect | None
    wins: int
    ties: int
    pairs: int
    p: float


class Outlook(TypedDict):
    """From which of the methods that are not told from it a leader would be told with so many seeds of the same spread."""

    method: str
    seeds: int
    apart: list[str]
    together: list[str]


class Basins(TypedDict):
    """The local minima that runs on fresh seeds ended in: points and losses, lowest first; for each method how many of
    its ``runs`` ended in each.
    """

    minima: list[list[float]]
    losses: list[float]
    counts: dict[str, list[int]]
    runs: int


class Answer(TypedDict):
    """What a race says to one question.

    scale: what is compared: "loss", "gap" (above the known minimum), "steps", "decades" or the metric's name.
    leaders: the best method, then those that are not told apart from it. equal: losses (gaps) below it count as
    equal. values: each method's, best first. beats:
    for each leader those that it is told to be better than. tested: whether verdicts were possible, which takes
    least_seeds paired runs (None where nothing is tested). outlook: of more seeds, where more than one leads.
    """

    question: Question
    scale: str
    leaders: list[str]
    equal: Number
    values: dict[str, Number]
    beats: dict[str, list[str]]
    tested: bool
    least_seeds: int | None
    outlook: Outlook | None
    verdicts: list[VerdictRow]


class RaceResult(TypedDict):
    """Everything that is reported.

    ``methods``: lowest median loss first. ``curves`` (method, step, median, p10, p90) are losses over the fresh
    seeds; ``rates`` (likewise) effective rates over the coordinates of the first of them; ``paths`` (method, step,
    x, y) its way on a problem of two parameters. ``runs`` (method, seed, start, loss, metric, and ``to_`` each of the
    floor's shares: the step at which that target was met) is every run on fresh seeds. ``trials`` (method, a column for each setting that was tuned, loss)
    is every tuning trial, its loss what settings were chosen by; ``tuning_curves`` (method, n, expected, p5, p95) the expected loss
    of the best of n of the first round's (a geometric mean where losses are compared as ratios), with a band by bootstrap, None where a sampler learnt from the trials before.
    ``importance`` (method, setting, share): of the variance of the trials' ranks, where several settings were tuned.
    ``answers`` are to the four questions, those that can be put. ``audit``: which method contains
    which, and whether it shows; ``lint``: each rule of a fair comparison. ``code`` rebuilds the winner.
    """

    version: int
    problem: str
    title: str
    text: str
    caveat: str  # what must be known of the loss, "" where nothing must
    finished: bool
    settings: RaceSettings
    versions: dict[str, str]
    methods: list[MethodRow]
    answers: list[Answer]
    audit: list[Contained]
    lint: list[Finding]
    curves: Columns
    trials: Columns
    tuning_curves: Columns | None
    importance: Columns
    runs: Columns
    floor: Floor | None
    basins: Basins | None  # where there is more than one
    rates: Columns
    paths: Columns | None
    landscape: Landscape | None
    outsider: OutsiderRow | None
    code: str


# Fields that are drawn or printed on the page alone; the JSON file holds the others.
ONLY_DRAWN = ("title", "text", "curves", "rates", "paths", "landscape")


def time_column(share: float) -> str:
    """The column of ``runs`` with the steps to the target that leaves this share of the way."""
    return f"to_{share:g}"


def height(row: MethodRow) -> float:
    """The median loss, infinite where there is none."""
    median = row["loss"]["median"]
    return float("inf") if median is None else median


def ranked(race: RaceResult) -> list[MethodRow]:
    """The methods' rows, lowest median loss first, those without one last."""
    return sorted(race["methods"], key=height)
