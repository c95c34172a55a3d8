"""Layouts: which feature has which index, as a stream says it for other streams and for models; plain, as JSON has it.

    svmlight        zero_based
    vw              bits; where there are any: interactions (pairs of namespaces)
    csv, parquet    numeric, text (names of columns), bits; where there are any: scale (centre and size of each
                    numeric column, where they are standardised), means (of the numeric columns, which have
                    indicators of missing values then), instants (those of the numeric ones), forms (how numbers
                    of a column are written), dates (likewise, of days and months), na (words for a missing value), classes (texts of the target), target, interactions
                    (pairs of columns)

Each says its format too; a table's fits the other kind of table. They come from files, which anybody may have written.
"""

import math
from typing import Any

from ..errors import HyperparameterError
from .dates import WAYS
from .interactions import crossed_letters

LARGEST = 2**31 - 1  # indices are int32
BITS = (1, 31)  # the least and the most that indices are cut to

Layout = dict[str, Any]

_TABLE: dict[str, type] = {"numeric": list, "text": list, "bits": int}
_EXTRA: dict[str, type] = {
    "means": list, "instants": list, "forms": dict, "dates": dict, "na": list, "classes": list, "target": str, "interactions": list,
}  # fmt: skip
_PRODUCTS: dict[str, type] = {"interactions": list}
_FORMS: dict[str, dict[str, type]] = {
    "svmlight": {"zero_based": bool},
    "vw": {"bits": int},
    "csv": _TABLE,
    "parquet": _TABLE,
}


def require_layout(given: object, kind: str | None = None) -> Layout:
    """Return a layout without its format, once it is certain that it is one.

    kind: the format of the files that it is to fit; None: its own. Raises HyperparameterError.
    """
    format = given.get("format") if isinstance(given, dict) else None
    form = _FORMS.get(format) if isinstance(format, str) else None
    if not isinstance(given, dict) or form is None or (kind is not None and form != _FORMS[kind]):
        raise HyperparameterError(
            f"layout must be the layout of a stream{'' if kind is None else f' of {kind}'}, got {given!r}"
        )
    layout = {n: v for n, v in given.items() if n != "format"}
    allowed = form | (_EXTRA if form is _TABLE else _PRODUCTS if form is _FORMS["vw"] else {})
    types = {n: type(v) for n, v in layout.items() if n != "scale" or form is not _TABLE}
    if not form.keys() <= types.keys() or any(allowed.get(n) is not type for n, type in types.items()):
        wanted = ", ".join(f"{n} ({t.__name__})" for n, t in form.items())
        raise HyperparameterError(
            f"layout must be the layout of a stream of {format}, which holds {wanted}; got {layout!r}"
        )
    least, most = BITS
    if not least <= layout.get("bits", least) <= most:
        raise HyperparameterError(f"layout: bits must be in [{least}, {most}], got {layout['bits']}")
    if form is _FORMS["vw"]:
        if not all(isinstance(pair, str) for pair in layout.get("interactions", ())):
            raise HyperparameterError(f"layout: interactions must be texts, got {layout['interactions']!r}")
        crossed_letters(layout.get("interactions", ()))
    names = [*layout.get("numeric", ()), *layout.get("text", ())]
    if not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
        raise HyperparameterError(f"layout: columns must be different names, got {names!r}")
    _require_extra(layout)
    if "scale" in layout:
        _require_scale(layout["scale"], len(layout["numeric"]) + _numeric_products(layout))
    if (features := features_of(layout)) is not None and features > LARGEST + 1:
        raise HyperparameterError(f"layout: {features} features are too many; at most {LARGEST + 1}")
    return layout


def _require_scale(scale: object, count: int) -> None:
    """Raise HyperparameterError unless there are a finite centre and a size above 0 for so many columns."""
    good = isinstance(scale, dict) and scale.keys() == {"centre", "size"}
    if isinstance(scale, dict) and good:
        for name, numbers in scale.items():
            good &= isinstance(numbers, list) and len(numbers) == count
            good = good and all(
                type(x) is float and math.isfinite(x) and (x > 0 or name == "centre") for x in numbers
            )
    if not good:
        raise HyperparameterError(
            f"layout: scale must hold centre and size, {count} finite numbers each, sizes above 0; got {scale!r}"
        )


def features_of(layout: Layout) -> int | None:
    """How many features a layout has; None where only reading tells (SVMlight)."""
    if "bits" not in layout:
        return None
    hashed = 1 << int(layout["bits"])
    if "numeric" not in layout:
        return hashed
    numeric = len(layout["numeric"]) * (2 if "means" in layout else 1) + _numeric_products(layout)
    return numeric + (hashed if layout["text"] or layout.get("instants") else 0)


def _numeric_products(layout: Layout) -> int:
    """How many products of two numeric columns a table's layout has."""
    numeric = {*layout["numeric"]}
    return sum({*pair} <= numeric for pair in layout.get("interactions", ()))


def _require_extra(layout: Layout) -> None:
    """Raise HyperparameterError where what a table's layout says beyond its columns does not fit them."""
    numeric, means, forms = layout.get("numeric", []), layout.get("means"), layout.get("forms", {})
    texts = [*layout.get("na", ()), *layout.get("classes", ()), *layout.get("instants", ())]
    sound = means is None or (
        len(means) == len(numeric) and all(isinstance(x, float | int) and math.isfinite(x) for x in means)
    )
    sound = sound and all(isinstance(x, str) for x in texts) and set(layout.get("instants", ())) <= {*numeric}
    sound = sound and all(_is_form(form) for form in forms.values())
    sound = sound and all(isinstance(way, str) and way in WAYS for way in layout.get("dates", {}).values())
    columns = [*numeric, *layout.get("text", ())]
    pairs = layout.get("interactions", ()) if "numeric" in layout else ()
    sound = sound and all(isinstance(p, list) and len(p) == 2 and all(n in columns for n in p) for p in pairs)
    if not sound:
        raise HyperparameterError(
            "layout: means, instants, forms, dates, na, classes or interactions do not fit its columns"
        )


def _is_form(form: object) -> bool:
    """Whether it is the decimal sign, the thousands' sign and the style that numbers are written in."""
    return (
        isinstance(form, list)
        and len(form) == 3
        and form[0] in (".", ",")
        and form[1] in ("", ".", ",", " ", "'")
        and form[2] in ("plain", "dressed", "truth")
    )
