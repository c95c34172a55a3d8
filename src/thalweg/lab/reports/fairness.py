"""What a race's or study's page says of the comparison itself: which method contains which, and which rules were kept."""

from collections.abc import Mapping, Sequence
from html import escape

from ..audit import broken
from ..formatting import listing
from ..race_result import Contained, Finding
from .page import table

_SEEN = {"worse": "worse, so under-tuned", "tie": "not told apart", "better": "better", "": "no verdict"}


def sections(audit: Mapping[str, Sequence[Contained]], lint: Sequence[Finding]) -> str:
    """Two sections of a page. audit: by problem; where there is one, it is not named."""
    return (
        f"<section><h2>What contains what</h2>{_contained(audit)}</section>"
        f"<section><h2>Was the comparison fair?</h2>{_rules(lint)}</section>"
    )


def _contained(audit: Mapping[str, Sequence[Contained]]) -> str:
    """Pairs of methods of which one contains the other: those that contradict it, then the others."""
    pairs: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for problem, found in audit.items():
        for c in found:
            by_verdict = pairs.setdefault((c["outer"], c["inner"], c["how"]), {})
            by_verdict.setdefault(c["verdict"], []).append(problem)
    if not pairs:
        return "<p>No method contains another.</p>"

    def seen(said: Mapping[str, Sequence[str]]) -> str:
        return "; ".join(
            _SEEN[v] if len(audit) == 1 else f"{_SEEN[v]} on {escape(listing(on))}" for v, on in said.items()
        )

    rows = "".join(
        f'<tr><th scope="row" class="name">{escape(outer)} ⊇ {escape(inner)}</th>'
        f'<td class="where">{escape(how)}</td><td class="where">{seen(said)}</td></tr>'
        for (outer, inner, how), said in sorted(pairs.items(), key=lambda item: "worse" not in item[1])
    )
    return (
        "<p>A method contains another where settings of it take the other's steps. Tuned over all its lines it cannot then be worse: "
        "where it is, it was tuned too little, and the two are not ranked.</p>"
        + table(
            '<th scope="col" class="name">contains</th><th scope="col" class="where">at</th><th scope="col" class="where">seen</th>',
            rows,
            "Which method contains which",
        )
    )


def _rules(lint: Sequence[Finding]) -> str:
    """Each rule of a fair comparison: those that were broken, the others below."""
    bad = broken(lint)

    def items(verdict: str) -> str:
        return "".join(
            f"<li><b>{escape(f['rule'])}</b>: {escape(f['text'])}</li>"
            for f in lint
            if f["verdict"] == verdict
        )

    head = (
        f"<p>Not kept, {len(bad)} of {len(lint)}:</p><ul>{items('broken')}</ul>"
        if bad
        else "<p>All kept.</p>"
    )
    return (
        f"{head}<details><summary>Kept</summary><ul>{items('kept')}</ul></details>"
        f"<details><summary>Not applicable</summary><ul>{items('not applicable')}</ul></details>"
    )
