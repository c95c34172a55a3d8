"""CSV and Parquet: columns, hashing, missing values, what is wrong with a cell."""

import json
import random
import re
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sklearn.utils import murmurhash3_32

from thalweg.errors import FileError, HyperparameterError
from thalweg.reading import open_stream

from .reference import mutated, rows_of, same, vw

CSV = """y,age,city,w,id
1,2.5,"Par
is",1,a

0,4,Rome,2,b
1,-3e2,"say ""hi"", you",0.5,c
0,0,Oslo,1,
"""


def hashed(text, bits=18):
    return murmurhash3_32(text.encode(), 0, positive=True) & ((1 << bits) - 1)


def written(tmp_path, text, name="a.csv"):
    (tmp_path / name).write_bytes(
        text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    )
    return tmp_path / name


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_columns(tmp_path, newline):
    path = written(tmp_path, CSV.replace("\n", newline))
    stream = open_stream(path, target="y", weight="w", tag="id", bits=10, missing="bad")
    (block,) = stream
    assert stream.names == ["age"] and stream.features == block.features == 1 + 1024
    cities = [f"Par{newline}is", "Rome", 'say "hi", you', "Oslo"]
    ages = [2.5, 4, -300, 0]
    expected = [
        (y, ({0: a} if a else {}) | {1 + hashed(f"city={c}", 10): 1})
        for y, a, c in zip([1, 0, 1, 0], ages, cities, strict=True)
    ]
    assert rows_of([block]) == expected
    assert block.weights.tolist() == [1, 2, 0.5, 1] and block.tags == ["a", "b", "c", ""]
    # The same name hashed as Vowpal Wabbit does.
    assert list(vw("1 | city=Rome")[1]) == [hashed("city=Rome")]


def test_other_layouts(tmp_path):
    path = written(tmp_path, CSV)
    (block,) = open_stream(path, target="y", ignore=["city", "id"], categorical="age", missing="bad")
    assert [set(row) for _, row in rows_of([block])] == [
        {0, 1 + hashed("age=2.5")}, {0, 1 + hashed("age=4")}, {0, 1 + hashed("age=-3e2")}, {0, 1 + hashed("age=0")},
    ]  # fmt: skip
    (block,) = open_stream(path, unlabelled=True, ignore=["city", "id", "y"], missing="bad")
    assert np.isnan(block.labels).all() and block.features == 2
    path = written(tmp_path, CSV.replace(",", "\t").replace('"say ""hi""\t you"', "x"), "a.tsv.txt")
    (block,) = open_stream(path, "csv", target="y", ignore=["city", "id"], delimiter="\t", missing="bad")
    assert block.features == 2


def test_one_space_for_equal_hashes(tmp_path):
    """Two text columns in two buckets: entries of one bucket are summed, in ascending order."""
    path = written(tmp_path, "y,a,b,c\n" + "".join(f"1,p{k},q{k},r{k}\n" for k in range(50)))
    for _, row in rows_of(open_stream(path, target="y", bits=1)):
        assert sum(row.values()) == 3 and set(row) <= {0, 1}


