"""Coded entries (PS3.3 section 8.8) of public terminologies, with the meaning taken from the terminology."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydicom.dataset import Dataset

_SNOMED_RT = ("SRT", "SNM3", "99SDM")
# In use for PA (header.py), missing from pydicom's dictionaries.
_MORE = {("SRT", "R-10214"): "Postero-anterior"}


@cache
def _meanings() -> dict[tuple[str, str], str]:
    """Meaning of every code by terminology and code (PS3.16, as shipped with pydicom)."""
    from pydicom.sr._concepts_dict import concepts  # 0.3 s to load, and most files have no codes
    from pydicom.sr._snomed_dict import mapping

    table: Any = concepts
    meanings = {(s, code): codes[0] for s, words in table.items() for c in words.values() for code, codes in c.items()}
    old = {("SRT", rt): meanings[("SCT", ct)] for rt, ct in mapping["SRT"].items() if ("SCT", ct) in meanings}
    return _MORE | old | meanings


def is_code(item: Dataset) -> bool:
    """Whether an item of a sequence is a coded entry."""
    return any(word in item for word in ("CodeValue", "LongCodeValue", "URNCodeValue"))


def standard_code(item: Dataset) -> Dataset | None:
    """The coded entry rebuilt from the terminology; None if its code is local or unknown."""
    code, scheme = (str(item.get(w) or "").strip(" \0") for w in ("CodeValue", "CodingSchemeDesignator"))
    meaning = _meanings().get(("SRT" if scheme in _SNOMED_RT else scheme, code))
    if meaning is None:
        return None
    coded_entry = Dataset()
    coded_entry.CodeValue, coded_entry.CodingSchemeDesignator, coded_entry.CodeMeaning = code, scheme, meaning[:64]
    return coded_entry
