"""Labelled examples from files larger than memory, as blocks of CSR arrays."""

from .block import Block
from .stream import Stream, open_stream

__all__ = ["Block", "Stream", "open_stream"]
