"""What a study found, several problems with the same methods, as plain data: the one place that knows its schema.

A number is None where it is infinite or was not measured. Times are steps, of one gradient evaluation each.
"""

from typing import TypedDict

from .race_result import Columns, Contained, Effect, Finding, Number, RaceResult

VERSION = 1  # of the schema: raised where a field goes or changes its meaning, not where one is added


class StudySettings(TypedDict):
    """What was compared on what, and the command that runs the study again ("" for what no command line can name).

    verdict_problems: how many problems it takes for two of the methods to be told apart across problems.
    r_max: up to which ratio of times the score rewards. only: options of all problems that some do not take, and which do.
    """

    methods: list[str]
    problems: list[str]
    seeds: int
    r_max: float
    verdict_problems: int
    command: str
    only: dict[str, list[str]]


class Loss(TypedDict):
    """A problem on which a method is told to end higher than another, the most so of all: in so many of the pairs."""

    problem: str
    by: str
    ratio: Effect | None
    difference: Effect | None
    wins: int
    pairs: int


class StudyRow(TypedDict):
    """One method over all problems.

    score: AlgoPerf's, from the expected running times with restarts to all targets, in [0, 1]. rank: the mean over
    problems, 1 the best, of the rank by the median loss at the end. solved: the share of all runs' targets that were
    met. lowest_on: problems on which its median is lowest. unbeaten_on: those that can tell methods apart, and on which
    no other is told to end lower. beaten_on: where one is.
    """

    method: str
    score: float
    rank: float
    solved: float
    lowest_on: list[str]
    unbeaten_on: list[str]
    beaten_on: list[Loss]


class PairRow(TypedDict):
    """Method a against method b over all problems.

    time, loss: the mean of the middle half of the ratios of paired runs' steps to the middle target, and losses (gaps),
    with a bootstrap interval, 95 % for this pair alone; loss is None where a problem compares differences. faster: the
    share of paired runs in which a met that target first, equal ones counted half. p_time, p_loss: of the signed-rank
    test over problems, each with its median, corrected for all pairs of methods.
    """

    a: str
    b: str
    time: Effect
    loss: Effect | None
    faster: float
    p_time: float
    p_loss: float


class StudyResult(TypedDict):
    """Everything that is reported.

    ``methods``: highest score first. ``failed``: problems that could not be raced, with the reason. ``p_time``,
    ``p_loss``: Friedman's tests that all methods are alike. ``times`` (problem, share, method, time, solved, runs): the
    expected running time with restarts to each target, None where no run met it. ``ecdf`` (method, cost, share, low,
    high): the share of all runs' targets met within a cost, with a bootstrap band. ``profile`` (method, ratio, share)
    and ``data_profile`` (method, cost, share) count targets by ``times``. ``tuning`` (problem, method, n, expected,
    p5, p95): the races' tuning curves. ``audit``, ``lint``: of all races, with the
    problem, and ``lint`` of the study itself.
    """

    version: int
    finished: bool
    settings: StudySettings
    versions: dict[str, str]
    methods: list[StudyRow]
    pairs: list[PairRow]
    p_time: float
    p_loss: float
    times: Columns
    ecdf: Columns
    profile: Columns
    data_profile: Columns
    tuning: Columns
    audit: dict[str, list[Contained]]
    lint: list[Finding]
    failed: dict[str, str]
    races: list[RaceResult]


def turned(effect: Effect | None, ratio: bool) -> Effect | None:
    """An effect of a against b as one of b against a."""
    if effect is None:
        return None

    def turn(x: Number) -> Number:
        if not ratio:
            return None if x is None else -x
        return 0.0 if x is None else None if x == 0 else 1 / x

    return {"median": turn(effect["median"]), "low": turn(effect["high"]), "high": turn(effect["low"])}
