"""What the columns of a raw file hold, and what becomes of cells and lines that do not fit."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thalweg.errors import FileError, HyperparameterError
from thalweg.reading import first_rows, open_stream

from .reference import rows_of, same

ROWS = 40


def written(tmp_path, text, name="a.csv"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / name


def table(head, *columns, between=","):
    """CSV text of these columns of cells, each repeated to so many rows."""
    cells = [[str(c[k % len(c)]) for k in range(ROWS)] for c in columns]
    return "\n".join([head, *(between.join(row) for row in zip(*cells, strict=True))]) + "\n"


def numbers(stream):
    """The numeric columns of all rows, dense."""
    return np.vstack([block.matrix().toarray()[:, : len(stream.names)] for block in stream])


def kinds(stream):
    told = stream.columns
    return {c["name"]: c for c in (*told["numbers"], *told["text"])}


def test_a_column_that_is_nearly_all_numbers_is_one(tmp_path):
    x = [*range(1, ROWS), "oops"]
    path = written(tmp_path, table("y,x", [1, 0], x))
    stream = open_stream(path, target="y")
    (block,) = stream
    assert stream.names == ["x"] and stream.features == 2
    assert kinds(stream)["x"] | {"note": ""} == {
        "name": "x", "kind": "number", "missing": 0, "bad": 1, "example": "oops", "note": "",
    }  # fmt: skip
    dense = block.matrix().toarray()
    assert dense[-1].tolist() == [np.mean(x[:-1]), 1] and not dense[:-1, 1].any()
    assert (
        stream.odd_cells == {"x": (1, f"{path}: row {ROWS}: 'oops' is not a number")} and not stream.skipped
    )
    with pytest.raises(FileError, match=f"row {ROWS}: column 'x': 'oops' is not a number"):
        list(open_stream(path, target="y", missing="bad"))
    (block,) = open_stream(path, target="y", missing="zero")
    assert block.features == 1 and block.matrix().toarray()[-1] == 0
    few = written(tmp_path, table("y,x", [1, 0], [*"abcdefgh", *range(ROWS - 8)]), "b.csv")
    stream = open_stream(few, target="y")
    assert stream.names == [] and kinds(stream)["x"]["values"] == ROWS


WORDS = [
    "",
    "#N/A",
    "NA",
    "n/a",
    "<NA>",
    "null",
    "-nan",
    " NA ",
    "None",
    "?",
    "missing",
    "N.A.",
    "-",
    ".",
    "*",
]


@pytest.mark.parametrize("word", WORDS)
def test_a_missing_number_is_the_mean_and_has_an_indicator(tmp_path, word):
    path = written(tmp_path, table("y,x,z", [1, 0], [word, *range(ROWS - 1)], ["a", "b"]))
    stream = open_stream(path, target="y", bits=4)
    assert stream.names == ["x"] and kinds(stream)["x"]["missing"] == 1 and not stream.odd_cells
    first, second = (dict(row) for _, row in rows_of(stream)[:2])
    assert first[0] == np.float32(np.mean(range(ROWS - 1))) and first[1] == 1
    assert 0 not in second and 1 not in second and min(second) >= 2


def test_words_that_are_missing_only_among_numbers(tmp_path):
    half = written(tmp_path, table("y,q,d", [1, 0], ["?", 1], ["-", 1]))
    stream = open_stream(half, target="y")
    assert stream.names == ["q"] and kinds(stream)["q"]["missing"] == ROWS // 2
    assert kinds(stream)["d"]["kind"] == "text"
    stream = open_stream(half, target="y", na=["-"])
    assert stream.names == ["q", "d"]
    (block,) = open_stream(half, target="y", na="-", layout=None)
    assert block.matrix().toarray()[0].tolist() == [1, 1, 1, 1]


def test_hexadecimal_numbers_are_text_and_a_head_of_numbers_is_pointed_at(tmp_path):
    path = written(tmp_path, table("y,x,2", [1, 0], [f"0x{k:x}" for k in range(ROWS)], range(ROWS)))
    stream = open_stream(path, target="y")
    assert stream.names == ["2"] and kinds(stream)["x"]["values"] == ROWS and not stream.columns["note"]
    list(stream)
    assert not stream.odd_cells
    stream = open_stream(written(tmp_path, "1,2.5\n1,2\n0,3\n"), target="1")
    assert "--no-header" in stream.columns["note"]
    with pytest.raises(FileError, match=r"two columns are named '1'; .*--no-header"):
        open_stream(written(tmp_path, "1,1\n1,2\n"), target="1")


def test_kinds_do_not_depend_on_blocks(tmp_path):
    """Bad cells beyond the first block, and in it, leave columns what they are; a pass goes on from any block."""
    cells = [f"{k}.5" for k in range(3000)]
    cells[2], cells[2500] = "bad", "worse"
    path = written(tmp_path, "y,x,t\n" + "".join(f"{k % 2},{c},t{k % 3}\n" for k, c in enumerate(cells)))
    whole = open_stream(path, target="y")
    rows = rows_of(whole)
    pieces = open_stream(path, target="y", block_bytes=1024)
    blocks = list(pieces)
    assert len(blocks) > 10 and rows_of(blocks) == rows and pieces.layout == whole.layout
    assert pieces.odd_cells == whole.odd_cells == {"x": (2, f"{path}: row 3: 'bad' is not a number")}
    same(blocks[9:], pieces.blocks(blocks[8].position))


ROW_NUMBERS = {
    "unnamed": ",y,x", "rownames": "rownames,y,x", "quoted": '"",y,x', "pandas": "Unnamed: 0,y,x", "short": "y,x",
}  # fmt: skip


@pytest.mark.parametrize("head", ROW_NUMBERS.values(), ids=ROW_NUMBERS)
@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_are_left_out(tmp_path, head, first):
    count = range(first, ROWS + first)
    stream = open_stream(written(tmp_path, table(head, count, [1, 0], [2.5, 3])), target="y")
    assert stream.names == ["x"] and [c["why"] for c in stream.columns["left_out"]] == ["row numbers"]


def test_names_of_rows_and_counters(tmp_path):
    cars = [f"car {k}" for k in range(ROWS)]
    stream = open_stream(written(tmp_path, table(",y,x", cars, [1, 0], [2.5, 3])), target="y")
    assert stream.columns["left_out"] == [{"name": "", "why": "row names"}] and stream.names == ["x"]
    stream = open_stream(
        written(tmp_path, table("day;y;x", range(ROWS), [1, 0], [2.5, 3], between=";")), target="y"
    )
    assert stream.names == ["day", "x"] and "counts the rows" in kinds(stream)["day"]["note"]
    drawn = np.random.default_rng(0).permutation(10 * ROWS)[:ROWS]
    for name in ("", "Unnamed: 0"):  # as pandas writes rows that were drawn
        stream = open_stream(written(tmp_path, table(f"{name},y,x", drawn, [1, 0], [2.5, 3])), target="y")
        assert stream.columns["left_out"] == [{"name": name, "why": "row numbers"}]
    for numbers in (drawn + 0.5, [*drawn[:-1], drawn[0]], [*drawn[:-1], ""]):
        stream = open_stream(written(tmp_path, table(",y,x", numbers, [1, 0], [2.5, 3])), target="y")
        assert stream.names == ["", "x"]
    assert open_stream(written(tmp_path, table("n,y,x", drawn, [1, 0], [2.5, 3])), target="y").names == [
        "n",
        "x",
    ]
    path = written(tmp_path, table(",y,x", [3, 1, 2], [1, 0], [2.5, 3]))
    assert open_stream(path, target="y").names == ["", "x"]
    assert open_stream(path, target="y", ignore="").names == ["x"]
    data = {"y": [1, 0] * 4, "x": range(8), "__index_level_0__": list("abcdefgh")}
    pq.write_table(pa.table(data), tmp_path / "a.parquet")
    assert open_stream(tmp_path / "a.parquet", target="y").columns["left_out"] == [
        {"name": "__index_level_0__", "why": "row names"}
    ]


@pytest.mark.parametrize(
    ("head", "given", "why"),
    [
        (",y", {}, "left out: '' (row numbers), which --numeric or --categorical keep"),
        ("x,y", {"ignore": "x"}, "leave out fewer"),
    ],
)
def test_a_table_needs_a_column_beside_its_target(tmp_path, head, given, why):
    path = written(tmp_path, table(head, range(ROWS), [1, 0, 2.5]))
    with pytest.raises(FileError) as error:
        open_stream(path, target="y", **given)
    assert str(error.value) == f"{path}: no columns are left beside the target 'y'; {why}"
    assert open_stream(path, target="y", numeric=head.partition(",")[0]).names == [head.partition(",")[0]]


def test_a_text_that_is_mostly_numbers_is_said_to_be(tmp_path):
    path = written(tmp_path, table("y,x", [1, 0], [2.5, 3, 1, 4, "unknown"]))
    (column,) = open_stream(path, target="y").columns["text"]
    assert column["note"].startswith("80% of its cells are numbers, others are such as 'unknown': a text;")
    for given in ({"numeric": "x"}, {"categorical": "x"}, {"na": "unknown"}):
        told = open_stream(path, target="y", **given).columns
        assert [c["note"] for c in (*told["numbers"], *told["text"])] == [""]
    path = written(tmp_path, table("y,x", [1, 0], [2.5, "a", "b"]))
    assert open_stream(path, target="y").columns["text"][0]["note"] == ""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_text_of_its_own_in_each_row_is_said_to_tell_nothing(tmp_path, kind):
    names = [f"name {k}" for k in range(ROWS)]
    path = written(tmp_path, table("y,name,group", [1, 0], names, ["a", "b", ""]))
    if kind == "parquet":
        data = {"y": [k % 2 for k in range(ROWS)], "name": names, "group": ["a", "b"] * (ROWS // 2)}
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table(data), path)
    told = kinds(open_stream(path, target="y"))
    assert told["name"]["note"].startswith(f"{ROWS} texts in {ROWS} cells") and not told["group"]["note"]
    assert kinds(open_stream(path, target="y", categorical="name"))["name"]["note"] == ""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_days_written_as_numbers_are_pointed_at(tmp_path, kind):
    days = [20200000 + 100 * (k % 12 + 1) + k % 28 + 1 for k in range(ROWS)]
    data = {
        "y": [k % 2 for k in range(ROWS)],
        "t": days,
        "id": [d + 40 for d in days],
        "sum": [20200101] * ROWS,
    }
    if kind == "csv":
        path = written(tmp_path, table("y,t,id,sum", *data.values()))
    else:
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table(data), path)
    told = kinds(open_stream(path, target="y"))
    assert told["t"]["note"].startswith(
        f"its numbers read as days, such as {min(days)}: written with marks, 2020-01-01"
    )
    assert not told["id"]["note"] and not told["sum"]["note"]


def test_texts_of_parquet_that_read_as_numbers_or_dates_are_pointed_at(tmp_path):
    """pandas writes what it has read without parse_dates as text: each day was a name, in silence."""
    days = [f"2020-{k % 12 + 1:02}-{k % 28 + 1:02}" for k in range(ROWS)]
    data = {
        "y": [k % 2 for k in range(ROWS)],
        "t": days,
        "x": [f"{k % 7}.5" for k in range(ROWS)],
        "c": ["a", "b"] * (ROWS // 2),
    }
    pq.write_table(pa.table(data), tmp_path / "a.parquet")
    notes = {name: c["note"] for name, c in kinds(open_stream(tmp_path / "a.parquet", target="y")).items()}
    assert notes["t"].startswith("texts in this file that read as dates") and notes["c"] == ""
    assert notes["x"].startswith("texts in this file that read as numbers")
    stream = open_stream(tmp_path / "a.parquet", target="y", categorical="x,t")
    assert not any(c["note"] for c in kinds(stream).values())


@pytest.mark.parametrize("commas", [1, 2, 4])
def test_commas_at_the_ends_of_lines_are_no_columns(tmp_path, commas):
    """As spreadsheets write them: two were "two columns are named ''", and one was a number that is missing throughout."""
    path = written(
        tmp_path, "\n".join(line + "," * commas for line in table("y,x", [1, 0], [2.5, 3]).split()) + "\n"
    )
    stream = open_stream(path, target="y")
    assert stream.names == ["x"] and not stream.columns["text"] and len(list(stream)) == 1
    left = {c["name"]: c["why"] for c in stream.columns["left_out"]}
    assert set(left.values()) == {"empty, without a name"}
    assert list(left) == ["", *(f"column{k}" for k in range(4, 3 + commas))]
    assert rows_of(open_stream(path, target="y", layout=stream.layout)) == rows_of(stream)
    filled = written(tmp_path, table("y,,", [1, 0], [2.5, 3], ["", 7]), "b.csv")
    assert open_stream(filled, target="y").names == ["", "column3"]


def test_numbers_with_a_unit_are_pointed_at(tmp_path):
    columns = [
        [f"{k % 9}.5 kg" for k in range(ROWS)],
        [f"{k % 9}µm²" for k in range(ROWS)],
        ["1st", "2nd", "3rd"],
    ]
    path = written(tmp_path, table("y,mass,area,place,code", [1, 0], *columns, ["4a", "4b", "4a"]))
    notes = {name: c["note"] for name, c in kinds(open_stream(path, target="y")).items()}
    assert notes["mass"] == "its cells are numbers and 'kg': a text; without 'kg' they would be numbers"
    assert "'µm²'" in notes["area"] and notes["place"] == notes["code"] == ""


def test_times_of_day_are_called_as_they_are_written(tmp_path):
    times = ["09:30", "23:59", "12:00"]
    stream = open_stream(written(tmp_path, table("y,x", [1, 0], times)), target="y")
    features = np.unique(np.concatenate([block.indices for block in stream]))
    assert sorted(stream.feature_names(features).values()) == [f"x={time}" for time in sorted(times)]


def test_a_missing_text_is_missing_in_a_table_without_numbers(tmp_path):
    path = written(tmp_path, table("y,t,u", [1, 0], ["a", "b"], ["c", "", "d"]))
    stream = open_stream(path, target="y")
    again = open_stream(path, target="y", layout=stream.layout)
    for first, second in zip(stream, again, strict=True):
        np.testing.assert_array_equal(first.indices, second.indices)
    strict = open_stream(path, target="y", missing="bad")
    with pytest.raises(FileError, match="row 2: column 'u': the value is missing"):
        list(open_stream(path, target="y", layout=strict.layout))


@pytest.mark.parametrize(
    ("head", "remedy"),
    [
        ("gr\u00f6\u00dfe,x".encode("latin-1"), "--encoding latin-1"),
        (b"# made by hand", "--comment '#'"),
        (b"y,x", None),
    ],
    ids=["encoding", "comment", "neither"],
)
def test_a_column_that_is_not_there_may_be_misread(tmp_path, head, remedy):
    path = written(tmp_path, head + b"\n1,2\n0,3\n")
    with pytest.raises(HyperparameterError, match="has no column 'a'") as error:
        open_stream(path, target="a")
    assert ("say " in str(error.value)) == (remedy is not None)
    assert remedy is None or remedy in str(error.value)


def test_what_is_said_of_columns_is_told_back(tmp_path):
    path = written(tmp_path, table("y,zip,x", [1, 0], [8001, 8002], ["a", "1", "2"]))
    stream = open_stream(path, target="y", categorical="zip", numeric="x")
    assert {n: c["kind"] for n, c in kinds(stream).items()} == {"x": "number", "zip": "text"}
    assert kinds(stream)["zip"]["values"] is None
    list(stream)
    assert stream.odd_cells["x"][0] == -(-ROWS // 3)


def test_names_with_commas_and_blanks_can_be_given(tmp_path):
    path = written(tmp_path, table('y,"Income, total", note ,a,b', [1, 0], [2], [3], [4], [5]))
    assert open_stream(path, target="y", ignore=["Income, total", " note "]).names == ["a", "b"]
    assert open_stream(path, target="y", ignore="a, b").names == ["Income, total", " note "]


@pytest.mark.parametrize("between", [",", ";", "|", "\t", " "])
def test_delimiters_are_looked_for(tmp_path, between):
    text = table(
        between.join(["y", "x", "z"]),
        [1, 0],
        [2.5, 3],
        ["a,b" if between != "," else "a", "c"],
        between=between,
    )
    stream = open_stream(written(tmp_path, text), target="y")
    assert stream.names == ["x"] and kinds(stream)["z"]["values"] == 2
    assert len(rows_of(stream)) == ROWS


def test_an_unclosed_quote_costs_its_line(tmp_path):
    lines = [f"{k % 2},{k}.5,word" for k in range(200)]
    lines[5] = '1,5.5,"word'
    lines[100] = '0,1.5,"two\nlines"'
    lines[150] = '0,"9,"word"'
    path = written(tmp_path, "y,x,t\n" + "\n".join(lines) + "\n")
    for size in (1 << 20, 1024):
        stream = open_stream(path, target="y", on_bad_line="skip", block_bytes=size)
        values = [dict(row).get(0) for _, row in rows_of(stream)]
        expected = [k + 0.5 for k in range(200) if k not in (5, 150)]
        expected[99] = 1.5
        assert values == expected and stream.skipped == 2
    with pytest.raises(FileError, match="row 6: a quoted field does not end"):
        list(open_stream(path, target="y"))


FORMS = {
    "thousands": (["1,234.5", "7", "12,345"], [1234.5, 7, 12345]),
    "decimal comma": (["1,5", "-0,25", "3"], [1.5, -0.25, 3]),
    "both, swapped": (["1.234,5", "7", "12.345"], [1234.5, 7, 12345]),
    "blanks": (["1 234", "7", "12\u00a0345"], [1234, 7, 12345]),
    "apostrophes": (["1'234.5", "7"], [1234.5, 7]),
    "currency": (["$1,234", "-$5", "$0.5"], [1234, -5, 0.5]),
    "behind": (["5 €", "6,5 €"], [5, 6.5]),
    "percent": (["12.5%", "3 %"], [0.125, 0.03]),
    "parentheses": (["(1.2)", "3"], [-1.2, 3]),
    "Fortran": (["1.0D+00", "2.5D-01"], [1, 0.25]),
    "truth": (["TRUE", "false"], [1, 0]),
}


@pytest.mark.parametrize("form", FORMS)
def test_numbers_in_other_forms(tmp_path, form):
    cells, expected = FORMS[form]
    stream = open_stream(written(tmp_path, table("y;x", [1, 0], cells, between=";")), target="y")
    assert stream.names == ["x"]
    assert numbers(stream)[: len(cells), 0] == pytest.approx(expected, rel=1e-6)
    # What a layout says is read in the same way, by a file whose own cells would not tell.
    one = written(tmp_path, f"x;z\n{cells[-1]};1\n", "b.csv")
    again = open_stream(one, layout=stream.layout, unlabelled=True)
    assert numbers(again)[0, 0] == pytest.approx(expected[-1], rel=1e-6)


def test_what_reads_both_ways_is_text_until_it_is_said(tmp_path):
    path = written(tmp_path, table("y;x", [1, 0], ["1,234", "5,678"], between=";"))
    stream = open_stream(path, target="y")
    assert "--thousands , or --decimal ," in kinds(stream)["x"]["note"] and stream.names == []
    assert kinds(stream)["x"]["values"] == 2
    assert numbers(open_stream(path, target="y", thousands=","))[0, 0] == 1234
    assert numbers(open_stream(path, target="y", decimal=","))[0, 0] == np.float32(1.234)
    other = written(tmp_path, table("y;x;z", [1, 0], ["1,234", "5,678"], ["0,5", "7"], between=";"))
    assert numbers(open_stream(other, target="y"))[0, 0] == np.float32(1.234)
    for wrong in ({"decimal": ";"}, {"decimal": ",", "thousands": ","}, {"thousands": "-"}):
        with pytest.raises(HyperparameterError, match=r"(decimal|thousands) (and|must)"):
            open_stream(path, target="y", **wrong)
    mixed = written(tmp_path, table("y;x", [1, 0], ["$5", "€6"], between=";"))
    assert open_stream(mixed, target="y").names == []


def test_the_same_instant_is_the_same_feature(tmp_path):
    start = datetime(2020, 3, 1, 22, 30, tzinfo=UTC)
    when = [start + timedelta(hours=7 * k) for k in range(ROWS)]
    base = {"y": [k % 2 for k in range(ROWS)]}
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "UTC", "America/New_York"):
            naive = [w.replace(tzinfo=None) if zone is None else w for w in when]
            pq.write_table(pa.table(base | {"t": pa.array(naive, pa.timestamp(unit, zone))}), tmp_path / f"{unit}{zone}.parquet".replace("/", "-"))  # fmt: skip
    texts = {
        "a": [w.strftime("%Y-%m-%d %H:%M") for w in when],
        "b": [w.strftime("%Y-%m-%dT%H:%M:%S.000000000Z") for w in when],
        "d": [w.strftime("%Y-%m-%d %H%M") + " Z" for w in when],
        "c": [(w + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00") for w in when],
    }
    for name, cells in texts.items():
        written(tmp_path, table("y,t", base["y"], cells), f"{name}.csv")
    files = sorted(tmp_path.glob("*.*"))
    assert len(files) == 16
    first = open_stream(files[0], target="y", bits=10)
    rows = rows_of(first)
    assert first.names == ["t"] and rows[0][1][0] == np.float32(start.timestamp() / 86400)
    assert len(rows[0][1]) == 5  # days; year, month, weekday, hour
    for path in files[1:]:
        stream = open_stream(path, target="y", bits=10)
        assert rows_of(stream) == rows and stream.layout["instants"] == ["t"]
        assert rows_of(open_stream(path, target="y", layout=first.layout)) == rows
    pq.write_table(pa.table({"y": [1, 0], "t": pa.array([0, 18322], pa.date32())}), tmp_path / "d.parquet")
    days = open_stream(tmp_path / "d.parquet", target="y", bits=10)
    dates = open_stream(written(tmp_path, "y,t\n1,1970-01-01\n0,2020-03-01\n", "d.csv"), target="y", bits=10)
    assert rows_of(days) == rows_of(dates) and rows_of(days)[1][1][0] == 18322
    (block,) = open_stream(
        written(tmp_path, "y,t\n1,2020-02-30\n0,\n", "e.csv"), layout=days.layout, target="y"
    )
    assert block.matrix().toarray()[:, 1].tolist() == [1, 1]  # no such day, and none: both are missing


def test_texts_of_the_target_are_classes(tmp_path):
    path = written(tmp_path, table("y,x", ["no", "yes", "NA", " yes"], [1, 2]))
    stream = open_stream(path, target="y")
    (block,) = stream
    assert stream.classes == ["no", "yes"] and block.labels.tolist() == [0, 1, 1] * (ROWS // 4)
    assert stream.skipped == ROWS // 4 and "row 3: column 'y': there is no label" in stream.reasons[0]
    (block,) = open_stream(path, target="y", classes=["yes", "no"])
    assert block.labels[:2].tolist() == [1, 0]
    with pytest.raises(FileError, match="row 2: column 'y': 'yes' is none of the classes no, maybe"):
        list(open_stream(path, target="y", classes=["no", "maybe"]))
    other = written(tmp_path, "y,x\nyes,1\nnever,1\n,1\n", "b.csv")
    (block,) = open_stream(other, layout=stream.layout, unlabelled=True)
    assert block.labels[:2].tolist() == [1, -1] and np.isnan(block.labels[2])
    with pytest.raises(FileError, match="40 different texts in 40 rows, such as 'a0', which are no classes"):
        open_stream(written(tmp_path, table("y,x", [f"a{k}" for k in range(ROWS)], [1])), target="y")


def test_lines_without_a_label_are_left_out_and_counted(tmp_path):
    stream = open_stream(written(tmp_path, "y,x\n1,2\n,3\nNA,4\n0,5\n"), target="y", on_bad_line="stop")
    assert [row[0] for _, row in rows_of(stream)] == [2, 5] and stream.skipped == 2
    pq.write_table(pa.table({"y": [1.0, None], "x": [1, 2]}), tmp_path / "a.parquet")
    stream = open_stream(tmp_path / "a.parquet", target="y")
    assert len(rows_of(stream)) == stream.skipped == 1


def test_heads_comments_and_lines_before(tmp_path):
    body = "1,2\n#1,2,3\n0,3\n"
    path = written(tmp_path, "made by\nhand\n# a remark\ny,x\n" + body)
    stream = open_stream(path, target="y", skip_lines=2, comment="#")
    assert rows_of(stream) == [(1, {0: 2}), (0, {0: 3})] and not stream.skipped
    stream = open_stream(written(tmp_path, "1,2\n0,3\n"), target="column1", header=False)
    assert rows_of(stream) == [(1, {0: 2}), (0, {0: 3})]
    wide = 3_000
    names = ",".join(f"a column of a long name {k}" for k in range(wide))
    path = written(tmp_path, f"y,{names}\n1{',7' * wide}\n")
    (block,) = open_stream(path, target="y", missing="zero")
    assert len(block.indices) == wide
    with pytest.raises(HyperparameterError, match="comment must be one character"):
        open_stream(path, target="y", comment="//")


def zipped(data, *names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, data)
    return file.getvalue()


PLAIN = table("y,x,t", [1, 0], [2.5, 3], ["é", "b"])
PACKED = {
    "bz2": bz2.compress(PLAIN.encode()),
    "xz": lzma.compress(PLAIN.encode()),
    "gzip": gzip.compress(PLAIN.encode()),
    "zstd": pa.compress(PLAIN.encode(), "zstd", asbytes=True),
    "zip": zipped(PLAIN, "a.csv"),
    "mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16-be": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "gzip of utf-16": gzip.compress(PLAIN.encode("utf-16")),
    "CR": PLAIN.replace("\n", "\r").encode(),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("packed", PACKED)
def test_packed_and_encoded_files_are_read_by_content(tmp_path, packed):
    stream = open_stream(written(tmp_path, PACKED[packed]), target="y", block_bytes=1024)
    plain = open_stream(written(tmp_path, PLAIN, "b.csv"), target="y", block_bytes=1024)
    blocks = list(stream)
    assert rows_of(blocks) == rows_of(plain)
    same(blocks[1:], stream.blocks(blocks[0].position))
    latin = open_stream(written(tmp_path, PLAIN.encode("latin-1"), "c.csv"), target="y", encoding="latin-1")
    assert rows_of(latin) == rows_of(plain)


def test_other_archives_are_refused_by_name(tmp_path):
    for data, why in (
        (zipped(PLAIN, "a.csv", "b.csv"), r"is a zip file of 2 files \(a.csv, b.csv\); one is read"),
        (zipped(PLAIN, "[Content_Types].xml", "x"), "is an Office document"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(9), "is 7-Zip data, which is not read"),
        (PACKED["bz2"][:40], "its bzip2 data is cut short or damaged"),
        (PACKED["xz"][:60], "its xz data is cut short or damaged"),
        (b"\xff\xfe" + bytes([0, 0xD8] * 9), "is not UTF-16 text"),
    ):
        with pytest.raises(FileError, match=why):
            list(open_stream(written(tmp_path, data), target="y"))
    with pytest.raises(HyperparameterError, match="encoding must be the name of one"):
        open_stream(written(tmp_path, PLAIN), target="y", encoding="latin-77")


DATES = {
    "31/12/2020": ("%d/%m/%Y", "day/month/year"),
    "12/31/2020": ("%m/%d/%Y", "month/day/year"),
    "31.12.20 23:30": ("%d.%m.%y %H:%M", "day.month.yy"),
    "12-31-2020 11:30:05 PM": ("%m-%d-%Y %I:%M:%S %p", "month-day-year"),
    "2020/12/31T23:30:05.25": ("%Y/%m/%dT%H:%M:%S.%f", "year/month/day"),
    "31-Dec-2020": ("%d-%b-%Y", "day month year"),
    "31 December 20": ("%d %B %y", "day month year"),
    "Dec 31, 2020, 23:30": ("%b %d, %Y, %H:%M", "month day, year"),
    "2020-Dec-31": ("%Y-%b-%d", "year month day"),
}


@pytest.mark.parametrize("example", DATES)
def test_dates_in_other_ways(tmp_path, example):
    way, name = DATES[example]
    start = datetime.strptime(example, way)
    when = [start - timedelta(days=17 * k, hours=k) for k in range(ROWS)]
    read = [datetime.strptime(w.strftime(way), way) for w in when]  # what is written of them
    y = [k % 2 for k in range(ROWS)]
    path = written(tmp_path, table("y;t", y, [w.strftime(way) for w in when], between=";"))
    stream = open_stream(path, target="y", bits=10)
    iso = open_stream(
        written(tmp_path, table("y,t", y, [w.isoformat() for w in read]), "iso.csv"), target="y", bits=10
    )
    assert rows_of(stream) == rows_of(iso) and stream.layout["instants"] == ["t"]
    assert kinds(stream)["t"]["note"] == f"dates, written {name}" and stream.layout["dates"] == {"t": name}
    # Another file of that layout, whose first dates read both ways, and one that is none.
    none = way
    for part, odd in {"%d": "31", "%m": "02", "%b": "Feb", "%B": "February"}.items():
        none = none.replace(part, odd)
    cells = [start.replace(day=5, month=6).strftime(way), start.strftime(none), "2020-02-03"]
    other = written(tmp_path, "t;z\n" + "".join(f"{cell};1\n" for cell in cells), "b.csv")
    again = open_stream(other, layout=stream.layout, unlabelled=True)
    days = start.replace(day=5, month=6, tzinfo=UTC).timestamp() / 86400
    assert rows_of(again)[0][1][0] == np.float32(days) and again.odd_cells["t"][0] == 2


MONTHS = {
    "1998-03": "year-month", "1998/03": "year-month", "3/1998": "month/year", "Mar-1998": "month year",
    "March 1998": "month year", "1998,  March": "year month", "1998 Mar": "year month",
}  # fmt: skip
QUARTERS = {"1998 Q{}": "year quarter", "1998q{}": "year quarter", "Q{}-1998": "quarter year"}


@pytest.mark.parametrize("example", [*MONTHS, *QUARTERS])
def test_months_and_quarters_are_their_first_days(tmp_path, example):
    """They were texts, each a feature of its own: a month that comes later had no weight, in silence."""
    if example in MONTHS:
        number, name = f"{example}", "March"
        names = [number.replace("03", f"{m:02}").replace("3/", f"{m}/") for m in range(1, 13)]
        words = [datetime(1998, m, 1).strftime("%B") for m in range(1, 13)]
        cells = [c.replace(name, w).replace(name[:3], w[:3]) for c, w in zip(names, words, strict=True)]
        days = [f"1998-{m:02}-01" for m in range(1, 13)]
    else:
        cells = [example.format(q) for q in (1, 2, 3, 4)]
        days = [f"1998-{m:02}-01" for m in (1, 4, 7, 10)]
    y = [k % 2 for k in range(ROWS)]
    stream = open_stream(written(tmp_path, table("y;t", y, cells, between=";")), target="y", bits=10)
    iso = open_stream(written(tmp_path, table("y,t", y, days), "iso.csv"), target="y", bits=10)
    way = {**MONTHS, **QUARTERS}[example]
    assert rows_of(stream) == rows_of(iso) and stream.layout["dates"] == {"t": way}
    assert kinds(stream)["t"]["note"] == f"dates, written {way}"


@pytest.mark.parametrize("written_as", ["%Y-%m-%d", "%d/%m/%Y"])
@pytest.mark.parametrize("at", [0, 7])
def test_a_column_that_is_nearly_all_dates_is_one(tmp_path, written_as, at):
    """One cell that is none made all the others texts, without a word."""
    when = [(datetime(2020, 1, 1) + timedelta(days=k)).strftime(written_as) for k in range(ROWS)]
    when[at] = "3/-9/1848"
    path = written(tmp_path, table("y,t", [1, 0], when))
    stream = open_stream(path, target="y")
    told = kinds(stream)["t"]
    assert (told["kind"], told["bad"], told["example"]) == ("instant", 1, "3/-9/1848")
    list(stream)
    assert stream.odd_cells == {"t": (1, f"{path}: row {at + 1}: '3/-9/1848' is not an instant")}
    when[at] = "-"
    dashed = open_stream(written(tmp_path, table("y,t", [1, 0], when), "dash.csv"), target="y")
    assert kinds(dashed)["t"]["kind"] == "instant" and kinds(dashed)["t"]["missing"] == 1
    list(dashed)
    assert not dashed.odd_cells
    half = [w if k % 3 else "never" for k, w in enumerate(when)]
    mixed = kinds(open_stream(written(tmp_path, table("y,t", [1, 0], half), "half.csv"), target="y"))["t"]
    assert mixed["kind"] == "text" and "others are such as 'never'" in mixed["note"]


def test_dates_that_read_both_ways_are_text_until_it_is_said(tmp_path):
    path = written(tmp_path, table("y,t", [1, 0], ["3/4/2020", "5/6/2020 10:00"]))
    stream = open_stream(path, target="y")
    assert stream.names == [] and "say it by --dates dmy or --dates mdy" in kinds(stream)["t"]["note"]
    assert kinds(stream)["t"]["values"] == 2
    for order, day in (("dmy", 18355), ("mdy", 18325)):
        told = open_stream(path, target="y", dates=order)
        assert rows_of(told)[0][1][0] == day
        assert rows_of(open_stream(path, target="y", layout=told.layout)) == rows_of(told)
    other = written(tmp_path, table("y,t,u", [1, 0], ["3/4/2020", "5/6/2020"], ["13.1.99", "1.1.01"]))
    stream = open_stream(other, target="y")
    assert stream.names == ["t", "u"] and rows_of(stream)[0][1][0] == 18355
    with pytest.raises(HyperparameterError, match="dates must be one of None, 'dmy', 'mdy', got 'ymd'"):
        open_stream(path, target="y", dates="ymd")
    with pytest.raises(HyperparameterError, match=r"layout: .*dates"):
        open_stream(other, target="y", layout=stream.layout | {"dates": {"t": "daily"}})
    mixed = written(tmp_path, table("y,t", [1, 0], ["31/1/2020", "1/31/2020"]))
    stream = open_stream(mixed, target="y")
    assert stream.names == [] and kinds(stream)["t"]["note"].startswith(
        "50% of its cells are dates written day/month/year, others are such as '1/31/2020': a text"
    )


@pytest.mark.parametrize("kind", ["csv", "vw", "svm"])
def test_text_that_is_not_utf8_is_told(tmp_path, kind):
    """How many lines, where the first is and what to do; read right, or by its encoding, nothing is told."""
    lines = {
        "csv": ["gr\u00f6\u00dfe,y", "K\u00f6ln,1", "Rom,0", "M\u00fcnchen,1"],
        "vw": ["1 |a K\u00f6ln", "0 |a Rom", "1 |a M\u00fcnchen", "1 |a K\u00f6ln"],
        "svm": ["1 1:1 # K\u00f6ln", "0 1:2", "1 1:1 # \u00e9", "1 1:1 # \u00e9"],
    }[kind]
    path, target = tmp_path / f"a.{kind}", {"target": "y"} if kind == "csv" else {}
    path.write_bytes("\n".join(lines).encode("latin-1"))
    stream = open_stream(path, **target)
    rows = list(stream)
    first = lines[0].encode("latin-1")
    at = next(k for k, byte in enumerate(first) if byte > 127) + 1
    assert stream.odd_text.startswith(f"lines that are not UTF-8: 3; {path}: byte {at}: ")
    assert "\ufffd" in stream.odd_text and stream.odd_text.endswith("give its --encoding, such as latin-1")
    for encoding, told in (("latin-1", {"encoding": "latin-1"}), ("utf-8", {})):
        path.write_bytes("\n".join(lines).encode(encoding))
        stream = open_stream(path, **target, **told)
        assert len(next(iter(stream)).labels) == len(rows[0].labels) and stream.odd_text == ""
    good = ("\n".join(lines) + "\n").encode() + (lines[-1] + "\n").encode() * 400
    path.write_bytes(good + lines[-1].encode("latin-1"))
    stream = open_stream(path, block_bytes=1 << 10, **target)
    assert len(list(stream)) > 4
    end = lines[-1].encode("latin-1")
    at = len(good) + next(k for k, byte in enumerate(end) if byte > 127) + 1
    assert stream.odd_text.startswith(f"lines that are not UTF-8: 1; {path}: byte {at}: ")


def test_lines_of_vowpal_wabbit_without_a_label_are_skipped_and_counted(tmp_path):
    path = tmp_path / "a.vw"
    path.write_text("1 |a x\n|a x\n 't1 |a y\n-1 |a z\n")
    with pytest.raises(FileError, match=r"line 2: .*there is no label"):
        list(open_stream(path))
    stream = open_stream(path, on_bad_line="skip")
    (block,) = stream
    assert block.labels.tolist() == [1, -1] and stream.skipped == 2
    assert [r.partition(": ")[2] for r in stream.reasons] == [
        "line 2: column 1: there is no label", "line 3: column 6: there is no label",
    ]  # fmt: skip
    (block,) = open_stream(path, unlabelled=True)
    assert np.isnan(block.labels).tolist() == [False, True, True, False]


def test_columns_that_are_0_in_all_of_the_first_rows_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(first_rows, "PREFIX_ROWS", 8)
    path = written(tmp_path, table("y,x,z", [k % 2 for k in range(12)], [0] * 11 + [1e6], range(12)))
    stream = open_stream(path, target="y", scale="deviation")
    assert stream.columns["note"].endswith("first 8 rows, so that nothing is known of their size: x")
    assert stream.layout["scale"]["size"][0] == 1.0
    monkeypatch.setattr(first_rows, "PREFIX_ROWS", 1000)  # of a whole file all is known
    assert open_stream(path, target="y", scale="deviation").columns["note"] == ""


ALIGNED = """  y      x   "a name"  t
  1    2.5   "b  c "   u
  0   10.0   d         v
