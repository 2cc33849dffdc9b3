"""A protocol states a whole study in one file; `run` does it."""

from overread.protocol.schema import Protocol, load
from overread.protocol.study import run

__all__ = ["Protocol", "load", "run"]
