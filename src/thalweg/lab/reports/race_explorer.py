"""The explorer in the report of a race: its page, compressed, which the report's script opens in a frame of its own."""

import gzip
from base64 import b64encode
from html import escape

from ...errors import RuleError
from ..explored import Explored


def section(explored: Explored) -> str:
    """The section with the explorer; where a rule cannot be printed for it, the reason."""
    head = '<section aria-labelledby="explore"><h2 id="explore">Explore it</h2>'
    try:
        page = explored.page()
    except RuleError as error:
        return f'{head}<p class="caption">The explorer is left out: {escape(str(error))}.</p></section>'
    packed = b64encode(gzip.compress(page.encode(), mtime=0)).decode()  # a third of the page, and text
    notes = escape(" ".join(explored.notes))
    return (
        f"{head}<p>The methods as they were tuned, from the start of the first fresh run: drag it, and change rates and"
        f" all other values. {notes}</p>"
        '<p><button type="button" class="open">Open the explorer</button></p>'
        '<noscript><p class="caption">It needs JavaScript.</p></noscript>'
        f'<script type="application/gzip" id="explorer-page">{packed}</script></section>'
    )
