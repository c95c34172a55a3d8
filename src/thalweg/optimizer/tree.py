"""Nested lists, tuples and dicts: their leaves in order, and back."""

from collections.abc import Sequence
from typing import Any

from ..errors import ThalwegError

Spec = Any  # None for a leaf; else (container type, keys, specs)


def leaves(value: object, path: str = "") -> list[tuple[str, Any]]:
    """Leaves with their paths (``layer.0.weight``; ``""`` for a lone leaf), in order."""
    children = _children(value)
    if children is None:
        return [(path, value)]
    return [leaf for key, child in children for leaf in leaves(child, f"{path}.{key}" if path else str(key))]


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


def matching(value: object, spec: Spec, error: type[ThalwegError], what: str, path: str = "") -> list[Any]:
    """The leaves of a value nested as ``spec``; ``error`` says where it is nested otherwise.

    Dicts match by key in any order; lists and tuples stand for each other.
    """
    if spec is None:
        return [value]
    kind, keys, specs = spec
    where = f"{what} at {path!r}" if path else what
    if kind is dict or issubclass(kind, dict):
        if isinstance(value, dict) and len(value) == len(keys) and all(map(value.__contains__, keys)):
            children = [value[k] for k in keys]
        else:
            raise error(f"{where}: {_mismatch(value, keys)}")
    else:
        if not isinstance(value, list | tuple):
            raise error(f"{where}: must be a {kind.__name__} of {len(keys)}, got {type(value).__name__}")
        if len(value) != len(keys):
            raise error(f"{where}: must be a {kind.__name__} of {len(keys)}, got {len(value)} entries")
        children = list(value)
    if not any(specs):  # a flat container: the common case
        return children
    found: list[Any] = []
    for key, child, inner in zip(keys, children, specs, strict=True):
        found += matching(child, inner, error, what, f"{path}.{key}" if path else str(key))
    return found


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
