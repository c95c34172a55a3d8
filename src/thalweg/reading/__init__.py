"""Labelled examples from files larger than memory, as blocks of CSR arrays."""

from .block import Block
from .opening import open_stream
from .stream import Stream

__all__ = ["Block", "Stream", "open_stream"]
