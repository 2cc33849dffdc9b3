"""The report: estimates, curves and pictures as one self-contained HTML page."""

from overread.report.page import write

__all__ = ["write"]
