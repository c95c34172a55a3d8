"""Files of runs and models with anything in them: one line of error and nothing moved, or a run that steps.

Beside random ones, the ways in which a well-formed zip asks for more than it holds.
"""

import copy
import io
import json
import random
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.engines import ENGINES
from thalweg.errors import FileError, HyperparameterError, ParameterError, ThalwegError
from thalweg.fitting import checkpoint
from thalweg.fitting.sizes import Sizes
from thalweg.fitting.trained import Trained
from thalweg.linear import Model, Settings

Array = np.ndarray[Any, Any]
Members = dict[str, bytes]
ANYTHING: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 1 << 31, 1 << 53, 1 << 63, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"),
    "", "x", "w", "0", "Adam", "SGD", "LpProp", "WarmUp", "coupled", "polyak", "\n", "\0", "é" * 50, "float32", "float64",
    [], [0], [[]], [1, 2, 3], ["w"], {}, {"schedule": "Cosine"}, {"schedule": []}, {"schedule": "Join", "first": 1},
]  # fmt: skip


def params() -> dict[str, Any]:
    return {"w": np.full((2, 3), 7.0), "a": [np.full(2, 7.0, np.float32), np.full(1, 7.0)]}


def gradient() -> dict[str, Any]:
    return {"w": np.ones((2, 3)), "a": [np.ones(2, np.float32), np.ones(1)]}


def leaves(tree: dict[str, Any]) -> list[bytes]:
    return [x.tobytes() for x in (tree["w"], *tree["a"])]


def runs() -> Iterator[Any]:
    lr = tw.warmup(tw.join(0.1, tw.cosine(0.1, steps=9), at=3), steps=2)
    yield tw.Adam(lr=lr).on(params(), average=0.9, groups={"0": {"lr": 0.3}, "w": tw.SGD(lr=0.1)})
    yield tw.LpProp().on(params(), accumulate=3, clip_norm=1.0, weight_decay=0.1, decay="decoupled")


@pytest.fixture(scope="module", autouse=True)
def _no_kernels() -> Iterator[None]:
    """A head may ask for any rule with anything around it: what runs it here is what compiles nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, "cpu", ENGINES["plain"])
        yield


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Files of runs as they should be."""
    path = tmp_path_factory.mktemp("whole") / "run.tw"
    files = []
    for opt in runs():
        for _ in range(2):
            opt.step(gradient())
        opt.save(path)
        files.append(path.read_bytes())
    return files


def members(whole: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(whole)) as zipped:
        return {n: zipped.read(n) for n in zipped.namelist()}


