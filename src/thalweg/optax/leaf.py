"""One parameter in a transformation: what it may be, and its step."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import KeyPath, keystr
from jax.typing import ArrayLike

from ..core.update import Update
from ..engines import xla

DType = jnp.dtype[Any]


class Column(NamedTuple):
    """What is kept of every parameter: its field in the state, its array in the update, a dtype of its own or None."""

    field: str
    array: str
    dtype: DType | None

    def begin(self, path: KeyPath[Any], p: ArrayLike, value: ArrayLike) -> jax.Array:
        """Return what is kept of a parameter before the first step; TypeError for a dtype that no rule steps in."""
        if counted(p):
            return jnp.zeros_like(p)  # keeps the trees alike; no step reads or writes it
        wide = xla.arithmetic(floating("params", path, p))
        return jnp.full_like(p, value, dtype=wide if self.dtype is None else self.dtype)


def moved(
    step: Update,
    clock: Callable[[DType], Mapping[str, jax.Array]],
    path: KeyPath[Any],
    g: ArrayLike,
    old: Mapping[Column, jax.Array],
    w: ArrayLike | None,
) -> tuple[jax.Array, list[jax.Array]]:
    """Return what is added to one parameter, in the gradient's dtype, and the new values of what is kept of it.

    clock: the step's scalars in a dtype. w: the parameter, where the step reads it. Raises TypeError for a dtype,
    ValueError for the shape of g.
    """
    gradient = jnp.asarray(g)
    wide = jnp.dtype(xla.arithmetic(floating("updates", path, g)))
    if old:
        first = next(iter(old.values()))
        _demand_shape(path, gradient, first)
        floating("parameter of updates", path, first)
        wide = reduce(jnp.promote_types, (x.dtype for x in old.values()), wide)
    arrays = {c.array: x.astype(wide) for c, x in old.items()} | {"g": gradient.astype(wide)}
    if w is not None:
        arrays["w"] = jnp.asarray(w).astype(wide)
    written = xla.element(step)(arrays, clock(wide))
    # Where a mask takes the penalty away, its gain stays as it is.
    kept = [written.get(c.array, x).astype(c.dtype or x.dtype) for c, x in old.items()]
    return written["w"].astype(gradient.dtype), kept


def counted(leaf: ArrayLike) -> bool:
    """Whether a leaf is of whole numbers or booleans."""
    return jnp.result_type(leaf).kind in "iub"


def absent(leaf: object) -> bool:
    """Whether there is no gradient: trees are walked down to it."""
    return leaf is None


def floating(what: str, path: KeyPath[Any], leaf: ArrayLike) -> DType:
    """Return a leaf's dtype; TypeError where it is not a real floating one."""
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.floating):
        remedy = (
            "real and imaginary parts are two coordinates: optax.contrib.split_real_and_imaginary(tx)"
            if dtype.kind == "c"
            else "mask it out (optax.masked)"
        )
        raise TypeError(f"{what}{keystr(path)}: dtype must be a real floating one, got {dtype}; {remedy}")
    return dtype


def _demand_shape(path: KeyPath[Any], g: jax.Array, state: jax.Array) -> None:
    if jnp.shape(state) != g.shape:
        raise ValueError(
            f"updates{keystr(path)}: shape must be {jnp.shape(state)} as its parameter's, got {g.shape}"
        )