BAD_CELLS = [
    ("1,x,Rome,1,a", "column 'age': 'x' is not a number"),
    ("1,1_0,Rome,1,a", "column 'age': '1_0' is not a number"),
    ("1,,Rome,1,a", "column 'age': the value is missing"),
    ("1,NA,Rome,1,a", "column 'age': the value is missing"),
    ("1,nan,Rome,1,a", "column 'age': the value is missing"),
    ("1,inf,Rome,1,a", "column 'age': inf is not finite"),
    ("1,1e39,Rome,1,a", "column 'age': 1e+39 is beyond float32"),
    ("1,2,,1,a", "column 'city': the value is missing"),
    ("inf,2,Rome,1,a", "column 'y': inf is not finite"),
    ("1,2,Rome,,a", "column 'w': there is no weight"),
    ("1,2,Rome,-1,a", "column 'w': weight -1.0 is negative"),
    ("1,2,Rome,1", "4 fields where the first line names 5"),
    ("1,2,Rome,1,a,b", "6 fields where the first line names 5"),
    ("1,2\r,Rome,1,a", "a carriage return stands in a field without quotes"),
    ("1\udcff", "1 fields where the first line names 5"),
    ("1,2\udcff,Rome,1,a", "column 'age': '2\ufffd' is not a number"),
    ("1", "1 fields where the first line names 5"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_CELLS)
@pytest.mark.parametrize("at", [2, 4])
def test_bad_rows_are_named(tmp_path, line, reason, at):
    lines = CSV.rstrip().split("\n")
    head, rows = lines[0], ["\n".join(lines[1:3]), *lines[4:]]
    rows.insert(at, line)
    path = written(tmp_path, "\n".join([head, *rows]))
    settings = {"target": "y", "weight": "w", "tag": "id", "numeric": "age", "missing": "bad"}
    with pytest.raises(FileError, match=re.escape(f"{path}: row {at + 1}: {reason}")):
        list(open_stream(path, **settings))
    stream = open_stream(path, on_bad_line="skip", **settings)
    (block,) = stream
    assert len(block.labels) == 4 and stream.skipped == 1 and reason in stream.reasons[0]
    assert block.tags == ["a", "b", "c", ""]
    same_rows = rows_of(open_stream(written(tmp_path, CSV, "b.csv"), **settings))
    assert rows_of([block]) == same_rows


def test_several_bad_rows_of_all_sorts(tmp_path):
    rows = [f"{k % 2},{k}.5,c{k}" for k in range(40)]
    rows[3], rows[7], rows[8], rows[20], rows[39] = "1,2", "1,x,c", "y,1,c", "1,2,3,4", "0,,c"
    path = written(tmp_path, "y,a,b\n" + "\n".join(rows))
    stream = open_stream(path, target="y", numeric="a", on_bad_line="skip", missing="bad")
    values = [row[0] for _, row in rows_of(stream)]
    assert values == [k + 0.5 for k in range(40) if k not in (3, 7, 8, 20, 39)]
    assert [int(re.search(r"row (\d+)", r)[1]) - 1 for r in stream.reasons] == [3, 7, 8, 20, 39]


def test_bad_rows_over_many_blocks(tmp_path):
    """Rows are counted by what the file holds, whatever is left out of the blocks before."""
    rows = [f"{k % 2},{k + 1}" for k in range(2000)]
    bad = [5, 130, 131, 700, 701, 702, 1500, 1999]
    for k in bad:
        rows[k] = "1" if k % 2 else "1,x"
    stream = open_stream(
        written(tmp_path, "y,a\n" + "\n".join(rows)),
        target="y",
        numeric="a",
        on_bad_line="skip",
        block_bytes=1024,
        missing="bad",
    )
    blocks = list(stream)
    assert [row[0] - 1 for _, row in rows_of(blocks)] == [k for k in range(2000) if k not in bad]
    assert [int(re.search(r"row (\d+)", r)[1]) - 1 for r in stream.reasons] == bad
    for k, block in enumerate(blocks):
        same(blocks[k + 1 :], stream.blocks(block.position))


def test_missing_values_as_zero(tmp_path):
    path = written(tmp_path, "y,a,b\n1,,x\n0,2,\n")
    assert rows_of(open_stream(path, target="y", missing="zero")) == [
        (1, {1 + hashed("b=x"): 1}),
        (0, {0: 2}),
    ]


def test_kinds_of_the_prefix_hold(tmp_path):
    text = "y,a\n" + "1,1234567\n" * 120_000
    path = written(tmp_path, text + "0,oops\n")
    with pytest.raises(FileError, match="row 120001: column 'a': 'oops' is not a number"):
        list(open_stream(path, target="y", missing="bad"))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {},
            HyperparameterError,
            r"target= \(--target\) must name the column of labels; its columns are y, age, city, w, id",
        ),
        ({"target": "yy"}, HyperparameterError, "has no column 'yy': did you mean 'y'"),
        ({"target": "y", "weight": "y"}, HyperparameterError, "column 'y' is given two roles"),
        ({"target": "y", "ignore": "cty"}, HyperparameterError, "has no column 'cty': did you mean 'city'"),
        ({"target": "y", "ignore": [3]}, HyperparameterError, "ignore must be names of columns"),
        (
            {"target": "y", "delimiter": ";;"},
            HyperparameterError,
            "delimiter must be one character, got ';;'",
        ),
        ({"target": "y", "bits": 31}, HyperparameterError, "features are too many; lower bits="),
    ],
)
def test_bad_columns(tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        open_stream(written(tmp_path, CSV), **settings)


def test_headers(tmp_path):
    for text, message in (
        ("", "its first line names no columns"),
        ("\n1,2\n", "its first line names no columns"),
        ("y,a\r,b\n1,2,3\n", "its first line is not CSV"),
        ("y,a,a\n1,2,3\n", "two columns are named 'a'"),
    ):
        with pytest.raises(FileError, match=message):
            open_stream(written(tmp_path, text), target="y")
    a = written(tmp_path, "y,a,b\n1,2,3\n", "a.csv")
    b = written(tmp_path, b"\xef\xbb\xbfb,y,a\n5,0,7\n", "b.csv")
    assert rows_of(open_stream([a, b], target="y")) == [(1, {0: 2, 1: 3}), (0, {0: 7, 1: 5})]
    for text, message in (
        ("y,a\n1,2\n", r"b\.csv: lacks column 'b'"),
        ("y,a,b,c\n1,2,3,4\n", r"b\.csv: also has column 'c'"),
    ):
        written(tmp_path, text, "b.csv")
        with pytest.raises(FileError, match=message):
            list(open_stream([a, b], target="y"))


def test_quotes_that_do_not_close(tmp_path):
    path = written(tmp_path, 'y,a\n1,2\n0,"3\n1,4\n')
    with pytest.raises(FileError, match="row 2: a quoted field does not end"):
        list(open_stream(path, target="y", numeric="a"))
    path = written(tmp_path, 'y,a,b\n1,5" pipe,2\n0,6"" pipe,3\n1,"x"y,3\n')
    assert len(rows_of(open_stream(path, target="y"))) == 3


def test_parquet_types(tmp_path):
    table = pa.table({
        "y": pa.array([True, False]), "i": pa.array([1, 2], pa.int8()), "h": pa.array([0.5, 2], pa.float16()),
        "d": pa.array([1, 2]).cast(pa.decimal128(30, 2)), "c": pa.array(["a", "b"]).dictionary_encode(),
        "s": pa.array(["a", "b"], pa.large_string()), "v": pa.array(["a", "b"], pa.string_view()),
        "z": pa.array([b"a", b"\xff"]), "t": pa.array([0, 1], pa.date32()), "n": pa.nulls(2),
    })  # fmt: skip
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    stream = open_stream(tmp_path / "a.parquet", target="y", missing="zero")
    assert stream.names == ["i", "h", "d", "t", "n"]
    text = [f"{k}={v}" for k, v in (("c", "a"), ("s", "a"), ("v", "a"), ("z", "a"))]
    text += ["t.year=1970", "t.month=1", "t.weekday=3", "t.hour=0"]
    assert rows_of(stream)[0] == (1, {0: 1, 1: 0.5, 2: 1} | {5 + hashed(x): 1 for x in text})
    assert rows_of(stream)[1][0] == 0


def test_parquet_faults(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"y": [1.0, 0.0, 1.0, 1.0], "a": [1.0, None, np.inf, 2.0], "b": ["x", "y", "z", None]})
    pa.parquet.write_table(table, path, row_group_size=2)
    with pytest.raises(FileError, match="row 2: column 'a': the value is missing"):
        list(open_stream(path, target="y", missing="bad"))
    stream = open_stream(path, target="y", on_bad_line="skip", missing="bad")
    assert len(rows_of(stream)) == 1 and stream.skipped == 3
    assert [r.split(": ", 1)[1] for r in stream.reasons] == [
        "row 2: column 'a': the value is missing", "row 3: column 'a': inf is not finite", "row 4: column 'b': the value is missing",
    ]  # fmt: skip
    with pytest.raises(FileError, match="column 'b' holds text where numbers are needed"):
        open_stream(path, target="y", weight="b")
    pa.parquet.write_table(pa.table({"y": [1], "a": [[1, 2]]}), tmp_path / "b.parquet")
    with pytest.raises(
        FileError, match=r"column 'a' is of type list<.*>, which is no feature; add it to ignore="
    ):
        open_stream(tmp_path / "b.parquet", target="y")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(FileError, match="is not a whole Parquet file"):
        open_stream(path, target="y")
    path.write_bytes(whole[:4] + bytes(80) + whole[84:])
    with pytest.raises(FileError, match=r"a\.parquet: row group 0 \(from row 1\) is damaged"):
        list(open_stream(path, target="y"))


