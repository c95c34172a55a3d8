"""Saved and loaded at any step, the path goes on bit for bit (promise 6)."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import files
from thalweg.errors import FileError, HyperparameterError, ParameterError, StateError, ThalwegError
from thalweg.rules import shipped

every_rule = pytest.mark.parametrize("kind", shipped().values(), ids=lambda k: k.__name__)
STEPS = 6


def start() -> dict[str, Any]:
    """Weights in one structure: two dtypes, a view and a transpose among them."""
    r = np.random.default_rng(0)
    return {
        "net": [r.standard_normal((2, 3)), (r.standard_normal(4).astype(np.float32), np.array(0.5))],
        "part": r.standard_normal(6)[::2],
        "turned": r.standard_normal((2, 2)).T,
    }


def gradients(t: int, gaps: bool = False) -> dict[str, Any]:
    r = np.random.default_rng(100 + t)
    g: dict[str, Any] = {
        "net": [r.standard_normal((2, 3)), (r.standard_normal(4).astype(np.float32), r.standard_normal(()))],
        "part": r.standard_normal(3),
        "turned": r.standard_normal((2, 2)),
    }
    if gaps and t % 2:
        g["part"] = None
    if gaps and t % 3 == 0:
        g["net"][0] = None
    return g


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [x for v in tree.values() for x in leaves(v)]
    if isinstance(tree, list | tuple):
        return [x for v in tree for x in leaves(v)]
    return [tree if tree is None or isinstance(tree, int) else np.asarray(tree).tobytes()]


def picture(opt: Any) -> list[Any]:
    """Weights, states, average, counts: as bytes."""
    shown = [leaves(opt.params), leaves(opt.state), leaves(opt.t), opt.skipped]
    return [*shown, leaves(opt.average)] if opt.settings.average is not None else shown


def goes_on(rule: tw.Rule, path: Path, at: int, gaps: bool = False, **settings: Any) -> None:
    """Stop after ``at`` calls, load into other arrays, go on: the same picture after each later step."""
    whole = rule.on(start(), **settings)
    for t in range(at):
        whole.step(gradients(t, gaps))
    whole.save(path)
    other = start()
    for i, x in enumerate((other["net"][0], other["part"], other["turned"])):
        x[...] = i - 7.0
    loaded = tw.load(path, other)
    assert loaded.params is other
    assert loaded.rule == rule and loaded.settings == whole.settings
    assert picture(loaded) == picture(whole)
    for t in range(at, STEPS):
        whole.step(gradients(t, gaps))
        loaded.step(gradients(t, gaps))
        assert picture(loaded) == picture(whole)


@every_rule
@pytest.mark.parametrize("at", [0, 1, 3])
def test_every_rule_goes_on(kind: type[tw.Rule], at: int, tmp_path: Path) -> None:
    """At the very start, after the first step and later."""
    goes_on(kind(), tmp_path / "run.tw", at)


PLAN = tw.warmup(tw.cosine(0.1, steps=5, end=0.01), steps=2)
RUNS: dict[str, tuple[tw.Rule, dict[str, Any]]] = {
    "polyak": (tw.Adam(lr=0.1), {"average": "polyak"}),
    "moving average": (tw.Adam(lr=0.1), {"average": 0.9}),
    "accumulate": (tw.Adam(lr=0.1), {"accumulate": 4}),
    "pieces": (tw.Adam(lr=0.1), {"weight_decay": 0.1, "clip_value": 0.5, "clip_norm": 1.0, "maximize": True}),
    "decoupled, scheduled": (tw.Adam(lr=PLAN), {"weight_decay": 0.1, "decay": "decoupled"}),
    "schedules": (
        tw.Momentum(lr=tw.join(0.1, PLAN * 0.5, at=2), beta=tw.step_decay(0.9, factor=0.5, every=2)),
        {},
    ),
    "other schedules": (
        tw.RMSprop(lr=tw.exponential(0.1, factor=0.9), beta=tw.inverse_sqrt(0.9, shift=3)),
        {},
    ),
    "groups": (
        tw.Adam(lr=0.1),
        {"groups": {"part": tw.Adagrad(lr=PLAN), "net": {"lr": 0.3, "weight_decay": 0.1}}},
    ),
    "dialect with a clock": (tw.Adam.like("keras"), {}),
    "notes' code": (tw.Adam.like("notes-code"), {}),
    "lr_decay": (tw.Adagrad.like("torch", lr_decay=0.1), {}),
    "start values": (tw.RMSprop.like("tf1"), {"on_nonfinite": "skip"}),
    "propagate": (tw.Adam(), {"on_nonfinite": "propagate"}),
    "all": (tw.Adam(lr=PLAN), {"average": "polyak", "accumulate": 2, "clip_norm": 1.0, "weight_decay": 0.1}),
}


@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("run", RUNS)
def test_settings_go_on(run: str, at: int, gaps: bool, tmp_path: Path) -> None:
    """Averages, half-gathered gradients, groups, schedules, dialects; with and without None."""
    rule, settings = RUNS[run]
    goes_on(rule, tmp_path / "run.tw", at, gaps, **settings)


@pytest.mark.parametrize("at", [1, 2, 4])
def test_different_t_go_on(at: int, tmp_path: Path) -> None:
    """Contiguous arrays that have had different numbers of steps keep their own t."""

    def given(t: int) -> list[Any]:
        return [np.full(3, t + 1.0), None if t % 2 == 0 else np.full(2, t - 1.5)]

    whole, other = [np.zeros(3), np.ones(2)], [np.ones(3), np.zeros(2)]
    opt = tw.Adam(lr=0.1).on(whole)
    for t in range(at):
        opt.step(given(t))
    opt.save(tmp_path / "run.tw")
    again = tw.load(tmp_path / "run.tw", other)
    assert picture(again) == picture(opt)
    for t in range(at, 6):
        opt.step([np.full(3, t + 1.0), np.full(2, t - 1.5)])
        again.step([np.full(3, t + 1.0), np.full(2, t - 1.5)])
        assert picture(again) == picture(opt)


def test_skipped_steps_are_kept(tmp_path: Path) -> None:
    """The count of skipped steps goes with the file."""
    opt = tw.Adam().on(np.zeros(2), on_nonfinite="skip")
    opt.step(np.array([np.nan, 1.0]))
    opt.step(np.ones(2))
    opt.save(tmp_path / "run.tw")
    again = tw.load(tmp_path / "run.tw", np.zeros(2))
    assert again.skipped == 1 and again.t == 1
    again.step(np.array([np.nan, 1.0]))
    assert again.skipped == 2


def test_rates_after_load(tmp_path: Path) -> None:
    """What the last step used, or an error until the next step; never numbers that nobody used."""
    opt = tw.Adagrad(lr=0.1).on(np.zeros(2))
    opt.step(np.array([1.0, 2.0]))
    opt.save(tmp_path / "run.tw")
    again = tw.load(tmp_path / "run.tw", np.zeros(2))
    try:
        rates = again.rates()
    except StateError:
        return
    assert rates.tobytes() == opt.rates().tobytes()


def test_rates_setting_goes_on(tmp_path: Path) -> None:
    """Whether rates are kept is a setting like another."""
    for kept in (True, False):
        opt = tw.Adagrad(lr=0.1).on(np.zeros(2), rates=kept)
        opt.save(tmp_path / "run.tw")
        again = tw.load(tmp_path / "run.tw", np.zeros(2))
        again.step(np.ones(2))
        if kept:
            assert again.rates().shape == (2,)
        else:
            with pytest.raises(StateError):
                again.rates()


def test_saving_moves_nothing_and_twice_is_the_same(tmp_path: Path) -> None:
    """save looks; a file saved again after load holds the same arrays."""
    opt = tw.Adam(lr=0.1).on(start(), average=0.9)
    opt.step(gradients(0))
    before = picture(opt)
    opt.save(tmp_path / "a.tw")
    assert picture(opt) == before
    tw.load(tmp_path / "a.tw", start()).save(tmp_path / "b.tw")
    with np.load(tmp_path / "a.tw") as a, np.load(tmp_path / "b.tw") as b:
        assert a.files == b.files and all(a[n].tobytes() == b[n].tobytes() for n in a.files)


def test_one_file_no_pickle_nothing_beside(tmp_path: Path) -> None:
    """Exactly the named file, also where one stood; text path or Path; a zip without pickles."""
    path = tmp_path / "run.tw"
    opt = tw.Adam().on(start())
    opt.save(str(path))
    opt.step(gradients(0))
    opt.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.tw"]
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
    with np.load(path, allow_pickle=False) as file:
        assert {file[n].dtype.kind for n in file.files} == {"f", "u"}
    assert tw.load(path, start()).t == 1


def test_permissions_follow_the_umask_and_the_old_file(tmp_path: Path) -> None:
    """A new file is as open() would make it; a rewritten one keeps its mode."""
    opt, path = tw.SGD().on(np.zeros(2)), tmp_path / "run.tw"
    old = os.umask(0o027)
    try:
        opt.save(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o600)
    opt.save(path)
    assert path.stat().st_mode & 0o777 == 0o600


# --- a kill at any moment ---------------------------------------------------------------------------


SAVER = """
import sys, numpy as np, thalweg as tw
w = np.zeros(20000)
opt = tw.Momentum(lr=0.5, beta=0.5).on(w, rates=False)
while True:
    opt.step(np.ones(20000))
    opt.save(sys.argv[1])
    print(opt.t, flush=True)
