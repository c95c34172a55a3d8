"""The process around a command: streams that are full, closed or ASCII, Ctrl-C anywhere, names with line breaks."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thalweg.cli.program import app
from thalweg.errors import FileError, HyperparameterError
from thalweg.fitting import fit, predict
from thalweg.lab.browser import browse

COMMAND = f"{sys.executable} -m thalweg.cli"


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        timeout=60,
        env=os.environ | environment,
    )


FULL = b"thalweg: standard output: cannot be written (no space left on device)\n"
CLOSED = b"thalweg: standard output: cannot be written (bad file descriptor)\n"


SLOW = pytest.mark.slow  # each is a process


@pytest.mark.parametrize(
    ("line", "status", "told"),
    [
        ("rules Adam --latex >/dev/full", 1, FULL),
        ("--help >&-", 1, CLOSED),
        ("rules Adam --latex 2>&-", 0, b""),
        ("nosuch <&- >&- 2>/dev/full", 2, b""),
        ("--help | true", 1, b""),
        pytest.param("rules >/dev/full", 1, FULL, marks=SLOW),
        pytest.param("--help >/dev/full", 1, FULL, marks=SLOW),
        pytest.param("--version >/dev/full", 1, FULL, marks=SLOW),
        pytest.param("rules >&-", 1, CLOSED, marks=SLOW),
        pytest.param("rules Adma >&-", 2, None, marks=SLOW),
        pytest.param("rules Adma 2>/dev/full", 2, b"", marks=SLOW),
        pytest.param("rules Adma 2>&-", 2, b"", marks=SLOW),
        pytest.param("rules <&- >&- 2>&-", 1, b"", marks=SLOW),
        pytest.param("rules Adam --latex <&-", 0, b"", marks=SLOW),
        pytest.param("rules | true", 1, b"", marks=SLOW),
    ],
)
def test_streams_that_are_full_or_closed(line: str, status: int, told: bytes | None) -> None:
    done = shell(f"{COMMAND} {line}")
    assert done.returncode == status, done.stderr
    if told is None:
        assert done.stderr.count(b"\n") == 1
    else:
        assert done.stderr == told


@SLOW
def test_a_model_is_whole_where_nothing_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "a.svm").write_text("1 1:1 2:0.5\n0 2:1\n" * 20)
    fit(tmp_path / "a.svm", tmp_path / "n.tw", rule="SGD(lr=0.1)")
    given = f"{tmp_path}/a.svm --rule 'SGD(lr=0.1)' --model {tmp_path}/m.tw"
    assert shell(f"{COMMAND} fit {given} <&- >&- 2>/dev/full").returncode == 1  # the table is lost
    assert (tmp_path / "m.tw").read_bytes() == (tmp_path / "n.tw").read_bytes()


ASCII = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_what_ascii_lacks_is_an_escape_and_data_are_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = shell(f"{COMMAND} rules Adam", **ASCII)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.isascii()
    assert b"\\u" in done.stdout
    (tmp_path / "a.vw").write_bytes("1 'é|a b\n0 'ü|c\n".encode() * 9)
    fit(tmp_path / "a.vw", tmp_path / "m.tw", rule="SGD(lr=0.1)")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    predict(tmp_path / "m.tw", tmp_path / "a.vw")
    assert stream.buffer.getvalue().decode().splitlines()[1].startswith("é,1,")  # type: ignore[attr-defined]


def test_names_with_line_breaks_stay_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[31m.csv"
    path.write_text('"y\n1",x\n1,2\n0,3\n1,4,5\n')
    for arguments in (
        ["fit", str(path), "--model", str(tmp_path / "m.tw"), "--target", "y\n1"],
        ["fit", str(path), "--model", str(tmp_path / "m.tw"), "--target", "z\n1"],
        ["race", str(tmp_path / "no\nsuch.csv")],
        ["predict", str(tmp_path / "no\nmodel"), str(path)],
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code in (1, 2)
        assert done.stderr.count("\n") == 1 and "\x1b" not in done.stderr
        assert done.stderr.startswith("thalweg: ") and "\\n" in done.stderr
    assert str(HyperparameterError("a\r\nb\tc\x00\u2028")) == "a\\r\\nb\\tc\\x00\\u2028"
    assert str(FileError("é\x9b\x7f")) == "é\\x9b\\x7f"


# Ctrl-C while a package is looked for; or that package then fails, as compiled ones do.
INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            if {own}:
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                except KeyboardInterrupt:
                    pass
                raise ImportError("could not be initialised")
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv = ["thalweg", *{arguments!r}]
from thalweg.cli import main
main()
"""


