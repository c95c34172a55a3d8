"""Numeric columns of tables, standardised by the first rows before they are narrowed."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from thalweg.errors import HyperparameterError
from thalweg.reading import first_rows, open_stream


def table(rows=300, constant=0.0, factor=1.0):
    x = np.random.default_rng(0).standard_normal((rows, 3)) * factor + constant
    return x, "y,a,b,c,t\n" + "".join(
        f"{k},{a!r},{b!r},{c!r},w{k % 3}\n" for k, (a, b, c) in enumerate(x.tolist())
    )


def values(stream):
    return np.concatenate([block.matrix().toarray()[:, :3] for block in stream])


@pytest.mark.parametrize(("constant", "factor"), [(0, 1), (1e6, 1), (1e12, 1e6), (-3e-4, 1e-6)])
def test_standardised_before_narrowed(tmp_path, constant, factor):
    x, text = table(constant=constant, factor=factor)
    path = tmp_path / "a.csv"
    path.write_text(text)
    stream = open_stream(path, target="y", bits=4, scale="deviation")
    expected = (x - x.mean(0)) / x.std(0)
    np.testing.assert_allclose(values(stream), expected, atol=1e-6)
    # The layout makes other files' numbers the same, as JSON has it too; without one they are as they are.
    layout = json.loads(json.dumps(stream.layout))
    np.testing.assert_array_equal(values(open_stream(path, target="y", layout=layout)), values(stream))
    raw = open_stream(path, target="y", bits=4)
    assert "scale" not in raw.layout
    np.testing.assert_array_equal(values(raw), x.astype(np.float32))
    by_size = open_stream(path, target="y", bits=4, scale="rms")
    np.testing.assert_allclose(values(by_size), x / np.sqrt((x**2).mean(0)), rtol=1e-6)


def test_the_map_is_that_of_the_first_rows_whatever_the_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(first_rows, "PREFIX_ROWS", 100)
    x, text = table()
    lines = text.splitlines(keepends=True)
    lines[50] = "50,bad\n"  # is passed over, and spoken of by the pass that learns
    first = np.delete(x[:100], 49, axis=0)
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    paths[0].write_text("".join(lines[:80]))
    paths[1].write_text("".join(lines[:1] + lines[80:]))
    maps = []
    for size in (1 << 10, 1 << 13, 1 << 20):
        stream = open_stream(paths, target="y", scale="deviation", block_bytes=size, on_bad_line="skip")
        maps.append(stream.layout["scale"])
        assert len(values(stream)) == 299 and stream.skipped == 1
    assert maps[0] == maps[1] == maps[2]
    np.testing.assert_allclose(maps[0]["centre"], first.mean(0), rtol=1e-12)
    np.testing.assert_allclose(maps[0]["size"], first.std(0), rtol=1e-12)
    monkeypatch.setattr(first_rows, "PREFIX_BYTES", 40 * 70)  # a row of text takes some 66 bytes
    (centre, *_) = open_stream(paths[1], target="y", scale="deviation").layout["scale"]["centre"]
    assert any(centre == pytest.approx(x[79 : 79 + n, 0].mean(), rel=1e-9) for n in range(30, 60))


def test_parquet_and_pipes_give_the_same_map(tmp_path):
    x, text = table()
    (tmp_path / "a.csv").write_text(text)
    whole = open_stream(tmp_path / "a.csv", target="y", scale="deviation")
    columns = {n: x[:, k] for k, n in enumerate("abc")} | {"t": [f"w{k % 3}" for k in range(300)]}
    pyarrow.parquet.write_table(pa.table({"y": np.arange(300)} | columns), tmp_path / "a.parquet")
    assert (
        open_stream(tmp_path / "a.parquet", target="y", scale="deviation").layout["scale"]
        == whole.layout["scale"]
    )
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(text))
    writer.start()
    piped = open_stream(tmp_path / "pipe", format="csv", target="y", scale="deviation")
    np.testing.assert_array_equal(values(piped), values(whole))
    writer.join()


def test_a_cache_of_another_map_is_not_read(tmp_path):
    _, text = table()
    (tmp_path / "a.csv").write_text(text)
    seen = []
    for scale in ("none", "deviation", "rms", "none"):
        stream = open_stream(tmp_path / "a.csv", target="y", scale=scale, cache=tmp_path / "cache")
        seen += [values(stream), values(stream)]
    for k in (0, 2, 4, 6):
        np.testing.assert_array_equal(seen[k], seen[k + 1])
    np.testing.assert_array_equal(seen[0], seen[6])
    assert np.abs(seen[0] - seen[2]).max() > 0.01 < np.abs(seen[2] - seen[4]).max()


@pytest.mark.parametrize(
    "scale",
    [3, {}, {"centre": [0.0]}, {"centre": [0.0], "size": [0.0]}, {"centre": [0.0], "size": [1.0, 1.0]},
     {"centre": [float("nan")], "size": [1.0]}, {"centre": [0.0], "size": [True]}, {"centre": [0.0], "size": ["1"]}],
    ids=str,
)  # fmt: skip
def test_a_crafted_map_is_refused(tmp_path, scale):
    (tmp_path / "a.csv").write_text("y,a\n1,2\n")
    layout = {"format": "csv", "numeric": ["a"], "text": [], "bits": 18, "scale": scale}
    with pytest.raises(HyperparameterError, match="scale must hold centre and size"):
        open_stream(tmp_path / "a.csv", target="y", layout=layout)


@pytest.mark.parametrize(("ones", "sorted_"), [(1, False), (2, False), (60, True)])
def test_a_flag_that_is_set_in_the_last_row_is_no_order(tmp_path: Path, ones: int, sorted_: bool) -> None:
    """Of a thousand columns of fingerprints some are 1 in the last row alone: by chance."""
    lines = [f"{k * 7919 % 120},{int(k >= 120 - ones)}" for k in range(120)]
    (tmp_path / "a.csv").write_text("y,flag\n" + "\n".join(lines) + "\n")
    stream = open_stream(tmp_path / "a.csv", target="y", scale="deviation")
    assert stream.ordered == (("flag",) if sorted_ else ())


@pytest.mark.parametrize("word", ["-999", "-9999.0", "99999", "999.9"])
@pytest.mark.parametrize("column", ["x", "y"])
def test_a_number_that_may_stand_for_a_missing_one_is_pointed_at(
    tmp_path: Path, word: str, column: str
) -> None:
    """One row in ten had -999: the model was no better than a constant, since the features tell little, it was said."""
    rng = np.random.default_rng(0)
    cells = {n: rng.normal(20, 5, 200).round(2).astype(str) for n in "xy"}
    cells[column][::10] = word
    cells["z"] = np.where(np.arange(200) % 5, "0", "99")  # as far as the others, but no rarer: a measure
    (tmp_path / "a.csv").write_text(
        "x,y,z\n" + "\n".join(map(",".join, zip(*cells.values(), strict=True))) + "\n"
    )
    note = open_stream(tmp_path / "a.csv", target="y", scale="deviation").columns["note"]
    assert (
        f"column {column!r}: {float(word):g} stands in 20 of 200 cells" in note
        and note.count("stands in") == 1
    )
    again = open_stream(tmp_path / "a.csv", target="y", scale="deviation", na=word)
    assert again.columns["note"] == ""