"""


@pytest.mark.parametrize("wait", [0.0, 0.007, 0.031])
def test_a_kill_leaves_a_whole_file(wait: float, tmp_path: Path) -> None:
    """kill -9 of a process that saves in a loop: the file is that of some step, whole."""
    path = tmp_path / "run.tw"
    child = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    done = int(child.stdout.readline())
    time.sleep(wait)
    child.send_signal(signal.SIGKILL)
    done = max([done, *map(int, child.stdout.read().split())])
    child.stdout.close()
    child.wait()
    w = np.zeros(20000)
    opt = tw.load(path, w)
    assert done <= opt.t <= done + 1
    assert len(set(w.tolist())) == 1 == len(set(opt.state["m"].tolist()))
    expected, m = 0.0, 0.0
    for _ in range(opt.t):
        m = 0.5 * m + 1.0
        expected -= 0.5 * m
    assert w[0] == expected and opt.state["m"][0] == m


@pytest.mark.slow
def test_kills_leave_whole_files_and_the_next_save_nothing_beside(tmp_path: Path) -> None:
    """kill -9 a hundred times, anywhere in a save: what each left beside the file is gone once somebody saves."""
    path, left = tmp_path / "run.tw", 0
    rng = np.random.default_rng(0)
    for _ in range(100):
        with subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(rng.uniform(0, 0.01))
            child.send_signal(signal.SIGKILL)
        beside = [p for p in tmp_path.iterdir() if p != path]
        assert len(beside) <= 1, "the writer before has swept"
        left += len(beside)
        assert len(set(tw.load(path, w := np.zeros(20000)).params.tolist())) == len(set(w.tolist())) == 1
    assert left, "no kill has hit a save"
    tw.load(path, np.zeros(20000)).save(path)
    assert [*tmp_path.iterdir()] == [path]


def test_a_writer_at_work_is_not_swept(tmp_path: Path) -> None:
    """Two write one file: the second removes what is left of the dead, and not what the first is writing."""
    path = tmp_path / "run.tw"
    (tmp_path / ".thalweg-run.tw-abcd1234").write_bytes(b"half")  # of a writer that is no more
    opt = tw.SGD().on(np.zeros(2))
    seen: list[list[str]] = []

    def fill(file: Any) -> None:
        opt.save(path)
        seen.append(sorted(p.name for p in tmp_path.iterdir()))
        file.write(b"the first")

    files.write(path, fill)
    assert len(seen[0]) == 2 and "run.tw" in seen[0] and ".thalweg-run.tw-abcd1234" not in seen[0]
    assert [*tmp_path.iterdir()] == [path] and path.read_bytes() == b"the first"


@pytest.mark.parametrize("name", ["é" * 127, "x" * 255, "€" * 85, "a b\n.tw"])
def test_names_as_long_as_can_be(name: str, tmp_path: Path) -> None:
    """Up to 255 bytes, which the name of the temporary file must not go beyond."""
    opt = tw.SGD().on(np.ones(2))
    opt.save(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tw.load(tmp_path / name, np.zeros(2)).params == 1).all()


def test_names_that_begin_alike_are_not_swept_for_each_other(tmp_path: Path) -> None:
    """Long names are cut in that of the temporary file, with a mark of the whole."""
    with open(tmp_path / ("x" * 249), "wb") as one:
        handle, beside = files.temporary(Path(one.name))
    os.close(handle)
    tw.SGD().on(np.ones(2)).save(tmp_path / ("x" * 248 + "y"))
    assert Path(beside).exists()
    tw.SGD().on(np.ones(2)).save(tmp_path / ("x" * 249))
    assert not Path(beside).exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("x" * 300, "file name too long"),
        ("x/" * 3000 + "y", "file name too long"),
        ("a\0b", "null character"),
        ("\ud800", "is no path"),
        (3, "3: is no path"),
        (True, "True: is no path"),
        (None, "None: is no path"),
        (1.5, "1.5: is no path"),
        ("", "is a folder"),
        (b"no/where", "no/where: "),
    ],
)
def test_what_is_no_path(path: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of FileError from save and load; a number is no descriptor, and nobody's is closed."""
    monkeypatch.chdir(tmp_path)
    opt = tw.SGD().on(np.zeros(2))
    for do in (lambda: opt.save(path), lambda: tw.load(path, np.zeros(2))):
        with pytest.raises(FileError) as caught:
            do()
        assert "\n" not in str(caught.value)
        assert words in str(caught.value) or path == "", str(caught.value)
    os.fstat(1)
    assert not list(tmp_path.iterdir())


