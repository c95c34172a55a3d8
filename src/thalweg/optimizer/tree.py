"""Nested lists, tuples and dicts: their leaves in order, and back.

Where a leaf stands is the tuple of the keys that lead to it. For people it has a name: the keys with dots between
(``layer.0.weight``), or the tuple itself where that would not say which is meant.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from operator import itemgetter
from typing import Any

from ..errors import ThalwegError

Spec = Any  # None for a leaf; else (container type, keys, specs)
Keys = tuple[Any, ...]  # of dicts, and indices of lists and tuples
Name = str | Keys  # as errors print it and users may write it; "" for a lone array


def leaves(value: object, keys: Keys = ()) -> list[tuple[Keys, Any]]:
    """Leaves with the keys that lead to them, in order."""
    children = _children(value)
    if children is None:
        return [(keys, value)]
    return [leaf for key, child in children for leaf in leaves(child, (*keys, key))]


def holdings(value: Any) -> list[tuple[Callable[[Any], tuple[object, ...]], Any, tuple[object, ...]]]:
    """Return each list, tuple and dict with what reads all that it holds in one call, and what that is now."""
    children = _children(value) or []
    below = [x for _, child in children for x in holdings(child)]
    if not children:
        return below
    keys = [key for key, _ in children]
    get = itemgetter(*keys, keys[0])  # of one key alone it would return no tuple
    return [(get, value, get(value)), *below]


def dotted(keys: Keys) -> str:
    """Return keys as text with dots between, which other keys may have too."""
    text = ""
    for key in keys:
        text = f"{text}.{key}" if text else str(key)
    return text


def nodes(paths: Iterable[Keys]) -> list[Keys]:
    """Return the keys of all leaves and of what holds them, but the whole, each once."""
    return list(dict.fromkeys(keys[:n] for keys in paths for n in range(1, len(keys) + 1)))


def names(paths: Sequence[Keys], among: Sequence[Keys] | None = None) -> list[Name]:
    """Return the names of some keys of a tree whose leaves are ``among`` (by default these): no two are equal."""
    called = Counter(map(dotted, nodes(paths if among is None else among)))
    texts = map(dotted, paths)
    return [
        text if not keys or (text and called[text] == 1) else keys
        for keys, text in zip(paths, texts, strict=True)
    ]


def identity(keys: Keys) -> list[Any]:
    """Return keys as JSON can hold them: text, whole numbers, and of any other key what it prints."""
    return [
        str.__str__(k)
        if isinstance(k, str)
        else int(k)
        if isinstance(k, Integral) and not isinstance(k, bool)
        else {"key": repr(k)}
        for k in keys
    ]


def identifier(identity: object) -> str:
    """Return an ``identity`` as text, equal only for equal ones."""
    return json.dumps(identity)


def _children(value: object) -> list[tuple[Any, Any]] | None:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    return None


def shape(value: object) -> Spec:
    """The nesting of a value, to match others against."""
    children = _children(value)
    if children is None:
        return None
    return (type(value), [k for k, _ in children], [shape(c) for _, c in children])


def matching(
    value: object,
    spec: Spec,
    error: type[ThalwegError],
    what: str,
    path: Keys = (),
    whole: Spec = None,
) -> list[Any]:
    """The leaves of a value nested as ``spec``; ``error`` says where it is nested otherwise.

    Dicts match by key in any order; lists and tuples stand for each other. path: where the value stands in what is
    nested as ``whole``.
    """
    if spec is None:
        return [value]
    kind, keys, specs = spec
    if kind is dict or issubclass(kind, dict):
        if isinstance(value, dict) and len(value) == len(keys) and all(map(value.__contains__, keys)):
            children = [value[k] for k in keys]
        else:
            raise error(f"{_place(what, path, whole)}: {_mismatch(value, keys)}")
    else:
        if not isinstance(value, list | tuple) or len(value) != len(keys):
            other = f"{len(value)} entries" if isinstance(value, list | tuple) else type(value).__name__
            raise error(f"{_place(what, path, whole)}: must be a {kind.__name__} of {len(keys)}, got {other}")
        children = list(value)
    if not any(specs):  # a flat container: the common case
        return children
    whole = whole or spec
    matched: list[Any] = []
    for key, child, inner in zip(keys, children, specs, strict=True):
        matched += matching(child, inner, error, what, (*path, key), whole)
    return matched


def _place(what: str, path: Keys, whole: Spec) -> str:
    """Return what stands at a path, for an error."""
    return f"{what} at {names([path], _paths(whole))[0]!r}" if path else what


def _paths(spec: Spec, path: Keys = ()) -> list[Keys]:
    """Return the keys of the leaves of what is nested so."""
    if spec is None:
        return [path]
    _, keys, specs = spec
    return [leaf for key, inner in zip(keys, specs, strict=True) for leaf in _paths(inner, (*path, key))]


def _mismatch(value: object, keys: Sequence[Any]) -> str:
    """How a value differs from a dict with these keys."""
    if not isinstance(value, dict):
        return f"must be a dict with keys {_some(keys)}, got {type(value).__name__}"
    missing = [k for k in keys if k not in value]
    extra = [k for k in value if k not in keys]
    told = [f"without {_some(missing)}"] * bool(missing) + [f"with unknown {_some(extra)}"] * bool(extra)
    return (
        f"must have the keys {_some(keys)}, got a dict {' and '.join(told)} (None leaves a parameter alone)"
    )


def _some(names: Sequence[Any]) -> str:
    shown = ", ".join(repr(n) for n in names[:6])
    return f"{shown}, ... ({len(names)})" if len(names) > 6 else shown


def build(spec: Spec, values: Sequence[Any]) -> Any:
    """Leaves put back into the nesting of ``spec``."""
    remaining = iter(values)

    def make(spec: Spec) -> Any:
        if spec is None:
            return next(remaining)
        kind, keys, specs = spec
        children = [make(s) for s in specs]
        if issubclass(kind, dict):
            return dict(zip(keys, children, strict=True))
        return tuple(children) if issubclass(kind, tuple) else children

    return make(spec)
