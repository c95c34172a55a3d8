"""SVMlight and Vowpal Wabbit text: values, hashes, bad lines."""

import ctypes
import io
import mmap
import random
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_svmlight_file

from thalweg.errors import FileError
from thalweg.reading import open_stream
from thalweg.reading.layout import LARGEST
from thalweg.reading.scanner import Scanner, nearest

from . import reference
from .reference import BadLine, mutated, rows_of

FORMATS = ("svmlight", "vw")


def scan(format, text, *, base=0, limit=None, skip=True, unlabelled=False, rows=10_000, at=None):
    """A scan of a whole text whose last newline is the last byte before memory that may not be read."""
    text = text if text.endswith(b"\n") else text + b"\n"
    limit = limit or (LARGEST if format == "svmlight" else 1 << 18)
    scanner = Scanner(format, len(text), rows, base=base, limit=limit, skip=skip, unlabelled=unlabelled)
    size = -(-len(text) // mmap.PAGESIZE) * mmap.PAGESIZE
    room = mmap.mmap(-1, size + mmap.PAGESIZE)
    room[size - len(text) : size] = text
    array = np.frombuffer(room, np.uint8, size)
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(array.ctypes.data + size), ctypes.c_size_t(mmap.PAGESIZE), 0)
    return scanner.scan(array, size - len(text), size)


def found_rows(found):
    return [
        (label, dict(zip(found.indices[a:b].tolist(), found.values[a:b], strict=True)))
        for label, a, b in zip(found.labels, found.indptr, found.indptr[1:], strict=False)
    ]


def written(rng, rows, form):
    lines = []
    for _ in range(rows):
        columns = np.unique(rng.zipf(1.3, rng.integers(0, 40)) % 10**6) + 1
        values = rng.standard_normal(len(columns)) * 10.0 ** rng.integers(-8, 8)
        lines.append(
            f"{rng.integers(-1, 2)} "
            + " ".join(f"{i}:{form % x}" for i, x in zip(columns, values, strict=True))
        )
    return "\n".join(lines).encode() + b"\n"


