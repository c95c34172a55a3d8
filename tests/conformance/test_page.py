"""The documentation shows every law and every difference, as ``python -m tools.conformance`` writes them."""

import pytest
from tools import conformance

peers = pytest.mark.parametrize("peer", conformance.PEERS, ids=[p.stem for p in conformance.PEERS])


def test_the_pages_are_as_written() -> None:
    for path, text in conformance.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m tools.conformance"


@peers
def test_every_law_says_what_it_asserts(peer: conformance.Peer) -> None:
    """In one line, which the page shows beside its name."""
    modules = peer.modules()
    rows = conformance.laws(modules)
    assert len(rows) >= 8 and len(conformance.differences(modules)) >= 5
    assert [name for name, what in rows if not what] == []
