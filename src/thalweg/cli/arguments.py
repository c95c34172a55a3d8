"""Options that hold several values in one text: names and numbers between commas."""

from collections.abc import Sequence

from ..errors import HyperparameterError


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


def ranges(texts: Sequence[str]) -> dict[str, list[float | str]]:
    """The ends of ``lr=1e-4:1`` by name; words stay as they are. Raises HyperparameterError."""
    limits: dict[str, list[float | str]] = {}
    for text in texts:
        name, _, ends = text.partition("=")
        if not name.strip() or not ends.strip():
            raise HyperparameterError(f"--range {text}: NAME=LOW:HIGH is needed, such as lr=1e-4:1")
        limits[name.strip()] = [_number_or_word(end.strip()) for end in ends.split(":")]
    return limits


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
