"""Interactions: which products a row has, their indices, values and names."""

import math
from itertools import product

import numpy as np
import pytest

from thalweg.errors import FileError, HyperparameterError
from thalweg.reading import open_stream, scanner
from thalweg.reading.interactions import crossed_letters

from . import reference
from .reference import rows_of, same

# What ``vw --audit -b 18`` (9.11.9) says of the products of a line.
SAID = {
    ("ab", "1 |a x y:2 |b z w:3"): {80151: 1, 91061: 3, 171394: 2, 182048: 6},
    ("ba", "1 |a x y:2 |b z w:3"): {156693: 1, 138178: 2, 85983: 3, 77832: 6},
    ("ba ab", "1 |a x |b z"): {80151: 1},
    ("aa", "1 |a x y:2 y:3"): {1680: 1, 31047: 5, 253394: 19},
    ("aa", "1 |a1 x |a2 y"): {95778: 1, 228421: 1, 109088: 1},
    ("ab", "1 |b z |a x |b u"): {80151: 1, 17252: 1},
    ("ab", "1 |a:2 x:3 |b:5 y"): {167114: 30},
    ("ab", "1 |a x:0 y |b z"): {171394: 1},
    ("ab", "1 |a :2 :3 |b z"): {33849: 2, 33734: 3},
    ("::", "1 |b z |a x | d"): {140666: 1, 256385: 1, 185862: 1, 1680: 1, 80151: 1, 220050: 1},
    ("::", "1 |é x |b y"): {143940: 1},  # a letter that is printed by none is no namespace of ::
    ("a:", "1 |b z |a x | d"): {117355: 1, 1680: 1, 80151: 1},
    (":a", "1 |b z |a x | d"): {256385: 1, 1680: 1, 156693: 1},
    (":a ::", "1 |a x |b z"): {1680: 1, 80151: 1, 220050: 1},
    ("ba :b", "1 |a x |b z"): {80151: 1, 220050: 1},
    (":a a:", "1 |b z |a x"): {1680: 1, 156693: 1},
    (r"\x20a", "1 | u |a x"): {30248: 1},
    (r"\x7ea \xc3a", "1 |a x |b z |é z |~ u"): {75051: 1, 71134: 1},
}


def opened(tmp_path, text, pairs, **settings):
    path = tmp_path / "a.vw"
    path.write_text(text)
    return open_stream(path, interactions=pairs, **settings)


@pytest.mark.parametrize("case", range(len(SAID)))
def test_products_of_text_are_vowpal_wabbits(tmp_path, case):
    (pairs, line), expected = list(SAID.items())[case]
    ((_, plain),) = rows_of(opened(tmp_path, line + "\n", ()))
    ((_, row),) = rows_of(opened(tmp_path, line + "\n", pairs.split()))
    assert {k: v for k, v in row.items() if k not in plain} == expected
    assert {k: row[k] for k in plain} == plain


def test_vw_itself(tmp_path):
    """After one step of plain SGD the weights that are not 0 are those of a line's features and products."""
    vowpalwabbit = pytest.importorskip("vowpalwabbit", reason="vowpalwabbit is not installed")
    line = "1 |apple x y:2 3 |b:0.5 z w:3 |a2 u | 7 v:-1 |Cc é \n"
    for pairs in ("ab", "::", "a: ba", "aa bC", r"\x20\x20"):
        options = " ".join(f"-q {p}" for p in pairs.split())
        vw = vowpalwabbit.Workspace(f"--quiet -b 12 --noconstant --sgd --loss_function squared {options}")
        vw.learn(line)
        theirs = {k for k in range(1 << 12) if vw.get_weight(k)}
        vw.finish()
        ((_, row),) = rows_of(opened(tmp_path, line, pairs.split(), bits=12))
        assert set(row) == theirs, pairs


def test_many_products_a_line_and_resumption(tmp_path):
    """Lines whose products are more than a block's text has room for; what a block holds depends on where it begins."""
    rng = np.random.default_rng(0)
    lines, expected = [], []
    for k in range(40):
        a, b = (rng.choice(500, n, replace=False) for n in ((90, 60) if k % 7 == 3 else (3, 2)))
        lines.append(f"1 |a {' '.join(map(str, a))} |b {' '.join(map(str, b))}")
        row = {}
        seeds = [reference.vw_hash(name, 0, (1 << 64) - 1) for name in (b"a", b"b")]
        for i, j in product(a.tolist(), b.tolist()):
            index = ((seeds[0] + i) * 16777619 ^ (seeds[1] + j)) & ((1 << 18) - 1)
            row[index] = row.get(index, 0) + 1
        expected.append(row)
    stream = opened(tmp_path, "\n".join(lines), ["ab"], block_bytes=1024)
    blocks = list(stream)
    for (_, row), products in zip(rows_of(blocks), expected, strict=True):
        assert all(row[k] >= v for k, v in products.items()) and sum(row.values()) >= sum(products.values())
    for k in (1, 5, len(blocks) - 2):
        same(blocks[k + 1 :], stream.blocks(blocks[k].position))