def test_layouts(tmp_path):
    """Other files are read as those that a model was fitted on, whatever their columns look like."""
    fitted = open_stream(
        written(tmp_path, "y,a,b,c\n1,2,x,3\n"), target="y", bits=8, categorical="c", missing="bad"
    )
    layout = json.loads(json.dumps(fitted.layout))
    expected = {0: 2, 1 + hashed("b=7", 8): 1, 1 + hashed("c=3", 8): 1}
    other = written(tmp_path, "c,more,b,a\n3,1,7,2\n", "b.csv")
    pa.parquet.write_table(pa.table({"c": [3], "b": [7], "a": [2.0], "l": [[1]]}), tmp_path / "b.parquet")
    for path in (other, tmp_path / "b.parquet"):
        stream = open_stream(path, layout=layout, unlabelled=True)
        assert [row for _, row in rows_of(stream)] == [expected]
        assert stream.features == fitted.features and {**stream.layout, "format": "csv"} == layout
    with pytest.raises(FileError, match="lacks column 'a', which the rows that were learnt from have"):
        open_stream(written(tmp_path, "c,b\n3,7\n", "b.csv"), layout=layout, unlabelled=True)
    with pytest.raises(FileError, match="row 1: column 'a': 'x' is not a number"):
        list(open_stream(written(tmp_path, "c,b,a\n3,7,x\n", "b.csv"), layout=layout, unlabelled=True))
    with pytest.raises(HyperparameterError, match="drop ignore="):
        open_stream(other, layout=layout, unlabelled=True, ignore="c")
    (tmp_path / "a.svm").write_text("1 1:2\n")
    for wrong in (layout, {}, 7, {"format": "svmlight"}, {"format": "svmlight", "zero_based": 1}):
        with pytest.raises(HyperparameterError, match="layout must be the layout of a stream of svmlight"):
            open_stream(tmp_path / "a.svm", layout=wrong)
    layout = open_stream(tmp_path / "a.svm").layout
    assert layout == {"format": "svmlight", "zero_based": False}
    (tmp_path / "b.svm").write_text("1 0:2\n")
    with pytest.raises(FileError, match="index 0 in a file whose indices start at 1"):
        list(open_stream(tmp_path / "b.svm", layout=layout))
    (tmp_path / "a.vw").write_text("1 | a\n")
    assert open_stream(tmp_path / "a.vw", layout={"format": "vw", "bits": 5}).features == 32


