"""Options that hold several values in one text: names and numbers between commas."""

from ..errors import HyperparameterError


def names(text: str) -> list[str]:
    """Names between commas; a comma within brackets belongs to its name."""
    parts, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += c
    return [n.strip() for n in parts if n.strip()]


def numbers(option: str, text: str, count: int | None = None) -> list[float]:
    """Numbers between commas, so many of them where a count is given. Raises HyperparameterError."""
    try:
        values = [float(x) for x in text.split(",")]
    except ValueError:
        values = []
    if not values or (count is not None and len(values) != count):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise HyperparameterError(f"--{option} {text}: {wanted} separated by commas are needed")
    return values


def one_or_more(option: str, text: str) -> float | list[float]:
    """One number, or several between commas. Raises HyperparameterError."""
    values = numbers(option, text)
    return values[0] if len(values) == 1 else values
