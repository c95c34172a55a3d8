"""Streams: compression, many files, resuming, bad lines, bounded memory, the background thread, the cache."""

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from thalweg.errors import FileError, HyperparameterError
from thalweg.reading import open_stream
from thalweg.reading.ahead import ahead

from .reference import rows_of, same

ROWS = 600


def example(rng):
    columns = np.unique(rng.integers(1, 1000, rng.integers(0, 12)))
    return int(rng.integers(0, 2)), columns.tolist(), rng.standard_normal(len(columns)).tolist()


def pack(path, text):
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text, 1))
    elif path.suffix == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(text)
    else:
        path.write_bytes(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two files of every kind with the same rows, and how each kind is opened."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    for part in "ab":
        rows = [example(rng) for _ in range(ROWS)]
        svm = "".join(
            f"{y} {' '.join(f'{i}:{v:.6g}' for i, v in zip(c, x, strict=True))}\n" for y, c, x in rows
        )
        vw = "".join(
            f"{y} 2 t{y}|f {' '.join(f'{i}:{v:.6g}' for i, v in zip(c, x, strict=True))}\n"
            for y, c, x in rows
        )
        for end in ("", ".gz", ".zst"):
            pack(folder / f"{part}.svm{end}", svm.encode())
            pack(folder / f"{part}.vw{end}", vw.encode())
        numbers = rng.standard_normal((ROWS, 3))
        numbers[rng.random((ROWS, 3)) < 0.2] = 0
        table = pa.table(
            {"y": [r[0] for r in rows], **{f"x{k}": numbers[:, k] for k in range(3)}}
            | {
                "city": rng.choice(["Rome", "Oslo", 'say "hi"', "two\nlines"], ROWS).tolist(),
                "w": rng.uniform(1, 2, ROWS),
            }
        )
        pa.parquet.write_table(table, folder / f"{part}.parquet", row_group_size=250)
        text = pa.BufferOutputStream()
        pa.csv.write_csv(table, text)
        for end in ("", ".gz", ".zst"):
            pack(folder / f"{part}.csv{end}", text.getvalue().to_pybytes())
    return folder


KINDS = [f"{k}{end}" for k in ("svm", "vw", "csv") for end in ("", ".gz", ".zst")] + ["parquet"]


def opened(made, kind, **more):
    columns = {"target": "y", "weight": "w"} if kind.startswith(("csv", "parquet")) else {}
    return open_stream(made / f"*.{kind}", **{"block_bytes": 4096, "block_rows": 100, **columns, **more})


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_anywhere_a_pass_goes_on_with_the_same_blocks(made, kind):
    stream = opened(made, kind)
    blocks = same(stream, stream)
    assert len(blocks) >= 12 and len(rows_of(blocks)) == 2 * ROWS
    for k, block in enumerate(blocks):
        position = json.loads(json.dumps(block.position))
        same(blocks[k + 1 :], opened(made, kind, ahead=k % 3).blocks(position))


@pytest.mark.parametrize("kind", ["svm", "vw", "csv"])
def test_compressed_is_plain(made, kind):
    plain = list(opened(made, kind))
    for end in (".gz", ".zst"):
        same(plain, opened(made, kind + end))


def test_block_sizes_do_not_change_the_rows(made):
    for kind in ("svm", "vw", "csv", "parquet"):
        rows = rows_of(opened(made, kind))
        assert rows == rows_of(opened(made, kind, block_bytes=1 << 20, block_rows=7))
        assert rows == rows_of(opened(made, kind, block_bytes=3000, ahead=0))


def test_csv_is_parquet(made):
    """The numbers were written as text with all their digits."""
    a, b = rows_of(opened(made, "csv")), rows_of(opened(made, "parquet"))
    assert a == b
    weights = [np.concatenate([x.weights for x in opened(made, k)]).tolist() for k in ("csv", "parquet")]
    assert weights[0] == weights[1]


def test_weights_and_tags(made):
    for block in opened(made, "vw"):
        assert np.all(block.weights == 2) and block.tags == [f"t{int(y)}" for y in block.labels]
    for block in opened(made, "svm"):
        assert block.weights is None and block.tags is None


def test_matrix(made):
    block = next(opened(made, "svm").blocks())
    matrix = block.matrix()
    assert matrix.shape == (len(block.labels), block.features) and matrix.nnz == len(block.values)
    assert block.matrix(5000).shape[1] == 5000


@pytest.mark.parametrize("end", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "bytes"])
def test_damaged_compression_is_an_error(made, tmp_path, end, damage):
    data = (made / f"a.svm{end}").read_bytes()
    path = tmp_path / f"x.svm{end}"
    half = len(data) // 2
    path.write_bytes(data[:half] if damage == "cut" else data[:half] + bytes(200) + data[half + 200 :])
    with pytest.raises(FileError, match=rf"x\.svm\{end}: its (gzip|zstd) data is cut short or damaged"):
        list(open_stream(path))


