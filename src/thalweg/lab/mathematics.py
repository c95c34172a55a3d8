"""Mathematics in plain words: what stands between dollars is LaTeX, as MathML for pages and as Unicode for terminals."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape

_SPAN = re.compile(r"\$([^$]+)\$")
_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau upsilon phi"
_NAMES = "varepsilon Delta nabla partial infty cdot times pm le ge ll gg ne approx propto to sim ldots dots sum circ |"
_SIGNS = {
    **{name: chr(0x3B1 + k) for k, name in enumerate(_GREEK.split())},
    **dict(zip(_NAMES.split(), "εΔ∇∂∞·×±≤≥≪≫≠≈∝→~……Σ°‖", strict=True)),
    **dict.fromkeys(("left", "right", "!"), ""),
    **dict.fromkeys((",", ";", "quad"), " "),
    **{name: f"\\{name}" for name in ("frac", "sqrt")},  # until their groups are known
}
_UP = str.maketrans("0123456789+-−=()nitpkzx", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱᵗᵖᵏᶻˣ")
_DOWN = str.maketrans("0123456789+-−=()itpkxnv", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ᵢₜₚₖₓₙᵥ")


def html(text: str) -> str:
    """A text as HTML, its mathematics as MathML. ValueError names a formula that cannot be read."""
    parts = _SPAN.split(text)
    return "".join(_mathml(part, False) if k % 2 else escape(part) for k, part in enumerate(parts))


def displayed(latex: str) -> str:
    """A formula on a line of its own as MathML; ValueError."""
    return _mathml(latex, True)


def plain(text: str) -> str:
    """A text without markup, its mathematics in Unicode: x², √(v + ε), β₁."""
    return _SPAN.sub(lambda hit: _unicode(hit[1]), text)


@lru_cache(maxsize=4096)
def _mathml(latex: str, display: bool) -> str:
    from math_core import LatexError, LatexToMathML

    try:
        return LatexToMathML().convert_with_local_state(latex, displaystyle=display)
    except LatexError as error:
        raise ValueError(f"formula {latex!r}: {error}") from None


def _unicode(latex: str) -> str:
    """A formula of one line in Unicode; what has no sign stays as its name (max, ln)."""
    text = re.sub(r"\\(?:mathrm|text|operatorname|mathbf)\{([^{}]*)\}", r"\1", latex)
    text = re.sub(
        r"\\(hat|tilde|bar)\s*\{?(\w)\}?",
        lambda hit: hit[2] + {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304"}[hit[1]],
        text,
    )
    text = re.sub(r"\\([A-Za-z]+|[|,;!])", lambda hit: _SIGNS.get(hit[1], hit[1]), text)
    text = re.sub(r"([∂∇]) ", r"\1", text)
    group = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
    for _ in range(4):  # groups within groups, from the inside
        text = re.sub(rf"\\frac\s*{group}\s*{group}", lambda hit: f"{_part(hit[1])}/{_part(hit[2])}", text)
        text = re.sub(rf"\\sqrt\s*{group}", lambda hit: f"√{_part(hit[1])}", text)
    text = re.sub(rf"\^(?:{group}|(\w))", lambda hit: _raised(hit[1] or hit[2], _UP, "^"), text)
    text = re.sub(rf"_(?:{group}|(\w))", lambda hit: _raised(hit[1] or hit[2], _DOWN, "_"), text)
    return " ".join(text.replace("{", "").replace("}", "").replace("-", "−").split())


def _part(text: str) -> str:
    """A group where its braces are gone: in brackets unless it is one thing."""
    return text if re.fullmatch(r"[\w.]+[²³]?|[\w.]*\([^()]*\)", text) else f"({text})"


def _raised(text: str, signs: dict[int, int], mark: str) -> str:
    """An index or exponent in small signs, in brackets after its mark where there are none."""
    packed = text.replace(" ", "")
    small = packed.translate(signs)
    return small if all(ord(c) in signs for c in packed) else f"{mark}{_part(text)}"
