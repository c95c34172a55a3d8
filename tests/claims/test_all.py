"""The catalogue of claims, the page, the numbers on disk, and what is said when something is wrong."""

import json
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tools.claims import stored
from typer.testing import CliRunner

from thalweg.cli.program import app
from thalweg.errors import EngineError, FileError, UnknownClaimError
from thalweg.lab import experiments
from thalweg.lab.claims import CHAPTERS, Result, catalogue
from thalweg.lab.evidence import Evidence
from thalweg.lab.experiments import claims

from .conftest import sound

QUICK = "leaky-average"
SOURCES = [
    "sparse-features",
    "adagrad-stalls",
    "leaky-average",
    "rmsprop-oscillates",
    "adadelta-settles",
    "adadelta-units",
    "eps-is-a-rate",
    "bias-correction",
    "uncorrected-start",
    "max-norm",
    "darve-rate",
    "adagrad-grows",
    "balanced-is-slow-too",
    "momentum-accelerates",
    "adam-both",
    "defaults-mislead",
    "adaptive-generalises-worse",
    "adadelta-path",
    "rmsprop-beats-adagrad",
    "adagrad-lr-sensitive",
    "rmsprop-bounded",
    "rmsprop-rate-still-manual",
    "delta-is-momentum",
    "gradient-normalised",
    "gradient-sizes",
]


def test_every_row_of_the_sources_is_a_claim() -> None:
    assert set(SOURCES) <= set(catalogue())


@pytest.mark.parametrize("name", catalogue())
def test_a_claim_says_what_would_refute_it(name: str) -> None:
    claim = catalogue()[name]
    assert claim.title.endswith((".", "?"))
    assert len(claim.title) < 260
    assert claim.chapter in CHAPTERS
    assert all((claim.source, claim.measured, claim.refuted))


@pytest.mark.slow
@pytest.mark.parametrize("name", catalogue())
def test_every_claim_has_verdict_numbers_and_a_picture_that_can_be_drawn(name: str, tmp_path: Path) -> None:
    from thalweg.lab.pictures import draw

    result = sound(name)
    assert result.error is None
    assert result.verdict == stored()[name]["verdict"], "run: python -m tools.claims " + name
    found = result.evidence
    assert found.numbers
    assert found.checks or found.agreed
    assert found.reading
    assert result.picture is not None
    assert result.picture.alt
    assert json.dumps(result.json("x.svg"), allow_nan=False)
    draw.write(result.picture, tmp_path / "dark.svg", theme="dark")
    text = draw.svg(result.picture, "x", narrow=True)
    assert not re.search(r"\b(nan|inf)\b", re.sub(r">[^<]*<", "><", text))


def test_the_verdict_follows_from_what_was_found() -> None:
    found = Evidence()
    assert found.verdict == "does not hold"
    found.check("a", True)
    assert found.verdict == "holds"
    found.limit("only while", False)
    assert found.verdict == "holds"
    found.limit("only where", True)
    assert (found.verdict, found.conditions) == ("holds under conditions", ["only where"])
    found.number("n", 1.0, 1.1, within=0.05)
    assert found.verdict == "does not hold"
    other = Evidence()
    other.number("n", 1.0, 1.04, within=0.05)
    assert other.verdict == "holds"
    other.number("m", float("nan"), 1.0, within=0.5)
    assert other.verdict == "does not hold"