def test_devices_and_pipes(tmp_path: Path) -> None:
    """Written as they are; read they cannot be, and loading does not wait for a writer."""
    opt = tw.SGD().on(np.ones(2))
    opt.save("/dev/null")
    with pytest.raises(FileError, match="no space left"):
        opt.save("/dev/full")
    with pytest.raises(FileError, match="/dev/null: is a pipe or a device; copy it to a file first"):
        tw.load("/dev/null", np.zeros(2))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is a pipe"):
        tw.load(tmp_path / "pipe", np.zeros(2))
    with (
        open(tmp_path / "run.tw", "wb") as out,
        subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=out) as cat,
    ):
        opt.save(tmp_path / "pipe")
        assert cat.wait(timeout=60) == 0
    assert (tw.load(tmp_path / "run.tw", np.zeros(2)).params == 1).all()


# --- files that are not what they should be ---------------------------------------------------------


def refused(kind: type[ThalwegError], path: Path, params: Any, *words: str, **given: Any) -> None:
    """load refuses with one clear line that names the words, and the parameters keep their bytes."""
    before = leaves(params)
    with pytest.raises(ThalwegError) as caught:
        tw.load(path, params, **given)
    assert type(caught.value) is kind, repr(caught.value)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500
    assert "allow_pickle" not in text and "pickle.load" not in text, "no advice to unpickle"
    for word in words:
        assert word in text, f"{word!r} is not in {text!r}"
    assert leaves(params) == before


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    opt = tw.Adam(lr=0.1).on([np.ones(3), np.ones((2, 2))], average=0.9)
    opt.step([np.ones(3), np.ones((2, 2))])
    path = tmp_path / "run.tw"
    opt.save(path)
    return path


