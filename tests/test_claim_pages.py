"""What the documentation shows of the claims: stored, of this code, and in words and mathematics that can be set."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tools import claims as tool

from thalweg.lab import mathematics
from thalweg.lab.claims import Claim, Findings, Result, catalogue
from thalweg.lab.pictures.panels import Bars, Chart, Curve, Heat, Map, Picture
from thalweg.lab.pictures.panels import Path as Run
from thalweg.lab.pictures.values import picture, values
from thalweg.lab.references import REFERENCES, named
from thalweg.lab.reports.claims import html

STORED = tool.stored()


def test_no_claim_is_stale() -> None:
    assert tool.stale(STORED) == [], "run: python -m tools.claims, and commit docs/claims/claims.json"


def test_what_is_stored_stays_small() -> None:
    assert list(STORED) == list(catalogue())
    assert tool.STORED.stat().st_size < 1.5e6


def test_a_result_comes_back_as_it_was_stored() -> None:
    for name, record in list(STORED.items())[::8]:
        result = Result.restored({"id": name, **record})
        again = json.loads(json.dumps(tool.record(result)))
        assert again == record, name


def test_code_counts_and_comments_do_not(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text('"""Says."""\n\n\ndef f(x):  # why\n    "And says β."\n    return x + 1\n')
    same = tmp_path / "two.py"
    same.write_text(
        '"""Otherwise."""\n# a comment\ndef f(x):\n    """More\n    words."""\n    return x  +  1\n'
    )
    other = tmp_path / "three.py"
    other.write_text("def f(x):\n    return x + 2\n")
    assert tool.code(file) == tool.code(same) == "deff(x):returnx+1"
    assert tool.code(other) != tool.code(file)


def test_a_rule_that_changes_makes_its_claims_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "thalweg"
    for room in tool.ROOMS:
        source = tool.PACKAGE / room
        copy = shutil.copytree if source.is_dir() else shutil.copy
        (package / room).parent.mkdir(parents=True, exist_ok=True)
        copy(source, package / room)
    rule = package / "rules" / "adadelta.py"
    rule.write_text(rule.read_text() + "\nCHANGED = 1\n")
    monkeypatch.setattr(tool, "PACKAGE", package)
    for known in (tool._uses, tool._named):
        known.cache_clear()
    try:
        stale = tool.stale(STORED)
    finally:
        for known in (tool._uses, tool._named):
            known.cache_clear()
    assert {"adadelta-path", "adadelta-settles", "eps-is-a-rate"} <= set(stale)
    assert not {"leaky-average", "darve-rate", "adam-both"} & set(stale)


def test_every_kind_of_panel_comes_back() -> None:
    x = np.geomspace(1, 1e6, 20_000)
    wave = np.sin(x / 1e3)
    wave[7] = np.nan
    square = np.arange(12.0).reshape(3, 4)
    shown = Picture(
        [
            Chart("c", "x", "y", [Curve(x, wave, "a", "Adam", 1, died=True)], "x", [(1.0, "one")], y_range=(0.0, 2.0)),
            Map("m", "x", "y", (np.arange(4.0), np.arange(3.0), square), [Run(square[:, :2], "p")], [(0.0, 1.0, "start")]),
            Heat("h", "x", "y", np.arange(4.0), np.arange(3.0), np.where(square > 9, np.inf, square), "v"),
            Bars("b", "x", ["one", "two"], [1.0, float("inf")], log=True),
        ],
        "four panels",
        ("Adam",),
    )  # fmt: skip
    stored = values(shown)
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    back = picture(stored)
    assert values(back) == stored
    curve = back.panels[0].curves[0]  # type: ignore[union-attr]
    assert len(curve.x) < 2000
    assert (curve.label, curve.method, curve.variant, curve.died) == ("a", "Adam", 1, True)
    assert np.nanmax(curve.y) == pytest.approx(1, abs=1e-4)
    assert np.isnan(curve.y).sum() == 1
    assert np.array_equal(back.panels[1].grid[2], square)  # type: ignore[union-attr]
    assert np.isnan(back.panels[2].values).sum() == 2  # type: ignore[union-attr]


def texts(claim: Claim) -> Iterator[str]:
    """Every sentence of a claim: its own, and what its experiment said."""
    yield from (claim.title, claim.source, claim.measured, claim.refuted)
    yield from (reference.full for reference in claim.references)
    record = STORED[claim.id]
    yield from (record["reading"], *record["numbers"])
    yield from (text for text, _ in (*record["checks"], *record["limits"]))


# Outside mathematics, where a number may be 10⁻⁶.
NUMBER = re.compile(r"10[⁻⁰¹²³⁴-⁹]+")
RAW = re.compile(r"[\^√⁻⁰¹²³⁴-⁹]|\*\*|\bsqrt\b|\d[eE][-+]?\d|<=|>=|(?<![-\w])(eps|beta)(?![-\w])")


@pytest.mark.parametrize("name", catalogue())
def test_mathematics_stands_between_dollars(name: str) -> None:
    claim = catalogue()[name]
    assert mathematics.displayed(claim.formula).startswith("<math")
    for text in texts(claim):
        outside = mathematics.html(text) and re.sub(r"\$[^$]+\$", "", text)
        assert "$" not in outside, text
        assert not RAW.search(NUMBER.sub("", outside)), text
        assert "\\" not in mathematics.plain(text), text


def test_words_in_pictures_are_no_programs() -> None:
    for name, record in STORED.items():
        words = re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(record["drawing"], ensure_ascii=False))
        assert not [w for w in words if re.search(r"\^|\*\*|\bsqrt\b|\$|\de[-+]\d", w)], name


@pytest.mark.parametrize("name", catalogue())
def test_a_claim_cites_in_full(name: str) -> None:
    claim = catalogue()[name]
    assert claim.references
    assert all(len(r.full) > 60 for r in claim.references)


def test_an_unknown_citation_is_refused() -> None:
    assert named("after [@wilson]") == "after Wilson et al. (2017)"
    assert all(r.link.startswith("https://") for r in REFERENCES.values() if r.link)
    with pytest.raises(KeyError):
        named("[@nobody]")


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"\frac{1}{\sqrt{v} + \varepsilon}", "1/(√v + ε)"),
        (r"\beta_1^{t-1}", "β₁ᵗ⁻¹"),
        (r"10^{-3} \le \hat{m} / \lambda_{\max}", "10⁻³ ≤ m̂ / λ_max"),
        (r"\varepsilon^{-1/3}", "ε^(−1/3)"),
        (r"\|x\|_2 \to 0", "‖x‖₂ → 0"),
    ],
)
def test_mathematics_in_a_terminal(latex: str, plain: str) -> None:
    assert mathematics.plain(f"so ${latex}$, & on") == f"so {plain}, & on"


def test_a_formula_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match=r"formula '\\\\nosuch\{x\}'"):
        mathematics.html(r"a $\nosuch{x}$")


def test_the_report_folds_and_is_searched() -> None:
    results = [Result.restored({"id": n, **STORED[n]}) for n in ("leaky-average", "inclusion")]
    results[1].evidence.picture = None  # one is enough to be drawn
    page = html(Findings(results, True), {})
    assert page.count("<details><summary>The evidence: ") == 2
    assert 'type="search"' in page
    assert page.index("<figure") < page.index("<details")
    assert "$" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.S)