class Links(HTMLParser):
    """Addresses that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [v or "" for n, v in attrs if n in ("src", "href", "xlink:href")]


def test_page_picture_and_numbers(tmp_path: Path) -> None:
    found = claims([QUICK], out=tmp_path / "report", json=tmp_path / "c.json", jobs=1)
    assert found.finished
    assert {f.name for f in (tmp_path / "report").iterdir()} == {"index.html", f"{QUICK}.svg"}
    (record,) = json.loads((tmp_path / "c.json").read_text())
    assert {"id", "verdict", "conditions", "numbers", "source_numbers", "picture"} <= set(record)
    again = Result.restored(record)
    assert json.loads(json.dumps(again.json(f"{QUICK}.svg"))) == record
    assert again.verdict == found.results[0].verdict
    assert record["picture"] == f"{QUICK}.svg"
    assert set(record["source_numbers"]) <= set(record["numbers"])
    links = Links()
    links.feed((tmp_path / "report" / "index.html").read_text())
    assert links.found
    assert all(link.startswith(("#", "data:")) for link in links.found)


def test_an_experiment_that_fails_is_told_and_the_others_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from thalweg.lab.claims import stability_limits

    catalogue.cache_clear()
    monkeypatch.setattr(stability_limits, "experiment", lambda: 1 / 0)
    try:
        found = claims([QUICK, "stability-limits"], out=tmp_path / "r", json=tmp_path / "c.json", jobs=1)
    finally:
        catalogue.cache_clear()
    assert [r.id for r in found.failed] == ["stability-limits"]
    good, bad = json.loads((tmp_path / "c.json").read_text())
    assert "error" not in good
    assert bad["verdict"] is None
    assert bad["error"].startswith("ZeroDivisionError: division by zero (test_all.py:")
    page = (tmp_path / "r" / "index.html").read_text()
    assert "ZeroDivisionError" in page
    assert "could not be run" in page


def test_what_is_done_is_kept_when_interrupted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(call, tasks, count, jobs):  # type: ignore[no-untyped-def]
        yield call(*tasks[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "side_by_side", interrupted)
    found = claims([QUICK, "stability-limits"], out=tmp_path / "r", json=tmp_path / "c.json")
    assert not found.finished
    assert [r["id"] for r in json.loads((tmp_path / "c.json").read_text())] == [QUICK]
    assert "interrupted" in (tmp_path / "r" / "index.html").read_text()


def test_a_picture_that_cannot_be_drawn_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from thalweg.lab.pictures import draw

    def broken(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(draw, "write", broken)
    found = claims([QUICK], out=tmp_path / "r", json=tmp_path / "c.json", jobs=1)
    assert found.finished
    assert "no ink" in str(found.failed[0].error)
    assert "no ink" in (tmp_path / "r" / "index.html").read_text()


def test_whatever_ends_the_run_what_is_done_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def killed(call, tasks, count, jobs):  # type: ignore[no-untyped-def]
        yield call(*tasks[0])
        raise EngineError("a worker process was killed")

    monkeypatch.setattr(experiments, "side_by_side", killed)
    with pytest.raises(EngineError):
        claims([QUICK, "stability-limits"], out=tmp_path / "r", json=tmp_path / "c.json")
    assert [r["id"] for r in json.loads((tmp_path / "c.json").read_text())] == [QUICK]
    assert (tmp_path / "r" / "index.html").exists()


def test_a_killed_worker_is_one_line(tmp_path: Path) -> None:
    from thalweg.lab.workers import side_by_side

    with pytest.raises(EngineError, match="worker process was killed"):
        list(side_by_side(_die, [(k,) for k in range(2)], 2, 2))


def _die(k: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UnknownClaimError, match="did you mean 'leaky-average'"):
        claims(["leaky-averages"])
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(FileError, match="is a file"):
        claims([QUICK], out=file)
    with pytest.raises(FileError, match="cannot be made"):
        claims([QUICK], out=tmp_path / "no" / "such")
    with pytest.raises(FileError, match="folder does not exist"):
        claims([QUICK], json=tmp_path / "no" / "c.json")
    assert file.read_text() == "mine"


def command(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "thalweg.cli", "claims", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def test_the_command(tmp_path: Path) -> None:
    made = command(QUICK, "--out", "report", "--json", "c.json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    head, row = (line.split("\t") for line in made.stdout.splitlines())
    assert head[:2] == ["claim", "verdict"]
    assert row[:2] == [QUICK, "holds"]
    wrong = CliRunner().invoke(app, ["claims", "leaky"])
    assert wrong.exit_code == 2
    assert wrong.stderr.count("\n") == 1
    listed = CliRunner().invoke(app, ["claims", "--list"])
    assert len(listed.stdout.splitlines()) == 1 + len(catalogue())
