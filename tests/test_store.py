"""A store of trials: nothing that is done is lost or run again; another's file is left as it is."""

import json
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli.program import app
from thalweg.errors import FileError, HyperparameterError
from thalweg.lab import store as stores
from thalweg.lab.race_options import RaceOptions
from thalweg.lab.store import VERSION, Busy, Store, decoded, encoded
from thalweg.lab.trial import Runs, Trial
from thalweg.lab.trial_key import Keys
from thalweg.problems import FunctionProblem, Source, landscape

from .races import without_times
from .test_race import numbers

BEALE: dict[str, Any] = {"methods": ["SGD", "Adam"], "trials": 5, "seeds": 2, "steps": 30}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """The trials that are run in this process."""
    ran: list[Trial] = []
    run = Trial.run
    monkeypatch.setattr(Trial, "run", lambda trial: ran.append(trial) or run(trial))
    return ran


def rows(path: Path) -> dict[str, tuple[int, bytes]]:
    """What is committed: how often each trial was claimed, and its record."""
    if not path.exists():
        return {}
    db = sqlite3.connect(path)
    try:
        found = db.execute("SELECT key, attempts, record FROM trials WHERE record IS NOT NULL").fetchall()
    except sqlite3.OperationalError:  # killed before it was made
        found = []
    db.close()
    return {key: (attempts, record) for key, attempts, record in found}


def test_a_race_goes_on_where_it_was(tmp_path: Path, counted: list[Trial]) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    path = tmp_path / "race.db"
    whole = tw.race("beale", **BEALE)
    trials = len(counted)
    counted.clear()
    assert tw.race("beale", **BEALE, store=path, progress=stop).data["finished"] is False
    first = len(counted)
    assert 7 <= first < trials
    resumed = tw.race("beale", **BEALE, store=path)
    # What was claimed with those before the interrupt, and not run, is not waited for.
    assert trials <= len(counted) <= trials + 1
    counted.clear()
    assert numbers(tw.race("beale", **BEALE, store=path)) == numbers(resumed) == numbers(whole)
    assert counted == []
    assert len({attempts for attempts, _ in rows(path).values()} - {1, 2}) == 0
    tw.race("beale", **BEALE, store=path, fresh=True)
    assert len(counted) == trials
    assert sorted(p.name for p in tmp_path.iterdir()) == ["race.db"]


def test_runs_come_back_bit_for_bit() -> None:
    runs = Trial(
        tw.Adam(), landscape("beale"), 5, (0, 1), record=("loss", "path", "rates", "ends"), stop=1.0
    ).run()
    back = decoded(encoded(runs))
    assert back.failures == runs.failures == () and back.outside is runs.outside is None
    for name in ("steps", "reached", "settled", "ceiling", "seconds"):
        assert getattr(back, name).tobytes() == getattr(runs, name).tobytes()
    assert back.records.keys() == runs.records.keys()
    assert all(back.records[n].tobytes() == a.tobytes() for n, a in runs.records.items())
    assert decoded(encoded(Trial(tw.SGD(), landscape("beale"), 3).failed("no"))).failures == ("no",)


BASE: dict[str, Any] = {"rule": tw.Adam(), "problem": Source("beale"), "steps": 9, "seeds": (0, 1)}


@pytest.mark.parametrize(
    "change",
    [
        {"rule": tw.Adam(beta1=0.8)},
        {"rule": tw.Adam.like("keras")},
        {"rule": tw.Adam(lr=tw.cosine(0.1, steps=9))},
        {"problem": Source("booth")},
        {"problem": Source("beale", start=(1.0, 1.0))},
        {"steps": 10},
        {"seeds": (0, 2)},
        {"starts": [0.0, 0.0]},
        {"batch": 1},
        {"vary": {"lr": np.array([0.1])}},
        {"vary": {"beta1": np.array([0.1])}},
        {"options": {"weight_decay": 0.1}},
        {"every": 3},
        {"record": ("loss", "path")},
        {"stop": 0.1},
        {"target": 0.1},
    ],
)
def test_what_decides_the_numbers_decides_the_key(change: dict[str, Any]) -> None:
    keys = Keys()
    assert keys.key(Trial(**BASE)) == Keys().key(Trial(**BASE))
    assert keys.key(Trial(**BASE | change)) != keys.key(Trial(**BASE))