def test_a_line_of_too_many_products_is_bad(tmp_path):
    side = " ".join(map(str, range(math.isqrt(scanner.MOST_ENTRIES) + 1)))
    text = f"1 |a x |b y\n1 |a {side} |b {side}\n-1 |a x |b y\n"
    stream = opened(tmp_path, text, ["ab"], block_bytes=1 << 16, on_bad_line="skip")
    assert [label for label, _ in rows_of(stream)] == [1, -1] and stream.skipped == 1
    assert "line 2: " in stream.reasons[0] and "products; ask for fewer --interactions" in stream.reasons[0]


def test_layouts_names_and_caches(tmp_path):
    text = "1 |a x y:2 |b z\n-1 |a y |b w\n"
    stream = opened(tmp_path, text, ["ab"], cache=tmp_path / "c")
    assert stream.layout == {"format": "vw", "bits": 18, "interactions": ["ab"]}
    names = stream.feature_names([80151, 171394, 55432, 5])
    assert names == {80151: "a^x*b^z", 171394: "a^y*b^z", 55432: "a^x", 5: "feature 5"}
    first = same(stream, open_stream(tmp_path / "a.vw", layout=stream.layout))
    same(first, stream)
    assert len(rows_of(opened(tmp_path, text, (), cache=tmp_path / "c"))[0][1]) == 3
    with pytest.raises(HyperparameterError, match="layout= already says"):
        opened(tmp_path, text, ["ab"], layout=stream.layout)
    for odd in (["abc"], [1], "ab"):
        with pytest.raises(HyperparameterError):
            open_stream(tmp_path / "a.vw", layout={"format": "vw", "bits": 18, "interactions": odd})


@pytest.mark.parametrize("pair", ["a", "abc", "", "a,b", r"\x2", "éa"])
def test_what_is_no_pair_of_letters_is_refused(tmp_path, pair):
    with pytest.raises(HyperparameterError, match=r"first letters of two namespaces, such as ab; :: is all"):
        opened(tmp_path, "1 |a x\n", [pair])


def test_products_beyond_float32_are_bad_lines(tmp_path):
    with pytest.raises(FileError, match=r"line 2: column \d+: the product of two values is beyond float32"):
        list(opened(tmp_path, "1 |a x |b y\n1 |a x:1e30 |b y:1e30\n", ["ab"]))


def test_crossed_letters_take_a_pair_once():
    for given in (["::"], ["ab", "ba"], [":a", "a:", "b:"]):
        crossed = crossed_letters(given)
        assert not np.any(np.tril(crossed, -1) & np.triu(crossed).T)


ROWS = [(2.0, 5.0, "x", "u"), (4.0, None, "y", ""), (6.0, 9.0, "x", "v"), (0.5, -1.0, "", "u")]


def table(path, rows=ROWS, change=lambda a, b: (a, b)):
    lines = []
    for k, (a, b, c, d) in enumerate(rows):
        a, b = change(a, b) if b is not None else (change(a, 0.0)[0], "")
        lines.append(f"{a},{b},{c},{d},{k}")
    path.write_text("a,b,c,d,y\n" + "\n".join(lines) + "\n")
    return path


def vw_index(name, bits=10):
    return reference.vw_hash(name.encode(), 0, (1 << bits) - 1)


