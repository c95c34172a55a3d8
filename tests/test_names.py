"""What a parameter is called: keys that print alike are told apart in files, groups, reading and errors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import GradientError, HyperparameterError, ParameterError, ThalwegError

from .test_resume import _rewrite

Tree = dict[Any, Any]


def one(value: float) -> Any:
    return np.full(1, float(value))


# Two parameters each, 1 and 2, whose keys print alike, and the tuples of their keys.
ALIKE: dict[str, tuple[Callable[[], Tree], tuple[Any, ...], tuple[Any, ...]]] = {
    "dots": (lambda: {"a.b": one(1), "a": {"b": one(2)}}, ("a.b",), ("a", "b")),
    "numbers": (lambda: {1: one(1), "1": one(2)}, (1,), ("1",)),
    "truth": (lambda: {True: one(1), "True": one(2)}, (True,), ("True",)),
    "index": (lambda: {"x": [one(1)], "x.0": one(2)}, ("x", 0), ("x.0",)),
    "tuples": (lambda: {("a", "b"): one(1), "('a', 'b')": one(2)}, (("a", "b"),), ("('a', 'b')",)),
    "nothing": (lambda: {"": {"b": one(1)}, "b": one(2)}, ("", "b"), ("b",)),
    "fractions": (lambda: {0.5: one(1), "0": {"5": one(2)}}, (0.5,), ("0", "5")),
}
alike = pytest.mark.parametrize("case", ALIKE)


def arrays(tree: Any) -> Iterator[Any]:
    for child in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(child, np.ndarray):
            yield child
        else:
            yield from arrays(child)


def turned(tree: Tree) -> Tree:
    """The same tree in the other order, all zeros."""
    tree = dict(reversed(tree.items()))
    for array in arrays(tree):
        array[...] = 0
    return tree


def at(tree: Any, keys: tuple[Any, ...]) -> float:
    for key in keys:
        tree = tree[key]
    return float(tree[0])


def refused(kind: type[ThalwegError], do: Callable[[], object], *words: str) -> None:
    with pytest.raises(kind) as caught:
        do()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


@alike
def test_a_file_tells_them_apart(case: str, tmp_path: Path) -> None:
    """Loaded in another order, each gets its own."""
    make, first, second = ALIKE[case]
    tw.SGD().on(make()).save(tmp_path / "run.tw")
    params = turned(make())
    tw.load(tmp_path / "run.tw", params)
    assert (at(params, first), at(params, second)) == (1, 2)


@alike
def test_groups_tell_them_apart(case: str) -> None:
    """Text that may mean both is refused; a tuple of keys is one."""
    make, first, second = ALIKE[case]
    text = ".".join(map(str, first)).lstrip(".")
    refused(
        HyperparameterError,
        lambda: tw.SGD().on(make(), groups={text: {"lr": 0.5}}),
        repr(first),
        repr(second),
    )
    params = make()
    opt = tw.SGD(lr=1.0).on(params, groups={first: {"lr": 0.5}, second: {"lr": 0.25}})
    gradient = make()
    for array in arrays(gradient):
        array[...] = 1
    opt.step(gradient)
    assert (at(params, first), at(params, second)) == (0.5, 1.75)


@alike
def test_reading_and_plans_tell_them_apart(case: str) -> None:
    make, first, second = ALIKE[case]
    opt = tw.SGD().on(make())
    text = ".".join(map(str, first)).lstrip(".")
    refused(ParameterError, lambda: opt.read(text, [0]), repr(first), repr(second))
    assert opt.read(first, [0]) == 1 and opt.read(second, 0) == 2
    gradient = make()
    for array in arrays(gradient):
        array[...] = np.nan
    refused(GradientError, lambda: opt.step(gradient), repr(first))


def test_errors_of_structure_tell_them_apart() -> None:
    opt = tw.SGD().on({"a.b": [one(1)], "a": {"b": [one(2)]}})
    refused(GradientError, lambda: opt.step({"a.b": [one(1)], "a": {"b": []}}), "gradients at ('a', 'b'): ")
    refused(GradientError, lambda: opt.step({"a.b": [], "a": {"b": [one(2)]}}), "gradients at ('a.b',): ")
    opt = tw.SGD().on({"a": {"b": [one(2)]}})
    refused(
        GradientError, lambda: opt.step({"a": {"b": []}}), "gradients at 'a.b': must be a list of 1, got 0"
    )


@pytest.mark.parametrize(
    ("saved", "other"),
    [
        ({"a.b": 1}, {"a": {"b": 2}}),
        ({"a": {"b": 1}}, {"a.b": 2}),
        ({"0": 1}, [2]),
        ({1: 1}, {"1": 2}),
        ({True: 1}, {"True": 2}),
        ({"": 1}, 2),
    ],
    ids=str,
)
def test_another_tree_that_prints_alike_is_another(saved: Any, other: Any, tmp_path: Path) -> None:
    """Such a file is refused, and the error shows how the two differ."""

    def grown(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {k: grown(v) for k, v in tree.items()}
        return [grown(x) for x in tree] if isinstance(tree, list) else one(tree)

    tw.SGD().on(grown(saved)).save(tmp_path / "run.tw")
    with pytest.raises(ParameterError, match=r"holds (.*); params hold (.*)$") as caught:
        tw.load(tmp_path / "run.tw", grown(other))
    theirs, ours = str(caught.value).partition("holds ")[2].split("; params hold ")
    assert theirs != ours


def test_what_was_a_list_may_have_numbers_for_keys(tmp_path: Path) -> None:
    """An index is a whole number, of whatever type; text of any type is text."""

    class Word(str):
        pass

    tw.SGD().on({"w": [one(1), one(2)], "text": one(3)}).save(tmp_path / "run.tw")
    params = {Word("text"): one(0), "w": {np.int64(1): one(0), 0: one(0)}}
    tw.load(tmp_path / "run.tw", params)
    assert [at(params, k) for k in (("w", 0), ("w", 1), ("text",))] == [1, 2, 3]


def test_keys_that_a_file_cannot_tell_apart_are_not_saved(tmp_path: Path) -> None:
    """They train; the file that would restore one from the other is not written."""

    class Key:
        def __repr__(self) -> str:
            return "Key()"

    opt = tw.SGD().on({Key(): one(1), Key(): one(2)})
    refused(ParameterError, lambda: opt.save(tmp_path / "run.tw"), "Key()", "use text or numbers")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", [1, None, 0.5, b"w"], ids=repr)
def test_a_group_is_named_by_text_or_keys(key: Any) -> None:
    refused(HyperparameterError, lambda: tw.SGD().on([one(1), one(2)], groups={key: {"lr": 1}}), repr((key,)))


def test_plain_trees_keep_plain_names() -> None:
    """Dots alone make no name unclear: flat names of other libraries stay as they are, for groups too."""
    opt = tw.SGD(lr=1.0).on({"body.0.bias": one(1), "head.bias": one(2)}, groups={"head": {"lr": 0.5}})
    assert opt.read("body.0.bias", 0) == 1
    refused(ParameterError, lambda: opt.read("body", 0), "known: body.0.bias, head.bias")
    tw.SGD().on([one(1), [one(2)]]).read("1.0", 0)


def test_of_many_parameters_an_error_names_those_that_differ(tmp_path: Path) -> None:
    tree = {f"w{k}": one(k) for k in range(1000)}
    tw.SGD().on(tree).save(tmp_path / "run.tw")
    other = {n: x for n, x in tree.items() if n != "w500"} | {"v": one(0)}
    with pytest.raises(
        ParameterError, match=r"holds 'w500', .*\(1000\); params hold 'v', .*\(1000\)$"
    ) as caught:
        tw.load(tmp_path / "run.tw", other)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("known", ["file", "params", "neither"])
def test_names_alone_restore_nothing_by_chance(known: str, tmp_path: Path) -> None:
    """A file of 0.1.0 has names and no keys: where they do not say which is which, nothing moves."""
    make, _, _ = ALIKE["dots"]
    plain = {"a.b": one(1), "c": one(2)}
    tw.SGD().on(plain if known == "file" else make()).save(tmp_path / "run.tw")

    def older(arrays: Any, head: Any) -> None:
        for leaf, name in zip(head["leaves"], ("a.b", "c" if known == "file" else "a.b"), strict=True):
            del leaf["keys"]
            leaf["path"] = name

    _rewrite(tmp_path / "run.tw", older)
    params = turned(make() if known != "params" else {"a.b": one(1), "c": one(2)})
    refused(ParameterError, lambda: tw.load(tmp_path / "run.tw", params), "a.b", "which is which")
    assert [*map(float, map(np.squeeze, arrays(params)))] == [0, 0]
    if known == "file":
        params = turned({"a": {"b": one(1)}, "c": one(2)})
        tw.load(tmp_path / "run.tw", params)
        assert (at(params, ("a", "b")), at(params, ("c",))) == (1, 2)
