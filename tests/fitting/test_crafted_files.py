"""Files with right checksums and wrong contents: whoever wrote them, no kernel reads or writes outside its arrays."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import archive
from thalweg.errors import FileError, HyperparameterError, ProblemError
from thalweg.fitting import Trained, checkpoint, fit, predict
from thalweg.linear import Model, Settings, race
from thalweg.reading import cache as block_cache
from thalweg.reading import open_stream

from ..reading.reference import same

Head = dict[str, Any]
Arrays = dict[str, np.ndarray]

# One model of each kind of layout: format, layout, fold, features, classes.
MODELS: dict[str, tuple[Head, int | None, int, list[Any] | None]] = {
    "svmlight": ({"format": "svmlight", "zero_based": True}, None, 5, [0, 1, 2]),
    "folded": ({"format": "svmlight", "zero_based": True}, 3, 8, None),
    "vw": ({"format": "vw", "bits": 4}, None, 16, [0, 1]),
    "csv": ({"format": "csv", "numeric": ["a"], "text": ["b"], "bits": 3}, None, 9, [0.5, 2.5]),
}
ROWS = {"svmlight": "1 2:3\n", "folded": "1 2:3\n", "vw": "1 | a b\n", "csv": "a,b\n1,x\n"}


def contents(path: Path, kind: str) -> tuple[Head, Arrays]:
    """The head and the arrays of a file."""
    with archive.opened(path, kind, 2) as file:
        shapes = {n: (None,) if n in ("classes", "intercepts") else (None, None) for n in file.names}
        return file.head, file.arrays({n: archive.Layout("iuf", shape) for n, shape in shapes.items()})


def saved(kind: str, path: Path, change: Callable[[Head, Arrays], object] = lambda *_: None) -> Path:
    """A model's file with a change in its head or arrays, made as such files are."""
    layout, fold, features, classes = MODELS[kind]
    loss = "squared_error" if classes is None else "log_loss" if len(classes) == 2 else "multinomial"
    labels = None if classes is None else np.array(classes)
    Trained(Model(Settings(loss), features, labels), dict(layout), fold, "SGD()", 1, 1).save(path)
    head, arrays = contents(path, "thalweg linear model")
    change(head, arrays)
    archive.save(path, head, arrays)
    return path


def layout(**given: Any) -> Callable[[Head, Arrays], object]:
    return lambda head, _: head["layout"].update(given)


def heads(**given: Any) -> Callable[[Head, Arrays], object]:
    return lambda head, _: head.update(given)


def arrays(**given: Any) -> Callable[[Head, Arrays], object]:
    return lambda _, arrays: arrays.update({n: np.asarray(a) for n, a in given.items()})


def settings(**given: Any) -> Callable[[Head, Arrays], object]:
    return lambda head, _: head["settings"].update(given)


