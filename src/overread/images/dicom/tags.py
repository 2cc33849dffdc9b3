"""Values of secondary DICOM elements: empty is absent, valid values are read, others are omitted and noted.

An invalid secondary element (a window, a spacing, a padding value) must not make the image unusable. Values are
therefore parsed here from the original bytes and not by a library that rejects the whole file.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import pydicom
from pydicom.datadict import dictionary_description, dictionary_VM, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from overread.images.raster.image_faults import BROKEN

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TEXT = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
# PS3.5 6.2; where the dictionary leaves the sign open ("US or SS"), the value is read as unsigned.
_FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "US or SS": "H"}
_PADDING = " \0\t\r\n"
_LARGEST = 1 << 32
_LONGEST = 40  # characters of a value that a note quotes


def name(keyword: str) -> str:
    """Name and tag of an element for messages.

    >>> name("RescaleSlope")
    'Rescale Slope (0028,1053)'
    """
    tag = Tag(keyword)
    return f"{dictionary_description(tag)} ({tag.group:04X},{tag.element:04X})"


def quoted(text: str) -> str:
    """Value in quotes on one line, without the separator of notes.

    >>> quoted("a;" + "b" * 50)
    "'a,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…'"
    """
    line = "".join(c if c.isprintable() else "?" for c in text.replace(";", ","))
    return f"'{line if len(line) <= _LONGEST else line[:_LONGEST] + '…'}'"


def pieces(dataset: pydicom.Dataset, keyword: str) -> list[str]:
    """Values of an element as text, without padding and empty values; [] if it is absent, empty or a sequence."""
    element = dataset.get_item(Tag(keyword))
    if element is None or not element.value:
        return [] if element is None or element.value in (None, b"", "", []) else _stripped(_texts(element.value))
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        return _stripped(_parsed(element, keyword))
    return _stripped(_texts(element.value))


def _parsed(element: RawDataElement, keyword: str) -> list[str]:
    """Values in the bytes of an element, by the value representation of the file, otherwise of the dictionary."""
    data: bytes = element.value or b""
    kind = dictionary_VR(Tag(keyword)) if element.VR in (None, "UN") else element.VR
    if kind in _TEXT:
        return data.decode("latin-1").split("\\")
    size = struct.calcsize(_FORMATS.get(kind, "x"))
    if kind not in _FORMATS or len(data) % size:
        return ["a sequence"] if kind == "SQ" else [f"bytes {data[:16].hex(' ')}"]
    order = "<" if element.is_little_endian else ">"
    return [str(v) for v in struct.unpack(f"{order}{len(data) // size}{_FORMATS[kind]}", data)]


def _texts(value: Any) -> list[str]:
    if isinstance(value, bytes):
        return [f"bytes {value[:16].hex(' ')}"]
    if isinstance(value, Sequence):
        return ["a sequence"]
    return [str(v) for v in value] if isinstance(value, list | tuple | MultiValue) else [str(value)]


def _stripped(texts: list[str]) -> list[str]:
    return [text for t in texts if (text := t.strip(_PADDING))]


def left_out(keyword: str, value: str, why: str = "") -> str:
    """Note on an element that was omitted.

    >>> left_out("RescaleSlope", "abc")
    "Rescale Slope (0028,1053) is 'abc': left out"
    """
    return f"{name(keyword)} is {quoted(value)}{': ' + why if why else ''}: left out"


def numbers(dataset: pydicom.Dataset, keyword: str, notes: list[str]) -> list[float]:
    """Numbers of an element; [] if it is absent, empty, or has a value that is not a finite number (noted).

    A decimal comma is read as a decimal point and noted.
    """
    texts = pieces(dataset, keyword)
    comma = [t.replace(",", ".") if t.count(",") == 1 and "." not in t else t for t in texts]
    values = [_number(text) for text in comma]
    first_only = dictionary_VM(Tag(keyword)) == "1"
    wanted = values[:1] if first_only else values
    if any(v is None for v in wanted):
        notes.append(left_out(keyword, "\\".join(texts), "not a number"))
        return []
    if any("," in t for t in texts[: len(wanted)]):
        notes.append(f"{name(keyword)} is {quoted(texts[0])}: read with a decimal comma")
    if first_only and len(texts) > 1:
        notes.append(f"{name(keyword)} has {len(texts)} values: the first is taken")
    return [v for v in wanted if v is not None]


def _number(text: str) -> float | None:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None


def number(dataset: pydicom.Dataset, keyword: str, notes: list[str]) -> float | None:
    """First number of an element; None where `numbers` is empty."""
    return next(iter(numbers(dataset, keyword, notes)), None)


def whole(dataset: pydicom.Dataset, keyword: str, notes: list[str]) -> int | None:
    """First value of an element as an integer of at most 32 bits; any other value is omitted and noted."""
    value = number(dataset, keyword, notes)
    if value is not None and (value != round(value) or abs(value) > _LARGEST):
        notes.append(left_out(keyword, pieces(dataset, keyword)[0], "not a whole number"))
        return None
    return None if value is None else int(value)


def word(dataset: pydicom.Dataset, keyword: str) -> str:
    """First value of an element in upper case with underscores for spaces; "" if it is absent or empty.

    DICOM code strings are upper case (PS3.5, section 6.2); not all files comply.
    """
    found = pieces(dataset, keyword)
    return "_".join(found[0].upper().split()) if found else ""


def choice(dataset: pydicom.Dataset, keyword: str, known: tuple[str, ...], notes: list[str]) -> str:
    """Value of an element if it is one of `known`; otherwise "", noted if the element has another value."""
    value = word(dataset, keyword)
    if value and value not in known:
        notes.append(left_out(keyword, pieces(dataset, keyword)[0], f"none of {', '.join(known)}"))
        return ""
    return value


def items(dataset: pydicom.Dataset, keyword: str, notes: list[str]) -> list[pydicom.Dataset]:
    """Items of a sequence; [] if it is absent, empty, or not a sequence (noted)."""
    if Tag(keyword) not in dataset:
        return []
    try:
        value = dataset[keyword].value
    except BROKEN:
        value = "broken"
    if isinstance(value, Sequence):
        return list(value)
    if value:
        notes.append(f"{name(keyword)} is not a sequence: left out")
    return []