def test_the_machine_and_its_versions_decide_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.lab import versions

    before, known = Keys().key(Trial(**BASE)), versions.versions()
    for name, said in {"threads": True, "cpu": False, "numpy": False, "thalweg": False}.items():
        monkeypatch.setattr(versions, "versions", lambda name=name: known | {name: "other"})
        assert (Keys().key(Trial(**BASE)) == before) is said


def test_a_users_code_and_data_count_by_their_contents(tmp_path: Path) -> None:
    """A file, what it imports from below its folder, a table, and what is named; not what lies beside them."""
    mine, helper, table, more = (tmp_path / n for n in ("mine.py", "below/helper.py", "t.csv", "more.txt"))
    helper.parent.mkdir()
    mine.write_text("def f(x):\n    from below.helper import power\n    return (x ** power).sum()\n")
    for file in (helper, table, more):
        file.write_text("power = 2\n")

    def both() -> tuple[str, str]:
        keys = Keys([more])
        return tuple(keys.key(Trial(**BASE | {"problem": Source(n)})) for n in (f"{mine}:f", str(table)))  # type: ignore[return-value]

    before = both()
    (tmp_path / "below" / "other.py").write_text("x = 1\n")
    assert both() == before
    seen = {before}
    for file, changed in {
        mine: (True, False), helper: (True, False), table: (False, True), more: (True, True),
    }.items():  # fmt: skip
        last = both()
        file.write_text(file.read_text() + "# more\n")
        assert tuple(a != b for a, b in zip(both(), last, strict=True)) == changed, file
        seen.add(both())
    assert len(seen) == 5
    with pytest.raises(FileError, match=r"none\.txt: cannot be read \(no such file"):
        Keys([tmp_path / "none.txt"])


def test_functions_and_rules_of_ones_own_are_known_by_their_code(tmp_path: Path) -> None:
    def made(power: int) -> Callable[[Any], Any]:
        return lambda x: (x**power).sum()

    def key(problem: Any, rule: Any = BASE["rule"]) -> str:
        return Keys().key(Trial(rule, problem, 9))

    assert key(FunctionProblem(made(2), [1.0])) == key(FunctionProblem(made(2), [1.0]))
    assert key(FunctionProblem(made(2), [1.0])) != key(FunctionProblem(made(4), [1.0]))
    assert key(FunctionProblem(made(2), [1.0])) != key(FunctionProblem(made(2), [2.0]))
    lock = threading.Lock()
    with pytest.raises(HyperparameterError, match="cannot be known again"):
        key(FunctionProblem(lambda x: (lock is None) + x.sum(), [1.0]))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda db: db.execute(f"PRAGMA user_version = {VERSION + 1}"), "was written by a newer thalweg"),
        (lambda db: db.execute("PRAGMA application_id = 7"), "is no store of trials"),
        (lambda db: db.execute("UPDATE about SET value = 'booth'"), "holds trials of booth, not of beale"),
    ],
)
def test_anothers_store_is_refused_and_left_as_it_is(
    tmp_path: Path, make: Callable[[sqlite3.Connection], object], told: str, counted: list[Trial]
) -> None:
    path = tmp_path / "race.db"
    Store.open(path, "beale").close()
    db = sqlite3.connect(path)
    make(db)
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(FileError, match=told) as raised:
        tw.race("beale", **BEALE, store=path)
    assert "\n" not in str(raised.value)
    assert counted == [] and path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["race.db"]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "race.db"
    path.write_text("mine")
    with pytest.raises(FileError, match="is no store of trials"):
        tw.race("beale", **BEALE, store=path, fresh=True)
    assert path.read_text() == "mine"


