"""The documentation: MyST pages, the API from docstrings, the rules' pages and tables from the rules,
the claims' from what is stored of them.

Nothing is fetched when it is built or read: formulas are written as MathML. ``_ext`` holds the
small extensions; warnings are errors (``sphinx-build -W -n``).
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import thalweg

project = "thalweg"
author = "The thalweg authors"
project_copyright = author
release = version = thalweg.__version__

extensions = [
    "myst_nb",  # with myst_parser in it
    "sphinx.ext.autodoc",
    "mathml",
    "docstrings",
    "pictures",
    "rulepages",
    "seen",
    "drawings",
    "claimpages",
    "reports",
    "gallery",
    "explorer",
    "complete",
]
exclude_patterns = ["_build", "_ext", "_generated", "adr/README.md"]
# Tutorials are notebooks, run when their text has changed; without docs/_generated all is run and drawn anew.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_cache_path = str(Path(__file__).parent / "_generated" / "notebooks")
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_merge_streams = True
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
add_module_names = False
# What signatures name that has no page here (no intersphinx: the build needs no network).
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|numpy|os|pathlib|scipy)\..*"),
    ("py:class", r"Array|Params|thalweg\.core\.formula\.Formula"),
]

html_theme = "furo"
html_title = "thalweg"
html_static_path = ["_static", "_generated/static"]
html_css_files = ["thalweg.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b5f7a",
        "color-brand-content": "#0b5f7a",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7cc6de",
        "color-brand-content": "#7cc6de",
    },
}
pygments_style = "tango"
pygments_dark_style = "github-dark"


def _notebooks_first(app: Sphinx, env: BuildEnvironment, pages: list[str]) -> None:
    """Read first what takes longest: under ``-j`` notebooks run while all other pages are read."""
    pages.sort(key=lambda page: not page.startswith("tutorials/"))


def setup(app: Sphinx) -> None:
    app.connect("env-before-read-docs", _notebooks_first)
