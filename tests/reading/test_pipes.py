"""Pipes: read once, as a file is; what would need a second reading is said before the first."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import FileError, HyperparameterError
from thalweg.fitting import fit, predict
from thalweg.reading import open_stream

from .reference import same

RNG = np.random.default_rng(0)
ROWS = 4000  # more than a pipe holds
SVM = "".join(f"{k % 2} {1 + k % 7}:{RNG.random():.3f} 9:{k}\n" for k in range(ROWS)).encode()
VW = "".join(f"{k % 2} 'r{k}|a b:{RNG.random():.3f} c{k % 50}\n" for k in range(ROWS)).encode()
CSV = b"y,x,c\n" + "".join(f"{k % 2},{RNG.random():.3f},{'ab'[k % 2]}\n" for k in range(ROWS)).encode()
READING: dict[str, tuple[bytes, dict[str, Any]]] = {
    "svmlight": (SVM, {}),
    "vw": (VW, {}),
    "csv": (CSV, {"format": "csv", "target": "y"}),
}


def written(name: str, data: bytes) -> None:
    """Write into a pipe; a reader who has seen enough closes it."""
    with suppress(BrokenPipeError), open(name, "wb") as file:
        file.write(data)


@contextmanager
def pipe(path: Path, data: bytes) -> Iterator[Path]:
    """A pipe through which the data come, once."""
    os.mkfifo(path)
    writer = threading.Thread(target=written, args=(str(path), data), daemon=True)
    writer.start()
    yield path
    writer.join(timeout=60)
    assert not writer.is_alive()
    path.unlink()


@pytest.mark.parametrize("packed", [bytes, lambda data: gzip.compress(data, 1)], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", READING)
def test_a_pipe_is_read_as_a_file_and_once(
    kind: str, packed: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    data, given = READING[kind]
    (tmp_path / "file").write_bytes(packed(data))
    given = given | {"block_bytes": 1 << 13}
    plain = list(open_stream(tmp_path / "file", **given))
    with pipe(tmp_path / "pipe", packed(data)) as path:
        stream = open_stream(path, **given)
        assert stream.format == kind
        same(plain, stream)
        with pytest.raises(FileError, match="is a pipe, which can be read once, and is needed again"):
            list(stream)


def test_zstd_comes_through_a_pipe(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    (tmp_path / "file").write_bytes(SVM)
    with pipe(tmp_path / "pipe", pa.compress(SVM, "zstd", asbytes=True)) as path:
        same(list(open_stream(tmp_path / "file")), open_stream(path))


def test_later_passes_over_a_pipe_read_its_cache_and_no_other_pipes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(SVM)
    plain = list(open_stream(tmp_path / "file"))
    for data in (SVM, SVM[: len(SVM) // 2].rpartition(b"\n")[0] + b"\n"):
        with pipe(tmp_path / "pipe", data) as path:
            stream = open_stream(path, cache=tmp_path / "cache")
            first = list(stream)
            same(first, stream)
            assert (sum(len(b.labels) for b in first) == ROWS) == (data is SVM)
    assert sum(len(b.labels) for b in plain) == ROWS


@pytest.mark.parametrize("memory", [None, "16GB"])
def test_fit_and_predict_take_pipes(memory: str | None, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(SVM)
    given: dict[str, Any] = {"rule": tw.Adagrad(lr=0.1), "passes": 2, "memory": memory}
    fit(tmp_path / "file", tmp_path / "a.tw", **given)
    predict(tmp_path / "a.tw", tmp_path / "file", tmp_path / "a.csv")
    said: list[str] = []
    with pipe(tmp_path / "pipe", SVM) as path:
        report = fit(path, tmp_path / "b.tw", checkpoint_every=1e-9, tell=said.append, **given)
    assert report.finished and report.checkpoint is None
    assert f"{path} is a pipe: it is read once, so that no checkpoint is written" in said
    assert (tmp_path / "b.tw").read_bytes() == (tmp_path / "a.tw").read_bytes()
    with pipe(tmp_path / "pipe", SVM) as path:
        predict(tmp_path / "b.tw", path, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "a.tw", "b.csv", "b.tw", "file"]


def test_a_run_from_a_pipe_that_is_stopped_says_that_it_is_gone(tmp_path: Path) -> None:
    with pipe(tmp_path / "pipe", SVM) as path:
        report = fit(path, tmp_path / "m.tw", rule=tw.SGD(lr=0.1), stop=lambda: True)
    assert not report.finished and report.checkpoint is None
    assert os.listdir(tmp_path) == []


def test_what_a_pipe_cannot_do_is_said_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)  # nobody writes: who opened it would wait
    (tmp_path / "file").write_bytes(SVM)
    os.mkfifo(tmp_path / "table.csv")
    for work, error, words in (
        (lambda: open_stream(path, "parquet"), FileError, "Parquet .* cannot be read from one"),
        (lambda: open_stream([path, path], "vw"), FileError, "is named twice"),
        (
            lambda: fit(path, tmp_path / "m", format="vw", passes=2, cache=False),
            HyperparameterError,
            "2 passes need the cache",
        ),
        (
            lambda: fit(tmp_path / "file", tmp_path / "m", format="svmlight", test=path, passes=2),
            HyperparameterError,
            "would be read after each of 2 passes",
        ),
        (lambda: tw.race(str(tmp_path / "table.csv")), FileError, "is a pipe or a device"),
    ):
        with pytest.raises(error, match=words):
            work()


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", SVM], ids=["nobody writes", "silent after a while"])
def test_ctrl_c_ends_the_wait_for_a_pipe(data: bytes, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-m", "thalweg.cli", "fit", str(tmp_path / "pipe"), "--format", "svmlight"]
    child = subprocess.Popen([*command, "--model", str(tmp_path / "m.tw")], stderr=subprocess.PIPE, text=True)
    if data:
        writer = os.open(tmp_path / "pipe", os.O_WRONLY)
        os.write(writer, data)
    time.sleep(4)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    if data:
        os.close(writer)
    assert child.returncode == 130 and told.endswith("thalweg: interrupted\n") and "Traceback" not in told
    assert os.listdir(tmp_path) == ["pipe"]


def test_standard_input_on_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thalweg.cli"]
    given = ["--format", "svmlight", "--rule", "Adagrad(lr=0.1)", "--quiet"]
    done = subprocess.run(
        [*command, "fit", "/dev/stdin", "--model", str(tmp_path / "m.tw"), *given],
        input=SVM, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "file").write_bytes(SVM)
    fit(tmp_path / "file", tmp_path / "n.tw", format="svmlight", rule=tw.Adagrad(lr=0.1))
    assert (tmp_path / "m.tw").read_bytes() == (tmp_path / "n.tw").read_bytes()
