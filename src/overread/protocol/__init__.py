"""A protocol defines a whole study in one file; `run` conducts it. Stages on files alone are here too.

The names are loaded when they are first used, so that an evaluation does not load what only a whole study needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overread.protocol.configuration import section
    from overread.protocol.files import cohort_tables, evaluate_files, remarks, report_folder
    from overread.protocol.planning import Expected, plan
    from overread.protocol.schema import Protocol, load
    from overread.protocol.study import demo, run
    from overread.protocol.validation import check
    from overread.protocol.verification import Verified, refuse_altered, verify

__all__ = [
    "Expected", "Protocol", "Verified", "check", "cohort_tables", "demo", "evaluate_files", "load", "plan",
    "refuse_altered", "remarks", "report_folder", "run", "section", "verify",
]  # fmt: skip

_MODULES = {
    "configuration": ("section",),
    "files": ("cohort_tables", "evaluate_files", "remarks", "report_folder"),
    "planning": ("Expected", "plan"),
    "schema": ("Protocol", "load"),
    "study": ("demo", "run"),
    "validation": ("check",),
    "verification": ("Verified", "refuse_altered", "verify"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
