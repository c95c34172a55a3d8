"""fit and predict with interactions: what no sum of effects tells is learnt, remembered and named."""

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from thalweg.cli.program import app
from thalweg.fitting import Trained, fit, predict


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, done.output


def test_products_of_text_are_learnt_remembered_and_named(tmp_path: Path) -> None:
    data, model = tmp_path / "a.vw", tmp_path / "m.tw"
    rng = np.random.default_rng(0)
    u, i = rng.integers(0, 4, (2, 2000))
    likes = (u + i) % 2
    data.write_text(
        "".join(f"{2 * y - 1} |user u{a} |item i{b}\n" for y, a, b in zip(likes, u, i, strict=True))
    )
    options = ("--model", model, "--bits", 14, "--loss", "log_loss", "--rule", "Adagrad(lr=0.1)")
    code, told = run("fit", data, *options, "-q", "ui")
    assert code == 0 and "weight of user^u" in told and "*item^i" in told, told
    assert Trained.load(model).layout == {"format": "vw", "bits": 14, "interactions": ["ui"]}
    done = predict(model, data, tmp_path / "p.csv")
    assert done.quality is not None and done.quality["accuracy"] == 1.0
    plain = fit(data, model, bits=14, loss="log_loss", rule="Adagrad(lr=0.1)")
    assert plain.held_out is not None and plain.held_out["accuracy"] < 0.7
    code, told = run("fit", data, *options, "--interactions", "user,item")
    assert code == 2 and "'user,item' must be the first letters of two namespaces" in told


def test_products_of_columns_are_learnt_whatever_their_units(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3000))
    kind = rng.integers(0, 3, 3000)
    y = a * b + np.array([-2.0, 0.0, 2.0])[kind] * a + 0.1 * rng.standard_normal(3000)
    found = []
    for k, (factor, constant) in enumerate([(1.0, 0.0), (1e-4, 50.0), (1e5, -1e7)]):
        data, model, out = (tmp_path / f"{k}{end}" for end in (".csv", ".tw", ".p.csv"))
        lines = [
            f"{constant + factor * p!r},{q!r},k{c},{t!r}"
            for p, q, c, t in zip(a.tolist(), b.tolist(), kind.tolist(), y.tolist(), strict=True)
        ]
        data.write_text("a,b,kind,y\n" + "\n".join(lines) + "\n")
        report = fit(
            data, model, target="y", interactions=["a,b", "a,kind"], passes=20, dtype="float64", bits=12
        )
        assert report.held_out is not None and report.held_out["rmse"] < 0.15
        names = {w["column"]: w["weight"] for w in report.weights}
        assert abs(names["a*b"] * factor - 1) < 0.02, names
        done = predict(model, data, out)
        assert done.quality is not None and done.quality["rmse"] < 0.15
        found.append(np.loadtxt(out, skiprows=1))
        trained = Trained.load(model)
        assert trained.layout["interactions"] == [["a", "b"], ["a", "kind"]]
    assert np.abs(found[1] - found[0]).max() < 1e-6 and np.abs(found[2] - found[0]).max() < 1e-6
