"""The parts of the page, by question, and the order of the sections in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overread.reporting.blocks import Section

_HOW_WELL = ("seeds", "discrimination", "operating", "calibration", "decision", "comparison")
_HOSPITALS = ("h1", "drop", "matrix", "site-alone")
_READERS = ("arms", "readers", "h2")
_FOR_WHOM = ("subgroups", "heatmaps")
_HOW_MADE = (
    "governance",
    "participants",
    "duplicates",
    "policies",
    "training",
    "methods",
    "not-computed",
    "account",
    "provenance",
)
_TITLES = {
    "well": "How well",
    "hospitals": "From hospital to hospital",
    "readers": "Models and readers",
    "whom": "For whom",
    "made": "How it was made",
    "reviewers": "For reviewers",
}
_NAMES = {
    "well": _HOW_WELL,
    "hospitals": _HOSPITALS,
    "readers": _READERS,
    "whom": _FOR_WHOM,
    "made": _HOW_MADE,
    "reviewers": ("checklists",),
}
_FIRST = {
    "models and readers": "readers",
    "arms": "readers",
    "readers": "readers",
    "agreement": "readers",
    "pooling": "hospitals",
}


@dataclass(frozen=True, slots=True)
class PagePart:
    """A part of the page with its sections."""

    title: str
    sections: tuple[Section, ...]


def in_page_order(sections: Sequence[Section], kind: str) -> list[Section]:
    """The sections in the order of the page; those without content come last."""
    shown = [s for part in parts(sections, kind) for s in part.sections]
    return [*shown, *(s for s in sections if s.absent)]


def parts(sections: Sequence[Section], kind: str) -> tuple[PagePart, ...]:
    """The sections with content, by part; the part of the leading question comes first.

    A section that no part names comes last among those on how the report was made.
    """
    there = {s.name: s for s in sections if not s.absent}
    named = {name for names in _NAMES.values() for name in names}
    order = sorted(_TITLES, key=lambda part: part != _FIRST.get(kind, "well"))
    order = [*(p for p in order if p not in ("made", "reviewers")), "made", "reviewers"]
    made = []
    for part in order:
        own = [there[n] for n in _NAMES[part] if n in there]
        own += [s for n, s in there.items() if n not in named] if part == "made" else []
        title = "Readers" if part == "readers" and kind in ("arms", "readers", "agreement") else _TITLES[part]
        made += [PagePart(title, tuple(own))] if own or part == "reviewers" else []
    return tuple(made)