\t
  1   -3.25  "e ""f  g"" h"  "i"\t
"""
ROWS_OF_ALIGNED = [("1", "2.5", "b  c ", "u"), ("0", "10.0", "d", "v"), ("1", "-3.25", 'e "f  g" h', "i")]


@pytest.mark.parametrize("between", ["found", "told", "CR", "CRLF", "gzip", "no header"])
def test_any_number_of_blanks_between_cells_is_one(tmp_path, between):
    text = ALIGNED * 1 if between != "no header" else ALIGNED.partition("\n")[2]
    text += "".join(f"  {k % 2}   {k * 7.5:<9} w   {'z' * (k % 5 + 1)}\n" for k in range(600))
    data = {"CR": text.replace("\n", "\r"), "CRLF": text.replace("\n", " \r\n")}.get(between, text).encode()
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(data) if between == "gzip" else data)
    names = [f"column{k}" for k in (1, 2, 3, 4)] if between == "no header" else ["y", "x", "a name", "t"]
    told = {"delimiter": "blanks"} if between == "told" else {}
    settings = {"target": names[0], "bits": 12, "header": between != "no header", **told}
    plain = tmp_path / "b.csv"
    with plain.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerows([names, *ROWS_OF_ALIGNED])
        lines.writerows((k % 2, k * 7.5, "w", "z" * (k % 5 + 1)) for k in range(600))
    expected = open_stream(plain, target=names[0], bits=12)
    stream = open_stream(path, block_bytes=1 << 10, **settings)
    blocks = list(stream)
    assert rows_of(blocks) == rows_of(expected) and stream.layout == expected.layout and stream.skipped == 0
    same(blocks[3:], stream.blocks(blocks[2].position))
    if between == "found":
        path.write_text(text + "0 1 2\n")
        with pytest.raises(FileError, match="row 604: 3 fields where the first line names 4"):
            list(open_stream(path, **settings))
