"""Many threads, forked children, many processes on one cache: no crash, the same bits (promise 8)."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.engines.cpu import object_cache as objects
from thalweg.engines.cpu import pool
from thalweg.rules import shipped

LARGE = 2_000_003
every_rule = pytest.mark.parametrize("kind", shipped().values(), ids=lambda k: k.__name__)


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = tw.threads()
    yield
    tw.set_threads(before)


def large(seed: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(seed).standard_normal(LARGE, np.float32).astype(dtype)


START, GRADIENTS = large(0), [large(1), large(2)]


def path(rule: tw.Rule, threads: int, **settings: Any) -> bytes:
    tw.set_threads(threads)
    w = START.copy()
    opt = rule.on(w, rates=False, **settings)
    for g in GRADIENTS:
        opt.step(g)
    return w.tobytes() + b"".join(s.tobytes() for s in opt.state.values())


@every_rule
def test_any_number_of_threads(kind: type[tw.Rule]) -> None:
    """1 and 2 threads (and 3, more than cores) give the same bits."""
    one = path(kind(), 1)
    assert path(kind(), 2) == one
    if kind is tw.Adam:
        assert path(kind(), 3) == path(kind(), 7) == one


@pytest.mark.parametrize("total", [1, 63, 64, 65, 1000, 4096, 100_001])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_slices_cover_all_once(total: int, count: int) -> None:
    tw.set_threads(count)
    done = np.zeros(total, int)

    def work(lo: int, hi: int) -> int:
        done[lo:hi] += 1
        return hi

    assert pool.split(work, total, 100) == total
    assert (done == 1).all()


def test_nobody_waits_for_a_thread_that_is_busy_elsewhere() -> None:
    tw.set_threads(2)
    pool.split(lambda lo, hi: 0, 1000, 100)
    assert pool._pool is not None
    go = threading.Event()
    elsewhere = pool._pool.submit(go.wait, 20)
    mine = threading.get_ident()
    try:
        seen: list[int] = []
        pool.split(lambda lo, hi: seen.append(threading.get_ident()) or 0, 1000, 100)
        assert set(seen) == {mine}
        assert not elsewhere.done()
    finally:
        go.set()


def test_where_no_thread_can_begin_one_does_it_all() -> None:
    """As at the end of the interpreter."""
    tw.set_threads(2)
    pool.split(lambda lo, hi: 0, 1000, 100)
    assert pool._pool is not None
    pool._pool.shutdown()
    done = np.zeros(1000, int)

    def work(lo: int, hi: int) -> int:
        done[lo:hi] += 1
        return 0

    pool.split(work, 1000, 100)
    assert (done == 1).all()


def test_an_interrupted_step_leaves_no_thread_at_work() -> None:
    tw.set_threads(2)
    mine, running = threading.get_ident(), []

    def work(lo: int, hi: int) -> int:
        if threading.get_ident() == mine:
            time.sleep(0.02)
            raise KeyboardInterrupt
        running.append(lo)
        time.sleep(0.05)
        running.pop()
        return 0

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            pool.split(work, 10_000, 100)
        assert not running


@pytest.mark.parametrize(
    "settings",
    [{"clip_norm": 10.0}, {"accumulate": 2, "clip_norm": 10.0}, {"weight_decay": 0.1, "average": 0.9}],
    ids=str,
)
def test_settings_in_any_number_of_threads(settings: dict[str, Any]) -> None:
    """The norm too is summed in an order that no thread changes."""
    assert path(tw.Adam(), 1, **settings) == path(tw.Adam(), 2, **settings)


def test_many_small_arrays_in_any_number_of_threads() -> None:
    """Slices that cut through the middle of many arrays."""
    sizes = [1, 0, 70_001, 3, 262_144, 63, 500_000]
    found = []
    for threads in (1, 2, 5):
        tw.set_threads(threads)
        r = np.random.default_rng(0)
        ws = [r.standard_normal(n) for n in sizes]
        opt = tw.Adam().on(ws, rates=False)
        for _ in range(2):
            opt.step([r.standard_normal(n) for n in sizes])
        found.append([w.tobytes() for w in ws])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("at", [0, LARGE // 2, LARGE - 1])
def test_one_bad_entry_in_any_slice(at: int) -> None:
    """Whichever thread meets the NaN, nothing has moved in any slice."""
    tw.set_threads(2)
    w, g = START.copy(), GRADIENTS[0].copy()
    opt = tw.SGD(lr=1.0).on(w, on_nonfinite="skip")
    g[at] = np.nan
    opt.step(g)
    assert opt.skipped == 1 and w.tobytes() == START.tobytes()


def small_run(seed: int, size: int, steps: int) -> bytes:
    r = np.random.default_rng(seed)
    w = r.standard_normal(size)
    opt = tw.Adam(lr=0.1).on(w, average=0.9)
    for _ in range(steps):
        opt.step(r.standard_normal(size))
    return w.tobytes() + opt.average.tobytes()


@pytest.mark.parametrize(("size", "steps"), [(50, 300), (20_000, 40), (600_000, 4)])
def test_many_threads_each_with_its_own(size: int, steps: int) -> None:
    """Optimizers in Python threads, all at once, equal the serial result."""
    tw.set_threads(2)
    serial = [small_run(k, size, steps) for k in range(6)]
    made: dict[int, bytes] = {}
    ready = threading.Barrier(6)

    def work(k: int) -> None:
        ready.wait()
        made[k] = small_run(k, size, steps)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for x in workers:
        x.start()
    for x in workers:
        x.join(60)
    assert [made[k] for k in range(6)] == serial


SHARED: dict[str, tuple[Any, dict[str, Any]]] = {
    "dense": (lambda: np.ones(200_000, np.float32), {}),
    "several": (lambda: {"a": np.ones(200_000, np.float32), "b": np.ones(3)}, {}),
    "clipped": (lambda: np.ones(200_000, np.float32), {"clip_norm": 1e9}),
    "rows": (lambda: tw.Rows(np.arange(0, 200_000, 2), np.ones(100_000, np.float32)), {}),
}


@pytest.mark.parametrize("case", SHARED)
def test_threads_that_share_an_optimizer_lose_no_step(case: str, tmp_path: Path) -> None:
    """Every step of every thread is taken and counted; what is saved meanwhile is of one moment."""
    make, given = SHARED[case]
    gradient = make()
    params: Any = np.zeros(200_000, np.float32)
    if case == "several":
        params = {n: np.zeros_like(g) for n, g in gradient.items()}
    opt = tw.SGD(lr=1.0).on(params, rates=False, **given)
    ready, failed = threading.Barrier(5), []

    def work() -> None:
        ready.wait()
        try:
            for _ in range(60):
                opt.step(gradient)
        except BaseException as error:
            failed.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for x in workers:
            x.start()
        ready.wait()
        for k in range(8):
            opt.save(tmp_path / f"{k}")
            opt.rule = tw.SGD(lr=1.0 if k % 2 else 2.0)
            opt.rule = tw.SGD(lr=1.0)
        for x in workers:
            x.join(60)
    finally:
        sys.setswitchinterval(before)
    assert not failed and opt.t == 240
    first = params["a"] if case == "several" else params
    assert -first.max() % 1 == 0 and -first[0] >= 240 and first[::2].min() == first[::2].max()
    for k in range(8):
        again = {n: x.copy() for n, x in params.items()} if case == "several" else params.copy()
        there = tw.load(tmp_path / f"{k}", again)
        now = again["a"] if case == "several" else again
        assert now[::2].min() == now[::2].max() and -now[0] >= there.t


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_is_not_kept_out_by_a_thread_of_its_parent() -> None:
    """A fork while another thread is in an optimizer: nobody in the child would ever release it."""
    held, go = threading.Event(), threading.Event()

    class Slow(tw.Schedule):
        def __call__(self, step: int) -> float:
            if step == 1:
                held.set()
                assert go.wait(60)
            return 1.0

    w = np.zeros(3)
    opt = tw.SGD(lr=Slow()).on(w)
    opt.step(np.ones(3))
    worker = threading.Thread(target=opt.step, args=(np.ones(3),))
    worker.start()
    try:
        assert held.wait(60)

        def look() -> bytes:
            go.set()
            opt.step(np.ones(3))
            return str(opt.t).encode()

        assert in_child(look, 20) == b"2"
    finally:
        go.set()
        worker.join(60)
    assert opt.t == 2


def in_child(work: Any, seconds: int = 60) -> bytes:
    """What ``work`` returns in a forked child, which must end in time."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        signal.alarm(seconds)  # a hang ends as a failure
        try:
            os.close(read)
            with os.fdopen(write, "wb") as out:
                out.write(work())
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as back:
        result = back.read()
    assert os.waitpid(child, 0)[1] == 0
    return result


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_goes_on() -> None:
    """After a threaded step a child steps as its parent does, on all threads, and starts anew too."""
    tw.set_threads(2)
    w = START.copy()
    opt = tw.Adam().on(w, rates=False)
    opt.step(GRADIENTS[0])

    def go_on() -> bytes:
        opt.step(GRADIENTS[1])
        return w.tobytes()

    from_child = in_child(go_on)
    fresh = in_child(lambda: path(tw.Adagrad(), 2))
    untouched = w.tobytes()
    assert from_child != untouched
    assert go_on() == from_child
    assert path(tw.Adagrad(), 2) == fresh


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_in_the_middle() -> None:
    """A fork while other threads are stepping and compiling: the child does not hang."""
    tw.set_threads(2)
    stop = threading.Event()

    def busy() -> None:
        opt = tw.SGD(lr=0.0).on(START.copy(), rates=False)
        while not stop.is_set():
            opt.step(GRADIENTS[0])

    workers = [threading.Thread(target=busy) for _ in range(2)]
    for x in workers:
        x.start()
    try:
        wanted = small_run(3, 600_000, 2)
        for _ in range(3):
            assert in_child(lambda: small_run(3, 600_000, 2)) == wanted
    finally:
        stop.set()
        for x in workers:
            x.join(60)


