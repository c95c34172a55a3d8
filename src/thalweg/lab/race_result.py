"""What a race found, as plain data: the one place that knows its schema, which JSON, pages and figures share.

A number is None where it is infinite (a diverged run) or was not measured.
"""

from typing import Any, TypeAlias, TypedDict

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
    """One method's row of the table. ``diverged`` counts among its ``trials``."""

    method: str
    rule: str  # the tuned rule, as Python prints it
    lr: Number
    loss: Quantiles
    metric: Metric | None
    steps_to_target: Number  # median over the fresh seeds
    us_per_step: Number
    diverged: int
    trials: int
    notes: list[str]


class RaceSettings(TypedDict):
    """The budget, how the winner of tuning was selected, and the command that runs the race again
    ("" for what no command line can name)."""

    methods: list[str]
    trials: int
    tuning_seeds: int
    seeds: int
    steps: int
    batch: int
    seed: int
    selection: str
    target: Number
    target_text: str
    loss_name: str
    command: str


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


class RaceResult(TypedDict):
    """Everything that is reported.

    ``methods``: lowest median loss first. ``curves`` (method, step, median, p10, p90) are losses over the fresh
    seeds; ``rates`` (likewise) effective rates over the coordinates of the first of them; ``paths`` (method, step,
    x, y) its way on a problem of two parameters. ``trials`` (method, a column for each line that was tuned, loss)
    is every tuning trial. ``code`` rebuilds the winner.
    """

    version: int
    problem: str
    title: str
    text: str
    finished: bool
    settings: RaceSettings
    versions: dict[str, str]
    methods: list[MethodRow]
    curves: Columns
    trials: Columns
    rates: Columns
    paths: Columns | None
    landscape: Landscape | None
    outsider: OutsiderRow | None
    code: str


# Fields that are drawn or printed on the page alone; the JSON file holds the others.
ONLY_DRAWN = ("title", "text", "curves", "rates", "paths", "landscape")


def height(row: MethodRow) -> float:
    """The median loss, infinite where there is none."""
    median = row["loss"]["median"]
    return float("inf") if median is None else median


def ranked(race: RaceResult) -> list[MethodRow]:
    """The methods' rows, lowest median loss first, those without one last."""
    return sorted(race["methods"], key=height)
