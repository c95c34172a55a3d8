"""The fit whose report the documentation shows is one that this version still makes."""

import json
import re
from pathlib import Path

import pytest

from thalweg.fitting import fit

DOCS = Path(__file__).parents[2] / "docs"
RUN_AGAIN = (
    "thalweg fit reviews.vw --model reviews.tw --passes 2 --json docs/fit.json, on the data of docs/fit.md"
)


@pytest.mark.slow
def test_the_stored_fit_is_this_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but times and memory: the same words, and numbers to within rounding."""
    monkeypatch.chdir(tmp_path)
    written = re.search(r"```python\n(.*?)```", (DOCS / "fit.md").read_text(encoding="utf-8"), re.DOTALL)
    assert written is not None
    exec(written[1], {})  # the page's own data
    now = json.loads(json.dumps(fit("reviews.vw", "reviews.tw", passes=2).plain()))
    stored = json.loads((DOCS / "fit.json").read_text(encoding="utf-8"))
    assert now.keys() == stored.keys(), RUN_AGAIN
    for name in now.keys() - {"seconds", "rows_per_second", "peak_memory"}:
        alike(now[name], stored[name], name)


def alike(now: object, stored: object, where: str) -> None:
    """The same lists and words; numbers to 1e-6."""
    if isinstance(now, dict) and isinstance(stored, dict):
        assert now.keys() == stored.keys(), f"{where}: {RUN_AGAIN}"
        for name in now:
            alike(now[name], stored[name], f"{where}.{name}")
    elif isinstance(now, list) and isinstance(stored, list):
        assert len(now) == len(stored), f"{where}: {RUN_AGAIN}"
        for k, pair in enumerate(zip(now, stored, strict=True)):
            alike(*pair, f"{where}[{k}]")
    else:
        same = pytest.approx(stored, rel=1e-6) if isinstance(stored, float) else stored
        assert now == same, f"{where}: {RUN_AGAIN}"
