"""A protocol states a whole study in one file; `run` does it. Stages alone, on files, are here too."""

from overread.protocol.files import evaluate_files, report_folder
from overread.protocol.planning import Expected, plan
from overread.protocol.schema import Protocol, load, section
from overread.protocol.study import demo, run

__all__ = ["Expected", "Protocol", "demo", "evaluate_files", "load", "plan", "report_folder", "run", "section"]
