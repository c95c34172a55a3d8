"""Run the claims: experiments side by side on all cores, each written down as soon as it is done."""

import json as json_format
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..files import make_folder, require_writable, write_text
from .claims import Findings, Result, chosen, measure
from .reports.claims import html
from .versions import versions
from .workers import side_by_side

Progress = Callable[[str, int, int], None]


def claims(
    ids: Sequence[str] | str | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    json: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Findings:
    """Measure claims by name, all of them by default.

    out: a folder for ``index.html``, one self-contained page, and a picture a claim. json: a file for
    the numbers. jobs: processes, the cores by default; 1 stays in this one. An interrupted run keeps what
    is done. Raises UnknownClaimError, FileError before anything is run.
    """
    wanted = chosen(ids)
    place = None if out is None else make_folder(out)
    if place is not None:
        require_writable(place / "index.html")
    if json is not None:
        require_writable(json)
    done: dict[str, Result] = {}
    finished, begin = False, time.perf_counter()
    report = progress or (lambda what, count, total: None)
    report("claims", 0, len(wanted))
    try:
        for result in side_by_side(measure, [(c.id,) for c in wanted], len(wanted), jobs):
            done[result.id] = result if place is None else _drawn(result, place)
            report("claims", len(done), len(wanted))
        finished = True
    except KeyboardInterrupt:
        pass
    finally:  # whatever ends the run, what is done is written down
        results = [done[c.id] for c in wanted if c.id in done]
        found = Findings(results, finished, time.perf_counter() - begin)
        _keep(found, place, json, [] if ids is None else [c.id for c in wanted])
    return found


def _drawn(result: Result, place: Path) -> Result:
    """The result with its picture on disk; a picture that cannot be drawn is the experiment's failure."""
    if result.picture is None:
        return result
    from .pictures.draw import write as draw

    try:
        draw(result.picture, place / f"{result.id}.svg")
    except Exception as failure:
        return replace(result, error=f"its picture: {type(failure).__name__}: {failure}")
    return result


def _keep(
    found: Findings,
    place: Path | None,
    json: str | os.PathLike[str] | None,
    ids: Sequence[str],
) -> None:
    if json is not None:
        records = [r.json(None if r.picture is None else f"{r.id}.svg") for r in found.results]
        numbers = json_format.dumps(records, indent=1, ensure_ascii=False, allow_nan=False)
        write_text(json, numbers)
    if place is not None:
        facts = {"command": shlex.join(["thalweg", "claims", *ids, "--out", str(place)])}
        text = html(found, {**facts, "versions": versions()})
        write_text(place / "index.html", text)