@pytest.mark.parametrize("missing", ["mean", "zero"])
@pytest.mark.parametrize("scale", ["none", "deviation", "rms"])
def test_products_of_columns(tmp_path, scale, missing):
    path = table(tmp_path / "a.csv")
    pairs = ["a,b", "a,a", "c,d", "b,c", "d,b"]
    stream = open_stream(path, target="y", bits=10, interactions=pairs, scale=scale, missing=missing)
    assert stream.names == ["a", "b", "a*b", "a*a"]
    a = np.array([r[0] for r in ROWS])
    known = np.array([np.nan if r[1] is None else r[1] for r in ROWS])
    b = np.where(np.isnan(known), np.nanmean(known) if missing == "mean" else 0.0, known)
    centred, measures = scale == "deviation", scale != "none"

    def learnt(x, of):
        centre = np.nanmean(of) if centred else 0.0
        size = np.sqrt(np.nanmean((of - centre) ** 2)) if measures else 1.0
        return (x - centre) / size

    away = [np.nanmean(x) if centred else 0.0 for x in (a, known)]
    products = [(a - away[0]) * (b - away[1]), (a - away[0]) ** 2]
    of = [(a - away[0]) * (known - away[1]), products[1]]
    columns = [learnt(a, a), learnt(b, known), *(learnt(x, y) for x, y in zip(products, of, strict=True))]
    offset = stream.features - 1024
    mask = 1023
    for k, (label, row) in enumerate(rows_of(stream)):
        expected = {i: x[k] for i, x in enumerate(columns)}
        if missing == "mean" and np.isnan(known[k]):
            expected[5] = 1.0
        c, d = (f"{n}={v}" for n, v in zip("cd", ROWS[k][2:], strict=True))
        kept = {n: missing == "mean" or not n.endswith("=") for n in (c, d)}
        hashed = [(vw_index(n), 1.0) for n in (c, d) if kept[n]]
        hashed += [(vw_index(c) * 16777619 ^ vw_index(d), 1.0)] if kept[c] and kept[d] else []
        hashed += [(vw_index("b") * 16777619 ^ vw_index(c), columns[1][k])] if kept[c] else []
        hashed += [(vw_index(d) * 16777619 ^ vw_index("b"), columns[1][k])] if kept[d] else []
        for index, value in hashed:
            at = (index & mask) + offset
            expected[at] = expected.get(at, 0) + value
        assert label == k and row == pytest.approx({i: expected[i] for i in row}, rel=1e-6)
        assert all(abs(x) < 1e-12 for i, x in expected.items() if i not in row)
    names = stream.feature_names(range(stream.features))
    assert names[2] == "a*b" and "c=x*d=v" in names.values()
    assert any("b*c=y" in n for n in names.values()) and any("d=u*b" in n for n in names.values())


def test_products_are_in_the_layout_and_of_any_table(tmp_path):
    import pyarrow.csv
    import pyarrow.parquet

    path = table(tmp_path / "a.csv")
    stream = open_stream(path, target="y", bits=10, interactions="::", scale="deviation")
    pairs = stream.layout["interactions"]
    assert len(pairs) == 8 and ["a", "a"] in pairs and ["c", "c"] not in pairs
    assert len(stream.layout["scale"]["size"]) == 5
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(path), tmp_path / "a.parquet")
    again = open_stream(path, target="y", layout=stream.layout)
    assert again.features == stream.features and again.layout == stream.layout
    first = same(stream, again)
    other = open_stream(tmp_path / "a.parquet", target="y", layout=stream.layout)
    assert rows_of(other) == rows_of(first)
    columns = [f"c{k}" for k in range(20)]
    lines = [",".join(str((k * 7 + j) % 5) for j in range(21)) for k in range(40)]
    (tmp_path / "b.csv").write_text(",".join([*columns, "y"]) + "\n" + "\n".join(lines) + "\n")
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(tmp_path / "b.csv"), tmp_path / "b.parquet")
    for end in ("csv", "parquet"):  # a block's products take no more memory than it may have text
        small = open_stream(tmp_path / f"b.{end}", target="y", interactions="::", block_bytes=1 << 12)
        assert [len(b.labels) for b in small] == [4] * 10  # of 210 products, 4 bytes each
    for odd in ([["a"]], [["a", "z"]], ["ab"], [["a", "b", "c"]]):
        with pytest.raises(HyperparameterError, match="layout: "):
            open_stream(path, target="y", layout=stream.layout | {"interactions": odd})


def test_a_names_comma_and_what_names_no_pair(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"p, q",r,s,y\n' + "".join(f"{k},{k % 3},t{k % 2},{k}\n" for k in range(9)))
    assert open_stream(path, target="y", interactions="p, q,r").names == ["p, q", "r", "p, q*r"]
    for given, words in {
        "r": "'r' must name two columns that are features, such as a,b; they are p, q, r, s",
        "r,y": "must name two columns that are features",
        "s,s": "a text with itself",
    }.items():
        with pytest.raises(HyperparameterError, match=words):
            open_stream(path, target="y", interactions=given)
    svm = tmp_path / "a.svm"
    svm.write_text("1 1:1\n")
    with pytest.raises(HyperparameterError, match="SVMlight lacks"):
        open_stream(svm, interactions="a,b")
