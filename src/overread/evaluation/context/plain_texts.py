"""Texts of statistics that have no codes yet: an intermediate state until all of `stats` returns codes."""

from __future__ import annotations

from overread import codes
from overread.codes import Text


def as_note(text: str) -> Text:
    """The note as it is, or under one code for all plain notes."""
    return text if isinstance(text, Text) else codes.note("plain_note", text=text) if text else codes.NONE


def as_method(text: str) -> Text:
    """The method as it is, or under one code for all plain methods."""
    return text if isinstance(text, Text) else codes.method("plain_method", text=text) if text else codes.NONE
