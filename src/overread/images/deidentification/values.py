"""Values rebuilt within what their value representation (PS3.5 section 6.2) permits; no other value passes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import pydicom
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary

from overread.images.deidentification.search.known_words import is_term

INTEGERS, REALS = ("US", "UL", "SS", "SL", "UV", "SV"), ("FL", "FD")
BYTES = ("OB", "OW", "OF", "OD", "OL", "OV", "UN")
TEXTS = ("SH", "LO", "ST", "LT", "UT", "UC", "UR", "AE")
_MOST = 32  # numbers of a list, where the standard sets no limit; longer ones are tables or hide something
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_AGE = re.compile(r"\d{3}[DWMY]")
# LO by the standard, but with defined terms (C.11.1): what has another value is of unspecified units.
UNITS = {0x00281054: "US", 0x00283004: "US"}


def values_of(element: DataElement) -> list[Any]:
    """Values of an element as a list; empty if it has none."""
    value = element.value
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | pydicom.multival.MultiValue) else [value]


def text_of(dataset: Dataset, keyword: str) -> str:
    """Text of an attribute, "" if missing; several values are joined with a backslash as in DICOM."""
    value = dataset.get(keyword)
    held = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    return "\\".join(str(v or "").strip() for v in held)


def known_vr(tag: int, vr: str) -> bool:
    """Whether the dictionary lists the attribute with this value representation."""
    return dictionary_has_tag(tag) and vr in dictionary_VR(tag).split(" or ")


def number_texts(raw: object) -> list[str] | None:
    """Numbers in text (DS, IS) as written, with a decimal point for a decimal comma; None = parsed by pydicom."""
    if not isinstance(raw, RawDataElement) or not isinstance(raw.value, bytes):
        return None
    return [v.strip(" \0") for v in raw.value.decode("latin-1").replace(",", ".").split("\\")]


def checked(tag: int, vr: str, values: Sequence[Any]) -> list[Any] | None:
    """Values that the value representation permits, normalised; None if any value is not permitted.

    Free text, person names and bytes are never permitted. Code strings may only contain defined terms; in a list of
    code strings (Image Type) the others are emptied.

    Examples
    --------
    >>> checked(0x00280030, "DS", ["0.143", " 0.143 "]), checked(0x00180060, "DS", ["Meier"])
    (['0.143', '0.143'], None)
    """
    if tag in UNITS:
        return [v if is_term(v) else UNITS[tag] for v in (str(v).strip().upper() for v in values)]
    if vr == "CS":
        return _code_strings(values)
    if not _count_allowed(tag, len(values)):
        return None
    if vr in ("DS", "IS"):
        texts = [str(getattr(v, "original_string", v)).replace(",", ".").strip(" \0") for v in values]
        number = _REAL if vr == "DS" else _WHOLE
        fits = all((not t or number.fullmatch(t)) and len(t) <= 16 for t in texts)
        return (texts if any(texts) else []) if fits else None
    if vr in INTEGERS:
        return [int(v) for v in values] if all(isinstance(v, int) for v in values) else None
    if vr in REALS:
        fits = all(isinstance(v, int | float) for v in values)
        return [float(v) for v in values] if fits and all(map(math.isfinite, values)) else None
    if vr == "AT":
        return list(values) if all(dictionary_has_tag(v) for v in values) else None
    rule = {"TM": _TIME, "AS": _AGE}.get(vr)
    if rule is not None:
        texts = [str(getattr(v, "original_string", v)).strip(" \0") for v in values]
        return texts if all(not t or rule.fullmatch(t) for t in texts) else None
    return None


def _code_strings(values: Sequence[Any]) -> list[str] | None:
    texts = [str(v).strip(" \0").upper() for v in values]
    held = [t if len(t) <= 16 and t.isascii() and is_term(t) else "" for t in texts]
    if any(held) or not any(texts):
        return held[:_MOST]
    return None


def _count_allowed(tag: int, n: int) -> bool:
    most = dictionary_VM(tag).split("-")[-1] if dictionary_has_tag(tag) else "1"
    return n <= (int(most) if most.isdigit() else _MOST)


def registered(uid: str) -> bool:
    """Whether a UID is registered in the standard (PS3.6 annex A) and identifies nobody."""
    return uid in UID_dictionary
