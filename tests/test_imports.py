"""Every module can be imported, on any Python that is supported: annotations are evaluated then."""

import subprocess
import sys

CODE = """
import importlib, pathlib
import thalweg

FRAMEWORKS = ("jax", "keras", "optax", "tensorflow", "torch", "triton")  # not in every environment
root = pathlib.Path(thalweg.__file__).parent
names = [".".join(("thalweg", *p.relative_to(root).with_suffix("").parts)) for p in sorted(root.rglob("*.py"))]
for name in names:
    if not name.endswith("__main__"):
        try:
            importlib.import_module(name.removesuffix(".__init__"))
        except ImportError as error:
            cause = error.__cause__ or error
            if getattr(cause, "name", None) not in FRAMEWORKS:
                print(f"{name}: {error!r}")
        except Exception as error:
            print(f"{name}: {error!r}")
print(len(names))
"""


def test_every_module_can_be_imported() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *failed, seen = done.stdout.splitlines()
    assert not failed and int(seen) > 300
