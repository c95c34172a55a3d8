"""The build fails where a public name has no entry in the API reference."""

import inspect
from collections.abc import Iterator

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

import thalweg
from thalweg import errors, problems
from thalweg.lab.race import Race
from thalweg.lab.study import Study
from thalweg.problems.formula import FormulaProblem


def wanted() -> Iterator[str]:
    """Full names of all that must be documented."""
    for name in thalweg.__all__:
        yield f"thalweg.{name}"
    for name, value in vars(errors).items():
        if inspect.isclass(value) and value.__module__ == errors.__name__:
            yield f"thalweg.errors.{name}"
    yield from (f"thalweg.problems.{name}" for name in problems.__all__)
    yield "thalweg.problems.formula.FormulaProblem"
    yield "thalweg.scipy.method"
    shown = {
        "thalweg.Rule": thalweg.Rule,
        "thalweg.Optimizer": thalweg.Optimizer,
        "thalweg.Race": Race,
        "thalweg.Study": Study,
        "thalweg.problems.Problem": problems.Problem,
        "thalweg.problems.formula.FormulaProblem": FormulaProblem,
    }
    for prefix, kind in shown.items():
        for name, value in vars(kind).items():
            member = inspect.isfunction(value) or isinstance(value, property | classmethod)
            if member and not name.startswith("_"):
                yield f"{prefix}.{name}"


def _check(app: Sphinx, env: BuildEnvironment) -> None:
    known = env.domains.python_domain.objects
    missing = sorted(set(wanted()) - set(known))
    if missing:
        raise ExtensionError(f"public names that no page documents: {', '.join(missing)}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Registered with Sphinx by conf.py."""
    app.connect("env-check-consistency", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
