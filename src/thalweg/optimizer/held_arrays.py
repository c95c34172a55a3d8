"""The user's own arrays, which steps change: still those that the user holds, and still writeable."""

from collections.abc import Sequence
from operator import attrgetter, is_

from ..core.rule import Params
from ..errors import StateError
from . import tree
from .parameters import Leaf, at

_WRITEABLE = attrgetter("flags.writeable")


class HeldArrays:
    """The arrays within the user's lists and dicts, as they were at the start."""

    def __init__(self, params: Params, leaves: Sequence[Leaf]) -> None:
        self._params, self._leaves = params, leaves
        self._arrays = tuple(x.array for x in leaves)
        self._holdings = tree.holdings(params)

    def require_same(self) -> None:
        """StateError where the user's lists and dicts hold other arrays than at the start, or one is read-only now."""
        for get, holder, objects in self._holdings:
            try:
                same = all(map(is_, get(holder), objects))
            except LookupError:
                same = False
            if not same:
                raise StateError(self._replaced())
        self.require_writeable("step")

    def require_writeable(self, where: str) -> None:
        """StateError, led by ``where``, if an array was made read-only since the start."""
        if all(map(_WRITEABLE, self._arrays)):
            return
        path = next(x.path for x in self._leaves if not x.array.flags.writeable)
        raise StateError(
            f"{where}: the array{at(path)} is read-only now and would be changed in place;"
            " make it writeable (w.setflags(write=True)), or start anew on a copy with rule.on(w.copy())"
        )

    def _replaced(self) -> str:
        """Return what to say where the user's lists and dicts hold other arrays than those that are trained."""
        trained = {id(x.array): x for x in self._leaves}
        present = {id(array) for _, array in tree.leaves(self._params)}
        gone = [x.path for i, x in trained.items() if i not in present]
        where = f" at {gone[0]!r}" if gone else ""
        return (
            f"step: params hold other objects{where} than the arrays that are trained;"
            " write into the arrays (w[...] = values), or start anew with rule.on(params)"
        )
