"""A protocol states a whole study in one file; `run` does it. Stages alone, on files, are here too."""

from overread.protocol.files import cohort_tables, evaluate_files, remarks, report_folder
from overread.protocol.planning import Expected, plan
from overread.protocol.schema import Protocol, load, section
from overread.protocol.study import demo, run
from overread.protocol.validation import check

__all__ = [
    "Expected", "Protocol", "check", "cohort_tables", "demo", "evaluate_files", "load", "plan", "remarks",
    "report_folder", "run", "section",
]  # fmt: skip