def zipped(content: Members, how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as out:
        for name, data in content.items():
            out.writestr(zipfile.ZipInfo(name), data, how)
    return file.getvalue()


def npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def head_of(content: Members) -> dict[str, Any]:
    head: dict[str, Any] = json.loads(np.load(io.BytesIO(content["head.npy"])).tobytes())
    return head


def with_head(content: Members, head: Any) -> Members:
    return content | {"head.npy": npy(np.frombuffer(json.dumps(head).encode(), np.uint8))}


def told(do: Callable[[], object], *kinds: type[ThalwegError]) -> str | None:
    """What an error of these kinds says, None where there is none."""
    try:
        do()
    except kinds as error:
        return str(error)
    return None


def require_refused_or_right(path: Path) -> None:
    """Loaded, or refused by one line of ours with nothing moved; what is loaded steps, or says why not."""
    mine, opts = params(), []
    with np.errstate(all="ignore"):  # a rate of 1e308 is a rate, and so is a start
        words = told(lambda: opts.append(tw.load(path, mine)), FileError, ParameterError, HyperparameterError)
    if words is not None:
        assert "\n" not in words
        assert leaves(mine) == leaves(params())
        return
    with np.errstate(all="ignore"):
        words = told(lambda: opts[0].step(gradient()), ThalwegError)
    assert words is None or "\n" not in words


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a head with each of its keys."""
    keys = [*value] if isinstance(value, dict) else [*range(len(value))] if isinstance(value, list) else []
    return [(value, k) for k in keys] + [place for k in keys for place in places(value[k])]


def altered_head(content: Members, rng: random.Random) -> Members:
    head = head_of(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        where, key = rng.choice(places(head))
        other, place = rng.choice(places(head))
        value = copy.deepcopy(rng.choice(ANYTHING) if rng.random() < 0.8 else other[place])
        if rng.random() < 0.15:
            del where[key]
        elif isinstance(where, dict) and rng.random() < 0.1:
            where[rng.choice(("", "zz", "lr", "kind", "keys", "own"))] = value
        else:
            where[key] = value
        if not places(head):
            break
    return with_head(content, head)


def altered_members(content: Members, rng: random.Random) -> Members:
    name = rng.choice([*content])
    data = content[name]
    match rng.randrange(5):
        case 0:
            return {n: d for n, d in content.items() if n != name}
        case 1:
            return {
                rng.choice(("zz", f"../{n}", n.upper(), "0.w")) if n == name else n: d
                for n, d in content.items()
            }
        case 2:
            return content | {rng.choice(("9.w.npy", "zz.npy", "zz", "head", "/head.npy")): data}
        case 3:
            odd = (
                np.ones(3),
                np.ones((3, 2)).T,
                np.ones(2, ">f4"),
                np.array([None]),
                np.ones((0, 5)),
                np.ones(6, "f2"),
            )
            return content | {name: npy(rng.choice(odd))}
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        spoilt[rng.randrange(min(len(data), 128))] = rng.choice(b"\0\xff 0123456789(),'<>{}VOUf")
    return content | {name: bytes(spoilt)}


def spoilt(whole: bytes, rng: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at : at + rng.choice((1, 4, 30, 500))] = b""
            case 2:
                data[at:at] = data[: rng.choice((1, 4, 30, 500))]
            case _:
                data[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"PK\1\2", b"PK\3\4"))
        if not data:
            break
    return bytes(data)


def altered(whole: bytes, rng: random.Random) -> bytes:
    """A file with another head, other members or other bytes."""
    kind = rng.randrange(4)
    if kind < 2:
        return zipped(altered_head(members(whole), rng))
    return zipped(altered_members(members(whole), rng)) if kind == 2 else spoilt(whole, rng)


@pytest.mark.parametrize("trials", [250, pytest.param(20_000, marks=pytest.mark.slow)])
def test_anything_in_a_file(trials: int, wholes: list[bytes], tmp_path: Path) -> None:
    """Heads, members and bytes altered at random; a seed names each trial."""
    path = tmp_path / "run.tw"
    for seed in range(trials):
        rng = random.Random(seed)
        path.write_bytes(altered(rng.choice(wholes), rng))
        try:
            require_refused_or_right(path)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error


Loader = Callable[[Path], object]


def trained(path: Path) -> Loader:
    """A model of three classes in a file, and what reads it."""
    model = Model(Settings(), 5, np.array([1, 3, 9]))
    Trained.of(model, 5, {"format": "svmlight", "zero_based": True}, None, "Adagrad()", 60, 1).save(path)
    return Trained.load


def paused(path: Path) -> Loader:
    """A checkpoint in a file, and what reads it."""
    rule, source = tw.Adam(lr=0.1), {"reading": {}, "files": ["a.svm"], "passes": 2}
    model = Model(Settings("huber", rule, l1=0.1, average=3, centre=1.0, size=2.0), 5)
    checkpoint.save(path, source, checkpoint.State(), model, Sizes(np.ones(5, np.float32)))
    return lambda path: checkpoint.load(path, source, rule)


@pytest.mark.parametrize("trials", [100, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [trained, paused], ids=lambda f: f.__name__)
def test_anything_in_a_model(make: Callable[[Path], Loader], trials: int, tmp_path: Path) -> None:
    """Of linear models and of checkpoints: loaded, or one line of FileError."""
    path = tmp_path / "m.tw"
    load = make(path)
    whole = path.read_bytes()
    load(path)
    for seed in range(trials):
        path.write_bytes(altered(whole, random.Random(seed)))
        try:
            with np.errstate(all="ignore"):
                words = told(lambda: load(path), FileError)
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
        assert words is None or "\n" not in words, f"seed {seed}: {words}"


def compressed(content: Members) -> bytes:
    """A member of 24 MiB in 24 KiB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in content.items():
            out.writestr(name, data)
        with out.open("9.w.npy", "w", force_zip64=True) as entry:
            for _ in range(24):
                entry.write(bytes(1 << 20))
    return file.getvalue()


def long_shape(content: Members) -> bytes:
    """A header that says a trillion."""
    array = content["0.w.npy"]
    return zipped(content | {"0.w.npy": array.replace(b"(2, 3), }          ", b"(2, 1000000000000), }", 1)})


def long_head(content: Members) -> bytes:
    """A leaf whose shape is a trillion, as its array says too."""
    head = head_of(content)
    head["leaves"][0]["shape"] = [2, 1000000000000]
    return zipped(with_head(members(long_shape(content)), head))


def deep(content: Members) -> bytes:
    """JSON within JSON within JSON."""
    return zipped(content | {"head.npy": npy(np.frombuffer(b"[" * 200_000, np.uint8))})


@pytest.mark.parametrize("make", [compressed, long_shape, long_head, deep], ids=lambda f: f.__name__)
def test_a_file_cannot_take_more_than_it_holds(
    make: Callable[[Members], bytes], wholes: list[bytes], tmp_path: Path
) -> None:
    path = tmp_path / "run.tw"
    path.write_bytes(make(members(wholes[0])))
    mine = params()
    tracemalloc.start()
    try:
        with pytest.raises((FileError, ParameterError)):
            tw.load(path, mine)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert leaves(mine) == leaves(params())
    assert peak < 8_000_000 + 2 * path.stat().st_size, f"{peak:_} bytes"


def test_the_head_comes_first(wholes: list[bytes], tmp_path: Path) -> None:
    """Of a file of another kind no array is read."""
    content = members(wholes[0])
    path = tmp_path / "run.tw"
    path.write_bytes(
        zipped(with_head(content, head_of(content) | {"kind": "other"}) | {"0.w.npy": b"nonsense"})
    )
    with pytest.raises(FileError, match="holds other"):
        tw.load(path, params())


@pytest.mark.parametrize("format", [0, -1, True, False, 1.0, "1", None, 2], ids=repr)
def test_a_format_is_a_whole_number_from_one(format: Any, wholes: list[bytes], tmp_path: Path) -> None:
    content = members(wholes[0])
    path = tmp_path / "run.tw"
    path.write_bytes(zipped(with_head(content, head_of(content) | {"format": format})))
    with pytest.raises(FileError, match="newer" if format == 2 else "damaged"):
        tw.load(path, params())


def test_files_of_ours_are_as_numpy_writes_them(wholes: list[bytes], tmp_path: Path) -> None:
    """What is refused is not what we write: stored, each name once, no more than the file."""
    path = tmp_path / "run.tw"
    for whole in wholes:
        path.write_bytes(zipped(members(whole)))
        tw.load(path, params()).step(gradient())


def nested(whole: bytes, depth: int) -> bytes:
    """A file and in it so many arrays of 64 KiB, each but for its header the one before; distinct and well-formed."""
    blob, starts, entries = bytes(1 << 16), [], []
    for k in range(depth):
        blob = bytes(-len(blob) % 4) + blob
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (len(blob) // 4, 1)}
        )
        name, data = b"%04d.npy" % k, header.getvalue() + blob
        described = struct.pack(
            "<HHHHHLLLHH", 20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name), 0
        )
        blob = b"PK\3\4" + described + name + data
        entries.append((described, name))
        starts.append(len(blob))
    end = whole.rindex(b"PK\5\6")
    count, _, at = struct.unpack("<HLL", whole[end + 10 : end + 20])
    listed = whole[at:end] + b"".join(
        b"PK\1\2"
        + struct.pack("<H", 20)
        + described
        + struct.pack("<HHHLL", 0, 0, 0, 0, at + len(blob) - start)
        + name
        for start, (described, name) in zip(starts, entries, strict=True)
    )
    tail = struct.pack("<HHHHLLH", 0, 0, count + depth, count + depth, len(listed), at + len(blob), 0)
    return whole[:at] + blob + listed + b"PK\5\6" + tail


def test_arrays_that_lie_one_in_another_are_refused(tmp_path: Path) -> None:
    """Each fits into the file, all together would not: 13 MB in 100 kB, or 4 GB in 6 MB."""
    path = tmp_path / "m.tw"
    load = paused(path)
    path.write_bytes(nested(path.read_bytes(), 1))
    with pytest.raises(FileError, match="do not fit together"):
        load(path)  # one more array than a checkpoint has
    paused(path)
    path.write_bytes(nested(path.read_bytes(), 200))
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match="cut short or damaged"):
            load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000, f"{peak:_} bytes"
