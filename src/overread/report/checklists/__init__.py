"""Reporting checklists (TRIPOD+AI, STARD-AI, CLAIM, DECIDE-AI), filled from what a study holds and states."""

from overread.report.checklists.fill import check_statements, filled, frame, places, section
from overread.report.checklists.items import Found, Guideline, Item, guidelines, topics
from overread.report.checklists.rules import RULES

__all__ = [
    "RULES",
    "Found",
    "Guideline",
    "Item",
    "check_statements",
    "filled",
    "frame",
    "guidelines",
    "places",
    "section",
    "topics",
]