@pytest.mark.parametrize(
    ("package", "arguments", "own"),
    [
        ("typer", ["rules"], False),
        ("thalweg.printing.latex", ["rules"], True),
        ("numpy", ["race", "beale"], False),
        pytest.param("typer.main", ["--help"], True, marks=SLOW),
        pytest.param("thalweg.cli.race", ["race"], False, marks=SLOW),
        pytest.param("numpy", ["race", "beale"], True, marks=SLOW),
        pytest.param("sklearn", ["race", "digits"], True, marks=SLOW),
    ],
)
def test_ctrl_c_while_packages_are_imported(package: str, arguments: list[str], own: bool) -> None:
    code = INTERRUPTED.format(package=package, arguments=arguments, own=own)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "thalweg: interrupted\n")


def test_ctrl_c_in_a_callback_is_not_lost() -> None:
    """Python drops what is raised in the callback of a weak reference; the command ends all the same."""
    code = """if True:
        import os, signal, time, weakref
        from thalweg.cli.process import run

        class Thing: pass

        def gone(_):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)

        def command():
            thing = Thing()
            kept = weakref.ref(thing, gone)
            del thing
            time.sleep(20)

        run(command)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "thalweg: interrupted\n")


@SLOW
@pytest.mark.parametrize("command", ["race beale --trials 2 --seeds 2", "rules", "claims leaky-average"])
def test_ctrl_c_at_any_moment(command: str, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "thalweg.cli", *command.split()]
    if command.startswith("race"):
        arguments += ["--out", str(tmp_path / "r.html")]
    begin = time.monotonic()
    subprocess.run(arguments, capture_output=True, check=True)
    whole = time.monotonic() - begin
    draw = random.Random(0)
    started = 0.15  # the interpreter's own start is not ours
    for _ in range(6):
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(draw.uniform(started, whole + 0.1))
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=60)
        assert "Traceback" not in told and "Exception ignored" not in told, told
        assert child.returncode in (0, 1, 130, -signal.SIGINT), told


def test_a_long_help_stands_under_headings() -> None:
    """Without a heading, an option would be one of sixty in a list."""
    lines = CliRunner().invoke(app, ["race", "--help"]).output.splitlines()
    at = {line.removesuffix(":"): k for k, line in enumerate(lines) if line[:1].isalpha()}
    assert list(at)[1:] == [
        "Arguments", "What is compared", "Budget", "Where it runs", "What is written", "How a table is read", "Options",
    ]  # fmt: skip
    under = "".join(lines[at["Options"] :])
    assert under.count("--") == 2 and "--list" in under and "--help" in under


@pytest.fixture
def browsers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No browser at all, in a folder of the test's own, which it returns."""
    monkeypatch.setattr(webbrowser, "_tryorder", [])
    monkeypatch.setattr(webbrowser, "_browsers", {})
    monkeypatch.chdir(tmp_path)
    return tmp_path


PAGES = (
    ("explore booth --methods SGD", "Page: explore.html"),
    ("show booth --methods SGD --steps 5 --lr 0.01 --record r.csv", "Picture: booth.svg"),
    ("diff SGD SGD --steps 5 --out d.html --json d.json", "Report: d.html"),
    ("claims delta-is-momentum --out c", "Report: c/index.html"),
    ("race booth --methods SGD --trials 1 --seeds 1 --steps 5 --workers 0 --no-store", "Report: race.html"),
)


@pytest.mark.parametrize(("line", "last"), PAGES, ids=[line.split()[0] for line, _ in PAGES])
def test_a_command_ends_with_the_path_of_its_page_and_opens_it(browsers: Path, line: str, last: str) -> None:
    told = CliRunner().invoke(app, [*line.split(), "--open"])
    assert told.exit_code == 0, told.output
    path = last.partition(": ")[2]
    assert told.stderr.splitlines()[-1] == last
    assert f"--open: there is no browser here; open {path} in one" in told.stderr.splitlines()
    seen = browsers / "seen"
    shell = webbrowser.GenericBrowser(["/bin/sh", "-c", f"echo $0 > {seen}", "%s"])
    webbrowser.register("of the test", None, shell, preferred=True)
    assert browse(path)
    assert seen.read_text().strip() == (browsers / path).as_uri()
    for beside in ("r.csv", "d.json"):
        assert (f": {beside}" in told.stderr) == (beside in line)


@pytest.mark.parametrize("line", ["claims delta-is-momentum", "diff SGD SGD", "fit a.csv --model m"])
def test_open_needs_a_file_to_open(browsers: Path, line: str) -> None:
    told = CliRunner().invoke(app, [*line.split(), "--open"])
    assert told.exit_code == 2
    assert "there is no file to show; name one with --" in told.stderr
    assert told.stderr.count("\n") == 1
    assert not list(browsers.iterdir())