def fitting() -> list[Any]:
    return [np.full(3, 7.0), np.full((2, 2), 7.0)]


def test_truncated_anywhere(saved: Path) -> None:
    """Cut at any length, a file is refused and moves nothing."""
    whole = saved.read_bytes()
    for n in [*range(0, len(whole) - 1, 97), len(whole) - 1]:
        saved.write_bytes(whole[:n])
        refused(FileError, saved, fitting(), "run.tw")


def test_a_flipped_byte_anywhere(saved: Path) -> None:
    """One altered byte: refused, or without effect; never other numbers, never another exception."""
    whole = saved.read_bytes()
    wanted = picture(tw.load(saved, fitting()))
    for n in range(0, len(whole), 23):
        altered = bytearray(whole)
        altered[n] ^= 0x55
        saved.write_bytes(bytes(altered))
        params = fitting()
        try:
            opt = tw.load(saved, params)
        except FileError:
            assert leaves(params) == leaves(fitting())
        else:
            assert picture(opt) == wanted


class Mine:
    """Unpickling this would run code."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('pickle was run')",)


def _text(path: Path) -> None:
    path.write_text("hello\n")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _npy(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.ones(3))


def _npz(path: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, np.ones(3))


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("readme.txt", "hello")


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Mine()))


def _pickled_head(path: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, head=np.array([Mine()], object), allow_pickle=True)


def _pickled_weights(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    arrays["0.w"] = np.array([Mine(), Mine(), Mine()], object)
    with open(path, "wb") as out:
        np.savez(out, **arrays)


@pytest.mark.parametrize(
    "make",
    [_text, _empty, _npy, _npz, _zip, _pickle, _pickled_head, _pickled_weights],
    ids=lambda f: f.__name__[1:],
)
def test_foreign_files(make: Callable[[Path], None], saved: Path) -> None:
    """Text, nothing, other archives, pickles: FileError with the path; no pickle is run."""
    make(saved)
    refused(FileError, saved, fitting(), "run.tw", "Optimizer.save")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    """Nothing there, or a folder."""
    refused(FileError, tmp_path / "no.tw", fitting(), "no.tw", "no such file")
    refused(FileError, tmp_path, fitting(), str(tmp_path), "director")


def _rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    """A well-formed archive whose contents have been changed."""
    with np.load(path) as file:
        arrays = dict(file)
    head = json.loads(arrays["head"].tobytes())
    change(arrays, head)
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    with open(path, "wb") as out:
        np.savez(out, **arrays)


CHANGES: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "no state": lambda a, h: a.pop("1.m"),
    "no weights": lambda a, h: a.pop("1.w"),
    "no average": lambda a, h: a.pop("1._average"),
    "state too long": lambda a, h: a.update({"1.m": np.ones(5)}),
    "state of one": lambda a, h: a.update({"1.m": np.ones(1)}),
    "state of another dtype": lambda a, h: a.update({"1.m": np.ones(4, np.int64)}),
    "weights of another shape": lambda a, h: a.update({"1.w": np.ones(2)}),
    "no groups": lambda a, h: h.pop("groups"),
    "no such group": lambda a, h: h["leaves"][0].update(group=5),
    "negative group": lambda a, h: h["leaves"][0].update(group=-1),
    "negative t": lambda a, h: h["leaves"][0].update(t=-5),
    "t no number": lambda a, h: h["leaves"][0].update(t="x"),
    "no t": lambda a, h: h["leaves"][0].pop("t"),
    "no skipped": lambda a, h: h.pop("skipped"),
    "unknown setting": lambda a, h: h["groups"][0]["settings"].update(foo=1),
    "setting out of range": lambda a, h: h["groups"][0]["settings"].update(weight_decay=-1),
    "rule without values": lambda a, h: h["groups"][0]["rule"].pop("values"),
    "value out of range": lambda a, h: h["groups"][0]["rule"]["values"].update(lr=-1),
    "unknown value": lambda a, h: h["groups"][0]["rule"]["values"].update(zz=1),
    "unknown dialect": lambda a, h: h["groups"][0]["rule"].update(dialect="zz"),
    "schedule of what": lambda a, h: h["groups"][0]["rule"]["values"].update(lr={"x": 1}),
    "format of tomorrow": lambda a, h: h.update(format=2),
    "format unknown": lambda a, h: h.update(format=None),
    "no format": lambda a, h: h.pop("format"),
    "no leaves": lambda a, h: h.pop("leaves"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_well_formed_archives_with_other_contents(change: str, saved: Path) -> None:
    """A file that this library did not write so is refused whole: no weight moves before all fits."""
    _rewrite(saved, CHANGES[change])
    refused(FileError, saved, fitting(), "run.tw")


OTHERS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "shape": (lambda: [np.zeros(4), np.zeros((2, 2))], ("'0'", "(3,)", "(4,)")),
    "transposed shape": (lambda: [np.zeros(3), np.zeros(4)], ("'1'", "(2, 2)", "(4,)")),
    "dtype": (lambda: [np.zeros(3, np.float32), np.zeros((2, 2))], ("'0'", "float64", "float32")),
    "fewer": (lambda: [np.zeros(3)], ("'1'", "'0'")),
    "more": (lambda: [np.zeros(3), np.zeros((2, 2)), np.zeros(1)], ("'2'",)),
    "names": (lambda: {"a": np.zeros(3), "b": np.zeros((2, 2))}, ("'0'", "'a'")),
    "deeper": (lambda: [np.zeros(3), [np.zeros((2, 2))]], ("'1'", "'1.0'")),
    "lone": (lambda: np.zeros(3), ("'0'",)),
    "list of lists": (lambda: [[0.0] * 3, np.zeros((2, 2))], ("'0",)),
    "same twice": (lambda: [np.zeros(3)] + [np.zeros((2, 2))] * 2, ("'2'",)),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_parameters(other: str, saved: Path) -> None:
    """Other shapes, dtypes or structure: ParameterError with path, got and wanted; nothing moves."""
    make, words = OTHERS[other]
    refused(ParameterError, saved, make(), *words)


def test_parameters_that_cannot_be_trained(saved: Path) -> None:
    """What ``on`` refuses ``load`` refuses, before anything has moved."""
    fixed = np.full((2, 2), 7.0)
    fixed.flags.writeable = False
    refused(ParameterError, saved, [np.full(3, 7.0), fixed], "'1'", "read-only")
    base = np.full(7, 7.0)
    refused(ParameterError, saved, [base[:3], base[2:6].reshape(2, 2)], "'0'", "'1'", "share memory")


def test_keys_in_another_order(tmp_path: Path) -> None:
    """Dicts match by key, as gradients do; what a list was may be a tuple."""
    opt = tw.Adam().on({"a": np.full(2, 1.0), "b": [np.full(2, 2.0)]})
    opt.save(tmp_path / "run.tw")
    params = {"b": (np.zeros(2),), "a": np.zeros(2)}
    tw.load(tmp_path / "run.tw", params)
    assert params["a"][0] == 1.0 and params["b"][0][0] == 2.0


# --- rules and schedules of one's own ---------------------------------------------------------------


OWN = '''
from thalweg import Rule, Scalar, nonnegative, rule, state

def rate(lr):
    return lr

def step(w, g, q, /, lr):
    q = q + g
    return w - rate(lr) * q, q

@rule(step, rate=rate)
class {name}(Rule):
    """Adds up gradients."""

    lr: Scalar = nonnegative(default=0.5, unit="w/g")
    q: float = state(default=0.25, unit="g", signed=True)
'''


def own_rule(folder: Path, name: str) -> type[tw.Rule]:
    """A rule in a user's file, as a user imports it."""
    import importlib.util

    file = folder / f"file_of_{name.lower()}.py"
    file.write_text(OWN.format(name=name))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return getattr(module, name)  # type: ignore[no-any-return]