def test_a_file_that_decides_for_no_store_is_refused(tmp_path: Path) -> None:
    for run in (lambda **o: tw.race("beale", **o), lambda **o: tw.study(["beale", "rosenbrock"], **o)):
        with pytest.raises(HyperparameterError, match=r"depends: got 'data\.csv', .* name a store"):
            run(depends=["data.csv"], workers=0)


def test_a_claim_holds_while_its_process_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where that cannot be seen, on another machine, until its lease ends."""
    store = Store.open(tmp_path / "s.db", "x")
    runs = Trial(tw.SGD(), landscape("beale"), 3).run()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    born = stores._born(sleeper.pid)

    def claimed_by(whom: str, key: str, limit: float) -> None:
        with monkeypatch.context() as m:
            m.setattr(stores, "_me", lambda: whom)
            assert store.claim([key], limit) == [None]

    def state(key: str) -> Any:
        return next(store.through([(0, key, lambda: runs)], 10.0))[0][1]

    claimed_by(f"{socket.gethostname()}:{sleeper.pid}:{born}", "a", 10.0)
    claimed_by(f"{socket.gethostname()}:{sleeper.pid}:{born}", "b", -1e6)
    assert state("a") == state("b") == Busy()
    sleeper.kill()
    sleeper.wait()
    assert isinstance(state("a"), Runs)
    claimed_by("elsewhere:1:1", "c", 10.0)
    claimed_by("elsewhere:1:1", "d", -1e6)
    assert state("c") == Busy() and isinstance(state("d"), Runs)
    store.close()


def test_the_last_to_close_a_store_leaves_one_file(tmp_path: Path) -> None:
    """Also after workers that were killed, where the parent has not looked since they wrote."""
    path = tmp_path / "race.db"
    parent = Store.open(path, "it")
    code = (
        "import os, pathlib; from thalweg.lab.store import Store;"
        f" Store(pathlib.Path({str(path)!r})).claim(['a'], 1.0); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert Path(f"{path}-wal").exists()
    parent.close()
    assert [p.name for p in tmp_path.iterdir()] == ["race.db"]


def test_a_trial_that_was_ended_counts_for_no_longer_limit(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.db", "x")
    trial = Trial(tw.SGD(), landscape("beale"), 3)
    store.commit([("k", trial.failed("took longer"), 2.0)])
    assert store.finished(["k"], 2.0)["k"].failures == ("took longer",)
    assert store.finished(["k"], 3.0) == {}
    store.commit([("k", trial.run(), None)])
    store.commit([("k", trial.failed("late"), 2.0)])
    assert store.finished(["k"], 9.0)["k"].failures == ()
    store.close()


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(tmp_path: Path, counted: list[Trial]) -> None:
    path, out = tmp_path / "race.db", tmp_path / "race.json"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
    try:
        with pytest.raises(
            FileError, match=r"race\.db: cannot be written .* what it holds is kept"
        ) as raised:
            tw.race("beale", **BEALE | {"steps": 1000}, store=path, json=out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(raised.value)
    assert json.loads(out.read_text())["finished"] is False
    kept, ran = rows(path), len(counted)
    assert kept
    counted.clear()
    tw.race("beale", **BEALE | {"steps": 1000}, store=path)
    assert kept.items() <= rows(path).items()
    assert len(counted) == len(rows(path)) - len(kept)
    assert ran > len(kept)


@pytest.mark.parametrize("several", [False, True], ids=["race", "study"])
def test_what_was_found_is_told_where_it_cannot_be_written(several: bool, tmp_path: Path) -> None:
    """The page does not fit on the disk: the numbers are written and printed all the same, and the error is the last line."""
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({60_000}, {60_000})); from thalweg.cli import main; main()"
    )
    arguments = ["race", "beale", *["rosenbrock"] * several, "--methods", "Adam,SGD", "--trials", "2"]
    arguments += ["--seeds", "2", "--steps", "20", "--no-store", "--out", "a.html", "--json", "a.json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Adam" in done.stdout and "SGD" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("thalweg: a.html: cannot be written (")
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "a.json").read_text())["finished"] is True
    assert not (tmp_path / "a.html").exists()


def test_what_was_found_is_told_where_ctrl_c_ends_its_drawing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("thalweg.lab.race.render", stop)
    arguments = ["race", "beale", "--methods", "Adam,SGD", "--trials", "2", "--seeds", "2", "--steps", "20"]
    monkeypatch.setattr(sys, "argv", ["thalweg", *arguments, "--no-store"])
    with pytest.raises(SystemExit) as ended:
        app()
    seen = capsys.readouterr()
    assert ended.value.code == 130
    assert "Adam" in seen.out and "SGD" in seen.out
    assert seen.err.splitlines()[-1] == "thalweg: interrupted"


SLOW = """
import time
import numpy as np

