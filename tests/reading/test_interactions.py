"""Interactions: which products a row has, their indices, values and names."""

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


def test_many_products_a_line_and_resumption(tmp_path, monkeypatch):
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
    monkeypatch.setattr(scanner, "MOST_ENTRIES", 4000)
    scanner._kernel.cache_clear()
    few = opened(tmp_path, "\n".join(lines), ["ab"], block_bytes=1024, on_bad_line="skip")
    kept = rows_of(few)
    scanner._kernel.cache_clear()
    assert len(kept) == 34 and few.skipped == 6 and "products; ask for fewer --interactions" in few.reasons[0]


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
