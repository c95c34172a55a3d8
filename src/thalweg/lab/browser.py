"""A file shown in the browser: the one place that starts one."""

import os
import webbrowser
from pathlib import Path
from tempfile import mkdtemp


def browse(path: str | os.PathLike[str]) -> bool:
    """Show a file in the user's browser, and return whether there is one; where there is none nothing happens."""
    try:
        return webbrowser.open(Path(path).resolve().as_uri())
    except (webbrowser.Error, OSError):
        return False


def passing_place(name: str) -> Path:
    """Return the path of a file of this name in a new temporary folder, for a page that is only to be looked at."""
    return Path(mkdtemp(prefix="thalweg-")) / name