def f(x):
    time.sleep(2e-4)
    return ((x - 1) ** 2).sum()
"""
RACE = "--start 3,4 --methods SGD,Adam --trials 12 --seeds 10 --steps 20"


def command(folder: Path, out: str, *more: str) -> list[str]:
    arguments = ["race", "mine.py:f", *RACE.split(), "--out", f"{out}.html", "--json", f"{out}.json"]
    return [sys.executable, "-m", "thalweg.cli", *arguments, *more]


@pytest.mark.slow
def test_killed_at_any_moment_nothing_committed_is_run_again(tmp_path: Path) -> None:
    """Twenty times, the parent alone or with its workers; and the numbers are those of a race that was not."""
    (tmp_path / "mine.py").write_text(SLOW)
    subprocess.run(command(tmp_path, "whole"), cwd=tmp_path, check=True, capture_output=True)
    chance = random.Random(0)
    before: dict[str, tuple[int, bytes]] = {}
    for _ in range(20):
        child = subprocess.Popen(
            command(tmp_path, "killed"),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        more = chance.randrange(-1, 4)  # as many trials later, or as soon as it may be
        time.sleep(chance.random())
        while len(rows(tmp_path / "killed.db")) < len(before) + more:
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(chance.random() / 20)
        child.send_signal(signal.SIGKILL)
        child.wait()
        now = rows(tmp_path / "killed.db")
        assert before.items() <= now.items()
        before = now
    assert 10 < len(before) < len(rows(tmp_path / "whole.db"))
    subprocess.run(command(tmp_path, "killed"), cwd=tmp_path, check=True, capture_output=True)
    assert before.items() <= rows(tmp_path / "killed.db").items()
    assert rows(tmp_path / "killed.db").keys() == rows(tmp_path / "whole.db").keys()
    killed, whole = (without_times((tmp_path / f"{n}.json").read_text()) for n in ("killed", "whole"))
    assert killed == whole


@pytest.mark.slow
def test_two_processes_share_a_store(tmp_path: Path) -> None:
    """Each trial is run once, by one of them."""
    (tmp_path / "mine.py").write_text(SLOW)
    both = [
        subprocess.Popen(
            command(tmp_path, out, "--store", "shared.db"), cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        for out in ("a", "b")
    ]
    assert [child.wait(300) for child in both] == [0, 0]
    one, other = (without_times((tmp_path / f"{n}.json").read_text()) for n in ("a", "b"))
    assert one == other
    assert {attempts for attempts, _ in rows(tmp_path / "shared.db").values()} == {1}


def test_a_trial_is_known_in_whatever_order_its_file_was_described(tmp_path: Path) -> None:
    """A report's command has the options of reading in an order of its own."""
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(20)))
    keys = Keys()
    said = {"skip_lines": 0, "na": ("7",)}
    one, other, third = (
        keys.key(Trial(tw.SGD(), RaceOptions(target="y", reading=r).source(str(path)), 9))
        for r in (said, dict(reversed(said.items())), {**said, "na": ("8",)})
    )
    assert one == other != third
