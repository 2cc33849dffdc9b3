"""A protocol states a whole study in one file; `run` does it. Stages alone, on files, are here too."""

from overread.protocol.files import evaluate_files, report_folder
from overread.protocol.schema import Protocol, load, section
from overread.protocol.study import demo, run

__all__ = ["Protocol", "demo", "evaluate_files", "load", "report_folder", "run", "section"]