def test_a_rule_of_ones_own(tmp_path: Path) -> None:
    """Goes on with rule=; without it the error says so; a class that does not fit is refused."""
    kind = own_rule(tmp_path, "Heap")
    a, b = np.zeros(2), np.zeros(2)
    opt = kind(lr=0.125).on(a)
    opt.step(np.array([1.0, 2.0]))
    opt.save(tmp_path / "run.tw")
    refused(HyperparameterError, tmp_path / "run.tw", b, "Heap", "rule=")
    for given in (kind, kind(lr=0.125)):
        again = tw.load(tmp_path / "run.tw", b, rule=given)
        assert again.rule == opt.rule and picture(again) == picture(opt)
    opt.step(np.ones(2))
    again.step(np.ones(2))
    assert picture(again) == picture(opt)


def test_a_rule_of_ones_own_in_another_process(tmp_path: Path) -> None:
    """Where the class was never imported, the error says how to hand it over."""
    opt = own_rule(tmp_path, "Elsewhere")().on(np.zeros(2))
    opt.save(tmp_path / "run.tw")
    code = f"import numpy as np, thalweg as tw; tw.load({str(tmp_path / 'run.tw')!r}, np.zeros(2))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert made.returncode == 1
    last = made.stderr.strip().splitlines()[-1]
    assert "HyperparameterError" in last and "Elsewhere" in last and "rule=" in last, last