CHANGES: dict[str, list[Callable[[Head, Arrays], object]]] = {
    "vw": [
        *(layout(bits=bits) for bits in (-1, 0, 3, 5, 31, 32, 33, 40, 63, 64, 10**30, True, 4.0, "4", None)),
        *(layout(format=format) for format in ("csv", "svmlight", "", None, ["vw"])),
        layout(more=1),
        heads(layout=[]),
        heads(layout={}),
        heads(fold=4),
        heads(rows="many"),
        heads(rule=None),
        arrays(classes=[1, 0]),
        arrays(classes=[0.0, np.nan]),
        arrays(classes=["a", "b"]),
        arrays(classes=[[0, 1]]),
        arrays(classes=1),
        arrays(classes=[]),
        arrays(weights=np.zeros((10**12, 0), np.float32)),
        arrays(weights=np.zeros(16, np.float32)),
        arrays(weights=np.zeros((15, 1), np.float32)),
        arrays(weights=np.zeros((16, 1), np.complex64)),
        arrays(weights=np.zeros((16, 1))),
        arrays(intercepts=np.zeros(2, np.float32)),
        arrays(intercepts=np.float32(0)),
        settings(dtype="float64"),
        settings(dtype=["float32"]),
        settings(loss="multinomial_"),
        settings(loss=["log_loss"]),
        settings(epsilon=10**400),
        settings(quantile="x"),
        settings(intercept="x"),
        settings(another=1),
        heads(settings=3),
        lambda head, _: head.pop("layout"),
        lambda _, arrays: arrays.pop("weights"),
    ],
    "svmlight": [
        *(heads(fold=fold) for fold in (-1, 0, 2, 31, 32, 63, 2.0, "3", True)),
        layout(zero_based=2),
        arrays(classes=[2, 1, 0]),
        arrays(classes=np.arange(10**6)),
        arrays(weights=np.zeros((5, 1), np.float32), intercepts=np.zeros(1, np.float32)),
    ],
    "folded": [
        *(heads(fold=fold) for fold in (2, 4, 32, 33, -29)),
        arrays(classes=[1, 0]),
        *(settings(size=size) for size in (0.0, -1.0, float("nan"), "x", None)),
        *(settings(centre=centre) for centre in (float("inf"), "x", [0.0])),
        layout(scale={"centre": [], "size": []}),
    ],
    "csv": [
        *(layout(numeric=names) for names in ([], ["a", "c"], ["a", "a"], ["b"], [1], "a", None)),
        layout(text=[]),
        layout(bits=32),
        layout(bits=-61),
        *(layout(scale=scale) for scale in (None, {}, {"centre": [0.0, 0.0], "size": [1.0, 1.0]})),
        *(layout(scale={"centre": [0.0], "size": [size]}) for size in (0.0, -1.0, float("inf"), "1", None)),
        settings(size=2.0),  # of classes
    ],
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_models_parts_fit_or_are_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.write_text(ROWS[kind])
    reading = {"format": str(MODELS[kind][0]["format"])}
    assert predict(saved(kind, tmp_path / "m.tw"), rows, tmp_path / "p.csv", **reading).rows == 1
    (tmp_path / "p.csv").unlink()
    for k, change in enumerate(CHANGES[kind]):
        path = saved(kind, tmp_path / "odd.tw", change)
        with pytest.raises(FileError, match=r"odd\.tw: .*damaged") as caught:
            predict(path, rows, tmp_path / "p.csv", **reading)
        assert "\n" not in str(caught.value), k
    assert not (tmp_path / "p.csv").exists()


def test_a_layout_is_checked_where_a_stream_takes_it(tmp_path: Path) -> None:
    (tmp_path / "a.vw").write_text("1 | a b\n")
    for bits in (0, 32, 40, -1):
        with pytest.raises(HyperparameterError, match="bits must be in"):
            open_stream(tmp_path / "a.vw", layout={"format": "vw", "bits": bits})


# Block caches.

TEXT = "1 2:3 4:0.5\n0 1:1 2:2 5:7\n1 3:1\n" * 60
TAGGED = "1 2.0 'x|a b\n0 0.5 'y|c d:2\n" * 60
Index = dict[str, Any]
Parts = list[Arrays]  # of each block


def recrafted(path: Path, change: Callable[[Index, Parts], object]) -> None:
    """Write a cache again with a change in its index or in its blocks' arrays, and with checksums that are right."""
    whole = path.read_bytes()
    length, _ = block_cache._TAIL.unpack(whole[-block_cache._TAIL.size :])
    end = len(whole) - block_cache._TAIL.size - length
    index = json.loads(whole[end : end + length])
    parts: Parts = []
    for entry in index["blocks"]:
        at, arrays = entry["at"], {}
        for name, count in entry["counts"].items():
            dtype = np.dtype(block_cache.DTYPES[name])
            arrays[name] = np.frombuffer(whole, dtype, count, at).copy()
            at += block_cache.padded(name, count)
        parts.append(arrays)
    change(index, parts)
    data = block_cache._MAGIC
    for entry, arrays in zip(index["blocks"], parts, strict=False):
        pieces = [a.tobytes() + bytes(-a.nbytes % 8) for a in arrays.values()]
        entry["crc"] = zlib.crc32(b"".join(pieces))
        data += b"".join(pieces)
    text = json.dumps(index).encode()
    path.write_bytes(data + text + block_cache._TAIL.pack(len(text), hashlib.sha256(text).digest()))


def put(name: str, at: Any, value: float, block: int = 1) -> Callable[[Index, Parts], object]:
    return lambda _, parts: parts[block][name].__setitem__(at, value)


def say(name: str, value: Any, block: int = 1) -> Callable[[Index, Parts], object]:
    return lambda index, _: index["blocks"][block].__setitem__(name, value)


def count(name: str, more: int) -> Callable[[Index, Parts], object]:
    def change(index: Index, _: Parts) -> None:
        index["blocks"][1]["counts"][name] += more

    return change


def of_tags(text: bytes) -> Callable[[Index, Parts], object]:
    """Other tags: their bytes, with counts and sizes that fit."""

    def change(index: Index, parts: Parts) -> None:
        last = index["blocks"][-1]
        last["size"] -= block_cache.padded("tags", len(parts[-1]["tags"]))
        parts[-1]["tags"] = np.frombuffer(text, np.uint8)
        last["counts"]["tags"] = len(text)
        last["size"] += block_cache.padded("tags", len(text))

    return change


SOUND = (
    *(put("indices", at, value) for at in (0, 3, -1) for value in (-1, 5, 2**31 - 1, -(2**31))),
    put("indices", 1, 0),
    *(put("indptr", at, value) for at in (0, 1, -1) for value in (-1, 1, 10**6, 2**31, 2**62, -(2**62))),
    put("values", 0, np.nan),
    put("values", 0, np.inf),
    put("labels", 0, np.nan),
    put("labels", 0, -np.inf),
    *(count(name, more) for name in ("labels", "indptr", "indices", "values") for more in (-1, 1, 10**9, 2**62)),
    *(say("features", value) for value in (0, 1, -1, 4, 2**31 + 1, 2**40, 5.0, "5", None)),
    *(say("size", value) for value in (0, -8, 2**62, None)),
    *(say("at", value) for value in (0, 8, -8, 2**62, 10**30, None)),
    *(say("row", value) for value in (0, -1, 1.5)),
    *(say("counts", value) for value in ({}, [], None, {"labels": 1}, {"nonsense": 3})),
    *(say("position", value) for value in ({}, None, [], {"file": 0})),
    lambda index, _: index["blocks"][0]["position"].update(offset=-5),
    lambda index, _: index["blocks"][0]["position"].update(file=7),
    lambda index, _: index.update(blocks={}),
    lambda index, _: index.update(skipped=-1),
    lambda index, _: index.update(reasons=[3]),
    lambda index, _: index.update(more=1),
    lambda index, _: index.pop("reasons"),
    lambda index, _: index["blocks"].pop(0),
    lambda index, _: index["blocks"].reverse(),
    lambda index, _: index["blocks"].append(3),
)  # fmt: skip
WITH_TAGS = (
    put("weights", 0, -1.0),
    put("weights", 0, np.nan),
    put("indices", 0, 16),
    say("features", 17),
    say("features", 1 << 30),
    *map(of_tags, (b"[]", b"{}", b"3", b'["x"]', b"[3, 4]", b"\xff", b"[" * 10**5)),
)


@pytest.mark.parametrize(("name", "text", "changes"), [("a.svm", TEXT, SOUND), ("a.vw", TAGGED, WITH_TAGS)])
def test_a_cache_with_wrong_contents_is_read_anew(
    name: str, text: str, changes: tuple[Callable[[Index, Parts], object], ...], tmp_path: Path
) -> None:
    source, path = tmp_path / name, tmp_path / "cache"
    source.write_text(text)
    given: Head = {"block_bytes": 1024, "ahead": 0} | ({"bits": 4} if name == "a.vw" else {})
    plain = list(open_stream(source, **given))
    same(plain, open_stream(source, cache=path, **given))
    whole = path.read_bytes()
    recrafted(path, lambda *_: None)
    assert path.read_bytes() == whole  # so that what is refused below is refused for its change
    for k, change in enumerate(changes):
        path.write_bytes(whole)
        recrafted(path, change)
        stream = open_stream(source, cache=path, **given)
        same(plain, stream)
        same(plain, stream)
        assert path.read_bytes() == whole, k


def test_fit_learns_from_the_files_where_its_cache_lies(tmp_path: Path) -> None:
    source, kept = tmp_path / "a.svm", tmp_path / "cache"
    source.write_text(TEXT)
    given: Head = {"passes": 3, "rule": tw.Adagrad(lr=0.1), "cache": kept}
    fit(source, tmp_path / "m.tw", **given)
    recrafted(kept, lambda _, parts: parts[0]["indices"].__setitem__(3, 10**9))
    fit(source, tmp_path / "n.tw", **given)
    assert (tmp_path / "n.tw").read_bytes() == (tmp_path / "m.tw").read_bytes()


# Checkpoints.

STATES: dict[str, list[Any]] = {
    "passed": [-1, 5, "0", None, 0.5],
    "blocks": [-1, "3"],
    "rows": [-1, None],
    "steps": [-1, 1.5],
    "loss": ["x", None],
    "held": [-1, "x"],
    "until": [-1, "x"],
    "width": [-1, 10**9, "x"],
    "rule": [3],
    "history": [[{}], ["x"], None, "x"],
    "curve": [None, 3, [3], [[1, 2, 3.0]], [[1, 2, 3.0, "x"]], [[1, -2, 3.0, 1.0]]],
    "notes": [[3], None],
    "position": [{}, [], 3, {"file": 9}],
}
PARTS: dict[str, list[Any]] = {
    "features": [-1, 0, 3, 10**12, 2**70, "8", 8.0, None],
    "t": [-1, 2**62, 2**70, "x", 1.5],
    "progress": [[], [1], ["x", 1], 3],
    "format": ["x", None],
    "settings": [{}, None, 3],
}


def test_a_checkpoint_with_wrong_contents_is_refused(tmp_path: Path) -> None:
    source, model = tmp_path / "a.svm", tmp_path / "m.tw"
    source.write_text(TEXT)
    given: Head = {"passes": 3, "rule": tw.Adagrad(lr=0.1), "cache": False}
    asked = iter([False, True])
    fit(source, model, stop=lambda: next(asked), **given)
    path = checkpoint.beside(model)
    whole = path.read_bytes()
    changes: list[tuple[str, str, Any]] = [("state", n, v) for n, values in STATES.items() for v in values]
    changes += [("model", n, v) for n, values in PARTS.items() for v in values]
    for part, name, value in changes:
        path.write_bytes(whole)
        head, arrays = contents(path, checkpoint.KIND)
        assert name in head[part]
        head[part][name] = value
        archive.save(path, head, arrays)
        with pytest.raises(FileError) as caught:
            fit(source, model, **given)
        assert "\n" not in str(caught.value), (name, value)
    path.write_bytes(whole)
    head, arrays = contents(path, checkpoint.KIND)
    for sizes in (
        None,
        np.zeros((5, 0)),
        np.full((5, 1), -1.0),
        np.full((5, 1), np.nan),
        np.full((5, 1), np.inf),
    ):
        others = {n: a for n, a in arrays.items() if n != checkpoint.SIZES}
        archive.save(path, head, others if sizes is None else others | {checkpoint.SIZES: sizes})
        with pytest.raises(FileError, match="is damaged"):
            fit(source, model, **given)
    path.write_bytes(whole)
    assert fit(source, model, **given).resumed


def test_what_a_model_is_given_is_compared_with_its_classes() -> None:
    x = np.ones((2, 4), np.float32)
    for classes in ([1, 0], [0, 0], [0.0, np.nan], [[0, 1]]):
        with pytest.raises(ProblemError, match="classes"):
            Model(Settings(), 4, np.array(classes))
    model = Model(Settings("multinomial"), 4, np.arange(3))
    for targets in ([0, 3], [-1, 0], [0, np.nan], [0, 2**40]):
        with pytest.raises(ProblemError, match=r"targets: must be numbers of classes in 0\.\.2"):
            model.learn(x, np.array(targets, np.float64))
    data = np.ones(3, np.float32)
    for indices, indptr, words in (
        ([0, 1, 4], [0, 2, 3], r"row 1 has an index outside 0\.\.3"),
        ([0, -1, 2], [0, 2, 3], "row 0 has an index"),
        ([0, 1, 2], [0, 2, 4], "does not cut 3 entries into 2 rows"),
        ([0, 1, 2], [0, 2], "does not cut"),
        ([0, 1, 2], [-5, 2, 3], "does not cut"),
        ([0, 1, 2], [0, 4, 3], "does not cut"),
    ):
        csr = SimpleNamespace(
            data=data, indices=np.array(indices, np.int32), indptr=np.array(indptr, np.int32), shape=(2, 4)
        )
        for take in (
            lambda x: model.learn(x, np.zeros(2)),
            lambda x: race(model.settings, 4, None, x, np.zeros(2)),
        ):
            with pytest.raises(ProblemError, match=words):
                take(csr)
    for weights, intercepts in ((np.zeros((4, 1)), np.zeros(3)), (np.zeros((4, 3)), np.zeros(1))):
        with pytest.raises(ProblemError, match="shape"):
            model.start(weights, intercepts)
    assert model.t == 0 and not model.solution[0].any()
