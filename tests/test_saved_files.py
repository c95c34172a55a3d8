"""Files that released versions wrote are loaded, and their runs go on to where those versions went."""

import json
from pathlib import Path

import pytest

import thalweg as tw

from .saved import write

FOLDERS = sorted(p for p in Path(write.__file__).parent.iterdir() if (p / "ends.json").exists())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
@pytest.mark.parametrize("name", write.CASES)
def test_a_saved_run_goes_on_to_the_same_bits(folder: Path, name: str) -> None:
    params = write.CASES[name][2]()
    stream = write.gradients_of(name, params, write.SAVED_AT)
    opt = tw.load(folder / f"{name}.tw", params)
    write.go_on(opt, stream, write.MORE)
    opt.flush()
    assert write.flat(params) == json.loads((folder / "ends.json").read_text())[name]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_saved_model_predicts_the_same(folder: Path) -> None:
    said = write.predicted(folder / "linear.tw", folder / "linear.svm")
    wanted = json.loads((folder / "ends.json").read_text())["linear"]
    assert said[0] == wanted[0] and len(said) == len(wanted)
    for ours, theirs in zip(said[1:], wanted[1:], strict=True):
        assert [float(x) for x in ours.split(",")] == pytest.approx(
            [float(x) for x in theirs.split(",")], rel=1e-6
        )