def test_a_rule_of_ones_own_with_a_name_of_ours(tmp_path: Path) -> None:
    """A user's own Momentum is not taken for the library's."""
    kind = own_rule(tmp_path, "Momentum")
    opt = kind().on(np.zeros(2))
    opt.step(np.ones(2))
    opt.save(tmp_path / "run.tw")
    refused(HyperparameterError, tmp_path / "run.tw", np.zeros(2), "Momentum", "rule=")
    assert picture(tw.load(tmp_path / "run.tw", np.zeros(2), rule=kind)) == picture(opt)


def test_a_rule_that_the_file_does_not_hold(saved: Path) -> None:
    """rule= that names another rule than the file is an error, not ignored."""
    refused(HyperparameterError, saved, fitting(), "Adam", "SGD", rule=tw.SGD)


def test_a_rule_that_is_none(saved: Path) -> None:
    """rule= takes a rule or its class."""
    refused(HyperparameterError, saved, fitting(), "rule", "'Adam'", rule="Adam")


def test_rule_does_not_flatten_groups(tmp_path: Path) -> None:
    """A rule handed over for one group does not overwrite another group's hyperparameters."""
    w = {"a": np.zeros(2), "b": np.zeros(2)}
    opt = tw.SGD(lr=0.5).on(w, groups={"b": {"lr": 0.125}})
    opt.save(tmp_path / "run.tw")
    again = {"a": np.zeros(2), "b": np.zeros(2)}
    tw.load(tmp_path / "run.tw", again, rule=tw.SGD(lr=0.5)).step({"a": np.ones(2), "b": np.ones(2)})
    assert again["a"][0] == -0.5 and again["b"][0] == -0.125


def test_a_schedule_that_nobody_knows(saved: Path) -> None:
    """A schedule of another process: the error says how to hand it over."""
    _rewrite(saved, lambda a, h: h["groups"][0]["rule"]["values"].update(lr={"schedule": "Zz"}))
    refused(HyperparameterError, saved, fitting(), "'Zz'", "pass the rule itself to load")


@dataclass(frozen=True)
class Zigzag(tw.Schedule):
    """A schedule of one's own."""

    high: float

    def __call__(self, step: int) -> float:
        return self.high / (1 + step % 2)


def test_a_schedule_of_ones_own(tmp_path: Path) -> None:
    """Goes on when the rule is handed over."""
    a, b = np.zeros(2), np.zeros(2)
    opt = tw.SGD(lr=Zigzag(0.5)).on(a)
    opt.step(np.ones(2))
    opt.save(tmp_path / "run.tw")
    again = tw.load(tmp_path / "run.tw", b, rule=tw.SGD(lr=Zigzag(0.5)))
    for _ in range(3):
        opt.step(np.ones(2))
        again.step(np.ones(2))
    assert a.tobytes() == b.tobytes() and a[0] == -0.5 - 0.25 - 0.5 - 0.25