def test_several_gzip_members_are_one_file(made, tmp_path):
    (tmp_path / "x.svm.gz").write_bytes((made / "a.svm.gz").read_bytes() + (made / "b.svm.gz").read_bytes())
    assert rows_of(open_stream(tmp_path / "x.svm.gz")) == rows_of(opened(made, "svm"))


@pytest.mark.parametrize("kind", ["svm", "csv"])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_line_longer_than_a_block(tmp_path, kind, where):
    line, long = ("1 2:3", "1 2:3 # " + "x" * 20_000) if kind == "svm" else ("1,3", "1," + "3" * 20_000)
    lines = [line] * 500
    at = {"first": 0, "middle": 250, "last": 500}[where]
    lines.insert(at, long)
    head = "" if kind == "svm" else "y,x\n"
    path = tmp_path / f"a.{kind}"
    for ending in ("\n", ""):
        path.write_text(head + "\n".join(lines) + ending)
        columns = {} if kind == "svm" else {"target": "y"}
        unit = "line" if kind == "svm" else "row"
        with pytest.raises(
            FileError, match=f"{unit} {at + 1}: it is longer than a block of 2048 bytes; raise block_bytes"
        ):
            list(open_stream(path, block_bytes=2048, **columns))
        stream = open_stream(path, block_bytes=2048, on_bad_line="skip", **columns)
        blocks = list(stream)
        assert len(rows_of(blocks)) == 500 and stream.skipped == 1
        for k, block in enumerate(blocks):
            same(blocks[k + 1 :], stream.blocks(block.position))


def test_skipped_lines_are_counted_over_files_and_resumption(tmp_path):
    draw = random.Random(0)
    bad = 0
    told = []
    for part in "ab":
        lines = []
        for k in range(800):
            kind = draw.choice(["1 3:4", "1 3:4", "1 3:4", "", "# none"] + ["1 3:x"] * (k > 400))
            if kind == "1 3:x":
                told.append(f"{part}.svm: line {k + 1}: column 5: the value 'x' is not a number")
            bad += kind == "1 3:x"
            lines.append(kind)
        (tmp_path / f"{part}.svm").write_text("\n".join(lines))
    stream = open_stream(tmp_path / "?.svm", on_bad_line="skip", block_bytes=1024)
    blocks = list(stream)
    assert stream.skipped == bad > 100 and len(rows_of(blocks)) > 800
    assert [r.rpartition("/")[2] for r in stream.reasons] == told[:10]
    list(stream.blocks(blocks[7].position))
    assert stream.skipped == bad
    # The good blocks before a bad line come first.
    (tmp_path / "c.svm").write_text("1 3:4\n" * 1000 + "oops\n")
    passed = open_stream(tmp_path / "c.svm", block_bytes=1024).blocks()
    counted = []
    with pytest.raises(FileError, match=r"c\.svm: line 1001: column 1: the label 'oops' is not a number"):
        counted.extend(len(block.labels) for block in passed)
    assert sum(counted) > 800


def test_a_consumer_that_stops_early_ends_the_thread(made):
    before = threading.active_count()
    for _ in range(20):
        blocks = opened(made, "svm").blocks()
        next(blocks)
        blocks.close()
        for _ in opened(made, "csv"):
            break
        opened(made, "vw").blocks()  # never begun
    assert threading.active_count() == before


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_no_more_is_read_ahead_than_asked(depth):
    made = []

    def items():
        for k in range(8):
            made.append(k)
            yield k
        raise FileError("the last")

    got = []
    with pytest.raises(FileError, match="the last"):  # noqa: PT012
        for k in ahead(items, depth):
            time.sleep(0.02)  # time for the thread to do all that it may
            assert len(made) <= k + 1 + depth
            got.append(k)
    assert got == list(range(8))