def _pool_work(seed: int) -> bytes:
    return small_run(seed, 600_000, 2)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_multiprocessing_by_fork() -> None:
    """A pool of forked workers after a threaded step."""
    tw.set_threads(2)
    serial = [_pool_work(k) for k in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as workers:
        assert workers.map_async(_pool_work, range(4)).get(60) == serial


# --- processes and the cache ------------------------------------------------------------------------


COLD = """
import json, os, sys
import numpy as np, thalweg as tw
from thalweg.engines.cpu import object_cache as objects
w = np.ones(1000)
opt = tw.Adam(lr=0.1).on(w)
opt.step(np.ones(1000))
home = objects.folder()
print(json.dumps({"w": w[0], "compiled": objects.compiled, "numba": "numba" in sys.modules,
                  "folder": None if home is None else str(home)}))
"""


def environment(cache: Path | str) -> dict[str, str]:
    return {**os.environ, "THALWEG_CACHE": str(cache), "PYTHONWARNINGS": "error"}


def processes(count: int, cache: Path | str, code: str = COLD, **changes: str) -> list[dict[str, Any]]:
    """Start processes at once; what each printed."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(cache), **changes},
        )
        for _ in range(count)
    ]
    printed = [p.communicate(timeout=120)[0] for p in running]
    assert [p.returncode for p in running] == [0] * count
    return [json.loads(text) for text in printed]


RIGHT = 1.0 - 0.1 / (1.0 + 1e-8)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that eight cold processes filled at once."""
    cache = tmp_path_factory.mktemp("cold") / "a" / "cache"
    made = processes(8, cache)
    assert sum(m["compiled"] for m in made) == 1
    assert sum(m["numba"] for m in made) == 1
    assert {m["folder"] for m in made} == {str(cache)}
    assert len({m["w"] for m in made}) == 1 and abs(made[0]["w"] - RIGHT) < 1e-12
    return cache


def test_eight_cold_processes(warm: Path) -> None:
    """All finish, exactly one compiles; the folder is the user's alone and holds the objects only."""
    assert stat.S_IMODE(warm.stat().st_mode) == 0o700
    names = [p.name for p in warm.iterdir()]
    assert len(names) == 1 and names[0].endswith(".o")
    for p in warm.iterdir():
        assert not stat.S_IMODE(p.stat().st_mode) & 0o022


def test_a_second_process_needs_no_numba(warm: Path) -> None:
    """What is in the cache is loaded without compiling and without importing Numba."""
    (second,) = processes(1, warm)
    assert second["compiled"] == 0 and not second["numba"] and abs(second["w"] - RIGHT) < 1e-12


def test_importing_and_starting_need_no_numba() -> None:
    """import thalweg imports no NumPy and no Numba."""
    code = (
        "import json, sys, thalweg\n"
        "print(json.dumps({m: m in sys.modules for m in ('numpy', 'numba', 'llvmlite')}))"
    )
    (seen,) = processes(1, "", code)
    assert seen == {"numpy": False, "numba": False, "llvmlite": False}


def _cut(blob: bytes) -> bytes:
    return blob[: len(blob) // 2]


def _flip(blob: bytes) -> bytes:
    return blob[:-100] + bytes([blob[-100] ^ 1]) + blob[-99:]


def _nothing(blob: bytes) -> bytes:
    return b""


def _other(blob: bytes) -> bytes:
    return b"\x7fELF" + blob


def _symbol(blob: bytes) -> bytes:
    return blob.replace(b'"symbol": "', b'"symbol": "x', 1)


def _no_symbol(blob: bytes) -> bytes:
    return blob.replace(b'"symbol": "', b'"symbl": "', 1)


class Kernel:
    """A kernel of the warm cache under a name of its own, and how often it was compiled."""

    def __init__(self, good: bytes, source: str) -> None:
        head, code = good.split(b"\n", 2)[1:]
        self.made = (json.loads(head)["symbol"], code)
        self.source, self.times = source, 0

    def compile(self) -> tuple[str, bytes]:
        self.times += 1
        return self.made

    def load(self) -> int:
        return objects.load(self.source, self.compile)


@pytest.mark.parametrize(
    "alter", [_cut, _flip, _nothing, _other, _symbol, _no_symbol], ids=lambda f: f.__name__[1:]
)
def test_damaged_objects_are_compiled_anew(
    alter: Any, warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file cut short, altered or foreign is never run: it is replaced by a good one."""
    (file,) = warm.iterdir()
    good = file.read_bytes()
    cache = tmp_path / "cache"
    monkeypatch.setenv("THALWEG_CACHE", str(cache))
    kernel = Kernel(good, f"damaged {alter.__name__}")
    assert objects.folder() == cache
    damaged = cache / f"{objects.key(kernel.source)}.o"
    damaged.write_bytes(alter(good))
    assert kernel.load() != 0 and kernel.times == 1
    assert damaged.read_bytes() == good


def test_a_damaged_object_does_not_hurt_a_process(warm: Path, tmp_path: Path) -> None:
    """From outside: the process that meets it compiles, the next one does not."""
    (good,) = warm.iterdir()
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    (cache / good.name).write_bytes(_cut(good.read_bytes()))
    first, second = processes(1, cache)[0], processes(1, cache)[0]
    assert first["compiled"] == 1 and second["compiled"] == 0
    assert abs(first["w"] - RIGHT) < 1e-12 and first["w"] == second["w"]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o720])
def test_a_folder_that_others_may_write(
    mode: int, warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not used, neither read nor written: the kernel stays in memory."""
    (file,) = warm.iterdir()
    kernel = Kernel(file.read_bytes(), f"foreign {mode}")
    cache = tmp_path / "cache"
    cache.mkdir()
    there = cache / f"{objects.key(kernel.source)}.o"
    there.write_bytes(file.read_bytes())
    cache.chmod(mode)
    monkeypatch.setenv("THALWEG_CACHE", str(cache))
    assert objects.folder() is None
    assert kernel.load() != 0 and kernel.times == 1
    assert [p.name for p in cache.iterdir()] == [there.name]


@pytest.mark.parametrize("kind", ["cannot be made", "a file", "of another user", "read-only"])
def test_a_folder_that_cannot_be_written(
    kind: str, warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, no harm: compiled in memory, once, and nothing is said about it."""
    (file,) = warm.iterdir()
    kernel = Kernel(file.read_bytes(), f"nowhere {kind}")
    cache = tmp_path / "cache"
    if kind == "cannot be made":
        cache = Path("/proc/thalweg/cache")
    elif kind == "a file":
        cache.write_text("")
    elif kind == "of another user":
        cache.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(cache, 12345, 12345)
        else:
            cache = Path("/")
    else:
        cache.mkdir(mode=0o500)
        if os.geteuid() == 0:  # permissions do not bind root; a system without files does
            cache = Path("/sys")
    monkeypatch.setenv("THALWEG_CACHE", str(cache))
    assert objects.folder() is None
    assert kernel.load() == kernel.load() != 0
    assert kernel.times == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_a_kernel_is_compiled(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork while another thread compiles: the child loads its own kernels and does not hang."""
    (file,) = warm.iterdir()
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "cache"))
    begun, go = threading.Event(), threading.Event()
    slow, quick = Kernel(file.read_bytes(), "slow"), Kernel(file.read_bytes(), "quick")

    def compile() -> tuple[str, bytes]:
        begun.set()
        assert go.wait(60)
        return slow.made

    worker = threading.Thread(target=objects.load, args=("slow", compile))
    worker.start()
    try:
        assert begun.wait(60)
        assert in_child(lambda: b"done" if quick.load() else b"", 10) == b"done"
    finally:
        go.set()
        worker.join(60)


def test_a_process_without_a_cache() -> None:
    """From outside: a folder that cannot be made."""
    (made,) = processes(1, "/proc/thalweg/cache")
    assert made["folder"] is None and made["compiled"] == 1 and abs(made["w"] - RIGHT) < 1e-12


def test_a_cache_that_vanishes(tmp_path: Path) -> None:
    """A folder removed while a process runs: the next kernel is compiled all the same."""
    code = (
        "import json, shutil, numpy as np, thalweg as tw\n"
        "from thalweg.engines.cpu import object_cache as objects\n"
        "tw.SGD(lr=0.5).on(np.ones(2)).step(np.ones(2))\n"
        "shutil.rmtree(objects.folder())\n"
        "w = np.ones(2); tw.Adagrad(lr=0.5).on(w).step(np.ones(2))\n"
        "print(json.dumps({'w': w[0], 'compiled': objects.compiled}))\n"
    )
    (made,) = processes(1, tmp_path / "cache", code)
    assert made["compiled"] == 2 and abs(made["w"] - 0.5) < 1e-9


def test_the_number_of_threads_from_outside(warm: Path) -> None:
    """THALWEG_THREADS is taken; nonsense is an error that names it."""
    code = "import json, thalweg as tw; print(json.dumps({'threads': tw.threads()}))"
    assert processes(1, warm, code, THALWEG_THREADS="3") == [{"threads": 3}]
    for bad in ("0", "two"):
        made = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment(warm), "THALWEG_THREADS": bad},
            capture_output=True,
            text=True,
            check=False,
        )
        last = made.stderr.strip().splitlines()[-1]
        assert made.returncode == 1 and "THALWEG_THREADS" in last and repr(bad) in last


def test_another_compiler_is_another_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel's name covers the intrinsics around the printed source: none that is stale is ever loaded."""
    before = objects.key("source")
    assert objects.key("source") == before
    monkeypatch.setattr(objects, "_compiler", lambda: "an intrinsic was edited")
    assert objects.key("source") != before
