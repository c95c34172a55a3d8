"""Commands killed at random moments leave the old file or the new one, and the next run goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 4  # of races of some seconds each; every other one while it writes


@pytest.mark.slow
def test_a_race_that_is_killed_leaves_a_whole_report_or_none(tmp_path: Path) -> None:
    report, numbers = tmp_path / "r.html", tmp_path / "r.json"
    given = ["race", "beale", "--trials", "2", "--seeds", "2", "--fresh", "--out", str(report)]
    given += ["--json", str(numbers)]
    command = [sys.executable, "-m", "thalweg.cli", *given]
    subprocess.run(command, capture_output=True, check=True)  # its kernels are compiled now
    begin = time.monotonic()
    subprocess.run(command, capture_output=True, check=True)
    taken = time.monotonic() - begin
    kept = {path: path.read_bytes() for path in (report, numbers)}
    draw, killed = random.Random(0), 0
    for k in range(KILLS):
        child = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        moment = time.monotonic() + draw.uniform(0.2, 0.9) * taken
        while child.poll() is None:
            writing = any(tmp_path.glob(".thalweg-*"))
            if writing if k % 2 else time.monotonic() > moment:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                killed += 1
                for left in tmp_path.glob(".thalweg-*"):  # else the next would be killed for it
                    left.unlink()
            time.sleep(0.0002)
        for path in kept:
            now = path.read_bytes()
            assert now == kept[path] or now.rstrip().endswith((b"</html>", b"}"))
            kept[path] = now
    assert killed > 0
    subprocess.run(command, capture_output=True, check=True)
    left = {p.name for p in tmp_path.iterdir() if not p.name.startswith(".thalweg")}
    assert left == {"r.html", "r.json", "r.db"}  # its trials are stored beside the report
