"""A protocol states a whole study in one file; `run` does it."""

from overread.protocol.schema import Protocol, load, section
from overread.protocol.study import demo, run

__all__ = ["Protocol", "demo", "load", "run", "section"]