@pytest.mark.parametrize("size", [60, pytest.param(1500, marks=pytest.mark.slow)])
def test_damaged_tables_are_one_of_our_errors_or_rows(tmp_path, size):
    draw = random.Random(size)
    path = tmp_path / "a.csv"
    seen, lines = set(), set()
    for k in range(size):
        head, text = (
            (b"", CSV.encode()) if k % 4 == 0 else (b"y,age,city,w,id\n", CSV.encode().split(b"\n", 1)[1])
        )
        path.write_bytes(head + mutated(draw, text, b'"', b'""', b",", b"\n\n", b",,"))
        for on_bad_line in ("stop", "skip"):
            try:
                stream = open_stream(
                    path,
                    target="y",
                    weight="w",
                    numeric="age",
                    on_bad_line=on_bad_line,
                    ahead=0,
                    block_bytes=1024,
                )
                seen.add(bool(rows_of(stream)))
            except (FileError, HyperparameterError) as error:
                seen.add(type(error))
                lines.add(str(error).count("\n"))
    assert {True, FileError, HyperparameterError} <= seen and lines == {0}
    table = pa.table({"y": [1.0, 0, 1] * 50, "b": ["x", "y", "z"] * 50})
    pa.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=40, write_page_checksum=True)
    whole = (tmp_path / "a.parquet").read_bytes()
    for _ in range(size):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        (tmp_path / "a.parquet").write_bytes(data)
        with suppress(FileError, HyperparameterError):
            rows_of(open_stream(tmp_path / "a.parquet", target="y", ahead=0))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_break_within_quotes_belongs_to_a_columns_name(tmp_path, end):
    path = tmp_path / "a.csv"
    for mark in ("", "\ufeff"):
        path.write_bytes(f'{mark}"y\n1","x ""2""\n\n"{end}1,2{end}0,3{end}'.encode())
        stream = open_stream(path, target="y\n1")
        assert stream.names == ['x "2"\n\n']
        assert rows_of(stream) == [(1, {0: 2}), (0, {0: 3})]
    path.write_text('y,"x\n1,2\n0,3\n')
    with pytest.raises(FileError, match="its first line is not CSV"):
        open_stream(path, target="y")
