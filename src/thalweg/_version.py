"""The version, and nothing else: modules below the package's own name it too."""

__version__ = "0.1.0"
