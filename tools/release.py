"""Say the version, once everything that tells it agrees.

python -m tools.release [TAG]

``__version__``, the newest heading of CHANGELOG.md and CITATION.cff must name one version. With a tag, which is
``v`` and the version, the changelog must also give the release's date, and the project's addresses must be real.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESERVED = re.compile(r"//([^/]*\.)?(example|example\.com|example\.org|invalid)(/|$)")


def first(pattern: str, path: str) -> str:
    """The first group of the first match in a file of the repository; exits where there is none."""
    match = re.search(pattern, (ROOT / path).read_text(), flags=re.M)
    if match is None:
        sys.exit(f"{path}: says no version: nothing matches {pattern}")
    return match[1]


def version() -> str:
    """The version on which package, changelog and citation agree; exits where they do not."""
    told = {
        "src/thalweg/_version.py": first(r'^__version__ = "(.+)"$', "src/thalweg/_version.py"),
        "CHANGELOG.md": first(r"^## (\S+)", "CHANGELOG.md"),
        "CITATION.cff": first(r"^version: (.+)$", "CITATION.cff"),
    }
    if len(set(told.values())) != 1:
        sys.exit("versions differ: " + ", ".join(f"{path} says {text}" for path, text in told.items()))
    return told["CHANGELOG.md"]


def require_releasable(tag: str) -> None:
    """Exit unless the tag is the version, the changelog dates it, and the addresses can be visited."""
    if tag != f"v{version()}":
        sys.exit(f"the tag {tag} is not v{version()}, the version")
    heading = first(r"^## (.+)$", "CHANGELOG.md")
    if not re.fullmatch(r"\S+ \(\d{4}-\d\d-\d\d\)", heading):
        sys.exit(f"CHANGELOG.md: {heading!r} gives no date; write '{version()} (YYYY-MM-DD)'")
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    reserved = [name for name, url in urls.items() if RESERVED.search(url)]
    if reserved:
        sys.exit(f"pyproject.toml: {', '.join(reserved)} under [project.urls] lead nowhere; set them")


def main() -> None:
    if len(sys.argv) > 1:
        require_releasable(sys.argv[1])
    print(version())


if __name__ == "__main__":
    main()
