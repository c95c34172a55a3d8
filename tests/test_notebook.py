"""Results in a notebook: IPython shows each as a picture or a table that stands alone, light and dark."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.fitting import fit
from thalweg.lab.pictures.style import palette

formatters = pytest.importorskip("IPython.core.formatters")
HOSTILE = "<b>&"


def fitted(folder: Path) -> Any:
    file = folder / "a.csv"
    file.write_text("x,<i>,y\n" + "".join(f"{i},{i % 7},{2 * i + 1}\n" for i in range(200)))
    return fit([file], folder / "model", target="y", rule="Adagrad(lr=0.1)", cache=False)


QUICK = {"trials": 1, "seeds": 2, "steps": 20, "workers": 0}
# What each is to show beside a table.
RESULTS: dict[str, tuple[Callable[[Path], Any], bool]] = {
    "show": (lambda _: tw.show("booth", ["SGD", "Adam:keras"], steps=20, lr=0.01), True),
    "claims": (lambda _: tw.claims(["delta-is-momentum", "gradient-sizes"], jobs=1), True),
    "race": (lambda _: tw.race("booth", ["SGD", "Adam"], **QUICK), True),
    "study": (lambda _: tw.study(["booth", "beale"], ["SGD", "Adam"], **QUICK), True),
    "minimize": (lambda _: tw.minimize(lambda w: (float(w @ w), 2 * w), np.ones(3), jac=True, method=tw.SGD(lr=0.1)), False),
    "fit": (fitted, False),
    "diff": (lambda _: tw.diff("Adam", "Adam:keras", steps=20), True),
    "optimizer": (lambda _: tw.SGD(lr=0.1).on({HOSTILE: np.ones(2)}), False),
}  # fmt: skip


@cache
def shown(name: str, folder: Path) -> str:
    """What IPython's own formatter takes for the richest form of a result."""
    data, _ = formatters.DisplayFormatter().format(RESULTS[name][0](folder))
    return str(data["text/html"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fit")


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_shown_and_stands_alone(name: str, folder: Path) -> None:
    text = shown(name, folder)
    root = ET.fromstring(text)  # well-formed: no name broke out of its cell
    assert root.get("class") == "thalweg"
    assert root.find(".//table") is not None
    pictures = root.findall(".//svg")
    assert bool(pictures) == RESULTS[name][1]
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in pictures)
    assert root.find(".//script") is None
    assert "$" not in text  # no mark-up is left
    assert not re.search(r"https?://(?!www\.w3\.org)|url\((?!#)|@import", text)


@pytest.mark.parametrize("name", [n for n, (_, drawn) in RESULTS.items() if drawn])
def test_a_picture_has_its_colours_in_both_themes(name: str, folder: Path) -> None:
    """Whatever tells the theme: the browser, Jupyter or VS Code."""
    text = shown(name, folder)
    style = str(ET.fromstring(text).findtext("style"))
    used = set(re.findall(r"var\(--([\w-]+)\)", text))
    for theme in ("light", "dark"):
        values = "".join(f"--{n}:{v};" for n, v in palette(theme).items() if n in used)
        assert values
        assert len(re.findall(re.escape("{" + values + "}"), style)) == 2
    assert '[data-jp-theme-light="false"] .thalweg' in style and ".vscode-dark .thalweg" in style


def test_pictures_of_one_notebook_have_their_own_ids(folder: Path) -> None:
    ids = [
        i
        for n, (_, drawn) in RESULTS.items()
        if drawn
        for i in set(re.findall(r'\bid="([^"]*)"', shown(n, folder)))
    ]
    assert len(ids) == len(set(ids))
