"""Figures to take away: every figure of a race or a study as SVG and PDF at a column's width, tables as CSV and LaTeX."""

import csv
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .. import files
from .race_result import Columns, MethodRow, RaceResult, ranked
from .study_result import StudyResult, StudyRow

_ESCAPED = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\to$",
    "∞": r"$\infty$",
}


def of_race(race: RaceResult, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a race's figures and tables; the paths. Figures that have nothing to show are left out."""
    from .pictures import draw, search
    from .pictures import race as plots  # matplotlib is slow to import

    folder = files.make_folder(folder)
    shown: dict[plots.Plot, object] = {
        plots.loss_curves: race["curves"]["median"],
        plots.sensitivity: race["trials"]["lr"] if race["settings"]["tuned"] == ["lr"] else None,
        plots.effective_rate: race["rates"]["median"],
        plots.contour: race["paths"] and race["landscape"],
        **dict.fromkeys(search.drawn(race), True),
    }
    written = [
        path
        for plot, there in shown.items()
        if there and (not isinstance(there, list) or any(v is not None for v in there))
        for path in draw.columns(plot.draw, race, folder / plot.name)
    ]
    return [*written, *_tables(folder, "methods", _race_table(race)), *_csv(folder, "runs", race["runs"])]


def of_study(study: StudyResult, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a study's figures and tables, and those of each race in a folder of its problem's name; the paths."""
    from .pictures import draw
    from .pictures import study as plots

    folder = files.make_folder(folder)
    written: list[Path] = []
    if study["methods"]:
        shown = [
            plots.solved,
            plots.profile,
            plots.data_profile,
            *[plots.tuning] * bool(study["tuning"]["n"]),
        ]
        for plot in shown:
            written += draw.columns(plot.draw, study, folder / plot.name)
        written += _tables(folder, "methods", _study_table(study["methods"]))
        written += _tables(folder, "problems", _problem_table(study))
        written += _csv(folder, "times", study["times"])
    for race in study["races"]:
        written += of_race(race, folder / _file_name(race["problem"]))
    return written


def _file_name(problem: str) -> str:
    """A problem's name as that of a folder."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in problem).strip(".") or "problem"


Cell = str | float | int | None
Cells = Mapping[str, Sequence[Cell]]


def _race_table(race: RaceResult) -> Cells:
    rows = ranked(race)

    def column(value: Callable[[MethodRow], Cell]) -> list[Cell]:
        return [value(r) for r in rows]

    metric = next((r["metric"]["name"] for r in rows if r["metric"]), None)
    held_out = {metric: column(lambda r: r["metric"]["median"] if r["metric"] else None)} if metric else {}
    return {
        "method": column(lambda r: r["method"]),
        "learning rate": column(lambda r: r["lr"]),
        f"{race['settings']['loss_name']}, median": column(lambda r: r["loss"]["median"]),
        "10 %": column(lambda r: r["loss"]["p10"]),
        "90 %": column(lambda r: r["loss"]["p90"]),
        **held_out,
        "steps to target": column(lambda r: r["steps_to_target"]),
        "diverged": column(lambda r: r["diverged"]),
        "trials": column(lambda r: r["trials"]),
    }


def _study_table(rows: Sequence[StudyRow]) -> Cells:
    return {
        "method": [r["method"] for r in rows],
        "score": [r["score"] for r in rows],
        "mean rank": [r["rank"] for r in rows],
        "targets met": [r["solved"] for r in rows],
        "lowest on": [", ".join(r["lowest_on"]) for r in rows],
        "unbeaten on": [", ".join(r["unbeaten_on"]) for r in rows],
        "beaten on": [", ".join(loss["problem"] for loss in r["beaten_on"]) for r in rows],
    }


def _problem_table(study: StudyResult) -> Cells:
    """Median losses, a column a problem."""
    names = [r["method"] for r in study["methods"]]
    table: dict[str, Sequence[Cell]] = {"method": names}
    for race in study["races"]:
        medians = {r["method"]: r["loss"]["median"] for r in race["methods"]}
        table[race["problem"]] = [medians.get(n) for n in names]
    return table


def _tables(folder: Path, name: str, table: Cells) -> list[Path]:
    """A table as CSV, with all digits, and as LaTeX, with three."""
    rows = list(zip(*table.values(), strict=True))
    head = " & ".join(map(_latex, table))
    body = "".join(" & ".join(map(_latex, row)) + " \\\\\n" for row in rows)
    align = "l" + "".join(
        "l" if any(isinstance(v, str) for v in column) else "r" for column in list(table.values())[1:]
    )
    text = f"\\begin{{tabular}}{{{align}}}\n\\hline\n{head} \\\\\n\\hline\n{body}\\hline\n\\end{{tabular}}\n"
    path = folder / f"{name}.tex"
    files.write_text(path, text)
    return [*_csv(folder, name, table), path]


def _csv(folder: Path, name: str, table: Cells | Columns) -> list[Path]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    path = folder / f"{name}.csv"
    files.write_text(path, buffer.getvalue())
    return [path]


def _latex(value: Cell) -> str:
    """A cell: words with LaTeX's signs escaped, numbers to three digits, a dash for what is not there."""
    if value is None:
        return "--"
    if isinstance(value, str):
        return "".join(_ESCAPED.get(c, c) for c in value)
    if isinstance(value, int):
        return str(value)
    if value == 0 or not math.isfinite(value):
        return "$0$" if value == 0 else r"$\infty$"
    mantissa, exponent = f"{value:.2e}".split("e")
    power = int(exponent)
    if -3 <= power <= 4:
        return f"${float(f'{value:.2e}'):.{max(0, 2 - power)}f}$"
    return f"${mantissa}\\times 10^{{{power}}}$"
