"""What a notebook shows of a race and of a study: what was found in sentences, the methods in a table, and a picture."""

from __future__ import annotations

from ... import notebook
from ..formatting import column, plain
from ..race_result import RaceResult, ranked
from ..study_result import StudyResult
from . import race_wording, study_wording


def race(result: RaceResult) -> str:
    """A race: answers, methods best first, losses over steps."""
    from ..pictures.notebook import display, framed  # matplotlib is slow to import
    from ..pictures.race import loss_curves

    rows = ranked(result)
    metric = next((r["metric"]["name"] for r in rows if r["metric"]), None)
    medians = [r["loss"]["median"] for r in rows]
    cells = [
        [
            r["method"],
            plain(r["lr"]),
            r["fate"] or words,
            "" if r["fate"] == "not run" else f"{_end(r['loss']['p10'])} … {_end(r['loss']['p90'])}",
            *([plain(r["metric"]["median"]) if r["metric"] else ""] if metric else []),
            plain(r["steps_to_target"])
            if r["steps_to_target"] is not None
            else ""
            if r["fate"] == "not run"
            else "never",
            "; ".join(r["notes"]),
        ]
        for r, median, words in zip(rows, medians, column(medians), strict=True)
    ]
    loss = f"{result['settings']['loss_name']}, median"
    head = [
        "method",
        "learning rate",
        loss,
        "10–90 %",
        *([metric] if metric else []),
        "steps to target",
        "note",
    ]
    if not any(row[-1] for row in cells):
        head, cells = head[:-1], [row[:-1] for row in cells]
    left = (0, len(head) - 1) if head[-1] == "note" else (0,)
    said = notebook.paragraphs(*race_wording.sentences(result))
    alt = f"Losses of {len(rows)} methods over steps on {result['title']}"
    return display(said, notebook.table(head, cells, result["title"], left), framed(loss_curves(result, alt)))


def study(result: StudyResult) -> str:
    """A study: what was found, methods with their scores, and the share of targets met within a cost."""
    from ..pictures.notebook import display, framed  # matplotlib is slow to import
    from ..pictures.study import solved

    rows = [study_wording.cells(r) for r in result["methods"]]
    said = notebook.paragraphs(*study_wording.sentences(result))
    drawn = framed(solved(result, "Share of targets met within a cost")) if rows else ""
    return display(said, notebook.table(study_wording.HEAD, rows, left=(0, 4, 5)), drawn)


def _end(value: float | None) -> str:
    return "∞" if value is None else plain(value)
