"""Numbers and lists in words, shared by reports, pictures and the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, digits: int = 3) -> str:
    """A number to a few significant digits: 0.103, 41.2, 1,230, 2.5×10⁻⁹; a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -4 <= power <= 5:
        return f"{float(f'{value:.{digits - 1}e}'):,.{max(0, digits - 1 - power)}f}"
    return f"{mantissa}×10{str(power).translate(_SUPERSCRIPT)}"


def plain(value: float | None, digits: int = 3) -> str:
    """A number to at most so many significant digits, without trailing zeros: 0.5, 33,900, 10⁻⁵, −3, ∞."""
    if value is not None and math.isinf(value):
        return "∞" if value > 0 else "−∞"
    mantissa, sign, power = number(value, digits).partition("×10")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    text = f"10{power}" if sign and mantissa == "1" else f"{mantissa}{sign}{power}"
    return text.replace("-", "−")


def steps(value: float) -> str:
    """A number of steps, of which a median may end in a half: 16, 16.5, 1,200."""
    return f"{value:,.1f}".removesuffix(".0")


def tick(value: float) -> str:
    """An axis label without trailing zeros: 0.2, 5, 10⁻⁶, 2×10⁷."""
    mantissa, exponent = f"{value:.5e}".split("e")
    power, mantissa = int(exponent), mantissa.rstrip("0").rstrip(".")
    if value == 0 or -3 <= power <= 3:
        return f"{value:.10g}"
    return ("" if mantissa == "1" else f"{mantissa}×") + f"10{str(power).translate(_SUPERSCRIPT)}"


def ticks(values: Sequence[float]) -> list[str]:
    """Labels of a linear axis, all in the same notation: −2, 0, 0.5, 12,000; powers of ten if need be."""
    largest = max((abs(v) for v in values), default=0.0)
    step = min((abs(v) for v in values if abs(v) > 1e-9 * largest), default=1.0)
    if step >= 1e-4 and largest < 1e6:
        labels = [f"{round(v, 10):,.10g}" if abs(v) >= 1e4 else f"{round(v, 10):.10g}" for v in values]
    elif largest / step < 1e4:
        labels = [tick(v) if abs(v) > 1e-9 * largest else "0" for v in values]
    else:
        labels = [f"{v:.10g}" for v in values]
    return [label.replace("-", "−") for label in labels]


def column(values: Sequence[float | None]) -> list[str]:
    """Numbers with the same count of decimals where their range allows, so that they line up."""
    real = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    if not real or min(real) < 1e-3 or max(real) >= 1e5 or max(real) > 100 * min(real):
        return [number(v) for v in values]
    places = max(0, 2 - math.floor(math.log10(min(real))))
    return ["–" if v is None or not math.isfinite(v) else f"{v:,.{places}f}" for v in values]


def listing(items: Iterable[str]) -> str:
    """A, B and C."""
    items = list(items)
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
