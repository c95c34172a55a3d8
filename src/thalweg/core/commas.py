"""Several names in one text."""


def between_commas(text: str) -> list[str]:
    """Names between commas; a comma within brackets belongs to its name."""
    parts, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += c
    return [n.strip() for n in parts if n.strip()]
