"""The first rows of a table: parsed once, to learn what the columns hold and for the first pass over them."""

import os

import numpy as np
import pyarrow.csv
import pytest

from thalweg.reading import csv, open_stream

# By the place of a row: a whole number, a number, one with gaps, a text, a text that begins as numbers, in quotes.
ROW = '{k},{x!r},{gap},w{word},{late},"q,{word}"\n'


def table(rows=500, odd=""):
    x = np.random.default_rng(0).standard_normal(rows).tolist()
    lines = [
        ROW.format(k=k, x=x[k], gap="NA" if k % 7 == 3 else k % 5, word=k % 3, late=k if k < 300 else f"n{k}")
        for k in range(rows)
    ]
    lines[400:400] = [odd] if odd else []
    return "n,x,gap,word,late,quoted\n" + "".join(lines)


def same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert (a.row, a.position, a.features) == (b.row, b.position, b.features)
        for n in ("labels", "indptr", "indices", "values"):
            np.testing.assert_array_equal(getattr(a, n), getattr(b, n), err_msg=n)


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(csv, "_PIECE", 1 << 11)


@pytest.mark.parametrize("size", [1 << 10, 1 << 12, 1 << 20])
@pytest.mark.parametrize("odd", ["", "1,2\n", '5,"0.5,1,a,b,c\n'])
def test_rows_that_were_parsed_before_are_as_the_file_has_them(tmp_path, small_pieces, size, odd):
    (tmp_path / "a.csv").write_text(table(odd=odd))
    stream = open_stream(
        tmp_path / "a.csv", target="x", bits=8, scale="deviation", block_bytes=size, on_bad_line="skip"
    )
    first = list(stream)
    assert stream.skipped == bool(odd) and sum(len(b.labels) for b in first) == 500
    same(first, list(stream))  # of which the file is read
    half = len(first) // 2
    again = open_stream(
        tmp_path / "a.csv", target="x", bits=8, scale="deviation", block_bytes=size, on_bad_line="skip"
    )
    same(first[half + 1 :], list(again.blocks(first[half].position)))


def test_they_are_parsed_once(tmp_path, small_pieces, monkeypatch):
    text = table().replace(",n4", ",4").replace(",n3", ",3")
    (tmp_path / "a.csv").write_text(text)
    parsed = []
    read = pyarrow.csv.read_csv
    monkeypatch.setattr(
        pyarrow.csv, "read_csv", lambda file, *a: parsed.append(file.size()) or read(file, *a)
    )
    stream = open_stream(tmp_path / "a.csv", target="x", scale="deviation")
    assert sum(len(b.labels) for b in stream) == 500
    assert sum(parsed) - (len(text) - text.index("\n") - 1) in (0, 1)  # a blank line at the end


def test_of_a_file_that_has_changed_nothing_is_known(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,y\n" + "1,2\n" * 50)
    stream = open_stream(path, target="y")
    path.write_text("a,y\n" + "3,2\n" * 50)
    os.utime(path, ns=(1, 1))
    (block,) = stream
    assert set(block.values) == {3.0}
