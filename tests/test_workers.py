"""Workers: killed when they must be, and nothing is lost but what cannot be had."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import thalweg as tw
from thalweg.errors import EngineError, HyperparameterError, ProblemError
from thalweg.lab import performing, workers
from thalweg.lab.workers import Lost, beside, each, load, run, side_by_side


def test_what_never_returns_or_dies_fails_alone(tmp_path: Path) -> None:
    """A task that keeps Python's lock in compiled code, one with a child that sleeps, one whose process dies twice, one that dies once."""

    def work(k: int) -> Any:
        import ctypes
        import multiprocessing
        import os

        if k == 1:
            ctypes.PyDLL(None).sleep(60)
        if k == 2:
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
            child.start()  # which a daemon may not
            (tmp_path / "child").write_text(str(child.pid))
            child.join()
        if k == 3 or (k == 4 and not (tmp_path / "once").exists()):
            (tmp_path / "once").touch()
            os.kill(os.getpid(), 9)
        return k, os.environ["OMP_NUM_THREADS"]

    begin = time.monotonic()
    results = dict(run(each, work, [(k,) for k in range(7)], 2, 1.0))
    assert time.monotonic() - begin < 30
    assert results == {
        1: Lost("took longer than 1 s (--seconds) and was ended", 1.0),
        2: Lost("took longer than 1 s (--seconds) and was ended", 1.0),
        3: Lost("its worker process was killed 2 times (SIGKILL), perhaps for memory"),
        **{k: (k, "1") for k in (0, 4, 5, 6)},
    }
    child = Path("/proc", (tmp_path / "child").read_text())
    assert _ends(child), "a worker's child goes on without it"


@pytest.mark.parametrize("dies", [False, True])
def test_a_worker_that_waits_helps_and_is_not_relied_on(dies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_idle", [])
    here = os.getpid()

    def work(k: int) -> tuple[int, bool]:
        if dies and os.getpid() != here:
            os.kill(os.getpid(), 9)
        return k, os.getpid() == here

    tasks = [(k,) for k in range(5)]
    assert beside(work, tasks) == [(k, True) for k in range(5)]
    load("json")
    until = time.monotonic() + 60
    while not workers._idle and time.monotonic() < until:
        time.sleep(0.02)
    assert beside(work, tasks) == [(k, dies or k % 2 == 1) for k in range(5)]
    workers._dismiss()  # those of this test's own list


def _ends(process: Path) -> bool:
    """Whether a process is gone, or waits to be reaped by init, within ten seconds."""
    for _ in range(100):
        try:
            if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


def test_workers_are_kept_and_what_a_task_raises_is_raised() -> None:
    def pid(k: int) -> int:
        assert k != 5, "five"
        return os.getpid()

    first = set(side_by_side(pid, [(k,) for k in range(4)], 4, 2))
    assert os.getpid() not in first
    assert set(side_by_side(pid, [(k,) for k in range(4)], 4, 2)) == first
    with pytest.raises(AssertionError, match="five") as raised:
        list(side_by_side(pid, [(k,) for k in range(6)], 6, 2))
    assert "in pid" in raised.value.__notes__[0]
    with pytest.raises(EngineError, match="cannot be sent"):
        list(side_by_side(pid, [(threading.Lock(),)] * 2, 2, 2))


def test_no_more_workers_than_memory_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "available", lambda: 3 * workers.SMALL)
    monkeypatch.setattr(workers, "resident", lambda: 1)
    assert [workers.workers_for(9, n) for n in (1, 3, 8)] == [1, 3, 3]
    assert workers.workers_for(2, 8) == 2


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Killed, it cannot tell them."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\nfrom pathlib import Path\nfrom thalweg.lab.workers import each, run\n"
        "def work(place):\n    Path(place, str(os.getpid())).touch()\n    time.sleep(60)\n"
        "list(run(each, work, [(sys.argv[1],)] * 2, 2))\n"
    )
    place = tmp_path / "pids"
    place.mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(place)])
    while len(list(place.iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    assert all(_ends(Path("/proc", path.name)) for path in place.iterdir())


HANGS = """
def f(x):
    while x[0] > 50:
        pass
    return ((x - 1) ** 2).sum()

def never(x):
    while True:
        pass
"""


@pytest.mark.slow
def test_a_function_that_never_returns_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HANGS)
    rules = [tw.SGD(lr=0.1), tw.Momentum(lr=300.0)]
    made = tw.race(f"{file}:f", rules, start=[3.0], trials=1, seeds=1, steps=20, workers=1, seconds=3)
    good, bad = made.data["methods"]
    assert good["method"] == "SGD" and good["loss"]["median"] is not None and good["notes"] == []
    assert bad["loss"]["median"] is None and bad["diverged"] == 1
    assert bad["notes"] == ["took longer than 3 s (--seconds) and was ended"]
    monkeypatch.setattr(performing, "STARTING", 3.0)
    with pytest.raises(
        ProblemError, match=r"mine\.py:never: .* calling what it names once: took longer than 3 s"
    ):
        tw.race(f"{file}:never", rules, start=[3.0], workers=1, seconds=3)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"workers": -1}, "workers: must be a whole number >= 0, got -1"),
        ({"workers": 1.5}, "workers: must be a whole number >= 0, got 1.5"),
        ({"seconds": 0}, "seconds: must be a number > 0, got 0"),
        ({"seconds": float("nan")}, "seconds: must be a number > 0, got nan"),
    ],
)
def test_limits_that_cannot_be_are_refused(setting: dict[str, Any], told: str) -> None:
    with pytest.raises(HyperparameterError) as raised:
        tw.race("beale", ["SGD"], **setting)
    assert str(raised.value) == told