@pytest.mark.parametrize("form", ["%.3g", "%.9g", "%.16g", "%.17g", "%f", "%.30f", "%d"])
def test_svmlight_is_what_scikit_learn_reads(form):
    text = written(np.random.default_rng(0), 300, form)
    X, y = load_svmlight_file(io.BytesIO(text), dtype=np.float32, zero_based=True)
    found = scan("svmlight", text)
    np.testing.assert_array_equal(found.labels, y)
    np.testing.assert_array_equal(found.indptr, X.indptr)
    np.testing.assert_array_equal(found.indices, X.indices)
    np.testing.assert_array_equal(found.values, X.data)


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
rows = st.lists(
    st.tuples(finite, st.dictionaries(st.integers(1, 10**6), finite, max_size=6)), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_made_files_are_what_scikit_learn_reads(made):
    text = "".join(
        f"{label!r} {' '.join(f'{i}:{v!r}' for i, v in sorted(row.items()))}\n" for label, row in made
    ).encode()
    X, y = load_svmlight_file(io.BytesIO(text), dtype=np.float32, zero_based=False)
    found = scan("svmlight", text, base=1)
    np.testing.assert_array_equal(found.labels, y)
    np.testing.assert_array_equal(found.indices, X.indices)
    assert found.values.tobytes() == X.data.tobytes()


@st.composite
def decimals(draw):
    """Numbers as text: any digits; and right at, or just beside, the middle of two float32."""
    if draw(st.booleans()):
        whole, part = draw(st.text("0123456789", max_size=30)), draw(st.text("0123456789", max_size=30))
        power = draw(
            st.sampled_from(["", "e-50", "E+7", "e-44", "e30", "e400", "e-400", "e-99999999999999999999"])
        )
        return (
            draw(st.sampled_from(["", "-", "+"]))
            + (whole or "0")
            + draw(st.sampled_from([".", ""]))
            + part
            + power
        )
    near = np.float32(draw(st.floats(0, 2.0**127, width=32)))
    middle = (float(near) + float(np.nextafter(near, np.float32(np.inf)))) / 2
    text = f"{middle:.160f}"
    return draw(st.sampled_from([text, text + "1", text.rstrip("0")[:-1], repr(middle)]))


@settings(max_examples=400, deadline=None)
@given(decimals())
@example("340282356779733661637539395458142568447.999")
@example("340282356779733661637539395458142568448")
@example("16777217")
@example("16777217.0000000000000000000000000000001")
@example(
    "7.00649232162408535461864791644958065640130970938257885878534141944895541342930300743319094181060791015624999e-46"
)
@example("0." + "0" * 400 + "1")
@example("9" * 400)
def test_numbers_are_rounded_once(text):
    found = scan("svmlight", f"1 3:{text}".encode())
    try:
        assert found.values.tobytes() == np.float32(reference.narrow(text)).tobytes() or float(text) == 0
        assert found.values[0] == reference.narrow(text)
    except BadLine:
        assert found.faulty == 1 and "beyond float32" in found.bad[0][1]
    label = scan("svmlight", text.encode())
    if np.isfinite(float(text)):
        assert label.labels.tolist() == [float(text)]
    else:
        assert label.faulty == 1 and "beyond float64" in label.bad[0][1]


def test_exact_rounding_by_hand():
    assert nearest("16777217") == (16777216.0, 16777217.0)
    assert nearest("16777217.00000000000000000000001") == (16777218.0, 16777217.0)
    assert nearest("-16777218.99999999999999999999999") == (-16777218.0, -16777219.0)
    assert nearest("340282356779733661637539395458142568447.9")[0] == np.finfo(np.float32).max
    assert nearest("340282356779733661637539395458142568448")[0] == np.inf


def test_many_numbers_for_python_in_one_line_and_in_many():
    """More hard numbers than the list holds: it grows for one line, and ends the scan between lines."""
    hard = "16777217.00000000000000000000001"
    line = "1 " + " ".join(f"{i}:{hard}" for i in range(3000))
    found = scan("svmlight", line.encode(), rows=10)
    assert found.values.tolist() == [16777218.0] * 3000
    text = ("\n".join([f"0.{'1' * 25} 5:{hard}"] * 3000)).encode() + b"\n"
    scanner = Scanner("svmlight", len(text), 3000, base=0, limit=LARGEST, skip=False, unlabelled=False)
    at, labels, values = 0, [], []
    while at < len(text):
        found = scanner.scan(np.frombuffer(text, np.uint8), at, len(text))
        assert found.lines > 0
        at = found.at
        labels += found.labels.tolist()
        values += found.values.tolist()
    assert labels == [float("0." + "1" * 25)] * 3000 and values == [16777218.0] * 3000


def test_more_digits_than_fit():
    """Leading zeros do not count; digits beyond those that fit move the power of ten."""
    line = (
        "1"
        + "0" * 25
        + "e-20 "
        + "0" * 30
        + "7:"
        + "0" * 30
        + ".25 "
        + "0" * 18
        + "12:0."
        + "0" * 30
        + "123456789e31 13:"
        + "1" * 39
    )
    assert found_rows(scan("svmlight", line.encode())) == [
        (1e5, {7: 0.25, 12: np.float32(1.23456789), 13: np.float32("1" * 39)})
    ]


def test_svmlight_forms():
    text = b"\xef\xbb\xbf1 1:2 3:4\r\n\n  \t\n# a comment\n-1\t2:.5\t7:1. # 3:4\n+0.5e1 qid:7 2:-0 # x\n2#\n3 9:1 2:5 4:3\n4 1:+3e-2"
    assert found_rows(scan("svmlight", text[3:])) == [
        (1, {1: 2, 3: 4}), (-1, {2: 0.5, 7: 1}), (5, {2: 0}), (2, {}), (3, {2: 5, 4: 3, 9: 1}), (4, {1: np.float32(0.03)}),
    ]  # fmt: skip


SVMLIGHT_FAULTS = [
    ("abc 1:2", "column 1: the label 'abc' is not a number"),
    ("nan 1:2", "column 1: nan is not finite"),
    ("1e999 1:2", "column 1: the label '1e999' is beyond float64"),
    ("1:2 3:4", "column 1: there is no label"),
    ("1,2 3:4", "column 1: the label '1,2' is not a number"),
    ("1 3", "column 3: '3' is not index:value"),
    ("1 3 :4", "column 3: '3' is not index:value"),
    ("1 :4", "column 3: ':4' is not index:value"),
    ("1 a:4", "column 3: 'a:4' is not index:value"),
    ("1 3.0:4", "column 3: '3.0:4' is not index:value"),
    ("1 2:1 -3:4", "column 7: index '-3:4' is negative"),
    (
        "1 99999999999999999999:4",
        "column 3: index '99999999999999999999:4' is too large: 2147483646 is the largest",
    ),
    ("1 3:", "column 5: the value '' is not a number"),
    ("1 3: 4", "column 5: the value '' is not a number"),
    ("1 3:1x", "column 5: the value '1x' is not a number"),
    ("1 3:1e", "column 5: the value '1e' is not a number"),
    ("1 3:1e+", "column 5: the value '1e+' is not a number"),
    ("1 3:.", "column 5: the value '.' is not a number"),
    ("1 3:1:2", "column 5: the value '1:2' is not a number"),
    ("1 3:0x10", "column 5: the value '0x10' is not a number"),
    ("1 3:1_0", "column 5: the value '1_0' is not a number"),
    ("1 3:NaN", "column 5: NaN is not finite"),
    ("1 3:-inf", "column 5: -inf is not finite"),
    ("1 3:Infinity 4:2", "column 5: Infinity is not finite"),
    ("1 3:1e39", "column 5: the value '1e39' is beyond float32"),
    ("1 3:-4e38", "column 5: the value '-4e38' is beyond float32"),
    ("1 3:1 5:2 3:4", "an index occurs twice"),
    ("1 3:1 3:4", "an index occurs twice"),
    ("1 qid:x 3:1", "column 3: 'qid:x' is not qid:number"),
    ("1 3:1 qid:2", "column 7: 'qid:2' is not index:value"),
    ("1 qid:1 qid:2 3:1", "column 9: 'qid:2' is not index:value"),
    ("1 3:1\r 4:2", "column 5: the value '1' is not a number"),
    ("1 3:1\x00 4:2", "column 5: the value '1\\x00' is not a number"),
]
VW_FAULTS = [
    ("1 2", "column 4: there is no bar (|)"),
    ("| a b", "column 1: there is no label"),
    ("1|f a", "column 2: there is no label"),
    ("x | a", "column 1: the label 'x' is not a number"),
    ("inf | a", "column 1: inf is not finite"),
    ("1 x | a", "column 3: the importance 'x' is not a number"),
    ("1 -2 | a", "column 3: the importance '-2' is negative"),
    ("1 1e39 | a", "column 3: the importance '1e39' is beyond float32"),
    ("1 1 1 | a", "column 5: '1' before the bar: label, importance and tag are all that may stand there"),
    ("1 't 1 | a", "column 6: '1' before the bar: label, importance and tag are all that may stand there"),
    ("1 |:2 a", "column 4: ':2' does not name a namespace"),
    ("1 |f:x a", "column 6: the namespace's weight 'x' is not a number"),
    ("1 |f:1e40 a", "column 6: the namespace's weight '1e40' is beyond float32"),
    ("1 | a:b", "column 7: the value 'b' is not a number"),
    ("1 | a:1:2", "column 7: the value '1:2' is not a number"),
    ("1 | a:nan", "column 7: nan is not finite"),
    ("1 |f:1e30 a:1e30", "column 13: the value '1e30' is beyond float32"),
    ("1 | a:3e38 a:3e38", "values of one feature sum beyond float32"),
    ("1 | a\r b", "column 5: 'a' is not a feature"),
]


@pytest.mark.parametrize(
    ("format", "line", "reason"),
    [("svmlight", *f) for f in SVMLIGHT_FAULTS] + [("vw", *f) for f in VW_FAULTS],
)
def test_bad_lines_are_named(tmp_path, format, line, reason):
    good = "-1 3:0.5" if format == "svmlight" else "-1 |f a:2"
    path = tmp_path / "data"
    path.write_bytes(f"{good}\n\n{line}\n{good}\n".encode())
    with pytest.raises(FileError, match=re.escape(f"{path}: line 3: ")) as caught:
        list(open_stream(path, format, zero_based=True))
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    stream = open_stream(path, format, zero_based=True, on_bad_line="skip")
    assert [label for label, _ in rows_of(stream)] == [-1, -1]
    assert stream.skipped == 1 and len(stream.reasons) == 1 and reason in stream.reasons[0]


VALID = {
    "svmlight": b"1 1:2 3:4.5e-3 # hi\r\n-1 qid:3 2:1e-45 7:16777217.00000000001\n\n0.12345678901234567 \n5 9:1 2:3 77:-.5e+3\n",
    "vw": b"1 2.0 'tag|a:2 b:3 c:.5 12 |  x y :3 :4\n-1 |f a a:2 b\r\n\n1 x| a\n3 |f \xc3\xa9 zz:1e-3|g:2 12345 a:16777217.00000000001\n",
}


@pytest.mark.parametrize("texts", [300, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("format", FORMATS)
def test_damaged_text_is_read_as_an_independent_reader_does(format, texts):
    """Every line of mutated text is a row, no row, or a bad line, exactly as the slow reader says; the
    page after the text may not be read."""
    draw = random.Random(texts)
    slow = getattr(reference, format)
    bad_seen = 0
    for _ in range(texts):
        text = mutated(draw, VALID[format])
        expected, bad = [], []
        lines = text.removesuffix(b"\n").split(b"\n")
        for k, line in enumerate(lines):
            try:
                row = slow(line.decode("latin-1"))
            except BadLine:
                bad.append(k)
            else:
                expected += [row] if row is not None else []
        found = scan(format, text)
        assert [k for k, _ in found.bad] == bad, text
        assert found.lines == len(lines) and found.faulty == len(bad)
        assert found_rows(found) == [row[:2] for row in expected], text
        if format == "vw":
            weights = np.ones(len(expected)) if found.weights is None else found.weights
            assert weights.tolist() == [row[2] for row in expected]
            tags = found.tags or [""] * len(expected)
            assert tags == [row[3].encode("latin-1").decode("utf-8", "replace") for row in expected]
        bad_seen += len(bad)
    assert bad_seen > texts / 4


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=200, deadline=None)
@given(text=st.binary(max_size=200))
def test_noise(format, text):
    found = scan(format, text)
    assert found.faulty == len(found.bad) <= found.lines == text.removesuffix(b"\n").count(b"\n") + 1
    assert len(found.labels) <= found.lines - found.faulty


def test_vw_hashes():
    """Names, numbers, namespaces and nameless features, by scikit-learn's murmur3."""
    line = "1 |user age:3 12 ünïx |7:0.5 item 4 | plain 12 " + " ".join(f"n{'x' * k}" for k in range(20))
    _, row = found_rows(scan("vw", line.encode()))[0]
    expected = reference.vw(line.encode().decode("latin-1"))[1]
    assert row == expected and len(row) == 27
    # Known from vw 9.11.9 itself: --audit of these features with -b 18.
    assert found_rows(scan("vw", b"1 |f a b"))[0][1] == {14355: 1, 146788: 1}


def test_vw_itself():
    vowpalwabbit = pytest.importorskip(
        "vowpalwabbit",
        reason="vowpalwabbit is not installed; the hashes are compared with scikit-learn's murmur3",
    )
    vw = vowpalwabbit.Workspace("--quiet -b 18 --noconstant")
    lines = [
        *VALID["vw"].decode().replace("\r", "").split("\n"),
        "-1 |f:0.5 12:1e-3 12 x:-2|12 a 3 7|g", "0.5 |ns é:2 日本 a\x01 \x02:3 9999999999999999999999 ",
        "1 |18446744073709551615 3 5", "1 |f\tx y\tz:2", "1 |a x:0 y:1e-50 z", "1 2 t| x",
    ]  # fmt: skip
    for line in filter(None, lines):
        parsed = vw.parse(line)
        expected: dict[int, np.float32] = {}
        for index, value in parsed.iter_features():
            at = index & ((1 << 18) - 1)  # vw cuts the hash of a nameless feature only when it is used
            expected[at] = np.float32(expected.get(at, 0) + np.float32(value))
        found = scan("vw", line.encode())
        ((label, row),) = found_rows(found)
        assert label == parsed.get_simplelabel_label()
        assert row == pytest.approx(expected, rel=1e-6)  # vw rounds a long number more than once
        assert (found.tags or [""]) == [parsed.get_tag()]
        assert found.weights is None or found.weights[0] == parsed.get_simplelabel_weight()
        vw.finish_example(parsed)
    vw.finish()


@pytest.mark.parametrize("n", [2, 15, 16, 17, 33, 257, 1000])
def test_long_unsorted_rows_are_sorted_and_summed_in_their_order(n):
    draw = random.Random(n)
    names = [draw.randrange(n) for _ in range(n)]
    values = [draw.uniform(-1, 1) for _ in range(n)]
    line = "1 | " + " ".join(f"{a}:{v!r}" for a, v in zip(names, values, strict=True))
    assert found_rows(scan("vw", line.encode())) == [reference.vw(line)[:2]]


@pytest.mark.parametrize(
    ("first", "later", "given", "expected"),
    [
        ("1 1:5", "1 2:5", "auto", [{0: 5}, {1: 5}]),
        ("1 0:5", "1 2:5", "auto", [{0: 5}, {2: 5}]),
        ("1 1:5", "1 2:5", True, [{1: 5}, {2: 5}]),
        ("1", "1 2:5", "auto", [{}, {1: 5}]),
        ("1 1:5", "1 0:5", False, None),
    ],
)
def test_where_indices_begin(tmp_path, first, later, given, expected):
    (tmp_path / "a").write_text(first + "\n")
    (tmp_path / "b").write_text(later + "\n")
    stream = open_stream([tmp_path / "a", tmp_path / "b"], "svmlight", zero_based=given)
    if expected is None:
        with pytest.raises(
            FileError, match="b: line 1: column 3: index 0 in a file whose indices start at 1"
        ):
            list(stream)
    else:
        assert [row for _, row in rows_of(stream)] == expected


def test_declared_features_and_unlabelled(tmp_path):
    path = tmp_path / "a.svm"
    path.write_text("1 3:1\n2 5:1\n")
    with pytest.raises(FileError, match="line 2: column 3: index '5:1' is too large: 4 is the largest"):
        list(open_stream(path, features=4))
    assert [b.features for b in open_stream(path, features=9)] == [9]
    path.write_text("3:1\n2 5:1\n")
    (block,) = open_stream(path, unlabelled=True)
    np.testing.assert_array_equal(block.labels, [np.nan, 2])
    path.write_text("| a\n2 | b\n")
    (block,) = open_stream(path, "vw", unlabelled=True)
    np.testing.assert_array_equal(block.labels, [np.nan, 2])


def test_a_colon_without_a_value_is_1_as_in_vowpal_wabbit(tmp_path):
    (tmp_path / "a.vw").write_text("1 |n:2 a: b:3 c:|m d:\n1 |n:2 a b:3 c|m d\n")
    (first, second) = rows_of(open_stream(tmp_path / "a.vw"))
    assert first == second and sorted(first[1].values()) == [1, 2, 2, 6]