def test_passes_at_once(made):
    stream = opened(made, "svm")
    expected = list(stream)
    got = [[], []]
    threads = [threading.Thread(target=lambda k=k: got[k].extend(stream)) for k in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(expected, got[0])
    same(expected, got[1])


@pytest.mark.parametrize("kind", ["svm", "svm.gz", "vw", "csv", "csv.zst", "parquet"])
def test_memory_is_a_small_multiple_of_a_block(made, tmp_path, kind):
    """A file of 60 blocks; NumPy's and Python's memory at its highest, Arrow's beside."""
    size = 1 << 17
    if kind == "parquet":
        table = pa.concat_tables([pa.parquet.read_table(made / "a.parquet")] * 400)
        pa.parquet.write_table(table, tmp_path / f"x.{kind}", row_group_size=2000, use_dictionary=False)
        assert table.nbytes > 60 * size
    else:
        head, body = "", (made / f"a.{kind.split('.')[0]}").read_text()
        if kind.startswith("csv"):
            head, _, body = body.partition("\n")
            head += "\n"
        pack(tmp_path / f"x.{kind}", (head + body * (60 * size // len(body))).encode())
    stream = opened(tmp_path, kind, block_bytes=size, block_rows=4096)
    next(stream.blocks())  # whatever is imported and compiled
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    highest = arrow = 0
    rows = 0
    for block in stream:
        rows += len(block.labels)
        highest = max(highest, tracemalloc.get_traced_memory()[1])
        arrow = max(arrow, pa.total_allocated_bytes() - before)
    tracemalloc.stop()
    # The buffer, scratch for the densest text there could be, and four blocks of arrays. Arrow holds the
    # table of one block; of Parquet, the pages of a row group.
    assert rows > 10_000
    assert highest < 30 * size
    assert arrow < 20 * size


def test_formats_are_told_by_name_or_first_line(made, tmp_path):
    for kind, format in (("svm", "svmlight"), ("vw.gz", "vw"), ("csv.zst", "csv"), ("parquet", "parquet")):
        assert opened(made, kind).format == format
    for kind, format in (
        ("svm", "svmlight"),
        ("vw.gz", "vw"),
        ("svm.zst", "svmlight"),
        ("parquet", "parquet"),
    ):
        shutil.copy(made / f"a.{kind}", tmp_path / "plain")
        columns = {"target": "y", "weight": "w"} if kind == "parquet" else {}
        assert open_stream(tmp_path / "plain", **columns).format == format
    (tmp_path / "plain").write_text("what,is,this\n")
    with pytest.raises(
        FileError, match=r"plain: neither its name nor its first line tells its format; give format="
    ):
        open_stream(tmp_path / "plain")
    with pytest.raises(FileError, match=r"is csv and .* is svmlight|is svmlight and .* is csv"):
        open_stream([made / "a.svm", made / "a.csv"])


def test_empty_files_and_files_without_rows(tmp_path):
    for text in ("", "\n\n", "# nothing\n", "\xef\xbb\xbf"):
        (tmp_path / "a.svm").write_text(text, "latin-1")
        assert list(open_stream(tmp_path / "a.svm")) == []
    (tmp_path / "a.csv").write_text("y,x\n")
    assert list(open_stream(tmp_path / "a.csv", target="y")) == []


def test_bad_settings(made, tmp_path):
    svm = made / "a.svm"
    for settings, message in (
        ({"format": "svmlite"}, "unknown format 'svmlite': did you mean 'svmlight'"),
        ({"on_bad_line": "ignore"}, "on_bad_line must be one of 'stop', 'skip', got 'ignore'"),
        ({"block_bytes": 10}, "block_bytes must be a whole number in"),
        ({"block_rows": 0}, "block_rows must be a whole number in"),
        ({"bits": 40}, r"bits must be a whole number in \[1, 31\], got 40"),
        ({"ahead": -1}, "ahead must be"),
        ({"features": 0}, "features must be"),
        ({"zero_based": 1}, "zero_based must be one of"),
        ({"missing": "drop"}, "missing must be one of"),
    ):
        with pytest.raises(HyperparameterError, match=message):
            open_stream(svm, **settings)
    for paths, message in (
        ([], "no files"),
        (tmp_path / "none.svm", "cannot be read"),
        (tmp_path, "is a folder"),
        (tmp_path / "*.svm", "no file matches"),
    ):
        with pytest.raises(FileError, match=message):
            open_stream(paths)
    with pytest.raises(FileError, match="its folder does not exist"):
        open_stream(svm, cache=tmp_path / "no" / "cache")
    stream = open_stream(svm)
    good = next(stream.blocks()).position
    for position in (
        7,
        {},
        good | {"offset": -1},
        good | {"file": 9},
        good | {"row": "1"},
        good | {"more": 1},
    ):
        with pytest.raises(HyperparameterError, match="blocks: position"):
            stream.blocks(position)
    for kind in ("svm", "svm.gz", "csv", "parquet"):
        with pytest.raises(FileError, match="it is not the file that was read"):
            list(opened(made, kind).blocks(good | {"offset": 10**9}))


def test_only_the_formats_read_import_what_they_need(made):
    code = (
        "import sys, thalweg.reading as r\n"
        f"n = sum(len(b.labels) for b in r.open_stream({str(made / 'a.svm.gz')!r}))\n"
        "assert n == 600 and not {'pyarrow', 'scipy', 'sklearn', 'torch', 'numba'} & set(sys.modules), sys.modules"
    )
    list(open_stream(made / "a.svm"))  # compiled now, if not before
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_gives_the_same_blocks(made, tmp_path, kind):
    plain = list(opened(made, kind))
    cached = opened(made, kind, cache=tmp_path / "cache")
    same(plain, cached)
    assert os.listdir(tmp_path) == ["cache"]
    written = (tmp_path / "cache").stat().st_mtime_ns
    again = opened(made, kind, cache=tmp_path / "cache")
    same(plain, again)
    for k in range(0, len(plain), 5):
        same(plain[k + 1 :], again.blocks(plain[k].position))
    assert (tmp_path / "cache").stat().st_mtime_ns == written


def test_the_cache_is_read_instead_of_the_files(tmp_path, monkeypatch):
    (tmp_path / "a.svm").write_text("1 2:3\n1 x\n" * 300)
    cached = open_stream(tmp_path / "a.svm", cache=tmp_path / "cache", on_bad_line="skip", block_bytes=1024)
    first = list(cached)
    told = cached.skipped, cached.reasons
    monkeypatch.setattr(cached, "_read", None)
    same(first, cached)
    assert (cached.skipped, cached.reasons) == told and told[0] == 300


def test_a_changed_file_or_setting_is_read_anew(tmp_path):
    path = tmp_path / "a.svm"
    path.write_text("1 2:3\n")
    for text, settings in (
        ("1 2:3\n", {}),
        ("1 2:4\n", {}),
        ("1 2:4\n", {"features": 9}),
        ("1 2:4\n", {"zero_based": True}),
    ):
        path.write_text(text)
        os.utime(path, ns=(0, hash(text) % 10**9))
        stream = open_stream(path, cache=tmp_path / "cache", **settings)
        expected = list(open_stream(path, **settings))
        same(expected, stream)
        same(expected, stream)


def test_a_damaged_cache_is_detected_and_rebuilt(made, tmp_path):
    plain = list(opened(made, "vw"))
    path = tmp_path / "cache"
    same(plain, opened(made, "vw", cache=path))
    whole = path.read_bytes()
    draw = random.Random(0)
    damaged = [whole[: draw.randrange(len(whole))] for _ in range(10)]
    for _ in range(40):
        at = draw.randrange(16, len(whole))
        damaged.append(whole[:at] + bytes([whole[at] ^ (1 << draw.randrange(8))]) + whole[at + 1 :])
    damaged += [b"", b"thalweg blocks 0\n" + whole[17:], whole + b"x"]
    for data in damaged:
        path.write_bytes(data)
        stream = opened(made, "vw", cache=path)
        same(plain, stream)
        same(plain, stream)
        assert path.read_bytes() == whole


def test_no_file_is_lost_to_a_cache(tmp_path):
    path = tmp_path / "a.svm"
    path.write_text("1 2:3\n")
    for cache in (path, tmp_path / "link"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(path)
        with pytest.raises(
            FileError, match="exists and is no cache; it would be lost: give another name to cache="
        ):
            open_stream(path, cache=cache)
    with pytest.raises(FileError, match="is a folder"):
        open_stream(path, cache=tmp_path)
    assert path.read_text() == "1 2:3\n"


def test_a_pass_that_is_not_finished_leaves_no_cache(made, tmp_path):
    blocks = opened(made, "svm", cache=tmp_path / "cache").blocks()
    position = next(blocks).position
    blocks.close()
    list(opened(made, "svm", cache=tmp_path / "cache").blocks(position))
    assert os.listdir(tmp_path) == []
